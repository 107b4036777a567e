"""What the workers hand to the main thread, which is the only one to write it out."""

from __future__ import annotations

import threading
from collections import deque
from queue import Queue
from typing import Any

from airbyte_cdk.models import AirbyteMessage
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository
from airbyte_cdk.sources.types import Record

_CHUNK = 100
_CHUNKS = 20
"""A hundred records at about 12 kB each, twenty times: what may wait for the main thread."""


class OutputQueue(Queue[Any]):
    """The CDK's queue between workers and main thread, a hundred records at a time.

    The CDK puts each record by itself, and taking the lock, waking the other side and being switched to cost more
    than making the record did. A worker's records wait in a chunk of its own until that is full or anything else
    follows them, such as the end of their partition; so the order of what one worker puts is kept.
    """

    def __init__(self) -> None:
        super().__init__(maxsize=_CHUNKS)
        self._worker = threading.local()
        self._taken: deque[Any] = deque()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        chunk: list[Any] = self._worker.__dict__.setdefault("chunk", [])
        chunk.append(item)
        if len(chunk) >= _CHUNK or not isinstance(item, Record):
            self._worker.chunk = []
            super().put(chunk, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        while not self._taken:
            self._taken.extend(super().get(block, timeout))
        return self._taken.popleft()

    def empty(self) -> bool:
        return not self._taken and super().empty()


class OrderedMessages(ConcurrentMessageRepository):
    """Keeps a stream's last STATE before its COMPLETE.

    The CDK emits both from the main thread, the state through the queue and the status directly, so the status
    would overtake. What the main thread emits goes out with the next `consume_queue` instead.
    """

    def _put_on_queue(self, message: AirbyteMessage) -> None:
        if threading.get_ident() == self._consumer_thread_id:
            self._pending.append(message)
        else:
            super()._put_on_queue(message)
