"""Columns: from a parse tree's ColumnDef to a row of pg_attribute, with defaults, serial, identity and generated columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sixfold.engine import parser
from sixfold.engine.analyzer.names import split_name
from sixfold.engine.analyzer.typerows import BUILT, base_type
from sixfold.engine.analyzer.types import format_type, resolve_type
from sixfold.engine.catalog.model import Relation, Type
from sixfold.engine.catalog.rows import Row
from sixfold.engine.catalog.snapshot import Catalog
from sixfold.engine.deparse import column_position, columns_of, expression, functions_of, position_of
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.facts import FACTS
from sixfold.engine.parser import enums, quote_ident
from sixfold.engine.plans import prepare_own
from sixfold.engine.stored import kept_expression

from .base import ATTRDEF, CLASS, TYPE, Change, truncated
from .dependencies import remove_default
from .expressions import analysed, can_assign
from .sequences import Options, make_sequence, read_options

if TYPE_CHECKING:
    from sixfold.engine.session import Session

CONSTR = enums.ConstrType
SERIAL = {
    "serial": 23,
    "serial4": 23,
    "bigserial": 20,
    "serial8": 20,
    "smallserial": 21,
    "serial2": 21,
}
# Names of system columns, which no table column may have.
RESERVED = frozenset(("tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"))
COLUMNS_MAX = 1600


class Spec(msgspec.Struct):
    """A column as it is to be made."""

    name: str
    typ: Type
    typmod: int = -1
    collation: int = 0
    not_null: bool = False
    # The parse tree, or SQL text when it comes from LIKE or a serial.
    default: Any = None
    default_text: str | None = None
    identity: str = ""
    generated: str = ""
    # The sequence's parameters of a serial or identity column.
    sequence: Options | None = None
    attnum: int = 0
    comment: str | None = None


def read_column(session: Session, node: Any, table: str) -> tuple[Spec, list[Any]]:
    """(the column, its constraints that are the table's: PRIMARY KEY, UNIQUE, CHECK, REFERENCES)"""
    name = truncated(node.colname)
    serial = _serial(node)
    if serial is not None:
        typ, typmod = session.catalog().type_by_oid(serial), -1
    else:
        if node.typeName is None:
            raise SqlError("42601", f'column "{name}" has no type')
        typ, typmod = resolve_type(session.catalog(), node.typeName)
    assert typ is not None
    if typ.kind == "p":
        raise SqlError("42P16", f'column "{name}" has pseudo-type {format_type(session.catalog(), typ.oid)}')
    check_built(session.catalog(), typ, node.typeName)
    spec = Spec(name, typ, typmod, collation=typ.collation)
    if node.collClause is not None:
        spec.collation = _collation(session, node.collClause)
    if serial is not None:
        spec.not_null, spec.sequence = True, Options(typ=serial)
        read_options(session, (), spec.sequence)
    rest = _read_constraints(session, spec, node, table)
    return spec, rest


def check_built(catalog: Catalog, typ: Type, name: Any) -> None:
    """A column whose values nobody could read is not made."""
    element = typ.elem if typ.is_array else typ.oid
    if base_type(catalog, element) not in BUILT or typ.relation:
        raise not_built(f"type {format_type(catalog, typ.oid)}", position_of(name))


def _serial(node: Any) -> int | None:
    if node.typeName is None:
        return None
    names = node.typeName.names
    return SERIAL.get(names[0].sval) if len(names) == 1 and not node.typeName.arrayBounds else None


def _collation(session: Session, clause: Any) -> int:
    name = clause.collname[-1].sval
    rows = [row for row in FACTS.collations if row.name == name]
    if not rows:
        raise SqlError("42704", f'collation "{name}" for encoding "UTF8" does not exist', position=position_of(clause))
    return rows[0].oid


def _read_constraints(session: Session, spec: Spec, node: Any, table: str) -> list[Any]:
    rest: list[Any] = []
    nullable: bool | None = None
    for item in node.constraints or ():
        kind = item.contype
        if kind in (CONSTR.CONSTR_NULL, CONSTR.CONSTR_NOTNULL):
            if nullable is not None and nullable != (kind == CONSTR.CONSTR_NULL):
                raise SqlError(
                    "42601",
                    f'conflicting NULL/NOT NULL declarations for column "{spec.name}" of table "{table}"',
                    position=position_of(item),
                )
            nullable = kind == CONSTR.CONSTR_NULL
            spec.not_null = not nullable
        elif kind == CONSTR.CONSTR_DEFAULT:
            if spec.default is not None or (spec.sequence is not None and not spec.identity):
                raise SqlError(
                    "42601",
                    f'multiple default values specified for column "{spec.name}" of table "{table}"',
                    position=position_of(item),
                )
            spec.default = item.raw_expr
        elif kind == CONSTR.CONSTR_IDENTITY:
            _identity(session, spec, item, table)
            nullable = False
        elif kind == CONSTR.CONSTR_GENERATED:
            spec.generated, spec.default = "s", item.raw_expr
        elif kind == CONSTR.CONSTR_EXCLUSION:
            raise not_built("EXCLUDE")
        else:
            rest.append(item)
    if spec.default is not None and spec.identity:
        raise SqlError("42601", f'both default and identity specified for column "{spec.name}" of table "{table}"')
    return rest


def _identity(session: Session, spec: Spec, item: Any, table: str) -> None:
    if spec.identity:
        raise SqlError(
            "42601",
            f'multiple identity specifications for column "{spec.name}" of table "{table}"',
            position=position_of(item),
        )
    if spec.typ.oid not in (20, 21, 23):
        raise SqlError("22023", "identity column type must be smallint, integer, or bigint")
    spec.identity, spec.not_null = item.generated_when, True
    spec.sequence = read_options(session, item.options, Options(typ=spec.typ.oid))


def check_names(specs: list[Spec]) -> None:
    """42701 for a name given twice or reserved."""
    seen: set[str] = set()
    for spec in specs:
        if spec.name in RESERVED:
            raise SqlError("42701", f'column name "{spec.name}" conflicts with a system column name')
        if spec.name in seen:
            raise SqlError("42701", f'column "{spec.name}" specified more than once')
        seen.add(spec.name)
    if len(specs) > COLUMNS_MAX:
        raise SqlError("54011", f"tables can have at most {COLUMNS_MAX} columns")


def attribute_row(relation: int, spec: Spec) -> Row:
    """The column's row of pg_attribute."""
    return {
        "attrelid": relation,
        "attname": spec.name,
        "atttypid": spec.typ.oid,
        "attstattarget": -1,
        "attlen": spec.typ.len,
        "attnum": spec.attnum,
        "attndims": 1 if spec.typ.is_array else 0,
        "attcacheoff": -1,
        "atttypmod": spec.typmod,
        "attbyval": spec.typ.byval,
        "attalign": spec.typ.align,
        "attstorage": spec.typ.storage,
        "attcompression": "",
        "attnotnull": spec.not_null,
        "atthasdef": False,
        "atthasmissing": False,
        "attidentity": spec.identity,
        "attgenerated": "",
        "attisdropped": False,
        "attislocal": True,
        "attinhcount": 0,
        "attcollation": spec.collation,
        "attacl": None,
        "attoptions": None,
        "attfdwoptions": None,
        "attmissingval": None,
    }


async def add_columns(change: Change, relation: int, specs: list[Spec]) -> None:
    """Rows of pg_attribute; defaults come after (`add_defaults`), when the table can be looked up."""
    for spec in specs:
        await change.writer.insert("pg_attribute", attribute_row(relation, spec))
        await change.depend((CLASS, relation, spec.attnum), (TYPE, spec.typ.oid, 0))


async def add_defaults(change: Change, table: Relation, specs: list[Spec]) -> None:
    """Defaults, generation expressions, and the sequences of serial and identity columns."""
    for spec in specs:
        if spec.sequence is not None:
            await _add_sequence(change, table, spec)
        if spec.default is not None or spec.default_text is not None:
            await set_default(
                change,
                change.must_oid(table.oid),
                spec.attnum,
                spec.default,
                generated=spec.generated,
                text=spec.default_text,
            )


async def _add_sequence(change: Change, table: Relation, spec: Spec) -> None:
    assert spec.sequence is not None
    name = change.free_name(table.namespace, table.name, spec.name, "seq")
    oid = await make_sequence(change, name, table.namespace, spec.sequence, table.persistence, table.owner)
    await change.depend((CLASS, oid, 0), (CLASS, table.oid, spec.attnum), "i" if spec.identity else "a")
    if not spec.identity:
        spec.default_text = f"nextval('{sequence_literal(change, table, name)}'::regclass)"


def sequence_literal(change: Change, table: Relation, name: str) -> str:
    """A sequence's name inside a string constant, with its schema where that is needed to find it."""
    visible = change.catalog.relation(name)
    text = quote_ident(name)
    if visible is None or visible.namespace != table.namespace:
        text = f"{quote_ident(table.schema)}.{text}"
    return text.replace("'", "''")


def type_names(change: Change, table: Relation) -> Any:
    """Column name to SQL type name, for `deparse`."""
    names = {column.name: format_type(change.catalog, column.typ, -1) for column in table.columns if not column.dropped}
    return names.get


async def set_default(
    change: Change, table: Relation, attnum: int, node: Any, *, generated: str = "", text: str | None = None
) -> None:
    """Set or replace a column's default expression, checked against the column's type."""
    column = table.columns[attnum - 1]
    if text is None:
        _check_default(change, table, node, generated, column.name)
        if node is not None:
            analysed(change, node, table if generated else None, "generated" if generated else "default")
            if type(node).__name__ == "A_Const":
                analysed(change, node, None, "default", column.typ, column.typmod)
        hint = format_type(change.catalog, column.typ, -1)
        text = expression(node, type_names(change, table), hint, change.settle)
    text = kept_expression(change.catalog, text)
    check_expression(change, table if generated else None, text, column.typ, column.typmod, column.name, generated)
    await drop_default(change, table.oid, attnum)
    if node is not None and not generated and type(node).__name__ == "A_Const" and node.isnull:
        return
    oid = await change.oid()
    await change.writer.insert("pg_attrdef", {"oid": oid, "adrelid": table.oid, "adnum": attnum, "adbin": text})
    row = change.rows["pg_attribute"].get(table.oid, attnum)
    assert row is not None
    await change.writer.update("pg_attribute", row, atthasdef=True, attgenerated=generated)
    await change.depend((ATTRDEF, oid, 0), (CLASS, table.oid, attnum), "a")
    tree = parser.parse_expression(text)
    for name in _sequences_of(tree):
        found = _relation_by_text(change, name)
        if found is not None and found.kind == "S":
            await change.depend((ATTRDEF, oid, 0), (CLASS, found.oid, 0), "n")
    if generated:
        for name in columns_of(tree):
            used = next((c for c in table.columns if c.name == name), None)
            if used is not None:
                await change.depend(
                    (ATTRDEF, oid, 0), (CLASS, table.oid, used.attnum), "n" if used.attnum != attnum else "a"
                )


def _check_default(change: Change, table: Relation, node: Any, generated: str, column: str) -> None:
    names = columns_of(node)

    def where(name: str) -> int | None:
        return column_position(node, name) if change.source is not None else None

    if names and not generated:
        raise SqlError("0A000", "cannot use column reference in DEFAULT expression", position=where(names[0]))
    if not generated:
        return
    for name in names:
        used = next((c for c in table.columns if c.name == name and not c.dropped), None)
        if name == column or (used is not None and used.generated):
            raise SqlError(
                "42P17",
                f'cannot use generated column "{name}" in column generation expression',
                detail="A generated column cannot reference another generated column.",
                position=where(name),
            )
    volatile = is_volatile(node)
    if volatile:
        raise SqlError("42P17", "generation expression is not immutable")


def is_volatile(node: Any) -> bool:
    """Does an expression call a function whose answer may differ from row to row?"""
    for name in functions_of(node):
        found = FACTS.functions(name)
        if found and all(function.volatile == "v" for function in found):
            return True
    return False


def check_expression(
    change: Change, table: Relation | None, text: str, typ: int, typmod: int, column: str, generated: str = ""
) -> None:
    """Plan the expression as it will be used; its errors are the statement's."""
    name = format_type(change.catalog, typ, typmod)
    source = f" FROM {quote_ident(table.schema)}.{quote_ident(table.name)}" if table is not None else ""
    query = f"SELECT {text}{source}"
    planned = prepare_own(change.session, query, change.catalog)
    given = planned.planned.output[0].typ
    if given not in (typ, 705) and not can_assign(change, given, typ):
        raise SqlError(
            "42804",
            f'column "{column}" is of type {name} but default expression is of type {format_type(change.catalog, given)}',
            hint="You will need to rewrite or cast the expression.",
        )


def _sequences_of(node: Any) -> list[str]:
    """String constants that are arguments of nextval and currval."""
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, tuple):
            for item in part:
                walk(item)
        elif isinstance(part, parser.ast.Node):
            if (
                isinstance(part, parser.ast.FuncCall)
                and part.funcname[-1].sval in ("nextval", "currval", "setval")
                and part.args
            ):
                arg = part.args[0]
                while isinstance(arg, parser.ast.TypeCast):
                    arg = arg.arg
                if isinstance(arg, parser.ast.A_Const) and isinstance(arg.val, parser.ast.String):
                    found.append(arg.val.sval)
            for name in part:
                value = getattr(part, name)
                if isinstance(value, tuple | parser.ast.Node):
                    walk(value)

    walk(node)
    return found


def _relation_by_text(change: Change, text: str) -> Relation | None:
    if text.isdigit():
        return change.catalog.relation_by_oid(int(text))
    names = split_name(text)
    return change.catalog.relation(names[-1], names[-2] if len(names) > 1 else None)


async def drop_default(change: Change, relation: int, attnum: int) -> None:
    """Remove a column's default, if it has one."""
    for row in change.rows["pg_attrdef"].group(("adrelid",), relation):
        if row["adnum"] == attnum:
            await remove_default(change, row["oid"])
            await change.forget_dependencies(ATTRDEF, row["oid"])
