"""`Snapshot`: one consistent state of the catalogue. `Catalog`: a snapshot through a session's search path (`CatalogReader`).

A snapshot is system relations (never change), PostgreSQL's fixed facts, and the rows of what users made. Objects are built from rows
when first asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Sequence as Seq
from functools import cache
from typing import Any

from sixfold.engine.facts import FACTS

from . import facts
from .model import PG_CATALOG, Cast, Column, Constraint, Function, Index, IndexKey, Operator, Relation, Sequence, Type
from .rows import Row, Rows
from .statistics import column_statistics
from .system import SystemRelations, by_oid, is_user

# Rows that make a relation what it is, by its OID.
_DEFINING = (
    ("pg_attribute", ("attrelid",), ()),
    ("pg_attrdef", ("adrelid",), ()),
    ("pg_constraint", ("conrelid",), ()),
    ("pg_constraint", ("confrelid",), ()),
    ("pg_index", ("indrelid",), ()),
    ("pg_rewrite", ("ev_class",), ()),
    ("pg_depend", ("refclassid", "refobjid"), (1259,)),
)
# Of pg_class: what ANALYZE and VACUUM have found.
_FOUND = ("relpages", "reltuples", "relallvisible", "relfrozenxid")


class Snapshot:
    """A state of the catalogue. Rows must not be changed once a snapshot has them."""

    def __init__(self, version: int, rows: Rows, system: SystemRelations) -> None:
        self.version = version
        self.rows = rows
        self.system = system
        self._relations: dict[int, Relation | None] = {}
        self._types: dict[int, Type | None] = {}

    # -- namespaces, roles

    def namespace_oid(self, name: str) -> int | None:
        """OID of a schema."""
        found = self.rows["pg_namespace"].group(("nspname",), name)
        return found[0]["oid"] if found else None

    def namespace_name(self, oid: int) -> str | None:
        """Name of a schema."""
        row = self.rows["pg_namespace"].get(oid)
        return row["nspname"] if row else None

    def role(self, name: str) -> Row | None:
        """pg_authid's row by name."""
        found = self.rows["pg_authid"].group(("rolname",), name)
        return found[0] if found else None

    def role_name(self, oid: int) -> str | None:
        """Name of a role."""
        row = self.rows["pg_authid"].get(oid)
        return row["rolname"] if row else None

    # -- relations

    def same(self, before: Snapshot, relations: Iterable[int]) -> bool:
        """Are these relations, and the roles, what they were then? Statistics don't count."""
        if any(self.rows[name] is not before.rows[name] for name in ("pg_authid", "pg_auth_members")):
            return False
        return all(self._is_same(before, oid) for oid in relations if is_user(oid))

    def moved(self, before: Snapshot) -> list[int]:
        """Relations whose rows are in other trees than before, or were in none."""
        known = before.rows["sixfold_storage"]
        rows = self.rows["sixfold_storage"].rows.values()
        return [row["relid"] for row in rows if row != known.get(row["relid"])]

    def _is_same(self, before: Snapshot, oid: int) -> bool:
        for name, columns, values in _DEFINING:
            mine, theirs = self.rows[name], before.rows[name]
            if mine is not theirs and mine.group(columns, *values, oid) != theirs.group(columns, *values, oid):
                return False
        indexes = [row["indexrelid"] for row in self.rows["pg_index"].group(("indrelid",), oid)]
        return all(self._is_same_tree(before, tree) for tree in (oid, *indexes))

    def _is_same_tree(self, before: Snapshot, oid: int) -> bool:
        if self.rows["sixfold_storage"].get(oid) != before.rows["sixfold_storage"].get(oid):
            return False
        mine, theirs = self.rows["pg_class"].get(oid), before.rows["pg_class"].get(oid)
        if mine is theirs or mine is None or theirs is None:
            return mine is theirs
        return all(mine[name] == theirs[name] for name in mine if name not in _FOUND)

    def find(self, namespace: int, name: str) -> Relation | None:
        """A relation by schema and name."""
        found = self.rows["pg_class"].group(("relnamespace", "relname"), namespace, name)
        if found:
            return self.relation(found[0]["oid"])
        return self.system.find(namespace, name)

    def relation(self, oid: int) -> Relation | None:
        """A relation by OID."""
        if not is_user(oid):
            return self.system.get(oid)
        if oid not in self._relations:
            self._relations[oid] = self._build(oid)
        return self._relations[oid]

    def system_tables(self) -> list[int]:
        """OIDs of the system's relations."""
        return list(by_oid())

    def _build(self, oid: int) -> Relation | None:
        row = self.rows["pg_class"].get(oid)
        if row is None:
            return None
        kind = row["relkind"]
        tree = self.rows["sixfold_storage"].get(oid)
        view, path = self._view(oid) if kind in ("v", "m") else (None, None)
        return Relation(
            oid=oid,
            schema=self.namespace_name(row["relnamespace"]) or "",
            name=row["relname"],
            kind=kind,
            namespace=row["relnamespace"],
            columns=sequence_columns() if kind == "S" else self._columns(oid),
            indexes=self._indexes(oid) if kind in ("r", "m") else (),
            constraints=tuple(constraint(row) for row in self.rows["pg_constraint"].group(("conrelid",), oid)),
            root=tree["root"] if tree else 0,
            overflow=tree["overflow"] if tree else 0,
            pages=row["relpages"],
            rows=row["reltuples"],
            view=view,
            view_path=path,
            host=f"sequence:{oid}" if kind == "S" else None,
            owner=row["relowner"],
            persistence=row["relpersistence"],
            row_type=row["reltype"],
        )

    def _view(self, oid: int) -> tuple[str | None, tuple[int, ...] | None]:
        rules = self.rows["pg_rewrite"].group(("ev_class",), oid)
        if not rules:
            return None, None
        return rules[0]["ev_action"], tuple(json.loads(rules[0]["ev_qual"]))

    def _columns(self, oid: int) -> tuple[Column, ...]:
        defaults = {row["adnum"]: row["adbin"] for row in self.rows["pg_attrdef"].group(("adrelid",), oid)}
        statistics = {row["staattnum"]: row for row in self.rows["pg_statistic"].group(("starelid",), oid)}
        defaults |= self._identity_defaults(oid)
        attributes = sorted(self.rows["pg_attribute"].group(("attrelid",), oid), key=lambda row: row["attnum"])
        return tuple(
            column(row, defaults.get(row["attnum"]), statistics.get(row["attnum"]))
            for row in attributes
            if row["attnum"] > 0
        )

    def _identity_defaults(self, oid: int) -> dict[int, str]:
        """What identity columns get when nothing is given: the next value of the sequence that belongs to each."""
        found: dict[int, str] = {}
        for row in self.rows["pg_depend"].group(("refclassid", "refobjid"), 1259, oid):
            sequence = (
                self.sequence(row["objid"])
                if row["deptype"] == "i" and row["refobjsubid"] and row["classid"] == 1259
                else None
            )
            if sequence is not None:
                found[row["refobjsubid"]] = f"nextval('{sequence.oid}'::regclass)"
        return found

    def _indexes(self, table: int) -> tuple[Index, ...]:
        return tuple(self.index(row) for row in self.rows["pg_index"].group(("indrelid",), table))

    def index(self, row: Row) -> Index:
        """An index from pg_index's row."""
        oid = row["indexrelid"]
        relation = self.rows["pg_class"].get(oid)
        tree = self.rows["sixfold_storage"].get(oid)
        constraints = [c for c in self.rows["pg_constraint"].group(("conindid",), oid) if c["contype"] in "pux"]
        keys = zip(row["indkey"], row["indoption"], row["indclass"], strict=True)
        return Index(
            oid=oid,
            name=relation["relname"] if relation else "",
            root=tree["root"] if tree else 0,
            unique=row["indisunique"],
            primary=row["indisprimary"],
            nulls_not_distinct=row["indnullsnotdistinct"],
            keys=tuple(
                IndexKey(attnum, bool(option & 1), bool(option & 2), opclass) for attnum, option, opclass in keys
            ),
            predicate=row["indpred"],
            exprs=tuple(json.loads(row["indexprs"])) if row["indexprs"] else (),
            constraint=constraints[0]["oid"] if constraints else 0,
            valid=row["indisvalid"],
        )

    def sequence(self, oid: int) -> Sequence | None:
        """A sequence by its relation's OID."""
        row, relation, tree = (
            self.rows["pg_sequence"].get(oid),
            self.rows["pg_class"].get(oid),
            self.rows["sixfold_storage"].get(oid),
        )
        if row is None or relation is None or tree is None:
            return None
        owner = next(
            (
                (d["refobjid"], d["refobjsubid"])
                for d in self.rows["pg_depend"].group(("classid", "objid"), 1259, oid)
                if d["deptype"] in "ai" and d["refclassid"] == 1259 and d["refobjsubid"] > 0
            ),
            None,
        )
        return Sequence(
            oid=oid,
            schema=self.namespace_name(relation["relnamespace"]) or "",
            name=relation["relname"],
            root=tree["root"],
            typ=row["seqtypid"],
            start=row["seqstart"],
            increment=row["seqincrement"],
            max=row["seqmax"],
            min=row["seqmin"],
            cache=row["seqcache"],
            cycle=row["seqcycle"],
            owned_by=owner,
        )

    # -- types

    def type_by_oid(self, oid: int) -> Type | None:
        """A type by OID."""
        found = FACTS.types.get(oid)
        if found is not None:
            return found
        if oid not in self._types:
            row = self.rows["pg_type"].get(oid) if is_user(oid) else _system_types().get(oid)
            self._types[oid] = type_of(row) if row else None
        return self._types[oid]

    def find_type(self, namespace: int, name: str) -> Type | None:
        """A type by schema and pg_type name."""
        if namespace == PG_CATALOG and (found := FACTS.types_by_name.get(name)) is not None:
            return found
        rows = self.rows["pg_type"].group(("typnamespace", "typname"), namespace, name)
        if rows:
            return self.type_by_oid(rows[0]["oid"])
        oid = _system_type_names().get((namespace, name))
        return self.type_by_oid(oid) if oid else None

    def enum_labels(self, typ: int) -> list[Row]:
        """pg_enum's rows of a type, in order."""
        return sorted(self.rows["pg_enum"].group(("enumtypid",), typ), key=lambda row: row["enumsortorder"])


