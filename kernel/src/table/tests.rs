//! Tables as sessions see them, one behaviour a test.

use super::harness::{code, row, show, World};
use super::SequenceDef;
use crate::base::{Need, RowId, SessionId, Stop};
use crate::exec::access::{Access, Bounds, Inserted, Wait, Wrote};
use crate::exec::plan::LockMode;
use crate::types::Datum;
use std::sync::Arc;

#[test]
fn own_changes_are_seen_at_once_and_others_when_committed() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    w.insert(&mut a, &t, &row(1, "one", 10)).unwrap();
    w.insert(&mut a, &t, &row(2, "two", 20)).unwrap();
    let view = w.view(&mut a);
    assert_eq!(show(&w.rows(&view, &t)), "1,one,10 2,two,20");
    assert_eq!(show(&w.now(&t)), "");
    let mut old = w.begin(2, true);
    let seen = w.view(&mut old);
    w.commit(a);
    assert_eq!(show(&w.now(&t)), "1,one,10 2,two,20");
    assert_eq!(show(&w.rows(&seen, &t)), "");
    let mut b = w.begin(3, false);
    w.insert(&mut b, &t, &row(3, "three", 30)).unwrap();
    w.rollback(b);
    w.rollback(old);
    assert_eq!(show(&w.now(&t)), "1,one,10 2,two,20");
}

#[test]
fn a_statement_does_not_see_what_it_writes() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "x", 1)).unwrap();
    let view = w.view(&mut a);
    assert!(matches!(
        w.run(|s| s.update(&view, &t, id, &row(1, "y", 2), view.snapshot))
            .unwrap(),
        Wrote::Done
    ));
    assert_eq!(show(&w.rows(&view, &t)), "1,x,1");
    assert!(matches!(
        w.run(|s| s.update(&view, &t, id, &row(1, "z", 3), view.snapshot))
            .unwrap(),
        Wrote::Own
    ));
    let next = w.view(&mut a);
    assert_eq!(show(&w.rows(&next, &t)), "1,y,2");
    assert_eq!(
        show(&w.by_index(&next, &t, 1, Bounds::default(), false)),
        "1,y,2"
    );
    w.commit(a);
}

#[test]
fn update_of_a_changed_row_says_what_stands_there() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "x", 1)).unwrap();
    w.commit(a);
    let mut a = w.begin(1, false);
    let mut b = w.begin(2, false);
    let mut c = w.begin(3, true);
    w.update(&mut a, &t, id, &row(1, "a", 2)).unwrap();
    let view = w.view(&mut b);
    let blocked = w.run(|s| s.update(&view, &t, id, &row(1, "b", 3), view.snapshot));
    assert!(
        matches!(blocked, Err(Stop::Need(Need::Xid(_)))),
        "{blocked:?}"
    );
    assert_eq!(w.txns().locks.take_woken(), vec![]);
    w.commit(a);
    assert_eq!(w.txns().locks.take_woken(), vec![SessionId(2)]);
    let Wrote::Changed { row: now, csn } = w
        .run(|s| s.update(&view, &t, id, &row(1, "b", 3), view.snapshot))
        .unwrap()
    else {
        panic!("not told")
    };
    assert_eq!(show(&[(id, now)]), "1,a,2");
    assert!(matches!(
        w.run(|s| s.update(&view, &t, id, &row(1, "b", 3), csn))
            .unwrap(),
        Wrote::Done
    ));
    w.commit(b);
    assert_eq!(code(w.update(&mut c, &t, id, &row(1, "c", 4))), "40001");
    w.rollback(c);
    let mut d = w.begin(4, false);
    let stale = w.view(&mut d);
    let mut e = w.begin(5, false);
    w.delete(&mut e, &t, id).unwrap();
    w.commit(e);
    assert!(matches!(
        w.run(|s| s.delete(&stale, &t, id, stale.snapshot)).unwrap(),
        Wrote::Gone
    ));
    assert_eq!(show(&w.now(&t)), "");
}

