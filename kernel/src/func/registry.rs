//! Scalar functions by prosrc (by proname where PostgreSQL writes them in SQL). A family is one file with one table; adding a function is one entry there.

use super::ctx::Ctx;
use crate::base::error::Res;
use crate::types::{registry, Datum};
use ahash::AHashMap;
use std::sync::OnceLock;

/// Arguments are as the call's types say. Strict functions never see nulls: the caller answers null for them.
pub type Eval = fn(&mut Ctx<'_>, &[Datum]) -> Res<Datum>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

#[derive(Clone, Copy)]
pub struct Function {
    /// pg_proc.prosrc.
    pub name: &'static str,
    pub strict: bool,
    pub volatility: Volatility,
    pub eval: Eval,
}

/// Strict and immutable, as most are.
pub const fn pure(name: &'static str, eval: Eval) -> Function {
    Function {
        name,
        strict: true,
        volatility: Volatility::Immutable,
        eval,
    }
}

/// Immutable, and called with nulls.
pub const fn lax(name: &'static str, eval: Eval) -> Function {
    Function {
        name,
        strict: false,
        volatility: Volatility::Immutable,
        eval,
    }
}

/// Strict and stable.
pub const fn stable(name: &'static str, eval: Eval) -> Function {
    Function {
        name,
        strict: true,
        volatility: Volatility::Stable,
        eval,
    }
}

/// Strict and volatile.
pub const fn volatile(name: &'static str, eval: Eval) -> Function {
    Function {
        name,
        strict: true,
        volatility: Volatility::Volatile,
        eval,
    }
}

/// Each module's own lists.
const FAMILIES: &[&[&[Function]]] = &[
    super::arith::FAMILIES,
    super::arrays::FAMILIES,
    super::arrayset::FAMILIES,
    super::casts::FAMILIES,
    super::compare::FAMILIES,
    super::dateparts::FAMILIES,
    super::digests::FAMILIES,
    super::encoding::FAMILIES,
    super::floats::FAMILIES,
    super::format::FAMILIES,
    super::intervals::FAMILIES,
    super::jsonchange::FAMILIES,
    super::jsons::FAMILIES,
    super::like::FAMILIES,
    super::network::FAMILIES,
    super::numerics::FAMILIES,
    super::regexes::FAMILIES,
    super::sequences::FAMILIES,
    super::sizes::FAMILIES,
    super::splitting::FAMILIES,
    super::spread::FAMILIES,
    super::strings::FAMILIES,
    super::timemaking::FAMILIES,
    super::timestamps::FAMILIES,
];

fn table() -> &'static AHashMap<&'static str, Function> {
    static TABLE: OnceLock<AHashMap<&'static str, Function>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let own = registry::all().iter().flat_map(super::compare::of_type);
        let families = FAMILIES.iter().copied().flatten().copied().flatten();
        own.chain(families.copied()).map(|f| (f.name, f)).collect()
    })
}

pub fn lookup(prosrc: &str) -> Option<&'static Function> {
    table().get(prosrc)
}

/// Every function there is, for tests against the catalogue.
pub fn all() -> impl Iterator<Item = &'static Function> {
    table().values()
}
