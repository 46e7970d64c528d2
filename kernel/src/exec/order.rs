//! Row numbers in the order of their keys. The first key decides mostly by one number, which is made once for each row; all keys
//! are compared only where these numbers are equal. Rows with equal keys keep their order.

use super::batch::Vector;
use super::keys::{compare_rows, Order};
use crate::base::{pace, Res};
use crate::types::registry::TypeInfo;
use crate::types::{oids, Datum};
use std::borrow::Borrow;
use std::cmp::Ordering;

/// The first key's numbers, with the rows they are of.
#[derive(Default)]
struct Lead {
    rows: Vec<(u64, u32)>,
    nulls: Vec<u32>,
    /// Values with equal numbers may differ.
    partial: bool,
}

/// Rows that are sorted without looking whether somebody has cancelled.
const SORT_STEP: usize = 32 << 10;

/// Of each row of a column a pair: where two differ, the rows come in that order.
pub type Leads = Option<Vec<(u8, u64)>>;

pub fn leads(order: &Order, column: &Vector, len: usize) -> Leads {
    let lead = Lead::of(order, column, len)?;
    let null = if order.nulls_first { 0 } else { 2 };
    let mut out = vec![(null, 0); len];
    for (number, row) in lead.rows {
        out[row as usize] = (1, number);
    }
    Some(out)
}

pub fn sorted<V: Borrow<Vector>>(orders: &[Order], keys: &[V], len: usize) -> Res<Vec<u32>> {
    let all = |a: u32, b: u32| compare_rows(orders, keys, a as usize, keys, b as usize);
    let lead = match (orders.first(), keys.first()) {
        (Some(order), Some(column)) => Lead::of(order, column.borrow(), len),
        _ => None,
    };
    let Some(Lead {
        mut rows,
        mut nulls,
        partial,
    }) = lead
    else {
        let mut rows: Vec<u32> = (0..len as u32).collect();
        sort_in_steps(&mut rows, |&a, &b| all(a, b).then(a.cmp(&b)))?;
        return Ok(rows);
    };
    if orders.len() == 1 && !partial {
        sort_in_steps(&mut rows, |a, b| a.cmp(b))?;
    } else {
        sort_in_steps(&mut rows, |a, b| match a.0.cmp(&b.0) {
            Ordering::Equal => all(a.1, b.1).then(a.1.cmp(&b.1)),
            order => order,
        })?;
        sort_in_steps(&mut nulls, |&a, &b| all(a, b).then(a.cmp(&b)))?;
    }
    let values = rows.into_iter().map(|(_, row)| row);
    if orders.first().is_some_and(|order| order.nulls_first) {
        nulls.extend(values);
        return Ok(nulls);
    }
    Ok(values.chain(nulls).collect())
}

