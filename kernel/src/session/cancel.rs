//! Cancelling from another thread: a flag that operators poll, and the error that it stands for.

use crate::base::{Res, SqlError, Stop};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// The error by which a session is ended: always FATAL.
pub const ADMIN_SHUTDOWN: &[u8; 5] = b"57P01";

/// statement_completion_unknown: the wait of a commit has been given up.
pub const COMPLETION_UNKNOWN: &str = "40003";

#[derive(Debug, Default)]
pub struct Cancel {
    pub flag: Arc<AtomicBool>,
    reason: Mutex<Option<Box<SqlError>>>,
}

impl Cancel {
    pub fn request(&self, error: Box<SqlError>) {
        *self.reason.lock() = Some(error);
        self.flag.store(true, Ordering::Release);
    }

    pub fn clear(&self) {
        if self.flag.load(Ordering::Relaxed) {
            *self.reason.lock() = None;
            self.flag.store(false, Ordering::Release);
        }
    }

    /// As `check`, for the request to end the session: no statement outlives that one, and none uses it up by ending first.
    pub fn check_end(&self) -> Res<()> {
        match self.flag.load(Ordering::Relaxed) && self.is_end() {
            false => Ok(()),
            true => Err(Stop::Error(self.take())),
        }
    }

    fn is_end(&self) -> bool {
        let reason = self.reason.lock();
        reason
            .as_ref()
            .is_some_and(|error| error.code == *ADMIN_SHUTDOWN)
    }

    /// The request, if there is one; it is used up.
    pub fn check(&self) -> Res<()> {
        match self.flag.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Stop::Error(self.take())),
        }
    }

    fn take(&self) -> Box<SqlError> {
        let error = self.reason.lock().take();
        self.flag.store(false, Ordering::Release);
        error.unwrap_or_else(|| SqlError::new("57014", "canceling statement due to user request"))
    }

    /// Operators know only the flag: give their 57014 the words of the request.
    pub fn explain(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Error(error) if error.code == *b"57014" && self.flag.load(Ordering::Relaxed) => {
                Stop::Error(self.take())
            }
            other => other,
        }
    }
}
