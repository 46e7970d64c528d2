//! json: validated text. The reader here serves jsonb and the JSON functions too.
//!
//! Errors are 22P02 `invalid input syntax for type json` with PostgreSQL's detail and its CONTEXT line.

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::text::{text_common, utf8};
use super::{hash, oids, Datum, Text};
use crate::base::error::Res;
use crate::base::Oid;
use crate::base::{pace, SqlError, Stop};
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] = &[TypeInfo::new(
    oids::JSON,
    Oid(199),
    "json",
    Repr::Text,
    &Ops,
)];

/// What a text holds, told piece by piece. Strings come unescaped; numbers as written.
pub trait Sink {
    fn null(&mut self) -> Res<()>;
    fn bool(&mut self, value: bool) -> Res<()>;
    fn number(&mut self, text: &str) -> Res<()>;
    fn string(&mut self, value: &str) -> Res<()>;
    fn begin_array(&mut self) -> Res<()>;
    fn end_array(&mut self) -> Res<()>;
    fn begin_object(&mut self) -> Res<()>;
    fn key(&mut self, value: &str) -> Res<()>;
    fn end_object(&mut self) -> Res<()>;
    /// Whether `\u0000` and lone surrogates are errors (they are where text is made of strings).
    fn decodes(&self) -> bool {
        true
    }
}

struct Nothing;

impl Sink for Nothing {
    fn null(&mut self) -> Res<()> {
        Ok(())
    }
    fn bool(&mut self, _value: bool) -> Res<()> {
        Ok(())
    }
    fn number(&mut self, _text: &str) -> Res<()> {
        Ok(())
    }
    fn string(&mut self, _value: &str) -> Res<()> {
        Ok(())
    }
    fn begin_array(&mut self) -> Res<()> {
        Ok(())
    }
    fn end_array(&mut self) -> Res<()> {
        Ok(())
    }
    fn begin_object(&mut self) -> Res<()> {
        Ok(())
    }
    fn key(&mut self, _value: &str) -> Res<()> {
        Ok(())
    }
    fn end_object(&mut self) -> Res<()> {
        Ok(())
    }
    fn decodes(&self) -> bool {
        false
    }
}

/// What reading one value counts as, in steps of `pace`.
const STEP: usize = 64;

/// Nesting beyond this is 54001.
pub const MAX_DEPTH: usize = 1000;

pub struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Where the token under way began.
    start: usize,
}

