//! Functions of regular expressions (see `repattern` for their syntax).

use super::ctx::Ctx;
use super::registry::{pure, Function};
use super::rematch::{Matches, Pattern, Want};
pub use super::repattern::Flags;
use super::repattern::{compile, insensitive};
use super::repike::Spans;
use crate::base::error::{enlarge, fail, Res};
use crate::base::pace;
use crate::types::array::Array;
use crate::types::{oids, Datum, Text};
use std::sync::Arc;

/// What making a piece counts as, in steps of `pace`.
const STEP: usize = 32;

/// The compiled pattern, from the memo when it was used before.
pub fn regex<'c>(ctx: &'c mut Ctx<'_>, pattern: &str, flags: Flags) -> Res<&'c Pattern> {
    ctx.memo
        .get(flags.bits(), pattern, || compile(pattern, flags))
}

fn is_match(ctx: &mut Ctx<'_>, args: &[Datum], flags: Flags) -> Res<bool> {
    let text = args[0].str()?;
    regex(ctx, args[1].str()?, flags)?.is_match(text)
}

/// A group of a match.
fn group<'t>(text: &'t str, found: &Spans, group: usize) -> Option<&'t str> {
    let (start, end) = found.get(group).copied().flatten()?;
    text.get(start..end)
}

/// The groups of a match, or the whole of it where there are none.
pub fn groups(text: &str, found: &Spans) -> Datum {
    let first = usize::from(found.len() > 1);
    let values =
        (first..found.len()).map(|at| group(text, found, at).map_or(Datum::Null, Datum::text));
    Datum::Array(Arc::new(Array::from_values(oids::TEXT, values.collect())))
}

fn regexp_match(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let flags = match args.get(2) {
        Some(flags) => Flags::parse(flags.str()?)?,
        None => Flags::default(),
    };
    if flags.global {
        let error = crate::base::SqlError::new(
            "22023",
            "regexp_match() does not support the \"global\" option",
        );
        return Err(error
            .hint("Use the regexp_matches function instead.")
            .into());
    }
    let text = args[0].str()?;
    let regex = regex(ctx, args[1].str()?, flags)?;
    let found = regex.search(text, 0, Want::Groups)?;
    Ok(found.map_or(Datum::Null, |found| groups(text, &found)))
}

/// substring(text from pattern): the first group, or the whole match.
fn substr(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let text = args[0].str()?;
    let regex = regex(ctx, args[1].str()?, Flags::default())?;
    let (want, wanted) = match regex.groups() > 1 {
        true => (Want::Groups, 1),
        false => (Want::Span, 0),
    };
    let found = regex.search(text, 0, want)?;
    let found = found.and_then(|found| group(text, &found, wanted));
    found.map_or(Ok(Datum::Null), |part| Text::copied(part).map(Datum::Text))
}

/// \1…\9, \& and \\ in a replacement.
fn expand(replacement: &str, text: &str, found: &Spans, out: &mut String) -> Res<()> {
    let add = |out: &mut String, at: usize| {
        let part = group(text, found, at).unwrap_or("");
        enlarge(out.len(), part.len()).map(|()| out.push_str(part))
    };
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('&') => add(out, 0)?,
            Some(digit @ '1'..='9') => add(out, digit as usize - '0' as usize)?,
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    Ok(())
}

/// Replace the `nth` match from character `start` on (0: all of them).
fn replace(ctx: &mut Ctx<'_>, args: &[Datum], flags: Flags, start: i64, nth: i64) -> Res<Datum> {
    let (text, replacement) = (args[0].str()?, args[2].str()?);
    let from = start_at(text, start)?;
    let regex = regex(ctx, args[1].str()?, flags)?;
    let want = match replacement.contains('\\') {
        true => Want::Groups,
        false => Want::Span,
    };
    let mut out = String::with_capacity(text.len());
    let (mut last, mut count) = (0, 0);
    let mut matches = Matches::new(regex, from, want);
    while let Some((start, end, found)) = matches.next(text)? {
        count += 1;
        if nth > 0 && count < nth {
            continue;
        }
        enlarge(out.len(), start - last + replacement.len())?;
        pace::append(&mut out, &text[last..start])?;
        expand(replacement, text, &found, &mut out)?;
        last = end;
        if nth > 0 {
            break;
        }
    }
    enlarge(out.len(), text.len() - last)?;
    pace::append(&mut out, &text[last..])?;
    Ok(Datum::Text(out.into()))
}

