"""What can happen to the objects of a collection between two reads of a tenant.

Each workload says for its collections what can: add, edit, delete, restore or move. Keys are those of the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from .shapes import graph_time
from .state import State

Key = dict[str, str]


class Unchangeable(Exception):
    """What was asked for can't happen in a tenant."""


class Mutations:
    """Objects that cannot change. A subclass defines what can happen to its own."""

    nature = ""

    def __init__(self, state: State, stream: str) -> None:
        self.state, self.stream = state, stream

    def add(self, *_: Any, **where: Any) -> Key:
        """A new object, below the given owner or the first that has no trouble."""
        self.refuse("Nothing can be added")

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        self.refuse("Nothing can be edited")

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        self.refuse("Nothing can be deleted")

    def restore(self, key: Mapping[str, str]) -> None:
        self.refuse("Nothing can be restored")

    def move(self, key: Mapping[str, str]) -> Key:
        """The key that the object has after the move."""
        self.refuse("Nothing can be moved")

    @property
    def possible(self) -> frozenset[str]:
        """Which of add, edit, delete, restore and move can happen to some of the objects at least."""
        verbs = ("add", "edit", "delete", "restore", "move")
        return frozenset(verb for verb in verbs if getattr(type(self), verb) is not getattr(Mutations, verb))

    def refuse(self, what: str) -> NoReturn:
        raise Unchangeable(f"{what} in {self.stream}{self.nature}.")

    def missing(self, key: Mapping[str, str]) -> NoReturn:
        raise KeyError(f"There is no such object in {self.stream}: {dict(key)}.")

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.state.clock(), UTC)

    @property
    def stamp(self) -> str:
        return graph_time(self.now)
