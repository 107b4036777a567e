"""How a collection of Graph is declared, and what is known of one request to it.

A collection is one declaration. The routes, the expected contents, the entity type of each stream, the permissions that
a tenant grants, what other clouds lack and the published limits all follow from these declarations (catalogue.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from collections.abc import Collection as Container
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, reduce
from operator import getitem
from typing import Any

from . import graph_types
from .changes import ChangeFeed
from .entities import Entities
from .limits import RequestLimit, ResourceUnits
from .mutations import Mutations
from .problems import Problem, problem
from .shapes import Entity
from .size import Size, Traits
from .state import State
from .wire import Request

ANNOTATIONS = ("@odata.type", "@odata.etag")


def words(text: str) -> tuple[str, ...]:
    """The words of a declaration."""
    return tuple(text.split())


@lru_cache(maxsize=64)
def _declared(type_name: str) -> frozenset[str]:
    return frozenset(graph_types.properties(type_name))


@dataclass(frozen=True)
class Paging:
    """Page sizes of a collection. With no default the whole collection comes in one reply and $top is refused.

    Above the maximum a workload refuses, or gives the maximum (`caps`): https://learn.microsoft.com/graph/paging
    `maxima` holds lower maxima, which always cap, for requests that select one of these properties.
    """

    default: int = 0
    maximum: int = 0
    minimum: int = 1
    caps: bool = False
    by_preference: bool = False
    maxima: Mapping[str, int] = field(default_factory=dict)


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
class Workload:
    """One of the services behind Graph: how it denies, and how it refuses a query that it can't serve.

    `lacking_in` names the Graph hosts of the clouds that do not have it. `trouble` says which objects of a new tenant
    it refuses and why, by area. `limits` and `units` hold for all its requests, `at_once` for those to one mailbox.
    """

    name: str
    denial: Callable[[Query], Problem]
    gate: Callable[[Query], None] = lambda query: None
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
    immutable_ids: bool = False
    dollar: str = "$"
    lacking_in: tuple[str, ...] = ()
    trouble: Callable[[Size], Mapping[str, Mapping[Any, str]]] = lambda size: {}
    limits: tuple[RequestLimit, ...] = ()
    units: ResourceUnits | None = None
    at_once: int = 0


@dataclass(frozen=True)
class Endpoint:
    """A path of Graph v1.0, and the application permissions that open it; any one of them suffices.

    A placeholder in braces stands for the id of an object: a number below the path's other placeholders. Without
    permissions Graph has the path, and the simulation says that it can't answer. `kinds` are the types of the entities
    in a collection of directory objects. `method` is POST for a function that only reads but takes a body.
    https://learn.microsoft.com/graph/permissions-reference
    """

    path: str
    workload: Workload
    permissions: tuple[str, ...] = ()
    type: str = "directoryObject"
    kinds: tuple[str, ...] = ()
    gate: Callable[[Query], None] = lambda query: None
    limits: tuple[RequestLimit, ...] = ()
    units: int = 0
    lacking_in: tuple[str, ...] = ()
    method: str = "GET"

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        return tuple(segment[1:-1] for segment in self.path.split("/") if segment.startswith("{"))


@dataclass(frozen=True)
class SingleEntity(Endpoint):
    """A path that answers with one entity."""

    entity: Callable[[Query], Entity] = lambda query: {}


@dataclass(frozen=True)
class Tracking:
    """How a collection reports what has changed in it, at `path` below its own path; "" if that is its only answer.

    `options`, `paging` and `permissions` are those of the delta query, where they differ from the list's. Tokens of one
    that `encodes` carry the query of the first request, and its links nothing else. `latest` says whether that word
    stands for a token, `takes_timestamps` whether a timestamp does. `lacking_in` names the Graph hosts that
    have the list and not the delta query. https://learn.microsoft.com/graph/delta-query-overview#state-tokens
    """

    feed: Callable[[Call, Entities], ChangeFeed]
    path: str = "/delta"
    options: str = "$select"
    paging: Paging | None = None
    permissions: tuple[str, ...] = ()
    page_token: str = "$skiptoken"
    token: str = "$deltatoken"
    encodes: bool = True
    latest: bool = True
    takes_timestamps: bool = False
    lifetime: Callable[[Traits], float] = lambda traits: float("inf")
    repeats: Callable[[Traits], bool] = lambda traits: False
    stale: Callable[[Entity], Entity] = lambda entity: entity
    lacking_in: tuple[str, ...] = ()


# From the state, the numbers of the placeholders before this one, and the id in the path: the number, or None.
Finder = Callable[[State, Mapping[str, Any], str], Any]


@dataclass(frozen=True)
class Collection(Endpoint):
    """A path that answers with a collection.

    What it holds: `entities`. `options`, `filters` and `orders` hold what Graph takes, as words,
    and `expandable` the navigation properties that entities have under $expand. `selection` is what a
    list shows of the type, `basic` what it shows without the first permissions, and `tracking` how it reports
    changes.

    `expands` says what comes with each entity for an $expand of these words.

    `whole` is the query without which, and without advanced queries, Graph leaves some of the entities out.

    What a reader finds here: `stream` names the stream whose entities these are, and `key` the placeholders that are in
    its primary key (all of the path's, if it is None). `holds` says of the objects in the path whether the stream has
    what is below them. `key_within` has the columns of the key that an entity gives itself, each with the properties
    that lead to the value. A stream of several collections holds each object once. Of a stream with a `filter` a reader
    asks the path with that $filter, of one with an `expand` with that $expand. `parameters` are those with which a
    reader asks always. In an `inverse` collection the entities are the owners, of that type, and the path names the
    member. `columns` says what a complete read finds of an entity, if not all of it, or None for nothing. `granted` is
    the permission that a tenant grants, if it is not the first.

    How they come: the only entity of one that is `alone` comes by itself, and not in a list. `known_by` is what tells
    the entities apart; where that is not `id`, they come without an id, and a reader takes the value of that property
    for one, or the last word of the path if that is "".

    `placeholder` names the placeholder that takes the ids of these entities in other paths, and `find` gets the number
    behind an id; without it the entities are searched. `mutations` says how they change.
    """

    units: int = 1
    entities: Callable[[Query], Entities] = lambda query: Entities((), dict)
    paging: Paging = Paging()
    options: str = "$select"
    filters: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, str] = field(default_factory=dict)
    expandable: tuple[str, ...] = ()
    arrange: Callable[[Call, Collection, Entities], Entities] | None = None
    selection: Selection | None = None
    basic: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    counted: bool = False
    whole: str = ""
    expands: Mapping[str, Callable[[Query, Entity], Entity]] = field(default_factory=dict)
    tracking: Tracking | None = None
    stream: str = ""
    key: tuple[str, ...] | None = None
    key_within: Mapping[str, str] = field(default_factory=dict)
    filter: str = ""
    expand: str = ""
    parameters: Callable[[State], Mapping[str, str]] = lambda state: {}
    inverse: str = ""
    holds: Callable[[State, Mapping[str, Any]], bool] = lambda state, ids: True
    columns: Callable[[Query, Entity], Entity | None] = lambda query, entity: entity
    granted: str = ""
    alone: bool = False
    known_by: str = "id"
    placeholder: str = ""
    find: Finder | None = None
    mutations: Callable[[State, str], Mutations] = Mutations

    def within(self, entity: Entity) -> dict[str, str]:
        """The columns of the key that an entity in plain values gives itself."""
        return {column: str(reduce(getitem, path.split("/"), entity)) for column, path in self.key_within.items()}

    @property
    def page_token(self) -> str:
        return self.tracking.page_token if self.tracking else "$skiptoken"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The parameters that hold tokens."""
        return (self.page_token, self.tracking.token) if self.tracking else (self.page_token,)

    @cached_property
    def key_columns(self) -> Mapping[str, str]:
        """The columns of the key with ids of the path, by placeholder: {"servicePrincipal": "service_principal_id"}."""
        names = self.placeholders if self.key is None else self.key
        return {name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name) + "_id" for name in names}


