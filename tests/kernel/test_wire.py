"""The wire's state machine, as a client sees it: bytes in, bytes out, against a real volume."""

from __future__ import annotations

import struct

import pytest

from sixfold.kernel._kernel import Queries, Session, Statement, Volume, Wire, normalise

from .plans import (
    INT4,
    SYNC,
    TEXT,
    Client,
    Store,
    bind,
    column,
    describe,
    everything,
    execute,
    fields,
    insert,
    kinds,
    message,
    query,
    select,
    split,
    table,
    values,
)


class Bench:
    """A table t(a int4 primary key, b text) and statements for it."""

    def __init__(self) -> None:
        self.store = Store()
        self.table = table(self.store, "t", [column("a", INT4, not_null=True), column("b", TEXT)])
        self.queries = Queries()
        for text, statement in {
            "BEGIN": Statement.begin(),
            "COMMIT": Statement.commit(),
            "ROLLBACK": Statement.rollback(),
            "SAVEPOINT s": Statement.savepoint("s"),
            "ROLLBACK TO s": Statement.rollback_to("s"),
        }.items():
            self.queries.register_query(0, normalise(text)[0], statement)
        self.insert = Statement.plan(insert(self.table))
        self.select = Statement.plan(select(self.table))
        self.all = Statement.plan(everything(self.table))
        self.queries.register_query(
            0, normalise("INSERT INTO t VALUES (1, 'x')")[0], self.insert, lift=[(0, 0), (1, 1)]
        )
        self.queries.register_query(0, normalise("SELECT * FROM t WHERE a = 1")[0], self.select, lift=[(0, 0)])
        self.queries.register_query(0, normalise("SELECT * FROM t")[0], self.all)

    def client(self, number: int = 1) -> Client:
        client = Client(self.store, number, self.queries)
        client.wire.register_statement("ins", self.insert, "insert")
        client.wire.register_statement("sel", self.select, "select")
        client.wire.register_statement("all", self.all, "all")
        return client


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_simple_queries_that_differ_in_literals_share_a_plan(bench: Bench) -> None:
    client = bench.client()
    assert kinds(client.say(query("INSERT INTO t VALUES (5, 'it''s')"))) == "CZ"
    answer = split(
        client.say(
            query(
                "select * from t where a = 5".replace("select", "SELECT")
                .replace("from", "FROM")
                .replace("where", "WHERE")
            )
        )
    )
    assert [kind for kind, _ in answer] == ["T", "D", "C", "Z"]
    assert values(answer[1][1]) == [b"5", b"it's"]
    assert answer[2][1] == b"SELECT 1\0"


def test_a_commit_is_not_answered_before_it_is_durable(bench: Bench) -> None:
    client = bench.client()
    client.wire.feed(query("INSERT INTO t VALUES (1, 'x')"), 0)
    event = client.wire.step()
    assert event[0] == "wait" and event[1][0] == "durable"
    assert client.wire.take_output() == b""
    assert client.wire.step() == event, "asking again does not help"
    bench.store.flush()
    assert client.wire.step() == ("idle",)
    assert kinds(client.wire.take_output()) == "CZ"


def test_what_was_answered_before_a_commit_leaves_before_it(bench: Bench) -> None:
    client = bench.client()
    client.wire.feed(query("SELECT * FROM t") + query("INSERT INTO t VALUES (1, 'x')"), 0)
    assert client.wire.step()[0] == "wait"
    assert kinds(client.wire.take_output()) == "TCZ"
    bench.store.flush()
    assert client.wire.step() == ("idle",)
    assert kinds(client.wire.take_output()) == "CZ"


def test_prepared_statements_in_text_and_binary(bench: Bench) -> None:
    client = bench.client()
    pipeline = bind("ins", [b"7", None]) + execute() + SYNC
    assert kinds(client.say(pipeline)) == "2CZ"
    answer = split(
        client.say(bind("sel", [struct.pack(">i", 7)], formats=[1], results=[1]) + describe("P") + execute() + SYNC)
    )
    assert [kind for kind, _ in answer] == ["2", "T", "D", "C", "Z"]
    assert values(answer[2][1]) == [struct.pack(">i", 7), None]


def test_describe_of_a_statement_says_its_parameters_and_columns(bench: Bench) -> None:
    answer = split(bench.client().say(describe("S", "sel") + describe("S", "ins") + SYNC))
    assert [kind for kind, _ in answer] == ["t", "T", "t", "n", "Z"]
    assert answer[0][1] == struct.pack(">HI", 1, INT4)
    assert answer[2][1] == struct.pack(">HII", 2, INT4, TEXT)


def test_a_row_limit_suspends_the_portal(bench: Bench) -> None:
    client = bench.client()
    for key in range(5):
        client.say(query(f"INSERT INTO t VALUES ({key}, 'x')"))
    answer = client.say(bind("all", []) + execute(limit=2) + execute(limit=2) + execute() + execute() + SYNC)
    assert kinds(answer) == "2DDsDDsDCCZ"
    tags = [body for kind, body in split(answer) if kind == "C"]
    assert tags == [b"SELECT 1\0", b"SELECT 0\0"]


