//! Functions, types and COPY over a value of many megabytes: how often they look whether somebody has cancelled, and that they do not
//! copy what they only pass on.

use super::ctx::{CallInfo, Ctx, Memo, NoHost, Rng};
use super::registry as functions;
use crate::base::pace::LOOKS;
use crate::base::Oid;
use crate::exec::batch::{Batch, Vector};
use crate::types::{jsonb, oids, registry, Datum, Settings, NO_TYPMOD};
use crate::wire::copy::{CopyOut, Format, Options};
use crate::wire::encode::Encoder;
use std::sync::Arc;

const MEGABYTES: usize = 24;

fn text() -> Datum {
    Datum::text("abcdefg ".repeat(MEGABYTES << 17))
}

fn bytes() -> Datum {
    Datum::Bytes(vec![7; MEGABYTES << 20].into())
}

fn call(name: &str, types: &[Oid], args: &[Datum]) -> Datum {
    let (mut rng, mut memo) = (Rng::new(1), Memo::default());
    let mut ctx = Ctx {
        settings: &Settings::default(),
        call: &CallInfo::new(types, oids::TEXT),
        clock: 0,
        rng: &mut rng,
        memo: &mut memo,
        host: &NoHost,
    };
    let function = functions::lookup(name).expect(name);
    (function.eval)(&mut ctx, args).expect(name)
}

/// At least once for each two megabytes.
fn looks_often(what: &str, work: impl FnOnce()) {
    let before = LOOKS.get();
    work();
    let looks = LOOKS.get() - before;
    assert!(looks >= MEGABYTES / 2, "{what} looked {looks} times");
}

#[test]
fn functions_of_a_long_text_look_whether_they_are_cancelled() {
    let (t, short, one) = (text(), Datum::text("xyz!"), Datum::Int(1));
    let (minus, many) = (Datum::Int(-1), Datum::Int(i64::from(u32::MAX)));
    let cases: &[(&str, &[&Datum])] = &[
        ("textlen", &[&t]),
        ("upper", &[&t]),
        ("lower", &[&t]),
        ("initcap", &[&t]),
        ("text_reverse", &[&t]),
        ("textcat", &[&t, &short]),
        ("textcat", &[&short, &t]),
        ("text_concat", &[&t, &short]),
        ("text_concat_ws", &[&short, &t, &short]),
        ("textanycat", &[&t, &short]),
        ("text_substr_no_len", &[&t, &Datum::Int(3)]),
        ("text_substr", &[&t, &one, &many]),
        ("text_left", &[&t, &minus]),
        ("text_right", &[&t, &minus]),
        ("textpos", &[&t, &short]),
        ("replace_text", &[&t, &short, &short]),
        ("split_part", &[&t, &short, &one]),
        ("btrim", &[&t, &Datum::text("abcdefg ")]),
        ("ltrim", &[&t, &short]),
        ("textoverlay", &[&t, &short, &Datum::Int(3), &one]),
        ("translate", &[&t, &Datum::text("a"), &Datum::text("b")]),
        ("lpad", &[&t, &Datum::Int(MEGABYTES as i64 + (25 << 20))]),
        ("md5_text", &[&t]),
        ("quote_literal", &[&t]),
        ("regexp_split_to_array_no_flags", &[&t, &short]),
        ("regexp_split_to_array_no_flags", &[&t, &Datum::text("d")]),
        ("textregexreplace", &[&t, &short, &short, &Datum::text("g")]),
        ("to_jsonb", &[&t]),
        ("to_json", &[&t]),
        (
            "repeat",
            &[
                &Datum::text("abc"),
                &Datum::Int((MEGABYTES << 20) as i64 / 3),
            ],
        ),
    ];
    for (name, args) in cases {
        let args: Vec<Datum> = args.iter().map(|arg| (*arg).clone()).collect();
        looks_often(name, || {
            drop(call(name, &vec![oids::TEXT; args.len()], &args))
        });
    }
}

