"""Streams of events and alerts, read by their times."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.records import camel_case
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.sync.context import as_text
from source_microsoft_graph.sync.cursors import CursorMove, SingleCursor, SliceProgress, StreamCursor

_ENTRA_KEEPS = timedelta(days=30)
"""https://learn.microsoft.com/entra/identity/monitoring-health/reference-reports-data-retention"""

_AGES = [_ENTRA_KEEPS, *(timedelta(days=days) for days in (14, 7, 3))]
"""Where windows end, counted back from now. Each costs a request, of which Graph allows five in ten seconds for the
logs of Entra."""


class WindowStream(GraphStream, ABC):
    """A log of the tenant's. An incremental read goes through it in windows of a few days, so that a first one can be
    resumed: Graph's own page tokens expire, and the log of a large tenant takes hours.

    A window begins at its first second and ends before its last, so that each record is in one window alone. Graph
    shows some records late, so a read begins some time before the end of the last one; see `lookback_window`.

    The time may be that of a record's last change. A record that changes during the read is then in a later window
    than it was, or in the next read, and never in none.
    """

    kept_for: ClassVar[timedelta | None] = _ENTRA_KEEPS
    """How long the service keeps records; None where no time is known. Graph refuses a filter for a time before."""

    def new_cursor(self) -> StreamCursor:
        return SingleCursor(self.fingerprint, of_time=True)

    def slices(self, progress: SliceProgress | None) -> Iterator[Slice]:
        """In an incremental read, windows: `position` is where the cursor has to be for this window to move it."""
        for stream_slice in super().slices(progress):
            yield from self._windows(progress.since()) if progress else (stream_slice,)

    def _windows(self, position: str | None) -> Iterator[Slice]:
        learn_the_time(self)
        now, start = self.sync.started_at, self._start(position)
        after, position = as_text(start) if start else None, position or ""
        for end in (*(now - age for age in _AGES), now):
            until = as_text(end)
            if after is None or after < until:
                yield {"position": position, "after": after, "until": until}
                after = position = until

    def _start(self, position: str | None) -> datetime | None:
        """From when on to read; None, which is the beginning, where that is before all that the service keeps."""
        start = with_look_back(self, position)
        is_kept = start and (self.kept_for is None or start > self.sync.started_at - self.kept_for)
        return start if is_kept else None

    def listings(self, stream_slice: Slice, progress: SliceProgress | None = None) -> Iterator[Listing]:
        if not stream_slice:
            yield from super().listings(stream_slice)
            return
        # Graph takes ge and le and counts in ticks of 100 ns, so the last one of a window is the one before its end:
        # https://learn.microsoft.com/graph/api/directoryaudit-list
        time = camel_case(str(self.cursor_field))
        last = datetime.fromisoformat(stream_slice["until"]) - timedelta(seconds=1)
        clauses = [f"{time} le {last:%Y-%m-%dT%H:%M:%S}.9999999Z"]
        if stream_slice["after"]:
            clauses.insert(0, f"{time} ge {stream_slice['after']}")
        query: Mapping[str, str] = {**self.query, "$filter": " and ".join(clauses)}
        yield self.listing(self.path(), {}, query, move=CursorMove(stream_slice["position"], stream_slice["until"]))


def with_look_back(stream: GraphStream, position: str | None) -> datetime | None:
    """From when on to read what Graph shows late: some time before this position, or the configured date where there
    is none yet. None is the beginning."""
    config = stream.sync.config
    return datetime.fromisoformat(position) - config.lookback_window if position else config.start_date


def learn_the_time(stream: GraphStream) -> None:
    """Let Graph answer once, so that the start of the sync is known by its clock too."""
    if not stream.sync.client.date and (probe := stream.probe(None)):
        stream.sync.client.get(probe)
