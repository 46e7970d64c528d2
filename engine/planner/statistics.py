"""How many rows: of tables, after conditions, after joins, in groups."""

from __future__ import annotations

from bisect import bisect_left

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.tree import Rte, Var
from sixfold.engine.analyzer.walk import strip
from sixfold.engine.catalog.model import Column, Relation
from sixfold.engine.facts import FACTS
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr
from sixfold.engine.planner.quals import comparisons

DEFAULT_EQ = 0.005
DEFAULT_RANGE = 0.3333
DEFAULT_DISTINCT = 200.0


def column_width(column: Column) -> int:
    """Average bytes of a value."""
    if column.avg_width:
        return column.avg_width
    typ = FACTS.types.get(column.typ)
    if typ is not None and typ.len > 0:
        return typ.len
    if column.typ in (oids.VARCHAR, oids.BPCHAR) and column.typmod > 4:
        return min(column.typmod - 4, 32) if column.typ == oids.VARCHAR else column.typmod - 4
    return 32


def table_rows(relation: Relation) -> float:
    """Estimated live rows."""
    if relation.rows >= 0:
        return max(relation.rows, 1.0)
    width = sum(column_width(c) for c in relation.columns if not c.dropped) + 28
    return max(1.0, max(relation.pages, 10) * (8168 / width))


def table_pages(relation: Relation) -> float:
    """Estimated pages."""
    return float(max(relation.pages, 1 if relation.rows >= 0 else 10))


