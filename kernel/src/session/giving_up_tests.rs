//! Waits for the log that somebody gives up: what the client is told, and what becomes of the transaction.

use super::connection::{Cached, Connection, Event, Queries, Statement, What};
use super::node::Node;
use super::tests::{code, flush, message, node, session};
use super::Session;
use crate::base::lexer;
use crate::base::{Lsn, Need, Oid, Res, SessionId, SqlError, Stop};
use crate::exec::run::Prepared;
use std::sync::Arc;

const TABLE: u32 = 16400;
const CANCEL: (&str, &str) = ("57014", "canceling statement due to user request");
const TIMEOUT: (&str, &str) = ("57014", "canceling statement due to statement timeout");
const TERMINATE: (&str, &str) = (
    "57P01",
    "terminating connection due to administrator command",
);

/// A node with a table of one row: id 1, amount 100.
struct World {
    node: Arc<Node>,
    queries: Arc<Queries>,
}

fn done<T>(node: &Node, mut call: impl FnMut() -> Res<T>) -> T {
    loop {
        match call() {
            Ok(value) => return value,
            Err(Stop::Need(Need::Durable(_))) => flush(node),
            Err(stop) => panic!("{stop:?}"),
        }
    }
}

impl World {
    fn new() -> World {
        let node = node();
        let (root, overflow) = done(&node, || node.tables.create_table());
        let world = World {
            node,
            queries: Arc::new(Queries::new(100)),
        };
        let column = |name: &str| {
            format!(
                r#"{{"name": "{name}", "typ": 23, "typmod": -1, "dropped": false, "not_null": false, "missing": null}}"#
            )
        };
        let table = format!(
            r#"{{"oid": {TABLE}, "schema": "public", "name": "t", "root": {}, "overflow": {}, "columns": [{}, {}], "indexes": []}}"#,
            root.0,
            overflow.0,
            column("id"),
            column("amount")
        );
        let amount = |value: i32| {
            format!(
                r#"{{"e": "func", "func": "int4eq", "args": [{{"e": "col", "i": 1, "typ": 23}}, {{"e": "const", "typ": 23, "text": "{value}"}}],
                "arg_types": [23, 23], "typ": 16}}"#
            )
        };
        let values = r#"{"op": "values", "rows": [[{"e": "const", "typ": 23, "text": "1"}, {"e": "const", "typ": 23, "text": "100"}]],
            "types": [23, 23]}"#;
        let insert = format!(
            r#"{{"op": "insert", "table": {table}, "input": {values}, "checks": [], "conflict": null, "returning": null, "after": []}}"#
        );
        let update = |filter: &str| {
            format!(
                r#"{{"op": "update", "table": {table}, "input": {{"op": "scan", "table": {table}, "columns": [0, 1], "filter": {filter}}}, "row": 2,
                "set": [[1, {{"e": "func", "func": "int4mi", "args": [{{"e": "col", "i": 1, "typ": 23}}, {{"e": "const", "typ": 23, "text": "1"}}],
                    "arg_types": [23, 23], "typ": 23}}]],
                "old": [[0, 0], [1, 1]], "recheck": {filter}, "checks": [], "returning": null, "after": []}}"#
            )
        };
        let select = format!(
            r#"{{"op": "project", "input": {{"op": "scan", "table": {table}, "columns": [1], "filter": null}},
            "exprs": [{{"e": "col", "i": 0, "typ": 23}}]}}"#
        );
        world.register("insert", "INSERT", &insert);
        world.register("update", "UPDATE", &update("null"));
        world.register("update if untouched", "UPDATE", &update(&amount(100)));
        world.register("select", "SELECT", &select);
        let begin = What::Begin {
            isolation: None,
            read_only: None,
            tag: "BEGIN".to_owned(),
        };
        for (text, what) in [
            ("begin", begin),
            ("commit", What::Commit),
            ("rollback", What::Rollback),
        ] {
            world.keep(text, Statement::new(what, &[], 0));
        }
        let mut first = world.client(1);
        assert!(matches!(
            first.query("insert"),
            Event::Wait(Need::Durable(_))
        ));
        flush(&world.node);
        assert!(matches!(first.step(), Event::Idle));
        assert_eq!(first.said(), "C:INSERT 0 1 Z:I");
        world
    }

    fn register(&self, text: &str, tag: &str, root: &str) {
        let (output, writes, lock) = match tag {
            "SELECT" => (
                r#"{"name": "amount", "typ": 23, "typmod": -1, "table": 0, "attnum": 0}"#,
                false,
                1,
            ),
            _ => ("", true, 3),
        };
        let json = format!(
            r#"{{"root": {root}, "output": [{output}], "params": [], "exec_params": 0, "subplans": [], "locks": [[{TABLE}, {lock}]],
            "tag": "{tag}", "command": "{tag}", "writes": {writes}, "catalog_version": 0}}"#
        );
        let prepared = Prepared::compile(&json).unwrap();
        self.keep(text, Statement::plan(prepared, Vec::new(), 0));
    }

    fn keep(&self, text: &str, statement: Arc<Statement>) {
        let mut key = Vec::new();
        lexer::normalise(text, &mut key);
        let cached = Cached {
            statement,
            lift: Vec::new(),
            fixed: Vec::new(),
        };
        self.queries.register_query(0, &key, cached).unwrap();
    }

    fn client(&self, id: u64) -> Client {
        let mut wire = Connection::new(self.queries.clone(), 1 << 20, false);
        for text in [
            "insert",
            "update",
            "update if untouched",
            "select",
            "begin",
            "commit",
            "rollback",
        ] {
            let mut key = Vec::new();
            let literals = lexer::normalise(text, &mut key);
            let cached = self.queries.query(0, &key, &literals).unwrap();
            wire.register(text, cached.statement.clone(), text, None);
        }
        Client {
            session: session(&self.node, id),
            wire,
        }
    }

    /// What a new snapshot finds.
    fn amount(&self, id: u64) -> String {
        let mut client = self.client(id);
        assert!(matches!(client.query("select"), Event::Idle));
        client.said()
    }

    /// The log goes on, and nobody needs to ask for it.
    fn log_goes_on(&self) {
        flush(&self.node);
        self.node.txns.finish_abandoned();
    }
}

