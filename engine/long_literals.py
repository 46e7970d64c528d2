"""Texts that are long by their literals: they are never parsed with them, if those may be parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sixfold.kernel._kernel import Statement

from . import asynchronous, utility
from .lifting import Literal, lift
from .parser import is_plannable
from .plans import prepare
from .regtypes import has_names

if TYPE_CHECKING:
    from .session import Session

# Characters of a text without its literals from where on it is long all the same.
LONG_TEXT = 1 << 18

# (literal, parameter)
Places = Sequence[tuple[int, int]]
# What the kernel runs by itself; which literals are its parameters; and which must be as they are.
Meaning = tuple[Statement, Places, Sequence[tuple[int, str]]]


async def register_long(
    session: Session, text: str, key: bytes, literals: Sequence[Literal], cut: Sequence[int] = ()
) -> bool:
    """Tell the wire what it means. False: some literal can't be a parameter, or one of `cut`, whose values the text does not have."""
    meaning = await session.think(text, lambda: _meaning(session, text, literals))
    if meaning is None or not set(cut) <= {literal for literal, _ in meaning[1]}:
        return False
    session.database.queries.register_query(session.scope, key, *meaning)
    return True


def _meaning(session: Session, text: str, literals: Sequence[Literal]) -> Meaning | None:
    changed = lift(text, literals)
    if changed is None or len(changed[1]) > LONG_TEXT:
        return None
    node, with_parameters, lifted, types = changed
    if session.kernel.status == "E":
        raise utility.in_failed_block()
    if not is_plannable(node) or asynchronous.needs_python(with_parameters):
        return None
    prepared = prepare(session, node, with_parameters, tuple(types), cached=False)
    if has_names(prepared.columns):
        return None
    done = {index for index, _ in lifted}
    fixed = [(index, literal[1]) for index, literal in enumerate(literals) if index not in done]
    return Statement.plan(prepared.plan), lifted, fixed
