"""From a connector's output to tables, with a connector that says what the test wants."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from tables.connector import Connector
from tables.database import column_type
from tables.display import Display, progress_view
from tables.received import Received
from tables.replicate import replicate
from unit_tests import fake_connector

KEY = {"source_defined_primary_key": [["id"]]}
NAME = {"id": {"type": "string"}, "name": {"type": ["null", "string"]}}
GONE = {"_ab_cdc_deleted_at": {"type": ["null", "string"], "format": "date-time"}}


def a_stream(name: str, properties: Mapping[str, Any] = NAME, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": dict(properties)}
    return {"name": name, "json_schema": schema, "supported_sync_modes": ["full_refresh"], **KEY, **more}


def an_incremental_stream(name: str) -> dict[str, Any]:
    modes = ["full_refresh", "incremental"]
    return a_stream(name, {**NAME, **GONE}) | {"supported_sync_modes": modes, "source_defined_cursor": True}


def a_record(stream: str, **data: Any) -> dict[str, Any]:
    return {"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}}


def a_status(stream: str, status: str, **more: Any) -> dict[str, Any]:
    told = {"stream_descriptor": {"name": stream}, "status": status, **more}
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1.0, "stream_status": told}}


def a_state(stream: str, **state: Any) -> dict[str, Any]:
    told = {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": state}}
    return {"type": "STATE", "state": told}


def a_log(message: str, level: str = "WARN", **fields: Any) -> dict[str, Any]:
    return {"type": "LOG", "log": {"level": level, "message": message, **fields}}


def a_skip(stream: str, count: int, meaning: str = "No mailbox.", remedy: str = "", link: str = "") -> dict[str, Any]:
    """A log message about skipped objects, whose words say nothing: the field does."""
    skipped = {"stream": stream, "meaning": meaning, "remedy": remedy, "link": link, "count": count}
    return a_log("For people.", skipped=skipped)


def an_error(message: str, stream: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message, "failure_type": "config_error"}
    if stream:
        error["stream_descriptor"] = {"name": stream}
    return {"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1.0, "error": error}}


class Run:
    """Runs of the command into one file, and what they left."""

    def __init__(self, folder: Path) -> None:
        self.file, self._given, self._config = folder / "t.duckdb", folder / "given.json", folder / "config.json"
        self.text = ""

    def __call__(
        self,
        streams: list[dict[str, Any]],
        *lines: dict[str, Any] | str,
        exit_code: int = 0,
        incremental: bool = False,
        width: int = 120,
    ) -> int:
        told = {"streams": streams, "lines": lines, "exit_code": exit_code, "given": str(self._given)}
        self._config.write_text(json.dumps(told))
        connector = Connector(self._config, {}, (sys.executable, fake_connector.__file__))
        display = Display(Console(file=io.StringIO(), width=width))
        code = replicate(connector, self.file, [], incremental=incremental, display=display)
        self.text = display._console.file.getvalue()  # type: ignore[attr-defined]
        return code

    @property
    def given(self) -> dict[str, Any]:
        return dict(json.loads(self._given.read_text()))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            return connection.sql(query).fetchall()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": ["null", "string"]}, "VARCHAR"),
        ({"type": ["null", "string"], "format": "date-time"}, "TIMESTAMP"),
        ({"type": "string", "format": "date"}, "DATE"),
        ({"type": ["null", "boolean"]}, "BOOLEAN"),
        ({"type": ["null", "integer"]}, "BIGINT"),
        ({"type": ["null", "number"]}, "DOUBLE"),
        ({"type": ["null", "array"], "items": {"type": ["null", "string"]}}, "VARCHAR[]"),
        ({"type": ["null", "array"], "items": {"type": "object", "properties": {}}}, "JSON"),
        ({"type": ["null", "array"]}, "JSON"),
        ({"type": ["null", "object"], "properties": {"a": {"type": "string"}}}, "JSON"),
        ({}, "JSON"),
    ],
)
def test_a_property_has_a_column_of_its_type(schema: dict[str, Any], kind: str) -> None:
    """Scalars and lists of them have types of their own; whatever holds objects is JSON."""
    assert column_type(schema) == kind


def test_values_are_of_the_columns_type(run: Run) -> None:
    """Seven decimals of a second, a number beyond 32 bits, a list, an object of unknown content, a null; and a field
    that no schema declares."""
    properties = {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "size": {"type": "integer"},
        "ratio": {"type": "number"},
        "is_so": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "from": {"type": "object", "properties": {"known": {"type": "string"}}},
        "nothing": {"type": ["null", "string"]},
    }
    values = {
        "id": "1",
        "at": "2026-03-01T10:00:00.1234567Z",
        "day": "2026-03-01",
        "size": 2**40,
        "ratio": 0.25,
        "is_so": False,
        "tags": ["a", 'b"c', "ü"],
        "from": {"known": "x", "new": [1, {"deep": None}]},
        "nothing": None,
        "undeclared": 1,
    }

    assert run([a_stream("things", properties)], a_record("things", **values), a_status("things", "COMPLETE")) == 0

    ((*found, whole, nothing, additional),) = run.rows("select * from things")
    at = datetime(2026, 3, 1, 10, 0, 0, 123456)
    assert found == ["1", at, date(2026, 3, 1), 2**40, 0.25, False, ["a", 'b"c', "ü"]]
    assert json.loads(whole) == values["from"]
    assert nothing is None
    assert json.loads(additional) == {"undeclared": 1}
    assert run.rows("""select "from"->>'$.new[1].deep', "from"->>'known' from things""") == [(None, "x")]


def test_the_last_record_of_a_key_wins(run: Run) -> None:
    """A record that comes twice is one row, and keys of two columns are compared by both."""
    pairs = a_stream("pairs", {**NAME, "group_id": {"type": "string"}})
    pairs |= {"source_defined_primary_key": [["id"], ["group_id"]]}
    lines = [a_record("pairs", id=key, group_id=group, name=name) for key, group, name in ("aAx", "aBy", "aAz", "bAx")]

    assert run([pairs], *lines, a_status("pairs", "COMPLETE")) == 0

    assert run.rows("select id, group_id, name from pairs order by all") == [
        ("a", "A", "z"),
        ("a", "B", "y"),
        ("b", "A", "x"),
    ]
    with pytest.raises(duckdb.ConstraintException), duckdb.connect(str(run.file)) as connection:
        connection.execute("insert into pairs (id, group_id) values ('a', 'A')")


def test_a_stream_without_a_key_keeps_every_record(run: Run) -> None:
    keyless = a_stream("events")
    del keyless["source_defined_primary_key"]
    assert run([keyless], *[a_record("events", id="1")] * 2, a_status("events", "COMPLETE")) == 0
    assert run.rows("select id from events") == [("1",), ("1",)]


def test_a_complete_read_replaces_the_table(run: Run) -> None:
    """What is gone from the tenant is gone from the table, and so are columns that no longer exist."""
    run([a_stream("users")], a_record("users", id="1"), a_record("users", id="2"), a_status("users", "COMPLETE"))
    other = a_stream("users", {"id": {"type": "string"}, "mail": {"type": "string"}})
    run([other], a_record("users", id="2", mail="m"), a_status("users", "COMPLETE"))
    assert run.rows("select * from users") == [("2", "m", None)]


def test_a_read_that_failed_takes_nothing_away(run: Run) -> None:
    """Its rows are written over those of the read before, the table says so, and the exit code is the connector's."""
    run([a_stream("users")], *[a_record("users", id=key, name="old") for key in "12"], a_status("users", "COMPLETE"))
    failed = [a_record("users", id="2", name="new"), an_error("Graph is on fire.", "users")]

    assert run([a_stream("users")], *failed, a_status("users", "INCOMPLETE"), exit_code=1) == 1

    assert run.rows("select id, name from users order by id") == [("1", "old"), ("2", "new")]
    assert run.rows("select stream, status, records from sync.streams") == [("users", "incomplete", 1)]
    assert "incomplete" in run.text
    assert "Graph is on fire." in run.text


