//! The codec against anything: random bytes never panic, what is written reads back, keys tell texts apart.

use super::backend::{self, Internal};
use super::frontend::{self, Startup};
use crate::base::lexer::{normalise, Kind};
use crate::base::{Oid, SqlError, Stop};
use crate::exec::plan::OutputColumn;
use proptest::prelude::*;

fn code<T: std::fmt::Debug>(result: crate::base::Res<T>) -> String {
    match result {
        Err(Stop::Error(error)) => error.code_str().to_owned(),
        other => panic!("not an error: {other:?}"),
    }
}

fn frame_of(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    out
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = frontend::startup(&bytes);
        let _ = frontend::frame(&bytes, 1000);
        let _ = frontend::bind(&bytes);
        let _ = frontend::parse(&bytes);
        let _ = frontend::execute(&bytes);
        let _ = frontend::target(&bytes);
        let _ = frontend::query(&bytes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            normalise(text, &mut Vec::new());
        }
    }

    #[test]
    fn broken_sql_never_panics(text in "[-'\"$a1E\\\\ /*.\n;+x&uU]{0,40}") {
        let mut key = Vec::new();
        normalise(&text, &mut key);
    }

    #[test]
    fn a_frame_in_pieces_is_the_frame(body in proptest::collection::vec(any::<u8>(), 0..50), cut in 0usize..60) {
        let bytes = frame_of(b'Q', &body);
        let cut = cut.min(bytes.len());
        let part = frontend::frame(&bytes[..cut], 1000).unwrap();
        prop_assert_eq!(part.is_some(), cut == bytes.len());
        let whole = frontend::frame(&bytes, 1000).unwrap().unwrap();
        prop_assert_eq!(whole.body, &body[..]);
        prop_assert_eq!(whole.size, bytes.len());
    }

    #[test]
    fn texts_with_other_literals_share_a_key(a in 0u32..=i32::MAX as u32, b in "[a-z']{0,10}", c in 0u32..=i32::MAX as u32, d in "[a-z']{0,10}") {
        let text = |n: u32, s: &str| format!("select * from t where a = {n} and b = '{}'", s.replace('\'', "''"));
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let (first, second) = (text(a, &b), text(c, &d));
        let literals = normalise(&first, &mut one);
        normalise(&second, &mut two);
        prop_assert_eq!(one, two);
        prop_assert_eq!(&*literals[0].value, a.to_string());
        prop_assert_eq!(&*literals[1].value, &b);
    }
}

#[test]
fn startup_packets() {
    let mut body = 196_608u32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0u\0options\0-c a=b\0\0");
    let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
    packet.extend_from_slice(&body);
    let params = vec![
        ("user".to_owned(), "u".to_owned()),
        ("options".to_owned(), "-c a=b".to_owned()),
    ];
    let (size, message) = frontend::startup(&packet).unwrap().unwrap();
    assert_eq!(
        (size, message),
        (packet.len(), Startup::Session { minor: 0, params })
    );
    assert!(frontend::startup(&packet[..7]).unwrap().is_none());
    assert_eq!(code(frontend::startup(b"\0\0\0\x03")), "08P01");
    assert_eq!(code(frontend::startup(b"GET / HTTP/1.1\r\n")), "08P01");
    assert_eq!(code(frontend::startup(&[0, 0, 0, 8, 0, 2, 0, 0])), "0A000");
    assert_eq!(
        frontend::startup(&[0, 0, 0, 8, 4, 210, 22, 47])
            .unwrap()
            .unwrap()
            .1,
        Startup::Ssl
    );
}

