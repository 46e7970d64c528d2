//! Plans over tables in memory. Each plan runs without waiting, then again with a `Need` at every legal point, chosen by
//! seed: the result must be the same.

mod bounded;
mod explain;
mod expressions;
mod functions;
mod joins;
mod members;
mod memory;
mod mergejoin;
mod modify;
mod numbered;
mod queries;
mod spill;
mod windows;

pub use functions::{find_set, lookup};
pub use memory::{Memory, TestSpill};

use super::run::{Execution, Prepared};
use crate::base::Stop;
use crate::expr::Setup;
use crate::types::{registry, settings::Settings, Datum};
use serde_json::{json, Value};
use std::sync::Arc;

pub const INT4: u32 = 23;
pub const INT8: u32 = 20;
pub const TEXT: u32 = 25;
pub const BOOL: u32 = 16;

pub fn int(n: i64) -> Value {
    json!({"e": "const", "typ": INT4, "text": n.to_string()})
}

pub fn text(s: &str) -> Value {
    json!({"e": "const", "typ": TEXT, "text": s})
}

pub fn nil(typ: u32) -> Value {
    json!({"e": "const", "typ": typ, "text": null})
}

pub fn boolean(b: bool) -> Value {
    json!({"e": "const", "typ": BOOL, "text": if b { "t" } else { "f" }})
}

pub fn col(i: usize, typ: u32) -> Value {
    json!({"e": "col", "i": i, "typ": typ})
}

pub fn c(i: usize) -> Value {
    col(i, INT4)
}

pub fn exec(n: usize) -> Value {
    json!({"e": "exec", "n": n, "typ": INT4})
}

/// A function of int4s.
pub fn f(func: &str, args: &[Value]) -> Value {
    let (name, typ) = match func {
        "eq" | "lt" | "gt" => (format!("int4{func}"), BOOL),
        "mul" | "div" | "mod" => (format!("int4{func}"), INT4),
        "add" => ("int4pl".to_string(), INT4),
        _ => (format!("test_{func}"), INT4),
    };
    let types = vec![INT4; args.len()];
    json!({"e": "func", "func": name, "args": args, "arg_types": types, "typ": typ, "at": null})
}

pub fn and(args: &[Value]) -> Value {
    json!({"e": "and", "args": args})
}

/// Table t(id int4 primary key, grp int4, name text), as the memory access holds it.
pub fn table() -> Value {
    json!({
        "oid": 1000, "schema": "public", "name": "t", "root": 1, "overflow": 2,
        "columns": [
            {"name": "id", "typ": INT4, "typmod": -1, "dropped": false, "not_null": true, "missing": null},
            {"name": "grp", "typ": INT4, "typmod": -1, "dropped": false, "not_null": false, "missing": null},
            {"name": "name", "typ": TEXT, "typmod": -1, "dropped": false, "not_null": false, "missing": null},
        ],
        "indexes": [{
            "oid": 1001, "name": "t_pkey", "root": 3, "unique": true, "nulls_not_distinct": false,
            "keys": [{"column": 0, "desc": false, "nulls_first": false}],
        }],
    })
}

/// All columns of t, then its row id.
pub fn scan() -> Value {
    json!({"op": "scan", "table": table(), "columns": [0, 1, 2], "filter": null})
}

pub fn values(types: &[u32], rows: &[Vec<Value>]) -> Value {
    json!({"op": "values", "rows": rows, "types": types})
}

/// Rows of int4s; `None` is null.
pub fn ints(rows: &[&[Option<i64>]]) -> Value {
    let width = rows.first().map_or(0, |r| r.len());
    let rows: Vec<Vec<Value>> = rows
        .iter()
        .map(|r| r.iter().map(|v| v.map_or_else(|| nil(INT4), int)).collect())
        .collect();
    values(&vec![INT4; width], &rows)
}

pub fn project(input: Value, exprs: &[Value]) -> Value {
    json!({"op": "project", "input": input, "exprs": exprs})
}

pub fn filter(input: Value, test: Value) -> Value {
    json!({"op": "filter", "input": input, "test": test})
}

pub fn key(expr: Value, typ: u32, desc: bool) -> Value {
    json!({"expr": expr, "typ": typ, "desc": desc, "nulls_first": desc})
}

pub fn sort(input: Value, keys: &[Value]) -> Value {
    json!({"op": "sort", "input": input, "keys": keys, "limit": null})
}

pub fn agg(func: &str, args: &[Value], typ: u32) -> Value {
    let arg_types: Vec<u32> = args.iter().map(|_| INT4).collect();
    json!({"func": func, "args": args, "arg_types": arg_types, "typ": typ, "distinct": false, "filter": null, "order": []})
}

