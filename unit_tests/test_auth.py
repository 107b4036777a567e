"""Signing in: one token for all, renewed in time, and refusals said in words that help."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import requests_mock
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, update_secrets

from source_microsoft_graph.auth.refusals import SIGN_IN
from source_microsoft_graph.auth.token import GraphAuth
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import ConnectionFailed, GraphUnreachable, Help, SignInRefused
from unit_tests.conftest import Clock
from unit_tests.graph_api import CONFIG, GRAPH, LOGIN, TENANT, Answer, FakeGraph, a_token, an_auth

DISCOVERY = f"{LOGIN}/v2.0/.well-known/openid-configuration"
PLACES = {"token": f"{LOGIN}/oauth2/v2.0/token", "discovery": DISCOVERY}


@pytest.fixture(autouse=True)
def _no_secrets() -> Iterator[None]:
    """The CDK keeps secrets in a global; no test inherits or leaves any."""
    update_secrets([])
    yield
    update_secrets([])


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """The sign-in library keeps tokens by the wall clock, which here is the same as the pacer's."""
    for module in ("msal.application", "msal.token_cache", "msal.individual_cache"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(time=lambda: clock.time))


@pytest.fixture
def _contention() -> Iterator[None]:
    """Threads take turns as often as they can, so that what is not locked shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def wire() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def graph(wire: requests_mock.Mocker) -> FakeGraph:
    return FakeGraph(wire)


@pytest.fixture
def auth(graph: FakeGraph) -> GraphAuth:
    return an_auth(Config.parse(CONFIG))


def a_grant(token: str, expires_in: float = 3600) -> Answer:
    return {"json": {"access_token": token, "expires_in": expires_in, "token_type": "Bearer"}}


def an_answer_once_begun(begun: threading.Semaphore, workers: int, token: str) -> Answer:
    """Entra takes its time: the answer comes when all these workers are under way."""

    def answer(*_: object) -> Any:
        for _worker in range(workers):
            assert begun.acquire(timeout=10)
        return a_grant(token)["json"]

    return {"json": answer}


def a_refusal(code: int, text: str, status: int = 400, error: str = "invalid_request") -> Answer:
    """Entra's answer: the code, a sentence, and lines for its support."""
    description = f"AADSTS{code}: {text}\r\nTrace ID: a-trace\r\nCorrelation ID: b\r\nTimestamp: 2024-01-01 00:00:00Z"
    return {"status_code": status, "json": {"error": error, "error_description": description, "error_codes": [code]}}


def a_request(auth: GraphAuth) -> requests.PreparedRequest:
    return requests.Request("GET", f"{GRAPH}users", auth=auth).prepare()


def test_a_request_carries_the_token(graph: FakeGraph, auth: GraphAuth) -> None:
    """The token goes into the Authorization header, and a sign-in happens only when one is needed."""
    assert graph.sign_ins == 0

    headers = [a_request(auth).headers["Authorization"] for _ in range(3)]

    assert headers == [f"Bearer {auth.token()}"] * 3
    assert graph.sign_ins == 1


def test_a_sign_in_is_a_client_credentials_grant(wire: requests_mock.Mocker, auth: GraphAuth) -> None:
    """Entra gets the app's id, its secret and the scope, and nothing about a user."""
    auth.token()

    form = parse_qs(wire.request_history[-1].text)
    asked = ("grant_type", "client_id", "client_secret", "scope", "username")
    assert {name: form[name] for name in asked if name in form} == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-client"],
        "client_secret": ["the-secret-value"],
        "scope": ["https://graph.microsoft.com/.default"],
    }


def test_signing_in_has_a_timeout(wire: requests_mock.Mocker, auth: GraphAuth) -> None:
    """Neither finding the tenant nor asking for a token waits for ever."""
    auth.token()

    assert [request.timeout for request in wire.request_history] == [(10, 30), (10, 30)]


