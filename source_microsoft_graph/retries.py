"""When to send a request again: attempts, waits, and the clock that the workers of one sync share."""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

ATTEMPTS = 6
"""Requests sent in all for one page before a transient failure counts as lasting."""

PATIENCE = 2 * 60 * 60
"""Seconds one request may spend being throttled before the sync gives up on it."""

OWN_PATIENCE = 20 * 60
"""Seconds one object's request may spend being throttled while Graph serves all other requests of the service."""

_LONGEST_BACKOFF = 90.0
_LONGEST_FLOOR = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a command waits for a host, in seconds: for a byte (`silence`), for a response from its sending to its
    last byte (`response`), with further attempts where there is no response, or one of status 5xx (`attempts`), and
    while it throttles a request (`throttled`). Each holds beside the limits that every command has."""

    silence: float = math.inf
    response: float = math.inf
    attempts: float = math.inf
    throttled: float = PATIENCE

    def allows(self, wait: float, since_first: float) -> bool:
        """Whether another attempt may follow after this wait, so long after the first one."""
        return since_first + wait <= self.attempts


PATIENT = Patience()
"""What a sync has: an outage of a minute is no reason to end it."""

IMPATIENT = Patience(silence=20, response=20, attempts=6)
"""What a check has, because somebody waits for it. An attempt that begins after 6 seconds at the latest and takes 20 at
the most ends within 30 seconds of the start of the process."""

BRIEF = Patience(silence=60, response=60, attempts=15, throttled=120)
"""What a field report has: somebody waits for it as well, and one page without an answer is a finding of its own."""


class SyncClock:
    """The time of one sync, in seconds, and how much of it may be waited for a host. Safe between threads."""

    def __init__(self, patience: Patience = PATIENT) -> None:
        self.patience = patience
        self._stopped = threading.Event()

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Returns at once when the sync is over."""
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """Wake every sleeping worker: the sync is over."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 1, 3, 9, 27, 81, each lengthened by up to a quarter at random.

    Six attempts span two minutes at least, so that a short outage of a service passes. The jitter keeps workers that
    failed at the same time from asking again at the same time.
    """
    return min(3.0 ** min(failures - 1, 10), _LONGEST_BACKOFF) * random.uniform(1.0, 1.25)


def throttled_wait(refusals: int, asked: float | None) -> float:
    """Seconds to wait after Graph has throttled a request so many times in a row and `asked` for a wait: no less than
    1, 2, 4 … 60. A service that asks to wait a millisecond, and refuses again, would get a hundred requests a second.
    """
    least = min(2.0 ** min(refusals - 1, 10), _LONGEST_FLOOR)
    return max(asked, least) if asked else least * random.uniform(1.0, 1.25)


def retry_after(response: requests.Response) -> float | None:
    """Seconds Graph asks to wait, given in seconds or as an HTTP date; None where it does not say.

    SharePoint may give a longer `RateLimit-Reset` beside it, and the longer one holds:
    https://learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
    """
    waits = [seconds(response.headers.get(name)) for name in ("Retry-After", "RateLimit-Reset")]
    return max((wait for wait in waits if wait is not None), default=None)


def seconds(header: str | None) -> float | None:
    """A header's number of seconds, or the seconds until its HTTP date; None where it is neither."""
    if not header:
        return None
    try:
        number = float(header)
    except ValueError:
        pass
    else:
        return max(0.0, number) if math.isfinite(number) else None
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
