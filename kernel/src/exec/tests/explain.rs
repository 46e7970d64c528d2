//! Counters of EXPLAIN ANALYZE.

use super::*;

#[test]
fn every_node_counts_its_rows_and_loops() {
    let right = filter(
        ints(&[&[Some(1)], &[Some(2)], &[Some(3)]]),
        f("gt", &[c(0), exec(0)]),
    );
    let join = json!({"op": "nested_loop", "kind": "inner", "left": ints(&[&[Some(0)], &[Some(2)]]), "right": right,
        "on": null, "params": [[0, c(0)]], "right_width": 1});
    let prepared = case(sort(join, &[key(c(1), INT4, true)])).prepared();
    let mut setup = Setup::bare();
    setup.instrument = true;
    setup.clock = Some(|| 0);
    let mut execution = Execution::new(prepared, Vec::new(), setup);
    while execution.next(0).unwrap().is_some() {}
    let nodes: Vec<Value> = serde_json::from_str(&execution.explain()).unwrap();
    let counts: Vec<(u64, u64)> = nodes
        .iter()
        .map(|n| (n["rows"].as_u64().unwrap(), n["loops"].as_u64().unwrap()))
        .collect();
    // Sort, join, left values, filter, right values.
    assert_eq!(counts, [(4, 1), (4, 1), (2, 1), (4, 2), (6, 2)]);
    assert_eq!(nodes[0]["facts"]["Sort Method"], "quicksort");
}
