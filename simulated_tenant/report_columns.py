"""The columns of Microsoft's usage reports, which no published type declares: they are CSV files.

https://learn.microsoft.com/graph/api/resources/report. A mark tells the type of a column: @ a date, # a number,
? a boolean, none a text. The column of each has the type's property in front of it, as in a type of Graph's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_KINDS = {"@": "Date", "#": "Int64", "?": "Boolean"}
_APPS = ("Exchange", "OneDrive", "SharePoint", "Skype For Business", "Yammer", "Teams")
_MEETINGS = ("Ad Hoc Meetings", "Scheduled One-time Meetings", "Scheduled Recurring Meetings")
_SITE = (
    "Site Id, Site URL, Owner Display Name, Is Deleted?, Last Activity Date@, File Count#, Active File Count#, "
    "{}Storage Used (Byte)#, Storage Allocated (Byte)#, {}Owner Principal Name, Report Period#"
)

_REPORTS: Mapping[str, str] = {
    "report.office365ActiveUserDetail": ", ".join([
        "User Principal Name, Display Name, Is Deleted?, Deleted Date@",
        *(f"Has {app} License?" for app in _APPS),
        *(f"{app} Last Activity Date@" for app in _APPS),
        *(f"{app} License Assign Date@" for app in _APPS),
        "Assigned Products",
    ]),
    "report.teamsUserActivityUserDetail": ", ".join([
        "User Id, User Principal Name, Last Activity Date@, Is Deleted?, Deleted Date@, Assigned Products",
        "Team Chat Message Count#, Private Chat Message Count#, Call Count#, Meeting Count#",
        "Meetings Organized Count#, Meetings Attended Count#",
        *(f"{kind} {part} Count#" for kind in _MEETINGS for part in ("Organized", "Attended")),
        *(f"{media} Duration" for media in ("Audio", "Video", "Screen Share")),
        *(f"{media} Duration In Seconds#" for media in ("Audio", "Video", "Screen Share")),
        "Has Other Action?, Urgent Messages#, Post Messages#, Tenant Display Name",
        "Shared Channel Tenant Display Names, Reply Messages#, Is Licensed?, Report Period#",
    ]),
    "report.teamsDeviceUsageUserDetail": ", ".join([
        "User Id, User Principal Name, Last Activity Date@, Is Deleted?, Deleted Date@",
        *(f"Used {kind}?" for kind in ("Web", "Windows Phone", "iOS", "Mac", "Android Phone", "Windows")),
        *(f"Used {kind}?" for kind in ("Chrome OS", "Linux")),
        "Is Licensed?, Report Period#",
    ]),
    "report.emailActivityUserDetail": (
        "User Principal Name, Display Name, Is Deleted?, Deleted Date@, Last Activity Date@, Send Count#, "
        "Receive Count#, Read Count#, Meeting Created Count#, Meeting Interacted Count#, Assigned Products, "
        "Report Period#"
    ),
    "report.mailboxUsageDetail": (
        "User Principal Name, Display Name, Is Deleted?, Deleted Date@, Created Date@, Last Activity Date@, "
        "Item Count#, Storage Used (Byte)#, Issue Warning Quota (Byte)#, Prohibit Send Quota (Byte)#, "
        "Prohibit Send/Receive Quota (Byte)#, Deleted Item Count#, Deleted Item Size (Byte)#, "
        "Deleted Item Quota (Byte)#, Has Archive?, Report Period#"
    ),
    "report.oneDriveUsageAccountDetail": _SITE.format("", ""),
    "report.sharePointSiteUsageDetail": _SITE.format(
        "Page View Count#, Visited Page Count#, ", "Root Web Template, "
    ),
    "report.office365GroupsActivityDetail": (
        "Group Display Name, Is Deleted?, Owner Principal Name, Last Activity Date@, Group Type, Member Count#, "
        "External Member Count#, Exchange Received Email Count#, SharePoint Active File Count#, "
        "Yammer Posted Message Count#, Yammer Read Message Count#, Yammer Liked Message Count#, "
        "Exchange Mailbox Total Item Count#, Exchange Mailbox Storage Used (Byte)#, SharePoint Total File Count#, "
        "SharePoint Site Storage Used (Byte)#, Group Id, Report Period#"
    ),
    # Microsoft's list of columns grows with each app that Copilot comes to.
    "report.microsoft365CopilotUsageUserDetail": "User Principal Name, Report Period#",
}  # fmt: skip

MADE = {"id": "String", "reportDate": "Date"}
"""What a reader adds to each row: its key, and the day of the report."""


def headers(report: str) -> dict[str, str]:
    """The headers of a report's columns by the names of the properties."""
    return {_property(header): header for header, _ in _columns(report)}


def types() -> dict[str, dict[str, dict[str, str]]]:
    """Each report as a type in the form of the published ones."""
    return {
        report: {"properties": {**MADE, **{_property(header): kind for header, kind in _columns(report)}}}
        for report in _REPORTS
    }


def _columns(report: str) -> list[tuple[str, str]]:
    marked = ["Report Refresh Date@", *_REPORTS[report].split(", ")]
    return [(text.rstrip("@#?"), _KINDS.get(text[-1], "String")) for text in marked]


def _property(header: str) -> str:
    """`Storage Used (Byte)` → `storageUsedByte`."""
    first, *rest = re.sub(r"[^a-z0-9]+", " ", header.lower()).split()
    return first + "".join(word.capitalize() for word in rest)
