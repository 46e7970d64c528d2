"""CREATE [OR REPLACE] VIEW: the query is kept as SQL text with the search path that it was written under."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sixfold.engine import parser
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.catalog.model import Relation
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import quote_ident
from sixfold.engine.plans import Prepared, prepare
from sixfold.engine.stored import expand_star, keep_query
from sixfold.engine.utility import Context, entry

from .base import CLASS, NAMESPACE, REWRITE, Change, class_row, truncated
from .columns import Spec, add_columns, check_names
from .tables import make_row_type
from .temporary import target_namespace

if TYPE_CHECKING:
    from sixfold.engine.session import Session


@entry("ViewStmt", "CREATE VIEW")
async def create_view(session: Session, node: Any, context: Context) -> None:
    """CREATE VIEW."""
    if node.withCheckOption.name != "NO_CHECK_OPTION":
        raise not_built("WITH CHECK OPTION")
    change = await Change.begin(session)
    prepared = await session.think(context.text, lambda: prepare(session, node.query, context.text, at=-5))
    if prepared.planned.params:
        raise SqlError("42P02", "there is no parameter $1")
    specs = _columns(change, prepared, [part.sval for part in node.aliases or ()])
    if _uses_temporary(change, prepared) and node.view.relpersistence != "t":
        session.notice(f'view "{node.view.relname}" will be a temporary view')
        node.view.relpersistence = "t"
    namespace, persistence = await target_namespace(change, node.view)
    name = truncated(node.view.relname)
    text = await session.think(context.text, lambda: _text(change, node.query, specs, prepared))
    if change.is_taken(namespace, name):
        if not node.replace:
            raise SqlError("42P07", f'relation "{name}" already exists')
        oid = await _replace(change, namespace, name, specs)
    else:
        change.check_free(namespace, name)
        oid = await _make(change, namespace, name, specs, persistence)
    await _rule(change, oid, text, prepared)
    change.end()
    context.reply.complete("CREATE VIEW")


def _columns(change: Change, prepared: Prepared, aliases: list[str]) -> list[Spec]:
    if len(aliases) > len(prepared.planned.output):
        raise SqlError("42601", "CREATE VIEW specifies more column names than columns")
    specs: list[Spec] = []
    for number, column in enumerate(prepared.planned.output, 1):
        typ = change.catalog.type_by_oid(25 if column.typ == 705 else column.typ)
        assert typ is not None
        spec = Spec(
            truncated(aliases[number - 1]) if number <= len(aliases) else column.name, typ, column.typmod, typ.collation
        )
        spec.attnum = number
        specs.append(spec)
    check_names(specs)
    return specs


def _uses_temporary(change: Change, prepared: Prepared) -> bool:
    relations = [change.catalog.relation_by_oid(oid) for oid in prepared.planned.relations]
    return any(relation is not None and relation.persistence == "t" for relation in relations)


def _text(change: Change, query: Any, specs: list[Spec], prepared: Prepared) -> str:
    """The query as it is kept. Stars are written out, so that columns added to its tables later do not show; where that can not be
    done, or the view gives its columns other names, it stands below a list of the view's columns."""
    written = expand_star(query, [column.name for column in prepared.planned.output])
    keep_query(change.catalog, query)
    text = parser.deparse(query)
    names = [spec.name for spec in specs]
    if written and names == [column.name for column in prepared.planned.output]:
        return text
    listed = ", ".join(quote_ident(name) for name in names)
    return f"SELECT {listed} FROM ({text}) sixfold_view({listed})"


async def _make(change: Change, namespace: int, name: str, specs: list[Spec], persistence: str) -> int:
    oid = await change.oid()
    row_type = await make_row_type(change, oid, name, namespace, change.owner())
    await change.writer.insert(
        "pg_class",
        class_row(
            oid,
            name,
            namespace,
            "v",
            change.owner(),
            reltype=row_type,
            relnatts=len(specs),
            relpersistence=persistence,
            relhasrules=True,
        ),
    )
    await change.depend((CLASS, oid, 0), (NAMESPACE, namespace, 0))
    await add_columns(change, oid, specs)
    return oid


async def _replace(change: Change, namespace: int, name: str, specs: list[Spec]) -> int:
    """OR REPLACE: old columns keep names and types, new ones come after them."""
    found = change.session.snapshot.find(namespace, name)
    assert found is not None
    if found.kind != "v":
        raise SqlError("42809", f'"{name}" is not a view')
    await change.lock(found.oid)
    _check_columns(change, found, specs)
    new = specs[len(found.columns) :]
    await add_columns(change, found.oid, new)
    own = change.rows["pg_class"].get(found.oid)
    assert own is not None
    if new:
        await change.writer.update("pg_class", own, relnatts=len(specs))
    for rule in change.rows["pg_rewrite"].group(("ev_class",), found.oid):
        await change.forget_dependencies(REWRITE, rule["oid"])
        await change.writer.delete("pg_rewrite", rule)
    return found.oid


def _check_columns(change: Change, view: Relation, specs: list[Spec]) -> None:
    if len(specs) < len(view.columns):
        raise SqlError("42P16", "cannot drop columns from view")
    for old, new in zip(view.columns, specs, strict=False):
        if old.name != new.name:
            raise SqlError(
                "42P16",
                f'cannot change name of view column "{old.name}" to "{new.name}"',
                hint="Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
            )
        if (old.typ, old.typmod) != (new.typ.oid, new.typmod):
            one, two = (
                format_type(change.catalog, old.typ, old.typmod),
                format_type(change.catalog, new.typ.oid, new.typmod),
            )
            raise SqlError("42P16", f'cannot change data type of view column "{old.name}" from {one} to {two}')


async def _rule(change: Change, view: int, text: str, prepared: Prepared) -> None:
    oid = await change.oid()
    path = json.dumps(list(change.catalog.search_path()))
    await change.writer.insert(
        "pg_rewrite",
        {
            "oid": oid,
            "rulename": "_RETURN",
            "ev_class": view,
            "ev_type": "1",
            "ev_enabled": "O",
            "is_instead": True,
            "ev_qual": path,
            "ev_action": text,
        },
    )
    await change.depend((REWRITE, oid, 0), (CLASS, view, 0), "i")
    for relation in prepared.planned.relations:
        if relation == view:
            raise SqlError("42P17", "infinite recursion detected in rules for relation")
        used = change.catalog.relation_by_oid(relation)
        if used is None:
            continue
        await change.depend((REWRITE, oid, 0), (CLASS, relation, 0))
        words = set(_names(text))
        for column in used.columns:
            if not column.dropped and column.name in words:
                await change.depend((REWRITE, oid, 0), (CLASS, relation, column.attnum))


def _names(text: str) -> list[str]:
    """Every name in a query: columns of these names are taken to be used (all of them below a star)."""
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, tuple):
            for item in part:
                walk(item)
        elif isinstance(part, parser.ast.Node):
            if isinstance(part, parser.ast.ColumnRef):
                found.extend(field.sval for field in part.fields if hasattr(field, "sval"))
            for name in part:
                value = getattr(part, name)
                if isinstance(value, tuple | parser.ast.Node):
                    walk(value)

    walk(parser.parse_one(text))
    return found
