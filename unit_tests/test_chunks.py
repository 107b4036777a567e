"""Records as chunks of lines: the same as the CDK would print, each once, in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from airbyte_cdk.entrypoint import AirbyteEntrypoint

from source_microsoft_graph.read.chunks import Chunk
from source_microsoft_graph.run import run
from unit_tests.graph_api import CONFIG, FakeGraph, errors, read, rows

ROWS = [{"id": "1", "name": 'Zoë \n\u2028 "quoted"'}, {"id": "2", "nested": {"a": [1, None, 2.5, True]}}]


def test_a_chunk_holds_the_lines_the_cdk_would_print() -> None:
    """Byte for byte what the CDK's serialiser makes of the same records, where they hold no null at the top."""
    chunk = Chunk.of("users", [orjson.dumps(row) for row in ROWS])

    printed = [AirbyteEntrypoint.airbyte_message_to_string(message) for message in chunk.messages()]
    assert chunk.lines.decode() == "".join(f"{line}\n" for line in printed)
    assert [message.record.data for message in chunk.messages() if message.record] == ROWS
    assert (chunk.stream, chunk.records) == ("users", 2)


def test_nulls_are_printed() -> None:
    """A value that Graph sent as null is null, and not a column that is missing."""
    chunk = Chunk.of("users", [b'{"id":"1","mail":null}'])

    assert json.loads(chunk.lines)["record"]["data"] == {"id": "1", "mail": None}


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 25])
def test_every_record_comes_out_once_and_in_order(
    graph: FakeGraph, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whatever the number, the last chunk is whatever is left."""
    monkeypatch.setattr("source_microsoft_graph.read.reader.CHUNK_BYTES", 10 * len('{"id":"1"}'))
    graph.lists("users", [{"id": str(each)} for each in range(number)])

    assert [row["id"] for row in rows(read("users"))] == [str(each) for each in range(number)]


def test_records_before_a_failure_come_out(graph: FakeGraph) -> None:
    """What was read when the network went is handed over, and then the failure."""
    graph.lists("users", [{"id": str(each)} for each in range(150)], [])
    graph.answers("users?$skiptoken=page-2", {"exc": requests.ConnectionError("gone")})

    output = read("users", fails=True)

    assert len(rows(output)) == 150
    assert "gone" in errors(output)["users"]


def test_the_console_script_prints_records_statuses_and_counts(
    graph: FakeGraph, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The script prints what the source gives message by message: statuses in order, the state with its count."""
    graph.lists("users", [{"id": str(each)} for each in range(250)])
    stream = {"name": "users", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    configured = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    for name, content in (("config", CONFIG), ("catalog", {"streams": [configured]})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))

    run(["read", "--config", str(tmp_path / "config.json"), "--catalog", str(tmp_path / "catalog.json")])

    messages = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    kinds = [kind(message) for message in messages if message["type"] != "LOG"]
    assert kinds == ["STARTED", "RUNNING", *["RECORD"] * 250, "STATE", "COMPLETE"]
    (state,) = (message["state"] for message in messages if message["type"] == "STATE")
    assert state["sourceStats"] == {"recordCount": 250.0}
    assert "Read 250 records from users stream" in [
        message["log"]["message"] for message in messages if message["type"] == "LOG"
    ]


@pytest.mark.parametrize("host", ["login", "graph"])
def test_a_check_without_an_answer_is_told_once(
    graph: FakeGraph, tmp_path: Path, capfd: pytest.CaptureFixture[str], host: str
) -> None:
    """One TRACE, no second word of it in the log, no status, and an exit code that says the check itself failed."""
    silence = requests.ConnectionError("Nobody is there")
    graph.never_answers(silence)
    if host == "login":
        graph.signs_in({"exc": silence})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))

    exit_code = run(["check", "--config", str(tmp_path / "config.json")])

    out, err = capfd.readouterr()
    messages = [json.loads(line) for line in out.splitlines()]
    (told,) = [message for message in messages if "Nobody is there" in json.dumps(message)]
    assert {message["type"] for message in messages if message is not told} <= {"LOG"}
    error = told["trace"]["error"]
    assert "Nobody is there" in error["message"]
    assert error["failure_type"] == "transient_error"
    assert (exit_code, err) == (1, "")


def kind(message: dict[str, Any]) -> str:
    status = message.get("trace", {}).get("stream_status", {}).get("status")
    return str(status or message["type"])
