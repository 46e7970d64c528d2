//! A row passes on to the next writer when its change has a commit record, before that is durable.

use super::harness::{code, row, show, World};
use crate::base::{Lsn, RowId, SessionId};
use crate::exec::access::{Access, TableDef, View, Wrote};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// A table with one row, which session 1 has changed to `b`: the commit record is in the log, and not durable.
fn committing() -> (World, Arc<TableDef>, RowId, Lsn) {
    let (w, t, id, _, end) = committing_after();
    (w, t, id, end)
}

/// The same, and the LSN at which the row was there.
fn committing_after() -> (World, Arc<TableDef>, RowId, Lsn, Lsn) {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "a", 0)).unwrap();
    let there = w.commit(a);
    let mut one = w.begin(1, false);
    w.update(&mut one, &t, id, &row(1, "b", 1)).unwrap();
    let txns = w.txns();
    let end = w.run(|_| txns.commit(one.session, false)).unwrap();
    let end = end.expect("it has written");
    assert!(end > w.volume.vdl());
    (w, t, id, there, end)
}

fn passing(w: &World, session: u64) -> (View, Arc<AtomicU64>) {
    let passed: Arc<AtomicU64> = Arc::default();
    let mut view = w.tables.view(SessionId(session), w.volume.vdl(), 2, false);
    view.passed = Some(passed.clone());
    (view, passed)
}

/// The change to `text`, once the row has been looked at again.
fn take_over(w: &mut World, t: &Arc<TableDef>, view: &View, id: RowId, text: &str) {
    let new = row(1, text, 2);
    let seen = view.snapshot;
    let Wrote::Changed { csn, .. } = w.run(|s| s.update(view, t, id, &new, seen)).unwrap() else {
        panic!("it has not changed")
    };
    let done = w.run(|s| s.update(view, t, id, &new, csn)).unwrap();
    assert!(matches!(done, Wrote::Done));
}

#[test]
fn only_who_says_so_goes_on_before_a_commit_is_durable() {
    let (mut w, t, id, end) = committing();
    let mut two = w.begin(2, false);
    assert!(code(w.update(&mut two, &t, id, &row(1, "x", 9))).starts_with("Xid"));
    let mut strict = w.begin(3, true);
    assert!(code(w.update(&mut strict, &t, id, &row(1, "x", 9))).starts_with("Xid"));
    w.rollback(strict);
    w.rollback(two);
    let (view, passed) = passing(&w, 4);
    assert_eq!(
        show(&w.rows(&view, &t)),
        "1,a,0",
        "what it reads is durable"
    );
    take_over(&mut w, &t, &view, id, "c");
    let passed = Lsn(passed.load(Ordering::SeqCst));
    assert!(passed > view.snapshot && passed <= end);
    assert_eq!(show(&w.now(&t)), "1,a,0");
}

#[test]
fn a_crash_at_any_lsn_keeps_both_or_the_first_or_neither() {
    let (mut w, t, id, there, first) = committing_after();
    let (view, _) = passing(&w, 2);
    take_over(&mut w, &t, &view, id, "c");
    let txns = w.txns();
    let second = w
        .run(|_| txns.commit(SessionId(2), false))
        .unwrap()
        .unwrap();
    assert!(second > first);
    // The second may well be the first to hear of it.
    w.store.flush(&w.volume);
    txns.finish(SessionId(2));
    assert_eq!(show(&w.now(&t)), "1,c,2");
    txns.finish(SessionId(1));
    assert_eq!(show(&w.now(&t)), "1,c,2");
    for end in w.store.ends().into_iter().filter(|end| *end >= there.0) {
        let mut after = w.crashed(end, 1000);
        let expected = match end {
            end if end >= second.0 => "1,c,2",
            end if end >= first.0 => "1,b,1",
            _ => "1,a,0",
        };
        assert_eq!(show(&after.now(&t)), expected, "cut at {end}");
        // Whoever comes next builds on what is left.
        let mut next = after.begin(7, false);
        assert_eq!(
            code(after.update(&mut next, &t, id, &row(1, "d", 3))),
            "Done"
        );
        after.commit(next);
        assert_eq!(show(&after.now(&t)), "1,d,3");
        after.vacuum();
        after.check(&t);
    }
}

#[test]
fn a_change_that_was_built_on_another_can_be_rolled_back() {
    let (mut w, t, id, _) = committing();
    let (view, _) = passing(&w, 2);
    take_over(&mut w, &t, &view, id, "c");
    w.txns().rollback(SessionId(2));
    w.store.flush(&w.volume);
    w.txns().finish(SessionId(1));
    assert_eq!(show(&w.now(&t)), "1,b,1");
    w.vacuum();
    w.check(&t);
}

#[test]
fn a_deleted_row_is_gone_for_who_takes_it_over() {
    let (mut w, t, id, _) = committing();
    let (view, _) = passing(&w, 2);
    take_over(&mut w, &t, &view, id, "c");
    let mut three = w.begin(3, false);
    w.txns().rollback(SessionId(2));
    w.store.flush(&w.volume);
    w.txns().finish(SessionId(1));
    assert_eq!(code(w.delete(&mut three, &t, id)), "Done");
    let txns = w.txns();
    w.run(|_| txns.commit(three.session, false)).unwrap();
    let (view, passed) = passing(&w, 4);
    let seen = view.snapshot;
    let gone = w
        .run(|s| s.update(&view, &t, id, &row(1, "x", 9), seen))
        .unwrap();
    assert!(matches!(gone, Wrote::Gone));
    assert!(
        passed.load(Ordering::SeqCst) > seen.0,
        "that it is gone, is known of it"
    );
}

#[test]
fn the_next_in_the_queue_has_its_turn_at_the_commit_record() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "a", 0)).unwrap();
    w.commit(a);
    let mut one = w.begin(1, false);
    w.update(&mut one, &t, id, &row(1, "b", 1)).unwrap();
    let txns = w.txns();
    let views: Vec<View> = (2..5).map(|session| passing(&w, session).0).collect();
    for view in &views {
        let waits = w.run(|s| s.update(view, &t, id, &row(1, "x", 2), view.snapshot));
        assert!(waits.is_err());
    }
    for (view, last) in views.iter().zip(1..) {
        assert!(txns.locks.take_woken().is_empty());
        w.run(|_| txns.commit(SessionId(last), false)).unwrap();
        assert_eq!(txns.locks.take_woken(), [view.session]);
        take_over(&mut w, &t, view, id, "c");
    }
    w.run(|_| txns.commit(SessionId(4), false)).unwrap();
    w.store.flush(&w.volume);
    (1..5).for_each(|session| txns.finish(SessionId(session)));
    assert_eq!(show(&w.now(&t)), "1,c,2");
    assert!(txns.locks.list().is_empty());
}
