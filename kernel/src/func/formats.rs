//! The templates of to_char and its inverses, cut into keywords and literal text.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A keyword as the table spells it (its case may matter), with what stands around it.
    Key {
        key: &'static str,
        fill: bool,
        ordinal: Option<Ordinal>,
    },
    /// Literal text; `quoted` when it stood in double quotes.
    Text { text: String, quoted: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordinal {
    Upper,
    Lower,
}

/// Longer ones before their beginnings.
#[rustfmt::skip]
const DATE_KEYS: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2", "FF3", "FF4",
    "FF5", "FF6", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM", "MONTH", "MON",
    "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ", "US", "WW", "W",
    "Y,YYY", "YYYY", "YYY", "YY", "Y", "a.d.", "a.m.", "ad", "am", "b.c.", "bc", "cc", "day", "ddd", "dd", "dy", "d",
    "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "fx", "hh24", "hh12", "hh", "iddd", "id", "iw", "iyyy", "iyy", "iy", "i", "j",
    "mi", "mm", "month", "mon", "ms", "of", "p.m.", "pm", "q", "rm", "sssss", "ssss", "ss", "tzh", "tzm", "tz", "us", "ww",
    "w", "y,yyy", "yyyy", "yyy", "yy", "y",
];

#[rustfmt::skip]
const NUMBER_KEYS: &[&str] = &[
    ",", ".", "0", "9", "B", "C", "D", "EEEE", "FM", "G", "L", "MI", "PL", "PR", "RN", "SG", "SP", "S", "TH", "V",
    "b", "c", "d", "eeee", "fm", "g", "l", "mi", "pl", "pr", "rn", "sg", "sp", "s", "th", "v",
];

pub fn dates(format: &str) -> Vec<Node> {
    let mut out = Vec::new();
    let mut rest = format;
    while !rest.is_empty() {
        let (fill, after) = match rest.get(..2) {
            Some("FM" | "fm") => (true, &rest[2..]),
            Some("TM" | "tm") => (false, &rest[2..]),
            _ => (false, rest),
        };
        if let Some(key) = DATE_KEYS.iter().find(|key| after.starts_with(**key)) {
            rest = &after[key.len()..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Ordinal::Upper),
                Some("th") => Some(Ordinal::Lower),
                _ => None,
            };
            if ordinal.is_some() || matches!(rest.get(..2), Some("SP" | "sp")) {
                rest = &rest[2..];
            }
            out.push(Node::Key { key, fill, ordinal });
            continue;
        }
        rest = text(after, &mut out);
    }
    out
}

pub fn numbers(format: &str) -> Vec<Node> {
    let mut out = Vec::new();
    let mut rest = format;
    while !rest.is_empty() {
        match NUMBER_KEYS.iter().find(|key| rest.starts_with(**key)) {
            Some(key) => {
                rest = &rest[key.len()..];
                out.push(Node::Key {
                    key,
                    fill: false,
                    ordinal: None,
                });
            }
            None => rest = text(rest, &mut out),
        }
    }
    out
}

/// One literal character, or a quoted run of them; answers the rest.
fn text<'a>(rest: &'a str, out: &mut Vec<Node>) -> &'a str {
    let mut chars = rest.chars();
    match chars.next() {
        None => {}
        Some('"') => {
            let mut inside = String::new();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => inside.extend(chars.next()),
                    c => inside.push(c),
                }
            }
            out.push(Node::Text {
                text: inside,
                quoted: true,
            });
        }
        Some('\\') if chars.as_str().starts_with('"') => {
            chars.next();
            out.push(Node::Text {
                text: "\"".to_owned(),
                quoted: false,
            });
        }
        Some(c) => out.push(Node::Text {
            text: c.to_string(),
            quoted: false,
        }),
    }
    chars.as_str()
}

/// st, nd, rd, th.
pub fn ordinal(digits: &str, case: Ordinal) -> &'static str {
    let bytes = digits.as_bytes();
    let last = bytes.last().copied().unwrap_or(b'0');
    let teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    match (if teen { b'0' } else { last }, case) {
        (b'1', Ordinal::Upper) => "ST",
        (b'2', Ordinal::Upper) => "ND",
        (b'3', Ordinal::Upper) => "RD",
        (_, Ordinal::Upper) => "TH",
        (b'1', Ordinal::Lower) => "st",
        (b'2', Ordinal::Lower) => "nd",
        (b'3', Ordinal::Lower) => "rd",
        (_, Ordinal::Lower) => "th",
    }
}
