"""Microsoft Entra ID: people, groups, apps and roles."""

from __future__ import annotations

from source_microsoft_graph.pacing import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream

_GROUPS_PERMISSIONS = (
    "Group.Read.All",
    "GroupMember.Read.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
)


class Users(GraphStream):
    """One row per user, guests included: https://learn.microsoft.com/graph/api/user-list"""

    path_template = "users"
    service = Service.DIRECTORY
    permissions = (
        "User.Read.All",
        "User.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
        "User.ReadBasic.All",
    )
    selects = True


class Applications(GraphStream):
    """One row per app registration: https://learn.microsoft.com/graph/api/application-list"""

    path_template = "applications"
    service = Service.DIRECTORY
    permissions = ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
    selects = True


class ServicePrincipals(GraphStream):
    """One row per enterprise application: https://learn.microsoft.com/graph/api/serviceprincipal-list"""

    path_template = "servicePrincipals"
    service = Service.DIRECTORY
    permissions = Applications.permissions
    selects = True


class Groups(GraphStream):
    """One row per group of any kind: https://learn.microsoft.com/graph/api/group-list"""

    path_template = "groups"
    service = Service.DIRECTORY
    permissions = (*_GROUPS_PERMISSIONS, "Group.ReadBasic.All")
    least_permission = "GroupMember.Read.All"
    selects = True


class Microsoft365Groups(Groups):
    """The groups that have a mailbox and a SharePoint site, as parents: https://learn.microsoft.com/graph/api/resources/groups-overview"""

    query = {"$filter": "groupTypes/any(c:c eq 'Unified')"}


class GroupMember(ChildStream):
    """One row per group and direct member of any type: https://learn.microsoft.com/graph/api/group-list-members"""

    parent_class = Groups
    path_template = "groups/{group_id}/members"
    primary_key = ["id", "group_id"]
    service = Service.DIRECTORY
    permissions = (*_GROUPS_PERMISSIONS, "Group.ReadBasic.All", "GroupMember.ReadBasic.All")
    least_permission = "GroupMember.Read.All"


class GroupOwner(ChildStream):
    """One row per group and owner, a user or an app: https://learn.microsoft.com/graph/api/group-list-owners"""

    parent_class = Groups
    path_template = "groups/{group_id}/owners"
    primary_key = ["id", "group_id"]
    service = Service.DIRECTORY
    permissions = _GROUPS_PERMISSIONS
    least_permission = "GroupMember.Read.All"


class DirectoryRoles(GraphStream):
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
