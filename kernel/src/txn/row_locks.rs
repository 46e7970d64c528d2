//! Row locks that nobody waits for, in a few bits each: by table and range of row ids, for each session and mode the set of rows. What a
//! transaction has locked, in order, is a list of differences, of a byte or a few each.

use super::modes::row;
use crate::base::{varint, Oid, RowId, SessionId};
use ahash::AHashMap;
use smallvec::SmallVec;

/// Row ids of one range: 1 << so many.
const RANGE_BITS: u32 = 10;
const WORDS: usize = 1 << (RANGE_BITS - 6);
/// So many numbers take no more than the bits.
const FEW: usize = 64;

type Range = (Oid, u64);

fn place(oid: Oid, id: RowId) -> (Range, u16) {
    let within = id.0 & ((1 << RANGE_BITS) - 1);
    ((oid, id.0 >> RANGE_BITS), within as u16)
}

/// Some of the rows of a range.
#[derive(Debug)]
enum Set {
    /// They rise.
    Few(SmallVec<[u16; 4]>),
    Bits(Box<[u64; WORDS]>),
}

/// The word and the bit of a row.
fn bit(row: u16) -> (usize, u64) {
    (usize::from(row >> 6), 1 << (row & 63))
}

impl Set {
    fn has(&self, row: u16) -> bool {
        match self {
            Set::Few(rows) => rows.binary_search(&row).is_ok(),
            Set::Bits(words) => {
                let (word, bit) = bit(row);
                words.get(word).is_some_and(|w| w & bit != 0)
            }
        }
    }

    /// Was it new?
    fn add(&mut self, row: u16) -> bool {
        if let Set::Few(rows) = self {
            let Err(at) = rows.binary_search(&row) else {
                return false;
            };
            if rows.len() < FEW {
                rows.insert(at, row);
                return true;
            }
            let mut words = Box::new([0; WORDS]);
            for (word, bit) in rows.iter().map(|&row| bit(row)) {
                if let Some(w) = words.get_mut(word) {
                    *w |= bit;
                }
            }
            *self = Set::Bits(words);
        }
        self.flip(row, true)
    }

    /// Was it there?
    fn remove(&mut self, row: u16) -> bool {
        match self {
            Set::Few(rows) => {
                let found = rows.binary_search(&row);
                found.map(|at| rows.remove(at)).is_ok()
            }
            Set::Bits(_) => self.flip(row, false),
        }
    }

    fn flip(&mut self, row: u16, on: bool) -> bool {
        let (word, bit) = bit(row);
        match self {
            Set::Bits(words) => match words.get_mut(word) {
                Some(w) if (*w & bit != 0) != on => {
                    *w ^= bit;
                    true
                }
                _ => false,
            },
            Set::Few(_) => false,
        }
    }

    fn len(&self) -> usize {
        match self {
            Set::Few(rows) => rows.len(),
            Set::Bits(words) => words.iter().map(|w| w.count_ones() as usize).sum(),
        }
    }
}

/// Rows of a range that one session holds in one mode.
#[derive(Debug)]
struct Share {
    session: SessionId,
    mode: u8,
    rows: Set,
}

/// How `RowLocks::take` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Already,
    New,
    Conflict,
}

#[derive(Debug, Default)]
pub struct RowLocks {
    ranges: AHashMap<Range, SmallVec<[Share; 1]>>,
}

impl RowLocks {
    /// Take `mode` on a row, unless another session has it in one of the modes that `conflicts` names by bits.
    pub fn take(
        &mut self,
        session: SessionId,
        oid: Oid,
        id: RowId,
        mode: u8,
        conflicts: u16,
    ) -> Taken {
        let (range, row) = place(oid, id);
        let shares = self.ranges.entry(range).or_default();
        let mut own = None;
        for (at, share) in shares.iter().enumerate() {
            if share.session != session {
                if conflicts & (1 << share.mode) != 0 && share.rows.has(row) {
                    return Taken::Conflict;
                }
            } else if share.mode == mode {
                own = Some(at);
            }
        }
        match own.and_then(|at| shares.get_mut(at)) {
            Some(share) => match share.rows.add(row) {
                true => Taken::New,
                false => Taken::Already,
            },
            None => {
                shares.push(Share {
                    session,
                    mode,
                    rows: Set::Few(SmallVec::from_slice(&[row])),
                });
                Taken::New
            }
        }
    }

