//! What joins that look at a left batch beside right rows owe for each of its rows.

use crate::base::error::fail;
use crate::base::Res;
use crate::exec::batch::{Batch, Vector};
use crate::exec::plan::JoinKind;

/// In a list of right rows: there is none.
pub const NONE: u32 = u32::MAX;

/// Which rows of the left batch have met a partner.
#[derive(Default)]
pub struct Matched {
    pub rows: Vec<bool>,
    /// Left rows below this have been put out.
    closed: usize,
}

impl Matched {
    pub fn new(len: usize) -> Matched {
        Matched {
            rows: vec![false; len],
            closed: 0,
        }
    }

    /// More partners may come with another part of the right side: `partners` puts out no row as lonely.
    pub fn keep_lonely(&mut self) {
        self.closed = self.rows.len();
    }

    /// These pairs have passed all conditions. Answers what is to be put out, in the left side's order: left rows without a partner
    /// come with `NONE` where the kind of join keeps them. Pairs come in the left side's order, all of one row before the next row's.
    pub fn partners(
        &mut self,
        kind: JoinKind,
        left: &[u32],
        right: &[u32],
    ) -> Res<(Vec<u32>, Vec<u32>)> {
        let mut out_left = Vec::with_capacity(left.len());
        let mut out_right = Vec::with_capacity(left.len());
        for (&l, &r) in left.iter().zip(right) {
            let seen = std::mem::replace(&mut self.rows[l as usize], true);
            match kind {
                JoinKind::Semi | JoinKind::Anti | JoinKind::NullAnti | JoinKind::Mark => continue,
                JoinKind::Scalar if seen => {
                    return fail(
                        "21000",
                        "more than one row returned by a subquery used as an expression",
                    )
                }
                JoinKind::Left | JoinKind::Full | JoinKind::Scalar => {
                    while self.closed < l as usize {
                        if !self.rows[self.closed] {
                            out_left.push(self.closed as u32);
                            out_right.push(NONE);
                        }
                        self.closed += 1;
                    }
                }
                _ => {}
            }
            out_left.push(l);
            out_right.push(r);
        }
        Ok((out_left, out_right))
    }

    /// All pairs are done: rows without a partner that are still to be put out.
    pub fn lonely(&self) -> Vec<u32> {
        (self.closed as u32..self.rows.len() as u32)
            .filter(|&i| !self.rows[i as usize])
            .collect()
    }

    /// Rows that have a partner, or that have none.
    pub fn chosen(&self, partner: bool) -> Vec<u32> {
        (0..self.rows.len() as u32)
            .filter(|&i| self.rows[i as usize] == partner)
            .collect()
    }
}

/// Pairs of rows as a batch. Columns that nobody above wants hold anything (`wanted`, empty: all are).
pub fn joined(
    wanted: &[bool],
    left: &Batch,
    left_rows: &[u32],
    right: &Batch,
    right_rows: &[u32],
) -> Batch {
    let len = left_rows.len();
    let wanted = |at: usize| wanted.get(at).copied().unwrap_or(true);
    let unwanted = || Vector::Bool(vec![false; len], Vec::new());
    let mut columns = Vec::with_capacity(left.columns.len() + right.columns.len());
    for (from, rows) in [(left, left_rows), (right, right_rows)] {
        for column in &from.columns {
            columns.push(match wanted(columns.len()) {
                true => column.gather_or_null(rows),
                false => unwanted(),
            });
        }
    }
    Batch { columns, len }
}
