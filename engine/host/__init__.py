"""Functions and relations that Python answers: the kernel calls these once a batch. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sixfold.engine.access import check_sequence
from sixfold.engine.analyzer.host import HOST_FUNCTIONS
from sixfold.engine.errors import SqlError, not_built

from . import definitions, identity, names, privileges, sizes
from .relations import scan_relation

if TYPE_CHECKING:
    from sixfold.engine.session import Session

Call = Callable[..., Any]
# Called with the session and one row's arguments. Strict ones are not called when an argument is null.
STRICT: dict[str, Call] = {**identity.STRICT, **names.STRICT, **definitions.STRICT, **privileges.STRICT, **sizes.STRICT}
LAX: dict[str, Call] = {**identity.LAX, **definitions.LAX}
HOST_FUNCTIONS.update(STRICT, LAX)


def call_host(session: Session, name: str, columns: list[list[Any]], rows: int) -> list[Any]:
    """One value for each row."""
    strict = STRICT.get(name)
    lax = LAX.get(name)
    if strict is None and lax is None:
        raise not_built(f"the function {name}")
    answers: list[Any] = []
    for row in range(rows):
        args = [column[row] for column in columns]
        if lax is not None:
            answers.append(lax(session, *args))
        else:
            assert strict is not None
            answers.append(None if any(arg is None for arg in args) else strict(session, *args))
    return answers


def scan_host(session: Session, name: str, args: list[Any]) -> Sequence[Sequence[Any]]:
    """Rows of a relation or a set-returning function."""
    return scan_relation(session, name, args)


def ask_host(session: Session, what: str, args: list[Any]) -> Any:
    """What kernel functions want to know of the session."""
    if what == "current_setting":
        try:
            return identity.setting(session, args[0])
        except SqlError:
            return None
    if what.startswith("reg"):
        return call_host(session, what, [args], 1)[0]
    if what == "set_config":
        return identity.set_config(session, *args)
    if what == "sequence":
        found = session.snapshot.sequence(args[0])
        if found is None:
            raise SqlError("42P01", f"sequence with OID {args[0]} does not exist")
        return found.root
    if what == "use_sequence":
        check_sequence(session, args[0])
        return None
    if what == "sequence_name":
        found = session.snapshot.sequence(args[0])
        return found.name if found else None
    answers: dict[str, Call] = {
        "current_user": identity.current_user,
        "session_user": identity.session_user,
        "current_database": identity.current_database,
        "current_schema": identity.current_schema,
        "version": identity.version,
        "pg_backend_pid": identity.backend_pid,
    }
    return answers[what](session)
