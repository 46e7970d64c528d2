//! Aggregation by hash: one table, or one for each grouping set, all fed by one pass; keys outside a set are null in it.
//!
//! A table that grows beyond its room takes no more groups: input rows of other groups go to temporary files, cut into
//! partitions by hash, and each partition is aggregated afterwards in the same way. Tables of grouping sets share the room.

use super::aggregate::{AggregateNode, Prepared};
use super::aggstate::{is_pure, Evaluated, States};
use super::{Input, Op};
use crate::base::Res;
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::keys::{hash_rows, Groups};
use crate::exec::spill::{partition_block, scatter, spill, RowFile};
use crate::expr::{Env, Operator};
use crate::types::Datum;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

const PARTITIONS: usize = 16;
/// Hash bits run out after this many levels; then a table grows as it must.
const LEVELS: u32 = 12;
/// The partition of a row whose group is in the table.
const STAYS: u32 = u32::MAX;

/// A table of groups.
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

/// The groups of one grouping set, or of all keys: a table, and what did not fit into it.
struct Grouping {
    /// The keys that count; none: all.
    set: Option<Vec<usize>>,
    table: Table,
    /// Input rows of groups that are not in the table, by partition.
    files: Vec<RowFile>,
    /// Partitions still to be aggregated, with their level.
    waiting: VecDeque<(RowFile, u32)>,
    /// The partition being read, and its next block; none: the input.
    source: Option<(RowFile, u32, usize)>,
    /// A block of the partition that is not taken in yet.
    block: Option<Batch>,
    prepared: Prepared,
    spilled: usize,
}

impl Grouping {
    fn new(node: &AggregateNode, set: Option<Vec<usize>>) -> Grouping {
        Grouping {
            set,
            table: Table::new(node),
            files: Vec::new(),
            waiting: VecDeque::new(),
            source: None,
            block: None,
            prepared: Prepared::default(),
            spilled: 0,
        }
    }

    fn level(&self) -> u32 {
        self.source.as_ref().map_or(0, |(_, level, _)| *level)
    }

    fn masked<'k>(&self, keys: &'k [Vector], len: usize) -> Cow<'k, [Vector]> {
        let Some(set) = &self.set else {
            return Cow::Borrowed(keys);
        };
        let keys = keys
            .iter()
            .enumerate()
            .map(|(k, v)| match set.contains(&k) {
                true => v.clone(),
                false => Vector::repeat(&Datum::Null, len),
            });
        Cow::Owned(keys.collect())
    }

    /// Rows of the input or of a partition, evaluated; nothing may be left to `settle`.
    fn take_in(
        &mut self,
        node: &AggregateNode,
        env: &mut Env,
        batch: Cow<'_, Batch>,
        keys: &[Vector],
        evaluated: &[Evaluated],
    ) -> Res<()> {
        let keys = self.masked(keys, batch.len);
        let hashes = hash_rows(&node.infos, &keys, batch.len)?;
        let room = env.setup.hash_mem() / node.sets.as_ref().map_or(1, |sets| sets.len().max(1));
        let level = self.level();
        let full = self.table.bytes() > room && env.setup.spill.is_some() && level < LEVELS;
        let mut away = vec![STAYS; if full { batch.len } else { 0 }];
        let mut groups = Vec::with_capacity(batch.len);
        for (i, &hash) in hashes.iter().enumerate() {
            if full {
                let found = self.table.groups.find(&keys, i, hash);
                if found.is_none() {
                    away[i] = (hash >> (4 * level)) as u32 % PARTITIONS as u32;
                }
                groups.push(found.unwrap_or(u32::MAX));
            } else {
                groups.push(self.table.groups.add(&keys, i, hash).0);
            }
        }
        let states = &mut self.table.states;
        states.grow(node, self.table.groups.len())?;
        states.update(node, env, evaluated, Some(&groups), batch.len)?;
        self.spilled += away.iter().filter(|&&to| to != STAYS).count();
        if let (true, Some(spill)) = (away.iter().any(|&to| to != STAYS), spill(env)) {
            if self.files.is_empty() {
                let block = partition_block(room);
                self.files
                    .resize_with(PARTITIONS, || RowFile::new(spill.clone(), block));
            }
            scatter(batch.into_owned(), &away, &mut self.files);
        }
        Ok(())
    }

    /// Write what was taken in and does not fit; after `Need` call again.
    fn settle(&mut self, env: &mut Env) -> Res<()> {
        self.files.iter_mut().try_for_each(RowFile::settle)?;
        self.table.states.settle(env)
    }

    /// Take in the partition that is being read, to its end.
    fn read(&mut self, node: &AggregateNode, env: &mut Env) -> Res<()> {
        loop {
            self.settle(env)?;
            if self.block.is_none() {
                let Some((file, _, next)) = &mut self.source else {
                    return Ok(());
                };
                env.tick(BATCH_ROWS)?;
                self.block = file.block(*next)?;
                *next += 1;
            }
            let Some(block) = &self.block else {
                return Ok(());
            };
            let (keys, evaluated) = self.prepared.eval(node, env, block)?;
            let block = self.block.take().expect("looked at above");
            self.take_in(node, env, Cow::Owned(block), &keys, &evaluated)?;
        }
    }

    /// The table is given out: go on with a partition, if one is left.
    fn next_source(&mut self, node: &AggregateNode) -> bool {
        let level = self.level() + 1;
        let done = self.files.drain(..).filter(|file| !file.is_empty());
        self.waiting.extend(done.map(|file| (file, level)));
        let Some((file, level)) = self.waiting.pop_front() else {
            return false;
        };
        self.source = Some((file, level, 0));
        self.table = Table::new(node);
        true
    }

    /// The next groups as rows, after all input; after `Need` call again.
    fn next(&mut self, node: &AggregateNode, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if self.table.given == 0 {
                self.read(node, env)?;
            }
            if let Some(batch) = self.table.give(node, env)? {
                return Ok(Some(batch));
            }
            if !self.next_source(node) {
                return Ok(None);
            }
        }
    }

    fn repeatable(&self) -> bool {
        self.source.is_none() && self.files.is_empty() && self.table.states.repeatable()
    }
}

