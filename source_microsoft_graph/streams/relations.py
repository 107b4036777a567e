"""Microsoft Entra ID: who belongs to groups and who owns them."""

from __future__ import annotations

from source_microsoft_graph.streams.directory import GROUPS_PERMISSIONS, GroupsOfApps, ObjectsOfApps
from source_microsoft_graph.streams.membership import MembershipChanges, TrackedRelation


class MemberChanges(MembershipChanges):
    """Every group that got or lost members: https://learn.microsoft.com/graph/api/group-delta"""

    name = "group_member"
    relation = "members"


class OwnerChanges(MembershipChanges):
    """Every group that got or lost owners: https://learn.microsoft.com/graph/api/group-delta"""

    name = "group_owner"
    relation = "owners"


class GroupMember(TrackedRelation):
    """One row per group and direct member of any type: https://learn.microsoft.com/graph/api/group-list-members"""

    path_template = "groups/{group_id}/members"
    permissions = (*GROUPS_PERMISSIONS, "Group.ReadBasic.All", "GroupMember.ReadBasic.All")
    more_permissions = {"members that are apps": GroupsOfApps.permissions}
    app_relation = GroupsOfApps
    changes_class = MemberChanges


class GroupOwner(TrackedRelation):
    """One row per group and owner, a user or an app: https://learn.microsoft.com/graph/api/group-list-owners"""

    path_template = "groups/{group_id}/owners"
    permissions = GROUPS_PERMISSIONS
    more_permissions = {"owners that are apps": ObjectsOfApps.permissions}
    app_relation = ObjectsOfApps
    changes_class = OwnerChanges
