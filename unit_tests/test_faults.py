"""What goes wrong on the way, and what becomes of it: the object, the stream or the sync."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from source_microsoft_graph.streams.mailbox import MailMessages
from unit_tests.conftest import Clock
from unit_tests.graph_api import (
    CONFIG,
    EVERY_PERMISSION,
    Answer,
    FakeGraph,
    a_page,
    an_error,
    errors,
    read,
    rows,
    statuses,
    throttled,
    warnings,
)

MAILBOX = "users/u1/messages"
DRIVE = "users/u1/drive/root/delta"
CHATS = "users/u1/chats"
CHANNELS = "teams/u1/channels"
MEMBERS = "groups/u1/members"

PASSING: dict[str, Answer] = {
    "500": an_error(500, "InternalServerError"),
    "502": an_error(502, "BadGateway"),
    "503": an_error(503, "ServiceUnavailable"),
    "504": an_error(504, "GatewayTimeout"),
    "408": an_error(408, "RequestTimeout"),
    "409": an_error(409, "Directory_ConcurrencyViolation"),
    "connection reset": {"exc": requests.ConnectionError("Connection reset by peer")},
    "connect timeout": {"exc": requests.ConnectTimeout("timed out")},
    "read timeout": {"exc": requests.ReadTimeout("timed out")},
    "truncated body": {"exc": requests.exceptions.ChunkedEncodingError("IncompleteRead")},
    "truncated JSON": {"content": b'{"value": [{"id": "1"}, {"i'},
    "HTML on a 200": {"text": "<html>Service in maintenance</html>"},
    "nothing on a 200": {"content": b""},
    "a page without rows": {"json": {"@odata.context": "x"}},
}

ONE_OBJECT: list[Any] = [
    pytest.param("mail_messages", MAILBOX, an_error(404, "MailboxNotEnabledForRESTAPI"), id="no mailbox"),
    pytest.param("mail_messages", MAILBOX, an_error(404, "ErrorInvalidUser"), id="invalid user"),
    pytest.param("mail_messages", MAILBOX, an_error(404, "ErrorNonExistentMailbox"), id="no mailbox, older"),
    pytest.param("mail_messages", MAILBOX, an_error(404, "ResourceNotFound"), id="no resource"),
    pytest.param("mail_messages", MAILBOX, an_error(404, "Request_ResourceNotFound"), id="user gone"),
    pytest.param("mail_messages", MAILBOX, an_error(404, "ErrorItemNotFound"), id="item not found"),
    pytest.param("mail_messages", MAILBOX, an_error(403, "ErrorAccessDenied"), id="outside the access policy"),
    pytest.param("mail_messages", MAILBOX, an_error(500, "ErrorCorruptData"), id="corrupt item"),
    pytest.param("drive_items", DRIVE, an_error(404, "ResourceNotFound", "User's mysite not found."), id="no OneDrive"),
    pytest.param(
        "drive_items",
        DRIVE,
        an_error(400, "BadRequest", "Unable to retrieve user's mysite URL."),
        id="no OneDrive, as 400",
    ),
    pytest.param("drive_items", DRIVE, an_error(404, "itemNotFound"), id="no drive"),
    pytest.param("drive_items", DRIVE, an_error(423, "notAllowed", inner="resourceLocked"), id="blocked OneDrive"),
    pytest.param(
        "chats",
        CHATS,
        an_error(403, "Forbidden", "Failed to get license information for the user. Ensure user has a valid license"),
        id="no Teams licence",
    ),
    pytest.param("chats", CHATS, an_error(412, "PreconditionFailed"), id="not for apps"),
    pytest.param("channels", CHANNELS, an_error(404, "NotFound", "No team found with Group Id u1"), id="no team"),
    pytest.param("group_member", MEMBERS, an_error(404, "Request_ResourceNotFound"), id="group gone"),
]

WHOLE_STREAM: list[Any] = [
    pytest.param(
        "audit_logs_signins",
        "auditLogs/signIns",
        an_error(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant"),
        "P1 or P2",
        id="no premium licence",
    ),
    pytest.param(
        "audit_logs_signins",
        "auditLogs/signIns",
        an_error(403, "Forbidden", "Neither tenant is B2C or tenant doesn't have premium license"),
        "P1 or P2",
        id="no premium licence, other words",
    ),
    pytest.param(
        "drive_items",
        DRIVE,
        an_error(400, "BadRequest", "Tenant does not have a SPO license."),
        "SharePoint licence",
        id="no SharePoint",
    ),
    pytest.param(
        "channels",
        CHANNELS,
        an_error(403, "Forbidden", "Missing role permissions on the request. API requires one of 'A, B'."),
        "API requires one of 'A, B'",
        id="Teams role missing",
    ),
    pytest.param(
        "audit_logs_directory", "auditLogs/directoryAudits", an_error(402, "PaymentRequired"), "402", id="402"
    ),
    pytest.param(
        "conditional_access_policies",
        "identity/conditionalAccess/policies",
        an_error(501, "NotImplemented", "This operation target is not yet supported."),
        "501",
        id="501",
    ),
    pytest.param(
        "conditional_access_policies",
        "identity/conditionalAccess/policies",
        an_error(400, "BadRequest", "Resource not found for the segment 'identity'."),
        "segment 'identity'",
        id="unknown 400",
    ),
    pytest.param("directory_roles", "directoryRoles", an_error(404, "ResourceNotFound"), "404", id="404 on a list"),
]


def list_parents(graph: FakeGraph) -> None:
    """Two of everything that is a parent; the second one's children can be read."""
    graph.lists("users", [{"id": "u1"}, {"id": "u2"}])
    graph.lists("groups", [{"id": "u1"}, {"id": "u2"}])
    for path in (MAILBOX, DRIVE, CHATS, CHANNELS, MEMBERS):
        graph.lists(path.replace("u1", "u2"), [{"id": "row-of-u2"}])


