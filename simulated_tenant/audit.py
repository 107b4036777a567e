"""Entra's logs and its Conditional Access policies.

https://learn.microsoft.com/graph/api/resources/azure-ad-auditlog-overview
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from .endpoint import Call, Endpoint, Listing, Paging, Service, words
from .history import current
from .problems import problem
from .rows import Rows
from .shapes import EPOCH, Entity, Guids, Shape, moment

if TYPE_CHECKING:
    from .tenant import Tenant

OLDEST = timedelta(days=25)
SPAN = timedelta(days=20)
TWIN_EVERY = 5
LOGGED = {"signIn": "createdDateTime", "directoryAudit": "activityDateTime"}
# What Conditional Access made of a sign-in, and the error it ended with.
OUTCOMES = (("success", 0), ("notApplied", 0), ("failure", 53003))
ACTIVITIES = (("Add member to group", "GroupManagement"), ("Update user", "UserManagement"))


class Audit:
    """What happened in the tenant in the last weeks, and its Conditional Access policies."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.gaps = {kind: SPAN / max(self.founded(kind), 1) for kind in LOGGED}
        self.ids = {kind: Guids(tenant.seed, kind) for kind in (*LOGGED, "conditionalAccessPolicy")}
        self.shapes = {kind: Shape(kind, tenant.seed) for kind in self.ids}

    def _when(self, kind: str, number: int) -> str:
        """Two entries come at the very beginning of each day, and each fifth shares its moment with the one before: the
        bounds of a window must expect that, and all seven digits of a fraction.
        """
        when = self._evenly(kind, number)
        midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
        if midnight > self._evenly(kind, number - 2):
            return f"{midnight:%Y-%m-%dT%H:%M:%S}.0000000Z"
        twin = number % TWIN_EVERY == TWIN_EVERY - 1
        return self._when(kind, number - 1) if twin else self.precise(when)

    def _evenly(self, kind: str, number: int) -> datetime:
        return self.tenant.today - OLDEST + self.gaps[kind] * number

    @staticmethod
    def precise(when: datetime) -> str:
        return f"{when:%Y-%m-%dT%H:%M:%S.%f}5Z"

    def founded(self, kind: str) -> int:
        """How many entries a log has from the start."""
        size = self.tenant.size
        return {"signIn": size.sign_ins, "directoryAudit": size.directory_audits}[kind]

    def entry(self, kind: str, number: int) -> Entity:
        """An entry as it would have been from the start."""
        return self._sign_in(number) if kind == "signIn" else self._directory_audit(number)

    def log(self, kind: str) -> Rows:
        """The entries of a log, the newest first."""
        name = LOGGED[kind]
        rows = Rows(range(self.founded(kind)), partial(self.entry, kind), (name,), newest_first=True)
        return current(rows, self.tenant.histories.get(kind)).ordered(name, descending=True)

    def _sign_in(self, number: int) -> Entity:
        """The last fifth of the users never signs in: https://learn.microsoft.com/graph/api/signin-list"""
        person = self.tenant.directory.founded(("user", number % max(1, self.tenant.size.users * 4 // 5)))
        outcome, code = OUTCOMES[number % len(OUTCOMES)]
        own = {
            "id": self.ids["signIn"][number],
            "createdDateTime": self._when("signIn", number),
            "userId": person["id"],
            "userDisplayName": person["displayName"],
            "userPrincipalName": person["userPrincipalName"],
            "conditionalAccessStatus": outcome,
            "status": {"errorCode": code, "failureReason": "Other.", "additionalDetails": None},
        }
        return self.shapes["signIn"].entity(number, own)

    def _directory_audit(self, number: int) -> Entity:
        """https://learn.microsoft.com/graph/api/directoryaudit-list"""
        activity, category = ACTIVITIES[number % len(ACTIVITIES)]
        own = {
            "id": f"Directory_{self.ids['directoryAudit'][number]}_{number}",
            "activityDateTime": self._when("directoryAudit", number),
            "activityDisplayName": activity,
            "category": category,
        }
        return self.shapes["directoryAudit"].entity(number, own)

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
        rows=lambda call: call.tenant.audit.log("signIn"), paging=Paging(1000, 1000),
        orders={"createdDateTime": "asc desc"},
        filters={"createdDateTime": "eq ge le", **dict.fromkeys(words("id userId userPrincipalName appId"), "eq")},
    ),
    LOG(
        "/auditLogs/directoryAudits", permissions=words("AuditLog.Read.All Directory.Read.All"), type="directoryAudit",
        rows=lambda call: call.tenant.audit.log("directoryAudit"), paging=Paging(1000, 1000, minimum=10),
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
