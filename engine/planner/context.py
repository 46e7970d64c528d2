"""What planning one statement shares: executor parameters, subplans, estimates, tables; and how expressions are lowered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.scope import Context
from sixfold.engine.analyzer.tree import Query, SubLink, Var
from sixfold.engine.analyzer.walk import rewrite, type_of
from sixfold.engine.catalog.model import Relation
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr, Node

if TYPE_CHECKING:
    from sixfold.engine.planner.api import Estimate, SessionInfo
    from sixfold.engine.planner.folded import FoldedRows

Key = tuple[int, int]


def aggregate_rel(query: int) -> int:
    """The entry that stands for a query's aggregates in keys."""
    return -1_000_000_000 - query


class Built(msgspec.Struct):
    """A planned query: its node, what its columns are, and which outer columns it needs."""

    node: Node
    width: int
    free: set[Key]
    rows: float
    total: float
    startup: float = 0.0


class PlanContext:
    """One statement's planning."""

    def __init__(self, context: Context, info: SessionInfo, new_estimate: Callable[..., Estimate]) -> None:
        self.analysis = context
        self.catalog = context.catalog
        self.info = info
        self.new_estimate = new_estimate
        self.exec_params = 0
        self.params: dict[Key, int] = {}
        self.param_types: dict[Key, int] = {}
        self.subplans: list[Node] = []
        # Aggregates that subqueries take from the query around them.
        self.outer_aggregates: list[tree.AggRef] = []
        self.estimates: dict[int, Estimate] = {}
        self.tables: dict[int, nodes.Table] = {}
        # VALUES of which the statement shows some rows only.
        self.folded: Sequence[FoldedRows] = ()
        # Expressions that stand for the columns of entries which were pulled up.
        self.replaced: dict[int, list[Expr]] = {}
        # What `expr_vars` has found, by id of the expression (which is kept alive here); forgotten when entries are replaced.
        self.vars_of: dict[int, tuple[Expr, set[Key]]] = {}
        # CTEs: number → plan of a materialised one.
        self.ctes: dict[int, Built] = {}
        # Subplans of foreign-key actions, by what they do.
        self.actions: dict[tuple[int, str], int] = {}
        self.locks: dict[int, int] = context.locks
        self.next_with = 0
        # The query planner, for parts below it.
        self.plan_query: Callable[[Query], Built]
        self.plan_dml: Callable[[Query], Built]
        self.lower_sublink: Callable[[Env, SubLink], Expr]
        self.writes = False

    # ---- parameters

    def new_param(self) -> int:
        """A fresh executor parameter."""
        self.exec_params += 1
        return self.exec_params - 1

    def param_for(self, key: Key, typ: int) -> int:
        """The executor parameter that carries an outer column."""
        number = self.params.get(key)
        if number is None:
            number = self.params[key] = self.new_param()
            self.param_types[key] = typ
        return number

    def aggregate_key(self, ref: tree.AggRef) -> Key:
        """An aggregate of an outer query as if it were a column, of an entry that no query has."""
        ref = cast(tree.AggRef, self.substitute(ref))
        if ref not in self.outer_aggregates:
            self.outer_aggregates.append(ref)
        return (aggregate_rel(ref.query), self.outer_aggregates.index(ref))

    # ---- tables

    def table(self, relation: Relation) -> nodes.Table:
        """A relation as plans carry it."""
        found = self.tables.get(relation.oid)
        if found is None:
            found = self.tables[relation.oid] = table_node(relation)
        return found

    def estimate(self, node: Node, rows: float, total: float, startup: float = 0.0, width: int = 0) -> Node:
        """Note what EXPLAIN shows of a node."""
        self.estimates[id(node)] = self.new_estimate(startup, total, max(1.0, round(rows)), width)
        return node

    # ---- pulled-up entries

    def substitute(self, expr: Expr) -> Expr:
        """With columns of pulled-up entries replaced by what they stand for."""
        if not self.replaced:
            return expr
        replaced = self.replaced

        def change(part: Expr) -> Expr | None:
            if type(part) is Var and part.rel in replaced:
                return self.substitute(replaced[part.rel][part.col])
            return None

        return rewrite(expr, change)


_TABLES: dict[int, tuple[Relation, nodes.Table]] = {}


def table_node(relation: Relation) -> nodes.Table:
    """Kept while the same relation object is asked for again."""
    known = _TABLES.get(relation.oid)
    if known is not None and known[0] is relation:
        return known[1]
    columns = [nodes.Column(c.name, c.typ, c.typmod, c.dropped, c.not_null, c.missing) for c in relation.columns]
    indexes = []
    for index in relation.indexes:
        if index.exprs or index.predicate is not None:
            raise not_built("an index on expressions or with a condition")
        keys = [nodes.IndexKey(k.attnum - 1, k.desc, k.nulls_first) for k in index.keys]
        indexes.append(nodes.Index(index.oid, index.name, index.root, index.unique, index.nulls_not_distinct, keys))
    made = nodes.Table(relation.oid, relation.schema, relation.name, relation.root, relation.overflow, columns, indexes)
    if len(_TABLES) > 4096:
        _TABLES.clear()
    _TABLES[relation.oid] = (relation, made)
    return made


