"""The CDK's concurrent reader, fitted to Graph: how records and states reach the thread that prints them.

Partitions and statuses stay the CDK's. Three things differ: records come as chunks of printed lines, each service of
Graph has threads of its own, and a read can be told to end early.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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

from source_microsoft_graph.errors import OutOfResources, ProtocolBroken
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.read.chunks import CHUNK_BYTES, QUEUED_CHUNKS, Chunk
from source_microsoft_graph.read.handover import Handover, LastItem, ReadStopped
from source_microsoft_graph.read.progress import ProgressReporter
from source_microsoft_graph.read.workers import Workers
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.lines import to_line
from source_microsoft_graph.sync.context import Sync
from source_microsoft_graph.sync.cursors import SliceProgress, StreamCursor

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
        self._handover = Handover(QUEUED_CHUNKS)
        self.messages = OrderedMessages(self._handover, InMemoryMessageRepository())
        self._reporter = ProgressReporter(streams, sync, self.messages, logger)
        self._workers = Workers(
            len(streams), dict.fromkeys(stream.service for stream in streams), sync.config.num_workers, logger
        )
        self._cursors = {
            stream: _IncrementalCursor(stream, self.messages, self._reporter, stream_cursor)
            if stream_cursor
            else _FullRefreshCursor(stream, self.messages, self._reporter)
            for stream, stream_cursor in streams.items()
        }
        super().__init__(
            self._workers,
            logger,
            queue=self._handover,
            message_repository=self.messages,
            # Each stream finds its partitions on a thread of its own.
            initial_number_partitions_to_generate=len(streams),
        )

    def read_chunks(self) -> Iterator[AirbyteMessage | Chunk]:
        """Raises `ReadStopped` after `stop`. Whatever ends the read, each stream that it began gets a last status."""
        self._workers.start(self._worker_died)
        try:
            with self._reporter:
                yield from self.read([self._concurrent(stream, cursor) for stream, cursor in self._cursors.items()])
        except Exception:
            yield from self._end_unfinished_streams()
            raise
        finally:
            self._handover.close()
            self._workers.close()

    def stop(self) -> None:
        """End the read, from any thread, without waiting for a worker. Records that were not printed are dropped."""
        self._handover.close(LastItem(ReadStopped("The read was told to end.")))

    def _worker_died(self, death: BaseException) -> None:
        """Its streams would never end."""
        self._handover.close(LastItem(RuntimeError(f"A thread of the read ended: {death!r}")))

    def _end_unfinished_streams(self) -> Iterator[AirbyteMessage]:
        """The last state of each stands for records that were printed."""
        for stream in self._reporter.unfinished():
            self._cursors[stream].emit_last_state()
            yield from self.messages.consume_queue()
            yield as_airbyte_message(StreamDescriptor(name=stream.name), AirbyteStreamStatus.INCOMPLETE)

    def _concurrent(self, stream: GraphStream, cursor: _FullRefreshCursor) -> DefaultStream:
        """The stream as the CDK's concurrent reader takes it."""
        return DefaultStream(
            partition_generator=_SlicePartitions(stream, cursor, self._workers),
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
        if isinstance(queue_item, LastItem):
            raise queue_item.error
        if isinstance(queue_item, _SliceRead):
            queue_item.cursor.slice_read(queue_item.progress)
            yield from self.messages.consume_queue()
        elif isinstance(queue_item, Chunk):
            yield from self._pass_on(queue_item, concurrent_stream_processor)
        elif not (isinstance(queue_item, AirbyteMessage) and self._reporter.is_outdated(queue_item)):
            yield from _failure_at_the_end(queue_item, concurrent_stream_processor)
            yield from super()._handle_item(queue_item, concurrent_stream_processor)

    def _pass_on(self, chunk: Chunk, processor: ConcurrentReadProcessor) -> Iterator[AirbyteMessage]:
        stream = processor._stream_name_to_instance[chunk.stream]
        if processor._record_counter[stream.name] == 0:
            yield as_airbyte_message(stream.as_airbyte_stream(), AirbyteStreamStatus.RUNNING)
        processor._record_counter[stream.name] += chunk.records
        self._reporter.records(stream.name, chunk.records)
        yield chunk  # type: ignore[misc]
        stream.cursor.printed(chunk)  # type: ignore[attr-defined]


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

    def printed(self, chunk: Chunk) -> None:
        """Records of the stream are out."""

    def slice_read(self, progress: SliceProgress) -> None:
        """All that was read of a slice is out."""

    def emit_last_state(self) -> None:
        """The stream ends without having been read to its end. A full refresh then has no state."""

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
        self._unsaved = 0
        self._worth_saving = _RECORDS_TO_STATE

    def progress(self) -> SliceProgress:
        return SliceProgress(self._stream_cursor)

    def printed(self, chunk: Chunk) -> None:
        self._unsaved += len(chunk.lines)

    def slice_read(self, progress: SliceProgress) -> None:
        self._stream_cursor.move(progress.done)
        if self._unsaved < self._worth_saving:
            return
        state = self._stream_cursor.state
        self._worth_saving = _RECORDS_TO_STATE * (_AROUND_A_STATE + len(orjson.dumps(state)))
        if self._unsaved >= self._worth_saving:
            self._emit(state)

    def emit_last_state(self) -> None:
        self._emit(self._stream_cursor.state)

    def ensure_at_least_one_state_emitted(self) -> None:
        self.end()
        if not self.failure:
            self._stream_cursor.close()
        self.emit_last_state()

    def _emit(self, state: dict[str, Any]) -> None:
        self._unsaved = 0
        stream = AirbyteStreamState(
            stream_descriptor=StreamDescriptor(name=self.stream.name), stream_state=AirbyteStateBlob(state)
        )
        self._messages.emit_message(
            AirbyteMessage(type=Type.STATE, state=AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=stream))
        )


@dataclass(frozen=True, slots=True)
class _SliceRead:
    """Comes after the chunks of a slice, so that the state moves once they are out."""

    cursor: _FullRefreshCursor
    progress: SliceProgress


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
        if progress and not unwritten and not isinstance(failure, OutOfResources):
            yield _SliceRead(self._cursor, progress)
        if failure:
            raise failure

    def to_slice(self) -> Mapping[str, Any]:
        return self._slice

    def stream_name(self) -> str:
        return self._stream.name

    def __hash__(self) -> int:
        return self._hash


class _SlicePartitions(PartitionGenerator):
    def __init__(self, stream: GraphStream, cursor: _FullRefreshCursor, workers: Workers) -> None:
        self._stream = stream
        self._cursor = cursor
        self._workers = workers

    def generate(self) -> Iterable[Partition]:
        try:
            for stream_slice in self._stream.slices(self._cursor.progress()):
                self._workers.wait_for_room(self._stream.service)
                yield _SlicePartition(self._stream, self._cursor, stream_slice)
        except Exception as error:
            self._cursor.failure = error
            raise


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