@pytest.mark.parametrize("failures", [1, 5])
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_passing_trouble_is_waited_out(graph: FakeGraph, clock: Clock, fault: Answer, failures: int) -> None:
    """Up to five failures in a row cost time and no row, on a page in the middle too."""
    graph.lists("auditLogs/directoryAudits", [{"id": "1"}], [{"id": "2"}], [{"id": "3"}])
    second_page = a_page(
        {"id": "2"}, link="https://graph.microsoft.com/v1.0/auditLogs/directoryAudits?$skiptoken=page-3"
    )
    graph.answers("auditLogs/directoryAudits?$skiptoken=page-2", *[fault] * failures, second_page)

    output = read("audit_logs_directory")

    assert [row["id"] for row in rows(output)] == ["1", "2", "3"]
    assert statuses(output, "audit_logs_directory")[-1] == "COMPLETE"
    assert sum(clock.slept) > 0


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_lasting_trouble_fails_the_stream_after_six_attempts(graph: FakeGraph, clock: Clock, fault: Answer) -> None:
    """Six requests in all, with doubling waits between; then the stream is INCOMPLETE and the exit code is not 0."""
    graph.answers("directoryRoles", fault)

    output = read("directory_roles", fails=True)

    assert len(graph.asked) == 6
    assert clock.slept == [1, 2, 4, 8, 16]
    assert statuses(output, "directory_roles") == ["STARTED", "INCOMPLETE"]


@pytest.mark.parametrize(("stream", "path", "answer"), ONE_OBJECT)
def test_one_bad_object_is_skipped_counted_and_named(graph: FakeGraph, stream: str, path: str, answer: Answer) -> None:
    """The others are read, the stream is COMPLETE, the object is named once at WARN with Graph's reason."""
    list_parents(graph)
    graph.answers(path, answer)

    output = read(stream)

    assert [row["id"] for row in rows(output)] == ["row-of-u2"]
    assert statuses(output, stream)[-1] == "COMPLETE"
    named, counted = warnings(output)
    assert f"{stream}: skipped" in named
    assert " u1. " in named
    assert answer["json"]["error"]["code"] in named
    assert "a-request-id" in named
    assert f"{stream}: 1 skipped in all" in counted


