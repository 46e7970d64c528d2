//! How many columns a plan node puts out.

use super::plan::{JoinKind, Node};

pub fn width(node: &Node) -> usize {
    match node {
        Node::Single {} => 0,
        Node::Empty { width } | Node::CteScan { width, .. } | Node::WorkScan { width, .. } => {
            *width
        }
        Node::Values { types, .. }
        | Node::LiteralRows { types, .. }
        | Node::HostScan { types, .. } => types.len(),
        Node::SetOp { types, .. } | Node::Recursive { types, .. } => types.len(),
        Node::FunctionScan { calls, ordinality } => {
            calls.iter().map(|c| c.types.len()).sum::<usize>() + usize::from(*ordinality)
        }
        Node::Scan { columns, .. } | Node::IndexScan { columns, .. } => columns.len() + 1,
        Node::Filter { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. }
        | Node::Distinct { input, .. }
        | Node::With { input, .. }
        | Node::LockRows { input, .. } => width(input),
        Node::Project { exprs, .. } => exprs.len(),
        Node::ProjectSet { exprs, .. } => exprs.len(),
        Node::NestedLoop {
            kind,
            left,
            right_width,
            ..
        } => joined(*kind, width(left), *right_width),
        Node::HashJoin {
            kind,
            left_width,
            right_width,
            ..
        }
        | Node::MergeJoin {
            kind,
            left_width,
            right_width,
            ..
        } => joined(*kind, *left_width, *right_width),
        Node::Aggregate { keys, aggs, .. } => keys.len() + aggs.len(),
        Node::Window { input, calls, .. } => width(input) + calls.len(),
        Node::Append { inputs } => inputs.first().map_or(0, width),
        Node::Insert(n) => n.returning.as_ref().map_or(0, Vec::len),
        Node::Update(n) => n.returning.as_ref().map_or(0, Vec::len),
        Node::Delete(n) => n.returning.as_ref().map_or(0, Vec::len),
    }
}

fn joined(kind: JoinKind, left: usize, right: usize) -> usize {
    match kind {
        JoinKind::Semi | JoinKind::Anti | JoinKind::NullAnti => left,
        JoinKind::Mark => left + 1,
        _ => left + right,
    }
}

/// A node's inputs, in the order in which they are compiled and numbered.
pub fn children(node: &Node) -> Vec<&Node> {
    match node {
        Node::Filter { input, .. }
        | Node::Project { input, .. }
        | Node::ProjectSet { input, .. }
        | Node::Sort { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Window { input, .. }
        | Node::Limit { input, .. }
        | Node::Distinct { input, .. }
        | Node::LockRows { input, .. } => vec![input],
        Node::NestedLoop { left, right, .. }
        | Node::HashJoin { left, right, .. }
        | Node::MergeJoin { left, right, .. }
        | Node::SetOp { left, right, .. } => vec![left, right],
        Node::Append { inputs } => inputs.iter().collect(),
        Node::With { cte, input, .. } => vec![cte, input],
        Node::Recursive { start, step, .. } => vec![start, step],
        Node::Insert(n) => vec![&n.input],
        Node::Update(n) => vec![&n.input],
        Node::Delete(n) => vec![&n.input],
        Node::Single {}
        | Node::Empty { .. }
        | Node::Values { .. }
        | Node::LiteralRows { .. }
        | Node::FunctionScan { .. }
        | Node::HostScan { .. }
        | Node::Scan { .. }
        | Node::IndexScan { .. }
        | Node::CteScan { .. }
        | Node::WorkScan { .. } => Vec::new(),
    }
}

/// How many nodes a tree has.
pub fn count(node: &Node) -> usize {
    1 + children(node).into_iter().map(count).sum::<usize>()
}
