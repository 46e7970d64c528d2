//! What a session asks of the compute node that it lives on: transactions, locks, snapshots. `node.rs` answers it over a volume;
//! the tests of sessions and wires answer it from memory.

use crate::base::{Lsn, Oid, PageNo, Res, SessionId, Xid};
use crate::exec::access::Access;
use crate::txn::locks::Locks;
use std::sync::Arc;

pub trait Backend: Send + Sync {
    fn access(&self) -> Arc<dyn Access>;
    fn locks(&self) -> &Locks;

    /// The newest snapshot; held (nothing that it sees is pruned) until `release_snapshot`.
    fn take_snapshot(&self, session: SessionId) -> Lsn;
    /// The newest snapshot, not held.
    fn peek_snapshot(&self) -> Lsn;
    fn release_snapshot(&self, session: SessionId, snapshot: Lsn);

    /// The transaction's own xid; none before its first write.
    fn top(&self, session: SessionId) -> Option<Xid>;
    /// The xid that a write carries now, assigned if there is none.
    fn assign_xid(&self, session: SessionId) -> Res<Xid>;
    /// Begin a savepoint: its level, 1 for the first.
    fn savepoint(&self, session: SessionId) -> usize;
    /// Levels from `level` on become part of the one below.
    fn release(&self, session: SessionId, level: usize);
    /// What levels from `level` on wrote never happened, their locks are given back; the level begins anew.
    fn rollback_to(&self, session: SessionId, level: usize);
    /// Write the commit record: what must be durable before `finish`, or `None` when nothing was written. `catalog`: the catalogue's
    /// version rises with it.
    fn commit(&self, session: SessionId, catalog: bool) -> Res<Option<Lsn>>;
    /// The commit is durable (or there was nothing to commit): the transaction has ended, its locks are given back.
    fn finish(&self, session: SessionId);
    /// In the place of `finish`, while `end` is not durable: nobody waits for it any more. The session is free for another transaction.
    fn abandon(&self, session: SessionId, end: Lsn);
    /// The transaction never happened; its locks are given back.
    fn abort(&self, session: SessionId);
    /// The client is gone: as `abort`, and session-level locks go too.
    fn end_session(&self, session: SessionId);
    /// Everything up to here is durable.
    fn durable(&self) -> Lsn;

    fn catalog_version(&self) -> u64;
    /// A reader: 25006 for anything that writes.
    fn read_only(&self) -> bool;
    /// Are a relation's rows in trees that a snapshot of `since` may find empty?
    fn has_moved(&self, relation: Oid, since: Lsn) -> bool;
    /// The state page of a sequence, by the OID that SQL names it with.
    fn sequence(&self, oid: Oid) -> Option<PageNo>;
}
