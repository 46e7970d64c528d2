//! Addition to rounding, with PostgreSQL's result scales.

use super::{
    digit_count, overflow, pow10, pow10_i128, Numeric, MAX_DISPLAY_SCALE, MAX_RESULT_SCALE,
    MAX_SCALE, MIN_SIG_DIGITS,
};
use crate::base::error::{fail, Res};
use crate::base::pace;
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, Zero};

/// How a division ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Half away from zero.
    Half,
    Down,
}

pub(super) fn div_big(a: BigInt, b: &BigInt, rounding: Rounding) -> BigInt {
    let (quotient, rest) = a.div_rem(b);
    if rounding == Rounding::Half && (rest.abs() << 1u8) >= b.abs() {
        return if a.is_negative() == b.is_negative() {
            quotient + 1
        } else {
            quotient - 1
        };
    }
    quotient
}

fn div_i128(a: i128, b: i128, rounding: Rounding) -> i128 {
    let (quotient, rest) = (a / b, a % b);
    if rounding == Rounding::Half && rest.unsigned_abs() * 2 >= b.unsigned_abs() {
        return if (a < 0) == (b < 0) {
            quotient + 1
        } else {
            quotient - 1
        };
    }
    quotient
}

/// The base-10000 weight and first base-10000 digit that PostgreSQL's representation would have.
pub(super) fn weight(value: &Numeric) -> (i64, i64) {
    if value.is_zero() || !value.is_finite() {
        return (0, 0);
    }
    let (digits, scale) = match value {
        Numeric::Small { value, scale } => (
            i64::from(value.unsigned_abs().ilog10()) + 1,
            i64::from(*scale),
        ),
        other => (digit_count(&other.coefficient()), i64::from(other.scale())),
    };
    let weight = (digits - 1 - scale).div_euclid(4);
    let shift = scale + 4 * weight;
    let first = match value {
        Numeric::Small { value, .. } => {
            let magnitude = i128::from(value.unsigned_abs());
            match shift {
                0.. => pow10_i128(shift as u32).map_or(0, |p| magnitude / p),
                _ => pow10_i128((-shift) as u32).map_or(0, |p| magnitude * p),
            }
        }
        other => {
            let magnitude = other.coefficient().abs();
            let first = if shift >= 0 {
                magnitude / pow10(shift as u32)
            } else {
                magnitude * pow10((-shift) as u32)
            };
            i128::try_from(first).unwrap_or(0)
        }
    };
    (weight, first as i64)
}

fn div_scale(a: &Numeric, b: &Numeric) -> i64 {
    let ((weight_a, first_a), (weight_b, first_b)) = (weight(a), weight(b));
    let mut weight = weight_a - weight_b;
    if first_a <= first_b {
        weight -= 1;
    }
    (MIN_SIG_DIGITS - weight * 4)
        .max(i64::from(a.scale()))
        .max(i64::from(b.scale()))
        .clamp(0, MAX_DISPLAY_SCALE)
}

fn by_zero<T>() -> Res<T> {
    fail("22012", "division by zero")
}

fn infinity(positive: bool) -> Numeric {
    if positive {
        Numeric::PosInf
    } else {
        Numeric::NegInf
    }
}

impl Numeric {
    pub fn neg(&self) -> Numeric {
        match self {
            Numeric::Small { value, scale } => Numeric::from_i128(-i128::from(*value), *scale),
            Numeric::Big(big) => Numeric::from_big(-big.value.clone(), big.scale),
            Numeric::PosInf => Numeric::NegInf,
            Numeric::NegInf => Numeric::PosInf,
            Numeric::NaN => Numeric::NaN,
        }
    }

    pub fn abs(&self) -> Numeric {
        if self.sign() < 0 {
            self.neg()
        } else {
            self.clone()
        }
    }

