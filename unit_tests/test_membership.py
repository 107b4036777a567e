"""Changes among members and owners of groups, at the wire: which groups are listed again, and who left."""

from __future__ import annotations

from typing import Any

import pytest
import requests_mock

from unit_tests.graph_api import FakeGraph, an_error, rows, statuses, warnings
from unit_tests.test_incremental import NOW, answer, kept, since, sync

APP = "#microsoft.graph.servicePrincipal"
USER = "#microsoft.graph.user"
TIMES = {"_ab_cdc_updated_at": NOW}
LEFT = {"@removed": {"reason": "deleted"}}


@pytest.fixture
def graph() -> Any:
    """Two groups with the member m, and one with nobody."""
    with requests_mock.Mocker() as wire:
        graph = FakeGraph(wire)
        answer(graph, "groups/delta?$select=members&$deltatoken=latest", delta="1")
        answer(graph, "groups", {"id": "g"}, {"id": "h"}, {"id": "k"})
        answer(graph, "groups/g/members", {"id": "m"})
        answer(graph, "groups/h/members", {"id": "m"})
        answer(graph, "groups/k/members")
        yield graph


def changes(graph: FakeGraph, token: str, following: str, *groups: Any, link: str | None = None) -> None:
    answer(graph, f"groups/delta?$deltatoken={token}", *groups, delta=following, link=link)


def group(identifier: str, *people: Any, **more: Any) -> Any:
    return {"id": identifier, "members@delta": list(people), **more}


def pairs(output: Any) -> list[tuple[str, str, bool]]:
    """Who is or was in which group, and whether it is a deletion."""
    found = [(row["group_id"], row["id"], "_ab_cdc_deleted_at" in row) for row in rows(output)]
    assert len(found) == len(set(found))
    return sorted(found)


def listed(graph: FakeGraph) -> list[str]:
    """The groups whose members were listed, in order."""
    return sorted(path.split("/")[1] for path in graph.asked if "/members" in path)


def test_a_token_is_taken_before_the_first_listing(graph: FakeGraph) -> None:
    """What changes while the members are listed comes with the next sync; each group keeps the token."""
    output = sync("group_member")

    assert [path.partition("?")[0] for path in graph.asked][:2] == ["groups/delta", "groups"]
    assert sorted(map(str, rows(output))) == [str({"id": "m", "group_id": each, **TIMES}) for each in ("g", "h")]
    assert list(since(output)[-1]) == ["1"]
    assert len(since(output)[-1]["1"]) == 3 * 12


def test_the_groups_that_changed_are_listed_again(graph: FakeGraph) -> None:
    """Their rows are today's, and whoever left is a tombstone; the others move on without a request."""
    first = sync("group_member")
    before = len(listed(graph))
    changes(graph, "1", "2", group("g", {"id": "n", "@odata.type": USER}, {"id": "o", **LEFT}))
    answer(graph, "groups/g/members", {"id": "m"}, {"id": "n", "displayName": "N"})

    output = sync("group_member", state=kept(first))

    assert len(listed(graph)) == before + 1
    assert pairs(output) == [("g", "m", False), ("g", "n", False), ("g", "o", True)]
    assert {"id": "o", "group_id": "g", "_ab_cdc_deleted_at": NOW, **TIMES} in rows(output)
    assert list(since(output)[-1]) == ["2"]


def test_a_large_group_comes_in_several_pieces(graph: FakeGraph) -> None:
    """Pieces of one group on one page and on the next; in the end somebody's last word counts."""
    first = sync("group_member")
    link = "https://graph.microsoft.com/v1.0/groups/delta?$skiptoken=p"
    changes(graph, "1", "", group("g", {"id": "o", **LEFT}), group("g", {"id": "p", **LEFT}), link=link)
    answer(
        graph,
        "groups/delta?$skiptoken=p",
        group("g", {"id": "q", **LEFT}, {"id": "m", "@odata.type": USER}),
        delta="2",
    )

    output = sync("group_member", state=kept(first))

    assert pairs(output) == [("g", "m", False), ("g", "o", True), ("g", "p", True), ("g", "q", True)]


def test_a_quiet_night_is_one_round_and_no_rows(graph: FakeGraph) -> None:
    """The groups are listed by their ids, and no members of any."""
    first = sync("group_member")
    before = len(listed(graph))
    changes(graph, "1", "2")

    output = sync("group_member", state=kept(first))

    assert rows(output) == []
    assert len(listed(graph)) == before
    assert list(since(output)[-1]) == ["2"]


def test_a_new_group_is_whole_and_a_deleted_one_is_forgotten(graph: FakeGraph) -> None:
    """Graph names a deleted group and nobody who was in it."""
    first = sync("group_member")
    changes(graph, "1", "2", {"id": "h", "@removed": {"reason": "changed"}}, group("i"))
    answer(graph, "groups", {"id": "g"}, {"id": "i"})
    answer(graph, "groups/i/members", {"id": "m"}, {"id": "n"})

    output = sync("group_member", state=kept(first))

    assert pairs(output) == [("i", "m", False), ("i", "n", False)]
    assert len(since(output)[-1]["2"]) == 2 * 12


