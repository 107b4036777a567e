"""Channel messages come from an export: all channels of a team in one list."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.streams.teams import ChannelMessages
from source_microsoft_graph.sync.context import Sync
from unit_tests.graph_api import CONFIG, EVERY_PERMISSION, FakeGraph, an_error, errors, read, rows, statuses
from unit_tests.test_incremental import BEFORE, answer, kept, sync


def a_message(identifier: str, channel: str) -> Mapping[str, Any]:
    return {"id": identifier, "channelIdentity": {"teamId": "t", "channelId": channel}}


def export(team: str) -> str:
    return f"teams/{team}/channels/getAllMessages"


def keys(output: EntrypointOutput) -> list[tuple[str, ...]]:
    return sorted((row["team_id"], row["channel_id"], row["id"]) for row in rows(output, "channel_messages"))


def test_two_channels_may_have_messages_of_one_id(graph: FakeGraph) -> None:
    """An id is a time, unique in its channel alone; what Graph repeats is one row all the same."""
    graph.lists("groups", [{"id": "t"}])
    graph.lists(export("t"), [a_message("1", "a"), a_message("1", "b")], [a_message("1", "b"), a_message("2", "a")])

    output = read("channel_messages")

    assert keys(output) == [("t", "a", "1"), ("t", "a", "2"), ("t", "b", "1")]
    assert statuses(output, "channel_messages")[-1] == "COMPLETE"
    assert f"{export('t')}?$top=50" in graph.asked


def test_a_message_without_a_channel_is_kept(graph: FakeGraph) -> None:
    graph.lists("groups", [{"id": "t"}])
    graph.lists(export("t"), [{"id": "1", "channelIdentity": None}])

    assert keys(read("channel_messages")) == [("t", "", "1")]


def test_changes_lie_between_two_times(graph: FakeGraph) -> None:
    """Graph takes gt only with lt, so the end is a time that no clock has reached."""
    answer(graph, "groups", {"id": "t"})
    graph.lists(export("t"), [a_message("1", "a")])
    sync("channel_messages", state=kept(sync("channel_messages")))

    first, second = (url for url in graph.asked if "getAllMessages" in url)
    assert "$filter" not in first
    since, until = second.partition("$filter=")[2].partition("&")[0].split(" and ")
    assert since == f"lastModifiedDateTime gt {BEFORE.replace('55:00Z', '54:59.999Z')}"
    assert until.startswith("lastModifiedDateTime lt 20")
    assert until.split()[-1] > BEFORE


@pytest.fixture
def refused(graph: FakeGraph) -> Callable[[int, str, str], None]:
    """Four teams, for each of which Graph refuses the export."""

    def refuse(status: int, code: str, message: str = "No.") -> None:
        graph.grants(*EVERY_PERMISSION)
        graph.lists("groups", [{"id": f"t{number}"} for number in range(4)])
        for number in range(4):
            graph.answers(export(f"t{number}"), an_error(status, code, message))

    return refuse


@pytest.mark.parametrize(
    ("status", "code", "message", "words"),
    [
        (402, "PaymentRequired", "Payment is required.", "Microsoft asks for payment for this API."),
        (400, "BadRequest", "Resource not found for the segment 'getAllMessages'.", "This Microsoft cloud does not"),
    ],
)
def test_a_cloud_without_the_export_is_told(
    refused: Callable[[int, str, str], None], status: int, code: str, message: str, words: str
) -> None:
    """The first refusal ends the stream with its reason."""
    refused(status, code, message)

    output = read("channel_messages", fails=True)

    assert statuses(output, "channel_messages")[-1] == "INCOMPLETE"
    assert words in errors(output)["channel_messages"]


@pytest.mark.parametrize("status", [403, 404, 412])
def test_a_refusal_for_every_team_is_no_tenant_without_messages(
    refused: Callable[[int, str, str], None], status: int
) -> None:
    """Every team has channels, so that none can be read is the stream's failure, by a 404 too."""
    refused(status, "Whatever", "No.")
    stream = ChannelMessages(Sync(Config.parse(CONFIG), logging.getLogger("airbyte")))

    assert [record for each in stream.slices(None) for record in stream.records(each, None)] == []
    assert "none of 4 objects could be read" in str(stream.failure_of_all_owners())


def test_a_team_that_is_gone_is_skipped(graph: FakeGraph) -> None:
    """The messages of the others are read."""
    graph.grants(*EVERY_PERMISSION)
    graph.lists("groups", [{"id": f"t{number}"} for number in range(4)])
    graph.lists(export("t0"), [a_message("1", "a")])
    for number in range(1, 4):
        graph.answers(export(f"t{number}"), an_error(404, "NotFound", "No team found with Group Id."))

    output = read("channel_messages")

    assert keys(output) == [("t0", "a", "1")]
    assert statuses(output, "channel_messages")[-1] == "COMPLETE"
