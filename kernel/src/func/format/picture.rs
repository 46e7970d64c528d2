//! A format picture taken apart into keywords and literal characters.

/// Which calendar a field belongs to; a picture may not mix them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    Gregorian,
    IsoWeek,
}

pub struct Keyword {
    /// As the picture spells it: `Month`, `MONTH` and `month` are three keywords.
    pub name: &'static str,
    /// Reads or writes digits.
    pub digits: bool,
    pub mode: Mode,
}

const fn digits(name: &'static str, mode: Mode) -> Keyword {
    Keyword {
        name,
        digits: true,
        mode,
    }
}

const fn word(name: &'static str, mode: Mode) -> Keyword {
    Keyword {
        name,
        digits: false,
        mode,
    }
}

use crate::base::{pace, Res};
use Mode::{Gregorian as G, IsoWeek as W, None as N};

/// Of those with one beginning, the longer stands first.
#[rustfmt::skip]
pub static DATE_WORDS: &[Keyword] = &[
    word("A.D.", N), word("A.M.", N), word("AD", N), word("AM", N), word("B.C.", N), word("BC", N), digits("CC", N),
    word("DAY", N), digits("DDD", G), digits("DD", G), word("DY", N), word("Day", N), word("Dy", N), digits("D", G),
    digits("FF1", N), digits("FF2", N), digits("FF3", N), digits("FF4", N), digits("FF5", N), digits("FF6", N),
    word("FX", N), digits("HH24", N), digits("HH12", N), digits("HH", N), digits("IDDD", W), digits("ID", W),
    digits("IW", W), digits("IYYY", W), digits("IYY", W), digits("IY", W), digits("I", W), digits("J", N),
    digits("MI", N), digits("MM", G), word("MONTH", G), word("MON", G), digits("MS", N), word("Month", G),
    word("Mon", G), word("OF", N), word("P.M.", N), word("PM", N), digits("Q", N), word("RM", G),
    digits("SSSSS", N), digits("SSSS", N), digits("SS", N), word("TZH", N), digits("TZM", N), word("TZ", N),
    digits("US", N), digits("WW", G), digits("W", G), digits("Y,YYY", G), digits("YYYY", G), digits("YYY", G),
    digits("YY", G), digits("Y", G),
    word("a.d.", N), word("a.m.", N), word("ad", N), word("am", N), word("b.c.", N), word("bc", N), digits("cc", N),
    word("day", N), digits("ddd", G), digits("dd", G), word("dy", N), digits("d", G),
    digits("ff1", N), digits("ff2", N), digits("ff3", N), digits("ff4", N), digits("ff5", N), digits("ff6", N),
    word("fx", N), digits("hh24", N), digits("hh12", N), digits("hh", N), digits("iddd", W), digits("id", W),
    digits("iw", W), digits("iyyy", W), digits("iyy", W), digits("iy", W), digits("i", W), digits("j", N),
    digits("mi", N), digits("mm", G), word("month", G), word("mon", G), digits("ms", N), word("of", N),
    word("p.m.", N), word("pm", N), digits("q", N), word("rm", G), digits("sssss", N), digits("ssss", N),
    digits("ss", N), word("tzh", N), digits("tzm", N), word("tz", N), digits("us", N), digits("ww", G),
    digits("w", G), digits("y,yyy", G), digits("yyyy", G), digits("yyy", G), digits("yy", G), digits("y", G),
];

#[rustfmt::skip]
pub static NUMBER_WORDS: &[Keyword] = &[
    word(",", N), word(".", N), word("0", N), word("9", N), word("B", N), word("C", N), word("D", N), word("EEEE", N),
    word("FM", N), word("G", N), word("L", N), word("MI", N), word("PL", N), word("PR", N), word("RN", N),
    word("SG", N), word("SP", N), word("S", N), word("TH", N), word("V", N),
    word("b", N), word("c", N), word("d", N), word("eeee", N),
    word("fm", N), word("g", N), word("l", N), word("mi", N), word("pl", N), word("pr", N), word("rn", N),
    word("sg", N), word("sp", N), word("s", N), word("th", N), word("v", N),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordinal {
    No,
    Upper,
    Lower,
}

pub enum Node {
    Field {
        key: &'static Keyword,
        /// FM: neither padding nor fixed widths.
        fill: bool,
        /// TM: words in the language of lc_time.
        translated: bool,
        ordinal: Ordinal,
    },
    Separator(char),
    Space(char),
    Char(char),
}

/// ASCII that is neither letter, digit nor space.
pub fn is_separator(c: char) -> bool {
    c.is_ascii_punctuation()
}

fn keyword<'a>(text: &'a str, words: &'static [Keyword]) -> Option<(&'static Keyword, &'a str)> {
    words
        .iter()
        .find_map(|word| text.strip_prefix(word.name).map(|rest| (word, rest)))
}

/// "…": every character stands for itself, after a backslash too.
fn quoted<'a>(text: &'a str, out: &mut Vec<Node>) -> &'a str {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '"' => break,
            '\\' => chars.next().unwrap_or('\\'),
            c => c,
        };
        out.push(Node::Char(c));
    }
    chars.as_str()
}

fn literal<'a>(text: &'a str, dates: bool, out: &mut Vec<Node>) -> &'a str {
    if let Some(rest) = text.strip_prefix('"') {
        return quoted(rest, out);
    }
    // a backslash counts only before a quote
    let text = match text.strip_prefix('\\') {
        Some(rest) if rest.starts_with('"') => rest,
        _ => text,
    };
    let mut chars = text.chars();
    if let Some(c) = chars.next() {
        out.push(if dates && is_separator(c) {
            Node::Separator(c)
        } else if c.is_ascii_whitespace() || c == '\x0b' {
            Node::Space(c)
        } else {
            Node::Char(c)
        });
    }
    chars.as_str()
}

/// What reading a piece of a picture, or working by it, counts as in `pace`.
pub const NODE: usize = 128;

pub fn dates(picture: &str) -> Res<Vec<Node>> {
    let mut out = Vec::new();
    let mut text = picture;
    while !text.is_empty() {
        pace::step(NODE)?;
        let (mut fill, mut translated) = (false, false);
        if let Some(rest) = text.strip_prefix("FM").or_else(|| text.strip_prefix("fm")) {
            (fill, text) = (true, rest);
        } else if let Some(rest) = text.strip_prefix("TM").or_else(|| text.strip_prefix("tm")) {
            (translated, text) = (true, rest);
        }
        let Some((key, rest)) = keyword(text, DATE_WORDS) else {
            text = literal(text, true, &mut out);
            continue;
        };
        text = rest;
        let mut ordinal = Ordinal::No;
        if let Some(rest) = text.strip_prefix("TH") {
            (ordinal, text) = (Ordinal::Upper, rest);
        } else if let Some(rest) = text.strip_prefix("th") {
            (ordinal, text) = (Ordinal::Lower, rest);
        } else if let Some(rest) = text.strip_prefix("SP") {
            text = rest;
        }
        out.push(Node::Field {
            key,
            fill,
            translated,
            ordinal,
        });
    }
    Ok(out)
}

pub fn numbers(picture: &str) -> Res<Vec<Node>> {
    let mut out = Vec::new();
    let mut text = picture;
    while !text.is_empty() {
        pace::step(NODE)?;
        match keyword(text, NUMBER_WORDS) {
            Some((key, rest)) => {
                text = rest;
                out.push(Node::Field {
                    key,
                    fill: false,
                    translated: false,
                    ordinal: Ordinal::No,
                });
            }
            None => text = literal(text, false, &mut out),
        }
    }
    Ok(out)
}