/// The groups of the nth match from a byte on; `None`: there are not so many.
fn nth_match(
    regex: &Pattern,
    text: &str,
    from: usize,
    nth: usize,
    want: Want,
) -> Res<Option<Spans>> {
    let mut matches = Matches::new(regex, from, want);
    for _ in 1..nth {
        if matches.next(text)?.is_none() {
            return Ok(None);
        }
    }
    Ok(matches.next(text)?.map(|(_, _, found)| found))
}

fn start_at(text: &str, start: i64) -> Res<usize> {
    if start < 1 {
        return fail(
            "22023",
            format!("invalid value for parameter \"start\": {start}"),
        );
    }
    Ok(text.char_indices().nth(start as usize - 1).map_or(
        text.len() + usize::from(start as usize > text.chars().count() + 1),
        |(at, _)| at,
    ))
}

fn replace_with_flags(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let text = args[3].str()?;
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let shown = text.chars().next().unwrap_or('0');
        let error = crate::base::SqlError::new(
            "22023",
            format!("invalid regular expression option: \"{shown}\""),
        );
        let hint = "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.";
        return Err(error.hint(hint).into());
    }
    let flags = Flags::parse(text)?;
    replace(ctx, args, flags, 1, i64::from(!flags.global))
}

fn replace_extended(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let flags = args
        .get(5)
        .map_or(Ok(Flags::default()), |f| Flags::parse(f.str()?))?;
    let nth = match args.get(4) {
        Some(n) => n.int()?,
        None => i64::from(!flags.global),
    };
    if nth < 0 {
        return fail("22023", format!("invalid value for parameter \"n\": {nth}"));
    }
    replace(ctx, args, flags, args[3].int()?, nth)
}

/// Pieces between matches. An empty match doesn't split at the text's ends, nor right after a match.
/// The parts of a text between matches, one by one.
pub struct Parts {
    matches: Matches,
    /// Where the next part begins; none: there was the last.
    last: Option<usize>,
}

impl Parts {
    pub fn new(regex: &Pattern) -> Parts {
        Parts {
            matches: Matches::new(regex, 0, Want::Span),
            last: Some(0),
        }
    }

    pub fn next<'t>(&mut self, text: &'t str) -> Res<Option<&'t str>> {
        let Some(last) = self.last else {
            return Ok(None);
        };
        pace::step(STEP)?;
        while let Some((start, end, _)) = self.matches.next(text)? {
            if start == end && (start == 0 || start == text.len() || start == last) {
                continue;
            }
            self.last = Some(end);
            return Ok(Some(&text[last..start]));
        }
        self.last = None;
        Ok(Some(&text[last..]))
    }
}

fn split_to_array(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let flags = match args.get(2) {
        Some(flags) => Flags::parse_single(flags.str()?, "regexp_split_to_array()")?,
        None => Flags::default(),
    };
    let text = args[0].str()?;
    let regex = regex(ctx, args[1].str()?, flags)?;
    let (mut parts, mut values) = (Parts::new(regex), Vec::new());
    while let Some(part) = parts.next(text)? {
        values.push(Datum::Text(Text::copied(part)?));
    }
    Ok(Datum::Array(Arc::new(Array::from_values(
        oids::TEXT,
        values,
    ))))
}

