"""Incremental reads at the wire: what is asked for, what moves the state, and when a state is emitted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import pytest
import requests_mock
from airbyte_cdk.models import AirbyteStateBlob, AirbyteStateMessage, SyncMode, Type
from airbyte_cdk.test.catalog_builder import CatalogBuilder, ConfiguredAirbyteStreamBuilder
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput
from airbyte_cdk.test.entrypoint_wrapper import read as run_read
from airbyte_cdk.test.state_builder import StateBuilder

from source_microsoft_graph import SourceMicrosoftGraph
from unit_tests.graph_api import CONFIG, GRAPH, FakeGraph, a_page, an_error, rows, statuses

DATE = {"Date": "Tue, 10 Mar 2026 12:00:00 GMT"}
NOW, BEFORE = "2026-03-10T12:00:00Z", "2026-03-10T11:55:00Z"


@pytest.fixture
def wire() -> Any:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def graph(wire: requests_mock.Mocker) -> FakeGraph:
    return FakeGraph(wire)


def sync(*names: str, state: list[AirbyteStateMessage] | None = None, fails: bool = False, **config: Any) -> Any:
    builder = CatalogBuilder()
    for name in names:
        builder = builder.with_stream(
            ConfiguredAirbyteStreamBuilder().with_name(name).with_sync_mode(SyncMode.incremental)
        )
    return run_read(SourceMicrosoftGraph(), {**CONFIG, **config}, builder.build(), state, expecting_exception=fails)


def since(output: EntrypointOutput) -> list[Any]:
    """The position in each state, in order."""
    return [vars(message.state.stream.stream_state)["since"] for message in output.state_messages]  # type: ignore[union-attr]


def kept(output: EntrypointOutput, **changes: Any) -> list[AirbyteStateMessage]:
    """The last state of the one stream read, for the next sync."""
    state = output.state_messages[-1].state.stream  # type: ignore[union-attr]
    blob = AirbyteStateBlob({**vars(state.stream_state), **changes})  # type: ignore[union-attr]
    builder = StateBuilder().with_stream_state(state.stream_descriptor.name, blob)  # type: ignore[union-attr]
    return list(builder.build())


def answer(graph: FakeGraph, path: str, *entities: Mapping[str, Any], delta: str = "", link: str | None = None) -> None:
    body = {"value": list(entities)}
    if delta:
        body["@odata.deltaLink"] = f"{GRAPH}{path.partition('?')[0]}?$deltatoken={delta}"  # type: ignore[assignment]
    if link:
        body["@odata.nextLink"] = link  # type: ignore[assignment]
    graph.answers(path, {"json": body, "headers": DATE})


# Deltas.


def test_a_delta_token_is_taken_before_the_first_listing(graph: FakeGraph) -> None:
    """What changes while the directory is listed comes with the next sync."""
    answer(graph, "groups/delta?$deltatoken=latest", delta="A%2B1")
    graph.lists("groups", [{"id": "1"}], [], [{"id": "2"}])

    output = sync("groups")

    assert [path.partition("?")[0] for path in graph.asked] == ["groups/delta", "groups", "groups", "groups"]
    assert rows(output) == [{"id": each, "_ab_cdc_updated_at": NOW} for each in ("1", "2")]
    assert since(output) == ["A+1"]


def test_changes_are_rows_and_tombstones_in_their_last_version(graph: FakeGraph) -> None:
    """An object that comes several times counts as it came last, over an empty page in the middle."""
    answer(graph, "groups/delta?$deltatoken=latest", delta="1")
    graph.lists("groups", [])
    first = sync("groups")
    link = f"{GRAPH}groups/delta?$skiptoken=p"
    answer(graph, "groups/delta?$deltatoken=1", {"id": "a", "displayName": "A"}, {"id": "b", "@removed": {}}, link=link)
    answer(graph, "groups/delta?$skiptoken=p", link=f"{GRAPH}groups/delta?$skiptoken=q")
    answer(
        graph,
        "groups/delta?$skiptoken=q",
        {"id": "b", "displayName": "back"},
        {"id": "a", "@removed": {"reason": "changed"}},
        delta="2",
    )

    output = sync("groups", state=kept(first))

    times = {"_ab_cdc_updated_at": NOW}
    assert rows(output) == [
        {"id": "b", "display_name": "back", **times},
        {"id": "a", "_ab_cdc_deleted_at": NOW, **times},
    ]
    assert since(output) == ["2"]


def test_no_deletion_comes_from_half_a_round(graph: FakeGraph) -> None:
    """What failed to be read may have brought the object back; the token stays, so that the next sync tells."""
    answer(graph, "groups/delta?$deltatoken=latest", delta="1")
    graph.lists("groups", [])
    first = sync("groups")
    answer(
        graph,
        "groups/delta?$deltatoken=1",
        {"id": "a", "@removed": {}},
        {"id": "b"},
        link=f"{GRAPH}groups/delta?$skiptoken=p",
    )
    graph.answers("groups/delta?$skiptoken=p", an_error(500, "InternalServerError"))

    output = sync("groups", state=kept(first), fails=True)

    assert [row["id"] for row in rows(output)] == ["b"]
    assert since(output) == ["1"]
    assert statuses(output, "groups")[-1] == "INCOMPLETE"


def test_a_listing_that_failed_moves_no_token(graph: FakeGraph) -> None:
    """The token is for what comes after a whole listing."""
    answer(graph, "groups/delta?$deltatoken=latest", delta="1")
    answer(graph, "groups", {"id": "1"}, link=f"{GRAPH}groups?$skiptoken=p")
    graph.answers("groups?$skiptoken=p", an_error(500, "InternalServerError"))

    assert since(sync("groups", fails=True)) == [""]


# Owners.


def test_owners_are_asked_for_what_is_new(graph: FakeGraph) -> None:
    """From five minutes before the last sync began, by Graph's own clock."""
    answer(graph, "users", {"id": "u1"}, {"id": "u2"})
    for user in ("u1", "u2"):
        graph.lists(f"users/{user}/messages", [{"id": f"m-{user}"}])
    first = sync("mail_messages")
    output = sync("mail_messages", state=kept(first))

    assert list(since(first)[-1]) == [BEFORE]
    assert len(since(first)[-1][BEFORE]) == 24
    asked = [path for path in graph.asked if "messages" in path]
    assert ["$filter" in path for path in asked] == [False, False, True, True]
    assert f"$filter=lastModifiedDateTime ge {BEFORE}" in asked[-1]
    assert "_ab_cdc_updated_at" not in rows(output)[0]


