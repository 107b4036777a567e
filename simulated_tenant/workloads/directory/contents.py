"""Entra ID: users, groups, applications, service principals, directory roles, and who belongs to what.

https://learn.microsoft.com/graph/azuread-identity-access-management-concept-overview
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial

from simulated_tenant.collection import Selection, words
from simulated_tenant.entities import Entities
from simulated_tenant.history import History, current
from simulated_tenant.shapes import EPOCH, VARIANTS, Entity, Guids, Shape, fragment, graph_time, thawed
from simulated_tenant.size import Size
from simulated_tenant.state import State

DOMAIN = "contoso.com"
GIVEN = words("Adele Zoë Miguel Søren 李雷 Grady Isaiah Léa Nestor Patti O'Brian Anaïs Jürgen")
SURNAMES = words("Vance Müller Núñez Ørsted Nguyễn Archie Langer D'Angelo Wilke Fernandez Smith-Jones")
ROLES = words("Global User Exchange Application Teams Security Helpdesk Billing License Intune Printer Groups")

# The service principal of Microsoft Graph, and the tenant in which Microsoft registers its own apps.
# https://learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
GRAPH_APP_ID, MICROSOFT = "00000003-0000-0000-c000-000000000000", "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
# Some of its app roles: https://learn.microsoft.com/graph/permissions-reference
APP_ROLES: Mapping[str, str] = {
    "RoleManagement.ReadWrite.Directory": "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
    "Mail.ReadWrite": "e2a3a72e-5f79-4c64-b1b1-878b674786c9",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
}

# Products by their ids: https://learn.microsoft.com/entra/identity/users/licensing-service-plan-reference
SKUS: Mapping[str, str] = {
    "SPE_E5": "06ebc4ee-1bb5-47dd-8120-11324bc54e06",
    "ENTERPRISEPACK": "6fd2c87f-b296-42f0-b197-1e91e994b900",
    "EMSPREMIUM": "b05e124f-c7cc-45a0-a6aa-8cf78c946968",
    "POWER_BI_PRO": "f8a1db68-be16-40ed-86d5-cb42ce701560",
    "VISIOCLIENT": "c5928f49-12ba-48f7-ada3-0d743a3601d5",
    "FLOW_FREE": "f30db892-07e9-47e9-837c-80727f46fd3d",
    "SHAREPOINTSTORAGE": "99049c9c-6011-4908-bf17-15f496e6519d",
}

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
        refused=dict.fromkeys(SHAREPOINT_OWNED, "not_in_sharepoint")
        | dict.fromkeys(words("mailboxSettings deviceEnrollmentLimit print"), "not_in_a_list"),
    ),
    "group": Selection(
        on_request=words(
            "assignedLabels assignedLicenses infoCatalogs isManagementRestricted licenseProcessingState "
            "onPremisesExtensionAttributes organizationId uniqueName"
        ),
        refused=dict.fromkeys(OUTLOOK_OWNED, "not_in_a_list")
        | {"hasMembersWithLicenseErrors": "never_on_a_get", "isArchived": "archived_flag"},
    ),
    "device": Selection(on_request=("isManagementRestricted",)),
    "application": Selection(on_request=words("managerApplications authenticationBehaviors oauth2RequirePostResponse")),
}
WRITERS = " Directory.Read.All Directory.ReadWrite.All"
USER_READ = words("User.Read.All User.ReadWrite.All" + WRITERS)
GROUP_READ = words("Group.Read.All GroupMember.Read.All Group.ReadWrite.All GroupMember.ReadWrite.All" + WRITERS)
APPLICATION_READ = words(
    "Application.Read.All Application.ReadWrite.All Application.ReadWrite.OwnedBy Directory.Read.All"
)
UNIT_READ = words("AdministrativeUnit.Read.All" + WRITERS)
ROLE_READ = words("RoleManagement.Read.Directory RoleManagement.ReadWrite.Directory" + WRITERS)
USER_BASIC = words("displayName givenName surname mail id securityIdentifier userPrincipalName")
GROUP_BASIC = words("id displayName description mail visibility groupTypes securityIdentifier")

# Which permissions show more of a member than its id.
# https://learn.microsoft.com/graph/permissions-overview#limited-information-returned-for-inaccessible-member-objects
VISIBLE_BY: Mapping[str, tuple[str, ...]] = {
    "user": (*USER_READ, "User.ReadBasic.All"),
    "group": GROUP_READ,
    "device": words("Device.Read.All" + WRITERS),
    "application": APPLICATION_READ,
    "servicePrincipal": APPLICATION_READ,
    "orgContact": words("OrgContact.Read.All" + WRITERS),
    "directoryRole": ROLE_READ,
}

Reference = tuple[str, int]

BEFORE = 10**6
"""The number of the first object of a kind that was deleted before the tenant's first day."""


