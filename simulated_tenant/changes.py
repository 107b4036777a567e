"""The changes of a collection in the order in which a delta query reports them.

What was there from the start stands before the first change, so that the first round is like the others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence

from .entities import Entities
from .filters import Timestamp
from .history import Change, History
from .position import Position
from .shapes import Entity

Show = Callable[[Entity], Entity]


class ChangeFeed:
    """What a delta query can report of a collection, or of one folder in it.

    `founded` are the numbers of the founding, of `base` in all. Object n of them is at the index n - base, the first
    change at 1. `wants` says which objects the query is about, if not about all of them.
    """

    def __init__(
        self,
        entities: Entities,
        history: History | None,
        founded: Sequence[int],
        base: int,
        folder: int | None = None,
        wants: Callable[[int], bool] | None = None,
    ) -> None:
        self.entities, self.founded, self.base, self.folder, self.wants = entities, founded, base, folder, wants
        self.history = history or History(base)

    @property
    def end(self) -> int:
        """The index of the last change so far."""
        return len(self.history.changes)

    @property
    def start(self) -> int:
        """The index before everything."""
        return -self.base - 1

    def before(self, time: Timestamp) -> int:
        """The index before all that has happened from a time on."""
        raise NotImplementedError

    def matters(self, change: Change) -> bool:
        """Whether the change is one of this folder's, and of a property that is tracked."""
        return self.folder in (None, change.folder)

    def stands(self, change: Change) -> bool:
        """Whether the object is still where the change left it."""
        return change.number not in self.history.gone and self.history.moves[change.number] == change.moves

    def after(self, here: Position) -> tuple[Sequence[int], list[Change]]:
        """The founding's objects that are as they were, and the last change of each other object."""
        last: dict[tuple[int, int], Change] = {}
        for change in self.history.changes[max(here.at, 0) :]:
            if self.matters(change) and (self.wants is None or self.wants(change.number)):
                last.pop((change.number, change.moves), None)
                last[change.number, change.moves] = change
        late = [change for change in last.values() if change.at > here.since or self.stands(change)]
        early = self.founded[bisect_right(self.founded, here.at + self.base) :] if here.at < 0 else ()
        changed = {number for number, _ in last} | self.history.gone.keys() | self.history.folders.keys()
        if changed:
            early = [number for number in early if number not in changed]
        if self.wants:
            early = [number for number in early if self.wants(number)]
        return early, late

    def entity(self, number: int, show: Show, recent: Collection[Change] | None) -> Entity:
        """An object. `recent` holds its changes in this round, or None if the reader is to get everything."""
        return show(self.entities.make(number))

    def tombstone(self, change: Change, show: Show) -> Entity:
        """What is left of an object that is gone."""
        raise NotImplementedError

    def above(self, number: int) -> Iterable[int]:
        """The objects that are reported with that one."""
        return ()
