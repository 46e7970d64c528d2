//! to_char() of numbers: a template of digits is filled from the left.

use super::formats::{self, Node, Ordinal};
use super::registry::{stable, Function};
use crate::base::error::{fail, Res};
use crate::types::{Datum, Numeric};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sign {
    #[default]
    None,
    Before,
    After,
}

/// What a template asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    before: i64,
    after: i64,
    /// S, and how many digits stood before it.
    sign: Sign,
    sign_at: i64,
    pub(super) multiply: i64,
    zero_start: i64,
    zero_end: i64,
    decimal: bool,
    zero: bool,
    fill: bool,
    bracket: bool,
    minus: bool,
    plus: bool,
    pub(super) roman: bool,
    pub(super) scientific: bool,
    pub(super) scaled: bool,
}

fn wrong<T>(message: &str) -> Res<T> {
    fail("42601", message)
}

impl Shape {
    pub(super) fn of(nodes: &[Node]) -> Res<Shape> {
        let mut shape = Shape::default();
        for node in nodes {
            if let Node::Key { key, .. } = node {
                shape.take(&key.to_uppercase())?;
            }
        }
        Ok(shape)
    }

    fn take_exponent(&mut self) -> Res<()> {
        if self.scientific {
            return wrong("cannot use \"EEEE\" twice");
        }
        let other = self.fill
            || self.sign != Sign::None
            || self.bracket
            || self.minus
            || self.plus
            || self.roman
            || self.scaled;
        if other {
            let error =
                crate::base::SqlError::new("42601", "\"EEEE\" is incompatible with other formats");
            let detail =
                "\"EEEE\" may only be used together with digit and decimal point patterns.";
            return Err(error.detail(detail).into());
        }
        self.scientific = true;
        Ok(())
    }

    fn take_sign(&mut self, key: &str) -> Res<()> {
        let other = self.plus || self.minus;
        match key {
            "S" if self.sign != Sign::None => return wrong("cannot use \"S\" twice"),
            "S" if other || self.bracket => {
                return wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together")
            }
            "S" if self.decimal => self.sign = Sign::After,
            "S" => (self.sign, self.sign_at) = (Sign::Before, self.before),
            "PR" if self.sign != Sign::None || other => {
                return wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together")
            }
            "PR" => self.bracket = true,
            _ if self.sign != Sign::None => {
                return wrong(&format!("cannot use \"S\" and \"{key}\" together"))
            }
            "MI" => self.minus = true,
            "PL" => self.plus = true,
            _ => (self.minus, self.plus) = (true, true),
        }
        Ok(())
    }

    fn take(&mut self, key: &str) -> Res<()> {
        if self.scientific && key != "EEEE" {
            return wrong("\"EEEE\" must be the last pattern used");
        }
        match key {
            "9" | "0" if self.bracket => {
                return wrong(&format!("\"{key}\" must be ahead of \"PR\""))
            }
            "9" if self.scaled => self.multiply += 1,
            "9" if self.decimal => self.after += 1,
            "9" => self.before += 1,
            "0" => {
                if !self.zero && !self.decimal {
                    self.zero = true;
                    self.zero_start = self.before + 1;
                }
                if self.decimal {
                    self.after += 1;
                } else {
                    self.before += 1;
                }
                self.zero_end = self.before + self.after;
            }
            "D" | "." => {
                if self.decimal {
                    return wrong("multiple decimal points");
                }
                if self.scaled {
                    return wrong("cannot use \"V\" and decimal point together");
                }
                self.decimal = true;
            }
            "FM" => self.fill = true,
            "S" | "MI" | "PL" | "SG" | "PR" => self.take_sign(key)?,
            "RN" => self.roman = true,
            "V" => {
                if self.decimal {
                    return wrong("cannot use \"V\" and decimal point together");
                }
                self.scaled = true;
            }
            "EEEE" => self.take_exponent()?,
            _ => {}
        }
        Ok(())
    }
}

/// The filling of a template, one digit position after the other.
struct Writer<'a> {
    shape: Shape,
    digits: &'a [u8],
    at: usize,
    negative: bool,
    sign_written: bool,
    /// Positions before the first digit.
    blanks: i64,
    position: i64,
    count: i64,
    started: bool,
    /// In fill mode: the last digit (or the point) that is shown.
    last: Option<usize>,
    out: String,
}

