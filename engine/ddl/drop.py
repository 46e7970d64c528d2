"""DROP of tables, views, indexes, sequences and schemas, and TRUNCATE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.engine.access import check_relations, check_superuser
from sixfold.engine.catalog.model import Relation
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import enums
from sixfold.engine.utility import Context, entry

from .alter import empty
from .base import CLASS, NAMESPACE, Change
from .dependencies import Dropper
from .schemas import check_schema_owner
from .sequences import options_of, replace_state

if TYPE_CHECKING:
    from sixfold.engine.session import Session

OBJECT = enums.ObjectType
CASCADE = enums.DropBehavior.DROP_CASCADE
RELATIONS = {
    OBJECT.OBJECT_TABLE: ("r", "table", "TABLE"),
    OBJECT.OBJECT_VIEW: ("v", "view", "VIEW"),
    OBJECT.OBJECT_INDEX: ("i", "index", "INDEX"),
    OBJECT.OBJECT_SEQUENCE: ("S", "sequence", "SEQUENCE"),
    OBJECT.OBJECT_MATVIEW: ("m", "materialized view", "MATERIALIZED VIEW"),
}
HINTS = {
    "r": "Use DROP TABLE to remove a table.",
    "v": "Use DROP VIEW to remove a view.",
    "i": "Use DROP INDEX to remove an index.",
    "S": "Use DROP SEQUENCE to remove a sequence.",
}
ARTICLE = {"r": "a table", "v": "a view", "i": "an index", "S": "a sequence", "m": "a materialized view"}
NOTHING = {
    OBJECT.OBJECT_FUNCTION: "function",
    OBJECT.OBJECT_TYPE: "type",
    OBJECT.OBJECT_DOMAIN: "type",
    OBJECT.OBJECT_TRIGGER: "trigger",
    OBJECT.OBJECT_EXTENSION: "extension",
    OBJECT.OBJECT_PROCEDURE: "procedure",
    OBJECT.OBJECT_AGGREGATE: "aggregate",
    OBJECT.OBJECT_POLICY: "policy",
    OBJECT.OBJECT_PUBLICATION: "publication",
    OBJECT.OBJECT_COLLATION: "collation",
    OBJECT.OBJECT_FDW: "foreign-data wrapper",
    OBJECT.OBJECT_FOREIGN_SERVER: "server",
    OBJECT.OBJECT_EVENT_TRIGGER: "event trigger",
    OBJECT.OBJECT_LANGUAGE: "language",
}


@entry("DropStmt", "DROP")
async def drop(session: Session, node: Any, context: Context) -> None:
    """DROP kind name, … [CASCADE | RESTRICT]."""
    change = await Change.begin(session)
    dropper = Dropper(change)
    if node.removeType == OBJECT.OBJECT_SCHEMA:
        tag = "DROP SCHEMA"
        for name in node.objects:
            await _schema(change, dropper, name.sval, node)
    elif node.removeType in RELATIONS:
        kind, word, tag_word = RELATIONS[node.removeType]
        tag = f"DROP {tag_word}"
        for names in node.objects:
            await _relation(change, dropper, [part.sval for part in names], kind, word, bool(node.missing_ok))
    else:
        tag = f"DROP {node.removeType.name.removeprefix('OBJECT_')}"
        _missing(session, node)
    await dropper.run(cascade=node.behavior == CASCADE)
    change.end()
    context.reply.complete(tag)


def _missing(session: Session, node: Any) -> None:
    """Kinds of objects that nobody can have made: IF EXISTS finds none."""
    word = NOTHING.get(node.removeType)
    if word is None:
        raise not_built(f"DROP {node.removeType.name.removeprefix('OBJECT_')}")
    for item in node.objects:
        parts = (
            item
            if isinstance(item, tuple)
            else getattr(item, "objname", None) or getattr(item, "names", None) or (item,)
        )
        name = ".".join(part.sval for part in parts)
        shown = f"{word} {name}()" if word in ("function", "procedure", "aggregate") else f'{word} "{name}"'
        if not node.missing_ok:
            code = "42883" if word in ("function", "procedure", "aggregate") else "42704"
            raise SqlError(
                code, f"{shown} does not exist" if "(" not in shown else f'could not find a {word} named "{name}"'
            )
        session.notice(f"{shown} does not exist, skipping")


async def _relation(change: Change, dropper: Dropper, names: list[str], kind: str, word: str, missing_ok: bool) -> None:
    name, schema = names[-1], names[-2] if len(names) > 1 else None
    if schema is not None and change.catalog.namespace_oid(schema) is None:
        if not missing_ok:
            raise SqlError("3F000", f'schema "{schema}" does not exist')
        change.session.notice(f'schema "{schema}" does not exist, skipping')
        return
    found = change.catalog.relation(name, schema)
    if found is None:
        if not missing_ok:
            raise SqlError("42704" if kind == "i" else "42P01", f'{word} "{name}" does not exist')
        change.session.notice(f'{word} "{name}" does not exist, skipping')
        return
    if found.kind != kind:
        raise SqlError("42809", f'"{name}" is not {ARTICLE[kind]}', hint=HINTS.get(found.kind))
    checked = change.relation(name, schema)
    assert checked is not None
    if kind != "i":
        await change.lock(found.oid)
    dropper.add((CLASS, found.oid, 0))


async def _schema(change: Change, dropper: Dropper, name: str, node: Any) -> None:
    oid = change.catalog.namespace_oid(name)
    if oid is None:
        if not node.missing_ok:
            raise SqlError("3F000", f'schema "{name}" does not exist')
        change.session.notice(f'schema "{name}" does not exist, skipping')
        return
    check_schema_owner(change, oid, name)
    if oid in (11, 99) or name == "information_schema":
        raise SqlError("2BP01", f"cannot drop schema {name} because it is required by the database system")
    dropper.add((NAMESPACE, oid, 0))


@entry("DropRoleStmt", "DROP ROLE")
async def drop_role(session: Session, node: Any, context: Context) -> None:
    """DROP ROLE, DROP USER."""
    check_superuser(session, "permission denied to drop role")
    change = await Change.begin(session)
    for spec in node.roles:
        row = change.session.snapshot.role(spec.rolename or "")
        if row is None:
            if not node.missing_ok:
                raise SqlError("42704", f'role "{spec.rolename}" does not exist')
            session.notice(f'role "{spec.rolename}" does not exist, skipping')
            continue
        if row["rolname"] in (session.user, session.session_user):
            raise SqlError(
                "55006",
                "current user cannot be dropped"
                if row["rolname"] == session.user
                else "session user cannot be dropped",
            )
        if row["oid"] < 16384:
            raise SqlError("2BP01", f"cannot drop role {row['rolname']} because it is required by the database system")
        owned = [
            c["relname"]
            for c in change.rows["pg_class"].rows.values()
            if c["relowner"] == row["oid"] and c["relkind"] != "i"
        ]
        if owned:
            detail = "\n".join(f"owner of table {name}" for name in owned[:100])
            raise SqlError(
                "2BP01", f'role "{row["rolname"]}" cannot be dropped because some objects depend on it', detail=detail
            )
        for member in (
            *change.rows["pg_auth_members"].group(("member",), row["oid"]),
            *change.rows["pg_auth_members"].group(("roleid",), row["oid"]),
        ):
            await change.writer.delete("pg_auth_members", member)
        await change.writer.delete("pg_authid", row)
    change.end()
    context.reply.complete("DROP ROLE")


@entry("TruncateStmt", "TRUNCATE TABLE")
async def truncate(session: Session, node: Any, context: Context) -> None:
    """TRUNCATE: new trees, so that a rollback finds the old ones."""
    change = await Change.begin(session)
    tables: dict[int, Relation] = {}
    for name in node.relations:
        table = change.must(name.relname, name.schemaname, kinds="r", use=True)
        tables[table.oid] = table
    queue = list(tables.values())
    while queue:
        table = queue.pop(0)
        for item in change.catalog.referencing(table.oid):
            if item.relation in tables:
                continue
            child = change.must_oid(item.relation)
            if node.behavior != CASCADE:
                raise SqlError(
                    "0A000",
                    "cannot truncate a table referenced in a foreign key constraint",
                    detail=f'Table "{child.name}" references "{table.name}".',
                    hint=f'Truncate table "{child.name}" at the same time, or use TRUNCATE ... CASCADE.',
                )
            session.notice(f'truncate cascades to table "{child.name}"')
            check_relations(session, [child.oid])
            tables[child.oid] = child
            queue.append(child)
    for table in tables.values():
        await change.lock(table.oid)
        change.check_not_in_use(table, "TRUNCATE")
    for table in tables.values():
        await empty(change, change.must_oid(table.oid))
        if node.restart_seqs:
            await _restart(change, table)
    change.end()
    context.reply.complete("TRUNCATE TABLE")


async def _restart(change: Change, table: Relation) -> None:
    """RESTART IDENTITY: sequences that the table's columns own begin again."""
    for row in change.rows["pg_depend"].group(("refclassid", "refobjid"), CLASS, table.oid):
        if row["classid"] == CLASS and row["deptype"] in "ai":
            sequence = change.catalog.sequence(row["objid"])
            own = change.rows["pg_sequence"].get(row["objid"])
            if sequence is not None and own is not None:
                options = options_of(own)
                options.restart = True
                await replace_state(change, sequence, options)
