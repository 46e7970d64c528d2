//! jsonb: its stored form, read in place; the tree that functions change; text and wire forms; order.
//!
//! A stored value is a tag byte and a body. Where it ends is known from outside (the container's offsets, or the whole).
//!
//! | tag | body |
//! |---|---|
//! | 0 null, 1 false, 2 true | |
//! | 3 number | as `numeric::encode` |
//! | 4 string | UTF-8 |
//! | 5 array | n u32, n end offsets u32 (from the first value), values |
//! | 6 object | n u32, 2n end offsets u32 (keys in order, then values), key bytes, values |
//!
//! Keys are unique, ordered by length and then bytes.

use super::json::{check_depth, put_string, Parser, Sink};
use super::key::{put_numeric, put_text};
use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::text::utf8;
use super::{hash, numeric, oids, Datum, Numeric};
use crate::base::error::{corrupt, fail, Res};
use crate::base::pace;
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] =
    &[TypeInfo::new(oids::JSONB, Oid(3807), "jsonb", Repr::Bytes, &Ops).key(key)];

/// What writing one value counts as, in steps of `pace`.
const STEP: usize = 64;

/// A value taken apart, for functions that build or change one.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Numeric),
    String(String),
    Array(Vec<Json>),
    /// In key order, keys unique.
    Object(Vec<(String, Json)>),
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const STRING: u8 = 4;
const ARRAY: u8 = 5;
const OBJECT: u8 = 6;

pub fn key_order(a: &str, b: &str) -> Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

fn copied(text: &str) -> Res<String> {
    let mut out = String::new();
    pace::append(&mut out, text)?;
    Ok(out)
}

impl Json {
    /// Fields in the order in which they were said: the last of equal keys wins.
    pub fn object(mut fields: Vec<(String, Json)>) -> Json {
        fields.sort_by(|a, b| key_order(&a.0, &b.0));
        let mut out: Vec<(String, Json)> = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            match out.last_mut() {
                Some(last) if last.0 == key => last.1 = value,
                _ => out.push((key, value)),
            }
        }
        Json::Object(out)
    }

    pub fn parse(text: &str) -> Res<Json> {
        let mut builder = Builder::default();
        Parser::new(text).run(&mut builder)?;
        match builder.done {
            Some(value) => Ok(value),
            None => fail("XX000", "JSON text had no value"),
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) -> Res<()> {
        self.encode_at(0, out)
    }

    fn encode_at(&self, depth: usize, out: &mut Vec<u8>) -> Res<()> {
        pace::step(STEP)?;
        match self {
            Json::Null => out.push(NULL),
            Json::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
            Json::Number(value) => {
                out.push(NUMBER);
                numeric::encode(value, out);
            }
            Json::String(value) => {
                out.push(STRING);
                pace::append_bytes(out, value.as_bytes())?;
            }
            Json::Array(items) => {
                check_depth(depth)?;
                out.push(ARRAY);
                let mut table = Table::begin(out, items.len(), items.len());
                for item in items {
                    item.encode_at(depth + 1, out)?;
                    table.end(out)?;
                }
            }
            Json::Object(fields) => {
                check_depth(depth)?;
                out.push(OBJECT);
                let mut table = Table::begin(out, fields.len(), fields.len() * 2);
                for (key, _) in fields {
                    pace::append_bytes(out, key.as_bytes())?;
                    table.end(out)?;
                }
                for (_, value) in fields {
                    value.encode_at(depth + 1, out)?;
                    table.end(out)?;
                }
            }
        }
        Ok(())
    }

    pub fn datum(&self) -> Res<Datum> {
        let mut out = Vec::new();
        self.encode(&mut out)?;
        Ok(Datum::Bytes(out.into()))
    }
}

/// End offsets being filled in.
struct Table {
    slot: usize,
    base: usize,
}

impl Table {
    fn begin(out: &mut Vec<u8>, count: usize, offsets: usize) -> Table {
        out.extend_from_slice(&(count as u32).to_le_bytes());
        let slot = out.len();
        out.resize(slot + offsets * 4, 0);
        Table {
            slot,
            base: out.len(),
        }
    }