struct Client {
    session: Session,
    wire: Connection,
}

impl Client {
    fn step(&mut self) -> Event {
        self.wire.step(&mut self.session, 1)
    }

    fn query(&mut self, text: &str) -> Event {
        self.wire.feed(&query(text));
        self.step()
    }

    fn said(&mut self) -> String {
        told(&self.wire.take_output(&mut self.session))
    }

    fn interrupt(&self, (code, text): (&str, &str)) {
        self.session.cancel.request(SqlError::new(code, text));
    }

    fn fails(&mut self) -> (String, String, bool) {
        match self.step() {
            Event::Error { error, fatal } => (error.code_str().to_owned(), error.message, fatal),
            other => panic!("not an error: {other:?}"),
        }
    }
}

fn query(text: &str) -> Vec<u8> {
    message(b'Q', format!("{text}\0").as_bytes())
}

fn extended(text: &str) -> Vec<u8> {
    let bind = format!("\0{text}\0\0\0\0\0\0\0");
    [
        message(b'B', bind.as_bytes()),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
    ]
    .concat()
}

/// Messages by tag, with what is said of commands, rows, errors and states.
fn told(mut bytes: &[u8]) -> String {
    let mut found = Vec::new();
    while let Some(&tag) = bytes.first() {
        let size = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        let body = &bytes[5..1 + size];
        let text = |body: &[u8]| {
            String::from_utf8_lossy(body)
                .trim_end_matches('\0')
                .to_owned()
        };
        found.push(match tag {
            b'C' | b'Z' => format!("{}:{}", char::from(tag), text(body)),
            b'D' => format!("D:{}", text(&body[6..])),
            b'E' => {
                let code = body
                    .split(|byte| *byte == 0)
                    .find(|field| field.first() == Some(&b'C'));
                format!("E:{}", text(&code.unwrap()[1..]))
            }
            tag => char::from(tag).to_string(),
        });
        bytes = &bytes[1 + size..];
    }
    found.join(" ")
}

