//! Arrays as types, and int2vector and oidvector, which are arrays with a text form of their own.

use super::array::{item_count, Array, MAX_DIMS};
use super::registry::{self, Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::text::is_space;
use super::wire::Reader;
use super::{arraytext, hash, oids, Datum, NO_TYPMOD};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;
use std::sync::Arc;

pub struct Ops;
pub struct VectorOps;

pub const TYPES: &[TypeInfo] = &[
    TypeInfo::new(
        oids::INT2VECTOR,
        Oid(1006),
        "int2vector",
        Repr::Array,
        &VectorOps,
    )
    .elem(oids::INT2),
    TypeInfo::new(
        oids::OIDVECTOR,
        Oid(1013),
        "oidvector",
        Repr::Array,
        &VectorOps,
    )
    .elem(oids::OID),
];

fn recv(info: &TypeInfo, bytes: &[u8], typmod: i32, settings: &Settings) -> Res<Datum> {
    let mut reader = Reader::new(bytes);
    let (count, flags, oid) = (reader.i32()?, reader.i32()?, Oid(reader.u32()?));
    if count < 0 {
        return fail("22P03", format!("invalid number of dimensions: {count}"));
    }
    if count as usize > MAX_DIMS {
        return fail(
            "54000",
            format!(
                "number of array dimensions ({count}) exceeds the maximum allowed ({MAX_DIMS})"
            ),
        );
    }
    if !matches!(flags, 0 | 1) {
        return fail("22P03", "invalid array flags");
    }
    let elem = registry::get(info.elem)?;
    if oid != elem.oid {
        let got = registry::find(oid).map_or("unknown", |t| t.display);
        return fail(
            "42804",
            format!(
                "binary data has array element type {oid} ({got}) instead of expected {} ({})",
                elem.oid, elem.display
            ),
        );
    }
    let mut dims = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (len, low) = (reader.i32()?, reader.i32()?);
        if len < 0 {
            return fail("22P03", format!("invalid array dimension: {len}"));
        }
        dims.push((len, low));
    }
    let items = item_count(&dims)?;
    let mut values = Vec::with_capacity(items.min(reader.left() / 4 + 1));
    for _ in 0..items {
        let len = reader.i32()?;
        values.push(if len < 0 {
            Datum::Null
        } else {
            elem.recv(reader.take(len as usize)?, typmod, settings)?
        });
    }
    reader.end()?;
    if values.is_empty() && !matches!(info.oid, oids::INT2VECTOR | oids::OIDVECTOR) {
        dims.clear();
    }
    Ok(Datum::Array(Arc::new(Array {
        elem: elem.oid,
        dims,
        values,
    })))
}

fn send(value: &Datum, settings: &Settings, out: &mut Vec<u8>) -> Res<()> {
    let array = value.array()?;
    let elem = registry::get(array.elem)?;
    let nulls = array.values.iter().any(Datum::is_null);
    out.extend_from_slice(&(array.dims.len() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(nulls).to_be_bytes());
    out.extend_from_slice(&elem.oid.0.to_be_bytes());
    for (len, low) in &array.dims {
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&low.to_be_bytes());
    }
    for value in &array.values {
        let start = out.len();
        out.extend_from_slice(&(-1i32).to_be_bytes());
        if !value.is_null() {
            elem.send(value, settings, out)?;
            let len = (out.len() - start - 4) as i32;
            out[start..start + 4].copy_from_slice(&len.to_be_bytes());
        }
    }
    Ok(())
}

/// Element by element, nulls last; then by length, number of dimensions, and dimensions.
pub fn compare(info: &TypeInfo, a: &Array, b: &Array) -> Ordering {
    let elem = registry::find(info.elem);
    for (x, y) in a.values.iter().zip(&b.values) {
        let order = match (x.is_null(), y.is_null()) {
            (false, false) => elem.map_or(Ordering::Equal, |e| e.compare(x, y)),
            (x, y) => x.cmp(&y),
        };
        if order.is_ne() {
            return order;
        }
    }
    let lens = |array: &Array| array.dims.iter().map(|d| d.0).collect::<Vec<_>>();
    let lows = |array: &Array| array.dims.iter().map(|d| d.1).collect::<Vec<_>>();
    (a.values.len().cmp(&b.values.len()))
        .then(a.dims.len().cmp(&b.dims.len()))
        .then_with(|| lens(a).cmp(&lens(b)))
        .then_with(|| lows(a).cmp(&lows(b)))
}

