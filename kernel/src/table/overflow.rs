//! Values too long for their row, in chunks, and old versions of rows that outgrew their leaf.
//!
//! A table's overflow tree has the keys `[value id, 8 bytes big-endian][chunk number, 4 bytes big-endian]`. A value id is
//! written once and never again, so what was read of it stays right. Long values are written and read in many steps; each
//! step is kept, so that a call which has to wait goes on where it stood.

use super::core::{Core, Shape, State};
use super::packing::{self, Packing};
use super::row::{self, Draft, External};
use crate::base::error::{corrupt, fail};
use crate::base::{pace, Need, PageNo, Res, RowId, SessionId, Stop};
use crate::btree::{Cursor, Tree};
use crate::redo::version::{self, versions, FROZEN, HISTORY, KEY_SIZE};
use crate::store::{Mtr, Volume};
use crate::txn::leftovers::{Leftover, Why};
use ahash::AHashMap;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes of a value in one cell: two cells fill a leaf.
const CHUNK: usize = 4000;
/// Chunks in one mini-transaction.
const STEP: usize = 16;
/// Half-read values that nobody came back for are forgotten when so many others have had to wait.
const FORGOTTEN: u64 = 4096;
/// Leaves asked for together.
const AHEAD: usize = 64;

/// A value on its way out.
struct Moved {
    table: PageNo,
    raw: Raw,
    /// What is stored; empty when that is the value itself.
    packed: Vec<u8>,
    external: External,
    written: usize,
    /// Of the old row: found equal so far (bytes), and shared with it when that is all.
    shared: Option<usize>,
    /// It was begun in the call that is running.
    is_new: bool,
}

/// What a value is known again by, when the call which began to move it is made again.
enum Raw {
    /// Bytes of the caller's row, which keeps them in their place as long as it makes the same call again. That they are still the same
    /// is looked at once, at the end: a huge value's move may have to wait very often.
    Lent { at: usize, hash: u64 },
    /// Bytes that are made anew by each call.
    Own(Vec<u8>),
    /// Nobody comes for it any more.
    Nothing,
}

impl Raw {
    fn of(bytes: Cow<'_, [u8]>) -> Res<Raw> {
        Ok(match bytes {
            Cow::Borrowed(lent) => Raw::Lent {
                at: lent.as_ptr() as usize,
                hash: hash(lent)?,
            },
            Cow::Owned(own) => Raw::Own(own),
        })
    }

    fn may_be(&self, piece: &row::Piece<'_>) -> bool {
        match (self, &piece.bytes) {
            (Raw::Lent { at, .. }, Cow::Borrowed(lent)) => *at == lent.as_ptr() as usize,
            (Raw::Own(own), Cow::Owned(bytes)) => own == bytes,
            _ => false,
        }
    }
}

fn lent<'a>(bytes: &Cow<'a, [u8]>) -> Option<&'a [u8]> {
    match bytes {
        Cow::Borrowed(lent) => Some(lent),
        Cow::Owned(_) => None,
    }
}

/// Places in a list of what has been begun, with the bytes that they stand for where these are the caller's.
type Used<'a> = Vec<(usize, Option<&'a [u8]>)>;

/// Of a value's bytes, within this process.
fn hash(bytes: &[u8]) -> Res<u64> {
    let mut hasher = ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher();
    for block in bytes.chunks(packing::BLOCK) {
        pace::check()?;
        hasher.write(block);
    }
    Ok(hasher.finish())
}

impl Moved {
    /// It may be that this value's move has begun, in an earlier call.
    fn fits(&self, table: PageNo, piece: &row::Piece<'_>) -> bool {
        self.table == table
            && self.external.len == piece.bytes.len() as u64
            && self.raw.may_be(piece)
    }

    /// The value: `lent`, or its own.
    fn value<'v>(&'v self, lent: Option<&'v [u8]>) -> &'v [u8] {
        match &self.raw {
            Raw::Own(own) => own,
            _ => lent.unwrap_or(&[]),
        }
    }

