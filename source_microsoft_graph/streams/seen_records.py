"""Which objects a listing has emitted, in bounded memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left

_FEW = 100_000
"""Objects of which a set is kept, at eighty bytes each. Of more, sorted arrays are, at eight bytes each."""

_ARRAYS = 4_096
"""So many that each stays short, for an object is put in its order in one of them."""


class SeenRecords:
    """The objects of one listing by their ids, all of them.

    Graph repeats objects at the border of two pages, and all of them when a listing starts again. What is kept of an id
    is a hash of 64 bits, so that ten million objects take 100 MB. That two of ten million ids have the same hash, and
    one object is left out, happens in three of a million such listings.
    """

    def __init__(self) -> None:
        self._few: set[int] = set()
        self._arrays: list[array[int]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, identifier: str) -> bool:
        """Whether the object is new."""
        mark = hash(identifier)
        is_new = self._put(mark) if self._arrays else mark not in self._few
        if is_new:
            self._count += 1
            if not self._arrays:
                self._few.add(mark)
                if self._count == _FEW:
                    self._grow()
        return is_new

    def _grow(self) -> None:
        self._arrays = [array("q") for _ in range(_ARRAYS)]
        for mark in self._few:
            self._put(mark)
        self._few = set()

    def _put(self, mark: int) -> bool:
        """Whether the mark is new in its array."""
        marks = self._arrays[mark % _ARRAYS]
        index = bisect_left(marks, mark)
        if index < len(marks) and marks[index] == mark:
            return False
        marks.insert(index, mark)
        return True
