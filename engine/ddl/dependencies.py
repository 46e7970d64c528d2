"""Who depends on whom: what DROP takes along, refuses, or tells of; and the removal of each kind of object."""

from __future__ import annotations

from sixfold.engine.catalog.rows import Row
from sixfold.engine.catalog.system import is_user
from sixfold.engine.errors import SqlError
from sixfold.engine.parser import quote_ident

from .base import ATTRDEF, CLASS, CONSTRAINT, KINDS, NAMESPACE, REWRITE, TYPE, Change

# (catalogue, OID, column)
Object = tuple[int, int, int]


def describe(change: Change, item: Object) -> str:
    """An object in a message, as PostgreSQL's getObjectDescription."""
    classid, oid, sub = item
    rows = change.rows
    if classid == CLASS:
        row = rows["pg_class"].get(oid)
        name = f"{KINDS.get(row['relkind'], 'relation')} {shown_name(change, row)}" if row else f"relation {oid}"
        return f"column {_column(change, oid, sub)} of {name}" if sub else name
    if classid == CONSTRAINT:
        row = rows["pg_constraint"].get(oid)
        table = rows["pg_class"].get(row["conrelid"]) if row else None
        return (
            f"constraint {row['conname']} on table {shown_name(change, table)}"
            if row and table
            else f"constraint {oid}"
        )
    if classid == ATTRDEF:
        row = rows["pg_attrdef"].get(oid)
        return (
            f"default value for {describe(change, (CLASS, row['adrelid'], row['adnum']))}" if row else f"default {oid}"
        )
    if classid == REWRITE:
        row = rows["pg_rewrite"].get(oid)
        return describe(change, (CLASS, row["ev_class"], 0)) if row else f"rule {oid}"
    if classid == TYPE:
        row = rows["pg_type"].get(oid)
        return f"type {row['typname']}" if row else f"type {oid}"
    if classid == NAMESPACE:
        return f"schema {change.catalog.namespace_name(oid)}"
    return f"object {oid}"


def shown_name(change: Change, row: Row | None) -> str:
    """A relation's name, with its schema when it is not visible without."""
    if row is None:
        return "?"
    found = change.catalog.relation(row["relname"])
    if found is not None and found.oid == row["oid"]:
        return quote_ident(row["relname"])
    return f"{quote_ident(change.catalog.namespace_name(row['relnamespace']) or '')}.{quote_ident(row['relname'])}"


def _column(change: Change, relation: int, attnum: int) -> str:
    row = change.rows["pg_attribute"].get(relation, attnum)
    return row["attname"] if row else str(attnum)


class Dropper:
    """One DROP: first everything that goes is found, then it goes."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._wanted: list[Object] = []

    def add(self, item: Object) -> None:
        """This is to be dropped."""
        self._wanted.append(item)

    async def run(self, *, cascade: bool, quiet: bool = False) -> None:
        """Drop it all; 2BP01 when others depend on it and CASCADE was not said."""
        found, reported, reasons = self._closure()
        owner = self._wanted[0] if self._wanted else None
        for item in self._wanted:
            self._check_internal(item, found)
        if reported and not cascade and not quiet and owner is not None:
            change = self._change
            what = describe(change, owner) if len(self._wanted) == 1 else "desired object(s)"
            lines = [f"{describe(change, item)} depends on {describe(change, reasons[item])}" for item in reported]
            raise SqlError(
                "2BP01",
                f"cannot drop {what} because other objects depend on it"
                if len(self._wanted) == 1
                else "cannot drop desired object(s) because other objects depend on them",
                detail="\n".join(lines),
                hint="Use DROP ... CASCADE to drop the dependent objects too.",
            )
        if reported and not quiet:
            self._tell(reported)
        if not quiet:
            self._check_not_in_use(found)
        session = self._change.session
        for item in reversed(list(found)):
            await remove(self._change, item)
            # A schema may have thousands of tables.
            await session.waits.runtime.clock.sleep(0)
            if session.statements.cancelled is not None:
                raise session.statements.cancelled

    def _tell(self, reported: list[Object]) -> None:
        texts = [f"drop cascades to {describe(self._change, item)}" for item in reported]
        if len(texts) == 1:
            self._change.session.notice(texts[0])
        else:
            self._change.session.notice(f"drop cascades to {len(texts)} other objects", detail="\n".join(texts))

    def _check_not_in_use(self, found: dict[Object, None]) -> None:
        """Before a constraint goes, and its checks with it."""
        for classid, oid, sub in reversed(list(found)):
            row = self._change.rows["pg_class"].get(oid) if classid == CLASS and not sub else None
            if row is not None and row["relkind"] in "rm" and is_user(oid):
                self._change.check_not_in_use(self._change.must_oid(oid), "DROP TABLE")

    def _check_internal(self, item: Object, found: dict[Object, None]) -> None:
        """What is part of another object can not be dropped alone."""
        for row in self._change.rows["pg_depend"].group(("classid", "objid"), item[0], item[1]):
            owner = (row["refclassid"], row["refobjid"], row["refobjsubid"])
            whole = (owner[0], owner[1], 0)
            if row["deptype"] == "i" and row["objsubid"] == item[2] and owner not in found and whole not in found:
                text = describe(self._change, owner)
                raise SqlError(
                    "2BP01",
                    f"cannot drop {describe(self._change, item)} because {text} requires it",
                    hint=f"You can drop {text} instead.",
                )

    def _closure(self) -> tuple[dict[Object, None], list[Object], dict[Object, Object]]:
        """(all that goes, those to be told of, why each goes)"""
        found: dict[Object, None] = dict.fromkeys(self._wanted)
        automatic: set[Object] = set(self._wanted)
        reasons: dict[Object, Object] = {}
        queue = list(self._wanted)
        while queue:
            item = queue.pop(0)
            for row in self._change.rows["pg_depend"].group(("refclassid", "refobjid"), item[0], item[1]):
                if item[2] and row["refobjsubid"] != item[2]:
                    continue
                dependent = self._whole((row["classid"], row["objid"], row["objsubid"]), item)
                if row["deptype"] in ("a", "i") and dependent != item:
                    # Part of something that goes: that others depend on too does not matter.
                    whole = dependent[0] in (CLASS, CONSTRAINT) and dependent[2] == 0
                    if item in automatic or dependent not in found or whole:
                        automatic.add(dependent)
                if dependent in found:
                    continue
                found[dependent] = None
                reasons[dependent] = item
                queue.append(dependent)
        reported = [item for item in found if item not in automatic]
        return found, reported, reasons

    def _whole(self, item: Object, of: Object) -> Object:
        """A view's rule stands for the view, a generation expression for its column where another's column goes."""
        if item[0] == ATTRDEF:
            row = self._change.rows["pg_attrdef"].get(item[1])
            own = row and self._change.rows["pg_attribute"].get(row["adrelid"], row["adnum"])
            if row and own and own["attgenerated"].strip() and of[2] not in (0, row["adnum"]):
                return (CLASS, row["adrelid"], row["adnum"])
        if item[0] == REWRITE:
            row = self._change.rows["pg_rewrite"].get(item[1])
            if row is not None:
                return (CLASS, row["ev_class"], 0)
        return item


async def remove(change: Change, item: Object) -> None:
    """Remove one object's rows. What depends on it has gone before."""
    classid, oid, sub = item
    if classid == CLASS and sub:
        await remove_column(change, oid, sub)
    elif classid == CLASS:
        await remove_relation(change, oid)
    elif classid == CONSTRAINT:
        await _remove_constraint(change, oid)
        await change.forget_comments(CONSTRAINT, oid)
    elif classid == ATTRDEF:
        await remove_default(change, oid)
    elif classid == TYPE:
        await _remove_row(change, "pg_type", oid)
    elif classid == REWRITE:
        await _remove_row(change, "pg_rewrite", oid)
    elif classid == NAMESPACE:
        await _remove_row(change, "pg_namespace", oid)
        await change.forget_comments(NAMESPACE, oid)
    await change.forget_dependencies(classid, oid, sub or None)


