"""Entra ID: users, groups, applications, service principals, directory roles, and who belongs to what.

https://learn.microsoft.com/graph/azuread-identity-access-management-concept-overview
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from .delta import Feed, Show
from .endpoint import Call, Endpoint, Listing, Paging, Selection, Service, Single, Tracking, words
from .history import Change, History, current
from .problems import Problem, problem
from .rows import Rows
from .shapes import EPOCH, VARIANTS, Entity, Guids, Shape, fragment, moment, thawed

if TYPE_CHECKING:
    from .tenant import Tenant

DOMAIN = "contoso.com"
GIVEN = words("Adele Zoë Miguel Søren 李雷 Grady Isaiah Léa Nestor Patti O'Brian Anaïs Jürgen")
SURNAMES = words("Vance Müller Núñez Ørsted Nguyễn Archie Langer D'Angelo Wilke Fernandez Smith-Jones")
ROLES = words("Global User Exchange Application Teams Security Helpdesk Billing License Intune Printer Groups")

SHAREPOINT_OWNED = words(
    "aboutMe birthday hireDate interests mySite pastProjects preferredName responsibilities schools skills"
)
OUTLOOK_OWNED = words(
    "allowExternalSenders autoSubscribeNewMembers hideFromAddressLists hideFromOutlookClients accessType isFavorite "
    "isSubscribedByMail unseenCount unseenConversationsCount unseenMessagesCount welcomeMessageEnabled"
)

# What a list of each type shows. https://learn.microsoft.com/graph/api/user-list#optional-query-parameters,
# https://learn.microsoft.com/graph/api/resources/group#properties
SELECTIONS: Mapping[str, Selection] = {
    "user": Selection(
        default=words(
            "businessPhones displayName givenName id jobTitle mail mobilePhone officeLocation preferredLanguage "
            "surname userPrincipalName"
        ),
        refused=dict.fromkeys(
            words(
                "aboutMe birthday hireDate interests mySite pastProjects preferredName responsibilities schools skills"
            ),
            "not_in_sharepoint",
        )
        | dict.fromkeys(words("mailboxSettings deviceEnrollmentLimit print"), "not_in_a_list"),
    ),
    "group": Selection(
        on_request=words("assignedLabels assignedLicenses licenseProcessingState isManagementRestricted uniqueName"),
        refused=dict.fromkeys(OUTLOOK_OWNED, "not_in_a_list")
        | {"hasMembersWithLicenseErrors": "never_on_a_get", "isArchived": "archived_flag"},
    ),
    "application": Selection(on_request=words("managerApplications authenticationBehaviors oauth2RequirePostResponse")),
}
WRITERS = " Directory.Read.All Directory.ReadWrite.All"
USER_READ = words("User.Read.All User.ReadWrite.All" + WRITERS)
GROUP_READ = words("GroupMember.Read.All Group.Read.All Group.ReadWrite.All GroupMember.ReadWrite.All" + WRITERS)
APPLICATION_READ = words(
    "Application.Read.All Application.ReadWrite.All Application.ReadWrite.OwnedBy Directory.Read.All"
)
ROLE_READ = words("RoleManagement.Read.Directory RoleManagement.ReadWrite.Directory" + WRITERS)
USER_BASIC = words("displayName givenName surname mail id securityIdentifier userPrincipalName")
GROUP_BASIC = words("id displayName description mail visibility groupTypes securityIdentifier")

# Which permissions show more of a member than its id.
# https://learn.microsoft.com/graph/permissions-overview#limited-information-returned-for-inaccessible-member-objects
VISIBLE_BY: Mapping[str, tuple[str, ...]] = {
    "user": (*USER_READ, "User.ReadBasic.All"),
    "group": GROUP_READ,
    "device": words("Device.Read.All" + WRITERS),
    "servicePrincipal": APPLICATION_READ,
    "orgContact": words("OrgContact.Read.All" + WRITERS),
    "directoryRole": ROLE_READ,
}

Reference = tuple[str, int]


class Directory:
    """The tenant's directory, derived object by object from the seed."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.ids = {kind: Guids(tenant.seed, kind) for kind in (*OWN_VALUES, "appId")}
        self.shapes = {kind: self._shape(kind) for kind in OWN_VALUES}
        self.keys = {kind: [_with_keys(entity) for entity in self.shapes[kind].entities] for kind in CERTIFIED}
        self.related: dict[tuple[str, int], dict[Reference, bool]] = {}

    def _shape(self, kind: str) -> Shape:
        refused = SELECTIONS.get(kind, Selection()).refused
        always = {"deletedDateTime": None, **dict.fromkeys(NEEDS_MORE.get(kind, ()))}
        return Shape(kind, self.tenant.seed, always, refused, _without_keys)

    def count(self, kind: str) -> int:
        """How many objects of a kind there were when the tenant was founded."""
        size = self.tenant.size
        return {
            "user": size.users, "group": size.groups, "application": size.applications, "device": size.devices,
            "servicePrincipal": size.service_principals, "orgContact": size.org_contacts,
            "directoryRole": min(size.directory_roles, len(ROLES)), "directoryRoleTemplate": len(ROLES),
        }[kind]  # fmt: skip

    def history(self, kind: str) -> History | None:
        return self.tenant.histories.get(kind)

    def exists(self, kind: str, number: int) -> bool:
        history = self.history(kind)
        return history.exists(number) if history else 0 <= number < self.count(kind)

    def numbers(self, kind: str) -> Sequence[int]:
        """The numbers of the objects of a kind that aren't gone."""
        history, founded = self.history(kind), range(self.count(kind))
        return history.numbers(founded) if history else founded

    def find(self, kind: str, text: str) -> int | None:
        """The number of the object with that id; a user is also known by the principal name."""
        number = self.ids[kind].find(text)
        if number is None and kind == "user" and text.startswith("user."):
            digits = text.removeprefix("user.").split("@")[0].split("_")[0]
            number = int(digits) if digits.isdecimal() else None
        return number if number is not None and self.exists(kind, number) else None

    def founded(self, reference: Reference) -> Entity:
        """An object as it was when the tenant was founded."""
        kind, number = reference
        return self.shapes[kind].entity(number, {"id": self.ids[kind][number], **OWN_VALUES[kind](self, number)})

    def object(self, reference: Reference) -> Entity:
        entity, history = self.founded(reference), self.history(reference[0])
        return {**entity, **history.values.get(reference[1], {})} if history else entity

    def every(self, kind: str) -> Rows:
        rows = Rows(range(self.count(kind)), lambda number: self.founded((kind, number)))
        return current(rows, self.history(kind))

    def with_keys(self, kind: str) -> Rows:
        """Applications or service principals with the bytes of their certificates."""
        plain, keys = self.every(kind), self.keys[kind]
        return Rows(plain.ascending, lambda number: plain.make(number) | {"keyCredentials": keys[number % VARIANTS]})

    def members(self, group: int) -> Sequence[Reference]:
        """Users first, then one of every other type in each third group; the first group holds everyone."""
        users, size = self.tenant.size.users, self.tenant.size.members_per_group
        places = range(users) if group == 0 else ((group * 5 + place) % users for place in range(min(size, users)))
        others = [
            (kind, group % (self.count(kind) or 1)) for kind in OTHER_MEMBERS if self.count(kind) and group % 3 == 1
        ]
        return self._by_now("members", group, [*(("user", user) for user in places), *others])

    def owners(self, group: int) -> Sequence[Reference]:
        """One or two users, and now and then the service principal that made the group; each sixth group has none."""
        if group % 6 == 5:
            return []
        users = {("user", (group * 5 + place) % self.tenant.size.users) for place in range(1 + group % 2)}
        made_by_app = group % 4 == 1 and self.count("servicePrincipal")
        others = [("servicePrincipal", group % self.count("servicePrincipal"))] if made_by_app else []
        return self._by_now("owners", group, [*sorted(users), *others])

    def role_members(self, role: int) -> Sequence[Reference]:
        users = {("user", (role + place) % self.tenant.size.users) for place in range(1 + role % 3)}
        kind = ("servicePrincipal", "group")[role % 2]
        others = [(kind, role % self.count(kind))] if role and self.count(kind) else []
        return self._by_now("role_members", role, [*sorted(users), *others])

    def groups_of_app(self, app: int) -> list[Reference]:
        """The groups and roles that a service principal is a member of."""
        member = ("servicePrincipal", app)
        return [
            *(("group", group) for group in self.numbers("group") if member in self.members(group)),
            *(("directoryRole", role) for role in self.numbers("directoryRole") if member in self.role_members(role)),
        ]

    def _by_now(self, relation: str, number: int, founded: Sequence[Reference]) -> Sequence[Reference]:
        """Those who were there first and those who came, without those who left or are gone from the directory."""
        changed = self.related.get((relation, number), {})
        gone = {kind: history.gone for kind in VISIBLE_BY if (history := self.history(kind)) and history.gone}
        if not changed and not gone:
            return founded
        came = [member for member, there in changed.items() if there and member not in founded]
        return [
            member for member in (*founded, *came)
            if changed.get(member, True) and member[1] not in gone.get(member[0], ())
        ]  # fmt: skip

    def visible(self, reference: Reference, roles: AbstractSet[str]) -> Entity:
        """A member as the app may see it: without a permission for its type, only its type and id."""
        kind, number = reference
        hidden = dict.fromkeys(self.shapes[kind].entities[0]) | {"id": self.ids[kind][number]}
        shown = hidden if roles.isdisjoint(VISIBLE_BY[kind]) else self.object(reference)
        return {"@odata.type": f"#microsoft.graph.{kind}", **shown}


