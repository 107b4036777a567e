"""spec, check, discover and read, as the platform calls them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

import pytest
import requests
import requests_mock
from airbyte_cdk.models import ConnectorSpecification, FailureType, Status, SyncMode
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput, discover
from airbyte_cdk.test.entrypoint_wrapper import read as run_read
from airbyte_cdk.utils import AirbyteTracedException

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.config.configuration import SPEC
from source_microsoft_graph.errors import GraphUnreachable
from source_microsoft_graph.run import run
from unit_tests.conftest import Clock
from unit_tests.graph_api import (
    CONFIG,
    Answer,
    FakeGraph,
    a_catalog,
    a_jwt,
    an_error,
    errors,
    read,
    rows,
    warnings,
)
from unit_tests.roll import every_stream, one_of_each, permitted, probed_path, probes, with_children

EVERY_STREAM = every_stream()
ALL_CAN_BE_READ = f"All {len(EVERY_STREAM)} streams can be read."

NO_SEGMENT = "Resource not found for the segment 'auditLogs'."

LOGGER = logging.getLogger("airbyte")


def check(config: Mapping[str, Any] = CONFIG) -> tuple[Status, str | None]:
    """What the platform shows; a config_error reaches the user as a FAILED status."""
    try:
        status = SourceMicrosoftGraph().check(LOGGER, config)
    except AirbyteTracedException as refusal:
        if refusal.failure_type != FailureType.config_error:
            raise
        return Status.FAILED, refusal.message
    return status.status, status.message


def all_but(*streams: str) -> str:
    """How a check counts where these streams cannot be read."""
    return f"{len(EVERY_STREAM) - len(streams)} of {len(EVERY_STREAM)} streams can be read."


def paths(asked: list[str]) -> list[str]:
    return [url.partition("?")[0] for url in asked]


def test_spec_is_the_file() -> None:
    """The specification a user's form is built from is spec.json as it stands."""
    spec = SourceMicrosoftGraph().spec(LOGGER)
    assert isinstance(spec, ConnectorSpecification)
    assert spec.connectionSpecification == SPEC


def test_check_succeeds_with_a_handful_of_requests(graph: FakeGraph) -> None:
    """One token, one row of each stream, and few requests for all of them: streams of one service whose owners become
    known at the same time share a batch, and a request alone is a plain GET."""
    graph.holds_one_of_each()

    assert check() == (Status.SUCCEEDED, ALL_CAN_BE_READ)
    assert graph.sign_ins == 1
    # The fake Graph asks itself for each part, which counts here too.
    assert sorted(paths(graph.asked)) == sorted(map(probed_path, EVERY_STREAM))
    assert sorted(map(len, graph.batches)) == sorted(number for number in probes() if number > 1)


def test_check_says_what_each_stream_lacks(graph: FakeGraph) -> None:
    """Streams without their permission, or their parents', are told and not asked for; one readable is enough."""
    granted = ("User.Read.All", "Calendars.Read")
    graph.grants(*granted)
    graph.holds_one_of_each()
    readable = [stream for stream in EVERY_STREAM if permitted(stream, *granted)]
    assert {"users", "calendar_events"} <= {stream.name for stream in readable}

    status, message = check()

    assert status == Status.SUCCEEDED
    assert str(message).startswith(f"{len(readable)} of {len(EVERY_STREAM)} streams can be read. Permission missing: ")
    # Streams that lack the same are told together.
    for stream, lacking in {
        "mail_messages": "Mail.Read (at least Mail.ReadBasic.All).",
        "team_member": "Group.Read.All (at least GroupMember.Read.All), TeamMember.Read.All.",
        "drives": "Files.Read.All, Group.Read.All (at least GroupMember.Read.All).",
    }.items():
        assert re.search(rf"\b{stream}(, \w+)*: {re.escape(lacking)}", str(message)), stream
    assert "Granted so far: Calendars.Read, User.Read.All." in str(message)
    assert "users?$top=1&$select=id" in graph.asked
    assert sorted(paths(graph.asked)) == sorted(map(probed_path, readable))


def test_check_tells_at_warn_what_cannot_be_read(graph: FakeGraph, caplog: pytest.LogCaptureFixture) -> None:
    """Airbyte's form shows nothing of a check that succeeded, so the log does."""
    graph.grants("User.Read.All")
    graph.holds_one_of_each()

    with caplog.at_level(logging.INFO):
        _, message = check()

    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.WARNING, message)]


def test_check_goes_on_when_a_stream_is_refused(graph: FakeGraph) -> None:
    """A tenant may refuse one list for reasons of its own; what hangs on it is refused with it."""
    graph.holds_one_of_each()
    graph.answers("directoryRoles", an_error(403, "Authorization_RequestDenied", "Not for you."))

    status, message = check()

    assert status == Status.SUCCEEDED
    refused = with_children("directory_roles")
    assert "directory_role_member" in refused
    assert f"{all_but(*refused)} Refused: {', '.join(refused)}: HTTP 403" in str(message)
    assert "Not for you." in str(message)


