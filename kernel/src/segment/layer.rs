//! Layer files: immutable, sorted by page, each page with an optional image and the records after it.
//!
//! ```text
//! file   = "6LY1" block* index footer
//! block  = entry*                              checksum and place are in the index; about BLOCK_BYTES
//! entry  = page varint, flags u8, [image lsn varint, length varint, lz4 of the page's bytes],
//!          count varint, (lsn - lsn before varint, length varint, record)*
//! index  = floor u64, n u32, (group u32, frozen lsn u64)*, n u32, (first page u64, last page u64, offset u64, length u32, crc32c u32)*
//! footer = index offset u64, index length u32, crc32c of the index u32, "6LYE"
//! ```
//! Reads below `floor` are refused: records below it were folded into images.

use super::batch::{u32_at, u64_at};
use super::memory::Chain;
use crate::base::error::corrupt;
use crate::base::{varint, GroupNo, Lsn, PageNo, Res};
use crate::page::{Page, PageRef};
use ahash::AHashMap;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

pub const MAGIC: [u8; 4] = *b"6LY1";
const END: [u8; 4] = *b"6LYE";
pub const FOOTER: usize = 20;
pub const BLOCK_BYTES: usize = 16 << 10;
/// A block that has so many bytes ends before a gap of more than so many pages: who looks for one of those must not read it in vain. (Space
/// maps are in nearly every layer, far from what was written to new pages.)
const GAP_PAGES: u64 = 64;
const GAP_BYTES: usize = 256;
const HAS_IMAGE: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub first: PageNo,
    pub last: PageNo,
    pub offset: u64,
    pub len: u32,
    pub crc: u32,
}

/// A layer file's index, as memory holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    pub id: u64,
    pub floor: Lsn,
    /// What each group's segment has once this layer counts.
    pub groups: Vec<(GroupNo, Lsn)>,
    pub blocks: Vec<Block>,
}

impl Layer {
    /// The block that would hold a page.
    pub fn block(&self, page: PageNo) -> Option<&Block> {
        let at = self.blocks.partition_point(|block| block.last < page);
        self.blocks.get(at).filter(|block| block.first <= page)
    }

    /// The block that begins there.
    pub fn block_at(&self, offset: u64) -> Option<&Block> {
        let at = self.blocks.partition_point(|block| block.offset < offset);
        self.blocks.get(at).filter(|block| block.offset == offset)
    }

    /// Where the index of a file stands, from its last `FOOTER` bytes: (offset, length).
    pub fn index_place(footer: &[u8]) -> Res<(u64, usize)> {
        if footer.len() != FOOTER || footer.get(16..) != Some(&END[..]) {
            return corrupt("layer file has no footer");
        }
        Ok((u64_at(footer, 0)?, u32_at(footer, 8)? as usize))
    }

    pub fn open(id: u64, footer: &[u8], index: &[u8]) -> Res<Layer> {
        let (end, _) = Layer::index_place(footer)?;
        if crc32c::crc32c(index) != u32_at(footer, 12)? {
            return corrupt("layer index checksum does not match");
        }
        let mut layer = Layer {
            id,
            floor: Lsn(u64_at(index, 0)?),
            ..Layer::default()
        };
        let mut at = 12;
        for _ in 0..u32_at(index, 8)? {
            layer
                .groups
                .push((GroupNo(u32_at(index, at)?), Lsn(u64_at(index, at + 4)?)));
            at += 12;
        }
        let blocks = u32_at(index, at)?;
        at += 4;
        for _ in 0..blocks {
            let block = Block {
                first: PageNo(u64_at(index, at)?),
                last: PageNo(u64_at(index, at + 8)?),
                offset: u64_at(index, at + 16)?,
                len: u32_at(index, at + 24)?,
                crc: u32_at(index, at + 28)?,
            };
            if block.first > block.last || block.offset.saturating_add(u64::from(block.len)) > end {
                return corrupt("layer index contradicts itself");
            }
            layer.blocks.push(block);
            at += 32;
        }
        Ok(layer)
    }

