//! Assignment to parts of an array: `SET a[1] = …`, `SET a[2:3] = …`. PostgreSQL has them in the type's subscripting support, without names.

use super::registry::{lax, Function};
use super::Ctx;
use crate::base::error::{fail, unsupported, Res};
use crate::types::array::{item_count, Array, MAX_ITEMS};
use crate::types::registry;
use crate::types::Datum;
use std::sync::Arc;

fn out_of_range<T>() -> Res<T> {
    fail("2202E", "array subscript out of range")
}

fn bound(value: &Datum) -> Res<i32> {
    match value {
        Datum::Null => fail("22004", "array subscript in assignment must not be null"),
        value => i32::try_from(value.int()?).or_else(|_| out_of_range()),
    }
}

/// The array to be changed; a null one is empty.
fn start(ctx: &Ctx<'_>, array: &Datum) -> Res<Array> {
    match array {
        Datum::Null => {
            let elem = registry::get(ctx.call.typ)?.elem;
            Ok(Array::empty(elem))
        }
        array => Ok((**array.array()?).clone()),
    }
}

/// Makes room for the subscripts `low` to `high` in a one-dimensional array, with nulls where nothing was.
fn reach(array: &mut Array, low: i32, high: i32) -> Res<()> {
    let (len, first) = match array.dims.first() {
        Some(&(len, first)) => (len, first),
        None => (0, low),
    };
    let last = i64::from(first) + i64::from(len) - 1;
    let new_first = first.min(low);
    let new_last = last.max(i64::from(high));
    let count = new_last - i64::from(new_first) + 1;
    let Some(len) = i32::try_from(count).ok().filter(|_| count <= MAX_ITEMS) else {
        return fail(
            "54000",
            format!("array size exceeds the maximum allowed ({MAX_ITEMS})"),
        );
    };
    let dims = vec![(len, new_first)];
    item_count(&dims)?;
    let before = (i64::from(first) - i64::from(new_first)) as usize;
    let mut values = vec![Datum::Null; before];
    values.append(&mut array.values);
    values.resize(count as usize, Datum::Null);
    (array.dims, array.values) = (dims, values);
    Ok(())
}

/// (array, value, subscript …)
fn element(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let [array, value, subscripts @ ..] = args else {
        return fail("XX000", "an assignment to an element has too few arguments");
    };
    let mut array = start(ctx, array)?;
    let subscripts = subscripts.iter().map(bound).collect::<Res<Vec<_>>>()?;
    if array.dims.is_empty() && subscripts.len() > 1 {
        array.dims = subscripts.iter().map(|&low| (1, low)).collect();
        array.values = vec![Datum::Null];
    }
    if array.dims.len() > 1 && array.dims.len() != subscripts.len() {
        return fail("2202E", "wrong number of array subscripts");
    }
    match subscripts[..] {
        [at] if array.dims.len() <= 1 => reach(&mut array, at, at)?,
        _ if array.dims.len() != subscripts.len() => {
            return fail("2202E", "wrong number of array subscripts")
        }
        _ => {}
    }
    let Some(place) = array.position(&subscripts) else {
        return out_of_range();
    };
    array.values[place] = value.clone();
    Ok(Datum::Array(Arc::new(array)))
}

/// (array, values, lower bound, upper bound), a bound that was not written being the array's own (null here).
fn slice(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let [old, new, low, high, given] = args else {
        return fail("XX000", "an assignment to a slice has five arguments");
    };
    let given = given.int()?;
    let (low_given, high_given) = (given & 1 != 0, given & 2 != 0);
    let low = if low_given { Some(bound(low)?) } else { None };
    let high = if high_given { Some(bound(high)?) } else { None };
    if new.is_null() {
        return Ok(old.clone());
    }
    let mut array = start(ctx, old)?;
    let new = new.array()?;
    if array.dims.len() > 1 {
        return unsupported("assignment to a slice of an array of several dimensions");
    }
    let (low, high) = match (low, high, array.dims.first()) {
        (Some(low), Some(high), _) => (low, high),
        (low, high, Some(&(len, first))) => (
            low.unwrap_or(first),
            high.unwrap_or(first.saturating_add(len - 1)),
        ),
        _ => {
            return Err(crate::base::SqlError::new(
                "2202E",
                "array slice subscript must provide both boundaries",
            )
            .detail("When assigning to a slice of an empty array value, slice boundaries must be fully specified.")
            .into())
        }
    };
    if low > high {
        return match array.dims.is_empty() {
            true => Ok(old.clone()),
            false => fail("2202E", "upper bound cannot be less than lower bound"),
        };
    }
    let count = (i64::from(high) - i64::from(low) + 1) as usize;
    if new.values.len() < count {
        return fail("2202E", "source array too small");
    }
    reach(&mut array, low, high)?;
    let Some(place) = array.position(&[low]) else {
        return out_of_range();
    };
    array.values[place..place + count].clone_from_slice(&new.values[..count]);
    Ok(Datum::Array(Arc::new(array)))
}

pub const FAMILIES: &[&[Function]] = &[&[
    lax("array_set_element", element),
    lax("array_set_slice", slice),
]];