def _user(directory: Directory, number: int) -> Entity:
    guest, name = number in directory.tenant.size.guest_numbers, f"user.{number}"
    given, surname = GIVEN[number % len(GIVEN)], SURNAMES[number % len(SURNAMES)]
    mail = f"{name}@fabrikam.example" if guest else f"{name}@{DOMAIN}"
    return {
        "displayName": f"{given} {surname}",
        "givenName": given,
        "surname": surname,
        "mail": mail,
        "mailNickname": name,
        "userPrincipalName": f"{name}_fabrikam.example#EXT#@{DOMAIN}" if guest else mail,
        "userType": "Guest" if guest else "Member",
        "creationType": "Invitation" if guest else None,
        "externalUserState": "Accepted" if guest else None,
        "accountEnabled": number not in directory.tenant.size.disabled_numbers,
        "createdDateTime": moment(EPOCH + timedelta(minutes=number)),
        "proxyAddresses": [f"SMTP:{mail}", f"smtp:{name}@contoso.onmicrosoft.com"],
    }


def _group(directory: Directory, number: int) -> Entity:
    size = directory.tenant.size
    unified, dynamic = number < size.microsoft365_groups, number % 5 == 4
    has_mail = unified or number % 3 != 2
    return {
        "displayName": f"Group {number} – {SURNAMES[number % len(SURNAMES)]}",
        "description": None if number % 4 == 3 else f"Group number {number}\nwith a second line",
        "groupTypes": ["Unified"] * unified + ["DynamicMembership"] * dynamic,
        "mail": f"group{number}@{DOMAIN}" if has_mail else None,
        "mailEnabled": has_mail,
        "mailNickname": f"group{number}",
        "securityEnabled": not unified,
        "membershipRule": 'user.department -eq "Sales"' if dynamic else None,
        "membershipRuleProcessingState": "On" if dynamic else None,
        "resourceProvisioningOptions": ["Team"] * (number < size.teams),
        "createdDateTime": moment(EPOCH + timedelta(minutes=number)),
        "visibility": ("Public", "Private")[number % 2] if unified else None,
    }


