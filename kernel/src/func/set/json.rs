//! Elements and fields of json and jsonb as rows.

use super::{column, rows, set, SetFunction, SetRows};
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
    let one = |item: Res<View<'_>>| {
        let item = item?;
        if text {
            as_text(&item)
        } else {
            Ok(item.datum())
        }
    };
    column(view.items().map(one).collect::<Res<Vec<_>>>()?)
}

fn each(args: &[Datum], text: bool, name: &str) -> Res<Box<dyn SetRows>> {
    let view = View::new(args[0].bytes()?);
    if view.kind()? != Kind::Object {
        return fail("22023", format!("cannot call {name} on a non-object"));
    }
    let one = |field: Res<(&str, View<'_>)>| {
        let (key, value) = field?;
        Ok(vec![
            Datum::text(key),
            if text {
                as_text(&value)?
            } else {
                value.datum()
            },
        ])
    };
    rows(view.fields().map(one).collect::<Res<Vec<_>>>()?)
}

fn keys(args: &[Datum]) -> Res<Box<dyn SetRows>> {
    let view = View::new(args[0].bytes()?);
    match view.kind()? {
        Kind::Object => {}
        Kind::Array => return fail("22023", "cannot call jsonb_object_keys on an array"),
        _ => return fail("22023", "cannot call jsonb_object_keys on a scalar"),
    }
    column(
        view.fields()
            .map(|field| Ok(Datum::text(field?.0)))
            .collect::<Res<Vec<_>>>()?,
    )
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
    let Some(items) = whole.items()? else {
        let what = if whole.is_object() {
            "non-array"
        } else {
            "scalar"
        };
        return match what {
            "scalar" => fail("22023", format!("cannot call {name} on a scalar")),
            _ => fail("22023", format!("cannot call {name} on a non-array")),
        };
    };
    column(
        items
            .iter()
            .map(|item| piece(item, text))
            .collect::<Res<Vec<_>>>()?,
    )
}

fn text_each(args: &[Datum], text: bool) -> Res<Box<dyn SetRows>> {
    let whole = jsontext::whole(args[0].str()?);
    let Some(fields) = whole.fields()? else {
        return match whole.is_array() {
            true => fail("22023", "cannot deconstruct an array as an object"),
            false => fail("22023", "cannot deconstruct a scalar"),
        };
    };
    rows(
        fields
            .iter()
            .map(|(key, value)| Ok(vec![Datum::text(&**key), piece(value, text)?]))
            .collect::<Res<Vec<_>>>()?,
    )
}

fn text_keys(args: &[Datum]) -> Res<Box<dyn SetRows>> {
    let whole = jsontext::whole(args[0].str()?);
    match whole.fields()? {
        Some(fields) => column(
            fields
                .iter()
                .map(|(key, _)| Datum::text(&**key))
                .collect::<Vec<_>>(),
        ),
        None if whole.is_array() => fail("22023", "cannot call json_object_keys on an array"),
        None => fail("22023", "cannot call json_object_keys on a scalar"),
    }
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
