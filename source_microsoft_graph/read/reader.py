"""The CDK's concurrent reader, fitted to Graph: what runs on which thread, and how records reach the main thread.

Partitions, statuses, states and the end of a sync stay the CDK's. Two things differ: records come as chunks of printed
lines, and each service of Graph has threads of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, Queue
from typing import Any

import orjson
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteStreamStatus,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.sources.concurrent_source.concurrent_read_processor import ConcurrentReadProcessor
from airbyte_cdk.sources.concurrent_source.concurrent_source import ConcurrentSource
from airbyte_cdk.sources.concurrent_source.partition_generation_completed_sentinel import (
    PartitionGenerationCompletedSentinel,
)
from airbyte_cdk.sources.concurrent_source.stream_thread_exception import StreamThreadException
from airbyte_cdk.sources.concurrent_source.thread_pool_manager import ThreadPoolManager
from airbyte_cdk.sources.message import InMemoryMessageRepository, MessageRepository
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository
from airbyte_cdk.sources.streams.concurrent.cursor import FinalStateCursor
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.concurrent.helpers import get_primary_key_from_stream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.streams.concurrent.partitions.partition_generator import PartitionGenerator
from airbyte_cdk.sources.streams.concurrent.partitions.types import PartitionCompleteSentinel
from airbyte_cdk.utils.slice_hasher import SliceHasher
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message

from source_microsoft_graph.errors import ProtocolBroken
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.read.chunks import CHUNK_BYTES, QUEUED_CHUNKS, Chunk
from source_microsoft_graph.read.progress import ProgressReporter
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.records import to_line
from source_microsoft_graph.sync.context import Sync
from source_microsoft_graph.sync.cursors import SliceProgress, StreamCursor

_DRAIN_SECONDS = 5

_RECORDS_TO_STATE = 25
"""Bytes of records for each byte of a state that is emitted before the end of its stream."""

_AROUND_A_STATE = 250
"""Bytes of a message around a state."""


class ChunkReader(ConcurrentSource):
    """Reads streams at once and passes their records on as chunks."""

    def __init__(
        self,
        streams: Mapping[GraphStream, StreamCursor | None],
        sync: Sync,
        logger: logging.Logger,
    ) -> None:
        """Each stream comes with its cursor if it is read incrementally."""
        self._chunks: Queue[Any] = Queue(QUEUED_CHUNKS)
        self.messages = OrderedMessages(self._chunks, InMemoryMessageRepository())
        self._streams = streams
        self._reporter = ProgressReporter(streams, sync, self.messages, logger)
        super().__init__(
            _Pools(len(streams), sync.config.num_workers, logger),
            logger,
            queue=self._chunks,
            message_repository=self.messages,
            # Each stream finds its partitions on a thread of its own.
            initial_number_partitions_to_generate=len(streams),
        )

    def read_chunks(self) -> Iterator[AirbyteMessage | Chunk]:
        try:
            with self._reporter:
                yield from self.read([self._concurrent(stream, cursor) for stream, cursor in self._streams.items()])
        except (GeneratorExit, KeyboardInterrupt):
            threading.Thread(target=self._drain, daemon=True).start()
            raise

    def _concurrent(self, stream: GraphStream, stream_cursor: StreamCursor | None) -> DefaultStream:
        """The stream as the CDK's concurrent reader takes it."""
        cursor = _FullRefreshCursor(stream, self.messages, self._reporter)
        if stream_cursor:
            cursor = _IncrementalCursor(stream, self.messages, self._reporter, stream_cursor)
        return DefaultStream(
            partition_generator=_SlicePartitions(stream, cursor),
            name=stream.name,
            json_schema=stream.get_json_schema(),
            primary_key=get_primary_key_from_stream(stream.primary_key),
            cursor_field=None,
            logger=stream.logger,
            cursor=cursor,
        )

    # The CDK offers no hook for anything but single records here. What it does for a record is done for a chunk.
    def _handle_item(
        self, queue_item: Any, concurrent_stream_processor: ConcurrentReadProcessor
    ) -> Iterable[AirbyteMessage]:
        if not isinstance(queue_item, Chunk):
            if not (isinstance(queue_item, AirbyteMessage) and self._reporter.is_outdated(queue_item)):
                yield from _failure_at_the_end(queue_item, concurrent_stream_processor)
                yield from super()._handle_item(queue_item, concurrent_stream_processor)
            return
        stream = concurrent_stream_processor._stream_name_to_instance[queue_item.stream]
        if concurrent_stream_processor._record_counter[stream.name] == 0:
            yield as_airbyte_message(stream.as_airbyte_stream(), AirbyteStreamStatus.RUNNING)
        concurrent_stream_processor._record_counter[stream.name] += queue_item.records
        self._reporter.records(stream.name, queue_item.records)
        yield queue_item  # type: ignore[misc]

    def _drain(self) -> None:
        """Free the workers that wait to hand over chunks; Python waits for their threads to end."""
        with suppress(Empty):
            while True:
                self._chunks.get(timeout=_DRAIN_SECONDS)


