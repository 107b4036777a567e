"""What is read, as the configuration has it: which users, in which form, with which properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import requests_mock
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput, discover

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.graph.rate_limits import RateLimiter, Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.mailbox import MailboxStream
from source_microsoft_graph.streams.users import Accounts, Users
from unit_tests.conftest import Clock
from unit_tests.graph_api import CONFIG, GRAPH, FakeGraph, a_page, an_error, errors, read, rows, statuses, warnings
from unit_tests.roll import every_stream, kinds_of_parents

A, B, C = (f"{letter * 8}-0000-0000-0000-000000000000" for letter in "abc")
PEOPLE = [
    {"id": A, "userPrincipalName": "Ann@contoso.com", "userType": "Member", "accountEnabled": True},
    {"id": B, "userPrincipalName": "bob_fabrikam.com#EXT#@contoso.com", "userType": "Guest", "accountEnabled": True},
    {"id": C, "userPrincipalName": "carl@contoso.com", "userType": None, "accountEnabled": False},
]

OF_USERS = [stream for stream in every_stream() if Users in kinds_of_parents(stream)]
OF_ACCOUNTS = [stream.name for stream in OF_USERS if Accounts in kinds_of_parents(stream)]
"""The streams below users whose mailboxes and drives are read."""
OF_EVERYBODY = ["users", *(stream.name for stream in OF_USERS if stream.name not in OF_ACCOUNTS)]
OF_OUTLOOK = [stream for stream in OF_USERS if isinstance(stream, MailboxStream)]


def of_user(stream: GraphStream, user: str) -> str:
    """The path of a stream's listing for one user."""
    return stream.path_template.format(user_id=user, owner=f"users/{user}/")


@pytest.fixture
def wire(graph: FakeGraph) -> requests_mock.Mocker:
    """The requests as they were sent, headers included."""
    return graph._mocker


@pytest.fixture
def people(graph: FakeGraph) -> FakeGraph:
    graph.lists("users", PEOPLE)
    for person in PEOPLE:
        for stream in OF_USERS:
            graph.lists(of_user(stream, str(person["id"])), [{"id": f"of {person['id']}"}])
        graph.lists(f"users/{person['id']}/contactFolders", [])
    graph.lists("groups", [])
    graph.lists("drives", [])
    graph.lists("sites/getAllSites", [])
    return graph


def read_with(*streams: str, **config: Any) -> EntrypointOutput:
    output = read(*streams, config={**CONFIG, **config})
    assert [statuses(output, stream)[-1] for stream in streams] == ["COMPLETE"] * len(streams)
    return output


def owners(output: EntrypointOutput, stream: str) -> set[str]:
    return {row["id"].removeprefix("of ") for row in rows(output, stream)}


def headers(wire: requests_mock.Mocker, path: str) -> list[Mapping[str, str]]:
    """The headers of each request for a path, alone or in a batch."""
    alone = [request.headers for request in wire.request_history if request.url.startswith(f"{GRAPH}{path}")]
    batched = [
        part["headers"]
        for request in wire.request_history
        if request.url == f"{GRAPH}$batch"
        for part in request.json()["requests"]
        if part["url"].startswith(f"/{path}")
    ]
    return batched or alone


# Which users.


def test_by_default_everybody_is_read(people: FakeGraph) -> None:
    """Without an option nothing is asked for, and nothing is left out."""
    output = read_with("users", "mail_messages")

    assert owners(output, "users") == owners(output, "mail_messages") == {A, B, C}
    assert "users?$top=999&$select=id" in people.asked


@pytest.mark.parametrize("stream", [*OF_EVERYBODY, *OF_ACCOUNTS])
def test_a_filter_reaches_users_and_all_below(people: FakeGraph, wire: requests_mock.Mocker, stream: str) -> None:
    """Graph gets the filter as it is, on every page, in the way in which it takes any operator."""
    read_with(stream, user_filter="department ne 'R&D'")

    first_pages = [url for url in people.asked if url.startswith("users?")]
    assert len(first_pages) == 1
    assert first_pages[0].startswith("users?$count=true&$filter=(department ne 'R&D')&$top=999")
    assert {header["ConsistencyLevel"] for header in headers(wire, "users?")} == {"eventual"}


