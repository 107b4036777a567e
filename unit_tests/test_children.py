"""Streams below other streams: whose rows they are, which parents are read, what is met twice."""

from __future__ import annotations

import pytest
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput

from source_microsoft_graph.streams.files import Sites
from unit_tests.conftest import Clock
from unit_tests.graph_api import (
    EVERY_PERMISSION,
    Answer,
    FakeGraph,
    a_page,
    an_error,
    errors,
    read,
    rows,
    statuses,
    told,
    warnings,
)


def keys(output: EntrypointOutput, *columns: str, stream: str | None = None) -> list[tuple[str, ...]]:
    return sorted(tuple(row[column] for column in columns) for row in rows(output, stream))


def test_a_child_carries_its_parent(graph: FakeGraph) -> None:
    """The id of the parent stands in the column that the path's placeholder names."""
    graph.lists("directoryRoles", [{"id": "r1"}, {"id": "r2"}])
    graph.lists("directoryRoles/r1/members", [{"id": "m", "@odata.type": "#microsoft.graph.user"}])
    graph.lists("directoryRoles/r2/members", [])

    assert rows(read("directory_role_member")) == [
        {"id": "m", "odata_type": "#microsoft.graph.user", "role_id": "r1"},
    ]


def test_every_page_of_parents_is_read(graph: FakeGraph) -> None:
    """A parent's listing pages like any other, over empty pages too."""
    graph.lists("groups", [{"id": "g1"}], [], [{"id": "g2"}])
    graph.lists("groups/g1/members", [{"id": "m1"}])
    graph.lists("groups/g2/members", [{"id": "m2"}], [], [{"id": "m3"}])

    assert keys(read("group_member"), "group_id", "id") == [("g1", "m1"), ("g2", "m2"), ("g2", "m3")]


def list_apps(graph: FakeGraph) -> None:
    """Two apps, one of them a member of a role and two groups, of which Graph lists it for one at the most."""
    graph.lists("groups", [{"id": "g1"}, {"id": "g2"}])
    graph.lists("servicePrincipals", [{"id": "a"}], [], [{"id": "b"}])
    graph.lists(
        "servicePrincipals/a/memberOf",
        [{"@odata.type": "#microsoft.graph.directoryRole", "id": "r"}],
        [],
        [{"@odata.type": "#microsoft.graph.group", "id": group} for group in ("g1", "g2")],
    )
    graph.lists("servicePrincipals/b/memberOf", [])
    graph.lists("groups/g1/members", [{"@odata.type": "#microsoft.graph.user", "id": "m"}])


def test_apps_are_members_too(graph: FakeGraph) -> None:
    """v1.0 lists no service principal with a group, so they are found the other way round, by type and ids."""
    list_apps(graph)
    graph.lists("groups/g2/members", [])

    output = read("group_member")

    assert sorted(rows(output), key=lambda row: (row["id"], row["group_id"])) == [
        {"id": "a", "odata_type": "#microsoft.graph.servicePrincipal", "group_id": "g1"},
        {"id": "a", "odata_type": "#microsoft.graph.servicePrincipal", "group_id": "g2"},
        {"id": "m", "odata_type": "#microsoft.graph.user", "group_id": "g1"},
    ]
    assert statuses(output, "group_member")[-1] == "COMPLETE"


def test_an_app_that_is_listed_both_ways_is_one_row(graph: FakeGraph) -> None:
    """Should Graph come to list service principals with a group, nothing is doubled."""
    list_apps(graph)
    graph.lists("groups/g2/members", [{"@odata.type": "#microsoft.graph.servicePrincipal", "id": "a"}])

    assert keys(read("group_member"), "id", "group_id") == [("a", "g1"), ("a", "g2"), ("m", "g1")]


