//! One window function on its way through a partition.

use super::frame::{ahead, grows, Ahead, Frame, Offsets, Pieces};
use super::partition::Partition;
use super::window::{plain_name, Exclude, WindowCallNode};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::keys::Order;
use crate::expr::{Env, State};
use crate::func::agg::Accumulator;
use crate::types::Datum;
use std::ops::Range;

/// Columns of the partition that a call reads.
pub struct Place {
    pub args: Vec<usize>,
    pub filter: Option<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Function {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    First,
    Last,
    Nth,
    /// Over a frame that begins with the partition: the state goes on from row to row.
    Growing,
    /// Over any other frame: every row begins anew.
    Moving,
}

impl Function {
    fn of(call: &WindowCallNode) -> Function {
        if call.aggregate.is_some() {
            return match grows(&call.frame) {
                true => Function::Growing,
                false => Function::Moving,
            };
        }
        match plain_name(&call.func) {
            "row_number" => Function::RowNumber,
            "rank" => Function::Rank,
            "dense_rank" => Function::DenseRank,
            "percent_rank" => Function::PercentRank,
            "ntile" => Function::Ntile,
            "lag" => Function::Lag,
            "lead" => Function::Lead,
            "first_value" => Function::First,
            "last_value" => Function::Last,
            "nth_value" => Function::Nth,
            _ => Function::CumeDist,
        }
    }
}

pub struct Running {
    function: Function,
    ahead: Ahead,
    /// LAG and LEAD by a number that is given; a frame that only grows.
    any_offset: bool,
    grows: bool,
    typ: crate::base::Oid,
    states: [State; 2],
    offsets: Option<Offsets>,
    /// The frame of this row.
    frame: Option<(usize, Pieces)>,
    /// An aggregate's state, and the next row that it takes in, in which of the frame's pieces.
    state: Option<Box<dyn Accumulator>>,
    piece: usize,
    at: usize,
    /// The state takes rows back, up to this one so far.
    slides: bool,
    from: usize,
    /// The aggregate's value over this frame.
    last: Option<(Pieces, Datum)>,
    /// What the partition's first row says, for all.
    first: Option<Datum>,
    values: Vec<Datum>,
}

impl Running {
    pub fn new(call: &WindowCallNode) -> Running {
        let function = Function::of(call);
        // How many arguments the call has.
        let args = call.args.codes.len();
        let ahead = match function {
            Function::RowNumber | Function::Rank | Function::DenseRank => Ahead::Row,
            Function::Lag if args == 1 => Ahead::Row,
            Function::Lead if args == 1 => Ahead::Next,
            Function::PercentRank
            | Function::CumeDist
            | Function::Ntile
            | Function::Lag
            | Function::Lead => Ahead::All,
            _ => ahead(&call.frame),
        };
        Running {
            function,
            ahead,
            any_offset: args > 1,
            grows: grows(&call.frame),
            typ: call.info.typ,
            states: Default::default(),
            offsets: None,
            frame: None,
            state: None,
            piece: 0,
            at: 0,
            slides: false,
            from: 0,
            last: None,
            first: None,
            values: Vec::new(),
        }
    }

    /// What must have come before a row's value is known.
    pub fn ahead(&self) -> Ahead {
        self.ahead
    }

    pub fn results(&self) -> Vector {
        Vector::of_type(self.typ, 0)
    }

    /// A new partition begins.
    pub fn restart(&mut self) {
        self.offsets = None;
        self.frame = None;
        self.state = None;
        (self.piece, self.at) = (0, 0);
        self.last = None;
        self.first = None;
    }

    /// The first row that may still be looked at, when the rows before `given` have their values.
    pub fn low(&self, given: usize) -> usize {
        let frame = self.frame.as_ref().map(|(_, pieces)| pieces);
        let low = match self.function {
            Function::Lag | Function::Lead if self.any_offset => 0,
            Function::Lag => given.saturating_sub(1),
            Function::Growing => self.at,
            // The value is known.
            Function::First if self.first.is_some() => given,
            Function::Last if self.grows => {
                let ends = frame.map(|p| p.iter().map(|r| r.end).max());
                ends.flatten().unwrap_or(0).saturating_sub(1)
            }
            Function::Moving if self.slides && self.state.is_some() => self.from,
            Function::First | Function::Last | Function::Nth | Function::Moving => {
                frame.map_or(0, |p| p[0].start)
            }
            _ => given,
        };
        low.min(given)
    }

