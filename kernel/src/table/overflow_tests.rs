//! Long values whose move is interrupted: what is known again, and what is not mistaken for it.

use super::harness::{row, World};
use super::tests::noise;
use crate::base::{Need, Oid, Stop};
use crate::exec::access::{Access, Inserted, TableDef};
use crate::types::Datum;
use std::sync::Arc;

const LONG: usize = 1_500_000;

fn replace_in_place(value: &mut Datum, text: &str) {
    let Datum::Text(held) = value else {
        panic!("not a text")
    };
    let place = held.as_ptr();
    let mut bytes = std::mem::take(held).into_string();
    bytes.clear();
    bytes.push_str(text);
    *held = bytes.into();
    assert_eq!(place, held.as_ptr());
}

#[test]
fn another_value_in_the_same_place_is_not_taken_for_the_one_begun() {
    let mut w = World::new(70);
    let t = w.table();
    let mut a = w.begin(1, false);
    let view = w.view(&mut a);
    let mut new = row(1, &noise(LONG, 3), 1);
    let begun = w.tables.insert(&view, &t, &new, &[]);
    assert!(matches!(begun, Err(Stop::Need(_))), "{begun:?}");
    let other = noise(LONG, 4);
    replace_in_place(&mut new[1], &other);
    let mut again = 0;
    let id = loop {
        match w.run(|t2| t2.insert(&view, &t, &new, &[])) {
            Err(Stop::Need(Need::Slice)) => again += 1,
            Ok(Inserted::Row(id)) => break id,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(again, 1);
    w.commit(a);
    assert_eq!(w.now(&t)[0].1[1].str().unwrap(), other);
    // An update that shares the value, and is another one half-way.
    let mut a = w.begin(1, false);
    let view = w.view(&mut a);
    let mut new = row(1, &other, 2);
    let begun = w.tables.update(&view, &t, id, &new, view.snapshot);
    assert!(matches!(begun, Err(Stop::Need(_))), "{begun:?}");
    let mut third = other[..LONG - 1].to_owned();
    third.insert(0, '!');
    replace_in_place(&mut new[1], &third);
    loop {
        match w.run(|t2| t2.update(&view, &t, id, &new, view.snapshot)) {
            Err(Stop::Need(Need::Slice)) => {}
            done => {
                done.unwrap();
                break;
            }
        }
    }
    w.commit(a);
    assert_eq!(w.now(&t)[0].1[1].str().unwrap(), third);
    w.vacuum();
    let chunks = LONG.div_ceil(4000) as u64;
    assert_eq!(w.check(&t)[1], chunks, "what was begun in vain is gone");
}

#[test]
fn two_long_values_of_a_row_are_read_with_a_cache_that_holds_neither() {
    let mut w = World::new(70);
    let t = w.table();
    let mut columns = t.columns.clone();
    columns[2].typ = Oid(25);
    let t = Arc::new(TableDef {
        oid: t.oid,
        name: t.name.clone(),
        schema: t.schema.clone(),
        root: t.root,
        overflow: t.overflow,
        columns,
        indexes: vec![t.indexes[0].clone()],
    });
    let (first, second) = (noise(LONG, 5), noise(LONG, 6));
    let values = [Datum::Int(1), Datum::text(&*first), Datum::text(&*second)];
    let mut a = w.begin(1, false);
    let id = w.insert(&mut a, &t, &values).unwrap();
    w.commit(a);
    let mut reader = w.begin(2, false);
    let view = w.view(&mut reader);
    let mut calls = 0;
    let found = w.run(|t2| {
        calls += 1;
        assert!(calls < 5000, "it never ends");
        t2.fetch(&view, &t, id, &[1, 2])
    });
    let found = found.unwrap().unwrap();
    assert!(found[0].str().unwrap() == first && found[1].str().unwrap() == second);
}

#[test]
fn a_conflict_leaves_no_long_value() {
    let mut w = World::new(1000);
    let t = w.table();
    let mut a = w.begin(1, false);
    w.insert(&mut a, &t, &row(1, "old", 1)).unwrap();
    w.commit(a);
    let mut a = w.begin(1, false);
    let view = w.view(&mut a);
    let new = row(1, &noise(100_000, 7), 1);
    let arbiters = [t.indexes[0].oid];
    let done = w.run(|t2| t2.insert(&view, &t, &new, &arbiters));
    assert!(matches!(done, Ok(Inserted::Conflict { .. })), "{done:?}");
    w.vacuum();
    assert_eq!(w.check(&t)[1], 0);
    w.rollback(a);
}
