//! Merge joins against hash joins over the same random rows: duplicates, nulls, groups that go on over batches and into files.

use super::joins::merged;
use super::*;
use crate::func::Rng;

const KINDS: [&str; 6] = ["inner", "left", "right", "full", "semi", "anti"];

/// (key, number): keys of a few values, one of ten null; most rows have the key 0 where `heavy`.
fn random(rng: &mut Rng, rows: usize, keys: u64, heavy: bool) -> Value {
    let rows: Vec<Vec<Value>> = (0..rows)
        .map(|i| {
            let at = rng.next();
            let key = match at % 10 {
                0 => nil(INT4),
                1..=8 if heavy => int(0),
                _ => int((at / 10 % keys) as i64),
            };
            vec![key, int(i as i64)]
        })
        .collect();
    values(&[INT4, INT4], &rows)
}

fn rows_of(plan: &Case, prepared: &Arc<Prepared>, seed: u64) -> Vec<String> {
    let mut rows: Vec<String> = plan
        .run(prepared, seed)
        .text
        .lines()
        .map(str::to_string)
        .collect();
    rows.sort();
    rows
}

/// Both ways to join give the same rows, waiting or not, with room and without.
fn agree(kind: &str, left: &Value, right: &Value, on: Option<Value>, desc: bool) {
    let hash = case(
        json!({"op": "hash_join", "kind": kind, "left": left, "right": right, "left_keys": [c(0)],
        "right_keys": [c(0)], "key_types": [INT4], "on": on, "left_width": 2, "right_width": 2}),
    );
    let order = key(c(0), INT4, desc);
    let mut merge = case(merged(
        kind,
        left.clone(),
        right.clone(),
        on.clone(),
        order,
        (2, 2),
    ));
    let (hashed, prepared) = (hash.prepared(), merge.prepared());
    let wanted = rows_of(&hash, &hashed, 0);
    for (seed, work_mem) in [(0, 4 << 20), (0, 256), (5, 256), (6, 4 << 20)] {
        merge.memory.spill = Some(TestSpill::new(usize::MAX));
        merge.setup = Box::new(move |setup| setup.work_mem = work_mem);
        let got = rows_of(&merge, &prepared, seed);
        assert!(
            got == wanted,
            "{kind} {on:?} seed {seed} work_mem {work_mem}: {} rows for {}",
            got.len(),
            wanted.len()
        );
    }
}

#[test]
fn merge_and_hash_joins_agree() {
    let mut rng = Rng::new(7);
    for round in 0..6 {
        let (keys, heavy) = ([3, 20, 400][round % 3], round == 3);
        let left = random(&mut rng, [0, 40, 60, 30, 200, 150][round], keys, heavy);
        let right = random(&mut rng, [30, 0, 60, 2500, 200, 150][round], keys, heavy);
        for kind in KINDS {
            let more = f(
                "lt",
                &[f("mod", &[f("add", &[c(1), c(3)]), int(7)]), int(2)],
            );
            agree(kind, &left, &right, None, round % 2 == 1);
            agree(kind, &left, &right, Some(more), round % 2 == 0);
        }
    }
}

#[test]
fn hash_joins_in_partitions_agree_with_those_in_memory() {
    let mut rng = Rng::new(5);
    let no_nulls = |rows: i64| {
        let rows: Vec<Vec<Value>> = (0..rows).map(|i| vec![int(i * 7 % 50), int(i)]).collect();
        values(&[INT4, INT4], &rows)
    };
    let sides = [
        (
            random(&mut rng, 150, 60, false),
            random(&mut rng, 90, 30, false),
        ),
        (random(&mut rng, 150, 60, false), no_nulls(30)),
        (no_nulls(40), random(&mut rng, 90, 30, true)),
    ];
    let kinds = KINDS.iter().chain(&["null_anti", "mark"]);
    for (kind, (left, right)) in kinds.flat_map(|k| sides.iter().map(move |s| (k, s))) {
        let mut plan = case(
            json!({"op": "hash_join", "kind": kind, "left": left, "right": right, "left_keys": [c(0)],
            "right_keys": [c(0)], "key_types": [INT4], "on": null, "left_width": 2, "right_width": 2}),
        );
        let prepared = plan.prepared();
        let wanted = rows_of(&plan, &prepared, 0);
        plan.memory.spill = Some(TestSpill::new(usize::MAX));
        plan.setup = Box::new(|setup| setup.work_mem = 256);
        for seed in [0, 5] {
            assert_eq!(
                rows_of(&plan, &prepared, seed),
                wanted,
                "{kind} seed {seed}"
            );
        }
    }
}

#[test]
fn a_merge_join_gives_rows_in_the_order_of_its_keys() {
    let mut rng = Rng::new(3);
    let (left, right) = (
        random(&mut rng, 3000, 300, false),
        random(&mut rng, 300, 300, false),
    );
    for kind in ["inner", "left", "semi", "anti"] {
        let order = key(c(0), INT4, false);
        let plan = case(merged(
            kind,
            left.clone(),
            right.clone(),
            None,
            order,
            (2, 2),
        ));
        let outcome = plan.run(&plan.prepared(), 0);
        let keys: Vec<i64> = outcome
            .text
            .lines()
            .map(|l| l.split(' ').next().unwrap().parse().unwrap_or(i64::MAX))
            .collect();
        assert!(keys.len() > 100, "{kind}");
        assert!(keys.windows(2).all(|w| w[0] <= w[1]), "{kind}");
    }
}

#[test]
fn a_merge_join_in_a_loop_begins_again() {
    let left = filter(
        ints(&[
            &[Some(1), Some(1)],
            &[Some(2), Some(2)],
            &[Some(2), Some(3)],
        ]),
        f("gt", &[c(0), exec(0)]),
    );
    let right = ints(&[
        &[Some(2), Some(22)],
        &[Some(2), Some(23)],
        &[Some(3), Some(33)],
    ]);
    let inner = merged("full", left, right, None, key(c(0), INT4, false), (2, 2));
    let outer = json!({"op": "nested_loop", "kind": "inner", "left": ints(&[&[Some(1)], &[Some(2)]]), "right": inner,
        "on": null, "params": [[0, c(0)]], "right_width": 4});
    gives(
        outer,
        "1 2 2 2 22\n1 2 2 2 23\n1 2 3 2 22\n1 2 3 2 23\n1 null null 3 33
         2 null null 2 22\n2 null null 2 23\n2 null null 3 33",
    );
}
