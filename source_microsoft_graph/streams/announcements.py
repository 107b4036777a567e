"""What Microsoft tells a tenant about its services: https://learn.microsoft.com/graph/service-communications-concept-overview"""

from __future__ import annotations

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream


class ServiceHealthIssues(GraphStream):
    """One row per incident or advisory of a service, with all that was posted on it: https://learn.microsoft.com/graph/api/serviceannouncement-list-issues"""

    path_template = "admin/serviceAnnouncement/issues"
    service = Service.ANNOUNCEMENTS
    permissions = ("ServiceHealth.Read.All",)
    page_size = 1000
    sized_by_preference = True
