"""The stream schemas, held against Microsoft's published types (integration_tests/graph_types.json)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from simulated_tenant import graph_types
from simulated_tenant.catalogue import STREAM_TYPES
from simulated_tenant.graph_types import PropertyType
from source_microsoft_graph.records import camel_case, snake_case

SCHEMAS = Path(__file__).resolve().parents[1] / "source_microsoft_graph" / "schemas"
STREAMS = sorted(STREAM_TYPES)

# The column that links a child stream's record to its parent.
PARENT_COLUMNS = {
    "group_member": "group_id",
    "group_owner": "group_id",
    "channels": "team_id",
    "team_member": "team_id",
    "chat_messages": "chat_id",
    "mail_messages": "user_id",
    "calendar_events": "user_id",
    "contacts": "user_id",
    "drive_items": "user_id",
    "directory_role_member": "role_id",
}

_SHAREPOINT = "kept in SharePoint: in a list's $select it fails the whole request"
_ONE_GROUP_ONLY = "answered only for a single group: in a list's $select it fails the whole request"
_ON_SELECT = "returned only when $select names it, which the connector does not do for this stream"

# Published properties that a list call does not return, and why. Nothing else may be missing from a schema.
NOT_LISTED: Mapping[str, Mapping[str, str]] = {
    "user": {
        "aboutMe": _SHAREPOINT,
        "birthday": _SHAREPOINT,
        "hireDate": _SHAREPOINT,
        "interests": _SHAREPOINT,
        "mySite": _SHAREPOINT,
        "pastProjects": _SHAREPOINT,
        "preferredName": _SHAREPOINT,
        "responsibilities": _SHAREPOINT,
        "schools": _SHAREPOINT,
        "skills": _SHAREPOINT,
        "mailboxSettings": "kept in Exchange, answered for a single user only",
        "deviceEnrollmentLimit": "kept in Intune: in a list's $select it fails the whole request",
        "print": "kept in Universal Print, outside the directory",
    },
    "group": {
        "accessType": _ONE_GROUP_ONLY,
        "allowExternalSenders": _ONE_GROUP_ONLY,
        "autoSubscribeNewMembers": _ONE_GROUP_ONLY,
        "hasMembersWithLicenseErrors": "for $filter only, never returned",
        "hideFromAddressLists": _ONE_GROUP_ONLY,
        "hideFromOutlookClients": _ONE_GROUP_ONLY,
        "isArchived": "belongs to the team: in a list's $select it fails the whole request",
        "isFavorite": _ONE_GROUP_ONLY,
        "isSubscribedByMail": _ONE_GROUP_ONLY,
        "unseenConversationsCount": _ONE_GROUP_ONLY,
        "unseenCount": _ONE_GROUP_ONLY,
        "unseenMessagesCount": _ONE_GROUP_ONLY,
        "welcomeMessageEnabled": "an Outlook setting like autoSubscribeNewMembers, undocumented for lists",
    },
    "message": {"internetMessageHeaders": _ON_SELECT, "uniqueBody": _ON_SELECT},
    "event": {"cancelledOccurrences": _ON_SELECT},
}

# Types whose records also occur in a stream: every message type in a mailbox, every kind of member in a group or role.
ALSO_IN_STREAM: Mapping[str, tuple[str, ...]] = {
    "mail_messages": ("calendarSharingMessage", "eventMessageRequest", "eventMessageResponse"),
    "group_member": ("user", "group", "device", "servicePrincipal", "orgContact"),
    "group_owner": ("user", "group", "device", "servicePrincipal", "orgContact"),
    "directory_role_member": ("user", "group", "device", "servicePrincipal", "orgContact"),
}
# What a user looks like in a list of members: Graph's default properties, there is no $select.
MEMBER_USER = {
    "id", "deletedDateTime", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone",
    "officeLocation", "preferredLanguage", "surname", "userPrincipalName",
}  # fmt: skip
# Of the other kinds of member a list leaves out only what needs an explicit $select.
MEMBER_ON_SELECT = {
    "assignedLabels", "assignedLicenses", "customSecurityAttributes", "infoCatalogs", "isManagementRestricted",
    "licenseProcessingState", "onPremisesExtensionAttributes", "organizationId",
}  # fmt: skip

# Top-level properties that Graph sends although the published type does not declare them.
_UNDECLARED_IN_MEMBERS: dict[str, PropertyType] = {
    "createdDateTime": "DateTimeOffset",
    "creationOptions": ["String"],
    "domainName": "String",
    "extensionAttributes": "onPremisesExtensionAttributes",
    "externalSourceName": "String",
    "sourceType": "String",
}
UNDECLARED: Mapping[str, Mapping[str, PropertyType]] = {
    "service_principals": {"createdDateTime": "DateTimeOffset"},
    "group_member": _UNDECLARED_IN_MEMBERS,
    "group_owner": _UNDECLARED_IN_MEMBERS,
    "directory_role_member": _UNDECLARED_IN_MEMBERS,
}

# The streams whose $select is the list of their schema's columns, with the columns the connector may drop when
# Graph refuses the request.
_OPTIONAL_IN_GROUPS = {"info_catalogs", "on_premises_extension_attributes", "organization_id"}
SELECT_OPTIONAL: Mapping[str, set[str]] = {
    "users": {"custom_security_attributes", "employee_leave_date_time", "identity_parent_id"},
    "groups": _OPTIONAL_IN_GROUPS,
    "teams": _OPTIONAL_IN_GROUPS,
    "applications": {"authentication_behaviors", "manager_applications", "oauth2_require_post_response"},
    "service_principals": {"created_date_time", "custom_security_attributes"},
}

KEYWORDS = {"$schema", "type", "properties", "items", "additionalProperties", "format", "airbyte_type", "select"}
INTEGERS = {"Byte", "Int16", "Int32", "Int64"}
NUMBERS = {"Decimal", "Double", "Single"}
STRINGS = {"Binary", "Duration", "Guid", "String", "TimeOfDay"}


def load(stream: str) -> dict[str, Any]:
    """The schema file of a stream."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{stream}.json").read_text(encoding="utf-8"))
    return schema


