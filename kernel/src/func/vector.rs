//! Kernels over whole columns for the hottest functions: nulls pass through, strictly.

use super::arith;
use crate::base::error::{fail, Res};
use crate::exec::batch::Vector;
use crate::types::float;
use ahash::AHashMap;
use std::cmp::Ordering;
use std::sync::OnceLock;

/// Columns of `len` rows each (constants are repeated by the caller) to one column of `len` rows.
pub type Kernel = fn(&[&Vector], usize) -> Res<Vector>;

/// The kernel for a prosrc name, if it has one. Kernels work on typed vectors only: when an argument is
/// `Vector::Any`, use the scalar function.
pub fn lookup(prosrc: &str) -> Option<Kernel> {
    static TABLE: OnceLock<AHashMap<String, Kernel>> = OnceLock::new();
    TABLE.get_or_init(table).get(prosrc).copied()
}

fn table() -> AHashMap<String, Kernel> {
    let mut table: AHashMap<String, Kernel> = AHashMap::new();
    let ints = [
        "int2",
        "int4",
        "int8",
        "int24",
        "int28",
        "int42",
        "int48",
        "int82",
        "int84",
        "oid",
        "date_",
        "time_",
        "timestamp_",
        "timestamptz_",
        "char",
    ];
    let six: [(&str, Kernel, Kernel); 6] = [
        (
            "eq",
            |a, n| compare_ints(a, n, |x, y| x == y),
            |a, n| compare_floats(a, n, Ordering::is_eq),
        ),
        (
            "ne",
            |a, n| compare_ints(a, n, |x, y| x != y),
            |a, n| compare_floats(a, n, Ordering::is_ne),
        ),
        (
            "lt",
            |a, n| compare_ints(a, n, |x, y| x < y),
            |a, n| compare_floats(a, n, Ordering::is_lt),
        ),
        (
            "le",
            |a, n| compare_ints(a, n, |x, y| x <= y),
            |a, n| compare_floats(a, n, Ordering::is_le),
        ),
        (
            "gt",
            |a, n| compare_ints(a, n, |x, y| x > y),
            |a, n| compare_floats(a, n, Ordering::is_gt),
        ),
        (
            "ge",
            |a, n| compare_ints(a, n, |x, y| x >= y),
            |a, n| compare_floats(a, n, Ordering::is_ge),
        ),
    ];
    for (operator, over_ints, over_floats) in six {
        for prefix in ints {
            table.insert(format!("{prefix}{operator}"), over_ints);
        }
        for prefix in ["float4", "float8", "float48", "float84"] {
            table.insert(format!("{prefix}{operator}"), over_floats);
        }
    }
    arithmetic(&mut table);
    table
}

fn arithmetic(table: &mut AHashMap<String, Kernel>) {
    let mut add = |names: &[&str], kernel: Kernel| {
        for name in names {
            table.insert((*name).to_owned(), kernel);
        }
    };
    add(&["int4pl", "int24pl", "int42pl"], |a, n| {
        narrow(a, n, |x, y| x + y)
    });
    add(&["int4mi", "int24mi", "int42mi"], |a, n| {
        narrow(a, n, |x, y| x - y)
    });
    add(&["int4mul", "int24mul", "int42mul"], |a, n| {
        narrow(a, n, |x, y| x * y)
    });
    add(
        &["int8pl", "int28pl", "int48pl", "int82pl", "int84pl"],
        |a, n| wide(a, n, i64::checked_add),
    );
    add(
        &["int8mi", "int28mi", "int48mi", "int82mi", "int84mi"],
        |a, n| wide(a, n, i64::checked_sub),
    );
    add(
        &["int8mul", "int28mul", "int48mul", "int82mul", "int84mul"],
        |a, n| wide(a, n, i64::checked_mul),
    );
    add(&["int4div", "int24div", "int42div"], |a, n| {
        divide(a, n, arith::int4)
    });
    add(
        &["int8div", "int28div", "int48div", "int82div", "int84div"],
        |a, n| divide(a, n, |v| arith::int8(Some(v))),
    );
    add(&["float8pl", "float48pl", "float84pl"], |a, n| {
        floats(a, n, |x, y| x + y, |_, _| true)
    });
    add(&["float8mi", "float48mi", "float84mi"], |a, n| {
        floats(a, n, |x, y| x - y, |_, _| true)
    });
    add(&["float8mul", "float48mul", "float84mul"], |a, n| {
        floats(a, n, |x, y| x * y, |x, y| x == 0.0 || y == 0.0)
    });
    add(&["i2tod", "i4tod", "i8tod"], to_float);
    add(&["int28", "int48", "i2toi4", "ftod"], |a, _| {
        Ok(a[0].clone())
    });
}

/// Null in either column.
fn nulls(a: &[bool], b: &[bool]) -> Vec<bool> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.to_vec(),
        (_, true) => a.to_vec(),
        _ => a.iter().zip(b).map(|(a, b)| *a || *b).collect(),
    }
}

fn mixed<T>() -> Res<T> {
    fail("XX000", "a column kernel was given columns of another kind")
}

type Pair<'a, T> = (&'a [T], &'a [T], Vec<bool>);

fn int_pair<'a>(args: &[&'a Vector]) -> Res<Pair<'a, i64>> {
    match args {
        [Vector::Int(a, na), Vector::Int(b, nb)] => Ok((a, b, nulls(na, nb))),
        _ => mixed(),
    }
}

