//! Window frames: which rows of its partition a row sees.

use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::Vector;
use crate::exec::keys::Order;
use crate::exec::nodes::{BoundKind, Exclude, FrameMode, FrameNode};
use crate::expr::{Env, State};
use crate::types::{oids, Datum};
use std::cmp::Ordering;

/// A partition's order: peers are rows with equal order keys.
pub struct Peers {
    /// For each row: number of its peer group.
    pub group: Vec<usize>,
    /// For each group: first row; one more for the end.
    pub starts: Vec<usize>,
}

impl Peers {
    pub fn len(&self) -> usize {
        self.group.len()
    }

    pub fn first(&self, row: usize) -> usize {
        self.starts[self.group[row]]
    }

    /// One past the last peer.
    pub fn end(&self, row: usize) -> usize {
        self.starts[self.group[row] + 1]
    }

    fn group_start(&self, group: usize) -> usize {
        self.starts[group.min(self.starts.len() - 1)]
    }
}

/// A frame with its offsets evaluated.
pub struct Frame<'a> {
    node: &'a FrameNode,
    start: Datum,
    end: Datum,
    /// The order column, for RANGE with offsets.
    key: Option<(&'a Order, &'a Vector)>,
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

impl<'a> Frame<'a> {
    pub fn new(
        node: &'a FrameNode,
        env: &mut Env,
        states: &mut [State; 2],
        key: Option<(&'a Order, &'a Vector)>,
    ) -> Res<Frame<'a>> {
        let start = offset(
            &node.start_offset,
            node.mode,
            env,
            &mut states[0],
            "starting",
        )?;
        let end = offset(&node.end_offset, node.mode, env, &mut states[1], "ending")?;
        Ok(Frame {
            node,
            start,
            end,
            key,
        })
    }

    /// Does the frame always begin with the partition, and leave nothing out?
    pub fn grows(&self) -> bool {
        self.node.start == BoundKind::UnboundedPreceding && self.node.exclude == Exclude::Nothing
    }

    /// `from..to` for one row, before anything is excluded.
    pub fn range(&self, env: &mut Env, peers: &Peers, row: usize) -> Res<(usize, usize)> {
        let from = self.bound(env, peers, row, self.node.start, &self.start, true)?;
        let to = self.bound(env, peers, row, self.node.end, &self.end, false)?;
        Ok((
            from.min(peers.len()),
            to.clamp(from.min(peers.len()), peers.len()),
        ))
    }

    /// Is a row of the frame left out for `row`?
    pub fn excludes(&self, peers: &Peers, row: usize, other: usize) -> bool {
        match self.node.exclude {
            Exclude::Nothing => false,
            Exclude::Current => row == other,
            Exclude::Group => peers.group[row] == peers.group[other],
            Exclude::Ties => row != other && peers.group[row] == peers.group[other],
        }
    }

    fn bound(
        &self,
        env: &mut Env,
        peers: &Peers,
        row: usize,
        kind: BoundKind,
        offset: &Datum,
        start: bool,
    ) -> Res<usize> {
        let back = kind == BoundKind::Preceding;
        match (kind, self.node.mode) {
            (BoundKind::UnboundedPreceding, _) => Ok(0),
            (BoundKind::UnboundedFollowing, _) => Ok(peers.len()),
            (BoundKind::Current, FrameMode::Rows) => Ok(if start { row } else { row + 1 }),
            (BoundKind::Current, _) => Ok(if start {
                peers.first(row)
            } else {
                peers.end(row)
            }),
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
                let (n, group) = (amount(offset), peers.group[row]);
                Ok(match (back, start) {
                    (true, true) => peers.group_start(group.saturating_sub(n)),
                    (true, false) if n > group => 0,
                    (true, false) => peers.group_start(group - n + 1),
                    (false, true) => peers.group_start(group.saturating_add(n)),
                    (false, false) => peers.group_start(group.saturating_add(n).saturating_add(1)),
                })
            }
            (_, FrameMode::Range) => self.range_bound(env, peers, row, offset, back, start),
        }
    }

    /// The first row at (start) or after (end) the order key's value moved by the offset.
    fn range_bound(
        &self,
        env: &mut Env,
        peers: &Peers,
        row: usize,
        offset: &Datum,
        back: bool,
        start: bool,
    ) -> Res<usize> {
        let Some((order, keys)) = self.key else {
            return fail(
                "42P20",
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            );
        };
        if keys.is_null(row) {
            return Ok(if start {
                peers.first(row)
            } else {
                peers.end(row)
            });
        }
        let wanted = self.moved(env, order, &keys.get(row), offset, back != order.desc)?;
        let nulls = (0..keys.len()).take_while(|&i| keys.is_null(i)).count();
        let values = (nulls..keys.len())
            .take_while(|&i| !keys.is_null(i))
            .count();
        let (mut low, mut high) = (nulls, nulls + values);
        while low < high {
            let middle = (low + high) / 2;
            let mut side = compare(order, &space(order, keys.get(middle)), &wanted);
            if order.desc {
                side = side.reverse();
            }
            let before = if start {
                side == Ordering::Less
            } else {
                side != Ordering::Greater
            };
            if before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
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
