//! Array functions and operators.

use super::registry::{lax, pure, Function};
use super::Ctx;
use crate::base::error::{fail, Res};
use crate::base::{pace, Oid};
use crate::types::array::{item_count, Array, MAX_DIMS};
use crate::types::registry::{self, TypeInfo};
use crate::types::{oids, Datum};
use ahash::AHashMap;
use smallvec::SmallVec;
use std::sync::Arc;

/// What an element that is looked up by its hash counts as in `pace`.
const HASHED: usize = 64;

fn made(array: Array) -> Res<Datum> {
    item_count(&array.dims)?;
    Ok(Datum::Array(Arc::new(array)))
}

fn elem_of(typ: Oid) -> Oid {
    registry::find(typ).map_or(Oid(0), |info| info.elem)
}

/// The array argument, or an empty one of the right type where it is null.
fn or_empty(ctx: &Ctx<'_>, value: &Datum) -> Res<Arc<Array>> {
    if value.is_null() {
        return Ok(Arc::new(Array::empty(elem_of(ctx.call.typ))));
    }
    Ok(value.array()?.clone())
}

fn one_dimensional(array: &Array) -> Res<()> {
    if array.dims.len() > 1 {
        return fail("22000", "argument must be empty or one-dimensional array");
    }
    Ok(())
}

fn add(ctx: &mut Ctx<'_>, array: &Datum, value: &Datum, front: bool) -> Res<Datum> {
    let array = or_empty(ctx, array)?;
    one_dimensional(&array)?;
    let mut values = Vec::with_capacity(array.values.len() + 1);
    let (_, mut low) = array.dims.first().copied().unwrap_or((0, 1));
    if front {
        values.push(value.clone());
        values.extend_from_slice(&array.values);
        // the new element takes the place before; array_prepend keeps the lower bound
    } else {
        values.extend_from_slice(&array.values);
        values.push(value.clone());
    }
    if array.dims.is_empty() {
        low = 1;
    }
    made(Array {
        elem: array.elem,
        dims: vec![(values.len() as i32, low)],
        values,
    })
}

fn incompatible<T>(detail: impl Into<String>) -> Res<T> {
    Err(
        crate::base::SqlError::new("2202E", "cannot concatenate incompatible arrays")
            .detail(detail)
            .into(),
    )
}

fn cat(a: &Datum, b: &Datum) -> Res<Datum> {
    if a.is_null() || b.is_null() {
        return Ok(if a.is_null() { b.clone() } else { a.clone() });
    }
    let (left, right) = (a.array()?, b.array()?);
    if left.is_empty() {
        return Ok(b.clone());
    }
    if right.is_empty() {
        return Ok(a.clone());
    }
    let (m, n) = (left.dims.len(), right.dims.len());

    let dims = if m == n {
        if left.dims[1..] != right.dims[1..] {
            return incompatible(
                "Arrays with differing element dimensions are not compatible for concatenation.",
            );
        }
        let mut dims = left.dims.clone();
        dims[0].0 += right.dims[0].0;
        dims
    } else if m + 1 == n || n + 1 == m {
        let (small, large) = if m < n { (left, right) } else { (right, left) };
        if small.dims[..] != large.dims[1..] {
            return incompatible(
                "Arrays with differing dimensions are not compatible for concatenation.",
            );
        }
        let mut dims = large.dims.clone();
        dims[0].0 += 1;
        dims
    } else {
        return incompatible(format!(
            "Arrays of {m} and {n} dimensions are not compatible for concatenation."
        ));
    };
    let values = left.values.iter().chain(&right.values).cloned().collect();
    made(Array {
        elem: left.elem,
        dims,
        values,
    })
}

fn dimension(args: &[Datum]) -> Res<Option<(i32, i32)>> {
    let array = args[0].array()?;
    Ok(usize::try_from(args[1].int()?)
        .ok()
        .and_then(|d| d.checked_sub(1))
        .and_then(|d| array.dims.get(d))
        .copied())
}

fn number(value: Option<i64>) -> Res<Datum> {
    Ok(value.map_or(Datum::Null, Datum::Int))
}

fn dims_text(array: &Array) -> Datum {
    if array.dims.is_empty() {
        return Datum::Null;
    }
    let one = |&(len, low): &(i32, i32)| format!("[{low}:{}]", i64::from(low) + i64::from(len) - 1);
    Datum::text(array.dims.iter().map(one).collect::<String>())
}

fn equality(elem: Oid) -> Res<&'static TypeInfo> {
    let info = registry::get(elem)?;
    if !info.orderable() && !matches!(elem, oids::XID | oids::CID) {
        return fail(
            "42883",
            format!(
                "could not identify an equality operator for type {}",
                info.display
            ),
        );
    }
    Ok(info)
}

fn same(info: &TypeInfo, a: &Datum, b: &Datum) -> bool {
    match (a.is_null(), b.is_null()) {
        (false, false) => info.equal(a, b),
        (a, b) => a && b,
    }
}

