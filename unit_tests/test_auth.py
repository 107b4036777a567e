"""Signing in: one token for all, renewed in time, and refusals said in words that help."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import requests_mock
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, update_secrets

from source_microsoft_graph.auth.refusals import SIGN_IN
from source_microsoft_graph.auth.session import SignInSession, login_hosts
from source_microsoft_graph.auth.token import GraphAuth
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import NO_ANSWER, ConnectionFailed, GraphUnreachable, Help, SignInRefused
from source_microsoft_graph.retries import IMPATIENT, PATIENT, Patience, SyncClock
from unit_tests import hosts
from unit_tests.conftest import Clock
from unit_tests.graph_api import CONFIG, GRAPH, LOGIN, TENANT, Answer, FakeGraph, a_jwt, a_token, an_auth

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
    """The sign-in library keeps tokens by the wall clock, which here is the same as the sync's."""
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
    pytest.param({"json": ["an", "answer"]}, id="a list"),
    pytest.param({"text": "[" * 100_000}, id="nested without end"),
    pytest.param({"status_code": 201, "json": {"error": "created"}}, id="201"),
    pytest.param({"status_code": 400, "json": ["no", "answer"]}, id="a list for an error"),
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

    told = str(caught.value)
    assert told.startswith("No token could be had from login.microsoftonline.com in 6 attempts: ")
    is_silent = isinstance(trouble.get("exc"), requests.RequestException)
    assert told.endswith(NO_ANSWER.advice) == is_silent
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
        pytest.param(a_jwt({"roles": None}), None, id="null"),
        pytest.param(a_jwt({"roles": "User.Read.All"}), None, id="a text"),
        pytest.param(a_jwt({"roles": ["User.Read.All", None]}), None, id="a null in the list"),
        pytest.param(a_jwt({"roles": ["User.Read.All", {}]}), None, id="an object in the list"),
        pytest.param(a_jwt({"roles": {"User.Read.All": True}}), None, id="an object"),
        pytest.param("header.W10.signature", None, id="a list for the claims"),
        pytest.param("header.bm90IEpTT04.signature", None, id="no JSON"),
        pytest.param("header.a.signature", None, id="no base64"),
        pytest.param("header..signature", None, id="empty"),
        pytest.param("EwCoA8l6BAAU-an-opaque-token", None, id="opaque"),
    ],
)
def test_roles_are_read_from_the_token(graph: FakeGraph, auth: GraphAuth, token: str, roles: set[str] | None) -> None:
    """The permissions a token carries. Where its inside is not for us they are not known, which is not the same as
    none, and no error."""
    graph.signs_in(a_grant(token))

    assert auth.roles == roles


def test_a_token_is_a_secret(graph: FakeGraph, auth: GraphAuth) -> None:
    """From the moment there is a token, and after each renewal, the CDK masks it in every message."""
    first = auth.token()
    auth.renew(a_request(auth))

    assert filter_secrets(f"{first} and {auth.token()}") == "**** and ****"


# Whom the proof is sent to.

