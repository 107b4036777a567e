"""From rows to what is printed, a hundred records at a time.

The CDK hands each record by itself from the worker through a queue to the main thread, wraps it in a message, counts it
and serialises the message: several times the cost of making the record. Here the worker writes the lines, and only
chunks of them go that way. All that the CDK does around records stays the CDK's: partitions, threads, statuses, state.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteRecordMessage,
    AirbyteStreamStatus,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.concurrent_source.concurrent_read_processor import ConcurrentReadProcessor
from airbyte_cdk.sources.concurrent_source.concurrent_source import ConcurrentSource
from airbyte_cdk.sources.message import MessageRepository
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository
from airbyte_cdk.sources.streams.concurrent.cursor import FinalStateCursor
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.concurrent.helpers import get_primary_key_from_stream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.streams.concurrent.partitions.partition_generator import PartitionGenerator
from airbyte_cdk.utils.slice_hasher import SliceHasher
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message

from source_microsoft_graph.streams.base import GraphStream

_RECORDS = 100
"""Records in a chunk."""

QUEUED_CHUNKS = 20
"""Chunks that may wait for the main thread."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records of one stream, as the lines that the protocol prints for them.

    Nulls stay: the CDK's serialiser leaves out those at the top of a record.
    """

    stream: str
    records: int
    lines: bytes

    @classmethod
    def of(cls, stream: str, rows: list[dict[str, Any]]) -> Chunk:
        emitted_at = time.time_ns() // 1_000_000
        lines = [
            orjson.dumps(
                {"type": "RECORD", "record": {"stream": stream, "data": row, "emitted_at": emitted_at}},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for row in rows
        ]
        return cls(stream, len(rows), b"".join(lines))

    def messages(self) -> Iterator[AirbyteMessage]:
        """The records one by one, for who reads the source from Python instead of its output."""
        for line in self.lines.splitlines():
            yield AirbyteMessage(type=Type.RECORD, record=AirbyteRecordMessage(**orjson.loads(line)["record"]))


class _Part(Partition):
    """One slice of a stream. It is read as chunks where the CDK expects records, and nobody on the way looks inside."""

    def __init__(self, stream: GraphStream, stream_slice: Mapping[str, Any]) -> None:
        self._stream = stream
        self._slice = stream_slice
        self._hash = SliceHasher.hash(stream.name, stream_slice)

    def read(self) -> Iterable[Any]:
        """Rows that were read before something failed are handed over before the failure is."""
        rows: list[dict[str, Any]] = []
        failure: Exception | None = None
        try:
            for row in self._stream.read_records(SyncMode.full_refresh, stream_slice=self._slice):
                rows.append(row)
                if len(rows) == _RECORDS:
                    yield Chunk.of(self._stream.name, rows)
                    rows = []
        except Exception as error:
            failure = error
        if rows:
            yield Chunk.of(self._stream.name, rows)
        if failure:
            raise failure

    def to_slice(self) -> Mapping[str, Any]:
        return self._slice

    def stream_name(self) -> str:
        return self._stream.name

    def __hash__(self) -> int:
        return self._hash


class _Parts(PartitionGenerator):
    def __init__(self, stream: GraphStream) -> None:
        self._stream = stream

    def generate(self) -> Iterable[Partition]:
        for stream_slice in self._stream.stream_slices(sync_mode=SyncMode.full_refresh):
            yield _Part(self._stream, stream_slice)


def concurrent(stream: GraphStream, messages: MessageRepository) -> DefaultStream:
    """The stream as the CDK's concurrent reader takes it."""
    return DefaultStream(
        partition_generator=_Parts(stream),
        name=stream.name,
        json_schema=stream.get_json_schema(),
        primary_key=get_primary_key_from_stream(stream.primary_key),
        cursor_field=None,
        logger=stream.logger,
        cursor=FinalStateCursor(stream.name, stream.namespace, messages),
    )


class ChunkReader(ConcurrentSource):
    """The CDK's concurrent reader, which passes chunks on."""

    # The CDK offers no hook for anything but single records here. What it does for a record is done for a chunk.
    def _handle_item(
        self, queue_item: Any, concurrent_stream_processor: ConcurrentReadProcessor
    ) -> Iterable[AirbyteMessage]:
        if not isinstance(queue_item, Chunk):
            yield from super()._handle_item(queue_item, concurrent_stream_processor)
            return
        stream = concurrent_stream_processor._stream_name_to_instance[queue_item.stream]
        if concurrent_stream_processor._record_counter[stream.name] == 0:
            yield as_airbyte_message(stream.as_airbyte_stream(), AirbyteStreamStatus.RUNNING)
        concurrent_stream_processor._record_counter[stream.name] += queue_item.records
        yield queue_item  # type: ignore[misc]


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
