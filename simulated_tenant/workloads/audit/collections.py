"""The collections of Entra's logs and of its Conditional Access policies.

https://learn.microsoft.com/graph/api/resources/azure-ad-auditlog-overview
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from simulated_tenant.clouds import BLEU, DELOS, GOVSG
from simulated_tenant.collection import Collection, Endpoint, Paging, Query, Workload, words
from simulated_tenant.generated import Generated, Owner
from simulated_tenant.limits import RequestLimit
from simulated_tenant.problems import problem
from simulated_tenant.shapes import EPOCH, Entity, graph_time
from simulated_tenant.state import State
from simulated_tenant.workloads.audit.contents import Audit
from simulated_tenant.workloads.audit.mutations import LogMutations

LOGS = Workload(
    "audit", denial=lambda query: problem("audit_denied"), lacking_in=(GOVSG,), limits=(RequestLimit(5, 10),)
)
CONDITIONAL_ACCESS = Workload(
    "policies",
    denial=lambda query: problem("policies_denied"),
    lacking_in=(BLEU, DELOS, GOVSG),
    limits=(RequestLimit(1, 1, retry_after=False),),
)


def _premium(query: Query) -> None:
    """Sign-ins need Entra ID P1 or P2: https://learn.microsoft.com/graph/api/signin-list#permissions"""
    if not query.state.traits.premium:
        raise problem("sign_ins_not_premium")


def _policy(state: State, owner: Owner, number: int) -> Entity:
    """A policy that was never changed has no modifiedDateTime."""
    return {
        "displayName": f"CA{number:03}: Require MFA",
        "createdDateTime": graph_time(EPOCH + timedelta(days=number)),
        "modifiedDateTime": graph_time(EPOCH + timedelta(days=90 + number)) if number % 2 else None,
        "deletedDateTime": None,
    }


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
    Collection(
        "/identity/conditionalAccess/policies", CONDITIONAL_ACCESS, stream="conditional_access_policies",
        permissions=words("Policy.Read.All Policy.ReadWrite.ConditionalAccess"), type="conditionalAccessPolicy",
        entities=POLICIES.entities, paging=Paging(100, 1000, caps=True), options="$select $top $filter $orderby $count",
        filters={"displayName": "eq", "state": "eq"},
        orders={"displayName": "asc desc", "createdDateTime": "asc desc"},
    ),
)  # fmt: skip
NOT_SIMULATED: tuple[str, ...] = ()