# The CDK asks nobody whether a stream that ends is whole, and knows of failures only from its threads.
def _failure_at_the_end(item: Any, processor: ConcurrentReadProcessor) -> Iterable[AirbyteMessage]:
    """Of the stream that ends with this item of the queue, if there is one and its owners were all refused."""
    name = _stream_that_ends(item, processor)
    if name is None:
        return
    cursor: Any = processor._stream_name_to_instance[name].cursor
    if not cursor.failure and (failure := cursor.stream.failure_of_all_owners()):
        cursor.failure = failure
        yield from processor.on_exception(StreamThreadException(failure, name))


def _stream_that_ends(item: Any, processor: ConcurrentReadProcessor) -> str | None:
    """The name of the stream whose last partition was read, or that has none."""
    running = processor._streams_to_running_partitions
    if isinstance(item, PartitionGenerationCompletedSentinel):
        return None if running[item.stream.name] else item.stream.name
    if not isinstance(item, PartitionCompleteSentinel):
        return None
    name = item.partition.stream_name()
    is_last = running[name] == {item.partition} and name not in processor._streams_currently_generating_partitions
    return name if is_last else None


class _FullRefreshCursor(FinalStateCursor):
    """Tells a stream when it is over, and emits the one state of a full refresh."""

    def __init__(self, stream: GraphStream, messages: MessageRepository, reporter: ProgressReporter) -> None:
        super().__init__(stream.name, stream.namespace, messages)
        self.failure: Exception | None = None
        self.stream = stream
        self._reporter = reporter

    def progress(self) -> SliceProgress | None:
        """Where an incremental read of a slice starts; None in a full refresh."""
        return None

    def slice_read(self, progress: SliceProgress) -> None:
        """All that was read of a slice has been handed over."""

    def ensure_at_least_one_state_emitted(self) -> None:
        self.end()
        super().ensure_at_least_one_state_emitted()

    def end(self) -> None:
        """The CDK comes here once a stream is over, however it ended."""
        self.stream.ended(self.failure)
        self._reporter.ended(self.stream.name)


class _IncrementalCursor(_FullRefreshCursor):
    """Emits the state of an incremental read, as often as it is worth its bytes, and at the end."""

    def __init__(
        self,
        stream: GraphStream,
        messages: MessageRepository,
        reporter: ProgressReporter,
        stream_cursor: StreamCursor,
    ) -> None:
        super().__init__(stream, messages, reporter)
        self._messages = messages
        self._stream_cursor = stream_cursor
        self._lock = threading.Lock()
        self._unsaved = 0
        self._worth_saving = _RECORDS_TO_STATE

    def progress(self) -> SliceProgress:
        return SliceProgress(self._stream_cursor)

    def observe(self, record: Any) -> None:
        with self._lock:
            self._unsaved += len(record.lines)

    def slice_read(self, progress: SliceProgress) -> None:
        self._stream_cursor.move(progress.done)
        # A state that was drawn up earlier must not come out later.
        with self._lock:
            if self._unsaved < self._worth_saving:
                return
            state = self._stream_cursor.state
            self._worth_saving = _RECORDS_TO_STATE * (_AROUND_A_STATE + len(orjson.dumps(state)))
            if self._unsaved >= self._worth_saving:
                self._emit(state)

    def ensure_at_least_one_state_emitted(self) -> None:
        self.end()
        if not self.failure:
            self._stream_cursor.close()
        with self._lock:
            self._emit(self._stream_cursor.state)

    def _emit(self, state: dict[str, Any]) -> None:
        self._unsaved = 0
        stream = AirbyteStreamState(
            stream_descriptor=StreamDescriptor(name=self.stream.name), stream_state=AirbyteStateBlob(state)
        )
        self._messages.emit_message(
            AirbyteMessage(type=Type.STATE, state=AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=stream))
        )


