//! Rows by number, beyond what may be in memory.

use super::*;
use crate::base::{Oid, Res};
use crate::exec::batch::{Batch, Vector};
use crate::exec::kept::Room;
use crate::exec::numbered::Numbered;

/// Call again while there is something to wait for.
fn again<T>(mut call: impl FnMut() -> Option<Res<T>>) -> T {
    loop {
        match call() {
            Some(Ok(value)) => return value,
            None | Some(Err(Stop::Need(_))) => {}
            Some(Err(stop)) => panic!("{stop:?}"),
        }
    }
}

fn batch(from: i64, to: i64) -> Batch {
    let columns = vec![
        Vector::from_datums(Oid(20), (from..to).map(Datum::Int).collect()),
        Vector::from_datums(
            Oid(25),
            (from..to)
                .map(|i| Datum::text("x".repeat(90) + &i.to_string()))
                .collect(),
        ),
    ];
    Batch {
        columns,
        len: (to - from) as usize,
    }
}

fn number(rows: &mut Numbered, at: u64) -> Option<i64> {
    again(|| match rows.row(at) {
        Ok(found) => Some(Ok(found.map(|(batch, i)| match batch.get(i, 0) {
            Datum::Int(n) => n,
            other => panic!("{other:?}"),
        }))),
        Err(stop) => Some(Err(stop)),
    })
}

#[test]
fn rows_beyond_the_room_are_in_a_file_and_have_their_numbers() {
    for seed in [0, 1, 2] {
        let spill = Arc::new(TestSpill::new(usize::MAX).fresh(seed));
        let mut rows = Numbered::new(Room::new(128 << 10, Some(spill.clone())));
        let mut from = 0;
        // Batches of one row and of many.
        for len in (0..200).map(|i| i * i % 61 + 1) {
            rows.push(batch(from, from + len));
            again(|| Some(rows.settle()));
            from += len;
        }
        assert_eq!(rows.len(), from as u64);
        assert!(spill.written() > 300_000, "nothing was spilled");
        for at in (0..from).chain((0..from).rev()).step_by(7) {
            assert_eq!(number(&mut rows, at as u64), Some(at));
        }
        assert_eq!(number(&mut rows, from as u64), None);
        rows.forget();
        assert_eq!((rows.len(), spill.files()), (from as u64, 0));
        assert_eq!(number(&mut rows, 3), None);
        rows.push(batch(from, from + 1));
        again(|| Some(rows.settle()));
        assert_eq!(number(&mut rows, from as u64), Some(from));
    }
}
