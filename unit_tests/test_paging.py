"""From first page to last: one, many, empty in the middle, expired, refused, too large, in circles."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from airbyte_cdk.models import FailureType

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.streams.base import NOT_SELECTED
from source_microsoft_graph.streams.records import camel_case
from source_microsoft_graph.streams.users import Users
from source_microsoft_graph.sync.context import Sync
from unit_tests.conftest import Clock
from unit_tests.graph_api import (
    CONFIG,
    GRAPH,
    Answer,
    FakeGraph,
    a_page,
    an_error,
    errors,
    read,
    rows,
    statuses,
    warnings,
)
from unit_tests.roll import every_stream, stream_named

EXPIRED = an_error(400, "Directory_ExpiredPageToken", "The specified page token value has expired.")


def a_user(number: int) -> dict[str, str]:
    return {"id": f"user-{number}"}


def ids(records: list[Mapping[str, Any]]) -> list[str]:
    return [row["id"] for row in records]


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([[1]], id="one page"),
        pytest.param([[1, 2], [3], [4]], id="many pages"),
        pytest.param([[1, 2], [], [3]], id="an empty page in the middle"),
        pytest.param([[], [], [1]], id="empty pages first"),
        pytest.param([[1], []], id="an empty page last"),
        pytest.param([[]], id="nothing"),
    ],
)
def test_every_page_is_read(graph: FakeGraph, pages: list[list[int]]) -> None:
    """Only the page without a link is the last; an empty page is a page like any other."""
    graph.lists("groups", *[[a_user(number) for number in page] for page in pages])

    output = read("groups")

    assert [f"user-{number}" for page in pages for number in page] == ids(rows(output))
    assert ["STARTED", "RUNNING", "COMPLETE"][:: 1 if rows(output) else 2] == statuses(output, "groups")


def test_the_sequential_path_reads_every_page_and_ends(graph: FakeGraph) -> None:
    """Without the CDK's concurrent adapter a stream reads the same pages, once (CDK traps T1 and T2)."""
    graph.lists("users", [a_user(1)], [], [a_user(2)])
    stream = Users(Sync(Config.parse(CONFIG), logging.getLogger("airbyte")))

    assert [record["id"] for record in stream.read_only_records()] == ["user-1", "user-2"]


def test_links_are_followed_as_they_are(graph: FakeGraph) -> None:
    """A page token full of characters that need escaping comes back to Graph exactly as it was sent."""
    link = f"{GRAPH}users?$skiptoken=RFN%2BcQ%3D%3D/=a+b%25&$select=id"
    graph.answers("users", a_page(a_user(1), link=link))
    graph.answers("users?$skiptoken=RFN%2BcQ%3D%3D/=a+b%25&$select=id", a_page(a_user(2)))

    assert ids(rows(read("users"))) == ["user-1", "user-2"]


def test_a_link_off_the_graph_host_is_refused(graph: FakeGraph) -> None:
    """The token must not travel to another host, so such a link fails the stream and is not asked."""
    graph.answers("users", a_page(a_user(1), link="https://graph.microsoft.com.evil.example/v1.0/users"))

    output = read("users", fails=True)

    assert "evil.example" in errors(output)["users"]
    assert statuses(output, "users") == ["STARTED", "RUNNING", "INCOMPLETE"]
    assert len(graph.asked) == 1


@pytest.mark.parametrize("circle", [1, 2], ids=["the same page again", "a page read before"])
def test_reading_in_circles_is_an_error(graph: FakeGraph, circle: int) -> None:
    """A link to a page of the same listing that was read before fails the stream instead of looping."""
    links = [f"{GRAPH}users?$skiptoken={number}" for number in range(circle)]
    graph.answers("users", a_page(a_user(1), link=links[0]))
    for number in range(circle):
        graph.answers(f"users?$skiptoken={number}", a_page(a_user(2), link=links[(number + 1) % circle]))

    assert "read before" in errors(read("users", fails=True))["users"]


def test_an_expired_page_token_restarts_the_listing_without_doubled_rows(graph: FakeGraph) -> None:
    """The listing starts again from its first page, and rows already emitted are not emitted again."""
    graph.lists("users", [a_user(1), a_user(2)], [], [a_user(3)])
    graph.answers("users?$skiptoken=page-3", EXPIRED, a_page(a_user(3)))

    output = read("users")

    assert ids(rows(output)) == ["user-1", "user-2", "user-3"]
    assert statuses(output, "users") == ["STARTED", "RUNNING", "COMPLETE"]


