"""What every stream owes, whichever it is."""

from __future__ import annotations

import ast
import inspect
import logging
import re
from abc import ABC
from collections.abc import Mapping
from typing import Any

import pytest

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import NOT_SELECTED, PLACEHOLDER, GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.page_requests import NEVER
from source_microsoft_graph.streams.records import camel_case, snake_case
from source_microsoft_graph.sync.context import Sync
from unit_tests.graph_api import CONFIG, FakeGraph, a_page, read, rows
from unit_tests.roll import PUBLISHED, simulated

VOCABULARY = {
    "name",
    "app_relation",
    "extension_target",
    "changes_class",
    "export_class",
    "relation",
    "parent_class",
    "path_template",
    "primary_key",
    "own_id",
    "keeps_keys",
    "key_within",
    "service",
    "permissions",
    "least_permission",
    "more_permissions",
    "page_size",
    "serves_larger_pages",
    "sized_by_preference",
    "query",
    "headers",
    "selects",
    "shared",
    "batch_size",
    "cost",
    "probe_path",
    "cursor_field",
    "kept_for",
    "by_day",
    "identified_by",
    "changed_since",
    "defaulted",
    "shown_late",
    "takes_skip",
    "never_empty",
    "expensive",
    "each_owner_has_it",
    "last_version_counts",
    "starts_at_start_date",
}
"""The only names a stream's body may declare."""

DOMAIN_MODULES = sorted({inspect.getmodule(stream_class) for stream_class in STREAMS}, key=str)
EVERY_CLASS = [
    value
    for module in DOMAIN_MODULES
    for value in vars(module).values()
    if inspect.isclass(value) and issubclass(value, GraphStream) and value.__module__ == module.__name__
]
EVERY_LIST = [stream_class for stream_class in EVERY_CLASS if ABC not in stream_class.__bases__]

every_stream = pytest.mark.parametrize("stream_class", STREAMS, ids=lambda stream_class: stream_class.__name__)
every_list = pytest.mark.parametrize("stream_class", EVERY_LIST, ids=lambda stream_class: stream_class.__name__)
every_class = pytest.mark.parametrize("stream_class", EVERY_CLASS, ids=lambda stream_class: stream_class.__name__)


def a_stream(stream_class: type[GraphStream], **config: Any) -> GraphStream:
    return stream_class(Sync(Config.parse({**CONFIG, **config}), logging.getLogger("airbyte")))


def a_slice(stream: GraphStream) -> Mapping[str, str]:
    return {name: f"the-{name}" for name in PLACEHOLDER.findall(stream.path_template)}


def test_the_roll_holds_the_streams_by_their_names() -> None:
    """The streams a user sees are these, each once."""
    assert tuple(a_stream(stream_class).name for stream_class in STREAMS) == PUBLISHED


@every_class
def test_a_stream_is_declarations(stream_class: type[GraphStream]) -> None:
    """A stream's body uses the closed vocabulary, and a method only under a comment with its reason."""
    source = inspect.getsource(stream_class)
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    lines = source.splitlines()
    for node in body.body:
        if isinstance(node, ast.Assign):
            assert {target.id for target in node.targets if isinstance(target, ast.Name)} <= VOCABULARY
    methods = [node for node in body.body if isinstance(node, ast.FunctionDef)]
    first = min((node.lineno for method in methods for node in (method, *method.decorator_list)), default=None)
    assert first is None or lines[first - 2].lstrip().startswith("#")


@every_class
def test_a_stream_says_what_a_row_is_and_where_it_is_documented(stream_class: type[GraphStream]) -> None:
    """The docstring says what one row is and ends with Microsoft's page."""
    assert re.fullmatch(
        r"(One row per|Every|The groups) .+: https://learn\.microsoft\.com/graph/\S+", str(stream_class.__doc__)
    )


@every_list
def test_a_stream_names_its_permissions_and_service(stream_class: type[GraphStream]) -> None:
    """A refusal can always be explained, and throttling always has an address."""
    assert stream_class.permissions
    assert len(stream_class.permissions) == len(set(stream_class.permissions))
    assert stream_class.least_permission in (None, *stream_class.permissions[1:])
    assert isinstance(stream_class.service, Service)


@every_stream
def test_keys_are_columns_of_the_schema(stream_class: type[GraphStream]) -> None:
    """Each part of the key is in the schema, and its further parts are the placeholders of the path and what the stream
    declares."""
    stream = a_stream(stream_class)
    key = [stream.primary_key] if isinstance(stream.primary_key, str) else stream.primary_key
    assert set(key) <= set(stream.get_json_schema()["properties"])
    assert key == [stream.own_id, *stream.parent_columns, *stream.key_within]


@every_stream
def test_a_parent_stands_before_its_children(stream_class: type[GraphStream]) -> None:
    """Parents are on the roll before their children, so a reader meets them first; a child's path has a placeholder for
    each id of the parent's key."""
    if issubclass(stream_class, ChildStream):
        parent = next(kind for kind in stream_class.parent_class.__mro__ if kind in STREAMS)
        assert STREAMS.index(parent) < STREAMS.index(stream_class)
        assert len(a_stream(stream_class).placeholders) == len(a_stream(parent).parent_columns) + 1


