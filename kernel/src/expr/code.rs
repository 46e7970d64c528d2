//! Compiled expressions and the state of their evaluation.
//!
//! Evaluating is restartable: after `Err(Need)` the same program is evaluated over the same rows again, from the
//! start. Whatever must not be asked twice (volatile functions, subplans, functions in Python) keeps its answers in a
//! *site* until the whole program is done; the second evaluation takes them from there, in the same order.

use super::arrays::{Equality, ValueSet};
use super::env::{Members, Operator};
use crate::base::Oid;
use crate::exec::batch::{Batch, Kind};
use crate::exec::kept::Kept;
use crate::func::registry::Function;
use crate::func::vector::Kernel;
use crate::func::CallInfo;
use crate::types::registry::TypeInfo;
use crate::types::Datum;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A list of expressions over the same rows; immutable and shared.
#[derive(Default)]
pub struct Program {
    pub codes: Vec<Code>,
    /// Columns that it may look at.
    pub looks_at: BTreeSet<usize>,
    pub sites: usize,
    /// May answer differently when asked again, or does something besides answering.
    pub volatile: bool,
}

/// The changing side of a program: one for each operator that evaluates it.
#[derive(Default)]
pub struct State {
    pub sites: Vec<Site>,
}

#[derive(Default)]
pub enum Site {
    #[default]
    New,
    Calls(Journal),
    Sub(Box<SubSite>),
}

/// Answers since the evaluation began, and how many of them the current pass has used.
#[derive(Default)]
pub struct Journal {
    pub answers: Vec<Datum>,
    pub at: usize,
}

/// A subplan in place.
#[derive(Default)]
pub struct SubSite {
    pub journal: Journal,
    pub operator: Option<Box<dyn Operator>>,
    /// The operator runs for the row after the last answer.
    pub running: bool,
    /// What it has returned for that row; for ANY: all rows that are compared with.
    pub rows: Batch,
    pub kept: Kept,
    /// How far the comparing with them is.
    pub scan: Option<Scan>,
    pub members: Option<Box<dyn Members>>,
    /// Values of the parameters it depends on, and the answer or rows for them.
    pub memo: Option<(Vec<Datum>, Datum)>,
    pub rows_for: Option<Vec<Datum>>,
    pub test: State,
}

/// A row's comparison with the rows of a subplan.
#[derive(Default)]
pub struct Scan {
    pub batch: usize,
    pub row: usize,
    /// The batch, where it is in a file.
    pub read: Option<Batch>,
    /// What the rows before have shown.
    pub unknown: bool,
}

pub enum Code {
    Const(Datum),
    Col(usize),
    Param(usize),
    Exec(usize),
    Func(Box<FuncCode>),
    And(Vec<Code>),
    Or(Vec<Code>),
    Not(Box<Code>),
    IsNull {
        arg: Box<Code>,
        not: bool,
    },
    /// `want` none: UNKNOWN.
    BoolTest {
        arg: Box<Code>,
        want: Option<bool>,
        not: bool,
    },
    Distinct {
        call: Box<Call>,
        left: Box<Code>,
        right: Box<Code>,
        not: bool,
    },
    Case {
        whens: Vec<(Code, Code)>,
        other: Option<Box<Code>>,
        kind: Kind,
    },
    Coalesce {
        args: Vec<Code>,
        kind: Kind,
    },
    NullIf {
        call: Box<Call>,
        left: Box<Code>,
        right: Box<Code>,
        kind: Kind,
    },
    /// GREATEST (`greatest`) or LEAST.
    Extreme {
        args: Vec<Code>,
        info: &'static TypeInfo,
        greatest: bool,
        kind: Kind,
    },
    AnyAll(Box<AnyAllCode>),
    Array {
        args: Vec<Code>,
        elem: Oid,
        nested: bool,
    },
    Subscript {
        arg: Box<Code>,
        index: Vec<(bool, Option<Code>, Option<Code>)>,
        kind: Kind,
    },
    Row {
        args: Vec<Code>,
        types: Arc<[Oid]>,
    },
    Field {
        arg: Box<Code>,
        i: usize,
        kind: Kind,
    },
    RowCompare {
        op: RowOp,
        left: Vec<Code>,
        right: Vec<Code>,
        infos: Vec<&'static TypeInfo>,
    },
    CastIo {
        arg: Box<Code>,
        from: &'static TypeInfo,
        to: &'static TypeInfo,
        typmod: i32,
    },
    CastArray {
        arg: Box<Code>,
        cast: Box<Code>,
        from: Oid,
        to: Oid,
    },
    Typmod {
        arg: Box<Code>,
        info: &'static TypeInfo,
        typmod: i32,
        explicit: bool,
    },
    Sub(Box<SubCode>),
    Host(Box<HostCode>),
}