#[test]
fn lengths_and_types_out_of_bounds_are_refused() {
    assert_eq!(code(frontend::frame(b"Q\0\0\0\x03", 100)), "08P01");
    assert_eq!(code(frontend::frame(b"Q\x7f\xff\xff\xff", 100)), "08P01");
    assert_eq!(code(frontend::frame(b"@\0\0\0\x04", 100)), "08P01");
    assert_eq!(
        code(frontend::bind(b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0")),
        "08P01"
    );
    assert_eq!(code(frontend::bind(b"\0\0\0\x01\0\x07\0\0\0\0")), "22023");
    assert_eq!(code(frontend::query(b"a\0b")), "08P01");
    assert_eq!(code(frontend::query(b"\xff\0")), "22021");
}

#[test]
fn error_fields_in_the_protocol_s_letters() {
    let mut error = *SqlError::new("23505", "duplicate")
        .detail("Key")
        .hint("none");
    error.position = Some(7);
    error.constraint = Some("t_pkey".to_owned());
    let mut out = Vec::new();
    backend::error(
        &mut out,
        "ERROR",
        &error,
        &Internal {
            position: Some(2),
            query: Some("q".to_owned()),
            routine: Some("f".to_owned()),
        },
    );
    let body = String::from_utf8(out[5..].to_vec()).unwrap();
    let fields: Vec<&str> = body.split('\0').filter(|field| !field.is_empty()).collect();
    assert_eq!(
        fields,
        [
            "SERROR",
            "VERROR",
            "C23505",
            "Mduplicate",
            "DKey",
            "Hnone",
            "P7",
            "p2",
            "qq",
            "nt_pkey",
            "Rf"
        ]
    );
    assert_eq!(
        u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize,
        out.len() - 1
    );
}

#[test]
fn a_row_description_carries_sizes_and_formats() {
    let column = |typ| OutputColumn {
        name: "c".to_owned(),
        typ: Oid(typ),
        typmod: -1,
        table: Oid(0),
        attnum: 0,
    };
    let mut out = Vec::new();
    backend::row_description(&mut out, &[column(23), column(25)], &[1, 0]);
    let one = &out[7..7 + 20];
    assert_eq!(
        one,
        b"c\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01"
    );
    let mut none = Vec::new();
    backend::row_description(&mut none, &[], &[]);
    assert_eq!(none, b"T\0\0\0\x06\0\0");
}

fn key(text: &str) -> (String, Vec<(Kind, String)>) {
    let mut key = Vec::new();
    let literals = normalise(text, &mut key);
    let literals = literals
        .into_iter()
        .map(|l| (l.kind, l.value.into_owned()))
        .collect();
    (
        String::from_utf8(key).unwrap().replace('\x01', "?"),
        literals,
    )
}

#[test]
fn keys_of_texts() {
    let literals = |text: &str| {
        key(text)
            .1
            .into_iter()
            .map(|(kind, value)| format!("{}:{value}", kind.name()))
            .collect::<Vec<_>>()
    };
    assert_eq!(key("  select /* a /* b */ c */ 1 -- end").0, "select ?i");
    assert_eq!(key("select 1-- x\n+2").0, "select ?i +?i");
    assert_eq!(
        literals("select 2147483647, 2147483648, 9223372036854775808, .5, 1e3, 1."),
        [
            "int4:2147483647",
            "int8:2147483648",
            "numeric:9223372036854775808",
            "numeric:.5",
            "numeric:1e3",
            "numeric:1.",
        ]
    );
    assert_eq!(
        literals(r"select E'a\'b\n\x41\u00e9\101', 'it''s', $$x$y$$, $q$ $$ $q$"),
        [
            "string:a'b\nAéA",
            "string:it's",
            "string:x$y",
            "string: $$ ",
        ]
    );
    assert_eq!(
        key("select $1, \"a '1'\", b'01', x'ff', U&'\\0041', a1.b2").0,
        "select $1, \"a '1'\", b'01', x'ff', U&'\\0041', a1.b2"
    );
    // What doesn't lex for sure stays as it is.
    for text in [
        "select 'a",
        "select \"a",
        "select /* a",
        "select $q$ a",
        "select 'a'\n'b'",
        "select 12ab",
        "select E'\\u12'",
    ] {
        assert_eq!(key(text), (text.to_owned(), Vec::new()), "{text}");
    }
    assert_eq!(key("SELECT 1").0, "SELECT ?i");
    assert_ne!(key("select a b").0, key("select ab").0);
    assert_eq!(key("").0, "");
    assert_eq!(key(" -- x").0, "");
}
