"""What a sync keeps of each owner and object: all of it, in few bytes."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from source_microsoft_graph.errors import Help
from source_microsoft_graph.sync.cursors import PerOwnerCursor
from source_microsoft_graph.sync.digests import DigestMap, digest_of
from source_microsoft_graph.sync.ids import OwnerList, SeenIds
from source_microsoft_graph.sync.skips import Skipped

OWNERS = 20_000
T1, T2 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def identifier(number: int) -> str:
    """As long as that of a user."""
    return f"8f6b3a52-0d0f-4a53-9f0f-{number:012x}"


def test_a_digest_has_the_number_that_it_was_given_last() -> None:
    """Whatever others there are, and in whatever order they came."""
    digests, expected = DigestMap(), {}
    numbers = random.Random(1)
    for _ in range(20_000):
        digest, number = digest_of(numbers.randrange(8_000)), numbers.randrange(2**24)
        assert digests.put(digest, number) == (digest not in expected)
        expected[digest] = number

    assert dict(digests) == expected
    assert [digest for digest, _ in digests] == sorted(expected)
    assert len(digests) == len(expected)
    assert {digest: digests.get(digest) for digest in expected} == expected
    assert digests.get(digest_of("another")) is None


def test_digests_that_begin_alike_are_told_apart() -> None:
    """By their last byte."""
    digests = DigestMap()
    for last in (7, 255, 0):
        assert digests.put(b"beginnin" + bytes((last,)), last)

    assert [digests.get(b"beginnin" + bytes((last,))) for last in (0, 7, 8, 255)] == [0, 7, None, 255]


def test_owners_come_in_their_order() -> None:
    """Whatever their ids are made of, and however many there are."""
    owners = [("a",), ("b", "c"), ('"Zoë", 李雷\0\n', "")]
    kept = OwnerList()
    for owner in owners:
        kept.append(owner)

    assert [kept[index] for index in range(len(kept))] == owners


def owner_list() -> object:
    kept = OwnerList()
    for number in range(OWNERS):
        kept.append((identifier(number),))
    return kept


def first_sync() -> object:
    cursor = PerOwnerCursor("asked", None)
    for number in range(OWNERS):
        owner = (identifier(number),)
        cursor.since(owner)
        cursor.move({owner: str(T1)})
    return cursor


def next_sync() -> object:
    cursor = PerOwnerCursor("asked", None)
    cursor.resume(first_sync().state)  # type: ignore[attr-defined]
    for number in range(OWNERS):
        owner = (identifier(number),)
        cursor.since(owner)
        cursor.move({owner: str(T2)})
    return cursor


def seen_ids() -> object:
    seen = SeenIds()
    for number in range(OWNERS):
        seen.add(identifier(number))
    return seen


def skipped() -> object:
    skips = Skipped(SimpleNamespace(warning=lambda *_, **__: None))  # type: ignore[arg-type]
    for number in range(OWNERS):
        skips.add("mail_messages", f"user {identifier(number)}", Help("No mailbox."), "HTTP 404")
    return skips


@pytest.mark.parametrize(
    ("keep", "most"), [(owner_list, 60), (first_sync, 20), (next_sync, 20), (seen_ids, 80), (skipped, 20)]
)
def test_each_takes_few_bytes(keep: Callable[[], object], most: int) -> None:
    """The id of an owner once, and twelve bytes for each stream with a state; as many for an object that is skipped."""
    tracemalloc.start()
    try:
        kept = keep()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del kept

    assert taken / OWNERS < most
