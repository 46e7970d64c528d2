//! numeric: exact decimals of any length. A finite value is an integer coefficient and a scale, value = coefficient / 10^scale;
//! the scale is PostgreSQL's display scale, and no value has digits beyond it. Coefficients that fit in 64 bits
//! are always held as `Small`.

mod arith;
mod convert;
mod math;
mod ops;
mod text;
mod wire;

pub use ops::TYPES;
pub use wire::{decode, encode};

use super::hash;
use crate::base::error::{fail, Res};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Numeric {
    Small { value: i64, scale: u16 },
    Big(Arc<Big>),
    NaN,
    PosInf,
    NegInf,
}

#[derive(Clone, Debug)]
pub struct Big {
    pub value: BigInt,
    pub scale: u16,
}

/// Largest display scale of a stored value.
pub const MAX_SCALE: u32 = 16383;
/// Most digits before the decimal point.
pub const MAX_WHOLE_DIGITS: i64 = 131072;
const MAX_DISPLAY_SCALE: i64 = 1000;
const MIN_SIG_DIGITS: i64 = 16;
const MAX_RESULT_SCALE: i64 = 2000;

pub(super) fn overflow<T>() -> Res<T> {
    fail("22003", "value overflows numeric format")
}

pub fn pow10_i128(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

pub fn pow10(exponent: u32) -> BigInt {
    match pow10_i128(exponent) {
        Some(small) => BigInt::from(small),
        None => BigInt::from(10u8).pow(exponent),
    }
}

/// Decimal digits of |value|; 0 has one.
pub(super) fn digit_count(value: &BigInt) -> i64 {
    if let Some(small) = value.to_i128() {
        return small.unsigned_abs().checked_ilog10().unwrap_or(0) as i64 + 1;
    }
    let bits = value.bits() as f64;
    let low = ((bits - 1.0) * std::f64::consts::LOG10_2).floor() as i64;
    if value.abs() >= pow10((low + 1) as u32) {
        low + 2
    } else {
        low + 1
    }
}

impl Default for Numeric {
    fn default() -> Numeric {
        Numeric::ZERO
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Numeric {
        Numeric::Small { value, scale: 0 }
    }
}

impl Numeric {
    pub const ZERO: Numeric = Numeric::Small { value: 0, scale: 0 };
    pub const ONE: Numeric = Numeric::Small { value: 1, scale: 0 };

    pub fn small(value: i64, scale: u16) -> Numeric {
        Numeric::Small { value, scale }
    }

    pub fn from_i128(value: i128, scale: u16) -> Numeric {
        match i64::try_from(value) {
            Ok(value) => Numeric::Small { value, scale },
            Err(_) => Numeric::Big(Arc::new(Big {
                value: BigInt::from(value),
                scale,
            })),
        }
    }

    /// `value / 10^scale`, whatever its size: for results that are known to be in range.
    pub fn from_big(value: BigInt, scale: u16) -> Numeric {
        match value.to_i64() {
            Some(value) => Numeric::Small { value, scale },
            None => Numeric::Big(Arc::new(Big { value, scale })),
        }
    }

    /// The same, refused when it has more digits than a numeric may have.
    pub fn checked(value: BigInt, scale: i64) -> Res<Numeric> {
        if scale > i64::from(MAX_SCALE) {
            return overflow();
        }
        if value.bits() > 435_000 && digit_count(&value) - scale > MAX_WHOLE_DIGITS {
            return overflow();
        }
        Ok(Numeric::from_big(value, scale as u16))
    }

    pub fn is_finite(&self) -> bool {
        matches!(self, Numeric::Small { .. } | Numeric::Big(_))
    }

    pub fn is_nan(&self) -> bool {
        matches!(self, Numeric::NaN)
    }

    pub fn is_zero(&self) -> bool {
        matches!(self, Numeric::Small { value: 0, .. })
    }

    /// −1, 0 or 1; 0 for NaN.
    pub fn sign(&self) -> i32 {
        match self {
            Numeric::Small { value, .. } => value.signum() as i32,
            Numeric::Big(big) if big.value.is_negative() => -1,
            Numeric::Big(_) | Numeric::PosInf => 1,
            Numeric::NegInf => -1,
            Numeric::NaN => 0,
        }
    }

    /// Digits after the point; 0 for what is not finite.
    pub fn scale(&self) -> u16 {
        match self {
            Numeric::Small { scale, .. } => *scale,
            Numeric::Big(big) => big.scale,
            _ => 0,
        }
    }

    /// Coefficient of a finite value (0 for others).
    pub fn coefficient(&self) -> BigInt {
        match self {
            Numeric::Small { value, .. } => BigInt::from(*value),
            Numeric::Big(big) => big.value.clone(),
            _ => BigInt::zero(),
        }
    }

    /// Coefficient at a scale that is at least its own.
    pub(super) fn at_scale(&self, scale: u32) -> BigInt {
        let own = u32::from(self.scale());
        match scale.checked_sub(own) {
            Some(0) | None => self.coefficient(),
            Some(more) => self.coefficient() * pow10(more),
        }
    }

    /// Heap bytes.
    pub fn size(&self) -> usize {
        match self {
            Numeric::Big(big) => big.value.bits() as usize / 8 + 48,
            _ => 0,
        }
    }

    fn rank(&self) -> i32 {
        match self {
            Numeric::NegInf => 0,
            Numeric::PosInf => 2,
            Numeric::NaN => 3,
            _ => 1,
        }
    }

    /// Trailing zeros after the point taken off: one form for each value.
    pub fn normalized(&self) -> Numeric {
        match self {
            Numeric::Small { value: 0, .. } => Numeric::ZERO,
            Numeric::Small { value, scale } => {
                let (mut value, mut scale) = (*value, *scale);
                while scale > 0 && value % 10 == 0 {
                    value /= 10;
                    scale -= 1;
                }
                Numeric::Small { value, scale }
            }
            Numeric::Big(big) => {
                let (mut value, mut scale) = (big.value.clone(), big.scale);
                let ten = BigInt::from(10u8);
                while scale > 0 && (&value % &ten).is_zero() {
                    value /= &ten;
                    scale -= 1;
                }
                Numeric::from_big(value, scale)
            }
            other => other.clone(),
        }
    }

    pub fn hash(&self) -> u64 {
        match self.normalized() {
            Numeric::Small { value, scale } => hash::combine(hash::int(value), u64::from(scale)),
            Numeric::Big(big) => hash::combine(
                hash::bytes(&big.value.to_signed_bytes_le()),
                u64::from(big.scale),
            ),
            other => hash::int(i64::MIN + i64::from(other.rank())),
        }
    }
}

/// NaN is equal to itself and greater than everything.
impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        use Numeric::Small;
        match (self, other) {
            (Small { value: a, scale: s }, Small { value: b, scale: t }) if s == t => a.cmp(b),
            (Small { value: a, scale: s }, Small { value: b, scale: t })
                if s.abs_diff(*t) <= 18 =>
            {
                let (mut a, mut b) = (i128::from(*a), i128::from(*b));
                if s < t {
                    a *= 10i128.pow(u32::from(t - s));
                } else {
                    b *= 10i128.pow(u32::from(s - t));
                }
                a.cmp(&b)
            }
            _ if self.is_finite() && other.is_finite() => {
                let scale = u32::from(self.scale().max(other.scale()));
                self.sign()
                    .cmp(&other.sign())
                    .then_with(|| self.at_scale(scale).cmp(&other.at_scale(scale)))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}