def test_check_fails_when_nothing_can_be_read(graph: FakeGraph) -> None:
    """A token without roles reads nothing, and the message says what to grant."""
    graph.grants()
    for path in one_of_each():
        graph.answers(path, an_error(403, "Authorization_RequestDenied", "Insufficient privileges."))

    status, message = check()

    assert status == Status.FAILED
    assert str(message).startswith("No stream can be read. Permission missing: users, ")
    assert "Grant the application permissions User.Read.All, " in str(message)
    assert "Granted so far: nothing that the token tells of." in str(message)


def test_a_token_that_tells_nothing_may_still_read(graph: FakeGraph) -> None:
    """Microsoft promises nothing of a token's inside: where there are no roles in it, Graph's answers count."""
    graph.signs_in({"json": {"access_token": "opaque", "expires_in": 3600, "token_type": "Bearer"}})
    graph.holds_one_of_each()

    assert check() == (Status.SUCCEEDED, ALL_CAN_BE_READ)


ODD_ROLES = [
    pytest.param({"roles": None}, id="null"),
    pytest.param({"roles": "Directory.Read.All"}, id="a text"),
    pytest.param({"roles": ["User.Read.All", None]}, id="a null in the list"),
    pytest.param({"roles": ["User.Read.All", {"and": "more"}]}, id="an object in the list"),
    pytest.param(["User.Read.All"], id="no claims"),
]
"""Tokens that do not tell which permissions they carry."""


@pytest.mark.parametrize("claims", ODD_ROLES)
def test_where_the_token_does_not_tell_graph_is_asked(graph: FakeGraph, claims: Any) -> None:
    """No permission is missing but the one that Graph misses."""
    graph.signs_in({"json": {"access_token": a_jwt(claims), "expires_in": 3600, "token_type": "Bearer"}})
    graph.holds_one_of_each()
    graph.answers("applications", an_error(403, "Authorization_RequestDenied", "Insufficient privileges."))

    status, message = check()
    output = read("applications", fails=True)
    refused = with_children("applications")

    assert status == Status.SUCCEEDED
    assert str(message).startswith(
        f"{len(EVERY_STREAM) - len(refused)} of {len(EVERY_STREAM)} streams can be read. "
        f"Permission missing: {', '.join(refused)}: Application.Read."
    )
    assert "Insufficient privileges." in str(message)
    assert "Grant the application permission Application.Read.All" in errors(output)["applications"]
    assert "Insufficient privileges." in errors(output)["applications"]


@pytest.mark.parametrize("claims", ODD_ROLES)
def test_where_the_token_does_not_tell_nothing_is_left_out(graph: FakeGraph, claims: Any) -> None:
    """Records that take a further permission are requested, and arrive if Graph grants them."""
    graph.signs_in({"json": {"access_token": a_jwt(claims), "expires_in": 3600, "token_type": "Bearer"}})
    graph.lists("groups", [{"id": "g"}])
    graph.lists("groups/g/members", [{"id": "m"}])
    graph.lists("servicePrincipals", [{"id": "app"}])
    group = {"@odata.type": "#microsoft.graph.group", "id": "g"}
    graph.lists("servicePrincipals/app/memberOf", [group])

    output = read("group_member")

    assert {row["id"] for row in rows(output)} == {"m", "app"}
    assert warnings(output) == []


@pytest.mark.parametrize(
    "silence", [requests.ConnectionError("Refused"), requests.ReadTimeout("Read timed out.")], ids=type
)
@pytest.mark.parametrize("host", ["login", "graph"])
def test_a_check_does_not_wait_long_for_a_silent_host(clock: Clock, silence: Exception, host: str) -> None:
    """No attempt begins after six seconds, and none waits longer than twenty."""
    with requests_mock.Mocker() as wire:
        graph = FakeGraph(wire)
        graph.never_answers(silence)
        if host == "login":
            graph.signs_in({"exc": silence})

        with pytest.raises(GraphUnreachable, match=str(silence)):
            check()

    assert clock.slept == [1.0, 3.0]
    assert {request.timeout for request in wire.request_history} == {(10, 20)}


@pytest.mark.parametrize("empty", ["users", "groups", "users/u/chats"])
def test_nothing_to_read_is_readable(graph: FakeGraph, empty: str) -> None:
    """Where there is no object to ask about, the roles have to do."""
    graph.holds_one_of_each()
    graph.lists(empty, [])

    assert check() == (Status.SUCCEEDED, ALL_CAN_BE_READ)