ELSEWHERE = "https://elsewhere.example/secret-path?and=query"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize(
    ("location", "told"),
    [
        (ELSEWHERE, "https://elsewhere.example. "),
        (f"http://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token", "http://login.microsoftonline.com. "),
        (f"{LOGIN}/another/path", "https://login.microsoftonline.com. "),
        ("/relative", "https://login.microsoftonline.com. "),
        ("//elsewhere.example/path", "https://elsewhere.example. "),
        ("http://[elsewhere/path", "a host that cannot be read. "),
    ],
    ids=["another host", "plain http", "the same host", "relative", "without a scheme", "malformed"],
)
@pytest.mark.parametrize("place", PLACES)
def test_no_redirect_is_followed(
    wire: requests_mock.Mocker,
    graph: FakeGraph,
    auth: GraphAuth,
    clock: Clock,
    status: int,
    location: str,
    told: str,
    place: str,
) -> None:
    """Whoever answers with one gets no second request, and is named by host; nothing is tried again."""
    wire.register_uri(requests_mock.ANY, requests_mock.ANY, status_code=599)
    FakeGraph(wire)
    answer: Answer = {"status_code": status, "headers": {"Location": location}}
    if place == "token":
        graph.signs_in(answer)
    else:
        wire.get(DISCOVERY, **answer)

    with pytest.raises(SignInRefused) as caught:
        auth.token()

    assert "login.microsoftonline.com answers with a redirect to " in str(caught.value)
    assert told in str(caught.value)
    assert "path" not in str(caught.value)
    assert clock.slept == []
    assert [request.url for request in wire.request_history][-1] == PLACES[place]
    assert len(wire.request_history) == (2 if place == "token" else 1)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        (ELSEWHERE, "https://elsewhere.example. "),
        (f"http://login.microsoftonline.com/{TENANT}/token", "http://login.microsoftonline.com. "),
        (f"https://login.microsoftonline.com:8443/{TENANT}/token", "https://login.microsoftonline.com:8443. "),
        (f"https://login.microsoftonline.us/{TENANT}/token", "https://login.microsoftonline.us. "),
        ("https://login.microsoftonline.com@elsewhere.example/token", "https://…@elsewhere.example. "),
        ("https://elsewhere.example\\@login.microsoftonline.com/token", "https://…@login.microsoftonline.com. "),
        ("https://login.microsoftonline.com.elsewhere.example/token", "elsewhere.example. "),
        ("https://[login/token", "a host that cannot be read. "),
        (None, "no scheme"),
    ],
)
def test_the_proof_goes_to_the_login_host_alone(
    wire: requests_mock.Mocker, auth: GraphAuth, endpoint: str | None, told: str
) -> None:
    """A token endpoint elsewhere is not asked, whoever names it."""
    wire.register_uri(requests_mock.ANY, requests_mock.ANY, **a_grant("stolen"))
    wire.get(DISCOVERY, json={"authorization_endpoint": f"{LOGIN}/authorize", "token_endpoint": endpoint})

    with pytest.raises(SignInRefused) as caught:
        auth.token()

    assert "The token endpoint that login.microsoftonline.com names leads to " in str(caught.value)
    assert told in str(caught.value)
    assert "secret-path" not in str(caught.value)
    assert [request.method for request in wire.request_history] == ["GET"]


def test_nothing_else_that_signs_in_leaves_for_another_host(wire: requests_mock.Mocker) -> None:
    """The session itself refuses to send, whatever the sign-in library takes its address from."""
    wire.register_uri(requests_mock.ANY, requests_mock.ANY, **a_grant("stolen"))
    session = SignInSession(login_hosts(LOGIN), frozenset(), PATIENT)

    with pytest.raises(SignInRefused, match=r"leads to https://elsewhere\.example\. "):
        session.post(ELSEWHERE, data={"client_secret": "the-secret-value"})
    assert wire.request_history == []


@pytest.mark.parametrize(
    ("cloud", "endpoint"),
    [
        ("global", "https://login.windows.net"),
        ("global", "https://login.microsoft.com"),
        ("global", "https://sts.windows.net"),
        ("global", "https://LOGIN.microsoftonline.com:443"),
        ("us_government_l4", "https://login.usgovcloudapi.net"),
        ("china", "https://login.partner.microsoftonline.cn"),
    ],
)
def test_a_login_host_has_other_names(wire: requests_mock.Mocker, cloud: str, endpoint: str) -> None:
    """Microsoft's own aliases of a cloud's login host are the same host."""
    config = Config.parse({**CONFIG, "cloud": {"cloud_type": cloud}})
    wire.get(
        f"{config.authority}/v2.0/.well-known/openid-configuration",
        json={"authorization_endpoint": "https://x/y", "token_endpoint": f"{endpoint}/{TENANT}/oauth2/v2.0/token"},
    )
    wire.post(f"{endpoint}/{TENANT}/oauth2/v2.0/token", **a_grant("a-token"))

    assert an_auth(config).token() == "a-token"


@pytest.mark.parametrize("missing", ["token_endpoint", "authorization_endpoint"])
def test_a_configuration_without_endpoints_is_trouble(
    wire: requests_mock.Mocker, graph: FakeGraph, auth: GraphAuth, missing: str
) -> None:
    """It is asked for again, and then named."""
    endpoints = {"authorization_endpoint": f"{LOGIN}/authorize", "token_endpoint": f"{LOGIN}/oauth2/v2.0/token"}
    wire.get(DISCOVERY, json={name: url for name, url in endpoints.items() if name != missing})

    with pytest.raises(GraphUnreachable, match="names no endpoints"):
        auth.token()


# What a grant says of itself.


