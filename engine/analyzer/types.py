"""Type names: from the parse tree to an OID and a typmod, and back to SQL text as PostgreSQL writes it."""

from __future__ import annotations

from typing import Any

from sixfold.engine.analyzer import oids
from sixfold.engine.catalog.model import CatalogReader, Type
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.parser import ast, quote_ident

_SQL_NAMES = {
    oids.BIT: "bit",
    oids.BOOL: "boolean",
    oids.BPCHAR: "character",
    oids.CHAR: '"char"',
    oids.FLOAT4: "real",
    oids.FLOAT8: "double precision",
    oids.INT2: "smallint",
    oids.INT4: "integer",
    oids.INT8: "bigint",
    oids.NUMERIC: "numeric",
    oids.INTERVAL: "interval",
    oids.TIME: "time without time zone",
    oids.TIMETZ: "time with time zone",
    oids.TIMESTAMP: "timestamp without time zone",
    oids.TIMESTAMPTZ: "timestamp with time zone",
    oids.VARBIT: "bit varying",
    oids.VARCHAR: "character varying",
}

_INTERVAL_FIELDS = {
    1 << 2: " year",
    1 << 1: " month",
    1 << 3: " day",
    1 << 10: " hour",
    1 << 11: " minute",
    1 << 12: " second",
    (1 << 2) | (1 << 1): " year to month",
    (1 << 3) | (1 << 10): " day to hour",
    (1 << 3) | (1 << 10) | (1 << 11): " day to minute",
    (1 << 3) | (1 << 10) | (1 << 11) | (1 << 12): " day to second",
    (1 << 10) | (1 << 11): " hour to minute",
    (1 << 10) | (1 << 11) | (1 << 12): " hour to second",
    (1 << 11) | (1 << 12): " minute to second",
    0x7FFF: "",
}


def format_type(catalog: CatalogReader, oid: int, typmod: int = -1) -> str:
    """format_type(oid, typmod): the SQL name of a type."""
    if oid == 0:
        return "-"
    typ = catalog.type_by_oid(oid)
    if typ is None:
        return "???"
    if typ.is_array and typ.elem and oid not in (oids.INT2VECTOR, oids.OIDVECTOR):
        return format_type(catalog, typ.elem, typmod) + "[]"
    name = _SQL_NAMES.get(oid)
    if name is None:
        name = quote_ident(typ.name)
        if typ.namespace != 11 and (typ.namespace not in catalog.search_path()):
            name = quote_ident(catalog.namespace_name(typ.namespace) or "?") + "." + name
        return name
    if typmod < 0:
        if oid == oids.BPCHAR and typmod == -1:
            return "character"
        return name
    return _with_typmod(oid, name, typmod)


def _with_typmod(oid: int, name: str, typmod: int) -> str:
    if oid in (oids.VARCHAR, oids.BPCHAR):
        return f"{name}({typmod - 4})"
    if oid in (oids.BIT, oids.VARBIT):
        return f"{name}({typmod})"
    if oid == oids.NUMERIC:
        return f"numeric({((typmod - 4) >> 16) & 0xFFFF},{numeric_scale(typmod)})"
    if oid in (oids.TIME, oids.TIMETZ, oids.TIMESTAMP, oids.TIMESTAMPTZ):
        base, _, rest = name.partition(" ")
        return f"{base}({typmod}) {rest}"
    if oid == oids.INTERVAL:
        precision = typmod & 0xFFFF
        fields = _INTERVAL_FIELDS.get((typmod >> 16) & 0x7FFF, "")
        return "interval" + fields + (f"({precision})" if precision != 0xFFFF else "")
    return name


def numeric_scale(typmod: int) -> int:
    """The scale in a numeric's typmod (it may be negative)."""
    return (((typmod - 4) & 0x7FF) ^ 1024) - 1024


def name_of(names: tuple[Any, ...]) -> str:
    """A dotted name as it was written."""
    return ".".join(n.sval for n in names)


def _position(node: Any) -> int | None:
    location = getattr(node, "location", None)
    return location + 1 if location is not None and location >= 0 else None


def lookup_type(catalog: CatalogReader, names: tuple[Any, ...], position: int | None = None) -> Type:
    """A type by its (possibly qualified) name."""
    if len(names) > 3:
        raise SqlError("42601", f"improper qualified name (too many dotted names): {name_of(names)}", position=position)
    schema = names[-2].sval if len(names) > 1 else None
    typ = catalog.type_by_name(names[-1].sval, schema)
    if typ is None:
        if schema is not None and catalog.namespace_oid(schema) is None:
            raise SqlError("3F000", f'schema "{schema}" does not exist', position=position)
        raise SqlError("42704", f'type "{name_of(names)}" does not exist', position=position)
    return typ