class Directory:
    """The tenant's directory, derived object by object from the seed."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.ids = {kind: Guids(state.seed, kind) for kind in (*KINDS, "appId", "deviceId")}
        self.shapes = {name: self._shape(name, kind) for name, kind in KINDS.items()}
        self.keys = {
            name: [_with_keys(entity) for entity in self.shapes[name].entities]
            for name, kind in KINDS.items() if kind.certified
        }  # fmt: skip
        self.related: dict[tuple[str, int], dict[Reference, bool]] = {}

    def _shape(self, name: str, kind: Kind) -> Shape:
        refused = SELECTIONS.get(name, Selection()).refused
        return Shape(
            name, self.state.seed, {"deletedDateTime": None, **dict.fromkeys(kind.hidden)}, refused, _without_keys
        )

    def count(self, kind: str) -> int:
        """How many objects of a kind there were when the tenant was founded."""
        return KINDS[kind].count(self.state.size)

    def history(self, kind: str) -> History | None:
        return self.state.histories.get(kind)

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
        return self.shapes[kind].entity(number, {"id": self.ids[kind][number], **KINDS[kind].own(self, number)})

    def object(self, reference: Reference) -> Entity:
        entity, history = self.founded(reference), self.history(reference[0])
        return {**entity, **history.values.get(reference[1], {})} if history else entity

    def every(self, kind: str) -> Entities:
        founded = Entities(range(self.count(kind)), lambda number: self.founded((kind, number)))
        return current(founded, self.history(kind))

    def enabled_users(self) -> Sequence[int]:
        """The users who were there from the start, are not gone and may sign in."""
        history, disabled = self.history("user"), self.state.size.disabled_numbers
        changed = history.values if history else {}
        founded = range(self.count("user"))
        enabled = [n for n in founded if changed.get(n, {}).get("accountEnabled", n not in disabled)]
        return [n for n in enabled if history.exists(n)] if history else enabled

    def licensed_users(self, product: str) -> int:
        """How many users have a product assigned. A disabled account keeps its licences, a deleted one frees them."""
        history = self.history("user")
        changed = history.values if history else {}
        holding = 0
        for number in self.numbers("user"):
            assigned = changed.get(number, {}).get("assignedLicenses")
            if assigned is None:
                holding += product in licences(self.state.size, number)
            else:
                holding += SKUS[product] in {licence["skuId"] for licence in assigned}
        return holding

    @property
    def graph_app(self) -> int | None:
        """The number of the service principal of Microsoft Graph, whose registration is in Microsoft's own tenant."""
        number = self.count("application")
        return number if number < self.count("servicePrincipal") else None

    def with_keys(self, kind: str) -> Entities:
        """Applications or service principals with the bytes of their certificates."""
        plain, keys = self.every(kind), self.keys[kind]
        return Entities(
            plain.ascending, lambda number: plain.make(number) | {"keyCredentials": keys[number % VARIANTS]}
        )

    def deleted(self, kind: str) -> Entities:
        """What can be restored: objects that were deleted since, and those of days before the tenant's first."""
        history = self.history(kind)
        since = sorted(number for number, why in history.gone.items() if why == "changed") if history else []
        return Entities([*since, *range(BEFORE, BEFORE + self.deleted_before(kind))], partial(self._deleted, kind))

    def deleted_before(self, kind: str) -> int:
        """How many were deleted before the first day. Of groups only Microsoft 365's can be restored, which come
        first."""
        size = self.state.size
        return min(size.deleted_before, size.microsoft365_groups) if kind == "group" else size.deleted_before

    def _deleted(self, kind: str, number: int) -> Entity:
        if number >= BEFORE:
            day = self.state.today - timedelta(days=number - BEFORE + 1)
            gone = {"id": self.ids[kind][number], "deletedDateTime": graph_time(day)}
            return self.founded((kind, number - BEFORE)) | gone
        changes = reversed(self.state.histories[kind].changes)
        when = next(change.when for change in changes if change.number == number)
        return self.object((kind, number)) | {"deletedDateTime": graph_time(datetime.fromtimestamp(when, UTC))}

    def members(self, group: int) -> Sequence[Reference]:
        """Users first, then one of every other type in each third group. The first group holds everyone."""
        users, size = self.state.size.users, self.state.size.members_per_group
        people = range(users) if group == 0 else ((group * 5 + index) % users for index in range(min(size, users)))
        others = [
            (kind, group % (self.count(kind) or 1)) for kind in OTHER_MEMBERS if self.count(kind) and group % 3 == 1
        ]
        return self._by_now("members", group, [*(("user", user) for user in people), *others])

    def owners(self, group: int) -> Sequence[Reference]:
        """One or two users, in each fourth group the service principal that made it, and in each sixth group nobody."""
        if group % 6 == 5:
            return []
        users = {("user", (group * 5 + index) % self.state.size.users) for index in range(1 + group % 2)}
        made_by_app = group % 4 == 1 and self.count("servicePrincipal")
        others = [("servicePrincipal", group % self.count("servicePrincipal"))] if made_by_app else []
        return self._by_now("owners", group, [*sorted(users), *others])

    def app_owners(self, kind: str, number: int) -> Sequence[Reference]:
        """Of an application or a service principal: a user or two, in each third case an app. Some apps have owners of
        one kind alone, and each fourth has none."""
        if number % 4 == 3 or number % 8 == {"servicePrincipal": 2, "application": 1}[kind]:
            return []
        users = {("user", (number * 3 + index) % self.state.size.users) for index in range(1 + number % 2)}
        apps = self.count("servicePrincipal")
        owners = [*sorted(users), *([("servicePrincipal", number % apps)] if apps and number % 3 == 2 else [])]
        return self._by_now(f"owners of {kind}", number, owners)

    def role_members(self, role: int) -> Sequence[Reference]:
        users = {("user", (role + index) % self.state.size.users) for index in range(1 + role % 3)}
        kind = ("servicePrincipal", "group")[role % 2]
        others = [(kind, role % self.count(kind))] if role and self.count(kind) else []
        return self._by_now("role_members", role, [*sorted(users), *others])

    def unit_members(self, unit: int) -> Sequence[Reference]:
        """Some users, a group and a device in each administrative unit but the last."""
        if unit == self.count("administrativeUnit") - 1:
            return []
        users = {("user", (unit * 3 + index) % self.state.size.users) for index in range(2 + unit % 3)}
        others = [(kind, unit % self.count(kind)) for kind in ("group", "device") if self.count(kind)]
        return self._by_now("unit_members", unit, [*sorted(users), *others])

    def manager(self, user: int) -> Reference | None:
        """Another user, or in each seventh case a contact; nobody for the first user and for each fifth."""
        if user % 5 == 0:
            return None
        contacts = self.count("orgContact")
        kind, number = ("orgContact", user % contacts) if contacts and user % 7 == 4 else ("user", user // 4)
        return (kind, number) if self.exists(kind, number) else None

    def groups_of_app(self, app: int) -> list[Reference]:
        """The groups and roles that a service principal is a member of."""
        member = ("servicePrincipal", app)
        return [
            *(("group", group) for group in self.numbers("group") if member in self.members(group)),
            *(("directoryRole", role) for role in self.numbers("directoryRole") if member in self.role_members(role)),
        ]

    def owned_by_app(self, app: int) -> list[Reference]:
        """The groups that a service principal owns, and the applications and service principals."""
        owner, apps = ("servicePrincipal", app), self.count("servicePrincipal")
        of_apps = (
            (kind, number) for kind in ("application", "servicePrincipal")
            for number in range(app, self.count(kind), apps) if owner in self.app_owners(kind, number)
        )  # fmt: skip
        return [*(("group", group) for group in self.numbers("group") if owner in self.owners(group)), *of_apps]

    def _by_now(self, relation: str, number: int, founded: Sequence[Reference]) -> Sequence[Reference]:
        """The first members and those added since, without those removed from it or deleted from the directory."""
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
    guest, name = number in directory.state.size.guest_numbers, f"user.{number}"
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
        "accountEnabled": number not in directory.state.size.disabled_numbers,
        "createdDateTime": graph_time(EPOCH + timedelta(minutes=number)),
        "proxyAddresses": [f"SMTP:{mail}", f"smtp:{name}@contoso.onmicrosoft.com"],
        "assignedLicenses": _assigned(licences(directory.state.size, number)),
    }


