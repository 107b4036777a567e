"""Sites of SharePoint, and what is in them."""

from __future__ import annotations

from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput

from unit_tests.graph_api import FakeGraph, an_error, errors, read, rows, statuses


def ids(output: EntrypointOutput, stream: str) -> list[str]:
    return sorted(row["id"] for row in rows(output, stream))


def test_a_site_that_is_listed_twice_is_one_row(graph: FakeGraph) -> None:
    """The list goes from geography to geography. Personal sites are in it and say so."""
    graph.lists("sites/getAllSites", [{"id": "a"}, {"id": "b", "isPersonalSite": True}], [], [{"id": "a"}, {"id": "c"}])

    output = read("sites")

    assert ids(output, "sites") == ["a", "b", "c"]
    assert [row["id"] for row in rows(output, "sites") if row.get("is_personal_site")] == ["b"]
    assert statuses(output, "sites")[-1] == "COMPLETE"


def test_an_app_that_was_given_some_sites_cannot_list_them(graph: FakeGraph) -> None:
    """Sites.Selected opens sites one by one, and no list of them."""
    graph.grants("Sites.Selected")
    graph.answers("sites/getAllSites", an_error(403, "accessDenied", "Access denied"))

    output = read("sites", fails=True)

    assert statuses(output, "sites")[-1] == "INCOMPLETE"
    assert "Sites.Read.All" in errors(output)["sites"]


def test_a_site_that_is_locked_costs_its_own_lists(graph: FakeGraph) -> None:
    """Lists of one id in two sites are two rows."""
    graph.lists("sites/getAllSites", [{"id": "a"}, {"id": "b"}, {"id": "locked"}])
    for site in "ab":
        graph.lists(f"sites/{site}/lists", [{"id": "1"}], [], [{"id": f"{site}2"}])
    graph.answers("sites/locked/lists", an_error(423, "notAllowed", "Locked.", inner="resourceLocked"))

    output = read("lists")

    found = sorted((row["site_id"], row["id"]) for row in rows(output))
    assert found == [("a", "1"), ("a", "a2"), ("b", "1"), ("b", "b2")]
    assert statuses(output, "lists")[-1] == "COMPLETE"
