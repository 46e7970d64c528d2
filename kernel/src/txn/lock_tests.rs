//! Locks: who gets what, in which order, and which waits are refused.

use super::locks::{Level, Locks, On, OnConflict};
use super::modes::{conflicts, relation, row, LockKey, ADVISORY_EXCLUSIVE, ADVISORY_SHARE};
use crate::base::{Need, Oid, Res, RowId, SessionId, Stop, Xid};

const A: SessionId = SessionId(1);
const B: SessionId = SessionId(2);
const C: SessionId = SessionId(3);
const T: LockKey = LockKey::Relation(Oid(16384));

fn take(locks: &Locks, session: SessionId, key: LockKey, mode: u8) -> Res<bool> {
    locks.acquire(session, key, mode, Level::Transaction, OnConflict::Queue)
}

fn waits(result: Res<bool>) {
    assert!(matches!(result, Err(Stop::Need(Need::Lock))), "{result:?}");
}

fn code(result: Res<bool>) -> String {
    match result {
        Err(Stop::Error(e)) => e.code_str().to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn conflict_tables_are_symmetric() {
    for a in 1..=8u8 {
        for b in 1..=8u8 {
            assert_eq!(
                conflicts(&T, a) & (1 << b) != 0,
                conflicts(&T, b) & (1 << a) != 0,
                "{a} {b}"
            );
        }
    }
    let key = LockKey::Row(Oid(1), RowId(1));
    for a in 1..=4u8 {
        for b in 1..=4u8 {
            assert_eq!(
                conflicts(&key, a) & (1 << b) != 0,
                conflicts(&key, b) & (1 << a) != 0,
                "{a} {b}"
            );
            assert_eq!(conflicts(&key, a) & (1 << b) != 0, a + b >= 5, "{a} {b}");
        }
    }
}

#[test]
fn first_come_first_served_and_a_holder_may_pass_the_queue() {
    let locks = Locks::new();
    assert!(take(&locks, A, T, relation::ACCESS_SHARE).unwrap());
    waits(take(&locks, B, T, relation::ACCESS_EXCLUSIVE));
    waits(take(&locks, C, T, relation::ACCESS_SHARE));
    assert!(take(&locks, A, T, relation::ROW_EXCLUSIVE).unwrap());
    assert!(locks.take_woken().is_empty());
    locks.release_all(A);
    assert_eq!(locks.take_woken(), vec![B]);
    assert!(take(&locks, B, T, relation::ACCESS_EXCLUSIVE).unwrap());
    locks.release_all(B);
    assert_eq!(locks.take_woken(), vec![C]);
    locks.release_all(C);
    assert!(locks.list().is_empty());
}

#[test]
fn who_holds_what_the_queue_does_not_wait_for_queues_like_others() {
    let locks = Locks::new();
    assert!(take(&locks, A, T, relation::ACCESS_SHARE).unwrap());
    assert!(take(&locks, C, T, relation::ROW_EXCLUSIVE).unwrap());
    waits(take(&locks, B, T, relation::SHARE));
    waits(take(&locks, A, T, relation::ROW_EXCLUSIVE));
    locks.release_all(C);
    assert_eq!(locks.take_woken(), vec![B]);
}

#[test]
fn who_holds_what_the_queue_waits_for_waits_before_it() {
    let locks = Locks::new();
    assert!(take(&locks, A, T, relation::ACCESS_SHARE).unwrap());
    assert!(take(&locks, C, T, relation::ROW_EXCLUSIVE).unwrap());
    waits(take(&locks, B, T, relation::ACCESS_EXCLUSIVE));
    waits(take(&locks, A, T, relation::SHARE));
    locks.release_all(C);
    assert_eq!(locks.take_woken(), vec![A]);
}

#[test]
fn who_would_not_wait_does_not_go_before_others() {
    let locks = Locks::new();
    assert!(take(&locks, A, T, relation::ROW_EXCLUSIVE).unwrap());
    waits(take(&locks, B, T, relation::SHARE));
    let level = Level::Transaction;
    let asked = |how| locks.acquire(A, T, relation::EXCLUSIVE, level, how);
    assert!(!asked(OnConflict::Refuse).unwrap());
    assert!(asked(OnConflict::Queue).unwrap());
}

#[test]
fn a_row_is_locked_past_those_who_wait_for_it() {
    let locks = Locks::new();
    let key = LockKey::Row(Oid(9), RowId(1));
    assert!(take(&locks, A, key, row::KEY_SHARE).unwrap());
    waits(take(&locks, B, key, row::UPDATE));
    assert!(take(&locks, C, key, row::KEY_SHARE).unwrap());
    locks.release_all(A);
    assert!(locks.take_woken().is_empty());
    locks.release_all(C);
    assert_eq!(locks.take_woken(), vec![B]);
}

#[test]
fn a_ring_is_refused_and_says_who_waits_for_whom() {
    let locks = Locks::new();
    let (one, two) = (
        LockKey::Row(Oid(9), RowId(1)),
        LockKey::Row(Oid(9), RowId(2)),
    );
    assert!(take(&locks, A, one, row::UPDATE).unwrap());
    assert!(take(&locks, B, two, row::UPDATE).unwrap());
    waits(take(&locks, A, two, row::UPDATE));
    let refused = take(&locks, B, one, row::UPDATE);
    let Err(Stop::Error(error)) = refused else {
        panic!("not refused")
    };
    assert_eq!(error.code_str(), "40P01");
    assert_eq!(error.message, "deadlock detected");
    let detail = error.detail.unwrap();
    assert!(
        detail.contains(
            "Process 2 waits for AccessExclusiveLock on tuple 1 of relation 9; blocked by process 1."
        ),
        "{detail}"
    );
    assert_eq!(detail.lines().count(), 2);
    locks.release_all(B);
    assert_eq!(locks.take_woken(), vec![A]);
}

#[test]
fn a_ring_through_transactions_is_found_too() {
    let locks = Locks::new();
    assert!(locks.wait_xid::<bool>(A, Xid(7), B, || true).is_err());
    assert!(take(&locks, A, T, relation::EXCLUSIVE).is_ok());
    let locks = Locks::new();
    assert!(take(&locks, A, T, relation::EXCLUSIVE).unwrap());
    waits(take(&locks, B, T, relation::EXCLUSIVE));
    assert_eq!(code(locks.wait_xid(A, Xid(7), B, || true)), "40P01");
    assert!(matches!(
        locks.wait_xid::<bool>(C, Xid(7), B, || true),
        Err(Stop::Need(Need::Xid(Xid(7))))
    ));
    locks.xid_ended(Xid(7));
    assert_eq!(locks.take_woken(), vec![C]);
}

#[test]
fn an_xid_that_ended_meanwhile_wakes_at_once() {
    let locks = Locks::new();
    assert!(locks.wait_xid::<()>(C, Xid(7), B, || false).is_err());
    assert_eq!(locks.take_woken(), vec![C]);
}

#[test]
fn savepoints_release_what_came_after() {
    let locks = Locks::new();
    let key = |n| LockKey::Row(Oid(1), RowId(n));
    assert!(take(&locks, A, key(1), row::UPDATE).unwrap());
    let mark = locks.mark(A);
    assert!(take(&locks, A, key(2), row::UPDATE).unwrap());
    assert!(take(&locks, A, key(1), row::UPDATE).unwrap());
    waits(take(&locks, B, key(2), row::SHARE));
    locks.release_to(A, mark);
    assert_eq!(locks.take_woken(), vec![B]);
    waits(take(&locks, C, key(1), row::KEY_SHARE));
    locks.release_all(A);
    assert_eq!(locks.take_woken(), vec![C]);
    locks.release_all(B);
    locks.release_all(C);
    assert!(locks.no_row_locks());
}

#[test]
fn advisory_locks_nest_and_outlive_the_transaction() {
    let locks = Locks::new();
    let key = LockKey::Advisory(42, false);
    let session = |s, mode, how| locks.acquire(s, key, mode, Level::Session, how);
    assert!(session(A, ADVISORY_EXCLUSIVE, OnConflict::Queue).unwrap());
    assert!(session(A, ADVISORY_EXCLUSIVE, OnConflict::Queue).unwrap());
    assert!(!session(B, ADVISORY_SHARE, OnConflict::Refuse).unwrap());
    waits(session(B, ADVISORY_SHARE, OnConflict::Queue));
    locks.release_all(A);
    assert!(locks.unlock(A, key, ADVISORY_EXCLUSIVE));
    assert!(locks.take_woken().is_empty());
    assert!(locks.unlock(A, key, ADVISORY_EXCLUSIVE));
    assert!(!locks.unlock(A, key, ADVISORY_EXCLUSIVE));
    assert_eq!(locks.take_woken(), vec![B]);
    assert!(session(B, ADVISORY_SHARE, OnConflict::Queue).unwrap());
    assert!(locks.unlock(B, key, ADVISORY_SHARE));
    assert!(!locks.unlock(B, key, ADVISORY_SHARE));
    assert!(locks.list().is_empty());
}

#[test]
fn a_cancelled_wait_leaves_the_queue_and_lets_others_pass() {
    let locks = Locks::new();
    assert!(take(&locks, A, T, relation::ACCESS_SHARE).unwrap());
    waits(take(&locks, B, T, relation::ACCESS_EXCLUSIVE));
    waits(take(&locks, C, T, relation::ACCESS_SHARE));
    assert_eq!(locks.blockers(C), vec![B]);
    locks.cancel_wait(B);
    assert_eq!(locks.take_woken(), vec![C]);
}

#[test]
fn the_list_shows_who_waits_for_whom() {
    let locks = Locks::new();
    let row = LockKey::Row(Oid(7), RowId(3));
    assert!(take(&locks, A, row, row::UPDATE).unwrap());
    waits(take(&locks, B, row, row::KEY_SHARE));
    let ended: Res<()> = locks.wait_xid(C, Xid(9), A, || true);
    assert!(ended.is_err());
    let mut found: Vec<_> = locks
        .list()
        .into_iter()
        .map(|lock| (lock.session, lock.on, lock.mode, lock.granted))
        .collect();
    found.sort_by_key(|lock| lock.0);
    assert_eq!(
        found,
        [
            (A, On::Key(row), "AccessExclusiveLock", true),
            (B, On::Key(row), "AccessShareLock", false),
            (C, On::Xid(Xid(9)), "ShareLock", false),
        ]
    );
    assert_eq!(locks.blockers(B), [A]);
    assert_eq!(locks.blockers(C), [A]);
}

#[test]
fn many_rows_are_given_back_and_who_waits_for_one_gets_it() {
    let locks = Locks::new();
    let key = |n| LockKey::Row(Oid(1), RowId(n));
    let all = |mode| {
        for n in 0..5000 {
            assert!(take(&locks, A, key(n * 7 % 5000), mode).unwrap());
        }
    };
    for early in [false, true] {
        all(row::KEY_SHARE);
        let mark = locks.mark(A);
        if early {
            waits(take(&locks, C, key(10), row::UPDATE));
        }
        all(row::NO_KEY_UPDATE);
        assert!(take(&locks, B, key(77), row::KEY_SHARE).unwrap());
        assert!(!locks
            .acquire(
                B,
                key(77),
                row::SHARE,
                Level::Transaction,
                OnConflict::Refuse
            )
            .unwrap());
        waits(take(&locks, B, key(4000), row::SHARE));
        assert!(locks.holds(A, key(4000), row::NO_KEY_UPDATE));
        assert!(locks.holds(A, key(4001), row::NO_KEY_UPDATE));
        assert!(locks.conflicts(B, key(4001), row::SHARE));
        // Only what somebody waits for is shown.
        assert_eq!(locks.list().len(), if early { 6 } else { 3 });
        locks.release_to(A, mark);
        assert_eq!(locks.take_woken(), vec![B]);
        assert!(locks.holds(B, key(4000), row::SHARE));
        assert!(!locks.holds(A, key(4000), row::NO_KEY_UPDATE));
        assert!(locks.holds(A, key(4000), row::KEY_SHARE));
        assert!(!locks.conflicts(B, key(4001), row::NO_KEY_UPDATE));
        assert!(locks.conflicts(B, key(4001), row::UPDATE));
        locks.release_all(A);
        assert_eq!(locks.take_woken(), if early { vec![C] } else { vec![] });
        locks.release_all(C);
        locks.release_all(B);
        assert!(locks.no_row_locks() && locks.list().is_empty());
    }
}

#[test]
fn rows_of_an_heir_are_in_the_way_as_before() {
    let locks = Locks::new();
    let key = |n| LockKey::Row(Oid(1), RowId(n));
    for n in 0..3000 {
        assert!(take(&locks, A, key(n), row::UPDATE).unwrap());
    }
    waits(take(&locks, B, key(7), row::UPDATE));
    locks.hand_over(A, C);
    assert!(locks.conflicts(A, key(7), row::UPDATE) && locks.conflicts(A, key(2999), row::UPDATE));
    assert!(locks.holds(C, key(7), row::UPDATE) && locks.holds(C, key(2999), row::UPDATE));
    assert_eq!(locks.blockers(B), vec![C]);
    locks.release_all(A);
    assert!(locks.take_woken().is_empty());
    locks.release_all(C);
    assert_eq!(locks.take_woken(), vec![B]);
    locks.release_all(B);
    assert!(locks.no_row_locks());
}
