"""The files and fields a command is given: whatever is wrong with one is said in a sentence that names it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from source_microsoft_graph.config.files import read_catalog, read_config, read_states
from source_microsoft_graph.run import run
from unit_tests.graph_api import CONFIG, FakeGraph

SECRET = "gR8~never-to-be/printed+at=all"
USERS = {"name": "users", "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]}
CONFIGURED = {"stream": USERS, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
CATALOG = {"streams": [CONFIGURED]}
STATE = [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "users"}, "stream_state": {"version": 1}}}]

MISSING = object()
FOLDER = object()

UNREADABLE: dict[str, tuple[Any, str]] = {
    "missing": (MISSING, "does not exist"),
    "a folder": (FOLDER, "is a folder"),
    "empty": (b"", "is empty"),
    "blank": (b" \n", "is empty"),
    "cut": (b'{"client_secret": "' + SECRET.encode(), "holds no JSON: Unterminated string"),
    "a page": (b"<html>", "holds no JSON: Expecting value in line 1, column 1"),
    "binary": (b"\xff\xfe\x00", "is no text in UTF-8"),
    "nested": (b"[" * 100_000, "holds JSON that is nested too deeply"),
    "huge number": (b"[" + b"9" * 5_000 + b"]", "holds a number with too many digits"),
}
"""What no file may be, and what is said of it."""

NO_OBJECTS: dict[str, tuple[Any, str]] = {
    "a list": ([SECRET], "holds no JSON object"),
    "a text": (SECRET, "holds no JSON object"),
    "null": (None, "holds no JSON object"),
    "a number": (5, "holds no JSON object"),
}


def with_stream(**changes: Any) -> dict[str, Any]:
    return {"streams": [{**CONFIGURED, **changes}]}


def without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


CATALOGS: Mapping[str, tuple[Any, str]] = {
    "no streams": ({}, "is not right. streams: is required"),
    "a configuration": (CONFIG, "is not right. streams: is required"),
    "what discover prints": ({"type": "CATALOG", "catalog": {"streams": [USERS]}}, "is what discover prints"),
    "discovered streams": ({"streams": [USERS]}, "is not right. streams.0.stream: is required"),
    "streams null": ({"streams": None}, "is not right. streams: is not of type array"),
    "streams an object": ({"streams": {"users": SECRET}}, "is not right. streams: is not of type array"),
    "a name for a stream": ({"streams": [SECRET]}, "is not right. streams.0: is not of type object"),
    "no stream": ({"streams": [without(CONFIGURED, "stream")]}, "streams.0.stream: is required"),
    "stream a text": (with_stream(stream=SECRET), "streams.0.stream: is not of type object"),
    "no name": (with_stream(stream=without(USERS, "name")), "streams.0.stream.name: is required"),
    "name a number": (with_stream(stream={**USERS, "name": 5}), "streams.0.stream.name: is not of type string"),
    "no schema": (with_stream(stream=without(USERS, "json_schema")), "streams.0.stream.json_schema: is required"),
    "no modes": (
        with_stream(stream=without(USERS, "supported_sync_modes")),
        "streams.0.stream.supported_sync_modes: is required",
    ),
    "no sync mode": ({"streams": [without(CONFIGURED, "sync_mode")]}, "streams.0.sync_mode: is required"),
    "odd sync mode": (
        with_stream(sync_mode=SECRET),
        "streams.0.sync_mode: must be one of full_refresh, incremental",
    ),
    "no destination mode": (
        {"streams": [without(CONFIGURED, "destination_sync_mode")]},
        "streams.0.destination_sync_mode: is required",
    ),
    "odd key": (with_stream(primary_key=SECRET), "streams.0.primary_key: is not of type array or null"),
    "odd generation": (with_stream(generation_id=SECRET), "is not a configured catalog of the Airbyte protocol"),
}

STATES: Mapping[str, tuple[Any, str]] = {
    "old form": ({"users": {"version": SECRET}}, "holds one object, the form of old versions of Airbyte"),
    "one message": ({"type": "STATE", "state": STATE[0]}, "holds one object"),
    "a text": (SECRET, "is not right. The whole: is not of type array"),
    "a number": (5, "is not right. The whole: is not of type array"),
    "texts": ([SECRET], "is not right. 0: is not of type object"),
    "printed messages": ([{"type": "STATE", "state": STATE[0]}], "is not right. 0"),
    "of all streams": ([{"type": "GLOBAL", "global": {}}], "is not right. 0"),
    "legacy": ([{"type": "LEGACY", "data": {"users": {}}}], "is not right. 0"),
    "no name": (
        [{"type": "STREAM", "stream": {"stream_descriptor": {}}}],
        "is not right. 0.stream.stream_descriptor.name: is required",
    ),
    "no stream": ([{"type": "STREAM"}], "is not right. 0.stream: is required"),
    "state a text": (
        [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "users"}, "stream_state": SECRET}}],
        "is not right. 0.stream.stream_state: is not of type object or null",
    ),
}


def in_credentials(**fields: Any) -> dict[str, Any]:
    credentials = {"auth_type": "client_secret", "client_id": "c", "client_secret": SECRET}
    return {"tenant_id": CONFIG["tenant_id"], "credentials": {**credentials, **fields}}


def with_config(**fields: Any) -> dict[str, Any]:
    return {**CONFIG, **fields}


CONFIGS: Mapping[str, tuple[Any, str]] = {
    "misspelt": (with_config(start_dat=SECRET), "start_dat: there is no such field; the nearest is start_date"),
    "in another case": (with_config(startDate=SECRET), "startDate: there is no such field; the nearest"),
    "misspelt and required": ({"tenantid": SECRET}, "tenantid: there is no such field; the nearest is tenant_id"),
    "like no other": (with_config(zzz=SECRET), "zzz: there is no such field."),
    "of a section": (
        with_config(private_key=SECRET),
        "private_key: there is no such field; the nearest is credentials.private_key",
    ),
    "misspelt in credentials": (
        in_credentials(client_secrt=SECRET),
        "credentials.client_secrt: there is no such field; the nearest is credentials.client_secret",
    ),
    "misspelt in cloud": (
        with_config(cloud={"cloud_type": "custom", "login_hst": SECRET, "graph_host": "graph.example"}),
        "cloud.login_hst: there is no such field; the nearest is cloud.login_host",
    ),
    "a secret for a choice": (in_credentials(auth_type=SECRET), "credentials.auth_type: must be one of client_secret,"),
    "a secret for an ID": (in_credentials(client_id=f"{SECRET} "[:-1] + " x"), "credentials.client_id: is not an"),
    "a secret for a host": (
        with_config(cloud={"cloud_type": "custom", "login_host": SECRET, "graph_host": "graph.example"}),
        "cloud.login_host: is not",
    ),
    "a secret for a file": (
        in_credentials(auth_type="workload_identity", assertion_file=SECRET),
        "credentials.assertion_file: is not the absolute path of a file",
    ),
    "a secret for a date": (with_config(start_date=SECRET), "start_date: is not YYYY-MM-DD or"),
    "a secret for a duration": (with_config(lookback_window=SECRET), "lookback_window: is not a duration"),
    "a secret for a scope": (with_config(scope=SECRET), "scope: is not https://<Graph host>/.default"),
    "a secret for a body": (with_config(message_body=SECRET), "message_body: must be one of html, text, none"),
    "a secret for a property": (
        with_config(extra_user_properties=[SECRET]),
        "extra_user_properties.0: must be one of employeeOrgData,",
    ),
    "a secret for a number": (with_config(page_size=SECRET), "page_size: is not of type integer"),
    "a secret for a switch": (with_config(include_guests=SECRET), "include_guests: is not of type boolean"),
    "a secret for a user": (with_config(include_users=[SECRET]), "include_users.0: is not an object ID or"),
    "a secret for a filter": (with_config(user_filter=f"${SECRET}"), "user_filter: is not the expression alone"),
    "too few": (with_config(num_workers=1), "num_workers: must be at least 2"),
    "too many": (with_config(page_size=1000), "page_size: must be at most 999"),
    "twice": (
        with_config(extra_user_properties=["employeeOrgData"] * 2),
        "extra_user_properties: names something twice",
    ),
    "in both lists": (
        with_config(include_users=["a@b.c"], exclude_users=["d@e.f", "A@b.c"]),
        "exclude_users: its entry 2 stands in include_users too",
    ),
    "year one": (with_config(start_date="0001-01-01"), "start_date: is not YYYY-MM-DD or"),
    "1969": (with_config(start_date="1969-12-31T23:59:59Z"), "start_date: is not YYYY-MM-DD"),
    "year 9999": (with_config(start_date="9999-12-31"), "start_date: is not YYYY-MM-DD"),
    "no such day": (with_config(start_date="2023-02-29"), "start_date: is not a date there is, as YYYY-MM-DD"),
    "a thousand years": (with_config(lookback_window="P365250D"), "lookback_window: is not a duration such as"),
    "one day too many": (with_config(lookback_window="P367D"), "lookback_window: is not a duration such as"),
    "weeks without end": (with_config(lookback_window="P999999999W"), "lookback_window: is not a duration such as"),
    "seconds without end": (with_config(lookback_window=f"PT{'9' * 5000}S"), "lookback_window: is not a duration"),
}
"""Configurations that are JSON objects, with the field and what is said of it."""


def written(folder: Path, name: str, content: Any) -> str:
    path = folder / f"{name}.json"
    if content is FOLDER:
        path.mkdir()
    elif content is not MISSING:
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(path)


def trouble(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one error of a command that fails with it: a trace of the configuration, or a connection status."""
    code = run(list(arguments))
    output = capfd.readouterr().out
    messages = [json.loads(line) for line in output.splitlines()]
    traces = [message["trace"]["error"] for message in messages if message.get("trace", {}).get("error")]
    connections = [message["connectionStatus"] for message in messages if message["type"] == "CONNECTION_STATUS"]
    assert SECRET not in output
    assert not [message for message in messages if message.get("log", {}).get("level") == "FATAL"], output
    if connections:
        # The exit code of a check that could be made is 0, whatever it found.
        (connection,) = connections
        assert (code, traces, connection["status"]) == (0, [], "FAILED")
        return str(connection["message"])
    (trace,) = traces
    assert (code, trace["failure_type"]) == (1, "config_error")
    assert trace["message"] == trace["internal_message"]
    return str(trace["message"])


