//! Window frames: which rows of its partition a row sees.

use super::partition::Partition;
use super::window::{BoundKind, Exclude, FrameMode, FrameNode};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::keys::Order;
use crate::expr::{Env, State};
use crate::types::{oids, Datum};
use std::cmp::Ordering;
use std::ops::Range;

/// A frame's offsets, evaluated once a partition.
#[derive(Clone)]
pub struct Offsets {
    start: Datum,
    end: Datum,
}

/// How far beyond a row the input must be known before its frame is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ahead {
    Row,
    /// One row more.
    Next,
    /// All rows with the same order keys.
    Peers,
    All,
}

/// Which rows of its partition a row's frame has: up to three ranges, in order; what is left out lies between them.
pub type Pieces = [Range<usize>; 3];

/// A frame over a partition, whose order it knows.
pub struct Frame<'a> {
    node: &'a FrameNode,
    offsets: &'a Offsets,
    /// The order column, for RANGE with offsets.
    order: Option<&'a Order>,
}

fn offset(
    program: &Option<crate::expr::Program>,
    mode: FrameMode,
    env: &mut Env,
    state: &mut State,
    which: &str,
) -> Res<Datum> {
    let Some(program) = program else {
        return Ok(Datum::Null);
    };
    let value = program.values(env, state)?.pop().unwrap_or_default();
    match &value {
        Datum::Null => fail("22004", format!("frame {which} offset must not be null")),
        Datum::Int(n) if *n < 0 && mode != FrameMode::Range => fail(
            "22013",
            format!("frame {which} offset must not be negative"),
        ),
        Datum::Int(n) if *n < 0 => fail(
            "22013",
            "invalid preceding or following size in window function",
        ),
        Datum::Float(f) if *f < 0.0 || f.is_nan() => fail(
            "22013",
            "invalid preceding or following size in window function",
        ),
        _ => Ok(value),
    }
}

impl Offsets {
    pub fn new(node: &FrameNode, env: &mut Env, states: &mut [State; 2]) -> Res<Offsets> {
        let [first, second] = states;
        let start = offset(&node.start_offset, node.mode, env, first, "starting")?;
        let end = offset(&node.end_offset, node.mode, env, second, "ending")?;
        Ok(Offsets { start, end })
    }
}

/// Does the frame always begin with the partition, and leave nothing out?
pub fn grows(node: &FrameNode) -> bool {
    node.start == BoundKind::UnboundedPreceding && node.exclude == Exclude::Nothing
}

pub fn ahead(node: &FrameNode) -> Ahead {
    let peers = match node.exclude {
        Exclude::Group | Exclude::Ties => Ahead::Peers,
        Exclude::Nothing | Exclude::Current => Ahead::Row,
    };
    match (node.end, node.mode) {
        (BoundKind::Following | BoundKind::UnboundedFollowing, _) => Ahead::All,
        (_, FrameMode::Rows) => peers,
        _ => Ahead::Peers,
    }
}