def test_after_an_error_messages_are_skipped_to_sync(bench: Bench) -> None:
    client = bench.client()
    answer = split(client.say(bind("nosuch", []) + execute() + bind("sel", [b"1"]) + execute() + SYNC))
    assert [kind for kind, _ in answer] == ["E", "Z"]
    assert fields(answer[0][1])["C"] == "26000"
    assert kinds(client.say(bind("sel", [b"1"]) + execute() + SYNC)) == "2CZ"


def test_an_error_in_a_pipeline_rolls_the_whole_implicit_transaction_back(bench: Bench) -> None:
    client = bench.client()
    answer = client.say(bind("ins", [b"1", b"x"]) + execute() + bind("ins", [b"1", b"y"]) + execute() + SYNC)
    assert kinds(answer) == "2C2EZ"
    error = fields(split(answer)[3][1])
    assert error["C"] == "23505" and error["n"] == "t_pkey"
    assert kinds(client.say(query("SELECT * FROM t"))) == "TCZ"


def test_a_failed_block_answers_25P02_until_it_ends(bench: Bench) -> None:
    client = bench.client()
    assert split(client.say(query("BEGIN")))[-1] == ("Z", b"T")
    client.say(query("INSERT INTO t VALUES (1, 'x')"))
    assert split(client.say(query("INSERT INTO t VALUES (1, 'x')")))[-1] == ("Z", b"E")
    answer = split(client.say(query("SELECT * FROM t")))
    assert fields(answer[0][1])["C"] == "25P02" and answer[-1] == ("Z", b"E")
    answer = split(client.say(query("COMMIT")))
    assert answer == [("C", b"ROLLBACK\0"), ("Z", b"I")]
    assert kinds(client.say(query("SELECT * FROM t"))) == "TCZ"


def test_savepoints_bring_a_failed_block_back(bench: Bench) -> None:
    client = bench.client()
    for text in ("BEGIN", "INSERT INTO t VALUES (1, 'x')", "SAVEPOINT s", "INSERT INTO t VALUES (2, 'x')"):
        client.say(query(text))
    assert split(client.say(query("INSERT INTO t VALUES (1, 'x')")))[-1] == ("Z", b"E")
    assert split(client.say(query("ROLLBACK TO s"))) == [("C", b"ROLLBACK\0"), ("Z", b"T")]
    assert kinds(client.say(query("INSERT INTO t VALUES (3, 'x')"))) == "CZ"
    assert kinds(client.say(query("COMMIT"))) == "CZ"
    rows = [values(body) for kind, body in split(client.say(query("SELECT * FROM t"))) if kind == "D"]
    assert rows == [[b"1", b"x"], [b"3", b"x"]]


def test_warnings_about_blocks_that_are_or_are_not_open(bench: Bench) -> None:
    client = bench.client()
    for text, code in (("COMMIT", "25P01"), ("ROLLBACK", "25P01")):
        answer = split(client.say(query(text)))
        assert [kind for kind, _ in answer] == ["N", "C", "Z"] and fields(answer[0][1])["C"] == code
    client.say(query("BEGIN"))
    answer = split(client.say(query("BEGIN")))
    assert fields(answer[0][1])["C"] == "25001" and answer[-1] == ("Z", b"T")


def test_a_row_that_another_transaction_holds_is_waited_for(bench: Bench) -> None:
    one, two = bench.client(1), bench.client(2)
    one.say(query("BEGIN"))
    one.say(query("INSERT INTO t VALUES (1, 'one')"))
    two.wire.feed(query("INSERT INTO t VALUES (1, 'two')"), 0)
    event = two.wire.step()
    assert event == ("wait", ("xid", one.session.xid))
    assert bench.store.volume.take_woken() == []
    one.say(query("ROLLBACK"))
    assert bench.store.volume.take_woken() == [2]
    assert kinds(two.until("idle")) == "CZ"


def test_a_cancelled_wait_ends_with_57014(bench: Bench) -> None:
    one, two = bench.client(1), bench.client(2)
    one.say(query("BEGIN"))
    one.say(query("INSERT INTO t VALUES (1, 'one')"))
    two.wire.feed(query("INSERT INTO t VALUES (1, 'two')"), 0)
    assert two.wire.step()[0] == "wait"
    two.session.cancel(message="canceling statement due to lock timeout", code="55P03")
    event = two.wire.step()
    assert event[0] == "error" and (event[1].code, event[2]) == ("55P03", False)
    assert kinds(two.until("idle")) == "EZ"
    assert kinds(two.say(query("SELECT * FROM t"))) == "TCZ"


