//! Values of any type as JSON: text for json, trees for jsonb.

use super::ctx::Ctx;
use crate::base::error::{fail, Res};
use crate::base::Oid;
use crate::types::array::Array;
use crate::types::jsonb::{Json, View};
use crate::types::registry::{self, Repr};
use crate::types::settings::{DateStyle, Settings};
use crate::types::{calendar, dateput, json, oids, Datum, Numeric, Record};

/// Arrays and rows.
pub fn is_structured(typ: Oid) -> bool {
    registry::find(typ).is_some_and(|info| is_array(info.repr, typ) || info.repr == Repr::Record)
}

fn is_array(repr: Repr, _typ: Oid) -> bool {
    repr == Repr::Array
}

/// Dates and times are ISO 8601 with a T, whatever DateStyle says.
fn time_text(typ: Oid, value: &Datum, settings: &Settings) -> Res<Option<String>> {
    let mut out = Vec::new();
    let iso = Settings {
        date_style: DateStyle::Iso,
        ..settings.clone()
    };
    match typ {
        oids::DATE => dateput::put_date(value.int()?, &iso, &mut out),
        oids::TIMESTAMP => dateput::put_timestamp(value.int()?, &iso, &mut out),
        oids::TIMESTAMPTZ => {
            let micros = value.int()?;
            dateput::put_timestamptz(micros, &iso, &mut out);
            let zone = iso.time_zone.offset_at(micros);
            if !calendar::is_infinite(micros) && zone % 3600 == 0 {
                let era = if out.ends_with(b" BC") {
                    out.split_off(out.len() - 3)
                } else {
                    Vec::new()
                };
                out.extend_from_slice(b":00");
                out.extend_from_slice(&era);
            }
        }
        _ => return Ok(None),
    }
    let text = String::from_utf8_lossy(&out).into_owned();
    Ok(Some(if typ == oids::DATE {
        text
    } else {
        text.replacen(' ', "T", 1)
    }))
}

fn number_text(text: &str) -> bool {
    json::validate(text).is_ok()
}

/// The text of an object key.
pub fn key(ctx: &Ctx<'_>, typ: Oid, value: &Datum) -> Res<String> {
    let info = registry::get(typ)?;
    if matches!(info.repr, Repr::Array | Repr::Record) || matches!(typ, oids::JSON | oids::JSONB) {
        return fail(
            "22023",
            "key value must be scalar, not array, composite, or json",
        );
    }
    if typ == oids::BOOL {
        return Ok(if value.bool()? { "true" } else { "false" }.to_owned());
    }
    match time_text(typ, value, ctx.settings)? {
        Some(text) => Ok(text),
        None => info.text(value, ctx.settings),
    }
}

/// Field names of a row value: what the host knows, else f1, f2…
pub fn field_names(ctx: &Ctx<'_>, record: &Record) -> Res<Vec<String>> {
    match ctx.host.record_fields(&record.types)? {
        Some(names) => Ok(names),
        None => Ok((1..=record.values.len()).map(|n| format!("f{n}")).collect()),
    }
}

pub fn put(ctx: &Ctx<'_>, typ: Oid, value: &Datum, out: &mut Vec<u8>) -> Res<()> {
    put_pretty(ctx, typ, value, false, out)
}

