"""Log messages with fields: what the connector tells a program, beside what it tells people."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.logger import AirbyteLogFormatter
from airbyte_cdk.models import AirbyteMessageSerializer

from source_microsoft_graph.logs import LogFormatter, with_fields
from source_microsoft_graph.run import run
from unit_tests.graph_api import CONFIG, FakeGraph, an_error


def a_log_record(level: int = logging.WARNING, **fields: Any) -> logging.LogRecord:
    logger = logging.getLogger("unit_tests.logs")
    return logger.makeRecord(logger.name, level, "", 0, "users: 2 left.", (), None, extra=with_fields(**fields))


def test_a_field_stands_beside_the_text() -> None:
    """Level and message are as the CDK writes them."""
    record = a_log_record(skipped={"stream": "users", "count": 2})

    written = json.loads(AirbyteLogFormatter().format(record))
    assert json.loads(LogFormatter().format(record)) == {
        "type": "LOG",
        "log": {**written["log"], "skipped": {"stream": "users", "count": 2}},
    }


def test_a_message_without_fields_is_the_cdks() -> None:
    record = logging.makeLogRecord({"msg": "Reading.", "levelno": logging.INFO})
    assert LogFormatter().format(record) == AirbyteLogFormatter().format(record)


def test_a_debug_message_keeps_its_form() -> None:
    record = a_log_record(logging.DEBUG, skipped={})
    assert LogFormatter().format(record) == AirbyteLogFormatter().format(record)


def test_readers_of_the_protocol_take_a_field() -> None:
    """The CDK's own deserialiser gives the message without it."""
    plain, with_field = (
        AirbyteMessageSerializer.load(json.loads(formatter.format(a_log_record(skipped={"count": 2}))))
        for formatter in (AirbyteLogFormatter(), LogFormatter())
    )
    assert plain == with_field


def test_the_connector_tells_what_it_skipped(
    graph: FakeGraph, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Stream, reason and the count so far with each object that is named, and the sum at the end."""
    graph.lists("groups", [{"id": "t1"}, {"id": "t2"}, {"id": "t3"}])
    graph.lists("teams/t1/channels", [{"id": "c"}])
    for team in ("t2", "t3"):
        graph.answers(f"teams/{team}/channels", an_error(404, "NotFound", f"No team found with Group Id {team}"))
    stream = {"name": "channels", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    configured = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    for name, content in (("config", CONFIG), ("catalog", {"streams": [configured]})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))

    run(["read", "--config", str(tmp_path / "config.json"), "--catalog", str(tmp_path / "catalog.json")])

    messages = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    logs = [message["log"] for message in messages if message["type"] == "LOG"]
    reason = {"meaning": "The object was deleted, or was never set up in this service.", "remedy": "", "link": ""}
    assert [log["skipped"] for log in logs if "skipped" in log] == [
        {"stream": "channels", **reason, "count": count} for count in (1, 2, 2)
    ]
    assert [log["level"] for log in logs if "skipped" in log] == ["WARN"] * 3
    last = next(log["message"] for log in reversed(logs) if "skipped" in log)
    assert last == f"channels: 2 skipped in all. {reason['meaning']}"
