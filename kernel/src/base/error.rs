//! What ends a kernel call early: something to wait for, or an error that says who must act.

use super::ids::{Lsn, PageNo, Xid};
use std::fmt;

/// Result of every kernel call that may touch a page, a lock or a value.
pub type Res<T> = Result<T, Stop>;

/// Why a call did not finish. `Need` travels up through `?`; whoever called from Python awaits it and calls again.
/// A call that returns `Need` has changed nothing (fetch first, then change).
#[derive(Debug, Clone)]
pub enum Stop {
    Need(Need),
    Error(Box<SqlError>),
}

/// What a call waits for. There is exactly one place in Python that awaits each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A page that the cache does not hold, at the call's read point. Install it, then call again.
    Page(PageNo),
    /// Several such pages (read-ahead); all of them are wanted, the call can go on when the first is there.
    Pages(Vec<PageNo>),
    /// The end of another transaction: a row that it wrote stands in the way.
    Xid(Xid),
    /// A lock that was queued for this session (row, relation, advisory); granted later by `take_woken`.
    Lock,
    /// Everything up to this LSN durable (commit), or room in the cache or below the allocation limit.
    Durable(Lsn),
    /// A temporary file operation, described by the operator's spill object that asks for it.
    Spill,
    /// The time slice is used up; call again, from a worker thread if it happens again.
    Slice,
}

/// Who must act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The author of the statement or of the data: it fails each time.
    Statement,
    /// The client: the same transaction may succeed when run again (serialization, deadlock, failover).
    Retry,
    /// An operator: disk, corruption, quorum.
    Operator,
}

/// An error with PostgreSQL's fields. `code` is the SQLSTATE.
#[derive(Debug, Clone)]
pub struct SqlError {
    pub code: [u8; 5],
    pub actor: Actor,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// 1-based character position in the statement.
    pub position: Option<u32>,
    pub context: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub datatype: Option<String>,
    pub constraint: Option<String>,
}

/// Longest value in memory, as PostgreSQL has it.
pub const ALLOC_MAX: usize = 0x3fff_ffff;

/// Before a value of so many bytes is made.
pub fn alloc(bytes: usize) -> Res<()> {
    match bytes <= ALLOC_MAX {
        true => Ok(()),
        false => fail(
            "XX000",
            format!("invalid memory alloc request size {bytes}"),
        ),
    }
}

/// Before a text that is built piece by piece grows by `more` bytes.
#[inline]
pub fn enlarge(have: usize, more: usize) -> Res<()> {
    match have + more <= ALLOC_MAX {
        true => Ok(()),
        false => Err(SqlError::new("54000", "out of memory")
            .detail(format!(
                "Cannot enlarge string buffer containing {have} bytes by {more} more bytes."
            ))
            .into()),
    }
}

impl SqlError {
    pub fn new(code: &str, message: impl Into<String>) -> Box<SqlError> {
        let mut bytes = *b"XX000";
        if code.len() == 5 {
            bytes.copy_from_slice(code.as_bytes());
        }
        let actor = match &bytes[..2] {
            b"40" | b"55" | b"57" => Actor::Retry,
            b"53" | b"58" | b"XX" => Actor::Operator,
            _ => Actor::Statement,
        };
        Box::new(SqlError {
            code: bytes,
            actor,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            schema: None,
            table: None,
            column: None,
            datatype: None,
            constraint: None,
        })
    }

    pub fn detail(mut self: Box<Self>, text: impl Into<String>) -> Box<Self> {
        self.detail = Some(text.into());
        self
    }

    pub fn hint(mut self: Box<Self>, text: impl Into<String>) -> Box<Self> {
        self.hint = Some(text.into());
        self
    }

    pub fn code_str(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("XX000")
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code_str(), self.message)
    }
}

impl std::error::Error for SqlError {}

impl From<Box<SqlError>> for Stop {
    fn from(error: Box<SqlError>) -> Stop {
        Stop::Error(error)
    }
}

impl From<Need> for Stop {
    fn from(need: Need) -> Stop {
        Stop::Need(need)
    }
}

/// `Err(error)` with an SQLSTATE: `return fail("22012", "division by zero")`.
pub fn fail<T>(code: &str, message: impl Into<String>) -> Res<T> {
    Err(Stop::Error(SqlError::new(code, message)))
}

/// Damage that this code found in bytes it was given (flipped bits, half records): XX001, an operator's business.
pub fn corrupt<T>(message: impl Into<String>) -> Res<T> {
    fail("XX001", message)
}

/// 0A000: what PostgreSQL does and Sixfold does not, yet.
pub fn unsupported<T>(what: impl fmt::Display) -> Res<T> {
    fail("0A000", format!("{what} is not supported yet"))
}
