"""The user's configuration: what is accepted, what it becomes, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pendulum
import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.auth.credentials import ClientSecret
from source_microsoft_graph.config.clouds import CLOUDS, Cloud
from source_microsoft_graph.config.configuration import SPEC, Config

SECRET = "the-secret-value"
FLAT: Mapping[str, Any] = {"tenant_id": "contoso.onmicrosoft.com", "client_id": "the-client", "client_secret": SECRET}
NESTED: Mapping[str, Any] = {
    "tenant_id": "contoso.onmicrosoft.com",
    "credentials": {"auth_type": "client_secret", "client_id": "the-client", "client_secret": SECRET},
}
PARSED = Config(
    tenant_id="contoso.onmicrosoft.com",
    credentials=ClientSecret(client_id="the-client", client_secret=SECRET),
    cloud=Cloud("login.microsoftonline.com", "graph.microsoft.com"),
    scope="https://graph.microsoft.com/.default",
    user_filter=None,
    include_users=frozenset(),
    exclude_users=frozenset(),
    include_guests=True,
    include_disabled_accounts=True,
    extra_user_properties=frozenset({"employeeOrgData", "employeeLeaveDateTime", "customSecurityAttributes"}),
    directory_extensions=frozenset(),
    find_directory_extensions=False,
    message_body="html",
    immutable_ids=True,
    chat_messages_by="chat",
    start_date=None,
    lookback_window=timedelta(hours=1),
    calendar_days_back=30,
    calendar_days_ahead=180,
    page_size=999,
    num_workers=10,
)


def nested(**credentials: Any) -> dict[str, Any]:
    return {**NESTED, "credentials": {**NESTED["credentials"], **credentials}}


def without(raw: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in names}


def custom_cloud(**hosts: Any) -> dict[str, Any]:
    return {**FLAT, "cloud": {"cloud_type": "custom", **hosts}}


def refusal(raw: Any) -> AirbyteTracedException:
    with pytest.raises(AirbyteTracedException) as caught:
        Config.parse(raw)
    return caught.value


@pytest.mark.parametrize("raw", [FLAT, NESTED], ids=["flat", "nested"])
def test_flat_and_nested_forms_are_one(raw: Mapping[str, Any]) -> None:
    """Credentials beside the tenant and credentials in their section give the same configuration."""
    assert Config.parse(raw) == PARSED


def test_the_credentials_section_wins() -> None:
    """Where both forms are given, the section of the form that people see holds."""
    raw = {**FLAT, "client_id": "old", "client_secret": "old", "credentials": NESTED["credentials"]}

    assert Config.parse(raw) == PARSED


def test_defaults_come_from_the_spec() -> None:
    """A field left out has the value that the spec shows for it."""
    shown = {name: field["default"] for name, field in SPEC["properties"].items() if "default" in field}

    assert Config.parse({**FLAT, **shown}) == Config.parse(FLAT) == PARSED
    assert set(shown) == {
        "calendar_days_ahead",
        "calendar_days_back",
        "chat_messages_by",
        "extra_user_properties",
        "find_directory_extensions",
        "immutable_ids",
        "include_disabled_accounts",
        "include_guests",
        "lookback_window",
        "message_body",
        "num_workers",
        "page_size",
        "scope",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", 100),
        ("page_size", 999),
        ("num_workers", 2),
        ("num_workers", 40),
        ("calendar_days_back", 0),
        ("calendar_days_back", 1644),
        ("calendar_days_ahead", 0),
        ("calendar_days_ahead", 1794),
    ],
)
def test_bounds_are_inclusive(name: str, value: Any) -> None:
    """The least and the greatest value the spec names are both accepted."""
    assert Config.parse({**FLAT, name: value}) == replace(PARSED, **{name: value})


@pytest.mark.parametrize("name", ["page_size", "num_workers", "calendar_days_back"])
def test_whole_numbers_stay_whole(name: str) -> None:
    """JSON Schema takes 100.0 and 20.0 for integers; written into a URL they must not become fractions."""
    value = {"page_size": 100.0, "num_workers": 20.0, "calendar_days_back": 7.0}[name]

    assert str(getattr(Config.parse({**FLAT, name: value}), name)) == str(int(value))


def test_unknown_fields_are_ignored() -> None:
    """A platform may add fields of its own."""
    assert Config.parse({**FLAT, "__injected_by_the_platform": {"a": 1}}) == PARSED


def padded(value: Any, before: str, after: str) -> Any:
    """The same with this around each text in it."""
    if isinstance(value, Mapping):
        return {name: padded(inner, before, after) for name, inner in value.items()}
    return f"{before}{value}{after}" if isinstance(value, str) else value


PADDING = pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "\n", id="line break"),
        pytest.param("", "\r\n", id="line break of Windows"),
        pytest.param(" ", "", id="space before"),
        pytest.param("\t", " ", id="both sides"),
    ],
)
PASTED = {
    **NESTED,
    "start_date": "2024-01-01",
    "scope": "https://graph.example/.default",
    "cloud": {"cloud_type": "custom", "login_host": "login.example", "graph_host": "graph.example"},
}


@PADDING
def test_what_is_pasted_along_is_dropped(before: str, after: str) -> None:
    """A space or line break around a value is no part of it, in either form and wherever the value stands."""
    assert Config.parse(padded(FLAT, before, after)) == PARSED
    assert Config.parse(padded(PASTED, before, after)) == Config.parse(PASTED)


@PADDING
@pytest.mark.parametrize("raw", [FLAT, PASTED], ids=["flat", "nested"])
def test_what_is_accepted_passes_the_cdk_too(raw: Mapping[str, Any], before: str, after: str) -> None:
    """The CDK holds what `configure` returns against the spec, and masks the secrets it finds in it."""
    assert SourceMicrosoftGraph().configure(padded(raw, before, after), "") == raw


def test_the_configuration_is_left_as_it_was() -> None:
    """Parsing reads the mapping and writes nothing into it."""
    raw = nested()

    Config.parse(raw)

    assert raw == nested()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        pytest.param(without(FLAT, "tenant_id"), "tenant_id", id="no tenant"),
        pytest.param({**FLAT, "tenant_id": ""}, "tenant_id", id="empty tenant"),
        pytest.param({**FLAT, "tenant_id": None}, "tenant_id", id="null tenant"),
        pytest.param({**FLAT, "tenant_id": 5}, "tenant_id", id="numeric tenant"),
        pytest.param({**FLAT, "tenant_id": "contoso/evil"}, "tenant_id", id="tenant with a slash"),
        pytest.param(without(FLAT, "client_id"), "client_id", id="no client"),
        pytest.param({**FLAT, "client_id": ""}, "client_id", id="empty client"),
        pytest.param({**FLAT, "client_id": 5}, "client_id", id="numeric client"),
        pytest.param({**FLAT, "client_id": "the client"}, "client_id", id="client with a space"),
        pytest.param(without(FLAT, "client_secret"), "client_secret", id="no secret"),
        pytest.param({**FLAT, "client_secret": ""}, "client_secret", id="empty secret"),
        pytest.param({**FLAT, "client_secret": None}, "client_secret", id="null secret"),
        pytest.param({**FLAT, "client_secret": " \n"}, "client_secret", id="blank secret"),
        pytest.param(without(NESTED, "credentials"), "client_id", id="no credentials at all"),
        pytest.param({**NESTED, "credentials": {}}, "credentials.auth_type", id="empty credentials"),
        pytest.param({**NESTED, "credentials": None}, "credentials", id="null credentials"),
        pytest.param(nested(auth_type="password"), "credentials.auth_type", id="unknown way to sign in"),
        pytest.param(
            {**NESTED, "credentials": without(NESTED["credentials"], "auth_type")},
            "credentials.auth_type",
            id="no way to sign in",
        ),
        pytest.param(
            {**NESTED, "credentials": without(NESTED["credentials"], "client_id")},
            "credentials.client_id",
            id="no nested client",
        ),
        pytest.param(nested(client_id="the client"), "credentials.client_id", id="nested client with a space"),
        pytest.param(
            {**NESTED, "credentials": without(NESTED["credentials"], "client_secret")},
            "credentials.client_secret",
            id="no nested secret",
        ),
        pytest.param(nested(client_secret=""), "credentials.client_secret", id="empty nested secret"),
        pytest.param(nested(client_secret=5), "credentials.client_secret", id="numeric nested secret"),
        pytest.param({**FLAT, "page_size": 99}, "page_size", id="page too small"),
        pytest.param({**FLAT, "page_size": 1000}, "page_size", id="page too large"),
        pytest.param({**FLAT, "page_size": "100"}, "page_size", id="page size in quotes"),
        pytest.param({**FLAT, "page_size": True}, "page_size", id="page size true"),
        pytest.param({**FLAT, "num_workers": 1}, "num_workers", id="too few workers"),
        pytest.param({**FLAT, "num_workers": 41}, "num_workers", id="too many workers"),
        pytest.param({**FLAT, "num_workers": 2.5}, "num_workers", id="half a worker"),
        pytest.param({**FLAT, "start_date": "2024-13-45"}, "start_date", id="no such month"),
        pytest.param({**FLAT, "start_date": "2023-02-29"}, "start_date", id="no such day"),
        pytest.param({**FLAT, "start_date": "2024-01-01T25:00:00Z"}, "start_date", id="no such hour"),
        pytest.param({**FLAT, "start_date": "yesterday"}, "start_date", id="a word for a date"),
        pytest.param({**FLAT, "start_date": ""}, "start_date", id="empty date"),
        pytest.param({**FLAT, "start_date": 20240101}, "start_date", id="numeric date"),
        pytest.param({**FLAT, "scope": ""}, "scope", id="empty scope"),
        pytest.param({**FLAT, "scope": "User.Read.All"}, "scope", id="a permission for a scope"),
        pytest.param({**FLAT, "scope": "http://graph.microsoft.com/.default"}, "scope", id="scope without TLS"),
        pytest.param({**FLAT, "cloud": "china"}, "cloud", id="cloud as a text"),
        pytest.param({**FLAT, "cloud": {}}, "cloud.cloud_type", id="empty cloud"),
        pytest.param({**FLAT, "cloud": {"cloud_type": "mars"}}, "cloud.cloud_type", id="unknown cloud"),
        pytest.param({**FLAT, "cloud": {"cloud_type": ["china"]}}, "cloud.cloud_type", id="a list of clouds"),
        pytest.param({**FLAT, "user_filter": "$filter=a eq 1"}, "user_filter", id="the option with its expression"),
        pytest.param({**FLAT, "user_filter": 5}, "user_filter", id="numeric filter"),
        pytest.param({**FLAT, "include_users": "a@b.c"}, "include_users", id="a text for a list"),
        pytest.param({**FLAT, "include_users": ["ann"]}, "include_users.0", id="a nickname"),
        pytest.param({**FLAT, "exclude_users": [{}]}, "exclude_users.0", id="an object for a user"),
        pytest.param(
            {**FLAT, "include_users": ["a@b.c"], "exclude_users": ["A@B.C"]}, "exclude_users", id="in both lists"
        ),
        pytest.param({**FLAT, "include_guests": "no"}, "include_guests", id="a word for a switch"),
        pytest.param({**FLAT, "message_body": "markdown"}, "message_body", id="unknown kind of body"),
        pytest.param(
            {**FLAT, "extra_user_properties": ["mailboxSettings"]}, "extra_user_properties.0", id="unlisted property"
        ),
        pytest.param({**FLAT, "directory_extensions": ["costCenter"]}, "directory_extensions.0", id="no full name"),
        pytest.param({**FLAT, "directory_extensions": "a_b"}, "directory_extensions", id="a text for extensions"),
        pytest.param({**FLAT, "find_directory_extensions": "yes"}, "find_directory_extensions", id="a word to find"),
        pytest.param({**FLAT, "lookback_window": "1 hour"}, "lookback_window", id="a phrase for a duration"),
        pytest.param({**FLAT, "lookback_window": "P1M"}, "lookback_window", id="a month, which has no length"),
        pytest.param({**FLAT, "lookback_window": "PT"}, "lookback_window", id="no duration"),
        pytest.param({**FLAT, "calendar_days_back": -1}, "calendar_days_back", id="days from the future"),
        pytest.param({**FLAT, "calendar_days_back": 1825}, "calendar_days_back", id="more days than Graph takes"),
        pytest.param(
            {**FLAT, "calendar_days_ahead": 1825}, "calendar_days_ahead", id="more days ahead than Graph takes"
        ),
        pytest.param({**FLAT, "calendar_days_ahead": 1795}, "calendar_days_ahead", id="more days in all"),
        pytest.param(nested(auth_type="certificate"), "credentials.certificate", id="no certificate"),
        pytest.param(nested(auth_type="certificate_pfx"), "credentials.pfx", id="no PFX file"),
        pytest.param(
            nested(auth_type="workload_identity", assertion_file="token"), "credentials.assertion_file", id="no path"
        ),
        pytest.param(custom_cloud(graph_host="graph.example"), "cloud.login_host", id="no login host"),
        pytest.param(custom_cloud(login_host="login.example"), "cloud.graph_host", id="no Graph host"),
        pytest.param(
            custom_cloud(login_host="https://login.example", graph_host="graph.example"),
            "cloud.login_host",
            id="a URL for a login host",
        ),
        pytest.param(
            custom_cloud(login_host="login.example", graph_host="graph.example/v1.0"),
            "cloud.graph_host",
            id="a path in the Graph host",
        ),
    ],
)
def test_a_bad_field_is_named(raw: Mapping[str, Any], field: str) -> None:
    """Whatever is wrong is an error of the configuration, and the message opens with the field to mend."""
    error = refusal(raw)
    opening = f"Configuration: {field}: "

    assert (error.failure_type, str(error.message)[: len(opening)]) == (FailureType.config_error, opening)
    assert error.internal_message == error.message


@pytest.mark.parametrize("raw", [None, [], "tenant"], ids=["nothing", "a list", "a text"])
def test_a_configuration_that_is_no_object_is_refused(raw: Any) -> None:
    """Where no field can be named, the whole is."""
    assert str(refusal(raw).message).startswith("Configuration: the whole: ")


def test_a_choice_names_its_variants() -> None:
    """An unknown cloud is answered with those there are."""
    variants = "global, us_government_l4, us_government_l5, china, custom"

    message = refusal({**FLAT, "cloud": {"cloud_type": "mars"}}).message

    assert message == f"Configuration: cloud.cloud_type: must be one of {variants}."


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param({**FLAT, "client_secret": [SECRET]}, id="secret in a list"),
        pytest.param(nested(client_secret=[SECRET]), id="nested secret in a list"),
        pytest.param(nested(client_secret={"value": SECRET}), id="nested secret in an object"),
        pytest.param(nested(auth_type="password"), id="unknown way to sign in"),
        pytest.param(nested(client_id=""), id="bad neighbour"),
        pytest.param({**NESTED, "credentials": SECRET}, id="secret for the credentials"),
        pytest.param({**NESTED, "credentials": [NESTED["credentials"]]}, id="credentials in a list"),
        pytest.param({**NESTED, "credentials": "{'client_secret': '" + SECRET + "'}"}, id="credentials in quotes"),
        pytest.param({**FLAT, "tenant_id": f"{SECRET}/x"}, id="tenant, which the spec calls secret"),
    ],
)
def test_no_secret_is_told(raw: Any) -> None:
    """A message about the configuration goes into logs before anything masks them, so it holds no secret."""
    error = refusal(raw)

    assert [SECRET in text for text in (str(error), repr(error), str(error.internal_message))] == [False, False, False]


@pytest.mark.parametrize("name", ["tenant_id", "client_secret"])
def test_a_secret_is_not_printed(name: str) -> None:
    """What the spec marks as secret is no part of how a configuration prints."""
    assert SPEC["properties"][name]["airbyte_secret"] is True
    assert FLAT[name] not in repr(Config.parse(FLAT))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-01", pendulum.datetime(2024, 1, 1)),
        ("2024-02-29T10:20:30", pendulum.datetime(2024, 2, 29, 10, 20, 30)),
        ("2024-02-29T10:20:30Z", pendulum.datetime(2024, 2, 29, 10, 20, 30)),
        ("2024-02-29T10:20:30.5Z", pendulum.datetime(2024, 2, 29, 10, 20, 30, 500_000)),
        ("2024-02-29T10:20:30+02:00", pendulum.datetime(2024, 2, 29, 8, 20, 30)),
    ],
)
def test_a_start_date_may_have_a_time(text: str, expected: pendulum.DateTime) -> None:
    """A date is midnight UTC, a time without an offset is UTC, and an offset is heeded."""
    assert Config.parse({**FLAT, "start_date": text}) == replace(PARSED, start_date=expected)


@pytest.mark.parametrize("name", CLOUDS)
def test_the_scope_follows_the_cloud(name: str) -> None:
    """Left out, or left at the default that Airbyte's form stores, the scope is the chosen cloud's."""
    raw = {**FLAT, "cloud": {"cloud_type": name}}
    expected = replace(PARSED, cloud=CLOUDS[name], scope=f"https://{CLOUDS[name].graph_host}/.default")

    assert Config.parse(raw) == expected
    assert Config.parse({**raw, "scope": SPEC["properties"]["scope"]["default"]}) == expected


def test_an_explicit_scope_stays() -> None:
    """A scope other than the form's default is asked for as it is, whatever the cloud."""
    scope = "https://dod-graph.microsoft.us/.default"

    parsed = Config.parse({**FLAT, "cloud": {"cloud_type": "us_government_l4"}, "scope": scope})

    assert parsed == replace(PARSED, cloud=CLOUDS["us_government_l4"], scope=scope)


