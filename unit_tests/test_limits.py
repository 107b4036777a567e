"""A machine that gives less than usual: few threads, no directory for temporary files, a full disk."""

from __future__ import annotations

import errno
import io
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessage, AirbyteStateMessageSerializer, SyncMode
from airbyte_cdk.test.catalog_builder import CatalogBuilder, ConfiguredAirbyteStreamBuilder
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput
from airbyte_cdk.test.entrypoint_wrapper import read as run_read

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.run import run
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.waiting import WaitingLines
from unit_tests.graph_api import CONFIG, GRAPH, FakeGraph, errors, read, rows, statuses, warnings

SOME = {
    "users": "users",
    "groups": "groups",
    "chats": "users/u/chats",
    "chat_messages": "chats/u/messages",
    "mail_messages": "users/u/messages",
    "directory_roles": "directoryRoles",
    "audit_logs_directory": "auditLogs/directoryAudits",
}
"""Streams of several services, with parents that wait for each other."""

NEEDED = 2
"""Threads without which there is no sync: one that finds what to read, and one that reads it."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of threads that may still be started, and of those that were."""
    room = [10_000, 0]
    start = threading.Thread.start

    def start_if_there_is_room(thread: threading.Thread) -> None:
        if room[1] >= room[0]:
            raise RuntimeError("can't start new thread")
        room[1] += 1
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_if_there_is_room)
        yield room


def test_a_sync_works_with_as_few_threads_as_there_are(graph: FakeGraph, started: list[int]) -> None:
    """For each number of threads up to the one that is used: all records, or one sentence before anything was read."""
    graph.holds_one_of_each()
    graph.lists("chats/u/messages", [{"id": "m"}])
    read(*SOME)
    most = started[1]
    assert most > len(SOME)

    for threads in range(most + 1):
        started[:] = [threads, 0]
        output = read(*SOME, fails=threads < NEEDED)
        if threads < NEEDED:
            assert errors(output) == {None: "This machine starts no further thread, and a sync needs at least two."}
            assert rows(output) == []
        else:
            assert {row_stream for row_stream in SOME if rows(output, row_stream)} == set(SOME), threads
            assert {statuses(output, stream)[-1] for stream in SOME} == {"COMPLETE"}, threads
            assert threads > len(SOME) or any("starts no" in warning for warning in warnings(output)), threads


def test_parents_come_first() -> None:
    """With one thread that finds partitions, a stream may wait only for streams before it."""
    for position, stream in enumerate(STREAMS):
        known = set(STREAMS[:position])
        parent = getattr(stream, "parent_class", None)
        if parent in STREAMS:
            assert parent in known, stream.__name__


# Temporary files.

CHANGED = [{"id": str(number), "displayName": "x" * 1000} for number in range(5_000)]
DELETED = [{"id": f"{number}{'x' * 1000}", "@removed": {"reason": "deleted"}} for number in range(5_000)]
"""Each more than what waits in memory."""


def read_changes(graph: FakeGraph, changes: list[dict[str, Any]], *, fails: bool) -> EntrypointOutput:
    """A second sync of users and groups; these users changed since the first."""
    graph.lists("groups", [{"id": "g"}])
    for path in ("users", "groups"):
        delta = f"{GRAPH}{path}/delta?$deltatoken="
        graph.answers(f"{path}/delta?$deltatoken=latest", {"json": {"value": [], "@odata.deltaLink": f"{delta}one"}})
        graph.answers(f"{path}/delta?$deltatoken=one", {"json": {"value": [], "@odata.deltaLink": f"{delta}two"}})
    graph.lists("users", [{"id": "0"}])
    first = incremental([])
    states = {state.stream.stream_descriptor.name: state for state in states_of(first)}
    page = {"value": changes, "@odata.deltaLink": f"{GRAPH}users/delta?$deltatoken=two"}
    graph.answers("users/delta?$deltatoken=one", {"json": page})
    return incremental(list(states.values()), fails=fails)


def incremental(states: list[AirbyteStateMessage], *, fails: bool = False) -> EntrypointOutput:
    builder = CatalogBuilder()
    for name in ("users", "groups"):
        stream = ConfiguredAirbyteStreamBuilder().with_name(name).with_sync_mode(SyncMode.incremental)
        builder = builder.with_stream(stream)
    return run_read(SourceMicrosoftGraph(), CONFIG, builder.build(), states, expecting_exception=fails)


