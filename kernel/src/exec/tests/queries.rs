//! Scans, sorting, limits, aggregation, set operations, WITH.

use super::*;

fn people() -> Memory {
    Memory::with(&[
        (1, Some(10), "ann"),
        (2, Some(20), "bob"),
        (3, Some(10), "cyd"),
        (4, None, "dan"),
        (5, Some(20), "eve"),
        (6, Some(30), "fay"),
    ])
}

fn reads(root: Value, rows: &str) {
    let mut plan = case(root);
    plan.memory = people();
    plan.gives(rows);
}

fn index(low: Option<Value>, high: Option<Value>, any: Option<Value>, backward: bool) -> Value {
    json!({"op": "index_scan", "table": table(), "index": 0, "low": low, "high": high, "any": any, "backward": backward,
        "columns": [0, 2], "filter": null})
}

fn bound(value: Value, inclusive: bool) -> Option<Value> {
    Some(json!({"values": [value], "inclusive": inclusive, "nulls": [false]}))
}

pub(super) fn aggregate(input: Value, keys: &[Value], aggs: &[Value]) -> Value {
    let types = vec![INT4; keys.len()];
    json!({"op": "aggregate", "input": input, "keys": keys, "key_types": types, "aggs": aggs, "sorted": false, "sets": null})
}

#[test]
fn scans_filter_and_give_row_ids() {
    reads(
        scan(),
        "1 10 ann 0\n2 20 bob 1\n3 10 cyd 2\n4 null dan 3\n5 20 eve 4\n6 30 fay 5",
    );
    let filtered = json!({"op": "scan", "table": table(), "columns": [2, 1], "filter": f("eq", &[c(1), int(20)])});
    reads(filtered, "bob 20 1\neve 20 4");
}

#[test]
fn index_scans_have_bounds_and_probes() {
    reads(
        index(bound(int(2), false), bound(int(4), true), None, false),
        "3 cyd 2\n4 dan 3",
    );
    reads(
        index(bound(int(5), true), None, None, true),
        "6 fay 5\n5 eve 4",
    );
    reads(
        index(bound(nil(INT4), true), bound(nil(INT4), true), None, false),
        "",
    );
    let array = json!({"e": "const", "typ": 1007, "text": "{5,1,NULL,9,5}"});
    reads(
        index(None, None, Some(array.clone()), false),
        "1 ann 0\n5 eve 4",
    );
    reads(index(None, None, Some(array), true), "5 eve 4\n1 ann 0");
}

#[test]
fn sorting_places_nulls_and_keeps_equal_rows_in_order() {
    let by_grp = |desc: bool| project(sort(scan(), &[key(c(1), INT4, desc)]), &[c(1), c(0)]);
    reads(by_grp(false), "10 1\n10 3\n20 2\n20 5\n30 6\nnull 4");
    reads(by_grp(true), "null 4\n30 6\n20 2\n20 5\n10 1\n10 3");
    let mut top = sort(scan(), &[key(col(2, TEXT), TEXT, true)]);
    top["limit"] = int(2);
    reads(project(top, &[col(2, TEXT)]), "fay\neve");
}

#[test]
fn limits_offsets_and_ties() {
    let limit = |count: Option<Value>, offset: Option<Value>, ties: &[Value]| {
        let input = project(sort(scan(), &[key(c(1), INT4, false)]), &[c(1), c(0)]);
        json!({"op": "limit", "input": input, "count": count, "offset": offset, "with_ties": ties})
    };
    reads(limit(Some(int(2)), Some(int(1)), &[]), "10 3\n20 2");
    reads(limit(None, Some(int(5)), &[]), "null 4");
    reads(
        limit(Some(nil(INT8)), None, &[]),
        "10 1\n10 3\n20 2\n20 5\n30 6\nnull 4",
    );
    reads(limit(Some(int(0)), None, &[]), "");
    reads(
        limit(Some(int(1)), None, &[key(c(0), INT4, false)]),
        "10 1\n10 3",
    );
    reads(
        limit(Some(int(3)), None, &[key(c(0), INT4, false)]),
        "10 1\n10 3\n20 2\n20 5",
    );
    reads(
        limit(Some(int(-1)), None, &[]),
        "2201W: LIMIT must not be negative",
    );
    reads(
        limit(None, Some(int(-1)), &[]),
        "2201X: OFFSET must not be negative",
    );
}

