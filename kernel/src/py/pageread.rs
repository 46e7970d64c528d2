//! `PageRead`: pages at an LSN, read out of a `SegmentStore` and of the layer files' bytes that it asks for.

use super::segment::{failed, SegmentStore};
use crate::base::error::corrupt;
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

    /// (layer, offset, length) of what must be read next; empty: the answer is there. Blocks that stand together are read together.
    fn needs(&self) -> Vec<(u64, u64, u32)> {
        let mut together: Vec<(u64, u64, u32)> = Vec::new();
        for piece in self.read.lock().needs() {
            match together.last_mut() {
                Some((layer, offset, len))
                    if *layer == piece.layer && *offset + u64::from(*len) == piece.offset =>
                {
                    *len = len.saturating_add(piece.len);
                }
                _ => together.push((piece.layer, piece.offset, piece.len)),
            }
        }
        together
    }

    /// The bytes of one of them.
    fn feed(&self, py: Python<'_>, layer: u64, offset: u64, bytes: PyBackedBytes) -> PyResult<()> {
        let shared = self.store.get().shared();
        let (mut segments, mut read) = (shared.lock(), self.read.lock());
        let within = |piece: &Piece| {
            let from = usize::try_from(piece.offset.checked_sub(offset)?).ok()?;
            bytes.get(from..from.checked_add(piece.len as usize)?)
        };
        let mut done = corrupt("a layer file is shorter than its index says");
        for piece in read.needs().into_iter().filter(|p| p.layer == layer) {
            if let Some(block) = within(&piece) {
                done = segments.store.feed(&mut read, piece, block);
                if done.is_err() {
                    break;
                }
            }
        }
        done.map_err(|stop| failed(py, stop))
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
