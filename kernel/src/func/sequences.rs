//! Sequence functions. The session knows its sequences; these only pass on.

use super::ctx::Ctx;
use super::registry::{volatile, Function};
use crate::base::error::fail;
use crate::base::{Oid, Res};
use crate::types::Datum;

fn sequence(args: &[Datum]) -> Res<Oid> {
    match args.first() {
        Some(Datum::Int(oid)) => Ok(Oid(*oid as u32)),
        _ => fail("XX000", "a sequence function was called without a sequence"),
    }
}

fn value(args: &[Datum]) -> Res<i64> {
    match args.get(1) {
        Some(Datum::Int(value)) => Ok(*value),
        _ => fail("XX000", "setval was called without a value"),
    }
}

fn setval(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let called = !matches!(args.get(2), Some(Datum::Bool(false)));
    Ok(Datum::Int(ctx.host.setval(
        sequence(args)?,
        value(args)?,
        called,
    )?))
}

pub const FAMILIES: &[&[Function]] = &[&[
    volatile("nextval_oid", |ctx, args| {
        Ok(Datum::Int(ctx.host.nextval(sequence(args)?)?))
    }),
    volatile("currval_oid", |ctx, args| {
        Ok(Datum::Int(ctx.host.currval(sequence(args)?)?))
    }),
    volatile("lastval", |ctx, _| Ok(Datum::Int(ctx.host.lastval()?))),
    volatile("setval_oid", setval),
    volatile("setval3_oid", setval),
]];
