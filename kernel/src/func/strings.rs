//! Text functions: length, case, parts, padding, trimming, searching, joining.

use super::letters::{initcap, lower, reverse, translate, upper};
use super::places::{byte_at, chars, Search};
use super::registry::{pure, stable, Function, Volatility};
use super::Ctx;
use crate::base::error::{alloc, enlarge, fail, Res, ALLOC_MAX};
use crate::base::pace;
use crate::types::registry;
use crate::types::{oids, text, Datum, Text};
use std::borrow::Cow;

/// Bytes that repeat() and the like make at once.
const REPEATED: usize = 1 << 20;

fn too_large<T>() -> Res<T> {
    fail("54000", "requested length too large")
}

/// A `String` is taken as it is, whatever its length.
pub fn text_out<'a>(value: impl Into<Cow<'a, str>>) -> Res<Datum> {
    match value.into() {
        Cow::Borrowed(text) => Text::copied(text).map(Datum::Text),
        Cow::Owned(text) => Ok(Datum::text(text)),
    }
}

fn bytes_out(bytes: &[u8]) -> Res<Datum> {
    joined_bytes(&[bytes])
}

fn joined_bytes(parts: &[&[u8]]) -> Res<Datum> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        pace::append_bytes(&mut out, part)?;
    }
    Ok(Datum::Bytes(out.into()))
}

/// substring(text from start for count), with SQL's way of counting before the beginning.
pub fn substring(text: &str, start: i64, count: Option<i64>) -> Res<&str> {
    let end = match count {
        Some(count) if count < 0 => return fail("22011", "negative substring length not allowed"),
        Some(count) => start.saturating_add(count),
        None => i64::MAX,
    };
    let from = byte_at(text, (start.max(1) - 1) as usize)?;
    if end <= start.max(1) {
        return Ok("");
    }
    let length = (end - start.max(1)) as usize;
    let rest = &text[from..];
    Ok(&rest[..byte_at(rest, length)?])
}

fn substring_bytes(bytes: &[u8], start: i64, count: Option<i64>) -> Res<&[u8]> {
    let end = match count {
        Some(count) if count < 0 => return fail("22011", "negative substring length not allowed"),
        Some(count) => start.saturating_add(count),
        None => i64::MAX,
    };
    let from = ((start.max(1) - 1) as usize).min(bytes.len());
    let to = ((end.max(1) - 1) as usize).min(bytes.len());
    Ok(if from < to { &bytes[from..to] } else { &[] })
}

fn position(text: &str, part: &str) -> Res<i64> {
    match Search::new(part.as_bytes()).find(text.as_bytes(), 0)? {
        Some(at) => Ok(chars(&text[..at])? as i64 + 1),
        None => Ok(0),
    }
}

fn trim<'a>(text: &'a str, set: &str, left: bool, right: bool) -> Res<&'a str> {
    let inside = |c: char| pace::step(set.len()).map(|()| set.contains(c));
    let (mut from, mut to) = (0, text.len());
    if left {
        let mut all = text.chars();
        while let Some(c) = all.next() {
            if !inside(c)? {
                break;
            }
            from = text.len() - all.as_str().len();
        }
    }
    if right {
        let mut all = text[from..].chars();
        while let Some(c) = all.next_back() {
            if !inside(c)? {
                break;
            }
            to = from + all.as_str().len();
        }
    }
    Ok(&text[from..to])
}

fn trim_bytes(bytes: &[u8], set: &[u8], left: bool, right: bool) -> Res<Datum> {
    let inside = |byte: u8| pace::step(set.len()).map(|()| set.contains(&byte));
    let mut from = 0;
    let mut to = bytes.len();
    while left && from < to && inside(bytes[from])? {
        from += 1;
    }
    while right && to > from && inside(bytes[to - 1])? {
        to -= 1;
    }
    bytes_out(&bytes[from..to])
}

