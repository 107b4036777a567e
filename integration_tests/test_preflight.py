"""What a check says of each stream is what reading it comes to."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.test.entrypoint_wrapper import read as run_read

from generators.registry import REMEDY
from integration_tests.check_screen import FILE, lacking_tenant, on_a_terminal
from integration_tests.network import Network
from integration_tests.runner import ConsoleScript
from simulated_tenant.server import Server
from simulated_tenant.tenant import GRANTS, Size, Tenant, Traits
from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.check.preflight import Verdict
from source_microsoft_graph.check.report import Report
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.source import preflight
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.permissions import lacking
from unit_tests.conftest import Clock
from unit_tests.graph_api import a_catalog, statuses
from unit_tests.roll import every_stream, probes, simulated

LOGIN, GRAPH = "login.microsoftonline.com", "graph.microsoft.com"
SMALL = Size(users=7, guests=1, groups=3, microsoft365_groups=2, teams=2, chats=2, messages_in_longest_chat=3)
CONFIG = {"tenant_id": Tenant.tenant_id, "client_id": Tenant.client_id, "client_secret": Tenant.client_secret}
ALL = every_stream()
NAMES = [stream.name for stream in ALL]
IN_SHAREPOINT = [stream.name for stream in ALL if stream.service is Service.FILES]


def needed(stream: GraphStream) -> set[str]:
    """The granted permissions without which the simulated tenant refuses the stream, or what it is below."""
    sufficient = set(GRANTS).intersection(simulated(stream).permissions)
    own = sufficient if len(sufficient) == 1 else set()
    return own.union(*map(needed, stream.parents())) - for_all_rows(stream)


def asked_for(stream: GraphStream, missing: str) -> str:
    """What the connector asks for where this is missing: something wider, if the simulated tenant grants only this."""
    is_wider = missing in simulated(stream).permissions and stream.permissions[0] not in GRANTS
    return stream.permissions[0] if is_wider else missing


def for_all_rows(stream: GraphStream) -> set[str]:
    """The permissions without which some of a stream's rows are left out."""
    return {permissions[0] for permissions in stream.more_permissions.values()}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.of_syncs(monkeypatch)


def reported(tenant: Tenant, **more: Any) -> Report:
    with Network({LOGIN: tenant, GRAPH: tenant}):
        return preflight(Config.parse({**CONFIG, **more}), logging.getLogger("airbyte"))


@cache
def without(missing: str) -> Mapping[str, Verdict]:
    """What a check says of each stream where the app lacks one permission. One check serves all streams."""
    report = reported(Tenant(SMALL, grants=set(GRANTS) - {missing}))
    return {verdict.stream: verdict for verdict in report.verdicts}


def words(report: Report) -> dict[str, str]:
    return {verdict.stream: verdict.word for verdict in report.verdicts}


def readable(report: Report) -> set[str]:
    return {verdict.stream for verdict in report.verdicts if verdict.lack is None}


def read(tenant: Tenant) -> set[str]:
    """The streams that a read of all of them completes."""
    with Network({LOGIN: tenant, GRAPH: tenant}):
        output = run_read(SourceMicrosoftGraph(), CONFIG, a_catalog(*NAMES), expecting_exception=True)
    return {name for name in NAMES if statuses(output, name)[-1] == "COMPLETE"}


@pytest.mark.parametrize("missing", GRANTS)
@pytest.mark.parametrize("stream", ALL, ids=NAMES)
def test_a_missing_permission_is_told(stream: GraphStream, missing: str) -> None:
    """For every stream under every single missing permission: whether it lacks it, and that it is this one."""
    verdict = without(missing)[stream.name]

    lacks, asked = missing in needed(stream), asked_for(stream, missing)
    expected = ("permission missing", (asked,)) if lacks else ("readable", ())
    assert (verdict.word, verdict.permissions) == expected, verdict
    assert (asked in re.findall(r"[\w.]+", verdict.detail)) == (lacks or missing in for_all_rows(stream))


@pytest.mark.parametrize("missing", GRANTS)
def test_reading_comes_to_what_was_told(missing: str) -> None:
    """The streams that were called readable are the ones a read completes."""
    tenant = Tenant(SMALL, grants=set(GRANTS) - {missing})

    assert readable(reported(tenant)) == read(tenant)