@pytest.mark.parametrize(("stream", "path", "answer", "told"), WHOLE_STREAM)
def test_a_refused_stream_fails_alone(graph: FakeGraph, stream: str, path: str, answer: Answer, told: str) -> None:
    """It ends INCOMPLETE with what to do, told once; the others go on, and the exit code is not 0."""
    list_parents(graph)
    for user in ("u1", "u2"):
        graph.answers(path.replace("u1", user), answer)

    output = read(stream, "users", fails=True)

    assert told in errors(output)[stream]
    assert "a-request-id" in errors(output)[stream]
    assert len(output.errors) == 2, "the stream's error and the closing one"
    assert statuses(output, stream)[-1] == "INCOMPLETE"
    assert statuses(output, "users")[-1] == "COMPLETE"
    assert [row["id"] for row in rows(output, "users")] == ["u1", "u2"]


def test_a_missing_permission_is_named_with_the_place_to_grant_it(graph: FakeGraph) -> None:
    """403 and no such role in the token: the message names the permission, the app and the place."""
    list_parents(graph)
    graph.grants(*set(EVERY_PERMISSION) - set(MailMessages.permissions))
    graph.answers(MAILBOX, an_error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."))
    graph.answers("users/u2/messages", an_error(403, "ErrorAccessDenied"))

    output = read("mail_messages", fails=True)

    message = errors(output)["mail_messages"]
    assert "Mail.Read" in message
    assert CONFIG["client_id"] in message
    assert "admin consent" in message
    assert len([error for error in output.errors if "Mail.Read" in str(error)]) == 2, (
        "told once, and in the closing one"
    )


def test_an_unknown_refusal_of_one_object_costs_that_object_and_is_no_secret(graph: FakeGraph) -> None:
    """A 400 nobody has met before is no reason to stop the other mailboxes, nor to call the stream complete."""
    list_parents(graph)
    graph.answers(MAILBOX, an_error(400, "ErrorSomethingNew", "Never seen."))

    output = read("mail_messages", fails=True)

    assert [row["id"] for row in rows(output)] == ["row-of-u2"]
    assert statuses(output, "mail_messages")[-1] == "INCOMPLETE"
    assert "user u1" in errors(output)["mail_messages"]


def test_an_outage_does_not_try_every_object(graph: FakeGraph) -> None:
    """Forty mailboxes failing one after another end the stream instead of waiting out ten thousand."""
    graph.lists("users", [{"id": f"u{number}"} for number in range(200)])
    for number in range(200):
        graph.answers(f"users/u{number}/messages", an_error(503, "ServiceUnavailable"))

    output = read("mail_messages", config={**CONFIG, "num_workers": 2}, fails=True)

    assert statuses(output, "mail_messages")[-1] == "INCOMPLETE"
    assert len([url for url in graph.asked if "messages" in url]) <= 60 * 6, "forty, and what was under way"


def test_throttling_waits_as_long_as_graph_says(graph: FakeGraph, clock: Clock) -> None:
    """Retry-After is slept in full, however often it comes, and no attempt is counted."""
    graph.answers("directoryRoles", *[throttled("7")] * 8, a_page({"id": "1"}))

    assert [row["id"] for row in rows(read("directory_roles"))] == ["1"]
    assert clock.slept == [7.0] * 8


def test_throttling_without_a_word_backs_off(graph: FakeGraph, clock: Clock) -> None:
    """Conditional Access sends no Retry-After: the wait doubles up to a minute. All apps of a tenant share its limit of
    one a second, so the first wait is a little longer."""
    graph.answers("identity/conditionalAccess/policies", *[throttled()] * 8, a_page({"id": "1"}))

    assert [row["id"] for row in rows(read("conditional_access_policies"))] == ["1"]
    assert clock.slept == pytest.approx([1.3, 2, 4, 8, 16, 32, 60, 60], rel=0.02)


def test_throttling_without_end_fails_the_stream(graph: FakeGraph) -> None:
    """After hours of being throttled the stream gives way, and the platform may try again later."""
    graph.answers("directoryRoles", throttled("600"))

    output = read("directory_roles", fails=True)

    assert "Throttled for 2 hours" in errors(output)["directory_roles"]


def test_a_refused_token_is_replaced_once(graph: FakeGraph) -> None:
    """A token that dies in the middle costs one sign-in and no row."""
    graph.lists("users", [{"id": "1"}], [], [{"id": "2"}])
    graph.answers("users?$skiptoken=page-3", an_error(401, "InvalidAuthenticationToken"), a_page({"id": "2"}))

    output = read("users")

    assert [row["id"] for row in rows(output)] == ["1", "2"]
    assert graph.sign_ins == 2
    assert graph.tokens[2] != graph.tokens[3]


def test_a_new_token_refused_too_ends_the_sync(graph: FakeGraph) -> None:
    """When Graph refuses a fresh token on a list of the tenant's own, no other stream is tried for long."""
    for path in ("users", "groups", "applications", "servicePrincipals"):
        graph.answers(path, an_error(401, "InvalidAuthenticationToken", "Lifetime validation failed."))

    output = read("users", "groups", "applications", "service_principals", fails=True)

    for stream in ("users", "groups", "applications", "service_principals"):
        assert statuses(output, stream)[-1] == "INCOMPLETE"
        assert "Lifetime validation failed" in errors(output)[stream]


def test_a_refused_sign_in_ends_the_sync_before_it_starts(graph: FakeGraph) -> None:
    """Without a token nothing is asked of Graph and no stream is started."""
    graph.signs_in(
        {
            "status_code": 401,
            "json": {
                "error": "invalid_client",
                "error_description": "AADSTS7000222: expired",
                "error_codes": [7000222],
            },
        }
    )

    output = read("users", fails=True)

    assert graph.asked == []
    assert statuses(output, "users") == []
    assert "secret has expired" in errors(output)[None]


def test_a_pulled_cable_ends_every_stream_loudly(graph: FakeGraph) -> None:
    """With nothing answering, each unfinished stream is INCOMPLETE and the rows read so far are out."""
    graph.lists("users", [{"id": "u1"}], [{"id": "u2"}])
    graph.answers("users?$skiptoken=page-2", {"exc": requests.ConnectionError("Network is unreachable")})
    graph.answers("groups", {"exc": requests.ConnectionError("Network is unreachable")})

    output = read("users", "groups", config={**CONFIG, "num_workers": 2}, fails=True)

    assert [row["id"] for row in rows(output)] == ["u1"]
    assert {statuses(output, name)[-1] for name in ("users", "groups")} == {"INCOMPLETE"}


def test_no_output_line_holds_a_secret(graph: FakeGraph) -> None:
    """Neither the client secret nor the token appears, whatever Graph echoes (CDK trap T13)."""
    secret = CONFIG["client_secret"]
    graph.answers("users", a_page({"id": "1"}))
    token_echo = {"exc": requests.ConnectionError(f"Failed with {secret}")}
    graph.answers("groups", an_error(400, "BadRequest", f"You sent {secret}"))
    graph.answers("directoryRoles", token_echo)

    output = read("users", "groups", "directory_roles", fails=True)

    assert [row["id"] for row in rows(output, "users")] == ["1"]
    everything = "\n".join(str(message) for message in output._messages)
    assert secret not in everything
    assert not [token for token in set(graph.tokens) if token in everything]
