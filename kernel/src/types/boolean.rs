//! bool.

use super::registry::{Repr, TypeInfo, TypeOps};
use super::settings::Settings;
use super::{hash, oids, text, wire, Datum};
use crate::base::error::Res;
use crate::base::Oid;
use std::cmp::Ordering;

pub struct Ops;

pub const TYPES: &[TypeInfo] =
    &[TypeInfo::new(oids::BOOL, Oid(1000), "bool", Repr::Bool, &Ops).shown("boolean")];

/// Unique prefixes of true, false, yes, no, on, off, and 1, 0; case and outer whitespace don't count.
pub fn parse(text: &str) -> Option<bool> {
    let word = text.trim_matches(text::is_space).to_ascii_lowercase();
    let is = |whole: &str, least: usize| word.len() >= least && whole.starts_with(word.as_str());
    if is("true", 1) || is("yes", 1) || is("on", 2) || word == "1" {
        Some(true)
    } else if is("false", 1) || is("no", 1) || is("off", 2) || word == "0" {
        Some(false)
    } else {
        None
    }
}

fn value(datum: &Datum) -> bool {
    matches!(datum, Datum::Bool(true))
}

impl TypeOps for Ops {
    fn input(
        &self,
        _info: &TypeInfo,
        text: &str,
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        match parse(text) {
            Some(value) => Ok(Datum::Bool(value)),
            None => text::syntax("boolean", text),
        }
    }

    fn output(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.push(if value.bool()? { b't' } else { b'f' });
        Ok(())
    }

    fn recv(
        &self,
        _info: &TypeInfo,
        bytes: &[u8],
        _typmod: i32,
        _settings: &Settings,
    ) -> Res<Datum> {
        Ok(Datum::Bool(wire::exact::<1>(bytes)?[0] != 0))
    }

    fn send(
        &self,
        _info: &TypeInfo,
        value: &Datum,
        _settings: &Settings,
        out: &mut Vec<u8>,
    ) -> Res<()> {
        out.push(value.bool()? as u8);
        Ok(())
    }

    fn compare(&self, _info: &TypeInfo, a: &Datum, b: &Datum) -> Ordering {
        value(a).cmp(&value(b))
    }

    fn hash(&self, _info: &TypeInfo, datum: &Datum) -> u64 {
        hash::int(value(datum) as i64)
    }
}