# Under this schema name relations are known by their OIDs: in SQL text that the catalogue keeps (`engine/stored.py`).
OID_SCHEMA = "pg_oid"


def column(row: Row, default: str | None, statistics: Row | None) -> Column:
    """A column from its row of pg_attribute."""
    extra: dict[str, Any] = column_statistics(statistics) if statistics else {}
    return Column(
        name=row["attname"],
        attnum=row["attnum"],
        # A dropped column's is kept elsewhere (`remove_column` in `engine/ddl/dependencies.py`).
        typ=row["atttypid"] or row["attcacheoff"],
        typmod=row["atttypmod"],
        collation=row["attcollation"],
        not_null=row["attnotnull"],
        dropped=row["attisdropped"],
        default=default,
        identity=row["attidentity"].strip(),
        generated=row["attgenerated"].strip(),
        missing=row["attmissingval"],
        **extra,
    )


def constraint(row: Row) -> Constraint:
    """A constraint from its row."""
    return Constraint(
        oid=row["oid"],
        name=row["conname"],
        kind=row["contype"],
        relation=row["conrelid"],
        columns=tuple(row["conkey"] or ()),
        expr=row["conbin"],
        foreign_relation=row["confrelid"],
        foreign_columns=tuple(row["confkey"] or ()),
        on_update=row["confupdtype"].strip() or "a",
        on_delete=row["confdeltype"].strip() or "a",
        match=row["confmatchtype"].strip() or "s",
        delete_set_columns=tuple(row["confdelsetcols"] or ()),
        deferrable=row["condeferrable"],
        deferred=row["condeferred"],
        index=row["conindid"],
        validated=row["convalidated"],
        no_inherit=row["connoinherit"],
        typ=row["contypid"],
    )