fn space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Bytes that go on an unquoted token, as PostgreSQL's error texts show it.
fn word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// 54001 before what works on JSON by recursion comes near the end of a thread's stack.
pub fn check_depth(depth: usize) -> Res<()> {
    if depth < MAX_DEPTH {
        return Ok(());
    }
    let error = SqlError::new("54001", "stack depth limit exceeded");
    Err(error
        .detail(format!("JSON nests deeper than {MAX_DEPTH} levels."))
        .into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Array,
    Object,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Parser<'a> {
        Parser {
            text,
            at: 0,
            start: 0,
        }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    fn skip(&mut self) -> Option<u8> {
        while self.peek().is_some_and(space) {
            self.at += 1;
        }
        self.start = self.at;
        self.peek()
    }

    /// The whole text as one value.
    pub fn run(mut self, sink: &mut impl Sink) -> Res<()> {
        let mut stack: Vec<Open> = Vec::new();
        self.value(&mut stack, sink, false)?;
        while let Some(&open) = stack.last() {
            let next = self.skip();
            match (open, next) {
                (Open::Array, Some(b',')) => {
                    self.at += 1;
                    self.value(&mut stack, sink, false)?;
                }
                (Open::Array, Some(b']')) => {
                    self.at += 1;
                    stack.pop();
                    sink.end_array()?;
                }
                (Open::Object, Some(b',')) => {
                    self.at += 1;
                    self.field(&mut stack, sink, false)?;
                }
                (Open::Object, Some(b'}')) => {
                    self.at += 1;
                    stack.pop();
                    sink.end_object()?;
                }
                (Open::Array, _) => {
                    return Err(self.expected("Expected \",\" or \"]\", but found \"{}\"."))
                }
                (Open::Object, _) => {
                    return Err(self.expected("Expected \",\" or \"}\", but found \"{}\"."))
                }
            }
        }
        match self.skip() {
            None => Ok(()),
            Some(_) => Err(self.expected("Expected end of input, but found \"{}\".")),
        }
    }

    /// One value, or the beginning of a container (which is then on the stack, perhaps already closed).
    fn value(&mut self, stack: &mut Vec<Open>, sink: &mut impl Sink, closable: bool) -> Res<()> {
        pace::step(STEP)?;
        match self.skip() {
            Some(b'"') => {
                let text = self.string(sink.decodes())?;
                sink.string(&text)
            }
            Some(b'{') => {
                self.at += 1;
                self.push(stack, Open::Object)?;
                sink.begin_object()?;
                self.field(stack, sink, true)
            }
            Some(b'[') => {
                self.at += 1;
                self.push(stack, Open::Array)?;
                sink.begin_array()?;
                self.value(stack, sink, true)
            }
            Some(b']') if closable => {
                self.at += 1;
                stack.pop();
                sink.end_array()
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                sink.number(&self.text[self.start..self.at])
            }
            Some(byte) if word_byte(byte) => {
                while self.peek().is_some_and(word_byte) {
                    self.at += 1;
                }
                match &self.text[self.start..self.at] {
                    "true" => sink.bool(true),
                    "false" => sink.bool(false),
                    "null" => sink.null(),
                    token => {
                        let detail = format!("Token \"{token}\" is invalid.");
                        Err(self.error(detail))
                    }
                }
            }
            _ => Err(self.expected("Expected JSON value, but found \"{}\".")),
        }
    }

    fn push(&self, stack: &mut Vec<Open>, open: Open) -> Res<()> {
        check_depth(stack.len())?;
        stack.push(open);
        Ok(())
    }

    fn field(&mut self, stack: &mut Vec<Open>, sink: &mut impl Sink, closable: bool) -> Res<()> {
        match self.skip() {
            Some(b'"') => {
                let key = self.string(sink.decodes())?;
                sink.key(&key)?;
            }
            Some(b'}') if closable => {
                self.at += 1;
                stack.pop();
                return sink.end_object();
            }
            _ if closable => {
                return Err(self.expected("Expected string or \"}\", but found \"{}\"."))
            }
            _ => return Err(self.expected("Expected string, but found \"{}\".")),
        }
        if self.skip() != Some(b':') {
            return Err(self.expected("Expected \":\", but found \"{}\"."));
        }
        self.at += 1;
        self.value(stack, sink, false)
    }

    fn digits(&mut self) -> bool {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > from
    }

    fn number(&mut self) -> Res<()> {
        let mut good = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            good &= self.digits();
        }
        if good && self.peek() == Some(b'.') {
            self.at += 1;
            good &= self.digits();
        }
        if good && matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            good &= self.digits();
        }
        let end = self.at;
        while self.peek().is_some_and(word_byte) {
            self.at += 1;
        }
        if good && self.at == end {
            return Ok(());
        }
        let detail = format!("Token \"{}\" is invalid.", &self.text[self.start..self.at]);
        Err(self.error(detail))
    }

    /// From the opening quote; past the closing one afterwards.
    fn string(&mut self, decode: bool) -> Res<std::borrow::Cow<'a, str>> {
        self.at += 1;
        let from = self.at;
        let mut out: Option<String> = None;
        loop {
            let run = self.at;
            while self
                .peek()
                .is_some_and(|b| b != b'"' && b != b'\\' && b >= 0x20)
            {
                pace::step(1)?;
                self.at += 1;
            }
            if let Some(out) = &mut out {
                out.push_str(&self.text[run..self.at]);
            }
            match self.peek() {
                Some(b'"') => {
                    let whole = &self.text[from..self.at];
                    self.at += 1;
                    return Ok(out.map_or(whole.into(), Into::into));
                }
                Some(b'\\') => {
                    let out = out.get_or_insert_with(|| self.text[from..self.at].to_owned());
                    self.escape(out, decode)?;
                }
                Some(byte) => {
                    let detail = format!("Character with value 0x{byte:02x} must be escaped.");
                    return Err(self.error(detail));
                }
                None => {
                    let detail = format!("Token \"{}\" is invalid.", &self.text[self.start..]);
                    return Err(self.error(detail));
                }
            }
        }
    }

    fn hex(&mut self) -> Res<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| (b as char).to_digit(16));
            match digit {
                Some(digit) => value = value << 4 | digit,
                None => {
                    self.past_char();
                    return Err(self
                        .error("\"\\u\" must be followed by four hexadecimal digits.".to_owned()));
                }
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn past_char(&mut self) {
        self.at = self.text[self.at..]
            .chars()
            .next()
            .map_or(self.at, |c| self.at + c.len_utf8());
    }

    fn escape(&mut self, out: &mut String, decode: bool) -> Res<()> {
        self.at += 1;
        let Some(byte) = self.peek() else {
            let detail = format!("Token \"{}\" is invalid.", &self.text[self.start..]);
            return Err(self.error(detail));
        };
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode(out, decode);
            }
            _ => {
                let at = self.at;
                self.past_char();
                let detail = format!(
                    "Escape sequence \"\\{}\" is invalid.",
                    &self.text[at..self.at]
                );
                return Err(self.error(detail));
            }
        };
        self.at += 1;
        out.push(plain);
        Ok(())
    }

    fn unicode(&mut self, out: &mut String, decode: bool) -> Res<()> {
        let first = self.hex()?;
        if !decode {
            return Ok(());
        }
        let code = match first {
            0 => {
                let error = SqlError::new("22P05", "unsupported Unicode escape sequence");
                let error = error.detail("\\u0000 cannot be converted to text.");
                return Err(self.context(error));
            }
            0xd800..=0xdbff => {
                let low_follows = self.text[self.at..].starts_with("\\u");
                if !low_follows {
                    return Err(self
                        .error("Unicode low surrogate must follow a high surrogate.".to_owned()));
                }
                self.at += 2;
                let second = self.hex()?;
                if (0xd800..0xdc00).contains(&second) {
                    return Err(self.error(
                        "Unicode high surrogate must not follow a high surrogate.".to_owned(),
                    ));
                }
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(self
                        .error("Unicode low surrogate must follow a high surrogate.".to_owned()));
                }
                0x10000 + ((first & 0x3ff) << 10 | (second & 0x3ff))
            }
            0xdc00..=0xdfff => {
                return Err(
                    self.error("Unicode low surrogate must follow a high surrogate.".to_owned())
                );
            }
            code => code,
        };
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    /// An error about the token that begins at `start`; `{}` in the detail is that token.
    fn expected(&mut self, detail: &str) -> Stop {
        if self.start >= self.text.len() {
            self.at = self.text.len();
            return self.error("The input string ended unexpectedly.".to_owned());
        }
        self.token();
        let token = &self.text[self.start..self.at];
        let first = token.as_bytes().first().copied().unwrap_or(0);
        let word = matches!(token, "true" | "false" | "null");
        if !word
            && !matches!(
                first,
                b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"' | b'-' | b'0'..=b'9'
            )
        {
            return self.error(format!("Token \"{token}\" is invalid."));
        }
        let detail = match detail.rsplit_once("{}") {
            Some((before, after)) => format!("{before}{token}{after}"),
            None => detail.to_owned(),
        };
        self.error(detail)
    }

    fn token(&mut self) {
        self.at = self.start;
        match self.peek() {
            Some(b'"') => {
                if self.string(false).is_err() {
                    self.at = self.text.len();
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                while self
                    .peek()
                    .is_some_and(|b| word_byte(b) || matches!(b, b'-' | b'+' | b'.'))
                {
                    self.at += 1;
                }
            }
            Some(byte) if word_byte(byte) => {
                while self.peek().is_some_and(word_byte) {
                    self.at += 1;
                }
            }
            _ => self.past_char(),
        }
    }

    fn error(&self, detail: String) -> Stop {
        let error = SqlError::new("22P02", "invalid input syntax for type json");
        self.context(error.detail(detail))
    }

    /// CONTEXT: the line up to where reading stopped, not more than some fifty bytes of it.
    fn context(&self, mut error: Box<SqlError>) -> Stop {
        let (mut line, mut from) = (1, 0);
        for (at, byte) in self.bytes()[..self.start.min(self.text.len())]
            .iter()
            .enumerate()
        {
            if *byte == b'\n' {
                line += 1;
                from = at + 1;
            }
        }
        let end = self.at.min(self.text.len());
        let mut begin = from;
        while end.saturating_sub(begin) >= 50 {
            begin = self.text[begin..]
                .chars()
                .next()
                .map_or(end, |c| begin + c.len_utf8());
        }
        if begin - from <= 3 {
            begin = from;
        }
        let prefix = if begin > from { "..." } else { "" };
        let more = end < self.text.len() && !matches!(self.bytes()[end], b'\n' | b'\r');
        let suffix = if more { "..." } else { "" };
        error.context = Some(format!(
            "JSON data, line {line}: {prefix}{}{suffix}",
            &self.text[begin..end.max(begin)]
        ));
        Stop::Error(error)
    }
}

pub fn validate(text: &str) -> Res<()> {
    Parser::new(text).run(&mut Nothing)
}

/// A string with its quotes and escapes.
pub fn put_string(text: &str, out: &mut Vec<u8>) -> Res<()> {
    if text.len() >= pace::LONG {
        out.reserve(text.len());
    }
    out.push(b'"');
    for byte in text.bytes() {
        pace::step(1)?;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    Ok(())
}

fn value(datum: &Datum) -> &[u8] {
    match datum {
        Datum::Text(text) => text.as_bytes(),
        _ => b"",
    }
}

impl TypeOps for Ops {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        validate(text)?;
        Text::copied(text).map(Datum::Text)
    }

    text_common!();

    fn orderable(&self, _info: &TypeInfo) -> bool {
        false
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::bytes(value(datum))
    }
}
