//! SET CONSTRAINTS.

use super::txn::Put;
use super::Session;
use crate::base::{Oid, Res};
use std::collections::VecDeque;
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
        let Some(oids) = oids else {
            return self.run_deferred();
        };
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
        self.txn().deferred = now;
        let result = self.run_deferred();
        self.txn().deferred.extend(later);
        result
    }
}
