//! Ordered-set aggregates: rows come in order, each with the direct argument before the value. How many values will come is known before, so
//! that only those that matter are kept.

use super::sums::into_any;
use super::{ordered_set, Accumulator, Aggregate};
use crate::base::error::{fail, Res};
use crate::base::Oid;
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
    info: &'static TypeInfo,
    /// How many values there will be, and have been.
    count: u64,
    at: u64,
    /// The values that the fractions ask for, by their places among all; how many have come.
    wanted: Vec<(u64, Datum)>,
    found: usize,
    /// Equal values: the last ones, and the most of one kind.
    equal: (u64, Datum),
    most: (u64, Datum),
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

    /// The places of the values at or around a fraction.
    fn places(&self, fraction: f64) -> (u64, u64) {
        if self.what == What::Discrete {
            let at = (fraction * self.count as f64).ceil() as u64;
            let at = at.clamp(1, self.count) - 1;
            return (at, at);
        }
        let place = fraction * (self.count - 1) as f64;
        (place.floor() as u64, place.ceil() as u64)
    }

    fn want(&mut self) {
        let fractions: Vec<f64> = match &self.direct {
            Some(Datum::Array(all)) => all.values.iter().flat_map(fraction).collect(),
            Some(one) => fraction(one).into_iter().collect(),
            None => Vec::new(),
        };
        let mut places: Vec<u64> = fractions
            .into_iter()
            .flat_map(|fraction| <[u64; 2]>::from(self.places(fraction)))
            .collect();
        places.sort_unstable();
        places.dedup();
        self.wanted = places.into_iter().map(|at| (at, Datum::Null)).collect();
    }

    fn value(&self, place: u64) -> Datum {
        match self.wanted.binary_search_by_key(&place, |(at, _)| *at) {
            Ok(at) => self.wanted[at].1.clone(),
            Err(_) => Datum::Null,
        }
    }

    fn percentile(&self, fraction: f64) -> Res<Datum> {
        let (low, high) = self.places(fraction);
        if low == high {
            return Ok(self.value(low));
        }
        let place = fraction * (self.count - 1) as f64;
        self.between(&self.value(low), &self.value(high), place - low as f64)
    }

    fn equals(&mut self, value: &Datum) {
        if self.equal.0 > 0 && self.info.equal(&self.equal.1, value) {
            self.equal.0 += 1;
        } else {
            self.equal = (1, value.clone());
        }
        if self.equal.0 > self.most.0 {
            self.most = self.equal.clone();
        }
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
        if value.is_null() {
            return Ok(());
        }
        if self.what == What::Mode {
            self.equals(value);
        } else if self.at == 0 {
            self.want();
        }
        if let Some((_, found)) = self.wanted.get_mut(self.found).filter(|w| w.0 == self.at) {
            *found = value.clone();
            self.found += 1;
        }
        self.at += 1;
        Ok(())
    }

    fn expect(&mut self, values: u64) {
        self.count = values;
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.what == What::Mode {
            return Ok(self.most.1.clone());
        }
        match &self.direct {
            _ if self.at == 0 => Ok(Datum::Null),
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

    into_any!();
}

fn make(call: &CallInfo, what: What) -> Res<Box<dyn Accumulator>> {
    let typ = call.arg_types.last().copied().unwrap_or(Oid(0));
    let info = registry::get(typ)?;
    Ok(Box::new(Ordered {
        what,
        direct: None,
        info,
        count: 0,
        at: 0,
        wanted: Vec::new(),
        found: 0,
        equal: (0, Datum::Null),
        most: (0, Datum::Null),
    }))
}

pub(super) const AGGREGATES: &[Aggregate] = &[
    ordered_set("percentile_cont", |call| make(call, What::Continuous)),
    ordered_set("percentile_disc", |call| make(call, What::Discrete)),
    ordered_set("mode", |call| make(call, What::Mode)),
];
