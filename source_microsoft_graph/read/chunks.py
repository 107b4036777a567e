"""Records as they are printed: lines of the Airbyte protocol, many at a time.

The CDK passes each record by itself through a queue to the main thread, wraps it in a message, counts it and serialises
the message: several times the cost of making the record. Here the worker writes the lines, and the queue gets chunks of
them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, Type

CHUNK_BYTES = 64 * 1024
"""Bytes of records from which on a chunk is handed over."""

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
    def of(cls, stream: str, records: list[bytes]) -> Chunk:
        """`records` are JSON objects, at least one. What stands around each is the same for all."""
        head = b'{"type":"RECORD","record":{"stream":%b,"data":' % orjson.dumps(stream)
        tail = b',"emitted_at":%d}}\n' % (time.time_ns() // 1_000_000)
        return cls(stream, len(records), head + (tail + head).join(records) + tail)

    def messages(self) -> Iterator[AirbyteMessage]:
        """The records one by one, for who reads the source from Python instead of its output."""
        for line in self.lines.splitlines():
            yield AirbyteMessage(type=Type.RECORD, record=AirbyteRecordMessage(**orjson.loads(line)["record"]))
