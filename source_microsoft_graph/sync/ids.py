"""Ids that many threads find and many threads wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedIds(Generic[T]):
    """An iterable read once, lazily, by as many threads as want it; each sees every item from the first on.

    It keeps what it has read: for the ids of parents that is about 90 bytes each. If reading fails, every reader
    gets the same error.
    """

    def __init__(self, listing: Callable[[], Iterable[T]]) -> None:
        self._listing = listing
        self._source: Iterator[T] | None = None
        self._items: list[T] = []
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
        self._seen: set[str] = set()
        self._ids: list[str] = []
        self._news = threading.Condition()
        self._is_closed = False
        self._failure: Exception | None = None

    def add(self, identifier: str) -> bool:
        """Whether this is the first time that the id is seen."""
        with self._news:
            if identifier in self._seen:
                return False
            self._seen.add(identifier)
            self._ids.append(identifier)
            self._news.notify_all()
            return True

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._seen

    def close(self, failure: Exception | None = None) -> None:
        """There will be no more; the first to say so is believed."""
        with self._news:
            if not self._is_closed:
                self._is_closed, self._failure = True, failure
            self._news.notify_all()

    def __iter__(self) -> Iterator[str]:
        position = 0
        while self._wait_for(position):
            yield self._ids[position]
            position += 1
        if self._failure:
            raise self._failure

    def _wait_for(self, position: int) -> bool:
        with self._news:
            self._news.wait_for(lambda: position < len(self._ids) or self._is_closed)
            return position < len(self._ids)