def _application(directory: Directory, number: int) -> Entity:
    app = {"appId": directory.ids["appId"][number], "displayName": f"Application {number}"}
    return app | {"createdDateTime": moment(EPOCH + timedelta(hours=number))}


def _service_principal(directory: Directory, number: int) -> Entity:
    kind = ("Application", "ManagedIdentity")[number % 4 == 3]
    return _application(directory, number) | {"servicePrincipalType": kind, "appDisplayName": f"Application {number}"}


def _template(directory: Directory, number: int) -> Entity:
    return {"displayName": f"{ROLES[number]} Administrator", "description": f"Can manage {ROLES[number]}."}


def _role(directory: Directory, number: int) -> Entity:
    return _template(directory, number) | {"roleTemplateId": directory.ids["directoryRoleTemplate"][number]}


OWN_VALUES: Mapping[str, Callable[[Directory, int], Entity]] = {
    "user": _user,
    "group": _group,
    "application": _application,
    "servicePrincipal": _service_principal,
    "device": lambda directory, number: {"displayName": f"DESKTOP-{number:04}"},
    "orgContact": lambda directory, number: {"displayName": f"Supplier {number}", "mail": f"s{number}@example.org"},
    "directoryRole": _role,
    "directoryRoleTemplate": _template,
}
OTHER_MEMBERS = ("group", "device", "servicePrincipal", "orgContact")
CERTIFIED = ("application", "servicePrincipal")
# Null without permissions of their own: https://learn.microsoft.com/graph/custom-security-attributes-examples,
# https://learn.microsoft.com/graph/api/resources/user#properties
NEEDS_MORE = {
    "user": words("customSecurityAttributes employeeLeaveDateTime passwordProfile"),
    "servicePrincipal": words("customSecurityAttributes"),
}