impl<'a> Writer<'a> {
    fn new(mut shape: Shape, digits: &'a [u8], blanks: i64, negative: bool) -> Writer<'a> {
        if shape.zero_start > 0 {
            shape.zero_start -= 1;
        }
        let mut blanks = blanks;
        if shape.roman {
            shape = Shape {
                fill: shape.fill,
                roman: true,
                ..Shape::default()
            };
            blanks = 0;
        }
        let sign_written = if shape.plus || shape.minus {
            !shape.plus || shape.minus
        } else {
            if !negative && shape.fill {
                shape.bracket = false;
            }
            let written = !negative && shape.fill && shape.sign == Sign::None;
            if shape.sign == Sign::Before && shape.before == shape.sign_at {
                shape.sign = Sign::After;
            }
            written
        };
        let mut count = shape.after + shape.before - 1;
        let mut last = None;
        if shape.fill && shape.decimal {
            last = last_relevant(digits);
            if let Some(found) = last.filter(|_| shape.zero_end > blanks) {
                let zero = (digits.len() as i64 - 1).min(shape.zero_end - blanks);
                last = Some(found.max(zero.max(0) as usize));
            }
        }
        if !sign_written && blanks == 0 {
            count += 1;
        }
        Writer {
            shape,
            digits,
            at: 0,
            negative,
            sign_written,
            blanks,
            position: 0,
            count,
            started: false,
            last,
            out: String::new(),
        }
    }

    fn sign(&self) -> char {
        if self.negative {
            '-'
        } else {
            '+'
        }
    }

    fn here(&self) -> u8 {
        self.digits.get(self.at).copied().unwrap_or(0)
    }

    fn ends_at_point(&self) -> bool {
        self.last
            .is_some_and(|last| self.digits.get(last) == Some(&b'.'))
    }

    /// 9.9 shows 0.1 as " .1".
    fn leading_zero(&self) -> bool {
        !self.shape.zero
            && self.at == 0
            && self.digits.first() == Some(&b'0')
            && self.shape.after != 0
    }

    fn write_sign(&mut self) {
        let reached = self.position >= self.blanks
            || (self.shape.zero && self.shape.zero_start == self.position);
        if self.sign_written || !reached || (self.leading_zero() && !self.ends_at_point()) {
            return;
        }
        if self.shape.sign != Sign::None {
            if self.shape.sign == Sign::Before {
                self.out.push(self.sign());
                self.sign_written = true;
            }
            return;
        }
        if self.shape.bracket {
            self.out.push(if self.negative { '<' } else { ' ' });
        } else if self.negative {
            self.out.push('-');
        } else if !self.shape.fill {
            self.out.push(' ');
        }
        self.sign_written = true;
    }

    fn digit(&mut self, zero_key: bool) {
        if self.shape.roman {
            return;
        }
        self.started = false;
        self.write_sign();
        let in_blanks = self.position < self.blanks;
        if in_blanks && (self.shape.zero_start > self.position || !self.shape.zero) {
            if !self.shape.fill {
                self.out.push(' ');
            }
        } else if self.shape.zero && in_blanks && self.shape.zero_start <= self.position {
            self.out.push('0');
            self.started = true;
        } else {
            if self.here() == b'.' {
                if !self.ends_at_point() || self.shape.fill {
                    self.out.push('.');
                }
            } else if self.last.is_some_and(|last| self.at > last) && !zero_key {
                // trailing zeros that fill mode leaves out
            } else if self.leading_zero() {
                if !self.shape.fill {
                    self.out.push(' ');
                } else if self.ends_at_point() {
                    self.out.push('0');
                }
            } else if self.at < self.digits.len() {
                self.out.push(self.here() as char);
                self.started = true;
            }
            if self.at < self.digits.len() {
                self.at += 1;
            }
        }
        let mut end = self.count + i64::from(self.blanks > 0) + i64::from(self.shape.decimal);
        if self.last == Some(self.at) {
            end = self.position;
        }
        if self.position + 1 == end {
            if self.sign_written && self.shape.bracket {
                self.out.push(if self.negative { '>' } else { ' ' });
            } else if self.shape.sign == Sign::After {
                self.out.push(self.sign());
            }
        }
        self.position += 1;
    }

    fn key(&mut self, key: &str) {
        match key {
            "9" | "0" | "." | "D" | "d" => self.digit(key == "0"),
            "," | "G" | "g" => {
                if self.started {
                    self.out.push(',');
                } else if !self.shape.fill {
                    self.out.push(' ');
                }
            }
            "L" | "l" => self.out.push(' '),
            "RN" | "rn" => {
                let text = String::from_utf8_lossy(self.digits).into_owned();
                let text = if key == "rn" {
                    text.to_lowercase()
                } else {
                    text
                };
                if self.shape.fill {
                    self.out.push_str(&text);
                } else {
                    self.out.push_str(&format!("{text:>15}"));
                }
            }
            "TH" | "th" => {
                let skip = self.shape.roman
                    || self.digits.first() == Some(&b'#')
                    || self.negative
                    || self.shape.decimal;
                if !skip {
                    let case = if key == "TH" {
                        Ordinal::Upper
                    } else {
                        Ordinal::Lower
                    };
                    self.out.push_str(formats::ordinal(
                        &String::from_utf8_lossy(self.digits),
                        case,
                    ));
                }
            }
            "MI" | "mi" => self.signed(self.negative, '-'),
            "PL" | "pl" => self.signed(!self.negative, '+'),
            "SG" | "sg" => self.out.push(self.sign()),
            _ => {}
        }
    }

    fn signed(&mut self, shown: bool, sign: char) {
        if shown {
            self.out.push(sign);
        } else if !self.shape.fill {
            self.out.push(' ');
        }
    }
}

/// The last digit after the point that isn't zero, or the point.
fn last_relevant(digits: &[u8]) -> Option<usize> {
    let point = digits.iter().position(|b| *b == b'.')?;
    let last = digits.iter().rposition(|b| *b != b'0').unwrap_or(point);
    Some(last.max(point))
}

/// `text`: the number rounded as the template wants it.
fn fill(nodes: &[Node], shape: Shape, text: &str) -> String {
    let negative = text.starts_with('-');
    let digits = text.trim_start_matches('-');
    let whole = digits.find('.').unwrap_or(digits.len()) as i64;
    let mut hashes = String::new();
    let mut blanks = 0;
    if !shape.roman && whole < shape.before {
        blanks = shape.before - whole;
    } else if !shape.roman && whole > shape.before {
        hashes = "#".repeat((shape.before + shape.after + 1) as usize);
        hashes.replace_range(shape.before as usize..shape.before as usize + 1, ".");
    }
    let digits = if hashes.is_empty() {
        digits
    } else {
        hashes.as_str()
    };
    let mut writer = Writer::new(shape, digits.as_bytes(), blanks, negative);
    for node in nodes {
        match node {
            Node::Key { key, .. } => writer.key(key),
            Node::Text { text, .. } => writer.out.push_str(text),
        }
    }
    writer.out
}

fn roman(value: i64) -> String {
    if !(1..=3999).contains(&value) {
        return "#".repeat(15);
    }
    const STEPS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut left = value;
    let mut out = String::new();
    for (step, letters) in STEPS {
        while left >= step {
            out.push_str(letters);
            left -= step;
        }
    }
    out
}

fn scientific(value: f64, digits: i64) -> String {
    let text = format!("{:.*e}", digits.max(0) as usize, value);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let space = if mantissa.starts_with('-') { "" } else { " " };
    format!("{space}{mantissa}e{sign}{:02}", exponent.abs())
}

/// The same for a numeric, exactly.
fn scientific_exact(value: &Numeric, digits: i64) -> Res<String> {
    let text = value.abs().normalized().to_string();
    let plain: String = text.chars().filter(char::is_ascii_digit).collect();
    let first = plain.find(|c| c != '0');
    let point = text.find('.').unwrap_or(text.len()) as i64;
    let exponent = first.map_or(0, |at| point - 1 - at as i64);
    let power = |exponent: i64| Numeric::from(10).power(&Numeric::from(exponent));
    let mut exponent = exponent;
    let scaled = |exponent: i64| -> Res<Numeric> {
        let moved = if exponent >= 0 {
            value.abs().div_scaled(&power(exponent)?, digits + 2)?
        } else {
            value.abs().mul(&power(-exponent)?)?
        };
        Ok(moved.round(digits))
    };
    let mut mantissa = scaled(exponent)?;
    if mantissa >= Numeric::from(10) {
        exponent += 1;
        mantissa = scaled(exponent)?;
    }
    let sign = if value.sign() < 0 { "-" } else { " " };
    let mark = if exponent < 0 { '-' } else { '+' };
    Ok(format!("{sign}{mantissa}e{mark}{:02}", exponent.abs()))
}

fn hashes(shape: &Shape) -> String {
    let mut text = "#".repeat((shape.before + shape.after + 6) as usize);
    text.replace_range(0..1, " ");
    let point = shape.before as usize + 1;
    text.replace_range(point..point + 1, ".");
    text
}

fn numeric_to_char(value: &Numeric, format: &str) -> Res<Datum> {
    if format.is_empty() {
        return Ok(Datum::text(""));
    }
    let nodes = formats::numbers(format);
    let mut shape = Shape::of(&nodes)?;
    if shape.roman {
        let number = value.to_int(i32::MIN.into(), i32::MAX.into(), "integer")?;
        return Ok(Datum::text(fill(&nodes, shape, &roman(number))));
    }
    if shape.scientific {
        let text = if value.is_finite() {
            scientific_exact(value, shape.after)?
        } else {
            hashes(&shape)
        };
        return Ok(Datum::text(text));
    }
    let mut value = value.clone();
    if shape.scaled {
        value = value.mul(&Numeric::from(10).power(&Numeric::from(shape.multiply))?)?;
        shape.before += shape.multiply;
    }
    let text = value.round(shape.after.max(0)).to_string();
    Ok(Datum::text(fill(&nodes, shape, &text)))
}

fn int_to_char(value: i64, format: &str) -> Res<Datum> {
    if format.is_empty() {
        return Ok(Datum::text(""));
    }
    let nodes = formats::numbers(format);
    let mut shape = Shape::of(&nodes)?;
    if shape.roman {
        return Ok(Datum::text(fill(&nodes, shape, &roman(value))));
    }
    if shape.scientific {
        return Ok(Datum::text(scientific_exact(
            &Numeric::from(value),
            shape.after,
        )?));
    }
    let mut number = i128::from(value);
    if shape.scaled {
        number = number.saturating_mul(10i128.saturating_pow(shape.multiply as u32));
        if i64::try_from(number).is_err() {
            return fail("22003", "bigint out of range");
        }
        shape.before += shape.multiply;
    }
    let mut text = number.to_string();
    if shape.after > 0 {
        text.push('.');
        text.push_str(&"0".repeat(shape.after as usize));
    }
    Ok(Datum::text(fill(&nodes, shape, &text)))
}

fn float_to_char(value: f64, format: &str, significant: i64) -> Res<Datum> {
    if format.is_empty() {
        return Ok(Datum::text(""));
    }
    let nodes = formats::numbers(format);
    let mut shape = Shape::of(&nodes)?;
    if shape.roman {
        return Ok(Datum::text(fill(
            &nodes,
            shape,
            &roman(value.round_ties_even() as i64),
        )));
    }
    if shape.scientific {
        let text = if value.is_finite() {
            scientific(value, shape.after)
        } else {
            hashes(&shape)
        };
        return Ok(Datum::text(text));
    }
    let mut number = value;
    if shape.scaled {
        number *= 10f64.powi(shape.multiply as i32);
        shape.before += shape.multiply;
    }
    if !number.is_finite() {
        let text = if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return Ok(Datum::text(fill(&nodes, shape, text)));
    }
    let whole = format!("{:.0}", number.abs()).len() as i64;
    if whole >= significant {
        shape.after = 0;
    } else if whole + shape.after > significant {
        shape.after = significant - whole;
    }
    let text = format!("{:.*}", shape.after as usize, number);
    Ok(Datum::text(fill(&nodes, shape, &text)))
}

pub const FAMILIES: &[&[Function]] = &[&[
    stable("numeric_to_char", |_, a| {
        numeric_to_char(a[0].numeric()?, a[1].str()?)
    }),
    stable("int4_to_char", |_, a| int_to_char(a[0].int()?, a[1].str()?)),
    stable("int8_to_char", |_, a| int_to_char(a[0].int()?, a[1].str()?)),
    stable("float4_to_char", |_, a| {
        float_to_char(a[0].float()?, a[1].str()?, 6)
    }),
    stable("float8_to_char", |_, a| {
        float_to_char(a[0].float()?, a[1].str()?, 15)
    }),
]];
