"""Microsoft Entra ID: people, groups, apps and roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import requests

from source_microsoft_graph.cursors import Progress, digest
from source_microsoft_graph.errors import StreamRefused
from source_microsoft_graph.pacing import Service
from source_microsoft_graph.records import camel_case
from source_microsoft_graph.streams.base import GraphStream, Slice
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.delta import DeltaStream
from source_microsoft_graph.streams.listing import Listing

_NAMED_AT_ONCE = 10
"""Users asked for by name in one listing: with them and $select the URL stays below 2,048 characters."""

_INCLUDED = "include_users"

_SIGN_IN_ACTIVITY = "signInActivity"

_APP, _GROUP = "#microsoft.graph.servicePrincipal", "#microsoft.graph.group"

_GROUPS_PERMISSIONS = (
    "Group.Read.All",
    "GroupMember.Read.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
)


class Users(DeltaStream):
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

    # Which users are read, here and below, is the configuration's to say. Graph takes the filter, and up to fifteen
    # values in one `in`: https://learn.microsoft.com/graph/api/user-list#optional-query-parameters
    def queries(self) -> Iterable[Mapping[str, str]]:
        config = self.sync.config
        # With $count=true and the header below Graph takes every operator it has for users:
        # https://learn.microsoft.com/graph/aad-advanced-queries
        options, clauses = ({"$count": "true"}, [f"({config.user_filter})"]) if config.user_filter else ({}, [])
        for clause in self._inclusions() if config.include_users else [""]:
            expression = " and ".join(filter(None, (*clauses, clause)))
            yield {**options, "$filter": expression} if expression else options

    def _inclusions(self) -> Iterator[str]:
        for name, of_this_kind in (("id", _is_id), ("userPrincipalName", _is_principal_name)):
            values = sorted(filter(of_this_kind, self.sync.config.include_users))
            for start in range(0, len(values), _NAMED_AT_ONCE):
                yield f"{name} in ({','.join(map(_literal, values[start : start + _NAMED_AT_ONCE]))})"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"ConsistencyLevel": "eventual"} if self.sync.config.user_filter else {}

    def leaves_out(self, name: str, column: Mapping[str, Any]) -> bool:
        return camel_case(name) in self.sync.config.unwanted_user_properties

    def service_of(self, listing: Listing) -> Service:
        return Service.SIGN_IN_ACTIVITY if _SIGN_IN_ACTIVITY in listing.select else self.service

    # A delta query takes no filter but one of ids, and knows nothing of last sign-ins:
    # https://learn.microsoft.com/graph/api/user-delta
    @property
    def is_tracked(self) -> bool:
        config = self.sync.config
        return not (config.user_filter or config.include_users or _SIGN_IN_ACTIVITY in config.extra_user_properties)

    @property
    def fingerprint(self) -> str:
        return digest(super().fingerprint, sorted(self.sync.config.exclude_users))

    @property
    def told_apart_by(self) -> tuple[str, ...]:
        """The properties that decide whether a user is read."""
        return ("userPrincipalName",) if self.sync.config.include_users or self.sync.config.exclude_users else ()

    def select_ladder(self) -> list[tuple[str, ...]]:
        ladder = super().select_ladder()
        return [("id", *self.told_apart_by), ()] if self.keys_only else ladder

    def parse_response(self, response: requests.Response, **options: Any) -> Iterable[dict[str, Any]]:
        return filter(self.is_wanted, super().parse_response(response, **options))

    def is_wanted(self, user: Mapping[str, Any]) -> bool:
        config = self.sync.config
        names = {user["id"].lower(), str(user.get("user_principal_name")).lower()}
        for name in names & config.include_users:
            self.sync.seen_ids(_INCLUDED).add(name)
        if not names.isdisjoint(config.exclude_users):
            return False
        # One user may be named twice, by ID and by name.
        return not config.include_users or self.sync.seen_ids((_INCLUDED, self.reading)).add(user["id"])

    def next_listings(self, listing: Listing) -> Iterable[Listing]:
        asked_for = listing.query.get("$filter", "")
        for name in sorted(self.sync.config.include_users):
            if _literal(name) in asked_for and self.sync.seen_ids(_INCLUDED).add(name):
                self.logger.warning(f"No user {name} of include_users is in the tenant, or the filter leaves them out.")
        return ()


class Accounts(Users):
    """Every user whose mailbox and drives are read, as parents: https://learn.microsoft.com/graph/api/user-list"""

    # Where neither guests nor disabled accounts are left out, these are all users, whose ids are listed once.
    def ids(self) -> Iterable[str]:
        return super().ids() if self._are_some else Users(self.sync, keys_only=True).ids()

    @property
    def _are_some(self) -> bool:
        return not (self.sync.config.include_guests and self.sync.config.include_disabled_accounts)

    @property
    def told_apart_by(self) -> tuple[str, ...]:
        return (*super().told_apart_by, *(("userType", "accountEnabled") if self._are_some else ()))

    # Graph's default properties would not tell them apart.
    def select_ladder(self) -> list[tuple[str, ...]]:
        return super().select_ladder()[:1] if self._are_some else super().select_ladder()

    def is_wanted(self, user: Mapping[str, Any]) -> bool:
        config = self.sync.config
        # User.ReadBasic.All shows neither property. Old accounts have no userType, and are members.
        if self._are_some and user.get("account_enabled") is None:
            grant = config.credentials.grant(self.permissions[0])
            raise StreamRefused(f"Graph does not tell guests and disabled accounts apart. {grant}")
        if not config.include_guests and user["user_type"] == "Guest":
            return False
        return (config.include_disabled_accounts or user["account_enabled"]) and super().is_wanted(user)


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
    def slices(self, progress: Progress | None) -> Iterator[Slice]:
        yield from super().slices(progress)
        if not self.left_out(self.sync.auth.roles):
            yield from GroupsOfApps(self.sync).slices(progress)

    # Whoever is listed both ways, should Graph come to list them, is one row.
    def records(self, stream_slice: Slice, progress: Progress | None) -> Iterator[dict[str, Any]]:
        of_groups = "group_id" in stream_slice
        rows = super().records(stream_slice, progress) if of_groups else self._apps(stream_slice)
        for row in rows:
            is_app = row.get("odata_type") == _APP
            if not is_app or self.sync.seen_ids(GroupsOfApps).add(f"{row['group_id']} {row['id']}"):
                yield row

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


def _is_principal_name(user: str) -> bool:
    return "@" in user


def _is_id(user: str) -> bool:
    return "@" not in user


def _literal(text: str) -> str:
    """A text as an OData expression has it."""
    return "'" + text.replace("'", "''") + "'"
