"""OIDs of types that the rules of analysis name."""

from __future__ import annotations

from typing import Final

BOOL: Final = 16
BYTEA: Final = 17
CHAR: Final = 18
NAME: Final = 19
INT8: Final = 20
INT2: Final = 21
INT2VECTOR: Final = 22
INT4: Final = 23
REGPROC: Final = 24
TEXT: Final = 25
OID: Final = 26
TID: Final = 27
XID: Final = 28
CID: Final = 29
OIDVECTOR: Final = 30
JSON: Final = 114
XML: Final = 142
FLOAT4: Final = 700
FLOAT8: Final = 701
UNKNOWN: Final = 705
BPCHAR: Final = 1042
VARCHAR: Final = 1043
DATE: Final = 1082
TIME: Final = 1083
TIMESTAMP: Final = 1114
TIMESTAMPTZ: Final = 1184
INTERVAL: Final = 1186
TIMETZ: Final = 1266
BIT: Final = 1560
VARBIT: Final = 1562
NUMERIC: Final = 1700
REFCURSOR: Final = 1790
REGCLASS: Final = 2205
REGTYPE: Final = 2206
RECORD: Final = 2249
CSTRING: Final = 2275
ANY: Final = 2276
ANYARRAY: Final = 2277
VOID: Final = 2278
TRIGGER: Final = 2279
INTERNAL: Final = 2281
ANYELEMENT: Final = 2283
RECORDARRAY: Final = 2287
ANYNONARRAY: Final = 2776
UUID: Final = 2950
ANYENUM: Final = 3500
JSONB: Final = 3802
ANYRANGE: Final = 3831
REGNAMESPACE: Final = 4089
REGROLE: Final = 4096
ANYMULTIRANGE: Final = 4537
ANYCOMPATIBLE: Final = 5077
ANYCOMPATIBLEARRAY: Final = 5078
ANYCOMPATIBLENONARRAY: Final = 5079
ANYCOMPATIBLERANGE: Final = 5080
ANYCOMPATIBLEMULTIRANGE: Final = 4538

# Types whose values name catalogue objects: text to and from them asks the catalogue.
REG_TYPES: Final = frozenset({24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191})


def is_oid(typ: int) -> bool:
    """Is it a number of an object, which has no sign?"""
    return typ == OID or typ in REG_TYPES


FAMILY_ELEMENT: Final = frozenset({ANYELEMENT, ANYARRAY, ANYNONARRAY, ANYENUM, ANYRANGE, ANYMULTIRANGE})
FAMILY_COMPATIBLE: Final = frozenset(
    {ANYCOMPATIBLE, ANYCOMPATIBLEARRAY, ANYCOMPATIBLENONARRAY, ANYCOMPATIBLERANGE, ANYCOMPATIBLEMULTIRANGE}
)
POLYMORPHIC: Final = FAMILY_ELEMENT | FAMILY_COMPATIBLE
# Types whose text depends on DateStyle, TimeZone or IntervalStyle.
DATETIME: Final = frozenset((DATE, TIME, TIMETZ, TIMESTAMP, TIMESTAMPTZ, INTERVAL))
