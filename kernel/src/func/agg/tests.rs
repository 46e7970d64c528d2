//! testdata/aggregates.golden: aggregates row by row, in column batches, and in two parts that are merged.

use super::{lookup, Accumulator, Aggregate};
use crate::base::{Oid, Res};
use crate::exec::batch::Vector;
use crate::func::ctx::{CallInfo, Ctx, Memo, NoHost, Rng};
use crate::types::zone::Zone;
use crate::types::{registry, Datum, Settings};
use serde_json::Value;

struct Case {
    line: String,
    aggregate: &'static Aggregate,
    call: CallInfo,
    rows: Vec<Vec<Datum>>,
    want: Option<String>,
}

fn settings() -> Settings {
    Settings {
        time_zone: Zone::named("America/New_York").unwrap(),
        ..Settings::default()
    }
}

fn cases() -> Vec<Case> {
    let settings = settings();
    let parse = |line: &str| {
        let row: Vec<Value> = serde_json::from_str(line).unwrap();
        let list = |at: usize| row[at].as_array().unwrap();
        let types: Vec<Oid> = list(1)
            .iter()
            .map(|o| Oid(o.as_u64().unwrap() as u32))
            .collect();
        let value = |(text, typ): (&Value, &Oid)| match text.as_str() {
            Some(text) => registry::get(*typ)
                .unwrap()
                .input(text, -1, &settings)
                .unwrap(),
            None => Datum::Null,
        };
        let rows = list(3).iter().map(|row| {
            row.as_array()
                .unwrap()
                .iter()
                .zip(&types)
                .map(value)
                .collect()
        });
        Case {
            line: line.to_owned(),
            aggregate: lookup(row[0].as_str().unwrap(), &types).unwrap(),
            rows: rows.collect(),
            call: CallInfo::new(&types, Oid(row[2].as_u64().unwrap() as u32)),
            want: row[4].as_str().map(str::to_owned),
        }
    };
    include_str!("../testdata/aggregates.golden")
        .lines()
        .map(parse)
        .collect()
}

fn columns(case: &Case, rows: &[Vec<Datum>]) -> Vec<Vector> {
    let column = |(at, typ): (usize, &Oid)| {
        Vector::from_datums(*typ, rows.iter().map(|row| row[at].clone()).collect())
    };
    case.call.arg_types.iter().enumerate().map(column).collect()
}

fn by_rows(case: &Case, ctx: &mut Ctx<'_>, rows: &[Vec<Datum>]) -> Res<Box<dyn Accumulator>> {
    let mut state = (case.aggregate.make)(&case.call)?;
    for row in rows {
        state.push(ctx, row)?;
    }
    Ok(state)
}

fn check(
    case: &Case,
    how: &str,
    state: &dyn Accumulator,
    ctx: &mut Ctx<'_>,
    settings: &Settings,
    wrong: &mut Vec<String>,
) {
    let got = match state.finish(ctx).unwrap() {
        Datum::Null => None,
        value => Some(
            registry::get(case.call.typ)
                .unwrap()
                .text(&value, settings)
                .unwrap(),
        ),
    };
    let float = |text: &Option<String>| text.as_ref().and_then(|t| t.parse::<f64>().ok());
    // merging floats adds in another order
    let close = how == "merged"
        && float(&got)
            .zip(float(&case.want))
            .is_some_and(|(a, b)| (a - b).abs() <= b.abs() * 1e-12);
    if got != case.want && !close {
        wrong.push(format!("{how}: {}\n    got  {got:?}", case.line));
    }
}

#[test]
fn aggregates_answer_what_postgresql_answers() {
    let settings = settings();
    let mut wrong = Vec::new();
    for case in cases() {
        let (mut rng, mut memo) = (Rng::new(1), Memo::default());
        let mut ctx = Ctx {
            settings: &settings,
            call: &case.call,
            clock: 0,
            rng: &mut rng,
            memo: &mut memo,
            host: &NoHost,
        };
        let state = by_rows(&case, &mut ctx, &case.rows).unwrap();
        check(
            &case,
            "rows",
            state.as_ref(),
            &mut ctx,
            &settings,
            &mut wrong,
        );
        let mut state = (case.aggregate.make)(&case.call).unwrap();
        let vectors = columns(&case, &case.rows);
        state
            .push_vector(
                &mut ctx,
                &vectors.iter().collect::<Vec<_>>(),
                case.rows.len(),
            )
            .unwrap();
        check(
            &case,
            "columns",
            state.as_ref(),
            &mut ctx,
            &settings,
            &mut wrong,
        );
        let (front, back) = case.rows.split_at(case.rows.len() / 2);
        let mut state = by_rows(&case, &mut ctx, front).unwrap();
        if state.mergeable() {
            let rest = by_rows(&case, &mut ctx, back).unwrap();
            state.merge(rest).unwrap();
            check(
                &case,
                "merged",
                state.as_ref(),
                &mut ctx,
                &settings,
                &mut wrong,
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
