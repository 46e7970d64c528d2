"""What PostgreSQL 15 has in pg_type, pg_proc, pg_operator, pg_cast and their kin: read-only, loaded at first use.

The JSON files are written by generate.py. Rows of one name are decoded when that name is first asked for.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import msgspec

from sixfold.engine.catalog.model import Cast, Function, Operator, Type

HERE = Path(__file__).parent


class Opclass(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of pg_opclass; `method` is btree, hash, …"""

    oid: int
    name: str
    method: str
    family: int
    intype: int
    default: bool
    keytype: int
    family_name: str


class Amop(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of pg_amop. B-tree strategies: 1 <, 2 <=, 3 =, 4 >=, 5 >."""

    family: int
    left: int
    right: int
    strategy: int
    operator: int
    method: str


class Collation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of pg_collation."""

    oid: int
    name: str
    provider: str
    deterministic: bool
    encoding: int
    collate: str | None
    ctype: str | None


class _Types(msgspec.Struct):
    types: list[Type]
    collations: list[Collation]


class _Functions(msgspec.Struct):
    functions: dict[str, msgspec.Raw]


class _Operators(msgspec.Struct):
    operators: dict[str, msgspec.Raw]
    casts: list[Cast]
    opclasses: list[Opclass]
    amops: list[Amop]


_decode_functions = msgspec.json.Decoder(list[Function]).decode
_decode_operators = msgspec.json.Decoder(list[Operator]).decode


class Facts:
    """The static part of every catalogue."""

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[Function, ...]] = {}
        self._operators_by_name: dict[str, tuple[Operator, ...]] = {}

    @cached_property
    def _types(self) -> _Types:
        return msgspec.json.decode((HERE / "types.json").read_bytes(), type=_Types)

    @cached_property
    def _functions(self) -> dict[str, msgspec.Raw]:
        return msgspec.json.decode((HERE / "functions.json").read_bytes(), type=_Functions).functions

    @cached_property
    def _operators(self) -> _Operators:
        return msgspec.json.decode((HERE / "operators.json").read_bytes(), type=_Operators)

    @cached_property
    def types(self) -> dict[int, Type]:
        """By OID: all base, pseudo, range and array types of pg_catalog, without row types."""
        return {t.oid: t for t in self._types.types}

    @cached_property
    def types_by_name(self) -> dict[str, Type]:
        """By name."""
        return {t.name: t for t in self._types.types}

    @property
    def collations(self) -> list[Collation]:
        """default, C, POSIX, ucs_basic."""
        return self._types.collations

    def functions(self, name: str) -> tuple[Function, ...]:
        """All of pg_proc's functions of that name; those of the information schema by their qualified names."""
        found = self._by_name.get(name)
        if found is None:
            raw = self._functions.get(name)
            found = tuple(_decode_functions(raw)) if raw is not None else ()
            if raw is not None:
                self._by_name[name] = found
        return found

    @cached_property
    def function_oids(self) -> dict[int, Function]:
        """By OID. Decodes everything."""
        return {f.oid: f for name in self._functions for f in self.functions(name)}

    def operators(self, name: str) -> tuple[Operator, ...]:
        """All of pg_operator's operators of that name."""
        found = self._operators_by_name.get(name)
        if found is None:
            raw = self._operators.operators.get(name)
            found = tuple(_decode_operators(raw)) if raw is not None else ()
            if raw is not None:
                self._operators_by_name[name] = found
        return found

    @cached_property
    def operator_oids(self) -> dict[int, Operator]:
        """By OID. Decodes everything."""
        return {o.oid: o for name in self._operators.operators for o in self.operators(name)}

    @cached_property
    def operators_by_func(self) -> dict[str, Operator]:
        """By prosrc of the operator's function (the lowest OID where several share it)."""
        result: dict[str, Operator] = {}
        for operator in sorted(self.operator_oids.values(), key=lambda o: o.oid):
            result.setdefault(operator.func, operator)
        return result

    @cached_property
    def casts(self) -> dict[tuple[int, int], Cast]:
        """By source and target."""
        return {(c.source, c.target): c for c in self._operators.casts}

    @property
    def opclasses(self) -> list[Opclass]:
        """All of them."""
        return self._operators.opclasses

    @cached_property
    def opclass_oids(self) -> dict[int, Opclass]:
        """By OID."""
        return {c.oid: c for c in self.opclasses}

    @cached_property
    def default_btree(self) -> dict[int, Opclass]:
        """Default B-tree operator class by input type."""
        return {c.intype: c for c in self.opclasses if c.method == "btree" and c.default}

    @cached_property
    def default_hash(self) -> dict[int, Opclass]:
        """Default hash operator class by input type."""
        return {c.intype: c for c in self.opclasses if c.method == "hash" and c.default}

    @cached_property
    def btree_strategies(self) -> dict[tuple[int, int], int]:
        """(family, operator) → strategy."""
        return {(a.family, a.operator): a.strategy for a in self._operators.amops if a.method == "btree"}

    @cached_property
    def btree_operators(self) -> dict[tuple[int, int, int, int], int]:
        """(family, left type, right type, strategy) → operator."""
        return {
            (a.family, a.left, a.right, a.strategy): a.operator for a in self._operators.amops if a.method == "btree"
        }


FACTS = Facts()
