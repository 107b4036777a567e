"""What happened in the tenant, the policies that decide what may, and how safely people sign in."""

from __future__ import annotations

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.changed import ChangedStream
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


class AuditLogsProvisioning(ChangedStream):
    """One row per object that was provisioned to or from an app, and how it went: https://learn.microsoft.com/graph/api/provisioningobjectsummary-list"""

    path_template = "auditLogs/provisioning"
    cursor_field = "activity_date_time"
    changed_since = {"$filter": "activityDateTime gt {before}"}
    service = Service.REPORTS
    permissions = ("AuditLog.Read.All", "ProvisioningLog.Read.All")
    least_permission = "ProvisioningLog.Read.All"
    page_size = 500


class ConditionalAccessPolicies(GraphStream):
    """One row per policy: https://learn.microsoft.com/graph/api/conditionalaccessroot-list-policies"""

    path_template = "identity/conditionalAccess/policies"
    service = Service.CONDITIONAL_ACCESS
    permissions = ("Policy.Read.All",)


class UserRegistrationDetails(GraphStream):
    """One row per user whose account is enabled, and their ways to sign in: https://learn.microsoft.com/graph/api/authenticationmethodsroot-list-userregistrationdetails"""

    path_template = "reports/authenticationMethods/userRegistrationDetails"
    service = Service.REPORTS
    permissions = ("AuditLog.Read.All",)


class NamedLocations(GraphStream):
    """One row per location that policies name: https://learn.microsoft.com/graph/api/conditionalaccessroot-list-namedlocations"""

    path_template = "identity/conditionalAccess/namedLocations"
    service = Service.CONDITIONAL_ACCESS
    permissions = ("Policy.Read.All",)
    page_size = None


class RiskyUsers(ChangedStream):
    """One row per user that was ever found at risk: https://learn.microsoft.com/graph/api/riskyuser-list"""

    path_template = "identityProtection/riskyUsers"
    cursor_field = "risk_last_updated_date_time"
    changed_since = {"$filter": "riskLastUpdatedDateTime ge {since}"}
    service = Service.CONDITIONAL_ACCESS
    permissions = ("IdentityRiskyUser.Read.All",)
    page_size = 500


class RiskDetections(ChangedStream):
    """One row per detection of a risk, as it stands by now: https://learn.microsoft.com/graph/api/riskdetection-list"""

    path_template = "identityProtection/riskDetections"
    cursor_field = "last_updated_date_time"
    changed_since = {"$filter": "lastUpdatedDateTime ge {since}"}
    service = Service.CONDITIONAL_ACCESS
    permissions = ("IdentityRiskEvent.Read.All",)
    page_size = 500