/// A whole plan.
pub struct Case {
    pub root: Value,
    pub subplans: Vec<Value>,
    pub tag: &'static str,
    pub params: Vec<Datum>,
    pub memory: Memory,
    pub setup: Box<dyn Fn(&mut Setup)>,
}

pub fn case(root: Value) -> Case {
    Case {
        root,
        subplans: Vec::new(),
        tag: "SELECT",
        params: Vec::new(),
        memory: Memory::default(),
        setup: Box::new(|_| {}),
    }
}

pub struct Outcome {
    /// Rows as text, or the error as "code: message" with its detail.
    pub text: String,
    pub tag: String,
    pub tables: String,
    pub needs: usize,
}

impl Case {
    pub fn prepared(&self) -> Arc<Prepared> {
        let plan = json!({
            "root": self.root, "output": [], "params": [], "exec_params": 16, "subplans": self.subplans,
            "locks": [], "tag": self.tag, "command": self.tag, "writes": self.tag != "SELECT", "catalog_version": 1,
        });
        match Prepared::compile(&plan.to_string()) {
            Ok(prepared) => prepared,
            Err(stop) => panic!("plan does not compile: {stop:?}"),
        }
    }

    /// One run; `seed` 0 never waits.
    pub fn run(&self, prepared: &Arc<Prepared>, seed: u64) -> Outcome {
        let memory = Arc::new(self.memory.fresh(seed));
        let mut setup = Setup::bare();
        setup.access = Some(memory.clone());
        setup.view.command = 1;
        setup.slice = if seed == 0 { 0 } else { 1 + seed % 7 };
        (self.setup)(&mut setup);
        if let Some(spill) = &self.memory.spill {
            setup.spill = Some(Arc::new(spill.fresh(seed)));
        }
        let mut execution = Execution::new(prepared.clone(), self.params.clone(), setup);
        let (mut lines, mut needs) = (Vec::new(), 0);
        let text = loop {
            match execution.next(0) {
                Ok(Some(batch)) => {
                    for row in 0..batch.len {
                        lines.push(
                            batch
                                .row(row)
                                .iter()
                                .map(show)
                                .collect::<Vec<_>>()
                                .join(" "),
                        );
                    }
                }
                Ok(None) => break lines.join("\n"),
                Err(Stop::Need(_)) => {
                    needs += 1;
                    assert!(needs < 1_000_000, "no progress");
                }
                Err(Stop::Error(error)) => {
                    let detail = error
                        .detail
                        .as_ref()
                        .map_or(String::new(), |d| format!(" ({d})"));
                    break format!("{}: {}{detail}", error.code_str(), error.message);
                }
            }
        };
        Outcome {
            text,
            tag: execution.command_tag(),
            tables: memory.show(),
            needs,
        }
    }

    /// Runs without waiting and with waiting everywhere; all must agree. The first outcome.
    pub fn outcome(&self) -> Outcome {
        let prepared = self.prepared();
        let calm = self.run(&prepared, 0);
        assert_eq!(calm.needs, 0, "waits where nothing has to be waited for");
        for seed in 1..24 {
            let waited = self.run(&prepared, seed);
            assert_eq!(waited.text, calm.text, "seed {seed}");
            assert_eq!(waited.tag, calm.tag, "seed {seed}");
            assert_eq!(waited.tables, calm.tables, "seed {seed}");
        }
        calm
    }

    pub fn gives(&self, rows: &str) {
        let text = self.outcome().text;
        let wanted: Vec<&str> = rows.trim().lines().map(str::trim).collect();
        assert_eq!(text, wanted.join("\n"));
    }
}

pub fn gives(root: Value, rows: &str) {
    case(root).gives(rows);
}

/// A value as text, by what it holds.
pub fn show(value: &Datum) -> String {
    let settings = Settings::default();
    let by = |typ: u32, value: &Datum| {
        registry::get(crate::base::Oid(typ))
            .and_then(|t| t.text(value, &settings))
            .unwrap_or_else(|_| "?".into())
    };
    match value {
        Datum::Null => "null".into(),
        Datum::Bool(b) => b.to_string(),
        Datum::Int(i) => i.to_string(),
        Datum::Float(f) => f.to_string(),
        Datum::Text(t) => t.to_string(),
        Datum::Numeric(_) => by(1700, value),
        Datum::Array(a) => format!(
            "{:?}[{}]",
            a.dims,
            a.values.iter().map(show).collect::<Vec<_>>().join(",")
        ),
        Datum::Record(r) => format!(
            "({})",
            r.values.iter().map(show).collect::<Vec<_>>().join(",")
        ),
        other => format!("{other:?}"),
    }
}
