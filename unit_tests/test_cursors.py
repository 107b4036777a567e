"""How far a stream has been read: what moves a cursor, what a state holds, which states are of no use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from source_microsoft_graph.sync.cursors import PerOwnerCursor, Rejected, SingleCursor, StreamCursor, digest

T1, T2, T3 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


def again(cursor: StreamCursor, fresh: StreamCursor) -> StreamCursor:
    """The cursor of the next sync: the state goes through JSON on the way."""
    fresh.resume(json.loads(json.dumps(cursor.state)))
    return fresh


def test_one_cursor_moves_from_position_to_position() -> None:
    """A stretch that was read out of turn counts once the one before it was read; nothing is passed over."""
    cursor = SingleCursor("asked")
    positions = []
    for done in ({T2: T3}, {}, {"": T1}, {T1: T2}):
        cursor.move(done)
        positions.append(cursor.since())

    assert positions == [None, None, T1, T3]
    assert again(cursor, SingleCursor("asked")).since() == T3


def test_a_cursor_of_one_position_can_stay() -> None:
    """Nothing new brings no new token."""
    cursor = SingleCursor("asked")
    cursor.move({"": "token"})
    cursor.move({"token": "token"})

    assert cursor.since() == "token"


def test_each_owner_has_a_position() -> None:
    """Those read in this sync have the new one, one that was not has the old one, one never read has none."""
    cursor = PerOwnerCursor("asked", None)
    cursor.move({("read twice",): T1, ("read once",): T1})
    cursor = again(cursor, PerOwnerCursor("asked", None))  # type: ignore[assignment]
    cursor.move({("read twice",): T2})
    cursor = again(cursor, PerOwnerCursor("asked", None))  # type: ignore[assignment]

    assert [cursor.since(owner) for owner in (("read twice",), ("read once",), ("never read",))] == [T2, T1, None]


def test_a_new_owner_starts_at_the_start_date() -> None:
    """And one that was read goes on from there."""
    cursor = PerOwnerCursor("asked", T1)
    cursor.move({("known",): T2})

    assert [cursor.since(owner) for owner in (("known",), ("new",))] == [T2, T1]


def test_owners_that_were_not_met_are_forgotten_at_the_end() -> None:
    """Only a whole read tells that somebody is there no longer."""
    cursor = PerOwnerCursor("asked", None)
    cursor.move({("there",): T1, ("gone",): T1})
    cursor = again(cursor, PerOwnerCursor("asked", None))  # type: ignore[assignment]
    cursor.since(("there",))
    assert len(cursor.state["since"][T1]) == 2 * 12

    cursor.close()

    assert cursor.state["since"] == {T1: digest("there")}


def test_a_state_is_small() -> None:
    """Twelve bytes an owner, and a position once: ten thousand owners take 120 kB, five streams of them 0.6 MB."""
    cursor = PerOwnerCursor("asked", None)
    cursor.move({f"{number:036}": T1 for number in range(10_000)})

    assert len(json.dumps(cursor.state)) < 120_200


@pytest.mark.parametrize(
    "cursor",
    [SingleCursor("asked"), SingleCursor("asked", of_time=True), PerOwnerCursor("asked", None)],
    ids=["one", "one moment", "each"],
)
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"version": 2, "asked": "asked", "since": T1}, "it has version 2 instead of 1"),
        ({"asked": "asked", "since": T1}, "it has version None instead of 1"),
        ({"version": 1, "asked": "else", "since": T1}, "other properties or other settings were in use then"),
        ({"version": 1, "asked": "asked"}, "it is malformed"),
        ({"version": 1, "asked": "asked", "since": None}, "it is malformed"),
        ({"version": 1, "asked": "asked", "since": [T1]}, "it is malformed"),
        ({"version": 1, "asked": "asked", "since": 5}, "it is malformed"),
    ],
)
def test_a_state_of_no_use_is_rejected(cursor: StreamCursor, state: dict[str, Any], reason: str) -> None:
    """With the reason, and the cursor stays at the start."""
    with pytest.raises(Rejected, match=reason):
        cursor.resume(state)

    assert cursor.since("owner") is None


@pytest.mark.parametrize(
    ("cursor", "since"),
    [
        (SingleCursor("asked", of_time=True), "yesterday"),
        (PerOwnerCursor("asked", None), {"yesterday": digest("owner")}),
        (SingleCursor("asked", of_time=True), "0001-01-01T00:00:00Z"),
        (PerOwnerCursor("asked", None), {"0001-01-01T00:00:00Z": digest("owner")}),
    ],
)
def test_a_position_that_is_no_moment_is_rejected(cursor: StreamCursor, since: Any) -> None:
    """Where positions are moments, what is none would fail the stream later."""
    with pytest.raises(Rejected, match="it is malformed"):
        cursor.resume({"version": 1, "asked": "asked", "since": since})

    assert cursor.since("owner") is None


def test_digests_tell_owners_apart() -> None:
    """A hundred thousand owners, a hundred thousand digests."""
    assert len({digest(f"19:{number}@thread.v2") for number in range(100_000)}) == 100_000
