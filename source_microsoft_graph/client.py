"""The one way to ask Graph for pages: paced, authorised, batched, retried, judged.

The CDK's own HTTP client is not used for this. It sleeps a second longer than Retry-After asks, has no jitter,
counts being throttled against the same attempts as failing, and sees one answer where a `$batch` holds twenty.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from airbyte_cdk.sources.http_config import MAX_CONNECTION_POOL_SIZE
from airbyte_cdk.sources.streams.http.tcp_keepalive import TcpKeepaliveHTTPAdapter
from urllib3.exceptions import HTTPError

from source_microsoft_graph.auth import GraphAuth
from source_microsoft_graph.batch import MOST, batch_of, parts_of
from source_microsoft_graph.errors import (
    Action,
    ConnectionFailed,
    ErrorRule,
    GraphUnavailable,
    GraphUnreachable,
    ProtocolBroken,
    claims_challenge,
    classify,
    describe,
    is_near_limit,
    no_answer,
    retry_after,
    with_content,
)
from source_microsoft_graph.pacing import ATTEMPTS, PATIENCE, RateLimiter, Service, backoff

_logger = logging.getLogger("airbyte")

TIMEOUT = (10, 120)
"""Seconds to connect, and seconds of silence while reading, before a request counts as failed."""

_VERSION = "/v1.0"
_ATTEMPTS_BEFORE_SHRINKING = 3
_HEAVY = 4 * 1024 * 1024
"""Bytes of a batch's answer from which on fewer pages are asked for together."""

_OF_EACH_PART = {401, 408, 409, 429}
"""Refusals of a batch that would be those of each request in it. Any other says nothing about what was asked for: that
no object is there, for one, where the cloud has no batches."""

_PART_HEADERS = {
    "Accept": "application/json",
    # Without it Graph writes unknownFutureValue for enum members added since v1.0:
    # https://learn.microsoft.com/graph/best-practices-concept#handling-future-members-in-evolvable-enumerations
    "Prefer": "include-unknown-enum-members",
}
"""A batch's own headers do not reach the requests in it, so each of those carries these."""

_HEADERS = {
    **_PART_HEADERS,
    # SharePoint throttles traffic that does not say whose it is sooner.
    "User-Agent": "NONISV|source-microsoft-graph|source-microsoft-graph/0.1.0",
}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page to ask for, on behalf of some listing. `shrinkable` says that the same rows can be asked for in
    smaller pages. `not_before` is a time of the pacer's. `headers` go with the request beside the usual ones."""

    url: str
    service: Service
    shrinkable: bool = False
    listing: Any = None
    not_before: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageResponse:
    """What asking came to. `lasting` is set where Graph kept failing or throttling until patience ran out."""

    page_request: PageRequest
    response: requests.Response
    rule: ErrorRule
    lasting: GraphUnavailable | None = None


