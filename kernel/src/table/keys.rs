//! Index keys: from a row's values to bytes, and from bounds to byte ranges.
//!
//! An entry of an index tree has the key `[columns, as `types::key` writes them][row id, 8 bytes big-endian]` and no value.

use crate::base::error::corrupt;
use crate::base::{Res, RowId, SqlError, Stop};
use crate::exec::access::{Bounds, IndexDef, IndexKey, TableDef};
use crate::types::{key, registry, Datum, Settings};

/// Longest key that an index takes, row id excluded: three entries must fit on a page.
pub const KEY_MAX: usize = 2500;

/// The key of a row; `value` gives the value of a table column.
pub fn of_row<'d>(
    index: &IndexDef,
    value: impl Fn(usize) -> Option<&'d Datum>,
    out: &mut Vec<u8>,
) -> Res<()> {
    for part in &index.keys {
        match value(part.column) {
            Some(datum) => put(part, datum, out)?,
            None => {
                return corrupt(format!(
                    "index {} is on a column that its table lacks",
                    index.name
                ))
            }
        }
    }
    Ok(())
}

/// Append one column.
pub fn put(part: &IndexKey, datum: &Datum, out: &mut Vec<u8>) -> Res<()> {
    key::encode_key(datum, part.typ, part.desc, part.nulls_first, out)
}

/// 54000 for a key that an index can't take.
pub fn check_size(index: &IndexDef, table: &TableDef, key: &[u8]) -> Res<()> {
    if key.len() <= KEY_MAX {
        return Ok(());
    }
    let message = format!(
        "index row size {} exceeds btree version 4 maximum {KEY_MAX} for index \"{}\"",
        key.len(),
        index.name
    );
    let mut error = SqlError::new("54000", message)
        .hint("Values larger than 1/3 of a buffer page cannot be indexed.\nConsider a function index of an MD5 hash of the value, or use full text indexing.");
    error.schema = Some(table.schema.clone());
    error.table = Some(table.name.clone());
    error.constraint = Some(index.name.clone());
    Err(Stop::Error(error))
}

/// Key and row id in one.
pub fn entry(key: &[u8], row: RowId) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 8);
    out.extend_from_slice(key);
    out.extend_from_slice(&row.0.to_be_bytes());
    out
}

/// An entry's key and row id.
pub fn split(entry: &[u8]) -> Res<(&[u8], RowId)> {
    match entry.split_last_chunk::<8>() {
        Some((key, row)) => Ok((key, RowId(u64::from_be_bytes(*row)))),
        None => corrupt("an index entry is shorter than a row id"),
    }
}

/// The lowest key above all that begin with `prefix`; `None`: there is no such key.
pub fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut out = prefix.to_vec();
    while let Some(last) = out.pop() {
        if last < 0xff {
            out.push(last + 1);
            return Some(out);
        }
    }
    None
}

/// Entries from `low` (inclusive) up to `high` (exclusive; `None`: to the end).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub low: Vec<u8>,
    pub high: Option<Vec<u8>>,
}

/// The range of `bounds`. A column that is bounded on one side only has no nulls in the range, wherever they order.
pub fn range(index: &IndexDef, bounds: &Bounds) -> Res<Range> {
    let parts = |side: &Option<(Vec<Datum>, bool)>| -> Res<Vec<Vec<u8>>> {
        let values = side.as_ref().map_or(&[][..], |(values, _)| values);
        if values.len() > index.keys.len() {
            return corrupt("a bound has more values than its index has columns");
        }
        let encode = |(part, datum)| {
            let mut out = Vec::new();
            put(part, datum, &mut out).map(|()| out)
        };
        index.keys.iter().zip(values).map(encode).collect()
    };
    let (low, high) = (parts(&bounds.low)?, parts(&bounds.high)?);
    let common = low.iter().zip(&high).take_while(|(a, b)| a == b).count();
    let prefix: Vec<u8> = low.iter().take(common).flatten().copied().collect();
    let null = |first: bool| -> Option<Vec<u8>> {
        let part = index.keys.get(common).filter(|p| p.nulls_first == first)?;
        let mut out = prefix.clone();
        put(part, &Datum::Null, &mut out).ok()?;
        Some(out)
    };
    let bytes = |parts: &[Vec<u8>]| -> Vec<u8> { parts.iter().flatten().copied().collect() };
    let mut out = match &bounds.low {
        Some((_, true)) => Range {
            low: bytes(&low),
            high: None,
        },
        // Nothing above: an empty range.
        Some((_, false)) => match after(&bytes(&low)) {
            Some(low) => Range { low, high: None },
            None => {
                return Ok(Range {
                    low: vec![0xff],
                    high: Some(vec![0xff]),
                })
            }
        },
        None => Range {
            low: Vec::new(),
            high: None,
        },
    };
    out.high = match &bounds.high {
        Some((_, true)) => after(&bytes(&high)),
        Some((_, false)) => Some(bytes(&high)),
        None => None,
    };
    if low.len() > common && high.len() <= common {
        // Bounded below only: nulls that order last are above.
        if let Some(null) = null(false) {
            out.high = Some(out.high.map_or(null.clone(), |high| high.min(null)));
        }
    }
    if high.len() > common && low.len() <= common {
        if let Some(above) = null(true).and_then(|null| after(&null)) {
            out.low = out.low.max(above);
        }
    }
    Ok(out)
}