    /// What was lent in an earlier call, is it what is lent now?
    fn is_still(&self, lent: Option<&[u8]>) -> Res<bool> {
        match (&self.raw, lent) {
            (Raw::Lent { hash: found, .. }, Some(lent)) if !self.is_new => {
                Ok(*found == hash(lent)?)
            }
            _ => Ok(true),
        }
    }
}

/// A value on its way in.
struct Reading {
    bytes: Vec<u8>,
    /// When it had to wait last, in waits of all.
    waited: u64,
}

/// Half-done moves, by session, and half-read values.
#[derive(Default)]
pub(super) struct Moving {
    out: Mutex<AHashMap<SessionId, Vec<Moved>>>,
    sessions: AtomicUsize,
    reading: Mutex<AHashMap<(PageNo, u64), Reading>>,
    waits: AtomicU64,
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
            .filter(|moved| moved.shared.is_none())
            .map(|moved| (moved.table, moved.external.id))
            .collect()
    }

    /// What the session's calls have begun.
    fn begun(&self, session: SessionId) -> Vec<Moved> {
        match self.sessions.load(Ordering::Acquire) {
            0 => Vec::new(),
            _ => self.out.lock().remove(&session).unwrap_or_default(),
        }
    }

    fn keep(&self, session: SessionId, mut list: Vec<Moved>) {
        for moved in &mut list {
            moved.is_new = false;
        }
        list.retain(|moved| moved.shared.is_none() || !matches!(moved.raw, Raw::Nothing));
        let mut out = self.out.lock();
        if !list.is_empty() {
            out.insert(session, list);
        }
        self.sessions.store(out.len(), Ordering::Release);
    }

    fn keep_read(&self, key: (PageNo, u64), bytes: Vec<u8>) {
        let now = self.waits.fetch_add(1, Ordering::Relaxed);
        let mut reading = self.reading.lock();
        reading.retain(|_, other| now.saturating_sub(other.waited) < FORGOTTEN);
        let kept = reading.entry(key).or_insert(Reading {
            bytes: Vec::new(),
            waited: now,
        });
        kept.waited = now;
        // Two may read the same value: the one behind goes on where the other stands.
        if kept.bytes.len() < bytes.len() {
            kept.bytes = bytes;
        }
    }

    /// The lowest value of a table that no row points to yet.
    pub fn lowest(&self, table: PageNo) -> Option<u64> {
        let out = self.out.lock();
        out.values()
            .flatten()
            .filter(|moved| moved.table == table && moved.shared.is_none())
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
        draft: &mut Draft<'_>,
        old: &[(usize, External)],
    ) -> Res<()> {
        if draft.size() <= row::TARGET {
            return Ok(());
        }
        if draft.pieces.iter().any(|p| p.bytes.len() > row::VALUE_MAX) {
            return fail("54000", "a value is longer than 1 GB");
        }
        let mut list = self.moving.begun(session);
        let done = self.move_all(shape, state, draft, old, &mut list);
        self.moving.keep(session, list);
        done
    }

    /// `list`: what earlier calls have begun, and then what this one has.
    fn move_all(
        &self,
        shape: &Shape,
        state: &State,
        draft: &mut Draft<'_>,
        old: &[(usize, External)],
        list: &mut Vec<Moved>,
    ) -> Res<()> {
        let mut used = self.share(shape, draft, old, list)?;
        let shared = used.len();
        for (at, moved) in list.iter().enumerate() {
            let fits = |p: &row::Piece<'_>| p.form == row::PLAIN && moved.fits(shape.def.root, p);
            if moved.shared.is_some() {
                continue;
            }
            if let Some(index) = draft.pieces.iter().position(fits) {
                used.push((at, draft.pieces.get(index).and_then(|p| lent(&p.bytes))));
                draft.point_to(index, moved.external);
            }
        }
        let mut raw = draft.pack()?;
        while let Some(index) = draft.to_move() {
            let column = draft.pieces.get(index).map_or(0, |p| p.column);
            let id = self.next_value(shape, state)?;
            let (external, bytes) = draft.move_out(index, id)?;
            let place = raw.iter().position(|(c, _)| *c == column);
            let (value, packed) = match place {
                Some(place) if external.packing != Packing::None => {
                    (raw.swap_remove(place).1, bytes.into_owned())
                }
                _ => (bytes, Vec::new()),
            };
            used.push((list.len(), lent(&value)));
            list.push(Moved {
                table: shape.def.root,
                raw: Raw::of(value)?,
                packed,
                external,
                written: 0,
                shared: None,
                is_new: true,
            });
        }
        for (at, lent) in used.iter().skip(shared) {
            if let Some(moved) = list.get_mut(*at) {
                write_chunks(&self.volume, shape.values(), moved, *lent)?;
            }
        }
        for (at, lent) in used {
            match list.get_mut(at) {
                // Another value of the same length in the same place: all again.
                Some(moved) if !moved.is_still(lent)? => {
                    moved.raw = Raw::Nothing;
                    return Err(Need::Slice.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Point to the old row's values where the new ones are the same. What has been compared is remembered until the row is
    /// written, so that a small cache need not hold all of the value and all of the row's trees at once.
    fn share<'a>(
        &self,
        shape: &Shape,
        draft: &mut Draft<'a>,
        old: &[(usize, External)],
        list: &mut Vec<Moved>,
    ) -> Res<Used<'a>> {
        let mut used = Vec::new();
        let root = shape.def.root;
        for (column, external) in old {
            let same =
                |p: &row::Piece<'_>| p.column == *column && p.bytes.len() as u64 == external.len;
            let index = draft.pieces.iter().position(same);
            let Some((index, piece)) = index.and_then(|i| Some((i, draft.pieces.get(i)?))) else {
                continue;
            };
            // Found to be another one, in an earlier call.
            if list
                .iter()
                .any(|m| m.shared.is_none() && m.fits(root, piece))
            {
                continue;
            }
            let known =
                |m: &Moved| m.shared.is_some() && m.external == *external && m.fits(root, piece);
            let place = list.iter().position(known).unwrap_or(list.len());
            if place == list.len() {
                list.push(Moved {
                    table: root,
                    raw: Raw::of(piece.bytes.clone())?,
                    packed: Vec::new(),
                    external: *external,
                    written: usize::MAX,
                    shared: Some(0),
                    is_new: true,
                });
            }
            let Some(moved) = list.get_mut(place) else {
                continue;
            };
            let lent = lent(&piece.bytes);
            if self.is_equal(shape.def.overflow, moved, lent)? {
                draft.point_to(index, *external);
                used.push((place, lent));
            } else {
                moved.raw = Raw::Nothing;
            }
        }
        Ok(used)
    }

    /// Is the new value what the old row points to? What has been compared before a Need is not compared again.
    fn is_equal(&self, overflow: PageNo, moved: &mut Moved, lent: Option<&[u8]>) -> Res<bool> {
        let external = moved.external;
        let mut at = moved.shared.unwrap_or(0);
        if at as u64 == external.len {
            return Ok(true);
        }
        let value = moved.value(lent);
        let equal = match external.packing {
            Packing::None => {
                let mut from = at;
                let compare = &mut |chunk: &[u8]| {
                    let equal = value.get(from..from + chunk.len()) == Some(chunk);
                    from += chunk.len();
                    equal
                };
                read_chunks(
                    &self.volume,
                    Tree { root: overflow },
                    &external,
                    &mut at,
                    compare,
                )
            }
            _ => self.read_value(overflow, &external).map(|old| old == value),
        };
        if let Ok(true) = equal {
            at = external.len as usize;
        }
        moved.shared = Some(at);
        equal
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
        let bytes = self.read_stored(overflow, external)?;
        match external.packing {
            Packing::None => Ok(bytes),
            packing => packing::unpack(&bytes, external.len as usize, packing),
        }
    }

    /// The same, for the next call of `read_value`.
    pub(super) fn keep_value(&self, overflow: PageNo, external: &External) -> Res<()> {
        pace::heavy(external.len as usize)?;
        let bytes = self.read_stored(overflow, external)?;
        self.moving.keep_read((overflow, external.id), bytes);
        Ok(())
    }

    fn read_stored(&self, overflow: PageNo, external: &External) -> Res<Vec<u8>> {
        let key = (overflow, external.id);
        let kept = self.moving.reading.lock().remove(&key);
        let mut bytes = kept.map_or_else(Vec::new, |reading| reading.bytes);
        let mut at = bytes.len();
        let room = (external.stored as usize).saturating_sub(at);
        bytes.reserve_exact(room.min(row::VALUE_MAX));
        let append = &mut |chunk: &[u8]| {
            bytes.extend_from_slice(chunk);
            true
        };
        let read = read_chunks(
            &self.volume,
            Tree { root: overflow },
            external,
            &mut at,
            append,
        );
        match read {
            Ok(_) => Ok(bytes),
            Err(stop) => {
                if let Stop::Need(_) = stop {
                    self.moving.keep_read(key, bytes);
                }
                Err(stop)
            }
        }
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
        let mut mtr = self.volume.begin_bulk()?;
        let tree = shape.values();
        let mut found = Vec::new();
        let mut cursor = Cursor::new(tree).with_all_read_ahead(AHEAD);
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
            packing: Packing::None,
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

fn write_chunks(volume: &Volume, tree: Tree, moved: &mut Moved, lent: Option<&[u8]>) -> Res<()> {
    let (id, mut written) = (moved.external.id, moved.written);
    let stored = match moved.external.packing {
        Packing::None => moved.value(lent),
        _ => &moved.packed,
    };
    let all = stored.len().div_ceil(CHUNK);
    let mut step = || -> Res<()> {
        while written < all {
            pace::heavy(STEP * CHUNK)?;
            let mut mtr = match written < STEP {
                true => volume.begin()?,
                false => volume.begin_bulk()?,
            };
            let numbers = written..all.min(written + STEP);
            let mut spots = Vec::with_capacity(STEP);
            for number in numbers.clone() {
                let key = chunk_key(id, number);
                let room = chunk_of(stored, number).len() + key.len() + 2;
                spots.push((tree.prepare(&mut mtr, &key, room)?, key));
            }
            for ((spot, key), number) in spots.iter().zip(numbers.clone()) {
                tree.insert(&mut mtr, spot, key, chunk_of(stored, number))?;
            }
            mtr.commit();
            written = numbers.end;
        }
        Ok(())
    };
    let done = step();
    moved.written = written;
    done
}

fn chunk_of(bytes: &[u8], number: usize) -> &[u8] {
    let from = number * CHUNK;
    bytes
        .get(from..bytes.len().min(from + CHUNK))
        .unwrap_or(&[])
}

/// The stored bytes from `at` on, chunk by chunk; `at` goes on with what `take` has taken. False: `take` wants no more.
fn read_chunks(
    volume: &Volume,
    tree: Tree,
    external: &External,
    at: &mut usize,
    take: &mut dyn FnMut(&[u8]) -> bool,
) -> Res<bool> {
    let stored = external.stored as usize;
    if *at >= stored {
        return Ok(true);
    }
    let mut number = *at / CHUNK;
    let ahead = AHEAD.min((stored - *at) / CHUNK + 1);
    let mut cursor = Cursor::new(tree).with_all_read_ahead(ahead);
    cursor.seek(volume, &chunk_key(external.id, number))?;
    while *at < stored {
        pace::check()?;
        let Some((page, slot)) = cursor.next(volume)? else {
            return corrupt(format!("value {} is cut off", external.id));
        };
        if crate::btree::key_of(page, slot)? != chunk_key(external.id, number) {
            return corrupt(format!("value {} lacks chunk {number}", external.id));
        }
        let chunk = crate::btree::value_of(page, slot)?;
        if !take(chunk) {
            return Ok(false);
        }
        *at += chunk.len();
        number += 1;
    }
    match *at == stored {
        true => Ok(true),
        false => corrupt(format!(
            "value {} is longer than its pointer says",
            external.id
        )),
    }
}
