"""A plan's expressions. Made by `python -m tests.tools.plan_nodes` from kernel/src/exec/plan.rs."""

from __future__ import annotations

import msgspec


class Expr(msgspec.Struct, tag_field="e", omit_defaults=True):
    """Any expression."""


class Const(Expr, tag="const"):
    """Text form, as the type's input function reads it; none is NULL."""

    typ: int
    text: str | None = None


class Col(Expr, tag="col"):
    i: int
    typ: int


class Param(Expr, tag="param"):
    """$n, from 0."""

    n: int
    typ: int


class Exec(Expr, tag="exec"):
    """Executor parameter, set by NestedLoop, Sub and After."""

    n: int
    typ: int


class Func(Expr, tag="func"):
    """`func` is prosrc; `typ` the (already resolved) result type. Strictness and purity are the kernel's knowledge."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int
    at: int | None = None


class And(Expr, tag="and"):
    args: list[Expr]


class Or(Expr, tag="or"):
    args: list[Expr]


class Not(Expr, tag="not"):
    arg: Expr


class IsNull(Expr, tag="is_null"):
    arg: Expr
    not_: bool = msgspec.field(name="not")


class BoolTest(Expr, tag="bool_test"):
    """IS [NOT] TRUE / FALSE / UNKNOWN: `test` is "true", "false" or "unknown"."""

    arg: Expr
    test: str
    not_: bool = msgspec.field(name="not")


class Distinct(Expr, tag="distinct"):
    """`func` is the type's equality function."""

    func: str
    left: Expr
    right: Expr
    not_: bool = msgspec.field(name="not")
    typ: int


class Case(Expr, tag="case"):
    whens: list[tuple[Expr, Expr]]
    other: Expr | None
    typ: int


class Coalesce(Expr, tag="coalesce"):
    args: list[Expr]
    typ: int


class NullIf(Expr, tag="null_if"):
    """NULLIF: `func` is equality."""

    func: str
    left: Expr
    right: Expr
    typ: int


class Greatest(Expr, tag="greatest"):
    args: list[Expr]
    typ: int


class Least(Expr, tag="least"):
    args: list[Expr]
    typ: int


class AnyAll(Expr, tag="any_all"):
    """left OP ANY/ALL (array): `func` compares left with one element of type `elem`."""

    func: str
    left: Expr
    array: Expr
    elem: int
    all: bool


class Array(Expr, tag="array"):
    args: list[Expr]
    elem: int
    typ: int
    nested: bool


class Subscript(Expr, tag="subscript"):
    """array[subscript…] or a slice (each bound optional)."""

    arg: Expr
    index: list[SubscriptItem]
    typ: int
    elem: int


class Row(Expr, tag="row"):
    args: list[Expr]
    types: list[int]


class Field(Expr, tag="field"):
    arg: Expr
    i: int
    typ: int


class RowCompare(Expr, tag="row_compare"):
    """Row comparison (a, b) < (c, d): `op` one of = <> < <= > >=."""

    op: str
    left: list[Expr]
    right: list[Expr]
    types: list[int]


class CastIo(Expr, tag="cast_io"):
    """By way of text: output function, then input function."""

    arg: Expr
    from_: int = msgspec.field(name="from")
    to: int
    typmod: int


class CastArray(Expr, tag="cast_array"):
    """Element by element; `cast` over column 0 = the element."""

    arg: Expr
    cast: Expr
    from_elem: int
    to_elem: int


class Typmod(Expr, tag="typmod"):
    """Length coercion: varchar(n), char(n), numeric(p,s), timestamp(p) …; `explicit` truncates silently."""

    arg: Expr
    typ: int
    typmod: int
    explicit: bool


class Sub(Expr, tag="sub"):
    """A subplan in place, where a join can't serve: `kind` "scalar", "exists", "array", "any" (`test` compares, with the
    subplan's columns as Exec parameters from `result`), with `params` (number, expression) set first. Where "any" is
    equality of `keys`, they are given too: of the row, of the subplan's rows, and their type.
    """

    subplan: int
    kind: str
    params: list[tuple[int, Expr]]
    test: Expr | None
    result: list[int]
    typ: int
    keys: list[tuple[Expr, Expr, int]]


class Host(Expr, tag="host"):
    """A function that lives in Python, called once a batch."""

    func: str
    args: list[Expr]
    arg_types: list[int]
    typ: int


class SubscriptItem(msgspec.Struct):
    slice: bool
    low: Expr | None = None
    high: Expr | None = None
