//! What every plan node has to say: before it is compiled (`PlanNode`) and after (`CompiledNode`). Each node is a file of `ops/`, where
//! the list of them is too.

use super::ops::{KeyJoinNode, ScanNode};
use crate::base::Res;
use crate::expr::Program;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

pub use super::compile::PlanCompiler;
pub use super::ops::{Node, Op, Opener};

/// A node as the plan has it: its fields are what Python says of it.
pub trait PlanNode {
    /// How many columns it puts out.
    fn width(&self) -> usize;

    /// The nodes below, in the order in which they are compiled and numbered.
    fn inputs(&self) -> Vec<&Node> {
        Vec::new()
    }

    /// Every function, type and table that it names is looked up here, once.
    fn compile(&self, compiler: &mut PlanCompiler, above: &Above) -> Res<Compiled>;
}

/// How many nodes a tree has.
pub fn count(node: &Node) -> usize {
    1 + node.inputs().into_iter().map(count).sum::<usize>()
}

/// Which columns of a node somebody looks at; none: all.
pub type Wanted = Option<BTreeSet<usize>>;

/// What a node is told about the place it has.
#[derive(Default)]
pub struct Above {
    /// It is the statement itself.
    pub top: bool,
    pub wanted: Wanted,
}

impl Above {
    /// What is wanted below a node that looks at some columns and hands all on.
    pub fn and(&self, program: &Program) -> Wanted {
        let wanted = self.wanted.as_ref()?;
        Some(wanted.union(&program.looks_at).copied().collect())
    }
}

pub type Compiled = Arc<dyn CompiledNode>;

/// A node that can be run: immutable, shared by all executions of a plan.
pub trait CompiledNode: Send + Sync {
    /// The operator of one execution. Inputs are opened with the same opener.
    fn open(self: Arc<Self>, opener: &Opener) -> Op;

    /// The scan below that is cut into parts for several threads, when everything up to it is pure; `joins`: the hash joins on the
    /// way, of whose left sides it is a part.
    fn scan_below<'n>(&'n self, _joins: &mut Vec<&'n Arc<KeyJoinNode>>) -> Option<&'n ScanNode> {
        None
    }

    /// Do its rows come from no table?
    fn is_values(&self) -> bool {
        false
    }

    /// INSERT of values that come from no table, and nothing to look up.
    fn is_blind(&self) -> bool {
        false
    }

    /// UPDATE or DELETE that gives no rows back: all that it learns of a row is what it makes of it.
    fn passes(&self) -> bool {
        false
    }
}

/// A compiled node in its place.
pub struct PNode {
    /// Number in the plan, for EXPLAIN ANALYZE.
    pub id: usize,
    /// Gives the same rows when run again in the same execution: reads no executor parameters, is not volatile.
    pub repeatable: bool,
    pub node: Compiled,
}

impl PNode {
    /// A node that stands nowhere.
    pub fn of(node: impl CompiledNode + 'static) -> PNode {
        PNode {
            id: 0,
            repeatable: true,
            node: Arc::new(node),
        }
    }
}

impl Deref for PNode {
    type Target = dyn CompiledNode;

    fn deref(&self) -> &Self::Target {
        self.node.as_ref()
    }
}
