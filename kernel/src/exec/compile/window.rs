//! Compiling windows and their frames.

use super::{infos, PlanCompiler};
use crate::base::error::fail;
use crate::base::{Oid, Res};
use crate::exec::nodes::*;
use crate::exec::plan::{self, Node};
use crate::expr::compile::call;
use crate::func::{agg, CallInfo};
use crate::types::oids;

impl PlanCompiler {
    pub(super) fn window(&mut self, node: &Node) -> Res<WindowNode> {
        let Node::Window {
            input,
            partition,
            partition_types,
            order,
            calls,
        } = node
        else {
            return fail("XX000", "not a window");
        };
        let input = self.node(input, false)?;
        let partition = self.program(partition)?;
        let order_type = order.first().map(|k| k.typ);
        let (order, orders) = self.sort_keys(order)?;
        let calls = calls
            .iter()
            .map(|c| self.window_call(c, order_type))
            .collect::<Res<Vec<_>>>()?;
        Ok(WindowNode {
            input,
            partition,
            partition_infos: infos(partition_types)?,
            order,
            orders,
            calls,
        })
    }

    pub(super) fn window_call(
        &mut self,
        call: &plan::WindowCall,
        order: Option<Oid>,
    ) -> Res<WindowCallNode> {
        let native = crate::exec::ops::is_window_function(&call.func);
        let aggregate = if native {
            None
        } else {
            Some(agg::lookup(&call.func, &call.arg_types)?)
        };
        Ok(WindowCallNode {
            func: call.func.clone(),
            args: self.program(&call.args)?,
            info: CallInfo::new(&call.arg_types, call.typ),
            aggregate,
            filter: self.optional(&call.filter)?,
            frame: self.frame(&call.frame, order)?,
        })
    }

    pub(super) fn frame(&mut self, frame: &plan::Frame, order: Option<Oid>) -> Res<FrameNode> {
        let mode = match frame.mode.as_str() {
            "rows" => FrameMode::Rows,
            "groups" => FrameMode::Groups,
            _ => FrameMode::Range,
        };
        let exclude = match frame.exclude.as_str() {
            "current row" => Exclude::Current,
            "group" => Exclude::Group,
            "ties" => Exclude::Ties,
            _ => Exclude::Nothing,
        };
        let offsets = frame.start.offset.is_some() || frame.end.offset.is_some();
        let range = match (mode, order) {
            (FrameMode::Range, Some(order)) if offsets => range_frame(order)?,
            _ => None,
        };
        Ok(FrameNode {
            mode,
            start: bound_kind(&frame.start, true),
            end: bound_kind(&frame.end, false),
            start_offset: self.optional(&frame.start.offset)?,
            end_offset: self.optional(&frame.end.offset)?,
            exclude,
            range,
        })
    }
}

fn bound_kind(bound: &plan::FrameBound, start: bool) -> BoundKind {
    match (bound.kind.as_str(), start) {
        ("unbounded" | "unbounded preceding", true) | ("unbounded preceding", false) => {
            BoundKind::UnboundedPreceding
        }
        ("unbounded" | "unbounded following", false) | ("unbounded following", true) => {
            BoundKind::UnboundedFollowing
        }
        ("preceding", _) => BoundKind::Preceding,
        ("following", _) => BoundKind::Following,
        _ => BoundKind::Current,
    }
}

/// How RANGE offsets are added to the order column; integers and floats need no functions.
fn range_frame(order: Oid) -> Res<Option<RangeFrame>> {
    let (plus, minus, typ, offset) = match order {
        oids::NUMERIC => ("numeric_add", "numeric_sub", order, oids::NUMERIC),
        oids::DATE | oids::TIMESTAMP => (
            "timestamp_pl_interval",
            "timestamp_mi_interval",
            oids::TIMESTAMP,
            oids::INTERVAL,
        ),
        oids::TIMESTAMPTZ => (
            "timestamptz_pl_interval",
            "timestamptz_mi_interval",
            order,
            oids::INTERVAL,
        ),
        oids::TIME => (
            "time_pl_interval",
            "time_mi_interval",
            order,
            oids::INTERVAL,
        ),
        oids::INTERVAL => ("interval_pl", "interval_mi", order, oids::INTERVAL),
        _ => return Ok(None),
    };
    Ok(Some(RangeFrame {
        plus: call(plus, &[typ, offset], typ)?,
        minus: call(minus, &[typ, offset], typ)?,
    }))
}
