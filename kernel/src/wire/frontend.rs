//! Frontend messages of the PostgreSQL protocol 3.0, read from a buffer that may end anywhere.
//!
//! | message | bytes |
//! |---|---|
//! | startup | `i32 length` (itself included), `i32 code`, then `name\0value\0`…`\0` |
//! | all others | `u8 type`, `i32 length` (itself included, the type not), body |
//!
//! Whatever does not follow the format is an error 08P01, never a panic. Nothing here copies.

use crate::base::error::{fail, Res};
use smallvec::SmallVec;

/// Startup packets are small in honest hands (PostgreSQL's bound).
const MAX_STARTUP: usize = 10_000;

#[derive(Debug, PartialEq, Eq)]
pub enum Startup {
    Ssl,
    GssEnc,
    Cancel {
        pid: u32,
        secret: u32,
    },
    Session {
        minor: u16,
        params: Vec<(String, String)>,
    },
}

/// The startup packet at the head of `bytes` and its size; `None` while it is not all there.
pub fn startup(bytes: &[u8]) -> Res<Option<(usize, Startup)>> {
    let Some(size) = length(bytes, 0) else {
        return Ok(None);
    };
    if !(8..=MAX_STARTUP).contains(&size) {
        return fail("08P01", "invalid length of startup packet");
    }
    let Some(packet) = bytes.get(4..size) else {
        return Ok(None);
    };
    let mut reader = Reader::new(packet);
    let code = reader.u32()?;
    let message = match code {
        80_877_103 => Startup::Ssl,
        80_877_104 => Startup::GssEnc,
        80_877_102 => {
            let cancel = Startup::Cancel {
                pid: reader.u32()?,
                secret: reader.u32()?,
            };
            reader.end()?;
            cancel
        }
        _ if code >> 16 == 3 => Startup::Session {
            minor: code as u16,
            params: parameters(&mut reader)?,
        },
        _ => {
            let text = format!(
                "unsupported frontend protocol {}.{}: server supports 3.0 to 3.0",
                code >> 16,
                code & 0xffff
            );
            return fail("0A000", text);
        }
    };
    Ok(Some((size, message)))
}

fn parameters(reader: &mut Reader<'_>) -> Res<Vec<(String, String)>> {
    let mut params = Vec::new();
    loop {
        let name = reader.text()?;
        if name.is_empty() {
            reader.end().or_else(|_| {
                fail(
                    "08P01",
                    "invalid startup packet layout: expected terminator as last byte",
                )
            })?;
            return Ok(params);
        }
        params.push((name.to_owned(), reader.text()?.to_owned()));
    }
}

/// One message as framed: `size` is what it takes of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub tag: u8,
    pub body: &'a [u8],
    pub size: usize,
}

/// How long the message is to be that begins here, with its head.
pub fn announced(bytes: &[u8]) -> Option<usize> {
    length(bytes, 1).map(|size| size.saturating_add(1))
}

/// The message at the head of `bytes`; `None` while it is not all there. Bad lengths and unknown types cannot be
/// resynchronised: the caller ends the connection on an error from here.
pub fn frame(bytes: &[u8], max: usize) -> Res<Option<Frame<'_>>> {
    let Some(&tag) = bytes.first() else {
        return Ok(None);
    };
    if !matches!(
        tag,
        b'B' | b'C'
            | b'D'
            | b'E'
            | b'F'
            | b'H'
            | b'P'
            | b'Q'
            | b'S'
            | b'X'
            | b'c'
            | b'd'
            | b'f'
            | b'p'
    ) {
        return fail("08P01", format!("invalid frontend message type {tag}"));
    }
    let Some(size) = length(bytes, 1) else {
        return Ok(None);
    };
    if size < 4 || size > max {
        return fail("08P01", "invalid message length");
    }
    let Some(body) = bytes.get(5..1 + size) else {
        return Ok(None);
    };
    Ok(Some(Frame {
        tag,
        body,
        size: 1 + size,
    }))
}

fn length(bytes: &[u8], at: usize) -> Option<usize> {
    let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    // A negative length becomes a huge one, which every bound refuses.
    Some(u32::from_be_bytes(word) as usize)
}