def test_a_stream_that_never_started_is_told(run: Run) -> None:
    """A program that dies leaves its last words, and the tables of the read before."""
    run([a_stream("users")], a_record("users", id="1"), a_status("users", "COMPLETE"))

    assert run([a_stream("users"), a_stream("groups")], "Killed: out of memory", exit_code=137) == 137

    assert "Killed: out of memory" in run.text
    assert [line.split()[0:2] for line in run.text.splitlines() if "not started" in line] == [
        ["users", "0"],
        ["groups", "0"],
    ]
    assert run.rows("select id from users") == [("1",)]


def test_changes_are_written_over_the_table(run: Run) -> None:
    """The second run passes the state of the first, replaces the rows that changed and deletes those that are gone; a
    stream that cannot tell its changes is read whole."""
    streams = [an_incremental_stream("users"), a_stream("logs")]
    first = [a_record("users", id=key, name="old") for key in "123"]
    first.append(a_record("users", id="4", _ab_cdc_deleted_at="2026-01-01T00:00:00Z"))
    nothing = a_state("logs", __ab_no_cursor_state_message=True)
    done = [a_status("users", "COMPLETE"), nothing, a_status("logs", "COMPLETE")]
    run(streams, *first, a_state("users", token="one"), a_record("logs", id="1"), *done, incremental=True)
    assert run.rows("select * from users order by id") == [(key, "old", None) for key in "123"]
    assert "--state" not in run.given

    changes = [
        a_record("users", id="2", name="new"),
        a_record("users", id="3", _ab_cdc_deleted_at="2026-01-02T00:00:00Z"),
        a_record("users", id="5", name="first"),
        a_record("users", id="6", name="short-lived"),
        a_record("users", id="6", _ab_cdc_deleted_at="2026-01-02T00:00:00Z"),
    ]
    assert run(streams, *changes, a_state("users", token="two"), a_record("logs", id="2"), *done, incremental=True) == 0

    assert run.given["--state"] == [a_state("users", token="one")["state"]]
    assert {stream["stream"]["name"]: stream["sync_mode"] for stream in run.given["--catalog"]["streams"]} == {
        "users": "incremental",
        "logs": "full_refresh",
    }
    found = run.rows("select * from users order by id")
    assert found == [("1", "old", None), ("2", "new", None), ("5", "first", None)]
    assert run.rows("select id from logs") == [("2",)]
    assert "Asking for what changed in users; the others are read whole." in run.text

    run(streams, *done, incremental=True)
    assert run.given["--state"] == [a_state("users", token="two")["state"]]
    assert run.rows("select count(*) from users") == [(3,)]