def test_an_expired_token_reads_everything_and_says_it_once(graph: FakeGraph) -> None:
    """With a new token from before the listings."""
    first = sync("group_member")
    graph.answers("groups/delta?$deltatoken=1", an_error(410, "syncStateNotFound"))
    answer(graph, "groups/delta?$select=members&$deltatoken=latest", delta="9")

    output = sync("group_member", state=kept(first))

    assert pairs(output) == [("g", "m", False), ("h", "m", False)]
    assert len([line for line in warnings(output) if "read in full" in line]) == 1
    assert list(since(output)[-1]) == ["9"]


def test_a_group_that_failed_is_listed_until_it_succeeds(graph: FakeGraph) -> None:
    """It keeps its token, by which those who left meanwhile are told; nobody else is listed for it."""
    first = sync("group_member")
    changes(graph, "1", "2", group("g", {"id": "o", **LEFT}))
    graph.answers("groups/g/members", an_error(405, "MethodNotAllowed"))
    second = sync("group_member", state=kept(first), fails=True)
    assert statuses(second, "group_member")[-1] == "INCOMPLETE"
    changes(graph, "2", "3")
    changes(graph, "1", "3", group("g", {"id": "o", **LEFT}, {"id": "p", **LEFT}))
    answer(graph, "groups/g/members", {"id": "m"})

    third = sync("group_member", state=kept(second))

    assert rows(second) == []
    assert pairs(third) == [("g", "m", False), ("g", "o", True), ("g", "p", True)]
    assert list(since(third)[-1]) == ["3"]


def test_who_left_and_is_listed_still_is_no_tombstone_yet(graph: FakeGraph) -> None:
    """They came back, or the list lags behind the changes: the group is read again, and the next round tells."""
    first = sync("group_member")
    changes(graph, "1", "2", group("g", {"id": "m", **LEFT}))
    second = sync("group_member", state=kept(first))
    changes(graph, "2", "3")
    changes(graph, "1", "3", group("g", {"id": "m", **LEFT}))
    answer(graph, "groups/g/members")

    third = sync("group_member", state=kept(second))

    assert pairs(second) == [("g", "m", False)]
    assert pairs(third) == [("g", "m", True)]


def test_who_came_and_is_not_listed_yet_is_a_row(graph: FakeGraph) -> None:
    """With what the change tells: the type and the id."""
    first = sync("group_member")
    changes(graph, "1", "2", group("g", {"id": "n", "@odata.type": USER}))

    output = sync("group_member", state=kept(first))

    assert {"odata_type": USER, "id": "n", "group_id": "g", **TIMES} in rows(output)
    assert pairs(output) == [("g", "m", False), ("g", "n", False)]


def test_an_app_that_came_is_found_though_no_change_names_it(graph: FakeGraph) -> None:
    """v1.0 lists no apps with their groups, so the changes may not name them either; it comes once."""
    first = sync("group_member")
    changes(graph, "1", "2")
    graph.lists("servicePrincipals/the-own-app/memberOf", [{"id": "h", "@odata.type": "#microsoft.graph.group"}])

    second = sync("group_member", state=kept(first))
    changes(graph, "2", "3")
    third = sync("group_member", state=kept(second))

    assert {"odata_type": APP, "id": "the-own-app", "group_id": "h", **TIMES} in rows(second)
    assert pairs(second) == [("h", "m", False), ("h", "the-own-app", False)]
    assert rows(third) == []


def test_apps_that_cannot_be_read_are_found_later(graph: FakeGraph) -> None:
    """The stream fails, what is known goes out, and the next sync finds the app."""
    first = sync("group_member")
    changes(graph, "1", "2", group("g", {"id": "o", **LEFT}))
    graph.answers("servicePrincipals/the-own-app/memberOf", an_error(405, "MethodNotAllowed"))
    second = sync("group_member", state=kept(first), fails=True)
    changes(graph, "2", "3")
    graph.lists("servicePrincipals/the-own-app/memberOf", [{"id": "h", "@odata.type": "#microsoft.graph.group"}])

    third = sync("group_member", state=kept(second))

    assert pairs(second) == [("g", "m", False), ("g", "o", True)]
    assert pairs(third) == [("h", "m", False), ("h", "the-own-app", False)]


def test_where_graph_tells_no_changes_each_sync_reads_everything(graph: FakeGraph) -> None:
    """It is said, and the state holds no group."""
    graph.answers("groups/delta?$select=members&$deltatoken=latest", an_error(400, "Request_BadRequest"))
    first = sync("group_member")
    second = sync("group_member", state=kept(first))

    assert pairs(first) == pairs(second) == [("g", "m", False), ("h", "m", False)]
    assert any("each sync reads everything" in line for line in warnings(second))
    assert since(second)[-1] == {}


def test_owners_have_a_round_of_their_own(graph: FakeGraph) -> None:
    """Selecting owners alone, so that new members list no group again."""
    answer(graph, "groups/delta?$select=owners&$deltatoken=latest", delta="1")
    answer(graph, "groups/g/owners", {"id": "m"}, {"id": "n"})
    answer(graph, "groups/h/owners", {"id": "m"})
    answer(graph, "groups/k/owners")
    first = sync("group_owner")
    answer(graph, "groups/delta?$deltatoken=1", {"id": "g", "owners@delta": [{"id": "n", **LEFT}]}, delta="2")
    answer(graph, "groups/g/owners", {"id": "m"})

    output = sync("group_owner", state=kept(first))

    assert pairs(output) == [("g", "m", False), ("g", "n", True)]
