//! Indexes that are built from their tables' rows, in memory and by way of sorted runs in files.

use super::harness::{row, World};
use crate::base::{Need, SessionId, SqlError, Stop};
use crate::exec::access::{Bounds, TableDef};
use crate::exec::tests::TestSpill;
use std::sync::Arc;

const PLENTY: usize = 64 << 20;
/// Each step's rows are a run, and so many runs are merged in two passes.
const RUNS: usize = 1;
const ROWS: i64 = 9500;

fn clone(t: &TableDef) -> TableDef {
    TableDef {
        oid: t.oid,
        name: t.name.clone(),
        schema: t.schema.clone(),
        root: t.root,
        overflow: t.overflow,
        columns: t.columns.clone(),
        indexes: t.indexes.clone(),
    }
}

/// Anew what `place` of the table's indexes is, with so many bytes.
fn build(
    w: &mut World,
    def: &mut TableDef,
    place: usize,
    memory: usize,
    spill: &Arc<TestSpill>,
) -> Result<u64, Box<SqlError>> {
    def.indexes[place].root = w.run(|s| s.create_index()).unwrap();
    let def = Arc::new(clone(def));
    let view = w.tables.view(SessionId(5), w.volume.vdl(), 1, false);
    let mut build = w
        .run(|s| s.build_index(&view, &def, place, memory, spill.clone()))
        .unwrap();
    loop {
        match w.run(|_| build.step()) {
            Ok(true) => return Ok(build.rows),
            Ok(false) | Err(Stop::Need(Need::Spill)) => {}
            Err(Stop::Error(error)) => return Err(error),
            Err(need) => panic!("{need:?}"),
        }
    }
}

fn filled(w: &mut World) -> TableDef {
    let t = w.table();
    let mut a = w.begin(1, false);
    for i in 0..ROWS {
        let k = i * 31 % ROWS;
        w.insert(&mut a, &t, &row(k, "x", i % 400)).unwrap();
    }
    w.commit(a);
    clone(&t)
}

#[test]
fn an_index_is_built_from_what_is_there() {
    let mut w = World::new(200);
    let mut def = filled(&mut w);
    for (memory, seed) in [(PLENTY, 0), (100 << 10, 0), (RUNS, 0), (RUNS, 1), (RUNS, 2)] {
        let spill = Arc::new(TestSpill::new(usize::MAX).fresh(seed));
        for place in 0..2 {
            let rows = build(&mut w, &mut def, place, memory, &spill).unwrap();
            assert_eq!(rows, ROWS as u64);
        }
        assert_eq!(spill.written() > 0, memory < PLENTY, "{memory}");
        assert_eq!(spill.files(), 0);
        let (t, rows) = (Arc::new(clone(&def)), ROWS as u64);
        assert_eq!(w.check(&t), vec![rows, 0, rows, rows]);
        let view = w.tables.view(SessionId(5), w.volume.vdl(), 1, false);
        let found = w.by_index(&view, &t, 0, Bounds::default(), false);
        let keys = found.iter().map(|(_, row)| row[0].int().unwrap());
        assert!(keys.eq(0..ROWS));
    }
}

#[test]
fn duplicates_are_found_wherever_they_were_sorted() {
    let mut w = World::new(200);
    let mut def = filled(&mut w);
    def.indexes[1].unique = true;
    for memory in [PLENTY, RUNS] {
        let spill = Arc::new(TestSpill::new(usize::MAX));
        let error = build(&mut w, &mut def, 1, memory, &spill).unwrap_err();
        assert_eq!(error.message, "could not create unique index \"t_n_idx\"");
        assert_eq!(error.detail.as_deref(), Some("Key (n)=(0) is duplicated."));
        assert_eq!(spill.files(), 0);
    }
}

#[test]
fn a_full_disk_ends_the_build() {
    let mut w = World::new(200);
    let mut def = filled(&mut w);
    let spill = Arc::new(TestSpill::new(50_000));
    let error = build(&mut w, &mut def, 0, RUNS, &spill).unwrap_err();
    assert_eq!(error.code_str(), "53100");
    assert_eq!(spill.files(), 0);
}

#[test]
fn rows_that_were_deleted_and_inserted_again_are_no_duplicates() {
    let mut w = World::new(200);
    let mut def = filled(&mut w);
    let t = Arc::new(clone(&def));
    let rows = w.now(&t);
    let mut a = w.begin(1, false);
    // The old versions stay in the index, since somebody may still see them.
    let mut old = w.begin(2, true);
    w.view(&mut old);
    for (id, row) in rows.iter().take(3000) {
        let view = w.view(&mut a);
        w.run(|s| crate::exec::access::Access::delete(s, &view, &t, *id, view.snapshot))
            .unwrap();
        w.insert(&mut a, &t, row).unwrap();
    }
    w.commit(a);
    for memory in [PLENTY, RUNS] {
        let spill = Arc::new(TestSpill::new(usize::MAX));
        build(&mut w, &mut def, 0, memory, &spill).unwrap();
        let t = Arc::new(clone(&def));
        let entries = w.check(&t)[2];
        assert_eq!(entries, ROWS as u64 + 3000);
    }
}
