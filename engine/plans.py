"""Plans by text: the analyzer's and planner's work done once for each text, scope, catalogue version and parameter types."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec

from sixfold.kernel._kernel import KernelError, Plan

from .access import check_relations
from .errors import SqlError
from .long_texts import SHORT, done_with
from .parser import parse_one
from .planner import nodes
from .planner.api import PlannedStatement, analyze_and_plan
from .planner.folded import FoldedRows
from .reply import Column

PLANS_KEPT = 2000

PlanKey = tuple[int, int, str, int, tuple[int, ...]]


class Prepared(msgspec.Struct):
    """A planned statement and the kernel's form of it."""

    planned: PlannedStatement
    plan: Plan

    @property
    def relations(self) -> set[int]:
        """All that the plan was made from, and those of foreign keys."""
        return {*self.planned.relations, *(relation for relation, _ in self.planned.plan.locks)}

    @property
    def columns(self) -> list[tuple[str, int, int, int, int]]:
        """Result columns as the wire describes them."""
        return [(c.name, c.typ, c.typmod, c.table, c.attnum) for c in self.planned.output]


class PlanCache:
    """Of one database."""

    def __init__(self) -> None:
        self._kept: OrderedDict[PlanKey, Prepared] = OrderedDict()

    def get(self, key: PlanKey) -> Prepared | None:
        """What was planned under this key."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: PlanKey, prepared: Prepared) -> None:
        """Keep it, and forget the one not used for longest."""
        self._kept[key] = prepared
        if len(self._kept) > PLANS_KEPT:
            self._kept.popitem(last=False)


def prepare(
    session: Any,
    node: Any,
    text: str,
    param_types: tuple[int, ...] = (),
    *,
    own: str = "",
    at: int = 0,
    catalog: Any = None,
    folded: Sequence[FoldedRows] = (),
    cached: bool = True,
    whole: bool = False,
) -> Prepared:
    """Plan a SELECT, VALUES, INSERT, UPDATE or DELETE for this session now. `text` is what the node's locations count in,
    `own` the statement's own where others stand beside it, `at` what else it is planned for; `folded`: VALUES that it shows some rows
    of; `whole`: with its plan as a tree, even if that is large."""
    cache: PlanCache = session.database.plans
    # A short text that stands for many must not be taken for one that a client has written.
    own = own or text
    key = (session.scope, session.snapshot.version, f"\1{own}" if folded else own, at, param_types)
    # A long one is planned beside the loop, whose cache this is; and it would be kept for as long as a short one.
    keep = cached and catalog is None and len(own) <= SHORT
    found = cache.get(key) if keep else None
    if found is None:
        planned = analyze_and_plan(node, text, catalog or session.catalog(), session.info(), param_types, folded)
        check_relations(session, planned.relations)
        found = Prepared(planned, Plan.compile(planned.encoded(large=len(own) > SHORT), session.kernel))
        if len(own) > SHORT and not whole:
            done_with(planned.plan)
            planned.plan = msgspec.structs.replace(planned.plan, root=nodes.Node(), subplans=[])
            planned.estimates = {}
        if keep:
            cache.put(key, found)
    return found


def prepare_own(session: Any, text: str, catalog: Any = None) -> Prepared:
    """Plan a query of the engine's own. Positions in it mean nothing to the client."""
    try:
        return prepare(session, parse_one(text), text, catalog=catalog)
    except SqlError as error:
        error.position = None
        raise
    except KernelError as error:
        raise SqlError(error.code, error.message, detail=error.detail, hint=error.hint) from None


def check_same_columns(before: Sequence[Column], now: Sequence[Column]) -> None:
    """Who prepared a statement knows its columns: a change of the catalogue may not change their names or types."""
    if [(c[0], c[1], c[2]) for c in before] != [(c[0], c[1], c[2]) for c in now]:
        raise SqlError("0A000", "cached plan must not change result type", routine="RevalidateCachedQuery")
