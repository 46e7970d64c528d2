//! Order-preserving keys: comparing the bytes of two keys is comparing their values, column by column.

use super::Datum;
use crate::base::error::{unsupported, Res};
use crate::base::Oid;

/// Append one column of a key. Nulls order by `nulls_first` whatever `desc` says.
pub fn encode_key(
    _value: &Datum,
    typ: Oid,
    _desc: bool,
    _nulls_first: bool,
    _out: &mut Vec<u8>,
) -> Res<()> {
    unsupported(format_args!("an index on type {typ}"))
}
