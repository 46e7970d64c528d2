//! Lists of values in a statement's text, cell by cell: what stands between the commas of `(1, 'a', now())` or `ARRAY[1, 2]`.

use super::lexer::{kind_of, Kind, Lexer, Literal};
use std::borrow::Cow;

/// What a cell's shape begins with that is kept as it is written.
pub const AS_WRITTEN: u8 = 0;

/// Reads cells. A cell's shape is what it has in common with others that differ in their literal only: `\x01` and the literal's kind,
/// then what follows it (`::date`), as the lexer's keys have it; or `AS_WRITTEN` and the cell's text.
pub struct Cells<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    pub shape: Vec<u8>,
}

impl<'a> Cells<'a> {
    /// From the byte `at` on, behind the opening bracket.
    pub fn new(text: &'a str, at: usize) -> Cells<'a> {
        Cells {
            text,
            lexer: Lexer::new(text, at),
            shape: Vec::new(),
        }
    }

    /// The byte where the reader stands.
    pub fn at(&self) -> usize {
        self.lexer.at
    }

    /// The next byte that is neither space nor comment; 0 at the end.
    pub fn peek(&mut self) -> Option<u8> {
        self.lexer.skip_space()?;
        Some(self.lexer.peek(0))
    }

    /// Take that byte, if it is this one.
    pub fn take(&mut self, byte: u8) -> Option<bool> {
        let found = self.peek()? == byte;
        self.lexer.at += usize::from(found);
        Some(found)
    }

    /// The cell that begins here, up to the comma or bracket behind it: its literal, and its shape in `shape`. `None`: the text does not
    /// lex, or ends.
    pub fn cell(&mut self) -> Option<Option<Literal<'a>>> {
        self.shape.clear();
        self.lexer.literals.clear();
        self.peek()?;
        let start = self.lexer.at;
        let mut end = start;
        let mut depth = 0u32;
        loop {
            match self.peek()? {
                b',' | b')' | b']' if depth == 0 => break,
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth -= 1,
                b';' | 0 => return None,
                _ => {}
            }
            self.lexer.token(&mut self.shape)?;
            end = self.lexer.at;
        }
        let literal = self.literal(start);
        if literal.is_none() {
            self.shape.clear();
            self.shape.push(AS_WRITTEN);
            self.shape
                .extend_from_slice(self.text.get(start..end)?.as_bytes());
        }
        Some(literal)
    }

    /// The one literal of a cell that is nothing but that, a number with its sign, or a literal that is cast to a type without modifiers.
    fn literal(&mut self, start: usize) -> Option<Literal<'a>> {
        if self.lexer.literals.len() != 1 {
            return None;
        }
        let literal = self.lexer.literals.pop()?;
        match self.shape.as_slice() {
            [1, _] => Some(literal),
            [1, _, b':', b':', name @ ..] => is_plain_type(name).then_some(literal),
            [sign @ (b'-' | b'+'), 1, _] | [sign @ (b'-' | b'+'), b' ', 1, _] => {
                if literal.kind == Kind::String {
                    return None;
                }
                let value = match sign {
                    b'-' => Cow::Owned(format!("-{}", literal.value)),
                    _ => literal.value,
                };
                let kind = kind_of(&value, !value.contains(['.', 'e', 'E']));
                self.shape.clear();
                self.shape.extend_from_slice(&[1, kind.letter()]);
                Some(Literal {
                    kind,
                    value,
                    at: start,
                    end: literal.end,
                })
            }
            _ => None,
        }
    }
}

/// `date`, `int4[]`; not what is looked up in the catalogue (regclass), nor names of several words, quoted or qualified.
fn is_plain_type(name: &[u8]) -> bool {
    let name = name.strip_suffix(b"[]").unwrap_or(name);
    let catalogue = name
        .get(..3)
        .is_some_and(|first| first.eq_ignore_ascii_case(b"reg"));
    !catalogue
        && name.first().is_some_and(|b| !b.is_ascii_digit())
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}