def test_the_filter_goes_with_every_page(graph: FakeGraph, wire: requests_mock.Mocker) -> None:
    """A page link carries no header, and without this one Graph would refuse the page."""
    graph.lists("users", PEOPLE[:1], PEOPLE[1:])

    read_with("users", user_filter="department eq 'Sales'")

    assert [header.get("ConsistencyLevel") for header in headers(wire, "users")] == ["eventual"] * 2


def test_without_a_filter_no_page_is_eventual(people: FakeGraph, wire: requests_mock.Mocker) -> None:
    """The directory answers faster and fresher when nothing advanced is asked of it."""
    read_with("users", "mail_messages")

    assert not [header for header in headers(wire, "users") if "ConsistencyLevel" in header]


def test_a_filter_graph_refuses_fails_with_help(graph: FakeGraph) -> None:
    """Not taken for a refused property: nothing is asked for twice, and the message says what to correct."""
    graph.answers("users", an_error(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause."))

    output = read("users", config={**CONFIG, "user_filter": "x eq 1"}, fails=True)

    assert errors(output)["users"].startswith(
        "users: Graph does not take the $filter. If a setting gives it, correct that:"
    )
    assert len(graph.asked) == 1


def test_included_users_are_asked_for_by_name(people: FakeGraph) -> None:
    """Not the whole tenant is listed for a few users; IDs and principal names are asked for apart."""
    output = read_with("mail_messages", include_users=[A.upper(), "O'Neil@contoso.com", "ann@contoso.com"])

    assert owners(output, "mail_messages") == {A, B, C}, "the fake Graph does not filter"
    assert [url for url in people.asked if url.startswith("users?")] == [
        f"users?$filter=id in ('{A}')&$top=999&$select=id,userPrincipalName",
        "users?$filter=userPrincipalName in ('ann@contoso.com','o''neil@contoso.com')"
        "&$top=999&$select=id,userPrincipalName",
    ]


def test_many_included_users_are_asked_for_ten_at_a_time(graph: FakeGraph) -> None:
    """Graph takes fifteen values in one list, and a URL has its length."""
    graph.lists("users", [])
    names = [f"{number:08x}-0000-0000-0000-000000000000" for number in range(25)]

    read_with("users", include_users=names)

    assert [url.count("-0000-0000-0000-") for url in graph.asked] == [10, 10, 5]
    assert max(map(len, graph.asked)) < 2048


def test_a_user_named_twice_is_read_once(graph: FakeGraph) -> None:
    """By ID and by name it is the same user."""
    graph.lists("users", PEOPLE[:1])

    output = read_with("users", include_users=[A, "ann@contoso.com"])

    assert [row["id"] for row in rows(output)] == [A]


def test_a_named_user_that_is_not_there_is_told(graph: FakeGraph) -> None:
    """A mistyped name would otherwise be a missing mailbox that nobody notices; it is told once, for all streams."""
    graph.lists("users", PEOPLE[:1])
    graph.lists(f"users/{A}/messages", [])

    output = read_with("users", "mail_messages", include_users=["ANN@contoso.com", "anne@contoso.com"])

    assert warnings(output) == [
        "No user anne@contoso.com of include_users is in the tenant, or the filter leaves them out."
    ]


def test_filter_and_list_hold_together(graph: FakeGraph) -> None:
    """Of the named users those are read who meet the filter."""
    graph.lists("users", PEOPLE[:1])

    read_with("users", include_users=[A], user_filter="country eq 'NO'")

    assert graph.asked[0].startswith(f"users?$count=true&$filter=(country eq 'NO') and id in ('{A}')&$top=999")


@pytest.mark.parametrize("excluded", [A, A.upper(), "ann@contoso.com", "ANN@CONTOSO.COM"])
def test_excluded_users_are_left_out(people: FakeGraph, excluded: str) -> None:
    """By ID or principal name in any case, of users and of everything below."""
    output = read_with(*OF_EVERYBODY, *OF_ACCOUNTS, exclude_users=[excluded])

    for stream in (*OF_EVERYBODY, *OF_ACCOUNTS):
        assert owners(output, stream) == {B, C}


@pytest.mark.parametrize(
    ("option", "left"),
    [
        ({"include_guests": False}, {A, C}),
        ({"include_disabled_accounts": False}, {A, B}),
        ({"include_guests": False, "include_disabled_accounts": False}, {A}),
        ({"include_guests": False, "exclude_users": ["carl@contoso.com"]}, {A}),
    ],
)
def test_guests_and_disabled_accounts_may_keep_their_mailboxes(
    people: FakeGraph, option: Mapping[str, Any], left: set[str]
) -> None:
    """Mailboxes and drives are read of the others only; a user without a type is an old member."""
    output = read_with(*OF_ACCOUNTS, **option)

    assert {"mail_messages", "drives"} < set(OF_ACCOUNTS)
    for stream in OF_ACCOUNTS:
        assert owners(output, stream) == left, stream


def test_users_and_chats_have_guests_either_way(people: FakeGraph) -> None:
    """The options are about mailboxes and drives."""
    output = read_with(*OF_EVERYBODY, include_guests=False, include_disabled_accounts=False)

    assert {"users", "chats"} <= set(OF_EVERYBODY)
    for stream in OF_EVERYBODY:
        assert owners(output, stream) == {A, B, C}, stream


def test_users_are_listed_once_for_all_below(people: FakeGraph) -> None:
    """Chats and mailboxes share a listing of IDs unless mailboxes are of fewer users."""
    read_with("chats", "mail_messages", "drives")
    assert [url for url in people.asked if url.startswith("users?")] == ["users?$top=999&$select=id"]

    before = len(people.asked)
    read_with("chats", "mail_messages", "drives", include_guests=False)
    assert sorted(url for url in people.asked[before:] if url.startswith("users?")) == [
        "users?$top=999&$select=id",
        "users?$top=999&$select=id,userType,accountEnabled",
    ]


def test_users_that_cannot_be_told_apart_are_not_guessed(graph: FakeGraph) -> None:
    """User.ReadBasic.All shows nobody's type, and reading everybody is not what was asked for."""
    graph.lists("users", [{"id": A, "userType": None, "accountEnabled": None}])

    output = read("mail_messages", config={**CONFIG, "include_guests": False}, fails=True)

    assert errors(output)["mail_messages"].startswith("Graph does not tell guests and disabled accounts apart. Grant")
    assert "User.Read.All" in errors(output)["mail_messages"]


# In which form.


@pytest.mark.parametrize(
    ("option", "prefer"),
    [
        ({}, 'include-unknown-enum-members, IdType="ImmutableId"'),
        ({"immutable_ids": False}, "include-unknown-enum-members"),
        (
            {"message_body": "text"},
            'include-unknown-enum-members, IdType="ImmutableId", outlook.body-content-type="text"',
        ),
        (
            {"message_body": "text", "immutable_ids": False},
            'include-unknown-enum-members, outlook.body-content-type="text"',
        ),
        ({"message_body": "none"}, 'include-unknown-enum-members, IdType="ImmutableId"'),
    ],
)
@pytest.mark.parametrize("stream", OF_OUTLOOK, ids=lambda stream: stream.name)
def test_outlook_is_told_how(
    people: FakeGraph, wire: requests_mock.Mocker, stream: GraphStream, option: Mapping[str, Any], prefer: str
) -> None:
    """Preferences stand beside the usual one, in each part of a batch."""
    read_with(stream.name, **option)

    told = {header["Prefer"] for header in headers(wire, of_user(stream, A))}
    assert told == {f"{prefer}, odata.maxpagesize={stream.page_size}"}


def test_preferences_go_with_every_page(graph: FakeGraph, wire: requests_mock.Mocker) -> None:
    """IDs of one kind on the first page and of another on the second would never meet again, and a link does not carry
    the size of a page."""
    graph.lists("users", PEOPLE[:1])
    graph.lists(f"users/{A}/messages", [{"id": "1"}], [{"id": "2"}])

    read_with("mail_messages")

    sent = headers(wire, f"users/{A}/messages")
    prefer = 'include-unknown-enum-members, IdType="ImmutableId", odata.maxpagesize=100'
    assert [header["Prefer"] for header in sent] == [prefer] * 2


@pytest.mark.parametrize("stream", [stream.name for stream in OF_OUTLOOK])
def test_outlook_is_not_told_how_many_rows_are_wanted(people: FakeGraph, stream: str) -> None:
    """Whether `$top` bounds a page or the whole list is documented for messages alone."""
    read_with(stream, page_size=100)

    assert [url for url in people.asked if "top" in url.partition("?")[2] and url.startswith("users/")] == []


def test_nobody_else_gets_outlooks_preferences(people: FakeGraph, wire: requests_mock.Mocker) -> None:
    """Immutable IDs are Outlook's."""
    read_with("users", "chats", "drive_items", message_body="text")

    asked = [*headers(wire, "users?"), *headers(wire, f"users/{A}/chats"), *headers(wire, f"users/{A}/drive/")]
    assert {header["Prefer"] for header in asked} == {"include-unknown-enum-members"}


@pytest.mark.parametrize(
    ("stream", "absent", "present"),
    [
        ("mail_messages", {"body", "bodyPreview", "meetingMessageType", "userId"}, {"id", "subject", "from", "sender"}),
        ("calendar_events", {"body", "bodyPreview", "userId"}, {"id", "subject", "organizer", "iCalUId"}),
    ],
)
def test_without_bodies_none_is_asked_for(people: FakeGraph, stream: str, absent: set[str], present: set[str]) -> None:
    """$select names the rest, and the columns are not there to stay empty."""
    read_with(stream, message_body="none")

    (url,) = [url for url in people.asked if url.startswith(f"users/{A}/")]
    selected = set(url.partition("$select=")[2].split(","))
    assert selected.isdisjoint(absent)
    assert selected >= present
    columns = columns_of(stream, message_body="none")
    assert {"body", "body_preview", "meeting_message_type"}.isdisjoint(columns)
    assert {"id", "user_id", "subject", "odata_type"} <= columns


def test_a_body_is_never_fallen_back_to(graph: FakeGraph) -> None:
    """If Graph refuses the properties, its default ones would bring the bodies that nobody wants here."""
    graph.lists("users", PEOPLE[:1])
    graph.answers(f"users/{A}/messages", an_error(400, "BadRequest", "Could not find a property named 'x'."))

    output = read("mail_messages", config={**CONFIG, "message_body": "none"}, fails=True)

    assert rows(output) == []
    assert [url for url in graph.asked if "$select" not in url and "messages" in url] == []


def test_contacts_have_no_body(people: FakeGraph) -> None:
    """Nothing of theirs changes."""
    read_with("contacts", message_body="none")

    assert f"users/{A}/contacts" in people.asked


def columns_of(stream: str, **config: Any) -> set[str]:
    catalog = discover(SourceMicrosoftGraph(), {**CONFIG, **config}).catalog.catalog
    return next(set(found.json_schema["properties"]) for found in catalog.streams if found.name == stream)


def test_users_who_were_deleted_are_all_read(graph: FakeGraph) -> None:
    """A filter and names select among the users there are."""
    path = "directory/deletedItems/microsoft.graph.user"
    graph.lists(path, [{"id": A}, {"id": B}])

    output = read_with("deleted_users", user_filter="department eq 'Sales'", include_users=[A], exclude_users=[B])

    assert [row["id"] for row in rows(output)] == [A, B]
    assert not [url for url in graph.asked if "$filter" in url]
    assert not warnings(output)


# With which properties.

EXTRA = {
    "employeeOrgData": "employee_org_data",
    "employeeLeaveDateTime": "employee_leave_date_time",
    "customSecurityAttributes": "custom_security_attributes",
    "signInActivity": "sign_in_activity",
}


@pytest.mark.parametrize("wanted", [[], ["employeeOrgData"], ["signInActivity"], list(EXTRA)])
def test_a_property_is_asked_for_if_it_is_wanted(graph: FakeGraph, wanted: list[str]) -> None:
    """Wanted properties are in $select and in the schema, the others in neither."""
    graph.lists("users", [{"id": A}])

    read_with("users", extra_user_properties=wanted)

    selected = set(graph.asked[0].partition("$select=")[2].split(","))
    assert selected & set(EXTRA) == set(wanted)
    assert columns_of("users", extra_user_properties=wanted) & set(EXTRA.values()) == {EXTRA[name] for name in wanted}


@pytest.mark.parametrize(
    "error",
    [
        an_error(403, "Authentication_MSGraphPermissionMissing", "Principal does not have AuditLog.Read.All."),
        an_error(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "doesn't have premium license"),
    ],
    ids=["no permission", "no licence"],
)
def test_last_sign_ins_that_are_refused_are_left_out(graph: FakeGraph, error: Mapping[str, Any]) -> None:
    """Users are read without them, with a warning; nothing else that was asked for is given up."""
    graph.answers("users", error, a_page({"id": A}))

    output = read_with("users", extra_user_properties=list(EXTRA))

    assert [row["id"] for row in rows(output)] == [A]
    assert "these are no longer requested and may stay empty: signInActivity." in warnings(output)[0]
    assert "customSecurityAttributes" in graph.asked[1]
    assert "signInActivity" not in graph.asked[1]


def test_last_sign_ins_have_a_limit_of_their_own(graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten requests a minute, for users with their last sign-ins alone."""
    asked: list[Service] = []
    wait = RateLimiter.wait

    def listened(limiter: RateLimiter, service: Service, *how: Any) -> None:
        asked.append(service)
        wait(limiter, service, *how)

    monkeypatch.setattr(RateLimiter, "wait", listened)
    graph.lists("users", [{"id": A}])

    read_with("users", extra_user_properties=["signInActivity"])
    read_with("users")

    assert asked == [Service.SIGN_IN_ACTIVITY, Service.DIRECTORY]


def test_eleven_pages_of_last_sign_ins_take_a_minute(graph: FakeGraph, clock: Clock) -> None:
    """The limit is kept from the start: going over it would cost a refusal and the wait as well."""
    graph.lists("users", *([{"id": f"{number}"}] for number in range(11)))

    read_with("users", extra_user_properties=["signInActivity"])

    assert 60 <= sum(clock.slept) <= 65


# Accounts of which Graph does not tell everything.

ODD: dict[str, dict[str, Any]] = {
    "enabled or not": {"userType": "Member", "accountEnabled": None},
    "neither": {"userType": None, "accountEnabled": None},
    "nothing": {},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "options",
    [
        {"include_guests": False},
        {"include_disabled_accounts": False},
        {"include_guests": False, "include_disabled_accounts": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("position", [0, 2, 3])
def test_one_odd_account_ends_nothing(
    graph: FakeGraph, odd: Mapping[str, Any], options: Mapping[str, Any], position: int
) -> None:
    """It is read, and if the options would leave it out that is said once; the others are read as ever."""
    people = [
        {"id": "a", "userType": "Member", "accountEnabled": True},
        {"id": "guest", "userType": "Guest", "accountEnabled": True},
        {"id": "disabled", "userType": "Member", "accountEnabled": False},
    ]
    people.insert(position, {"id": "odd", **odd})
    graph.lists("users", people)
    for person in people:
        graph.lists(f"users/{person['id']}/messages", [{"id": f"mail-of-{person['id']}"}])

    output = read_with("mail_messages", **options)

    left_out = {"guest"} if "include_guests" in options else set()
    left_out |= {"disabled"} if "include_disabled_accounts" in options else set()
    assert {row["user_id"] for row in rows(output)} == {"a", "guest", "disabled", "odd"} - left_out
    is_known = odd.get("userType") == "Member" and "include_disabled_accounts" not in options
    told = [warning for warning in warnings(output) if "1 users whether they are guests or disabled" in warning]
    assert len(told) == (0 if is_known else 1)


def test_an_old_account_without_a_type_is_a_member(graph: FakeGraph) -> None:
    """Nothing odd is in it."""
    graph.lists("users", [{"id": "old", "userType": None, "accountEnabled": True}])
    graph.lists("users/old/messages", [{"id": "1"}])

    output = read_with("mail_messages", include_guests=False, include_disabled_accounts=False)

    assert [row["id"] for row in rows(output)] == ["1"]
    assert warnings(output) == []


@pytest.mark.parametrize("count", [1, 5])
def test_accounts_that_are_all_odd_lack_a_permission(graph: FakeGraph, count: int) -> None:
    """Of nobody is anything told, so it is not the account that is odd."""
    graph.lists("users", [{"id": f"u{number}", "accountEnabled": None} for number in range(count)])

    output = read("mail_messages", config={**CONFIG, "include_disabled_accounts": False}, fails=True)

    assert "Graph does not tell guests and disabled accounts apart." in errors(output)["mail_messages"]
