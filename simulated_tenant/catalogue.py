"""Everything that is declared, and what follows from it: routes, streams, types, permissions and placeholders.

A placeholder has the same meaning in all paths: it takes the ids of the objects in its parents, which are the
collections that declare it as theirs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import unquote

from .collection import Collection, CompleteRead, Endpoint, Finder, Selection
from .mutations import Mutations
from .problems import problem
from .size import Size
from .state import State
from .workloads.access import collections as access
from .workloads.announcements import collections as announcements
from .workloads.audit import collections as audit
from .workloads.directory import collections as directory
from .workloads.files import collections as files
from .workloads.intune import collections as intune
from .workloads.outlook import collections as outlook
from .workloads.policies import collections as policies
from .workloads.security import collections as security
from .workloads.teams import collections as teams
from .workloads.usage import collections as usage

ROOT = "/v1.0/"
WILD = "{}"
EVERYTHING = Selection()

Tree = dict[str, Any]
Object = TypeVar("Object", bound=Hashable)
Owners = Mapping[str, Object]


class Catalogue:
    """Collections and other endpoints, and paths that Graph has and nothing answers here."""

    def __init__(self, endpoints: Iterable[Endpoint], not_simulated: Iterable[str] = ()) -> None:
        self.endpoints = tuple(endpoints)
        self.collections = tuple(each for each in self.endpoints if isinstance(each, Collection))
        self.streams = self._grouped(lambda collection: collection.stream)
        self.parents = self._grouped(lambda collection: collection.placeholder)
        self.finders = {name: _finder(parents) for name, parents in self.parents.items()}
        self.selections = {each.type: each.selection for each in self.collections if each.selection}
        self.routes = tuple(route for endpoint in self.endpoints for route in _routes(endpoint))
        answered = {_segments(route.path) for route in self.routes}
        self.not_simulated = tuple(path for path in not_simulated if _segments(path) not in answered)
        self._lacking = {host for route in self.routes for host in (*route.lacking_in, *route.workload.lacking_in)}
        self._trees: dict[str, Tree] = {}
        self._find = lru_cache(maxsize=4096)(self._search)

    def _grouped(self, name: Callable[[Collection], str]) -> Mapping[str, tuple[Collection, ...]]:
        groups: dict[str, tuple[Collection, ...]] = defaultdict(tuple)
        for collection in self.collections:
            if name(collection):
                groups[name(collection)] += (collection,)
        return dict(groups)

    @property
    def stream_types(self) -> Mapping[str, str]:
        """The entity type behind each stream."""
        return {stream: collections[0].type for stream, collections in self.streams.items()}

    @property
    def grants(self) -> tuple[str, ...]:
        """Permissions that suffice to read all streams, each once."""
        read = [collection for collections in self.streams.values() for collection in collections]
        return tuple(dict.fromkeys(each.granted or each.permissions[0] for each in read))

    def selection(self, kind: str) -> Selection:
        """What a list shows of a type."""
        return self.selections.get(kind, EVERYTHING)

    def lacking(self, host: str) -> set[str]:
        """The streams that the Graph of a host does not have."""
        return {
            stream for stream, collections in self.streams.items() if all(_lacks(each, host) for each in collections)
        }

    def trouble(self, size: Size) -> dict[str, dict[Any, str]]:
        """Which objects of a new tenant a workload refuses, and with which problem, by area and number."""
        workloads = {endpoint.workload.name: endpoint.workload for endpoint in self.endpoints}
        return {area: dict(of) for each in workloads.values() for area, of in each.trouble(size).items()}

    def mutations(self, state: State, stream: str) -> Mutations:
        """What can happen to the objects of a stream."""
        declared = (each.mutations for each in self.streams[stream] if each.mutations is not Mutations)
        return next(declared, Mutations)(state, stream)

    # --- From a path to its endpoint ---

    def find(self, path: str, host: str) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint behind a path and the ids in it. A path that the Graph of this host doesn't have is a 400."""
        return self._find(path, host if host in self._lacking else "")

    def _search(self, path: str, host: str) -> tuple[Endpoint, dict[str, str]]:
        if not path.startswith(ROOT):
            raise problem("no_such_version")
        node, taken = self._tree(host), []
        # A function's arguments are none of its name.
        for segment in map(unquote, re.sub(r"\((?:date|period)=[^/]*\)$", "", path).removeprefix(ROOT).split("/")):
            literal = segment.lower() or "?"
            if literal not in node:
                taken.append(segment)
            node = node.get(literal) or node.get(WILD) or {}
            if not node or not segment:
                raise problem("no_such_segment", segment)
        if "" not in node:
            raise problem("no_such_segment", segment)
        endpoint: Endpoint = node[""]
        return endpoint, dict(zip(endpoint.placeholders, taken, strict=True))

    def _tree(self, host: str) -> Tree:
        """What the Graph of a host has, by segment; a segment in braces takes any value."""
        if host not in self._trees:
            unanswered = [Endpoint(path, directory.DIRECTORY) for path in self.not_simulated]
            self._trees[host] = tree = Tree()
            for endpoint in (*unanswered, *self.routes):
                if not _lacks(endpoint, host):
                    _grow(tree, endpoint)
        return self._trees[host]

    # --- From a collection to the objects that its path can name ---

    def owners(
        self, collection: Collection, objects: Callable[[Collection, Owners[Object]], Iterable[Object]]
    ) -> list[Owners[Object]]:
        """Every combination of objects that the collection's path can name, each once, by placeholder.

        `objects` gets a parent collection and what its own path names. It gives the objects in it, in any form.
        """
        found: list[dict[str, Object]] = [{}]
        for name in collection.placeholders:
            found = [{**known, name: each} for known in found for each in self._objects(name, known, objects)]
        return list(found)

    def _objects(
        self, name: str, known: Owners[Object], objects: Callable[[Collection, Owners[Object]], Iterable[Object]]
    ) -> Iterable[Object]:
        """The objects that a placeholder can name below the known ones. Folders may be in folders, at any depth."""
        found: dict[Object, None] = {}
        for parent in self.parents[name]:
            if name not in parent.placeholders:
                inside = set(parent.placeholders) <= known.keys()
                for owners in [known] if inside else self.owners(parent, objects):
                    found.update(dict.fromkeys(objects(parent, owners)))
        nested = [parent for parent in self.parents[name] if name in parent.placeholders]
        above = list(found) if nested else []
        while above:
            below = dict.fromkeys(
                each for parent in nested for owner in above for each in objects(parent, {**known, name: owner})
            )
            above = [each for each in below if each not in found]
            found.update(dict.fromkeys(above))
        return found


