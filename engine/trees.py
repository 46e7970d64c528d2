"""Large trees, let go of piece by piece: freed at once, one would keep the GIL from all others for as long as that takes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from sixfold.kernel._kernel import KernelError
from sixfold.wal.runtime import Interrupted

from .analyzer import tree
from .analyzer.scope import Context, Scope
from .errors import SqlError
from .long_texts import done_with, gather
from .parser import Statement, ast
from .planner import nodes
from .planner.context import PlanContext

T = TypeVar("T")

STRUCTS = (nodes.Expr, nodes.Node, nodes.Plan, tree.Target, tree.SortItem, tree.FuncCall, tree.WindowClause)
SLOTTED = (
    Statement,
    tree.Query,
    tree.Rte,
    tree.FromRel,
    tree.FromJoin,
    tree.FromGroup,
    tree.Cte,
    tree.SetOperation,
    tree.Dml,
    tree.Conflict,
)
# What knows itself, by way of its functions.
KNOTS = (Context, PlanContext, Scope)
# References to a part that nobody else has: its name here, and the counting itself.
ALONE = 2


def _names(kind: type) -> tuple[str, ...]:
    """Where an object of this class has its parts."""
    if issubclass(kind, ast.Node | Statement) or kind in SLOTTED:
        return tuple(kind.__slots__)
    return kind.__struct_fields__ if issubclass(kind, STRUCTS) else ()


def take_apart(trees: list[Any]) -> None:
    """Parts that somebody else has too stay as they are; queries and contexts, which are never alone, are taken apart all the same."""
    known: dict[type, tuple[str, ...]] = {tuple: (), list: ()}
    while trees:
        part = trees.pop()
        kind = type(part)
        names = known.get(kind)
        if names is None:
            names = known[kind] = _names(kind)
        if kind in SLOTTED:
            for name in names:
                value = getattr(part, name, None)
                if value is not None:
                    setattr(part, name, None)
                    trees.append(value)
        elif names and sys.getrefcount(part) == ALONE:
            for name in names:
                value = getattr(part, name, None)
                if value is not None:
                    trees.append(value)
        elif (kind is tuple or kind is list) and sys.getrefcount(part) == ALONE:
            trees.extend(part)
        elif kind is dict and sys.getrefcount(part) == ALONE:
            trees.extend(part.values())
        elif kind in KNOTS:
            trees.extend(vars(part).values())
            vars(part).clear()
        value = None


def tidily(work: Callable[[], T]) -> T:
    """The work, and then what it was done with is taken apart."""
    trees: list[Any] = []
    parsed: list[Any] = []
    gather(trees, parsed)
    try:
        found = work()
        parsed.clear()
        return found
    except BaseException as error:
        if not isinstance(error, SqlError | KernelError | Interrupted):
            error.add_note("".join(traceback.format_exception(error, limit=-20)))
        # Its frames hold the trees.
        error.__traceback__ = error.__context__ = None
        raise
    finally:
        gather(None, None)
        take_apart(trees)
        take_apart(parsed)


def let_go(statements: list[Statement]) -> None:
    """Nobody uses these statements any more."""
    done_with(*(statement.node for statement in statements))
    for statement in statements:
        statement.node = None
    statements.clear()
