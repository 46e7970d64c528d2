//! Quoting, format(), encode/decode, digests, UUIDs.

use super::places::chars;
use super::registry::{lax, pure, stable, volatile, Function, Volatility};
use super::{strings, Ctx};
use crate::base::error::{enlarge, fail, Res};
use crate::base::{pace, SqlError};
use crate::types::{bytea, text, Datum, Text};
use std::borrow::Cow;

/// Words that PostgreSQL's grammar keeps from being bare column names (all but the unreserved ones). Sorted.
#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between", 
    "bigint", "binary", "bit", "boolean", "both", "case", "cast", "char", "character", "check", "coalesce", 
    "collate", "collation", "column", "concurrently", "constraint", "create", "cross", "current_catalog", 
    "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "dec", 
    "decimal", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists", "extract", 
    "false", "fetch", "float", "for", "foreign", "freeze", "from", "full", "grant", "greatest", "group", 
    "grouping", "having", "ilike", "in", "initially", "inner", "inout", "int", "integer", "intersect", 
    "interval", "into", "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit", 
    "localtime", "localtimestamp", "national", "natural", "nchar", "none", "normalize", "not", "notnull", "null", 
    "nullif", "numeric", "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay", "placing", 
    "position", "precision", "primary", "real", "references", "returning", "right", "row", "select", 
    "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric", "table", "tablesample", 
    "then", "time", "timestamp", "to", "trailing", "treat", "trim", "true", "union", "unique", "user", "using", 
    "values", "varchar", "variadic", "verbose", "when", "where", "window", "with", "xmlattributes", "xmlconcat", 
    "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", 
    "xmltable",
];

