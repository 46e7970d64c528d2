//! Floating-point arithmetic and mathematics.

use super::arith::by_zero;
use super::registry::{pure, volatile, Function, Volatility};
use crate::base::error::{fail, Res};
use crate::types::Datum;

fn overflow<T>() -> Res<T> {
    fail("22003", "value out of range: overflow")
}

fn underflow<T>() -> Res<T> {
    fail("22003", "value out of range: underflow")
}

#[inline]
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

/// A result that may be infinite only if an argument was, and zero only if `zero`.
#[inline]
pub fn checked(value: f64, infinite: bool, zero: bool) -> Res<Datum> {
    if value.is_infinite() && !infinite {
        return overflow();
    }
    if value == 0.0 && !zero {
        return underflow();
    }
    Ok(Datum::Float(value))
}

fn add(a: f64, b: f64, round: fn(f64) -> f64) -> Res<Datum> {
    checked(round(a + b), a.is_infinite() || b.is_infinite(), true)
}

fn sub(a: f64, b: f64, round: fn(f64) -> f64) -> Res<Datum> {
    checked(round(a - b), a.is_infinite() || b.is_infinite(), true)
}

fn mul(a: f64, b: f64, round: fn(f64) -> f64) -> Res<Datum> {
    checked(
        round(a * b),
        a.is_infinite() || b.is_infinite(),
        a == 0.0 || b == 0.0,
    )
}

fn div(a: f64, b: f64, round: fn(f64) -> f64) -> Res<Datum> {
    if b == 0.0 && !a.is_nan() {
        return by_zero();
    }
    checked(round(a / b), a.is_infinite(), a == 0.0 || b.is_infinite())
}

fn same(value: f64) -> f64 {
    value
}

macro_rules! four {
    ($pl:literal, $mi:literal, $mul:literal, $div:literal, $round:expr) => {
        &[
            pure($pl, |_, args| {
                add(args[0].float()?, args[1].float()?, $round)
            }),
            pure($mi, |_, args| {
                sub(args[0].float()?, args[1].float()?, $round)
            }),
            pure($mul, |_, args| {
                mul(args[0].float()?, args[1].float()?, $round)
            }),
            pure($div, |_, args| {
                div(args[0].float()?, args[1].float()?, $round)
            }),
        ]
    };
}

macro_rules! map {
    ($name:literal, $map:expr) => {
        pure($name, |_, args| {
            let value: f64 = args[0].float()?;
            let map: fn(f64) -> f64 = $map;
            Ok(Datum::Float(map(value)))
        })
    };
}

pub fn power(a: f64, b: f64) -> Res<Datum> {
    if a.is_nan() || b.is_nan() {
        return Ok(Datum::Float(if b == 0.0 || a == 1.0 {
            1.0
        } else {
            f64::NAN
        }));
    }
    if a == 0.0 && b < 0.0 {
        return fail("2201F", "zero raised to a negative power is undefined");
    }
    if a < 0.0 && b.floor() != b {
        return fail(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        );
    }
    let value = a.powf(b);
    if a.is_infinite() || b.is_infinite() {
        return Ok(Datum::Float(value));
    }
    checked(value, false, a == 0.0)
}

fn exp(value: f64) -> Res<Datum> {
    if value.is_nan() || value == f64::INFINITY {
        return Ok(Datum::Float(value));
    }
    checked(value.exp(), false, value == f64::NEG_INFINITY)
}

fn logarithm(value: f64, log: fn(f64) -> f64) -> Res<Datum> {
    if value == 0.0 {
        return fail("2201E", "cannot take logarithm of zero");
    }
    if value < 0.0 {
        return fail("2201E", "cannot take logarithm of a negative number");
    }
    checked(log(value), value.is_infinite(), value == 1.0)
}

fn out_of_range<T>() -> Res<T> {
    fail("22003", "input is out of range")
}

/// Arguments that trigonometry has no answer for.
fn finite(value: f64, f: fn(f64) -> f64) -> Res<Datum> {
    if value.is_infinite() {
        return out_of_range();
    }
    Ok(Datum::Float(f(value)))
}

