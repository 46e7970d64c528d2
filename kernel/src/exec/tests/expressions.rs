//! Expressions: three-valued logic, laziness, arrays, rows, subplans, answers that must not be asked twice.

use super::memory::Tickets;
use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// One row, one expression for each line of the result.
fn evaluates(expr: Value, result: &str) {
    gives(project(json!({"op": "single"}), &[expr]), result);
}

fn or(args: &[Value]) -> Value {
    json!({"e": "or", "args": args})
}

#[test]
fn logic_has_three_values() {
    let (t, n, no) = (boolean(true), nil(BOOL), boolean(false));
    let row = [
        and(&[t.clone(), n.clone()]),
        and(&[n.clone(), no.clone()]),
        or(&[n.clone(), t.clone()]),
        or(&[no.clone(), n.clone()]),
        json!({"e": "not", "arg": n}),
        json!({"e": "bool_test", "arg": n, "test": "unknown", "not": false}),
        json!({"e": "bool_test", "arg": no, "test": "true", "not": true}),
        json!({"e": "is_null", "arg": n, "not": false}),
        json!({"e": "is_null", "arg": t, "not": false}),
    ];
    gives(
        project(json!({"op": "single"}), &row),
        "null false true null null true true true false",
    );
}

#[test]
fn guarded_expressions_are_not_evaluated() {
    let rows = ints(&[&[Some(0)], &[Some(2)], &[None], &[Some(5)]]);
    let ratio = f("div", &[int(10), c(0)]);
    let zero = f("eq", &[c(0), int(0)]);
    let case = json!({"e": "case", "whens": [[zero, int(-1)]], "other": ratio, "typ": INT4});
    gives(project(rows.clone(), &[case]), "-1\n5\nnull\n2");
    let not_zero = json!({"e": "not", "arg": f("eq", &[c(0), int(0)])});
    let guarded = and(&[not_zero, f("gt", &[ratio.clone(), int(2)])]);
    gives(filter(rows.clone(), guarded), "2");
    let first = json!({"e": "coalesce", "args": [c(0), f("div", &[int(1), int(0)])], "typ": INT4});
    gives(
        project(
            filter(
                rows.clone(),
                json!({"e": "is_null", "arg": c(0), "not": true}),
            ),
            &[first],
        ),
        "0\n2\n5",
    );
    gives(project(rows, &[ratio]), "22012: division by zero");
}

#[test]
fn constants_fold_but_their_errors_wait_for_the_run() {
    let bad = f("div", &[int(1), int(0)]);
    gives(
        project(
            json!({"op": "empty", "width": 0}),
            std::slice::from_ref(&bad),
        ),
        "",
    );
    evaluates(bad, "22012: division by zero");
    evaluates(f("add", &[int(1), f("add", &[int(2), int(3)])]), "6");
    evaluates(
        f("add", &[int(2147483647), int(1)]),
        "22003: integer out of range",
    );
}

#[test]
fn distinct_nullif_greatest_least() {
    let distinct = |a: Value, b: Value| json!({"e": "distinct", "func": "int4eq", "left": a, "right": b, "not": false, "typ": INT4});
    evaluates(distinct(nil(INT4), nil(INT4)), "false");
    evaluates(distinct(int(1), nil(INT4)), "true");
    evaluates(distinct(int(1), int(1)), "false");
    evaluates(
        json!({"e": "null_if", "func": "int4eq", "left": int(3), "right": int(3), "typ": INT4}),
        "null",
    );
    evaluates(
        json!({"e": "greatest", "args": [int(3), nil(INT4), int(7)], "typ": INT4}),
        "7",
    );
    evaluates(
        json!({"e": "least", "args": [nil(INT4), nil(INT4)], "typ": INT4}),
        "null",
    );
}

#[test]
fn any_and_all_over_arrays() {
    let array = |items: &[Value]| json!({"e": "array", "args": items, "elem": INT4, "typ": 1007, "nested": false});
    let any = |left: Value, array: Value, all: bool| json!({"e": "any_all", "func": "int4eq", "left": left, "array": array, "elem": INT4, "all": all});
    evaluates(any(int(2), array(&[int(1), int(2)]), false), "true");
    evaluates(any(int(3), array(&[int(1), nil(INT4)]), false), "null");
    evaluates(any(int(3), array(&[]), false), "false");
    evaluates(any(nil(INT4), array(&[]), true), "true");
    evaluates(any(int(1), array(&[int(1), nil(INT4)]), true), "null");
    evaluates(any(int(1), array(&[int(2), nil(INT4)]), true), "false");
    evaluates(
        any(
            int(1),
            json!({"e": "const", "typ": 1007, "text": null}),
            false,
        ),
        "null",
    );
}