def _without_keys(variant: int, entity: Entity) -> Entity:
    if "keyCredentials" not in entity:
        return entity
    return entity | {"keyCredentials": [{**credential, "key": None} for credential in entity["keyCredentials"] or ()]}


def _with_keys(entity: Entity) -> object:
    credentials = thawed(entity)["keyCredentials"]
    return fragment([{**credential, "key": "MIIDYDCCAki+/AwIBAgI="} for credential in credentials])


# --- How the directory answers ---


def _gone(call: Call) -> None:
    if trouble := call.tenant.trouble["user"].get(call.ids.get("user")):
        raise problem(trouble, call.segments["user"])


def _first_request(call: Call) -> str:
    """The request that began it all, with an empty token: https://learn.microsoft.com/graph/delta-query-overview#synchronization-reset"""
    query = [f"{name}={quote(call.options[name], safe='')}" for name in ("$select", "$filter") if name in call.options]
    return f"https://{call.request.host}{call.request.path}?{'&'.join([*query, '$deltatoken='])}"


SERVICE = Service(
    "directory",
    denial=lambda call: problem("directory_denied"),
    gate=_gone,
    missing=lambda name, text: problem("user_gone", text),
    expired=lambda call: problem("page_token_expired"),
    resync=lambda call: problem("sync_state_not_found", headers={"Location": _first_request(call)}),
    unsupported=lambda option: Problem(400, "Request_BadRequest", f"'{option}' is not supported by the service."),
    unfilterable=lambda name, kind: Problem(
        400,
        "Request_UnsupportedQuery",
        f"Unsupported or invalid query filter clause specified for property '{name}' of resource '{kind}'.",
    ),
    oversized=lambda top, most: Problem(
        400,
        "Request_UnsupportedQuery",
        f"Invalid page size specified: '{top}'. Must be between 1 and {most} inclusive.",
    ),
    ignores_undeclared=True,
    advanced_queries=True,
)
MOST_WITH_SIGN_IN_ACTIVITY = 500


def _users(call: Call) -> Rows:
    """signInActivity asks for AuditLog.Read.All and a premium licence, or the whole request fails.

    https://learn.microsoft.com/graph/api/user-list#permissions
    """
    if "signInActivity" in (call.selected or ()):
        if not call.may(("AuditLog.Read.All",)):
            raise problem("audit_denied")
        if not call.tenant.traits.premium:
            raise problem("sign_ins_not_premium")
    return call.tenant.directory.every("user")


def _certified(kind: str) -> Callable[[Call], Rows]:
    """The bytes of a key come only when keyCredentials is named: https://learn.microsoft.com/graph/api/application-list"""

    def rows(call: Call) -> Rows:
        directory = call.tenant.directory
        return directory.with_keys(kind) if "keyCredentials" in (call.selected or ()) else directory.every(kind)

    return rows


def _every(kind: str) -> Callable[[Call], Rows]:
    return lambda call: call.tenant.directory.every(kind)


def _named(kind: str) -> Callable[[Call], Entity]:
    return lambda call: call.tenant.directory.object((kind, call.ids[kind]))


def _related(relation: str, parent: str) -> Callable[[Call], Rows]:
    def rows(call: Call) -> Rows:
        directory = call.tenant.directory
        return Rows(
            getattr(directory, relation)(call.ids[parent]), lambda member: directory.visible(member, call.roles)
        )

    return rows


def _members(call: Call) -> Rows:
    """v1.0 leaves service principals out: https://learn.microsoft.com/graph/known-issues#get-groupsidmembers-doesnt-return-service-principals-in-v10"""
    rows = _related("members", "group")(call)
    if call.tenant.traits.members_include_apps:
        return rows
    return rows.over([member for member in rows.ascending if member[0] != "servicePrincipal"])


