"""What recovery decides, from every read quorum that may answer: no acknowledged flush is lost, no half flush is kept."""

from __future__ import annotations

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.wal.recovery import BatchMeta, NodeState, decide, enough

LIMIT = 1000


class Log:
    """Flushes over groups, and which of six nodes has which batch."""

    def __init__(self, flushes: list[set[int]], epoch: int = 1, start: int = 10) -> None:
        self.flushes: list[tuple[int, int, tuple[int, ...]]] = []
        self.metas: list[list[BatchMeta]] = []
        last: dict[int, int] = {}
        for i, groups in enumerate(flushes):
            begin, end = start + 10 * i, start + 10 * (i + 1)
            inside = tuple(sorted(groups))
            self.metas.append([BatchMeta(g, last.get(g, 0), begin, end, epoch, inside) for g in inside])
            for g in inside:
                last[g] = end
            self.flushes.append((begin, end, inside))

    def node(self, have: set[tuple[int, int]], hint: int, start: int = 10) -> NodeState:
        """A node that has these (flush, group) batches; only what no hole precedes counts."""
        scls: dict[int, int] = {}
        metas: list[BatchMeta] = []
        for i, batches in enumerate(self.metas):
            for meta in batches:
                if (i, meta.group) in have and meta.prev == scls.get(meta.group, 0):
                    scls[meta.group] = meta.end
                    if meta.end > hint:
                        metas.append(meta)
        return NodeState(0, [], hint, scls, metas)


@settings(max_examples=200, deadline=None)
@given(
    flushes=st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=1, max_size=8),
    seed=st.integers(0, 1 << 30),
    loss=st.floats(0, 0.7),
)
def test_every_read_quorum_keeps_what_was_acknowledged(flushes: list[set[int]], seed: int, loss: float) -> None:
    chance = random.Random(seed)
    log = Log(flushes)
    have = [{(i, g) for i, groups in enumerate(flushes) for g in groups if chance.random() > loss} for _ in range(6)]
    whole = [log.node(h, 10) for h in have]

    def acknowledged(i: int) -> bool:
        _, end, groups = log.flushes[i]
        return all(sum(node.scls.get(g, 0) >= end for node in whole) >= 4 for g in groups)

    durable = 10
    for i, (_, end, _) in enumerate(log.flushes):
        if not acknowledged(i):
            break
        durable = end
    # A hint is never above what was durable.
    nodes = [log.node(h, chance.choice([10, durable, (10 + durable) // 20 * 10])) for h in have]
    for quorum in itertools.combinations(nodes, 3):
        decision = decide(quorum, 2, LIMIT)
        assert decision.vdl >= durable
        assert decision.vdl in {10, *(end for _, end, _ in log.flushes)}
        for i, (_, end, groups) in enumerate(log.flushes):
            if end <= decision.vdl:
                for g in groups:
                    assert any(node.scls.get(g, 0) >= end for node in quorum), f"flush {i} is kept but nowhere"
        for group, tail in decision.tails.items():
            ends = [end for _, end, groups in log.flushes if group in groups and end <= decision.vdl]
            assert tail == (ends[-1] if ends else 0) or decision.vdl == 10
        assert decision.voids[-1] == (2, decision.vdl, decision.vdl + LIMIT)


def test_an_idle_group_does_not_hold_recovery_back() -> None:
    log = Log([{0}, {1}, {1}, {1}])
    everything = {(i, g) for i, (_, _, groups) in enumerate(log.flushes) for g in groups}
    nodes = [log.node(everything, 10) for _ in range(3)]
    assert decide(nodes, 2, LIMIT).vdl == 50
    assert decide(nodes, 2, LIMIT).tails == {0: 20, 1: 50}


def test_a_flush_of_two_groups_counts_only_whole() -> None:
    log = Log([{0, 1}, {0, 1}])
    full = log.node({(0, 0), (0, 1), (1, 0)}, 10)
    assert decide([full, full, full], 2, LIMIT).vdl == 20


def test_a_node_that_missed_the_last_recovery_brings_nothing_void_back() -> None:
    log = Log([{0}, {0}, {0}])
    old = log.node({(0, 0), (1, 0), (2, 0)}, 10)
    new = log.node({(0, 0)}, 20)
    new.voids_epoch, new.voids = 2, [(2, 20, 1020)]
    decision = decide([old, new, new], 3, LIMIT)
    assert decision.vdl == 1020
    assert decision.tails == {0: 20}
    # The two ranges meet, and so are one.
    assert decision.voids == [(3, 20, 2020)]


def test_the_chain_goes_on_behind_a_void_range() -> None:
    first = Log([{0}])
    second = Log([{0}, {0}], epoch=2, start=1020)
    metas = [*first.metas[0], *[m for batch in second.metas for m in batch]]
    metas[1] = BatchMeta(0, 20, 1020, 1030, 2, (0,))
    node = NodeState(2, [(2, 20, 1020)], 10, {0: 1040}, metas)
    assert decide([node, node, node], 3, LIMIT).vdl == 1040


def test_a_hint_from_inside_a_void_range_does_not_end_the_chain() -> None:
    log = Log([{0}], epoch=3, start=2020)
    # Epoch 2 recovered at 20 and began at 1020, epoch 3 found nothing more and began at 2020; this node knows only what 2 told it.
    node = NodeState(3, [(3, 20, 2020)], 1020, {0: 2030}, [BatchMeta(0, 20, 2020, 2030, 3, (0,))])
    assert log.flushes[0][:2] == (2020, 2030)
    assert decide([node, node, node], 4, LIMIT).vdl == 2030


def test_a_range_of_a_recovery_that_never_opened_is_replaced() -> None:
    # Recovery 2 saw a flush up to 30 that one node only had, and died; this quorum has the flush before it.
    log = Log([{0}, {0}])
    node = log.node({(0, 0)}, 10)
    node.voids_epoch, node.voids = 2, [(2, 30, 1030)]
    decision = decide([node, node, node], 3, LIMIT)
    assert (decision.vdl, decision.start, decision.voids) == (20, 1020, [(3, 20, 1020)])


def test_a_new_volume_begins_at_zero() -> None:
    empty = NodeState(0, [], 0, {}, [])
    decision = decide([empty] * 3, 1, LIMIT)
    assert (decision.vdl, decision.start, decision.voids) == (0, 0, [(1, 0, 0)])
    again = NodeState(1, [(1, 0, 0)], 0, {}, [])
    assert decide([again] * 3, 2, LIMIT).start == 0


def test_a_node_with_a_new_disk_does_not_count_in_a_recovery_read() -> None:
    full = {"complete": True, "voids_epoch": 3}
    blank = {"complete": False, "voids_epoch": 0}
    filling = {"complete": False, "voids_epoch": 3}
    assert enough([full] * 4, 6, 4)
    assert not enough([full] * 3 + [blank], 6, 4)
    assert not enough([full] * 3 + [filling] * 2, 6, 4)
    assert enough([full] * 4 + [filling], 6, 4)
    # Nobody else is there to be waited for: what three have is all that is left.
    assert enough([full] * 3 + [blank] * 3, 6, 4)
    # A new volume.
    assert enough([blank] * 4, 6, 4)
    assert not enough([blank] * 3, 6, 4)
    # A first recovery that died half-way.
    assert not enough([blank] * 4 + [full], 6, 4)
    assert enough([blank] * 5 + [full], 6, 4)
