"""Who may do what in the directory: roles, their assignments, consents, and who owns apps.

https://learn.microsoft.com/graph/api/resources/rolemanagement
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from simulated_tenant.clouds import DELOS, GOVSG
from simulated_tenant.collection import Collection, Endpoint, Paging, Query, words
from simulated_tenant.entities import Entities
from simulated_tenant.generated import Generated, Owner
from simulated_tenant.problems import problem
from simulated_tenant.shapes import Entity, Guids
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.collections import DIRECTORY, IN_ONE_PAGE, PAGED, members
from simulated_tenant.workloads.directory.contents import APPLICATION_READ, ROLE_READ, ROLES, WRITERS, Directory

NOT_SIMULATED: tuple[str, ...] = ()


# Of the same ids in every tenant: https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference
BUILT_IN = {
    "Global": "62e90394-69f5-4237-9190-012177145e10", "User": "fe930be7-5e62-47db-91af-98c3a49a38b1",
    "Exchange": "29232cdf-9323-42fd-ade2-1d097af3e4de", "Application": "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
    "Teams": "69091246-20e8-4a56-aa4d-066075b2a7a8", "Security": "194ae4cb-b126-40b2-bd5b-6091b380977d",
    "Helpdesk": "729827e3-9c14-49f7-bb1b-9608f156bbb8", "Billing": "b0f54661-2d74-4c50-afa3-1ec803f12efe",
    "License": "4d6ac14f-3453-41d0-bef9-a3e0c569773a", "Intune": "3a2c62db-5318-420d-8d74-23affee5d9d5",
    "Printer": "644ef478-e28f-4e28-b9dc-3fdde9aa0b1f",
}  # fmt: skip


def _definition_id(state: State, number: int) -> str:
    """The last role is the tenant's own."""
    return BUILT_IN.get(ROLES[number]) or Guids(state.seed, "unifiedRoleDefinition")[number]


def _definition(state: State, owner: Owner, number: int) -> Entity:
    identifier = _definition_id(state, number)
    return {
        "id": identifier,
        "templateId": identifier,
        "displayName": f"{ROLES[number]} Administrator",
        "isBuiltIn": ROLES[number] in BUILT_IN,
    }


# Who has which role: a kind of principal, its number, and the role.
HELD = (
    ("user", 0, "Global"), ("group", 1, "User"), ("servicePrincipal", 2, "Exchange"), ("user", 3, "Teams"),
    ("group", 7, "Application"), ("servicePrincipal", 5, "Security"), ("user", 6, "Helpdesk"), ("group", 4, "Groups"),
    ("servicePrincipal", 8, "License"), ("servicePrincipal", 15, "Global"), ("user", 4, "Printer"),
    ("servicePrincipal", 11, "Global"),
)  # fmt: skip


def _assignment(state: State, owner: Owner, number: int) -> Entity:
    """The role of a principal, in each third case within an administrative unit alone, but not in the first."""
    directory = state.of(Directory)
    kind, principal, role = HELD[number]
    units = directory.count("administrativeUnit")
    limited = units and number and number % 3 == 0
    unit = directory.ids["administrativeUnit"][number % units] if limited else None
    return {
        "principalId": directory.ids[kind][principal % (directory.count(kind) or 1)],
        "roleDefinitionId": _definition_id(state, ROLES.index(role)),
        "directoryScopeId": f"/administrativeUnits/{unit}" if unit else "/",
    }


DEFINITIONS = Generated("unifiedRoleDefinition", count=lambda state, owner: len(ROLES), own=_definition)
ASSIGNMENTS = Generated("unifiedRoleAssignment", count=lambda state, owner: len(HELD), own=_assignment)


def _grant(state: State, owner: Owner, number: int) -> Entity:
    """Each third consent is for all users."""
    directory = state.of(Directory)
    apps, everybody = directory.count("servicePrincipal") or 1, number % 3 == 2
    return {
        "clientId": directory.ids["servicePrincipal"][number % apps],
        "resourceId": directory.ids["servicePrincipal"][0],
        "consentType": "AllPrincipals" if everybody else "Principal",
        "principalId": None if everybody else directory.ids["user"][number % (directory.count("user") or 1)],
        "scope": " User.Read offline_access",
    }


