//! Sorts and hash tables beyond work_mem: temporary files, waiting, full disks.

use super::*;
use crate::base::{pace, Oid};
use crate::exec::batch::Vector;
use crate::exec::keys::Order;
use crate::exec::order::sorted;
use crate::types::registry;

pub fn series(to: i64) -> Value {
    json!({"op": "function_scan", "calls": [{"func": "test_series", "args": [int(1), int(to)], "arg_types": [INT4, INT4],
        "types": [INT4]}], "ordinality": false})
}

/// 20,000 rows in no order: i * 7919 mod 20011, and a text.
pub fn mixed(rows: i64) -> Value {
    let spread = f("mod", &[f("mul", &[c(0), int(7919)]), int(20011)]);
    let label = json!({"e": "cast_io", "arg": spread, "from": INT4, "to": TEXT, "typmod": -1});
    project(series(rows), &[spread.clone(), label])
}

fn small(plan: Value, room: usize) -> Case {
    let mut plan = case(plan);
    plan.memory.spill = Some(TestSpill::new(room));
    plan.setup = Box::new(|setup| {
        setup.work_mem = 64 << 10;
        setup.slice = 0;
    });
    plan
}

/// One run with a spill that the test can look at: rows, bytes written, files left open at the end.
pub fn run(plan: &Case, seed: u64) -> (Vec<String>, usize, usize) {
    let spill = Arc::new(TestSpill::new(usize::MAX).fresh(seed));
    let mut setup = Setup::bare();
    setup.spill = Some(spill.clone());
    setup.work_mem = 64 << 10;
    let mut execution = Execution::new(plan.prepared(), Vec::new(), setup);
    let mut rows = Vec::new();
    loop {
        match execution.next(0) {
            Ok(Some(batch)) => {
                rows.extend(
                    (0..batch.len)
                        .map(|r| batch.row(r).iter().map(show).collect::<Vec<_>>().join(" ")),
                );
            }
            Ok(None) => break,
            Err(Stop::Need(_)) => {}
            Err(stop) => panic!("{stop:?}"),
        }
    }
    let written = spill.written();
    drop(execution);
    (rows, written, spill.files())
}

