"""`SqlError`: every error that a client may see, with PostgreSQL's fields. Raised where it is found, shaped nowhere else."""

from __future__ import annotations


class SqlError(Exception):
    """An error with an SQLSTATE. `position` is the 1-based character in the statement."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
        context: str | None = None,
        schema: str | None = None,
        table: str | None = None,
        column: str | None = None,
        datatype: str | None = None,
        constraint: str | None = None,
        routine: str | None = None,
        severity: str = "ERROR",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position
        self.context = context
        self.schema = schema
        self.table = table
        self.column = column
        self.datatype = datatype
        self.constraint = constraint
        # PostgreSQL's function that says it, where drivers go by that.
        self.routine = routine
        self.severity = severity

    def __repr__(self) -> str:
        return f"SqlError({self.code}, {self.message!r})"


def not_built(what: str, position: int | None = None) -> SqlError:
    """0A000: PostgreSQL can do it, Sixfold can not yet."""
    return SqlError("0A000", f"{what} is not supported yet", position=position)


def stack_depth() -> SqlError:
    """54001: what is nested deeper than a stack can take."""
    return SqlError("54001", "stack depth limit exceeded")


def no_serializable() -> SqlError:
    """0A000 wherever the level is asked for: what runs under it must not be less than it says."""
    return SqlError(
        "0A000",
        "isolation level SERIALIZABLE is not supported yet",
        hint="The strictest level is REPEATABLE READ: one snapshot for the whole transaction, under which write skew is possible.",
    )


def syntax_error(message: str, position: int | None = None) -> SqlError:
    """42601."""
    return SqlError("42601", message, position=position)
