//! Quorum arithmetic: from acknowledged SCLs to PGCL, VCL and VDL. Pure state, no waiting.
//!
//! VCL is not the least PGCL: an idle group must not hold the volume back. It passes a flush when every group of *that* flush
//! has it at quorum, and VCL has passed the flush before. Flushes end on CPLs, so VDL = VCL.

use crate::base::error::fail;
use crate::base::{GroupNo, Lsn, Res};
use ahash::AHashMap;
use std::collections::VecDeque;

/// `need` of these members. A membership change has two clauses at once, and both must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause {
    /// Bit i: member i belongs to the clause.
    pub members: u32,
    pub need: u32,
}

/// A write quorum: every clause must be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    pub clauses: Vec<Clause>,
}

impl Quorum {
    pub fn new(clauses: Vec<Clause>) -> Res<Quorum> {
        let sound =
            |clause: &Clause| clause.need >= 1 && clause.need <= clause.members.count_ones();
        if clauses.is_empty() || !clauses.iter().all(sound) {
            return fail(
                "22023",
                "a quorum needs clauses that their members can meet",
            );
        }
        Ok(Quorum { clauses })
    }

    /// `need` of the first `members`.
    pub fn simple(members: u32, need: u32) -> Res<Quorum> {
        Quorum::new(vec![Clause {
            members: (1u32 << members.min(31)) - 1,
            need,
        }])
    }

    /// The highest LSN that a quorum has completely.
    pub fn reached(&self, scls: &[Lsn]) -> Lsn {
        let mut all = Lsn::MAX;
        for clause in &self.clauses {
            let mut have: Vec<Lsn> = scls
                .iter()
                .enumerate()
                .filter(|(i, _)| clause.members >> i & 1 == 1)
                .map(|(_, &scl)| scl)
                .collect();
            have.sort_unstable_by(|a, b| b.cmp(a));
            all = all.min(
                have.get(clause.need as usize - 1)
                    .copied()
                    .unwrap_or(Lsn::ZERO),
            );
        }
        all
    }
}

#[derive(Debug, Clone)]
struct Group {
    scls: Vec<Lsn>,
    pgcl: Lsn,
    /// End of the group's last batch at or below VCL: what a segment must have to serve reads at VCL.
    tail: Lsn,
    /// Sequence numbers and ends of this group's flushes above PGCL, in order.
    waiting: VecDeque<(u64, Lsn)>,
}

#[derive(Debug)]
struct Flush {
    end: Lsn,
    groups: Vec<GroupNo>,
    /// Groups that do not have it at quorum yet.
    left: usize,
}

/// Follows the flushes that are under way. Memory and work grow with what is outstanding and with groups that were ever
/// written to, never with the volume's size.
#[derive(Debug)]
pub struct Tracker {
    quorum: Quorum,
    members: usize,
    groups: AHashMap<GroupNo, Group>,
    flushes: VecDeque<Flush>,
    /// Sequence number of the first of `flushes`.
    first: u64,
    vcl: Lsn,
    /// End of the last flush that was told.
    sent: Lsn,
}

impl Tracker {
    /// `vcl`: where recovery left the volume; everything at or below it is at quorum.
    pub fn new(quorum: Quorum, members: usize, vcl: Lsn) -> Tracker {
        Tracker {
            quorum,
            members,
            groups: AHashMap::new(),
            flushes: VecDeque::new(),
            first: 0,
            vcl,
            sent: vcl,
        }
    }

    pub fn vcl(&self) -> Lsn {
        self.vcl
    }

    pub fn sent(&self) -> Lsn {
        self.sent
    }

    pub fn outstanding(&self) -> usize {
        self.flushes.len()
    }

    pub fn pgcl(&self, group: GroupNo) -> Lsn {
        self.groups.get(&group).map_or(Lsn::ZERO, |g| g.pgcl)
    }

    /// What a segment of this group must have before it may serve reads at VCL.
    pub fn tail(&self, group: GroupNo) -> Lsn {
        self.groups.get(&group).map_or(Lsn::ZERO, |g| g.tail)
    }

    pub fn tails(&self) -> Vec<(GroupNo, Lsn)> {
        let mut all: Vec<_> = self
            .groups
            .iter()
            .map(|(&group, state)| (group, state.tail))
            .collect();
        all.sort_unstable();
        all
    }

    pub fn scls(&self, group: GroupNo) -> Vec<Lsn> {
        self.groups
            .get(&group)
            .map_or_else(|| vec![Lsn::ZERO; self.members], |g| g.scls.clone())
    }

    fn group(&mut self, group: GroupNo) -> &mut Group {
        let members = self.members;
        self.groups.entry(group).or_insert_with(|| Group {
            scls: vec![Lsn::ZERO; members],
            pgcl: Lsn::ZERO,
            tail: Lsn::ZERO,
            waiting: VecDeque::new(),
        })
    }

