"""What goes wrong on the way, and what becomes of it: the object, the stream or the sync."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    told,
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
    """Six requests in all, with waits between that treble and span two minutes; then the stream is INCOMPLETE and the
    exit code is not 0."""
    graph.answers("directoryRoles", fault)

    output = read("directory_roles", fails=True)

    assert len(graph.asked) == 6
    assert clock.slept == [1, 3, 9, 27, 81]
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
    """Forty mailboxes failing one after another end the stream instead of waiting out ten thousand. Each is requested
    in pages of four sizes and behind three of its messages: three times in six ways, and six times in the last."""
    graph.lists("users", [{"id": f"u{number}"} for number in range(200)])
    for number in range(200):
        graph.answers(f"users/u{number}/messages", an_error(503, "ServiceUnavailable"))

    output = read("mail_messages", config={**CONFIG, "num_workers": 2}, fails=True)

    assert statuses(output, "mail_messages")[-1] == "INCOMPLETE"
    requested = [url for url in graph.asked if "messages" in url]
    assert len({url.partition("?")[0] for url in requested}) <= 60, "forty, and what was under way"
    assert len(requested) <= 60 * (6 * 3 + 6)


def test_throttling_waits_as_long_as_graph_says(graph: FakeGraph, clock: Clock) -> None:
    """Retry-After is slept in full, however often it comes, and no attempt is counted. Where it proves too short, the
    waits grow beyond it."""
    graph.answers("directoryRoles", *[throttled("7")] * 8, a_page({"id": "1"}))

    assert [row["id"] for row in rows(read("directory_roles"))] == ["1"]
    assert clock.slept == [7, 7, 7, 8, 16, 32, 60, 60]


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

    assert "Throttled: Graph asks to wait 600 seconds, after 7,200 seconds" in errors(output)["directory_roles"]


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
    for path in ("users", "groups", "applications", "servicePrincipals", "organization"):
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


# One object that Graph cannot serve.


def a_mailbox_with(graph: FakeGraph, path: str, broken: Collection[int], fault: Answer, objects: int = 60) -> None:
    """Graph fails with each page that holds a broken object, by the order in which the objects are listed."""

    def page(_: str, options: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        preferred = int(headers["Prefer"].rpartition("maxpagesize=")[2]) if "maxpagesize" in headers["Prefer"] else 10
        first = int(options.get("$skiptoken") or options.get("$skip") or 0)
        page = range(first, min(first + min(preferred, int(options.get("$top", 999))), objects))
        if set(page) & set(broken):
            return fault
        link = f"https://graph.microsoft.com/v1.0/{path}?$skiptoken={page.stop}" if page.stop < objects else None
        return a_page(*({"id": str(number)} for number in page), link=link)

    graph.serves(page, path)


BROKEN: dict[str, list[int]] = {
    "the 31st": [30],
    "the first": [0],
    "the last": [59],
    "two in a row": [30, 31],
    "three in a row": [30, 31, 32],
    "the last three": [57, 58, 59],
    "five by themselves": [0, 7, 20, 22, 59],
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    "fault",
    [
        an_error(500, "ErrorCorruptData", "Data is corrupt."),
        an_error(500, "ErrorInternalServerError"),
        an_error(502, "BadGateway"),
        an_error(503, "ErrorServerBusy"),
        an_error(504, "GatewayTimeout"),
        {"content": b'{"value":[{"id":"x"},{"id":"m2"}{"error":{"code":"ErrorItemCorrupt"}}'},
    ],
    ids=["corrupt", "500", "502", "503", "504", "appended error"],
)
def test_a_broken_mail_costs_that_mail(graph: FakeGraph, fault: Answer, broken: list[int]) -> None:
    """All others of the mailbox are read, once, and the broken ones are named and counted."""
    graph.lists("users", [{"id": "u1"}])
    a_mailbox_with(graph, MAILBOX, broken, fault)

    output = read("mail_messages")

    assert sorted(int(row["id"]) for row in rows(output)) == [each for each in range(60) if each not in broken]
    assert statuses(output, "mail_messages")[-1] == "COMPLETE"
    for number in broken:
        assert f"skipped object {number + 1} of user u1." in told(output, "mail_messages")
    assert f"mail_messages: {len(broken)} skipped in all" in told(output, "mail_messages")


@pytest.mark.parametrize(
    ("stream", "path"), [("calendar_events", "users/u1/events"), ("contacts", "users/u1/contacts")]
)
def test_a_broken_object_of_outlook_costs_that_object(graph: FakeGraph, stream: str, path: str) -> None:
    """Events and contacts take $skip as mails do."""
    graph.lists("users", [{"id": "u1"}])
    graph.lists("users/u1/contactFolders", [])
    a_mailbox_with(graph, path, [3], an_error(500, "ErrorInternalServerError"))

    assert len(rows(read(stream))) == 59


@pytest.mark.parametrize("broken", [[30, 31, 32, 33], range(60)], ids=["four in a row", "all"])
def test_an_outage_breaks_no_object(graph: FakeGraph, broken: Collection[int]) -> None:
    """More than three in a row are no broken objects: the mailbox failed, which its neighbour does not notice."""
    list_parents(graph)
    a_mailbox_with(graph, MAILBOX, broken, an_error(503, "ErrorServerBusy"))

    output = read("mail_messages", fails=True)

    assert {int(row["id"]) for row in rows(output) if row["user_id"] == "u1"} <= set(range(60)) - set(broken)
    assert [row["id"] for row in rows(output) if row["user_id"] == "u2"] == ["row-of-u2"]
    assert statuses(output, "mail_messages")[-1] == "INCOMPLETE"
    assert "mail_messages of user u1" in told(output, "mail_messages")
    assert "skipped" not in told(output, "mail_messages")


@pytest.mark.parametrize("failures", [3, 8, 13, 20])
def test_an_outage_that_ends_loses_no_mail(graph: FakeGraph, failures: int) -> None:
    """However far the pages had shrunk, and whatever was stepped over, when Graph came back."""
    graph.lists("users", [{"id": "u1"}])
    served = a_page(*({"id": str(number)} for number in range(60)))
    behind = [a_page(*({"id": str(number)} for number in range(first, 60))) for first in range(4)]
    left = iter(range(failures))

    def page(_: str, options: Mapping[str, str], __: Mapping[str, str]) -> Answer:
        if next(left, None) is not None:
            return an_error(503, "ErrorServerBusy")
        return behind[int(options["$skip"])] if "$skip" in options else served

    graph.serves(page, MAILBOX)

    output = read("mail_messages")

    assert sorted(int(row["id"]) for row in rows(output)) == list(range(60))
    assert warnings(output) == []


def test_a_list_without_skip_is_read_up_to_the_broken_object(graph: FakeGraph) -> None:
    """Nothing can be stepped over there, so the stream is INCOMPLETE, with all that comes before."""
    a_mailbox_with(graph, "groups", [30], an_error(500, "InternalServerError"))

    output = read("groups", "directory_roles", fails=True)

    assert [row["id"] for row in rows(output, "groups")] == [str(number) for number in range(30)]
    assert statuses(output, "groups")[-1] == "INCOMPLETE"
    assert [url for url in graph.asked if "$skip=" in url] == []


# Owners, all and some.

NOT_THERE = an_error(404, "MailboxNotEnabledForRESTAPI")
DENIED = an_error(403, "ErrorAccessDenied", "Access is denied.")


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        pytest.param([DENIED] * 3, "INCOMPLETE", id="three refused"),
        pytest.param([DENIED] * 25, "INCOMPLETE", id="25 refused"),
        pytest.param([DENIED] * 3 + [NOT_THERE] * 5, "INCOMPLETE", id="three refused, five without a mailbox"),
        pytest.param([an_error(401, "Unauthorized")] * 4, "INCOMPLETE", id="401 for all"),
        pytest.param([an_error(423, "Locked")] * 4, "INCOMPLETE", id="all locked"),
        pytest.param([an_error(412, "No")] * 4, "INCOMPLETE", id="not for apps"),
        pytest.param([DENIED] * 2, "COMPLETE", id="two are no pattern"),
        pytest.param([DENIED] * 2 + [NOT_THERE] * 9, "COMPLETE", id="two refused, the others without a mailbox"),
        pytest.param([NOT_THERE] * 25, "COMPLETE", id="no mailboxes"),
        pytest.param([DENIED] * 24 + [a_page({"id": "m"})], "COMPLETE", id="one is read"),
        pytest.param([DENIED] * 24 + [a_page()], "COMPLETE", id="one is read and empty"),
    ],
)
def test_a_stream_of_which_nothing_could_be_read_is_not_whole(
    graph: FakeGraph, answers: list[Answer], status: str
) -> None:
    """Three or more owners have something and none of them can be read: an empty table would tell a lie."""
    graph.lists("users", [{"id": f"u{number}"} for number in range(len(answers))])
    for number, answer in enumerate(answers):
        graph.answers(f"users/u{number}/messages", answer)

    output = read("mail_messages", "users", fails=status == "INCOMPLETE")

    assert statuses(output, "mail_messages")[-1] == status
    assert statuses(output, "users")[-1] == "COMPLETE"
    assert ("mail_messages: none of" in told(output, "mail_messages")) == (status == "INCOMPLETE")


def test_chats_that_were_all_refused_leave_their_messages_incomplete(graph: FakeGraph) -> None:
    """Whose parents could not be found is no empty stream either."""
    graph.lists("users", [{"id": f"u{number}"} for number in range(4)])
    for number in range(4):
        graph.answers(f"users/u{number}/chats", an_error(403, "Forbidden"))

    output = read("chat_messages", fails=True)

    assert statuses(output, "chat_messages")[-1] == "INCOMPLETE"
    assert "chats: none of 4 objects could be read" in told(output, "chat_messages")


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = {"nested": value}
    return value


ODDITIES: dict[str, Answer] = {
    "a number": {"json": {"value": [{"id": "m"}, 7]}},
    "a text": {"json": {"value": ["m"]}},
    "null": {"json": {"value": [None]}},
    "a list": {"json": {"value": [[{"id": "m"}]]}},
    "true": {"json": {"value": [True]}},
    "an error": {"json": {"value": [{"id": "m1"}, {"error": {"code": "ErrorItem", "message": "Broken."}}]}},
    "an error with an id": {"json": {"value": [{"id": "m1", "error": {"code": "ErrorItem"}}]}},
    "an empty object": {"json": {"value": [{}]}},
    "no id": {"json": {"value": [{"subject": "x"}]}},
    "null for an id": {"json": {"value": [{"id": None}]}},
    "an empty id": {"json": {"value": [{"id": ""}]}},
    "a number for an id": {"json": {"value": [{"id": 7}]}},
    "a list for an id": {"json": {"value": [{"id": ["m"]}]}},
    "an object for an id": {"json": {"value": [{"id": {"a": 1}}]}},
    "false for an id": {"json": {"value": [{"id": False}]}},
    "a number for a link": {"json": {"value": [], "@odata.nextLink": 7}},
    "a list for a link": {"json": {"value": [], "@odata.nextLink": ["x"]}},
    "true for a link": {"json": {"value": [], "@odata.nextLink": True}},
    "a link without a host": {"json": {"value": [], "@odata.nextLink": "messages?$skiptoken=1"}},
    "a link to plain http": {"json": {"value": [], "@odata.nextLink": "http://graph.microsoft.com/v1.0/users"}},
    "a link that is no URL": {"json": {"value": [], "@odata.nextLink": "https://[::1/v1.0"}},
    "a number for a delta link": {"json": {"value": [], "@odata.deltaLink": 7}},
    "300 levels": {"json": {"value": [{"id": "deep", "x": deep(300)}]}},
    "900 levels": {"json": {"value": [{"id": "deep", "x": deep(900)}]}},
}


@pytest.mark.parametrize("odd", ODDITIES.values(), ids=ODDITIES)
def test_an_odd_page_is_that_owners_alone(graph: FakeGraph, odd: Answer) -> None:
    """Of twenty mailboxes in a slice nineteen are read; the odd one is named and told what Graph sent."""
    graph.lists("users", [{"id": f"u{number}"} for number in range(20)])
    for number in range(20):
        graph.answers(f"users/u{number}/messages", a_page({"id": f"m{number}"}))
    graph.answers("users/u7/messages", odd)

    output = read("mail_messages", "users", fails=True)

    assert {row["id"] for row in rows(output, "mail_messages")} == {f"m{number}" for number in range(20) if number != 7}
    assert statuses(output, "mail_messages")[-1] == "INCOMPLETE"
    assert statuses(output, "users")[-1] == "COMPLETE"
    words = told(output, "mail_messages")
    assert "Graph sent" in words or "Refused to follow a page link" in words
    assert "user u7" in words or "deep" in words
    assert "unexpected error" not in words
    assert not [kind for kind in ("TypeError", "AttributeError", "RecursionError", "KeyError") if kind in words]


@pytest.mark.parametrize("position", [0, 6, 19])
@pytest.mark.parametrize("levels", [300, 900])
def test_an_object_that_cannot_be_written_costs_that_object(graph: FakeGraph, position: int, levels: int) -> None:
    """What stands beside it in the page is handed over."""
    people: list[dict[str, Any]] = [{"id": str(number)} for number in range(20)]
    people[position]["x"] = deep(levels)
    graph.lists("users", people)

    output = read("users", fails=True)

    assert [row["id"] for row in rows(output)] == [str(number) for number in range(20) if number != position]
    assert f"nested too deeply: {position}" in told(output, "users")


@pytest.mark.parametrize("identifier", [None, "", 7, ["g"], {"a": 1}, False, "absent"], ids=str)
@pytest.mark.parametrize(
    ("stream", "parents"),
    [
        ("group_member", "groups"),
        ("channels", "groups"),
        ("mail_messages", "users"),
        ("directory_role_member", "directoryRoles"),
    ],
)
def test_a_parent_without_an_id_is_told(graph: FakeGraph, stream: str, parents: str, identifier: Any) -> None:
    """The listing of the parents fails and says so; nothing is requested of a parent without a name."""
    parent = {"displayName": "x"} if identifier == "absent" else {"id": identifier}
    graph.lists(parents, [parent])

    output = read(stream, fails=True)

    assert "Graph sent an object with" in told(output, stream)
    assert "for an id" in told(output, stream)
    assert [url for url in graph.asked if url.startswith(f"{parents}/")] == []


def test_one_onedrive_that_is_throttled_for_ever_ends_alone(graph: FakeGraph, clock: Clock) -> None:
    """The others are read meanwhile, and nobody waits two hours."""
    graph.lists("users", [{"id": f"u{number}"} for number in range(30)])
    for number in range(30):
        path = f"users/u{number}/drive/root/delta"
        graph.lists(path, [{"id": f"a{number}"}], [{"id": f"b{number}"}])
    graph.answers("users/u3/drive/root/delta", throttled("60"))

    output = read("drive_items", fails=True)

    assert {row["user_id"] for row in rows(output)} == {f"u{number}" for number in range(30) if number != 3}
    assert len(rows(output)) == 58
    assert "drive_items of user u3: Throttled" in told(output, "drive_items")
    assert clock.time - 1_000 < 3_600


# Batches.


@pytest.mark.parametrize("poisoned", [0, 7, 19])
@pytest.mark.parametrize(
    "refusal", [an_error(400, "BadRequest"), an_error(404, "NotFound"), {"status_code": 200, "json": {"value": []}}]
)
def test_one_bad_request_in_a_batch_costs_no_other(graph: FakeGraph, refusal: Answer, poisoned: int) -> None:
    """Graph may refuse twenty requests for one of them: it is found by halves, and is answered for by itself."""
    graph.lists("groups", [{"id": f"g{number:02}"} for number in range(20)])
    for number in range(20):
        graph.answers(f"groups/g{number:02}/members", a_page({"id": f"m{number}"}))
    bad = f"groups/g{poisoned:02}/members"
    graph.answers(bad, an_error(404, "Request_ResourceNotFound"))
    graph.takes_batches(lambda urls: not [url for url in urls if url.startswith(bad)], refusal)

    output = read("group_member")

    assert {row["id"] for row in rows(output)} == {f"m{number}" for number in range(20) if number != poisoned}
    assert f"skipped group g{poisoned:02}" in told(output, "group_member")
    assert max(map(len, graph.batches)) == 20


@pytest.mark.parametrize("envelope", [{"value": []}, {}, {"responses": []}, {"responses": None}, [], "x", None])
def test_an_answer_that_is_no_envelope_loses_nothing(graph: FakeGraph, envelope: Any) -> None:
    """Each request is then sent by itself."""
    graph.lists("groups", [{"id": f"g{number}"} for number in range(9)])
    for number in range(9):
        graph.answers(f"groups/g{number}/members", a_page({"id": f"m{number}"}))
    graph.takes_batches_of(0, {"status_code": 200, "json": envelope})

    output = read("group_member")

    assert {row["id"] for row in rows(output)} == {f"m{number}" for number in range(9)}
    assert statuses(output, "group_member")[-1] == "COMPLETE"


def test_advice_about_a_filter_is_for_whoever_can_change_it(graph: FakeGraph) -> None:
    """Nobody configures the filter of a log."""
    graph.answers("auditLogs/signIns", an_error(400, "BadRequest", "Invalid filter clause"))

    words = told(read("audit_logs_signins", fails=True), "audit_logs_signins")

    assert "filter of users" not in words
    assert "Invalid filter clause" in words
