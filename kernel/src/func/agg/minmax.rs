//! min and max of every type that has an order. Of equal values the later one is kept, as PostgreSQL's functions do.

use super::sums::into_any;
use super::{downcast, plain, push_rows, Accumulator, Aggregate};
use crate::base::error::{fail, Res};
use crate::exec::batch::Vector;
use crate::func::ctx::{CallInfo, Ctx};
use crate::types::registry::{self, TypeInfo};
use crate::types::{float, Datum};
use std::any::Any;
use std::cmp::Ordering;
use std::collections::VecDeque;

struct Extreme {
    best: Datum,
    info: &'static TypeInfo,
    /// How the kept value stands to the others.
    keep: Ordering,
}

impl Extreme {
    fn consider(&mut self, value: &Datum) {
        if value.is_null() {
            return;
        }
        if self.best.is_null() || self.info.compare(&self.best, value) != self.keep {
            self.best = value.clone();
        }
    }
}

impl Accumulator for Extreme {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        self.consider(&args[0]);
        Ok(())
    }

    fn push_vector(&mut self, ctx: &mut Ctx<'_>, args: &[&Vector], len: usize) -> Res<()> {
        let live = |nulls: &[bool], at: usize| !nulls.get(at).copied().unwrap_or(false);
        let best = match args.first() {
            Some(Vector::Int(values, nulls))
                if self.info.repr != registry::Repr::Int8 || self.info.name == "int8" =>
            {
                let values = values
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| live(nulls, *at))
                    .map(|(_, v)| *v);
                if self.keep == Ordering::Greater {
                    values.max()
                } else {
                    values.min()
                }
                .map(Datum::Int)
            }
            Some(Vector::Float(values, nulls)) => {
                let values = values
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| live(nulls, *at))
                    .map(|(_, v)| *v);
                let best = values.reduce(|best, v| {
                    if float::order(best, v) == self.keep {
                        best
                    } else {
                        v
                    }
                });
                best.map(Datum::Float)
            }
            _ => return push_rows(self, ctx, args, len),
        };
        if let Some(best) = best {
            self.consider(&best);
        }
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        let other = downcast::<Extreme>(other)?;
        self.consider(&other.best);
        Ok(())
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn sliding(&self) -> Option<Box<dyn Accumulator>> {
        Some(Box::new(SlidingExtreme {
            info: self.info,
            keep: self.keep,
            best: VecDeque::new(),
            pushed: 0,
            retracted: 0,
        }))
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        Ok(self.best.clone())
    }

    into_any!();
}

/// Of rows that come and go: each value that will be the best one when those before it are gone, with its row's number.
struct SlidingExtreme {
    info: &'static TypeInfo,
    keep: Ordering,
    best: VecDeque<(u64, Datum)>,
    pushed: u64,
    retracted: u64,
}

impl Accumulator for SlidingExtreme {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if !args[0].is_null() {
            while let Some((_, last)) = self.best.back() {
                if self.info.compare(last, &args[0]) == self.keep {
                    break;
                }
                self.best.pop_back();
            }
            self.best.push_back((self.pushed, args[0].clone()));
        }
        self.pushed += 1;
        Ok(())
    }

    fn retract(&mut self, _args: &[Datum]) -> Res<()> {
        let goes = |(row, _): &(u64, Datum)| *row == self.retracted;
        if self.best.front().is_some_and(goes) {
            self.best.pop_front();
        }
        self.retracted += 1;
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        Ok(self
            .best
            .front()
            .map_or(Datum::Null, |(_, best)| best.clone()))
    }

    into_any!();
}

fn make(call: &CallInfo, name: &str, keep: Ordering) -> Res<Box<dyn Accumulator>> {
    let info = registry::get(call.arg_types.first().copied().unwrap_or_default())?;
    if !info.orderable() {
        return fail(
            "42883",
            format!("function {name}({}) does not exist", info.display),
        );
    }
    Ok(Box::new(Extreme {
        best: Datum::Null,
        info,
        keep,
    }))
}

pub(super) const AGGREGATES: &[Aggregate] = &[
    plain("max", &[], |call| make(call, "max", Ordering::Greater)),
    plain("min", &[], |call| make(call, "min", Ordering::Less)),
];
