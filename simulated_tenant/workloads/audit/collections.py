"""The collections of Entra's logs, of Conditional Access and of identity protection.

https://learn.microsoft.com/graph/api/resources/azure-ad-auditlog-overview
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from simulated_tenant.clouds import BLEU, CHINA, DELOS, GOVSG
from simulated_tenant.collection import Collection, Endpoint, Paging, Query, Workload, words
from simulated_tenant.entities import Entities
from simulated_tenant.generated import Generated, GrowingMutations, Owner, TimedMutations
from simulated_tenant.limits import RequestLimit
from simulated_tenant.problems import Problem, problem
from simulated_tenant.shapes import EPOCH, Entity, Guids, graph_time
from simulated_tenant.state import State
from simulated_tenant.workloads.audit.contents import Audit
from simulated_tenant.workloads.audit.mutations import LogMutations
from simulated_tenant.workloads.directory.contents import Directory

LOGS = Workload(
    "audit", denial=lambda query: problem("audit_denied"), lacking_in=(GOVSG,), limits=(RequestLimit(5, 10),)
)
CONDITIONAL_ACCESS = Workload(
    "policies",
    denial=lambda query: problem("policies_denied"),
    lacking_in=(BLEU, DELOS, GOVSG),
    limits=(RequestLimit(1, 1, retry_after=False),),
)
# One budget of requests for both: https://learn.microsoft.com/graph/throttling-limits#identity-protection-and-conditional-access-service-limits
IDENTITY_PROTECTION = replace(
    CONDITIONAL_ACCESS,
    lacking_in=(CHINA, GOVSG),
    oversized=lambda top, most: Problem(
        400, "BadRequest", f"Invalid page size specified: '{top}'. Must be between 1 and {most} inclusive."
    ),
)


def _premium(query: Query) -> None:
    """Sign-ins and registration details need Entra ID P1 or P2: https://learn.microsoft.com/graph/api/signin-list#permissions"""
    if not query.state.traits.premium:
        raise problem("sign_ins_not_premium")


def _protected(query: Query) -> None:
    """Identity protection needs Entra ID P2: https://learn.microsoft.com/entra/id-protection/overview-identity-protection#license-requirements"""
    if not query.state.traits.identity_protection:
        raise problem("not_licensed")


def _policy(state: State, owner: Owner, number: int) -> Entity:
    """A policy that was never changed has no modifiedDateTime."""
    return {
        "displayName": f"CA{number:03}: Require MFA",
        "createdDateTime": graph_time(EPOCH + timedelta(days=number)),
        "modifiedDateTime": graph_time(EPOCH + timedelta(days=90 + number)) if number % 2 else None,
        "deletedDateTime": None,
    }


# What people registered, and whether it is a second factor that policies let them use. A mail address is for the reset
# of a password alone: https://learn.microsoft.com/graph/api/resources/userregistrationdetails#properties
REGISTERED: tuple[tuple[tuple[str, ...], bool, bool], ...] = (
    (("microsoftAuthenticatorPush", "softwareOneTimePasscode"), True, True), ((), False, False),
    (("email",), False, False), (("mobilePhone", "email"), True, False), (("passKeyDeviceBound",), True, True),
)  # fmt: skip


def _registration(state: State, owner: Owner, number: int) -> Entity:
    """A row bears the id of its user; the times are those of the report, and people without a second method have an
    empty text for the preferred one."""
    person = state.of(Directory).founded(("user", number))
    methods, is_registered, is_capable = REGISTERED[number % len(REGISTERED)]
    return {
        "userPrincipalName": person["userPrincipalName"],
        "userDisplayName": person["displayName"],
        "userType": person["userType"].lower(),
        "lastUpdatedDateTime": f"{state.today:%Y-%m-%dT03:16:01}.7292271Z",
        "methodsRegistered": methods,
        "isMfaRegistered": is_registered,
        "isMfaCapable": is_capable,
        "isPasswordlessCapable": "passKeyDeviceBound" in methods,
        "isSsprRegistered": bool(methods),
        **({} if is_registered else {"userPreferredMethodForSecondaryAuthentication": ""}),
    }


