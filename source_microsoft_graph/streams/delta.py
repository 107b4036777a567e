"""Streams whose changes Graph tracks, deletions included."""

from __future__ import annotations

from abc import ABC
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from source_microsoft_graph.errors import TokenRejected
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.records import REMOVED
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.streams.versions import Versions
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
        return self._changed_records(progress) if progress else super().records(stream_slice, None)

    def _changed_records(self, progress: SliceProgress) -> Iterator[dict[str, Any]]:
        position, token, time = progress.since(), "", ""
        if position:
            tells_all = self.is_tracked and not position.startswith(_DELETIONS_ONLY)
            changes = self.changes([()], position.removeprefix(_DELETIONS_ONLY))
            with Versions(self.sync, ("id",), _is_deleted, at_once=True, is_whole=False) as changes.versions:
                try:
                    for record in self._told(changes, changes.versions):
                        if tells_all or DELETED_AT in record:
                            yield record
                except TokenRejected as rejected:
                    self.logger.warning(
                        f"{rejected} {self.name} is read in full; rows deleted meanwhile stay in the table."
                    )
                # What the list says of an object is newer than what the changes said.
                time = changes.versions.later_time() if changes.versions else ""
            token = changes.delta_token
            if token and tells_all:
                progress.done[position] = token
                return
            token = token and _DELETIONS_ONLY + token
        move = CursorMove(position or "", token or self._token_for_now())
        listings = (self.listing(self.path(), {}, query, move=move) for query in self.queries())
        yield from stamped(PageLoop(self, progress).records(listings), self.sync, time)

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
        now = self.changes(selects)
        deque(PageLoop(self, None).records([now]), maxlen=0)
        return now

    def changes(self, selects: Sequence[tuple[str, ...]], since: str | None = None) -> Listing:
        """Of changes since then, or of none yet. A token holds the options it was given for, so `$select` goes with
        the first request alone."""
        query = {"$deltatoken": since or "latest"}
        return Listing(f"{self.path()}/delta", {}, selects, None, query, since=since, last_version_counts=True)

    def read_in_full(self, listing: Listing, response: GraphResponse) -> bool:
        raise TokenRejected(f"{self.name}: Graph no longer accepts the delta token. {response}")

    def _told(self, changes: Listing, versions: Versions) -> Iterator[dict[str, Any]]:
        yield from PageLoop(self, None).records([changes])
        yield from versions.rest(lambda _: bool(changes.delta_token))


def _is_deleted(record: Mapping[str, Any]) -> bool:
    return REMOVED in record


def stamped(records: Iterable[dict[str, Any]], sync: Sync, time: str = "") -> Iterator[dict[str, Any]]:
    """The records with the time of the sync, or a later one, by which a destination tells an object's last version."""
    for record in records:
        # Graph tells the time with its first response.
        time = time or as_text(sync.started_at)
        record[UPDATED_AT] = time
        yield record


def tombstone(record: Mapping[str, Any], key: Sequence[str], sync: Sync) -> dict[str, Any]:
    """What is emitted of a deleted object."""
    return {**{name: record[name] for name in key}, DELETED_AT: as_text(sync.started_at)}
