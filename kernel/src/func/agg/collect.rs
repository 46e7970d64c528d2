//! Aggregates that gather their input: string_agg, array_agg, json and jsonb ones.

use super::sums::into_any;
use super::{plain, Accumulator, Aggregate};
use crate::base::error::{enlarge, fail, Res, ALLOC_MAX};
use crate::base::{pace, Oid};
use crate::exec::batch::datum_bytes;
use crate::func::ctx::{CallInfo, Ctx};
use crate::func::tojson;
use crate::types::array::Array;
use crate::types::jsonb::Json;
use crate::types::{json, registry, Datum, Text};
use std::any::Any;
use std::sync::Arc;

/// Each row's own delimiter goes before its value; null values are skipped.
struct Strings {
    out: Option<Vec<u8>>,
    bytes: bool,
}

fn raw(value: &Datum) -> Res<&[u8]> {
    match value {
        Datum::Bytes(bytes) => Ok(bytes),
        other => Ok(other.str()?.as_bytes()),
    }
}

impl Accumulator for Strings {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if args[0].is_null() {
            return Ok(());
        }
        let value = raw(&args[0])?;
        match &mut self.out {
            None => pace::append_bytes(self.out.insert(Vec::new()), value)?,
            Some(out) => {
                enlarge(out.len(), value.len())?;
                if let Some(delimiter) = args.get(1).filter(|d| !d.is_null()) {
                    enlarge(out.len(), raw(delimiter)?.len() + value.len())?;
                    pace::append_bytes(out, raw(delimiter)?)?;
                }
                pace::append_bytes(out, value)?;
            }
        }
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        Ok(match &self.out {
            None => Datum::Null,
            Some(out) if self.bytes => {
                let mut all = Vec::new();
                pace::append_bytes(&mut all, out)?;
                Datum::Bytes(all.into())
            }
            Some(out) => Datum::Text(Text::copied(&String::from_utf8_lossy(out))?),
        })
    }

    fn size(&self) -> usize {
        self.out.as_ref().map_or(0, Vec::capacity)
    }

    into_any!();
}

const VALUE: usize = std::mem::size_of::<Datum>();

fn check_size(bytes: usize) -> Res<()> {
    match bytes <= ALLOC_MAX {
        true => Ok(()),
        false => fail(
            "54000",
            format!("array size exceeds the maximum allowed ({ALLOC_MAX})"),
        ),
    }
}

fn copied(values: &[Datum]) -> Res<Vec<Datum>> {
    let copy = |value: &Datum| pace::step(VALUE).map(|()| value.clone());
    values.iter().map(copy).collect()
}

struct Values {
    elem: Oid,
    values: Vec<Datum>,
    size: usize,
}

impl Accumulator for Values {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        self.size += datum_bytes(&args[0]);
        check_size(self.size)?;
        self.values.push(args[0].clone());
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(Datum::Array(Arc::new(Array::from_values(
            self.elem,
            copied(&self.values)?,
        ))))
    }

    fn size(&self) -> usize {
        self.size
    }

    into_any!();
}

/// Arrays of one shape become an array with one dimension more.
#[derive(Default)]
struct Arrays {
    elem: Oid,
    count: i32,
    dims: Vec<(i32, i32)>,
    values: Vec<Datum>,
    size: usize,
}

impl Accumulator for Arrays {
    fn push(&mut self, _ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if args[0].is_null() {
            return fail("22004", "cannot accumulate null arrays");
        }
        let array = args[0].array()?;
        if self.count == 0 {
            if array.is_empty() {
                return fail("2202E", "cannot accumulate empty arrays");
            }
            (self.elem, self.dims) = (array.elem, array.dims.clone());
        } else if self.dims != array.dims {
            return fail(
                "2202E",
                "cannot accumulate arrays of different dimensionality",
            );
        }
        check_size(self.size + array.values.len() * VALUE)?;
        for value in &array.values {
            pace::step(VALUE)?;
            self.size += datum_bytes(value);
            self.values.push(value.clone());
        }
        self.count += 1;
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        let mut dims = vec![(self.count, 1)];
        dims.extend_from_slice(&self.dims);
        Ok(Datum::Array(Arc::new(Array {
            elem: self.elem,
            dims,
            values: copied(&self.values)?,
        })))
    }

    fn size(&self) -> usize {
        self.size
    }

    into_any!();
}

struct JsonArray {
    out: Vec<u8>,
    typ: Oid,
}

