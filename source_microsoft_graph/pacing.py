"""How fast Graph may be asked, shared by every worker of a sync.

Graph throttles each workload by itself (https://learn.microsoft.com/graph/throttling-limits), so a refusal from
one service holds back the workers of that service and no others.
"""

from __future__ import annotations

import random
import threading
import time
from enum import StrEnum

ATTEMPTS = 6
"""Requests sent in all for one page before a transient failure counts as lasting."""

PATIENCE = 2 * 60 * 60
"""Seconds one request may spend being throttled before the sync gives up on it."""

_LONGEST_BACKOFF = 60.0


class Service(StrEnum):
    """The workloads behind Graph that throttle independently of each other."""

    DIRECTORY = "directory"
    TEAMS = "Teams"
    OUTLOOK = "Outlook"
    FILES = "SharePoint and OneDrive"
    REPORTS = "audit logs"
    CONDITIONAL_ACCESS = "Conditional Access"


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 1, 2, 4 … 60, each shortened by up to half at random.

    The jitter keeps workers that failed together from coming back together.
    """
    return min(2.0 ** min(failures - 1, 10), _LONGEST_BACKOFF) * random.uniform(0.5, 1.0)


class Pacer:
    """Holds workers back while their service is paused. Safe to share between threads."""

    def __init__(self) -> None:
        self._resume_at: dict[Service, float] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def wait(self, service: Service) -> None:
        """Return as soon as the service may be asked."""
        while not self._stopped.is_set() and (seconds := self._resume_at.get(service, 0.0) - self.now()) > 0:
            self.sleep(seconds)

    def pause(self, service: Service, seconds: float) -> None:
        """Let nobody ask the service for so many seconds; a longer pause already set stands."""
        with self._lock:
            self._resume_at[service] = max(self._resume_at.get(service, 0.0), self.now() + seconds)

    def stop(self) -> None:
        """Wake every waiting worker: the sync is over."""
        self._stopped.set()

    def sleep(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def now(self) -> float:
        return time.monotonic()
