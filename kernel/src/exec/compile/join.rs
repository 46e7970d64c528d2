//! Compiling joins by keys.

use super::{and, infos, PlanCompiler, Wanted};
use crate::base::error::fail;
use crate::base::Res;
use crate::exec::keys::Order;
use crate::exec::nodes::*;
use crate::exec::plan::{JoinKind, Node};
use crate::expr::Program;
use crate::types::registry::TypeInfo;
use std::collections::BTreeSet;
use std::sync::Arc;

impl PlanCompiler {
    pub(super) fn key_join(&mut self, node: &Node, wanted: &Wanted) -> Res<Kind> {
        let (Node::HashJoin {
            kind,
            left,
            right,
            right_keys,
            on,
            left_width,
            right_width,
            ..
        }
        | Node::MergeJoin {
            kind,
            left,
            right,
            right_keys,
            on,
            left_width,
            right_width,
            ..
        }) = node
        else {
            return fail("XX000", "not a join");
        };
        let (left_keys, infos, orders) = self.left_keys(node)?;
        let right_keys = self.program(right_keys)?;
        let on = self.optional(on)?;
        let above = match &on {
            Some(on) => and(wanted, on),
            None => wanted.clone(),
        };
        let (mut of_left, mut of_right) = (None, None);
        if let Some(above) = &above {
            let split = |of: &BTreeSet<usize>| of.range(..*left_width).copied().collect();
            let rest = above.range(*left_width..).map(|c| c - left_width).collect();
            of_left = and(&Some(split(above)), &left_keys);
            of_right = and(&Some(rest), &right_keys);
        }
        let columns = 0..left_width + right_width;
        let join = Arc::new(KeyJoinNode {
            kind: *kind,
            left: self.below(left, of_left)?,
            right: self.below(right, of_right)?,
            left_keys,
            right_keys,
            infos,
            orders,
            on,
            left_width: *left_width,
            right_width: *right_width,
            wanted: wanted.as_ref().map_or(Vec::new(), |wanted| {
                columns.map(|c| wanted.contains(&c)).collect()
            }),
        });
        Ok(if matches!(node, Node::MergeJoin { .. }) {
            Kind::MergeJoin(join)
        } else {
            Kind::HashJoin(join)
        })
    }

    /// A join's left keys, their types, and their order if it needs one.
    fn left_keys(&mut self, node: &Node) -> Res<(Program, Vec<&'static TypeInfo>, Vec<Order>)> {
        match node {
            Node::HashJoin {
                left_keys,
                key_types,
                ..
            } => Ok((self.program(left_keys)?, infos(key_types)?, Vec::new())),
            Node::MergeJoin {
                kind, left_keys, ..
            } if !matches!(kind, JoinKind::NullAnti | JoinKind::Mark) => {
                let (program, orders) = self.sort_keys(left_keys)?;
                Ok((program, orders.iter().map(|o| o.info).collect(), orders))
            }
            _ => fail("XX000", "not a join by keys of this kind"),
        }
    }
}
