use super::header::HEADER;
use super::*;
use crate::base::{Lsn, Need, PageNo, Res, Stop};
use crate::page::{Kind, Page, BODY};
use crate::redo::{stream, Bits, Decoder, Record};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What storage would have: pages built from the stream alone, each version of them on demand.
#[derive(Default)]
pub(crate) struct Storage {
    pub pages: BTreeMap<PageNo, Page>,
    pub end: u64,
    /// Every so many calls of `run` begin with a cache that has forgotten all that it may. 0: never.
    pub forgetful: usize,
    calls: usize,
}

impl Storage {
    /// Take everything that the volume wrote and make it durable.
    pub fn flush(&mut self, vol: &Volume) {
        while let Some(flush) = vol.take_flush(1000) {
            assert_eq!(flush.start, Lsn(self.end));
            let mut cpl = false;
            for entry in Decoder::new(flush.start, &flush.records) {
                let entry = entry.unwrap();
                let page = self.pages.entry(entry.page).or_default();
                entry.record.apply(page, entry.lsn).unwrap();
                cpl = entry.cpl;
            }
            assert!(cpl, "a flush ends with a CPL");
            self.end = flush.end.0;
        }
        vol.set_vdl(Lsn(self.end)).unwrap();
    }

    /// Run until done, fetching what is missing and making durable what has to be.
    pub fn run<T>(&mut self, vol: &Volume, mut call: impl FnMut() -> Res<T>) -> Res<T> {
        self.calls += 1;
        if self.forgetful > 0 && self.calls.is_multiple_of(self.forgetful) {
            vol.pool.forget();
        }
        loop {
            match call() {
                Err(Stop::Need(Need::Page(no))) => self.fetch(vol, no),
                Err(Stop::Need(Need::Pages(list))) => {
                    list.iter().for_each(|no| self.fetch(vol, *no))
                }
                Err(Stop::Need(Need::Durable(_))) => self.flush(vol),
                other => return other,
            }
        }
    }

    pub fn fetch(&mut self, vol: &Volume, no: PageNo) {
        self.flush(vol);
        if vol.fetch_begin(no).is_some() {
            let page = self.pages.get(&no).cloned().unwrap_or_default();
            vol.install(no, Page::from_bytes(&page.seal()).unwrap())
                .unwrap();
        }
    }
}

fn volume() -> Volume {
    Volume::create(Config {
        cache_pages: 100,
        ..Config::default()
    })
    .unwrap()
}

fn plain(vol: &Volume) -> PageNo {
    try_plain(vol).unwrap()
}

fn try_plain(vol: &Volume) -> Res<PageNo> {
    let mut mtr = vol.begin()?;
    mtr.reserve(1)?;
    let no = mtr.alloc()?;
    mtr.log(no, &Record::empty(Kind::Plain, 0, no))?;
    mtr.commit();
    Ok(no)
}

fn put(vol: &Volume, no: PageNo, byte: u8) -> Res<Lsn> {
    let mut mtr = vol.begin()?;
    mtr.page(no)?;
    mtr.log(
        no,
        &Record::PutBytes {
            offset: BODY as u16,
            bytes: &[byte],
        },
    )?;
    Ok(mtr.commit())
}

fn byte(page: &Page) -> u8 {
    page.bytes()[BODY]
}

#[test]
fn a_new_volume_has_a_header_that_replay_gives_too() {
    let (vol, mut store) = (volume(), Storage::default());
    assert_eq!(vol.field(Field::Xid).unwrap(), 1);
    let mut mtr = vol.begin().unwrap();
    assert_eq!(mtr.field(Field::Root(3)).unwrap(), 0);
    mtr.set_field(Field::Root(3), 0x1234).unwrap();
    mtr.set_field(Field::Root(63), u64::MAX).unwrap();
    mtr.commit();
    store.flush(&vol);
    let opened = Volume::open(Config::default(), vol.vdl(), Lsn(vol.vdl().0 + 50));
    let root = store.run(&opened, || opened.field(Field::Root(3))).unwrap();
    assert_eq!(root, 0x1234);
    assert_eq!(opened.field(Field::Root(63)).unwrap(), u64::MAX);
    assert_eq!(opened.tail(), Lsn(vol.vdl().0 + 50));
}

#[test]
fn flushes_are_whole_mtrs_that_follow_each_other() {
    let vol = volume();
    let no = plain(&vol);
    let mut ends = vec![vol.tail()];
    for n in 0..100 {
        ends.push(put(&vol, no, n).unwrap());
    }
    let mut at = Lsn(0);
    while let Some(flush) = vol.take_flush(25) {
        assert_eq!(flush.start, at);
        assert_eq!(flush.end.0 - flush.start.0, flush.records.len() as u64);
        let last = Decoder::new(at, &flush.records).last().unwrap().unwrap();
        assert!(last.cpl);
        assert_eq!(last.lsn, flush.end);
        assert!(at == Lsn(0) || ends.contains(&flush.end));
        assert!(at == Lsn(0) || flush.records.len() <= 25);
        at = flush.end;
        assert_eq!(vol.taken(), at);
    }
    assert_eq!(at, vol.tail());
}

