//! Tables and temporary files in memory, with waiting injected by seed.

use crate::base::error::fail;
use crate::base::Spill;
use crate::base::{Lsn, Need, Oid, PageNo, Res, RowId};
use crate::exec::access::*;
use crate::exec::batch::Batch;
use crate::exec::plan::LockMode;
use crate::func::Rng;
use crate::types::{registry, Datum};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Waits in about half of all calls, never twice in a row at length.
struct Waits(Mutex<Option<Rng>>);

impl Waits {
    fn new(seed: u64) -> Waits {
        Waits(Mutex::new((seed > 0).then(|| Rng::new(seed))))
    }

    fn maybe(&self, need: Need) -> Res<()> {
        let mut rng = self.0.lock().unwrap();
        match rng.as_mut().map(Rng::next) {
            Some(n) if n % 2 == 0 => Err(need.into()),
            _ => Ok(()),
        }
    }
}

#[derive(Clone)]
struct Row {
    values: Vec<Datum>,
    /// Command ids that made and ended this version.
    born: u32,
    died: Option<u32>,
}

/// What another transaction has committed since the snapshot: a newer version, or a deletion.
pub type Since = Option<Vec<Datum>>;

#[derive(Default)]
pub struct Memory {
    pub rows: Vec<Vec<Datum>>,
    /// By index into `rows`.
    pub since: BTreeMap<u64, Since>,
    pub spill: Option<TestSpill>,
    /// The table says that it is big.
    pub big: bool,
    tables: Mutex<BTreeMap<u32, BTreeMap<u64, Vec<Row>>>>,
    waits: Option<Waits>,
    sequence: Mutex<i64>,
}

/// The table that tests start with.
const T: u32 = 1000;
/// The commit of `since`.
const LATER: Lsn = Lsn(500);

impl Memory {
    pub fn with(rows: &[(i64, Option<i64>, &str)]) -> Memory {
        let rows = rows
            .iter()
            .map(|(id, grp, name)| {
                vec![
                    Datum::Int(*id),
                    grp.map_or(Datum::Null, Datum::Int),
                    Datum::text(*name),
                ]
            })
            .collect();
        Memory {
            rows,
            ..Memory::default()
        }
    }

    /// The same tables for another run.
    pub fn fresh(&self, seed: u64) -> Memory {
        let versions = self.rows.iter().map(|v| {
            vec![Row {
                values: v.clone(),
                born: 0,
                died: None,
            }]
        });
        let table = versions.enumerate().map(|(i, v)| (i as u64, v)).collect();
        Memory {
            rows: self.rows.clone(),
            since: self.since.clone(),
            spill: None,
            big: self.big,
            tables: Mutex::new(BTreeMap::from([(T, table)])),
            waits: Some(Waits::new(seed)),
            sequence: Mutex::new(0),
        }
    }

    fn wait(&self) -> Res<()> {
        self.waits
            .as_ref()
            .map_or(Ok(()), |w| w.maybe(Need::Page(PageNo(7))))
    }

    /// All live rows, at the end.
    pub fn show(&self) -> String {
        let tables = self.tables.lock().unwrap();
        let mut out = Vec::new();
        for (table, rows) in tables.iter() {
            for versions in rows.values() {
                let Some(row) = versions.last().filter(|r| r.died.is_none()) else {
                    continue;
                };
                let values: Vec<String> = row.values.iter().map(super::show).collect();
                out.push(if *table == T {
                    values.join(" ")
                } else {
                    format!("{table}: {}", values.join(" "))
                });
            }
        }
        out.join("\n")
    }

    fn visible(view: &View, versions: &[Row]) -> Option<Vec<Datum>> {
        versions
            .iter()
            .rev()
            .find(|r| r.born < view.command)
            .filter(|r| r.died.is_none_or(|d| d >= view.command))
            .map(|r| r.values.clone())
    }

