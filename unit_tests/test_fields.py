"""Objects as Graph sends them: each of their fields has a column.

objects_as_sent/STREAM.jsonl holds objects in the shapes that Graph sends, with invented names, ids and values.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generators import fields
from generators.fields import Field, Finding

FOLDER = Path(__file__).with_name("objects_as_sent")


def objects_of(stream: str) -> list[dict[str, Any]]:
    file = FOLDER / f"{stream}.jsonl"
    assert file.is_file(), (
        f"Add unit_tests/{FOLDER.name}/{file.name}: in each line an object of {stream} with the fields Graph sends "
        "and values of your own."
    )
    return fields.objects_in(file)


@pytest.mark.parametrize("stream", fields.ROLL)
def test_every_field_has_a_column(stream: str) -> None:
    """Read through the connector, each object is a record, and the stream's schema names each field at every depth."""
    objects = objects_of(stream)
    assert objects
    found = {str(field) for sent in objects for field in fields.findings(stream, sent)}
    assert not found, f"What Graph sends beside its types belongs into simulated_tenant/additions.py: {sorted(found)}"


@pytest.mark.parametrize("stream", fields.ROLL)
def test_every_field_is_in_the_main_commands_table(stream: str) -> None:
    """Loaded from what the connector prints, each object has a row, and the row has the value of each field: in its
    column, inside a JSON column, or in the column of what has none."""
    lost = {str(field) for field in fields.not_loaded(stream, objects_of(stream))}
    assert not lost


def test_there_are_no_objects_of_other_streams() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(fields.ROLL)


EXTENSION = f"extension_{'0123456789abcdef' * 2}_costCenter"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"brandNew": 1}, Field("brandNew", Finding.NO_COLUMN)),
        ({"brandNew": None}, Field("brandNew", Finding.NO_COLUMN)),
        ({"location": {"floor": {"plan": 2}}}, Field("location.floor", Finding.UNNAMED)),
        ({"attendees": [{}, {"seat": "A"}]}, Field("attendees[].seat", Finding.UNNAMED)),
        ({"subject": 7}, Field("subject", Finding.OTHER_TYPE)),
        ({"attendees": [{"type": True}]}, Field("attendees[].type", Finding.OTHER_TYPE)),
        ({EXTENSION: "12"}, Field(EXTENSION, Finding.EXTENSION)),
    ],
    ids=lambda it: it.path if isinstance(it, Field) else "",
)
def test_what_has_no_column_is_found(more: dict[str, Any], field: Field) -> None:
    """At the top of an object it would be lost. Inside an object it is kept, and no schema names it."""
    assert fields.findings("calendar_events", {"id": "e", **more}) == [field]


@pytest.mark.parametrize(
    "sent",
    [{"@odata.etag": "1", "calendar@odata.navigationLink": "x"}, {"calendar": {"any": ["thing"]}}, {"subject": None}],
)
def test_annotations_nulls_and_what_json_holds_are_no_findings(sent: dict[str, Any]) -> None:
    assert fields.findings("calendar_events", {"id": "e", **sent}) == []


def test_what_the_connector_drops_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that is not in the record, one with another value, and a list that became shorter."""
    sent = {"id": "e", "subject": "A", "isAllDay": True, "categories": ["a", "b"], "body": {"content": "x"}}
    kept = {"id": "e", "is_all_day": False, "categories": ["a"], "body": {}}
    monkeypatch.setattr(fields, "record_of", lambda stream, sent: kept)
    lost = ["subject", "isAllDay", "categories", "body.content"]
    assert fields.findings("calendar_events", sent) == [Field(path, Finding.LOST) for path in lost]


def test_what_the_table_lacks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object without a row, another value in a column, inside JSON and in a list, and a field that has vanished."""
    whole = {"subject": "A", "start": {"dateTime": "x", "timeZone": "y"}, "categories": ["a"], "isAllDay": True}
    sent = [{"id": name, "createdDateTime": "2024-01-01T00:00:00Z", **whole} for name in ("kept", "gone", "other")]
    load = fields.loaded

    def loses(*arguments: Any) -> list[Any]:
        first, _, last = load(*arguments)
        odd = {"subject": "a", "start": {"date_time": "x", "time_zone": "z"}, "categories": ["b"]}
        return [first, {name: value for name, value in (last | odd).items() if name != "is_all_day"}]

    assert fields.not_loaded("calendar_events", sent) == []
    monkeypatch.setattr(fields, "loaded", loses)
    lost = ["object gone", "subject", "start.timeZone", "categories[]", "isAllDay"]
    assert fields.not_loaded("calendar_events", sent) == [Field(path, Finding.NOT_LOADED) for path in lost]


@pytest.mark.parametrize(
    "more",
    [
        {"brandNew": {"aB": [1, {"cD": None}]}},
        {"createdDateTime": "no date"},
        {"subject": {"a": 1}},
        {"categories": [1, {"a": 2}]},
        {EXTENSION: "12"},
        {"contoso_events": {"aName": 1, "a_name": 2}},
        {"createdDateTime": "0001-01-01T00:00:00Z"},
        {"createdDateTime": "2024-01-01T00:00:00.1234567+02:00"},
    ],
    ids=str,
)
def test_what_does_not_fit_is_in_the_table_too(more: dict[str, Any]) -> None:
    """It is in a row whatever it is. Objects of one id are loaded one after the other, and one without an id gets
    one."""
    sent = [{"id": "e", **more}, {"id": "e", "subject": "B"}, {"subject": "C"}]
    assert fields.not_loaded("calendar_events", sent) == []


@pytest.mark.parametrize(
    ("sent", "code", "shown"),
    [
        ({"id": "u", "displayName": "A"}, 0, ""),
        ({"id": "u", EXTENSION: "12"}, 0, f"{EXTENSION} is an extension"),
        ({"id": "u", "passwordProfile": {"hint": "x"}}, 0, "passwordProfile.hint is kept inside a JSON column"),
        ({"id": "u", "brandNew": "x"}, 1, "brandNew has no column"),
        ({"displayName": "A"}, 0, "users: 1 objects, 1 without an id"),
    ],
)
def test_the_command(
    sent: dict[str, Any], code: int, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It reads each file of a folder, prints what it finds, and fails where a field would be lost."""
    (tmp_path / "users.jsonl").write_text(f"{json.dumps(sent)}\n")
    assert fields.main([str(tmp_path)]) == code
    out = capsys.readouterr().out
    assert "users: 1 objects" in out
    assert shown in out


@pytest.mark.parametrize(
    ("name", "message"), [("users.json", "no file STREAM.jsonl"), ("user.jsonl", "no stream user")]
)
def test_a_folder_of_something_else(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(SystemExit):
        fields.main([str(tmp_path)])
    assert message in capsys.readouterr().err
