//! Roots, exponentials and logarithms: computed with guard digits in fixed point, rounded once to PostgreSQL's result scale.

use super::arith::{div_big, weight, Rounding};
use super::{
    digit_count, overflow, pow10, Numeric, MAX_DISPLAY_SCALE, MAX_RESULT_SCALE, MIN_SIG_DIGITS,
};
use crate::base::error::{fail, Res};
use crate::base::pace;
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

use std::f64::consts::LOG10_E;

fn display(scale: i64) -> i64 {
    scale.clamp(0, MAX_DISPLAY_SCALE)
}

/// What a computation with so many digits counts as, in bytes of `pace::heavy`.
fn cost(digits: u32) -> usize {
    (digits as usize).pow(2)
}

/// e^x for x = fixed / 10^digits, at the same scale. |x| is small enough for the caller's digits.
fn exp_fixed(x: &BigInt, digits: u32) -> Res<BigInt> {
    pace::heavy(cost(digits))?;
    let halvings = 8
        + (digits as f64).sqrt() as u32
        + (x.bits() as u32).saturating_sub((digits as f64 * 3.33) as u32);
    let guard = halvings / 3 + 6;
    let one = pow10(digits + guard);
    let x = (x * pow10(guard)) >> halvings;
    let mut term = one.clone();
    let mut sum = one.clone();
    let mut n = 1u32;
    loop {
        pace::check()?;
        term = term * &x / &one / n;
        if term.is_zero() || (term.is_negative() && (-&term).is_one()) {
            break;
        }
        sum += &term;
        n += 1;
    }
    for _ in 0..halvings {
        pace::check()?;
        sum = &sum * &sum / &one;
    }
    Ok(div_big(sum, &pow10(guard), Rounding::Half))
}

/// ln of fixed / 10^digits, which is between 0.1 and 10, at the same scale.
fn ln_fixed(x: &BigInt, digits: u32) -> Res<BigInt> {
    pace::heavy(cost(digits))?;
    let guard = 12;
    let digits = digits + guard;
    let one = pow10(digits);
    let mut y = x * pow10(guard);
    let roots = 6;
    for _ in 0..roots {
        pace::check()?;
        y = (y * &one).sqrt();
    }
    let z = (&y - &one) * &one / (&y + &one);
    let square = &z * &z / &one;
    let mut power = z;
    let mut sum = BigInt::zero();
    let mut n = 1u32;
    while !power.is_zero() && power != BigInt::from(-1) {
        pace::check()?;
        sum += &power / n;
        power = power * &square / &one;
        n += 2;
    }
    Ok(div_big(sum << (roots + 1), &pow10(guard), Rounding::Half))
}

/// ln of a positive number, as a fixed-point number with `digits` digits.
fn ln_big(value: &Numeric, digits: u32) -> Res<BigInt> {
    let coefficient = value.coefficient();
    let exponent = digit_count(&coefficient) - 1 - i64::from(value.scale());
    // mantissa in [1, 10) when far from one; numbers near one are taken as they are
    let (shift, exponent) = if (-1..=0).contains(&exponent) {
        (0, 0)
    } else {
        (exponent, exponent)
    };
    let guard = 8 + 7;
    let fine = digits + guard;
    let power = i64::from(fine) - i64::from(value.scale()) - shift;
    let mantissa = if power >= 0 {
        coefficient * pow10(power as u32)
    } else {
        div_big(coefficient, &pow10((-power) as u32), Rounding::Half)
    };
    let mut sum = ln_fixed(&mantissa, fine)?;
    if exponent != 0 {
        sum += ln_fixed(&(BigInt::from(10) * pow10(fine)), fine)? * exponent;
    }
    Ok(div_big(sum, &pow10(guard), Rounding::Half))
}

