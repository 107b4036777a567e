"""How the tables join: what a child stream's key says by itself, and what only Microsoft's documentation says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that holds another table's key. `kind` is the `odata_type` of the rows it does so in, where a list is of
    several types; `part` is where in a JSON column the key stands; `always` says that there is a row for every key."""

    stream: str
    column: str
    target: str
    target_column: str = "id"
    kind: str | None = None
    part: str | None = None
    always: bool = True

    @property
    def path(self) -> str:
        """Where the key stands, in words."""
        return f"{self.column}.{self.part}" if self.part else self.column


_KNOWN = (
    # https://learn.microsoft.com/graph/api/group-list-members, group-list-owners, directoryrole-list-members
    Reference("group_member", "id", "users", kind="user"),
    Reference("group_member", "id", "groups", kind="group"),
    Reference("group_member", "id", "service_principals", kind="servicePrincipal"),
    Reference("group_member", "id", "org_contacts", kind="orgContact"),
    Reference("group_owner", "id", "users", kind="user"),
    Reference("group_owner", "id", "service_principals", kind="servicePrincipal"),
    # https://learn.microsoft.com/graph/api/application-list-owners
    Reference("application_owner", "id", "users", kind="user"),
    Reference("application_owner", "id", "service_principals", kind="servicePrincipal"),
    # https://learn.microsoft.com/graph/api/serviceprincipal-list-owners
    Reference("service_principal_owner", "id", "users", kind="user"),
    Reference("service_principal_owner", "id", "service_principals", kind="servicePrincipal"),
    Reference("directory_role_member", "id", "users", kind="user"),
    Reference("directory_role_member", "id", "groups", kind="group"),
    Reference("directory_role_member", "id", "service_principals", kind="servicePrincipal"),
    # https://learn.microsoft.com/graph/api/administrativeunit-list-members
    Reference("administrative_unit_member", "id", "users", kind="user"),
    Reference("administrative_unit_member", "id", "groups", kind="group"),
    Reference("administrative_unit_member", "id", "devices", kind="device"),
    # https://learn.microsoft.com/graph/api/resources/directoryrole
    Reference("directory_roles", "role_template_id", "directory_role_templates"),
    # https://learn.microsoft.com/graph/api/resources/unifiedroleassignment
    Reference("role_assignments", "role_definition_id", "role_definitions"),
    Reference("role_assignments", "principal_id", "users", always=False),
    Reference("role_assignments", "principal_id", "groups", always=False),
    Reference("role_assignments", "principal_id", "service_principals", always=False),
    # https://learn.microsoft.com/graph/api/resources/unifiedroleschedulebase
    Reference("role_eligibility_schedules", "role_definition_id", "role_definitions"),
    Reference("role_eligibility_schedules", "principal_id", "users", always=False),
    Reference("role_eligibility_schedules", "principal_id", "groups", always=False),
    Reference("role_eligibility_schedules", "principal_id", "service_principals", always=False),
    Reference("role_assignment_schedules", "role_definition_id", "role_definitions"),
    Reference("role_assignment_schedules", "principal_id", "users", always=False),
    Reference("role_assignment_schedules", "principal_id", "groups", always=False),
    Reference("role_assignment_schedules", "principal_id", "service_principals", always=False),
    # https://learn.microsoft.com/graph/api/resources/oauth2permissiongrant
    Reference("oauth2_permission_grants", "client_id", "service_principals"),
    Reference("oauth2_permission_grants", "resource_id", "service_principals"),
    Reference("oauth2_permission_grants", "principal_id", "users", always=False),
    # A team is a group: https://learn.microsoft.com/graph/teams-list-all-teams
    Reference("teams", "id", "groups"),
    # Members may be of other tenants: https://learn.microsoft.com/graph/api/resources/aaduserconversationmember
    Reference("team_member", "user_id", "users", always=False),
    Reference("channel_member", "user_id", "users", always=False),
    Reference("chat_member", "user_id", "users", always=False),
    # Channels are removed, and messages are kept: https://learn.microsoft.com/microsoftteams/teams-channels-overview
    Reference("channel_messages", "channel_id", "channels", always=False),
    # Most enterprise applications are registered elsewhere: https://learn.microsoft.com/graph/api/resources/serviceprincipal
    Reference("service_principals", "app_id", "applications", "app_id", always=False),
    # https://learn.microsoft.com/graph/api/user-list-manager
    Reference("user_manager", "user_id", "users"),
    Reference("user_manager", "manager_id", "users", always=False),
    Reference("user_manager", "manager_id", "org_contacts", always=False),
    # https://learn.microsoft.com/graph/api/resources/message
    Reference("mail_messages", "parent_folder_id", "mail_folders", always=False),
    # The log outlives the user: https://learn.microsoft.com/graph/api/resources/signin
    Reference("audit_logs_signins", "user_id", "users", always=False),
    # The log outlives the app: https://learn.microsoft.com/graph/api/resources/provisioningserviceprincipal
    Reference("audit_logs_provisioning", "service_principal", "service_principals", part="id", always=False),
    # The rows of both bear the user's id, and a risk outlives the user:
    # https://learn.microsoft.com/graph/api/resources/userregistrationdetails, riskyuser, riskdetection
    Reference("user_registration_details", "id", "users"),
    Reference("risky_users", "id", "users", always=False),
    Reference("risk_detections", "user_id", "users", always=False),
    # https://learn.microsoft.com/graph/api/resources/security-alert
    Reference("security_alerts", "incident_id", "security_incidents", always=False),
    # https://learn.microsoft.com/graph/api/resources/intune-devices-manageddevice
    Reference("managed_devices", "user_id", "users", always=False),
    Reference("managed_devices", "azure_ad_device_id", "devices", "device_id", always=False),
    # Reports outlive what they are about: https://learn.microsoft.com/graph/api/resources/report
    Reference("report_teams_user_activity", "user_id", "users", always=False),
    Reference("report_teams_device_usage", "user_id", "users", always=False),
    Reference("report_office365_active_users", "user_principal_name", "users", "user_principal_name", always=False),
    Reference("report_email_activity", "user_principal_name", "users", "user_principal_name", always=False),
    Reference("report_mailbox_usage", "user_principal_name", "users", "user_principal_name", always=False),
    Reference("report_onedrive_usage", "owner_principal_name", "users", "user_principal_name", always=False),
    Reference("report_copilot_usage", "user_principal_name", "users", "user_principal_name", always=False),
    Reference("report_office365_groups_activity", "group_id", "groups", always=False),
    # https://learn.microsoft.com/graph/api/resources/itemreference
    Reference("drive_items", "parent_reference", "drives", part="drive_id", always=False),
)