def arguments_of(folder: Path, command: str, **files: Any) -> list[str]:
    """A command with these files; the others are sound."""
    sound = {"config": CONFIG, "catalog": CATALOG, "state": STATE} if command == "read" else {"config": CONFIG}
    paths = {name: written(folder, name, content) for name, content in {**sound, **files}.items()}
    return [command, *(part for name, path in paths.items() for part in (f"--{name}", path))]


@pytest.mark.parametrize(
    ("content", "told"), [*UNREADABLE.values(), *NO_OBJECTS.values()], ids=[*UNREADABLE, *NO_OBJECTS]
)
@pytest.mark.parametrize("command", ["check", "discover", "read"])
def test_a_configuration_file_that_is_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str, content: Any, told: str
) -> None:
    """Named with its path, whatever the command."""
    arguments = arguments_of(tmp_path, command, config=content)

    assert trouble(capfd, *arguments).startswith(f"The configuration file {tmp_path}/config.json {told}")


@pytest.mark.parametrize(("content", "told"), CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("command", ["check", "discover", "read"])
def test_a_field_that_is_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str, content: Any, told: str
) -> None:
    """Named with what it has to be, and never with its value."""
    arguments = arguments_of(tmp_path, command, config=content)

    assert trouble(capfd, *arguments).startswith(f"Configuration: {told}")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        pytest.param(name, *case, id=f"{name}: {what}")
        for name, cases in {
            "catalog": {**UNREADABLE, **NO_OBJECTS, **CATALOGS},
            "state": {**UNREADABLE, **STATES},
        }.items()
        for what, case in cases.items()
    ],
)
def test_a_catalog_or_state_that_is_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: Any, told: str
) -> None:
    """Named with its path and, where it is JSON, with what in it is wrong."""
    message = trouble(capfd, *arguments_of(tmp_path, "read", **{name: content}))

    assert message.startswith(f"The {name} file {tmp_path}/{name}.json ")
    assert told in message


