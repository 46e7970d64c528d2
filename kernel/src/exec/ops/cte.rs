//! WITH.

use super::{shared, Op};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::Batch;
use crate::exec::kept::{Kept, Room};
use crate::exec::nodes::*;
use crate::expr::{Env, Operator};
use serde::Deserialize;
use std::sync::Arc;

/// WITH: `cte` is run once, at first use (or at the start when it writes), and read by `CteScan` anywhere below.
#[derive(Debug, Deserialize)]
pub struct With {
    pub id: usize,
    pub cte: Node,
    pub input: Node,
    pub writes: bool,
}

impl PlanNode for With {
    fn width(&self) -> usize {
        self.input.width()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.cte, &self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled> {
        Ok(Arc::new(WithNode {
            id: self.id,
            cte: compiler.node(&self.cte)?,
            input: compiler.instead(&self.input, above)?,
            writes: self.writes,
        }))
    }
}

pub struct WithNode {
    id: usize,
    cte: PNode,
    input: PNode,
    writes: bool,
}

impl CompiledNode for WithNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let (cte, input) = (opener.open(&self.cte), opener.open(&self.input));
        Box::new(WithState::new(self, cte, input))
    }
}

/// Reads a CTE.
#[derive(Debug, Deserialize)]
pub struct CteScan {
    pub id: usize,
    pub width: usize,
}

impl PlanNode for CteScan {
    fn width(&self) -> usize {
        self.width
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        compiler.set_volatile();
        Ok(Arc::new(CteScanNode(self.id)))
    }
}

struct CteScanNode(usize);

impl CompiledNode for CteScanNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::new(CteScanState::new(self.0))
    }
}

/// A CTE's rows so far, and what makes more of them. Readers pull it on, one batch at a time.
pub struct Cte {
    op: Option<Op>,
    rows: Kept,
    done: bool,
}

fn cte(env: &mut Env, id: usize) -> Res<&mut Cte> {
    match shared(env).ctes.get_mut(id).and_then(Option::as_mut) {
        Some(state) => Ok(state),
        None => fail("XX000", format!("plan reads CTE {id} outside its WITH")),
    }
}

/// One more batch of a CTE; false at the end.
fn advance(env: &mut Env, id: usize) -> Res<bool> {
    let room = Room::of(env);
    let state = cte(env, id)?;
    if state.rows.is_settling() {
        state.rows.settle(&room)?;
        return Ok(true);
    }
    if state.done {
        return Ok(false);
    }
    let Some(mut op) = state.op.take() else {
        return fail("XX000", format!("CTE {id} reads itself"));
    };
    let result = op.next(env);
    let state = cte(env, id)?;
    state.op = Some(op);
    match result? {
        Some(batch) => {
            state.rows.push(batch);
            state.rows.settle(&room)?;
        }
        None => state.done = true,
    }
    Ok(!state.done)
}

pub struct WithState {
    node: Arc<WithNode>,
    cte: Option<Op>,
    input: Op,
    ready: bool,
}

impl WithState {
    pub fn new(node: Arc<WithNode>, cte: Op, input: Op) -> WithState {
        WithState {
            node,
            cte: Some(cte),
            input,
            ready: false,
        }
    }
}

impl Operator for WithState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if let Some(op) = self.cte.take() {
            let ctes = &mut shared(env).ctes;
            if ctes.len() <= self.node.id {
                ctes.resize_with(self.node.id + 1, || None);
            }
            ctes[self.node.id] = Some(Cte {
                op: Some(op),
                rows: Kept::default(),
                done: false,
            });
        }
        if self.node.writes && !self.ready {
            while advance(env, self.node.id)? {}
            self.ready = true;
        }
        self.input.next(env)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        if self.cte.is_none() && !self.node.cte.repeatable {
            let id = self.node.id;
            let Some(mut op) = cte(env, id)?.op.take() else {
                return fail("XX000", format!("CTE {id} reads itself"));
            };
            let result = op.rescan(env);
            let state = cte(env, id)?;
            state.op = Some(op);
            result?;
            state.rows = Kept::default();
            state.done = false;
            self.ready = false;
        }
        self.input.rescan(env)
    }
}

pub struct CteScanState {
    id: usize,
    at: usize,
}

impl CteScanState {
    pub fn new(id: usize) -> CteScanState {
        CteScanState { id, at: 0 }
    }
}

impl Operator for CteScanState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if self.at < cte(env, self.id)?.rows.batches() {
                env.pulse()?;
                let batch = cte(env, self.id)?.rows.get(self.at)?;
                env.charge(batch.as_ref().map_or(1, |b| b.len));
                self.at += 1;
                return Ok(batch);
            }
            if !advance(env, self.id)? {
                return Ok(None);
            }
        }
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.at = 0;
        Ok(())
    }
}
