//! Many sessions at random against a model, with cache misses, vacuum, and a crash at every end of an MTR.
//!
//! The model is what SQL promises: a snapshot sees the commits at or below it plus the session's own changes; two
//! transactions never both change a row; no two living rows have the same k.

use super::harness::{row, Tx, World};
use crate::base::{Lsn, RowId, SessionId, Stop};
use crate::exec::access::{Access, Bounds, TableDef, View, Wait, Wrote};
use crate::exec::plan::LockMode;
use crate::types::Datum;
use std::collections::BTreeMap;
use std::sync::Arc;

type Row = (Option<i64>, String, i64);
type Changes = BTreeMap<RowId, Option<Row>>;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// An open transaction and its changes, one map a savepoint level.
struct Open {
    tx: Tx,
    levels: Vec<Changes>,
}

struct Model {
    world: World,
    table: Arc<TableDef>,
    random: Random,
    /// Commits in order.
    commits: Vec<(Lsn, Changes)>,
    open: BTreeMap<u64, Open>,
    done: BTreeMap<&'static str, usize>,
}

fn values(r: &Row) -> Vec<Datum> {
    row(r.0, &r.1, r.2)
}

fn back(values: &[Datum]) -> Row {
    let k = values[0].int().ok();
    (
        k,
        values[1].str().unwrap().to_string(),
        values[2].int().unwrap(),
    )
}

impl Model {
    fn new(seed: u64, cache: usize) -> Model {
        let mut world = World::new(cache);
        let table = world.table();
        Model {
            world,
            table,
            random: Random(seed),
            commits: Vec::new(),
            open: BTreeMap::new(),
            done: BTreeMap::new(),
        }
    }

    fn committed(&self, snapshot: Lsn) -> BTreeMap<RowId, Row> {
        let mut rows = BTreeMap::new();
        for (_, changes) in self.commits.iter().filter(|(lsn, _)| *lsn <= snapshot) {
            put(&mut rows, changes);
        }
        rows
    }

    fn seen(&self, session: u64, snapshot: Lsn) -> BTreeMap<RowId, Row> {
        let mut rows = self.committed(snapshot);
        if let Some(open) = self.open.get(&session) {
            open.levels.iter().for_each(|level| put(&mut rows, level));
        }
        rows
    }

    fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_insert(0) += 1;
    }

    /// Scan and indexes agree with the model.
    fn compare(&mut self, session: u64) {
        let Some(mut open) = self.open.remove(&session) else {
            return;
        };
        let view = self.world.view(&mut open.tx);
        self.open.insert(session, open);
        let expected = self.seen(session, view.snapshot);
        self.compare_view(&view, &expected);
    }

    fn compare_view(&mut self, view: &View, expected: &BTreeMap<RowId, Row>) {
        let table = Arc::clone(&self.table);
        let rows = self.world.rows(view, &table);
        let got: BTreeMap<RowId, Row> = rows.iter().map(|(id, r)| (*id, back(r))).collect();
        assert_eq!(rows.len(), got.len(), "a row came twice");
        assert_eq!(&got, expected);
        for index in 0..2 {
            let backward = self.random.below(2) == 1;
            let mut rows = self
                .world
                .by_index(view, &table, index, Bounds::default(), backward);
            if backward {
                rows.reverse();
            }
            let column = if index == 0 { 0 } else { 2 };
            let keys: Vec<i64> = rows
                .iter()
                .map(|(_, r)| r[column].int().unwrap_or(i64::MAX))
                .collect();
            assert!(keys.is_sorted(), "index {index} is out of order: {keys:?}");
            let got: BTreeMap<RowId, Row> = rows.iter().map(|(id, r)| (*id, back(r))).collect();
            assert_eq!(rows.len(), got.len(), "index {index} gave a row twice");
            assert_eq!(&got, expected, "by index {index}");
        }
    }

    fn fresh_row(&mut self) -> Row {
        let k = match self.random.below(8) {
            0 => None,
            k => Some(k as i64 * 3 % 13),
        };
        let len = match self.random.below(20) {
            0 => 3000 + self.random.below(9000),
            1..=4 => 700,
            _ => self.random.below(30),
        };
        let text = (0..len)
            .map(|_| char::from(b'a' + self.random.below(26) as u8))
            .collect();
        (k, text, self.random.below(5) as i64)
    }

    fn write(&mut self, session: u64) {
        let Some(mut open) = self.open.remove(&session) else {
            return;
        };
        let mut view = self.world.view(&mut open.tx);
        self.open.insert(session, open);
        if !view.strict && self.random.below(3) == 0 {
            // A statement that began a commit ago.
            view.snapshot = self
                .commits
                .last()
                .map_or(view.snapshot, |(lsn, _)| Lsn(lsn.0 - 1));
        }
        let seen = self.seen(session, view.snapshot);
        let table = Arc::clone(&self.table);
        let new = self.fresh_row();
        let pick = self.random.below(seen.len().max(1) as u64) as usize;
        let target = seen.keys().nth(pick).copied();
        let what = self.random.below(10);
        let done = match (what, target) {
            (0..=3, _) | (_, None) => self
                .world
                .run(|t| t.insert(&view, &table, &values(&new), &[]))
                .map(|i| match i {
                    crate::exec::access::Inserted::Row(id) => Some((id, Some(new.clone()))),
                    other => panic!("{other:?}"),
                }),
            (4..=7, Some(id)) => {
                // Half of the updates leave the key alone.
                let mut new = new;
                if what < 6 {
                    new.0 = seen[&id].0;
                }
                self.change(&view, id, Some(new))
            }
            (8, Some(id)) => {
                let rows: Vec<RowId> = seen.range(id..).map(|(id, _)| *id).take(3).collect();
                self.delete(session, &view, &rows)
            }
            (_, Some(id)) => {
                let mode = [
                    LockMode::KeyShare,
                    LockMode::Share,
                    LockMode::NoKeyUpdate,
                    LockMode::Update,
                ][self.random.below(4) as usize];
                let locked = self
                    .world
                    .run(|t| t.lock(&view, &table, id, mode, Wait::Block, view.snapshot));
                locked.map(|_| None)
            }
        };
        self.settle(session, done);
    }

    /// Delete rows that can be deleted together, or else the first of these. What is left to be settled.
    fn delete(
        &mut self,
        session: u64,
        view: &View,
        rows: &[RowId],
    ) -> Result<Option<(RowId, Option<Row>)>, Stop> {
        let table = Arc::clone(&self.table);
        let accept = view.snapshot;
        let done = self
            .world
            .run(|t| t.delete_many(view, &table, rows, accept))?;
        match rows[..done].split_last() {
            None => self.change(view, rows[0], None),
            Some((last, others)) => {
                for row in others {
                    self.count("many");
                    self.settle(session, Ok(Some((*row, None))));
                }
                Ok(Some((*last, None)))
            }
        }
    }

    /// Update or delete, with the second look of READ COMMITTED.
    fn change(
        &mut self,
        view: &View,
        id: RowId,
        new: Option<Row>,
    ) -> Result<Option<(RowId, Option<Row>)>, Stop> {
        let table = Arc::clone(&self.table);
        let mut accept = view.snapshot;
        loop {
            let wrote = match &new {
                Some(new) => self
                    .world
                    .run(|t| t.update(view, &table, id, &values(new), accept))?,
                None => self.world.run(|t| t.delete(view, &table, id, accept))?,
            };
            match wrote {
                Wrote::Done => return Ok(Some((id, new))),
                Wrote::Gone => {
                    assert!(
                        !self.committed(Lsn::MAX).contains_key(&id),
                        "row {id} is not gone"
                    );
                    return Ok(None);
                }
                Wrote::Own => panic!("no command writes a row twice here"),
                Wrote::Changed { row, csn } => {
                    assert!(csn > accept && !view.strict);
                    assert_eq!(Some(&back(&row)), self.committed(Lsn::MAX).get(&id));
                    self.count("changed");
                    accept = csn;
                }
            }
        }
    }

    fn settle(&mut self, session: u64, done: Result<Option<(RowId, Option<Row>)>, Stop>) {
        match done {
            Ok(None) => self.count("nothing"),
            Ok(Some((id, new))) => {
                self.count("wrote");
                for (other, open) in self.open.iter().filter(|(s, _)| **s != session) {
                    assert!(
                        !open.levels.iter().any(|l| l.contains_key(&id)),
                        "{other} and {session} both changed row {id}"
                    );
                }
                let level = self
                    .open
                    .get_mut(&session)
                    .and_then(|o| o.levels.last_mut());
                level.expect("a level").insert(id, new);
            }
            Err(Stop::Need(_)) => {
                // The statement is cancelled; nothing has changed.
                self.count("waited");
                self.world.txns().locks.cancel_wait(SessionId(session));
            }
            Err(Stop::Error(error)) => {
                assert!(
                    ["23505", "40001", "40P01"].contains(&error.code_str()),
                    "{error}"
                );
                self.count("failed");
                if let Some(open) = self.open.remove(&session) {
                    self.world.rollback(open.tx);
                }
            }
        }
    }

    fn savepoints(&mut self, session: u64) {
        let Some(open) = self.open.get_mut(&session) else {
            return;
        };
        let txns = self.world.tables.txns();
        let depth = open.levels.len() - 1;
        match self.random.below(3) {
            0 if depth < 4 => {
                assert_eq!(txns.savepoint(open.tx.session), depth + 1);
                open.levels.push(Changes::new());
            }
            1 if depth > 0 => {
                let level = 1 + self.random.below(depth as u64) as usize;
                txns.release(open.tx.session, level);
                for inner in open.levels.split_off(level) {
                    open.levels[level - 1].extend(inner);
                }
            }
            _ if depth > 0 => {
                let level = 1 + self.random.below(depth as u64) as usize;
                assert!(txns.rollback_to(open.tx.session, level));
                open.levels.truncate(level);
                open.levels.push(Changes::new());
            }
            _ => {}
        }
    }

    fn end(&mut self, session: u64) {
        let Some(open) = self.open.remove(&session) else {
            return;
        };
        if self.random.below(4) == 0 {
            self.world.rollback(open.tx);
            return;
        }
        let changes: Changes = open.levels.into_iter().flatten().collect();
        let txns = self.world.txns();
        let tx = open.tx.session;
        let lsn = self.world.run(|_| txns.commit(tx, false)).unwrap();
        self.world.store.flush(&self.world.volume);
        txns.finish(tx);
        self.world.tables.forget_session(tx);
        if let Some(snapshot) = open.tx.snapshot {
            txns.release_snapshot(snapshot);
        }
        match lsn {
            Some(lsn) => self.commits.push((lsn, changes)),
            None => assert!(changes.is_empty()),
        }
        let rows = self.committed(Lsn::MAX);
        let mut keys: Vec<i64> = rows.values().filter_map(|r| r.0).collect();
        keys.sort_unstable();
        assert!(
            keys.windows(2).all(|w| w[0] != w[1]),
            "two rows with one key: {keys:?}"
        );
    }

    fn step(&mut self) {
        let session = 1 + self.random.below(4);
        if !self.open.contains_key(&session) {
            let strict = self.random.below(2) == 0;
            let tx = self.world.begin(session, strict);
            self.open.insert(
                session,
                Open {
                    tx,
                    levels: vec![Changes::new()],
                },
            );
        }
        match self.random.below(24) {
            0..=13 => self.write(session),
            14..=15 => self.savepoints(session),
            16..=18 => self.end(session),
            19..=21 => self.compare(session),
            22 => {
                let _ = self.world.run(|t| t.vacuum_step(None, 5)).unwrap();
            }
            _ => self.world.store.flush(&self.world.volume),
        }
    }

    fn finish(&mut self) {
        for session in 1..5 {
            self.compare(session);
            self.end(session);
        }
        let view = self
            .world
            .tables
            .view(SessionId(99), self.world.volume.vdl(), 1, false);
        let expected = self.committed(Lsn::MAX);
        self.compare_view(&view, &expected);
        self.world.check(&Arc::clone(&self.table));
    }

    /// Only what can be seen is left.
    fn clean(&mut self) {
        self.world.vacuum();
        let table = Arc::clone(&self.table);
        let mut full = self.world.run(|t| t.vacuum(&table, true)).unwrap();
        while !self.world.run(|_| full.step()).unwrap() {}
        self.world.vacuum();
        let rows = self.committed(Lsn::MAX).len() as u64;
        let cells = self.world.check(&table);
        assert_eq!((cells[0], cells[2], cells[3]), (rows, rows, rows));
        let view = self
            .world
            .tables
            .view(SessionId(99), self.world.volume.vdl(), 1, false);
        let expected = self.committed(Lsn::MAX);
        self.compare_view(&view, &expected);
    }
}

