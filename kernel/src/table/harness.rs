//! What tests of tables run in: a volume whose pages exist only as far as the redo stream makes them, sessions, and a
//! storage that can be asked for the state at any MTR's end.

use super::Tables;
use crate::base::{Lsn, Need, Oid, PageNo, Res, RowId, SessionId, Stop};
use crate::exec::access::{
    Access, Bounds, ColumnDef, Cursor, IndexDef, IndexKey, Inserted, TableDef, View, Wrote,
};
use crate::exec::batch::Batch;
use crate::page::{Page, PageRef};
use crate::redo::Decoder;
use crate::store::{Config, Pages, Volume};
use crate::txn::Txns;
use crate::types::Datum;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pages as a storage node would build them, and the whole log.
#[derive(Default)]
pub struct Store {
    pub log: Vec<u8>,
    pub pages: BTreeMap<PageNo, Page>,
    /// Every so many calls the cache is small and cold.
    pub misses: usize,
}

impl Pages for Store {
    fn page(&self, no: PageNo) -> Res<PageRef> {
        Ok(Arc::new(self.pages.get(&no).cloned().unwrap_or_default()))
    }

    fn absent(&self, _list: &[PageNo]) -> Vec<PageNo> {
        Vec::new()
    }
}

impl Store {
    pub fn flush(&mut self, volume: &Volume) {
        while let Some(flush) = volume.take_flush(1 << 20) {
            assert_eq!(flush.start.0, self.log.len() as u64);
            for entry in Decoder::new(flush.start, &flush.records) {
                let entry = entry.unwrap();
                let page = self.pages.entry(entry.page).or_default();
                entry.record.apply(page, entry.lsn).unwrap();
            }
            self.log.extend_from_slice(&flush.records);
        }
        volume.set_vdl(Lsn(self.log.len() as u64)).unwrap();
    }

    fn fetch(&mut self, volume: &Volume, no: PageNo) {
        self.misses += 1;
        self.flush(volume);
        if volume.fetch_begin(no).is_some() {
            let page = self.pages.get(&no).cloned().unwrap_or_default();
            let page = Page::from_bytes(&page.seal()).unwrap();
            volume.install(no, page).unwrap();
        }
    }

    /// Satisfy what the call needs of storage. Waits for other sessions are the caller's.
    pub fn run<T>(&mut self, volume: &Volume, mut call: impl FnMut() -> Res<T>) -> Res<T> {
        loop {
            match call() {
                Err(Stop::Need(Need::Page(no))) => self.fetch(volume, no),
                Err(Stop::Need(Need::Pages(list))) => {
                    for no in list {
                        self.fetch(volume, no);
                    }
                }
                Err(Stop::Need(Need::Durable(_))) => self.flush(volume),
                other => return other,
            }
        }
    }

    /// The ends of all MTRs.
    pub fn ends(&self) -> Vec<u64> {
        let entries = Decoder::new(Lsn(0), &self.log).map(|e| e.unwrap());
        entries.filter(|e| e.cpl).map(|e| e.lsn.0).collect()
    }

    /// What is left when everything above `end` is lost.
    pub fn cut(&self, end: u64) -> Store {
        let mut store = Store {
            log: self.log[..end as usize].to_vec(),
            ..Store::default()
        };
        for entry in Decoder::new(Lsn(0), &store.log) {
            let entry = entry.unwrap();
            let page = store.pages.entry(entry.page).or_default();
            entry.record.apply(page, entry.lsn).unwrap();
        }
        store
    }
}

/// A process that has the volume open.
pub struct World {
    pub store: Store,
    pub tables: Tables,
    pub volume: Arc<Volume>,
}

impl World {
    pub fn new(cache_pages: usize) -> World {
        let config = Config {
            cache_pages,
            ..Config::default()
        };
        World::over(Volume::create(config).unwrap(), Store::default())
    }

