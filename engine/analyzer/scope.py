"""What names mean at one place of a statement: parse state, namespace, column references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sixfold.engine.analyzer import oids, tree
from sixfold.engine.analyzer.tree import Cte, Query, Rte, RteColumn, Var
from sixfold.engine.catalog.model import CatalogReader, Function, Relation
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import LiteralPosition, ast
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr
from sixfold.kernel._kernel import Reading

PLAIN = Reading()


def pos(node: Any) -> int | None:
    """1-based position of a parse node, None where it has none."""
    if type(node) is ast.A_Const:
        return LiteralPosition(node)
    location = getattr(node, "location", None)
    return location + 1 if location is not None and location >= 0 else None


class Params:
    """Types of $1…: given by the client, or inferred where the first use says."""

    def __init__(self, given: Sequence[int]) -> None:
        self.types = [t or oids.UNKNOWN for t in given]
        self.fixed = bool(given)

    def type_of(self, number: int, position: int | None) -> int:
        """Type of $number (from 1), unknown when nothing has said yet."""
        if number < 1 or number > 65535:
            raise SqlError("42P02", f"there is no parameter ${number}", position=position)
        while len(self.types) < number:
            self.types.append(oids.UNKNOWN)
        return self.types[number - 1]

    def infer(self, index: int, typ: int, shown: str, position: int | None) -> None:
        """A use says what $index+1 is."""
        now = self.types[index]
        if now == oids.UNKNOWN:
            self.types[index] = typ
        elif now != typ:
            raise SqlError(
                "42P08",
                f"inconsistent types deduced for parameter ${index + 1}",
                detail=shown,
                position=position,
            )

    def check(self) -> None:
        """Every parameter must have got a type."""
        for i, typ in enumerate(self.types):
            if typ == oids.UNKNOWN:
                raise SqlError("42P18", f"could not determine data type of parameter ${i + 1}")


class Context:
    """Shared by all levels of one statement."""

    def __init__(
        self, catalog: CatalogReader, sql: str, params: Params, user: str, database: str, reading: Reading | None
    ) -> None:
        self.catalog = catalog
        self.sql = sql
        self.params = params
        self.user = user
        self.database = database
        # How constants are read.
        self.reading = reading or PLAIN
        self.sublinks = tree.SubQueryTable()
        # In the order in which they are named.
        self.relations: dict[int, None] = {}
        self.rtes: list[Rte] = []
        self.queries = 0
        self.ctes = 0
        # Relations locked, with the strongest mode asked for.
        self.locks: dict[int, int] = {}
        # Arguments of an SQL function whose body is being expanded.
        self.arguments: list[Expr] | None = None
        self.depth = 0
        # Parts of the analyzer that others call back, put here by `analyze`: a query below a scope; an SQL function's body.
        self.subquery: Callable[[Scope, Any], Query]
        self.inline: Callable[[Scope, Function, list[Expr]], Expr]
        # A statement in WITH; an operand of a set operation; making two operands' types agree.
        self.statement: Callable[[Scope, Any], Query]
        self.operand: Callable[[Scope, Any], Query]
        self.unify: Callable[[Scope, Query, Query, Any], None]

    def new_rte(self, kind: str, alias: str, columns: list[RteColumn]) -> Rte:
        """A new range-table entry."""
        rte = Rte(len(self.rtes), kind, alias, columns)
        self.rtes.append(rte)
        return rte

    def new_query(self, kind: str = "select") -> Query:
        """A new query level."""
        self.queries += 1
        return Query(self.queries, kind)

    def lock(self, relation: int, mode: int) -> None:
        """The statement needs this lock."""
        self.relations.setdefault(relation)
        if self.locks.get(relation, 0) < mode:
            self.locks[relation] = mode


class NsItem:
    """What one FROM item offers to column references."""

    __slots__ = (
        "alias",
        "columns",
        "exprs",
        "lateral_ok",
        "lateral_only",
        "named",
        "nullable",
        "open",
        "relation",
        "rte",
    )

    def __init__(self, alias: str, columns: list[RteColumn], rte: Rte | None = None) -> None:
        self.alias = alias
        self.columns = columns
        self.rte = rte
        # Joins: expressions of the merged columns. Entries: Vars, made when asked for.
        self.exprs: list[Expr] | None = None
        self.relation: Relation | None = rte.relation if rte is not None else None
        # Can be named (`alias.column`), columns can be named alone.
        self.named = True
        self.open = True
        self.lateral_only = False
        self.lateral_ok = True
        # On the side of an outer join that may be missing.
        self.nullable = False

    def expr(self, i: int) -> Expr:
        """Column `i` as an expression."""
        if self.exprs is not None:
            return self.exprs[i]
        assert self.rte is not None, "an item without expressions is an entry"
        column = self.columns[i]
        return Var(self.rte.id, i, column.typ, column.typmod)

    def find(self, name: str, position: int | None) -> int:
        """Place of the column, -1 when there is none."""
        found = -1
        for i, column in enumerate(self.columns):
            if column.name == name and not column.dropped:
                if found >= 0:
                    raise SqlError("42702", f'column reference "{name}" is ambiguous', position=position)
                found = i
        return found

    def visible(self) -> list[int]:
        """Places of the columns that `*` stands for."""
        return [i for i, c in enumerate(self.columns) if not c.dropped and not c.hidden]


class Scope:
    """One query level while it is being analyzed."""

    def __init__(self, context: Context, parent: Scope | None, query: Query) -> None:
        self.context = context
        self.catalog: CatalogReader = parent.catalog if parent is not None else context.catalog
        self.parent = parent
        # Are FROM items to the left visible right now (LATERAL)?
        self.lateral_active = False
        self.query = query
        self.items: list[NsItem] = []
        self.ctes: dict[str, Cte] = {}
        # Names of WITH items that are not visible yet, for the hint.
        self.future_ctes: set[str] = set()
        # What is being analyzed: "select", "where", "from", "group", "having", "order", "limit", "check", …
        self.kind = "select"
        self.windows: list[Any] = []
        self.window_defs: dict[str, Any] = {}
        self.in_aggregate = False
        self.in_window = False
        self.has_window = False
        # Calls of set-returning SQL functions in the select list, with the rows that stand for them.
        self.lateral_calls: list[tuple[Any, Expr]] = []
        self.used_outer = False
        # Locking clause inherited from an outer level's FOR UPDATE.
        self.locked = False

    def find_cte(self, name: str) -> Cte | None:
        """A WITH item by name, at any level."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.ctes:
                return scope.ctes[name]
            scope = scope.parent
        return None