#[test]
fn equal_keys_are_refused_or_waited_for() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "x", 1)).unwrap();
    let mut b = w.begin(2, false);
    assert!(code(w.insert(&mut b, &t, &row(1, "y", 1))).starts_with("Xid"));
    w.commit(a);
    let Err(Stop::Error(error)) = w.insert(&mut b, &t, &row(1, "y", 1)) else {
        panic!("no error")
    };
    assert_eq!(error.code_str(), "23505");
    assert_eq!(
        error.message,
        "duplicate key value violates unique constraint \"t_k_key\""
    );
    assert_eq!(error.detail.as_deref(), Some("Key (k)=(1) already exists."));
    assert_eq!(
        (error.table.as_deref(), error.constraint.as_deref()),
        (Some("t"), Some("t_k_key"))
    );
    w.rollback(b);

    // A deletion that may still be undone is waited for; its own transaction may go on.
    let mut a = w.begin(1, false);
    w.delete(&mut a, &t, id).unwrap();
    let mut b = w.begin(2, false);
    assert!(code(w.insert(&mut b, &t, &row(1, "y", 1))).starts_with("Xid"));
    let other = w.insert(&mut a, &t, &row(1, "z", 1)).unwrap();
    w.commit(a);
    assert_eq!(code(w.insert(&mut b, &t, &row(1, "y", 1))), "23505");
    w.rollback(b);

    // Changing the key away frees it; nulls are distinct.
    let mut a = w.begin(1, false);
    w.update(&mut a, &t, other, &row(5, "z", 1)).unwrap();
    w.insert(&mut a, &t, &row(1, "again", 1)).unwrap();
    w.insert(&mut a, &t, &row(None, "null", 1)).unwrap();
    w.insert(&mut a, &t, &row(None, "null", 1)).unwrap();
    assert_eq!(code(w.update(&mut a, &t, other, &row(1, "z", 1))), "23505");
    w.commit(a);
    assert_eq!(show(&w.now(&t)), "5,z,1 1,again,1 Null,null,1 Null,null,1");
}

#[test]
fn arbiters_answer_with_the_row_in_the_way() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "x", 1)).unwrap();
    w.commit(a);
    let mut a = w.begin(1, false);
    let view = w.view(&mut a);
    let arbiters = [t.indexes[0].oid];
    let answer = w
        .run(|s| s.insert(&view, &t, &row(1, "y", 2), &arbiters))
        .unwrap();
    assert!(
        matches!(answer, Inserted::Conflict { row, .. } if row == id),
        "{answer:?}"
    );
    assert!(matches!(
        w.run(|s| s.insert(&view, &t, &row(2, "y", 2), &arbiters))
            .unwrap(),
        Inserted::Row(_)
    ));
    w.commit(a);
}

#[test]
fn a_savepoint_takes_its_rows_with_it() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "x", 1)).unwrap();
    let level = w.txns().savepoint(a.session);
    w.update(&mut a, &t, id, &row(7, "y", 2)).unwrap();
    w.insert(&mut a, &t, &row(2, "in", 2)).unwrap();
    assert!(w.txns().rollback_to(a.session, level));
    let view = w.view(&mut a);
    assert_eq!(show(&w.rows(&view, &t)), "1,x,1");
    assert_eq!(
        show(&w.by_index(&view, &t, 0, Bounds::default(), false)),
        "1,x,1"
    );
    w.update(&mut a, &t, id, &row(1, "z", 3)).unwrap();
    w.txns().release(a.session, level);
    w.insert(&mut a, &t, &row(2, "after", 4)).unwrap();
    w.commit(a);
    assert_eq!(show(&w.now(&t)), "1,z,3 2,after,4");
    w.vacuum();
    assert_eq!(w.check(&t), vec![2, 0, 2, 2]);
}

