"""Who may do what: the roles of the directory, who has or may take them, consents, and who owns apps."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from typing import Any

from source_microsoft_graph.errors import GraphUnavailable
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.directory import Applications, AppRelation
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.sync.cursors import SliceProgress


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


class Oauth2PermissionGrants(GraphStream):
    """One row per app and what it may do in another app on behalf of users: https://learn.microsoft.com/graph/api/oauth2permissiongrant-list"""

    path_template = "oauth2PermissionGrants"
    service = Service.DIRECTORY
    permissions = ("Directory.Read.All", "Directory.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All")
    query = {"$count": "true"}
    headers = {"ConsistencyLevel": "eventual"}

    # Without the header and the count Graph leaves grants out, and in small pages more of them than in large ones:
    # https://github.com/microsoftgraph/msgraph-sdk-powershell/issues/2469
    # So the pages are as large as can be, whatever the configuration says, and the rows are compared with the count.
    # Whether the delta query tells all grants is not documented, so they are listed each time.
    def listing(self, path: str, parents: Mapping[str, str], *args: Any, **options: Any) -> Listing:
        listing = super().listing(path, parents, *args, **options)
        listing.page_size = self.page_size
        return listing

    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        listing, read = self.listing(self.path(), {}), 0
        for record in PageLoop(self, progress).records([listing]):
            read += 1
            yield record
        if listing.total not in (None, read):
            raise GraphUnavailable(f"{self.name}: Graph has {listing.total} objects and listed {read}.")


class ApplicationOwner(ChildStream):
    """One row per app registration and owner: https://learn.microsoft.com/graph/api/application-list-owners"""

    parent_class = Applications
    path_template = "applications/{application_id}/owners"
    primary_key = ["id", "application_id"]
    service = Service.DIRECTORY
    permissions = Applications.permissions
    page_size = 100


class ServicePrincipalOwner(AppRelation):
    """One row per enterprise application and owner: https://learn.microsoft.com/graph/api/serviceprincipal-list-owners"""

    path_template = "servicePrincipals/{service_principal_id}/owners"
    page_size = 100
