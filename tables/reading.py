"""What a read has said so far: records set aside in files, statuses, skipped objects, errors, state."""

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

# Every message of the connector's starts in this way if it is a record; parsing each would take longer than making it.
_RECORD = re.compile(rb'{"type":"RECORD","record":{"stream":"(\w+)"')
_LAST_WORDS = 20
"""Lines outside the protocol that are kept, for the case that they tell why the program died."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why objects were skipped: what it means, what to do about it and where to read on; the last two may be empty."""

    meaning: str
    remedy: str = ""
    link: str = ""


@dataclass(slots=True)
class StreamSoFar:
    """One stream, as far as it was read."""

    name: str
    records: int = 0
    longest: int = 0
    status: str = "not started"
    waits_until: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    reasons: dict[Reason, int] = field(default_factory=dict)
    state: dict[str, Any] | None = None

    @property
    def is_complete(self) -> bool:
        return self.status == "complete"

    @property
    def is_read_now(self) -> bool:
        return self.status in ("started", "running")

    @property
    def skipped(self) -> int:
        """Objects left out, as far as the connector has told."""
        return sum(self.reasons.values())

    @property
    def seconds(self) -> float | None:
        return None if self.started_at is None or self.ended_at is None else self.ended_at - self.started_at


class Reading:
    """Follows the output of a read. Lines of records go to one file a stream, unparsed."""

    def __init__(self, streams: Iterable[str], folder: Path) -> None:
        self.streams = {name: StreamSoFar(name) for name in streams}
        self.errors: list[str] = []
        self.warnings: dict[str, None] = {}
        self.last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self.started_at = self.last_record_at = time.monotonic()
        self._folder = folder

    @property
    def records(self) -> int:
        return sum(stream.records for stream in self.streams.values())

    @property
    def skipped(self) -> int:
        return sum(stream.skipped for stream in self.streams.values())

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started_at

    def file(self, stream: str) -> Path:
        return self._folder / f"{stream}.jsonl"

    def follow(self, lines: Iterable[bytes]) -> None:
        with ExitStack() as stack:
            files = {name: stack.enter_context(self.file(name).open("wb")) for name in self.streams}
            for line in lines:
                if record := _RECORD.match(line):
                    self._set_aside(record[1].decode(), line, files)
                elif line.startswith(b"{"):
                    self._take(orjson.loads(line), line, files)
                elif line.strip():
                    self.last_words.append(line.decode(errors="replace").rstrip())

    def _set_aside(self, name: str, line: bytes, files: Mapping[str, BinaryIO]) -> None:
        stream = self.streams[name]
        stream.records += 1
        stream.longest = max(stream.longest, len(line))
        stream.waits_until = None
        self.last_record_at = time.monotonic()
        files[name].write(line)

    def _take(self, message: dict[str, Any], line: bytes, files: Mapping[str, BinaryIO]) -> None:
        match message:
            case {"type": "RECORD", "record": {"stream": name}}:
                self._set_aside(name, line, files)
            case {"type": "STATE", "state": {"stream": {"stream_descriptor": {"name": name}}} as state}:
                self.streams[name].state = state
            case {"type": "TRACE", "trace": {"stream_status": {"stream_descriptor": {"name": name}} as told}}:
                self._take_status(self.streams[name], told)
            case {"type": "TRACE", "trace": {"error": {"message": text, "stream_descriptor": {"name": _}}}}:
                self.errors.append(text)
            case {"type": "TRACE", "trace": {"error": {"message": text}}} if not self.errors:
                self.errors.append(text)
            case {"type": "LOG", "log": {"skipped": {"stream": name} as skipped}} if name in self.streams:
                self._take_skipped(self.streams[name], skipped)
            case {"type": "LOG", "log": {"level": "WARN", "message": text}}:
                self.warnings[text] = None

    def _take_status(self, stream: StreamSoFar, told: dict[str, Any]) -> None:
        """RUNNING comes with a reason while the stream waits until Graph may be asked again."""
        stream.status = told["status"].lower()
        match told:
            case {"reasons": [{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": int(until)}}]}:
                stream.waits_until = until / 1000
            case {"reasons": [{"type": "RATE_LIMITED"}]}:
                stream.waits_until = time.time()
            case {"status": "STARTED"}:
                stream.started_at = time.monotonic()
            case {"status": "COMPLETE" | "INCOMPLETE"}:
                stream.ended_at = time.monotonic()

    def _take_skipped(self, stream: StreamSoFar, told: dict[str, Any]) -> None:
        """Keep the highest count of a reason: the connector's only goes up, but its threads may print out of order."""
        reason = Reason(told["meaning"], told["remedy"], told["link"])
        stream.reasons[reason] = max(told["count"], stream.reasons.get(reason, 0))