pub fn quote_ident(name: &str) -> String {
    let plain = name
        .bytes()
        .enumerate()
        .all(|(at, b)| b.is_ascii_lowercase() || b == b'_' || (at > 0 && b.is_ascii_digit()));
    if plain && !name.is_empty() && KEYWORDS.binary_search(&name).is_err() {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub fn quote_literal(value: &str) -> Res<String> {
    let mut out = String::with_capacity(value.len() + 3);
    if value.contains('\\') {
        out.push('E');
    }
    out.push('\'');
    for piece in pace::pieces(value) {
        for c in piece?.chars() {
            if matches!(c, '\'' | '\\') {
                out.push(c);
            }
            out.push(c);
        }
    }
    out.push('\'');
    Ok(out)
}

fn too_few<T>() -> Res<T> {
    fail("22023", "too few arguments for format()")
}

/// One % directive: %[position$][-][width]type.
struct Directive {
    position: Option<usize>,
    left: bool,
    width: Width,
    kind: char,
}

enum Width {
    None,
    Fixed(i64),
    /// From an argument: the next one, or the one with this number.
    Next,
    Argument(usize),
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Res<Option<i64>> {
    let mut value: Option<i64> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let next = value.unwrap_or(0) * 10 + i64::from(digit);
        if next > i64::from(i32::MAX) {
            return fail("22003", "number is out of range");
        }
        value = Some(next);
    }
    Ok(value)
}

fn unterminated<T>() -> Res<T> {
    Err(
        SqlError::new("22023", "unterminated format() type specifier")
            .hint("For a single \"%\" use \"%%\".")
            .into(),
    )
}

fn position_of(value: i64) -> Res<usize> {
    if value == 0 {
        return fail(
            "22023",
            "format specifies argument 0, but arguments are numbered from 1",
        );
    }
    Ok(value as usize)
}

fn directive(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Res<Directive> {
    let mut out = Directive {
        position: None,
        left: false,
        width: Width::None,
        kind: ' ',
    };
    let leading = number(chars)?;
    match (leading, chars.peek()) {
        (Some(value), Some('$')) => {
            chars.next();
            out.position = Some(position_of(value)?);
        }
        (Some(value), _) => out.width = Width::Fixed(value),
        _ => {}
    }
    if matches!(out.width, Width::None) {
        while chars.peek() == Some(&'-') {
            chars.next();
            out.left = true;
        }
        if chars.peek() == Some(&'*') {
            chars.next();
            out.width = match number(chars)? {
                Some(value) => {
                    if chars.next() != Some('$') {
                        return fail("22023", "width argument position must be ended by \"$\"");
                    }
                    Width::Argument(position_of(value)?)
                }
                None => Width::Next,
            };
        } else if let Some(value) = number(chars)? {
            out.width = Width::Fixed(value);
        }
    }
    match chars.next() {
        Some(kind @ ('s' | 'I' | 'L')) => out.kind = kind,
        Some(other) => {
            let error = SqlError::new(
                "22023",
                format!("unrecognized format() type specifier \"{other}\""),
            );
            return Err(error.hint("For a single \"%\" use \"%%\".").into());
        }
        None => return unterminated(),
    }
    Ok(out)
}

fn put_padded(text: &str, width: i64, left: bool, out: &mut String) -> Res<()> {
    let missing = match width {
        0 => 0,
        width => (width.unsigned_abs() as usize).saturating_sub(chars(text)?),
    };
    if missing > 0x3fff_ffff {
        return fail("22003", "number is out of range");
    }
    enlarge(out.len(), missing + text.len())?;
    pace::heavy(missing)?;
    let fill = " ".repeat(missing);
    if left || width < 0 {
        pace::append(out, text)?;
        pace::append(out, &fill)
    } else {
        pace::append(out, &fill)?;
        pace::append(out, text)
    }
}

fn format(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let mut out = String::new();
    let mut chars = args[0].str()?.chars().peekable();
    let mut used = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.peek() {
            None => return unterminated(),
            Some('%') => {
                chars.next();
                out.push('%');
                continue;
            }
            Some(_) => {}
        }
        let directive = directive(&mut chars)?;
        let width = match directive.width {
            Width::None => 0,
            Width::Fixed(width) => width,
            Width::Next | Width::Argument(_) => {
                let at = if let Width::Argument(at) = directive.width {
                    at
                } else {
                    used + 1
                };
                used = at;
                match args.get(at) {
                    None => return too_few(),
                    Some(Datum::Null) => 0,
                    Some(Datum::Int(width)) => *width,
                    Some(other) => strings::any_text(ctx, at, other)?
                        .trim()
                        .parse()
                        .unwrap_or(0),
                }
            }
        };
        let at = directive.position.unwrap_or(used + 1);
        used = at;
        let Some(value) = args.get(at) else {
            return too_few();
        };
        let text: Cow<'_, str> = match (directive.kind, value.is_null()) {
            ('s', true) => "".into(),
            ('I', true) => {
                return fail(
                    "22004",
                    "null values cannot be formatted as an SQL identifier",
                )
            }
            (_, true) => "NULL".into(),
            ('s', _) => strings::any_text(ctx, at, value)?,
            ('I', _) => quote_ident(&strings::any_text(ctx, at, value)?).into(),
            _ => quote_literal(&strings::any_text(ctx, at, value)?)?.into(),
        };
        put_padded(&text, width, directive.left, &mut out)?;
    }
    Ok(Datum::text(out))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With a line feed after each 76 characters, as MIME has it.
fn to_base64(bytes: &[u8]) -> Res<String> {
    let mut out = String::with_capacity(bytes.len() / 57 * 77 + 77);
    // 57 bytes are a line.
    for (number, line) in bytes.chunks(57).enumerate() {
        pace::step(76)?;
        if number > 0 {
            out.push('\n');
        }
        for chunk in line.chunks(3) {
            let sum = chunk.iter().fold(0u32, |sum, b| sum << 8 | u32::from(*b));
            let word = sum << (8 * (3 - chunk.len()));
            for at in 0..4 {
                let six = (word >> (18 - 6 * at) & 63) as usize;
                out.push(if at <= chunk.len() {
                    BASE64[six] as char
                } else {
                    '='
                });
            }
        }
    }
    Ok(out)
}

/// What a base64 digit stands for.
fn six_bits(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

fn from_base64(text: &str) -> Res<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut count, mut ends) = (0u32, 0, 0);
    for byte in text.bytes() {
        pace::step(1)?;
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            continue;
        }
        let six = if byte == b'=' {
            if ends == 0 && count < 2 {
                return fail("22023", "unexpected \"=\" while decoding base64 sequence");
            }
            ends += 1;
            0
        } else {
            match six_bits(byte) {
                Some(six) if ends == 0 => six,
                _ => {
                    let shown = byte as char;
                    return fail(
                        "22023",
                        format!("invalid symbol \"{shown}\" found while decoding base64 sequence"),
                    );
                }
            }
        };
        word = word << 6 | six;
        count += 1;
        if count == 4 {
            out.extend_from_slice(&word.to_be_bytes()[1..4 - ends.min(2)]);
            (word, count) = (0, 0);
        }
    }
    if count != 0 {
        let error = SqlError::new("22023", "invalid base64 end sequence");
        return Err(error
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
            .into());
    }
    Ok(out)
}

