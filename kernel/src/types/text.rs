//! text, varchar(n), char(n), and the types that are text to the kernel; encoding checks and shared error wording.

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{hash, key, oids, Datum, Text, NO_TYPMOD};
use crate::base::error::{fail, Res};
use crate::base::Oid;
use std::cmp::Ordering;

pub struct TextOps;
pub struct VarcharOps;
pub struct BpcharOps;
/// Types without values: any, trigger…; void's only value is null-like empty text.
pub struct PseudoOps;

pub const TYPES: &[TypeInfo] = &[
    TypeInfo::new(oids::TEXT, Oid(1009), "text", Repr::Text, &TextOps),
    TypeInfo::new(Oid(194), Oid(0), "pg_node_tree", Repr::Text, &TextOps),
    TypeInfo::new(oids::UNKNOWN, Oid(0), "unknown", Repr::Text, &TextOps).len(-2),
    TypeInfo::new(Oid(1033), Oid(1034), "aclitem", Repr::Text, &TextOps).len(12),
    TypeInfo::new(oids::BPCHAR, Oid(1014), "bpchar", Repr::Text, &BpcharOps)
        .shown("character")
        .key(bpchar_key),
    TypeInfo::new(oids::VARCHAR, Oid(1015), "varchar", Repr::Text, &VarcharOps)
        .shown("character varying"),
    TypeInfo::new(Oid(1790), Oid(2201), "refcursor", Repr::Text, &TextOps),
    TypeInfo::new(Oid(2275), Oid(1263), "cstring", Repr::Text, &TextOps).len(-2),
    TypeInfo::new(oids::ANY, Oid(0), "any", Repr::Pseudo, &PseudoOps)
        .shown("\"any\"")
        .len(4),
    TypeInfo::new(Oid(2277), Oid(0), "anyarray", Repr::Pseudo, &PseudoOps),
    TypeInfo::new(oids::VOID, Oid(0), "void", Repr::Pseudo, &PseudoOps).len(4),
    TypeInfo::new(Oid(2283), Oid(0), "anyelement", Repr::Pseudo, &PseudoOps).len(4),
    TypeInfo::new(Oid(2776), Oid(0), "anynonarray", Repr::Pseudo, &PseudoOps).len(4),
];

/// C's isspace in the C locale.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// 22P02.
pub fn syntax<T>(name: &str, text: &str) -> Res<T> {
    fail(
        "22P02",
        format!("invalid input syntax for type {name}: \"{text}\""),
    )
}

/// Bytes from a client as text: UTF-8 without NUL, or 22021.
pub fn utf8(bytes: &[u8]) -> Res<&str> {
    let bad = |at: usize| {
        let lead = bytes[at];
        let len = match lead {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        let shown: Vec<String> = bytes[at..]
            .iter()
            .take(len)
            .map(|b| format!("0x{b:02x}"))
            .collect();
        fail(
            "22021",
            format!(
                "invalid byte sequence for encoding \"UTF8\": {}",
                shown.join(" ")
            ),
        )
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => match memchr::memchr(0, bytes) {
            Some(at) => bad(at),
            None => Ok(text),
        },
        Err(error) => match memchr::memchr(0, &bytes[..error.valid_up_to()]) {
            Some(at) => bad(at),
            None => bad(error.valid_up_to()),
        },
    }
}

#[inline]
fn value(datum: &Datum) -> &[u8] {
    match datum {
        Datum::Text(text) => text.as_bytes(),
        _ => b"",
    }
}

/// char(n) without the spaces that don't count.
#[inline]
pub fn trimmed(text: &str) -> &str {
    text.trim_end_matches(' ')
}

fn trimmed_bytes(bytes: &[u8]) -> &[u8] {
    let len = bytes
        .iter()
        .rposition(|&b| b != b' ')
        .map_or(0, |at| at + 1);
    &bytes[..len]
}

/// The byte position after `count` characters, or `None` when the text is not longer than that.
fn cut(text: &str, count: usize) -> Option<usize> {
    if text.len() <= count {
        return None;
    }
    text.char_indices().nth(count).map(|(at, _)| at)
}

/// Typmod of varchar(n) and char(n) is n + 4.
pub fn limit(typmod: i32) -> Option<usize> {
    (typmod >= 4).then_some(typmod as usize - 4)
}

fn too_long<T>(name: &str, count: usize) -> Res<T> {
    fail("22001", format!("value too long for type {name}({count})"))
}

/// varchar(n): spaces past the end are cut silently, other characters only by an explicit cast. The answer is the text, or its
/// beginning.
pub fn varchar(text: &str, typmod: i32, explicit: bool) -> Res<&str> {
    let Some(count) = limit(typmod) else {
        return Ok(text);
    };
    match cut(text, count) {
        None => Ok(text),
        Some(at) if explicit || text[at..].bytes().all(|b| b == b' ') => Ok(&text[..at]),
        Some(_) => too_long("character varying", count),
    }
}

/// The same of a value, which is shared where nothing is cut.
pub fn to_varchar(value: &Datum, typmod: i32, explicit: bool) -> Res<Datum> {
    let text = value.str()?;
    let cut = varchar(text, typmod, explicit)?;
    match cut.len() == text.len() {
        true => Ok(value.clone()),
        false => Text::copied(cut).map(Datum::Text),
    }
}

/// Padding, many at a time.
const SPACES: &str = "                                                                ";

/// char(n): padded to n characters.
pub fn bpchar(text: &str, typmod: i32, explicit: bool) -> Res<Text> {
    let Some(count) = limit(typmod) else {
        return Text::copied(text);
    };
    match cut(text, count) {
        Some(at) if explicit || text[at..].bytes().all(|b| b == b' ') => Text::copied(&text[..at]),
        Some(_) => too_long("character", count),
        None => {
            let chars = if text.is_ascii() {
                text.len()
            } else {
                text.chars().count()
            };
            let mut padded = String::with_capacity(text.len() + count - chars);
            padded.push_str(text);
            let mut missing = count - chars;
            while missing > 0 {
                let part = missing.min(SPACES.len());
                padded.push_str(&SPACES[..part]);
                missing -= part;
            }
            Ok(padded.into())
        }
    }
}

/// Output, send and receive of everything that is text.
macro_rules! text_common {
    () => {
        fn output(
            &self,
            _info: &TypeInfo,
            value: &Datum,
            _settings: &Settings,
            out: &mut Vec<u8>,
        ) -> Res<()> {
            crate::base::pace::append_bytes(out, value.str()?.as_bytes())
        }

        fn recv(
            &self,
            info: &TypeInfo,
            bytes: &[u8],
            typmod: i32,
            settings: &Settings,
        ) -> Res<Datum> {
            self.input(info, utf8(bytes)?, typmod, settings)
        }

        fn send(
            &self,
            _info: &TypeInfo,
            value: &Datum,
            _settings: &Settings,
            out: &mut Vec<u8>,
        ) -> Res<()> {
            crate::base::pace::append_bytes(out, value.str()?.as_bytes())
        }
    };
}
pub(super) use text_common;

impl TypeOps for TextOps {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        Text::copied(text).map(Datum::Text)
    }

    text_common!();

    #[inline]
    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::bytes(value(datum))
    }
}

