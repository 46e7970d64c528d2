//! `Batcher` and `QuorumTracker`, for `sixfold.wal`.

use super::segment::failed;
use crate::base::{Epoch, GroupNo, Lsn};
use crate::segment::batch::{Batcher as Cutter, Header};
use crate::segment::quorum;
use crate::segment::quorum::{Clause, Quorum, Tracker};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;

type Batches<'py> = Vec<(u32, Bound<'py, PyBytes>)>;

/// Cuts flushes into batches, one for each protection group.
#[pyclass(module = "sixfold.kernel._kernel")]
pub struct Batcher(Cutter);

#[pymethods]
impl Batcher {
    #[new]
    fn new(volume: u64, epoch: u32, pages_per_group: u64) -> Batcher {
        Batcher(Cutter::new(volume, Epoch(epoch), pages_per_group))
    }

    fn set_prev(&mut self, group: u32, end: u64) {
        self.0.set_prev(GroupNo(group), Lsn(end));
    }

    fn cut<'py>(
        &mut self,
        py: Python<'py>,
        start: u64,
        flush: &[u8],
        vdl: u64,
        pgmrpl: u64,
    ) -> PyResult<Batches<'py>> {
        let cut = self
            .0
            .cut(Lsn(start), flush, Lsn(vdl), Lsn(pgmrpl))
            .map_err(|stop| failed(py, stop))?;
        Ok(cut
            .into_iter()
            .map(|(group, bytes)| (group.0, PyBytes::new(py, &bytes)))
            .collect())
    }
}

type HeaderFields = (u64, u32, u32, u64, u64, u64, u64, u64, Vec<u32>);

/// (volume, epoch, group, prev, start, end, vdl, pgmrpl, groups) of a batch, all of it checked.
#[pyfunction]
fn batch_header(py: Python<'_>, batch: &[u8]) -> PyResult<HeaderFields> {
    let h = Header::parse(batch).map_err(|stop| failed(py, stop))?;
    let groups = h.groups.iter().map(|group| group.0).collect();
    Ok((
        h.volume, h.epoch.0, h.group.0, h.prev.0, h.start.0, h.end.0, h.vdl.0, h.pgmrpl.0, groups,
    ))
}

/// Follows flushes from sent to durable.
#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct QuorumTracker(pub Arc<Mutex<Tracker>>);

#[pymethods]
impl QuorumTracker {
    /// `clauses`: (bit mask of members, how many of them), all of which must be met.
    #[new]
    fn new(
        py: Python<'_>,
        clauses: Vec<(u32, u32)>,
        members: usize,
        vcl: u64,
    ) -> PyResult<QuorumTracker> {
        let clauses = clauses
            .into_iter()
            .map(|(members, need)| Clause { members, need })
            .collect();
        let quorum = Quorum::new(clauses).map_err(|stop| failed(py, stop))?;
        let tracker = Tracker::new(quorum, members, Lsn(vcl));
        Ok(QuorumTracker(Arc::new(Mutex::new(tracker))))
    }

    fn flush(&self, py: Python<'_>, start: u64, end: u64, groups: Vec<u32>) -> PyResult<()> {
        let groups: Vec<GroupNo> = groups.into_iter().map(GroupNo).collect();
        self.0
            .lock()
            .flush(Lsn(start), Lsn(end), &groups)
            .map_err(|stop| failed(py, stop))
    }

    /// An acknowledgement: (group u32, scl u64) little-endian, repeated. True when VCL moved.
    fn ack(&self, member: usize, entries: &[u8]) -> bool {
        self.0.lock().ack_all(member, entries)
    }

    fn set_scl(&self, member: usize, group: u32, scl: u64) -> bool {
        self.0.lock().set_scl(member, GroupNo(group), Lsn(scl))
    }

    fn set_tail(&self, group: u32, tail: u64) {
        self.0.lock().set_tail(GroupNo(group), Lsn(tail));
    }

    #[getter]
    fn vcl(&self) -> u64 {
        self.0.lock().vcl().0
    }

    #[getter]
    fn sent(&self) -> u64 {
        self.0.lock().sent().0
    }

    #[getter]
    fn outstanding(&self) -> usize {
        self.0.lock().outstanding()
    }

    fn pgcl(&self, group: u32) -> u64 {
        self.0.lock().pgcl(GroupNo(group)).0
    }

    fn tail(&self, group: u32) -> u64 {
        self.0.lock().tail(GroupNo(group)).0
    }

    fn tails(&self) -> Vec<(u32, u64)> {
        self.0
            .lock()
            .tails()
            .into_iter()
            .map(|(group, lsn)| (group.0, lsn.0))
            .collect()
    }

    fn scls(&self, group: u32) -> Vec<u64> {
        self.0
            .lock()
            .scls(GroupNo(group))
            .into_iter()
            .map(|scl| scl.0)
            .collect()
    }
}

/// The highest LSN that a quorum of these SCLs has.
#[pyfunction]
fn quorum_reached(py: Python<'_>, clauses: Vec<(u32, u32)>, scls: Vec<u64>) -> PyResult<u64> {
    let clauses = clauses
        .into_iter()
        .map(|(members, need)| Clause { members, need })
        .collect();
    let quorum = quorum::Quorum::new(clauses).map_err(|stop| failed(py, stop))?;
    Ok(quorum
        .reached(&scls.into_iter().map(Lsn).collect::<Vec<_>>())
        .0)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Batcher>()?;
    module.add_class::<QuorumTracker>()?;
    module.add_function(wrap_pyfunction!(batch_header, module)?)?;
    module.add_function(wrap_pyfunction!(quorum_reached, module)?)
}