def test_a_listing_that_expires_without_progress_fails(graph: FakeGraph) -> None:
    """A token that dies at the same place each time ends the stream INCOMPLETE, not in a loop."""
    graph.lists("users", [a_user(1)], [a_user(2)])
    graph.answers("users?$skiptoken=page-2", EXPIRED)

    output = read("users", fails=True)

    assert "Directory_ExpiredPageToken" in errors(output)["users"]
    assert statuses(output, "users")[-1] == "INCOMPLETE"


def test_a_page_too_large_is_asked_for_in_smaller_pages(graph: FakeGraph, clock: Clock) -> None:
    """A lasting 504 on a page means that its listing is read again in smaller pages."""
    graph.answers("users?$top=999", an_error(504, "GatewayTimeout"))
    graph.answers("users?$top=249", a_page(a_user(1)))

    assert ids(rows(read("users"))) == ["user-1"]
    assert clock.slept == [1.0, 3.0]


def test_a_refused_page_size_is_left_out(graph: FakeGraph) -> None:
    """A `$top` that an endpoint refuses costs one request, not the stream."""
    graph.answers("auditLogs/signIns", a_page({"id": "1"}))
    graph.answers(
        "auditLogs/signIns?$top=999",
        an_error(400, "BadRequest", "The limit of '50' for Top query has been exceeded."),
    )

    assert ids(rows(read("audit_logs_signins"))) == ["1"]


def properties_named(warning: str) -> set[str]:
    return set(warning.partition("may stay empty: ")[2].partition(". HTTP")[0].split(", "))


def select_of(url: str) -> set[str]:
    options = dict(part.split("=", 1) for part in url.partition("?")[2].split("&"))
    return set(options.get("$select", "").split(",")) - {""}


