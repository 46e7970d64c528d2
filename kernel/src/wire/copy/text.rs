//! COPY's text format: delimiters, `\N`, backslash escapes.

use super::BLOCK;
use crate::base::{pace, Res};
use std::borrow::Cow;

/// A value, escaped.
pub fn put(delimiter: u8, value: &[u8], out: &mut Vec<u8>) -> Res<()> {
    for block in value.chunks(BLOCK) {
        pace::step(block.len())?;
        put_block(delimiter, block, out);
    }
    Ok(())
}

fn put_block(delimiter: u8, value: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for (at, &byte) in value.iter().enumerate() {
        let escaped = match byte {
            8 => b'b',
            9 => b't',
            10 => b'n',
            11 => b'v',
            12 => b'f',
            13 => b'r',
            b'\\' => b'\\',
            byte if byte == delimiter => byte,
            _ => continue,
        };
        out.extend_from_slice(&value[from..at]);
        out.extend_from_slice(&[b'\\', escaped]);
        from = at + 1;
    }
    out.extend_from_slice(&value[from..]);
}

/// Field by field of one line (without its end). A field is `None` when it is the null string as written.
pub fn fields<'a>(
    line: &'a [u8],
    delimiter: u8,
    null: &[u8],
    mut each: impl FnMut(Option<Cow<'a, [u8]>>),
) {
    if memchr::memchr(b'\\', line).is_none() {
        for field in line.split(|&byte| byte == delimiter) {
            each((field != null).then_some(Cow::Borrowed(field)));
        }
        return;
    }
    let mut at = 0;
    loop {
        let start = at;
        while at < line.len() && line[at] != delimiter {
            // The byte after a backslash never ends a field.
            at += if line[at] == b'\\' { 2 } else { 1 };
        }
        let raw = &line[start..at.min(line.len())];
        each((raw != null).then(|| unescape(raw)));
        if at >= line.len() {
            return;
        }
        at += 1;
    }
}

fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let byte = raw[at];
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        // The very last byte of the data, a backslash before nothing: dropped, as PostgreSQL does.
        let Some(&code) = raw.get(at) else {
            break;
        };
        at += 1;
        match code {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(10),
            b'r' => out.push(13),
            b't' => out.push(9),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                at -= 1;
                out.push(number(raw, &mut at, 8, 3));
            }
            b'x' if raw.get(at).is_some_and(u8::is_ascii_hexdigit) => {
                out.push(number(raw, &mut at, 16, 2))
            }
            code => out.push(code),
        }
    }
    Cow::Owned(out)
}

/// Up to `most` digits; more than a byte holds is cut off, as PostgreSQL does.
fn number(raw: &[u8], at: &mut usize, radix: u32, most: usize) -> u8 {
    let mut value = 0;
    for _ in 0..most {
        let Some(digit) = raw
            .get(*at)
            .and_then(|&byte| char::from(byte).to_digit(radix))
        else {
            break;
        };
        value = value * radix + digit;
        *at += 1;
    }
    value as u8
}
