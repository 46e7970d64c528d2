//! Values too long for their row, in chunks, and old versions of rows that outgrew their leaf.
//!
//! A table's overflow tree has the keys `[value id, 8 bytes big-endian][chunk number, 4 bytes big-endian]`. A value id is
//! written once and never again, so what was read of it stays right. Long values are written and read in many steps; each
//! step is kept, so that a call which has to wait goes on where it stood.

use super::core::{Core, Shape, State};
use super::row::{self, Draft, External};
use crate::base::error::{corrupt, fail};
use crate::base::{pace, PageNo, Res, RowId, SessionId};
use crate::btree::{Cursor, Tree};
use crate::redo::version::{self, versions, FROZEN, HISTORY, KEY_SIZE};
use crate::store::{Mtr, Volume};
use crate::txn::leftovers::{Leftover, Why};
use ahash::AHashMap;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a value in one cell: two cells fill a leaf.
const CHUNK: usize = 4000;
/// Chunks in one mini-transaction.
const STEP: usize = 16;
/// Half-read values remembered at once.
const READING: usize = 64;
/// Leaves asked for together.
const AHEAD: usize = 64;

/// A value on its way out.
struct Moved {
    table: PageNo,
    /// The value itself, to know it again.
    raw: Vec<u8>,
    /// What is stored; empty when that is `raw`.
    packed: Vec<u8>,
    external: External,
    written: usize,
    /// Of the old row: found equal, and shared with it.
    shared: bool,
}

impl Moved {
    fn fits(&self, table: PageNo, value: &[u8]) -> bool {
        !self.shared && self.table == table && self.raw == value
    }

    fn stored(&self) -> &[u8] {
        if self.external.packed {
            &self.packed
        } else {
            &self.raw
        }
    }
}

/// Half-done moves, by session, and half-read values.
#[derive(Default)]
pub(super) struct Moving {
    out: Mutex<AHashMap<SessionId, Vec<Moved>>>,
    sessions: AtomicUsize,
    reading: Mutex<AHashMap<(PageNo, u64), Vec<u8>>>,
}

impl Moving {
    pub fn clear(&self) {
        self.out.lock().clear();
        self.sessions.store(0, Ordering::Release);
        self.reading.lock().clear();
    }

    /// The session's values that no row points to: (table, value id).
    fn take(&self, session: SessionId) -> Vec<(PageNo, u64)> {
        if self.sessions.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut out = self.out.lock();
        let list = out.remove(&session).unwrap_or_default();
        self.sessions.store(out.len(), Ordering::Release);
        list.iter()
            .filter(|moved| !moved.shared)
            .map(|moved| (moved.table, moved.external.id))
            .collect()
    }

    fn was_equal(
        &self,
        session: SessionId,
        table: PageNo,
        external: &External,
        raw: &[u8],
    ) -> bool {
        let out = self.out.lock();
        let same =
            |m: &Moved| m.shared && m.table == table && m.external == *external && m.raw == raw;
        out.get(&session).is_some_and(|list| list.iter().any(same))
    }

    fn remember_equal(&self, session: SessionId, table: PageNo, external: External, raw: Vec<u8>) {
        let mut out = self.out.lock();
        let list = out.entry(session).or_default();
        list.push(Moved {
            table,
            raw,
            packed: Vec::new(),
            external,
            written: usize::MAX,
            shared: true,
        });
        self.sessions.store(out.len(), Ordering::Release);
    }

    /// The lowest value of a table that no row points to yet.
    pub fn lowest(&self, table: PageNo) -> Option<u64> {
        let out = self.out.lock();
        out.values()
            .flatten()
            .filter(|moved| moved.table == table && !moved.shared)
            .map(|moved| moved.external.id)
            .min()
    }

    /// A row points to these values now.
    pub fn settled(&self, session: SessionId, ids: &[External]) {
        if self.sessions.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut out = self.out.lock();
        if let Some(list) = out.get_mut(&session) {
            list.retain(|moved| !ids.iter().any(|e| e.id == moved.external.id));
            if list.is_empty() {
                out.remove(&session);
            }
        }
        self.sessions.store(out.len(), Ordering::Release);
    }
}