/// A function with the types of one call.
pub struct Call {
    pub function: &'static Function,
    pub info: CallInfo,
}

pub struct FuncCode {
    pub call: Call,
    pub kernel: Option<Kernel>,
    pub args: Vec<Code>,
    pub kind: Kind,
    /// Volatile functions only.
    pub site: Option<usize>,
}

pub struct AnyAllCode {
    pub call: Call,
    pub left: Code,
    pub array: Code,
    pub all: bool,
    /// Of `= ANY` and `<> ALL`, where a set can answer.
    pub equality: Option<Equality>,
    /// A constant array's.
    pub set: Option<ValueSet>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RowOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SubKind {
    Scalar,
    Exists,
    Array,
    Any,
    All,
}

pub struct SubCode {
    pub subplan: usize,
    pub kind: SubKind,
    pub params: Vec<(usize, Code)>,
    pub test: Option<Program>,
    pub result: Vec<usize>,
    /// Element type of an ARRAY(…) result.
    pub elem: Oid,
    pub out: Kind,
    pub site: usize,
    pub hash: Option<HashCode>,
}

/// ANY with equality of keys.
pub struct HashCode {
    pub left: Vec<Code>,
    /// Over the subplan's rows.
    pub right: Program,
    pub infos: Vec<&'static TypeInfo>,
}

pub struct HostCode {
    pub name: String,
    pub args: Vec<Code>,
    pub arg_types: Vec<Oid>,
    pub typ: Oid,
    pub site: usize,
}

impl Program {
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Of each expression the column that it is, if it is one.
    pub fn each_column(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.codes.iter().map(|code| match code {
            Code::Col(column) => Some(*column),
            _ => None,
        })
    }

    /// The columns it hands on, when it does nothing else.
    pub fn columns(&self) -> Option<Vec<usize>> {
        self.each_column().collect()
    }
}

impl Journal {
    /// The next answer of an earlier pass.
    pub fn replay(&mut self) -> Option<Datum> {
        let answer = self.answers.get(self.at).cloned();
        if answer.is_some() {
            self.at += 1;
        }
        answer
    }

    pub fn record(&mut self, answer: Datum) {
        self.answers.push(answer);
        self.at = self.answers.len();
    }
}

impl Site {
    pub fn journal(&mut self) -> &mut Journal {
        if matches!(self, Site::New) {
            *self = Site::Calls(Journal::default());
        }
        match self {
            Site::Calls(journal) => journal,
            Site::Sub(sub) => &mut sub.journal,
            Site::New => unreachable!("made above"),
        }
    }

    pub fn sub(&mut self) -> &mut SubSite {
        if !matches!(self, Site::Sub(_)) {
            *self = Site::Sub(Box::default());
        }
        match self {
            Site::Sub(sub) => sub,
            _ => unreachable!("made above"),
        }
    }
}

impl State {
    /// A pass over the same rows begins.
    pub fn begin(&mut self, sites: usize) {
        if self.sites.len() < sites {
            self.sites.resize_with(sites, Site::default);
        }
        for site in &mut self.sites {
            match site {
                Site::New => {}
                Site::Calls(journal) => journal.at = 0,
                Site::Sub(sub) => sub.journal.at = 0,
            }
        }
    }

    /// The pass is over, the next one has other rows.
    pub fn end(&mut self) {
        for site in &mut self.sites {
            match site {
                Site::New => {}
                Site::Calls(journal) => *journal = Journal::default(),
                Site::Sub(sub) => {
                    sub.journal = Journal::default();
                    sub.running = false;
                    sub.scan = None;
                }
            }
        }
    }
}