@pytest.mark.parametrize("name", [stream.name for stream in every_stream() if stream.selects])
@pytest.mark.parametrize(
    "refusal",
    [
        an_error(501, "NotImplemented", "This operation target is not yet supported."),
        an_error(400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException", "The expression is not valid"),
        an_error(403, "Authentication_MSGraphPermissionMissing", "The principal does not have AuditLog.Read.All"),
        an_error(404, "Request_ResourceNotFound", "Resource not found for the segment"),
    ],
    ids=["501", "400", "403", "404"],
)
def test_a_refused_select_falls_back_and_says_what_is_missing(graph: FakeGraph, name: str, refusal: Answer) -> None:
    """The properties that take a licence go first, then the optional ones, then all of them, as far as there are any;
    each step is named at WARN and none is tried twice."""
    stream = stream_named(name)
    columns = stream.get_json_schema()["properties"]
    marked = {
        mark: {camel_case(name) for name, column in columns.items() if column.get("select") == mark}
        for mark in ("licensed", "optional")
    }
    left = {camel_case(name) for name in columns if name not in NOT_SELECTED}
    steps = [marked["licensed"], marked["optional"], left - marked["licensed"] - marked["optional"]]
    steps = [properties for properties in steps if properties]
    path, *others = graph.holds_owners_of(stream)
    graph.answers(path, *[refusal] * len(steps), a_page({"id": "1"}))
    for other in others:
        graph.lists(other, [])

    output = read(stream.name)

    assert ids(rows(output)) == ["1"]
    asked = [select_of(url) for url in graph.asked if url.partition("?")[0] == path]
    assert asked == [left - set().union(*steps[:number]) for number in range(len(steps) + 1)]
    assert asked[-1] == set()
    assert steps == [properties_named(warning) for warning in warnings(output)]


def test_a_missing_permission_is_not_taken_for_a_refused_select(graph: FakeGraph) -> None:
    """A 403 without the permission in the token fails the stream at once and names the permission."""
    graph.grants("Mail.Read")
    graph.answers("users", an_error(403, "Authorization_RequestDenied", "Insufficient privileges."))

    output = read("users", fails=True)

    assert len(graph.asked) == 1
    assert "User.Read.All" in errors(output)["users"]


def test_sequential_parents_are_read_whole(graph: FakeGraph) -> None:
    """A parent's listing pages like any other: children of the last page's parents are read too."""
    graph.lists("groups", [{"id": "g1"}], [], [{"id": "g2"}])
    graph.lists("groups/g1/members", [{"id": "m1"}])
    graph.lists("groups/g2/members", [{"id": "m2"}], [], [{"id": "m3"}])

    assert {("g1", "m1"), ("g2", "m2"), ("g2", "m3")} == {
        (row["group_id"], row["id"]) for row in rows(read("group_member"))
    }


# Links.


@pytest.mark.parametrize("link", ["", False, 0, [], {}, True, 7, ["x"]], ids=repr)
@pytest.mark.parametrize("stream", ["users", "audit_logs_signins"])
def test_a_link_that_is_none_is_not_the_last_page(graph: FakeGraph, stream: str, link: Any) -> None:
    """Only a page without a link, or with null for one, is the last."""
    path = {"users": "users", "audit_logs_signins": "auditLogs/signIns"}[stream]
    graph.answers(path, {"json": {"value": [a_user(1)], "@odata.nextLink": link}})

    output = read(stream, fails=True)

    assert ids(rows(output)) == ["user-1"]
    assert statuses(output, stream)[-1] == "INCOMPLETE"
    assert f"Graph sent {link!r} for the link to the next page" in errors(output)[stream]


def test_null_for_a_link_is_no_link(graph: FakeGraph) -> None:
    """Some services write the property where there is nothing to say."""
    graph.answers("users", {"json": {"value": [a_user(1)], "@odata.nextLink": None}})

    assert statuses(read("users"), "users")[-1] == "COMPLETE"


@pytest.mark.parametrize(
    "refusal",
    [
        an_error(400, "BadRequest", "Invalid Skip Token"),
        an_error(400, "BadRequest", "Invalid continuation token"),
        an_error(400, "ErrorInvalidSyncStateData", "invalid sync state"),
        an_error(400, "Request_BadRequest", "Skip token is null."),
        an_error(400, "InvalidRequest", "The provided page token is no longer valid."),
        an_error(400, "SomethingNobodyHasMet"),
        an_error(404, "ResourceNotFound"),
        an_error(404, "itemNotFound", "The resource could not be found."),
        an_error(403, "accessDenied"),
        an_error(410, "resyncChangesUploadDifferences"),
    ],
    ids=lambda refusal: refusal["json"]["error"]["message"] + refusal["json"]["error"]["code"],
)
@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("groups", "groups"),
        ("mail_messages", "users/u/messages"),
        ("drive_items", "users/u/drive/root/delta"),
        ("channels", "teams/g/channels"),
    ],
)
@pytest.mark.parametrize("times", [1, 9])
def test_a_link_that_is_refused_says_nothing_of_the_list(
    graph: FakeGraph, stream: str, path: str, refusal: Answer, times: int
) -> None:
    """Refused once, the listing is read again from its first page. Refused always, it is INCOMPLETE, and nobody claims
    that the object was deleted or that the configuration is wrong."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("groups", [{"id": "g"}])
    graph.lists(path, [a_user(1)], [a_user(2)], [a_user(3)])
    page = a_page(a_user(2), link=f"{GRAPH}{path}?$skiptoken=page-3")
    graph.answers(f"{path}?$skiptoken=page-2", *[refusal] * times, *[page] * (times == 1))

    output = read(stream, fails=times > 1)

    expected = ["user-1", "user-2", "user-3"] if times == 1 else ["user-1"]
    assert ids(rows(output)) == expected
    assert warnings(output) == []
    assert statuses(output, stream)[-1] == ("COMPLETE" if times == 1 else "INCOMPLETE")
    failures = [message.trace.error.failure_type for message in output.errors[:1]]  # type: ignore[union-attr]
    assert failures == ([] if times == 1 else [FailureType.transient_error])


# What comes twice, and what never ends.


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("users", "users"),
        ("audit_logs_signins", "auditLogs/signIns"),
        ("calendar_events", "users/u/events"),
        ("contacts", "users/u/contacts"),
        ("group_member", "groups/g/members"),
        ("chats", "users/u/chats"),
        ("drive_items", "users/u/drive/root/delta"),
    ],
)
@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([[1, 2], [2, 3]], id="the last of a page is the first of the next"),
        pytest.param([[1, 2], [], [2, 3]], id="over an empty page"),
        pytest.param([[1, 2, 2], [3, 3]], id="twice in a page"),
        pytest.param([[1, 2], [1, 2], [3]], id="a page twice"),
        pytest.param([[1], [2], [3], [1]], id="the first is the last"),
    ],
)
def test_what_graph_lists_twice_is_one_row(graph: FakeGraph, stream: str, path: str, pages: list[list[int]]) -> None:
    """Objects move while they are listed, and pages overlap."""
    if path != "users":
        graph.lists("users", [{"id": "u"}])
    graph.lists("groups", [{"id": "g"}])
    graph.lists("users/u/contactFolders", [])
    graph.lists(path, *[[a_user(number) for number in page] for page in pages])

    assert sorted(ids(rows(read(stream)))) == ["user-1", "user-2", "user-3"]


def test_a_parent_that_graph_lists_twice_is_read_once(graph: FakeGraph) -> None:
    """The whole mailbox would come twice."""
    graph.lists("users", [{"id": "u"}, {"id": "v"}], [{"id": "v"}, {"id": "u"}])
    graph.lists("users/u/messages", [{"id": "1"}])
    graph.lists("users/v/messages", [{"id": "2"}])

    output = read("mail_messages")

    assert sorted(ids(rows(output))) == ["1", "2"]
    assert len([url for url in graph.asked if "messages" in url]) == 2


@pytest.mark.parametrize("entities", [[], [{"id": "user-1"}]], ids=["empty pages", "the same object"])
@pytest.mark.parametrize(("stream", "path"), [("users", "users"), ("mail_messages", "users/u/messages")])
def test_pages_without_end_end(graph: FakeGraph, stream: str, path: str, entities: list[dict[str, str]]) -> None:
    """Each link is new and leads to nothing new."""
    graph.lists("users", [{"id": "u"}])

    def page(_: str, options: Mapping[str, str], __: Mapping[str, str]) -> Answer:
        following = int(options.get("$skiptoken", 0)) + 1
        return a_page(*(entities if following > 1 else [a_user(1)]), link=f"{GRAPH}{path}?$skiptoken={following}")

    graph.serves(page, path)

    output = read(stream, fails=True)

    assert ids(rows(output)) == ["user-1"]
    assert "1,000 pages without a new object" in errors(output)[stream]
    assert 1_000 <= len([url for url in graph.asked if url.startswith(path)]) < 1_010


# What no tenant has empty.


@pytest.mark.parametrize(("stream", "path"), [("users", "users"), ("service_principals", "servicePrincipals")])
@pytest.mark.parametrize("pages", [[[]], [[], []], [[], [], []]], ids=len)
def test_an_empty_list_of_what_each_tenant_has_is_a_fault(
    graph: FakeGraph, stream: str, path: str, pages: list[list[Any]]
) -> None:
    """It is requested once more, and then the stream is INCOMPLETE."""
    graph.lists(path, *pages)

    output = read(stream, fails=True)

    assert statuses(output, stream)[-1] == "INCOMPLETE"
    assert "Graph listed none, and every tenant has some" in errors(output)[stream]
    assert len([url for url in graph.asked if url.startswith(path)]) == 2 * len(pages)


@pytest.mark.parametrize(("stream", "path"), [("users", "users"), ("service_principals", "servicePrincipals")])
def test_a_list_that_was_empty_once_is_whole(graph: FakeGraph, stream: str, path: str) -> None:
    """Graph's second answer counts."""
    graph.answers(path, a_page(), a_page(a_user(1)))

    output = read(stream)

    assert ids(rows(output)) == ["user-1"]
    assert statuses(output, stream)[-1] == "COMPLETE"


def test_no_users_are_no_mailboxes(graph: FakeGraph) -> None:
    """A list of parents is doubted like the stream of their name."""
    graph.lists("users", [])

    output = read("mail_messages", fails=True)

    assert statuses(output, "mail_messages")[-1] == "INCOMPLETE"
    assert "every tenant has some" in errors(output)["mail_messages"]


@pytest.mark.parametrize("options", [{"user_filter": "department eq 'none'"}, {"include_users": ["a@contoso.com"]}])
def test_a_filter_may_leave_nobody(graph: FakeGraph, options: dict[str, Any]) -> None:
    """Then nobody is missing."""
    graph.lists("users", [])

    assert statuses(read("users", config={**CONFIG, **options}), "users")[-1] == "COMPLETE"