/// What a client sends whose last answer is that of a commit, in which it is alone, and what it hears before that.
fn commits() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("a Query", query("update"), ""),
        (
            "a block",
            [query("begin"), query("update"), query("commit")].concat(),
            "C:BEGIN Z:T C:UPDATE 1 Z:T ",
        ),
        ("an Execute", extended("update"), ""),
        (
            "a block of Executes",
            [extended("begin"), extended("update"), extended("commit")].concat(),
            "2 C:BEGIN Z:T 2 C:UPDATE 1 Z:T ",
        ),
        (
            "a pipeline",
            [query("select"), extended("update")].concat(),
            "T D:100 C:SELECT 1 Z:I ",
        ),
    ]
}

#[test]
fn a_commit_whose_wait_is_given_up_is_never_acknowledged_and_may_happen() {
    for (name, bytes, before) in commits() {
        for (reason, message, last) in [
            (
                CANCEL,
                "canceling the wait for storage nodes due to user request",
                "E:40003 Z:I",
            ),
            (
                TIMEOUT,
                "canceling the wait for storage nodes due to statement timeout",
                "E:40003 Z:I",
            ),
            (TERMINATE, TERMINATE.1, "E:57P01"),
        ] {
            let world = World::new();
            let (mut one, mut two) = (world.client(1), world.client(2));
            one.wire.feed(&bytes);
            assert!(
                matches!(one.step(), Event::Wait(Need::Durable(_))),
                "{name}"
            );
            assert_eq!(one.said().trim_end(), before.trim_end(), "{name}");
            one.interrupt(reason);
            let (code, text, fatal) = one.fails();
            assert_eq!((text.as_str(), fatal), (message, code == "57P01"));
            assert!(matches!(one.step(), Event::Idle), "{name}");
            assert_eq!(one.said(), last, "{name}");
            // Nobody sees it, its own session neither, and what it holds is not given back.
            assert_eq!(world.amount(3), "T D:100 C:SELECT 1 Z:I");
            if !fatal {
                assert!(matches!(one.query("select"), Event::Idle));
                assert_eq!(one.said(), "T D:100 C:SELECT 1 Z:I");
            }
            assert!(matches!(
                two.session.lock_relation(Oid(TABLE), 8, false),
                Err(Stop::Need(Need::Lock))
            ));
            drop(one);
            world.node.txns.finish_abandoned();
            assert_eq!(world.node.txns.locks.take_woken(), []);
            world.log_goes_on();
            assert_eq!(world.node.txns.locks.take_woken(), [SessionId(2)]);
            two.session.lock_relation(Oid(TABLE), 8, false).unwrap();
            two.session.rollback();
            assert_eq!(world.amount(3), "T D:99 C:SELECT 1 Z:I");
            assert_eq!(world.node.txns.abandoned(), None);
            assert!(world.node.txns.running.is_empty());
        }
    }
}