class Tracked(Feed):
    """The changes of a kind of object. With $select only those of selected properties or relations count.

    https://learn.microsoft.com/graph/delta-query-overview#optional-query-parameters
    """

    def __init__(self, call: Call, kind: str, rows: Rows) -> None:
        directory, self.kind = call.tenant.directory, kind
        self.directory, self.selected = directory, call.selected
        self.minimal = "return=minimal" in call.preferences
        self.tracked = frozenset(name.split("/")[0] for name in call.selected or ())
        base = directory.count(kind)
        super().__init__(rows, directory.history(kind), range(base), base, wants=_by_id(call, kind))

    def matters(self, change: Change) -> bool:
        return not self.tracked or change.properties is None or not self.tracked.isdisjoint(change.properties)

    def row(self, number: int, show: Show, recent: Collection[Change] | None) -> Entity:
        """The id and what was ever set of the selected properties; of the changed ones only if that is preferred.

        https://learn.microsoft.com/graph/api/user-delta#response
        """
        entity, values = self.rows.make(number), self.history.values.get(number, {})
        shown = {name: value for name, value in show(entity).items() if value is not None or name in values}
        if self.minimal and recent is not None:
            changed = frozenset().union(*(change.properties or () for change in recent))
            shown = {name: value for name, value in shown.items() if name in changed}
        return {"id": entity["id"], **shown, **self._relations(number, recent)}

    def _relations(self, group: int, recent: Collection[Change] | None) -> Entity:
        """Members come without being asked for, owners when selected: all of them, or who came and who left.

        https://learn.microsoft.com/graph/delta-query-groups
        """
        asked = ("members",) if self.selected is None else [name for name in RELATIONS if name in self.tracked]
        found = {}
        for name in asked if self.kind == "group" else ():
            if recent is None:
                people = dict.fromkeys(getattr(self.directory, name)(group), False)
            else:
                people = {
                    change.member[1]: change.member[2]
                    for change in recent
                    if change.member and change.member[0] == name
                }
            if people:
                found[f"{name}@delta"] = [self._person(member, gone) for member, gone in people.items()]
        return found

    def _person(self, member: Reference, gone: bool) -> Entity:
        kind, number = member
        person = {"@odata.type": f"#microsoft.graph.{kind}", "id": self.directory.ids[kind][number]}
        return {**person, **({"@removed": {"reason": "deleted"}} if gone else {})}

    def tombstone(self, change: Change, show: Show) -> Entity:
        """`changed` means that it can be restored: https://learn.microsoft.com/graph/delta-query-overview"""
        number = change.number
        return {"id": self.directory.ids[self.kind][number], "@removed": {"reason": self.history.gone[number]}}


def _by_id(call: Call, kind: str) -> Callable[[int], bool] | None:
    """A delta query can be about some objects only: https://learn.microsoft.com/graph/api/user-delta#odata-query-parameters"""
    text = call.options.get("$filter")
    if not text:
        return None
    clauses = [ID_CLAUSE.fullmatch(clause) for clause in re.split(r"\s+or\s+", text.strip())]
    if None in clauses:
        raise SERVICE.unfilterable(text.split()[0], kind)
    if len(clauses) > MOST_IDS:
        raise problem("too_many_ids", str(MOST_IDS))
    wanted = {call.tenant.directory.ids[kind].find(clause["id"]) for clause in clauses if clause}
    return wanted.__contains__


def _stale(entity: Entity) -> Entity:
    """An object as an earlier page of a round may still show it; the later one counts."""
    return {**entity, "displayName": f"Old {entity['displayName']}"}


def _tracked(kind: str, rows: Callable[[Call], Rows]) -> Tracking:
    def feed(call: Call) -> Feed:
        for name in UNTRACKED.get(kind, ()):
            if name in (call.selected or ()):
                raise problem("not_in_a_delta", name)
        return Tracked(call, kind, rows(call))

    return Tracking(
        feed,
        lifetime=lambda traits: traits.delta_token_seconds,
        repeats=lambda traits: traits.repeat_directory_objects,
        stale=_stale,
    )


