"""The collections of service communications: what Microsoft tells a tenant about its services.

https://learn.microsoft.com/graph/api/resources/service-communications-api-overview
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from simulated_tenant.clouds import GOVSG
from simulated_tenant.collection import Collection, Endpoint, Paging, Workload
from simulated_tenant.generated import Generated, Owner
from simulated_tenant.limits import RequestLimit
from simulated_tenant.problems import problem
from simulated_tenant.shapes import EPOCH, Entity, graph_time
from simulated_tenant.state import State

ANNOUNCEMENTS = Workload(
    "announcements",
    denial=lambda query: problem("announcements_denied"),
    lacking_in=(GOVSG,),
    # https://learn.microsoft.com/graph/throttling-limits#service-communications-service-limits
    limits=(RequestLimit(240, 60), RequestLimit(800, 3600)),
)


def _issue(state: State, owner: Owner, number: int) -> Entity:
    """An issue that is not resolved has no end. Posts have no ids, and their texts are HTML."""
    begun = EPOCH + timedelta(days=number)
    resolved = number % 3 != 0
    return {
        "id": f"EX{100_000 + number}",
        "title": f"Issue {number}",
        "startDateTime": graph_time(begun),
        "endDateTime": graph_time(begun + timedelta(hours=9)) if resolved else None,
        "isResolved": resolved,
        "status": "serviceRestored" if resolved else "serviceDegradation",
        "posts": [
            {
                "createdDateTime": f"{graph_time(begun + timedelta(hours=hour))[:-1]}.97Z",
                "postType": "regular",
                "description": {"contentType": "html", "content": f"<p>Update {hour} of issue {number}</p>"},
            }
            for hour in range(1 + number % 4)
        ],
    }


def _message(state: State, owner: Owner, number: int) -> Entity:
    """Few messages ask for something by a date, and an app has no view of them."""
    return {
        "id": f"MC{100_000 + number}",
        "title": f"Change {number}",
        "lastModifiedDateTime": graph_time(EPOCH + timedelta(days=number)),
        "actionRequiredByDateTime": graph_time(EPOCH + timedelta(days=90 + number)) if number % 5 == 0 else None,
        "body": {"contentType": "html", "content": f"<p>We are about to change {number}.</p>"},
        "viewPoint": None,
    }


ISSUES = Generated("serviceHealthIssue", count=lambda state, owner: state.size.health_issues, own=_issue)
MESSAGES = Generated("serviceUpdateMessage", count=lambda state, owner: state.size.service_messages, own=_message)

# No filter of either list goes by a time, so a reader gets the whole history each time.
_list = partial(Collection, workload=ANNOUNCEMENTS, options="", paging=Paging(100, 1000, by_preference=True))

ENDPOINTS: tuple[Endpoint, ...] = (
    _list(
        "/admin/serviceAnnouncement/issues", stream="service_health_issues", permissions=("ServiceHealth.Read.All",),
        type="serviceHealthIssue", entities=ISSUES.entities,
    ),
    _list(
        "/admin/serviceAnnouncement/messages", stream="service_update_messages",
        permissions=("ServiceMessage.Read.All",), type="serviceUpdateMessage", entities=MESSAGES.entities,
    ),
)  # fmt: skip
NOT_SIMULATED: tuple[str, ...] = ()
