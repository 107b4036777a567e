"""Entra's logs of sign-ins and of changes in the directory.

https://learn.microsoft.com/graph/api/resources/azure-ad-auditlog-overview
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from simulated_tenant.entities import Entities
from simulated_tenant.history import current
from simulated_tenant.shapes import Entity, Guids, Shape
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import Directory

OLDEST = timedelta(days=25)
SPAN = timedelta(days=20)
TWIN_EVERY = 5
LOGGED = {"signIn": "createdDateTime", "directoryAudit": "activityDateTime"}
# What Conditional Access made of a sign-in, and the error it ended with.
OUTCOMES = (("success", 0), ("notApplied", 0), ("failure", 53003))
ACTIVITIES = (("Add member to group", "GroupManagement"), ("Update user", "UserManagement"))


class Audit:
    """What happened in the tenant in the last weeks."""

    def __init__(self, state: State) -> None:
        self.state, self.directory = state, state.of(Directory)
        self.gaps = {kind: SPAN / max(self.founded(kind), 1) for kind in LOGGED}
        self.ids = {kind: Guids(state.seed, kind) for kind in LOGGED}
        self.shapes = {kind: Shape(kind, state.seed) for kind in self.ids}

    def _when(self, kind: str, number: int) -> str:
        """Two entries come at the very beginning of each day, and each fifth has the time of the one before: the
        bounds of a window must expect that, and all seven digits of a fraction.
        """
        when = self._evenly(kind, number)
        midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
        if midnight > self._evenly(kind, number - 2):
            return f"{midnight:%Y-%m-%dT%H:%M:%S}.0000000Z"
        twin = number % TWIN_EVERY == TWIN_EVERY - 1
        return self._when(kind, number - 1) if twin else self.precise(when)

    def _evenly(self, kind: str, number: int) -> datetime:
        return self.state.today - OLDEST + self.gaps[kind] * number

    @staticmethod
    def precise(when: datetime) -> str:
        return f"{when:%Y-%m-%dT%H:%M:%S.%f}5Z"

    def founded(self, kind: str) -> int:
        """How many entries a log has from the start."""
        size = self.state.size
        return {"signIn": size.sign_ins, "directoryAudit": size.directory_audits}[kind]

    def entry(self, kind: str, number: int) -> Entity:
        """An entry as it would have been from the start."""
        return self._sign_in(number) if kind == "signIn" else self._directory_audit(number)

    def log(self, kind: str) -> Entities:
        """The entries of a log, the newest first."""
        name = LOGGED[kind]
        founded = Entities(range(self.founded(kind)), partial(self.entry, kind), (name,), newest_first=True)
        return current(founded, self.state.histories.get(kind)).ordered(name, descending=True)

    def _sign_in(self, number: int) -> Entity:
        """The last fifth of the users never signs in: https://learn.microsoft.com/graph/api/signin-list"""
        person = self.directory.founded(("user", number % max(1, self.state.size.users * 4 // 5)))
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
