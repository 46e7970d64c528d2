//! Numbers that must not be mixed up, each with its own type. All are plain integers on disk and wire.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number!(
    /// Byte position in a volume's redo stream. A record's LSN is the position of its *end*; 0 means "before everything".
    Lsn(u64), "lsn:"
);
number!(
    /// A page of a volume. Its protection group is `page / pages_per_group`.
    PageNo(u64), "page:"
);
number!(
    /// A writing transaction or subtransaction. 0 is never assigned: on a row version it means "frozen, visible to all".
    Xid(u64), "xid:"
);
number!(
    /// Volume or membership epoch: fences writers and members.
    Epoch(u32), "epoch:"
);
number!(
    /// Protection group.
    GroupNo(u32), "pg:"
);
number!(
    /// Row identifier within one table, assigned in rising order, never reused while an index entry may name it.
    RowId(u64), "row:"
);
number!(
    /// Session within one compute process: the holder of locks, and whom to wake.
    SessionId(u64), "session:"
);
number!(
    /// PostgreSQL object identifier.
    Oid(u32), "oid:"
);

impl Lsn {
    pub const ZERO: Lsn = Lsn(0);
    pub const MAX: Lsn = Lsn(u64::MAX);
}

impl Xid {
    /// On a row version: written by a transaction that is visible to everyone.
    pub const FROZEN: Xid = Xid(0);
}
