"""The README's main command: its tables hold what the simulated tenant holds, and its terminal says so."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from integration_tests.runner import ROOT, Message
from integration_tests.test_whole_tenant import NOT_LISTED, key_of, the_tenants, without_nulls
from simulated_tenant import Size, Tenant, serve
from simulated_tenant.server import Server
from source_microsoft_graph.streams.records import snake_case
from source_microsoft_graph.sync.cursors import UPDATED_AT
from tables.connector import Connector
from tables.database import DELETED_AT, column_type
from tables.display import Display
from tables.replicate import replicate
from tables.staging import ADDITIONAL_PROPERTIES
from unit_tests.references import Reference, references
from unit_tests.roll import every_stream

REFERENCES = list(references(every_stream()))


@pytest.fixture(scope="module")
def file(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole simulated tenant in a DuckDB file."""
    folder = tmp_path_factory.mktemp("tables")
    config, found = folder / "config.json", folder / "tenant.duckdb"
    config.write_text(json.dumps(server.config()))
    connector = Connector(config, {**os.environ, "REQUESTS_CA_BUNDLE": str(server.ca_bundle)})
    names = [stream.name for stream in every_stream()]
    assert replicate(connector, found, names, incremental=False, display=Display(Console(file=io.StringIO()))) == 0
    return found


@pytest.fixture
def tables(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(file), read_only=True) as connection:
        yield connection


