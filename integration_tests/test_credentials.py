"""Every kind of credentials signs in to a service that verifies what it is sent, and is refused by what is amiss."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from integration_tests.network import Network
from integration_tests.runner import ConsoleScript
from simulated_tenant import certificates
from simulated_tenant.server import Server, serve
from simulated_tenant.tenant import Size, Tenant
from simulated_tenant.trust import ASSERTION_TYPE, Federated
from simulated_tenant.wire import Reply, Request
from source_microsoft_graph.auth.refusals import SIGN_IN
from source_microsoft_graph.auth.token import GraphAuth
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import SignInRefused
from source_microsoft_graph.graph.batch import BatchSize
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.retries import SyncClock
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.sync.context import Sync
from unit_tests.graph_api import an_auth

LOGIN, GRAPH = "login.microsoftonline.com", "graph.microsoft.com"
ISSUER, SUBJECT = "https://oidc.example/cluster", "system:serviceaccount:airbyte:airbyte-admin"
AUDIENCE = "api://AzureADTokenExchange"


@pytest.fixture(scope="module")
def app() -> tuple[Any, rsa.RSAPrivateKey]:
    return certificates.of_app()


@pytest.fixture(scope="module")
def cluster() -> rsa.RSAPrivateKey:
    """The key an identity provider signs its tokens with."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def tenant() -> Tenant:
    return Tenant(Size(users=3, guests=0))


@pytest.fixture
def network(tenant: Tenant) -> Iterator[Network]:
    with Network({LOGIN: tenant, GRAPH: tenant}) as network:
        yield network


def auth_of(tenant: Tenant, **credentials: Any) -> GraphAuth:
    raw = {"tenant_id": tenant.tenant_id, "credentials": {"client_id": tenant.client_id, **credentials}}
    return an_auth(Config.parse(raw))


def by_pem(app: Any, **more: Any) -> dict[str, Any]:
    certificate, key = (certificates.pem(part) for part in app)
    return {"auth_type": "certificate", "certificate": certificate, "private_key": key, **more}


def by_pfx(app: Any, **more: Any) -> dict[str, Any]:
    return {"auth_type": "certificate_pfx", "pfx": certificates.pfx(*app, "secret"), "password": "secret", **more}


def a_token(key: rsa.RSAPrivateKey, **claims: Any) -> str:
    """What an identity provider issues to a workload."""
    now = int(time.time())
    usual = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 3600}
    return jwt.encode({**usual, **claims}, key, "RS256")


def refused(tenant: Tenant, **credentials: Any) -> int:
    """The AADSTS code a sign-in is refused with; its help is in the message."""
    with pytest.raises(SignInRefused) as caught:
        auth_of(tenant, **credentials).token()
    (code,) = [code for code in SIGN_IN if f"AADSTS{code}:" in str(caught.value)]
    assert str(SIGN_IN[code]) in str(caught.value)
    return code


# Client secrets and certificates.


def test_a_secret_signs_in(tenant: Tenant, network: Network) -> None:
    """The roles of the token are the permissions that are granted."""
    auth = auth_of(tenant, auth_type="client_secret", client_secret=tenant.client_secret)

    assert auth.roles == tenant.grants


@pytest.mark.parametrize("given", [by_pem, by_pfx])
def test_a_certificate_signs_in_by_its_thumbprint(
    tenant: Tenant, network: Network, app: Any, given: Callable[..., dict[str, Any]]
) -> None:
    """The signature holds, the thumbprint is the SHA-256 one, and the certificate itself stays here."""
    tenant.trust.certificates.append(app[0])

    assert auth_of(tenant, **given(app)).roles == tenant.grants
    header = jwt.get_unverified_header(assertions(network)[-1])
    assert ("x5t#S256" in header, "x5c" in header, header["alg"]) == (True, False, "PS256")


@pytest.mark.parametrize("given", [by_pem, by_pfx])
def test_a_certificate_signs_in_by_its_subject(
    tenant: Tenant, network: Network, app: Any, given: Callable[..., dict[str, Any]]
) -> None:
    """Where only subject and issuer are trusted, the certificate goes along, and a renewed one is as good."""
    tenant.trust.subjects.add((app[0].issuer.rfc4514_string(), app[0].subject.rfc4514_string()))
    renewed = certificates.of_app()

    assert auth_of(tenant, **given(renewed, send_certificate=True)).roles == tenant.grants
    assert refused(tenant, **given(renewed)) == 700027


