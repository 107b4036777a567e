"""Streams that list what belongs to the objects of another stream."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from airbyte_cdk.models import SyncMode
from airbyte_cdk.sources.streams.http import HttpSubStream

from source_microsoft_graph.streams.base import PLACEHOLDER, GraphStream, Slice
from source_microsoft_graph.sync import Sync


class ChildStream(GraphStream, HttpSubStream, ABC):
    """One listing for each object of the parent stream.

    The placeholder in the path names the slice's key, which is the parent's id. A slice holds nothing else:
    the CDK copies, hashes and logs every slice.
    """

    parent_class: ClassVar[type[GraphStream]]

    def __init__(self, sync: Sync, *, keys_only: bool = False) -> None:
        super().__init__(sync, keys_only=keys_only, parent=self.parent_class(sync, keys_only=True))

    def parent_streams(self) -> Iterable[GraphStream]:
        return (cast(GraphStream, self.parent),)

    def stream_slices(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Slice]:
        (placeholder,) = PLACEHOLDER.findall(self.path_template)
        for parent in self.parent_streams():
            for key in parent.ids():
                if self.sync.has_given_up(self.reading):
                    return
                yield {placeholder: key}
