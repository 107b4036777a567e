"""Collections that exist only as far as they are read: numbers, and how to make the entity behind each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from .filters import Condition, as_moment
from .shapes import Entity


class Rows:
    """A collection in the order Graph lists it. `timely` names the moments that ascend with the numbers."""

    __slots__ = ("ascending", "make", "newest_first", "timely")

    def __init__(
        self,
        ascending: Sequence[Any],
        make: Callable[[Any], Entity],
        timely: tuple[str, ...] = (),
        newest_first: bool = False,
    ) -> None:
        self.ascending, self.make, self.timely, self.newest_first = ascending, make, timely, newest_first

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
        return Rows(ascending, self.make, self.timely, self.newest_first)

    def where(self, clause: Condition) -> Rows:
        """The rows that meet a condition; one on a moment they ascend with costs a binary search."""
        if clause.property in self.timely:
            return self.over(self.ascending[self._span(clause)])
        return self.over([number for number in self.ascending if clause.holds(self.make(number))])

    def _span(self, clause: Condition) -> slice:
        def when(number: Any) -> datetime:
            return as_moment(self.make(number)[clause.property])

        first = bisect_left(self.ascending, clause.value, key=when)
        after = bisect_right(self.ascending, clause.value, key=when)
        spans = {"eq": (first, after), "ge": (first, None), "gt": (after, None), "le": (0, after), "lt": (0, first)}
        return slice(*spans[clause.operator])

    def ordered(self, name: str, descending: bool) -> Rows:
        """The rows sorted by a property."""
        if name in self.timely:
            return Rows(self.ascending, self.make, self.timely, descending)
        return Rows(sorted(self.ascending, key=lambda number: self.make(number)[name] or ""), self.make, (), descending)
