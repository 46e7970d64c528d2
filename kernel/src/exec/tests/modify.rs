//! INSERT, UPDATE, DELETE: constraints, conflicts, second looks, actions at the end.

use super::*;

fn rows3() -> Memory {
    Memory::with(&[
        (1, Some(10), "ann"),
        (2, Some(20), "bob"),
        (3, Some(30), "cyd"),
    ])
}

fn triples(rows: &[(Option<i64>, Option<i64>, &str)]) -> Value {
    let number = |n: &Option<i64>| n.map_or_else(|| nil(INT4), int);
    let rows: Vec<Vec<Value>> = rows
        .iter()
        .map(|(a, b, t)| vec![number(a), number(b), text(t)])
        .collect();
    values(&[INT4, INT4, TEXT], &rows)
}

fn check() -> Value {
    json!({"test": f("lt", &[c(1), int(100)]), "constraint": "t_grp_check", "code": null, "message": null})
}

fn insert(input: Value) -> Value {
    json!({"op": "insert", "table": table(), "input": input, "checks": [check()], "conflict": null, "returning": null, "after": []})
}

fn all_columns() -> Value {
    json!([[0, 0], [1, 1], [2, 2]])
}

fn update(input: Value, set: Value) -> Value {
    json!({"op": "update", "table": table(), "input": input, "row": 3, "set": set, "old": all_columns(), "recheck": null,
        "checks": [check()], "returning": null, "after": []})
}

fn delete(input: Value) -> Value {
    json!({"op": "delete", "table": table(), "input": input, "row": 3, "old": all_columns(), "recheck": null,
        "returning": null, "after": []})
}

fn writes(root: Value, tag: &'static str) -> Case {
    let mut plan = case(root);
    plan.tag = tag;
    plan.memory = rows3();
    plan
}

#[test]
fn rows_are_inserted_and_returned() {
    let mut plan = insert(triples(&[
        (Some(4), None, "dan"),
        (Some(5), Some(1), "eve"),
    ]));
    plan["returning"] = json!([c(0), col(2, TEXT), c(3)]);
    let outcome = writes(plan, "INSERT").outcome();
    assert_eq!(outcome.text, "4 dan 3\n5 eve 4");
    assert_eq!(outcome.tag, "INSERT 0 2");
    assert_eq!(
        outcome.tables,
        "1 10 ann\n2 20 bob\n3 30 cyd\n4 null dan\n5 1 eve"
    );
}

#[test]
fn constraints_name_the_failing_row() {
    writes(insert(triples(&[(None, Some(1), "x")])), "INSERT").gives(
        "23502: null value in column \"id\" of relation \"t\" violates not-null constraint (Failing row contains (null, 1, x).)",
    );
    let long = "y".repeat(70);
    let cut = "y".repeat(64);
    writes(insert(triples(&[(Some(9), Some(100), &long)])), "INSERT").gives(&format!(
        "23514: new row for relation \"t\" violates check constraint \"t_grp_check\" (Failing row contains (9, 100, {cut}...).)"
    ));
    writes(insert(triples(&[(Some(1), Some(1), "x")])), "INSERT")
        .gives("23505: duplicate key value violates unique constraint \"t_pkey\"");
}

fn on_conflict(input: Value, set: Option<Value>, filter: Option<Value>) -> Value {
    let mut plan = insert(input);
    plan["conflict"] = json!({"arbiters": [1001], "set": set, "filter": filter});
    plan["returning"] = json!([c(0), c(1)]);
    plan
}

#[test]
fn conflicts_do_nothing_or_update() {
    let input = || {
        triples(&[
            (Some(1), Some(5), "new"),
            (Some(7), Some(7), "seven"),
            (Some(2), Some(6), "new"),
        ])
    };
    let outcome = writes(on_conflict(input(), None, None), "INSERT").outcome();
    assert_eq!(
        (outcome.text.as_str(), outcome.tag.as_str()),
        ("7 7", "INSERT 0 1")
    );
    // Over the existing row's columns, then EXCLUDED's.
    let set = || Some(json!([[1, f("add", &[c(1), c(4)])]]));
    let outcome = writes(on_conflict(input(), set(), None), "INSERT").outcome();
    assert_eq!(
        (outcome.text.as_str(), outcome.tag.as_str()),
        ("1 15\n7 7\n2 26", "INSERT 0 3")
    );
    assert_eq!(outcome.tables, "1 15 ann\n2 26 bob\n3 30 cyd\n7 7 seven");
    let outcome = writes(
        on_conflict(input(), set(), Some(f("gt", &[c(1), int(15)]))),
        "INSERT",
    )
    .outcome();
    assert_eq!(outcome.text, "7 7\n2 26");
}

