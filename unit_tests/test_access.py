"""Who may do what: consents are counted, because Graph is known to leave some out."""

from __future__ import annotations

from typing import Any

import pytest
import requests_mock

from unit_tests.graph_api import CONFIG, GRAPH, Answer, FakeGraph, a_page, an_error, errors, read, rows, statuses

GRANTS = "oauth2_permission_grants"
PATH = "oauth2PermissionGrants"


@pytest.fixture
def wire(graph: FakeGraph) -> requests_mock.Mocker:
    """The requests as they were sent, headers included."""
    return graph._mocker


def counted(count: Any, *identifiers: str, link: str | None = None) -> Answer:
    """A page that says how many objects there are in all."""
    page = a_page(*({"id": identifier} for identifier in identifiers), link=link)
    return {**page, "json": page["json"] | {"@odata.count": count}}


def grants_in_two_pages(graph: FakeGraph, count: Any) -> None:
    """Three grants, and a count on the first page alone."""
    graph.answers(PATH, counted(count, "1", "2", link=f"{GRAPH}{PATH}?$skiptoken=2"))
    graph.answers(f"{PATH}?$skiptoken=2", a_page({"id": "3"}))


def test_as_many_grants_as_graph_counts_are_whole(graph: FakeGraph) -> None:
    """The count of the first page is that of all pages."""
    grants_in_two_pages(graph, 3)

    output = read(GRANTS)

    assert [row["id"] for row in rows(output)] == ["1", "2", "3"]
    assert statuses(output, GRANTS)[-1] == "COMPLETE"


@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_grants_is_incomplete(graph: FakeGraph, count: int) -> None:
    """The rows are emitted, the stream is INCOMPLETE and the exit code is not 0."""
    grants_in_two_pages(graph, count)

    output = read(GRANTS, fails=True)

    assert [row["id"] for row in rows(output)] == ["1", "2", "3"]
    assert statuses(output, GRANTS)[-1] == "INCOMPLETE"
    assert errors(output)[GRANTS].startswith(f"{GRANTS}: Graph has {count} objects and listed 3.")


def test_a_listing_that_starts_again_counts_each_grant_once(graph: FakeGraph) -> None:
    """A page token that expired leads to the first page again, with a count of its own."""
    graph.answers(
        PATH,
        counted(9, "1", "2", link=f"{GRAPH}{PATH}?$skiptoken=old"),
        counted(3, "1", "2", link=f"{GRAPH}{PATH}?$skiptoken=new"),
    )
    graph.answers(f"{PATH}?$skiptoken=old", an_error(400, "Directory_ExpiredPageToken"))
    graph.answers(f"{PATH}?$skiptoken=new", a_page({"id": "3"}))

    output = read(GRANTS)

    assert [row["id"] for row in rows(output)] == ["1", "2", "3"]
    assert statuses(output, GRANTS)[-1] == "COMPLETE"


def test_pages_of_grants_are_large_and_eventually_consistent(graph: FakeGraph, wire: requests_mock.Mocker) -> None:
    """A smaller page size in the configuration would lose rows."""
    graph.answers(PATH, counted(1, "1"))

    read(GRANTS, config={**CONFIG, "page_size": 100})

    assert graph.asked == [f"{PATH}?$count=true&$top=999"]
    assert wire.request_history[-1].headers["ConsistencyLevel"] == "eventual"