fn pad(args: &[Datum], left: bool) -> Res<Datum> {
    let text = args[0].str()?;
    let wanted = args[1].int()?.max(0) as usize;
    let fill = match args.get(2) {
        Some(fill) => fill.str()?,
        None => " ",
    };
    let have = chars(text)?;
    if have >= wanted || fill.is_empty() {
        return text_out(&text[..byte_at(text, wanted)?]);
    }
    if wanted.saturating_mul(4) > ALLOC_MAX {
        return too_large();
    }
    pace::heavy(wanted)?;
    let missing = wanted - have;
    let unit = fill.repeat((REPEATED / fill.len()).max(1));
    let length = chars(&unit)?;
    let mut out = String::with_capacity(text.len() + missing / length * unit.len());
    if !left {
        pace::append(&mut out, text)?;
    }
    for _ in 0..missing / length {
        pace::append(&mut out, &unit)?;
    }
    out.push_str(&unit[..byte_at(&unit, missing % length)?]);
    if left {
        pace::append(&mut out, text)?;
    }
    text_out(out)
}

fn repeat(text: &str, count: i64) -> Res<Datum> {
    let count = count.max(0) as usize;
    match text.len().checked_mul(count) {
        Some(total) if total <= ALLOC_MAX => {
            pace::heavy(total)?;
            let mut out = String::with_capacity(total);
            let step = text.repeat((REPEATED / text.len().max(1)).clamp(1, count.max(1)));
            while out.len() + step.len() <= total && !step.is_empty() {
                pace::check()?;
                out.push_str(&step);
            }
            out.push_str(step.get(..total - out.len()).unwrap_or(""));
            text_out(out)
        }
        _ => too_large(),
    }
}

fn split_part(text: &str, delimiter: &str, field: i64) -> Res<Datum> {
    if field == 0 {
        return fail("22023", "field position must not be zero");
    }
    if text.is_empty() {
        return text_out("");
    }
    if delimiter.is_empty() {
        return text_out(if field == 1 || field == -1 { text } else { "" });
    }
    // From the end, but cut as from the beginning.
    let nth = match field > 0 {
        true => field as usize - 1,
        false => match (count(text, delimiter)? + 1).checked_sub(field.unsigned_abs() as usize) {
            Some(nth) => nth,
            None => return text_out(""),
        },
    };
    let search = Search::new(delimiter.as_bytes());
    let mut from = 0;
    for _ in 0..nth {
        pace::step(delimiter.len())?;
        match search.find(text.as_bytes(), from)? {
            Some(at) => from = at + delimiter.len(),
            None => return text_out(""),
        }
    }
    let end = search.find(text.as_bytes(), from)?;
    text_out(&text[from..end.unwrap_or(text.len())])
}

fn count(text: &str, part: &str) -> Res<usize> {
    let search = Search::new(part.as_bytes());
    let (mut count, mut from) = (0, 0);
    while let Some(at) = search.find(text.as_bytes(), from)? {
        pace::step(at + part.len() - from)?;
        count += 1;
        from = at + part.len();
    }
    Ok(count)
}

/// left() and right(): a negative count leaves that many away on the other side.
fn left(text: &str, count: i64) -> Res<&str> {
    let keep = if count >= 0 {
        count as usize
    } else {
        chars(text)?.saturating_sub(count.unsigned_abs() as usize)
    };
    Ok(&text[..byte_at(text, keep)?])
}

fn right(text: &str, count: i64) -> Res<&str> {
    let skip = if count >= 0 {
        chars(text)?.saturating_sub(count as usize)
    } else {
        count.unsigned_abs() as usize
    };
    Ok(&text[byte_at(text, skip)?..])
}

fn overlay(text: &str, with: &str, start: i64, count: i64) -> Res<Datum> {
    if start <= 0 {
        return fail("22011", "negative substring length not allowed");
    }
    let end = start
        .checked_add(count)
        .filter(|end| *end <= i64::from(i32::MAX));
    let Some(end) = end else {
        return fail("22003", "integer out of range");
    };
    let head = substring(text, 1, Some(start - 1))?;
    let tail = substring(text, end, None)?;
    let mut out = String::with_capacity(head.len() + with.len() + tail.len());
    for part in [head, with, tail] {
        pace::append(&mut out, part)?;
    }
    text_out(out)
}