def test_apps_that_may_not_be_read_are_told(graph: FakeGraph) -> None:
    """Without a permission for apps the other members are whole, and a warning says what is missing."""
    list_apps(graph)
    graph.lists("groups/g2/members", [])
    graph.grants("Group.Read.All")

    output = read("group_member")

    assert keys(output, "id", "group_id") == [("m", "g1")]
    (warning,) = warnings(output)
    assert warning.startswith("group_member: members that are apps are left out. Grant the")
    assert "Application.Read.All" in warning
    assert [url for url in graph.asked if url.startswith("servicePrincipals")] == []


def test_apps_that_cannot_be_read_fail_the_stream(graph: FakeGraph) -> None:
    """Granted and refused all the same, the members are not all there."""
    list_apps(graph)
    graph.lists("groups/g2/members", [])
    graph.answers("servicePrincipals", an_error(403, "Authorization_RequestDenied"))

    output = read("group_member", fails=True)

    assert keys(output, "id", "group_id") == [("m", "g1")]
    assert statuses(output, "group_member")[-1] == "INCOMPLETE"


def test_teams_are_the_groups_graph_marks_as_such(graph: FakeGraph) -> None:
    """Children of teams list the filtered groups by their ids, and a team never set up is skipped and named."""
    graph.lists("groups", [{"id": "t1"}, {"id": "t2"}])
    graph.lists("teams/t1/channels", [{"id": "c"}])
    graph.answers("teams/t2/channels", an_error(404, "NotFound", "No team found with Group Id t2"))

    output = read("channels")

    assert graph.asked[0] == ("groups?$filter=resourceProvisioningOptions/Any(x:x eq 'Team')&$top=999&$select=id")
    assert keys(output, "team_id", "id") == [("t1", "c")]
    assert statuses(output, "channels")[-1] == "COMPLETE"
    assert [warning.split(".")[0] for warning in warnings(output)] == [
        "channels: skipped team t2",
        "channels: 1 skipped in all",
    ]


def test_a_chat_of_many_users_is_one_row(graph: FakeGraph) -> None:
    """Graph lists a chat under each of its members; it is emitted once, and read once for its messages."""
    graph.lists("users", [{"id": "u1"}, {"id": "u2"}])
    graph.lists("users/u1/chats", [{"id": "19:a@thread.v2"}, {"id": "19:b@thread.v2"}])
    graph.lists("users/u2/chats", [{"id": "19:b@thread.v2"}, {"id": "19:c@thread.v2"}])
    for name in "abc":
        graph.lists(f"chats/19:{name}@thread.v2/messages", [{"id": name}])

    assert keys(read("chats"), "id") == [("19:a@thread.v2",), ("19:b@thread.v2",), ("19:c@thread.v2",)]
    assert keys(read("chat_messages"), "id") == [("a",), ("b",), ("c",)]
    assert keys(read("chats", "chat_messages"), "id")[:2] == [("19:a@thread.v2",), ("19:b@thread.v2",)]


