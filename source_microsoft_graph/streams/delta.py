"""Streams whose changes Graph tracks, deletions included."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from source_microsoft_graph.errors import GraphError, TokenRejected
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.records import REMOVED
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.sync.context import Sync, as_text
from source_microsoft_graph.sync.cursors import (
    DELETED_AT,
    UPDATED_AT,
    CursorMove,
    SingleCursor,
    SliceProgress,
    StreamCursor,
)

_MEMORY_BYTES = 4 * 1024 * 1024
"""Bytes of records that wait in memory; the others wait in a temporary file."""


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
        since, token = progress.since(), ""
        if since:
            changes = self._changes(since)
            try:
                for record in self._last_versions(changes):
                    if self.is_tracked or DELETED_AT in record:
                        yield record
            except TokenRejected as rejected:
                self.logger.warning(
                    f"{rejected} {self.name} is read in full; rows deleted meanwhile stay in the table."
                )
            token = changes.delta_token
            if token and self.is_tracked:
                progress.done[since] = token
                return
        if not token:
            now = self._changes()
            yield from PageLoop(self, None).records([now])
            token = now.delta_token
        move = CursorMove(since or "", token)
        listings = (self.listing(self.path(), {}, query, move=move) for query in self.queries())
        yield from PageLoop(self, progress).records(listings)

    def _changes(self, since: str | None = None) -> Listing:
        """Of changes since then, or of none yet. A token holds the options it was given for, so `$select` goes with
        the first request alone."""
        ladder = [()] if since else self.select_ladder() if self.is_tracked else [("id",)]
        return Listing(f"{self.path()}/delta", {}, ladder, None, {"$deltatoken": since or "latest"}, since=since)

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
    the last time counts. The records wait in a file, for there may be millions."""
    last: dict[tuple[str, ...], int] = {}
    failure: GraphError | None = None
    with SpooledTemporaryFile(_MEMORY_BYTES) as waiting:
        try:
            for record in records:
                last[tuple(record[name] for name in key)] = waiting.tell()
                waiting.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        except GraphError as error:
            failure = error
        waiting.seek(0)
        position = 0
        for line in waiting:
            record = orjson.loads(line)
            if last[tuple(record[name] for name in key)] == position:
                yield record
            position += len(line)
    if failure:
        raise failure