fn chunk_key(id: u64, number: usize) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&id.to_be_bytes());
    key[8..].copy_from_slice(&(number as u32).to_be_bytes());
    key
}

fn id_of(key: &[u8]) -> Res<u64> {
    match key.first_chunk::<8>() {
        Some(id) => Ok(u64::from_be_bytes(*id)),
        None => corrupt("an overflow chunk has a short key"),
    }
}

impl Core {
    /// Move what is too long out of the draft. `old`: the row's values that are out already, which unchanged columns share.
    pub(super) fn move_out(
        &self,
        session: SessionId,
        shape: &Shape,
        state: &State,
        draft: &mut Draft,
        old: &[(usize, External)],
    ) -> Res<()> {
        if draft.size() <= row::TARGET {
            return Ok(());
        }
        self.share(session, shape, draft, old)?;
        if draft.pieces.iter().any(|p| p.bytes.len() > row::VALUE_MAX) {
            return fail("54000", "a value is longer than 1 GB");
        }
        let mut list = self.moving.out.lock().remove(&session).unwrap_or_default();
        let done = self.write_out(shape, state, draft, &mut list);
        let mut out = self.moving.out.lock();
        out.insert(session, list);
        self.moving.sessions.store(out.len(), Ordering::Release);
        done
    }

    /// First what an earlier call has begun, then what is still too long. `list`: what has been begun.
    fn write_out(
        &self,
        shape: &Shape,
        state: &State,
        draft: &mut Draft,
        list: &mut Vec<Moved>,
    ) -> Res<()> {
        let mut again = Vec::new();
        for (at, moved) in list.iter().enumerate() {
            let fits =
                |p: &row::Piece| p.form == row::PLAIN && moved.fits(shape.def.root, &p.bytes);
            if let Some(index) = draft.pieces.iter().position(fits) {
                draft.point_to(index, moved.external);
                again.push(at);
            }
        }
        for at in again {
            if let Some(moved) = list.get_mut(at) {
                write_chunks(&self.volume, shape.values(), moved)?;
            }
        }
        let mut raw = draft.pack();
        while let Some(index) = draft.to_move() {
            let column = draft.pieces.get(index).map_or(0, |p| p.column);
            let id = self.next_value(shape, state)?;
            let (external, bytes) = draft.move_out(index, id)?;
            let place = raw.iter().position(|(c, _)| *c == column);
            let (raw, packed) = match place.filter(|_| external.packed) {
                Some(place) => (raw.swap_remove(place).1, bytes),
                None => (bytes, Vec::new()),
            };
            let mut moved = Moved {
                table: shape.def.root,
                raw,
                packed,
                external,
                written: 0,
                shared: false,
            };
            let done = write_chunks(&self.volume, shape.values(), &mut moved);
            list.push(moved);
            done?;
        }
        Ok(())
    }

    /// Point to the old row's values where the new ones are the same. What has been compared is remembered until the row is
    /// written, so that a small cache need not hold all of the value and all of the row's trees at once.
    fn share(
        &self,
        session: SessionId,
        shape: &Shape,
        draft: &mut Draft,
        old: &[(usize, External)],
    ) -> Res<()> {
        for (column, external) in old {
            let same = |p: &row::Piece| p.column == *column && p.bytes.len() as u64 == external.len;
            let Some(index) = draft.pieces.iter().position(same) else {
                continue;
            };
            let Some(bytes) = draft.pieces.get(index).map(|p| &p.bytes) else {
                continue;
            };
            if !self
                .moving
                .was_equal(session, shape.def.root, external, bytes)
            {
                if self.read_value(shape.def.overflow, external)? != *bytes {
                    continue;
                }
                let raw = bytes.clone();
                self.moving
                    .remember_equal(session, shape.def.root, *external, raw);
            }
            draft.point_to(index, *external);
        }
        Ok(())
    }

    /// An id that no value of the table has. Outside of an MTR.
    fn next_value(&self, shape: &Shape, state: &State) -> Res<u64> {
        let mtr = self.volume.begin()?;
        self.next_value_in(&mtr, shape, state)
    }

