//! Hash joins: the right side is held in memory by the hash of its keys, the left side streams and keeps its order.
//! A right side beyond work_mem is cut into partitions in files, and so is the left side then; pairs of partitions are
//! joined one after the other. A partition that can't be cut smaller is joined by pieces of its right side, each with the
//! whole left side: what a piece has shown of the left rows is noted for the next one.

use super::build::{has_null, Build};
use super::empty::EmptyState;
use super::keyjoin::{KeyJoinNode, Keys};
use super::matched::{joined, Matched, NONE};
use super::parallel::pure;
use super::scan::ScanNode;
use super::split::{Part, Split, LEFT, RIGHT};
use super::{in_parts, passing, Input, Op};
use crate::base::error::corrupt;
use crate::base::{pace, Oid, Res};
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::compile::infos;
use crate::exec::keys::{hash_rows, long_bytes, same_rows};
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, JoinKind};
use crate::exec::spill::SpillFile;
use crate::expr::{Env, Operator, State};
use crate::types::registry::TypeInfo;
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// The right side is hashed.
#[derive(Debug, Deserialize)]
pub struct HashJoin {
    pub kind: JoinKind,
    pub left: Node,
    pub right: Node,
    pub left_keys: Vec<Expr>,
    pub right_keys: Vec<Expr>,
    pub key_types: Vec<Oid>,
    pub on: Option<Expr>,
    pub left_width: usize,
    pub right_width: usize,
}

impl PlanNode for HashJoin {
    fn width(&self) -> usize {
        self.kind.width(self.left_width, self.right_width)
    }

    fn inputs(&self) -> Vec<&Node> {
        vec![&self.left, &self.right]
    }

    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled> {
        let keys = Keys {
            kind: self.kind,
            left: compiler.program(&self.left_keys)?,
            infos: infos(&self.key_types)?,
            orders: Vec::new(),
            right: compiler.program(&self.right_keys)?,
            on: compiler.optional(&self.on)?,
            left_width: self.left_width,
            right_width: self.right_width,
        };
        let join = keys.join(compiler, above, &self.left, &self.right)?;
        Ok(Arc::new(HashJoinNode(Arc::new(join))))
    }
}

struct HashJoinNode(Arc<KeyJoinNode>);

impl CompiledNode for HashJoinNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        let node = self.0.clone();
        let left = opener.open(&node.left);
        if let Some((_, build)) = opener.built.iter().find(|(n, _)| Arc::ptr_eq(n, &node)) {
            return Box::new(HashJoinState::shared(node, left, build.clone()));
        }
        let right = opener.open(&node.right);
        Box::new(HashJoinState::new(node, left, right))
    }

    /// Parts of the left side can be joined apart, with one right side. It is read once more if that does not fit into memory.
    fn scan_below<'n>(&'n self, joins: &mut Vec<&'n Arc<KeyJoinNode>>) -> Option<&'n ScanNode> {
        let join = &self.0;
        let apart = !matches!(join.kind, JoinKind::Right | JoinKind::Full)
            && join.right.repeatable
            && pure(&join.left_keys)
            && pure(&join.right_keys)
            && join.on.as_ref().is_none_or(pure);
        if !apart {
            return None;
        }
        joins.push(join);
        join.left.scan_below(joins)
    }
}

/// Candidate pairs that are tested at once.
const PAIRS: usize = 4096;

/// The left batch at work.
#[derive(Default)]
struct Probe {
    keys: Vec<Vector>,
    hashes: Vec<u64>,
    /// Next left row to look up, and the entry to go on with.
    row: usize,
    entry: Option<u32>,
    begun: bool,
    left: Vec<u32>,
    right: Vec<u32>,
    pairs: Option<Batch>,
    matched: Matched,
    /// NOT IN: rows that a null may make equal to some row of a piece before; empty: none.
    unknown: Vec<bool>,
}

/// A right side that is joined by pieces.
#[derive(Default)]
struct Pieces {
    /// Of the left rows, a block for each batch: what the pieces before have shown, and what this one does.
    known: Option<SpillFile>,
    noted: Option<SpillFile>,
    /// The left batch's number.
    at: usize,
    last: bool,
}

