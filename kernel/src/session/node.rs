//! A compute node as its sessions share it: volume, transactions, tables; `Backend` over them.

use super::backend::Backend;
use crate::base::{Lsn, Oid, PageNo, Res, SessionId, Xid};
use crate::exec::access::Access;
use crate::store::{Role, Volume};
use crate::table::Tables;
use crate::txn::locks::Locks;
use crate::txn::Txns;
use ahash::AHashMap;
use parking_lot::RwLock;
use std::sync::Arc;

pub struct Node {
    pub volume: Arc<Volume>,
    pub txns: Arc<Txns>,
    pub tables: Tables,
    access: Arc<dyn Access>,
    /// State pages of sequences, as Python has told them.
    sequences: RwLock<AHashMap<Oid, PageNo>>,
    /// Relations whose rows are in new trees, and an LSN from which on they are: an older snapshot finds nothing there.
    moved: RwLock<AHashMap<Oid, Lsn>>,
}

impl Node {
    /// A node over an opened volume.
    pub fn open(volume: Volume) -> Node {
        let volume = Arc::new(volume);
        let txns = Arc::new(Txns::new(volume.clone()));
        let tables = Tables::new(txns.clone());
        let access = Arc::new(tables.clone());
        Node {
            volume,
            txns,
            tables,
            access,
            sequences: RwLock::default(),
            moved: RwLock::default(),
        }
    }

    /// The catalogue names new trees for these relations. To be called before anything is planned with it.
    pub fn note_moved(&self, relations: &[Oid]) {
        let (now, used) = (self.volume.vdl(), self.txns.local_horizon());
        let mut moved = self.moved.write();
        moved.retain(|_, lsn| *lsn > used);
        moved.extend(relations.iter().map(|oid| (*oid, now)));
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
        self.access.clone()
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

    fn top(&self, session: SessionId) -> Option<Xid> {
        self.txns.running.top(session)
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
        self.tables.forget_session(session);
    }

    fn commit(&self, session: SessionId, catalog: bool) -> Res<Option<Lsn>> {
        self.txns.commit(session, catalog)
    }

    fn finish(&self, session: SessionId) {
        self.txns.finish(session);
        self.tables.forget_session(session);
    }

    fn abandon(&self, session: SessionId, end: Lsn) {
        self.txns.abandon(session, end);
        self.tables.forget_session(session);
    }

    fn abort(&self, session: SessionId) {
        self.txns.rollback(session);
        self.tables.forget_session(session);
    }

    fn end_session(&self, session: SessionId) {
        self.txns.end_session(session);
        self.tables.forget_session(session);
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

    fn has_moved(&self, relation: Oid, since: Lsn) -> bool {
        let moved = self.moved.read();
        moved.get(&relation).is_some_and(|lsn| *lsn > since)
    }

    fn sequence(&self, oid: Oid) -> Option<PageNo> {
        self.sequences.read().get(&oid).copied()
    }
}