    fn over(volume: Volume, store: Store) -> World {
        let volume = Arc::new(volume);
        let tables = Tables::new(Arc::new(Txns::new(Arc::clone(&volume))));
        let mut world = World {
            store,
            tables,
            volume,
        };
        let txns = Arc::clone(world.tables.txns());
        world.run(|_| txns.prepare()).unwrap();
        world
    }

    /// Another process, after everything above `end` was lost.
    pub fn crashed(&self, end: u64, cache_pages: usize) -> World {
        let config = Config {
            cache_pages,
            ..Config::default()
        };
        World::over(
            Volume::open(config, Lsn(end), Lsn(end)),
            self.store.cut(end),
        )
    }

    pub fn run<T>(&mut self, mut call: impl FnMut(&Tables) -> Res<T>) -> Res<T> {
        let tables = self.tables.clone();
        self.store.run(&self.volume, || call(&tables))
    }

    pub fn txns(&self) -> Arc<Txns> {
        Arc::clone(self.tables.txns())
    }

    /// Columns `(k int, v text, n int)`, a unique index on k and a plain one on n.
    pub fn table(&mut self) -> Arc<TableDef> {
        let (root, overflow) = self.run(|t| t.create_table()).unwrap();
        let unique = self.run(|t| t.create_index()).unwrap();
        let plain = self.run(|t| t.create_index()).unwrap();
        let column = |name: &str, typ| ColumnDef {
            name: name.into(),
            typ: Oid(typ),
            typmod: -1,
            dropped: false,
            not_null: false,
            missing: Datum::Null,
        };
        let index = |oid, name: &str, root, column, unique| IndexDef {
            oid: Oid(oid),
            name: name.into(),
            root,
            unique,
            nulls_not_distinct: false,
            keys: vec![IndexKey {
                column,
                typ: Oid(23),
                desc: false,
                nulls_first: false,
            }],
        };
        Arc::new(TableDef {
            oid: Oid(16400),
            name: "t".into(),
            schema: "public".into(),
            root,
            overflow,
            columns: vec![column("k", 23), column("v", 25), column("n", 23)],
            indexes: vec![
                index(16401, "t_k_key", unique, 0, true),
                index(16402, "t_n_idx", plain, 2, false),
            ],
        })
    }

    pub fn begin(&mut self, session: u64, strict: bool) -> Tx {
        let snapshot = strict.then(|| self.tables.txns().take_snapshot());
        Tx {
            session: SessionId(session),
            snapshot,
            command: 1,
        }
    }

    /// The view of the next statement.
    pub fn view(&self, tx: &mut Tx) -> View {
        tx.command += 1;
        let snapshot = tx.snapshot.unwrap_or_else(|| self.volume.vdl());
        self.tables
            .view(tx.session, snapshot, tx.command, tx.snapshot.is_some())
    }

    pub fn insert(&mut self, tx: &mut Tx, table: &Arc<TableDef>, row: &[Datum]) -> Res<RowId> {
        let view = self.view(tx);
        match self.run(|t| t.insert(&view, table, row, &[]))? {
            Inserted::Row(id) => Ok(id),
            Inserted::Conflict { .. } => panic!("no arbiters were named"),
        }
    }

    pub fn update(
        &mut self,
        tx: &mut Tx,
        table: &Arc<TableDef>,
        id: RowId,
        row: &[Datum],
    ) -> Res<Wrote> {
        let view = self.view(tx);
        self.run(|t| t.update(&view, table, id, row, view.snapshot))
    }

    pub fn delete(&mut self, tx: &mut Tx, table: &Arc<TableDef>, id: RowId) -> Res<Wrote> {
        let view = self.view(tx);
        self.run(|t| t.delete(&view, table, id, view.snapshot))
    }

    pub fn commit(&mut self, tx: Tx) -> Lsn {
        let txns = self.txns();
        self.run(|_| txns.commit(tx.session, false)).unwrap();
        self.store.flush(&self.volume);
        txns.finish(tx.session);
        self.end(&tx);
        self.volume.vdl()
    }

    pub fn rollback(&mut self, tx: Tx) {
        self.txns().rollback(tx.session);
        self.end(&tx);
    }

