//! Sessions and connections over a real volume whose redo is made durable by the test.

use super::connection::{Cached, Connection, Event, Queries, Statement, What};
use super::node::Node;
use super::{Isolation, Session};
use crate::base::lexer;
use crate::base::{Lsn, Need, Oid, Res, SessionId, SqlError, Stop, Xid};
use crate::exec::run::Prepared;
use crate::store::{Config, Volume};
use crate::table::SequenceDef;
use crate::txn::locks::Level;
use crate::txn::modes::LockKey;
use crate::txn::Status;
use proptest::prelude::*;
use std::sync::Arc;

pub(super) fn node() -> Arc<Node> {
    let node = Node::open(Volume::create(Config::default()).unwrap());
    node.txns.prepare().unwrap();
    flush(&node);
    Arc::new(node)
}

pub(super) fn flush(node: &Node) {
    while node.volume.take_flush(1 << 20).is_some() {}
    node.volume.set_vdl(node.volume.tail()).unwrap();
}

pub(super) fn session(node: &Arc<Node>, id: u64) -> Session {
    Session::new(SessionId(id), node.clone())
}

pub(super) fn code<T: std::fmt::Debug>(result: Res<T>) -> String {
    match result {
        Err(Stop::Error(error)) => error.code_str().to_owned(),
        other => panic!("not an error: {other:?}"),
    }
}

fn committed(node: &Node, xid: Xid) -> bool {
    matches!(node.txns.status(xid).unwrap(), Status::Committed(csn) if csn <= node.volume.vdl())
}

#[test]
fn a_commit_waits_for_its_lsn_and_then_frees_what_it_holds() {
    let node = node();
    let (mut one, mut two) = (session(&node, 1), session(&node, 2));
    assert!(one.begin(None, None).unwrap());
    assert!(
        !one.begin(None, None).unwrap(),
        "a second BEGIN changes nothing"
    );
    let xid = one.assign_xid().unwrap();
    one.lock_relation(crate::base::Oid(9), 8, false).unwrap();
    let Err(Stop::Need(Need::Durable(lsn))) = one.commit() else {
        panic!("a commit is not durable at once")
    };
    assert!(one.committing() && lsn > node.volume.vdl());
    assert!(matches!(
        two.lock_relation(crate::base::Oid(9), 1, false),
        Err(Stop::Need(Need::Lock))
    ));
    flush(&node);
    assert_eq!(one.commit().unwrap(), "COMMIT");
    assert!(committed(&node, xid));
    assert_eq!((one.status(), one.active()), (b'I', false));
    assert_eq!(node.txns.locks.take_woken(), [SessionId(2)]);
    two.lock_relation(crate::base::Oid(9), 1, false).unwrap();
}

#[test]
fn what_a_sequence_has_told_is_durable_when_the_transaction_ends() {
    use crate::func::ctx::Host as _;
    let node = node();
    let oid = Oid(7);
    let def = SequenceDef {
        start: 1,
        increment: 1,
        min: 1,
        max: 100,
        cycle: false,
    };
    let page = node.tables.create_sequence(&def).unwrap();
    node.set_sequence(oid, Some(page));
    flush(&node);
    let (mut one, mut two) = (session(&node, 1), session(&node, 2));
    for session in [&mut one, &mut two] {
        session.begin_implicit();
    }
    assert_eq!(one.host.nextval(oid).unwrap(), 1);
    assert_eq!(two.host.nextval(oid).unwrap(), 2, "logged by the first");
    for session in [&mut one, &mut two] {
        let waits = |result: Res<_>| matches!(result, Err(Stop::Need(Need::Durable(lsn))) if lsn == node.volume.tail());
        assert!(waits(session.commit()));
    }
    flush(&node);
    for session in [&mut one, &mut two] {
        assert_eq!(session.commit().unwrap(), "COMMIT");
    }
    one.begin_implicit();
    assert_eq!(one.host.nextval(oid).unwrap(), 3);
    assert_eq!(one.commit().unwrap(), "COMMIT", "nothing is logged");
    one.begin_implicit();
    one.host.setval(oid, 50, true).unwrap();
    assert!(one.commit().is_err());
}