    /// The value of one row; `here` is its chunk and that chunk's first row. Rows come in order. After `Need` call again.
    #[allow(clippy::too_many_arguments)]
    pub fn value(
        &mut self,
        call: &WindowCallNode,
        orders: &[Order],
        place: &Place,
        env: &mut Env,
        part: &mut Partition,
        here: (usize, &Batch),
        row: usize,
    ) -> Res<Datum> {
        let total = part.len();
        Ok(match self.function {
            Function::RowNumber => Datum::Int(row as i64 + 1),
            Function::Rank => Datum::Int(part.group_of(here, row).1 as i64 + 1),
            Function::DenseRank => Datum::Int(part.group_of(here, row).0 as i64 + 1),
            Function::PercentRank if total <= 1 => Datum::Float(0.0),
            Function::PercentRank => {
                Datum::Float(part.group_of(here, row).1 as f64 / (total - 1) as f64)
            }
            Function::CumeDist => {
                let end = part.group_end(part.group_of(here, row).0)?;
                Datum::Float(end as f64 / total as f64)
            }
            Function::Ntile => self.ntile(place, here, row, total)?,
            Function::Lag => shift(place, part, here, row, -1)?,
            Function::Lead => shift(place, part, here, row, 1)?,
            Function::First | Function::Last | Function::Nth => {
                self.framed(call, orders, place, env, part, here, row)?
            }
            Function::Growing | Function::Moving => {
                let pieces = self.pieces(call, orders, env, part, row)?;
                self.aggregate(call, place, env, part, pieces)?
            }
        })
    }

    fn ntile(
        &mut self,
        place: &Place,
        here: (usize, &Batch),
        row: usize,
        total: usize,
    ) -> Res<Datum> {
        // The first row says how many buckets there are.
        let first = || here.1.columns[place.args[0]].get(row - here.0);
        let buckets = match self.first.get_or_insert_with(first) {
            Datum::Int(n) if *n <= 0 => {
                return fail("22014", "argument of ntile must be greater than zero")
            }
            Datum::Int(n) => *n,
            _ => return Ok(Datum::Null),
        };
        let (row, total) = (row as i64, total as i64);
        let (size, larger) = (total / buckets, total % buckets);
        let in_larger = larger * (size + 1);
        let bucket = if row < in_larger {
            row / (size + 1)
        } else {
            larger + (row - in_larger) / size.max(1)
        };
        Ok(Datum::Int(bucket + 1))
    }

    fn pieces(
        &mut self,
        call: &WindowCallNode,
        orders: &[Order],
        env: &mut Env,
        part: &mut Partition,
        row: usize,
    ) -> Res<Pieces> {
        if let Some((known, pieces)) = &self.frame {
            if *known == row {
                return Ok(pieces.clone());
            }
        }
        if self.offsets.is_none() {
            self.offsets = Some(Offsets::new(&call.frame, env, &mut self.states)?);
        }
        let offsets = self.offsets.as_ref().expect("made above");
        let pieces = Frame::new(&call.frame, offsets, orders).pieces(env, part, row)?;
        self.frame = Some((row, pieces.clone()));
        Ok(pieces)
    }

    #[allow(clippy::too_many_arguments)]
    fn framed(
        &mut self,
        call: &WindowCallNode,
        orders: &[Order],
        place: &Place,
        env: &mut Env,
        part: &mut Partition,
        here: (usize, &Batch),
        row: usize,
    ) -> Res<Datum> {
        let pieces = self.pieces(call, orders, env, part, row)?;
        if let (Function::First, Some(first)) = (self.function, &self.first) {
            return Ok(first.clone());
        }
        let some = |r: &&Range<usize>| !r.is_empty();
        let at = match self.function {
            Function::First => pieces.iter().find(some).map(|r| r.start),
            Function::Last => pieces.iter().rev().find(some).map(|r| r.end - 1),
            _ => match here.1.columns[place.args[1]].get(row - here.0) {
                Datum::Int(n) if n <= 0 => {
                    return fail("22016", "argument of nth_value must be greater than zero")
                }
                Datum::Int(n) => nth(&pieces, n as usize - 1),
                _ => None,
            },
        };
        let Some(at) = at else {
            return Ok(Datum::Null);
        };
        let value = value_at(place, part, here, at)?;
        if self.function == Function::First && self.grows {
            self.first = Some(value.clone());
        }
        Ok(value)
    }