def test_no_command_is_no_exception(capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever forgets it is told which there are."""
    assert trouble(capfd) == "Name a command: spec, check, discover, read or report."


@pytest.mark.parametrize("name", ["x" * 300, json.dumps({"client_secret": SECRET}), "with\x00null"])
def test_what_is_no_name_is_not_printed(capfd: pytest.CaptureFixture[str], name: str) -> None:
    """A configuration that stands where its path should be would print itself."""
    message = trouble(capfd, "discover", "--config", name)

    assert message.startswith("The configuration file ")
    assert ("x" * 300 not in message, "client_secret" in message) == (True, False)


@pytest.mark.parametrize("content", [None, {}, [], STATE], ids=["null", "an object", "a list", "a state"])
def test_states_that_are_sound(tmp_path: Path, content: Any) -> None:
    """Platforms pass an empty state in several forms."""
    states = read_states(written(tmp_path, "state", content))

    assert [state.stream.stream_descriptor.name for state in states if state.stream] == ["users"] * len(content or ())
    assert read_states(None) == []


def test_files_of_windows_are_sound(tmp_path: Path) -> None:
    """An editor there puts a byte order mark before the text."""
    path = written(tmp_path, "config", b"\xef\xbb\xbf" + json.dumps(CONFIG).encode())

    assert read_config(path) == CONFIG


def test_a_catalog_of_a_newer_protocol_is_sound(tmp_path: Path) -> None:
    """Fields may be added to it."""
    catalog = read_catalog(written(tmp_path, "catalog", {**with_stream(new=1, primary_key=[["id"]]), "more": 2}))

    assert [configured.stream.name for configured in catalog.streams] == ["users"]


@pytest.mark.parametrize("name", ["__injected_declarative_manifest", "__test_read_config", "_limit", "__airbyte"])
def test_what_airbyte_adds_is_no_field_of_ours(
    graph: FakeGraph, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """Its names begin with an underscore."""
    code = run(arguments_of(tmp_path, "discover", config={**CONFIG, name: {"a": 1}}))

    assert (code, '"type":"CATALOG"' in capfd.readouterr().out) == (0, True)