# ---- column references

SYSTEM_COLUMNS = {"tableoid": 26, "ctid": 27, "xmin": 28, "cmin": 29, "xmax": 28, "cmax": 29}


def _check_lateral(item: NsItem, position: int | None) -> None:
    if item.lateral_only and not item.lateral_ok:
        raise SqlError(
            "42P10",
            f'invalid reference to FROM-clause entry for table "{item.alias}"',
            detail="The combining JOIN type must be INNER or LEFT for a LATERAL reference.",
            position=position,
        )


def column_by_name(scope: Scope, name: str, position: int | None) -> Expr | None:
    """An unqualified column, looked for level by level."""
    level: Scope | None = scope
    while level is not None:
        found: Expr | None = None
        for item in level.items:
            if not item.open or (item.lateral_only and not level.lateral_active):
                continue
            i = item.find(name, position)
            if i < 0:
                continue
            if found is not None:
                raise SqlError("42702", f'column reference "{name}" is ambiguous', position=position)
            _check_lateral(item, position)
            found = item.expr(i)
        if found is None and name in SYSTEM_COLUMNS:
            found = _system_of_level(level, name, position)
        if found is not None:
            return found
        level = level.parent
    return None


def _system_of_level(level: Scope, name: str, position: int | None) -> Expr | None:
    found: Expr | None = None
    for item in level.items:
        if item.open and item.relation is not None and item.relation.kind == "r":
            if found is not None:
                raise SqlError("42702", f'column reference "{name}" is ambiguous', position=position)
            found = system_column(item, name, position)
    return found


def system_column(item: NsItem, name: str, position: int | None) -> Expr | None:
    """tableoid and its like, of a table."""
    if name not in SYSTEM_COLUMNS or item.relation is None or item.relation.kind != "r":
        return None
    if name == "tableoid":
        return nodes.Const(oids.OID, str(item.relation.oid))
    if name == "xmin" and (item.relation.host is not None or item.relation.oid < 16384):
        # Catalogue rows show as frozen.
        return nodes.Const(oids.XID, "2")
    raise not_built(f"the system column {name}", position)


