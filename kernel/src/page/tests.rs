use super::*;
use proptest::prelude::*;

fn leaf() -> Page {
    let mut page = Page::new();
    page.format(Kind::Leaf, 0, PageNo(7), PageNo(0));
    page
}

#[test]
fn a_sealed_page_comes_back_equal_and_a_flipped_bit_is_found() {
    let mut page = leaf();
    page.insert(0, b"hello").unwrap();
    let sealed = page.seal();
    assert!(Page::from_bytes(&sealed).unwrap() == page);
    for at in [0, 5, 33, 64, 4000, 8191] {
        let mut bad = sealed;
        bad[at] ^= 4;
        assert!(Page::from_bytes(&bad).is_err(), "flip at {at}");
    }
    assert!(Page::from_bytes(&sealed[1..]).is_err());
}

#[test]
fn a_page_never_written_is_sealed_and_read_too() {
    let page = Page::from_bytes(&Page::new().seal()).unwrap();
    assert_eq!(page.kind(), Kind::Free);
    assert_eq!(page.lsn(), Lsn(0));
}

#[derive(Debug, Clone)]
enum Op {
    Insert(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize, usize),
    High(Option<Vec<u8>>),
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..900);
    prop_oneof![
        4 => (any::<usize>(), bytes()).prop_map(|(at, b)| Op::Insert(at, b)),
        3 => (any::<usize>(), bytes()).prop_map(|(at, b)| Op::Replace(at, b)),
        2 => (any::<usize>(), 0usize..4).prop_map(|(at, n)| Op::Remove(at, n)),
        1 => proptest::option::of(bytes()).prop_map(Op::High),
    ]
}

proptest! {
    #[test]
    fn cells_do_what_a_vector_does(ops in proptest::collection::vec(op(), 1..120)) {
        let mut page = leaf();
        let mut model: Vec<Vec<u8>> = Vec::new();
        let mut high: Option<Vec<u8>> = None;
        for op in ops {
            let before = page.clone();
            match op {
                Op::Insert(at, cell) => {
                    let at = at % (model.len() + 1);
                    if page.fits(cell.len()) {
                        page.insert(at, &cell).unwrap();
                        model.insert(at, cell);
                    } else {
                        prop_assert!(page.insert(at, &cell).is_err());
                        prop_assert!(page == before);
                    }
                }
                Op::Replace(at, cell) if !model.is_empty() => {
                    let at = at % model.len();
                    if page.replace(at, &cell).is_ok() {
                        model[at] = cell;
                    } else {
                        prop_assert!(page == before);
                    }
                }
                Op::Remove(at, n) if !model.is_empty() => {
                    let at = at % model.len();
                    let n = n.min(model.len() - at);
                    page.remove(at, n).unwrap();
                    model.drain(at..at + n);
                }
                Op::High(key) => {
                    let room = page.free_space() + high.as_ref().map_or(0, Vec::len);
                    if key.as_ref().is_none_or(|key| key.len() <= room && !key.is_empty()) {
                        page.set_links(PageNo(9), key.as_deref()).unwrap();
                        high = key;
                    }
                }
                _ => {}
            }
            prop_assert_eq!(page.count(), model.len());
            for (slot, cell) in model.iter().enumerate() {
                prop_assert_eq!(page.cell(slot).unwrap(), &cell[..]);
            }
            prop_assert_eq!(page.high().unwrap(), high.as_deref());
            let used: usize = model.iter().map(|cell| cell.len() + SLOT_SIZE).sum::<usize>()
                + high.as_ref().map_or(0, Vec::len);
            prop_assert_eq!(page.free_space(), BODY_SIZE - used);
        }
    }

    #[test]
    fn damaged_pages_answer_and_do_not_panic(
        bytes in proptest::collection::vec((0usize..200, any::<u8>()), 1..60),
        slot in 0usize..100,
    ) {
        let mut page = leaf();
        for n in 0..20 { page.insert(n, &[n as u8; 40]).unwrap(); }
        for (at, byte) in bytes { page.bytes[at] = byte; }
        let _ = page.cell(slot);
        let _ = page.high();
        let _ = page.free_space();
        let _ = page.clone().insert(slot, &[1; 300]);
        let _ = page.clone().replace(slot, &[1; 300]);
        let _ = page.clone().remove(slot, 3);
        let _ = page.clone().set_links(PageNo(1), Some(&[3; 500]));
        let _ = page.clone().compact();
    }
}
