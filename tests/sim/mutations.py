"""The rules that the simulator is there to guard, each broken on purpose: a seed must find every one (`test_mutations.py`).

`python -m tests.sim.mutations [NAME] [--seeds N] [--bank]` tells how many seeds find them.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from sixfold.kernel import _kernel
from sixfold.pagestore import journal, layers, manifest
from sixfold.pagestore.background import Background
from sixfold.pagestore.node import StorageNode
from sixfold.pagestore.volume import NodeVolume
from sixfold.wal import recovery
from sixfold.wal.runtime import Disk, File
from sixfold.wal.stream import LogTailer
from tests.sim.__main__ import Outcome, run_seed
from tests.sim.disk import SimFile
from tests.sim.scenario import Scenario, SimWriter


@dataclasses.dataclass(frozen=True)
class Mutation:
    """What breaks one rule for the length of a block, and the faults under which that shows soonest."""

    broken: Callable[[], AbstractContextManager[None]]
    focus: tuple[str, ...]


MUTATIONS: dict[str, Mutation] = {}


def mutation(*focus: str) -> Callable[[Callable[[], Iterator[None]]], None]:
    """Register one."""

    def register(function: Callable[[], Iterator[None]]) -> None:
        MUTATIONS[function.__name__] = Mutation(contextmanager(function), focus)

    return register


@mutation("cut_power")
def acknowledged_before_it_is_synced() -> Iterator[None]:
    original = SimFile.sync

    def sync(file: SimFile, done: Callable[[OSError | None], None]) -> None:
        if not file.path.startswith(journal.FOLDER):
            original(file, done)
            return
        original(file, lambda error: None)
        file._disk.host.clock.call_soon(done, None)

    with patch.object(SimFile, "sync", sync):
        yield


@mutation("shift_partition")
def three_of_six_are_enough() -> Iterator[None]:
    original = Scenario.__init__

    def init(scenario: Scenario, seed: int, **options: Any) -> None:
        original(scenario, seed, **options)
        msgspec.structs.force_setattr(scenario.config, "write_quorum", len(scenario.config.members) // 2)

    with patch.object(Scenario, "__init__", init):
        yield


@mutation("shift_partition")
def recovery_reads_two_of_six() -> Iterator[None]:
    def enough(answers: Sequence[Any], members: int, need: int) -> bool:
        return len(answers) >= 2

    with patch.object(recovery, "enough", enough):
        yield


@mutation("shift_partition", "replace_writer")
def nothing_is_declared_void() -> Iterator[None]:
    original = recovery.decide

    def decide(states: Sequence[recovery.NodeState], epoch: int, allocation_limit: int) -> recovery.Decision:
        made = original(states, epoch, allocation_limit)
        below = [void for void in made.voids if void[1] < made.vdl]
        # Of epoch 0: nothing is older.
        return dataclasses.replace(made, voids=[*below, (0, made.vdl, made.vdl)])

    with patch.object(recovery, "decide", decide):
        yield


class Wrapped:
    """A kernel object, but for some calls."""

    def __init__(self, inner: Any, **calls: Callable[..., Any]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return self._calls.get(name) or getattr(self._inner, name)


@contextmanager
def stores(wrap: Callable[[Any], Wrapped]) -> Iterator[None]:
    """Each node's segments wrapped, as Python sees them; the journal's intake has the real ones."""
    make_volume, make_journal = NodeVolume.__init__, journal.Journal.__init__

    def volume_init(volume: NodeVolume, disk: Disk, state: manifest.VolumeState) -> None:
        make_volume(volume, disk, state)
        volume.store = wrap(volume.store)  # type: ignore[assignment]

    def journal_init(made: journal.Journal, *arguments: Any) -> None:
        make_journal(made, *arguments)
        intake = made.intake

        def set_volume(number: int, store: Any) -> None:
            intake.set_volume(number, store._inner)

        made.intake = Wrapped(intake, set_volume=set_volume)  # type: ignore[assignment]

    def page_read(store: Any, *arguments: Any) -> Any:
        return original(store._inner, *arguments)

    original = _kernel.PageRead
    with (
        patch.object(NodeVolume, "__init__", volume_init),
        patch.object(journal.Journal, "__init__", journal_init),
        patch.object(_kernel, "PageRead", page_read),
    ):
        yield


@mutation("shift_partition", "replace_writer")
def a_new_epoch_truncates_nothing() -> Iterator[None]:
    def wrap(store: Any) -> Wrapped:
        return Wrapped(store, install_voids=lambda epoch, voids: store.install_voids(epoch, []))

    with stores(wrap):
        yield


class Unfenced(Wrapped):
    """It says that it has the new epoch, and goes on taking batches of the old one."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner, install_epoch=self._install)
        self._epoch = inner.epoch

    def _install(self, epoch: int) -> None:
        self._epoch = epoch

    @property
    def epoch(self) -> int:
        return max(self._epoch, self._inner.epoch)


