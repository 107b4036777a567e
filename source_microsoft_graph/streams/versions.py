"""Objects that a delta query names several times: what of them is emitted, and when.

A page may name an object that an earlier page named, unchanged, changed or as deleted, and the last time counts:
https://learn.microsoft.com/graph/delta-query-overview
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from operator import itemgetter
from types import TracebackType
from typing import Any

import orjson

from source_microsoft_graph.errors import ProtocolBroken
from source_microsoft_graph.streams.lines import to_line
from source_microsoft_graph.streams.seen_records import SeenVersions
from source_microsoft_graph.streams.waiting import WaitingLines
from source_microsoft_graph.sync.context import Sync, as_text
from source_microsoft_graph.sync.cursors import DELETED_AT, UPDATED_AT

_DELETED, _DELETED_LATER, _TOLD = range(3)
"""Stand where the hash of a version would: the object is deleted and no row of it went out, it is deleted and one did,
and its last version went out at the end."""

_HASHES = 2**32 - 3


class Versions:
    """The versions of the objects that some listings name.

    At once, a row goes out when its page was read, and again when a later page has another version of it: what is named
    again unchanged is no row. Each row has the time of the sync, and one that corrects another a later time, so that a
    destination which brings rows together by key keeps the last version. A deletion waits until all pages were read,
    because a later one may restore the object.

    Waiting, every row waits in a file until all pages were read, and each object comes once. Nothing has a time.
    """

    def __init__(
        self,
        sync: Sync,
        key: Sequence[str],
        is_deleted: Callable[[Mapping[str, Any]], bool],
        *,
        at_once: bool,
        is_whole: bool,
    ) -> None:
        """`is_whole` says that the listings are of all there is: a deletion then ends a row of theirs, or nothing."""
        self._sync = sync
        self._key = key
        self._key_of = itemgetter(*key)
        self._is_deleted = is_deleted
        self._at_once = at_once
        self._is_whole = is_whole
        self._last = SeenVersions()
        self._waiting = WaitingLines()
        self._first_time = ""
        self._corrections = 0

    def __len__(self) -> int:
        """How many objects were named."""
        return len(self._last)

    def __enter__(self) -> Versions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.__exit__(kind, error, trace)

    def news(self, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """What goes out of a page at once."""
        # Graph tells the time with its first response.
        self._first_time = self._first_time or as_text(self._sync.started_at)
        time = ""
        corrected: set[int] = set()
        for record in records:
            mark = hash(self._key_of(record))
            if self._is_deleted(record):
                self._delete(mark, record)
                continue
            try:
                line = to_line(record)
            except ProtocolBroken:
                # Whoever prints it refuses it in words.
                yield record
                continue
            version = _version(line)
            before = self._last.put(mark, version)
            if before == version:
                continue
            if not self._at_once:
                self._waiting.append(line + b"\n")
                continue
            if before is None or before == _DELETED:
                record[UPDATED_AT] = self._first_time
            else:
                if not time or mark in corrected:
                    time = self.later_time()
                corrected.add(mark)
                record[UPDATED_AT] = time
            yield record

    def later_time(self) -> str:
        """A time after those of all rows so far: a millisecond for each page that corrects something, which is less
        than it takes to read one. Some destinations keep no smaller part of a second."""
        self._corrections += 1
        time = self._sync.started_at + timedelta(milliseconds=self._corrections)
        return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

    def _delete(self, mark: int, record: Mapping[str, Any]) -> None:
        before = self._last.get(mark)
        if before in (_DELETED, _DELETED_LATER):
            return
        self._last.put(mark, _DELETED if before is None else _DELETED_LATER)
        if self._at_once and not (self._is_whole and before is None):
            self._waiting.append(orjson.dumps({name: record[name] for name in self._key}) + b"\n")

    def rest(self, is_read: Callable[[Mapping[str, Any]], bool]) -> Iterator[dict[str, Any]]:
        """What waited, after all pages: rows, or a tombstone for each object that is deleted. `is_read` says of an
        object whether its listing was read to the end: a page that was not may say that it was restored."""
        return self._tombstones(is_read) if self._at_once else self._rows()

    def _tombstones(self, is_read: Callable[[Mapping[str, Any]], bool]) -> Iterator[dict[str, Any]]:
        later = ""
        for line in self._waiting:
            record = orjson.loads(line)
            mark = hash(self._key_of(record))
            last = self._last.get(mark)
            if last not in (_DELETED, _DELETED_LATER) or not is_read(record):
                continue
            self._last.put(mark, _TOLD)
            if last == _DELETED_LATER:
                later = later or self.later_time()
            time = later if last == _DELETED_LATER else self._first_time
            yield {**record, DELETED_AT: time, UPDATED_AT: time}

    def _rows(self) -> Iterator[dict[str, Any]]:
        for line in self._waiting:
            record = orjson.loads(line)
            mark = hash(self._key_of(record))
            last = self._last.put(mark, _TOLD)
            if last == _version(line[:-1]):
                yield record
            elif last is not None:
                self._last.put(mark, last)


def _version(line: bytes) -> int:
    return hash(line) % _HASHES + 3
