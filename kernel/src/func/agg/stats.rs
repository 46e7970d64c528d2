//! Averages and variances of floats (Youngs and Cramer's update), exact variances of integers and numerics, regression.

use super::sums::into_any;
use super::{downcast, plain, push_rows, Accumulator, Aggregate};
use crate::base::error::Res;
use crate::exec::batch::Vector;
use crate::func::ctx::Ctx;
use crate::types::{Datum, Numeric};
use std::any::Any;

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Average,
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
}

impl What {
    fn sample(self) -> bool {
        matches!(self, What::VarSamp | What::StddevSamp)
    }

    fn root(self) -> bool {
        matches!(self, What::StddevPop | What::StddevSamp)
    }
}

struct Floats {
    n: f64,
    sum: f64,
    /// Sum of squared differences from the mean.
    squares: f64,
    what: What,
}

impl Floats {
    fn add(&mut self, value: f64) -> Res<()> {
        let before = self.sum;
        self.n += 1.0;
        self.sum += value;
        if self.n > 1.0 {
            let difference = value * self.n - self.sum;
            self.squares += difference * difference / (self.n * (self.n - 1.0));
            if self.sum.is_infinite() || self.squares.is_infinite() {
                if before.is_finite() && value.is_finite() {
                    return crate::base::error::fail("22003", "value out of range: overflow");
                }
                self.squares = f64::NAN;
            }
        } else if !value.is_finite() {
            self.squares = f64::NAN;
        }
        Ok(())
    }
}

impl Accumulator for Floats {
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
        let other = downcast::<Floats>(other)?;
        if self.n == 0.0 {
            (self.n, self.sum, self.squares) = (other.n, other.sum, other.squares);
        } else if other.n > 0.0 {
            let difference = self.sum / self.n - other.sum / other.n;
            let n = self.n + other.n;
            self.squares += other.squares + self.n * other.n * difference * difference / n;
            self.sum += other.sum;
            self.n = n;
        }
        Ok(())
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        let least = if self.what.sample() { 1.0 } else { 0.0 };
        if self.n <= least {
            return Ok(Datum::Null);
        }
        let value = match self.what {
            What::Average => self.sum / self.n,
            What::VarPop | What::StddevPop => self.squares / self.n,
            What::VarSamp | What::StddevSamp => self.squares / (self.n - 1.0),
        };
        Ok(Datum::Float(if self.what.root() {
            value.sqrt()
        } else {
            value
        }))
    }

    into_any!();
}

/// Exact sums of integers or numerics.
struct Exact {
    n: i64,
    sum: Numeric,
    squares: Numeric,
    what: What,
}

impl Accumulator for Exact {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        let value = match &args[0] {
            Datum::Null => return Ok(()),
            Datum::Int(value) => Numeric::from(*value),
            other => other.numeric()?.clone(),
        };
        self.n += 1;
        self.squares = self.squares.add(&value.mul(&value)?)?;
        self.sum = self.sum.add(&value)?;
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        let other = downcast::<Exact>(other)?;
        self.n += other.n;
        self.sum = self.sum.add(&other.sum)?;
        self.squares = self.squares.add(&other.squares)?;
        Ok(())
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        let least = i64::from(self.what.sample());
        if self.n <= least {
            return Ok(Datum::Null);
        }
        if !self.sum.is_finite() || !self.squares.is_finite() {
            return Ok(Datum::Numeric(Numeric::NaN));
        }
        let n = Numeric::from(self.n);
        let top = n.mul(&self.squares)?.sub(&self.sum.mul(&self.sum)?)?;
        if top.sign() <= 0 {
            return Ok(Datum::Numeric(Numeric::ZERO));
        }
        let bottom = n.mul(&Numeric::from(self.n - least))?;
        let variance = top.div(&bottom)?;
        Ok(Datum::Numeric(if self.what.root() {
            variance.sqrt_at(variance.scale().into())?
        } else {
            variance
        }))
    }

    fn size(&self) -> usize {
        self.sum.size() + self.squares.size()
    }

    into_any!();
}

#[derive(Clone, Copy)]
enum Regression {
    Corr,
    CovarPop,
    CovarSamp,
    AvgX,
    AvgY,
    Count,
    Intercept,
    R2,
    Slope,
    Sxx,
    Sxy,
    Syy,
}

/// Arguments are (Y, X), as SQL has them.
struct Pairs {
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
    what: Regression,
}

impl Pairs {
    /// Finite numbers whose sums are not are an error; sums over infinite ones are NaN, each for itself.
    fn check_overflow(&mut self, before: (f64, f64), new: (f64, f64)) -> Res<()> {
        let finite_x = !before.0.is_infinite() && !new.0.is_infinite();
        let finite_y = !before.1.is_infinite() && !new.1.is_infinite();
        let over_x = self.sx.is_infinite() || self.sxx.is_infinite();
        let over_y = self.sy.is_infinite() || self.syy.is_infinite();
        if (over_x && finite_x)
            || (over_y && finite_y)
            || (self.sxy.is_infinite() && finite_x && finite_y)
        {
            return crate::base::error::fail("22003", "value out of range: overflow");
        }
        for sum in [&mut self.sxx, &mut self.syy, &mut self.sxy] {
            if sum.is_infinite() {
                *sum = f64::NAN;
            }
        }
        Ok(())
    }
}

