"""pg_get_…: objects as SQL text, the way PostgreSQL writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sixfold.engine.activity import Counts, counts, live_rows
from sixfold.engine.analyzer.types import format_type as type_text
from sixfold.engine.catalog import facts
from sixfold.engine.catalog.model import Constraint, Relation
from sixfold.engine.catalog.snapshot import constraint
from sixfold.engine.errors import SqlError, not_built
from sixfold.engine.facts import FACTS
from sixfold.engine.parser import quote_ident
from sixfold.engine.pretty import pretty as without_parentheses
from sixfold.engine.stored import shown_expression, shown_query

from .names import regclassin, shown

if TYPE_CHECKING:
    from sixfold.engine.session import Session

ACTIONS = {"r": " RESTRICT", "c": " CASCADE", "n": " SET NULL", "d": " SET DEFAULT"}


def format_type(session: Session, oid: int | None, typmod: int | None) -> str | None:
    """format_type(oid, typmod)"""
    if oid is None:
        return None
    if oid == 0:
        return "-"
    if session.snapshot.type_by_oid(oid) is None:
        return "???"
    return type_text(session.catalog(), oid, -1 if typmod is None else typmod)


def get_expr(session: Session, text: str, relation: int, pretty: bool = False) -> str:
    """pg_get_expr: expressions are kept as SQL text."""
    found = shown_expression(session.catalog(), text)
    return without_parentheses(found) if pretty else found


def get_userbyid(session: Session, oid: int) -> str:
    """pg_get_userbyid"""
    return session.snapshot.role_name(oid) or f"unknown (OID={oid})"


def get_indexdef(session: Session, oid: int, column: int = 0, pretty: bool = False) -> str | None:
    """pg_get_indexdef"""
    snapshot = session.snapshot
    row = snapshot.rows["pg_index"].get(oid)
    if row is None:
        return _system_indexdef(session, oid, column)
    table = snapshot.relation(row["indrelid"])
    index = snapshot.index(row)
    if table is None:
        return None
    parts: list[str] = []
    for key in index.keys:
        text = quote_ident(table.columns[key.attnum - 1].name)
        opclass = FACTS.opclass_oids.get(key.opclass)
        if not column:
            if opclass is not None and not opclass.default:
                text += f" {opclass.name}"
            if key.desc:
                text += " DESC"
            if key.nulls_first != key.desc:
                text += " NULLS FIRST" if key.nulls_first else " NULLS LAST"
        parts.append(text)
    if column:
        return parts[column - 1] if 0 < column <= len(parts) else ""
    unique = "UNIQUE " if index.unique else ""
    nulls = " NULLS NOT DISTINCT" if index.nulls_not_distinct else ""
    name = (
        shown(session, table.oid, table.name, table.schema)
        if pretty
        else f"{quote_ident(table.schema)}.{quote_ident(table.name)}"
    )
    options = _index_options(session, oid)
    return f"CREATE {unique}INDEX {quote_ident(index.name)} ON {name} USING btree ({', '.join(parts)}){nulls}{options}"


def _index_options(session: Session, oid: int) -> str:
    """WITH (…), if the index has options."""
    row = session.snapshot.rows["pg_class"].get(oid)
    options = [item.split("=", 1) for item in row["reloptions"] or ()] if row else []
    if not options:
        return ""
    # What could be an identifier is not quoted.
    parts = [f"{quote_ident(name)}={value if quote_ident(value) == value else repr(value)}" for name, value in options]
    return f" WITH ({', '.join(parts)})"


def _system_indexdef(session: Session, oid: int, column: int) -> str | None:
    for table_oid in session.snapshot.system_tables():
        table = session.snapshot.relation(table_oid)
        for index in table.indexes if table else ():
            if table is not None and index.oid == oid:
                names = [table.columns[key.attnum - 1].name for key in index.keys]
                if column:
                    return names[column - 1] if 0 < column <= len(names) else ""
                unique = "UNIQUE " if index.unique else ""
                return f"CREATE {unique}INDEX {index.name} ON pg_catalog.{table.name} USING btree ({', '.join(names)})"
    return None


def get_constraintdef(session: Session, oid: int, pretty: bool = False) -> str | None:
    """pg_get_constraintdef"""
    row = session.snapshot.rows["pg_constraint"].get(oid)
    if row is None:
        return None
    item = constraint(row)
    table = session.snapshot.relation(item.relation)
    text = constraint_text(session, item, table, pretty)
    if item.deferrable:
        text += " DEFERRABLE"
    if item.deferred:
        text += " INITIALLY DEFERRED"
    if not item.validated:
        text += " NOT VALID"
    return text


def _list(table: Relation, attnums: tuple[int, ...]) -> str:
    return ", ".join(quote_ident(table.columns[attnum - 1].name) for attnum in attnums)


def constraint_text(session: Session, item: Constraint, table: Relation | None, pretty: bool = False) -> str:
    """A constraint without its attributes."""
    if item.kind == "c":
        expr = shown_expression(session.catalog(), item.expr or "")
        expr = without_parentheses(expr) if pretty else expr
        text = f"CHECK ({expr})"
        return text + (" NO INHERIT" if item.no_inherit else "")
    assert table is not None
    if item.kind in "pu":
        index = next((index for index in table.indexes if index.oid == item.index), None)
        nulls = " NULLS NOT DISTINCT" if index is not None and index.nulls_not_distinct else ""
        return f"{'PRIMARY KEY' if item.kind == 'p' else 'UNIQUE'}{nulls} ({_list(table, item.columns)})"
    parent = session.snapshot.relation(item.foreign_relation)
    if parent is None:
        return ""
    name = shown(session, parent.oid, parent.name, parent.schema)
    text = f"FOREIGN KEY ({_list(table, item.columns)}) REFERENCES {name}({_list(parent, item.foreign_columns)})"
    text += " MATCH FULL" if item.match == "f" else ""
    if item.on_update in ACTIONS:
        text += f" ON UPDATE{ACTIONS[item.on_update]}"
    if item.on_delete in ACTIONS:
        text += f" ON DELETE{ACTIONS[item.on_delete]}"
        if item.delete_set_columns:
            text += f" ({_list(table, item.delete_set_columns)})"
    return text


def get_viewdef(session: Session, view: Any, pretty: Any = False) -> str | None:
    """pg_get_viewdef, by OID or name."""
    oid = regclassin(session, view) if isinstance(view, str) else view
    found = session.snapshot.relation(oid)
    if found is None or found.view is None:
        return None if found is None else ""
    return f" {shown_query(session.catalog(), found.view)};"


def get_serial_sequence(session: Session, table: str, column: str) -> str | None:
    """pg_get_serial_sequence"""
    oid = regclassin(session, table)
    found = session.snapshot.relation(oid)
    if found is None:
        return None
    item = next((c for c in found.columns if c.name == column and not c.dropped), None)
    if item is None:
        raise SqlError("42703", f'column "{column}" of relation "{found.name}" does not exist')
    for row in session.snapshot.rows["pg_depend"].group(("refclassid", "refobjid"), 1259, oid):
        if row["refobjsubid"] == item.attnum and row["classid"] == 1259 and row["deptype"] in "ai":
            sequence = session.snapshot.sequence(row["objid"])
            if sequence is not None:
                return f"{quote_ident(sequence.schema)}.{quote_ident(sequence.name)}"
    return None


def function_arguments(session: Session, oid: int) -> str | None:
    """pg_get_function_arguments"""
    found = FACTS.function_oids.get(oid)
    if found is None:
        return None
    names = found.names or ("",) * len(found.args)
    parts = [
        f"{name + ' ' if name else ''}{type_text(session.catalog(), typ)}"
        for name, typ in zip(names, found.args, strict=False)
    ]
    if found.variadic and parts:
        parts[-1] = f"VARIADIC {parts[-1]}"
    return ", ".join([*parts, *(f"OUT {name} {type_text(session.catalog(), typ)}" for name, typ in found.out)])


def function_result(session: Session, oid: int) -> str | None:
    """pg_get_function_result"""
    found = FACTS.function_oids.get(oid)
    if found is None:
        return None
    return f"{'SETOF ' if found.retset else ''}{type_text(session.catalog(), found.rettype)}"


def replica_identity_index(session: Session, oid: int) -> int | None:
    """pg_get_replica_identity_index"""
    row = session.snapshot.rows["pg_class"].get(oid)
    mark = {"d": "indisprimary", "i": "indisreplident"}.get(row["relreplident"]) if row else None
    if mark is None:
        return None
    indexes = session.snapshot.rows["pg_index"].group(("indrelid",), oid)
    return next((item["indexrelid"] for item in indexes if item[mark]), None)


def function_definition(session: Session, oid: int) -> str | None:
    """pg_get_functiondef. (All functions are PostgreSQL's own.)"""
    row = next((row for row in facts.typed("pg_proc") if row["oid"] == oid), None)
    if row is None:
        return None
    if row["prokind"] == "a":
        raise SqlError("42809", f'"{row["proname"]}" is an aggregate function')
    language = next(item["lanname"] for item in facts.typed("pg_language") if item["oid"] == row["prolang"])
    if language == "sql":
        raise not_built("the text of a function in SQL")
    name = f"pg_catalog.{quote_ident(row['proname'])}({function_arguments(session, oid)})"
    marks = [
        "WINDOW" if row["prokind"] == "w" else "",
        {"i": "IMMUTABLE", "s": "STABLE"}.get(row["provolatile"], ""),
        {"s": "PARALLEL SAFE", "r": "PARALLEL RESTRICTED"}.get(row["proparallel"], ""),
        "STRICT" if row["proisstrict"] else "",
        "LEAKPROOF" if row["proleakproof"] else "",
        f"COST {row['procost']:g}" if row["procost"] != 1 else "",
        f"ROWS {row['prorows']:g}" if row["prorows"] not in (0, 1000) else "",
        f"SUPPORT {FACTS.function_oids[row['prosupport']].name}" if row["prosupport"] else "",
    ]
    shown_marks = " ".join(mark for mark in marks if mark)
    lines = [f"CREATE OR REPLACE FUNCTION {name}", f" RETURNS {function_result(session, oid)}", f" LANGUAGE {language}"]
    lines += [f" {shown_marks}"] if shown_marks else []
    return "\n".join([*lines, f"AS $function${row['prosrc']}$function$", ""])


def typeof(session: Session, *args: Any) -> Any:
    """pg_typeof is answered by the analyzer; values have no type here."""
    return None


def describe_object(session: Session, classid: int, oid: int, sub: int) -> str | None:
    """pg_describe_object, of relations and columns."""
    found = session.snapshot.relation(oid) if classid == 1259 else None
    if found is None:
        return None
    kind = {"r": "table", "v": "view", "S": "sequence", "i": "index"}.get(found.kind, "relation")
    name = f"{kind} {shown(session, oid, found.name, found.schema)}"
    return f"column {found.columns[sub - 1].name} of {name}" if sub else name


def sequence_last_value(session: Session, oid: int) -> int | None:
    """pg_sequence_last_value: null before the first nextval."""
    found = session.snapshot.sequence(oid)
    if found is None:
        return None
    kind, value = session.database.volume.sequence_value(found.root)
    return value[0] if kind == "done" and value[1] else None


def _is_updatable(session: Session, oid: int, triggers: bool) -> int:
    found = session.snapshot.relation(oid)
    return 28 if found is not None and found.kind == "r" and found.host is None else 0


def _live_tuples(session: Session, oid: int) -> int:
    found = session.snapshot.relation(oid)
    return live_rows(found.rows, _written(session, found.root)) if found else 0


def _dead_tuples(session: Session, oid: int) -> int:
    found = session.snapshot.relation(oid)
    return _written(session, found.root).dead if found else 0


def _written(session: Session, root: int) -> Counts:
    return counts(session.database.volume).get(root, Counts())


def _am_property(session: Session, *args: Any) -> bool | None:
    name = str(args[-1]).lower()
    return {
        "can_order": True,
        "can_unique": True,
        "can_multi_col": True,
        "can_exclude": True,
        "can_include": False,
        "clusterable": True,
        "index_scan": True,
        "bitmap_scan": False,
        "backward_scan": True,
        "orderable": True,
        "asc": True,
        "desc": False,
        "nulls_first": False,
        "nulls_last": True,
        "returnable": False,
        "search_array": True,
        "search_nulls": True,
        "distance_orderable": False,
    }.get(name)


LAX: dict[str, Callable[..., Any]] = {"format_type": format_type}
STRICT: dict[str, Callable[..., Any]] = {
    "pg_get_expr": get_expr,
    "pg_get_expr_ext": get_expr,
    "pg_get_userbyid": get_userbyid,
    "pg_get_indexdef": get_indexdef,
    "pg_get_indexdef_ext": get_indexdef,
    "pg_get_constraintdef": get_constraintdef,
    "pg_get_constraintdef_ext": get_constraintdef,
    **{f"pg_get_viewdef{kind}": get_viewdef for kind in ("", "_ext", "_name", "_name_ext", "_wrap")},
    "pg_get_serial_sequence": get_serial_sequence,
    "pg_get_function_arguments": function_arguments,
    "pg_get_function_identity_arguments": function_arguments,
    "pg_get_function_result": function_result,
    "pg_get_function_arg_default": lambda session, oid, number: None,
    "pg_get_function_sqlbody": lambda session, oid: None,
    "pg_get_functiondef": function_definition,
    "oidvectortypes": lambda session, oids: ", ".join(type_text(session.catalog(), oid) for oid in oids),
    "pg_get_triggerdef": lambda session, *args: None,
    "pg_get_triggerdef_ext": lambda session, *args: None,
    "pg_get_ruledef": lambda session, *args: None,
    "pg_get_ruledef_ext": lambda session, *args: None,
    "pg_get_partkeydef": lambda session, oid: None,
    "pg_get_partition_constraintdef": lambda session, oid: None,
    "pg_get_statisticsobjdef": lambda session, oid: None,
    "pg_get_statisticsobjdef_columns": lambda session, oid: None,
    "pg_get_statisticsobjdef_expressions": lambda session, oid: None,
    "pg_get_replica_identity_index": replica_identity_index,
    "pg_describe_object": describe_object,
    "pg_sequence_last_value": sequence_last_value,
    "pg_relation_is_publishable": lambda session, oid: oid >= 16384,
    "pg_relation_is_updatable": _is_updatable,
    "pg_column_is_updatable": lambda session, oid, attnum, triggers: bool(_is_updatable(session, oid, triggers)),
    "pg_tablespace_location": lambda session, oid: "",
    "pg_partition_root": lambda session, oid: None,
    "pg_stat_get_live_tuples": _live_tuples,
    "pg_stat_get_dead_tuples": _dead_tuples,
    # Nobody counts them.
    "pg_stat_get_numscans": lambda session, oid: None,
    "pg_index_column_has_property": _am_property,
    "pg_index_has_property": _am_property,
    "pg_indexam_has_property": _am_property,
}
