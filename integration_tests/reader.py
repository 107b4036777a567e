"""A patient reader of the simulated tenant, for the tests of that tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from simulated_tenant import Reply, Request, Tenant

ROOT = "https://graph.microsoft.com/v1.0"
TEAMS = quote("resourceProvisioningOptions/Any(x:x eq 'Team')")

Entity = dict[str, Any]


class Reader:
    """A client that follows nextLinks, skips what it's refused, and knows where each stream is."""

    def __init__(self, tenant: Tenant, *grants: str) -> None:
        self.tenant = tenant
        self.token = tenant.token(*grants)

    def get(self, path: str, **headers: str) -> Reply:
        url = path if path.startswith("https:") else ROOT + path
        return self.tenant.respond(Request.to(url, self.token, headers=headers))

    def pages(self, path: str, **headers: str) -> Iterator[Entity]:
        reply = self.get(path, **headers)
        while reply.status == 200:
            yield reply.json
            if "@odata.nextLink" not in reply.json:
                return
            reply = self.get(reply.json["@odata.nextLink"], **headers)

    def items(self, path: str, **headers: str) -> list[Entity]:
        return [item for page in self.pages(path, **headers) for item in page["value"]]

    def round(self, path: str, **headers: str) -> tuple[list[Entity], str]:
        """The items of a round of changes, and the link to the next round."""
        pages = list(self.pages(path, **headers))
        return [item for page in pages for item in page["value"]], pages[-1]["@odata.deltaLink"]

    def below(self, key: str, parents: str, path: str) -> list[Entity]:
        """The items below each parent, with the parent's id."""
        found = {parent["id"] for parent in self.items(parents)}
        return [item | {key: parent} for parent in sorted(found) for item in self.items(path.format(quote(parent)))]

    def folders(self, path: str) -> list[str]:
        """Contact folders at every depth."""
        children = [folder["id"] for folder in self.items(path)]
        root = path.split("/contactFolders")[0]
        return children + [
            deeper for child in children for deeper in self.folders(f"{root}/contactFolders/{child}/childFolders")
        ]

    def contacts(self) -> list[Entity]:
        found = self.below("user_id", "/users", "/users/{}/contacts")
        for user in self.items("/users"):
            for folder in self.folders(f"/users/{user['id']}/contactFolders"):
                items = self.items(f"/users/{user['id']}/contactFolders/{folder}/contacts")
                found += [item | {"user_id": user["id"]} for item in items]
        return found

    def members(self) -> list[Entity]:
        """The members of groups, the service principals among them found the other way round."""
        found = self.below("group_id", "/groups", "/groups/{}/members")
        return found + [
            {"@odata.type": "#microsoft.graph.servicePrincipal", "id": group["member"], "group_id": group["id"]}
            for group in self.below("member", "/servicePrincipals", "/servicePrincipals/{}/memberOf")
            if group["@odata.type"] == "#microsoft.graph.group"
        ]

    def stream(self, name: str) -> list[Entity]:
        per_user, per_group, per_team = (
            ("user_id", "/users"),
            ("group_id", "/groups"),
            ("team_id", f"/groups?$filter={TEAMS}"),
        )
        readers: Mapping[str, Callable[[], list[Entity]]] = {
            "users": lambda: self.items(f"/users?$select={listable('user')}"),
            "groups": lambda: self.items(f"/groups?$select={listable('group')}"),
            "applications": lambda: self.items(f"/applications?$select={listable('application')}"),
            "service_principals": lambda: self.items(f"/servicePrincipals?$select={listable('servicePrincipal')}"),
            "group_member": self.members,
            "group_owner": lambda: self.below(*per_group, "/groups/{}/owners"),
            "teams": lambda: self.items(f"/groups?$filter={TEAMS}"),
            "channels": lambda: self.below(*per_team, "/teams/{}/channels"),
            "team_member": lambda: self.below(*per_team, "/teams/{}/members"),
            "chats": lambda: self.below(*per_user, "/users/{}/chats"),
            "chat_messages": lambda: [
                message | {"chat_id": chat}
                for chat in {chat["id"] for chat in self.stream("chats")}
                for message in self.items(f"/chats/{quote(chat)}/messages?$top=50")
            ],
            "mail_messages": lambda: self.below(*per_user, "/users/{}/messages"),
            "calendar_events": lambda: self.below(*per_user, "/users/{}/events"),
            "contacts": self.contacts,
            "drives": lambda: [
                *self.items("/drives"),
                *self.below("found_at", "/users", "/users/{}/drives"),
                *self.below("found_at", "/groups", "/groups/{}/drives"),
                *self.below("found_at", "/sites/getAllSites", "/sites/{}/drives"),
            ],
            "drive_items": lambda: self.below(*per_user, "/users/{}/drive/root/delta"),
            "audit_logs_directory": lambda: self.items("/auditLogs/directoryAudits"),
            "audit_logs_signins": lambda: self.items("/auditLogs/signIns"),
            "conditional_access_policies": lambda: self.items("/identity/conditionalAccess/policies"),
            "directory_roles": lambda: self.items("/directoryRoles"),
            "directory_role_templates": lambda: self.items("/directoryRoleTemplates"),
            "directory_role_member": lambda: self.below("role_id", "/directoryRoles", "/directoryRoles/{}/members"),
        }
        return readers[name]()


def listable(kind: str) -> str:
    """The properties of a type that a list can show."""
    tenant = Tenant()
    return ",".join(name for name in tenant.directory.shapes[kind].entities[0] if name != "signInActivity")


def user(tenant: Tenant, number: int = 0) -> str:
    return tenant.directory.ids["user"][number]


def refusal(reply: Reply) -> tuple[int, str]:
    """The status and code of a refusal."""
    return reply.status, reply.json["error"]["code"]


def assert_reads_the_truth(reader: Reader, stream: str) -> dict[tuple[str, ...], Entity]:
    """The truth about a stream, once it is sure that the reader finds exactly that."""
    rows = list(reader.tenant.rows(stream))
    truth = {tuple(keys.values()): entity for keys, entity in rows}
    names = list(rows[0][0])
    found = {tuple(item[name] for name in names): item for item in reader.stream(stream)}
    assert truth.keys() == found.keys()
    for key, item in found.items():
        shown = {name: value for name, value in item.items() if name in truth[key] and name not in names[1:]}
        assert shown == {name: truth[key][name] for name in shown}
    return truth
