"""Scripts of quorum, recovery, segments and hedged reads: the real decisions over members that a script moves by hand.

Members are a to f. `flush A..B [groups …]` sends; `ack MEMBERS [group …] LSN` is what members acknowledge. Segments take real batches:
`write` makes one, `give MEMBERS N` delivers it. Reads run in virtual time.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

from sixfold.kernel._kernel import QuorumTracker, SegmentStore, Volume
from sixfold.pagestore import wire
from sixfold.pagestore.reader import Answers, PageReader, ReadFailed
from sixfold.wal.recovery import BatchMeta, NodeState, decide
from sixfold.wal.volume import TOPOLOGIES, local_members, make_config
from tests.golden.runner import Run
from tests.sim.world import World

NAMES = "abcdef"
LIMIT = 1000
ACK = struct.Struct("<IQ")


def span(text: str) -> tuple[int, int]:
    start, _, end = text.partition("..")
    return int(start), int(end)


def dispatch(commands: Any) -> Run:
    """A script's command is a method's name and its words."""

    def run(command: str) -> str:
        name, *words = command.split()
        method: Callable[..., str] = getattr(commands, name)
        return method(*words)

    return run


class Tracker:
    """The writer's side: what is durable."""

    def __init__(self) -> None:
        self.config = make_config("6x3", local_members(TOPOLOGIES["6x3"]))
        self.tracker = QuorumTracker(self.config.clauses, 6, 0)
        self.groups: set[int] = {0}

    def flush(self, where: str, *groups: str) -> str:
        start, end = span(where)
        inside = [int(group) for group in groups] or [0]
        self.groups |= set(inside)
        self.tracker.flush(start, end, inside)
        return self.state()

    def ack(self, members: str, *place: str) -> str:
        group, scl = (int(place[0]), int(place[1])) if len(place) == 2 else (0, int(place[0]))
        for member in members:
            self.tracker.ack(NAMES.index(member), ACK.pack(group, scl))
        return self.state()

    def says(self, member: str, scl: str) -> str:
        """A member connects again."""
        self.tracker.set_scl(NAMES.index(member), 0, int(scl))
        return self.state()

    def state(self) -> str:
        pgcls = " ".join(f"PGCL({group}) {self.tracker.pgcl(group)}" for group in sorted(self.groups))
        return f"{pgcls} VDL {self.tracker.vcl}"