#[test]
fn conflicts_update_what_others_have_committed() {
    let set = Some(json!([[1, f("add", &[c(1), c(4)])]]));
    let mut plan = writes(
        on_conflict(triples(&[(Some(1), Some(5), "new")]), set, None),
        "INSERT",
    );
    plan.memory.since.insert(
        0,
        Some(vec![Datum::Int(1), Datum::Int(40), Datum::text("ann")]),
    );
    plan.gives("1 45");
}

#[test]
fn one_command_does_not_update_a_row_twice_by_conflict() {
    let set = Some(json!([[1, c(4)]]));
    let message = "21000: ON CONFLICT DO UPDATE command cannot affect row a second time";
    writes(
        on_conflict(
            triples(&[(Some(1), Some(5), "a"), (Some(1), Some(6), "b")]),
            set.clone(),
            None,
        ),
        "INSERT",
    )
    .gives(message);
    writes(
        on_conflict(
            triples(&[(Some(8), Some(5), "a"), (Some(8), Some(6), "b")]),
            set,
            None,
        ),
        "INSERT",
    )
    .gives(message);
}

#[test]
fn updates_change_and_return_rows() {
    let mut plan = update(
        filter(scan(), f("gt", &[c(0), int(1)])),
        json!([[1, f("add", &[c(1), int(1)])]]),
    );
    // New columns, row id, then the input row.
    plan["returning"] = json!([c(0), c(1), c(5), c(3)]);
    let outcome = writes(plan, "UPDATE").outcome();
    assert_eq!(
        (outcome.text.as_str(), outcome.tag.as_str()),
        ("2 21 20 1\n3 31 30 2", "UPDATE 2")
    );
    assert_eq!(outcome.tables, "1 10 ann\n2 21 bob\n3 31 cyd");
    let bad = update(scan(), json!([[1, int(500)]]));
    writes(bad, "UPDATE").gives(
        "23514: new row for relation \"t\" violates check constraint \"t_grp_check\" (Failing row contains (1, 500, ann).)",
    );
}

fn raced(mut plan: Value, tag: &'static str) -> Case {
    plan["recheck"] = f("gt", &[c(1), int(5)]);
    let mut plan = writes(plan, tag);
    plan.memory.since.insert(
        0,
        Some(vec![Datum::Int(1), Datum::Int(50), Datum::text("anna")]),
    );
    plan.memory.since.insert(
        1,
        Some(vec![Datum::Int(2), Datum::Int(1), Datum::text("bob")]),
    );
    plan
}

#[test]
fn changed_rows_are_looked_at_again() {
    let mut plan = update(scan(), json!([[1, f("add", &[c(1), int(1)])]]));
    plan["returning"] = json!([c(0), c(1), col(2, TEXT), c(5)]);
    let outcome = raced(plan, "UPDATE").outcome();
    // The first row is computed from its newer version, the second no longer meets the condition.
    assert_eq!(outcome.text, "1 51 anna 50\n3 31 cyd 30");
    assert_eq!(outcome.tag, "UPDATE 2");
    let mut plan = delete(scan());
    plan["returning"] = json!([c(0), c(1)]);
    let outcome = raced(plan, "DELETE").outcome();
    assert_eq!(
        (outcome.text.as_str(), outcome.tag.as_str()),
        ("1 50\n3 30", "DELETE 2")
    );
}

#[test]
fn gone_rows_are_passed_over_and_own_changes_left_alone() {
    let twice = json!({"op": "append", "inputs": [scan(), scan()]});
    let mut plan = writes(
        update(twice, json!([[1, f("add", &[c(1), int(1)])]])),
        "UPDATE",
    );
    plan.memory.since.insert(1, None);
    let outcome = plan.outcome();
    assert_eq!(outcome.tag, "UPDATE 2");
    assert_eq!(outcome.tables, "1 11 ann\n2 20 bob\n3 31 cyd");
}