    /// Values at or above it are still to come.
    pub(super) fn values_end(&self, shape: &Shape, state: &State) -> Res<u64> {
        let next = self.next_value(shape, state)?;
        Ok(next)
    }

    fn next_value_in(&self, mtr: &Mtr<'_>, shape: &Shape, state: &State) -> Res<u64> {
        if state.next_value.load(Ordering::Acquire) == 0 {
            let mut cursor = Cursor::new(shape.values());
            cursor.seek_last(mtr)?;
            let last = match cursor.prev(mtr)? {
                Some((page, slot)) => id_of(crate::btree::key_of(page, slot)?)?,
                None => 0,
            };
            state.next_value.store(last + 1, Ordering::Release);
        }
        Ok(state.next_value.fetch_add(1, Ordering::AcqRel))
    }

    /// The value behind a pointer. What has been read before a Need is kept for the next call.
    pub(super) fn read_value(&self, overflow: PageNo, external: &External) -> Res<Vec<u8>> {
        pace::heavy(external.len as usize)?;
        let key = (overflow, external.id);
        let mut bytes = self.moving.reading.lock().remove(&key).unwrap_or_default();
        match read_chunks(&self.volume, Tree { root: overflow }, external, &mut bytes) {
            Ok(()) => {}
            Err(stop) => {
                let mut reading = self.moving.reading.lock();
                if reading.len() >= READING {
                    reading.clear();
                }
                reading.insert(key, bytes);
                return Err(stop);
            }
        }
        if external.packed {
            return row::unpack(&bytes, external.len as usize);
        }
        Ok(bytes)
    }

    /// Values of the session that were moved out and then not used (their statement failed) are garbage.
    pub(super) fn drop_unused(&self, session: SessionId) {
        for (table, id) in self.moving.take(session) {
            self.drop_value(table, id);
        }
    }

    /// Values that only dropped versions point to: vacuum takes them out.
    pub(super) fn drop_values(&self, shape: &Shape, dropped: &[External], kept: &[External]) {
        for external in dropped {
            if !kept.iter().any(|k| k.id == external.id) {
                self.drop_value(shape.def.root, external.id);
            }
        }
    }

    pub(super) fn drop_value(&self, table: PageNo, id: u64) {
        let xid = crate::base::Xid::FROZEN;
        let left = Leftover {
            table,
            from: RowId(id),
            to: RowId(id),
            why: Why::Value,
            xid,
        };
        self.txns.leftovers.push(crate::base::Lsn::ZERO, left);
    }

    /// Take the chunks of a value out of the tree, some at a time; true when none is left.
    pub(super) fn remove_chunks(&self, shape: &Shape, id: u64) -> Res<bool> {
        let mut mtr = self.volume.begin()?;
        let tree = shape.values();
        let mut found = Vec::new();
        let mut cursor = Cursor::new(tree);
        cursor.seek(&mtr, &chunk_key(id, 0))?;
        while found.len() < STEP {
            match cursor.next(&mtr)? {
                Some((page, slot)) => {
                    let key = crate::btree::key_of(page, slot)?;
                    if id_of(key)? != id {
                        break;
                    }
                    found.push(key.to_vec());
                }
                None => break,
            }
        }
        drop(cursor);
        let done = found.len() < STEP;
        let mut spots = Vec::with_capacity(found.len());
        for key in &found {
            spots.push(tree.prepare_remove(&mut mtr, key)?);
        }
        for (spot, key) in spots.iter().zip(&found) {
            tree.remove(&mut mtr, spot, key)?;
        }
        mtr.commit();
        Ok(done)
    }

    /// The cell with the versions that were moved out brought back (one step of them).
    pub(super) fn with_history(&self, shape: &Shape, cell: &[u8]) -> Res<Vec<u8>> {
        let mut out = cell.to_vec();
        for version in versions(cell) {
            let version = version?;
            if version.flags & HISTORY != 0 {
                out.truncate(version.start);
                let pointer = External::get(version.payload)?;
                out.extend_from_slice(&self.read_value(shape.def.overflow, &pointer)?);
                break;
            }
        }
        Ok(out)
    }

