"""Names of objects and their OIDs: reg types in and out, to_reg…, visibility."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sixfold.engine import parser
from sixfold.engine.analyzer.names import split_name
from sixfold.engine.analyzer.types import format_type, resolve_type
from sixfold.engine.catalog.model import PG_CATALOG
from sixfold.engine.errors import SqlError
from sixfold.engine.facts import FACTS
from sixfold.engine.parser import quote_ident

if TYPE_CHECKING:
    from sixfold.engine.session import Session


def _parts(text: str) -> tuple[str | None, str]:
    names = split_name(text)
    return (names[-2] if len(names) > 1 else None), names[-1]


def relation_oid(session: Session, text: str) -> int | None:
    """A relation by what regclass reads: a name or a number."""
    if text == "-":
        return 0
    if text.isdigit():
        return int(text)
    schema, name = _parts(text)
    if schema is not None and session.catalog().namespace_oid(schema) is None:
        return None
    found = session.catalog().relation(name, schema)
    return found.oid if found else None


def regclassin(session: Session, text: str) -> int:
    found = relation_oid(session, text)
    if found is None:
        schema, _ = _parts(text)
        if schema is not None and session.catalog().namespace_oid(schema) is None:
            raise SqlError("3F000", f'schema "{schema}" does not exist')
        raise SqlError("42P01", f'relation "{".".join(split_name(text))}" does not exist')
    return found


def regclassout(session: Session, oid: int) -> str:
    if oid == 0:
        return "-"
    found = session.snapshot.relation(oid)
    if found is None:
        row = session.snapshot.rows["pg_class"].get(oid)
        return str(row["relname"]) if row else str(oid)
    return shown(session, found.oid, found.name, found.schema)


def shown(session: Session, oid: int, name: str, schema: str) -> str:
    """A relation's name, with its schema where it is not visible."""
    visible = session.catalog().relation(name)
    return (
        quote_ident(name)
        if visible is not None and visible.oid == oid
        else f"{quote_ident(schema)}.{quote_ident(name)}"
    )


def type_oid(session: Session, text: str) -> int | None:
    """A type by what regtype reads."""
    if text == "-":
        return 0
    if text.isdigit():
        return int(text)
    try:
        node = parser.parse_expression(f"NULL::{text}").typeName
        return resolve_type(session.catalog(), node)[0].oid
    except SqlError as error:
        if error.code in ("42704", "3F000"):
            return None
        raise SqlError("42601", f'invalid type name "{text}"') from None


def regtypein(session: Session, text: str) -> int:
    found = type_oid(session, text)
    if found is None:
        raise SqlError("42704", f'type "{text}" does not exist')
    return found


def regtypeout(session: Session, oid: int) -> str:
    return "-" if oid == 0 else format_type(session.catalog(), oid)


def _functions(text: str) -> list[Any]:
    return list(FACTS.functions(_parts(text.partition("(")[0])[1]))


def regprocin(session: Session, text: str) -> int:
    if text == "-":
        return 0
    if text.isdigit():
        return int(text)
    found = _functions(text)
    if not found:
        raise SqlError("42883", f'function "{text}" does not exist')
    if len(found) > 1:
        raise SqlError("42725", f'more than one function named "{text}"')
    return int(found[0].oid)


def regprocout(session: Session, oid: int) -> str:
    if oid == 0:
        return "-"
    found = FACTS.function_oids.get(oid)
    if found is None:
        return str(oid)
    return found.name if len(FACTS.functions(found.name)) == 1 else f"pg_catalog.{quote_ident(found.name)}"


def regprocedureout(session: Session, oid: int) -> str:
    found = FACTS.function_oids.get(oid)
    if found is None:
        return "-" if oid == 0 else str(oid)
    return f"{quote_ident(found.name)}({','.join(format_type(session.catalog(), arg) for arg in found.args)})"


def regprocedurein(session: Session, text: str) -> int:
    if text.isdigit():
        return int(text)
    args = text.partition("(")[2].rstrip(")")
    types = tuple(regtypein(session, arg.strip()) for arg in args.split(",")) if args.strip() else ()
    for found in _functions(text):
        if found.args == types:
            return int(found.oid)
    raise SqlError("42883", f'function "{text}" does not exist')


