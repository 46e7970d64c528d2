//! From a plan to compiled nodes. Every function, type and aggregate that the plan names is looked up here, once.

mod join;
mod literals;
mod modify;
mod table;
mod window;

pub use table::table_def;

use super::access::TableDef;
use super::keys::Order;
use super::nodes::*;
use super::plan::{self, Expr, Node};
use crate::base::error::{fail, unsupported};
use crate::base::{Oid, Res};
use crate::expr::compile::ordered;
use crate::expr::{Compiler, Program, SubPlans};
use crate::func::{agg, set, CallInfo};
use crate::types::oids;
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
    /// Which columns of the node that is compiled next somebody looks at; none: all.
    wanted: Wanted,
}

type Wanted = Option<BTreeSet<usize>>;

/// What is wanted below a node that looks at some columns and hands all on.
fn and(wanted: &Wanted, program: &Program) -> Wanted {
    let wanted = wanted.as_ref()?;
    Some(wanted.union(&program.looks_at).copied().collect())
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
    let mut total = crate::exec::width::count(root);
    let mut bases = Vec::with_capacity(count);
    for subplan in &subplans {
        bases.push(total);
        total += crate::exec::width::count(subplan);
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
        wanted: None,
    };
    let root = compiler.node(root, true)?;
    for i in 0..count {
        compiler.compile_sub(i)?;
    }
    let subs = compiler.done.into_iter().flatten().collect();
    Ok((root, subs, total))
}

impl PlanCompiler {
    fn compile_sub(&mut self, i: usize) -> Res<()> {
        if i >= self.sources.len() {
            return fail("XX000", format!("plan has no subplan {i}"));
        }
        if self.done[i].is_some() {
            return Ok(());
        }
        if std::mem::replace(&mut self.busy[i], true) {
            return fail("XX000", format!("subplan {i} refers to itself"));
        }
        let source = std::mem::replace(&mut self.sources[i], Node::Single {});
        let reads = std::mem::take(&mut self.reads);
        let volatile = std::mem::take(&mut self.volatile);
        let next = std::mem::replace(&mut self.nodes, self.bases[i]);
        let node = self.node(&source, false)?;
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

    fn program<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) -> Res<Program> {
        let settings = self.settings.clone();
        let (program, reads) = Compiler::new(self, &settings).program(exprs)?;
        self.reads.extend(reads);
        self.volatile |= program.volatile;
        Ok(program)
    }

    fn optional(&mut self, expr: &Option<Expr>) -> Res<Option<Program>> {
        expr.as_ref().map(|e| self.program([e])).transpose()
    }

    fn node(&mut self, node: &Node, top: bool) -> Res<PNode> {
        let reads = std::mem::take(&mut self.reads);
        let volatile = std::mem::take(&mut self.volatile);
        let wanted = self.wanted.take();
        let id = self.nodes;
        self.nodes += 1;
        let kind = match self.source(node)? {
            Some(kind) => kind,
            None => match self.transform(node, top, &wanted)? {
                Some(kind) => kind,
                None => self.combine(node, top, &wanted)?,
            },
        };
        let repeatable = self.reads.is_empty() && !self.volatile;
        self.reads.extend(reads);
        self.volatile |= volatile;
        Ok(PNode {
            id,
            repeatable,
            kind,
        })
    }

    /// Nodes without inputs.
    fn source(&mut self, node: &Node) -> Res<Option<Kind>> {
        Ok(Some(match node {
            Node::Single {} => Kind::Single,
            Node::Empty { .. } => Kind::Empty,
            Node::Values { rows, types } => {
                let rows = rows
                    .iter()
                    .map(|r| self.program(r))
                    .collect::<Res<Vec<_>>>()?;
                Kind::Values(Arc::new(ValuesNode {
                    rows,
                    types: types.clone(),
                }))
            }
            Node::LiteralRows { .. } => Kind::LiteralRows(Arc::new(self.literal_rows(node)?)),
            Node::FunctionScan { calls, ordinality } => {
                let calls = calls
                    .iter()
                    .map(|c| self.set_call(c))
                    .collect::<Res<Vec<_>>>()?;
                Kind::FunctionScan(Arc::new(FunctionScanNode {
                    calls,
                    ordinality: *ordinality,
                }))
            }
            Node::HostScan { name, types, args } => {
                let args = self.program(args)?;
                Kind::HostScan(Arc::new(HostScanNode {
                    name: name.clone(),
                    types: types.clone(),
                    args,
                }))
            }
            Node::Scan {
                table,
                columns,
                filter,
            } => Kind::Scan(Arc::new(self.scan(table, columns, filter)?)),
            Node::IndexScan { .. } => Kind::IndexScan(Arc::new(self.index_scan(node)?)),
            Node::CteScan { id, .. } => {
                self.volatile = true;
                Kind::CteScan(*id)
            }
            Node::WorkScan { id, .. } => {
                self.volatile = true;
                Kind::WorkScan(*id)
            }
            _ => return Ok(None),
        }))
    }

