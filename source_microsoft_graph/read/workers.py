"""The threads of a read: which work runs beside which, and what happens where a machine starts no more threads.

The pools of `concurrent.futures` are not used. Python waits for their threads when it ends, and a thread may wait for
Graph for minutes; and where a thread cannot be started, `submit` raises after it has taken the work.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from airbyte_cdk.sources.concurrent_source.thread_pool_manager import ThreadPoolManager

from source_microsoft_graph.errors import OutOfResources
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.read.handover import HandoverClosed

_MOST_WAITING = 1_000
"""Partitions of a service that may wait for a thread. The CDK lets ten thousand of all streams together wait, so that
those of a service that answers a few requests a second would keep other services without work."""

_Task = Callable[[], object]

_Kind = Service | None
"""The service that reading a partition asks; None for finding the partitions of a stream."""


class Workers(ThreadPoolManager):
    """Threads for each service, so that a worker that waits for one service never keeps another service waiting, and a
    thread for each stream to find its partitions. The client bounds the number of requests under way.

    A thread is started when there is work and none is idle. Fewer will do: one that finds partitions, because the
    partitions of a stream depend at most on streams before it, and one that reads any service without a thread of its
    own. All are daemons: nothing waits for their end.
    """

    # The CDK's own makes a pool of `concurrent.futures`.
    def __init__(self, streams: int, services: Iterable[Service], workers: int, logger: logging.Logger) -> None:
        """`services` are those that the streams ask, `workers` the most threads for each."""
        self._services = tuple(services)
        self._most: dict[_Kind, int] = {None: streams, **dict.fromkeys(self._services, workers)}
        self._logger = logger
        self._tasks: dict[_Kind, deque[_Task]] = {kind: deque() for kind in self._most}
        self._threads: Counter[_Kind] = Counter()
        self._idle: Counter[_Kind] = Counter()
        self._unfinished = 0
        self._is_short = False
        self._is_closed = False
        lock = threading.RLock()
        self._changed, self._room = threading.Condition(lock), threading.Condition(lock)

    def start(self, died: Callable[[BaseException], None]) -> None:
        """Start a thread for each service and one that finds partitions. `died` is told of what ended a thread.

        Raises `OutOfResources` where there are not even two threads.
        """
        self._died = died
        first, *others = self._services
        with self._changed:
            for kind in (first, None, *others):
                self._start_thread(kind)
        if not (self._threads[None] and self._threads[first]):
            raise OutOfResources("This machine starts no further thread, and a sync needs at least two.")

    def wait_for_room(self, service: Service) -> None:
        """Wait while many partitions of this service wait already."""
        with self._room:
            while len(self._tasks[service]) >= _MOST_WAITING and not self._is_closed:
                self._room.wait()

    def submit(self, function: Callable[..., object], *args: Any) -> None:
        """Takes a partition to be read, or a stream whose partitions are to be found, as the first argument."""
        kind: _Kind = getattr(args[0], "service", None)
        with self._changed:
            self._tasks[kind].append(partial(function, *args))
            self._unfinished += 1
            if self._idle[kind] < len(self._tasks[kind]) and self._threads[kind] < self._most[kind]:
                self._start_thread(kind)
            self._changed.notify_all()

    def _start_thread(self, kind: _Kind) -> None:
        name = f"reader of {kind.value.name}" if kind else "finder of partitions"
        try:
            threading.Thread(target=self._work, args=(kind,), name=name, daemon=True).start()
        except RuntimeError as error:
            if not self._is_short:
                started = self._threads.total()
                self._logger.warning(f"This machine starts no more than {started} threads ({error}): the sync is slow.")
            self._is_short = True
        else:
            self._threads[kind] += 1

    def _work(self, kind: _Kind) -> None:
        while task := self._next_task(kind):
            try:
                task()
            except HandoverClosed:
                return
            except BaseException as death:
                self._died(death)
                return
            del task
            with self._changed:
                self._unfinished -= 1

    def _next_task(self, kind: _Kind) -> _Task | None:
        with self._changed:
            self._idle[kind] += 1
            while not self._is_closed:
                for waiting in (kind, *self._without_thread(kind)):
                    if self._tasks[waiting]:
                        self._idle[kind] -= 1
                        self._room.notify_all()
                        return self._tasks[waiting].popleft()
                self._changed.wait()
            return None

    def _without_thread(self, kind: _Kind) -> list[_Kind]:
        """The services that a thread of this kind has to read as well."""
        if kind is None or not self._is_short:
            return []
        return [service for service in self._services if not self._threads[service]]

    # What else the CDK asks of it.

    def prune_to_validate_has_reached_futures_limit(self) -> bool:
        return self._unfinished >= self.DEFAULT_MAX_QUEUE_SIZE

    def is_done(self) -> bool:
        return self._unfinished == 0

    def check_for_errors_and_shutdown(self) -> None:
        self.close()

    def close(self) -> None:
        """Begin nothing more. Threads end once what they do ends."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._room.notify_all()