    fn aggregate(
        &mut self,
        call: &WindowCallNode,
        place: &Place,
        env: &mut Env,
        part: &mut Partition,
        pieces: Pieces,
    ) -> Res<Datum> {
        if let Some((known, value)) = &self.last {
            if *known == pieces {
                return Ok(value.clone());
            }
        }
        if self.state.is_none() || self.slides && !self.goes_on(&pieces[0]) {
            self.begin(call)?;
            (self.piece, self.from, self.at) = (0, pieces[0].start, pieces[0].start);
        }
        if self.slides {
            self.take(call, place, env, part, pieces[0].start, true)?;
        }
        while self.piece < pieces.len() {
            self.take(call, place, env, part, pieces[self.piece].end, false)?;
            if self.function == Function::Growing || self.slides {
                break;
            }
            self.piece += 1;
            self.at = pieces.get(self.piece).map_or(0, |r| r.start);
        }
        let Some(state) = &self.state else {
            return fail("XX000", "an aggregate without a state");
        };
        let value = state.finish(&mut env.ctx(&call.info))?;
        if self.function == Function::Moving && !self.slides {
            self.state = None;
        }
        self.last = Some((pieces, value.clone()));
        Ok(value)
    }

    fn begin(&mut self, call: &WindowCallNode) -> Res<()> {
        let Some(aggregate) = call.aggregate else {
            return fail("XX000", "not an aggregate");
        };
        let state = (aggregate.make)(&call.info)?;
        let one = self.function == Function::Moving && call.frame.exclude == Exclude::Nothing;
        let sliding = state.sliding().filter(|_| one);
        self.slides = sliding.is_some();
        self.state = sliding.or(Some(state));
        Ok(())
    }

    /// Is it a frame that the one before it becomes when rows go in front and come behind?
    fn goes_on(&self, frame: &Range<usize>) -> bool {
        self.from <= frame.start && frame.start < self.at && self.at <= frame.end
    }

    /// The aggregate takes in rows up to `to`, or takes them `back`; after `Need` call again.
    fn take(
        &mut self,
        call: &WindowCallNode,
        place: &Place,
        env: &mut Env,
        part: &mut Partition,
        to: usize,
        back: bool,
    ) -> Res<()> {
        loop {
            let at = if back { self.from } else { self.at };
            if at >= to {
                return Ok(());
            }
            env.pulse()?;
            let (start, rows) = part.chunk(at)?;
            let end = to.min(start + rows.len);
            env.charge(end - at);
            let mut ctx = env.ctx(&call.info);
            let Some(state) = &mut self.state else {
                return Ok(());
            };
            for i in at - start..end - start {
                let passes = |f: usize| rows.columns[f].truth(i) == Some(true);
                if place.filter.is_none_or(passes) {
                    self.values.clear();
                    let args = place.args.iter().map(|&a| rows.columns[a].get(i));
                    self.values.extend(args);
                    match back {
                        true => state.retract(&self.values)?,
                        false => state.push(&mut ctx, &self.values)?,
                    }
                }
            }
            match back {
                true => self.from = end,
                false => self.at = end,
            }
        }
    }
}

/// The row after so many others of a frame.
fn nth(pieces: &Pieces, mut skip: usize) -> Option<usize> {
    for piece in pieces {
        if skip < piece.len() {
            return Some(piece.start + skip);
        }
        skip -= piece.len();
    }
    None
}

/// The first argument in some row.
fn value_at(place: &Place, part: &mut Partition, here: (usize, &Batch), at: usize) -> Res<Datum> {
    let (start, rows) = here;
    if (start..start + rows.len).contains(&at) {
        return Ok(rows.columns[place.args[0]].get(at - start));
    }
    let (start, rows) = part.chunk(at)?;
    Ok(rows.columns[place.args[0]].get(at - start))
}

/// LAG and LEAD.
fn shift(
    place: &Place,
    part: &mut Partition,
    here: (usize, &Batch),
    row: usize,
    direction: i64,
) -> Res<Datum> {
    let arg = |i: usize| {
        let column = place.args.get(i)?;
        Some(here.1.columns[*column].get(row - here.0))
    };
    let offset = match arg(1) {
        None => 1,
        Some(Datum::Int(n)) => n,
        Some(_) => return Ok(Datum::Null),
    };
    let at = (row as i64).saturating_add(offset.saturating_mul(direction));
    match usize::try_from(at).ok().filter(|&at| at < part.len()) {
        Some(at) => value_at(place, part, here, at),
        None => Ok(arg(2).unwrap_or_default()),
    }
}