def _location(state: State, owner: Owner, number: int) -> Entity:
    """Every other one is a list of countries, which has no isTrusted."""
    own = {"displayName": f"Location {number}", "deletedDateTime": None}
    if number % 2:
        countries = {"countriesAndRegions": ["AT", "DE"], "includeUnknownCountriesAndRegions": False}
        return own | countries | {
            "@odata.type": "#microsoft.graph.countryNamedLocation", "countryLookupMethod": "clientIpAddress",
        }  # fmt: skip
    ranges = [{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": f"203.0.113.{number}/32"}]
    return own | {"@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": number % 4 == 0, "ipRanges": ranges}


def _at_risk(state: State, owner: Owner, number: int) -> Entity:
    """A user at risk: the row bears the user's id, and stays where the user is gone, with isDeleted false."""
    return {
        "riskState": ("atRisk", "remediated", "dismissed")[number % 3],
        "isDeleted": False,
        "riskLastUpdatedDateTime": graph_time(EPOCH + timedelta(hours=2 * number)),
    }


def _detection(state: State, owner: Owner, number: int) -> Entity:
    """The time of the last change is later than that of the detection. The additional information is JSON in a text."""
    detected = EPOCH + timedelta(hours=number)
    return {
        "userId": _ids_of_users(state)[number % state.size.users],
        "detectedDateTime": graph_time(detected),
        "lastUpdatedDateTime": f"{graph_time(detected + timedelta(hours=number))[:-1]}.1234567Z",
        "additionalInfo": '[{"Key":"mitreTechniques","Value":"T1078"}]',
    }


def _provisioned(state: State, owner: Owner, number: int) -> Entity:
    """What an app's provisioning did, listed in no order of time. Where it went well there is no error."""
    app = Guids(state.seed, "servicePrincipal")[number % state.size.service_principals]
    went_well = {"provisioningStatusInfo": {"status": "success", "errorInformation": None}} if number % 3 else {}
    return went_well | {
        "activityDateTime": graph_time(EPOCH + timedelta(hours=number * 5 % 24)),
        "servicePrincipal": {"id": app, "displayName": f"Application {number % state.size.service_principals}"},
    }


def _ids_of_users(state: State) -> Guids:
    return state.of(Directory).ids["user"]


REGISTRATIONS = Generated(
    "userRegistrationDetails", count=lambda state, owner: state.size.users, own=_registration, ids=_ids_of_users
)


def _registrations(query: Query) -> Entities:
    """Those whose accounts are enabled: https://github.com/MicrosoftDocs/entra-docs/issues/878"""
    return REGISTRATIONS.entities(query).over(query.state.of(Directory).enabled_users())


LOCATIONS = Generated("namedLocation", count=lambda state, owner: state.size.named_locations, own=_location)
RISKY_USERS = Generated("riskyUser", count=lambda state, owner: state.size.risky_users, own=_at_risk, ids=_ids_of_users)
DETECTIONS = Generated("riskDetection", count=lambda state, owner: state.size.risk_detections, own=_detection)
PROVISIONING = Generated(
    "provisioningObjectSummary", count=lambda state, owner: state.size.provisioning_events, own=_provisioned
)
POLICIES = Generated("conditionalAccessPolicy", count=lambda state, owner: state.size.policies, own=_policy)


def _log(path: str, stream: str, kind: str, time: str, equal: str, minimum: int = 1) -> partial[Collection]:
    """A log, the newest entries first, that can be filtered by time."""
    return partial(
        Collection, path, LOGS, stream=stream, type=kind, entities=lambda query: query.state.of(Audit).log(kind),
        options="$select $top $filter $orderby $count", paging=Paging(1000, 1000, minimum=minimum),
        filters={time: "eq ge le", **dict.fromkeys(words(equal), "eq")}, orders={time: "asc desc"},
        mutations=partial(LogMutations, kind=kind, time=time),
    )  # fmt: skip


ENDPOINTS: tuple[Endpoint, ...] = (
    _log("/auditLogs/signIns", "audit_logs_signins", "signIn", "createdDateTime", "id userId userPrincipalName appId")(
        permissions=("AuditLog.Read.All",), gate=_premium
    ),
    _log(
        "/auditLogs/directoryAudits", "audit_logs_directory", "directoryAudit", "activityDateTime",
        "id category activityDisplayName", minimum=10,
    )(permissions=words("AuditLog.Read.All Directory.Read.All")),
    # It takes gt and lt and neither ge nor le, and nobody can rely on its $orderby, which nothing answers here.
    # Microsoft's pages request up to 500 entries at once.
    Collection(
        "/auditLogs/provisioning", LOGS, stream="audit_logs_provisioning", type="provisioningObjectSummary",
        permissions=words("AuditLog.Read.All ProvisioningLog.Read.All"), gate=_premium, entities=PROVISIONING.entities,
        paging=Paging(500, 500), options="$top $filter $orderby", filters={"activityDateTime": "gt lt"},
        mutations=partial(GrowingMutations, objects=PROVISIONING, time="activityDateTime"),
    ),
    Collection(
        "/identity/conditionalAccess/policies", CONDITIONAL_ACCESS, stream="conditional_access_policies",
        permissions=words("Policy.Read.All Policy.ReadWrite.ConditionalAccess"), type="conditionalAccessPolicy",
        entities=POLICIES.entities, paging=Paging(100, 1000, caps=True), options="$select $top $filter $orderby $count",
        filters={"displayName": "eq", "state": "eq"},
        orders={"displayName": "asc desc", "createdDateTime": "asc desc"},
    ),
    Collection(
        "/reports/authenticationMethods/userRegistrationDetails", LOGS, stream="user_registration_details",
        permissions=("AuditLog.Read.All",), type="userRegistrationDetails", gate=_premium,
        entities=_registrations, paging=Paging(999, 999), options="$select $top $filter $orderby",
    ),
    Collection(
        "/identity/conditionalAccess/namedLocations", CONDITIONAL_ACCESS, stream="named_locations",
        permissions=words("Policy.Read.All Policy.ReadWrite.ConditionalAccess"), type="namedLocation",
        kinds=("ipNamedLocation", "countryNamedLocation"), entities=LOCATIONS.entities,
    ),
    Collection(
        "/identityProtection/riskyUsers", IDENTITY_PROTECTION, stream="risky_users",
        permissions=("IdentityRiskyUser.Read.All",), type="riskyUser", gate=_protected,
        entities=RISKY_USERS.entities, paging=Paging(20, 500), options="$select $top $filter",
        filters={"riskLastUpdatedDateTime": "ge gt lt"},
        mutations=partial(
            TimedMutations, objects=RISKY_USERS, time="riskLastUpdatedDateTime", name="userDisplayName"
        ),
    ),
    Collection(
        "/identityProtection/riskDetections", IDENTITY_PROTECTION, stream="risk_detections",
        permissions=("IdentityRiskEvent.Read.All",), type="riskDetection", gate=_protected,
        entities=DETECTIONS.entities, paging=Paging(20, 500), options="$select $top $filter",
        filters={"lastUpdatedDateTime": "ge gt", "detectedDateTime": "ge gt le"},
        mutations=partial(TimedMutations, objects=DETECTIONS, time="lastUpdatedDateTime", name="userDisplayName"),
    ),
)  # fmt: skip
NOT_SIMULATED: tuple[str, ...] = ()
