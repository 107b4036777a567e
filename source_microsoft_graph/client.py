"""The one way to ask Graph for a page: paced, authorised, retried, judged.

The CDK's own HTTP client is not used for this. It sleeps a second longer than Retry-After asks, has no jitter,
counts being throttled against the same attempts as failing, and sees one answer where a `$batch` holds twenty.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from airbyte_cdk.sources.http_config import MAX_CONNECTION_POOL_SIZE
from airbyte_cdk.sources.streams.http.tcp_keepalive import TcpKeepaliveHTTPAdapter

from source_microsoft_graph.auth import GraphAuth
from source_microsoft_graph.errors import (
    Action,
    ConnectionFailed,
    GraphUnavailable,
    GraphUnreachable,
    Known,
    ProtocolBroken,
    describe,
    judge,
    no_answer,
    retry_after,
)
from source_microsoft_graph.pacing import ATTEMPTS, PATIENCE, Pacer, Service, backoff

TIMEOUT = (10, 120)
"""Seconds to connect, and seconds of silence while reading, before a request counts as failed."""

_ATTEMPTS_BEFORE_SHRINKING = 3
_HEADERS = {
    "Accept": "application/json",
    # Without it Graph writes unknownFutureValue for enum members added since v1.0:
    # https://learn.microsoft.com/graph/best-practices-concept#handling-future-members-in-evolvable-enumerations
    "Prefer": "include-unknown-enum-members",
    # SharePoint throttles traffic that does not say whose it is sooner.
    "User-Agent": "NONISV|source-microsoft-graph|source-microsoft-graph/0.1.0",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One page to ask for. `shrinkable` says that the same rows can be asked for in smaller pages."""

    url: str
    service: Service
    shrinkable: bool = False


class GraphClient:
    """Sends requests to one Graph host. Shared by all workers; safe between threads."""

    def __init__(self, graph_host: str, auth: GraphAuth, pacer: Pacer) -> None:
        self._host = graph_host
        self._auth = auth
        self._pacer = pacer
        self._answered_at = float("-inf")
        self._failure: ConnectionFailed | None = None
        self._failing = threading.Lock()
        self._session = requests.Session()
        self._session.headers.update(_HEADERS)
        self._session.auth = auth
        self._session.mount(
            "https://",
            TcpKeepaliveHTTPAdapter(pool_connections=MAX_CONNECTION_POOL_SIZE, pool_maxsize=MAX_CONNECTION_POOL_SIZE),
        )

    def get(self, ask: Ask) -> tuple[requests.Response, Known]:
        """Ask until Graph gives an answer that asking again would not change, and say what kind it is.

        Raises `GraphUnavailable` where Graph kept failing or throttling, and `ConnectionFailed` where it is of no
        use to ask anything else either.
        """
        self._check_host(ask.url)
        renewed = False
        failures = throttled = 0
        started = self._pacer.now()
        while True:
            self._pacer.wait(ask.service)
            self.raise_if_failed()
            request, response = self._send(ask.url)
            known = judge(response)
            match known.action:
                case Action.WAIT:
                    throttled += 1
                    if self._pacer.now() - started > PATIENCE:
                        raise GraphUnavailable(f"Throttled for {PATIENCE // 3600} hours. {describe(response)}")
                    self._pacer.pause(ask.service, retry_after(response) or backoff(throttled))
                case Action.RENEW:
                    if renewed:
                        return response, known
                    renewed = True
                    self._renew(request)
                case Action.RETRY | Action.SHRINK | Action.CORRUPT as action:
                    failures += 1
                    if ask.shrinkable and action is not Action.RETRY and failures >= _ATTEMPTS_BEFORE_SHRINKING:
                        return response, known
                    if failures == ATTEMPTS:
                        if action is Action.CORRUPT:
                            return response, known
                        raise self._lasting(response, started)
                    self._pacer.sleep(backoff(failures))
                case _:
                    return response, known

    def fail(self, failure: ConnectionFailed) -> ConnectionFailed:
        """End the sync: from now on every request of every worker raises this failure."""
        with self._failing:
            self._failure = self._failure or failure
        self._pacer.stop()
        return failure

    def raise_if_failed(self) -> None:
        if self._failure:
            raise type(self._failure)(str(self._failure))

    def _send(self, url: str) -> tuple[requests.PreparedRequest, requests.Response]:
        request = requests.Request("GET", url)
        try:
            prepared = self._session.prepare_request(request)
        except ConnectionFailed as failure:
            raise self.fail(failure) from None
        settings = self._session.merge_environment_settings(url, {}, None, None, None)
        try:
            # A redirect could lead the token off the Graph host; no listing needs one.
            response = self._session.send(prepared, timeout=TIMEOUT, allow_redirects=False, **settings)
        except requests.RequestException as error:
            return prepared, no_answer(prepared, error)
        self._answered_at = self._pacer.now()
        return prepared, response

    def _renew(self, refused: requests.PreparedRequest) -> None:
        try:
            self._auth.renew(refused)
        except ConnectionFailed as failure:
            raise self.fail(failure) from None

    def _lasting(self, response: requests.Response, started: float) -> GraphUnavailable | ConnectionFailed:
        """The connection is what failed if nobody got any answer all the while; else it is this page alone."""
        if self._answered_at < started:
            return self.fail(GraphUnreachable(f"{self._host} did not answer {ATTEMPTS} times. {describe(response)}"))
        return GraphUnavailable(f"Graph failed {ATTEMPTS} times. {describe(response)}")

    def _check_host(self, url: str) -> None:
        """A page link is Graph's to choose, and the token goes wherever it leads."""
        parts = urlsplit(url)
        if parts.scheme != "https" or _without_default_port(parts.netloc) != _without_default_port(self._host):
            raise ProtocolBroken(f"Refused to follow a page link to {parts.scheme}://{parts.netloc}: not {self._host}.")


def _without_default_port(host: str) -> str:
    return host.lower().removesuffix(":443")
