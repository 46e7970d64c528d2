//! Rows of literals, read from a statement's text while the plan runs.
//!
//! All of them are read once before the first row goes out: a literal that is not of its type is an error before anything is written, as
//! it is where the statement is analysed.

use crate::base::cells::Cells;
use crate::base::error::fail;
use crate::base::lexer::Literal;
use crate::base::{pace, Oid, Res, SqlError, Stop};
use crate::exec::batch::{Batch, Vector, BATCH_ROWS};
use crate::exec::nodes::*;
use crate::exec::plan::Expr;
use crate::expr::{Env, Operator, Program, State};
use crate::types::registry::{self, TypeInfo};
use crate::types::Datum;
use serde::Deserialize;
use std::sync::Arc;

/// VALUES of very many literals (`base::folding`): the rows are read from a parameter's text.
#[derive(Debug, Deserialize)]
pub struct LiteralRows {
    /// Number, from 0, of the parameter that is the text; the next one says how many characters stand before it.
    pub text: usize,
    /// What each column's cells look like: the key by which a cell is known, and of what type its literal is read.
    pub columns: Vec<Vec<(String, Option<Oid>)>>,
    /// A column that comes out: by the shape of the cell in some column, or always the first. Expressions see the literals of
    /// the row, one for each shape that has one.
    pub outputs: Vec<(Option<usize>, Vec<Expr>)>,
    pub types: Vec<Oid>,
}

impl PlanNode for LiteralRows {
    fn width(&self) -> usize {
        self.types.len()
    }

    fn compile(&self, compiler: &mut PlanCompiler, _: &Above) -> Res<Compiled> {
        let mut values = Vec::new();
        let mut shape = |(key, typ): &(String, Option<Oid>)| {
            let mut value = None;
            if let Some(typ) = typ {
                value = Some((values.len(), registry::get(*typ)?));
                values.push(*typ);
            }
            let key = key.as_bytes().to_vec();
            Ok(LiteralShape { key, value })
        };
        let columns = self.columns.iter();
        let columns = columns
            .map(|shapes| shapes.iter().map(&mut shape).collect())
            .collect::<Res<_>>()?;
        let output = |(column, exprs): &(Option<usize>, Vec<Expr>)| {
            let programs = exprs.iter().map(|expr| compiler.program([expr]));
            Ok((*column, programs.collect::<Res<_>>()?))
        };
        Ok(Arc::new(LiteralRowsNode {
            text: self.text,
            columns,
            outputs: self.outputs.iter().map(output).collect::<Res<_>>()?,
            values,
            types: self.types.clone(),
        }))
    }
}

struct LiteralShape {
    key: Vec<u8>,
    /// Which value of the row its literal is, and its type.
    value: Option<(usize, &'static TypeInfo)>,
}

pub struct LiteralRowsNode {
    text: usize,
    columns: Vec<Vec<LiteralShape>>,
    /// Types of the literals of a row.
    values: Vec<Oid>,
    /// The column whose cell's shape decides, and a program for each shape.
    outputs: Vec<(Option<usize>, Vec<Program>)>,
    types: Vec<Oid>,
}

impl CompiledNode for LiteralRowsNode {
    fn open(self: Arc<Self>, _: &Opener) -> Op {
        Box::new(LiteralRowsState::new(self))
    }

    fn is_values(&self) -> bool {
        true
    }
}

pub struct LiteralRowsState {
    node: Arc<LiteralRowsNode>,
    /// The byte of the text where the next row begins; none: there is none.
    at: Option<usize>,
    checked: bool,
    batch: Option<Read>,
}

/// A batch that was read, and how much of it is computed.
struct Read {
    values: Batch,
    /// The shapes of the cells, by column.
    shapes: Vec<Vec<u8>>,
    out: Vec<Vector>,
    /// Of the output under way: the values of shapes that are done.
    parts: Vec<(Vec<u32>, Vector)>,
    state: State,
}

impl LiteralRowsState {
    pub fn new(node: Arc<LiteralRowsNode>) -> LiteralRowsState {
        LiteralRowsState {
            node,
            at: Some(0),
            checked: false,
            batch: None,
        }
    }

    /// Up to so many rows from the text.
    fn read(&mut self, env: &Env) -> Res<Option<Read>> {
        let params = env.params.clone();
        let (Some(Datum::Text(text)), Some(Datum::Int(before))) =
            (params.get(self.node.text), params.get(self.node.text + 1))
        else {
            return fail("XX000", "the text of folded rows is not bound");
        };
        let Some(at) = self.at else {
            return Ok(None);
        };
        let mut reader = Reader {
            cells: Cells::new(text, at),
            text,
            before: *before,
            env,
        };
        let mut read = Read {
            values: Batch::of_types(&self.node.values, BATCH_ROWS),
            shapes: vec![Vec::with_capacity(BATCH_ROWS); self.node.columns.len()],
            out: Vec::new(),
            parts: Vec::new(),
            state: State::default(),
        };
        let (mut at, mut more) = (at, true);
        while more && read.values.len < BATCH_ROWS {
            match reader.row(&self.node, &mut read) {
                Ok(again) => more = again,
                // A long value wants a worker thread: what stands before it is enough for now.
                Err(Stop::Need(_)) if read.values.len > 0 => break,
                Err(stop) => return Err(stop),
            }
            at = reader.cells.at();
        }
        self.at = more.then_some(at);
        Ok(Some(read))
    }

