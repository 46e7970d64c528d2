"""PostgreSQL's own relations as `Relation`s: stored catalogues (with the roots of their trees), catalogues and views
that Python serves (`HostScan`), and views over them (`sysviews`).

Only relations that answer truthfully are here. A catalogue of a feature that Sixfold does not have (publications, triggers …)
is served without rows.
"""

from __future__ import annotations

from functools import cache

from . import facts
from .model import PG_CATALOG, Column, Index, IndexKey, Relation
from .rows import SHAPES

STORAGE = "sixfold_storage"
# The first OID of users' objects.
USER_OID = 16384
# Types that stored catalogues name and the kernel does not know; their values are kept as text (or text[]).
KEPT_AS = {2277: 25}
# Catalogues whose every row is in the facts.
FIXED = frozenset(
    (
        "pg_aggregate",
        "pg_am",
        "pg_amop",
        "pg_amproc",
        "pg_cast",
        "pg_conversion",
        "pg_language",
        "pg_opclass",
        "pg_operator",
        "pg_opfamily",
        "pg_proc",
        "pg_range",
        "pg_ts_config",
        "pg_ts_config_map",
        "pg_ts_dict",
        "pg_ts_parser",
        "pg_ts_template",
    )
)
# Catalogues and views of what Sixfold does not have: no rows.
WITHOUT_ROWS = frozenset(
    (
        "pg_default_acl",
        "pg_foreign_data_wrapper",
        "pg_foreign_server",
        "pg_foreign_table",
        "pg_user_mapping",
        "pg_event_trigger",
        "pg_extension",
        "pg_largeobject",
        "pg_largeobject_metadata",
        "pg_policy",
        "pg_publication",
        "pg_publication_namespace",
        "pg_publication_rel",
        "pg_replication_origin",
        "pg_seclabel",
        "pg_shseclabel",
        "pg_statistic_ext",
        "pg_statistic_ext_data",
        "pg_subscription",
        "pg_subscription_rel",
        "pg_transform",
        "pg_trigger",
        "pg_parameter_acl",
        "pg_shdepend",
        "pg_policies",
        "pg_matviews",
        "pg_rules",
        "pg_seclabels",
        "pg_publication_tables",
        "pg_stats_ext",
        "pg_prepared_xacts",
        "pg_replication_slots",
        "pg_replication_origin_status",
        "pg_user_mappings",
        "pg_stat_subscription",
        "pg_stat_replication",
        "pg_available_extensions",
        "pg_available_extension_versions",
        "pg_stat_wal_receiver",
        "pg_stat_user_functions",
        "pg_stat_xact_user_functions",
        "pg_stat_progress_analyze",
        "pg_stat_progress_basebackup",
        "pg_stat_progress_cluster",
        "pg_stat_progress_copy",
        "pg_stat_progress_create_index",
        "pg_stat_progress_vacuum",
        "pg_stat_replication_slots",
        "pg_stat_subscription_stats",
        "pg_stats_ext_exprs",
        "pg_ident_file_mappings",
        "triggered_update_columns",
        "foreign_tables",
        "foreign_table_options",
        "foreign_servers",
        "foreign_server_options",
        "foreign_data_wrappers",
        "foreign_data_wrapper_options",
        "user_mappings",
        "user_mapping_options",
        "column_domain_usage",
        "column_options",
        "transforms",
        "udt_privileges",
    )
)
# Views that `engine/host/relations.py` makes from the catalogue's and the database's state.
HOSTED = frozenset(
    (
        "pg_init_privs",
        "pg_settings",
        "pg_stat_activity",
        "pg_locks",
        "pg_cursors",
        "pg_prepared_statements",
        "pg_timezone_names",
        "pg_timezone_abbrevs",
        "pg_stat_database",
        "pg_file_settings",
        "pg_config",
        "pg_roles",
        "pg_shadow",
        "pg_user",
        "pg_group",
        "pg_tables",
        "pg_views",
        "pg_indexes",
        "pg_sequences",
        "pg_stats",
        "pg_stat_all_tables",
        "pg_stat_user_tables",
        "pg_stat_sys_tables",
        "pg_stat_all_indexes",
        "pg_stat_user_indexes",
        "pg_stat_sys_indexes",
        "pg_stat_xact_all_tables",
        "pg_stat_xact_user_tables",
        "pg_stat_xact_sys_tables",
        "pg_statio_all_tables",
        "pg_statio_user_tables",
        "pg_statio_sys_tables",
        "pg_statio_all_indexes",
        "pg_statio_user_indexes",
        "pg_statio_sys_indexes",
        "pg_statio_all_sequences",
        "pg_statio_user_sequences",
        "pg_statio_sys_sequences",
        "pg_stat_ssl",
        "pg_stat_gssapi",
        "columns",
        "tables",
        "table_constraints",
        "key_column_usage",
        "constraint_column_usage",
        "constraint_table_usage",
        "referential_constraints",
        "check_constraints",
        "schemata",
        "sequences",
        "views",
        "information_schema_catalog_name",
        "enabled_roles",
        "applicable_roles",
        "element_types",
        "table_privileges",
        "column_privileges",
        "role_table_grants",
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
)


def is_user(oid: int) -> bool:
    """Is this an object that a user made?"""
    return oid >= USER_OID


@cache
def served() -> dict[str, int]:
    """Names of all system relations that exist here, and their OIDs."""
    known = facts.relation_oids()
    # Sorted: the order of sets of names is another one in every process, and this is what new catalogues are written in.
    names = [name for name in (*SHAPES, *sorted(FIXED | WITHOUT_ROWS | HOSTED)) if name in known]
    return {name: known[name] for name in names} | {STORAGE: SHAPES[STORAGE].oid}


def is_unserved(name: str, schema: str | None) -> bool:
    """Does PostgreSQL have a system relation of this name that is not here? `schema` None: by pg_catalog's place in the search path."""
    row = facts.relation(name)
    namespace = row["relnamespace"] if row else None
    wanted = (None, "pg_catalog") if namespace == PG_CATALOG else ("information_schema",)
    return namespace is not None and name not in served() and schema in wanted


@cache
def by_oid() -> dict[int, str]:
    """The same, the other way."""
    return {oid: name for name, oid in served().items()}


@cache
def indexes_of() -> dict[int, tuple[facts.Row, ...]]:
    """pg_index's rows of stored catalogues, by table, the key's own index first."""
    found: dict[int, list[facts.Row]] = {}
    for row in facts.typed("pg_index"):
        found.setdefault(row["indrelid"], []).append(row)
    result = {}
    for table, rows in found.items():
        shape = SHAPES.get(by_oid().get(table, ""))
        numbers = {row["attname"]: row["attnum"] for row in facts.columns(table)}
        key = [numbers[name] for name in shape.key] if shape else []
        rows.sort(key=lambda row: (not row["indisunique"] or row["indkey"] != key, row["indexrelid"]))
        result[table] = tuple(rows)
    return result


def columns_of(oid: int) -> tuple[Column, ...]:
    """Columns of a system relation."""
    if oid == SHAPES[STORAGE].oid:
        names = (("relid", 26), ("root", 20), ("overflow", 20))
        return tuple(Column(name, number, typ, not_null=True) for number, (name, typ) in enumerate(names, 1))
    return tuple(
        Column(
            name=row["attname"],
            attnum=row["attnum"],
            typ=known_type(row["atttypid"]),
            typmod=row["atttypmod"],
            collation=row["attcollation"],
            not_null=row["attnotnull"],
        )
        for row in facts.columns(oid)
    )


@cache
def _domains() -> dict[int, int]:
    """Domains of the information schema, and what they are made of."""
    bases = facts.pairs("pg_type", "oid", "typbasetype")
    return {int(oid): int(base) for oid, base in bases if base != "0"}


def known_type(oid: int) -> int:
    """The type as which the kernel has a system column's values."""
    oid = _domains().get(oid, oid)
    return KEPT_AS.get(oid, oid)


def index_oids(oid: int) -> list[int]:
    """OIDs of a stored catalogue's indexes, in the order in which its `Relation` has them."""
    if oid == SHAPES[STORAGE].oid:
        return [oid + 1]
    return [row["indexrelid"] for row in indexes_of().get(oid, ())]


def _indexes(oid: int, roots: dict[int, tuple[int, int]]) -> tuple[Index, ...]:
    if oid == SHAPES[STORAGE].oid:
        return (
            Index(
                oid + 1,
                "sixfold_storage_relid_index",
                roots[oid + 1][0],
                unique=True,
                primary=True,
                keys=(IndexKey(1),),
            ),
        )
    names = {oid: name for name, oid in facts.relation_oids().items()}
    return tuple(
        Index(
            oid=row["indexrelid"],
            name=names[row["indexrelid"]],
            root=roots[row["indexrelid"]][0],
            unique=row["indisunique"],
            primary=row["indisprimary"],
            keys=tuple(
                IndexKey(attnum, opclass=opclass)
                for attnum, opclass in zip(row["indkey"], row["indclass"], strict=True)
            ),
        )
        for row in indexes_of().get(oid, ())
    )


class SystemRelations:
    """All system relations of one volume. `roots`: relation OID to (root, overflow) of stored catalogues and their indexes."""

    def __init__(self, roots: dict[int, tuple[int, int]]) -> None:
        self._roots = roots
        self._made: dict[int, Relation] = {}

    def find(self, namespace: int, name: str) -> Relation | None:
        """By name; `namespace` is pg_catalog's or information_schema's OID."""
        oid = served().get(name)
        if oid is None:
            return None
        relation = self.get(oid)
        return relation if relation is not None and relation.namespace == namespace else None

    def get(self, oid: int) -> Relation | None:
        """By OID."""
        found = self._made.get(oid)
        if found is None and oid in by_oid():
            found = self._made[oid] = self._make(oid, by_oid()[oid])
        return found

    def _make(self, oid: int, name: str) -> Relation:
        row = facts.relation(name)
        namespace = row["relnamespace"] if row else PG_CATALOG
        schema = "pg_catalog" if namespace == PG_CATALOG else "information_schema"
        row_type = row["reltype"] if row else 0
        columns = columns_of(oid)
        if name in SHAPES:
            root, overflow = self._roots[oid]
            return Relation(
                oid,
                schema,
                name,
                "r",
                namespace,
                columns,
                _indexes(oid, self._roots),
                root=root,
                overflow=overflow,
                row_type=row_type,
            )
        # Views of PostgreSQL's too are relations that are read as they are.
        return Relation(oid, schema, name, "r", namespace, columns, host=name, row_type=row_type)