#[test]
fn a_cancel_at_any_step_is_told_as_what_it_is() {
    for (name, bytes, _) in commits() {
        for at in 0.. {
            let world = World::new();
            let mut one = world.client(1);
            // Byte by byte, so that there are many steps.
            let (mut steps, mut waits) = (0, 0);
            let mut errors = Vec::new();
            let mut said = String::new();
            for byte in &bytes {
                one.wire.feed(&[*byte]);
                loop {
                    if steps == at {
                        one.interrupt(CANCEL);
                    }
                    steps += 1;
                    let event = one.step();
                    said += &one.said();
                    match event {
                        Event::Idle => break,
                        Event::Wait(Need::Durable(_)) => {
                            waits += 1;
                            if steps > at || waits > 3 {
                                flush(&world.node);
                            }
                        }
                        Event::Error { error, .. } => errors.push(error.code_str().to_owned()),
                        other => panic!("{name}: {other:?}"),
                    }
                }
            }
            world.log_goes_on();
            let changed = world.amount(3).contains("D:99");
            match errors.as_slice() {
                [] => assert!(
                    changed && said.contains("UPDATE 1"),
                    "{name} at {at}: {said}"
                ),
                [code] if code == "40003" => assert!(changed, "{name} at {at}: {said}"),
                [code, ..] if code == "57014" => assert!(!changed, "{name} at {at}: {said}"),
                other => panic!("{name} at {at}: {other:?}"),
            }
            if at > steps {
                break;
            }
        }
    }
}

/// The first has a commit record that is not durable, and the second has built on it.
fn built_upon(world: &World, statement: &str) -> (Client, Client) {
    let (mut one, mut two) = (world.client(1), world.client(2));
    assert!(matches!(one.query("update"), Event::Wait(Need::Durable(_))));
    assert!(matches!(two.query("begin"), Event::Idle));
    assert!(matches!(two.query(statement), Event::Idle));
    two.said();
    (one, two)
}

#[test]
fn who_has_built_on_a_commit_can_be_cancelled_while_it_waits_for_it() {
    // Its own commit has a record once it has an xid.
    for (next, said_code, said) in [
        ("select", "57014", "T E:57014 Z:E"),
        ("commit", "40003", "E:40003 Z:I"),
        ("rollback", "57014", "E:57014 Z:E"),
    ] {
        let world = World::new();
        let (mut one, mut two) = built_upon(&world, "update if untouched");
        assert!(
            matches!(two.query(next), Event::Wait(Need::Durable(_))),
            "{next}"
        );
        two.interrupt(CANCEL);
        let (code, _, fatal) = two.fails();
        assert_eq!((code.as_str(), fatal), (said_code, false));
        assert_eq!(two.said(), said, "{next}");
        if next != "commit" {
            assert!(
                matches!(two.query("rollback"), Event::Wait(Need::Durable(_))),
                "its end would tell"
            );
            flush(&world.node);
            assert!(matches!(two.step(), Event::Idle));
            assert_eq!(two.said(), "C:ROLLBACK Z:I");
        }
        flush(&world.node);
        assert!(matches!(one.step(), Event::Idle));
        assert_eq!(one.said(), "C:UPDATE 1 Z:I");
        assert_eq!(world.amount(3), "T D:99 C:SELECT 1 Z:I");
    }
}

#[test]
fn a_command_tag_that_tells_of_a_commit_is_not_sent_before_it_is_durable() {
    for (bytes, answer) in [
        (query("update if untouched"), "C:UPDATE 0 Z:I"),
        (extended("update if untouched"), "2 C:UPDATE 0 Z:I"),
    ] {
        for interrupted in [false, true] {
            let world = World::new();
            let (mut one, mut two) = (world.client(1), world.client(2));
            assert!(matches!(one.query("update"), Event::Wait(Need::Durable(_))));
            two.wire.feed(&bytes);
            assert!(matches!(two.step(), Event::Wait(Need::Durable(_))));
            assert_eq!(two.said(), "");
            if interrupted {
                two.interrupt(CANCEL);
                assert_eq!(two.fails().0, "40003");
                assert_eq!(two.said(), "E:40003 Z:I");
            } else {
                flush(&world.node);
                assert!(matches!(two.step(), Event::Idle));
                assert_eq!(two.said(), answer);
            }
        }
    }
}