def test_without_the_flag_everything_is_read(run: Run) -> None:
    """Each stream as a full refresh, which replaces the table; the next read of changes goes on from the last one."""
    streams, done = [an_incremental_stream("users")], a_status("users", "COMPLETE")
    run(streams, a_record("users", id="1"), a_state("users", token="one"), done, incremental=True)

    run(streams, a_record("users", id="2"), a_state("users", __ab_no_cursor_state_message=True), done)
    assert "--state" not in run.given
    assert [stream["sync_mode"] for stream in run.given["--catalog"]["streams"]] == ["full_refresh"]
    assert run.rows("select id from users") == [("2",)]

    run(streams, done, incremental=True)
    assert run.given["--state"] == [a_state("users", token="one")["state"]]


def test_it_says_what_it_cannot_go_on_from(run: Run) -> None:
    """That no stream can tell its changes, or that none was read before."""
    run([a_stream("logs")], a_status("logs", "COMPLETE"), incremental=True)
    assert "None of these streams can tell what changed, so everything is read." in run.text
    run([an_incremental_stream("users")], a_status("users", "COMPLETE"), incremental=True)
    assert "There is no earlier read to go on from, so everything is read." in run.text


def test_state_is_kept_only_with_its_rows(run: Run) -> None:
    """A record without its key fails the load, and the next read goes on from where the last one was."""
    streams, done = [an_incremental_stream("users")], a_status("users", "COMPLETE")
    streams[0]["json_schema"]["properties"]["size"] = {"type": "integer"}
    run(streams, a_record("users", id="1", size=1), a_state("users", token="one"), done, incremental=True)

    keyless = [a_record("users", id="1", size=2), a_record("users", size=3), a_state("users", token="two"), done]
    assert run([*streams, a_stream("logs")], *keyless, a_record("logs", id="1"), incremental=True) == 1

    assert "users could not be loaded" in run.text
    assert run.rows("select id from logs") == [("1",)]
    assert run.rows("select id, size from users") == [("1", 1)]
    assert run.rows("select state->>'$.stream.stream_state.token' from sync.state") == [("one",)]


