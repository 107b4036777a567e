"""Who manages whom: a row for each user who has a manager, and for nobody else."""

from __future__ import annotations

import pytest

from unit_tests.graph_api import CONFIG, FakeGraph, read, rows, statuses, warnings

USER, CONTACT = "#microsoft.graph.user", "#microsoft.graph.orgContact"


@pytest.fixture
def people(graph: FakeGraph) -> FakeGraph:
    """Two users with a manager and, between them, two without: Graph leaves the property out, or it is null."""
    graph.lists(
        "users",
        [
            {"id": "1", "userPrincipalName": "a@x", "manager": {"@odata.type": USER, "id": "9"}},
            {"id": "2", "userPrincipalName": "b@x"},
        ],
        [],
        [
            {"id": "3", "userPrincipalName": "c@x", "manager": None},
            {"id": "4", "userPrincipalName": "d@x", "manager": {"@odata.type": CONTACT, "id": "8"}},
        ],
    )
    return graph


def test_who_has_no_manager_is_no_row(people: FakeGraph) -> None:
    """Nor is anybody skipped or warned of."""
    output = read("user_manager")

    assert rows(output) == [
        {"user_id": "1", "manager_id": "9", "manager_type": USER},
        {"user_id": "4", "manager_id": "8", "manager_type": CONTACT},
    ]
    assert statuses(output, "user_manager")[-1] == "COMPLETE"
    assert warnings(output) == []


def test_managers_come_with_the_users(people: FakeGraph) -> None:
    """One listing, in pages of a hundred, and no request for each user."""
    read("user_manager")

    assert people.asked[0] == "users?$select=id,userPrincipalName&$expand=manager($select=id)&$top=100"
    assert len(people.asked) == 3


def test_the_managers_are_those_of_the_chosen_users(people: FakeGraph) -> None:
    """The settings that choose users hold here as well."""
    output = read("user_manager", config={**CONFIG, "exclude_users": ["A@X"], "user_filter": "city eq 'x'"})

    assert [row["user_id"] for row in rows(output)] == ["4"]
    assert people.asked[0].startswith(
        "users?$select=id,userPrincipalName&$expand=manager($select=id)&$count=true&$filter=(city eq 'x')"
    )
