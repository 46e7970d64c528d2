//! json and jsonb: operators and functions that read and build.

use super::jsontext::{self, Piece};
use super::registry::{pure, Function, Volatility};
use super::set::as_text;
use super::{tojson, Ctx};
use crate::base::error::{corrupt, fail, Res};
use crate::base::{pace, Oid, SqlError};
use crate::types::array::Array;
use crate::types::jsonb::{Json, Kind, View};
use crate::types::{json, oids, Datum};

pub(super) fn view(value: &Datum) -> Res<View<'_>> {
    Ok(View::new(value.bytes()?))
}

fn found(value: Option<View<'_>>, text: bool) -> Res<Datum> {
    match value {
        None => Ok(Datum::Null),
        Some(value) if text => as_text(&value),
        Some(value) => Ok(value.datum()),
    }
}

/// An element by number, from the end when negative.
fn element<'a>(view: &View<'a>, index: i64) -> Res<Option<View<'a>>> {
    // a bare scalar is an array of one
    if view.is_scalar() {
        return Ok(matches!(index, 0 | -1).then_some(*view));
    }
    let len = view.len()? as i64;
    match usize::try_from(if index < 0 { index + len } else { index }) {
        Ok(at) => view.item(at),
        Err(_) => Ok(None),
    }
}

pub(super) fn strings(array: &Array) -> Res<Vec<&str>> {
    array.values.iter().map(Datum::str).collect()
}

fn has_null(array: &Array) -> bool {
    array.values.iter().any(Datum::is_null)
}