def test_chats_are_asked_in_the_order_that_makes_the_filter_count(graph: FakeGraph) -> None:
    """Without it Graph ignores the filter; and it takes gt, so the moment before is asked for."""
    answer(graph, "users", {"id": "u"})
    graph.lists("users/u/chats", [{"id": "c"}])
    graph.lists("chats/c/messages", [{"id": "1"}])
    sync("chat_messages", state=kept(sync("chat_messages")))

    assert "$filter=lastModifiedDateTime gt 2026-03-10T11:54:59.999Z" in graph.asked[-1]
    assert "$orderby=lastModifiedDateTime desc" in graph.asked[-1]


def test_folders_are_not_filtered(graph: FakeGraph) -> None:
    """New contacts do not change their folder, so every folder is looked into."""
    answer(graph, "users", {"id": "u"})
    graph.lists("users/u/contacts", [])
    graph.lists("users/u/contactFolders", [{"id": "f"}])
    graph.lists("users/u/contactFolders/f/contacts", [{"id": "c"}])
    graph.lists("users/u/contactFolders/f/childFolders", [])
    first = sync("contacts")
    number = len(graph.asked)
    sync("contacts", state=kept(first))

    filtered = {path.partition("?")[0]: "$filter" in path for path in graph.asked[number:]}
    assert filtered == {
        "users": False,
        "users/u/contacts": True,
        "users/u/contactFolders": False,
        "users/u/contactFolders/f/contacts": True,
        "users/u/contactFolders/f/childFolders": False,
    }


@pytest.mark.parametrize(
    "trouble",
    [an_error(500, "InternalServerError"), an_error(404, "MailboxNotEnabledForRESTAPI"), an_error(405, "Whatever")],
    ids=["failed", "skipped", "refused"],
)
def test_only_owners_read_to_the_end_move(graph: FakeGraph, trouble: Mapping[str, Any]) -> None:
    """One with any listing in trouble stays where it was, which is nowhere; the other one moves."""
    answer(graph, "users", {"id": "fine"}, {"id": "bad"})
    for user in ("fine", "bad"):
        graph.lists(f"users/{user}/contacts", [{"id": f"c-{user}"}])
        graph.lists(f"users/{user}/contactFolders", [])
    graph.answers("users/bad/contactFolders", trouble)

    output = sync("contacts", fails=trouble["status_code"] != 404)

    assert [len(owners) for owners in since(output)[-1].values()] == [12]