#[test]
fn row_locks_hold_writers_back_as_their_modes_say() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "x", 1)).unwrap();
    w.commit(a);
    let mut a = w.begin(1, false);
    let view = w.view(&mut a);
    let lock = |w: &mut World, view: &crate::exec::access::View, mode, wait| {
        let (view, t) = (view.clone(), Arc::clone(&t));
        w.run(move |s| s.lock(&view, &t, id, mode, wait, view.snapshot))
    };
    assert!(matches!(
        lock(&mut w, &view, LockMode::KeyShare, Wait::Block).unwrap(),
        Wrote::Done
    ));
    let mut b = w.begin(2, false);
    // A change of no key passes a KEY SHARE, a change of the key and a deletion don't.
    assert_eq!(code(w.update(&mut b, &t, id, &row(2, "y", 1))), "Lock");
    w.txns().locks.cancel_wait(b.session);
    assert_eq!(code(w.delete(&mut b, &t, id)), "Lock");
    w.txns().locks.cancel_wait(b.session);
    assert_eq!(code(w.update(&mut b, &t, id, &row(1, "y", 1))), "Done");
    // And the other way round.
    let again = w.view(&mut a);
    assert!(matches!(
        lock(&mut w, &again, LockMode::KeyShare, Wait::Block).unwrap(),
        Wrote::Done
    ));
    assert_eq!(
        code(lock(&mut w, &again, LockMode::Share, Wait::NoWait)),
        "55P03"
    );
    assert_eq!(
        code(lock(&mut w, &again, LockMode::Share, Wait::Skip)),
        "Gone"
    );
    assert!(code(lock(&mut w, &again, LockMode::Share, Wait::Block)).starts_with("Xid"));
    w.commit(b);
    assert_eq!(w.txns().locks.take_woken(), vec![SessionId(1)]);
    assert!(code(lock(&mut w, &again, LockMode::Share, Wait::Block)).starts_with("Changed"));
    w.commit(a);
    assert!(w.txns().locks.list().is_empty());
}

#[test]
fn two_that_wait_for_each_other_are_parted() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let one = w.insert(&mut a, &t, &row(1, "x", 1)).unwrap();
    let two = w.insert(&mut a, &t, &row(2, "x", 1)).unwrap();
    w.commit(a);
    let mut a = w.begin(1, false);
    let mut b = w.begin(2, false);
    w.update(&mut a, &t, one, &row(1, "a", 1)).unwrap();
    w.update(&mut b, &t, two, &row(2, "b", 1)).unwrap();
    assert!(code(w.update(&mut a, &t, two, &row(2, "a", 1))).starts_with("Xid"));
    assert_eq!(code(w.update(&mut b, &t, one, &row(1, "b", 1))), "40P01");
    w.rollback(b);
    assert_eq!(w.txns().locks.take_woken(), vec![SessionId(1)]);
    assert_eq!(code(w.update(&mut a, &t, two, &row(2, "a", 1))), "Done");
    w.commit(a);
    assert_eq!(show(&w.now(&t)), "1,a,1 2,a,1");
}

#[test]
fn waiters_for_one_row_go_one_by_one() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, "x", 1)).unwrap();
    w.commit(a);
    let mut a = w.begin(1, false);
    w.update(&mut a, &t, id, &row(1, "a", 1)).unwrap();
    let mut others: Vec<_> = (2..6).map(|s| w.begin(s, false)).collect();
    for tx in &mut others {
        assert!(matches!(
            w.update(tx, &t, id, &row(1, "b", 1)),
            Err(Stop::Need(_))
        ));
    }
    w.commit(a);
    assert_eq!(w.txns().locks.take_woken(), vec![SessionId(2)]);
    let mut b = others.remove(0);
    assert_eq!(code(w.update(&mut b, &t, id, &row(1, "b", 1))), "Done");
    w.commit(b);
    assert_eq!(w.txns().locks.take_woken(), vec![SessionId(3)]);
    for tx in others {
        w.rollback(tx);
    }
}

