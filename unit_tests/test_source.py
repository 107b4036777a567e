"""spec, check, discover and read, as the platform calls them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from airbyte_cdk.models import ConnectorSpecification, FailureType, Status, SyncMode
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput, discover
from airbyte_cdk.test.entrypoint_wrapper import read as run_read
from airbyte_cdk.utils import AirbyteTracedException

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.run import run
from source_microsoft_graph.streams import STREAMS
from unit_tests.graph_api import CONFIG, EVERY_PERMISSION, FakeGraph, a_catalog, an_error, errors, read

LOGGER = logging.getLogger("airbyte")

OWN_PATHS = (
    "users",
    "applications",
    "servicePrincipals",
    "groups",
    "auditLogs/directoryAudits",
    "auditLogs/signIns",
    "identity/conditionalAccess/policies",
    "directoryRoles",
    "directoryRoleTemplates",
)
"""What can be listed without knowing a parent."""


def check(config: Mapping[str, Any] = CONFIG) -> tuple[Status, str | None]:
    """What the platform shows; a config_error reaches the user as a FAILED status."""
    try:
        status = SourceMicrosoftGraph().check(LOGGER, config)
    except AirbyteTracedException as refusal:
        if refusal.failure_type != FailureType.config_error:
            raise
        return Status.FAILED, refusal.message
    return status.status, status.message


def test_spec_is_the_file() -> None:
    """The specification a user's form is built from is spec.json as it stands."""
    spec = SourceMicrosoftGraph().spec(LOGGER)
    assert isinstance(spec, ConnectorSpecification)
    properties = spec.connectionSpecification["properties"]
    assert sorted(properties, key=lambda name: properties[name]["order"]) == [
        "tenant_id",
        "credentials",
        "start_date",
        "page_size",
        "num_workers",
        "cloud",
        "scope",
        "client_id",
        "client_secret",
    ]
    assert spec.connectionSpecification["required"] == ["tenant_id"]


def test_check_succeeds_with_one_real_request(graph: FakeGraph) -> None:
    """One token and one row of one stream prove the connection."""
    graph.lists("users", [{"id": "1"}])

    assert check() == (Status.SUCCEEDED, None)
    assert graph.asked == ["users?$top=1&$select=id"]
    assert graph.sign_ins == 1


def test_check_names_what_each_stream_lacks(graph: FakeGraph, caplog: pytest.LogCaptureFixture) -> None:
    """Streams without their permission, or their parents', are told at WARN; one readable stream is enough."""
    graph.grants("User.Read.All", "Calendars.Read")
    graph.lists("users", [{"id": "1"}])

    with caplog.at_level(logging.WARNING):
        assert check() == (Status.SUCCEEDED, None)

    told = dict(message.split(" cannot be read: grant the app ") for message in caplog.messages)
    assert "users" not in told
    assert "calendar_events" not in told
    assert told["mail_messages"] == "Mail.Read."
    assert told["group_member"] == "Group.Read.All."
    assert told["chat_messages"] == "Chat.Read.All."
    assert told["drives"] == "Files.Read.All, Group.Read.All."
    assert len(told) == 20


@pytest.mark.parametrize("permission", EVERY_PERMISSION)
def test_a_missing_permission_costs_its_own_streams_only(
    graph: FakeGraph, caplog: pytest.LogCaptureFixture, permission: str
) -> None:
    """Without one permission, exactly the streams that need it, or whose parents do, are told."""
    graph.grants(*set(EVERY_PERMISSION) - {permission})
    for path in OWN_PATHS:
        graph.lists(path, [{"id": "1"}])

    with caplog.at_level(logging.WARNING):
        assert check() == (Status.SUCCEEDED, None)

    parents = {"User.Read.All": 8, "Group.Read.All": 7, "RoleManagement.Read.Directory": 3, "Chat.Read.All": 2}
    others = {"Files.Read.All": 2, "Application.Read.All": 2, "AuditLog.Read.All": 2}
    assert len(caplog.messages) == {**parents, **others}.get(permission, 1)
    assert all(permission in message for message in caplog.messages)


def test_check_tries_another_stream_when_one_is_refused(graph: FakeGraph) -> None:
    """A tenant may refuse one list for reasons of its own; the next one proves the connection as well."""
    graph.answers("users", an_error(403, "Authorization_RequestDenied"))
    graph.lists("applications", [{"id": "1"}])

    assert check() == (Status.SUCCEEDED, None)


