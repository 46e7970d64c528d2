"""COPY: options checked here; rows are parsed, inserted, and written by the kernel, a batch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sixfold.kernel._kernel import CopyFormat, CopyIn

from .catalog.model import Column, Relation
from .catalog.snapshot import Catalog
from .errors import SqlError, not_built
from .parser import ast, enums
from .plans import Prepared, prepare
from .utility import Context, entry
from .work import Restart

if TYPE_CHECKING:
    from .session import Session

# The relation that stands for the client's rows in the INSERT that COPY FROM plans.
SOURCE = "sixfold copy source"
TEXT_ONLY = ("delimiter", "null", "header", "quote", "escape", "force_quote", "force_not_null", "force_null")


class CopyCatalog(Catalog):
    """A catalogue with the client's rows as a relation."""

    def __init__(self, base: Catalog, columns: tuple[Column, ...]) -> None:
        super().__init__(base.snapshot, base.search_path(), base.temp)
        self._source = Relation(0, "pg_temp", SOURCE, "r", columns=columns, host="copy")

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        return self._source if name == SOURCE and schema is None else super().relation(name, schema)


@entry("CopyStmt", "COPY", read_only=True)
async def copy(session: Session, node: Any, context: Context) -> None:
    """COPY … FROM STDIN, COPY … TO STDOUT."""
    if node.is_program or node.filename is not None:
        raise not_built("COPY with a file or program of the server; use STDIN, STDOUT or psql's \\copy,")
    if node.is_from:
        await copy_from(session, node, context)
    else:
        await copy_to(session, node, context)


def _flag(option: Any) -> bool:
    arg = option.arg
    if arg is None:
        return True
    kind = type(arg).__name__
    if kind == "Boolean":
        return bool(arg.boolval)
    if kind == "Integer" and arg.ival in (0, 1):
        return bool(arg.ival)
    word = getattr(arg, "sval", "").lower()
    if word in ("true", "on"):
        return True
    if word in ("false", "off"):
        return False
    raise SqlError("42601", f"{option.defname} requires a Boolean value")


def read_options(node: Any) -> dict[str, Any]:
    """Options by name, each at most once."""
    found: dict[str, Any] = {}
    for option in node.options or ():
        name = option.defname
        if name in found:
            raise SqlError("42601", "conflicting or redundant options")
        if name == "format":
            if option.arg.sval not in ("text", "csv", "binary"):
                raise SqlError("22023", f'COPY format "{option.arg.sval}" not recognized')
            found[name] = option.arg.sval
        elif name == "freeze":
            found[name] = _flag(option)
        elif name == "header":
            found[name] = "match" if getattr(option.arg, "sval", "").lower() == "match" else _flag(option)
        elif name in ("delimiter", "null", "quote", "escape", "encoding"):
            found[name] = option.arg.sval
        elif name in ("force_quote", "force_not_null", "force_null"):
            found[name] = "*" if type(option.arg).__name__ == "A_Star" else [part.sval for part in option.arg]
        else:
            raise SqlError("42601", f'option "{name}" not recognized')
    _check_options(found, bool(node.is_from))
    return found


def _check_options(found: dict[str, Any], is_from: bool) -> None:
    style = found.get("format", "text")
    if style == "binary":
        for name in ("delimiter", "null"):
            if name in found:
                raise SqlError("42601", f"cannot specify {name.upper()} in BINARY mode")
        if found.get("header"):
            raise SqlError("0A000", "cannot specify HEADER in BINARY mode")
    for name, clause in (
        ("quote", "quote"),
        ("escape", "escape"),
        ("force_quote", "force quote"),
        ("force_not_null", "force not null"),
        ("force_null", "force null"),
    ):
        if name in found and style != "csv":
            raise SqlError("0A000", f"COPY {clause} available only in CSV mode")
    if "force_quote" in found and is_from:
        raise SqlError("0A000", "COPY force quote only available using COPY TO")
    for name in ("force_not_null", "force_null"):
        if name in found and not is_from:
            raise SqlError("0A000", f"COPY {name.replace('_', ' ')} only available using COPY FROM")
    encoding = found.get("encoding", "utf8").lower().replace("-", "").replace("_", "")
    if encoding not in ("utf8", "unicode", "sqlascii"):
        raise not_built(f"COPY with encoding {found['encoding']}")


def _indexes(names: Any, columns: list[str], option: str) -> list[int] | None:
    if names is None:
        return None
    if names == "*":
        return list(range(len(columns)))
    found = []
    for name in names:
        if name not in columns:
            raise SqlError("42P10", f'{option} column "{name}" not referenced by COPY')
        found.append(columns.index(name))
    return found


def kernel_format(options: dict[str, Any], columns: list[str]) -> CopyFormat:
    """The kernel's form of the options."""
    header = options.get("header", False)
    return CopyFormat(
        options.get("format", "text"),
        delimiter=options.get("delimiter"),
        null=options.get("null"),
        header=bool(header),
        header_match=header == "match",
        quote=options.get("quote"),
        escape=options.get("escape"),
        force_quote=_indexes(options.get("force_quote"), columns, "FORCE_QUOTE"),
        force_not_null=_indexes(options.get("force_not_null"), columns, "FORCE_NOT_NULL") or (),
        force_null=_indexes(options.get("force_null"), columns, "FORCE_NULL") or (),
        names=columns,
    )


