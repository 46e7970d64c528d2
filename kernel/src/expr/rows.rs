//! Values made of values: arrays, rows, and the casts that go through text or element by element.

use super::code::*;
use super::env::ELEMENT_BYTES;
use super::eval::{count, eval, list, Cx, Sel, Value};
use crate::base::error::fail;
use crate::base::{pace, Oid, Res};
use crate::exec::batch::{Batch, Kind, Vector};
use crate::types::array::Array;
use crate::types::registry::TypeInfo;
use crate::types::{Datum, Record};
use std::cmp::Ordering;
use std::sync::Arc;

pub fn eval_values<'a>(
    values: &[Value<'_>],
    len: usize,
    kind: Kind,
    f: impl Fn(Vec<Datum>) -> Res<Datum>,
) -> Res<Value<'a>> {
    let mut out = Vector::of_kind(kind, len);
    for i in 0..len {
        pace::step(ROW_WORK)?;
        let value = f(values.iter().map(|v| v.get(i)).collect())?;
        pace::made(value.long_bytes())?;
        out.push(value);
    }
    Ok(Value::Own(out))
}

/// What `eval::eval` leaves to this file.
pub fn evaluate<'a>(
    cx: &mut Cx<'_>,
    code: &Code,
    input: &'a Batch,
    sel: Sel<'_>,
) -> Res<Value<'a>> {
    let len = count(input, sel);
    match code {
        Code::Array { args, elem, nested } => {
            let args = list(cx, args, input, sel)?;
            eval_values(&args, len, Kind::Any, |row| make_array(row, *elem, *nested))
        }
        Code::Subscript { arg, index, kind } => {
            let arg = eval(cx, arg, input, sel)?;
            let index = subscripts(cx, index, input, sel)?;
            let mut out = Vector::of_kind(*kind, len);
            for i in 0..len {
                out.push(subscript(&arg.get(i), &index, i)?);
            }
            Ok(Value::Own(out))
        }
        Code::Row { args, types } => {
            let args = list(cx, args, input, sel)?;
            eval_values(&args, len, Kind::Any, |values| {
                Ok(Datum::Record(Arc::new(Record {
                    types: types.clone(),
                    values,
                })))
            })
        }
        Code::Field { arg, i, kind } => {
            let arg = eval(cx, arg, input, sel)?;
            eval_values(&[arg], len, *kind, |row| match row.first() {
                Some(Datum::Record(r)) => Ok(r.values.get(*i).cloned().unwrap_or_default()),
                _ => Ok(Datum::Null),
            })
        }
        Code::RowCompare {
            op,
            left,
            right,
            infos,
        } => {
            let left = list(cx, left, input, sel)?;
            let right = list(cx, right, input, sel)?;
            let mut out = Vector::of_kind(Kind::Bool, len);
            for i in 0..len {
                out.push(
                    row_compare(*op, &left, &right, infos, i).map_or(Datum::Null, Datum::Bool),
                );
            }
            Ok(Value::Own(out))
        }
        _ => cast(cx, code, input, sel),
    }
}

/// The kinds of cast.
fn cast<'a>(cx: &mut Cx<'_>, code: &Code, input: &'a Batch, sel: Sel<'_>) -> Res<Value<'a>> {
    let len = count(input, sel);
    match code {
        Code::CastIo {
            arg,
            from,
            to,
            typmod,
        } => {
            let arg = eval(cx, arg, input, sel)?;
            cast_io(cx, arg, (from, to, *typmod), len)
        }
        Code::CastArray {
            arg,
            cast,
            from,
            to,
        } => {
            let arg = eval(cx, arg, input, sel)?;
            cast_array(cx, arg, cast, (*from, *to), len)
        }
        Code::Typmod {
            arg,
            info,
            typmod,
            explicit,
        } => {
            let arg = eval(cx, arg, input, sel)?;
            typmod_coerce(arg, info, *typmod, *explicit, len)
        }
        _ => fail("XX000", "unknown expression code"),
    }
}

fn typmod_coerce<'a>(
    arg: Value<'a>,
    info: &TypeInfo,
    typmod: i32,
    explicit: bool,
    len: usize,
) -> Res<Value<'a>> {
    if let Value::One(value) = &arg {
        return Ok(Value::One(info.coerce(value, typmod, explicit)?));
    }
    let mut out = Vector::of_type(info.oid, len);
    for i in 0..len {
        let value = info.coerce(&arg.get(i), typmod, explicit)?;
        pace::made(value.long_bytes())?;
        out.push(value);
    }
    Ok(Value::Own(out))
}

