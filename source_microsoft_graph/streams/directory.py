"""Microsoft Entra ID: groups, apps and roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.delta import DeltaStream
from source_microsoft_graph.streams.permissions import left_out
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.sync.cursors import SliceProgress

_APP, _GROUP = "#microsoft.graph.servicePrincipal", "#microsoft.graph.group"

_GROUPS_PERMISSIONS = (
    "Group.Read.All",
    "GroupMember.Read.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
)


class Applications(DeltaStream):
    """One row per app registration: https://learn.microsoft.com/graph/api/application-list"""

    path_template = "applications"
    service = Service.DIRECTORY
    permissions = ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
    selects = True


class ServicePrincipals(DeltaStream):
    """One row per enterprise application: https://learn.microsoft.com/graph/api/serviceprincipal-list"""

    path_template = "servicePrincipals"
    service = Service.DIRECTORY
    permissions = Applications.permissions
    selects = True


class Groups(DeltaStream):
    """One row per group of any kind: https://learn.microsoft.com/graph/api/group-list"""

    path_template = "groups"
    service = Service.DIRECTORY
    permissions = (*_GROUPS_PERMISSIONS, "Group.ReadBasic.All")
    least_permission = "GroupMember.Read.All"
    selects = True


class Microsoft365Groups(Groups):
    """The groups that have a mailbox and a SharePoint site, as parents: https://learn.microsoft.com/graph/api/resources/groups-overview"""

    query = {"$filter": "groupTypes/any(c:c eq 'Unified')"}


class GroupsOfApps(ChildStream):
    """Every group and role of a service principal, which groups do not list as a member: https://learn.microsoft.com/graph/api/serviceprincipal-list-memberof"""

    name = "group_member"
    parent_class = ServicePrincipals
    path_template = "servicePrincipals/{member_id}/memberOf"
    primary_key = ["id", "member_id"]
    service = Service.DIRECTORY
    permissions = ServicePrincipals.permissions


class GroupMember(ChildStream):
    """One row per group and direct member of any type: https://learn.microsoft.com/graph/api/group-list-members"""

    parent_class = Groups
    path_template = "groups/{group_id}/members"
    primary_key = ["id", "group_id"]
    service = Service.DIRECTORY
    permissions = (*_GROUPS_PERMISSIONS, "Group.ReadBasic.All", "GroupMember.ReadBasic.All")
    least_permission = "GroupMember.Read.All"
    more_permissions = {"members that are apps": GroupsOfApps.permissions}

    # Of a group's members v1.0 does not list the service principals, but of a service principal the groups:
    # https://learn.microsoft.com/graph/known-issues#get-groupsidmembers-doesnt-return-service-principals-in-v10
    def slices(self, progress: SliceProgress | None) -> Iterator[Slice]:
        yield from super().slices(progress)
        if not left_out(self, self.sync.auth.roles):
            yield from GroupsOfApps(self.sync).slices(progress)

    # An app that is listed both ways, should Graph come to list them, is one record.
    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        of_groups = "group_id" in stream_slice
        members = super().records(stream_slice, progress) if of_groups else self._apps(stream_slice)
        for member in members:
            is_app = member.get("odata_type") == _APP
            if not is_app or self.sync.seen_ids(GroupsOfApps).add(f"{member['group_id']} {member['id']}"):
                yield member

    def _apps(self, stream_slice: Slice) -> Iterator[dict[str, Any]]:
        for group in GroupsOfApps(self.sync).records(stream_slice, None):
            if group["odata_type"] == _GROUP:
                yield {"odata_type": _APP, "id": group["member_id"], "group_id": group["id"]}


class GroupOwner(ChildStream):
    """One row per group and owner, a user or an app: https://learn.microsoft.com/graph/api/group-list-owners"""

    parent_class = Groups
    path_template = "groups/{group_id}/owners"
    primary_key = ["id", "group_id"]
    service = Service.DIRECTORY
    permissions = _GROUPS_PERMISSIONS
    least_permission = "GroupMember.Read.All"


class DirectoryRoles(DeltaStream):
    """One row per directory role in use in the tenant: https://learn.microsoft.com/graph/api/directoryrole-list"""

    path_template = "directoryRoles"
    service = Service.DIRECTORY
    permissions = (
        "RoleManagement.Read.Directory",
        "RoleManagement.ReadWrite.Directory",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    )
    page_size = None


class DirectoryRoleTemplates(GraphStream):
    """One row per role that could be put to use: https://learn.microsoft.com/graph/api/directoryroletemplate-list"""

    path_template = "directoryRoleTemplates"
    service = Service.DIRECTORY
    permissions = DirectoryRoles.permissions
    page_size = None


class DirectoryRoleMember(ChildStream):
    """One row per directory role and member: https://learn.microsoft.com/graph/api/directoryrole-list-members"""

    parent_class = DirectoryRoles
    path_template = "directoryRoles/{role_id}/members"
    primary_key = ["id", "role_id"]
    service = Service.DIRECTORY
    permissions = DirectoryRoles.permissions
    page_size = None