/// Roughly the decimal weight of ln(value).
fn ln_weight(value: &Numeric) -> i64 {
    if value.sign() <= 0 {
        return 0;
    }
    if *value >= Numeric::small(9, 1) && *value <= Numeric::small(11, 1) {
        let near = value.sub(&Numeric::ONE).unwrap_or_default();
        if near.is_zero() {
            return 0;
        }
        let (weight, first) = weight(&near);
        return weight * 4 + (first as f64).log10() as i64;
    }
    let (estimate, exponent) = leading(value, 8);
    let ln = estimate.ln() + exponent as f64 * std::f64::consts::LN_10;
    ln.abs().log10() as i64
}

/// |value| ≈ leading × 10^exponent, with the first base-10000 digits, up to `digits` decimal digits of them.
fn leading(value: &Numeric, digits: i64) -> (f64, i64) {
    let (top, _) = weight(value);
    let coefficient = value.coefficient().abs();
    let exponent = ((top + 1) * 4 - digits).max(-(i64::from(value.scale()) + 3) / 4 * 4);
    let shift = i64::from(value.scale()) + exponent;
    let part = if shift >= 0 {
        coefficient / pow10(shift as u32)
    } else {
        coefficient * pow10((-shift) as u32)
    };
    (part.to_f64().unwrap_or(f64::MAX), exponent)
}

fn fixed(value: BigInt, digits: u32, scale: i64) -> Res<Numeric> {
    let drop = i64::from(digits) - scale;
    let value = if drop >= 0 {
        div_big(value, &pow10(drop as u32), Rounding::Half)
    } else {
        value * pow10((-drop) as u32)
    };
    Numeric::checked(value, scale)
}

impl Numeric {
    pub fn sqrt(&self) -> Res<Numeric> {
        match self {
            Numeric::NaN => return Ok(Numeric::NaN),
            Numeric::PosInf => return Ok(Numeric::PosInf),
            _ if self.sign() < 0 => {
                return fail("2201F", "cannot take square root of a negative number")
            }
            _ => {}
        }
        let (top, _) = weight(self);
        let half = if top >= 0 {
            top * 4 / 2 + 1
        } else {
            1 - (1 - top * 4) / 2
        };
        let scale = display((MIN_SIG_DIGITS - half).max(i64::from(self.scale())));
        self.sqrt_at(scale)
    }

    /// The square root of a finite number that isn't negative, at a given scale.
    pub fn sqrt_at(&self, scale: i64) -> Res<Numeric> {
        let shift = 2 * (scale + 1) - i64::from(self.scale());
        let coefficient = self.coefficient();
        let scaled = if shift >= 0 {
            coefficient * pow10(shift as u32)
        } else {
            coefficient / pow10((-shift) as u32)
        };
        fixed(scaled.sqrt(), (scale + 1) as u32, scale)
    }

    pub fn exp(&self) -> Res<Numeric> {
        match self {
            Numeric::NaN => return Ok(Numeric::NaN),
            Numeric::PosInf => return Ok(Numeric::PosInf),
            Numeric::NegInf => return Ok(Numeric::ZERO),
            _ => {}
        }
        let value = self.to_f64();
        let weight =
            (value * LOG10_E).clamp(-(MAX_RESULT_SCALE as f64), MAX_RESULT_SCALE as f64) as i64;
        let scale = display((MIN_SIG_DIGITS - weight).max(i64::from(self.scale())));
        self.exp_at(scale, value)
    }

    /// `value` is roughly self.
    fn exp_at(&self, scale: i64, value: f64) -> Res<Numeric> {
        if value.abs() >= (MAX_RESULT_SCALE * 3) as f64 {
            if value > 0.0 {
                return overflow();
            }
            return Ok(Numeric::small(0, scale as u16));
        }
        let guard = 12 + (value * LOG10_E).max(0.0) as i64;
        let digits = (scale + guard).max(i64::from(self.scale())) as u32;
        fixed(exp_fixed(&self.at_scale(digits), digits)?, digits, scale)
    }