class Recovery:
    """What a new writer decides from the answers to its fence."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.voids: list[tuple[int, int, int]] = []
        self.voids_epoch = 0

    def node(self, name: str, *words: str) -> str:
        """`node a vdl 20 epoch 1 20..30 30..40:0,1`: batches of group 0 above VDL, or of all groups named."""
        vdl, epoch = int(words[1]), int(words[3])
        scls: dict[int, int] = {0: vdl, 1: vdl}
        metas = []
        for word in words[4:]:
            where, _, inside = word.partition(":")
            only, _, of = inside.partition("/")
            start, end = span(where)
            groups = tuple(int(group) for group in (of or only or "0").split(","))
            for group in (int(group) for group in (only or "0").split(",")):
                metas.append(BatchMeta(group, scls[group], start, end, epoch, groups))
                scls[group] = end
        self.nodes[name] = NodeState(self.voids_epoch, list(self.voids), vdl, scls, metas)
        return f"{name}: SCL(0) {scls[0]} SCL(1) {scls[1]}"

    def recover(self, members: str, _epoch: str, epoch: str) -> str:
        found = decide([self.nodes[name] for name in members], int(epoch), LIMIT)
        self.voids, self.voids_epoch = found.voids, int(epoch)
        voids = ", ".join(f"({start}, {end}] below epoch {above}" for above, start, end in found.voids)
        tails = ", ".join(f"group {group} ends at {end}" for group, end in sorted(found.tails.items()))
        return f"VDL {found.vdl}, goes on at {found.start}; {tails}\nvoid: {voids}"


class Segments:
    """Six segments of one group, and batches of writers."""

    def __init__(self) -> None:
        self.stores = {name: SegmentStore(1, 1 << 20) for name in NAMES}
        self.batches: list[bytes] = []
        self.volume = Volume.create(volume_id=1, epoch=1, cache_bytes=1 << 20)
        self.made = 0
        for store in self.stores.values():
            store.install_voids(1, [])
            store.install_epoch(1)

    def write(self) -> str:
        if self.batches:
            self.made += 1
            self.volume.set_root(40, self.made)
        flush = self.volume.take_flush()
        assert flush is not None
        start, end, batches = flush
        self.batches.append(batches[0][1])
        self.volume.set_vdl(end)
        return f"batch {len(self.batches) - 1} of epoch {self.volume.epoch}: {start}..{end}"

    def writer(self, _epoch: str, epoch: str, _at: str, at: str) -> str:
        """The next writer goes on at an LSN."""
        tail = int(at)
        self.volume = Volume.open(volume_id=1, epoch=int(epoch), cache_bytes=1 << 20, vdl=tail, tail=tail)
        self.volume.set_prev(0, max(store.scl(0) for store in self.stores.values()))
        self.volume.fetch_begin(0)
        page = Volume.create(volume_id=1, epoch=1, cache_bytes=1 << 20).page(0)
        assert page is not None
        self.volume.install_page(0, page)
        return f"epoch {epoch} goes on at {at}"

    def give(self, members: str, *numbers: str) -> str:
        """From a writer."""
        return self._take(members, numbers, fresh=True)

    def gossip(self, source: str, members: str) -> str:
        """`source` tells the members what they lack."""
        lines = []
        for name in members:
            scl = self.stores[name].scl(0)
            found = self.stores[source].batches_after(0, scl, 1 << 20) or []
            verdicts = [self.stores[name].accept(batch, False) for batch in found]
            lines.append(f"{name}: {', '.join(verdicts) or 'nothing new'}; SCL {self.stores[name].scl(0)}")
        return "\n".join(lines)

    def fence(self, members: str, _epoch: str, epoch: str) -> str:
        taken = [
            f"{name}: {'fenced' if self.stores[name].install_epoch(int(epoch)) else 'refused'}" for name in members
        ]
        return "\n".join(taken)

    def void(self, members: str, where: str, _epoch: str, epoch: str) -> str:
        start, end = span(where)
        for name in members:
            self.stores[name].install_voids(int(epoch), [(int(epoch), start, end)])
        return self.scls()

    def scls(self) -> str:
        return " ".join(f"{name} {store.scl(0)}" for name, store in self.stores.items())

    def _take(self, members: str, numbers: Sequence[str], *, fresh: bool) -> str:
        lines = []
        for name in members:
            verdicts = [self.stores[name].accept(self.batches[int(number)], fresh) for number in numbers]
            lines.append(f"{name}: {', '.join(verdicts)}; SCL {self.stores[name].scl(0)}")
        return "\n".join(lines)


class Reads:
    """Page reads: who is asked, and when."""

    def __init__(self) -> None:
        self.world = World(1)
        self.asked: list[str] = []
        self.answers: dict[str, tuple[float, str]] = dict.fromkeys(NAMES, (0.001, "page"))
        self.scls = dict.fromkeys(NAMES, 100)
        runtime = self.world.host("writer").boot()
        runtime.random = random.Random(1)
        config = make_config("6x3", local_members(TOPOLOGIES["6x3"]))
        self.reader = PageReader(runtime, config, tail=lambda _: 100, scls=lambda _: [*self.scls.values()], timeout=1)
        for name, source in zip(NAMES, self.reader.sources, strict=True):
            source.latency = 0.001 + 0.0001 * NAMES.index(name)
            source.ask = lambda *call, name=name: self._ask(name, call[-1])  # type: ignore[method-assign, misc]

    def _ask(self, name: str, done: Callable[[Answers], None]) -> None:
        clock = self.reader.runtime.clock
        self.asked.append(f"{clock.monotonic() * 1000 - self.began:.0f} ms: {name} is asked")
        seconds, what = self.answers[name]
        found: dict[str, Answers] = {
            "page": [memoryview(name.encode())],
            "damaged": [(wire.FAILED, 0)],
            "behind": [(wire.BEHIND, 50)],
            "gone": [],
        }
        clock.call_later(seconds, done, found[what])

    def member(self, name: str, _after: str, ms: str, what: str) -> str:
        self.answers[name] = (float(ms) / 1000, what)
        return f"{name}: {what} after {ms} ms"

    def has(self, name: str, scl: str) -> str:
        self.scls[name] = int(scl)
        return f"{name} has up to {scl}, 100 is needed"

    def read(self) -> str:
        self.asked = []
        self.began = self.reader.runtime.clock.monotonic() * 1000

        async def ask() -> str:
            try:
                found = bytes((await self.reader.read([7], 100))[0]).decode()
            except ReadFailed as error:
                return str(error)
            now = self.reader.runtime.clock.monotonic() * 1000 - self.began
            return f"{now:.0f} ms: the page of {found}"

        answer = self.world.loop.run_until_complete(ask())
        return "\n".join([*self.asked[:8], answer])


def tracker() -> Run:
    return dispatch(Tracker())


def recovery() -> Run:
    return dispatch(Recovery())


def segments() -> Run:
    return dispatch(Segments())


def reads() -> Run:
    return dispatch(Reads())
