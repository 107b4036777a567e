"""What somebody at the terminal sees: progress while a read runs, and what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tables.reading import Reading, StreamSoFar

_QUIET_SECONDS = 5.0
"""Seconds without a record after which the display says so."""

_REFRESHES_A_SECOND = 4
_LINE_SECONDS = 10.0
"""Seconds between two lines of progress where nothing can be drawn over."""

_SHOWN_STREAMS = 12


class Screen:
    """A terminal, or a file that its output goes to."""

    def __init__(self, console: Console, *, wraps: bool | None = None) -> None:
        """`wraps` says whether prose is broken at the console's width: unless told, it is on a terminal."""
        self._console = console
        self._wraps = console.is_terminal if wraps is None else wraps

    def say(self, line: str, style: str = "") -> None:
        """A line, broken between words if need be."""
        self._console.print(Text(line, style), soft_wrap=not self._wraps)

    def show(self, command: str) -> None:
        """A line to copy, which is therefore left whole."""
        self._console.print(Text(f"  {command}", "cyan"), soft_wrap=True)

    @contextmanager
    def progress(self, reading: Reading) -> Iterator[None]:
        """Show how a read gets on for as long as the block runs."""
        if self._console.is_terminal:
            with Live(
                console=self._console,
                get_renderable=lambda: running(reading),
                refresh_per_second=_REFRESHES_A_SECOND,
                transient=True,
            ):
                yield
            return
        done = threading.Event()
        thread = threading.Thread(target=self._lines, args=[reading, done], daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _lines(self, reading: Reading, done: threading.Event) -> None:
        while not done.wait(_LINE_SECONDS):
            now = ", ".join(stream.name for stream in _reading_now(reading))
            self.say(f"{_totals(reading)}{f', reading {now}' if now else ''}")

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show that something goes on that says nothing meanwhile."""
        if self._console.is_terminal:
            with self._console.status(what):
                yield
        else:
            yield

    def account(self, streams: Sequence[StreamSoFar]) -> None:
        """A row a stream, and what was left out of it."""
        whole = all(stream.is_complete for stream in streams)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        table.add_column("stream", no_wrap=True)
        table.add_column("records", justify="right", no_wrap=True)
        table.add_column("seconds", justify="right", no_wrap=True)
        if not whole:
            table.add_column("status", no_wrap=True)
        table.add_column("skipped, and why", overflow="fold")
        for stream in streams:
            row = [stream.name, f"{stream.records:,}", "" if stream.seconds is None else f"{stream.seconds:.1f}"]
            if not whole:
                row.append(stream.status)
            why = "\n".join(f"{count:,}  {reason.meaning}" for reason, count in stream.reasons.items())
            table.add_row(*map(Text, row), Text(why), style=None if stream.is_complete else "red")
        self._console.print(table)
        # Many streams have the same few reasons, so what to do about each is said once, below the table.
        reasons = dict.fromkeys(reason for stream in streams for reason in stream.reasons)
        for number, reason in enumerate(reason for reason in reasons if reason.remedy or reason.link):
            parts = (reason.meaning, reason.remedy, reason.link and f"({reason.link})")
            self.say(f"{'' if number else chr(10)}{' '.join(filter(None, parts))}")


def running(reading: Reading) -> RenderableType:
    """The totals, and a line for each stream that is being read."""
    now = _reading_now(reading)
    lines: list[RenderableType] = [Text(_totals(reading), "bold", no_wrap=True, overflow="ellipsis")]
    for stream in now[:_SHOWN_STREAMS]:
        line = f"  {stream.name:<28} {stream.records:>11,}  {_waiting(stream)}".rstrip()
        lines.append(Text(line, no_wrap=True, overflow="ellipsis"))
    if len(now) > _SHOWN_STREAMS:
        lines.append(Text(f"  and {len(now) - _SHOWN_STREAMS} more"))
    return Group(*lines)


def _reading_now(reading: Reading) -> list[StreamSoFar]:
    return [stream for stream in list(reading.streams.values()) if stream.is_read_now]


def _totals(reading: Reading) -> str:
    done = sum(stream.ended_at is not None for stream in reading.streams.values())
    seconds = reading.seconds
    parts = [
        f"{seconds:,.0f} s",
        f"{done} of {len(reading.streams)} streams",
        f"{reading.records:,} records",
        f"{reading.records / max(seconds, 0.1):,.0f}/s",
    ]
    if reading.skipped:
        parts.append(f"{reading.skipped:,} skipped")
    if (quiet := time.monotonic() - reading.last_record_at) > _QUIET_SECONDS:
        parts.append(f"none for {quiet:.0f} s")
    return ", ".join(parts)


def _waiting(stream: StreamSoFar) -> str:
    if stream.waits_until is None:
        return ""
    left = stream.waits_until - time.time()
    return f"waiting for a limit, {left:.0f} s" if left > 1 else "waiting for a limit"
