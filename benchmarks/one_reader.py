"""The connector as it would be with plain GETs and one reader: what batching and concurrency gain.

Every stream's `batch_size` is 1, and one partition is read at a time. The CDK needs two threads at least; both wait
for the same lock before they read a partition, so that the second one does nothing but list parents.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from airbyte_cdk.sources.streams.concurrent.partition_reader import PartitionReader

from source_microsoft_graph.run import run
from source_microsoft_graph.streams import STREAMS

if __name__ == "__main__":
    reading, process_partition = Lock(), PartitionReader.process_partition

    def one_at_a_time(self: PartitionReader, *arguments: Any) -> None:
        with reading:
            process_partition(self, *arguments)

    PartitionReader.process_partition = one_at_a_time  # type: ignore[method-assign, assignment]
    for stream in STREAMS:
        if hasattr(stream, "batch_size"):
            stream.batch_size = 1
    run()