def references(streams: Collection[GraphStream]) -> Iterator[Reference]:
    """Those that follow from the streams' declarations, then the others."""
    names = {type(stream): stream.name for stream in streams}
    for stream in streams:
        targets = dict(zip(stream.placeholders, _ancestors(stream, names), strict=False))
        for column in stream.parent_columns:
            always = column != stream.placeholders[-1] or _is_part_of_a_stream(stream, names)
            yield Reference(stream.name, column, targets[column], always=always)
    yield from _KNOWN


def _is_part_of_a_stream(stream: GraphStream, names: Mapping[type, str]) -> bool:
    """Whether all parents are rows of a stream. Shared items are those of every drive, and no stream has them all."""
    if not isinstance(stream, ChildStream):
        return True
    (parent,) = stream.parents()
    kind = next(kind for kind in type(parent).__mro__ if kind in names)
    return getattr(parent, "parent_class", None) is getattr(kind, "parent_class", None)


def _ancestors(stream: GraphStream, names: Mapping[type, str]) -> Iterator[str]:
    """The streams whose objects the placeholders of a path name, in their order: those of the parent's own key, then
    the parent."""
    if isinstance(stream, ChildStream):
        (parent,) = stream.parents()
        # Drives are found at paths of several kinds.
        above = dict(zip(parent.placeholders, _ancestors(parent, names), strict=isinstance(parent, ChildStream)))
        yield from (above[column] for column in parent.parent_columns)
        # Parents may be listed in part, by a class of their own below the stream's.
        yield next(names[kind] for kind in type(parent).__mro__ if kind in names)
