//! Three-valued logic and everything lazy: AND, OR, CASE, COALESCE evaluate an argument only over the rows that need it.

use super::arrays::ValueSet;
use super::code::*;
use super::env::ELEMENT_BYTES;
use super::eval::{count, eval, Cx, Sel, Value};
use crate::base::{pace, Res};
use crate::exec::batch::{Batch, Kind, Vector};
use crate::types::registry::TypeInfo;
use crate::types::Datum;
use std::cmp::Ordering;

/// The rows of the batch that positions of a selection stand for.
fn narrowed(sel: Sel<'_>, positions: &[u32]) -> Vec<u32> {
    match sel {
        None => positions.to_vec(),
        Some(rows) => positions.iter().map(|&p| rows[p as usize]).collect(),
    }
}

fn bools(values: Vec<Option<bool>>) -> Value<'static> {
    let mut out = Vector::of_kind(Kind::Bool, values.len());
    for value in values {
        out.push(value.map_or(Datum::Null, Datum::Bool));
    }
    Value::Own(out)
}

/// AND (`stop` false) or OR (`stop` true): an argument that equals `stop` decides a row.
pub fn junction<'a>(
    cx: &mut Cx<'_>,
    args: &[Code],
    input: &'a Batch,
    sel: Sel<'_>,
    stop: bool,
) -> Res<Value<'a>> {
    let len = count(input, sel);
    let mut result: Vec<Option<bool>> = vec![Some(!stop); len];
    let mut open: Option<Vec<u32>> = None;
    for arg in args {
        pace::check()?;
        let value = match &open {
            None => eval(cx, arg, input, sel)?,
            Some(positions) if positions.is_empty() => break,
            Some(positions) => {
                let rows = narrowed(sel, positions);
                eval(cx, arg, input, Some(&rows))?
            }
        };
        let mut left = Vec::new();
        let total = open.as_ref().map_or(len, Vec::len);
        for k in 0..total {
            let position = open.as_ref().map_or(k as u32, |o| o[k]);
            match value.truth(k) {
                Some(b) if b == stop => result[position as usize] = Some(stop),
                Some(_) => left.push(position),
                None => {
                    result[position as usize] = None;
                    left.push(position);
                }
            }
        }
        open = (left.len() < len).then_some(left);
    }
    Ok(bools(result))
}

pub fn not<'a>(cx: &mut Cx<'_>, arg: &Code, input: &'a Batch, sel: Sel<'_>) -> Res<Value<'a>> {
    let len = count(input, sel);
    Ok(match eval(cx, arg, input, sel)? {
        Value::One(Datum::Bool(b)) => Value::One(Datum::Bool(!b)),
        Value::One(_) => Value::One(Datum::Null),
        Value::Own(Vector::Bool(mut v, n)) => {
            v.iter_mut().for_each(|b| *b = !*b);
            Value::Own(Vector::Bool(v, n))
        }
        value => bools((0..len).map(|i| value.truth(i).map(|b| !b)).collect()),
    })
}

/// A row value is null when all its fields are, and not null when none is.
fn null_test(value: &Datum, not: bool) -> bool {
    match value {
        Datum::Record(r) if not => r.values.iter().all(|v| !v.is_null()),
        Datum::Record(r) => r.values.iter().all(Datum::is_null),
        value => value.is_null() != not,
    }
}

pub fn is_null<'a>(
    cx: &mut Cx<'_>,
    arg: &Code,
    not: bool,
    input: &'a Batch,
    sel: Sel<'_>,
) -> Res<Value<'a>> {
    let len = count(input, sel);
    let value = eval(cx, arg, input, sel)?;
    let column = match &value {
        Value::One(one) => return Ok(Value::One(Datum::Bool(null_test(one, not)))),
        Value::Ref(v) => *v,
        Value::Own(v) => v,
    };
    let result = match column {
        Vector::Any(values) => values.iter().map(|v| null_test(v, not)).collect(),
        Vector::Bool(_, n) | Vector::Int(_, n) | Vector::Float(_, n) if n.is_empty() => {
            vec![not; len]
        }
        Vector::Bool(_, n) | Vector::Int(_, n) | Vector::Float(_, n) => {
            n.iter().map(|&null| null != not).collect()
        }
    };
    Ok(Value::Own(Vector::Bool(result, Vec::new())))
}

pub fn bool_test<'a>(
    cx: &mut Cx<'_>,
    arg: &Code,
    want: Option<bool>,
    not: bool,
    input: &'a Batch,
    sel: Sel<'_>,
) -> Res<Value<'a>> {
    let len = count(input, sel);
    let value = eval(cx, arg, input, sel)?;
    let result = (0..len).map(|i| (value.truth(i) == want) != not).collect();
    Ok(Value::Own(Vector::Bool(result, Vec::new())))
}

/// Does the call (an equality) hold for two values that are not null?
fn holds(cx: &mut Cx<'_>, call: &Call, left: Datum, right: Datum) -> Res<Option<bool>> {
    match cx.env.call(call, &[left, right])? {
        Datum::Bool(b) => Ok(Some(b)),
        _ => Ok(None),
    }
}

pub fn distinct<'a>(
    cx: &mut Cx<'_>,
    call: &Call,
    left: &Value<'_>,
    right: &Value<'_>,
    not: bool,
    len: usize,
) -> Res<Value<'a>> {
    let mut out = Vec::with_capacity(len);
    for i in 0..len {
        let differ = match (left.get(i), right.get(i)) {
            (Datum::Null, Datum::Null) => false,
            (Datum::Null, _) | (_, Datum::Null) => true,
            (l, r) => holds(cx, call, l, r)? != Some(true),
        };
        out.push(differ != not);
    }
    Ok(Value::Own(Vector::Bool(out, Vec::new())))
}

