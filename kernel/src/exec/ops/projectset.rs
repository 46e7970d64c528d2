//! Set-returning functions in a select list.

use super::setcall::Running;
use super::setcall::{SetCall, SetCallNode};
use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::nodes::*;
use crate::exec::plan::Expr;
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// Set-returning functions in a select list: the input row is repeated, as PostgreSQL's ProjectSet does.
#[derive(Debug, Deserialize)]
pub struct ProjectSet {
    pub input: Node,
    pub exprs: Vec<ProjectItem>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectItem {
    Expr(Expr),
    Set(SetCall),
}

impl PlanNode for ProjectSet {
    fn width(&self) -> usize {
        self.exprs.len()
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let input = compiler.node(&self.input)?;
        let (mut exprs, mut sets, mut items) = (Vec::new(), Vec::new(), Vec::new());
        for item in &self.exprs {
            match item {
                ProjectItem::Expr(e) => {
                    items.push(Item::Expr(exprs.len()));
                    exprs.push(e);
                }
                ProjectItem::Set(call) => {
                    items.push(Item::Set(sets.len()));
                    sets.push(call.compile(compiler)?);
                }
            }
        }
        Ok(Arc::new(ProjectSetNode {
            input,
            items,
            exprs: compiler.program(exprs)?,
            sets,
        }))
    }
}

enum Item {
    /// Index into `ProjectSetNode::exprs`.
    Expr(usize),
    /// Index into `ProjectSetNode::sets`.
    Set(usize),
}

pub struct ProjectSetNode {
    input: PNode,
    items: Vec<Item>,
    exprs: Program,
    sets: Vec<SetCallNode>,
}

impl CompiledNode for ProjectSetNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let input = opener.open(&self.input);
        Box::new(ProjectSetState::new(self, input))
    }
}

/// Each input row as often as its longest set; shorter sets give nulls.
pub struct ProjectSetState {
    node: Arc<ProjectSetNode>,
    input: Input,
    states: Vec<State>,
    /// Plain expressions over the input batch, and its rows.
    plain: Option<(Vec<Vector>, usize)>,
    /// Arguments of each set over the input batch.
    args: Vec<Vec<Vector>>,
    running: Vec<Running>,
    open: bool,
}

impl ProjectSetState {
    pub fn new(node: Arc<ProjectSetNode>, input: Op) -> ProjectSetState {
        let states = (0..=node.sets.len()).map(|_| State::default()).collect();
        ProjectSetState {
            node,
            input: Input::new(input),
            states,
            plain: None,
            args: Vec::new(),
            running: Vec::new(),
            open: false,
        }
    }

    fn prepare(&mut self, env: &mut Env) -> Res<()> {
        if self.input.at > 0 {
            return Ok(());
        }
        let (plain, args, states) = (&mut self.plain, &mut self.args, &mut self.states);
        let node = &self.node;
        let pure = node.exprs.sites == 0 && node.sets.iter().all(|set| set.args.sites == 0);
        self.input.eval(env, pure, |env, batch| {
            if plain.as_ref().is_none_or(|(_, rows)| *rows != batch.len) {
                *plain = Some((node.exprs.eval(env, &mut states[0], batch)?, batch.len));
                args.clear();
            }
            while let Some(set) = node.sets.get(args.len()) {
                let state = &mut states[args.len() + 1];
                args.push(set.args.eval(env, state, batch)?);
            }
            Ok(())
        })
    }

    /// Rows of the input row at `at` go to `out` until it is full; true when the input row is done.
    fn expand(&mut self, env: &mut Env, out: &mut Batch) -> Res<bool> {
        let at = self.input.at;
        if !self.open {
            self.running.clear();
            for (set, args) in self.node.sets.iter().zip(&self.args) {
                let row: Vec<Datum> = args.iter().map(|v| v.get(at)).collect();
                self.running.push(Running::start(set, &row, env)?);
            }
            self.open = true;
        }
        while out.len < BATCH_ROWS {
            let mut values = Vec::with_capacity(self.running.len());
            let mut any = false;
            for (set, running) in self.node.sets.iter().zip(&mut self.running) {
                let row = running.next(set, env)?;
                any |= row.is_some();
                values.push(row.map_or(Datum::Null, |r| single(r, set)));
            }
            if !any {
                self.open = false;
                return Ok(true);
            }
            let (plain, _) = self.plain.as_ref().expect("prepared");
            for (item, column) in self.node.items.iter().zip(&mut out.columns) {
                match item {
                    Item::Expr(e) => column.push_from(&plain[*e], at),
                    Item::Set(s) => column.push(values[*s].clone()),
                }
            }
            out.len += 1;
        }
        Ok(false)
    }
}

/// A set in a select list is one column: several result columns make a record.
fn single(mut row: Vec<Datum>, set: &SetCallNode) -> Datum {
    if set.types.len() == 1 {
        return row.pop().unwrap_or_default();
    }
    Datum::Record(Arc::new(crate::types::Record {
        types: Arc::from(set.types.as_slice()),
        values: row,
    }))
}

impl Operator for ProjectSetState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        let mut out = Batch::of_width(self.node.items.len());
        while self.input.fill(env)? {
            env.tick(1)?;
            self.prepare(env)?;
            while self.input.at < self.input.batch().len {
                if !self.expand(env, &mut out)? {
                    env.charge(out.len);
                    return Ok(Some(out));
                }
                self.input.at += 1;
            }
            self.plain = None;
            if out.len > 0 {
                env.charge(out.len);
                return Ok(Some(out));
            }
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        (self.plain, self.open) = (None, false);
        Ok(())
    }
}
