//! Nested loops. With parameters the right side runs again for each left row; without, it is kept in memory.

use super::{in_parts, Input, Op};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::kept::{Kept, Room};
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, JoinKind};
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// `on` sees left columns then right columns. The right side is run again for each left row, with `params`
/// (executor parameter number, expression over the left row) set.
#[derive(Debug, Deserialize)]
pub struct NestedLoop {
    pub kind: JoinKind,
    pub left: Node,
    pub right: Node,
    pub on: Option<Expr>,
    pub params: Vec<(usize, Expr)>,
    pub right_width: usize,
}

impl PlanNode for NestedLoop {
    fn width(&self) -> usize {
        self.kind.width(self.left.width(), self.right_width)
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.left, &self.right]
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let left = compiler.node(&self.left)?;
        let param_numbers: Vec<usize> = self.params.iter().map(|(n, _)| *n).collect();
        let (right, on) = compiler.binding(&param_numbers, |compiler| {
            Ok((compiler.node(&self.right)?, compiler.optional(&self.on)?))
        })?;
        let params = compiler.program(self.params.iter().map(|(_, e)| e))?;
        Ok(Arc::new(NestedLoopNode {
            kind: self.kind,
            left,
            right,
            on,
            params,
            param_numbers,
            left_width: self.left.width(),
            right_width: self.right_width,
        }))
    }
}

pub struct NestedLoopNode {
    kind: JoinKind,
    left: PNode,
    right: PNode,
    on: Option<Program>,
    params: Program,
    param_numbers: Vec<usize>,
    left_width: usize,
    right_width: usize,
}

impl CompiledNode for NestedLoopNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let (left, right) = (opener.open(&self.left), opener.open(&self.right));
        Box::new(NestedLoopState::new(self, left, right))
    }
}

pub struct NestedLoopState {
    node: Arc<NestedLoopNode>,
    left: Input,
    right: Op,
    /// The right side, when it has no parameters.
    kept: Kept,
    kept_all: bool,
    /// Which kept rows have had a partner (RIGHT, FULL).
    partnered: Vec<Vec<bool>>,
    /// The chunk whose rows without a partner come next.
    rest: usize,
    /// Parameters for each row of the left batch.
    params: Option<Vec<Vector>>,
    param_state: State,
    on_state: State,
    out: Batch,
    /// The right side must begin again before it is used for another row.
    used: bool,
    row: Row,
    ended: bool,
}

/// The left row at work.
#[derive(Default)]
struct Row {
    open: bool,
    chunk: usize,
    /// Left row beside right rows, before `on` is tested.
    pending: Option<Batch>,
    matched: bool,
    unknown: bool,
}

impl NestedLoopState {
    pub fn new(node: Arc<NestedLoopNode>, left: Op, right: Op) -> NestedLoopState {
        NestedLoopState {
            node,
            left: Input::new(left),
            right,
            kept: Kept::default(),
            kept_all: false,
            partnered: Vec::new(),
            rest: 0,
            params: None,
            param_state: State::default(),
            on_state: State::default(),
            out: Batch::default(),
            used: false,
            row: Row::default(),
            ended: false,
        }
    }

    fn keeps(&self) -> bool {
        self.node.params.is_empty()
    }

    fn keep_right(&mut self, env: &mut Env) -> Res<()> {
        let room = Room::of(env);
        while !self.kept_all {
            self.kept.settle(&room)?;
            match self.right.next(env)? {
                Some(batch) => {
                    self.partnered.push(vec![false; batch.len]);
                    self.kept.push(batch);
                }
                None => self.kept_all = true,
            }
        }
        Ok(())
    }

    /// Set the parameters of the left row and begin the right side.
    fn open_row(&mut self, env: &mut Env) -> Res<()> {
        if !self.keeps() {
            if self.params.is_none() {
                let params = &self.node.params;
                self.params = Some(self.left.eval(env, params.sites == 0, |env, batch| {
                    params.eval(env, &mut self.param_state, batch)
                })?);
            }
            let params = self.params.as_ref().expect("made above");
            for (n, column) in self.node.param_numbers.iter().zip(params) {
                env.set_exec(*n, column.get(self.left.at));
            }
            if self.used {
                self.right.rescan(env)?;
            }
            self.used = true;
        }
        self.row = Row {
            open: true,
            ..Row::default()
        };
        Ok(())
    }

    /// The next right rows, beside the left row.
    fn next_pairs(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        let right = if self.keeps() {
            let chunk = self.kept.get(self.row.chunk)?;
            self.row.chunk += 1;
            chunk
        } else {
            self.right.next(env)?
        };
        let Some(right) = right else { return Ok(None) };
        let rows = vec![self.left.at as u32; right.len];
        Ok(Some(self.left.batch().gather(&rows).beside(right)))
    }