/// Reads a message's body in order.
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    pub fn take(&mut self, count: usize) -> Res<&'a [u8]> {
        match self.bytes.split_at_checked(count) {
            Some((head, rest)) => {
                self.bytes = rest;
                Ok(head)
            }
            None => fail("08P01", "insufficient data left in message"),
        }
    }

    pub fn u8(&mut self) -> Res<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Res<u16> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub fn u32(&mut self) -> Res<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A NUL-terminated UTF-8 string.
    pub fn text(&mut self) -> Res<&'a str> {
        let Some(end) = memchr::memchr(0, self.bytes) else {
            return fail("08P01", "invalid string in message");
        };
        let text = utf8(&self.bytes[..end])?;
        self.bytes = &self.bytes[end + 1..];
        Ok(text)
    }

    /// A value with its length before it; −1 is NULL.
    pub fn value(&mut self) -> Res<Option<&'a [u8]>> {
        match self.u32()? as i32 {
            -1 => Ok(None),
            length if length < 0 => fail("08P01", "insufficient data left in message"),
            length => Ok(Some(self.take(length as usize)?)),
        }
    }

    pub fn end(&self) -> Res<()> {
        match self.bytes {
            [] => Ok(()),
            _ => fail("08P01", "invalid message format"),
        }
    }
}

/// Text from a client: valid UTF-8 without NUL, else 22021 with PostgreSQL's words.
pub fn utf8(bytes: &[u8]) -> Res<&str> {
    let bad = match std::str::from_utf8(bytes) {
        Ok(text) => match memchr::memchr(0, bytes) {
            None => return Ok(text),
            Some(at) => at,
        },
        Err(error) => error.valid_up_to(),
    };
    let lead = bytes.get(bad).copied().unwrap_or(0);
    let width = match lead {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let shown: Vec<String> = bytes[bad..]
        .iter()
        .take(width)
        .map(|b| format!("0x{b:02x}"))
        .collect();
    fail(
        "22021",
        format!(
            "invalid byte sequence for encoding \"UTF8\": {}",
            shown.join(" ")
        ),
    )
}

pub type Formats = SmallVec<[u16; 8]>;

#[derive(Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    pub portal: &'a str,
    pub statement: &'a str,
    pub param_formats: Formats,
    pub values: SmallVec<[Option<&'a [u8]>; 8]>,
    pub result_formats: Formats,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    pub name: &'a str,
    pub text: &'a str,
    pub types: SmallVec<[u32; 8]>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Target<'a> {
    Statement(&'a str),
    Portal(&'a str),
}

pub fn query(body: &[u8]) -> Res<&str> {
    let mut reader = Reader::new(body);
    let text = reader.text()?;
    reader.end()?;
    Ok(text)
}

pub fn parse(body: &[u8]) -> Res<Parse<'_>> {
    let mut reader = Reader::new(body);
    let (name, text) = (reader.text()?, reader.text()?);
    let count = reader.u16()?;
    let types = (0..count).map(|_| reader.u32()).collect::<Res<_>>()?;
    reader.end()?;
    Ok(Parse { name, text, types })
}

pub fn bind(body: &[u8]) -> Res<Bind<'_>> {
    let mut reader = Reader::new(body);
    let (portal, statement) = (reader.text()?, reader.text()?);
    let param_formats = formats(&mut reader)?;
    let count = reader.u16()?;
    let values: SmallVec<_> = (0..count).map(|_| reader.value()).collect::<Res<_>>()?;
    let result_formats = formats(&mut reader)?;
    reader.end()?;
    if param_formats.len() > 1 && param_formats.len() != values.len() {
        let text = format!(
            "bind message has {} parameter formats but {} parameters",
            param_formats.len(),
            values.len()
        );
        return fail("08P01", text);
    }
    Ok(Bind {
        portal,
        statement,
        param_formats,
        values,
        result_formats,
    })
}

fn formats(reader: &mut Reader<'_>) -> Res<Formats> {
    let count = reader.u16()?;
    let mut formats = Formats::new();
    for _ in 0..count {
        match reader.u16()? {
            code @ (0 | 1) => formats.push(code),
            code => return fail("22023", format!("unsupported format code: {}", code as i16)),
        }
    }
    Ok(formats)
}

/// The format of item `at`: none given is text, one is for all.
pub fn format_of(formats: &[u16], at: usize) -> u16 {
    match formats {
        [] => 0,
        [one] => *one,
        many => many.get(at).copied().unwrap_or(0),
    }
}

/// Describe and Close.
pub fn target(body: &[u8]) -> Res<Target<'_>> {
    let mut reader = Reader::new(body);
    let kind = reader.u8()?;
    let name = reader.text()?;
    reader.end()?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        kind => fail(
            "08P01",
            format!("invalid DESCRIBE or CLOSE message subtype {kind}"),
        ),
    }
}

/// Execute: portal, and the row limit (0: none).
pub fn execute(body: &[u8]) -> Res<(&str, usize)> {
    let mut reader = Reader::new(body);
    let portal = reader.text()?;
    let limit = reader.u32()? as i32;
    reader.end()?;
    Ok((portal, usize::try_from(limit).unwrap_or(0)))
}
