//! A few functions, so that these tests stand on nothing but the executor. Looked up before the real ones.

use crate::base::error::{fail, Res};
use crate::func::agg::{Accumulator, Aggregate};
use crate::func::ctx::{CallInfo, Ctx};
use crate::func::registry::{pure, volatile, Function};
use crate::func::set::{SetFunction, SetRows};
use crate::types::Datum;
use std::any::Any;

fn pair(args: &[Datum]) -> Res<(i64, i64)> {
    match args {
        [Datum::Int(a), Datum::Int(b)] => Ok((*a, *b)),
        other => fail("XX000", format!("test function called with {other:?}")),
    }
}

fn ranged(value: i64) -> Res<Datum> {
    match i32::try_from(value) {
        Ok(_) => Ok(Datum::Int(value)),
        Err(_) => fail("22003", "integer out of range"),
    }
}

fn add(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (a, b) = pair(args)?;
    ranged(a + b)
}

fn multiply(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (a, b) = pair(args)?;
    ranged(a * b)
}

fn divide(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (a, b) = pair(args)?;
    if b == 0 {
        return fail("22012", "division by zero");
    }
    ranged(a / b)
}

fn modulo(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (a, b) = pair(args)?;
    ranged(a % b)
}

fn equal(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    pair(args).map(|(a, b)| Datum::Bool(a == b))
}

fn less(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    pair(args).map(|(a, b)| Datum::Bool(a < b))
}

fn greater(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    pair(args).map(|(a, b)| Datum::Bool(a > b))
}

/// A different number each time.
fn ticket(ctx: &mut Ctx<'_>, _: &[Datum]) -> Res<Datum> {
    ctx.host.nextval(crate::base::Oid(1)).map(Datum::Int)
}

static FUNCTIONS: &[Function] = &[
    pure("test_add", add),
    pure("test_mul", multiply),
    pure("test_div", divide),
    pure("test_mod", modulo),
    pure("test_eq", equal),
    pure("test_lt", less),
    pure("test_gt", greater),
    volatile("test_ticket", ticket),
];

pub fn lookup(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name == name)
}

#[derive(Default)]
struct Sum(Option<i64>);

impl Accumulator for Sum {
    fn push(&mut self, _: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if let Some(Datum::Int(n)) = args.first() {
            self.0 = Some(self.0.unwrap_or(0) + n);
        }
        Ok(())
    }

    fn merge(&mut self, other: Box<dyn Accumulator>) -> Res<()> {
        match other.into_any().downcast::<Sum>() {
            Ok(other) => {
                self.0 = match (self.0, other.0) {
                    (Some(a), Some(b)) => Some(a + b),
                    (a, b) => a.or(b),
                };
                Ok(())
            }
            Err(_) => fail("XX000", "another aggregate's state"),
        }
    }

    fn mergeable(&self) -> bool {
        true
    }

    fn finish(&self, _: &mut Ctx<'_>) -> Res<Datum> {
        Ok(self.0.map_or(Datum::Null, Datum::Int))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Text of all values, in the order in which they come.
#[derive(Default)]
struct List(Vec<String>);

impl Accumulator for List {
    fn push(&mut self, _: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        self.0.extend(args.first().map(super::show));
        Ok(())
    }

    fn finish(&self, _: &mut Ctx<'_>) -> Res<Datum> {
        Ok(Datum::text(self.0.join("+")))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Stands for count(distinct x) and the like; count(*) itself is the executor's.
#[derive(Default)]
struct Count(i64);

impl Accumulator for Count {
    fn push(&mut self, _: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        self.0 += i64::from(!args.first().is_some_and(Datum::is_null));
        Ok(())
    }

    fn finish(&self, _: &mut Ctx<'_>) -> Res<Datum> {
        Ok(Datum::Int(self.0))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

fn make_sum(_: &CallInfo) -> Res<Box<dyn Accumulator>> {
    Ok(Box::<Sum>::default())
}

fn make_list(_: &CallInfo) -> Res<Box<dyn Accumulator>> {
    Ok(Box::<List>::default())
}

fn make_count(_: &CallInfo) -> Res<Box<dyn Accumulator>> {
    Ok(Box::<Count>::default())
}

static AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "test_sum",
        make: make_sum,
        ordered_set: false,
    },
    Aggregate {
        name: "test_list",
        make: make_list,
        ordered_set: false,
    },
    Aggregate {
        name: "count",
        make: make_count,
        ordered_set: false,
    },
];

pub fn find_agg(name: &str) -> Option<&'static Aggregate> {
    AGGREGATES.iter().find(|a| a.name == name)
}

struct Series(i64, i64);

impl SetRows for Series {
    fn next(&mut self, _: &mut Ctx<'_>, out: &mut Vec<Datum>) -> Res<bool> {
        if self.0 > self.1 {
            return Ok(false);
        }
        out.push(Datum::Int(self.0));
        self.0 += 1;
        Ok(true)
    }
}

fn series(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Box<dyn SetRows>> {
    let (from, to) = pair(args)?;
    Ok(Box::new(Series(from, to)))
}

static SETS: &[SetFunction] = &[SetFunction {
    name: "test_series",
    strict: true,
    start: series,
}];

pub fn find_set(name: &str) -> Option<&'static SetFunction> {
    SETS.iter().find(|s| s.name == name)
}
