"""Work in threads without the GIL: feeding, cancelling and other sessions go on meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from sixfold.kernel._kernel import KernelError, Plan, Session, Statement

from .plans import INT8, Client, Store, kinds, plan, query


def endless() -> Plan:
    """Counts the quadruples of 1,000 rows."""
    rows = {
        "op": "values",
        "rows": [[{"e": "const", "typ": INT8, "text": str(i)}] for i in range(1000)],
        "types": [INT8],
    }
    join = rows
    for _ in range(3):
        join = {
            "op": "nested_loop",
            "kind": "inner",
            "left": join,
            "right": rows,
            "on": None,
            "params": [],
            "right_width": 1,
        }
    count = {"func": "count", "args": [], "arg_types": [], "typ": INT8, "distinct": False, "filter": None, "order": []}
    node = {
        "op": "aggregate",
        "input": join,
        "keys": [],
        "key_types": [],
        "aggs": [count],
        "sorted": False,
        "sets": None,
    }
    return plan(node, [("count", INT8)], [], "SELECT")


def test_a_detached_step_lets_others_work_and_can_be_cancelled() -> None:
    store = Store()
    client, other = Client(store, 1), Client(store, 2)
    client.queries.register_query(0, b"go", Statement.plan(endless()))
    other.queries.register_query(0, b"ping", Statement.plan(plan({"op": "single"}, [], [], "SELECT")))
    client.wire.feed(query("go"), 0)
    assert client.wire.step() == ("wait", ("slice",))
    events = []
    worker = threading.Thread(target=lambda: events.append(client.wire.step_detached(600_000_000)))
    worker.start()
    with pytest.raises(RuntimeError, match="busy"):
        while client.session.status:  # until the worker is in it
            time.sleep(0.01)
    for _ in range(100):
        assert kinds(other.say(query("ping"))) == "TDCZ"
    client.wire.feed(query(""), 0)
    with pytest.raises(RuntimeError, match="busy"):
        client.wire.step()
    client.session.cancel()
    worker.join(20)
    assert not worker.is_alive()
    assert events[0][0] == "error" and events[0][1].code == "57014"
    assert kinds(client.until("idle")) == "TEZIZ"


def test_a_portal_s_run_can_be_cancelled_from_another_thread() -> None:
    store = Store()
    session = Session(store.volume, 1)
    portal = session.portal(endless())
    timer = threading.Timer(0.05, session.cancel)
    timer.start()
    with pytest.raises(KernelError, match="canceling statement due to user request"):
        portal.fetch_detached(budget_us=600_000_000)
    session.fail()
    assert session.status == "I" and not session.active