fn make_array(values: Vec<Datum>, elem: Oid, nested: bool) -> Res<Datum> {
    if !nested {
        let dims = if values.is_empty() {
            Vec::new()
        } else {
            vec![(values.len() as i32, 1)]
        };
        return Ok(Datum::Array(Arc::new(Array { elem, dims, values })));
    }
    let outer = values.len() as i32;
    let mut dims: Option<Vec<(i32, i32)>> = None;
    let mut all = Vec::new();
    for value in &values {
        let (inner, items): (&[(i32, i32)], &[Datum]) = match value {
            Datum::Array(a) => (&a.dims, &a.values),
            _ => (&[], &[]),
        };
        match &dims {
            None => dims = Some(inner.to_vec()),
            Some(d) if d.as_slice() == inner => {}
            Some(_) => {
                return fail(
                    "2202E",
                    "multidimensional arrays must have array expressions with matching dimensions",
                )
            }
        }
        pace::heavy(items.len() * ELEMENT_BYTES)?;
        all.extend_from_slice(items);
    }
    let dims = match dims {
        Some(inner) if !inner.is_empty() => std::iter::once((outer, 1)).chain(inner).collect(),
        _ => Vec::new(),
    };
    Ok(Datum::Array(Arc::new(Array {
        elem,
        dims,
        values: all,
    })))
}

/// One subscript's columns; a bound that is not written is the array's own.
struct Subscripts<'a> {
    slice: bool,
    low: Option<Value<'a>>,
    high: Option<Value<'a>>,
}

fn subscripts<'a>(
    cx: &mut Cx<'_>,
    index: &[(bool, Option<Code>, Option<Code>)],
    input: &'a Batch,
    sel: Sel<'_>,
) -> Res<Vec<Subscripts<'a>>> {
    let mut out = Vec::with_capacity(index.len());
    for (slice, low, high) in index {
        let low = low.as_ref().map(|c| eval(cx, c, input, sel)).transpose()?;
        let high = high.as_ref().map(|c| eval(cx, c, input, sel)).transpose()?;
        out.push(Subscripts {
            slice: *slice,
            low,
            high,
        });
    }
    Ok(out)
}

fn bound(value: &Option<Value<'_>>, i: usize, default: i64) -> Option<i64> {
    match value {
        None => Some(default),
        Some(v) => match v.get(i) {
            Datum::Int(n) => Some(n),
            _ => None,
        },
    }
}

