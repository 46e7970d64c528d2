//! Which version of a row a view sees, and whether a writer may change the row.
//!
//! Versions stand newest first; aborted ones can only be at the front, since every write drops those that it finds there.

use crate::base::{Lsn, Res, SessionId, Xid};
use crate::exec::access::View;
use crate::redo::version::{versions, Version, HISTORY};
use crate::txn::{Status, Txns};
use ahash::AHashMap;

/// What a view sees in a cell.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    Nothing,
    Row(Version<'a>),
    /// The answer is among the versions that were moved out.
    History,
}

/// What a xid means for one view; it never changes while the view lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Seen,
    Unseen,
    /// Own: commands below the view's are seen.
    Own,
}

/// A view, with what it has learnt about xids.
#[derive(Debug, Clone)]
pub struct Eyes {
    pub view: View,
    last: (Xid, Sight),
    known: AHashMap<Xid, Sight>,
}

impl Eyes {
    pub fn new(view: &View) -> Eyes {
        Eyes {
            view: view.clone(),
            last: (Xid::FROZEN, Sight::Seen),
            known: AHashMap::new(),
        }
    }

    #[inline]
    fn sight(&mut self, txns: &Txns, xid: Xid) -> Res<Sight> {
        if self.last.0 == xid {
            return Ok(self.last.1);
        }
        self.learn(txns, xid)
    }

    fn learn(&mut self, txns: &Txns, xid: Xid) -> Res<Sight> {
        let sight = match self.known.get(&xid) {
            Some(sight) => *sight,
            None => {
                let sight = match txns.status(xid)? {
                    Status::Running { session, .. } if session == self.view.session => Sight::Own,
                    Status::Running { csn: Some(csn), .. } | Status::Committed(csn)
                        if csn <= self.view.snapshot =>
                    {
                        Sight::Seen
                    }
                    _ => Sight::Unseen,
                };
                if self.known.len() >= 4096 {
                    self.known.clear();
                }
                self.known.insert(xid, sight);
                sight
            }
        };
        self.last = (xid, sight);
        Ok(sight)
    }

    /// The version of a cell that the view sees.
    #[inline]
    pub fn see<'a>(&mut self, txns: &Txns, cell: &'a [u8]) -> Res<Seen<'a>> {
        for version in versions(cell) {
            let version = version?;
            if version.flags & HISTORY != 0 {
                return Ok(Seen::History);
            }
            let seen = version.is_frozen()
                || match self.sight(txns, version.xid)? {
                    Sight::Seen => true,
                    Sight::Unseen => false,
                    Sight::Own => version.command < self.view.command,
                };
            if seen {
                return Ok(if version.is_deleted() {
                    Seen::Nothing
                } else {
                    Seen::Row(version)
                });
            }
        }
        Ok(Seen::Nothing)
    }
}

/// A writer's (or locker's) look at a row.
#[derive(Debug)]
pub enum Judged<'a> {
    /// The newest living version is the caller's to change.
    Free(Version<'a>),
    /// Deleted by `csn`, or never there.
    Gone { csn: Option<Lsn> },
    /// This very command has changed it.
    Own,
    /// Committed after what the caller has seen.
    Changed { version: Version<'a>, csn: Lsn },
    /// Of another transaction that has not ended.
    Busy { xid: Xid, session: SessionId },
    /// Everything before the moved-out versions has aborted: they must be brought back first.
    History,
}

/// How a row stands for `view`, which has accepted everything up to `accept`.
pub fn judge<'a>(txns: &Txns, view: &View, cell: &'a [u8], accept: Lsn) -> Res<Judged<'a>> {
    for version in versions(cell) {
        let version = version?;
        if version.flags & HISTORY != 0 {
            return Ok(Judged::History);
        }
        if version.is_frozen() {
            return Ok(if version.is_deleted() {
                Judged::Gone { csn: None }
            } else {
                Judged::Free(version)
            });
        }
        let status = match txns.status(version.xid)? {
            Status::Running {
                session,
                csn: Some(csn),
            } if session != view.session && view.passes(csn) => Status::Committed(csn),
            status => status,
        };
        return Ok(match status {
            Status::Aborted => continue,
            Status::Running { session, .. } if session == view.session => {
                if version.command >= view.command {
                    Judged::Own
                } else if version.is_deleted() {
                    Judged::Gone { csn: None }
                } else {
                    Judged::Free(version)
                }
            }
            Status::Running { session, .. } => Judged::Busy {
                xid: version.xid,
                session,
            },
            Status::Committed(csn) if version.is_deleted() => Judged::Gone {
                csn: (csn > accept && csn > view.seen()).then_some(csn),
            },
            Status::Committed(csn) if csn > accept && csn > view.seen() => {
                Judged::Changed { version, csn }
            }
            Status::Committed(_) => Judged::Free(version),
        });
    }
    Ok(Judged::Gone { csn: None })
}

