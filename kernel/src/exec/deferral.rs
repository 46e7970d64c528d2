//! Which checks of constraints wait for the transaction's end: what the constraints say of themselves, and SET CONSTRAINTS over that.

use super::ops::AfterNode;
use crate::base::Oid;
use ahash::AHashMap;

/// What SET CONSTRAINTS has said in a transaction.
#[derive(Debug, Clone, Default)]
pub struct Deferral {
    all: Option<bool>,
    /// Said of some after that.
    some: AHashMap<Oid, bool>,
}

impl Deferral {
    /// Of these constraints, or of all.
    pub fn set(&mut self, oids: Option<&[Oid]>, deferred: bool) {
        match oids {
            Some(oids) => self.some.extend(oids.iter().map(|oid| (*oid, deferred))),
            None => {
                self.all = Some(deferred);
                self.some.clear();
            }
        }
    }

    pub fn defers(&self, after: &AfterNode) -> bool {
        let said = || self.some.get(&after.oid).copied().or(self.all);
        after.deferrable && said().unwrap_or(after.deferred)
    }
}
