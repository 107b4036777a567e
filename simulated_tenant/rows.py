"""Collections that exist only as far as they are read: numbers, and how to make the entity behind each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from .filters import Condition, Moment, as_moment
from .shapes import Entity


class Rows:
    """A collection in the order Graph lists it.

    `timely` names the moments that ascend with the numbers, but for the `unruly` ones among these.
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

    def over(self, ascending: Sequence[Any]) -> Rows:
        """The same kind of rows over other numbers."""
        return Rows(ascending, self.make, self.timely, self.newest_first, self.unruly)

    def where(self, clause: Condition) -> Rows:
        """The rows that meet a condition; one on a moment they ascend with costs a binary search."""
        if clause.property not in self.timely:
            return self.over([number for number in self.ascending if clause.holds(self.make(number))])
        steady, unruly = self._parted()
        found = steady[self._span(steady, clause)]
        strays = [number for number in unruly if clause.holds(self.make(number))]
        return self.over(sorted([*found, *strays]) if strays else found)

    def _parted(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """The numbers that ascend with the moments, and those that don't."""
        if not self.unruly:
            return self.ascending, ()
        steady = [number for number in self.ascending if number not in self.unruly]
        return steady, [number for number in self.ascending if number in self.unruly]

    def _when(self, name: str) -> Callable[[Any], Moment]:
        return lambda number: as_moment(self.make(number)[name])

    def _span(self, steady: Sequence[Any], clause: Condition) -> slice:
        when = self._when(clause.property)
        first = bisect_left(steady, clause.value, key=when)
        after = bisect_right(steady, clause.value, key=when)
        spans = {"eq": (first, after), "ge": (first, None), "gt": (after, None), "le": (0, after), "lt": (0, first)}
        return slice(*spans[clause.operator])

    def ordered(self, name: str, descending: bool) -> Rows:
        """The rows sorted by a property."""
        if name not in self.timely:
            by_value = sorted(self.ascending, key=lambda number: self.make(number)[name] or "")
            return Rows(by_value, self.make, (), descending)
        steady, unruly = self._parted()
        if not unruly:
            return Rows(self.ascending, self.make, self.timely, descending)
        when, merged = self._when(name), list(steady)
        last = when(steady[-1]) if steady else Moment()
        strays = sorted((when(number), number) for number in unruly)
        for moment, number in strays:
            if moment < last:
                merged.insert(bisect_right(merged, moment, key=when), number)
        newest = [number for moment, number in strays if moment >= last]
        return Rows([*merged, *newest], self.make, (name,), descending)