def assertions(network: Network) -> list[str]:
    forms = (parse_qs(sent.body) for sent in network.sent if sent.path.endswith("/oauth2/v2.0/token"))
    return [form["client_assertion"][0] for form in forms]


def test_every_sign_in_has_an_assertion_of_its_own(tenant: Tenant, network: Network, app: Any) -> None:
    """The service takes none twice, so a renewal signs anew; each lives ten minutes at most."""
    tenant.trust.certificates.append(app[0])
    auth = auth_of(tenant, **by_pem(app))

    for _ in range(3):
        auth.renew(requests.Request("GET", f"https://{GRAPH}/v1.0/users", auth=auth).prepare())

    claims = [jwt.decode(assertion, options={"verify_signature": False}) for assertion in assertions(network)]
    assert len({claim["jti"] for claim in claims}) == len(claims) == 4
    assert {claim["aud"] for claim in claims} == {f"https://{LOGIN}/{tenant.tenant_id}/oauth2/v2.0/token"}
    assert max(claim["exp"] - claim["iat"] for claim in claims) <= 600


def test_an_unknown_certificate_is_refused(tenant: Tenant, network: Network, app: Any) -> None:
    """Entra's code for it becomes a sentence and a remedy."""
    tenant.trust.certificates.append(certificates.of_app()[0])

    assert refused(tenant, **by_pem(app)) == 700027
    assert refused(tenant, **by_pem(app, send_certificate=True)) == 700030


def test_a_forged_signature_is_refused(tenant: Tenant, network: Network, app: Any) -> None:
    """The simulation checks what it is sent: the right thumbprint under another key's signature will not do."""
    tenant.trust.certificates.append(app[0])
    auth_of(tenant, **by_pem(app)).token()
    header = jwt.get_unverified_header(assertions(network)[-1])
    claims = jwt.decode(assertions(network)[-1], options={"verify_signature": False})
    impostor = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def code(key: Any = app[1], **other: Any) -> int | None:
        thumbprint = {"x5t#S256": header["x5t#S256"]}
        return asked(tenant, jwt.encode({**claims, "jti": "new", **other}, key, "PS256", thumbprint))

    assert code() is None
    assert code(jti="newer", key=impostor) == 700027
    assert code(jti="newer", aud="https://login.example/") == 50013
    assert code(jti="newer", exp=time.time() - 3600) == 700024
    assert code(jti="newer", nbf=time.time() + 3600) == 700024
    assert code(jti="newer", sub="another-app") == 700021
    assert code(jti="new") == 50013
    assert code(jti="") == 50013


def asked(tenant: Tenant, assertion: str) -> int | None:
    """The code a hand-made request for a token is refused with."""
    form = {
        "grant_type": "client_credentials",
        "client_id": tenant.client_id,
        "scope": f"https://{GRAPH}/.default",
        "client_assertion": assertion,
        "client_assertion_type": ASSERTION_TYPE,
    }
    body = requests.Request("POST", "https://x", data=form).prepare().body
    url = f"https://{LOGIN}/{tenant.tenant_id}/oauth2/v2.0/token"
    reply = tenant.respond(Request.to(url, method="POST", body=str(body).encode()))
    codes: list[int] = reply.json.get("error_codes", [])
    return codes[0] if codes else None


def test_conditional_access_may_block_the_app(tenant: Tenant, network: Network, app: Any) -> None:
    """A policy for workload identities refuses what every credential proves."""
    tenant.trust.certificates.append(app[0])
    tenant.trust.blocked = True

    assert refused(tenant, **by_pem(app)) == 53003


# Workload identity federation.


