"""What happened in the tenant, and the policies that decide what may."""

from __future__ import annotations

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.window import WindowStream


class AuditLogsDirectory(WindowStream):
    """One row per change in the directory, as far back as Entra keeps them: https://learn.microsoft.com/graph/api/directoryaudit-list"""

    path_template = "auditLogs/directoryAudits"
    cursor_field = "activity_date_time"
    service = Service.REPORTS
    permissions = ("AuditLog.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")


class AuditLogsSignins(WindowStream):
    """One row per interactive sign-in, as far back as Entra keeps them: https://learn.microsoft.com/graph/api/signin-list"""

    path_template = "auditLogs/signIns"
    cursor_field = "created_date_time"
    service = Service.REPORTS
    permissions = ("AuditLog.Read.All",)


class ConditionalAccessPolicies(GraphStream):
    """One row per policy: https://learn.microsoft.com/graph/api/conditionalaccessroot-list-policies"""

    path_template = "identity/conditionalAccess/policies"
    service = Service.CONDITIONAL_ACCESS
    permissions = ("Policy.Read.All",)
