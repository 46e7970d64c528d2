"""COMMENT ON, GRANT and REVOKE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.engine.access import check_superuser
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import enums
from sixfold.engine.utility import Context, entry

from .base import AUTHID, CLASS, CONSTRAINT, DATABASE, KINDS, NAMESPACE, Change
from .roles import makes_roles
from .schemas import own_schema, role_oid

if TYPE_CHECKING:
    from sixfold.engine.session import Session

OBJECT = enums.ObjectType
RELATIONS = {OBJECT.OBJECT_TABLE: "r", OBJECT.OBJECT_VIEW: "v", OBJECT.OBJECT_INDEX: "i", OBJECT.OBJECT_SEQUENCE: "S"}


def _target(change: Change, node: Any) -> tuple[int, int, int]:
    kind = node.objtype
    if kind in RELATIONS:
        names = [part.sval for part in node.object]
        found = change.must(names[-1], names[-2] if len(names) > 1 else None)
        if found.kind != RELATIONS[kind]:
            raise SqlError("42809", f'"{found.name}" is not a {KINDS[RELATIONS[kind]]}')
        return CLASS, found.oid, 0
    if kind == OBJECT.OBJECT_COLUMN:
        names = [part.sval for part in node.object]
        table = change.must(names[-2], names[-3] if len(names) > 2 else None)
        column = next((c for c in table.columns if c.name == names[-1] and not c.dropped), None)
        if column is None:
            raise SqlError("42703", f'column "{names[-1]}" of relation "{table.name}" does not exist')
        return CLASS, table.oid, column.attnum
    if kind == OBJECT.OBJECT_TABCONSTRAINT:
        names = [part.sval for part in node.object]
        table = change.must(names[-2], names[-3] if len(names) > 2 else None)
        item = next((c for c in table.constraints if c.name == names[-1]), None)
        if item is None:
            raise SqlError("42704", f'constraint "{names[-1]}" for table "{table.name}" does not exist')
        return CONSTRAINT, item.oid, 0
    if kind == OBJECT.OBJECT_SCHEMA:
        return NAMESPACE, own_schema(change, node.object.sval), 0
    raise not_built(f"COMMENT ON {kind.name.removeprefix('OBJECT_')}")


@entry("CommentStmt", "COMMENT")
async def comment(session: Session, node: Any, context: Context) -> None:
    """COMMENT ON object IS text."""
    change = await Change.begin(session)
    text = node.comment or None
    if node.objtype in (OBJECT.OBJECT_DATABASE, OBJECT.OBJECT_ROLE):
        await _shared(change, node, text)
    elif node.objtype == OBJECT.OBJECT_EXTENSION:
        raise SqlError("42704", f'extension "{node.object.sval}" does not exist')
    else:
        classid, oid, sub = _target(change, node)
        old = change.rows["pg_description"].get(oid, classid, sub)
        if old is not None:
            await change.writer.delete("pg_description", old)
        if text is not None:
            await change.writer.insert(
                "pg_description", {"objoid": oid, "classoid": classid, "objsubid": sub, "description": text}
            )
    change.end()
    context.reply.complete("COMMENT")


async def _shared(change: Change, node: Any, text: str | None) -> None:
    name = node.object.sval
    if node.objtype == OBJECT.OBJECT_DATABASE:
        found = change.rows["pg_database"].group(("datname",), name)
        if not found:
            raise SqlError("3D000", f'database "{name}" does not exist')
        classid, oid = DATABASE, found[0]["oid"]
        check_superuser(change.session, f"must be owner of database {name}")
    else:
        role = change.session.snapshot.role(name)
        if role is None:
            raise SqlError("42704", f'role "{name}" does not exist')
        classid, oid = AUTHID, role["oid"]
        if role["rolsuper"] or not makes_roles(change.session):
            what = "must be superuser" if role["rolsuper"] else "must have CREATEROLE privilege"
            check_superuser(change.session, what)
    old = change.rows["pg_shdescription"].get(oid, classid)
    if old is not None:
        await change.writer.delete("pg_shdescription", old)
    if text is not None:
        await change.writer.insert("pg_shdescription", {"objoid": oid, "classoid": classid, "description": text})


@entry("GrantStmt", "GRANT")
async def grant(session: Session, node: Any, context: Context) -> None:
    """GRANT and REVOKE on objects: nothing to do for superusers and owners, whom nothing is kept from; else 0A000, so that nobody
    believes in a privilege that is not checked."""
    change = await Change.begin(session)
    for grantee in node.grantees:
        if grantee.roletype.name == "ROLESPEC_PUBLIC":
            continue
        row = change.rows["pg_authid"].get(role_oid(session, grantee))
        if row is not None and not row["rolsuper"]:
            raise not_built("GRANT and REVOKE of privileges of roles that are not superusers")
    if node.objtype in (OBJECT.OBJECT_TABLE, OBJECT.OBJECT_SEQUENCE) and node.targtype.name == "ACL_TARGET_OBJECT":
        for item in node.objects:
            if change.catalog.relation(item.relname, item.schemaname) is None:
                raise SqlError("42P01", f'relation "{item.relname}" does not exist')
    change.end()
    context.reply.complete("GRANT" if node.is_grant else "REVOKE")