def licences(size: Size, user: int) -> tuple[str, ...]:
    """The products that a user is founded with. Guests have none."""
    if user in size.guest_numbers:
        return ()
    suite = (("ENTERPRISEPACK",), (), ("SPE_E5", "EMSPREMIUM"))[user % 3]
    return (*suite, *(["POWER_BI_PRO"] if user % 7 == 3 else []), *(["FLOW_FREE"] if user % 2 else []))


@lru_cache(maxsize=64)
def _assigned(products: tuple[str, ...]) -> object:
    return fragment([{"disabledPlans": [], "skuId": SKUS[product]} for product in products])


def _group(directory: Directory, number: int) -> Entity:
    size = directory.state.size
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
        "createdDateTime": graph_time(EPOCH + timedelta(minutes=number)),
        "visibility": ("Public", "Private")[number % 2] if unified else None,
    }


def _administrative_unit(directory: Directory, number: int) -> Entity:
    return {
        "displayName": f"Branch {number}",
        "description": f"What belongs to branch {number}",
        "membershipType": "Dynamic" if number % 3 == 2 else None,
        "visibility": "HiddenMembership" if number % 4 == 3 else None,
    }


def _application(directory: Directory, number: int) -> Entity:
    app = {"appId": directory.ids["appId"][number], "displayName": f"Application {number}"}
    return app | {"createdDateTime": graph_time(EPOCH + timedelta(hours=number))}