@dataclass(slots=True)
class BatchSize:
    """How many pages of one stream are asked for in a request. A worker holds the whole answer, so this shrinks for
    the rest of the sync when the answers prove heavy, and grows while they are light."""

    most: int
    bound: int = MOST

    def learn(self, pages: int, size: int) -> None:
        """From an answer of so many pages and bytes."""
        if size > _HEAVY:
            self.most = max(1, min(self.most, pages // 2))
        elif pages == self.most > 1 and 2 * size < _HEAVY:
            self.most = min(2 * pages, self.bound)

    def refused(self, pages: int) -> None:
        """So many are too many for Graph; one alone goes without a batch."""
        self.bound = min(self.bound, pages // 2)
        self.most = min(self.most, self.bound)


@dataclass(slots=True, eq=False)
class PendingRequest:
    """An ask on its way to an answer that asking again would not change."""

    page_request: PageRequest
    started: float
    ready_at: float = 0.0
    failures: int = 0
    throttled: int = 0
    renewed: bool = False


class GraphClient:
    """Sends requests to one Graph host, so many at once. Shared by all workers; safe between threads."""

    def __init__(self, graph_host: str, auth: GraphAuth, limiter: RateLimiter, at_once: int) -> None:
        self._host = graph_host
        self._batch_url = f"https://{graph_host}{_VERSION}/$batch"
        self._auth = auth
        self._limiter = limiter
        self._places = threading.BoundedSemaphore(at_once)
        self._answered_at = float("-inf")
        self.date: datetime | None = None
        """Graph's time at its first answer."""
        self._accepted = ""
        self._failure: ConnectionFailed | None = None
        self._failing = threading.Lock()
        self._session = requests.Session()
        self._session.headers.update(_HEADERS)
        self._session.auth = auth
        # Proxies and certificates as the environment has them. Every request goes to one host, so once is enough.
        self._settings = self._session.merge_environment_settings(self._batch_url, {}, True, None, None)
        self._session.mount(
            "https://",
            TcpKeepaliveHTTPAdapter(pool_connections=MAX_CONNECTION_POOL_SIZE, pool_maxsize=MAX_CONNECTION_POOL_SIZE),
        )

    def get(self, page_request: PageRequest) -> tuple[requests.Response, ErrorRule]:
        """The answer to one ask. Raises `GraphUnavailable` where Graph kept failing, and as `answers` does."""
        page_response = next(self.responses(deque([page_request]), BatchSize(1)))
        if page_response.lasting:
            raise page_response.lasting
        return page_response.response, page_response.rule

    def responses(
        self, page_requests: deque[PageRequest], batch_size: BatchSize, *, is_lazy: bool = False
    ) -> Generator[PageResponse, None, None]:
        """Take asks off the queue, as many in a request as go together, and hand out each answer once it is final.

        The next pages may be put on the queue meanwhile. An ask that has to wait, because it was throttled or Graph
        failed it, waits by itself. A request is under way until its answer was dealt with, for that is held in memory;
        with `is_lazy` only until the answer is there, for whoever deals with it may take any time. Raises
        `ConnectionFailed` where it is of no use to ask anything else either, and `ProtocolBroken` for an ask to
        another host.
        """
        waiting: list[PendingRequest] = []
        while page_requests or waiting:
            batch = self._next_batch(page_requests, waiting, batch_size.most)
            with ExitStack() as place:
                self._limiter.wait(batch[0].page_request.service, len(batch), self._places)
                place.push(self._places)
                self.raise_if_failed()
                request, size, parts = self._send(batch)
                if is_lazy:
                    place.close()
                if not parts:
                    batch_size.refused(len(batch))
                    waiting += batch
                    continue
                batch_size.learn(len(parts), size)
                # Each part is let go of before the next is read: parsed, a page takes several times its bytes.
                for pending in batch:
                    page_response = self._settle(pending, request, parts.popleft())
                    if page_response:
                        yield page_response
                    else:
                        waiting.append(pending)
                    page_response = None

    def _next_batch(
        self, page_requests: deque[PageRequest], waiting: list[PendingRequest], batch_size: int
    ) -> list[PendingRequest]:
        """What may be asked now: first what waited long enough, then what is new. Sleeps while there is nothing."""
        while True:
            self.raise_if_failed()
            now = self._limiter.now()
            batch = [pending for pending in waiting if pending.ready_at <= now][:batch_size]
            waiting[:] = [pending for pending in waiting if pending not in batch]
            while page_requests and len(batch) < batch_size:
                page_request = page_requests.popleft()
                self.check_host(page_request.url)
                pending = PendingRequest(page_request, started=now, ready_at=page_request.not_before)
                (batch if pending.ready_at <= now else waiting).append(pending)
            if batch:
                return batch
            self._limiter.sleep(min(pending.ready_at for pending in waiting) - now)

    def _settle(
        self, pending: PendingRequest, request: requests.PreparedRequest, response: requests.Response
    ) -> PageResponse | None:
        """The final answer, or None where the trial has to be sent again."""
        rule, page_request, now = classify(response), pending.page_request, self._limiter.now()
        if is_near_limit(response):
            self._limiter.near_limit(page_request.service)
        lasting: GraphUnavailable | None = None
        match rule.action:
            case Action.WAIT:
                pending.throttled += 1
                wait = retry_after(response) or backoff(pending.throttled)
                if page_request.service.value.per_object:
                    pending.ready_at = now + wait
                else:
                    self._limiter.pause(page_request.service, wait)
                if now + wait <= pending.started + PATIENCE:
                    return None
                lasting = GraphUnavailable(f"Throttled for {PATIENCE // 3600} hours. {describe(response)}")
            case Action.RENEW if not pending.renewed:
                pending.renewed = True
                self._renew(request, response)
                return None
            case Action.RETRY | Action.SHRINK | Action.CORRUPT as action:
                pending.failures += 1
                may_shrink = page_request.shrinkable and action is not Action.RETRY
                if pending.failures < (_ATTEMPTS_BEFORE_SHRINKING if may_shrink else ATTEMPTS):
                    pending.ready_at = now + backoff(pending.failures)
                    return None
                if not may_shrink and action is not Action.CORRUPT:
                    lasting = self._lasting(response, pending.started)
        return PageResponse(page_request, response, rule, lasting)

    def fail(self, failure: ConnectionFailed) -> ConnectionFailed:
        """End the sync: from now on every request of every worker raises this failure."""
        with self._failing:
            self._failure = self._failure or failure
        self._limiter.stop()
        return failure

    def raise_if_failed(self) -> None:
        if self._failure:
            raise type(self._failure)(str(self._failure))

    def _send(self, batch: Sequence[PendingRequest]) -> tuple[requests.PreparedRequest, int, deque[requests.Response]]:
        """One request for all of them: what was sent, how many bytes came back, and each one's own answer; none where
        Graph does not take them together."""
        urls = [pending.page_request.url for pending in batch]
        if len(urls) == 1:
            request, size, response = self._exchange(
                requests.Request("GET", urls[0], _headers_of(batch[0].page_request))
            )
            return request, size, deque([response])
        envelope = batch_of([_relative(url) for url in urls], [_headers_of(pending.page_request) for pending in batch])
        request, size, response = self._exchange(requests.Request("POST", self._batch_url, json=envelope))
        if 300 <= response.status_code < 500 and response.status_code not in _OF_EACH_PART:
            _logger.warning(f"Graph refused {len(urls)} requests together, so fewer are sent. {describe(response)}")
            return request, size, deque()
        return request, size, deque(parts_of(response, urls))

    def _exchange(self, request: requests.Request) -> tuple[requests.PreparedRequest, int, requests.Response]:
        """Send, and read the body at once: requests would read it in small pieces, and keep it beside what it says."""
        try:
            prepared = self._session.prepare_request(request)
        except ConnectionFailed as failure:
            raise self.fail(failure) from None
        try:
            # A redirect could lead the token off the Graph host; no listing needs one.
            response = self._session.send(prepared, timeout=TIMEOUT, allow_redirects=False, **self._settings)
            content = response.raw.read(decode_content=True)
        except (requests.RequestException, HTTPError) as error:
            return prepared, 0, no_answer(prepared, error)
        self._answered_at = self._limiter.now()
        self.date = self.date or _date(response)
        if response.ok:
            self._accepted = prepared.headers["Authorization"]
        return prepared, len(content), with_content(response, content)

    def _renew(self, refused: requests.PreparedRequest, refusal: requests.Response) -> None:
        try:
            self._auth.renew(refused, claims_challenge(refusal))
        except ConnectionFailed as failure:
            raise self.fail(failure) from None

    def accepts_token(self) -> bool:
        """Whether Graph has answered to the token that is in use now, so that a 401 is not the token's fault."""
        return self._accepted == f"Bearer {self._auth.token()}"

    def _lasting(self, response: requests.Response, started: float) -> GraphUnavailable:
        """The connection is what failed if nobody got any answer all the while; else it is this page alone."""
        if self._answered_at < started:
            raise self.fail(GraphUnreachable(f"{self._host} did not answer {ATTEMPTS} times. {describe(response)}"))
        return GraphUnavailable(f"Graph failed {ATTEMPTS} times. {describe(response)}")

    def check_host(self, url: str) -> None:
        """A page link is Graph's to choose, and the token goes wherever it leads."""
        parts = urlsplit(url)
        if parts.scheme != "https" or _without_default_port(parts.netloc) != _without_default_port(self._host):
            raise ProtocolBroken(f"Refused to follow a page link to {parts.scheme}://{parts.netloc}: not {self._host}.")


def _headers_of(page_request: PageRequest) -> dict[str, str]:
    """A page link carries no header of the first page's, so each request has them all; preferences are joined."""
    prefer = ", ".join(filter(None, (_PART_HEADERS["Prefer"], page_request.headers.get("Prefer"))))
    return {**_PART_HEADERS, **page_request.headers, "Prefer": prefer}


def _date(response: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return None


def _relative(url: str) -> str:
    parts = urlsplit(url)
    return parts.path.removeprefix(_VERSION) + (f"?{parts.query}" if parts.query else "")


def _without_default_port(host: str) -> str:
    return host.lower().removesuffix(":443")