@pytest.mark.parametrize(
    ("cloud", "host", "scope"),
    [
        ({"cloud_type": "china"}, "login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn/.default"),
        (
            {"cloud_type": "custom", "login_host": "login.example:8443", "graph_host": "graph.example"},
            "login.example:8443",
            "https://graph.example/.default",
        ),
    ],
    ids=["china", "custom"],
)
def test_only_the_clouds_own_login_host_is_asked(
    wire: requests_mock.Mocker, cloud: Mapping[str, str], host: str, scope: str
) -> None:
    """No sovereign cloud's tenant is told to Microsoft's worldwide sign-in service."""
    login = f"https://{host}/{TENANT}"
    wire.get(
        f"{login}/v2.0/.well-known/openid-configuration",
        json={"authorization_endpoint": f"{login}/authorize", "token_endpoint": f"{login}/oauth2/v2.0/token"},
    )
    wire.post(f"{login}/oauth2/v2.0/token", **a_grant("a-token"))

    assert an_auth(Config.parse({**CONFIG, "cloud": cloud})).token() == "a-token"
    assert {f"https://{request.netloc}" for request in wire.request_history} == {f"https://{host}"}
    assert parse_qs(wire.request_history[-1].text)["scope"] == [scope]


@pytest.mark.usefixtures("_contention")
def test_one_sign_in_serves_every_thread(graph: FakeGraph, auth: GraphAuth) -> None:
    """Twenty workers that need a token in the same moment cause one sign-in and share its token."""
    begun = threading.Semaphore(0)
    graph.signs_in(an_answer_once_begun(begun, 20, "first"), a_grant("second"))

    def work(_: int) -> str:
        begun.release()
        return auth.token()

    with ThreadPoolExecutor(20) as pool:
        tokens = list(pool.map(work, range(20)))

    assert (tokens, graph.sign_ins) == (["first"] * 20, 1)


@pytest.mark.parametrize(
    ("lifetime", "renewed_after"),
    [(5400, 5100), (3600, 3300), (900, 600), (600, 300), (500, 250), (240, 120), (60, 30)],
)
def test_a_token_is_renewed_in_time(
    graph: FakeGraph, auth: GraphAuth, clock: Clock, lifetime: float, renewed_after: float
) -> None:
    """Five minutes before it expires, or at half its life if that is less: not sooner and not later."""
    graph.signs_in(a_grant("first", lifetime), a_grant("second", lifetime))
    assert auth.token() == "first"

    clock.time += renewed_after - 1
    assert (auth.token(), graph.sign_ins) == ("first", 1)
    clock.time += 1
    assert (auth.token(), graph.sign_ins) == ("second", 2)


def test_a_refused_token_is_replaced(graph: FakeGraph, auth: GraphAuth) -> None:
    """A token that Graph does not accept is not used again, however long it was meant to last."""
    refused = a_request(auth)

    auth.renew(refused)

    assert [refused.headers["Authorization"] == a_request(auth).headers["Authorization"], graph.sign_ins] == [False, 2]


def test_a_refused_token_is_replaced_once(graph: FakeGraph, auth: GraphAuth) -> None:
    """Who is refused with a token that another worker has replaced already uses the new one."""
    refused, refused_too = a_request(auth), a_request(auth)

    auth.renew(refused)
    renewed = auth.token()
    auth.renew(refused_too)

    assert (auth.token(), graph.sign_ins) == (renewed, 2)


@pytest.mark.usefixtures("_contention")
def test_workers_refused_together_cause_one_sign_in(graph: FakeGraph, auth: GraphAuth) -> None:
    """Eight workers refused with one token in the same moment renew it once."""
    begun = threading.Semaphore(0)
    graph.signs_in(a_grant("first"), an_answer_once_begun(begun, 8, "second"), a_grant("third"))

    def work(refused: requests.PreparedRequest) -> str:
        begun.release()
        auth.renew(refused)
        return auth.token()

    refused = [a_request(auth) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(work, refused))

    assert (tokens, graph.sign_ins) == (["second"] * 8, 2)


@pytest.mark.parametrize(("code", "known"), SIGN_IN.items())
def test_a_refusal_is_explained(graph: FakeGraph, auth: GraphAuth, clock: Clock, code: int, known: Help) -> None:
    """Entra's code is put into words and a remedy, with Entra's own sentence beside them; nothing is tried again."""
    update_secrets(["the-secret-value"])
    graph.signs_in(a_refusal(code, "No, not with 'the-secret-value'."))

    with pytest.raises(SignInRefused) as caught:
        auth.token()

    assert str(caught.value) == f"Sign-in failed. {known} Entra says: AADSTS{code}: No, not with '****'."
    assert caught.value.failure_type == FailureType.config_error
    assert (clock.slept, graph.sign_ins) == ([], 1)