#[test]
fn a_session_that_goes_away_while_it_commits_has_committed() {
    let node = node();
    let mut one = session(&node, 1);
    one.begin(None, None).unwrap();
    let xid = one.assign_xid().unwrap();
    assert!(one.commit().is_err());
    drop(one);
    flush(&node);
    node.txns.finish_abandoned();
    assert!(committed(&node, xid));
}

#[test]
fn savepoints_abort_and_merge() {
    let node = node();
    let mut one = session(&node, 1);
    assert_eq!(code(one.savepoint("a")), "25P01");
    one.begin(None, None).unwrap();
    let top = one.assign_xid().unwrap();
    one.savepoint("a").unwrap();
    one.assign_xid().unwrap();
    let inner = *node.txns.running.own(one.id).last().unwrap();
    one.savepoint("b").unwrap();
    one.assign_xid().unwrap();
    let innermost = *node.txns.running.own(one.id).last().unwrap();
    one.fail();
    assert_eq!(
        (one.status(), code(one.check_usable())),
        (b'E', "25P02".to_owned())
    );
    assert_eq!(
        node.txns.status(innermost).unwrap(),
        Status::Aborted,
        "an error undoes the innermost savepoint at once"
    );
    assert_eq!(code(one.rollback_to("nosuch")), "3B001");
    one.rollback_to("b").unwrap();
    one.release("a").unwrap();
    assert_eq!(code(one.release("b")), "3B001");
    assert!(one.commit().is_err());
    flush(&node);
    one.commit().unwrap();
    assert!(committed(&node, top) && committed(&node, inner) && !committed(&node, innermost));
}

#[test]
fn a_failed_block_without_savepoints_has_given_everything_back() {
    let node = node();
    let mut one = session(&node, 1);
    one.begin(None, None).unwrap();
    let xid = one.assign_xid().unwrap();
    one.fail();
    assert_eq!(node.txns.status(xid).unwrap(), Status::Aborted);
    assert_eq!(one.commit().unwrap(), "ROLLBACK");
    assert_eq!(one.status(), b'I');
}

#[test]
fn snapshots_by_statement_and_by_transaction() {
    let node = node();
    let mut one = session(&node, 1);
    one.begin(Some(Isolation::RepeatableRead), None).unwrap();
    let (first, held) = one.take_view().unwrap();
    assert!(first.strict && held.is_none());
    let mut two = session(&node, 2);
    two.assign_xid().unwrap();
    assert!(two.commit().is_err());
    flush(&node);
    two.commit().unwrap();
    assert_eq!(one.take_view().unwrap().0.snapshot, first.snapshot);
    assert_eq!(node.txns.local_horizon(), first.snapshot);
    one.commit().unwrap();
    assert_eq!(node.txns.local_horizon(), node.volume.vdl());
    let (view, held) = one.take_view().unwrap();
    assert!(view.snapshot > first.snapshot && !view.strict && held.is_some());
    drop(held);
    assert_eq!(node.txns.snapshots.count(), 0);
    one.begin(None, None).unwrap();
    assert_eq!(
        code(one.set_characteristics(Some(Isolation::RepeatableRead), None)),
        "25001"
    );
}

#[test]
fn cancel_reaches_the_next_call_with_its_own_words() {
    let node = node();
    let mut one = session(&node, 1);
    one.cancel.request(SqlError::new(
        "57014",
        "canceling statement due to statement timeout",
    ));
    let Err(Stop::Error(error)) = one.lock_relation(crate::base::Oid(1), 1, false) else {
        panic!("not cancelled")
    };
    assert!(error.message.ends_with("statement timeout"));
    one.lock_relation(crate::base::Oid(1), 1, false).unwrap();
}

#[test]
fn advisory_locks_outlive_transactions_when_asked_to() {
    let node = node();
    let (mut one, mut two) = (session(&node, 1), session(&node, 2));
    let key = LockKey::Advisory(5, false);
    assert!(one.lock_advisory(key, false, Level::Session, true).unwrap());
    one.commit().unwrap();
    assert!(!two
        .lock_advisory(key, true, Level::Transaction, false)
        .unwrap());
    assert!(one.unlock_advisory(key, false) && !one.unlock_advisory(key, false));
    assert!(two
        .lock_advisory(key, true, Level::Transaction, false)
        .unwrap());
}

