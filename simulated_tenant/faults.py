"""Faults on demand, as networks and services have them.

https://learn.microsoft.com/graph/best-practices-concept#reliability-and-support
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import unquote

import orjson

from . import signin
from .problems import KNOWN, Problem, problem
from .state import State
from .throttling import Throttle
from .wire import Reply, Request

ALWAYS = float("inf")
FOREIGN = "https://graph.evil.example/v1.0/users"
APOLOGY = (
    b"<html><head><title>Service Unavailable</title></head><body>Our services aren't available right now</body></html>"
)

USUAL_CODES = {
    401: "InvalidAuthenticationToken", 402: "PaymentRequired", 403: "Authorization_RequestDenied",
    404: "ResourceNotFound", 409: "Directory_ConcurrencyViolation", 410: "syncStateNotFound",
    429: "TooManyRequests", 500: "InternalServerError", 502: "BadGateway", 503: "ServiceUnavailable",
    504: "GatewayTimeout",
}  # fmt: skip


@dataclass
class Fault:
    """One fault: which requests it strikes, after how many of them, how often, and what it does.

    `match` is a regular expression searched for in "GET /v1.0/users?$top=5", percent-decoded. `kind` is `error`
    (a status with code and message, or a `problem` by its name), `reset`, `timeout`, `truncate` (less than the
    Content-Length promises), `inflate` (1 MB that unpacks to 1 GB), `endless` (a body without an end), `cut` (half a
    body, with the right Content-Length), `not_json`, `empty_page` (with a link to the same position), `repeat_link` (a
    nextLink to the same page), `foreign_link` (one to another host) or `edit` (the reply with a `change` to its headers
    and its body). A batch is delivered as the worst reply in it.
    """

    match: str
    kind: str = "error"
    status: int = 503
    code: str = ""
    message: str = "Please retry again later."
    headers: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    change: Callable[[dict[str, str], dict[str, Any]], None] | None = None
    after: int = 0
    times: float = 1
    matched: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("error", "edit", *DELIVERIES, *EDITS) or self.problem not in ("", *KNOWN):
            raise ValueError(f"There is no fault of kind {self.kind!r} with problem {self.problem!r}.")

    def due(self, line: str) -> bool:
        """Whether the fault strikes this request."""
        if not re.search(self.match, line):
            return False
        self.matched += 1
        strikes = self.matched > self.after and self.struck < self.times
        self.struck += strikes
        return strikes

    def refusal(self) -> Problem:
        if self.problem:
            return problem(self.problem, headers=self.headers)
        return Problem(
            self.status, self.code or USUAL_CODES.get(self.status, "UnknownError"), self.message, self.headers
        )


class Faults:
    """The faults that are yet to come. Of several that match a request the first one counts."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.waiting: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault) -> Fault:
        self.waiting.append(fault)
        return fault

    def clear(self) -> None:
        self.waiting.clear()

    def around(self, request: Request, throttle: Throttle, respond: Callable[[], Reply]) -> Reply:
        """The reply to the request, changed or replaced if a fault is due."""
        if not self.waiting:
            return respond()
        throttle.notice(request.path)
        line = unquote(f"{request.method} {request.path}" + (f"?{request.query}" if request.query else ""))
        with self._lock:
            fault = next((fault for fault in self.waiting if fault.due(line)), None)
        if fault is None:
            return respond()
        if fault.kind == "error":
            return self._refused(request, throttle, fault.refusal())
        reply = respond()
        if fault.kind in DELIVERIES:
            reply.delivery = fault.kind
        elif fault.change:
            _edited(reply, fault.change)
        else:
            EDITS[fault.kind](reply, request)
        return reply

    def _refused(self, request: Request, throttle: Throttle, refusal: Problem) -> Reply:
        """The error, flat from the token endpoint; a Retry-After is remembered, to see if the client keeps to it."""
        seconds = refusal.headers.get("Retry-After", "")
        if refusal.status == 429 or seconds:
            throttle.ask(request.path, float(seconds) if seconds.isdecimal() else 0)
        if refusal.status >= 429 and self.state.traits.retried_pages_spoil_tokens:
            self.state.failed_urls.add(request.url)
        if not signin.PATH.fullmatch(request.path):
            return refusal.reply(request, "fault")
        body = {"error": refusal.code, "error_description": refusal.message, "error_codes": []}
        return Reply(
            refusal.status,
            orjson.dumps(body),
            {"Content-Type": "application/json", **refusal.headers},
            workload="signin",
        )


def _edited(reply: Reply, change: Callable[[dict[str, str], dict[str, Any]], None]) -> None:
    """A refusal stays as it is."""
    if reply.status == 200:
        body = reply.json
        change(reply.headers, body)
        reply.body = orjson.dumps(body)


def _not_json(reply: Reply, request: Request) -> None:
    reply.body, reply.headers["Content-Type"] = APOLOGY, "text/html"


def _cut(reply: Reply, request: Request) -> None:
    reply.body = reply.body[: len(reply.body) // 2]


def _linked(link: Callable[[Request], str], **changes: Any) -> Callable[[Reply, Request], None]:
    def edit(reply: Reply, request: Request) -> None:
        body = {name: value for name, value in reply.json.items() if name != "@odata.deltaLink"}
        reply.body = orjson.dumps(body | {"@odata.nextLink": link(request)} | changes)

    return edit


DELIVERIES = ("reset", "timeout", "truncate", "inflate", "endless")
EDITS: Mapping[str, Callable[[Reply, Request], None]] = {
    "not_json": _not_json,
    "cut": _cut,
    "empty_page": _linked(lambda request: request.url, value=[]),
    "repeat_link": _linked(lambda request: request.url),
    "foreign_link": _linked(lambda request: FOREIGN),
}
