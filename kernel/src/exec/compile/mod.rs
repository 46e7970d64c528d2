//! From a plan to compiled nodes. Every function, type and aggregate that the plan names is looked up here, once.

mod table;

pub use table::table_def;

use super::access::TableDef;
use super::keys::Order;
use super::nodes::{self, Above, PNode, Wanted};
use super::ops::{Node, Single};
use super::plan::{self, Expr, SortKey};
use crate::base::error::fail;
use crate::base::{Oid, Res};
use crate::expr::compile::ordered;
use crate::expr::{Compiler, Program, SubPlans};
use crate::types::registry;
use crate::types::settings::Settings;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A compiled subplan and what `Sub` must know of it.
pub struct SubPlan {
    pub node: PNode,
    pub free: Vec<usize>,
    pub volatile: bool,
}

pub struct PlanCompiler {
    sources: Vec<Node>,
    done: Vec<Option<SubPlan>>,
    /// Being compiled now: a cycle among `Sub`s would be a broken plan.
    busy: Vec<bool>,
    settings: Arc<Settings>,
    /// Number of the next node, and of each subplan's first.
    nodes: usize,
    bases: Vec<usize>,
    reads: BTreeSet<usize>,
    volatile: bool,
    tables: Vec<Arc<TableDef>>,
}

impl SubPlans for PlanCompiler {
    fn facts(&mut self, subplan: usize) -> Res<(Vec<usize>, bool)> {
        self.compile_sub(subplan)?;
        match self.done.get(subplan).and_then(Option::as_ref) {
            Some(sub) => Ok((sub.free.clone(), sub.volatile)),
            None => fail("XX000", format!("plan has no subplan {subplan}")),
        }
    }
}

/// The plan's root and its subplans, and how many nodes there are.
pub fn compile(root: &Node, subplans: Vec<Node>) -> Res<(PNode, Vec<SubPlan>, usize)> {
    let count = subplans.len();
    let mut total = nodes::count(root);
    let mut bases = Vec::with_capacity(count);
    for subplan in &subplans {
        bases.push(total);
        total += nodes::count(subplan);
    }
    let mut compiler = PlanCompiler {
        sources: subplans,
        done: (0..count).map(|_| None).collect(),
        busy: vec![false; count],
        settings: Arc::new(Settings::default()),
        nodes: 0,
        bases,
        reads: BTreeSet::new(),
        volatile: false,
        tables: Vec::new(),
    };
    let top = Above {
        top: true,
        wanted: None,
    };
    let root = compiler.place(root, &top)?;
    for i in 0..count {
        compiler.compile_sub(i)?;
    }
    let subs = compiler.done.into_iter().flatten().collect();
    Ok((root, subs, total))
}

impl PlanCompiler {
    fn compile_sub(&mut self, i: usize) -> Res<()> {
        if !self.has_subplan(i) {
            return fail("XX000", format!("plan has no subplan {i}"));
        }
        if self.done[i].is_some() {
            return Ok(());
        }
        if std::mem::replace(&mut self.busy[i], true) {
            return fail("XX000", format!("subplan {i} refers to itself"));
        }
        let source = std::mem::replace(&mut self.sources[i], Node::Single(Box::new(Single {})));
        let reads = std::mem::take(&mut self.reads);
        let volatile = std::mem::take(&mut self.volatile);
        let next = std::mem::replace(&mut self.nodes, self.bases[i]);
        let node = self.node(&source)?;
        self.nodes = next;
        let free = std::mem::replace(&mut self.reads, reads)
            .into_iter()
            .collect();
        let sub_volatile = std::mem::replace(&mut self.volatile, volatile);
        self.done[i] = Some(SubPlan {
            node,
            free,
            volatile: sub_volatile,
        });
        Ok(())
    }

    /// Expressions that are evaluated together.
    pub fn program<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) -> Res<Program> {
        let settings = self.settings.clone();
        let (program, reads) = Compiler::new(self, &settings).program(exprs)?;
        self.reads.extend(reads);
        self.volatile |= program.volatile;
        Ok(program)
    }

    pub fn optional(&mut self, expr: &Option<Expr>) -> Res<Option<Program>> {
        expr.as_ref().map(|e| self.program([e])).transpose()
    }

    pub fn optional_list(&mut self, exprs: &Option<Vec<Expr>>) -> Res<Option<Program>> {
        exprs.as_ref().map(|e| self.program(e)).transpose()
    }

    /// A node below, of which all columns are looked at.
    pub fn node(&mut self, node: &Node) -> Res<PNode> {
        self.place(node, &Above::default())
    }

    /// A node below, of which these columns are looked at.
    pub fn below(&mut self, node: &Node, wanted: Wanted) -> Res<PNode> {
        self.place(node, &Above { top: false, wanted })
    }

    /// A node below that is the statement itself where the one above it is.
    pub fn instead(&mut self, node: &Node, above: &Above) -> Res<PNode> {
        let top = above.top;
        self.place(node, &Above { top, wanted: None })
    }

    fn place(&mut self, node: &Node, above: &Above) -> Res<PNode> {
        let reads = std::mem::take(&mut self.reads);
        let volatile = std::mem::take(&mut self.volatile);
        let id = self.nodes;
        self.nodes += 1;
        let node = node.compile(self, above)?;
        let repeatable = self.reads.is_empty() && !self.volatile;
        self.reads.extend(reads);
        self.volatile |= volatile;
        Ok(PNode {
            id,
            repeatable,
            node,
        })
    }

    /// The node that is compiled now need not give the same rows when it is run again.
    pub fn set_volatile(&mut self) {
        self.volatile = true;
    }

    /// What is compiled here may read these executor parameters, which the node above it sets: it does not read them itself.
    pub fn binding<T>(
        &mut self,
        params: &[usize],
        compile: impl FnOnce(&mut PlanCompiler) -> Res<T>,
    ) -> Res<T> {
        let outer = std::mem::take(&mut self.reads);
        let compiled = compile(self)?;
        self.reads.retain(|n| !params.contains(n));
        self.reads.extend(outer);
        Ok(compiled)
    }

    pub fn has_subplan(&self, number: usize) -> bool {
        number < self.sources.len()
    }

    pub fn sort_keys(&mut self, keys: &[SortKey]) -> Res<(Program, Vec<Order>)> {
        let program = self.program(keys.iter().map(|k| &k.expr))?;
        let orders = keys.iter().map(order).collect::<Res<Vec<_>>>()?;
        Ok((program, orders))
    }

    pub fn table(&mut self, table: &plan::Table) -> Res<Arc<TableDef>> {
        if let Some(known) = self
            .tables
            .iter()
            .find(|t| t.oid == table.oid && t.indexes.len() == table.indexes.len())
        {
            return Ok(known.clone());
        }
        let def = Arc::new(table_def(table, &self.settings)?);
        self.tables.push(def.clone());
        Ok(def)
    }
}

/// How a key is sorted.
pub fn order(key: &SortKey) -> Res<Order> {
    Ok(Order {
        info: ordered(key.typ)?,
        desc: key.desc,
        nulls_first: key.nulls_first,
    })
}

pub fn infos(types: &[Oid]) -> Res<Vec<&'static registry::TypeInfo>> {
    types.iter().map(|&t| registry::get(t)).collect()
}
