"""Results on their way to the client, for statements that Python runs.

In a simple Query the rows' description goes before the rows; in an Execute the client has asked for it by Describe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sixfold.kernel._kernel import Portal

if TYPE_CHECKING:
    from .session import Session

# (name, type, typmod, table, attnum)
Column = tuple[str, int, int, int, int]
TEXT, NAME, INT4, INT8, BOOL, OID, JSON, FLOAT8 = 25, 19, 23, 20, 16, 26, 114, 701


def column(name: str, typ: int = TEXT) -> Column:
    """A result column that is no table's."""
    return (name, typ, -1, 0, 0)


class Reply:
    """Where one statement's result goes."""

    def __init__(
        self, session: Session, *, describe: bool = True, formats: Sequence[int] = (), max_rows: int = 0
    ) -> None:
        self.session = session
        self.describe = describe
        self.formats = formats
        self.max_rows = max_rows
        # Rows sent; the command tag once it is complete.
        self.tag: str | None = None

    async def rows(self, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> None:
        """A whole result of Python values."""
        wire = self.session.wire
        if self.describe:
            wire.row_description(columns, self.formats)
        types = [column[1] for column in columns]
        for start in range(0, len(rows), 1000):
            wire.data_rows(types, rows[start : start + 1000], self.formats)
            await self.session.relieve()

    def header(self, columns: Sequence[Column]) -> None:
        """RowDescription, where it is due."""
        if self.describe and columns:
            self.session.wire.row_description(columns, self.formats)

    async def portal(self, portal: Portal, max_rows: int = 0) -> tuple[str, int]:
        """Run a portal whose rows go to the client. ("done" or "suspended", rows)."""
        session = self.session
        answer = await session.waits.step(
            lambda: portal.run(max_rows),
            session=session.kernel,
            detached=lambda: portal.run_detached(max_rows),
            relieve=session.relieve,
        )
        return answer[0], answer[1]

    def complete(self, tag: str) -> None:
        """CommandComplete."""
        self.tag = tag
        self.session.statements.complete(tag)


class SilentReply(Reply):
    """For statements within a statement: no command tag of their own."""

    def complete(self, tag: str) -> None:
        self.tag = tag