@every_stream
@pytest.mark.parametrize("page_size", [100, 999])
def test_the_page_size_is_clamped(stream_class: type[GraphStream], page_size: int) -> None:
    """`$top` is what the user asks for or the stream's largest page, and absent where Graph refuses it."""
    stream = a_stream(stream_class, page_size=page_size)
    assert stream.top() == (None if stream.page_size is None else min(page_size, stream.page_size))


@every_stream
def test_graph_takes_the_page_size(stream_class: type[GraphStream]) -> None:
    """The largest page is no larger than the endpoint's, and there is none where Graph refuses `$top`, as the simulated
    tenant knows both. What goes by a preference needs no `$top`."""
    stream = a_stream(stream_class)
    listing = simulated(stream)
    if "$top" in listing.options.split() or (stream.sized_by_preference and listing.paging.by_preference):
        assert stream.page_size
        assert 0 < stream.page_size <= listing.paging.maximum
    else:
        assert stream.page_size is None


@every_stream
def test_select_is_the_schema(stream_class: type[GraphStream]) -> None:
    """Where properties must be asked for, those are the schema's without what no list may be asked for, and their names
    survive the way there and back."""
    stream = a_stream(stream_class)
    if stream.selects:
        properties = stream.get_json_schema()["properties"]
        columns = [name for name in properties if name not in NOT_SELECTED and properties[name].get("select") != NEVER]
        assert list(stream.select_ladder()[0]) == [camel_case(name) for name in columns]
        assert [snake_case(camel_case(name)) for name in columns] == columns
    else:
        assert stream.select_ladder() == [()]


@every_stream
def test_empty_objects_are_no_rows(graph: FakeGraph, stream_class: type[GraphStream]) -> None:
    """The CDK takes an empty record for the end of the sync (CDK trap T5), so none is ever emitted."""
    stream = a_stream(stream_class)
    graph.answers("anything", a_page({}, {"id": "1"}, {}))
    response = stream.sync.client.get(a_request(stream)).response
    assert [row["id"] for row in stream.parse_response(response, stream_slice=a_slice(stream))] == ["1"]


def a_request(stream: GraphStream) -> Any:
    return PageRequest(f"{stream.url_base}anything", stream.service)


@every_stream
def test_a_request_is_paced_by_what_it_costs(stream_class: type[GraphStream]) -> None:
    """SharePoint counts resource units: two for a usual list, and more where the simulated tenant's collection says so.
    Whatever a stream declares is what its requests carry."""
    stream = a_stream(stream_class)
    if stream.service is Service.FILES:
        assert stream.cost == max(2, simulated(stream).units) / 2
    else:
        assert stream.cost == 1
    request = stream.page_request(stream.listing("anything", {}))
    assert request.cost == stream.cost


@every_stream
def test_a_stream_is_a_constant(stream_class: type[GraphStream]) -> None:
    """Reading changes nothing on a stream: one object serves many threads."""
    stream = a_stream(stream_class)
    before = dict(vars(stream))
    stream.path(stream_slice=a_slice(stream) or {"owner": ""})
    stream.select_ladder()
    stream.top()
    list(stream.parents()) if issubclass(stream_class, ChildStream) else None
    assert vars(stream) == before


@every_stream
def test_no_stream_is_resumable_page_by_page(stream_class: type[GraphStream]) -> None:
    """The CDK's resumable full refresh reads one page and stops, or loops (CDK traps T1 and T2)."""
    stream = a_stream(stream_class)
    assert stream.is_resumable is False
    assert stream.cursor is None


@every_stream
def test_a_slice_is_keys_and_nothing_else(graph: FakeGraph, stream_class: type[GraphStream]) -> None:
    """The CDK copies, hashes and may log every slice, so it holds the parents' ids (CDK trap T4)."""
    stream = a_stream(stream_class)
    if not issubclass(stream_class, ChildStream):
        return
    graph.holds_one_of_each()
    # What is found the other way round has slices of its own.
    of_parents, *others = stream.stream_slices(sync_mode=None)  # type: ignore[arg-type]
    assert list(of_parents) == PLACEHOLDER.findall(stream.path_template)
    assert not others or stream.more_permissions
    for stream_slice in (of_parents, *others):
        assert [[type(identifier) for identifier in ids] for ids in stream_slice.values()] == [[str]] * len(
            stream_slice
        )


def test_a_parent_is_listed_by_its_key_alone_and_once(graph: FakeGraph) -> None:
    """Three children of groups cost one listing of ids; the selected parent is read in full beside it."""
    graph.lists("groups", [{"id": "g1"}], [], [{"id": "g2"}])
    for group in ("g1", "g2"):
        graph.lists(f"groups/{group}/members", [{"id": "m"}])
        graph.lists(f"groups/{group}/owners", [{"id": "o"}])

    output = read("group_member", "group_owner")

    first_pages = [url for url in graph.asked if url.startswith("groups?$top")]
    assert first_pages == ["groups?$top=999&$select=id"]
    assert len(rows(output)) == 4