#[test]
fn two_that_build_on_each_other_can_both_be_given_up() {
    let world = World::new();
    let (mut one, mut two) = built_upon(&world, "update");
    assert!(matches!(two.query("commit"), Event::Wait(Need::Durable(_))));
    for client in [&mut one, &mut two] {
        client.interrupt(CANCEL);
        assert_eq!(client.fails().0, "40003");
    }
    // The same client again: its own change is another one's now.
    assert!(matches!(one.query("update"), Event::Wait(Need::Durable(_))));
    assert_eq!(one.said(), "E:40003 Z:I");
    assert_eq!(world.amount(3), "T D:100 C:SELECT 1 Z:I");
    // A part of the log.
    let first = world.node.txns.abandoned().unwrap();
    while world.node.volume.take_flush(1 << 20).is_some() {}
    world.node.volume.set_vdl(first).unwrap();
    world.node.txns.finish_abandoned();
    assert_eq!(world.amount(3), "T D:99 C:SELECT 1 Z:I");
    assert!(world.node.txns.abandoned() > Some(first));
    world.log_goes_on();
    assert!(matches!(one.step(), Event::Idle));
    assert_eq!(one.said(), "C:UPDATE 1 Z:I");
    assert_eq!(world.amount(3), "T D:97 C:SELECT 1 Z:I");
}

#[test]
fn locks_of_the_session_stay_with_it() {
    use crate::txn::locks::Level;
    use crate::txn::modes::LockKey;
    let world = World::new();
    let (mut one, mut two) = (world.client(1).session, world.client(2).session);
    let (kept, lost) = (LockKey::Advisory(1, false), LockKey::Advisory(2, false));
    one.begin(None, None).unwrap();
    one.lock_advisory(kept, false, Level::Session, true)
        .unwrap();
    one.lock_advisory(kept, true, Level::Transaction, true)
        .unwrap();
    one.lock_advisory(lost, false, Level::Transaction, true)
        .unwrap();
    one.assign_xid().unwrap();
    assert!(one.commit().is_err());
    one.cancel.request(SqlError::new(CANCEL.0, CANCEL.1));
    assert_eq!(code(one.commit()), "40003");
    assert!(one.abandoned > Some(Lsn::ZERO));
    assert!(!one
        .lock_advisory(lost, false, Level::Session, false)
        .unwrap());
    world.log_goes_on();
    assert!(two
        .lock_advisory(lost, false, Level::Session, false)
        .unwrap());
    assert!(!two
        .lock_advisory(kept, true, Level::Session, false)
        .unwrap());
    assert!(one.unlock_advisory(kept, false));
    assert!(two
        .lock_advisory(kept, false, Level::Session, false)
        .unwrap());
}

#[test]
fn nobody_deadlocks_with_a_session_for_what_it_has_given_up() {
    let world = World::new();
    let (mut one, mut two) = (world.client(1).session, world.client(2).session);
    one.begin(None, None).unwrap();
    let xid = one.assign_xid().unwrap();
    assert!(one.commit().is_err());
    two.begin(None, None).unwrap();
    two.lock_relation(Oid(9), 8, false).unwrap();
    let wait = |owner| world.node.txns.wait_for::<()>(two.id, xid, owner, false);
    assert!(matches!(wait(one.id), Err(Stop::Need(Need::Xid(_)))));
    one.cancel.request(SqlError::new(CANCEL.0, CANCEL.1));
    assert_eq!(code(one.commit()), "40003");
    assert_eq!(world.node.txns.locks.take_woken(), [two.id]);
    let owner = world.node.txns.running.get(xid).unwrap().session;
    assert!(matches!(wait(owner), Err(Stop::Need(Need::Xid(_)))));
    assert!(matches!(
        one.lock_relation(Oid(9), 1, false),
        Err(Stop::Need(Need::Lock))
    ));
    world.log_goes_on();
    assert_eq!(world.node.txns.locks.take_woken(), [two.id]);
    assert!(world.node.txns.running.own(one.id).is_empty());
}
