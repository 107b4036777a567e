"""What the streams of one sync share, so that no stream has to hold it."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

import requests

from source_microsoft_graph.auth import GraphAuth
from source_microsoft_graph.batch import MOST
from source_microsoft_graph.client import GraphClient, Together
from source_microsoft_graph.config import Config
from source_microsoft_graph.errors import ConnectionFailed, Known, describe
from source_microsoft_graph.pacing import Pacer

T = TypeVar("T")

_NAMED_OBJECTS = 20
"""Skipped objects named in the log, for each stream and reason; the rest are counted."""

_FAILURES_IN_A_ROW = 2 * MOST
"""Objects of one stream that may fail lastingly one after another before the stream itself is given up: one request
asks for many, and they fail together."""


class Sync:
    """One run of check, discover or read."""

    def __init__(self, config: Config, logger: logging.Logger) -> None:
        self.config = config
        self.pacer = Pacer()
        self.auth = GraphAuth(config, self.pacer)
        self.client = GraphClient(config.cloud.graph_host, self.auth, self.pacer)
        self.skipped = Skipped(logger)
        self.logger = logger
        self._lock = threading.Lock()
        self._given_up: set[Hashable] = set()
        self._failures: Counter[Hashable] = Counter()
        self._seen: defaultdict[Hashable, set[str]] = defaultdict(set)
        self._together: dict[Hashable, Together] = {}
        self._shared: dict[Hashable, SharedListing[str]] = {}

    def shared(self, key: Hashable, listing: Callable[[], Iterable[str]]) -> Iterable[str]:
        """The listing kept under this key, started by whoever asks first and read once for all."""
        with self._lock:
            return self._shared.setdefault(key, SharedListing(listing))

    def together(self, key: Hashable, most: int) -> Together:
        """How many pages are asked for in a request under this key, at first and by now."""
        with self._lock:
            return self._together.setdefault(key, Together(most))

    def first_sight(self, key: Hashable, identifier: str) -> bool:
        """Whether this is the first time the identifier is seen under this key."""
        with self._lock:
            seen = self._seen[key]
            return identifier not in seen and not seen.add(identifier)  # type: ignore[func-returns-value]

    def give_up(self, key: Hashable) -> bool:
        """Stop asking for what goes by this key. False if that was decided before, so its error was reported."""
        with self._lock:
            first = key not in self._given_up
            self._given_up.add(key)
            return first

    def has_given_up(self, key: Hashable) -> bool:
        return key in self._given_up

    def object_failed(self, key: Hashable) -> None:
        """An outage fails one object after another; a bad object fails alone."""
        with self._lock:
            self._failures[key] += 1
            if self._failures[key] >= _FAILURES_IN_A_ROW:
                self._given_up.add(key)

    def object_read(self, key: Hashable) -> None:
        if self._failures[key]:
            self._failures[key] = 0

    def close(self) -> None:
        """Let nobody ask or wait any longer, and tell what was skipped."""
        self.client.fail(ConnectionFailed("The sync was ended."))
        self.skipped.summarise()


class SharedListing(Generic[T]):
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


class Skipped:
    """Objects left out because something is wrong with them alone: named once at WARN, counted by reason."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], set[str]] = defaultdict(set)

    def add(self, stream: str, identifier: str, known: Known, response: requests.Response) -> None:
        """Count the object, and name it unless it was named or many of its kind were."""
        with self._lock:
            objects = self._objects[stream, known.meaning]
            is_new = identifier not in objects
            objects.add(identifier)
            count = len(objects)
        if is_new and count <= _NAMED_OBJECTS:
            more = "" if count < _NAMED_OBJECTS else " Further ones are only counted."
            self._logger.warning(f"{stream}: skipped {identifier}. {known.meaning} {describe(response)}{more}")

    def counts(self) -> dict[tuple[str, str], int]:
        """Objects skipped by stream and meaning."""
        with self._lock:
            return {reason: len(objects) for reason, objects in self._objects.items()}

    def summarise(self) -> None:
        for (stream, meaning), count in sorted(self.counts().items()):
            self._logger.warning(f"{stream}: {count} skipped in all. {meaning}")
