"""How many requests each service of Graph may be sent, for all workers of a sync.

Graph throttles each service by itself, and refused requests count against the limit too. A client that goes on at full
speed is refused for ever: https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from source_microsoft_graph.retries import SyncClock

_MARGIN = 1.05
"""Requests arrive at Graph at other intervals than they were sent at, so a window counts as a little longer."""

_NEGLIGIBLE = 1e-6
"""Seconds that are too few to wait for."""

_SLOWER, _FASTER = 0.8, 1.1
"""Factors for a rate that Graph refused, and for one that was kept for a whole window."""

_LEAST_SHARE = 0.1
"""The smallest share of a published limit that is kept to: other apps may share it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` requests in any `seconds` seconds, and `min_interval` seconds between two for one object. One
    that costs more than a usual request counts for several.

    `grows` says that the limit grows with the tenant's users or licences, which an app is not told. `requests` is then
    what the smallest tenant gets: no rate is kept until Graph refuses, and no lower one than that afterwards. Any other
    limit is kept from the start. After a refusal less than the limit is sent, for other apps may share it. `per_object`
    says that a refusal concerns one mailbox and not the service, and `per_part` that each part of the service has this
    limit for itself.
    """

    name: str
    requests: int
    seconds: float
    min_interval: float = 0.0
    grows: bool = False
    per_object: bool = False
    per_part: bool = False

    def in_one_batch(self, most: int) -> int:
        """How many of `most` requests may be sent at the same time. Those of a batch count for one part."""
        return 1 if self.per_part else min(most, self.requests)


class Service(Enum):
    """The workloads behind Graph that throttle independently of each other, with their limits for one app."""

    # 3,500 resource units, of which listing the members of a group costs 3.
    DIRECTORY = Limit("directory", 1_166, 10, grows=True)
    # Users with their last sign-ins: https://learn.microsoft.com/graph/throttling-limits#identity-and-access-reports-service-limits
    SIGN_IN_ACTIVITY = Limit("sign-in activity", 10, 60)
    # What is published, 60 or 20 a second, four for a team and one for a chat or user, holds for a second; five sixths
    # of it hold for good.
    TEAMS = Limit("teams", 60, 1.2, min_interval=0.3)
    # One a second for a channel.
    CHANNEL_MEMBERS = Limit("channel members", 60, 1.2, min_interval=1.2)
    CHATS = Limit("chats", 20, 1.2, min_interval=1.2)
    CHAT_MEMBERS = Limit("chat members", 30, 1.2, min_interval=1.2)
    CHAT_MESSAGES = Limit("chat messages", 20, 1.2, min_interval=1.2)
    # For an app in a tenant alone, none for a user: https://learn.microsoft.com/graph/throttling-limits#microsoft-teams-service-limits
    TEAMS_EXPORT = Limit("Teams export", 200, 1.2)
    OUTLOOK = Limit("Outlook", 10_000, 600, grows=True, per_object=True)
    # 1,250 resource units, of which a listing costs 2.
    FILES = Limit("SharePoint and OneDrive", 625, 60, grows=True)
    REPORTS = Limit("audit logs", 5, 10)
    # One budget for all apps of a tenant, which identity protection shares, and no word of how long to wait.
    CONDITIONAL_ACCESS = Limit("Conditional Access and identity protection", 1, 1)
    SECURITY = Limit("security", 150, 60)
    INTUNE_DEVICES = Limit("Intune devices", 2_000, 20)
    # Also 800 in an hour, which are pages of more objects than there are.
    ANNOUNCEMENTS = Limit("service communications", 240, 60)
    # For each report. One for each day of four weeks is more than that, so it is kept from Graph's first refusal on:
    # most tenants have fewer days to read in a sync.
    USAGE_REPORTS = Limit("usage reports", 14, 600, grows=True, per_part=True)


@dataclass(slots=True)
class _Meter:
    """What was sent to one service in the last window, and how much may be sent in one. A rate of None has no bound."""

    window: float
    rate: float | None
    sent: deque[tuple[float, float]] = field(default_factory=deque)
    total: float = 0.0
    changed_at: float = float("-inf")
    resume_at: float = float("-inf")

    def opens_at(self, now: float, requests: float) -> float:
        """When this many requests may be sent, if nothing else is sent before."""
        while self.sent and self._counts_until(*self.sent[0]) <= now:
            self.total -= self.sent.popleft()[1]
        at, total = max(now, self.resume_at), self.total
        for sent_at, number in self.sent:
            if self.rate is None or total + requests <= self.rate:
                break
            at, total = max(at, self._counts_until(sent_at, number)), total - number
        return at

    def _counts_until(self, sent_at: float, number: float) -> float:
        """A batch of more requests than a window allows fills several windows."""
        return sent_at + self.window * max(1.0, number / self.rate if self.rate else 0.0)

    def take(self, now: float, requests: float) -> None:
        self.sent.append((now, requests))
        self.total += requests


_NO_SLOTS = nullcontext()


class RateLimiter:
    """Holds workers back while their service is paused or its limit is reached. Safe between threads."""

    def __init__(self, clock: SyncClock) -> None:
        self._clock = clock
        self._meters: dict[tuple[Service, str], _Meter] = {}
        self._lock = threading.Lock()

    def wait(
        self,
        service: Service,
        requests: float = 1,
        slots: AbstractContextManager[Any] = _NO_SLOTS,
        part: str = "",
    ) -> None:
        """Return with a slot taken, as soon as one is free and the service may be sent this many requests.

        Waits for the rate limit before taking a slot, then checks the limit again: a pause may have begun meanwhile,
        and a worker that waits for one service must not hold a slot that another service could use.
        """
        while True:
            while (delay := self.delay(service, requests, part)) > 0:
                self._clock.sleep(delay)
            slots.__enter__()
            if self.delay(service, requests, part, take=True) <= 0:
                return
            slots.__exit__(None, None, None)

    def delay(self, service: Service, requests: float = 1, part: str = "", *, take: bool = False) -> float:
        """Seconds until the service may be sent so many requests. With `take` they count as sent if that is now. After
        the end of the sync nothing is held back."""
        if self._clock.is_stopped:
            return 0.0
        with self._lock:
            meter, now = self._meter(service, part), self._clock.now()
            self._speed_up(service, meter, now)
            delay = meter.opens_at(now, requests) - now
            if delay > _NEGLIGIBLE:
                return delay
            if take:
                meter.take(now, requests)
            return 0.0

    def _meter(self, service: Service, part: str) -> _Meter:
        """The meter of a service, or of a part that has its own. To be called with the lock."""
        limit, key = service.value, (service, part if service.value.per_part else "")
        if key not in self._meters:
            self._meters[key] = _Meter(limit.seconds * _MARGIN, None if limit.grows else limit.requests)
        return self._meters[key]

    def pause(self, service: Service, seconds: float, part: str = "") -> None:
        """Send nothing to the service for so many seconds, and less afterwards; a longer pause already set stands."""
        with self._lock:
            meter = self._meter(service, part)
            meter.resume_at = max(meter.resume_at, self._clock.now() + seconds)
            self._slow_down(service, meter)

    def near_limit(self, service: Service, part: str = "") -> None:
        """Graph announces that it is about to throttle: send no more from now on than was sent up to now."""
        with self._lock:
            self._slow_down(service, self._meter(service, part))

    def _slow_down(self, service: Service, meter: _Meter) -> None:
        """Once a window: all requests under way are refused at about the same time."""
        now, limit = self._clock.now(), service.value
        if now - meter.changed_at > meter.window:
            least = limit.requests * (1 if limit.grows else _LEAST_SHARE)
            meter.rate = max(least, _SLOWER * (meter.rate or meter.total))
            meter.changed_at = now

    def _speed_up(self, service: Service, meter: _Meter, now: float) -> None:
        """A rate that was kept for a window without a refusal is raised a little, up to what Graph may allow."""
        most = float("inf") if service.value.grows else service.value.requests
        if meter.rate is not None and meter.rate < most and now - meter.changed_at > meter.window:
            meter.rate = min(most, _FASTER * meter.rate)
            meter.changed_at = now