def test_contacts_of_every_folder(graph: FakeGraph) -> None:
    """The default folder, the others, and those nested in them, over an empty page of folders."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("users/u/contacts", [{"id": "default"}])
    graph.lists("users/u/contactFolders", [{"id": "f1="}], [], [{"id": "f2="}])
    graph.lists("users/u/contactFolders/f1=/contacts", [{"id": "in-f1"}])
    graph.lists("users/u/contactFolders/f2=/contacts", [], [{"id": "in-f2"}])
    graph.lists("users/u/contactFolders/f1=/childFolders", [{"id": "f3="}])
    graph.lists("users/u/contactFolders/f2=/childFolders", [])
    graph.lists("users/u/contactFolders/f3=/contacts", [{"id": "in-f3"}])
    graph.lists("users/u/contactFolders/f3=/childFolders", [])

    assert keys(read("contacts"), "id", "user_id") == [
        ("default", "u"),
        ("in-f1", "u"),
        ("in-f2", "u"),
        ("in-f3", "u"),
    ]


def test_a_user_without_mailbox_is_asked_for_contacts_once(graph: FakeGraph) -> None:
    """Once skipped, the folders of a mailbox that does not exist are not asked for."""
    graph.lists("users", [{"id": "u"}])
    graph.answers("users/u/contacts", an_error(404, "MailboxNotEnabledForRESTAPI"))

    assert statuses(read("contacts"), "contacts")[-1] == "COMPLETE"
    assert [url for url in graph.asked if url.startswith("users/u/")] == ["users/u/contacts"]


def list_drives(graph: FakeGraph) -> None:
    graph.lists("drives", [{"id": "root-library"}])
    graph.lists("users", [{"id": "u"}])
    graph.lists("users/u/drives", [{"id": "onedrive"}], [], [{"id": "second"}])
    graph.lists("groups", [{"id": "g"}])
    graph.lists("groups/g/drives", [{"id": "documents"}, {"id": "root-library"}])
    graph.lists("sites/getAllSites", [{"id": "host,1,2"}])
    graph.lists("sites/host,1,2/drives", [{"id": "documents"}, {"id": "site-library"}])


def test_drives_are_the_union_of_their_owners(graph: FakeGraph) -> None:
    """The root site's, every user's and every Microsoft 365 group's drives, each once; sites are not asked for, which
    is told."""
    graph.grants(*set(EVERY_PERMISSION) - set(Sites.permissions))
    list_drives(graph)

    output = read("drives")

    assert keys(output, "id") == [("documents",), ("onedrive",), ("root-library",), ("second",)]
    assert [warning.split(". ")[0] for warning in warnings(output)] == [
        "drives: drives of sites without a group are left out"
    ]
    assert not [url for url in graph.asked if url.startswith("sites")]
    assert "groups?$filter=groupTypes/any(c:c eq 'Unified')&$top=999&$select=id" in graph.asked


def test_drives_of_sites_where_the_app_may_list_sites(graph: FakeGraph) -> None:
    """With Sites.Read.All the drives of every site join the union."""
    graph.grants(*EVERY_PERMISSION, "Sites.Read.All")
    list_drives(graph)

    output = read("drives")

    assert ("site-library",) in keys(output, "id")
    assert warnings(output) == []


def test_drive_items_are_a_listing(graph: FakeGraph) -> None:
    """Each item is one row in its last version; one deleted meanwhile is none."""
    graph.lists("users", [{"id": "u"}])
    graph.lists(
        "users/u/drive/root/delta",
        [{"id": "root", "eTag": "1", "root": {}}, {"id": "a", "eTag": "1", "@microsoft.graph.downloadUrl": "secret"}],
        [],
        [{"id": "a", "eTag": "1"}, {"id": "b", "eTag": "1"}, {"id": "gone"}, {"id": "never", "deleted": {}}],
        [{"id": "b", "eTag": "2"}, {"id": "gone", "deleted": {"state": "deleted"}}],
    )

    assert rows(read("drive_items")) == [
        {"id": "root", "e_tag": "1", "root": {}, "user_id": "u"},
        {"id": "a", "e_tag": "1", "user_id": "u"},
        {"id": "b", "e_tag": "2", "user_id": "u"},
    ]


def test_a_parent_that_cannot_be_listed_takes_its_children_and_not_its_namesake(graph: FakeGraph) -> None:
    """The children fail with the parent's reason; the stream of the parent's name is judged by its own reading."""
    graph.answers("users", a_page({"id": "u"}))
    graph.answers("users?$top=999&$select=id", an_error(403, "Authorization_RequestDenied"))
    graph.grants("Mail.Read")

    output = read("mail_messages", "users", fails=True)

    assert statuses(output, "mail_messages")[-1] == "INCOMPLETE"
    assert statuses(output, "users")[-1] == "COMPLETE"
    assert keys(output, "id") == [("u",)]


def test_pages_of_one_chat_come_a_second_apart(graph: FakeGraph, clock: Clock) -> None:
    """Graph allows one request a second for a chat, and for good five sixths of that, however few the others are."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("users/u/chats", [{"id": "c"}])
    graph.lists("chats/c/messages", [{"id": "1"}], [], [{"id": "2"}])

    assert keys(read("chat_messages"), "id") == [("1",), ("2",)]
    assert clock.slept == [pytest.approx(1.2)] * 2