    /// A node below, of which these columns are looked at.
    fn below(&mut self, node: &Node, wanted: Wanted) -> Res<PNode> {
        self.wanted = wanted;
        self.node(node, false)
    }

    /// Nodes with one input.
    fn transform(&mut self, node: &Node, top: bool, wanted: &Wanted) -> Res<Option<Kind>> {
        Ok(Some(match node {
            Node::Filter { input, test } => {
                let test = self.program([test])?;
                let input = self.below(input, and(wanted, &test))?;
                Kind::Filter(Arc::new(FilterNode { input, test }))
            }
            Node::Project { input, exprs } => {
                let exprs = self.program(exprs)?;
                let input = self.below(input, Some(exprs.looks_at.clone()))?;
                let moves = exprs
                    .columns()
                    .filter(|c| c.iter().collect::<BTreeSet<_>>().len() == c.len());
                Kind::Project(Arc::new(ProjectNode {
                    input,
                    exprs,
                    moves,
                }))
            }
            Node::ProjectSet { input, exprs } => self.project_set(input, exprs)?,
            Node::Sort { input, keys, limit } => {
                let (keys, orders) = self.sort_keys(keys)?;
                let limit = self.optional(limit)?;
                let input = self.below(input, and(wanted, &keys))?;
                Kind::Sort(Arc::new(SortNode {
                    input,
                    keys,
                    orders,
                    limit,
                }))
            }
            Node::Aggregate { .. } => Kind::Aggregate(Arc::new(self.aggregate(node)?)),
            Node::Window { .. } => Kind::Window(Arc::new(self.window(node)?)),
            Node::Limit { .. } => self.limit(node)?,
            Node::Distinct { input, keys, types } => {
                let input = self.node(input, false)?;
                let keys = keys.as_ref().map(|k| self.program(k)).transpose()?;
                Kind::Distinct(Arc::new(DistinctNode {
                    input,
                    keys,
                    infos: infos(types)?,
                }))
            }
            Node::LockRows {
                input,
                locks,
                outer,
            } => {
                let input = self.node(input, false)?;
                let locks = locks
                    .iter()
                    .map(|l| self.row_lock(l))
                    .collect::<Res<Vec<_>>>()?;
                let outer = outer
                    .iter()
                    .map(|o| Ok((self.program([&o.0])?, o.1.clone())))
                    .collect::<Res<Vec<_>>>()?;
                self.volatile = true;
                Kind::LockRows(Arc::new(LockRowsNode {
                    input,
                    locks,
                    outer,
                }))
            }
            Node::Insert(insert) => Kind::Insert(Arc::new(self.insert(insert, top)?)),
            Node::Update(update) => Kind::Update(Arc::new(self.update(update, top)?)),
            Node::Delete(delete) => Kind::Delete(Arc::new(self.delete(delete, top)?)),
            _ => return Ok(None),
        }))
    }

    /// Nodes with several inputs.
    fn combine(&mut self, node: &Node, top: bool, wanted: &Wanted) -> Res<Kind> {
        Ok(match node {
            Node::NestedLoop { .. } => self.nested_loop(node)?,
            Node::HashJoin { .. } | Node::MergeJoin { .. } => self.key_join(node, wanted)?,
            Node::Append { inputs } => {
                let inputs = inputs
                    .iter()
                    .map(|n| self.node(n, false))
                    .collect::<Res<Vec<_>>>()?;
                Kind::Append(Arc::new(AppendNode { inputs }))
            }
            Node::SetOp { .. } => self.set_op(node)?,
            Node::With {
                id,
                cte,
                input,
                writes,
            } => Kind::With(Arc::new(WithNode {
                id: *id,
                cte: self.node(cte, false)?,
                input: self.node(input, top)?,
                writes: *writes,
            })),
            Node::Recursive {
                id,
                start,
                step,
                distinct,
                types,
            } => Kind::Recursive(Arc::new(RecursiveNode {
                id: *id,
                start: self.node(start, false)?,
                step: self.node(step, false)?,
                distinct: *distinct,
                infos: infos(types)?,
            })),
            // Those of `source` and `transform`. All are named, so that a new kind does not compile before it is dealt with.
            Node::Single {}
            | Node::Empty { .. }
            | Node::Values { .. }
            | Node::LiteralRows { .. }
            | Node::FunctionScan { .. }
            | Node::HostScan { .. }
            | Node::Scan { .. }
            | Node::IndexScan { .. }
            | Node::CteScan { .. }
            | Node::WorkScan { .. }
            | Node::Filter { .. }
            | Node::Project { .. }
            | Node::ProjectSet { .. }
            | Node::Sort { .. }
            | Node::Aggregate { .. }
            | Node::Window { .. }
            | Node::Limit { .. }
            | Node::Distinct { .. }
            | Node::LockRows { .. }
            | Node::Insert(_)
            | Node::Update(_)
            | Node::Delete(_) => return unsupported("this kind of plan node"),
        })
    }

