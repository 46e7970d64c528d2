//! A defect in the kernel ends the statement that met it, and nothing else.

use super::error::{Res, SqlError};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// What `work` answers; a panic in it is XX000. What it held is released while it unwinds: locks are not poisoned, an MTR that
/// was half done stops all further writing, and the caller rolls the transaction back.
pub fn guarded<T>(work: impl FnOnce() -> Res<T>) -> Res<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => {
            let said = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(SqlError::new("XX000", format!("internal error: {said}")).into())
        }
    }
}
