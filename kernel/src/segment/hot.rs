//! The hot messages that carry the log, byte by byte (`pagestore/wire.py` lists all of them). Numbers are little-endian.
//!
//! `B` a batch · `M` several: (length u32, batch)* · `A` volume u64, (group u32, SCL u64)* · `X` volume u64, epoch u32, reason ·
//! `H` volume u64, VDL u64, PGMRPL u64

use super::batch::{u32_at, u64_at};
use super::intake::{Acks, Refused};
use super::memory::Bytes;

/// A `B` message for one batch, an `M` message for more.
pub fn batches<'a>(batches: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let one = batches.len() == 1;
    let mut out = vec![if one { b'B' } else { b'M' }];
    for batch in batches {
        if !one {
            out.extend_from_slice(&(batch.len() as u32).to_le_bytes());
        }
        out.extend_from_slice(batch);
    }
    out
}

/// The batches of a `B` or `M` message; what is cut short is left out. Another message has none.
pub fn parse_batches(message: &Bytes) -> Vec<Bytes> {
    match message.first() {
        Some(b'B') => return vec![message.slice(1, message.len() - 1)],
        Some(b'M') => {}
        _ => return Vec::new(),
    }
    let mut found = Vec::new();
    let mut at = 1;
    while let Ok(length) = u32_at(message, at) {
        let length = length as usize;
        if message.len() - at - 4 < length {
            break;
        }
        found.push(message.slice(at + 4, length));
        at += 4 + length;
    }
    found
}

/// (volume, VDL, PGMRPL) of an `H` message.
pub fn parse_hints(message: &[u8]) -> Option<(u64, u64, u64)> {
    if message.first() != Some(&b'H') {
        return None;
    }
    let field = |at| u64_at(message, at).ok();
    Some((field(1)?, field(9)?, field(17)?))
}

pub fn acks(acks: &Acks) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + 12 * acks.scls.len());
    out.push(b'A');
    out.extend_from_slice(&acks.volume.to_le_bytes());
    for (group, scl) in &acks.scls {
        out.extend_from_slice(&group.0.to_le_bytes());
        out.extend_from_slice(&scl.0.to_le_bytes());
    }
    out
}

pub fn refused(refused: &Refused) -> Vec<u8> {
    let mut out = vec![b'X'];
    out.extend_from_slice(&refused.volume.to_le_bytes());
    out.extend_from_slice(&refused.epoch.to_le_bytes());
    out.extend_from_slice(refused.reason.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_back_out_of_their_message_and_what_is_cut_short_is_left_out() {
        for count in 1..4 {
            let all: Vec<Vec<u8>> = (0..count).map(|i| vec![i as u8; 10 + i]).collect();
            let message = batches(all.iter().map(Vec::as_slice));
            let found = |len: usize| -> Vec<Vec<u8>> {
                let cut = Bytes::new(message[..len].to_vec());
                parse_batches(&cut).iter().map(|b| b.to_vec()).collect()
            };
            assert_eq!(found(message.len()), all);
            for len in 1..message.len() {
                let parsed = found(len);
                assert!(count == 1 || parsed == all[..parsed.len()], "cut at {len}");
            }
        }
    }
}
