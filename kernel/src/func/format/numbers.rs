//! to_char of numbers.

use super::ordinal;
use super::picture::{self, Node};
use crate::base::error::{fail, Res};
use crate::base::{pace, SqlError};
use crate::func::ctx::Ctx;
use crate::types::numeric::pow10;
use crate::types::{Datum, Numeric};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignPlace {
    None,
    Before,
    After,
}

/// What a picture says as a whole. `before` and `after` count digits on either side of the point.
#[derive(Debug, Clone)]
pub struct Plan {
    pub before: usize,
    pub after: usize,
    pub sign_place: SignPlace,
    /// Digits before the point when S was met.
    sign_at: usize,
    pub shift: usize,
    /// One past the digits before the first 0.
    zero_start: usize,
    zero_end: usize,
    pub decimal: bool,
    fill: bool,
    pub multi: bool,
    pub sign: bool,
    pub minus: bool,
    pub plus: bool,
    pub bracket: bool,
    zero: bool,
    pub roman: bool,
    pub science: bool,
    blank: bool,
}

fn bad<T>(message: &str) -> Res<T> {
    fail("42601", message)
}

impl Plan {
    pub fn of(nodes: &[Node]) -> Res<Plan> {
        let mut plan = Plan {
            before: 0,
            after: 0,
            sign_place: SignPlace::None,
            sign_at: 0,
            shift: 0,
            zero_start: 0,
            zero_end: 0,
            decimal: false,
            fill: false,
            multi: false,
            sign: false,
            minus: false,
            plus: false,
            bracket: false,
            zero: false,
            roman: false,
            science: false,
            blank: false,
        };
        for node in nodes {
            pace::step(picture::NODE)?;
            if let Node::Field { key, .. } = node {
                plan.take(&key.name.to_ascii_uppercase())?;
            }
        }
        Ok(plan)
    }

    pub fn fills(&self) -> bool {
        self.fill
    }

