"""Ids that many threads find and many threads wait for."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

import orjson

from source_microsoft_graph.sync.digests import DigestMap, digest_of

T = TypeVar("T")


class _Kept(Protocol[T]):
    """What `SharedIds` needs of a list."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> T: ...
    def append(self, item: T, /) -> None: ...


class OwnerList:
    """Owners in the order in which they were found, as text: one with an id of 36 characters takes 48 bytes, where a
    tuple of texts takes 150. A thread may read it while another one appends."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> tuple[str, ...]:
        start = self._ends[index - 1] if index else 0
        return tuple(orjson.loads(self._text[start : self._ends[index]]))

    def append(self, owner: tuple[str, ...]) -> None:
        self._text += orjson.dumps(owner)
        self._ends.append(len(self._text))


class SharedIds(Generic[T]):
    """An iterable read once, lazily, by as many threads as want it; each sees every item from the first on.

    It keeps what it has read. If reading fails, every reader gets the same error.
    """

    def __init__(self, listing: Callable[[], Iterable[T]], kept: _Kept[T] | None = None) -> None:
        """`kept` is the empty list that keeps the items."""
        self._listing = listing
        self._source: Iterator[T] | None = None
        self._items: _Kept[T] = [] if kept is None else kept
        self._lock = threading.Lock()
        self._done = False
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[T]:
        position = 0
        while position < len(self._items) or self._read_one(position):
            yield self._items[position]
            position += 1

    def _read_one(self, position: int) -> bool:
        with self._lock:
            if position < len(self._items):
                return True
            if self._error:
                raise self._error
            if self._done:
                return False
            try:
                self._source = self._source or iter(self._listing())
                self._items.append(next(self._source))
            except StopIteration:
                self._done = True
            except Exception as error:
                self._error = error
                raise
            return not self._done


class SeenIds:
    """The ids of a stream's objects in the order in which they are found, by many threads and in several listings.

    Whoever iterates sees every id from the first on, and waits for more until the search was closed; if it failed, the
    failure comes after the ids that were found.
    """

    def __init__(self) -> None:
        self._seen = DigestMap()
        self._ids = OwnerList()
        self._news = threading.Condition()
        self._is_closed = False
        self._failure: Exception | None = None

    def add(self, identifier: str) -> bool:
        """Whether this is the first time that the id is seen."""
        with self._news:
            is_new = self._seen.put(digest_of(identifier))
            if is_new:
                self._ids.append((identifier,))
                self._news.notify_all()
            return is_new

    def __contains__(self, identifier: str) -> bool:
        with self._news:
            return self._seen.get(digest_of(identifier)) is not None

    def close(self, failure: Exception | None = None) -> None:
        """There will be no more; the first to say so is believed."""
        with self._news:
            if not self._is_closed:
                self._is_closed, self._failure = True, failure
            self._news.notify_all()

    def __iter__(self) -> Iterator[str]:
        position = 0
        while self._wait_for(position):
            (identifier,) = self._ids[position]
            yield identifier
            position += 1
        if self._failure:
            raise self._failure

    def _wait_for(self, position: int) -> bool:
        with self._news:
            self._news.wait_for(lambda: position < len(self._ids) or self._is_closed)
            return position < len(self._ids)
