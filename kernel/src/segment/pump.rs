//! When redo goes out. What somebody waits for goes at once when nothing is under way, else when that is durable: commits gather
//! meanwhile. What nobody waits for yet goes with it, or when much has gathered.

use super::memory::Bytes;
use crate::base::Lsn;
use std::collections::VecDeque;

/// With a flush under way, another one goes out only when it is at least this long.
pub const GATHER_BYTES: u64 = 32 << 10;
const UNDER_WAY_MAX: usize = 16;

#[derive(Debug)]
pub struct Pump {
    /// Redo below this is to go out as soon as it may.
    wanted: Lsn,
    vdl: Lsn,
    /// Flushes above VDL, oldest first: where each ends, and its message.
    unacknowledged: VecDeque<(Lsn, Bytes)>,
}

impl Pump {
    pub fn new(vdl: Lsn) -> Pump {
        Pump {
            wanted: Lsn::ZERO,
            vdl,
            unacknowledged: VecDeque::new(),
        }
    }

    /// Somebody waits for redo up to `lsn`.
    pub fn urge(&mut self, lsn: Lsn) {
        self.wanted = self.wanted.max(lsn);
    }

    /// Whether anybody waits for redo after `taken`.
    pub fn is_wanted(&self, taken: Lsn) -> bool {
        self.wanted > taken
    }

    /// Is a flush to go out now, with the last one ending at `taken` and the redo at `tail`?
    pub fn is_due(&self, taken: Lsn, tail: Lsn) -> bool {
        let under_way = self.unacknowledged.len();
        (under_way == 0 && self.is_wanted(taken))
            || (under_way < UNDER_WAY_MAX && tail.0.saturating_sub(taken.0) >= GATHER_BYTES)
    }

    /// A flush is on its way.
    pub fn sent(&mut self, end: Lsn, message: Bytes) {
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
    fn no_more_than_some_flushes_are_under_way() {
        let mut pump = Pump::new(Lsn(0));
        for end in 1..=UNDER_WAY_MAX as u64 {
            assert!(pump.is_due(Lsn(0), Lsn(GATHER_BYTES)));
            pump.sent(Lsn(end), message());
        }
        assert!(!pump.is_due(Lsn(0), Lsn(GATHER_BYTES)));
    }
}
