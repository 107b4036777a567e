"""SQL that turns the values of a record into those of the columns, and finds the values that do not fit.

Graph's published types say what a property holds, and now and then a tenant sends something else: `""` for a date, a
text for a list, a number that no 64-bit integer holds. There are two ways to convert. `strict` costs next to nothing
and raises an error for most of these values; `doubtful` finds the rest. `lenient` looks at each value by itself and
gives null for one that does not fit, and `misfit` tells that it did so.
"""

from __future__ import annotations

FIRST_TIME, LAST_TIME = "TIMESTAMP '0001-01-01'", "TIMESTAMP '9999-12-31 23:59:59.999999'"
"""The first and the last time that a Python datetime, and most other programs, can hold. Graph sends both: .NET's zero
for "never" or "always", and the last second of the year 9999 for "no end"."""

_READ_AS = {"BIGINT": "VARCHAR", "DOUBLE": "VARCHAR", "BOOLEAN": "VARCHAR"}
_NOT_A = {
    "BIGINT": "not a whole number of 64 bits",
    "DOUBLE": "not a number",
    "BOOLEAN": "not true or false",
    "TIMESTAMP": "not a date and time",
    "DATE": "not a date",
}


def read_as(kind: str) -> str:
    """The type that DuckDB's JSON reader is asked for, so that `strict` can convert from it.

    The reader would round 1.5 to an integer, take `true` for 1 and 2 for `true`, and ignore the offset of a time.
    """
    return _READ_AS.get(kind, kind.replace("TIMESTAMP", "TIMESTAMPTZ"))


def strict(value: str, kind: str) -> str:
    """The column's value from one of the type `read_as`. Raises a `duckdb.Error` for most values that do not fit."""
    if kind == "BIGINT":
        return f"if(contains({value}, '.'), error('a fraction'), {value}::BIGINT)"
    if kind == "TIMESTAMP":
        # The same as a cast in a session whose time zone is UTC, in a twentieth of the time.
        return f"if(not isfinite({value}), error('no finite time'), make_timestamp(epoch_us({value})))"
    return value if read_as(kind) == kind else f"{value}::{kind}"


def doubtful(column: str, kind: str) -> str | None:
    """An aggregate: whether a column that `strict` wrote may hold a value that does not fit; None if it cannot."""
    if kind == "VARCHAR":
        # A CASE is evaluated for the rows that it is about, and both sides of an AND for all rows.
        is_json = f"case when prefix({column}, '{{') or prefix({column}, '[') then json_valid({column}) end"
        return f"bool_or({is_json})"
    if kind in ("TIMESTAMP", "DATE"):
        return f"min({column}) < {FIRST_TIME} or max({column}) > {LAST_TIME}"
    return None


def lenient(value: str, kind: str) -> str:
    """The column's value from a JSON value; null if it does not fit. A text column takes whatever it is as a text."""
    as_text = f"({value}->>'$')"
    if kind == "JSON":
        return value
    if kind == "VARCHAR":
        return as_text
    if kind.endswith("[]"):
        return f"json_transform({value}, '[\"{read_as(kind).removesuffix('[]')}\"]')::{kind}"
    fits = "true"
    if kind == "BIGINT":
        fits = (
            f"json_type({value}) <> 'BOOLEAN' and try_cast({as_text} as DOUBLE) = trunc(try_cast({as_text} as DOUBLE))"
        )
    if kind == "DOUBLE":
        fits = f"json_type({value}) <> 'BOOLEAN'"
    if kind in ("TIMESTAMP", "DATE"):
        time = f"try_cast({as_text} as {read_as(kind)})::{kind}"
        fits = f"json_type({value}) = 'VARCHAR' and {time} between {FIRST_TIME} and {LAST_TIME}"
        return f"case when {fits} then {time} end"
    return f"case when {fits} then try_cast({as_text} as {kind}) end"


def misfit(value: str, kind: str) -> str:
    """Whether a JSON value does not fit a column: `lenient` makes it null, in part null, or a text that is JSON."""
    if kind == "JSON":
        return "false"
    if kind == "VARCHAR":
        return f"coalesce(json_type({value}) in ('OBJECT', 'ARRAY'), false)"
    if kind.endswith("[]"):
        kept = f"list_count({lenient(value, kind)})"
        whole = f"json_type({value}) = 'ARRAY' and {kept} = list_count(json_transform({value}, '[\"JSON\"]'))"
        return f"{value} is not null and not coalesce({whole}, false)"
    return f"{value} is not null and {lenient(value, kind)} is null"


def reason(kind: str) -> str:
    """What the values are that `misfit` finds, after "3 values are ..."."""
    if kind == "VARCHAR":
        return "not a text"
    return "not a list of the column's type" if kind.endswith("[]") else _NOT_A[kind]


def quoted(name: str) -> str:
    """The name of a table or a column in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"
