"""How published types become the schema of a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generators import registry, schemas
from generators.__main__ import main
from simulated_tenant import additions, graph_types
from simulated_tenant.graph_types import GraphTypes

TYPES: GraphTypes = {
    "roots": ["thing"],
    "types": {
        "entity": {"abstract": True, "properties": {"id": "String"}},
        "thing": {
            "base": "entity",
            "properties": {
                "zipCode": "String",
                "aBoolean": "Boolean",
                "anInteger": "Int64",
                "aNumber": "Double",
                "aDay": "Date",
                "anInstant": "DateTimeOffset",
                "aColor": "color",
                "content": "Stream",
                "tags": ["String"],
                "part": "part",
                "shapes": ["shape"],
            },
        },
        "part": {"properties": {"size": "Int32", "inner": "part"}},
        "shape": {"abstract": True, "properties": {"name": "String"}},
        "circle": {"base": "shape", "properties": {"radius": "Single"}},
        "square": {"base": "shape", "properties": {"width": "Single"}},
        "space.thing": {"properties": {"planet": "String"}},
        "twice": {"properties": {"displayName": "String", "DisplayName": "String"}},
        "further": {"base": "thing", "properties": {"weight": "Int32"}},
        "mixed": {"properties": {}},
        "otherPart": {"properties": {"size": "String"}},
        "untyped": {"properties": {"anything": "Untyped"}},
    },
    "enums": {"color": ["red", "green"]},
}
TEXT, INTEGER, NUMBER = ({"type": ["null", kind]} for kind in ("string", "integer", "number"))


def an_object(**columns: Any) -> dict[str, Any]:
    return {"type": ["null", "object"], "additionalProperties": True, **({"properties": columns} if columns else {})}


THING = {
    "id": TEXT,
    "owner_id": {"type": "string"},
    "a_boolean": {"type": ["null", "boolean"]},
    "a_color": TEXT,
    "a_day": {"type": ["null", "string"], "format": "date"},
    "a_number": NUMBER,
    "an_instant": {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    "an_integer": INTEGER,
    "odata_type": TEXT,
    "part": an_object(inner=an_object(), size=INTEGER),
    "shapes": {"type": ["null", "array"], "items": an_object(name=TEXT, odata_type=TEXT, radius=NUMBER, width=NUMBER)},
    "tags": {"type": ["null", "array"], "items": TEXT},
    "zip_code": TEXT,
}


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> GraphTypes:
    """Published types made for a test."""
    monkeypatch.setattr(graph_types, "load", lambda: TYPES)
    return TYPES


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that schemas are written to."""
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("types")
def test_a_type_becomes_a_schema() -> None:
    """Each kind of property as it has to be, in order; what lies inside its own type ends, streams are left out."""
    made = schemas.schema("thing", ["owner_id"])
    assert made["properties"] == THING
    assert list(made["properties"]) == list(THING)
    assert list(made["properties"]["part"]["properties"]) == ["inner", "size"]


@pytest.mark.usefixtures("types")
def test_parents_stand_in_the_order_of_the_path() -> None:
    assert list(schemas.schema("thing", ["team_id", "channel_id"])["properties"])[:3] == ["id", "team_id", "channel_id"]


@pytest.mark.usefixtures("types")
def test_additions_are_in_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the additions is added, left out and marked, in the lists of that type and at every depth."""
    monkeypatch.setattr(additions, "NOT_LISTED", {"thing": {"tags": "a reason"}})
    monkeypatch.setattr(additions, "ALSO_LISTED", {"thing": ("further",)})
    monkeypatch.setattr(additions, "UNASKED", {"thing": ("aDay",)})
    monkeypatch.setattr(additions, "EXPANDED", {"thing": {"others": ["object"]}})
    monkeypatch.setattr(additions, "UNDECLARED", {"thing": {"uid": "String"}, "part": {"depth": "Double"}})
    monkeypatch.setattr(additions, "UNDECLARED_IN_LISTS", {"thing": {"part": {"extra": "object"}}})
    monkeypatch.setattr(additions, "DERIVED", {"thing": {"thing.shapes": ("circle",)}})
    monkeypatch.setattr(additions, "SELECT", {"thing": {"aColor": "optional"}})
    monkeypatch.setattr(additions, "SELECTED", {"thing"})
    columns = schemas.schema("thing")["properties"]
    changed = {
        "uid": {**TEXT, "select": "never"},
        "weight": {**INTEGER, "select": "never"},
        "others": {"type": ["null", "array"], "items": an_object(), "select": "never"},
        "a_day": {**THING["a_day"], "select": "never"},
        "part": an_object(depth=NUMBER, extra=an_object(), inner=an_object(), size=INTEGER),
        "shapes": {"type": ["null", "array"], "items": an_object(name=TEXT, odata_type=TEXT, radius=NUMBER)},
        "a_color": {**TEXT, "select": "optional"},
    }
    assert columns == {name: THING[name] for name in THING if name not in ("tags", "owner_id")} | changed


@pytest.mark.usefixtures("types")
def test_a_type_of_another_namespace_is_another_type() -> None:
    assert set(schemas.schema("space.thing")["properties"]) == {"id", "planet", "odata_type"}


@pytest.mark.usefixtures("types")
def test_an_abstract_type_is_listed_as_what_is_derived_from_it() -> None:
    assert set(schemas.schema("shape")["properties"]) == {"id", "name", "radius", "width", "odata_type"}


@pytest.mark.usefixtures("types")
@pytest.mark.parametrize(
    ("list_type", "message"),
    [
        ("twice", "DisplayName and displayName both become the column display_name"),
        ("mixed", "size is a String in otherPart, and a Int32 elsewhere in the same column"),
        ("untyped", "no rule for columns of the type Untyped"),
    ],
)
def test_what_fits_in_no_column_is_told(list_type: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names for one column, two types in one column, and values that may be anything."""
    monkeypatch.setattr(additions, "ALSO_LISTED", {"mixed": ("part", "otherPart")})
    with pytest.raises(schemas.NoSchema, match=message):
        schemas.schema(list_type)


