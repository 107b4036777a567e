"""How fast Graph may be asked, shared by every worker of a sync.

Graph throttles each workload by itself, and refused requests count against the limit too, so going on at full speed
would keep a service refusing for ever: https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

ATTEMPTS = 6
"""Requests sent in all for one page before a transient failure counts as lasting."""

PATIENCE = 2 * 60 * 60
"""Seconds one request may spend being throttled before the sync gives up on it."""

_LONGEST_BACKOFF = 60.0

_MARGIN = 1.05
"""Requests arrive at Graph in another rhythm than they were sent in, so a window is taken for a little longer."""

_MOMENT = 1e-6
"""Seconds that are too few to wait for."""

_SLOWER, _FASTER = 0.8, 1.1
"""What becomes of a pace that was found too high, and of one that was kept for a whole window."""

_LEAST_SHARE = 0.1
"""How little of a published limit is made do with: others may share it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many requests in any so many seconds, and so many seconds between two for one object.

    Where the limit grows with the tenant's users or licences, which an app is not told, `requests` is what the
    smallest tenant gets: no pace is kept until Graph refuses, and never a slower one. Any other limit is kept from the
    start, and less than it allows after a refusal, for others may share it. `per_object` says that a refusal concerns
    one mailbox and not the service.
    """

    name: str
    requests: int
    seconds: float
    min_interval: float = 0.0
    grows: bool = False
    per_object: bool = False


class Service(Enum):
    """The workloads behind Graph that throttle independently of each other, with their limits for one app."""

    # 3,500 resource units, of which listing the members of a group costs 3.
    DIRECTORY = Limit("directory", 1_166, 10, grows=True)
    # Users with their last sign-ins: https://learn.microsoft.com/graph/throttling-limits#identity-and-access-reports-service-limits
    SIGN_IN_ACTIVITY = Limit("sign-in activity", 10, 60)
    # What is published, 60 or 20 a second, four for a team and one for a chat or user, holds for a second; five sixths
    # of it hold for good.
    TEAMS = Limit("teams", 60, 1.2, min_interval=0.3)
    CHATS = Limit("chats", 20, 1.2, min_interval=1.2)
    CHAT_MESSAGES = Limit("chat messages", 20, 1.2, min_interval=1.2)
    OUTLOOK = Limit("Outlook", 10_000, 600, grows=True, per_object=True)
    # 1,250 resource units, of which a listing costs 2.
    FILES = Limit("SharePoint and OneDrive", 625, 60, grows=True)
    REPORTS = Limit("audit logs", 5, 10)
    CONDITIONAL_ACCESS = Limit("Conditional Access", 1, 1)


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 1, 2, 4 … 60, each shortened by up to half at random.

    The jitter keeps workers that failed together from coming back together.
    """
    return min(2.0 ** min(failures - 1, 10), _LONGEST_BACKOFF) * random.uniform(0.5, 1.0)


@dataclass(slots=True)
class _Meter:
    """What was sent to one service in the last window, and how much may be."""

    window: float
    pace: float | None
    sent: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0
    changed_at: float = float("-inf")
    resume_at: float = float("-inf")

    def opens_at(self, now: float, requests: int) -> float:
        """When this many requests may be sent, if nothing else is sent before."""
        while self.sent and self._counts_until(*self.sent[0]) <= now:
            self.total -= self.sent.popleft()[1]
        at, total = max(now, self.resume_at), self.total
        for sent_at, number in self.sent:
            if self.pace is None or total + requests <= self.pace:
                break
            at, total = max(at, self._counts_until(sent_at, number)), total - number
        return at

    def _counts_until(self, sent_at: float, number: int) -> float:
        """What was more than a window allows, such as a large batch, fills several."""
        return sent_at + self.window * max(1.0, number / self.pace if self.pace else 0.0)

    def take(self, now: float, requests: int) -> None:
        self.sent.append((now, requests))
        self.total += requests


_EVERYWHERE = nullcontext()


class RateLimiter:
    """Holds workers back while their service is paused or busy. Safe to share between threads."""

    def __init__(self) -> None:
        self._meters = {
            service: _Meter(service.value.seconds * _MARGIN, None if service.value.grows else service.value.requests)
            for service in Service
        }
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def wait(self, service: Service, requests: int = 1, places: AbstractContextManager[Any] = _EVERYWHERE) -> None:
        """Return in one of these places, as soon as there is one and the service may be asked this many things at once.

        Nobody waits for the service in a place that others could use, and what was opened while waiting for a place
        may be closed again by then.
        """
        while True:
            while (seconds := self.opens_in(service, requests)) > 0:
                self.sleep(seconds)
            places.__enter__()
            if self.opens_in(service, requests, take=True) <= 0:
                return
            places.__exit__(None, None, None)

    def opens_in(self, service: Service, requests: int = 1, *, take: bool = False) -> float:
        """Seconds until the service may be asked so many things; if none, they count as asked on demand. The end of the
        sync opens everything."""
        if self._stopped.is_set():
            return 0.0
        meter = self._meters[service]
        with self._lock:
            self._speed_up(service, meter)
            seconds = meter.opens_at(self.now(), requests) - self.now()
            if seconds > _MOMENT:
                return seconds
            if take:
                meter.take(self.now(), requests)
            return 0.0

    def pause(self, service: Service, seconds: float) -> None:
        """Let nobody ask the service for so many seconds, and go on slower; a longer pause already set stands."""
        meter = self._meters[service]
        with self._lock:
            meter.resume_at = max(meter.resume_at, self.now() + seconds)
            self._slow_down(service, meter)

    def near_limit(self, service: Service) -> None:
        """Graph announces that it is about to throttle: send no more from now on than was sent up to now."""
        meter = self._meters[service]
        with self._lock:
            self._slow_down(service, meter)

    def _slow_down(self, service: Service, meter: _Meter) -> None:
        """Once a window: refusals come in crowds, for all that was under way."""
        now, limit = self.now(), service.value
        if now - meter.changed_at > meter.window:
            least = limit.requests * (1 if limit.grows else _LEAST_SHARE)
            meter.pace = max(least, _SLOWER * (meter.pace or meter.total))
            meter.changed_at = now

    def _speed_up(self, service: Service, meter: _Meter) -> None:
        """A pace that was found, and kept for a window without a refusal, is tried a little faster, if Graph may allow
        that at all."""
        now, most = self.now(), float("inf") if service.value.grows else service.value.requests
        if meter.pace is not None and meter.pace < most and now - meter.changed_at > meter.window:
            meter.pace = min(most, _FASTER * meter.pace)
            meter.changed_at = now

    def stop(self) -> None:
        """Wake every waiting worker: the sync is over."""
        self._stopped.set()

    def sleep(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def now(self) -> float:
        return time.monotonic()
