"""The queue on which workers hand over to the main thread of a read what it is to print."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Queue
from typing import Any


class HandoverClosed(Exception):
    """The read has ended, so nothing is taken any more."""


class ReadStopped(Exception):
    """The read was told to end early."""


@dataclass(frozen=True, slots=True)
class LastItem:
    """Ends the read with this error, whatever else was to come."""

    error: Exception


class Handover(Queue[Any]):
    """A bounded queue that can be closed: a `put` then raises `HandoverClosed`, also one that waits already."""

    _is_closed = False

    def close(self, last: LastItem | None = None) -> None:
        """Discard what waits. The consumer gets `last` instead."""
        with self.mutex:
            if self._is_closed:
                return
            self._is_closed = True
            self.queue.clear()
            self.queue.append(last)
            self.not_empty.notify_all()
            self.not_full.notify_all()

    def _put(self, item: Any) -> None:
        if self._is_closed:
            raise HandoverClosed
        super()._put(item)