pub struct HashJoinState {
    node: Arc<KeyJoinNode>,
    left: Input,
    right: Op,
    building: Build,
    build: Arc<Build>,
    ready: bool,
    /// RIGHT and FULL: right rows that have met a partner.
    partnered: Vec<bool>,
    probe: Option<Probe>,
    states: [State; 3],
    out: Batch,
    ended: bool,
    /// Rows with a null in one of several keys must meet all rows of the right side: one partition.
    whole: bool,
    /// Of a right side that is cut: has any of its keys a null?
    right_nulls: bool,
    split: Option<Split>,
    parts: Vec<Part>,
    level: u32,
    pieces: Option<Pieces>,
    /// The right side must begin again.
    stale: bool,
    /// The node's own inputs, while partitions stand in their place.
    inputs: Option<(Input, Op)>,
}

impl HashJoinState {
    /// One thread's part of a join whose right side all threads share.
    pub fn shared(node: Arc<KeyJoinNode>, left: Op, build: Arc<Build>) -> HashJoinState {
        let mut join = HashJoinState::new(node, left, Box::new(EmptyState));
        (join.build, join.ready) = (build, true);
        join
    }

    pub fn new(node: Arc<KeyJoinNode>, left: Op, right: Op) -> HashJoinState {
        let whole = node.infos.is_empty()
            || node.infos.len() > 1 && matches!(node.kind, JoinKind::NullAnti | JoinKind::Mark);
        HashJoinState {
            node,
            left: Input::new(left),
            right,
            building: Build::default(),
            build: Arc::default(),
            ready: false,
            partnered: Vec::new(),
            probe: None,
            states: Default::default(),
            out: Batch::default(),
            ended: false,
            whole,
            right_nulls: false,
            split: None,
            parts: Vec::new(),
            level: 0,
            pieces: None,
            stale: false,
            inputs: None,
        }
    }

    fn build(&mut self, env: &mut Env) -> Res<()> {
        let most = match env.setup.spill {
            Some(_) => env.setup.hash_mem(),
            None => usize::MAX,
        };
        let fits = self.building.collect(&mut self.right, env, most)?;
        match &mut self.pieces {
            Some(pieces) => pieces.last = fits,
            None if fits => {}
            None => return self.start_cut(env),
        }
        self.building.index(&self.node, &mut self.states[0], env)?;
        self.build = Arc::new(std::mem::take(&mut self.building));
        self.partnered = match self.node.kind {
            JoinKind::Right | JoinKind::Full => vec![false; self.build.rows.len],
            _ => Vec::new(),
        };
        self.ready = true;
        Ok(())
    }

    /// The right side has grown too big.
    fn start_cut(&mut self, env: &mut Env) -> Res<()> {
        self.split = match self.whole {
            true => Split::uncut(env),
            false => Split::new(self.level, env),
        };
        if let Some(split) = &mut self.split {
            split.pending = Some(std::mem::take(&mut self.building).rows);
        }
        Ok(())
    }

    fn forget(&mut self) {
        (self.building, self.build, self.ready) = (Build::default(), Arc::default(), false);
    }

    /// Cut both sides; afterwards the partitions stand in their place.
    fn cut(&mut self, env: &mut Env) -> Res<()> {
        let Some(split) = &mut self.split else {
            return Ok(());
        };
        loop {
            split.write()?;
            if !split.right_done {
                if split.pending.is_none() {
                    split.pending = self.right.next(env)?;
                    split.right_done = split.pending.is_none();
                }
                let Some(batch) = &split.pending else {
                    continue;
                };
                let (node, state) = (&self.node, &mut self.states[0]);
                let mut places = Vec::with_capacity(batch.len);
                let mut find = |env: &mut Env, part: &Batch| {
                    let keys = node.right_keys.eval_lent(env, state, part)?;
                    let nulls = (0..part.len).any(|i| has_null(&keys, i));
                    Ok((nulls, split.places(&keys, &node.infos, part.len)?))
                };
                let pure = node.right_keys.sites == 0;
                in_parts(env, pure, batch, &mut find, &mut |_, (nulls, part)| {
                    self.right_nulls |= nulls;
                    places.extend(part);
                })?;
                if let Some(batch) = split.pending.take() {
                    split.add(RIGHT, batch, &places);
                }
            } else if self.left.fill(env)? {
                let (node, state) = (&self.node, &mut self.states[1]);
                let pure = node.left_keys.sites == 0;
                let places = self.left.eval(env, pure, |env, batch| {
                    let keys = node.left_keys.eval_lent(env, state, batch)?;
                    split.places(&keys, &node.infos, batch.len)
                })?;
                split.add(LEFT, self.left.take(), &places);
            } else {
                break;
            }
        }
        if let Some(split) = self.split.take() {
            self.parts.extend(split.parts());
        }
        self.next_part();
        Ok(())
    }