pub fn null_if<'a>(
    cx: &mut Cx<'_>,
    call: &Call,
    left: &Value<'_>,
    right: &Value<'_>,
    kind: Kind,
    len: usize,
) -> Res<Value<'a>> {
    let mut out = Vector::of_kind(kind, len);
    for i in 0..len {
        let (l, r) = (left.get(i), right.get(i));
        if !l.is_null() && !r.is_null() && holds(cx, call, l.clone(), r)? == Some(true) {
            out.push_null();
        } else {
            out.push(l);
        }
    }
    Ok(Value::Own(out))
}

/// Put values at their positions; all positions are filled in the end.
struct Scatter {
    values: Vec<Datum>,
}

impl Scatter {
    fn new(len: usize) -> Scatter {
        Scatter {
            values: vec![Datum::Null; len],
        }
    }

    fn put(&mut self, positions: &[u32], value: &Value<'_>) {
        for (k, &p) in positions.iter().enumerate() {
            self.values[p as usize] = value.get(k);
        }
    }

    fn finish(self, kind: Kind) -> Value<'static> {
        if kind == Kind::Any {
            return Value::Own(Vector::Any(self.values));
        }
        let mut out = Vector::of_kind(kind, self.values.len());
        self.values.into_iter().for_each(|v| out.push(v));
        Value::Own(out)
    }
}

pub fn case<'a>(
    cx: &mut Cx<'_>,
    whens: &[(Code, Code)],
    other: Option<&Code>,
    kind: Kind,
    input: &'a Batch,
    sel: Sel<'_>,
) -> Res<Value<'a>> {
    let len = count(input, sel);
    let mut out = Scatter::new(len);
    let mut open: Vec<u32> = (0..len as u32).collect();
    for (when, then) in whens {
        if open.is_empty() {
            break;
        }
        pace::check()?;
        let rows = narrowed(sel, &open);
        let test = eval(cx, when, input, Some(&rows))?;
        let (mut hit, mut rest) = (Vec::new(), Vec::new());
        for (k, &p) in open.iter().enumerate() {
            if test.truth(k) == Some(true) {
                hit.push(p);
            } else {
                rest.push(p);
            }
        }
        if !hit.is_empty() {
            let rows = narrowed(sel, &hit);
            let value = eval(cx, then, input, Some(&rows))?;
            out.put(&hit, &value);
        }
        open = rest;
    }
    if let (Some(other), false) = (other, open.is_empty()) {
        let rows = narrowed(sel, &open);
        let value = eval(cx, other, input, Some(&rows))?;
        out.put(&open, &value);
    }
    Ok(out.finish(kind))
}

pub fn coalesce<'a>(
    cx: &mut Cx<'_>,
    args: &[Code],
    kind: Kind,
    input: &'a Batch,
    sel: Sel<'_>,
) -> Res<Value<'a>> {
    let len = count(input, sel);
    let mut out = Scatter::new(len);
    let mut open: Vec<u32> = (0..len as u32).collect();
    for arg in args {
        if open.is_empty() {
            break;
        }
        let rows = narrowed(sel, &open);
        let value = eval(cx, arg, input, Some(&rows))?;
        out.put(&open, &value);
        let mut k = 0;
        open.retain(|_| {
            k += 1;
            value.is_null(k - 1)
        });
    }
    Ok(out.finish(kind))
}

pub fn extreme<'a>(
    args: &[Value<'_>],
    info: &TypeInfo,
    greatest: bool,
    kind: Kind,
    len: usize,
) -> Value<'a> {
    let better = if greatest {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    let mut out = Vector::of_kind(kind, len);
    for i in 0..len {
        let mut best = Datum::Null;
        for arg in args {
            let value = arg.get(i);
            if !value.is_null() && (best.is_null() || info.compare(&value, &best) == better) {
                best = value;
            }
        }
        out.push(best);
    }
    Value::Own(out)
}

pub fn any_all<'a>(
    cx: &mut Cx<'_>,
    code: &AnyAllCode,
    input: &'a Batch,
    sel: Sel<'_>,
) -> Res<Value<'a>> {
    let len = count(input, sel);
    let left = eval(cx, &code.left, input, sel)?;
    let found = |set: &ValueSet| {
        let found = (0..len).map(|i| set.has(&left.get(i)).map(|found| found != code.all));
        bools(found.collect())
    };
    if let Some(set) = &code.set {
        return Ok(found(set));
    }
    let array = eval(cx, &code.array, input, sel)?;
    if let (Value::One(Datum::Array(array)), Some(equality)) = (&array, code.equality) {
        if let Some(set) = cx.env.arrays.set(array, equality, len)? {
            return Ok(found(&set));
        }
    }
    let mut out = Vec::with_capacity(len);
    for i in 0..len {
        out.push(quantified(cx, code, &left.get(i), &array.get(i))?);
    }
    Ok(bools(out))
}

/// `left OP ANY/ALL (array)` for one row.
fn quantified(
    cx: &mut Cx<'_>,
    code: &AnyAllCode,
    left: &Datum,
    array: &Datum,
) -> Res<Option<bool>> {
    let Datum::Array(array) = array else {
        return Ok(None);
    };
    let strict = code.call.function.strict;
    let mut result = Some(code.all);
    if strict && left.is_null() && !array.values.is_empty() {
        return Ok(None);
    }
    pace::heavy(array.values.len().saturating_mul(ELEMENT_BYTES))?;
    for element in &array.values {
        pace::step(ELEMENT_BYTES)?;
        let one = if strict && element.is_null() {
            None
        } else {
            holds(cx, &code.call, left.clone(), element.clone())?
        };
        match one {
            Some(b) if b != code.all => return Ok(Some(b)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}
