"""Streams whose changes Graph tracks, deletions included."""

from __future__ import annotations

from abc import ABC
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from source_microsoft_graph.errors import GraphError, ProtocolBroken, TokenRejected
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.failures import collecting, raise_first
from source_microsoft_graph.streams.lines import to_line
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.records import REMOVED
from source_microsoft_graph.streams.seen_records import SeenRecords
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.streams.waiting import WaitingLines
from source_microsoft_graph.sync.context import Sync, as_text
from source_microsoft_graph.sync.cursors import (
    DELETED_AT,
    UPDATED_AT,
    CursorMove,
    SingleCursor,
    SliceProgress,
    StreamCursor,
)

_DELETIONS_ONLY = "deletions "
"""Stands before a token whose delta query tells which objects were deleted, and not all that changed in the others."""


class DeltaStream(GraphStream, ABC):
    """A collection of the tenant's with a delta query: https://learn.microsoft.com/graph/delta-query-overview

    The first incremental read requests a token for now and then lists the collection, in large pages; the next read
    gets what changes meanwhile as well. A token that Graph no longer accepts means beginning like that again.
    """

    cursor_field: str | list[str] = UPDATED_AT

    @property
    def is_tracked(self) -> bool:
        """Whether a delta query tells all changes of these records. Where it does not, it tells what was deleted, and
        the records are listed each time."""
        return True

    def new_cursor(self) -> StreamCursor | None:
        return SingleCursor(self.fingerprint) if self.cursor_field else None

    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        if progress is None:
            return super().records(stream_slice, None)
        return stamped(self._changed_records(progress), self.sync)

    def _changed_records(self, progress: SliceProgress) -> Iterator[dict[str, Any]]:
        position, token = progress.since(), ""
        if position:
            tells_all = self.is_tracked and not position.startswith(_DELETIONS_ONLY)
            changes = self._changes([()], position.removeprefix(_DELETIONS_ONLY))
            try:
                for record in self._last_versions(changes):
                    if tells_all or DELETED_AT in record:
                        yield record
            except TokenRejected as rejected:
                self.logger.warning(
                    f"{rejected} {self.name} is read in full; rows deleted meanwhile stay in the table."
                )
            token = changes.delta_token
            if token and tells_all:
                progress.done[position] = token
                return
            token = token and _DELETIONS_ONLY + token
        move = CursorMove(position or "", token or self._token_for_now())
        listings = (self.listing(self.path(), {}, query, move=move) for query in self.queries())
        yield from PageLoop(self, progress).records(listings)

    def _token_for_now(self) -> str:
        """What the next sync starts from. A delta query that does not take a property which the list takes would bring
        records without it, in place of whole ones, so it is then used for deletions alone."""
        deletions, properties = [("id",), ()], self.select_ladder()[:1] if self.is_tracked else []
        now = self._from_now_on([*properties, *deletions])
        return now.delta_token if now.select in properties else _DELETIONS_ONLY + now.delta_token

    def warn_of_dropped(self, listing: Listing, dropped: Sequence[str], response: GraphResponse) -> None:
        if "$deltatoken" not in listing.query:
            super().warn_of_dropped(listing, dropped, response)
        elif len(dropped) > 1:
            self.logger.warning(
                f"{self.name}: Graph tells of no changes in all properties, so each sync lists all objects. {response}"
            )

    def _from_now_on(self, selects: Sequence[tuple[str, ...]]) -> Listing:
        """The changes of now, read to their end, where their token is: there are none, or hardly any."""
        now = self._changes(selects)
        deque(PageLoop(self, None).records([now]), maxlen=0)
        return now

    def _changes(self, selects: Sequence[tuple[str, ...]], since: str | None = None) -> Listing:
        """Of changes since then, or of none yet. A token holds the options it was given for, so `$select` goes with
        the first request alone."""
        query = {"$deltatoken": since or "latest"}
        return Listing(f"{self.path()}/delta", {}, selects, None, query, since=since, last_version_counts=True)

    def read_in_full(self, listing: Listing, response: GraphResponse) -> bool:
        raise TokenRejected(f"{self.name}: Graph no longer accepts the delta token. {response}")

    def _last_versions(self, changes: Listing) -> Iterator[dict[str, Any]]:
        for record in last_of_each(PageLoop(self, None).records([changes]), ("id",)):
            if REMOVED not in record:
                yield record
            # A page that was not read may say that the object was restored.
            elif changes.delta_token:
                yield tombstone(record, ("id",), self.sync)


def stamped(records: Iterable[dict[str, Any]], sync: Sync) -> Iterator[dict[str, Any]]:
    """The records with the time of the sync, by which a destination tells an object's last version."""
    time = ""
    for record in records:
        # Graph tells the time with its first response.
        time = time or as_text(sync.started_at)
        record[UPDATED_AT] = time
        yield record


def tombstone(record: Mapping[str, Any], key: Sequence[str], sync: Sync) -> dict[str, Any]:
    """What is emitted of a deleted object."""
    return {**{name: record[name] for name in key}, DELETED_AT: as_text(sync.started_at)}


def last_of_each(records: Iterable[dict[str, Any]], key: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each object once, in its last version, after all were read: a delta query may name an object several times, and
    the last time counts. The records wait in a file, for there may be millions; of each, eight to twenty bytes are kept
    in memory. One that cannot be written waits in memory, for whoever prints it to refuse it."""
    marks = array("q")
    unwritten: list[dict[str, Any]] = []
    failures: list[GraphError] = []
    with WaitingLines() as waiting:
        for record in collecting(failures, records):
            try:
                line = to_line(record)
            except ProtocolBroken:
                unwritten.append(record)
                continue
            waiting.append(line + b"\n")
            marks.append(hash(tuple(record[name] for name in key)))
        is_last = _last_times(marks)
        for number, line in enumerate(waiting):
            if is_last[number]:
                yield orjson.loads(line)
    yield from unwritten
    raise_first(failures)


def _last_times(marks: array[int]) -> bytearray:
    """Of each mark, 1 where it stands for the last time. The marks are used up."""
    is_last = bytearray(len(marks))
    seen = SeenRecords()
    for number in range(len(marks) - 1, -1, -1):
        is_last[number] = seen.add_mark(marks.pop())
    return is_last