@pytest.mark.parametrize("stream", ALL, ids=NAMES)
def test_the_least_permission_suffices(stream: GraphStream) -> None:
    """What a verdict names as the least is enough to be called readable, and to be read."""
    least = {least for permissions in lacking(stream, frozenset()).values() for least in permissions}
    tenant = Tenant(SMALL, grants=least)

    assert stream.name in readable(reported(tenant))
    assert stream.name in read(tenant)


@pytest.mark.parametrize("stream", ALL, ids=NAMES)
def test_nothing_granted_is_told(stream: GraphStream) -> None:
    """A token without roles has every stream refused, and each names what it needs."""
    verdicts = {verdict.stream: verdict for verdict in reported(Tenant(SMALL, grants=())).verdicts}

    assert verdicts[stream.name].word == "permission missing"
    assert set(verdicts[stream.name].permissions) <= {asked_for(stream, each) for each in needed(stream)}


@pytest.mark.parametrize(
    ("traits", "lacking"),
    [
        (
            Traits(premium=False),
            dict.fromkeys(
                ("audit_logs_signins", "audit_logs_provisioning", "user_registration_details"), "licence missing"
            ),
        ),
        (
            Traits(governance=False),
            dict.fromkeys(("role_eligibility_schedules", "role_assignment_schedules"), "licence missing"),
        ),
        (Traits(identity_protection=False), dict.fromkeys(("risky_users", "risk_detections"), "licence missing")),
        (Traits(defender=False), dict.fromkeys(("security_alerts", "security_incidents"), "licence missing")),
        (Traits(intune=False), {"managed_devices": "licence missing"}),
        (Traits(sharepoint_licence=False), dict.fromkeys(IN_SHAREPOINT, "licence missing")),
    ],
    ids=["no premium", "no governance", "no identity protection", "no Defender", "no Intune", "no SharePoint"],
)
def test_what_roles_cannot_tell_is_found_out(traits: Traits, lacking: Mapping[str, str]) -> None:
    """A licence, and a permission that Graph says is enough but is not, show before the sync as they do in it."""
    tenant = Tenant(SMALL, traits=traits)
    report = reported(tenant)

    assert words(report) == dict.fromkeys(NAMES, "readable") | lacking
    assert readable(report) == read(tenant)


def test_the_check_keeps_to_every_limit(no_waiting: Clock) -> None:
    """Audit logs take five requests in ten seconds, Conditional Access one a second, and nothing was throttled."""
    start = time.time()
    # What the connector waits passes in the tenant as well.
    tenant = Tenant(SMALL, clock=lambda: start + no_waiting.now())
    tenant.throttle.on = True

    report = reported(tenant)

    assert report.readable() == len(NAMES)
    assert tenant.throttle.throttled == 0
    assert len([seen for seen in tenant.requests if seen.path.startswith("/v1.0/")]) == len(probes())


# On a terminal.


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with lacking_tenant() as server:
        yield server


def test_a_terminal_shows_a_table(server: Server, tmp_path: Path) -> None:
    """Who asks for themselves sees a line a stream, what is lacking, and what to do about it."""
    code, shown = on_a_terminal(server, tmp_path, server.config(), NO_COLOR="1")

    assert code == 0
    expected = FILE.read_text()
    assert shown.strip() == expected.format(client_id=Tenant.client_id, host=server.host).strip(), REMEDY


def test_a_terminal_has_colours(server: Server, tmp_path: Path) -> None:
    """Unless NO_COLOR says otherwise: https://no-color.org"""
    _, shown = on_a_terminal(server, tmp_path, server.config())

    assert "\033[32m✓\033[0m users" in shown


def test_a_terminal_is_told_what_is_wrong(server: Server, tmp_path: Path) -> None:
    """A refused sign-in is a sentence, without the secret, and an exit code."""
    code, shown = on_a_terminal(server, tmp_path, {**server.config(), "client_secret": "not~This~Secret"})

    assert code == 1
    assert shown.startswith("Sign-in failed. The client secret is wrong. Use the secret's value, not its ID.")
    assert "not~This~Secret" not in shown


def test_a_pipe_gets_messages(server: Server) -> None:
    """Airbyte reads the protocol and nothing else, with the same findings in one message."""
    output = ConsoleScript(Path(server.ca_bundle)).check(server.config())

    status = output.succeeded().only("CONNECTION_STATUS")
    readable = next(line for line in FILE.read_text(encoding="utf-8").splitlines() if "streams can be read" in line)
    assert status["status"] == "SUCCEEDED"
    assert status["message"].startswith(f"{readable} Permission missing: conditional_access_policies")
