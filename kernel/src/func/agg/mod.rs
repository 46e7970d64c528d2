//! Aggregates by (proname, argument types), each a state that takes rows and gives a value.

mod collect;
mod minmax;
mod ordered;
mod stats;
mod sums;
#[cfg(test)]
mod tests;

use super::ctx::{CallInfo, Ctx};
use crate::base::error::{fail, unsupported, Res};
use crate::base::Oid;
use crate::exec::batch::Vector;
use crate::types::{registry, Datum};
use std::any::Any;

/// One group's state. FILTER, DISTINCT and ORDER BY are the executor's.
pub trait Accumulator: Send {
    /// One row's arguments. Nulls are passed; aggregates that skip them do so themselves.
    fn push(&mut self, ctx: &mut Ctx<'_>, args: &[Datum]) -> Res<()>;

    /// `len` rows of argument columns, all for this group.
    fn push_vector(&mut self, ctx: &mut Ctx<'_>, args: &[&Vector], len: usize) -> Res<()> {
        push_rows(self, ctx, args, len)
    }

    /// Take in the rows of another state of the same aggregate, which came after this one's.
    fn merge(&mut self, _other: Box<dyn Accumulator>) -> Res<()> {
        fail("XX000", "this aggregate has no partial form")
    }

    /// Whether `merge` works, so that parts may be aggregated apart.
    fn mergeable(&self) -> bool {
        false
    }

    /// The same aggregate's empty state for a frame that moves, which takes rows back too; none: each frame begins anew.
    fn sliding(&self) -> Option<Box<dyn Accumulator>> {
        None
    }

    /// Take back the first row of those that were pushed and are left.
    fn retract(&mut self, _args: &[Datum]) -> Res<()> {
        fail("XX000", "this aggregate takes no row back")
    }

    /// The value so far; may be asked again after more rows (window frames).
    fn finish(&self, ctx: &mut Ctx<'_>) -> Res<Datum>;

    /// Before the first row: so many will come whose last argument is not null. Told to ordered-set aggregates only.
    fn expect(&mut self, _values: u64) {}

    /// Rough bytes held beyond the struct itself, for work_mem.
    fn size(&self) -> usize {
        0
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// Row by row.
fn push_rows<A: Accumulator + ?Sized>(
    state: &mut A,
    ctx: &mut Ctx<'_>,
    args: &[&Vector],
    len: usize,
) -> Res<()> {
    let mut row = Vec::with_capacity(args.len());
    for at in 0..len {
        row.clear();
        row.extend(args.iter().map(|column| column.get(at)));
        state.push(ctx, &row)?;
    }
    Ok(())
}

/// The state inside a box that is known to be of the same aggregate.
fn downcast<T: Any>(other: Box<dyn Accumulator>) -> Res<Box<T>> {
    match other.into_any().downcast() {
        Ok(other) => Ok(other),
        Err(_) => fail("XX000", "states of different aggregates can't be merged"),
    }
}

/// Makes the empty state; `call` has the argument types and the result type.
pub type Make = fn(&CallInfo) -> Res<Box<dyn Accumulator>>;

#[derive(Clone, Copy)]
pub struct Aggregate {
    pub name: &'static str,
    /// For these types of the first argument; empty: any.
    types: &'static [u32],
    pub make: Make,
    /// percentile_cont … WITHIN GROUP: the executor pushes rows in the ORDER BY's order, direct arguments first.
    pub ordered_set: bool,
}

const fn plain(name: &'static str, types: &'static [u32], make: Make) -> Aggregate {
    Aggregate {
        name,
        types,
        make,
        ordered_set: false,
    }
}

const fn ordered_set(name: &'static str, make: Make) -> Aggregate {
    Aggregate {
        name,
        types: &[],
        make,
        ordered_set: true,
    }
}

const FAMILIES: &[&[Aggregate]] = &[
    sums::AGGREGATES,
    minmax::AGGREGATES,
    stats::AGGREGATES,
    collect::AGGREGATES,
    ordered::AGGREGATES,
];

/// `func` is pg_proc.proname: `sum`, `count`; 0A000 when there is none such.
pub fn lookup(func: &str, arg_types: &[Oid]) -> Res<&'static Aggregate> {
    let first = arg_types.first().map_or(0, |oid| oid.0);
    let fits = |a: &&Aggregate| a.name == func && (a.types.is_empty() || a.types.contains(&first));
    match FAMILIES.iter().flat_map(|family| family.iter()).find(fits) {
        Some(aggregate) => Ok(aggregate),
        None => {
            let types: Vec<&str> = arg_types
                .iter()
                .map(|&t| registry::find(t).map_or("?", |info| info.display))
                .collect();
            unsupported(format_args!(
                "aggregate function {func}({})",
                types.join(", ")
            ))
        }
    }
}