def test_unknown_text_is_an_event_and_runs_once_registered(bench: Bench) -> None:
    client = bench.client()
    client.wire.feed(query("SELECT * FROM t -- all of it"), 0)
    key = normalise("SELECT * FROM t LIMIT 3")[0]
    assert client.wire.step() == ("idle",)
    client.wire.take_output()
    client.wire.feed(query("SELECT * FROM t LIMIT 3"), 0)
    assert client.wire.step() == ("query", "SELECT * FROM t LIMIT 3", key, [("int4", "3", 22, 23)])
    bench.queries.register_query(0, key, bench.all, fixed=[(0, "3")])
    assert kinds(client.until("idle")) == "TCZ"
    client.wire.feed(query("SELECT * FROM t LIMIT 4"), 0)
    assert client.wire.step()[0] == "query", "another fixed literal is another statement"
    client.wire.error("0A000", "no", hint="try 3")
    answer = split(client.until("idle"))
    assert [kind for kind, _ in answer] == ["E", "Z"] and fields(answer[0][1])["H"] == "try 3"


def test_parse_is_an_event_once_and_cached_after(bench: Bench) -> None:
    client = bench.client()
    parse = message(b"P", b"s1\0SELECT $1\0\0\0")
    client.wire.feed(parse + SYNC, 0)
    assert client.wire.step() == ("parse", "s1", "SELECT $1", [])
    client.wire.register_statement("s1", bench.select, "SELECT $1")
    bench.queries.register_parse(0, "SELECT $1", [], bench.select)
    assert kinds(client.until("idle")) == "1Z"
    answer = split(client.say(parse + SYNC))
    assert fields(answer[0][1])["C"] == "42P05"
    assert kinds(client.say(message(b"P", b"s2\0SELECT $1\0\0\0") + SYNC)) == "1Z"


def test_host_statements_run_in_python(bench: Bench) -> None:
    client = bench.client()
    columns = [("v", INT4, -1, 0, 0)]
    client.wire.register_statement("h", Statement.host(42, params=[INT4], columns=columns), "SHOW v")
    client.wire.feed(bind("h", [b"9"], results=[1]) + describe("P") + execute() + SYNC, 0)
    assert client.wire.step() == ("execute", "", 42, [9], [1], 0)
    client.wire.data_rows([INT4], [[10], [None]], [1])
    client.wire.complete("SHOW")
    client.wire.done()
    answer = split(client.until("idle"))
    assert [kind for kind, _ in answer] == ["2", "T", "D", "D", "C", "Z"]
    assert values(answer[2][1]) == [struct.pack(">i", 10)]


def test_empty_texts(bench: Bench) -> None:
    client = bench.client()
    assert kinds(client.say(query("  -- nothing\n"))) == "IZ"
    assert kinds(client.say(message(b"P", b"\0\0\0\0") + bind("", []) + describe("P") + execute() + SYNC)) == "12nIZ"


def test_malformed_input_is_an_error_and_the_connection_ends_or_goes_on(bench: Bench) -> None:
    client = bench.client()
    answer = split(client.say(message(b"Q", b"no end") + query("SELECT * FROM t")))
    assert [kind for kind, _ in answer] == ["E", "Z", "T", "C", "Z"]
    answer = split(client.say(query("SELECT 'a\0b'")))
    assert fields(answer[0][1])["C"] == "08P01"
    answer = split(client.say(message(b"Q", b"SELECT '\xff'\0")))
    assert fields(answer[0][1]) | {"C": "22021"} == fields(answer[0][1])
    client.wire.feed(b"@\0\0\0\4", 0)
    event = client.wire.step()
    assert event[0] == "error" and event[2] is True
    assert fields(split(client.wire.take_output())[0][1])["S"] == "FATAL"
    assert client.wire.step() == ("idle",)


def test_startup_negotiation_login_and_cancel() -> None:
    volume = Volume.create(volume_id=1, epoch=1, cache_bytes=1 << 20)
    wire = Wire(Session(volume, 1), Queries())
    wire.feed(struct.pack(">II", 8, 80877103), 0)
    assert wire.step() == ("ssl",)
    wire.raw(b"N")
    wire.done()
    body = struct.pack(">I", 196608) + b"user\0u\0database\0d\0\0"
    wire.feed(struct.pack(">I", len(body) + 4) + body, 0)
    assert wire.step() == ("startup", {"user": "u", "database": "d"})
    wire.auth(3)
    wire.done()
    assert wire.step() == ("idle",)
    assert kinds(wire.take_output()[1:]) == "R"
    wire.feed(message(b"p", b"secret\0"), 0)
    assert wire.step() == ("password", b"secret\0")
    wire.started(5, 6, [("server_version", "15.0")])
    assert wire.step() == ("idle",)
    assert kinds(wire.take_output()) == "RSKZ"
    other = Wire(Session(volume, 2), Queries())
    other.feed(struct.pack(">IIII", 16, 80877102, 5, 6), 0)
    assert other.step() == ("cancel", 5, 6)