class Env:
    """Where an expression is evaluated: which input column holds which table column or computed expression."""

    __slots__ = ("columns", "ctx", "exprs", "free", "width")

    def __init__(self, ctx: PlanContext, keys: Iterable[Key] = (), width: int | None = None) -> None:
        self.ctx = ctx
        self.columns: dict[Key, int] = {}
        count = 0
        for i, key in enumerate(keys):
            self.columns.setdefault(key, i)
            count = i + 1
        self.width = count if width is None else width
        # Whole expressions that an input column holds (group keys, aggregates, windows); column -1: the constant 0
        # (GROUPING without grouping sets).
        self.exprs: list[tuple[Expr, int]] = []
        # Outer columns that were turned into executor parameters.
        self.free: set[Key] = set()

    def put(self, expr: Expr, column: int) -> None:
        """Input column `column` holds `expr`."""
        if type(expr) is Var:
            self.columns.setdefault((expr.rel, expr.col), column)
        else:
            self.exprs.append((expr, column))

    def lower(self, expr: Expr) -> Expr:
        """The expression as the kernel reads it."""
        return rewrite(expr, self._change)

    def _change(self, expr: Expr) -> Expr | None:
        kind = type(expr)
        if kind is nodes.Const or kind is nodes.Param:
            return expr
        if kind is Var:
            return self._var(expr)  # type: ignore[arg-type]
        for known, column in self.exprs:
            if known == expr:
                return nodes.Col(column, type_of(expr)) if column >= 0 else nodes.Const(oids.INT4, "0")
        if kind is tree.Relabel:
            return _relabelled(expr, self.lower(expr.arg))  # type: ignore[arg-type, attr-defined]
        if kind is tree.ArrayCast:
            cast = _unlabel(expr.cast)  # type: ignore[attr-defined]
            return nodes.CastArray(self.lower(expr.arg), cast, expr.from_elem, expr.to_elem)  # type: ignore[attr-defined]
        if kind is tree.NamedRow:
            return self._row(expr)  # type: ignore[arg-type]
        if kind is SubLink:
            return self._sublink(expr)  # type: ignore[arg-type]
        if kind is tree.AggRef or kind is tree.GroupingRef:
            # An aggregate of an outer query: its value is passed in.
            return self._outer_value(expr)
        if kind is tree.WindowRef:
            raise SqlError("42P20", "window functions are not allowed here")
        if kind is tree.SetRef:
            raise SqlError("0A000", "set-valued function called in context that cannot accept a set")
        return None

    def _row(self, row: tree.NamedRow) -> Expr:
        made = nodes.Row([self.lower(a) for a in row.args], row.types)
        if row.absent is None:
            return made
        return nodes.Case([(self.lower(row.absent), nodes.Const(oids.RECORD, None))], made, oids.RECORD)

    def _var(self, var: Var) -> Expr:
        key = (var.rel, var.col)
        column = self.columns.get(key)
        if column is not None:
            return nodes.Col(column, var.typ)
        if var.rel in self.ctx.replaced:
            return self.lower(self.ctx.substitute(var))
        self.free.add(key)
        return nodes.Exec(self.ctx.param_for(key, var.typ), var.typ)

    def _outer_value(self, expr: Expr) -> Expr:
        if not isinstance(expr, tree.AggRef):
            raise not_built("GROUPING of an outer query inside a subquery")
        key = self.ctx.aggregate_key(expr)
        column = self.columns.get(key)
        if column is not None:
            return nodes.Col(column, expr.typ)
        self.free.add(key)
        return nodes.Exec(self.ctx.param_for(key, expr.typ), expr.typ)

    def _sublink(self, link: SubLink) -> Expr:
        return self.ctx.lower_sublink(self, link)

    def bind(self, free: set[Key]) -> list[tuple[int, Expr]]:
        """Executor parameters for those of `free` that are columns here; the others stay free."""
        params: list[tuple[int, Expr]] = []
        for key in sorted(free):
            typ = self.ctx.param_types.get(key, 0)
            column = self.columns.get(key)
            if column is not None:
                params.append((self.ctx.param_for(key, typ), nodes.Col(column, typ)))
            else:
                self.free.add(key)
        return params


def _relabelled(label: tree.Relabel, arg: Expr) -> Expr:
    """The same bits under another type; for the kernel, whose integers are wide, a sign makes two numbers of them."""
    source = type_of(label.arg)
    if source == oids.INT4 and oids.is_oid(label.typ):
        return nodes.Func("int4_as_oid", [arg], [oids.INT4], label.typ)
    if label.typ == oids.INT4 and oids.is_oid(source):
        return nodes.Func("oid_as_int4", [arg], [oids.OID], oids.INT4)
    return arg


def _unlabel(expr: Expr) -> Expr:
    """An expression without analysis-only nodes (a cast over one array element)."""

    def change(part: Expr) -> Expr | None:
        if type(part) is tree.Relabel:
            return _relabelled(part, _unlabel(part.arg))
        if type(part) is tree.ArrayCast:
            return nodes.CastArray(_unlabel(part.arg), _unlabel(part.cast), part.from_elem, part.to_elem)
        return None

    return rewrite(expr, change)
