"""Collections of the tenant's that are read by the time of their objects' last change, and Defender's windows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessage, SyncMode
from airbyte_cdk.test.catalog_builder import CatalogBuilder, ConfiguredAirbyteStreamBuilder
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput
from airbyte_cdk.test.entrypoint_wrapper import read as run_read

from simulated_tenant import additions
from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.streams.changed import ChangedStream
from source_microsoft_graph.streams.intune import ManagedDevices
from source_microsoft_graph.streams.page_requests import just_before
from source_microsoft_graph.streams.records import snake_case
from source_microsoft_graph.sync.context import as_text
from unit_tests.graph_api import CONFIG, FakeGraph, a_page, an_error, read, rows, statuses, warnings
from unit_tests.roll import every_stream, stream_named

GRAPH_TIME = {"Date": "Thu, 01 Oct 2026 12:00:00 GMT"}
CHANGED = [stream for stream in every_stream() if isinstance(stream, ChangedStream)]
every_changed = pytest.mark.parametrize("stream", CHANGED, ids=[stream.name for stream in CHANGED])


def incremental(
    name: str, state: list[AirbyteStateMessage] | None = None, *, fails: bool = False, **config: Any
) -> EntrypointOutput:
    stream = ConfiguredAirbyteStreamBuilder().with_name(name).with_sync_mode(SyncMode.incremental)
    catalog = CatalogBuilder().with_stream(stream).build()
    return run_read(SourceMicrosoftGraph(), {**CONFIG, **config}, catalog, state, expecting_exception=fails)


def state_of(output: EntrypointOutput) -> list[AirbyteStateMessage]:
    return [output.state_messages[-1].state]  # type: ignore[list-item]


def since(output: EntrypointOutput) -> str:
    (state,) = state_of(output)
    return str(vars(state.stream.stream_state)["since"])  # type: ignore[union-attr]


def a_listing(*objects: Mapping[str, Any]) -> dict[str, Any]:
    return {**a_page(*objects), "headers": GRAPH_TIME}


def asked_from(stream: ChangedStream, time: str) -> str:
    """The time from which on a stream is read that shows nothing later than others do from this time on."""
    return as_text(datetime.fromisoformat(time) - stream.shown_late)


def filter_from(stream: ChangedStream, time: str) -> str:
    """The value of the option that asks for what changed from this time on."""
    (option,) = stream.changed_since.values()
    return option.format(since=time, before=just_before(datetime.fromisoformat(time)))


@every_changed
def test_the_first_read_has_no_filter(graph: FakeGraph, stream: ChangedStream) -> None:
    """An object without a time would be in no filtered list; the position is five minutes before the start."""
    graph.answers(stream.path(), a_listing({"id": "1"}))

    output = incremental(stream.name)

    assert [row["id"] for row in rows(output)] == ["1"]
    assert not [url for url in graph.asked if "$filter" in url]
    assert since(output) == "2026-10-01T11:55:00Z"


@every_changed
def test_the_next_read_asks_for_what_changed(graph: FakeGraph, stream: ChangedStream) -> None:
    """From the position on, less the look-back and what Graph takes longer for, and the position moves."""
    graph.answers(stream.path(), a_listing({"id": "1"}))
    first = incremental(stream.name)

    incremental(stream.name, state_of(first), lookback_window="PT2H")

    (filtered,) = [url for url in graph.asked if "$filter" in url]
    assert f"$filter={filter_from(stream, asked_from(stream, '2026-10-01T09:55:00Z'))}" in filtered


def test_a_score_that_appears_late_is_not_missed(graph: FakeGraph) -> None:
    """A score may bear the first hour of a day and be there in its last: the scores of a week are read again."""
    graph.answers("security/secureScores", a_listing({"id": "1"}))
    first = incremental("secure_scores")

    incremental("secure_scores", state_of(first))
    incremental("secure_scores", start_date="2026-09-30")

    assert [url.partition("$filter=")[2].partition("&")[0] for url in graph.asked if "$filter" in url] == [
        "createdDateTime ge 2026-09-24T10:55:00Z",
        "createdDateTime ge 2026-09-30T00:00:00Z",
    ]


@every_changed
def test_a_refused_filter_is_a_full_read_said_once(graph: FakeGraph, stream: ChangedStream) -> None:
    """Microsoft documents hardly any of these filters."""
    graph.answers(stream.path(), a_listing({"id": "1"}, {"id": "2"}))
    first = incremental(stream.name)
    since_then = asked_from(stream, "2026-10-01T10:55:00Z")
    graph.answers(
        f"{stream.path()}?$filter={filter_from(stream, since_then)}&$top={stream.top()}",
        an_error(400, "BadRequest", "Invalid filter."),
    )

    second = incremental(stream.name, state_of(first))

    assert [row["id"] for row in rows(second)] == ["1", "2"]
    assert statuses(second, stream.name)[-1] == "COMPLETE"
    (told,) = [warning for warning in warnings(second) if "everything is read" in warning]
    assert told.startswith(f"{stream.name}: Graph does not tell what changed since {since_then}")
    assert since(second) == "2026-10-01T11:55:00Z"


@pytest.mark.parametrize("name", ["security_alerts", "security_incidents"])
def test_defender_is_read_in_windows_from_the_position_however_old(graph: FakeGraph, name: str) -> None:
    """Entra's thirty days are no bound here, and nothing is skipped by number."""
    stream = stream_named(name)
    graph.answers(stream.path(), a_listing({"id": "1"}))

    incremental(name, start_date="2020-01-01")

    windows = sorted(url for url in graph.asked if "$filter" in url)
    assert len(windows) == 5
    assert (
        "lastUpdateDateTime ge 2020-01-01T00:00:00Z and lastUpdateDateTime le 2026-09-01T11:59:59.9999999Z"
        in windows[0]
    )
    assert not [url for url in graph.asked if "$skip=" in url or "$orderby" in url]


@pytest.mark.parametrize(
    ("warning", "is_partial"),
    [
        ('199 - "Microsoft/WDATP/504/10000"', True),
        ('199 - "{Microsoft}/{MIP}/{503}/{2000}"', True),
        ('199 - "Microsoft/WDATP/200/350", 199 - "Microsoft/Sentinel/401/20"', True),
        ('199 - "Microsoft/WDATP/200/350"', False),
        ('299 - "The API is deprecated: see https://aka.ms/graph/500/1"', False),
        ("", False),
    ],
)
def test_a_service_that_failed_behind_the_page_makes_it_incomplete(
    graph: FakeGraph, warning: str, is_partial: bool
) -> None:
    graph.answers("security/incidents", {**a_page({"id": "1"}), "headers": {"Warning": warning}})

    output = read("security_incidents", fails=is_partial)

    assert statuses(output, "security_incidents")[-1] == ("INCOMPLETE" if is_partial else "COMPLETE")


def test_a_device_has_no_value_that_a_list_makes_up(graph: FakeGraph) -> None:
    graph.lists(
        "deviceManagement/managedDevices",
        [{"id": "1", "physicalMemoryInBytes": 0, "iccid": "", "udid": "", "notes": None, "azureADDeviceId": "d"}],
    )

    (row,) = rows(read("managed_devices"))

    assert row == {"id": "1", "azure_ad_device_id": "d"}
    assert set(map(snake_case, additions.NOT_LISTED["managedDevice"])) == set(ManagedDevices.defaulted)
    assert not set(ManagedDevices.defaulted) & stream_named("managed_devices").get_json_schema()["properties"].keys()