#[test]
fn no_page_leaves_the_cache_before_it_is_durable() {
    let vol = volume();
    let pages: Vec<PageNo> = (0..60).map(|_| plain(&vol)).collect();
    let (mut stopped, mut more) = (None, Vec::new());
    for _ in 0..300 {
        match vol.begin() {
            Ok(mtr) => drop(mtr),
            Err(stop) => {
                stopped = Some(stop);
                break;
            }
        }
        more.push(plain(&vol));
    }
    assert!(matches!(stopped, Some(Stop::Need(Need::Durable(lsn))) if lsn <= vol.tail()));
    assert!(pages
        .iter()
        .chain(&more)
        .all(|no| vol.cached(*no).is_some()));
    let mut store = Storage::default();
    for _ in 0..200 {
        store.run(&vol, || try_plain(&vol)).unwrap();
        store.flush(&vol);
    }
    let (held, capacity) = vol.cache_size();
    assert!(held <= capacity, "{held} of {capacity}");
}

#[test]
fn the_allocation_limit_holds_writers_back() {
    let vol = Volume::create(Config {
        ahead_bytes: 2000,
        ..Config::default()
    })
    .unwrap();
    let no = plain(&vol);
    let stop = loop {
        if let Err(stop) = put(&vol, no, 1) {
            break stop;
        }
    };
    let Stop::Need(Need::Durable(lsn)) = stop else {
        panic!("{stop:?}");
    };
    assert!(vol.tail().0 < 2100 && lsn > vol.vdl() && lsn <= vol.tail());
    vol.set_vdl(lsn).unwrap();
    put(&vol, no, 2).unwrap();
    vol.set_limit(vol.tail());
    assert!(put(&vol, no, 2).is_err());
}

#[test]
fn bulk_writers_leave_room_for_small_ones() {
    let vol = Volume::create(Config {
        ahead_bytes: 20_000,
        ..Config::default()
    })
    .unwrap();
    let no = plain(&vol);
    vol.set_vdl(vol.tail()).unwrap();
    while vol.check_bulk_room().is_ok() {
        put(&vol, no, 1).unwrap();
    }
    let ahead = vol.tail().0 - vol.vdl().0;
    assert!((4_000..6_000).contains(&ahead), "{ahead} bytes ahead");
    assert!(matches!(
        vol.begin_bulk().err(),
        Some(Stop::Need(Need::Durable(lsn))) if lsn > vol.vdl() && lsn <= vol.tail()
    ));
    for _ in 0..100 {
        put(&vol, no, 1).unwrap();
    }
}

#[test]
fn a_page_that_a_reader_holds_stays_as_it_was() {
    let vol = volume();
    let no = plain(&vol);
    put(&vol, no, 1).unwrap();
    let old = vol.page(no).unwrap();
    put(&vol, no, 2).unwrap();
    assert_eq!(byte(&old), 1);
    assert_eq!(byte(&vol.page(no).unwrap()), 2);
}

#[test]
fn a_change_of_a_page_that_was_not_fetched_stops_the_writer_for_good() {
    let (vol, mut store) = (volume(), Storage::default());
    let no = plain(&vol);
    store.flush(&vol);
    vol.pool.forget();
    let mut mtr = vol.begin().unwrap();
    assert!(mtr.log(no, &Record::SetFlags { flags: 1 }).is_err());
    drop(mtr);
    assert!(matches!(vol.begin(), Err(Stop::Error(_))));
}

#[test]
fn an_answer_that_is_older_than_the_cache_knew_is_refused() {
    let (vol, mut store) = (volume(), Storage::default());
    let no = plain(&vol);
    put(&vol, no, 1).unwrap();
    store.flush(&vol);
    vol.pool.forget();
    // Two fetches are under way. The first is installed, the page changes, is durable, and is evicted.
    let first = vol.fetch_begin(no).unwrap();
    let stale = store.pages[&no].clone();
    assert!(vol.install_at(no, stale.clone(), first).unwrap());
    store.run(&vol, || put(&vol, no, 2)).unwrap();
    store.flush(&vol);
    vol.pool.forget();
    assert!(!vol.install_at(no, stale.clone(), first).unwrap());
    let again = vol.fetch_begin(no).unwrap();
    assert!(!vol.install_at(no, stale, first).unwrap());
    assert!(vol.page(no).is_err());
    assert!(vol.install_at(no, store.pages[&no].clone(), again).unwrap());
    assert_eq!(byte(&vol.page(no).unwrap()), 2);
}