#[test]
fn arrays_are_made_indexed_and_sliced() {
    let array = |items: &[Value], nested: bool| json!({"e": "array", "args": items, "elem": INT4, "typ": 1007, "nested": nested});
    let flat = array(&[int(10), int(20), int(30)], false);
    let item = |n: Value| json!({"slice": false, "low": null, "high": n});
    let range = |a: Option<i64>, b: Option<i64>| json!({"slice": true, "low": a.map(int), "high": b.map(int)});
    let at = |a: &Value, index: &[Value]| json!({"e": "subscript", "arg": a, "index": index, "typ": INT4, "elem": INT4});
    evaluates(at(&flat, &[item(int(2))]), "20");
    evaluates(at(&flat, &[item(int(4))]), "null");
    evaluates(at(&flat, &[item(nil(INT4))]), "null");
    evaluates(at(&flat, &[range(Some(2), None)]), "[(2, 1)][20,30]");
    evaluates(at(&flat, &[range(Some(3), Some(2))]), "[][]");
    let square = array(
        &[
            array(&[int(1), int(2)], false),
            array(&[int(3), int(4)], false),
        ],
        true,
    );
    evaluates(at(&square, &[item(int(2)), item(int(1))]), "3");
    evaluates(at(&square, &[item(int(2))]), "null");
    evaluates(
        at(&square, &[range(Some(2), Some(2)), range(Some(2), Some(2))]),
        "[(1, 1), (1, 1)][4]",
    );
    evaluates(
        array(
            &[array(&[int(1)], false), array(&[int(1), int(2)], false)],
            true,
        ),
        "2202E: multidimensional arrays must have array expressions with matching dimensions",
    );
}

#[test]
fn rows_compare_by_their_first_difference() {
    let compare = |op: &str, left: &[Value], right: &[Value]| json!({"e": "row_compare", "op": op, "left": left, "right": right, "types": [INT4, INT4]});
    evaluates(
        compare("<", &[int(1), int(9)], &[int(2), nil(INT4)]),
        "true",
    );
    evaluates(
        compare("<", &[int(1), int(9)], &[int(1), nil(INT4)]),
        "null",
    );
    evaluates(
        compare("=", &[int(1), nil(INT4)], &[int(2), int(3)]),
        "false",
    );
    evaluates(
        compare("<>", &[int(1), nil(INT4)], &[int(1), int(3)]),
        "null",
    );
    evaluates(compare(">=", &[int(1), int(1)], &[int(1), int(1)]), "true");
    let row = json!({"e": "row", "args": [int(1), nil(INT4)], "types": [INT4, INT4]});
    evaluates(json!({"e": "is_null", "arg": row, "not": false}), "false");
    evaluates(json!({"e": "is_null", "arg": row, "not": true}), "false");
    evaluates(json!({"e": "field", "arg": row, "i": 0, "typ": INT4}), "1");
}

#[test]
fn casts_go_through_text_and_element_by_element() {
    evaluates(
        json!({"e": "cast_io", "arg": text("42"), "from": TEXT, "to": INT4, "typmod": -1}),
        "42",
    );
    evaluates(
        json!({"e": "cast_io", "arg": text("x"), "from": TEXT, "to": INT4, "typmod": -1}),
        "22P02: invalid input syntax for type integer: \"x\"",
    );
    let array = json!({"e": "const", "typ": 1007, "text": "{1,NULL,3}"});
    let cast = json!({"e": "cast_io", "arg": c(0), "from": INT4, "to": TEXT, "typmod": -1});
    let casted =
        json!({"e": "cast_array", "arg": array, "cast": cast, "from_elem": INT4, "to_elem": TEXT});
    evaluates(casted, "[(3, 1)][1,null,3]");
}

fn sub(kind: &str, params: &[(usize, Value)], test: Option<Value>, result: &[usize]) -> Value {
    json!({"e": "sub", "subplan": 0, "kind": kind, "params": params, "test": test, "result": result, "typ": INT4,
        "keys": []})
}

fn with_sub(root: Value, subplan: Value) -> Case {
    let mut case = case(root);
    case.subplans = vec![subplan];
    case.memory = Memory::with(&[
        (1, Some(10), "a"),
        (2, Some(10), "b"),
        (3, Some(20), "c"),
        (4, None, "d"),
    ]);
    case
}

