"""One response of Graph's, alone or out of a batch: its body, its error, its headers."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec
import orjson
import requests
from requests.structures import CaseInsensitiveDict

from source_microsoft_graph.graph.lenient import BrokenJson, parse
from source_microsoft_graph.retries import seconds

_CHALLENGE = re.compile(r'\bclaims="([^"]+)"')

_WORDS = 120
"""Characters that are quoted of a body which is not Graph's."""

_SCREENFUL = 2_000
"""Characters of an error's messages that are shown and searched; a message may have megabytes."""

_ERRORS = 20
"""Errors nested in each other that are looked at."""


def _decode(content: bytes | memoryview) -> Any:
    """The JSON value. An integer of any length keeps its digits, which orjson would turn into a float."""
    return msgspec.json.decode(content)


class GraphResponse(requests.Response):
    """A response whose bytes are there already. Status 0 stands for a request that got no response."""

    def __init__(
        self, status: int, headers: Mapping[str, str], content: bytes | memoryview, url: str = "", reason: str = ""
    ) -> None:
        super().__init__()
        self.status_code = status
        self.headers = CaseInsensitiveDict(headers)
        self.url, self.reason = url, reason
        self._bytes = content

    @classmethod
    def of(cls, response: requests.Response, content: bytes) -> GraphResponse:
        return cls(response.status_code, response.headers, content, response.url, response.reason or "")

    @classmethod
    def none(cls, request: requests.PreparedRequest, error: Exception) -> GraphResponse:
        """What stands for the response when the connection broke: the reason as Graph would shape it."""
        body = {"error": {"code": type(error).__name__, "message": str(error)}}
        return cls(0, {}, orjson.dumps(body), str(request.url))

    @property
    def content(self) -> bytes | memoryview:
        return self._bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object it holds, parsed once; empty if there is none."""
        return self._parsed[0]

    @property
    def repairs(self) -> frozenset[str]:
        """What had to be repaired before the body was JSON."""
        return self._parsed[1]

    @property
    def fault(self) -> str:
        """Why there is no JSON object in it; empty where there is one."""
        return self._parsed[2]

    @cached_property
    def _parsed(self) -> tuple[dict[str, Any], frozenset[str], str]:
        repairs: frozenset[str] = frozenset()
        try:
            value = _decode(self._bytes)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            try:
                value, repairs = parse(bytes(self._bytes))
            except BrokenJson as broken:
                return {}, repairs, str(broken)
        if isinstance(value, dict):
            return value, repairs, ""
        return {}, repairs, "the JSON is no object"

    @property
    def is_graphs(self) -> bool:
        """Whether Graph wrote it, and not a proxy, a gateway or a firewall on the way: it is a page, or an error in
        Graph's shape, or has no body and Graph's request id."""
        if not self._bytes or bytes(self._bytes[:8]) == b"null":
            return "request-id" in self.headers
        return bool(self.body.get("error")) or "value" in self.body

    @property
    def codes(self) -> list[str]:
        """The codes of its error, the outermost first."""
        return [str(node["code"])[:_WORDS] for node in self._errors if node.get("code")]

    @property
    def message(self) -> str:
        """Every message of its error, the deepest first; empty where there is none."""
        messages = [str(node["message"])[:_SCREENFUL] for node in self._errors if node.get("message")]
        return " | ".join(dict.fromkeys(reversed(messages)))[:_SCREENFUL]

    @property
    def _errors(self) -> Iterator[Mapping[str, Any]]:
        """The error object and those nested in it, the outermost first; Graph spells the key in several ways."""
        error = self.body.get("error")
        if isinstance(error, str):
            yield {"code": error, "message": self.body.get("error_description")}
        for _ in range(_ERRORS):
            if not isinstance(error, dict):
                return
            yield error
            details = error.get("details")
            yield from (
                (detail for detail in details[:_ERRORS] if isinstance(detail, dict))
                if isinstance(details, list)
                else ()
            )
            error = error.get("innerError") or error.get("innererror") or error.get("inner_error")

    @property
    def request_id(self) -> str:
        """What Microsoft's support will ask for."""
        inner = (node["request-id"] for node in self._errors if node.get("request-id"))
        return str(self.headers.get("request-id") or next(inner, "none"))[:_WORDS]

    @property
    def claims_challenge(self) -> str | None:
        """What Graph demands of the next token, as JSON, where it revokes one before its time.

        https://learn.microsoft.com/entra/identity-platform/claims-challenge
        """
        challenge = _CHALLENGE.search(self.headers.get("WWW-Authenticate", ""))
        if not challenge:
            return None
        try:
            claims = base64.b64decode(challenge[1] + "=" * (-len(challenge[1]) % 4), altchars=b"-_").decode()
            return claims if isinstance(orjson.loads(claims), dict) else None
        except ValueError:
            return None

    @property
    def is_near_limit(self) -> bool:
        """Whether Graph announces that it is about to throttle: from 80 % of the directory's limit, and of
        SharePoint's."""
        if "x-ms-throttle-limit-percentage" in self.headers:
            return True
        limit = seconds(self.headers.get("RateLimit-Limit"))
        remaining = seconds(self.headers.get("RateLimit-Remaining"))
        return bool(limit) and remaining is not None and remaining <= 0.2 * (limit or 0.0)

    def __str__(self) -> str:
        """Status, Graph's codes from the outermost in, its messages and the request id; or what answered instead."""
        status = f"HTTP {self.status_code}" if self.status_code else "no answer"
        if self.status_code and not self.is_graphs:
            return f"{status} {self.headers.get('Content-Type', 'without a content type')}: {self._words}"
        kind = "/".join(self.codes) or self.reason or "without a code"
        return f"{status} {kind}: {self.message or self.fault or 'no message'} (request-id {self.request_id})"

    @property
    def _words(self) -> str:
        """Where the body breaks, or its first words."""
        if self.fault and 200 <= self.status_code < 300:
            return self.fault
        words = " ".join(bytes(self._bytes[: 4 * _WORDS]).decode(errors="replace").split())[:_WORDS]
        return f"“{words}”" if words else "no body"
