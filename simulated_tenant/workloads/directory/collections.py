"""The directory's collections: users, groups, applications, service principals, roles, and who belongs to what.

https://learn.microsoft.com/graph/azuread-identity-access-management-concept-overview
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

from simulated_tenant.arrange import arrange
from simulated_tenant.clouds import CHINA
from simulated_tenant.collection import (
    Call,
    Collection,
    Endpoint,
    Finder,
    Paging,
    Query,
    SingleEntity,
    Tracking,
    Workload,
    words,
)
from simulated_tenant.entities import Entities
from simulated_tenant.generated import Generated, Owner
from simulated_tenant.limits import DIRECTORY_UNITS, RequestLimit
from simulated_tenant.mutations import Mutations
from simulated_tenant.problems import Problem, problem
from simulated_tenant.shapes import Entity, Guids
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.changes import DirectoryChanges
from simulated_tenant.workloads.directory.contents import (
    APP_ROLES,
    APPLICATION_READ,
    DOMAIN,
    GROUP_BASIC,
    GROUP_READ,
    ROLE_READ,
    SELECTIONS,
    SKUS,
    UNIT_READ,
    USER_BASIC,
    USER_READ,
    VISIBLE_BY,
    WRITERS,
    Directory,
)
from simulated_tenant.workloads.directory.extensions import Extensions
from simulated_tenant.workloads.directory.mutations import MemberMutations, RestorableMutations, RoleMutations


def _first_request(call: Call) -> str:
    """The first request of all, with an empty token: https://learn.microsoft.com/graph/delta-query-overview#synchronization-reset"""
    query = [f"{name}={quote(call.options[name], safe='')}" for name in ("$select", "$filter") if name in call.options]
    return f"https://{call.request.host}{call.request.path}?{'&'.join([*query, '$deltatoken='])}"


DIRECTORY = Workload(
    "directory",
    denial=lambda query: problem("directory_denied"),
    gate=lambda query: query.refuse_troubled("user", "user"),
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
    trouble=lambda size: {"user": {}},
    units=DIRECTORY_UNITS,
)
# Graph has these paths. Nothing answers them here, unless a collection of this path is declared below.
NOT_SIMULATED = words("/devices /contacts /me /groups/{group}/transitiveMembers")


def _with_sign_ins(call: Call, collection: Collection, entities: Entities) -> Entities:
    """signInActivity asks for AuditLog.Read.All and a premium licence, or the whole request fails.

    https://learn.microsoft.com/graph/api/user-list#permissions
    """
    if call.selects("signInActivity"):
        if not call.may(("AuditLog.Read.All",)):
            raise problem("audit_denied")
        if not call.state.traits.premium:
            raise problem("sign_ins_not_premium")
    return arrange(call, collection, entities)


def _without_hidden_sign_ins(query: Query, user: Entity) -> Entity:
    shown = query.state.traits.premium and query.may(("AuditLog.Read.All",))
    return user if shown else {name: value for name, value in user.items() if name != "signInActivity"}


def _every(kind: str) -> Callable[[Query], Entities]:
    return lambda query: query.state.of(Extensions).extend(query, kind, query.state.of(Directory).every(kind))


def _deleted(kind: str) -> Callable[[Query], Entities]:
    return lambda query: query.state.of(Extensions).extend(query, kind, query.state.of(Directory).deleted(kind))


def _refuse_unknown_extensions(query: Query) -> None:
    """Only extensions have an underscore in their names."""
    if not query.state.traits.refuses_unknown_extensions or not isinstance(query, Call):
        return
    known = {each.name for each in query.state.of(Extensions).of_type(query.endpoint.type)}
    for name in query.selected or ():
        if "_" in name and name not in known:
            raise problem("extension_unknown", name)


def _certified(kind: str) -> Callable[[Query], Entities]:
    """The bytes of a key come only when keyCredentials is named: https://learn.microsoft.com/graph/api/application-list"""

    def entities(query: Query) -> Entities:
        directory = query.state.of(Directory)
        found = directory.with_keys(kind) if query.selects("keyCredentials") else directory.every(kind)
        return query.state.of(Extensions).extend(query, kind, found)

    return entities


