//! How long rows take, from values to pages and back, on one thread:
//! `cargo test --release --test table_speed -- --ignored --nocapture`.

use _kernel::base::{Lsn, Oid, Res, RowId, SessionId};
use _kernel::exec::access::{Access, Bounds, ColumnDef, IndexDef, IndexKey, TableDef, View};
use _kernel::exec::batch::Batch;
use _kernel::store::{Config, Volume};
use _kernel::table::Tables;
use _kernel::txn::Txns;
use _kernel::types::Datum;
use std::sync::Arc;
use std::time::Instant;

const ROWS: u64 = 1_000_000;
const S: SessionId = SessionId(1);

struct Bench {
    volume: Arc<Volume>,
    tables: Tables,
    table: Arc<TableDef>,
}

fn sure<T>(result: Res<T>) -> T {
    result.expect("everything is in the cache")
}

fn setup() -> Bench {
    let config = Config {
        cache_pages: 200_000,
        ahead_bytes: u64::MAX / 2,
        ..Config::default()
    };
    let volume = Arc::new(sure(Volume::create(config)));
    let tables = Tables::new(Arc::new(Txns::new(Arc::clone(&volume))));
    sure(tables.txns().prepare());
    let (root, overflow) = sure(tables.create_table());
    let column = |n: usize| ColumnDef {
        name: format!("c{n}"),
        typ: Oid(if n == 9 { 25 } else { 23 }),
        typmod: -1,
        dropped: false,
        not_null: false,
        missing: Datum::Null,
    };
    let table = Arc::new(TableDef {
        oid: Oid(16384),
        name: "t".into(),
        schema: "public".into(),
        root,
        overflow,
        columns: (0..10).map(column).collect(),
        indexes: vec![IndexDef {
            oid: Oid(16385),
            name: "t_pkey".into(),
            root: sure(tables.create_index()),
            unique: true,
            nulls_not_distinct: false,
            keys: vec![IndexKey {
                column: 0,
                typ: Oid(23),
                desc: false,
                nulls_first: false,
            }],
        }],
    });
    Bench {
        volume,
        tables,
        table,
    }
}

fn row(n: u64, change: i64) -> Vec<Datum> {
    let mut row: Vec<Datum> = (0..9).map(|c| Datum::Int(n as i64 + c)).collect();
    row[5] = Datum::Int(change);
    row.push(Datum::text("some text of twenty"));
    row
}

impl Bench {
    fn flush(&self) {
        while self.volume.take_flush(1 << 24).is_some() {}
        sure(self.volume.set_vdl(self.volume.tail()));
    }

    fn view(&self, command: u32) -> View {
        self.tables.view(S, self.volume.vdl(), command, false)
    }

    fn commit(&self) {
        sure(self.tables.txns().commit(S, false));
        self.flush();
        self.tables.txns().finish(S);
        self.tables.txns().horizon();
    }

    fn scan(&self, columns: &[usize]) -> usize {
        let mut cursor = sure(self.tables.scan(&self.view(1), &self.table, columns, 0, 1));
        let mut rows = 0;
        let mut batch = Batch::default();
        loop {
            batch.clear();
            let more = sure(cursor.next(1024, &mut batch));
            rows += batch.len;
            if !more {
                return rows;
            }
        }
    }
}

fn timed(what: &str, count: u64, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let each = start.elapsed().as_nanos() as f64 / count as f64;
    println!("{what:<52} {each:9.1} ns  {:>12.0}/s", 1e9 / each);
}

#[test]
#[ignore = "a measurement, for a quiet machine"]
fn table_speed() {
    let b = setup();
    timed("insert, a primary key", ROWS, || {
        let view = b.view(1);
        for n in 0..ROWS {
            sure(b.tables.insert(&view, &b.table, &row(n, 0), &[]));
            if n % 1000 == 0 {
                b.flush();
            }
        }
        b.commit();
    });
    for (what, columns) in [
        ("3 ints", &[0, 4, 7][..]),
        ("all 10", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("none", &[]),
    ] {
        timed(&format!("scan, {what} of 10 columns"), ROWS, || {
            assert_eq!(b.scan(columns), ROWS as usize)
        });
    }
    let some = ROWS / 5;
    timed(
        "update by row id, no index key changed, one xid each",
        some,
        || {
            for n in 0..some {
                let id = RowId(1 + n * 7919 % ROWS);
                let view = b.view(1);
                sure(
                    b.tables
                        .update(&view, &b.table, id, &row(id.0 - 1, n as i64), view.snapshot),
                );
                sure(b.tables.txns().commit(S, false));
                b.tables.txns().finish(S);
                if n % 1000 == 0 {
                    b.flush();
                }
            }
            b.flush();
        },
    );
    timed("scan, 3 ints, after the updates", ROWS, || {
        assert_eq!(b.scan(&[0, 4, 7]), ROWS as usize)
    });
    timed("point lookup by primary key", some, || {
        let view = b.view(1);
        for n in 0..some {
            let key = vec![Datum::Int((n * 7919 % ROWS) as i64)];
            let bounds = Bounds {
                low: Some((key.clone(), true)),
                high: Some((key, true)),
            };
            let mut cursor =
                sure(
                    b.tables
                        .index_scan(&view, &b.table, 0, bounds, false, &[0, 5, 9]),
                );
            let mut batch = Batch::default();
            sure(cursor.next(10, &mut batch));
            assert_eq!(batch.len, 1);
        }
    });
    timed("delete, and vacuum", some, || {
        let view = b.view(1);
        for n in 0..some {
            sure(b.tables.delete(&view, &b.table, RowId(1 + n), Lsn::MAX));
        }
        b.commit();
        while sure(b.tables.vacuum_step(None, 1000)) {
            b.flush();
        }
    });
    assert_eq!(b.scan(&[0]), (ROWS - some) as usize);
}
