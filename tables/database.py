"""Typed tables in a DuckDB file.

A scalar has a column of its type, and a list of scalars has a column of lists. Objects and lists of objects are JSON:
Graph adds properties to its types at any time, and a JSON column keeps a new property without being altered.
`"from"->>'$.email_address.address'` reads a property of one. What has no column of its own is in one JSON column more,
`ADDITIONAL_PROPERTIES`. Times are in UTC and have no time zone: a client would convert those with a time zone to its
own, and .NET's zero, which Graph sends, is before the first year in half of all time zones.

The schema `sync` describes the last read: `sync.streams` has its result and `sync.state` has the state that the next
incremental read starts from. A stream's rows and its state are written in one transaction: a state without its rows
would make the next read leave those rows out.

The loading is written by hand on purpose. DuckDB parses and converts the records itself, so a library that loads
records would add only a second pass over each of them in Python, and it would decide when a transaction ends.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from tables.received import ReceivedStream
from tables.staging import ADDITIONAL_PROPERTIES, STAGED, Misfits, NotStrict, Staging
from tables.values import quoted

DELETED_AT = "_ab_cdc_deleted_at"
"""By Airbyte's convention, a record with a value in this column means that the object was deleted."""

_TYPES = {"boolean": "BOOLEAN", "integer": "BIGINT", "number": "DOUBLE", "string": "VARCHAR"}
_FORMATS = {"date-time": "TIMESTAMP", "date": "DATE"}


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


def columns_of(properties: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a JSON schema's properties and their types.

    DuckDB compares the names of columns regardless of their case. Of two properties that differ in case only, the
    first has the column, and the other is kept in `ADDITIONAL_PROPERTIES`; so is a property of that name.
    """
    taken = {ADDITIONAL_PROPERTIES}
    columns = {}
    for name, schema in properties.items():
        if name.lower() not in taken:
            taken.add(name.lower())
            columns[name] = column_type(schema)
    return columns


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
            set TimeZone = 'UTC';
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

    def load(
        self, configured: Mapping[str, Any], lines: Path, stream: ReceivedStream, *, changes_only: bool
    ) -> list[Misfits]:
        """Write the records of a read into the stream's table. Of several records with one key the last counts.

        `lines` is a file of RECORD messages. A complete read replaces the table. An incomplete read, or one of
        `changes_only`, replaces and deletes single rows. Returns the columns that have values which do not fit.
        """
        declared = configured["stream"]
        key = [path[0] for path in declared.get("source_defined_primary_key") or ()]
        columns = columns_of(declared["json_schema"]["properties"])
        keeps_rows = changes_only or not stream.is_complete
        staging = Staging(self._connection, lines, stream.longest, stream.name, columns, key, is_temporary=keeps_rows)
        is_resumable = configured["sync_mode"] == "incremental"
        if not staging.has_undeclared_fields():
            try:
                with self._transaction():
                    staging.stage_strictly()
                    self._write(stream, key, columns, keeps_rows=keeps_rows, is_resumable=is_resumable)
                    return []
            except NotStrict:
                pass
        with self._transaction():
            misfits = staging.stage_leniently()
            self._write(stream, key, columns, keeps_rows=keeps_rows, is_resumable=is_resumable)
            return misfits

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin")
        try:
            yield
            self._connection.execute("commit")
        except BaseException:
            self._connection.execute("rollback")
            raise

    def _write(
        self,
        stream: ReceivedStream,
        key: Sequence[str],
        columns: Mapping[str, str],
        *,
        keeps_rows: bool,
        is_resumable: bool,
    ) -> None:
        """Write the staged records and the result of the read."""
        if keeps_rows:
            self._write_over(stream.name, key, columns)
        else:
            self._replace(stream.name, key, columns)
        self._write_result(stream, is_resumable=is_resumable)

    def _replace(self, name: str, key: Sequence[str], columns: Mapping[str, str]) -> None:
        """Make the staged records the table."""
        run, table, deleted_at = self._connection.execute, quoted(name), quoted(DELETED_AT)
        if key:
            by = ", ".join(map(quoted, key))
            run(f"delete from {STAGED} where rowid not in (select max(rowid) from {STAGED} group by {by})")
        if DELETED_AT in columns:
            run(f"delete from {STAGED} where {deleted_at} is not null")
            run(f"alter table {STAGED} drop column {deleted_at}")
        run(f"drop table if exists {table}")
        run(f"alter table {STAGED} rename to {table}")
        if key:
            run(f"alter table {table} add primary key ({by})")

    def _write_over(self, name: str, key: Sequence[str], columns: Mapping[str, str]) -> None:
        """Write the staged records into the table and keep its other rows."""
        run, table, deleted_at = self._connection.execute, quoted(name), quoted(DELETED_AT)
        by = ", ".join(map(quoted, key))
        last = f"rowid in (select max(rowid) from {STAGED} group by {by})" if key else "true"
        kept = {column: kind for column, kind in columns.items() if column != DELETED_AT}
        self._create(name, {**kept, ADDITIONAL_PROPERTIES: "JSON"}, key)
        insert = f"insert {'or replace ' if key else ''}into {table} by name"
        if DELETED_AT not in columns:
            run(f"{insert} select * from {STAGED} where {last}")
        else:
            run(f"{insert} select * exclude {deleted_at} from {STAGED} where {last} and {deleted_at} is null")
            if key:
                deleted = f"select {by} from {STAGED} where {last} and {deleted_at} is not null"
                run(f"delete from {table} where ({by}) in ({deleted})")
        run(f"drop table {STAGED}")

    def _create(self, name: str, columns: Mapping[str, str], key: Sequence[str]) -> None:
        """Create the table if it does not exist, and otherwise add the columns that it does not have."""
        parts = [f"{quoted(column)} {kind}" for column, kind in columns.items()]
        if key:
            parts.append(f"primary key ({', '.join(map(quoted, key))})")
        self._connection.execute(f"create table if not exists {quoted(name)} ({', '.join(parts)})")
        for column, kind in columns.items():
            self._connection.execute(f"alter table {quoted(name)} add column if not exists {quoted(column)} {kind}")

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