fn subscript(array: &Datum, index: &[Subscripts<'_>], row: usize) -> Res<Datum> {
    let Datum::Array(array) = array else {
        return Ok(Datum::Null);
    };
    if index.iter().any(|s| s.slice) {
        return slice(array, index, row);
    }
    let mut at = 0i64;
    let fits = index.len() == array.dims.len();
    for (k, item) in index.iter().enumerate() {
        // A single subscript stands in either place.
        let one = if item.low.is_some() {
            &item.low
        } else {
            &item.high
        };
        let Some(n) = bound(one, row, 0) else {
            return Ok(Datum::Null);
        };
        let Some(&(len, low)) = array.dims.get(k) else {
            return Ok(Datum::Null);
        };
        let offset = n - i64::from(low);
        if offset < 0 || offset >= i64::from(len) {
            return Ok(Datum::Null);
        }
        at = at * i64::from(len) + offset;
    }
    if !fits {
        return Ok(Datum::Null);
    }
    Ok(array.values.get(at as usize).cloned().unwrap_or_default())
}

/// Every subscript counts as a slice: `[n]` is `[1:n]`. The result's lower bounds are 1.
fn slice(array: &Array, index: &[Subscripts<'_>], row: usize) -> Res<Datum> {
    let empty = || {
        Ok(Datum::Array(Arc::new(Array {
            elem: array.elem,
            dims: Vec::new(),
            values: Vec::new(),
        })))
    };
    let mut ranges = Vec::with_capacity(array.dims.len());
    for (k, &(len, low)) in array.dims.iter().enumerate() {
        let (first, last) = (i64::from(low), i64::from(low) + i64::from(len) - 1);
        let (from, to) = match index.get(k) {
            None => (Some(first), Some(last)),
            Some(s) if s.slice => (bound(&s.low, row, first), bound(&s.high, row, last)),
            Some(s) => (
                Some(1),
                bound(if s.low.is_some() { &s.low } else { &s.high }, row, last),
            ),
        };
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(Datum::Null);
        };
        let (from, to) = (from.max(first), to.min(last));
        if from > to {
            return empty();
        }
        ranges.push(((from - first) as usize, (to - first) as usize));
    }
    if index.len() > array.dims.len() {
        return empty();
    }
    let dims: Vec<(i32, i32)> = ranges
        .iter()
        .map(|(f, t)| ((t - f + 1) as i32, 1))
        .collect();
    let count: usize = ranges.iter().map(|(from, to)| to - from + 1).product();
    let bytes = count * std::mem::size_of::<Datum>();
    pace::heavy(bytes)?;
    pace::made(bytes)?;
    let mut values = Vec::with_capacity(count);
    collect_slice(array, &ranges, 0, 0, &mut values)?;
    Ok(Datum::Array(Arc::new(Array {
        elem: array.elem,
        dims,
        values,
    })))
}

fn collect_slice(
    array: &Array,
    ranges: &[(usize, usize)],
    dim: usize,
    base: usize,
    out: &mut Vec<Datum>,
) -> Res<()> {
    let Some(&(from, to)) = ranges.get(dim) else {
        pace::step(ELEMENT_BYTES)?;
        out.extend(array.values.get(base).cloned());
        return Ok(());
    };
    let len = array.dims[dim].0 as usize;
    (from..=to).try_for_each(|i| collect_slice(array, ranges, dim + 1, base * len + i, out))
}

/// SQL's row comparison: nulls make it unknown where they decide.
fn row_compare(
    op: RowOp,
    left: &[Value<'_>],
    right: &[Value<'_>],
    infos: &[&'static TypeInfo],
    i: usize,
) -> Option<bool> {
    let mut unknown = false;
    for ((l, r), info) in left.iter().zip(right).zip(infos) {
        let (l, r) = (l.get(i), r.get(i));
        let order = if l.is_null() || r.is_null() {
            None
        } else {
            Some(info.compare(&l, &r))
        };
        match (op, order) {
            (RowOp::Eq | RowOp::Ne, None) => unknown = true,
            (RowOp::Eq, Some(o)) if o != Ordering::Equal => return Some(false),
            (RowOp::Ne, Some(o)) if o != Ordering::Equal => return Some(true),
            (RowOp::Eq | RowOp::Ne, Some(_)) => {}
            (_, None) => return None,
            (_, Some(Ordering::Equal)) => {}
            (RowOp::Lt | RowOp::Le, Some(o)) => return Some(o == Ordering::Less),
            (RowOp::Gt | RowOp::Ge, Some(o)) => return Some(o == Ordering::Greater),
        }
    }
    if unknown {
        return None;
    }
    Some(matches!(op, RowOp::Eq | RowOp::Le | RowOp::Ge))
}

/// What making a value of others counts as in `pace`, for each row.
const ROW_WORK: usize = 128;
/// What the cast of a short value counts as in `pace`.
const CAST_WORK: usize = 64;

type IoCast<'c> = (&'c TypeInfo, &'c TypeInfo, i32);

fn cast_io<'a>(
    cx: &mut Cx<'_>,
    arg: Value<'_>,
    (from, to, typmod): IoCast<'_>,
    len: usize,
) -> Res<Value<'a>> {
    let settings = cx.env.setup.settings.clone();
    let cast = |value: Datum| -> Res<Datum> {
        if value.is_null() {
            return Ok(Datum::Null);
        }
        pace::step(CAST_WORK)?;
        let text = from.text(&value, &settings)?;
        pace::heavy(text.len())?;
        let value = to.input(&text, typmod, &settings)?;
        pace::made(value.long_bytes())?;
        Ok(value)
    };
    if let Value::One(value) = arg {
        return Ok(Value::One(cast(value)?));
    }
    let mut out = Vector::of_type(to.oid, len);
    for i in 0..len {
        out.push(cast(arg.get(i))?);
    }
    Ok(Value::Own(out))
}

/// All arrays' elements go through the cast as one batch; an array that is the same for all rows does once.
fn cast_array<'a>(
    cx: &mut Cx<'_>,
    arg: Value<'_>,
    cast: &Code,
    (from, to): (Oid, Oid),
    len: usize,
) -> Res<Value<'a>> {
    let same = matches!(arg, Value::One(_)) && len > 0;
    let arrays: Vec<Datum> = (0..if same { 1 } else { len })
        .map(|i| arg.get(i))
        .collect();
    let mut elements = Batch::of_types(&[from], 0);
    for array in &arrays {
        if let Datum::Array(array) = array {
            pace::heavy(array.values.len() * CAST_WORK)?;
            for value in &array.values {
                pace::step(CAST_WORK)?;
                elements.columns[0].push(value.clone());
                elements.len += 1;
            }
        }
    }
    let done = eval(cx, cast, &elements, None)?;
    let mut at = 0;
    let mut out = Vec::with_capacity(len);
    for array in arrays {
        out.push(match array {
            Datum::Array(a) => {
                pace::made(a.values.len() * ELEMENT_BYTES)?;
                let value = |k| pace::step(ELEMENT_BYTES).map(|()| done.get(k));
                let values = (at..at + a.values.len()).map(value).collect::<Res<_>>()?;
                at += a.values.len();
                Datum::Array(Arc::new(Array {
                    elem: to,
                    dims: a.dims.clone(),
                    values,
                }))
            }
            _ => Datum::Null,
        });
    }
    match out.pop() {
        Some(array) if same => Ok(Value::One(array)),
        last => {
            out.extend(last);
            Ok(Value::Own(Vector::Any(out)))
        }
    }
}
