use super::*;
use crate::base::{Lsn, Need, PageNo, Res, RowId, Stop, Xid};
use crate::page::{Kind, Page, PageRef};
use crate::redo::version::{self, Push};
use crate::redo::{apply, Links, Record};
use crate::store::tests::Storage;
use crate::store::{Config, Pages, Volume};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pages as storage has them, without a cache.
impl Pages for Storage {
    fn page(&self, no: PageNo) -> Res<PageRef> {
        match self.pages.get(&no) {
            Some(page) => Ok(Arc::new(page.clone())),
            None => Err(Need::Page(no).into()),
        }
    }

    fn absent(&self, list: &[PageNo]) -> Vec<PageNo> {
        list.to_vec()
    }
}

pub(super) fn volume(cache_pages: usize) -> (Volume, Storage) {
    let vol = Volume::create(Config {
        cache_pages,
        ..Config::default()
    })
    .unwrap();
    (vol, Storage::default())
}

pub(super) fn create(vol: &Volume, store: &mut Storage, kind: Kind) -> Tree {
    store
        .run(vol, || {
            let mut mtr = vol.begin()?;
            mtr.reserve(1)?;
            let tree = Tree::create(&mut mtr, kind)?;
            mtr.commit();
            Ok(tree)
        })
        .unwrap()
}

pub(super) fn insert(
    vol: &Volume,
    store: &mut Storage,
    tree: Tree,
    key: &[u8],
    value: &[u8],
) -> bool {
    store
        .run(vol, || {
            let mut mtr = vol.begin()?;
            let spot = tree.prepare(&mut mtr, key, key.len() + value.len() + 3)?;
            let done = tree.insert(&mut mtr, &spot, key, value)?;
            mtr.commit();
            Ok(done)
        })
        .unwrap()
}

pub(super) fn remove(vol: &Volume, store: &mut Storage, tree: Tree, key: &[u8]) -> bool {
    store
        .run(vol, || {
            let mut mtr = vol.begin()?;
            let spot = tree.prepare_remove(&mut mtr, key)?;
            let done = tree.remove(&mut mtr, &spot, key)?;
            mtr.commit();
            Ok(done)
        })
        .unwrap()
}