def test_a_new_column_joins_a_table_of_changes(run: Run) -> None:
    streams, done = [an_incremental_stream("users")], a_status("users", "COMPLETE")
    run(streams, a_record("users", id="1", name="old"), a_state("users", token="one"), done, incremental=True)
    streams[0]["json_schema"]["properties"]["mail"] = {"type": "string"}
    run(streams, a_record("users", id="2", mail="m"), done, incremental=True)
    assert run.rows("select id, name, mail from users order by id") == [("1", "old", None), ("2", None, "m")]


def the_additional(run: Run, table: str = "users") -> dict[str, Any]:
    """What has no column of its own, by the row's id."""
    found = run.rows(f"select id, _airbyte_additional_properties from {table}")
    return {key: value and json.loads(value) for key, value in found}


def test_a_field_that_no_schema_declares_is_kept(run: Run) -> None:
    """As it came: nulls, nested values, long numbers, names that are reserved or quoted, or differ in case only. A row
    without such a field has null."""
    reserved = {name: {"type": "string"} for name in ("select", "data", "record", "json", "Name")}
    users = a_stream("users", {**NAME, **reserved})
    fields: dict[str, Any] = {
        "new": {"none": None, "list": [1, {"deep": 2**70}]},
        "nothing": None,
        "from": "reserved",
        "NAME": "other case",
        "Name": "declared in other case",
        "_airbyte_additional_properties": "taken",
        "a \"quoted\" 'name'": 1,
    }
    records = [
        a_record("users", id="1", name="a", select="s", data="d", record="r", json="j", **fields),
        a_record("users", id="2", name="b"),
    ]

    assert run([users], *records, a_status("users", "COMPLETE")) == 0

    assert the_additional(run) == {"1": fields, "2": None}
    found = run.rows('select id, name, "select", data, record, json from users order by id')
    assert found == [("1", "a", "s", "d", "r", "j"), ("2", "b", None, None, None, None)]
    assert "do not fit" not in run.text


def test_undeclared_fields_in_changes(run: Run) -> None:
    """A change replaces them with the row, or deletes them with it; when the field gets a column, other rows keep what
    they have."""
    users, done = an_incremental_stream("users"), a_status("users", "COMPLETE")
    first = [a_record("users", id=key, name="old", mail=f"{key}@old") for key in "1234"]
    run([users], *first, a_state("users", token="one"), done, incremental=True)
    changes = [
        a_record("users", id="2", name="new", mail="2@new"),
        a_record("users", id="3", name="new"),
        a_record("users", id="4", _ab_cdc_deleted_at="2026-01-02T00:00:00Z"),
    ]
    run([users], *changes, a_state("users", token="two"), done, incremental=True)
    assert the_additional(run) == {"1": {"mail": "1@old"}, "2": {"mail": "2@new"}, "3": None}

    users["json_schema"]["properties"]["mail"] = {"type": "string"}
    run([users], a_record("users", id="2", name="new", mail="2@newer"), done, incremental=True)

    assert the_additional(run) == {"1": {"mail": "1@old"}, "2": None, "3": None}
    assert run.rows("select id, mail from users order by id") == [("1", None), ("2", "2@newer"), ("3", None)]


def test_undeclared_fields_without_a_key(run: Run) -> None:
    """Every record is a row, in a stream that appends too."""
    events, done = a_stream("events"), a_status("events", "INCOMPLETE")
    del events["source_defined_primary_key"]
    for value in (1, 2):
        run([events], a_record("events", id="1", new=value), done)
    found = run.rows("select _airbyte_additional_properties->>'new' from events order by all")
    assert found == [("1",), ("2",)]