def _owners(kind: str) -> Callable[[Query], Entities]:
    def entities(query: Query) -> Entities:
        directory = query.state.of(Directory)
        return Entities(
            directory.app_owners(kind, query.ids[kind]), lambda owner: directory.visible(owner, query.roles)
        )

    return entities


GRANTED = Generated("oAuth2PermissionGrant", count=lambda state, owner: 12, own=_grant)
ELIGIBILITIES = Generated("unifiedRoleEligibilitySchedule", count=lambda state, owner: 7, own=_assignment)
SCHEDULES = Generated("unifiedRoleAssignmentSchedule", count=lambda state, owner: 8, own=_assignment)


def _governed(query: Query) -> None:
    """Schedules need Entra ID P2 or Governance: https://learn.microsoft.com/entra/id-governance/licensing-fundamentals"""
    if not query.state.traits.governance:
        raise problem("roles_not_governed")


# The documents name no $top: https://learn.microsoft.com/graph/api/rbacapplication-list-roleeligibilityschedules
SCHEDULED = partial(
    Collection, workload=DIRECTORY, gate=_governed, options="$select $filter $expand", paging=Paging(100),
    filters={"principalId": "eq", "roleDefinitionId": "eq"}, lacking_in=(DELOS, GOVSG),
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (
    # Observed: any $top is refused, and every role comes in one page.
    IN_ONE_PAGE(
        "/roleManagement/directory/roleDefinitions",
        permissions=words("RoleManagement.Read.Directory RoleManagement.Read.All" + WRITERS),
        type="unifiedRoleDefinition", stream="role_definitions", entities=DEFINITIONS.entities,
        options="$select $filter $expand", filters={"id": "eq", "displayName": "eq", "isBuiltIn": "eq"},
    ),
    PAGED(
        "/roleManagement/directory/roleAssignments", permissions=ROLE_READ, type="unifiedRoleAssignment",
        stream="role_assignments", entities=ASSIGNMENTS.entities, options="$select $top $filter $expand", orders={},
        filters={"principalId": "eq", "roleDefinitionId": "eq"},
    ),
    SCHEDULED(
        "/roleManagement/directory/roleEligibilitySchedules",
        permissions=words(
            "RoleEligibilitySchedule.Read.Directory RoleManagement.Read.All RoleManagement.Read.Directory "
            "RoleEligibilitySchedule.ReadWrite.Directory"
        ),
        granted="RoleManagement.Read.Directory", type="unifiedRoleEligibilitySchedule",
        stream="role_eligibility_schedules", entities=ELIGIBILITIES.entities,
    ),
    SCHEDULED(
        "/roleManagement/directory/roleAssignmentSchedules",
        permissions=words(
            "RoleAssignmentSchedule.Read.Directory RoleManagement.Read.All RoleManagement.Read.Directory"
        ),
        granted="RoleManagement.Read.Directory", type="unifiedRoleAssignmentSchedule",
        stream="role_assignment_schedules", entities=SCHEDULES.entities,
    ),
    # Directory.Read.All would do for most other collections too, so a tenant grants what does for this one alone.
    # Observed: https://github.com/microsoftgraph/msgraph-sdk-powershell/issues/2469
    PAGED(
        "/oauth2PermissionGrants", permissions=words("DelegatedPermissionGrant.ReadWrite.All" + WRITERS),
        type="oAuth2PermissionGrant", stream="oauth2_permission_grants", entities=GRANTED.entities, orders={},
        options="$select $top $filter $count", filters={"clientId": "eq", "principalId": "eq"}, units=2,
        whole="$top=999&$count=true",
    ),
    members(
        "/applications/{application}/owners", "application_owner", APPLICATION_READ, entities=_owners("application"),
    ),
    members(
        "/servicePrincipals/{servicePrincipal}/owners", "service_principal_owner", APPLICATION_READ,
        entities=_owners("servicePrincipal"),
    ),
)  # fmt: skip