def test_a_token_of_another_provider_signs_in(tenant: Tenant, network: Network, cluster: Any, tmp_path: Path) -> None:
    """Issuer, subject and audience are those of the federated credential; the file is read again for each token."""
    tenant.trust.federated.append(Federated(ISSUER, SUBJECT, cluster.public_key()))
    file = tmp_path / "token"
    file.write_text(a_token(cluster))
    auth = auth_of(tenant, auth_type="workload_identity", assertion_file=str(file))
    first = auth.token()

    file.write_text(a_token(cluster, jti="the next"))
    auth.renew(requests.Request("GET", f"https://{GRAPH}/v1.0/users", auth=auth).prepare())

    assert auth.roles == tenant.grants
    assert len(set(assertions(network))) == 2
    assert first


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://oidc.example/other"}, 700211),
        ({"aud": "https://kubernetes.default.svc"}, 700212),
        ({"sub": "system:serviceaccount:default:default"}, 700213),
        ({"exp": 1}, 700024),
    ],
)
def test_a_token_that_does_not_match_is_refused(
    tenant: Tenant,
    network: Network,
    cluster: Any,
    monkeypatch: pytest.MonkeyPatch,
    claims: Mapping[str, Any],
    code: int,
) -> None:
    """Each of the three that have to match exactly has a code of its own."""
    tenant.trust.federated.append(Federated(ISSUER, SUBJECT, cluster.public_key()))
    monkeypatch.setenv("TOKEN", a_token(cluster, **claims))

    assert refused(tenant, auth_type="workload_identity", assertion_variable="TOKEN") == code


