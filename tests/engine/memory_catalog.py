"""A catalogue in memory, for tests of the analyzer and the planner: tables are given as short texts."""

from __future__ import annotations

from collections.abc import Sequence as Seq

from sixfold.engine.analyzer.analyze import analyze, new_context
from sixfold.engine.analyzer.types import resolve_type
from sixfold.engine.catalog.model import (
    PG_CATALOG,
    PUBLIC,
    Cast,
    Column,
    Constraint,
    Function,
    Index,
    IndexKey,
    Operator,
    Relation,
    Sequence,
    Type,
)
from sixfold.engine.facts import FACTS
from sixfold.engine.parser import ast, deparse, enums, parse


class MemoryCatalog:
    """Implements `CatalogReader`. `ddl` understands CREATE TABLE, CREATE INDEX, CREATE VIEW."""

    def __init__(self) -> None:
        self.version = 1
        self.relations: dict[int, Relation] = {}
        self.sequences: dict[int, Sequence] = {}
        self.row_types: dict[int, Type] = {}
        self.next_oid = 16384
        self.next_page = 100

    def oid(self) -> int:
        self.next_oid += 1
        return self.next_oid

    def page(self) -> int:
        self.next_page += 1
        return self.next_page

    # ---- CatalogReader

    def namespace_oid(self, name: str) -> int | None:
        return {"pg_catalog": PG_CATALOG, "public": PUBLIC}.get(name)

    def namespace_name(self, oid: int) -> str | None:
        return {PG_CATALOG: "pg_catalog", PUBLIC: "public"}.get(oid)

    def search_path(self) -> tuple[int, ...]:
        return (PG_CATALOG, PUBLIC)

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        for relation in self.relations.values():
            if relation.name == name and (schema is None or relation.schema == schema):
                return relation
        return None

    def relation_by_oid(self, oid: int) -> Relation | None:
        return self.relations.get(oid)

    def with_path(self, path: tuple[int, ...]) -> MemoryCatalog:
        return self

    def sequence(self, oid: int) -> Sequence | None:
        return self.sequences.get(oid)

    def type_by_oid(self, oid: int) -> Type | None:
        return FACTS.types.get(oid) or self.row_types.get(oid)

    def type_by_name(self, name: str, schema: str | None = None) -> Type | None:
        return FACTS.types_by_name.get(name) if schema in (None, "pg_catalog") else None

    def functions(self, name: str, schema: str | None = None) -> Seq[Function]:
        return FACTS.functions(name) if schema in (None, "pg_catalog") else ()

    def function_by_oid(self, oid: int) -> Function | None:
        return FACTS.function_oids.get(oid)

    def operators(self, name: str, schema: str | None = None) -> Seq[Operator]:
        return FACTS.operators(name) if schema in (None, "pg_catalog") else ()

    def operator_by_oid(self, oid: int) -> Operator | None:
        return FACTS.operator_oids.get(oid)

    def cast(self, source: int, target: int) -> Cast | None:
        return FACTS.casts.get((source, target))

    def domain_constraints(self, typ: int) -> Seq[Constraint]:
        return ()

    def referencing(self, relation: int) -> Seq[Constraint]:
        return [
            c
            for r in self.relations.values()
            for c in r.constraints
            if c.kind == "f" and c.foreign_relation == relation
        ]

    def role_name(self, oid: int) -> str | None:
        return "postgres" if oid == 10 else None

    # ---- DDL, as far as tests need it

    def ddl(self, text: str) -> None:
        for statement in parse(text):
            node = statement.node
            if isinstance(node, ast.CreateStmt):
                self._table(node, text)
            elif isinstance(node, ast.IndexStmt):
                self._index(node)
            elif isinstance(node, ast.CreateSeqStmt):
                self._sequence(node.sequence.relname)
            elif isinstance(node, ast.ViewStmt):
                self._view(node, statement.text(text))
            else:
                raise AssertionError(f"the test catalogue does not know {type(node).__name__}")

    def estimate(self, name: str, rows: float, pages: int) -> None:
        """Statistics for a table."""
        relation = self.relation(name)
        assert relation is not None
        self._put(relation, rows=rows, pages=pages)

    def _put(self, relation: Relation, **changes: object) -> None:
        fields = {f: getattr(relation, f) for f in relation.__struct_fields__}
        self.relations[relation.oid] = Relation(**{**fields, **changes})

    def _table(self, node: ast.CreateStmt, text: str) -> None:
        oid = self.oid()
        columns: list[Column] = []
        specs: list[tuple[ast.Constraint, str | None]] = []
        for element in node.tableElts or ():
            if isinstance(element, ast.Constraint):
                specs.append((element, None))
                continue
            name = element.typeName.names[-1].sval
            fields: dict[str, object] = {}
            if name in ("serial", "bigserial"):
                typ, typmod = FACTS.types[23 if name == "serial" else 20], -1
                fields = {"default": self._serial(node.relation.relname, element.colname), "not_null": True}
            else:
                typ, typmod = resolve_type(self, element.typeName)
            for constraint in element.constraints or ():
                kind = constraint.contype
                if kind == enums.ConstrType.CONSTR_NOTNULL:
                    fields["not_null"] = True
                elif kind == enums.ConstrType.CONSTR_DEFAULT:
                    fields["default"] = _source(constraint.raw_expr, text)
                elif kind == enums.ConstrType.CONSTR_GENERATED:
                    fields["default"], fields["generated"] = _source(constraint.raw_expr, text), "s"
                elif kind == enums.ConstrType.CONSTR_IDENTITY:
                    fields["identity"] = constraint.generated_when
                    fields["default"] = self._serial(node.relation.relname, element.colname)
                    fields["not_null"] = True
                else:
                    specs.append((constraint, element.colname))
            columns.append(Column(element.colname, len(columns) + 1, typ.oid, typmod, **fields))  # type: ignore[arg-type]
        relation = Relation(oid, "public", node.relation.relname, "r", PUBLIC, tuple(columns), root=self.page(),
                            overflow=self.page(), rows=-1.0, row_type=self._row_type(node.relation.relname, oid))  # fmt: skip
        self.relations[oid] = relation
        for spec, column in specs:
            self._constraint(oid, spec, column, text)

    def _row_type(self, name: str, relation: int) -> int:
        oid = self.oid()
        self.row_types[oid] = Type(oid, name, PUBLIC, "c", "C", relation=relation)
        return oid

    def _serial(self, table: str, column: str) -> str:
        name = f"{table}_{column}_seq"
        self._sequence(name)
        return f"nextval('{name}'::regclass)"

    def _sequence(self, name: str) -> None:
        oid = self.oid()
        self.sequences[oid] = Sequence(oid, "public", name, self.page())
        self.relations[oid] = Relation(oid, "public", name, "S", root=self.sequences[oid].root)

    def _constraint(self, oid: int, spec: ast.Constraint, column: str | None, text: str) -> None:
        relation = self.relations[oid]
        place = {c.name: c.attnum for c in relation.columns}
        kinds = enums.ConstrType
        names = [n.sval for n in (spec.keys or spec.fk_attrs or ())] or ([column] if column else [])
        attnums = tuple(place[n] for n in names if n)
        if spec.contype in (kinds.CONSTR_PRIMARY, kinds.CONSTR_UNIQUE):
            primary = spec.contype == kinds.CONSTR_PRIMARY
            name = spec.conname or (f"{relation.name}_pkey" if primary else f"{relation.name}_{'_'.join(names)}_key")
            index = Index(self.oid(), name, self.page(), True, primary, False, tuple(IndexKey(a) for a in attnums))
            made = Constraint(self.oid(), name, "p" if primary else "u", oid, attnums, index=index.oid)
            columns = relation.columns
            if primary:
                columns = tuple(
                    Column(**{**{f: getattr(c, f) for f in c.__struct_fields__}, "not_null": True})
                    if c.attnum in attnums
                    else c
                    for c in columns
                )
            self._put(
                relation, indexes=(*relation.indexes, index), constraints=(*relation.constraints, made), columns=columns
            )
        elif spec.contype == kinds.CONSTR_CHECK:
            name = spec.conname or f"{relation.name}_{column + '_' if column else ''}check"
            made = Constraint(self.oid(), name, "c", oid, expr=_source(spec.raw_expr, text))
            self._put(relation, constraints=(*relation.constraints, made))
        elif spec.contype == kinds.CONSTR_FOREIGN:
            self._foreign(relation, spec, names, attnums)
        else:
            raise AssertionError(f"the test catalogue does not know {spec.contype}")

    def _foreign(self, relation: Relation, spec: ast.Constraint, names: list[str], attnums: tuple[int, ...]) -> None:
        parent = self.relation(spec.pktable.relname)
        assert parent is not None
        if spec.pk_attrs:
            place = {c.name: c.attnum for c in parent.columns}
            foreign = tuple(place[n.sval] for n in spec.pk_attrs)
        else:
            foreign = next(c.columns for c in parent.constraints if c.kind == "p")
        index = next(i.oid for i in parent.indexes if i.unique and tuple(k.attnum for k in i.keys) == foreign)
        made = Constraint(
            self.oid(), spec.conname or f"{relation.name}_{'_'.join(names)}_fkey", "f", relation.oid, attnums,
            foreign_relation=parent.oid, foreign_columns=foreign, on_update=spec.fk_upd_action or "a",
            on_delete=spec.fk_del_action or "a", match=spec.fk_matchtype or "s", deferrable=bool(spec.deferrable),
            deferred=bool(spec.initdeferred), index=index,
        )  # fmt: skip
        self._put(self.relations[relation.oid], constraints=(*relation.constraints, made))

    def _index(self, node: ast.IndexStmt) -> None:
        relation = self.relation(node.relation.relname)
        assert relation is not None
        place = {c.name: c.attnum for c in relation.columns}
        keys = []
        for param in node.indexParams:
            desc = param.ordering == enums.SortByDir.SORTBY_DESC
            nulls = param.nulls_ordering
            first = (
                desc
                if nulls == enums.SortByNulls.SORTBY_NULLS_DEFAULT
                else nulls == enums.SortByNulls.SORTBY_NULLS_FIRST
            )
            keys.append(IndexKey(place[param.name], desc, first))
        name = node.idxname or f"{relation.name}_{'_'.join(p.name for p in node.indexParams)}_idx"
        index = Index(self.oid(), name, self.page(), bool(node.unique), keys=tuple(keys))
        self._put(relation, indexes=(*relation.indexes, index))

    def _view(self, node: ast.ViewStmt, text: str) -> None:
        query_text = text[text.lower().index(" as ") + 4 :]
        query = analyze(new_context(self, query_text), parse(query_text)[0].node)
        names = [n.sval for n in node.aliases or ()]
        columns = []
        for i, target in enumerate(query.visible()):
            columns.append(Column(names[i] if i < len(names) else target.name, i + 1, target.typ, target.typmod))
        oid = self.oid()
        self.relations[oid] = Relation(oid, "public", node.view.relname, "v", PUBLIC, tuple(columns), view=query_text)


def _source(node: object, text: str) -> str:
    """SQL text of an expression of the DDL."""
    return deparse(node)
