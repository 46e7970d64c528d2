//! The text form of arrays: `{1,NULL,"a b"}`, `{{1,2},{3,4}}`, `[2:3]={a,b}`.

use super::array::{item_count, Array, MAX_DIMS};
use super::registry::TypeInfo;
use super::settings::Settings;
use super::text::is_space;
use super::Datum;
use crate::base::error::{fail, Res};
use crate::base::{pace, SqlError};

fn malformed<T>(text: &str, detail: impl Into<String>) -> Res<T> {
    Err(
        SqlError::new("22P02", format!("malformed array literal: \"{text}\""))
            .detail(detail)
            .into(),
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    NoLevel,
    LevelStarted,
    LevelCompleted,
    LevelDelimited,
    ElemStarted,
    QuotedCompleted,
    ElemDelimited,
}

struct Parser<'a> {
    whole: &'a str,
    state: State,
    /// Elements (or sub-arrays) seen so far in each open level.
    counts: Vec<i32>,
    /// Length of each dimension, once a level of it was closed.
    lens: Vec<Option<i32>>,
    current: String,
    /// Up to here `current` was quoted or escaped, and isn't trimmed.
    kept: usize,
    plain: bool,
    items: Vec<Option<String>>,
    /// The first element stands at this depth; all others must too.
    leaf: Option<usize>,
}

impl<'a> Parser<'a> {
    fn bad<T>(&self, c: char) -> Res<T> {
        malformed(self.whole, format!("Unexpected \"{c}\" character."))
    }

    fn open(&mut self) -> Res<()> {
        if !matches!(
            self.state,
            State::NoLevel | State::LevelStarted | State::LevelDelimited
        ) {
            return self.bad('{');
        }
        if self.counts.len() >= MAX_DIMS {
            return fail(
                "54000",
                format!(
                    "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMS})",
                    self.counts.len() + 1
                ),
            );
        }
        self.counts.push(0);
        if self.lens.len() < self.counts.len() {
            self.lens.push(None);
        }
        self.state = State::LevelStarted;
        Ok(())
    }

    fn finish_item(&mut self) -> Res<()> {
        if !matches!(self.state, State::ElemStarted | State::QuotedCompleted) {
            return Ok(());
        }
        let depth = self.counts.len();
        if *self.leaf.get_or_insert(depth) != depth {
            return self.mismatched();
        }
        let mut text = std::mem::take(&mut self.current);
        let trimmed = text.trim_end_matches(is_space).len().max(self.kept);
        text.truncate(trimmed);
        let null = self.plain && text.eq_ignore_ascii_case("null");
        self.items.push(if null { None } else { Some(text) });
        self.kept = 0;
        self.plain = true;
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        Ok(())
    }

    fn mismatched<T>(&self) -> Res<T> {
        malformed(
            self.whole,
            "Multidimensional arrays must have sub-arrays with matching dimensions.",
        )
    }

    fn close(&mut self) -> Res<()> {
        let empty = self.state == State::LevelStarted && self.counts.len() == 1;
        let complete = matches!(
            self.state,
            State::ElemStarted | State::QuotedCompleted | State::LevelCompleted
        );
        if !empty && !complete {
            return self.bad('}');
        }
        self.finish_item()?;
        let Some(count) = self.counts.pop() else {
            return malformed(self.whole, "Unmatched \"}\" character.");
        };
        let depth = self.counts.len();
        if *self.lens[depth].get_or_insert(count) != count {
            return self.mismatched();
        }
        if let Some(outer) = self.counts.last_mut() {
            *outer += 1;
        }
        self.state = State::LevelCompleted;
        Ok(())
    }

    fn delimit(&mut self) -> Res<()> {
        self.finish_item()?;
        self.state = match self.state {
            State::ElemStarted | State::QuotedCompleted => State::ElemDelimited,
            State::LevelCompleted => State::LevelDelimited,
            _ => return self.bad(','),
        };
        Ok(())
    }

    fn start_item(&mut self) -> Res<()> {
        match self.state {
            State::LevelStarted | State::ElemDelimited | State::ElemStarted => {
                self.state = State::ElemStarted;
                Ok(())
            }
            _ => malformed(self.whole, "Unexpected array element."),
        }
    }

