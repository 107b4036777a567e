"""The one way to request pages of Graph: rate-limited, authorised, batched, retried, classified.

The CDK's own HTTP client is not used for this. It sleeps a second longer than Retry-After says, has no jitter, counts
throttled attempts and failed attempts together, and sees one response where a `$batch` holds twenty.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlsplit

import requests

from source_microsoft_graph.auth.token import GraphAuth
from source_microsoft_graph.errors import (
    NO_ANSWER,
    ConnectionFailed,
    GraphUnavailable,
    GraphUnreachable,
    ProtocolBroken,
)
from source_microsoft_graph.graph.batch import MAX_BATCH, BatchSize, batch_body, sub_responses
from source_microsoft_graph.graph.catalogue import Action, ErrorRule, classify
from source_microsoft_graph.graph.downloads import Downloads
from source_microsoft_graph.graph.memory import Admission, ByteBudget, OverBudget, budget_bytes
from source_microsoft_graph.graph.rate_limits import RateLimiter, Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.retries import (
    ATTEMPTS,
    OWN_PATIENCE,
    SyncClock,
    backoff,
    retry_after,
    throttled_wait,
)
from source_microsoft_graph.transport import Bounds, bounded_session, chunks
from source_microsoft_graph.version import VERSION

_logger = logging.getLogger("airbyte")

TIMEOUT = (10, 120)
"""Seconds to connect, and seconds of silence while reading, before a request counts as failed."""

_IN_ALL = 600
"""Seconds from sending a request to the last byte of its response, before it counts as failed."""

_LARGEST = 100 * 1024 * 1024
"""Bytes of a response, received or unpacked, before it counts as failed: a page of one object, or of all there are."""

_LARGEST_SHRINKABLE = 32 * 1024 * 1024
"""Bytes of a page before it is requested again with fewer objects."""

_PIECE = 1024 * 1024
"""Bytes of a body that are read at a time."""

_API_VERSION = "/v1.0"

_PROBE = f"{_API_VERSION}/organization?$select=id"
"""Graph answers 403 to an app without a permission for it, and 401 to a token that it does not accept."""

_ATTEMPTS_BEFORE_SHRINKING = 3
_OWN_THROTTLES = 3
_UNSERVED = {Action.WAIT, Action.RENEW, Action.RETRY, Action.SHRINK}
"""What happens after a response that is no sign of a service's being there for others."""

_ALSO_OF_EACH_REQUEST = {401, 408, 409, 429}
"""Refusals of a batch that each request in it would get as well. Any other refusal says nothing about the objects in
the batch: a 404 may mean that the cloud has no batches."""

_COMMON_HEADERS = {
    "Accept": "application/json",
    # Without it Graph writes unknownFutureValue for enum members added since v1.0:
    # https://learn.microsoft.com/graph/best-practices-concept#handling-future-members-in-evolvable-enumerations
    "Prefer": "include-unknown-enum-members",
}
"""What every request carries. A batch's own headers do not reach the requests in it, so each of those has them too."""

_SESSION_HEADERS = {
    **_COMMON_HEADERS,
    # SharePoint throttles traffic earlier that does not say which app sends it.
    "User-Agent": f"NONISV|source-microsoft-graph|source-microsoft-graph/{VERSION}",
}


@dataclass(frozen=True, slots=True)
class PageResponse:
    """The final response to a request. `lasting` is set where Graph kept failing or throttling until the connector gave
    up."""

    request: PageRequest
    response: GraphResponse
    rule: ErrorRule
    lasting: GraphUnavailable | None = None


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request that has no final response yet, and what its attempts came to."""

    request: PageRequest
    started: float
    served_before: int
    """Requests of the service that Graph had served when this one was made, or refused for the last time."""
    ready_at: float = 0.0
    failures: int = 0
    throttled: int = 0
    throttled_alone: int = 0
    """Refusals before which Graph served other requests of the service."""
    throttled_alone_since: float | None = None
    renewed: bool = False
    max_batch: int = MAX_BATCH


class Witness(Protocol):
    """Is told of all that Graph answers before anything is made of it, attempts that are repeated included."""

    def exchanged(self, requests: Sequence[PageRequest], response: GraphResponse) -> None:
        """The HTTP response to these requests, which is a batch's own where there are several."""

    def answered(self, request: PageRequest, response: GraphResponse) -> None:
        """The response to one request, alone or out of a batch."""


