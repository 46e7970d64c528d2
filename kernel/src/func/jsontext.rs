//! Looking into json text without changing it: pieces keep their spelling.

use crate::base::error::{fail, Res};
use crate::base::pace;
use crate::types::jsonb::Json;
use crate::types::Datum;
use std::borrow::Cow;

/// A value inside a json text that is known to be valid.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    text: &'a str,
}

/// Key and value.
pub type Field<'a> = (Cow<'a, str>, Piece<'a>);

pub fn whole(text: &str) -> Piece<'_> {
    Piece { text: trim(text) }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// The end of the value or key that begins at `at`.
fn end(bytes: &[u8], at: usize) -> Res<usize> {
    let mut depth = 0usize;
    let mut i = at;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'"' => {
                i += 1;
                while let Some(&inner) = bytes.get(i) {
                    pace::step(1)?;
                    match inner {
                        b'\\' => i += 1,
                        b'"' => break,
                        _ => {}
                    }
                    i += 1;
                }
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 0 => return Ok(i),
            b']' | b'}' => depth -= 1,
            b',' | b':' if depth == 0 => return Ok(i),
            _ => {}
        }
        pace::step(1)?;
        i += 1;
    }
    Ok(bytes.len())
}

/// A string's value, from its spelling with quotes.
fn unquote(text: &str) -> Res<Cow<'_, str>> {
    let inside = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .unwrap_or(text);
    if !inside.contains('\\') {
        return Ok(inside.into());
    }
    match Json::parse(text)? {
        Json::String(value) => Ok(value.into()),
        _ => fail("XX000", "a JSON string turned out to be something else"),
    }
}

impl<'a> Piece<'a> {
    pub fn source(&self) -> &'a str {
        self.text
    }

    pub fn is_object(&self) -> bool {
        self.text.starts_with('{')
    }

    pub fn is_array(&self) -> bool {
        self.text.starts_with('[')
    }

    /// As json_typeof names it.
    pub fn kind(&self) -> &'static str {
        match self.text.as_bytes().first() {
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "boolean",
            Some(b'n') => "null",
            _ => "number",
        }
    }

    /// What ->> gives.
    pub fn as_text(&self) -> Res<Datum> {
        Ok(match self.kind() {
            "null" => Datum::Null,
            "string" => Datum::text(unquote(self.text)?),
            _ => Datum::text(self.text),
        })
    }

    /// What stands at `at` between brackets and commas (and colons), and what is behind it next.
    fn part(&self, at: &mut usize) -> Res<Option<&'a str>> {
        let inside = trim(
            self.text
                .get(1..self.text.len().saturating_sub(1))
                .unwrap_or(""),
        );
        if *at >= inside.len() {
            return Ok(None);
        }
        let stop = end(inside.as_bytes(), *at)?;
        let part = trim(&inside[*at..stop]);
        *at = stop + 1;
        Ok(Some(part))
    }

    /// An array's next item: `at` is 0 first, and moves on.
    pub fn item(&self, at: &mut usize) -> Res<Option<Piece<'a>>> {
        Ok(self.part(at)?.map(|text| Piece { text }))
    }

    /// An object's next field, in the same way.
    pub fn field(&self, at: &mut usize) -> Res<Option<Field<'a>>> {
        let Some(key) = self.part(at)? else {
            return Ok(None);
        };
        match self.part(at)? {
            Some(text) => Ok(Some((unquote(key)?, Piece { text }))),
            None => fail("XX000", "a JSON object has a key without a value"),
        }
    }

    /// `None`: not an array.
    pub fn items(&self) -> Res<Option<Vec<Piece<'a>>>> {
        if !self.is_array() {
            return Ok(None);
        }
        let (mut out, mut at) = (Vec::new(), 0);
        while let Some(item) = self.item(&mut at)? {
            out.push(item);
        }
        Ok(Some(out))
    }

    /// `None`: not an object. Keys may come several times.
    pub fn fields(&self) -> Res<Option<Vec<Field<'a>>>> {
        if !self.is_object() {
            return Ok(None);
        }
        let (mut out, mut at) = (Vec::new(), 0);
        while let Some(field) = self.field(&mut at)? {
            out.push(field);
        }
        Ok(Some(out))
    }

    /// The last field of this name.
    pub fn get(&self, key: &str) -> Res<Option<Piece<'a>>> {
        let fields = self.fields()?.unwrap_or_default();
        Ok(fields
            .into_iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value))
    }

    /// An element; negative numbers count from the end.
    pub fn at(&self, index: i64) -> Res<Option<Piece<'a>>> {
        let items = self.items()?.unwrap_or_default();
        let at = if index < 0 {
            index + items.len() as i64
        } else {
            index
        };
        Ok(usize::try_from(at)
            .ok()
            .and_then(|at| items.get(at))
            .copied())
    }

    /// Down a path of keys and element numbers.
    pub fn path<'p>(&self, steps: impl IntoIterator<Item = &'p str>) -> Res<Option<Piece<'a>>> {
        let mut here = *self;
        for step in steps {
            let next = if here.is_object() {
                here.get(step)?
            } else if here.is_array() {
                match step.trim_start().parse::<i32>() {
                    Ok(index) => here.at(index.into())?,
                    Err(_) => None,
                }
            } else {
                None
            };
            match next {
                Some(next) => here = next,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Without fields whose value is null, at any depth; whitespace goes too.
    pub fn strip_nulls(&self, out: &mut String) -> Res<()> {
        self.strip_at(0, out)
    }

    fn strip_at(&self, depth: usize, out: &mut String) -> Res<()> {
        crate::types::json::check_depth(depth)?;
        if let Some(items) = self.items()? {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                item.strip_at(depth + 1, out)?;
            }
            out.push(']');
        } else if let Some(fields) = self.fields()? {
            out.push('{');
            let mut first = true;
            for (key, value) in fields {
                if value.kind() == "null" {
                    continue;
                }
                if !first {
                    out.push(',');
                }
                first = false;
                let mut quoted = Vec::new();
                crate::types::json::put_string(&key, &mut quoted)?;
                out.push_str(&String::from_utf8_lossy(&quoted));
                out.push(':');
                value.strip_at(depth + 1, out)?;
            }
            out.push('}');
        } else if self.kind() == "string" {
            let mut quoted = Vec::new();
            crate::types::json::put_string(&unquote(self.text)?, &mut quoted)?;
            out.push_str(&String::from_utf8_lossy(&quoted));
        } else {
            out.push_str(self.text);
        }
        Ok(())
    }
}