def _found(kind: str) -> Finder:
    return lambda state, known, text: state.of(Directory).find(kind, text)


def _named(kind: str) -> Callable[[Query], Entity]:
    return lambda query: query.state.of(Directory).object((kind, query.ids[kind]))


def _related(relation: str, owner: str) -> Callable[[Query], Entities]:
    def entities(query: Query) -> Entities:
        directory = query.state.of(Directory)
        members = getattr(directory, relation)(query.ids[owner])
        return Entities(members, lambda member: directory.visible(member, query.roles))

    return entities


def _listed(relation: str) -> Callable[[Query], Entities]:
    """v1.0 leaves service principals out: https://learn.microsoft.com/graph/known-issues#get-groupsidmembers-doesnt-return-service-principals-in-v10"""

    def entities(query: Query) -> Entities:
        related = _related(relation, "group")(query)
        if query.state.traits.members_include_apps:
            return related
        return related.over([each for each in related.ascending if each[0] != "servicePrincipal"])

    return entities


def _groups(query: Query, group: Entity) -> Entity | None:
    """Where groups list no service principals, all that is known of such a member or owner is its type and id."""
    listed = query.state.traits.members_include_apps or group["@odata.type"] != "#microsoft.graph.group"
    return None if listed else group


def _stale(entity: Entity) -> Entity:
    """An object as an earlier page of a round may still show it; the later one counts."""
    return {**entity, "displayName": f"Old {entity['displayName']}"}


def _with_manager(query: Query, user: Entity) -> Entity:
    """Who has no manager comes without: https://learn.microsoft.com/graph/api/user-list-manager"""
    directory = query.state.of(Directory)
    number = directory.ids["user"].find(user["id"])
    reference = directory.manager(number) if number is not None else None
    if reference is None:
        return {}
    kind, number = reference
    return {"manager": {"@odata.type": f"#microsoft.graph.{kind}", "id": directory.ids[kind][number]}}


def _manager(query: Query, user: Entity) -> Entity | None:
    manager = _with_manager(query, user).get("manager")
    if manager is None:
        return None
    names = {"userId": user["id"], "managerId": manager["id"], "managerType": manager["@odata.type"]}
    return {"id": user["id"], **names}


def _tracked(
    kind: str, permissions: tuple[str, ...], untracked: tuple[str, ...] = (), lacking_in: tuple[str, ...] = ()
) -> Tracking:
    """No $top, no $orderby, no $expand: https://learn.microsoft.com/graph/delta-query-overview#optional-query-parameters"""
    return Tracking(
        lambda call, entities: DirectoryChanges(call, kind, entities, untracked),
        options="$select $filter",
        paging=Paging(100),
        permissions=permissions,
        lifetime=lambda traits: traits.delta_token_seconds,
        repeats=lambda traits: traits.repeat_directory_objects,
        stale=_stale,
        lacking_in=lacking_in,
    )


BY_NAME = {"displayName": "asc desc"}
PAGED = partial(
    Collection,
    workload=DIRECTORY,
    paging=Paging(100, 999),
    options="$select $top $filter $orderby $count $search $expand",
    orders=BY_NAME,
)
# Directory roles and their members come in one page: https://learn.microsoft.com/graph/paging
IN_ONE_PAGE = partial(Collection, workload=DIRECTORY, options="$select $expand")


def directory_objects(
    path: str, stream: str, kind: str, permissions: tuple[str, ...], of: Any = PAGED, **declared: Any
) -> Collection:
    """A collection of all directory objects of a kind. Its placeholder has the kind's name, unless one is given."""
    declared = {
        "placeholder": kind,
        "find": _found(kind),
        "entities": _every(kind),
        "gate": _refuse_unknown_extensions,
        "selection": SELECTIONS.get(kind),
        "mutations": partial(RestorableMutations, kind=kind),
        **declared,
    }
    collection: Collection = of(path, permissions=permissions, type=kind, stream=stream, **declared)
    return collection


def deleted(stream: str, kind: str, permission: str, **declared: Any) -> Collection:
    """What of a kind can be restored: https://learn.microsoft.com/graph/api/directory-deleteditems-list"""
    return PAGED(
        f"/directory/deletedItems/microsoft.graph.{kind}", permissions=(permission, "Directory.Read.All"), type=kind,
        stream=stream, entities=_deleted(kind), gate=_refuse_unknown_extensions, selection=SELECTIONS.get(kind),
        **declared,
    )  # fmt: skip


