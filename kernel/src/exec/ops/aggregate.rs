//! Aggregation: over everything, by hash, over sorted input, and by grouping sets.
//!
//! A hash table that grows beyond work_mem takes no more groups: rows of other groups go to temporary files, cut into
//! partitions by hash, and each partition is aggregated afterwards in the same way.

use super::aggstate::{Arguments, States};
use super::{Input, Op, Opener};
use crate::base::Res;
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::keys::{hash_rows, same_rows, Groups};
use crate::exec::nodes::AggregateNode;
use crate::exec::spill::{spill, SpillFile};
use crate::expr::{Env, Operator, State};
use crate::types::Datum;
use std::collections::VecDeque;
use std::sync::Arc;

pub fn open(node: &Arc<AggregateNode>, opener: &Opener) -> Op {
    let input = opener.open(&node.input);
    let operator: Op = if node.sets.is_some() {
        Box::new(SetsAggregate::new(node.clone(), input))
    } else if node.keys.is_empty() {
        Box::new(PlainAggregate::new(node.clone(), input))
    } else if node.sorted {
        Box::new(SortedAggregate::new(node.clone(), input))
    } else {
        Box::new(HashAggregate::new(node.clone(), input))
    };
    match super::parallel::eligible(node) && opener.counters.is_none() {
        true => Box::new(super::parallel::ParallelAggregate::new(
            node.clone(),
            operator,
        )),
        false => operator,
    }
}

/// One row, whatever comes in.
struct PlainAggregate {
    node: Arc<AggregateNode>,
    input: Input,
    arguments: Arguments,
    states: Option<States>,
    done: bool,
}

impl PlainAggregate {
    fn new(node: Arc<AggregateNode>, input: Op) -> PlainAggregate {
        PlainAggregate {
            node,
            input: Input::new(input),
            arguments: Arguments::default(),
            states: None,
            done: false,
        }
    }
}

impl Operator for PlainAggregate {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        if self.states.is_none() {
            let mut states = States::new(&self.node);
            states.grow(&self.node, 1)?;
            self.states = Some(states);
        }
        let states = self.states.as_mut().expect("made above");
        loop {
            states.settle(env)?;
            if !self.input.fill(env)? {
                break;
            }
            let evaluated = self.arguments.eval(&self.node, env, self.input.batch())?;
            let len = self.input.take().len;
            states.update(&self.node, env, &evaluated, None, len)?;
        }
        let columns = states.finish(&self.node, env, 0, 1)?;
        self.done = true;
        Ok(Some(Batch { columns, len: 1 }))
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        (self.states, self.done) = (None, false);
        Ok(())
    }
}

/// Keys and arguments of a batch, evaluated.
#[derive(Default)]
pub struct Prepared {
    keys: Option<Vec<Vector>>,
    state: State,
    arguments: Arguments,
}

impl Prepared {
    pub fn eval(
        &mut self,
        node: &AggregateNode,
        env: &mut Env,
        batch: &Batch,
    ) -> Res<(Vec<Vector>, Vec<super::aggstate::Evaluated>)> {
        if self.keys.is_none() {
            self.keys = Some(node.keys.eval(env, &mut self.state, batch)?);
        }
        let evaluated = self.arguments.eval(node, env, batch)?;
        Ok((self.keys.take().unwrap_or_default(), evaluated))
    }
}

/// Groups come one after the other: only the last one is open.
struct SortedAggregate {
    node: Arc<AggregateNode>,
    input: Input,
    prepared: Prepared,
    keys: Batch,
    states: States,
    /// Groups that are to be given.
    closed: usize,
    done: bool,
}

impl SortedAggregate {
    fn new(node: Arc<AggregateNode>, input: Op) -> SortedAggregate {
        let (keys, states) = (Batch::of_width(node.keys.len()), States::new(&node));
        SortedAggregate {
            node,
            input: Input::new(input),
            prepared: Prepared::default(),
            keys,
            states,
            closed: 0,
            done: false,
        }
    }

    fn take_in(&mut self, env: &mut Env) -> Res<()> {
        let (keys, evaluated) = self.prepared.eval(&self.node, env, self.input.batch())?;
        let len = self.input.take().len;
        let mut groups = Vec::with_capacity(len);
        for i in 0..len {
            let last = self.keys.len;
            let same =
                last > 0 && same_rows(&self.node.infos, &self.keys.columns, last - 1, &keys, i);
            if !same {
                for (column, key) in self.keys.columns.iter_mut().zip(&keys) {
                    column.push_from(key, i);
                }
                self.keys.len += 1;
            }
            groups.push(self.keys.len as u32 - 1);
        }
        self.states.grow(&self.node, self.keys.len)?;
        self.states
            .update(&self.node, env, &evaluated, Some(&groups), len)
    }

    /// Groups `0..to` as rows.
    fn give(&mut self, env: &mut Env, to: usize) -> Res<Batch> {
        let values = self.states.finish(&self.node, env, 0, to)?;
        let mut out = self.keys.slice(0, to);
        out.columns.extend(values);
        Ok(out)
    }
}

