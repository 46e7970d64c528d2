//! `PageRead`: pages at an LSN, read out of a `SegmentStore` and of the layer files' bytes that it asks for. Once begun it may go on in another thread.

use super::segment::{failed, SegmentStore};
use crate::base::error::corrupt;
use crate::base::{Lsn, PageNo, Res};
use crate::page::PAGE_SIZE;
use crate::segment::read::{Answer, Read};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// Statuses of a page in an answer, see `sixfold.pagestore.wire`.
const OK: u8 = 0;
const BEHIND: u8 = 1;
const TOO_OLD: u8 = 2;
const PACKED: u8 = 4;

/// Reads of more pages, and of more bytes, are made without the GIL; for less it is not worth giving it away.
const FEW: usize = 8;
const LITTLE: usize = 8 * PAGE_SIZE;

#[pyclass(module = "sixfold.kernel._kernel")]
pub struct PageRead {
    store: Py<SegmentStore>,
    read: Mutex<Read>,
}

#[pymethods]
impl PageRead {
    /// `pages`: (page, end of its group's last batch at or below `lsn`).
    #[new]
    #[pyo3(signature = (store, pages, lsn, packed = false))]
    fn new(
        py: Python<'_>,
        store: Py<SegmentStore>,
        pages: Vec<(u64, u64)>,
        lsn: u64,
        packed: bool,
    ) -> PyResult<PageRead> {
        let pages: Vec<_> = pages
            .into_iter()
            .map(|(page, tail)| (PageNo(page), Lsn(tail)))
            .collect();
        let shared = store.get().shared();
        let begin = || shared.lock().store.read(&pages, Lsn(lsn));
        let begun = match pages.len() > FEW {
            true => py.detach(begin),
            false => begin(),
        };
        let mut read = begun.map_err(|stop| failed(py, stop))?;
        read.packed = packed;
        let read = Mutex::new(read);
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
        let done = match bytes.len() > LITTLE {
            true => py.detach(|| self.feed_blocks(layer, offset, &bytes)),
            false => self.feed_blocks(layer, offset, &bytes),
        };
        done.map_err(|stop| failed(py, stop))
    }

    /// `head`, and behind it each page's part of a `P` message.
    fn answer<'py>(&self, py: Python<'py>, head: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let read = self.read.lock();
        if read.is_long() {
            self.store.get().shared().lock().store.keep(&read);
        }
        let answers = read.answers().map_err(|stop| failed(py, stop))?;
        let len = |answer: &&Answer| match answer {
            Answer::Page(_) => 1 + PAGE_SIZE,
            Answer::Packed(image) => 1 + 4 + image.bytes().len(),
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
                    Answer::Packed(image) => {
                        put(&mut out, &[PACKED]);
                        put(&mut out, &(image.bytes().len() as u32).to_le_bytes());
                        put(&mut out, image.bytes());
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

impl PageRead {
    fn feed_blocks(&self, layer: u64, offset: u64, bytes: &[u8]) -> Res<()> {
        let mut read = self.read.lock();
        let mut done = corrupt("a layer file is shorter than its index says");
        for piece in read.needs().into_iter().filter(|p| p.layer == layer) {
            let within = usize::try_from(piece.offset.saturating_sub(offset)).ok();
            let block = within
                .filter(|_| piece.offset >= offset)
                .and_then(|from| bytes.get(from..from.checked_add(piece.len as usize)?));
            if let Some(block) = block {
                done = read.feed(piece, block);
                if done.is_err() {
                    break;
                }
            }
        }
        done
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