@pytest.mark.parametrize("code", [7000215, 7000222, 700016, 90002, 900144, 7000112])
def test_the_usual_refusals_are_known(code: int) -> None:
    """The codes that a wrong secret, app or tenant is answered with are in the table."""
    assert code in SIGN_IN


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (a_refusal(50059, "No tenant information."), "Sign-in failed. AADSTS50059: No tenant information."),
        ({"status_code": 400, "json": {"error": "invalid_scope"}}, "Sign-in failed. invalid_scope"),
    ],
    ids=["unknown code", "no description"],
)
def test_an_unknown_refusal_is_quoted(graph: FakeGraph, auth: GraphAuth, answer: Answer, message: str) -> None:
    """Where the table has no words for it, Entra's first line has to do."""
    graph.signs_in(answer)

    with pytest.raises(SignInRefused) as caught:
        auth.token()

    assert str(caught.value) == message


@pytest.mark.parametrize("code", [90002, 900023])
def test_an_unknown_tenant_is_explained(wire: requests_mock.Mocker, auth: GraphAuth, clock: Clock, code: int) -> None:
    """A tenant that does not exist shows before the sign-in itself, and is put into words all the same."""
    wire.get(DISCOVERY, **a_refusal(code, "Tenant 'x' not found.", error="invalid_tenant"))

    with pytest.raises(SignInRefused) as caught:
        auth.token()

    assert f"Sign-in failed. {SIGN_IN[code]} " in str(caught.value)
    assert "b2clogin" not in str(caught.value)
    assert caught.value.failure_type == FailureType.config_error
    assert (clock.slept, len(wire.request_history)) == ([], 1)


def test_a_refusal_is_not_kept(graph: FakeGraph, auth: GraphAuth) -> None:
    """Asked anew, Entra is asked anew: the sign-in library would repeat its refusal for a minute."""
    graph.signs_in(a_refusal(7000215, "Wrong."), a_grant("a-token"))

    with pytest.raises(SignInRefused):
        auth.token()

    assert auth.token() == "a-token"


TROUBLE = [
    pytest.param({"status_code": 500}, id="500"),
    pytest.param({"status_code": 502, "text": "<html>"}, id="502"),
    pytest.param({"status_code": 503}, id="503"),
    pytest.param({"status_code": 504}, id="504"),
    pytest.param(a_refusal(90055, "Too many requests.", 429, "temporarily_unavailable"), id="429"),
    pytest.param({"status_code": 429, "text": "Slow down."}, id="429 in plain text"),
    pytest.param({"text": "<html>Sign in to the hotel's network</html>"}, id="HTML"),
    pytest.param({"text": '{"token_type": "Bearer", "acc'}, id="JSON cut off"),
    pytest.param({"exc": requests.ConnectionError("Connection refused")}, id="no connection"),
    pytest.param({"exc": requests.ReadTimeout("Read timed out.")}, id="read timeout"),
]


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("place", PLACES)
def test_lasting_trouble_is_unreachable(
    wire: requests_mock.Mocker, graph: FakeGraph, auth: GraphAuth, clock: Clock, trouble: Answer, place: str
) -> None:
    """Six attempts with growing waits between them, then an error that says the next sync may succeed."""
    if place == "token":
        graph.signs_in(trouble)
    else:
        wire.get(DISCOVERY, [dict(trouble)])

    with pytest.raises(GraphUnreachable) as caught:
        auth.token()

    assert str(caught.value).startswith("No token could be had from login.microsoftonline.com in 6 attempts: ")
    assert caught.value.failure_type == FailureType.transient_error
    assert clock.slept == [1.0, 3.0, 9.0, 27.0, 81.0]
    assert [request.url for request in wire.request_history].count(PLACES[place]) == 6


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("place", PLACES)
def test_passing_trouble_passes(
    wire: requests_mock.Mocker, graph: FakeGraph, auth: GraphAuth, clock: Clock, trouble: Answer, place: str
) -> None:
    """Two failures cost four seconds and nothing else."""
    if place == "token":
        graph.signs_in(trouble, trouble, a_grant("a-token"))
    else:
        endpoints = {"authorization_endpoint": f"{LOGIN}/authorize", "token_endpoint": f"{LOGIN}/oauth2/v2.0/token"}
        wire.get(DISCOVERY, [dict(trouble), dict(trouble), {"json": endpoints}])
        graph.signs_in(a_grant("a-token"))

    assert auth.token() == "a-token"
    assert clock.slept == [1.0, 3.0]