def _lacks(endpoint: Endpoint, host: str) -> bool:
    return host in endpoint.lacking_in or host in endpoint.workload.lacking_in


def _grow(tree: Tree, endpoint: Endpoint) -> None:
    node = tree
    for segment in _segments(endpoint.path):
        node = node.setdefault(segment, {})
    node[""] = endpoint


def _segments(path: str) -> tuple[str, ...]:
    """The segments of a path in lower case, every placeholder alike."""
    return tuple(WILD if segment.startswith("{") else segment.lower() for segment in path.strip("/").split("/"))


def _routes(endpoint: Endpoint) -> Iterator[Endpoint]:
    """The paths of one declaration: the list, and its delta query if that has a path of its own."""
    tracking = endpoint.tracking if isinstance(endpoint, Collection) else None
    is_view = isinstance(endpoint, Collection) and bool(endpoint.filter or endpoint.expand)
    if not isinstance(endpoint, Collection) or not (is_view or (tracking and tracking.path)):
        yield endpoint
    elif tracking and not is_view:
        yield replace(endpoint, tracking=None)
        yield replace(
            endpoint, path=endpoint.path + tracking.path, options=tracking.options, units=1, limits=(),
            paging=tracking.paging or endpoint.paging, permissions=tracking.permissions or endpoint.permissions,
            lacking_in=(*endpoint.lacking_in, *tracking.lacking_in),
        )  # fmt: skip


def _finder(parents: tuple[Collection, ...]) -> Finder:
    """How to get from an id to the object's number: as declared, or by a search of the entities."""

    def search(state: State, known: Mapping[str, Any], text: str) -> Any:
        for parent in parents:
            owners = {name: (known[name], "") for name in parent.placeholders}
            entities = parent.entities(CompleteRead(state, parent, owners))
            for number in entities.ascending:
                if entities.make(number)["id"] == text:
                    return number
        return None

    return next((parent.find for parent in parents if parent.find), search)


WORKLOADS = (directory, access, teams, outlook, files, audit, security, intune, usage, announcements, policies)
CATALOGUE = Catalogue(
    (endpoint for workload in WORKLOADS for endpoint in workload.ENDPOINTS),
    (path for workload in WORKLOADS for path in workload.NOT_SIMULATED),
)
STREAM_TYPES = CATALOGUE.stream_types
