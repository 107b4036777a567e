"""Who may do what: the roles of the directory, who has or may take them, consents, and who owns apps."""

from __future__ import annotations

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream


class RoleDefinitions(GraphStream):
    """One row per role, built in or the tenant's own, and what it allows: https://learn.microsoft.com/graph/api/rbacapplication-list-roledefinitions"""

    path_template = "roleManagement/directory/roleDefinitions"
    service = Service.DIRECTORY
    permissions = (
        "RoleManagement.Read.Directory",
        "RoleManagement.Read.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    )
    page_size = None
    never_empty = True


class RoleAssignments(GraphStream):
    """One row per principal, role and scope in which it is active: https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignments"""

    path_template = "roleManagement/directory/roleAssignments"
    service = Service.DIRECTORY
    permissions = (
        "RoleManagement.Read.Directory",
        "RoleManagement.ReadWrite.Directory",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    )
