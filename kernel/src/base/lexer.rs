//! Statement texts made comparable: comments and superfluous space dropped, literals lifted out.
//!
//! Texts with the same key differ in nothing but the values of their literals. The key keeps every other token as written (case too:
//! folding is the parser's), tokens apart by one space where the text had any, and a literal as `\x01` and its kind's letter, a byte
//! that no token begins with. A text that doesn't lex (an unclosed quote) has itself as key, and no literals.

use std::borrow::Cow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An integer that an int4 holds.
    Int4,
    Int8,
    Numeric,
    String,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Int4 => "int4",
            Kind::Int8 => "int8",
            Kind::Numeric => "numeric",
            Kind::String => "string",
        }
    }

    pub fn letter(self) -> u8 {
        match self {
            Kind::Int4 => b'i',
            Kind::Int8 => b'l',
            Kind::Numeric => b'n',
            Kind::String => b's',
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal<'a> {
    pub kind: Kind,
    /// The number as written, or the string's value with its escapes done.
    pub value: Cow<'a, str>,
    /// Byte offsets in the text: where it begins, and what follows it.
    pub at: usize,
    pub end: usize,
}

/// A text with more literals has the key `MANY`, under which nothing is kept: `folding` deals with it.
pub const LITERALS_MAX: usize = 1000;
pub const MANY: &[u8] = &[1];

pub fn normalise<'a>(text: &'a str, key: &mut Vec<u8>) -> Vec<Literal<'a>> {
    key.clear();
    let mut lexer = Lexer::new(text, 0);
    if lexer.run(key).is_none() {
        key.clear();
        match lexer.literals.len() > LITERALS_MAX {
            true => key.extend_from_slice(MANY),
            false => key.extend_from_slice(text.as_bytes()),
        }
        lexer.literals.clear();
    }
    lexer.literals
}

/// Is there nothing but space and comments?
pub fn is_blank(text: &str) -> bool {
    let mut lexer = Lexer::new(text, 0);
    lexer.skip_space().is_some() && lexer.at >= text.len()
}

/// A literal as Python sees it: kind, value, and its characters from … to in the text.
pub type Placed = (Kind, String, usize, usize);

/// Byte offsets to character positions.
pub fn positions(text: &str, literals: &[Literal<'_>]) -> Vec<Placed> {
    let mut counted = (0, 0);
    let mut character = |byte: usize| {
        counted.1 += text
            .get(counted.0..byte)
            .map_or(0, |between| between.chars().count());
        counted.0 = byte;
        counted.1
    };
    literals
        .iter()
        .map(|literal| {
            let (from, to) = (character(literal.at), character(literal.end));
            (literal.kind, literal.value.to_string(), from, to)
        })
        .collect()
}

/// A text without the strings that make it long: `''` stands for each of those. `cut`: which of the literals they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortened {
    pub text: String,
    pub literals: Vec<Placed>,
    pub cut: Vec<usize>,
}

/// From where on a text is worth it, how long a string is that is cut, and what is short.
const LONG_TEXT: usize = 1 << 20;
const LONG_STRING: usize = 1024;
const SHORT_TEXT: usize = 4096;

/// None: it is not long, or not by its strings alone.
pub fn shorten(text: &str, literals: &[Literal<'_>]) -> Option<Shortened> {
    if text.len() < LONG_TEXT {
        return None;
    }
    let (mut short, mut cut, mut from) = (String::new(), Vec::new(), 0);
    let mut kept = Vec::with_capacity(literals.len());
    for (index, literal) in literals.iter().enumerate() {
        let is_long = literal.kind == Kind::String && literal.end - literal.at > LONG_STRING;
        let between = text.get(from..literal.at)?;
        if short.len() + between.len() > SHORT_TEXT {
            return None;
        }
        short.push_str(between);
        let at = short.len();
        short.push_str(if is_long {
            cut.push(index);
            "''"
        } else {
            text.get(literal.at..literal.end)?
        });
        from = literal.end;
        kept.push(Literal {
            kind: literal.kind,
            value: if is_long {
                Cow::Borrowed("")
            } else {
                literal.value.clone()
            },
            at,
            end: short.len(),
        });
    }
    let rest = text.get(from..)?;
    if short.len() + rest.len() > SHORT_TEXT {
        return None;
    }
    short.push_str(rest);
    Some(Shortened {
        literals: positions(&short, &kept),
        text: short,
        cut,
    })
}

pub struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// Where the next token is looked for.
    pub at: usize,
    /// Space or a comment stood before the token.
    space: bool,
    pub literals: Vec<Literal<'a>>,
}