@pytest.mark.parametrize(
    ("stated", "used"),
    [
        ({"expires_in": 0}, 30),
        ({"expires_in": -3600}, 30),
        ({"expires_in": "0"}, 30),
        ({"expires_in": True}, 30),
        ({"expires_in": float("-inf")}, 30),
        ({}, 300),
        ({"expires_in": None}, 300),
        ({"expires_in": "soon"}, 300),
        ({"expires_in": [3600]}, 300),
        ({"expires_in": float("nan")}, 300),
        ({"expires_in": "3600"}, 3300),
        ({"expires_in": 3600.9}, 3300),
        ({"expires_in": 10**30}, 86_100),
        ({"expires_in": float("inf")}, 86_100),
        ({"expires_in": 10**400}, 300),
        ({"expires_in": 3600, "refresh_in": "never", "scope": 5, "id_token": 1, "client_info": "?"}, 3300),
    ],
)
def test_a_token_is_used_whatever_its_life(
    graph: FakeGraph, auth: GraphAuth, clock: Clock, stated: Mapping[str, Any], used: float
) -> None:
    """For half a minute at least and a day at most, and for five minutes where the answer does not say."""
    grants = [{"access_token": token, "token_type": "Bearer", **stated} for token in ("first", "second")]
    graph.signs_in(*({"text": json.dumps(grant)} for grant in grants))

    assert {auth.token() for _ in range(25)} == {"first"}
    clock.time += used - 1
    assert (auth.token(), graph.sign_ins) == ("first", 1)
    clock.time += 1
    assert (auth.token(), graph.sign_ins) == ("second", 2)


@pytest.mark.parametrize("token", ["a-token\n", " a-token\r\n"])
def test_a_token_may_come_with_blanks(graph: FakeGraph, auth: GraphAuth, token: str) -> None:
    """A line break would make the header invalid, and the error would show the token."""
    graph.signs_in(a_grant(token))

    assert a_request(auth).headers["Authorization"] == "Bearer a-token"


@pytest.mark.parametrize("token", ["", " ", None, 5, ["a-token"], "two words", "two\nlines", "Tökén", "nul\0"])
def test_what_is_no_token_is_not_used(graph: FakeGraph, auth: GraphAuth, token: Any) -> None:
    """It is said, without the token."""
    graph.signs_in(a_grant(token))

    with pytest.raises(SignInRefused) as caught:
        auth.token()

    assert "login.microsoftonline.com issued an access token that no request can carry" in str(caught.value)
    assert all(word not in str(caught.value) for word in ("a-token", "two", "Tökén", "nul"))


def test_a_long_refusal_is_cut(graph: FakeGraph, auth: GraphAuth) -> None:
    """A screenful is enough, and a code that is no number of Entra's is no code."""
    description = f"AADSTS{'9' * 5000}: {'x' * 100_000}"
    graph.signs_in({"status_code": 400, "json": {"error": "invalid_request", "error_description": description}})

    with pytest.raises(SignInRefused) as caught:
        auth.token()

    assert len(str(caught.value)) < 700


# How long a sign-in waits.


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("place", PLACES)
def test_a_long_wait_is_not_waited_out(
    wire: requests_mock.Mocker, graph: FakeGraph, auth: GraphAuth, clock: Clock, status: int, place: str
) -> None:
    """The number of seconds is Entra's, and is told at once."""
    answer: Answer = {"status_code": status, "headers": {"Retry-After": "100000"}}
    if place == "token":
        graph.signs_in(answer)
    else:
        wire.get(DISCOVERY, **answer)

    with pytest.raises(GraphUnreachable, match=r"^login\.microsoftonline\.com asks to wait 100000 seconds ") as caught:
        auth.token()

    assert caught.value.failure_type == FailureType.transient_error
    assert clock.slept == []


def test_a_wait_may_be_told_as_a_date(graph: FakeGraph, auth: GraphAuth, clock: Clock) -> None:
    """Below five minutes it is waited for, beyond them it is told."""
    soon, late = (format_datetime(datetime.now(UTC) + timedelta(hours=hours)) for hours in (0.05, 48))
    graph.signs_in(*({"status_code": 429, "headers": {"Retry-After": when}} for when in (soon, late)))

    with pytest.raises(GraphUnreachable, match=r"asks to wait 17\d{4} seconds"):
        auth.token()

    (waited,) = clock.slept
    assert 100 < waited <= 180