impl Accumulator for Pairs {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if args[0].is_null() || args[1].is_null() {
            return Ok(());
        }
        let (y, x) = (args[0].float()?, args[1].float()?);
        let before = (self.sx, self.sy);
        self.n += 1.0;
        self.sx += x;
        self.sy += y;
        if self.n > 1.0 {
            let (dx, dy) = (x * self.n - self.sx, y * self.n - self.sy);
            let scale = 1.0 / (self.n * (self.n - 1.0));
            self.sxx += dx * dx * scale;
            self.syy += dy * dy * scale;
            self.sxy += dx * dy * scale;
            self.check_overflow(before, (x, y))?;
        } else {
            if !x.is_finite() {
                (self.sxx, self.sxy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.syy, self.sxy) = (f64::NAN, f64::NAN);
            }
        }
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        let least = if matches!(self.what, Regression::CovarSamp) {
            2.0
        } else {
            1.0
        };
        if matches!(self.what, Regression::Count) {
            return Ok(Datum::Int(self.n as i64));
        }
        if self.n < least {
            return Ok(Datum::Null);
        }
        let some = |defined: bool, value: f64| {
            Ok(if defined {
                Datum::Float(value)
            } else {
                Datum::Null
            })
        };
        match self.what {
            Regression::Corr => some(
                self.sxx != 0.0 && self.syy != 0.0,
                self.sxy / (self.sxx * self.syy).sqrt(),
            ),
            Regression::CovarPop => some(true, self.sxy / self.n),
            Regression::CovarSamp => some(true, self.sxy / (self.n - 1.0)),
            Regression::AvgX => some(true, self.sx / self.n),
            Regression::AvgY => some(true, self.sy / self.n),
            Regression::Intercept => some(
                self.sxx != 0.0,
                (self.sy - self.sx * self.sxy / self.sxx) / self.n,
            ),
            Regression::R2 if self.sxx != 0.0 && self.syy == 0.0 => some(true, 1.0),
            Regression::R2 => some(
                self.sxx != 0.0,
                (self.sxy * self.sxy) / (self.sxx * self.syy),
            ),
            Regression::Slope => some(self.sxx != 0.0, self.sxy / self.sxx),
            Regression::Sxx => some(true, self.sxx),
            Regression::Sxy => some(true, self.sxy),
            Regression::Syy => some(true, self.syy),
            Regression::Count => Ok(Datum::Int(self.n as i64)),
        }
    }

    into_any!();
}

fn floats(what: What) -> Res<Box<dyn Accumulator>> {
    Ok(Box::new(Floats {
        n: 0.0,
        sum: 0.0,
        squares: 0.0,
        what,
    }))
}

fn exact(what: What) -> Res<Box<dyn Accumulator>> {
    Ok(Box::new(Exact {
        n: 0,
        sum: Numeric::ZERO,
        squares: Numeric::ZERO,
        what,
    }))
}

fn pairs(what: Regression) -> Res<Box<dyn Accumulator>> {
    Ok(Box::new(Pairs {
        n: 0.0,
        sx: 0.0,
        sxx: 0.0,
        sy: 0.0,
        syy: 0.0,
        sxy: 0.0,
        what,
    }))
}

const FLOATS: &[u32] = &[700, 701];
const EXACT: &[u32] = &[20, 21, 23, 1700];

pub(super) const AGGREGATES: &[Aggregate] = &[
    plain("avg", FLOATS, |_| floats(What::Average)),
    plain("var_pop", FLOATS, |_| floats(What::VarPop)),
    plain("var_samp", FLOATS, |_| floats(What::VarSamp)),
    plain("variance", FLOATS, |_| floats(What::VarSamp)),
    plain("stddev_pop", FLOATS, |_| floats(What::StddevPop)),
    plain("stddev_samp", FLOATS, |_| floats(What::StddevSamp)),
    plain("stddev", FLOATS, |_| floats(What::StddevSamp)),
    plain("var_pop", EXACT, |_| exact(What::VarPop)),
    plain("var_samp", EXACT, |_| exact(What::VarSamp)),
    plain("variance", EXACT, |_| exact(What::VarSamp)),
    plain("stddev_pop", EXACT, |_| exact(What::StddevPop)),
    plain("stddev_samp", EXACT, |_| exact(What::StddevSamp)),
    plain("stddev", EXACT, |_| exact(What::StddevSamp)),
    plain("corr", FLOATS, |_| pairs(Regression::Corr)),
    plain("covar_pop", FLOATS, |_| pairs(Regression::CovarPop)),
    plain("covar_samp", FLOATS, |_| pairs(Regression::CovarSamp)),
    plain("regr_avgx", FLOATS, |_| pairs(Regression::AvgX)),
    plain("regr_avgy", FLOATS, |_| pairs(Regression::AvgY)),
    plain("regr_count", FLOATS, |_| pairs(Regression::Count)),
    plain("regr_intercept", FLOATS, |_| pairs(Regression::Intercept)),
    plain("regr_r2", FLOATS, |_| pairs(Regression::R2)),
    plain("regr_slope", FLOATS, |_| pairs(Regression::Slope)),
    plain("regr_sxx", FLOATS, |_| pairs(Regression::Sxx)),
    plain("regr_sxy", FLOATS, |_| pairs(Regression::Sxy)),
    plain("regr_syy", FLOATS, |_| pairs(Regression::Syy)),
];
