"""Incremental reads at the wire: what is asked for, what moves the state, and when a state is emitted."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, cast
from urllib.parse import unquote

import pytest
import requests_mock
from airbyte_cdk.models import AirbyteStateBlob, AirbyteStateMessage, SyncMode, Type
from airbyte_cdk.test.catalog_builder import CatalogBuilder, ConfiguredAirbyteStreamBuilder
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput
from airbyte_cdk.test.entrypoint_wrapper import read as run_read
from airbyte_cdk.test.state_builder import StateBuilder

from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.streams.files import DriveItems
from source_microsoft_graph.sync.context import Sync
from source_microsoft_graph.sync.cursors import SliceProgress, StreamCursor
from unit_tests.graph_api import (
    CONFIG,
    GRAPH,
    Answer,
    FakeGraph,
    a_page,
    an_error,
    read,
    rows,
    statuses,
    told,
    warnings,
)

DATE = {"Date": "Tue, 10 Mar 2026 12:00:00 GMT"}
NOW, BEFORE = "2026-03-10T12:00:00Z", "2026-03-10T11:55:00Z"
LATER = "2026-03-10T12:00:00.001Z"
"""The time of what corrects a row of the same sync."""


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
    """An object that comes several times counts as it came last, over an empty page in the middle: what corrects a row
    that is out already has a later time."""
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

    assert rows(output) == [
        {"id": "a", "display_name": "A", "_ab_cdc_updated_at": NOW},
        {"id": "b", "display_name": "back", "_ab_cdc_updated_at": NOW},
        {"id": "a", "_ab_cdc_deleted_at": LATER, "_ab_cdc_updated_at": LATER},
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


# Rounds of changes that begin again.

BREAKS = {
    "410": an_error(410, "syncStateNotFound"),
    "an expired page token": an_error(400, "Directory_ExpiredPageToken"),
    "an invalid skip token": an_error(400, "BadRequest", "Invalid Skip Token"),
    "404": an_error(404, "ResourceNotFound"),
}
LATER_WORDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "deleted": ({"id": "a", "@removed": {"reason": "deleted"}}, {"id": "a", "_ab_cdc_deleted_at": LATER}),
    "newer": ({"id": "a", "displayName": "new"}, {"id": "a", "display_name": "new"}),
}


@pytest.mark.parametrize("breaks", BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize(("later", "row"), LATER_WORDS.values(), ids=LATER_WORDS)
def test_the_last_word_of_a_round_that_began_again_counts(
    graph: FakeGraph, breaks: Answer, later: dict[str, Any], row: dict[str, Any]
) -> None:
    """What the first pass said of an object is outdated when the second pass says something else."""
    answer(graph, "groups/delta?$deltatoken=latest", delta="1")
    graph.lists("groups", [])
    first = sync("groups")
    link = f"{GRAPH}groups/delta?$skiptoken=p"
    old = a_page({"id": "a", "displayName": "old"}, {"id": "b"}, link=link)
    new = a_page({"id": "b"}, later, link=link)
    graph.answers("groups/delta?$deltatoken=1", *[{**page, "headers": DATE} for page in (old, new)])
    done = {"value": [{"id": "c"}], "@odata.deltaLink": f"{GRAPH}groups/delta?$deltatoken=2"}
    graph.answers("groups/delta?$skiptoken=p", breaks, {"json": done, "headers": DATE})

    output = sync("groups", state=kept(first))

    time = {"_ab_cdc_updated_at": NOW}
    found = {each["id"]: each for each in rows(output)}
    assert found == {"a": {**row, "_ab_cdc_updated_at": LATER}, "b": {"id": "b", **time}, "c": {"id": "c", **time}}
    corrected = [each for each in rows(output) if each != found[each["id"]]]
    assert corrected == [{"id": "a", "display_name": "old", **time}], "what did not change is not doubled"
    assert since(output) == ["2"]


@pytest.mark.parametrize(
    "breaks",
    [[an_error(410, "resyncRequired")], [an_error(504, "GatewayTimeout")] * 3, [an_error(500, "generalException")] * 3],
    ids=["410", "504", "500"],
)
@pytest.mark.parametrize("later", [{"id": "a", "deleted": {}}, {"id": "a", "eTag": "2"}], ids=["deleted", "newer"])
@pytest.mark.parametrize("mode", ["overwrite", "overwrite and deduplicate", "incremental"])
def test_the_last_word_of_a_drive_that_began_again_counts(
    graph: FakeGraph, breaks: list[Answer], later: dict[str, Any], mode: str
) -> None:
    """A drive is read again in smaller pages too. What did not change is not doubled, and what did is one row more
    where the destination keeps the last one."""
    answer(graph, "users", {"id": "u"})
    path = "users/u/drive/root/delta"
    link = f"{GRAPH}{path}?$skiptoken=p"
    first, second = a_page({"id": "a", "eTag": "1"}, {"id": "b"}, link=link), a_page({"id": "b"}, later, link=link)
    graph.answers(path, {**first, "headers": DATE}, {**second, "headers": DATE})
    graph.answers(f"{path}?$skiptoken=p", *breaks, a_page({"id": "c"}))

    keeps_last = mode == "overwrite and deduplicate"
    output = sync("drive_items") if mode == "incremental" else read("drive_items", deduplicated=keeps_last)

    found = {row["id"]: row for row in rows(output)}
    corrected = [row for row in rows(output) if row != found[row["id"]]]
    assert found.keys() - {"a"} == {"b", "c"}
    if mode == "overwrite":
        assert corrected == []
        assert [row for row in rows(output) if row["id"] == "a"] == [
            {"id": "a", "user_id": "u", "e_tag": "2"} for _ in range("deleted" not in later)
        ]
    else:
        assert corrected == [{"id": "a", "user_id": "u", "e_tag": "1", "_ab_cdc_updated_at": NOW}]
        assert found["a"]["_ab_cdc_updated_at"] == LATER
        assert found["a"].get("_ab_cdc_deleted_at") == (LATER if "deleted" in later else None)
        assert found["a"].get("e_tag") == later.get("eTag")


@pytest.mark.parametrize("mode", ["overwrite", "overwrite and deduplicate", "incremental"])
def test_the_first_row_of_a_drive_needs_one_page(graph: FakeGraph, mode: str) -> None:
    """Where the last row of a key counts. Where each row stays in the table, the whole drive has to be known."""
    answer(graph, "users", {"id": "u"})
    path = "users/u/drive/root/delta"
    answer(graph, path, {"id": "a"}, link=f"{GRAPH}{path}?$skiptoken=p")
    answer(graph, f"{path}?$skiptoken=p", {"id": "b"})
    sync = Sync(Config.parse(CONFIG), logging.getLogger("airbyte"))
    stream = DriveItems(sync)
    progress = SliceProgress(cast(StreamCursor, stream.new_cursor())) if mode == "incremental" else None
    sync.deduplicated = frozenset({DriveItems} if mode == "overwrite and deduplicate" else ())

    with closing(cast(Generator[Any, None, None], stream.records({"user_id": ["u"]}, progress))) as records:
        assert next(records)["id"] == "a"
        assert len([asked for asked in graph.asked if "delta" in asked]) == (2 if mode == "overwrite" else 1)
    sync.close()


def test_permissions_are_asked_for_once_an_item_that_is_there(graph: FakeGraph) -> None:
    """Whatever becomes of the rows: an item that a drive shows in two versions is one parent, and one that was deleted
    meanwhile is none."""
    graph.holds_one_of_each()
    path = "drives/d/root/delta"
    answer(graph, path, {"id": "a", "shared": {}}, {"id": "b", "shared": {}}, link=f"{GRAPH}{path}?$skiptoken=p")
    answer(graph, f"{path}?$skiptoken=p", {"id": "a", "shared": {"scope": "users"}}, {"id": "b", "deleted": {}})
    graph.lists("drives/d/items/a/permissions", [{"id": "p"}])

    output = read("site_drive_items", "drive_item_permissions", deduplicated=True)

    assert [row["item_id"] for row in rows(output, "drive_item_permissions")] == ["a"]
    assert [path for path in graph.asked if path.endswith("/permissions")] == ["drives/d/items/a/permissions"]
    assert [(row["id"], "_ab_cdc_deleted_at" in row) for row in rows(output, "site_drive_items")] == [
        ("a", False),
        ("b", False),
        ("a", False),
        ("b", True),
    ]


def test_a_list_read_instead_of_changes_is_newer_than_they(graph: FakeGraph) -> None:
    """Of a round that Graph breaks off for good some rows are out: those of the list have to win."""
    answer(graph, "groups/delta?$deltatoken=latest", delta="1")
    graph.lists("groups", [])
    first = sync("groups")
    link = f"{GRAPH}groups/delta?$skiptoken=p"
    begins = {**a_page({"id": "a", "displayName": "old"}, link=link), "headers": DATE}
    graph.answers("groups/delta?$deltatoken=1", begins, an_error(410, "syncStateNotFound"))
    graph.answers("groups/delta?$skiptoken=p", an_error(410, "syncStateNotFound"))
    answer(graph, "groups", {"id": "a", "displayName": "new"})

    output = sync("groups", state=kept(first))

    assert rows(output) == [
        {"id": "a", "display_name": "old", "_ab_cdc_updated_at": NOW},
        {"id": "a", "display_name": "new", "_ab_cdc_updated_at": LATER},
    ]


# What a delta query does not take.


@pytest.mark.parametrize(
    "refusal",
    [
        an_error(400, "BadRequest", "Could not find a property named 'x' on type 'microsoft.graph.group'."),
        an_error(501, "NotImplemented"),
        an_error(404, "Request_ResourceNotFound"),
        an_error(403, "Authorization_RequestDenied"),
    ],
    ids=["400", "501", "404", "403"],
)
@pytest.mark.parametrize("refused", [1, 2])
@pytest.mark.parametrize("stream", ["groups", "users", "applications"])
def test_properties_that_only_the_list_takes_come_from_the_list(
    graph: FakeGraph, stream: str, refusal: Answer, refused: int
) -> None:
    """Rows with some columns would replace whole ones, so the delta query tells of deletions alone."""
    token = {"json": {"value": [], "@odata.deltaLink": f"{GRAPH}{stream}/delta?$deltatoken=D"}, "headers": DATE}
    graph.answers(f"{stream}/delta?$deltatoken=latest", *[refusal] * refused, token)
    answer(graph, stream, {"id": "a", "displayName": "A", "rare": 1})
    first = sync(stream)
    answer(
        graph, f"{stream}/delta?$deltatoken=D", {"id": "a", "displayName": "B"}, {"id": "b", "@removed": {}}, delta="E"
    )
    answer(graph, stream, {"id": "a", "displayName": "B", "rare": 1})

    second = sync(stream, state=kept(first))

    times = {"_ab_cdc_updated_at": NOW}
    assert rows(first) == [{"id": "a", "display_name": "A", "rare": 1, **times}]
    assert sorted(rows(second), key=lambda row: row["id"]) == [
        # A list is newer than the changes before it.
        {"id": "a", "display_name": "B", "rare": 1, "_ab_cdc_updated_at": LATER},
        {"id": "b", "_ab_cdc_deleted_at": NOW, **times},
    ]
    assert since(second) == ["deletions E"]
    assert "so each sync lists all objects" in "".join(warnings(first))
    assert "may stay empty" not in "".join(warnings(first))


# What moves no position.


@pytest.mark.parametrize("status", [403, 404, 423, 400])
@pytest.mark.parametrize("stream", ["mail_messages", "drive_items"])
def test_an_owner_whose_later_page_is_refused_does_not_move(graph: FakeGraph, stream: str, status: int) -> None:
    """The next sync reads it again from where this one began."""
    answer(graph, "users", {"id": "u1"}, {"id": "u2"})
    paths = {"mail_messages": "messages", "drive_items": "drive/root/delta"}
    graph.lists(f"users/u1/{paths[stream]}", [{"id": "1"}], [{"id": "2"}])
    graph.lists(f"users/u2/{paths[stream]}", [{"id": "3"}], [{"id": "4"}])
    graph.answers(f"users/u1/{paths[stream]}?$skiptoken=page-2", an_error(status, "ResourceNotFound"))

    output = sync(stream, fails=True)

    assert {row["id"] for row in rows(output)} == {"1", "3", "4"}
    assert statuses(output, stream)[-1] == "INCOMPLETE"
    assert len(since(output)[-1][BEFORE]) == 12, "one owner"


@pytest.mark.parametrize("levels", [300, 900])
@pytest.mark.parametrize("stream", ["mail_messages", "drive_items", "groups"])
def test_an_object_that_cannot_be_written_moves_no_position(graph: FakeGraph, stream: str, levels: int) -> None:
    """It comes again with the next sync, which may be able to write it."""
    deep: Any = "bottom"
    for _ in range(levels):
        deep = {"nested": deep}
    answer(graph, "users", {"id": "u1"})
    answer(graph, "groups/delta?$deltatoken=latest", delta="1")
    path = {"mail_messages": "users/u1/messages", "drive_items": "users/u1/drive/root/delta", "groups": "groups"}
    graph.answers(path[stream], {**a_page({"id": "1"}, {"id": "2", "x": deep}, {"id": "3"}), "headers": DATE})

    output = sync(stream, fails=True)

    assert [row["id"] for row in rows(output)] == ["1", "3"]
    assert "nested too deeply: 2" in told(output, stream)
    assert since(output)[-1] in ("", {})


def test_a_stream_whose_owners_were_all_refused_moves_no_position(graph: FakeGraph) -> None:
    """Nor does it forget those that it had read before."""
    answer(graph, "users", *({"id": f"u{number}"} for number in range(4)))
    for number in range(4):
        graph.lists(f"users/u{number}/messages", [{"id": f"m{number}"}])
    first = sync("mail_messages")
    for number in range(4):
        graph.answers(f"users/u{number}/messages", an_error(403, "ErrorAccessDenied"))

    output = sync("mail_messages", state=kept(first), fails=True)

    assert statuses(output, "mail_messages")[-1] == "INCOMPLETE"
    assert since(output)[-1] == since(first)[-1]


@pytest.mark.parametrize("stream", ["users", "service_principals"])
def test_an_empty_list_of_what_each_tenant_has_moves_no_token(graph: FakeGraph, stream: str) -> None:
    """The token would tell of changes in objects that nobody ever got."""
    path = {"users": "users", "service_principals": "servicePrincipals"}[stream]
    answer(graph, f"{path}/delta?$deltatoken=latest", delta="1")
    graph.lists(path, [])

    output = sync(stream, fails=True)

    assert statuses(output, stream)[-1] == "INCOMPLETE"
    assert since(output) == [""]


@pytest.mark.parametrize("start_date", ["2001-01-01T00:00:00Z", "2025-12-31T00:00:00Z", "2026-02-08T11:59:59Z"])
def test_a_start_before_the_log_begins_is_the_beginning(graph: FakeGraph, start_date: str) -> None:
    """Graph refuses a filter for a time before all that Entra keeps."""
    answer(graph, "auditLogs/directoryAudits", {"id": "1"})

    sync("audit_logs_directory", start_date=start_date)

    asked = [url.partition("$filter=")[2].partition("&")[0] for url in graph.asked if "$filter" in url]
    bounds = [
        clause.removeprefix("activityDateTime ge ")
        for url in asked
        for clause in url.split(" and ")
        if " ge " in clause
    ]
    assert asked
    assert all(bound >= "2026-02-08T12:00:00Z" for bound in bounds)
