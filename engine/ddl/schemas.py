"""CREATE SCHEMA, ALTER SCHEMA's rename and owner, and what makes a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.engine.access import check_superuser, is_member
from sixfold.engine.errors import SqlError
from sixfold.engine.reply import SilentReply
from sixfold.engine.utility import Context, entry, find

from .base import Change, truncated

if TYPE_CHECKING:
    from sixfold.engine.session import Session


async def make_namespace(change: Change, name: str, owner: int) -> int:
    """A new schema's OID."""
    oid = await change.oid()
    await change.writer.insert("pg_namespace", {"oid": oid, "nspname": name, "nspowner": owner, "nspacl": None})
    return oid


def check_schema_name(name: str) -> None:
    """42939 for names that begin as the system's do."""
    if name.startswith("pg_"):
        raise SqlError(
            "42939", f'unacceptable schema name "{name}"', detail='The prefix "pg_" is reserved for system schemas.'
        )


@entry("CreateSchemaStmt", "CREATE SCHEMA")
async def create_schema(session: Session, node: Any, context: Context) -> None:
    """CREATE SCHEMA [IF NOT EXISTS] name [AUTHORIZATION role] [elements]."""
    name = truncated(node.schemaname or role_name(session, node.authrole))
    check_schema_name(name)
    check_superuser(session, f"permission denied for database {session.database_name}")
    change = await Change.begin(session)
    if change.catalog.namespace_oid(name) is not None:
        if not node.if_not_exists:
            raise SqlError("42P06", f'schema "{name}" already exists')
        session.notice(f'schema "{name}" already exists, skipping', code="42P06")
        context.reply.complete("CREATE SCHEMA")
        return
    owner = role_oid(session, node.authrole) if node.authrole is not None else change.owner()
    await make_namespace(change, name, owner)
    change.end()
    session.creating = change.catalog.namespace_oid(name)
    try:
        await _elements(session, node, context, name)
    finally:
        session.creating = None
    context.reply.complete("CREATE SCHEMA")


async def _elements(session: Session, node: Any, context: Context, name: str) -> None:
    """What CREATE SCHEMA makes along with the schema, which is first in the search path meanwhile."""
    for element in node.schemaElts or ():
        _place(element, name)
        await find(element).run(session, element, Context(context.text, context.own_text, SilentReply(session)))


def _place(element: Any, schema: str) -> None:
    relation = (
        getattr(element, "relation", None) or getattr(element, "view", None) or getattr(element, "sequence", None)
    )
    if relation is not None and relation.schemaname is None:
        relation.schemaname = schema


def role_name(session: Session, spec: Any) -> str:
    """The role that a RoleSpec names."""
    kind = spec.roletype.name
    if kind == "ROLESPEC_CSTRING":
        return str(spec.rolename)
    if kind in ("ROLESPEC_CURRENT_USER", "ROLESPEC_CURRENT_ROLE"):
        return session.user
    if kind == "ROLESPEC_SESSION_USER":
        return session.session_user
    return "public"


def role_oid(session: Session, spec: Any) -> int:
    """Its OID; 42704 when there is none."""
    name = role_name(session, spec)
    row = session.snapshot.role(name)
    if row is None:
        raise SqlError("42704", f'role "{name}" does not exist')
    return int(row["oid"])


def new_owner(session: Session, spec: Any) -> int:
    """OID of the role that is to own something: one of which the current role is a member."""
    owner = role_oid(session, spec)
    if not is_member(session, owner):
        raise SqlError("42501", f'must be member of role "{role_name(session, spec)}"')
    return owner


def own_schema(change: Change, name: str) -> int:
    """A schema of the current role's."""
    oid = change.users_schema(name)
    check_schema_owner(change, oid, name)
    return oid


def check_schema_owner(change: Change, oid: int, name: str) -> None:
    """42501 when the role may not drop or rename a schema."""
    row = change.rows["pg_namespace"].get(oid)
    if row is not None and not is_member(change.session, row["nspowner"]):
        raise SqlError("42501", f"must be owner of schema {name}")


async def rename_schema(change: Change, old: str, new: str) -> None:
    """ALTER SCHEMA … RENAME TO."""
    check_schema_name(new)
    oid = change.catalog.namespace_oid(old)
    if oid is None:
        raise SqlError("3F000", f'schema "{old}" does not exist')
    if change.catalog.namespace_oid(new) is not None:
        raise SqlError("42P06", f'schema "{new}" already exists')
    row = change.rows["pg_namespace"].get(oid)
    assert row is not None
    check_schema_owner(change, oid, old)
    await change.writer.update("pg_namespace", row, nspname=new)
