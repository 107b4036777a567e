"""What goes over the wire, as values: requests and replies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

CONTENT_TYPE = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

_numbers = itertools.count(1)


@dataclass(slots=True)
class Request:
    """A request as it arrived: path and query are still percent-encoded."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __post_init__(self) -> None:
        self.headers = {name.lower(): value for name, value in self.headers.items()}

    @classmethod
    def to(
        cls,
        url: str,
        token: str = "",
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        """A request to a whole URL, as a client with this token sends it."""
        parts = urlsplit(url)
        sent = {"host": parts.netloc, **(headers or {})} | ({"authorization": f"Bearer {token}"} if token else {})
        return cls(method, parts.path, parts.query, sent, body)

    @property
    def host(self) -> str:
        return self.headers.get("host", "graph.microsoft.com")

    @property
    def url(self) -> str:
        return f"https://{self.host}{self.path}" + (f"?{self.query}" if self.query else "")

    def parameters(self) -> list[tuple[str, str]]:
        """The decoded query, in order; a plus sign is a space, as on the service."""
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass(slots=True)
class Reply:
    """A reply, and how the server is to deliver it: whole, cut short, or not at all."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delivery: str = "whole"
    workload: str = ""
    mailboxes: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def request_id() -> str:
    """A new id for a reply."""
    return f"5f3c9b1e-7a40-4c6d-9e21-{next(_numbers):012x}"


def json_headers(request: Request, number: str) -> dict[str, str]:
    """The headers Graph gives every JSON reply."""
    return {
        "Content-Type": CONTENT_TYPE,
        "request-id": number,
        "client-request-id": request.headers.get("client-request-id", number),
    }
