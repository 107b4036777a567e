"""Usage reports: files behind a redirect, each of a day or of a period.

https://learn.microsoft.com/graph/reportroot-authorization
"""

from __future__ import annotations

from functools import partial

from simulated_tenant.clouds import BLEU, CHINA, DELOS, GOVSG, L4, L5
from simulated_tenant.collection import Endpoint, Report, Workload, words
from simulated_tenant.limits import RequestLimit
from simulated_tenant.problems import problem
from simulated_tenant.workloads.usage.contents import ReportMutations, UsageReport

USAGE = Workload(
    "usage", denial=lambda query: problem("reports_denied"), lacking_in=(L4, L5, CHINA, BLEU, DELOS, GOVSG)
)


def _report(path: str, stream: str, kind: str, key: str, by_day: bool = True) -> Report:
    """A report, each of which may be requested so often."""
    report = UsageReport(f"report.{kind}", words(key), by_day)
    return Report(
        path, USAGE, ("Reports.Read.All",), f"report.{kind}", limits=(RequestLimit(14, 600),), stream=stream,
        entities=report.entities, by_day=by_day, identified_by=report.key,
        mutations=partial(ReportMutations, report=report), options="",
    )  # fmt: skip


ENDPOINTS: tuple[Endpoint, ...] = (
    _report(
        "/reports/getOffice365ActiveUserDetail", "report_office365_active_users", "office365ActiveUserDetail",
        "userPrincipalName",
    ),
    _report(
        "/reports/getTeamsUserActivityUserDetail", "report_teams_user_activity", "teamsUserActivityUserDetail",
        "userId userPrincipalName",
    ),
    _report(
        "/reports/getTeamsDeviceUsageUserDetail", "report_teams_device_usage", "teamsDeviceUsageUserDetail",
        "userId userPrincipalName",
    ),
    _report(
        "/reports/getEmailActivityUserDetail", "report_email_activity", "emailActivityUserDetail", "userPrincipalName"
    ),
    _report("/reports/getMailboxUsageDetail", "report_mailbox_usage", "mailboxUsageDetail", "userPrincipalName", False),
    _report(
        "/reports/getOneDriveUsageAccountDetail", "report_onedrive_usage", "oneDriveUsageAccountDetail",
        "siteId siteUrl ownerPrincipalName",
    ),
    _report(
        "/reports/getSharePointSiteUsageDetail", "report_sharepoint_site_usage", "sharePointSiteUsageDetail",
        "siteId siteUrl ownerPrincipalName",
    ),
    _report(
        "/reports/getOffice365GroupsActivityDetail", "report_office365_groups_activity",
        "office365GroupsActivityDetail", "groupId groupDisplayName",
    ),
    _report(
        "/copilot/reports/getMicrosoft365CopilotUsageUserDetail", "report_copilot_usage",
        "microsoft365CopilotUsageUserDetail", "userPrincipalName", False,
    ),
)  # fmt: skip
NOT_SIMULATED: tuple[str, ...] = ()