#[test]
fn big_sorts_merge_runs() {
    let plan = case(sort(mixed(20_000), &[key(c(0), INT4, false)]));
    for seed in [0, 1, 2] {
        let (rows, written, files) = run(&plan, seed);
        assert_eq!(rows.len(), 20_000);
        assert!(written > 200_000, "nothing was spilled");
        assert_eq!(files, 0, "files are left");
        let keys: Vec<i64> = rows
            .iter()
            .map(|r| r.split(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(keys.windows(2).all(|w| w[0] <= w[1]));
        assert!(rows
            .iter()
            .all(|r| r.split(' ').next() == r.split(' ').nth(1)));
    }
}

#[test]
fn big_groups_go_through_partitions() {
    let aggs = [agg("count", &[], INT8), agg("sum", &[c(0)], INT8)];
    let plan = json!({"op": "aggregate", "input": mixed(20_000), "keys": [col(1, TEXT)], "key_types": [TEXT], "aggs": aggs,
        "sorted": false, "sets": null});
    let plan = case(plan);
    let (mut calm, written, files) = run(&plan, 0);
    assert!(written > 100_000, "nothing was spilled");
    assert_eq!((calm.len(), files), (20_000, 0));
    calm.sort();
    assert!(calm.iter().all(|row| {
        let parts: Vec<&str> = row.split(' ').collect();
        parts[1] == "1" && parts[0] == parts[2]
    }));
    let (mut waited, _, _) = run(&plan, 3);
    waited.sort();
    assert_eq!(waited, calm);
}

#[test]
fn big_hash_joins_go_through_partitions() {
    for (kind, count) in [
        ("inner", 20_000),
        ("left", 20_000),
        ("full", 20_011),
        ("anti", 0),
        ("mark", 20_000),
        ("null_anti", 0),
    ] {
        let plan = case(
            json!({"op": "hash_join", "kind": kind, "left": mixed(20_000), "right": project(series(20_011), &[f("add", &[c(0), int(-1)]), c(0)]),
            "left_keys": [c(0)], "right_keys": [c(0)], "key_types": [INT4], "on": null, "left_width": 2, "right_width": 2}),
        );
        for seed in [0, 5] {
            let (rows, written, files) = run(&plan, seed);
            assert_eq!((rows.len(), files), (count, 0), "{kind}");
            assert!(written > 100_000, "{kind} wrote {written}");
        }
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let outcome = small(sort(mixed(5_000), &[key(c(0), INT4, false)]), 50_000).outcome();
    assert_eq!(
        outcome.text,
        "53100: could not write to a temporary file: No space left on device"
    );
}

#[test]
fn every_kind_of_value_survives_a_file() {
    let spill = Arc::new(TestSpill::new(usize::MAX));
    let mut file = crate::exec::spill::SpillFile::new(spill);
    let of = |typ: u32, text: &str| {
        registry::get(crate::base::Oid(typ))
            .and_then(|t| t.input(text, -1, &Settings::default()))
            .unwrap()
    };
    let row = vec![
        Datum::Null,
        Datum::Bool(true),
        Datum::Int(-5),
        Datum::Float(f64::NEG_INFINITY),
        Datum::text("héllo"),
        of(17, "\\x00ff"),
        of(1700, "-123456789.000123"),
        of(1186, "1 mon -2 days 03:04:05"),
        of(1266, "12:00:00+02"),
        of(2950, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        of(1009, "[2:3]={a,NULL}"),
        Datum::Record(Arc::new(crate::types::Record {
            types: Arc::from([crate::base::Oid(INT4)]),
            values: vec![Datum::Int(1)],
        })),
    ];
    let mut batch = crate::exec::batch::Batch::of_width(row.len());
    batch.push_row(&row);
    file.push(&batch).unwrap();
    let back = file.block(0).unwrap().unwrap();
    assert_eq!(format!("{:?}", back.row(0)), format!("{row:?}"));
    assert!(file.block(1).unwrap().is_none());
}

#[test]
fn a_sort_whose_last_rows_fill_its_memory_has_nothing_left_to_sort() {
    let fills = json!({"e": "func", "func": "repeat", "args": [text("x"), int(80_000)], "arg_types": [TEXT, INT4],
        "typ": TEXT, "at": null});
    let plan = case(sort(
        project(series(3), &[c(0), fills]),
        &[key(c(0), INT4, true)],
    ));
    let (rows, written, _) = run(&plan, 1);
    let first: Vec<&str> = rows.iter().map(|r| &r[..1]).collect();
    assert_eq!(first, ["3", "2", "1"]);
    assert!(written > 200_000, "nothing was spilled");
}

#[test]
fn a_big_sort_in_memory_is_stable_and_ends_when_it_is_cancelled() {
    let rows = 100_000usize;
    let keys = [Vector::Int(
        (0..rows as i64).map(|i| i * 7919 % 1000).collect(),
        Vec::new(),
    )];
    let info = registry::get(Oid(INT4)).unwrap();
    let order = |desc| Order {
        info,
        desc,
        nulls_first: false,
    };
    for desc in [false, true] {
        let sorted = sorted(&[order(desc)], &keys, rows).unwrap();
        let Vector::Int(values, _) = &keys[0] else {
            unreachable!()
        };
        let sign = if desc { -1 } else { 1 };
        assert!(sorted
            .windows(2)
            .all(|w| (sign * values[w[0] as usize], w[0]) < (sign * values[w[1] as usize], w[1])));
    }
    let flag = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let _pace = pace::enter(&flag, false);
    assert!(sorted(&[order(false)], &keys, rows).is_err());
}

/// The same rows with memory for all of them, with little, and with little and waits; only little writes files.
pub fn same_when_spilled(plan: Value, count: usize) {
    let plan = case(plan);
    let mut execution = Execution::new(plan.prepared(), Vec::new(), Setup::bare());
    let mut all = Vec::new();
    while let Some(batch) = execution.next(0).unwrap() {
        all.extend(
            (0..batch.len).map(|r| batch.row(r).iter().map(show).collect::<Vec<_>>().join(" ")),
        );
    }
    all.sort();
    assert_eq!(all.len(), count);
    for seed in [0, 4, 9] {
        let (mut rows, written, files) = run(&plan, seed);
        rows.sort();
        assert!(rows == all, "other rows");
        assert!(written > 100_000, "nothing was spilled");
        assert_eq!(files, 0, "files are left");
    }
}

/// 20,000 rows, every one of them twice.
fn twice() -> Value {
    json!({"op": "append", "inputs": [mixed(20_000), mixed(20_000)]})
}

#[test]
fn big_distinct_goes_through_partitions() {
    let plan = json!({"op": "distinct", "input": twice(), "keys": null, "types": [INT4, TEXT]});
    same_when_spilled(plan, 20_000);
}

#[test]
fn big_set_operations_go_through_partitions() {
    for (kind, all, count) in [
        ("union", false, 20_000),
        ("intersect", false, 12_000),
        ("intersect", true, 12_000),
        ("except", false, 8_000),
        ("except", true, 28_000),
    ] {
        let plan = json!({"op": "set_op", "kind": kind, "all": all, "left": twice(), "right": mixed(12_000),
            "types": [INT4, TEXT]});
        same_when_spilled(plan, count);
    }
}

#[test]
fn a_big_cte_is_read_twice() {
    let read = json!({"op": "cte_scan", "id": 0, "width": 2});
    let plan = json!({"op": "with", "id": 0, "cte": mixed(20_000), "input": {"op": "append", "inputs": [read, read]},
        "writes": false});
    same_when_spilled(plan, 40_000);
}

#[test]
fn a_big_work_table_is_a_round_s() {
    let step = filter(
        project(
            json!({"op": "work_scan", "id": 0, "width": 2}),
            &[f("add", &[c(0), int(100_000)]), col(1, TEXT)],
        ),
        f("lt", &[c(0), int(300_000)]),
    );
    let plan = json!({"op": "recursive", "id": 0, "start": mixed(20_000), "step": step, "distinct": false,
        "types": [INT4, TEXT]});
    same_when_spilled(plan, 60_000);
}

#[test]
fn what_distinct_and_ordered_aggregates_collect_need_not_fit() {
    let hundred = f("mod", &[c(0), int(100)]);
    let distinct = |of: Value| json!({"func": "count", "args": [of], "arg_types": [INT4], "typ": INT8, "distinct": true, "filter": null, "order": []});
    let newest = json!({"func": "array_agg", "args": [hundred], "arg_types": [INT4], "typ": 1007, "distinct": false,
        "filter": f("lt", &[c(0), int(300)]), "order": [key(col(1, TEXT), TEXT, true)]});
    let aggs = [
        distinct(c(0)),
        agg("sum", &[c(0)], INT8),
        newest,
        distinct(hundred.clone()),
    ];
    let none = json!([]);
    for (modulus, groups) in [(1, 1), (7, 7), (5_000, 5_000)] {
        let group = f("mod", &[c(0), int(modulus)]);
        for sorted in [false, true] {
            let input = match sorted {
                false => mixed(20_000),
                true => sort(mixed(20_000), &[key(group.clone(), INT4, false)]),
            };
            let keyed = json!({"op": "aggregate", "input": input, "keys": [group], "key_types": [INT4], "aggs": aggs,
                "sorted": sorted, "sets": null});
            same_when_spilled(keyed, groups);
        }
    }
    same_when_spilled(
        json!({"op": "aggregate", "input": mixed(20_000), "keys": none, "key_types": none, "aggs": aggs,
        "sorted": false, "sets": null}),
        1,
    );
}

/// x → 2x and 2x + 1 and x + 7919, modulo 20011: every number, most of them several times.
fn spreading(texts: bool) -> Value {
    let next = json!({"op": "append", "inputs": [
        project(json!({"op": "work_scan", "id": 0, "width": 2}), &[f("mod", &[f("mul", &[c(0), int(2)]), int(20_011)]), col(1, TEXT)]),
        project(json!({"op": "work_scan", "id": 0, "width": 2}),
            &[f("mod", &[f("add", &[f("mul", &[c(0), int(2)]), int(1)]), int(20_011)]), col(1, TEXT)]),
        project(json!({"op": "work_scan", "id": 0, "width": 2}), &[f("mod", &[f("add", &[c(0), int(7919)]), int(20_011)]), col(1, TEXT)]),
    ]});
    let start = values(
        &[INT4, TEXT],
        &[vec![
            int(0),
            text(if texts {
                "a longer text that is on the heap"
            } else {
                ""
            }),
        ]],
    );
    json!({"op": "recursive", "id": 0, "start": start, "step": next, "distinct": true, "types": [INT4, TEXT]})
}

#[test]
fn a_recursion_that_has_seen_much_makes_each_row_once() {
    for texts in [false, true] {
        let plan = case(spreading(texts));
        for seed in [0, 4] {
            let (mut rows, written, files) = run(&plan, seed);
            assert_eq!(files, 0, "files are left");
            assert!(written > 500_000, "{written} bytes written");
            assert_eq!(rows.len(), 20_011);
            rows.sort();
            rows.dedup();
            assert_eq!(rows.len(), 20_011);
        }
    }
}

#[test]
fn a_recursion_of_many_small_rounds_ends_when_nothing_is_new() {
    let ring = project(
        json!({"op": "work_scan", "id": 0, "width": 1}),
        &[f("mod", &[f("add", &[c(0), int(3)]), int(8_000)])],
    );
    let plan = json!({"op": "recursive", "id": 0, "start": ints(&[&[Some(1)], &[Some(1)], &[None]]), "step": ring,
        "distinct": true, "types": [INT4]});
    let (rows, written, files) = run(&case(plan), 0);
    assert_eq!((rows.len(), files), (8_001, 0));
    assert!(written > 50_000, "{written} bytes written");
}

#[test]
fn runs_are_merged_in_passes_when_there_are_many() {
    let wide = json!({"e": "func", "func": "repeat", "args": [text("wide "), int(200)], "arg_types": [TEXT, INT4],
        "typ": TEXT, "at": null});
    let spread = f("mod", &[f("mul", &[c(0), int(7919)]), int(20_011)]);
    let input = project(series(20_000), &[f("mod", &[spread, int(50)]), c(0), wide]);
    let plan = case(project(
        sort(input, &[key(c(0), INT4, false)]),
        &[c(0), c(1)],
    ));
    for seed in [0, 9] {
        // 20 MB of rows, in runs of a batch each. Eight are merged at once, so everything is written twice.
        let (rows, written, files) = run(&plan, seed);
        assert_eq!((rows.len(), files), (20_000, 0));
        assert!(written > 40_000_000, "{written} bytes written");
        let pairs: Vec<(i64, i64)> = rows
            .iter()
            .map(|r| {
                let (key, number) = r.split_once(' ').unwrap();
                (key.parse().unwrap(), number.parse().unwrap())
            })
            .collect();
        assert!(
            pairs.windows(2).all(|w| w[0] < w[1]),
            "not in order, or equal rows have changed places"
        );
    }
}

#[test]
fn the_right_side_of_a_nested_loop_need_not_fit() {
    for (kind, count) in [("inner", 5), ("left", 10), ("full", 20_005)] {
        let plan = json!({"op": "nested_loop", "kind": kind, "left": series(10), "right": mixed(20_000),
            "on": f("eq", &[f("mul", &[c(0), int(1)]), f("mul", &[c(1), int(2)])]), "params": [], "right_width": 2,
            "left_width": 1});
        same_when_spilled(plan, count);
    }
}
