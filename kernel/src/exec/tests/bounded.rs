//! What partitions do not help with keeps to work_mem all the same: one key's rows of a hash join, NOT IN over several columns, grouping
//! sets, and the actions for a statement's end.

use super::spill::{mixed, same_when_spilled, series};
use super::*;

/// 20,000 rows with the one key 1, their numbers, and a text.
fn one_key() -> Value {
    project(mixed(20_000), &[int(1), c(0), col(1, TEXT)])
}

/// 12 rows; half of them have key 1.
fn few() -> Value {
    project(series(12), &[c(0), f("mod", &[c(0), int(2)])])
}

fn join(kind: &str, on: Option<Value>) -> Value {
    json!({"op": "hash_join", "kind": kind, "left": few(), "right": one_key(), "left_keys": [c(1)], "right_keys": [c(0)],
        "key_types": [INT4], "on": on, "left_width": 2, "right_width": 3})
}

#[test]
fn rows_of_one_key_are_joined_by_pieces() {
    // Each of the six left rows with key 1 has one partner, all in different places of the right side; none beyond 11 * 2,000.
    let on = f("eq", &[f("mul", &[c(0), int(1_600)]), c(3)]);
    for (kind, count) in [
        ("inner", 6),
        ("left", 12),
        ("right", 20_000),
        ("full", 20_006),
        ("semi", 6),
        ("anti", 6),
        ("mark", 12),
        ("scalar", 12),
    ] {
        same_when_spilled(join(kind, Some(on.clone())), count);
    }
    for (kind, count) in [
        ("inner", 120_000),
        ("left", 120_006),
        ("semi", 6),
        ("anti", 6),
        ("null_anti", 6),
        ("mark", 12),
    ] {
        same_when_spilled(join(kind, None), count);
    }
}

#[test]
fn a_second_partner_in_another_piece_is_a_second_row_of_a_subquery() {
    // Partners 1 and 19,001, for one left row.
    let on = f("eq", &[f("mod", &[c(3), int(19_000)]), c(0)]);
    let mut plan = case(join("scalar", Some(on)));
    plan.memory.spill = Some(TestSpill::new(usize::MAX));
    plan.setup = Box::new(|setup| {
        setup.work_mem = 64 << 10;
        setup.slice = 0;
    });
    assert_eq!(
        plan.outcome().text,
        "21000: more than one row returned by a subquery used as an expression"
    );
}

#[test]
fn not_in_over_several_columns_need_not_fit() {
    let pairs = project(series(20_000), &[c(0), f("mod", &[c(0), int(1_000)])]);
    let right = json!({"op": "append", "inputs": [
        ints(&[&[Some(-5), None]]), pairs, ints(&[&[None, Some(-7)], &[Some(-6), None]])]});
    let left = ints(&[
        &[Some(5), Some(5)],
        &[Some(5), Some(6)],
        &[Some(20_001), Some(1)],
        // A null of the right side, in its first piece and in its last, may be what is missing.
        &[Some(-5), Some(6)],
        &[Some(-6), Some(6)],
        &[Some(-8), Some(-7)],
        // A null of their own may be 999, or 1999, …
        &[None, Some(999)],
        &[None, Some(1_000)],
        &[Some(19_999), None],
        &[Some(20_002), None],
        &[None, None],
    ]);
    for (kind, count) in [("null_anti", 2), ("mark", 11)] {
        let plan = json!({"op": "hash_join", "kind": kind, "left": left, "right": right, "left_keys": [c(0), c(1)],
            "right_keys": [c(0), c(1)], "key_types": [INT4, INT4], "on": null, "left_width": 2, "right_width": 2});
        same_when_spilled(plan, count);
    }
}

