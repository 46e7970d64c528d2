"""information_schema: the standard's views of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sixfold.engine.analyzer.types import format_type
from sixfold.engine.catalog import facts
from sixfold.engine.catalog.model import Column, Constraint, Relation
from sixfold.engine.stored import shown_expression

from .definitions import get_viewdef
from .sysviews import relations

if TYPE_CHECKING:
    from sixfold.engine.session import Session

Rows = Iterable[dict[str, Any]]
ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
KINDS = {"c": "CHECK", "f": "FOREIGN KEY", "p": "PRIMARY KEY", "u": "UNIQUE"}
RADIX = {21: (16, 2, 0), 23: (32, 2, 0), 20: (64, 2, 0), 700: (24, 2, None), 701: (53, 2, None)}
INTERVAL = 1186
# Types with fractional seconds; date has none to speak of but a precision all the same.
TIMES = (1083, 1114, 1184, 1266)
OCTETS_MAX = 1073741824


def _yes(flag: bool) -> str:
    return "YES" if flag else "NO"


def type_facts(session: Session, typ: int, typmod: int) -> dict[str, Any]:
    """data_type and its lengths and precisions."""
    found = session.catalog().type_by_oid(typ)
    row: dict[str, Any] = {}
    if found is None:
        return row
    row["data_type"] = (
        "ARRAY" if found.is_array else format_type(session.catalog(), typ) if found.namespace == 11 else "USER-DEFINED"
    )
    if typ in (1042, 1043):
        row["character_maximum_length"] = typmod - 4 if typmod > 4 else None
        row["character_octet_length"] = (typmod - 4) * 4 if typmod > 4 else OCTETS_MAX
    elif typ == 25:
        row["character_octet_length"] = OCTETS_MAX
    elif typ in RADIX:
        row["numeric_precision"], row["numeric_precision_radix"], row["numeric_scale"] = RADIX[typ]
    elif typ == 1700:
        row["numeric_precision_radix"] = 10
        if typmod >= 4:
            row["numeric_precision"], row["numeric_scale"] = (typmod - 4) >> 16, (typmod - 4) & 0x7FF
    elif typ in TIMES:
        row["datetime_precision"] = typmod if typmod >= 0 else 6
    elif typ == 1082:
        row["datetime_precision"] = 0
    elif typ == INTERVAL:
        row["datetime_precision"] = 6 if typmod < 0 or typmod & 0xFFFF == 0xFFFF else typmod & 0xFFFF
    row["udt_catalog"] = session.database_name
    row["udt_schema"] = session.snapshot.namespace_name(found.namespace)
    row["udt_name"] = found.name
    return row


def _visible(session: Session, kinds: str = "rvm") -> Iterable[Relation]:
    return relations(session, kinds)


def _is_view(relation: Relation) -> bool:
    return relation.kind == "v" or (
        relation.oid < 16384 and facts.relations().get(relation.name, {}).get("relkind") == "v"
    )


def tables(session: Session) -> Rows:
    """information_schema.tables"""
    for relation in _visible(session, "rv"):
        view = _is_view(relation)
        kind = "VIEW" if view else "LOCAL TEMPORARY" if relation.persistence == "t" else "BASE TABLE"
        yield {
            "table_catalog": session.database_name,
            "table_schema": relation.schema,
            "table_name": relation.name,
            "table_type": kind,
            "is_insertable_into": _yes(not view),
            "is_typed": "NO",
        }


def _identity(session: Session, relation: Relation, column: Column) -> dict[str, Any]:
    if not column.identity:
        return {"is_identity": "NO", "identity_cycle": "NO"}
    row: dict[str, Any] = {
        "is_identity": "YES",
        "identity_generation": "ALWAYS" if column.identity == "a" else "BY DEFAULT",
        "identity_cycle": "NO",
    }
    for depend in session.snapshot.rows["pg_depend"].group(("refclassid", "refobjid"), 1259, relation.oid):
        if depend["refobjsubid"] == column.attnum and depend["classid"] == 1259 and depend["deptype"] == "i":
            found = session.snapshot.sequence(depend["objid"])
            if found is not None:
                row |= {
                    "identity_start": str(found.start),
                    "identity_increment": str(found.increment),
                    "identity_maximum": str(found.max),
                    "identity_minimum": str(found.min),
                    "identity_cycle": _yes(found.cycle),
                }
    return row


def _default(session: Session, column: Column) -> str | None:
    if column.generated or column.identity or column.default is None:
        return None
    return shown_expression(session.catalog(), column.default)


def columns(session: Session) -> Rows:
    """information_schema.columns"""
    for relation in _visible(session):
        updatable = _yes(relation.kind == "r" and relation.host is None)
        for column in relation.columns:
            if column.dropped:
                continue
            yield {
                "table_catalog": session.database_name,
                "table_schema": relation.schema,
                "table_name": relation.name,
                "column_name": column.name,
                "ordinal_position": column.attnum,
                "column_default": _default(session, column),
                "is_nullable": _yes(not column.not_null),
                **type_facts(session, column.typ, column.typmod),
                "dtd_identifier": str(column.attnum),
                "is_self_referencing": "NO",
                **_identity(session, relation, column),
                "is_generated": "ALWAYS" if column.generated else "NEVER",
                "generation_expression": column.default if column.generated else None,
                "is_updatable": updatable,
            }


def _constraints(session: Session, kinds: str) -> Iterable[tuple[Relation, Constraint]]:
    for relation in relations(session, "r", system=False):
        for item in relation.constraints:
            if item.kind in kinds:
                yield relation, item


def _named(session: Session, relation: Relation, item: Constraint) -> dict[str, Any]:
    return {
        "constraint_catalog": session.database_name,
        "constraint_schema": relation.schema,
        "constraint_name": item.name,
        "table_catalog": session.database_name,
        "table_schema": relation.schema,
        "table_name": relation.name,
    }


def table_constraints(session: Session) -> Rows:
    """information_schema.table_constraints; NOT NULL counts as a CHECK, as in PostgreSQL."""
    for relation, item in _constraints(session, "cfpu"):
        nulls = (
            next((_yes(not index.nulls_not_distinct) for index in relation.indexes if index.oid == item.index), None)
            if item.kind == "u"
            else None
        )
        yield {
            **_named(session, relation, item),
            "constraint_type": KINDS[item.kind],
            "is_deferrable": _yes(item.deferrable),
            "initially_deferred": _yes(item.deferred),
            "enforced": "YES",
            "nulls_distinct": nulls,
        }
    for relation, column in _not_nulls(session):
        yield {
            "constraint_catalog": session.database_name,
            "constraint_schema": relation.schema,
            "constraint_name": _not_null_name(relation, column),
            "table_catalog": session.database_name,
            "table_schema": relation.schema,
            "table_name": relation.name,
            "constraint_type": "CHECK",
            "is_deferrable": "NO",
            "initially_deferred": "NO",
            "enforced": "YES",
        }


def _not_nulls(session: Session) -> Iterable[tuple[Relation, Column]]:
    for relation in relations(session, "r", system=False):
        for column in relation.columns:
            if column.not_null and not column.dropped:
                yield relation, column


def _not_null_name(relation: Relation, column: Column) -> str:
    return f"{relation.namespace}_{relation.oid}_{column.attnum}_not_null"


def key_column_usage(session: Session) -> Rows:
    """information_schema.key_column_usage"""
    for relation, item in _constraints(session, "fpu"):
        parent = session.snapshot.relation(item.foreign_relation) if item.kind == "f" else None
        index = next((index for index in parent.indexes if index.oid == item.index), None) if parent else None
        order = [key.attnum for key in index.keys] if index else []
        for at, attnum in enumerate(item.columns):
            position = (
                order.index(item.foreign_columns[at]) + 1 if order and item.foreign_columns[at] in order else None
            )
            yield {
                **_named(session, relation, item),
                "column_name": relation.columns[attnum - 1].name,
                "ordinal_position": at + 1,
                "position_in_unique_constraint": position,
            }


def constraint_column_usage(session: Session) -> Rows:
    """information_schema.constraint_column_usage"""
    for relation, item in _constraints(session, "cfpu"):
        target = session.snapshot.relation(item.foreign_relation) if item.kind == "f" else relation
        if target is None:
            continue
        for attnum in item.foreign_columns if item.kind == "f" else item.columns:
            yield {
                **_named(session, relation, item),
                "table_schema": target.schema,
                "table_name": target.name,
                "column_name": target.columns[attnum - 1].name,
            }


def constraint_table_usage(session: Session) -> Rows:
    """information_schema.constraint_table_usage"""
    for relation, item in _constraints(session, "fpu"):
        target = session.snapshot.relation(item.foreign_relation) if item.kind == "f" else relation
        if target is not None:
            yield {**_named(session, relation, item), "table_schema": target.schema, "table_name": target.name}


def referential_constraints(session: Session) -> Rows:
    """information_schema.referential_constraints"""
    for relation, item in _constraints(session, "f"):
        parent = session.snapshot.relation(item.foreign_relation)
        unique = (
            next((other.name for other in parent.constraints if other.index == item.index and other.kind in "pu"), None)
            if parent
            else None
        )
        yield {
            **_named(session, relation, item),
            "unique_constraint_catalog": session.database_name if unique else None,
            "unique_constraint_schema": parent.schema if parent and unique else None,
            "unique_constraint_name": unique,
            "match_option": "FULL" if item.match == "f" else "NONE",
            "update_rule": ACTIONS[item.on_update],
            "delete_rule": ACTIONS[item.on_delete],
        }


def check_constraints(session: Session) -> Rows:
    """information_schema.check_constraints"""
    for relation, item in _constraints(session, "c"):
        yield {**_named(session, relation, item), "check_clause": f"({item.expr})"}
    for relation, column in _not_nulls(session):
        yield {
            "constraint_catalog": session.database_name,
            "constraint_schema": relation.schema,
            "constraint_name": _not_null_name(relation, column),
            "check_clause": f"{column.name} IS NOT NULL",
        }


def schemata(session: Session) -> Rows:
    """information_schema.schemata"""
    for row in session.snapshot.rows["pg_namespace"].rows.values():
        yield {
            "catalog_name": session.database_name,
            "schema_name": row["nspname"],
            "schema_owner": session.snapshot.role_name(row["nspowner"]),
        }


def sequences(session: Session) -> Rows:
    """information_schema.sequences, without those of identity columns."""
    for relation in relations(session, "S", system=False):
        found = session.snapshot.sequence(relation.oid)
        if found is None or any(
            row["deptype"] == "i"
            for row in session.snapshot.rows["pg_depend"].group(("classid", "objid"), 1259, relation.oid)
        ):
            continue
        precision, radix, scale = RADIX[found.typ]
        yield {
            "sequence_catalog": session.database_name,
            "sequence_schema": found.schema,
            "sequence_name": found.name,
            "data_type": format_type(session.catalog(), found.typ),
            "numeric_precision": precision,
            "numeric_precision_radix": radix,
            "numeric_scale": scale,
            "start_value": str(found.start),
            "minimum_value": str(found.min),
            "maximum_value": str(found.max),
            "increment": str(found.increment),
            "cycle_option": _yes(found.cycle),
        }


def views(session: Session) -> Rows:
    """information_schema.views, of users."""
    for relation in relations(session, "v"):
        yield {
            "table_catalog": session.database_name,
            "table_schema": relation.schema,
            "table_name": relation.name,
            "view_definition": get_viewdef(session, relation.oid),
            "check_option": "NONE",
            "is_updatable": "NO",
            "is_insertable_into": "NO",
            "is_trigger_updatable": "NO",
            "is_trigger_deletable": "NO",
            "is_trigger_insertable_into": "NO",
        }


def catalog_name(session: Session) -> Rows:
    """information_schema.information_schema_catalog_name"""
    yield {"catalog_name": session.database_name}


def enabled_roles(session: Session) -> Rows:
    """information_schema.enabled_roles"""
    yield {"role_name": session.user}


def privileges(session: Session) -> Rows:
    """information_schema.table_privileges: owners have all."""
    for relation in relations(session, "rv", system=False):
        owner = session.snapshot.role_name(relation.owner)
        for privilege in ("INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
            yield {
                "grantor": owner,
                "grantee": owner,
                "table_catalog": session.database_name,
                "table_schema": relation.schema,
                "table_name": relation.name,
                "privilege_type": privilege,
                "is_grantable": "YES",
                "with_hierarchy": _yes(privilege == "SELECT"),
            }


def column_privileges(session: Session) -> Rows:
    """information_schema.column_privileges: owners have all."""
    for relation in relations(session, "rv", system=False):
        owner = session.snapshot.role_name(relation.owner)
        for column in relation.columns:
            for privilege in ("INSERT", "SELECT", "UPDATE", "REFERENCES") if not column.dropped else ():
                yield {
                    "grantor": owner,
                    "grantee": owner,
                    "table_catalog": session.database_name,
                    "table_schema": relation.schema,
                    "table_name": relation.name,
                    "column_name": column.name,
                    "privilege_type": privilege,
                    "is_grantable": "YES",
                }


def element_types(session: Session) -> Rows:
    """information_schema.element_types, of tables' columns."""
    for relation in relations(session, "rv", system=False):
        for column in relation.columns:
            found = session.catalog().type_by_oid(column.typ)
            if not column.dropped and found is not None and found.is_array:
                yield {
                    "object_catalog": session.database_name,
                    "object_schema": relation.schema,
                    "object_name": relation.name,
                    "object_type": "TABLE",
                    "collection_type_identifier": str(column.attnum),
                    **type_facts(session, found.elem, -1),
                    "dtd_identifier": f"a{column.attnum}",
                }


def nothing(session: Session) -> Rows:
    """Views of what Sixfold does not have."""
    return ()


WITHOUT = (
    "triggers",
    "routines",
    "parameters",
    "domains",
    "domain_constraints",
    "user_defined_types",
    "view_table_usage",
    "view_column_usage",
    "column_udt_usage",
    "attributes",
)
INFORMATION: dict[str, Callable[[Session], Rows]] = {
    "tables": tables,
    "columns": columns,
    "table_constraints": table_constraints,
    "key_column_usage": key_column_usage,
    "constraint_column_usage": constraint_column_usage,
    "constraint_table_usage": constraint_table_usage,
    "referential_constraints": referential_constraints,
    "check_constraints": check_constraints,
    "schemata": schemata,
    "sequences": sequences,
    "views": views,
    "information_schema_catalog_name": catalog_name,
    "enabled_roles": enabled_roles,
    "applicable_roles": nothing,
    "table_privileges": privileges,
    "role_table_grants": privileges,
    "column_privileges": column_privileges,
    "element_types": element_types,
    **dict.fromkeys(WITHOUT, nothing),
}
