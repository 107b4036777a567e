"""The state of a simulated tenant: what it was founded with, what has happened in it since, and its clock.

Every other module of the package works on this state. It knows none of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Protocol, TypeVar, cast

from .history import Histories
from .request_log import RequestLog
from .size import Size, Traits
from .trust import Trust


class Contents(Protocol):
    """What one workload holds: a class that is made from the state."""

    def __init__(self, state: State) -> None: ...


C = TypeVar("C", bound=Contents)


class State:
    """`trouble` says which objects a workload refuses, and with which problem: by area, then by the object's number.
    `broken` holds the ids of items that Outlook cannot serve, so that each page with one of them fails."""

    tenant_id = "8f6b3a52-0d0f-4a53-9f0f-6a1c5a4f2b7e"
    domain = "contoso.onmicrosoft.com"
    client_id = "1d2c6b1e-97b5-4f57-8b34-7d6f0c3a9e21"
    client_secret = "simulated~Secret/+with=signs"

    def __init__(
        self,
        size: Size | None = None,
        *,
        seed: int = 1,
        traits: Traits | None = None,
        grants: Iterable[str] = (),
        today: datetime | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.size, self.seed, self.traits, self._clock = size or Size(), seed, traits or Traits(), clock
        self._ahead = 0.0
        self.grants = set(grants)
        self.today = (today or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)
        self.key = blake2b(f"key/{seed}".encode(), digest_size=32).digest()
        self.id_prefix = self.key.hex()[:16]
        self.graph_hosts = {"graph.microsoft.com"}
        self.trust = Trust()
        self.token_generation = 1
        self.known_tokens: dict[str, dict[str, Any]] = {}
        self.failed_urls: set[str] = set()
        self.token_generations: Counter[str] = Counter()
        self.histories = Histories()
        self.requests = RequestLog()
        self.trouble: dict[str, dict[Any, str]] = {}
        self.broken: set[str] = set()
        self._contents: dict[type, Any] = {}

    def clock(self) -> float:
        """The time in this tenant, in seconds since 1970."""
        return self._clock() + self._ahead

    def advance(self, **span: float) -> None:
        """Let time pass: `advance(days=8)`."""
        self._ahead += timedelta(**span).total_seconds()

    def of(self, kind: type[C]) -> C:
        """What a workload holds in this tenant: one object of the class, made at the first call."""
        if kind not in self._contents:
            self._contents[kind] = kind(self)
        return cast(C, self._contents[kind])
