//! No rows.

use crate::base::Res;
use crate::exec::batch::Batch;
use crate::expr::{Env, Operator};

pub struct EmptyState;

impl Operator for EmptyState {
    fn next(&mut self, _: &mut Env) -> Res<Option<Batch>> {
        Ok(None)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        Ok(())
    }
}
