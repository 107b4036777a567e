"""What the owners of one stream came to: whether nothing at all could be read of it, though there was something."""

from __future__ import annotations

import threading

_ENOUGH = 3
"""Owners that were refused from which on the fault is no longer theirs."""


class OwnerTally:
    """Owners whose listings were read, refused, or found not to exist. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read = self._refused = 0

    def read(self) -> None:
        with self._lock:
            self._read += 1

    def skipped(self, *, absent: bool) -> None:
        """`absent` says that the service has nothing of this owner, such as a mailbox of a guest."""
        with self._lock:
            self._refused += not absent

    @property
    def all_refused(self) -> int:
        """The owners that were refused, if none could be read and there were enough to tell; else 0."""
        with self._lock:
            return self._refused if self._refused >= _ENOUGH and not self._read else 0
