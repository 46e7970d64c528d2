//! `Pump` and `LogStreams`: when redo goes out, and the writer's side of the log without Python.

use super::lane::{os_error, Lane};
use super::quorum::QuorumTracker;
use super::segment::failed;
use super::volume::{cut_flush, flushed, Cut, Flushed, Volume};
use crate::base::{GroupNo, Lsn, Res, Stop};
use crate::segment::batch::{Batcher, Header};
use crate::segment::hot;
use crate::segment::memory::Bytes;
use crate::segment::pump::{Pump as Core, GATHER_BYTES};
use crate::segment::quorum::Tracker;
use crate::session::node::Node;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use sixfold_lanes::{Message, Source};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// A commit waits this long at most for others to go with it (PostgreSQL's commit_delay).
const COMMIT_DELAY: Duration = Duration::from_micros(300);
/// A flush is at most this long, unless one mini-transaction is longer.
const FLUSH_BYTES: usize = 1 << 20;

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Pump(Arc<Mutex<Core>>);

#[pymethods]
impl Pump {
    #[classattr]
    const GATHER_BYTES: u64 = GATHER_BYTES;

    #[new]
    fn new(vdl: u64) -> Pump {
        Pump(Arc::new(Mutex::new(Core::new(Lsn(vdl)))))
    }

    fn urge(&self, lsn: u64) {
        self.0.lock().urge(Lsn(lsn));
    }

    fn is_wanted(&self, taken: u64) -> bool {
        self.0.lock().is_wanted(Lsn(taken))
    }

    fn is_due(&self, taken: u64, tail: u64) -> bool {
        self.0.lock().is_due(Lsn(taken), Lsn(tail))
    }

    fn sent(&self, end: u64, message: PyBackedBytes) {
        self.0.lock().sent(Lsn(end), Bytes::new(message));
    }

    fn moved(&self, vcl: u64) -> bool {
        self.0.lock().moved(Lsn(vcl))
    }

    #[getter]
    fn vdl(&self) -> u64 {
        self.0.lock().vdl().0
    }

    fn outstanding<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let pump = self.0.lock();
        pump.outstanding().map(|m| PyBytes::new(py, m)).collect()
    }
}

/// The message that carries these batches.
#[pyfunction]
fn batches_message<'py>(py: Python<'py>, batches: Vec<PyBackedBytes>) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &hot::batches(batches.iter().map(|batch| &**batch)))
}

/// A volume's redo on its way.
struct Outflow {
    node: Arc<Node>,
    batcher: Arc<Mutex<Batcher>>,
    tracker: Arc<Mutex<Tracker>>,
    pump: Arc<Mutex<Core>>,
    allocation_limit: u64,
    /// Whether the host wants the flushes too.
    keeps: AtomicBool,
    kept: Mutex<Vec<Cut>>,
    /// Redo could not be cut: nothing goes out any more.
    failure: Mutex<Option<Stop>>,
}

impl Source for Outflow {
    fn urge(&self) {
        self.pump.lock().urge(self.node.volume.tail());
    }

    fn next(&self) -> Option<Message> {
        let volume = &self.node.volume;
        {
            let mut pump = self.pump.lock();
            pump.gather(self.node.txns.running.len());
            if !pump.is_due(volume.taken(), volume.tail()) || self.failure.lock().is_some() {
                return None;
            }
            pump.cutting();
        }
        // Nobody who has something urgent to say waits for this.
        let cut = cut_flush(&self.node, &self.batcher, FLUSH_BYTES).and_then(|cut| {
            if let Some((start, end, batches)) = &cut {
                let groups: Vec<GroupNo> = batches.iter().map(|(group, _)| *group).collect();
                self.tracker.lock().flush(*start, *end, &groups)?;
            }
            Ok(cut)
        });
        let cut = match cut {
            Ok(cut) => cut?,
            Err(stop) => {
                *self.failure.lock() = Some(stop);
                return None;
            }
        };
        let message = hot::batches(cut.2.iter().map(|(_, batch)| batch.as_slice()));
        let message = Bytes::new(message);
        let mut pump = self.pump.lock();
        pump.cut(cut.1, message.clone());
        if self.keeps.load(Ordering::SeqCst) {
            self.kept.lock().push(cut);
        }
        Some(message.shared())
    }

    fn patience(&self) -> Duration {
        match self.pump.lock().is_held(self.node.volume.taken()) {
            true => COMMIT_DELAY,
            false => Duration::ZERO,
        }
    }

    fn hurry(&self) {
        self.pump.lock().hurry();
    }

    fn outstanding(&self) -> Vec<Message> {
        self.pump.lock().outstanding().map(Bytes::shared).collect()
    }

    fn ack(&self, member: usize, entries: &[u8]) -> Option<u64> {
        let vcl = {
            let mut tracker = self.tracker.lock();
            if !tracker.ack_all(member, entries) {
                return None;
            }
            tracker.vcl()
        };
        self.moved(vcl)
    }
}