@pytest.mark.usefixtures("types")
def test_a_derived_type_that_nobody_named_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an abstract type all are taken; of any other none is, and the author is told how many there are."""
    monkeypatch.setitem(TYPES["types"], "bigPart", {"base": "part", "properties": {"weight": "Int32"}})
    assert schemas.without_derived("thing") == {"part": 1}
    monkeypatch.setattr(additions, "DERIVED", {"thing": {"part": ("bigPart",)}})
    assert schemas.without_derived("thing") == {}
    assert "weight" in schemas.schema("thing")["properties"]["part"]["properties"]


def test_a_schema_is_put_in_order(tmp_path: Path) -> None:
    """Keywords and columns: the id, the parents as they stand, then by name. Nothing is added or lost."""
    parent = {"type": "string"}
    listed = {"items": an_object(d=TEXT, c=TEXT), "type": ["null", "array"]}
    columns = {"b": {"select": "never", **TEXT}, "z_id": parent, "y_id": parent, "a": listed, "id": TEXT}
    schema = {"properties": columns, "type": "object"}
    file = tmp_path / "things.json"
    file.write_text(json.dumps(schema))
    text = schemas.text_in_order(file)
    assert json.loads(text) == schema
    assert list(json.loads(text)) == ["type", "properties"]
    ordered = json.loads(text)["properties"]
    assert list(ordered) == ["id", "z_id", "y_id", "a", "b"]
    assert list(ordered["a"]) == ["type", "items"]
    assert list(ordered["a"]["items"]["properties"]) == ["c", "d"]


@pytest.mark.parametrize("stream", ["users", "mail_messages", "chat_messages", "drive_items", "group_member"])
def test_the_command_keeps_what_was_added_by_hand(
    stream: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Written anew, a schema of ours is the one that is there: with marks, parents and undeclared properties."""
    kept = Path(registry.ROOT / "source_microsoft_graph" / "schemas" / f"{stream}.json").read_text()
    folder.joinpath(f"{stream}.json").write_text(kept)
    assert main(["schema", stream, f"microsoft.graph.{schemas.type_of(stream)}"]) == 0
    assert folder.joinpath(f"{stream}.json").read_text() == kept
    shown = capsys.readouterr().out
    assert not any(word in shown for word in ("added ", "changed ", "dropped "))


def test_the_command_tells_what_it_changes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that was written by hand into the file goes unnoticed."""
    file = folder / "channels.json"
    assert main(["schema", "channels", "channel"]) == 0
    schema = json.loads(file.read_text())
    columns = schema["properties"]
    assert list(columns)[:2] == ["id", "team_id"]
    columns["by_hand"] = columns.pop("web_url")
    columns["email"] = {"type": "string"}
    file.write_text(json.dumps(schema))
    capsys.readouterr()
    assert main(["schema", "channels", "channel"]) == 0
    shown = capsys.readouterr().out
    assert 'dropped by_hand: {"type": ["null", "string"]}' in shown
    assert "added web_url" in shown
    assert 'changed email: {"type": "string"} → {"type": ["null", "string"]}' in shown


@pytest.mark.parametrize(
    ("stream", "type_name", "column"),
    [
        ("devices", "device", "trust_type"),
        ("role_assignments", "unifiedRoleAssignment", "principal_id"),
        ("security_alerts", "security.alert", "detection_source"),
        ("managed_devices", "#microsoft.graph.managedDevice", "serial_number"),
        ("risky_users", "riskyUser", "risk_level"),
    ],
)
def test_a_new_stream_gets_its_schema(stream: str, type_name: str, column: str, folder: Path) -> None:
    """The types are kept for streams that nobody has written yet, those of other namespaces too."""
    assert main(["schema", stream, type_name]) == 0
    assert column in json.loads(folder.joinpath(f"{stream}.json").read_text())["properties"]


def test_a_new_child_names_its_parents(folder: Path) -> None:
    assert main(["schema", "list_items", "listItem", "--parents", "site_id,list_id"]) == 0
    columns = json.loads(folder.joinpath("list_items.json").read_text())["properties"]
    assert list(columns)[:3] == ["id", "site_id", "list_id"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new_ones", "newThing"], "-m simulated_tenant.graph_types METADATA.xml newThing`"),
        (["users", "device"], "The simulated tenant lists users as user, not as device."),
        (["channels", "channel", "--parents", "group_id"], "The path of channels names the parents team_id."),
    ],
)
def test_what_cannot_be_made_is_explained(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written, and the message says what to do."""
    assert main(["schema", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not list(folder.iterdir())
