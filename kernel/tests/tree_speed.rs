//! How long the storage kernel's basic steps take, on one thread:
//! `cargo test --release --test tree_speed -- --ignored --nocapture`.

use _kernel::base::{RowId, Xid};
use _kernel::btree::{Cursor, Tree};
use _kernel::page::Kind;
use _kernel::redo::version::{self, Push};
use _kernel::store::{Config, Volume};
use std::time::Instant;

const ROWS: u64 = 1_000_000;

#[test]
#[ignore = "a measurement, for a quiet machine"]
fn tree_speed() {
    let config = Config {
        cache_pages: 100_000,
        ..Config::default()
    };
    let vol = Volume::create(config).expect("a new volume");
    let mut mtr = vol.begin().expect("room");
    mtr.reserve(1).expect("a page");
    let tree = Tree::create(&mut mtr, Kind::RowLeaf).expect("a tree");
    mtr.commit();
    durable(&vol);
    let payload = [42u8; 97];
    timed("append a row, one MTR each", ROWS, |n| {
        let key = n.to_be_bytes();
        let cell = version::cell(RowId(n), 0, Xid(7), 0, &payload);
        let mut mtr = vol.begin().expect("room");
        let spot = tree.prepare(&mut mtr, &key, cell.len()).expect("cached");
        tree.insert_cell(&mut mtr, &spot, &key, &cell)
            .expect("inserted");
        mtr.commit();
        if n % 1000 == 0 {
            durable(&vol);
        }
    });
    durable(&vol);
    let mut sum = 0u64;
    timed("look a row up, at random", ROWS, |n| {
        let key = (n * 7_368_787 % ROWS).to_be_bytes();
        let (page, slot) = tree.get(&vol, &key).expect("cached").expect("there");
        sum += page.cell(slot).expect("a cell").len() as u64;
    });
    let mut cursor = Cursor::new(tree);
    cursor.seek_first(&vol).expect("cached");
    timed("walk over a row", ROWS, |_| {
        let (page, slot) = cursor.next(&vol).expect("cached").expect("there");
        sum += page.cell(slot).expect("a cell").len() as u64;
    });
    let before = vol.tail();
    let updates = ROWS / 4;
    timed("push a version that differs in 4 bytes", updates, |n| {
        let key = (n * 7_368_787 % ROWS).to_be_bytes();
        let mut new = payload;
        new[50..54].copy_from_slice(&(n as u32).to_le_bytes());
        let mut mtr = vol.begin().expect("room");
        let spot = tree.prepare(&mut mtr, &key, 110).expect("cached");
        let page = mtr.page(spot.leaf).expect("cached");
        let cell = page.cell(spot.slot).expect("a cell");
        let mut push = Push::diff(cell, 0, Xid(n + 8), 0, &new).expect("a row");
        drop(page);
        push.keep = 0;
        tree.push_version(&mut mtr, &spot, &key, &push)
            .expect("pushed");
        mtr.commit();
        if n % 1000 == 0 {
            durable(&vol);
        }
    });
    println!(
        "{} bytes of redo a push, {sum}",
        (vol.tail().0 - before.0) / updates
    );
}

fn durable(vol: &Volume) {
    while vol.take_flush(1 << 20).is_some() {}
    vol.set_vdl(vol.tail()).expect("a writer");
}

fn timed(what: &str, times: u64, mut step: impl FnMut(u64)) {
    let start = Instant::now();
    for n in 0..times {
        step(n);
    }
    let each = start.elapsed().as_nanos() as f64 / times as f64;
    println!("{each:8.0} ns  {what}");
}