#[test]
fn aggregates_over_everything_and_over_nothing() {
    let aggs = [
        agg("count", &[], INT8),
        agg("count", &[c(1)], INT8),
        agg("sum", &[c(0)], INT4),
    ];
    reads(aggregate(scan(), &[], &aggs), "6 5 21");
    reads(
        aggregate(filter(scan(), boolean(false)), &[], &aggs),
        "0 0 null",
    );
    reads(
        aggregate(filter(scan(), boolean(false)), &[c(1)], &aggs),
        "",
    );
}

#[test]
fn groups_by_hash_and_over_sorted_input_agree() {
    let aggs = [agg("count", &[], INT8), agg("sum", &[c(0)], INT4)];
    reads(
        aggregate(scan(), &[c(1)], &aggs),
        "10 2 4\n20 2 7\nnull 1 4\n30 1 6",
    );
    let mut sorted = aggregate(sort(scan(), &[key(c(1), INT4, false)]), &[c(1)], &aggs);
    sorted["sorted"] = json!(true);
    reads(sorted, "10 2 4\n20 2 7\n30 1 6\nnull 1 4");
}

#[test]
fn aggregates_with_distinct_filter_and_order() {
    let mut distinct = agg("array_agg", &[c(1)], TEXT);
    distinct["distinct"] = json!(true);
    let mut ordered = agg("array_agg", &[c(0)], TEXT);
    ordered["order"] = json!([key(c(1), INT4, true), key(c(0), INT4, true)]);
    let mut filtered = agg("sum", &[f("div", &[int(60), c(1)])], INT4);
    filtered["filter"] = f("gt", &[c(1), int(10)]);
    let mut count = agg("count", &[c(1)], INT8);
    count["distinct"] = json!(true);
    reads(
        aggregate(scan(), &[], &[distinct, ordered, filtered, count]),
        "[(4, 1)][10,20,30,null] [(6, 1)][4,6,5,2,3,1] 8 3",
    );
}

#[test]
fn a_filter_guards_its_aggregates_arguments() {
    let mut guarded = agg("sum", &[f("div", &[int(6), c(0)])], INT4);
    guarded["filter"] = f("gt", &[c(0), int(0)]);
    gives(
        aggregate(ints(&[&[Some(0)], &[Some(2)], &[Some(3)]]), &[], &[guarded]),
        "5",
    );
}

#[test]
fn grouping_sets_share_one_pass() {
    let mut sets = aggregate(
        scan(),
        &[c(1), f("mod", &[c(0), int(2)])],
        &[agg("count", &[], INT8)],
    );
    sets["sets"] = json!([[0], [1], []]);
    reads(
        sets.clone(),
        "10 null 2\n20 null 2\nnull null 1\n30 null 1\nnull 1 3\nnull 0 3\nnull null 6",
    );
    sets["input"] = filter(scan(), boolean(false));
    reads(sets, "null null 0");
}

#[test]
fn distinct_rows_and_first_rows() {
    let distinct = |keys: Option<Vec<Value>>| {
        let input = project(
            sort(scan(), &[key(c(1), INT4, false), key(c(0), INT4, true)]),
            &[c(1), c(0)],
        );
        let input = if keys.is_some() {
            input
        } else {
            project(input, &[c(0)])
        };
        json!({"op": "distinct", "input": input, "keys": keys, "types": [INT4]})
    };
    reads(distinct(None), "10\n20\n30\nnull");
    reads(distinct(Some(vec![c(0)])), "10 3\n20 5\n30 6\nnull 4");
}

#[test]
fn set_operations_count_rows() {
    let a = || ints(&[&[Some(1)], &[Some(1)], &[Some(2)], &[None], &[None]]);
    let b = || ints(&[&[Some(1)], &[None], &[Some(3)], &[Some(3)]]);
    let op = |kind: &str, all: bool| json!({"op": "set_op", "kind": kind, "all": all, "left": a(), "right": b(), "types": [INT4]});
    gives(op("union", false), "1\n2\nnull\n3");
    gives(op("union", true), "1\n1\n2\nnull\nnull\n1\nnull\n3\n3");
    gives(op("intersect", false), "1\nnull");
    gives(op("intersect", true), "1\nnull");
    gives(op("except", false), "2");
    gives(op("except", true), "1\n2\nnull");
    gives(
        json!({"op": "append", "inputs": [a(), b()]}),
        "1\n1\n2\nnull\nnull\n1\nnull\n3\n3",
    );
}