    fn end(&mut self, out: &mut [u8]) -> Res<()> {
        let Ok(end) = u32::try_from(out.len() - self.base) else {
            return fail("54000", "total size of jsonb elements exceeds the maximum");
        };
        out[self.slot..self.slot + 4].copy_from_slice(&end.to_le_bytes());
        self.slot += 4;
        Ok(())
    }
}

#[derive(Default)]
struct Builder {
    stack: Vec<Level>,
    done: Option<Json>,
}

enum Level {
    Array(Vec<Json>),
    Object(Vec<(String, Json)>, Option<String>),
}

impl Builder {
    fn put(&mut self, value: Json) -> Res<()> {
        match self.stack.last_mut() {
            None => self.done = Some(value),
            Some(Level::Array(items)) => items.push(value),
            Some(Level::Object(fields, key)) => {
                fields.push((key.take().unwrap_or_default(), value))
            }
        }
        Ok(())
    }
}

impl Sink for Builder {
    fn null(&mut self) -> Res<()> {
        self.put(Json::Null)
    }
    fn bool(&mut self, value: bool) -> Res<()> {
        self.put(Json::Bool(value))
    }
    fn number(&mut self, text: &str) -> Res<()> {
        let value = Numeric::parse(text)?;
        self.put(Json::Number(value))
    }
    fn string(&mut self, value: &str) -> Res<()> {
        self.put(Json::String(copied(value)?))
    }
    fn begin_array(&mut self) -> Res<()> {
        self.stack.push(Level::Array(Vec::new()));
        Ok(())
    }
    fn end_array(&mut self) -> Res<()> {
        match self.stack.pop() {
            Some(Level::Array(items)) => self.put(Json::Array(items)),
            _ => fail("XX000", "JSON array ends where none began"),
        }
    }
    fn begin_object(&mut self) -> Res<()> {
        self.stack.push(Level::Object(Vec::new(), None));
        Ok(())
    }
    fn key(&mut self, value: &str) -> Res<()> {
        if let Some(Level::Object(_, key)) = self.stack.last_mut() {
            *key = Some(copied(value)?);
        }
        Ok(())
    }
    fn end_object(&mut self) -> Res<()> {
        match self.stack.pop() {
            Some(Level::Object(fields, _)) => self.put(Json::object(fields)),
            _ => fail("XX000", "JSON object ends where none began"),
        }
    }
}

/// A stored value, read in place.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Null,
    String,
    Number,
    Bool,
    Array,
    Object,
}

impl<'a> View<'a> {
    pub fn new(bytes: &'a [u8]) -> View<'a> {
        View { bytes }
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn tag(&self) -> u8 {
        self.bytes.first().copied().unwrap_or(u8::MAX)
    }

    pub fn kind(&self) -> Res<Kind> {
        Ok(match self.tag() {
            NULL => Kind::Null,
            FALSE | TRUE => Kind::Bool,
            NUMBER => Kind::Number,
            STRING => Kind::String,
            ARRAY => Kind::Array,
            OBJECT => Kind::Object,
            _ => return corrupt("stored jsonb has an unknown tag"),
        })
    }

    pub fn is_scalar(&self) -> bool {
        !matches!(self.tag(), ARRAY | OBJECT)
    }

    pub fn bool(&self) -> bool {
        self.tag() == TRUE
    }

    pub fn number(&self) -> Res<Numeric> {
        numeric::decode(self.bytes.get(1..).unwrap_or_default())
    }

    pub fn str(&self) -> Res<&'a str> {
        match std::str::from_utf8(self.bytes.get(1..).unwrap_or_default()) {
            Ok(text) => Ok(text),
            Err(_) => corrupt("stored jsonb has a string that is not UTF-8"),
        }
    }

    fn word(&self, at: usize) -> Res<usize> {
        match self.bytes.get(at..at + 4).and_then(|b| b.try_into().ok()) {
            Some(bytes) => Ok(u32::from_le_bytes(bytes) as usize),
            None => corrupt("stored jsonb ends inside a container"),
        }
    }

    /// Elements or fields of a container; 0 for scalars.
    pub fn len(&self) -> Res<usize> {
        if self.is_scalar() {
            return Ok(0);
        }
        self.word(1)
    }

    pub fn is_empty(&self) -> Res<bool> {
        Ok(self.len()? == 0)
    }

    fn slot(&self, slots: usize, at: usize) -> Res<&'a [u8]> {
        let base = 5 + slots * 4;
        let from = if at == 0 { 0 } else { self.word(1 + at * 4)? };
        let to = self.word(5 + at * 4)?;
        match base
            .checked_add(from)
            .zip(base.checked_add(to))
            .and_then(|(f, t)| self.bytes.get(f..t))
        {
            Some(part) => Ok(part),
            None => corrupt("stored jsonb points outside itself"),
        }
    }