def test_a_token_with_a_forged_signature_is_refused(
    tenant: Tenant, network: Network, cluster: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right claims under another key are nobody's, and an app without a federated credential trusts nobody."""
    monkeypatch.setenv("TOKEN", a_token(app[1]))
    assert refused(tenant, auth_type="workload_identity", assertion_variable="TOKEN") == 70025

    tenant.trust.federated.append(Federated(ISSUER, SUBJECT, cluster.public_key()))
    assert refused(tenant, auth_type="workload_identity", assertion_variable="TOKEN") == 50013


# What proves to be the app stays with the login host.

ELSEWHERE = "elsewhere.example"


@pytest.mark.parametrize("led_by", ["a redirect of the tenant's configuration", "its token endpoint", "a redirect"])
@pytest.mark.parametrize("kind", ["client_secret", "certificate", "certificate_pfx", "workload_identity"])
def test_no_proof_leaves_for_another_host(
    tenant: Tenant, app: Any, cluster: Any, monkeypatch: pytest.MonkeyPatch, kind: str, led_by: str
) -> None:
    """Secrets, assertions and federated tokens alike: the other host would take them, and is never asked."""
    tenant.trust.certificates.append(app[0])
    tenant.trust.federated.append(Federated(ISSUER, SUBJECT, cluster.public_key()))
    monkeypatch.setenv("TOKEN", a_token(cluster))
    credentials: dict[str, Any] = {
        "client_secret": {"client_secret": tenant.client_secret},
        "certificate": by_pem(app),
        "certificate_pfx": by_pfx(app),
        "workload_identity": {"assertion_variable": "TOKEN"},
    }[kind]
    respond = tenant.respond

    def mislead(request: Request) -> Reply:
        reply, is_token = respond(request), request.path.endswith("/token")
        if request.host != LOGIN or (is_token and led_by != "a redirect"):
            return reply
        if led_by == "its token endpoint":
            return replace(reply, body=reply.body.replace(LOGIN.encode(), ELSEWHERE.encode()))
        if is_token or led_by != "a redirect":
            return replace(reply, status=307, headers={"Location": f"https://{ELSEWHERE}{request.path}"})
        return reply

    monkeypatch.setattr(tenant, "respond", mislead)
    with (
        Network({LOGIN: tenant, GRAPH: tenant, ELSEWHERE: tenant}) as network,
        pytest.raises(SignInRefused, match=f"https://{ELSEWHERE}"),
    ):
        auth_of(tenant, **{"auth_type": kind, **credentials}).token()

    assert network.hosts_asked == {LOGIN}


# Managed identities, over the sockets of this machine.


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(Tenant(Size(users=3, guests=0))) as server:
        yield server


@pytest.fixture
def machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A machine of Azure's that has a proxy, which is none of its own endpoint's business."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.identity_url)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.tenant.trust.identities = {None, "the-identity"}
    server.tenant.requests.clear()
    return server


def identity_of(server: Server, **fields: str) -> GraphAuth:
    credentials = {"auth_type": "managed_identity", **fields}
    raw = {"tenant_id": server.tenant.tenant_id, "credentials": credentials, "cloud": server.config()["cloud"]}
    return an_auth(Config.parse(raw))


@pytest.mark.parametrize("fields", [{}, {"client_id": "the-identity"}], ids=["system-assigned", "user-assigned"])
def test_a_virtual_machine_has_an_identity(machine: Server, fields: dict[str, str]) -> None:
    """Its metadata endpoint gives a token for this Graph, to whichever identity is asked for."""
    assert identity_of(machine, **fields).roles == machine.tenant.grants
    (seen,) = machine.tenant.requests
    assert seen.path == "/metadata/identity/oauth2/token"
    assert ("client_id=the-identity" in seen.query) == bool(fields)
    assert f"resource=https%3A%2F%2Flocalhost%3A{machine.port}" in seen.query


@pytest.mark.parametrize("fields", [{}, {"client_id": "the-identity"}], ids=["system-assigned", "user-assigned"])
def test_an_app_service_has_an_identity(
    machine: Server, fields: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """App Service, Functions and Container Apps name their endpoint in the environment, and a header to show there."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{machine.identity_url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", machine.tenant.trust.identity_header)

    assert identity_of(machine, **fields).roles == machine.tenant.grants
    assert [seen.path for seen in machine.tenant.requests] == ["/msi/token"]


def test_an_identity_that_is_not_there_is_refused(machine: Server) -> None:
    """What the endpoint says of it is told."""
    with pytest.raises(SignInRefused, match="Identity not found"):
        identity_of(machine, client_id="nobody").token()


def test_off_azure_there_is_no_identity(machine: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing answers, that is the configuration's fault and not an outage."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
    monkeypatch.setattr(SyncClock, "sleep", lambda *_: None)

    with pytest.raises(SignInRefused, match="Nothing hands out tokens for a managed identity here"):
        identity_of(machine).token()


# Through the console script, as Airbyte runs it.


@pytest.mark.parametrize("kind", ["certificate", "certificate_pfx", "workload_identity", "managed_identity"])
def test_the_connector_signs_in_without_a_secret(
    machine: Server, app: Any, cluster: Any, tmp_path: Path, kind: str
) -> None:
    """Over sockets, with the form's own fields; the check succeeds and nothing secret is printed."""
    tenant, token = machine.tenant, a_token(cluster)
    tenant.trust.certificates.append(app[0])
    tenant.trust.federated.append(Federated(ISSUER, SUBJECT, cluster.public_key()))
    (tmp_path / "token").write_text(token)
    credentials: dict[str, Any] = {
        "certificate": {**by_pem(app), "client_id": tenant.client_id},
        "certificate_pfx": {**by_pfx(app), "client_id": tenant.client_id},
        "workload_identity": {"client_id": tenant.client_id, "assertion_file": str(tmp_path / "token")},
        "managed_identity": {},
    }[kind]
    config = {**machine.config(), "credentials": {**credentials, "auth_type": kind}}
    del config["client_id"], config["client_secret"]

    output = ConsoleScript(Path(machine.ca_bundle)).check(config).succeeded()

    assert output.only("CONNECTION_STATUS")["message"] == f"All {len(STREAMS)} streams can be read."
    for secret in (token, certificates.pem(app[1]).splitlines()[1]):
        assert secret not in output.text


# Continuous access evaluation.

DEMANDED = {"access_token": {"nbf": {"essential": True, "value": "1704110400"}}}


@pytest.mark.parametrize("together", [1, 5], ids=["alone", "in a batch"])
def test_a_revoked_token_is_replaced_by_one_that_meets_the_claims(
    tenant: Tenant, network: Network, together: int
) -> None:
    """Graph says in its refusal what the next token has to prove; that goes to Entra, once, and the reading goes on."""
    raw = {"tenant_id": tenant.tenant_id, "client_id": tenant.client_id, "client_secret": tenant.client_secret}
    sync = Sync(Config.parse(raw), logging.getLogger("airbyte"))
    sync.auth.token()
    tenant.trust.demanded = DEMANDED
    asks = [a_request() for _ in range(together)]

    answers = list(sync.client.responses(deque(asks), BatchSize(together)))

    assert [answer.response.status_code for answer in answers] == [200] * together
    assert sum(sent.path.endswith("/oauth2/v2.0/token") for sent in network.sent) == 2


def a_request() -> Any:
    return PageRequest(f"https://{GRAPH}/v1.0/users?$top=1", Service.DIRECTORY)


def test_every_sign_in_says_that_it_can_meet_claims(tenant: Tenant, network: Network) -> None:
    """Without the capability Graph would refuse without saying why, and the renewal would not help."""
    auth = auth_of(tenant, auth_type="client_secret", client_secret=tenant.client_secret)
    claims = jwt.decode(auth.token(), options={"verify_signature": False})

    assert claims["xms_cc"] == ["cp1"]