fn series(from: i64, to: i64) -> Value {
    json!({"func": "test_series", "args": [int(from), int(to)], "arg_types": [INT4, INT4], "types": [INT4]})
}

#[test]
fn sets_in_from_and_in_the_select_list() {
    let from =
        json!({"op": "function_scan", "calls": [series(1, 3), series(7, 8)], "ordinality": true});
    gives(from, "1 7 1\n2 8 2\n3 null 3");
    let items = json!([{"expr": c(0)}, {"set": series(1, 2)}, {"set": series(5, 7)}]);
    let list =
        json!({"op": "project_set", "input": ints(&[&[Some(1)], &[Some(2)]]), "exprs": items});
    gives(list, "1 1 5\n1 2 6\n1 null 7\n2 1 5\n2 2 6\n2 null 7");
    let empty = json!([{"expr": c(0)}, {"set": series(3, 2)}]);
    gives(
        json!({"op": "project_set", "input": ints(&[&[Some(1)]]), "exprs": empty}),
        "",
    );
}

#[test]
fn a_cte_runs_once_for_all_its_readers() {
    let cte = project(
        json!({"op": "function_scan", "calls": [series(1, 3)], "ordinality": false}),
        &[f("ticket", &[])],
    );
    let read = json!({"op": "cte_scan", "id": 0, "width": 1});
    let with = json!({"op": "with", "id": 0, "cte": cte, "input": {"op": "append", "inputs": [read, read]}, "writes": false});
    let mut plan = case(with);
    plan.setup = Box::new(|setup| setup.session = Arc::new(memory::Tickets::new(0)));
    plan.gives("1\n2\n3\n1\n2\n3");
}

#[test]
fn recursion_goes_on_until_nothing_is_new() {
    let step = filter(
        project(
            json!({"op": "work_scan", "id": 0, "width": 1}),
            &[f("add", &[c(0), int(1)])],
        ),
        f("lt", &[c(0), int(6)]),
    );
    let plain = json!({"op": "recursive", "id": 0, "start": ints(&[&[Some(1)], &[Some(4)]]), "step": step, "distinct": false, "types": [INT4]});
    gives(plain.clone(), "1\n4\n2\n5\n3\n4\n5");
    let ring = project(
        json!({"op": "work_scan", "id": 0, "width": 1}),
        &[f("mod", &[f("add", &[c(0), int(1)]), int(3)])],
    );
    let mut distinct = plain;
    distinct["step"] = ring;
    distinct["distinct"] = json!(true);
    gives(distinct, "1\n4\n2\n0");
}

#[test]
fn a_recursive_subplan_begins_again_for_each_row() {
    let step = filter(
        project(
            json!({"op": "work_scan", "id": 0, "width": 1}),
            &[f("add", &[c(0), int(1)])],
        ),
        f("lt", &[c(0), int(4)]),
    );
    let start = project(json!({"op": "single"}), &[exec(0)]);
    let right = json!({"op": "recursive", "id": 0, "start": start, "step": step, "distinct": false, "types": [INT4]});
    let join = json!({"op": "nested_loop", "kind": "inner", "left": ints(&[&[Some(2)], &[Some(3)], &[Some(1)]]), "right": right,
        "on": null, "params": [[0, c(0)]], "right_width": 1});
    gives(join, "2 2\n2 3\n3 3\n1 1\n1 2\n1 3");
}

#[test]
fn row_limits_cut_batches_and_lose_nothing() {
    let prepared =
        case(json!({"op": "function_scan", "calls": [series(1, 10)], "ordinality": false}))
            .prepared();
    let mut execution = Execution::new(prepared, Vec::new(), Setup::bare());
    let mut sizes = Vec::new();
    while let Some(batch) = execution.next(4).unwrap() {
        sizes.push(batch.len);
    }
    assert_eq!(sizes, [4, 4, 2]);
    assert_eq!(execution.command_tag(), "SELECT 10");
}

