"""GUCs: PostgreSQL's names, types, units, ranges and defaults, and one session's values with their transactional rules.

A value is kept in its canonical text (`on`, `4096` in the setting's own unit, `ISO, MDY`). SET lasts for the session unless the
transaction rolls back; SET LOCAL ends with the transaction; savepoints restore both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from .catalog import facts
from .errors import SqlError, no_serializable, not_built
from .parser import quote_ident

SERVER_VERSION = "15.18"
SERVER_VERSION_NUM = "150018"

# Sent as ParameterStatus at start-up, in this order, and again when they change.
REPORTED = (
    "server_version",
    "server_encoding",
    "client_encoding",
    "application_name",
    "default_transaction_read_only",
    "in_hot_standby",
    "is_superuser",
    "session_authorization",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
)
# Defaults that differ from PostgreSQL's boot values, as initdb or the server would set them.
DEFAULTS = {
    "server_version": SERVER_VERSION,
    "server_version_num": SERVER_VERSION_NUM,
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "lc_messages": "C",
    "max_stack_depth": "2048",
    "default_text_search_config": "pg_catalog.english",
    "timezone_abbreviations": "Default",
    "max_prepared_transactions": "0",
    "wal_level": "replica",
    "data_checksums": "on",
}
# Real GUCs that pg_settings does not list.
HIDDEN = ("is_superuser", "session_authorization", "role", "seed")
# GUC_LIST_QUOTE: SET's arguments are identifiers.
QUOTED_LISTS = frozenset({"search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"})
MEMORY = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4, "8kB": 8192}
# Microseconds.
TIME = {"us": 1, "ms": 1000, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
BOOLEANS = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
DATE_ORDERS = {
    "mdy": "MDY",
    "us": "MDY",
    "noneuro": "MDY",
    "noneuropean": "MDY",
    "dmy": "DMY",
    "euro": "DMY",
    "european": "DMY",
    "ymd": "YMD",
}
DATE_FORMATS = {"iso": "ISO", "sql": "SQL", "german": "German"}
NUMBER = re.compile(
    r"\s*([-+]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?))\s*([a-zA-Z]*)\s*$"
)


class Guc(msgspec.Struct, frozen=True):
    """One setting's facts."""

    name: str
    kind: str
    context: str
    boot: str
    unit: str | None = None
    category: str = ""
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    listed: bool = True


@cache
def known() -> dict[str, Guc]:
    """All settings by lower-case name."""
    found: dict[str, Guc] = {}
    for row in facts.rows("settings"):
        name = str(row["name"])
        values = (
            tuple(value.strip('"') for value in (row["enumvals"] or "").strip("{}").split(","))
            if row["enumvals"]
            else ()
        )
        found[name.lower()] = Guc(
            name=name,
            kind=str(row["vartype"]),
            context=str(row["context"]),
            boot=DEFAULTS.get(name, row["boot_val"] or ""),
            unit=row["unit"],
            category=row["category"] or "",
            low=float(row["min_val"]) if row["min_val"] else None,
            high=float(row["max_val"]) if row["max_val"] else None,
            values=values,
        )
    found["is_superuser"] = Guc("is_superuser", "bool", "internal", "on", listed=False)
    found["session_authorization"] = Guc("session_authorization", "string", "user", "", listed=False)
    found["role"] = Guc("role", "string", "user", "none", listed=False)
    found["seed"] = Guc("seed", "real", "user", "0", low=-1, high=1, listed=False)
    return found


def find(name: str) -> Guc:
    """The setting's facts; a dotted name that nobody knows is a string of the user's own. 42704 otherwise."""
    guc = known().get(name.lower())
    if guc is not None:
        return guc
    if name.lower() == "time zone":
        return known()["timezone"]
    if "." in name and all(re.fullmatch(r"[A-Za-z_\x80-\uffff][\w$]*", part) for part in name.split(".")):
        return Guc(name, "string", "user", "", category="Customized Options", listed=False)
    raise SqlError("42704", f'unrecognized configuration parameter "{name}"')


