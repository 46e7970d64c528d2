"""Paths for one range-table entry: sequential and index scans, functions, VALUES, subqueries, WITH items."""

from __future__ import annotations

from collections.abc import Callable

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.tree import ROW_ID, Rte, Var
from sixfold.engine.catalog.model import Relation
from sixfold.engine.errors import not_built
from sixfold.engine.planner import nodes
from sixfold.engine.planner.context import Built, Env, Key, PlanContext
from sixfold.engine.planner.folded import folded_rows
from sixfold.engine.planner.index_match import Match, bounds, match_index
from sixfold.engine.planner.nodes import Expr, Node
from sixfold.engine.planner.paths import (
    CPU_INDEX,
    CPU_OPERATOR,
    CPU_ROW,
    DISABLED,
    INDEX_FETCH,
    INDEX_NEXT,
    INDEX_START,
    PAGE,
    Order,
    Path,
    add_path,
    useful,
)
from sixfold.engine.planner.quals import conjunction, expr_vars
from sixfold.engine.planner.statistics import Statistics, column_width, table_pages, table_rows


class BaseRel:
    """One entry of FROM with the conditions that are on it alone."""

    def __init__(self, ctx: PlanContext, rte: Rte, used: set[int], statistics: Statistics, wanted: Order = ()) -> None:
        self.ctx = ctx
        # The order that the query asks for: paths in another one are not worth keeping for their order.
        self.wanted = wanted
        # Columns that joins above may merge by.
        self.join_columns: frozenset[Key] = frozenset()
        self.rte = rte
        self.used = sorted(c for c in used if c >= 0)
        self.statistics = statistics
        self.quals: list[Expr] = []
        self.keys: list[Key] = []
        self.lateral: frozenset[Key] = frozenset()
        self.built: Built | None = None
        self.base_rows = 1.0
        self.width = 0

    def prepare(self) -> None:
        """What the entry offers, before its conditions."""
        rte = self.rte
        if rte.kind == "relation" and rte.relation is not None:
            relation = rte.relation
            if relation.host is not None:
                self.keys = [(rte.id, c.attnum - 1) for c in relation.columns]
                self.base_rows = max(relation.rows, 100.0)
            else:
                self.keys = [*((rte.id, c) for c in self.used), (rte.id, ROW_ID)]
                self.base_rows = table_rows(relation)
            self.width = sum(column_width(relation.columns[c]) for c in self.used)
        elif rte.kind == "function":
            self.keys = [(rte.id, i) for i in range(len(rte.columns))]
            self.base_rows = 1.0 if all(not c.retset for c in rte.calls) else 100.0
            free: set[Key] = set()
            for call in rte.calls:
                for arg in [*call.args, *([call.expr] if call.expr is not None else [])]:
                    free |= expr_vars(self.ctx, arg)
            self.lateral = frozenset(free)
        elif rte.kind == "values":
            self.keys = [(rte.id, i) for i in range(len(rte.columns))]
            folded = folded_rows(self.ctx.folded, rte.rows)
            self.base_rows = float(len(rte.rows) if folded is None else folded.rows)
            self.lateral = frozenset(k for row in rte.rows for e in row for k in expr_vars(self.ctx, e))
        else:
            self._prepare_query()

    def _prepare_query(self) -> None:
        rte = self.rte
        self.keys = [(rte.id, i) for i in range(len(rte.columns))]
        if rte.kind == "subquery":
            assert rte.query is not None, "a subquery entry has its query"
            self.built = self.ctx.plan_query(rte.query)
            self.lateral = frozenset(self.built.free)
            self.base_rows = self.built.rows
        elif rte.kind == "cte":
            assert rte.cte is not None, "a WITH entry has its item"
            built = self.ctx.ctes.get(rte.cte.number)
            self.base_rows = built.rows if built is not None else 100.0
            self.lateral = frozenset(built.free) if built is not None else frozenset()
        elif rte.kind == "work":
            self.base_rows = 1000.0
        else:
            raise not_built(f"{rte.kind} in FROM")

    # ---- rows

    def rows(self, extra: list[Expr] | None = None) -> float:
        """Rows after the conditions (and `extra` ones)."""
        result = self.base_rows
        for qual in [*self.quals, *(extra or [])]:
            result *= self.statistics.selectivity(qual)
        return max(result, 1.0)

    # ---- paths

    def paths(self, extra: list[Expr] | None = None) -> list[Path]:
        """All ways worth keeping. `extra`: join conditions, whose other columns become executor parameters."""
        rte = self.rte
        quals = [*self.quals, *(extra or [])]
        free = frozenset(k for q in quals for k in expr_vars(self.ctx, q) if k[0] != rte.id) | self.lateral
        rows = self.rows(extra)
        result: list[Path] = []
        relation = rte.relation
        if rte.kind == "relation" and relation is not None and relation.host is None:
            if not extra:
                self._sequential(result, relation, quals, rows, free)
            for place in range(len(relation.indexes)):
                self._indexed(result, relation, place, quals, rows, free, bool(extra))
        else:
            cost = self.built.total if self.built is not None else self.base_rows * CPU_ROW
            startup = self.built.startup if self.built is not None else 0.0
            total = cost + self.base_rows * CPU_OPERATOR * (1 + len(quals))
            build = self._other_builder(quals, rows, total)
            add_path(result, Path(frozenset((rte.id,)), self.keys, rows, startup, total, build, (), free))
        return result

    def _env(self) -> Env:
        return Env(self.ctx, self.keys)

    def _filter(self, quals: list[Expr]) -> Expr | None:
        test = conjunction(quals)
        return self._env().lower(test) if test is not None else None

    def _sequential(
        self, result: list[Path], relation: Relation, quals: list[Expr], rows: float, free: frozenset[Key]
    ) -> None:
        pages, base = table_pages(relation), self.base_rows
        total = pages * PAGE + base * (CPU_ROW + CPU_OPERATOR * len(quals))
        if not self.ctx.info.enable_seqscan:
            total += DISABLED

        def build() -> Node:
            node = nodes.Scan(self.ctx.table(relation), list(self.used), self._filter(quals))
            return self.ctx.estimate(node, rows, total, 0.0, self.width)

        add_path(result, Path(frozenset((self.rte.id,)), self.keys, rows, 0.0, total, build, (), free))

    def _indexed(
        self,
        result: list[Path],
        relation: Relation,
        place: int,
        quals: list[Expr],
        rows: float,
        free: frozenset[Key],
        parameterised: bool,
    ) -> None:
        index = relation.indexes[place]
        match = match_index(relation, self.rte.id, place, quals)
        if match is None:
            if parameterised or index.exprs or index.predicate is not None or not index.valid:
                return
            match = Match(self.rte.id, place, index)
            match.rest = list(quals)
            fetched = self.base_rows
            fetch = INDEX_NEXT if _in_row_order(relation, place) else INDEX_FETCH
        else:
            fetch = INDEX_FETCH
            fetched = 1.0 if match.unique else self.base_rows
            if not match.unique:
                for qual in match.used:
                    fetched *= self.statistics.selectivity(qual)
        fetched = max(fetched, 1.0)
        probes = 1.0
        pages = min(fetched, table_pages(relation))
        startup = INDEX_START * probes
        per_row = CPU_INDEX + fetch + CPU_ROW + CPU_OPERATOR * len(match.rest)
        total = startup + pages * PAGE * 0.5 + fetched * per_row
        if match.unique:
            total = startup + 0.1 + per_row
        if not self.ctx.info.enable_indexscan:
            total += DISABLED
        out = 1.0 if match.unique else rows
        for backward in (False, True):
            columns = frozenset[Key]() if parameterised else self.join_columns
            order = useful(self._order(relation, match, backward), self.wanted, columns)
            if backward and (not order or parameterised or not self.wanted):
                continue
            if not match.selective and not order:
                continue
            build = self._index_builder(relation, match, backward, out, startup, total)
            add_path(result, Path(frozenset((self.rte.id,)), self.keys, out, startup, total, build, order, free))

    def _order(self, relation: Relation, match: Match, backward: bool) -> Order:
        """Order of the rows: the key columns after those that are held equal."""
        if match.any is not None:
            return ()
        items = []
        for key in match.index.keys[len(match.equal) :]:
            items.append(((self.rte.id, key.attnum - 1), key.desc != backward, key.nulls_first != backward))
        return tuple(items)

    def _index_builder(
        self, relation: Relation, match: Match, backward: bool, rows: float, startup: float, total: float
    ) -> Callable[[], Node]:
        def build() -> Node:
            outside = Env(self.ctx)
            low, high = bounds(match, outside.lower)
            array = outside.lower(match.any) if match.any is not None else None
            node = nodes.IndexScan(
                self.ctx.table(relation),
                match.place,
                low,
                high,
                array,
                backward,
                list(self.used),
                self._filter(match.rest),
            )
            return self.ctx.estimate(node, rows, total, startup, self.width)

        return build

    # ---- other kinds

    def _other_builder(self, quals: list[Expr], rows: float, total: float) -> Callable[[], Node]:
        def build() -> Node:
            node = self._other_node()
            self.ctx.estimate(node, self.base_rows, total)
            test = self._filter(quals)
            if test is not None:
                node = self.ctx.estimate(nodes.Filter(node, test), rows, total)
            return node

        return build

    def _other_node(self) -> Node:
        rte = self.rte
        outside = Env(self.ctx)
        if rte.kind == "relation":
            assert rte.relation is not None and rte.relation.host is not None, "a virtual relation"
            return nodes.HostScan(rte.relation.host, [c.typ for c in rte.relation.columns], [])
        if rte.kind == "values":
            rows = [[outside.lower(e) for e in row] for row in rte.rows]
            types = [c.typ for c in rte.columns]
            folded = folded_rows(self.ctx.folded, rte.rows)
            return nodes.Values(rows, types) if folded is None else folded.node(rows, types, self.ctx.analysis.params)
        if rte.kind == "function":
            return self._function_node(outside)
        if rte.kind == "cte":
            assert rte.cte is not None, "a WITH entry has its item"
            return nodes.CteScan(rte.cte.number, len(rte.columns))
        if rte.kind == "work":
            assert rte.cte is not None, "a WITH entry has its item"
            return nodes.WorkScan(rte.cte.number, len(rte.columns))
        assert self.built is not None, "a planned subquery"
        return self.built.node

    def _function_node(self, outside: Env) -> Node:
        rte = self.rte
        calls = rte.calls
        if len(calls) == 1 and calls[0].host:
            rows = nodes.HostScan(calls[0].func, list(calls[0].types), [outside.lower(a) for a in calls[0].args])
            return _numbered(rows) if rte.ordinality else rows
        if len(calls) == 1 and calls[0].expr is not None and not rte.ordinality:
            return nodes.Project(nodes.Single(), [outside.lower(calls[0].expr)])
        made = []
        for call in calls:
            if call.host:
                raise not_built(f"the function {call.func} together with others in FROM")
            if call.expr is not None:
                # A plain value counts as a set of one.
                typ = call.types[0]
                array = self.ctx.catalog.type_by_oid(typ)
                if array is None or not array.array:
                    raise not_built("this function in FROM together with others")
                values = nodes.Array([outside.lower(call.expr)], typ, array.array, False)
                made.append(nodes.SetCall("array_unnest", [values], [array.array], [typ]))
                continue
            made.append(
                nodes.SetCall(call.func, [outside.lower(a) for a in call.args], list(call.arg_types), list(call.types))
            )
        return nodes.FunctionScan(made, rte.ordinality)


def _in_row_order(relation: Relation, place: int) -> bool:
    """Do rows probably lie in this index's order? There are no statistics of that; numbers that are primary keys mostly are counted up."""
    index = relation.indexes[place]
    if not index.primary or len(index.keys) != 1:
        return False
    return relation.columns[index.keys[0].attnum - 1].typ in (oids.INT2, oids.INT4, oids.INT8)


def _numbered(rows: Node) -> Node:
    """WITH ORDINALITY over rows that come one after the other."""
    frame = nodes.Frame("range", nodes.FrameBound("unbounded", None), nodes.FrameBound("current", None), "no others")
    return nodes.Window(rows, [], [], [], [nodes.WindowCall("row_number", [], [], 20, None, frame)])


def key_var(rte: Rte, col: int) -> Var:
    """A column of an entry as a Var."""
    column = rte.columns[col]
    return Var(rte.id, col, column.typ, column.typmod)