fn overlay_bytes(bytes: &[u8], with: &[u8], start: i64, count: i64) -> Res<Datum> {
    if start <= 0 {
        return fail("22011", "negative substring length not allowed");
    }
    let head = substring_bytes(bytes, 1, Some(start - 1))?;
    let tail = substring_bytes(bytes, start.saturating_add(count), None)?;
    alloc(head.len() + with.len() + tail.len())?;
    joined_bytes(&[head, with, tail])
}

fn replace(text: &str, from: &str, to: &str) -> Res<Datum> {
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    let search = Search::new(from.as_bytes());
    while let Some(at) = search.find(text.as_bytes(), last)? {
        enlarge(out.len(), at - last + to.len())?;
        pace::step(to.len() + from.len())?;
        pace::append(&mut out, &text[last..at])?;
        pace::append(&mut out, to)?;
        last = at + from.len();
    }
    enlarge(out.len(), text.len() - last)?;
    pace::append(&mut out, &text[last..])?;
    text_out(out)
}

fn chr(code: i64) -> Res<Datum> {
    if code == 0 {
        return fail("54000", "null character not permitted");
    }
    if code < 0 {
        return fail("22023", "character number must be positive");
    }
    match u32::try_from(code).ok().and_then(char::from_u32) {
        Some(c) => text_out(c.to_string()),
        None if code > 0x10ffff => fail(
            "54000",
            format!("requested character too large for encoding: {code}"),
        ),
        None => fail(
            "54000",
            format!("requested character not valid for encoding: {code}"),
        ),
    }
}

/// A value of any type as text, as concat() and format() show it.
pub fn any_text<'a>(ctx: &Ctx<'_>, at: usize, value: &'a Datum) -> Res<Cow<'a, str>> {
    if let Datum::Text(text) = value {
        return Ok(text.as_str().into());
    }
    let typ = ctx.call.arg_types.get(at).copied().unwrap_or(oids::TEXT);
    registry::get(typ)?
        .text(value, ctx.settings)
        .map(Cow::Owned)
}

fn concat(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    let mut out = String::new();
    for (at, value) in args.iter().enumerate() {
        if !value.is_null() {
            let text = any_text(ctx, at, value)?;
            enlarge(out.len(), text.len())?;
            pace::append(&mut out, &text)?;
        }
    }
    text_out(out)
}

fn concat_ws(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let separator = args[0].str()?;
    let mut out = String::new();
    let mut first = true;
    for (at, value) in args.iter().enumerate().skip(1) {
        if value.is_null() {
            continue;
        }
        if !first {
            out.push_str(separator);
        }
        first = false;
        let text = any_text(ctx, at, value)?;
        enlarge(out.len(), separator.len() + text.len())?;
        pace::append(&mut out, &text)?;
    }
    text_out(out)
}

fn cat(a: &str, b: &str) -> Res<Datum> {
    alloc(a.len() + b.len())?;
    Text::joined(a, b).map(Datum::Text)
}