    fn tail(&self, offset: u64) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.floor.0.to_le_bytes());
        out.extend_from_slice(&(self.groups.len() as u32).to_le_bytes());
        for (group, lsn) in &self.groups {
            out.extend_from_slice(&group.0.to_le_bytes());
            out.extend_from_slice(&lsn.0.to_le_bytes());
        }
        out.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        for block in &self.blocks {
            for number in [block.first.0, block.last.0, block.offset] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.extend_from_slice(&block.len.to_le_bytes());
            out.extend_from_slice(&block.crc.to_le_bytes());
        }
        let (len, crc) = (out.len() as u32, crc32c::crc32c(&out));
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&END);
        out
    }
}

/// A page image, packed as it stands in a file or ready to use.
#[derive(Debug, Clone, PartialEq)]
pub enum Image {
    Packed(Vec<u8>),
    Built(PageRef),
}

impl Image {
    fn packed(&self) -> Cow<'_, [u8]> {
        match self {
            Image::Packed(bytes) => Cow::Borrowed(bytes),
            Image::Built(page) => Cow::Owned(lz4_flex::block::compress(page.bytes())),
        }
    }

    /// The block's checksum vouches for packed bytes; the page's own is only for pages on the wire.
    pub fn open(self) -> Res<PageRef> {
        match self {
            Image::Packed(bytes) => {
                Page::filled(|page| lz4_flex::block::decompress_into(&bytes, page).ok())
            }
            Image::Built(page) => Ok(page),
        }
    }
}

/// One page's part of a layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    pub image: Option<(Lsn, Image)>,
    pub records: Vec<(Lsn, Vec<u8>)>,
}

impl Entry {
    /// What a chain has at or below `upto`, from its newest image at or below `floor` on.
    pub fn of_chain(chain: &Chain, floor: Lsn, upto: Lsn) -> Entry {
        let image = chain
            .images
            .iter()
            .rev()
            .find(|(at, _)| *at <= floor.min(upto));
        let from = image.map_or(Lsn::ZERO, |(at, _)| *at);
        let records = chain
            .records
            .iter()
            .filter(|rec| rec.lsn > from && rec.lsn <= upto);
        Entry {
            image: image.map(|(at, page)| (*at, Image::Built(Arc::clone(page)))),
            records: records.map(|rec| (rec.lsn, rec.bytes().to_vec())).collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.image.is_none() && self.records.is_empty()
    }

    /// What it says of the page at `lsn`, as long as that is no more than `most` bytes.
    pub fn encode_upto(
        &self,
        page: PageNo,
        lsn: Lsn,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let records = self.records.partition_point(|(at, _)| *at <= lsn);
        let records = self.records.get(..records)?;
        let image = self.image.as_ref().filter(|(at, _)| *at <= lsn);
        let packed = match image {
            Some((_, Image::Packed(bytes))) => bytes.len(),
            Some((_, Image::Built(_))) => return None,
            None => 0,
        };
        let len: usize = records.iter().map(|(_, record)| record.len() + 12).sum();
        if len + packed > most {
            return None;
        }
        let upto = Entry {
            image: image.cloned(),
            records: records.to_vec(),
        };
        upto.encode(page, out);
        Some(())
    }

    fn encode(&self, page: PageNo, out: &mut Vec<u8>) {
        varint::put(out, page.0);
        out.push(if self.image.is_some() { HAS_IMAGE } else { 0 });
        if let Some((lsn, image)) = &self.image {
            let packed = image.packed();
            varint::put(out, lsn.0);
            varint::put(out, packed.len() as u64);
            out.extend_from_slice(&packed);
        }
        varint::put(out, self.records.len() as u64);
        let mut last = 0;
        for (lsn, record) in &self.records {
            varint::put(out, lsn.0 - last);
            varint::put(out, record.len() as u64);
            out.extend_from_slice(record);
            last = lsn.0;
        }
    }
}

fn take<'a>(bytes: &'a [u8], at: &mut usize) -> Res<&'a [u8]> {
    let len = varint::get(bytes, at)? as usize;
    match at.checked_add(len).and_then(|end| bytes.get(*at..end)) {
        Some(part) => {
            *at += len;
            Ok(part)
        }
        None => corrupt("layer entry runs past its block"),
    }
}