impl Operator for SortedAggregate {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while self.closed > 0 || !self.done {
            if self.closed > 0 {
                let closed = self.closed;
                let out = self.give(env, closed)?;
                self.keys = self.keys.slice(closed.min(self.keys.len), self.keys.len);
                self.states.keep_last();
                self.closed = 0;
                return Ok(Some(out));
            }
            self.states.settle(env)?;
            if self.input.fill(env)? {
                self.take_in(env)?;
                self.closed = self.keys.len - 1;
                if self.closed > 0 {
                    self.states.hold_last();
                }
            } else {
                self.done = true;
                self.closed = self.keys.len;
            }
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        self.keys = Batch::of_width(self.node.keys.len());
        self.states = States::new(&self.node);
        (self.closed, self.done) = (0, false);
        Ok(())
    }
}

const PARTITIONS: usize = 16;
/// Hash bits run out after this many levels; then a table grows as it must.
const LEVELS: u32 = 12;

/// A table of groups and what did not fit into it.
pub struct Table {
    pub groups: Groups,
    pub states: States,
    given: usize,
}

impl Table {
    pub fn new(node: &AggregateNode) -> Table {
        Table {
            groups: Groups::new(node.infos.clone()),
            states: States::new(node),
            given: 0,
        }
    }

    pub fn bytes(&self) -> usize {
        self.groups.bytes() + self.states.bytes()
    }

    /// The one row of an aggregate without keys, once.
    pub fn only(&mut self, node: &AggregateNode, env: &mut Env) -> Res<Option<Batch>> {
        if self.given == 1 {
            return Ok(None);
        }
        let columns = self.states.finish(node, env, 0, 1)?;
        self.given = 1;
        Ok(Some(Batch { columns, len: 1 }))
    }

    /// The next groups as rows.
    pub fn give(&mut self, node: &AggregateNode, env: &mut Env) -> Res<Option<Batch>> {
        let to = (self.given + BATCH_ROWS).min(self.groups.len());
        if self.given == to {
            return Ok(None);
        }
        let values = self.states.finish(node, env, self.given, to)?;
        let mut out = self.groups.keys.slice(self.given, to);
        out.columns.extend(values);
        self.given = to;
        Ok(Some(out))
    }
}

struct HashAggregate {
    node: Arc<AggregateNode>,
    input: Input,
    prepared: Prepared,
    table: Table,
    /// Input rows of groups that are not in the table, by partition.
    files: Vec<Option<SpillFile>>,
    /// Rows on their way to the files.
    unwritten: Vec<(usize, Batch)>,
    /// Partitions still to be aggregated, with their level.
    waiting: VecDeque<(SpillFile, u32)>,
    /// The partition being read, and its next block; none: the input.
    source: Option<(SpillFile, u32, usize)>,
    block: Option<Batch>,
    giving: bool,
    spilled: usize,
}

impl HashAggregate {
    fn new(node: Arc<AggregateNode>, input: Op) -> HashAggregate {
        let table = Table::new(&node);
        HashAggregate {
            node,
            input: Input::new(input),
            prepared: Prepared::default(),
            table,
            files: Vec::new(),
            unwritten: Vec::new(),
            waiting: VecDeque::new(),
            source: None,
            block: None,
            giving: false,
            spilled: 0,
        }
    }

    fn level(&self) -> u32 {
        self.source.as_ref().map_or(0, |(_, level, _)| *level)
    }

    /// Make sure of a batch, from the input or from a partition; false at the end.
    fn fill(&mut self, env: &mut Env) -> Res<bool> {
        if self.block.is_some() {
            return Ok(true);
        }
        match &mut self.source {
            None => {
                if !self.input.fill(env)? {
                    return Ok(false);
                }
                self.block = Some(self.input.take());
            }
            Some((file, _, next)) => {
                env.tick(BATCH_ROWS)?;
                self.block = file.block(*next)?;
                *next += 1;
            }
        }
        Ok(self.block.is_some())
    }

    fn take_in(&mut self, env: &mut Env) -> Res<()> {
        let batch = self.block.as_ref().expect("filled before");
        let (keys, evaluated) = self.prepared.eval(&self.node, env, batch)?;
        let batch = self.block.take().expect("filled before");
        let hashes = hash_rows(&self.node.infos, &keys, batch.len);
        let full = self.table.bytes() > env.setup.hash_mem()
            && env.setup.spill.is_some()
            && self.level() < LEVELS;
        let mut away: Vec<Vec<u32>> = vec![Vec::new(); if full { PARTITIONS } else { 0 }];
        let mut groups = Vec::with_capacity(batch.len);
        let level = self.level();
        for (i, &hash) in hashes.iter().enumerate() {
            if full {
                let found = self.table.groups.find(&keys, i, hash);
                if found.is_none() {
                    away[(hash >> (4 * level)) as usize % PARTITIONS].push(i as u32);
                }
                groups.push(found.unwrap_or(u32::MAX));
            } else {
                groups.push(self.table.groups.add(&keys, i, hash).0);
            }
        }
        self.table
            .states
            .grow(&self.node, self.table.groups.len())?;
        self.table
            .states
            .update(&self.node, env, &evaluated, Some(&groups), batch.len)?;
        for (partition, rows) in away.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            self.unwritten.push((partition, batch.gather(rows)));
        }
        Ok(())
    }

    fn write(&mut self, env: &mut Env) -> Res<()> {
        while let Some((partition, batch)) = self.unwritten.last() {
            if self.files.is_empty() {
                self.files.resize_with(PARTITIONS, || None);
            }
            let file = match (&mut self.files[*partition], spill(env)) {
                (Some(file), _) => file,
                (empty, Some(spill)) => empty.insert(SpillFile::new(spill)),
                (_, None) => return Ok(()),
            };
            file.push(batch)?;
            self.spilled += batch.len;
            self.unwritten.pop();
        }
        Ok(())
    }

    /// The table is given out: go on with a partition, if one is left.
    fn next_source(&mut self) -> bool {
        let level = self.level();
        let done: Vec<SpillFile> = self.files.drain(..).flatten().collect();
        done.into_iter()
            .for_each(|file| self.waiting.push_back((file, level + 1)));
        let Some((file, level)) = self.waiting.pop_front() else {
            return false;
        };
        self.source = Some((file, level, 0));
        self.table = Table::new(&self.node);
        self.giving = false;
        true
    }
}

