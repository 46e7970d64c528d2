//! The right side of a hash join, in memory by the hash of its keys.

use super::keyjoin::KeyJoinNode;
use super::{in_parts, Op};
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::{hash_rows, HashIndex};
use crate::expr::{Env, State};
use std::borrow::Borrow;
use std::sync::Arc;

/// The right side. Hash entry `e` stands for row `rows - 1 - e`, so that chains run in row order.
#[derive(Default)]
pub struct Build {
    pub rows: Batch,
    pub keys: Vec<Vector>,
    pub index: HashIndex,
    /// Rows with a null among their keys: never equal to anything.
    pub nulls: Vec<u32>,
    pub bytes: usize,
    pub collected: bool,
}

impl Build {
    /// Take in the right side; false when it grows beyond `most` bytes.
    pub fn collect(&mut self, right: &mut Op, env: &mut Env, most: usize) -> Res<bool> {
        while !self.collected {
            if self.bytes > most {
                return Ok(false);
            }
            match right.next(env)? {
                Some(batch) => {
                    self.bytes += batch.bytes();
                    self.rows.append(&batch);
                }
                None => self.collected = true,
            }
        }
        Ok(true)
    }

    pub fn index(&mut self, node: &KeyJoinNode, state: &mut State, env: &mut Env) -> Res<()> {
        if self.rows.len == 0 {
            self.rows = Batch::of_width(node.right_width);
        }
        let program = &node.right_keys;
        let mut eval = |env: &mut Env, part: &Batch| program.eval(env, state, part);
        self.keys.clear();
        in_parts(
            env,
            program.sites == 0,
            &self.rows,
            &mut eval,
            &mut |_, part| {
                if self.keys.is_empty() {
                    self.keys = part;
                    return;
                }
                let more = self.keys.iter_mut().zip(part);
                more.for_each(|(keys, part)| keys.take_in(part));
            },
        )?;
        let hashes = hash_rows(&node.infos, &self.keys, self.rows.len)?;
        for row in (0..self.rows.len).rev() {
            self.index.insert(hashes[row]);
        }
        self.nulls = (0..self.rows.len as u32)
            .filter(|&i| has_null(&self.keys, i as usize))
            .collect();
        Ok(())
    }
}

/// A right side on its way, for joins of several threads.
pub struct Building {
    node: Arc<KeyJoinNode>,
    right: Op,
    build: Build,
    state: State,
}

impl Building {
    pub fn new(node: &Arc<KeyJoinNode>, right: Op) -> Building {
        Building {
            node: node.clone(),
            right,
            build: Build::default(),
            state: State::default(),
        }
    }

    /// The right side; none when it does not fit into memory.
    pub fn run(&mut self, env: &mut Env) -> Res<Option<Arc<Build>>> {
        let most = env.setup.hash_mem();
        if !self.build.collect(&mut self.right, env, most)? {
            return Ok(None);
        }
        self.build.index(&self.node, &mut self.state, env)?;
        Ok(Some(Arc::new(std::mem::take(&mut self.build))))
    }
}

pub fn has_null<V: Borrow<Vector>>(keys: &[V], i: usize) -> bool {
    keys.iter().any(|k| k.borrow().is_null(i))
}