def check(guc: Guc, text: str, now: str = "") -> str:
    """The canonical form of a value; 22023 when it is none. `now`: what it is before, where a new one may say a part."""
    if guc.kind == "bool":
        value = _boolean(text)
        if value is None:
            raise SqlError("22023", f'parameter "{guc.name}" requires a Boolean value')
        text = "on" if value else "off"
    elif guc.kind == "enum":
        text = _enum(guc, text)
    elif guc.kind in ("integer", "real"):
        text = _number(guc, text)
    if guc.name == "DateStyle":
        return _date_style(guc, text, now or guc.boot)
    special = SPECIAL.get(guc.name)
    return special(guc, text) if special else text


def _boolean(text: str) -> bool | None:
    text = text.strip().lower()
    matches = {
        value
        for word, value in BOOLEANS.items()
        if text and word.startswith(text) and (len(text) > 1 or word[0] != "o")
    }
    return matches.pop() if len(matches) == 1 else None


def is_on(text: str) -> bool:
    """Is a Boolean setting's value true?"""
    return bool(_boolean(text))


def _enum(guc: Guc, text: str) -> str:
    for value in guc.values:
        if value.lower() == text.lower():
            return value
    if {"on", "off"} <= set(guc.values) and (flag := _boolean(text)) is not None:
        return "on" if flag else "off"
    shown = ", ".join(guc.values)
    raise SqlError("22023", f'invalid value for parameter "{guc.name}": "{text}"', hint=f"Available values: {shown}.")


def _number(guc: Guc, text: str) -> str:
    match = NUMBER.match(text)
    if match is None:
        raise SqlError("22023", f'invalid value for parameter "{guc.name}": "{text}"')
    digits, unit = match.groups()
    value = float(int(digits, 16)) if digits.lower().lstrip("+-").startswith("0x") else float(digits)
    if unit:
        value = _in_unit(guc, text, value, unit)
    if guc.kind == "integer":
        value = float(round(value))
    if (guc.low is not None and value < guc.low) or (guc.high is not None and value > guc.high):
        shown = f"{_plain(guc, value)}{' ' + guc.unit if guc.unit else ''}"
        limits = f"{_plain(guc, guc.low or 0)} .. {_plain(guc, guc.high or 0)}"
        raise SqlError("22023", f'{shown} is outside the valid range for parameter "{guc.name}" ({limits})')
    return _plain(guc, value)


def _plain(guc: Guc, value: float) -> str:
    return str(int(value)) if guc.kind == "integer" else f"{value:.15g}"


def _in_unit(guc: Guc, text: str, value: float, unit: str) -> float:
    scales = MEMORY if guc.unit in MEMORY else TIME if guc.unit in TIME else {}
    if guc.unit is None or unit not in scales or unit == "8kB":
        hint = None
        if guc.unit in MEMORY:
            hint = 'Valid units for this parameter are "B", "kB", "MB", "GB", and "TB".'
        elif guc.unit in TIME:
            hint = 'Valid units for this parameter are "us", "ms", "s", "min", "h", and "d".'
        raise SqlError("22023", f'invalid value for parameter "{guc.name}": "{text}"', hint=hint)
    return value * scales[unit] / scales[guc.unit]


def shown(guc: Guc, value: str) -> str:
    """As SHOW prints it: with the largest unit that divides it."""
    if guc.unit is None or guc.kind not in ("integer", "real") or guc.name.startswith("tcp_"):
        if guc.name == "max_stack_depth":
            return value
        if guc.unit is None or guc.kind not in ("integer", "real"):
            return value
    number = float(value)
    if number <= 0:
        return value
    scales = MEMORY if guc.unit in MEMORY else TIME
    total = number * scales[guc.unit]
    for unit in sorted((unit for unit in scales if unit != "8kB"), key=lambda name: -scales[name]):
        if total % scales[unit] == 0:
            return f"{int(total // scales[unit])}{unit}"
    return f"{value}{guc.unit}"


def _date_style(guc: Guc, text: str, now: str) -> str:
    style, _, order = now.partition(", ")
    given = None
    for word in (part.strip().lower() for part in text.split(",")):
        if word in DATE_FORMATS:
            style = DATE_FORMATS[word]
        elif word.startswith("postgres"):
            style = "Postgres"
        elif word in DATE_ORDERS:
            given = DATE_ORDERS[word]
        elif word != "default":
            raise SqlError(
                "22023",
                f'invalid value for parameter "DateStyle": "{text}"',
                detail=f'Unrecognized key word: "{word}".',
            )
        if word == "german":
            order = "DMY"
    return f"{style}, {given or order}"


