//! What a function may use besides its arguments. Everything that varies comes in through here.

use crate::base::error::{unsupported, Res};
use crate::base::Oid;
use crate::types::settings::Settings;
use std::any::Any;

/// The types of one call, as the analyzer resolved them; made once when the plan is prepared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CallInfo {
    pub arg_types: Vec<Oid>,
    pub typ: Oid,
    /// −1: none.
    pub typmod: i32,
    /// Columns of the result, for set-returning functions and record results.
    pub columns: Vec<Oid>,
}

impl CallInfo {
    pub fn new(arg_types: &[Oid], typ: Oid) -> CallInfo {
        CallInfo {
            arg_types: arg_types.to_vec(),
            typ,
            typmod: -1,
            columns: Vec::new(),
        }
    }
}

pub struct Ctx<'a> {
    pub settings: &'a Settings,
    /// Set by the caller before each `eval`.
    pub call: &'a CallInfo,
    /// clock_timestamp(): µs since 2000-01-01 UTC, taken by the caller when this run of the kernel began.
    pub clock: i64,
    pub rng: &'a mut Rng,
    pub memo: &'a mut Memo,
    /// Sequences, settings, who is connected.
    pub host: &'a dyn Host,
}

/// What functions ask of the session. Whatever a host doesn't have is 0A000.
pub trait Host: Sync {
    fn nextval(&self, _sequence: Oid) -> Res<i64> {
        unsupported("nextval() here")
    }
    fn currval(&self, _sequence: Oid) -> Res<i64> {
        unsupported("currval() here")
    }
    fn lastval(&self) -> Res<i64> {
        unsupported("lastval() here")
    }
    fn setval(&self, _sequence: Oid, _value: i64, _called: bool) -> Res<i64> {
        unsupported("setval() here")
    }
    /// `None`: no such setting.
    fn setting(&self, _name: &str) -> Res<Option<String>> {
        unsupported("current_setting() here")
    }
    fn set_setting(&self, _name: &str, _value: &str, _local: bool) -> Res<String> {
        unsupported("set_config() here")
    }
    fn current_user(&self) -> Res<String> {
        unsupported("current_user here")
    }
    fn session_user(&self) -> Res<String> {
        self.current_user()
    }
    fn current_database(&self) -> Res<String> {
        unsupported("current_database() here")
    }
    fn current_schema(&self) -> Res<Option<String>> {
        unsupported("current_schema() here")
    }
    fn version(&self) -> Res<String> {
        unsupported("version() here")
    }
    fn backend_pid(&self) -> Res<i32> {
        unsupported("pg_backend_pid() here")
    }
    /// The running transaction's id, assigned now if it has none.
    fn current_xid(&self) -> Res<u64> {
        unsupported("txid_current() here")
    }
    /// Field names of a record value's type, for row_to_json and the like.
    fn record_fields(&self, _types: &[Oid]) -> Res<Option<Vec<String>>> {
        Ok(None)
    }
}

/// A host that has nothing: constant folding, tests.
pub struct NoHost;

impl Host for NoHost {}

/// xoshiro256**, seeded from outside; one a session.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    pub fn new(seed: u64) -> Rng {
        let mut z = seed;
        let state = std::array::from_fn(|_| {
            z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = z;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        });
        Rng { state }
    }

    /// Not an iterator's: it never ends.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// In [0, 1).
    pub fn float(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What functions keep between calls: compiled patterns and the like, a few of them, keyed by their source.
#[derive(Default)]
pub struct Memo {
    entries: Vec<(u8, String, Box<dyn Any + Send + Sync>)>,
}

const MEMO_ENTRIES: usize = 16;

impl Memo {
    /// The value made for (`kind`, `key`), made now if it isn't there.
    pub fn get<T: Any + Send + Sync>(
        &mut self,
        kind: u8,
        key: &str,
        make: impl FnOnce() -> Res<T>,
    ) -> Res<&T> {
        let at = match self
            .entries
            .iter()
            .position(|(k, s, _)| *k == kind && s == key)
        {
            Some(at) => at,
            None => {
                let made = Box::new(make()?);
                if self.entries.len() >= MEMO_ENTRIES {
                    self.entries.remove(0);
                }
                self.entries.push((kind, key.to_owned(), made));
                self.entries.len() - 1
            }
        };
        Ok(self.entries[at]
            .2
            .downcast_ref()
            .expect("a kind has one type"))
    }
}