def states_of(output: EntrypointOutput) -> list[AirbyteStateMessage]:
    return [message.state for message in output.state_messages if message.state]


def since(output: EntrypointOutput, stream: str) -> str:
    *_, last = [state for state in states_of(output) if state.stream.stream_descriptor.name == stream]
    return str(AirbyteStateMessageSerializer.dump(last)["stream"]["stream_state"]["since"])


class _FullDisk(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=["no directory", "full disk"])
def no_room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the system says of a temporary file, here where it is asked for one by the streams."""
    if request.param == "full disk":
        monkeypatch.setattr(
            tempfile.SpooledTemporaryFile, "_TemporaryFile", lambda *_, **__: _FullDisk(), raising=False
        )
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda *_, **__: _FullDisk())
        return "No space left on device"

    def none(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "TemporaryFile", none)
    return "No usable temporary directory"


def test_no_room_for_a_file_fails_that_stream_alone(graph: FakeGraph, no_room: str) -> None:
    """It says so in a sentence and its state stays; the other stream is read."""
    output = read_changes(graph, DELETED, fails=True)

    assert no_room in errors(output)["users"]
    assert (statuses(output, "users")[-1], statuses(output, "groups")[-1]) == ("INCOMPLETE", "COMPLETE")
    assert rows(output, "users") == []
    assert (since(output, "users"), since(output, "groups")) == ("one", "two")


@pytest.mark.parametrize("changes", [CHANGED, DELETED[:100]], ids=["changed", "few deleted"])
def test_most_changes_need_no_file(graph: FakeGraph, no_room: str, changes: list[dict[str, Any]]) -> None:
    """What changed goes out at once, whatever its number."""
    output = read_changes(graph, changes, fails=False)

    assert len(rows(output, "users")) == len(changes)
    assert since(output, "users") == "two"


def test_many_deletions_wait_in_a_file(graph: FakeGraph) -> None:
    output = read_changes(graph, DELETED, fails=False)

    assert [row["id"] for row in rows(output, "users")] == [user["id"] for user in DELETED]


@pytest.mark.parametrize("deduplicated", [True, False])
def test_a_large_drive_needs_a_file_unless_the_last_row_counts(
    graph: FakeGraph, no_room: str, deduplicated: bool
) -> None:
    """Where there is no room for one, the stream says so and is not whole."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("users/u/drive/root/delta", CHANGED[:2_500], CHANGED[2_500:])

    output = read("drive_items", deduplicated=deduplicated, fails=not deduplicated)

    assert statuses(output, "drive_items")[-1] == ("COMPLETE" if deduplicated else "INCOMPLETE")
    if deduplicated:
        assert len(rows(output)) == len(CHANGED)
    else:
        assert no_room in errors(output)["drive_items"]


def test_lines_come_back_in_their_order() -> None:
    with WaitingLines() as waiting:
        for number in range(3):
            waiting.append(b"%d\n" % (10**number))
        assert list(waiting) == [b"1\n", b"10\n", b"100\n"]


@pytest.mark.parametrize("command", ["spec", "check", "discover", "read"])
def test_no_command_needs_a_temporary_directory(
    graph: FakeGraph, command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.holds_one_of_each()
    stream = {"name": "users", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    configured = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    arguments = [command]
    for option, content in (("config", CONFIG), ("catalog", {"streams": [configured]})):
        (tmp_path / f"{option}.json").write_text(json.dumps(content))
        if command == "read" or (command != "spec" and option == "config"):
            arguments += [f"--{option}", str(tmp_path / f"{option}.json")]

    def no_directory() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "gettempdir", no_directory)
        patch.setattr(tempfile, "tempdir", None)
        patch.setattr(tempfile, "_get_default_tempdir", no_directory)
        assert run(arguments) == 0

    kinds = {json.loads(line)["type"] for line in capfd.readouterr().out.splitlines()}
    assert kinds & {"SPEC", "CONNECTION_STATUS", "CATALOG", "RECORD"}