@dataclass(frozen=True)
class Report(Collection):
    """A usage report, of which Graph has a file of each day (`by_day`) or of a period alone. Its path takes the day or
    the period in brackets, and answers with a redirect to the file. The entities are the rows of all days, and the id
    of each is made of the day and of the properties that it is `identified_by`."""

    by_day: bool = True
    identified_by: tuple[str, ...] = ()


class Query:
    """What decides which entities a collection holds for whom: the ids in the path, the app's roles, and preferences.

    `segments` holds the ids as the path has them, `ids` the numbers behind them, both by placeholder.
    """

    def __init__(self, state: State, endpoint: Endpoint, segments: Mapping[str, str], roles: Set[str]) -> None:
        self.state, self.endpoint, self.segments, self.roles = state, endpoint, segments, roles

    @property
    def ids(self) -> Mapping[str, Any]:
        raise NotImplementedError

    @property
    def immutable_ids(self) -> bool:
        raise NotImplementedError

    @property
    def text_bodies(self) -> bool:
        raise NotImplementedError

    def selects(self, name: str) -> bool:
        """Whether the property was named in $select."""
        raise NotImplementedError

    def expands(self, name: str) -> bool:
        """Whether $expand asks for the objects of this navigation property."""
        raise NotImplementedError

    def may(self, permissions: Container[str]) -> bool:
        return not self.roles.isdisjoint(permissions)

    def refuse_troubled(self, name: str, *areas: str) -> None:
        """Refuse an object of the path that is in trouble in one of these areas."""
        for area in areas if name in self.ids else ():
            if trouble := self.state.trouble[area].get(self.ids[name]):
                raise problem(trouble, self.segments[name])