def test_check_fails_when_nothing_can_be_read(graph: FakeGraph) -> None:
    """A token without roles reads nothing, and the message says what to grant."""
    graph.grants()
    for path in OWN_PATHS:
        graph.answers(path, an_error(403, "Authorization_RequestDenied", "Insufficient privileges."))

    status, message = check()

    assert status == Status.FAILED
    assert "No stream can be read" in str(message)
    assert "User.Read.All" in str(message)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (7000215, "secret is wrong"),
        (7000222, "secret has expired"),
        (700016, "no app with this client ID"),
        (90002, "tenant was not found"),
        (7000112, "disabled"),
        (99999999, "AADSTS99999999"),
    ],
)
def test_check_explains_a_refused_sign_in(graph: FakeGraph, code: int, told: str) -> None:
    """Entra's codes are put into words, as a clean message and without the secret (CDK trap T16)."""
    description = f"AADSTS{code}: Something about '{CONFIG['client_secret']}'.\r\nTrace ID: 1"
    graph.signs_in({"status_code": 401, "json": {"error": "invalid_client", "error_description": description}})

    status, message = check()

    assert status == Status.FAILED
    assert told in str(message)
    assert not str(message).startswith("'")


def test_check_crashes_when_graph_is_down(graph: FakeGraph) -> None:
    """An outage is not the user's fault: no FAILED status that would have them look for theirs."""
    graph.answers("users", an_error(503, "ServiceUnavailable"))

    with pytest.raises(AirbyteTracedException) as raised:
        check()

    assert raised.value.failure_type == FailureType.transient_error


def test_discover_needs_no_network(graph: FakeGraph) -> None:
    """The catalog is the same whatever the tenant: 22 streams, full refresh, with their keys."""
    output: EntrypointOutput = discover(SourceMicrosoftGraph(), CONFIG)

    catalog = output.catalog.catalog
    assert len(catalog.streams) == len(STREAMS)
    assert {tuple(stream.supported_sync_modes) for stream in catalog.streams} == {(SyncMode.full_refresh,)}
    keys = {stream.name: stream.source_defined_primary_key for stream in catalog.streams}
    assert keys["users"] == [["id"]]
    assert keys["mail_messages"] == [["id"], ["user_id"]]
    assert graph.asked == []
    assert graph.sign_ins == 0


@pytest.mark.parametrize(
    ("patch", "field"),
    [({"page_size": 5}, "page_size"), ({"start_date": "soon"}, "start_date"), ({"tenant_id": ""}, "tenant_id")],
)
def test_a_bad_configuration_is_refused_by_the_name_of_its_field(
    graph: FakeGraph, patch: Mapping[str, Any], field: str
) -> None:
    """Read and discover refuse it before anything is asked."""
    for output in (read("users", config={**CONFIG, **patch}, fails=True),):
        assert f"Configuration: {field}: " in errors(output)[None]
    assert graph.asked == []


def test_read_refuses_a_stream_it_does_not_have(graph: FakeGraph) -> None:
    """A catalog from another connector fails loudly before anything is read."""
    output = run_read(SourceMicrosoftGraph(), CONFIG, a_catalog("users", "invoices"), expecting_exception=True)

    assert "invoices" in errors(output)[None]
    assert graph.asked == []


def test_read_of_nothing_is_nothing(graph: FakeGraph) -> None:
    """An empty catalog ends at once."""
    assert read().records == []


def test_two_reads_from_one_source_are_alike(graph: FakeGraph) -> None:
    """Nothing of the first read is left in the source for the second."""
    source = SourceMicrosoftGraph()
    graph.lists("users", [{"id": "u1"}, {"id": "u2"}])
    graph.lists("users/u1/chats", [{"id": "c"}])
    graph.lists("users/u2/chats", [{"id": "c"}])

    first, second = (run_read(source, CONFIG, a_catalog("chats")) for _ in range(2))

    assert [[record.record.data for record in output.records] for output in (first, second)] == [[{"id": "c"}]] * 2


def test_a_selected_parent_is_read_in_full_beside_its_children(graph: FakeGraph) -> None:
    """Users are listed whole for their own stream and by id for the streams below them."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("users/u/messages", [{"id": "m"}])
    graph.lists("users/u/events", [{"id": "e"}])

    read("users", "mail_messages", "calendar_events")

    selects = sorted(len(url) for url in graph.asked if url.startswith("users?"))
    assert len(selects) == 2
    assert selects[0] == len("users?$top=999&$select=id")


def test_messages_are_json_lines(graph: FakeGraph, capfd: pytest.CaptureFixture[str]) -> None:
    """The console script prints one JSON object a line, logs included."""
    run(["spec"])

    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["LOG", "SPEC"]
