"""Owners in slices: the CDK copies, hashes and logs every slice, so a slice holds ids and nothing else.

{"group_id": ["g1", "g2"]}
{"team_id": ["t1", "t1"], "channel_id": ["c1", "c2"]}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from source_microsoft_graph.errors import GraphError
from source_microsoft_graph.streams.failures import collecting, raise_first
from source_microsoft_graph.sync.context import Owner

Slice = Mapping[str, Any]
"""The ids of some owners, a list for each placeholder of the stream's path; empty for the tenant's own collection."""


def slices_of(owners: Iterable[Owner], placeholders: Sequence[str], size: int) -> Iterator[Slice]:
    """Up to `size` owners a slice. If finding owners fails, the failure is raised after those that were found."""
    chunk: list[Owner] = []
    failures: list[GraphError] = []
    for owner in collecting(failures, owners):
        chunk.append(owner)
        if len(chunk) == size:
            yield _slice(chunk, placeholders)
            chunk = []
    if chunk:
        yield _slice(chunk, placeholders)
    raise_first(failures)


def _slice(owners: Sequence[Owner], placeholders: Sequence[str]) -> Slice:
    return {name: list(ids) for name, ids in zip(placeholders, zip(*owners, strict=True), strict=True)}


def owners_of(stream_slice: Slice) -> Iterator[Owner]:
    """The owners of a slice."""
    return zip(*stream_slice.values(), strict=True)
