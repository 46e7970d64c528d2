"""Commands of engine scripts: SQL over a whole engine in memory. `@name sql` runs on another connection; `copy sql` with data below it
on lines of its own runs COPY FROM STDIN."""

from __future__ import annotations

from sixfold.engine.embedded import Result
from tests.engine.memory import Script
from tests.golden.runner import Run


def session() -> Run:
    """Rows as `a|b` (null is ∅), then the command tag; notices and errors with their fields."""
    script = Script()

    def run(text: str) -> str:
        name, sql = "", text
        if text.startswith("@"):
            name, _, sql = text[1:].partition(" ")
        data: bytes | None = None
        if sql.startswith("copy ") and "from stdin" in sql:
            sql, _, body = sql.partition("\n")
            data = (body + "\n").encode() if body else b""
        return "\n".join(shown(result) for result in script.wait(script.connection(name).query(sql, data)))

    return run


def shown(result: Result) -> str:
    """One statement's answer as text."""
    lines = [notice(fields) for fields in result.notices]
    if result.error is not None:
        return "\n".join([*lines, notice(result.error)])
    lines += ["|".join("∅" if value is None else value for value in row) for row in result.rows]
    lines += result.copied.decode().splitlines()
    return "\n".join([*lines, result.tag])


def notice(fields: dict[str, str]) -> str:
    """An error or notice with its code, message, position, detail and hint."""
    lines = [f"{fields['S']} {fields['C']}: {fields['M']}" + (f" (at {fields['P']})" if "P" in fields else "")]
    for letter, name in (("D", "DETAIL"), ("H", "HINT")):
        if letter in fields:
            lines.append(f"{name}: {fields[letter]}")
    return "\n".join(lines)
