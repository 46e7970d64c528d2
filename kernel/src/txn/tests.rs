//! Transactions over a volume whose pages storage builds from the log alone.

use super::csn::PER_PAGE;
use super::{Status, Txns};
use crate::base::{Lsn, PageNo, SessionId, Xid};
use crate::store::tests::Storage;
use crate::store::{Config, Volume};
use std::sync::Arc;

const A: SessionId = SessionId(1);
const B: SessionId = SessionId(2);

fn fresh() -> (Storage, Txns) {
    let txns = Txns::new(Arc::new(Volume::create(Config::default()).unwrap()));
    let mut storage = Storage::default();
    storage.run(txns.volume(), || txns.prepare()).unwrap();
    (storage, txns)
}

/// What another process finds that opens the volume at what is durable.
fn reopened(storage: &mut Storage) -> Txns {
    let end = Lsn(storage.end);
    let txns = Txns::new(Arc::new(Volume::open(Config::default(), end, end)));
    storage.run(txns.volume(), || txns.prepare()).unwrap();
    txns
}

#[test]
fn a_commit_counts_when_it_is_durable_and_survives() {
    let (mut storage, txns) = fresh();
    let xid = storage.run(txns.volume(), || txns.assign(A)).unwrap();
    let other = storage.run(txns.volume(), || txns.assign(B)).unwrap();
    assert_eq!(txns.assign(A).unwrap(), xid);
    assert!(matches!(
        txns.status(xid).unwrap(),
        Status::Running { csn: None, .. }
    ));
    let before = txns.take_snapshot();
    let lsn = storage
        .run(txns.volume(), || txns.commit(A, true))
        .unwrap()
        .unwrap();
    let Status::Running { csn: Some(csn), .. } = txns.status(xid).unwrap() else {
        panic!("not committing")
    };
    assert!(before < csn && csn <= lsn && txns.volume().vdl() < lsn);
    assert_eq!(txns.catalog_version(), 0);
    storage.flush(txns.volume());
    txns.finish(A);
    assert_eq!(txns.catalog_version(), 1);
    assert_eq!(txns.status(xid).unwrap(), Status::Committed(csn));
    assert_eq!(txns.horizon(), before);
    txns.rollback(B);
    assert_eq!(txns.status(other).unwrap(), Status::Aborted);

    let later = reopened(&mut storage);
    assert_eq!(
        storage.run(later.volume(), || later.status(xid)).unwrap(),
        Status::Committed(csn)
    );
    assert_eq!(
        storage.run(later.volume(), || later.status(other)).unwrap(),
        Status::Aborted
    );
    assert_eq!(later.catalog_version(), 1);
    let fresh = storage.run(later.volume(), || later.assign(A)).unwrap();
    assert!(fresh > other, "{fresh} was used before the crash");
}

#[test]
fn a_reader_learns_of_ddl_whatever_its_cache_has_been_used_for() {
    let (mut storage, txns) = fresh();
    storage.run(txns.volume(), || txns.assign(A)).unwrap();
    storage.flush(txns.volume());
    let small = Config {
        cache_pages: 64,
        ..Config::default()
    };
    let volume = Arc::new(Volume::open_reader(small, Lsn(storage.end)));
    let reader = Txns::new(volume.clone());
    storage.run(&volume, || reader.prepare()).unwrap();
    for no in 1000..1500 {
        storage.fetch(&volume, PageNo(no));
    }
    assert_eq!(volume.cache_size().0, volume.cache_size().1);
    txns.commit(A, true).unwrap();
    let flush = txns.volume().take_flush(1 << 20).unwrap();
    volume.receive(flush.start, &flush.records).unwrap();
    assert_eq!(reader.catalog_version(), 0);
    volume.set_vdl(flush.end).unwrap();
    assert_eq!(reader.catalog_version(), 1);
}

#[test]
fn xids_go_on_over_pages_and_restarts() {
    let (mut storage, mut txns) = fresh();
    let mut last = Xid(0);
    for round in 0..3 {
        for _ in 0..PER_PAGE * 2 + 5 {
            let level = txns.savepoint(A);
            let xid = storage.run(txns.volume(), || txns.assign(A)).unwrap();
            assert!(xid > last);
            txns.release(A, level);
            last = xid;
        }
        let own = txns.running.own(A);
        storage
            .run(txns.volume(), || txns.commit(A, false))
            .unwrap();
        storage.flush(txns.volume());
        txns.finish(A);
        txns = reopened(&mut storage);
        for xid in own.iter() {
            let status = storage.run(txns.volume(), || txns.status(*xid)).unwrap();
            assert!(
                matches!(status, Status::Committed(_)),
                "round {round}: {xid} {status:?}"
            );
        }
    }
}

#[test]
fn oids_are_never_given_out_twice() {
    let (mut storage, txns) = fresh();
    let first = storage.run(txns.volume(), || txns.alloc_oid()).unwrap();
    assert_eq!(first.0, 16384);
    for i in 1..1500 {
        assert_eq!(
            storage.run(txns.volume(), || txns.alloc_oid()).unwrap().0,
            first.0 + i
        );
    }
    storage.flush(txns.volume());
    let later = reopened(&mut storage);
    assert!(storage.run(later.volume(), || later.alloc_oid()).unwrap().0 >= first.0 + 1500);
}

#[test]
fn a_rolled_back_savepoint_has_aborted_and_the_rest_commits() {
    let (mut storage, txns) = fresh();
    let top = storage.run(txns.volume(), || txns.assign(A)).unwrap();
    let level = txns.savepoint(A);
    let inner = storage.run(txns.volume(), || txns.assign(A)).unwrap();
    assert!(txns.wait_for::<()>(B, inner, A, false).is_err());
    assert!(txns.locks.take_woken().is_empty());
    assert!(txns.rollback_to(A, level));
    assert_eq!(txns.locks.take_woken(), vec![B]);
    assert_eq!(txns.status(inner).unwrap(), Status::Aborted);
    let again = storage.run(txns.volume(), || txns.assign(A)).unwrap();
    assert!(again > inner);
    storage
        .run(txns.volume(), || txns.commit(A, false))
        .unwrap();
    storage.flush(txns.volume());
    txns.finish(A);
    for (xid, committed) in [(top, true), (inner, false), (again, true)] {
        assert_eq!(
            matches!(txns.status(xid).unwrap(), Status::Committed(_)),
            committed,
            "{xid}"
        );
    }
}