    fn set_op(&mut self, node: &Node) -> Res<Kind> {
        let Node::SetOp {
            kind,
            all,
            left,
            right,
            types,
        } = node
        else {
            return unsupported("this kind of plan node");
        };
        Ok(Kind::SetOp(Arc::new(SetOpNode {
            kind: *kind,
            all: *all,
            left: self.node(left, false)?,
            right: self.node(right, false)?,
            infos: infos(types)?,
        })))
    }

    fn nested_loop(&mut self, node: &Node) -> Res<Kind> {
        let Node::NestedLoop {
            kind,
            left,
            right,
            on,
            params,
            right_width,
        } = node
        else {
            return fail("XX000", "not a join");
        };
        let left_width = crate::exec::width::width(left);
        let left = self.node(left, false)?;
        let outer = std::mem::take(&mut self.reads);
        let right = self.node(right, false)?;
        let on = self.optional(on)?;
        let numbers: Vec<usize> = params.iter().map(|(n, _)| *n).collect();
        self.reads.retain(|n| !numbers.contains(n));
        self.reads.extend(outer);
        let params = self.program(params.iter().map(|(_, e)| e))?;
        Ok(Kind::NestedLoop(Arc::new(NestedLoopNode {
            kind: *kind,
            left,
            right,
            on,
            params,
            param_numbers: numbers,
            left_width,
            right_width: *right_width,
        })))
    }

    fn limit(&mut self, node: &Node) -> Res<Kind> {
        let Node::Limit {
            input,
            count,
            offset,
            with_ties,
        } = node
        else {
            return fail("XX000", "not a limit");
        };
        let input = self.node(input, false)?;
        let (ties, orders) = self.sort_keys(with_ties)?;
        Ok(Kind::Limit(Arc::new(LimitNode {
            input,
            count: self.optional(count)?,
            offset: self.optional(offset)?,
            ties,
            tie_infos: orders.iter().map(|o| o.info).collect(),
        })))
    }

    fn sort_keys(&mut self, keys: &[plan::SortKey]) -> Res<(Program, Vec<Order>)> {
        let program = self.program(keys.iter().map(|k| &k.expr))?;
        let orders = keys
            .iter()
            .map(|k| {
                Ok(Order {
                    info: ordered(k.typ)?,
                    desc: k.desc,
                    nulls_first: k.nulls_first,
                })
            })
            .collect::<Res<Vec<_>>>()?;
        Ok((program, orders))
    }

    fn set_call(&mut self, call: &plan::SetCall) -> Res<SetCallNode> {
        let Some(function) = find_set(&call.func) else {
            return unsupported(format_args!("set-returning function {}", call.func));
        };
        let typ = match call.types.as_slice() {
            [one] => *one,
            _ => oids::RECORD,
        };
        let info = CallInfo {
            columns: call.types.clone(),
            ..CallInfo::new(&call.arg_types, typ)
        };
        Ok(SetCallNode {
            function,
            info,
            args: self.program(&call.args)?,
            types: call.types.clone(),
        })
    }

