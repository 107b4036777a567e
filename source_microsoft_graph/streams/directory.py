"""Microsoft Entra ID: groups, apps and roles."""

from __future__ import annotations

from abc import ABC
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Set
from typing import Any, ClassVar

from source_microsoft_graph.errors import GraphError
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.delta import DeltaStream
from source_microsoft_graph.streams.failures import collecting, raise_first
from source_microsoft_graph.streams.permissions import left_out
from source_microsoft_graph.streams.slices import Slice, owners_of
from source_microsoft_graph.sync.cursors import SliceProgress

APP, _GROUP = "#microsoft.graph.servicePrincipal", "#microsoft.graph.group"
_NO_APPS = {_GROUP, "#microsoft.graph.user", "#microsoft.graph.device", "#microsoft.graph.orgContact"}

GROUPS_PERMISSIONS = (
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
    permissions = ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All")
    selects = True
    extension_target = "Application"


class DeletedApplications(GraphStream):
    """One row per app registration that was deleted and can be restored: https://learn.microsoft.com/graph/api/directory-deleteditems-list"""

    path_template = "directory/deletedItems/microsoft.graph.application"
    service = Service.DIRECTORY
    permissions = ("Directory.Read.All", "Application.Read.All")
    least_permission = "Application.Read.All"
    selects = True
    extension_target = Applications.extension_target


class ServicePrincipals(DeltaStream):
    """One row per enterprise application: https://learn.microsoft.com/graph/api/serviceprincipal-list"""

    path_template = "servicePrincipals"
    service = Service.DIRECTORY
    permissions = Applications.permissions
    selects = True
    never_empty = True


class Groups(DeltaStream):
    """One row per group of any kind: https://learn.microsoft.com/graph/api/group-list"""

    path_template = "groups"
    service = Service.DIRECTORY
    permissions = (*GROUPS_PERMISSIONS, "Group.ReadBasic.All")
    least_permission = "GroupMember.Read.All"
    selects = True
    extension_target = "Group"


class DeletedGroups(GraphStream):
    """One row per Microsoft 365 group that was deleted and can be restored: https://learn.microsoft.com/graph/api/directory-deleteditems-list"""

    path_template = "directory/deletedItems/microsoft.graph.group"
    service = Service.DIRECTORY
    permissions = ("Directory.Read.All", "Group.Read.All")
    least_permission = "Group.Read.All"
    selects = True
    extension_target = Groups.extension_target


class Microsoft365Groups(Groups):
    """The groups that have a mailbox and a SharePoint site, as parents: https://learn.microsoft.com/graph/api/resources/groups-overview"""

    query = {"$filter": "groupTypes/any(c:c eq 'Unified')"}


class Devices(DeltaStream):
    """One row per device that Entra knows: https://learn.microsoft.com/graph/api/device-list"""

    path_template = "devices"
    service = Service.DIRECTORY
    permissions = ("Device.Read.All", "Device.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
    selects = True
    extension_target = "Device"


class OrgContacts(DeltaStream):
    """One row per contact of the organization, who has no account: https://learn.microsoft.com/graph/api/orgcontact-list"""

    path_template = "contacts"
    service = Service.DIRECTORY
    permissions = ("OrgContact.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")
    selects = True


class AppRelation(ChildStream, ABC):
    """Every object that a service principal has a relation to: https://learn.microsoft.com/graph/api/resources/serviceprincipal"""

    parent_class = ServicePrincipals
    primary_key = ["id", "service_principal_id"]
    service = Service.DIRECTORY
    permissions = ServicePrincipals.permissions


class AppRoleAssignments(AppRelation):
    """One row per user, group or app and what it may do in an app: https://learn.microsoft.com/graph/api/serviceprincipal-list-approleassignedto"""

    path_template = "servicePrincipals/{service_principal_id}/appRoleAssignedTo"


class GroupsOfApps(AppRelation):
    """Every group and role of a service principal: https://learn.microsoft.com/graph/api/serviceprincipal-list-memberof"""

    name = "group_member"
    path_template = "servicePrincipals/{service_principal_id}/memberOf"


class ObjectsOfApps(AppRelation):
    """Every object that a service principal owns: https://learn.microsoft.com/graph/api/serviceprincipal-list-ownedobjects"""

    name = "group_owner"
    path_template = "servicePrincipals/{service_principal_id}/ownedObjects"


class GroupRelation(ChildStream, ABC):
    """Every directory object that a group has a relation to: https://learn.microsoft.com/graph/api/resources/group"""

    parent_class = Groups
    primary_key = ["id", "group_id"]
    service = Service.DIRECTORY
    least_permission = "GroupMember.Read.All"
    app_relation: ClassVar[type[AppRelation]]

    # Of a group's members and owners v1.0 does not list the service principals, but of a service principal the groups:
    # https://learn.microsoft.com/graph/known-issues#get-groupsidmembers-doesnt-return-service-principals-in-v10
    # An app that is listed both ways, should Graph come to list them, is one record: the one that the group lists.
    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        listed: set[tuple[str, str]] = set()
        failures: list[GraphError] = []
        of_apps: list[GraphError] = []
        for record in collecting(failures, super().records(stream_slice, progress)):
            if record.get("odata_type") not in _NO_APPS:
                listed.add((record["group_id"], record["id"]))
            yield record
        yield from collecting(of_apps, self._apps(stream_slice, listed))
        # Each slice gets the same error, and the stream fails by one of them.
        if of_apps and self.sync.is_first((self.identity, "apps")):
            failures += of_apps
        raise_first(failures)

    def _apps(self, stream_slice: Slice, listed: Set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """The apps that are related to the groups of the slice and were not listed with them."""
        if left_out(self, self.sync.auth.roles):
            return
        apps = self.sync.once(self.app_relation, self._apps_by_group)
        for (group,) in owners_of(stream_slice):
            for app in apps.get(group, ()):
                if (group, app) not in listed:
                    yield {"odata_type": APP, "id": app, "group_id": group}

    def _apps_by_group(self) -> Mapping[str, Collection[str]]:
        """The ids of the apps that have this relation to each group. They are few, and read once a sync."""
        apps: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for related in self.app_relation(self.sync).every_record():
            if related.get("odata_type") == _GROUP:
                apps[related["id"]][related["service_principal_id"]] = None
        return apps


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