#[test]
fn tables_of_grouping_sets_need_not_fit() {
    let aggs = [agg("count", &[], INT8), agg("sum", &[c(0)], INT8)];
    let thousand = f("mod", &[c(0), int(1_000)]);
    let sets = |sets: Value, count: usize| {
        let plan = json!({"op": "aggregate", "input": mixed(20_000), "keys": [col(1, TEXT), thousand], "key_types": [TEXT, INT4],
            "aggs": aggs, "sorted": false, "sets": sets});
        same_when_spilled(plan, count);
    };
    sets(json!([[0], [1], [0, 1], []]), 41_001);
    sets(json!([[], [0, 1], [0, 1]]), 40_001);
}

/// One run of an INSERT of 20,000 rows, an action for each; the error, if there is one, and bytes of temporary files.
fn checked(bad: i64, deferred: bool, seed: u64) -> (Option<String>, usize) {
    let mut table = table();
    // So many rows, each looked for among all.
    table["indexes"] = json!([]);
    let rows = project(series(20_000), &[c(0), nil(INT4), nil(TEXT)]);
    let mut plan = json!({"op": "insert", "table": table, "input": rows, "checks": [], "conflict": null, "returning": null});
    plan["after"] = json!([{"subplan": 0, "params": [[0, c(0)]], "when": null, "expect": "rows", "code": "23503",
        "message": "no parent", "detail": "Key ($1)", "constraint": "t_fk", "table": "t", "schema": "public",
        "oid": 1, "deferrable": deferred, "deferred": deferred, "still": null}]);
    let mut plan = case(plan);
    plan.tag = "INSERT";
    let good = json!({"e": "not", "arg": f("eq", &[exec(0), int(bad)])});
    plan.subplans = vec![filter(ints(&[&[Some(1)]]), good)];
    let prepared = plan.prepared();
    let spill = Arc::new(TestSpill::new(usize::MAX).fresh(seed));
    let mut setup = Setup::bare();
    setup.access = Some(Arc::new(plan.memory.fresh(seed)));
    setup.spill = Some(spill.clone());
    setup.work_mem = 64 << 10;
    setup.view.command = 1;
    let run = |execution: &mut Execution| loop {
        match execution.next(0) {
            Ok(None) => break None,
            Err(Stop::Need(_)) => {}
            Err(Stop::Error(e)) => {
                break Some(format!(
                    "{} {}",
                    e.code_str(),
                    e.detail.as_deref().unwrap_or("")
                ))
            }
            Ok(Some(_)) => unreachable!(),
        }
    };
    let mut execution = Execution::new(prepared.clone(), Vec::new(), setup.clone());
    let mut error = run(&mut execution);
    if deferred {
        assert_eq!(error, None);
        let actions = execution.take_deferred();
        drop(execution);
        let mut at_commit = Execution::deferred(prepared, actions, setup);
        error = run(&mut at_commit);
    }
    let written = spill.written();
    (error, written)
}

#[test]
fn actions_for_the_end_need_not_fit() {
    for deferred in [false, true] {
        for seed in [0, 3] {
            let (error, written) = checked(-1, deferred, seed);
            assert_eq!(error, None);
            assert!(written > 80_000, "{written} bytes written");
            for bad in [1, 9_000, 20_000] {
                let (error, _) = checked(bad, deferred, seed);
                assert_eq!(error, Some(format!("23503 Key ({bad})")));
            }
        }
    }
}

#[test]
fn a_deep_plan_is_let_go_of_by_a_thread_with_little_stack() {
    const LEVELS: usize = 15_900;
    let head = r#"{"op":"filter","test":{"e":"const","typ":16,"text":"t"},"input":"#;
    let root = [
        &head.repeat(LEVELS),
        r#"{"op":"single"}"#,
        &"}".repeat(LEVELS),
    ]
    .concat();
    let rest = r#""output":[],"params":[],"exec_params":0,"subplans":[],"locks":[],"tag":"SELECT","command":"SELECT","writes":false,"catalog_version":1"#;
    let plan = Prepared::compile(&format!(r#"{{"root":{root},{rest}}}"#)).unwrap();
    let little = std::thread::Builder::new().stack_size(256 << 10);
    little.spawn(move || drop(plan)).unwrap().join().unwrap();
}
