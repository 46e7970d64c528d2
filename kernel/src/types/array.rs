//! Arrays, as PostgreSQL has them: any number of dimensions up to six, each with its own lower bound.

use super::datum::Datum;
use crate::base::error::{fail, Res};
use crate::base::Oid;

#[derive(Clone, Debug)]
pub struct Array {
    pub elem: Oid,
    /// (length, lower bound) a dimension; empty for the empty array.
    pub dims: Vec<(i32, i32)>,
    /// Row-major.
    pub values: Vec<Datum>,
}

pub const MAX_DIMS: usize = 6;
/// Elements that an array may have.
pub const MAX_ITEMS: i64 = 0x7ff_ffff;

impl Array {
    pub fn empty(elem: Oid) -> Array {
        Array {
            elem,
            dims: Vec::new(),
            values: Vec::new(),
        }
    }

    /// One dimension from 1.
    pub fn from_values(elem: Oid, values: Vec<Datum>) -> Array {
        let dims = if values.is_empty() {
            Vec::new()
        } else {
            vec![(values.len() as i32, 1)]
        };
        Array { elem, dims, values }
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The position in `values` of the element with these subscripts.
    pub fn position(&self, subscripts: &[i32]) -> Option<usize> {
        if subscripts.len() != self.dims.len() || subscripts.is_empty() {
            return None;
        }
        let mut at = 0usize;
        for (&subscript, &(len, low)) in subscripts.iter().zip(&self.dims) {
            let offset = i64::from(subscript) - i64::from(low);
            if offset < 0 || offset >= i64::from(len) {
                return None;
            }
            at = at * len as usize + offset as usize;
        }
        Some(at)
    }
}

/// The number of elements of dimensions that came from outside: 54000 when there are too many.
pub fn item_count(dims: &[(i32, i32)]) -> Res<usize> {
    let mut count = 1i64;
    for &(len, low) in dims {
        count = count
            .checked_mul(i64::from(len))
            .filter(|&c| (0..=MAX_ITEMS).contains(&c))
            .unwrap_or(-1);
        if count < 0 {
            return fail(
                "54000",
                format!("array size exceeds the maximum allowed ({MAX_ITEMS})"),
            );
        }
        if low.checked_add(len).is_none() {
            return fail("54000", format!("array lower bound is too large: {low}"));
        }
    }
    Ok(if dims.is_empty() { 0 } else { count as usize })
}