    /// Go on with a partition; false when none is left.
    fn next_part(&mut self) -> bool {
        let Some(part) = self.parts.pop() else {
            return false;
        };
        let left = std::mem::replace(&mut self.left, Input::new(part.left));
        let right = std::mem::replace(&mut self.right, part.right);
        self.inputs.get_or_insert((left, right));
        self.level = part.level;
        self.pieces = part.stubborn.then(Pieces::default);
        self.forget();
        true
    }

    /// Go on with the right side's next piece; false when there is none.
    fn next_piece(&mut self, env: &mut Env) -> Res<bool> {
        let Some(pieces) = self.pieces.as_mut().filter(|p| !p.last) else {
            return Ok(false);
        };
        self.left.rescan(env)?;
        (pieces.known, pieces.at) = (pieces.noted.take(), 0);
        self.forget();
        Ok(true)
    }

    /// What the pieces before have shown of the left batch.
    fn known(&self) -> Res<(Matched, Vec<bool>)> {
        let mut matched = Matched::new(self.left.batch().len);
        let Some(pieces) = &self.pieces else {
            return Ok((matched, Vec::new()));
        };
        let block = match &pieces.known {
            Some(file) => file.block(pieces.at)?.unwrap_or_default(),
            None => Batch::default(),
        };
        let mut flags = block.columns.into_iter().map(|column| match column {
            Vector::Bool(flags, _) => flags,
            _ => Vec::new(),
        });
        if let Some(rows) = flags.next() {
            if rows.len() != matched.rows.len() {
                return corrupt("notes of a join in a temporary file are of other rows");
            }
            matched.rows = rows;
        }
        if !pieces.last {
            matched.keep_lonely();
        }
        Ok((matched, flags.next().unwrap_or_default()))
    }

    /// The left batch has met all its partners in a piece that is not the last one.
    fn note(&mut self, env: &mut Env) -> Res<()> {
        if let (Some(probe), false) = (&self.probe, self.forgetful()) {
            let flags = |flags: Vec<bool>| Vector::Bool(flags, Vec::new());
            let len = probe.matched.rows.len();
            let mut columns = vec![flags(probe.matched.rows.clone())];
            if matches!(self.node.kind, JoinKind::NullAnti | JoinKind::Mark) {
                let unknown = (0..len).map(|i| !probe.matched.rows[i] && self.unknown(probe, i));
                columns.push(flags(unknown.collect()));
            }
            if let (Some(pieces), Some(spill)) = (&mut self.pieces, env.setup.spill.clone()) {
                let noted = pieces.noted.get_or_insert_with(|| SpillFile::new(spill));
                noted.push(&Batch { columns, len })?;
            }
        }
        self.probe = None;
        self.left.at = self.left.batch().len;
        Ok(())
    }

    /// Does what a left row has met not matter in the end?
    fn forgetful(&self) -> bool {
        matches!(self.node.kind, JoinKind::Inner | JoinKind::Right)
    }

    fn start_probe(&mut self, env: &mut Env) -> Res<()> {
        let program = &self.node.left_keys;
        // A right side that is joined by pieces meets the same batches again.
        let pure = program.sites == 0 && self.pieces.is_none();
        let keys = self.left.eval(env, pure, |env, batch| {
            program.eval(env, &mut self.states[1], batch)
        })?;
        let (matched, unknown) = self.known()?;
        let hashes = hash_rows(&self.node.infos, &keys, self.left.batch().len)?;
        self.probe = Some(Probe {
            keys,
            hashes,
            matched,
            unknown,
            ..Probe::default()
        });
        Ok(())
    }

    /// One match is enough to decide a row, and there is no further condition.
    fn first_only(&self) -> bool {
        self.node.on.is_none()
            && matches!(
                self.node.kind,
                JoinKind::Semi | JoinKind::Anti | JoinKind::NullAnti | JoinKind::Mark
            )
    }

