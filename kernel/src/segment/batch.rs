//! Batches: what one flush of the log carries for one protection group, framed, checksummed and linked to the one before.
//!
//! Layout, little-endian:
//!
//! | at | bytes | field |
//! |----|-------|-------|
//! | 0  | 4 | magic and version `6BA1` |
//! | 4  | 4 | CRC32C of everything from byte 8 on |
//! | 8  | 8 | volume id |
//! | 16 | 4 | volume epoch of the writer that cut it |
//! | 20 | 4 | protection group |
//! | 24 | 8 | prev: end LSN of this group's previous batch (0: there is none) |
//! | 32 | 8 | start LSN of the flush |
//! | 40 | 8 | end LSN of the flush, which is the batch's own end LSN too |
//! | 48 | 8 | VDL when it was cut (a hint: it was durable then) |
//! | 56 | 8 | the writer's own oldest snapshot when it was cut (for people; PGMRPL comes by other messages) |
//! | 64 | 4 | number of records |
//! | 68 | 4 | length of the body |
//! | 72 | 2 | number of groups in this flush |
//! | 74 | 2 | zero |
//! | 76 | 4 each | the groups of this flush, rising |
//! | .. | body | per record: varint gap (stream bytes of other groups since the record before, or since the start), the record |
//!
//! A record's LSN is the position of its end in the stream, so gap and length give it.

use super::records;
use crate::base::error::corrupt;
use crate::base::{varint, Epoch, GroupNo, Lsn, PageNo, Res};
use ahash::AHashMap;

