"""The schemas are what the generator makes of Microsoft's published types, and what Airbyte takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft7Validator

from generators import schemas
from simulated_tenant import additions, graph_types
from source_microsoft_graph.streams import page_requests
from source_microsoft_graph.streams.records import camel_case, snake_case
from unit_tests.roll import every_stream

ROLL = {stream.name: stream for stream in every_stream()}
STREAMS = sorted(ROLL)

KEYWORDS = {"$schema", "type", "properties", "items", "additionalProperties", "format", "airbyte_type", "select"}


def load(stream: str) -> dict[str, Any]:
    """The schema file of a stream."""
    file = schemas.file_of(stream)
    assert file.is_file(), f"Run: python3 dev.py schema {stream} {schemas.type_of(stream) or 'TYPE'}"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def key_columns(stream: str) -> list[str]:
    """The columns that come first."""
    return [ROLL[stream].own_id, *ROLL[stream].key_columns]


def list_type(stream: str) -> str:
    """The type of the objects that the simulated tenant lists for a stream."""
    found = schemas.type_of(stream)
    assert found, f"The simulated tenant does not list {stream}, so nothing says of which type its objects are."
    return found


def subschemas(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The schema and all schemas inside it, each with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from subschemas(child, f"{path}.{name}")
    if "items" in node:
        yield from subschemas(node["items"], f"{path}[]")


def test_there_is_one_schema_file_per_stream() -> None:
    """The directory holds the streams' schemas and nothing else."""
    assert sorted(path.name for path in schemas.FOLDER.iterdir()) == [f"{stream}.json" for stream in STREAMS]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_schema_is_what_the_rules_make_of_the_published_types(stream: str) -> None:
    """It has each property that a list can return, typed as published, at every depth, and no other column."""
    kind = list_type(stream)
    made = schemas.schema(kind, key_columns(stream)[1:])
    remedy = f"Run: python3 dev.py schema {stream} {kind} (what stands in no type belongs into {schemas.ADDITIONS})"
    found = list(schemas.differences(load(stream), made))
    assert not found, "\n".join([remedy, *found])
    assert schemas.file_of(stream).read_text(encoding="utf-8") == schemas.text(made), remedy


@pytest.mark.parametrize("stream", STREAMS)
def test_key_columns_come_first(stream: str) -> None:
    """The id and the parent's id are strings at the head, the other columns follow in alphabetical order."""
    columns = load(stream)["properties"]
    keys = key_columns(stream)
    id_column, *parents = [columns[key] for key in keys]
    assert id_column == {"type": ["null", "string"]}, "nullable like every property of Graph's, though never null"
    assert parents == [{"type": "string"}] * len(parents)
    assert list(columns) == keys + sorted(set(columns) - set(keys))


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if stream not in additions.MADE])
def test_every_stream_can_carry_the_odata_type(stream: str) -> None:
    """Graph marks derived types with @odata.type, which becomes a column."""
    assert load(stream)["properties"]["odata_type"] == {"type": ["null", "string"]}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_schema_is_an_open_draft_07_object(stream: str) -> None:
    """The head of a schema file is what Airbyte expects, and the whole is valid JSON Schema."""
    schema = load(stream)
    assert list(schema) == ["$schema", "type", "additionalProperties", "properties"]
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["type"] == "object"
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_schema_keeps_to_the_keywords_airbyte_understands(stream: str) -> None:
    """There is no $ref, allOf or other keyword that destinations reject, and no closed or empty object."""
    for path, node in subschemas(load(stream)):
        assert set(node) <= KEYWORDS, path
        assert node.get("additionalProperties", True) is True, path
        assert node.get("properties") != {}, path
        assert ("object" in node["type"]) == ("additionalProperties" in node), path
        assert ("array" in node["type"]) == ("items" in node), path
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in node.get("properties", {})), path