def key_columns(stream: str) -> list[str]:
    """The columns that come first and are never null."""
    return ["id", *([PARENT_COLUMNS[stream]] if stream in PARENT_COLUMNS else [])]


def listed_properties(stream: str) -> dict[str, PropertyType]:
    """The published properties that a list call of the stream can return, by their published name."""
    expected: dict[str, PropertyType] = {}
    for type_name in (STREAM_TYPES[stream], *ALSO_IN_STREAM.get(stream, ())):
        left_out = set(NOT_LISTED.get(type_name, ())) | set(NOT_LISTED.get(STREAM_TYPES[stream], ()))
        published = graph_types.properties(type_name)
        if STREAM_TYPES[stream] == "directoryObject":
            left_out |= set(published) - MEMBER_USER if type_name == "user" else MEMBER_ON_SELECT
        for name, kind in published.items():
            if name not in left_out and kind != "Stream":
                assert expected.get(name, kind) == kind, f"{type_name}.{name} disagrees with another type of {stream}"
                expected[name] = kind
    return {**expected, **UNDECLARED.get(stream, {})}


def scalar(kind: str) -> dict[str, Any]:
    """The only schema a scalar of this published type may have."""
    if kind == "Boolean":
        return {"type": ["null", "boolean"]}
    if kind in INTEGERS:
        return {"type": ["null", "integer"]}
    if kind in NUMBERS:
        return {"type": ["null", "number"]}
    if kind == "DateTimeOffset":
        return {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
    if kind == "Date":
        return {"type": ["null", "string"], "format": "date"}
    assert kind in STRINGS or graph_types.enum_members(kind) is not None, f"unknown type {kind}"
    return {"type": ["null", "string"]}


def faults(kind: PropertyType, node: Mapping[str, Any], path: str) -> Iterator[str]:
    """Every difference between a published type and a schema, to full depth."""
    if isinstance(kind, list):
        if node.get("type") != ["null", "array"] or "items" not in node:
            yield f"{path}: a nullable array with items expected, not {dict(node)}"
        else:
            yield from faults(kind[0], node["items"], f"{path}[]")
    elif graph_types.is_type(kind):
        if node.get("type") != ["null", "object"] or node.get("additionalProperties") is not True:
            yield f"{path}: a nullable open object expected, not {node.get('type')}"
        columns = node.get("properties", {})
        for name, inner in graph_types.properties(kind).items():
            if inner == "Stream":
                continue
            if snake_case(name) not in columns:
                yield f"{path}.{snake_case(name)}: missing ({inner})"
            else:
                yield from faults(inner, columns[snake_case(name)], f"{path}.{snake_case(name)}")
    elif dict(node) != scalar(kind):
        yield f"{path}: {scalar(kind)} expected, not {dict(node)}"


def subschemas(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The schema and all schemas inside it, each with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from subschemas(child, f"{path}.{name}")
    if "items" in node:
        yield from subschemas(node["items"], f"{path}[]")


def without_select(node: Mapping[str, Any]) -> dict[str, Any]:
    """A property's schema less the connector's own annotation."""
    return {keyword: value for keyword, value in node.items() if keyword != "select"}


def test_there_is_one_schema_file_per_stream() -> None:
    """The directory holds the 22 streams' schemas and nothing else."""
    assert len(STREAMS) == 22
    assert sorted(path.name for path in SCHEMAS.iterdir()) == [f"{stream}.json" for stream in STREAMS]


@pytest.mark.parametrize("stream", STREAMS)
def test_every_listed_property_is_in_the_schema_with_its_published_type(stream: str) -> None:
    """A schema has each property a list call can return, typed as published, at every depth."""
    columns = load(stream)["properties"]
    found = []
    for name, kind in listed_properties(stream).items():
        column = snake_case(name)
        if column not in columns:
            found.append(f"{column}: missing ({kind})")
        elif column not in key_columns(stream):
            found += faults(kind, without_select(columns[column]), column)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_schema_has_no_column_that_graph_does_not_send(stream: str) -> None:
    """Beside the published properties there are only the parent's id and the type mark."""
    known = {snake_case(name) for name in listed_properties(stream)} | set(key_columns(stream)) | {"odata_type"}
    assert set(load(stream)["properties"]) - known == set()


@pytest.mark.parametrize("stream", STREAMS)
def test_key_columns_come_first(stream: str) -> None:
    """The id and the parent's id are strings at the head, the other columns follow in alphabetical order."""
    columns = load(stream)["properties"]
    keys = key_columns(stream)
    id_column, *parents = [columns[key] for key in keys]
    assert id_column == {"type": ["null", "string"]}, "nullable like every property of Graph's, though never null"
    assert parents == [{"type": "string"}] * len(parents)
    assert list(columns) == keys + sorted(set(columns) - set(keys))


@pytest.mark.parametrize("stream", STREAMS)
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
    marked = {path.removeprefix("."): node["select"] for path, node in subschemas(load(stream)) if "select" in node}
    licensed = {"sign_in_activity": "licensed"} if stream == "users" else {}
    never = dict.fromkeys(_of_other_types(stream) if stream == "mail_messages" else (), "never")
    assert marked == dict.fromkeys(SELECT_OPTIONAL.get(stream, ()), "optional") | licensed | never


def _of_other_types(stream: str) -> set[str]:
    published = graph_types.properties(STREAM_TYPES[stream])
    columns = set(load(stream)["properties"]) - {"user_id", "odata_type"}
    return {name for name in columns if camel_case(name) not in published}


@pytest.mark.parametrize("stream", sorted(SELECT_OPTIONAL))
def test_column_names_lead_back_to_the_published_names(stream: str) -> None:
    """A $select derived from the schema names exactly the properties Graph publishes."""
    columns = set(load(stream)["properties"]) - {"odata_type"}
    assert {camel_case(column) for column in columns} == set(listed_properties(stream))


@pytest.mark.parametrize("stream", ["drives", "drive_items"])
def test_no_drive_schema_has_a_download_url(stream: str) -> None:
    """Short-lived, pre-authenticated download addresses are secrets and never a column."""
    assert not [path for path, _ in subschemas(load(stream)) if "download" in path]


def test_left_out_properties_are_still_published() -> None:
    """The list of unlisted properties holds no name that Microsoft has withdrawn."""
    for type_name, reasons in NOT_LISTED.items():
        assert set(reasons) - set(graph_types.properties(type_name)) == set()


@pytest.mark.parametrize("damage", ["drop", "retype", "not null", "drop inside", "retype inside"])
def test_the_comparison_finds_a_damaged_schema(damage: str) -> None:
    """A missing, mistyped or non-nullable property is reported, however deep it lies."""
    columns = load("calendar_events")["properties"]
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
    event = graph_types.properties("event")
    found = [fault for name in ("attendees", "recurrence") for fault in faults(event[name], columns[name], name)]
    assert len(found) == 1
