"""Collections of the tenant's whose objects carry the time of their last change."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.streams.window import learn_the_time, with_look_back
from source_microsoft_graph.sync.context import as_text
from source_microsoft_graph.sync.cursors import CursorMove, SingleCursor, SliceProgress, StreamCursor


class ChangedStream(GraphStream, ABC):
    """A collection whose `changed_since` lists what changed since a time, in one listing without an upper bound.

    The first read is the list without a filter, so that objects without that time are in it. A filter that Graph
    refuses means the same, each time. What changes during a read is read by the next one too: that goes back behind
    the start of this one by five minutes and by `lookback_window`, because Graph shows some changes late.
    """

    shown_late: ClassVar[timedelta] = timedelta()
    """How long after its time Graph may show an object first, beside `lookback_window`."""

    def new_cursor(self) -> StreamCursor:
        return SingleCursor(self.fingerprint, of_time=True)

    def listings(self, stream_slice: Slice, progress: SliceProgress | None = None) -> Iterator[Listing]:
        if progress is None:
            yield from super().listings(stream_slice)
            return
        learn_the_time(self)
        position = progress.since()
        move = CursorMove(position or "", self.sync.resume_from)
        start = with_look_back(self, position)
        if start and position:
            start -= self.shown_late
        yield self.listing(self.path(), {}, since=as_text(start) if start else None, move=move)