impl<'a> Frame<'a> {
    pub fn new(node: &'a FrameNode, offsets: &'a Offsets, orders: &'a [Order]) -> Frame<'a> {
        let order = match orders {
            [order] => Some(order),
            _ => None,
        };
        Frame {
            node,
            offsets,
            order,
        }
    }

    /// The frame of one row. After `Need` call again.
    pub fn pieces(&self, env: &mut Env, part: &mut Partition, row: usize) -> Res<Pieces> {
        let (start, end) = (&self.offsets.start, &self.offsets.end);
        let from = self.bound(env, part, row, self.node.start, start, true)?;
        let from = from.min(part.len());
        let to = self.bound(env, part, row, self.node.end, end, false)?;
        let to = to.clamp(from, part.len());
        let (out, own) = match self.node.exclude {
            Exclude::Nothing => return Ok([from..to, 0..0, 0..0]),
            Exclude::Current => (row..row + 1, 0..0),
            Exclude::Group | Exclude::Ties => {
                let (group, first) = part.group(row)?;
                let stays = self.node.exclude == Exclude::Ties && (from..to).contains(&row);
                let own = if stays { row..row + 1 } else { 0..0 };
                (first..part.group_end(group)?, own)
            }
        };
        Ok([from..out.start.min(to), own, out.end.max(from)..to])
    }

    fn bound(
        &self,
        env: &mut Env,
        part: &mut Partition,
        row: usize,
        kind: BoundKind,
        offset: &Datum,
        start: bool,
    ) -> Res<usize> {
        let back = kind == BoundKind::Preceding;
        match (kind, self.node.mode) {
            (BoundKind::UnboundedPreceding, _) => Ok(0),
            (BoundKind::UnboundedFollowing, _) => Ok(part.len()),
            (BoundKind::Current, FrameMode::Rows) => Ok(if start { row } else { row + 1 }),
            (BoundKind::Current, _) => peers(part, row, start),
            (_, FrameMode::Rows) => {
                let n = amount(offset);
                let base = if start { row } else { row + 1 };
                Ok(if back {
                    base.saturating_sub(n)
                } else {
                    base.saturating_add(n)
                })
            }
            (_, FrameMode::Groups) => {
                let (n, group) = (amount(offset), part.group(row)?.0);
                match (back, start) {
                    (true, true) => part.group_start(group.saturating_sub(n)),
                    (true, false) if n > group => Ok(0),
                    (true, false) => part.group_start(group - n + 1),
                    (false, true) => part.group_start(group.saturating_add(n)),
                    (false, false) => part.group_start(group.saturating_add(n).saturating_add(1)),
                }
            }
            (_, FrameMode::Range) => self.range_bound(env, part, row, offset, back, start),
        }
    }

    /// The first row at (start) or after (end) the order key's value moved by the offset.
    fn range_bound(
        &self,
        env: &mut Env,
        part: &mut Partition,
        row: usize,
        offset: &Datum,
        back: bool,
        start: bool,
    ) -> Res<usize> {
        let Some(order) = self.order else {
            return fail(
                "42P20",
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            );
        };
        let key = part.key(row)?;
        if key.is_null() {
            return peers(part, row, start);
        }
        let wanted = self.moved(env, order, &key, offset, back != order.desc)?;
        part.search(|key| {
            let mut side = compare(order, &space(order, key), &wanted);
            if order.desc {
                side = side.reverse();
            }
            if start {
                side == Ordering::Less
            } else {
                side != Ordering::Greater
            }
        })
    }

    fn moved(
        &self,
        env: &mut Env,
        order: &Order,
        value: &Datum,
        offset: &Datum,
        minus: bool,
    ) -> Res<Datum> {
        match (value, offset, &self.node.range) {
            (Datum::Int(v), Datum::Int(o), None) => Ok(Datum::Int(if minus {
                v.saturating_sub(*o)
            } else {
                v.saturating_add(*o)
            })),
            (Datum::Float(v), Datum::Float(o), None) => {
                Ok(Datum::Float(if minus { v - o } else { v + o }))
            }
            (_, _, Some(range)) => {
                let call = if minus { &range.minus } else { &range.plus };
                env.call(call, &[space(order, value.clone()), offset.clone()])
            }
            _ => fail(
                "0A000",
                "RANGE with offset PRECEDING/FOLLOWING is not supported for this column type",
            ),
        }
    }
}

/// Where a row's peers begin, or end.
fn peers(part: &mut Partition, row: usize, start: bool) -> Res<usize> {
    let (group, first) = part.group(row)?;
    if start {
        Ok(first)
    } else {
        part.group_end(group)
    }
}

fn amount(offset: &Datum) -> usize {
    match offset {
        Datum::Int(n) => usize::try_from(*n).unwrap_or(usize::MAX),
        _ => 0,
    }
}

/// Dates are compared as timestamps, since moving one by an interval makes one.
fn space(order: &Order, value: Datum) -> Datum {
    match value {
        Datum::Int(days) if order.info.oid == oids::DATE => Datum::Int(match days {
            d if d == i64::from(i32::MAX) => i64::MAX,
            d if d == i64::from(i32::MIN) => i64::MIN,
            d => d.saturating_mul(86_400_000_000),
        }),
        value => value,
    }
}

fn compare(order: &Order, a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Int(a), Datum::Int(b)) => a.cmp(b),
        _ => order.info.compare(a, b),
    }
}
