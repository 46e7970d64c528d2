//! Several layers become one: newer entries follow older ones, and what no read needs any more is folded into images.

use super::layer::{self, Entry, Image, Layer, Writer};
use super::read::{Piece, Pieces};
use super::records;
use super::store::Store;
use crate::base::error::fail;
use crate::base::{GroupNo, Lsn, PageNo, Res};
use crate::page::Page;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Without an image below them, fewer records than this and fewer bytes are left as they are.
const FOLD_RECORDS: usize = 16;
const FOLD_BYTES: usize = 2000;

struct Cursor {
    layer: Arc<Layer>,
    block: usize,
    entries: VecDeque<(PageNo, Entry)>,
}

/// A merge that is under way.
pub struct Merge {
    ids: Vec<u64>,
    /// Nothing lies below: what no image and no fresh record begins, begins with an empty page.
    bottom: bool,
    floor: Lsn,
    /// Oldest layer first.
    cursors: Vec<Cursor>,
    writer: Writer,
}

pub enum Step {
    /// Bytes of layers that are wanted next.
    Needs(Vec<Piece>),
    /// Append this to the file.
    Bytes(Vec<u8>),
    Done,
}

impl Store {
    /// Begin to merge layers that stand next to each other, oldest first, into layer `id`.
    pub fn merge(&self, ids: &[u64], id: u64) -> Res<Merge> {
        let Some(first) = self
            .layers
            .iter()
            .position(|layer| Some(&layer.id) == ids.first())
        else {
            return fail("22023", "a layer to merge is unknown");
        };
        let chosen = self.layers.get(first..first + ids.len()).unwrap_or(&[]);
        if chosen.len() != ids.len() || chosen.iter().zip(ids).any(|(layer, id)| layer.id != *id) {
            return fail("22023", "layers to merge must stand next to each other");
        }
        let mut groups: BTreeMap<GroupNo, Lsn> = BTreeMap::new();
        for &(group, lsn) in chosen.iter().flat_map(|layer| &layer.groups) {
            let known = groups.entry(group).or_default();
            *known = lsn.max(*known);
        }
        let floor = self.pgmrpl.max(self.floor).min(self.vdl);
        let cursor = |layer: &Arc<Layer>| Cursor {
            layer: Arc::clone(layer),
            block: 0,
            entries: VecDeque::new(),
        };
        Ok(Merge {
            ids: ids.to_vec(),
            bottom: first == 0,
            floor,
            cursors: chosen.iter().map(cursor).collect(),
            writer: Writer::new(id, floor, groups.into_iter().collect()),
        })
    }

    /// The merged layer is durable and named in the manifest: it stands where the others stood.
    pub fn install_merged(&mut self, ids: &[u64], layer: Layer) {
        self.floor = self.floor.max(layer.floor);
        if let Some(at) = self
            .layers
            .iter()
            .position(|old| Some(&old.id) == ids.first())
        {
            self.layers.insert(at, Arc::new(layer));
        }
        self.layers.retain(|old| !ids.contains(&old.id));
    }
}

impl Merge {
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Go on, for about `budget` bytes of output.
    pub fn step(&mut self, pieces: &Pieces, budget: usize) -> Res<Step> {
        let mut out = Vec::new();
        loop {
            let needs = self.fill(pieces)?;
            if !needs.is_empty() {
                return Ok(if out.is_empty() {
                    Step::Needs(needs)
                } else {
                    Step::Bytes(out)
                });
            }
            let Some(page) = self
                .cursors
                .iter()
                .filter_map(|c| c.entries.front())
                .map(|(page, _)| *page)
                .min()
            else {
                return Ok(if out.is_empty() {
                    Step::Done
                } else {
                    Step::Bytes(out)
                });
            };
            let mut parts = Vec::new();
            for cursor in &mut self.cursors {
                if cursor.entries.front().is_some_and(|(at, _)| *at == page) {
                    parts.extend(cursor.entries.pop_front().map(|(_, entry)| entry));
                }
            }
            let entry = combine(parts, self.floor, self.bottom)?;
            self.writer.add(page, &entry);
            out.append(&mut self.writer.take());
            if out.len() >= budget {
                return Ok(Step::Bytes(out));
            }
        }
    }

    /// Read the next block of every cursor that has run dry; answers what is missing for that.
    fn fill(&mut self, pieces: &Pieces) -> Res<Vec<Piece>> {
        let mut needs = Vec::new();
        for cursor in &mut self.cursors {
            while cursor.entries.is_empty() {
                let Some(block) = cursor.layer.blocks.get(cursor.block) else {
                    break;
                };
                let Some(bytes) = pieces.get(&(cursor.layer.id, block.offset)) else {
                    needs.push(Piece {
                        layer: cursor.layer.id,
                        offset: block.offset,
                        len: block.len,
                    });
                    break;
                };
                cursor.entries = layer::entries(bytes, block)?;
                cursor.block += 1;
            }
        }
        Ok(needs)
    }

    /// The file's last bytes, and its index.
    pub fn finish(self) -> (Vec<u8>, Layer) {
        self.writer.finish()
    }
}

/// One page's entries, oldest first, as one.
fn combine(parts: Vec<Entry>, floor: Lsn, bottom: bool) -> Res<Entry> {
    let mut whole = Entry::default();
    for part in parts {
        if part.image.is_some() {
            // An image stands for all that lies below its layer.
            whole.image = part.image;
            whole.records.clear();
        }
        whole.records.extend(part.records);
    }
    let fresh = whole
        .records
        .iter()
        .rposition(|(at, record)| *at <= floor && records::is_fresh(record));
    if let Some(fresh) = fresh {
        whole.records.drain(..fresh);
        whole.image = None;
    }
    let below = whole.records.partition_point(|(at, _)| *at <= floor);
    let bytes: usize = whole.records[..below]
        .iter()
        .map(|(_, record)| record.len())
        .sum();
    let begins = fresh.is_some() || whole.image.is_some() || bottom;
    let pays = whole.image.is_some() || below >= FOLD_RECORDS || bytes >= FOLD_BYTES;
    if below == 0 || !begins || !pays {
        return Ok(whole);
    }
    let mut page = match whole.image.take() {
        Some((_, image)) => image.open()?,
        None => Arc::new(Page::new()),
    };
    for (at, record) in whole.records.drain(..below) {
        if at > page.lsn() {
            records::apply(Arc::make_mut(&mut page), at, &record)?;
        }
    }
    whole.image = Some((page.lsn(), Image::Built(page)));
    Ok(whole)
}