class Statistics:
    """Looks up columns of the statement's entries."""

    def __init__(self, rtes: list[Rte]) -> None:
        self.rtes = rtes
        self._known: dict[int, tuple[Expr, float]] = {}

    def column(self, var: Var) -> tuple[Column | None, float]:
        """The stored column behind a Var, and its table's rows."""
        rte = self.rtes[var.rel]
        if rte.relation is None or not 0 <= var.col < len(rte.relation.columns):
            return None, 1000.0
        return rte.relation.columns[var.col], table_rows(rte.relation)

    def distinct(self, expr: Expr, rows: float) -> float:
        """Distinct values of an expression over `rows` rows."""
        expr = strip(expr)
        if type(expr) is not Var:
            if type(expr) is nodes.Func and len(expr.args) >= 1:
                return max(1.0, min(rows, max(self.distinct(a, rows) for a in expr.args)))
            return 1.0 if type(expr) is nodes.Const else min(rows, DEFAULT_DISTINCT)
        column, table = self.column(expr)
        if column is None:
            return min(rows, DEFAULT_DISTINCT)
        relation = self.rtes[expr.rel].relation
        if relation is not None and any(
            i.unique and len(i.keys) == 1 and i.keys[0].attnum == expr.col + 1 for i in relation.indexes
        ):
            return max(1.0, min(rows, table))
        if column.n_distinct is None:
            if column.typ == oids.BOOL:
                return 2.0
            return max(1.0, min(rows, DEFAULT_DISTINCT))
        known = column.n_distinct if column.n_distinct > 0 else -column.n_distinct * table
        return max(1.0, min(rows, known))

    def selectivity(self, expr: Expr) -> float:
        """Share of rows for which a condition holds."""
        known = self._known.get(id(expr))
        if known is None:
            known = self._known[id(expr)] = (expr, self._selectivity(expr))
        return known[1]

    def _selectivity(self, expr: Expr) -> float:
        kind = type(expr)
        if kind is nodes.And:
            result = 1.0
            for arg in expr.args:  # type: ignore[attr-defined]
                result *= self.selectivity(arg)
            return result
        if kind is nodes.Or:
            result = 0.0
            for arg in expr.args:  # type: ignore[attr-defined]
                one = self.selectivity(arg)
                result = result + one - result * one
            return result
        if kind is nodes.Not:
            return max(0.0, 1.0 - self.selectivity(expr.arg))  # type: ignore[attr-defined]
        if kind is nodes.Const:
            return 1.0 if expr.text in ("t", "true") else 0.0  # type: ignore[attr-defined]
        if kind is nodes.IsNull:
            return self._nulls(expr)  # type: ignore[arg-type]
        if kind is nodes.AnyAll:
            return self._any(expr)  # type: ignore[arg-type]
        if kind is nodes.Func:
            return self._comparison(expr)  # type: ignore[arg-type]
        return 0.5

    def _nulls(self, expr: nodes.IsNull) -> float:
        arg = strip(expr.arg)
        fraction = 0.005
        if type(arg) is Var:
            column, _ = self.column(arg)
            if column is not None:
                fraction = 0.0 if column.not_null else (column.null_frac or 0.005)
        return 1.0 - fraction if expr.not_ else fraction

    def _any(self, expr: nodes.AnyAll) -> float:
        count = 10
        if type(expr.array) is nodes.Array:
            count = len(expr.array.args)
        elif type(expr.array) is nodes.Const and expr.array.text:
            count = expr.array.text.count(",") + 1
        left = strip(expr.left)
        one = DEFAULT_EQ
        if type(left) is Var:
            one = 1.0 / self.distinct(left, self.column(left)[1])
        result = min(1.0, count * one)
        return max(0.0, 1.0 - result) if expr.all else result

    def _comparison(self, expr: nodes.Func) -> float:
        found = comparisons(expr)
        if not found:
            name = FACTS.operators_by_func.get(expr.func)
            if name is not None and name.name in ("<>", "!~~", "!~"):
                return 1.0 - DEFAULT_EQ
            if name is not None and name.name in ("~~", "~~*", "~", "~*"):
                return DEFAULT_EQ
            return DEFAULT_RANGE
        if len(found) == 2:
            return self._join(found[0].var, found[1].var) if found[0].strategy == 3 else DEFAULT_RANGE
        one = found[0]
        column, table = self.column(one.var)
        if one.strategy == 3:
            return self._equal(column, table, one.var, strip(one.value))
        return self._range(column, one.strategy, strip(one.value))

    def _join(self, a: Var, b: Var) -> float:
        return 1.0 / max(self.distinct(a, self.column(a)[1]), self.distinct(b, self.column(b)[1]))

    def _equal(self, column: Column | None, table: float, var: Var, value: Expr) -> float:
        distinct = self.distinct(var, table)
        if column is not None and column.common_values and type(value) is nodes.Const and value.text is not None:
            if value.text in column.common_values:
                return column.common_freqs[column.common_values.index(value.text)]
            rest = 1.0 - sum(column.common_freqs) - column.null_frac
            return max(1e-9, rest / max(1.0, distinct - len(column.common_values)))
        if column is not None and column.n_distinct is None and distinct == min(table, DEFAULT_DISTINCT) and table > 1:
            return max(DEFAULT_EQ, 1.0 / table) if distinct == DEFAULT_DISTINCT else 1.0 / distinct
        return 1.0 / distinct

    def _range(self, column: Column | None, strategy: int, value: Expr) -> float:
        if column is None or type(value) is not nodes.Const or value.text is None or len(column.histogram) < 2:
            return DEFAULT_RANGE
        bounds = column.histogram
        below = _position(bounds, value.text)
        fraction = below / (len(bounds) - 1)
        fraction = min(max(fraction, 0.0), 1.0)
        result = fraction if strategy in (1, 2) else 1.0 - fraction
        return max(result, 1e-4)


def _position(bounds: tuple[str, ...], text: str) -> float:
    """Where a value stands between histogram bounds, in buckets."""
    try:
        numbers = [float(b) for b in bounds]
        value = float(text)
    except ValueError:
        return float(bisect_left(bounds, text))
    i = bisect_left(numbers, value)
    if i == 0 or i >= len(numbers):
        return float(min(i, len(numbers) - 1)) if i else 0.0
    low, high = numbers[i - 1], numbers[i]
    return i - 1 + ((value - low) / (high - low) if high > low else 0.0)
