//! IN, ANY and ALL over a subplan's rows, in place: hashed where they can be, and with rows beyond work_mem.

use super::spill::{mixed, run, series};
use super::*;

/// `any` over subplan 0, by its test only or with keys.
fn any(keys: usize, test: Value, hashed: bool) -> Value {
    let pairs = (0..keys)
        .filter(|_| hashed)
        .map(|i| json!([c(i), c(i), INT4]));
    let pairs: Vec<Value> = pairs.collect();
    let result: Vec<usize> = (0..keys).collect();
    json!({"e": "sub", "subplan": 0, "kind": "any", "params": [], "test": test, "result": result, "typ": BOOL,
        "keys": pairs})
}

fn equal(keys: usize) -> Value {
    and(&(0..keys)
        .map(|i| f("eq", &[c(i), exec(i)]))
        .collect::<Vec<_>>())
}

/// All rows of so many columns of null, 1 and 2.
fn all_rows(width: usize) -> Vec<Vec<Option<i64>>> {
    (0..3usize.pow(width as u32))
        .map(|n| {
            (0..width)
                .map(|c| [None, Some(1), Some(2)][n / 3usize.pow(c as u32) % 3])
                .collect()
        })
        .collect()
}

fn rows(rows: &[Vec<Option<i64>>]) -> Value {
    ints(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[test]
fn hashed_keys_have_the_three_values_of_comparing_with_each_row() {
    for width in 1..=3 {
        let outer = all_rows(width);
        for some in 0..40usize {
            // Some of all rows, others each time.
            let inner: Vec<_> = outer
                .iter()
                .enumerate()
                .filter(|(i, _)| (i * 7 + some * 13 + i * some) % 11 < some % 4)
                .map(|(_, row)| row.clone())
                .collect();
            let subplan = match inner.is_empty() {
                true => filter(rows(&outer), boolean(false)),
                false => rows(&inner),
            };
            let answers: Vec<String> = [false, true]
                .map(|hashed| {
                    let mut plan = case(project(rows(&outer), &[any(width, equal(width), hashed)]));
                    plan.subplans = vec![subplan.clone()];
                    plan.run(&plan.prepared(), some as u64 % 5).text
                })
                .into();
            assert_eq!(answers[0], answers[1], "{inner:?}");
        }
    }
}

#[test]
fn hashed_rows_belong_to_their_parameters() {
    // The subplan reads a parameter that a nested loop sets: 1 to 3, and is asked for 1 and 2 each time.
    let inner = filter(series(3), f("lt", &[exec(5), c(0)]));
    let asked = project(ints(&[&[Some(2)], &[None]]), &[any(1, equal(1), true)]);
    let join = json!({"op": "nested_loop", "kind": "inner", "left": series(3), "right": asked, "on": null,
        "params": [[5, c(0)]], "right_width": 1});
    let mut plan = case(join);
    plan.subplans = vec![inner];
    plan.gives("1 true\n1 null\n2 false\n2 null\n3 false\n3 false");
}

#[test]
fn a_parameter_that_is_never_the_same_does_not_make_the_subplan_begin_again() {
    // Numerics are not compared: 1.0 and 1.00 may answer differently.
    let number = |text: &str| vec![json!({"e": "const", "typ": 1700, "text": text})];
    let outer = values(&[1700], &[number("1.5"), number("2.5")]);
    let given = json!({"e": "is_null", "arg": {"e": "exec", "n": 5, "typ": 1700}, "not": true});
    for hashed in [true, false] {
        let asked = project(
            ints(&[&[Some(2)], &[Some(99)], &[None]]),
            &[any(1, equal(1), hashed)],
        );
        let join = json!({"op": "nested_loop", "kind": "inner", "left": outer, "right": asked, "on": null,
            "params": [[5, col(0, 1700)]], "right_width": 1});
        let mut plan = case(join);
        plan.subplans = vec![filter(series(30), given.clone())];
        plan.gives("1.5 true\n1.5 false\n1.5 null\n2.5 true\n2.5 false\n2.5 null");
    }
}

/// 2,000 rows against 20,000 of which the even ones are odd: with a null, and without.
fn spilled(keys: usize, test: Value, hashed: bool) -> (Vec<String>, usize) {
    let outer = project(mixed(2_000), &[c(0), c(0), f("mod", &[c(0), int(2)])]);
    let mut plan = case(project(outer, &[c(0), any(keys, test, hashed)]));
    let twice = f("mul", &[c(0), int(2)]);
    plan.subplans = vec![project(mixed(20_000), &[twice.clone(), twice])];
    let (calm, written, left) = run(&plan, 0);
    assert_eq!(left, 0, "files are left");
    let (waited, _, _) = run(&plan, 3);
    assert_eq!(waited, calm);
    (calm, written)
}

#[test]
fn hashed_keys_beyond_work_mem_are_looked_up_in_files() {
    for keys in [1, 2] {
        let (answers, written) = spilled(keys, equal(keys), true);
        assert!(written > 300_000, "nothing was spilled: {written}");
        assert_eq!(answers.len(), 2_000);
        for row in answers {
            let (number, answer) = row.split_once(' ').unwrap();
            // 20,000 different numbers below 20,011, doubled: nearly all even ones are there.
            let number: i64 = number.parse().unwrap();
            let there = (1..=20_000).any(|i| i * 7919 % 20_011 * 2 == number);
            assert_eq!(answer, there.to_string(), "{number}");
        }
    }
}

#[test]
fn rows_that_are_compared_one_by_one_are_kept_in_files() {
    let outer = project(series(3), &[f("add", &[c(0), int(39_999)])]);
    let mut plan = case(project(outer, &[any(1, f("lt", &[c(0), exec(0)]), false)]));
    let twice = f("mul", &[c(0), int(2)]);
    plan.subplans = vec![project(mixed(20_000), &[twice])];
    for seed in [0, 1, 2] {
        let (rows, written, left) = run(&plan, seed);
        assert!(written > 80_000, "nothing was spilled: {written}");
        // The greatest is 40,020.
        assert_eq!((rows.join(" "), left), ("true true true".to_owned(), 0));
    }
}
