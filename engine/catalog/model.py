"""The nouns of the catalogue, as the analyzer and the planner see them: immutable, without behaviour of their own.

`CatalogReader` is all that analysis and planning ever ask of a catalogue. A reader is one consistent snapshot: it
answers the same question the same way for as long as it is used.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import Protocol

import msgspec

PG_CATALOG = 11
PUBLIC = 2200


class Type(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of pg_type."""

    oid: int
    name: str
    namespace: int = PG_CATALOG
    # b base, c composite, d domain, e enum, p pseudo, r range, m multirange
    kind: str = "b"
    category: str = "U"
    preferred: bool = False
    # Element type of a true array or of a fixed-length subscriptable type (point, name …), else 0.
    elem: int = 0
    array: int = 0
    basetype: int = 0
    typmod: int = -1
    len: int = -1
    not_null: bool = False
    delim: str = ","
    relation: int = 0
    collation: int = 0
    default: str | None = None
    # A true array: typsubscript is array_subscript_handler.
    is_array: bool = False
    byval: bool = False
    align: str = "i"
    storage: str = "p"
    input: str = ""
    output: str = ""


class Column(msgspec.Struct, frozen=True):
    """A column of a relation; `attnum` counts from 1, and is its place in `Relation.columns` plus one."""

    name: str
    attnum: int
    typ: int
    typmod: int = -1
    collation: int = 0
    not_null: bool = False
    dropped: bool = False
    # Expression as SQL text (of the default, or of the generated column when `generated` is set).
    default: str | None = None
    # '' none, 'a' always, 'd' by default; `default` then says nextval('…'::regclass).
    identity: str = ""
    # '' none, 's' stored.
    generated: str = ""
    # Text form of the value that rows written before the column was added read as.
    missing: str | None = None
    # Statistics of ANALYZE, in pg_statistic's sense: distinct values (negative: fraction of the rows), share of nulls.
    n_distinct: float | None = None
    null_frac: float = 0.0
    avg_width: int = 0
    # Text forms, ascending: equi-depth bounds.
    histogram: tuple[str, ...] = ()
    common_values: tuple[str, ...] = ()
    common_freqs: tuple[float, ...] = ()


class IndexKey(msgspec.Struct, frozen=True):
    """One key column of an index; `attnum` 0 means the next of `Index.exprs`."""

    attnum: int
    desc: bool = False
    nulls_first: bool = False
    opclass: int = 0


class Index(msgspec.Struct, frozen=True):
    """A B-tree index."""

    oid: int
    name: str
    root: int
    unique: bool = False
    primary: bool = False
    nulls_not_distinct: bool = False
    keys: tuple[IndexKey, ...] = ()
    predicate: str | None = None
    exprs: tuple[str, ...] = ()
    constraint: int = 0
    # False while it is being built: written to, not read.
    valid: bool = True


class Constraint(msgspec.Struct, frozen=True):
    """A row of pg_constraint. Columns are attnums."""

    oid: int
    name: str
    # c check, f foreign key, p primary key, u unique
    kind: str
    relation: int = 0
    columns: tuple[int, ...] = ()
    # CHECK: the expression as SQL text.
    expr: str | None = None
    foreign_relation: int = 0
    foreign_columns: tuple[int, ...] = ()
    # a NO ACTION, r RESTRICT, c CASCADE, n SET NULL, d SET DEFAULT
    on_update: str = "a"
    on_delete: str = "a"
    # s simple, f full
    match: str = "s"
    # ON DELETE SET NULL/DEFAULT (columns); empty: all.
    delete_set_columns: tuple[int, ...] = ()
    deferrable: bool = False
    deferred: bool = False
    # Unique, primary: their index. Foreign key: the referenced index.
    index: int = 0
    validated: bool = True
    no_inherit: bool = False
    # Domain constraints: the domain's type.
    typ: int = 0


class Relation(msgspec.Struct, frozen=True):
    """A table, view, sequence or index with all that a statement must know of it."""

    oid: int
    schema: str
    name: str
    # r table, v view, S sequence, i index, c composite type, m materialized view
    kind: str = "r"
    namespace: int = PUBLIC
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    root: int = 0
    overflow: int = 0
    # Estimates: pages, live rows (negative: never analyzed).
    pages: int = 0
    rows: float = -1.0
    # Views: the query as SQL text, resolved with `view_path` as the search path.
    view: str | None = None
    view_path: tuple[int, ...] | None = None
    # Rows that Python makes when asked (pg_settings, …): the name for `HostScan`. None for stored tables.
    host: str | None = None
    owner: int = 10
    persistence: str = "p"
    row_type: int = 0


