"""initdb: makes the catalogue of a new volume, in one transaction.

`sixfold_storage` says where all other tables are; where it is itself stands on the volume's first page (`Volume.root`).
"""

from __future__ import annotations

from sixfold.engine.waits import Waits
from sixfold.kernel._kernel import Session, Volume

from . import facts
from .model import PG_CATALOG, PUBLIC
from .rows import SHAPES, Row
from .store import Store
from .system import STORAGE, by_oid, index_oids, served

BOOTSTRAP_ROLE = 10
# What a new schema public grants, also as its initial privileges (pg_init_privs).
PUBLIC_ACL = ["pg_database_owner=UC/pg_database_owner", "=U/pg_database_owner"]
# The named roots FIRST_ROOT, + 1, + 2 of page 0 (those below 32 are the kernel's): sixfold_storage's rows, overflow and index.
FIRST_ROOT = 32
TEMPLATE1, TEMPLATE0, POSTGRES = 1, 4, 5


async def create_trees(waits: Waits, volume: Volume) -> dict[int, tuple[int, int]]:
    """A tree for each stored catalogue and index: OID to (root, overflow)."""
    roots: dict[int, tuple[int, int]] = {}
    oids = [SHAPES[STORAGE].oid, *(oid for name, oid in served().items() if name in SHAPES and name != STORAGE)]
    for oid in oids:
        roots[oid] = await waits.run(volume.create_table)
        for index in index_oids(oid):
            roots[index] = (await waits.run(volume.create_index), 0)
    return roots


def database_row(oid: int, name: str, template: bool, connect: bool, owner: int = BOOTSTRAP_ROLE) -> Row:
    """A row of pg_database."""
    return {
        "oid": oid,
        "datname": name,
        "datdba": owner,
        "encoding": 6,
        "datlocprovider": "c",
        "datistemplate": template,
        "datallowconn": connect,
        "datconnlimit": -1,
        "datfrozenxid": 1,
        "datminmxid": 1,
        "dattablespace": 1663,
        "datcollate": "C",
        "datctype": "C",
        "daticulocale": None,
        "datcollversion": None,
        "datacl": None,
    }


def role_row(oid: int, name: str, *, superuser: bool = False, login: bool = False, password: str | None = None) -> Row:
    """A row of pg_authid."""
    return {
        "oid": oid,
        "rolname": name,
        "rolsuper": superuser,
        "rolinherit": True,
        "rolcreaterole": superuser,
        "rolcreatedb": superuser,
        "rolcanlogin": login,
        "rolreplication": superuser,
        "rolbypassrls": superuser,
        "rolconnlimit": -1,
        "rolpassword": password,
        "rolvaliduntil": None,
    }


def _classes() -> list[Row]:
    """pg_class's rows of the system relations that exist here, and of stored catalogues' indexes."""
    kept = set(served().values())
    for name in SHAPES:
        kept |= set(index_oids(served()[name]))
    rows = []
    for fact in facts.typed("pg_class"):
        if fact["oid"] not in kept:
            continue
        stored = by_oid().get(fact["oid"], "") in SHAPES
        change: Row = {
            "relpages": 0,
            "reltuples": -1.0,
            "relallvisible": 0,
            "reltoastrelid": 0,
            "relhasindex": stored,
            "relhasrules": fact["relkind"] == "v",
        }
        rows.append({**fact, **change})
    oid = SHAPES[STORAGE].oid
    model = next(row for row in rows if row["relname"] == "pg_attrdef")
    index = next(row for row in rows if row["relname"] == "pg_attrdef_oid_index")
    rows.append(
        {
            **model,
            "oid": oid,
            "relname": STORAGE,
            "reltype": 0,
            "relnatts": 3,
            "relfilenode": oid,
            "relnamespace": PG_CATALOG,
        }
    )
    rows.append({**index, "oid": oid + 1, "relname": "sixfold_storage_relid_index", "relfilenode": oid + 1})
    return rows


def _attributes() -> list[Row]:
    rows = [row for name, oid in served().items() if name != STORAGE for row in facts.columns(oid)]
    rows += [
        row
        for name in SHAPES
        if name != STORAGE
        for index in index_oids(served()[name])
        for row in facts.columns(index)
    ]
    model = facts.columns(SHAPES["pg_class"].oid)[0]
    wide = next(row for row in facts.columns(served()["pg_sequence"]) if row["attname"] == "seqstart")
    oid = SHAPES[STORAGE].oid
    rows.append({**model, "attrelid": oid, "attname": "relid"})
    rows += [
        {**wide, "attrelid": oid, "attname": name, "attnum": number} for number, name in ((2, "root"), (3, "overflow"))
    ]
    rows.append({**model, "attrelid": oid + 1, "attname": "relid"})
    return rows


def _types() -> list[Row]:
    """All types but the row types of relations that do not exist here."""
    kept = set(served().values())
    facts_rows = facts.typed("pg_type")
    gone = {row["oid"] for row in facts_rows if row["typrelid"] and row["typrelid"] not in kept}
    return [row for row in facts_rows if row["oid"] not in gone and row["typelem"] not in gone]


def contents(roots: dict[int, tuple[int, int]], superuser: str, password: str | None) -> dict[str, list[Row]]:
    """Every row of a new catalogue."""
    index = facts.typed("pg_index")
    own = next(row for row in index if row["indexrelid"] == 2679)
    storage = SHAPES[STORAGE].oid
    kept = {oid for name in SHAPES for oid in index_oids(served()[name])}
    roles = [
        role_row(BOOTSTRAP_ROLE, superuser, superuser=True, login=True, password=password),
        *facts.typed("pg_authid"),
    ]
    databases = [
        database_row(TEMPLATE1, "template1", True, True),
        database_row(TEMPLATE0, "template0", True, False),
        database_row(POSTGRES, "postgres", False, True),
    ]
    return {
        STORAGE: [{"relid": oid, "root": root, "overflow": overflow} for oid, (root, overflow) in roots.items()],
        "pg_namespace": [
            {**row, "nspacl": PUBLIC_ACL if row["nspname"] == "public" else None} for row in facts.typed("pg_namespace")
        ],
        "pg_description": [
            {"objoid": PUBLIC, "classoid": 2615, "objsubid": 0, "description": "standard public schema"}
        ],
        "pg_authid": roles,
        "pg_auth_members": facts.typed("pg_auth_members"),
        "pg_database": databases,
        "pg_tablespace": facts.typed("pg_tablespace"),
        "pg_collation": facts.typed("pg_collation"),
        "pg_class": _classes(),
        "pg_attribute": _attributes(),
        "pg_type": _types(),
        "pg_index": [row for row in index if row["indexrelid"] in kept]
        + [{**own, "indexrelid": storage + 1, "indrelid": storage}],
    }


async def bootstrap(waits: Waits, volume: Volume, session: Session, superuser: str, password: str | None) -> Store:
    """Make the catalogue; it is durable when this returns."""
    roots = await create_trees(waits, volume)
    store = Store(waits, roots)
    session.begin()
    # The fixed points: where `sixfold_storage` itself is.
    first = SHAPES[STORAGE].oid
    for number, value in enumerate((*roots[first], roots[first + 1][0])):
        await waits.run(lambda number=number, value=value: volume.set_root(FIRST_ROOT + number, value))  # type: ignore[misc]
    for name, rows in contents(roots, superuser, password).items():
        await store.insert_many(session, name, rows)
    session.bump_catalog()
    await waits.run(session.commit, session=session)
    return store
