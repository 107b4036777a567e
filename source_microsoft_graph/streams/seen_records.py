"""Which objects a listing has emitted, and in which version, in bounded memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import chain

_FEW = 1_000
"""Objects of which a set is kept, at eighty bytes each. Of more, sorted arrays are, at eight bytes each: two hundred
drives may be listed at the same time."""

_SOME_ARRAYS = 64
"""So many that a listing of a few thousand objects has more objects than arrays."""

_MANY = 100_000
"""Objects from which on there are more arrays."""

_ARRAYS = 4_096
"""So many that each stays short, for an object is put in its order in one of them."""

_FEW_VERSIONS = 20_000
"""Objects of which a dictionary of versions is kept, at a hundred and thirty bytes each."""


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
        return self.add_mark(hash(identifier))

    def add_mark(self, mark: int) -> bool:
        """As `add`, for an object by its hash of 64 bits."""
        is_new = self._put(mark) if self._arrays else mark not in self._few
        if is_new:
            self._count += 1
            if not self._arrays:
                self._few.add(mark)
                if self._count == _FEW:
                    self._spread(_SOME_ARRAYS)
            elif self._count == _MANY:
                self._spread(_ARRAYS)
        return is_new

    def _spread(self, number: int) -> None:
        marks = [*self._few, *chain.from_iterable(self._arrays)]
        self._few, self._arrays = set(), [array("q") for _ in range(number)]
        for mark in marks:
            self._put(mark)

    def _put(self, mark: int) -> bool:
        """Whether the mark is new in its array."""
        marks = self._arrays[mark % len(self._arrays)]
        index = bisect_left(marks, mark)
        if index < len(marks) and marks[index] == mark:
            return False
        marks.insert(index, mark)
        return True


class SeenVersions:
    """The last version of each object, both as hashes: 64 bits for the object and 32 for its version, in twelve bytes.

    That a new version of an object has the hash of the one before it, and counts as no change, happens once in four
    billion changes.
    """

    def __init__(self) -> None:
        self._few: dict[int, int] = {}
        self._arrays: list[tuple[array[int], array[int]]] = []
        self._count = 0

    def __len__(self) -> int:
        """How many objects there are."""
        return self._count

    def get(self, mark: int) -> int | None:
        """The version of an object, or None where it was never put."""
        if not self._arrays:
            return self._few.get(mark)
        marks, versions = self._arrays[mark % _ARRAYS]
        index = bisect_left(marks, mark)
        return versions[index] if index < len(marks) and marks[index] == mark else None

    def put(self, mark: int, version: int) -> int | None:
        """Keep this version, of 32 bits, and return the one before it."""
        if self._arrays:
            before = self._put(mark, version)
        else:
            before = self._few.get(mark)
            self._few[mark] = version
        if before is None:
            self._count += 1
            if self._count == _FEW_VERSIONS:
                self._grow()
        return before

    def _grow(self) -> None:
        self._arrays = [(array("q"), array("I")) for _ in range(_ARRAYS)]
        for mark, version in self._few.items():
            self._put(mark, version)
        self._few = {}

    def _put(self, mark: int, version: int) -> int | None:
        marks, versions = self._arrays[mark % _ARRAYS]
        index = bisect_left(marks, mark)
        if index < len(marks) and marks[index] == mark:
            before = versions[index]
            versions[index] = version
            return before
        marks.insert(index, mark)
        versions.insert(index, version)
        return None
