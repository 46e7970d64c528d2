//! to_number.

use super::numbers::{Plan, SignPlace};
use super::picture::{self, Node};
use crate::base::error::{fail, Res};
use crate::base::pace;
use crate::func::ctx::Ctx;
use crate::types::{Datum, Numeric};

/// Text read along a picture; what doesn't fit is left out, quietly.
struct Reader<'a> {
    plan: Plan,
    text: &'a [u8],
    at: usize,
    /// b' ' until a sign is read.
    sign: u8,
    digits: Vec<u8>,
    before: usize,
    after: usize,
    point: bool,
}

impl Reader<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn ended(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Past a whole character.
    fn skip(&mut self) {
        self.at += 1;
        while self.peek() & 0xc0 == 0x80 {
            self.at += 1;
        }
    }

    fn skip_other(&mut self, count: usize) {
        for _ in 0..count {
            if self.ended() || b"0123456789.,+-".contains(&self.peek()) {
                break;
            }
            self.skip();
        }
    }

    fn leading_sign(&mut self, digit: bool) {
        if self.sign != b' ' || !digit || self.before + self.after > 0 {
            return;
        }
        let simple = !(self.plan.sign && self.plan.sign_place == SignPlace::Before);
        match self.peek() {
            b'-' => self.sign = b'-',
            b'<' if simple && self.plan.bracket => self.sign = b'-',
            b'+' => self.sign = b'+',
            _ => return,
        }
        self.at += 1;
    }

    fn trailing_sign(&mut self, read: bool) {
        if self.sign != b' ' || self.before + self.after == 0 {
            return;
        }
        let next = self.text.get(self.at + 1).copied();
        if self.plan.sign && read && next.is_some_and(|b| !b.is_ascii_digit()) {
            if let Some(sign @ (b'-' | b'+')) = next {
                self.at += 1;
                self.sign = sign;
            }
        } else if !read
            && !self.plan.sign
            && (self.plan.plus || self.plan.minus)
            && matches!(self.peek(), b'-' | b'+')
        {
            self.sign = self.peek();
        }
    }

    fn digit(&mut self, digit: bool) {
        if self.peek() == b' ' {
            self.at += 1;
        }
        if self.ended() {
            return;
        }
        self.leading_sign(digit);
        if self.ended() {
            return;
        }
        let mut read = false;
        let byte = self.peek();
        if byte.is_ascii_digit() {
            if self.point && self.after == self.plan.after {
                return;
            }
            self.digits.push(byte);
            if self.point {
                self.after += 1;
            } else {
                self.before += 1;
            }
            read = true;
        } else if self.plan.decimal && !self.point && byte == b'.' {
            self.digits.push(b'.');
            self.point = true;
            read = true;
        }
        self.trailing_sign(read);
    }

    /// Whether the character here belongs to the field and is passed.
    fn field(&mut self, name: &str) -> bool {
        match name {
            "9" | "0" => self.digit(true),
            "." | "D" | "d" => self.digit(false),
            "," | "G" | "g" => {
                return self.peek() == b',' && !(self.digits.is_empty() && self.plan.fills())
            }
            "L" | "l" => {
                self.skip_other(1);
                return false;
            }
            "TH" | "th" => {
                if !(self.plan.roman || self.sign == b'-' || self.plan.decimal) {
                    self.skip_other(2);
                }
                return false;
            }
            "MI" | "mi" if self.peek() == b'-' => self.sign = b'-',
            "PL" | "pl" if self.peek() == b'+' => self.sign = b'+',
            "SG" | "sg" if matches!(self.peek(), b'-' | b'+') => self.sign = self.peek(),
            "MI" | "mi" | "PL" | "pl" | "SG" | "sg" => {
                self.skip_other(1);
                return false;
            }
            _ => return false,
        }
        true
    }
}

pub fn to_number(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let (text, format) = (args[0].str()?, args[1].str()?);
    if format.is_empty() {
        return Ok(Datum::Null);
    }
    let nodes = picture::numbers(format)?;
    let plan = Plan::of(&nodes)?;
    if plan.science {
        return fail("0A000", "\"EEEE\" not supported for input");
    }
    if plan.roman {
        return fail("0A000", "\"RN\" not supported for input");
    }
    let shift = plan.shift;
    let precision = plan.before + plan.shift;
    let multi = plan.multi;
    let mut reader = Reader {
        plan,
        text: text.as_bytes(),
        at: 0,
        sign: b' ',
        digits: Vec::new(),
        before: 0,
        after: 0,
        point: false,
    };
    for node in &nodes {
        pace::step(picture::NODE)?;
        if reader.ended() {
            break;
        }
        match node {
            Node::Field { key, .. } => {
                if reader.field(key.name) {
                    reader.at += 1;
                }
            }
            _ => reader.skip(),
        }
    }
    let mut number = vec![reader.sign];
    number.extend_from_slice(&reader.digits);
    if number.last() == Some(&b'.') {
        number.pop();
    }
    let scale = reader.after;
    let value = Numeric::parse(&String::from_utf8_lossy(&number))?;
    let typmod = ((precision + scale) << 16 | scale) as i32 + 4;
    let value = value.apply_typmod(typmod)?;
    if multi {
        let factor = Numeric::from(10).power(&Numeric::from(-(shift as i64)))?;
        return Ok(Datum::Numeric(value.mul(&factor)?));
    }
    Ok(Datum::Numeric(value))
}
