//! Window functions and frames.

use super::*;

fn frame(mode: &str, start: (&str, Option<i64>), end: (&str, Option<i64>)) -> Value {
    json!({"mode": mode, "start": {"kind": start.0, "offset": start.1.map(int)},
        "end": {"kind": end.0, "offset": end.1.map(int)}, "exclude": "no others"})
}

fn default_frame() -> Value {
    frame("range", ("unbounded", None), ("current", None))
}

fn call(func: &str, args: &[Value], typ: u32, frame: Value) -> Value {
    let types = vec![INT4; args.len()];
    json!({"func": func, "args": args, "arg_types": types, "typ": typ, "filter": null, "frame": frame})
}

/// (partition, order) pairs, sorted as a Window wants them.
fn input() -> Value {
    ints(&[
        &[Some(1), Some(1)],
        &[Some(1), Some(2)],
        &[Some(1), Some(2)],
        &[Some(1), Some(5)],
        &[Some(2), Some(3)],
        &[Some(2), None],
        &[None, Some(7)],
    ])
}

fn windows(calls: &[Value], rows: &str) {
    let width = calls.len();
    let window = json!({"op": "window", "input": input(), "partition": [c(0)], "partition_types": [INT4],
        "order": [key(c(1), INT4, false)], "calls": calls});
    let columns: Vec<Value> = (2..2 + width).map(c).collect();
    gives(project(window, &columns), rows);
}

#[test]
fn ranks() {
    let calls: Vec<Value> = ["row_number", "rank", "dense_rank"]
        .iter()
        .map(|n| call(n, &[], INT8, default_frame()))
        .collect();
    windows(&calls, "1 1 1\n2 2 2\n3 2 2\n4 4 3\n1 1 1\n2 2 2\n1 1 1");
    let shares: Vec<Value> = ["percent_rank", "cume_dist"]
        .iter()
        .map(|n| call(n, &[], 701, default_frame()))
        .collect();
    windows(
        &shares,
        "0 0.25\n0.3333333333333333 0.75\n0.3333333333333333 0.75\n1 1\n0 0.5\n1 1\n0 1",
    );
    windows(
        &[call("ntile", &[int(3)], INT4, default_frame())],
        "1\n1\n2\n3\n1\n2\n1",
    );
    windows(
        &[call("ntile", &[int(0)], INT4, default_frame())],
        "22014: argument of ntile must be greater than zero",
    );
}

#[test]
fn neighbours() {
    let calls = [
        call("lag", &[c(1)], INT4, default_frame()),
        call("lead", &[c(1), int(2)], INT4, default_frame()),
        call(
            "window_lag_with_offset_and_default",
            &[c(1), int(1), int(-1)],
            INT4,
            default_frame(),
        ),
    ];
    windows(
        &calls,
        "null 2 -1\n1 5 1\n2 null 2\n2 null 2\nnull null -1\n3 null 3\nnull null -1",
    );
}

#[test]
fn values_of_the_frame() {
    let rows = |a, b| frame("rows", a, b);
    let calls = [
        call(
            "first_value",
            &[c(1)],
            INT4,
            rows(("preceding", Some(1)), ("following", Some(1))),
        ),
        call("last_value", &[c(1)], INT4, default_frame()),
        call(
            "nth_value",
            &[c(1), int(2)],
            INT4,
            rows(("unbounded", None), ("unbounded", None)),
        ),
    ];
    windows(
        &calls,
        "1 1 2\n1 2 2\n2 2 2\n2 5 2\n3 3 null\n3 null null\n7 7 null",
    );
}

#[test]
fn aggregates_over_frames() {
    let sum = |f: Value| call("sum", &[c(1)], INT4, f);
    let calls = [
        sum(default_frame()),
        sum(frame("rows", ("preceding", Some(1)), ("current", None))),
        sum(frame(
            "range",
            ("preceding", Some(1)),
            ("following", Some(1)),
        )),
        sum(frame("groups", ("preceding", Some(1)), ("current", None))),
        sum(frame("rows", ("current", None), ("unbounded", None))),
    ];
    windows(
        &calls,
        "1 1 5 1 10\n5 3 5 5 9\n5 4 5 5 7\n10 7 5 9 5\n3 3 3 3 3\n3 3 null 3 null\n7 7 7 7 7",
    );
}

#[test]
fn rows_left_out_of_a_frame() {
    let sum = |exclude: &str| {
        let mut f = frame("rows", ("unbounded", None), ("unbounded", None));
        f["exclude"] = json!(exclude);
        call("sum", &[c(1)], INT4, f)
    };
    windows(
        &[sum("current row"), sum("group"), sum("ties")],
        "9 9 10\n8 6 8\n8 6 8\n5 5 10\nnull null 3\n3 3 3\nnull null 7",
    );
}

#[test]
fn bad_offsets_are_errors() {
    let sum = |f: Value| call("sum", &[c(1)], INT4, f);
    windows(
        &[sum(frame(
            "rows",
            ("preceding", Some(-1)),
            ("current", None),
        ))],
        "22013: frame starting offset must not be negative",
    );
    windows(
        &[sum(frame(
            "range",
            ("preceding", Some(-1)),
            ("current", None),
        ))],
        "22013: invalid preceding or following size in window function",
    );
}

