"""What a complete read of each stream must yield: the tenant's contents, without paging, refusals or faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .catalogue import Catalogue, Owners
from .collection import Collection, CompleteRead
from .filters import conditions
from .problems import Problem
from .shapes import Entity, thawed
from .state import State

Key = dict[str, str]
# The number of an object, which a path names, and its id.
Named = tuple[Any, str]


class Expected:
    """`immutable` gives Outlook's items their immutable ids, `text` plain bodies."""

    def __init__(self, state: State, catalogue: Catalogue, immutable: bool = False, text: bool = False) -> None:
        self.state, self.catalogue, self._immutable, self._text = state, catalogue, immutable, text

    def contents(self, stream: str) -> Iterator[tuple[Key, Entity]]:
        """Each object of the stream once, as (key, entity) with every property that a list can return.

        The key has the object's id first, then the ids of its owners: {"id": "…", "user_id": "…"}.
        """
        seen: set[tuple[str, ...]] = set()
        several = len(self.catalogue.streams[stream]) > 1
        for collection in self.catalogue.streams[stream]:
            overlaps = several or set(collection.key_columns) != set(collection.placeholders)
            for owners in self._owners(collection):
                for key, entity in self._inside(collection, owners):
                    if overlaps and tuple(key.values()) in seen:
                        continue
                    if overlaps:
                        seen.add(tuple(key.values()))
                    yield key, entity

    def _owners(self, collection: Collection) -> Iterable[Owners[Named]]:
        found = self.catalogue.owners(collection, self._named)
        found = [
            owners
            for owners in found
            if collection.holds(self.state, {name: number for name, (number, _) in owners.items()})
        ]
        return sorted(found, key=lambda owners: [number for number, _ in owners.values()])

    def _named(self, parent: Collection, owners: Owners[Named]) -> Iterator[Named]:
        """The objects in a collection, as those that the path of another collection can name."""
        query = self._query(parent, owners)
        if _refused(parent, query):
            return
        entities = parent.entities(query)
        for number in entities.ascending:
            yield number, entities.make(number)["id"]

    def _inside(self, collection: Collection, owners: Owners[Named]) -> Iterator[tuple[Key, Entity]]:
        query = self._query(collection, owners)
        if _refused(collection, query):
            return
        clauses = conditions(collection.filter)
        columns = {column: owners[name][1] for name, column in collection.key_columns.items()}
        for entity in collection.entities(query):
            shown = collection.columns(query, entity)
            if shown is None or not all(clause.holds(thawed(entity)) for clause in clauses):
                continue
            if collection.inverse:
                yield self._inverted(collection, owners, shown)
            else:
                plain = thawed(shown)
                yield {"id": shown["id"], **columns, **collection.within(plain)}, plain

    def _inverted(self, collection: Collection, owners: Owners[Named], owner: Entity) -> tuple[Key, Entity]:
        """The member that the path names, below the owner that the collection holds."""
        (name,) = collection.placeholders
        key = {"id": owners[name][1], f"{collection.inverse}_id": owner["id"]}
        return key, {"@odata.type": f"#microsoft.graph.{name}", "id": owners[name][1]}

    def _query(self, collection: Collection, owners: Owners[Named]) -> CompleteRead:
        named = {name: owners[name] for name in collection.placeholders}
        return CompleteRead(self.state, collection, named, self._immutable, self._text)


def _refused(collection: Collection, query: CompleteRead) -> bool:
    """Whether the app lacks the permission, or the workload refuses what the path names."""
    if not query.may(collection.permissions):
        return True
    try:
        collection.workload.gate(query)
        collection.gate(query)
    except Problem:
        return True
    return False
