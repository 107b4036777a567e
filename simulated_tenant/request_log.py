"""The requests that a tenant has answered, for tests to assert on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from .wire import Reply, Request

HEADERS = ("prefer", "consistencylevel", "user-agent", "accept-encoding", "client-request-id", "content-type")


class LoggedRequest(NamedTuple):
    """A request as the log keeps it; `time` is in seconds since 1970, by the tenant's clock."""

    time: float
    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int
    workload: str


class RequestLog:
    """It keeps every request while `keep` is on. It counts them always."""

    def __init__(self) -> None:
        self.keep = True
        self.kept: list[LoggedRequest] = []
        self.by_workload: Counter[str] = Counter()

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(self.kept)

    def __len__(self) -> int:
        return self.by_workload.total()

    def clear(self) -> None:
        self.kept.clear()
        self.by_workload.clear()

    def add(self, when: float, request: Request, reply: Reply) -> None:
        self.by_workload[reply.workload] += 1
        if self.keep:
            headers = {name: value for name in HEADERS if (value := request.headers.get(name))}
            self.kept.append(
                LoggedRequest(when, request.method, request.path, request.query, headers, reply.status, reply.workload)
            )