/// What a number is; `integer`: it has neither point nor exponent.
pub fn kind_of(value: &str, integer: bool) -> Kind {
    match (integer, value.parse::<i64>()) {
        (true, Ok(number)) if i32::try_from(number).is_ok() => Kind::Int4,
        (true, Ok(_)) => Kind::Int8,
        _ => Kind::Numeric,
    }
}

fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_ident(byte: u8) -> bool {
    is_ident_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?".contains(&byte)
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str, at: usize) -> Lexer<'a> {
        Lexer {
            text,
            bytes: text.as_bytes(),
            at,
            space: false,
            literals: Vec::new(),
        }
    }

    pub fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// `None`: the text doesn't lex, or has a byte (control character 1) that keys give a meaning to.
    fn run(&mut self, key: &mut Vec<u8>) -> Option<()> {
        while self.literals.len() <= LITERALS_MAX {
            if self.token(key)?.is_none() {
                return Some(());
            }
        }
        None
    }

    /// The next token, onto the key: where it begins, or nothing at the end. `None` as with `run`.
    pub fn token(&mut self, key: &mut Vec<u8>) -> Option<Option<usize>> {
        self.skip_space()?;
        let Some(&byte) = self.bytes.get(self.at) else {
            return Some(None);
        };
        let start = self.at;
        if self.space && !key.is_empty() {
            key.push(b' ');
        }
        self.space = false;
        match byte {
            1 => return None,
            b'\'' => self.plain_string(key, start)?,
            b'e' | b'E' if self.peek(1) == b'\'' => {
                self.at += 1;
                self.escape_string(key, start)?;
            }
            // Bit strings, national strings and Unicode strings stay part of the key.
            b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if self.peek(1) == b'\'' => {
                self.kept_quoted(key, start, 1, b'\'')?
            }
            b'u' | b'U' if self.peek(1) == b'&' && matches!(self.peek(2), b'\'' | b'"') => {
                let quote = self.peek(2);
                self.kept_quoted(key, start, 2, quote)?;
            }
            b'"' => self.kept_quoted(key, start, 0, b'"')?,
            b'$' => self.dollar(key, start)?,
            b'0'..=b'9' => self.number(key, start)?,
            b'.' if self.peek(1).is_ascii_digit() => self.number(key, start)?,
            _ if is_ident_start(byte) => {
                while self.at < self.bytes.len() && is_ident(self.bytes[self.at]) {
                    self.at += 1;
                }
                key.extend_from_slice(&self.bytes[start..self.at]);
            }
            _ if is_operator(byte) => self.operator(key),
            _ => {
                self.at += 1;
                key.push(byte);
            }
        }
        Some(Some(start))
    }

    pub fn skip_space(&mut self) -> Option<()> {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'-' if self.peek(1) == b'-' => {
                    let rest = &self.bytes[self.at..];
                    self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                }
                b'/' if self.peek(1) == b'*' => self.comment()?,
                _ => return Some(()),
            }
            self.space = true;
        }
    }

    fn comment(&mut self) -> Option<()> {
        let mut depth = 0u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Some(());
                    }
                }
                _ if self.at >= self.bytes.len() => return None,
                _ => self.at += 1,
            }
        }
    }

    fn operator(&mut self, key: &mut Vec<u8>) {
        loop {
            let byte = self.peek(0);
            let comment =
                (byte == b'-' && self.peek(1) == b'-') || (byte == b'/' && self.peek(1) == b'*');
            if !is_operator(byte) || comment {
                return;
            }
            key.push(byte);
            self.at += 1;
        }
    }

    fn literal(&mut self, key: &mut Vec<u8>, kind: Kind, value: Cow<'a, str>, at: usize) {
        key.extend_from_slice(&[1, kind.letter()]);
        let end = self.at;
        self.literals.push(Literal {
            kind,
            value,
            at,
            end,
        });
    }

    /// Where the quote that opened just before `from` closes, and whether quotes are doubled within.
    fn closing(&self, mut from: usize, quote: u8) -> Option<(usize, bool)> {
        let mut doubled = false;
        loop {
            from += memchr::memchr(quote, self.bytes.get(from..)?)?;
            if self.bytes.get(from + 1) != Some(&quote) {
                return Some((from, doubled));
            }
            doubled = true;
            from += 2;
        }
    }

    /// Does a string go on after newline and space ('a' \n 'b' is one literal)? Such texts are left as they are.
    fn continues(&self) -> bool {
        let mut newline = false;
        for &byte in &self.bytes[self.at..] {
            match byte {
                b'\n' | b'\r' => newline = true,
                b' ' | b'\t' | 0x0b | 0x0c => {}
                b'\'' => return newline,
                _ => return false,
            }
        }
        false
    }

    fn plain_string(&mut self, key: &mut Vec<u8>, start: usize) -> Option<()> {
        let (close, doubled) = self.closing(start + 1, b'\'')?;
        self.at = close + 1;
        if self.continues() {
            return None;
        }
        let inner = self.text.get(start + 1..close)?;
        let value = if doubled {
            Cow::Owned(inner.replace("''", "'"))
        } else {
            Cow::Borrowed(inner)
        };
        self.literal(key, Kind::String, value, start);
        Some(())
    }

    fn kept_quoted(
        &mut self,
        key: &mut Vec<u8>,
        start: usize,
        prefix: usize,
        quote: u8,
    ) -> Option<()> {
        let (close, _) = self.closing(start + prefix + 1, quote)?;
        self.at = close + 1;
        if quote == b'\'' && self.continues() {
            return None;
        }
        key.extend_from_slice(&self.bytes[start..self.at]);
        Some(())
    }

    /// E'…', `self.at` on the quote. Octal and hex escapes may build any bytes; a value that isn't UTF-8 leaves the text as it is.
    fn escape_string(&mut self, key: &mut Vec<u8>, start: usize) -> Option<()> {
        let mut value = Vec::new();
        self.at += 1;
        loop {
            match *self.bytes.get(self.at)? {
                b'\'' if self.peek(1) == b'\'' => {
                    value.push(b'\'');
                    self.at += 2;
                }
                b'\'' => break,
                b'\\' => self.escape(&mut value)?,
                byte => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let value = String::from_utf8(value)
            .ok()
            .filter(|value| !value.contains('\0'))?;
        if self.continues() {
            return None;
        }
        self.literal(key, Kind::String, Cow::Owned(value), start);
        Some(())
    }

    fn escape(&mut self, value: &mut Vec<u8>) -> Option<()> {
        let code = *self.bytes.get(self.at + 1)?;
        self.at += 2;
        match code {
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'0'..=b'7' => {
                self.at -= 1;
                value.push(self.digits(8, 3)? as u8);
            }
            b'x' if self.peek(0).is_ascii_hexdigit() => value.push(self.digits(16, 2)? as u8),
            b'u' | b'U' => {
                let width = if code == b'u' { 4 } else { 8 };
                let before = self.at;
                let point = char::from_u32(self.digits(16, width)?)?;
                if self.at - before != width {
                    return None;
                }
                value.extend_from_slice(point.encode_utf8(&mut [0; 4]).as_bytes());
            }
            code if code < 0x80 => value.push(code),
            code => value.push(code),
        }
        Some(())
    }

    fn digits(&mut self, radix: u32, most: usize) -> Option<u32> {
        let mut number = 0u32;
        let mut count = 0;
        while count < most {
            let Some(digit) = (self.peek(0) as char).to_digit(radix) else {
                break;
            };
            number = number.checked_mul(radix)?.checked_add(digit)?;
            self.at += 1;
            count += 1;
        }
        (count > 0).then_some(number)
    }

    /// `$1`, or a dollar-quoted string.
    fn dollar(&mut self, key: &mut Vec<u8>, start: usize) -> Option<()> {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            if is_ident_start(self.peek(0)) {
                return None;
            }
            key.extend_from_slice(&self.bytes[start..self.at]);
            return Some(());
        }
        let mut end = start + 1;
        while self
            .bytes
            .get(end)
            .is_some_and(|&b| is_ident(b) && b != b'$')
        {
            end += 1;
        }
        if self.bytes.get(end) != Some(&b'$') {
            return None;
        }
        let delimiter = &self.bytes[start..=end];
        let close = memchr::memmem::find(&self.bytes[end + 1..], delimiter)?;
        let value = self.text.get(end + 1..end + 1 + close)?;
        self.at = end + 1 + close + delimiter.len();
        self.literal(key, Kind::String, Cow::Borrowed(value), start);
        Some(())
    }

    fn number(&mut self, key: &mut Vec<u8>, start: usize) -> Option<()> {
        let mut integer = true;
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
        // "1..2" is not a number with a fraction.
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            integer = false;
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
        }
        let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
        if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
            integer = false;
            self.at += 1 + sign;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
        }
        if is_ident_start(self.peek(0)) {
            // 123abc: two tokens to some versions, an error to others. Not ours to decide.
            return None;
        }
        let value = &self.text[start..self.at];
        let kind = kind_of(value, integer);
        self.literal(key, kind, Cow::Borrowed(value), start);
        Some(())
    }
}
