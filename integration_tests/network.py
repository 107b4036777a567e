"""A network in this process: every HTTPS host there is, each answered by a simulated tenant or by nobody.

with Network({"login.microsoftonline.com": tenant, "graph.microsoft.com": tenant}) as network:
    ...  # network.sent holds every request that was made meanwhile
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse

from simulated_tenant.tenant import Tenant
from simulated_tenant.wire import Request


@dataclass(frozen=True)
class Sent:
    """A request as it left: where to, and whether it carried an access token."""

    scheme: str
    host: str
    path: str
    has_token: bool
    body: str


class Network:
    """Stands in for the sockets of the requests library while it is entered."""

    def __init__(self, hosts: Mapping[str, Tenant]) -> None:
        self.hosts = dict(hosts)
        self.sent: list[Sent] = []
        self._patch = patch.object(HTTPAdapter, "send", self._send)

    def __enter__(self) -> Network:
        for host, tenant in self.hosts.items():
            tenant.graph_hosts.add(host)
        self._patch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patch.stop()

    @property
    def hosts_given_a_token(self) -> set[str]:
        return {request.host for request in self.sent if request.has_token}

    @property
    def hosts_asked(self) -> set[str]:
        return {request.host for request in self.sent}

    def _send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        url = urlsplit(str(request.url))
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        has_token = "Bearer " in request.headers.get("Authorization", "")
        self.sent.append(Sent(url.scheme, url.netloc, url.path, has_token, body.decode()))
        tenant = self.hosts.get(url.netloc)
        if tenant is None or url.scheme != "https":
            raise requests.ConnectionError(f"No route to {url.scheme}://{url.netloc}", request=request)
        headers = {**request.headers, "host": url.netloc}
        reply = tenant.respond(Request(str(request.method), url.path, url.query, headers, body))
        raw = HTTPResponse(io.BytesIO(reply.body), HTTPHeaderDict(reply.headers), reply.status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)
