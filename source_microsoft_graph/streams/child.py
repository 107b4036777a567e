"""Streams that list what belongs to the objects of another stream."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable
from typing import ClassVar, cast

from airbyte_cdk.sources.streams.http import HttpSubStream

from source_microsoft_graph.graph.batch import MAX_BATCH
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.sync.context import Owner, Sync


class ChildStream(GraphStream, HttpSubStream, ABC):
    """One listing for each object of the parent stream, many of them in a batch.

    Each placeholder in the path names the slice's key and the column that holds a parent's id. The parent may be a
    child itself: its own parents' ids come first.
    """

    parent_class: ClassVar[type[GraphStream]]
    batch_size = MAX_BATCH

    def __init__(self, sync: Sync, *, keys_only: bool = False) -> None:
        super().__init__(sync, keys_only=keys_only, parent=self.parent_class(sync, keys_only=True))

    def parents(self) -> Iterable[GraphStream]:
        return (cast(GraphStream, self.parent),)

    def owners(self) -> Iterable[Owner]:
        return cast(GraphStream, self.parent).object_keys()
