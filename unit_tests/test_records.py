"""Graph's objects as rows: names in snake_case at every depth, annotations gone, values untouched."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

import orjson
import pytest

from simulated_tenant import graph_types
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import ProtocolBroken
from source_microsoft_graph.graph.catalogue import Action, classify
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.lines import to_line
from source_microsoft_graph.streams.records import (
    ambiguous,
    camel_case,
    is_extension,
    snake_case,
    to_record,
)
from source_microsoft_graph.streams.report import ReportStream
from source_microsoft_graph.streams.versions import Versions
from source_microsoft_graph.sync.context import Sync
from unit_tests.graph_api import CONFIG, FakeGraph, read, statuses, warnings
from unit_tests.roll import every_stream

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


APP = "0123456789abcdef" * 2
EXTENSIONS = [
    f"extension_{APP}_costCenter",
    f"extension_{APP}_cost_center",
    f"extension_{APP}_Education_ObjectType",
    f"extension_{APP.upper()}_level_v2",
    "contoso_Courses",
    "extab1cd2ef_costCenter_v2",
    "Education_ObjectType",
]


@pytest.mark.parametrize("name", EXTENSIONS)
def test_an_extension_keeps_its_name(name: str) -> None:
    """Names that differ in case and underscores alone are two properties, and so are those inside an extension."""
    inside = {"aName": 1, "a_name": 2, "a_Name": [3], "@odata.type": "x", "aName@odata.type": "x"}
    assert is_extension(name)
    assert to_record({"id": "1", name: "A", f"{name}@odata.type": "#String"}) == {"id": "1", name: "A"}
    assert to_record({"id": "1", name: inside}) == {"id": "1", name: {"aName": 1, "a_name": 2, "a_Name": [3]}}


def test_two_spellings_of_an_extension_are_two_columns() -> None:
    first, second, *_ = EXTENSIONS
    assert to_record({second: 1, first: 2}) == {second: 1, first: 2}
    assert not ambiguous


def test_no_published_name_is_an_extensions() -> None:
    """Of Graph's own names with an underscore each is in snake_case already, or has the number of a version."""
    names = {name for kind in graph_types.load()["types"] for name in graph_types.properties(kind) if "_" in name}
    assert "riskEventTypes_v2" in names
    assert {name for name in names if is_extension(name) and snake_case(name) != name} == set()


def test_custom_security_attributes_are_no_extensions() -> None:
    """Their names are inside an object, where every name becomes snake_case."""
    sent = {"customSecurityAttributes": {"Engineering": {"Project_Name": "x"}}}
    assert to_record(sent) == {"custom_security_attributes": {"engineering": {"project_name": "x"}}}


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


# Names that would become one column.


@pytest.fixture(autouse=True)
def _nothing_ambiguous() -> Iterator[None]:
    """What was found ambiguous is kept for the whole process; no test inherits or leaves any."""
    ambiguous.clear()
    yield
    ambiguous.clear()


