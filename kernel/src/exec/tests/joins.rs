//! Joins of every kind, by nested loop, hash and merge: they must agree.

use super::queries::aggregate;
use super::*;

fn left() -> Value {
    ints(&[
        &[Some(1), Some(10)],
        &[Some(2), Some(20)],
        &[None, Some(30)],
        &[Some(4), Some(40)],
        &[Some(1), Some(50)],
    ])
}

fn right() -> Value {
    ints(&[
        &[Some(1), Some(100)],
        &[Some(3), Some(300)],
        &[Some(4), Some(400)],
        &[Some(4), Some(401)],
    ])
}

fn sorted_rows(text: &str) -> Vec<String> {
    let mut rows: Vec<String> = text
        .trim()
        .lines()
        .map(|l| l.trim().to_string())
        .filter(|l| !l.is_empty())
        .collect();
    rows.sort();
    rows
}

fn keyed(op: &str, kind: &str, left: Value, right: Value, on: Option<Value>) -> Value {
    if op == "merge_join" {
        return merged(kind, left, right, on, key(c(0), INT4, false), (2, 2));
    }
    json!({"op": op, "kind": kind, "left": left, "right": right, "left_keys": [c(0)], "right_keys": [c(0)],
        "key_types": [INT4], "on": on, "left_width": 2, "right_width": 2})
}

/// A merge join by the first columns, in this order, of two sides that are sorted for it.
pub fn merged(
    kind: &str,
    left: Value,
    right: Value,
    on: Option<Value>,
    order: Value,
    widths: (usize, usize),
) -> Value {
    let by = std::slice::from_ref(&order);
    json!({"op": "merge_join", "kind": kind, "left": sort(left, by), "right": sort(right, by),
        "left_keys": [order], "right_keys": [c(0)], "on": on, "left_width": widths.0, "right_width": widths.1})
}

fn nested(kind: &str, left: Value, right: Value, on: Option<Value>) -> Value {
    json!({"op": "nested_loop", "kind": kind, "left": left, "right": right, "on": on, "params": [], "right_width": 2})
}

fn all_give(kind: &str, left: &Value, right: &Value, extra: Option<Value>, rows: &str) {
    let wanted = sorted_rows(rows);
    let asks_for_nulls = matches!(kind, "null_anti" | "mark");
    for op in ["hash_join", "merge_join"] {
        if op == "merge_join" && asks_for_nulls {
            continue;
        }
        let outcome = case(keyed(op, kind, left.clone(), right.clone(), extra.clone())).outcome();
        assert_eq!(sorted_rows(&outcome.text), wanted, "{op} {kind}");
    }
    let mut tests = vec![f("eq", &[c(0), c(2)])];
    tests.extend(extra);
    let outcome = case(nested(kind, left.clone(), right.clone(), Some(and(&tests)))).outcome();
    assert_eq!(sorted_rows(&outcome.text), wanted, "nested loop {kind}");
}

#[test]
fn every_kind_of_join() {
    let (l, r) = (left(), right());
    all_give(
        "inner",
        &l,
        &r,
        None,
        "1 10 1 100\n1 50 1 100\n4 40 4 400\n4 40 4 401",
    );
    all_give(
        "left",
        &l,
        &r,
        None,
        "1 10 1 100\n1 50 1 100\n4 40 4 400\n4 40 4 401\n2 20 null null\nnull 30 null null",
    );
    all_give(
        "right",
        &l,
        &r,
        None,
        "1 10 1 100\n1 50 1 100\n4 40 4 400\n4 40 4 401\nnull null 3 300",
    );
    all_give(
        "full",
        &l,
        &r,
        None,
        "1 10 1 100\n1 50 1 100\n4 40 4 400\n4 40 4 401\n2 20 null null\nnull 30 null null\nnull null 3 300",
    );
    all_give("semi", &l, &r, None, "1 10\n1 50\n4 40");
    all_give("anti", &l, &r, None, "2 20\nnull 30");
    all_give("null_anti", &l, &r, None, "2 20");
    all_give(
        "mark",
        &l,
        &r,
        None,
        "1 10 true\n1 50 true\n2 20 false\n4 40 true\nnull 30 null",
    );
}

#[test]
fn further_conditions_decide_about_partners() {
    let (l, r) = (left(), right());
    let more = Some(f("gt", &[c(3), int(400)]));
    all_give("inner", &l, &r, more.clone(), "4 40 4 401");
    all_give(
        "left",
        &l,
        &r,
        more.clone(),
        "4 40 4 401\n1 10 null null\n1 50 null null\n2 20 null null\nnull 30 null null",
    );
    all_give("full", &l, &r, more.clone(), "4 40 4 401\n1 10 null null\n1 50 null null\n2 20 null null\nnull 30 null null\nnull null 1 100\nnull null 3 300\nnull null 4 400");
    all_give("semi", &l, &r, more.clone(), "4 40");
    all_give("anti", &l, &r, more, "1 10\n1 50\n2 20\nnull 30");
}

#[test]
fn not_in_with_nulls_and_with_nothing() {
    let with_null = ints(&[&[Some(1), Some(1)], &[None, Some(2)]]);
    let nothing = filter(right(), boolean(false));
    all_give("null_anti", &left(), &with_null, None, "");
    all_give(
        "mark",
        &left(),
        &with_null,
        None,
        "1 10 true\n1 50 true\n2 20 null\n4 40 null\nnull 30 null",
    );
    all_give(
        "null_anti",
        &left(),
        &nothing,
        None,
        "1 10\n1 50\n2 20\n4 40\nnull 30",
    );
    all_give(
        "mark",
        &left(),
        &nothing,
        None,
        "1 10 false\n1 50 false\n2 20 false\n4 40 false\nnull 30 false",
    );
    all_give(
        "left",
        &left(),
        &nothing,
        None,
        "1 10 null null\n1 50 null null\n2 20 null null\n4 40 null null\nnull 30 null null",
    );
    all_give(
        "full",
        &filter(left(), boolean(false)),
        &right(),
        None,
        "null null 1 100\nnull null 3 300\nnull null 4 400\nnull null 4 401",
    );
}