/// 23505, as PostgreSQL words it.
pub fn duplicate<'d>(
    table: &TableDef,
    index: &IndexDef,
    value: impl Fn(usize) -> Option<&'d Datum>,
    building: bool,
) -> Stop {
    let shown = describe(table, index, value);
    let message = if building {
        format!("could not create unique index \"{}\"", index.name)
    } else {
        format!(
            "duplicate key value violates unique constraint \"{}\"",
            index.name
        )
    };
    let mut error = SqlError::new("23505", message);
    if let Some((columns, values)) = shown {
        let what = if building {
            "is duplicated"
        } else {
            "already exists"
        };
        error = error.detail(format!("Key ({columns})=({values}) {what}."));
    }
    error.schema = Some(table.schema.clone());
    error.table = Some(table.name.clone());
    error.constraint = Some(index.name.clone());
    Stop::Error(error)
}

/// Column names and values of a key, as texts.
fn describe<'d>(
    table: &TableDef,
    index: &IndexDef,
    value: impl Fn(usize) -> Option<&'d Datum>,
) -> Option<(String, String)> {
    let settings = Settings::default();
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for part in &index.keys {
        let column = table.columns.get(part.column)?;
        let datum = value(part.column)?;
        columns.push(column.name.clone());
        values.push(match datum {
            Datum::Null => "null".to_string(),
            datum => registry::get(column.typ)
                .ok()?
                .text(datum, &settings)
                .ok()?,
        });
    }
    Some((columns.join(", "), values.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Oid, PageNo};

    fn index(nulls_first: bool) -> IndexDef {
        let key = |column| IndexKey {
            column,
            typ: Oid(23),
            desc: false,
            nulls_first,
        };
        IndexDef {
            oid: Oid(1),
            name: "i".into(),
            root: PageNo(9),
            unique: false,
            nulls_not_distinct: false,
            keys: vec![key(0), key(1)],
        }
    }

    fn inside(index: &IndexDef, bounds: &Bounds, row: [Option<i64>; 2]) -> bool {
        let row = row.map(|v| v.map_or(Datum::Null, Datum::Int));
        let mut key = Vec::new();
        of_row(index, |c| row.get(c), &mut key).unwrap();
        let key = entry(&key, RowId(7));
        let range = range(index, bounds).unwrap();
        key >= range.low && range.high.is_none_or(|high| key < high)
    }

    #[test]
    fn ranges_hold_what_their_bounds_say_and_no_nulls_of_a_half_open_column() {
        let bound = |values: &[i64], inclusive| {
            Some((values.iter().map(|v| Datum::Int(*v)).collect(), inclusive))
        };
        let values = [None, Some(-1), Some(0), Some(1), Some(255), Some(256)];
        for nulls_first in [false, true] {
            let index = index(nulls_first);
            for a in values {
                for b in values {
                    let all = Bounds::default();
                    assert!(inside(&index, &all, [a, b]));
                    let above = Bounds {
                        low: bound(&[0], false),
                        high: None,
                    };
                    assert_eq!(inside(&index, &above, [a, b]), a > Some(0), "{a:?} {b:?}");
                    let from = Bounds {
                        low: bound(&[0], true),
                        high: None,
                    };
                    assert_eq!(inside(&index, &from, [a, b]), a >= Some(0));
                    let below = Bounds {
                        low: None,
                        high: bound(&[255], false),
                    };
                    assert_eq!(inside(&index, &below, [a, b]), a.is_some_and(|a| a < 255));
                    let equal = Bounds {
                        low: bound(&[1], true),
                        high: bound(&[1], true),
                    };
                    assert_eq!(inside(&index, &equal, [a, b]), a == Some(1));
                    let second = Bounds {
                        low: bound(&[1, 0], false),
                        high: bound(&[1], true),
                    };
                    assert_eq!(inside(&index, &second, [a, b]), a == Some(1) && b > Some(0));
                    let upper = Bounds {
                        low: bound(&[1], true),
                        high: bound(&[1, 255], true),
                    };
                    assert_eq!(
                        inside(&index, &upper, [a, b]),
                        a == Some(1) && b.is_some_and(|b| b <= 255)
                    );
                    let null = Bounds {
                        low: Some((vec![Datum::Null], true)),
                        high: Some((vec![Datum::Null], true)),
                    };
                    assert_eq!(inside(&index, &null, [a, b]), a.is_none());
                }
            }
        }
    }
}
