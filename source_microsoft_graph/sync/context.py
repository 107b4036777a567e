"""What the streams of one sync share, so that no stream has to hold it."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from source_microsoft_graph.auth.token import GraphAuth
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import ConnectionFailed
from source_microsoft_graph.graph.batch import MAX_BATCH, BatchSize
from source_microsoft_graph.graph.client import GraphClient
from source_microsoft_graph.graph.rate_limits import RateLimiter
from source_microsoft_graph.retries import PATIENT, Patience, SyncClock
from source_microsoft_graph.sync.ids import OwnerList, SeenIds, SharedIds
from source_microsoft_graph.sync.repairs import Repairs
from source_microsoft_graph.sync.skips import NAMED_OBJECTS, Skipped
from source_microsoft_graph.sync.tally import OwnerTally

T = TypeVar("T")

Owner = tuple[str, ...]
"""Whose collection is listed: the ids that stand for the placeholders of a path, in their order."""

_OVERLAP = timedelta(minutes=5)
"""How long before the start of this sync the next one begins: Graph shows some changes a little late."""

CLOCK_DIFFERENCE = timedelta(minutes=2)
"""How far Graph's clock and this machine's may be apart without a warning."""

_FAILURES_IN_A_ROW = 2 * MAX_BATCH
"""Objects of one stream that may fail lastingly one after another before the stream itself is given up. The objects of
one batch fail at the same time."""


class Sync:
    """One run of check, discover or read."""

    def __init__(self, config: Config, logger: logging.Logger, patience: Patience = PATIENT) -> None:
        self.config = config
        self.logger = logger
        self.clock = SyncClock(patience)
        self.limiter = RateLimiter(self.clock)
        self.auth = GraphAuth(config.credentials, config.authority, config.scope, self.clock)
        self.client = GraphClient(config.cloud.graph_host, self.auth, self.limiter, self.clock, config.num_workers)
        self.skipped = Skipped(logger)
        self.repairs = Repairs(logger)
        self.selected: frozenset[type] = frozenset()
        """The classes of the streams that the catalog selects."""
        self.deduplicated: frozenset[type] = frozenset()
        """Those of which the destination keeps the last row of each key, and none where that is deleted."""
        self.extensions: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}
        """The columns of the tenant's own extensions, by Graph's names of what they are for and by their names. They
        are set before a stream is read and do not change after that."""
        self._started_at = datetime.now(UTC)
        self._warned: Counter[Hashable] = Counter()
        self._lock = threading.Lock()
        self._given_up: set[Hashable] = set()
        self._failures: Counter[Hashable] = Counter()
        self._seen_ids: defaultdict[Hashable, SeenIds] = defaultdict(SeenIds)
        self._made: dict[Hashable, SharedIds[Any]] = {}
        self._batch_sizes: dict[Hashable, BatchSize] = {}
        self._tallies: dict[tuple[str, tuple[type, bool]], OwnerTally] = {}
        self._shared_ids: dict[Hashable, SharedIds[Owner]] = {}

    @property
    def started_at(self) -> datetime:
        """When this sync began, in whole seconds, by this machine's clock or by Graph's once Graph has answered: the
        earlier of the two. What changes after a time in the future would never be requested."""
        here, graph = self._started_at, self.client.date or self._started_at
        difference = self.client.clock_difference
        if abs(difference) > CLOCK_DIFFERENCE:
            way = "ahead of" if difference > timedelta(0) else "behind"
            seconds = abs(difference).total_seconds()
            clock = f"The clock of Graph, or of a proxy, is {seconds:,.0f} seconds {way} this machine's."
            self.warn_once("clocks", f"{clock} The earlier of the two counts.")
        return min(here, graph).astimezone(UTC).replace(microsecond=0)

    @property
    def resume_from(self) -> str:
        """From when on the next sync asks for changes of what this one read."""
        return as_text(self.started_at - _OVERLAP)

    def warn(self, key: Hashable, warning: str) -> None:
        """Warn of something that may concern many objects. Each key is warned of a bounded number of times."""
        with self._lock:
            self._warned[key] += 1
            times = self._warned[key]
        if times <= NAMED_OBJECTS:
            more = "" if times < NAMED_OBJECTS else " Further ones are not logged."
            self.logger.warning(f"{warning}{more}")

    def shared_ids(self, key: Hashable, listing: Callable[[], Iterable[Owner]]) -> Iterable[Owner]:
        """The listing kept under this key. The first thread that asks starts it, and it is read once for all."""
        with self._lock:
            return self._shared_ids.setdefault(key, SharedIds(listing, OwnerList()))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under this key. The first thread that asks makes it, and the others wait; if that fails, each
        of them gets the same error."""
        with self._lock:
            made = self._made.setdefault(key, SharedIds(lambda: (make(),)))
        return cast(T, next(iter(made)))

    def batch_size(self, key: Hashable, most: int) -> BatchSize:
        """How many pages are requested in one batch under this key: `most` at first."""
        with self._lock:
            return self._batch_sizes.setdefault(key, BatchSize(most))

    def seen_ids(self, key: Hashable) -> SeenIds:
        """The ids seen under this key."""
        with self._lock:
            return self._seen_ids[key]

    def warn_once(self, key: Hashable, warning: str) -> None:
        """Warn of something that concerns a whole stream."""
        if self.is_first(key):
            self.logger.warning(warning)

    def is_first(self, key: Hashable) -> bool:
        """Whether nobody has asked this of the key before."""
        with self._lock:
            self._warned[key] += 1
            return self._warned[key] == 1

    def tally(self, stream: str, identity: tuple[type, bool]) -> OwnerTally:
        """What the owners of one listing of a stream came to."""
        with self._lock:
            return self._tallies.setdefault((stream, identity), OwnerTally())

    def refused_owners(self, stream: str, *, keys_only: bool) -> int:
        """The owners that were refused in the listings of this stream, where no owner could be read."""
        with self._lock:
            tallies = [
                tally for (name, (_, of_keys)), tally in self._tallies.items() if (name, of_keys) == (stream, keys_only)
            ]
        return max((tally.all_refused for tally in tallies), default=0)

    def give_up(self, key: Hashable) -> bool:
        """Request nothing more under this key. False if that was decided before, so that its error was reported."""
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
        """Stop every request and every wait, and say what was skipped."""
        ended = self.client.fail(ConnectionFailed("The sync was ended."))
        for seen_ids in self._seen_ids.values():
            seen_ids.close(ended)
        self.skipped.summarise()
        self.repairs.summarise()


def as_text(time: datetime) -> str:
    """The form in which Graph takes and gives a time."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
