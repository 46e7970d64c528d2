//! How fast the executor is by itself, over a table that is nothing but vectors. Run with
//! `cargo test --release --test exec_speed -- --ignored --nocapture`.

use _kernel::base::{Lsn, Oid, PageNo, Res, RowId};
use _kernel::exec::access::*;
use _kernel::exec::batch::{Batch, Vector};
use _kernel::exec::plan::LockMode;
use _kernel::exec::{Execution, Prepared};
use _kernel::expr::Setup;
use _kernel::types::Datum;
use serde_json::{json, Value};
use std::sync::Arc;
use std::time::Instant;

const ROWS: i64 = 1_000_000;

/// accounts(aid, bid, abalance) with ROWS rows.
struct Accounts;

struct Range {
    at: i64,
    end: i64,
    columns: Vec<usize>,
}

impl Cursor for Range {
    fn next(&mut self, max: usize, out: &mut Batch) -> Res<bool> {
        let to = (self.at + max as i64).min(self.end);
        for (k, column) in out.columns.iter_mut().enumerate() {
            let Vector::Int(values, _) = column else {
                continue;
            };
            match self.columns.get(k) {
                Some(0) | None => values.extend(self.at..to),
                Some(1) => values.extend((self.at..to).map(|i| i / 100_000)),
                Some(_) => values.extend((self.at..to).map(|i| i % 1000 - 500)),
            }
        }
        out.len += (to - self.at) as usize;
        self.at = to;
        Ok(self.at < self.end)
    }
}

impl Access for Accounts {
    fn scan(
        &self,
        _: &View,
        _: &Arc<TableDef>,
        columns: &[usize],
        part: usize,
        parts: usize,
    ) -> Res<Box<dyn Cursor>> {
        let share = ROWS / parts as i64;
        let at = share * part as i64;
        let end = if part + 1 == parts { ROWS } else { at + share };
        Ok(Box::new(Range {
            at,
            end,
            columns: columns.to_vec(),
        }))
    }

    fn index_scan(
        &self,
        _: &View,
        _: &Arc<TableDef>,
        _: usize,
        bounds: Bounds,
        _: bool,
        columns: &[usize],
    ) -> Res<Box<dyn Cursor>> {
        let at = match bounds.low.as_ref().and_then(|(v, _)| v.first()) {
            Some(Datum::Int(n)) => *n,
            _ => 0,
        };
        Ok(Box::new(Range {
            at,
            end: at + 1,
            columns: columns.to_vec(),
        }))
    }

    fn fetch(&self, _: &View, _: &Arc<TableDef>, _: RowId, _: &[usize]) -> Res<Option<Vec<Datum>>> {
        Ok(None)
    }

    fn insert(&self, _: &View, _: &Arc<TableDef>, _: &[Datum], _: &[Oid]) -> Res<Inserted> {
        Ok(Inserted::Row(RowId(0)))
    }

    fn update(&self, _: &View, _: &Arc<TableDef>, _: RowId, _: &[Datum], _: Lsn) -> Res<Wrote> {
        Ok(Wrote::Done)
    }

    fn delete(&self, _: &View, _: &Arc<TableDef>, _: RowId, _: Lsn) -> Res<Wrote> {
        Ok(Wrote::Done)
    }

    fn lock(
        &self,
        _: &View,
        _: &Arc<TableDef>,
        _: RowId,
        _: LockMode,
        _: Wait,
        _: Lsn,
    ) -> Res<Wrote> {
        Ok(Wrote::Done)
    }

    fn size(&self, _: &Arc<TableDef>) -> Res<(u64, u64)> {
        Ok((ROWS as u64 / 100, ROWS as u64))
    }

    fn nextval(&self, _: &View, _: PageNo) -> Res<i64> {
        Ok(1)
    }

    fn setval(&self, _: &View, _: PageNo, _: i64, _: bool) -> Res<()> {
        Ok(())
    }

    fn seqval(&self, _: &View, _: PageNo) -> Res<(i64, bool)> {
        Ok((1, true))
    }
}

fn table() -> Value {
    let column = |name: &str| json!({"name": name, "typ": 23, "typmod": -1, "dropped": false, "not_null": false, "missing": null});
    json!({"oid": 1000, "schema": "public", "name": "accounts", "root": 1, "overflow": 2,
        "columns": [column("aid"), column("bid"), column("abalance")],
        "indexes": [{"oid": 1001, "name": "accounts_pkey", "root": 3, "unique": true, "nulls_not_distinct": false,
            "keys": [{"column": 0, "desc": false, "nulls_first": false}]}]})
}

fn plan(root: Value, tag: &str) -> Arc<Prepared> {
    let plan = json!({"root": root, "output": [], "params": [23], "exec_params": 0, "subplans": [], "locks": [], "tag": tag,
        "writes": false, "catalog_version": 1});
    Prepared::compile(&plan.to_string()).expect("the plan compiles")
}

