"""Typed tables in a DuckDB file.

Scalars get a column of their own type and lists of scalars a list of it. Objects, and lists of them, are JSON: Graph's
types are open, so what an object holds grows without notice, and JSON neither loses the new nor has to be altered
for it. `"from"->>'$.email_address.address'` reads out of one.

The schema `sync` holds what is known of the last read: `sync.streams` and, for the next one, `sync.state`. State is
written together with the rows it stands for, so that one never runs ahead of the other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from tables.reading import StreamSoFar

DELETED_AT = "_ab_cdc_deleted_at"
"""By Airbyte's convention, a record with a value here says that the row is gone."""

_TYPES = {"boolean": "BOOLEAN", "integer": "BIGINT", "number": "DOUBLE", "string": "VARCHAR"}
_FORMATS = {"date-time": "TIMESTAMPTZ", "date": "DATE"}
_LONGEST_LINE = 16 * 1024 * 1024
"""Bytes that DuckDB's reader expects of a line at most, unless told otherwise."""


def column_type(schema: Mapping[str, Any]) -> str:
    """DuckDB's type for a property of a JSON schema."""
    types = schema.get("type", "object")
    (kind, *_) = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    if kind == "array":
        items = column_type(schema.get("items", {}))
        return "JSON" if items == "JSON" else f"{items}[]"
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), "VARCHAR")
    return _TYPES.get(kind, "JSON")


class Database:
    """The file, held open for writing from before the read: a second run would wait for the first in vain."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Nothing is fetched: what is needed of DuckDB's extensions is part of the package.
        self._connection = duckdb.connect(
            str(file), config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        )
        self._connection.execute(
            """
            create schema if not exists sync;
            create table if not exists sync.streams
                (stream varchar primary key, status varchar, read_at timestamptz, records bigint, skipped bigint);
            create table if not exists sync.state (stream varchar primary key, state json);
            """
        )

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def filled(self) -> set[str]:
        """The tables that hold anything."""
        found = self._connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'main' and estimated_size > 0"
        )
        return {name for (name,) in found.fetchall()}

    def state(self, streams: Collection[str]) -> list[dict[str, Any]]:
        """Where the last reads of these streams ended, as the connector takes it."""
        found = self._connection.execute("select stream, state from sync.state").fetchall()
        return [json.loads(state) for stream, state in found if stream in streams]

    def load(self, configured: Mapping[str, Any], lines: Path, read: StreamSoFar, *, changes_only: bool) -> None:
        """Bring the table up to date with the records of a read, the last one of a key winning.

        Only a complete read of everything replaces the table. Changes alone, or what there is of a read that failed,
        are written over what is there.
        """
        stream = configured["stream"]
        name, key = stream["name"], [path[0] for path in stream.get("source_defined_primary_key") or ()]
        columns = {name: column_type(schema) for name, schema in stream["json_schema"]["properties"].items()}
        self._stage(columns, lines, read.longest)
        self._connection.execute("begin")
        try:
            self._bring_up_to_date(name, key, columns, keeps=changes_only or not read.is_complete)
            self._note(read, is_resumable=configured["sync_mode"] == "incremental")
            self._connection.execute("commit")
        except BaseException:
            self._connection.execute("rollback")
            raise
        finally:
            self._connection.execute("drop table staged")

    def _stage(self, columns: Mapping[str, str], lines: Path, longest: int) -> None:
        """The records in a table of their own, in the order they were read."""
        data = ", ".join(f"{_quoted(name)} {kind}" for name, kind in columns.items())
        self._connection.execute(
            f"""
            create or replace temp table staged as select unnest(record.data) from read_json(
                ?, format = 'newline_delimited', columns = {{record: $type$struct(data struct({data}))$type$}},
                maximum_object_size = {max(longest, _LONGEST_LINE)})
            """,
            [str(lines)],
        )

    def _bring_up_to_date(self, name: str, key: Sequence[str], columns: Mapping[str, str], *, keeps: bool) -> None:
        table, by, deleted_at = _quoted(name), ", ".join(map(_quoted, key)), _quoted(DELETED_AT)
        last = f"rowid in (select max(rowid) from staged group by {by})" if key else "true"
        tells_deletions, run = DELETED_AT in columns, self._connection.execute
        if not keeps:
            run(f"drop table if exists {table}")
        self._make(name, {column: kind for column, kind in columns.items() if column != DELETED_AT}, key)
        insert = f"insert {'or replace ' if key and keeps else ''}into {table} by name"
        if not tells_deletions:
            run(f"{insert} select * from staged where {last}")
            return
        run(f"{insert} select * exclude {deleted_at} from staged where {last} and {deleted_at} is null")
        if key:
            gone = f"select {by} from staged where {last} and {deleted_at} is not null"
            run(f"delete from {table} where ({by}) in ({gone})")

    def _make(self, name: str, columns: Mapping[str, str], key: Sequence[str]) -> None:
        parts = [f"{_quoted(column)} {kind}" for column, kind in columns.items()]
        if key:
            parts.append(f"primary key ({', '.join(map(_quoted, key))})")
        self._connection.execute(f"create table if not exists {_quoted(name)} ({', '.join(parts)})")
        for column, kind in columns.items():
            self._connection.execute(f"alter table {_quoted(name)} add column if not exists {_quoted(column)} {kind}")

    def _note(self, read: StreamSoFar, *, is_resumable: bool) -> None:
        self._connection.execute(
            "insert or replace into sync.streams values (?, ?, now(), ?, ?)",
            [read.name, read.status, read.records, read.skipped],
        )
        # A full refresh ends with a state too, one that says nothing. An older one goes on from before it: changes that
        # are in the table already are written once more.
        if is_resumable and read.state is not None:
            self._connection.execute(
                "insert or replace into sync.state values (?, ?)", [read.name, json.dumps(read.state)]
            )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
