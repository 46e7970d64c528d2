//! COPY's CSV format.

use super::{Format, BLOCK};
use crate::base::error::{fail, Res};
use crate::base::pace;
use std::borrow::Cow;

/// A value, quoted where it must be.
pub fn put(format: &Format, value: &[u8], force: bool, single: bool, out: &mut Vec<u8>) -> Res<()> {
    let special = |&byte: &u8| {
        byte == format.delimiter || byte == format.quote || byte == b'\n' || byte == b'\r'
    };
    let mut quoted = force || value == format.null.as_bytes() || (single && value == b"\\.");
    for block in value.chunks(BLOCK) {
        if quoted {
            break;
        }
        pace::step(block.len())?;
        quoted = block.iter().any(special);
    }
    if !quoted {
        return pace::append_bytes(out, value);
    }
    out.push(format.quote);
    for block in value.chunks(BLOCK) {
        pace::step(block.len())?;
        for &byte in block {
            if byte == format.quote || byte == format.escape {
                out.push(format.escape);
            }
            out.push(byte);
        }
    }
    out.push(format.quote);
    Ok(())
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