fn within(value: f64, low: f64, high: f64, f: fn(f64) -> f64) -> Res<Datum> {
    if value < low || value > high {
        return out_of_range();
    }
    Ok(Datum::Float(f(value)))
}

/// Sine of an angle in degrees between 0 and 90, exact at 0, 30 and 90.
fn sin_quadrant(x: f64) -> f64 {
    if x <= 30.0 {
        (x.to_radians().sin() / 30f64.to_radians().sin()) / 2.0
    } else {
        cos_first(90.0 - x)
    }
}

/// Cosine of an angle in degrees between 0 and 60, exact at 0 and 60.
fn cos_first(x: f64) -> f64 {
    1.0 - (1.0 - x.to_radians().cos()) / (1.0 - 60f64.to_radians().cos()) / 2.0
}

fn cos_quadrant(x: f64) -> f64 {
    if x <= 60.0 {
        cos_first(x)
    } else {
        sin_quadrant(90.0 - x)
    }
}

fn sind(value: f64) -> f64 {
    let mut x = value % 360.0;
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        x = 180.0 - x;
    }
    sign * sin_quadrant(x)
}

fn cosd(value: f64) -> f64 {
    let mut x = (value % 360.0).abs();
    let mut sign = 1.0;
    if x > 180.0 {
        x = 360.0 - x;
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    sign * cos_quadrant(x)
}

fn tand(value: f64) -> f64 {
    let mut x = value % 360.0;
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    let result =
        sign * ((sin_quadrant(x) / cos_quadrant(x)) / (sin_quadrant(45.0) / cos_quadrant(45.0)));
    if result == 0.0 {
        0.0
    } else {
        result
    }
}

fn cotd(value: f64) -> f64 {
    let mut x = value % 360.0;
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    let result =
        sign * ((cos_quadrant(x) / sin_quadrant(x)) / (cos_quadrant(45.0) / sin_quadrant(45.0)));
    if result == 0.0 {
        0.0
    } else {
        result
    }
}

fn asind_quadrant(x: f64) -> f64 {
    if x <= 0.5 {
        x.asin() / 0.5f64.asin() * 30.0
    } else {
        90.0 - x.acos() / 0.5f64.acos() * 60.0
    }
}

fn acosd_quadrant(x: f64) -> f64 {
    if x <= 0.5 {
        90.0 - x.asin() / 0.5f64.asin() * 30.0
    } else {
        x.acos() / 0.5f64.acos() * 60.0
    }
}

fn asind(x: f64) -> f64 {
    if x >= 0.0 {
        asind_quadrant(x)
    } else {
        -asind_quadrant(-x)
    }
}

fn acosd(x: f64) -> f64 {
    if x >= 0.0 {
        acosd_quadrant(x)
    } else {
        90.0 + asind_quadrant(-x)
    }
}

fn atand(x: f64) -> f64 {
    x.atan() / 1f64.atan() * 45.0
}

/// From here on, x and sqrt(x² ± 1) are the same.
const LARGE: f64 = 268_435_456.0;

/// In the three ranges of C's libraries: std's own overflows near the greatest floats.
fn asinh(x: f64) -> f64 {
    let size = x.abs();
    let square = size * size;
    let result = if size > LARGE {
        size.ln() + std::f64::consts::LN_2
    } else if size > 2.0 {
        (2.0 * size + 1.0 / ((square + 1.0).sqrt() + size)).ln()
    } else {
        (size + square / (1.0 + (1.0 + square).sqrt())).ln_1p()
    };
    result.copysign(x)
}

fn acosh(x: f64) -> f64 {
    if x > LARGE {
        x.ln() + std::f64::consts::LN_2
    } else if x > 2.0 {
        (2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())).ln()
    } else {
        let above = x - 1.0;
        (above + (2.0 * above + above * above).sqrt()).ln_1p()
    }
}

const RADIANS_PER_DEGREE: f64 = 0.017_453_292_519_943_295;

fn round_to_even(value: f64) -> f64 {
    value.round_ties_even()
}

fn setseed(seed: f64) -> Res<u64> {
    if !(-1.0..=1.0).contains(&seed) {
        return fail(
            "22023",
            format!("setseed parameter {seed} is out of allowed range [-1,1]"),
        );
    }
    Ok(seed.to_bits())
}

