"""The records of a stream, put into a table whose columns are the stream's, before they are written into its own.

Most streams are staged strictly: DuckDB converts the records while it reads them, and a value that does not fit stops
it. Only then, or where there are fields that no schema declares, they are staged leniently: each value is looked at by
itself, and what has no column or does not fit its column is kept in `ADDITIONAL_PROPERTIES`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tables.values import doubtful, lenient, misfit, quoted, read_as, reason, strict, text

ADDITIONAL_PROPERTIES = "_airbyte_additional_properties"
"""The JSON column of what has no column of its own: an object of the fields that no schema declares and of the values
that do not fit their columns; null if a record has neither. The name is that of Airbyte's Avro and Parquet writers
before version 1.0 of its S3 destination: https://github.com/airbytehq/json-avro-converter"""

STAGED = '"records of the stream"'
"""The table, quoted. It exists only in the transaction that loads the stream."""

_DATA = '"data of the record"'
"""A column of whole records, quoted. No property has this name."""

_LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of the longest line that DuckDB's JSON reader takes by default."""


class NotStrict(Exception):
    """A value may not fit its column."""


@dataclass(frozen=True, slots=True)
class Misfits:
    """Values of a column that do not fit its type. `row` and `value` are the first one's: its key, and it as JSON.

    A text column holds them as JSON text. Every other column is null, and `ADDITIONAL_PROPERTIES` has the value.
    """

    stream: str
    column: str
    reason: str
    count: int
    row: str
    value: str
    is_text: bool


@dataclass(frozen=True, slots=True)
class Staging:
    """The records of one stream, on their way from `lines`, a file of RECORD messages, into the table `STAGED`.

    `columns` has the types of the columns. `longest` is the number of bytes of the longest line. `is_temporary` is
    for a table that will be copied, and not for one that will be renamed.
    """

    connection: duckdb.DuckDBPyConnection
    lines: Path
    longest: int
    stream: str
    columns: Mapping[str, str]
    key: Sequence[str]
    is_temporary: bool

    def has_undeclared_fields(self) -> bool:
        """Whether a record has a field without a column."""
        found = self._run(f"select distinct unnest(json_keys(json, '$.record.data')) from {self._objects}")
        return not {name for (name,) in found.fetchall()} <= self.columns.keys()

    def stage_strictly(self) -> None:
        """Stage records that have no undeclared fields, in the order they were read.

        Raises `NotStrict` if a value does not fit its column, or may not.
        """
        data = ", ".join(f"{quoted(name)} {read_as(kind)}" for name, kind in self.columns.items())
        values = [f"{strict(quoted(name), kind)} as {quoted(name)}" for name, kind in self.columns.items()]
        values.append(f"null::JSON as {ADDITIONAL_PROPERTIES}")
        records = f"select unnest(record.data) from {self._records(f'struct({data})')}"
        try:
            self._run(f"{self._create} select {', '.join(values)} from ({records})")
        # Any other error of these two kinds, such as a line that is no JSON, comes again while staging leniently.
        except (duckdb.ConversionException, duckdb.InvalidInputException) as error:
            raise NotStrict from error
        doubts = [doubt for name, kind in self.columns.items() if (doubt := doubtful(quoted(name), kind))]
        any_doubt = " or ".join(f"coalesce({doubt}, false)" for doubt in doubts) or "false"
        if self.connection.execute(f"select {any_doubt} from {STAGED}").fetchall() != [(False,)]:
            raise NotStrict

    def stage_leniently(self) -> list[Misfits]:
        """Stage records of whatever fields and values, in the order they were read."""
        shape = text(json.dumps(dict.fromkeys(self.columns, "JSON")))
        rest = f"nullif({self._rest()}::VARCHAR, '{{}}')::JSON as {ADDITIONAL_PROPERTIES}"
        self._run(
            f"create or replace temp table parsed as select * exclude {_DATA}, {rest} from "
            f"(select {_DATA}, unnest(json_transform({_DATA}, {shape})) "
            f"from (select record.data as {_DATA} from {self._records('JSON')}))"
        )
        misfits = list(self._misfits())
        values = [f"{lenient(quoted(name), kind)} as {quoted(name)}" for name, kind in self.columns.items()]
        self.connection.execute(f"{self._create} select {', '.join([*values, ADDITIONAL_PROPERTIES])} from parsed")
        self.connection.execute("drop table parsed")
        return misfits

    def _misfits(self) -> Iterator[Misfits]:
        """The columns of the table `parsed` that have values which do not fit."""
        key = ", ', ', ".join(f"{text(name)}, ' ', {quoted(name)}->>'$'" for name in self.key)
        row = f"concat({key})" if key else "concat('record ', rowid + 1)"
        for name, kind in self.columns.items():
            found = self.connection.execute(
                f"select count(*), arg_min({row}, rowid), arg_min({quoted(name)}::VARCHAR, rowid) "
                f"from parsed where {misfit(quoted(name), kind)}"
            )
            ((count, first, value),) = found.fetchall()
            if count:
                yield Misfits(self.stream, name, reason(kind), count, first, value, is_text=kind == "VARCHAR")

    def _rest(self) -> str:
        """What a record has besides values that fit its columns, as a JSON object.

        A merge patch removes the members that it has as null, at the top level, and copies the others as they are:
        https://www.rfc-editor.org/rfc/rfc7396
        """
        members = [
            text(f"{json.dumps(name)}:null")
            if kind == "VARCHAR"
            else f"case when not ({misfit(quoted(name), kind)}) then {text(f'{json.dumps(name)}:null')} end"
            for name, kind in self.columns.items()
        ]
        return f"json_merge_patch({_DATA}, concat('{{', concat_ws(',', {', '.join(members)}), '}}'))"

    @property
    def _create(self) -> str:
        return f"create {'temp ' if self.is_temporary else ''}table {STAGED} as"

    @property
    def _options(self) -> str:
        return f"?, format = 'newline_delimited', maximum_object_size = {max(self.longest, _LONGEST_LINE)}"

    @property
    def _objects(self) -> str:
        """Rows of one column, `json`: the whole messages."""
        return f"read_json_objects({self._options})"

    def _records(self, kind: str) -> str:
        """Rows of one column, `record`, whose member `data` is of this type."""
        return f"read_json({self._options}, columns = {{record: $type$struct(data {kind})$type$}})"

    def _run(self, query: str) -> duckdb.DuckDBPyConnection:
        """Run a query that reads the file."""
        return self.connection.execute(query, [str(self.lines)])