def test_a_table_of_an_earlier_version_gets_the_column(run: Run) -> None:
    """Its times had a time zone, which they keep."""
    with duckdb.connect(str(run.file)) as connection:
        connection.execute("create table users (id varchar primary key, seen timestamptz)")
        connection.execute("insert into users values ('1', '2026-01-01T00:00:00Z')")
    seen = {"seen": {"type": "string", "format": "date-time"}}
    record = a_record("users", id="2", seen="2026-01-01T01:00:00+01:00", new=1)
    assert run([a_stream("users", {**NAME, **seen})], record, a_status("users", "INCOMPLETE")) == 0
    assert the_additional(run) == {"1": None, "2": {"new": 1}}
    assert run.rows("select count(distinct seen) from users") == [(1,)]


NULL_WITH_THE_VALUE_KEPT = [
    ("date-time", ""),
    ("date-time", "NaT"),
    ("date-time", "2026-02-30T00:00:00Z"),
    ("date-time", "infinity"),
    ("date-time", "0001-01-01T00:00:00+14:00"),
    ("date-time", 5),
    ("date-time", {"a": None}),
    ("date", ""),
    ("date", "2026-02-30"),
    ("date", "infinity"),
    ("integer", str(2**70)),
    ("integer", 2**70),
    ("integer", 1.5),
    ("integer", True),
    ("integer", "NaN"),
    ("integer", ""),
    ("number", True),
    ("number", "much"),
    ("number", [1]),
    ("boolean", "maybe"),
    ("boolean", 2),
    ("boolean", {}),
    ("array", "text"),
    ("array", {"a": 1}),
]


def a_property(kind: str) -> dict[str, Any]:
    if kind in ("date", "date-time"):
        return {"type": ["null", "string"], "format": kind}
    return {"type": ["null", kind], "items": {"type": ["null", "string"]}}


@pytest.mark.parametrize(("kind", "value"), NULL_WITH_THE_VALUE_KEPT)
def test_a_value_that_does_not_fit_is_null_and_kept(run: Run, kind: str, value: Any) -> None:
    """It stops no stream, takes no other value with it, and is named with its column and its row."""
    users = a_stream("users", {**NAME, "odd": a_property(kind)})
    records = [a_record("users", id="1", name="a", odd=value), a_record("users", id="2", name="b", new=1)]

    assert run([users], *records, a_status("users", "COMPLETE")) == 0

    assert run.rows("select id, name, odd from users order by id") == [("1", "a", None), ("2", "b", None)]
    assert the_additional(run) == {"1": {"odd": value}, "2": {"new": 1}}
    (line,) = [line for line in run.text.splitlines() if "users.odd" in line]
    assert line.startswith("  users.odd: 1 value is not ")
    assert line.endswith("(id 1): null.")
    assert run.rows("select status from sync.streams") == [("complete",)]


@pytest.mark.parametrize(
    ("kind", "value", "column"),
    [
        ("date-time", "0001-01-01T00:00:00Z", datetime(1, 1, 1)),
        ("date-time", "9999-12-31T23:59:59.9999999Z", datetime.max),
        ("date-time", "2026-01-01T10:00:00+14:00", datetime(2025, 12, 31, 20)),
        ("date-time", "2026-01-01T10:00:00-12:00", datetime(2026, 1, 1, 22)),
        ("date-time", "2026-01-01T10:00:00.123456789Z", datetime(2026, 1, 1, 10, 0, 0, 123456)),
        ("date-time", "2026-01-01T24:00:00Z", datetime(2026, 1, 2)),
        ("date", "0001-01-01", date.min),
        ("date", "9999-12-31", date.max),
        ("integer", 1.0, 1),
        ("integer", "12", 12),
        ("integer", -(2**63), -(2**63)),
        ("number", 3, 3.0),
        ("number", "-INF", float("-inf")),
        ("boolean", "true", True),
        ("string", 5, "5"),
        ("string", '{"json": "as text"}', '{"json": "as text"}'),
        ("string", "[EXTERNAL] a mail", "[EXTERNAL] a mail"),
        ("array", ["a", None, 1], ["a", None, "1"]),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"new": 1}], ids=["strictly", "leniently"])