@pytest.mark.parametrize("stream", STREAMS)
def test_only_the_columns_that_select_may_fail_on_are_marked(stream: str) -> None:
    """The select annotation marks exactly the columns whose refusal must not fail a sync, and those of other types
    than the list's, which $select never names."""
    kind = list_type(stream)
    marked = {path.removeprefix("."): node["select"] for path, node in subschemas(load(stream)) if "select" in node}
    expected = {snake_case(name): mark for name, mark in additions.SELECT.get(kind, {}).items()}
    unasked = {snake_case(name) for name in additions.UNASKED.get(kind, ())}
    never = dict.fromkeys(_of_other_types(stream) | unasked if kind in additions.SELECTED else (), "never")
    assert marked == never | expected
    assert set(marked.values()) <= {"optional", "licensed", "never"}
    assert kind in additions.SELECTED or not ROLL[stream].selects


@pytest.mark.parametrize(
    "stream",
    [name for name in STREAMS if ROLL[name].selects and "never" in schemas.marks(list_type(name)).values()],
)
def test_select_names_no_column_that_is_marked_never(stream: str) -> None:
    """One such name would make Graph refuse the whole list, or is ignored."""
    columns = load(stream)["properties"]
    never = {camel_case(name) for name, column in columns.items() if column.get("select") == "never"}
    asked = [set(names) for names in page_requests.select_ladder(columns)]
    assert never
    assert not any(never & names for names in asked)


def _of_other_types(stream: str) -> set[str]:
    published = graph_types.properties(list_type(stream))
    columns = set(load(stream)["properties"]) - {*ROLL[stream].key_columns, "odata_type"}
    return {name for name in columns if camel_case(name) not in published}


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if ROLL[stream].selects])
def test_column_names_lead_back_to_the_published_names(stream: str) -> None:
    """A $select derived from the schema names exactly the properties Graph publishes."""
    columns = set(load(stream)["properties"]) - {"odata_type"}
    assert {camel_case(column) for column in columns} == set(schemas.listed_properties(list_type(stream)))


@pytest.mark.parametrize("stream", STREAMS)
def test_no_schema_has_a_download_url(stream: str) -> None:
    """Short-lived, pre-authenticated download addresses are secrets and never a column."""
    told = {".link.prevents_download"}
    assert not [path for path, _ in subschemas(load(stream)) if "download" in path and path not in told]


def test_left_out_properties_are_still_published() -> None:
    """The list of unlisted properties holds no name that Microsoft has withdrawn."""
    for type_name, names in (additions.NOT_LISTED | additions.UNASKED).items():
        assert set(names) - set(graph_types.properties(type_name)) == set()


def test_additions_are_about_what_is_published() -> None:
    """A marked property and a derived type exist; an undeclared property is not among those that its type declares."""
    for kind, marks in additions.SELECT.items():
        assert set(marks) <= set(schemas.listed_properties(kind))
    for named in additions.DERIVED.values():
        assert all(graph_types.is_type(key) or graph_types.is_type(key.rpartition(".")[0]) for key in named)
        assert all(graph_types.is_type(one) for derived in named.values() for one in derived)
    for undeclared in (additions.UNDECLARED, additions.EXPANDED, *additions.UNDECLARED_IN_LISTS.values()):
        for type_name, properties in undeclared.items():
            assert set(properties) & set(graph_types.properties(type_name)) == set()


@pytest.mark.parametrize("damage", ["drop", "retype", "not null", "drop inside", "retype inside"])
def test_the_comparison_finds_a_damaged_schema(damage: str) -> None:
    """A missing, mistyped or non-nullable property is reported, however deep it lies."""
    damaged = load("calendar_events")
    columns = damaged["properties"]
    pattern = columns["recurrence"]["properties"]["pattern"]["properties"]
    if damage == "drop inside":
        del pattern["interval"]
    elif damage == "retype inside":
        pattern["interval"]["type"] = ["null", "string"]
    elif damage == "drop":
        del columns["attendees"]["items"]["properties"]["email_address"]
    elif damage == "retype":
        columns["attendees"]["type"] = ["null", "string"]
    else:
        columns["attendees"]["type"] = "array"
    assert len(list(schemas.differences(damaged, load("calendar_events")))) == 1
