"""How many bytes of responses all workers together may hold, and how large the responses of a stream are.

Airbyte gives a source half a gigabyte: https://docs.airbyte.com/platform/operator-guides/configuring-connector-resources
A response is in memory as received, unpacked, and parsed, which takes several times its bytes.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_DEFAULT_LIMIT = 512 * 1024 * 1024
"""Bytes that a process may have where nothing says so: what Airbyte gives a source."""

_BASE = 170 * 1024 * 1024
"""Bytes that the interpreter, the CDK and the threads take before any response is there."""

_TIMES = 5
"""How many times its bytes a response takes while its objects become records."""

_LEAST = 24 * 1024 * 1024
"""Bytes of responses that are admitted however little memory there is."""

_MOST = 256 * 1024 * 1024
"""Bytes of responses from which on more memory makes nothing faster."""

_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux tells the memory limit of a container: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory"""

_FIRST_GUESS = 512 * 1024
"""Bytes that a page is believed to have before one was read."""

_FORGETTING = 0.9
"""What remains of the largest size seen, with each smaller response."""


def budget_bytes(limit: int | None = None) -> int:
    """Bytes of responses that fit a process of this limit, by default the container's."""
    limit = min(_container_limit() if limit is None else limit, 2**40)
    return max(_LEAST, min(_MOST, (limit - _BASE) // _TIMES))


def _container_limit() -> int:
    for file in _LIMIT_FILES:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        # `max`, or a number beyond any machine's memory, says that there is no limit.
        if text.isdecimal() and int(text) < 2**50:
            return int(text)
    return _DEFAULT_LIMIT


_LOOK_AGAIN = 1.0
"""Seconds after which a waiting request looks whether the sync is over."""


class OverBudget(Exception):
    """A response turns out larger than what is left of the budget. It is requested again once there is room."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The response has {size:,} bytes or more.")
        self.size = size


@dataclass(slots=True, eq=False)
class Admission:
    """The bytes of the budget that one request holds."""

    held: int


class ByteBudget:
    """Admits requests while the responses that they are expected to bring fit. Safe between threads."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._held = 0
        self._admitted = 0
        self._change = threading.Condition()

    @contextmanager
    def admission(self, expected: int, is_over: Callable[[], bool]) -> Iterator[Admission]:
        """Wait until so many bytes fit, or until no other request is admitted. `is_over` ends the wait."""
        admission = Admission(min(expected, self.total))
        with self._change:
            while self._admitted and self._held + admission.held > self.total and not is_over():
                self._change.wait(timeout=_LOOK_AGAIN)
            self._held += admission.held
            self._admitted += 1
        try:
            yield admission
        finally:
            with self._change:
                self._held -= admission.held
                self._admitted -= 1
                self._change.notify_all()

    def grow(self, admission: Admission, size: int) -> None:
        """The response has so many bytes by now. Raises `OverBudget` where they do not fit beside those of others; a
        response that is alone may have any size."""
        if size <= admission.held:
            return
        with self._change:
            if self._admitted > 1 and self._held - admission.held + size > self.total:
                raise OverBudget(size)
            self._held += size - admission.held
            admission.held = size


class ResponseSizes:
    """How many bytes a page of one stream has lately had at the most, and an object in it. Safe between threads: a
    lost update only makes the next estimate a little worse."""

    def __init__(self) -> None:
        self._page = float(_FIRST_GUESS)
        self._object = 0.0

    def expected(self, pages: int) -> int:
        """Bytes of a response with so many pages."""
        return math.ceil(self._page * pages)

    def learn_page(self, size: float) -> None:
        """A page had so many bytes, or at least so many."""
        self._page = max(size, self._page * _FORGETTING)

    def learn_objects(self, objects: int, size: int) -> None:
        """A page of so many objects had so many bytes."""
        if objects:
            self._object = max(size / objects, self._object * _FORGETTING)

    def objects_in(self, size: int) -> int:
        """How many objects a page of so many bytes holds."""
        return max(1, int(size // self._object)) if self._object else 2**31
