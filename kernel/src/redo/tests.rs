use super::record::examples;
use super::version::{self, Push};
use super::*;
use crate::base::{Lsn, PageNo, RowId, Xid};
use crate::page::{Kind, Page, BODY};
use proptest::prelude::*;

/// Of the table of records (`record.rs`): what a record's body is, and the record that makes a page for it.
pub(super) struct Example {
    pub record: Record<'static>,
    pub body: &'static [u8],
    pub before: Record<'static>,
}

/// Makes a page of a tree.
pub(super) fn leaf() -> Record<'static> {
    Record::Init {
        kind: Kind::Leaf,
        level: 0,
        owner: PageNo(3),
        links: Links::NONE,
        cells: vec![b"\x01aone", b"\x01btwo", b"\x01cthree", b"\x01dfour"],
    }
}

/// Makes a page of a table: two rows, one frozen version each.
pub(super) fn rows() -> Record<'static> {
    Record::Init {
        kind: Kind::RowLeaf,
        level: 0,
        owner: PageNo(3),
        links: Links::NONE,
        cells: vec![
            b"\0\0\0\0\0\0\0\x05\x01\x05hello",
            b"\0\0\0\0\0\0\0\x06\x01\x02hi",
        ],
    }
}

/// With so many bytes of the payload before, these, and so many of it behind them.
pub(super) fn push(flags: u8, xid: Xid, payload: (u32, &'static [u8], u32)) -> Push<'static> {
    Push {
        flags,
        xid,
        command: 0,
        skip: 0,
        keep: version::ALL,
        prefix: payload.0,
        suffix: payload.2,
        middle: payload.1,
    }
}

/// Every example with the page that it changes.
fn samples() -> Vec<Record<'static>> {
    examples()
        .into_iter()
        .flat_map(|example| [example.before, example.record])
        .collect()
}

fn stream(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        let at = out.len();
        stream::put(&mut out, PageNo(77), record);
        out[at] |= stream::CPL;
    }
    out
}

#[test]
fn bodies_are_on_disk_what_they_have_always_been() {
    for Example { record, body, .. } in examples() {
        let mut encoded = Vec::new();
        record.encode(&mut encoded);
        let (encoded, body) = (encoded.escape_ascii(), body.escape_ascii());
        assert_eq!(encoded.to_string(), body.to_string(), "{record:?}");
    }
}

#[test]
fn each_kind_has_its_own_number_and_the_stream_has_room_for_it() {
    let mut kinds: Vec<_> = examples()
        .iter()
        .map(|example| {
            (
                example.record.number(),
                std::mem::discriminant(&example.record),
            )
        })
        .collect();
    kinds.dedup();
    for (at, (number, _)) in kinds.iter().enumerate() {
        assert_eq!(usize::from(*number), at + 1, "the table is in order");
        assert!((1..64).contains(number));
    }
}

#[test]
fn records_read_back_and_their_lsns_are_the_ends() {
    let records = samples();
    let bytes = stream(&records);
    let mut end = 1000;
    for (entry, record) in Decoder::new(Lsn(1000), &bytes).zip(&records) {
        let entry = entry.unwrap();
        end += entry.raw.len() as u64;
        assert_eq!(entry.lsn, Lsn(end));
        assert!(entry.cpl);
        assert_eq!(entry.page, PageNo(77));
        entry
            .record
            .decoded(|decoded| assert_eq!(decoded, record))
            .unwrap();
    }
    assert_eq!(end, 1000 + bytes.len() as u64);
}

#[test]
fn applying_twice_is_applying_once() {
    let bytes = stream(&samples());
    let (mut once, mut twice) = (Page::new(), Page::new());
    for entry in Decoder::new(Lsn(0), &bytes) {
        let entry = entry.unwrap();
        entry.record.apply(&mut once, entry.lsn).unwrap();
        for _ in 0..2 {
            entry.record.apply(&mut twice, entry.lsn).unwrap();
        }
        assert!(once == twice);
        assert_eq!(once.lsn(), entry.lsn);
    }
}

#[test]
fn a_commit_state_is_its_records_lsn() {
    let mut page = Page::new();
    let indexes: Csns = [0u16, 900].into_iter().collect();
    apply(
        &mut page,
        Lsn(8),
        &Record::empty(Kind::Commit, 0, PageNo(0)),
    )
    .unwrap();
    apply(&mut page, Lsn(9), &Record::SetCsn { indexes }).unwrap();
    for index in [0, 1, 900] {
        let wanted = u64::from(index != 1) * 9;
        assert_eq!(page.u64_at(BODY + index * 8), Some(wanted));
    }
}

