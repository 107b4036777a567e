"""Chat messages by the export of each user's chats, at the wire: what is requested, and what a refusal comes to."""

from __future__ import annotations

from typing import Any

import pytest
import requests_mock

from source_microsoft_graph.errors import OutOfResources
from source_microsoft_graph.sync.seen_keys import SeenKeys
from unit_tests.graph_api import CONFIG, FakeGraph, an_error, read, rows, statuses, warnings
from unit_tests.test_incremental import DATE, answer, kept, since, sync

BY_EXPORT = {"chat_messages_by": "user_export"}
RANGE = "$filter=lastModifiedDateTime gt {} and lastModifiedDateTime lt {}&$top=50"
EVERYTHING = RANGE.format("1970-01-01T00:00:00.000Z", "2026-03-17T12:00:00Z").replace(".000", "")


@pytest.fixture
def graph() -> Any:
    with requests_mock.Mocker() as wire:
        graph = FakeGraph(wire)
        answer(graph, "users", {"id": "a"}, {"id": "b"})
        yield graph


def export(graph: FakeGraph, user: str, *messages: tuple[str, str]) -> None:
    entities = [{"id": identifier, "chatId": chat} for chat, identifier in messages]
    answer(graph, f"users/{user}/chats/getAllMessages", *entities)


def keys(output: Any) -> list[tuple[str, str]]:
    return sorted((row["chat_id"], row["id"]) for row in rows(output))


def exported(graph: FakeGraph) -> list[str]:
    """The options of each request for an export."""
    return [path.partition("?")[2] for path in graph.asked if "getAllMessages" in path]


def test_the_whole_history_is_a_range_too(graph: FakeGraph) -> None:
    """From before the first message there can be, to after what changes while it is read; one request a user."""
    export(graph, "a", ("x", "1"))
    export(graph, "b")

    output = read("chat_messages", config={**CONFIG, **BY_EXPORT})

    assert exported(graph) == [EVERYTHING, EVERYTHING]
    assert not [path for path in graph.asked if path.startswith("chats/") or path.endswith("/chats")]
    assert rows(output) == [{"id": "1", "chat_id": "x"}]


def test_a_message_in_two_exports_is_one_row(graph: FakeGraph) -> None:
    """It comes once for each participant; messages of two chats may have the same id."""
    export(graph, "a", ("x", "1"), ("y", "1"))
    export(graph, "b", ("x", "1"), ("x", "2"))

    assert keys(read("chat_messages", config={**CONFIG, **BY_EXPORT})) == [("x", "1"), ("x", "2"), ("y", "1")]


def test_an_incremental_sync_looks_back(graph: FakeGraph) -> None:
    """Both ends of the range are outside of it; what is shown late is read again."""
    export(graph, "a", ("x", "1"))
    export(graph, "b")
    first = sync("chat_messages", **BY_EXPORT, lookback_window="PT1H")
    asked = len(exported(graph))

    second = sync("chat_messages", state=kept(first), **BY_EXPORT, lookback_window="PT1H")

    # The first sync's position is five minutes before its start.
    assert exported(graph)[asked:] == [RANGE.format("2026-03-10T10:54:59.999Z", "2026-03-17T12:00:00Z")] * 2
    assert keys(second) == [("x", "1")]
    assert list(since(second)[-1]) == ["2026-03-10T11:55:00Z"]


def test_the_start_date_bounds_a_new_users_export(graph: FakeGraph) -> None:
    """As it bounds the first read of a chat, and without a look-back."""
    export(graph, "a")
    export(graph, "b")

    sync("chat_messages", **BY_EXPORT, start_date="2026-01-01")

    assert exported(graph) == [RANGE.format("2025-12-31T23:59:59.999Z", "2026-03-17T12:00:00Z")] * 2


def test_a_chat_that_is_new_to_the_state_is_read_whole(graph: FakeGraph) -> None:
    """What was said in it before is in no export: a user may have been added to it."""
    export(graph, "a", ("x", "1"))
    export(graph, "b")
    first = sync("chat_messages", **BY_EXPORT)
    export(graph, "a", ("x", "2"), ("y", "9"))
    answer(graph, "chats/y/messages", {"id": "8"}, {"id": "9"})

    second = sync("chat_messages", state=kept(first), **BY_EXPORT)
    third = sync("chat_messages", state=kept(second), **BY_EXPORT)

    assert keys(second) == [("x", "2"), ("y", "8"), ("y", "9")]
    assert [path for path in graph.asked if path.startswith("chats/")] == ["chats/y/messages?$top=50"]
    assert keys(third) == [("x", "2"), ("y", "9")]