def item_by_alias(scope: Scope, alias: str, schema: str | None, position: int | None) -> NsItem | None:
    """A FROM item by name, looked for level by level."""
    level: Scope | None = scope
    while level is not None:
        found: NsItem | None = None
        for item in level.items:
            if not item.named or item.alias != alias or (item.lateral_only and not level.lateral_active):
                continue
            if schema is not None and (item.relation is None or item.relation.schema != schema):
                continue
            if found is not None:
                raise SqlError("42P09", f'table reference "{alias}" is ambiguous', position=position)
            found = item
        if found is not None:
            _check_lateral(found, position)
            return found
        level = level.parent
    return None


def missing_table(scope: Scope, alias: str, position: int | None) -> SqlError:
    """No FROM item of that name can be referred to here."""
    level: Scope | None = scope
    while level is not None:
        for rte in level.query.rtes:
            if rte.alias == alias:
                return SqlError(
                    "42P01",
                    f'invalid reference to FROM-clause entry for table "{alias}"',
                    hint=f'There is an entry for table "{alias}", but it cannot be referenced from this part of the query.',
                    position=position,
                )
        for rte in level.query.rtes:
            if rte.relation is not None and rte.relation.name == alias:
                return SqlError(
                    "42P01",
                    f'invalid reference to FROM-clause entry for table "{alias}"',
                    hint=f'Perhaps you meant to reference the table alias "{rte.alias}".',
                    position=position,
                )
        level = level.parent
    return SqlError("42P01", f'missing FROM-clause entry for table "{alias}"', position=position)


def missing_column(scope: Scope, alias: str | None, name: str, position: int | None) -> SqlError:
    """42703, with PostgreSQL's hint for what may have been meant."""
    message = f"column {alias}.{name} does not exist" if alias else f'column "{name}" does not exist'
    best: list[tuple[str, str]] = []
    distance = 4
    level: Scope | None = scope
    while level is not None:
        for rte in level.query.rtes:
            penalty = 0
            if alias is not None:
                penalty = levenshtein(alias, rte.alias)
            for column in rte.columns:
                if column.dropped:
                    continue
                if column.name == name and penalty == 0:
                    return SqlError(
                        "42703",
                        message,
                        hint=f'There is a column named "{name}" in table "{rte.alias}", but it cannot be referenced from this part of the query.',
                        position=position,
                    )
                near = levenshtein(name, column.name)
                if near > len(name) // 2:
                    continue
                near += penalty
                if near < distance:
                    best, distance = [(rte.alias, column.name)], near
                elif near == distance:
                    best.append((rte.alias, column.name))
                    if len(best) > 2:
                        # Too many at this distance: only a nearer one will do.
                        best, distance = [], near - 1
        level = level.parent
    hint = None
    if distance <= 3 and len(best) == 1:
        hint = f'Perhaps you meant to reference the column "{best[0][0]}.{best[0][1]}".'
    elif distance <= 3 and len(best) == 2:
        (a, b), (c, d) = best
        hint = f'Perhaps you meant to reference the column "{a}.{b}" or the column "{c}.{d}".'
    return SqlError("42703", message, hint=hint, position=position)


def levenshtein(a: str, b: str) -> int:
    """Edit distance."""
    if a == b:
        return 0
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def expand_star(scope: Scope, ref: Any) -> list[tuple[str, Expr, NsItem]]:
    """`*` and `alias.*`."""
    fields = ref.fields
    if len(fields) == 1:
        result = [
            (item.columns[i].name, item.expr(i), item)
            for item in scope.items
            if item.open and not item.lateral_only
            for i in item.visible()
        ]
        if not scope.items:
            raise SqlError("42601", "SELECT * with no tables specified is not valid", position=pos(ref))
        return result
    alias = fields[-2].sval
    schema = fields[-3].sval if len(fields) > 2 else None
    item = item_by_alias(scope, alias, schema, pos(ref))
    if item is None:
        raise missing_table(scope, alias, pos(ref))
    return [(item.columns[i].name, item.expr(i), item) for i in item.visible()]
