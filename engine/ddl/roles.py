"""CREATE, ALTER ROLE, membership, and settings of roles and databases. Passwords are kept as SCRAM-SHA-256 verifiers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
from typing import TYPE_CHECKING, Any

from sixfold.engine.access import check_superuser, is_superuser
from sixfold.engine.catalog.bootstrap import role_row
from sixfold.engine.catalog.rows import Row
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.settings import check, find
from sixfold.engine.show import written
from sixfold.engine.utility import Context, entry

from .base import Change, truncated
from .schemas import role_name, role_oid

if TYPE_CHECKING:
    from sixfold.engine.session import Session

FLAGS = {
    "superuser": "rolsuper",
    "inherit": "rolinherit",
    "createrole": "rolcreaterole",
    "createdb": "rolcreatedb",
    "canlogin": "rolcanlogin",
    "isreplication": "rolreplication",
    "bypassrls": "rolbypassrls",
}
NEW_BY_SUPERUSERS = {
    "superuser": "superusers",
    "isreplication": "replication users",
    "bypassrls": "bypassrls users",
}
ITERATIONS = 4096
# More would hold the others up.
ITERATIONS_TRIED = 100_000


def verifier(password: str, salt: bytes) -> str:
    """pg_authid.rolpassword for a password; a verifier is kept as it is."""
    if password.startswith("SCRAM-SHA-256$"):
        return password
    # scramp takes a while to import, and passwords are seldom set.
    mechanism = importlib.import_module("scramp").ScramMechanism("SCRAM-SHA-256")
    _, stored, server, count = mechanism.make_auth_info(password, iteration_count=ITERATIONS, salt=salt)
    shown = [base64.b64encode(data).decode() for data in (salt, stored, server)]
    return f"SCRAM-SHA-256${count}:{shown[0]}${shown[1]}:{shown[2]}"


def _salt(session: Session) -> bytes:
    return session.database.runtime.random.getrandbits(128).to_bytes(16, "big")


def _is_empty(password: str) -> bool:
    """The empty password, or a verifier of it."""
    try:
        _, counted, keys = password.split("$")
        count, _, salt = counted.partition(":")
        if int(count) > ITERATIONS_TRIED:
            return False
        salted = hashlib.pbkdf2_hmac("sha256", b"", base64.b64decode(salt), int(count))
        stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
        return base64.b64decode(keys.partition(":")[0]) == stored
    except ValueError:
        return not password


def _password(session: Session, password: str) -> str | None:
    if _is_empty(password):
        session.notice("empty string is not a valid password, clearing password")
        return None
    return verifier(password, _salt(session))


async def _options(session: Session, row: Row, options: Any) -> tuple[Row, list[Any], list[Any]]:
    """(the changed row, roles to be a member of, roles to be members)"""
    change = dict(row)
    member_of: list[Any] = []
    members: list[Any] = []
    for option in options or ():
        name = option.defname
        if name in FLAGS:
            change[FLAGS[name]] = bool(option.arg.boolval)
        elif name == "password":
            change["rolpassword"] = _password(session, option.arg.sval) if option.arg is not None else None
        elif name == "connectionlimit":
            change["rolconnlimit"] = option.arg.ival
        elif name == "validUntil":
            rows = await session.statements.fetch(
                "SELECT $1::text::timestamptz", (option.arg.sval,), catalog=session.catalog()
            )
            change["rolvaliduntil"] = rows[0][0]
        elif name == "addroleto":
            member_of += option.arg
        elif name in ("rolemembers", "adminmembers"):
            members += option.arg
        elif name != "sysid":
            raise not_built(f"the role option {name}")
    return change, member_of, members


def makes_roles(session: Session) -> bool:
    """Superuser or CREATEROLE?"""
    me = session.snapshot.role(session.user)
    return me is not None and bool(me["rolsuper"] or me["rolcreaterole"])


def _may_alter(session: Session, row: Row, options: Any) -> None:
    """42501 when the current role may not change that of `row` so."""
    if is_superuser(session):
        return
    names = {option.defname for option in options or ()}
    if row["rolsuper"] or "superuser" in names:
        raise SqlError("42501", "must be superuser to alter superuser roles or change superuser attribute")
    if row["rolreplication"] or "isreplication" in names:
        raise SqlError("42501", "must be superuser to alter replication roles or change replication attribute")
    if "bypassrls" in names:
        raise SqlError("42501", "must be superuser to change bypassrls attribute")
    if not makes_roles(session) and (row["rolname"] != session.user or names != {"password"}):
        raise SqlError("42501", "permission denied")


@entry("CreateRoleStmt", "CREATE ROLE")
async def create_role(session: Session, node: Any, context: Context) -> None:
    """CREATE ROLE, USER, GROUP."""
    for option in node.options or ():
        if option.defname in NEW_BY_SUPERUSERS and option.arg.boolval:
            check_superuser(session, f"must be superuser to create {NEW_BY_SUPERUSERS[option.defname]}")
    if not makes_roles(session):
        raise SqlError("42501", "permission denied to create role")
    name = truncated(node.role)
    if name.startswith("pg_") or name in ("public", "none"):
        code = "42939"
        raise SqlError(
            code,
            f'role name "{name}" is reserved',
            detail='Role names starting with "pg_" are reserved.' if name.startswith("pg_") else None,
        )
    change = await Change.begin(session)
    if session.snapshot.role(name) is not None:
        raise SqlError("42710", f'role "{name}" already exists')
    oid = await change.oid()
    login = node.stmt_type.name == "ROLESTMT_USER"
    row, member_of, members = await _options(session, role_row(oid, name, login=login), node.options)
    await change.writer.insert("pg_authid", row)
    for spec in member_of:
        await _add_member(change, role_oid(session, spec), oid)
    for spec in members:
        await _add_member(change, oid, role_oid(session, spec))
    change.end()
    context.reply.complete("CREATE ROLE")


async def _add_member(change: Change, role: int, member: int, admin: bool = False) -> bool:
    granted = change.rows["pg_authid"].get(role)
    if granted is not None and granted["rolsuper"]:
        check_superuser(change.session, "must be superuser to alter superusers")
    if change.rows["pg_auth_members"].get(role, member) is not None:
        return False
    await change.writer.insert(
        "pg_auth_members", {"roleid": role, "member": member, "grantor": change.owner(), "admin_option": admin}
    )
    return True


@entry("AlterRoleStmt", "ALTER ROLE")
async def alter_role(session: Session, node: Any, context: Context) -> None:
    """ALTER ROLE, USER; ALTER GROUP ADD USER."""
    change = await Change.begin(session)
    row = change.rows["pg_authid"].get(role_oid(session, node.role))
    assert row is not None
    _may_alter(session, row, node.options)
    new, _, members = await _options(session, row, node.options)
    if new != row:
        await change.writer.update("pg_authid", row, **new)
    for spec in members:
        await _add_member(change, row["oid"], role_oid(session, spec))
    change.end()
    context.reply.complete("ALTER ROLE")


async def rename_role(change: Change, old: str, new: str) -> None:
    """ALTER ROLE … RENAME TO."""
    row = change.session.snapshot.role(old)
    if row is None:
        raise SqlError("42704", f'role "{old}" does not exist')
    if change.session.snapshot.role(new) is not None:
        raise SqlError("42710", f'role "{new}" already exists')
    if old in (change.session.user, change.session.session_user):
        raise SqlError("0A000", "session user cannot be renamed")
    if row["rolsuper"]:
        check_superuser(change.session, "must be superuser to rename superusers")
    elif not makes_roles(change.session):
        raise SqlError("42501", "permission denied to rename role")
    await change.writer.update("pg_authid", row, rolname=new)


def _may_grant(change: Change, role: Row) -> None:
    """42501 when the current role may not make others members of this one."""
    session = change.session
    if role["rolsuper"]:
        check_superuser(session, "must be superuser to alter superusers")
    me = session.snapshot.role(session.user)
    membership = change.rows["pg_auth_members"].get(role["oid"], me["oid"]) if me is not None else None
    if not makes_roles(session) and not (membership is not None and membership["admin_option"]):
        raise SqlError("42501", f'must have admin option on role "{role["rolname"]}"')


@entry("GrantRoleStmt", "GRANT ROLE")
async def grant_role(session: Session, node: Any, context: Context) -> None:
    """GRANT role TO role, REVOKE role FROM role."""
    change = await Change.begin(session)
    for granted in node.granted_roles:
        role = session.snapshot.role(granted.priv_name)
        if role is None:
            raise SqlError("42704", f'role "{granted.priv_name}" does not exist')
        _may_grant(change, role)
        for spec in node.grantee_roles:
            member = role_oid(session, spec)
            name = role_name(session, spec)
            if node.is_grant:
                if not await _add_member(change, role["oid"], member, bool(node.admin_opt)):
                    session.notice(f'role "{name}" is already a member of role "{granted.priv_name}"')
            else:
                row = change.rows["pg_auth_members"].get(role["oid"], member)
                if row is None:
                    session.notice(
                        f'role "{name}" is not a member of role "{granted.priv_name}"', severity="WARNING", code="01000"
                    )
                else:
                    await change.writer.delete("pg_auth_members", row)
    change.end()
    context.reply.complete("GRANT ROLE" if node.is_grant else "REVOKE ROLE")


async def _set(session: Session, key: tuple[int, int], stmt: Any) -> None:
    change = await Change.begin(session)
    old = change.rows["pg_db_role_setting"].get(*key)
    items = dict(item.split("=", 1) for item in (old["setconfig"] or [])) if old else {}
    kind = stmt.kind.name
    if kind == "VAR_RESET_ALL":
        items = {}
    else:
        guc = find(stmt.name)
        if kind in ("VAR_RESET", "VAR_SET_DEFAULT"):
            items.pop(guc.name, None)
        else:
            # Kept as it was written, as PostgreSQL does.
            value = session.settings.get(guc.name) if kind == "VAR_SET_CURRENT" else written(stmt)
            check(guc, value)
            items[guc.name] = value
    if old is not None:
        await change.writer.delete("pg_db_role_setting", old)
    if items:
        config = [f"{name}={value}" for name, value in items.items()]
        await change.writer.insert(
            "pg_db_role_setting", {"setdatabase": key[0], "setrole": key[1], "setconfig": config}
        )
    change.end()


def _database(session: Session, name: str | None) -> int:
    if name is None:
        return 0
    found = session.snapshot.rows["pg_database"].group(("datname",), name)
    if not found:
        raise SqlError("3D000", f'database "{name}" does not exist')
    return int(found[0]["oid"])


@entry("AlterRoleSetStmt", "ALTER ROLE")
async def alter_role_set(session: Session, node: Any, context: Context) -> None:
    """ALTER ROLE … SET."""
    role = role_oid(session, node.role) if node.role is not None else 0
    row = session.snapshot.rows["pg_authid"].get(role)
    if row is None:
        check_superuser(session, "must be superuser to alter settings globally")
    elif row["rolsuper"]:
        check_superuser(session, "must be superuser to alter superusers")
    elif row["rolname"] != session.user and not makes_roles(session):
        raise SqlError("42501", "permission denied")
    await _set(session, (_database(session, node.database), role), node.setstmt)
    context.reply.complete("ALTER ROLE")


@entry("AlterDatabaseSetStmt", "ALTER DATABASE")
async def alter_database_set(session: Session, node: Any, context: Context) -> None:
    """ALTER DATABASE … SET."""
    check_superuser(session, f"must be owner of database {node.dbname}")
    await _set(session, (_database(session, node.dbname), 0), node.setstmt)
    context.reply.complete("ALTER DATABASE")
