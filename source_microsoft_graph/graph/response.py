"""One response of Graph's, alone or out of a batch: its body, its error, its headers."""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import msgspec
import orjson
import requests
from requests.structures import CaseInsensitiveDict

from source_microsoft_graph.graph.lenient import BrokenJson, parse
from source_microsoft_graph.retries import seconds
from source_microsoft_graph.transport import in_words

_CHALLENGE = re.compile(r'\bclaims="([^"]+)"')

_WORDS = 120
"""Characters that are quoted of a body which is not Graph's, and of a code."""

_SCREENFUL = 2_000
"""Characters of an error's messages that are shown; a message may have megabytes."""

_LEAST_OF_EACH = 200
"""Characters that are shown of each message at least, while there is room for them."""

_SEARCHED = 20_000
"""Characters of each message, and five times as many of all, in which the catalogue's texts are looked for."""

_ERRORS = 500
"""Errors nested in each other that are looked at."""

_NESTED = ("details", "innererror", "innerexception", "internalexception")
"""Under which names an error holds further ones, in lower case and without underscores."""

_NOTHING = (b"", b"null", b"{}", b'""')
"""Bodies that hold nothing."""


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
        self.size = len(content)
        self.as_page: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
        """What makes a page of the JSON of a success, where that is none: see `PageRequest`."""
        self._bytes = content

    @classmethod
    def of(cls, response: requests.Response, content: bytes) -> GraphResponse:
        return cls(response.status_code, response.headers, content, response.url, response.reason or "")

    @classmethod
    def none(cls, request: requests.PreparedRequest, error: Exception) -> GraphResponse:
        """What stands for the response when the connection broke: the reason as Graph would shape it."""
        body = {"error": {"code": type(error).__name__, "message": in_words(error)}}
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
        if not self._bytes:
            return {}, repairs, "no body"
        try:
            value = _decode(self._bytes)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            try:
                value, repairs = parse(bytes(self._bytes))
            except BrokenJson as broken:
                return {}, repairs, str(broken)
        if not isinstance(value, dict):
            return {}, repairs, "the JSON is no object"
        if self.status_code == 200:
            # A page is read once, as objects; its bytes would stay beside them.
            self._bytes = b""
        if self.as_page and 200 <= self.status_code < 300:
            value = dict(self.as_page(value))
        return value, repairs, ""

    @property
    def is_graphs(self) -> bool:
        """Whether Graph wrote it, and not a proxy, a gateway or a firewall on the way: it is a page, or an error in
        Graph's shape, or has no body and Graph's request id, or demands a token.

        Graph passes on the HTML of its own gateways as the message of an error that says nothing itself.
        """
        if self.status_code == 401 and "bearer" in self.headers.get("WWW-Authenticate", "").lower():
            return True
        if 200 <= self.status_code < 300 and "value" in self.body:
            return True
        error = self.error
        if isinstance(error, dict) and error:
            return not any(map(_is_html, self._messages))
        is_empty = len(self._bytes) <= _WORDS and bytes(self._bytes).strip() in _NOTHING
        return is_empty and "request-id" in self.headers

    @property
    def error(self) -> Any:
        """Its error as Graph sent it, of any type; None where there is none. Services behind Graph may name it in the
        way of OData 3."""
        error = self.body.get("error")
        return self.body.get("odata.error") if error is None else error

    @property
    def codes(self) -> list[str]:
        """The codes of its error, the outermost first."""
        return [str(node["code"])[:_WORDS] for node in self._errors if node.get("code")]

    @property
    def message(self) -> str:
        """Every message of its error, the deepest first, shortened to a screenful; empty where there is none."""
        messages = self._messages
        share = max(_LEAST_OF_EACH, _SCREENFUL // max(1, len(messages)))
        return _shortened(" | ".join(_shortened(message, share) for message in messages), _SCREENFUL)

    @property
    def searched(self) -> str:
        """Every message of its error in lower case, the deepest first, as far as the catalogue looks for texts."""
        return " | ".join(self._messages)[: 5 * _SEARCHED].lower()

    @cached_property
    def _messages(self) -> list[str]:
        """The different messages of its error, the deepest first, each in one line."""
        texts = (_text(node.get("message")) for node in reversed(self._errors))
        return [*dict.fromkeys(filter(None, texts))]

    @cached_property
    def _errors(self) -> list[Mapping[str, Any]]:
        """The error object and those nested in it, the outermost first, their keys in lower case without underscores:
        Graph spells them in several ways."""
        found: list[Mapping[str, Any]] = []
        waiting = deque([self.error])
        while waiting and len(found) < _ERRORS:
            node = waiting.popleft()
            if isinstance(node, list):
                waiting.extend(node[:_ERRORS])
            elif isinstance(node, str):
                found.append({"message": node})
            elif isinstance(node, dict):
                found.append({name.lower().replace("_", ""): value for name, value in node.items()})
                waiting.extend(found[-1][name] for name in _NESTED if name in found[-1])
        return found

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
            content_type = self.headers.get("Content-Type") or "without a content type"
            return f"{status} {content_type[:_WORDS]}: {self._words}"
        kind = _shortened("/".join(self.codes), 4 * _WORDS) or self.reason or "without a code"
        why = self.message or (self.fault if 200 <= self.status_code < 300 else "") or "no message"
        return f"{status} {kind}: {why} (request-id {self.request_id})"

    @property
    def _words(self) -> str:
        """Where a page breaks, or the first words of what is none."""
        words = " ".join(bytes(self._bytes[: 4 * _WORDS]).decode(errors="replace").split())[:_WORDS]
        if self.fault and 200 <= self.status_code < 300 and words.startswith(("{", "[", "\ufeff")):
            return self.fault
        return f"“{words}”" if words else "no body"


def _text(message: Any) -> str:
    """A message in one line; OData 3 has its language beside it."""
    if isinstance(message, dict):
        message = message.get("value") or message
    return " ".join(str(message)[:_SEARCHED].split()) if message else ""


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _is_html(message: str) -> bool:
    return message[:15].lower().startswith(("<html", "<!doctype html"))