@pytest.mark.parametrize(
    ("entity", "record"),
    [
        ({"displayName": 1, "display_name": 2}, {"display_name": 1, "display_name_of_graph": 2}),
        ({"display_name": 2, "displayName": 1}, {"display_name": 2, "displayName": 1}),
        ({"displayName": 1, "DisplayName": 2}, {"display_name": 1, "DisplayName": 2}),
        ({"DisplayName": 2, "displayName": 1}, {"display_name": 2, "displayName": 1}),
        (
            {"aB": 1, "AB_": 9, "a_b": 2, "A_b": 3, "a_B": 4},
            {"a_b": 1, "ab_": 9, "a_b_of_graph": 2, "A_b": 3, "a_B": 4},
        ),
        ({"id": "1", "ID": "2"}, {"id": "1", "ID": "2"}),
        ({"ID": "2", "id": "1"}, {"id": "1", "ID": "2"}),
        ({"Id": "3", "ID": "2", "id": "1"}, {"id": "1", "Id": "3", "ID": "2"}),
        ({"ID": "2", "Id": "3"}, {"id": "2", "Id": "3"}),
        ({"Id": "3"}, {"id": "3"}),
        ({"id": "1", "ID": None}, {"id": "1", "ID": None}),
        ({"id": None, "ID": "2"}, {"id": None, "ID": "2"}),
        ({"webURL": {"aB": 1}, "webUrl": [{"aB": 2}]}, {"web_url": {"a_b": 1}, "webUrl": [{"a_b": 2}]}),
        ({"@odata.etag": "e", "aB": 1, "a@odata.type": 2, "a_b": 3}, {"a_b": 1, "a_b_of_graph": 3}),
        ({"odataType": "x", "@odata.type": "#t"}, {"odata_type": "x", "@odata.type": "#t"}),
    ],
    ids=repr,
)
@pytest.mark.parametrize("depth", [0, 1, 2], ids=["at the top", "in an object", "in a list of lists"])
def test_two_names_of_one_column_are_two_columns(entity: dict[str, Any], record: dict[str, Any], depth: int) -> None:
    """`id` has its column whatever stands before it, then the first name; each other one keeps its own name, and no
    value is lost. It is the same at every depth."""
    wraps: list[Callable[[Any], Any]] = [
        lambda value: value,
        lambda value: {"x": value},
        lambda value: {"x": [[value]]},
    ]
    entity, record = wraps[depth](entity), wraps[depth](record)

    assert to_record(copy.deepcopy(entity)) == record
    assert to_record({"other": 1, **entity}) == {"other": 1, **record}, "nor does it depend on what came before"


def test_names_in_different_objects_are_no_collision() -> None:
    """Each object has columns of its own, so the same column may have another name elsewhere."""
    assert to_record({"webUrl": 1, "inner": {"webURL": 2}}) == {"web_url": 1, "inner": {"web_url": 2}}
    assert to_record({"webURL": 3}) == {"web_url": 3}
    assert ambiguous == {}


def test_what_was_ambiguous_is_noted_once() -> None:
    """The column, the name that has it, and the others, for one warning however many objects there are."""
    for _ in range(3):
        to_record({"ID": "2", "id": "1", "aList": [{"aB": 1, "a_b": 2, "A_b": 3}]})

    assert ambiguous == {"id": ["id", "ID"], "a_b": ["aB", "a_b", "A_b"]}


