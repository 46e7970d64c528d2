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
