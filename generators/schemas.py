"""The schema of a stream, made from the published types and the additions to them.

Every property of a type is a column that may be null, in snake_case. An object is open and has the columns of its type.
Inside an object of its own type it has none, so that every schema ends. Each schema has an `id`, whatever Graph calls
that of the objects. Properties of the type Stream and navigation properties are left out, because a list does not
return them; the additions name the exceptions. `id` and the ids of the parents come first; the other columns follow in
alphabetical order, at every depth.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulated_tenant import additions, graph_types
from simulated_tenant.catalogue import STREAM_TYPES
from simulated_tenant.graph_types import PropertyType
from source_microsoft_graph.streams.records import snake_case
from unit_tests.roll import every_stream

ADDITIONS = "simulated_tenant/additions.py"
"""The file that says what Graph sends beside the published types."""

FOLDER = Path(__file__).parent.parent / "source_microsoft_graph" / "schemas"

Schema = dict[str, Any]

_TYPE_MARK = "@odata.type"
_HEAD: Schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": True}
_TEXT: Schema = {"type": ["null", "string"]}
_INTEGER: Schema = {"type": ["null", "integer"]}
_NUMBER: Schema = {"type": ["null", "number"]}
_PARENT: Schema = {"type": "string"}
_SCALARS: Mapping[str, Schema] = {
    "Binary": _TEXT,
    "Boolean": {"type": ["null", "boolean"]},
    "Byte": _INTEGER,
    "Date": {**_TEXT, "format": "date"},
    "DateTimeOffset": {**_TEXT, "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    "Decimal": _NUMBER,
    "Double": _NUMBER,
    "Duration": _TEXT,
    "Guid": _TEXT,
    "Int16": _INTEGER,
    "Int32": _INTEGER,
    "Int64": _INTEGER,
    "SByte": _INTEGER,
    "Single": _NUMBER,
    "String": _TEXT,
    "TimeOfDay": _TEXT,
}
_KEYWORDS = ("$schema", "type", "format", "airbyte_type", "additionalProperties", "properties", "items", "select")


class NoSchema(ValueError):
    """No schema can be made of the types as they are published."""


def type_of(stream: str) -> str | None:
    """The type that the simulated tenant gives the objects of a stream; None for a stream that it does not have."""
    return stream if stream in additions.MADE else STREAM_TYPES.get(stream)


def parents_of(stream: str) -> tuple[str, ...] | None:
    """The columns that hold the ids of what the objects belong to; None for a stream that is not on the roll."""
    return next((one.key_columns for one in every_stream() if one.name == stream), None)


def file_of(stream: str) -> Path:
    return FOLDER / f"{stream}.json"


def schema(list_type: str, parents: Collection[str] = ()) -> Schema:
    """The schema of a stream that lists objects of this type, with a column for the id of each parent."""
    objects = _Objects(list_type)
    columns = objects.columns(listed_properties(list_type))
    for name, mark in marks(list_type).items():
        columns[snake_case(name)]["select"] = mark
    if list_type not in additions.MADE:
        # Every record has an id, whatever Graph calls that of the object.
        columns |= {"id": dict(_TEXT), "odata_type": dict(_TEXT)}
    columns |= {parent: dict(_PARENT) for parent in parents}
    return in_order({**_HEAD, "properties": {**dict.fromkeys(parents), **columns}})


def without_derived(list_type: str) -> dict[str, int]:
    """The types inside the objects of a list of which nobody has said which derived types Graph sends, with the number
    of those that there are."""
    return dict(_Objects(list_type).undecided(listed_properties(list_type)))


def marks(list_type: str) -> dict[str, str]:
    """The properties that `$select` may fail on, or must not name, each with the mark of its column."""
    if list_type not in additions.SELECTED:
        return {}
    selectable = set(graph_types.properties(list_type)) - set(additions.UNASKED.get(list_type, ()))
    never = dict.fromkeys(set(listed_properties(list_type)) - selectable, "never")
    return {**never, **additions.SELECT.get(list_type, {})}


def listed_properties(list_type: str) -> dict[str, PropertyType]:
    """The properties that a list of this type can return, by the name that Graph gives them."""
    if list_type in additions.MADE:
        return dict(additions.MADE[list_type])
    listed: dict[str, PropertyType] = {}
    for type_name in objects_of(list_type):
        own = {**graph_types.properties(type_name), **additions.undeclared(list_type, type_name)}
        left_out = {*additions.NOT_LISTED.get(type_name, ()), *additions.NOT_LISTED.get(list_type, ())}
        if list_type == "directoryObject":
            left_out |= set(own) - additions.MEMBER_USER if type_name == "user" else _not_of_members(type_name)
        _merge(listed, {name: kind for name, kind in own.items() if name not in left_out}, type_name)
    return {**listed, **additions.EXPANDED.get(list_type, {})}


def _not_of_members(type_name: str) -> frozenset[str]:
    return additions.MEMBER_ON_SELECT.union(additions.UNASKED.get(type_name, ()))


def objects_of(list_type: str) -> list[str]:
    """The types of the objects in a list: its own, and those named beside it or derived from an abstract one."""
    graph_types.properties(list_type)  # Raises UnknownType.
    derived = graph_types.derived(list_type) if graph_types.is_abstract(list_type) else ()
    return [list_type, *additions.ALSO_LISTED.get(list_type, derived)]


@dataclass(frozen=True)
class _Objects:
    """The objects of a list of one type, which decides about the additions at every depth inside them."""

    list_type: str

    def columns(self, properties: Mapping[str, PropertyType], above: tuple[str, ...] = ()) -> Schema:
        """The columns of an object with these properties. `above` are the types inside which it lies, the outermost
        first, its own the last; none for the objects of the list."""
        columns: Schema = {}
        names: dict[str, str] = {}
        for name, kind in properties.items():
            if kind != "Stream":
                column = "odata_type" if name == _TYPE_MARK else snake_case(name)
                if names.setdefault(column, name) != name:
                    raise NoSchema(f"{name} and {names[column]} both become the column {column}.")
                columns[column] = self._column(kind, name, above)
        return columns

    def _column(self, kind: PropertyType, name: str, above: tuple[str, ...]) -> Schema:
        if isinstance(kind, list):
            return {"type": ["null", "array"], "items": self._column(kind[0], name, above)}
        if kind == additions.OBJECT or graph_types.is_type(kind):
            ends = kind == additions.OBJECT or kind in above
            inner = {} if ends else self.columns(self._inside(kind, name, above), (*above, kind))
            return {"type": ["null", "object"], "additionalProperties": True} | ({"properties": inner} if inner else {})
        return scalar(kind)

    def _inside(self, kind: str, name: str, above: tuple[str, ...]) -> dict[str, PropertyType]:
        """The properties of the objects that are the value of a property: those of its type, of the types derived from
        that which occur in it, and what the types do not declare."""
        inside: dict[str, PropertyType] = {}
        where = (self.list_type, self._owner(above), name, kind)
        for type_name in (kind, *additions.derived(*where)):
            _merge(inside, graph_types.properties(type_name), type_name)
            inside |= additions.undeclared(self.list_type, type_name)
        return inside | ({_TYPE_MARK: "String"} if additions.is_marked(*where) else {})

    def _owner(self, above: tuple[str, ...]) -> str:
        """The type of the objects that have a property inside those types."""
        return above[-1] if above else self.list_type

    def undecided(
        self, properties: Mapping[str, PropertyType], above: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, int]]:
        """Every type of a value that is not abstract and has derived types, unless the additions name some."""
        for name, kinds in properties.items():
            kind = kinds[0] if isinstance(kinds, list) else kinds
            if graph_types.is_type(kind) and kind not in above:
                derived = () if graph_types.is_abstract(kind) else graph_types.derived(kind)
                if derived and additions.named(self.list_type, self._owner(above), name, kind) is None:
                    yield kind, len(derived)
                yield from self.undecided(self._inside(kind, name, above), (*above, kind))


def scalar(kind: str) -> Schema:
    """The schema of a value that is no object: an Edm type, or an enum, whose values are text."""
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    if graph_types.enum_members(kind) is None:
        raise NoSchema(
            f"There is no rule for columns of the type {kind}; generators/schemas.py has those that there are."
        )
    return dict(_TEXT)


def _merge(properties: dict[str, PropertyType], more: Mapping[str, PropertyType], type_name: str) -> None:
    for name, kind in more.items():
        if kind != "Stream" and not _alike(properties.setdefault(name, kind), kind):
            raise NoSchema(f"{name} is a {kind} in {type_name}, and a {properties[name]} elsewhere in the same column.")


def _alike(one: PropertyType, other: PropertyType) -> bool:
    """Whether values of both types fit in one column."""
    if isinstance(one, list) and isinstance(other, list):
        return _alike(one[0], other[0])
    if one == other or isinstance(one, list) or isinstance(other, list):
        return one == other
    if additions.OBJECT in (one, other) or graph_types.is_type(one) or graph_types.is_type(other):
        return False
    return scalar(one) == scalar(other)


def in_order(schema: Schema) -> Schema:
    """A schema with its keywords and columns in the order that all files have: `id` and the parents' ids, which alone
    are never null, at the head, the parents as they stand; everything else by its name."""
    columns: Schema = _sorted(schema)["properties"]
    parents = [name for name, column in schema["properties"].items() if columns[name] == _PARENT]
    own = "id" if "id" in columns else next(iter(schema["properties"]))
    head = [own, *parents]
    return {**_sorted(schema), "properties": {name: columns[name] for name in dict.fromkeys((*head, *columns))}}


def _sorted(node: Mapping[str, Any]) -> Schema:
    ordered = {keyword: node[keyword] for keyword in sorted(node, key=_rank)}
    if "properties" in node:
        ordered["properties"] = {name: _sorted(node["properties"][name]) for name in sorted(node["properties"])}
    if "items" in node:
        ordered["items"] = _sorted(node["items"])
    return ordered


def _rank(keyword: str) -> int:
    return _KEYWORDS.index(keyword) if keyword in _KEYWORDS else len(_KEYWORDS)


def text(schema: Schema) -> str:
    """The content of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def text_in_order(file: Path) -> str:
    """What a schema's file holds, with its keywords and columns in order."""
    return text(in_order(json.loads(file.read_text(encoding="utf-8"))))


def differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """One line for each column that only one of two schemas has, or that has another type or mark, at any depth."""
    if _itself(before) != _itself(after):
        yield f"changed {path}: {json.dumps(_itself(before))} → {json.dumps(_itself(after))}"
    old, new = before.get("properties", {}), after.get("properties", {})
    for name in sorted({*old, *new}):
        column = f"{path}.{name}" if path else name
        if name not in new:
            yield f"dropped {column}: {json.dumps(old[name])}"
        elif name not in old:
            yield f"added {column}"
        else:
            yield from differences(old[name], new[name], column)
    if "items" in before and "items" in after:
        yield from differences(before["items"], after["items"], f"{path}[]")


def _itself(node: Mapping[str, Any]) -> Schema:
    return {keyword: value for keyword, value in node.items() if keyword not in ("properties", "items")}