impl Outflow {
    /// Keep flushes from now on: VDL, and those above it so far.
    fn keep(&self) -> Res<(Lsn, Vec<Cut>)> {
        let pump = self.pump.lock();
        self.keeps.store(true, Ordering::SeqCst);
        let mut above = Vec::new();
        for message in pump.outstanding() {
            let mut cut: Cut = (Lsn::ZERO, Lsn::ZERO, Vec::new());
            for batch in hot::parse_batches(message) {
                let header = Header::parse(&batch)?;
                (cut.0, cut.1) = (header.start, header.end);
                cut.2.push((header.group, batch.to_vec()));
            }
            above.push(cut);
        }
        Ok((pump.vdl(), above))
    }

    /// A quorum has everything up to `vcl`.
    fn moved(&self, vcl: Lsn) -> Option<u64> {
        let volume = &self.node.volume;
        let mut pump = self.pump.lock();
        if !pump.moved(vcl) {
            return None;
        }
        if let Err(stop) = volume.set_vdl(vcl) {
            *self.failure.lock() = Some(stop);
            return None;
        }
        volume.set_limit(Lsn(vcl.0 + self.allocation_limit));
        Some(vcl.0)
    }
}

/// A member, and its message.
type Refusal<'py> = (usize, Bound<'py, PyBytes>);
type Taken<'py> = (Vec<Refusal<'py>>, Vec<(usize, bool)>, Vec<Flushed<'py>>);

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct LogStreams {
    pub streams: Arc<sixfold_lanes::Streams>,
    outflow: Arc<Outflow>,
}

#[pymethods]
impl LogStreams {
    #[new]
    fn new(
        volume: &Volume,
        tracker: &QuorumTracker,
        pump: &Pump,
        members: usize,
        allocation_limit: u64,
    ) -> PyResult<LogStreams> {
        let outflow = Arc::new(Outflow {
            node: volume.node.clone(),
            batcher: volume.batcher.clone(),
            tracker: tracker.0.clone(),
            pump: pump.0.clone(),
            allocation_limit,
            keeps: AtomicBool::new(false),
            kept: Mutex::default(),
            failure: Mutex::default(),
        });
        let streams = sixfold_lanes::Streams::new(outflow.clone(), members)
            .map_err(|error| os_error(&error))?;
        Ok(LogStreams { streams, outflow })
    }

    fn fileno(&self) -> RawFd {
        self.streams.descriptor()
    }

    /// Refusals by member, members whose link is over and whether they were too slow, and the flushes since the last call (after `attend`).
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Taken<'py>> {
        let (refusals, lost) = self.streams.take();
        if let Some(stop) = &*self.outflow.failure.lock() {
            return Err(PyRuntimeError::new_err(format!(
                "the log can't go on: {stop:?}"
            )));
        }
        let kept = std::mem::take(&mut *self.outflow.kept.lock());
        let refusal = |(member, message): (usize, Vec<u8>)| (member, PyBytes::new(py, &message));
        Ok((
            refusals.into_iter().map(refusal).collect(),
            lost,
            kept.into_iter().map(|cut| flushed(py, cut)).collect(),
        ))
    }

    /// False: the ticket is not valid (any more).
    fn attach(&self, member: usize, lane: &Lane, volume: u64, ticket: u64) -> bool {
        match lane.0.enter(volume, ticket, self.streams.back(member)) {
            Some(entrance) => {
                self.streams.attach(member, Arc::new(entrance));
                true
            }
            None => false,
        }
    }

    fn door(&self) -> PyResult<RawFd> {
        self.streams.door().map_err(|error| os_error(&error))
    }

    fn link(&self, member: usize, first: &[u8]) -> PyResult<()> {
        let linked = self.streams.link(member, first);
        linked.map_err(|error| os_error(&error))
    }

    fn send(&self, message: &[u8]) {
        let message: Message = Arc::new(message.to_vec());
        self.streams.send(&message);
    }

    fn detach(&self, member: usize) {
        self.streams.detach(member);
    }

    fn urge(&self) {
        self.streams.urge();
    }

    fn pump(&self) {
        self.streams.pump();
    }

    /// The tracker has learnt something elsewhere (`set_scl`).
    fn moved(&self) {
        let vcl = self.outflow.tracker.lock().vcl();
        if let Some(vdl) = self.outflow.moved(vcl) {
            self.streams.pump();
            self.streams.moved(vdl);
        }
    }

    fn watch(&self, lsn: u64) {
        self.streams.watch(lsn);
    }

    /// From now on every rise of VDL is told, and flushes are kept: VDL, and the flushes above it so far.
    fn attend<'py>(&self, py: Python<'py>) -> PyResult<(u64, Vec<Flushed<'py>>)> {
        self.streams.attend();
        let (vdl, above) = self.outflow.keep().map_err(|stop| failed(py, stop))?;
        Ok((
            vdl.0,
            above.into_iter().map(|cut| flushed(py, cut)).collect(),
        ))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.streams.close());
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Pump>()?;
    module.add_class::<LogStreams>()?;
    module.add_function(wrap_pyfunction!(batches_message, module)?)
}
