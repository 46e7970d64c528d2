"""A storage node's background work, which yields to the foreground: images, layer files, gossip, trimming. `WORK` lists all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from sixfold.kernel import _kernel
from sixfold.pagestore import manifest
from sixfold.pagestore.layers import Layers
from sixfold.pagestore.repair import Repair
from sixfold.pagestore.scrub import Scrub
from sixfold.pagestore.volume import NodeVolume
from sixfold.wal.rpc import RemoteError, Rpc, dial
from sixfold.wal.runtime import ConnectionLost

if TYPE_CHECKING:
    from sixfold.pagestore.node import StorageNode

_TICK_SECONDS = 0.05
_IMAGES_PER_TURN = 8
_IMAGES_PER_TICK = 256
# While more than so many bytes come in between two ticks, only chains of so many records get images: much of what would be made is
# out of date before it is read.
_BUSY_BYTES = 512 << 10
_BUSY_RECORDS = 2000
_GOSSIP_BYTES = 2 << 20
_GROUPS_PER_PAUSE = 200
# PostgreSQL looks for its lock file once a minute.
_WATCH_SECONDS = 1.0
# Acknowledgements wait while memory is this many times over its bound and a layer is being written that makes room, but no longer than
# so: the quorum absorbs one slow node, and six of them slow the writer down, so that memory and chains stay bounded. Without a layer
# under way they don't wait: what is in memory then becomes durable for the whole volume, and so fit for a layer, by them only.
_HOLD_FACTOR = 2
_HOLD_SECONDS_MAX = 1.0


class Background:
    """Owned by one node; started and stopped with it."""

    def __init__(self, node: StorageNode) -> None:
        self._node = node
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._links: dict[str, Rpc] = {}
        self.layers = Layers(node)
        self.repair = Repair(node)
        self.scrub = Scrub(node)

    def start(self) -> None:
        """Begin to work."""
        node = self._node
        for work in WORK:
            self._tasks[work.name] = node.runtime.spawn(work.run(self), f"{node.config.name} {work.name}")

    def stop(self) -> None:
        """Stop wherever it is."""
        for task in self._tasks.values():
            task.cancel()
        for link in self._links.values():
            link.connection.abort()
        self._links.clear()

    def failures(self) -> dict[str, str]:
        """By name: what work has met and will try again, and what has ended other work for good."""
        found: dict[str, BaseException | None] = {}
        for work in WORK:
            task = self._tasks.get(work.name)
            ended = task is not None and task.done() and not task.cancelled()
            found[work.name] = task.exception() if task is not None and ended else work.failure(self)
        return {name: str(error) or type(error).__name__ for name, error in found.items() if error is not None}

    def limit_memory(self, freezing: bool) -> None:
        """A layer is begun, or over."""
        limit = self._node.config.memory_bytes * _HOLD_FACTOR
        self._node.journal.intake.hold_above(limit if freezing else None)

    def hold(self) -> None:
        """Acknowledgements wait from now on."""
        self._node.runtime.clock.call_later(_HOLD_SECONDS_MAX, self._release, True)

    def _release(self, force: bool = False) -> None:
        for volume, message in self._node.journal.intake.release(force):
            self._node.tell(volume, message)

    async def _watch(self) -> None:
        """Open files outlive their folder, and nobody would notice before the next start."""
        while True:
            await self._node.runtime.clock.sleep(_WATCH_SECONDS)
            if manifest.is_gone(self._node.disk):
                self._node.lose()

    # -- images and layers ---------------------------------------------------------------------------------------

    async def _work(self) -> None:
        clock = self._node.runtime.clock
        before: dict[int, int] = {}
        while True:
            await clock.sleep(_TICK_SECONDS)
            for number, volume in list(self._node.volumes.items()):
                busy = volume.store.memory > before.get(number, 0) + _BUSY_BYTES
                while volume.store.memory > self._node.config.memory_bytes:
                    if not await self.layers.freeze(volume):
                        break
                    self._release()
                    await self.trim()
                await self.images(volume, _BUSY_RECORDS if busy else 0)
                before[number] = volume.store.memory
            self._release()

    async def _merge(self) -> None:
        clock = self._node.runtime.clock
        while True:
            await clock.sleep(_TICK_SECONDS)
            for volume in list(self._node.volumes.values()):
                while await self.layers.merge(volume):
                    await clock.sleep(0)

    async def images(self, volume: NodeVolume, least: int) -> None:
        """Images of pages that have `least` records or more behind their last one, some at a time."""
        for turn in range(_IMAGES_PER_TICK // _IMAGES_PER_TURN):
            if turn:
                await self._node.runtime.clock.sleep(0)
            for _ in range(_IMAGES_PER_TURN):
                wanted = volume.store.next_wanted(least)
                if wanted is None:
                    return
                page, lsn = wanted
                # Its layers have long left the system's cache, and the disk may be busy.
                await volume.read_aside(self._node.runtime, [(page, 0)], lsn, b"", False)

    async def freeze(self) -> None:
        """Write everything durable to layers now, so that the next start has little to read."""
        for volume in list(self._node.volumes.values()):
            await self.layers.freeze(volume)
        await self.trim()

    async def trim(self) -> None:
        """Remove journal files that layers cover and that no peer lacks; lagging peers are waited for up to a bound."""
        node = self._node
        keep_for_peers = node.journal.size <= node.config.journal_bytes

        def may_go(number: int, group: int, end: int) -> bool:
            volume = node.volumes.get(number)
            if volume is None:
                return True
            if volume.store.frozen(group) < end:
                return False
            if not keep_for_peers:
                return True
            return all(volume.peers.get(peer, {}).get(group, 0) >= end for peer in node.config.peers)

        try:
            await node.journal.trim(may_go)
        except OSError as error:
            self.layers.failure = error

    # -- gossip --------------------------------------------------------------------------------------------------

    async def _gossip(self) -> None:
        node = self._node
        while True:
            # A round costs as much as there are segments: with many, and nothing missing, it is rarer.
            groups = sum(len(volume.durable_scls()) for volume in node.volumes.values())
            whole = not any(volume.store.holes() or not volume.complete for volume in node.volumes.values())
            pause = node.config.gossip_seconds * (1 + groups / _GROUPS_PER_PAUSE * whole)
            await node.runtime.clock.sleep(pause * (0.5 + node.runtime.random.random()))
            if not node.config.peers:
                return
            await self.trim()
            peer = node.runtime.random.choice(node.config.peers)
            for volume in list(node.volumes.values()):
                await self._ask(peer, volume)
                node.filled(volume)

    async def heal(self, volume: NodeVolume) -> None:
        """Ask every peer now, until none has more."""
        await asyncio.gather(*(self._ask(peer, volume) for peer in self._node.config.peers))

    async def link(self, peer: str) -> Rpc:
        """A connection to a peer, kept. ConnectionLost when it is away."""
        link = self._links.get(peer)
        if link is None or link.connection.closed:
            link = await dial(self._node.runtime, peer, timeout=2.0)
            self._links[peer] = link
        return link

    async def _ask(self, peer: str, volume: NodeVolume) -> None:
        """Tell a peer what there is here; take what it has beyond that."""
        try:
            link = await self.link(peer)
            while True:
                question = {
                    "volume": volume.state.volume,
                    "from": self._node.config.address,
                    "scls": volume.store.scls(),
                    "durable": volume.durable_scls(),
                }
                answer = await link.call("gossip", question, timeout=5.0)
                if not self._take(peer, volume, answer):
                    # More is missing than journals have: only layer files can help.
                    if answer["gone"] and not await self.repair.run(volume, link):
                        return
                    if not answer["gone"]:
                        return
        except (ConnectionLost, RemoteError, OSError):
            return  # a peer that is away is asked again another time

    def _take(self, peer: str, volume: NodeVolume, answer: dict[str, Any]) -> bool:
        """Learn from a peer's answer. True: it gave something new and may have more."""
        store = volume.store
        voids = [(epoch, start, end) for epoch, start, end in answer["voids"]]
        tails = self._tails(peer, volume, answer)
        newer = answer["voids_epoch"] > store.voids_epoch and answer["voids_epoch"] >= store.epoch
        if tails is not None and newer and answer["owner"]:
            self._node.install_voids(volume, answer["voids_epoch"], answer["owner"], voids, tails)
        elif tails is not None and volume.state.doubtful and store.voids_epoch:
            self._node.believe(volume, tails)
        volume.peers[peer] = dict(answer["durable"])
        news = False
        for batch in answer["batches"]:
            try:
                verdict = self._node.journal.append(batch)
            except _kernel.KernelError:
                continue  # damaged on its way, or there: another peer will do
            news = news or verdict in ("joined", "held")
        return news

    def _tails(self, peer: str, volume: NodeVolume, answer: dict[str, Any]) -> list[tuple[int, int]] | None:
        """Up to where a node that begins empty, or with a damaged journal, is to be filled: what it has lost it may have acknowledged, and
        any one peer may have missed that. So many must have told that every write quorum with this node in it has one of them. None: not yet."""
        if volume.store.voids_epoch and not volume.state.doubtful:
            return []
        if answer["complete"]:
            volume.told[peer] = dict(answer["durable"])
        if 2 * len(volume.told) <= len(self._node.config.peers):
            return None
        tails: dict[int, int] = {}
        for scls in volume.told.values():
            for group, scl in scls.items():
                tails[group] = max(tails.get(group, 0), scl)
        return sorted(tails.items())

    def answer_gossip(self, volume: NodeVolume, question: dict[str, Any]) -> dict[str, Any]:
        """What this node has beyond what the asker says it has."""
        store = volume.store
        theirs = dict(question["scls"])
        # What a peer has in memory only it may lose again: its journal decides what may be trimmed here.
        volume.peers[question["from"]] = dict(question["durable"])
        batches: list[bytes] = []
        size = 0
        older: dict[int, int] = {}
        for group, scl in store.scls():
            have = theirs.get(group, 0)
            if have >= scl or size >= _GOSSIP_BYTES:
                continue
            found = store.batches_after(group, have, _GOSSIP_BYTES - size)
            if found is None:
                older[group] = have
                continue
            batches += found
            size += sum(map(len, found))
        gone: set[int] = set()
        if older and size < _GOSSIP_BYTES:
            found = self._node.journal.scan_after(volume.state.volume, older, _GOSSIP_BYTES - size)
            # Group and prev at their places in the batch's header.
            begins = {(int.from_bytes(b[20:24], "little"), int.from_bytes(b[24:32], "little")) for b in found}
            gone = {group for group, have in older.items() if (group, have) not in begins}
            batches += found
        return {
            "voids_epoch": store.voids_epoch,
            # Only the recovery of the current epoch vouches for its list.
            "owner": volume.state.owner if store.epoch == store.voids_epoch else "",
            "voids": store.voids,
            "durable": volume.durable_scls(),
            "complete": volume.complete,
            "batches": batches,
            # Groups of which this node has more, but no batch that goes on where the asker stands.
            "gone": sorted(gone),
        }


class Work(NamedTuple):
    """One kind of background work. It begins when the node has recovered and listens, and runs until it is cancelled, which may
    happen at every `await`: the next start must cope with what it then leaves."""

    name: str
    run: Callable[[Background], Coroutine[Any, Any, None]]
    # An error that it goes on after, for `status`, until it has succeeded. Other errors end it: `status` shows those too.
    failure: Callable[[Background], OSError | None] = lambda background: None


WORK = (
    Work("layers", Background._work, failure=lambda background: background.layers.failure),
    Work("merge", Background._merge),
    Work("gossip", Background._gossip),
    Work("scrub", lambda background: background.scrub.run()),
    Work("folder", Background._watch),
)