#[test]
fn settings_in_postgres_s_spellings() {
    let mut one = session(&node(), 1);
    for (name, value, shown) in [
        ("DateStyle", "german", "German, DMY"),
        ("datestyle", "iso, ymd", "ISO, YMD"),
        ("TimeZone", "europe/berlin", "Europe/Berlin"),
        ("IntervalStyle", "ISO_8601", "iso_8601"),
        ("extra_float_digits", "3", "3"),
        ("bytea_output", "escape", "escape"),
    ] {
        assert!(one.kept.set(name, value).unwrap());
        assert_eq!(one.kept.get(name).as_deref(), Some(shown));
    }
    assert_eq!(code(one.kept.set("DateStyle", "roman")), "22023");
    assert_eq!(code(one.kept.set("TimeZone", "Mars/Base")), "22023");
    assert_eq!(code(one.kept.set("extra_float_digits", "4")), "22023");
    assert!(!one.kept.set("search_path", "x").unwrap());
    one.kept.set_now(0);
    assert_eq!(one.kept.clock, -946_684_800_000_000);
}

// -- connections --------------------------------------------------------------------------------------------------

fn plan(version: u64) -> Arc<Statement> {
    let json = r#"{"root": {"op": "values", "rows": [[{"e": "param", "n": 0, "typ": 23}]], "types": [23]},
        "output": [{"name": "x", "typ": 23, "typmod": -1, "table": 0, "attnum": 0}], "params": [23], "exec_params": 0,
        "subplans": [], "locks": [], "tag": "SELECT", "command": "SELECT", "writes": false, "catalog_version": VERSION}"#;
    Statement::plan(
        Prepared::compile(&json.replace("VERSION", &version.to_string())).unwrap(),
        Vec::new(),
        7,
    )
}

fn register(queries: &Queries, text: &str, statement: Arc<Statement>, lift: Vec<(usize, usize)>) {
    let mut key = Vec::new();
    lexer::normalise(text, &mut key);
    queries
        .register_query(
            0,
            &key,
            Cached {
                statement,
                lift,
                fixed: Vec::new(),
            },
        )
        .unwrap();
}

fn connection() -> Connection {
    let queries = Queries::new(100);
    register(&queries, "select 1", plan(0), vec![(0, 0)]);
    let begin = What::Begin {
        isolation: None,
        read_only: None,
        tag: "BEGIN".to_owned(),
    };
    register(&queries, "begin", Statement::new(begin, &[], 0), Vec::new());
    register(
        &queries,
        "commit",
        Statement::new(What::Commit, &[], 0),
        Vec::new(),
    );
    register(
        &queries,
        "rollback",
        Statement::new(What::Rollback, &[], 0),
        Vec::new(),
    );
    let mut connection = Connection::new(Arc::new(queries), 1 << 20, false);
    connection.register("s", plan(0), "select $1", None);
    connection
}

pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn tags(mut bytes: &[u8]) -> String {
    let mut found = String::new();
    while let Some(&tag) = bytes.first() {
        found.push(char::from(tag));
        let size = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        bytes = &bytes[1 + size..];
    }
    found
}

#[test]
fn a_stale_plan_is_asked_for_again_and_the_message_tried_again() {
    let node = node();
    let mut one = session(&node, 1);
    let mut wire = connection();
    one.catalog_version = Some((3, one.catalog_version()));
    wire.feed(&message(b'B', b"\0s\0\0\0\0\x01\0\0\0\x015\0\0"));
    wire.feed(&message(b'S', b""));
    let Event::Stale { name, token, text } = wire.step(&mut one, 1) else {
        panic!("the plan is stale")
    };
    assert_eq!(
        (name.as_deref(), token, text.as_str()),
        (Some("s"), 7, "select $1")
    );
    wire.register("s", plan(3), "select $1", None);
    assert!(matches!(wire.step(&mut one, 1), Event::Idle));
    assert_eq!(tags(&wire.take_output(&mut one)), "2Z");
}