RELATIONS = ("members", "owners")
ID_CLAUSE = re.compile(r"\(?id\s+eq\s+'(?P<id>[^']*)'\)?")
MOST_IDS = 50
# Observed: https://github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/3189
UNTRACKED = {"user": ("signInActivity",)}
PAGED = partial(Listing, service=SERVICE, paging=Paging(100, 999))
BY_NAME = {"displayName": "asc desc"}
OPTIONS = "$select $top $filter $orderby $count $search $expand"
RELATION_OPTIONS = "$select $top $filter $count $search"
# Directory roles and their members come in one page: https://learn.microsoft.com/graph/paging
ROLES_LISTED = partial(Listing, service=SERVICE, permissions=ROLE_READ, options="$select $expand")
# No $top, no $orderby, no $expand: https://learn.microsoft.com/graph/delta-query-overview#optional-query-parameters
TRACKED = partial(Listing, service=SERVICE, paging=Paging(100), options="$select $filter")

ENDPOINTS: tuple[Endpoint, ...] = (
    PAGED(
        "/users", permissions=(*USER_READ, "User.ReadBasic.All"), type="user", rows=_users, options=OPTIONS,
        filters={
            "id": "eq in", "userType": "eq ne*", "accountEnabled": "eq ne*", "createdDateTime": "eq ne* ge le",
            "userPrincipalName": "eq in", "displayName": "eq", "department": "eq", "mail": "eq",
        },
        orders=BY_NAME | {"userPrincipalName": "asc desc"}, basic=(USER_READ, USER_BASIC),
    ),
    PAGED(
        "/groups", permissions=(*GROUP_READ, "Group.ReadBasic.All"), type="group", rows=_every("group"),
        filters={
            "id": "eq in", "groupTypes": "any", "resourceProvisioningOptions": "any", "mailEnabled": "eq", "mail": "eq",
            "securityEnabled": "eq", "displayName": "eq",
        },
        options=OPTIONS, orders=BY_NAME, basic=(GROUP_READ, GROUP_BASIC),
    ),
    PAGED(
        "/applications", permissions=APPLICATION_READ, type="application", rows=_certified("application"),
        options=OPTIONS, filters={"id": "eq in", "appId": "eq in", "displayName": "eq"}, orders=BY_NAME,
    ),
    PAGED(
        "/servicePrincipals", permissions=APPLICATION_READ, type="servicePrincipal",
        rows=_certified("servicePrincipal"), options=OPTIONS, orders=BY_NAME,
        filters={"id": "eq in", "appId": "eq in", "displayName": "eq"},
    ),
    PAGED(
        "/groups/{group}/members", permissions=(*GROUP_READ, "GroupMember.ReadBasic.All", "Group.ReadBasic.All"),
        rows=_members, options=RELATION_OPTIONS,
    ),
    PAGED("/groups/{group}/owners", permissions=GROUP_READ, rows=_related("owners", "group"), options=RELATION_OPTIONS),
    PAGED(
        "/servicePrincipals/{app}/memberOf", permissions=APPLICATION_READ, rows=_related("groups_of_app", "app"),
        options=RELATION_OPTIONS,
    ),
    ROLES_LISTED("/directoryRoles", type="directoryRole", rows=_every("directoryRole")),
    ROLES_LISTED("/directoryRoleTemplates", type="directoryRoleTemplate", rows=_every("directoryRoleTemplate")),
    ROLES_LISTED("/directoryRoles/{role}/members", rows=_related("role_members", "role")),
    TRACKED("/users/delta", permissions=USER_READ, type="user", tracking=_tracked("user", _every("user"))),
    TRACKED("/groups/delta", permissions=GROUP_READ, type="group", tracking=_tracked("group", _every("group"))),
    TRACKED(
        "/applications/delta", permissions=APPLICATION_READ, type="application",
        tracking=_tracked("application", _certified("application")),
    ),
    TRACKED(
        "/servicePrincipals/delta", permissions=APPLICATION_READ, type="servicePrincipal",
        tracking=_tracked("servicePrincipal", _certified("servicePrincipal")),
    ),
    TRACKED(
        "/directoryRoles/delta", permissions=ROLE_READ, type="directoryRole",
        tracking=_tracked("directoryRole", _every("directoryRole")),
    ),
    Single("/users/{user}", SERVICE, USER_READ, "user", entity=_named("user")),
    Single("/groups/{group}", SERVICE, GROUP_READ, "group", entity=_named("group")),
)  # fmt: skip
