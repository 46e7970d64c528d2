"""Recovery of a volume: pure decisions from what a read quorum has, and the driver that carries them out.

1. fence:  epoch e on a write quorum; each answers with its SCLs and the batches above its known VDL.
2. decide: follow the flushes from the highest known VDL on; a flush counts when each of its groups has it completely somewhere.
3. void:   everything above is void, durably, on a write quorum, before anything may be written above it.
4. heal:   a write quorum of every group has all that counts; then the volume is open, its VDL being the void range's end.

The work depends on what was in flight when the writer died, never on the length of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sixfold.kernel import _kernel
from sixfold.wal.logs import Logger
from sixfold.wal.rpc import RemoteError, Rpc, dial
from sixfold.wal.runtime import ConnectionLost, Runtime
from sixfold.wal.volume import VolumeConfig

log = Logger("sixfold.wal")

Void = tuple[int, int, int]
# Whoever waits longer for storage nodes says so, and again after each such time.
_SAY_SECONDS = 3.0
# Healing that brings nothing new for this long begins again with the decision.
_STALL_SECONDS = 3.0


@dataclass(frozen=True)
class BatchMeta:
    """One batch as a segment reports it."""

    group: int
    prev: int
    start: int
    end: int
    epoch: int
    groups: tuple[int, ...]


@dataclass
class NodeState:
    """What one storage node answered to the fence."""

    voids_epoch: int
    voids: list[Void]
    vdl: int
    scls: dict[int, int]
    metas: list[BatchMeta]
    # False: the node may have had more than it has now, and does not count.
    complete: bool = True

    @staticmethod
    def parse(answer: dict[str, Any]) -> NodeState:
        """From the wire."""
        metas = [
            BatchMeta(g, prev, start, end, epoch, tuple(groups))
            for g, prev, start, end, epoch, groups in answer["metas"]
        ]
        voids = [(epoch, start, end) for epoch, start, end in answer["voids"]]
        scls = dict(answer["scls"])
        return NodeState(answer["voids_epoch"], voids, answer["vdl"], scls, metas, answer["complete"])


@dataclass
class Decision:
    """Where the volume ends, and from where it goes on."""

    # Everything at or below it is kept.
    vdl: int
    # Above it is void, up to here; the next writer begins here.
    start: int
    voids: list[Void]
    # Each group's last batch: (group → its end).
    tails: dict[int, int] = field(default_factory=dict)


def decide(states: Sequence[NodeState], epoch: int, allocation_limit: int) -> Decision:
    """From the answers of a read quorum (or more)."""
    newest = max(states, key=lambda state: state.voids_epoch)
    voids = newest.voids

    def is_void(meta: BatchMeta) -> bool:
        return any(meta.epoch < void_epoch and meta.end > start for void_epoch, start, _ in voids)

    # A node that missed the last recovery still reports batches which that one declared void.
    have: list[dict[int, int]] = []
    flushes: dict[int, BatchMeta] = {}
    for state in states:
        scls = dict(state.scls)
        for meta in state.metas:
            if is_void(meta):
                scls[meta.group] = min(scls.get(meta.group, 0), meta.prev)
            else:
                flushes[meta.start] = meta
        have.append(scls)

    def complete(group: int, end: int) -> bool:
        return any(scls.get(group, 0) >= end for scls in have)

    vdl = max(state.vdl for state in states)
    while True:
        flush = flushes.get(vdl)
        if flush is not None and all(complete(group, flush.end) for group in flush.groups):
            vdl = flush.end
            continue
        # A node may have been told of a VDL inside a range that later recoveries made longer.
        beyond = max((end for _, start, end in voids if start <= vdl < end), default=vdl)
        if beyond == vdl:
            break
        vdl = beyond
    # A volume that nothing was ever written to begins at 0; epochs alone tell its batches from those of failed attempts.
    start = vdl + allocation_limit if vdl else 0
    # Ranges above were left by recoveries that never opened, and had seen more than this one: the new range takes their place.
    below = [void for void in voids if void[1] < vdl]
    return Decision(vdl, start, _add_void(below, (epoch, vdl, start)), _tails(states, have, vdl))


def _add_void(voids: list[Void], new: Void) -> list[Void]:
    """Ranges that meet become one: the writer between them wrote nothing that counts."""
    if voids and voids[-1][2] == new[1]:
        return [*voids[:-1], (new[0], voids[-1][1], new[2])]
    return [*voids, new]


def _tails(states: Sequence[NodeState], have: Sequence[dict[int, int]], vdl: int) -> dict[int, int]:
    tails: dict[int, int] = {}
    for state, scls in zip(states, have, strict=True):
        kept = dict(scls)
        for meta in state.metas:
            if meta.end > vdl and meta.group in kept:
                kept[meta.group] = min(kept[meta.group], meta.prev)
        for group, end in kept.items():
            tails[group] = max(tails.get(group, 0), end)
    return tails


def enough(answers: Sequence[Any], members: int, need: int) -> bool:
    """Whether these answers to the fence make a quorum. A node that lost its disk counts as one that is away, except where nobody has
    ever been part of the volume (it is new), and where nobody is left to wait for."""
    complete = sum(bool(answer["complete"]) for answer in answers)
    blank = all(answer["voids_epoch"] == 0 for answer in answers)
    return complete >= need or (blank and len(answers) >= need) or len(answers) == members


class RecoveryFailed(Exception):
    """No quorum could be reached in time, or another writer was faster (`fenced`)."""

    def __init__(self, message: str, *, fenced: bool = False) -> None:
        super().__init__(message)
        self.fenced = fenced


@dataclass
class Recovered:
    """A volume that is open for this writer."""

    epoch: int
    owner: str
    # Durable up to here, and to be continued from here. 0 is a new volume.
    vdl: int
    # Where the last writer's durable redo ended. 0 is a new volume.
    end: int
    voids: list[Void]
    tails: dict[int, int]
    # What each member had at the end: index → group → SCL.
    scls: dict[int, dict[int, int]]


class _Stalled(Exception):
    """Nobody gives what a quorum still lacks."""


class Recovery:
    """One attempt to become the writer of a volume."""

    def __init__(self, runtime: Runtime, config: VolumeConfig, *, owner: str = "", timeout: float = 30.0) -> None:
        self._runtime = runtime
        self._config = config
        self._owner = owner or f"{runtime.random.getrandbits(128):032x}"
        self._timeout = timeout
        self._links: dict[int, Rpc] = {}

    async def run(self, epoch: int | None = None, *, create: bool = False) -> Recovered:
        """Recover with this epoch, or one above all that are known. `create` makes the volume where it is absent."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._run(epoch, create)
        except TimeoutError as error:
            raise RecoveryFailed("no write quorum of storage nodes could be reached in time") from error
        finally:
            for link in self._links.values():
                link.close()

    async def _run(self, epoch: int | None, create: bool) -> Recovered:
        if create:
            params = {"volume": self._config.volume, "pages_per_group": self._config.pages_per_group}
            await self._quorum(lambda _, link: link.call("create", params))
        self._highest = (epoch or 1) - 1
        while True:
            wanted = epoch or self._highest + 1
            try:
                return await self._attempt(wanted)
            except RecoveryFailed as error:
                if not error.fenced or epoch is not None:
                    raise
            except _Stalled:
                # Whoever had the newest batches lost them meanwhile: decide again, from what there is now.
                if epoch is not None:
                    raise RecoveryFailed("what a read quorum had is gone from it") from None
                self._highest = max(self._highest, wanted)

    async def _attempt(self, epoch: int) -> Recovered:
        answers = await self._fence(epoch)
        states = [NodeState.parse(answer) for answer in answers.values()]
        decision = decide(states, epoch, self._config.allocation_limit)
        scls = await self._voids(epoch, decision)
        scls = await self._heal(epoch, decision, scls)
        return Recovered(
            epoch, self._owner, decision.start, decision.voids[-1][1], decision.voids, decision.tails, scls
        )

    async def _fence(self, epoch: int) -> dict[int, Any]:
        params = {"volume": self._config.volume, "epoch": epoch, "owner": self._owner}
        config = self._config
        need = max(config.write_quorum, config.read_quorum)
        return await self._quorum(
            lambda _, link: link.call("fence", params),
            lambda answers: enough(answers, len(config.members), need),
            # One that is being filled may be whole in a moment.
            lambda answer: bool(answer["complete"]),
        )

    async def _voids(self, epoch: int, decision: Decision) -> dict[int, dict[int, int]]:
        params = {
            "volume": self._config.volume,
            "epoch": epoch,
            "owner": self._owner,
            "voids": decision.voids,
            "tails": sorted(decision.tails.items()),
        }
        answers = await self._quorum(lambda _, link: link.call("voids", params))
        return {member: dict(scls) for member, scls in answers.items()}

    async def _heal(self, epoch: int, decision: Decision, scls: dict[int, dict[int, int]]) -> dict[int, dict[int, int]]:
        """Until a write quorum has every group up to its tail."""
        config = self._config
        clock = self._runtime.clock
        progress = (0, clock.monotonic())
        while True:
            total = sum(sum(have.values()) for have in scls.values())
            if total > progress[0]:
                progress = (total, clock.monotonic())
            elif clock.monotonic() - progress[1] > _STALL_SECONDS:
                raise _Stalled
            short = {
                member
                for member, have in scls.items()
                if any(have.get(group, 0) < tail for group, tail in decision.tails.items())
            }
            if len(scls) - len(short) >= config.write_quorum:
                return scls
            answers = await self._quorum(partial(self._fill, epoch, short))
            scls = {**scls, **{member: dict(have) for member, have in answers.items()}}
            await self._runtime.clock.sleep(0.002)

    async def _fill(self, epoch: int, short: set[int], member: int, link: Rpc) -> Any:
        params = {"volume": self._config.volume, "epoch": epoch}
        return await link.call("heal" if member in short else "scls", params)

    async def _quorum(
        self,
        ask: Callable[[int, Rpc], Awaitable[Any]],
        is_enough: Callable[[Sequence[Any]], bool] | None = None,
        is_final: Callable[[Any], bool] = lambda answer: True,
    ) -> dict[int, Any]:
        """Ask all members, over and over, until a write quorum has answered, or `is_enough`. Who has not given a final answer is asked
        again. A refusal as stale ends it."""
        config = self._config
        if is_enough is None:

            def is_enough(answers: Sequence[Any]) -> bool:
                return len(answers) >= config.write_quorum

        answers: dict[int, Any] = {}
        arrived = asyncio.Event()
        refused: list[RemoteError] = []

        async def one(member: int) -> None:
            while member not in answers or not is_final(answers[member]):
                try:
                    answers[member] = await ask(member, await self._link(member))
                    if not is_final(answers[member]):
                        arrived.set()
                        await self._runtime.clock.sleep(0.05)
                except RemoteError as error:
                    if error.code == "stale":
                        refused.append(error)
                        arrived.set()
                        return
                    await self._runtime.clock.sleep(0.05)
                except ConnectionLost:
                    await self._runtime.clock.sleep(0.05)
            arrived.set()

        async def say() -> None:
            while True:
                await self._runtime.clock.sleep(_SAY_SECONDS)
                missing = [member.name for number, member in enumerate(config.members) if number not in answers]
                log.warning("waiting for storage nodes", need=config.write_quorum, missing=missing)

        tasks = [self._runtime.spawn(one(member), f"recovery of {member}") for member in range(len(config.members))]
        tasks.append(self._runtime.spawn(say(), "recovery waits"))
        try:
            while not is_enough(list(answers.values())):
                await arrived.wait()
                arrived.clear()
                if refused:
                    self._highest = max(self._highest, *(int(error.data or 0) for error in refused))
                    raise RecoveryFailed(f"another writer was faster: {refused[0]}", fenced=True)
            # Whoever is about to answer saves work later.
            await self._runtime.clock.sleep(0)
            return dict(answers)
        finally:
            for task in tasks:
                task.cancel()

    async def _link(self, member: int) -> Rpc:
        link = self._links.get(member)
        if link is None or link.connection.closed:
            link = await dial(self._runtime, self._config.members[member].address, timeout=2.0)
            self._links[member] = link
        return link


def tracker(config: VolumeConfig, recovered: Recovered) -> _kernel.QuorumTracker:
    """The quorum tracker of a writer that begins here."""
    made = _kernel.QuorumTracker(config.clauses, len(config.members), recovered.vdl)
    for group, tail in recovered.tails.items():
        made.set_tail(group, tail)
    for member, scls in recovered.scls.items():
        for group, scl in scls.items():
            made.set_scl(member, group, scl)
    return made
