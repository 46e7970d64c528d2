"""BEGIN, COMMIT, ROLLBACK, savepoints, SET TRANSACTION's parts, SET CONSTRAINTS, LOCK TABLE, where Python runs them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sixfold.kernel._kernel import KernelError, Statement

from .access import check_relations
from .errors import SqlError, not_built
from .parser import enums
from .utility import Context, entry, transaction_modes

if TYPE_CHECKING:
    from .session import Session

KIND = enums.TransactionStmtKind
# The kernel runs so many different statements: each savepoint may have a new name.
KERNEL_STATEMENTS = 500
_known: dict[tuple[Any, ...], int] = {}
_nodes: list[Any] = []


def kernel_statement(node: Any, reader: bool) -> Statement | None:
    """BEGIN, COMMIT, ROLLBACK without frills, and savepoints, as the kernel runs them."""
    if node.chain or (len(_nodes) >= KERNEL_STATEMENTS and _key(node) not in _known):
        return None
    if node.kind in (KIND.TRANS_STMT_BEGIN, KIND.TRANS_STMT_START):
        modes = transaction_modes(node.options)
        if "deferrable" in modes or (reader and modes.get("read_only") is False):
            return None
        tag = "BEGIN" if node.kind == KIND.TRANS_STMT_BEGIN else "START TRANSACTION"
        return Statement.begin(modes.get("isolation"), modes.get("read_only"), tag=tag, token=_token(node))
    if node.kind == KIND.TRANS_STMT_COMMIT:
        return Statement.commit(token=_token(node))
    if node.kind == KIND.TRANS_STMT_ROLLBACK:
        return Statement.rollback(token=_token(node))
    make = {
        KIND.TRANS_STMT_SAVEPOINT: Statement.savepoint,
        KIND.TRANS_STMT_RELEASE: Statement.release,
        KIND.TRANS_STMT_ROLLBACK_TO: Statement.rollback_to,
    }.get(node.kind)
    return make(node.savepoint_name, token=_token(node)) if make is not None else None


def _token(node: Any) -> int:
    """A number by which a session that intercepts transaction statements gets this one back."""
    key = _key(node)
    if key not in _known:
        _nodes.append(node)
        _known[key] = len(_nodes)
    return _known[key]


def _key(node: Any) -> tuple[Any, ...]:
    return (node.kind, node.savepoint_name, repr(node.options))


def intercepted(token: int) -> Any:
    """The statement of a token."""
    return _nodes[token - 1]


@entry("TransactionStmt", "TRANSACTION", read_only=True)
async def transaction(session: Session, node: Any, context: Context) -> None:
    """Any transaction command."""
    if node.kind in (KIND.TRANS_STMT_BEGIN, KIND.TRANS_STMT_START):
        begin(session, node, context)
    elif node.kind == KIND.TRANS_STMT_COMMIT:
        await commit(session, node, context)
    elif node.kind == KIND.TRANS_STMT_ROLLBACK:
        await rollback(session, node, context)
    elif node.kind in (KIND.TRANS_STMT_SAVEPOINT, KIND.TRANS_STMT_RELEASE, KIND.TRANS_STMT_ROLLBACK_TO):
        savepoint(session, node, context)
    elif node.kind == KIND.TRANS_STMT_PREPARE:
        raise not_built("PREPARE TRANSACTION")
    else:
        raise not_built("COMMIT PREPARED and ROLLBACK PREPARED")


def begin(session: Session, node: Any, context: Context) -> None:
    """BEGIN, START TRANSACTION."""
    if session.kernel.status != "I":
        if session.kernel.status == "E":
            raise SqlError("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        session.notice("there is already a transaction in progress", severity="WARNING", code="25001")
    modes = transaction_modes(node.options)
    if session.database.read_only and modes.get("read_only") is False:
        raise SqlError("0A000", "cannot set transaction read-write mode during recovery")
    session.kernel.begin(modes.get("isolation"), modes.get("read_only"))
    context.reply.complete("BEGIN" if node.kind == KIND.TRANS_STMT_BEGIN else "START TRANSACTION")


async def commit(session: Session, node: Any, context: Context) -> None:
    """COMMIT [AND CHAIN]."""
    if session.kernel.status == "I":
        _no_transaction(session, node.chain, "COMMIT AND CHAIN")
        await session.commit(implicit=True)
        context.reply.complete("COMMIT")
        return
    isolation, read_only = session.kernel.isolation, session.kernel.read_only
    tag = await session.commit()
    if node.chain:
        session.kernel.begin(isolation, read_only)  # type: ignore[arg-type]
    context.reply.complete(tag)


async def rollback(session: Session, node: Any, context: Context) -> None:
    """ROLLBACK [AND CHAIN]."""
    if session.kernel.status == "I":
        _no_transaction(session, node.chain, "ROLLBACK AND CHAIN")
        session.rollback()
        context.reply.complete("ROLLBACK")
        return
    isolation, read_only = session.kernel.isolation, session.kernel.read_only
    session.rollback()
    if node.chain:
        session.kernel.begin(isolation, read_only)  # type: ignore[arg-type]
    context.reply.complete("ROLLBACK")


def _no_transaction(session: Session, chain: bool, name: str) -> None:
    if chain:
        raise SqlError("25P01", f"{name} can only be used in transaction blocks")
    session.notice("there is no transaction in progress", severity="WARNING", code="25P01")


def savepoint(session: Session, node: Any, context: Context) -> None:
    """SAVEPOINT, RELEASE, ROLLBACK TO."""
    name, work = node.savepoint_name, session.work
    if session.kernel.status == "I":
        words = {KIND.TRANS_STMT_SAVEPOINT: "SAVEPOINT", KIND.TRANS_STMT_RELEASE: "RELEASE SAVEPOINT"}
        raise SqlError(
            "25P01", f"{words.get(node.kind, 'ROLLBACK TO SAVEPOINT')} can only be used in transaction blocks"
        )
    if node.kind == KIND.TRANS_STMT_SAVEPOINT:
        if session.kernel.status == "E":
            raise SqlError("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        session.kernel.savepoint(name)
        if work is not None:
            work.savepoint(name)
            session.settings.savepoint()
        context.reply.complete("SAVEPOINT")
    elif node.kind == KIND.TRANS_STMT_RELEASE:
        if session.kernel.status == "E":
            raise SqlError("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        session.kernel.release(name)
        if work is not None and work.find(name):
            session.settings.release(work.release(name))
        context.reply.complete("RELEASE")
    else:
        session.kernel.rollback_to(name)
        if work is not None:
            session.settings.rollback_to(work.rollback_to(name, session.database.snapshot))
            session.temp_changed()
            session.rescope()
        context.reply.complete("ROLLBACK")


@entry("ConstraintsSetStmt", "SET CONSTRAINTS", read_only=True)
async def set_constraints(session: Session, node: Any, context: Context) -> None:
    """SET CONSTRAINTS {ALL | names} {DEFERRED | IMMEDIATE}."""
    if session.kernel.status == "I":
        session.notice("SET CONSTRAINTS can only be used in transaction blocks", severity="WARNING", code="25P01")
    kernel, deferred = session.kernel, bool(node.deferred)
    oids = (
        [oid for name in node.constraints for oid in deferrable(session, name, deferred)] if node.constraints else None
    )
    await session.waits.run(
        lambda: kernel.set_constraints(oids, deferred),
        session=kernel,
        detached=lambda: kernel.set_constraints_detached(oids, deferred),
    )
    context.reply.complete("SET CONSTRAINTS")


def deferrable(session: Session, name: Any, deferred: bool) -> list[int]:
    """The constraints that a name means: those of the first schema of the search path that has any of it."""
    catalog = session.catalog()
    path = list(catalog.search_path())
    if name.schemaname:
        namespace = catalog.namespace_oid(name.schemaname)
        if namespace is None:
            raise SqlError("3F000", f'schema "{name.schemaname}" does not exist')
        path = [namespace]
    named = [row for row in session.snapshot.rows["pg_constraint"].rows.values() if row["conname"] == name.relname]
    for namespace in path:
        if found := [row for row in named if row["connamespace"] == namespace]:
            if deferred and not all(row["condeferrable"] for row in found):
                raise SqlError("42809", f'constraint "{name.relname}" is not deferrable')
            return [int(row["oid"]) for row in found if row["condeferrable"]]
    raise SqlError("42704", f'constraint "{name.relname}" does not exist')


@entry("LockStmt", "LOCK TABLE", read_only=True)
async def lock_table(session: Session, node: Any, context: Context) -> None:
    """LOCK TABLE."""
    if session.kernel.status == "I":
        raise SqlError("25P01", "LOCK TABLE can only be used in transaction blocks")
    for item in node.relations:
        relation = session.catalog().relation(item.relname, item.schemaname)
        if relation is None:
            raise SqlError("42P01", f'relation "{item.relname}" does not exist')
        if relation.kind not in ("r", "v", "p"):
            raise SqlError("42809", f'"{relation.name}" is not a table or view')
        check_relations(session, [relation.oid])
        if session.database.read_only and node.mode > 3:
            raise SqlError("25006", "cannot execute LOCK TABLE during recovery")
        lock = partial(session.kernel.lock_relation, relation.oid, node.mode, bool(node.nowait))
        try:
            await session.waits.run(lock, session=session.kernel)
        except KernelError as error:
            if error.code == "55P03" and node.nowait:
                raise SqlError("55P03", f'could not obtain lock on relation "{relation.name}"') from None
            raise
    context.reply.complete("LOCK TABLE")
