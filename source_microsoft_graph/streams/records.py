"""Names and values: Graph's JSON objects become records with snake_case names at every depth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ACRONYM_THEN_WORD = re.compile(r"([A-Z]+)([A-Z][a-z])")
_WORD_THEN_CAPITAL = re.compile(r"([a-z\d])([A-Z])")
_EXTENSION = re.compile(r"(?![a-z][A-Za-z\d]*_v\d+$)[A-Za-z\d]+_\w")


def snake_case(name: str) -> str:
    """`userPrincipalName` → `user_principal_name`, `riskEventTypes_v2` → `risk_event_types_v2`."""
    return _WORD_THEN_CAPITAL.sub(r"\1_\2", _ACRONYM_THEN_WORD.sub(r"\1_\2", name)).lower()


def camel_case(name: str) -> str:
    """The inverse of `snake_case` for every property that is ever selected; a test holds it over the schemas."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def is_extension(name: str) -> bool:
    """Whether a property of an object is the tenant's own: a directory extension or a schema extension.

    Each has an underscore in its name, which differs from others' in case and underscores alone. Graph's own names have
    one only before the number of a version, as `riskEventTypes_v2`, or in names that are in snake_case already.
    https://learn.microsoft.com/graph/extensibility-overview
    """
    return _EXTENSION.match(name) is not None


def column_name(name: str) -> str:
    """The column of a property of an object."""
    return name if is_extension(name) else snake_case(name)


REMOVED = "@removed"
"""What a delta query puts on an object that is there no longer: https://learn.microsoft.com/graph/delta-query-overview"""


ambiguous: dict[str, list[str]] = {}
"""Columns that several names in one object would have become, with these names, the one that has the column first."""


class _Columns(dict[str, str]):
    """Graph's name → the column's, worked out once a name; empty for a name that is no column. With `keeps_extensions`
    the name of an extension stays as it is.

    `@odata.type` tells which kind of object a polymorphic list returned. Every other annotation describes the
    response rather than the object, and `@microsoft.graph.downloadUrl` carries a token.
    """

    def __init__(self, *, keeps_extensions: bool) -> None:
        self._keeps_extensions = keeps_extensions

    def __missing__(self, name: str) -> str:
        if name == "@odata.type":
            column = "odata_type"
        elif name == REMOVED:
            column = REMOVED
        elif "@" in name:
            column = ""
        else:
            column = column_name(name) if self._keeps_extensions else snake_case(name)
        self[name] = column
        return column


_columns = _Columns(keeps_extensions=True)
_inner = _Columns(keeps_extensions=False)
"""The names inside objects: what has an underscore there is no extension but, say, a custom security attribute."""


def to_record(
    entity: Mapping[str, Any], parents: Mapping[str, str] | None = None, columns: _Columns = _columns
) -> dict[str, Any]:
    """One Graph object as a record: names in snake_case, annotations dropped, values as Graph sent them. Extensions
    keep their names, and so do the properties inside them.

    `parents` are the owner's ids, whose columns always hold these. Where two names would become one column, `id` has it
    or else the first of them, and each other one keeps its own name, or where that is the column's, gets a new one.
    """
    record: dict[str, Any] = {}
    annotations = 0
    for name, value in entity.items():
        column = columns[name]
        if not column:
            annotations += 1
        else:
            # Most values are neither, and a call for each would cost a quarter of the whole.
            kind = type(value)
            if kind is dict:
                is_kept = "_" in name and columns is _columns and is_extension(name)
                value = _without_annotations(value) if is_kept else to_record(value, None, _inner)
            elif kind is list:
                value = _items(value)
            record[column] = value
    if len(record) + annotations < len(entity):
        _keep_apart(record, entity, columns)
    if parents:
        _put_parents(record, entity, parents)
    return record


def _items(values: list[Any]) -> list[Any]:
    return [
        to_record(item, None, _inner) if type(item) is dict else _items(item) if type(item) is list else item
        for item in values
    ]


def _without_annotations(extension: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a schema extension, none of which is an object."""
    return {name: value for name, value in extension.items() if "@" not in name}


def _keep_apart(record: dict[str, Any], entity: Mapping[str, Any], columns: _Columns) -> None:
    """Give each column the value of the name that comes first, `id` before all, and the others names of their own."""
    holders: dict[str, str] = {"id": "id"} if "id" in entity else {}
    for name, value in entity.items():
        column = columns[name]
        if column and holders.setdefault(column, name) != name:
            record[_own_name(name, column)] = _plain(value)
            _note(column, holders[column], name)
    for column in ambiguous.keys() & holders.keys():
        record[column] = _plain(entity[holders[column]])


def _put_parents(record: dict[str, Any], entity: Mapping[str, Any], parents: Mapping[str, str]) -> None:
    """A property of the same column keeps its own name, unless it says the same or nothing."""
    for column, identifier in parents.items():
        if record.get(column) not in (None, identifier):
            name = next(name for name in entity if _columns[name] == column)
            record[_own_name(name, column)] = record[column]
            _note(column, "the owner's id", name)
    record.update(parents)


def _note(column: str, holder: str, name: str) -> None:
    if name not in ambiguous.setdefault(column, [holder]):
        ambiguous[column].append(name)


def _own_name(name: str, column: str) -> str:
    """What a property becomes whose column another one has."""
    return name if name != column else f"{column}_of_graph"


def _plain(value: Any) -> Any:
    return to_record(value, None, _inner) if type(value) is dict else _items(value) if type(value) is list else value
