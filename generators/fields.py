"""Whether each field of objects as Graph sends them has a column.

    python -m generators.fields FOLDER

FOLDER holds a file STREAM.jsonl for each stream, with one object of Graph in each line. Every object is read through
the connector, from a Graph that lists it alone. Each field that is not in the record or that no schema names is printed
once a stream. Then all objects are read from a Graph that lists them in one page, and loaded into a table by the main
command's loading: an object without a row is printed, and each field whose value is neither in its column, inside a
JSON column nor in the column of what has none. An object without an id gets one, for Graph's lists always return it.
The exit code is 1 if a table with the columns of the schema would lose a field, other than an extension of the tenant's
own, which only that tenant knows, or if the main command's table lost anything.

A table has a column for each property of a stream's schema. Objects are JSON there, and keep what lies inside them with
or without a schema. Annotations (`@odata.etag`, `members@delta`) describe the response and are no fields. A record may
leave out what is null.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import orjson
import requests_mock
from airbyte_cdk.models import AirbyteMessageSerializer

from generators.loading import is_same, loaded
from simulated_tenant import additions
from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.config.configuration import SPEC, Config
from source_microsoft_graph.read.chunks import Chunk
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.records import column_name, is_extension, snake_case
from source_microsoft_graph.streams.report import ReportStream
from source_microsoft_graph.sync.context import Sync
from unit_tests.graph_api import CONFIG, FakeGraph, a_catalog, read, rows

Object = Mapping[str, Any]

# https://learn.microsoft.com/graph/extensibility-overview
_EXTENSION = re.compile(r"extension_[0-9A-Fa-f]{32}_\w+|ext[0-9a-z]{8}_\w+")
_CONFIG = {**CONFIG, "extra_user_properties": SPEC["properties"]["extra_user_properties"]["items"]["enum"]}
_SYNC = Sync(Config.parse(_CONFIG), logging.getLogger("airbyte"))
ROLL = {
    stream.name: stream
    for stream in (stream_class(_SYNC) for stream_class in STREAMS)
    # A report is a file, whose columns are kept whether they are known or not.
    if stream.name not in additions.MADE and not isinstance(stream, ReportStream)
}
"""Every stream whose records are Graph's objects by its name, for a configuration that leaves no column out."""
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class Finding(Enum):
    """What can be said of a field."""

    LOST = "is not in the record"
    NOT_LOADED = "is not in the table"
    NO_COLUMN = "has no column"
    OTHER_TYPE = "is of another type than its column"
    UNNAMED = "is kept inside a JSON column, but no schema names it"
    EXTENSION = "is an extension of the tenant's own, which no schema can name"

    @property
    def loses_data(self) -> bool:
        return self in (Finding.LOST, Finding.NOT_LOADED, Finding.NO_COLUMN, Finding.OTHER_TYPE)


@dataclass(frozen=True)
class Field:
    """A field, by Graph's names: `conditions.users.includeUsers[]`."""

    path: str
    finding: Finding

    def __str__(self) -> str:
        return f"{self.path} {self.finding.value}"


def findings(stream: str, sent: Object) -> list[Field]:
    """What is to be said of the fields of one object of the stream; nothing of those that have their column."""
    own = _own_fields(stream, sent)
    return list(_of_object(own, record_of(stream, own), ROLL[stream].get_json_schema(), ""))


def _own_fields(stream: str, sent: Object) -> Object:
    """Without those that repeat a parent's id: the column holds the id by which the parent was listed."""
    return {name: value for name, value in sent.items() if snake_case(name) not in ROLL[stream].parent_columns}


def record_of(stream: str, sent: Object) -> Object:
    """The record that the connector makes of an object; empty if it makes none. An object without an id gets one: a
    list always returns it, and what was recorded by another `$select` may lack it."""
    with _listed(stream, [{"id": "the-id", **sent}]):
        return next(iter(rows(read(stream, config=_CONFIG), stream)), {})


@contextmanager
def _listed(stream: str, objects: Sequence[Object]) -> Iterator[None]:
    """A Graph that lists these objects of the stream in one page, for the first of its owners if it has some."""
    with requests_mock.Mocker() as mocker:
        graph = FakeGraph(mocker)
        path, *others = graph.holds_owners_of(ROLL[stream])
        for other in others:
            graph.lists(other, [])
        graph.lists(path, objects)
        for listing in (path, *others):
            if listing.endswith("/contacts"):
                graph.lists(listing.removesuffix("s") + "Folders", [])
        yield


def not_loaded(stream: str, objects: Sequence[Object]) -> list[Field]:
    """What the main command's table of the stream lacks of these objects."""
    own = [_own_fields(stream, sent) for sent in objects]
    return [field for batch in _with_different_ids(own) for field in _not_in_table(stream, batch)]


