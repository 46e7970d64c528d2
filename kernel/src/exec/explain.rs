//! Counters for EXPLAIN ANALYZE: for each node, rows, loops, time and what its operator has to say.
//!
//! Nodes are numbered in pre-order: the root's tree first, then each subplan's.

use super::batch::Batch;
use super::ops::Op;
use crate::base::Res;
use crate::expr::{Env, Operator};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

type Facts = Vec<(&'static str, String)>;

#[derive(Default)]
pub struct Count {
    rows: AtomicU64,
    loops: AtomicU64,
    time: AtomicU64,
    facts: Mutex<Facts>,
}

pub struct Counters {
    nodes: Vec<Count>,
}

impl Counters {
    pub fn new(nodes: usize) -> Counters {
        Counters {
            nodes: (0..nodes).map(|_| Count::default()).collect(),
        }
    }

    /// A JSON array with one object a node: rows and time (µs) over all loops.
    pub fn json(&self) -> String {
        let nodes: Vec<serde_json::Value> = self
            .nodes
            .iter()
            .map(|n| {
                let facts: serde_json::Map<String, serde_json::Value> = match n.facts.lock() {
                    Ok(facts) => facts
                        .iter()
                        .map(|(k, v)| ((*k).to_string(), v.clone().into()))
                        .collect(),
                    Err(_) => serde_json::Map::new(),
                };
                serde_json::json!({
                    "rows": n.rows.load(Relaxed),
                    "loops": n.loops.load(Relaxed),
                    "time": n.time.load(Relaxed),
                    "facts": facts,
                })
            })
            .collect();
        serde_json::Value::Array(nodes).to_string()
    }
}

/// An operator that is counted.
pub struct Counted {
    inner: Op,
    id: usize,
    counters: Arc<Counters>,
    begun: bool,
}

impl Counted {
    pub fn new(inner: Op, id: usize, counters: Arc<Counters>) -> Counted {
        Counted {
            inner,
            id,
            counters,
            begun: false,
        }
    }
}

impl Operator for Counted {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        let clock = env.setup.clock;
        let start = clock.map_or(0, |c| c());
        let result = self.inner.next(env);
        let Some(count) = self.counters.nodes.get(self.id) else {
            return result;
        };
        if !std::mem::replace(&mut self.begun, true) {
            count.loops.fetch_add(1, Relaxed);
        }
        count
            .time
            .fetch_add(clock.map_or(0, |c| c()).saturating_sub(start), Relaxed);
        match &result {
            Ok(Some(batch)) => {
                count.rows.fetch_add(batch.len as u64, Relaxed);
            }
            Ok(None) => {
                if let Ok(mut facts) = count.facts.lock() {
                    *facts = self.inner.facts();
                }
            }
            Err(_) => {}
        }
        result
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.inner.rescan(env)?;
        self.begun = false;
        Ok(())
    }
}
