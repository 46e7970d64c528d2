//! Comparing and hashing rows by key columns. In hashing and grouping, null equals null; joins leave nulls out before.

use super::batch::{Batch, Vector};
use crate::base::{pace, Res};
use crate::types::oids;
use crate::types::registry::TypeInfo;
use crate::types::{float, Datum};
use std::borrow::Borrow;
use std::cmp::Ordering;

/// One column of an order.
#[derive(Clone, Copy)]
pub struct Order {
    pub info: &'static TypeInfo,
    pub desc: bool,
    pub nulls_first: bool,
}

impl Order {
    pub fn compare(&self, a: &Vector, i: usize, b: &Vector, j: usize) -> Ordering {
        let order = match (a, b) {
            (Vector::Int(x, xn), Vector::Int(y, yn)) if xn.is_empty() && yn.is_empty() => {
                x[i].cmp(&y[j])
            }
            _ => match (a.is_null(i), b.is_null(j)) {
                (true, true) => return Ordering::Equal,
                (true, false) => {
                    return if self.nulls_first {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
                (false, true) => {
                    return if self.nulls_first {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    }
                }
                (false, false) => compare_values(self.info, a, i, b, j),
            },
        };
        if self.desc {
            order.reverse()
        } else {
            order
        }
    }
}

/// Two values that are not null.
fn compare_values(info: &TypeInfo, a: &Vector, i: usize, b: &Vector, j: usize) -> Ordering {
    match (a, b) {
        (Vector::Int(x, _), Vector::Int(y, _)) => x[i].cmp(&y[j]),
        (Vector::Bool(x, _), Vector::Bool(y, _)) => x[i].cmp(&y[j]),
        (Vector::Float(x, _), Vector::Float(y, _)) => float::order(x[i], y[j]),
        (Vector::Any(x), Vector::Any(y)) => info.compare(&x[i], &y[j]),
        _ => info.compare(&a.get(i), &b.get(j)),
    }
}

pub fn compare_rows<V: Borrow<Vector>>(
    orders: &[Order],
    a: &[V],
    i: usize,
    b: &[V],
    j: usize,
) -> Ordering {
    for (k, order) in orders.iter().enumerate() {
        let result = order.compare(a[k].borrow(), i, b[k].borrow(), j);
        if result != Ordering::Equal {
            return result;
        }
    }
    Ordering::Equal
}

/// Are the keys of two rows the same group?
pub fn same_rows(
    infos: &[&'static TypeInfo],
    a: &[Vector],
    i: usize,
    b: &[Vector],
    j: usize,
) -> bool {
    infos
        .iter()
        .enumerate()
        .all(|(k, info)| match (a[k].is_null(i), b[k].is_null(j)) {
            (true, true) => true,
            (false, false) => same_values(info, &a[k], i, &b[k], j),
            _ => false,
        })
}

/// Two values that are not null.
#[inline]
fn same_values(info: &TypeInfo, a: &Vector, i: usize, b: &Vector, j: usize) -> bool {
    if let (Vector::Any(x), Vector::Any(y)) = (a, b) {
        if let (Datum::Text(x), Datum::Text(y)) = (&x[i], &y[j]) {
            // Equal bytes are equal in all types held as text; trailing blanks may differ in bpchar.
            return x == y
                || info.oid == oids::BPCHAR && compare_values(info, a, i, b, j) == Ordering::Equal;
        }
    }
    compare_values(info, a, i, b, j) == Ordering::Equal
}

/// The first of `0..len` that is not before what is looked for; those that are come first.
pub fn lower(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = (low + high) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[inline]
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ (x >> 32)
}

fn hash_float(f: f64) -> u64 {
    if f == 0.0 {
        1
    } else if f.is_nan() {
        2
    } else {
        mix(f.to_bits())
    }
}

fn hash_value(info: &TypeInfo, value: &Datum) -> u64 {
    match value {
        Datum::Null => 0,
        Datum::Int(i) => mix(*i as u64),
        Datum::Bool(b) => mix(u64::from(*b) + 3),
        Datum::Float(f) => hash_float(*f),
        other => mix(info.hash(other)),
    }
}

/// A hash for each row. Equal keys have equal hashes, however their vectors hold them. The only error is that of a cancel.
pub fn hash_rows<V: Borrow<Vector>>(
    infos: &[&'static TypeInfo],
    columns: &[V],
    len: usize,
) -> Res<Vec<u64>> {
    let mut out = vec![0x9e37_79b9_7f4a_7c15u64; len];
    for (column, info) in columns.iter().zip(infos) {
        let add =
            |h: &mut u64, v: u64| *h = h.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ v;
        match column.borrow() {
            Vector::Int(v, n) if n.is_empty() => {
                out.iter_mut()
                    .zip(v)
                    .for_each(|(h, &x)| add(h, mix(x as u64)));
            }
            Vector::Any(v) => {
                for (h, x) in out.iter_mut().zip(v) {
                    pace::step(x.long_bytes())?;
                    add(h, hash_value(info, x));
                }
            }
            column => {
                for (i, h) in out.iter_mut().enumerate() {
                    add(h, hash_value(info, &column.get(i)));
                }
            }
        }
    }
    Ok(out)
}

/// What comparing these rows costs beyond that of short values, in bytes of `pace`.
pub fn long_bytes(columns: &[Vector], row: usize) -> usize {
    let of = |column: &Vector| match column {
        Vector::Any(values) => values.get(row).map_or(0, Datum::long_bytes),
        _ => 0,
    };
    columns.iter().map(of).sum()
}

/// Entries by hash: a chain for each hash value. The caller compares keys.
#[derive(Default)]
pub struct HashIndex {
    slots: Vec<u32>,
    hashes: Vec<u64>,
    next: Vec<u32>,
}

const END: u32 = u32::MAX;

impl HashIndex {
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.slots.len() * 4 + self.hashes.len() * 12
    }

    fn slot(&self, hash: u64) -> usize {
        (mix(hash) as usize) & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(16);
        self.slots = vec![END; size];
        for entry in 0..self.hashes.len() {
            let slot = self.slot(self.hashes[entry]);
            self.next[entry] = self.slots[slot];
            self.slots[slot] = entry as u32;
        }
    }

    /// A new entry; entries are numbered from 0 in the order of insertion.
    pub fn insert(&mut self, hash: u64) -> u32 {
        if self.hashes.len() >= self.slots.len() {
            self.grow();
        }
        let entry = self.hashes.len() as u32;
        let slot = self.slot(hash);
        self.hashes.push(hash);
        self.next.push(self.slots[slot]);
        self.slots[slot] = entry;
        entry
    }

    pub fn first(&self, hash: u64) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.skip(self.slots[self.slot(hash)], hash)
    }

    pub fn after(&self, entry: u32, hash: u64) -> Option<u32> {
        self.skip(self.next[entry as usize], hash)
    }

    fn skip(&self, mut entry: u32, hash: u64) -> Option<u32> {
        while entry != END {
            if self.hashes[entry as usize] == hash {
                return Some(entry);
            }
            entry = self.next[entry as usize];
        }
        None
    }
}

/// Distinct keys, numbered in the order in which they came.
pub struct Groups {
    pub infos: Vec<&'static TypeInfo>,
    pub keys: Batch,
    index: HashIndex,
    bytes: usize,
}

impl Groups {
    pub fn new(infos: Vec<&'static TypeInfo>) -> Groups {
        let keys = Batch {
            columns: infos.iter().map(|t| Vector::of_type(t.oid, 0)).collect(),
            len: 0,
        };
        Groups {
            infos,
            keys,
            index: HashIndex::default(),
            bytes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.keys.len
    }

    pub fn is_empty(&self) -> bool {
        self.keys.len == 0
    }

    pub fn bytes(&self) -> usize {
        self.index.bytes() + self.bytes
    }

    pub fn find(&self, columns: &[Vector], i: usize, hash: u64) -> Option<u32> {
        let mut entry = self.index.first(hash);
        while let Some(e) = entry {
            if same_rows(&self.infos, &self.keys.columns, e as usize, columns, i) {
                return Some(e);
            }
            entry = self.index.after(e, hash);
        }
        None
    }

    pub fn insert(&mut self, columns: &[Vector], i: usize, hash: u64) -> u32 {
        for (key, from) in self.keys.columns.iter_mut().zip(columns) {
            key.push_from(from, i);
            self.bytes += match from {
                Vector::Any(v) => super::batch::datum_bytes(&v[i]),
                _ => 8,
            };
        }
        self.keys.len += 1;
        self.index.insert(hash)
    }

    /// The row's group and whether it is new.
    pub fn add(&mut self, columns: &[Vector], i: usize, hash: u64) -> (u32, bool) {
        match self.find(columns, i, hash) {
            Some(e) => (e, false),
            None => (self.insert(columns, i, hash), true),
        }
    }
}