def test_a_drives_deletions_need_the_whole_drive(graph: FakeGraph) -> None:
    """Items found are rows, deleted ones are tombstones once their drive was read to the end."""
    answer(graph, "users", {"id": "fine"}, {"id": "bad"})
    for user in ("fine", "bad"):
        answer(graph, f"users/{user}/drive/root/delta", {"id": "1"}, {"id": "2"}, delta="x")
    first = sync("drive_items")
    for user in ("fine", "bad"):
        link = f"{GRAPH}users/{user}/drive/root/delta?token=p"
        answer(graph, f"users/{user}/drive/root/delta?token={BEFORE}", {"id": "2", "deleted": {}}, link=link)
    answer(graph, "users/fine/drive/root/delta?token=p", {"id": "3"}, delta="y")
    graph.answers("users/bad/drive/root/delta?token=p", an_error(405, "Whatever"))

    output = sync("drive_items", state=kept(first), fails=True)

    assert sorted((row["user_id"], row["id"], "_ab_cdc_deleted_at" in row) for row in rows(output)) == [
        ("fine", "2", True),
        ("fine", "3", False),
    ]


# Logs.


def windows(graph: FakeGraph) -> list[str]:
    return [unquote(path.partition("$filter=")[2].partition("&")[0]) for path in graph.asked if "$filter" in path]


def test_a_first_read_of_a_log_goes_by_windows(graph: FakeGraph) -> None:
    """The older the longer, each up to a tick before the next begins; five, for Graph allows five at once."""
    graph.answers("auditLogs/signIns", {**a_page(), "headers": DATE})

    output = sync("audit_logs_signins")

    asked = sorted(windows(graph))
    assert len(asked) == 5
    assert "createdDateTime le 2026-02-08T11:59:59.9999999Z" in asked
    assert "createdDateTime ge 2026-02-08T12:00:00Z and createdDateTime le 2026-02-24T11:59:59.9999999Z" in asked
    assert asked[-2].endswith("le 2026-03-10T11:59:59.9999999Z")
    assert since(output)[-1] == NOW


def test_the_next_read_of_a_log_looks_back(graph: FakeGraph) -> None:
    """As far as the configuration says, and from there to now."""
    graph.answers("auditLogs/signIns", {**a_page(), "headers": DATE})
    first = sync("audit_logs_signins", lookback_window="PT2H")
    number = len(windows(graph))
    graph.answers("auditLogs/signIns", {**a_page(), "headers": {"Date": "Wed, 11 Mar 2026 12:00:00 GMT"}})

    second = sync("audit_logs_signins", state=kept(first), lookback_window="PT2H")

    assert windows(graph)[number:] == [
        "createdDateTime ge 2026-03-10T10:00:00Z and createdDateTime le 2026-03-11T11:59:59.9999999Z"
    ]
    assert since(second)[-1] == "2026-03-11T12:00:00Z"


def test_a_log_starts_at_the_start_date(graph: FakeGraph) -> None:
    """Nothing before it is asked for in a first incremental read."""
    graph.answers("auditLogs/signIns", {**a_page(), "headers": DATE})

    sync("audit_logs_signins", start_date="2026-03-09")

    assert windows(graph) == [
        "createdDateTime ge 2026-03-09T00:00:00Z and createdDateTime le 2026-03-10T11:59:59.9999999Z"
    ]


def test_a_window_that_failed_holds_the_position_back(graph: FakeGraph, wire: requests_mock.Mocker) -> None:
    """Later windows were read; still the next sync begins at the one that was not."""

    def respond(request: Any, context: Any) -> Any:
        context.headers["Date"] = DATE["Date"]
        if "ge 2026-02-24T12" in unquote(request.url):
            context.status_code = 405
            return {"error": {"code": "Whatever", "message": "No."}}
        return {"value": []}

    wire.get(f"{GRAPH}auditLogs/signIns", json=respond)

    output = sync("audit_logs_signins", fails=True)

    assert since(output)[-1] in ("", "2026-02-08T12:00:00Z", "2026-02-24T12:00:00Z")


# States.


def test_states_are_emitted_as_they_are_worth_it(graph: FakeGraph) -> None:
    """One for about 25 times its bytes of records and one at the end, each after the records it covers."""
    users = [{"id": f"u{number}"} for number in range(400)]
    answer(graph, "users", *users)
    for user in users:
        graph.lists(f"users/{user['id']}/messages", [{"id": f"m-{user['id']}", "body": {"content": "x" * 2000}}])

    output = sync("mail_messages")

    size = sum(len(json.dumps(row)) for row in rows(output))
    states = [len(json.dumps(position)) + 60 for position in since(output)]
    assert len(states) > 2
    assert sum(states) < 0.05 * size + states[-1]
    covered = 0
    for message in output._messages:
        if message.type == Type.RECORD:
            covered += 1
        elif message.type == Type.STATE:
            owners = sum(map(len, vars(message.state.stream.stream_state)["since"].values())) / 12
            assert owners <= covered
    assert owners == covered == 400
