"""Storage parameters of tables, WITH (…): checked, kept and shown. They change nothing here."""

from __future__ import annotations

from typing import Any

from sixfold.engine.errors import SqlError
from sixfold.engine.parser import ast

# PostgreSQL's names for tables; those with bounds where a wrong value is common.
BOUNDS: dict[str, tuple[int, int]] = {
    "fillfactor": (10, 100),
    "parallel_workers": (0, 1024),
    "toast_tuple_target": (128, 8160),
}
AUTOVACUUM = (
    "enabled",
    "vacuum_threshold",
    "vacuum_insert_threshold",
    "analyze_threshold",
    "vacuum_scale_factor",
    "vacuum_insert_scale_factor",
    "analyze_scale_factor",
    "vacuum_cost_delay",
    "vacuum_cost_limit",
    "freeze_min_age",
    "freeze_max_age",
    "freeze_table_age",
    "multixact_freeze_min_age",
    "multixact_freeze_max_age",
    "multixact_freeze_table_age",
)
NAMES = frozenset(
    (
        *BOUNDS,
        *(f"autovacuum_{name}" for name in AUTOVACUUM),
        "log_autovacuum_min_duration",
        "user_catalog_table",
        "vacuum_index_cleanup",
        "vacuum_truncate",
    )
)


def read_index(options: Any) -> list[str] | None:
    """Of a B-tree, as pg_class keeps them; 22023 for what it does not have."""
    found: dict[str, str] = {}
    for option in options or ():
        value = text_of(option.arg)
        if option.defname not in ("fillfactor", "deduplicate_items"):
            raise SqlError("22023", f'unrecognized parameter "{option.defname}"')
        _check_bounds(option.defname, value)
        found[option.defname] = value
    return listed(found)


def read(options: Any) -> dict[str, str]:
    """By name; 22023 for what no table has."""
    found: dict[str, str] = {}
    for option in options or ():
        value = text_of(option.arg)
        if option.defname == "oids":
            if value not in ("false", "off", "False"):
                raise SqlError("0A000", "tables declared WITH OIDS are not supported")
            continue
        space = option.defnamespace
        if space not in (None, "toast"):
            raise SqlError("22023", f'unrecognized parameter namespace "{space}"')
        if option.defname not in NAMES:
            raise SqlError("22023", f'unrecognized parameter "{option.defname}"')
        _check_bounds(option.defname, value)
        found[f"{space}.{option.defname}" if space else option.defname] = value
    return found


def text_of(arg: Any) -> str:
    """An option's value as it was written."""
    if arg is None:
        return "true"
    if type(arg) is ast.TypeName:
        return str(arg.names[-1].sval)
    return str(next((getattr(arg, part) for part in ("ival", "fval", "sval", "boolval") if hasattr(arg, part)), ""))


def _check_bounds(name: str, value: str) -> None:
    if name not in BOUNDS:
        return
    low, high = BOUNDS[name]
    try:
        number = int(value)
    except ValueError:
        raise SqlError("22023", f'invalid value for integer option "{name}": {value}') from None
    if not low <= number <= high:
        raise SqlError(
            "22023",
            f'value {value} out of bounds for option "{name}"',
            detail=f'Valid values are between "{low}" and "{high}".',
        )


def listed(options: dict[str, str]) -> list[str] | None:
    """As pg_class keeps them."""
    return [f"{name}={value}" for name, value in options.items()] or None


def changed(kept: list[str] | None, given: Any, *, reset: bool) -> list[str] | None:
    """After SET (…) or RESET (…)."""
    options = dict(item.split("=", 1) for item in kept or ())
    new = {} if reset else read(given)
    # What is set again goes to the end.
    for name in (option.defname for option in given) if reset else new:
        options.pop(name, None)
    return listed(options | new)