def test_a_custom_cloud_has_the_hosts_it_is_given() -> None:
    """Any sovereign cloud can be read by its two hosts, and the scope follows them."""
    parsed = Config.parse(custom_cloud(login_host="login.example:8443", graph_host="graph.example"))

    cloud = Cloud(login_host="login.example:8443", graph_host="graph.example")
    assert parsed == replace(PARSED, cloud=cloud, scope="https://graph.example/.default")


def test_the_spec_offers_every_cloud() -> None:
    """The clouds of the code and those of the form are the same, in the same order, and one can be custom."""
    offered = [variant["properties"]["cloud_type"]["const"] for variant in SPEC["properties"]["cloud"]["oneOf"]]

    assert offered == [*CLOUDS, "custom"]


def test_the_clouds_are_microsofts() -> None:
    """The hosts are those of Microsoft's list of national clouds: https://learn.microsoft.com/graph/deployments"""
    hosts = {name: (cloud.login_host, cloud.graph_host) for name, cloud in CLOUDS.items()}

    assert hosts == {
        "global": ("login.microsoftonline.com", "graph.microsoft.com"),
        "us_government_l4": ("login.microsoftonline.us", "graph.microsoft.us"),
        "us_government_l5": ("login.microsoftonline.us", "dod-graph.microsoft.us"),
        "china": ("login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn"),
    }


