//! LEB128 integers: seven bits a byte, low first, the high bit says "more". u64 takes at most ten bytes.

use super::error::{corrupt, Res};

pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that `put` writes for `value`.
pub fn len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Read one at `*at` and move past it. Running out of bytes or past 64 bits is corruption, never a panic.
#[inline]
pub fn get(bytes: &[u8], at: &mut usize) -> Res<u64> {
    match bytes.get(*at) {
        Some(&byte) if byte < 0x80 => {
            *at += 1;
            Ok(u64::from(byte))
        }
        _ => get_long(bytes, at),
    }
}

fn get_long(bytes: &[u8], at: &mut usize) -> Res<u64> {
    let mut value = 0u64;
    let mut shift = 0u32;
    loop {
        let Some(&byte) = bytes.get(*at) else {
            return corrupt("varint runs past the end of its buffer");
        };
        *at += 1;
        if shift == 63 && byte > 1 {
            return corrupt("varint is longer than 64 bits");
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
        if shift > 63 {
            return corrupt("varint is longer than 64 bits");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_reads_back_and_knows_its_size() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put(&mut out, value);
                assert_eq!(out.len(), len(value));
                let mut at = 0;
                assert_eq!(get(&out, &mut at).unwrap(), value);
                assert_eq!(at, out.len());
                assert!(get(&out[..out.len() - 1], &mut 0).is_err());
            }
        }
    }
}