fn put(rows: &mut BTreeMap<RowId, Row>, changes: &Changes) {
    for (id, change) in changes {
        match change {
            Some(row) => rows.insert(*id, row.clone()),
            None => rows.remove(id),
        };
    }
}

#[test]
fn sessions_see_what_sql_promises() {
    let mut done = BTreeMap::new();
    for seed in 0..40 {
        let cache = if seed % 2 == 0 { 64 } else { 5000 };
        let mut model = Model::new(seed, cache);
        for _ in 0..400 {
            model.step();
        }
        model.finish();
        model.clean();
        for (what, count) in model.done {
            *done.entry(what).or_insert(0) += count;
        }
    }
    for what in ["wrote", "waited", "failed", "changed", "nothing", "many"] {
        assert!(done.get(what).is_some_and(|n| *n > 20), "{what}: {done:?}");
    }
}

#[test]
fn after_a_crash_exactly_the_committed_transactions_are_there() {
    for seed in 100..104 {
        let mut model = Model::new(seed, 5000);
        let start = model.world.volume.tail().0;
        for _ in 0..250 {
            model.step();
        }
        model.world.store.flush(&model.world.volume);
        let ends = model.world.store.ends();
        let table = Arc::clone(&model.table);
        for end in ends.into_iter().filter(|end| *end >= start) {
            let world = model.world.crashed(end, 5000);
            let expected = model.committed(Lsn(end));
            let mut after = Model {
                world,
                table: Arc::clone(&table),
                random: Random(end),
                commits: Vec::new(),
                open: BTreeMap::new(),
                done: BTreeMap::new(),
            };
            let view = after.world.tables.view(SessionId(99), Lsn(end), 1, false);
            after.compare_view(&view, &expected);
            if end % 7 == 0 {
                // And life goes on.
                after.commits.push((
                    Lsn(end),
                    expected
                        .iter()
                        .map(|(id, r)| (*id, Some(r.clone())))
                        .collect(),
                ));
                for _ in 0..20 {
                    after.step();
                }
                after.finish();
                after.clean();
            }
        }
    }
}