#[test]
fn a_cancelled_statement_says_so() {
    let mut plan =
        case(json!({"op": "function_scan", "calls": [series(1, 10)], "ordinality": false}));
    plan.setup = Box::new(|setup| {
        setup
            .cancel
            .store(true, std::sync::atomic::Ordering::Relaxed)
    });
    plan.gives("57014: canceling statement due to user request");
}

#[test]
fn locked_rows_are_looked_at_again() {
    let mut plan = case(
        json!({"op": "lock_rows", "input": filter(scan(), f("gt", &[c(1), int(5)])), "locks": [{
        "table": table(), "row": 3, "mode": "update", "wait": "block", "columns": [[0, 0], [1, 1], [2, 2]],
        "recheck": f("gt", &[c(1), int(5)])}], "outer": []}),
    );
    plan.memory = people();
    plan.memory.since.insert(0, None);
    plan.memory.since.insert(
        1,
        Some(vec![Datum::Int(2), Datum::Int(1), Datum::text("low")]),
    );
    plan.memory.since.insert(
        2,
        Some(vec![Datum::Int(3), Datum::Int(99), Datum::text("high")]),
    );
    plan.gives("3 99 high 2\n5 20 eve 4\n6 30 fay 5");
}

#[test]
fn big_tables_are_aggregated_by_several_threads() {
    let rows: Vec<(i64, Option<i64>, &str)> = (0..500)
        .map(|i| (i, (i % 7 > 0).then_some(i % 7), "x"))
        .collect();
    let aggs = [
        agg("count", &[], INT8),
        agg("count", &[c(1)], INT8),
        agg("sum", &[c(0)], INT8),
    ];
    let test = f("gt", &[c(0), int(9)]);
    let groups = "null 70 0 17885\n1 70 70 17955\n2 70 70 18025\n3 70 70 17605\n4 70 70 17675\n5 70 70 17745\n6 70 70 17815";
    for (keys, wanted) in [(vec![], "490 420 124705"), (vec![c(1)], groups)] {
        for workers in [1, 4] {
            let mut plan = case(aggregate(filter(scan(), test.clone()), &keys, &aggs));
            plan.memory = Memory::with(&rows);
            plan.memory.big = true;
            plan.setup = Box::new(move |setup| setup.workers = workers);
            let mut lines: Vec<String> = plan.outcome().text.lines().map(str::to_string).collect();
            let mut wanted: Vec<&str> = wanted.lines().collect();
            lines.sort();
            wanted.sort_unstable();
            assert_eq!(lines, wanted, "{workers} workers");
        }
    }
    // A function's error in any part is the statement's.
    let mut plan = case(aggregate(
        scan(),
        &[],
        &[agg(
            "sum",
            &[f("div", &[int(1), f("add", &[c(0), int(-499)])])],
            INT8,
        )],
    ));
    plan.memory = Memory::with(&rows);
    plan.memory.big = true;
    plan.setup = Box::new(|setup| setup.workers = 4);
    plan.gives("22012: division by zero");
}

#[test]
fn the_best_rows_of_big_tables_are_found_by_several_threads_and_ties_keep_their_order() {
    let rows: Vec<(i64, Option<i64>, &str)> = (0..500)
        .map(|i| (i, (i % 11 > 0).then_some(i % 11), "x"))
        .collect();
    for (limit, desc) in [(0, false), (7, false), (7, true), (300, true), (600, false)] {
        let key = json!({"expr": c(1), "typ": INT8, "desc": desc, "nulls_first": desc});
        let node = json!({"op": "sort", "input": filter(scan(), f("gt", &[c(0), int(9)])), "keys": [key], "limit": int(limit)});
        let mut answers = Vec::new();
        for workers in [1, 4] {
            let mut plan = case(node.clone());
            plan.memory = Memory::with(&rows);
            plan.memory.big = true;
            plan.setup = Box::new(move |setup| setup.workers = workers);
            answers.push(plan.outcome().text);
        }
        assert_eq!(answers[0], answers[1], "limit {limit}");
        assert_eq!(
            answers[0].lines().filter(|l| !l.trim().is_empty()).count(),
            limit.min(490) as usize
        );
    }
}
