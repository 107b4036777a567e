"""What a sync says of itself while it runs: how far each stream is, and which streams wait for a limit of Graph's."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStreamStatus,
    AirbyteStreamStatusReason,
    AirbyteStreamStatusReasonType,
    StreamDescriptor,
)
from airbyte_cdk.sources.message import MessageRepository
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message
from airbyte_protocol_dataclasses.models.airbyte_protocol import AirbyteStreamStatusRateLimitedReason

from source_microsoft_graph.read.handover import HandoverClosed
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.sync.context import Sync

_EVERY = 60.0
"""Seconds between two lines about one stream."""

_LOOK_EVERY = 1.0

_WORTH_TELLING = 5.0
"""Seconds of waiting for a limit that the platform is told of."""


class ProgressReporter:
    """A line a minute about each stream that is under way, from a thread of its own: while every worker waits for
    Graph, no other thread would say so."""

    def __init__(
        self, streams: Iterable[GraphStream], sync: Sync, messages: MessageRepository, logger: logging.Logger
    ) -> None:
        self._under_way = {stream.name: stream for stream in streams}
        self._clock, self._limiter = sync.clock, sync.limiter
        self._messages, self._logger = messages, logger
        self._records: Counter[str] = Counter()
        self._told = self._clock.now()
        self._told_records: Counter[str] = Counter()
        self._waits_until: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def __enter__(self) -> ProgressReporter:
        try:
            self._thread.start()
        except RuntimeError as error:
            self._logger.warning(f"Nothing is said of progress, for this machine starts no further thread: {error}.")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def records(self, stream: str, number: int) -> None:
        with self._lock:
            self._records[stream] += number

    def ended(self, stream: str) -> None:
        with self._lock:
            self._under_way.pop(stream, None)

    def unfinished(self) -> list[GraphStream]:
        """The streams that have not ended."""
        with self._lock:
            return list(self._under_way.values())

    def is_outdated(self, message: AirbyteMessage) -> bool:
        """Whether a message that this reporter emitted says of a stream that it runs, and the stream has ended since.

        The main thread asks when it takes the message off the queue. The reporter cannot emit under its lock instead:
        the queue is bounded, and `ended` is called by the queue's only consumer.
        """
        status = message.trace.stream_status if message.trace else None
        if not status or status.status is not AirbyteStreamStatus.RUNNING:
            return False
        with self._lock:
            return status.stream_descriptor.name not in self._under_way

    def _run(self) -> None:
        with suppress(HandoverClosed):
            while not self._over.wait(_LOOK_EVERY):
                self.look()

    def look(self) -> None:
        """Say what there is to say by now."""
        with self._lock:
            now, records = self._clock.now(), self._records.copy()
        streams = self.unfinished()
        for stream in streams:
            waits = self._limiter.delay(stream.service)
            # Once for each wait, however often it is looked at.
            if waits >= _WORTH_TELLING and self._waits_until.get(stream.name, now) <= now:
                self._waits_until[stream.name] = now + waits
                self._tell_platform(stream, waits)
        if now - self._told < _EVERY:
            return
        for stream in streams:
            new = records[stream.name] - self._told_records[stream.name]
            so_far = f"{records[stream.name]:,} records so far, {new / (now - self._told):,.0f} a second"
            if self._waits_until.get(stream.name, now) > now:
                so_far += f", waiting for Graph's limit of {stream.service.value.name}"
            self._logger.info(f"{stream.name}: {so_far}.")
        self._told, self._told_records = now, records

    def _tell_platform(self, stream: GraphStream, waits: float) -> None:
        reason = AirbyteStreamStatusReason(
            type=AirbyteStreamStatusReasonType.RATE_LIMITED,
            rate_limited=AirbyteStreamStatusRateLimitedReason(quota_reset=int((time.time() + waits) * 1000)),
        )
        self._messages.emit_message(
            as_airbyte_message(StreamDescriptor(name=stream.name), AirbyteStreamStatus.RUNNING, [reason])
        )
