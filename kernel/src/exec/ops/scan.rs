//! Scans of tables, with their filters.

use super::keyjoin::KeyJoinNode;
use super::parallel::pure;
use crate::base::error::fail;
use crate::base::Oid;
use crate::base::Res;
use crate::exec::access::Cursor;
use crate::exec::access::TableDef;
use crate::exec::batch::{Batch, BATCH_ROWS};
use crate::exec::nodes::*;
use crate::exec::plan::{Expr, Table};
use crate::expr::Program;
use crate::expr::{Env, Operator, State};
use crate::types::oids;
use serde::Deserialize;
use std::sync::Arc;

/// All rows of a table.
#[derive(Debug, Deserialize)]
pub struct Scan {
    pub table: Table,
    pub columns: Vec<usize>,
    pub filter: Option<Expr>,
}

impl PlanNode for Scan {
    fn width(&self) -> usize {
        self.columns.len() + 1
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let scan = ScanNode::new(compiler, &self.table, &self.columns, &self.filter)?;
        Ok(Arc::new(scan))
    }
}

pub struct ScanNode {
    pub table: Arc<TableDef>,
    pub columns: Vec<usize>,
    /// The columns' types, then the row id's.
    types: Vec<Oid>,
    filter: Option<Program>,
}

impl ScanNode {
    pub fn new(
        compiler: &mut PlanCompiler,
        table: &Table,
        columns: &[usize],
        filter: &Option<Expr>,
    ) -> Res<ScanNode> {
        let table = compiler.table(table)?;
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
            filter: compiler.optional(filter)?,
        })
    }
}

impl CompiledNode for ScanNode {
    fn open(self: Arc<Self>, opener: &Opener) -> Op {
        Box::new(ScanState::new(self, opener.part))
    }

    fn scan_below<'n>(&'n self, _: &mut Vec<&'n Arc<KeyJoinNode>>) -> Option<&'n ScanNode> {
        self.filter.as_ref().is_none_or(pure).then_some(self)
    }
}

/// A cursor and the batch it has filled, until the filter has seen it.
#[derive(Default)]
pub struct Reading {
    pub cursor: Option<Box<dyn Cursor>>,
    batch: Option<Batch>,
    more: bool,
    state: State,
    rows: usize,
}

impl Reading {
    pub fn start(&mut self, cursor: Box<dyn Cursor>, rows: usize) {
        self.cursor = Some(cursor);
        self.batch = None;
        self.more = true;
        self.rows = rows;
    }

    /// The next rows that pass the filter, or nothing when the cursor has ended.
    pub fn next(&mut self, node: &ScanNode, env: &mut Env) -> Res<Option<Batch>> {
        loop {
            if self.batch.is_none() {
                let Some(cursor) = self.cursor.as_mut().filter(|_| self.more) else {
                    return Ok(None);
                };
                env.tick(self.rows)?;
                let mut batch = Batch::of_types(&node.types, self.rows);
                let more = cursor.next(self.rows, &mut batch);
                // A cursor may have handed out rows before it had to wait: none of them may be lost.
                match more {
                    Ok(more) => self.more = more,
                    Err(stop) if batch.len == 0 => return Err(stop),
                    Err(stop) if !stop.is_need() => return Err(stop),
                    Err(_) => {}
                }
                self.rows = (self.rows * 4).min(BATCH_ROWS);
                if batch.len == 0 {
                    continue;
                }
                self.batch = Some(batch);
            }
            let batch = self.batch.as_ref().expect("filled above");
            let kept = match &node.filter {
                None => None,
                Some(filter) => filter.filter(env, &mut self.state, batch)?,
            };
            let batch = self.batch.take().expect("filled above");
            match kept {
                None => return Ok(Some(batch)),
                Some(rows) if rows.is_empty() => {}
                Some(rows) => return Ok(Some(batch.gather(&rows))),
            }
        }
    }
}

pub struct ScanState {
    node: Arc<ScanNode>,
    reading: Reading,
    part: (usize, usize),
}

impl ScanState {
    pub fn new(node: Arc<ScanNode>, part: (usize, usize)) -> ScanState {
        ScanState {
            node,
            reading: Reading::default(),
            part,
        }
    }
}

impl Operator for ScanState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        if self.reading.cursor.is_none() {
            let access = env.access()?;
            let (part, parts) = self.part;
            let node = &self.node;
            let cursor = access.scan(&env.setup.view, &node.table, &node.columns, part, parts)?;
            self.reading.start(cursor, BATCH_ROWS / 4);
        }
        self.reading.next(&self.node, env)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        self.reading = Reading::default();
        Ok(())
    }
}
