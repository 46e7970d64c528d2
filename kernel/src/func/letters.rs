//! Texts made letter by letter: case, translate(), reverse().

use crate::base::{pace, Res};

/// translate() looks longer lists up.
const LISTED: usize = 8;

/// A text made of what `one` makes of each character.
fn mapped(text: &str, one: impl Fn(char) -> char) -> Res<String> {
    let mut out = String::with_capacity(text.len());
    for piece in pace::pieces(text) {
        out.extend(piece?.chars().map(&one));
    }
    Ok(out)
}

/// Where one upper-case letter stands for the character.
fn upper_char(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

fn lower_char(c: char) -> char {
    let mut all = c.to_lowercase();
    match (all.next(), all.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

pub fn upper(text: &str) -> Res<String> {
    mapped(text, upper_char)
}

pub fn lower(text: &str) -> Res<String> {
    mapped(text, lower_char)
}

pub fn initcap(text: &str) -> Res<String> {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for piece in pace::pieces(text) {
        for c in piece?.chars() {
            out.push(if inside { lower_char(c) } else { upper_char(c) });
            inside = c.is_alphanumeric();
        }
    }
    Ok(out)
}

pub fn reverse(text: &str) -> Res<String> {
    let pieces: Vec<&str> = pace::pieces(text).collect::<Res<_>>()?;
    let mut out = String::with_capacity(text.len());
    for piece in pieces.into_iter().rev() {
        pace::check()?;
        out.extend(piece.chars().rev());
    }
    Ok(out)
}

pub fn translate(text: &str, from: &str, to: &str) -> Res<String> {
    let mut to = to.chars();
    let mut pairs: Vec<(char, Option<char>)> = from.chars().map(|c| (c, to.next())).collect();
    let mut table: ahash::AHashMap<char, Option<char>> = ahash::AHashMap::new();
    if pairs.len() > LISTED {
        for (from, to) in pairs.drain(..) {
            table.entry(from).or_insert(to);
        }
    }
    let one = |c: char| match pairs.iter().find(|pair| pair.0 == c) {
        Some((_, to)) => *to,
        None if table.is_empty() => Some(c),
        None => table.get(&c).copied().unwrap_or(Some(c)),
    };
    let mut out = String::with_capacity(text.len());
    for piece in pace::pieces(text) {
        out.extend(piece?.chars().filter_map(one));
    }
    Ok(out)
}
