//! VALUES of very many literals.

use super::PlanCompiler;
use crate::base::error::fail;
use crate::base::{Oid, Res};
use crate::exec::nodes::{LiteralRowsNode, LiteralShapeNode};
use crate::exec::plan::{Expr, Node};
use crate::types::registry;

impl PlanCompiler {
    pub(super) fn literal_rows(&mut self, node: &Node) -> Res<LiteralRowsNode> {
        let Node::LiteralRows {
            text,
            columns,
            outputs,
            types,
        } = node
        else {
            return fail("XX000", "not rows of literals");
        };
        let mut values = Vec::new();
        let mut shape = |(key, typ): &(String, Option<Oid>)| {
            let mut value = None;
            if let Some(typ) = typ {
                value = Some((values.len(), registry::get(*typ)?));
                values.push(*typ);
            }
            let key = key.as_bytes().to_vec();
            Ok(LiteralShapeNode { key, value })
        };
        let columns = columns
            .iter()
            .map(|shapes| shapes.iter().map(&mut shape).collect())
            .collect::<Res<_>>()?;
        let output = |(column, exprs): &(Option<usize>, Vec<Expr>)| {
            let programs = exprs.iter().map(|expr| self.program([expr]));
            Ok((*column, programs.collect::<Res<_>>()?))
        };
        Ok(LiteralRowsNode {
            text: *text,
            columns,
            outputs: outputs.iter().map(output).collect::<Res<_>>()?,
            values,
            types: types.clone(),
        })
    }
}
