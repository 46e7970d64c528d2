"""SEARCH and CYCLE of a recursive query, written out as columns that its two terms carry along.

As PostgreSQL does it: the sequence column is the path of rows (depth first) or the level with the row (breadth first), the path
column is the rows on the way, and the mark says that the row is among them already; nothing follows a marked row.
"""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer.scope import pos
from sixfold.engine.errors import SqlError, syntax_error
from sixfold.engine.parser import ast, enums, parse_one, quote_ident

# A column that nobody sees: how deep a row was found, breadth first.
LEVEL = "*LEVEL*"


class Carried:
    """A column that both terms carry, and its value in each."""

    def __init__(self, name: str, first: str, next_: str) -> None:
        self.name = name
        self.first = first
        self.next = next_


def written_out(item: Any, names: list[str]) -> tuple[Any, list[Carried]]:
    """The UNION with the columns in both terms; `names` are the query's own. The level, which nobody sees, comes last."""
    node = item.ctequery
    for term, side in ((node.larg, "left"), (node.rarg, "right")):
        if term.op != enums.SetOperation.SETOP_NONE:
            raise syntax_error(f"with a SEARCH or CYCLE clause, the {side} side of the UNION must be a SELECT")
    carried: list[Carried] = []
    if item.search_clause is not None:
        carried += _search(item.search_clause, names)
    if item.cycle_clause is not None:
        carried += _cycle(item, names)
    carried.sort(key=lambda column: column.name == LEVEL)
    alias = _reference(node.rarg, item.ctename)
    left = _term(names, carried, node.larg, [c.first for c in carried], [])
    carrying = _carrying(node.rarg, alias, carried, item.cycle_clause)
    right = _term(names, carried, carrying, [c.next for c in carried], [c.name for c in carried])
    if item.cycle_clause is not None:
        _put_marks(left, right, len(names), carried, item.cycle_clause)
    return ast.SelectStmt(op=node.op, all=node.all, larg=left, rarg=right), carried


def _row(columns: Any) -> str:
    return f"ROW({', '.join(quote_ident(c.sval) for c in columns)})"


def _check(what: str, columns: Any, names: list[str], clause: Any) -> None:
    seen = set()
    for column in columns:
        if column.sval not in names:
            raise syntax_error(f'{what} column "{column.sval}" not in WITH query column list', pos(clause))
        if column.sval in seen:
            text = f'{what} column "{column.sval}" specified more than once'
            raise SqlError("42701", text, position=pos(clause))
        seen.add(column.sval)


def _search(clause: Any, names: list[str]) -> list[Carried]:
    columns, name = clause.search_col_list, clause.search_seq_column
    _check("search", columns, names, clause)
    if name in names:
        raise syntax_error(f'search sequence column name "{name}" already used in WITH query column list', pos(clause))
    row = _row(columns)
    if not clause.search_breadth_first:
        return [Carried(name, f"ARRAY[{row}]", f"pg_catalog.array_append({quote_ident(name)}, {row})")]
    level = f"{quote_ident(LEVEL)} + 1"
    after = row.removeprefix("ROW(")
    return [
        Carried(name, f"ROW(0::int8, {after}", f"ROW({level}, {after}"),
        Carried(LEVEL, "0::int8", level),
    ]


def _cycle(item: Any, names: list[str]) -> list[Carried]:
    clause = item.cycle_clause
    mark, path = clause.cycle_mark_column, clause.cycle_path_column
    _check("cycle", clause.cycle_col_list, names, clause)
    used = [*names, item.search_clause.search_seq_column] if item.search_clause is not None else names
    for what, name in (("mark", mark), ("path", path)):
        if name in used:
            where = "WITH query column list" if name in names else "search sequence column name"
            raise syntax_error(f'cycle {what} column name "{name}" already used in {where}', pos(clause))
    if mark == path:
        raise syntax_error("cycle mark column name and cycle path column name are the same", pos(clause))
    row, before = _row(clause.cycle_col_list), quote_ident(path)
    return [
        # The constants come in as they were parsed.
        Carried(mark, "NULL", f"CASE WHEN {row} = ANY ({before}) THEN NULL ELSE NULL END"),
        Carried(path, f"ARRAY[{row}]", f"pg_catalog.array_append({before}, {row})"),
    ]


def _put_marks(left: Any, right: Any, at: int, carried: list[Carried], clause: Any) -> None:
    place = at + next(i for i, column in enumerate(carried) if column.name == clause.cycle_mark_column)
    left.targetList[place].val = clause.cycle_mark_default
    case = right.targetList[place].val
    case.args[0].result = clause.cycle_mark_value
    case.defresult = clause.cycle_mark_default


def _term(names: list[str], carried: list[Carried], term: Any, values: list[str], inside: list[str]) -> Any:
    own = [quote_ident(name) for name in names]
    shown = [f"{value} AS {quote_ident(c.name)}" for value, c in zip(values, carried, strict=True)]
    offered = ", ".join([*own, *map(quote_ident, inside)])
    made = parse_one(f'SELECT {", ".join([*own, *shown])} FROM (SELECT 1) AS "*TERM*"({offered})')
    made.fromClause[0].subquery = term
    return made


def _carrying(term: Any, alias: str, carried: list[Carried], cycle: Any) -> Any:
    """The recursive term with the carried columns of its query, and nothing after a marked row."""

    def column(name: str) -> Any:
        return ast.ColumnRef(fields=(ast.String(alias), ast.String(name)))

    kept = {name: getattr(term, name) for name in term}
    kept["targetList"] = (*term.targetList, *(ast.ResTarget(val=column(c.name)) for c in carried))
    if cycle is not None:
        mark, value = column(cycle.cycle_mark_column), cycle.cycle_mark_value
        test = ast.A_Expr(kind=enums.A_Expr_Kind.AEXPR_OP, name=(ast.String("<>"),), lexpr=mark, rexpr=value)
        both = (test,) if term.whereClause is None else (term.whereClause, test)
        kept["whereClause"] = ast.BoolExpr(boolop=enums.BoolExprType.AND_EXPR, args=both) if len(both) > 1 else test
    return ast.SelectStmt(**kept)


def _reference(term: Any, name: str) -> str:
    """What the recursive term calls the query."""
    stack = list(term.fromClause or ())
    while stack:
        part = stack.pop()
        if type(part) is ast.JoinExpr:
            stack += [part.larg, part.rarg]
        elif type(part) is ast.RangeVar and part.relname == name and part.schemaname is None:
            return str(part.alias.aliasname if part.alias is not None else name)
    raise SqlError(
        "0A000",
        f'with a SEARCH or CYCLE clause, the recursive reference to WITH query "{name}" must be at the top level of its '
        "right-hand SELECT",
    )
