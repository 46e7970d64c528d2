//! What hash joins and merge joins have in common.

use crate::base::Res;
use crate::exec::keys::Order;
use crate::exec::nodes::*;
use crate::exec::plan::JoinKind;
use crate::expr::Program;
use crate::types::registry::TypeInfo;

/// A join of which everything but its inputs is compiled.
pub struct Keys {
    pub kind: JoinKind,
    pub left: Program,
    pub right: Program,
    pub infos: Vec<&'static TypeInfo>,
    pub orders: Vec<Order>,
    pub on: Option<Program>,
    pub left_width: usize,
    pub right_width: usize,
}

impl Keys {
    pub fn join(
        self,
        compiler: &mut PlanCompiler,
        above: &Above,
        left: &Node,
        right: &Node,
    ) -> Res<KeyJoinNode> {
        let width = self.left_width;
        let looked_at = match &self.on {
            Some(on) => above.and(on),
            None => above.wanted.clone(),
        };
        let (mut of_left, mut of_right) = (None, None);
        if let Some(columns) = &looked_at {
            let own = columns.range(..width).chain(&self.left.looks_at);
            of_left = Some(own.copied().collect());
            let other = columns.range(width..).map(|c| c - width);
            of_right = Some(other.chain(self.right.looks_at.iter().copied()).collect());
        }
        let columns = 0..width + self.right_width;
        let wanted = above.wanted.as_ref();
        Ok(KeyJoinNode {
            kind: self.kind,
            left: compiler.below(left, of_left)?,
            right: compiler.below(right, of_right)?,
            left_keys: self.left,
            right_keys: self.right,
            infos: self.infos,
            orders: self.orders,
            on: self.on,
            left_width: width,
            right_width: self.right_width,
            wanted: wanted.map_or(Vec::new(), |wanted| {
                columns.map(|c| wanted.contains(&c)).collect()
            }),
        })
    }
}

pub struct KeyJoinNode {
    pub kind: JoinKind,
    pub left: PNode,
    pub right: PNode,
    pub left_keys: Program,
    pub right_keys: Program,
    pub infos: Vec<&'static TypeInfo>,
    /// Merge joins: how both sides are sorted by their keys.
    pub orders: Vec<Order>,
    pub on: Option<Program>,
    pub left_width: usize,
    pub right_width: usize,
    /// Which columns of both sides somebody above looks at; empty: all. The others' values are not to be relied on.
    pub wanted: Vec<bool>,
}
