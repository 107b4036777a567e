"""What the streams of one sync share, so that no stream has to hold it."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import requests

from source_microsoft_graph.auth import GraphAuth
from source_microsoft_graph.batch import MOST
from source_microsoft_graph.client import GraphClient, Together
from source_microsoft_graph.config import Config
from source_microsoft_graph.errors import ConnectionFailed, Help, Known, describe
from source_microsoft_graph.logs import with_fields
from source_microsoft_graph.pacing import Pacer

T = TypeVar("T")

_OVERLAP = timedelta(minutes=5)
"""How far behind the start of this sync the next one begins, for what Graph shows a little late."""

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
        self.client = GraphClient(config.cloud.graph_host, self.auth, self.pacer, config.num_workers)
        self.skipped = Skipped(logger)
        self.selected: frozenset[type] = frozenset()
        self._started = datetime.now(UTC)
        self._said: Counter[Hashable] = Counter()
        self.logger = logger
        self._lock = threading.Lock()
        self._given_up: set[Hashable] = set()
        self._failures: Counter[Hashable] = Counter()
        self._sightings: defaultdict[Hashable, Sightings] = defaultdict(Sightings)
        self._together: dict[Hashable, Together] = {}
        self._shared: dict[Hashable, SharedListing[str]] = {}

    @property
    def moment(self) -> datetime:
        """When this sync began, by Graph's clock once it has answered, in whole seconds."""
        return (self.client.date or self._started).astimezone(UTC).replace(microsecond=0)

    @property
    def moment_text(self) -> str:
        return as_text(self.moment)

    @property
    def position(self) -> str:
        """From when on the next sync asks for changes of what this one read."""
        return as_text(self.moment - _OVERLAP)

    def say(self, key: Hashable, warning: str) -> None:
        """Warn of something that may concern many objects, each time until it has been said often enough."""
        with self._lock:
            self._said[key] += 1
            times = self._said[key]
        if times <= _NAMED_OBJECTS:
            more = "" if times < _NAMED_OBJECTS else " Further ones are not told."
            self.logger.warning(f"{warning}{more}")

    def shared(self, key: Hashable, listing: Callable[[], Iterable[str]]) -> Iterable[str]:
        """The listing kept under this key, started by whoever asks first and read once for all."""
        with self._lock:
            return self._shared.setdefault(key, SharedListing(listing))

    def together(self, key: Hashable, most: int) -> Together:
        """How many pages are asked for in a request under this key, at first and by now."""
        with self._lock:
            return self._together.setdefault(key, Together(most))

    def sightings(self, key: Hashable) -> Sightings:
        """The ids seen under this key."""
        with self._lock:
            return self._sightings[key]

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
        ended = self.client.fail(ConnectionFailed("The sync was ended."))
        for sightings in self._sightings.values():
            sightings.close(ended)
        self.skipped.summarise()


def as_text(moment: datetime) -> str:
    """The form in which Graph takes and gives a time."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


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


class Sightings:
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


class Skipped:
    """Objects left out because something is wrong with them alone: named once at WARN, counted by reason.

    Each of its log messages has the field `skipped` beside its English: `stream`; the reason as `meaning`, `remedy` and
    `link`, of which the last two may be empty; and `count`, the objects of the stream left out for this reason so far.
    The last message of a stream and reason has the final count. The main command reads this field.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, Help], set[str]] = defaultdict(set)

    def add(self, stream: str, identifier: str, known: Known, response: requests.Response) -> None:
        """Count the object, and name it unless it was named or many of its kind were."""
        with self._lock:
            objects = self._objects[stream, known.help]
            is_new = identifier not in objects
            objects.add(identifier)
            count = len(objects)
        if is_new and count <= _NAMED_OBJECTS:
            more = "" if count < _NAMED_OBJECTS else " Further ones are only counted."
            text = f"{stream}: skipped {identifier}. {known.help.meaning} {describe(response)}{more}"
            self._warn(text, stream, known.help, count)

    def counts(self) -> dict[tuple[str, str], int]:
        """Objects skipped by stream and reason."""
        return {(stream, str(reason)): count for (stream, reason), count in self._counts().items()}

    def summarise(self) -> None:
        """Warn of each stream and reason once, with the number of objects."""
        for (stream, reason), count in sorted(self._counts().items(), key=lambda item: (item[0][0], str(item[0][1]))):
            self._warn(f"{stream}: {count} skipped in all. {reason}", stream, reason, count)

    def _counts(self) -> dict[tuple[str, Help], int]:
        with self._lock:
            return {key: len(objects) for key, objects in self._objects.items()}

    def _warn(self, text: str, stream: str, reason: Help, count: int) -> None:
        told = {"meaning": reason.meaning, "remedy": reason.remedy, "link": reason.link}
        self._logger.warning(text, extra=with_fields(skipped={"stream": stream, **told, "count": count}))
