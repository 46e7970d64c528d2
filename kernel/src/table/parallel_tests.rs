//! Writers in threads that really run beside each other: what is decided outside the writer's mutex shows here.

use super::harness::{row, World};
use super::Tables;
use crate::base::{Lsn, Need, SessionId, Stop};
use crate::exec::access::{Access, Inserted, TableDef};
use std::sync::Arc;
use std::thread;

const WRITERS: i64 = 8;
const ROWS: i64 = 5000;

/// Insert rows of its own; what the call waits for is redo that nobody sends here, so that there is no wait.
fn insert_all(tables: &Tables, table: &Arc<TableDef>, snapshot: Lsn, writer: i64) {
    let session = SessionId(writer as u64 + 1);
    for number in 0..ROWS {
        let view = tables.view(session, snapshot, number as u32 + 1, false);
        let values = row(writer * ROWS + number, "x", number);
        match tables.insert(&view, table, &values, &[]) {
            Ok(Inserted::Row(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rows_that_are_inserted_side_by_side_get_numbers_of_their_own() {
    let mut w = World::new(100_000);
    let table = w.table();
    // Every root is in the cache.
    let mut first = w.begin(100, false);
    w.insert(&mut first, &table, &row(-1, "first", 0)).unwrap();
    w.commit(first);
    let (tables, snapshot) = (w.tables.clone(), w.volume.vdl());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (tables, table) = (&tables, &table);
            scope.spawn(move || insert_all(tables, table, snapshot, writer));
        }
    });
    for writer in 0..WRITERS {
        let tx = w.begin(writer as u64 + 1, false);
        w.commit(tx);
    }
    assert_eq!(w.now(&table).len() as i64, 1 + WRITERS * ROWS);
    let cells = w.check(&table);
    assert_eq!(cells, [1, 0, 1, 1].map(|n| n * (1 + WRITERS * ROWS) as u64));
}

#[test]
fn of_equal_keys_that_are_inserted_side_by_side_one_is_taken() {
    let mut w = World::new(100_000);
    let table = w.table();
    let mut first = w.begin(100, false);
    w.insert(&mut first, &table, &row(-1, "first", 0)).unwrap();
    w.commit(first);
    let (tables, snapshot) = (w.tables.clone(), w.volume.vdl());
    let won: i64 = thread::scope(|scope| {
        let racers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (tables, table) = (&tables, &table);
                scope.spawn(move || {
                    let session = SessionId(writer as u64 + 1);
                    let mut won = 0;
                    for key in 0..ROWS {
                        let view = tables.view(session, snapshot, key as u32 + 1, false);
                        match tables.insert(&view, table, &row(key, "x", writer), &[]) {
                            Ok(Inserted::Row(_)) => won += 1,
                            // Its own from before can't be: each asks for a key once.
                            Err(Stop::Need(Need::Xid(_))) => {
                                tables.txns().locks.cancel_wait(session)
                            }
                            Err(Stop::Error(error)) if error.code == *b"40P01" => {}
                            other => panic!("{other:?}"),
                        }
                    }
                    won
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(won, ROWS);
    for writer in 0..WRITERS {
        let tx = w.begin(writer as u64 + 1, false);
        w.commit(tx);
    }
    assert_eq!(w.now(&table).len() as i64, 1 + ROWS);
    w.check(&table);
}
