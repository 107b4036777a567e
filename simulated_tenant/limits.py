"""How Microsoft's published limits are declared. throttling.py applies them.

https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .wire import Request

UNITS_SHOWN_FROM = 0.8


@dataclass(frozen=True)
class RequestLimit:
    """At most `amount` requests in `seconds`: in all, or for each value of the placeholder `per` in the path.

    It counts the requests whose query contains `when`. `retry_after` says whether a refusal names the wait.
    """

    amount: int
    seconds: float
    per: str = ""
    when: str = ""
    retry_after: bool = True


def per_second(amount: int, per: str = "") -> tuple[RequestLimit, RequestLimit]:
    """A limit of Teams' holds for a second, and five sixths of it for good. How that is measured is not documented."""
    return RequestLimit(amount, 1, per), RequestLimit(amount * 25, 30, per)


@dataclass(frozen=True)
class UnitsUsed:
    """The resource units of a workload at a request: how many there are, are left and return in a second."""

    amount: float
    left: float
    pace: float
    cost: int
    refused: bool
    scope: str

    @property
    def share(self) -> float:
        """How much of the units is used, 1 for all of them."""
        return (self.amount - self.left + (self.cost if self.refused else 0)) / self.amount


@dataclass(frozen=True)
class ResourceUnits:
    """A budget of resource units in `seconds`, by the number of users: (most users, units), the smallest first.

    `cost` says what a request costs to a path that is declared to cost so many units, 0 for a single entity.
    """

    seconds: float
    by_users: tuple[tuple[float, int], ...]
    cost: Callable[[Request, int], int]
    headers: Callable[[UnitsUsed], Mapping[str, str]]

    def amount(self, users: int) -> int:
        return next(units for most, units in self.by_users if users <= most)


def directory_cost(request: Request, units: int) -> int:
    """$select and a small page make a request cheaper, $expand makes it dearer, and one unit is the least."""
    options = dict(request.parameters())
    top = options.get("$top", "")
    small = top.isdecimal() and int(top) < 20
    return max(1, (units or 1) - ("$select" in options) + ("$expand" in options) - small)


def directory_headers(used: UnitsUsed) -> Mapping[str, str]:
    """What the request cost and, from four fifths on, how much is used.

    https://learn.microsoft.com/graph/throttling-limits#response-headers
    """
    headers = {"x-ms-resource-unit": str(used.cost)}
    if used.share >= UNITS_SHOWN_FROM:
        headers["x-ms-throttle-limit-percentage"] = f"{used.share:.2f}"
    if used.refused and used.left < used.cost:
        headers["x-ms-throttle-information"] = "ResourceUnitLimitExceeded"
        headers["x-ms-throttle-scope"] = used.scope
    return headers


def sharepoint_cost(request: Request, units: int) -> int:
    """A single entity and a delta query with a token cost one unit, any other list two, or more if it says so."""
    return 1 if dict(request.parameters()).get("token") or not units else max(2, units)


def sharepoint_headers(used: UnitsUsed) -> Mapping[str, str]:
    """Nothing up to four fifths, then how much is left."""
    return {} if used.share < UNITS_SHOWN_FROM else {
        "RateLimit-Limit": f"{used.amount:.0f}",
        "RateLimit-Remaining": str(int(used.left)),
        "RateLimit-Reset": str(math.ceil((used.amount - used.left) / used.pace)),
    }  # fmt: skip


DIRECTORY_UNITS = ResourceUnits(10, ((50, 3500), (500, 5000), (math.inf, 8000)), directory_cost, directory_headers)
# https://learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
SHAREPOINT_UNITS = ResourceUnits(
    60,
    ((1000, 1250), (5000, 2500), (15_000, 3750), (50_000, 5000), (math.inf, 6250)),
    sharepoint_cost,
    sharepoint_headers,
)
