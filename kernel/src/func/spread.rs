//! `f(…, VARIADIC array)` of functions that take any types: the array's elements are arguments. Named `prosrc/variadic`.

use super::ctx::{CallInfo, Ctx};
use super::registry::{lookup, Function, Volatility};
use crate::base::error::{fail, Res};
use crate::types::Datum;

fn spread(ctx: &mut Ctx<'_>, prosrc: &str, args: &[Datum]) -> Res<Datum> {
    let Some((last, fixed)) = args.split_last() else {
        return fail("XX000", "VARIADIC without an argument");
    };
    let mut types = ctx.call.arg_types.clone();
    types.truncate(fixed.len());
    let mut values = fixed.to_vec();
    match last {
        Datum::Array(array) => {
            values.extend_from_slice(&array.values);
            types.resize(values.len(), array.elem);
        }
        // format() has no arguments then; the others have no answer.
        _ if prosrc == "text_format" => {}
        _ => return Ok(Datum::Null),
    }
    let Some(function) = lookup(prosrc) else {
        return fail("XX000", format!("there is no function {prosrc}"));
    };
    let call = CallInfo::new(&types, ctx.call.typ);
    let mut inner = Ctx {
        settings: ctx.settings,
        call: &call,
        clock: ctx.clock,
        rng: ctx.rng,
        memo: ctx.memo,
        host: ctx.host,
    };
    (function.eval)(&mut inner, &values)
}

macro_rules! variadic {
    ($($prosrc:literal),* $(,)?) => {
        &[$(Function {
            name: concat!($prosrc, "/variadic"),
            strict: false,
            volatility: Volatility::Stable,
            eval: |ctx, args| spread(ctx, $prosrc, args),
        }),*]
    };
}

pub const FAMILIES: &[&[Function]] = &[variadic![
    "text_concat",
    "text_concat_ws",
    "text_format",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "pg_num_nulls",
    "pg_num_nonnulls",
]];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_function_of_its_own() {
        for function in FAMILIES.iter().flat_map(|family| family.iter()) {
            let plain = function
                .name
                .strip_suffix("/variadic")
                .expect("so they are named");
            assert!(lookup(plain).is_some_and(|found| !found.strict), "{plain}");
        }
    }
}