#[test]
fn subplans_run_for_each_set_of_parameters() {
    let outer = ints(&[&[Some(10)], &[Some(10)], &[Some(20)], &[Some(30)], &[None]]);
    let inner = project(filter(scan(), f("eq", &[c(1), exec(0)])), &[c(0)]);
    let params = [(0, c(0))];
    with_sub(
        project(outer.clone(), &[sub("exists", &params, None, &[])]),
        inner.clone(),
    )
    .gives("true\ntrue\ntrue\nfalse\nfalse");
    let mut array = sub("array", &params, None, &[]);
    array["typ"] = json!(1007);
    with_sub(project(outer.clone(), &[array]), inner.clone())
        .gives("[(2, 1)][1,2]\n[(2, 1)][1,2]\n[(1, 1)][3]\n[][]\n[][]");
    with_sub(
        project(outer.clone(), &[sub("scalar", &params, None, &[])]),
        inner,
    )
    .gives("21000: more than one row returned by a subquery used as an expression");
    let total = json!({"op": "aggregate", "input": filter(scan(), f("eq", &[c(1), exec(0)])), "keys": [], "key_types": [],
        "aggs": [agg("sum", &[c(0)], INT4)], "sorted": false, "sets": null});
    with_sub(project(outer, &[sub("scalar", &params, None, &[])]), total)
        .gives("3\n3\n3\nnull\nnull");
}

#[test]
fn quantified_subplans_have_three_values() {
    let outer = ints(&[&[Some(10)], &[Some(30)], &[None]]);
    let inner = project(scan(), &[c(1)]);
    let test = f("eq", &[c(0), exec(1)]);
    with_sub(
        project(outer.clone(), &[sub("any", &[], Some(test.clone()), &[1])]),
        inner.clone(),
    )
    .gives("true\nnull\nnull");
    let none = filter(inner, boolean(false));
    with_sub(project(outer, &[sub("any", &[], Some(test), &[1])]), none)
        .gives("false\nfalse\nfalse");
}

#[test]
fn a_volatile_function_is_asked_once_a_row_however_often_it_waits() {
    let ticket = f("ticket", &[]);
    let rows = ints(&[&[Some(1)], &[Some(2)], &[Some(3)]]);
    let case_expr = json!({"e": "case", "whens": [[f("eq", &[c(0), int(2)]), int(0)]], "other": ticket, "typ": INT4});
    let plan = case(project(rows, &[c(0), ticket.clone(), case_expr]));
    let prepared = plan.prepared();
    for seed in 0..40 {
        let mut setup = Setup::bare();
        setup.session = Arc::new(Tickets::new(seed));
        let mut execution = Execution::new(prepared.clone(), Vec::new(), setup);
        let batch = loop {
            match execution.next(0) {
                Ok(Some(batch)) => break batch,
                Ok(None) => panic!("no rows"),
                Err(Stop::Need(_)) => {}
                Err(stop) => panic!("{stop:?}"),
            }
        };
        let rows: Vec<String> = (0..3)
            .map(|r| batch.row(r).iter().map(show).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(rows, ["1 1 4", "2 2 0", "3 3 5"], "seed {seed}");
    }
}

#[test]
fn an_uncorrelated_subplan_runs_once() {
    let ticket = project(json!({"op": "single"}), &[f("ticket", &[])]);
    let mut plan = case(project(
        ints(&[&[Some(1)], &[Some(2)]]),
        &[sub("scalar", &[], None, &[])],
    ));
    plan.subplans = vec![ticket];
    plan.setup = Box::new(|setup| setup.session = Arc::new(Tickets::new(0)));
    plan.gives("1\n1");
}

#[test]
fn parameters_are_read_and_missing_functions_are_named() {
    let mut plan = case(project(
        json!({"op": "single"}),
        &[json!({"e": "param", "n": 0, "typ": INT4})],
    ));
    plan.params = vec![Datum::Int(5)];
    plan.gives("5");
    let unknown = json!({"e": "func", "func": "no_such", "args": [], "arg_types": [], "typ": INT4, "at": null});
    let json = json!({"root": project(json!({"op": "single"}), &[unknown]), "output": [], "params": [], "exec_params": 0,
        "subplans": [], "locks": [], "tag": "SELECT", "command": "SELECT", "writes": false, "catalog_version": 1});
    match Prepared::compile(&json.to_string()) {
        Err(Stop::Error(error)) => {
            assert_eq!(
                error.to_string(),
                "0A000: function no_such is not supported yet"
            );
        }
        _ => panic!("compiled"),
    }
}

#[test]
fn compiling_a_large_plan_ends_when_somebody_cancels() {
    let many = vec![int(7); 10_000];
    let json = json!({"root": project(json!({"op": "single"}), &many), "output": [], "params": [], "exec_params": 0,
        "subplans": [], "locks": [], "tag": "SELECT", "command": "SELECT", "writes": false, "catalog_version": 1});
    let cancel = Arc::new(AtomicBool::new(false));
    assert!(Prepared::compile_until(&json.to_string(), &cancel).is_ok());
    cancel.store(true, Ordering::Relaxed);
    match Prepared::compile_until(&json.to_string(), &cancel) {
        Err(Stop::Error(error)) => assert_eq!(error.code, *b"57014"),
        _ => panic!("compiled"),
    }
}
