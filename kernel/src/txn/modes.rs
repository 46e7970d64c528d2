//! What can be locked, in which modes, and which modes conflict: PostgreSQL's tables.

use crate::base::{Oid, RowId};
use std::fmt;

/// What a lock is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockKey {
    Relation(Oid),
    Row(Oid, RowId),
    /// Whose turn it is to wait for the transaction that has changed the row: first come, first served.
    Turn(Oid, RowId),
    /// (key, whether it was given as two int4 rather than one int8)
    Advisory(i64, bool),
}

impl LockKey {
    /// pg_advisory_lock(int4, int4).
    pub fn advisory_pair(first: i32, second: i32) -> LockKey {
        LockKey::Advisory((i64::from(first) << 32) | i64::from(second as u32), true)
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockKey::Relation(oid) => write!(f, "relation {oid}"),
            LockKey::Row(oid, row) | LockKey::Turn(oid, row) => {
                write!(f, "tuple {row} of relation {oid}")
            }
            LockKey::Advisory(key, pair) => {
                let class = if *pair { 2 } else { 1 };
                write!(
                    f,
                    "advisory lock [{},{},{class}]",
                    (key >> 32) as u32,
                    *key as u32
                )
            }
        }
    }
}

/// Relation lock modes, numbered as in pg_locks and `Plan::locks`.
pub mod relation {
    pub const ACCESS_SHARE: u8 = 1;
    pub const ROW_SHARE: u8 = 2;
    pub const ROW_EXCLUSIVE: u8 = 3;
    pub const SHARE_UPDATE_EXCLUSIVE: u8 = 4;
    pub const SHARE: u8 = 5;
    pub const SHARE_ROW_EXCLUSIVE: u8 = 6;
    pub const EXCLUSIVE: u8 = 7;
    pub const ACCESS_EXCLUSIVE: u8 = 8;
}

/// Advisory modes use the relation modes' numbers, as PostgreSQL does.
pub const ADVISORY_SHARE: u8 = relation::SHARE;
pub const ADVISORY_EXCLUSIVE: u8 = relation::EXCLUSIVE;

/// Row lock modes.
pub mod row {
    pub const KEY_SHARE: u8 = 1;
    pub const SHARE: u8 = 2;
    pub const NO_KEY_UPDATE: u8 = 3;
    pub const UPDATE: u8 = 4;
}

const fn bits(modes: &[u8]) -> u16 {
    let mut out = 0;
    let mut i = 0;
    while i < modes.len() {
        out |= 1 << modes[i];
        i += 1;
    }
    out
}

/// Relation (and advisory) modes in conflict with mode m.
const RELATION: [u16; 9] = [
    0,
    bits(&[8]),
    bits(&[7, 8]),
    bits(&[5, 6, 7, 8]),
    bits(&[4, 5, 6, 7, 8]),
    bits(&[3, 4, 6, 7, 8]),
    bits(&[3, 4, 5, 6, 7, 8]),
    bits(&[2, 3, 4, 5, 6, 7, 8]),
    bits(&[1, 2, 3, 4, 5, 6, 7, 8]),
];

const ROW: [u16; 5] = [
    0,
    bits(&[4]),
    bits(&[3, 4]),
    bits(&[2, 3, 4]),
    bits(&[1, 2, 3, 4]),
];

/// Bits of the modes that conflict with `mode` on `key`.
pub fn conflicts(key: &LockKey, mode: u8) -> u16 {
    let table: &[u16] = match key {
        LockKey::Row(..) | LockKey::Turn(..) => &ROW,
        LockKey::Relation(_) | LockKey::Advisory(..) => &RELATION,
    };
    table.get(usize::from(mode)).copied().unwrap_or(u16::MAX)
}

/// The mode's name as pg_locks shows it.
pub fn name(key: &LockKey, mode: u8) -> &'static str {
    const RELATION: [&str; 9] = [
        "NoLock",
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ];
    // The modes in which PostgreSQL locks a tuple for these.
    const ROW: [&str; 5] = [
        "NoLock",
        "AccessShareLock",
        "RowShareLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ];
    let table: &[&'static str] = if matches!(key, LockKey::Row(..) | LockKey::Turn(..)) {
        &ROW
    } else {
        &RELATION
    };
    table.get(usize::from(mode)).copied().unwrap_or("NoLock")
}
