//! A row's versions inside one leaf cell, newest first.
//!
//! cell = `[row id, 8 bytes big-endian][version]…`; version = `[flags][xid varint][command varint][payload length varint][payload]`.
//! A [`FROZEN`] version has no xid and no command (visible to all); a [`DELETED`] one has neither length nor payload.

use crate::base::error::corrupt;
use crate::base::{varint, Res, RowId, Xid};

/// Written by a transaction that is visible to everyone.
pub const FROZEN: u8 = 1;
/// The row is deleted as of this version: no payload.
pub const DELETED: u8 = 2;
/// The payload has pointers into the overflow tree.
pub const EXTERNAL: u8 = 4;
/// Not a version: its payload points to the older versions, which were moved to the overflow tree. Always frozen and last.
pub const HISTORY: u8 = 8;
/// This version has another key in some index than the version before it.
pub const REKEYED: u8 = 16;
/// All flags that a version may carry; the upper bits belong to the redo record that pushes it.
pub const FLAGS: u8 = FROZEN | DELETED | EXTERNAL | HISTORY | REKEYED;

/// Bytes of the row id before the versions.
pub const KEY_SIZE: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version<'a> {
    pub flags: u8,
    /// `Xid::FROZEN` when frozen.
    pub xid: Xid,
    pub command: u32,
    pub payload: &'a [u8],
    /// Where the version stands in its cell.
    pub start: usize,
    pub end: usize,
}

impl Version<'_> {
    pub fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    pub fn is_frozen(&self) -> bool {
        self.flags & FROZEN != 0
    }
}

/// Append one version.
pub fn put(out: &mut Vec<u8>, flags: u8, xid: Xid, command: u32, payload: &[u8]) {
    put_head(out, flags, xid, command);
    if flags & DELETED == 0 {
        varint::put(out, payload.len() as u64);
        out.extend_from_slice(payload);
    }
}

fn put_head(out: &mut Vec<u8>, flags: u8, xid: Xid, command: u32) {
    out.push(flags & FLAGS);
    if flags & FROZEN == 0 {
        varint::put(out, xid.0);
        varint::put(out, u64::from(command));
    }
}

/// Bytes that `put` takes.
pub fn len(flags: u8, xid: Xid, command: u32, payload: usize) -> usize {
    let mut len = 1;
    if flags & FROZEN == 0 {
        len += varint::len(xid.0) + varint::len(u64::from(command));
    }
    if flags & DELETED == 0 {
        len += varint::len(payload as u64) + payload;
    }
    len
}

/// A new cell with one version.
pub fn cell(row: RowId, flags: u8, xid: Xid, command: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(KEY_SIZE + 16 + payload.len());
    out.extend_from_slice(&row.0.to_be_bytes());
    put(&mut out, flags, xid, command, payload);
    out
}

#[inline]
pub fn row_id(cell: &[u8]) -> Res<RowId> {
    match cell.first_chunk::<KEY_SIZE>() {
        Some(key) => Ok(RowId(u64::from_be_bytes(*key))),
        None => corrupt("a row's cell is shorter than its row id"),
    }
}

/// The versions of a cell, newest first. After an error the iterator ends.
pub fn versions(cell: &[u8]) -> Versions<'_> {
    Versions { cell, at: KEY_SIZE }
}

#[derive(Clone)]
pub struct Versions<'a> {
    cell: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Versions<'a> {
    type Item = Res<Version<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Res<Version<'a>>> {
        if self.at >= self.cell.len() {
            return None;
        }
        let version = parse(self.cell, self.at);
        self.at = match &version {
            Ok(version) => version.end,
            Err(_) => self.cell.len(),
        };
        Some(version)
    }
}

#[inline]
fn parse(cell: &[u8], start: usize) -> Res<Version<'_>> {
    let Some(&flags) = cell.get(start) else {
        return corrupt("a row has no version");
    };
    if flags & !FLAGS != 0 {
        return corrupt(format!("unknown flags {flags:#x} on a row version"));
    }
    let mut at = start + 1;
    let (mut xid, mut command) = (Xid::FROZEN, 0);
    if flags & FROZEN == 0 {
        xid = Xid(varint::get(cell, &mut at)?);
        command = varint::get(cell, &mut at)? as u32;
    }
    let mut payload: &[u8] = &[];
    if flags & DELETED == 0 {
        let len = varint::get(cell, &mut at)? as usize;
        let Some(bytes) = at.checked_add(len).and_then(|end| cell.get(at..end)) else {
            return corrupt("a row version runs past its cell");
        };
        payload = bytes;
        at += len;
    }
    Ok(Version {
        flags,
        xid,
        command,
        payload,
        start,
        end: at,
    })
}

