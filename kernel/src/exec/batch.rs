//! Columns of rows, as operators pass them on: typed vectors where that is fast, values otherwise.
//! A typed vector that is given a value of another kind turns into `Any`; so pushing never fails and never loses.

use crate::base::Oid;
use crate::types::Datum;
use std::borrow::Cow;

/// One column. `nulls` is empty when nothing is null, else one flag a row (the value under a null is a default).
#[derive(Clone, Debug)]
pub enum Vector {
    Bool(Vec<bool>, Vec<bool>),
    Int(Vec<i64>, Vec<bool>),
    Float(Vec<f64>, Vec<bool>),
    Any(Vec<Datum>),
}

/// Rows of columns. `len` counts rows also when there are no columns.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub columns: Vec<Vector>,
    pub len: usize,
}

/// Rows that operators aim to pass on at once.
pub const BATCH_ROWS: usize = 1024;

/// How values of a type are held in a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Float,
    Any,
}

impl Kind {
    /// By the table in `types::datum`.
    pub fn of(typ: Oid) -> Kind {
        match typ.0 {
            16 => Kind::Bool,
            // "char" int8 int2 int4 regproc oid xid cid, date time timestamp timestamptz, reg* types, xid8
            18
            | 20
            | 21
            | 23
            | 24
            | 26
            | 28
            | 29
            | 1082
            | 1083
            | 1114
            | 1184
            | 2202..=2206
            | 3734
            | 3769
            | 4089
            | 4096
            | 4191
            | 5069 => Kind::Int,
            700 | 701 => Kind::Float,
            _ => Kind::Any,
        }
    }
}

fn push_null_flag(nulls: &mut Vec<bool>, len: usize) {
    if nulls.is_empty() {
        nulls.resize(len, false);
    }
    nulls.push(true);
}

fn append_flags(nulls: &mut Vec<bool>, len: usize, more: &[bool], more_len: usize) {
    if nulls.is_empty() && more.is_empty() {
        return;
    }
    nulls.resize(len, false);
    if more.is_empty() {
        nulls.resize(len + more_len, false);
    } else {
        nulls.extend_from_slice(more);
    }
}

fn gather_flags(nulls: &[bool], rows: &[u32]) -> Vec<bool> {
    if nulls.is_empty() {
        return Vec::new();
    }
    rows.iter().map(|&r| nulls[r as usize]).collect()
}

fn slice_flags(nulls: &[bool], from: usize, to: usize) -> Vec<bool> {
    if nulls.is_empty() {
        Vec::new()
    } else {
        nulls[from..to].to_vec()
    }
}

impl Default for Vector {
    fn default() -> Self {
        Vector::Any(Vec::new())
    }
}

impl Vector {
    pub fn of_type(typ: Oid, capacity: usize) -> Vector {
        Vector::of_kind(Kind::of(typ), capacity)
    }

    pub fn of_kind(kind: Kind, capacity: usize) -> Vector {
        match kind {
            Kind::Bool => Vector::Bool(Vec::with_capacity(capacity), Vec::new()),
            Kind::Int => Vector::Int(Vec::with_capacity(capacity), Vec::new()),
            Kind::Float => Vector::Float(Vec::with_capacity(capacity), Vec::new()),
            Kind::Any => Vector::Any(Vec::with_capacity(capacity)),
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Vector::Bool(..) => Kind::Bool,
            Vector::Int(..) => Kind::Int,
            Vector::Float(..) => Kind::Float,
            Vector::Any(_) => Kind::Any,
        }
    }

    /// `len` copies of one value.
    pub fn repeat(value: &Datum, len: usize) -> Vector {
        match value {
            Datum::Bool(b) => Vector::Bool(vec![*b; len], Vec::new()),
            Datum::Int(i) => Vector::Int(vec![*i; len], Vec::new()),
            Datum::Float(f) => Vector::Float(vec![*f; len], Vec::new()),
            other => Vector::Any(vec![other.clone(); len]),
        }
    }

    pub fn from_datums(typ: Oid, values: Vec<Datum>) -> Vector {
        if Kind::of(typ) == Kind::Any {
            return Vector::Any(values);
        }
        let mut out = Vector::of_type(typ, values.len());
        for value in values {
            out.push(value);
        }
        out
    }