/// What many values are looked up in: by hash. A null is equal to nothing.
struct Elements<'a> {
    info: &'static TypeInfo,
    by_hash: AHashMap<u64, SmallVec<[&'a Datum; 1]>>,
}

impl<'a> Elements<'a> {
    fn of(array: &'a Array) -> Res<Elements<'a>> {
        let info = equality(array.elem)?;
        let mut by_hash: AHashMap<u64, SmallVec<[&Datum; 1]>> = AHashMap::new();
        for value in array.values.iter().filter(|value| !value.is_null()) {
            pace::step(HASHED)?;
            let same = by_hash.entry(info.hash(value)).or_default();
            if !same.iter().any(|one| info.equal(one, value)) {
                same.push(value);
            }
        }
        Ok(Elements { info, by_hash })
    }

    fn has(&self, value: &Datum) -> Res<bool> {
        pace::step(HASHED)?;
        let same = match value.is_null() {
            true => None,
            false => self.by_hash.get(&self.info.hash(value)),
        };
        Ok(same.is_some_and(|same| same.iter().any(|one| self.info.equal(one, value))))
    }
}

/// Every element of `b` is in `a`.
fn contains(a: &Array, b: &Array) -> Res<bool> {
    let elements = Elements::of(a)?;
    for value in &b.values {
        if !elements.has(value)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn overlap(a: &Array, b: &Array) -> Res<bool> {
    // The shorter one is hashed.
    let (few, many) = match a.values.len() < b.values.len() {
        true => (a, b),
        false => (b, a),
    };
    let elements = Elements::of(few)?;
    for value in &many.values {
        if elements.has(value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn check_same_elem(a: &Array, b: &Array) -> Res<()> {
    if a.elem != b.elem {
        return fail("42804", "cannot compare arrays of different element types");
    }
    Ok(())
}

fn pair(args: &[Datum], test: fn(&Array, &Array) -> Res<bool>) -> Res<Datum> {
    let (a, b) = (args[0].array()?, args[1].array()?);
    check_same_elem(a, b)?;
    test(a, b).map(Datum::Bool)
}

fn position(args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let array = args[0].array()?;
    if array.dims.len() > 1 {
        return fail(
            "0A000",
            "searching for elements in multidimensional arrays is not supported",
        );
    }
    let info = equality(array.elem)?;
    let low = array.dims.first().map_or(1, |d| i64::from(d.1));
    let start = match args.get(2) {
        Some(Datum::Null) => return fail("22004", "initial position must not be null"),
        Some(start) => start.int()?,
        None => low,
    };
    let from = usize::try_from(start - low).unwrap_or(0);
    let found = array
        .values
        .iter()
        .enumerate()
        .skip(from)
        .find(|(_, value)| same(info, value, &args[1]));
    number(found.map(|(at, _)| at as i64 + low))
}

fn positions(args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let array = args[0].array()?;
    if array.dims.len() > 1 {
        return fail(
            "0A000",
            "searching for elements in multidimensional arrays is not supported",
        );
    }
    let info = equality(array.elem)?;
    let low = array.dims.first().map_or(1, |d| i64::from(d.1));
    let found = array
        .values
        .iter()
        .enumerate()
        .filter(|(_, value)| same(info, value, &args[1]));
    let values = found.map(|(at, _)| Datum::Int(at as i64 + low)).collect();
    made(Array::from_values(oids::INT4, values))
}

fn remove(args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let array = args[0].array()?;
    if array.dims.len() > 1 {
        return fail(
            "0A000",
            "removing elements from multidimensional arrays is not supported",
        );
    }
    let info = equality(array.elem)?;
    let values: Vec<Datum> = array
        .values
        .iter()
        .filter(|value| !same(info, value, &args[1]))
        .cloned()
        .collect();
    if values.len() == array.values.len() {
        return Ok(args[0].clone());
    }
    let low = array.dims.first().map_or(1, |d| d.1);
    let dims = if values.is_empty() {
        Vec::new()
    } else {
        vec![(values.len() as i32, low)]
    };
    made(Array {
        elem: array.elem,
        dims,
        values,
    })
}

fn replace(args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let array = args[0].array()?;
    let info = equality(array.elem)?;
    let one = |value: &Datum| {
        if same(info, value, &args[1]) {
            args[2].clone()
        } else {
            value.clone()
        }
    };
    made(Array {
        elem: array.elem,
        dims: array.dims.clone(),
        values: array.values.iter().map(one).collect(),
    })
}

fn repeated(value: &Datum, count: usize) -> Res<Vec<Datum>> {
    pace::heavy(count * std::mem::size_of::<Datum>())?;
    let copy = |_| pace::step(std::mem::size_of::<Datum>()).map(|()| value.clone());
    (0..count).map(copy).collect()
}

fn fill(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    if args[1].is_null() || args.get(2).is_some_and(Datum::is_null) {
        return fail("22004", "dimension array or low bound array cannot be null");
    }
    let numbers = |value: &Datum| -> Res<Vec<i32>> {
        let array = value.array()?;
        if array.dims.len() > 1 {
            let error = crate::base::SqlError::new("2202E", "wrong number of array subscripts");
            return Err(error
                .detail("Dimension array must be one dimensional.")
                .into());
        }
        let one = |v: &Datum| {
            if v.is_null() {
                fail("22004", "dimension values cannot be null")
            } else {
                Ok(v.int()? as i32)
            }
        };
        array.values.iter().map(one).collect()
    };
    let lens = numbers(&args[1])?;
    let lows = args.get(2).map_or(Ok(vec![1; lens.len()]), numbers)?;
    if lens.len() > MAX_DIMS {
        return fail(
            "54000",
            format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMS})",
                lens.len()
            ),
        );
    }
    if lows.len() != lens.len() {
        let error = crate::base::SqlError::new("2202E", "wrong number of array subscripts");
        return Err(error
            .detail("Low bound array has different size than dimensions array.")
            .into());
    }
    let elem = ctx
        .call
        .arg_types
        .first()
        .copied()
        .unwrap_or(elem_of(ctx.call.typ));
    let dims: Vec<(i32, i32)> = lens.into_iter().zip(lows).collect();
    let count = item_count(&dims)?;
    if count == 0 {
        return made(Array::empty(elem));
    }
    made(Array {
        elem,
        dims,
        values: repeated(&args[0], count)?,
    })
}

fn trim(args: &[Datum]) -> Res<Datum> {
    let (array, count) = (args[0].array()?, args[1].int()?);
    let len = array.dims.first().map_or(0, |d| d.0);
    if count < 0 || count > i64::from(len) {
        return fail(
            "2202E",
            format!("number of elements to trim must be between 0 and {len}"),
        );
    }
    let keep = len - count as i32;
    let mut dims = array.dims.clone();
    let width = if len == 0 {
        0
    } else {
        array.values.len() / len as usize
    };
    let values = array.values[..width * keep as usize].to_vec();
    if values.is_empty() {
        return made(Array::empty(array.elem));
    }
    dims[0] = (keep, 1);
    dims.iter_mut().for_each(|d| d.1 = 1);
    made(Array {
        elem: array.elem,
        dims,
        values,
    })
}

/// The number of the bucket, among rising lower bounds, that a value falls into.
fn width_bucket(args: &[Datum]) -> Res<Datum> {
    let thresholds = args[1].array()?;
    if thresholds.dims.len() > 1 {
        return fail("2202E", "thresholds must be one-dimensional array");
    }
    if thresholds.values.iter().any(Datum::is_null) {
        return fail("22004", "thresholds array must not contain NULLs");
    }
    let info = equality(thresholds.elem)?;
    Ok(Datum::Int(
        thresholds
            .values
            .partition_point(|bound| info.compare(bound, &args[0]).is_le()) as i64,
    ))
}

pub const FAMILIES: &[&[Function]] = &[&[
    lax("array_append", |ctx, args| {
        add(ctx, &args[0], &args[1], false)
    }),
    lax("array_prepend", |ctx, args| {
        add(ctx, &args[1], &args[0], true)
    }),
    lax("array_cat", |_, args| cat(&args[0], &args[1])),
    pure("array_length", |_, args| {
        number(dimension(args)?.map(|d| d.0.into()))
    }),
    pure("array_lower", |_, args| {
        number(dimension(args)?.map(|d| d.1.into()))
    }),
    pure("array_upper", |_, args| {
        number(dimension(args)?.map(|(len, low)| i64::from(low) + i64::from(len) - 1))
    }),
    pure("array_ndims", |_, args| match args[0].array()?.dims.len() {
        0 => Ok(Datum::Null),
        n => Ok(Datum::Int(n as i64)),
    }),
    pure("array_dims", |_, args| Ok(dims_text(args[0].array()?))),
    pure("array_cardinality", |_, args| {
        Ok(Datum::Int(args[0].array()?.values.len() as i64))
    }),
    pure("arraycontains", |_, args| pair(args, contains)),
    pure("arraycontained", |_, args| {
        pair(args, |a, b| contains(b, a))
    }),
    pure("arrayoverlap", |_, args| pair(args, overlap)),
    lax("array_position", |_, args| position(args)),
    lax("array_position_start", |_, args| position(args)),
    lax("array_positions", |_, args| positions(args)),
    lax("array_remove", |_, args| remove(args)),
    lax("array_replace", |_, args| replace(args)),
    lax("array_fill", fill),
    lax("array_fill_with_lower_bounds", fill),
    pure("trim_array", |_, args| trim(args)),
    pure("width_bucket_array", |_, args| width_bucket(args)),
]];