pub(super) fn noise(len: usize, seed: u64) -> String {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + (state >> 33) as u8 % 90)
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn long_values_go_out_and_come_back_also_when_the_cache_is_small() {
    let mut w = World::new(70);
    let t = w.table();
    let big = noise(1_500_000, 3);
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, &big, 1)).unwrap();
    w.insert(&mut a, &t, &row(2, &"ab".repeat(1000), 2))
        .unwrap();
    w.commit(a);
    let before = w.check(&t)[1];
    assert!(before > 300);
    assert_eq!(w.now(&t)[0].1[1].str().unwrap(), big);
    // An update of another column shares the value.
    let mut a = w.begin(1, false);
    assert_eq!(code(w.update(&mut a, &t, id, &row(1, &big, 5))), "Done");
    w.commit(a);
    assert_eq!(w.check(&t)[1], before);
    // A failed write leaves nothing for long.
    let mut a = w.begin(1, false);
    assert_eq!(
        code(w.insert(&mut a, &t, &row(1, &noise(100_000, 9), 5))),
        "23505"
    );
    w.rollback(a);
    w.vacuum();
    assert_eq!(w.check(&t)[1], before);
    let mut a = w.begin(1, false);
    assert_eq!(code(w.update(&mut a, &t, id, &row(1, "short", 5))), "Done");
    w.commit(a);
    let mut a = w.begin(1, false);
    assert_eq!(
        code(w.update(&mut a, &t, id, &row(1, "shorter", 5))),
        "Done"
    );
    w.commit(a);
    w.vacuum();
    assert_eq!(w.check(&t)[1], 0);
    assert_eq!(w.now(&t)[0].1[1].str().unwrap(), "shorter");
}

#[test]
fn a_row_outgrows_its_leaf_while_an_old_snapshot_needs_all_of_it() {
    let mut w = World::new(200);
    let t = w.table();
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(1, &noise(900, 1), 0)).unwrap();
    w.commit(a);
    let mut views = Vec::new();
    for n in 1..40 {
        let mut old = w.begin(100 + n as u64, true);
        let view = w.view(&mut old);
        views.push((n - 1, old, view));
        let mut a = w.begin(1, false);
        assert_eq!(
            code(w.update(&mut a, &t, id, &row(1, &noise(900, n as u64), n))),
            "Done"
        );
        w.commit(a);
    }
    // One that aborts on top of moved-out versions.
    let mut a = w.begin(1, false);
    w.update(&mut a, &t, id, &row(9, &noise(900, 77), 777))
        .unwrap();
    w.rollback(a);
    assert!(w.check(&t)[1] > 3, "history was moved out");
    for (n, _, view) in &views {
        let rows = w.rows(view, &t);
        assert_eq!(rows[0].1[2].int().unwrap(), *n);
        assert_eq!(w.by_index(view, &t, 0, Bounds::default(), true).len(), 1);
    }
    let mut a = w.begin(1, false);
    assert_eq!(code(w.update(&mut a, &t, id, &row(2, "end", 40))), "Done");
    w.commit(a);
    for (_, old, _) in views {
        w.rollback(old);
    }
    w.vacuum();
    let mut full = w.run(|s| s.vacuum(&t, true)).unwrap();
    while !w.run(|_| full.step()).unwrap() {}
    w.vacuum();
    assert_eq!(show(&w.now(&t)), "2,end,40");
    assert_eq!(w.check(&t), vec![1, 0, 1, 1]);
}