    /// Prepare to move the versions `old` of a cell (its bytes after the row id) out. The pointer version stands for them.
    pub(super) fn prepare_history(
        &self,
        mtr: &mut Mtr<'_>,
        shape: &Shape,
        state: &State,
        old: &[u8],
    ) -> Res<(History, Vec<u8>)> {
        let id = self.next_value_in(mtr, shape, state)?;
        let external = External {
            id,
            len: old.len() as u64,
            stored: old.len() as u64,
            packed: false,
        };
        let tree = shape.values();
        let mut chunks = Vec::new();
        for (number, bytes) in old.chunks(CHUNK).enumerate() {
            let key = chunk_key(id, number);
            let spot = tree.prepare(mtr, &key, bytes.len() + key.len() + 2)?;
            chunks.push((spot, key, bytes.to_vec()));
        }
        let mut pointer = Vec::new();
        version::put(
            &mut pointer,
            FROZEN | HISTORY,
            crate::base::Xid::FROZEN,
            0,
            &external.to_bytes(),
        );
        Ok((History { tree, chunks }, pointer))
    }
}

/// Prepared chunks of old versions.
pub(super) struct History {
    tree: Tree,
    chunks: Vec<(crate::btree::Spot, [u8; 12], Vec<u8>)>,
}

impl History {
    pub fn perform(&self, mtr: &mut Mtr<'_>) -> Res<()> {
        for (spot, key, bytes) in &self.chunks {
            self.tree.insert(mtr, spot, key, bytes)?;
        }
        Ok(())
    }
}

/// Old versions alone, as a cell would have them (with a row id before).
pub(super) fn as_cell(row: RowId, old: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(KEY_SIZE + old.len());
    out.extend_from_slice(&row.0.to_be_bytes());
    out.extend_from_slice(old);
    out
}

fn write_chunks(volume: &Volume, tree: Tree, moved: &mut Moved) -> Res<()> {
    let all = moved.stored().len().div_ceil(CHUNK);
    while moved.written < all {
        pace::heavy(STEP * CHUNK)?;
        let mut mtr = volume.begin()?;
        let numbers = moved.written..all.min(moved.written + STEP);
        let mut spots = Vec::with_capacity(STEP);
        for number in numbers.clone() {
            let bytes = chunk_of(moved.stored(), number);
            let key = chunk_key(moved.external.id, number);
            spots.push((
                tree.prepare(&mut mtr, &key, bytes.len() + key.len() + 2)?,
                key,
            ));
        }
        for ((spot, key), number) in spots.iter().zip(numbers.clone()) {
            tree.insert(&mut mtr, spot, key, chunk_of(moved.stored(), number))?;
        }
        mtr.commit();
        moved.written = numbers.end;
    }
    Ok(())
}

fn chunk_of(bytes: &[u8], number: usize) -> &[u8] {
    let from = number * CHUNK;
    bytes
        .get(from..bytes.len().min(from + CHUNK))
        .unwrap_or(&[])
}

fn read_chunks(volume: &Volume, tree: Tree, external: &External, bytes: &mut Vec<u8>) -> Res<()> {
    let mut number = bytes.len() / CHUNK;
    let left = (external.stored as usize).saturating_sub(bytes.len());
    let ahead = AHEAD.min(left / CHUNK + 1);
    let mut cursor = Cursor::new(tree).with_all_read_ahead(ahead);
    if bytes.len() as u64 >= external.stored {
        return Ok(());
    }
    cursor.seek(volume, &chunk_key(external.id, number))?;
    while (bytes.len() as u64) < external.stored {
        pace::check()?;
        let Some((page, slot)) = cursor.next(volume)? else {
            return corrupt(format!("value {} is cut off", external.id));
        };
        if crate::btree::key_of(page, slot)? != chunk_key(external.id, number) {
            return corrupt(format!("value {} lacks chunk {number}", external.id));
        }
        bytes.extend_from_slice(crate::btree::value_of(page, slot)?);
        number += 1;
    }
    if bytes.len() as u64 != external.stored {
        return corrupt(format!(
            "value {} is longer than its pointer says",
            external.id
        ));
    }
    Ok(())
}
