"""Entra's logs and its Conditional Access policies.

https://learn.microsoft.com/graph/api/resources/azure-ad-auditlog-overview
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from .endpoint import Call, Endpoint, Listing, Paging, Service, words
from .problems import problem
from .rows import Rows
from .shapes import EPOCH, Entity, Guids, Shape, moment

if TYPE_CHECKING:
    from .tenant import Tenant

OLDEST = timedelta(days=25)
SPAN = timedelta(days=20)
TWIN_EVERY = 5
ACTIVITIES = (("Add member to group", "GroupManagement"), ("Update user", "UserManagement"))


class Audit:
    """What happened in the tenant in the last weeks, and its Conditional Access policies."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        counts = {"signIn": tenant.size.sign_ins, "directoryAudit": tenant.size.directory_audits}
        self.gaps = {kind: SPAN / max(count, 1) for kind, count in counts.items()}
        self.ids = {kind: Guids(tenant.seed, kind) for kind in (*counts, "conditionalAccessPolicy")}
        self.shapes = {kind: Shape(kind, tenant.seed) for kind in self.ids}

    def _when(self, kind: str, number: int) -> str:
        """Each fifth entry shares its moment with the one before: the bounds of a window must expect that."""
        twin = number % TWIN_EVERY == TWIN_EVERY - 1
        when = self.tenant.today - OLDEST + self.gaps[kind] * (number - twin)
        return f"{when:%Y-%m-%dT%H:%M:%S.%f}5Z"

    def sign_ins(self) -> Rows:
        """The newest first: https://learn.microsoft.com/graph/api/signin-list"""
        directory = self.tenant.directory

        def make(number: int) -> Entity:
            person = directory.object(("user", number % self.tenant.size.users))
            own = {
                "id": self.ids["signIn"][number],
                "createdDateTime": self._when("signIn", number),
                "userId": person["id"],
                "userDisplayName": person["displayName"],
                "userPrincipalName": person["userPrincipalName"],
            }
            return self.shapes["signIn"].entity(number, own)

        return Rows(range(self.tenant.size.sign_ins), make, ("createdDateTime",), newest_first=True)

    def directory_audits(self) -> Rows:
        """The newest first: https://learn.microsoft.com/graph/api/directoryaudit-list"""

        def make(number: int) -> Entity:
            activity, category = ACTIVITIES[number % len(ACTIVITIES)]
            own = {
                "id": f"Directory_{self.ids['directoryAudit'][number]}_{number}",
                "activityDateTime": self._when("directoryAudit", number),
                "activityDisplayName": activity,
                "category": category,
            }
            return self.shapes["directoryAudit"].entity(number, own)

        return Rows(range(self.tenant.size.directory_audits), make, ("activityDateTime",), newest_first=True)

    def policies(self) -> Rows:
        """A policy that was never changed has no modifiedDateTime."""

        def make(number: int) -> Entity:
            own = {
                "id": self.ids["conditionalAccessPolicy"][number],
                "displayName": f"CA{number:03}: Require MFA",
                "createdDateTime": moment(EPOCH + timedelta(days=number)),
                "modifiedDateTime": moment(EPOCH + timedelta(days=90 + number)) if number % 2 else None,
                "deletedDateTime": None,
            }
            return self.shapes["conditionalAccessPolicy"].entity(number, own)

        return Rows(range(self.tenant.size.policies), make)


# --- How they answer ---

LOGS = Service("audit", denial=lambda call: problem("audit_denied"))
POLICIES = Service("policies", denial=lambda call: problem("policies_denied"))


def _premium(call: Call) -> None:
    """Sign-ins need Entra ID P1 or P2: https://learn.microsoft.com/graph/api/signin-list#permissions"""
    if not call.tenant.traits.premium:
        raise problem("sign_ins_not_premium")


LOG = partial(Listing, service=LOGS, options="$select $top $filter $orderby $count")

ENDPOINTS: tuple[Endpoint, ...] = (
    LOG(
        "/auditLogs/signIns", permissions=("AuditLog.Read.All",), gate=_premium, type="signIn",
        rows=lambda call: call.tenant.audit.sign_ins(), paging=Paging(1000, 1000),
        orders={"createdDateTime": "asc desc"},
        filters={"createdDateTime": "eq ge le", **dict.fromkeys(words("id userId userPrincipalName appId"), "eq")},
    ),
    LOG(
        "/auditLogs/directoryAudits", permissions=words("AuditLog.Read.All Directory.Read.All"), type="directoryAudit",
        rows=lambda call: call.tenant.audit.directory_audits(), paging=Paging(1000, 1000, minimum=10),
        orders={"activityDateTime": "asc desc"},
        filters={"activityDateTime": "eq ge le", **dict.fromkeys(words("id category activityDisplayName"), "eq")},
    ),
    Listing(
        "/identity/conditionalAccess/policies", POLICIES, words("Policy.Read.All Policy.ReadWrite.ConditionalAccess"),
        "conditionalAccessPolicy", rows=lambda call: call.tenant.audit.policies(), paging=Paging(100, 1000, caps=True),
        options="$select $top $filter $orderby $count", filters={"displayName": "eq", "state": "eq"},
        orders={"displayName": "asc desc", "createdDateTime": "asc desc"},
    ),
)  # fmt: skip
