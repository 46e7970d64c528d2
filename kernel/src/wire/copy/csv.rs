//! COPY's CSV format.

use super::Format;
use crate::base::error::{fail, Res};
use std::borrow::Cow;

/// A value, quoted where it must be.
pub fn put(format: &Format, value: &[u8], force: bool, single: bool, out: &mut Vec<u8>) {
    let special = |&byte: &u8| {
        byte == format.delimiter || byte == format.quote || byte == b'\n' || byte == b'\r'
    };
    let quoted = force
        || value == format.null.as_bytes()
        || (single && value == b"\\.")
        || value.iter().any(special);
    if !quoted {
        out.extend_from_slice(value);
        return;
    }
    out.push(format.quote);
    for &byte in value {
        if byte == format.quote || byte == format.escape {
            out.push(format.escape);
        }
        out.push(byte);
    }
    out.push(format.quote);
}

/// Field by field of one record (without its end, newlines in quotes included): the value and whether any of it was quoted.
pub fn fields<'a>(
    format: &Format,
    line: &'a [u8],
    mut each: impl FnMut(Cow<'a, [u8]>, bool),
) -> Res<()> {
    if memchr::memchr(format.quote, line).is_none() {
        line.split(|&byte| byte == format.delimiter)
            .for_each(|field| each(Cow::Borrowed(field), false));
        return Ok(());
    }
    let mut at = 0;
    loop {
        let mut value = Vec::new();
        let (mut inside, mut quoted) = (false, false);
        while let Some(&byte) = line.get(at) {
            at += 1;
            let next = line.get(at).copied();
            if inside
                && byte == format.escape
                && next.is_some_and(|next| next == format.escape || next == format.quote)
            {
                value.extend(next);
                at += 1;
            } else if byte == format.quote {
                inside = !inside;
                quoted = true;
            } else if !inside && byte == format.delimiter {
                at -= 1;
                break;
            } else {
                value.push(byte);
            }
        }
        if inside {
            return fail("22P04", "unterminated CSV quoted field");
        }
        each(Cow::Owned(value), quoted);
        if at >= line.len() {
            return Ok(());
        }
        at += 1;
    }
}
