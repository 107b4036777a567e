"""Files that Graph redirects to, such as usage reports.

Their URLs are preauthenticated: whoever has one has the file, without a token, for some minutes. So the access token is
never sent along, and no URL is ever printed: https://learn.microsoft.com/graph/api/resources/report
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests

from source_microsoft_graph.errors import ProtocolBroken
from source_microsoft_graph.graph.request import Redirect
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.redaction import remember
from source_microsoft_graph.transport import Bounds, body, bounded_session


class DownloadedPage(GraphResponse):
    """A file as a page of objects."""

    def __init__(self, headers: Mapping[str, str], content: bytes, url: str, redirect: Redirect) -> None:
        """`url` is Graph's own, for what is told of the page."""
        super().__init__(200, headers, content, url)
        self._redirect = redirect

    @cached_property
    def _parsed(self) -> tuple[dict[str, Any], frozenset[str], str]:
        try:
            objects = self._redirect.objects(bytes(self._bytes)) if self._redirect.objects else []
        except ValueError as error:
            return {}, frozenset(), f"the file cannot be read: {error}"
        return {"value": objects}, frozenset(), ""


class Downloads:
    """Fetches files over connections of their own, which know no token. Safe between threads."""

    def __init__(self, timeout: tuple[float, float], bounds: Bounds) -> None:
        self._timeout = timeout
        self._bounds = bounds
        self._session = bounded_session(bounds)
        # Without an `auth` of its own, requests looks for a password of the host in ~/.netrc.
        self._session.auth = lambda request: request

    def page(self, redirected: GraphResponse, redirect: Redirect) -> GraphResponse:
        """The file that Graph redirected to, as a page. What goes wrong with it is a response without a status, so that
        Graph is asked again, for another URL. Raises `ProtocolBroken` for a URL without TLS."""
        location = redirected.headers.get("Location", "")
        parts = urlsplit(location)
        # The token of a URL may stand in its path or in its query. It is no text of which a part tells anything.
        remember(f"{parts.path}?{parts.query}" if parts.query else parts.path, in_parts=False)
        if parts.scheme != "https" or not parts.hostname:
            raise ProtocolBroken(f"Refused to fetch a file from {parts.scheme or 'a URL without a scheme'}: not https.")
        if redirect.objects is None:
            return DownloadedPage(redirected.headers, b"", redirected.url, redirect)
        try:
            response = self._session.get(location, timeout=self._timeout, allow_redirects=False, stream=True)
            content = body(response, self._bounds.unpacked)
        except requests.RequestException as error:
            # The message of the error holds the URL.
            return _without_file(redirected, type(error).__name__, f"{parts.hostname} did not send the file.")
        if response.status_code != 200:
            told = f"{parts.hostname} answered {response.status_code} instead of sending the file."
            return _without_file(redirected, "DownloadRefused", told)
        return DownloadedPage(response.headers, content, redirected.url, redirect)


def _without_file(redirected: GraphResponse, code: str, message: str) -> GraphResponse:
    headers = {name: redirected.headers[name] for name in ("request-id",) if name in redirected.headers}
    content = orjson.dumps({"error": {"code": code, "message": message}})
    return GraphResponse(0, headers, content, redirected.url)