#[test]
fn vacuum_takes_rows_entries_and_values_of_the_dead() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let ids: Vec<RowId> = (0..300)
        .map(|k| {
            w.insert(&mut a, &t, &row(k, &noise(50, k as u64), k))
                .unwrap()
        })
        .collect();
    w.commit(a);
    let mut old = w.begin(9, true);
    let seen = w.view(&mut old);
    let mut a = w.begin(1, false);
    for id in ids.iter().take(200) {
        w.delete(&mut a, &t, *id).unwrap();
    }
    for (k, id) in ids.iter().enumerate().skip(200) {
        w.update(&mut a, &t, *id, &row(k as i64 + 1000, "moved", 5))
            .unwrap();
    }
    w.commit(a);
    let mut b = w.begin(2, false);
    for k in 5000..5100 {
        w.insert(&mut b, &t, &row(k, "never", k)).unwrap();
    }
    w.rollback(b);
    w.vacuum();
    assert_eq!(w.rows(&seen, &t).len(), 300);
    assert_eq!(
        w.by_index(&seen, &t, 0, Bounds::default(), false).len(),
        300
    );
    assert_eq!(w.check(&t), vec![300, 0, 400, 400]);
    w.rollback(old);
    w.vacuum();
    assert_eq!(w.check(&t), vec![100, 0, 100, 100]);
    assert_eq!(w.now(&t).len(), 100);
    assert!(w.txns().leftovers.is_empty());
}

#[test]
fn a_full_vacuum_finds_what_a_crash_forgot() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    let ids: Vec<RowId> = (0..50)
        .map(|k| {
            w.insert(&mut a, &t, &row(k, &noise(5000, k as u64), k))
                .unwrap()
        })
        .collect();
    w.commit(a);
    let mut a = w.begin(1, false);
    for id in &ids[..40] {
        w.delete(&mut a, &t, *id).unwrap();
    }
    w.commit(a);
    let mut b = w.begin(2, false);
    w.insert(&mut b, &t, &row(500, &noise(9000, 5), 5)).unwrap();
    w.store.flush(&w.volume);
    let end = w.store.log.len() as u64;
    let mut w = w.crashed(end, 300);
    assert_eq!(w.now(&t).len(), 10);
    let mut full = w.run(|s| s.vacuum(&t, true)).unwrap();
    while !w.run(|_| full.step()).unwrap() {}
    w.vacuum();
    let cells = w.check(&t);
    assert_eq!((cells[0], cells[2], cells[3]), (10, 10, 10));
    assert_eq!(cells[1], 20, "two chunks for each living value");
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &row(500, "new", 5)).unwrap();
    assert!(id > ids[49]);
    w.commit(a);
}

#[test]
fn index_scans_keep_order_bounds_and_direction() {
    let mut w = World::new(100);
    let t = w.table();
    let mut a = w.begin(1, false);
    for i in 0..2000i64 {
        let k = i * 7919 % 2000;
        w.insert(&mut a, &t, &row(k, &noise(20, i as u64), k % 10))
            .unwrap();
    }
    w.insert(&mut a, &t, &row(None, "null", 3)).unwrap();
    w.commit(a);
    let view = w.tables.view(SessionId(5), w.volume.vdl(), 1, false);
    let bound = |v: i64, inclusive| Some((vec![Datum::Int(v)], inclusive));
    let keys = |rows: Vec<(RowId, Vec<Datum>)>| {
        rows.iter()
            .map(|(_, r)| r[0].int().unwrap_or(-1))
            .collect::<Vec<_>>()
    };
    let all = keys(w.by_index(&view, &t, 0, Bounds::default(), false));
    assert_eq!(all, (0..2000).chain([-1]).collect::<Vec<_>>());
    let back = keys(w.by_index(&view, &t, 0, Bounds::default(), true));
    assert_eq!(
        back,
        [-1].into_iter().chain((0..2000).rev()).collect::<Vec<_>>()
    );
    let some = Bounds {
        low: bound(100, false),
        high: bound(900, true),
    };
    assert_eq!(
        keys(w.by_index(&view, &t, 0, some.clone(), false)),
        (101..=900).collect::<Vec<_>>()
    );
    assert_eq!(
        keys(w.by_index(&view, &t, 0, some, true)),
        (101..=900).rev().collect::<Vec<_>>()
    );
    let open = Bounds {
        low: bound(1990, true),
        high: None,
    };
    assert_eq!(
        keys(w.by_index(&view, &t, 0, open, true)),
        (1990..2000).rev().collect::<Vec<_>>()
    );
    let equal = Bounds {
        low: bound(3, true),
        high: bound(3, true),
    };
    assert_eq!(w.by_index(&view, &t, 1, equal, false).len(), 201);
    let mut parts = Vec::new();
    for part in 0..4 {
        let mut cursor = w.run(|s| s.scan(&view, &t, &[0], part, 4)).unwrap();
        let mut batch = crate::exec::batch::Batch::default();
        let volume = Arc::clone(&w.volume);
        while w
            .store
            .run(&volume, || cursor.next(100, &mut batch))
            .unwrap()
        {}
        assert!(batch.len > 0, "part {part} is empty");
        parts.extend((0..batch.len).map(|i| batch.get(i, 0).int().unwrap_or(-1)));
    }
    parts.sort_unstable();
    assert_eq!(parts, (-1..2000).collect::<Vec<_>>());
}

