//! COPY's formats both ways.

use super::{CopyOut, CopyParser, Format, Options, Target};
use crate::base::{Oid, Res, Stop};
use crate::exec::batch::{Batch, Vector};
use crate::types::settings::Settings;
use crate::types::{oids, Datum};
use proptest::prelude::*;
use std::sync::Arc;

const TYPES: [Oid; 2] = [oids::INT4, oids::TEXT];

fn format(kind: &str, change: impl FnOnce(&mut Options)) -> Arc<Format> {
    let mut options = Options {
        names: vec!["a".to_owned(), "b".to_owned()],
        ..Options::default()
    };
    change(&mut options);
    Arc::new(Format::new(kind, options).unwrap())
}

fn shown(value: &Datum) -> String {
    match value {
        Datum::Null => "NULL".to_owned(),
        Datum::Int(value) => value.to_string(),
        Datum::Text(text) => format!("{text:?}"),
        other => format!("{other:?}"),
    }
}

/// Rows as text, the bytes given in pieces of `size`.
fn read_in(format: &Arc<Format>, bytes: &[u8], size: usize) -> Res<Vec<String>> {
    let target = Target::new("t", &TYPES, &[])?;
    let mut parser = CopyParser::new(format.clone(), target);
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        parser.feed(piece);
        while parser.rows(usize::MAX, &Settings::default(), &mut rows, &mut numbers)? {}
    }
    parser.finish();
    parser.rows(usize::MAX, &Settings::default(), &mut rows, &mut numbers)?;
    assert!(parser.finished());
    Ok(rows
        .iter()
        .map(|row| row.iter().map(shown).collect::<Vec<_>>().join(" "))
        .collect())
}

fn read(format: &Arc<Format>, bytes: &[u8]) -> Res<Vec<String>> {
    let whole = read_in(format, bytes, usize::MAX);
    for size in [1, 2, 3] {
        assert_eq!(
            format!("{:?}", read_in(format, bytes, size).ok()),
            format!("{:?}", whole.as_ref().ok()),
            "pieces of {size}"
        );
    }
    whole
}

fn error(format: &Arc<Format>, bytes: &[u8]) -> (String, String, String) {
    match read_in(format, bytes, usize::MAX) {
        Err(Stop::Error(error)) => (
            error.code_str().to_owned(),
            error.message.clone(),
            error.context.clone().unwrap_or_default(),
        ),
        other => panic!("not an error: {other:?}"),
    }
}

fn write(format: &Arc<Format>, rows: &[(Option<i64>, Option<&str>)]) -> Vec<u8> {
    let batch = Batch {
        columns: vec![
            Vector::Int(
                rows.iter().map(|(a, _)| a.unwrap_or(0)).collect(),
                rows.iter().map(|(a, _)| a.is_none()).collect(),
            ),
            Vector::Any(
                rows.iter()
                    .map(|(_, b)| b.map_or(Datum::Null, Datum::text))
                    .collect(),
            ),
        ],
        len: rows.len(),
    };
    let mut copy = CopyOut::new(format.clone(), TYPES.into_iter()).unwrap();
    let mut out = Vec::new();
    for row in 0..rows.len() {
        copy.row(&batch, row, &Settings::default(), &mut out)
            .unwrap();
    }
    copy.end(&mut out).unwrap();
    // Out of their CopyData messages.
    let (mut data, mut at) = (Vec::new(), 0);
    while at < out.len() {
        assert_eq!(out[at], b'd');
        let size = u32::from_be_bytes(out[at + 1..at + 5].try_into().unwrap()) as usize;
        data.extend_from_slice(&out[at + 5..at + 1 + size]);
        at += 1 + size;
    }
    data
}

#[test]
fn text_reads_escapes_nulls_and_the_end_marker() {
    let text = format("text", |_| {});
    let rows = read(
        &text,
        b"1\ta\\tb\\\\c\\x41\\101\n2\t\\N\n3\tx\\\ny\n\\.\nrubbish",
    )
    .unwrap();
    assert_eq!(rows, ["1 \"a\\tb\\\\cAA\"", "2 NULL", "3 \"x\\ny\""]);
    assert_eq!(
        read(&text, b"1\ta\r\n2\tb\r\n").unwrap(),
        ["1 \"a\"", "2 \"b\""]
    );
    assert_eq!(read(&text, b"1\ta").unwrap(), ["1 \"a\""]);
    let other = format("text", |o| {
        (o.delimiter, o.null) = (Some("|".to_owned()), Some("-".to_owned()))
    });
    assert_eq!(
        read(&other, b"1|-\n-|x\\|y\n").unwrap(),
        ["1 NULL", "NULL \"x|y\""]
    );
}

#[test]
fn a_backslash_at_the_very_end_is_dropped() {
    let text = format("text", |_| {});
    assert_eq!(read(&text, b"1\tx\\").unwrap(), ["1 \"x\""]);
    assert_eq!(read(&text, b"1\t\\").unwrap(), ["1 \"\""]);
}

#[test]
fn it_is_known_before_when_a_long_row_is_moved_and_its_room_is_given_back() {
    let text = format("text", |_| {});
    let target = Target::new("t", &[oids::TEXT], &[]).unwrap();
    let mut parser = CopyParser::new(text, target);
    let (settings, mut rows, mut numbers) = (Settings::default(), Vec::new(), Vec::new());
    let piece = vec![b'x'; 100_000];
    let mut moved = 0;
    for fed in 0..100 {
        match parser.moved_by(piece.len()) {
            0 => {}
            bytes => {
                assert_eq!(bytes, fed * piece.len());
                moved += 1;
            }
        }
        parser.feed(&piece);
        assert!(!parser.rows(10, &settings, &mut rows, &mut numbers).unwrap());
    }
    assert!((1..10).contains(&moved));
    parser.feed(b"\n");
    parser.rows(10, &settings, &mut rows, &mut numbers).unwrap();
    assert_eq!(rows.len(), 1);
    assert!(parser.moved_by(piece.len()) == 0 && parser.moved_by(0) == 0);
    parser.feed(b"y\n");
    parser.rows(10, &settings, &mut rows, &mut numbers).unwrap();
    assert_eq!(rows.len(), 2);
}

