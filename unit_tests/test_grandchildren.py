"""A stream below a child stream has both ids of each owner in its path, slices, rows, state and check."""

from __future__ import annotations

import pytest
from airbyte_cdk.models import SyncMode
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput, discover

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams import teams as streams_of_teams
from source_microsoft_graph.sync.cursors import digest
from unit_tests.graph_api import (
    CONFIG,
    EVERY_PERMISSION,
    FakeGraph,
    an_error,
    errors,
    read,
    rows,
    statuses,
    warnings,
)
from unit_tests.references import Reference, references
from unit_tests.roll import every_stream, stream_named
from unit_tests.test_incremental import kept, since, sync
from unit_tests.test_source import check


class ChannelMember(streams_of_teams.ChannelMember):
    """One row per channel and member: https://learn.microsoft.com/graph/api/channel-list-members"""

    # The CDK finds a schema by the module of the class.
    __module__ = streams_of_teams.__name__
    # Graph has no such filter for members; any stream with a time could stand here.
    cursor_field = "visible_history_start_date_time"
    changed_since = {"$filter": "visibleHistoryStartDateTime ge {since}"}


ROLL = tuple(ChannelMember if kind is streams_of_teams.ChannelMember else kind for kind in STREAMS)

OWNERS = [("t1", "a"), ("t1", "b"), ("t2", "a"), ("t2", "c")]
"""Channels by team and id. One id stands in two teams."""


