"""Mail folders come in one flat delta query for each mailbox, and where a cloud has none folder by folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput

from source_microsoft_graph.config.clouds import CLOUDS
from unit_tests.graph_api import FakeGraph, an_error, read, rows, statuses
from unit_tests.roll import stream_named


@pytest.fixture
def china(graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> FakeGraph:
    """A Graph that lacks what China's lacks, at the usual host."""
    monkeypatch.setitem(CLOUDS, "global", replace(CLOUDS["global"], lacks=CLOUDS["china"].lacks))  # type: ignore[arg-type]
    return graph


def keys(output: EntrypointOutput) -> list[tuple[str, ...]]:
    return sorted((row["user_id"], row["id"]) for row in rows(output, "mail_folders"))


def test_all_folders_come_with_one_query(graph: FakeGraph) -> None:
    """The delta query is flat. What it names as removed is no row, and no token is kept."""
    graph.lists("users", [{"id": "u"}])
    graph.lists(
        "users/u/mailFolders/delta", [{"id": "a"}, {"id": "b", "@removed": {"reason": "deleted"}}], [{"id": "c"}]
    )

    output = read("mail_folders")

    assert keys(output) == [("u", "a"), ("u", "c")]
    assert not any("childFolders" in url for url in graph.asked)
    assert not any("token=" in url for url in graph.asked if "skiptoken" not in url)


def test_ids_have_the_form_of_those_in_messages() -> None:
    """Both streams ask for the same form, so that a message's folder is found."""
    assert stream_named("mail_folders").headers == stream_named("mail_messages").headers
    assert 'IdType="ImmutableId"' in stream_named("mail_folders").headers["Prefer"]


def test_folders_are_listed_one_by_one_in_a_cloud_without_the_query(china: FakeGraph) -> None:
    """Every folder is asked for those in it, hidden ones too, however many it says that it has."""
    assert not CLOUDS["china"].serves("users/{user_id}/mailFolders/delta")
    assert CLOUDS["china"].serves("users/delta")
    china.lists("users", [{"id": "u"}])
    china.lists("users/u/mailFolders", [{"id": "a", "childFolderCount": 0}], [{"id": "b", "childFolderCount": 1}])
    china.lists("users/u/mailFolders/a/childFolders", [{"id": "hidden", "isHidden": True}])
    china.lists("users/u/mailFolders/b/childFolders", [{"id": "c"}])
    china.lists("users/u/mailFolders/hidden/childFolders", [])
    china.lists("users/u/mailFolders/c/childFolders", [{"id": "d"}])
    china.lists("users/u/mailFolders/d/childFolders", [])

    output = read("mail_folders")

    assert keys(output) == [("u", "a"), ("u", "b"), ("u", "c"), ("u", "d"), ("u", "hidden")]
    assert statuses(output, "mail_folders")[-1] == "COMPLETE"
    listed = [url for url in china.asked if "/mailFolders" in url and "skiptoken" not in url]
    assert all("includeHiddenFolders=true" in url for url in listed)
    assert not any("delta" in url for url in china.asked)


def test_a_folder_that_cannot_be_listed_fails_the_stream(china: FakeGraph) -> None:
    """The others are rows, and the stream does not pass for whole."""
    china.lists("users", [{"id": "u"}])
    china.lists("users/u/mailFolders", [{"id": "a"}, {"id": "b"}])
    china.lists("users/u/mailFolders/a/childFolders", [{"id": "c"}])
    china.answers("users/u/mailFolders/b/childFolders", an_error(400, "Whatever"))
    china.lists("users/u/mailFolders/c/childFolders", [])

    output = read("mail_folders", fails=True)

    assert keys(output) == [("u", "a"), ("u", "b"), ("u", "c")]
    assert statuses(output, "mail_folders")[-1] == "INCOMPLETE"
