"""Sites of SharePoint, and what is in them."""

from __future__ import annotations

from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput

from unit_tests.graph_api import FakeGraph, an_error, errors, read, rows, statuses
from unit_tests.test_incremental import kept, sync


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


def test_items_come_with_their_columns(graph: FakeGraph) -> None:
    """The columns are asked for, and kept as one object; ids are numbers within a list."""
    graph.lists("sites/getAllSites", [{"id": "s"}])
    graph.lists("sites/s/lists", [{"id": "a"}, {"id": "b"}])
    fields = {"@odata.etag": "x", "Title": "Desk 4", "AuthorLookupId": "12", "Tags@odata.type": "x", "Tags": ["left"]}
    graph.lists("sites/s/lists/a/items", [{"id": "1", "fields": fields}])
    graph.lists("sites/s/lists/b/items", [{"id": "1"}], [], [{"id": "2"}])

    output = read("list_items")

    found = sorted((row["site_id"], row["list_id"], row["id"]) for row in rows(output))
    assert found == [("s", "a", "1"), ("s", "b", "1"), ("s", "b", "2")]
    (of_a,) = (row for row in rows(output) if row["list_id"] == "a")
    assert of_a["fields"] == {"title": "Desk 4", "author_lookup_id": "12", "tags": ["left"]}
    first_pages = [url for url in graph.asked if "/items" in url and "skiptoken" not in url]
    assert all("$expand=fields" in url for url in first_pages)


def test_a_list_that_graph_does_not_serve_is_skipped(graph: FakeGraph) -> None:
    """Some lists of the system answer 404."""
    graph.lists("sites/getAllSites", [{"id": "s"}])
    graph.lists("sites/s/lists", [{"id": "a"}, {"id": "b"}])
    graph.lists("sites/s/lists/a/items", [{"id": "1"}])
    graph.answers("sites/s/lists/b/items", an_error(404, "itemNotFound", "Item not found"))

    output = read("list_items")

    assert [row["list_id"] for row in rows(output)] == ["a"]
    assert statuses(output, "list_items")[-1] == "COMPLETE"


def test_libraries_are_those_of_groups_and_sites(graph: FakeGraph) -> None:
    """A group's library is its team site's too, and is read once; OneDrives are another stream's."""
    graph.lists("drives", [{"id": "root"}])
    graph.lists("groups", [{"id": "g"}])
    graph.lists("sites/getAllSites", [{"id": "team"}, {"id": "mine", "isPersonalSite": True}])
    graph.lists("groups/g/drives", [{"id": "d"}])
    graph.lists("sites/team/drives", [{"id": "d"}, {"id": "e"}])
    for drive in ("root", "d"):
        graph.lists(
            f"drives/{drive}/root/delta", [{"id": "1"}, {"id": "2", "name": "old"}], [{"id": "2", "name": "new"}]
        )
    graph.lists("drives/e/root/delta", [{"id": "1"}, {"id": "3", "deleted": {"state": "deleted"}}])

    output = read("site_drive_items")

    found = sorted((row["drive_id"], row["id"], row.get("name", "")) for row in rows(output))
    assert found == [("d", "1", ""), ("d", "2", "new"), ("e", "1", ""), ("root", "1", ""), ("root", "2", "new")]
    assert statuses(output, "site_drive_items")[-1] == "COMPLETE"


def test_changes_of_a_library_come_with_its_deletions(graph: FakeGraph) -> None:
    """From the time of the last sync on, drive by drive."""
    graph.lists("drives", [{"id": "d"}])
    graph.lists("groups", [])
    graph.lists("sites/getAllSites", [])
    graph.lists("drives/d/root/delta", [{"id": "1"}])
    first = sync("site_drive_items")
    graph.lists("drives/d/root/delta", [{"id": "1", "deleted": {"state": "deleted"}}, {"id": "2"}])
    second = sync("site_drive_items", state=kept(first))

    gone, new = sorted(rows(second), key=lambda row: row["id"])
    assert (gone["drive_id"], gone["id"], new["drive_id"], new["id"]) == ("d", "1", "d", "2")
    assert "_ab_cdc_deleted_at" in gone
    assert "_ab_cdc_deleted_at" not in new
    assert "token=20" in graph.asked[-1]


def test_permissions_are_those_of_shared_items(graph: FakeGraph) -> None:
    """OneDrives included; an item that was deleted or is not shared is not asked."""
    graph.lists("users", [{"id": "u"}])
    graph.lists("groups", [])
    graph.lists("sites/getAllSites", [])
    graph.lists("drives", [{"id": "d"}])
    graph.lists("users/u/drives", [{"id": "e"}])
    gone = {"id": "gone", "shared": {}, "deleted": {"state": "deleted"}}
    graph.lists("drives/d/root/delta", [{"id": "root"}, {"id": "1", "shared": {"scope": "users"}}], [gone])
    graph.lists("drives/e/root/delta", [{"id": "1", "shared": {}}, {"id": "2", "shared": None}])
    graph.lists("drives/d/items/1/permissions", [{"id": "p", "link": {"scope": "anonymous"}}])
    graph.lists("drives/e/items/1/permissions", [{"id": "p"}], [{"id": "q"}])

    output = read("drive_item_permissions")

    found = sorted((row["drive_id"], row["item_id"], row["id"]) for row in rows(output))
    assert found == [("d", "1", "p"), ("e", "1", "p"), ("e", "1", "q")]
    assert statuses(output, "drive_item_permissions")[-1] == "COMPLETE"
    assert any("delta?" in url and "$select=id,shared,deleted" in url for url in graph.asked)
