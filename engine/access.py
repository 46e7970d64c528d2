"""Who may do what. Nothing can be granted yet, so a role may use what it owns (or what a role owns of which it is a member), superusers all.

Checked when a statement is planned, and when DDL looks an object up; plans are cached by role.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .catalog.system import is_user
from .errors import SqlError

if TYPE_CHECKING:
    from .catalog.model import Relation
    from .session import Session

# Catalogues that show secrets or rows' values: pg_authid, pg_statistic.
PROTECTED = {1260: "pg_authid", 2619: "pg_statistic"}
PROTECTED_VIEWS = frozenset(("pg_shadow",))
WORDS = {"r": "table", "v": "view", "S": "sequence", "i": "index", "m": "materialized view"}


def is_superuser(session: Session) -> bool:
    """Is the current role one?"""
    role = session.snapshot.role(session.user)
    return role is not None and bool(role["rolsuper"])


def is_member(session: Session, owner: int) -> bool:
    """Has the current role the rights of this one?"""
    role = session.snapshot.role(session.user)
    if role is None:
        return False
    if role["rolsuper"] or role["oid"] == owner:
        return True
    members = session.snapshot.rows["pg_auth_members"]
    seen, queue = {role["oid"]}, [role["oid"]]
    while queue:
        for row in members.group(("member",), queue.pop()):
            if row["roleid"] not in seen:
                seen.add(row["roleid"])
                queue.append(row["roleid"])
    return owner in seen


def check_relations(session: Session, relations: Iterable[int]) -> None:
    """42501 when a plan uses what the role may not."""
    if is_superuser(session):
        return
    for oid in relations:
        found = session.snapshot.relation(oid)
        if found is None:
            continue
        if not is_user(oid):
            if oid in PROTECTED or found.name in PROTECTED_VIEWS:
                raise SqlError(
                    "42501",
                    f"permission denied for {'view' if found.name in PROTECTED_VIEWS else 'table'} {found.name}",
                )
        elif not is_member(session, found.owner):
            raise SqlError("42501", f"permission denied for {WORDS.get(found.kind, 'relation')} {found.name}")


def check_owner(session: Session, relation: Relation) -> None:
    """42501 when the role may not alter or drop it."""
    if not is_member(session, relation.owner):
        raise SqlError("42501", f"must be owner of {WORDS.get(relation.kind, 'relation')} {relation.name}")


def check_schema(session: Session, oid: int, name: str) -> None:
    """42501 when the role may not create in a schema."""
    row = session.snapshot.rows["pg_namespace"].get(oid)
    if row is not None and not is_member(session, row["nspowner"]) and oid != session.temp:
        raise SqlError("42501", f"permission denied for schema {name}")


def check_sequence(session: Session, oid: int) -> None:
    """42501 when the role may not use the sequence."""
    found = session.snapshot.relation(oid)
    if found is not None and not is_member(session, found.owner):
        raise SqlError("42501", f"permission denied for sequence {found.name}")


def check_superuser(session: Session, what: str) -> None:
    """42501 with what only superusers may do."""
    if not is_superuser(session):
        raise SqlError("42501", what)
