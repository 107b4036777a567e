"""What Microsoft Defender found, and how well the tenant is secured: https://learn.microsoft.com/graph/api/resources/security-api-overview"""

from __future__ import annotations

from datetime import timedelta

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.changed import ChangedStream
from source_microsoft_graph.streams.window import WindowStream


class SecurityAlerts(WindowStream):
    """One row per alert, as it stands by now: https://learn.microsoft.com/graph/api/security-list-alerts_v2"""

    path_template = "security/alerts_v2"
    cursor_field = "last_update_date_time"
    kept_for = None
    service = Service.SECURITY
    permissions = ("SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All")


class SecurityIncidents(WindowStream):
    """One row per incident, as it stands by now: https://learn.microsoft.com/graph/api/security-list-incidents"""

    path_template = "security/incidents"
    cursor_field = "last_update_date_time"
    kept_for = None
    service = Service.SECURITY
    permissions = ("SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All")
    page_size = 50


class SecureScores(ChangedStream):
    """One row per day and its Microsoft Secure Score, of the last ninety days: https://learn.microsoft.com/graph/api/security-list-securescores"""

    path_template = "security/secureScores"
    cursor_field = "created_date_time"
    changed_since = {"$filter": "createdDateTime ge {since}"}
    # At which hour a day's score appears, and of which hour it bears the time, is not documented.
    shown_late = timedelta(days=7)
    service = Service.SECURITY
    permissions = ("SecurityEvents.Read.All", "SecurityEvents.ReadWrite.All")


class SecureScoreControlProfiles(GraphStream):
    """One row per control that secure scores count, with what it asks for: https://learn.microsoft.com/graph/api/security-list-securescorecontrolprofiles"""

    path_template = "security/secureScoreControlProfiles"
    service = Service.SECURITY
    permissions = SecureScores.permissions