def _service_principal(directory: Directory, number: int) -> Entity:
    kind = ("Application", "ManagedIdentity")[number % 4 == 3]
    if number == directory.graph_app:
        return {
            "appId": GRAPH_APP_ID,
            "displayName": "Microsoft Graph",
            "appDisplayName": "Microsoft Graph",
            "appOwnerOrganizationId": MICROSOFT,
            "servicePrincipalType": "Application",
            "createdDateTime": graph_time(EPOCH),
            "appRoles": [
                {
                    "allowedMemberTypes": ["Application"],
                    "displayName": value,
                    "id": role,
                    "isEnabled": True,
                    "value": value,
                }
                for value, role in APP_ROLES.items()
            ],
        }
    return _application(directory, number) | {
        "servicePrincipalType": kind,
        "appDisplayName": f"Application {number}",
        "appOwnerOrganizationId": directory.state.tenant_id,
    }


def _device(directory: Directory, number: int) -> Entity:
    """Entra notes a device's sign-ins seldom: the last one may be two weeks older than the device's last use."""
    seen = directory.state.today - timedelta(days=(1, 100, 20, 150, 12)[number % 5])
    return {
        "displayName": f"DESKTOP-{number:04}",
        "deviceId": directory.ids["deviceId"][number],
        "approximateLastSignInDateTime": graph_time(seen),
    }


def _template(directory: Directory, number: int) -> Entity:
    return {"displayName": f"{ROLES[number]} Administrator", "description": f"Can manage {ROLES[number]}."}


def _role(directory: Directory, number: int) -> Entity:
    return _template(directory, number) | {"roleTemplateId": directory.ids["directoryRoleTemplate"][number]}


@dataclass(frozen=True)
class Kind:
    """A type of directory object: how many a tenant of some size is founded with, and each object's own values.

    `hidden` names the properties that are null without permissions of their own. The keys of a `certified` kind are
    shown where they are named. https://learn.microsoft.com/graph/custom-security-attributes-examples,
    https://learn.microsoft.com/graph/api/resources/user#properties
    """

    count: Callable[[Size], int]
    own: Callable[[Directory, int], Entity]
    hidden: tuple[str, ...] = ()
    certified: bool = False


KINDS: Mapping[str, Kind] = {
    "user": Kind(
        lambda size: size.users, _user, hidden=words("customSecurityAttributes employeeLeaveDateTime passwordProfile")
    ),
    "group": Kind(lambda size: size.groups, _group),
    "administrativeUnit": Kind(lambda size: size.administrative_units, _administrative_unit),
    "application": Kind(lambda size: size.applications, _application, certified=True),
    "servicePrincipal": Kind(
        lambda size: size.service_principals,
        _service_principal,
        hidden=words("customSecurityAttributes"),
        certified=True,
    ),
    "device": Kind(lambda size: size.devices, _device),
    "orgContact": Kind(
        lambda size: size.org_contacts,
        lambda directory, number: {"displayName": f"Supplier {number}", "mail": f"s{number}@example.org"},
    ),
    "directoryRole": Kind(lambda size: min(size.directory_roles, len(ROLES)), _role),
    "directoryRoleTemplate": Kind(lambda size: len(ROLES), _template),
}
OTHER_MEMBERS = ("group", "device", "servicePrincipal", "orgContact")


def _without_keys(variant: int, entity: Entity) -> Entity:
    if "keyCredentials" not in entity:
        return entity
    return entity | {"keyCredentials": [{**credential, "key": None} for credential in entity["keyCredentials"] or ()]}


def _with_keys(entity: Entity) -> object:
    credentials = thawed(entity)["keyCredentials"]
    return fragment([{**credential, "key": "MIIDYDCCAki+/AwIBAgI="} for credential in credentials])