def type_of(row: Row) -> Type:
    """A type from its row."""
    return Type(
        oid=row["oid"],
        name=row["typname"],
        namespace=row["typnamespace"],
        kind=row["typtype"],
        category=row["typcategory"],
        preferred=row["typispreferred"],
        elem=row["typelem"],
        array=row["typarray"],
        basetype=row["typbasetype"],
        typmod=row["typtypmod"],
        len=row["typlen"],
        not_null=row["typnotnull"],
        delim=row["typdelim"],
        relation=row["typrelid"],
        collation=row["typcollation"],
        default=row["typdefault"],
        is_array=row["typcategory"] == "A" and row["typelem"] != 0 and row["typlen"] == -1,
        byval=row["typbyval"],
        align=row["typalign"],
        storage=row["typstorage"],
        input=_function_name(row["typinput"]),
        output=_function_name(row["typoutput"]),
    )


def _function_name(oid: int) -> str:
    function = FACTS.function_oids.get(oid)
    return function.name if function else ""


@cache
def _system_types() -> dict[int, Row]:
    return {row["oid"]: row for row in facts.typed("pg_type")}


@cache
def _system_type_names() -> dict[tuple[int, str], int]:
    return {(row["typnamespace"], row["typname"]): oid for oid, row in _system_types().items()}


