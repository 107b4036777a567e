"""The declared limits applied, and a count of how well a client keeps to them.

https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Mapping
from threading import Lock

from .collection import Endpoint
from .limits import RequestLimit, UnitsUsed
from .problems import Problem, problem
from .state import State
from .wire import Request


class Window:
    """At most `amount` requests in any `seconds`; refused requests count too."""

    def __init__(self, limit: RequestLimit) -> None:
        self.seconds = limit.seconds
        self.taken: deque[float] = deque(maxlen=limit.amount)

    def take(self, now: float, cost: int) -> float:
        """How long to wait; 0 when the request may pass."""
        full = len(self.taken) == self.taken.maxlen and self.taken[0] > now - self.seconds
        self.taken.append(now)
        return self.taken[0] + self.seconds - now if full else 0.0


class Bucket:
    """Resource units that flow back at an even pace."""

    def __init__(self, amount: float, seconds: float) -> None:
        self.amount, self.pace, self.left, self.last = amount, amount / seconds, amount, 0.0

    def take(self, now: float, cost: int) -> float:
        """How long to wait; 0 when the units are there."""
        self.left, self.last = min(self.amount, self.left + (now - self.last) * self.pace), now
        if self.left < cost:
            return (cost - self.left) / self.pace
        self.left -= cost
        return 0.0


class Throttle:
    """The tenant's meters. They are off until `on` is set. Waits that faults ask for are counted always."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.on = False
        self.throttled = 0
        self.impatient = 0
        self._meters: dict[Hashable, Window | Bucket] = {}
        self._until: dict[Hashable, float] = {}
        self._under_way: Counter[str] = Counter()
        self._lock = Lock()

    def ask(self, key: Hashable, seconds: float) -> None:
        """A client was told to wait."""
        self._until[key] = self.state.clock() + seconds
        self.throttled += 1

    def notice(self, *keys: Hashable) -> None:
        """A request came; it's impatient if a wait that applies to it isn't over."""
        self.impatient += any(self._until.get(key, 0.0) > self.state.clock() for key in keys)

    def enter(self, request: Request, endpoint: Endpoint, segments: Mapping[str, str], mailboxes: list[str]) -> None:
        """Meter a request; over a limit it's a 429, whose Retry-After covers every limit that was reached.

        A request that is under way at a mailbox is added to `mailboxes`, to be taken off by `leave`.
        """
        if not self.on:
            return
        with self._lock:
            now, waits = self.state.clock(), []
            meters = list(self._measures(request, endpoint, segments))
            self.notice(*(key for key, _, _ in meters))
            for key, cost, retry_after in meters:
                if wait := math.ceil(self._meters[key].take(now, cost)):
                    waits.append(wait if retry_after else 0)
                    self._until[key] = now + waits[-1]
            if waits:
                raise self._too_many("too_many_requests", max(waits))
            most = endpoint.workload.at_once
            if most and mailboxes.count(segments["user"]) < most:
                self._begin(segments["user"], mailboxes, most, now)

    def _begin(self, mailbox: str, mailboxes: list[str], most: int, now: float) -> None:
        """So many requests at a time per mailbox; a batch sends no more than that to one, whatever it holds."""
        self.notice(("at once", mailbox))
        if self._under_way[mailbox] >= most:
            self._until["at once", mailbox] = now + 1
            raise self._too_many("mailbox_busy", 1)
        self._under_way[mailbox] += 1
        mailboxes.append(mailbox)

    def leave(self, mailboxes: list[str]) -> None:
        """A request is over: its mailbox can take another."""
        if mailboxes:
            with self._lock:
                self._under_way.subtract(mailboxes)

    def headers(self, request: Request, endpoint: Endpoint, refused: bool) -> Mapping[str, str]:
        """What a reply says about resource units."""
        workload = endpoint.workload
        bucket = self._meters.get(workload.name) if self.on and workload.units else None
        if not workload.units or not isinstance(bucket, Bucket):
            return {}
        cost = workload.units.cost(request, endpoint.units)
        scope = f"Tenant_Application/ReadWrite/{self.state.client_id}/{self.state.tenant_id}"
        return workload.units.headers(UnitsUsed(bucket.amount, bucket.left, bucket.pace, cost, refused, scope))

    def _too_many(self, name: str, wait: int) -> Problem:
        self.throttled += 1
        return problem(name, headers={"Retry-After": str(wait)} if wait else None)

    def _measures(
        self, request: Request, endpoint: Endpoint, segments: Mapping[str, str]
    ) -> Iterator[tuple[Hashable, int, bool]]:
        """What measures a request: the key of each meter, what the request costs, and whether a wait is named."""
        workload = endpoint.workload
        for scope, limits in ((endpoint.path, endpoint.limits), (workload.name, workload.limits)):
            for limit in limits:
                if limit.when in request.query:
                    key = (scope, limit, segments.get(limit.per))
                    self._meters.setdefault(key, Window(limit))
                    yield key, 1, limit.retry_after
        if units := workload.units:
            self._meters.setdefault(workload.name, Bucket(units.amount(self.state.size.users), units.seconds))
            yield workload.name, units.cost(request, endpoint.units), True