fn optional_int(args: &[Datum], at: usize, default: i64) -> Res<i64> {
    args.get(at).map_or(Ok(default), Datum::int)
}

fn count(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let text = args[0].str()?;
    let from = start_at(text, optional_int(args, 2, 1)?)?;
    let flags = args.get(3).map_or(Ok(Flags::default()), |f| {
        Flags::parse_single(f.str()?, "regexp_count()")
    })?;
    let regex = regex(ctx, args[1].str()?, flags)?;
    let mut matches = Matches::new(regex, from, Want::Span);
    let mut count = 0;
    while matches.next(text)?.is_some() {
        count += 1;
    }
    Ok(Datum::Int(count))
}

fn positive(value: i64, name: &str) -> Res<usize> {
    match usize::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => fail(
            "22023",
            format!("invalid value for parameter \"{name}\": {value}"),
        ),
    }
}

fn instr(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let text = args[0].str()?;
    let from = start_at(text, optional_int(args, 2, 1)?)?;
    let nth = positive(optional_int(args, 3, 1)?, "n")?;
    let end = optional_int(args, 4, 0)?;
    if !(0..=1).contains(&end) {
        return fail(
            "22023",
            format!("invalid value for parameter \"endoption\": {end}"),
        );
    }
    let flags = args.get(5).map_or(Ok(Flags::default()), |f| {
        Flags::parse_single(f.str()?, "regexp_instr()")
    })?;
    let wanted = optional_int(args, 6, 0)?;
    if wanted < 0 {
        return fail(
            "22023",
            format!("invalid value for parameter \"subexpr\": {wanted}"),
        );
    }
    let regex = regex(ctx, args[1].str()?, flags)?;
    let want = if wanted > 0 { Want::Groups } else { Want::Span };
    let found = nth_match(regex, text, from, nth, want)?;
    let found = found.and_then(|found| found.get(wanted as usize).copied().flatten());
    let at = found.map(|span| if end == 1 { span.1 } else { span.0 });
    Ok(Datum::Int(
        at.map_or(0, |at| text[..at].chars().count() as i64 + 1),
    ))
}

fn substr_extended(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let text = args[0].str()?;
    let from = start_at(text, optional_int(args, 2, 1)?)?;
    let nth = positive(optional_int(args, 3, 1)?, "n")?;
    let flags = args.get(4).map_or(Ok(Flags::default()), |f| {
        Flags::parse_single(f.str()?, "regexp_substr()")
    })?;
    let wanted = optional_int(args, 5, 0)?;
    if wanted < 0 {
        return fail(
            "22023",
            format!("invalid value for parameter \"subexpr\": {wanted}"),
        );
    }
    let regex = regex(ctx, args[1].str()?, flags)?;
    let want = if wanted > 0 { Want::Groups } else { Want::Span };
    let found = nth_match(regex, text, from, nth, want)?;
    let found = found.and_then(|found| group(text, &found, wanted as usize));
    found.map_or(Ok(Datum::Null), |part| Text::copied(part).map(Datum::Text))
}

fn regexp_like(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let flags = args.get(2).map_or(Ok(Flags::default()), |f| {
        Flags::parse_single(f.str()?, "regexp_like()")
    })?;
    Ok(Datum::Bool(is_match(ctx, args, flags)?))
}

