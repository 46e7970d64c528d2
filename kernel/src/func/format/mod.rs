//! to_char, to_date, to_timestamp and to_number: PostgreSQL's format pictures, with the words and signs of locale C.

mod dates;
mod numbers;
mod picture;
mod reader;
mod tonumber;

use super::registry::{stable, Function};

/// Behind a number: st, nd, rd or th.
fn ordinal(number: &str, upper: bool) -> &'static str {
    let bytes = number.as_bytes();
    let last = bytes.last().copied().unwrap_or(b'0');
    let teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    match (last, teen, upper) {
        (b'1', false, true) => "ST",
        (b'1', false, false) => "st",
        (b'2', false, true) => "ND",
        (b'2', false, false) => "nd",
        (b'3', false, true) => "RD",
        (b'3', false, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}

/// Roman numerals of 12 down to 1, as months are searched.
const ROMAN_MONTHS: [&str; 12] = [
    "XII", "XI", "X", "IX", "VIII", "VII", "VI", "V", "IV", "III", "II", "I",
];

pub const FAMILIES: &[&[Function]] = &[&[
    stable("timestamp_to_char", dates::timestamp),
    stable("timestamptz_to_char", dates::timestamptz),
    stable("interval_to_char", dates::interval),
    stable("int4_to_char", numbers::int4),
    stable("int8_to_char", numbers::int8),
    stable("float4_to_char", numbers::float4),
    stable("float8_to_char", numbers::float8),
    stable("numeric_to_char", numbers::numeric),
    stable("numeric_to_number", tonumber::to_number),
    stable("to_date", reader::to_date),
    stable("to_timestamp", reader::to_timestamp),
]];