#[test]
fn ctes_that_write_run_whether_read_or_not() {
    let mut inner = delete(filter(scan(), f("lt", &[c(0), int(3)])));
    inner["returning"] = json!([c(0), c(1), col(2, TEXT)]);
    let read = project(
        json!({"op": "cte_scan", "id": 0, "width": 3}),
        &[f("add", &[c(0), int(10)]), c(1), col(2, TEXT)],
    );
    let with = json!({"op": "with", "id": 0, "cte": inner, "input": insert(read), "writes": true});
    let outcome = writes(with, "INSERT").outcome();
    assert_eq!(
        (outcome.tag.as_str(), outcome.tables.as_str()),
        ("INSERT 0 2", "3 30 cyd\n11 10 ann\n12 20 bob")
    );
    let unread = json!({"op": "with", "id": 0, "cte": delete(scan()), "input": ints(&[&[Some(1)]]), "writes": true});
    let outcome = writes(unread, "SELECT").outcome();
    assert_eq!((outcome.text.as_str(), outcome.tables.as_str()), ("1", ""));
}

/// An action over (new row, old row).
fn after(expect: &str, params: Value, when: Option<Value>, deferred: bool) -> Value {
    json!({"subplan": 0, "params": params, "when": when, "expect": expect, "code": "23503",
        "message": "insert or update on table \"t\" violates foreign key constraint \"t_fk\"",
        "detail": "Key (grp)=($1) is not present in table \"p\".", "constraint": "t_fk", "table": "t", "schema": "public",
        "oid": 1, "deferrable": deferred, "deferred": deferred, "still": null})
}

#[test]
fn actions_check_at_the_end_of_the_statement() {
    // grp must be some row's id; rows of this very statement count.
    let parents = filter(scan(), f("eq", &[c(0), exec(0)]));
    let run = |rows: &[(Option<i64>, Option<i64>, &str)]| {
        let mut plan = insert(triples(rows));
        let not_null = json!({"e": "is_null", "arg": c(1), "not": true});
        plan["after"] = json!([after("rows", json!([[0, c(1)]]), Some(not_null), false)]);
        let mut plan = writes(plan, "INSERT");
        plan.subplans = vec![parents.clone()];
        plan.outcome().text
    };
    assert_eq!(
        run(&[
            (Some(4), Some(5), "x"),
            (Some(5), Some(1), "y"),
            (Some(6), None, "z")
        ]),
        ""
    );
    assert_eq!(
        run(&[(Some(4), Some(77), "x")]),
        "23503: insert or update on table \"t\" violates foreign key constraint \"t_fk\" (Key (grp)=(77) is not present in table \"p\".)"
    );
}

#[test]
fn cascades_nest() {
    // Deleting id n deletes the rows whose grp is n, and so on.
    let mut cascade = delete(filter(scan(), f("eq", &[c(1), exec(0)])));
    cascade["after"] = json!([after("none", json!([[0, c(3)]]), None, false)]);
    let mut first = delete(filter(scan(), f("eq", &[c(0), int(1)])));
    first["after"] = cascade["after"].clone();
    let mut plan = writes(first, "DELETE");
    plan.memory = Memory::with(&[
        (1, None, "root"),
        (2, Some(1), "a"),
        (3, Some(2), "b"),
        (4, Some(9), "other"),
        (5, Some(3), "c"),
    ]);
    plan.subplans = vec![cascade];
    let outcome = plan.outcome();
    assert_eq!(
        (outcome.tag.as_str(), outcome.tables.as_str()),
        ("DELETE 1", "4 9 other")
    );
}

#[test]
fn deferred_actions_wait_for_the_caller() {
    let mut plan = insert(triples(&[(Some(4), Some(77), "x")]));
    plan["after"] = json!([after("rows", json!([[0, c(1)]]), None, true)]);
    let mut plan = writes(plan, "INSERT");
    plan.subplans = vec![filter(scan(), f("eq", &[c(0), exec(0)]))];
    let prepared = plan.prepared();
    let memory = Arc::new(plan.memory.fresh(0));
    let mut setup = Setup::bare();
    setup.access = Some(memory);
    setup.view.command = 1;
    let mut execution = Execution::new(prepared.clone(), Vec::new(), setup.clone());
    assert!(execution.next(0).unwrap().is_none());
    let (others, actions) = execution.take_deferred().split(&[crate::base::Oid(2)]);
    assert!(others.is_empty() && !actions.is_empty());
    setup.view.command = 2;
    match Execution::deferred(prepared, actions, setup).next(0) {
        Err(Stop::Error(error)) => assert_eq!(error.code_str(), "23503"),
        other => panic!("{other:?}"),
    }
}