    fn project_set(&mut self, input: &Node, items: &[plan::ProjectItem]) -> Res<Kind> {
        let input = self.node(input, false)?;
        let (mut exprs, mut sets, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                plan::ProjectItem::Expr(e) => {
                    out.push(Item::Expr(exprs.len()));
                    exprs.push(e);
                }
                plan::ProjectItem::Set(call) => {
                    out.push(Item::Set(sets.len()));
                    sets.push(self.set_call(call)?);
                }
            }
        }
        let exprs = self.program(exprs)?;
        Ok(Kind::ProjectSet(Arc::new(ProjectSetNode {
            input,
            items: out,
            exprs,
            sets,
        })))
    }

    fn scan(
        &mut self,
        table: &plan::Table,
        columns: &[usize],
        filter: &Option<Expr>,
    ) -> Res<ScanNode> {
        let table = self.table(table)?;
        let mut types = Vec::with_capacity(columns.len() + 1);
        for &c in columns {
            match table.columns.get(c) {
                Some(column) => types.push(column.typ),
                None => {
                    return fail(
                        "XX000",
                        format!("plan scans column {c} of table {}", table.name),
                    )
                }
            }
        }
        types.push(oids::INT8);
        Ok(ScanNode {
            table,
            columns: columns.to_vec(),
            types,
            filter: self.optional(filter)?,
        })
    }

    fn index_scan(&mut self, node: &Node) -> Res<IndexScanNode> {
        let Node::IndexScan {
            table,
            index,
            low,
            high,
            any,
            backward,
            columns,
            filter,
        } = node
        else {
            return fail("XX000", "not an index scan");
        };
        let scan = self.scan(table, columns, filter)?;
        let prefix = low.as_ref().map_or(0, |b| b.values.len());
        let any_type = match (any, scan.table.indexes.get(*index)) {
            (_, None) => {
                return fail(
                    "XX000",
                    format!("table {} has no index {index}", scan.table.name),
                )
            }
            (None, _) => None,
            (Some(_), Some(def)) => match def.keys.get(prefix) {
                Some(key) => Some(registry::get(key.typ)?),
                None => return fail("XX000", "an index probe beyond the index's columns"),
            },
        };
        let mut bound = |b: &Option<plan::Bound>| -> Res<Option<BoundNode>> {
            let Some(b) = b else { return Ok(None) };
            Ok(Some(BoundNode {
                values: self.program(&b.values)?,
                inclusive: b.inclusive,
                nulls: b.nulls.clone(),
            }))
        };
        let (low, high) = (bound(low)?, bound(high)?);
        let any = self.optional(any)?;
        Ok(IndexScanNode {
            scan,
            index: *index,
            low,
            high,
            any,
            any_type,
            backward: *backward,
        })
    }

    fn aggregate(&mut self, node: &Node) -> Res<AggregateNode> {
        let Node::Aggregate {
            input,
            keys,
            key_types,
            aggs,
            sorted,
            sets,
        } = node
        else {
            return fail("XX000", "not an aggregate");
        };
        let keys = self.program(keys)?;
        let aggs = aggs.iter().map(|a| self.agg(a)).collect::<Res<Vec<_>>>()?;
        let mut wanted = keys.looks_at.clone();
        for agg in &aggs {
            wanted.extend(&agg.args.looks_at);
            wanted.extend(agg.filter.iter().flat_map(|f| &f.looks_at));
        }
        Ok(AggregateNode {
            input: self.below(input, Some(wanted))?,
            keys,
            infos: infos(key_types)?,
            aggs,
            sorted: *sorted,
            sets: sets.clone(),
        })
    }

    fn agg(&mut self, call: &plan::Agg) -> Res<AggCall> {
        let orders = call
            .order
            .iter()
            .map(|k| {
                Ok(Order {
                    info: ordered(k.typ)?,
                    desc: k.desc,
                    nulls_first: k.nulls_first,
                })
            })
            .collect::<Res<Vec<_>>>()?;
        let args = self.program(call.args.iter().chain(call.order.iter().map(|k| &k.expr)))?;
        let arg_infos = if call.distinct {
            call.arg_types
                .iter()
                .map(|&t| ordered(t))
                .collect::<Res<Vec<_>>>()?
        } else {
            Vec::new()
        };
        Ok(AggCall {
            aggregate: agg::lookup(&call.func, &call.arg_types)?,
            info: CallInfo::new(&call.arg_types, call.typ),
            args,
            arg_count: call.args.len(),
            distinct: call.distinct,
            arg_infos,
            orders,
            filter: self.optional(&call.filter)?,
        })
    }

    fn table(&mut self, table: &plan::Table) -> Res<Arc<TableDef>> {
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

#[cfg(not(test))]
use self::set::lookup as find_set;

/// Tests of the executor bring one along.
#[cfg(test)]
fn find_set(func: &str) -> Option<&'static set::SetFunction> {
    crate::exec::tests::find_set(func).or_else(|| set::lookup(func))
}

fn infos(types: &[Oid]) -> Res<Vec<&'static registry::TypeInfo>> {
    types.iter().map(|&t| registry::get(t)).collect()
}
