"""What of a tenant may be told in a report: shapes of values, names and words of Microsoft's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from source_microsoft_graph.field_report.observation import (
    Properties,
    PropertyReader,
    Pseudonyms,
    Refusal,
    permissions,
    shape,
    words,
)
from source_microsoft_graph.graph.response import GraphResponse

PSEUDONYMS = Pseudonyms()

TEXT = {"type": ["null", "string"]}
SCHEMA = {
    "display_name": TEXT,
    "size": {"type": ["null", "integer"]},
    "ratio": {"type": ["null", "number"]},
    "created_date_time": {**TEXT, "format": "date-time"},
    "refresh_date": {**TEXT, "format": "date"},
    "tags": {"type": ["null", "array"], "items": TEXT},
    "owner": {"type": ["null", "object"], "properties": {"user_name": TEXT}},
    "fields": {"type": ["null", "object"]},
    "odata_type": TEXT,
}


def properties(*entities: Mapping[str, Any], **how: Any) -> Properties:
    reader = PropertyReader(SCHEMA, PSEUDONYMS, **how)
    reader.read(entities)
    return reader.found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "boolean"),
        (7, "integer"),
        (0.5, "number"),
        ({"a": 1}, "object"),
        ([], "empty array"),
        (["a", 1], "array of integer or string (up to 8 characters)"),
        ("", "empty string"),
        ("Adele", "string (up to 8 characters)"),
        ("adele.vance@contoso.com", "string (up to 32 characters)"),
        ("x" * 20_000, "string (longer)"),
        ("8f6b3a52-0d0f-4a53-9f0f-6a1c5a4f2b7e", "string (GUID)"),
        ("2026-11-27", "string (date)"),
        ("2026-11-27T10:00:00.1234567Z", "date-time"),
        ("2026-11-27T10:00:00+01:00", "date-time"),
        ("2026-11-27T10:00:00", "date-time without an offset"),
        ("4711", "string (digits)"),
        ("https://contoso.sharepoint.com/sites/payroll", "string (URL)"),
    ],
)
def test_a_value_is_told_by_its_shape(value: Any, expected: str) -> None:
    assert shape(value) == expected


@pytest.mark.parametrize("name", ["jobTitle", "riskEventTypes_v2", "isManagementRestricted", "id"])
def test_a_name_of_microsofts_is_told(name: str) -> None:
    assert PSEUDONYMS.name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "extension_0123456789abcdef0123456789abcdef_costCenter",
        "ext7x1abcde_payroll",
        "contoso_courses",
        "Kundennummer",
        "grüße",
        "two words",
        "adele@contoso.com",
        "contoso.com",
        "badge20261127",
        "x" * 65,
        "",
    ],
)
def test_a_name_of_another_form_is_hashed(name: str) -> None:
    assert PSEUDONYMS.name(name) == PSEUDONYMS.of(name)
    assert PSEUDONYMS.of(name) != Pseudonyms().of(name)


@pytest.mark.parametrize(
    ("code", "is_told"),
    [
        ("Authorization_RequestDenied", True),
        ("S2SUnauthorized", True),
        ("MailboxNotEnabledForRESTAPI", True),
        ("contoso.onmicrosoft.com", False),
        ("adele@contoso.com", False),
        ("8f6b3a52", False),
        ("user4711", False),
        ("Adele Vance", False),
    ],
)
def test_a_code_has_the_form_of_microsofts(code: str, is_told: bool) -> None:
    assert (PSEUDONYMS.code(code) == code) is is_told


def test_words_that_are_not_microsofts_are_left_out() -> None:
    """An id or an address leaves nothing behind, nor does a word that no refusal of Graph's is known to have."""
    message = "The mailbox of Adele Vance <adele@contoso.com> is either inactive, soft-deleted, or contoso/hosted 4711"

    assert words(message) == "The mailbox of … is either inactive soft-deleted or …"


def test_a_refusal_is_told_in_known_words() -> None:
    body = b'{"error": {"code": "Request_BadRequest", "message": "Invalid value for Zoe Quartermain."}}'

    refusal = Refusal.of(GraphResponse(400, {}, body), PSEUDONYMS)

    assert refusal.whole == "400 `Request_BadRequest`: “Invalid value for …”"


def test_permissions_have_the_form_of_microsofts() -> None:
    assert permissions(["User.Read.All", "access_as_contoso", "Contoso", "Sites.Selected"]) == [
        "Sites.Selected",
        "User.Read.All",
    ]


def test_what_fits_the_schema_is_no_finding() -> None:
    found = properties(
        {
            "@odata.etag": 'W/"1"',
            "@odata.type": "#microsoft.graph.user",
            "displayName": "Adele",
            "size": 3,
            "ratio": 2,
            "createdDateTime": "2026-11-27T10:00:00Z",
            "refreshDate": "2026-11-27",
            "tags": ["a"],
            "owner": {"userName": "Adele", "user@odata.bind": "x"},
            "fields": {"Kundennummer": 4711},
        },
        dict.fromkeys(("displayName", "size", "owner", "tags")),
    )

    assert found.objects == 2
    assert found.sent == set(SCHEMA)
    assert (found.unknown, found.inside, found.other_types, found.own_names) == ({}, {}, {}, 0)


def test_each_misfit_is_found_at_its_path() -> None:
    found = properties(
        {"size": "3", "createdDateTime": "27.11.2026", "refreshDate": "2026-11-27T00:00:00Z", "tags": [1, 2]},
        {"size": 1.5, "owner": {"userName": ["Adele"]}, "createdDateTime": "2026-11-27T10:00:00"},
    )

    assert {path: (declared, dict(shapes)) for path, (declared, shapes) in found.other_types.items()} == {
        "size": ("integer", {"string (digits)": 1, "number": 1}),
        "createdDateTime": ("date-time", {"string (up to 32 characters)": 1, "date-time without an offset": 1}),
        "refreshDate": ("date", {"date-time": 1}),
        "tags[]": ("string", {"integer": 2}),
        "owner.userName": ("string", {"array of string (up to 8 characters)": 1}),
    }


def test_unknown_names_are_found_where_a_schema_says_what_there_is() -> None:
    """Inside of what no schema describes a tenant may name what it likes."""
    found = properties({"riskNarrative": "low", "owner": {"badge": "7"}, "fields": {"salary": 1}, "ext7x1_a": 1})

    assert {name: dict(shapes) for name, shapes in found.unknown.items()} == {
        "riskNarrative": {"string (up to 8 characters)": 1}
    }
    assert set(found.inside) == {"owner.badge"}
    assert found.own_names == 1


def test_columns_that_the_connector_leaves_out_are_known() -> None:
    assert not properties({"iccid": ""}, ignored=("iccid",)).unknown


def test_the_names_of_a_file_are_columns() -> None:
    found = properties({"display_name": "Adele", "last_copilot_date": "2026-11-27", "Ümlaut": 1}, is_file=True)

    assert found.sent == {"display_name"}
    assert set(found.unknown) == {"last_copilot_date", PSEUDONYMS.of("Ümlaut")}