def members(path: str, stream: str, permissions: tuple[str, ...], of: Any = PAGED, **declared: Any) -> Collection:
    """A collection of the directory objects that are related to another."""
    declared = {"options": "$select $top $filter $count $search", "orders": {}, **declared} if of is PAGED else declared
    collection: Collection = of(path, permissions=permissions, stream=stream, kinds=tuple(VISIBLE_BY), **declared)
    return collection


GROUPS = directory_objects(
    "/groups", "groups", "group", (*GROUP_READ, "Group.ReadBasic.All"), basic=(GROUP_READ, GROUP_BASIC),
    filters={
        "id": "eq in", "groupTypes": "any", "resourceProvisioningOptions": "any", "mailEnabled": "eq", "mail": "eq",
        "securityEnabled": "eq", "displayName": "eq",
    },
    tracking=_tracked("group", GROUP_READ),
)  # fmt: skip
# What each app may do in Microsoft Graph, by the app's number, over and over.
GRANTED_ROLES = (
    ("User.Read.All",), ("Application.ReadWrite.All",), ("RoleManagement.ReadWrite.Directory", "Group.Read.All"),
    ("AppRoleAssignment.ReadWrite.All", "Mail.ReadWrite"), (), ("Mail.ReadWrite",), ("User.Read.All",),
    ("Group.Read.All",),
)  # fmt: skip
# Whoever is assigned to an app without a role of its own has this one.
DEFAULT_ACCESS = "00000000-0000-0000-0000-000000000000"


@lru_cache(maxsize=8)
def _roles_granted(apps: int, graph_app: int | None) -> list[tuple[int, str]]:
    """The app roles of Microsoft Graph that so many apps have: (the app's number, the role's name)."""
    return [(app, role) for app in range(apps) if app != graph_app for role in GRANTED_ROLES[app % len(GRANTED_ROLES)]]


def _app_role(state: State, owner: Owner, number: int) -> Entity:
    """In Microsoft Graph an app with a permission, in each other app a user with default access or with a role."""
    directory = state.of(Directory)
    if owner[0] == directory.graph_app:
        app, role = _roles_granted(directory.count("servicePrincipal"), directory.graph_app)[number]
        kind, principal, role_id = "ServicePrincipal", ("servicePrincipal", app), APP_ROLES[role]
    else:
        kind, principal = "User", ("user", number)
        role_id = Guids(state.seed, f"appRole/{owner[0]}")[number] if number else DEFAULT_ACCESS
    return {
        "appRoleId": role_id,
        "principalType": kind,
        "principalId": directory.ids[principal[0]][principal[1]],
        "principalDisplayName": directory.founded(principal)["displayName"],
        "resourceId": directory.ids["servicePrincipal"][owner[0]],
        "resourceDisplayName": directory.founded(("servicePrincipal", owner[0]))["displayName"],
    }


def _app_role_count(state: State, owner: Owner) -> int:
    graph_app = state.of(Directory).graph_app
    return len(_roles_granted(state.size.service_principals, graph_app)) if owner[0] == graph_app else owner[0] % 4


APP_ROLE_ASSIGNMENTS = Generated("appRoleAssignment", count=_app_role_count, own=_app_role)
ORGANIZATION = Generated("organization", count=lambda state, owner: 1)
# Every tenant has its initial domain: https://learn.microsoft.com/graph/api/resources/domain
DOMAINS = Generated(
    "domain",
    count=lambda state, owner: 3,
    own=lambda state, owner, number: {
        "id": (DOMAIN, "contoso.onmicrosoft.com", "mail.contoso.com")[number], "isInitial": number == 1,
        "isDefault": number == 0, "passwordValidityPeriodInDays": 2**31 - 1,
    },
)  # fmt: skip