    pub fn len(&self) -> usize {
        match self {
            Vector::Bool(v, _) => v.len(),
            Vector::Int(v, _) => v.len(),
            Vector::Float(v, _) => v.len(),
            Vector::Any(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_null(&self, i: usize) -> bool {
        match self {
            Vector::Bool(_, n) | Vector::Int(_, n) | Vector::Float(_, n) => !n.is_empty() && n[i],
            Vector::Any(v) => v[i].is_null(),
        }
    }

    pub fn get(&self, i: usize) -> Datum {
        match self {
            Vector::Bool(v, n) => {
                if !n.is_empty() && n[i] {
                    Datum::Null
                } else {
                    Datum::Bool(v[i])
                }
            }
            Vector::Int(v, n) => {
                if !n.is_empty() && n[i] {
                    Datum::Null
                } else {
                    Datum::Int(v[i])
                }
            }
            Vector::Float(v, n) => {
                if !n.is_empty() && n[i] {
                    Datum::Null
                } else {
                    Datum::Float(v[i])
                }
            }
            Vector::Any(v) => v[i].clone(),
        }
    }

    /// The value, lent where it is held as one.
    pub fn datum(&self, i: usize) -> Cow<'_, Datum> {
        match self {
            Vector::Any(v) => Cow::Borrowed(&v[i]),
            other => Cow::Owned(other.get(i)),
        }
    }

    /// True, false, or nothing for null; a value that is no bool counts as null.
    pub fn truth(&self, i: usize) -> Option<bool> {
        match self {
            Vector::Bool(v, n) => (n.is_empty() || !n[i]).then(|| v[i]),
            Vector::Any(v) => match &v[i] {
                Datum::Bool(b) => Some(*b),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn push(&mut self, value: Datum) {
        match (&mut *self, value) {
            (Vector::Any(v), value) => v.push(value),
            (Vector::Bool(v, n), Datum::Bool(b)) => {
                v.push(b);
                if !n.is_empty() {
                    n.push(false);
                }
            }
            (Vector::Int(v, n), Datum::Int(i)) => {
                v.push(i);
                if !n.is_empty() {
                    n.push(false);
                }
            }
            (Vector::Float(v, n), Datum::Float(f)) => {
                v.push(f);
                if !n.is_empty() {
                    n.push(false);
                }
            }
            (_, Datum::Null) => self.push_null(),
            (_, value) => {
                self.generalize();
                self.push(value);
            }
        }
    }

    pub fn push_null(&mut self) {
        match self {
            Vector::Bool(v, n) => {
                push_null_flag(n, v.len());
                v.push(false);
            }
            Vector::Int(v, n) => {
                push_null_flag(n, v.len());
                v.push(0);
            }
            Vector::Float(v, n) => {
                push_null_flag(n, v.len());
                v.push(0.0);
            }
            Vector::Any(v) => v.push(Datum::Null),
        }
    }

    pub fn push_int(&mut self, value: i64) {
        match self {
            Vector::Int(v, n) => {
                v.push(value);
                if !n.is_empty() {
                    n.push(false);
                }
            }
            _ => self.push(Datum::Int(value)),
        }
    }

    /// Row `i` of another vector.
    pub fn push_from(&mut self, other: &Vector, i: usize) {
        match (&mut *self, other) {
            (Vector::Int(v, n), Vector::Int(o, on)) if n.is_empty() && on.is_empty() => {
                v.push(o[i])
            }
            _ => self.push(other.get(i)),
        }
    }

    /// Turn into `Any`, values unchanged.
    pub fn generalize(&mut self) {
        if !matches!(self, Vector::Any(_)) {
            let values = (0..self.len()).map(|i| self.get(i)).collect();
            *self = Vector::Any(values);
        }
    }

    pub fn append(&mut self, other: &Vector) {
        if self.is_empty() {
            *self = other.clone();
            return;
        }
        match (&mut *self, other) {
            (Vector::Bool(v, n), Vector::Bool(o, on)) => {
                append_flags(n, v.len(), on, o.len());
                v.extend_from_slice(o);
            }
            (Vector::Int(v, n), Vector::Int(o, on)) => {
                append_flags(n, v.len(), on, o.len());
                v.extend_from_slice(o);
            }
            (Vector::Float(v, n), Vector::Float(o, on)) => {
                append_flags(n, v.len(), on, o.len());
                v.extend_from_slice(o);
            }
            (Vector::Any(v), Vector::Any(o)) => v.extend_from_slice(o),
            _ => {
                for i in 0..other.len() {
                    self.push(other.get(i));
                }
            }
        }
    }

    /// The same, of a column that is not needed elsewhere.
    pub fn take_in(&mut self, other: Vector) {
        match (&mut *self, other) {
            (Vector::Any(v), Vector::Any(mut o)) => v.append(&mut o),
            (own, other) if own.is_empty() => *own = other,
            (own, other) => own.append(&other),
        }
    }

    /// Row `i` of another column, where it is not needed any more.
    pub fn push_taken(&mut self, other: &mut Vector, i: usize) {
        match (&mut *self, other) {
            (Vector::Any(v), Vector::Any(o)) => v.push(std::mem::take(&mut o[i])),
            (own, other) => own.push_from(other, i),
        }
    }

    /// The rows named, in that order; a row may be named several times.
    pub fn gather(&self, rows: &[u32]) -> Vector {
        match self {
            Vector::Bool(v, n) => Vector::Bool(
                rows.iter().map(|&r| v[r as usize]).collect(),
                gather_flags(n, rows),
            ),
            Vector::Int(v, n) => Vector::Int(
                rows.iter().map(|&r| v[r as usize]).collect(),
                gather_flags(n, rows),
            ),
            Vector::Float(v, n) => Vector::Float(
                rows.iter().map(|&r| v[r as usize]).collect(),
                gather_flags(n, rows),
            ),
            Vector::Any(v) => Vector::Any(rows.iter().map(|&r| v[r as usize].clone()).collect()),
        }
    }

    /// Like `gather`, with null for `u32::MAX` (the missing side of an outer join).
    pub fn gather_or_null(&self, rows: &[u32]) -> Vector {
        if !rows.contains(&u32::MAX) {
            return self.gather(rows);
        }
        let mut out = Vector::of_kind(self.kind(), rows.len());
        for &r in rows {
            if r == u32::MAX {
                out.push_null();
            } else {
                out.push_from(self, r as usize);
            }
        }
        out
    }

    pub fn slice(&self, from: usize, to: usize) -> Vector {
        match self {
            Vector::Bool(v, n) => Vector::Bool(v[from..to].to_vec(), slice_flags(n, from, to)),
            Vector::Int(v, n) => Vector::Int(v[from..to].to_vec(), slice_flags(n, from, to)),
            Vector::Float(v, n) => Vector::Float(v[from..to].to_vec(), slice_flags(n, from, to)),
            Vector::Any(v) => Vector::Any(v[from..to].to_vec()),
        }
    }

    pub fn truncate(&mut self, len: usize) {
        match self {
            Vector::Bool(v, n) => {
                v.truncate(len);
                n.truncate(len);
            }
            Vector::Int(v, n) => {
                v.truncate(len);
                n.truncate(len);
            }
            Vector::Float(v, n) => {
                v.truncate(len);
                n.truncate(len);
            }
            Vector::Any(v) => v.truncate(len),
        }
    }

    /// Bytes of memory, roughly: what work_mem is measured with.
    pub fn bytes(&self) -> usize {
        match self {
            Vector::Bool(v, n) => v.len() + n.len(),
            Vector::Int(v, n) => v.len() * 8 + n.len(),
            Vector::Float(v, n) => v.len() * 8 + n.len(),
            Vector::Any(v) => v.iter().map(datum_bytes).sum(),
        }
    }
}

/// Bytes of memory of one value, roughly.
pub fn datum_bytes(value: &Datum) -> usize {
    let heap = match value {
        Datum::Text(t) => t.heap_bytes(),
        Datum::Bytes(b) => b.len() + 16,
        Datum::Numeric(_) => 16,
        Datum::Array(a) => a.values.iter().map(datum_bytes).sum::<usize>() + 64,
        Datum::Record(r) => r.values.iter().map(datum_bytes).sum::<usize>() + 48,
        _ => 0,
    };
    std::mem::size_of::<Datum>() + heap
}

impl Batch {
    /// No rows, one column a type.
    pub fn of_types(types: &[Oid], capacity: usize) -> Batch {
        Batch {
            columns: types
                .iter()
                .map(|&t| Vector::of_type(t, capacity))
                .collect(),
            len: 0,
        }
    }

    /// No rows, `width` columns of no particular kind.
    pub fn of_width(width: usize) -> Batch {
        Batch {
            columns: vec![Vector::default(); width],
            len: 0,
        }
    }

    pub fn from_rows(types: &[Oid], rows: &[Vec<Datum>]) -> Batch {
        let mut out = Batch::of_types(types, rows.len());
        for row in rows {
            out.push_row(row);
        }
        out
    }

    /// One row without columns: what expressions without input are evaluated over.
    pub fn unit() -> Batch {
        Batch {
            columns: Vec::new(),
            len: 1,
        }
    }

    pub fn width(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, row: usize, column: usize) -> Datum {
        self.columns[column].get(row)
    }

    pub fn row(&self, row: usize) -> Vec<Datum> {
        self.columns.iter().map(|c| c.get(row)).collect()
    }

    pub fn push_row(&mut self, row: &[Datum]) {
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.push(value.clone());
        }
        self.len += 1;
    }

    /// Take the values of a row over.
    pub fn push_values(&mut self, row: Vec<Datum>) {
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.push(value);
        }
        self.len += 1;
    }

    /// Row `i` of a batch with the same columns.
    pub fn push_from(&mut self, other: &Batch, i: usize) {
        for (column, from) in self.columns.iter_mut().zip(&other.columns) {
            column.push_from(from, i);
        }
        self.len += 1;
    }

    /// Row `i` of a batch with the same columns, where it is not needed any more.
    pub fn push_taken(&mut self, other: &mut Batch, i: usize) {
        for (column, from) in self.columns.iter_mut().zip(&mut other.columns) {
            column.push_taken(from, i);
        }
        self.len += 1;
    }

    /// Append rows that are not needed elsewhere.
    pub fn take_in(&mut self, other: Batch) {
        if self.len == 0 {
            *self = other;
            return;
        }
        for (column, from) in self.columns.iter_mut().zip(other.columns) {
            column.take_in(from);
        }
        self.len += other.len;
    }

    /// All rows of a batch with the same columns; an empty batch without columns takes its shape over.
    pub fn append(&mut self, other: &Batch) {
        if self.len == 0 && self.columns.len() != other.columns.len() {
            *self = other.clone();
            return;
        }
        for (column, from) in self.columns.iter_mut().zip(&other.columns) {
            column.append(from);
        }
        self.len += other.len;
    }

    pub fn gather(&self, rows: &[u32]) -> Batch {
        Batch {
            columns: self.columns.iter().map(|c| c.gather(rows)).collect(),
            len: rows.len(),
        }
    }

    pub fn gather_or_null(&self, rows: &[u32]) -> Batch {
        Batch {
            columns: self
                .columns
                .iter()
                .map(|c| c.gather_or_null(rows))
                .collect(),
            len: rows.len(),
        }
    }

    pub fn slice(&self, from: usize, to: usize) -> Batch {
        Batch {
            columns: self.columns.iter().map(|c| c.slice(from, to)).collect(),
            len: to - from,
        }
    }

    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.columns.iter_mut().for_each(|c| c.truncate(len));
            self.len = len;
        }
    }

    /// Columns of both, side by side; both have the same number of rows.
    pub fn beside(mut self, other: Batch) -> Batch {
        self.columns.extend(other.columns);
        self
    }

    /// Forget all rows, keep the columns and their memory.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(|c| c.truncate(0));
        self.len = 0;
    }

    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Vector::bytes).sum::<usize>() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: &[Option<i64>]) -> Vector {
        let mut v = Vector::of_type(Oid(23), 0);
        for x in values {
            v.push(x.map_or(Datum::Null, Datum::Int));
        }
        v
    }

    fn show(v: &Vector) -> String {
        (0..v.len())
            .map(|i| match v.get(i) {
                Datum::Null => "null".to_string(),
                Datum::Int(i) => i.to_string(),
                Datum::Text(t) => t.to_string(),
                other => format!("{other:?}"),
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn nulls_appear_only_once_needed_and_survive_append_and_gather() {
        let mut a = ints(&[Some(1), Some(2)]);
        assert!(matches!(&a, Vector::Int(_, n) if n.is_empty()));
        a.append(&ints(&[None, Some(4)]));
        assert_eq!(show(&a), "1 2 null 4");
        a.append(&ints(&[Some(5)]));
        assert_eq!(show(&a), "1 2 null 4 5");
        assert_eq!(show(&a.gather(&[4, 2, 0])), "5 null 1");
        assert_eq!(show(&a.gather_or_null(&[4, u32::MAX])), "5 null");
        assert_eq!(show(&a.slice(1, 4)), "2 null 4");
        a.truncate(3);
        assert_eq!(show(&a), "1 2 null");
    }

    #[test]
    fn a_value_of_another_kind_makes_the_vector_general() {
        let mut a = ints(&[Some(1), None]);
        a.push(Datum::text("x"));
        assert!(matches!(a, Vector::Any(_)));
        assert_eq!(show(&a), "1 null x");
    }

    #[test]
    fn a_batch_without_columns_still_counts_rows() {
        let mut b = Batch::unit();
        b.append(&Batch::unit());
        assert_eq!(b.len, 2);
        assert_eq!(b.slice(1, 2).len, 1);
    }
}