impl TypeOps for VarcharOps {
    fn input(&self, _info: &TypeInfo, text: &str, typmod: i32, _settings: &Settings) -> Res<Datum> {
        Text::copied(varchar(text, typmod, false)?).map(Datum::Text)
    }

    text_common!();

    #[inline]
    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::bytes(value(datum))
    }

    fn coerce(&self, _info: &TypeInfo, value: &Datum, typmod: i32, explicit: bool) -> Res<Datum> {
        to_varchar(value, typmod, explicit)
    }
}

/// Spaces at the end don't count.
fn bpchar_key(value: &Datum, out: &mut Vec<u8>) -> Res<()> {
    key::put_text(trimmed(value.str()?), out);
    Ok(())
}

impl TypeOps for BpcharOps {
    fn input(&self, _info: &TypeInfo, text: &str, typmod: i32, _settings: &Settings) -> Res<Datum> {
        bpchar(text, typmod, false).map(Datum::Text)
    }

    text_common!();

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        trimmed_bytes(value(a)).cmp(trimmed_bytes(value(b)))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::bytes(trimmed_bytes(value(datum)))
    }

    fn coerce(&self, _info: &TypeInfo, value: &Datum, typmod: i32, explicit: bool) -> Res<Datum> {
        bpchar(value.str()?, typmod, explicit).map(Datum::Text)
    }
}

impl TypeOps for PseudoOps {
    fn input(
        &self,
        info: &TypeInfo,
        _text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        if info.name == "void" {
            return Ok(Datum::text(""));
        }
        fail(
            "0A000",
            format!("cannot accept a value of type {}", info.name),
        )
    }

    fn output(
        &self,
        info: &TypeInfo,
        _value: &Datum,
        _settings: &Settings,
        _out: &mut Vec<u8>,
    ) -> Res<()> {
        if info.name == "void" {
            return Ok(());
        }
        fail(
            "0A000",
            format!("cannot display a value of type {}", info.name),
        )
    }

    fn recv(
        &self,
        info: &TypeInfo,
        _bytes: &[u8],
        _typmod: i32,
        settings: &Settings,
    ) -> Res<Datum> {
        self.input(info, "", NO_TYPMOD, settings)
    }

    fn send(
        &self,
        info: &TypeInfo,
        value: &Datum,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        self.output(info, value, settings, out)
    }

    fn orderable(&self, _info: &TypeInfo) -> bool {
        false
    }

    fn compare(&self, _info: &TypeInfo, _a: &Datum, _b: &Datum) -> Ordering {
        Ordering::Equal
    }

    fn hash(&self, _info: &TypeInfo, _value: &Datum) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Stop;

    fn message<T: std::fmt::Debug>(result: Res<T>) -> String {
        match result {
            Err(Stop::Error(error)) => error.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn varchar_cuts_spaces_silently_and_other_text_only_when_told() {
        assert_eq!(varchar("abc  ", 3 + 4, false).unwrap(), "abc");
        assert_eq!(
            message(varchar("abcd", 3 + 4, false)),
            "22001: value too long for type character varying(3)"
        );
        assert_eq!(varchar("äöüß", 3 + 4, true).unwrap(), "äöü");
        assert_eq!(varchar("x", NO_TYPMOD, false).unwrap(), "x");
    }

    #[test]
    fn char_pads_by_characters() {
        assert_eq!(bpchar("ä", 3 + 4, false).unwrap().as_str(), "ä  ");
        assert_eq!(
            message(bpchar("abcd", 3 + 4, false)),
            "22001: value too long for type character(3)"
        );
    }

    #[test]
    fn bad_bytes_are_shown_as_postgresql_shows_them() {
        assert_eq!(
            message(utf8(b"a\xff")),
            "22021: invalid byte sequence for encoding \"UTF8\": 0xff"
        );
        assert_eq!(
            message(utf8(b"\xe4b")),
            "22021: invalid byte sequence for encoding \"UTF8\": 0xe4 0x62"
        );
        assert_eq!(
            message(utf8(b"a\0b")),
            "22021: invalid byte sequence for encoding \"UTF8\": 0x00"
        );
        assert_eq!(utf8("ok ä".as_bytes()).unwrap(), "ok ä");
    }
}