@dataclass(frozen=True)
class Purchase:
    """A product that the tenant has licences of. `spare` is how many more are enabled than users have; where that is
    not what counts, `enabled` is how many are. Units of an expired subscription are in `warning`, and in time
    `suspended`.

    https://learn.microsoft.com/graph/api/resources/licenseunitsdetail
    """

    product: str
    spare: int = 0
    enabled: int | None = None
    warning: int = 0
    suspended: int = 0
    status: str = "Enabled"
    applies_to: str = "User"


PURCHASES = (
    Purchase("SPE_E5", spare=4),
    Purchase("ENTERPRISEPACK", suspended=3),
    # Fewer are paid than users have: the units in warning make up for it.
    Purchase("EMSPREMIUM", spare=-1, warning=6),
    Purchase("POWER_BI_PRO", enabled=0, warning=20, status="Warning"),
    Purchase("VISIOCLIENT", enabled=0, suspended=5, status="Suspended"),
    Purchase("FLOW_FREE", enabled=10_000),
    Purchase("SHAREPOINTSTORAGE", enabled=50, applies_to="Company"),
)


def _sku(state: State, owner: Owner, number: int) -> Entity:
    bought = PURCHASES[number]
    consumed = 0 if bought.applies_to == "Company" else state.of(Directory).licensed_users(bought.product)
    enabled = consumed + bought.spare if bought.enabled is None else bought.enabled
    return {
        "id": f"{state.tenant_id}_{SKUS[bought.product]}",
        "skuId": SKUS[bought.product],
        "skuPartNumber": bought.product,
        "appliesTo": bought.applies_to,
        "capabilityStatus": bought.status,
        "consumedUnits": consumed,
        "prepaidUnits": {
            "enabled": max(0, enabled), "suspended": bought.suspended, "warning": bought.warning, "lockedOut": 0,
        },
    }  # fmt: skip


SUBSCRIBED = Generated("subscribedSku", count=lambda state, owner: len(PURCHASES), own=_sku)
MANAGER = "manager($select=id)"
PER_KEYS = (RequestLimit(150, 60, when="keyCredentials"),)

