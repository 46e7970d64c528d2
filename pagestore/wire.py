"""The hot messages between compute nodes and storage nodes, byte by byte. Numbers are little-endian.

===  =========================================================================================
`B`  a batch, as the kernel frames it
`M`  several batches: (length u32, batch)*
`A`  volume u64, then acknowledgements: (group u32, SCL u64)*
`R`  read: request u32, volume u64, lsn u64, flags u8 (1: bulk, 2: answers may be packed), (page u64, tail u64)*
`P`  pages: request u32, per page: status u8 and 8192 bytes (0), or a u64 (1 behind: SCL, 2 too old: floor, 3 failed), or a length u32 and a
     packed page (4): CRC32C u32 of what follows, its entry in a layer, in all shorter than a page
`X`  refused: volume u64, current epoch u32, reason as text
`H`  hints from the writer: volume u64, VDL u64, PGMRPL u64
`J`  from the writer, after hello: volume u64; threads are to carry the log on this connection. The node answers `J` as they begin
===  =========================================================================================
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

PAGE_BYTES = 8192
READ_HEAD = struct.Struct("<cIQQB")
READ_PAGE = struct.Struct("<QQ")
PAGES_HEAD = struct.Struct("<cI")
ACK_HEAD = struct.Struct("<cQ")
REFUSED_HEAD = struct.Struct("<cQI")
JOIN = struct.Struct("<cQ")
HINTS = struct.Struct("<cQQQ")
NUMBER = struct.Struct("<Q")
LENGTH = struct.Struct("<I")
OK, BEHIND, TOO_OLD, FAILED, PACKED_PAGE = range(5)
BULK = 1
PACKED = 2


def read_request(number: int, volume: int, lsn: int, pages: Sequence[tuple[int, int]], flags: int = 0) -> bytes:
    """An `R` message."""
    numbers = itertools.chain.from_iterable(pages)
    return READ_HEAD.pack(b"R", number, volume, lsn, flags) + struct.pack(f"<{2 * len(pages)}Q", *numbers)


def parse_read(message: bytes) -> tuple[int, int, int, int, list[tuple[int, int]]]:
    """(request, volume, lsn, flags, pages) of an `R` message."""
    _, number, volume, lsn, flags = READ_HEAD.unpack_from(message)
    return number, volume, lsn, flags, list(READ_PAGE.iter_unpack(message[READ_HEAD.size :]))


def parse_pages(message: bytes) -> tuple[int, list[memoryview | tuple[int, int]]]:
    """(request, answers) of a `P` message: a page's bytes, perhaps packed, which stay where they are, or (status, number)."""
    _, number = PAGES_HEAD.unpack_from(message)
    at = PAGES_HEAD.size
    view = memoryview(message)
    each = 1 + PAGE_BYTES
    if (len(message) - at) % each == 0 and not any(message[at::each]):
        return number, [view[page : page + PAGE_BYTES] for page in range(at + 1, len(message), each)]
    answers: list[memoryview | tuple[int, int]] = []
    while at < len(message):
        status = message[at]
        at += 1
        if status == OK:
            answers.append(view[at : at + PAGE_BYTES])
            at += PAGE_BYTES
        elif status == PACKED_PAGE:
            at += LENGTH.size
            end = at + LENGTH.unpack_from(message, at - LENGTH.size)[0]
            answers.append(view[at:end])
            at = end
        else:
            answers.append((status, NUMBER.unpack_from(message, at)[0]))
            at += NUMBER.size
    return number, answers