    fn take(&mut self, name: &str) -> Res<()> {
        if self.science && name != "EEEE" {
            return bad("\"EEEE\" must be the last pattern used");
        }
        match name {
            "9" | "0" => self.digit(name)?,
            "B" if self.before == 0 && self.after == 0 && !self.zero => self.blank = true,
            "D" | "." => {
                if self.decimal {
                    return bad("multiple decimal points");
                }
                if self.multi {
                    return bad("cannot use \"V\" and decimal point together");
                }
                self.decimal = true;
            }
            "FM" => self.fill = true,
            "S" => self.take_sign()?,
            "MI" | "PL" | "SG" => {
                if self.sign {
                    return bad(&format!("cannot use \"S\" and \"{name}\" together"));
                }
                self.minus |= name != "PL";
                self.plus |= name != "MI";
            }
            "PR" => {
                if self.sign || self.plus || self.minus {
                    return bad("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
                }
                self.bracket = true;
            }
            "RN" => self.roman = true,
            "V" => {
                if self.decimal {
                    return bad("cannot use \"V\" and decimal point together");
                }
                self.multi = true;
            }
            "EEEE" => self.take_science()?,
            _ => {}
        }
        Ok(())
    }

    fn digit(&mut self, name: &str) -> Res<()> {
        if self.bracket {
            return bad(&format!("\"{name}\" must be ahead of \"PR\""));
        }
        if name == "0" {
            if !self.zero && !self.decimal {
                self.zero = true;
                self.zero_start = self.before + 1;
            }
        } else if self.multi {
            self.shift += 1;
            return Ok(());
        }
        if self.decimal {
            self.after += 1;
        } else {
            self.before += 1;
        }
        if name == "0" {
            self.zero_end = self.before + self.after;
        }
        Ok(())
    }

    fn take_sign(&mut self) -> Res<()> {
        if self.sign {
            return bad("cannot use \"S\" twice");
        }
        if self.plus || self.minus || self.bracket {
            return bad("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        }
        if !self.decimal {
            self.sign_place = SignPlace::Before;
            self.sign_at = self.before;
        } else {
            self.sign_place = SignPlace::After;
        }
        self.sign = true;
        Ok(())
    }

    fn take_science(&mut self) -> Res<()> {
        if self.science {
            return bad("cannot use \"EEEE\" twice");
        }
        if self.blank
            || self.fill
            || self.sign
            || self.bracket
            || self.minus
            || self.plus
            || self.roman
            || self.multi
        {
            return Err(
                SqlError::new("42601", "\"EEEE\" is incompatible with other formats")
                    .detail(
                        "\"EEEE\" may only be used together with digit and decimal point patterns.",
                    )
                    .into(),
            );
        }
        self.science = true;
        Ok(())
    }
}

/// A number on its way into a picture.
struct Writer {
    plan: Plan,
    /// Digits and at most one point; the picture's width in # when it doesn't fit.
    number: Vec<u8>,
    /// The next byte of it.
    at: usize,
    /// Places of the picture before the number's first digit.
    spaces: usize,
    negative: bool,
    sign_written: bool,
    /// Digits have been written, so that separators are too.
    inside: bool,
    place: usize,
    places: usize,
    /// With FM: the last byte that counts behind the point.
    last: Option<usize>,
    out: Vec<u8>,
}

impl Writer {
    fn new(plan: Plan, number: String, negative: bool, spaces: usize) -> Writer {
        let mut writer = Writer {
            plan,
            number: number.into_bytes(),
            at: 0,
            spaces,
            negative,
            sign_written: false,
            inside: false,
            place: 0,
            places: 0,
            last: None,
            out: Vec::new(),
        };
        writer.prepare();
        writer
    }

    fn prepare(&mut self) {
        let plan = &mut self.plan;
        plan.zero_start = plan.zero_start.saturating_sub(1);
        if plan.roman {
            let fill = plan.fill;
            *plan = Plan {
                fill,
                roman: true,
                before: 0,
                after: 0,
                zero: false,
                decimal: false,
                multi: false,
                sign: false,
                minus: false,
                plus: false,
                bracket: false,
                sign_place: SignPlace::None,
                ..plan.clone()
            };
            self.spaces = 0;
        }
        if plan.plus || plan.minus {
            self.sign_written = !plan.plus || plan.minus;
        } else {
            if !self.negative && plan.fill {
                plan.bracket = false;
            }
            self.sign_written = !self.negative && plan.fill && !plan.sign;
            if plan.sign_place == SignPlace::Before && plan.before == plan.sign_at {
                plan.sign_place = SignPlace::After;
            }
        }
        self.places = (plan.before + plan.after).saturating_sub(1);
        if plan.fill && plan.decimal {
            self.last = last_relevant(&self.number);
            if let Some(last) = self.last.as_mut().filter(|_| plan.zero_end > self.spaces) {
                let zero = (self.number.len() - 1).min(plan.zero_end - self.spaces);
                *last = (*last).max(zero);
            }
        }
        if !self.sign_written && self.spaces == 0 {
            self.places += 1;
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.number.get(at).copied().unwrap_or(0)
    }

    fn last_is_point(&self) -> bool {
        self.last.is_some_and(|last| self.byte(last) == b'.')
    }

    /// The 0 before the point that 9.9 doesn't show.
    fn hidden_zero(&self) -> bool {
        !self.plan.zero && self.at == 0 && self.byte(0) == b'0' && self.plan.after != 0
    }

    fn sign(&self) -> u8 {
        if self.negative {
            b'-'
        } else {
            b'+'
        }
    }

    fn write_sign(&mut self) {
        let due =
            self.place >= self.spaces || (self.plan.zero && self.plan.zero_start == self.place);
        if self.sign_written || !due || (self.hidden_zero() && !self.last_is_point()) {
            return;
        }
        if self.plan.sign {
            if self.plan.sign_place == SignPlace::Before {
                self.out.push(self.sign());
                self.sign_written = true;
            }
            return;
        }
        if self.plan.bracket {
            self.out.push(if self.negative { b'<' } else { b' ' });
        } else if self.negative {
            self.out.push(b'-');
        } else if !self.plan.fill {
            self.out.push(b' ');
        }
        self.sign_written = true;
    }

    /// One place of the picture: 9, 0 or the point.
    fn digit(&mut self, zero: bool) {
        if self.plan.roman {
            return;
        }
        self.inside = false;
        self.write_sign();
        if self.place < self.spaces && (self.plan.zero_start > self.place || !self.plan.zero) {
            if !self.plan.fill {
                self.out.push(b' ');
            }
        } else if self.place < self.spaces {
            self.out.push(b'0');
            self.inside = true;
        } else {
            self.write_byte(zero);
        }
        let mut end = self.places + usize::from(self.spaces > 0) + usize::from(self.plan.decimal);
        if self.last == Some(self.at) {
            end = self.place;
        }
        if self.place + 1 == end {
            if self.sign_written && self.plan.bracket {
                self.out.push(if self.negative { b'>' } else { b' ' });
            } else if self.plan.sign && self.plan.sign_place == SignPlace::After {
                self.out.push(self.sign());
            }
        }
        self.place += 1;
    }

    fn write_byte(&mut self, zero: bool) {
        let byte = self.byte(self.at);
        if byte == b'.' {
            if self.plan.fill || !self.last_is_point() {
                self.out.push(b'.');
            }
        } else if self.last.is_some_and(|last| self.at > last) && !zero {
        } else if self.hidden_zero() {
            if !self.plan.fill {
                self.out.push(b' ');
            } else if self.last_is_point() {
                self.out.push(b'0');
            }
        } else {
            self.out.push(byte);
            self.inside = true;
        }
        if self.at < self.number.len() {
            self.at += 1;
        }
    }

    fn separator(&mut self) {
        if self.inside {
            self.out.push(b',');
        } else if !self.plan.fill {
            self.out.push(b' ');
        }
    }

    fn marked(&mut self, shown: bool, mark: u8) {
        if shown {
            self.out.push(mark);
        } else if !self.plan.fill {
            self.out.push(b' ');
        }
    }

    fn roman(&mut self, lower: bool) {
        let text = String::from_utf8_lossy(&self.number).into_owned();
        let text = if lower {
            text.to_ascii_lowercase()
        } else {
            text
        };
        let text = if self.plan.fill {
            text
        } else {
            format!("{text:>15}")
        };
        self.out.extend_from_slice(text.as_bytes());
    }

    fn ordinal(&mut self, upper: bool) {
        if self.plan.roman || self.byte(0) == b'#' || self.negative || self.plan.decimal {
            return;
        }
        let digits = String::from_utf8_lossy(&self.number).into_owned();
        self.out
            .extend_from_slice(ordinal(&digits, upper).as_bytes());
    }

    fn field(&mut self, name: &str) {
        match name {
            "9" | "." | "D" | "d" => self.digit(false),
            "0" => self.digit(true),
            "," | "G" | "g" => self.separator(),
            "L" | "l" => self.out.push(b' '),
            "RN" | "rn" => self.roman(name == "rn"),
            "TH" | "th" => self.ordinal(name == "TH"),
            "MI" | "mi" => self.marked(self.negative, b'-'),
            "PL" | "pl" => self.marked(!self.negative, b'+'),
            "SG" | "sg" => self.out.push(self.sign()),
            _ => {}
        }
    }

    fn run(mut self, nodes: &[Node]) -> String {
        for node in nodes {
            match node {
                Node::Field { key, .. } => self.field(key.name),
                Node::Separator(c) | Node::Space(c) | Node::Char(c) => {
                    let mut buffer = [0; 4];
                    self.out
                        .extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                }
            }
        }
        // a number cut short ends the text, as PostgreSQL's does
        let end = self.out.iter().position(|&b| b == 0);
        self.out.truncate(end.unwrap_or(self.out.len()));
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// The last digit behind the point that isn't 0, or the point.
fn last_relevant(number: &[u8]) -> Option<usize> {
    let point = number.iter().position(|&b| b == b'.')?;
    let digit = number.iter().rposition(|&b| b != b'0');
    Some(digit.map_or(point, |at| at.max(point)))
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
    let (mut rest, mut out) = (value, String::new());
    for (size, letters) in STEPS {
        while rest >= size {
            out.push_str(letters);
            rest -= size;
        }
    }
    out
}

/// A signed decimal text into the picture.
fn finish(plan: Plan, nodes: &[Node], text: &str) -> Res<Datum> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let whole = digits.find('.').unwrap_or(digits.len());
    let (number, spaces) = if whole <= plan.before {
        (digits.to_owned(), plan.before - whole)
    } else {
        let hashes = |count| "#".repeat(count);
        (format!("{}.{}", hashes(plan.before), hashes(plan.after)), 0)
    };
    Ok(Datum::text(
        Writer::new(plan, number, negative, spaces).run(nodes),
    ))
}

/// EEEE of what is no number.
fn hashes(plan: &Plan) -> String {
    let mut text = vec![b'#'; plan.before + plan.after + 6];
    text[0] = b' ';
    if let Some(point) = text.get_mut(plan.before + 1) {
        *point = b'.';
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// d.ddde+dd with a place for the sign; Rust writes the exponent bare.
fn exponent(mantissa: &str, power: i64) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    let lead = if mantissa.starts_with('-') { "" } else { " " };
    format!("{lead}{mantissa}e{sign}{:02}", power.abs())
}

fn float_science(plan: &Plan, value: f64) -> String {
    if !value.is_finite() {
        return hashes(plan);
    }
    let text = format!("{value:.*e}", plan.after);
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    exponent(mantissa, power.parse().unwrap_or(0))
}

fn numeric_science(plan: &Plan, value: &Numeric) -> String {
    if !value.is_finite() {
        return hashes(plan);
    }
    let digits = value.coefficient().magnitude().to_str_radix(10);
    let power = if value.is_zero() {
        0
    } else {
        digits.len() as i64 - 1 - i64::from(value.scale())
    };
    // the digits as d.ddd, rounded there; 9.99 may become 10.0, as it does in PostgreSQL
    let shift = i64::from(value.scale()) + power;
    let scale = u16::try_from(shift.max(0)).unwrap_or(u16::MAX);
    let whole = value.coefficient() * pow10(shift.min(0).unsigned_abs() as u32);
    let mantissa = Numeric::from_big(whole, scale).round(plan.after as i64);
    exponent(&mantissa.to_string(), power)
}

fn picture(args: &[Datum]) -> Res<Option<(Plan, Vec<Node>)>> {
    let nodes = picture::numbers(args[1].str()?)?;
    if nodes.is_empty() {
        return Ok(None);
    }
    Ok(Some((Plan::of(&nodes)?, nodes)))
}

fn write_roman(plan: Plan, nodes: &[Node], value: i64) -> Res<Datum> {
    Ok(Datum::text(
        Writer::new(plan, roman(value), false, 0).run(nodes),
    ))
}

/// EEEE: the text stands for the whole picture.
fn science(text: String) -> Res<Datum> {
    Ok(Datum::text(text))
}

fn integer(args: &[Datum], narrow: bool) -> Res<Datum> {
    let Some((mut plan, nodes)) = picture(args)? else {
        return Ok(Datum::text(""));
    };
    let value = args[0].int()?;
    if plan.roman {
        if i32::try_from(value).is_err() {
            return fail("22003", "integer out of range");
        }
        return write_roman(plan, &nodes, value);
    }
    if plan.science {
        return science(if narrow {
            float_science(&plan, value as f64)
        } else {
            numeric_science(&plan, &Numeric::from(value))
        });
    }
    let mut shown = value;
    if plan.multi {
        let factor = 10i64.checked_pow(plan.shift as u32);
        shown = match factor.and_then(|f| value.checked_mul(f)) {
            // an int4 wraps around here
            Some(product) if narrow => i64::from(product as i32),
            Some(product) => product,
            None => return fail("22003", "bigint out of range"),
        };
        plan.before += plan.shift;
    }
    let mut text = shown.to_string();
    if plan.after > 0 {
        text.push('.');
        text.push_str(&"0".repeat(plan.after));
    }
    finish(plan, &nodes, &text)
}

pub fn int4(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    integer(args, true)
}

pub fn int8(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    integer(args, false)
}

pub fn numeric(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let Some((mut plan, nodes)) = picture(args)? else {
        return Ok(Datum::text(""));
    };
    let value = args[0].numeric()?;
    if plan.roman {
        let whole = value.to_int(i32::MIN.into(), i32::MAX.into(), "integer")?;
        return write_roman(plan, &nodes, whole);
    }
    if plan.science {
        return science(numeric_science(&plan, value));
    }
    let mut value = value.clone();
    if plan.multi {
        let factor = pow10(plan.shift as u32);
        value = value.mul(&Numeric::from_big(factor, 0))?;
        plan.before += plan.shift;
    }
    let text = value.round(plan.after as i64).to_string();
    finish(plan, &nodes, &text)
}

/// `digits`: how many a value of the type is good for.
fn float(args: &[Datum], digits: usize) -> Res<Datum> {
    let Some((mut plan, nodes)) = picture(args)? else {
        return Ok(Datum::text(""));
    };
    let mut value = args[0].float()?;
    if plan.roman {
        return write_roman(plan, &nodes, value.round_ties_even() as i64);
    }
    if plan.science {
        return science(float_science(&plan, value));
    }
    if plan.multi {
        value *= 10f64.powi(plan.shift as i32);
        if digits < 10 {
            value = f64::from(value as f32);
        }
        plan.before += plan.shift;
    }
    let whole = spelled(value.abs(), 0).len();
    if whole >= digits {
        plan.after = 0;
    } else if whole + plan.after > digits {
        plan.after = digits - whole;
    }
    let text = spelled(value, plan.after);
    finish(plan, &nodes, &text)
}

fn spelled(value: f64, places: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}Infinity");
    }
    format!("{value:.places$}")
}

pub fn float4(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    float(args, 6)
}

pub fn float8(_: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    float(args, 15)
}