async def _remove_row(change: Change, table: str, oid: int) -> None:
    row = change.rows[table].get(oid)
    if row is not None:
        await change.writer.delete(table, row)


async def _remove_constraint(change: Change, oid: int) -> None:
    row = change.rows["pg_constraint"].get(oid)
    table = change.rows["pg_class"].get(row["conrelid"]) if row is not None else None
    await _remove_row(change, "pg_constraint", oid)
    change.session.kernel.drop_checks(oid)
    if row is not None and row["contype"] == "c" and table is not None:
        await change.writer.update("pg_class", table, relchecks=max(table["relchecks"] - 1, 0))


async def remove_default(change: Change, oid: int) -> None:
    """Remove a column's default (or generation expression)."""
    row = change.rows["pg_attrdef"].get(oid)
    if row is None:
        return
    attribute = change.rows["pg_attribute"].get(row["adrelid"], row["adnum"])
    await change.writer.delete("pg_attrdef", row)
    if attribute is not None:
        await change.writer.update("pg_attribute", attribute, atthasdef=False, attgenerated="")


async def remove_column(change: Change, relation: int, attnum: int) -> None:
    """A dropped column keeps its place, nameless and nullable."""
    row = change.rows["pg_attribute"].get(relation, attnum)
    if row is None or row["attisdropped"]:
        return
    await change.writer.update(
        "pg_attribute",
        row,
        attname=f"........pg.dropped.{attnum}........",
        atttypid=0,
        # Rows that stand have its values: this says how to read them. (PostgreSQL's is always -1.)
        attcacheoff=row["atttypid"],
        attisdropped=True,
        attnotnull=False,
        atthasdef=False,
        attidentity="",
        attgenerated="",
        attstattarget=0,
        atthasmissing=False,
        attmissingval=None,
    )
    for statistic in change.rows["pg_statistic"].group(("starelid",), relation):
        if statistic["staattnum"] == attnum:
            await change.writer.delete("pg_statistic", statistic)
    await change.forget_comments(CLASS, relation, attnum)


async def remove_relation(change: Change, oid: int) -> None:
    """Remove a relation with all rows that are its own."""
    rows = change.rows
    row = rows["pg_class"].get(oid)
    if row is None or not is_user(oid):
        return
    if row["relkind"] != "i":
        await change.lock(oid)
    change.drop_tree_of(oid, row["relkind"])
    for table, column in (
        ("pg_attribute", "attrelid"),
        ("pg_attrdef", "adrelid"),
        ("pg_statistic", "starelid"),
        ("pg_rewrite", "ev_class"),
    ):
        for part in rows[table].group((column,), oid):
            await change.writer.delete(table, part)
            if table in ("pg_rewrite", "pg_attrdef"):
                await change.forget_dependencies(REWRITE if table == "pg_rewrite" else ATTRDEF, part["oid"])
    for table in ("pg_index", "pg_sequence", "sixfold_storage"):
        await _remove_row(change, table, oid)
    await change.forget_comments(CLASS, oid)
    await change.writer.delete("pg_class", row)
