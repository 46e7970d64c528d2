//! One input after the other.

use super::Op;
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::expr::{Env, Operator};

pub struct AppendState {
    inputs: Vec<Op>,
    at: usize,
    /// Inputs already begun again, while a rescan is under way.
    rescanned: usize,
}

impl AppendState {
    pub fn new(inputs: Vec<Op>) -> AppendState {
        AppendState {
            inputs,
            at: 0,
            rescanned: 0,
        }
    }
}

impl Operator for AppendState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while let Some(input) = self.inputs.get_mut(self.at) {
            if let Some(batch) = input.next(env)? {
                return Ok(Some(batch));
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        while let Some(input) = self.inputs.get_mut(self.rescanned) {
            input.rescan(env)?;
            self.rescanned += 1;
        }
        (self.at, self.rescanned) = (0, 0);
        Ok(())
    }
}
