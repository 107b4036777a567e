"""Asking for one page: how often, how fast, with which token, and when to stop."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock
from airbyte_cdk.models import FailureType
from urllib3 import HTTPResponse

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import (
    NO_ANSWER,
    ConnectionFailed,
    GraphUnavailable,
    GraphUnreachable,
    ProtocolBroken,
    SignInRefused,
)
from source_microsoft_graph.graph.batch import BatchSize
from source_microsoft_graph.graph.catalogue import Action
from source_microsoft_graph.graph.client import TIMEOUT, GraphClient
from source_microsoft_graph.graph.rate_limits import RateLimiter, Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.retries import BRIEF, OWN_PATIENCE, PATIENCE, SyncClock
from unit_tests.conftest import Clock
from unit_tests.graph_api import CONFIG, GRAPH, Answer, FakeGraph, a_page, a_token, an_auth, an_error, throttled

PAGE = a_page({"id": "1"})
TROUBLE = an_error(500, "InternalServerError")
BUSY = an_error(409, "Directory_ConcurrencyViolation")
TIMED_OUT = an_error(504, "GatewayTimeout")
CORRUPT = an_error(500, "ErrorCorruptData")
REFUSED_TOKEN = an_error(401, "InvalidAuthenticationToken")
NO_CONNECTION = {"exc": requests.ConnectionError("Connection refused")}
EXPONENTIAL = [1.0, 3.0, 9.0, 27.0, 81.0]


@pytest.fixture
def wire() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def graph(wire: requests_mock.Mocker) -> FakeGraph:
    return FakeGraph(wire)


@pytest.fixture
def limiter() -> RateLimiter:
    return RateLimiter(SyncClock())


@pytest.fixture
def client(graph: FakeGraph, limiter: RateLimiter) -> GraphClient:
    return a_client(limiter)


def a_client(limiter: RateLimiter, at_once: int = 10) -> GraphClient:
    config = Config.parse(CONFIG)
    clock = SyncClock()
    return GraphClient(config.cloud.graph_host, an_auth(config, clock), limiter, clock, at_once)


def a_request(path: str, service: Service = Service.DIRECTORY, *, shrinkable: bool = False) -> PageRequest:
    return PageRequest(f"{GRAPH}{path}", service, shrinkable)


USERS = a_request("users")
TEAMS = a_request("teams", Service.TEAMS)


def get(client: GraphClient, page_request: PageRequest) -> tuple[Any, Action]:
    """The body and what to do with it."""
    page_response = client.get(page_request)
    return page_response.response.body, page_response.rule.action


def while_asleep(monkeypatch: pytest.MonkeyPatch, clock: Clock, happens: Callable[[], object]) -> None:
    """What another worker does at the start of the first sleep."""
    sleep = clock.sleep

    def interrupted(seconds: float) -> None:
        monkeypatch.setattr(clock, "sleep", sleep)
        wakes_at = clock.time + seconds
        happens()
        sleep(max(0.0, wakes_at - clock.time))

    monkeypatch.setattr(clock, "sleep", interrupted)


def test_a_page_is_handed_back(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """One request, no waiting, and the answer with what it is."""
    graph.answers("users", PAGE)

    assert get(client, USERS) == (PAGE["json"], Action.READ)
    assert (graph.asked, clock.slept) == (["users"], [])


@pytest.mark.parametrize(
    ("answer", "action"),
    [
        (an_error(403, "Authorization_RequestDenied"), Action.DENY),
        (an_error(404, "Request_ResourceNotFound"), Action.SKIP),
        (an_error(400, "BadRequest"), Action.FAIL),
        (an_error(501, "NotImplemented"), Action.FAIL),
        (an_error(410, "resyncRequired"), Action.RESTART),
        (an_error(400, "BadRequest", "Query option 'Top' is not allowed."), Action.UNPAGE),
    ],
    ids=lambda value: str(value.get("status_code")) if isinstance(value, dict) else value.name,
)
def test_what_asking_again_would_not_change_is_handed_back(
    graph: FakeGraph, client: GraphClient, clock: Clock, answer: Answer, action: Action
) -> None:
    """What a refusal means is for the stream to say, and the page is not requested twice."""
    graph.answers("users", answer)

    assert get(client, USERS) == (answer["json"], action)
    assert (graph.asked, clock.slept) == (["users"], [])


# Being throttled.


@pytest.mark.parametrize(
    ("answers", "slept"),
    [
        pytest.param([throttled("7")], [7.0], id="seconds"),
        pytest.param([throttled("0.5")], [1.0], id="half a second"),
        pytest.param([throttled("300")], [300.0], id="longer than any back-off"),
        pytest.param([throttled("7"), throttled("3")], [7.0, 3.0], id="twice"),
        pytest.param([throttled()], [1.0], id="without a time"),
        pytest.param([throttled("soon")], [1.0], id="a time that is none"),
        pytest.param([throttled()] * 8, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0], id="without a time, for long"),
        pytest.param([throttled("7"), throttled()], [7.0, 2.0], id="with and without"),
        pytest.param([throttled("0"), throttled("0")], [1.0, 2.0], id="no time at all"),
        pytest.param([an_error(503, "ServiceNotAvailable", headers={"Retry-After": "9"})], [9.0], id="503"),
    ],
)
def test_throttling_is_waited_out(
    graph: FakeGraph, client: GraphClient, clock: Clock, answers: list[Answer], slept: list[float]
) -> None:
    """As long as Graph says and no longer; where it names no time, longer each time."""
    graph.answers("users", *answers, PAGE)

    assert get(client, USERS) == (PAGE["json"], Action.READ)
    assert clock.slept == slept


def test_being_throttled_is_no_failed_attempt(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """However often Graph throttles, all six attempts remain for real trouble."""
    graph.answers("users", *[throttled("1")] * 20, *[TROUBLE] * 3, *[throttled("1")] * 20, *[TROUBLE] * 2, PAGE)

    assert get(client, USERS) == (PAGE["json"], Action.READ)
    growing = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[60.0] * 14]
    assert clock.slept == [*growing, *EXPONENTIAL[:3], *[60.0] * 20, *EXPONENTIAL[3:]]


def test_a_throttled_service_waits_alone(
    graph: FakeGraph, client: GraphClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one service is throttled, the workers of another go on asking."""
    graph.answers("users", throttled("30"), PAGE)
    graph.answers("teams", PAGE)
    while_asleep(monkeypatch, clock, lambda: client.get(TEAMS))

    client.get(USERS)

    assert (graph.asked, clock.slept) == (["users", "teams", "users"], [30.0])