def test_an_unusual_value_that_fits(run: Run, kind: str, value: Any, column: Any, beside: dict[str, Any]) -> None:
    """It is the same whether each value is looked at by itself or not, and nobody is told."""
    users = a_stream("users", {**NAME, "odd": a_property(kind)})
    assert run([users], a_record("users", id="1", odd=value, **beside), a_status("users", "COMPLETE")) == 0
    assert run.rows("select odd from users") == [(column,)]
    assert the_additional(run) == {"1": beside or None}
    assert "do not fit" not in run.text


@pytest.mark.parametrize("value", [{"a": [1, None]}, [1, "b"]])
def test_an_object_where_a_text_is_declared_is_text(run: Run, value: Any) -> None:
    assert run([a_stream("users")], a_record("users", id="1", name=value), a_status("users", "COMPLETE")) == 0
    ((found,),) = run.rows("select name from users")
    assert json.loads(found) == value
    assert the_additional(run) == {"1": None}
    assert "users.name: 1 value is not a text" in run.text
    assert "(id 1): kept as text." in run.text


def test_a_list_with_a_value_that_does_not_fit(run: Run) -> None:
    """The other values of the list stay, and the list is kept as it came."""
    users = a_stream("users", {**NAME, "sizes": {"type": "array", "items": {"type": "integer"}}})
    assert run([users], a_record("users", id="1", sizes=[1, "x", None]), a_status("users", "COMPLETE")) == 0
    assert run.rows("select sizes from users") == [([1, None, None],)]
    assert the_additional(run) == {"1": {"sizes": [1, "x", None]}}


def test_values_that_do_not_fit_in_changes(run: Run) -> None:
    """The row is replaced, the state is kept, and the values are counted."""
    users, done = an_incremental_stream("users"), a_status("users", "COMPLETE")
    users["json_schema"]["properties"]["size"] = {"type": "integer"}
    run([users], a_record("users", id="1", size=1), a_state("users", token="one"), done, incremental=True)
    changes = [a_record("users", id="1", size="much"), a_record("users", id="2", size="more")]
    assert run([users], *changes, a_state("users", token="two"), done, incremental=True) == 0
    assert run.rows("select id, size from users order by id") == [("1", None), ("2", None)]
    assert 'users.size: 2 values are not a whole number of 64 bits, such as "much" (id 1): null.' in run.text
    assert run.rows("select state->>'$.stream.stream_state.token' from sync.state") == [("two",)]


def test_values_that_do_not_fit_fill_no_more_than_a_screen(run: Run) -> None:
    """The most frequent columns are named, and the others are counted."""
    names = [f"size_{number}" for number in range(30)]
    users = a_stream("users", {**NAME, **{name: {"type": "integer"} for name in names}})
    records = [a_record("users", id=str(row), **dict.fromkeys(names[row:], "x" * 100)) for row in range(30)]
    run([users], *records, a_status("users", "COMPLETE"))
    told = run.text.partition("Values that do not fit their columns:\n")[2].partition("\n\n")[0].splitlines()
    assert told[0].startswith("  users.size_29: 30 values are not")
    assert told[-2] == "  and 120 in 15 more columns."
    assert len(told) == 17
    assert max(map(len, told)) < 160


