"""Streams whose changes Graph tracks, deletions included."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from source_microsoft_graph.client import PageResponse
from source_microsoft_graph.cursors import DELETED_AT, UPDATED_AT, OneCursor, Progress, StreamCursor
from source_microsoft_graph.errors import GraphError, TokenRejected, describe
from source_microsoft_graph.records import REMOVED
from source_microsoft_graph.streams.base import GraphStream, Slice
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.sync import Sync

_HELD_IN_MEMORY = 4 * 1024 * 1024
"""Bytes of rows that wait in memory; the rest goes to a temporary file."""


class DeltaStream(GraphStream, ABC):
    """A collection of the tenant's with a delta query: https://learn.microsoft.com/graph/delta-query-overview

    The first incremental read takes a token for now and then lists the collection, in large pages; what changes while
    it does is in the next read as well. A token that Graph accepts no longer means beginning like that again.
    """

    cursor_field: str | list[str] = UPDATED_AT

    @property
    def is_tracked(self) -> bool:
        """Whether a delta query tells all changes of these rows; where it does not, it tells what was deleted, and the
        rows are listed each time."""
        return True

    def new_cursor(self) -> StreamCursor | None:
        return OneCursor(self.fingerprint) if self.cursor_field else None

    def records(self, stream_slice: Slice, progress: Progress | None) -> Iterator[dict[str, Any]]:
        if progress is None:
            return super().records(stream_slice, None)
        return stamped(self._read_on(progress), self.sync)

    def _read_on(self, progress: Progress) -> Iterator[dict[str, Any]]:
        since, token = progress.since(), ""
        if since:
            changes = self._changes(since)
            try:
                for row in self._changed(changes):
                    if self.is_tracked or DELETED_AT in row:
                        yield row
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
            yield from self.rows([now])
            token = now.delta_token
        mark = (since or "", token)
        yield from self.rows((self.listing(self.path(), {}, query, mark=mark) for query in self.queries()), progress)

    def _changes(self, since: str | None = None) -> Listing:
        """Of changes since then, or of none yet. A token holds the question it was given for, so `$select` goes with
        the first request alone."""
        ladder = [()] if since else self.select_ladder() if self.is_tracked else [("id",)]
        return Listing(f"{self.path()}/delta", {}, ladder, None, {"$deltatoken": since or "latest"}, since=since)

    def read_in_full(self, listing: Listing, page_response: PageResponse) -> bool:
        raise TokenRejected(
            f"{self.name}: the token for changes is accepted no longer. {describe(page_response.response)}"
        )

    def _changed(self, changes: Listing) -> Iterator[dict[str, Any]]:
        for row in last_of_each(self.rows([changes]), ("id",)):
            if REMOVED not in row:
                yield row
            # What was not read may bring the object back.
            elif changes.delta_token:
                yield tombstone(row, ("id",), self.sync.moment_text)


def stamped(rows: Iterable[dict[str, Any]], sync: Sync) -> Iterator[dict[str, Any]]:
    """The rows with the time of the sync, by which a destination tells an object's last version."""
    moment = ""
    for row in rows:
        # Graph tells the time with its first answer.
        moment = moment or sync.moment_text
        row[UPDATED_AT] = moment
        yield row


def tombstone(row: Mapping[str, Any], key: Sequence[str], moment: str) -> dict[str, Any]:
    """What is left of a deleted object."""
    return {**{name: row[name] for name in key}, DELETED_AT: moment}


def last_of_each(rows: Iterable[dict[str, Any]], key: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each row once, in its last version, once all have been read: a delta query may name an object several times, and
    the last time counts. The rows wait in a file, for there may be millions."""
    last: dict[tuple[str, ...], int] = {}
    failure: GraphError | None = None
    with SpooledTemporaryFile(_HELD_IN_MEMORY) as waiting:
        try:
            for row in rows:
                last[tuple(row[name] for name in key)] = waiting.tell()
                waiting.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        except GraphError as error:
            failure = error
        waiting.seek(0)
        position = 0
        for line in waiting:
            row = orjson.loads(line)
            if last[tuple(row[name] for name in key)] == position:
                yield row
            position += len(line)
    if failure:
        raise failure