    /// The batch's columns, one after the other.
    fn compute(&mut self, env: &mut Env) -> Res<Batch> {
        let Some(read) = &mut self.batch else {
            return fail("XX000", "no rows were read");
        };
        let len = read.values.len;
        while let Some((column, programs)) = self.node.outputs.get(read.out.len()) {
            let shapes = column.and_then(|column| read.shapes.get(column));
            match (shapes, programs.as_slice()) {
                (None, [program, ..]) | (_, [program]) => {
                    let vector = program.column(env, &mut read.state, &read.values)?;
                    read.state = State::default();
                    read.out.push(vector);
                }
                (Some(shapes), programs) => {
                    while let Some(program) = programs.get(read.parts.len()) {
                        let shape = read.parts.len();
                        let rows = (0..len as u32)
                            .filter(|&row| usize::from(shapes[row as usize]) == shape)
                            .collect::<Vec<_>>();
                        let some = pick(&read.values, &rows, &program.looks_at);
                        let vector = match rows.is_empty() {
                            true => Vector::default(),
                            false => program.column(env, &mut read.state, &some)?,
                        };
                        read.state = State::default();
                        read.parts.push((rows, vector));
                    }
                    let typ = self.node.types.get(read.out.len()).copied();
                    let merged = merge(len, std::mem::take(&mut read.parts));
                    read.out
                        .push(Vector::from_datums(typ.unwrap_or_default(), merged));
                }
                (None, []) => return fail("XX000", "a column of folded rows has no expression"),
            }
        }
        let columns = std::mem::take(&mut read.out);
        self.batch = None;
        Ok(Batch { columns, len })
    }
}

/// Some rows, of the columns that are looked at.
fn pick(values: &Batch, rows: &[u32], looks_at: &std::collections::BTreeSet<usize>) -> Batch {
    let columns = values.columns.iter().enumerate();
    let columns = columns.map(|(at, column)| match looks_at.contains(&at) {
        true => column.gather(rows),
        false => Vector::default(),
    });
    Batch {
        columns: columns.collect(),
        len: rows.len(),
    }
}

fn merge(len: usize, parts: Vec<(Vec<u32>, Vector)>) -> Vec<Datum> {
    let mut merged = vec![Datum::Null; len];
    for (rows, vector) in parts {
        for (at, row) in rows.into_iter().enumerate() {
            merged[row as usize] = vector.get(at);
        }
    }
    merged
}

struct Reader<'a> {
    cells: Cells<'a>,
    text: &'a str,
    before: i64,
    env: &'a Env,
}

impl Reader<'_> {
    /// One row; true: another one follows.
    fn row(&mut self, node: &LiteralRowsNode, read: &mut Read) -> Res<bool> {
        let mut values = vec![Datum::Null; node.values.len()];
        let mut found = Vec::with_capacity(node.columns.len());
        self.bracket(b'(')?;
        for (place, shapes) in node.columns.iter().enumerate() {
            if place > 0 {
                self.bracket(b',')?;
            }
            let Some(literal) = self.cells.cell() else {
                return broken();
            };
            let Some(shape) = self.shape(shapes) else {
                return broken();
            };
            found.push(shape);
            if let (Some(literal), Some((value, info))) = (literal, shapes[shape].value) {
                values[value] = self.value(&literal, info)?;
            }
        }
        self.bracket(b')')?;
        for (column, shape) in read.shapes.iter_mut().zip(found) {
            column.push(shape as u8);
        }
        read.values.push_values(values);
        Ok(self.cells.take(b',') == Some(true))
    }

    fn bracket(&mut self, byte: u8) -> Res<()> {
        match self.cells.take(byte) {
            Some(true) => Ok(()),
            _ => broken(),
        }
    }

    fn shape(&self, shapes: &[LiteralShape]) -> Option<usize> {
        shapes
            .iter()
            .position(|shape| shape.key == self.cells.shape)
    }

    fn value(&self, literal: &Literal<'_>, info: &TypeInfo) -> Res<Datum> {
        pace::heavy(literal.value.len())?;
        match info.input(&literal.value, -1, &self.env.setup.settings) {
            Err(Stop::Error(error)) => Err(Stop::Error(self.placed(error, literal.at))),
            result => result,
        }
    }

    /// With the literal's place in the statement.
    fn placed(&self, mut error: Box<SqlError>, at: usize) -> Box<SqlError> {
        let before = self.text.get(..at).map_or(0, |text| text.chars().count());
        error.position = u32::try_from(self.before + before as i64 + 1).ok();
        error
    }
}

/// They were read once already, when the statement was folded.
fn broken<T>() -> Res<T> {
    fail("XX000", "the text of folded rows is not what it was")
}

impl Operator for LiteralRowsState {
    fn next(&mut self, env: &mut Env) -> Res<Option<Batch>> {
        while !self.checked {
            env.tick(BATCH_ROWS)?;
            if self.read(env)?.is_none() {
                (self.checked, self.at) = (true, Some(0));
            }
        }
        if self.batch.is_none() {
            env.tick(BATCH_ROWS)?;
            self.batch = self.read(env)?;
            if self.batch.is_none() {
                return Ok(None);
            }
        }
        self.compute(env).map(Some)
    }

    fn rescan(&mut self, _: &mut Env) -> Res<()> {
        (self.at, self.batch) = (Some(0), None);
        Ok(())
    }
}