    /// Element of an array.
    pub fn item(&self, at: usize) -> Res<Option<View<'a>>> {
        let len = self.len()?;
        if self.tag() != ARRAY || at >= len {
            return Ok(None);
        }
        Ok(Some(View::new(self.slot(len, at)?)))
    }

    /// Key and value of an object's field.
    pub fn field(&self, at: usize) -> Res<Option<(&'a str, View<'a>)>> {
        let len = self.len()?;
        if self.tag() != OBJECT || at >= len {
            return Ok(None);
        }
        let Ok(key) = std::str::from_utf8(self.slot(len * 2, at)?) else {
            return corrupt("stored jsonb has a key that is not UTF-8");
        };
        Ok(Some((key, View::new(self.slot(len * 2, len + at)?))))
    }

    pub fn get(&self, key: &str) -> Res<Option<View<'a>>> {
        if self.tag() != OBJECT {
            return Ok(None);
        }
        let (mut low, mut high) = (0, self.len()?);
        while low < high {
            let middle = (low + high) / 2;
            let Some((found, value)) = self.field(middle)? else {
                return Ok(None);
            };
            match key_order(found, key) {
                Ordering::Equal => return Ok(Some(value)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    pub fn items(self) -> impl Iterator<Item = Res<View<'a>>> {
        let len = if self.tag() == ARRAY {
            self.len().unwrap_or(0)
        } else {
            0
        };
        (0..len).map(move |at| self.item(at).map(|item| item.unwrap_or(View::new(&[NULL]))))
    }

    pub fn fields(self) -> impl Iterator<Item = Res<(&'a str, View<'a>)>> {
        let len = if self.tag() == OBJECT {
            self.len().unwrap_or(0)
        } else {
            0
        };
        (0..len).map(move |at| {
            self.field(at)
                .map(|field| field.unwrap_or(("", View::new(&[NULL]))))
        })
    }

    pub fn tree(&self) -> Res<Json> {
        Ok(match self.kind()? {
            Kind::Null => Json::Null,
            Kind::Bool => Json::Bool(self.bool()),
            Kind::Number => Json::Number(self.number()?),
            Kind::String => Json::String(copied(self.str()?)?),
            Kind::Array => Json::Array(self.items().map(|item| item?.tree()).collect::<Res<_>>()?),
            Kind::Object => {
                let field = |field: Res<(&str, View<'_>)>| {
                    let (key, value) = field?;
                    Ok((copied(key)?, value.tree()?))
                };
                Json::Object(self.fields().map(field).collect::<Res<_>>()?)
            }
        })
    }

    pub fn datum(&self) -> Datum {
        Datum::blob(self.bytes)
    }

    /// `{"a": 1, "b": [1, 2]}`.
    pub fn put(&self, out: &mut Vec<u8>) -> Res<()> {
        pace::step(STEP)?;
        match self.kind()? {
            Kind::Null => out.extend_from_slice(b"null"),
            Kind::Bool => out.extend_from_slice(if self.bool() { b"true" } else { b"false" }),
            Kind::Number => self.number()?.put(out),
            Kind::String => put_string(self.str()?, out)?,
            Kind::Array => {
                out.push(b'[');
                for (at, item) in self.items().enumerate() {
                    if at > 0 {
                        out.extend_from_slice(b", ");
                    }
                    item?.put(out)?;
                }
                out.push(b']');
            }
            Kind::Object => {
                out.push(b'{');
                for (at, field) in self.fields().enumerate() {
                    if at > 0 {
                        out.extend_from_slice(b", ");
                    }
                    let (key, value) = field?;
                    put_string(key, out)?;
                    out.extend_from_slice(b": ");
                    value.put(out)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }

    pub fn compare(&self, other: &View<'_>) -> Res<Ordering> {
        let (a, b) = (self.kind()?, other.kind()?);
        if a != b {
            return Ok(a.cmp(&b));
        }
        Ok(match a {
            Kind::Null => Ordering::Equal,
            Kind::Bool => self.bool().cmp(&other.bool()),
            Kind::Number => self.number()?.cmp(&other.number()?),
            Kind::String => self.str()?.as_bytes().cmp(other.str()?.as_bytes()),
            Kind::Array => {
                let mut order = self.len()?.cmp(&other.len()?);
                for (x, y) in self.items().zip(other.items()) {
                    if order.is_ne() {
                        break;
                    }
                    order = x?.compare(&y?)?;
                }
                order
            }
            Kind::Object => {
                let mut order = self.len()?.cmp(&other.len()?);
                for (x, y) in self.fields().zip(other.fields()) {
                    if order.is_ne() {
                        break;
                    }
                    let ((key, value), (other_key, other_value)) = (x?, y?);
                    order = key.as_bytes().cmp(other_key.as_bytes());
                    if order.is_eq() {
                        order = value.compare(&other_value)?;
                    }
                }
                order
            }
        })
    }

    pub fn hash(&self) -> Res<u64> {
        Ok(match self.kind()? {
            Kind::Null => 1,
            Kind::Bool => 2 + u64::from(self.bool()),
            Kind::Number => hash::combine(4, self.number()?.hash()),
            Kind::String => hash::combine(5, hash::bytes(self.str()?.as_bytes())),
            Kind::Array => {
                let mut sum = 6;
                for item in self.items() {
                    sum = hash::combine(sum, item?.hash()?);
                }
                sum
            }
            Kind::Object => {
                let mut sum = 7;
                for field in self.fields() {
                    let (key, value) = field?;
                    sum = hash::combine(
                        hash::combine(sum, hash::bytes(key.as_bytes())),
                        value.hash()?,
                    );
                }
                sum
            }
        })
    }

    fn put_key(&self, top: bool, out: &mut Vec<u8>) -> Res<()> {
        let kind = self.kind()?;
        // an empty array orders before everything, at the top only, as in PostgreSQL
        let rank = if top && kind == Kind::Array && self.is_empty()? {
            1
        } else {
            0x10 + kind as u8
        };
        out.push(rank);
        match kind {
            Kind::Null => {}
            Kind::Bool => out.push(u8::from(self.bool())),
            Kind::Number => put_numeric(&self.number()?, out),
            Kind::String => put_text(self.str()?, out),
            Kind::Array => {
                out.extend_from_slice(&(self.len()? as u32).to_be_bytes());
                for item in self.items() {
                    item?.put_key(false, out)?;
                }
            }
            Kind::Object => {
                out.extend_from_slice(&(self.len()? as u32).to_be_bytes());
                for field in self.fields() {
                    let (key, value) = field?;
                    put_text(key, out);
                    value.put_key(false, out)?;
                }
            }
        }
        Ok(())
    }
}

/// The order of two whole values.
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (View::new(a), View::new(b));
    let empty = |view: &View<'_>| view.tag() == ARRAY && matches!(view.len(), Ok(0));
    match (empty(&a), empty(&b)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        // damaged values order by their bytes
        (false, false) => a.compare(&b).unwrap_or_else(|_| a.bytes.cmp(b.bytes)),
    }
}

/// Order-preserving bytes: rank; then as `key` has it for the scalar; containers: count (u32), items.
fn key(value: &Datum, out: &mut Vec<u8>) -> Res<()> {
    View::new(value.bytes()?).put_key(true, out)
}

pub fn parse(text: &str) -> Res<Datum> {
    Json::parse(text)?.datum()
}

fn value(datum: &Datum) -> &[u8] {
    match datum {
        Datum::Bytes(bytes) => bytes,
        _ => &[NULL],
    }
}

impl TypeOps for Ops {
    fn is_text_in_python(&self) -> bool {
        true
    }

    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        parse(text)
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        View::new(value.bytes()?).put(out)
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        match bytes.split_first() {
            Some((1, text)) => parse(utf8(text)?),
            Some((version, _)) => fail(
                "XX000",
                format!("unsupported jsonb version number {version}"),
            ),
            None => fail("08P01", "insufficient data left in message"),
        }
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.push(1);
        View::new(value.bytes()?).put(out)
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        compare(value(a), value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        View::new(value(datum)).hash().unwrap_or(0)
    }
}
