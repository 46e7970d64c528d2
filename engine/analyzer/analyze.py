"""The analyzer's door: one statement from its raw tree to a resolved query tree."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import functions, operators, sublinks
from sixfold.engine.analyzer.coerce import coerce, coerce_to_boolean
from sixfold.engine.analyzer.dml import delete, insert, update
from sixfold.engine.analyzer.exprs import position_of, transform
from sixfold.engine.analyzer.from_clause import relation_columns
from sixfold.engine.analyzer.functions import inline
from sixfold.engine.analyzer.scope import Context, NsItem, Params, Scope
from sixfold.engine.analyzer.select import analyze_select, subquery, unify_queries
from sixfold.engine.analyzer.tree import Query, Rte
from sixfold.engine.catalog.model import CatalogReader, Relation
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import LiteralPosition, ast, literal_position
from sixfold.engine.planner.nodes import Expr
from sixfold.kernel._kernel import Reading

# Modules that register handlers of expressions.
REGISTERED = (functions, operators, sublinks)


def new_context(
    catalog: CatalogReader,
    sql: str,
    param_types: tuple[int, ...] = (),
    user: str = "",
    database: str = "",
    reading: Reading | None = None,
) -> Context:
    """What one statement's analysis shares."""
    context = Context(catalog, sql, Params(param_types), user, database, reading)
    context.subquery = subquery
    context.inline = inline
    context.statement = _in_with
    context.operand = lambda scope, node: subquery(scope, node, resolve=False)
    context.unify = lambda scope, left, right, node: _unify(scope, left, right, node)
    return context


def _unify(scope: Scope, left: Query, right: Query, node: Any) -> None:
    unify_queries(scope, "UNION", left, right, node)


_DML = {ast.InsertStmt: insert, ast.UpdateStmt: update, ast.DeleteStmt: delete}


def _in_with(parent: Scope, node: Any) -> Query:
    if type(node) is ast.SelectStmt:
        return subquery(parent, node)
    handler = _DML.get(type(node))
    if handler is None:
        raise not_built(f"{type(node).__name__} in WITH")
    if parent.parent is not None:
        raise SqlError("0A000", "WITH clause containing a data-modifying statement must be at the top level")
    query = parent.context.new_query()
    query.parent = parent.query
    return handler(Scope(parent.context, parent, query), node)


def analyze(context: Context, node: Any) -> Query:
    """A SELECT, VALUES, INSERT, UPDATE or DELETE. Parameter types are complete afterwards."""
    try:
        return _analyze(context, node)
    except SqlError as error:
        if type(error.position) is LiteralPosition:
            error.position = literal_position(context.sql, node, error.position)
        raise


def _analyze(context: Context, node: Any) -> Query:
    query = context.new_query()
    scope = Scope(context, None, query)
    if type(node) is ast.SelectStmt:
        analyze_select(None, node, scope)
    else:
        handler = _DML.get(type(node))
        if handler is None:
            raise not_built(f"{type(node).__name__}")
        handler(scope, node)
    context.params.check()
    return query


def analyze_expression(
    context: Context,
    node: Any,
    statement: Any = None,
    *,
    relation: Relation | None = None,
    kind: str = "check",
    typ: int = 0,
    typmod: int = -1,
) -> tuple[Expr, Rte | None]:
    """An expression by itself: a default, a CHECK, a USING clause, an EXECUTE argument. Over `relation`'s columns when given
    (Vars of the answered entry); cast to `typ` by assignment when given. `statement`: what it is a part of, whose text the
    context has."""
    try:
        return _analyze_expression(context, node, relation, kind, typ, typmod)
    except SqlError as error:
        if type(error.position) is LiteralPosition:
            error.position = literal_position(context.sql, statement, error.position) if statement is not None else None
        raise


def _analyze_expression(
    context: Context, node: Any, relation: Relation | None, kind: str, typ: int, typmod: int
) -> tuple[Expr, Rte | None]:
    scope = Scope(context, None, Query(0))
    scope.kind = kind
    rte: Rte | None = None
    if relation is not None:
        rte = context.new_rte("relation", relation.name, relation_columns(relation))
        rte.relation = relation
        scope.items = [NsItem(relation.name, rte.columns, rte)]
        scope.query.rtes.append(rte)
    expr = transform(scope, node)
    if kind in ("check", "predicate"):
        expr = coerce_to_boolean(scope, expr, "CHECK" if kind == "check" else "WHERE", position_of(node))
    elif typ:
        cast = coerce(scope, expr, typ, typmod, "a", position_of(node))
        if cast is None:
            raise SqlError("42804", "expression cannot be cast to the column's type", position=position_of(node))
        expr = cast
    return expr, rte
