"""A volume of raw redo for tests of the log: pages of plain bytes, changed by mini-transactions, with a model beside.

It offers what `LogPump` needs of the kernel's `Volume`: tail, taken, take_flush, set_vdl, set_limit.
"""

from __future__ import annotations

from sixfold.kernel import _kernel

BODY = 64
PAGE = 8192
_CPL = 0x80


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def init(page: int) -> bytes:
    """Make a page an empty one of plain bytes."""
    body = bytes([7, 0]) + varint(page) + b"\0"
    return bytes([1]) + varint(page) + varint(len(body)) + body


def put(page: int, offset: int, data: bytes) -> bytes:
    body = varint(offset) + data
    return bytes([10]) + varint(page) + varint(len(body)) + body


class RawVolume:
    """Redo of one writer, from `start` on."""

    def __init__(self, volume: int, epoch: int, pages_per_group: int, start: int, tails: dict[int, int]) -> None:
        self._batcher = _kernel.Batcher(volume, epoch, pages_per_group)
        for group, tail in tails.items():
            self._batcher.set_prev(group, tail)
        self.taken = start
        self.vdl = start
        self.limit = 1 << 62
        self._buffer = bytearray()
        self._ends: list[int] = []
        self.known: set[int] = set()

    @property
    def tail(self) -> int:
        return self.taken + len(self._buffer)

    def mtr(self, changes: list[tuple[int, int, bytes]]) -> int:
        """(page, offset, bytes) that appear together. Answers the CPL's LSN."""
        records = []
        for page, offset, data in changes:
            if page not in self.known:
                self.known.add(page)
                records.append(bytearray(init(page)))
            records.append(bytearray(put(page, BODY + offset, data)))
        records[-1][0] |= _CPL
        for record in records:
            self._buffer += record
        self._ends.append(self.tail)
        return self.tail

    def take_flush(self, max_bytes: int = 1 << 20) -> tuple[int, int, list[tuple[int, bytes]]] | None:
        if not self._ends:
            return None
        start = self.taken
        ends = [end for end in self._ends if end <= start + max_bytes]
        end = ends[-1] if ends else self._ends[0]
        self._ends = [later for later in self._ends if later > end]
        data = bytes(self._buffer[: end - start])
        del self._buffer[: end - start]
        self.taken = end
        return start, end, self._batcher.cut(start, data, self.vdl, self.vdl)

    def set_vdl(self, vdl: int) -> None:
        assert vdl >= self.vdl
        self.vdl = vdl

    def set_limit(self, limit: int) -> None:
        self.limit = limit
