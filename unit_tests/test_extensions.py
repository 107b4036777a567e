"""The tenant's own properties at the wire: how they are found, and what a refusal of one takes along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import requests_mock
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput, discover

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.errors import GraphUnavailable
from unit_tests.graph_api import (
    CONFIG,
    GRAPH,
    FakeGraph,
    a_page,
    an_error,
    errors,
    read,
    rows,
    statuses,
    throttled,
    warnings,
)

APP = "0123456789abcdef" * 2
ONE, TWO = f"extension_{APP}_costCenter", f"extension_{APP}_cost_center"
AVAILABLE = f"{GRAPH}directoryObjects/getAvailableExtensionProperties"
FINDS = {**CONFIG, "find_directory_extensions": True}
NAMES = {**CONFIG, "directory_extensions": [ONE, TWO]}


def an_extension(name: str, kind: str = "String", **more: Any) -> dict[str, Any]:
    return {"id": f"id of {name}", "name": name, "dataType": kind, "targetObjects": ["User"], **more}


def own_columns(output: EntrypointOutput, stream: str = "users") -> Mapping[str, Any]:
    (found,) = [found for found in output.catalog.catalog.streams if found.name == stream]
    return {name: it for name, it in found.json_schema["properties"].items() if it.get("select") == "extension"}


def selected(graph: FakeGraph, path: str = "users") -> list[set[str]]:
    """What each request for the path selected."""
    urls = [url for url in graph.asked if url.startswith(path)]
    return [set(url.partition("$select=")[2].partition("&")[0].split(",")) for url in urls]


@pytest.fixture
def wire(graph: FakeGraph) -> requests_mock.Mocker:
    graph.grants("User.Read.All", "Directory.Read.All", "Application.Read.All")
    graph.lists("schemaExtensions", [])
    return graph._mocker


def test_they_are_found_by_a_post_that_is_repeated(graph: FakeGraph, wire: requests_mock.Mocker) -> None:
    """With a body of JSON, again after throttling and after a failure, and never in a batch."""
    wire.post(AVAILABLE, [throttled("1"), an_error(503, "x"), a_page(an_extension(ONE), an_extension(TWO, "Integer"))])

    found = own_columns(discover(SourceMicrosoftGraph(), FINDS))

    assert [(name, column["type"][1]) for name, column in found.items()] == [(ONE, "string"), (TWO, "integer")]
    posts = [request for request in wire.request_history if request.url == AVAILABLE]
    assert [post.json() for post in posts] == [{}] * 3
    assert not graph.batches


def test_an_outage_while_looking_is_no_end_of_a_read(graph: FakeGraph, wire: requests_mock.Mocker) -> None:
    """The catalog has the columns then; a catalog of `discover` would lack them, so that one fails."""
    wire.post(AVAILABLE, **an_error(503, "ServiceUnavailable"))
    graph.lists("users", [{"id": "1"}])

    output = read("users", config=FINDS)

    assert statuses(output, "users")[-1] == "COMPLETE"
    assert any("Not all extensions of the directory could be found" in said for said in warnings(output))
    with pytest.raises(GraphUnavailable):
        SourceMicrosoftGraph().streams(FINDS)


def test_nothing_is_looked_for_where_no_stream_can_have_any(graph: FakeGraph) -> None:
    graph.lists("directoryRoles", [{"id": "1"}])
    read("directory_roles", config=FINDS)
    assert graph.asked == ["directoryRoles"]


@pytest.mark.parametrize(
    ("refusal", "left"),
    [
        (an_error(400, "Request_BadRequest", f"Could not find a property named '{ONE}' on this type."), {TWO}),
        (an_error(400, "BadRequest", "Invalid $select."), set()),
        (an_error(400, "BadRequest", "Could not find a property named 'mailboxSettings'."), set()),
    ],
    ids=["one is named", "nothing is named", "something else is named"],
)
def test_a_bad_request_takes_extensions_alone(graph: FakeGraph, refusal: Mapping[str, Any], left: set[str]) -> None:
    """The one that Graph names, or all where it names none of the properties; every other property stays."""
    graph.answers("users", refusal, a_page({"id": "1", ONE: "a", TWO: "b"}))

    output = read("users", config=NAMES)

    first, second = selected(graph)
    assert first - second == {ONE, TWO} - left
    said = [warning for warning in warnings(output) if "Graph refused these extensions" in warning]
    assert len(said) == 1
    assert [row["id"] for row in rows(output)] == ["1"]


def test_another_property_that_is_refused_leaves_extensions(graph: FakeGraph) -> None:
    """A refusal that names it, and one for a permission or a licence, which an extension does not take."""
    config = {**NAMES, "extra_user_properties": ["employeeOrgData", "signInActivity"]}
    named = an_error(400, "BadRequest", "Property 'employeeOrgData' is not supported.")
    for refusal in (an_error(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant"), named):
        graph.answers("users", refusal, a_page({"id": "1"}))
        output = read("users", config=config)
        assert not [warning for warning in warnings(output) if "extensions" in warning]
        assert {ONE, TWO} <= selected(graph)[-1]
        assert "signInActivity" not in selected(graph)[-1]


def test_both_refused_one_after_the_other(graph: FakeGraph) -> None:
    """Each is said once, though users are listed by name in several requests."""
    users = [f"user{number}@contoso.com" for number in range(12)]

    def answer(path: str, options: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, Any]:
        refused = [name for name in (ONE, TWO) if name in options.get("$select", "").split(",")]
        if refused:
            return an_error(400, "BadRequest", f"Could not find a property named '{refused[0]}'.")
        return a_page({"id": "1"})

    graph.serves(answer, "users")

    output = read("users", config={**NAMES, "include_users": users})

    said = [warning for warning in warnings(output) if "extensions" in warning]
    assert [name for warning in said for name in (ONE, TWO) if f": {name}." in warning] == [ONE, TWO]
    assert not errors(output)


def test_other_streams_have_none(graph: FakeGraph) -> None:
    columns = {stream.name: stream.get_json_schema()["properties"] for stream in SourceMicrosoftGraph().streams(NAMES)}
    assert {name for name, of_stream in columns.items() if ONE in of_stream} == {
        "users", "groups", "teams", "devices", "applications", "administrative_units", "organization", "deleted_users",
        "deleted_groups", "deleted_applications",
    }  # fmt: skip
