"""Polymorphic types: what anyelement, anyarray, anycompatible … stand for in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sixfold.engine.analyzer import oids
from sixfold.engine.analyzer.oids import UNKNOWN
from sixfold.engine.analyzer.typerows import base_type, type_row
from sixfold.engine.analyzer.types import format_type
from sixfold.engine.catalog.model import CatalogReader, Type
from sixfold.engine.errors import SqlError

_ARRAYS = (oids.ANYARRAY, oids.ANYCOMPATIBLEARRAY)
_RANGES = (oids.ANYRANGE, oids.ANYCOMPATIBLERANGE)


class Solver:
    """One call's polymorphic arguments."""

    def __init__(
        self, catalog: CatalogReader, checking: bool, common_type: Callable[[CatalogReader, Sequence[int]], int]
    ) -> None:
        self.catalog = catalog
        # select_common_type, which itself asks what can be coerced.
        self.common_type = common_type
        self.checking = checking
        self.elem = 0
        self.array = 0
        self.range = 0
        self.compatible: list[int] = []
        self.compatible_arrays = False
        self.compatible_range = 0

    def solve(self, declared: Sequence[int], actual: list[int], rettype: int) -> tuple[list[int], int]:
        """Argument types and result type."""
        self._collect(declared, actual)
        self._settle(declared)
        common = self._common()
        args = [self._argument(d, a, common) for d, a in zip(declared, actual, strict=True)]
        return args, self._result(rettype, common)

    def _row(self, oid: int) -> Type:
        return type_row(self.catalog, oid)

    def _shown(self, oid: int) -> str:
        return format_type(self.catalog, oid)

    def _collect(self, declared: Sequence[int], actual: list[int]) -> None:
        for d, a in zip(declared, actual, strict=True):
            if d in oids.FAMILY_ELEMENT:
                if a == UNKNOWN:
                    continue
                base = base_type(self.catalog, a) if d in _ARRAYS or d in _RANGES else a
                if d == oids.ANYARRAY:
                    self._same("array", "anyarray", base)
                elif d == oids.ANYRANGE:
                    if self._row(base).kind != "r":
                        raise SqlError(
                            "42804", f"argument declared anyrange is not a range type but type {self._shown(a)}"
                        )
                    self._same("range", "anyrange", base)
                elif d == oids.ANYMULTIRANGE:
                    raise SqlError("0A000", "multiranges are not supported yet")
                else:
                    self._same("elem", "anyelement", a)
            elif d in oids.FAMILY_COMPATIBLE:
                self._collect_compatible(d, a)

    def _collect_compatible(self, d: int, a: int) -> None:
        if d == oids.ANYCOMPATIBLEARRAY:
            self.compatible_arrays = True
            if a == UNKNOWN:
                return
            row = self._row(base_type(self.catalog, a))
            if not row.is_array:
                raise SqlError(
                    "42804", f"argument declared anycompatiblearray is not an array but type {self._shown(a)}"
                )
            self.compatible.append(row.elem)
        elif d == oids.ANYCOMPATIBLERANGE:
            if a != UNKNOWN:
                if self._row(base_type(self.catalog, a)).kind != "r":
                    raise SqlError(
                        "42804", f"argument declared anycompatiblerange is not a range type but type {self._shown(a)}"
                    )
                self.compatible_range = a
        else:
            self.compatible.append(a)

    def _same(self, slot: str, name: str, typ: int) -> None:
        now = getattr(self, slot)
        if now and now != typ:
            raise SqlError(
                "42804",
                f'arguments declared "{name}" are not all alike',
                detail=f"{self._shown(now)} versus {self._shown(typ)}",
            )
        setattr(self, slot, typ)

    def _settle(self, declared: Sequence[int]) -> None:
        wanted = set(declared)
        if self.array and self.array != oids.ANYARRAY:
            row = self._row(self.array)
            if not row.is_array:
                raise SqlError(
                    "42804", f"argument declared anyarray is not an array but type {self._shown(self.array)}"
                )
            if self.elem and self.elem != row.elem:
                raise SqlError(
                    "42804",
                    "argument declared anyarray is not consistent with argument declared anyelement",
                    detail=f"{self._shown(self.array)} versus {self._shown(self.elem)}",
                )
            self.elem = row.elem
        elif self.array == oids.ANYARRAY:
            self.elem = self.elem or oids.ANYELEMENT
        if self.elem and oids.ANYNONARRAY in wanted and self._row(base_type(self.catalog, self.elem)).is_array:
            raise SqlError("42804", f"type matched to anynonarray is an array type: {self._shown(self.elem)}")
        if self.elem and oids.ANYENUM in wanted and self._row(base_type(self.catalog, self.elem)).kind != "e":
            raise SqlError("42804", f"type matched to anyenum is not an enum type: {self._shown(self.elem)}")
        if not self.elem and not self.checking and wanted & oids.FAMILY_ELEMENT:
            raise SqlError("42804", "could not determine polymorphic type because input has type unknown")

    def _common(self) -> int:
        known = list(self.compatible)
        if not known:
            return oids.TEXT
        found = self.common_type(self.catalog, known)
        if not found:
            raise SqlError("42804", "arguments of anycompatible family cannot be cast to a common type")
        return found

    def _array_of(self, elem: int) -> int:
        row = self._row(elem)
        if not row.array:
            raise SqlError("42704", f"could not find array type for data type {self._shown(elem)}")
        return row.array

    def _argument(self, d: int, a: int, common: int) -> int:
        if d == oids.ANYARRAY:
            if self.array:
                return self.array
            return self._array_of(self.elem) if self.elem else a
        if d in (oids.ANYELEMENT, oids.ANYNONARRAY, oids.ANYENUM):
            return self.elem or a
        if d == oids.ANYRANGE:
            return self.range or a
        if d in (oids.ANYCOMPATIBLE, oids.ANYCOMPATIBLENONARRAY):
            return common
        if d == oids.ANYCOMPATIBLEARRAY:
            return self._array_of(common)
        if d == oids.ANYCOMPATIBLERANGE:
            return self.compatible_range or a
        return d

    def _result(self, rettype: int, common: int) -> int:
        if rettype in (oids.ANYELEMENT, oids.ANYNONARRAY, oids.ANYENUM):
            return self.elem or rettype
        if rettype == oids.ANYARRAY:
            if self.array:
                return self.array
            return self._array_of(self.elem) if self.elem else rettype
        if rettype == oids.ANYRANGE:
            return self.range or rettype
        if rettype in (oids.ANYCOMPATIBLE, oids.ANYCOMPATIBLENONARRAY):
            return common
        if rettype == oids.ANYCOMPATIBLEARRAY:
            return self._array_of(common)
        return rettype
