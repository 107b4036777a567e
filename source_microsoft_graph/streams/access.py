"""Who may do what: the roles of the directory, who has or may take them, consents, and who owns apps."""

from __future__ import annotations

from abc import ABC

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


class RoleSchedules(GraphStream, ABC):
    """Every role of a kind that somebody has, or may take, for a time: https://learn.microsoft.com/graph/api/resources/privilegedidentitymanagementv3-overview"""

    service = Service.DIRECTORY
    page_size = None


class RoleEligibilitySchedules(RoleSchedules):
    """One row per principal, role and scope in which the principal may take it: https://learn.microsoft.com/graph/api/rbacapplication-list-roleeligibilityschedules"""

    path_template = "roleManagement/directory/roleEligibilitySchedules"
    permissions = (
        "RoleManagement.Read.Directory",
        "RoleEligibilitySchedule.Read.Directory",
        "RoleManagement.Read.All",
        "RoleEligibilitySchedule.ReadWrite.Directory",
    )
    least_permission = "RoleEligibilitySchedule.Read.Directory"


class RoleAssignmentSchedules(RoleSchedules):
    """One row per principal, role and scope with the time in which it is active: https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignmentschedules"""

    path_template = "roleManagement/directory/roleAssignmentSchedules"
    permissions = (
        "RoleManagement.Read.Directory",
        "RoleAssignmentSchedule.Read.Directory",
        "RoleManagement.Read.All",
    )
    least_permission = "RoleAssignmentSchedule.Read.Directory"