ENDPOINTS: tuple[Endpoint, ...] = (
    directory_objects(
        "/users", "users", "user", (*USER_READ, "User.ReadBasic.All"), basic=(USER_READ, USER_BASIC),
        filters={
            "id": "eq in", "userType": "eq ne*", "accountEnabled": "eq ne*", "createdDateTime": "eq ne* ge le",
            "userPrincipalName": "eq in", "displayName": "eq", "department": "eq", "mail": "eq",
        },
        orders=BY_NAME | {"userPrincipalName": "asc desc"}, paging=Paging(100, 999, maxima={"signInActivity": 500}),
        arrange=_with_sign_ins, columns=_without_hidden_sign_ins,
        # Observed: https://github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/3189
        tracking=_tracked("user", USER_READ, untracked=("signInActivity",)),
        limits=(RequestLimit(10, 60, when="signInActivity"),), units=2, expands={MANAGER: _with_manager},
    ),
    PAGED(
        "/users", permissions=USER_READ, stream="user_manager", entities=_every("user"), expand=MANAGER,
        columns=_manager,
    ),
    GROUPS,
    directory_objects(
        "/applications", "applications", "application", APPLICATION_READ, entities=_certified("application"),
        filters={"id": "eq in", "appId": "eq in", "displayName": "eq"},
        tracking=_tracked("application", APPLICATION_READ), limits=PER_KEYS, units=2,
    ),
    PAGED(
        "/servicePrincipals/{servicePrincipal}/appRoleAssignedTo", permissions=APPLICATION_READ,
        type="appRoleAssignment", stream="app_role_assignments", entities=APP_ROLE_ASSIGNMENTS.entities, orders={},
    ),
    directory_objects(
        "/devices", "devices", "device", VISIBLE_BY["device"], tracking=_tracked("device", VISIBLE_BY["device"]),
    ),
    directory_objects(
        "/contacts", "org_contacts", "orgContact", VISIBLE_BY["orgContact"],
        tracking=_tracked("orgContact", VISIBLE_BY["orgContact"]),
    ),
    directory_objects(
        "/servicePrincipals", "service_principals", "servicePrincipal", APPLICATION_READ,
        entities=_certified("servicePrincipal"), filters={"id": "eq in", "appId": "eq in", "displayName": "eq"},
        tracking=_tracked("servicePrincipal", APPLICATION_READ), limits=PER_KEYS,
    ),
    members(
        "/groups/{group}/members", "group_member", (*GROUP_READ, "GroupMember.ReadBasic.All", "Group.ReadBasic.All"),
        entities=_listed("members"), mutations=partial(MemberMutations, relation="members"), units=3,
    ),
    members(
        "/servicePrincipals/{servicePrincipal}/memberOf", "group_member", APPLICATION_READ, inverse="group",
        entities=_related("groups_of_app", "servicePrincipal"), columns=_groups,
    ),
    members(
        "/groups/{group}/owners", "group_owner", GROUP_READ, entities=_listed("owners"),
        mutations=partial(MemberMutations, relation="owners"),
    ),
    members(
        "/servicePrincipals/{servicePrincipal}/ownedObjects", "group_owner", APPLICATION_READ, inverse="group",
        entities=_related("owned_by_app", "servicePrincipal"), columns=_groups, options="$select $top $filter",
    ),
    directory_objects(
        "/directoryRoles", "directory_roles", "directoryRole", ROLE_READ, IN_ONE_PAGE, placeholder="role",
        tracking=_tracked("directoryRole", ROLE_READ), mutations=partial(RoleMutations, kind="directoryRole"),
    ),
    directory_objects(
        "/directoryRoleTemplates", "directory_role_templates", "directoryRoleTemplate", ROLE_READ, IN_ONE_PAGE,
        mutations=Mutations,
    ),
    members(
        "/directoryRoles/{role}/members", "directory_role_member", ROLE_READ, IN_ONE_PAGE,
        entities=_related("role_members", "role"),
    ),
    IN_ONE_PAGE(
        "/organization", permissions=words("Organization.Read.All" + WRITERS), type="organization",
        stream="organization", options="$select", gate=_refuse_unknown_extensions,
        entities=lambda query: query.state.of(Extensions).extend(query, "organization", ORGANIZATION.entities(query)),
    ),
    IN_ONE_PAGE(
        "/domains", permissions=words("Domain.Read.All Directory.Read.All"), type="domain", stream="domains",
        entities=DOMAINS.entities, options="$select",
    ),
    IN_ONE_PAGE(
        "/subscribedSkus", permissions=words("Organization.Read.All LicenseAssignment.Read.All" + WRITERS),
        type="subscribedSku", stream="subscribed_skus", entities=SUBSCRIBED.entities, options="$select", units=3,
    ),
    directory_objects(
        "/directory/administrativeUnits", "administrative_units", "administrativeUnit", UNIT_READ,
        tracking=_tracked("administrativeUnit", UNIT_READ, lacking_in=(CHINA,)),
    ),
    members(
        "/directory/administrativeUnits/{administrativeUnit}/members", "administrative_unit_member", UNIT_READ,
        entities=_related("unit_members", "administrativeUnit"),
    ),
    Collection(
        "/directoryObjects/getAvailableExtensionProperties", DIRECTORY,
        words("Directory.Read.All Directory.ReadWrite.All"), method="POST", type="extensionProperty",
        entities=lambda query: query.state.of(Extensions).available(),
    ),
    PAGED(
        "/applications/{application}/extensionProperties", permissions=APPLICATION_READ, type="extensionProperty",
        entities=lambda query: query.state.of(Extensions).entities(query.ids["application"]), orders={},
    ),
    PAGED(
        "/schemaExtensions", permissions=words("Application.Read.All Application.ReadWrite.All"),
        type="schemaExtension", entities=lambda query: query.state.of(Extensions).schemas(), orders={},
    ),
    deleted(
        "deleted_users", "user", "User.Read.All", arrange=_with_sign_ins, columns=_without_hidden_sign_ins,
        limits=(RequestLimit(10, 60, when="signInActivity"),),
    ),
    deleted("deleted_groups", "group", "Group.Read.All"),
    deleted("deleted_applications", "application", "Application.Read.All"),
    SingleEntity("/users/{user}", DIRECTORY, USER_READ, "user", entity=_named("user")),
    SingleEntity("/groups/{group}", DIRECTORY, GROUP_READ, "group", entity=_named("group")),
)  # fmt: skip
