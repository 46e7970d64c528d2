//! SET CONSTRAINTS, and the checks that were put off.

use super::txn::Put;
use super::Session;
use crate::base::{Oid, Res};
use crate::exec::ops::Expect;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

impl Session {
    /// SET CONSTRAINTS: of these constraints (none: all) checks come at the transaction's end from now on, or those that were put off
    /// come now, and later ones at their statements' ends. Call again after `Need`.
    pub fn set_constraints(&mut self, oids: Option<&[Oid]>, deferred: bool) -> Res<()> {
        let deferral = &mut self.txn().deferral;
        Arc::make_mut(deferral).set(oids, deferred);
        if deferred {
            return Ok(());
        }
        self.txn().keep_deferred();
        let Some(oids) = oids else {
            return self.run_deferred();
        };
        let (now, later) = self.take_put_off(oids);
        self.txn().deferred = now;
        let result = self.run_deferred();
        self.txn().deferred.extend(later);
        result
    }

    /// A constraint is dropped, and with it its checks.
    pub fn drop_checks(&mut self, oid: Oid) {
        if self.put_off_checks().iter().any(|(put, _)| *put == oid) {
            self.txn().keep_deferred();
            let (_, rest) = self.take_put_off(&[oid]);
            self.txn().deferred = rest;
        }
    }

    /// All that was put off: for these constraints, and the rest.
    fn take_put_off(&mut self, oids: &[Oid]) -> (VecDeque<Put>, VecDeque<Put>) {
        let all = std::mem::take(&mut self.txn().deferred);
        let (mut now, mut later) = (VecDeque::new(), VecDeque::new());
        for Put { plan, actions } in all {
            let (wanted, rest) = actions.split(oids);
            for (list, actions) in [(&mut now, wanted), (&mut later, rest)] {
                if !actions.is_empty() {
                    list.push_back(Put {
                        plan: plan.clone(),
                        actions,
                    });
                }
            }
        }
        (now, later)
    }

    /// The constraints that have checks put off: of changes of the referencing table (true), of the referenced one.
    pub fn put_off_checks(&self) -> BTreeSet<(Oid, bool)> {
        let puts = self.txn.iter().flat_map(|txn| &txn.deferred);
        puts.flat_map(|put| put.actions.kinds())
            .map(|after| (after.oid, after.expect == Expect::Rows))
            .collect()
    }
}