def resolve_type(catalog: CatalogReader, name: Any, *, allow_shell: bool = False) -> tuple[Type, int]:
    """A TypeName's type and typmod; for arrays the array type with its elements' typmod."""
    position = _position(name)
    if name.pct_type:
        raise not_built("%TYPE", position)
    if name.names is None:
        typ = catalog.type_by_oid(name.typeOid)
        if typ is None:
            raise SqlError("42704", f"type with OID {name.typeOid} does not exist")
    else:
        typ = lookup_type(catalog, name.names, position)
    typmod = _typmod(catalog, typ, name, position)
    if name.arrayBounds and not typ.is_array:
        if not typ.array:
            raise SqlError("42704", f'type "{format_type(catalog, typ.oid)}[]" does not exist', position=position)
        array = catalog.type_by_oid(typ.array)
        assert array is not None, "typarray names a type"
        typ = array
    return typ, typmod


def _typmod(catalog: CatalogReader, typ: Type, name: Any, position: int | None) -> int:
    if not name.typmods:
        return name.typemod if name.typemod is not None else -1
    values: list[str] = []
    for item in name.typmods:
        if isinstance(item, ast.A_Const) and isinstance(item.val, ast.Integer):
            values.append(str(item.val.ival or 0))
        elif isinstance(item, ast.A_Const) and isinstance(item.val, ast.Float):
            values.append(item.val.fval)
        elif isinstance(item, ast.A_Const) and isinstance(item.val, ast.String):
            values.append(item.val.sval)
        elif isinstance(item, ast.ColumnRef) and len(item.fields) == 1:
            values.append(item.fields[0].sval)
        else:
            raise SqlError("42601", "type modifiers must be simple constants or identifiers", position=position)
    base = typ
    if typ.is_array:
        elem = catalog.type_by_oid(typ.elem)
        assert elem is not None, "an array type has an element type"
        base = elem
    numbers: list[int] = []
    for value in values:
        try:
            numbers.append(int(value))
        except ValueError:
            raise SqlError("22P02", f'invalid input syntax for type integer: "{value}"', position=position) from None
    return encode_typmod(base, numbers, position)


def encode_typmod(typ: Type, values: list[int], position: int | None = None) -> int:
    """What the type's typmodin function makes of the numbers in parentheses."""
    oid = typ.oid
    if oid in (oids.VARCHAR, oids.BPCHAR, oids.BIT, oids.VARBIT):
        name = {oids.VARCHAR: "varchar", oids.BPCHAR: "char", oids.BIT: "bit", oids.VARBIT: "varbit"}[oid]
        if len(values) != 1:
            raise SqlError("22023", "invalid type modifier", position=position)
        limit = 10485760 if oid in (oids.VARCHAR, oids.BPCHAR) else 83886080
        if values[0] < 1:
            raise SqlError("22023", f"length for type {name} must be at least 1", position=position)
        if values[0] > limit:
            raise SqlError("22023", f"length for type {name} cannot exceed {limit}", position=position)
        return values[0] + 4 if oid in (oids.VARCHAR, oids.BPCHAR) else values[0]
    if oid == oids.NUMERIC:
        return _numeric_typmod(values, position)
    if oid in (oids.TIME, oids.TIMETZ, oids.TIMESTAMP, oids.TIMESTAMPTZ):
        if len(values) != 1:
            raise SqlError("22023", "invalid type modifier", position=position)
        if values[0] < 0:
            suffix = " WITH TIME ZONE" if oid in (oids.TIMETZ, oids.TIMESTAMPTZ) else ""
            kind = "TIME" if oid in (oids.TIME, oids.TIMETZ) else "TIMESTAMP"
            raise SqlError("22023", f"{kind}({values[0]}){suffix} precision must not be negative", position=position)
        return min(values[0], 6)
    if oid == oids.INTERVAL:
        fields = values[0]
        precision = min(values[1], 6) if len(values) > 1 else 0xFFFF
        if len(values) > 1 and values[1] < 0:
            raise SqlError("22023", f"INTERVAL({values[1]}) precision must not be negative", position=position)
        return ((fields & 0x7FFF) << 16) | (precision & 0xFFFF)
    raise SqlError("42601", f'type modifier is not allowed for type "{typ.name}"', position=position)


def _numeric_typmod(values: list[int], position: int | None) -> int:
    if len(values) not in (1, 2):
        raise SqlError("22023", "invalid NUMERIC type modifier", position=position)
    precision = values[0]
    if not 1 <= precision <= 1000:
        raise SqlError("22023", f"NUMERIC precision {precision} must be between 1 and 1000", position=position)
    scale = values[1] if len(values) == 2 else 0
    if not -1000 <= scale <= 1000:
        raise SqlError("22023", f"NUMERIC scale {scale} must be between -1000 and 1000", position=position)
    return ((precision << 16) | (scale & 0x7FF)) + 4