@pytest.mark.parametrize(
    ("status", "asked", "slept"),
    [(429, "7", 7.0), (503, "7", 7.0), (429, "soon", 1.0), (429, "0", 1.0)],
)
def test_entra_may_say_how_long(
    graph: FakeGraph, auth: GraphAuth, clock: Clock, status: int, asked: str, slept: float
) -> None:
    """A Retry-After is waited out, and one that names no time is as good as none."""
    graph.signs_in({"status_code": status, "headers": {"Retry-After": asked}}, a_grant("a-token"))

    assert auth.token() == "a-token"
    assert clock.slept == [slept]


def test_half_a_token_is_not_logged(graph: FakeGraph, auth: GraphAuth, caplog: pytest.LogCaptureFixture) -> None:
    """The sign-in library logs an answer it cannot read, and half of a token in it would be told to everybody."""
    graph.signs_in({"text": '{"token_type": "Bearer", "access_token": "half-of-a-token'}, a_grant("a-token"))

    assert auth.token() == "a-token"
    assert "half-of-a-token" not in caplog.text


@pytest.mark.parametrize("place", PLACES)
def test_a_refusal_in_html_tells_its_status(
    wire: requests_mock.Mocker, graph: FakeGraph, auth: GraphAuth, place: str
) -> None:
    """A firewall that answers for Entra has no code to look up; its status is what helps."""
    firewall: Answer = {"status_code": 403, "text": "<html>Blocked by the firewall</html>"}
    if place == "token":
        graph.signs_in(firewall)
    else:
        wire.get(DISCOVERY, **firewall)

    with pytest.raises(ConnectionFailed, match="403"):
        auth.token()


def test_a_failed_renewal_can_be_repeated(graph: FakeGraph, auth: GraphAuth) -> None:
    """A renewal that failed leaves no token behind that would pass for a new one."""
    graph.signs_in(a_grant("first"), a_refusal(7000222, "Expired."), a_grant("second"))
    refused = a_request(auth)

    with pytest.raises(SignInRefused):
        auth.renew(refused)
    auth.renew(refused)

    assert auth.token() == "second"


@pytest.mark.parametrize(
    ("token", "roles"),
    [
        pytest.param(a_token(["User.Read.All", "Mail.Read"]), {"User.Read.All", "Mail.Read"}, id="two"),
        pytest.param(a_token([]), set(), id="none"),
        pytest.param("header.e30.signature", set(), id="no claim"),
        pytest.param("header.eyJyb2xlcyI6bnVsbH0.signature", set(), id="null"),
        pytest.param("header.W10.signature", set(), id="a list for the claims"),
        pytest.param("header.bm90IEpTT04.signature", set(), id="no JSON"),
        pytest.param("header.a.signature", set(), id="no base64"),
        pytest.param("EwCoA8l6BAAU-an-opaque-token", set(), id="opaque"),
    ],
)
def test_roles_are_read_from_the_token(graph: FakeGraph, auth: GraphAuth, token: str, roles: set[str]) -> None:
    """The permissions a token carries; nothing, and no error, where its inside is not for us."""
    graph.signs_in(a_grant(token))

    assert auth.roles == roles


def test_a_token_is_a_secret(graph: FakeGraph, auth: GraphAuth) -> None:
    """From the moment there is a token, and after each renewal, the CDK masks it in every message."""
    first = auth.token()
    auth.renew(a_request(auth))

    assert filter_secrets(f"{first} and {auth.token()}") == "**** and ****"