#[test]
fn freed_pages_wait_for_the_horizon() {
    let vol = volume();
    let (a, b) = (plain(&vol), plain(&vol));
    assert_eq!((a, b), (PageNo(2), PageNo(3)));
    let mut mtr = vol.begin().unwrap();
    mtr.prepare_free(a).unwrap();
    mtr.free(a).unwrap();
    let freed = mtr.commit();
    assert_eq!(plain(&vol), PageNo(4));
    vol.set_horizon(Lsn(freed.0 - 1));
    assert_eq!(plain(&vol), PageNo(5));
    vol.set_horizon(freed);
    assert_eq!(plain(&vol), a);
    assert_eq!(plain(&vol), PageNo(6));
}

#[test]
fn an_mtr_that_only_looked_leaves_nothing() {
    let vol = volume();
    let tail = vol.tail();
    let mut mtr = vol.begin().unwrap();
    mtr.reserve(3).unwrap();
    mtr.page(HEADER).unwrap();
    drop(mtr);
    assert_eq!(vol.begin().unwrap().commit(), tail);
    assert_eq!(plain(&vol), PageNo(2));
}

#[test]
fn space_goes_on_in_a_second_map() {
    let (vol, mut store) = (volume(), Storage::default());
    // As if the first map were full but for one page.
    let mut mtr = vol.begin().unwrap();
    mtr.page(PageNo(1)).unwrap();
    let count = space::COVERED as u32 - 2;
    mtr.log(
        PageNo(1),
        &Record::SetBits {
            bits: Bits {
                start: 1,
                count,
                on: true,
            },
        },
    )
    .unwrap();
    mtr.commit();
    let mut mtr = vol.begin().unwrap();
    mtr.reserve(3).unwrap();
    let got: Vec<u64> = (0..3).map(|_| mtr.alloc().unwrap().0).collect();
    assert_eq!(
        got,
        [space::COVERED, space::COVERED + 2, space::COVERED + 3]
    );
    assert_eq!(mtr.alloc().unwrap(), PageNo(space::COVERED + 4));
    mtr.commit();
    assert_eq!(vol.field(Field::Maps).unwrap(), 2);
    assert_eq!(plain(&vol), PageNo(space::COVERED + 5));
    store.flush(&vol);
    let opened = Volume::open(Config::default(), vol.vdl(), vol.vdl());
    let no = store.run(&opened, || {
        let mut mtr = opened.begin()?;
        mtr.reserve(1)?;
        mtr.alloc()
    });
    // That MTR was dropped half way on purpose: all that counts is which page it got.
    assert_eq!(no.unwrap(), PageNo(space::COVERED + 6));
}

/// A reader that gets the writer's flushes.
fn reader(store: &Storage) -> Volume {
    Volume::open_reader(Config::default(), Lsn(store.end))
}

#[test]
fn a_reader_applies_whole_flushes_up_to_vdl_to_pages_it_holds() {
    let (vol, mut store) = (volume(), Storage::default());
    let (a, b) = (plain(&vol), plain(&vol));
    put(&vol, a, 1).unwrap();
    store.flush(&vol);
    let reader = reader(&store);
    assert_eq!(byte(&store.run(&reader, || reader.page(a)).unwrap()), 1);
    put(&vol, a, 2).unwrap();
    let first = vol.take_flush(1).unwrap();
    put(&vol, a, 3).unwrap();
    put(&vol, b, 3).unwrap();
    let second = vol.take_flush(1000).unwrap();
    reader.receive(first.start, &first.records).unwrap();
    reader.receive(second.start, &second.records).unwrap();
    assert_eq!(byte(&reader.page(a).unwrap()), 1);
    reader.set_vdl(first.end).unwrap();
    assert_eq!(byte(&reader.page(a).unwrap()), 2);
    assert_eq!(reader.vdl(), first.end);
    reader.set_vdl(Lsn(second.end.0 - 1)).unwrap();
    assert_eq!(byte(&reader.page(a).unwrap()), 2);
    reader.set_vdl(second.end).unwrap();
    assert_eq!(byte(&reader.page(a).unwrap()), 3);
    assert!(reader.cached(b).is_none());
    assert_eq!(reader.held_bytes(), 0);
    assert!(reader.begin().is_err());
}

#[test]
fn a_page_that_a_reader_fetched_is_rolled_on_to_what_it_has_applied() {
    let (vol, mut store) = (volume(), Storage::default());
    let a = plain(&vol);
    put(&vol, a, 1).unwrap();
    store.flush(&vol);
    let reader = reader(&store);
    let at = reader.fetch_begin(a).unwrap();
    let old = store.pages[&a].clone();
    for n in 2..5 {
        put(&vol, a, n).unwrap();
        let flush = vol.take_flush(1).unwrap();
        reader.receive(flush.start, &flush.records).unwrap();
        reader.set_vdl(flush.end).unwrap();
    }
    assert!(reader.install_at(a, old, at).unwrap());
    assert_eq!(byte(&reader.page(a).unwrap()), 4);
    assert!(*reader.page(a).unwrap() == *vol.page(a).unwrap());
}