/// A row with these field names.
pub fn put_row(
    ctx: &Ctx<'_>,
    record: &Record,
    names: &[String],
    lines: bool,
    out: &mut Vec<u8>,
) -> Res<()> {
    out.push(b'{');
    for (at, (value, typ)) in record.values.iter().zip(record.types.iter()).enumerate() {
        if at > 0 {
            out.extend_from_slice(if lines { b",\n " } else { b"," });
        }
        json::put_string(names.get(at).map_or("", String::as_str), out)?;
        out.push(b':');
        put(ctx, *typ, value, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// `lines`: a line feed between the outermost fields or items, as the `pretty` argument asks.
pub fn put_pretty(
    ctx: &Ctx<'_>,
    typ: Oid,
    value: &Datum,
    lines: bool,
    out: &mut Vec<u8>,
) -> Res<()> {
    if value.is_null() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let info = registry::get(typ)?;
    match (info.repr, typ) {
        (Repr::Bool, _) => out.extend_from_slice(if value.bool()? { b"true" } else { b"false" }),
        (Repr::Array, _) => {
            let array = value.array()?;
            let mut at = 0;
            put_level(ctx, array, 0, &mut at, lines, out)?;
        }
        (Repr::Record, _) => {
            let record = value.record()?;
            put_row(ctx, record, &field_names(ctx, record)?, lines, out)?;
        }
        (_, oids::JSON) => out.extend_from_slice(value.str()?.as_bytes()),
        (_, oids::JSONB) => View::new(value.bytes()?).put(out)?,
        (_, oids::INT2 | oids::INT4 | oids::INT8 | oids::FLOAT4 | oids::FLOAT8 | oids::NUMERIC) => {
            let text = info.text(value, ctx.settings)?;
            if number_text(&text) {
                out.extend_from_slice(text.as_bytes());
            } else {
                json::put_string(&text, out)?;
            }
        }
        _ => match time_text(typ, value, ctx.settings)? {
            Some(text) => json::put_string(&text, out)?,
            None => json::put_string(&info.text(value, ctx.settings)?, out)?,
        },
    }
    Ok(())
}

fn put_level(
    ctx: &Ctx<'_>,
    array: &Array,
    depth: usize,
    at: &mut usize,
    lines: bool,
    out: &mut Vec<u8>,
) -> Res<()> {
    out.push(b'[');
    let len = array.dims.get(depth).map_or(0, |d| d.0);
    for i in 0..len {
        if i > 0 {
            out.extend_from_slice(if lines { b",\n " } else { b"," });
        }
        if depth + 1 < array.dims.len() {
            put_level(ctx, array, depth + 1, at, false, out)?;
        } else {
            put(
                ctx,
                array.elem,
                array.values.get(*at).unwrap_or(&Datum::Null),
                out,
            )?;
            *at += 1;
        }
    }
    out.push(b']');
    Ok(())
}

pub fn tree(ctx: &Ctx<'_>, typ: Oid, value: &Datum) -> Res<Json> {
    if value.is_null() {
        return Ok(Json::Null);
    }
    let info = registry::get(typ)?;
    Ok(match (info.repr, typ) {
        (Repr::Bool, _) => Json::Bool(value.bool()?),
        (Repr::Array, _) => {
            let mut at = 0;
            tree_level(ctx, value.array()?, 0, &mut at)?
        }
        (Repr::Record, _) => {
            let record = value.record()?;
            let names = field_names(ctx, record)?;
            let columns = record.values.iter().zip(record.types.iter()).zip(names);
            let field = |((value, typ), name): ((&Datum, &Oid), String)| {
                Ok((name, tree(ctx, *typ, value)?))
            };
            Json::object(columns.map(field).collect::<Res<_>>()?)
        }
        (_, oids::JSON) => Json::parse(value.str()?)?,
        (_, oids::JSONB) => View::new(value.bytes()?).tree()?,
        (_, oids::INT2 | oids::INT4 | oids::INT8) => Json::Number(Numeric::from(value.int()?)),
        (_, oids::FLOAT4 | oids::FLOAT8 | oids::NUMERIC) => {
            let text = info.text(value, ctx.settings)?;
            if number_text(&text) {
                Json::Number(Numeric::parse(&text)?)
            } else {
                Json::String(text)
            }
        }
        _ => match time_text(typ, value, ctx.settings)? {
            Some(text) => Json::String(text),
            None => Json::String(info.text(value, ctx.settings)?),
        },
    })
}

fn tree_level(ctx: &Ctx<'_>, array: &Array, depth: usize, at: &mut usize) -> Res<Json> {
    let len = array.dims.get(depth).map_or(0, |d| d.0);
    let mut items = Vec::new();
    for _ in 0..len {
        if depth + 1 < array.dims.len() {
            items.push(tree_level(ctx, array, depth + 1, at)?);
        } else {
            items.push(tree(
                ctx,
                array.elem,
                array.values.get(*at).unwrap_or(&Datum::Null),
            )?);
            *at += 1;
        }
    }
    Ok(Json::Array(items))
}