@pytest.mark.parametrize(
    ("given", "duration"),
    [
        ("PT1H", timedelta(hours=1)),
        ("PT30M", timedelta(minutes=30)),
        ("P1D", timedelta(days=1)),
        ("P2W", timedelta(weeks=2)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("PT0S", timedelta()),
    ],
)
def test_the_look_back_is_a_duration(given: str, duration: timedelta) -> None:
    """ISO 8601, as far as it has a length; a plain timedelta comes of it."""
    lookback = Config.parse({**FLAT, "lookback_window": given}).lookback_window

    assert lookback == duration
    assert type(lookback) is timedelta


def test_users_are_compared_in_any_case() -> None:
    """Graph knows IDs and principal names in any case, and a form may hold them in any."""
    config = Config.parse({**FLAT, "include_users": ["Ann@Contoso.com"], "exclude_users": ["BOB@contoso.com "]})

    assert (config.include_users, config.exclude_users) == ({"ann@contoso.com"}, {"bob@contoso.com"})


@pytest.mark.parametrize("empty", [{"user_filter": ""}, {"include_users": []}, {"exclude_users": []}])
def test_an_empty_option_is_none(empty: Mapping[str, Any]) -> None:
    """A form may store what nobody filled in."""
    assert Config.parse({**FLAT, **empty}) == PARSED


def test_every_field_stands_in_a_section_of_the_form() -> None:
    """A field without a section would stand at the form's end, one without an order anywhere."""
    sections = {group["id"] for group in SPEC["groups"]}

    for name, field in SPEC["properties"].items():
        assert field["group"] in sections, name
        assert {"title", "description", "order"} <= set(field), name


def test_whatever_is_secret_is_marked() -> None:
    """Airbyte stores marked fields apart and never shows them again."""
    secret = {name for name, field in _fields(SPEC) if field.get("airbyte_secret")}

    assert secret == {"tenant_id", "client_secret", "certificate", "private_key", "password", "pfx"}


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield name, field
        for variant in field.get("oneOf", ()):
            yield from _fields(variant)