fn extract<'a>(view: View<'a>, path: &Array) -> Res<Option<View<'a>>> {
    if has_null(path) {
        return Ok(None);
    }
    let mut here = view;
    for step in strings(path)? {
        let next = match here.kind()? {
            Kind::Object => here.get(step)?,
            Kind::Array => match step.trim_start().parse::<i32>() {
                Ok(index) => element(&here, index.into())?,
                Err(_) => None,
            },
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

fn piece(value: Option<Piece<'_>>, text: bool) -> Res<Datum> {
    match value {
        None => Ok(Datum::Null),
        Some(value) if text => value.as_text(),
        Some(value) => Ok(Datum::text(value.source())),
    }
}

fn extract_text(args: &[Datum], text: bool) -> Res<Datum> {
    let path = args[1].array()?;
    if has_null(path) {
        return Ok(Datum::Null);
    }
    piece(jsontext::whole(args[0].str()?).path(strings(path)?)?, text)
}

/// What looking at an item counts as in `pace`.
const ITEM: usize = 64;

fn contains(a: &View<'_>, b: &View<'_>) -> Res<bool> {
    let (kind_a, kind_b) = (a.kind()?, b.kind()?);
    match (kind_a, kind_b) {
        (Kind::Object, Kind::Object) => {
            for field in b.fields() {
                pace::step(ITEM)?;
                let (key, value) = field?;
                match a.get(key)? {
                    Some(own) if contains_value(&own, &value)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Kind::Array, Kind::Array) => {
            for item in b.items() {
                let item = item?;
                let mut any = false;
                for own in a.items() {
                    pace::step(ITEM)?;
                    if contains_value(&own?, &item)? {
                        any = true;
                        break;
                    }
                }
                if !any {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(kind_a == kind_b && a.compare(b)?.is_eq()),
    }
}

fn contains_value(a: &View<'_>, b: &View<'_>) -> Res<bool> {
    if a.is_scalar() != b.is_scalar() {
        return Ok(false);
    }
    contains(a, b)
}

/// At the top an array may contain a bare scalar.
fn contains_top(a: &View<'_>, b: &View<'_>) -> Res<bool> {
    if a.kind()? == Kind::Array && b.is_scalar() {
        for own in a.items() {
            pace::step(ITEM)?;
            let own = own?;
            if own.is_scalar() && contains(&own, b)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    contains(a, b)
}

fn exists(view: &View<'_>, key: &str) -> Res<bool> {
    match view.kind()? {
        Kind::Object => Ok(view.get(key)?.is_some()),
        Kind::Array => {
            for item in view.items() {
                pace::step(ITEM)?;
                let item = item?;
                if item.kind()? == Kind::String && item.str()? == key {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Kind::String => Ok(view.str()? == key),
        _ => Ok(false),
    }
}

fn exists_some(args: &[Datum], all: bool) -> Res<Datum> {
    let view = view(&args[0])?;
    for key in args[1].array()?.values.iter().filter(|key| !key.is_null()) {
        if exists(&view, key.str()?)? != all {
            return Ok(Datum::Bool(!all));
        }
    }
    Ok(Datum::Bool(all))
}

fn pretty(view: &View<'_>, indent: usize, out: &mut Vec<u8>) -> Res<()> {
    let line = |out: &mut Vec<u8>, indent: usize| {
        out.push(b'\n');
        out.resize(out.len() + indent * 4, b' ');
    };
    match view.kind()? {
        Kind::Array => {
            out.push(b'[');
            for (at, item) in view.items().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                line(out, indent + 1);
                pretty(&item?, indent + 1, out)?;
            }
            line(out, indent);
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            for (at, field) in view.fields().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                line(out, indent + 1);
                let (key, value) = field?;
                json::put_string(key, out)?;
                out.extend_from_slice(b": ");
                pretty(&value, indent + 1, out)?;
            }
            line(out, indent);
            out.push(b'}');
        }
        _ => view.put(out)?,
    }
    Ok(())
}

fn text(out: Vec<u8>) -> Res<Datum> {
    match String::from_utf8(out) {
        Ok(text) => Ok(Datum::text(text)),
        Err(_) => corrupt("stored jsonb is not UTF-8"),
    }
}

fn kind_name(view: &View<'_>) -> Res<&'static str> {
    Ok(match view.kind()? {
        Kind::Null => "null",
        Kind::Bool => "boolean",
        Kind::Number => "number",
        Kind::String => "string",
        Kind::Array => "array",
        Kind::Object => "object",
    })
}

fn arg_type(ctx: &Ctx<'_>, at: usize) -> Oid {
    ctx.call.arg_types.get(at).copied().unwrap_or(oids::TEXT)
}

fn check_pairs(args: &[Datum]) -> Res<()> {
    if args.len().is_multiple_of(2) {
        return Ok(());
    }
    let error = SqlError::new("22023", "argument list must have even number of elements");
    Err(error
        .hint("The arguments of json_build_object() must consist of alternating keys and values.")
        .into())
}

fn build_object(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    check_pairs(args)?;
    let mut out = vec![b'{'];
    for (at, pair) in args.chunks(2).enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        if pair[0].is_null() {
            let error = SqlError::new("22023", format!("argument {} cannot be null", at * 2 + 1));
            return Err(error.hint("Object keys should be text.").into());
        }
        let key = tojson::key(ctx, arg_type(ctx, at * 2), &pair[0])?;
        json::put_string(&key, &mut out)?;
        out.extend_from_slice(b" : ");
        tojson::put(ctx, arg_type(ctx, at * 2 + 1), &pair[1], &mut out)?;
    }
    out.push(b'}');
    text(out)
}

fn build_object_b(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    if args.len() % 2 == 1 {
        let error = SqlError::new("22023", "argument list must have even number of elements");
        let hint =
            "The arguments of jsonb_build_object() must consist of alternating keys and values.";
        return Err(error.hint(hint).into());
    }
    let mut fields = Vec::with_capacity(args.len() / 2);
    for (at, pair) in args.chunks(2).enumerate() {
        if pair[0].is_null() {
            return fail(
                "22023",
                format!("argument {}: key must not be null", at * 2 + 1),
            );
        }
        let key = tojson::key(ctx, arg_type(ctx, at * 2), &pair[0])?;
        fields.push((key, tojson::tree(ctx, arg_type(ctx, at * 2 + 1), &pair[1])?));
    }
    Json::object(fields).datum()
}

fn build_array(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let mut out = vec![b'['];
    for (at, value) in args.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        tojson::put(ctx, arg_type(ctx, at), value, &mut out)?;
    }
    out.push(b']');
    text(out)
}

fn build_array_b(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let items = args
        .iter()
        .enumerate()
        .map(|(at, value)| tojson::tree(ctx, arg_type(ctx, at), value));
    Json::Array(items.collect::<Res<_>>()?).datum()
}

/// json_object(text[]) and json_object(keys, values): pairs of texts.
fn pairs(args: &[Datum]) -> Res<Vec<(String, Option<String>)>> {
    let optional = |value: &Datum| {
        if value.is_null() {
            Ok(None)
        } else {
            value.str().map(|s| Some(s.to_owned()))
        }
    };
    let key = |value: &Datum| match optional(value)? {
        Some(key) => Ok(key),
        None => fail("22004", "null value not allowed for object key"),
    };
    let first = args[0].array()?;
    if let Some(second) = args.get(1) {
        let second = second.array()?;
        if first.dims.len() > 1 || first.dims.len() != second.dims.len() {
            return fail("2202E", "wrong number of array subscripts");
        }
        if first.values.len() != second.values.len() {
            return fail("2202E", "mismatched array dimensions");
        }
        return first
            .values
            .iter()
            .zip(&second.values)
            .map(|(k, v)| Ok((key(k)?, optional(v)?)))
            .collect();
    }
    match first.dims.as_slice() {
        [] => {}
        [(len, _)] if len % 2 == 1 => {
            return fail("2202E", "array must have even number of elements")
        }
        [_] => {}
        [_, (2, _)] => {}
        [_, _] => return fail("2202E", "array must have two columns"),
        _ => return fail("2202E", "wrong number of array subscripts"),
    }
    first
        .values
        .chunks(2)
        .map(|pair| Ok((key(&pair[0])?, optional(&pair[1])?)))
        .collect()
}

fn object(args: &[Datum]) -> Res<Datum> {
    let mut out = vec![b'{'];
    for (at, (key, value)) in pairs(args)?.into_iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        json::put_string(&key, &mut out)?;
        out.extend_from_slice(b" : ");
        match value {
            Some(value) => json::put_string(&value, &mut out)?,
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    text(out)
}

fn object_b(args: &[Datum]) -> Res<Datum> {
    let field =
        |(key, value): (String, Option<String>)| (key, value.map_or(Json::Null, Json::String));
    Json::object(pairs(args)?.into_iter().map(field).collect()).datum()
}

fn array_length(args: &[Datum]) -> Res<Datum> {
    let view = view(&args[0])?;
    match view.kind()? {
        Kind::Array => Ok(Datum::Int(view.len()? as i64)),
        Kind::Object => fail("22023", "cannot get array length of a non-array"),
        _ => fail("22023", "cannot get array length of a scalar"),
    }
}

fn array_length_text(args: &[Datum]) -> Res<Datum> {
    let whole = jsontext::whole(args[0].str()?);
    match whole.items()? {
        Some(items) => Ok(Datum::Int(items.len() as i64)),
        None if whole.is_object() => fail("22023", "cannot get array length of a non-array"),
        None => fail("22023", "cannot get array length of a scalar"),
    }
}

fn to_json(ctx: &mut Ctx<'_>, args: &[Datum], lines: bool) -> Res<Datum> {
    let mut out = Vec::new();
    tojson::put_pretty(ctx, arg_type(ctx, 0), &args[0], lines, &mut out)?;
    text(out)
}

const READING: &[Function] = &[
    pure("jsonb_object_field", |_, a| {
        found(view(&a[0])?.get(a[1].str()?)?, false)
    }),
    pure("jsonb_object_field_text", |_, a| {
        found(view(&a[0])?.get(a[1].str()?)?, true)
    }),
    pure("jsonb_array_element", |_, a| {
        found(element(&view(&a[0])?, a[1].int()?)?, false)
    }),
    pure("jsonb_array_element_text", |_, a| {
        found(element(&view(&a[0])?, a[1].int()?)?, true)
    }),
    pure("jsonb_extract_path", |_, a| {
        found(extract(view(&a[0])?, a[1].array()?)?, false)
    }),
    pure("jsonb_extract_path_text", |_, a| {
        found(extract(view(&a[0])?, a[1].array()?)?, true)
    }),
    pure("json_object_field", |_, a| {
        piece(jsontext::whole(a[0].str()?).get(a[1].str()?)?, false)
    }),
    pure("json_object_field_text", |_, a| {
        piece(jsontext::whole(a[0].str()?).get(a[1].str()?)?, true)
    }),
    pure("json_array_element", |_, a| {
        piece(jsontext::whole(a[0].str()?).at(a[1].int()?)?, false)
    }),
    pure("json_array_element_text", |_, a| {
        piece(jsontext::whole(a[0].str()?).at(a[1].int()?)?, true)
    }),
    pure("json_extract_path", |_, a| extract_text(a, false)),
    pure("json_extract_path_text", |_, a| extract_text(a, true)),
    pure("jsonb_contains", |_, a| {
        Ok(Datum::Bool(contains_top(&view(&a[0])?, &view(&a[1])?)?))
    }),
    pure("jsonb_contained", |_, a| {
        Ok(Datum::Bool(contains_top(&view(&a[1])?, &view(&a[0])?)?))
    }),
    pure("jsonb_exists", |_, a| {
        Ok(Datum::Bool(exists(&view(&a[0])?, a[1].str()?)?))
    }),
    pure("jsonb_exists_any", |_, a| exists_some(a, false)),
    pure("jsonb_exists_all", |_, a| exists_some(a, true)),
    pure("jsonb_typeof", |_, a| {
        Ok(Datum::text(kind_name(&view(&a[0])?)?))
    }),
    pure("json_typeof", |_, a| {
        Ok(Datum::text(jsontext::whole(a[0].str()?).kind()))
    }),
    pure("jsonb_array_length", |_, a| array_length(a)),
    pure("json_array_length", |_, a| array_length_text(a)),
    pure("jsonb_pretty", |_, a| {
        let mut out = Vec::new();
        pretty(&view(&a[0])?, 0, &mut out)?;
        text(out)
    }),
];

/// Called with nulls; what they show depends on settings.
const fn build(name: &'static str, eval: super::Eval) -> Function {
    Function {
        name,
        strict: false,
        volatility: Volatility::Stable,
        eval,
    }
}

const BUILDING: &[Function] = &[
    build("json_build_object", build_object),
    build("json_build_object_noargs", build_object),
    build("jsonb_build_object", build_object_b),
    build("jsonb_build_object_noargs", build_object_b),
    build("json_build_array", build_array),
    build("json_build_array_noargs", build_array),
    build("jsonb_build_array", build_array_b),
    build("jsonb_build_array_noargs", build_array_b),
    pure("json_object", |_, a| object(a)),
    pure("json_object_two_arg", |_, a| object(a)),
    pure("jsonb_object", |_, a| object_b(a)),
    pure("jsonb_object_two_arg", |_, a| object_b(a)),
    super::registry::stable("to_json", |c, a| to_json(c, a, false)),
    super::registry::stable("to_jsonb", |c, a| {
        tojson::tree(c, arg_type(c, 0), &a[0])?.datum()
    }),
    super::registry::stable("array_to_json", |c, a| to_json(c, a, false)),
    super::registry::stable("array_to_json_pretty", |c, a| {
        let lines = a[1].bool()?;
        to_json(c, a, lines)
    }),
    super::registry::stable("row_to_json", |c, a| to_json(c, a, false)),
    // Not PostgreSQL's: the planner names the fields of a row that it knows.
    super::registry::stable("row_to_json_named", |c, a| {
        let names = a[0]
            .array()?
            .values
            .iter()
            .map(|n| n.str().map(str::to_owned))
            .collect::<Res<Vec<_>>>()?;
        let mut out = Vec::new();
        tojson::put_row(c, a[1].record()?, &names, false, &mut out)?;
        text(out)
    }),
    super::registry::stable("row_to_json_pretty", |c, a| {
        let lines = a[1].bool()?;
        to_json(c, a, lines)
    }),
];

pub const FAMILIES: &[&[Function]] = &[READING, BUILDING];