    /// Pairs with equal keys, as many as are tested at once. True when the batch has no more.
    fn candidates(&mut self) -> Res<bool> {
        let first_only = self.first_only();
        let rows = self.build.rows.len as u32;
        let Some(probe) = &mut self.probe else {
            return Ok(true);
        };
        let total = probe.hashes.len();
        while probe.row < total {
            let hash = probe.hashes[probe.row];
            if !probe.begun {
                probe.begun = true;
                let skip =
                    has_null(&probe.keys, probe.row) || first_only && probe.matched.rows[probe.row];
                probe.entry = if skip {
                    None
                } else {
                    self.build.index.first(hash)
                };
            }
            while let Some(entry) = probe.entry {
                if probe.left.len() >= PAIRS {
                    return Ok(false);
                }
                let right = rows - 1 - entry;
                pace::step(long_bytes(&probe.keys, probe.row))?;
                let equal = same_rows(
                    &self.node.infos,
                    &probe.keys,
                    probe.row,
                    &self.build.keys,
                    right as usize,
                );
                probe.entry = self.build.index.after(entry, hash);
                if equal {
                    probe.left.push(probe.row as u32);
                    probe.right.push(right);
                    if first_only {
                        probe.entry = None;
                    }
                }
            }
            probe.row += 1;
            probe.begun = false;
        }
        Ok(true)
    }

    /// Test the candidates and put out what they make.
    fn test(&mut self, env: &mut Env) -> Res<()> {
        let Some(probe) = &mut self.probe else {
            return Ok(());
        };
        let kept: Option<Vec<u32>> = match &self.node.on {
            None => None,
            Some(on) => {
                if probe.pairs.is_none() {
                    let left = self.left.batch().gather(&probe.left);
                    probe.pairs = Some(left.beside(self.build.rows.gather(&probe.right)));
                }
                passing(
                    on,
                    env,
                    &mut self.states[2],
                    probe.pairs.as_ref().expect("made above"),
                )?
            }
        };
        let (left, right) = (
            std::mem::take(&mut probe.left),
            std::mem::take(&mut probe.right),
        );
        probe.pairs = None;
        let (left, right) = match kept {
            None => (left, right),
            Some(kept) => (
                kept.iter().map(|&k| left[k as usize]).collect::<Vec<_>>(),
                kept.iter().map(|&k| right[k as usize]).collect::<Vec<_>>(),
            ),
        };
        self.emit(&left, &right)
    }

    fn emit(&mut self, left: &[u32], right: &[u32]) -> Res<()> {
        let Some(probe) = &mut self.probe else {
            return Ok(());
        };
        if matches!(self.node.kind, JoinKind::Right | JoinKind::Full) {
            right
                .iter()
                .for_each(|&r| self.partnered[r as usize] = true);
        }
        let (left, right) = probe.matched.partners(self.node.kind, left, right)?;
        if !left.is_empty() {
            self.put(&left, &right);
        }
        Ok(())
    }

    fn put(&mut self, left: &[u32], right: &[u32]) {
        let (wanted, batch) = (&self.node.wanted, self.left.batch());
        self.out
            .take_in(joined(wanted, batch, left, &self.build.rows, right));
    }

    /// The left batch has met all its partners: put out what each kind owes for its rows.
    fn close_batch(&mut self) {
        let Some(probe) = self.probe.take() else {
            return;
        };
        let matched = &probe.matched;
        match self.node.kind {
            JoinKind::Inner | JoinKind::Right => {}
            JoinKind::Left | JoinKind::Full | JoinKind::Scalar => {
                let rows = matched.lonely();
                if !rows.is_empty() {
                    self.put(&rows, &vec![NONE; rows.len()]);
                }
            }
            JoinKind::Semi => self.put_left(&matched.chosen(true)),
            JoinKind::Anti => self.put_left(&matched.chosen(false)),
            JoinKind::NullAnti => {
                let mut rows = matched.chosen(false);
                rows.retain(|&i| !self.unknown(&probe, i as usize));
                self.put_left(&rows);
            }
            JoinKind::Mark => {
                let total = matched.rows.len();
                let mut mark = Vector::of_kind(crate::exec::batch::Kind::Bool, total);
                for i in 0..total {
                    mark.push(match matched.rows[i] {
                        true => Datum::Bool(true),
                        false if self.unknown(&probe, i) => Datum::Null,
                        false => Datum::Bool(false),
                    });
                }
                let mut batch = self.left.batch().clone();
                batch.columns.push(mark);
                self.out.append(&batch);
            }
        }
        self.left.at = self.left.batch().len;
    }