def sequence_columns() -> tuple[Column, ...]:
    """What SELECT * FROM a sequence has."""
    shapes = (("last_value", 20), ("log_cnt", 20), ("is_called", 16))
    return tuple(Column(name, number, typ, not_null=True) for number, (name, typ) in enumerate(shapes, 1))


class Catalog:
    """A snapshot through a search path: `CatalogReader`. `path` is effective: implicit schemas are in it."""

    def __init__(self, snapshot: Snapshot, path: tuple[int, ...], temp: int | None = None) -> None:
        self.snapshot = snapshot
        self._path = path
        self.temp = temp

    @property
    def version(self) -> int:
        return self.snapshot.version

    def namespace_oid(self, name: str) -> int | None:
        if name == "pg_temp":
            return self.temp
        return self.snapshot.namespace_oid(name)

    def namespace_name(self, oid: int) -> str | None:
        return self.snapshot.namespace_name(oid)

    def search_path(self) -> tuple[int, ...]:
        return self._path

    def _namespaces(self, schema: str | None) -> tuple[int, ...]:
        if schema is None:
            return self._path
        oid = self.namespace_oid(schema)
        return () if oid is None else (oid,)

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        if schema == OID_SCHEMA and name.isdigit():
            return self.snapshot.relation(int(name))
        for namespace in self._namespaces(schema):
            found = self.snapshot.find(namespace, name)
            if found is not None:
                return found
        return None

    def relation_by_oid(self, oid: int) -> Relation | None:
        return self.snapshot.relation(oid)

    def with_path(self, path: tuple[int, ...]) -> Catalog:
        return Catalog(self.snapshot, path if PG_CATALOG in path else (PG_CATALOG, *path), self.temp)

    def sequence(self, oid: int) -> Sequence | None:
        return self.snapshot.sequence(oid)

    def type_by_oid(self, oid: int) -> Type | None:
        return self.snapshot.type_by_oid(oid)

    def type_by_name(self, name: str, schema: str | None = None) -> Type | None:
        for namespace in self._namespaces(schema):
            found = self.snapshot.find_type(namespace, name)
            if found is not None:
                return found
        return None

    def functions(self, name: str, schema: str | None = None) -> Seq[Function]:
        if schema == "information_schema":
            return FACTS.functions(f"information_schema.{name}")
        return FACTS.functions(name) if PG_CATALOG in self._namespaces(schema) else ()

    def function_by_oid(self, oid: int) -> Function | None:
        return FACTS.function_oids.get(oid)

    def operators(self, name: str, schema: str | None = None) -> Seq[Operator]:
        return FACTS.operators(name) if PG_CATALOG in self._namespaces(schema) else ()

    def operator_by_oid(self, oid: int) -> Operator | None:
        return FACTS.operator_oids.get(oid)

    def cast(self, source: int, target: int) -> Cast | None:
        return FACTS.casts.get((source, target))

    def domain_constraints(self, typ: int) -> Seq[Constraint]:
        return [constraint(row) for row in self.snapshot.rows["pg_constraint"].group(("contypid",), typ)]

    def referencing(self, relation: int) -> Seq[Constraint]:
        rows = self.snapshot.rows["pg_constraint"].group(("confrelid",), relation)
        return [constraint(row) for row in rows if row["contype"] == "f"]

    def role_name(self, oid: int) -> str | None:
        return self.snapshot.role_name(oid)
