//! `Volume`: cache, log tail, transactions and tables of one compute node.

use super::common::{plain, step};
use super::job::{Job, Table};
use crate::base::{Epoch, GroupNo, Lsn, Oid, PageNo, Res, SessionId};
use crate::exec::access::Access;
use crate::page::{Page, PageRef, PAGE_SIZE};
use crate::redo::Decoder;
use crate::segment::batch::{Batcher, Entries, Header};
use crate::segment::read::Packed;
use crate::session::node::Node;
use crate::session::Backend;
use crate::store::{Config, Field, Role, Volume as Store};
use crate::table::{SequenceDef, VacuumTable};
use crate::txn::leftovers::Counts;
use crate::txn::locks::On;
use crate::txn::modes::LockKey;
use parking_lot::Mutex;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Rows, or what costs as much, in one step of cleaning a queue.
const QUEUED_ROWS: usize = 200;

type Tuple<'py> = PyResult<Bound<'py, PyTuple>>;
pub type Flushed<'py> = (u64, u64, Vec<(u32, Bound<'py, PyBytes>)>);
/// (root, ((inserted, updated, deleted), live, dead, changed, queued, (forgotten, measured)))
type Counted = (u64, ((u64, u64, u64), i64, u64, u64, u64, (bool, bool)));

/// (session, (kind, object, row or class), mode, granted)
type Lock = (u64, (&'static str, u64, u64), &'static str, bool);

/// Bytes of Python's that can be read without the GIL.
enum View {
    Whole(PyBackedBytes),
    /// What a memoryview shows of `bytes`, from there on.
    Part(PyBackedBytes, usize, usize),
    Copy(Vec<u8>),
}

impl View {
    fn of(data: &Bound<'_, PyAny>) -> PyResult<View> {
        if let Ok(whole) = data.extract::<PyBackedBytes>() {
            return Ok(View::Whole(whole));
        }
        let buffer = PyBuffer::<u8>::get(data)?;
        let owner = data.getattr("obj").ok();
        let whole = owner.and_then(|owner| owner.extract::<PyBackedBytes>().ok());
        let at = |whole: &PyBackedBytes| {
            (buffer.buf_ptr() as usize).checked_sub(whole.as_ptr() as usize)
        };
        let (len, plain) = (buffer.len_bytes(), buffer.is_c_contiguous());
        Ok(
            match whole.filter(|_| plain).and_then(|w| Some((at(&w)?, w))) {
                Some((from, whole)) if whole.get(from..from + len).is_some() => {
                    View::Part(whole, from, len)
                }
                _ => View::Copy(buffer.to_vec(data.py())?),
            },
        )
    }

    fn bytes(&self) -> &[u8] {
        match self {
            View::Whole(bytes) => bytes,
            View::Part(bytes, from, len) => bytes.get(*from..*from + *len).unwrap_or(&[]),
            View::Copy(bytes) => bytes,
        }
    }
}

#[pyclass(frozen, module = "sixfold.kernel._kernel")]
pub struct Volume {
    pub node: Arc<Node>,
    epoch: AtomicU64,
    pub batcher: Arc<Mutex<Batcher>>,
}

fn config(volume_id: u64, cache_bytes: usize, pages_per_group: u64) -> Config {
    let cache_pages = (cache_bytes / PAGE_SIZE).max(64);
    Config {
        volume_id,
        cache_pages,
        pages_per_group,
        ..Config::default()
    }
}

impl Volume {
    fn over(store: Store, epoch: u32) -> Volume {
        let batcher = Batcher::new(
            store.config().volume_id,
            Epoch(epoch),
            store.config().pages_per_group,
        );
        Volume {
            node: Arc::new(Node::open(store)),
            epoch: AtomicU64::new(u64::from(epoch)),
            batcher: Arc::new(Mutex::new(batcher)),
        }
    }

    fn store(&self) -> &Store {
        &self.node.volume
    }

    fn receive(&self, batch: &[u8]) -> Res<()> {
        let header = Header::parse(batch)?;
        let mut records = Vec::with_capacity(header.records as usize);
        for entry in Entries::new(&header, batch) {
            let entry = entry?;
            let raw = batch.get(entry.at..entry.at + entry.len).unwrap_or(&[]);
            for record in Decoder::new(Lsn(entry.lsn.0 - entry.len as u64), raw) {
                records.push(record?);
            }
        }
        self.store().receive_entries(header.end, &records);
        Ok(())
    }
}

/// Redo that goes out together: where it starts and ends, and its batches.
pub type Cut = (Lsn, Lsn, Vec<(GroupNo, Vec<u8>)>);

/// The next flush, cut into batches.
pub fn cut_flush(node: &Node, batcher: &Mutex<Batcher>, max_bytes: usize) -> Res<Option<Cut>> {
    let Some(flush) = node.volume.take_flush(max_bytes) else {
        return Ok(None);
    };
    let horizon = node.txns.horizon();
    let cut = batcher
        .lock()
        .cut(flush.start, &flush.records, node.volume.vdl(), horizon)?;
    Ok(Some((flush.start, flush.end, cut)))
}

pub fn flushed(py: Python<'_>, (start, end, batches): Cut) -> Flushed<'_> {
    let batch = |(group, bytes): (GroupNo, Vec<u8>)| (group.0, PyBytes::new(py, &bytes));
    (start.0, end.0, batches.into_iter().map(batch).collect())
}

fn pages(numbers: &[u64]) -> Vec<PageNo> {
    numbers.iter().copied().map(PageNo).collect()
}

/// `cache` only says how many values PostgreSQL's backends take at once; here a value is taken when it is asked for.
fn sequence_def(
    start: i64,
    increment: i64,
    min: i64,
    max: i64,
    cycle: bool,
    cache: i64,
) -> PyResult<SequenceDef> {
    match cache {
        1.. => Ok(SequenceDef {
            start,
            increment,
            min,
            max,
            cycle,
        }),
        _ => Err(PyValueError::new_err("CACHE must be greater than zero")),
    }
}

#[pymethods]
impl Volume {
    #[staticmethod]
    #[pyo3(signature = (*, volume_id, epoch, cache_bytes, pages_per_group = 1_310_720))]
    fn create(
        py: Python<'_>,
        volume_id: u64,
        epoch: u32,
        cache_bytes: usize,
        pages_per_group: u64,
    ) -> PyResult<Volume> {
        let store = plain(
            py,
            Store::create(config(volume_id, cache_bytes, pages_per_group)),
        )?;
        Ok(Volume::over(store, epoch))
    }

    #[staticmethod]
    #[pyo3(signature = (*, volume_id, epoch, cache_bytes, vdl, tail, pages_per_group = 1_310_720))]
    fn open(
        volume_id: u64,
        epoch: u32,
        cache_bytes: usize,
        vdl: u64,
        tail: u64,
        pages_per_group: u64,
    ) -> Volume {
        let store = Store::open(
            config(volume_id, cache_bytes, pages_per_group),
            Lsn(vdl),
            Lsn(tail),
        );
        Volume::over(store, epoch)
    }

    #[staticmethod]
    #[pyo3(signature = (*, volume_id, epoch, cache_bytes, vdl, pages_per_group = 1_310_720))]
    fn open_reader(
        volume_id: u64,
        epoch: u32,
        cache_bytes: usize,
        vdl: u64,
        pages_per_group: u64,
    ) -> Volume {
        let store = Store::open_reader(config(volume_id, cache_bytes, pages_per_group), Lsn(vdl));
        Volume::over(store, epoch)
    }

    fn promote(&self, py: Python<'_>, epoch: u32, vdl: u64, tail: u64) -> PyResult<()> {
        plain(py, self.store().promote(Lsn(vdl), Lsn(tail)))?;
        self.node.tables.reset();
        self.set_epoch(epoch);
        Ok(())
    }

    fn prepare<'py>(&self, py: Python<'py>) -> Tuple<'py> {
        step(py, self.node.txns.prepare().map(|()| py.None()))
    }

    #[pyo3(signature = (max_bytes = 1_048_576))]
    fn take_flush<'py>(&self, py: Python<'py>, max_bytes: usize) -> PyResult<Option<Flushed<'py>>> {
        let cut = plain(py, cut_flush(&self.node, &self.batcher, max_bytes))?;
        Ok(cut.map(|cut| flushed(py, cut)))
    }

    fn set_prev(&self, group: u32, end: u64) {
        self.batcher.lock().set_prev(GroupNo(group), Lsn(end));
    }

    fn set_vdl(&self, py: Python<'_>, lsn: u64) -> PyResult<()> {
        plain(py, self.store().set_vdl(Lsn(lsn)))
    }

    fn set_limit(&self, lsn: u64) {
        self.store().set_limit(Lsn(lsn));
    }

    fn set_epoch(&self, epoch: u32) {
        let config = self.store().config();
        *self.batcher.lock() = Batcher::new(config.volume_id, Epoch(epoch), config.pages_per_group);
        self.epoch.store(u64::from(epoch), Ordering::Release);
    }

    #[getter]
    fn volume_id(&self) -> u64 {
        self.store().config().volume_id
    }

    #[getter]
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    #[getter]
    fn role(&self) -> &'static str {
        match self.store().role() {
            Role::Writer => "writer",
            Role::Reader => "reader",
        }
    }

    #[getter]
    fn vdl(&self) -> u64 {
        self.store().vdl().0
    }

    #[getter]
    fn tail(&self) -> u64 {
        self.store().tail().0
    }

    #[getter]
    fn taken(&self) -> u64 {
        self.store().taken().0
    }

    fn apply_stream(&self, py: Python<'_>, batches: Vec<Bound<'_, PyBytes>>) -> PyResult<()> {
        batches
            .iter()
            .try_for_each(|batch| plain(py, self.receive(batch.as_bytes())))
    }

    fn fetch_begin(&self, no: u64) -> Option<u64> {
        self.store().fetch_begin(PageNo(no)).map(|lsn| lsn.0)
    }

    fn fetch_begin_all(&self, pages: Vec<u64>) -> (u64, Vec<u64>) {
        let mut lsn = 0;
        let mut missing = Vec::with_capacity(pages.len());
        for no in pages {
            if let Some(now) = self.fetch_begin(no) {
                lsn = lsn.max(now);
                missing.push(no);
            }
        }
        (lsn, missing)
    }

    /// Pages as a `P` message has them, packed ones too. Without the GIL, and without a copy of what looks into `bytes`.
    fn install_pages(
        &self,
        py: Python<'_>,
        pages: Vec<u64>,
        data: Vec<Bound<'_, PyAny>>,
        lsn: u64,
    ) -> PyResult<()> {
        let data = data.iter().map(View::of).collect::<PyResult<Vec<_>>>()?;
        let installed = py.detach(|| {
            pages.iter().zip(&data).try_for_each(|(&no, data)| {
                let bytes = data.bytes();
                let page: PageRef = match bytes.len() < PAGE_SIZE {
                    true => Packed::open(PageNo(no), bytes)?,
                    false => Arc::new(Page::from_bytes(bytes)?),
                };
                let installed = self.store().install_at(PageNo(no), page, Lsn(lsn));
                installed.map(drop)
            })
        });
        plain(py, installed)
    }

    #[pyo3(signature = (no, data, lsn = None))]
    fn install_page(
        &self,
        py: Python<'_>,
        no: u64,
        data: PyBuffer<u8>,
        lsn: Option<u64>,
    ) -> PyResult<bool> {
        let mut bytes = [0; PAGE_SIZE];
        data.copy_to_slice(py, &mut bytes)?;
        let page = plain(py, Page::from_bytes(&bytes))?;
        plain(
            py,
            self.store()
                .install_at(PageNo(no), page, Lsn(lsn.unwrap_or(u64::MAX))),
        )
    }

    fn fetch_failed(&self, no: u64) {
        self.store().fetch_failed(PageNo(no));
    }

    fn page<'py>(&self, py: Python<'py>, no: u64) -> Option<Bound<'py, PyBytes>> {
        let page = self.store().cached(PageNo(no))?;
        Some(PyBytes::new(py, &page.seal()))
    }

    /// (pages in the cache, its capacity)
    #[getter]
    fn cache_size(&self) -> (usize, usize) {
        self.store().cache_size()
    }

    /// Numbers of all pages in the cache, rising: eight little-endian bytes each.
    fn cached_pages<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let pages = py.detach(|| self.store().cached_pages());
        let bytes: Vec<u8> = pages.iter().flat_map(|no| no.0.to_le_bytes()).collect();
        PyBytes::new(py, &bytes)
    }

    fn take_woken(&self) -> Vec<u64> {
        self.node
            .txns
            .locks
            .take_woken()
            .into_iter()
            .map(|session| session.0)
            .collect()
    }

    #[getter]
    fn abandoned(&self) -> Option<u64> {
        self.node.txns.abandoned().map(|lsn| lsn.0)
    }

    fn finish_abandoned(&self) {
        self.node.txns.finish_abandoned();
    }

    fn horizon(&self) -> u64 {
        self.node.txns.local_horizon().0
    }

    fn set_external_horizon(&self, lsn: u64) {
        self.node.txns.set_external_horizon(Lsn(lsn));
        self.node.txns.horizon();
    }

    #[getter]
    fn catalog_version(&self) -> u64 {
        self.node.catalog_version()
    }

    fn root<'py>(&self, py: Python<'py>, index: u8) -> Tuple<'py> {
        step(py, self.store().field(Field::Root(index)))
    }

    fn set_root<'py>(&self, py: Python<'py>, index: u8, value: u64) -> Tuple<'py> {
        let set = || -> Res<()> {
            let mut mtr = self.store().begin()?;
            mtr.field(Field::Root(index))?;
            mtr.set_field(Field::Root(index), value)?;
            mtr.commit();
            Ok(())
        };
        step(py, set().map(|()| py.None()))
    }

    fn alloc_oid<'py>(&self, py: Python<'py>) -> Tuple<'py> {
        step(py, self.node.txns.alloc_oid().map(|oid| oid.0))
    }

    fn create_table<'py>(&self, py: Python<'py>) -> Tuple<'py> {
        step(
            py,
            self.node
                .tables
                .create_table()
                .map(|(root, overflow)| (root.0, overflow.0)),
        )
    }

    fn create_index<'py>(&self, py: Python<'py>) -> Tuple<'py> {
        step(py, self.node.tables.create_index().map(|root| root.0))
    }

    fn unsettle<'py>(&self, py: Python<'py>, roots: Vec<u64>) -> Tuple<'py> {
        let done = self.node.tables.unsettle(&pages(&roots));
        step(py, done.map(|()| py.None()))
    }

    fn settle<'py>(&self, py: Python<'py>, roots: Vec<u64>) -> Tuple<'py> {
        let done = self.node.tables.settle(&pages(&roots));
        step(py, done.map(|()| py.None()))
    }

    fn unsettled<'py>(&self, py: Python<'py>) -> Tuple<'py> {
        let found = self.node.tables.unsettled();
        step(
            py,
            found.map(|roots| roots.iter().map(|no| no.0).collect::<Vec<u64>>()),
        )
    }

    #[pyo3(signature = (root, kind, resumed = false))]
    fn drop_tree(&self, root: u64, kind: &str, resumed: bool) -> PyResult<Job> {
        if !["table", "overflow", "index", "sequence"].contains(&kind) {
            return Err(PyValueError::new_err(format!(
                "no kind of tree is called {kind:?}"
            )));
        }
        let mut tree = self.node.tables.drop_tree(PageNo(root), resumed);
        Ok(Job::new(None, move || tree.step()))
    }

    #[pyo3(signature = (start, increment, minimum, maximum, cycle = false, cache = 1))]
    #[allow(clippy::too_many_arguments)] // A sequence's options.
    fn create_sequence<'py>(
        &self,
        py: Python<'py>,
        start: i64,
        increment: i64,
        minimum: i64,
        maximum: i64,
        cycle: bool,
        cache: i64,
    ) -> Tuple<'py> {
        let def = sequence_def(start, increment, minimum, maximum, cycle, cache)?;
        step(
            py,
            self.node.tables.create_sequence(&def).map(|page| page.0),
        )
    }

    #[pyo3(signature = (page, start, increment, minimum, maximum, cycle = false, cache = 1))]
    #[allow(clippy::too_many_arguments)] // A sequence's options.
    fn alter_sequence<'py>(
        &self,
        py: Python<'py>,
        page: u64,
        start: i64,
        increment: i64,
        minimum: i64,
        maximum: i64,
        cycle: bool,
        cache: i64,
    ) -> Tuple<'py> {
        let def = sequence_def(start, increment, minimum, maximum, cycle, cache)?;
        step(
            py,
            self.node
                .tables
                .alter_sequence(PageNo(page), &def)
                .map(|()| py.None()),
        )
    }

    fn sequence_value<'py>(&self, py: Python<'py>, page: u64) -> Tuple<'py> {
        let view = self
            .node
            .tables
            .view(SessionId(0), self.store().vdl(), 0, false);
        step(py, self.node.tables.seqval(&view, PageNo(page)))
    }

    fn table_size<'py>(&self, py: Python<'py>, table: &Table) -> Tuple<'py> {
        step(py, self.node.tables.size(&table.0))
    }

    fn overflow_size<'py>(&self, py: Python<'py>, table: &Table) -> Tuple<'py> {
        step(py, self.node.tables.overflow_size(&table.0))
    }

    fn vacuum_queued(&self, root: u64) -> Job {
        self.node.txns.horizon();
        let tables = self.node.tables.clone();
        Job::new(None, move || {
            let more = tables.vacuum_step(Some(PageNo(root)), QUEUED_ROWS)?;
            Ok(!more)
        })
    }

    #[pyo3(signature = (table, indexes = false))]
    fn vacuum_table(&self, table: &Table, indexes: bool) -> Job {
        self.node.txns.horizon();
        let (tables, table) = (self.node.tables.clone(), Arc::clone(&table.0));
        let mut begun = None;
        // It may have to wait for a page before it can begin.
        Job::new(None, move || {
            if begun.is_none() {
                begun = Some(tables.vacuum(&table, indexes)?);
            }
            begun.as_mut().map_or(Ok(true), VacuumTable::step)
        })
    }

    fn table_counts(&self) -> Vec<Counted> {
        let of = |(root, c): (PageNo, Counts)| {
            let written = (c.inserted, c.updated, c.deleted);
            let state = (c.forgotten, c.measured);
            (
                root.0,
                (written, c.live, c.dead, c.changed, c.queued, state),
            )
        };
        let counts = self.node.txns.leftovers.counts();
        counts.into_iter().map(of).collect()
    }

    fn blocks_others(&self, session: u64) -> bool {
        self.node.txns.locks.blocks_others(SessionId(session))
    }

    fn locks(&self) -> Vec<Lock> {
        let txns = &self.node.txns;
        let own = txns.running.list().into_iter().map(|(session, xid)| {
            let on = ("transactionid", xid.0, 0);
            (session.0, on, "ExclusiveLock", true)
        });
        let others = txns.locks.list().into_iter().map(|lock| {
            let on = match lock.on {
                On::Xid(xid) => ("transactionid", xid.0, 0),
                On::Key(LockKey::Relation(oid)) => ("relation", u64::from(oid.0), 0),
                On::Key(LockKey::Row(oid, row) | LockKey::Turn(oid, row)) => {
                    ("tuple", u64::from(oid.0), row.0)
                }
                // Two int4 or one int8: as objsubid tells them apart.
                On::Key(LockKey::Advisory(key, pair)) => {
                    ("advisory", key as u64, if pair { 2 } else { 1 })
                }
            };
            (lock.session.0, on, lock.mode, lock.granted)
        });
        own.chain(others).collect()
    }

    fn blockers(&self, session: u64) -> Vec<u64> {
        let found = self.node.txns.locks.blockers(SessionId(session));
        found.into_iter().map(|session| session.0).collect()
    }

    fn analyzed(&self, root: u64, live: u64) {
        self.node.txns.leftovers.analyzed(PageNo(root), live);
    }

    fn note_moved(&self, relations: Vec<u32>) {
        let relations: Vec<Oid> = relations.into_iter().map(Oid).collect();
        self.node.note_moved(&relations);
    }

    #[pyo3(signature = (oid, page))]
    fn set_sequence(&self, oid: u32, page: Option<u64>) {
        self.node.set_sequence(Oid(oid), page.map(PageNo));
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (pages, capacity) = self.store().cache_size();
        let counters = &self.node.txns.counters;
        let stats = PyDict::new(py);
        stats.set_item("cache_pages", pages)?;
        stats.set_item("cache_capacity", capacity)?;
        stats.set_item("cache_bytes", pages * PAGE_SIZE)?;
        stats.set_item("redo_bytes", self.store().tail().0)?;
        stats.set_item("commits", counters.commits.load(Ordering::Relaxed))?;
        stats.set_item("rollbacks", counters.rollbacks.load(Ordering::Relaxed))?;
        stats.set_item("running", self.node.txns.running.len())?;
        stats.set_item("snapshots", self.node.txns.snapshots.count())?;
        stats.set_item("locks", self.node.txns.locks.list().len())?;
        Ok(stats)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Volume>()
}
