"""Each cloud is asked on its own hosts with its own scope, and nobody else ever sees a token."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
import requests
from airbyte_cdk.models import SyncMode
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput, discover
from airbyte_cdk.test.entrypoint_wrapper import read as run_read

from integration_tests.network import Network
from simulated_tenant.catalogue import CATALOGUE
from simulated_tenant.clouds import GRAPHS
from simulated_tenant.faults import ALWAYS, Fault
from simulated_tenant.tenant import Size, Tenant
from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.config.clouds import CLOUDS, SOVEREIGN, Cloud
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import SignInRefused
from source_microsoft_graph.source import preflight
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.sync.context import Sync
from unit_tests.conftest import Clock
from unit_tests.graph_api import a_catalog, errors, rows, statuses

EVERY_HOST = [*GRAPHS, *(graph for graphs in GRAPHS.values() for graph in graphs), "localhost"]
SMALL = Size(users=7, guests=1, groups=3, microsoft365_groups=2, teams=2, chats=2, messages_in_longest_chat=3)
EVERY_CLOUD = [
    *(pytest.param({"cloud_type": name}, cloud, id=name) for name, cloud in CLOUDS.items()),
    *(
        pytest.param(
            {"cloud_type": "custom", "login_host": cloud.login_host, "graph_host": cloud.graph_host}, cloud, id=name
        )
        for name, cloud in SOVEREIGN.items()
    ),
]
every_cloud = pytest.mark.parametrize(("given", "cloud"), EVERY_CLOUD)


@pytest.fixture
def tenant() -> Tenant:
    return Tenant(SMALL)


@pytest.fixture
def network(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """Every host of every cloud, all of which would answer."""
    Clock.of_syncs(monkeypatch)
    with Network(dict.fromkeys(EVERY_HOST, tenant)) as network:
        yield network


def config_of(tenant: Tenant, cloud: Any) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "cloud": cloud,
    }


def scopes(network: Network) -> set[str]:
    return {parse_qs(sent.body)["scope"][0] for sent in network.sent if sent.path.endswith("/token")}


def read(config: dict[str, Any], *names: str) -> EntrypointOutput:
    return run_read(SourceMicrosoftGraph(), config, a_catalog(*names), expecting_exception=True)


@every_cloud
def test_a_cloud_is_asked_on_its_own_hosts(tenant: Tenant, network: Network, given: Any, cloud: Cloud) -> None:
    """A check and a read of everything: tokens come from the cloud's login host, for its Graph, and go there only."""
    config = config_of(tenant, given)
    names = [stream.name for stream in SourceMicrosoftGraph().streams(config)]

    SourceMicrosoftGraph().check(logging.getLogger("airbyte"), config)
    output = read(config, *names)

    assert errors(output) == {}
    assert network.hosts_asked == {cloud.login_host, cloud.graph_host}
    assert network.hosts_given_a_token == {cloud.graph_host}
    assert {sent.scheme for sent in network.sent} == {"https"}
    assert scopes(network) == {f"https://{cloud.graph_host}/.default"}


@every_cloud
def test_a_token_of_another_cloud_is_worth_nothing(tenant: Tenant, network: Network, given: Any, cloud: Cloud) -> None:
    """The simulated login hosts issue tokens for the Graphs of their own cloud alone."""
    # The form's default, graph.microsoft.com, stands for the cloud's own.
    other = "graph.microsoft.us" if cloud.login_host != "login.microsoftonline.us" else "graph.svc.sovcloud.fr"
    sync = Sync(Config.parse({**config_of(tenant, given), "scope": f"https://{other}/.default"}), logging.getLogger())

    with pytest.raises(SignInRefused, match="AADSTS500011"):
        sync.auth.token()


@pytest.mark.parametrize("leak", ["page link", "redirect"])
def test_no_link_leads_a_token_elsewhere(tenant: Tenant, network: Network, leak: str) -> None:
    """Whatever Graph answers, the token does not follow it to another host, be it Microsoft's own."""
    network.hosts["graph.microsoft.com"] = Leading(tenant, leak)  # type: ignore[assignment]

    output = read(config_of(tenant, {"cloud_type": "global"}), "users")

    assert statuses(output, "users")[-1] == "INCOMPLETE"
    assert network.hosts_given_a_token == {"graph.microsoft.com"}
    assert network.hosts_asked == {"login.microsoftonline.com", "graph.microsoft.com"}


