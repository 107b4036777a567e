"""One request for a page of Graph's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from source_microsoft_graph.graph.rate_limits import Service


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The next page of a listing. `listing` is the caller's own and comes back with the response. `shrinkable` says
    that the same objects can be requested in smaller pages. `not_before` is a time of the clock's. `headers` are sent
    beside the usual ones. `body` is what a function that only reads takes in JSON; with one the request is a POST and
    stands in no batch."""

    url: str
    service: Service
    shrinkable: bool = False
    listing: Any = None
    not_before: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