fn float_pair<'a>(args: &[&'a Vector]) -> Res<Pair<'a, f64>> {
    match args {
        [Vector::Float(a, na), Vector::Float(b, nb)] => Ok((a, b, nulls(na, nb))),
        _ => mixed(),
    }
}

#[inline]
fn compare_ints(args: &[&Vector], _len: usize, test: impl Fn(i64, i64) -> bool) -> Res<Vector> {
    let (a, b, nulls) = int_pair(args)?;
    Ok(Vector::Bool(
        a.iter().zip(b).map(|(x, y)| test(*x, *y)).collect(),
        nulls,
    ))
}

#[inline]
fn compare_floats(args: &[&Vector], _len: usize, test: impl Fn(Ordering) -> bool) -> Res<Vector> {
    let (a, b, nulls) = float_pair(args)?;
    Ok(Vector::Bool(
        a.iter()
            .zip(b)
            .map(|(x, y)| test(float::order(*x, *y)))
            .collect(),
        nulls,
    ))
}

fn is_null(nulls: &[bool], at: usize) -> bool {
    nulls.get(at).copied().unwrap_or(false)
}

/// int4 results; arguments are int4 at most, so 64 bits hold every intermediate.
#[inline]
fn narrow(args: &[&Vector], _len: usize, operate: impl Fn(i64, i64) -> i64) -> Res<Vector> {
    let (a, b, nulls) = int_pair(args)?;
    let out: Vec<i64> = a.iter().zip(b).map(|(x, y)| operate(*x, *y)).collect();
    let fits = |value: i64| value == i64::from(value as i32);
    if out.iter().all(|&value| fits(value)) {
        return Ok(Vector::Int(out, nulls));
    }
    match out
        .iter()
        .enumerate()
        .any(|(at, &value)| !fits(value) && !is_null(&nulls, at))
    {
        true => arith::out_of_range("integer"),
        false => Ok(Vector::Int(out, nulls)),
    }
}

#[inline]
fn wide(args: &[&Vector], len: usize, operate: impl Fn(i64, i64) -> Option<i64>) -> Res<Vector> {
    let (a, b, nulls) = int_pair(args)?;
    let mut out = Vec::with_capacity(len);
    for (at, (x, y)) in a.iter().zip(b).enumerate() {
        match operate(*x, *y) {
            Some(value) => out.push(value),
            None if is_null(&nulls, at) => out.push(0),
            None => return arith::out_of_range("bigint"),
        }
    }
    Ok(Vector::Int(out, nulls))
}

fn divide(
    args: &[&Vector],
    len: usize,
    check: impl Fn(i64) -> Res<crate::types::Datum>,
) -> Res<Vector> {
    let (a, b, nulls) = int_pair(args)?;
    let mut out = Vec::with_capacity(len);
    for (at, (x, y)) in a.iter().zip(b).enumerate() {
        if is_null(&nulls, at) {
            out.push(0);
            continue;
        }
        if *y == 0 {
            return arith::by_zero();
        }
        match x.checked_div(*y) {
            Some(value) => {
                check(value)?;
                out.push(value);
            }
            None => return arith::out_of_range("bigint"),
        }
    }
    Ok(Vector::Int(out, nulls))
}

#[inline]
fn floats(
    args: &[&Vector],
    _len: usize,
    operate: impl Fn(f64, f64) -> f64,
    zero: impl Fn(f64, f64) -> bool,
) -> Res<Vector> {
    let (a, b, nulls) = float_pair(args)?;
    let out: Vec<f64> = a.iter().zip(b).map(|(x, y)| operate(*x, *y)).collect();
    for (at, value) in out.iter().enumerate() {
        if (value.is_infinite() || *value == 0.0) && !is_null(&nulls, at) {
            super::floats::checked(
                *value,
                a[at].is_infinite() || b[at].is_infinite(),
                zero(a[at], b[at]),
            )?;
        }
    }
    Ok(Vector::Float(out, nulls))
}

fn to_float(args: &[&Vector], _len: usize) -> Res<Vector> {
    match args {
        [Vector::Int(a, nulls)] => Ok(Vector::Float(
            a.iter().map(|x| *x as f64).collect(),
            nulls.clone(),
        )),
        _ => mixed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_hide_errors_and_pass_through() {
        let a = Vector::Int(vec![i32::MAX.into(), 1, 6], vec![true, false, false]);
        let b = Vector::Int(vec![1, 0, 2], vec![false, true, false]);
        let sum = lookup("int4pl").unwrap()(&[&a, &b], 3).unwrap();
        let quotient = lookup("int4div").unwrap()(&[&a, &b], 3).unwrap();
        for vector in [&sum, &quotient] {
            assert!(vector.is_null(0) && vector.is_null(1) && !vector.is_null(2));
        }
        assert_eq!(sum.get(2).int().unwrap(), 8);
        assert_eq!(quotient.get(2).int().unwrap(), 3);
        let big = Vector::Int(vec![i32::MAX.into()], vec![]);
        let one = Vector::Int(vec![1], vec![]);
        assert!(lookup("int4pl").unwrap()(&[&big, &one], 1).is_err());
        assert!(lookup("int8pl").unwrap()(&[&big, &one], 1).is_ok());
    }
}
