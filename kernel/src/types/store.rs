//! Stored rows: the bytes of variable-width values. Lengths, nulls and compression are the table's.

use super::Datum;
use crate::base::error::{unsupported, Res};
use crate::base::Oid;

/// Append the stored form of a value that is not null. Any type may be given, fixed-width ones too.
pub fn encode(_value: &Datum, typ: Oid, _out: &mut Vec<u8>) -> Res<()> {
    unsupported(format_args!("storing type {typ}"))
}

/// The value back from all of `bytes`; damage is XX001.
pub fn decode(typ: Oid, _bytes: &[u8]) -> Res<Datum> {
    unsupported(format_args!("storing type {typ}"))
}
