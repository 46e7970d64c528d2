//! generate_series and generate_subscripts.

use super::{column, set, SetFunction, SetRows};
use crate::base::error::{fail, Res};
use crate::func::ctx::Ctx;
use crate::func::timestamps;
use crate::types::{Datum, Interval, Numeric};

struct Ints {
    next: Option<i64>,
    last: i64,
    step: i64,
    /// The type's own range: a series ends where it would leave it.
    high: i64,
    low: i64,
}

impl SetRows for Ints {
    fn next(&mut self, _ctx: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool> {
        let Some(value) = self.next else {
            return Ok(false);
        };
        if (self.step > 0 && value > self.last) || (self.step < 0 && value < self.last) {
            return Ok(false);
        }
        out.push(Datum::Int(value));
        self.next = value
            .checked_add(self.step)
            .filter(|next| (self.low..=self.high).contains(next));
        Ok(true)
    }
}

fn zero_step<T>() -> Res<T> {
    fail("22023", "step size cannot equal zero")
}

fn ints(args: &[Datum], low: i64, high: i64) -> Res<Box<dyn SetRows>> {
    let step = args.get(2).map_or(Ok(1), Datum::int)?;
    if step == 0 {
        return zero_step();
    }
    Ok(Box::new(Ints {
        next: Some(args[0].int()?),
        last: args[1].int()?,
        step,
        high,
        low,
    }))
}

struct Numerics {
    next: Numeric,
    last: Numeric,
    step: Numeric,
}

impl SetRows for Numerics {
    fn next(&mut self, _ctx: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool> {
        let rising = self.step.sign() > 0;
        if (rising && self.next > self.last) || (!rising && self.next < self.last) {
            return Ok(false);
        }
        let following = self.next.add(&self.step)?;
        out.push(Datum::Numeric(std::mem::replace(&mut self.next, following)));
        Ok(true)
    }
}

fn numerics(args: &[Datum]) -> Res<Box<dyn SetRows>> {
    let step = args
        .get(2)
        .map_or(Ok(Numeric::ONE), |step| step.numeric().cloned())?;
    let named = [
        (args[0].numeric()?, "start value"),
        (args[1].numeric()?, "stop value"),
        (&step, "step size"),
    ];
    for (value, name) in named {
        if value.is_nan() {
            return fail("22023", format!("{name} cannot be NaN"));
        }
        if !value.is_finite() {
            return fail("22023", format!("{name} cannot be infinity"));
        }
    }
    if step.is_zero() {
        return zero_step();
    }
    Ok(Box::new(Numerics {
        next: args[0].numeric()?.clone(),
        last: args[1].numeric()?.clone(),
        step,
    }))
}

struct Times {
    next: i64,
    last: i64,
    step: Interval,
    rising: bool,
    zoned: bool,
}

impl SetRows for Times {
    fn next(&mut self, ctx: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool> {
        if (self.rising && self.next > self.last) || (!self.rising && self.next < self.last) {
            return Ok(false);
        }
        out.push(Datum::Int(self.next));
        self.next = if self.zoned {
            timestamps::add_tz(self.next, &self.step, &ctx.settings.time_zone)?
        } else {
            timestamps::add(self.next, &self.step)?
        };
        Ok(true)
    }
}

fn times(args: &[Datum], zoned: bool) -> Res<Box<dyn SetRows>> {
    let step = args[2].interval()?;
    let sign = crate::types::key::span(&step).signum();
    if sign == 0 {
        return zero_step();
    }
    Ok(Box::new(Times {
        next: args[0].int()?,
        last: args[1].int()?,
        step,
        rising: sign > 0,
        zoned,
    }))
}

fn subscripts(args: &[Datum], reverse: bool) -> Res<Box<dyn SetRows>> {
    let array = args[0].array()?;
    let dimension = usize::try_from(args[1].int()?)
        .ok()
        .and_then(|d| d.checked_sub(1));
    let Some(&(len, low)) = dimension.and_then(|d| array.dims.get(d)) else {
        return column([]);
    };
    let values = (0..i64::from(len)).map(move |at| Datum::Int(i64::from(low) + at));
    if reverse {
        column(values.rev())
    } else {
        column(values)
    }
}

const LOW4: i64 = i32::MIN as i64;
const HIGH4: i64 = i32::MAX as i64;

pub(super) const FUNCTIONS: &[SetFunction] = &[
    set("generate_series_int4", |_, args| ints(args, LOW4, HIGH4)),
    set("generate_series_step_int4", |_, args| {
        ints(args, LOW4, HIGH4)
    }),
    set("generate_series_int8", |_, args| {
        ints(args, i64::MIN, i64::MAX)
    }),
    set("generate_series_step_int8", |_, args| {
        ints(args, i64::MIN, i64::MAX)
    }),
    set("generate_series_numeric", |_, args| numerics(args)),
    set("generate_series_step_numeric", |_, args| numerics(args)),
    set("generate_series_timestamp", |_, args| times(args, false)),
    set("generate_series_timestamptz", |_, args| times(args, true)),
    set("generate_subscripts", |_, args| {
        subscripts(args, args[2].bool()?)
    }),
    set("generate_subscripts_nodir", |_, args| {
        subscripts(args, false)
    }),
];
