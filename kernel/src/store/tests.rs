use super::*;
use crate::base::{Lsn, Need, PageNo, Res, Stop};
use crate::page::Page;
use crate::redo::{apply, Decoder};
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
                apply(page, entry.lsn, &entry.record().unwrap()).unwrap();
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

    fn fetch(&mut self, vol: &Volume, no: PageNo) {
        self.flush(vol);
        if vol.fetch_begin(no).is_some() {
            let page = self.pages.get(&no).cloned().unwrap_or_default();
            vol.install(no, Page::from_bytes(&page.seal()).unwrap())
                .unwrap();
        }
    }
}
