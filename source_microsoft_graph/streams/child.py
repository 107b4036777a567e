"""Streams that list what belongs to the objects of another stream."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable
from typing import ClassVar, cast

from airbyte_cdk.sources.streams.http import HttpSubStream

from source_microsoft_graph.batch import MOST
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.sync import Sync


class ChildStream(GraphStream, HttpSubStream, ABC):
    """One listing for each object of the parent stream, twenty of them in a request.

    The placeholder in the path names the slice's key and the column that holds the parent's id.
    """

    parent_class: ClassVar[type[GraphStream]]
    batch_size = MOST

    def __init__(self, sync: Sync, *, keys_only: bool = False) -> None:
        super().__init__(sync, keys_only=keys_only, parent=self.parent_class(sync, keys_only=True))

    def parent_streams(self) -> Iterable[GraphStream]:
        return (cast(GraphStream, self.parent),)

    def owners(self) -> Iterable[str]:
        return cast(GraphStream, self.parent).ids()
