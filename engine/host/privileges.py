"""has_…_privilege, pg_has_role, access lists. Superusers and owners may do all; nobody else has been granted anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sixfold.engine.errors import SqlError

from .names import relation_oid

if TYPE_CHECKING:
    from sixfold.engine.session import Session

PRIVILEGES = frozenset(
    (
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "TRUNCATE",
        "REFERENCES",
        "TRIGGER",
        "USAGE",
        "CREATE",
        "CONNECT",
        "TEMPORARY",
        "TEMP",
        "EXECUTE",
        "SET",
        "MEMBER",
        "RULE",
    )
)


def _check(text: str) -> None:
    for part in text.split(","):
        word = part.strip().upper().removesuffix(" WITH GRANT OPTION").removesuffix(" WITH ADMIN OPTION")
        if word not in PRIVILEGES:
            raise SqlError("22023", f'unrecognized privilege type: "{part.strip()}"')


def _role(session: Session, role: Any) -> Any:
    row = session.snapshot.role(role) if isinstance(role, str) else session.snapshot.rows["pg_authid"].get(role)
    if row is None:
        raise SqlError("42704", f'role "{role}" does not exist')
    return row


def may(session: Session, role: Any, owner: int, *, public: bool = False) -> bool:
    """May the role do everything with an object of this owner?"""
    row = _role(session, role)
    return bool(row["rolsuper"] or row["oid"] == owner or public)


def _table(session: Session, user: Any, table: Any, privilege: str) -> bool | None:
    _check(privilege)
    oid = relation_oid(session, table) if isinstance(table, str) else table
    if oid is None:
        raise SqlError("42P01", f'relation "{table}" does not exist')
    found = session.snapshot.relation(oid)
    if found is None:
        return None
    system = oid < 16384 and privilege.strip().upper() == "SELECT"
    return may(session, user, found.owner, public=system)


def _schema(session: Session, user: Any, schema: Any, privilege: str) -> bool | None:
    _check(privilege)
    oid = session.catalog().namespace_oid(schema) if isinstance(schema, str) else schema
    row = session.snapshot.rows["pg_namespace"].get(oid) if oid is not None else None
    if row is None:
        if isinstance(schema, str):
            raise SqlError("3F000", f'schema "{schema}" does not exist')
        return None
    public = privilege.strip().upper() == "USAGE" and row["oid"] in (11, 2200, 13207)
    return may(session, user, row["nspowner"], public=public)


def _database(session: Session, user: Any, database: Any, privilege: str) -> bool | None:
    _check(privilege)
    table = session.snapshot.rows["pg_database"]
    if isinstance(database, str):
        found = table.group(("datname",), database)
        if not found:
            raise SqlError("3D000", f'database "{database}" does not exist')
        row: Any = found[0]
    else:
        row = table.get(database)
    if row is None:
        return None
    return may(session, user, row["datdba"], public=privilege.strip().upper() in ("CONNECT", "TEMP", "TEMPORARY"))


def _anything(session: Session, user: Any, item: Any, privilege: str) -> bool:
    _check(privilege)
    return may(session, user, 10, public=privilege.strip().upper() in ("EXECUTE", "USAGE"))


def _column(session: Session, user: Any, table: Any, column: Any, privilege: str) -> bool | None:
    return _table(session, user, table, privilege)


def has_role(session: Session, user: Any, role: Any, privilege: str) -> bool:
    """pg_has_role: membership, directly or by way of other roles."""
    member, wanted = _role(session, user), _role(session, role)
    if member["rolsuper"] or member["oid"] == wanted["oid"]:
        return True
    seen, queue = {member["oid"]}, [member["oid"]]
    while queue:
        for row in session.snapshot.rows["pg_auth_members"].group(("member",), queue.pop()):
            if row["roleid"] == wanted["oid"]:
                return True
            if row["roleid"] not in seen:
                seen.add(row["roleid"])
                queue.append(row["roleid"])
    return False


def _for_all(prefix: str, check: Callable[..., Any], args: int = 1) -> dict[str, Callable[..., Any]]:
    """The variants with and without a user."""
    found: dict[str, Callable[..., Any]] = {}
    for kind in ("name", "id"):
        found[f"{prefix}_{kind}"] = lambda session, *rest, check=check: check(session, session.user, *rest)
        for user in ("name", "id"):
            found[f"{prefix}_{user}_{kind}"] = check
    return found


def acldefault(session: Session, kind: Any, owner: int) -> list[str]:
    """acldefault: what an object without an access list grants."""
    name = session.snapshot.role_name(owner) or str(owner)
    letter = kind if isinstance(kind, str) else chr(kind)
    rights = {
        "r": "arwdDxt",
        "S": "rwU",
        "s": "rwU",
        "n": "UC",
        "d": "CTc",
        "f": "X",
        "T": "U",
        "l": "U",
        "t": "C",
        "c": "",
    }.get(letter, "")
    public = {"d": f"=Tc/{name}", "f": f"=X/{name}", "T": f"=U/{name}", "l": f"=U/{name}"}.get(letter)
    return ([public] if public else []) + [f"{name}={rights}/{name}"]


STRICT: dict[str, Callable[..., Any]] = {
    **_for_all("has_table_privilege", _table),
    **_for_all("has_sequence_privilege", _table),
    **_for_all("has_any_column_privilege", _table),
    **_for_all("has_schema_privilege", _schema),
    **_for_all("has_database_privilege", _database),
    **_for_all("has_function_privilege", _anything),
    **_for_all("has_type_privilege", _anything),
    **_for_all("has_language_privilege", _anything),
    **_for_all("has_tablespace_privilege", _anything),
    **_for_all("has_server_privilege", _anything),
    **_for_all("has_foreign_data_wrapper_privilege", _anything),
    **_for_all("pg_has_role", has_role),
    **{
        f"has_column_privilege_{kind}": lambda session, *rest: _column(session, session.user, *rest)
        for kind in ("name_name", "id_attnum", "name_attnum", "id_name")
    },
    "has_column_privilege_name_name_name": _column,
    "acldefault_sql": acldefault,
}