pub const FAMILIES: &[&[Function]] = &[
    four!("float4pl", "float4mi", "float4mul", "float4div", single),
    four!("float8pl", "float8mi", "float8mul", "float8div", same),
    four!("float48pl", "float48mi", "float48mul", "float48div", same),
    four!("float84pl", "float84mi", "float84mul", "float84div", same),
    &[
        map!("float4um", |x| -x),
        map!("float8um", |x| -x),
        map!("float4up", |x| x),
        map!("float8up", |x| x),
        map!("float4abs", f64::abs),
        map!("float8abs", f64::abs),
        map!("dround", round_to_even),
        map!("dtrunc", f64::trunc),
        map!("dceil", f64::ceil),
        map!("dfloor", f64::floor),
        map!("dsign", |x| if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            0.0
        }),
        map!("dcbrt", f64::cbrt),
        pure("degrees", |_, args| {
            div(args[0].float()?, RADIANS_PER_DEGREE, same)
        }),
        pure("radians", |_, args| {
            mul(args[0].float()?, RADIANS_PER_DEGREE, same)
        }),
        map!("datan", f64::atan),
        map!("datand", atand),
        map!("dsinh", f64::sinh),
        map!("dtanh", f64::tanh),
        map!("dasinh", asinh),
        pure("dcosh", |_, args| Ok(Datum::Float(args[0].float()?.cosh()))),
        pure("dpi", |_, _| Ok(Datum::Float(std::f64::consts::PI))),
        pure("dpow", |_, args| power(args[0].float()?, args[1].float()?)),
        pure("dexp", |_, args| exp(args[0].float()?)),
        pure("dlog1", |_, args| logarithm(args[0].float()?, f64::ln)),
        pure("dlog10", |_, args| logarithm(args[0].float()?, f64::log10)),
        pure("dsqrt", |_, args| match args[0].float()? {
            x if x < 0.0 => fail("2201F", "cannot take square root of a negative number"),
            x => Ok(Datum::Float(x.sqrt())),
        }),
        pure("dsin", |_, args| finite(args[0].float()?, f64::sin)),
        pure("dcos", |_, args| finite(args[0].float()?, f64::cos)),
        pure("dtan", |_, args| finite(args[0].float()?, f64::tan)),
        pure("dcot", |_, args| {
            finite(args[0].float()?, |x| 1.0 / x.tan())
        }),
        pure("dsind", |_, args| finite(args[0].float()?, sind)),
        pure("dcosd", |_, args| finite(args[0].float()?, cosd)),
        pure("dtand", |_, args| finite(args[0].float()?, tand)),
        pure("dcotd", |_, args| finite(args[0].float()?, cotd)),
        pure("dasin", |_, args| {
            within(args[0].float()?, -1.0, 1.0, f64::asin)
        }),
        pure("dacos", |_, args| {
            within(args[0].float()?, -1.0, 1.0, f64::acos)
        }),
        pure("dasind", |_, args| {
            within(args[0].float()?, -1.0, 1.0, asind)
        }),
        pure("dacosd", |_, args| {
            within(args[0].float()?, -1.0, 1.0, acosd)
        }),
        pure("dacosh", |_, args| {
            within(args[0].float()?, 1.0, f64::INFINITY, acosh)
        }),
        pure("datanh", |_, args| {
            within(args[0].float()?, -1.0, 1.0, f64::atanh)
        }),
        pure("datan2", |_, args| {
            Ok(Datum::Float(args[0].float()?.atan2(args[1].float()?)))
        }),
        pure("datan2d", |_, args| {
            let angle = args[0].float()?.atan2(args[1].float()?);
            Ok(Datum::Float(angle / 1f64.atan() * 45.0))
        }),
        volatile("drandom", |ctx, _| Ok(Datum::Float(ctx.rng.float()))),
        Function {
            name: "setseed",
            strict: true,
            volatility: Volatility::Volatile,
            eval: |ctx, args| {
                *ctx.rng = super::ctx::Rng::new(setseed(args[0].float()?)?);
                Ok(Datum::text(""))
            },
        },
    ],
];
