"""Going through expressions: children, rewriting, and what type an expression has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sixfold.engine.analyzer import tree
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr

BOOL = 16
RECORD = 2249

_LEAVES = (nodes.Const, nodes.Col, nodes.Param, nodes.Exec, tree.Var, tree.Slot)
_BOOLEAN = (
    nodes.And, nodes.Or, nodes.Not, nodes.IsNull, nodes.BoolTest, nodes.Distinct, nodes.AnyAll, nodes.RowCompare,
)  # fmt: skip


def type_of(expr: Expr) -> int:
    """The expression's type."""
    if isinstance(expr, _BOOLEAN):
        return BOOL
    if isinstance(expr, nodes.CastIo):
        return expr.to
    if isinstance(expr, nodes.Row):
        return RECORD
    if isinstance(expr, tree.GroupingRef):
        return 23
    return expr.typ  # type: ignore[attr-defined,no-any-return]


def typmod_of(expr: Expr) -> int:
    """The expression's typmod, -1 where there is none."""
    kind = type(expr)
    if kind in (tree.Var, tree.SubLink, tree.Relabel, nodes.Typmod, nodes.CastIo):
        return expr.typmod  # type: ignore[attr-defined,no-any-return]
    if kind is nodes.Case:
        results = [r for _, r in expr.whens]  # type: ignore[attr-defined]
        if expr.other is None:  # type: ignore[attr-defined]
            return -1
        return _common_typmod([*results, expr.other], expr.typ)  # type: ignore[attr-defined]
    if kind in (nodes.Coalesce, nodes.Greatest, nodes.Least):
        return _common_typmod(expr.args, expr.typ)  # type: ignore[attr-defined]
    if kind is nodes.NullIf:
        return typmod_of(expr.left)  # type: ignore[attr-defined]
    if kind is nodes.Array:
        return _common_typmod(expr.args, expr.elem) if expr.args else -1  # type: ignore[attr-defined]
    if kind is nodes.Subscript:
        return typmod_of(expr.arg)  # type: ignore[attr-defined]
    if kind is tree.ArrayCast:
        return typmod_of(expr.cast)  # type: ignore[attr-defined]
    return -1


def _common_typmod(args: list[Expr], typ: int) -> int:
    first = typmod_of(args[0])
    if first < 0:
        return -1
    if all(type_of(a) == typ and typmod_of(a) == first for a in args):
        return first
    return -1


def children(expr: Expr) -> Iterator[Expr]:
    """Direct subexpressions (a SubLink's query is not one)."""
    kind = type(expr)
    if kind in _LEAVES:
        return
    if kind is nodes.Case:
        for test, result in expr.whens:  # type: ignore[attr-defined]
            yield test
            yield result
        if expr.other is not None:  # type: ignore[attr-defined]
            yield expr.other  # type: ignore[attr-defined]
        return
    if kind is nodes.Subscript:
        yield expr.arg  # type: ignore[attr-defined]
        for item in expr.index:  # type: ignore[attr-defined]
            if item.low is not None:
                yield item.low
            if item.high is not None:
                yield item.high
        return
    if kind is tree.ArrayCast:
        # `cast` is over the element.
        yield expr.arg  # type: ignore[attr-defined]
        return
    if kind is tree.SubLink:
        yield from expr.left  # type: ignore[attr-defined]
        return
    if kind is nodes.Sub:
        for _, value in expr.params:  # type: ignore[attr-defined]
            yield value
        return
    for name in _PARTS[kind]:
        value = getattr(expr, name)
        if value is None:
            continue
        if isinstance(value, list):
            for item in value:
                yield item.expr if isinstance(item, tree.SortItem) else item
        else:
            yield value


_PARTS: dict[type[Expr], tuple[str, ...]] = {
    nodes.Func: ("args",),
    nodes.Host: ("args",),
    nodes.And: ("args",),
    nodes.Or: ("args",),
    nodes.Not: ("arg",),
    nodes.IsNull: ("arg",),
    nodes.BoolTest: ("arg",),
    nodes.Distinct: ("left", "right"),
    nodes.Coalesce: ("args",),
    nodes.NullIf: ("left", "right"),
    nodes.Greatest: ("args",),
    nodes.Least: ("args",),
    nodes.AnyAll: ("left", "array"),
    nodes.Array: ("args",),
    nodes.Row: ("args",),
    tree.NamedRow: ("args", "absent"),
    nodes.Field: ("arg",),
    nodes.RowCompare: ("left", "right"),
    nodes.CastIo: ("arg",),
    nodes.Typmod: ("arg",),
    tree.Relabel: ("arg",),
    tree.AggRef: ("args", "filter", "order"),
    tree.GroupingRef: ("args",),
    tree.WindowRef: ("args", "filter"),
    tree.SetRef: ("args",),
}


def rewrite(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """A copy with `change` applied from the top: what it returns stands as it is; None means: go on below."""
    changed = change(expr)
    if changed is not None:
        return changed
    kind = type(expr)
    if kind in _LEAVES:
        return expr
    return _rebuild(expr, kind, lambda e: rewrite(e, change))


def _rebuild(expr: Expr, kind: type[Expr], sub: Callable[[Expr], Expr]) -> Expr:
    copy = _shallow(expr)
    if kind is nodes.Case:
        copy.whens = [(sub(t), sub(r)) for t, r in copy.whens]
        copy.other = sub(copy.other) if copy.other is not None else None
    elif kind is nodes.Subscript:
        copy.arg = sub(copy.arg)
        copy.index = [
            nodes.SubscriptItem(
                i.slice, sub(i.low) if i.low is not None else None, sub(i.high) if i.high is not None else None
            )
            for i in copy.index
        ]
    elif kind is tree.ArrayCast:
        copy.arg = sub(copy.arg)
    elif kind is tree.SubLink:
        copy.left = [sub(e) for e in copy.left]
    elif kind is nodes.Sub:
        copy.params = [(n, sub(e)) for n, e in copy.params]
    else:
        for name in _PARTS[kind]:
            value = getattr(expr, name)
            if value is None:
                continue
            if isinstance(value, list):
                setattr(copy, name, [_sub_item(item, sub) for item in value])
            else:
                setattr(copy, name, sub(value))
    return copy  # type: ignore[no-any-return]


def _sub_item(item: Expr | tree.SortItem, sub: Callable[[Expr], Expr]) -> Expr | tree.SortItem:
    if isinstance(item, tree.SortItem):
        return tree.SortItem(sub(item.expr), item.desc, item.nulls_first, item.typ)
    return sub(item)


def _shallow(expr: Expr):  # type: ignore[no-untyped-def]
    return expr.__copy__()  # type: ignore[attr-defined]


def contains(expr: Expr, test: Callable[[Expr], bool]) -> bool:
    """Does any part (the whole included) pass?"""
    if test(expr):
        return True
    return any(contains(child, test) for child in children(expr))


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and all its parts, outermost first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def strip(expr: Expr) -> Expr:
    """Without relabelling."""
    while isinstance(expr, tree.Relabel):
        expr = expr.arg
    return expr