/// Every function over every kind of frame.
fn many_calls() -> Vec<Value> {
    let mut calls = Vec::new();
    let offset = |n: i64| Some(n);
    for mode in ["rows", "range", "groups"] {
        for (start, end) in [
            (("unbounded", None), ("current", None)),
            (("unbounded", None), ("unbounded", None)),
            (("preceding", offset(2)), ("following", offset(3))),
            (("preceding", offset(3)), ("preceding", offset(1))),
            (("following", offset(1)), ("following", offset(2))),
            (("current", None), ("unbounded", None)),
        ] {
            for exclude in ["no others", "current row", "group", "ties"] {
                let mut frame = frame(mode, start, end);
                frame["exclude"] = json!(exclude);
                calls.push(call("sum", &[c(2)], INT8, frame.clone()));
                let mut filtered = call("count", &[], INT8, frame.clone());
                filtered["filter"] = f("gt", &[c(2), int(30)]);
                calls.push(filtered);
                calls.push(call("first_value", &[c(2)], INT4, frame.clone()));
                calls.push(call(
                    "last_value",
                    &[f("add", &[c(2), int(1)])],
                    INT4,
                    frame.clone(),
                ));
                calls.push(call("nth_value", &[c(2), int(3)], INT4, frame));
            }
        }
    }
    let plain = |name: &str, args: &[Value], typ| call(name, args, typ, default_frame());
    for name in ["row_number", "rank", "dense_rank"] {
        calls.push(plain(name, &[], INT8));
    }
    for name in ["percent_rank", "cume_dist"] {
        calls.push(plain(name, &[], 701));
    }
    calls.push(plain("ntile", &[int(3)], INT4));
    calls.push(plain("lag", &[c(2)], INT4));
    calls.push(plain("lead", &[c(2)], INT4));
    calls.push(plain("lag", &[c(2), c(1), int(-5)], INT4));
    calls.push(plain("lead", &[c(2), int(2)], INT4));
    calls
}

/// (partition, order, number): partitions of quite different sizes, nulls at one end of the order.
fn many_rows(desc: bool) -> Value {
    let mut rng = crate::func::Rng::new(11);
    let rows: Vec<Vec<Value>> = (0..160)
        .map(|i| {
            let at = rng.next();
            let order = match at % 8 {
                0 => nil(INT4),
                n => int((n * 3 + at / 64 % 9) as i64),
            };
            let part = match at / 8 % 8 {
                0 => int(1),
                1 => nil(INT4),
                2 => int(i % 3 + 5),
                _ => int(2),
            };
            vec![part, order, int((at / 1024 % 100) as i64)]
        })
        .collect();
    sort(
        values(&[INT4, INT4, INT4], &rows),
        &[key(c(0), INT4, false), key(c(1), INT4, desc)],
    )
}

#[test]
fn partitions_in_files_give_what_partitions_in_memory_give() {
    for desc in [false, true] {
        for calls in many_calls().chunks(40) {
            let window = |input: Value| {
                json!({"op": "window", "input": input, "partition": [c(0)], "partition_types": [INT4],
                    "order": [key(c(1), INT4, desc)], "calls": calls})
            };
            let calm = case(window(many_rows(desc)));
            let prepared = calm.prepared();
            let wanted = calm.run(&prepared, 0).text;
            assert_eq!(wanted.lines().count(), 160);
            for (seed, work_mem) in [(0, 300), (3, 300), (4, 4 << 20), (5, 4000)] {
                let mut plan = case(window(many_rows(desc)));
                plan.memory.spill = Some(TestSpill::new(usize::MAX));
                plan.setup = Box::new(move |setup| setup.work_mem = work_mem);
                let got = plan.run(&prepared, seed).text;
                assert!(got == wanted, "seed {seed} work_mem {work_mem}");
            }
        }
    }
}

#[test]
fn rows_that_nobody_looks_at_any_more_are_forgotten() {
    let rows = |n: i64| {
        json!({"op": "function_scan", "calls": [{"func": "test_series", "args": [int(1), int(n)],
            "arg_types": [INT4, INT4], "types": [INT4]}], "ordinality": false})
    };
    let near = frame("rows", ("preceding", Some(5)), ("current", None));
    let streaming = [
        call("row_number", &[], INT8, default_frame()),
        call("sum", &[c(0)], INT8, default_frame()),
        call("max", &[c(0)], INT4, near.clone()),
        call("last_value", &[c(0)], INT4, default_frame()),
        call("first_value", &[c(0)], INT4, default_frame()),
        call("lag", &[c(0)], INT4, default_frame()),
        call("lead", &[c(0)], INT4, default_frame()),
    ];
    let whole = [call(
        "sum",
        &[c(0)],
        INT8,
        frame("rows", ("unbounded", None), ("unbounded", None)),
    )];
    for (calls, spills) in [(&streaming[..], false), (&whole[..], true)] {
        let plan = case(
            json!({"op": "window", "input": rows(20_000), "partition": [], "partition_types": [],
            "order": [key(c(0), INT4, false)], "calls": calls}),
        );
        let (lines, written, files) = super::spill::run(&plan, 0);
        assert_eq!((lines.len(), files), (20_000, 0));
        assert_eq!(written > 0, spills, "{written} bytes written");
    }
}