/// A sort that can be cancelled: parts are sorted, then merged two by two. No two are equal: what stands for a row has its number.
fn sort_in_steps<T: Copy>(rows: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Res<()> {
    for part in rows.chunks_mut(SORT_STEP) {
        pace::check()?;
        part.sort_unstable_by(&compare);
    }
    let mut width = SORT_STEP;
    while width < rows.len() {
        let mut merged = Vec::with_capacity(rows.len());
        for pair in rows.chunks(width * 2) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some(&a), Some(&b)) = (left.first(), right.first()) {
                if merged.len() % SORT_STEP == 0 {
                    pace::check()?;
                }
                if compare(&b, &a) == Ordering::Less {
                    merged.push(b);
                    right = &right[1..];
                } else {
                    merged.push(a);
                    left = &left[1..];
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        *rows = merged;
        width *= 2;
    }
    Ok(())
}

impl Lead {
    /// None: there are no such numbers for this type.
    fn of(order: &Order, column: &Vector, len: usize) -> Option<Lead> {
        let mut lead = Lead::default();
        lead.rows.reserve(len);
        let flip = if order.desc { u64::MAX } else { 0 };
        for row in 0..len {
            let number = match column {
                _ if column.is_null(row) => {
                    lead.nulls.push(row as u32);
                    continue;
                }
                Vector::Int(values, _) => int(values[row]),
                Vector::Float(values, _) => float(values[row]),
                Vector::Bool(values, _) => u64::from(values[row]),
                Vector::Any(values) => lead.value(order.info, &values[row])?,
            };
            lead.rows.push((number ^ flip, row as u32));
        }
        Some(lead)
    }

    fn value(&mut self, info: &TypeInfo, value: &Datum) -> Option<u64> {
        match value {
            Datum::Int(value) => Some(int(*value)),
            Datum::Float(value) => Some(float(*value)),
            Datum::Bool(value) => Some(u64::from(*value)),
            // Compared byte by byte, without NULs: eight bytes say everything of a text that is no longer.
            Datum::Text(text) if matches!(info.oid, oids::TEXT | oids::VARCHAR | oids::NAME) => {
                self.partial |= text.len() > 8;
                Some(first_bytes(text.as_bytes()))
            }
            Datum::Uuid(bytes) => {
                self.partial = true;
                Some(first_bytes(bytes))
            }
            _ => None,
        }
    }
}

fn int(value: i64) -> u64 {
    value as u64 ^ 1 << 63
}

/// NaN is above everything, and there is one zero.
fn float(value: f64) -> u64 {
    if value.is_nan() {
        return u64::MAX;
    }
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    match bits >> 63 {
        0 => bits ^ 1 << 63,
        _ => !bits,
    }
}

fn first_bytes(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Oid;
    use crate::types::{registry, Text};
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Datum> {
        let float = prop_oneof![
            Just(0.0),
            Just(-0.0),
            Just(f64::NAN),
            Just(f64::INFINITY),
            any::<f64>()
        ];
        let text = "[ab\u{e9} ]{0,12}";
        prop_oneof![
            1 => Just((0, Datum::Null)),
            3 => prop_oneof![-3i64..3, any::<i64>()].prop_map(|v| (1, Datum::Int(v))),
            3 => float.prop_map(|v| (2, Datum::Float(v))),
            4 => text.prop_map(|v| (3, Datum::Text(Text::from(v)))),
            2 => any::<bool>().prop_map(|v| (4, Datum::Bool(v))),
        ]
        .prop_map(|(_, v)| v)
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_comparing_all_keys(
            typ in prop_oneof![Just(20u32), Just(701), Just(25), Just(1042), Just(16)],
            values in proptest::collection::vec((value(), 0i64..3), 0..60),
            desc in any::<bool>(), nulls_first in any::<bool>(), two in any::<bool>(), typed in any::<bool>(),
        ) {
            let fits = |v: &Datum| match v {
                Datum::Int(_) => typ == 20,
                Datum::Float(_) => typ == 701,
                Datum::Text(_) => typ == 25 || typ == 1042,
                Datum::Bool(_) => typ == 16,
                _ => true,
            };
            let values: Vec<_> = values.into_iter().filter(|(v, _)| fits(v)).collect();
            let first: Vec<Datum> = values.iter().map(|(v, _)| v.clone()).collect();
            let first = if typed { Vector::from_datums(Oid(typ), first) } else { Vector::Any(first) };
            let second = Vector::Int(values.iter().map(|(_, n)| *n).collect(), Vec::new());
            let mut orders = vec![Order { info: registry::get(Oid(typ)).unwrap(), desc, nulls_first }];
            let mut keys = vec![first];
            if two {
                orders.push(Order { info: registry::get(Oid(20)).unwrap(), desc: false, nulls_first: false });
                keys.push(second);
            }
            let mut wanted: Vec<u32> = (0..values.len() as u32).collect();
            wanted.sort_by(|&a, &b| compare_rows(&orders, &keys, a as usize, &keys, b as usize));
            prop_assert_eq!(sorted(&orders, &keys, values.len()).unwrap(), wanted);
        }
    }
}
