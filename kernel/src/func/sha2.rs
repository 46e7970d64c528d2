//! SHA-2 (FIPS 180-4), for sha224() to sha512(). The round constants are the fractional parts of the cube roots of the
//! first primes, made once with integer arithmetic.

use crate::base::{pace, Res};
use num_bigint::BigUint;
use num_traits::ToPrimitive;
use std::sync::OnceLock;

/// First 64 bits of the fractional part of each prime's cube root.
fn constants() -> &'static [u64; 80] {
    static TABLE: OnceLock<[u64; 80]> = OnceLock::new();
    TABLE.get_or_init(|| {
        let primes: Vec<u64> = (2u64..)
            .filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0))
            .take(80)
            .collect();
        std::array::from_fn(|i| {
            let root = (BigUint::from(primes[i]) << 192u32).cbrt();
            (root & BigUint::from(u64::MAX)).to_u64().unwrap_or(0)
        })
    })
}

/// Blocks between two looks whether somebody has cancelled.
const CHECKED: usize = 16 << 10;

/// What stands behind the whole blocks of a message: the rest, and what makes whole blocks of it.
fn tail(bytes: &[u8], block: usize) -> Vec<u8> {
    let mut data = bytes.chunks_exact(block).remainder().to_vec();
    data.push(0x80);
    let length = block / 8;
    while data.len() % block != block - length {
        data.push(0);
    }
    data.resize(data.len() + length - 8, 0);
    data.extend_from_slice(&(bytes.len() as u64).wrapping_mul(8).to_be_bytes());
    data
}

fn rounds32(bytes: &[u8], mut state: [u32; 8]) -> Res<Vec<u8>> {
    let tail = tail(bytes, 64);
    let blocks = bytes.chunks_exact(64).chain(tail.chunks_exact(64));
    for (number, block) in blocks.enumerate() {
        if number % CHECKED == 0 {
            pace::check()?;
        }
        let mut w = [0u32; 64];
        for (word, chunk) in w.iter_mut().zip(block.chunks_exact(4)) {
            *word = chunk.iter().fold(0, |sum, b| sum << 8 | u32::from(*b));
        }
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16]
                .wrapping_add(s0)
                .wrapping_add(w[i - 7])
                .wrapping_add(s1);
        }
        let mut v = state;
        for (i, word) in w.iter().enumerate() {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = v[4] & v[5] ^ !v[4] & v[6];
            let k = (constants()[i] >> 32) as u32;
            let one = v[7]
                .wrapping_add(s1)
                .wrapping_add(choice)
                .wrapping_add(k)
                .wrapping_add(*word);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2];
            let two = s0.wrapping_add(majority);
            v = [
                one.wrapping_add(two),
                v[0],
                v[1],
                v[2],
                v[3].wrapping_add(one),
                v[4],
                v[5],
                v[6],
            ];
        }
        for (total, part) in state.iter_mut().zip(v) {
            *total = total.wrapping_add(part);
        }
    }
    Ok(state.iter().flat_map(|word| word.to_be_bytes()).collect())
}

fn rounds64(bytes: &[u8], mut state: [u64; 8]) -> Res<Vec<u8>> {
    let tail = tail(bytes, 128);
    let blocks = bytes.chunks_exact(128).chain(tail.chunks_exact(128));
    for (number, block) in blocks.enumerate() {
        if number % CHECKED == 0 {
            pace::check()?;
        }
        let mut w = [0u64; 80];
        for (word, chunk) in w.iter_mut().zip(block.chunks_exact(8)) {
            *word = chunk.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        }
        for i in 16..80 {
            let s0 = w[i - 15].rotate_right(1) ^ w[i - 15].rotate_right(8) ^ (w[i - 15] >> 7);
            let s1 = w[i - 2].rotate_right(19) ^ w[i - 2].rotate_right(61) ^ (w[i - 2] >> 6);
            w[i] = w[i - 16]
                .wrapping_add(s0)
                .wrapping_add(w[i - 7])
                .wrapping_add(s1);
        }
        let mut v = state;
        for (i, word) in w.iter().enumerate() {
            let s1 = v[4].rotate_right(14) ^ v[4].rotate_right(18) ^ v[4].rotate_right(41);
            let choice = v[4] & v[5] ^ !v[4] & v[6];
            let one = v[7]
                .wrapping_add(s1)
                .wrapping_add(choice)
                .wrapping_add(constants()[i])
                .wrapping_add(*word);
            let s0 = v[0].rotate_right(28) ^ v[0].rotate_right(34) ^ v[0].rotate_right(39);
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2];
            let two = s0.wrapping_add(majority);
            v = [
                one.wrapping_add(two),
                v[0],
                v[1],
                v[2],
                v[3].wrapping_add(one),
                v[4],
                v[5],
                v[6],
            ];
        }
        for (total, part) in state.iter_mut().zip(v) {
            *total = total.wrapping_add(part);
        }
    }
    Ok(state.iter().flat_map(|word| word.to_be_bytes()).collect())
}

/// First 64 bits of the fractional parts of the square roots of 8 primes, from the `skip`th on.
fn roots(skip: usize) -> [u64; 8] {
    const PRIMES: [u64; 16] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53];
    std::array::from_fn(|i| {
        let root = (BigUint::from(PRIMES[skip + i]) << 128u32).sqrt();
        (root & BigUint::from(u64::MAX)).to_u64().unwrap_or(0)
    })
}

pub fn sha256(bytes: &[u8]) -> Res<Vec<u8>> {
    rounds32(bytes, roots(0).map(|root| (root >> 32) as u32))
}

pub fn sha224(bytes: &[u8]) -> Res<Vec<u8>> {
    // the second 32 bits of the ninth to sixteenth primes' roots
    let mut out = rounds32(bytes, roots(8).map(|root| root as u32))?;
    out.truncate(28);
    Ok(out)
}

pub fn sha512(bytes: &[u8]) -> Res<Vec<u8>> {
    rounds64(bytes, roots(0))
}

pub fn sha384(bytes: &[u8]) -> Res<Vec<u8>> {
    let mut out = rounds64(bytes, roots(8))?;
    out.truncate(48);
    Ok(out)
}

#[cfg(test)]
mod tests {
    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn known_digests() {
        assert_eq!(
            hex(&super::sha256(b"abc").unwrap()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(&super::sha224(b"abc").unwrap()),
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"
        );
        assert!(
            hex(&super::sha512(b"abc").unwrap()).starts_with("ddaf35a193617abacc417349ae204131")
        );
        assert!(
            hex(&super::sha384(b"abc").unwrap()).starts_with("cb00753f45a35e8bb5a03d699ac65007")
        );
    }
}