    fn live(&self, view: &View, table: &TableDef) -> Vec<(u64, Vec<Datum>)> {
        let tables = self.tables.lock().unwrap();
        let rows = tables.get(&table.oid.0).into_iter().flatten();
        rows.filter_map(|(id, v)| Self::visible(view, v).map(|row| (*id, row)))
            .collect()
    }

    /// How a change of this row must end, if not well.
    fn stands(&self, view: &View, table: &TableDef, id: RowId, accept: Lsn) -> Option<Wrote> {
        if let (Some(since), true) = (self.since.get(&id.0), table.oid.0 == T && accept < LATER) {
            return Some(match since {
                None => Wrote::Gone,
                Some(row) => Wrote::Changed {
                    row: row.clone(),
                    csn: LATER,
                },
            });
        }
        let tables = self.tables.lock().unwrap();
        let last = tables
            .get(&table.oid.0)
            .and_then(|t| t.get(&id.0))
            .and_then(|v| v.last().cloned());
        match last {
            None => Some(Wrote::Gone),
            Some(r) if r.born >= view.command || r.died.is_some_and(|d| d >= view.command) => {
                Some(Wrote::Own)
            }
            Some(r) if r.died.is_some() => Some(Wrote::Gone),
            Some(_) => None,
        }
    }

    fn clash(
        &self,
        table: &TableDef,
        row: &[Datum],
        but: Option<u64>,
    ) -> Option<(Oid, String, u64)> {
        let tables = self.tables.lock().unwrap();
        for index in table.indexes.iter().filter(|i| i.unique) {
            for (id, versions) in tables.get(&table.oid.0).into_iter().flatten() {
                let Some(live) = versions
                    .last()
                    .filter(|r| r.died.is_none() && Some(*id) != but)
                else {
                    continue;
                };
                let same = index.keys.iter().all(|k| {
                    let (a, b) = (&live.values[k.column], &row[k.column]);
                    !a.is_null() && !b.is_null() && registry::get(k.typ).unwrap().equal(a, b)
                });
                if same {
                    return Some((index.oid, index.name.clone(), *id));
                }
            }
        }
        None
    }
}

struct Rows {
    memory: Arc<Mutex<Option<Rng>>>,
    rows: std::vec::IntoIter<(u64, Vec<Datum>)>,
    columns: Vec<usize>,
}

impl Cursor for Rows {
    fn next(&mut self, max: usize, out: &mut Batch) -> Res<bool> {
        let mut given = 0;
        while given < max.min(5) {
            // A cursor may have to wait after it has given some rows.
            if let Some(rng) = self.memory.lock().unwrap().as_mut() {
                if rng.next() % 3 == 0 {
                    return Err(Need::Page(PageNo(9)).into());
                }
            }
            let Some((id, row)) = self.rows.next() else {
                return Ok(false);
            };
            let mut values: Vec<Datum> = self.columns.iter().map(|&c| row[c].clone()).collect();
            values.push(Datum::Int(id as i64));
            out.push_values(values);
            given += 1;
        }
        Ok(true)
    }
}

impl Memory {
    fn cursor(&self, rows: Vec<(u64, Vec<Datum>)>, columns: &[usize]) -> Res<Box<dyn Cursor>> {
        self.wait()?;
        let rng = self
            .waits
            .as_ref()
            .and_then(|w| w.0.lock().unwrap().as_mut().map(|r| Rng::new(r.next())));
        let memory = Arc::new(Mutex::new(rng));
        Ok(Box::new(Rows {
            memory,
            rows: rows.into_iter(),
            columns: columns.to_vec(),
        }))
    }
}

