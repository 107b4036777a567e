"""The requests a tenant has answered, for tests to assert on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from .wire import Reply, Request

HEADERS = ("prefer", "consistencylevel", "user-agent", "accept-encoding", "client-request-id", "content-type")


class Seen(NamedTuple):
    """A request as the log keeps it."""

    time: float
    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int
    service: str


class Log:
    """Every request if `keep` is on; the counters run always."""

    def __init__(self) -> None:
        self.keep = True
        self.seen: list[Seen] = []
        self.by_service: Counter[str] = Counter()
        self.body_bytes = 0

    def __iter__(self) -> Iterator[Seen]:
        return iter(self.seen)

    def __len__(self) -> int:
        return self.by_service.total()

    def clear(self) -> None:
        self.seen.clear()
        self.by_service.clear()
        self.body_bytes = 0

    def add(self, when: float, request: Request, reply: Reply) -> None:
        self.by_service[reply.service] += 1
        self.body_bytes += len(reply.body)
        if self.keep:
            headers = {name: value for name in HEADERS if (value := request.headers.get(name))}
            self.seen.append(
                Seen(when, request.method, request.path, request.query, headers, reply.status, reply.service)
            )
