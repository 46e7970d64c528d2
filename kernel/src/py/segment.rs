//! `SegmentStore`, and how a journal file is read back, for `sixfold.pagestore`.

use super::errors::raise;
use crate::base::{Epoch, GroupNo, Lsn, Stop};
use crate::segment::intake::{Segments, Shared};
use crate::segment::journal;
use crate::segment::layer::{Layer, FOOTER};
use crate::segment::memory::Bytes;
use crate::segment::merge::{Merge, Step};
use crate::segment::read::{Piece, Pieces};
use crate::segment::store::{Store, Verdict, Void};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};
use std::sync::Arc;

pub fn failed(py: Python<'_>, stop: Stop) -> PyErr {
    match stop {
        Stop::Error(error) => raise(py, &error),
        Stop::Need(need) => {
            pyo3::exceptions::PyRuntimeError::new_err(format!("unexpected need {need:?}"))
        }
    }
}

pub fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Joined => "joined",
        Verdict::Held => "held",
        Verdict::Known => "known",
        Verdict::Stale => "stale",
        Verdict::Void => "void",
        Verdict::Unknown => "unknown",
        Verdict::Foreign => "foreign",
        Verdict::Conflict => "conflict",
        Verdict::NoRoom => "no room",
    }
}

/// One volume's segments on one storage node.
///
/// Steps of a freeze or a merge may run in a worker thread, without the GIL: the lock is held for one step.
#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct SegmentStore(Shared, Mutex<Option<Merge>>);

impl SegmentStore {
    pub fn shared(&self) -> Shared {
        self.0.clone()
    }
}

type PyPieces = Vec<(u64, u64, PyBackedBytes)>;

fn read_pieces(pieces: &PyPieces) -> Pieces {
    pieces
        .iter()
        .map(|(layer, offset, bytes)| ((*layer, *offset), bytes.to_vec()))
        .collect()
}

type MetaFields = (u32, u64, u64, u64, u32, Vec<u32>);

#[pymethods]
impl SegmentStore {
    #[new]
    fn new(volume: u64, pages_per_group: u64) -> SegmentStore {
        SegmentStore(
            Arc::new(Mutex::new(Segments::new(Store::new(
                volume,
                pages_per_group,
            )))),
            Mutex::new(None),
        )
    }