    fn end(&mut self, tx: &Tx) {
        self.tables.forget_session(tx.session);
        if let Some(snapshot) = tx.snapshot {
            self.tables.txns().release_snapshot(snapshot);
        }
    }

    fn drain(&mut self, mut cursor: Box<dyn Cursor>, max: usize) -> Vec<(RowId, Vec<Datum>)> {
        let mut batch = Batch::default();
        loop {
            let more = self
                .store
                .run(&self.volume, || cursor.next(max, &mut batch))
                .unwrap();
            for vector in &batch.columns {
                assert_eq!(vector.len(), batch.len);
            }
            if !more {
                break;
            }
        }
        let split = |mut row: Vec<Datum>| match row.pop() {
            Some(Datum::Int(id)) => (RowId(id as u64), row),
            other => panic!("no row id but {other:?}"),
        };
        (0..batch.len).map(|i| split(batch.row(i))).collect()
    }

    /// All rows that a view sees, in row-id order.
    pub fn rows(&mut self, view: &View, table: &Arc<TableDef>) -> Vec<(RowId, Vec<Datum>)> {
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        let cursor = self.run(|t| t.scan(view, table, &columns, 0, 1)).unwrap();
        self.drain(cursor, 7)
    }

    /// The same by way of an index, in its order.
    pub fn by_index(
        &mut self,
        view: &View,
        table: &Arc<TableDef>,
        index: usize,
        bounds: Bounds,
        backward: bool,
    ) -> Vec<(RowId, Vec<Datum>)> {
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        let cursor = self
            .run(|t| t.index_scan(view, table, index, bounds.clone(), backward, &columns))
            .unwrap();
        self.drain(cursor, 5)
    }

    /// What a new statement of a session without a transaction sees.
    pub fn now(&mut self, table: &Arc<TableDef>) -> Vec<(RowId, Vec<Datum>)> {
        let view = self
            .tables
            .view(SessionId(999), self.volume.vdl(), 1, false);
        self.rows(&view, table)
    }

    /// Clean up until nothing is ready.
    pub fn vacuum(&mut self) {
        while self.run(|t| t.vacuum_step(None, 10)).unwrap() {}
    }

    /// Every tree of the table is whole. Returns the number of cells in: rows, overflow, indexes.
    pub fn check(&mut self, table: &Arc<TableDef>) -> Vec<u64> {
        let mut roots = vec![table.root, table.overflow];
        roots.extend(table.indexes.iter().map(|i| i.root));
        self.store.flush(&self.volume);
        let tree = |root| crate::btree::Tree { root };
        let cells = |root| crate::btree::check(&self.store, tree(root)).unwrap().cells;
        roots.into_iter().map(cells).collect()
    }
}

/// A session's transaction.
#[derive(Debug, Clone)]
pub struct Tx {
    pub session: SessionId,
    /// REPEATABLE READ's.
    pub snapshot: Option<Lsn>,
    pub command: u32,
}

pub fn row(k: impl Into<Option<i64>>, v: &str, n: i64) -> Vec<Datum> {
    vec![
        k.into().map_or(Datum::Null, Datum::Int),
        Datum::text(v),
        Datum::Int(n),
    ]
}

pub fn show(rows: &[(RowId, Vec<Datum>)]) -> String {
    let text = |d: &Datum| match d {
        Datum::Int(i) => i.to_string(),
        Datum::Text(t) => t.to_string(),
        other => format!("{other:?}"),
    };
    let line = |(_, row): &(RowId, Vec<Datum>)| row.iter().map(text).collect::<Vec<_>>().join(",");
    rows.iter().map(line).collect::<Vec<_>>().join(" ")
}

pub fn code<T: std::fmt::Debug>(result: Res<T>) -> String {
    match result {
        Err(Stop::Error(e)) => e.code_str().to_string(),
        Err(Stop::Need(need)) => format!("{need:?}"),
        Ok(value) => format!("{value:?}"),
    }
}