def rows(tables: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found = tables.sql(query)
    return [dict(zip(found.columns, values, strict=True)) for values in found.fetchall()]


def plain(value: Any, kind: str) -> Any:
    """A column's value as the connector's record had it, in one form."""
    return json.loads(value) if value is not None and kind == "JSON" else value


def typed(value: Any, kind: str) -> Any:
    """A record's value as its column holds it."""
    if value is not None and kind == "TIMESTAMP":
        return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
    if value is not None and kind == "DATE":
        return date.fromisoformat(value)
    return value


@pytest.mark.parametrize("name", [stream.name for stream in every_stream()])
def test_a_table_is_the_tenants(
    tables: duckdb.DuckDBPyConnection, server: Server, streams: list[Message], name: str
) -> None:
    """Every row once, and every value of it: in a column of its type, or with those that have no column."""
    (stream,) = [stream for stream in streams if stream["name"] == name]
    key, held = key_of(stream), the_tenants(server.tenant, stream)
    kinds = {column: column_type(schema) for column, schema in stream["json_schema"]["properties"].items()}

    found = rows(tables, f"select * from {stream['name']}")

    assert len(found) == len(held)
    assert {tuple(row[column] for column in key) for row in found} == set(held)
    not_listed = NOT_LISTED[stream["name"]]
    for row in found:
        entity = held[tuple(row[column] for column in key)]
        for column in set(kinds) - {DELETED_AT, UPDATED_AT}:
            kind = kinds[column]
            expected, value = typed(entity.get(column), kind), without_nulls(plain(row[column], kind))
            if value is not None or (not_listed is not None and column not in not_listed):
                assert value == expected, (column, kind)
        # Members are users, groups or apps, each with properties that no schema of members declares.
        for name, value in json.loads(row[ADDITIONAL_PROPERTIES] or "{}").items():
            assert name not in kinds
            assert without_nulls(value) in (None, entity.get(name)), name


def test_the_tables_have_the_streams_keys(tables: duckdb.DuckDBPyConnection, streams: list[Message]) -> None:
    declared = rows(tables, "from duckdb_constraints() where constraint_type = 'PRIMARY KEY' and schema_name = 'main'")
    assert {table["table_name"]: table["constraint_column_names"] for table in declared} == {
        stream["name"]: key_of(stream) for stream in streams
    }


def test_skipped_objects_are_counted_in_the_tables(tables: duckdb.DuckDBPyConnection, server: Server) -> None:
    """Each stream below users or teams that a service refuses counts them all."""
    skipped = dict(tables.sql("select stream, skipped from sync.streams where skipped > 0").fetchall())
    refused = {area: len(numbers) for area, numbers in server.tenant.trouble.items() if numbers}
    assert set(skipped.values()) == set(refused.values())
    assert {name: skipped[name] for name in ("channels", "mail_messages", "drives")} == {
        "channels": refused["team"],
        "mail_messages": refused["mailbox"],
        "drives": refused["onedrive"],
    }


@pytest.mark.parametrize("join", REFERENCES, ids=lambda join: f"{join.stream}.{join.path}-{join.target}")
def test_what_the_diagram_says_joins(tables: duckdb.DuckDBPyConnection, join: Reference) -> None:
    """Rows are found through each reference; where it is said to hold always, for every row."""
    value = f"(a.{join.column}->>'$.{join.part}')" if join.part else f"a.{join.column}"
    where = f"where a.odata_type = '#microsoft.graph.{join.kind}'" if join.kind else ""
    ((every, matched),) = tables.sql(
        f"select count(*), count(b.{join.target_column}) from {join.stream} a "
        f"left join {join.target} b on b.{join.target_column} = {value} {where}"
    ).fetchall()
    assert 0 < matched <= every
    assert matched == every or not join.always


def test_an_item_shown_in_two_versions_is_one_row(tmp_path: Path) -> None:
    """Both reach the database, and the later one is in the table."""
    tenant = Tenant(Size(items_per_drive=350))
    config, file = tmp_path / "config.json", tmp_path / "tenant.duckdb"
    with serve(tenant) as server:
        config.write_text(json.dumps({**server.config(), "page_size": 100}))
        connector = Connector(config, {**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle})
        display = Display(Console(file=io.StringIO()))
        assert replicate(connector, file, ["drive_items"], incremental=False, display=display) == 0

    held = sorted((key["id"], key["user_id"], item["name"]) for key, item in tenant.expected("drive_items"))
    with duckdb.connect(str(file), read_only=True) as connection:
        ((records,),) = connection.sql("select records from sync.streams").fetchall()
        assert connection.sql("select id, user_id, name from drive_items order by 1, 2").fetchall() == held
    assert records > len(held)


def test_changes_of_the_tenant_reach_the_tables(tmp_path: Path) -> None:
    """Made, edited and deleted between two runs with --incremental: the tables are the tenant's, for few records."""
    tenant, streams = Tenant(), {"users": "displayName", "groups": "displayName", "drive_items": "name"}
    config, file = tmp_path / "config.json", tmp_path / "tenant.duckdb"
    with serve(tenant) as server:
        config.write_text(json.dumps(server.config()))
        connector = Connector(config, {**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle})
        display = Display(Console(file=io.StringIO()))
        assert replicate(connector, file, list(streams), incremental=True, display=display) == 0
        for stream, name in streams.items():
            _, second, *_, last = (key for key, _ in tenant.expected(stream))
            tenant.edit(stream, second, **{name: "edited"})
            tenant.add(stream)
            # What was below a user who is gone is not told by any delta.
            if stream != "users":
                tenant.delete(stream, last)
        assert replicate(connector, file, list(streams), incremental=True, display=display) == 0

    with duckdb.connect(str(file), read_only=True) as connection:
        for stream, name in streams.items():
            held = {tuple(key.values()) for key, _ in tenant.expected(stream)}
            key = ", ".join(next(tenant.expected(stream))[0])
            assert set(connection.sql(f"select {key} from {stream}").fetchall()) == held, stream
            edited = connection.sql(f"select count(*) from {stream} where {snake_case(name)} = 'edited'").fetchall()
            assert edited == [(1,)], stream
        ((records,),) = connection.sql("select sum(records) from sync.streams").fetchall()
    assert records < 100 < sum(len(list(tenant.expected(stream))) for stream in streams)


# The command itself.


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tables", "--simulated", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a run of four streams prints where it is not a terminal."""
    file = tmp_path_factory.mktemp("told") / "tenant.duckdb"
    done = run("--streams", "users,groups,group_member,team_member", "--database", str(file), COLUMNS="100")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_ends_with_a_table(told: list[str]) -> None:
    """A line a stream: records, seconds, and what was skipped and why."""
    head = told.index(next(line for line in told if line.startswith("stream")))
    table = [line.split() for line in told[head : head + 5]]
    assert table[0] == ["stream", "records", "seconds", "skipped,", "and", "why"]
    assert [line[:2] for line in table[1:]] == [
        ["users", "25"],
        ["groups", "12"],
        ["group_member", "129"],
        ["team_member", "41"],
    ]
    assert told[head + 4].rstrip().endswith("  1  The object was deleted, or was never set up in this service.")
    assert any(line.startswith("207 records read in ") for line in told)


def test_the_queries_it_offers_work_as_printed(told: list[str], tmp_path: Path) -> None:
    """Three lines to paste into a shell, each with an answer of at least one row."""
    offered = [line.strip() for line in told[told.index("Try:") + 1 :]]
    # The shell's python3 may be another than this one, for which dev.py would set up .venv anew.
    (tmp_path / "python3").symlink_to(sys._base_executable)  # type: ignore[attr-defined]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert len(offered) == 3
    for command in offered:
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("│\n") > 3, done.stdout


def test_a_stream_there_is_not_is_told(tmp_path: Path) -> None:
    """A misspelt stream is answered with those there are."""
    done = run("--streams", "user", "--database", str(tmp_path / "tenant.duckdb"))
    assert done.returncode == 1
    assert "No such stream: user. There are users, applications," in done.stderr
    assert not (tmp_path / "tenant.duckdb").exists()
