"""Rows of pg_type that must be there, and what lies under domains."""

from __future__ import annotations

from sixfold.engine.catalog.model import CatalogReader, Type
from sixfold.engine.errors import SqlError
from sixfold.kernel._kernel import types

# Types whose values the kernel knows.
BUILT = frozenset(types())


def type_row(catalog: CatalogReader, oid: int) -> Type:
    """The type, which must be there."""
    typ = catalog.type_by_oid(oid)
    if typ is None:
        raise SqlError("XX000", f"cache lookup failed for type {oid}")
    return typ


def base_type(catalog: CatalogReader, oid: int) -> int:
    """The type under a domain."""
    return base_type_and_typmod(catalog, oid)[0]


def base_type_and_typmod(catalog: CatalogReader, oid: int, typmod: int = -1) -> tuple[int, int]:
    """The type under a domain, with the typmod that the domain gives it."""
    typ = catalog.type_by_oid(oid)
    while typ is not None and typ.kind == "d":
        typmod = typ.typmod
        oid = typ.basetype
        typ = catalog.type_by_oid(oid)
    return oid, typmod


def category(catalog: CatalogReader, oid: int) -> tuple[str, bool]:
    """Type category, and whether the type is preferred in it."""
    typ = type_row(catalog, oid)
    return typ.category, typ.preferred
