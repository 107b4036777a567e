"""Entities that exist only as far as they are read: their numbers, and how to make the entity behind each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from .filters import Condition, Timestamp, timestamp_of
from .shapes import Entity


class Entities:
    """Entities in the order in which Graph lists them. Each is made from its number when it is read.

    `timely` names the properties with times that ascend with the numbers, except for the `unruly` numbers.
    """

    __slots__ = ("ascending", "make", "newest_first", "timely", "unruly")

    def __init__(
        self,
        ascending: Sequence[Any],
        make: Callable[[Any], Entity],
        timely: tuple[str, ...] = (),
        newest_first: bool = False,
        unruly: Collection[Any] = (),
    ) -> None:
        self.ascending, self.make, self.timely, self.newest_first = ascending, make, timely, newest_first
        self.unruly = unruly

    def __len__(self) -> int:
        return len(self.ascending)

    def __iter__(self) -> Iterator[Entity]:
        return map(self.make, self._listed)

    @property
    def _listed(self) -> Sequence[Any]:
        return self.ascending[::-1] if self.newest_first else self.ascending

    def page(self, start: int, size: int) -> list[Entity]:
        return [self.make(number) for number in self._listed[start : start + size]]

    def over(self, ascending: Sequence[Any]) -> Entities:
        """The same entities over other numbers."""
        return Entities(ascending, self.make, self.timely, self.newest_first, self.unruly)

    def where(self, clause: Condition) -> Entities:
        """The entities that meet a condition. One on a timely property costs a binary search."""
        if clause.property not in self.timely:
            return self.over([number for number in self.ascending if clause.holds(self.make(number))])
        steady, unruly = self._split()
        found = steady[self._span(steady, clause)]
        strays = [number for number in unruly if clause.holds(self.make(number))]
        return self.over(sorted([*found, *strays]) if strays else found)

    def _split(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """The numbers that ascend with the times, and those that don't."""
        if not self.unruly:
            return self.ascending, ()
        steady = [number for number in self.ascending if number not in self.unruly]
        return steady, [number for number in self.ascending if number in self.unruly]

    def _when(self, name: str) -> Callable[[Any], Timestamp]:
        return lambda number: timestamp_of(self.make(number)[name])

    def _span(self, steady: Sequence[Any], clause: Condition) -> slice:
        when = self._when(clause.property)
        first = bisect_left(steady, clause.value, key=when)
        after = bisect_right(steady, clause.value, key=when)
        spans = {"eq": (first, after), "ge": (first, None), "gt": (after, None), "le": (0, after), "lt": (0, first)}
        return slice(*spans[clause.operator])

    def ordered(self, name: str, descending: bool) -> Entities:
        """The entities sorted by a property."""
        if name not in self.timely:
            by_value = sorted(self.ascending, key=lambda number: self.make(number)[name] or "")
            return Entities(by_value, self.make, (), descending)
        steady, unruly = self._split()
        if not unruly:
            return Entities(self.ascending, self.make, self.timely, descending)
        when, merged = self._when(name), list(steady)
        last = when(steady[-1]) if steady else Timestamp()
        strays = sorted((when(number), number) for number in unruly)
        for changed, number in strays:
            if changed < last:
                merged.insert(bisect_right(merged, changed, key=when), number)
        newest = [number for changed, number in strays if changed >= last]
        return Entities([*merged, *newest], self.make, (name,), descending)