def test_users_stay_where_they_are_if_a_new_chat_cannot_be_read(graph: FakeGraph) -> None:
    """The next sync meets the chat again."""
    export(graph, "a", ("x", "1"))
    export(graph, "b")
    first = sync("chat_messages", **BY_EXPORT)
    export(graph, "a", ("y", "9"))
    graph.answers("chats/y/messages", an_error(405, "MethodNotAllowed"))

    second = sync("chat_messages", state=kept(first), fails=True, **BY_EXPORT)
    answer(graph, "chats/y/messages", {"id": "8"}, {"id": "9"})
    third = sync("chat_messages", state=kept(second), **BY_EXPORT)

    assert statuses(second, "chat_messages")[-1] == "INCOMPLETE"
    assert keys(second) == [("y", "9")]
    assert keys(third) == [("y", "8"), ("y", "9")]


@pytest.mark.parametrize(
    ("refusal", "asks_others"),
    [
        (an_error(402, "PaymentRequired"), False),
        (an_error(400, "BadRequest", "Resource not found for the segment 'getAllMessages'."), False),
        (an_error(400, "BadRequest", "No such range."), True),
        (an_error(403, "Forbidden"), True),
        (an_error(404, "NotFound"), True),
    ],
    ids=["unpaid", "not in this cloud", "bad request", "forbidden", "not found"],
)
def test_what_is_refused_is_read_chat_by_chat(graph: FakeGraph, refusal: Any, asks_others: bool) -> None:
    """Each chat once, said once; where the refusal is no user's alone, the next slice asks for no export."""
    users = [str(number) for number in range(21)]
    answer(graph, "users", *({"id": user} for user in users))
    for user in users:
        graph.answers(f"users/{user}/chats/getAllMessages", refusal)
        answer(graph, f"users/{user}/chats", {"id": "x"})
    answer(graph, "chats/x/messages", {"id": "1"}, {"id": "2"})

    output = sync("chat_messages", num_workers=2, **BY_EXPORT)

    assert keys(output) == [("x", "1"), ("x", "2")]
    assert statuses(output, "chat_messages")[-1] == "COMPLETE"
    assert len([line for line in warnings(output) if "refuses the export of a user's chats" in line]) == 1
    assert len([path for path in graph.asked if path.startswith("chats/x/messages")]) == 1
    assert len(exported(graph)) in ((21,) if asks_others else (20, 21))


def test_a_user_without_teams_is_skipped_by_name(graph: FakeGraph) -> None:
    """There are no chats to read one by one, and no export is missed."""
    message = "Failed to get license information for the user."
    graph.answers("users/a/chats/getAllMessages", an_error(403, "Forbidden", message))
    export(graph, "b", ("x", "2"))

    output = sync("chat_messages", **BY_EXPORT)

    assert keys(output) == [("x", "2")]
    assert any("Teams licence" in line and "user a" in line for line in warnings(output))
    assert not any("refuses the export" in line for line in warnings(output))
    assert not [path for path in graph.asked if path.startswith("users/a/chats?")]


def test_a_message_without_its_chat_fails_its_user_alone(graph: FakeGraph) -> None:
    """A row without its key would be lost among others."""
    graph.answers("users/a/chats/getAllMessages", {"json": {"value": [{"id": "1"}]}, "headers": DATE})
    export(graph, "b", ("x", "2"))

    output = sync("chat_messages", fails=True, **BY_EXPORT)

    assert keys(output) == [("x", "2")]
    assert statuses(output, "chat_messages")[-1] == "INCOMPLETE"


def test_the_state_of_one_way_is_none_of_the_other(graph: FakeGraph) -> None:
    """It is said, and everything is read."""
    export(graph, "a", ("x", "1"))
    export(graph, "b")
    first = sync("chat_messages", **BY_EXPORT)
    answer(graph, "users/a/chats", {"id": "x"})
    answer(graph, "users/b/chats")
    answer(graph, "chats/x/messages", {"id": "1"})

    second = sync("chat_messages", state=kept(first))

    assert keys(second) == [("x", "1")]
    assert any("state is of no use" in line for line in warnings(second))


def test_seen_keys_are_told_apart() -> None:
    """Each is new once."""
    seen = SeenKeys()

    assert all(seen.add(str(number)) for number in range(10_000))
    assert not any(seen.add(str(number)) for number in range(10_000))
    assert seen.add("10000")


def test_no_room_for_keys_ends_the_slice_with_a_remedy() -> None:
    """Where the file cannot grow, it is said what to do."""
    seen = SeenKeys()
    seen._database.execute("PRAGMA max_page_count = 2")

    with pytest.raises(OutOfResources, match="SQLITE_TMPDIR"):
        all(seen.add(str(number)) for number in range(10_000))
