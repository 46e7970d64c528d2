"""Writes `system/*.tsv`: what PostgreSQL 15's own catalogues hold after initdb, read from a running server.

    python generate_catalogs.py "host=127.0.0.1 port=55321 user=postgres"

Each file is COPY text with a first line of column names. Only facts are taken (names, OIDs, types, numbers), no
definitions of views and no descriptions. Rows of TOAST tables, of indexes on catalogues that Sixfold serves from these
files, and system columns (attnum < 0) are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

# Catalogues whose rows users add to: real tables in the volume. Their indexes exist too.
STORED = (
    "pg_attrdef",
    "pg_attribute",
    "pg_auth_members",
    "pg_authid",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_database",
    "pg_db_role_setting",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_index",
    "pg_inherits",
    "pg_namespace",
    "pg_partitioned_table",
    "pg_rewrite",
    "pg_sequence",
    "pg_shdescription",
    "pg_statistic",
    "pg_tablespace",
    "pg_type",
)
# Catalogues with contents that only PostgreSQL's developers change: served from the files.
FIXED = (
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
SYSTEM = "relnamespace IN (11, 'information_schema'::regnamespace)"
OWN_INDEXES = (
    "oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 11 "
    f"AND relname IN ({', '.join(repr(name) for name in STORED)})))"
)
RELATIONS = f"{SYSTEM} AND (relkind IN ('r', 'v') OR {OWN_INDEXES})"

QUERIES = {
    "pg_class": f"SELECT * FROM pg_class WHERE {RELATIONS} ORDER BY oid",
    "pg_attribute": "SELECT a.* FROM pg_attribute a WHERE attnum > 0 AND attrelid IN "
    f"(SELECT oid FROM pg_class WHERE {RELATIONS}) ORDER BY attrelid, attnum",
    "pg_type": "SELECT * FROM pg_type WHERE typnamespace IN (11, 'information_schema'::regnamespace) ORDER BY oid",
    "pg_index": f"SELECT * FROM pg_index WHERE indexrelid IN (SELECT oid FROM pg_class WHERE {RELATIONS}) ORDER BY indexrelid",
    "pg_namespace": "SELECT * FROM pg_namespace ORDER BY oid",
    "pg_authid": "SELECT * FROM pg_authid WHERE oid <> 10 ORDER BY oid",
    "pg_auth_members": "SELECT * FROM pg_auth_members ORDER BY 1, 2",
    "pg_tablespace": "SELECT * FROM pg_tablespace ORDER BY oid",
    "pg_collation": "SELECT * FROM pg_collation WHERE collname IN ('default', 'C', 'POSIX', 'ucs_basic') ORDER BY oid",
    "settings": "SELECT name, unit, category, context, vartype, boot_val, min_val, max_val, enumvals FROM pg_settings "
    "WHERE context IN ('internal', 'user', 'superuser') OR name IN ('listen_addresses', 'port', 'max_connections', 'shared_buffers', "
    "'authentication_timeout', 'fsync', 'max_prepared_transactions', 'max_locks_per_transaction', 'wal_level', 'ssl', "
    "'data_directory', 'hot_standby', "
    "'autovacuum', 'autovacuum_naptime', 'autovacuum_vacuum_threshold', 'autovacuum_vacuum_scale_factor', 'autovacuum_analyze_threshold', "
    "'autovacuum_analyze_scale_factor', 'autovacuum_vacuum_cost_delay') ORDER BY lower(name)",
} | {name: f"SELECT * FROM {name} ORDER BY 1, 2" for name in FIXED}

# regproc as its OID; access lists and node trees are not facts that mean anything here.
AS_FACT = {24: "{0}::oid", 1034: "NULL", 194: "NULL"}


def main() -> None:
    """Write every file."""
    folder = Path(__file__).parent / "system"
    folder.mkdir(exist_ok=True)
    with psycopg.connect(sys.argv[1]) as connection:
        connection.execute("SET search_path = pg_catalog")
        for name, query in QUERIES.items():
            cursor = connection.execute(query + " LIMIT 0")
            names = [column.name for column in cursor.description or ()]
            shown = [
                AS_FACT.get(column.type_code, "{0}").format(column.name) + f" AS {column.name}"
                for column in cursor.description or ()
            ]
            query = f"SELECT {', '.join(shown)} FROM ({query}) facts"
            with connection.cursor().copy(f"COPY ({query}) TO STDOUT") as copy:
                body = b"".join(bytes(block) for block in copy)
            (folder / f"{name}.tsv").write_bytes("\t".join(names).encode() + b"\n" + body)


if __name__ == "__main__":
    main()
