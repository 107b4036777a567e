"""Typed tables in a DuckDB file.

A scalar has a column of its type, and a list of scalars has a column of lists. Objects and lists of objects are JSON:
Graph adds properties to its types at any time, and a JSON column keeps a new property without being altered.
`"from"->>'$.email_address.address'` reads a property of one.

The schema `sync` describes the last read: `sync.streams` has its result and `sync.state` has the state that the next
incremental read starts from. A stream's rows and its state are written in one transaction: a state without its rows
would make the next read leave those rows out.

The loading is written by hand on purpose. DuckDB parses and converts the records itself, so a library that loads
records would add only a second pass over each of them in Python, and it would decide when a transaction ends.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from tables.received import ReceivedStream

DELETED_AT = "_ab_cdc_deleted_at"
"""By Airbyte's convention, a record with a value in this column means that the object was deleted."""

_TYPES = {"boolean": "BOOLEAN", "integer": "BIGINT", "number": "DOUBLE", "string": "VARCHAR"}
_FORMATS = {"date-time": "TIMESTAMPTZ", "date": "DATE"}
_LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of the longest line that DuckDB's JSON reader takes by default."""


def column_type(schema: Mapping[str, Any]) -> str:
    """DuckDB's type for a property of a JSON schema; JSON for whatever is not a scalar or a list of scalars."""
    types = schema.get("type", "object")
    (kind, *_) = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    if kind == "array":
        items = column_type(schema.get("items", {}))
        return "JSON" if items == "JSON" else f"{items}[]"
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), "VARCHAR")
    return _TYPES.get(kind, "JSON")


class Database:
    """The file, open for writing: DuckDB lets one process write, so a second run fails before it reads anything."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        # DuckDB would download an extension that a query needs. The only one needed here, JSON, is part of its package.
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

    def tables_with_rows(self) -> set[str]:
        """The names of the streams' tables that are not empty."""
        found = self._connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'main' and estimated_size > 0"
        )
        return {name for (name,) in found.fetchall()}

    def state(self, streams: Collection[str]) -> list[dict[str, Any]]:
        """The last state messages of these streams, as the connector's option `--state` takes them."""
        found = self._connection.execute("select stream, state from sync.state").fetchall()
        return [json.loads(state) for stream, state in found if stream in streams]

    def load(self, configured: Mapping[str, Any], lines: Path, stream: ReceivedStream, *, changes_only: bool) -> None:
        """Write the records of a read into the stream's table. Of several records with one key the last counts.

        `lines` is a file of RECORD messages. A complete read replaces the table. An incomplete read, or one of
        `changes_only`, replaces and deletes single rows.
        """
        declared = configured["stream"]
        key = [path[0] for path in declared.get("source_defined_primary_key") or ()]
        columns = {name: column_type(schema) for name, schema in declared["json_schema"]["properties"].items()}
        self._stage(columns, lines, stream.longest)
        self._connection.execute("begin")
        try:
            self._write(stream.name, key, columns, keeps_rows=changes_only or not stream.is_complete)
            self._write_result(stream, is_resumable=configured["sync_mode"] == "incremental")
            self._connection.execute("commit")
        except BaseException:
            self._connection.execute("rollback")
            raise
        finally:
            self._connection.execute("drop table staged")

    def _stage(self, columns: Mapping[str, str], lines: Path, longest: int) -> None:
        """Load the records into the temporary table `staged`, in the order they were read."""
        data = ", ".join(f"{_quoted(name)} {kind}" for name, kind in columns.items())
        self._connection.execute(
            f"""
            create or replace temp table staged as select unnest(record.data) from read_json(
                ?, format = 'newline_delimited', columns = {{record: $type$struct(data struct({data}))$type$}},
                maximum_object_size = {max(longest, _LONGEST_LINE)})
            """,
            [str(lines)],
        )

    def _write(self, name: str, key: Sequence[str], columns: Mapping[str, str], *, keeps_rows: bool) -> None:
        """Write the staged records into the table. `keeps_rows` keeps the table's other rows."""
        table, by, deleted_at = _quoted(name), ", ".join(map(_quoted, key)), _quoted(DELETED_AT)
        last = f"rowid in (select max(rowid) from staged group by {by})" if key else "true"
        has_deletions, run = DELETED_AT in columns, self._connection.execute
        if not keeps_rows:
            run(f"drop table if exists {table}")
        self._create(name, {column: kind for column, kind in columns.items() if column != DELETED_AT}, key)
        insert = f"insert {'or replace ' if key and keeps_rows else ''}into {table} by name"
        if not has_deletions:
            run(f"{insert} select * from staged where {last}")
            return
        run(f"{insert} select * exclude {deleted_at} from staged where {last} and {deleted_at} is null")
        if key:
            deleted = f"select {by} from staged where {last} and {deleted_at} is not null"
            run(f"delete from {table} where ({by}) in ({deleted})")

    def _create(self, name: str, columns: Mapping[str, str], key: Sequence[str]) -> None:
        """Create the table if it does not exist, and otherwise add the columns that it does not have."""
        parts = [f"{_quoted(column)} {kind}" for column, kind in columns.items()]
        if key:
            parts.append(f"primary key ({', '.join(map(_quoted, key))})")
        self._connection.execute(f"create table if not exists {_quoted(name)} ({', '.join(parts)})")
        for column, kind in columns.items():
            self._connection.execute(f"alter table {_quoted(name)} add column if not exists {_quoted(column)} {kind}")

    def _write_result(self, stream: ReceivedStream, *, is_resumable: bool) -> None:
        self._connection.execute(
            "insert or replace into sync.streams values (?, ?, now(), ?, ?)",
            [stream.name, stream.status, stream.records, stream.skipped_objects],
        )
        # A full refresh ends with a state too, from which no read can start. The state before it stays valid: the next
        # incremental read gets again what changed since then and writes it a second time.
        if is_resumable and stream.state is not None:
            self._connection.execute(
                "insert or replace into sync.state values (?, ?)", [stream.name, json.dumps(stream.state)]
            )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