# Reports are files, whose columns have the names of the file.
@pytest.mark.parametrize(
    "stream",
    [stream.name for stream in every_stream() if not stream.is_child and not isinstance(stream, ReportStream)],
)
def test_a_sync_warns_of_what_became_ambiguous(stream: str, graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, whichever page held it, and while another thread finds more of them."""
    to_record({"aB": 1, "a_b": 2})
    warn_once = Sync.warn_once

    def and_find_more(sync: Sync, key: Any, warning: str) -> None:
        to_record({f"aB{len(ambiguous)}": 1, f"a_b{len(ambiguous)}": 2})
        warn_once(sync, key, warning)

    graph.holds_one_of_each()
    monkeypatch.setattr(Sync, "warn_once", and_find_more)

    output = read(stream)

    assert statuses(output, stream)[-1] == "COMPLETE"
    assert len([warning for warning in warnings(output) if "a_b, which would both be column a_b:" in warning]) == 1


@pytest.mark.parametrize(
    ("entity", "record"),
    [
        ({"id": "1"}, {}),
        ({"id": "1", "groupId": "g"}, {}),
        ({"id": "1", "groupId": None}, {}),
        ({"id": "1", "groupId": "h"}, {"groupId": "h"}),
        ({"groupId": "h", "id": "1"}, {"groupId": "h"}),
        ({"id": "1", "group_id": "h"}, {"group_id_of_graph": "h"}),
        ({"id": "1", "groupID": "h"}, {"groupID": "h"}),
        ({"id": "1", "groupId": ["h"]}, {"groupId": ["h"]}),
        ({"id": "1", "groupId": 0}, {"groupId": 0}),
        ({"id": "1", "groupId": {"aB": 1}}, {"groupId": {"a_b": 1}}),
        ({"id": "1", "groupId": "h", "groupID": "i"}, {"groupId": "h", "groupID": "i"}),
        ({"id": "1", "groupId": "h", "group_id": "i"}, {"groupId": "h", "group_id_of_graph": "i"}),
        ({"id": "1", "groupId": None, "groupID": "i"}, {"groupID": "i"}),
    ],
    ids=repr,
)
def test_the_owners_column_is_the_owners(entity: dict[str, Any], record: dict[str, Any]) -> None:
    """A property of the same column that says something else keeps its own name; one that says the same, or nothing,
    is left out."""
    assert to_record(entity, {"group_id": "g"}) == {"id": "1", "group_id": "g", **record}


# Numbers.

EXACT = [2**exponent + more for exponent in (31, 32, 53, 62, 63, 64, 65, 100) for more in (-1, 0, 1)]
EXACT += [-number for number in EXACT]


def page_of(number: str) -> dict[str, Any]:
    text = f'{{"value": [{{"id": "1", "aSize": {number}, "inner": {{"aList": [[{number}], {{"aB": {number}}}]}}}}]}}'
    response = GraphResponse(200, {}, text.encode())
    assert classify(response).action is Action.READ
    record = to_record(response.body["value"][0])
    return cast(dict[str, Any], orjson.loads(to_line(record)))


@pytest.mark.parametrize("number", EXACT)
def test_digits_are_kept(number: int) -> None:
    """An integer of any size has all its digits in the output, at every depth: as a number where the serialiser takes
    it, and else as a text."""
    line = page_of(str(number))

    expected: Any = number if -(2**63) <= number < 2**64 else str(number)
    assert line == {"id": "1", "a_size": expected, "inner": {"a_list": [[expected], {"a_b": expected}]}}
    assert type(line["a_size"]) is type(expected)


@pytest.mark.parametrize("digits", ["1" * 100, "9" * 4_001, "-" + "9" * 5_000], ids=["100", "4,001", "5,000"])
def test_very_many_digits_are_kept(digits: str) -> None:
    """Also those of which Python makes no number."""
    assert page_of(digits)["inner"]["a_list"] == [[digits], {"a_b": digits}]


@pytest.mark.parametrize(
    "number", [0.1, 1.0, -0.0, 1.5, 1e300, 5e-324, 1.7976931348623157e308, 9007199254740993.0, 123456789.123456789]
)
def test_fractions_are_what_they_were(number: float) -> None:
    """A double is written as Graph wrote it, and none becomes an integer or a text."""
    assert repr(page_of(repr(number))["a_size"]) == repr(number)


def test_a_number_beyond_a_double_keeps_its_digits() -> None:
    """It would be infinite, which JSON has no word for."""
    assert page_of("1e400")["inner"]["a_list"] == [["1e400"], {"a_b": "1e400"}]


@pytest.mark.parametrize("number", [2**63 - 1, 2**64 - 1, 2**64 + 1, -(2**63) - 1])
def test_digits_are_kept_in_a_reduction_to_last_versions(number: int) -> None:
    """The records of a drive wait in a file until the last version of each is known."""
    records = [{"id": "1", "size": 1}, {"id": "2", "size": 0.1, "inner": [number]}, {"id": "1", "size": number}]
    sync = Sync(Config.parse(CONFIG), logging.getLogger("airbyte"))

    with Versions(sync, ("id",), lambda _: False, at_once=False, is_whole=True) as versions:
        assert not [*versions.news(records)]
        lines = [orjson.loads(to_line(record)) for record in versions.rest(lambda _: True)]

    expected: Any = number if -(2**63) <= number < 2**64 else str(number)
    assert lines == [{"id": "2", "size": 0.1, "inner": [expected]}, {"id": "1", "size": expected}]


@pytest.mark.parametrize("shape", ["objects", "lists"])
def test_an_object_nested_too_deeply_is_named(shape: str) -> None:
    """The serialiser takes 254 levels; what is deeper is an error in words."""
    entity: Any = 2**70
    for _ in range(300):
        entity = {"a": entity} if shape == "objects" else [entity]

    with pytest.raises(ProtocolBroken, match=r"nested too deeply: the-id\.$"):
        to_line({"id": "the-id", "a": entity})