fn compare_datums(info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Array(a), Datum::Array(b)) => compare(info, a, b),
        _ => Ordering::Equal,
    }
}

fn hash_datum(info: &TypeInfo, datum: &Datum) -> u64 {
    let (Datum::Array(array), Some(elem)) = (datum, registry::find(info.elem)) else {
        return 0;
    };
    let item = |value: &Datum| if value.is_null() { 0 } else { elem.hash(value) };
    array
        .values
        .iter()
        .fold(1, |sum, value| hash::combine(sum, item(value)))
}

impl TypeOps for Ops {
    fn input(&self, info: &TypeInfo, text: &str, typmod: i32, settings: &Settings) -> Res<Datum> {
        let elem = registry::get(info.elem)?;
        Ok(Datum::Array(Arc::new(arraytext::parse(
            text, elem, typmod, settings,
        )?)))
    }

    fn output(
        &self,
        info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        arraytext::put(value.array()?, registry::get(info.elem)?, settings, out)
    }

    fn recv(&self, info: &TypeInfo, bytes: &[u8], typmod: i32, settings: &Settings) -> Res<Datum> {
        recv(info, bytes, typmod, settings)
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        send(value, settings, out)
    }

    fn orderable(&self, info: &TypeInfo) -> bool {
        registry::find(info.elem).is_some_and(TypeInfo::orderable)
    }

    fn compare(&self, info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        compare_datums(info, a, b)
    }

    fn hash(&self, info: &TypeInfo, value: &Datum) -> u64 {
        hash_datum(info, value)
    }

    fn coerce(&self, info: &TypeInfo, value: &Datum, typmod: i32, explicit: bool) -> Res<Datum> {
        let elem = registry::get(info.elem)?;
        let array = value.array()?;
        let values = array
            .values
            .iter()
            .map(|v| elem.coerce(v, typmod, explicit))
            .collect::<Res<Vec<_>>>()?;
        Ok(Datum::Array(Arc::new(Array {
            elem: array.elem,
            dims: array.dims.clone(),
            values,
        })))
    }
}

/// int2vector, oidvector: numbers between spaces, one dimension from 0.
impl TypeOps for VectorOps {
    fn input(&self, info: &TypeInfo, text: &str, _typmod: i32, settings: &Settings) -> Res<Datum> {
        let elem = registry::get(info.elem)?;
        let parts = text.split(is_space).filter(|part| !part.is_empty());
        let values = parts
            .map(|part| elem.input(part, NO_TYPMOD, settings))
            .collect::<Res<Vec<_>>>()?;
        let dims = vec![(values.len() as i32, 0)];
        Ok(Datum::Array(Arc::new(Array {
            elem: elem.oid,
            dims,
            values,
        })))
    }

    fn output(
        &self,
        info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        let elem = registry::get(info.elem)?;
        for (at, value) in value.array()?.values.iter().enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            elem.output(value, settings, out)?;
        }
        Ok(())
    }

    fn recv(&self, info: &TypeInfo, bytes: &[u8], typmod: i32, settings: &Settings) -> Res<Datum> {
        recv(info, bytes, typmod, settings)
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        send(value, settings, out)
    }

    fn compare(&self, info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        // oidvector's own order: shorter ones first
        match (a, b) {
            (Datum::Array(a), Datum::Array(b)) => a
                .values
                .len()
                .cmp(&b.values.len())
                .then_with(|| compare(info, a, b)),
            _ => Ordering::Equal,
        }
    }

    fn hash(&self, info: &TypeInfo, value: &Datum) -> u64 {
        hash_datum(info, value)
    }
}
