//! Every call of testdata/catalogue.golden against what PostgreSQL 15 answered.

use super::ctx::NoHost;
use super::{lookup, CallInfo, Ctx, Memo, Rng};
use crate::base::{Oid, Res, Stop};
use crate::types::zone::Zone;
use crate::types::{registry, Datum, Settings};
use serde_json::Value;
use std::collections::BTreeMap;

/// Run one function over values, as the executor does.
fn run(
    prosrc: &str,
    call: &CallInfo,
    args: &[Datum],
    settings: &Settings,
    memo: &mut Memo,
) -> Option<Res<Datum>> {
    let function = lookup(prosrc)?;
    if function.strict && args.iter().any(Datum::is_null) {
        return Some(Ok(Datum::Null));
    }
    let mut rng = Rng::new(1);
    let mut ctx = Ctx {
        settings,
        call,
        clock: 0,
        rng: &mut rng,
        memo,
        host: &NoHost,
    };
    Some((function.eval)(&mut ctx, args))
}

fn show(result: Res<Datum>, typ: Oid, settings: &Settings) -> String {
    match result {
        Ok(Datum::Null) => "null".to_owned(),
        Ok(value) => match registry::get(typ).and_then(|info| info.text(&value, settings)) {
            Ok(text) => format!("ok {text}"),
            Err(error) => format!("shown {error:?}"),
        },
        Err(Stop::Error(error)) => format!("error {} {}", error.code_str(), error.message),
        Err(other) => format!("{other:?}"),
    }
}

/// Only the sign of a comparison's answer counts, and the last digit of what the C library computes.
fn loosened(prosrc: &str, got: String, want: String) -> (String, String) {
    const LIBRARY: &[&str] = &[
        "dcbrt", "dasinh", "dacosh", "dsinh", "dcosh", "dtanh", "datanh",
    ];
    let number = |text: &str| text.strip_prefix("ok ").and_then(|n| n.parse::<f64>().ok());
    if let (Some(a), Some(b)) = (number(&got), number(&want)) {
        if prosrc.contains("cmp")
            && (a == 0.0) == (b == 0.0)
            && a.is_sign_negative() == b.is_sign_negative()
        {
            return (want.clone(), want);
        }
        if LIBRARY.contains(&prosrc) && (a - b).abs() <= b.abs() * 4e-16 {
            return (want.clone(), want);
        }
    }
    (got, want)
}

fn wanted(row: &[Value]) -> String {
    let text = |at: usize| row[at].as_str();
    match text(4) {
        Some("ok") => text(5).map_or("null".to_owned(), |text| format!("ok {text}")),
        _ => format!("error {} {}", text(5).unwrap(), text(6).unwrap()),
    }
}

#[test]
fn calls_answer_what_postgresql_answers() {
    let settings = Settings {
        time_zone: Zone::named("America/New_York").unwrap(),
        ..Settings::default()
    };
    let mut memo = Memo::default();
    let (mut wrong, mut missing, mut right) = (Vec::new(), BTreeMap::new(), 0);
    for line in include_str!("testdata/catalogue.golden").lines() {
        let row: Vec<Value> = serde_json::from_str(line).unwrap();
        let prosrc = row[0].as_str().unwrap();
        let types: Vec<Oid> = row[1]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| Oid(o.as_u64().unwrap() as u32))
            .collect();
        let typ = Oid(row[2].as_u64().unwrap() as u32);
        let read = |(text, typ): (&Value, &Oid)| match text.as_str() {
            Some(text) => registry::get(*typ)?.input(text, -1, &settings),
            None => Ok(Datum::Null),
        };
        let args: Res<Vec<Datum>> = row[3]
            .as_array()
            .unwrap()
            .iter()
            .zip(&types)
            .map(read)
            .collect();
        let want = wanted(&row);
        let mut call = CallInfo::new(&types, typ);
        call.columns = vec![typ];
        let result = match args {
            Ok(args) => run(prosrc, &call, &args, &settings, &mut memo),
            Err(stop) => Some(Err(stop)),
        };
        match result {
            None => *missing.entry(prosrc.to_owned()).or_insert(0) += 1,
            Some(result) => {
                let got = show(result, typ, &settings);
                let (got, want) = loosened(prosrc, got, want);
                if got == want {
                    right += 1;
                } else {
                    wrong.push(format!(
                        "{prosrc} {}\n    got  {got}\n    want {want}",
                        row[3]
                    ));
                }
            }
        }
    }
    eprintln!(
        "{right} right, {} wrong; not here: {:?}",
        wrong.len(),
        missing.keys().collect::<Vec<_>>()
    );
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