    fn put_left(&mut self, rows: &[u32]) {
        if !rows.is_empty() {
            self.out.append(&self.left.batch().gather(rows));
        }
    }

    /// Could a null stand for a value that makes this left row equal to some right row?
    fn unknown(&self, probe: &Probe, i: usize) -> bool {
        let maybe = |r: usize| {
            self.node.infos.iter().enumerate().all(|(k, info)| {
                let (left, right) = (&probe.keys[k], &self.build.keys[k]);
                left.is_null(i) || right.is_null(r) || equal(info, left, i, right, r)
            })
        };
        if probe.unknown.get(i) == Some(&true) {
            true
        } else if self.inputs.is_some() && !self.whole {
            // The other partitions count too; together they have rows.
            has_null(&probe.keys, i) || self.right_nulls
        } else if !has_null(&probe.keys, i) {
            self.build.nulls.iter().any(|&r| maybe(r as usize))
        } else if self.node.infos.len() == 1 {
            self.build.rows.len > 0
        } else {
            (0..self.build.rows.len).any(maybe)
        }
    }

    /// RIGHT and FULL: right rows without a partner.
    fn rest(&mut self) {
        if !matches!(self.node.kind, JoinKind::Right | JoinKind::Full) {
            return;
        }
        let rows: Vec<u32> = (0..self.build.rows.len as u32)
            .filter(|&i| !self.partnered[i as usize])
            .collect();
        if !rows.is_empty() {
            let columns = vec![Vector::repeat(&Datum::Null, rows.len()); self.node.left_width];
            let nulls = Batch {
                columns,
                len: rows.len(),
            };
            self.out
                .take_in(nulls.beside(self.build.rows.gather(&rows)));
        }
    }
}

fn equal(info: &'static TypeInfo, a: &Vector, i: usize, b: &Vector, j: usize) -> bool {
    same_rows(
        &[info],
        std::slice::from_ref(a),
        i,
        std::slice::from_ref(b),
        j,
    )
}

impl Operator for HashJoinState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while !self.ended && self.out.len < BATCH_ROWS / 2 {
            env.pulse()?;
            if self.split.is_some() {
                self.cut(env)?;
                continue;
            }
            if !self.ready {
                self.build(env)?;
                continue;
            }
            if self.probe.is_none() {
                if !self.left.fill(env)? {
                    self.rest();
                    self.ended = !self.next_piece(env)? && !self.next_part();
                    continue;
                }
                self.start_probe(env)?;
            }
            let tested_later = self.probe.as_ref().is_some_and(|p| p.pairs.is_some());
            let done = if tested_later {
                false
            } else {
                self.candidates()?
            };
            let pairs = self.probe.as_ref().map_or(0, |p| p.left.len());
            self.test(env)?;
            env.charge(pairs);
            let exhausted = self.probe.as_ref().is_some_and(|p| p.row >= p.hashes.len());
            if done || exhausted {
                match self.pieces.as_ref().is_some_and(|p| !p.last) {
                    true => self.note(env)?,
                    false => self.close_batch(),
                }
                if let Some(pieces) = &mut self.pieces {
                    pieces.at += 1;
                }
            }
        }
        let out = std::mem::take(&mut self.out);
        Ok((out.len > 0).then_some(out))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        let cut = self.inputs.is_some() || self.split.is_some();
        if let Some((left, right)) = self.inputs.take() {
            (self.left, self.right) = (left, right);
        }
        if cut || !self.node.right.repeatable {
            self.split = None;
            self.parts.clear();
            self.pieces = None;
            (self.level, self.right_nulls) = (0, false);
            self.forget();
            self.stale = true;
        }
        self.left.rescan(env)?;
        if self.stale {
            self.right.rescan(env)?;
            self.stale = false;
        }
        self.partnered.iter_mut().for_each(|p| *p = false);
        self.probe = None;
        self.out = Batch::default();
        self.ended = false;
        Ok(())
    }
}
