"""One response of Graph's, alone or out of a batch: its body, its error, its headers."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson
import requests
from requests.structures import CaseInsensitiveDict

from source_microsoft_graph.retries import seconds

_CHALLENGE = re.compile(r'\bclaims="([^"]+)"')


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

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object it holds, parsed once; empty if there is none."""
        try:
            body = orjson.loads(self._bytes)
        except orjson.JSONDecodeError:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def codes(self) -> list[str]:
        """The codes of its error, the outermost first."""
        return [str(node["code"]) for node in self._errors if node.get("code")]

    @property
    def message(self) -> str:
        """The message of its error; empty where there is none."""
        return next((str(node["message"]) for node in self._errors if node.get("message")), "")

    @property
    def _errors(self) -> Iterator[Mapping[str, Any]]:
        """The error object and those nested in it, the outermost first; Graph spells the key both ways."""
        error = self.body.get("error")
        while isinstance(error, dict):
            yield error
            error = error.get("innerError") or error.get("innererror")

    @property
    def request_id(self) -> str:
        """What Microsoft's support will ask for."""
        inner = (node["request-id"] for node in self._errors if node.get("request-id"))
        return str(self.headers.get("request-id") or next(inner, "none"))

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
        """Status, Graph's codes from the outermost in, its message and the request id."""
        status = f"HTTP {self.status_code}" if self.status_code else "no answer"
        kind = "/".join(self.codes) or self.reason or "without a code"
        return f"{status} {kind}: {self.message or 'no message'} (request-id {self.request_id})"
