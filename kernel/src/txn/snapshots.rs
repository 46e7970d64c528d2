//! Snapshots in use. What they need is never pruned: the horizon is the lowest of them, and never above what is durable.

use crate::base::Lsn;
use parking_lot::Mutex;
use std::collections::BTreeMap;

#[derive(Debug)]
struct State {
    used: BTreeMap<Lsn, usize>,
    /// The lowest snapshot of readers elsewhere.
    external: Lsn,
}

#[derive(Debug)]
pub struct Snapshots {
    state: Mutex<State>,
}

impl Default for Snapshots {
    fn default() -> Snapshots {
        Snapshots {
            state: Mutex::new(State {
                used: BTreeMap::new(),
                external: Lsn::MAX,
            }),
        }
    }
}

impl Snapshots {
    /// Take what `durable` says under the lock, so that no horizon computed meanwhile is above it.
    pub fn take(&self, durable: impl FnOnce() -> Lsn) -> Lsn {
        let mut state = self.state.lock();
        let lsn = durable();
        *state.used.entry(lsn).or_insert(0) += 1;
        lsn
    }

    /// One more use of a snapshot that is in use already (an exported one, a cursor's).
    pub fn share(&self, lsn: Lsn) {
        *self.state.lock().used.entry(lsn).or_insert(0) += 1;
    }

    pub fn release(&self, lsn: Lsn) {
        let mut state = self.state.lock();
        if let Some(count) = state.used.get_mut(&lsn) {
            *count -= 1;
            if *count == 0 {
                state.used.remove(&lsn);
            }
        }
    }

    /// The lowest snapshot used in this process; what `durable` says when there is none.
    pub fn local(&self, durable: impl FnOnce() -> Lsn) -> Lsn {
        let state = self.state.lock();
        state.used.keys().next().copied().unwrap_or_else(durable)
    }

    /// The lowest snapshot used anywhere.
    pub fn horizon(&self, durable: impl FnOnce() -> Lsn) -> Lsn {
        let state = self.state.lock();
        let local = state.used.keys().next().copied().unwrap_or_else(durable);
        local.min(state.external)
    }

    pub fn set_external(&self, lsn: Lsn) {
        self.state.lock().external = lsn;
    }

    pub fn count(&self) -> usize {
        self.state.lock().used.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_horizon_is_the_lowest_in_use() {
        let snapshots = Snapshots::default();
        assert_eq!(snapshots.horizon(|| Lsn(90)), Lsn(90));
        let a = snapshots.take(|| Lsn(40));
        snapshots.share(a);
        snapshots.take(|| Lsn(60));
        assert_eq!(snapshots.horizon(|| Lsn(90)), Lsn(40));
        snapshots.set_external(Lsn(30));
        assert_eq!(snapshots.horizon(|| Lsn(90)), Lsn(30));
        assert_eq!(snapshots.local(|| Lsn(90)), Lsn(40));
        snapshots.set_external(Lsn::MAX);
        snapshots.release(a);
        assert_eq!(snapshots.horizon(|| Lsn(90)), Lsn(40));
        snapshots.release(a);
        assert_eq!(snapshots.horizon(|| Lsn(90)), Lsn(60));
        assert_eq!(snapshots.count(), 1);
    }
}