#[test]
fn dropped_trees_give_their_pages_back() {
    let mut w = World::new(100);
    let t = w.table();
    let mut a = w.begin(1, false);
    for i in 0..3000i64 {
        w.insert(&mut a, &t, &row(i, &noise(100, i as u64), i))
            .unwrap();
    }
    w.commit(a);
    let used = w.store.pages.len() as u64;
    let mut freed = 0;
    for root in [t.root, t.overflow, t.indexes[0].root, t.indexes[1].root] {
        let mut job = w.run(|s| Ok(s.drop_tree(root, false))).unwrap();
        while !w.run(|_| job.step()).unwrap() {}
        freed += job.freed;
    }
    w.store.flush(&w.volume);
    w.txns().horizon();
    assert!(freed > 60 && freed + 10 > used, "{freed} of {used}");
    // A new table of the same size fits into them.
    let t = w.table();
    let mut a = w.begin(1, false);
    for i in 0..3000i64 {
        w.insert(&mut a, &t, &row(i, &noise(100, i as u64), i))
            .unwrap();
    }
    w.commit(a);
    assert!(
        w.store.pages.len() as u64 <= used + 5,
        "{} after {used}",
        w.store.pages.len()
    );
    assert_eq!(w.now(&t).len(), 3000);
}

#[test]
fn sequences_count_survive_and_end() {
    let mut w = World::new(100);
    let def = SequenceDef {
        start: 5,
        increment: 2,
        min: 1,
        max: 100,
        cycle: false,
    };
    let page = w.run(|s| s.create_sequence(&def)).unwrap();
    let view = w.tables.view(SessionId(1), w.volume.vdl(), 1, false);
    assert_eq!(w.run(|s| s.seqval(&view, page)).unwrap(), (5, false));
    assert_eq!(w.run(|s| s.nextval(&view, page)).unwrap(), 5);
    assert_eq!(w.run(|s| s.nextval(&view, page)).unwrap(), 7);
    assert_eq!(w.run(|s| s.seqval(&view, page)).unwrap(), (7, true));
    w.store.flush(&w.volume);
    let mut later = w.crashed(w.store.log.len() as u64, 100);
    let after = later.run(|s| s.nextval(&view, page)).unwrap();
    assert!(after > 7 && after % 2 == 1, "{after}");
    for _ in 0..46 {
        w.run(|s| s.nextval(&view, page)).unwrap();
    }
    assert_eq!(w.run(|s| s.seqval(&view, page)).unwrap(), (99, true));
    assert_eq!(code(w.run(|s| s.nextval(&view, page))), "2200H");
    w.run(|s| s.setval(&view, page, 11, false)).unwrap();
    assert_eq!(w.run(|s| s.nextval(&view, page)).unwrap(), 11);
    assert_eq!(code(w.run(|s| s.setval(&view, page, 101, true))), "22003");
    w.run(|s| {
        s.alter_sequence(
            page,
            &SequenceDef {
                cycle: true,
                max: 13,
                ..def
            },
        )
    })
    .unwrap();
    assert_eq!(w.run(|s| s.nextval(&view, page)).unwrap(), 13);
    assert_eq!(w.run(|s| s.nextval(&view, page)).unwrap(), 1);
}
