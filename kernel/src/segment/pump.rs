//! When redo goes out. What somebody waits for goes at once when nothing is under way, else when that is durable: commits gather
//! meanwhile. What nobody waits for yet goes with it, or when much has gathered.

use super::memory::Bytes;
use crate::base::Lsn;
use std::collections::VecDeque;

/// With a flush under way, another one goes out only when it is at least this long.
pub const GATHER_BYTES: u64 = 32 << 10;
const UNDER_WAY_MAX: usize = 16;
/// With so many transactions at work a flush waits for more commits: six copies write and sync it, which costs more than a short
/// wait (PostgreSQL's commit_siblings).
const SIBLINGS: usize = 5;

#[derive(Debug)]
pub struct Pump {
    /// Redo below this is to go out as soon as it may.
    wanted: Lsn,
    vdl: Lsn,
    /// How many have come to wait since the last flush, and how many came to wait for that one.
    waiting: usize,
    before: usize,
    /// So many are waited for.
    goal: usize,
    hurried: bool,
    /// Flushes above VDL, oldest first: where each ends, and its message.
    unacknowledged: VecDeque<(Lsn, Bytes)>,
}

impl Pump {
    pub fn new(vdl: Lsn) -> Pump {
        Pump {
            wanted: Lsn::ZERO,
            vdl,
            waiting: 0,
            before: 0,
            goal: 0,
            hurried: false,
            unacknowledged: VecDeque::new(),
        }
    }

    /// Somebody waits for redo up to `lsn`.
    pub fn urge(&mut self, lsn: Lsn) {
        if lsn > self.wanted {
            self.wanted = lsn;
            self.waiting += 1;
        }
    }

    /// So many transactions are at work: half of them are worth waiting for, when as many have come nearly so fast before.
    /// It only matters when nothing is under way.
    pub fn gather(&mut self, at_work: usize) {
        let worth = at_work >= SIBLINGS && self.before > 1 && !self.hurried;
        self.goal = match worth {
            true => (at_work / 2).min(self.before + 1),
            false => 0,
        };
    }

    /// The next flush has been waited for.
    pub fn hurry(&mut self) {
        (self.hurried, self.goal) = (true, 0);
    }

    /// Does somebody wait only for others to come?
    pub fn is_held(&self, taken: Lsn) -> bool {
        self.unacknowledged.is_empty() && self.is_wanted(taken) && self.waiting < self.goal
    }

    /// Whether anybody waits for redo after `taken`.
    pub fn is_wanted(&self, taken: Lsn) -> bool {
        self.wanted > taken
    }

    /// Is a flush to go out now, with the last one ending at `taken` and the redo at `tail`?
    pub fn is_due(&self, taken: Lsn, tail: Lsn) -> bool {
        let under_way = self.unacknowledged.len();
        (under_way == 0 && self.is_wanted(taken) && self.waiting >= self.goal)
            || (under_way < UNDER_WAY_MAX && tail.0.saturating_sub(taken.0) >= GATHER_BYTES)
    }

    /// A flush is on its way.
    pub fn sent(&mut self, end: Lsn, message: Bytes) {
        self.cutting();
        self.cut(end, message);
    }

    /// A flush is being made: who comes now waits for the next one.
    pub fn cutting(&mut self) {
        (self.before, self.waiting) = (self.waiting, 0);
        (self.goal, self.hurried) = (0, false);
    }

    /// It has been made.
    pub fn cut(&mut self, end: Lsn, message: Bytes) {
        self.unacknowledged.push_back((end, message));
    }

    /// A quorum has everything up to `vcl`. True when that is news.
    pub fn moved(&mut self, vcl: Lsn) -> bool {
        if vcl <= self.vdl {
            return false;
        }
        self.vdl = vcl;
        while self
            .unacknowledged
            .front()
            .is_some_and(|(end, _)| *end <= vcl)
        {
            self.unacknowledged.pop_front();
        }
        true
    }

    pub fn vdl(&self) -> Lsn {
        self.vdl
    }

    pub fn outstanding(&self) -> impl Iterator<Item = &Bytes> {
        self.unacknowledged.iter().map(|(_, message)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Bytes {
        Bytes::new(vec![b'B'])
    }

    #[test]
    fn what_somebody_waits_for_goes_when_nothing_is_under_way_or_much_has_gathered() {
        let mut pump = Pump::new(Lsn(100));
        assert!(!pump.is_due(Lsn(100), Lsn(900)), "nobody waits");
        pump.urge(Lsn(500));
        assert!(pump.is_due(Lsn(100), Lsn(900)));
        pump.sent(Lsn(900), message());
        pump.urge(Lsn(1000));
        assert!(!pump.is_due(Lsn(900), Lsn(1000)), "one is under way");
        assert!(pump.is_due(Lsn(900), Lsn(900 + GATHER_BYTES)));
        pump.sent(Lsn(2000), message());
        assert!(pump.moved(Lsn(900)) && !pump.moved(Lsn(900)));
        assert_eq!(pump.outstanding().count(), 1);
        assert!(pump.moved(Lsn(2000)));
        assert!(
            !pump.is_due(Lsn(2000), Lsn(2100)),
            "all that was wanted is out"
        );
        pump.urge(Lsn(2100));
        assert!(pump.is_due(Lsn(2000), Lsn(2100)));
    }

    #[test]
    fn who_comes_while_a_flush_is_cut_waits_for_the_next_one() {
        let mut pump = Pump::new(Lsn(0));
        pump.urge(Lsn(1));
        pump.urge(Lsn(2));
        pump.cutting();
        pump.urge(Lsn(9));
        pump.cut(Lsn(2), message());
        assert_eq!((pump.before, pump.waiting), (2, 1));
        assert!(pump.moved(Lsn(2)) && pump.is_due(Lsn(2), Lsn(9)));
    }

    /// Whether a flush is due at once that `waiting` wait for, after one that `before` waited for.
    fn due(before: u64, waiting: u64, at_work: usize) -> bool {
        let mut pump = Pump::new(Lsn(0));
        (0..before).for_each(|lsn| pump.urge(Lsn(lsn + 1)));
        let (taken, tail) = (Lsn(before), Lsn(before + waiting));
        pump.sent(taken, message());
        pump.moved(taken);
        (taken.0..tail.0).for_each(|lsn| pump.urge(Lsn(lsn + 1)));
        pump.gather(at_work);
        let (due, held) = (pump.is_due(taken, tail), pump.is_held(taken));
        assert_ne!(due, held);
        pump.hurry();
        pump.gather(at_work);
        assert!(
            pump.is_due(taken, tail) && !pump.is_held(taken),
            "it has been waited for"
        );
        due
    }

    #[test]
    fn a_flush_waits_for_half_of_those_at_work_when_nearly_as_many_went_with_the_last_one() {
        assert!(due(1, 1, 8), "no two went together");
        assert!(!due(2, 1, 8) && !due(2, 2, 8), "one more than before");
        assert!(due(2, 3, 8));
        assert!(!due(7, 3, 8) && due(7, 4, 8), "half of those at work");
        assert!(due(2, 1, 4), "few are at work");
    }

    #[test]
    fn no_more_than_some_flushes_are_under_way() {
        let mut pump = Pump::new(Lsn(0));
        for end in 1..=UNDER_WAY_MAX as u64 {
            assert!(pump.is_due(Lsn(0), Lsn(GATHER_BYTES)));
            pump.sent(Lsn(end), message());
        }
        assert!(!pump.is_due(Lsn(0), Lsn(GATHER_BYTES)));
    }
}