class Call(Query):
    """A request that has found its endpoint: who asks, for what, and with which options."""

    def __init__(
        self,
        state: State,
        request: Request,
        endpoint: Endpoint,
        segments: Mapping[str, str],
        roles: Set[str],
        finders: Mapping[str, Finder],
    ) -> None:
        super().__init__(state, endpoint, segments, roles)
        self.request, self.finders = request, finders

    @cached_property
    def ids(self) -> Mapping[str, Any]:
        """The numbers of the objects named in the path; naming one that isn't there is a 404."""
        ids: dict[str, Any] = {}
        for name, text in self.segments.items():
            number = self.finders[name](self.state, ids, text)
            if number is None:
                raise self.endpoint.workload.missing(name, text)
            ids[name] = number
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
        return frozenset(preference.strip().replace('"', "").lower() for preference in text.split(","))

    @property
    def immutable_ids(self) -> bool:
        return "idtype=immutableid" in self.preferences

    @property
    def text_bodies(self) -> bool:
        return "outlook.body-content-type=text" in self.preferences

    @property
    def selected(self) -> tuple[str, ...] | None:
        text = self.options.get("$select")
        return tuple(name.strip() for name in text.split(",") if name.strip()) if text else None

    def selects(self, name: str) -> bool:
        return name in (self.selected or ())

    @property
    def advanced(self) -> bool:
        """Whether the request asks for the advanced query engine: https://learn.microsoft.com/graph/aad-advanced-queries"""
        eventual = self.request.headers.get("consistencylevel", "").lower() == "eventual"
        return eventual and self.options.get("$count") == "true"

    def expands(self, name: str) -> bool:
        return name in self.options.get("$expand", "").split(",")

    def check_options(self, allowed: Container[str], expandable: Container[str] = ()) -> None:
        """A query option the endpoint lacks is refused; a parameter without a dollar sign means nothing to Graph."""
        for name in self.options:
            if name.startswith("$") and name not in allowed:
                raise self.endpoint.workload.unsupported(name)
            if name == "$expand" and all(each in expandable for each in self.options[name].split(",")):
                continue
            expands = self.endpoint.expands if isinstance(self.endpoint, Collection) else {}
            if name == "$search" or (name == "$expand" and self.options[name] not in expands):
                raise problem("not_simulated", name)

    def check_selected(self, type_name: str, selection: Selection) -> None:
        """Another workload's properties fail the whole request; undeclared names are ignored by the directory, whose
        types are open, and refused elsewhere: https://learn.microsoft.com/graph/api/user-list#optional-query-parameters
        """
        workload, traits = self.endpoint.workload, self.state.traits
        for name in self.selected or ():
            if refusal := selection.refused.get(name):
                older = refusal == "not_in_sharepoint" and not traits.newer_sharepoint_refusal
                raise problem("not_in_a_list" if older else refusal, name)
            declared = name.split("/")[0] in _declared(type_name) or "." in name
            if not workload.ignores_undeclared and not declared:
                raise problem("property_unknown", name)


class CompleteRead(Query):
    """A read of everything in a collection below these objects, without requests, pages or faults.

    `owners` holds the number and the id of each object, by placeholder. The app has the roles that the tenant grants.
    """

    def __init__(
        self,
        state: State,
        endpoint: Endpoint,
        owners: Mapping[str, tuple[Any, str]],
        immutable: bool = False,
        text: bool = False,
    ) -> None:
        super().__init__(state, endpoint, {name: text for name, (_, text) in owners.items()}, state.grants)
        self._ids = {name: number for name, (number, _) in owners.items()}
        self._immutable, self._text = immutable, text

    @property
    def ids(self) -> Mapping[str, Any]:
        return self._ids

    @property
    def immutable_ids(self) -> bool:
        return self._immutable

    @property
    def text_bodies(self) -> bool:
        return self._text

    def selects(self, name: str) -> bool:
        return True

    def expands(self, name: str) -> bool:
        return True