def test_chats_that_are_read_are_not_listed_again_for_their_messages(graph: FakeGraph) -> None:
    """Listing chats takes a request a user at a slow pace, so messages go by what reading the chats finds."""
    graph.lists("users", [{"id": "u1"}, {"id": "u2"}])
    graph.lists("users/u1/chats", [{"id": "a"}], [{"id": "b"}])
    graph.lists("users/u2/chats", [{"id": "b"}])
    graph.lists("chats/a/messages", [{"id": "1"}])
    graph.lists("chats/b/messages", [{"id": "2"}])

    output = read("chat_messages", "chats")

    assert sorted(row["id"] for row in rows(output, "chats")) == ["a", "b"]
    assert keys(output, "id", "chat_id", stream="chat_messages") == [("1", "a"), ("2", "b")]
    assert sum(path.startswith("users/u1/chats?$top") for path in graph.asked) == 1


def test_messages_of_chats_that_could_not_all_be_found_are_incomplete(graph: FakeGraph) -> None:
    """The messages of the chats that were found are read, and the stream does not pass for whole."""
    graph.lists("users", [{"id": "u1"}, {"id": "u2"}])
    graph.lists("users/u1/chats", [{"id": "a"}])
    graph.answers("users/u2/chats", an_error(500, "InternalServerError"))
    graph.lists("chats/a/messages", [{"id": "1"}])

    output = read("chat_messages", "chats", fails=True)

    assert keys(output, "id", "chat_id", stream="chat_messages") == [("1", "a")]
    assert {name: statuses(output, name)[-1] for name in ("chats", "chat_messages")} == {
        "chats": "INCOMPLETE",
        "chat_messages": "INCOMPLETE",
    }
    assert "Not all of chats could be found. chats of user u2: " in errors(output)["chat_messages"]


def test_a_busy_mailbox_waits_by_itself(graph: FakeGraph, clock: Clock) -> None:
    """Outlook throttles each mailbox by itself, so the others are read meanwhile."""
    graph.lists("users", [{"id": "busy"}, {"id": "idle"}])
    graph.answers(
        "users/busy/messages",
        an_error(429, "ApplicationThrottled", "Over its MailboxConcurrency limit.", headers={"Retry-After": "30"}),
        a_page({"id": "1"}),
    )
    graph.lists("users/idle/messages", [{"id": "2"}], [{"id": "3"}])

    output = read("mail_messages")

    assert [row["id"] for row in rows(output)] == ["2", "3", "1"]
    assert clock.slept == [30.0]


RELATIONS = [
    pytest.param("group_member", "members", "memberOf", id="members"),
    pytest.param("group_owner", "owners", "ownedObjects", id="owners"),
]


def list_relations(graph: FakeGraph, relation: str, inverse: str) -> None:
    """25 apps, of which two are related to both groups, one to other objects alone, and the others to none."""
    graph.lists("groups", [{"id": "g1"}, {"id": "g2"}])
    graph.lists("servicePrincipals", [{"id": f"s{number}"} for number in range(25)])
    for number in range(25):
        graph.lists(f"servicePrincipals/s{number}/{inverse}", [])
    groups = [{"@odata.type": "#microsoft.graph.group", "id": group} for group in ("g1", "g2")]
    for app in ("s3", "s24"):
        graph.lists(f"servicePrincipals/{app}/{inverse}", groups[:1], [], groups[1:])
    others = [{"@odata.type": f"#microsoft.graph.{kind}", "id": "g1"} for kind in ("application", "directoryRole")]
    graph.lists(f"servicePrincipals/s7/{inverse}", others)
    graph.lists(f"groups/g1/{relation}", [{"@odata.type": "#microsoft.graph.user", "id": "u"}])
    graph.lists(f"groups/g2/{relation}", [])


