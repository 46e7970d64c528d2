//! What all parts of `table/` share: the volume, the transactions, what is known of each table, and reading one row.

use super::reader::{externals, Reader};
use super::row::Layout;
use super::{keys, overflow, sequence};
use crate::base::error::corrupt;
use crate::base::{PageNo, Res, RowId, SessionId};
use crate::btree::{Cursor, Tree};
use crate::exec::access::{IndexDef, TableDef};
use crate::redo::version::{self, Version, EXTERNAL};
use crate::store::{Mtr, Pages, Volume};
use crate::txn::Txns;
use crate::types::Datum;
use ahash::AHashMap;
use parking_lot::{Mutex, RwLock};
use std::borrow::Borrow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Definitions remembered at most; they are cheap to make again.
const SHAPES: usize = 4096;

/// A table's definition with what follows from it.
pub(super) struct Shape {
    pub def: Arc<TableDef>,
    pub layout: Arc<Layout>,
    /// All columns.
    pub all: Reader,
    /// The columns that some index is on, in `key_columns` order.
    pub keys: Reader,
    pub key_columns: Vec<usize>,
}

impl Shape {
    fn new(def: &Arc<TableDef>) -> Res<Shape> {
        let layout = Arc::new(Layout::of(def)?);
        let mut key_columns: Vec<usize> = def
            .indexes
            .iter()
            .flat_map(|i| i.keys.iter().map(|k| k.column))
            .collect();
        key_columns.sort_unstable();
        key_columns.dedup();
        Ok(Shape {
            all: Reader::all(&layout, &def.columns)?,
            keys: Reader::new(&layout, &def.columns, &key_columns)?,
            def: Arc::clone(def),
            layout,
            key_columns,
        })
    }

    pub fn rows(&self) -> Tree {
        Tree {
            root: self.def.root,
        }
    }

    pub fn values(&self) -> Tree {
        Tree {
            root: self.def.overflow,
        }
    }

    /// The key of `index` from values in `key_columns` order.
    pub fn key(&self, index: &IndexDef, values: &[Datum]) -> Res<Vec<u8>> {
        let mut out = Vec::with_capacity(32);
        let value = |column: usize| values.get(self.key_columns.binary_search(&column).ok()?);
        keys::of_row(index, value, &mut out)?;
        Ok(out)
    }

    /// The key of `index` from a whole row.
    pub fn key_of_row(&self, index: &IndexDef, row: &[impl Borrow<Datum>]) -> Res<Vec<u8>> {
        let mut out = Vec::with_capacity(32);
        keys::of_row(
            index,
            |column| row.get(column).map(Borrow::borrow),
            &mut out,
        )?;
        Ok(out)
    }
}

/// What is remembered of a table, by its root.
#[derive(Default)]
pub(super) struct State {
    /// The next row id; 0: look at the tree. Changed only inside an MTR.
    pub next_row: AtomicU64,
    pub next_value: AtomicU64,
    /// The definition that was written with last: vacuum's.
    pub shape: RwLock<Option<Arc<Shape>>>,
}

pub struct Core {
    pub txns: Arc<Txns>,
    pub(super) volume: Arc<Volume>,
    shapes: RwLock<AHashMap<usize, Arc<Shape>>>,
    states: RwLock<AHashMap<PageNo, Arc<State>>>,
    pub(super) moving: overflow::Moving,
    pub(super) sequences: Mutex<AHashMap<PageNo, sequence::Sequence>>,
}

impl Core {
    pub fn new(txns: Arc<Txns>) -> Core {
        Core {
            volume: Arc::clone(txns.volume()),
            txns,
            shapes: RwLock::default(),
            states: RwLock::default(),
            moving: overflow::Moving::default(),
            sequences: Mutex::default(),
        }
    }

    pub(super) fn shape(&self, def: &Arc<TableDef>) -> Res<Arc<Shape>> {
        // The shape holds the definition, so its address can't be another's.
        let address = Arc::as_ptr(def) as usize;
        if let Some(shape) = self.shapes.read().get(&address) {
            return Ok(Arc::clone(shape));
        }
        let shape = Arc::new(Shape::new(def)?);
        let mut shapes = self.shapes.write();
        if shapes.len() >= SHAPES {
            shapes.clear();
        }
        shapes.insert(address, Arc::clone(&shape));
        Ok(shape)
    }

    pub(super) fn state(&self, root: PageNo) -> Arc<State> {
        if let Some(state) = self.states.read().get(&root) {
            return Arc::clone(state);
        }
        Arc::clone(self.states.write().entry(root).or_default())
    }

