"""Which objects a listing has emitted, in bounded memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left

_RUN = 250_000
"""Objects of which a set is kept before it becomes a sorted run of eight bytes each."""


class SeenRecords:
    """The objects of one listing by their ids. Of the latest 250,000 to 500,000 it always knows whether they were
    emitted; of all of them, at eight bytes each, once the listing was started again.

    Graph repeats objects at the border of two pages, and all of them when a listing starts again. Two different ids
    have the same 64-bit hash in one of a million listings of ten million objects.
    """

    def __init__(self) -> None:
        self._latest: set[int] = set()
        self._before: set[int] = set()
        self._runs: list[array[int]] = []
        self._searched: list[array[int]] = []

    def __len__(self) -> int:
        return len(self._latest) + sum(map(len, self._runs))

    def add(self, identifier: str) -> bool:
        """Whether the object is new."""
        mark = hash(identifier)
        if mark in self._latest or mark in self._before or self._is_in_a_run(mark):
            return False
        self._latest.add(mark)
        if len(self._latest) == _RUN:
            self._runs.append(array("q", sorted(self._latest)))
            self._before, self._latest = self._latest, set()
        return True

    def start_again(self) -> None:
        """From now on search everything emitted so far."""
        self._searched = self._runs

    def _is_in_a_run(self, mark: int) -> bool:
        for run in self._searched:
            index = bisect_left(run, mark)
            if index < len(run) and run[index] == mark:
                return True
        return False
