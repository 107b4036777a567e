"""Names and values: Graph's JSON objects become records with snake_case names at every depth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ACRONYM_THEN_WORD = re.compile(r"([A-Z]+)([A-Z][a-z])")
_WORD_THEN_CAPITAL = re.compile(r"([a-z\d])([A-Z])")


def snake_case(name: str) -> str:
    """`userPrincipalName` → `user_principal_name`, `riskEventTypes_v2` → `risk_event_types_v2`."""
    return _WORD_THEN_CAPITAL.sub(r"\1_\2", _ACRONYM_THEN_WORD.sub(r"\1_\2", name)).lower()


def camel_case(name: str) -> str:
    """The inverse of `snake_case` for every property that is ever selected; a test holds it over the schemas."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


REMOVED = "@removed"
"""What a delta query puts on an object that is there no longer: https://learn.microsoft.com/graph/delta-query-overview"""


class _Columns(dict[str, str]):
    """Graph's name → the column's, worked out once a name; empty for a name that is no column.

    `@odata.type` tells which kind of object a polymorphic list returned. Every other annotation describes the
    answer rather than the object, and `@microsoft.graph.downloadUrl` carries a token.
    """

    def __missing__(self, name: str) -> str:
        if name == "@odata.type":
            column = "odata_type"
        elif name == REMOVED:
            column = REMOVED
        elif "@" in name:
            column = ""
        else:
            column = snake_case(name)
        self[name] = column
        return column


_columns = _Columns()


def to_record(entity: Mapping[str, Any]) -> dict[str, Any]:
    """One Graph object as a record: names in snake_case, annotations dropped, values as Graph sent them."""
    columns = {}
    for name, value in entity.items():
        column = _columns[name]
        if column:
            # Most values are neither, and a call for each would cost a quarter of the whole.
            kind = type(value)
            if kind is dict:
                value = to_record(value)
            elif kind is list:
                value = _items(value)
            columns[column] = value
    return columns


def _items(values: list[Any]) -> list[Any]:
    return [to_record(item) if type(item) is dict else _items(item) if type(item) is list else item for item in values]