def test_many_short_waits_are_one_long_one(graph: FakeGraph, auth: GraphAuth, clock: Clock) -> None:
    """One sign-in waits five minutes in all."""
    graph.signs_in({"status_code": 429, "headers": {"Retry-After": "120"}})

    with pytest.raises(GraphUnreachable, match="asks to wait 120 seconds"):
        auth.token()

    assert clock.slept == [120.0, 120.0]


def test_a_check_is_impatient(wire: requests_mock.Mocker, graph: FakeGraph, clock: Clock) -> None:
    """It begins no attempt after six seconds, and none of its requests waits longer than twenty."""
    graph.signs_in({"exc": requests.ReadTimeout("Read timed out.")})

    with pytest.raises(GraphUnreachable, match="in 3 attempts: Read timed out"):
        an_auth(Config.parse(CONFIG), SyncClock(IMPATIENT)).token()

    assert clock.slept == [1.0, 3.0]
    assert {request.timeout for request in wire.request_history} == {(10, 20)}


def test_a_check_waits_for_no_long_retry_after(graph: FakeGraph, clock: Clock) -> None:
    """What Entra asks for is told instead."""
    graph.signs_in({"status_code": 429, "headers": {"Retry-After": "30"}})

    with pytest.raises(GraphUnreachable, match=r"asks to wait 30 seconds .* waits 6 at most"):
        an_auth(Config.parse(CONFIG), SyncClock(IMPATIENT)).token()

    assert clock.slept == []


# A managed identity, whose endpoint is this machine's own and speaks plain http.


@pytest.fixture
def on_azure(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], GraphAuth]:
    """The sign-in of a machine whose endpoint is at this URL: it waits half a second for an answer, and asks once."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def sign_in(url: str) -> GraphAuth:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)
        config = Config.parse({"tenant_id": TENANT, "credentials": {"auth_type": "managed_identity"}})
        return an_auth(config, SyncClock(Patience(response=0.5, attempts=0)))

    return sign_in


@pytest.mark.parametrize(
    "answer", [hosts.dripped, hosts.dripped_status, hosts.silent, hosts.continued, hosts.endless, hosts.packed_bomb]
)
def test_an_answer_without_end_ends(on_azure: Callable[[str], GraphAuth], answer: hosts.Answer) -> None:
    """Over sockets: bytes that come slowly, for ever, or packed are cut off, and said in one sentence."""
    with hosts.a_host(answer) as url, pytest.raises(GraphUnreachable) as caught:
        on_azure(url).token()

    told = "No token could be had from the managed identity endpoint in 1 attempt: The response "
    assert str(caught.value) in (
        f"{told}takes longer than 0.5 seconds",
        f"{told}is longer than 1048576 bytes",
    )


def test_a_managed_identity_follows_no_redirect(on_azure: Callable[[str], GraphAuth]) -> None:
    """Its endpoint's word is no reason to ask another host."""
    asked: list[str] = []

    def grant(_: threading.Event) -> Iterator[bytes]:
        asked.append("another host")
        yield hosts.a_response(b'{"access_token": "stolen", "expires_in": 3600}')

    with hosts.a_host(grant) as other:
        redirect = hosts.a_response(b"", f"Location: {other}token", status="302 Found")
        with (
            hosts.a_host(lambda _: iter((redirect,))) as url,
            pytest.raises(SignInRefused, match=f"answers with a redirect to {other[:-1]}"),
        ):
            on_azure(url).token()

    assert asked == []


@pytest.mark.parametrize("expires_in", [b"0", b'"soon"', b"null"])
def test_a_managed_identitys_token_has_a_life_too(on_azure: Callable[[str], GraphAuth], expires_in: bytes) -> None:
    """The library that reads it takes numbers alone."""
    grant = hosts.a_response(b'{"access_token": "a-token", "expires_in": ' + expires_in + b"}")

    with hosts.a_host(lambda _: iter((grant,))) as url:
        auth = on_azure(url)
        assert [auth.token(), auth.token()] == ["a-token"] * 2


def test_an_app_service_may_tell_when_a_token_ends(
    on_azure: Callable[[str], GraphAuth], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words that are no time, too."""
    grant = hosts.a_response(b'{"access_token": "a-token", "expires_on": "06/20/2029 02:57:58 +00:00"}')

    with hosts.a_host(lambda _: iter((grant,))) as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        monkeypatch.setenv("IDENTITY_HEADER", "the-header")
        assert on_azure(url).token() == "a-token"