def test_an_object_refused_is_no_stream_refused(graph: FakeGraph) -> None:
    """The first user may be a guest without a mailbox, or outside the app's access policy."""
    graph.holds_one_of_each()
    graph.answers("users/u/messages", an_error(404, "MailboxNotEnabledForRESTAPI"))
    graph.answers("users/u/events", an_error(403, "ErrorAccessDenied"))
    graph.answers("users/u/drive/root/delta", an_error(423, "notAllowed"))
    graph.answers("teams/g/members", an_error(401, "Unauthorized"))

    assert check() == (Status.SUCCEEDED, ALL_CAN_BE_READ)


def test_a_permission_that_only_graph_knows_of(graph: FakeGraph) -> None:
    """Teams names the roles it misses; then they are missing, whatever the token says."""
    graph.holds_one_of_each()
    text = "Missing role permissions on the request. API requires one of 'TeamMember.Read.All'."
    graph.answers("teams/g/members", an_error(403, "Forbidden", text))

    _, message = check()

    assert str(message).startswith(f"{all_but('team_member')} Permission missing: team_member: TeamMember.Read.All ")
    assert text in str(message)


@pytest.mark.parametrize(
    ("stream", "path", "error", "told"),
    [
        (
            "audit_logs_signins",
            "auditLogs/signIns",
            an_error(403, "X", "doesn't have premium license"),
            "Licence missing: {}",
        ),
        ("audit_logs_signins", "auditLogs/signIns", an_error(400, "BadRequest", NO_SEGMENT), "Not in this cloud: {}: "),
        ("applications", "applications", an_error(418, "Teapot"), "Refused: {}: HTTP 418 Teapot: No. "),
        (
            "applications",
            "applications",
            an_error(503, "ServiceUnavailable"),
            "No answer: {}: HTTP 503 ServiceUnavailable: ",
        ),
    ],
)
def test_check_tells_what_else_a_stream_lacks(
    graph: FakeGraph, stream: str, path: str, error: Answer, told: str
) -> None:
    """A licence, a service the cloud has not, a refusal nobody knows, an outage of one service."""
    graph.holds_one_of_each()
    graph.answers(path, error)
    lacking = with_children(stream)

    assert check()[0] == Status.SUCCEEDED
    assert f"{all_but(*lacking)} {told.format(', '.join(lacking))}" in str(check()[1])


@pytest.mark.parametrize("text", ["Invalid filter clause.", "Something new about the query."])
def test_a_filter_graph_refuses_fails_the_check(graph: FakeGraph, text: str) -> None:
    """A filter that Graph does not take is the configuration's fault, whatever else can be read."""
    graph.holds_one_of_each()
    graph.answers("users", an_error(400, "Request_UnsupportedQuery", text))

    status, message = check({**CONFIG, "user_filter": "departmnet eq 'Sales'"})

    assert status == Status.FAILED
    assert str(message).startswith("user_filter, include_users: ")
    assert text in str(message)


def test_a_token_graph_refuses_fails_the_check(graph: FakeGraph) -> None:
    """A token for the wrong cloud is refused everywhere, once it has been renewed in vain."""
    for path in one_of_each():
        graph.answers(path, an_error(401, "InvalidAuthenticationToken", "Invalid audience."))

    status, message = check()

    assert status == Status.FAILED
    assert "Graph does not accept the access token." in str(message)
    assert graph.sign_ins == 2


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
    for path in one_of_each():
        graph.answers(path, an_error(503, "ServiceUnavailable"))

    with pytest.raises(AirbyteTracedException) as raised:
        check()

    assert raised.value.failure_type == FailureType.transient_error


def test_discover_needs_no_network(graph: FakeGraph) -> None:
    """The catalog is the same whatever the tenant: every stream with its key, incremental where Graph has changes. The
    catalog says what the declarations say, of which three were checked by hand."""
    output: EntrypointOutput = discover(SourceMicrosoftGraph(), CONFIG)

    catalog = output.catalog.catalog
    assert [stream.name for stream in catalog.streams] == [stream.name for stream in EVERY_STREAM]
    assert all(SyncMode.full_refresh in stream.supported_sync_modes for stream in catalog.streams)
    cursors = {
        stream.name: stream.default_cursor_field
        for stream in catalog.streams
        if SyncMode.incremental in stream.supported_sync_modes and stream.source_defined_cursor
    }
    keys = {stream.name: stream.source_defined_primary_key for stream in catalog.streams}
    assert cursors == {stream.name: [stream.cursor_field] for stream in EVERY_STREAM if stream.cursor_field}
    assert keys == {stream.name: [[stream.own_id], *([name] for name in stream.key_columns)] for stream in EVERY_STREAM}
    samples = {
        "users": ([["id"]], ["_ab_cdc_updated_at"]),
        "mail_messages": ([["id"], ["user_id"]], ["last_modified_date_time"]),
        "audit_logs_signins": ([["id"]], ["created_date_time"]),
    }
    assert {name: (keys[name], cursors[name]) for name in samples} == samples
    assert "chats" not in cursors
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