fn replace(vol: &Volume, store: &mut Storage, tree: Tree, key: &[u8], value: &[u8]) -> bool {
    store
        .run(vol, || {
            let mut mtr = vol.begin()?;
            let spot = tree.prepare(&mut mtr, key, key.len() + value.len() + 3)?;
            let done = tree.replace(&mut mtr, &spot, key, value)?;
            mtr.commit();
            Ok(done)
        })
        .unwrap()
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn forward(vol: &Volume, store: &mut Storage, tree: Tree, ahead: usize) -> Pairs {
    let mut cursor = Cursor::new(tree).with_read_ahead(ahead);
    let mut seen = Pairs::new();
    store.run(vol, || cursor.seek_first(vol)).unwrap();
    while let Some(cell) = store
        .run(vol, || {
            let Some((page, slot)) = cursor.next(vol)? else {
                return Ok(None);
            };
            Ok(Some((
                key_of(page, slot)?.to_vec(),
                value_of(page, slot)?.to_vec(),
            )))
        })
        .unwrap()
    {
        seen.push(cell);
    }
    seen
}

fn backward(vol: &Volume, store: &mut Storage, tree: Tree) -> Pairs {
    let mut cursor = Cursor::new(tree);
    let mut seen = Pairs::new();
    store.run(vol, || cursor.seek_last(vol)).unwrap();
    while let Some(cell) = store
        .run(vol, || {
            let Some((page, slot)) = cursor.prev(vol)? else {
                return Ok(None);
            };
            Ok(Some((
                key_of(page, slot)?.to_vec(),
                value_of(page, slot)?.to_vec(),
            )))
        })
        .unwrap()
    {
        seen.push(cell);
    }
    seen
}

/// The tree has exactly the model's content, both ways, on the node and in storage; and the cache agrees with storage.
pub(super) fn agree(
    vol: &Volume,
    store: &mut Storage,
    tree: Tree,
    model: &BTreeMap<Vec<u8>, Vec<u8>>,
) {
    let all: Pairs = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(forward(vol, store, tree, 0), all);
    assert_eq!(forward(vol, store, tree, 20), all);
    let mut reversed = all;
    reversed.reverse();
    assert_eq!(backward(vol, store, tree), reversed);
    store.flush(vol);
    let stats = check(store, tree).unwrap();
    assert_eq!(stats.cells, model.len() as u64);
    for (no, page) in &store.pages {
        if let Some(cached) = vol.cached(*no) {
            assert!(*cached == *page, "page {no} differs from its replay");
        }
    }
}

#[test]
fn rising_keys_fill_pages_and_falling_removals_give_them_back() {
    let (vol, mut store) = volume(100);
    let tree = create(&vol, &mut store, Kind::Leaf);
    let mut model = BTreeMap::new();
    for n in 0..20_000u64 {
        let key = n.to_be_bytes().to_vec();
        assert!(insert(&vol, &mut store, tree, &key, b"value"));
        model.insert(key, b"value".to_vec());
    }
    agree(&vol, &mut store, tree, &model);
    let stats = check(&store, tree).unwrap();
    assert!(stats.bytes / stats.leaves > 8000, "{stats:?}");
    let pages = store.pages.len();
    for n in (0..20_000u64).rev() {
        assert!(remove(&vol, &mut store, tree, &n.to_be_bytes()));
    }
    agree(&vol, &mut store, tree, &BTreeMap::new());
    assert_eq!(check(&store, tree).unwrap().leaves, 1);
    // What was freed is used again once the horizon has passed.
    vol.set_horizon(vol.vdl());
    for n in 0..20_000u64 {
        insert(&vol, &mut store, tree, &n.to_be_bytes(), b"value");
    }
    store.flush(&vol);
    assert_eq!(store.pages.len(), pages);
}

/// Found by a driver's test: a unique index did not see a key, since its entry had gone to a leaf of the tree whose root it took over.
#[test]
fn a_tree_on_a_dropped_trees_root_remembers_nothing_of_it() {
    let (vol, mut store) = volume(1000);
    let old = create(&vol, &mut store, Kind::Leaf);
    for n in 0..2_000u64 {
        insert(&vol, &mut store, old, &n.to_be_bytes(), b"old");
    }
    store.flush(&vol);
    let owned: Vec<PageNo> = store
        .pages
        .iter()
        .filter(|(_, page)| page.owner() == old.root)
        .map(|(no, _)| *no)
        .collect();
    assert!(owned.len() > 2 && owned.contains(&old.root));
    store
        .run(&vol, || {
            let mut mtr = vol.begin()?;
            for no in &owned {
                mtr.prepare_free(*no)?;
            }
            for no in &owned {
                mtr.free(*no)?;
            }
            mtr.commit();
            Ok(())
        })
        .unwrap();
    store.flush(&vol);
    vol.set_horizon(vol.vdl());
    let new = create(&vol, &mut store, Kind::Leaf);
    assert_eq!(new.root, old.root, "the lowest free page is taken first");
    let key = u64::MAX.to_be_bytes();
    assert!(insert(&vol, &mut store, new, &key, b"new"));
    assert!(!insert(&vol, &mut store, new, &key, b"again"));
    agree(
        &vol,
        &mut store,
        new,
        &BTreeMap::from([(key.to_vec(), b"new".to_vec())]),
    );
}

#[test]
fn a_queue_does_not_leave_a_trail() {
    let (vol, mut store) = volume(100);
    let tree = create(&vol, &mut store, Kind::Leaf);
    let mut model = BTreeMap::new();
    for n in 0..30_000u64 {
        insert(&vol, &mut store, tree, &n.to_be_bytes(), b"queued");
        model.insert(n.to_be_bytes().to_vec(), b"queued".to_vec());
        if n >= 1000 {
            assert!(remove(&vol, &mut store, tree, &(n - 1000).to_be_bytes()));
            model.remove((n - 1000).to_be_bytes().as_slice());
        }
        if n % 100 == 0 {
            store.flush(&vol);
            vol.set_horizon(vol.vdl());
        }
    }
    agree(&vol, &mut store, tree, &model);
    assert!(check(&store, tree).unwrap().leaves < 8);
    assert!(store.pages.len() < 40, "{}", store.pages.len());
}

#[test]
fn row_leaves_keep_room_for_versions_and_split_when_it_is_gone() {
    let (vol, mut store) = volume(200);
    let tree = create(&vol, &mut store, Kind::RowLeaf);
    let mut rows: Vec<Vec<Vec<u8>>> = Vec::new();
    for n in 0..500u64 {
        let payload = vec![n as u8; 100];
        let cell = version::cell(RowId(n), 0, Xid(1), 0, &payload);
        store
            .run(&vol, || {
                let mut mtr = vol.begin()?;
                let key = n.to_be_bytes();
                let spot = tree.prepare(&mut mtr, &key, cell.len())?;
                assert!(tree.insert_cell(&mut mtr, &spot, &key, &cell)?);
                mtr.commit();
                Ok(())
            })
            .unwrap();
        rows.push(vec![payload]);
    }
    for round in 0..3000u64 {
        let n = round * 7919 % 500;
        let mut payload = rows[n as usize][0].clone();
        payload[10] = round as u8;
        store
            .run(&vol, || {
                let mut mtr = vol.begin()?;
                let key = n.to_be_bytes();
                let spot = tree.prepare(&mut mtr, &key, 130)?;
                assert!(spot.found);
                let page = mtr.page(spot.leaf)?;
                let mut push = Push::diff(page.cell(spot.slot)?, 0, Xid(round), 0, &payload)?;
                drop(page);
                push.keep = 4;
                assert!(tree.push_version(&mut mtr, &spot, &key, &push)?);
                mtr.commit();
                Ok(())
            })
            .unwrap();
        rows[n as usize].insert(0, payload);
        rows[n as usize].truncate(5);
    }
    let model = forward(&vol, &mut store, tree, 8);
    for ((key, versions), (n, row)) in model.iter().zip(rows.iter().enumerate()) {
        assert_eq!(key, &(n as u64).to_be_bytes());
        let mut cell = key.clone();
        cell.extend_from_slice(versions);
        let seen: Vec<Vec<u8>> = version::versions(&cell)
            .map(|v| v.unwrap().payload.to_vec())
            .collect();
        assert_eq!(&seen, row);
    }
    let model = model.into_iter().collect();
    agree(&vol, &mut store, tree, &model);
}

proptest! {
    #[test]
    fn row_ids_with_gaps_are_found(ids in proptest::collection::btree_set(0u64..300, 0..60), wanted in 0u64..310, base in 0u64..1000) {
        let mut page = Page::new();
        let cells: Vec<Vec<u8>> = ids.iter().map(|id| version::cell(RowId(base + id), 1, Xid(0), 0, b"row")).collect();
        let init = Record::Init {
            kind: Kind::RowLeaf,
            level: 0,
            owner: PageNo(2),
            links: Links::NONE,
            cells: cells.iter().map(Vec::as_slice).collect(),
        };
        apply(&mut page, Lsn(1), &init).unwrap();
        let found = lower_bound(&page, &(base + wanted).to_be_bytes()).unwrap();
        prop_assert_eq!(found, ids.iter().filter(|id| **id < wanted).count());
        prop_assert_eq!(lower_bound(&page, &[]).unwrap(), 0);
        prop_assert_eq!(lower_bound(&page, &u64::MAX.to_be_bytes()).unwrap(), ids.len());
        prop_assert_eq!(lower_bound(&page, &0u64.to_be_bytes()).unwrap(), 0);
    }
}

#[test]
fn a_cursor_survives_what_happens_around_it() {
    let (vol, mut store) = volume(10_000);
    let tree = create(&vol, &mut store, Kind::Leaf);
    for n in (0..10_000u64).step_by(2) {
        insert(&vol, &mut store, tree, &n.to_be_bytes(), b"even");
    }
    let (mut up, mut down) = (Cursor::new(tree), Cursor::new(tree));
    up.seek_first(&vol).unwrap();
    down.seek_last(&vol).unwrap();
    let (mut ups, mut downs) = (Vec::new(), Vec::new());
    for n in (1..10_000u64).step_by(2) {
        // Splits everywhere, and whole ranges vanish ahead of both cursors and behind them.
        insert(
            &vol,
            &mut store,
            tree,
            &(n * 7919 % 10_000).to_be_bytes(),
            b"odd",
        );
        if n > 4001 && n < 5001 {
            remove(&vol, &mut store, tree, &(n - 1).to_be_bytes());
            remove(&vol, &mut store, tree, &n.to_be_bytes());
        }
        if let Some((page, slot)) = up.next(&vol).unwrap() {
            ups.push(key_of(page, slot).unwrap().to_vec());
        }
        if let Some((page, slot)) = down.prev(&vol).unwrap() {
            downs.push(key_of(page, slot).unwrap().to_vec());
        }
    }
    assert!(ups.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(downs.windows(2).all(|pair| pair[0] > pair[1]));
    while let Some((page, slot)) = up.next(&vol).unwrap() {
        ups.push(key_of(page, slot).unwrap().to_vec());
    }
    while let Some((page, slot)) = down.prev(&vol).unwrap() {
        downs.push(key_of(page, slot).unwrap().to_vec());
    }
    assert!(ups.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(downs.windows(2).all(|pair| pair[0] > pair[1]));
    for n in (0..10_000u64)
        .step_by(2)
        .filter(|n| !(4000..5002).contains(n))
    {
        let key = n.to_be_bytes().to_vec();
        assert!(ups.binary_search(&key).is_ok(), "{n} is missing going up");
        let found = downs.binary_search_by(|other| key.cmp(other));
        assert!(found.is_ok(), "{n} is missing going down");
    }
    store.flush(&vol);
    check(&store, tree).unwrap();
}

#[test]
fn a_cold_scan_asks_for_many_leaves_at_once() {
    let (vol, mut store) = volume(4000);
    let tree = create(&vol, &mut store, Kind::Leaf);
    for n in 0..50_000u64 {
        insert(&vol, &mut store, tree, &n.to_be_bytes(), b"12345678");
    }
    store.flush(&vol);
    let leaves = check(&store, tree).unwrap().leaves as usize;
    vol.forget();
    let mut cursor = Cursor::new(tree).with_read_ahead(32);
    let (mut asked, mut pages, mut seen) = (0, 0, 0);
    store.run(&vol, || cursor.seek_first(&vol)).unwrap();
    loop {
        match cursor.next_leaf(&vol) {
            Ok(Some(leaf)) => seen += leaf.to - leaf.from,
            Ok(None) => break,
            Err(Stop::Need(Need::Pages(list))) => {
                asked += 1;
                pages += list.len();
                list.iter().for_each(|no| store.fetch(&vol, *no));
            }
            Err(stop) => panic!("{stop:?}"),
        }
    }
    assert_eq!(seen, 50_000);
    assert_eq!(pages, leaves - 1);
    assert!(
        asked <= leaves / 32 + 4,
        "{asked} times for {leaves} leaves"
    );
    cursor.seek_first(&vol).unwrap();
    assert_eq!(cursor.upcoming(&vol, 5).unwrap().len(), 5);
    let (about, cells) = tree.estimate(&vol).unwrap();
    assert!(about as usize * 2 > leaves && (about as usize) < leaves * 2);
    assert!(cells > 25_000 && cells < 100_000);
    let cuts = tree.cuts(&vol, 4).unwrap();
    assert_eq!(cuts.len(), 3);
    assert!(cuts.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn readers_in_other_threads_see_a_whole_tree_all_the_time() {
    let (vol, mut store) = volume(10_000);
    let tree = create(&vol, &mut store, Kind::Leaf);
    for n in (0..20_000u64).step_by(10) {
        insert(&vol, &mut store, tree, &n.to_be_bytes(), b"stays");
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    let scan = |backward: bool| {
        let mut cursor = Cursor::new(tree);
        let mut stays = 0;
        let mut last: Option<Vec<u8>> = None;
        if backward {
            cursor.seek_last(&vol).unwrap();
        } else {
            cursor.seek_first(&vol).unwrap();
        }
        loop {
            let step = if backward {
                cursor.prev(&vol)
            } else {
                cursor.next(&vol)
            };
            let Some((page, slot)) = step.unwrap() else {
                break;
            };
            let key = key_of(page, slot).unwrap().to_vec();
            assert!(last.is_none_or(|last| if backward { key < last } else { key > last }));
            stays += u32::from(value_of(page, slot).unwrap() == b"stays");
            last = Some(key);
        }
        assert_eq!(stays, 2000);
    };
    std::thread::scope(|threads| {
        for backward in [false, true] {
            let (scan, done) = (&scan, &done);
            threads.spawn(move || {
                while !done.load(std::sync::atomic::Ordering::Acquire) {
                    scan(backward);
                }
            });
        }
        for _ in 0..3 {
            for (step, n) in (0..20_000u64).map(|n| (n, n * 7919 % 20_000)) {
                if n % 10 != 0 {
                    insert(&vol, &mut store, tree, &n.to_be_bytes(), &[1; 60]);
                }
                if step % 500 == 0 {
                    store.flush(&vol);
                }
            }
            for n in (0..20_000u64).filter(|n| n % 10 != 0) {
                remove(&vol, &mut store, tree, &n.to_be_bytes());
            }
        }
        done.store(true, std::sync::atomic::Ordering::Release);
    });
    scan(false);
    store.flush(&vol);
    check(&store, tree).unwrap();
}

#[test]
fn too_long_a_key_and_too_big_a_row_are_54000() {
    let (vol, mut store) = volume(100);
    let tree = create(&vol, &mut store, Kind::Leaf);
    let mut mtr = vol.begin().unwrap();
    let Err(Stop::Error(error)) = tree.prepare(&mut mtr, &[1; MAX_KEY + 1], 10) else {
        panic!("accepted");
    };
    assert_eq!(error.code_str(), "54000");
    drop(mtr);
    assert!(insert(&vol, &mut store, tree, &[1; MAX_KEY], b""));
    assert!(insert(&vol, &mut store, tree, b"k", &[7; MAX_CELL - 10]));
}

#[derive(Debug, Clone)]
enum Op {
    Insert(Vec<u8>, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize),
    /// Insert all of them in one MTR: prepared first, then performed.
    Many(Vec<(Vec<u8>, Vec<u8>)>),
    /// Remove these, likewise.
    RemoveMany(usize, usize),
    Flush,
    Horizon,
}

fn op(key_max: usize, value_max: usize) -> impl Strategy<Value = Op> {
    let key = move || {
        prop_oneof![
            3 => proptest::collection::vec(0u8..4, 0..12),
            1 => (proptest::collection::vec(0u8..3, 0..6), 0..key_max)
                .prop_map(|(mut key, len)| { key.resize(key.len().max(len), 9); key }),
        ]
    };
    let value = move || (any::<u8>(), 0..value_max).prop_map(|(byte, len)| vec![byte; len]);
    prop_oneof![
        8 => (key(), value()).prop_map(|(k, v)| Op::Insert(k, v)),
        3 => (any::<usize>(), value()).prop_map(|(k, v)| Op::Replace(k, v)),
        5 => any::<usize>().prop_map(Op::Remove),
        2 => proptest::collection::vec((key(), value()), 1..10).prop_map(Op::Many),
        1 => (any::<usize>(), 1usize..30).prop_map(|(at, n)| Op::RemoveMany(at, n)),
        1 => Just(Op::Flush),
        1 => Just(Op::Horizon),
    ]
}

fn run_ops(ops: Vec<Op>, cache_pages: usize, forgetful: usize) {
    let (vol, mut store) = volume(cache_pages);
    store.forgetful = forgetful;
    let tree = create(&vol, &mut store, Kind::Leaf);
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let nth = |model: &BTreeMap<Vec<u8>, Vec<u8>>, at: usize| {
        model.keys().nth(at % model.len().max(1)).cloned()
    };
    for op in ops {
        match op {
            Op::Insert(key, value) => {
                let fresh = insert(&vol, &mut store, tree, &key, &value);
                assert_eq!(fresh, !model.contains_key(&key));
                model.entry(key).or_insert(value);
            }
            Op::Replace(at, value) => {
                if let Some(key) = nth(&model, at) {
                    assert!(replace(&vol, &mut store, tree, &key, &value));
                    model.insert(key, value);
                }
            }
            Op::Remove(at) => {
                if let Some(key) = nth(&model, at) {
                    assert!(remove(&vol, &mut store, tree, &key));
                    model.remove(&key);
                    assert!(!remove(&vol, &mut store, tree, &key));
                }
            }
            Op::Many(pairs) => {
                store.run(&vol, || insert_many(&vol, tree, &pairs)).unwrap();
                model.extend(pairs.into_iter().rev());
            }
            Op::RemoveMany(at, n) => {
                let from = at % model.len().max(1);
                let keys: Vec<Vec<u8>> = model.keys().skip(from).take(n).cloned().collect();
                store
                    .run(&vol, || {
                        let mut mtr = vol.begin()?;
                        let mut spots = Vec::new();
                        for key in &keys {
                            spots.push(tree.prepare_remove(&mut mtr, key)?);
                        }
                        for (key, spot) in keys.iter().zip(&spots) {
                            assert!(tree.remove(&mut mtr, spot, key)?);
                        }
                        mtr.commit();
                        Ok(())
                    })
                    .unwrap();
                keys.iter().for_each(|key| drop(model.remove(key)));
            }
            Op::Flush => store.flush(&vol),
            Op::Horizon => vol.set_horizon(vol.vdl()),
        }
    }
    agree(&vol, &mut store, tree, &model);
    for (key, value) in &model {
        let (page, slot) = store.run(&vol, || tree.get(&vol, key)).unwrap().unwrap();
        assert_eq!(value_of(&page, slot).unwrap(), &value[..]);
    }
}

fn insert_many(vol: &Volume, tree: Tree, pairs: &Pairs) -> Res<()> {
    let mut mtr = vol.begin()?;
    let mut spots = Vec::new();
    for (key, value) in pairs {
        spots.push(tree.prepare(&mut mtr, key, key.len() + value.len() + 3)?);
    }
    // Performed in another order than prepared.
    for ((key, value), spot) in pairs.iter().zip(&spots).rev() {
        tree.insert(&mut mtr, spot, key, value)?;
    }
    // Keys that were there, or stand twice in the list, get another value.
    for ((key, value), spot) in pairs.iter().zip(&spots).rev() {
        tree.replace(&mut mtr, spot, key, value)?;
    }
    mtr.commit();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_tree_is_a_sorted_map_whatever_the_cache_forgets(
        ops in proptest::collection::vec(op(60, 300), 1..400), cache in prop_oneof![Just(300usize), Just(4000)], forgetful in 0usize..3,
    ) {
        run_ops(ops, cache, forgetful);
    }

    #[test]
    fn long_keys_and_big_values_split_too(
        ops in proptest::collection::vec(op(MAX_KEY, 2900), 1..200), cache in prop_oneof![Just(300usize), Just(4000)], forgetful in 0usize..3,
    ) {
        run_ops(ops, cache, forgetful);
    }
}
