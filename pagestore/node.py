"""The storage node: takes batches, makes them durable, acknowledges SCLs, answers page reads, and heals by gossip.

The foreground is: accept, journal, fdatasync, acknowledge. Everything else is `background.py`'s and yields to it.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sixfold.kernel import _kernel
from sixfold.pagestore import manifest as manifests
from sixfold.pagestore import wire
from sixfold.pagestore.background import Background
from sixfold.pagestore.config import NodeConfig
from sixfold.pagestore.journal import FOLDER as JOURNAL
from sixfold.pagestore.journal import Journal
from sixfold.pagestore.manifest import Manifest, VolumeState
from sixfold.pagestore.volume import NodeVolume
from sixfold.wal.logs import Logger
from sixfold.wal.real import TcpConnection, hand_over
from sixfold.wal.rpc import RemoteError, Rpc
from sixfold.wal.runtime import Connection, Listener, Runtime

log = Logger("sixfold.pagestore")

# Reads of more pages than this wait behind the others, and are made in pieces of so many.
_FOREGROUND_PAGES = 8
_BULK_PAGES = 64
# A clean stop writes layers when the next start would otherwise read more than this.
_FREEZE_AT_STOP_BYTES = 4 << 20


class Client:
    """One connection to this node."""

    def __init__(self, node: StorageNode, connection: Connection) -> None:
        self.node = node
        self.rpc = Rpc(
            node.runtime, connection, handler=self.handle, on_raw=self.raw, on_close=partial(node.disconnected, self)
        )
        # Volumes whose writer this is, and the ticket that its acknowledgements are got with.
        self.writes: dict[int, int] = {}
        # Threads carry the log on what was this connection.
        self.linked = False

    async def handle(self, method: str, params: Any) -> Any:
        """A control request."""
        return await self.node.control(self, method, params)

    def raw(self, message: bytes) -> None:
        """A hot message."""
        kind = message[0]
        if kind in (66, 77):  # B, M
            self.node.batches(self, message)
        elif kind == 82:  # R
            self.node.read(self, message)
        elif kind == 74:  # J
            self.node.join(self, wire.JOIN.unpack(message)[1])
        elif kind == 72:  # H
            _, number, vdl, pgmrpl = wire.HINTS.unpack(message)
            volume = self.node.volumes.get(number)
            if volume is not None and volume.writer is self:
                volume.store.set_hints(vdl, pgmrpl)


class StorageNode:
    """A storage node on one folder. `start` recovers it; `stop` is clean, `crash` is not."""

    def __init__(self, config: NodeConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime
        self.disk = runtime.disk
        self.volumes: dict[int, NodeVolume] = {}
        self.manifest = Manifest(config.name)
        self._manifest_number = 0
        self.journal = Journal(runtime, runtime.disk, config.name)
        self.journal.on_acks = self._acknowledge
        self.journal.on_left = self._left
        self._tickets = itertools.count(1)
        # A dict for its order: runs must repeat.
        self.clients: dict[Client, None] = {}
        self.background = Background(self)
        self.journal.on_holding = self.background.hold
        self._listener: Listener | None = None
        self._bulk: deque[tuple[Client, int, NodeVolume, int, bool, list[tuple[int, int]], list[bytes]]] = deque()
        self._serving_bulk = False
        self.stopped = False
        # Called when its folder was removed and it has stopped.
        self.on_lost: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Recover from the folder, then listen. ManifestDamaged or OSError when it can't."""
        found = manifests.load(self.disk)
        if found is None:
            # Where a manifest is, the folders are durable.
            self.disk.mkdir("")
            self.disk.mkdir(JOURNAL)
            self.save_manifest()
        else:
            self.manifest, self._manifest_number = found
        for state in self.manifest.volumes:
            self.volumes[state.volume] = self._open_volume(state)
        if any(not state.voids_epoch for state in self.manifest.volumes) or not manifests.is_whole(self.disk):
            self.save_manifest()
        for payload in self.journal.recover():
            volume = self.volumes.get(int.from_bytes(payload[8:16], "little"))
            if volume is not None:
                volume.store.accept(payload, False)
        for number, volume in self.volumes.items():
            volume.all_durable()
            self.journal.intake.set_volume(number, volume.store)
        self._look_for_losses()
        self.journal.start()
        self.background.layers.sweep()
        self._listener = await self.runtime.net.serve(self.config.address, self._accept)
        self.background.start()

    def _look_for_losses(self) -> None:
        """Where entries of the journal are missing that had been acknowledged, this node counts for nothing until it is filled."""
        numbers = self.journal.numbers
        news = numbers.news(self.manifest.gaps)
        if not news:
            return
        self.manifest.gaps = numbers.gaps
        if any(map(numbers.was_durable, news)):
            log.error("the journal is damaged; what it has lost is filled in by its peers", missing=news)
            for volume in self.volumes.values():
                volume.state.doubtful = True
        self.save_manifest()

    def _open_volume(self, state: VolumeState) -> NodeVolume:
        """A volume whose layers can't be opened has lost its content here: it begins empty, like one on a new disk, remembers whom it
        fenced, and counts in no recovery until peers have filled it."""
        try:
            return NodeVolume(self.disk, state)
        except (_kernel.KernelError, OSError) as error:
            # A block that the disk can't give back is as good as rotten; anything else (no descriptors, no rights) passes.
            if isinstance(error, OSError) and error.errno not in (errno.EIO, errno.ENOENT):
                raise
            log.error("a layer file is damaged; this segment is filled from its peers", reason=str(error))
        state.layers, state.voids, state.voids_epoch, state.filling = [], [], 0, []
        return NodeVolume(self.disk, state)

    @property
    def address(self) -> str:
        """Where it listens, once started."""
        return self._listener.address if self._listener is not None else self.config.address

    async def stop(self) -> None:
        """Make durable what was accepted, then stop."""
        if self.journal.failure is None and not self.stopped:
            await self.journal.barrier()
            if sum(volume.store.memory for volume in self.volumes.values()) > _FREEZE_AT_STOP_BYTES:
                await self.background.freeze()
        self.crash()

    def crash(self) -> None:
        """Stop at once, as a killed process would."""
        self.stopped = True
        self.background.stop()
        if self._listener is not None:
            self._listener.close()
        self.journal.close()
        for client in list(self.clients):
            client.rpc.connection.abort()
        for volume in self.volumes.values():
            volume.close()

    def lose(self) -> None:
        """Its folder was removed: what it acknowledged from now on would be gone with the process, so it serves no more. Started again,
        it is a node whose disk was lost."""
        log.error("the folder of this storage node was removed; the node stops", node=self.config.name)
        self.crash()
        self.on_lost()

    def _accept(self, connection: Connection) -> None:
        client = Client(self, connection)
        self.clients[client] = None
        client.rpc.start()

    def disconnected(self, client: Client) -> None:
        """A connection is gone."""
        self.clients.pop(client, None)
        for number in client.writes:
            volume = self.volumes.get(number)
            if volume is not None and volume.writer is client:
                self._set_writer(volume, None)

    def save_manifest(self) -> None:
        """Write what volumes say of themselves."""
        self.manifest.volumes = [volume.state for volume in self.volumes.values()]
        self._manifest_number += 1
        manifests.save(self.disk, self.manifest, self._manifest_number)

    # -- foreground: batches -------------------------------------------------------------------------------------

    def batches(self, client: Client, message: bytes) -> None:
        """Batches from a writer."""
        if not self.stopped:
            for refusal in self.journal.intake.message(message):
                client.rpc.send(refusal)
            self.journal.wake()

    def _refuse(self, client: Client, volume: NodeVolume, reason: str) -> None:
        message = wire.REFUSED_HEAD.pack(b"X", volume.state.volume, volume.store.epoch) + reason.encode()
        if client.linked:
            self.tell(volume.state.volume, message)
        else:
            client.rpc.send(message)

    def _acknowledge(self, number: int, message: bytes) -> None:
        volume = self.volumes.get(number)
        if volume is None or volume.writer is None:
            return
        if volume.writer.linked and self.journal.lane is not None:
            # It was told before threads began to carry the log.
            self.journal.lane.tell(number, message)
        else:
            volume.writer.rpc.send(message)

    def tell(self, number: int, message: bytes) -> None:
        """Send acknowledgements to a volume's writer, if there is one."""
        if self.journal.lane is not None:
            self.journal.lane.tell(number, message)
        else:
            self._acknowledge(number, message)

    # -- foreground: reads ---------------------------------------------------------------------------------------

    def read(self, client: Client, message: bytes) -> None:
        """A page read: at once when small, else behind the others."""
        number, which, lsn, flags, pages = wire.parse_read(message)
        volume = self.volumes.get(which)
        if volume is None or self.stopped:
            failed = (b"\x03" + wire.NUMBER.pack(0)) * len(pages)
            client.rpc.send(wire.PAGES_HEAD.pack(b"P", number) + failed)
        elif flags & wire.BULK == 0 and len(pages) <= _FOREGROUND_PAGES:
            client.rpc.send(volume.read(pages, lsn, wire.PAGES_HEAD.pack(b"P", number)))
        else:
            self._bulk.append((client, number, volume, lsn, flags & wire.PACKED != 0, pages, []))
            if not self._serving_bulk:
                self._serving_bulk = True
                self.runtime.spawn(self._serve_bulk(), f"{self.config.name} reads")

    async def _serve_bulk(self) -> None:
        """One piece of one read at a time, in a worker thread: what is waited for goes by meanwhile."""
        try:
            while self._bulk and not self.stopped:
                client, number, volume, lsn, packed, pages, done = self._bulk.popleft()
                if client.rpc.connection.closed:
                    continue
                head = b"" if done else wire.PAGES_HEAD.pack(b"P", number)
                done.append(await volume.read_aside(self.runtime, pages[:_BULK_PAGES], lsn, head, packed))
                rest = pages[_BULK_PAGES:]
                if rest:
                    self._bulk.append((client, number, volume, lsn, packed, rest, done))
                else:
                    client.rpc.send(done[0] if len(done) == 1 else b"".join(done))
        finally:
            self._serving_bulk = False

    # -- control -------------------------------------------------------------------------------------------------

    async def control(self, client: Client, method: str, params: Any) -> Any:
        """Requests that are not hot: recovery, epochs, gossip, status."""
        if self.stopped:
            raise RemoteError("stopped", "this storage node is stopping")
        if method == "create":
            return self._create(**params)
        if method == "status":
            return self.status()
        volume = self.volumes.get(params["volume"])
        if volume is None:
            raise RemoteError("unknown volume", f"volume {params['volume']} is not on {self.config.name}")
        if method == "gossip":
            return self.background.answer_gossip(volume, params)
        if method == "fence":
            return await self._fence(volume, params["epoch"], params["owner"])
        if method == "voids":
            return await self._voids(volume, params)
        if method == "hello":
            return await self._hello(client, volume, params)
        if method == "layers":
            return await self.background.repair.offer(volume)
        if method == "fetch":
            return self.background.repair.fetch(volume, params["layer"], params["offset"], params["length"])
        if method in ("scls", "heal"):
            if method == "heal":
                await self.background.heal(volume)
            await self.journal.barrier()
            if volume.store.epoch != params["epoch"]:
                raise self._stale(volume, params["epoch"])
            return volume.durable_scls()
        raise RemoteError("unknown", f"there is no request {method}")

    def _create(self, volume: int, pages_per_group: int) -> bool:
        if volume in self.volumes:
            return False
        self.volumes[volume] = NodeVolume(self.disk, VolumeState(volume, pages_per_group))
        try:
            self.save_manifest()
        except OSError:
            del self.volumes[volume]
            raise
        self.journal.intake.set_volume(volume, self.volumes[volume].store)
        return True

    async def _fence(self, volume: NodeVolume, epoch: int, owner: str) -> dict[str, Any]:
        """Refuse lower epochs, durably; answer what recovery needs."""
        store, state = volume.store, volume.state
        if epoch > store.epoch:
            before = (state.epoch, state.owner)
            state.epoch, state.owner = epoch, owner
            try:
                self.save_manifest()
            except OSError:
                # Nothing has happened: whoever asks again is not to take for saved what is in memory only.
                state.epoch, state.owner = before
                raise
            store.install_epoch(epoch)
            if volume.writer is not None:
                self._refuse(volume.writer, volume, "stale")
            self._set_writer(volume, None)
        elif epoch < store.epoch or store.voids_epoch >= epoch or owner != state.owner:
            raise self._stale(volume, epoch)
        await self.journal.barrier()
        if store.epoch != epoch:
            raise self._stale(volume, epoch)
        self.filled(volume)
        return {
            "epoch": store.epoch,
            "voids_epoch": store.voids_epoch,
            "voids": store.voids,
            "vdl": store.vdl,
            "scls": volume.durable_scls(),
            "metas": volume.durable_metas(),
            "complete": volume.complete,
        }

    @staticmethod
    def _stale(volume: NodeVolume, epoch: int) -> RemoteError:
        current = volume.store.epoch
        return RemoteError("stale", f"volume epoch {epoch} is fenced off, the current one is {current}", current)

    async def _voids(self, volume: NodeVolume, params: dict[str, Any]) -> list[tuple[int, int]]:
        """Install recovery's void ranges, durably; answer SCLs."""
        self.install_voids(volume, params["epoch"], params["owner"], params["voids"], params["tails"])
        await self.journal.barrier()
        return volume.durable_scls()

    def install_voids(
        self,
        volume: NodeVolume,
        epoch: int,
        owner: str,
        voids: list[tuple[int, int, int]],
        tails: list[tuple[int, int]],
    ) -> None:
        """The manifest first: what it says holds even if this node dies before it has acted on it.

        `tails`: each group's last batch, for a node that hears of this volume for the first time.
        """
        store = volume.store
        state = volume.state
        if epoch < store.epoch or epoch < store.voids_epoch or (epoch == state.epoch and owner != state.owner):
            raise self._stale(volume, epoch)
        if epoch == store.voids_epoch:
            if state.doubtful:
                self.believe(volume, tails)
            return
        before = (state.epoch, state.owner, state.voids_epoch, state.voids, state.filling, state.doubtful)
        if store.voids_epoch == 0 or state.doubtful:
            state.filling = volume.lacks((group, lsn) for group, lsn in tails)
            state.doubtful = False
        state.epoch = state.voids_epoch = epoch
        state.owner = owner
        state.voids = [(e, start, end) for e, start, end in voids]
        try:
            self.save_manifest()
        except OSError:
            state.epoch, state.owner, state.voids_epoch, state.voids, state.filling, state.doubtful = before
            raise
        store.install_voids(epoch, state.voids)

    def believe(self, volume: NodeVolume, tails: Iterable[tuple[int, int]]) -> None:
        """What this node must be filled to, having lost it does not know what."""
        state = volume.state
        before = (state.filling, state.doubtful)
        state.filling, state.doubtful = volume.lacks(tails), False
        try:
            self.save_manifest()
        except OSError:
            state.filling, state.doubtful = before
            raise

    async def _hello(self, client: Client, volume: NodeVolume, params: dict[str, Any]) -> list[tuple[int, int]]:
        """A writer begins its stream here. Its epoch and void ranges are its ticket."""
        self.install_voids(volume, params["epoch"], params["owner"], params["voids"], params["tails"])
        store = volume.store
        store.set_hints(params["vdl"], params["pgmrpl"])
        await self.journal.barrier()
        if store.epoch != params["epoch"]:
            raise self._stale(volume, params["epoch"])
        self._set_writer(volume, client)
        return volume.durable_scls()

    def join(self, client: Client, number: int) -> None:
        """The writer wants threads to carry the log on its connection."""
        volume, lane, connection = self.volumes.get(number), self.journal.lane, client.rpc.connection
        if volume is None or volume.writer is not client or lane is None or not isinstance(connection, TcpConnection):
            connection.abort()
            return
        client.linked = True
        try:
            hand_over(connection, lane.door())
            linked = lane.link(number, client.writes[number], b"J")
        except OSError as error:
            log.error("a writer's connection could not be taken over", reason=str(error))
            linked = False
        if not linked:
            connection.abort()
            self.disconnected(client)

    def _left(self, number: int, ticket: int) -> None:
        """A writer's link is over."""
        for client in list(self.clients):
            if client.linked and client.writes.get(number) == ticket:
                self.disconnected(client)

    def _set_writer(self, volume: NodeVolume, client: Client | None) -> None:
        """Whose the volume's acknowledgements are from now on."""
        number, lane = volume.state.volume, self.journal.lane
        volume.writer = client
        ticket = None
        if client is not None:
            ticket = client.writes[number] = next(self._tickets)
            if lane is not None:
                client.rpc.connection.offer((lane, ticket))
        if lane is not None:
            lane.set_writer(number, ticket)

    def filled(self, volume: NodeVolume) -> None:
        """Look whether a node that was filling has everything again."""
        filling = volume.state.filling
        if filling and not volume.lacks(filling):
            volume.state.filling = []
            try:
                self.save_manifest()
            except OSError:
                volume.state.filling = filling

    def status(self) -> dict[str, Any]:
        """For `sixfold cluster status` and the console."""
        failure = self.journal.failure
        return {
            "node": self.config.name,
            "zone": self.config.zone,
            "failure": None if failure is None else str(failure),
            "background_failures": self.background.failures(),
            "journal_bytes": self.journal.size,
            "syncs": self.journal.syncs,
            "repairs": self.background.repair.done,
            "scrubs": self.background.scrub.passes,
            "damaged_files": self.background.scrub.found,
            "volumes": [volume.status() for volume in self.volumes.values()],
        }


async def run_storage_node(
    config: NodeConfig, runtime: Runtime, stop: asyncio.Event, started: Callable[[], None] | None = None
) -> None:
    """The daemon: serve until `stop` is set. OSError when it can't, or its folder is removed."""
    node = StorageNode(config, runtime)
    lost = False

    def end() -> None:
        nonlocal lost
        lost = True
        stop.set()

    node.on_lost = end
    await node.start()
    if started is not None:
        started()
    try:
        await stop.wait()
    finally:
        await node.stop()
    if lost:
        raise OSError("its folder was removed")
