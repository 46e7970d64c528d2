//! Ordered-set aggregates: rows come in order, each with the direct argument before the value.

use super::sums::into_any;
use super::{ordered_set, Accumulator, Aggregate};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use crate::exec::batch::datum_bytes;
use crate::func::ctx::{CallInfo, Ctx};
use crate::func::intervals;
use crate::types::array::Array;
use crate::types::registry::{self, TypeInfo};
use crate::types::Datum;
use std::any::Any;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Continuous,
    Discrete,
    Mode,
}

struct Ordered {
    what: What,
    /// The fraction, or an array of them.
    direct: Option<Datum>,
    values: Vec<Datum>,
    info: &'static TypeInfo,
    size: usize,
}

fn fraction(value: &Datum) -> Res<f64> {
    let fraction = value.float()?;
    if !(0.0..=1.0).contains(&fraction) {
        return fail(
            "22003",
            format!("percentile value {fraction} is not between 0 and 1"),
        );
    }
    Ok(fraction)
}

impl Ordered {
    fn between(&self, low: &Datum, high: &Datum, part: f64) -> Res<Datum> {
        Ok(match (low, high) {
            (Datum::Interval(low), Datum::Interval(high)) => {
                let difference = intervals::sub(high, low)?;
                Datum::Interval(intervals::add(
                    low,
                    &intervals::multiply(&difference, part)?,
                )?)
            }
            _ => {
                let (low, high) = (low.float()?, high.float()?);
                Datum::Float(low + part * (high - low))
            }
        })
    }

    fn percentile(&self, fraction: f64) -> Res<Datum> {
        let count = self.values.len();
        if self.what == What::Discrete {
            let at = (fraction * count as f64).ceil() as usize;
            return Ok(self.values[at.clamp(1, count) - 1].clone());
        }
        let place = fraction * (count - 1) as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        if low == high {
            return Ok(self.values[low].clone());
        }
        self.between(&self.values[low], &self.values[high], place - low as f64)
    }

    fn mode(&self) -> Datum {
        let mut best = (0, &Datum::Null);
        let mut start = 0;
        for at in 0..self.values.len() {
            let ends = at + 1 == self.values.len()
                || !self.info.equal(&self.values[at], &self.values[at + 1]);
            if ends {
                if at + 1 - start > best.0 {
                    best = (at + 1 - start, &self.values[start]);
                }
                start = at + 1;
            }
        }
        best.1.clone()
    }
}

impl Accumulator for Ordered {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        let Some((value, direct)) = args.split_last() else {
            return Ok(());
        };
        if self.direct.is_none() {
            self.direct = direct.first().cloned();
        }
        if !value.is_null() {
            self.size += datum_bytes(value);
            self.values.push(value.clone());
        }
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.what == What::Mode {
            return Ok(self.mode());
        }
        match &self.direct {
            _ if self.values.is_empty() => Ok(Datum::Null),
            None | Some(Datum::Null) => Ok(Datum::Null),
            Some(Datum::Array(fractions)) => {
                let each = |f: &Datum| {
                    if f.is_null() {
                        Ok(Datum::Null)
                    } else {
                        self.percentile(fraction(f)?)
                    }
                };
                let values = fractions.values.iter().map(each).collect::<Res<Vec<_>>>()?;
                let elem = self.info.oid;
                Ok(Datum::Array(Arc::new(Array {
                    elem,
                    dims: fractions.dims.clone(),
                    values,
                })))
            }
            Some(direct) => self.percentile(fraction(direct)?),
        }
    }

    fn size(&self) -> usize {
        self.size
    }

    into_any!();
}

fn make(call: &CallInfo, what: What) -> Res<Box<dyn Accumulator>> {
    let typ = call.arg_types.last().copied().unwrap_or(Oid(0));
    let info = registry::get(typ)?;
    Ok(Box::new(Ordered {
        what,
        direct: None,
        values: Vec::new(),
        info,
        size: 0,
    }))
}

pub(super) const AGGREGATES: &[Aggregate] = &[
    ordered_set("percentile_cont", |call| make(call, What::Continuous)),
    ordered_set("percentile_disc", |call| make(call, What::Discrete)),
    ordered_set("mode", |call| make(call, What::Mode)),
];
