//! COPY's binary format: a header, rows of counted fields, a trailer.

use super::SIGNATURE;
use crate::base::error::{fail, Res};

/// Bytes of the header at the head of `bytes`; `None`: more is needed.
pub fn header(bytes: &[u8]) -> Res<Option<usize>> {
    let seen = bytes.len().min(SIGNATURE.len());
    if bytes[..seen] != SIGNATURE[..seen] {
        return fail("22P04", "COPY file signature not recognized");
    }
    let (Some(flags), Some(extension)) = (word(bytes, 11), word(bytes, 15)) else {
        return Ok(None);
    };
    if flags & 0x1_0000 != 0 {
        return fail("22P04", "invalid COPY file header (WITH OIDS)");
    }
    if flags & 0xffff_0000 != 0 {
        return fail("22P04", "unrecognized critical flags in COPY file header");
    }
    if extension > 0x7fff_ffff {
        return fail("22P04", "invalid COPY file header (missing length)");
    }
    let size = 19 + extension as usize;
    Ok((bytes.len() >= size).then_some(size))
}

/// The row at the head of `bytes`.
pub enum Row<'a> {
    /// More bytes are needed.
    Part,
    Trailer,
    Fields(Vec<Option<&'a [u8]>>, usize),
}

pub fn row(bytes: &[u8], width: usize) -> Res<Row<'_>> {
    let Some(&[high, low]) = bytes.get(..2) else {
        return Ok(Row::Part);
    };
    let count = i16::from_be_bytes([high, low]);
    if count == -1 {
        return Ok(Row::Trailer);
    }
    if usize::try_from(count).ok() != Some(width) {
        return fail(
            "22P04",
            format!("row field count is {count}, expected {width}"),
        );
    }
    let mut fields = Vec::with_capacity(width);
    let mut at = 2;
    for _ in 0..width {
        let Some(length) = word(bytes, at) else {
            return Ok(Row::Part);
        };
        at += 4;
        match length as i32 {
            -1 => fields.push(None),
            length if length < 0 => return fail("22P04", "invalid field size"),
            length => {
                let Some(value) = bytes.get(at..at + length as usize) else {
                    return Ok(Row::Part);
                };
                at += length as usize;
                fields.push(Some(value));
            }
        }
    }
    Ok(Row::Fields(fields, at))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