    pub fn add(&self, other: &Numeric) -> Res<Numeric> {
        if let (Numeric::Small { value: a, scale: s }, Numeric::Small { value: b, scale: t }) =
            (self, other)
        {
            if s.abs_diff(*t) <= 18 {
                let (mut a, mut b) = (i128::from(*a), i128::from(*b));
                if s < t {
                    a *= 10i128.pow(u32::from(t - s));
                } else if t < s {
                    b *= 10i128.pow(u32::from(s - t));
                }
                return Ok(Numeric::from_i128(a + b, *s.max(t)));
            }
        }
        if self.is_finite() && other.is_finite() {
            let scale = self.scale().max(other.scale());
            let sum = self.at_scale(scale.into()) + other.at_scale(scale.into());
            return Numeric::checked(sum, scale.into());
        }
        Ok(match (self, other) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Numeric::NaN,
            (Numeric::PosInf, Numeric::NegInf) | (Numeric::NegInf, Numeric::PosInf) => Numeric::NaN,
            (Numeric::PosInf, _) | (_, Numeric::PosInf) => Numeric::PosInf,
            _ => Numeric::NegInf,
        })
    }

    pub fn sub(&self, other: &Numeric) -> Res<Numeric> {
        self.add(&other.neg())
    }

    pub fn mul(&self, other: &Numeric) -> Res<Numeric> {
        if !self.is_finite() || !other.is_finite() {
            if self.is_nan() || other.is_nan() || self.is_zero() || other.is_zero() {
                return Ok(Numeric::NaN);
            }
            return Ok(infinity(self.sign() == other.sign()));
        }
        let scale = u32::from(self.scale()) + u32::from(other.scale());
        if let (Numeric::Small { value: a, .. }, Numeric::Small { value: b, .. }) = (self, other) {
            if scale <= MAX_SCALE {
                return Ok(Numeric::from_i128(
                    i128::from(*a) * i128::from(*b),
                    scale as u16,
                ));
            }
        }
        let product = self.coefficient() * other.coefficient();
        if scale > MAX_SCALE {
            return Numeric::checked(
                div_big(product, &pow10(scale - MAX_SCALE), Rounding::Half),
                MAX_SCALE.into(),
            );
        }
        Numeric::checked(product, scale.into())
    }

    /// The quotient at a given scale.
    pub(super) fn div_at(&self, other: &Numeric, scale: i64, rounding: Rounding) -> Res<Numeric> {
        let shift = scale + i64::from(other.scale()) - i64::from(self.scale());
        if let (Numeric::Small { value: a, .. }, Numeric::Small { value: b, .. }) = (self, other) {
            let power = u32::try_from(shift.unsigned_abs())
                .ok()
                .and_then(pow10_i128);
            let scaled = match power {
                Some(power) if shift >= 0 => i128::from(*a)
                    .checked_mul(power)
                    .map(|a| (a, i128::from(*b))),
                Some(power) => i128::from(*b)
                    .checked_mul(power)
                    .map(|b| (i128::from(*a), b)),
                None => None,
            };
            if let Some((a, b)) = scaled.filter(|(_, b)| *b != 0 && b.unsigned_abs() < 1 << 126) {
                return Ok(Numeric::from_i128(div_i128(a, b, rounding), scale as u16));
            }
        }
        let (mut a, mut b) = (self.coefficient(), other.coefficient());
        if b.is_zero() {
            return by_zero();
        }
        if shift >= 0 {
            a *= pow10(shift as u32);
        } else {
            b *= pow10((-shift) as u32);
        }
        Numeric::checked(div_big(a, &b, rounding), scale)
    }

    pub fn div(&self, other: &Numeric) -> Res<Numeric> {
        match self.div_special(other)? {
            Some(value) => Ok(value),
            None => self.div_at(other, div_scale(self, other), Rounding::Half),
        }
    }

    /// The quotient rounded to a given scale.
    pub fn div_scaled(&self, other: &Numeric, scale: i64) -> Res<Numeric> {
        match self.div_special(other)? {
            Some(value) => Ok(value),
            None => self.div_at(other, scale, Rounding::Half),
        }
    }

    fn div_special(&self, other: &Numeric) -> Res<Option<Numeric>> {
        if self.is_nan() || other.is_nan() {
            return Ok(Some(Numeric::NaN));
        }
        if !self.is_finite() {
            if !other.is_finite() {
                return Ok(Some(Numeric::NaN));
            }
            return match other.sign() {
                0 => by_zero(),
                sign => Ok(Some(infinity(sign == self.sign()))),
            };
        }
        if !other.is_finite() {
            return Ok(Some(Numeric::ZERO));
        }
        if other.is_zero() {
            return by_zero();
        }
        Ok(None)
    }

    /// div(): the quotient's whole part.
    pub fn div_trunc(&self, other: &Numeric) -> Res<Numeric> {
        match self.div_special(other)? {
            Some(value) => Ok(value),
            None => self.div_at(other, 0, Rounding::Down),
        }
    }

    pub fn rem(&self, other: &Numeric) -> Res<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NaN);
        }
        if !self.is_finite() {
            return if other.is_zero() {
                by_zero()
            } else {
                Ok(Numeric::NaN)
            };
        }
        if !other.is_finite() {
            return Ok(self.clone());
        }
        if other.is_zero() {
            return by_zero();
        }
        let scale = self.scale().max(other.scale());
        let rest = self.at_scale(scale.into()) % other.at_scale(scale.into());
        Ok(Numeric::from_big(rest, scale))
    }

    /// To `scale` digits after the point, negative ones before it; half away from zero.
    pub fn round(&self, scale: i64) -> Numeric {
        self.rescale(scale, Rounding::Half)
    }

    pub fn trunc(&self, scale: i64) -> Numeric {
        self.rescale(scale, Rounding::Down)
    }

    fn rescale(&self, scale: i64, rounding: Rounding) -> Numeric {
        if !self.is_finite() {
            return self.clone();
        }
        let scale = scale.clamp(-MAX_RESULT_SCALE, MAX_RESULT_SCALE);
        let own = i64::from(self.scale());
        let shown = scale.max(0) as u16;
        if scale >= own {
            let power = pow10_i128((scale - own) as u32);
            if let (Numeric::Small { value, .. }, Some(power)) = (self, power) {
                if let Some(value) = i128::from(*value).checked_mul(power) {
                    return Numeric::from_i128(value, shown);
                }
            }
            return Numeric::from_big(self.at_scale(scale as u32), shown);
        }
        let drop = (own - scale) as u32;
        let back = (-scale).max(0) as u32;
        if let (Numeric::Small { value, .. }, Some(power), true) =
            (self, pow10_i128(drop), back <= 18 && drop <= 36)
        {
            let value = div_i128(i128::from(*value), power, rounding) * 10i128.pow(back);
            return Numeric::from_i128(value, shown);
        }
        let value = div_big(self.coefficient(), &pow10(drop), rounding);
        Numeric::from_big(if back > 0 { value * pow10(back) } else { value }, shown)
    }

    pub fn ceil(&self) -> Numeric {
        let whole = self.trunc(0);
        if self.is_finite() && *self > whole {
            return whole.add(&Numeric::ONE).unwrap_or(whole);
        }
        whole
    }

    pub fn floor(&self) -> Numeric {
        let whole = self.trunc(0);
        if self.is_finite() && *self < whole {
            return whole.sub(&Numeric::ONE).unwrap_or(whole);
        }
        whole
    }

    /// numeric(precision, scale).
    pub fn apply_typmod(&self, typmod: i32) -> Res<Numeric> {
        if typmod < 4 || self.is_nan() {
            return Ok(self.clone());
        }
        let (precision, scale) = precision_scale(typmod);
        let refuse = |detail: String| {
            let error = crate::base::SqlError::new("22003", "numeric field overflow");
            Err(error.detail(detail).into())
        };
        if !self.is_finite() {
            return refuse(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            ));
        }
        let rounded = self.round(i64::from(scale));
        let whole = i64::from(precision - scale);
        let used = match &rounded {
            Numeric::Small { value: 0, .. } => i64::MIN,
            Numeric::Small { value, scale } => {
                i64::from(value.unsigned_abs().ilog10()) + 1 - i64::from(*scale)
            }
            other => digit_count(&other.coefficient()) - i64::from(other.scale()),
        };
        if used > whole {
            let limit = if whole == 0 {
                "1".to_owned()
            } else {
                format!("10^{whole}")
            };
            return refuse(format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
            ));
        }
        Ok(rounded)
    }

    pub fn gcd(&self, other: &Numeric) -> Res<Numeric> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(Numeric::NaN);
        }
        let scale = self.scale().max(other.scale());
        Numeric::checked(
            self.at_scale(scale.into())
                .gcd(&other.at_scale(scale.into())),
            scale.into(),
        )
    }

    pub fn lcm(&self, other: &Numeric) -> Res<Numeric> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(Numeric::NaN);
        }
        let scale = self.scale().max(other.scale());
        let (a, b) = (self.at_scale(scale.into()), other.at_scale(scale.into()));
        if a.is_zero() || b.is_zero() {
            return Ok(Numeric::small(0, scale));
        }
        let gcd = a.gcd(&b);
        Numeric::checked((a / gcd * b).abs(), scale.into())
    }

    pub fn factorial(number: i64) -> Res<Numeric> {
        if number < 0 {
            return fail("22003", "factorial of a negative number is undefined");
        }
        if number > 32177 {
            return overflow();
        }
        pace::heavy((number as usize).pow(2) / 16)?;
        let mut product = BigInt::from(1);
        for factor in 2..=number {
            pace::check()?;
            product *= factor;
        }
        Numeric::checked(product, 0)
    }
}

/// (precision, scale) of a typmod that is one.
pub fn precision_scale(typmod: i32) -> (i32, i32) {
    let packed = typmod - 4;
    ((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024)
}
