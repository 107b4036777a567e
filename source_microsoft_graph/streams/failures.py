"""Failures that wait until everything else was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from source_microsoft_graph.errors import GraphError

T = TypeVar("T")


def collecting(failures: list[GraphError], items: Iterable[T]) -> Iterator[T]:
    """The items; what ends them is added to the failures."""
    try:
        yield from items
    except GraphError as failure:
        failures.append(failure)


def raise_first(failures: list[GraphError]) -> None:
    """Raise the first of these, if there is any."""
    if failures:
        raise failures[0]
