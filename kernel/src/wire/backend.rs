//! Backend messages of the PostgreSQL protocol 3.0, appended to an output buffer.

use crate::base::error::enlarge;
use crate::base::{Oid, Res, SqlError};
use crate::exec::plan::OutputColumn;
use crate::types::registry;
use crate::wire::frontend::format_of;

/// Begin a message; `end` fills its length in.
#[inline]
pub fn begin(out: &mut Vec<u8>, tag: u8) -> usize {
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    out.len() - 4
}

#[inline]
pub fn end(out: &mut [u8], at: usize) {
    let size = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend(value.bytes().filter(|&byte| byte != 0));
    out.push(0);
}

fn i16(out: &mut Vec<u8>, value: i16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A row that grows too long for a message is an error, not a message that nobody can read.
#[inline]
pub fn fits(out: &[u8], at: usize) -> Res<()> {
    enlarge(out.len() - at, 0)
}

/// A message without a body: ParseComplete, BindComplete, NoData…
#[inline]
pub fn bare(out: &mut Vec<u8>, tag: u8) {
    out.extend_from_slice(&[tag, 0, 0, 0, 4]);
}

pub const PARSE_COMPLETE: u8 = b'1';
pub const BIND_COMPLETE: u8 = b'2';
pub const CLOSE_COMPLETE: u8 = b'3';
pub const NO_DATA: u8 = b'n';
pub const EMPTY_QUERY: u8 = b'I';
pub const PORTAL_SUSPENDED: u8 = b's';
pub const COPY_DONE: u8 = b'c';

/// AuthenticationRequest of a kind with its own data.
pub fn auth(out: &mut Vec<u8>, kind: u32, data: &[u8]) {
    let at = begin(out, b'R');
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(data);
    end(out, at);
}

pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    let at = begin(out, b'S');
    text(out, name);
    text(out, value);
    end(out, at);
}

pub fn backend_key(out: &mut Vec<u8>, pid: u32, secret: u32) {
    let at = begin(out, b'K');
    out.extend_from_slice(&pid.to_be_bytes());
    out.extend_from_slice(&secret.to_be_bytes());
    end(out, at);
}

/// `status`: `I`, `T` or `E`.
#[inline]
pub fn ready(out: &mut Vec<u8>, status: u8) {
    out.extend_from_slice(&[b'Z', 0, 0, 0, 5, status]);
}

#[inline]
pub fn complete(out: &mut Vec<u8>, tag: &str) {
    let at = begin(out, b'C');
    text(out, tag);
    end(out, at);
}

pub fn notification(out: &mut Vec<u8>, pid: u32, channel: &str, payload: &str) {
    let at = begin(out, b'A');
    out.extend_from_slice(&pid.to_be_bytes());
    text(out, channel);
    text(out, payload);
    end(out, at);
}

/// Of whole messages, those that belong to no statement: NotificationResponse and ParameterStatus.
pub fn keep_asynchronous(messages: &[u8], out: &mut Vec<u8>) {
    let mut rest = messages;
    while let Some((&[tag, a, b, c, d], _)) = rest.split_first_chunk::<5>() {
        let size = u32::from_be_bytes([a, b, c, d]) as usize + 1;
        let (message, after) = rest.split_at(size.min(rest.len()));
        if matches!(tag, b'A' | b'S') {
            out.extend_from_slice(message);
        }
        rest = after;
    }
}

/// The newest minor protocol we speak (0) and the protocol options that we don't know.
pub fn negotiate(out: &mut Vec<u8>, unknown: &[&str]) {
    let at = begin(out, b'v');
    i32(out, 3 << 16);
    i32(out, unknown.len() as i32);
    for option in unknown {
        text(out, option);
    }
    end(out, at);
}

pub fn parameter_description(out: &mut Vec<u8>, types: &[Oid]) {
    let at = begin(out, b't');
    i16(out, types.len() as i16);
    for typ in types {
        i32(out, typ.0 as i32);
    }
    end(out, at);
}

/// RowDescription; for a statement without rows send NoData instead.
pub fn row_description(out: &mut Vec<u8>, columns: &[OutputColumn], formats: &[u16]) {
    let at = begin(out, b'T');
    i16(out, columns.len() as i16);
    for (place, column) in columns.iter().enumerate() {
        text(out, &column.name);
        i32(out, column.table.0 as i32);
        i16(out, column.attnum);
        i32(out, column.typ.0 as i32);
        i16(out, registry::find(column.typ).map_or(-1, |info| info.len));
        i32(out, column.typmod);
        i16(out, format_of(formats, place) as i16);
    }
    end(out, at);
}

/// CopyInResponse (`G`) or CopyOutResponse (`H`).
pub fn copy_response(out: &mut Vec<u8>, tag: u8, binary: bool, columns: usize) {
    let at = begin(out, tag);
    out.push(u8::from(binary));
    i16(out, columns as i16);
    for _ in 0..columns {
        i16(out, i16::from(binary));
    }
    end(out, at);
}

/// What an ErrorResponse or NoticeResponse carries besides the error's own fields.
#[derive(Debug, Clone, Default)]
pub struct Internal {
    pub position: Option<u32>,
    pub query: Option<String>,
    /// PostgreSQL's function that says it, where drivers go by that.
    pub routine: Option<String>,
}

/// ErrorResponse: `severity` is ERROR, FATAL or PANIC.
pub fn error(out: &mut Vec<u8>, severity: &str, error: &SqlError, internal: &Internal) {
    fields(out, b'E', severity, error, internal);
}

/// NoticeResponse: `severity` is DEBUG, LOG, INFO, NOTICE or WARNING.
pub fn notice(out: &mut Vec<u8>, severity: &str, error: &SqlError) {
    fields(out, b'N', severity, error, &Internal::default());
}

fn fields(out: &mut Vec<u8>, tag: u8, severity: &str, error: &SqlError, internal: &Internal) {
    let at = begin(out, tag);
    let mut field = |code: u8, value: Option<&str>| {
        if let Some(value) = value {
            out.push(code);
            text(out, value);
        }
    };
    field(b'S', Some(severity));
    field(b'V', Some(severity));
    field(b'C', Some(error.code_str()));
    field(b'M', Some(&error.message));
    field(b'D', error.detail.as_deref());
    field(b'H', error.hint.as_deref());
    field(b'P', error.position.map(|p| p.to_string()).as_deref());
    field(b'p', internal.position.map(|p| p.to_string()).as_deref());
    field(b'q', internal.query.as_deref());
    field(b'W', error.context.as_deref());
    field(b's', error.schema.as_deref());
    field(b't', error.table.as_deref());
    field(b'c', error.column.as_deref());
    field(b'd', error.datatype.as_deref());
    field(b'n', error.constraint.as_deref());
    field(b'R', internal.routine.as_deref());
    out.push(0);
    end(out, at);
}