class GraphClient:
    """Sends requests to one Graph host, `concurrency` at a time. Shared by all workers; safe between threads."""

    def __init__(
        self,
        graph_host: str,
        auth: GraphAuth,
        limiter: RateLimiter,
        clock: SyncClock,
        concurrency: int,
        budget: ByteBudget | None = None,
    ) -> None:
        """`budget` bounds the bytes of all responses under way; by default it follows the container's limit."""
        self._host = graph_host
        self._batch_url = f"https://{graph_host}{_API_VERSION}/$batch"
        self._auth = auth
        self._limiter = limiter
        self._clock = clock
        self._timeout = (TIMEOUT[0], min(TIMEOUT[1], clock.patience.silence))
        self._slots = threading.BoundedSemaphore(concurrency)
        self._budget = budget or ByteBudget(budget_bytes())
        self._last_response_at = float("-inf")
        self.date: datetime | None = None
        """Graph's time at its first response."""
        self.clock_difference = timedelta(0)
        """By how much Graph's clock is ahead of this machine's."""
        self.witness: Witness | None = None
        self._served = dict.fromkeys(Service, 0)
        self._accepted_token, self._accepted_url = "", ""
        self._failure: ConnectionFailed | None = None
        self._failing, self._noting = threading.Lock(), threading.Lock()
        bounds = Bounds(min(_IN_ALL, clock.patience.response), _LARGEST, _LARGEST)
        self._session = bounded_session(bounds)
        self._session.headers.update(_SESSION_HEADERS)
        self._session.auth = auth
        # Proxies and certificates as the environment has them. Every request goes to one host, so once is enough.
        self._settings = self._session.merge_environment_settings(self._batch_url, {}, True, None, None)
        self._downloads = Downloads(self._timeout, bounds)

    def get(self, request: PageRequest) -> PageResponse:
        """The response to one request. Raises `GraphUnavailable` where Graph kept failing, and as `responses` does."""
        page_response = next(self.responses(deque([request]), BatchSize(1)))
        if page_response.lasting:
            raise page_response.lasting
        return page_response

    def responses(
        self, queue: deque[PageRequest], batch_size: BatchSize, *, is_lazy: bool = False
    ) -> Generator[PageResponse, None, None]:
        """Take requests off the queue, send up to `batch_size` in one batch, and yield each final response.

        The caller may put the next requests on the queue meanwhile. A request that was throttled or failed waits by
        itself. A request holds its slot and its part of the memory until its response was dealt with; with `is_lazy`
        only until the response is there, because the caller may take any time. Raises `ConnectionFailed`
        where no request can succeed any more, and `ProtocolBroken` for a URL of another host.
        """
        waiting: list[PendingRequest] = []
        batch: list[PendingRequest] = []
        while queue or waiting:
            was_throttled = any(pending.throttled for pending in batch)
            batch = self._next_batch(queue, waiting, batch_size.current, new_first=was_throttled)
            with ExitStack() as slot:
                first = batch[0].request
                cost = sum(pending.request.cost for pending in batch)
                self._limiter.wait(first.service, cost, self._slots, first.part)
                slot.push(self._slots)
                admission = slot.enter_context(self._admission(len(batch), batch_size))
                self.raise_if_failed()
                try:
                    sent, size, received = self._send(batch, admission)
                except OverBudget as over:
                    batch_size.too_large(len(batch), over.size)
                    self._halve(batch)
                    waiting += batch
                    continue
                if is_lazy:
                    slot.close()
                if not received:
                    batch_size.refused(len(batch))
                    self._halve(batch)
                    waiting += batch
                    continue
                batch_size.learn(len(received), size)
                # Each sub-response is released before the next is read: a parsed page takes several times its bytes.
                for pending in batch:
                    page_response = self._resolve_attempt(pending, sent, received.popleft())
                    if page_response:
                        yield page_response
                    else:
                        waiting.append(pending)
                    page_response = None

    def _admission(self, pages: int, batch_size: BatchSize) -> AbstractContextManager[Admission]:
        return self._budget.admission(batch_size.sizes.expected(pages), lambda: self._clock.is_stopped)

    def _next_batch(
        self, queue: deque[PageRequest], waiting: list[PendingRequest], batch_size: int, *, new_first: bool
    ) -> list[PendingRequest]:
        """The requests to send now: first those that waited long enough, then new ones. With `new_first`, those that
        were throttled come last, for the limit may be theirs alone. Sleeps while there is none."""
        while True:
            self.raise_if_failed()
            now = self._clock.now()
            batch: list[PendingRequest] = []
            ready = [pending for pending in waiting if pending.ready_at <= now]
            size = _take([pending for pending in ready if not (new_first and pending.throttled)], batch, batch_size)
            while queue and len(batch) < size:
                request = queue.popleft()
                self.check_host(request.url)
                pending = PendingRequest(request, now, self._served[request.service], request.not_before)
                (batch if pending.ready_at <= now else waiting).append(pending)
            _take([pending for pending in ready if pending not in batch], batch, size)
            waiting[:] = [pending for pending in waiting if pending not in batch]
            if batch:
                return batch
            self._clock.sleep(min(pending.ready_at for pending in waiting) - now)

    def _send(
        self, batch: Sequence[PendingRequest], admission: Admission
    ) -> tuple[requests.PreparedRequest, int, deque[GraphResponse]]:
        """What was sent, the bytes of its response, and the response to each request; none where Graph refuses so many
        in one batch. Raises `OverBudget` for a response that has to be requested again, by itself or in halves."""
        urls = [pending.request.url for pending in batch]
        headers = [_headers_of(pending.request) for pending in batch]
        if len(urls) == 1:
            content = batch[0].request.body
            most = _LARGEST_SHRINKABLE if batch[0].request.shrinkable else _LARGEST
            call = requests.Request("GET" if content is None else "POST", urls[0], headers[0], json=content)
            sent, response = self._exchange(call, admission, most)
            self._tell_of(batch, response)
            if (redirect := batch[0].request.redirect) and response.status_code == 302:
                response = self._downloads.page(response, redirect)
            return sent, len(response.content), deque([response])
        envelope = batch_body([_relative(url) for url in urls], headers)
        sent, response = self._exchange(requests.Request("POST", self._batch_url, json=envelope), admission, _LARGEST)
        self._tell_of(batch, response)
        if not response.status_code and not classify(response).again:
            raise OverBudget(_LARGEST)
        received = sub_responses(response, urls)
        is_refused = 300 <= response.status_code < 500 and response.status_code not in _ALSO_OF_EACH_REQUEST
        if received is None or is_refused:
            why = response if is_refused else "The response is none to this batch."
            _logger.warning(f"Graph refused {len(urls)} requests together, so fewer are sent. {why}")
            return sent, 0, deque()
        if response.status_code != 200:
            self._halve(batch)
        return sent, len(response.content), deque(received)

    def _tell_of(self, batch: Sequence[PendingRequest], response: GraphResponse) -> None:
        if self.witness:
            self.witness.exchanged([pending.request for pending in batch], response)

    def _halve(self, batch: Sequence[PendingRequest]) -> None:
        """One bad request may be the reason why the batch was refused or failed, so its halves are sent by
        themselves."""
        for pending in batch:
            pending.max_batch = max(1, len(batch) // 2)

    def _exchange(
        self, request: requests.Request, admission: Admission, most: int
    ) -> tuple[requests.PreparedRequest, GraphResponse]:
        """Send, and read a body of up to `most` bytes while there is room for it."""
        try:
            prepared = self._session.prepare_request(request)
        except ConnectionFailed as failure:
            raise self.fail(failure) from None
        try:
            # A redirect could lead the token off the Graph host; no listing needs one.
            response = self._session.send(prepared, timeout=self._timeout, allow_redirects=False, **self._settings)
            content = self._body(response, admission, most)
        except requests.RequestException as error:
            return prepared, GraphResponse.none(prepared, error)
        self._last_response_at = self._clock.now()
        if not self.date and (date := _date(response)):
            self.date, self.clock_difference = date, date - datetime.now(UTC)
        return prepared, GraphResponse.of(response, content)

    def _body(self, response: requests.Response, admission: Admission, most: int) -> bytes:
        """The body, unpacked. What was read of it is let go of where there is no room for the rest."""
        pieces: list[bytes] = []
        size = 0
        try:
            for piece in chunks(response, most, _PIECE):
                size += len(piece)
                self._budget.grow(admission, size)
                pieces.append(piece)
        except OverBudget:
            response.close()
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _resolve_attempt(
        self, pending: PendingRequest, sent: requests.PreparedRequest, response: GraphResponse
    ) -> PageResponse | None:
        """The final response, or None where the request has to be sent again."""
        request, now = pending.request, self._clock.now()
        response.as_page = request.as_page
        if self.witness:
            self.witness.answered(request, response)
        rule = classify(response)
        if response.is_near_limit:
            self._limiter.near_limit(request.service, request.part)
        self._note(request, rule, sent)
        lasting: GraphUnavailable | None = None
        match rule.action:
            case Action.WAIT:
                lasting = self._throttled(pending, response, now)
                if not lasting:
                    return None
            case Action.RENEW if not pending.renewed:
                pending.renewed = True
                self._renew_token(sent, response)
                return None
            case Action.RETRY | Action.SHRINK as action:
                pending.failures += 1
                may_shrink = request.shrinkable and action is Action.SHRINK
                wait = backoff(pending.failures)
                may_repeat = pending.failures < (_ATTEMPTS_BEFORE_SHRINKING if may_shrink else ATTEMPTS)
                if rule.again and may_repeat and self._clock.patience.allows(wait, now - pending.started):
                    pending.ready_at = now + wait
                    return None
                if not may_shrink:
                    lasting = self._lasting_failure(response, rule, pending)
        return PageResponse(request, response, rule, lasting)

    def _note(self, request: PageRequest, rule: ErrorRule, sent: requests.PreparedRequest) -> None:
        """Keep what tells the fault of one object from the fault of a service or of the token."""
        with self._noting:
            self._served[request.service] += rule.action not in _UNSERVED
            if rule.action is Action.READ and request.body is None:
                self._accepted_token, self._accepted_url = sent.headers["Authorization"], request.url

    def _throttled(self, pending: PendingRequest, response: GraphResponse, now: float) -> GraphUnavailable | None:
        """Wait as long as Graph asks, all workers of the service or this request alone; what to raise where that is
        beyond the patience."""
        pending.throttled += 1
        asked, service = retry_after(response), pending.request.service
        wait = throttled_wait(pending.throttled, asked)
        ends = pending.started + self._clock.patience.throttled
        if self._is_its_own_limit(pending):
            if pending.throttled_alone_since is None:
                pending.throttled_alone_since = now
            ends = min(ends, pending.throttled_alone_since + OWN_PATIENCE)
        if now + wait > ends:
            demand = f"Graph asks to wait {asked:,.0f} seconds" if asked else "Graph asks to wait"
            waited = f", after {now - pending.started:,.0f} seconds of waiting" if now > pending.started else ""
            return GraphUnavailable(f"Throttled: {demand}{waited}, which is longer than this sync waits. {response}")
        if service.value.per_object or pending.throttled_alone_since is not None:
            pending.ready_at = now + wait
        else:
            self._limiter.pause(service, wait, pending.request.part)
        return None

    def _is_its_own_limit(self, pending: PendingRequest) -> bool:
        """Whether Graph refuses this request again and again while it serves others of the service, so that the limit
        is one object's."""
        served = self._served[pending.request.service]
        pending.throttled_alone += served > pending.served_before
        pending.served_before = served
        return pending.throttled_alone >= _OWN_THROTTLES

    def _renew_token(self, refused: requests.PreparedRequest, refusal: GraphResponse) -> None:
        try:
            self._auth.renew(refused, refusal.claims_challenge)
        except ConnectionFailed as failure:
            raise self.fail(failure) from None

    def _lasting_failure(self, response: GraphResponse, rule: ErrorRule, pending: PendingRequest) -> GraphUnavailable:
        """The connection failed if no worker got any response all the while; else it is this page alone."""
        times = f"{pending.failures} times" if pending.failures > 1 else "once"
        if self._last_response_at < pending.started:
            raise self._silent(times, response)
        return GraphUnavailable(f"Graph failed {times}. {rule.help.meaning} {response}")

    def fail(self, failure: ConnectionFailed) -> ConnectionFailed:
        """End the sync: from now on every request of every worker raises this failure."""
        with self._failing:
            self._failure = self._failure or failure
        self._clock.stop()
        return failure

    def raise_if_failed(self) -> None:
        if self._failure:
            raise type(self._failure)(str(self._failure))

    def accepts_token(self) -> bool:
        """Whether Graph accepts the token that is in use now, so that a 401 is not the token's fault.

        A token that no page was served for yet is tried on a URL that Graph served before, or on one that needs no
        permission to tell. So it does not matter which request came first.
        """
        with self._noting:
            accepted, url = self._accepted_token, self._accepted_url or f"https://{self._host}{_PROBE}"
        if accepted == f"Bearer {self._auth.token()}":
            return True
        sent, response = self._tried(url)
        if response.status_code == 401:
            return False
        with self._noting:
            self._accepted_token, self._accepted_url = str(sent.headers["Authorization"]), url
        return True

    def _tried(self, url: str) -> tuple[requests.PreparedRequest, GraphResponse]:
        """What Graph answers, once it does; raises where it does not. It takes no slot, for the caller may hold one."""
        for attempt in range(1, ATTEMPTS + 1):
            with self._budget.admission(_PIECE, lambda: self._clock.is_stopped) as admission:
                request = requests.Request("GET", url, _COMMON_HEADERS)
                sent, response = self._exchange(request, admission, _LARGEST)
            if 0 < response.status_code < 500 and (response.is_graphs or response.status_code == 429):
                return sent, response
            self._clock.sleep(backoff(attempt))
            self.raise_if_failed()
        raise self._silent(f"{ATTEMPTS} times", response)

    def _silent(self, times: str, response: GraphResponse) -> ConnectionFailed:
        """What to raise where the host never answered, or never as Graph does."""
        why = f". {response}" if response.status_code else f": {response.message}. {NO_ANSWER.advice}"
        return self.fail(GraphUnreachable(f"{self._host} did not answer {times}{why}"))

    def check_host(self, url: str) -> None:
        """A page link is Graph's to choose, and the token goes wherever it leads."""
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ProtocolBroken("Refused to follow a page link that is no URL.") from None
        if parts.scheme != "https" or _without_default_port(parts.netloc) != _without_default_port(self._host):
            raise ProtocolBroken(f"Refused to follow a page link to {parts.scheme}://{parts.netloc}: not {self._host}.")


def _take(candidates: Sequence[PendingRequest], batch: list[PendingRequest], size: int) -> int:
    """Put candidates into a batch of no more than this size, and of no more than each of them allows; returns that."""
    for pending in candidates:
        allowed = min(size, pending.max_batch)
        if len(batch) < allowed:
            batch.append(pending)
            size = allowed
    return size


def _headers_of(request: PageRequest) -> dict[str, str]:
    """A page link carries no header of the first page's, so each request has them all; preferences are joined."""
    prefer = ", ".join(filter(None, (_COMMON_HEADERS["Prefer"], request.headers.get("Prefer"))))
    return {**_COMMON_HEADERS, **request.headers, "Prefer": prefer}


def _date(response: requests.Response) -> datetime | None:
    try:
        date = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _relative(url: str) -> str:
    parts = urlsplit(url)
    return parts.path.removeprefix(_API_VERSION) + (f"?{parts.query}" if parts.query else "")


def _without_default_port(host: str) -> str:
    return host.lower().removesuffix(":443")
