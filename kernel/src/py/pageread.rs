//! `PageRead`: pages at an LSN, read out of a `SegmentStore` and of the layer files' bytes that it asks for.

use super::segment::{failed, SegmentStore};
use crate::base::{Lsn, PageNo};
use crate::page::PAGE_SIZE;
use crate::segment::read::{Answer, Piece, Read};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// Statuses of a page in an answer, see `sixfold.pagestore.wire`.
const OK: u8 = 0;
const BEHIND: u8 = 1;
const TOO_OLD: u8 = 2;

#[pyclass(module = "sixfold.kernel._kernel")]
pub struct PageRead {
    store: Py<SegmentStore>,
    read: Mutex<Read>,
}

#[pymethods]
impl PageRead {
    /// `pages`: (page, end of its group's last batch at or below `lsn`).
    #[new]
    fn new(
        py: Python<'_>,
        store: Py<SegmentStore>,
        pages: Vec<(u64, u64)>,
        lsn: u64,
    ) -> PyResult<PageRead> {
        let pages: Vec<_> = pages
            .into_iter()
            .map(|(page, tail)| (PageNo(page), Lsn(tail)))
            .collect();
        let begun = store.get().shared().lock().store.read(&pages, Lsn(lsn));
        let read = Mutex::new(begun.map_err(|stop| failed(py, stop))?);
        Ok(PageRead { store, read })
    }

    /// (layer, offset, length) of what must be read next; empty: the answer is there.
    fn needs(&self) -> Vec<(u64, u64, u32)> {
        let needs = self.read.lock().needs();
        needs
            .iter()
            .map(|piece| (piece.layer, piece.offset, piece.len))
            .collect()
    }

    /// The bytes of one of them.
    fn feed(&self, py: Python<'_>, layer: u64, offset: u64, bytes: PyBackedBytes) -> PyResult<()> {
        let piece = Piece {
            layer,
            offset,
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        let shared = self.store.get().shared();
        let mut segments = shared.lock();
        segments
            .store
            .feed(&mut self.read.lock(), piece, &bytes)
            .map_err(|stop| failed(py, stop))
    }

    /// `head`, and behind it each page's part of a `P` message.
    fn answer<'py>(&self, py: Python<'py>, head: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let read = self.read.lock();
        let answers = read.answers().map_err(|stop| failed(py, stop))?;
        let len = |answer: &&Answer| match answer {
            Answer::Page(_) => 1 + PAGE_SIZE,
            Answer::Behind(_) | Answer::TooOld(_) => 1 + 8,
        };
        let parts: usize = answers.iter().map(len).sum();
        PyBytes::new_with(py, head.len() + parts, |mut out| {
            put(&mut out, head);
            for answer in answers {
                let (status, number) = match answer {
                    Answer::Page(page) => {
                        put(&mut out, &[OK]);
                        let checksum = page.checksum();
                        put(&mut out, &checksum);
                        put(&mut out, page.bytes().get(checksum.len()..).unwrap_or(&[]));
                        continue;
                    }
                    Answer::Behind(scl) => (BEHIND, scl),
                    Answer::TooOld(floor) => (TOO_OLD, floor),
                };
                put(&mut out, &[status]);
                put(&mut out, &number.0.to_le_bytes());
            }
            Ok(())
        })
    }
}

/// Write to the beginning of `out`, which is long enough, and go on behind that.
fn put(out: &mut &mut [u8], bytes: &[u8]) {
    let (here, rest) = std::mem::take(out).split_at_mut(bytes.len());
    here.copy_from_slice(bytes);
    *out = rest;
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PageRead>()
}