#[test]
fn a_pushed_version_stands_in_front_and_logs_few_bytes() {
    let mut page = Page::new();
    let payload = vec![7u8; 90];
    let cell = version::cell(RowId(5), 0, Xid(10), 1, &payload);
    let init = Record::empty(Kind::RowLeaf, 0, PageNo(4));
    apply(&mut page, Lsn(1), &init).unwrap();
    apply(
        &mut page,
        Lsn(2),
        &Record::InsertCell {
            slot: 0,
            bytes: &cell,
        },
    )
    .unwrap();
    let mut new = payload.clone();
    new[40..44].copy_from_slice(&[1, 2, 3, 4]);
    let push = Push::diff(page.cell(0).unwrap(), 0, Xid(11), 0, &new).unwrap();
    let record = Record::PushVersion { slot: 0, push };
    assert!(stream(std::slice::from_ref(&record)).len() <= 14);
    apply(&mut page, Lsn(3), &record).unwrap();
    let row = page.cell(0).unwrap();
    assert_eq!(version::row_id(row).unwrap(), RowId(5));
    let seen: Vec<_> = version::versions(row).map(|v| v.unwrap()).collect();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].xid, seen[0].payload), (Xid(11), &new[..]));
    assert_eq!((seen[1].xid, seen[1].payload), (Xid(10), &payload[..]));
    let mut gone = Push::diff(row, version::DELETED, Xid(12), 0, &[]).unwrap();
    gone.skip = 1;
    gone.keep = 1;
    apply(
        &mut page,
        Lsn(4),
        &Record::PushVersion {
            slot: 0,
            push: gone,
        },
    )
    .unwrap();
    let xids: Vec<_> = version::versions(page.cell(0).unwrap())
        .map(|v| v.unwrap().xid)
        .collect();
    assert_eq!(xids, [Xid(12), Xid(10)]);
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..3, 0..40)
}

proptest! {
    #[test]
    fn pushes_encode_and_build_what_was_asked(
        old in proptest::collection::vec((any::<u32>(), payload(), 0u8..8), 0..5),
        new in payload(), flags in 0u8..8, xid in any::<u64>(), command in any::<u32>(),
        skip in 0u32..4, keep in prop_oneof![Just(version::ALL), 0u32..4],
    ) {
        let mut cell = 42u64.to_be_bytes().to_vec();
        for (xid, payload, flags) in &old {
            version::put(&mut cell, *flags, Xid(u64::from(*xid)), 3, payload);
        }
        let mut push = Push::diff(&cell, flags, Xid(xid), command, &new).unwrap();
        (push.skip, push.keep) = (skip, keep);
        let record = Record::PushVersion { slot: 3, push };
        let mut body = Vec::new();
        record.encode(&mut body);
        let Record::PushVersion { push, .. } = Record::decode(11, &body).unwrap() else { panic!() };
        let built = push.build(&cell).unwrap();
        prop_assert_eq!(push.built_len(&cell).unwrap(), built.len());
        let seen: Vec<_> = version::versions(&built).map(|v| v.unwrap()).collect();
        prop_assert_eq!(version::row_id(&built).unwrap(), RowId(42));
        prop_assert_eq!(seen[0].flags, flags);
        if flags & version::DELETED == 0 { prop_assert_eq!(seen[0].payload, &new[..]); }
        if flags & version::FROZEN == 0 { prop_assert_eq!((seen[0].xid, seen[0].command), (Xid(xid), command)); }
        let kept: Vec<_> = version::versions(&cell).map(|v| v.unwrap()).skip(skip as usize).take(keep as usize).collect();
        prop_assert_eq!(seen.len(), 1 + kept.len());
        for (a, b) in seen[1..].iter().zip(&kept) {
            prop_assert_eq!((a.flags, a.xid, a.payload), (b.flags, b.xid, b.payload));
        }
    }

    #[test]
    fn flipped_bits_never_panic(flips in proptest::collection::vec((any::<usize>(), 0u8..8), 1..20), cut in any::<usize>()) {
        let mut bytes = stream(&samples());
        for (at, bit) in flips {
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
        }
        bytes.truncate(cut % (bytes.len() + 1));
        let mut page = Page::new();
        for entry in Decoder::new(Lsn(0), &bytes).flatten() {
            let _ = entry.record.apply(&mut page, entry.lsn);
        }
    }

    #[test]
    fn any_bytes_decode_to_something(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for entry in Decoder::new(Lsn(0), &bytes).flatten() {
            let _ = entry.record.decoded(|_| ());
        }
        let _ = version::versions(&bytes).count();
    }
}