@mutation("replace_writer", "pause_writer")
def the_old_writer_is_not_fenced() -> Iterator[None]:
    """It is still told so by hello, and by the void range."""
    original = StorageNode._fence

    async def fence(node: StorageNode, volume: NodeVolume, epoch: int, owner: str) -> dict[str, Any]:
        writer = volume.writer
        with patch.object(StorageNode, "_refuse", lambda *arguments: None):
            answer = await original(node, volume, epoch, owner)
        if writer is not None and writer in node.clients:
            node._set_writer(volume, writer)
        return answer

    with stores(Unfenced), patch.object(StorageNode, "_fence", fence):
        yield


@mutation("cut_power", "replace_writer")
def a_fence_is_not_durable() -> Iterator[None]:
    def sync_now(file: SimFile) -> None:
        if file.path != manifest.PATH:
            original(file)

    original = SimFile.sync_now
    with patch.object(SimFile, "sync_now", sync_now):
        yield


@mutation("break_sync", "cut_power")
def a_sync_that_failed_is_acknowledged() -> Iterator[None]:
    original = journal.Journal._synced

    def synced(made: journal.Journal, error: OSError | None) -> None:
        original(made, None)

    with patch.object(journal.Journal, "_synced", synced):
        yield


def mended(data: bytes) -> bytes:
    """A journal file whose every checksum fits, whatever it covers."""
    out = bytearray()
    at = 0
    while data[at : at + 2] == b"6J":
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        payload = bytearray(data[at + 24 : at + 24 + length])
        payload[4:8] = _kernel.checksum(bytes(payload[8:])).to_bytes(4, "little")
        header = data[at : at + 16]
        # The second checksum continues the first one.
        sums = (_kernel.checksum(bytes(payload) + header[2:]), _kernel.checksum(bytes(payload)))
        out += header + b"".join(one.to_bytes(4, "little") for one in sums) + payload
        at += 24 + length
    return bytes(out)


@mutation("cut_power", "kill_node")
def the_journal_is_replayed_without_its_checksums() -> Iterator[None]:
    original = journal._read_what_can_be

    def read(file: File) -> bytes:
        return mended(original(file))

    with patch.object(journal, "_read_what_can_be", read):
        yield


@mutation("cut_power")
def the_journal_is_trimmed_before_layers_have_it() -> Iterator[None]:
    original = Background.trim

    async def trim(background: Background) -> None:
        await original(background)
        await background._node.journal.trim(lambda volume, group, end: True)

    with patch.object(Background, "trim", trim):
        yield


@mutation("cut_power")
def a_layer_is_named_before_it_is_durable() -> Iterator[None]:
    async def synced(file: File) -> None:
        pass

    with patch.object(layers, "synced", synced):
        yield


@mutation("shift_partition", "replace_writer")
def a_reader_shows_what_is_not_durable() -> Iterator[None]:
    original = LogTailer._flush

    def flush(tailer: LogTailer, message: bytes) -> None:
        original(tailer, message)
        tailer._advance(tailer.received)

    with patch.object(LogTailer, "_flush", flush):
        yield


@mutation("slow_node")
def pages_are_collected_that_somebody_may_ask_for() -> Iterator[None]:
    with patch.object(SimWriter, "horizon", lambda writer: writer.volume.vdl):
        yield


@mutation("cut_node", "slow_node")
def a_page_is_read_from_a_segment_that_lacks_some_of_it() -> Iterator[None]:
    original = NodeVolume.read

    def read(volume: NodeVolume, pages: list[tuple[int, int]], lsn: int, head: bytes = b"") -> bytes:
        return original(volume, [(page, 0) for page, _ in pages], lsn, head)

    with patch.object(NodeVolume, "read", read):
        yield


def run_broken(name: str, seed: int, seconds: float) -> Outcome:
    """One seed with one rule broken."""
    mutation = MUTATIONS[name]
    with mutation.broken():
        return run_seed(seed, seconds, mutation.focus)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutations", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(MUTATIONS))
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    missed = 0
    for name in options.names or list(MUTATIONS):
        with ProcessPoolExecutor(options.jobs) as pool:
            work = [pool.submit(run_broken, name, seed, options.seconds) for seed in range(options.seeds)]
            outcomes = [one.result() for one in work]
        found = [one for one in outcomes if one.failure]
        missed += not found
        print(f"{len(found):4} of {options.seeds} seeds find: {name}  {[one.seed for one in found[:12]]}", flush=True)
        if found:
            print(f"     {found[0].verdict[:160]}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