def regnamespacein(session: Session, text: str) -> int:
    if text.isdigit():
        return int(text)
    name = _parts(text)[1]
    found = session.catalog().namespace_oid(name)
    if found is None:
        raise SqlError("3F000", f'schema "{name}" does not exist')
    return found


def regnamespaceout(session: Session, oid: int) -> str:
    name = session.snapshot.namespace_name(oid)
    return "-" if oid == 0 else quote_ident(name) if name else str(oid)


def regrolein(session: Session, text: str) -> int:
    if text.isdigit():
        return int(text)
    name = _parts(text)[1]
    row = session.snapshot.role(name)
    if row is None:
        raise SqlError("42704", f'role "{name}" does not exist')
    return int(row["oid"])


def regroleout(session: Session, oid: int) -> str:
    name = session.snapshot.role_name(oid)
    return "-" if oid == 0 else quote_ident(name) if name else str(oid)


def regoperout(session: Session, oid: int) -> str:
    found = FACTS.operator_oids.get(oid)
    return "0" if oid == 0 else found.name if found else str(oid)


def regoperatorout(session: Session, oid: int) -> str:
    found = FACTS.operator_oids.get(oid)
    if found is None:
        return "0" if oid == 0 else str(oid)
    left = format_type(session.catalog(), found.left) if found.left else "NONE"
    return f"{found.name}({left},{format_type(session.catalog(), found.right)})"


def regcollationout(session: Session, oid: int) -> str:
    found = next((row.name for row in FACTS.collations if row.oid == oid), None)
    return "-" if oid == 0 else quote_ident(found) if found else str(oid)


def regcollationin(session: Session, text: str) -> int:
    name = _parts(text)[1]
    for row in FACTS.collations:
        if row.name == name:
            return row.oid
    raise SqlError("42704", f'collation "{name}" for encoding "UTF8" does not exist')


def _or_null(read: Callable[[Session, str], int]) -> Callable[[Session, str], int | None]:
    def wrapped(session: Session, text: str) -> int | None:
        try:
            return read(session, text)
        except SqlError as error:
            if error.code in ("42704", "42883", "3F000", "42P01", "42725"):
                return None
            raise

    return wrapped


def table_is_visible(session: Session, oid: int) -> bool | None:
    found = session.snapshot.relation(oid)
    if found is None:
        row = session.snapshot.rows["pg_class"].get(oid)
        if row is None:
            return None
        return row["relnamespace"] in session.catalog().search_path()
    visible = session.catalog().relation(found.name)
    return visible is not None and visible.oid == oid


def type_is_visible(session: Session, oid: int) -> bool | None:
    found = session.snapshot.type_by_oid(oid)
    if found is None:
        return None
    visible = session.catalog().type_by_name(found.name)
    return visible is not None and visible.oid == oid


def _system_visible(session: Session, oid: int) -> bool:
    return PG_CATALOG in session.catalog().search_path()


STRICT: dict[str, Callable[..., Any]] = {
    "regclassin": regclassin,
    "text_regclass": regclassin,
    "regclassout": regclassout,
    "regtypein": regtypein,
    "regtypeout": regtypeout,
    "regprocin": regprocin,
    "regprocout": regprocout,
    "regprocedurein": regprocedurein,
    "regprocedureout": regprocedureout,
    "regnamespacein": regnamespacein,
    "regnamespaceout": regnamespaceout,
    "regrolein": regrolein,
    "regroleout": regroleout,
    "regoperout": regoperout,
    "regoperatorout": regoperatorout,
    "regcollationin": regcollationin,
    "regcollationout": regcollationout,
    "to_regclass": relation_oid,
    "to_regtype": _or_null(regtypein),
    "to_regproc": _or_null(regprocin),
    "to_regprocedure": _or_null(regprocedurein),
    "to_regnamespace": _or_null(regnamespacein),
    "to_regrole": _or_null(regrolein),
    "to_regcollation": _or_null(regcollationin),
    "pg_table_is_visible": table_is_visible,
    "pg_type_is_visible": type_is_visible,
    **{
        f"pg_{kind}_is_visible": _system_visible
        for kind in (
            "function",
            "operator",
            "opclass",
            "opfamily",
            "collation",
            "conversion",
            "ts_config",
            "ts_dict",
            "ts_parser",
            "ts_template",
            "statistics_obj",
        )
    },
}