pub const MAGIC: [u8; 4] = *b"6BA1";
pub const HEADER: usize = 76;
/// More groups than this in one flush means that the bytes are not a batch.
const GROUPS_MAX: usize = u16::MAX as usize;

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Res<[u8; N]> {
    match bytes.get(at..at + N).and_then(|part| part.try_into().ok()) {
        Some(part) => Ok(part),
        None => corrupt("batch runs past the end of its buffer"),
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Res<u16> {
    Ok(u16::from_le_bytes(bytes_at(bytes, at)?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Res<u32> {
    Ok(u32::from_le_bytes(bytes_at(bytes, at)?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Res<u64> {
    Ok(u64::from_le_bytes(bytes_at(bytes, at)?))
}

/// A batch's header, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub volume: u64,
    pub epoch: Epoch,
    pub group: GroupNo,
    pub prev: Lsn,
    pub start: Lsn,
    pub end: Lsn,
    pub vdl: Lsn,
    pub pgmrpl: Lsn,
    pub records: u32,
    pub groups: Vec<GroupNo>,
    /// Where the body stands in the batch's bytes.
    pub body: usize,
}

impl Header {
    /// Parse and check a whole batch: magic, lengths, checksum, order of its LSNs. The records are checked when they are read.
    pub fn parse(bytes: &[u8]) -> Res<Header> {
        if bytes.get(..4) != Some(&MAGIC[..]) {
            return corrupt("not a batch: wrong magic");
        }
        let groups = usize::from(u16_at(bytes, 72)?);
        let body = HEADER + 4 * groups;
        if body + u32_at(bytes, 68)? as usize != bytes.len() {
            return corrupt("batch has the wrong length");
        }
        if crc32c::crc32c(&bytes[8..]) != u32_at(bytes, 4)? {
            return corrupt("batch checksum does not match");
        }
        let header = Header {
            volume: u64_at(bytes, 8)?,
            epoch: Epoch(u32_at(bytes, 16)?),
            group: GroupNo(u32_at(bytes, 20)?),
            prev: Lsn(u64_at(bytes, 24)?),
            start: Lsn(u64_at(bytes, 32)?),
            end: Lsn(u64_at(bytes, 40)?),
            vdl: Lsn(u64_at(bytes, 48)?),
            pgmrpl: Lsn(u64_at(bytes, 56)?),
            records: u32_at(bytes, 64)?,
            groups: (0..groups)
                .map(|i| u32_at(bytes, HEADER + 4 * i).map(GroupNo))
                .collect::<Res<_>>()?,
            body,
        };
        let ordered =
            header.prev <= header.start && header.start < header.end && header.vdl <= header.start;
        if !ordered || header.groups.binary_search(&header.group).is_err() {
            return corrupt("batch header contradicts itself");
        }
        Ok(header)
    }
}

/// One record of a batch: where it stands in the batch's bytes, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub lsn: Lsn,
    pub page: PageNo,
    pub at: usize,
    pub len: usize,
}

/// Walks a checked batch's records.
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    lsn: u64,
    end: u64,
    left: u32,
}

impl<'a> Entries<'a> {
    pub fn new(header: &Header, bytes: &'a [u8]) -> Entries<'a> {
        Entries {
            bytes,
            at: header.body,
            lsn: header.start.0,
            end: header.end.0,
            left: header.records,
        }
    }

    fn read(&mut self) -> Res<Entry> {
        let gap = varint::get(self.bytes, &mut self.at)?;
        let at = self.at;
        let page = records::next(self.bytes, &mut self.at)?;
        let len = self.at - at;
        match self
            .lsn
            .checked_add(gap)
            .and_then(|lsn| lsn.checked_add(len as u64))
        {
            Some(lsn) if lsn <= self.end => self.lsn = lsn,
            _ => return corrupt("batch record lies past the batch's end"),
        }
        Ok(Entry {
            lsn: Lsn(self.lsn),
            page,
            at,
            len,
        })
    }
}

impl Iterator for Entries<'_> {
    type Item = Res<Entry>;

    fn next(&mut self) -> Option<Res<Entry>> {
        if self.left == 0 {
            return if self.at == self.bytes.len() {
                None
            } else {
                self.at = self.bytes.len();
                Some(corrupt("batch has bytes after its last record"))
            };
        }
        self.left -= 1;
        let entry = self.read();
        if entry.is_err() {
            self.left = 0;
            self.at = self.bytes.len();
        }
        Some(entry)
    }
}

struct Part {
    group: GroupNo,
    records: u32,
    /// LSN of the end of this group's last record in the flush.
    last: u64,
    body: Vec<u8>,
}

/// Cuts flushes into batches; remembers each group's last batch. The work per flush grows with the flush only, not with the
/// number of groups in the volume.
pub struct Batcher {
    volume: u64,
    epoch: Epoch,
    pages_per_group: u64,
    prev: AHashMap<GroupNo, Lsn>,
}

impl Batcher {
    pub fn new(volume: u64, epoch: Epoch, pages_per_group: u64) -> Batcher {
        Batcher {
            volume,
            epoch,
            pages_per_group: pages_per_group.max(1),
            prev: AHashMap::new(),
        }
    }

    /// After recovery: the end of the group's last batch.
    pub fn set_prev(&mut self, group: GroupNo, end: Lsn) {
        self.prev.insert(group, end);
    }

    pub fn prev(&self, group: GroupNo) -> Lsn {
        self.prev.get(&group).copied().unwrap_or(Lsn::ZERO)
    }

    pub fn group_of(&self, page: PageNo) -> GroupNo {
        GroupNo(u32::try_from(page.0 / self.pages_per_group).unwrap_or(u32::MAX))
    }

    /// The batches of one flush, `flush` being the stream's bytes from `start` to a CPL. Fails, changing nothing, when the bytes
    /// are not whole records.
    pub fn cut(
        &mut self,
        start: Lsn,
        flush: &[u8],
        vdl: Lsn,
        pgmrpl: Lsn,
    ) -> Res<Vec<(GroupNo, Vec<u8>)>> {
        let parts = self.split(start, flush)?;
        let end = Lsn(start.0 + flush.len() as u64);
        let groups: Vec<GroupNo> = parts.iter().map(|part| part.group).collect();
        let mut batches = Vec::with_capacity(parts.len());
        for part in parts {
            let prev = self.prev.insert(part.group, end).unwrap_or(Lsn::ZERO);
            let mut out = Vec::with_capacity(HEADER + 4 * groups.len() + part.body.len());
            out.extend_from_slice(&MAGIC);
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&self.volume.to_le_bytes());
            out.extend_from_slice(&self.epoch.0.to_le_bytes());
            out.extend_from_slice(&part.group.0.to_le_bytes());
            for lsn in [prev, start, end, vdl.min(start), pgmrpl.min(start)] {
                out.extend_from_slice(&lsn.0.to_le_bytes());
            }
            out.extend_from_slice(&part.records.to_le_bytes());
            out.extend_from_slice(&(part.body.len() as u32).to_le_bytes());
            out.extend_from_slice(&(groups.len() as u16).to_le_bytes());
            out.extend_from_slice(&[0; 2]);
            for group in &groups {
                out.extend_from_slice(&group.0.to_le_bytes());
            }
            out.extend_from_slice(&part.body);
            let crc = crc32c::crc32c(&out[8..]);
            out[4..8].copy_from_slice(&crc.to_le_bytes());
            batches.push((part.group, out));
        }
        Ok(batches)
    }

    fn split(&self, start: Lsn, flush: &[u8]) -> Res<Vec<Part>> {
        if flush.is_empty() {
            return corrupt("a flush can't be empty");
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut index: AHashMap<GroupNo, usize> = AHashMap::new();
        // Gaps come on top of the records.
        let room = flush.len() + flush.len() / 16 + 64;
        let mut current = usize::MAX;
        let mut at = 0;
        while at < flush.len() {
            let from = at;
            let page = records::next(flush, &mut at)?;
            let group = self.group_of(page);
            if parts.get(current).map(|part| part.group) != Some(group) {
                current = *index.entry(group).or_insert(parts.len());
                if current == parts.len() {
                    parts.push(Part {
                        group,
                        records: 0,
                        last: start.0,
                        body: Vec::with_capacity(room),
                    });
                }
            }
            if let Some(part) = parts.get_mut(current) {
                varint::put(&mut part.body, start.0 + from as u64 - part.last);
                part.body.extend_from_slice(&flush[from..at]);
                part.last = start.0 + at as u64;
                part.records += 1;
            }
        }
        if parts.len() > GROUPS_MAX {
            return corrupt("a flush touches too many protection groups");
        }
        parts.sort_unstable_by_key(|part| part.group);
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::records::tests::record;

    fn flush(pages: &[u64]) -> Vec<u8> {
        pages
            .iter()
            .flat_map(|&page| record(page, format!("p{page}").as_bytes()))
            .collect()
    }

    #[test]
    fn records_keep_their_lsns_through_the_split() {
        let mut batcher = Batcher::new(7, Epoch(3), 10);
        let bytes = flush(&[1, 25, 2, 25, 26, 3]);
        let mut expected = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let page = records::next(&bytes, &mut at).unwrap();
            expected.push((1000 + at as u64, page.0));
        }
        let batches = batcher.cut(Lsn(1000), &bytes, Lsn(900), Lsn(800)).unwrap();
        assert_eq!(
            batches.iter().map(|(group, _)| group.0).collect::<Vec<_>>(),
            [0, 2]
        );
        let mut seen = Vec::new();
        for (group, bytes) in &batches {
            let header = Header::parse(bytes).unwrap();
            assert_eq!(
                (header.group, header.volume, header.epoch),
                (*group, 7, Epoch(3))
            );
            assert_eq!(
                (header.prev, header.start, header.vdl, header.pgmrpl),
                (Lsn(0), Lsn(1000), Lsn(900), Lsn(800))
            );
            assert_eq!(header.groups, [GroupNo(0), GroupNo(2)]);
            for entry in Entries::new(&header, bytes) {
                let entry = entry.unwrap();
                seen.push((entry.lsn.0, entry.page.0));
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, expected);
    }

    #[test]
    fn each_batch_names_the_end_of_its_groups_batch_before() {
        let mut batcher = Batcher::new(7, Epoch(1), 10);
        let one = flush(&[1, 11]);
        let two = flush(&[12]);
        let three = flush(&[3, 13]);
        let second = one.len() as u64;
        let third = second + two.len() as u64;
        batcher.cut(Lsn(0), &one, Lsn(0), Lsn(0)).unwrap();
        let b = batcher.cut(Lsn(second), &two, Lsn(0), Lsn(0)).unwrap();
        assert_eq!(Header::parse(&b[0].1).unwrap().prev, Lsn(second));
        let c = batcher.cut(Lsn(third), &three, Lsn(0), Lsn(0)).unwrap();
        let prevs: Vec<u64> = c
            .iter()
            .map(|(_, bytes)| Header::parse(bytes).unwrap().prev.0)
            .collect();
        assert_eq!(prevs, [second, third]);
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let mut batcher = Batcher::new(7, Epoch(1), 10);
        let batch = batcher
            .cut(Lsn(5), &flush(&[1, 2, 30]), Lsn(5), Lsn(5))
            .unwrap()
            .remove(0)
            .1;
        for bit in 0..batch.len() * 8 {
            let mut damaged = batch.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..batch.len() {
            assert!(Header::parse(&batch[..len]).is_err());
        }
    }

    #[test]
    fn half_a_record_is_refused_and_leaves_the_chain_alone() {
        let mut batcher = Batcher::new(7, Epoch(1), 10);
        let bytes = flush(&[1]);
        assert!(batcher
            .cut(Lsn(0), &bytes[..bytes.len() - 1], Lsn(0), Lsn(0))
            .is_err());
        assert!(batcher.cut(Lsn(0), &[], Lsn(0), Lsn(0)).is_err());
        assert_eq!(batcher.prev(GroupNo(0)), Lsn(0));
    }
}