    /// The batch's bytes are shared, not copied.
    fn accept(&self, py: Python<'_>, batch: PyBackedBytes, fresh: bool) -> PyResult<&'static str> {
        let verdict = self.0.lock().store.accept(Bytes::new(batch), fresh);
        verdict.map(verdict_name).map_err(|stop| failed(py, stop))
    }

    /// Everything in memory was read back from disk.
    fn all_durable(&self) {
        self.0.lock().store.all_durable();
    }

    /// (group, SCL) as far as the journal has it.
    fn durable_scls(&self) -> Vec<(u32, u64)> {
        let durable = self.0.lock().store.durable();
        durable
            .into_iter()
            .map(|(group, scl)| (group.0, scl.0))
            .collect()
    }

    fn scls(&self) -> Vec<(u32, u64)> {
        self.0
            .lock()
            .store
            .scls()
            .into_iter()
            .map(|(group, scl)| (group.0, scl.0))
            .collect()
    }

    fn scl(&self, group: u32) -> u64 {
        self.0.lock().store.scl(GroupNo(group)).0
    }

    fn frozen(&self, group: u32) -> u64 {
        self.0
            .lock()
            .store
            .segments
            .get(&GroupNo(group))
            .map_or(0, |segment| segment.frozen.0)
    }

    fn install_epoch(&self, epoch: u32) -> bool {
        self.0.lock().store.install_epoch(Epoch(epoch))
    }

    /// `voids`: (epoch, start, end), all of them.
    fn install_voids(&self, epoch: u32, voids: Vec<(u32, u64, u64)>) -> bool {
        let void = |(epoch, start, end)| Void {
            epoch: Epoch(epoch),
            start: Lsn(start),
            end: Lsn(end),
        };
        self.0
            .lock()
            .store
            .install_voids(Epoch(epoch), voids.into_iter().map(void).collect())
    }

    #[getter]
    fn epoch(&self) -> u32 {
        self.0.lock().store.epoch.0
    }

    #[getter]
    fn voids_epoch(&self) -> u32 {
        self.0.lock().store.voids_epoch.0
    }

    #[getter]
    fn voids(&self) -> Vec<(u32, u64, u64)> {
        self.0
            .lock()
            .store
            .voids
            .iter()
            .map(|void| (void.epoch.0, void.start.0, void.end.0))
            .collect()
    }

    #[getter]
    fn vdl(&self) -> u64 {
        self.0.lock().store.vdl.0
    }

    #[getter]
    fn pgmrpl(&self) -> u64 {
        self.0.lock().store.pgmrpl.0
    }

    #[getter]
    fn floor(&self) -> u64 {
        self.0.lock().store.floor.0
    }

    #[getter]
    fn memory(&self) -> usize {
        self.0.lock().memory()
    }

    fn set_hints(&self, vdl: u64, pgmrpl: u64) {
        self.0.lock().store.set_hints(Lsn(vdl), Lsn(pgmrpl));
    }

    /// (group, prev, start, end, epoch, groups) of batches that end above `above`, in order.
    fn metas(&self, above: u64) -> Vec<MetaFields> {
        let fields = |meta: crate::segment::store::Meta| {
            let groups = meta.groups.iter().map(|group| group.0).collect();
            (
                meta.group.0,
                meta.prev.0,
                meta.start.0,
                meta.end.0,
                meta.epoch.0,
                groups,
            )
        };
        self.0
            .lock()
            .store
            .metas(Lsn(above))
            .into_iter()
            .map(fields)
            .collect()
    }

    /// (group, SCL, where the batches behind the hole begin).
    fn holes(&self) -> Vec<(u32, u64, u64)> {
        self.0
            .lock()
            .store
            .holes()
            .into_iter()
            .map(|(group, scl, prev)| (group.0, scl.0, prev.0))
            .collect()
    }

    /// Batches after `scl`, oldest first; None when memory does not reach back so far.
    fn batches_after<'py>(
        &self,
        py: Python<'py>,
        group: u32,
        scl: u64,
        max: usize,
    ) -> Option<Vec<Bound<'py, PyBytes>>> {
        let batches = self
            .0
            .lock()
            .store
            .batches_after(GroupNo(group), Lsn(scl), max)?;
        Some(
            batches
                .iter()
                .map(|bytes| PyBytes::new(py, bytes))
                .collect(),
        )
    }

    /// The next page whose chain is long: (page, LSN). Reading it there makes the image.
    #[pyo3(signature = (least = 0))]
    fn next_wanted(&self, least: usize) -> Option<(u64, u64)> {
        self.0
            .lock()
            .store
            .next_wanted(least)
            .map(|(page, lsn)| (page.0, lsn.0))
    }

    /// Begin to write what is durable to layer `id`. False: nothing to write.
    fn freeze_begin(&self, py: Python<'_>, id: u64) -> PyResult<bool> {
        let begun = py.detach(|| {
            let mut inner = self.0.lock();
            inner.freeze = inner.store.freeze(id)?;
            Ok(inner.freeze.is_some())
        });
        begun.map_err(|stop| failed(py, stop))
    }

    /// The next bytes of the file, after about `budget` bytes of work; None at the end, when `freeze_finish` gives the last ones.
    fn freeze_step<'py>(
        &self,
        py: Python<'py>,
        budget: usize,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let step = py.detach(|| {
            let mut inner = self.0.lock();
            let Segments { store, freeze, .. } = &mut *inner;
            match freeze {
                Some(freeze) => store.freeze_step(freeze, budget),
                None => Ok(None),
            }
        });
        let bytes = step.map_err(|stop| failed(py, stop))?;
        Ok(bytes.map(|bytes| PyBytes::new(py, &bytes)))
    }

    fn freeze_finish<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let mut inner = self.0.lock();
        let freeze = inner.freeze.take()?;
        let (bytes, layer) = inner.store.freeze_end(freeze);
        inner.frozen = Some(layer);
        Some(PyBytes::new(py, &bytes))
    }

    /// The file is durable and in the manifest: memory may forget what it holds.
    fn freeze_install(&self) {
        let mut inner = self.0.lock();
        if let Some(layer) = inner.frozen.take() {
            inner.store.install_layer(layer);
        }
    }

    /// After `freeze_install`, until it answers False.
    fn forget_step(&self, py: Python<'_>, count: usize) -> bool {
        py.detach(|| self.0.lock().store.forget_step(count))
    }

    fn freeze_failed(&self) {
        let mut inner = self.0.lock();
        inner.freeze = None;
        inner.frozen = None;
        inner.store.freeze_failed();
    }

    /// Begin to merge neighbouring layers, oldest first, into layer `id`.
    fn merge_begin(&self, py: Python<'_>, ids: Vec<u64>, id: u64) -> PyResult<()> {
        let merge = self.0.lock().store.merge(&ids, id);
        *self.1.lock() = Some(merge.map_err(|stop| failed(py, stop))?);
        Ok(())
    }

    /// Bytes to append, or [(layer, offset, length)] to be read and given with the next call, or None at the end.
    fn merge_step<'py>(
        &self,
        py: Python<'py>,
        pieces: PyPieces,
        budget: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let step = py.detach(|| match &mut *self.1.lock() {
            Some(merge) => merge.step(&read_pieces(&pieces), budget),
            None => Ok(Step::Done),
        });
        match step.map_err(|stop| failed(py, stop))? {
            Step::Bytes(bytes) => Ok(Some(PyBytes::new(py, &bytes).into_any())),
            Step::Needs(needs) => {
                let place = |piece: &Piece| (piece.layer, piece.offset, piece.len);
                let needs: Vec<_> = needs.iter().map(place).collect();
                Ok(Some(PyList::new(py, needs)?.into_any()))
            }
            Step::Done => Ok(None),
        }
    }

    fn merge_finish<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let merge = self.1.lock().take()?;
        let ids = merge.ids().to_vec();
        let (bytes, layer) = merge.finish();
        self.0.lock().merged = Some((ids, layer));
        Some(PyBytes::new(py, &bytes))
    }

    fn merge_install(&self) {
        let mut inner = self.0.lock();
        if let Some((ids, layer)) = inner.merged.take() {
            inner.store.install_merged(&ids, layer);
        }
    }

    fn merge_failed(&self) {
        *self.1.lock() = None;
        self.0.lock().merged = None;
    }

    /// At start: a layer that the manifest names.
    fn open_layer(&self, py: Python<'_>, id: u64, footer: &[u8], index: &[u8]) -> PyResult<()> {
        let layer = Layer::open(id, footer, index).map_err(|stop| failed(py, stop))?;
        self.0.lock().store.install_layer(layer);
        Ok(())
    }

    /// Length of a layer file's footer.
    #[classattr]
    const LAYER_FOOTER: usize = FOOTER;

    /// (offset, length) of a layer file's index, from its footer.
    #[staticmethod]
    fn layer_index(py: Python<'_>, footer: &[u8]) -> PyResult<(u64, usize)> {
        Layer::index_place(footer).map_err(|stop| failed(py, stop))
    }

    /// (offset, length, CRC32C) of a layer file's blocks.
    #[staticmethod]
    fn layer_blocks(py: Python<'_>, footer: &[u8], index: &[u8]) -> PyResult<Vec<(u64, u32, u32)>> {
        let layer = Layer::open(0, footer, index).map_err(|stop| failed(py, stop))?;
        let blocks = layer.blocks.iter();
        Ok(blocks.map(|b| (b.offset, b.len, b.crc)).collect())
    }

    #[getter]
    fn layers(&self) -> Vec<u64> {
        self.0
            .lock()
            .store
            .layers
            .iter()
            .map(|layer| layer.id)
            .collect()
    }

    /// Counters: pages and records in memory, layers, groups.
    fn stats(&self) -> Vec<(&'static str, usize)> {
        let store = &self.0.lock().store;
        let records = store.pages.values().map(|chain| chain.records.len()).sum();
        vec![
            ("memory_pages", store.pages.len()),
            ("memory_records", records),
            ("memory_bytes", store.memory),
            ("held_bytes", store.held_bytes),
            ("layers", store.layers.len()),
            ("groups", store.segments.len()),
        ]
    }
}

type Entries = Vec<(u8, u64, u64, usize, usize)>;

/// What a journal file holds: ([(kind, first number of its write, number, offset, length)], end of the last sound entry, damaged entries before it).
#[pyfunction]
fn journal_scan(bytes: &[u8]) -> (Entries, usize, usize) {
    let scan = journal::scan(bytes);
    let entries = scan
        .entries
        .iter()
        .map(|found| (found.kind, found.begin, found.sequence, found.at, found.len))
        .collect();
    (entries, scan.end, scan.damaged)
}

#[pyfunction]
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SegmentStore>()?;
    module.add_function(wrap_pyfunction!(journal_scan, module)?)?;
    module.add_function(wrap_pyfunction!(checksum, module)?)
}
