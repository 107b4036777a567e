"""How far a stream has been read, from one sync to the next: what Airbyte keeps as its state.

    {"version": 1, "asked": "…", "since": "a delta token, or a moment"}
    {"version": 1, "asked": "…", "since": {"a moment": "digests of the owners read since then"}}

`asked` is the fingerprint of what is requested: records and columns depend on the configuration, so a state that was
saved under another one is rejected. A state moves only after the records that it covers were handed over.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

VERSION = 1

UPDATED_AT, DELETED_AT = "_ab_cdc_updated_at", "_ab_cdc_deleted_at"
"""When a row of a stream with deletes was read, and when it was found to be deleted; the names are Airbyte's."""

_DIGEST_BYTES = 9
_DIGEST_LENGTH = 12
"""Characters that stand for an owner. Ids of chats have a hundred, and states are sent again and again; that two of a
million owners meet in 72 bits has a chance of one in ten billion."""


def digest(*parts: Any) -> str:
    return urlsafe_b64encode(blake2b(orjson.dumps(parts), digest_size=_DIGEST_BYTES).digest()).decode()


class Rejected(Exception):
    """A state that is of no use, and why."""


class StreamCursor(ABC):
    """Where a stream stands. Safe between threads."""

    def __init__(self, fingerprint: str) -> None:
        """`fingerprint` stands for the configuration under which the stream is read."""
        self._fingerprint = fingerprint
        self._lock = threading.Lock()

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on where the last sync stopped. Raises `Rejected` where that cannot be, and stays at the start."""
        if state.get("version") != VERSION:
            raise Rejected(f"it has version {state.get('version')!r} instead of {VERSION}")
        if state.get("asked") != self._fingerprint:
            raise Rejected("other properties or other settings were in use then")
        try:
            self._restore(state["since"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Rejected("it is malformed") from None

    @property
    def state(self) -> dict[str, Any]:
        with self._lock:
            return {"version": VERSION, "asked": self._fingerprint, "since": self._since()}

    @abstractmethod
    def since(self, owner: str = "") -> str | None:
        """From where to read; None means from the beginning."""

    @abstractmethod
    def move(self, done: Mapping[str, str]) -> None:
        """These have been read, and their records handed over."""

    @abstractmethod
    def close(self) -> None:
        """The whole stream has been read."""

    @abstractmethod
    def _restore(self, since: Any) -> None: ...

    @abstractmethod
    def _since(self) -> Any: ...


class OneCursor(StreamCursor):
    """One position for a whole stream. It moves along stretches, each from one position to the next; a stretch that is
    read before the one that leads to it waits for that."""

    def __init__(self, fingerprint: str, *, of_time: bool = False) -> None:
        """`of_time` says that positions are moments."""
        super().__init__(fingerprint)
        self._of_time = of_time
        self._position = ""
        self._ahead: dict[str, str] = {}

    def since(self, owner: str = "") -> str | None:
        return self._position or None

    def move(self, done: Mapping[str, str]) -> None:
        with self._lock:
            self._ahead.update(done)
            while self._position in self._ahead:
                self._position = self._ahead.pop(self._position)

    def close(self) -> None:
        """There is no owner to forget."""

    def _restore(self, since: Any) -> None:
        if not isinstance(since, str):
            raise TypeError
        if self._of_time and since:
            datetime.fromisoformat(since)
        self._position = since

    def _since(self) -> str:
        return self._position


class CursorOfEach(StreamCursor):
    """A position for each owner. Nearly all share one, for all that are read in one sync get the same; an owner that
    is new has none, and one that failed keeps its own."""

    def __init__(self, fingerprint: str, first: str | None) -> None:
        """`first` is from where to read an owner that is new."""
        super().__init__(fingerprint)
        self._first = first
        self._positions: dict[str, str] = {}
        self._met: set[str] = set()

    def since(self, owner: str = "") -> str | None:
        known_as = digest(owner)
        with self._lock:
            self._met.add(known_as)
            return self._positions.get(known_as, self._first)

    def move(self, done: Mapping[str, str]) -> None:
        with self._lock:
            self._positions.update((digest(owner), position) for owner, position in done.items())

    def close(self) -> None:
        """Forget the owners that there are no longer."""
        with self._lock:
            self._positions = {owner: self._positions[owner] for owner in self._met if owner in self._positions}

    def _restore(self, since: Any) -> None:
        for position in since:
            datetime.fromisoformat(position)
        self._positions = {
            owners[start : start + _DIGEST_LENGTH]: position
            for position, owners in since.items()
            for start in range(0, len(owners), _DIGEST_LENGTH)
        }

    def _since(self) -> dict[str, str]:
        owners: defaultdict[str, list[str]] = defaultdict(list)
        for owner, position in self._positions.items():
            owners[position].append(owner)
        return {position: "".join(sorted(owners[position])) for position in sorted(owners)}


@dataclass(frozen=True, slots=True)
class Progress:
    """What reading one slice of a stream starts from and has come to."""

    cursor: StreamCursor
    done: dict[str, str] = field(default_factory=dict)

    def since(self, owner: str = "") -> str | None:
        return self.cursor.since(owner)