    /// After recovery: the group's last batch, which is at quorum.
    pub fn set_tail(&mut self, group: GroupNo, tail: Lsn) {
        let state = self.group(group);
        state.tail = tail;
        state.pgcl = state.pgcl.max(tail);
    }

    /// A flush is on its way. Flushes must be told in stream order, each once, before their acknowledgements.
    pub fn flush(&mut self, start: Lsn, end: Lsn, groups: &[GroupNo]) -> Res<()> {
        if start != self.sent || end <= start || groups.is_empty() {
            return fail(
                "XX000",
                format!("flush [{start}, {end}) does not follow {}", self.sent),
            );
        }
        let number = self.first + self.flushes.len() as u64;
        for &group in groups {
            self.group(group).waiting.push_back((number, end));
        }
        self.flushes.push_back(Flush {
            end,
            groups: groups.to_vec(),
            left: groups.len(),
        });
        self.sent = end;
        Ok(())
    }

    /// A member's SCL rose (an acknowledgement). Lower ones than known are old news. True when VCL moved.
    pub fn ack(&mut self, member: usize, group: GroupNo, scl: Lsn) -> bool {
        if member >= self.members {
            return false;
        }
        let state = self.group(group);
        match state.scls.get_mut(member) {
            Some(known) if *known < scl => *known = scl,
            _ => return false,
        }
        self.settle(group)
    }

    /// An acknowledgement as it stands in its message: (group u32, SCL u64)*, little-endian. True when VCL moved.
    pub fn ack_all(&mut self, member: usize, entries: &[u8]) -> bool {
        let mut moved = false;
        for entry in entries.chunks_exact(12) {
            let (group, scl) = entry.split_at(4);
            if let (Ok(group), Ok(scl)) = (group.try_into(), scl.try_into()) {
                moved |= self.ack(
                    member,
                    GroupNo(u32::from_le_bytes(group)),
                    Lsn(u64::from_le_bytes(scl)),
                );
            }
        }
        moved
    }

    /// What a member says it has when it connects: replaces what was known, be it lower (it lost its disk). PGCL never falls.
    pub fn set_scl(&mut self, member: usize, group: GroupNo, scl: Lsn) -> bool {
        let state = self.group(group);
        if let Some(known) = state.scls.get_mut(member) {
            *known = scl;
        }
        self.settle(group)
    }

    fn settle(&mut self, group: GroupNo) -> bool {
        let Some(state) = self.groups.get_mut(&group) else {
            return false;
        };
        let reached = self.quorum.reached(&state.scls);
        if reached <= state.pgcl {
            return false;
        }
        state.pgcl = reached;
        while let Some(&(number, end)) = state.waiting.front() {
            if end > reached {
                break;
            }
            state.waiting.pop_front();
            if let Some(flush) = self.flushes.get_mut((number - self.first) as usize) {
                flush.left -= 1;
            }
        }
        self.advance()
    }

