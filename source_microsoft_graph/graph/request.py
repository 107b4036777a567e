"""One request for a page of Graph's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from source_microsoft_graph.graph.rate_limits import Service


@dataclass(frozen=True, slots=True)
class Redirect:
    """That Graph answers with a redirect to a file. `objects` reads the objects of a page out of the file, and raises
    `ValueError` where it cannot; None says that it is enough to know that there is a file, which is not fetched."""

    objects: Callable[[bytes], list[dict[str, Any]]] | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The next page of a listing. `listing` is the caller's own and comes back with the response. `shrinkable` says
    that the same objects can be requested in smaller pages. `not_before` is a time of the clock's. `headers` are sent
    beside the usual ones. `part` is what of the service has limits of its own, `redirect` what to expect instead of a
    page, and `body` what a function that only reads takes in JSON; with one of the two the request is never one of a
    batch, and with a body it is a POST. `as_page` makes a page of a JSON object that is none, such as an object by
    itself, and gives whatever it cannot make one of as it is. `cost` is how much of the service's limit the request
    takes, where a usual request takes 1."""

    url: str
    service: Service
    shrinkable: bool = False
    listing: Any = None
    not_before: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    redirect: Redirect | None = None
    body: Mapping[str, Any] | None = None
    as_page: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    cost: float = 1.0