class _SlicePartition(Partition):
    """One slice of a stream. It is read as chunks where the CDK expects records, and passes them on unread."""

    def __init__(self, stream: GraphStream, cursor: _FullRefreshCursor, stream_slice: Mapping[str, Any]) -> None:
        self._stream = stream
        self._cursor = cursor
        self._slice = stream_slice
        self._hash = SliceHasher.hash(stream.name, stream_slice)

    @property
    def service(self) -> Service:
        return self._stream.service

    def read(self) -> Iterable[Any]:
        """Records that were read before something failed are handed over before the failure is raised, and those beside
        one that cannot be written."""
        lines: list[bytes] = []
        size = 0
        failure: Exception | None = None
        unwritten: ProtocolBroken | None = None
        progress = self._cursor.progress()
        try:
            for record in self._stream.records(self._slice, progress):
                try:
                    line = to_line(record)
                except ProtocolBroken as broken:
                    unwritten = unwritten or ProtocolBroken(f"{self._stream.name}: {broken}")
                    continue
                lines.append(line)
                size += len(line)
                if size >= CHUNK_BYTES:
                    yield Chunk.of(self._stream.name, lines)
                    lines, size = [], 0
        except Exception as error:
            failure = error
        failure = unwritten or failure
        if failure:
            self._cursor.failure = failure
        if lines:
            yield Chunk.of(self._stream.name, lines)
        # Whose record it is that could not be written is not known here, so nobody of the slice counts as read.
        if progress and not unwritten:
            self._cursor.slice_read(progress)
        if failure:
            raise failure

    def to_slice(self) -> Mapping[str, Any]:
        return self._slice

    def stream_name(self) -> str:
        return self._stream.name

    def __hash__(self) -> int:
        return self._hash


class _SlicePartitions(PartitionGenerator):
    def __init__(self, stream: GraphStream, cursor: _FullRefreshCursor) -> None:
        self._stream = stream
        self._cursor = cursor

    def generate(self) -> Iterable[Partition]:
        try:
            for stream_slice in self._stream.slices(self._cursor.progress()):
                yield _SlicePartition(self._stream, self._cursor, stream_slice)
        except Exception as error:
            self._cursor.failure = error
            raise


class _Pools(ThreadPoolManager):
    """Threads for each service, so that a worker that waits for one service never keeps another service waiting, and a
    thread for each stream to find its partitions. The client bounds the number of requests under way."""

    def __init__(self, streams: int, workers: int, logger: logging.Logger) -> None:
        super().__init__(ThreadPoolExecutor(streams, thread_name_prefix="finder"), logger)
        self._pools = {
            service: ThreadPoolExecutor(workers, thread_name_prefix=f"reader of {service.value.name}")
            for service in Service
        }

    def submit(self, function: Callable[..., Any], *args: Any) -> None:
        subject = args[0]
        pool = self._pools[subject.service] if isinstance(subject, _SlicePartition) else self._threadpool
        self._futures.append(pool.submit(function, *args))

    def _shutdown(self) -> None:
        super()._shutdown()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


class OrderedMessages(ConcurrentMessageRepository):
    """Keeps a stream's last STATE before its COMPLETE.

    The CDK emits both from the main thread, the state through the queue and the status directly, so the status
    would overtake. What the main thread emits goes out with the next `consume_queue` instead. And it passes messages
    through a common list, in which one thread can find another's and hand it over too late.
    """

    def emit_message(self, message: AirbyteMessage) -> None:
        self._put_on_queue(message)

    def _put_on_queue(self, message: AirbyteMessage) -> None:
        if threading.get_ident() == self._consumer_thread_id:
            self._pending.append(message)
        else:
            super()._put_on_queue(message)