    /// From the opening brace to its partner; answers what follows.
    fn run(&mut self, body: &'a str) -> Res<&'a str> {
        let mut chars = body.char_indices();
        while let Some((at, c)) = chars.next() {
            pace::step(2)?;
            match c {
                '{' => self.open()?,
                '}' => {
                    self.close()?;
                    if self.counts.is_empty() {
                        return Ok(&body[at + 1..]);
                    }
                }
                ',' => self.delimit()?,
                '\\' => {
                    self.start_item()?;
                    let Some((_, escaped)) = chars.next() else {
                        break;
                    };
                    self.current.push(escaped);
                    self.kept = self.current.len();
                    self.plain = false;
                }
                '"' => {
                    self.quoted(&mut chars)?;
                }
                c if is_space(c) => {
                    if self.state == State::ElemStarted {
                        self.current.push(c);
                    }
                }
                c => {
                    self.start_item()?;
                    self.current.push(c);
                }
            }
        }
        malformed(self.whole, "Unexpected end of input.")
    }

    fn quoted(&mut self, chars: &mut std::str::CharIndices<'a>) -> Res<()> {
        if !matches!(self.state, State::LevelStarted | State::ElemDelimited) {
            return malformed(self.whole, "Unexpected array element.");
        }
        loop {
            pace::step(1)?;
            let c = match chars.next() {
                Some((_, '\\')) => chars.next().map(|(_, c)| c),
                Some((_, '"')) => break,
                other => other.map(|(_, c)| c),
            };
            match c {
                Some(c) => self.current.push(c),
                None => return malformed(self.whole, "Unexpected end of input."),
            }
        }
        self.kept = self.current.len();
        self.plain = false;
        self.state = State::QuotedCompleted;
        Ok(())
    }
}

/// `[1:2][0:1]=`: the bounds, and the rest of the text after the sign.
fn bounds(whole: &str) -> Res<(Vec<(i32, i32)>, &str)> {
    let mut rest = whole.trim_start_matches(is_space);
    let mut dims = Vec::new();
    while let Some(inside) = rest.strip_prefix('[') {
        if dims.len() >= MAX_DIMS {
            return fail(
                "54000",
                format!(
                    "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMS})",
                    dims.len() + 1
                ),
            );
        }
        let Some((range, after)) = inside.split_once(']') else {
            return malformed(whole, "Missing \"]\" after array dimensions.");
        };
        let number = |text: &str| text.parse::<i32>().ok();
        let (low, high) = match range.split_once(':') {
            Some((low, high)) => (number(low), number(high)),
            None => (Some(1), number(range)),
        };
        let (Some(low), Some(high)) = (low, high) else {
            return malformed(
                whole,
                "\"[\" must introduce explicitly-specified array dimensions.",
            );
        };
        if high < low {
            return fail("2202E", "upper bound cannot be less than lower bound");
        }
        let Some(len) = high.checked_sub(low).and_then(|d| d.checked_add(1)) else {
            return fail(
                "54000",
                format!(
                    "array size exceeds the maximum allowed ({})",
                    super::array::MAX_ITEMS
                ),
            );
        };
        dims.push((len, low));
        rest = after.trim_start_matches(is_space);
    }
    if dims.is_empty() {
        if !rest.starts_with('{') {
            return malformed(
                whole,
                "Array value must start with \"{\" or dimension information.",
            );
        }
        return Ok((dims, rest));
    }
    match rest.strip_prefix('=') {
        Some(after) => {
            let after = after.trim_start_matches(is_space);
            if !after.starts_with('{') {
                return malformed(whole, "Array contents must start with \"{\".");
            }
            Ok((dims, after))
        }
        None => malformed(whole, "Missing \"=\" after array dimensions."),
    }
}

pub fn parse(whole: &str, elem: &TypeInfo, typmod: i32, settings: &Settings) -> Res<Array> {
    let (given, body) = bounds(whole)?;
    let mut parser = Parser {
        whole,
        state: State::NoLevel,
        counts: Vec::new(),
        lens: Vec::new(),
        current: String::new(),
        kept: 0,
        plain: true,
        items: Vec::new(),
        leaf: None,
    };
    let rest = parser.run(body)?;
    if !rest.chars().all(is_space) {
        return malformed(whole, "Junk after closing right brace.");
    }
    let found: Vec<(i32, i32)> = parser
        .lens
        .iter()
        .map(|len| (len.unwrap_or(0), 1))
        .collect();
    let shape = |dims: &[(i32, i32)]| dims.iter().map(|d| d.0).collect::<Vec<_>>();
    let dims = if given.is_empty() {
        found
    } else {
        if shape(&given) != shape(&found) {
            return malformed(
                whole,
                "Specified array dimensions do not match array contents.",
            );
        }
        given
    };
    let mut values = Vec::with_capacity(parser.items.len());
    for item in &parser.items {
        values.push(match item {
            Some(text) => elem.input(text, typmod, settings)?,
            None => Datum::Null,
        });
    }
    if values.is_empty() {
        return Ok(Array::empty(elem.oid));
    }
    if item_count(&dims)? != values.len() {
        return parser.mismatched();
    }
    Ok(Array {
        elem: elem.oid,
        dims,
        values,
    })
}

fn needs_quotes(text: &[u8]) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case(b"null")
        || text.iter().any(|&b| {
            matches!(
                b,
                b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c
            )
        })
}

pub fn put(array: &Array, elem: &TypeInfo, settings: &Settings, out: &mut Vec<u8>) -> Res<()> {
    if array.values.is_empty() {
        out.extend_from_slice(b"{}");
        return Ok(());
    }
    if array.dims.iter().any(|&(_, low)| low != 1) {
        for &(len, low) in &array.dims {
            out.extend_from_slice(
                format!("[{low}:{}]", low.wrapping_add(len).wrapping_sub(1)).as_bytes(),
            );
        }
        out.push(b'=');
    }
    let mut at = 0;
    level(array, 0, &mut at, elem, settings, out)
}

fn level(
    array: &Array,
    depth: usize,
    at: &mut usize,
    elem: &TypeInfo,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Res<()> {
    out.push(b'{');
    let len = array.dims.get(depth).map_or(0, |d| d.0);
    for i in 0..len {
        if i > 0 {
            out.push(b',');
        }
        if depth + 1 < array.dims.len() {
            level(array, depth + 1, at, elem, settings, out)?;
            continue;
        }
        match array.values.get(*at) {
            None | Some(Datum::Null) => out.extend_from_slice(b"NULL"),
            Some(value) => item(value, elem, settings, out)?,
        }
        *at += 1;
    }
    out.push(b'}');
    Ok(())
}

fn item(value: &Datum, elem: &TypeInfo, settings: &Settings, out: &mut Vec<u8>) -> Res<()> {
    let start = out.len();
    elem.output(value, settings, out)?;
    if needs_quotes(&out[start..]) {
        let text = out.split_off(start);
        out.push(b'"');
        for byte in text {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
    Ok(())
}
