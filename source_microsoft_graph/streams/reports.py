"""Who used which service of Microsoft 365: https://learn.microsoft.com/graph/api/resources/report"""

from __future__ import annotations

from source_microsoft_graph.streams.report import ReportStream


class ReportOffice365ActiveUsers(ReportStream):
    """One row per day and user who was active in a service of Microsoft 365: https://learn.microsoft.com/graph/api/reportroot-getoffice365activeuserdetail"""

    path_template = "reports/getOffice365ActiveUserDetail"
    identified_by = ("user_principal_name",)


class ReportTeamsUserActivity(ReportStream):
    """One row per day and user who was active in Teams: https://learn.microsoft.com/graph/api/reportroot-getteamsuseractivityuserdetail"""

    path_template = "reports/getTeamsUserActivityUserDetail"
    identified_by = ("user_id", "user_principal_name")


class ReportTeamsDeviceUsage(ReportStream):
    """One row per day and user, with the kinds of devices that they used Teams on: https://learn.microsoft.com/graph/api/reportroot-getteamsdeviceusageuserdetail"""

    path_template = "reports/getTeamsDeviceUsageUserDetail"
    identified_by = ("user_id", "user_principal_name")


class ReportEmailActivity(ReportStream):
    """One row per day and user who sent, read or got mail: https://learn.microsoft.com/graph/api/reportroot-getemailactivityuserdetail"""

    path_template = "reports/getEmailActivityUserDetail"
    identified_by = ("user_principal_name",)


class ReportMailboxUsage(ReportStream):
    """One row per refresh and mailbox, with its size and quotas: https://learn.microsoft.com/graph/api/reportroot-getmailboxusagedetail"""

    path_template = "reports/getMailboxUsageDetail"
    by_day = False
    identified_by = ("user_principal_name",)


class ReportOnedriveUsage(ReportStream):
    """One row per day and OneDrive with activity: https://learn.microsoft.com/graph/api/reportroot-getonedriveusageaccountdetail"""

    path_template = "reports/getOneDriveUsageAccountDetail"
    identified_by = ("site_id", "site_url", "owner_principal_name")


class ReportSharepointSiteUsage(ReportStream):
    """One row per day and SharePoint site with activity: https://learn.microsoft.com/graph/api/reportroot-getsharepointsiteusagedetail"""

    path_template = "reports/getSharePointSiteUsageDetail"
    identified_by = ("site_id", "site_url", "owner_principal_name")


class ReportOffice365GroupsActivity(ReportStream):
    """One row per day and Microsoft 365 group with activity: https://learn.microsoft.com/graph/api/reportroot-getoffice365groupsactivitydetail"""

    path_template = "reports/getOffice365GroupsActivityDetail"
    identified_by = ("group_id", "group_display_name")


class ReportCopilotUsage(ReportStream):
    """One row per refresh and user with a licence of Microsoft 365 Copilot: https://learn.microsoft.com/graph/api/copilotreportroot-getmicrosoft365copilotusageuserdetail"""

    path_template = "copilot/reports/getMicrosoft365CopilotUsageUserDetail"
    by_day = False
    identified_by = ("user_principal_name",)