@pytest.fixture(autouse=True)
def roll(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("source_microsoft_graph.source", "unit_tests.roll"):
        monkeypatch.setattr(f"{module}.STREAMS", ROLL)


@pytest.fixture
def teams(graph: FakeGraph) -> FakeGraph:
    graph.grants(*EVERY_PERMISSION, *ChannelMember.permissions)
    graph.lists("groups", [{"id": "t1"}], [{"id": "t2"}])
    for team in ("t1", "t2"):
        graph.lists(f"teams/{team}/channels", [{"id": channel} for owner, channel in OWNERS if owner == team])
    for team, channel in OWNERS:
        graph.lists(members(team, channel), [{"id": "m"}], [], [{"id": f"{team}-{channel}"}])
    return graph


def members(team: str, channel: str) -> str:
    return f"teams/{team}/channels/{channel}/members"


def keys(output: EntrypointOutput, stream: str = "channel_member") -> list[tuple[str, ...]]:
    return sorted((row["team_id"], row["channel_id"], row["id"]) for row in rows(output, stream))


EVERY_KEY = sorted((*owner, member) for owner in OWNERS for member in ("m", "-".join(owner)))


def test_discover_shows_the_whole_key() -> None:
    """The object's own id, then the ids of its owners from the outermost on, each in a column."""
    catalog = discover(SourceMicrosoftGraph(), CONFIG).catalog.catalog
    stream = next(stream for stream in catalog.streams if stream.name == "channel_member")

    assert stream.source_defined_primary_key == [["id"], ["team_id"], ["channel_id"]]
    assert list(stream.json_schema["properties"])[:3] == ["id", "team_id", "channel_id"]
    assert SyncMode.incremental in stream.supported_sync_modes


def test_owners_are_read_in_batches(teams: FakeGraph) -> None:
    """Every channel of every team is listed once, over all pages, and its rows carry both ids."""
    output = read("channel_member")

    assert keys(output) == EVERY_KEY
    assert statuses(output, "channel_member")[-1] == "COMPLETE"
    listings = sorted(url.partition("?")[0] for url in teams.asked if url.endswith("members?$top=999"))
    assert listings == [members(*owner) for owner in OWNERS]
    assert sorted(map(members_of, teams.batches), key=len)[-1] == listings


def members_of(batch: list[str]) -> list[str]:
    return sorted(url.partition("?")[0] for url in batch if "/members" in url and "token" not in url)


def test_parents_are_listed_once(teams: FakeGraph) -> None:
    """Teams and channels are listed by their ids for all that is below them, beside channels read in full."""
    output = read("channels", "channel_member")

    assert keys(output) == EVERY_KEY
    assert sorted((row["team_id"], row["id"]) for row in rows(output, "channels")) == OWNERS
    assert sum(url.startswith("groups?") and "skiptoken" not in url for url in teams.asked) == 1


def test_slices_hold_the_ids_of_owners(teams: FakeGraph) -> None:
    """One list for each placeholder, in the order of the path."""
    (stream_slice,) = stream_named("channel_member").slices(None)

    assert stream_slice == {"team_id": ["t1", "t1", "t2", "t2"], "channel_id": ["a", "b", "a", "c"]}
    assert list(stream_slice) == ["team_id", "channel_id"]


def test_an_owner_is_skipped_by_both_ids(teams: FakeGraph) -> None:
    """The channel that is refused is named with its team; the one of the same id in another team is read."""
    teams.answers(members("t1", "a"), an_error(404, "NotFound", "No channel."))

    output = read("channel_member")

    assert keys(output) == [key for key in EVERY_KEY if key[:2] != ("t1", "a")]
    assert [warning.split(". ")[0] for warning in warnings(output)] == [
        "channel_member: skipped team t1, channel a",
        "channel_member: 1 skipped in all",
    ]


def test_channels_that_cannot_be_listed_fail_the_stream(teams: FakeGraph) -> None:
    """The members of the other team's channels are read, and the stream does not pass for whole."""
    teams.answers("teams/t2/channels", an_error(500, "InternalServerError"))

    output = read("channel_member", fails=True)

    assert keys(output) == [key for key in EVERY_KEY if key[0] == "t1"]
    assert statuses(output, "channel_member")[-1] == "INCOMPLETE"
    assert "team t2" in errors(output)["channel_member"]


def test_each_owner_has_a_position(teams: FakeGraph) -> None:
    """Owners are told apart by both ids; one that failed keeps its position, and the others are asked for news."""
    teams.answers(members("t1", "a"), an_error(405, "Whatever"))
    first = sync("channel_member", fails=True)

    (position, owners), *others = since(first)[-1].items()
    assert not others
    assert sorted(owners[start : start + 12] for start in range(0, len(owners), 12)) == sorted(
        digest(*owner) for owner in OWNERS if owner != ("t1", "a")
    )

    number = len(teams.asked)
    teams.lists(members("t1", "a"), [{"id": "m"}])
    second = sync("channel_member", state=kept(first))
    listed = [url for url in teams.asked[number:] if "/members" in url and "skiptoken" not in url]
    assert {url.partition("?")[0]: f"$filter=visibleHistoryStartDateTime ge {position}" in url for url in listed} == {
        members(*owner): owner != ("t1", "a") for owner in OWNERS
    }
    assert sum(map(len, since(second)[-1].values())) == 12 * len(OWNERS)


def test_check_asks_below_the_first_channel(teams: FakeGraph) -> None:
    """The first channel that is found gives both ids of the request."""
    teams.holds_one_of_each()
    path = "teams/g/channels/t/members"

    status, message = check()

    assert path in [url.partition("?")[0] for url in teams.asked]
    assert str(message) == f"All {len(STREAMS)} streams can be read."
    assert status.value == "SUCCEEDED"


def test_check_names_the_permissions_of_all_parents(graph: FakeGraph) -> None:
    """Teams need one to be listed and channels another, and so does what is below them."""
    graph.grants("User.Read.All")
    graph.holds_one_of_each()

    _, message = check()

    assert "channel_member: ChannelMember.Read.All, Group.Read.All (at least " in str(message)


def test_each_column_refers_to_its_ancestor() -> None:
    """The team's id to the team, the channel's id to the channel, and the channel's own column to the team."""
    found = [reference for reference in references(every_stream()) if reference.stream == "channel_member"]

    assert found == [
        Reference("channel_member", "team_id", "teams"),
        Reference("channel_member", "channel_id", "channels"),
        Reference("channel_member", "user_id", "users", always=False),
    ]
    assert Reference("channels", "team_id", "teams") in references(every_stream())