    /// Work on the left row until it is done; true when more right rows can change nothing.
    fn pairs(&mut self, env: &mut Env) -> Res<bool> {
        if self.row.pending.is_none() {
            if self.keeps() {
                env.tick(self.partnered.get(self.row.chunk).map_or(1, Vec::len))?;
            }
            self.row.pending = self.next_pairs(env)?;
        }
        let Some(pending) = &self.row.pending else {
            return Ok(true);
        };
        let kept: Vec<u32> = match &self.node.on {
            None => (0..pending.len as u32).collect(),
            Some(on) => {
                let (mut kept, mut unknown) = (Vec::new(), false);
                let state = &mut self.on_state;
                let mut test = |env: &mut Env, part: &Batch| on.column(env, state, part);
                in_parts(
                    env,
                    on.sites == 0,
                    pending,
                    &mut test,
                    &mut |from, truth| {
                        unknown |= (0..truth.len()).any(|i| truth.is_null(i));
                        let is_true = |&i: &usize| truth.truth(i) == Some(true);
                        kept.extend((0..truth.len()).filter(is_true).map(|i| (from + i) as u32));
                    },
                )?;
                self.row.unknown |= unknown;
                kept
            }
        };
        let pending = self.row.pending.take().expect("filled above");
        if kept.is_empty() {
            return Ok(false);
        }
        self.apply(pending, &kept)
    }

    fn apply(&mut self, pending: Batch, kept: &[u32]) -> Res<bool> {
        let before = std::mem::replace(&mut self.row.matched, true);
        match self.node.kind {
            JoinKind::Semi | JoinKind::Anti | JoinKind::NullAnti | JoinKind::Mark => {
                return Ok(true)
            }
            JoinKind::Scalar if before || kept.len() > 1 => {
                return fail(
                    "21000",
                    "more than one row returned by a subquery used as an expression",
                )
            }
            JoinKind::Right | JoinKind::Full if self.keeps() => {
                for &i in kept {
                    self.partnered[self.row.chunk - 1][i as usize] = true;
                }
            }
            _ => {}
        }
        if kept.len() == pending.len {
            self.out.append(&pending);
        } else {
            self.out.append(&pending.gather(kept));
        }
        Ok(false)
    }

    /// What the left row leaves when all right rows are seen.
    fn close_row(&mut self) {
        let at = self.left.at;
        let row = std::mem::take(&mut self.row);
        let extra: Option<Vec<Datum>> = match self.node.kind {
            JoinKind::Left | JoinKind::Full | JoinKind::Scalar if !row.matched => {
                Some(vec![Datum::Null; self.node.right_width])
            }
            JoinKind::Semi if row.matched => Some(Vec::new()),
            JoinKind::Anti if !row.matched => Some(Vec::new()),
            JoinKind::NullAnti if !row.matched && !row.unknown => Some(Vec::new()),
            JoinKind::Mark if row.matched => Some(vec![Datum::Bool(true)]),
            JoinKind::Mark if row.unknown => Some(vec![Datum::Null]),
            JoinKind::Mark => Some(vec![Datum::Bool(false)]),
            _ => None,
        };
        if let Some(extra) = extra {
            let mut one = self.left.batch().gather(&[at as u32]);
            one.columns
                .extend(extra.iter().map(|v| Vector::repeat(v, 1)));
            self.out.append(&one);
        }
        self.left.at += 1;
        if self.left.at >= self.left.batch().len {
            self.params = None;
        }
    }

    /// Right rows that never had a partner: one chunk of them. False: there are no more.
    fn rest(&mut self) -> Res<bool> {
        if !matches!(self.node.kind, JoinKind::Right | JoinKind::Full) {
            return Ok(false);
        }
        let left_width = self.node.left_width;
        let Some(partnered) = self.partnered.get(self.rest) else {
            return Ok(false);
        };
        if let Some(chunk) = self.kept.get(self.rest)? {
            let rows: Vec<u32> = (0..chunk.len as u32)
                .filter(|&i| !partnered[i as usize])
                .collect();
            if !rows.is_empty() {
                let columns = vec![Vector::repeat(&Datum::Null, rows.len()); left_width];
                self.out.append(
                    &Batch {
                        columns,
                        len: rows.len(),
                    }
                    .beside(chunk.gather(&rows)),
                );
            }
        }
        self.rest += 1;
        Ok(true)
    }
}

impl Operator for NestedLoopState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.keeps() {
            self.keep_right(env)?;
        }
        while !self.ended && self.out.len < BATCH_ROWS {
            if !self.left.fill(env)? {
                self.ended = !self.rest()?;
                continue;
            }
            if !self.row.open {
                self.open_row(env)?;
            }
            if self.pairs(env)? {
                self.close_row();
            }
        }
        let out = std::mem::take(&mut self.out);
        Ok((out.len > 0).then_some(out))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.left.rescan(env)?;
        if self.keeps() && !self.node.right.repeatable {
            self.right.rescan(env)?;
            self.kept = Kept::default();
            self.partnered.clear();
            self.kept_all = false;
        }
        self.partnered.iter_mut().for_each(|p| p.fill(false));
        self.params = None;
        self.out = Batch::default();
        self.row = Row::default();
        self.rest = 0;
        self.ended = false;
        Ok(())
    }
}