#[test]
fn an_event_that_is_never_dealt_with_is_an_error_and_not_a_loop() {
    let node = node();
    let mut one = session(&node, 1);
    let mut wire = connection();
    wire.feed(&message(b'Q', b"unknown\0"));
    let mut last = wire.step(&mut one, 1);
    for _ in 0..5 {
        if let Event::Error { .. } = last {
            break;
        }
        last = wire.step(&mut one, 1);
    }
    let Event::Error { error, fatal } = last else {
        panic!("it goes on for ever")
    };
    assert_eq!((error.code_str(), fatal), ("XX000", false));
    assert!(matches!(wire.step(&mut one, 1), Event::Idle));
    assert_eq!(tags(&wire.take_output(&mut one)), "EZ");
}

#[test]
fn a_panic_ends_its_statement_and_nothing_else() {
    let node = node();
    let mut one = session(&node, 1);
    let mut wire = connection();
    let json = r#"{"root": {"op": "project", "exprs": [{"e": "func", "func": "test_panic", "args": [], "arg_types": [], "typ": 23, "at": null}],
        "input": {"op": "values", "rows": [[{"e": "param", "n": 0, "typ": 23}]], "types": [23]}},
        "output": [{"name": "x", "typ": 23, "typmod": -1, "table": 0, "attnum": 0}], "params": [23], "exec_params": 0,
        "subplans": [], "locks": [], "tag": "SELECT", "command": "SELECT", "writes": false, "catalog_version": 0}"#;
    wire.register(
        "broken",
        Statement::plan(Prepared::compile(json).unwrap(), Vec::new(), 8),
        "",
        None,
    );
    for name in ["broken", "s"] {
        let bind = [b"\0", name.as_bytes(), b"\0\0\0\0\x01\0\0\0\x015\0\0"].concat();
        wire.feed(&message(b'B', &bind));
        wire.feed(&message(b'E', b"\0\0\0\0\0"));
        wire.feed(&message(b'S', b""));
    }
    let Event::Error { error, fatal } = wire.step(&mut one, 1) else {
        panic!("a broken plan gave an answer")
    };
    assert_eq!((error.code_str(), fatal), ("XX000", false));
    assert_eq!(error.message, "internal error: a test's defect");
    assert!(matches!(wire.step(&mut one, 1), Event::Idle));
    assert_eq!(tags(&wire.take_output(&mut one)), "2EZ2DCZ");
}

#[test]
fn an_intercepted_session_s_ends_come_as_events() {
    let node = node();
    let mut one = session(&node, 1);
    let mut wire = connection();
    one.intercept = true;
    wire.feed(&message(b'Q', b"begin\0"));
    wire.feed(&message(b'Q', b"commit\0"));
    let Event::Query { text, .. } = wire.step(&mut one, 1) else {
        panic!("COMMIT is Python's")
    };
    assert_eq!(text, "commit");
    one.commit().unwrap();
    wire.done(&mut one).unwrap();
    assert!(matches!(wire.step(&mut one, 1), Event::Idle));
    wire.feed(&message(b'Q', b"select 5\0"));
    assert!(matches!(wire.step(&mut one, 1), Event::End));
    one.commit_implicit().unwrap();
    wire.done(&mut one).unwrap();
    assert!(matches!(wire.step(&mut one, 1), Event::Idle));
    assert_eq!(tags(&wire.take_output(&mut one)), "CZZTDCZ");
}

/// What a client may send, sense or nonsense.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &str| message(b'Q', format!("{text}\0").as_bytes());
    prop_oneof![
        Just(text("select 12")),
        Just(text("begin")),
        Just(text("commit")),
        Just(text("rollback")),
        Just(text("")),
        Just(text("unknown")),
        Just(text("select 99999999999")),
        Just(message(b'B', b"\0s\0\0\0\0\x01\0\0\0\x015\0\0")),
        Just(message(b'B', b"p\0s\0\0\0\0\x01\0\0\0\x01x\0\0")),
        Just(message(b'B', b"p\0s\0\0\0\0\x01\0\0\0\x017\0\0")),
        Just(message(b'B', b"\0s\0\0\0\0\0\0\0")),
        Just(message(b'E', b"\0\0\0\0\0")),
        Just(message(b'E', b"p\0\0\0\0\x01")),
        Just(message(b'D', b"Ss\0")),
        Just(message(b'D', b"Pp\0")),
        Just(message(b'C', b"Pp\0")),
        Just(message(b'P', b"\0\0\0\0")),
        Just(message(b'P', b"\0select x\0\0\0")),
        Just(message(b'H', b"")),
        Just(message(b'S', b"")),
        Just(message(b'c', b"")),
        Just(message(b'F', b"\0\0")),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(|body| message(b'B', &body)),
    ]
}

