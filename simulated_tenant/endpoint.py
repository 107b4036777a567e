"""How an endpoint of Graph is described, and what one call to it knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from . import graph_types
from .problems import Problem, problem
from .rows import Rows
from .shapes import Entity
from .wire import Request

if TYPE_CHECKING:
    from .delta import Feed
    from .tenant import Tenant, Traits

ANNOTATIONS = ("@odata.type", "@odata.etag")


def words(text: str) -> tuple[str, ...]:
    """The words of a table's cell."""
    return tuple(text.split())


@lru_cache(maxsize=64)
def _declared(type_name: str) -> frozenset[str]:
    return frozenset(graph_types.properties(type_name))


@dataclass(frozen=True)
class Paging:
    """Page sizes of a collection. With no default the whole collection comes in one reply and $top is refused.

    Above the maximum a service refuses, or gives the maximum: https://learn.microsoft.com/graph/paging
    """

    default: int = 0
    maximum: int = 0
    minimum: int = 1
    caps: bool = False
    by_preference: bool = False


@dataclass(frozen=True)
class Selection:
    """What a list shows of one type: without $select the default properties, or all but those on request.

    https://learn.microsoft.com/graph/query-parameters#select-parameter
    """

    default: tuple[str, ...] = ()
    on_request: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def show(self, selected: tuple[str, ...] | None) -> Callable[[Entity], Entity]:
        if selected is None and not self.default:
            return self._all_but_on_request
        names = [name.split("/")[0] for name in selected or self.default]
        if "content.downloadUrl" in names:
            names.append("@microsoft.graph.downloadUrl")
        wanted = (*ANNOTATIONS, *names)
        return lambda entity: {name: entity[name] for name in wanted if name in entity}

    def _all_but_on_request(self, entity: Entity) -> Entity:
        for name in self.on_request:
            entity.pop(name, None)
        return entity


@dataclass(frozen=True)
class Service:
    """One of the services behind Graph: how it denies, and what it answers to a query it can't serve."""

    name: str
    denial: Callable[[Call], Problem]
    gate: Callable[[Call], None] = lambda call: None
    missing: Callable[[str, str], Problem] = lambda name, text: Problem(404, "ResourceNotFound", f"No {name} '{text}'.")
    expired: Callable[[Call], Problem] = lambda call: problem("sync_state_not_found")
    resync: Callable[[Call], Problem] = lambda call: problem("sync_state_not_found")
    unsupported: Callable[[str], Problem] = lambda option: problem("option_unsupported", option)
    unfilterable: Callable[[str, str], Problem] = lambda name, kind: problem("filter_unsupported", name)
    oversized: Callable[[int, int], Problem] = lambda top, most: Problem(
        400,
        "BadRequest",
        f"The limit of '{most}' for Top query has been exceeded. The value from the incoming request is '{top}'.",
    )
    ignores_undeclared: bool = False
    advanced_queries: bool = False
    dollar: str = "$"


@dataclass(frozen=True)
class Endpoint:
    """A path of Graph v1.0, and the application permissions that open it; any one of them suffices.

    https://learn.microsoft.com/graph/permissions-reference
    """

    path: str
    service: Service
    permissions: tuple[str, ...]
    type: str = "directoryObject"
    gate: Callable[[Call], None] = lambda call: None


@dataclass(frozen=True)
class Single(Endpoint):
    """A path that answers with one entity."""

    entity: Callable[[Call], Entity] = lambda call: {}


@dataclass(frozen=True)
class Tracking:
    """How a collection tells what has changed in it.

    Tokens of one that `encodes` carry the query of the first request, and its links nothing else. `latest` says whether
    that word stands for a token, `takes_moments` whether a timestamp does. https://learn.microsoft.com/graph/delta-query-overview#state-tokens
    """

    feed: Callable[[Call], Feed]
    page_token: str = "$skiptoken"
    token: str = "$deltatoken"
    encodes: bool = True
    latest: bool = True
    takes_moments: bool = False
    lifetime: Callable[[Traits], float] = lambda traits: float("inf")
    repeats: Callable[[Traits], bool] = lambda traits: False
    stale: Callable[[Entity], Entity] = lambda entity: entity