impl Operator for HashAggregate {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            while !self.giving {
                self.write(env)?;
                self.table.states.settle(env)?;
                if self.fill(env)? {
                    self.take_in(env)?;
                } else {
                    self.giving = true;
                }
            }
            env.tick(BATCH_ROWS)?;
            if let Some(batch) = self.table.give(&self.node, env)? {
                return Ok(Some(batch));
            }
            if !self.next_source() {
                return Ok(None);
            }
        }
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        if self.node.input.repeatable
            && self.giving
            && self.source.is_none()
            && self.files.is_empty()
            && self.table.states.repeatable()
        {
            self.table.given = 0;
            return Ok(());
        }
        self.input.rescan(env)?;
        self.table = Table::new(&self.node);
        self.files.clear();
        self.unwritten.clear();
        self.waiting.clear();
        (self.source, self.block, self.giving) = (None, None, false);
        Ok(())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("Peak Memory Usage", (self.table.bytes() / 1024).to_string()),
            ("HashAgg Spilled Rows", self.spilled.to_string()),
        ]
    }
}

/// One table for each grouping set, all fed by one pass; keys outside a set are null in it.
struct SetsAggregate {
    node: Arc<AggregateNode>,
    input: Input,
    prepared: Prepared,
    tables: Vec<Table>,
    read: bool,
    at: usize,
}

impl SetsAggregate {
    fn new(node: Arc<AggregateNode>, input: Op) -> SetsAggregate {
        let tables = Self::tables(&node);
        SetsAggregate {
            node,
            input: Input::new(input),
            prepared: Prepared::default(),
            tables,
            read: false,
            at: 0,
        }
    }

    fn tables(node: &AggregateNode) -> Vec<Table> {
        node.sets
            .iter()
            .flatten()
            .map(|_| Table::new(node))
            .collect()
    }

    fn take_in(&mut self, env: &mut Env) -> Res<()> {
        let (keys, evaluated) = self.prepared.eval(&self.node, env, self.input.batch())?;
        let len = self.input.take().len;
        for (set, table) in self.node.sets.iter().flatten().zip(&mut self.tables) {
            let masked: Vec<Vector> = keys
                .iter()
                .enumerate()
                .map(|(k, v)| {
                    if set.contains(&k) {
                        v.clone()
                    } else {
                        Vector::repeat(&Datum::Null, len)
                    }
                })
                .collect();
            let hashes = hash_rows(&self.node.infos, &masked, len);
            let groups: Vec<u32> = hashes
                .iter()
                .enumerate()
                .map(|(i, &h)| table.groups.add(&masked, i, h).0)
                .collect();
            table.states.grow(&self.node, table.groups.len())?;
            table
                .states
                .update(&self.node, env, &evaluated, Some(&groups), len)?;
        }
        Ok(())
    }

    /// The set of nothing has its one group also when there was no row.
    fn close(&mut self) -> Res<()> {
        let nulls = vec![Vector::repeat(&Datum::Null, 1); self.node.keys.len()];
        let hash = hash_rows(&self.node.infos, &nulls, 1);
        for (set, table) in self.node.sets.iter().flatten().zip(&mut self.tables) {
            if set.is_empty() && table.groups.is_empty() {
                table.groups.add(&nulls, 0, hash[0]);
                table.states.grow(&self.node, 1)?;
            }
        }
        self.read = true;
        Ok(())
    }
}

impl Operator for SetsAggregate {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while !self.read {
            for table in &mut self.tables {
                table.states.settle(env)?;
            }
            if self.input.fill(env)? {
                self.take_in(env)?;
            } else {
                self.close()?;
            }
        }
        while let Some(table) = self.tables.get_mut(self.at) {
            if let Some(batch) = table.give(&self.node, env)? {
                return Ok(Some(batch));
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.input.rescan(env)?;
        self.tables = Self::tables(&self.node);
        (self.read, self.at) = (false, 0);
        Ok(())
    }
}