proptest! {
    #[test]
    fn every_query_and_every_sync_is_answered_once(messages in proptest::collection::vec(any_message(), 0..40), cut in 1usize..50) {
        let node = node();
        let mut one = session(&node, 1);
        let mut wire = connection();
        let bytes: Vec<u8> = messages.concat();
        let mut out = Vec::new();
        for piece in bytes.chunks(cut) {
            wire.feed(piece);
            loop {
                match wire.step(&mut one, 1) {
                    Event::Idle => break,
                    Event::Error { fatal, .. } => prop_assert!(!fatal),
                    Event::Query { .. } | Event::Parse { .. } | Event::Message { .. } => {
                        let error = SqlError::new("42601", "syntax error");
                        wire.error(&mut one, "ERROR", &error, &Default::default()).unwrap();
                    }
                    event => prop_assert!(false, "unexpected {:?}", event),
                }
            }
            out.extend(wire.take_output(&mut one));
        }
        // FunctionCall is answered like a Query; both are skipped after an error in extended messages.
        let wanted = messages.iter().filter(|bytes| matches!(bytes[0], b'S' | b'Q' | b'F')).count();
        let answers = tags(&out);
        let ready = answers.matches('Z').count();
        let syncs = messages.iter().filter(|bytes| bytes[0] == b'S').count();
        prop_assert!(ready <= wanted && ready >= syncs, "{ready} of {syncs}..{wanted}: {answers}");
        prop_assert!(!answers.contains("EE"), "after an error comes ReadyForQuery: {answers}");
        prop_assert_eq!(wire.buffered(), 0);
    }

    #[test]
    fn random_bytes_never_panic_a_connection(bytes in proptest::collection::vec(any::<u8>(), 0..300), startup in any::<bool>()) {
        let node = node();
        let mut one = session(&node, 1);
        let mut wire = Connection::new(Arc::new(Queries::new(1)), 1 << 16, startup);
        wire.feed(&bytes);
        for _ in 0..50 {
            match wire.step(&mut one, 1) {
                Event::Idle | Event::Error { fatal: true, .. } | Event::Terminate => break,
                Event::Error { .. } => {}
                _ => drop(wire.done(&mut one)),
            }
        }
        prop_assert!(one.snapshot() >= Lsn::ZERO);
    }
}

#[test]
fn a_text_that_is_long_by_its_strings_is_said_without_them_and_whole_when_asked_for() {
    let node = node();
    let mut one = session(&node, 1);
    let mut wire = Connection::new(Arc::new(Queries::new(10)), 1 << 24, false);
    let text = format!(
        "insert into t values (1, 'ä', '{}', 5)",
        "ä''".repeat(1 << 19)
    );
    wire.feed(&message(b'Q', format!("{text}\0").as_bytes()));
    let Event::LongQuery { shown, key, short } = wire.step(&mut one, 1) else {
        panic!("the text is long")
    };
    assert_eq!(short.text, "insert into t values (1, 'ä', '', 5)");
    assert_eq!(short.cut, [2]);
    let places = short
        .literals
        .iter()
        .map(|(_, v, a, b)| (v.as_str(), *a, *b));
    let places: Vec<_> = places.collect();
    assert_eq!(
        places,
        [("1", 22, 23), ("ä", 25, 28), ("", 30, 32), ("5", 34, 35)]
    );
    assert!(text.starts_with(&shown) && shown.chars().count() == 1024);
    let Event::Query {
        text: whole,
        key: same,
        literals,
    } = wire.whole_query().unwrap()
    else {
        panic!("a Query is being dealt with")
    };
    assert!((whole, same) == (text, key));
    assert_eq!(literals[2].1, "ä'".repeat(1 << 19));
    // It is not long by its strings.
    let mut wire = Connection::new(Arc::new(Queries::new(10)), 1 << 24, false);
    let text = format!("select {} 'x'\0", "1 + ".repeat(1 << 19));
    wire.feed(&message(b'Q', text.as_bytes()));
    assert!(matches!(wire.step(&mut one, 1), Event::Query { .. }));
}
