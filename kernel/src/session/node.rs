//! A compute node as its sessions share it: volume, transactions, tables; `Backend` over them.

use super::backend::Backend;
use crate::base::error::unsupported;
use crate::base::{Lsn, Oid, PageNo, Res, RowId, SessionId, Xid};
use crate::exec::access::{Access, Bounds, Cursor, Inserted, TableDef, View, Wait, Wrote};
use crate::exec::plan::LockMode;
use crate::store::{Role, Volume};
use crate::txn::locks::Locks;
use crate::txn::Txns;
use crate::types::Datum;
use ahash::AHashMap;
use parking_lot::RwLock;
use std::sync::Arc;

pub struct Node {
    pub volume: Arc<Volume>,
    pub txns: Arc<Txns>,
    pub tables: Arc<dyn Access>,
    /// State pages of sequences, as Python has told them.
    sequences: RwLock<AHashMap<Oid, PageNo>>,
}

impl Node {
    /// A node over an opened volume.
    pub fn open(volume: Volume) -> Node {
        let volume = Arc::new(volume);
        let txns = Arc::new(Txns::new(volume.clone()));
        Node::new(volume, txns, Arc::new(Absent))
    }

    pub fn new(volume: Arc<Volume>, txns: Arc<Txns>, tables: Arc<dyn Access>) -> Node {
        Node {
            volume,
            txns,
            tables,
            sequences: RwLock::default(),
        }
    }

    pub fn set_sequence(&self, oid: Oid, page: Option<PageNo>) {
        let mut sequences = self.sequences.write();
        match page {
            Some(page) => sequences.insert(oid, page),
            None => sequences.remove(&oid),
        };
    }
}

impl Backend for Node {
    fn access(&self) -> Arc<dyn Access> {
        self.tables.clone()
    }

    fn locks(&self) -> &Locks {
        &self.txns.locks
    }

    fn take_snapshot(&self, _session: SessionId) -> Lsn {
        self.txns.take_snapshot()
    }

    fn peek_snapshot(&self) -> Lsn {
        self.volume.vdl()
    }

    fn release_snapshot(&self, _session: SessionId, snapshot: Lsn) {
        self.txns.release_snapshot(snapshot);
    }

    fn own(&self, session: SessionId) -> Arc<[Xid]> {
        self.txns.running.own(session)
    }

    fn assign_xid(&self, session: SessionId) -> Res<Xid> {
        self.txns.assign(session)
    }

    fn savepoint(&self, session: SessionId) -> usize {
        self.txns.savepoint(session)
    }

    fn release(&self, session: SessionId, level: usize) {
        self.txns.release(session, level);
    }

    fn rollback_to(&self, session: SessionId, level: usize) {
        self.txns.rollback_to(session, level);
    }

    fn commit(&self, session: SessionId, catalog: bool) -> Res<Option<Lsn>> {
        self.txns.commit(session, catalog)
    }

    fn finish(&self, session: SessionId) {
        self.txns.finish(session);
    }

    fn abort(&self, session: SessionId) {
        self.txns.rollback(session);
    }

    fn end_session(&self, session: SessionId) {
        self.txns.end_session(session);
    }

    fn durable(&self) -> Lsn {
        self.volume.vdl()
    }

    fn catalog_version(&self) -> u64 {
        self.txns.catalog_version()
    }

    fn read_only(&self) -> bool {
        self.volume.role() == Role::Reader
    }

    fn sequence(&self, oid: Oid) -> Option<PageNo> {
        self.sequences.read().get(&oid).copied()
    }
}

/// Until the tables' Access lands: every call is 0A000.
struct Absent;

impl Access for Absent {
    fn scan(
        &self,
        _: &View,
        _: &Arc<TableDef>,
        _: &[usize],
        _: usize,
        _: usize,
    ) -> Res<Box<dyn Cursor>> {
        unsupported("storage")
    }
    fn index_scan(
        &self,
        _: &View,
        _: &Arc<TableDef>,
        _: usize,
        _: Bounds,
        _: bool,
        _: &[usize],
    ) -> Res<Box<dyn Cursor>> {
        unsupported("storage")
    }
    fn fetch(&self, _: &View, _: &Arc<TableDef>, _: RowId, _: &[usize]) -> Res<Option<Vec<Datum>>> {
        unsupported("storage")
    }
    fn insert(&self, _: &View, _: &Arc<TableDef>, _: &[Datum], _: &[Oid]) -> Res<Inserted> {
        unsupported("storage")
    }
    fn update(&self, _: &View, _: &Arc<TableDef>, _: RowId, _: &[Datum], _: Lsn) -> Res<Wrote> {
        unsupported("storage")
    }
    fn delete(&self, _: &View, _: &Arc<TableDef>, _: RowId, _: Lsn) -> Res<Wrote> {
        unsupported("storage")
    }
    fn lock(
        &self,
        _: &View,
        _: &Arc<TableDef>,
        _: RowId,
        _: LockMode,
        _: Wait,
        _: Lsn,
    ) -> Res<Wrote> {
        unsupported("storage")
    }
    fn size(&self, _: &Arc<TableDef>) -> Res<(u64, u64)> {
        unsupported("storage")
    }
    fn nextval(&self, _: &View, _: PageNo) -> Res<i64> {
        unsupported("storage")
    }
    fn setval(&self, _: &View, _: PageNo, _: i64, _: bool) -> Res<()> {
        unsupported("storage")
    }
    fn seqval(&self, _: &View, _: PageNo) -> Res<(i64, bool)> {
        unsupported("storage")
    }
}
