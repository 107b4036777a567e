"""How questions are sent: in the connector's own batches and within its limits, each answered or counted as not.

What a request brings is dealt with before the next one is sent: a page of mail takes megabytes.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from source_microsoft_graph.errors import ConnectionFailed, SignInRefused
from source_microsoft_graph.field_report.observation import Pseudonyms, shape
from source_microsoft_graph.field_report.plan import MOST_REQUESTS, Question
from source_microsoft_graph.graph.batch import MAX_BATCH, BatchSize
from source_microsoft_graph.graph.client import PageResponse
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.sync.context import Sync

HEADERS = (
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "x-ms-resource-unit",
    "x-ms-throttle-limit-percentage",
    "x-ms-throttle-information",
    "x-ms-throttle-scope",
    "Deprecation",
    "Sunset",
    "Warning",
)
"""What services say of limits and of what is to come: https://learn.microsoft.com/graph/throttling"""


_REFUSED_BATCHES = 3
"""Batches refused as a whole, and none served, from which on requests are sent one by one."""

_RESERVE = 40
"""Requests that may be under way, or be repeated, when the bound of a report is reached."""


class Traffic:
    """A witness of every request: how many there were, how Graph throttled them, and what headers told."""

    def __init__(self) -> None:
        self.requests = 0
        """Each of a batch by itself, repeated ones included."""
        self.exchanges = 0
        self.batches: Counter[int] = Counter()
        """The HTTP status of batches."""
        self.by_service: Counter[Service] = Counter()
        self.throttled: defaultdict[Service, Counter[str]] = defaultdict(Counter)
        """Refusals for sending too much, by the form of their Retry-After."""
        self.headers: defaultdict[tuple[Service, str], Counter[str]] = defaultdict(Counter)

    def exchanged(self, requests: Sequence[PageRequest], response: GraphResponse) -> None:
        self.exchanges += 1
        if len(requests) > 1:
            self.batches[response.status_code] += 1
            # Of a batch that is refused as a whole nothing is answered.
            self.requests += response.status_code != 200

    @property
    def takes_batches(self) -> bool:
        """Whether it is worth a try to send several requests together."""
        return 200 in self.batches or self.batches.total() < _REFUSED_BATCHES

    def answered(self, request: PageRequest, response: GraphResponse) -> None:
        self.requests += 1
        self.by_service[request.service] += 1
        for name in HEADERS:
            if name in response.headers:
                self.headers[request.service, name][_told(response.headers[name])] += 1
        if response.status_code == 429:
            self.throttled[request.service][_told(response.headers.get("Retry-After", ""))] += 1


def _told(header: str) -> str:
    """A number as it is; of anything else the form."""
    if not header:
        return "none"
    if header.replace(".", "", 1).isdecimal() and len(header) <= 8:
        return header
    return "HTTP date" if header.endswith("GMT") else shape(header)


class Inquiry:
    """Sends questions to one tenant. `failure` is set once no request can succeed any more."""

    def __init__(self, sync: Sync) -> None:
        self.sync = sync
        self.traffic = Traffic()
        self.pseudonyms = Pseudonyms()
        self.failure = ""
        self.is_cut_short = False
        self._is_served = False
        self._answered_at: defaultdict[Service, float] = defaultdict(float)
        sync.client.witness = self.traffic

    def ask(self, questions: Iterable[Question]) -> Iterator[tuple[Question, PageResponse | None]]:
        """Each question with its final response; None where there is none.

        Raises `SignInRefused` where the tenant refuses the app, or Graph the token.
        """
        groups: defaultdict[tuple[Service, int], list[Question]] = defaultdict(list)
        for each in questions:
            groups[each.request.service, min(each.batch, each.request.service.value.in_one_batch(MAX_BATCH))].append(
                each
            )
        for (_, most), group in groups.items():
            yield from self._ask(group, most)

    def _ask(self, group: list[Question], most: int) -> Iterator[tuple[Question, PageResponse | None]]:
        requests = deque(self._in_time(each.request) for each in group)
        left = dict(zip(map(id, requests), group, strict=True))
        most = most if self.traffic.takes_batches else 1
        self._stop_at_the_bound(requests)
        try:
            for received in () if self.failure else self.sync.client.responses(requests, BatchSize(most, most)):
                self._raise_for_sign_in(received)
                self._answered_at[received.request.service] = self.sync.clock.now()
                self._stop_at_the_bound(requests)
                yield left.pop(id(received.request)), received
        except SignInRefused:
            raise
        except ConnectionFailed as failure:
            self.failure = type(failure).__name__
        for each in left.values():
            yield each, None

    def _stop_at_the_bound(self, requests: deque[PageRequest]) -> None:
        """Send none of these any more where there were enough requests."""
        if self.traffic.requests > MOST_REQUESTS - _RESERVE and requests:
            self.is_cut_short = True
            requests.clear()

    def _in_time(self, request: PageRequest) -> PageRequest:
        """Not too soon after the last answer of the service, which may have been about the same object."""
        service = request.service
        return replace(request, not_before=self._answered_at[service] + service.value.min_interval)

    def _raise_for_sign_in(self, received: PageResponse) -> None:
        """The first answer of all tells whether Graph takes the token: the client has renewed it by then."""
        is_refused = received.response.status_code == 401
        if is_refused and not self._is_served:
            raise self.sync.client.fail(SignInRefused(f"{received.rule.help} {received.response}"))
        self._is_served = True
