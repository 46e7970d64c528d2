//! Every call of testdata/*.golden against what PostgreSQL 15 answered (testdata/generate.py).

use super::ctx::{CallInfo, Ctx, Memo, NoHost, Rng};
use super::{registry as functions, set};
use crate::base::{Oid, Res, SqlError, Stop};
use crate::types::settings::IntervalStyle;
use crate::types::zone::Zone;
use crate::types::{registry, Datum, Settings, NO_TYPMOD};
use serde_json::Value;

fn settings(name: &str) -> Settings {
    let mut settings = Settings::default();
    match name {
        "berlin" => settings.time_zone = Zone::named("Europe/Berlin").unwrap(),
        "york" => settings.time_zone = Zone::named("America/New_York").unwrap(),
        "verbose" => settings.interval_style = IntervalStyle::PostgresVerbose,
        _ => {}
    }
    settings
}

fn text(typ: Oid, value: &Datum, settings: &Settings) -> Res<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    Ok(registry::get(typ)?.text(value, settings)?.into())
}

/// Values of a set's columns carry no types here: they are guessed from the kind.
fn column_text(value: &Datum, call: &CallInfo, settings: &Settings) -> Res<Value> {
    use crate::types::oids;
    let typ = match (value, &call.typ) {
        (Datum::Null, _) => return Ok(Value::Null),
        (Datum::Array(array), _) => registry::get(array.elem)?.array,
        (_, &Oid(0)) => match value {
            Datum::Int(_) => oids::INT8,
            Datum::Numeric(_) => oids::NUMERIC,
            Datum::Bytes(_) => oids::JSONB,
            _ => oids::TEXT,
        },
        (_, typ) => *typ,
    };
    text(typ, value, settings)
}

struct Case {
    func: String,
    call: CallInfo,
    settings: Settings,
    args: Vec<Option<String>>,
    outcome: Vec<Value>,
}

fn parse(line: &str) -> Case {
    let row: Vec<Value> = serde_json::from_str(line).unwrap();
    let oid = |value: &Value| Oid(value.as_u64().unwrap() as u32);
    let types: Vec<Oid> = row[1].as_array().unwrap().iter().map(oid).collect();
    let func = row[0].as_str().unwrap().to_owned();
    let mut typ = oid(&row[2]);
    // sets of times need their type to be printed
    if typ == Oid(0) && func.starts_with("generate_series") {
        typ = types[0];
    }
    Case {
        call: CallInfo::new(&types, typ),
        func,
        settings: settings(row[3].as_str().unwrap()),
        args: (row[4].as_array().unwrap().iter())
            .map(|arg| arg.as_str().map(str::to_owned))
            .collect(),
        outcome: row[5..].to_vec(),
    }
}

fn arguments(case: &Case) -> Res<Vec<Datum>> {
    let one = |(text, typ): (&Option<String>, &Oid)| match text {
        Some(text) => registry::get(*typ)?.input(text, NO_TYPMOD, &case.settings),
        None => Ok(Datum::Null),
    };
    case.args
        .iter()
        .zip(&case.call.arg_types)
        .map(one)
        .collect()
}

fn run(case: &Case) -> Res<Vec<Value>> {
    let args = arguments(case)?;
    let nulls = args.iter().any(Datum::is_null);
    let (mut rng, mut memo) = (Rng::new(1), Memo::default());
    let mut ctx = Ctx {
        settings: &case.settings,
        call: &case.call,
        clock: 0,
        rng: &mut rng,
        memo: &mut memo,
        host: &NoHost,
    };
    if case.outcome[0] == "rows" || functions::lookup(&case.func).is_none() {
        let function = set::lookup(&case.func).expect("a set-returning function");
        let mut rows = Vec::new();
        if !(function.strict && nulls) {
            let mut set = (function.start)(&mut ctx, &args)?;
            let mut out = Vec::new();
            while set.next(&mut ctx, &mut out)? {
                let row = out
                    .drain(..)
                    .map(|value| column_text(&value, &case.call, &case.settings))
                    .collect::<Res<Vec<_>>>()?;
                rows.push(Value::from(row));
            }
        }
        return Ok(vec!["rows".into(), rows.into()]);
    }
    let function = functions::lookup(&case.func).expect("a function");
    if function.strict && nulls {
        return Ok(vec!["ok".into(), Value::Null]);
    }
    let value = (function.eval)(&mut ctx, &args)?;
    Ok(vec![
        "ok".into(),
        text(case.call.typ, &value, &case.settings)?,
    ])
}

fn shown(error: &SqlError) -> Vec<Value> {
    let option = |text: &Option<String>| text.clone().map_or(Value::Null, Value::from);
    vec![
        "error".into(),
        error.code_str().into(),
        error.message.clone().into(),
        option(&error.detail),
        option(&error.hint),
    ]
}

fn check(golden: &str) {
    let mut wrong = Vec::new();
    for line in golden.lines() {
        let case = parse(line);
        let known = functions::lookup(&case.func).is_some() || set::lookup(&case.func).is_some();
        if !known {
            wrong.push(format!("{}: no such function", case.func));
            continue;
        }
        let got = match run(&case) {
            Ok(got) => got,
            Err(Stop::Error(error)) => shown(&error),
            Err(Stop::Need(_)) => panic!("a function waits"),
        };
        if got != case.outcome {
            wrong.push(format!(
                "{line}\n    {}",
                serde_json::to_string(&got).unwrap()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

macro_rules! answers {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(include_str!(concat!("testdata/", stringify!($name), ".golden")));
            }
        )*
    };
}

answers!(arrays, format, json, numbers, series, sizes);
