//! Who waits for whom, and rings of sessions that wait for each other.

use super::{State, Waiting};
use crate::base::{SessionId, SqlError};
use crate::txn::modes::{conflicts, name};
use ahash::AHashMap;

impl State {
    /// The sessions that `session` waits for: holders in its way, and those before it in the queue that conflict.
    pub(super) fn edges(&self, session: SessionId, out: &mut Vec<SessionId>) {
        match self.waiting.get(&session) {
            None => {}
            Some(Waiting::Xid(_, owner)) => out.push(*owner),
            Some(Waiting::Key(key, mode)) => {
                let Some(entry) = self.entries.get(key) else {
                    return;
                };
                let mask = conflicts(key, *mode);
                out.extend(
                    entry
                        .holders
                        .iter()
                        .filter(|h| h.session != session && h.bits() & mask != 0)
                        .map(|h| h.session),
                );
                let before = entry.queue.iter().take_while(|w| w.session != session);
                out.extend(
                    before
                        .filter(|w| mask & (1 << w.mode) != 0)
                        .map(|w| w.session),
                );
            }
        }
    }

    /// A ring of waiting sessions through `start`, beginning with it.
    pub(super) fn find_ring(&self, start: SessionId) -> Option<Vec<SessionId>> {
        let mut path: Vec<(SessionId, Vec<SessionId>)> = Vec::new();
        let mut seen: AHashMap<SessionId, ()> = AHashMap::new();
        let mut first = Vec::new();
        self.edges(start, &mut first);
        path.push((start, first));
        loop {
            let next = path.last_mut()?.1.pop();
            match next {
                None => {
                    path.pop();
                }
                Some(session) if session == start => {
                    return Some(path.into_iter().map(|(s, _)| s).collect())
                }
                Some(session) => {
                    if seen.insert(session, ()).is_none() {
                        let mut edges = Vec::new();
                        self.edges(session, &mut edges);
                        path.push((session, edges));
                    }
                }
            }
        }
    }

    pub(super) fn deadlock(&self, ring: &[SessionId]) -> Box<SqlError> {
        let mut lines = Vec::new();
        for (index, session) in ring.iter().enumerate() {
            let blocker = ring
                .get(index + 1)
                .or(ring.first())
                .copied()
                .unwrap_or(*session);
            let what = match self.waiting.get(session) {
                Some(Waiting::Key(key, mode)) => format!("{} on {key}", name(key, *mode)),
                Some(Waiting::Xid(xid, _)) => format!("ShareLock on transaction {xid}"),
                None => continue,
            };
            lines.push(format!(
                "Process {session} waits for {what}; blocked by process {blocker}."
            ));
        }
        SqlError::new("40P01", "deadlock detected")
            .detail(lines.join("\n"))
            .hint("See server log for query details.")
    }
}