impl Accumulator for JsonArray {
    fn push(&mut self, ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        enlarge(self.out.len(), 0)?;
        if !self.out.is_empty() {
            self.out.extend_from_slice(b", ");
            if !args[0].is_null() && tojson::is_structured(self.typ) {
                self.out.extend_from_slice(b"\n ");
            }
        } else {
            self.out.push(b'[');
        }
        tojson::put(ctx, self.typ, &args[0], &mut self.out)
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.out.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(Datum::text(format!(
            "{}]",
            String::from_utf8_lossy(&self.out)
        )))
    }

    fn size(&self) -> usize {
        self.out.capacity()
    }

    into_any!();
}

struct JsonObject {
    out: Vec<u8>,
    types: [Oid; 2],
}

impl Accumulator for JsonObject {
    fn push(&mut self, ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if args[0].is_null() {
            return fail("22023", "field name must not be null");
        }
        enlarge(self.out.len(), 0)?;
        self.out
            .extend_from_slice(if self.out.is_empty() { b"{ " } else { b", " });
        let key = tojson::key(ctx, self.types[0], &args[0])?;
        json::put_string(&key, &mut self.out)?;
        self.out.extend_from_slice(b" : ");
        tojson::put(ctx, self.types[1], &args[1], &mut self.out)
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.out.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(Datum::text(format!(
            "{} }}",
            String::from_utf8_lossy(&self.out)
        )))
    }

    fn size(&self) -> usize {
        self.out.capacity()
    }

    into_any!();
}

struct JsonbArray {
    items: Vec<Json>,
    typ: Oid,
}

impl Accumulator for JsonbArray {
    fn push(&mut self, ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        self.items.push(tojson::tree(ctx, self.typ, &args[0])?);
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.items.is_empty() {
            return Ok(Datum::Null);
        }
        Json::Array(self.items.clone()).datum()
    }

    fn size(&self) -> usize {
        self.items.len() * 64
    }

    into_any!();
}

struct JsonbObject {
    fields: Vec<(String, Json)>,
    types: [Oid; 2],
}

impl Accumulator for JsonbObject {
    fn push(&mut self, ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()> {
        if args[0].is_null() {
            return fail("22023", "field name must not be null");
        }
        let key = tojson::key(ctx, self.types[0], &args[0])?;
        self.fields
            .push((key, tojson::tree(ctx, self.types[1], &args[1])?));
        Ok(())
    }

    fn finish(&self, _ctx: &mut Ctx<'_>) -> Res<Datum> {
        if self.fields.is_empty() {
            return Ok(Datum::Null);
        }
        Json::object(self.fields.clone()).datum()
    }

    fn size(&self) -> usize {
        self.fields.len() * 96
    }

    into_any!();
}

fn arg(call: &CallInfo, at: usize) -> Oid {
    call.arg_types.get(at).copied().unwrap_or_default()
}

fn array_agg(call: &CallInfo) -> Res<Box<dyn Accumulator>> {
    let info = registry::get(arg(call, 0))?;
    if info.is_array() && info.array == Oid(0) {
        return Ok(Box::new(Arrays::default()));
    }
    Ok(Box::new(Values {
        elem: info.oid,
        values: Vec::new(),
        size: 0,
    }))
}

pub(super) const AGGREGATES: &[Aggregate] = &[
    plain("string_agg", &[17], |_| {
        Ok(Box::new(Strings {
            out: None,
            bytes: true,
        }))
    }),
    plain("string_agg", &[], |_| {
        Ok(Box::new(Strings {
            out: None,
            bytes: false,
        }))
    }),
    plain("array_agg", &[], array_agg),
    plain("json_agg", &[], |call| {
        Ok(Box::new(JsonArray {
            out: Vec::new(),
            typ: arg(call, 0),
        }))
    }),
    plain("jsonb_agg", &[], |call| {
        Ok(Box::new(JsonbArray {
            items: Vec::new(),
            typ: arg(call, 0),
        }))
    }),
    plain("json_object_agg", &[], |call| {
        Ok(Box::new(JsonObject {
            out: Vec::new(),
            types: [arg(call, 0), arg(call, 1)],
        }))
    }),
    plain("jsonb_object_agg", &[], |call| {
        Ok(Box::new(JsonbObject {
            fields: Vec::new(),
            types: [arg(call, 0), arg(call, 1)],
        }))
    }),
];