/// Key columns of a row against a bound's values.
fn against(table: &TableDef, index: usize, row: &[Datum], bound: &[Datum]) -> Ordering {
    for (key, value) in table.indexes[index].keys.iter().zip(bound) {
        let order = registry::get(key.typ)
            .unwrap()
            .compare(&row[key.column], value);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

impl Access for Memory {
    fn scan(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        columns: &[usize],
        part: usize,
        parts: usize,
    ) -> Res<Box<dyn Cursor>> {
        let rows = self.live(view, table);
        // Parts are ranges, as a tree's are.
        let all = rows.len();
        let share = rows
            .into_iter()
            .enumerate()
            .filter(|(i, _)| i * parts / all == part)
            .map(|(_, r)| r)
            .collect();
        self.cursor(share, columns)
    }

    fn index_scan(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        index: usize,
        bounds: Bounds,
        backward: bool,
        columns: &[usize],
    ) -> Res<Box<dyn Cursor>> {
        let mut rows = self.live(view, table);
        rows.retain(|(_, row)| {
            let low =
                bounds
                    .low
                    .as_ref()
                    .is_none_or(|(b, inside)| match against(table, index, row, b) {
                        Ordering::Equal => *inside,
                        order => order == Ordering::Greater,
                    });
            low && bounds.high.as_ref().is_none_or(|(b, inside)| {
                match against(table, index, row, b) {
                    Ordering::Equal => *inside,
                    order => order == Ordering::Less,
                }
            })
        });
        let key = |row: &[Datum]| {
            table.indexes[index]
                .keys
                .iter()
                .map(|k| row[k.column].clone())
                .collect::<Vec<_>>()
        };
        rows.sort_by(|a, b| against(table, index, &a.1, &key(&b.1)));
        if backward {
            rows.reverse();
        }
        self.cursor(rows, columns)
    }

    fn fetch(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        row: RowId,
        columns: &[usize],
    ) -> Res<Option<Vec<Datum>>> {
        self.wait()?;
        let found = self
            .live(view, table)
            .into_iter()
            .find(|(id, _)| *id == row.0);
        Ok(found.map(|(_, values)| columns.iter().map(|&c| values[c].clone()).collect()))
    }

    fn insert(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        row: &[Datum],
        arbiters: &[Oid],
    ) -> Res<Inserted> {
        self.wait()?;
        if let Some((index, name, id)) = self.clash(table, row, None) {
            if arbiters.contains(&index) {
                return Ok(Inserted::Conflict {
                    index,
                    row: RowId(id),
                });
            }
            return fail(
                "23505",
                format!("duplicate key value violates unique constraint \"{name}\""),
            );
        }
        let mut tables = self.tables.lock().unwrap();
        let rows = tables.entry(table.oid.0).or_default();
        let id = rows.keys().last().map_or(0, |k| k + 1);
        rows.insert(
            id,
            vec![Row {
                values: row.to_vec(),
                born: view.command,
                died: None,
            }],
        );
        Ok(Inserted::Row(RowId(id)))
    }

    fn update(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        row: &[Datum],
        accept: Lsn,
    ) -> Res<Wrote> {
        self.wait()?;
        if let Some(wrote) = self.stands(view, table, id, accept) {
            return Ok(wrote);
        }
        if let Some((_, name, _)) = self.clash(table, row, Some(id.0)) {
            return fail(
                "23505",
                format!("duplicate key value violates unique constraint \"{name}\""),
            );
        }
        let mut tables = self.tables.lock().unwrap();
        let versions = tables
            .entry(table.oid.0)
            .or_default()
            .entry(id.0)
            .or_default();
        if let Some(last) = versions.last_mut() {
            last.died = Some(view.command);
        }
        versions.push(Row {
            values: row.to_vec(),
            born: view.command,
            died: None,
        });
        Ok(Wrote::Done)
    }

    fn delete(&self, view: &View, table: &Arc<TableDef>, id: RowId, accept: Lsn) -> Res<Wrote> {
        self.wait()?;
        if let Some(wrote) = self.stands(view, table, id, accept) {
            return Ok(wrote);
        }
        let mut tables = self.tables.lock().unwrap();
        if let Some(last) = tables
            .entry(table.oid.0)
            .or_default()
            .get_mut(&id.0)
            .and_then(|v| v.last_mut())
        {
            last.died = Some(view.command);
        }
        Ok(Wrote::Done)
    }

    fn lock(
        &self,
        view: &View,
        table: &Arc<TableDef>,
        id: RowId,
        _: LockMode,
        _: Wait,
        accept: Lsn,
    ) -> Res<Wrote> {
        self.waits
            .as_ref()
            .map_or(Ok(()), |w| w.maybe(Need::Lock))?;
        Ok(self.stands(view, table, id, accept).unwrap_or(Wrote::Done))
    }

    fn size(&self, table: &Arc<TableDef>) -> Res<(u64, u64)> {
        let rows = self
            .tables
            .lock()
            .unwrap()
            .get(&table.oid.0)
            .map_or(0, BTreeMap::len) as u64;
        match self.big {
            true => Ok((10_000, 1_000_000)),
            false => Ok((rows / 100 + 1, rows)),
        }
    }

    fn nextval(&self, _: &View, _: PageNo) -> Res<i64> {
        self.wait()?;
        let mut sequence = self.sequence.lock().unwrap();
        *sequence += 1;
        Ok(*sequence)
    }

    fn setval(&self, _: &View, _: PageNo, value: i64, _: bool) -> Res<()> {
        *self.sequence.lock().unwrap() = value;
        Ok(())
    }

    fn seqval(&self, _: &View, _: PageNo) -> Res<(i64, bool)> {
        Ok((*self.sequence.lock().unwrap(), true))
    }
}

/// A session with one sequence, which waits.
pub struct Tickets {
    waits: Waits,
    next: Mutex<i64>,
}

impl Tickets {
    pub fn new(seed: u64) -> Tickets {
        Tickets {
            waits: Waits::new(seed),
            next: Mutex::new(0),
        }
    }
}

impl crate::func::Host for Tickets {
    fn nextval(&self, _: Oid) -> Res<i64> {
        self.waits.maybe(Need::Page(PageNo(11)))?;
        let mut next = self.next.lock().unwrap();
        *next += 1;
        Ok(*next)
    }
}

/// Files in memory; the disk is full after `room` bytes.
pub struct TestSpill {
    pub room: usize,
    files: Mutex<BTreeMap<u64, Vec<u8>>>,
    used: Mutex<usize>,
    waits: Waits,
}

impl TestSpill {
    pub fn new(room: usize) -> TestSpill {
        TestSpill {
            room,
            files: Mutex::default(),
            used: Mutex::new(0),
            waits: Waits::new(0),
        }
    }

    pub fn fresh(&self, seed: u64) -> TestSpill {
        TestSpill {
            waits: Waits::new(seed),
            ..TestSpill::new(self.room)
        }
    }

    pub fn files(&self) -> usize {
        self.files.lock().unwrap().len()
    }

    pub fn written(&self) -> usize {
        *self.used.lock().unwrap()
    }
}

impl Spill for TestSpill {
    fn create(&self) -> Res<u64> {
        self.waits.maybe(Need::Spill)?;
        let mut files = self.files.lock().unwrap();
        let id = files.keys().last().map_or(0, |k| k + 1);
        files.insert(id, Vec::new());
        Ok(id)
    }

    fn write(&self, file: u64, bytes: &[u8]) -> Res<()> {
        self.waits.maybe(Need::Spill)?;
        let mut used = self.used.lock().unwrap();
        if *used + bytes.len() > self.room {
            return fail(
                "53100",
                "could not write to a temporary file: No space left on device",
            );
        }
        *used += bytes.len();
        self.files
            .lock()
            .unwrap()
            .entry(file)
            .or_default()
            .extend_from_slice(bytes);
        Ok(())
    }

    fn read(&self, file: u64, offset: u64, len: usize) -> Res<Vec<u8>> {
        self.waits.maybe(Need::Spill)?;
        let files = self.files.lock().unwrap();
        let from = offset as usize;
        match files.get(&file).and_then(|f| f.get(from..from + len)) {
            Some(bytes) => Ok(bytes.to_vec()),
            None => fail("58030", "read beyond the end of a temporary file"),
        }
    }

    fn remove(&self, file: u64) {
        self.files.lock().unwrap().remove(&file);
    }
}
