//! Long values, compressed: lz4 as a whole where they are short, else in blocks of `BLOCK` bytes, each `[length varint][lz4]`, so that work on
//! a huge value can be given up after each.
//!
//! What is packed by `pack` has its own length in front, as a varint.

use super::row::VALUE_MAX;
use crate::base::error::corrupt;
use crate::base::{pace, varint, Res};

/// Longer values are packed in blocks of so many bytes.
pub const BLOCK: usize = 1 << 20;
/// A value that did not get shorter in its first blocks is not packed.
const TRIED: usize = 4 * BLOCK;

/// How a moved value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packing {
    None = 0,
    Whole = 1,
    Blocks = 2,
}

impl Packing {
    pub fn of(byte: u8) -> Option<Packing> {
        match byte {
            0 => Some(Packing::None),
            1 => Some(Packing::Whole),
            2 => Some(Packing::Blocks),
            _ => None,
        }
    }

    /// What `pack` has made of so many bytes.
    pub fn of_len(len: usize) -> Packing {
        match len > BLOCK {
            true => Packing::Blocks,
            false => Packing::Whole,
        }
    }
}

fn is_worth_it(packed: usize, raw: usize) -> bool {
    packed + packed / 8 < raw
}

/// `None`: that would not make it much shorter.
pub fn pack(bytes: &[u8]) -> Res<Option<Vec<u8>>> {
    let mut out = Vec::new();
    varint::put(&mut out, bytes.len() as u64);
    if bytes.len() <= BLOCK {
        out.extend_from_slice(&lz4_flex::block::compress(bytes));
        return Ok(is_worth_it(out.len(), bytes.len()).then_some(out));
    }
    let mut done = 0;
    for block in bytes.chunks(BLOCK) {
        pace::check()?;
        let packed = lz4_flex::block::compress(block);
        varint::put(&mut out, packed.len() as u64);
        out.extend_from_slice(&packed);
        done += block.len();
        if done >= TRIED && !is_worth_it(out.len(), done) {
            return Ok(None);
        }
    }
    Ok(is_worth_it(out.len(), bytes.len()).then_some(out))
}

/// The value of `len` bytes that was packed.
pub fn unpack(bytes: &[u8], len: usize, packing: Packing) -> Res<Vec<u8>> {
    if len > VALUE_MAX {
        return corrupt("a compressed value claims more than 1 GB");
    }
    match packing {
        Packing::None => Ok(bytes.to_vec()),
        Packing::Whole => match lz4_flex::block::decompress(bytes, len) {
            Ok(out) if out.len() == len => Ok(out),
            _ => corrupt("a compressed value does not unpack"),
        },
        Packing::Blocks => unpack_blocks(bytes, len),
    }
}

fn unpack_blocks(bytes: &[u8], len: usize) -> Res<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    while out.len() < len {
        pace::check()?;
        let size = varint::get(bytes, &mut at)? as usize;
        let Some(block) = bytes.get(at..at.saturating_add(size)) else {
            return corrupt("a compressed value is cut off");
        };
        at += size;
        let wanted = BLOCK.min(len - out.len());
        match lz4_flex::block::decompress(block, wanted) {
            Ok(piece) if piece.len() == wanted => {
                if out.is_empty() {
                    out.reserve_exact(len);
                }
                out.extend_from_slice(&piece);
            }
            _ => return corrupt("a block of a compressed value does not unpack"),
        }
    }
    match at == bytes.len() {
        true => Ok(out),
        false => corrupt("a compressed value is longer than its blocks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        let step = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        (0..len).map(step).collect()
    }

    #[test]
    fn values_of_any_length_come_back() {
        for len in [100, BLOCK, BLOCK + 1, 5 * BLOCK, 6 * BLOCK - 7] {
            let value: Vec<u8> = (0..len).map(|at| (at / 1000) as u8).collect();
            let packed = pack(&value).unwrap().expect("it packs well");
            let mut at = 0;
            assert_eq!(varint::get(&packed, &mut at).unwrap() as usize, len);
            let (packed, packing) = (&packed[at..], Packing::of_len(len));
            assert!(unpack(packed, len, packing).unwrap() == value);
            assert!(unpack(&packed[1..], len, packing).is_err());
            assert!(unpack(&packed[..packed.len() - 1], len, packing).is_err());
            assert!(unpack(packed, len + 1, packing).is_err());
        }
    }

    #[test]
    fn what_does_not_get_shorter_is_given_up_early() {
        let mut value = noise(TRIED);
        assert!(pack(&value).unwrap().is_none());
        value.resize(20 * TRIED, 0);
        assert!(pack(&value).unwrap().is_none(), "for its first blocks");
        assert!(pack(&value[TRIED..]).unwrap().is_some());
    }

    #[test]
    fn a_cancel_is_seen() {
        let flag = Arc::new(AtomicBool::new(false));
        let _pace = pace::enter(&flag, false);
        let value = vec![0; 3 * BLOCK];
        let packed = pack(&value).unwrap().unwrap();
        flag.store(true, Ordering::Relaxed);
        assert!(pack(&value).is_err());
        assert!(unpack(&packed[4..], value.len(), Packing::Blocks).is_err());
    }
}