#[test]
fn errors_name_line_column_and_value() {
    let text = format("text", |_| {});
    let (code, message, context) = error(&text, b"1\ta\nx\tb\n");
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("22P02", "invalid input syntax for type integer: \"x\"")
    );
    assert_eq!(context, "COPY t, line 2, column a: \"x\"");
    assert_eq!(
        error(&text, b"1\n"),
        (
            "22P04".into(),
            "missing data for column \"b\"".into(),
            "COPY t, line 1: \"1\"".into()
        )
    );
    assert_eq!(
        error(&text, b"1\t2\t3\n").1,
        "extra data after last expected column"
    );
    assert_eq!(error(&text, b"1\t\xff\n").0, "22021");
    assert_eq!(
        error(&text, b"1\ta\r\n2\tb\n").1,
        "literal newline found in data"
    );
    let long = format!("1\t2\t{}\n", "y".repeat(200));
    assert!(error(&text, long.as_bytes()).2.ends_with("yyy...\""));
}

#[test]
fn csv_reads_quotes_newlines_headers_and_forced_nulls() {
    let csv = format("csv", |o| o.header = true);
    let rows = read(&csv, b"a,b\n1,\"x,\"\"y\"\"\nz\"\n2,\n3,\"\"\n").unwrap();
    assert_eq!(rows, ["1 \"x,\\\"y\\\"\\nz\"", "2 NULL", "3 \"\""]);
    assert_eq!(
        error(&csv, b"a,b\n1,\"x\n").1,
        "unterminated CSV quoted field"
    );
    let line = error(&csv, b"a,b\n1,\"x\ny\"\nq,\n");
    assert_eq!(line.2, "COPY t, line 4, column a: \"q\"");
    let forced = format("csv", |o| {
        (o.force_not_null, o.force_null) = (vec![1], vec![0])
    });
    assert_eq!(read(&forced, b"\"\",\n").unwrap(), ["NULL \"\""]);
    let matched = format("csv", |o| o.header_match = true);
    assert_eq!(
        error(&matched, b"a,c\n").1,
        "column name mismatch in header line field 2: got \"c\", expected \"b\""
    );
    let escaped = format("csv", |o| o.escape = Some("\\".to_owned()));
    assert_eq!(
        read(&escaped, b"1,\"a\\\"b\\\\\"\n").unwrap(),
        ["1 \"a\\\"b\\\\\""]
    );
}

#[test]
fn csv_writes_quotes_where_they_are_needed() {
    let csv = format("csv", |o| (o.header, o.force_quote) = (true, Some(vec![0])));
    let rows = [
        (Some(1), Some("a,\"b\"")),
        (None, None),
        (Some(3), Some("")),
        (Some(4), Some("plain")),
    ];
    assert_eq!(
        String::from_utf8(write(&csv, &rows)).unwrap(),
        "a,b\n\"1\",\"a,\"\"b\"\"\"\n,\n\"3\",\"\"\n\"4\",plain\n"
    );
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let refused = |kind: &str, change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        Format::new(kind, options).is_err()
    };
    assert!(refused("binary", |o| o.header = true));
    assert!(refused("text", |o| o.quote = Some("'".to_owned())));
    assert!(refused("text", |o| o.delimiter = Some("ab".to_owned())));
    assert!(refused("csv", |o| o.delimiter = Some("\"".to_owned())));
    assert!(refused("xml", |_| {}));
    assert!(!refused("csv", |o| o.delimiter = Some(";".to_owned())));
}

#[test]
fn binary_damage_is_an_error() {
    let binary = format("binary", |_| {});
    let good = write(&binary, &[(Some(1), Some("x"))]);
    assert_eq!(read(&binary, &good).unwrap(), ["1 \"x\""]);
    assert_eq!(
        error(&binary, b"PGCOPX").1,
        "COPY file signature not recognized"
    );
    let mut more = good.clone();
    more.extend_from_slice(b"x");
    assert_eq!(
        error(&binary, &more).1,
        "received copy data after EOF marker"
    );
    assert_eq!(
        error(&binary, &good[..good.len() - 4]).1,
        "unexpected EOF in COPY data"
    );
    let mut width = good;
    width[20] = 3;
    assert_eq!(error(&binary, &width).1, "row field count is 3, expected 2");
}

proptest! {
    #[test]
    fn what_is_written_reads_back(rows in proptest::collection::vec((proptest::option::of(any::<i32>()), proptest::option::of("[a\\\\,\"\t\n\r.Nx]{0,6}")), 0..6)) {
        let given: Vec<(Option<i64>, Option<&str>)> = rows.iter().map(|(a, b)| (a.map(i64::from), b.as_deref())).collect();
        let wanted: Vec<String> = rows
            .iter()
            .map(|(a, b)| format!("{} {}", a.map_or("NULL".to_owned(), |a| a.to_string()), b.as_ref().map_or("NULL".to_owned(), |b| format!("{b:?}"))))
            .collect();
        for kind in ["text", "csv", "binary"] {
            let format = format(kind, |_| {});
            prop_assert_eq!(&read(&format, &write(&format, &given)).unwrap(), &wanted, "{}", kind);
        }
    }

    #[test]
    fn random_data_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for kind in ["text", "csv", "binary"] {
            let _ = read_in(&format(kind, |_| {}), &bytes, 7);
        }
    }
}
