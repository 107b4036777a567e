"""The collections of Microsoft Defender and of Microsoft Secure Score.

https://learn.microsoft.com/graph/api/resources/security-api-overview
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from simulated_tenant.clouds import BLEU, CHINA, DELOS, GOVSG
from simulated_tenant.collection import Call, Collection, Endpoint, Paging, Query, Workload, words
from simulated_tenant.generated import Generated, Owner, TimedMutations
from simulated_tenant.limits import RequestLimit
from simulated_tenant.problems import problem
from simulated_tenant.shapes import EPOCH, Entity, graph_time
from simulated_tenant.state import State


def _provisioned(query: Query) -> None:
    """Alerts and incidents need Microsoft Defender."""
    if not query.state.traits.defender:
        raise problem("not_provisioned")


SECURITY = Workload(
    "security",
    denial=lambda query: problem("security_denied"),
    gate=_provisioned,
    lacking_in=(CHINA, BLEU, DELOS, GOVSG),
    limits=(RequestLimit(150, 60),),
)
# A tenant has a score without Defender too.
SECURE_SCORE = replace(SECURITY, gate=lambda query: None, limits=(*SECURITY.limits, RequestLimit(10_000, 600)))


def _incident(state: State, owner: Owner, number: int) -> Entity:
    """Some came before all windows of a reader, some in the last weeks."""
    old = number < state.size.incidents // 2
    changed = EPOCH + timedelta(hours=number) if old else state.today - timedelta(days=5 * number)
    return {
        "displayName": f"Incident {number}",
        "lastUpdateDateTime": graph_time(changed),
        "status": ("active", "resolved", "redirected")[number % 3],
    }


def _alert(state: State, owner: Owner, number: int) -> Entity:
    """Three alerts an incident. Evidence is of many types, and fractions of seconds have up to seven digits."""
    incident = number // 3
    changed = str(_incident(state, owner, incident)["lastUpdateDateTime"]).removesuffix("Z")
    return {
        "title": f"Alert {number}",
        "incidentId": INCIDENTS.id_of(state, incident),
        "lastUpdateDateTime": f"{changed}{('', '.5', '.1234567')[number % 3]}Z",
        "additionalData": {},
        "customDetails": {},
        "evidence": [
            {
                "@odata.type": "#microsoft.graph.security.deviceEvidence",
                "createdDateTime": graph_time(EPOCH),
                "verdict": "suspicious",
                "roles": [],
                "tags": [],
                "mdeDeviceId": "73e7e2de709dff64ef64b1d0c30e67fab63279db",
            },
            {
                "@odata.type": "#microsoft.graph.security.processEvidence",
                "processId": 4780,
                "detectionStatus": "detected",
            },
        ],
    }


def _score(state: State, owner: Owner, number: int) -> Entity:
    """One a day. What each control adds to it has properties that no type declares, and numbers as texts."""
    return {
        "createdDateTime": graph_time(EPOCH + timedelta(days=number)),
        "currentScore": 387.0 + number,
        "controlScores": [
            {
                "controlCategory": "Identity",
                "controlName": name,
                "description": f"Control {name}",
                "score": score,
                "scoreInPercentage": 10 * score,
                "implementationStatus": f"You have {count} of 5 users.",
                "count": str(count),
                "total": "5",
            }
            for name, score, count in (("AdminMFAV2", 10.0, 5), ("BlockLegacyAuthentication", 2.5, 1))
        ],
    }


def _profile(state: State, owner: Owner, number: int) -> Entity:
    """Its id is a name, by which scores name the control."""
    return {"id": f"Control{number}", "controlCategory": ("Identity", "Data", "Apps")[number % 3]}


def _follows_links(query: Query) -> None:
    if not isinstance(query, Call) or not query.state.traits.refuses_sized_links:
        return
    if {"$top", "$skiptoken"} <= query.options.keys():
        raise problem("skip_token_refused")


class ScoreMutations(TimedMutations):
    """A score has no text: what is edited is computed again."""

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        super().edit(key, **(properties or {"currentScore": 400.0}))


INCIDENTS = Generated("security.incident", count=lambda state, owner: state.size.incidents, own=_incident)
ALERTS = Generated("security.alert", count=lambda state, owner: 3 * state.size.incidents, own=_alert)
SCORES = Generated("secureScore", count=lambda state, owner: state.size.secure_scores, own=_score)
PROFILES = Generated(
    "secureScoreControlProfile", count=lambda state, owner: state.size.secure_score_controls, own=_profile
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Collection(
        "/security/alerts_v2", SECURITY, stream="security_alerts",
        permissions=words("SecurityAlert.Read.All SecurityAlert.ReadWrite.All"), type="security.alert",
        entities=ALERTS.entities, paging=Paging(100, 1000, caps=True), options="$top $filter $count $orderby",
        filters={"lastUpdateDateTime": "ge le", "createdDateTime": "ge le"}, orders={"lastUpdateDateTime": "asc"},
        mutations=partial(TimedMutations, objects=ALERTS, time="lastUpdateDateTime", name="title"),
    ),
    Collection(
        "/security/incidents", SECURITY, stream="security_incidents",
        permissions=words("SecurityIncident.Read.All SecurityIncident.ReadWrite.All"), type="security.incident",
        entities=INCIDENTS.entities, paging=Paging(50, 50), options="$top $filter $count",
        filters={"lastUpdateDateTime": "gt lt ge le", "createdDateTime": "gt lt ge le"},
        mutations=partial(TimedMutations, objects=INCIDENTS, time="lastUpdateDateTime", name="displayName"),
    ),
    Collection(
        "/security/secureScores", SECURE_SCORE, stream="secure_scores",
        permissions=words("SecurityEvents.Read.All SecurityEvents.ReadWrite.All"), type="secureScore",
        entities=SCORES.entities, paging=Paging(100, 1000, caps=True), options="$top $filter $count $skip",
        filters={"createdDateTime": "eq ge le"},
        mutations=partial(ScoreMutations, objects=SCORES, time="createdDateTime", name=""),
    ),
    Collection(
        "/security/secureScoreControlProfiles", SECURE_SCORE, stream="secure_score_control_profiles",
        permissions=words("SecurityEvents.Read.All SecurityEvents.ReadWrite.All"), type="secureScoreControlProfile",
        gate=_follows_links, entities=PROFILES.entities, paging=Paging(100, 1000, caps=True),
        options="$top $filter $count $skip",
    ),
)  # fmt: skip
NOT_SIMULATED: tuple[str, ...] = ()