    /// The state of a table that is about to be written with this definition.
    pub(super) fn writing(&self, shape: &Arc<Shape>) -> Arc<State> {
        let state = self.state(shape.def.root);
        let same = state
            .shape
            .read()
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, shape));
        if !same {
            *state.shape.write() = Some(Arc::clone(shape));
        }
        state
    }

    /// A tree is about to be dropped: nothing remembered may lead to it any more.
    pub(super) fn forget(&self, root: PageNo) {
        self.shapes
            .write()
            .retain(|_, shape| !leads_to(&shape.def, root));
        self.txns.leftovers.forget(root);
        let mut states = self.states.write();
        states.remove(&root);
        for state in states.values() {
            let mut shape = state.shape.write();
            if shape
                .as_ref()
                .is_some_and(|shape| leads_to(&shape.def, root))
            {
                *shape = None;
            }
        }
        drop(states);
        self.sequences.lock().remove(&root);
    }

    /// Forget everything learnt (a reader that becomes the writer).
    pub fn reset(&self) {
        self.states.write().clear();
        self.sequences.lock().clear();
        self.moving.clear();
    }

    /// The number for the next row. Inside an MTR; taken for good by `next_row.store(id + 1)` once nothing can fail.
    pub(super) fn next_row(&self, mtr: &Mtr<'_>, shape: &Shape, state: &State) -> Res<RowId> {
        match state.next_row.load(Ordering::Acquire) {
            0 => {
                let mut cursor = Cursor::new(shape.rows());
                cursor.seek_last(mtr)?;
                let last = match cursor.prev(mtr)? {
                    Some((page, slot)) => version::row_id(page.cell(slot)?)?.0,
                    None => 0,
                };
                state.next_row.store(last + 1, Ordering::Release);
                Ok(RowId(last + 1))
            }
            next => Ok(RowId(next)),
        }
    }

    /// A row's cell as it stands now, versions that were moved out not included.
    pub(super) fn cell(
        &self,
        pages: &impl Pages,
        shape: &Shape,
        row: RowId,
    ) -> Res<Option<Vec<u8>>> {
        match shape.rows().get(pages, &row.0.to_be_bytes())? {
            Some((page, slot)) => Ok(Some(page.cell(slot)?.to_vec())),
            None => Ok(None),
        }
    }

    /// A version's columns, with moved-out values brought in.
    pub(super) fn decode(
        &self,
        shape: &Shape,
        reader: &Reader,
        version: &Version<'_>,
    ) -> Res<Vec<Datum>> {
        self.decode_payload(
            shape,
            reader,
            version.payload,
            version.flags & EXTERNAL != 0,
        )
    }

    pub(super) fn decode_payload(
        &self,
        shape: &Shape,
        reader: &Reader,
        payload: &[u8],
        external: bool,
    ) -> Res<Vec<Datum>> {
        if external {
            self.bring(shape, reader, payload)?;
        }
        reader.row(payload, &mut |_, pointer| {
            if !external {
                return corrupt("a row has a moved value and does not say so");
            }
            self.read_value(shape.def.overflow, &pointer)
        })
    }

    /// Read several moved values of one row before the first is taken: else a call that has to wait for a later one would begin again with those
    /// before it, and with a cache that can't hold them all it would never end.
    fn bring(&self, shape: &Shape, reader: &Reader, payload: &[u8]) -> Res<()> {
        let mut moved = externals(&shape.layout, payload)?;
        moved.retain(|(column, _)| reader.wants(*column));
        if moved.len() > 1 {
            for (_, pointer) in &moved {
                self.keep_value(shape.def.overflow, pointer)?;
            }
        }
        Ok(())
    }

    /// A version's key in every index.
    pub(super) fn keys_of(&self, shape: &Shape, version: &Version<'_>) -> Res<Vec<Vec<u8>>> {
        let values = self.decode(shape, &shape.keys, version)?;
        shape
            .def
            .indexes
            .iter()
            .map(|index| shape.key(index, &values))
            .collect()
    }

    /// The session's transaction has ended or rolled back to a savepoint: forget values that were on their way.
    pub fn forget_session(&self, session: SessionId) {
        self.drop_unused(session);
    }
}

fn leads_to(def: &TableDef, root: PageNo) -> bool {
    def.root == root || def.overflow == root || def.indexes.iter().any(|index| index.root == root)
}
