"""What Microsoft tells a tenant about its services: https://learn.microsoft.com/graph/service-communications-concept-overview"""

from __future__ import annotations

from abc import ABC

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream


class Announcements(GraphStream, ABC):
    """Every announcement of a kind that Microsoft keeps for the tenant: https://learn.microsoft.com/graph/api/resources/service-communications-api-overview"""

    service = Service.ANNOUNCEMENTS
    page_size = 1000
    sized_by_preference = True


class ServiceHealthIssues(Announcements):
    """One row per incident or advisory of a service, with all that was posted on it: https://learn.microsoft.com/graph/api/serviceannouncement-list-issues"""

    path_template = "admin/serviceAnnouncement/issues"
    permissions = ("ServiceHealth.Read.All",)


class ServiceUpdateMessages(Announcements):
    """One row per message of the message center, about a change to come: https://learn.microsoft.com/graph/api/serviceannouncement-list-messages"""

    path_template = "admin/serviceAnnouncement/messages"
    permissions = ("ServiceMessage.Read.All",)