fn any_cat(ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<Datum> {
    cat(&any_text(ctx, 0, &args[0])?, &any_text(ctx, 1, &args[1])?)
}

fn index_out<T>(at: i64, len: usize) -> Res<T> {
    fail(
        "2202E",
        format!("index {at} out of valid range, 0..{}", len as i64 - 1),
    )
}

fn get_byte(bytes: &[u8], at: i64) -> Res<Datum> {
    match usize::try_from(at).ok().and_then(|at| bytes.get(at)) {
        Some(byte) => Ok(Datum::Int((*byte).into())),
        None => index_out(at, bytes.len()),
    }
}

fn set_byte(bytes: &[u8], at: i64, value: i64) -> Res<Datum> {
    let mut out = Vec::new();
    pace::append_bytes(&mut out, bytes)?;
    match usize::try_from(at).ok().and_then(|at| out.get_mut(at)) {
        Some(byte) => *byte = value as u8,
        None => return index_out(at, bytes.len()),
    }
    Ok(Datum::Bytes(out.into()))
}

fn get_bit(bytes: &[u8], at: i64) -> Res<Datum> {
    match usize::try_from(at / 8)
        .ok()
        .filter(|_| at >= 0)
        .and_then(|byte| bytes.get(byte))
    {
        Some(byte) => Ok(Datum::Int((byte >> (at % 8) & 1).into())),
        None => index_out(at, bytes.len() * 8),
    }
}

fn set_bit(bytes: &[u8], at: i64, value: i64) -> Res<Datum> {
    let mut out = Vec::new();
    pace::append_bytes(&mut out, bytes)?;
    match usize::try_from(at / 8)
        .ok()
        .filter(|_| at >= 0)
        .and_then(|byte| out.get_mut(byte))
    {
        None => return index_out(at, bytes.len() * 8),
        Some(_) if !(0..=1).contains(&value) => return fail("22023", "new bit must be 0 or 1"),
        Some(byte) => *byte = *byte & !(1 << (at % 8)) | (value as u8) << (at % 8),
    }
    Ok(Datum::Bytes(out.into()))
}

fn find_bytes(bytes: &[u8], part: &[u8]) -> Res<i64> {
    let found = Search::new(part).find(bytes, 0)?;
    Ok(found.map_or(0, |at| at as i64 + 1))
}

fn len(value: usize) -> Res<Datum> {
    Ok(Datum::Int(value as i64))
}

fn bit_count(bytes: &[u8]) -> Res<Datum> {
    let mut bits = 0;
    for block in bytes.chunks(REPEATED) {
        pace::check()?;
        bits += block.iter().map(|b| i64::from(b.count_ones())).sum::<i64>();
    }
    Ok(Datum::Int(bits))
}

const LENGTHS: &[Function] = &[
    pure("textlen", |_, args| len(chars(args[0].str()?)?)),
    pure("bpcharlen", |_, args| {
        len(chars(text::trimmed(args[0].str()?))?)
    }),
    pure("textoctetlen", |_, args| len(args[0].str()?.len())),
    pure("bpcharoctetlen", |_, args| len(args[0].str()?.len())),
    pure("byteaoctetlen", |_, args| len(args[0].bytes()?.len())),
    pure("bit_length", |_, args| match &args[0] {
        Datum::Bytes(bytes) => len(bytes.len() * 8),
        other => len(other.str()?.len() * 8),
    }),
    pure("bytea_bit_count", |_, args| bit_count(args[0].bytes()?)),
    pure("length_in_encoding", |_, args| {
        len(chars(text::utf8(args[0].bytes()?)?)?)
    }),
];

const PARTS: &[Function] = &[
    pure("upper", |_, args| text_out(upper(args[0].str()?)?)),
    pure("lower", |_, args| text_out(lower(args[0].str()?)?)),
    pure("initcap", |_, args| text_out(initcap(args[0].str()?)?)),
    pure("text_substr", |_, args| {
        text_out(substring(
            args[0].str()?,
            args[1].int()?,
            Some(args[2].int()?),
        )?)
    }),
    pure("text_substr_no_len", |_, args| {
        text_out(substring(args[0].str()?, args[1].int()?, None)?)
    }),
    pure("bytea_substr", |_, args| {
        bytes_out(substring_bytes(
            args[0].bytes()?,
            args[1].int()?,
            Some(args[2].int()?),
        )?)
    }),
    pure("bytea_substr_no_len", |_, args| {
        bytes_out(substring_bytes(args[0].bytes()?, args[1].int()?, None)?)
    }),
    pure("textpos", |_, args| {
        position(args[0].str()?, args[1].str()?).map(Datum::Int)
    }),
    pure("byteapos", |_, args| {
        find_bytes(args[0].bytes()?, args[1].bytes()?).map(Datum::Int)
    }),
    pure("text_starts_with", |_, args| {
        Ok(Datum::Bool(args[0].str()?.starts_with(args[1].str()?)))
    }),
    pure("split_part", |_, args| {
        split_part(args[0].str()?, args[1].str()?, args[2].int()?)
    }),
    pure("text_left", |_, args| {
        text_out(left(args[0].str()?, args[1].int()?)?)
    }),
    pure("text_right", |_, args| {
        text_out(right(args[0].str()?, args[1].int()?)?)
    }),
    pure("text_reverse", |_, args| text_out(reverse(args[0].str()?)?)),
    pure("textoverlay", |_, args| {
        overlay(
            args[0].str()?,
            args[1].str()?,
            args[2].int()?,
            args[3].int()?,
        )
    }),
    pure("textoverlay_no_len", |_, args| {
        overlay(
            args[0].str()?,
            args[1].str()?,
            args[2].int()?,
            chars(args[1].str()?)? as i64,
        )
    }),
    pure("byteaoverlay", |_, args| {
        overlay_bytes(
            args[0].bytes()?,
            args[1].bytes()?,
            args[2].int()?,
            args[3].int()?,
        )
    }),
    pure("byteaoverlay_no_len", |_, args| {
        overlay_bytes(
            args[0].bytes()?,
            args[1].bytes()?,
            args[2].int()?,
            args[1].bytes()?.len() as i64,
        )
    }),
    pure("byteaGetByte", |_, args| {
        get_byte(args[0].bytes()?, args[1].int()?)
    }),
    pure("byteaSetByte", |_, args| {
        set_byte(args[0].bytes()?, args[1].int()?, args[2].int()?)
    }),
    pure("byteaGetBit", |_, args| {
        get_bit(args[0].bytes()?, args[1].int()?)
    }),
    pure("byteaSetBit", |_, args| {
        set_bit(args[0].bytes()?, args[1].int()?, args[2].int()?)
    }),
];

const BUILD: &[Function] = &[
    pure("btrim", |_, args| {
        text_out(trim(args[0].str()?, args[1].str()?, true, true)?)
    }),
    pure("ltrim", |_, args| {
        text_out(trim(args[0].str()?, args[1].str()?, true, false)?)
    }),
    pure("rtrim", |_, args| {
        text_out(trim(args[0].str()?, args[1].str()?, false, true)?)
    }),
    pure("btrim1", |_, args| {
        text_out(trim(args[0].str()?, " ", true, true)?)
    }),
    pure("ltrim1", |_, args| {
        text_out(trim(args[0].str()?, " ", true, false)?)
    }),
    pure("byteatrim", |_, args| {
        trim_bytes(args[0].bytes()?, args[1].bytes()?, true, true)
    }),
    pure("bytealtrim", |_, args| {
        trim_bytes(args[0].bytes()?, args[1].bytes()?, true, false)
    }),
    pure("byteartrim", |_, args| {
        trim_bytes(args[0].bytes()?, args[1].bytes()?, false, true)
    }),
    pure("lpad", |_, args| pad(args, true)),
    pure("rpad", |_, args| pad(args, false)),
    pure("repeat", |_, args| repeat(args[0].str()?, args[1].int()?)),
    pure("replace_text", |_, args| {
        let (text, from) = (args[0].str()?, args[1].str()?);
        if from.is_empty() {
            return Ok(args[0].clone());
        }
        replace(text, from, args[2].str()?)
    }),
    pure("translate", |_, args| {
        text_out(translate(args[0].str()?, args[1].str()?, args[2].str()?)?)
    }),
    pure("ascii", |_, args| {
        Ok(Datum::Int(
            args[0]
                .str()?
                .chars()
                .next()
                .map_or(0, |c| i64::from(u32::from(c))),
        ))
    }),
    pure("chr", |_, args| chr(args[0].int()?)),
    pure("textcat", |_, args| cat(args[0].str()?, args[1].str()?)),
    pure("byteacat", |_, args| {
        joined_bytes(&[args[0].bytes()?, args[1].bytes()?])
    }),
    pure("nameconcatoid", |_, args| {
        let tail = format!("_{}", args[1].int()?);
        let name = args[0].str()?;
        let mut end = name.len().min(63 - tail.len());
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        text_out(name[..end].to_owned() + &tail)
    }),
    stable("textanycat", any_cat),
    stable("anytextcat", any_cat),
    Function {
        name: "text_concat",
        strict: false,
        volatility: Volatility::Stable,
        eval: concat,
    },
    Function {
        name: "text_concat_ws",
        strict: false,
        volatility: Volatility::Stable,
        eval: concat_ws,
    },
    pure("to_hex32", |_, args| {
        text_out(format!("{:x}", args[0].int()? as u32))
    }),
    pure("to_hex64", |_, args| {
        text_out(format!("{:x}", args[0].int()? as u64))
    }),
];

pub const FAMILIES: &[&[Function]] = &[LENGTHS, PARTS, BUILD];