/// Read the entry at `*at`; pages that are not `wanted` are stepped over without unpacking.
pub fn decode(
    bytes: &[u8],
    at: &mut usize,
    wanted: impl FnOnce(PageNo) -> bool,
) -> Res<(PageNo, Entry)> {
    let page = PageNo(varint::get(bytes, at)?);
    let keep = wanted(page);
    let Some(&flags) = bytes.get(*at) else {
        return corrupt("layer entry runs past its block");
    };
    *at += 1;
    let mut entry = Entry::default();
    if flags & HAS_IMAGE != 0 {
        let lsn = Lsn(varint::get(bytes, at)?);
        let packed = take(bytes, at)?;
        if keep {
            entry.image = Some((lsn, Image::Packed(packed.to_vec())));
        }
    }
    let mut lsn = 0u64;
    for _ in 0..varint::get(bytes, at)? {
        lsn = lsn.saturating_add(varint::get(bytes, at)?);
        let record = take(bytes, at)?;
        if keep {
            entry.records.push((Lsn(lsn), record.to_vec()));
        }
    }
    Ok((page, entry))
}

fn check(bytes: &[u8], block: &Block) -> Res<()> {
    if bytes.len() != block.len as usize || crc32c::crc32c(bytes) != block.crc {
        return corrupt("layer block checksum does not match");
    }
    Ok(())
}

/// All pages of a block whose checksum holds.
pub fn entries(bytes: &[u8], block: &Block) -> Res<VecDeque<(PageNo, Entry)>> {
    check(bytes, block)?;
    let mut at = 0;
    let mut found = VecDeque::new();
    while at < bytes.len() {
        found.push_back(decode(bytes, &mut at, |_| true)?);
    }
    Ok(found)
}

/// Find these pages in a block whose checksum holds.
pub fn find(bytes: &[u8], block: &Block, pages: &[PageNo]) -> Res<AHashMap<PageNo, Entry>> {
    check(bytes, block)?;
    let mut found = AHashMap::with_capacity(pages.len());
    let Some(last) = pages.iter().max() else {
        return Ok(found);
    };
    let mut at = 0;
    while at < bytes.len() {
        let (page, entry) = decode(bytes, &mut at, |page| pages.contains(&page))?;
        if pages.contains(&page) {
            found.insert(page, entry);
        }
        if page >= *last {
            break;
        }
    }
    Ok(found)
}

/// Writes a layer, piece by piece; pages must come in rising order.
#[derive(Default)]
pub struct Writer {
    layer: Layer,
    block: Vec<u8>,
    first: PageNo,
    last: PageNo,
    offset: u64,
    out: Vec<u8>,
}

impl Writer {
    pub fn new(id: u64, floor: Lsn, groups: Vec<(GroupNo, Lsn)>) -> Writer {
        Writer {
            layer: Layer {
                id,
                floor,
                groups,
                blocks: Vec::new(),
            },
            offset: MAGIC.len() as u64,
            out: MAGIC.to_vec(),
            ..Writer::default()
        }
    }

    pub fn add(&mut self, page: PageNo, entry: &Entry) {
        if entry.is_empty() {
            return;
        }
        if page.0 > self.last.0.saturating_add(GAP_PAGES) && self.block.len() >= GAP_BYTES {
            self.end_block();
        }
        if self.block.is_empty() {
            self.first = page;
        }
        self.last = page;
        entry.encode(page, &mut self.block);
        if self.block.len() >= BLOCK_BYTES {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if self.block.is_empty() {
            return;
        }
        self.layer.blocks.push(Block {
            first: self.first,
            last: self.last,
            offset: self.offset,
            len: self.block.len() as u32,
            crc: crc32c::crc32c(&self.block),
        });
        self.offset += self.block.len() as u64;
        self.out.append(&mut self.block);
    }

    /// Bytes to append to the file now.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The last bytes, and the index.
    pub fn finish(mut self) -> (Vec<u8>, Layer) {
        self.end_block();
        let tail = self.layer.tail(self.offset);
        self.out.extend_from_slice(&tail);
        (self.out, self.layer)
    }
}
