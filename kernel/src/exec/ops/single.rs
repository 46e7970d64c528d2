//! One row without columns.

use crate::base::Res;
use crate::exec::batch::Batch;
use crate::expr::{Env, Operator};

#[derive(Default)]
pub struct SingleState {
    done: bool,
}

impl Operator for SingleState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        env.tick(1)?;
        self.done = true;
        Ok(Some(Batch::unit()))
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.done = false;
        Ok(())
    }
}