class Leading:
    """A Graph that sends its clients away."""

    def __init__(self, tenant: Tenant, leak: str) -> None:
        self.tenant, self.leak = tenant, leak

    def respond(self, request: Any) -> Any:
        reply = self.tenant.respond(request)
        elsewhere = "https://graph.microsoft.us/v1.0/users"
        if self.leak == "redirect":
            reply.status, reply.headers = 307, {**reply.headers, "Location": elsewhere}
        else:
            reply.body = orjson.dumps(reply.json | {"@odata.nextLink": elsewhere})
        return reply


def test_the_network_would_tell_of_a_leak(tenant: Tenant, network: Network) -> None:
    """A request with a token to a host of another cloud shows in what the tests above look at."""
    requests.get("https://graph.microsoft.us/v1.0/users", headers={"Authorization": "Bearer x"}, timeout=1)
    requests.get("https://login.microsoftonline.us/", timeout=1)

    assert network.hosts_given_a_token == {"graph.microsoft.us"}
    assert network.hosts_asked == {"graph.microsoft.us", "login.microsoftonline.us"}


# What a cloud lacks.


@every_cloud
def test_what_a_cloud_lacks_is_not_offered(tenant: Tenant, network: Network, given: Any, cloud: Cloud) -> None:
    """Discover shows the streams the cloud's Graph has, asks nobody, and check says why the others are not there."""
    config = config_of(tenant, given)
    lacking = CATALOGUE.lacking(cloud.graph_host)

    offered = {stream.name for stream in discover(SourceMicrosoftGraph(), config).catalog.catalog.streams}
    assert network.sent == []
    report = preflight(Config.parse(config), logging.getLogger("airbyte"))

    every = {verdict.stream for verdict in report.verdicts}
    assert every - offered == lacking
    assert {verdict.stream for verdict in report.verdicts if verdict.word == "not in this cloud"} == lacking
    assert {verdict.stream for verdict in report.verdicts if verdict.lack is None} == every - lacking
    assert len(every) == len(STREAMS)


def test_what_has_no_delta_query_in_a_cloud_is_read_whole(tenant: Tenant, network: Network) -> None:
    """In China, administrative units are offered without incremental syncs, and a catalog from before that selects one
    is read whole. Everywhere else they are incremental."""
    incremental = {}
    for name in CLOUDS:
        streams = discover(SourceMicrosoftGraph(), config_of(tenant, {"cloud_type": name})).catalog.catalog.streams
        (units,) = [stream for stream in streams if stream.name == "administrative_units"]
        incremental[name] = SyncMode.incremental in units.supported_sync_modes
    catalog = a_catalog("administrative_units")
    catalog.streams[0].sync_mode = SyncMode.incremental

    config = config_of(tenant, {"cloud_type": "china"})
    output = run_read(SourceMicrosoftGraph(), config, catalog, expecting_exception=True)

    assert incremental == {name: name != "china" for name in CLOUDS}
    assert statuses(output, "administrative_units")[-1] == "COMPLETE"
    assert {row["id"] for row in rows(output)} == {
        entity["id"] for _, entity in tenant.expected("administrative_units")
    }
    assert not [sent for sent in network.sent if "/delta" in sent.path]


def test_what_a_cloud_lacks_fails_with_the_reason(tenant: Tenant, network: Network) -> None:
    """A catalog from before still selects it: that stream says why, asks for nothing, and the others are read."""
    delos = SOVEREIGN["Delos (Germany)"]
    config = config_of(tenant, {"cloud_type": "custom", "login_host": delos.login_host, "graph_host": delos.graph_host})

    output = read(config, "users", "chat_messages")

    assert statuses(output, "users")[-1] == "COMPLETE"
    assert statuses(output, "chat_messages")[-1] == "INCOMPLETE"
    assert errors(output)["chat_messages"].startswith(
        "chat_messages: This Microsoft cloud does not have what the stream reads. Leave the stream out."
    )
    assert not [sent for sent in network.sent if "chats" in sent.path or "chats" in sent.body]


def test_a_service_nobody_knew_was_lacking_is_explained(tenant: Tenant, network: Network) -> None:
    """Clouds differ more than a table can hold; Graph's own refusal is understood as well."""
    tenant.faults.add(Fault("/auditLogs/signIns", problem="no_such_segment", times=ALWAYS))

    report = preflight(Config.parse(config_of(tenant, {"cloud_type": "china"})), logging.getLogger("airbyte"))

    told = {verdict.stream for verdict in report.verdicts if verdict.word == "not in this cloud"}
    assert told - CATALOGUE.lacking(CLOUDS["china"].graph_host) == {"audit_logs_signins"}