    fn log_check(&self) -> Res<()> {
        match self.sign() {
            _ if self.is_nan() => Ok(()),
            0 => fail("2201E", "cannot take logarithm of zero"),
            -1 => fail("2201E", "cannot take logarithm of a negative number"),
            _ => Ok(()),
        }
    }

    pub fn ln(&self) -> Res<Numeric> {
        self.log_check()?;
        if !self.is_finite() {
            return Ok(self.clone());
        }
        let scale = display((MIN_SIG_DIGITS - ln_weight(self)).max(i64::from(self.scale())));
        let digits = (scale + 6) as u32;
        fixed(ln_big(self, digits)?, digits, scale)
    }

    /// Logarithm of `self` to a base.
    pub fn log(&self, base: &Numeric) -> Res<Numeric> {
        if self.is_nan() || base.is_nan() {
            return Ok(Numeric::NaN);
        }
        base.log_check()?;
        self.log_check()?;
        match (base.is_finite(), self.is_finite()) {
            (false, false) => return Ok(Numeric::NaN),
            (true, false) => return Ok(Numeric::PosInf),
            (false, true) => return Ok(Numeric::ZERO),
            _ => {}
        }
        let (base_weight, own_weight) = (ln_weight(base), ln_weight(self));
        let scale = MIN_SIG_DIGITS - (own_weight - base_weight);
        let scale = display(
            scale
                .max(i64::from(base.scale()))
                .max(i64::from(self.scale())),
        );
        let digits = (scale + 16 + base_weight.abs() + own_weight.abs()) as u32;
        let (top, bottom) = (ln_big(self, digits)?, ln_big(base, digits)?);
        if bottom.is_zero() {
            return fail("22012", "division by zero");
        }
        Numeric::checked(
            div_big(top * pow10(scale as u32), &bottom, Rounding::Half),
            scale,
        )
    }

    fn is_whole(&self) -> bool {
        self.is_finite() && *self == self.trunc(0)
    }

    fn is_odd(&self) -> bool {
        self.trunc(0).coefficient().is_odd()
    }

    pub fn power(&self, exponent: &Numeric) -> Res<Numeric> {
        if let Some(value) = self.power_special(exponent)? {
            return Ok(value);
        }
        if exponent.is_whole() {
            if let Some(n) = exponent.trunc(0).coefficient().to_i32() {
                return self.power_int(n, i64::from(exponent.scale()));
            }
        }
        if self.is_zero() {
            return Ok(Numeric::small(0, MIN_SIG_DIGITS as u16));
        }
        let base = self.abs();
        let rough_digits = (8 - ln_weight(&base)).clamp(0, 2 * MAX_DISPLAY_SCALE) as u32 + 8;
        let rough_ln = Numeric::from_big(ln_big(&base, rough_digits)?, rough_digits as u16);
        let rough = rough_ln.mul(exponent)?.to_f64();
        if rough.abs() > MAX_RESULT_SCALE as f64 * 3.01 {
            if rough > 0.0 {
                return overflow();
            }
            return Ok(Numeric::small(0, MAX_DISPLAY_SCALE as u16));
        }
        let result_weight = rough * LOG10_E;
        let scale = (MIN_SIG_DIGITS - result_weight as i64)
            .max(i64::from(self.scale()))
            .max(i64::from(exponent.scale()));
        let scale = display(scale);
        let exponent_digits = digit_count(&exponent.coefficient());
        let digits = (scale + result_weight.max(0.0) as i64 + exponent_digits + 16) as u32;
        let product = ln_big(&base, digits)? * exponent.coefficient();
        let product = div_big(product, &pow10(exponent.scale().into()), Rounding::Half);
        let value = fixed(exp_fixed(&product, digits)?, digits, scale)?;
        Ok(if self.sign() < 0 && exponent.is_odd() {
            value.neg()
        } else {
            value
        })
    }