#[test]
fn a_scalar_join_has_at_most_one_partner() {
    let one = ints(&[&[Some(1), Some(100)], &[Some(2), Some(200)]]);
    all_give(
        "scalar",
        &left(),
        &one,
        None,
        "1 10 1 100\n1 50 1 100\n2 20 2 200\nnull 30 null null\n4 40 null null",
    );
    for plan in [
        keyed("hash_join", "scalar", left(), right(), None),
        keyed("merge_join", "scalar", left(), right(), None),
        nested("scalar", left(), right(), Some(f("eq", &[c(0), c(2)]))),
    ] {
        gives(
            plan,
            "21000: more than one row returned by a subquery used as an expression",
        );
    }
}

#[test]
fn joins_keep_the_left_side_in_order() {
    gives(
        keyed("hash_join", "left", left(), right(), None),
        "1 10 1 100\n2 20 null null\nnull 30 null null\n4 40 4 400\n4 40 4 401\n1 50 1 100",
    );
}

#[test]
fn a_nested_loop_hands_parameters_to_its_right_side() {
    let memory = || {
        Memory::with(&[
            (1, Some(1), "a"),
            (2, Some(1), "b"),
            (3, Some(2), "c"),
            (4, None, "d"),
        ])
    };
    let bound = json!({"values": [exec(0)], "inclusive": true, "nulls": [false]});
    let lookup = json!({"op": "index_scan", "table": table(), "index": 0, "low": bound, "high": bound, "any": null,
        "backward": false, "columns": [0, 2], "filter": null});
    let join = |kind: &str, on: Option<Value>| {
        json!({"op": "nested_loop", "kind": kind, "left": ints(&[&[Some(3)], &[Some(1)], &[Some(9)], &[None]]),
            "right": lookup, "on": on, "params": [[0, c(0)]], "right_width": 3})
    };
    let run = |plan: Value, rows: &str| {
        let mut plan = case(plan);
        plan.memory = memory();
        plan.gives(rows);
    };
    run(join("inner", None), "3 3 c 2\n1 1 a 0");
    run(
        join("left", None),
        "3 3 c 2\n1 1 a 0\n9 null null null\nnull null null null",
    );
    run(join("anti", None), "9\nnull");
    run(join("mark", None), "3 true\n1 true\n9 false\nnull false");
    run(
        join("left", Some(f("gt", &[c(0), int(2)]))),
        "3 3 c 2\n1 null null null\n9 null null null\nnull null null null",
    );
}

#[test]
fn a_join_inside_a_join_begins_again() {
    // The inner hash join reads the outer loop's parameter on its left side only: its build side is kept.
    let inner_left = project(
        filter(
            ints(&[&[Some(1)], &[Some(2)], &[Some(3)]]),
            f("gt", &[c(0), exec(0)]),
        ),
        &[c(0), c(0)],
    );
    let inner = keyed(
        "hash_join",
        "left",
        inner_left,
        ints(&[&[Some(2), Some(22)], &[Some(3), Some(33)]]),
        None,
    );
    let outer = json!({"op": "nested_loop", "kind": "inner", "left": ints(&[&[Some(2)], &[Some(0)]]), "right": inner,
        "on": null, "params": [[0, c(0)]], "right_width": 4});
    gives(outer, "2 3 3 3 33\n0 1 1 null null\n0 2 2 2 22\n0 3 3 3 33");
}

#[test]
fn joins_below_a_big_aggregate_are_cut_into_parts_with_one_right_side() {
    let rows: Vec<(i64, Option<i64>, &str)> = (0..500)
        .map(|i| (i, (i % 9 > 0).then_some(i % 9), "x"))
        .collect();
    let right = || {
        ints(&[
            &[Some(1), Some(100)],
            &[Some(3), Some(300)],
            &[Some(3), Some(301)],
            &[None, Some(0)],
        ])
    };
    for kind in [
        "inner",
        "left",
        "semi",
        "anti",
        "right",
        "full",
        "null_anti",
    ] {
        let join = json!({"op": "hash_join", "kind": kind, "left": scan(), "right": right(), "left_keys": [c(1)],
            "right_keys": [c(0)], "key_types": [INT4], "on": null, "left_width": 4, "right_width": 2});
        // The second join's left side is the first one.
        let outer = json!({"op": "hash_join", "kind": "left", "left": join, "right": right(), "left_keys": [c(1)],
            "right_keys": [c(0)], "key_types": [INT4], "on": null, "left_width": 6, "right_width": 2});
        for (input, last) in [(&join, 0), (&outer, 7)] {
            let narrow = matches!(kind, "semi" | "anti" | "null_anti");
            if narrow && last > 0 {
                continue;
            }
            let aggs = [
                agg("count", &[], INT8),
                agg("sum", &[c(0)], INT8),
                agg("sum", &[c(last)], INT8),
            ];
            let mut answers = Vec::new();
            for workers in [1, 4] {
                let mut plan = case(aggregate(input.clone(), &[c(1)], &aggs));
                plan.memory = Memory::with(&rows);
                plan.memory.big = true;
                plan.setup = Box::new(move |setup| setup.workers = workers);
                answers.push(sorted_rows(&plan.outcome().text));
            }
            assert_eq!(answers[0], answers[1], "{kind}");
            assert!(kind == "null_anti" || answers[0].len() > 1);
        }
    }
}
