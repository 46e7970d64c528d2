//! LIKE and ILIKE.

use super::registry::{pure, Function};
use crate::base::error::{fail, Res};
use crate::base::pace;
use crate::types::Datum;

/// Whether a text matches a pattern of %, _ and backslash escapes. Iterative: a % tries again from one character
/// further, only the last one needs to be remembered.
fn matches(text: &[u8], pattern: &[u8]) -> Res<bool> {
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    let mut work = 0;
    loop {
        match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                if p == pattern.len() {
                    return Ok(true);
                }
                retry = Some((t, p));
                continue;
            }
            Some(b'_') if t < text.len() => {
                pace::step(1)?;
                t += char_len(text, t);
                p += 1;
                continue;
            }
            Some(b'\\') if t < text.len() => {
                let Some(literal) = pattern.get(p + 1) else {
                    return fail("22025", "LIKE pattern must not end with escape character");
                };
                if text.get(t) == Some(literal) {
                    t += 1;
                    p += 2;
                    continue;
                }
            }
            Some(literal) if text.get(t) == Some(literal) => {
                pace::step(1)?;
                t += 1;
                p += 1;
                continue;
            }
            None if t == text.len() => return Ok(true),
            _ => {}
        }
        match retry {
            Some((from, after)) if from < text.len() => {
                tried(&mut work, t - from)?;
                t = from + char_len(text, from);
                p = after;
                retry = Some((t, p));
            }
            _ => return Ok(false),
        }
    }
}

/// A try of so many steps was in vain. Their number can be the product of text's and pattern's lengths.
fn tried(work: &mut usize, steps: usize) -> Res<()> {
    *work += steps + 1;
    if *work > pace::INLINE_BYTES {
        pace::heavy(std::mem::take(work))?;
    }
    Ok(())
}

fn char_len(text: &[u8], at: usize) -> usize {
    let mut len = 1;
    while text.get(at + len).is_some_and(|b| b & 0xc0 == 0x80) {
        len += 1;
    }
    len
}

fn bytes_match(text: &[u8], pattern: &[u8]) -> Res<bool> {
    // every byte is a character here: no multi-byte ones to keep together
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    let mut work = 0;
    loop {
        let step = match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                retry = Some((t, p));
                continue;
            }
            Some(b'_') if t < text.len() => 1,
            Some(b'\\') if t < text.len() => match pattern.get(p + 1) {
                None => return fail("22025", "LIKE pattern must not end with escape character"),
                Some(literal) if text.get(t) == Some(literal) => 2,
                Some(_) => 0,
            },
            Some(literal) if text.get(t) == Some(literal) && !matches!(literal, b'_' | b'\\') => 1,
            None if t == text.len() => return Ok(true),
            _ => 0,
        };
        if step > 0 {
            t += 1;
            p += step;
            continue;
        }
        match retry {
            Some((from, after)) if from < text.len() => {
                tried(&mut work, t - from)?;
                (t, p) = (from + 1, after);
                retry = Some((t, p));
            }
            _ => return Ok(false),
        }
    }
}

fn like(args: &[Datum]) -> Res<bool> {
    matches(args[0].str()?.as_bytes(), args[1].str()?.as_bytes())
}

fn ilike(args: &[Datum]) -> Res<bool> {
    let (text, pattern) = (
        super::letters::lower(args[0].str()?)?,
        super::letters::lower(args[1].str()?)?,
    );
    matches(text.as_bytes(), pattern.as_bytes())
}

fn blike(args: &[Datum]) -> Res<bool> {
    bytes_match(args[0].bytes()?, args[1].bytes()?)
}

/// LIKE … ESCAPE: the pattern with its own escape character turned into backslashes.
fn escape(pattern: &str, escape: &str) -> Res<String> {
    let mut chars = escape.chars();
    let mut out = String::with_capacity(pattern.len() * 2);
    match (chars.next(), chars.next()) {
        (None, _) => {
            for c in pattern.chars() {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        (Some(_), Some(_)) => {
            return Err(crate::base::SqlError::new("22025", "invalid escape string")
                .hint("Escape string must be empty or one character.")
                .into())
        }
        (Some('\\'), None) => out.push_str(pattern),
        (Some(mark), None) => {
            let mut escaped = false;
            for c in pattern.chars() {
                if c == mark && !escaped {
                    out.push('\\');
                    escaped = true;
                } else if c == '\\' {
                    out.push('\\');
                    if !escaped {
                        out.push('\\');
                    }
                    escaped = false;
                } else {
                    out.push(c);
                    escaped = false;
                }
            }
        }
    }
    Ok(out)
}

macro_rules! both {
    ($yes:literal, $no:literal, $test:expr) => {
        &[
            pure($yes, |_, args| Ok(Datum::Bool($test(args)?))),
            pure($no, |_, args| Ok(Datum::Bool(!$test(args)?))),
        ]
    };
}

pub const FAMILIES: &[&[Function]] = &[
    both!("textlike", "textnlike", like),
    both!("namelike", "namenlike", like),
    both!("bpcharlike", "bpcharnlike", like),
    both!("texticlike", "texticnlike", ilike),
    both!("nameiclike", "nameicnlike", ilike),
    both!("bpchariclike", "bpcharicnlike", ilike),
    both!("bytealike", "byteanlike", blike),
    &[
        pure("like_escape", |_, args| {
            Ok(Datum::text(escape(args[0].str()?, args[1].str()?)?))
        }),
        pure("like_escape_bytea", |_, args| {
            let (pattern, mark) = (args[0].bytes()?, args[1].bytes()?);
            let text = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
            let out: Vec<u8> = escape(&text(pattern), &text(mark))?
                .chars()
                .map(|c| c as u8)
                .collect();
            Ok(Datum::blob(&out))
        }),
    ],
];
