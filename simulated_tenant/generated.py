"""Objects that are made from their published type alone, for a collection that needs nothing odd.

ORGANIZATION = Generated("organization", count=lambda state, owner: 1)
Collection("/organization", ..., entities=ORGANIZATION.entities)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from .collection import Query
from .entities import Entities
from .history import current
from .mutations import Key, Mutations
from .shapes import Entity, Guids, Shape, graph_time
from .state import State

# The numbers of the objects that the path names, in its order.
Owner = tuple[Any, ...]


@lru_cache(maxsize=256)
def _shape(type_name: str, seed: int) -> Shape:
    return Shape(type_name, seed)


class Generated:
    """The objects of each owner are numbered from 0. `count` says how many the owner has, `own` which values one of
    them has on top of the generated ones, and `ids` which ids they have, if they are those of other objects.
    """

    def __init__(
        self,
        type_name: str,
        count: Callable[[State, Owner], int],
        own: Callable[[State, Owner, int], Entity] = lambda state, owner, number: {},
        ids: Callable[[State], Guids] | None = None,
    ) -> None:
        self.type, self.count, self.own, self.ids = type_name, count, own, ids

    def entities(self, query: Query) -> Entities:
        state, owner = query.state, tuple(query.ids.values())
        ids, shape = self._ids(state, owner), _shape(self.type, state.seed)

        def make(number: int) -> Entity:
            return shape.entity(number, {"id": ids[number], **self.own(state, owner, number)})

        return current(Entities(range(self.count(state, owner)), make), state.histories.get((self.type, *owner)))

    def find(self, state: State, known: Mapping[str, Any], text: str) -> int | None:
        """The number of the object with that id, below the objects that the path has named so far."""
        owner = tuple(known.values())
        number = self._ids(state, owner).find(text)
        history = state.histories.get((self.type, *owner))
        count = history.count if history else self.count(state, owner)
        return number if number is not None and 0 <= number < count else None

    def id_of(self, state: State, number: int) -> str:
        """The id of an object without an owner."""
        return self._ids(state, ())[number]

    def _ids(self, state: State, owner: Owner) -> Guids:
        return self.ids(state) if self.ids else Guids(state.seed, "/".join([self.type, *map(str, owner)]))


class GrowingMutations(Mutations):
    """Generated entries of a log: what is in it stays as it is, and some of it arrives late."""

    nature = ", a log"

    def __init__(self, state: State, stream: str, objects: Generated, time: str) -> None:
        """`time` is the property with the time of an entry."""
        super().__init__(state, stream)
        self.objects, self.time = objects, time
        self.history = state.histories.of((objects.type,), objects.count(state, ()))

    def add(self, late: timedelta = timedelta()) -> Key:
        """An object that changed last, or an entry of what happened, so long ago."""
        number = self.history.add(self.state.clock(), {self.time: graph_time(self.now - late)})
        return {"id": self.objects.id_of(self.state, number)}


class TimedMutations(GrowingMutations):
    """Generated objects without an owner that carry the time of their last change."""

    nature = ""

    def __init__(self, state: State, stream: str, objects: Generated, time: str, name: str) -> None:
        """`time` is the property with that time, `name` a text that can be edited."""
        super().__init__(state, stream, objects, time)
        self.name = name

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        number = self.objects.find(self.state, {}, key["id"])
        if number is None:
            self.missing(key)
        values = properties or {self.name: f"{self.name} of {self.stamp}"}
        self.history.edit(number, self.state.clock(), {**values, self.time: self.stamp})
