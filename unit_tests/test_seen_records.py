"""Which objects of a listing were emitted: all of them are known, whatever their number."""

from __future__ import annotations

import tracemalloc

import pytest

from source_microsoft_graph.streams.seen_records import SeenRecords


def test_an_object_is_new_once() -> None:
    """However often it comes again, and wherever."""
    seen = SeenRecords()

    assert [seen.add(identifier) for identifier in ("a", "b", "a", "c", "b", "a")] == [
        True,
        True,
        False,
        True,
        False,
        False,
    ]
    assert len(seen) == 3


@pytest.mark.parametrize("count", [999, 1_000, 1_001, 99_999, 100_000, 100_001, 600_000])
def test_all_objects_are_known(count: int) -> None:
    """The first one is known after hundreds of thousands of others, and those that never came are new."""
    seen = SeenRecords()
    ids = [f"AAMkAGI2{number:012}" for number in range(count)]

    assert all(map(seen.add, ids))
    assert len(seen) == count
    assert not any(map(seen.add, ids))
    assert len(seen) == count
    assert all(seen.add(f"other {number}") for number in range(1_000))


def test_a_repetition_far_behind_is_known() -> None:
    """A listing that starts again repeats objects in their order, while new ones come in between."""
    seen = SeenRecords()
    emitted = 0
    for start in (0, 0, 150_000, 0, 300_000):
        emitted += sum(seen.add(str(number)) for number in range(start, start + 250_000))

    assert (emitted, len(seen)) == (550_000, 550_000)


def test_memory_is_bounded() -> None:
    """A million objects take little more than eight bytes each, so that ten million stay far below 250 MB."""
    seen = SeenRecords()
    tracemalloc.start()
    try:
        for number in range(300_000):
            seen.add(str(number))
        taken, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken < 300_000 * 12
    assert peak < 20_000_000


def test_many_listings_of_thousands_take_little() -> None:
    """Two hundred drives of ten thousand items are listed at the same time, and take little more than 16 MB."""
    tracemalloc.start()
    try:
        listings = [SeenRecords() for _ in range(5)]
        for seen in listings:
            for number in range(10_000):
                seen.add(str(number))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken < 5 * 10_000 * 11