fn col(i: usize) -> Value {
    json!({"e": "col", "i": i, "typ": 23})
}

fn scan() -> Value {
    json!({"op": "scan", "table": table(), "columns": [0, 1, 2], "filter": null})
}

fn agg(func: &str, args: &[Value], typ: u32) -> Value {
    let types = vec![23; args.len()];
    json!({"func": func, "args": args, "arg_types": types, "typ": typ, "distinct": false, "filter": null, "order": []})
}

fn func(name: &str, a: Value, b: Value, typ: u32) -> Value {
    json!({"e": "func", "func": name, "args": [a, b], "arg_types": [23, 23], "typ": typ, "at": null})
}

fn int(n: i64) -> Value {
    json!({"e": "const", "typ": 23, "text": n.to_string()})
}

fn setup() -> Setup {
    let mut setup = Setup::bare();
    setup.access = Some(Arc::new(Accounts));
    setup.work_mem = 256 << 20;
    setup
}

fn drain(prepared: &Arc<Prepared>, setup: Setup, params: Vec<Datum>) -> usize {
    let mut execution = Execution::new(prepared.clone(), params, setup);
    let mut rows = 0;
    while let Some(batch) = execution.next(0).expect("it runs") {
        rows += batch.len;
    }
    rows
}

fn measure(name: &str, root: Value) {
    let prepared = plan(root, "SELECT");
    for workers in [1, 4] {
        let mut setup = setup();
        setup.workers = workers;
        drain(&prepared, setup.clone(), vec![]);
        let start = Instant::now();
        let rows = drain(&prepared, setup, vec![]);
        println!(
            "{name}, {workers} workers: {rows} rows in {:.1} ms",
            start.elapsed().as_secs_f64() * 1e3
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn point_queries() {
    let param = json!({"e": "param", "n": 0, "typ": 23});
    let bound = json!({"values": [param], "inclusive": true, "nulls": [false]});
    let lookup = json!({"op": "index_scan", "table": table(), "index": 0, "low": bound, "high": bound, "any": null,
        "backward": false, "columns": [2], "filter": null});
    let select = plan(
        json!({"op": "project", "input": lookup, "exprs": [col(0)]}),
        "SELECT",
    );
    let source = json!({"op": "index_scan", "table": table(), "index": 0, "low": bound, "high": bound, "any": null,
        "backward": false, "columns": [0, 1, 2], "filter": null});
    let update = plan(
        json!({"op": "update", "table": table(), "input": source, "row": 3, "set": [[2, func("int4pl", col(2), int(1), 23)]],
            "old": [[0, 0], [1, 1], [2, 2]], "recheck": null, "checks": [], "returning": null, "after": []}),
        "UPDATE",
    );
    for (name, prepared) in [("select", select), ("update", update)] {
        let base = setup();
        let start = Instant::now();
        const RUNS: u32 = 300_000;
        for i in 0..RUNS {
            drain(&prepared, base.clone(), vec![Datum::Int(i64::from(i))]);
        }
        println!("{name}: {:?} an execution", start.elapsed() / RUNS);
    }
}

#[test]
#[ignore = "a measurement"]
fn big_scans() {
    let over = |keys: &[Value], aggs: &[Value], input: Value| {
        let types = vec![23; keys.len()];
        json!({"op": "aggregate", "input": input, "keys": keys, "key_types": types, "aggs": aggs, "sorted": false, "sets": null})
    };
    let three = [
        agg("count", &[], 20),
        agg("sum", &[col(2)], 20),
        agg("avg", &[col(1)], 1700),
    ];
    measure("count, sum, avg", over(&[], &three, scan()));
    measure("the same by bid", over(&[col(1)], &three, scan()));
    measure("count by aid", over(&[col(0)], &three[..1], scan()));
    let mut filtered = scan();
    filtered["filter"] = func("int4gt", func("int4pl", col(2), int(7), 23), int(0), 16);
    measure("filtered sum", over(&[], &three[1..2], filtered));
    let keys = json!([{"expr": col(2), "typ": 23, "desc": false, "nulls_first": false}]);
    measure(
        "sort",
        json!({"op": "sort", "input": scan(), "keys": keys, "limit": null}),
    );
    measure(
        "top 10",
        json!({"op": "sort", "input": scan(), "keys": keys, "limit": int(10)}),
    );
    let join = json!({"op": "hash_join", "kind": "inner", "left": scan(), "right": scan(), "left_keys": [col(0)],
        "right_keys": [col(0)], "key_types": [23], "on": null, "left_width": 4, "right_width": 4});
    measure(
        "hash join of a million with itself",
        over(&[], &three[..1], join),
    );
}