    /// Cases that need no computing, and errors.
    fn power_special(&self, exponent: &Numeric) -> Res<Option<Numeric>> {
        let one = Numeric::ONE;
        if self.is_nan() || exponent.is_nan() {
            let certain =
                (self.is_nan() && exponent.is_zero()) || (exponent.is_nan() && *self == one);
            return Ok(Some(if certain { one } else { Numeric::NaN }));
        }
        if self.is_zero() && exponent.sign() < 0 {
            return fail("2201F", "zero raised to a negative power is undefined");
        }
        if self.sign() < 0 && exponent.is_finite() && !exponent.is_whole() {
            return fail(
                "2201F",
                "a negative number raised to a non-integer power yields a complex result",
            );
        }
        if !exponent.is_finite() {
            let size = self.abs().cmp(&one);
            let grows = exponent.sign() > 0;
            return Ok(Some(match size {
                std::cmp::Ordering::Equal => one,
                std::cmp::Ordering::Greater if grows => Numeric::PosInf,
                std::cmp::Ordering::Less if !grows => Numeric::PosInf,
                _ => Numeric::ZERO,
            }));
        }
        if !self.is_finite() {
            return Ok(Some(match exponent.sign() {
                0 => one,
                -1 => Numeric::ZERO,
                _ if self.sign() < 0 && exponent.is_odd() => Numeric::NegInf,
                _ => Numeric::PosInf,
            }));
        }
        Ok(None)
    }

    fn power_int(&self, n: i32, exponent_scale: i64) -> Res<Numeric> {
        let weight = if self.is_zero() {
            0.0
        } else {
            let (lead, exponent) = leading(self, 16);
            f64::from(n) * (lead.log10() + exponent as f64)
        };
        if weight > 131072.0 {
            return overflow();
        }
        let scale = display(
            MIN_SIG_DIGITS
                .max(i64::from(self.scale()))
                .max(exponent_scale),
        );
        if weight + 1.0 < -(MAX_DISPLAY_SCALE as f64) {
            return Ok(Numeric::small(0, scale as u16));
        }
        if n == 0 {
            return Ok(Numeric::ONE.round(scale));
        }
        if self.is_zero() {
            return Ok(Numeric::small(0, scale as u16));
        }
        // a floating mantissa with enough digits that rounding errors of n steps stay below the last one shown
        let digits = (weight.max(0.0) as i64 + scale + 24) as u32;
        let limit = pow10(digits);
        let trim = |value: BigInt, exponent: i64| -> (BigInt, i64) {
            if value.abs() < limit {
                return (value, exponent);
            }
            let drop = digit_count(&value) - i64::from(digits);
            (
                div_big(value, &pow10(drop as u32), Rounding::Half),
                exponent + drop,
            )
        };
        let mut base = (self.coefficient(), -i64::from(self.scale()));
        let mut result = (BigInt::one(), 0i64);
        let mut left = n.unsigned_abs();
        pace::heavy(cost(digits))?;
        while left > 0 {
            pace::check()?;
            if left & 1 == 1 {
                result = trim(result.0 * &base.0, result.1 + base.1);
            }
            left >>= 1;
            if left > 0 {
                base = trim(&base.0 * &base.0, base.1 * 2);
            }
        }
        let (value, exponent) = result;
        let shift = exponent + scale;
        if n < 0 {
            // 1 / (value × 10^exponent), at `scale`
            let top = scale - exponent;
            let (one, below) = if top >= 0 {
                (pow10(top as u32), value)
            } else {
                (BigInt::one(), value * pow10((-top) as u32))
            };
            return Numeric::checked(div_big(one, &below, Rounding::Half), scale);
        }
        let value = if shift >= 0 {
            value * pow10(shift as u32)
        } else {
            div_big(value, &pow10((-shift) as u32), Rounding::Half)
        };
        Numeric::checked(value, scale)
    }
}