def _with_different_ids(objects: Sequence[Object]) -> Iterator[list[Object]]:
    """The objects in as few reads as have no id twice: a table has one row for an id."""
    batches: list[dict[str, Object]] = []
    for number, sent in enumerate(objects, 1):
        identified = {"id": f"the-id-of-object-{number}", **sent}
        batch = next((batch for batch in batches if identified["id"] not in batch), None)
        if batch is None:
            batches.append(batch := {})
        batch[identified["id"]] = identified
    return (list(batch.values()) for batch in batches)


def _not_in_table(stream: str, objects: Sequence[Object]) -> Iterator[Field]:
    with _listed(stream, objects):
        table = {row["id"]: row for row in loaded(ROLL[stream], _printed(stream))}
    for sent in objects:
        row = table.get(sent["id"])
        if row is None:
            yield Field(f"object {sent['id']}", Finding.NOT_LOADED)
            continue
        for name, value in sent.items():
            if value is not None and ("@" not in name or name == "@odata.type"):
                yield from _not_in_row(value, row.get(_column(name, "")), name)


def _not_in_row(sent: Any, kept: Any, path: str) -> Iterator[Field]:
    """Inside objects the fields have the names of columns. A text column holds what is no text as JSON."""
    if isinstance(kept, str) and not isinstance(sent, str):
        kept = _from_json(kept)
    if isinstance(sent, dict) and isinstance(kept, dict):
        for field in _of_object(sent, kept, {}, path):
            yield Field(field.path, Finding.NOT_LOADED)
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for item, kept_item in zip(sent, kept, strict=True):
            yield from _not_in_row(item, kept_item, f"{path}[]")
    elif not is_same(sent, kept):
        yield Field(path, Finding.NOT_LOADED)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _printed(stream: str) -> Iterator[bytes]:
    """The lines that the connector prints in a full refresh of the stream."""
    catalog = a_catalog(stream)
    for item in SourceMicrosoftGraph().read_chunks(logging.getLogger("airbyte"), _CONFIG, catalog):
        if isinstance(item, Chunk):
            yield from item.lines.splitlines(keepends=True)
        else:
            yield orjson.dumps(AirbyteMessageSerializer.dump(item))


def _of_object(
    sent: Mapping[str, Any], kept: Mapping[str, Any], schema: Mapping[str, Any], path: str
) -> Iterator[Field]:
    """`schema` is that of the object; without properties it says nothing of what lies inside."""
    columns = schema.get("properties")
    for name, value in sent.items():
        if "@" in name and name != "@odata.type":
            continue
        column = _column(name, path)
        where = f"{path}.{name}" if path else name
        if columns is not None and column not in columns:
            yield Field(where, _without_column(name, path))
        if value is not None and column not in kept:
            yield Field(where, Finding.LOST)
        elif value is not None:
            yield from _of_value(value, kept[column], (columns or {}).get(column, {}), where)


def _column(name: str, path: str) -> str:
    if name == "@odata.type":
        return "odata_type"
    # What is inside a schema extension keeps its name.
    return column_name(name) if not path else name if is_extension(path.partition(".")[0]) else snake_case(name)


def _without_column(name: str, path: str) -> Finding:
    if path:
        return Finding.UNNAMED
    return Finding.EXTENSION if _EXTENSION.fullmatch(name) else Finding.NO_COLUMN


def _of_value(sent: Any, kept: Any, schema: Object, path: str) -> Iterator[Field]:
    if schema and sent is not None and not _fits(sent, schema):
        yield Field(path, Finding.OTHER_TYPE)
    if isinstance(sent, dict) and isinstance(kept, dict):
        yield from _of_object(sent, kept, schema, path)
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for item, kept_item in zip(sent, kept, strict=True):
            yield from _of_value(item, kept_item, schema.get("items", {}), f"{path}[]")
    elif sent != kept:
        yield Field(path, Finding.LOST)


def _fits(value: Any, schema: Object) -> bool:
    kind = _JSON_TYPES[type(value)]
    return kind in schema["type"] or (kind == "integer" and "number" in schema["type"])


def objects_in(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args(arguments).folder
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        parser.error(f"{folder} holds no file STREAM.jsonl")
    if unknown := sorted({file.stem for file in files} - set(ROLL)):
        parser.error(f"there is no stream {', '.join(unknown)}")
    found: set[Finding] = set()
    with _without_logs():
        for file in files:
            objects = objects_in(file)
            of_records = {field for sent in objects for field in findings(file.stem, sent)}
            fields = sorted(of_records.union(not_loaded(file.stem, objects)), key=str)
            without = sum("id" not in sent for sent in objects)
            noted = f", {without} without an id" if without else ""
            print(f"{file.stem}: {len(objects)} objects{noted}" + "".join(f"\n  {field}" for field in fields))
            found |= {field.finding for field in fields}
    return 1 if any(finding.loses_data for finding in found) else 0


@contextmanager
def _without_logs() -> Iterator[None]:
    """Each read writes its log to stdout."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


if __name__ == "__main__":
    sys.exit(main())
