"""What the main command's tables hold of records that the connector printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from source_microsoft_graph.streams.base import GraphStream
from tables.database import Database, column_type
from tables.received import Received
from tables.staging import ADDITIONAL_PROPERTIES
from tables.values import quoted

Row = Mapping[str, Any]
"""The values of a row by the columns of the record. What is JSON in the table is a Python value here."""


def loaded(stream: GraphStream, lines: Iterable[bytes]) -> list[Row]:
    """The rows of a stream's table, in a file of its own, after all that the connector printed was loaded."""
    catalogued = stream.as_airbyte_stream()
    declared = {
        "name": stream.name,
        "json_schema": catalogued.json_schema,
        "source_defined_primary_key": catalogued.source_defined_primary_key,
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        received = Received([stream.name], folder)
        received.receive(lines)
        with Database(folder / "tables.duckdb") as database:
            database.load(
                {"stream": declared, "sync_mode": "full_refresh"},
                received.file(stream.name),
                received.streams[stream.name],
                changes_only=False,
            )
        with duckdb.connect(str(folder / "tables.duckdb"), read_only=True) as connection:
            found = connection.sql(f"select * from {quoted(stream.name)}")
            names, values = found.columns, found.fetchall()
    kinds = {name: column_type(it) for name, it in stream.get_json_schema()["properties"].items()}
    return [_row(dict(zip(names, row, strict=True)), kinds) for row in values]


def _row(row: dict[str, Any], kinds: Mapping[str, str]) -> Row:
    """A value that did not fit its column is taken from the column of what has none."""
    others = json.loads(row.pop(ADDITIONAL_PROPERTIES) or "{}")
    values = {name: json.loads(it) if it and kinds[name] == "JSON" else it for name, it in row.items()}
    return {**{name: value for name, value in values.items() if value is not None}, **others}


def is_same(sent: Any, kept: Any) -> bool:
    """Whether a column holds the value that Graph sent. A time is kept to the microsecond."""
    if isinstance(sent, list) and isinstance(kept, list):
        return len(sent) == len(kept) and all(map(is_same, sent, kept))
    if isinstance(kept, datetime):
        return datetime.fromisoformat(sent).astimezone(UTC).replace(tzinfo=None) == kept
    if isinstance(kept, date):
        return date.fromisoformat(sent) == kept
    return (type(sent) is type(kept) and bool(sent == kept)) or (type(sent) is int and float(sent) == kept)
