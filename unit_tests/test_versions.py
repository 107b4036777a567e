"""Objects that a delta query names several times: what goes out, when, and how many times."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.streams.seen_records import SeenVersions
from source_microsoft_graph.streams.versions import Versions
from source_microsoft_graph.sync.context import Sync, as_text
from unit_tests.graph_api import CONFIG

Row = dict[str, Any]


@pytest.fixture
def sync() -> Iterator[Sync]:
    sync = Sync(Config.parse(CONFIG), logging.getLogger("test"))
    yield sync
    sync.close()


def versions(sync: Sync, *, at_once: bool = True, is_whole: bool = True) -> Versions:
    return Versions(sync, ("id", "drive"), lambda item: "deleted" in item, at_once=at_once, is_whole=is_whole)


def item(identifier: str, version: int = 1, **more: Any) -> Row:
    return {"id": identifier, "drive": "d", "version": version, **more}


def deleted(identifier: str) -> Row:
    return {"id": identifier, "drive": "d", "deleted": {}}


def told(rows: Any) -> list[tuple[str, int | str]]:
    """Each row by its id, with its version or that it is a tombstone."""
    return [(row["id"], "gone" if "_ab_cdc_deleted_at" in row else row["version"]) for row in rows]


def read(known: Versions, *pages: list[Row], is_read: bool = True) -> list[Row]:
    """Everything that goes out of these pages."""
    with known:
        news = [row for page in pages for row in known.news(page)]
        return [*news, *known.rest(lambda _: is_read)]


# At once.


def test_a_row_goes_out_with_its_page(sync: Sync) -> None:
    """Before anything is known of the next page, or of the next object."""
    with versions(sync) as known:
        assert told([next(known.news(iter([item("a"), item("b")])))]) == [("a", 1)]


def test_what_is_named_again_unchanged_is_no_row(sync: Sync) -> None:
    """Each page brings the folders above its items, and a listing that begins again brings everything."""
    pages = [[item("root"), item("a")], [item("root"), item("b")], [item("root"), item("a")], [item("c")]]

    assert told(read(versions(sync), *pages)) == [("root", 1), ("a", 1), ("b", 1), ("c", 1)]


def test_another_version_is_another_row(sync: Sync) -> None:
    """Back to the first one too: what a destination has is the second one."""
    rows = read(versions(sync), [item("a", 1)], [item("a", 2)], [item("a", 1)], [item("a", 1)])

    assert told(rows) == [("a", 1), ("a", 2), ("a", 1)]


def test_objects_of_two_drives_are_two(sync: Sync) -> None:
    """The key is the whole key."""
    rows = read(versions(sync), [item("a"), {**item("a"), "drive": "e"}])

    assert [row["drive"] for row in rows] == ["d", "e"]


def test_a_correction_is_later_than_what_it_corrects(sync: Sync) -> None:
    """By a millisecond a page, twice in a page too, and a tombstone after it is later still: a destination goes by the
    time alone."""
    pages = [
        [item("a", 1), item("b", 1), item("a", 2)],
        [item("a", 3), item("b", 2)],
        [item("c", 1), item("a", 4), deleted("b")],
    ]
    rows = read(versions(sync), *pages)

    start = as_text(sync.started_at).removesuffix("Z")
    assert [(*told([row])[0], row["_ab_cdc_updated_at"].removeprefix(start)) for row in rows] == [
        ("a", 1, "Z"),
        ("b", 1, "Z"),
        ("a", 2, ".001Z"),
        ("a", 3, ".002Z"),
        ("b", 2, ".002Z"),
        ("c", 1, "Z"),
        ("a", 4, ".003Z"),
        ("b", "gone", ".004Z"),
    ]
    assert rows[-1]["_ab_cdc_deleted_at"] == rows[-1]["_ab_cdc_updated_at"]
    assert rows[-1].keys() == {"id", "drive", "_ab_cdc_deleted_at", "_ab_cdc_updated_at"}


DELETIONS: Mapping[str, tuple[list[list[Row]], list[Any], list[Any]]] = {
    "after its row": ([[item("a")], [deleted("a")]], [("a", 1), ("a", "gone")], [("a", 1), ("a", "gone")]),
    "without a row": ([[deleted("a")]], [], [("a", "gone")]),
    "and restored": ([[deleted("a")], [item("a")]], [("a", 1)], [("a", 1)]),
    "and restored after its row": ([[item("a")], [deleted("a")], [item("a", 2)]], [("a", 1), ("a", 2)], []),
    "several times": ([[item("a")], [deleted("a"), deleted("a")]], [("a", 1), ("a", "gone")], []),
    "restored and deleted": (
        [[deleted("a")], [item("a")], [deleted("a")]],
        [("a", 1), ("a", "gone")],
        [("a", 1), ("a", "gone")],
    ),
}
"""The pages, what goes out in a full refresh, and in an incremental read where that is something else."""


@pytest.mark.parametrize(("pages", "in_full", "of_changes"), DELETIONS.values(), ids=DELETIONS)
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_deletion_goes_out_once_at_the_end(
    sync: Sync, is_whole: bool, pages: list[list[Row]], in_full: list[Any], of_changes: list[Any]
) -> None:
    """A full refresh has to end the rows that it brought itself and no others."""
    rows = read(versions(sync, is_whole=is_whole), *pages)

    assert told(rows) == (in_full if is_whole else of_changes or in_full)


def test_a_deletion_needs_the_whole_listing(sync: Sync) -> None:
    """A page that was not read may restore the object."""
    assert told(read(versions(sync), [item("a")], [deleted("a")], is_read=False)) == [("a", 1)]


# Waiting.


def test_rows_that_wait_come_once_in_their_last_version(sync: Sync) -> None:
    """Without a time, and without a word of what was deleted; of a listing that broke off what there was."""
    pages = [
        [item("a", 1), item("b", 1), deleted("never")],
        [item("a", 2), item("c", 1), item("d", 1)],
        [item("a", 1), deleted("c"), item("d", 2), deleted("d"), item("d", 1)],
    ]
    for is_read in (True, False):
        with versions(sync, at_once=False) as known:
            assert not [*known.news(pages[0])]
        rows = read(versions(sync, at_once=False), *pages, is_read=is_read)
        assert sorted(told(rows)) == [("a", 1), ("b", 1), ("d", 1)]
        assert not any(name.startswith("_ab_cdc") for row in rows for name in row)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_object_takes_sixteen_bytes_at_most(sync: Sync, at_once: bool) -> None:
    """Of memory, whether rows wait or not: what waits is in a file."""
    taken = []
    tracemalloc.start()
    try:
        with versions(sync, at_once=at_once) as known:
            for page in range(300):
                for row in known.news([item(f"{page}-{number}") for number in range(500)]):
                    row.clear()
                if page in (99, 299):
                    taken.append(tracemalloc.get_traced_memory()[0])
            before, rows = tracemalloc.get_traced_memory()[0], sum(1 for _ in known.rest(lambda _: True))
            after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert (len(known), rows) == (150_000, 0 if at_once else 150_000)
    assert taken[1] - taken[0] < 100_000 * 16
    assert after - before < 100_000


# What is kept of a version.


@pytest.mark.parametrize("count", [19_999, 20_000, 20_001, 300_000])
def test_versions_are_known_whatever_their_number(count: int) -> None:
    """The last one of each object, from its first to its last."""
    known = SeenVersions()
    marks = [hash(str(number)) for number in range(count)]

    assert {known.put(mark, number) for number, mark in enumerate(marks)} == {None}
    assert [known.get(mark) for mark in marks] == [*range(count)]
    assert [known.put(mark, 2**32 - 1) for mark in marks] == [*range(count)]
    assert {known.get(mark) for mark in marks} == {2**32 - 1}
    assert known.get(hash("another")) is None
    assert len(known) == count
