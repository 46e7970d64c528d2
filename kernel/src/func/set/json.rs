//! Elements and fields of json and jsonb as rows.

use super::{made, set, SetFunction, SetRows};
use crate::base::error::{fail, Res};
use crate::func::jsontext::{self, Piece};
use crate::types::jsonb::{Kind, View};
use crate::types::Datum;

/// A jsonb value as text, the way ->> shows it.
pub fn as_text(view: &View<'_>) -> Res<Datum> {
    Ok(match view.kind()? {
        Kind::Null => Datum::Null,
        Kind::String => Datum::text(view.str()?),
        _ => {
            let mut out = Vec::new();
            view.put(&mut out)?;
            Datum::text(String::from_utf8_lossy(&out))
        }
    })
}

fn elements(args: &[Datum], text: bool) -> Res<Box<dyn SetRows>> {
    let view = View::new(args[0].bytes()?);
    match view.kind()? {
        Kind::Array => {}
        Kind::Object => return fail("22023", "cannot extract elements from an object"),
        _ => return fail("22023", "cannot extract elements from a scalar"),
    }
    let (whole, mut at) = (args[0].clone(), 0);
    made(move |out| {
        let Some(item) = View::new(whole.bytes()?).item(at)? else {
            return Ok(false);
        };
        out.push(value(&item, text)?);
        at += 1;
        Ok(true)
    })
}

fn value(view: &View<'_>, text: bool) -> Res<Datum> {
    match text {
        true => as_text(view),
        false => Ok(view.datum()),
    }
}

fn each(args: &[Datum], text: bool, name: &str) -> Res<Box<dyn SetRows>> {
    let view = View::new(args[0].bytes()?);
    if view.kind()? != Kind::Object {
        return fail("22023", format!("cannot call {name} on a non-object"));
    }
    let (whole, mut at) = (args[0].clone(), 0);
    made(move |out| {
        let Some((key, field)) = View::new(whole.bytes()?).field(at)? else {
            return Ok(false);
        };
        out.extend([Datum::text(key), value(&field, text)?]);
        at += 1;
        Ok(true)
    })
}

fn keys(args: &[Datum]) -> Res<Box<dyn SetRows>> {
    let view = View::new(args[0].bytes()?);
    match view.kind()? {
        Kind::Object => {}
        Kind::Array => return fail("22023", "cannot call jsonb_object_keys on an array"),
        _ => return fail("22023", "cannot call jsonb_object_keys on a scalar"),
    }
    let (whole, mut at) = (args[0].clone(), 0);
    made(move |out| {
        let Some((key, _)) = View::new(whole.bytes()?).field(at)? else {
            return Ok(false);
        };
        out.push(Datum::text(key));
        at += 1;
        Ok(true)
    })
}

fn piece(piece: &Piece<'_>, text: bool) -> Res<Datum> {
    if text {
        piece.as_text()
    } else {
        Ok(Datum::text(piece.source()))
    }
}

fn text_elements(args: &[Datum], text: bool, name: &str) -> Res<Box<dyn SetRows>> {
    let whole = jsontext::whole(args[0].str()?);
    if !whole.is_array() {
        let what = match whole.is_object() {
            true => "non-array",
            false => "scalar",
        };
        return fail("22023", format!("cannot call {name} on a {what}"));
    }
    let (whole, mut at) = (args[0].clone(), 0);
    made(move |out| {
        let Some(item) = jsontext::whole(whole.str()?).item(&mut at)? else {
            return Ok(false);
        };
        out.push(piece(&item, text)?);
        Ok(true)
    })
}

fn text_each(args: &[Datum], text: bool) -> Res<Box<dyn SetRows>> {
    let whole = jsontext::whole(args[0].str()?);
    if whole.is_array() {
        return fail("22023", "cannot deconstruct an array as an object");
    } else if !whole.is_object() {
        return fail("22023", "cannot deconstruct a scalar");
    }
    let (whole, mut at) = (args[0].clone(), 0);
    made(move |out| {
        let Some((key, field)) = jsontext::whole(whole.str()?).field(&mut at)? else {
            return Ok(false);
        };
        out.extend([Datum::text(key), piece(&field, text)?]);
        Ok(true)
    })
}

fn text_keys(args: &[Datum]) -> Res<Box<dyn SetRows>> {
    let whole = jsontext::whole(args[0].str()?);
    if whole.is_array() {
        return fail("22023", "cannot call json_object_keys on an array");
    } else if !whole.is_object() {
        return fail("22023", "cannot call json_object_keys on a scalar");
    }
    let (whole, mut at) = (args[0].clone(), 0);
    made(move |out| {
        let Some((key, _)) = jsontext::whole(whole.str()?).field(&mut at)? else {
            return Ok(false);
        };
        out.push(Datum::text(key));
        Ok(true)
    })
}

pub(super) const FUNCTIONS: &[SetFunction] = &[
    set("jsonb_array_elements", |_, args| elements(args, false)),
    set("jsonb_array_elements_text", |_, args| elements(args, true)),
    set("jsonb_each", |_, args| each(args, false, "jsonb_each")),
    set("jsonb_each_text", |_, args| {
        each(args, true, "jsonb_each_text")
    }),
    set("jsonb_object_keys", |_, args| keys(args)),
    set("json_array_elements", |_, args| {
        text_elements(args, false, "json_array_elements")
    }),
    set("json_array_elements_text", |_, args| {
        text_elements(args, true, "json_array_elements_text")
    }),
    set("json_each", |_, args| text_each(args, false)),
    set("json_each_text", |_, args| text_each(args, true)),
    set("json_object_keys", |_, args| text_keys(args)),
];