pub struct HashAggregate {
    node: Arc<AggregateNode>,
    input: Input,
    prepared: Prepared,
    groupings: Vec<Grouping>,
    /// All input is taken in.
    read: bool,
    /// The grouping that is given out.
    at: usize,
}

impl HashAggregate {
    pub fn new(node: Arc<AggregateNode>, input: Op) -> HashAggregate {
        HashAggregate {
            groupings: Self::groupings(&node),
            node,
            input: Input::new(input),
            prepared: Prepared::default(),
            read: false,
            at: 0,
        }
    }

    fn groupings(node: &AggregateNode) -> Vec<Grouping> {
        match &node.sets {
            None => vec![Grouping::new(node, None)],
            Some(sets) => sets
                .iter()
                .map(|set| Grouping::new(node, Some(set.clone())))
                .collect(),
        }
    }

    fn take_in(&mut self, env: &mut Env) -> Res<()> {
        let (keys, evaluated) = self.input.eval(env, is_pure(&self.node), |env, batch| {
            self.prepared.eval(&self.node, env, batch)
        })?;
        let batch = self.input.take();
        if let [grouping] = self.groupings.as_mut_slice() {
            return grouping.take_in(&self.node, env, Cow::Owned(batch), &keys, &evaluated);
        }
        for grouping in &mut self.groupings {
            grouping.take_in(&self.node, env, Cow::Borrowed(&batch), &keys, &evaluated)?;
        }
        Ok(())
    }

    /// The set of nothing has its one group also when there was no row.
    fn close(&mut self) -> Res<()> {
        let nulls = vec![Vector::repeat(&Datum::Null, 1); self.node.keys.len()];
        let hash = hash_rows(&self.node.infos, &nulls, 1)?;
        for grouping in &mut self.groupings {
            let table = &mut grouping.table;
            if grouping.set.as_ref().is_some_and(Vec::is_empty) && table.groups.is_empty() {
                table.groups.add(&nulls, 0, hash[0]);
                table.states.grow(&self.node, 1)?;
            }
        }
        self.read = true;
        Ok(())
    }
}

impl Operator for HashAggregate {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while !self.read {
            for grouping in &mut self.groupings {
                grouping.settle(env)?;
            }
            if self.input.fill(env)? {
                self.take_in(env)?;
            } else {
                self.close()?;
            }
        }
        env.tick(BATCH_ROWS)?;
        while let Some(grouping) = self.groupings.get_mut(self.at) {
            if let Some(batch) = grouping.next(&self.node, env)? {
                return Ok(Some(batch));
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn rescan(&mut self, env: &mut Env) -> Res<()> {
        self.at = 0;
        if self.node.input.repeatable
            && self.read
            && self.groupings.iter().all(Grouping::repeatable)
        {
            self.groupings.iter_mut().for_each(|g| g.table.given = 0);
            return Ok(());
        }
        self.input.rescan(env)?;
        self.groupings = Self::groupings(&self.node);
        self.read = false;
        Ok(())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let bytes: usize = self.groupings.iter().map(|g| g.table.bytes()).sum();
        let spilled: usize = self.groupings.iter().map(|g| g.spilled).sum();
        vec![
            ("Peak Memory Usage", (bytes / 1024).to_string()),
            ("HashAgg Spilled Rows", spilled.to_string()),
        ]
    }
}
