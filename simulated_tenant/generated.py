"""Objects that are made from their published type alone, for a collection that needs nothing odd.

ORGANIZATION = Generated("organization", count=lambda state, owner: 1)
Collection("/organization", ..., entities=ORGANIZATION.entities)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from .collection import Query
from .entities import Entities
from .shapes import Entity, Guids, Shape
from .state import State

# The numbers of the objects that the path names, in its order.
Owner = tuple[Any, ...]


@lru_cache(maxsize=256)
def _shape(type_name: str, seed: int) -> Shape:
    return Shape(type_name, seed)


class Generated:
    """The objects of each owner are numbered from 0. `count` says how many the owner has, and `own` which values one
    of them has on top of the generated ones.
    """

    def __init__(
        self,
        type_name: str,
        count: Callable[[State, Owner], int],
        own: Callable[[State, Owner, int], Entity] = lambda state, owner, number: {},
    ) -> None:
        self.type, self.count, self.own = type_name, count, own

    def entities(self, query: Query) -> Entities:
        state, owner = query.state, tuple(query.ids.values())
        ids, shape = self._ids(state, owner), _shape(self.type, state.seed)

        def make(number: int) -> Entity:
            return shape.entity(number, {"id": ids[number], **self.own(state, owner, number)})

        return Entities(range(self.count(state, owner)), make)

    def find(self, state: State, known: Mapping[str, Any], text: str) -> int | None:
        """The number of the object with that id, below the objects that the path has named so far."""
        owner = tuple(known.values())
        number = self._ids(state, owner).find(text)
        return number if number is not None and 0 <= number < self.count(state, owner) else None

    def _ids(self, state: State, owner: Owner) -> Guids:
        return Guids(state.seed, "/".join([self.type, *map(str, owner)]))
