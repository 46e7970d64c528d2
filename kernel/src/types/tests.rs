//! Every literal of testdata/types.golden against what PostgreSQL 15 made of it; round trips; keys against order.

use super::registry::{self, TypeInfo};
use super::settings::{ByteaOutput, DateOrder, DateStyle, IntervalStyle, Settings};
use super::zone::Zone;
use super::{key, oids, store, Datum, NO_TYPMOD};
use crate::base::{Oid, Res, SqlError, Stop};
use serde_json::Value;

fn settings(name: &str) -> Settings {
    let mut s = Settings::default();
    match name {
        "sql" => {
            (s.date_style, s.date_order) = (DateStyle::Sql, DateOrder::Dmy);
            s.interval_style = IntervalStyle::SqlStandard;
        }
        "postgres" => {
            s.date_style = DateStyle::Postgres;
            s.interval_style = IntervalStyle::PostgresVerbose;
            s.bytea_output = ByteaOutput::Escape;
            s.extra_float_digits = 0;
        }
        "german" => {
            (s.date_style, s.date_order) = (DateStyle::German, DateOrder::Dmy);
            s.interval_style = IntervalStyle::Iso8601;
            s.time_zone = Zone::named("Europe/Berlin").unwrap();
        }
        "york" => {
            s.date_order = DateOrder::Ymd;
            s.time_zone = Zone::named("America/New_York").unwrap();
        }
        _ => {}
    }
    s
}

struct Case {
    line: String,
    info: &'static TypeInfo,
    typmod: i32,
    settings: Settings,
    input: String,
    /// (text, binary form in hex) or (code, message, detail).
    outcome: Result<(String, String), (String, String, String)>,
}

fn cases() -> Vec<Case> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parse = |line: &str| {
        let row: Vec<Value> = serde_json::from_str(line).unwrap();
        Case {
            line: line.to_owned(),
            info: registry::get(Oid(row[1].as_u64().unwrap() as u32)).unwrap(),
            typmod: row[2].as_i64().unwrap() as i32,
            settings: settings(row[3].as_str().unwrap()),
            input: text(&row[4]),
            outcome: match row[5].as_str().unwrap() {
                "ok" => Ok((text(&row[6]), text(&row[7]))),
                _ => Err((text(&row[6]), text(&row[7]), text(&row[8]))),
            },
        }
    };
    include_str!("testdata/types.golden")
        .lines()
        .map(parse)
        .collect()
}

fn read(case: &Case) -> Res<Datum> {
    if case.info.oid == oids::INTERVAL {
        return case.info.input(&case.input, case.typmod, &case.settings);
    }
    let value = case.info.input(&case.input, NO_TYPMOD, &case.settings)?;
    case.info.coerce(&value, case.typmod, true)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn show(result: &Res<Datum>, case: &Case) -> String {
    match result {
        Ok(value) => {
            let mut binary = Vec::new();
            case.info.send(value, &case.settings, &mut binary).unwrap();
            let mut text = Vec::new();
            case.info.output(value, &case.settings, &mut text).unwrap();
            format!("ok {} {}", String::from_utf8_lossy(&text), hex(&binary))
        }
        Err(Stop::Error(error)) => show_error(error),
        Err(other) => format!("{other:?}"),
    }
}

fn show_error(error: &SqlError) -> String {
    format!(
        "error {} {} {}",
        error.code_str(),
        error.message,
        error.detail.clone().unwrap_or_default()
    )
}

fn report(wrong: Vec<String>) {
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn literals_mean_what_postgresql_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let got = show(&read(&case), &case);
        let want = match &case.outcome {
            Ok((text, binary)) => format!("ok {text} {binary}"),
            Err((code, message, detail)) => format!("error {code} {message} {detail}"),
        };
        if got != want {
            wrong.push(format!(
                "{}\n    got  {got}\n    want {want}",
                case.line.chars().take(120).collect::<String>()
            ));
        }
    }
    report(wrong);
}

#[test]
fn values_come_back_from_the_wire_and_from_storage() {
    let mut wrong = Vec::new();
    for case in cases() {
        let Ok(value) = read(&case) else { continue };
        let before = show(&Ok(value.clone()), &case);
        let mut bytes = Vec::new();
        case.info.send(&value, &case.settings, &mut bytes).unwrap();
        let after = show(&case.info.recv(&bytes, NO_TYPMOD, &case.settings), &case);
        let mut stored = Vec::new();
        store::encode(&value, case.info.oid, &mut stored).unwrap();
        let loaded = show(&store::decode(case.info.oid, &stored), &case);
        if before != after || before != loaded {
            wrong.push(format!("{}\n  {before}\n  {after}\n  {loaded}", case.line));
        }
        // cut and flipped bytes end in an error or another value, never in a panic
        for at in 0..stored.len().min(40) {
            let _ = store::decode(case.info.oid, &stored[..at]);
            let mut damaged = stored.clone();
            damaged[at] ^= 0x55;
            if let Ok(value) = store::decode(case.info.oid, &damaged) {
                let mut out = Vec::new();
                let _ = case.info.output(&value, &case.settings, &mut out);
            }
        }
        for at in 0..bytes.len().min(40) {
            let _ = case.info.recv(&bytes[..at], NO_TYPMOD, &case.settings);
        }
    }
    report(wrong);
}

#[test]
fn keys_order_as_values_do() {
    let cases = cases();
    let mut wrong = Vec::new();
    for info in registry::all().iter().filter(|info| info.orderable()) {
        let values: Vec<Datum> = cases
            .iter()
            .filter(|case| case.info.oid == info.oid && case.typmod == NO_TYPMOD)
            .filter_map(|case| read(case).ok())
            .collect();
        let encode = |value: &Datum, desc: bool| {
            let mut out = Vec::new();
            key::encode_key(value, info.oid, desc, false, &mut out).unwrap();
            // what follows in a multi-column key must not change the order
            out.push(if desc { 0xfe } else { 0x01 });
            out
        };
        let keys: Vec<_> = values
            .iter()
            .map(|v| (encode(v, false), encode(v, true)))
            .collect();
        for (a, (up_a, down_a)) in values.iter().zip(&keys) {
            for (b, (up_b, down_b)) in values.iter().zip(&keys) {
                let order = info.compare(a, b);
                if up_a.cmp(up_b) != order || down_b.cmp(down_a) != order {
                    wrong.push(format!("{} {a:?} {b:?} {order:?}", info.name));
                }
                if order.is_eq() && info.hash(a) != info.hash(b) {
                    wrong.push(format!("{} hashes of {a:?} {b:?}", info.name));
                }
            }
        }
    }
    wrong.truncate(20);
    report(wrong);
}

/// Deep nesting is refused long before a thread's stack ends, and what is taken can be used.
#[test]
fn deep_json_neither_ends_the_stack_nor_is_taken_without_end() {
    let settings = Settings::default();
    let info = registry::get(oids::JSONB).unwrap();
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth);
    for text in [nested(100_000), objects(100_000)] {
        assert!(info.input(&text, NO_TYPMOD, &settings).is_err());
        assert!(super::json::validate(&text).is_err());
    }
    for text in [
        nested(super::json::MAX_DEPTH),
        objects(super::json::MAX_DEPTH),
    ] {
        let value = info.input(&text, NO_TYPMOD, &settings).unwrap();
        assert!(info.text(&value, &settings).unwrap().len() >= text.len());
        assert!(info.equal(&value, &value));
        info.hash(&value);
        key::encode_key(&value, oids::JSONB, false, false, &mut Vec::new()).unwrap();
    }
}
