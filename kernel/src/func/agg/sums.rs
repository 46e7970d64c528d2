//! count, sum, avg, and the logical and bitwise ones.

use super::{downcast, plain, push_rows, Accumulator, Aggregate};
use crate::base::error::Res;
use crate::exec::batch::Vector;
use crate::func::arith;
use crate::func::ctx::Ctx;
use crate::func::intervals;
use crate::types::{Datum, Interval, Numeric};
use std::any::Any;

macro_rules! into_any {
    () => {
        fn into_any(self: Box<Self>) -> Box<dyn Any> {
            self
        }
    };
}
pub(super) use into_any;

#[derive(Default)]
struct Count {
    count: i64,
}

impl Accumulator for Count {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        self.count += i64::from(args.first().is_none_or(|value| !value.is_null()));
        Ok(())
    }

    fn push_vector(&mut self, _ctx: &mut Ctx<'_>, args: &[&Vector], len: usize) -> Res<()> {
        self.count += match args.first() {
            None => len as i64,
            Some(Vector::Bool(_, nulls) | Vector::Int(_, nulls) | Vector::Float(_, nulls)) => {
                len as i64 - nulls.iter().filter(|null| **null).count() as i64
            }
            Some(Vector::Any(values)) => {
                values.iter().filter(|value| !value.is_null()).count() as i64
            }
        };
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        self.count += downcast::<Count>(other)?.count;
        Ok(())
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn sliding(&self) -> Option<Box<dyn Accumulator>> {
        Some(Box::new(Count::default()))
    }

    fn retract(&mut self, args: &[Datum]) -> Res<()> {
        self.count -= i64::from(args.first().is_none_or(|value| !value.is_null()));
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        Ok(Datum::Int(self.count))
    }

    into_any!();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IntResult {
    /// sum(int2), sum(int4)
    Int8,
    /// sum(int8)
    Numeric,
    Average,
}

struct IntSum {
    count: i64,
    sum: i128,
    result: IntResult,
}

impl Accumulator for IntSum {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if !args[0].is_null() {
            self.count += 1;
            self.sum += i128::from(args[0].int()?);
        }
        Ok(())
    }

    fn push_vector(&mut self, ctx: &mut Ctx<'_>, args: &[&Vector], len: usize) -> Res<()> {
        let Some(Vector::Int(values, nulls)) = args.first() else {
            return push_rows(self, ctx, args, len);
        };
        if nulls.is_empty() {
            self.count += values.len() as i64;
            self.sum += total(values);
            return Ok(());
        }
        for (value, null) in values.iter().zip(nulls) {
            if !null {
                self.count += 1;
                self.sum += i128::from(*value);
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        let other = downcast::<IntSum>(other)?;
        self.count += other.count;
        self.sum += other.sum;
        Ok(())
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn sliding(&self) -> Option<Box<dyn Accumulator>> {
        Some(Box::new(IntSum {
            count: 0,
            sum: 0,
            result: self.result,
        }))
    }

    fn retract(&mut self, args: &[Datum]) -> Res<()> {
        if !args[0].is_null() {
            self.count -= 1;
            self.sum -= i128::from(args[0].int()?);
        }
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        match self.result {
            IntResult::Int8 => arith::int8(i64::try_from(self.sum).ok()),
            IntResult::Numeric => Ok(Datum::Numeric(Numeric::from_i128(self.sum, 0))),
            IntResult::Average => Ok(Datum::Numeric(
                Numeric::from_i128(self.sum, 0).div(&Numeric::from(self.count))?,
            )),
        }
    }

    into_any!();
}

/// In 64 bits where a batch of them surely fits.
fn total(values: &[i64]) -> i128 {
    let small = |value: &i64| value.unsigned_abs() < 1 << 40;
    if values.len() < 1 << 20 && values.iter().all(small) {
        return values.iter().sum::<i64>().into();
    }
    values.iter().map(|value| i128::from(*value)).sum()
}

struct NumericSum {
    count: i64,
    sum: Numeric,
    average: bool,
}

impl Accumulator for NumericSum {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if !args[0].is_null() {
            self.count += 1;
            self.sum = self.sum.add(args[0].numeric()?)?;
        }
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        let other = downcast::<NumericSum>(other)?;
        self.count += other.count;
        self.sum = self.sum.add(&other.sum)?;
        Ok(())
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        let value = if self.average {
            self.sum.div(&Numeric::from(self.count))?
        } else {
            self.sum.clone()
        };
        Ok(Datum::Numeric(value))
    }

    fn size(&self) -> usize {
        self.sum.size()
    }

    into_any!();
}

/// sum(float4) adds in single precision, as PostgreSQL does.
struct FloatSum {
    sum: Option<f64>,
    single: bool,
}

impl FloatSum {
    fn add(&mut self, value: f64) -> Res<()> {
        let Some(sum) = self.sum else {
            self.sum = Some(value);
            return Ok(());
        };
        let next = if self.single {
            f64::from((sum + value) as f32)
        } else {
            sum + value
        };
        if next.is_infinite() && sum.is_finite() && value.is_finite() {
            return crate::base::error::fail("22003", "value out of range: overflow");
        }
        self.sum = Some(next);
        Ok(())
    }
}

impl Accumulator for FloatSum {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if args[0].is_null() {
            return Ok(());
        }
        self.add(args[0].float()?)
    }

    fn push_vector(&mut self, ctx: &mut Ctx<'_>, args: &[&Vector], len: usize) -> Res<()> {
        let Some(Vector::Float(values, nulls)) = args.first() else {
            return push_rows(self, ctx, args, len);
        };
        for (at, value) in values.iter().enumerate() {
            if !nulls.get(at).copied().unwrap_or(false) {
                self.add(*value)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        match downcast::<FloatSum>(other)?.sum {
            Some(value) => self.add(value),
            None => Ok(()),
        }
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        Ok(self.sum.map_or(Datum::Null, Datum::Float))
    }

    into_any!();
}

struct IntervalSum {
    count: i64,
    sum: Interval,
    average: bool,
}

impl Accumulator for IntervalSum {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if !args[0].is_null() {
            self.count += 1;
            self.sum = intervals::add(&self.sum, &args[0].interval()?)?;
        }
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        let other = downcast::<IntervalSum>(other)?;
        self.count += other.count;
        self.sum = intervals::add(&self.sum, &other.sum)?;
        Ok(())
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        if self.average {
            return intervals::divide(&self.sum, self.count as f64).map(Datum::Interval);
        }
        Ok(Datum::Interval(self.sum))
    }

    into_any!();
}

/// Two values into one; nulls are skipped.
struct Fold {
    value: Datum,
    step: fn(&Datum, &Datum) -> Res<Datum>,
}

impl Accumulator for Fold {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if args[0].is_null() {
            return Ok(());
        }
        self.value = if self.value.is_null() {
            args[0].clone()
        } else {
            (self.step)(&self.value, &args[0])?
        };
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        let other = downcast::<Fold>(other)?;
        if self.value.is_null() {
            self.value = other.value;
        } else if !other.value.is_null() {
            self.value = (self.step)(&self.value, &other.value)?;
        }
        Ok(())
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        Ok(self.value.clone())
    }

    into_any!();
}

fn fold(step: fn(&Datum, &Datum) -> Res<Datum>) -> Res<Box<dyn Accumulator>> {
    Ok(Box::new(Fold {
        value: Datum::Null,
        step,
    }))
}

fn int_sum(result: IntResult) -> Res<Box<dyn Accumulator>> {
    Ok(Box::new(IntSum {
        count: 0,
        sum: 0,
        result,
    }))
}

fn and(a: &Datum, b: &Datum) -> Res<Datum> {
    Ok(Datum::Bool(a.bool()? && b.bool()?))
}

fn or(a: &Datum, b: &Datum) -> Res<Datum> {
    Ok(Datum::Bool(a.bool()? || b.bool()?))
}

pub(super) const AGGREGATES: &[Aggregate] = &[
    plain("count", &[], |_| Ok(Box::new(Count::default()))),
    plain("sum", &[21, 23], |_| int_sum(IntResult::Int8)),
    plain("sum", &[20], |_| int_sum(IntResult::Numeric)),
    plain("avg", &[20, 21, 23], |_| int_sum(IntResult::Average)),
    plain("sum", &[1700], |_| {
        Ok(Box::new(NumericSum {
            count: 0,
            sum: Numeric::ZERO,
            average: false,
        }))
    }),
    plain("avg", &[1700], |_| {
        Ok(Box::new(NumericSum {
            count: 0,
            sum: Numeric::ZERO,
            average: true,
        }))
    }),
    plain("sum", &[700], |_| {
        Ok(Box::new(FloatSum {
            sum: None,
            single: true,
        }))
    }),
    plain("sum", &[701], |_| {
        Ok(Box::new(FloatSum {
            sum: None,
            single: false,
        }))
    }),
    plain("sum", &[1186], |_| {
        Ok(Box::new(IntervalSum {
            count: 0,
            sum: Interval::default(),
            average: false,
        }))
    }),
    plain("avg", &[1186], |_| {
        Ok(Box::new(IntervalSum {
            count: 0,
            sum: Interval::default(),
            average: true,
        }))
    }),
    plain("bool_and", &[16], |_| fold(and)),
    plain("every", &[16], |_| fold(and)),
    plain("bool_or", &[16], |_| fold(or)),
    plain("bit_and", &[20, 21, 23], |_| {
        fold(|a, b| Ok(Datum::Int(a.int()? & b.int()?)))
    }),
    plain("bit_or", &[20, 21, 23], |_| {
        fold(|a, b| Ok(Datum::Int(a.int()? | b.int()?)))
    }),
    plain("bit_xor", &[20, 21, 23], |_| {
        fold(|a, b| Ok(Datum::Int(a.int()? ^ b.int()?)))
    }),
];
