"""Graph's objects as rows: names in snake_case at every depth, annotations gone, values untouched."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from source_microsoft_graph.streams.records import camel_case, snake_case, to_record

BOTH_WAYS = [
    ("id", "id"),
    ("mail", "mail"),
    ("displayName", "display_name"),
    ("userPrincipalName", "user_principal_name"),
    ("onPremisesSamAccountName", "on_premises_sam_account_name"),
    ("onPremisesImmutableId", "on_premises_immutable_id"),
    ("imAddresses", "im_addresses"),
    ("oauth2RequirePostResponse", "oauth2_require_post_response"),
    ("oauth2PermissionScopes", "oauth2_permission_scopes"),
    ("eTag", "e_tag"),
    ("cTag", "c_tag"),
    ("iCalUId", "i_cal_u_id"),
    ("ageGroup", "age_group"),
    ("businessPhones", "business_phones"),
    ("createdDateTime", "created_date_time"),
    ("isReadReceiptRequested", "is_read_receipt_requested"),
]
ONE_WAY = [
    ("riskEventTypes_v2", "risk_event_types_v2"),
    ("isMDMEnabled", "is_mdm_enabled"),
    ("SSOSettings", "sso_settings"),
    ("webUrlID", "web_url_id"),
    ("appliesToURL", "applies_to_url"),
    ("ID", "id"),
    ("sha256Hash", "sha256_hash"),
    ("quickXorHash", "quick_xor_hash"),
    ("extension_0a1b2c_costCenter", "extension_0a1b2c_cost_center"),
    ("already_snake_case", "already_snake_case"),
]


@pytest.mark.parametrize(("published", "column"), BOTH_WAYS + ONE_WAY)
def test_names_become_snake_case(published: str, column: str) -> None:
    """A capital begins a word, a run of capitals is one word, and a digit belongs to the word before it."""
    assert snake_case(published) == column


@pytest.mark.parametrize(("published", "column"), BOTH_WAYS)
def test_columns_lead_back_to_graphs_names(published: str, column: str) -> None:
    """What is selected by its column is asked for by Graph's own name."""
    assert camel_case(column) == published


@pytest.mark.parametrize("column", [column for _, column in BOTH_WAYS + ONE_WAY])
def test_a_column_stays_what_it_is(column: str) -> None:
    """Naming is idempotent: a name already in snake_case is kept."""
    assert snake_case(column) == column


def test_names_change_at_every_depth() -> None:
    """Objects in objects, in lists and in lists of lists are rows of their own."""
    entity = {
        "assignedLicenses": [{"skuId": "s", "disabledPlans": ["p"]}, {"skuId": "t", "disabledPlans": []}],
        "onPremisesExtensionAttributes": {"extensionAttribute1": "1", "innerObject": {"deepestName": {"aB": 1}}},
        "nestedLists": [[{"oneMore": 1}], [[{"lastOne": 2}]]],
    }

    assert to_record(entity) == {
        "assigned_licenses": [{"sku_id": "s", "disabled_plans": ["p"]}, {"sku_id": "t", "disabled_plans": []}],
        "on_premises_extension_attributes": {
            "extension_attribute1": "1",
            "inner_object": {"deepest_name": {"a_b": 1}},
        },
        "nested_lists": [[{"one_more": 1}], [[{"last_one": 2}]]],
    }


@pytest.mark.parametrize(
    "annotation",
    [
        "@odata.context",
        "@odata.etag",
        "@odata.id",
        "@odata.nextLink",
        "@microsoft.graph.downloadUrl",
        "@microsoft.graph.tips",
        "members@odata.context",
        "members@delta",
        "createdDateTime@odata.type",
    ],
)
def test_annotations_are_dropped_at_every_depth(annotation: str) -> None:
    """What describes the answer rather than the object is no column, wherever it stands; a token may hide in it."""
    entity = {
        "id": "1",
        annotation: "https://example.com/?token=secret",
        "inner": {"name": "a", annotation: {"deep": "secret"}},
        "list": [{"name": "b", annotation: ["secret"]}],
    }

    assert to_record(entity) == {"id": "1", "inner": {"name": "a"}, "list": [{"name": "b"}]}


def test_the_type_is_kept_at_every_depth() -> None:
    """A polymorphic object says which kind it is in `@odata.type`, and that is a column."""
    entity = {
        "@odata.type": "#microsoft.graph.user",
        "initiatedBy": {"@odata.type": "#microsoft.graph.appIdentity"},
        "list": [{"@odata.type": "#microsoft.graph.group"}],
    }

    assert to_record(entity) == {
        "odata_type": "#microsoft.graph.user",
        "initiated_by": {"odata_type": "#microsoft.graph.appIdentity"},
        "list": [{"odata_type": "#microsoft.graph.group"}],
    }


@pytest.mark.parametrize(
    "value",
    [
        0,
        1,
        -1,
        9_007_199_254_740_993,
        1.0,
        0.1,
        1e300,
        True,
        False,
        None,
        "",
        "userPrincipalName",
        "@odata.type",
        "2024-01-01T00:00:00.1234567Z",
        "ünïcödé \u2028 \U0001f600",
        {},
        [],
        [None, [], {}, 0, 0.0, False, ""],
    ],
    ids=repr,
)
def test_values_are_what_graph_sent(value: Any) -> None:
    """No value is converted, dropped or rounded, and none changes its type."""
    kept = to_record({"aName": value, "anObject": {"aName": value}})

    assert repr(kept) == repr({"a_name": value, "an_object": {"a_name": value}})


def test_scalars_are_the_same_objects() -> None:
    """Bodies of mails are long: a row refers to Graph's text and does not copy it."""
    text, number = "a long text " * 10, 10**30

    kept = to_record({"aText": text, "aList": [text, {"aNumber": number}]})

    assert [
        kept["a_text"] is text,
        kept["a_list"][0] is text,
        kept["a_list"][1]["a_number"] is number,
    ] == [True, True, True]


def test_the_object_is_left_as_it_was() -> None:
    """A row is new at every depth, so neither side sees the other's changes."""
    entity = {"@odata.etag": "e", "aName": {"aList": [{"bName": 1}]}, "bList": [1]}
    before = copy.deepcopy(entity)

    kept = to_record(entity)
    kept["a_name"]["a_list"][0]["b_name"] = 2
    kept["b_list"].append(2)

    assert entity == before


def test_an_empty_object_is_an_empty_row() -> None:
    """Nothing becomes nothing."""
    assert to_record({}) == {}
