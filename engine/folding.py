"""Statements of very many literals: the kernel makes them short before they are parsed (`kernel/src/base/folding.rs`).

What the parser and the analyzer see has some rows of a long VALUES, and one parameter for a long list; their positions are translated back.
What a text can't be folded for (a literal where its value matters, a statement that is no query) goes the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sixfold.kernel._kernel import Folded, Unfolded

from . import parser
from .errors import SqlError
from .parser import ast
from .planner.folded import FoldedRows
from .plans import Prepared
from .stored import walk

if TYPE_CHECKING:
    from .session import Session

T = TypeVar("T")

# The wire's key of a text with more literals than it keeps.
MANY = b"\x01"
# Commas from which on a Parse's text is worth a look.
COMMAS = 1000


class FoldedText:
    """A statement's text, made short."""

    def __init__(self, session: Session, text: str, folded: Folded, given: tuple[int, ...]) -> None:
        self.session = session
        self.original = text
        self.folded = folded
        self.text = folded.text
        # The client's own parameters, then those that were put in.
        self.types = (*given, *(0 for _ in range(folded.first - len(given))), *folded.types)
        self.statements = parser.parse(self.text)
        for statement in self.statements:
            _name_arrays(statement.node, {folded.first + param + 1 for param in folded.arrays})

    def used(self, node: Any) -> list[int]:
        """Which of the parameters that were put in stand in this statement, numbered from 0."""
        found: set[int] = set()

        def visit(part: Any) -> None:
            if type(part) is ast.ParamRef and part.number > self.folded.first:
                found.add(part.number - self.folded.first - 1)

        walk(node, visit)
        return sorted(found)

    def types_in(self, node: Any) -> tuple[int, ...]:
        """Parameter types for one of the statements: what others use does not matter."""
        first, used = self.folded.first, set(self.used(node))
        own = (typ or (0 if at in used else 25) for at, typ in enumerate(self.types[first:]))
        return (*self.types[:first], *own)

    def rows(self) -> list[FoldedRows]:
        """What the planner must know."""
        first = self.folded.first
        return [
            FoldedRows(
                first + text,
                rows,
                [[(key, None if param is None else first + param) for key, param in shapes] for shapes in columns],
            )
            for text, rows, columns in self.folded.values
        ]

    def placed(self, call: Callable[[], T]) -> T:
        """The call, with positions of its errors in the original text."""
        try:
            return call()
        except SqlError as error:
            if error.position:
                error.position = self.folded.position(self.original, int(error.position))
            raise

    async def bind(self, node: Any, prepared: Prepared) -> Unfolded:
        """What was left out of the statement, for the parameters of its plan."""
        runtime = self.session.waits.runtime
        bound: Unfolded = await runtime.offload(
            self.session.kernel.bind, self.original, self.folded, prepared.plan, self.used(node)
        )
        return bound


async def fold(session: Session, text: str, given: tuple[int, ...] = ()) -> FoldedText | None:
    """None: it must go the ordinary way, which also says what is wrong with it."""
    folded: Folded | None = await session.waits.runtime.offload(session.kernel.fold, text, len(given))
    if folded is None:
        return None
    try:
        return await session.think(folded.text, lambda: FoldedText(session, text, folded, given))
    except SqlError as error:
        if error is session.statements.cancelled:
            raise
        return None


def _name_arrays(node: Any, params: set[int]) -> None:
    """A column that is an ARRAY[…] is called so."""
    for target in getattr(node, "targetList", None) or ():
        value = target.val
        while type(value) is ast.TypeCast:
            value = value.arg
        unnamed = type(node) is ast.SelectStmt and target.name is None
        if unnamed and type(value) is ast.ParamRef and value.number in params:
            target.name = "array"
