"""What has happened to a tenant's collections since it was founded.

A collection without a history holds what the tenant's size says. One with a history costs what has changed in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .entities import Entities
from .shapes import Entity


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an object. `at` is the 1-based index among the changes of its collection.

    `properties` are those that changed; None for an object that is new, gone or back. A `folder` is the one that the
    change belongs to: a move is a change in the old folder and another one in the new. `moves` counts the object's
    moves so far, and `member` is who came to a group or left it.
    """

    at: int
    number: int
    when: float
    properties: frozenset[str] | None = None
    folder: int | None = None
    moves: int = 0
    member: tuple[str, Any, bool] | None = None


class History:
    """The changes of one collection, in their order, and the state that follows from them."""

    def __init__(self, founded: int) -> None:
        self.founded = self.count = founded
        self.changes: list[Change] = []
        self.values: dict[int, Entity] = {}
        self.gone: dict[int, str] = {}
        self.folders: dict[int, int] = {}
        self.moves: Counter[int] = Counter()
        self._numbers: dict[tuple[Sequence[int], int | None], Sequence[int]] = {}

    def exists(self, number: int) -> bool:
        return 0 <= number < self.count and number not in self.gone

    def add(self, when: float, values: Mapping[str, Any], folder: int | None = None) -> int:
        """The number of a new object, which is the count so far."""
        number = self.count
        self._set(number, values)
        self.count += 1
        if folder is not None:
            self.folders[number] = folder
        self._note(number, when, None, folder)
        return number

    def _set(self, number: int, values: Mapping[str, Any]) -> None:
        self.values.setdefault(number, {}).update(values)

    def edit(
        self,
        number: int,
        when: float,
        values: Mapping[str, Any],
        folder: int | None = None,
        into: int | None = None,
    ) -> None:
        """New values of an object; `into` is the folder it is put in, if that is but one of them."""
        self._set(number, values)
        if into is not None:
            self.folders[number] = into
        self._note(number, when, frozenset(values), folder)

    def relate(self, number: int, when: float, relation: str, member: Any, gone: bool) -> None:
        """Someone came to an object or left it."""
        self._note(number, when, frozenset({relation}), member=(relation, member, gone))

    def move(self, number: int, when: float, folders: tuple[int, int], values: Mapping[str, Any]) -> None:
        before, after = folders
        self._note(number, when, None, before)
        self.moves[number] += 1
        self.folders[number] = after
        self._set(number, values)
        self._note(number, when, None, after)

    def remove(self, number: int, when: float, reason: str = "deleted", folder: int | None = None) -> None:
        """`reason` is `changed` for what can be restored, and `deleted` for what can't."""
        self.gone[number] = reason
        self._note(number, when, None, folder)

    def forget(self, number: int) -> None:
        """Remove an object without a change that reports it."""
        self.gone[number] = "deleted"
        self._numbers.clear()

    def restore(self, number: int, when: float) -> None:
        del self.gone[number]
        self._note(number, when, None)

    def _note(
        self,
        number: int,
        when: float,
        properties: frozenset[str] | None,
        folder: int | None = None,
        member: tuple[str, Any, bool] | None = None,
    ) -> None:
        at = len(self.changes) + 1
        self.changes.append(Change(at, number, when, properties, folder, self.moves[number], member))
        self._numbers.clear()

    def numbers(self, founded: Sequence[int], folder: int | None = None) -> Sequence[int]:
        """The numbers of all objects there are by now, or of those in one folder, of which these were there first."""
        key = founded, folder
        if key not in self._numbers:
            strays = {*self.gone, *self.folders, *range(self.founded, self.count)}
            here = [n for n in strays if n not in self.gone and folder in (None, self.folders.get(n))]
            self._numbers[key] = sorted([*(n for n in founded if n not in strays), *here]) if strays else founded
        return self._numbers[key]


class Histories(dict[Any, History]):
    """The histories of the collections in which anything has happened."""

    def of(self, collection: Any, founded: int) -> History:
        """The history of a collection, begun if need be."""
        return self.setdefault(collection, History(founded))


def current(founded: Entities, history: History | None, folder: int | None = None) -> Entities:
    """The entities of the founding, as they are by now."""
    if history is None:
        return founded
    make, values = founded.make, history.values

    def made(number: int) -> Entity:
        return {**make(number), **values[number]} if number in values else make(number)

    return Entities(
        history.numbers(founded.ascending, folder), made, founded.timely, founded.newest_first, values.keys()
    )