@dataclass(frozen=True)
class Listing(Endpoint):
    """A path that answers with a collection. `options`, `filters` and `orders` hold what Graph takes, as words."""

    rows: Callable[[Call], Rows] = lambda call: Rows((), dict)
    paging: Paging = Paging()
    options: str = "$select"
    filters: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, str] = field(default_factory=dict)
    arrange: Callable[[Call, Listing, Rows], Rows] | None = None
    basic: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    counted: bool = False
    tracking: Tracking | None = None

    @property
    def page_token(self) -> str:
        return self.tracking.page_token if self.tracking else "$skiptoken"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The parameters that hold tokens."""
        return (self.page_token, self.tracking.token) if self.tracking else (self.page_token,)


@dataclass
class Call:
    """A request that has found its endpoint: who asks, for what, and with which options."""

    tenant: Tenant
    request: Request
    endpoint: Endpoint
    segments: Mapping[str, str]
    roles: frozenset[str]

    @cached_property
    def ids(self) -> Mapping[str, Any]:
        """The numbers of the objects named in the path; naming one that isn't there is a 404."""
        ids: dict[str, Any] = {}
        for name, text in self.segments.items():
            ids[name] = self.tenant.number(name, text, ids)
            if ids[name] is None:
                raise self.endpoint.service.missing(name, text)
        return ids

    @cached_property
    def options(self) -> dict[str, str]:
        """The query options, each at most once."""
        options: dict[str, str] = {}
        for name, value in self.request.parameters():
            if name in options:
                raise problem("option_repeated", name)
            options[name] = value
        return options

    @cached_property
    def preferences(self) -> frozenset[str]:
        """The Prefer header, which holds several preferences separated by commas."""
        text = self.request.headers.get("prefer", "")
        return frozenset(part.strip().replace('"', "").lower() for part in text.split(","))

    @property
    def immutable_ids(self) -> bool:
        return "idtype=immutableid" in self.preferences

    @property
    def selected(self) -> tuple[str, ...] | None:
        text = self.options.get("$select")
        return tuple(name.strip() for name in text.split(",") if name.strip()) if text else None

    @property
    def advanced(self) -> bool:
        """Whether the request asks for the advanced query engine: https://learn.microsoft.com/graph/aad-advanced-queries"""
        eventual = self.request.headers.get("consistencylevel", "").lower() == "eventual"
        return eventual and self.options.get("$count") == "true"

    def may(self, permissions: Collection[str]) -> bool:
        return not self.roles.isdisjoint(permissions)

    def check_options(self, allowed: Collection[str]) -> None:
        """A query option the endpoint lacks is refused; a parameter without a dollar sign means nothing to Graph."""
        for name in self.options:
            if name.startswith("$") and name not in allowed:
                raise self.endpoint.service.unsupported(name)
            if name in ("$search", "$expand"):
                raise problem("not_simulated", name)

    def check_selected(self, type_name: str, selection: Selection) -> None:
        """Another workload's properties fail the whole request; undeclared names are ignored by the directory, whose
        types are open, and refused elsewhere: https://learn.microsoft.com/graph/api/user-list#optional-query-parameters
        """
        service, traits = self.endpoint.service, self.tenant.traits
        for name in self.selected or ():
            if refusal := selection.refused.get(name):
                older = refusal == "not_in_sharepoint" and not traits.newer_sharepoint_refusal
                raise problem("not_in_a_list" if older else refusal, name)
            declared = name.split("/")[0] in _declared(type_name) or "." in name
            if not service.ignores_undeclared and not declared:
                raise problem("property_unknown", name)
