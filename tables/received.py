"""What a read has printed so far: records, written to files, and statuses, skipped objects, errors and states.

The display shows it while the read runs; the database loads it afterwards.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

# The connector prints each record in exactly this form. Matching it is faster than parsing the whole line, which takes
# longer than the connector needs to make the record.
_RECORD = re.compile(rb'{"type":"RECORD","record":{"stream":"(\w+)"')
_KEPT_LINES = 20
"""Lines outside the protocol that are kept. The last ones may say why the connector ended."""


@dataclass(frozen=True, slots=True)
class SkipReason:
    """Why objects were skipped: what it means, what to do about it and a link to read more. The last two may be ""."""

    meaning: str
    remedy: str = ""
    link: str = ""


@dataclass(slots=True)
class ReceivedStream:
    """What was received of one stream.

    `longest` is the number of bytes of the longest record line. `status` is the last stream status in lower case.
    `waits_until` is when Graph's rate limit lets the stream continue, in seconds since 1970. `started_at` and
    `ended_at` are times of the monotonic clock. `skipped` counts the objects that the connector left out, by reason.
    `state` is the last state message.
    """

    name: str
    records: int = 0
    longest: int = 0
    status: str = "not started"
    waits_until: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    skipped: dict[SkipReason, int] = field(default_factory=dict)
    state: dict[str, Any] | None = None

    @property
    def is_complete(self) -> bool:
        return self.status == "complete"

    @property
    def is_running(self) -> bool:
        return self.status in ("started", "running")

    @property
    def skipped_objects(self) -> int:
        return sum(self.skipped.values())

    @property
    def seconds(self) -> float | None:
        """How long the stream was read; None unless it ended."""
        return None if self.started_at is None or self.ended_at is None else self.ended_at - self.started_at


class Received:
    """All that a read has printed. Records are written to one file a stream as they are, without being parsed."""

    def __init__(self, streams: Iterable[str], folder: Path) -> None:
        self.streams = {name: ReceivedStream(name) for name in streams}
        self.errors: list[str] = []
        self.warnings: dict[str, None] = {}
        self.other_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.started_at = self.last_record_at = time.monotonic()
        self._folder = folder

    @property
    def records(self) -> int:
        return sum(stream.records for stream in self.streams.values())

    @property
    def skipped_objects(self) -> int:
        return sum(stream.skipped_objects for stream in self.streams.values())

    @property
    def seconds(self) -> float:
        """Seconds since the read began."""
        return time.monotonic() - self.started_at

    def file(self, stream: str) -> Path:
        """The stream's records, one RECORD message a line, in the order they were printed."""
        return self._folder / f"{stream}.jsonl"

    def receive(self, lines: Iterable[bytes]) -> None:
        """Take all lines that the connector prints, until it ends."""
        with ExitStack() as stack:
            files = {name: stack.enter_context(self.file(name).open("wb")) for name in self.streams}
            for line in lines:
                if record := _RECORD.match(line):
                    self._receive_record(record[1].decode(), line, files)
                elif line.startswith(b"{"):
                    self._receive_message(orjson.loads(line), line, files)
                elif line.strip():
                    self.other_lines.append(line.decode(errors="replace").rstrip())

    def _receive_record(self, name: str, line: bytes, files: Mapping[str, BinaryIO]) -> None:
        stream = self.streams[name]
        stream.records += 1
        stream.longest = max(stream.longest, len(line))
        stream.waits_until = None
        self.last_record_at = time.monotonic()
        files[name].write(line)

    def _receive_message(self, message: dict[str, Any], line: bytes, files: Mapping[str, BinaryIO]) -> None:
        match message:
            case {"type": "RECORD", "record": {"stream": name}}:
                self._receive_record(name, line, files)
            case {"type": "STATE", "state": {"stream": {"stream_descriptor": {"name": name}}} as state}:
                self.streams[name].state = state
            case {"type": "TRACE", "trace": {"stream_status": {"stream_descriptor": {"name": name}} as status}}:
                _receive_status(self.streams[name], status)
            case {"type": "TRACE", "trace": {"error": {"message": text, "stream_descriptor": {"name": _}}}}:
                self.errors.append(text)
            # The CDK ends a failed sync with an error that only names the streams; their own errors say more.
            case {"type": "TRACE", "trace": {"error": {"message": text}}} if not self.errors:
                self.errors.append(text)
            case {"type": "LOG", "log": {"skipped": {"stream": name} as skipped}} if name in self.streams:
                _receive_skipped(self.streams[name], skipped)
            case {"type": "LOG", "log": {"level": "WARN", "message": text}}:
                self.warnings[text] = None


def _receive_status(stream: ReceivedStream, message: dict[str, Any]) -> None:
    """RUNNING has a reason while the stream waits for a rate limit, with the time in milliseconds if it is known."""
    stream.status = message["status"].lower()
    match message:
        case {"reasons": [{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": int(until)}}]}:
            stream.waits_until = until / 1000
        case {"reasons": [{"type": "RATE_LIMITED"}]}:
            stream.waits_until = time.time()
        case {"status": "STARTED"}:
            stream.started_at = time.monotonic()
        case {"status": "COMPLETE" | "INCOMPLETE"}:
            stream.ended_at = time.monotonic()


def _receive_skipped(stream: ReceivedStream, skipped: dict[str, Any]) -> None:
    """Keep the highest count of a reason: the connector counts up, but its threads may print in another order."""
    reason = SkipReason(skipped["meaning"], skipped["remedy"], skipped["link"])
    stream.skipped[reason] = max(skipped["count"], stream.skipped.get(reason, 0))
