"""What the main command prints: progress while a read runs, then a summary."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tables.received import Received, ReceivedStream, SkipReason
from tables.staging import ADDITIONAL_PROPERTIES, Misfits

_SILENT_SECONDS = 5.0
"""Seconds without a record after which the progress says so."""

_REFRESHES_A_SECOND = 4
_LINE_SECONDS = 10.0
"""Seconds between two lines of progress in a file or a pipe, where the last one cannot be replaced."""

_SHOWN_STREAMS = 12
"""Streams that the progress shows at once; the others are counted."""

_SHOWN_MISFITS = 15
"""Columns with values that do not fit which the summary names; the others are counted."""

_SHOWN_VALUE = 40
"""Characters of such a value that are shown."""


class Display:
    """Prints to a terminal, a file or a pipe."""

    def __init__(self, console: Console, *, wraps: bool | None = None) -> None:
        """`wraps`: whether to break lines of text at the console's width. By default only on a terminal."""
        self._console = console
        self._wraps = console.is_terminal if wraps is None else wraps

    def line(self, text: str = "", style: str = "", indent: str = "") -> None:
        """A paragraph. A word that is longer than a line, such as a link, stays whole, so that it can be clicked."""
        for part in text.splitlines() or [""]:
            lines = [f"{indent}{part}"]
            if self._wraps and part:
                lines = textwrap.wrap(
                    part,
                    self._console.width,
                    initial_indent=indent,
                    subsequent_indent=indent,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            for line in lines:
                self._console.print(Text(line, style), soft_wrap=True)

    def section(self, heading: str, lines: Sequence[str], style: str) -> None:
        """A heading and lines below it; nothing where there is no line."""
        if lines:
            self.line()
            self.line(heading, f"bold {style}")
        for line in lines:
            self.line(line, indent="  ")

    def commands(self, heading: str, commands: Sequence[str]) -> None:
        """Commands to copy into a shell. They are never broken, since a shell would run each part by itself."""
        if commands:
            self.line()
            self.line(heading, "bold")
        for command in commands:
            self._console.print(Text(f"  {command}", "cyan"), soft_wrap=True)

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show on a terminal what the block does, for as long as it runs."""
        if self._console.is_terminal:
            with self._console.status(text):
                yield
        else:
            yield

    @contextmanager
    def progress(self, received: Received) -> Iterator[None]:
        """Show what was received, for as long as the block runs: redrawn on a terminal, otherwise a line at times."""
        if self._console.is_terminal:
            with Live(
                console=self._console,
                get_renderable=lambda: progress_view(received),
                refresh_per_second=_REFRESHES_A_SECOND,
                transient=True,
            ):
                yield
            return
        ended = threading.Event()
        thread = threading.Thread(target=self._print_progress, args=[received, ended], daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _print_progress(self, received: Received, ended: threading.Event) -> None:
        while not ended.wait(_LINE_SECONDS):
            names = ", ".join(stream.name for stream in _running(received))
            self.line(f"{_totals(received)}{f', reading {names}' if names else ''}")

    def summary(self, streams: Sequence[ReceivedStream]) -> None:
        """A table with a row a stream, and below it what to do about each reason for skipped objects."""
        all_complete = all(stream.is_complete for stream in streams)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        table.add_column("stream", no_wrap=True)
        table.add_column("records", justify="right", no_wrap=True)
        table.add_column("seconds", justify="right", no_wrap=True)
        if not all_complete:
            table.add_column("status", no_wrap=True)
        table.add_column("skipped, and why", overflow="fold")
        for stream in streams:
            row = [stream.name, f"{stream.records:,}", "" if stream.seconds is None else f"{stream.seconds:.1f}"]
            if not all_complete:
                row.append(stream.status)
            style = None if stream.is_complete else "red"
            table.add_row(*map(Text, row), _skipped(stream.skipped), style=style)
        self._console.print(table)
        # Many streams have the same few reasons, so what to do about each is said once, below the table.
        reasons = dict.fromkeys(reason for stream in streams for reason in stream.skipped)
        with_remedy = [reason for reason in reasons if reason.remedy or reason.link]
        if with_remedy:
            self.line()
        for reason in with_remedy:
            parts = (reason.meaning, reason.remedy, reason.link and f"({reason.link})")
            self.line(" ".join(filter(None, parts)))


def _skipped(skipped: Mapping[SkipReason, int]) -> Table:
    """Counts of skipped objects, each beside what its reason means."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for reason, count in skipped.items():
        table.add_row(f"{count:,}", Text(reason.meaning))
    return table


def misfit_lines(misfits: Sequence[Misfits]) -> list[str]:
    """A line for each column that has values which do not fit, the most frequent first, and what became of them."""
    if not misfits:
        return []
    ordered = sorted(misfits, key=lambda misfit: -misfit.count)
    lines = [_misfit_line(misfit) for misfit in ordered[:_SHOWN_MISFITS]]
    if hidden := ordered[_SHOWN_MISFITS:]:
        values = sum(misfit.count for misfit in hidden)
        lines.append(f"and {values:,} in {len(hidden)} more columns.")
    if any(not misfit.is_text for misfit in misfits):
        lines.append(f"A value that is not kept as text is in the column {ADDITIONAL_PROPERTIES} of its row.")
    return lines


def _misfit_line(misfit: Misfits) -> str:
    value = misfit.value if len(misfit.value) <= _SHOWN_VALUE else f"{misfit.value[: _SHOWN_VALUE - 3]}..."
    values = "1 value is" if misfit.count == 1 else f"{misfit.count:,} values are"
    such_as = value if misfit.count == 1 else f"such as {value}"
    kept = "kept as text" if misfit.is_text else "null"
    return f"{misfit.stream}.{misfit.column}: {values} {misfit.reason}, {such_as} ({misfit.row}): {kept}."


def progress_view(received: Received) -> RenderableType:
    """The totals, and a row for each stream that is being read."""
    streams = _running(received)
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, min_width=30)
    table.add_column(no_wrap=True, min_width=11, justify="right")
    table.add_column(no_wrap=True)
    for stream in streams[:_SHOWN_STREAMS]:
        table.add_row(Text(f"  {stream.name}"), f"{stream.records:,}", Text(_waiting(stream)))
    if hidden := streams[_SHOWN_STREAMS:]:
        table.add_row(Text(f"  and {len(hidden)} more"))
    return Group(Text(_totals(received), "bold", no_wrap=True, overflow="ellipsis"), table)


def _running(received: Received) -> list[ReceivedStream]:
    return [stream for stream in list(received.streams.values()) if stream.is_running]


def _totals(received: Received) -> str:
    ended = sum(stream.ended_at is not None for stream in received.streams.values())
    seconds = received.seconds
    parts = [
        f"{seconds:,.0f} s",
        f"{ended} of {len(received.streams)} streams",
        f"{received.records:,} records",
        f"{received.records / max(seconds, 0.1):,.0f}/s",
    ]
    if received.skipped_objects:
        parts.append(f"{received.skipped_objects:,} skipped")
    if (silent := time.monotonic() - received.last_record_at) > _SILENT_SECONDS:
        parts.append(f"no record for {silent:.0f} s")
    return ", ".join(parts)


def _waiting(stream: ReceivedStream) -> str:
    if stream.waits_until is None:
        return ""
    left = stream.waits_until - time.time()
    return f"waiting for a limit, {left:.0f} s" if left > 1 else "waiting for a limit"
