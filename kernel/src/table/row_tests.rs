//! Rows read back as they were written, whole and in part, and damage is an error, never a panic.

use super::packing::Packing;
use super::reader::{externals, Reader};
use super::row::{Draft, External, Layout, TARGET};
use crate::base::Oid;
use crate::exec::access::ColumnDef;
use crate::exec::batch::Batch;
use crate::types::Datum;
use proptest::prelude::*;
use std::sync::Arc;

const TYPES: [u32; 8] = [23, 25, 20, 16, 701, 21, 17, 1186];

fn column(typ: u32) -> ColumnDef {
    ColumnDef {
        name: "c".into(),
        typ: Oid(typ),
        typmod: -1,
        dropped: false,
        not_null: false,
        missing: Datum::Null,
    }
}

fn layout(types: &[u32]) -> Arc<Layout> {
    Arc::new(Layout::new(types.iter().map(|t| Oid(*t))).unwrap())
}

fn value(typ: u32) -> BoxedStrategy<Datum> {
    let some = match typ {
        23 => any::<i32>().prop_map(|v| Datum::Int(v.into())).boxed(),
        20 => any::<i64>().prop_map(Datum::Int).boxed(),
        21 => any::<i16>().prop_map(|v| Datum::Int(v.into())).boxed(),
        16 => any::<bool>().prop_map(Datum::Bool).boxed(),
        701 => any::<i32>().prop_map(|v| Datum::Float(v.into())).boxed(),
        17 => prop::collection::vec(any::<u8>(), 0..80)
            .prop_map(|v| Datum::Bytes(v.into()))
            .boxed(),
        1186 => (any::<i32>(), any::<i32>(), any::<i64>())
            .prop_map(|(months, days, micros)| {
                Datum::Interval(crate::types::Interval {
                    months,
                    days,
                    micros,
                })
            })
            .boxed(),
        _ => "\\PC{0,200}".prop_map(Datum::text).boxed(),
    };
    prop_oneof![4 => some, 1 => Just(Datum::Null)].boxed()
}

fn rows() -> impl Strategy<Value = (Vec<u32>, Vec<Datum>)> {
    prop::collection::vec(prop::sample::select(&TYPES[..]), 1..12).prop_flat_map(|types| {
        let values: Vec<_> = types.iter().map(|t| value(*t)).collect();
        (Just(types), values)
    })
}

fn same(a: &[Datum], b: &[Datum]) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

proptest! {
    #[test]
    fn what_was_written_reads_back((types, row) in rows(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let layout = layout(&types);
        let columns: Vec<ColumnDef> = types.iter().map(|t| column(*t)).collect();
        let mut draft = Draft::new(&layout, &row).unwrap();
        draft.pack().unwrap();
        let payload = draft.finish(&layout);
        prop_assert!(payload.len() <= draft.size());
        let wanted: Vec<usize> = picks.iter().map(|i| i.index(types.len())).collect();
        let reader = Reader::new(&layout, &columns, &wanted).unwrap();
        let expected: Vec<Datum> = wanted.iter().map(|i| row[*i].clone()).collect();
        let got = reader.row(&payload, &mut |_, _| unreachable!()).unwrap();
        prop_assert!(same(&got, &expected), "{:?} {:?}", got, expected);
        let mut batch = Batch::of_types(&wanted.iter().map(|i| Oid(types[*i])).collect::<Vec<_>>(), 4);
        reader.push(&payload, &mut batch).unwrap();
        reader.push(&payload, &mut batch).unwrap();
        batch.len = 2;
        prop_assert!(same(&batch.row(1), &expected));
    }

    #[test]
    fn damage_never_panics((types, row) in rows(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let layout = layout(&types);
        let columns: Vec<ColumnDef> = types.iter().map(|t| column(*t)).collect();
        let mut payload = Draft::new(&layout, &row).unwrap().finish(&layout);
        let at = at.index(payload.len());
        payload[at] = byte;
        payload.truncate(cut.index(payload.len()) + 1);
        let reader = Reader::all(&layout, &columns).unwrap();
        let _ = reader.row(&payload, &mut |_, _| Ok(vec![1, 2, 3]));
        let mut batch = Batch::of_types(&types.iter().map(|t| Oid(*t)).collect::<Vec<_>>(), 4);
        let _ = reader.push(&payload, &mut batch);
        let _ = externals(&layout, &payload);
    }
}

#[test]
fn columns_added_later_read_as_missing_and_dropped_ones_as_null() {
    let old = layout(&[23, 25]);
    let payload = Draft::new(&old, &[Datum::Int(1), Datum::text("x")])
        .unwrap()
        .finish(&old);
    let new = layout(&[23, 25, 23, 25]);
    let mut columns: Vec<ColumnDef> = [23, 25, 23, 25].map(column).to_vec();
    columns[2].missing = Datum::Int(7);
    columns[3].missing = Datum::text("seven");
    let row = |columns: &[ColumnDef]| {
        Reader::all(&new, columns)
            .unwrap()
            .row(&payload, &mut |_, _| unreachable!())
            .unwrap()
    };
    let all = row(&columns);
    assert!(
        same(
            &all,
            &[
                Datum::Int(1),
                Datum::text("x"),
                Datum::Int(7),
                Datum::text("seven")
            ]
        ),
        "{all:?}"
    );
    columns[0].dropped = true;
    columns[3].dropped = true;
    let all = row(&columns);
    assert!(
        same(
            &all,
            &[Datum::Null, Datum::text("x"), Datum::Int(7), Datum::Null]
        ),
        "{all:?}"
    );
}

#[test]
fn long_values_are_packed_then_moved() {
    let layout = layout(&[23, 25, 17]);
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    let noise: Vec<u8> = (0..9000).map(|_| random()).collect();
    let row = [
        Datum::Int(5),
        Datum::text("ab".repeat(20_000)),
        Datum::Bytes(noise.clone().into()),
    ];
    let mut draft = Draft::new(&layout, &row).unwrap();
    draft.pack().unwrap();
    let mut stored = Vec::new();
    while let Some(index) = draft.to_move() {
        stored.push(draft.move_out(index, 42 + stored.len() as u64).unwrap());
    }
    assert!(draft.size() <= TARGET && draft.has_external());
    assert_eq!(stored.len(), 1, "the text packs well, the noise has to go");
    let payload = draft.finish(&layout);
    assert_eq!(
        externals(&layout, &payload).unwrap(),
        vec![(
            2,
            External {
                id: 42,
                len: 9000,
                stored: 9000,
                packing: Packing::None
            }
        )]
    );
    let columns: Vec<ColumnDef> = [23, 25, 17].map(column).to_vec();
    let reader = Reader::all(&layout, &columns).unwrap();
    let got = reader
        .row(&payload, &mut |_, e| {
            Ok(stored.iter().find(|(s, _)| *s == e).unwrap().1.to_vec())
        })
        .unwrap();
    assert!(same(&got, &row));
}
