"""Utility statements: one table from the parse tree's class to the coroutine that runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import SqlError, no_serializable, not_built
from .plans import prepare
from .reply import Column, Reply

if TYPE_CHECKING:
    from .session import Session


class Context(msgspec.Struct):
    """How a statement came."""

    # What locations in the tree count in.
    text: str
    # The statement's own part of it.
    own_text: str
    reply: Reply
    params: Sequence[Any] = ()
    param_types: tuple[int, ...] = ()


Handler = Callable[["Session", Any, Context], Awaitable[None]]


class Entry(msgspec.Struct):
    """A kind of utility statement."""

    run: Handler
    # What PostgreSQL calls it in messages.
    name: str
    # Runs in a read-only transaction.
    read_only: bool = False
    # Result columns for Describe.
    columns: Callable[[Session, Any, str], Sequence[Column]] | None = None


ENTRIES: dict[str, Entry] = {}
# Not inside a transaction block or a multi-statement Query.
NOT_IN_BLOCK = frozenset(
    ("CreatedbStmt", "DropdbStmt", "CreateTableSpaceStmt", "DropTableSpaceStmt", "AlterSystemStmt")
)
# Parse trees of what PostgreSQL has and Sixfold has not, in its own words.
MISSING = {
    "CreatedbStmt": "CREATE DATABASE (a Sixfold cluster has one database: use schemas, or another cluster)",
    "DropdbStmt": "DROP DATABASE",
    "AlterDatabaseStmt": "ALTER DATABASE",
    "AlterSystemStmt": "ALTER SYSTEM",
    "CreateFunctionStmt": "CREATE FUNCTION",
    "CreateTrigStmt": "CREATE TRIGGER",
    "CreateEventTrigStmt": "CREATE EVENT TRIGGER",
    "CreateExtensionStmt": "CREATE EXTENSION",
    "CreatePublicationStmt": "CREATE PUBLICATION",
    "CreateSubscriptionStmt": "CREATE SUBSCRIPTION",
    "CreatePolicyStmt": "CREATE POLICY",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "CreateFdwStmt": "CREATE FOREIGN DATA WRAPPER",
    "CreateForeignServerStmt": "CREATE SERVER",
    "CreateForeignTableStmt": "CREATE FOREIGN TABLE",
    "CreateStatsStmt": "CREATE STATISTICS",
    "CreateCastStmt": "CREATE CAST",
    "CreateOpClassStmt": "CREATE OPERATOR CLASS",
    "CreatePLangStmt": "CREATE LANGUAGE",
    "RuleStmt": "CREATE RULE",
    "DoStmt": "DO",
    "CallStmt": "CALL",
    "MergeStmt": "MERGE",
    "LoadStmt": "LOAD",
    "SecLabelStmt": "SECURITY LABEL",
    "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW",
    "CompositeTypeStmt": "CREATE TYPE of a composite type",
    "CreateRangeStmt": "CREATE TYPE of a range",
    "DefineStmt": "CREATE TYPE, AGGREGATE or OPERATOR",
    "CreateDomainStmt": "CREATE DOMAIN",
    "CreateEnumStmt": "CREATE TYPE of an enum",
    "AlterEnumStmt": "ALTER TYPE of an enum",
    "AlterDomainStmt": "ALTER DOMAIN",
    "AlterDefaultPrivilegesStmt": "ALTER DEFAULT PRIVILEGES",
    "CreateConversionStmt": "CREATE CONVERSION",
    "ReassignOwnedStmt": "REASSIGN OWNED",
    "DropOwnedStmt": "DROP OWNED",
}


def entry(
    node_class: str,
    name: str,
    *,
    read_only: bool = False,
    columns: Callable[[Session, Any, str], Sequence[Column]] | None = None,
) -> Callable[[Handler], Handler]:
    """Decorator: this coroutine runs such statements."""

    def add(run: Handler) -> Handler:
        ENTRIES[node_class] = Entry(run, name, read_only, columns)
        return run

    return add


def find(node: Any) -> Entry:
    """The entry for a parse tree; 0A000 when nothing runs it."""
    kind = type(node).__name__
    found = ENTRIES.get(kind)
    if found is None:
        raise not_built(MISSING.get(kind, kind.removesuffix("Stmt")))
    return found


def _name(found: Entry, node: Any) -> str:
    """What PostgreSQL calls the statement."""
    return f"{found.name} {node.removeType.name.removeprefix('OBJECT_')}" if found.name == "DROP" else found.name


async def run(session: Session, node: Any, context: Context) -> None:
    """Run one utility statement in the session's transaction."""
    found = find(node)
    if type(node).__name__ != "TransactionStmt":
        session.kernel.begin_implicit()
        if session.kernel.read_only and not found.read_only:
            raise SqlError("25006", f"cannot execute {_name(found, node)} in a read-only transaction")
    await found.run(session, node, context)


def columns(session: Session, node: Any, text: str) -> Sequence[Column]:
    """What Describe answers."""
    found = find(node)
    return found.columns(session, node, text) if found.columns else ()


def param_types(session: Session, node: Any, text: str, given: tuple[int, ...]) -> tuple[int, ...]:
    """Types of $1… of a utility statement: those of the query inside it."""
    query = getattr(node, "query", None)
    if query is None or type(query).__name__ not in ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"):
        return given
    return tuple(prepare(session, query, text, given, at=-2).planned.params)


def command_name(node: Any) -> str:
    """For messages."""
    found = ENTRIES.get(type(node).__name__)
    return found.name if found else MISSING.get(type(node).__name__, type(node).__name__)


def in_failed_block() -> SqlError:
    """25P02."""
    return SqlError("25P02", "current transaction is aborted, commands ignored until end of transaction block")


def transaction_modes(options: Any) -> dict[str, Any]:
    """isolation, read_only, deferrable of BEGIN and SET TRANSACTION."""
    modes: dict[str, Any] = {}
    for option in options or ():
        name = option.defname.removeprefix("transaction_")
        if name == "isolation":
            level = option.arg.val.sval
            if level == "serializable":
                raise no_serializable()
            modes["isolation"] = level
        elif name == "read_only":
            modes["read_only"] = bool(option.arg.val.ival)
        elif name == "deferrable" and option.arg.val.ival:
            modes["deferrable"] = True
    return modes