def test_a_throttled_service_waits_together(
    graph: FakeGraph, client: GraphClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that asks a throttled service waits too, and asks once the time is over."""
    graph.answers("users", throttled("30"), PAGE)
    graph.answers("groups", PAGE)
    while_asleep(monkeypatch, clock, lambda: client.get(a_request("groups")))

    client.get(USERS)

    assert (graph.asked, clock.slept) == (["users", "groups", "users"], [30.0, 0.0])


def test_patience_ends(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """A page that is throttled for two hours is given up, with an error that says the next sync may succeed."""
    graph.answers("users", *[throttled("600")] * 20, PAGE)

    with pytest.raises(GraphUnavailable) as caught:
        client.get(USERS)

    assert str(caught.value).startswith(
        "Throttled: Graph asks to wait 600 seconds, after 7,200 seconds of waiting, which is longer than this sync "
        "waits. HTTP 429 TooManyRequests: No."
    )
    assert caught.value.failure_type == FailureType.transient_error
    assert clock.slept == [600.0] * (PATIENCE // 600)


def test_a_command_may_have_less_patience(graph: FakeGraph, limiter: RateLimiter, clock: Clock) -> None:
    """A report is waited for, so a page that is throttled for two minutes is given up."""
    graph.answers("users", *[throttled("50")] * 20)
    config, sync_clock = Config.parse(CONFIG), SyncClock(BRIEF)
    client = GraphClient(config.cloud.graph_host, an_auth(config, sync_clock), limiter, sync_clock, 10)

    with pytest.raises(GraphUnavailable, match="after 100 seconds of waiting"):
        client.get(USERS)
    assert clock.slept == [50.0, 50.0]


def test_a_witness_is_told_of_every_attempt(graph: FakeGraph, client: GraphClient) -> None:
    """Of each HTTP exchange with its own response, and of each request in it, repeated ones included."""
    told: list[tuple[Any, ...]] = []

    class Witness:
        def exchanged(self, requests: Sequence[PageRequest], response: GraphResponse) -> None:
            told.append((response.status_code, *(request.url.rpartition("/")[2] for request in requests)))

        def answered(self, request: PageRequest, response: GraphResponse) -> None:
            told.append((request.url.rpartition("/")[2], response.status_code))

    client.witness = Witness()
    graph.answers("users", throttled("1"), PAGE)
    graph.answers("groups", PAGE)

    read = list(client.responses(deque([USERS, a_request("groups")]), BatchSize(2, 2)))

    assert len(read) == 2
    assert told == [
        (200, "users", "groups"),
        ("users", 429),
        ("groups", 200),
        (200, "users"),
        ("users", 200),
    ]


def test_a_page_given_up_leaves_the_others(graph: FakeGraph, client: GraphClient) -> None:
    """Patience with one page says nothing about the next."""
    graph.answers("users", *[throttled("600")] * 20, PAGE)
    graph.answers("teams", PAGE)
    with pytest.raises(GraphUnavailable):
        client.get(USERS)

    assert get(client, TEAMS) == (PAGE["json"], Action.READ)


# Failing.

FAILURES = [
    pytest.param(TROUBLE, id="500"),
    pytest.param(an_error(502, "UnknownError"), id="502"),
    pytest.param(an_error(503, "ServiceNotAvailable"), id="503"),
    pytest.param(TIMED_OUT, id="504"),
    pytest.param(an_error(409, "Directory_ConcurrencyViolation"), id="409"),
    pytest.param({"status_code": 502, "text": "<html>"}, id="502 in HTML"),
    pytest.param({"content": b'{"value": [{"id": "1"'}, id="a page cut off"),
    pytest.param({"json": {"id": "1"}}, id="no page"),
    pytest.param({"text": "<html>"}, id="a page in HTML"),
]
BROKEN = [
    pytest.param(NO_CONNECTION, id="no connection"),
    pytest.param({"exc": requests.ReadTimeout("Read timed out.")}, id="read timeout"),
    pytest.param({"exc": requests.ConnectTimeout("Connect timed out.")}, id="connect timeout"),
    pytest.param({"exc": requests.exceptions.ChunkedEncodingError("IncompleteRead")}, id="a body cut off"),
    pytest.param({"exc": requests.exceptions.SSLError("Handshake failed")}, id="no handshake"),
    pytest.param({"exc": requests.exceptions.ContentDecodingError("Not gzip")}, id="a body that is not gzip"),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_lasting_failure_is_given_up(graph: FakeGraph, client: GraphClient, clock: Clock, failure: Answer) -> None:
    """Six attempts with growing waits between them, then the end of this page and of nothing else."""
    graph.answers("users", failure)
    graph.answers("teams", PAGE)

    with pytest.raises(GraphUnavailable) as caught:
        client.get(USERS)

    assert str(caught.value).startswith("Graph failed 6 times. ")
    assert f" HTTP {failure.get('status_code', 200)} " in str(caught.value)
    assert caught.value.failure_type == FailureType.transient_error
    assert (graph.asked, clock.slept) == (["users"] * 6, EXPONENTIAL)
    assert get(client, TEAMS) == (PAGE["json"], Action.READ)


@pytest.mark.parametrize("failure", FAILURES + BROKEN)
def test_the_sixth_attempt_counts(graph: FakeGraph, client: GraphClient, clock: Clock, failure: Answer) -> None:
    """Five failures of any kind in a row cost two minutes and no rows."""
    graph.answers("users", *[failure] * 5, PAGE)

    assert get(client, USERS) == (PAGE["json"], Action.READ)
    assert (graph.asked, clock.slept) == (["users"] * 6, EXPONENTIAL)


@pytest.mark.parametrize("failure", BROKEN)
def test_silence_ends_the_sync(graph: FakeGraph, client: GraphClient, clock: Clock, failure: Answer) -> None:
    """Where nobody got any answer all the while, every stream would fail alike, so no more is asked."""
    graph.answers("users", failure)
    graph.answers("teams", PAGE)

    with pytest.raises(GraphUnreachable) as caught:
        client.get(USERS)
    asked = len(graph.asked)
    with pytest.raises(GraphUnreachable) as caught_later:
        client.get(TEAMS)

    reason = failure["exc"]
    told = f"graph.microsoft.com did not answer 6 times: {reason}. {NO_ANSWER.advice}"
    assert [str(caught.value), str(caught_later.value)] == [told, told]
    assert caught.value.failure_type == FailureType.transient_error
    assert (asked, len(graph.asked), clock.slept) == (6, 6, EXPONENTIAL)


def test_silence_to_one_worker_alone_is_no_end(
    graph: FakeGraph, client: GraphClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another request was answered meanwhile, it is this page that fails and not the connection."""
    graph.answers("users", NO_CONNECTION)
    graph.answers("teams", PAGE)
    while_asleep(monkeypatch, clock, lambda: client.get(TEAMS))

    with pytest.raises(GraphUnavailable) as caught:
        client.get(USERS)

    assert str(caught.value).startswith(
        "Graph failed 6 times. No answer came back. no answer ConnectionError: Connection refused"
    )
    assert get(client, TEAMS) == (PAGE["json"], Action.READ)


def test_an_answer_from_before_does_not_count(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """A connection that worked a minute ago and is dead now is dead."""
    graph.answers("teams", PAGE)
    graph.answers("users", NO_CONNECTION)
    client.get(TEAMS)
    clock.time += 60

    with pytest.raises(GraphUnreachable):
        client.get(USERS)


def test_trouble_is_an_answer(graph: FakeGraph, client: GraphClient) -> None:
    """A server that answers with an error between failed connections is there."""
    graph.answers("users", NO_CONNECTION, NO_CONNECTION, TROUBLE, NO_CONNECTION, NO_CONNECTION, NO_CONNECTION)

    with pytest.raises(GraphUnavailable):
        client.get(USERS)


# Pages that are too much for Graph.


@pytest.mark.parametrize(
    ("answers", "action"),
    [
        pytest.param([TIMED_OUT] * 3, Action.SHRINK, id="out of time"),
        pytest.param([CORRUPT] * 3, Action.SHRINK, id="corrupt"),
        pytest.param([TROUBLE] * 3, Action.SHRINK, id="any failure of the server"),
        pytest.param([TROUBLE, TROUBLE, TIMED_OUT], Action.SHRINK, id="out of time at last"),
        pytest.param([{"exc": requests.ReadTimeout("Read timed out.")}] * 3, Action.SHRINK, id="silence"),
        pytest.param([{"content": b'{"value": [{"id": "1"'}] * 3, Action.SHRINK, id="a page cut off"),
    ],
)
def test_a_page_too_large_is_handed_back_early(
    graph: FakeGraph, client: GraphClient, clock: Clock, answers: list[Answer], action: Action
) -> None:
    """Where smaller pages can be asked for, three failures suffice to try them."""
    graph.answers("users", *answers, an_error(418, "AskedOnceTooOften"))

    assert get(client, a_request("users", shrinkable=True))[1] == action
    assert (graph.asked, clock.slept) == (["users"] * len(answers), EXPONENTIAL[: len(answers) - 1])


def test_two_timeouts_are_passing_trouble(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """A page that comes at the third attempt is not asked for in smaller ones."""
    graph.answers("users", TIMED_OUT, TIMED_OUT, PAGE)

    assert get(client, a_request("users", shrinkable=True)) == (PAGE["json"], Action.READ)
    assert clock.slept == EXPONENTIAL[:2]


def test_other_trouble_has_nothing_to_do_with_size(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """What is no failure of the server gets its six attempts whether or not pages could be smaller."""
    graph.answers("users", BUSY)

    with pytest.raises(GraphUnavailable):
        client.get(a_request("users", shrinkable=True))
    assert clock.slept == EXPONENTIAL


def test_a_corrupt_item_fails_its_page_in_the_end(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """Where pages cannot be smaller, six attempts show that the item itself cannot be served."""
    graph.answers("users", CORRUPT)

    with pytest.raises(GraphUnavailable, match="Graph cannot serve an item"):
        client.get(USERS)
    assert clock.slept == EXPONENTIAL


# Tokens.


def test_a_refused_token_is_renewed_once(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """A token can be withdrawn before it expires; the page is asked for again with a new one, without a wait."""
    graph.grants("User.Read.All")
    graph.answers("users", REFUSED_TOKEN, PAGE)

    assert get(client, USERS) == (PAGE["json"], Action.READ)
    assert graph.tokens == [a_token(["User.Read.All"], 1), a_token(["User.Read.All"], 2)]
    assert (graph.sign_ins, clock.slept) == (2, [])


def test_a_new_token_refused_too_is_handed_back(graph: FakeGraph, client: GraphClient) -> None:
    """If a fresh token is refused, another would be as well."""
    graph.answers("users", REFUSED_TOKEN, REFUSED_TOKEN, PAGE)

    assert get(client, USERS) == (REFUSED_TOKEN["json"], Action.RENEW)
    assert (graph.asked, graph.sign_ins) == (["users"] * 2, 2)


def test_each_page_may_renew(graph: FakeGraph, client: GraphClient) -> None:
    """A renewal for one page does not keep the next from one of its own."""
    graph.answers("users", REFUSED_TOKEN, PAGE, REFUSED_TOKEN, PAGE)

    assert [get(client, USERS), get(client, USERS)] == [(PAGE["json"], Action.READ)] * 2
    assert graph.sign_ins == 3


def test_a_refused_token_is_no_failed_attempt(graph: FakeGraph, client: GraphClient) -> None:
    """Renewing leaves all six attempts for real trouble."""
    graph.answers("users", *[TROUBLE] * 3, REFUSED_TOKEN, *[TROUBLE] * 2, PAGE)

    assert get(client, USERS) == (PAGE["json"], Action.READ)


def a_sign_in_refused() -> Answer:
    return {
        "status_code": 401,
        "json": {"error": "invalid_client", "error_description": "AADSTS7000222: The secret has expired."},
    }


@pytest.mark.parametrize("while_reading", [False, True], ids=["at the start", "while reading"])
def test_a_refused_sign_in_ends_the_sync(graph: FakeGraph, client: GraphClient, while_reading: bool) -> None:
    """Without a token nothing can be read: every later request raises the same and none is sent."""
    granted = [{"json": {"access_token": "a-token", "expires_in": 3600}}] if while_reading else []
    graph.signs_in(*granted, a_sign_in_refused())
    graph.answers("users", REFUSED_TOKEN)
    graph.answers("teams", PAGE)

    failures: list[ConnectionFailed] = []
    for page_request in (USERS, TEAMS):
        with pytest.raises(SignInRefused) as caught:
            client.get(page_request)
        failures.append(caught.value)

    assert "AADSTS7000222" in str(failures[0])
    assert [(str(one), one.failure_type) for one in failures] == [(str(failures[0]), FailureType.config_error)] * 2
    assert (graph.asked, graph.sign_ins) == (["users"] if while_reading else [], len(granted) + 1)


def test_a_sign_in_without_answer_ends_the_sync(graph: FakeGraph, client: GraphClient) -> None:
    """Where Entra cannot be reached, Graph is not asked."""
    graph.signs_in(NO_CONNECTION)
    graph.answers("users", PAGE)

    for _ in range(2):
        with pytest.raises(GraphUnreachable):
            client.get(USERS)

    assert (graph.asked, graph.sign_ins) == ([], 6)


def test_the_first_failure_is_the_one_told(client: GraphClient) -> None:
    """What ends the sync keeps its name, whatever fails after it."""
    client.fail(SignInRefused("The first."))
    client.fail(GraphUnreachable("The second."))

    with pytest.raises(SignInRefused, match=r"^The first\.$"):
        client.raise_if_failed()


def test_failing_wakes_who_waits(graph: FakeGraph, client: GraphClient, limiter: RateLimiter, clock: Clock) -> None:
    """A throttled service holds nobody any longer once the sync is over, and nothing more is asked."""
    limiter.pause(Service.DIRECTORY, 3600)
    client.fail(SignInRefused("Over."))

    with pytest.raises(SignInRefused):
        client.get(USERS)
    assert (graph.asked, clock.slept) == ([], [])


# What no service of Graph's answered.

FOREIGN = [
    pytest.param({"status_code": 403, "text": "<html>Blocked", "headers": {"Content-Type": "text/html"}}, id="403"),
    pytest.param({"status_code": 404, "text": "<html>Not found", "headers": {"Content-Type": "text/html"}}, id="404"),
    pytest.param({"status_code": 401, "text": "Sign in", "headers": {"Content-Type": "text/plain"}}, id="401"),
    pytest.param({"status_code": 400, "json": {"message": "No."}, "headers": {"Content-Type": "text/json"}}, id="400"),
    pytest.param({"status_code": 404, "headers": {"Content-Type": "text/html"}}, id="nothing"),
    pytest.param({"status_code": 511, "text": "<html>Portal", "headers": {"Content-Type": "text/html"}}, id="511"),
    pytest.param({"status_code": 206, "json": {"value": []}, "headers": {"Content-Type": "x"}}, id="206"),
    pytest.param({"status_code": 204, "headers": {"Content-Type": "text/html"}}, id="204"),
    pytest.param(an_error(403, "Forbidden", "Failed to execute Skype backend request X."), id="backend"),
]


@pytest.mark.parametrize("failure", FOREIGN)
def test_what_is_not_graphs_word_is_asked_again(
    graph: FakeGraph, client: GraphClient, clock: Clock, failure: Answer
) -> None:
    """Five answers of a gateway cost two minutes and no rows; the sixth is named, and says nothing of an object."""
    graph.answers("users", *[failure] * 5, PAGE)
    graph.answers("teams", failure)

    assert get(client, USERS) == (PAGE["json"], Action.READ)
    assert clock.slept == EXPONENTIAL
    with pytest.raises(GraphUnavailable, match=f"HTTP {failure['status_code']} ") as caught:
        client.get(TEAMS)
    assert caught.value.failure_type == FailureType.transient_error


@pytest.mark.parametrize("draw", [min, max])
@pytest.mark.parametrize("outage", [60, 100, 120])
def test_an_outage_of_two_minutes_passes(
    wire: requests_mock.Mocker,
    graph: FakeGraph,
    client: GraphClient,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    draw: Callable[[float, float], float],
    outage: int,
) -> None:
    """However chance draws, the last attempt comes after it."""
    monkeypatch.setattr("source_microsoft_graph.retries.random.uniform", draw)
    ends = clock.time + outage

    def answer(request: Any, context: Any) -> Any:
        context.status_code = 200 if clock.time > ends else 503
        return PAGE["json"] if clock.time > ends else {"error": {"code": "ServiceNotAvailable"}}

    wire.get(f"{GRAPH}users", json=answer)

    assert get(client, USERS) == (PAGE["json"], Action.READ)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 505, 507, 508, 520, 599])
@pytest.mark.parametrize("code", ["InternalServerError", "ErrorInternalServerTransientError", "UnknownError", ""])
def test_every_failure_of_a_server_asks_for_smaller_pages(
    graph: FakeGraph, client: GraphClient, clock: Clock, status: int, code: str
) -> None:
    """Whatever the code, one item may be the reason: three attempts where pages can be smaller, else six."""
    graph.answers("users", an_error(status, code))

    assert get(client, a_request("users", shrinkable=True))[1] is Action.SHRINK
    assert (graph.asked, clock.slept) == (["users"] * 3, EXPONENTIAL[:2])
    with pytest.raises(GraphUnavailable):
        client.get(USERS)
    assert len(graph.asked) == 3 + 6


# Throttling of one object.

DRIVES = [a_request(f"drives/{number}/root/delta", Service.FILES) for number in range(30)]


def read_all(client: GraphClient, requests_: list[PageRequest], size: int = 1) -> dict[str, str]:
    """What each request came to: READ, or why not."""
    found = {}
    for received in client.responses(deque(requests_), BatchSize(size)):
        path = received.request.url.removeprefix(GRAPH).split("/")[1]
        found[path] = str(received.lasting or received.rule.action.name)
    return found


@pytest.mark.parametrize(("cost", "at_once"), [(1.0, 625), (2.5, 250)])
def test_a_request_that_costs_more_takes_more_of_the_limit(
    graph: FakeGraph, client: GraphClient, limiter: RateLimiter, clock: Clock, cost: float, at_once: int
) -> None:
    """A minute lets pass 625 usual requests of the smallest tenant's, and fewer of those that cost more."""
    limiter.near_limit(Service.FILES)
    for number in range(at_once + 1):
        graph.answers(f"drives/{number}/root/delta", PAGE)
    dear = [replace(a_request(f"drives/{number}/root/delta", Service.FILES), cost=cost) for number in range(at_once)]
    began = clock.time

    read_all(client, dear, 20)
    assert clock.time == began

    read_all(client, [replace(dear[0], url=f"{GRAPH}drives/{at_once}/root/delta")])
    assert clock.time == began + 63


@pytest.mark.parametrize("bad", [[0], [29], [0, 1], [3, 17, 28]], ids=str)
@pytest.mark.parametrize("wait", ["60", "1", "0.001", None])
def test_an_object_that_is_always_throttled_ends_alone(
    graph: FakeGraph, client: GraphClient, clock: Clock, bad: list[int], wait: str | None
) -> None:
    """While Graph serves others, a refusal is that object's: they go on, and it ends in minutes instead of hours."""
    for number in range(30):
        graph.answers(f"drives/{number}/root/delta", throttled(wait) if number in bad else PAGE)
    began, first = clock.time, [*(DRIVES[number] for number in bad if number != 29)]
    others = [drive for drive in DRIVES if drive not in first]

    found = read_all(client, [*first, *others])

    assert [path for path, outcome in found.items() if outcome == "READ"] == [
        str(number) for number in range(30) if number not in bad
    ]
    assert all(found[str(number)].startswith("Throttled: ") for number in bad)
    assert clock.time - began <= (OWN_PATIENCE + 10 * 60 if bad != [29] else PATIENCE)


def test_a_throttled_object_leaves_the_service_alone(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """After a few pauses of the whole service, only the object itself waits."""
    graph.answers("drives/0/root/delta", throttled("60"))
    for number in range(1, 30):
        graph.answers(f"drives/{number}/root/delta", PAGE)
    served_at: list[float] = []
    began = clock.time
    for received in client.responses(deque(DRIVES), BatchSize(1)):
        served_at += [clock.time - began] if received.rule.action is Action.READ else []

    assert len(served_at) == 29
    assert served_at[-1] <= 5 * 60
    assert clock.time - began >= OWN_PATIENCE


def test_a_service_that_refuses_all_is_no_objects_fault(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """Half an hour of throttling that meets every request is waited out, by every one."""
    for number in range(30):
        graph.answers(f"drives/{number}/root/delta", *[throttled("1800")] * (number < 5), PAGE)

    assert set(read_all(client, DRIVES).values()) == {"READ"}


@pytest.mark.parametrize("service", [Service.FILES, Service.OUTLOOK, Service.DIRECTORY])
@pytest.mark.parametrize(
    ("wait", "told"), [("86400", "86,400"), ("100000", "100,000"), ("7201", "7,201"), ("1e9", "1,000,000,000")]
)
def test_a_wait_beyond_the_patience_fails_at_once(
    graph: FakeGraph, client: GraphClient, clock: Clock, service: Service, wait: str, told: str
) -> None:
    """With Graph's number, and without a pause for anybody."""
    graph.answers("users", throttled(wait))
    graph.answers("groups", PAGE)

    with pytest.raises(GraphUnavailable, match=f"Graph asks to wait {told} seconds, which is longer"):
        client.get(a_request("users", service))
    assert get(client, a_request("groups", service)) == (PAGE["json"], Action.READ)
    assert (graph.asked, clock.slept) == (["users", "groups"], [])


def test_a_date_beyond_the_patience_fails_at_once(graph: FakeGraph, client: GraphClient, clock: Clock) -> None:
    """A Retry-After may be a date."""
    graph.answers("users", throttled("Fri, 01 Jan 2100 00:00:00 GMT"))

    with pytest.raises(GraphUnavailable, match=r"Graph asks to wait [\d,]+ seconds, which is longer"):
        client.get(USERS)
    assert clock.slept == []


@pytest.mark.parametrize("wait", ["0.001", "0", "-5", "nan", None])
def test_a_service_that_refuses_gets_few_requests(
    graph: FakeGraph, client: GraphClient, clock: Clock, wait: str | None
) -> None:
    """A floor of a second that grows to a minute, whatever Graph asks for: two hours take 130 requests."""
    graph.answers("users", throttled(wait))

    with pytest.raises(GraphUnavailable):
        client.get(USERS)
    assert min(clock.slept) >= 1
    assert len(graph.asked) <= 130


# Whose fault a 401 is.


def refused(client: GraphClient, path: str) -> bool:
    """Whether a request is refused for its token although that was renewed."""
    return client.get(a_request(path)).rule.action is Action.RENEW


@pytest.mark.parametrize("order", ["accepted first", "refused first"])
def test_a_401_is_the_objects_if_the_token_is_accepted(graph: FakeGraph, client: GraphClient, order: str) -> None:
    """The same is found out whichever request comes first."""
    graph.answers("teams/new/members", REFUSED_TOKEN)
    graph.answers("teams/old/members", PAGE)
    graph.answers("organization", PAGE)
    for path in ("teams/old/members", "teams/new/members")[:: 1 if order == "accepted first" else -1]:
        client.get(a_request(path))

    assert client.accepts_token() is True


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (PAGE, True),
        (a_page(), True),
        (an_error(403, "Authorization_RequestDenied"), True),
        (an_error(404, "Request_ResourceNotFound"), True),
        (an_error(410, "resyncRequired"), True),
        (throttled("600"), True),
        (REFUSED_TOKEN, False),
    ],
)
def test_a_token_that_no_page_was_served_for_is_tried(
    graph: FakeGraph, client: GraphClient, answer: Answer, accepted: bool
) -> None:
    """Graph looks at the token before anything else, so that any other refusal accepts it."""
    graph.answers("teams/new/members", REFUSED_TOKEN)
    graph.answers("organization", answer)

    assert refused(client, "teams/new/members")
    assert [client.accepts_token(), client.accepts_token()] == [accepted] * 2
    assert graph.asked.count("organization?$select=id") == (1 if accepted else 2)


def test_a_renewed_token_is_tried_where_the_old_one_was_accepted(graph: FakeGraph, client: GraphClient) -> None:
    """One request tells for two hundred teams."""
    graph.answers("groups", PAGE)
    graph.answers("teams/new/members", REFUSED_TOKEN)
    client.get(a_request("groups"))

    assert refused(client, "teams/new/members")
    assert [client.accepts_token() for _ in range(200)] == [True] * 200
    assert graph.asked == ["groups", *["teams/new/members"] * 2, "groups"]


def test_a_token_revoked_in_the_middle_is_the_tokens_fault(graph: FakeGraph, client: GraphClient) -> None:
    """What Graph accepted before does not count once it refuses everything."""
    graph.answers("groups", PAGE, REFUSED_TOKEN)
    graph.answers("teams/new/members", REFUSED_TOKEN)
    client.get(a_request("groups"))

    assert refused(client, "teams/new/members")
    assert client.accepts_token() is False


@pytest.mark.parametrize("trouble", [NO_CONNECTION, TROUBLE, {"status_code": 403, "text": "<html>"}])
def test_trouble_tells_nothing_of_the_token(
    graph: FakeGraph, client: GraphClient, clock: Clock, trouble: Answer
) -> None:
    """The trial is repeated as any request is, and ends the sync as unreachable where nothing of Graph's answers."""
    graph.answers("groups", PAGE, *[trouble] * 5, PAGE, *[trouble] * 6)
    graph.answers("teams/new/members", REFUSED_TOKEN)
    client.get(a_request("groups"))

    assert refused(client, "teams/new/members")
    assert client.accepts_token() is True
    assert clock.slept == EXPONENTIAL
    assert refused(client, "teams/new/members")
    with pytest.raises(GraphUnreachable):
        client.accepts_token()


def test_a_slot_is_not_needed_to_try_a_token(graph: FakeGraph, limiter: RateLimiter) -> None:
    """The caller holds the only one while it deals with the refusal."""
    client = a_client(limiter, at_once=1)
    graph.answers("teams/new/members", REFUSED_TOKEN)
    graph.answers("organization", PAGE)
    responses = client.responses(deque([a_request("teams/new/members")]), BatchSize(1))
    next(responses)

    assert client.accepts_token() is True
    responses.close()


# Cookies.


class SettingCookies(requests.adapters.HTTPAdapter):
    """A Graph that sets another cookie with each page, and keeps what it was sent."""

    def __init__(self, cookie: str) -> None:
        super().__init__()
        self.cookie, self.sent = cookie, list[str | None]()

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append(request.headers.get("Cookie"))
        message = HTTPMessage()
        message["Set-Cookie"] = self.cookie.format(len(self.sent))
        original: Any = SimpleNamespace(msg=message, isclosed=lambda: True)
        body = io.BytesIO(b'{"value": []}')
        raw = HTTPResponse(body, dict(message), 200, original_response=original, preload_content=False)
        return self.build_response(request, raw)


@pytest.mark.parametrize(
    "cookie",
    [
        "page{}=value; Path=/; Secure; HttpOnly",
        "page{}=value",
        "page{}=value; Domain=graph.microsoft.com",
        "page{}=value; Domain=.microsoft.com; Path=/",
        "page{}=value; Max-Age=3600; Version=1",
    ],
)
def test_no_cookies_are_kept(limiter: RateLimiter, cookie: str) -> None:
    """They would go along with every later request, until Graph refuses their size."""
    client, adapter = a_client(limiter), SettingCookies(cookie)
    client._session.mount("https://", adapter)
    client._auth._token, client._auth._renew_at = "a-token", float("inf")
    for _ in range(20):
        assert get(client, USERS)[1] is Action.READ

    assert adapter.sent == [None] * 20
    assert not client._session.cookies


# What leaves the house.


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1.0/users",
        "https://graph.microsoft.com.evil.example/v1.0/users",
        "https://evil.example/graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com@evil.example/v1.0/users",
        "https://me:secret@graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com:8443/v1.0/users",
        "https://graph.microsoft.com\t.evil.example/v1.0/users",
        "https://graph.microsoft.com\\.evil.example/v1.0/users",
        "https://evil.example\\@graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.us/v1.0/users",
        "http://graph.microsoft.com/v1.0/users",
        "HTTP://graph.microsoft.com/v1.0/users",
        "//graph.microsoft.com/v1.0/users",
        "/v1.0/users",
        "users?$skiptoken=1",
        "ftp://graph.microsoft.com/users",
        "https://[graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com\u2100/v1.0/users",
        "https://graph.microsoft.com:port/v1.0/users",
        "",
    ],
)
def test_no_token_leaves_the_graph_host(graph: FakeGraph, client: GraphClient, url: str) -> None:
    """A link that leads anywhere else is refused before anything is asked, not even for a token."""
    with pytest.raises(ProtocolBroken) as caught:
        client.get(PageRequest(url, Service.DIRECTORY))

    assert caught.value.failure_type == FailureType.system_error
    assert (graph.asked, graph.sign_ins) == ([], 0)


@pytest.mark.parametrize(
    "host", ["https://graph.microsoft.com:443", "https://GRAPH.microsoft.com", "HTTPS://graph.microsoft.com"]
)
def test_the_same_host_in_other_words_is_the_same(wire: requests_mock.Mocker, client: GraphClient, host: str) -> None:
    """Case and the usual port make no difference."""
    wire.get(f"{host}/v1.0/users", **PAGE)

    assert get(client, PageRequest(f"{host}/v1.0/users", Service.DIRECTORY)) == (PAGE["json"], Action.READ)


@pytest.mark.parametrize("host", ["graph.microsoft.com:443", "Graph.Microsoft.com"])
def test_a_configured_host_may_be_in_other_words_too(
    wire: requests_mock.Mocker, graph: FakeGraph, limiter: RateLimiter, host: str
) -> None:
    """A custom cloud's host is what the user typed; Graph's links have it in Graph's own words."""
    graph.answers("users", PAGE)
    wire.get(f"https://{host}/v1.0/users", **PAGE)
    clock = SyncClock()
    client = GraphClient(host, an_auth(Config.parse(CONFIG), clock), limiter, clock, 10)

    assert get(client, PageRequest(f"https://{host}/v1.0/users", Service.DIRECTORY)) == (PAGE["json"], Action.READ)
    assert get(client, USERS) == (PAGE["json"], Action.READ)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(graph: FakeGraph, client: GraphClient, status: int) -> None:
    """A redirect could lead the token away; no listing needs one, so it is none of Graph's answers."""
    graph.answers("users", {"status_code": status, "headers": {"Location": f"{GRAPH}elsewhere"}})

    with pytest.raises(GraphUnavailable, match=f"no service of Graph's, .* HTTP {status} "):
        client.get(USERS)
    assert graph.asked == ["users"] * 6


@pytest.fixture
def sent(graph: FakeGraph) -> Iterator[list[tuple[requests.PreparedRequest, dict[str, Any]]]]:
    """Each request sent to Graph with the settings it was sent with. Undone before requests-mock is: the other way
    round would leave its mock in place for the tests that follow."""
    sent: list[tuple[requests.PreparedRequest, dict[str, Any]]] = []
    send = requests.Session.send

    def record(session: requests.Session, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        if str(request.url).startswith(GRAPH):
            sent.append((request, settings))
        return send(session, request, **settings)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(requests.Session, "send", record)
        yield sent


def test_every_request_has_a_timeout(graph: FakeGraph, client: GraphClient, sent: list[Any]) -> None:
    """No attempt waits for ever, whichever it is."""
    graph.answers("users", TROUBLE, throttled("1"), REFUSED_TOKEN, NO_CONNECTION, PAGE)
    client.get(USERS)

    assert [settings["timeout"] for _, settings in sent] == [TIMEOUT] * 5
    assert TIMEOUT == (10, 120)


def test_every_request_says_who_asks_and_what_for(graph: FakeGraph, client: GraphClient, sent: list[Any]) -> None:
    """Enum members of today, a name that SharePoint knows to treat well, and JSON; the same on every page."""
    link = f"{GRAPH}users?$skiptoken=1"
    graph.answers("users?$skiptoken=1", PAGE)
    graph.answers("users", PAGE)
    client.get(USERS)
    client.get(PageRequest(link, Service.DIRECTORY))

    names = ("Accept", "Prefer", "User-Agent")
    expected = (
        "application/json",
        "include-unknown-enum-members",
        "NONISV|source-microsoft-graph|source-microsoft-graph/0.1.0",
    )
    assert [tuple(request.headers[name] for name in names) for request, _ in sent] == [expected, expected]


def test_a_proxy_of_the_environment_is_used(
    graph: FakeGraph, limiter: RateLimiter, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a company's proxy the connector goes where the environment sends it."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "")
    graph.answers("users", PAGE)
    a_client(limiter).get(USERS)

    assert [settings["proxies"].get("https") for _, settings in sent] == ["http://proxy.example:3128"]