/// Lengths of the longest common prefix, and of the longest common suffix of what is left.
pub fn common(old: &[u8], new: &[u8]) -> (usize, usize) {
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let suffix = old[prefix..]
        .iter()
        .rev()
        .zip(new[prefix..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    (prefix, suffix)
}

/// A new version in front of a cell's versions, as a difference to the payload of the newest one.
/// Of the old versions, `skip` newest ones are dropped (aborted) and then `keep` are kept (`ALL` for the rest).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push<'a> {
    pub flags: u8,
    pub xid: Xid,
    pub command: u32,
    pub skip: u32,
    pub keep: u32,
    /// Bytes taken from the beginning and from the end of the newest old version's payload (also when that one is skipped).
    pub prefix: u32,
    pub suffix: u32,
    pub middle: &'a [u8],
}

/// `Push::keep`: every old version that is not skipped.
pub const ALL: u32 = u32::MAX;

impl<'a> Push<'a> {
    /// The push that turns `cell`'s newest payload into `payload`.
    pub fn diff(
        cell: &[u8],
        flags: u8,
        xid: Xid,
        command: u32,
        payload: &'a [u8],
    ) -> Res<Push<'a>> {
        let (mut prefix, mut suffix) = (0, 0);
        if flags & DELETED == 0 {
            if let Some(newest) = versions(cell).next() {
                (prefix, suffix) = common(newest?.payload, payload);
            }
        }
        let middle = match flags & DELETED {
            0 => payload.get(prefix..payload.len() - suffix).unwrap_or(&[]),
            _ => &[],
        };
        Ok(Push {
            flags,
            xid,
            command,
            skip: 0,
            keep: ALL,
            prefix: prefix as u32,
            suffix: suffix as u32,
            middle,
        })
    }

    /// Length of the cell that `build` makes.
    pub fn built_len(&self, cell: &[u8]) -> Res<usize> {
        let mut kept = 0;
        let mut taken = 0;
        for (index, version) in versions(cell).enumerate() {
            let version = version?;
            if index >= self.skip as usize && taken < self.keep {
                taken += 1;
                kept += version.end - version.start;
            }
        }
        let payload = self.prefix as usize + self.middle.len() + self.suffix as usize;
        Ok(KEY_SIZE + len(self.flags, self.xid, self.command, payload) + kept)
    }

    /// The whole new cell.
    pub fn build(&self, cell: &[u8]) -> Res<Vec<u8>> {
        let Some(key) = cell.get(..KEY_SIZE) else {
            return corrupt("a row's cell is shorter than its row id");
        };
        let mut out = Vec::with_capacity(cell.len() + self.middle.len() + 32);
        out.extend_from_slice(key);
        put_head(&mut out, self.flags, self.xid, self.command);
        let mut kept: Option<(usize, usize)> = None;
        let mut taken = 0;
        for (index, version) in versions(cell).enumerate() {
            let version = version?;
            if index == 0 {
                self.put_payload(&mut out, version.payload)?;
            }
            if index >= self.skip as usize && taken < self.keep {
                taken += 1;
                kept = Some((kept.map_or(version.start, |(start, _)| start), version.end));
            }
        }
        if cell.len() == KEY_SIZE {
            self.put_payload(&mut out, &[])?;
        }
        if let Some(bytes) = kept.and_then(|(start, end)| cell.get(start..end)) {
            out.extend_from_slice(bytes);
        }
        Ok(out)
    }

    fn put_payload(&self, out: &mut Vec<u8>, old: &[u8]) -> Res<()> {
        if self.flags & DELETED != 0 {
            return Ok(());
        }
        let (prefix, suffix) = (self.prefix as usize, self.suffix as usize);
        if prefix.saturating_add(suffix) > old.len() {
            return corrupt("a version's difference is longer than the version before");
        }
        varint::put(out, (prefix + self.middle.len() + suffix) as u64);
        out.extend_from_slice(&old[..prefix]);
        out.extend_from_slice(self.middle);
        out.extend_from_slice(&old[old.len() - suffix..]);
        Ok(())
    }
}
