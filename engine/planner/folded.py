"""VALUES of very many literals: the kernel has left a few rows in the statement that show what each column's cells look like
(`kernel/src/base/folding.rs`); what was analysed for those becomes a `LiteralRows`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sixfold.engine.analyzer.scope import Params
from sixfold.engine.analyzer.walk import contains, rewrite
from sixfold.engine.planner import nodes
from sixfold.engine.planner.nodes import Expr


class FoldedRows(msgspec.Struct):
    """One VALUES. Parameters are numbered from 0."""

    # The one with its text.
    text: int
    rows: int
    # By column: each shape's key, and the parameter that stands for its literal.
    columns: list[list[tuple[str, int | None]]]

    def numbers(self) -> list[int]:
        """Parameters that stand for literals, in the order in which a row has them."""
        return [param for shapes in self.columns for _, param in shapes if param is not None]

    def node(self, rows: Sequence[Sequence[Expr]], types: list[int], params: Params) -> nodes.LiteralRows:
        """`rows`: the shown rows' expressions; row n has each column's shape n, where it has so many."""
        places = {param: place for place, param in enumerate(self.numbers())}

        def change(part: Expr) -> Expr | None:
            if type(part) is nodes.Param and part.n in places:
                return nodes.Col(places[part.n], part.typ)
            return None

        outputs: list[tuple[int | None, list[Expr]]] = []
        for column, shapes in enumerate(self.columns):
            exprs = [rewrite(rows[shape][column], change) for shape in range(len(shapes))]
            outputs.append((column if len(exprs) > 1 else None, exprs))
        columns = [
            [(key, None if param is None else params.types[param]) for key, param in shapes] for shapes in self.columns
        ]
        return nodes.LiteralRows(self.text, columns, outputs, types)


def folded_rows(folded: Sequence[FoldedRows], rows: Sequence[Sequence[Expr]]) -> FoldedRows | None:
    """The folded VALUES that these rows show, if they do."""
    for one in folded:
        numbers = set(one.numbers())

        def is_one(part: Any, numbers: set[int] = numbers) -> bool:
            return type(part) is nodes.Param and part.n in numbers

        if any(contains(expr, is_one) for row in rows for expr in row):
            return one
    return None