    /// Who has the row: sessions and bits of modes.
    pub fn holders(&self, oid: Oid, id: RowId) -> SmallVec<[(SessionId, u16); 2]> {
        let (range, row) = place(oid, id);
        let mut out: SmallVec<[(SessionId, u16); 2]> = SmallVec::new();
        for share in self.ranges.get(&range).into_iter().flatten() {
            if !share.rows.has(row) {
                continue;
            }
            match out.iter_mut().find(|(s, _)| *s == share.session) {
                Some((_, bits)) => *bits |= 1 << share.mode,
                None => out.push((share.session, 1 << share.mode)),
            }
        }
        out
    }

    /// Give one lock back; was it there?
    pub fn drop(&mut self, session: SessionId, oid: Oid, id: RowId, mode: u8) -> bool {
        let (range, row) = place(oid, id);
        let Some(shares) = self.ranges.get_mut(&range) else {
            return false;
        };
        let own = |s: &Share| s.session == session && s.mode == mode;
        let Some(at) = shares.iter().position(own) else {
            return false;
        };
        let Some(share) = shares.get_mut(at) else {
            return false;
        };
        let was = share.rows.remove(row);
        if share.rows.len() == 0 {
            shares.swap_remove(at);
        }
        if shares.is_empty() {
            self.ranges.remove(&range);
        }
        was
    }

    /// Give back all that a session has of ranges; how many locks. Nothing: of all.
    pub fn drop_all(&mut self, session: SessionId, ranges: Option<&Journal>) -> usize {
        let mut dropped = 0;
        let mut free = |shares: &mut SmallVec<[Share; 1]>| {
            shares.retain(|share| {
                let own = share.session == session;
                dropped += if own { share.rows.len() } else { 0 };
                !own
            });
            shares.is_empty()
        };
        match ranges {
            None => self.ranges.retain(|_, shares| !free(shares)),
            Some(journal) => {
                let mut last = None;
                for (oid, id, _) in journal.iter() {
                    let (range, _) = place(oid, id);
                    if last.replace(range) != Some(range)
                        && self.ranges.get_mut(&range).is_some_and(&mut free)
                    {
                        self.ranges.remove(&range);
                    }
                }
            }
        }
        if self.ranges.is_empty() {
            self.ranges = AHashMap::new();
        }
        dropped
    }

    /// What `session` has is `heir`'s, who has nothing.
    pub fn hand_over(&mut self, session: SessionId, heir: SessionId, journal: &Journal) {
        for (oid, id, _) in journal.iter() {
            let (range, _) = place(oid, id);
            let shares = self.ranges.get_mut(&range).into_iter().flatten();
            for share in shares.filter(|share| share.session == session) {
                share.session = heir;
            }
        }
    }

    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }
}

/// Rows that a transaction has locked, in order. Each: a byte with the mode, and whether the number of a table follows; the difference of row
/// ids as a varint, from 0 in another table.
#[derive(Debug, Default)]
pub struct Journal {
    bytes: Vec<u8>,
    last: Option<(Oid, RowId)>,
    rows: usize,
}

const MODE_BITS: u32 = 3;
const _: () = assert!(row::UPDATE < 1 << MODE_BITS);

impl Journal {
    pub fn push(&mut self, oid: Oid, id: RowId, mode: u8) {
        self.rows += 1;
        let from = match self.last {
            Some((last, from)) if last == oid => {
                self.bytes.push(mode);
                from
            }
            _ => {
                self.bytes.push(mode | 1 << MODE_BITS);
                varint::put(&mut self.bytes, u64::from(oid.0));
                RowId(0)
            }
        };
        let by = id.0.wrapping_sub(from.0) as i64;
        varint::put(&mut self.bytes, ((by << 1) ^ (by >> 63)) as u64);
        self.last = Some((oid, id));
    }

    /// A place to go back to: what comes next does not build on what was before.
    pub fn mark(&mut self) -> usize {
        self.last = None;
        self.bytes.len()
    }

    pub fn iter(&self) -> Entries<'_> {
        Entries {
            bytes: &self.bytes,
            at: 0,
            last: (Oid(0), RowId(0)),
        }
    }

    /// What came after the mark; it is here no more.
    pub fn split_off(&mut self, mark: usize) -> Journal {
        if mark == 0 {
            return std::mem::take(self);
        }
        let mut after = Journal {
            bytes: self.bytes.split_off(mark.min(self.bytes.len())),
            ..Journal::default()
        };
        after.rows = after.iter().count();
        self.rows -= after.rows;
        self.last = None;
        after
    }

    pub fn len(&self) -> usize {
        self.rows
    }
}