def _columns(table: Relation, names: Any) -> list[Column]:
    if not names:
        return [column for column in table.columns if not column.dropped and not column.generated]
    found: list[Column] = []
    for part in names:
        column = next((c for c in table.columns if c.name == part.sval and not c.dropped), None)
        if column is None:
            raise SqlError("42703", f'column "{part.sval}" of relation "{table.name}" does not exist')
        if column.generated:
            raise SqlError(
                "42P10",
                f'column "{part.sval}" is a generated column',
                detail="Generated columns cannot be used in COPY.",
            )
        if column in found:
            raise SqlError("42701", f'column "{part.sval}" specified more than once')
        found.append(column)
    return found


def _table(session: Session, node: Any) -> Relation:
    found = session.catalog().relation(node.relation.relname, node.relation.schemaname)
    if found is None:
        name = (
            f"{node.relation.schemaname}.{node.relation.relname}" if node.relation.schemaname else node.relation.relname
        )
        raise SqlError("42P01", f'relation "{name}" does not exist')
    return found


async def copy_from(session: Session, node: Any, context: Context) -> None:
    """COPY table FROM STDIN: the wire takes the rows from here on, and says `copy_done`."""
    if session.kernel.read_only:
        raise SqlError("25006", "cannot execute COPY FROM in a read-only transaction")
    options = read_options(node)
    table = _table(session, node)
    if table.kind != "r" or table.host is not None:
        word = {"v": "view", "S": "sequence", "m": "materialized view"}.get(table.kind, "non-table relation")
        raise SqlError("42809", f'cannot copy to {word} "{table.name}"')
    columns = _columns(table, node.attlist)
    snapshot = session.snapshot
    prepared = _insert_plan(session, node, table, columns, context)
    if not await session.statements.settled(prepared, snapshot):
        raise Restart
    names = [column.name for column in columns]
    copy_in = CopyIn(
        session.kernel,
        prepared.plan,
        kernel_format(options, names),
        table.name,
        [c.typ for c in columns],
        [c.typmod for c in columns],
    )
    session.statements.copying = lambda rows: context.reply.complete(f"COPY {rows}")
    session.wire.copy_in(copy_in)


def _insert_plan(session: Session, node: Any, table: Relation, columns: list[Column], context: Context) -> Prepared:
    source = tuple(
        Column(column.name, number, column.typ, column.typmod, column.collation)
        for number, column in enumerate(columns, 1)
    )
    target = ast.RangeVar(relname=table.name, schemaname=table.schema, inh=True, relpersistence="p")
    everything = tuple(ast.ResTarget(val=ast.ColumnRef(fields=(ast.String(column.name),))) for column in columns)
    select = ast.SelectStmt(
        targetList=everything,
        fromClause=(ast.RangeVar(relname=SOURCE, inh=True, relpersistence="p"),),
        whereClause=node.whereClause,
        op=enums.SetOperation.SETOP_NONE,
    )
    insert = ast.InsertStmt(
        relation=target,
        cols=tuple(ast.ResTarget(name=column.name) for column in columns),
        selectStmt=select,
        override=enums.OverridingKind.OVERRIDING_SYSTEM_VALUE,
    )
    return prepare(session, insert, context.text, catalog=CopyCatalog(session.catalog(), source))


async def copy_to(session: Session, node: Any, context: Context) -> None:
    """COPY table or (query) TO STDOUT."""
    options = read_options(node)
    prepared = await session.statements.ready(context.text, lambda: _select_plan(session, node, context))
    names = [column.name for column in prepared.planned.output]
    form = kernel_format(options, names)
    wire = session.wire
    portal = session.kernel.portal(prepared.plan, (), copy=form)
    wire.copy_out(form, len(names))
    try:
        _, rows = await context.reply.portal(portal)
    finally:
        portal.close()
    wire.copy_out_done(form, [column.typ for column in prepared.planned.output], rows)
    context.reply.complete(f"COPY {rows}")


def _select_plan(session: Session, node: Any, context: Context) -> Prepared:
    if node.query is not None:
        if type(node.query).__name__ != "SelectStmt" and not getattr(node.query, "returningList", None):
            raise SqlError("0A000", "COPY query must have a RETURNING clause")
        return prepare(session, node.query, context.text, at=-6)
    table = _table(session, node)
    if table.kind == "v":
        raise SqlError("42809", f'cannot copy from view "{table.name}"', hint="Try the COPY (SELECT ...) TO variant.")
    if table.kind == "S":
        raise SqlError("42809", f'cannot copy from sequence "{table.name}"')
    targets = tuple(
        ast.ResTarget(val=ast.ColumnRef(fields=(ast.String(column.name),))) for column in _columns(table, node.attlist)
    )
    source = ast.RangeVar(relname=table.name, schemaname=table.schema, inh=True, relpersistence="p")
    select = ast.SelectStmt(targetList=targets, fromClause=(source,), op=enums.SetOperation.SETOP_NONE)
    return prepare(session, select, context.text, catalog=session.catalog())
