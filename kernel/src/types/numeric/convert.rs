//! numeric to and from the other number types.

use super::Numeric;
use crate::base::error::{fail, Res};
use crate::types::float;
use num_traits::ToPrimitive;

impl Numeric {
    /// The nearest float8; magnitudes too large become infinite.
    pub fn to_f64(&self) -> f64 {
        match self {
            Numeric::NaN => f64::NAN,
            Numeric::PosInf => f64::INFINITY,
            Numeric::NegInf => f64::NEG_INFINITY,
            Numeric::Small { value, scale: 0 } => *value as f64,
            Numeric::Small { value, scale } if value.unsigned_abs() < 1 << 53 && *scale <= 22 => {
                *value as f64 / 10f64.powi(i32::from(*scale))
            }
            other => other.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// With 15 significant digits, as PostgreSQL's cast does.
    pub fn from_f64(value: f64) -> Res<Numeric> {
        Numeric::from_float(value, 15)
    }

    /// With 6 significant digits.
    pub fn from_f32(value: f32) -> Res<Numeric> {
        Numeric::from_float(f64::from(value), 6)
    }

    fn from_float(value: f64, digits: i32) -> Res<Numeric> {
        if value.is_nan() {
            return Ok(Numeric::NaN);
        }
        if value.is_infinite() {
            return Ok(if value > 0.0 {
                Numeric::PosInf
            } else {
                Numeric::NegInf
            });
        }
        let mut text = Vec::new();
        float::general(value, digits, &mut text);
        Numeric::parse(&String::from_utf8_lossy(&text))
    }

    /// Rounded to a whole number between `low` and `high`; `name` is the type's for errors.
    pub fn to_int(&self, low: i64, high: i64, name: &str) -> Res<i64> {
        match self {
            Numeric::NaN => return fail("0A000", format!("cannot convert NaN to {name}")),
            Numeric::PosInf | Numeric::NegInf => {
                return fail("0A000", format!("cannot convert infinity to {name}"))
            }
            _ => {}
        }
        let whole = match self.round(0) {
            Numeric::Small { value, .. } => Some(value),
            _ => None,
        };
        match whole {
            Some(value) if (low..=high).contains(&value) => Ok(value),
            _ => fail("22003", format!("{name} out of range")),
        }
    }

    pub fn to_i64(&self) -> Res<i64> {
        self.to_int(i64::MIN, i64::MAX, "bigint")
    }

    /// The value as an i64 if it is a whole number that fits.
    pub fn exact_i64(&self) -> Option<i64> {
        if !self.is_finite() || *self != self.trunc(0) {
            return None;
        }
        self.trunc(0).coefficient().to_i64()
    }
}
