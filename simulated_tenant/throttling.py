"""Microsoft's published limits, and a count of how well a client keeps to them.

https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from .endpoint import Endpoint, Single
from .problems import Problem, problem
from .wire import Request

if TYPE_CHECKING:
    from .tenant import Tenant

MAILBOX_SEATS = 4


@dataclass(frozen=True)
class Limit:
    """At most so many requests in so many seconds: of the tenant, or per user, team or chat."""

    amount: int
    seconds: float
    per: str = ""
    when: str = ""
    retry_after: bool = True


def _per_second(amount: int, per: str = "") -> tuple[Limit, Limit]:
    """A limit of Teams' holds for a second, and five sixths of it for good. How that is measured is not documented."""
    return Limit(amount, 1, per), Limit(amount * 25, 30, per)


LIMITS: Mapping[str, tuple[Limit, ...]] = {
    "/users": (Limit(10, 60, when="signInActivity"),),
    "/applications": (Limit(150, 60, when="keyCredentials"),),
    "/servicePrincipals": (Limit(150, 60, when="keyCredentials"),),
    "/users/{user}/chats": (*_per_second(20), *_per_second(1, "user")),
    "/chats/{chat}/messages": (*_per_second(20), *_per_second(1, "chat")),
    "/users/{user}/chats/getAllMessages": _per_second(200),
    "/teams": _per_second(30),
    "/teams/{team}/channels": (*_per_second(60), *_per_second(4, "team")),
    "/teams/{team}/members": (*_per_second(60), *_per_second(4, "team")),
    "audit": (Limit(5, 10),),
    "policies": (Limit(1, 1, retry_after=False),),
    "outlook": (Limit(10_000, 600, per="user"),),
}
# Resource units by the number of users, in ten seconds and in one minute. The second:
# https://learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
UNITS = {
    "directory": (10, ((50, 3500), (500, 5000), (math.inf, 8000))),
    "files": (60, ((1000, 1250), (5000, 2500), (15_000, 3750), (50_000, 5000), (math.inf, 6250))),
}
TOLD_FROM = 0.8
COSTS = {"/users": 2, "/applications": 2, "/groups/{group}/members": 3}


class Window:
    """At most `amount` requests in any `seconds`; refused requests count too."""

    def __init__(self, limit: Limit) -> None:
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
    """The tenant's meters. They are off until `on` is set; waits that faults ask for are counted always."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.on = False
        self.throttled = 0
        self.impatient = 0
        self._meters: dict[Hashable, Window | Bucket] = {}
        self._until: dict[Hashable, float] = {}
        self._seats: Counter[str] = Counter()
        self._lock = Lock()

    def ask(self, key: Hashable, seconds: float) -> None:
        """A client was told to wait."""
        self._until[key] = self.tenant.clock() + seconds
        self.throttled += 1

    def notice(self, *keys: Hashable) -> None:
        """A request came; it's impatient if a wait that applies to it isn't over."""
        self.impatient += any(self._until.get(key, 0.0) > self.tenant.clock() for key in keys)

    def enter(self, request: Request, endpoint: Endpoint, segments: Mapping[str, str], seats: list[str]) -> None:
        """Meter a request; over a limit it's a 429, whose Retry-After covers every limit that was reached."""
        if not self.on:
            return
        with self._lock:
            now, waits = self.tenant.clock(), []
            meters = list(self._measures(request, endpoint, segments))
            self.notice(*(key for key, _, _ in meters))
            for key, cost, retry_after in meters:
                if wait := math.ceil(self._meters[key].take(now, cost)):
                    waits.append(wait if retry_after else 0)
                    self._until[key] = now + waits[-1]
            if waits:
                raise self._too_many("too_many_requests", max(waits))
            if endpoint.service.name == "outlook" and seats.count(segments["user"]) < MAILBOX_SEATS:
                self._sit(segments["user"], seats, now)

    def _sit(self, mailbox: str, seats: list[str], now: float) -> None:
        """Four requests at a time per mailbox; a batch sends no more than four to one, whatever it holds."""
        self.notice(("seat", mailbox))
        if self._seats[mailbox] >= MAILBOX_SEATS:
            self._until["seat", mailbox] = now + 1
            raise self._too_many("mailbox_busy", 1)
        self._seats[mailbox] += 1
        seats.append(mailbox)

    def leave(self, seats: list[str]) -> None:
        """A request is over: its mailbox has room for another."""
        if seats:
            with self._lock:
                self._seats.subtract(seats)

    def gauges(self, request: Request, endpoint: Endpoint, refused: bool) -> dict[str, str]:
        """What a reply tells of resource units: in the directory its cost, and from four fifths on how much is left.

        https://learn.microsoft.com/graph/throttling-limits#response-headers, and SharePoint's page above
        """
        meter = self._meters.get(endpoint.service.name) if self.on else None
        if not isinstance(meter, Bucket):
            return {}
        cost = _cost(request, endpoint)
        share = (meter.amount - meter.left + (cost if refused else 0)) / meter.amount
        if endpoint.service.name == "files":
            return {} if share < TOLD_FROM else {
                "RateLimit-Limit": f"{meter.amount:.0f}",
                "RateLimit-Remaining": str(int(meter.left)),
                "RateLimit-Reset": str(math.ceil((meter.amount - meter.left) / meter.pace)),
            }  # fmt: skip
        told = {"x-ms-resource-unit": str(cost)}
        if share >= TOLD_FROM:
            told["x-ms-throttle-limit-percentage"] = f"{share:.2f}"
        if refused and meter.left < cost:
            told["x-ms-throttle-information"] = "ResourceUnitLimitExceeded"
            told["x-ms-throttle-scope"] = (
                f"Tenant_Application/ReadWrite/{self.tenant.client_id}/{self.tenant.tenant_id}"
            )
        return told

    def _too_many(self, name: str, wait: int) -> Problem:
        self.throttled += 1
        return problem(name, headers={"Retry-After": str(wait)} if wait else None)

    def _measures(
        self, request: Request, endpoint: Endpoint, segments: Mapping[str, str]
    ) -> Iterator[tuple[Hashable, int, bool]]:
        """What measures a request: the key of each meter, what the request costs, and whether a wait is told."""
        service = endpoint.service.name
        for scope in (endpoint.path, service):
            for limit in LIMITS.get(scope, ()):
                if limit.when in request.query:
                    key = (scope, limit, segments.get(limit.per))
                    self._meters.setdefault(key, Window(limit))
                    yield key, 1, limit.retry_after
        if service in UNITS:
            seconds, sizes = UNITS[service]
            amount = next(units for most, units in sizes if self.tenant.size.users <= most)
            self._meters.setdefault(service, Bucket(amount, seconds))
            yield service, _cost(request, endpoint), True


def _cost(request: Request, endpoint: Endpoint) -> int:
    """What a request costs in resource units."""
    options = dict(request.parameters())
    if endpoint.service.name == "files":
        return 1 if options.get("token") or isinstance(endpoint, Single) else 2
    top = options.get("$top", "")
    small = top.isdecimal() and int(top) < 20
    return max(1, COSTS.get(endpoint.path, 1) - ("$select" in options) + ("$expand" in options) - small)