    fn advance(&mut self) -> bool {
        let before = self.vcl;
        while self.flushes.front().is_some_and(|flush| flush.left == 0) {
            let Some(flush) = self.flushes.pop_front() else {
                break;
            };
            self.first += 1;
            self.vcl = flush.end;
            for group in flush.groups {
                if let Some(state) = self.groups.get_mut(&group) {
                    state.tail = flush.end;
                }
            }
        }
        self.vcl != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tracker() -> Tracker {
        Tracker::new(Quorum::simple(6, 4).unwrap(), 6, Lsn(100))
    }

    #[test]
    fn a_quorum_is_the_fourth_highest_of_six() {
        let scls = |list: &[u64]| list.iter().map(|&n| Lsn(n)).collect::<Vec<_>>();
        let q = Quorum::simple(6, 4).unwrap();
        assert_eq!(q.reached(&scls(&[9, 8, 7, 6, 5, 4])), Lsn(6));
        assert_eq!(q.reached(&scls(&[9, 9, 9, 0, 0, 0])), Lsn(0));
        assert_eq!(
            Quorum::simple(3, 2).unwrap().reached(&scls(&[1, 2, 3])),
            Lsn(2)
        );
        assert_eq!(Quorum::simple(1, 1).unwrap().reached(&scls(&[3])), Lsn(3));
        assert!(Quorum::simple(3, 4).is_err());
        assert!(Quorum::new(vec![]).is_err());
    }

    #[test]
    fn a_joint_quorum_needs_both_sets() {
        // ABCDEF and ABCDEG, four of each.
        let q = Quorum::new(vec![
            Clause {
                members: 0b0111111,
                need: 4,
            },
            Clause {
                members: 0b1011111,
                need: 4,
            },
        ])
        .unwrap();
        let with = |have: u32| {
            (0..7)
                .map(|i| Lsn(u64::from(have >> i & 1)))
                .collect::<Vec<_>>()
        };
        for have in 0..128u32 {
            let old = (have & 0b0111111).count_ones() >= 4;
            let new = (have & 0b1011111).count_ones() >= 4;
            assert_eq!(q.reached(&with(have)) == Lsn(1), old && new, "{have:b}");
        }
    }

    #[test]
    fn vcl_is_not_the_least_pgcl() {
        // A18, figure 3: odd LSNs 101 and 103 go to group 1, even ones 102 and 104 to group 2, 105 and 106 short of quorum.
        let mut t = tracker();
        for (start, group) in [(100, 1), (101, 2), (102, 1), (103, 2), (104, 1), (105, 2)] {
            t.flush(Lsn(start), Lsn(start + 1), &[GroupNo(group)])
                .unwrap();
        }
        for member in 0..4 {
            t.ack(member, GroupNo(1), Lsn(103));
            t.ack(member, GroupNo(2), Lsn(104));
        }
        for member in 0..3 {
            t.ack(member, GroupNo(1), Lsn(105));
            t.ack(member, GroupNo(2), Lsn(106));
        }
        assert_eq!(
            (t.pgcl(GroupNo(1)), t.pgcl(GroupNo(2)), t.vcl()),
            (Lsn(103), Lsn(104), Lsn(104))
        );
        assert_eq!(
            (t.tail(GroupNo(1)), t.tail(GroupNo(2))),
            (Lsn(103), Lsn(104))
        );
    }

    #[test]
    fn a_hole_in_one_group_holds_later_flushes_of_others() {
        let mut t = tracker();
        t.flush(Lsn(100), Lsn(110), &[GroupNo(0), GroupNo(1)])
            .unwrap();
        t.flush(Lsn(110), Lsn(120), &[GroupNo(1)]).unwrap();
        for member in 0..6 {
            t.ack(member, GroupNo(1), Lsn(120));
        }
        assert_eq!(
            (t.vcl(), t.pgcl(GroupNo(1)), t.tail(GroupNo(1))),
            (Lsn(100), Lsn(120), Lsn(0))
        );
        for member in 1..4 {
            assert!(!t.ack(member, GroupNo(0), Lsn(110)));
        }
        assert!(t.ack(5, GroupNo(0), Lsn(110)));
        assert_eq!((t.vcl(), t.outstanding()), (Lsn(120), 0));
    }

    #[test]
    fn a_member_that_lost_its_disk_counts_no_more() {
        let mut t = tracker();
        t.flush(Lsn(100), Lsn(110), &[GroupNo(0)]).unwrap();
        for member in 0..3 {
            t.ack(member, GroupNo(0), Lsn(110));
        }
        t.set_scl(0, GroupNo(0), Lsn(0));
        assert!(!t.ack(4, GroupNo(0), Lsn(110)));
        assert!(t.ack(5, GroupNo(0), Lsn(110)));
    }

    #[test]
    fn flushes_out_of_order_are_refused() {
        let mut t = tracker();
        assert!(t.flush(Lsn(101), Lsn(110), &[GroupNo(0)]).is_err());
        assert!(t.flush(Lsn(100), Lsn(100), &[GroupNo(0)]).is_err());
        assert!(t.flush(Lsn(100), Lsn(110), &[]).is_err());
    }

    proptest! {
        /// Against the definition, after every single acknowledgement in any order.
        #[test]
        fn vcl_is_what_its_definition_says(
            flushes in prop::collection::vec(prop::collection::btree_set(0u32..4, 1..3), 1..12),
            acks in prop::collection::vec((0usize..6, 0usize..12), 0..200),
        ) {
            let mut t = Tracker::new(Quorum::simple(6, 4).unwrap(), 6, Lsn(0));
            for (i, groups) in flushes.iter().enumerate() {
                let groups: Vec<GroupNo> = groups.iter().map(|&g| GroupNo(g)).collect();
                t.flush(Lsn(i as u64), Lsn(i as u64 + 1), &groups).unwrap();
            }
            let mut scls = [[0u64; 6]; 4];
            for (member, upto) in acks {
                let Some(groups) = flushes.get(upto) else { continue };
                for &group in groups {
                    let scl = upto as u64 + 1;
                    scls[group as usize][member] = scls[group as usize][member].max(scl);
                    t.ack(member, GroupNo(group), Lsn(scl));
                    let complete = |i: usize| flushes[i].iter().all(|&g| {
                        scls[g as usize].iter().filter(|&&scl| scl > i as u64).count() >= 4
                    });
                    let vcl = (0..flushes.len()).take_while(|&i| complete(i)).count() as u64;
                    prop_assert_eq!(t.vcl(), Lsn(vcl));
                }
            }
        }
    }
}