@cache
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def _time_zone(guc: Guc, text: str) -> str:
    if text.lower() in ("utc", "gmt"):
        return text.upper()
    try:
        ZoneInfo(text)
        return text
    except (KeyError, ValueError, OSError):
        pass
    name = _zones().get(text.lower())
    if name is not None:
        return name
    match = re.fullmatch(r"([-+]?)(\d{1,2}(?:\.\d+)?)(?::(\d\d))?", text)
    if match:
        # PostgreSQL's own sign: SET TIME ZONE 2 is two hours east, and shows as <+02>-02.
        sign, hours, minutes = match.groups()
        total = round(float(hours) * 60) + int(minutes or 0)
        east = total if sign != "-" else -total
        clock = f"{abs(east) // 60:02d}" + (f":{abs(east) % 60:02d}" if east % 60 else "")
        return f"<{'+' if east >= 0 else '-'}{clock}>{'-' if east >= 0 else '+'}{clock}"
    if re.fullmatch(r"<[-+][\d:]+>[-+]?[\d:]+|[A-Za-z]{3,}[-+]?\d{1,2}(:\d\d)?([A-Za-z]{3,}.*)?", text):
        return text
    raise SqlError("22023", f'invalid value for parameter "TimeZone": "{text}"')


def _client_encoding(guc: Guc, text: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", text.lower())
    if name in ("utf8", "unicode"):
        return "UTF8"
    if name in ("sqlascii",):
        return "SQL_ASCII"
    if name.startswith(
        ("latin", "win", "iso8859", "koi8", "euc", "big5", "gb", "sjis", "uhc", "johab", "shift", "mule")
    ):
        raise not_built(f"client encoding {text}")
    raise SqlError("22023", f'invalid value for parameter "client_encoding": "{text}"')


def _conforming(guc: Guc, text: str) -> str:
    if text != "on":
        raise not_built("standard_conforming_strings = off")
    return text


def _isolation(guc: Guc, text: str) -> str:
    if text == "serializable":
        raise no_serializable()
    return text


def _bounded_name(guc: Guc, text: str) -> str:
    """application_name: unprintable bytes read as question marks, 63 bytes at most."""
    return "".join(char if 32 <= ord(char) < 127 else "?" for char in text)[:63]


SPECIAL: dict[str, Callable[[Guc, str], str]] = {
    "TimeZone": _time_zone,
    "client_encoding": _client_encoding,
    "standard_conforming_strings": _conforming,
    "application_name": _bounded_name,
    "default_transaction_isolation": _isolation,
    "transaction_isolation": _isolation,
}


def parse_list(text: str) -> list[str]:
    """Names of a list such as search_path: folded unless quoted."""
    names: list[str] = []
    for quoted, plain in re.findall(r'"((?:[^"]|"")*)"|([^\s,"]+)', text):
        names.append(quoted.replace('""', '"') if not plain else plain.lower())
    return names


def join_list(guc: Guc, values: list[str]) -> str:
    """SET's list of arguments as one value."""
    if guc.name in QUOTED_LISTS:
        return ", ".join(quote_ident(value) if value else '""' for value in values)
    return ", ".join(values)


Values = dict[str, str]


class Settings:
    """One session's settings. The dictionaries are replaced, never changed, so that saving them costs nothing."""

    def __init__(self, defaults: Values, on_change: Callable[[str, str], None]) -> None:
        self._defaults = defaults
        self._session: Values = {}
        self._local: Values = {}
        self._saved: list[tuple[Values, Values]] = []
        self._on_change = on_change

    def get(self, name: str) -> str:
        """The value in force, canonical; 42704 when nobody knows the name (or no one set the custom one)."""
        guc = find(name)
        for values in (self._local, self._session, self._defaults):
            if guc.name in values:
                return values[guc.name]
        if not guc.listed and guc.category == "Customized Options":
            raise SqlError("42704", f'unrecognized configuration parameter "{name}"')
        return guc.boot

    def number(self, name: str) -> int:
        """An integer setting in its own unit."""
        return int(self.get(name))

    def flag(self, name: str) -> bool:
        """A Boolean setting."""
        return self.get(name) == "on"

    def show(self, name: str) -> str:
        """As SHOW prints it."""
        return shown(find(name), self.get(name))

    def source(self, name: str) -> str:
        """pg_settings.source."""
        if name in self._local or name in self._session:
            return "session"
        return "client" if name in self._defaults else "default"

    def reset_value(self, name: str) -> str:
        """What RESET goes back to."""
        guc = find(name)
        return self._defaults.get(guc.name, guc.boot)

    def custom(self) -> list[str]:
        """Names of the user's own settings."""
        names = {name for values in (self._defaults, self._session, self._local) for name in values if "." in name}
        return sorted(names)

    def checked(self, name: str, text: str) -> str:
        """The canonical form of a new value for the session."""
        guc = find(name)
        return check(guc, text, self._peek(guc))

    def set(self, name: str, text: str | None, *, local: bool = False) -> None:
        """SET (None: to the default)."""
        guc = find(name)
        _changeable(guc)
        value = self.reset_value(guc.name) if text is None else self.checked(name, text)
        before = self._peek(guc)
        if local:
            self._local = {**self._local, guc.name: value}
        else:
            session = {**self._session, guc.name: value}
            if text is None:
                del session[guc.name]
            self._session = session
            if guc.name in self._local:
                self._local = {key: kept for key, kept in self._local.items() if key != guc.name}
        self._tell(guc, before)

    def set_default(self, name: str, text: str, *, internal: bool = False) -> None:
        """A start-up option: the session's RESET value. `internal`: by the server itself, whatever the setting's context."""
        guc = find(name)
        if not internal:
            _changeable(guc)
        self._defaults = {**self._defaults, guc.name: check(guc, text)}

    def reset_all(self) -> None:
        """RESET ALL."""
        keep = {
            "transaction_isolation",
            "transaction_read_only",
            "transaction_deferrable",
            "role",
            "session_authorization",
            "seed",
        }
        self._restore(
            {key: value for key, value in self._session.items() if key in keep},
            {key: value for key, value in self._local.items() if key in keep},
        )

    def begin(self) -> None:
        """A transaction starts."""
        self._saved = [(self._session, self._local)]

    def savepoint(self) -> None:
        """A savepoint is set."""
        self._saved.append((self._session, self._local))

    def release(self, depth: int) -> None:
        """RELEASE: `depth` savepoints stay open."""
        del self._saved[depth + 1 :]

    def rollback_to(self, depth: int) -> None:
        """ROLLBACK TO the savepoint that is `depth`-th (from 1), which stays open."""
        del self._saved[depth + 1 :]
        self._restore(*self._saved[depth])

    def commit(self) -> None:
        """SET stays, SET LOCAL ends."""
        self._saved = []
        self._restore(self._session, {})

    def rollback(self) -> None:
        """Both end."""
        if self._saved:
            session = self._saved[0][0]
            self._saved = []
            self._restore(session, {})

    def _peek(self, guc: Guc) -> str:
        for values in (self._local, self._session, self._defaults):
            if guc.name in values:
                return values[guc.name]
        return guc.boot

    def _restore(self, session: Values, local: Values) -> None:
        names = {*self._session, *self._local, *session, *local}
        if not names:
            return
        before = {name: self._peek(find(name)) for name in names}
        self._session, self._local = session, local
        for name, value in before.items():
            self._tell(find(name), value)

    def _tell(self, guc: Guc, before: str) -> None:
        value = self._peek(guc)
        if value != before:
            self._on_change(guc.name, value)


def _changeable(guc: Guc) -> None:
    if guc.context == "internal":
        raise SqlError("55P02", f'parameter "{guc.name}" cannot be changed')
    if guc.context == "postmaster":
        raise SqlError("55P02", f'parameter "{guc.name}" cannot be changed without restarting the server')
    if guc.context == "sighup":
        raise SqlError("55P02", f'parameter "{guc.name}" cannot be changed now')