class Sequence(msgspec.Struct, frozen=True):
    """A row of pg_sequence, with the page that holds its state."""

    oid: int
    schema: str
    name: str
    root: int
    typ: int = 20
    start: int = 1
    increment: int = 1
    max: int = 9223372036854775807
    min: int = 1
    cache: int = 1
    cycle: bool = False
    # Column that owns it (OWNED BY): relation, attnum.
    owned_by: tuple[int, int] | None = None


class Function(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of pg_proc."""

    oid: int
    name: str
    # Input argument types.
    args: tuple[int, ...]
    rettype: int
    # f function, a aggregate, w window, p procedure
    kind: str = "f"
    retset: bool = False
    # prosrc: the name by which the kernel or Python knows it.
    src: str = ""
    strict: bool = True
    # i immutable, s stable, v volatile
    volatile: str = "i"
    parallel: str = "s"
    # Element type of the variadic array, 0 when not variadic (2276: VARIADIC "any").
    variadic: int = 0
    # Defaults of the last arguments, as SQL text.
    defaults: tuple[str, ...] = ()
    # Names of input arguments ('' without), when any has one.
    names: tuple[str, ...] = ()
    # OUT/TABLE columns: (name, type).
    out: tuple[tuple[str, int], ...] = ()
    language: str = "internal"
    # SQL functions with a body: the expression or query as SQL text, arguments are $1…
    body: str | None = None
    namespace: int = PG_CATALOG
    rows: float = 0.0
    # Aggregates only: n normal, o ordered-set, h hypothetical; number of direct arguments.
    aggkind: str = ""
    aggdirect: int = 0


class Operator(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of pg_operator. `left` is 0 for prefix operators."""

    oid: int
    name: str
    left: int
    right: int
    result: int
    # prosrc of the function, and its OID in pg_proc.
    func: str
    proc: int
    commutator: int = 0
    negator: int = 0
    hashes: bool = False
    merges: bool = False
    namespace: int = PG_CATALOG
    restrict: str = ""
    join: str = ""


class Cast(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of pg_cast."""

    source: int
    target: int
    # prosrc of the cast function, '' when none; its OID; its argument count.
    func: str
    proc: int
    # i implicit, a assignment, e explicit
    context: str
    # f function, i by way of text, b binary coercible
    method: str
    nargs: int = 1


class CatalogReader(Protocol):
    """One snapshot of the catalogue, through one session's search path.

    `schema=None` means: by the search path (pg_catalog first unless the path names it, temporary schema before all).
    Names are exact, already folded.
    """

    @property
    def version(self) -> int:
        """Catalogue version that plans are compiled against."""

    def namespace_oid(self, name: str) -> int | None:
        """OID of a schema, None when there is none."""

    def namespace_name(self, oid: int) -> str | None:
        """Name of a schema."""

    def search_path(self) -> tuple[int, ...]:
        """Effective schemas in order, implicit ones included."""

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        """A relation of any kind by name."""

    def relation_by_oid(self, oid: int) -> Relation | None:
        """A relation of any kind by OID."""

    def with_path(self, path: tuple[int, ...]) -> CatalogReader:
        """The same snapshot through another search path (views' definitions)."""

    def sequence(self, oid: int) -> Sequence | None:
        """A sequence by its relation's OID."""

    def type_by_oid(self, oid: int) -> Type | None:
        """A type by OID."""

    def type_by_name(self, name: str, schema: str | None = None) -> Type | None:
        """A type by its pg_type name (`int4`, `_int4`)."""

    def functions(self, name: str, schema: str | None = None) -> Seq[Function]:
        """All functions, aggregates and window functions of that name that are visible."""

    def function_by_oid(self, oid: int) -> Function | None:
        """A function by OID."""

    def operators(self, name: str, schema: str | None = None) -> Seq[Operator]:
        """All operators of that name that are visible."""

    def operator_by_oid(self, oid: int) -> Operator | None:
        """An operator by OID."""

    def cast(self, source: int, target: int) -> Cast | None:
        """The entry of pg_cast, if there is one."""

    def domain_constraints(self, typ: int) -> Seq[Constraint]:
        """CHECK constraints of one domain (not of its base domains)."""

    def referencing(self, relation: int) -> Seq[Constraint]:
        """Foreign keys of other tables (or its own) that reference this table."""

    def role_name(self, oid: int) -> str | None:
        """Name of a role."""