#[test]
fn functions_of_many_bytes_look_whether_they_are_cancelled() {
    let (b, short, one) = (bytes(), Datum::blob(b"xyz!"), Datum::Int(1));
    let cases: &[(&str, &[&Datum])] = &[
        ("byteacat", &[&b, &short]),
        ("bytea_bit_count", &[&b]),
        ("bytea_substr_no_len", &[&b, &Datum::Int(2)]),
        ("byteapos", &[&b, &short]),
        ("byteatrim", &[&b, &Datum::blob(&[7])]),
        ("byteaSetByte", &[&b, &one, &one]),
        ("byteaSetBit", &[&b, &one, &one]),
        ("byteaoverlay", &[&b, &short, &one, &one]),
        ("sha256_bytea", &[&b]),
        ("sha512_bytea", &[&b]),
        ("md5_bytea", &[&b]),
        ("binary_encode", &[&b, &Datum::text("hex")]),
        ("binary_encode", &[&b, &Datum::text("base64")]),
        ("binary_encode", &[&b, &Datum::text("escape")]),
    ];
    for (name, args) in cases {
        let args: Vec<Datum> = args.iter().map(|arg| (*arg).clone()).collect();
        looks_often(name, || {
            drop(call(name, &vec![oids::BYTEA; args.len()], &args))
        });
    }
}

#[test]
fn long_values_of_the_types_look_whether_they_are_cancelled() {
    let settings = Settings::default();
    let quoted = format!("\"{}\"", text().str().unwrap());
    let hex = format!("\\x{}", "07".repeat(MEGABYTES << 20));
    let long = text();
    for (typ, input) in [
        (oids::TEXT, long.str().unwrap()),
        (oids::VARCHAR, long.str().unwrap()),
        (oids::JSON, &quoted),
        (oids::JSONB, &quoted),
        (oids::BYTEA, &hex),
    ] {
        let info = registry::get(typ).unwrap();
        let mut value = Datum::Null;
        looks_often("input", || {
            value = info.input(input, NO_TYPMOD, &settings).unwrap()
        });
        let (mut written, mut sent) = (Vec::new(), Vec::new());
        looks_often("output", || {
            info.output(&value, &settings, &mut written).unwrap()
        });
        looks_often("send", || info.send(&value, &settings, &mut sent).unwrap());
        looks_often("recv", || {
            drop(info.recv(&sent, NO_TYPMOD, &settings).unwrap())
        });
        assert!(written == input.as_bytes());
    }
    let list = format!("[{}1]", "1,".repeat(MEGABYTES << 13));
    let stored = jsonb::parse(&list).unwrap();
    let before = LOOKS.get();
    let info = registry::get(oids::JSONB).unwrap();
    info.output(&stored, &settings, &mut Vec::new()).unwrap();
    assert!(LOOKS.get() - before >= MEGABYTES / 4, "many small values");
}

#[test]
fn long_values_on_their_way_out_look_whether_they_are_cancelled() {
    let settings = Settings::default();
    for (typ, value) in [(oids::TEXT, text()), (oids::BYTEA, bytes())] {
        let batch = Batch {
            columns: vec![Vector::Any(vec![value])],
            len: 1,
        };
        for format in [0, 1] {
            let encoder = Encoder::new([typ].into_iter(), &[format]).unwrap();
            looks_often("a row", || {
                encoder.row(&batch, 0, &settings, &mut Vec::new()).unwrap()
            });
        }
        for kind in ["text", "csv", "binary"] {
            let format = Arc::new(Format::new(kind, Options::default()).unwrap());
            let mut copy = CopyOut::new(format, [typ].into_iter()).unwrap();
            looks_often(kind, || {
                copy.row(&batch, 0, &settings, &mut Vec::new()).unwrap()
            });
        }
    }
}

#[test]
fn what_is_passed_on_is_not_copied() {
    let value = text();
    let place = value.str().unwrap().as_ptr();
    let column = Vector::Any(vec![value]);
    let taken = column.get(0);
    assert_eq!(taken.str().unwrap().as_ptr(), place);
    let types = [oids::TEXT; 3];
    let same = call(
        "replace_text",
        &types,
        &[taken.clone(), Datum::text(""), Datum::text("x")],
    );
    assert_eq!(same.str().unwrap().as_ptr(), place);
    let same = registry::get(oids::VARCHAR)
        .unwrap()
        .coerce(&taken, (30 << 20) + 4, true);
    assert_eq!(same.unwrap().str().unwrap().as_ptr(), place);
}
