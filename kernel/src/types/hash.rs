//! Hashes for joins, grouping and DISTINCT: the same in every process, as partitions and spills need.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};

const STATE: RandomState =
    RandomState::with_seeds(0x5319_2d41, 0x77a1_0c3f, 0x1bd0_9e55, 0x2f6c_84b7);

#[inline]
pub fn int(value: i64) -> u64 {
    let mut x = value as u64 ^ 0x9e37_79b9_7f4a_7c15;
    x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ (x >> 32)
}

pub fn bytes(value: &[u8]) -> u64 {
    let mut hasher = STATE.build_hasher();
    hasher.write(value);
    hasher.finish()
}

/// −0 is 0, and every NaN is one value.
#[inline]
pub fn float(value: f64) -> u64 {
    if value == 0.0 {
        int(0)
    } else if value.is_nan() {
        int(-1)
    } else {
        int(value.to_bits() as i64)
    }
}

#[inline]
pub fn combine(a: u64, b: u64) -> u64 {
    int((a.rotate_left(5) ^ b) as i64)
}