/// Of a row that has gone since `seen`: was the first change since then an update?
pub fn was_updated(txns: &Txns, cell: &[u8], seen: Lsn) -> Res<bool> {
    let mut first = false;
    for version in versions(cell) {
        let version = version?;
        if version.is_frozen() {
            break;
        }
        match txns.status(version.xid)? {
            Status::Aborted | Status::Running { csn: None, .. } => {}
            Status::Committed(csn) | Status::Running { csn: Some(csn), .. } if csn > seen => {
                first = !version.is_deleted()
            }
            _ => break,
        }
    }
    Ok(first)
}

/// Of a row that a running transaction has changed: was another change, which that was made upon, committed after `seen`? Under one
/// snapshot for all that is an error, however the running one ends.
pub fn has_news(txns: &Txns, cell: &[u8], seen: Lsn) -> Res<bool> {
    let mut newest = None;
    for version in versions(cell) {
        let version = version?;
        if version.is_frozen() {
            return Ok(false);
        }
        match txns.status(version.xid)? {
            Status::Committed(csn) => return Ok(csn > seen),
            Status::Running { csn: Some(csn), .. } if newest.is_some_and(|x| x != version.xid) => {
                return Ok(csn > seen)
            }
            Status::Running { .. } => newest = Some(version.xid),
            Status::Aborted => {}
        }
    }
    Ok(false)
}

/// How many of a cell's newest versions have aborted, and how many after them anyone may still need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    pub skip: usize,
    pub keep: usize,
    /// Versions in the cell.
    pub all: usize,
    /// The newest kept version is a deletion that everybody sees: the row can go.
    pub dead: bool,
    /// The oldest kept version is seen by everybody and not marked as such yet.
    pub freezable: bool,
}

impl Prune {
    /// Does the version at this place (0: newest) stay?
    pub fn keeps(&self, index: usize) -> bool {
        index >= self.skip && index < self.skip + self.keep
    }

    /// Is there something to be had by writing the cell again?
    pub fn is_due(&self) -> bool {
        self.skip > 0 || self.keep < self.all || self.dead
    }

    pub fn of(txns: &Txns, cell: &[u8], horizon: Lsn) -> Res<Prune> {
        let mut out = Prune {
            skip: 0,
            keep: 0,
            all: 0,
            dead: false,
            freezable: false,
        };
        let mut settled = false;
        for version in versions(cell) {
            let version = version?;
            out.all += 1;
            if settled {
                continue;
            }
            if version.flags & HISTORY != 0 {
                out.keep += 1;
                continue;
            }
            let status = if version.is_frozen() {
                Status::Committed(Lsn::ZERO)
            } else {
                txns.status(version.xid)?
            };
            match status {
                Status::Aborted if out.keep == 0 => out.skip += 1,
                Status::Committed(csn) if csn <= horizon => {
                    settled = true;
                    out.keep += 1;
                    out.freezable = !version.is_frozen();
                    out.dead = out.keep == 1 && version.is_deleted();
                }
                _ => out.keep += 1,
            }
        }
        Ok(out)
    }
}