@pytest.mark.parametrize(("stream", "relation", "inverse"), RELATIONS)
def test_apps_are_found_from_their_side(graph: FakeGraph, stream: str, relation: str, inverse: str) -> None:
    """v1.0 lists service principals neither among members nor among owners; they are requested in batches."""
    list_relations(graph, relation, inverse)

    output = read(stream)

    assert keys(output, "id", "group_id", "odata_type") == [
        ("s24", "g1", "#microsoft.graph.servicePrincipal"),
        ("s24", "g2", "#microsoft.graph.servicePrincipal"),
        ("s3", "g1", "#microsoft.graph.servicePrincipal"),
        ("s3", "g2", "#microsoft.graph.servicePrincipal"),
        ("u", "g1", "#microsoft.graph.user"),
    ]
    assert statuses(output, stream)[-1] == "COMPLETE"
    assert 20 in [len([url for url in batch if inverse in url]) for batch in graph.batches]


@pytest.mark.parametrize("kind", ["servicePrincipal", "agentIdentity", "somethingNew"])
@pytest.mark.parametrize(("stream", "relation", "inverse"), RELATIONS)
def test_what_is_found_from_both_sides_is_one_row_with_the_lists_type(
    graph: FakeGraph, stream: str, relation: str, inverse: str, kind: str
) -> None:
    """An agent identity is a service principal of a type of its own, and the group lists it."""
    list_relations(graph, relation, inverse)
    graph.lists(f"groups/g2/{relation}", [{"@odata.type": f"#microsoft.graph.{kind}", "id": "s3"}])

    output = read(stream)

    assert [row["odata_type"] for row in rows(output) if (row["id"], row["group_id"]) == ("s3", "g2")] == [
        f"#microsoft.graph.{kind}"
    ]
    assert len(rows(output)) == 5


@pytest.mark.parametrize(
    "fault", [an_error(500, "InternalServerError"), an_error(400, "New"), a_page({"displayName": "no id"})]
)
@pytest.mark.parametrize(("stream", "relation", "inverse"), RELATIONS)
def test_an_app_that_cannot_be_asked_leaves_the_stream_incomplete(
    graph: FakeGraph, stream: str, relation: str, inverse: str, fault: Answer
) -> None:
    """What the groups list is handed over all the same."""
    list_relations(graph, relation, inverse)
    graph.answers(f"servicePrincipals/s9/{inverse}", fault)

    output = read(stream, fails=True)

    assert ("u", "g1") in keys(output, "id", "group_id")
    assert statuses(output, stream)[-1] == "INCOMPLETE"
    assert "service_principal s9" in told(output, stream)


@pytest.mark.parametrize(
    ("role", "missing"),
    [
        ("Group.Read.All", True),
        ("Directory.Read.All", True),
        ("TeamMember.Read.All", False),
        ("TeamMember.ReadWrite.All", False),
    ],
)
def test_members_of_teams_take_their_own_permission(graph: FakeGraph, role: str, missing: bool) -> None:
    """No permission for groups or for the directory opens them."""
    graph.grants("GroupMember.Read.All", role)
    graph.lists("groups", [{"id": "t"}])
    graph.answers("teams/t/members", an_error(403, "Forbidden") if missing else a_page({"id": "m"}))

    output = read("team_member", fails=missing)

    assert statuses(output, "team_member")[-1] == ("INCOMPLETE" if missing else "COMPLETE")
    assert ("TeamMember.Read.All" in told(output, "team_member")) == missing


@pytest.mark.parametrize("status", [403, 404, 423])
def test_folders_of_a_mailbox_that_was_read_are_there(graph: FakeGraph, status: int) -> None:
    """Contacts of the default folder came, so the mailbox is there and its folders are missing."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("users/u/contacts", [{"id": "1"}])
    graph.answers("users/u/contactFolders", an_error(status, "ErrorItemNotFound"))

    output = read("contacts", fails=True)

    assert keys(output, "id") == [("1",)]
    assert statuses(output, "contacts")[-1] == "INCOMPLETE"
    assert "contacts of user u: a later request was refused" in told(output, "contacts")