/// encode()'s escape form: only zero and bytes with the high bit are written as octal.
fn to_escape(bytes: &[u8]) -> Res<String> {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        pace::step(1)?;
        match byte {
            0 | 0x80.. => {
                out.push('\\');
                out.extend(
                    [byte >> 6, byte >> 3 & 7, byte & 7].map(|digit| char::from(b'0' + digit)),
                );
            }
            b'\\' => out.push_str("\\\\"),
            _ => out.push(byte as char),
        }
    }
    Ok(out)
}

fn encode(bytes: &[u8], form: &str) -> Res<Datum> {
    let text = match form.to_ascii_lowercase().as_str() {
        "hex" => return hex(bytes),
        "base64" => to_base64(bytes)?,
        "escape" => to_escape(bytes)?,
        _ => return fail("22023", format!("unrecognized encoding: \"{form}\"")),
    };
    Ok(Datum::text(text))
}

fn decode(text: &str, form: &str) -> Res<Datum> {
    let bytes = match form.to_ascii_lowercase().as_str() {
        "hex" => bytea::read_hex(text)?,
        "base64" => from_base64(text)?,
        "escape" => bytea::read_escape(text)?,
        _ => return fail("22023", format!("unrecognized encoding: \"{form}\"")),
    };
    Ok(Datum::Bytes(bytes.into()))
}

pub fn hex(bytes: &[u8]) -> Res<Datum> {
    let mut out = Vec::new();
    bytea::put_hex(bytes, &mut out)?;
    Ok(Datum::text(String::from_utf8(out).unwrap_or_default()))
}

fn is_utf8(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    matches!(plain.as_str(), "utf8" | "unicode" | "sqlascii")
}

fn is_latin1(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    matches!(plain.as_str(), "latin1" | "iso88591")
}

fn convert_from(bytes: &[u8], name: &str) -> Res<Datum> {
    if is_utf8(name) {
        return Text::copied(text::utf8(bytes)?).map(Datum::Text);
    }
    if is_latin1(name) {
        if bytes.contains(&0) {
            return fail(
                "22021",
                "invalid byte sequence for encoding \"LATIN1\": 0x00",
            );
        }
        let mut out = String::with_capacity(bytes.len());
        for byte in bytes {
            pace::step(1)?;
            out.push(*byte as char);
        }
        return Ok(Datum::text(out));
    }
    fail("22023", format!("invalid source encoding name \"{name}\""))
}

