"""pg_statistic's rows to what the planner asks of a column, and back (ANALYZE).

Slot 1 holds the most common values, slot 2 the histogram, as in PostgreSQL; values are kept as a JSON list of text forms.
"""

from __future__ import annotations

import json
from typing import Any

from .rows import Row

COMMON, HISTOGRAM = 1, 2


def column_statistics(row: Row) -> dict[str, Any]:
    """Keyword arguments for `Column`."""
    distinct = row["stadistinct"]
    return {
        "n_distinct": distinct if distinct else None,
        "null_frac": row["stanullfrac"],
        "avg_width": row["stawidth"],
        "common_values": tuple(json.loads(row["stavalues1"])) if row["stavalues1"] else (),
        "common_freqs": tuple(row["stanumbers1"] or ()),
        "histogram": tuple(json.loads(row["stavalues2"])) if row["stavalues2"] else (),
    }


def statistic_row(
    relation: int,
    attnum: int,
    null_frac: float,
    width: int,
    distinct: float,
    common: list[tuple[str, float]],
    histogram: list[str],
    equal: int,
    less: int,
) -> Row:
    """A row of pg_statistic. `equal` and `less` are the type's operators."""
    row: Row = {
        "starelid": relation,
        "staattnum": attnum,
        "stainherit": False,
        "stanullfrac": null_frac,
        "stawidth": width,
        "stadistinct": distinct,
    }
    for slot in range(1, 6):
        row |= {
            f"stakind{slot}": 0,
            f"staop{slot}": 0,
            f"stacoll{slot}": 0,
            f"stanumbers{slot}": None,
            f"stavalues{slot}": None,
        }
    if common:
        row |= {
            "stakind1": COMMON,
            "staop1": equal,
            "stanumbers1": [freq for _, freq in common],
            "stavalues1": json.dumps([value for value, _ in common]),
        }
    if histogram:
        row |= {"stakind2": HISTOGRAM, "staop2": less, "stavalues2": json.dumps(histogram)}
    return row