/// SIMILAR TO's pattern as a regular expression.
fn similar(pattern: &str, escape: Option<&str>, shortest: bool) -> Res<String> {
    let mut mark = Some('\\');
    if let Some(escape) = escape {
        let mut chars = escape.chars();
        mark = chars.next();
        if chars.next().is_some() {
            return Err(crate::base::SqlError::new("22025", "invalid escape string")
                .hint("Escape string must be empty or one character.")
                .into());
        }
    }
    let mut out = String::from(if shortest { "^(?U:" } else { "^(?:" });
    let mut quotes = 0;
    let mut class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == mark {
            match chars.next() {
                Some('"') if !class => {
                    out.push_str(match quotes {
                        0 if shortest => ")(",
                        0 => "){1,1}?(",
                        1 if shortest => ")(?:",
                        1 => "){1,1}(?:",
                        _ => return fail("2200C", "SQL regular expression may not contain more than two escape-double-quote separators"),
                    });
                    quotes += 1;
                }
                Some(next) => {
                    out.push('\\');
                    out.push(next);
                }
                None => {}
            }
        } else if class {
            if c == '\\' {
                out.push('\\');
            }
            class = c != ']';
            out.push(c);
        } else {
            match c {
                '[' => {
                    class = true;
                    out.push('[');
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

macro_rules! tests {
    ($yes:literal, $no:literal, $flags:expr) => {
        &[
            pure($yes, |ctx, args| {
                Ok(Datum::Bool(is_match(ctx, args, $flags)?))
            }),
            pure($no, |ctx, args| {
                Ok(Datum::Bool(!is_match(ctx, args, $flags)?))
            }),
        ]
    };
}

pub const FAMILIES: &[&[Function]] = &[
    tests!("textregexeq", "textregexne", Flags::default()),
    tests!("nameregexeq", "nameregexne", Flags::default()),
    tests!("bpcharregexeq", "bpcharregexne", Flags::default()),
    tests!("texticregexeq", "texticregexne", insensitive()),
    tests!("nameicregexeq", "nameicregexne", insensitive()),
    tests!("bpcharicregexeq", "bpcharicregexne", insensitive()),
    &[
        pure("regexp_match", regexp_match),
        pure("regexp_match_no_flags", regexp_match),
        pure("textregexsubstr", substr),
        pure("textregexreplace_noopt", |ctx, args| {
            replace(ctx, args, Flags::default(), 1, 1)
        }),
        pure("textregexreplace", replace_with_flags),
        pure("textregexreplace_extended", replace_extended),
        pure("textregexreplace_extended_no_flags", replace_extended),
        pure("textregexreplace_extended_no_n", replace_extended),
        pure("regexp_split_to_array", split_to_array),
        pure("regexp_split_to_array_no_flags", split_to_array),
        pure("regexp_count", count),
        pure("regexp_count_no_start", count),
        pure("regexp_count_no_flags", count),
        pure("regexp_instr", instr),
        pure("regexp_instr_no_start", instr),
        pure("regexp_instr_no_n", instr),
        pure("regexp_instr_no_endoption", instr),
        pure("regexp_instr_no_flags", instr),
        pure("regexp_instr_no_subexpr", instr),
        pure("regexp_substr", substr_extended),
        pure("regexp_substr_no_start", substr_extended),
        pure("regexp_substr_no_n", substr_extended),
        pure("regexp_substr_no_flags", substr_extended),
        pure("regexp_substr_no_subexpr", substr_extended),
        pure("regexp_like", regexp_like),
        pure("regexp_like_no_flags", regexp_like),
        pure("similar_to_escape_1", |_, args| {
            Ok(Datum::text(similar(args[0].str()?, None, false)?))
        }),
        pure("similar_to_escape_2", |_, args| {
            Ok(Datum::text(similar(
                args[0].str()?,
                Some(args[1].str()?),
                false,
            )?))
        }),
        super::registry::lax("similar_escape", |_, args| match (&args[0], &args[1]) {
            (Datum::Null, _) => Ok(Datum::Null),
            (pattern, Datum::Null) => Ok(Datum::text(similar(pattern.str()?, None, false)?)),
            (pattern, escape) => Ok(Datum::text(similar(
                pattern.str()?,
                Some(escape.str()?),
                false,
            )?)),
        }),
        // substring(text from pattern for escape)
        pure("substring", |ctx, args| {
            let pattern = Datum::text(similar(args[1].str()?, Some(args[2].str()?), true)?);
            substr(ctx, &[args[0].clone(), pattern])
        }),
    ],
];