fn convert_to(value: &str, name: &str) -> Res<Datum> {
    if is_utf8(name) {
        let mut out = Vec::new();
        pace::append_bytes(&mut out, value.as_bytes())?;
        return Ok(Datum::Bytes(out.into()));
    }
    if is_latin1(name) {
        let one = |c: char| match pace::step(1).map(|()| u8::try_from(u32::from(c)))? {
            Ok(byte) => Ok(byte),
            Err(_) => {
                let bytes: Vec<String> = c
                    .to_string()
                    .bytes()
                    .map(|b| format!("0x{b:02x}"))
                    .collect();
                let shown = bytes.join(" ");
                fail("22P05", format!("character with byte sequence {shown} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\""))
            }
        };
        let out = value.chars().map(one).collect::<Res<Vec<u8>>>()?;
        return Ok(Datum::Bytes(out.into()));
    }
    fail(
        "22023",
        format!("invalid destination encoding name \"{name}\""),
    )
}

fn random_uuid(ctx: &mut Ctx<'_>) -> Datum {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&ctx.rng.next().to_le_bytes());
    bytes[8..].copy_from_slice(&ctx.rng.next().to_le_bytes());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Datum::Uuid(bytes)
}

/// unistr(): \XXXX, \+XXXXXX, \uXXXX, \UXXXXXXXX.
fn unistr(source: &str) -> Res<Datum> {
    let mut out = String::new();
    let mut rest = source;
    let mut pair: Option<u32> = None;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(more) = after.strip_prefix('\\') {
            out.push('\\');
            rest = more;
            continue;
        }
        let (skip, digits) = match after.as_bytes().first() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let code = after
            .get(skip..skip + digits)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = code.and_then(|hex| u32::from_str_radix(hex, 16).ok()) else {
            let error = SqlError::new("42601", "invalid Unicode escape");
            return Err(error
                .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
                .into());
        };
        rest = &after[skip + digits..];
        match (pair.take(), code) {
            (None, 0xd800..=0xdbff) if rest.starts_with('\\') => pair = Some(code),
            (Some(high), 0xdc00..=0xdfff) => {
                let joined = 0x10000 + ((high & 0x3ff) << 10 | (code & 0x3ff));
                out.extend(char::from_u32(joined));
            }
            (None, code) => match char::from_u32(code) {
                Some(c) if code != 0 => out.push(c),
                Some(_) => return fail("42601", "invalid Unicode code point: 0000"),
                None if code > 0x10ffff => {
                    return fail("42601", format!("invalid Unicode code point: {code:04X}"))
                }
                None => return fail("42601", "invalid Unicode surrogate pair"),
            },
            _ => return fail("42601", "invalid Unicode surrogate pair"),
        }
    }
    out.push_str(rest);
    Ok(Datum::text(out))
}

pub const FAMILIES: &[&[Function]] = &[&[
    pure("quote_ident", |_, a| {
        Ok(Datum::text(quote_ident(a[0].str()?)))
    }),
    stable("quote_literal", |c, a| {
        quote_literal(&strings::any_text(c, 0, &a[0])?).map(Datum::text)
    }),
    lax("quote_nullable", |c, a| {
        Ok(Datum::text(if a[0].is_null() {
            "NULL".to_owned()
        } else {
            quote_literal(&strings::any_text(c, 0, &a[0])?)?
        }))
    }),
    Function {
        name: "text_format",
        strict: false,
        volatility: Volatility::Stable,
        eval: format,
    },
    Function {
        name: "text_format_nv",
        strict: false,
        volatility: Volatility::Stable,
        eval: format,
    },
    pure("binary_encode", |_, a| encode(a[0].bytes()?, a[1].str()?)),
    pure("binary_decode", |_, a| decode(a[0].str()?, a[1].str()?)),
    pure("pg_convert_from", |_, a| {
        convert_from(a[0].bytes()?, a[1].str()?)
    }),
    pure("pg_convert_to", |_, a| convert_to(a[0].str()?, a[1].str()?)),
    pure("unistr", |_, a| unistr(a[0].str()?)),
    volatile("gen_random_uuid", |c, _| Ok(random_uuid(c))),
]];