pub struct Entries<'j> {
    bytes: &'j [u8],
    at: usize,
    last: (Oid, RowId),
}

impl Iterator for Entries<'_> {
    type Item = (Oid, RowId, u8);

    fn next(&mut self) -> Option<(Oid, RowId, u8)> {
        let head = *self.bytes.get(self.at)?;
        self.at += 1;
        if head >> MODE_BITS != 0 {
            let oid = varint::get(self.bytes, &mut self.at).ok()?;
            self.last = (Oid(oid as u32), RowId(0));
        }
        let by = varint::get(self.bytes, &mut self.at).ok()?;
        let by = (by >> 1) ^ (by & 1).wrapping_neg();
        let id = RowId(self.last.1 .0.wrapping_add(by));
        self.last.1 = id;
        Some((self.last.0, id, head & ((1 << MODE_BITS) - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const S: SessionId = SessionId(7);

    #[test]
    fn a_journal_is_short_and_can_be_gone_back_in() {
        let mut journal = Journal::default();
        let rows = |from: u64, to: u64| (from..to).map(|n| (Oid(9), RowId(n), row::UPDATE));
        for (oid, id, mode) in rows(1 << 40, (1 << 40) + 100) {
            journal.push(oid, id, mode);
        }
        let mark = journal.mark();
        assert!(mark < 220, "{mark}");
        journal.push(Oid(u32::MAX), RowId(u64::MAX), row::KEY_SHARE);
        journal.push(Oid(9), RowId(0), row::SHARE);
        journal.push(Oid(9), RowId(u64::MAX), row::SHARE);
        let new = [
            (Oid(u32::MAX), RowId(u64::MAX), row::KEY_SHARE),
            (Oid(9), RowId(0), row::SHARE),
            (Oid(9), RowId(u64::MAX), row::SHARE),
        ];
        assert_eq!(journal.len(), 103);
        assert_eq!(journal.split_off(mark).iter().collect::<Vec<_>>(), new);
        assert_eq!(journal.len(), 100);
        journal.push(Oid(9), RowId(3), row::SHARE);
        let all = rows(1 << 40, (1 << 40) + 100).chain([(Oid(9), RowId(3), row::SHARE)]);
        assert!(journal.iter().eq(all));
    }

    proptest! {
        #[test]
        fn locks_are_what_a_plain_set_says(steps in prop::collection::vec((0u8..4, 0u64..3, 0u64..1500, 1u8..5), 1..600)) {
            let (mut locks, mut model) = (RowLocks::default(), BTreeSet::new());
            let oid = Oid(5);
            for (what, session, id, mode) in steps {
                let (session, id) = (SessionId(session), RowId(id));
                if what == 0 {
                    prop_assert_eq!(locks.drop(session, oid, id, mode), model.remove(&(session, id, mode)));
                    continue;
                }
                let mask = super::super::modes::conflicts(&super::super::modes::LockKey::Row(oid, id), mode);
                let foreign = model.iter().any(|&(s, i, m)| s != session && i == id && mask & (1 << m) != 0);
                let wanted = match () {
                    () if foreign => Taken::Conflict,
                    () if model.insert((session, id, mode)) => Taken::New,
                    () => Taken::Already,
                };
                prop_assert_eq!(locks.take(session, oid, id, mode, mask), wanted);
            }
            for id in (0..1500).map(RowId) {
                let mut found: Vec<_> = locks.holders(oid, id).into_vec();
                found.sort();
                for (session, bits) in found {
                    let own = model.iter().filter(|(s, i, _)| *s == session && *i == id);
                    prop_assert_eq!(bits, own.fold(0, |bits, (_, _, mode)| bits | 1 << mode));
                }
            }
            let own = model.iter().filter(|(s, ..)| *s == SessionId(1)).count();
            let mut journal = Journal::default();
            for &(_, id, mode) in model.iter().filter(|(s, ..)| *s == SessionId(1)) {
                journal.push(oid, id, mode);
            }
            prop_assert_eq!(locks.drop_all(SessionId(1), Some(&journal)), own);
            prop_assert_eq!(locks.drop_all(SessionId(0), None) + locks.drop_all(SessionId(2), None), model.len() - own);
            prop_assert_eq!(locks.ranges(), 0);
        }
    }

    #[test]
    fn many_rows_take_little() {
        let mut locks = RowLocks::default();
        for id in 0..100_000 {
            locks.take(S, Oid(1), RowId(id), row::SHARE, 0);
        }
        assert!(locks.ranges() < 100);
        assert_eq!(locks.drop_all(S, None), 100_000);
    }
}
