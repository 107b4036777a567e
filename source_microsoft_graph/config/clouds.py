"""The Microsoft clouds: where each signs apps in, where its Graph is, and what its Graph lacks.

https://learn.microsoft.com/graph/deployments and, for what each lacks, https://github.com/microsoftgraph/msgraph-metadata
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud. Hosts may have a port; `lacks` holds what its Graph does not know of paths, as regular expressions of
    whole words."""

    login_host: str
    graph_host: str
    lacks: frozenset[str] = frozenset()

    @property
    def scope(self) -> str:
        return f"https://{self.graph_host}/.default"

    def serves(self, path: str) -> bool:
        """Whether this cloud's Graph has the path, whose placeholders stand in braces."""
        return not any(re.search(rf"\b{lack}\b", path) for lack in self.lacks)


_REPORTS = frozenset({r"reports/get\w+", "copilot"})
"""Usage reports, which no cloud but the worldwide one has."""

_ABROAD = _REPORTS | {"security", "authenticationMethodsPolicy"}
"""What is missing in every cloud outside the worldwide one and those of the US government."""

CLOUDS: Mapping[str, Cloud] = {
    "global": Cloud("login.microsoftonline.com", "graph.microsoft.com"),
    "us_government_l4": Cloud("login.microsoftonline.us", "graph.microsoft.us", _REPORTS),
    "us_government_l5": Cloud("login.microsoftonline.us", "dod-graph.microsoft.us", _REPORTS),
    "china": Cloud(
        "login.chinacloudapi.cn",
        "microsoftgraph.chinacloudapi.cn",
        _ABROAD | {"identityProtection", "administrativeUnits/delta", "mailFolders/delta"},
    ),
}
"""The clouds by the names of the form."""

SOVEREIGN: Mapping[str, Cloud] = {
    "Bleu (France)": Cloud("login.sovcloud-identity.fr", "graph.svc.sovcloud.fr", _ABROAD | {"identity"}),
    "Delos (Germany)": Cloud(
        "login.sovcloud-identity.de",
        "graph.svc.sovcloud.de",
        _ABROAD | {"identity", "teams", "chats", "roleEligibilitySchedules", "roleAssignmentSchedules"},
    ),
    "GovSG (Singapore)": Cloud(
        "login.sovcloud-identity.sg",
        "graph.svc.sovcloud.sg",
        _ABROAD
        | {"identity", "identityProtection", "deviceManagement", "auditLogs", "userRegistrationDetails"}
        | {"teams", "chats", "messages", "mailFolders", "events", "calendarView", r"users/\S+/contacts"}
        | {"drive", "drives", "sites", "roleEligibilitySchedules", "roleAssignmentSchedules"}
        | {"serviceAnnouncement"},
    ),
}
"""Clouds that are configured by their hosts."""


def custom(login_host: str, graph_host: str) -> Cloud:
    """The cloud at these hosts, with what is known of it."""
    host = graph_host.lower().removesuffix(":443")
    known = next((cloud for cloud in SOVEREIGN.values() if cloud.graph_host == host), Cloud("", ""))
    return replace(known, login_host=login_host, graph_host=graph_host)