#[test]
fn a_record_that_does_not_fit_costs_a_reader_that_page_only() {
    let (vol, mut store) = (volume(), Storage::default());
    let (a, b) = (plain(&vol), plain(&vol));
    store.flush(&vol);
    let reader = reader(&store);
    for no in [a, b] {
        store.run(&reader, || reader.page(no)).unwrap();
    }
    let mut bytes = Vec::new();
    let bad = Record::RemoveCells { from: 9, count: 9 };
    let good = Record::PutBytes {
        offset: BODY as u16,
        bytes: &[7],
    };
    stream::put(&mut bytes, a, &bad);
    stream::put(&mut bytes, b, &good);
    let start = Lsn(store.end);
    reader.receive(start, &bytes).unwrap();
    assert!(reader.set_vdl(Lsn(start.0 + bytes.len() as u64)).is_err());
    assert!(reader.cached(a).is_none());
    assert_eq!(byte(&reader.page(b).unwrap()), 7);
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, u8),
    Send,
    Apply(u64),
    Begin(usize),
    Arrive(usize),
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..6, any::<u8>()).prop_map(|(no, byte)| Step::Put(no, byte)),
        3 => Just(Step::Send),
        3 => any::<u64>().prop_map(Step::Apply),
        3 => (0usize..6).prop_map(Step::Begin),
        3 => (0usize..6).prop_map(Step::Arrive),
        1 => Just(Step::Forget),
    ]
}

/// A page as of an LSN, from the whole stream.
fn page_at(stream: &[u8], no: PageNo, at: Lsn) -> Page {
    let mut page = Page::new();
    for entry in Decoder::new(Lsn(0), stream).map(|entry| entry.unwrap()) {
        if entry.page == no && entry.lsn <= at {
            entry.record.apply(&mut page, entry.lsn).unwrap();
        }
    }
    page
}

proptest! {
    #[test]
    fn a_readers_pages_are_the_writers_as_of_its_vdl(steps in proptest::collection::vec(step(), 1..150)) {
        let vol = volume();
        let pages: Vec<PageNo> = (0..6).map(|_| plain(&vol)).collect();
        let (mut stream, mut ends) = (Vec::new(), Vec::new());
        let mut asked: BTreeMap<PageNo, Lsn> = BTreeMap::new();
        let reader = Volume::open_reader(Config::default(), Lsn(0));
        for step in steps {
            match step {
                Step::Put(no, byte) => drop(put(&vol, pages[no], byte).unwrap()),
                Step::Send => {
                    if let Some(flush) = vol.take_flush(40) {
                        stream.extend_from_slice(&flush.records);
                        ends.push(flush.end);
                        reader.receive(flush.start, &flush.records).unwrap();
                    }
                }
                Step::Apply(n) => {
                    if let Some(end) = ends.get((n % 20) as usize * ends.len() / 20) {
                        reader.set_vdl(*end.max(&reader.vdl())).unwrap();
                    }
                }
                Step::Begin(no) => {
                    if let Some(at) = reader.fetch_begin(pages[no]) {
                        asked.entry(pages[no]).or_insert(at);
                    }
                }
                Step::Arrive(no) => {
                    if let Some(at) = asked.remove(&pages[no]) {
                        reader.install_at(pages[no], page_at(&stream, pages[no], at), at).unwrap();
                    }
                }
                Step::Forget => reader.forget(),
            }
            for no in &pages {
                if let Some(held) = reader.cached(*no) {
                    prop_assert!(*held == page_at(&stream, *no, reader.vdl()));
                }
            }
        }
    }
}

#[test]
fn a_promoted_reader_keeps_its_cache_and_writes_on() {
    let (vol, mut store) = (volume(), Storage::default());
    let a = plain(&vol);
    put(&vol, a, 1).unwrap();
    store.flush(&vol);
    let reader = reader(&store);
    store.run(&reader, || reader.page(a)).unwrap();
    reader
        .promote(Lsn(store.end), Lsn(store.end + 1000))
        .unwrap();
    assert!(reader.cached(a).is_some());
    let end = store.run(&reader, || put(&reader, a, 9)).unwrap();
    assert!(end.0 > store.end + 1000);
    // One that had not applied everything starts with an empty cache.
    let late = Volume::open_reader(Config::default(), Lsn(0));
    late.fetch_begin(a).unwrap();
    late.install(a, Page::new()).unwrap();
    late.promote(Lsn(store.end), Lsn(store.end)).unwrap();
    assert!(late.cached(a).is_none());
}
