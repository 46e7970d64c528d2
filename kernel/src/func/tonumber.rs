//! to_number(): digits where the template has them, signs and brackets anywhere that it allows.

use super::formats::{self, Node};
use super::registry::{stable, Function};
use super::tocharnum::Shape;
use crate::base::error::{fail, Res};
use crate::types::{Datum, Numeric};

struct Reader<'a> {
    input: std::iter::Peekable<std::str::Chars<'a>>,
    negative: bool,
    out: String,
}

impl Reader<'_> {
    fn skip(&mut self, test: impl Fn(char) -> bool) {
        if self.input.peek().is_some_and(|c| test(*c)) {
            self.input.next();
        }
    }

    fn skip_spaces(&mut self) {
        while self.input.peek() == Some(&' ') {
            self.input.next();
        }
    }

    fn sign(&mut self) {
        if matches!(self.input.peek(), Some('-' | '<')) {
            self.negative = true;
        }
        self.skip(|c| matches!(c, '-' | '<' | '+'));
    }

    fn node(&mut self, node: &Node) {
        let Node::Key { key, .. } = node else {
            return self.skip(|c| !c.is_ascii_digit() && c != '-' && c != '+');
        };
        match key.to_uppercase().as_str() {
            "9" | "0" => {
                self.skip_spaces();
                if self.out.is_empty() {
                    self.sign();
                }
                if self.input.peek().is_some_and(char::is_ascii_digit) {
                    self.out.extend(self.input.next());
                }
            }
            "." | "D" => self.out.extend(self.input.next_if_eq(&'.')),
            "," | "G" => self.skip(|c| c == ','),
            "L" => self.skip(|c| !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.' | ',')),
            "S" | "MI" | "PL" | "SG" | "PR" => self.sign(),
            _ => {}
        }
    }
}

fn to_number(text: &str, format: &str) -> Res<Datum> {
    if format.is_empty() {
        return Ok(Datum::Null);
    }
    let nodes = formats::numbers(format);
    let shape = Shape::of(&nodes)?;
    if shape.scientific {
        return fail("0A000", "\"EEEE\" not supported for input");
    }
    if shape.roman {
        return fail("0A000", "\"RN\" not supported for input");
    }
    let mut reader = Reader {
        input: text.chars().peekable(),
        negative: false,
        out: String::new(),
    };
    reader.skip_spaces();
    for node in &nodes {
        reader.node(node);
    }
    reader.sign();
    let digits = reader.out.trim_end_matches('.');
    if digits.is_empty() {
        return fail("22P02", "invalid input syntax for type numeric: \" \"");
    }
    let value = Numeric::parse(digits)?;
    let mut value = if reader.negative { value.neg() } else { value };
    if shape.scaled {
        value = value.div(&Numeric::from(10).power(&Numeric::from(shape.multiply))?)?;
    }
    Ok(Datum::Numeric(value))
}

pub const FAMILIES: &[&[Function]] = &[&[stable("numeric_to_number", |_, a| {
    to_number(a[0].str()?, a[1].str()?)
})]];
