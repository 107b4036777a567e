"""What a complete read of each stream must yield: the tenant's contents, without paging, refusals or faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from .directory import APPLICATION_READ
from .files import SITES_READ
from .shapes import Entity

if TYPE_CHECKING:
    from .tenant import Tenant

# The ids of the parents, and the entities below them.
Branches = Iterator[tuple[dict[str, str], Iterable[Entity]]]


def _whole(rows: Callable[[Tenant], Iterable[Entity]]) -> Callable[[Tenant], Branches]:
    return lambda tenant: iter([({}, rows(tenant))])


def _users(tenant: Tenant) -> Iterable[Entity]:
    """signInActivity can be read with a premium licence and a permission for logs only."""
    hidden = set() if tenant.traits.premium and "AuditLog.Read.All" in tenant.grants else {"signInActivity"}
    for user in tenant.directory.every("user"):
        yield {name: value for name, value in user.items() if name not in hidden}


def _related(kind: str, key: str, relation: str) -> Callable[[Tenant], Branches]:
    def branches(tenant: Tenant) -> Branches:
        directory = tenant.directory
        for number in directory.numbers(kind):
            members = getattr(directory, relation)(number)
            yield {key: directory.ids[kind][number]}, (directory.visible(member, tenant.grants) for member in members)

    return branches


def _group_members(tenant: Tenant) -> Branches:
    """Of service principals only that they are members, and not even that without a permission to read them."""
    may = not tenant.grants.isdisjoint(APPLICATION_READ)
    for group, members in _related("group", "group_id", "members")(tenant):
        yield group, members if tenant.traits.members_include_apps else _apps_by_id(members, may)


def _apps_by_id(members: Iterable[Entity], may: bool) -> Iterator[Entity]:
    for member in members:
        if member["@odata.type"] != "#microsoft.graph.servicePrincipal":
            yield member
        elif may:
            yield {name: member[name] for name in ("@odata.type", "id")}


def _teams(tenant: Tenant) -> Iterable[Entity]:
    return (tenant.directory.object(("group", team)) for team in tenant.teams.teams())


def _per_team(rows: str) -> Callable[[Tenant], Branches]:
    def branches(tenant: Tenant) -> Branches:
        for team in tenant.teams.teams():
            if team not in tenant.trouble["team"]:
                yield {"team_id": tenant.directory.ids["group"][team]}, getattr(tenant.teams, rows)(team)

    return branches


def _chats(tenant: Tenant) -> list[int]:
    """Every chat that can be found through one of its participants; each counts once."""
    return sorted({chat for user, _ in _readable(tenant, "teams_user") for chat in tenant.teams.chats_of(user)})


def _chat_messages(tenant: Tenant) -> Branches:
    for chat in _chats(tenant):
        if chat not in tenant.trouble["chat"]:
            yield {"chat_id": tenant.teams.chat_id(chat)}, tenant.teams.messages(chat)


def _readable(tenant: Tenant, area: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The users whom neither the directory nor the service refuses."""
    for user in tenant.directory.numbers("user"):
        if user not in tenant.trouble["user"] and user not in tenant.trouble[area]:
            yield user, {"user_id": tenant.directory.ids["user"][user]}


def _mailboxes(rows: str) -> Callable[..., Branches]:
    def branches(tenant: Tenant, **forms: bool) -> Branches:
        for user, key in _readable(tenant, "mailbox"):
            yield key, getattr(tenant.outlook, rows)(user, **forms)

    return branches


def _contacts(tenant: Tenant, immutable: bool = False) -> Branches:
    for user, key in _readable(tenant, "mailbox"):
        for folder in tenant.outlook.folders():
            yield key, tenant.outlook.contacts(user, folder, immutable)


def _drives(tenant: Tenant) -> Iterable[Entity]:
    """Of the root site, users and Microsoft 365 groups; of other sites only for an app that may list sites."""
    yield from tenant.files.drives("root")
    other_sites = 0 if tenant.grants.isdisjoint(SITES_READ) else tenant.size.other_sites
    owners = [("user", user) for user, _ in _readable(tenant, "onedrive")]
    groups = tenant.directory.numbers("group")
    owners += [("group", group) for group in groups if group < tenant.size.microsoft365_groups]
    for owner, number in [*owners, *(("site", site) for site in range(other_sites))]:
        yield from tenant.files.drives(owner, number)


def _drive_items(tenant: Tenant) -> Branches:
    for user, key in _readable(tenant, "onedrive"):
        yield key, tenant.files.items(("user", user, 0))


STREAMS: Mapping[str, Callable[..., Branches]] = {
    "users": _whole(_users),
    "applications": _whole(lambda tenant: tenant.directory.with_keys("application")),
    "service_principals": _whole(lambda tenant: tenant.directory.with_keys("servicePrincipal")),
    "groups": _whole(lambda tenant: tenant.directory.every("group")),
    "group_member": _group_members,
    "group_owner": _related("group", "group_id", "owners"),
    "teams": _whole(_teams),
    "channels": _per_team("channels"),
    "team_member": _per_team("members"),
    "chats": _whole(lambda tenant: map(tenant.teams.chat, _chats(tenant))),
    "chat_messages": _chat_messages,
    "mail_messages": _mailboxes("messages"),
    "calendar_events": _mailboxes("events"),
    "contacts": _contacts,
    "drives": _whole(_drives),
    "drive_items": _drive_items,
    "audit_logs_directory": _whole(lambda tenant: tenant.audit.log("directoryAudit")),
    "audit_logs_signins": _whole(lambda tenant: tenant.audit.log("signIn")),
    "conditional_access_policies": _whole(lambda tenant: tenant.audit.policies()),
    "directory_roles": _whole(lambda tenant: tenant.directory.every("directoryRole")),
    "directory_role_templates": _whole(lambda tenant: tenant.directory.every("directoryRoleTemplate")),
    "directory_role_member": _related("directoryRole", "role_id", "role_members"),
}