def what_sql_shows(run: Run, query: str, **variables: str) -> str:
    command = [sys.executable, "-m", "tables.queries", "--database", str(run.file), query]
    environment = {**os.environ, "COLUMNS": "100", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_json_fills_a_few_lines(run: Run) -> None:
    """A long list is cut; its text is shown whole, and so are columns of the same name."""
    groups = a_stream("groups", {**NAME, "members": {"type": "array"}})
    members = [{"number": number} for number in range(1000)]
    run([groups], a_record("groups", id="1", members=members, new={"a": 1}), a_status("groups", "COMPLETE"))

    shown = what_sql_shows(run, "select id, members, _airbyte_additional_properties from groups")
    assert '{"new":{"a":1}}' in shown
    assert '[{"number":0},' in shown
    assert len(shown.splitlines()) < 20
    assert '{"number":999}' in what_sql_shows(run, "select members::text from groups", COLUMNS="20000")
    assert "999" in what_sql_shows(run, "select a.members, b.members from groups a, groups b")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati"])
def test_a_time_is_the_same_in_every_time_zone(run: Run, zone: str) -> None:
    """In Python and on the terminal, whichever time zone reads and whichever wrote."""
    seen = {"seen": {"type": "string", "format": "date-time"}}
    texts = ["0001-01-01T00:00:00Z", "2020-07-01T12:00:00Z", "9999-12-31T23:59:59Z"]
    times = [datetime.fromisoformat(text.removesuffix("Z")) for text in texts]
    records = [a_record("users", id=str(row), seen=text) for row, text in enumerate(texts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        run([a_stream("users", {**NAME, **seen})], *records, a_status("users", "COMPLETE"))

    with duckdb.connect(str(run.file), read_only=True) as connection:
        connection.execute(f"set TimeZone = '{zone}'")
        assert connection.execute("select seen from users order by id").fetchall() == [(time,) for time in times]

    told = what_sql_shows(run, "select seen, seen < now() as past from users order by id", TZ=zone)
    shown = [
        [cell.strip() for cell in line.strip("│").split("│")] for line in told.splitlines() if line.startswith("│")
    ]
    assert shown[2:] == [[str(time), str(time.year < 9999).lower()] for time in times]


def test_a_line_longer_than_the_reader_expects_is_read(run: Run) -> None:
    """A mail's body may be of any size."""
    long = "x" * 20_000_000
    run([a_stream("mails")], a_record("mails", id="1", name=long), a_status("mails", "COMPLETE"))
    assert run.rows("select length(name) from mails") == [(len(long),)]


def test_any_order_of_fields_is_a_record(run: Run) -> None:
    """The short way of telling a record from other messages is not the only one."""
    line = '{"record": {"data": {"id": "1"}, "emitted_at": 1, "stream": "users"}, "type": "RECORD"}'
    run([a_stream("users")], line, a_status("users", "COMPLETE"))
    assert run.rows("select id from users") == [("1",)]


def test_only_tables_with_rows_are_to_be_tried(run: Run) -> None:
    """A query of an empty table answers nothing."""
    done = [a_status("users", "COMPLETE"), a_status("logs", "COMPLETE")]
    run([a_stream("users"), a_stream("logs")], a_record("logs", id="1"), *done)
    assert "from logs" in run.text
    assert "from users" not in run.text
    run([a_stream("users")], done[0])
    assert "Try:" not in run.text


def test_skipped_objects_are_counted_by_reason(run: Run) -> None:
    """A count includes those before it, in whatever order the messages come; reasons and streams add up."""
    told = [a_skip("users", 2), a_skip("users", 1), a_skip("users", 30), a_skip("users", 4, "Gone.")]
    done = [a_status("users", "COMPLETE"), a_status("groups", "COMPLETE")]
    run([a_stream("users"), a_stream("groups")], *told, a_skip("groups", 1, "Gone."), *done)
    assert "30  No mailbox." in run.text
    assert " 4  Gone." in run.text
    assert run.rows("select stream, skipped from sync.streams order by all") == [("groups", 1), ("users", 34)]


def test_objects_skipped_for_another_stream_are_a_warning(run: Run) -> None:
    """A parent that was not asked for has no row in the table."""
    run([a_stream("chat_messages")], a_skip("chats", 1), a_status("chat_messages", "COMPLETE"))
    assert "\nWarnings:\n  For people.\n" in run.text
    assert run.rows("select skipped from sync.streams") == [(0,)]


def test_words_about_skipped_objects_are_words(run: Run) -> None:
    """English without the field is a warning like any other, and no count."""
    run([a_stream("users")], a_log("users: 30 skipped in all. No mailbox."), a_status("users", "COMPLETE"))
    assert "\nWarnings:\n  users: 30 skipped in all. No mailbox.\n" in run.text
    assert run.rows("select skipped from sync.streams") == [(0,)]


def test_a_warning_is_shown_once(run: Run) -> None:
    """What the connector warns of is not lost with its log; what was skipped stands in the table."""
    skipped = [a_skip("users", 1), a_skip("users", 1)]
    warning = a_log("drives: drives of sites are left out. Grant something.")
    run([a_stream("users")], a_log("Reading.", "INFO"), *skipped, warning, warning, a_status("users", "COMPLETE"))
    assert "\nWarnings:\n  drives: drives of sites are left out. Grant something.\n" in run.text
    assert run.text.count("left out") == 1
    run([a_stream("users")], *skipped, a_status("users", "COMPLETE"))
    assert "Warnings" not in run.text


def test_it_fits_eighty_columns(run: Run) -> None:
    """The table does; what can be done about a reason stands below it once, broken by a terminal alone."""
    meaning = "No active cloud mailbox: a guest, an unlicensed user, or a mailbox kept on premises."
    remedy, link = "If it should be read, assign a licence.", "https://learn.microsoft.com/exchange/troubleshoot"
    told = a_skip("conditional_access_policies", 1234, meaning, remedy, link)
    run([a_stream("conditional_access_policies")], told, a_status("conditional_access_policies", "COMPLETE"), width=80)
    table, _, below = run.text.partition("\n\n")
    assert max(map(len, table.splitlines())) <= 80
    assert meaning in " ".join(table.split())
    assert "assign a licence" not in table
    assert below.startswith(f"{meaning} {remedy} ({link})")


def test_a_terminal_gets_whole_links() -> None:
    """Words are put on the next line, with the indent, and a link is longer than its line."""
    console = Console(file=io.StringIO(), width=40)
    link = "(https://learn.microsoft.com/exchange/troubleshoot/rest-api-is-not-yet-supported)"
    Display(console, wraps=True).section("Warnings:", [f"One mailbox could not be read by this app. {link}"], "yellow")
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "",
        "Warnings:",
        "  One mailbox could not be read by this",
        "  app.",
        f"  {link}",
    ]


def test_a_file_in_use_is_told_before_anything_is_read(run: Run) -> None:
    """Reading may take hours; that its result cannot be written is found out first."""
    hold = f"import duckdb; c = duckdb.connect({str(run.file)!r}); print('held', flush=True); input()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdin
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SystemExit, match="cannot be opened, so nothing was read"):
            run([a_stream("users")])
        holder.stdin.close()
    assert not run._given.exists()


def what_was_received(folder: Path, *lines: dict[str, Any]) -> Received:
    received = Received(["users", "groups"], folder)
    received.receive(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    return received


def drawn(received: Received) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(progress_view(received))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_progress_shows_what_is_read(tmp_path: Path) -> None:
    """The totals, then a line for each stream that is being read."""
    lines = [a_status("users", "STARTED"), a_record("users", id="1"), a_skip("users", 1)]
    text = drawn(what_was_received(tmp_path, *lines))
    assert "0 of 2 streams, 1 records" in text
    assert "1 skipped" in text
    assert [line.split() for line in text.splitlines()[1:]] == [["users", "1"]]


def test_progress_shows_a_wait_for_a_limit(tmp_path: Path) -> None:
    """The protocol's reason for a running stream, with the time Graph named or without; the next record ends it."""
    until = (time.time() + 60) * 1000
    timed = {"reasons": [{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": int(until)}}]}
    untimed = {"reasons": [{"type": "RATE_LIMITED"}]}
    started = [a_status("users", "STARTED"), a_status("groups", "STARTED")]
    waits = [*started, a_status("users", "RUNNING", **timed), a_status("groups", "RUNNING", **untimed)]

    text = drawn(what_was_received(tmp_path, *waits))
    assert "waiting for a limit, 60 s" in text or "waiting for a limit, 59 s" in text
    assert text.count("waiting for a limit") == 2
    assert drawn(what_was_received(tmp_path, *waits, a_record("users", id="1"))).count("waiting for a limit") == 1


def test_what_costs_many_requests_is_read_only_if_it_is_named(run: Run) -> None:
    """A run without names leaves the expensive streams out."""
    assert run([a_stream("users"), a_stream("list_items")], a_status("users", "COMPLETE")) == 0

    assert [each["stream"]["name"] for each in run.given["--catalog"]["streams"]] == ["users"]
