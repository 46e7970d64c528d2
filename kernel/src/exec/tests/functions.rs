//! A function and a set of rows that these tests bring along.

use crate::base::error::{fail, Res};
use crate::func::ctx::Ctx;
use crate::func::registry::{volatile, Function};
use crate::func::set::{SetFunction, SetRows};
use crate::types::Datum;

fn pair(args: &[Datum]) -> Res<(i64, i64)> {
    match args {
        [Datum::Int(a), Datum::Int(b)] => Ok((*a, *b)),
        other => fail("XX000", format!("test function called with {other:?}")),
    }
}

/// A different number each time.
fn ticket(ctx: &mut Ctx<'_>, _: &[Datum]) -> Res<Datum> {
    ctx.host.nextval(crate::base::Oid(1)).map(Datum::Int)
}

/// A defect.
fn broken(_: &mut Ctx<'_>, _: &[Datum]) -> Res<Datum> {
    panic!("a test's defect")
}

static FUNCTIONS: &[Function] = &[
    volatile("test_ticket", ticket),
    volatile("test_panic", broken),
];

pub fn lookup(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name == name)
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
