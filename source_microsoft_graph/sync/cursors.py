"""How far a stream was read, from one sync to the next: what Airbyte keeps as its state.

    {"version": 1, "asked": "…", "since": "a delta token, or a time"}
    {"version": 1, "asked": "…", "since": {"a time or a delta token": "digests of the owners read then"}}

`asked` is the fingerprint of what is requested: records and columns depend on the configuration, so a state that was
saved under another one is rejected. A state moves only after the records that it covers were handed over.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from source_microsoft_graph.sync.digests import DIGEST_BYTES, DigestMap, digest_of

VERSION = 1

UPDATED_AT, DELETED_AT = "_ab_cdc_updated_at", "_ab_cdc_deleted_at"
"""When a record of a stream with deletes was read, and when its object was found to be deleted; Airbyte's names."""


def digest(*parts: Any) -> str:
    """Twelve characters that stand for these JSON values. The id of a chat has a hundred, and states are emitted again
    and again."""
    return _text(digest_of(*parts))


def _text(digests: bytes | bytearray) -> str:
    """Digests as a state has them: nine bytes of each make twelve characters of their own."""
    return urlsafe_b64encode(digests).decode()


class Rejected(Exception):
    """A state that cannot be used, and why."""


class CursorMove(NamedTuple):
    """What a listing moves once it was read to its end: the position of this key becomes `position`. The key is an
    owner, or in a stream with one position the position at which the listing begins."""

    key: Any
    position: str


class StreamCursor(ABC):
    """How far one stream was read. Safe between threads."""

    def __init__(self, fingerprint: str) -> None:
        """`fingerprint` stands for the configuration under which the stream is read."""
        self._fingerprint = fingerprint
        self._lock = threading.Lock()

    def resume(self, state: Mapping[str, Any]) -> None:
        """Continue from the last sync's state. Raises `Rejected` where that cannot be, and stays at the start."""
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
    def since(self, owner: tuple[str, ...] = ()) -> str | None:
        """From where to read; None means from the beginning."""

    def is_known(self, owner: tuple[str, ...]) -> bool:
        """Whether the owner was read before."""
        return self.since(owner) is not None

    @abstractmethod
    def move(self, done: Mapping[Any, str]) -> None:
        """These were read, and their records handed over."""

    @abstractmethod
    def close(self) -> None:
        """The whole stream was read."""

    @abstractmethod
    def _restore(self, since: Any) -> None: ...

    @abstractmethod
    def _since(self) -> Any: ...


def _check_time(position: str) -> None:
    """Raises `ValueError` for what is no time since 1970: a look-back would lead before the first year there is."""
    if datetime.fromisoformat(position).year < 1970:
        raise ValueError


class SingleCursor(StreamCursor):
    """One position for a whole stream. The position advances over contiguous ranges only; a range that finishes early
    is held until its predecessor is done."""

    def __init__(self, fingerprint: str, *, of_time: bool = False) -> None:
        """`of_time` says that positions are times."""
        super().__init__(fingerprint)
        self._of_time = of_time
        self._position = ""
        self._finished: dict[Any, str] = {}

    def since(self, owner: tuple[str, ...] = ()) -> str | None:
        return self._position or None

    def move(self, done: Mapping[Any, str]) -> None:
        """`done` maps the position at which each range begins to the one at which it ends."""
        with self._lock:
            self._finished.update(done)
            while self._position in self._finished:
                self._position = self._finished.pop(self._position)

    def close(self) -> None:
        """There is no owner to forget."""

    def _restore(self, since: Any) -> None:
        if not isinstance(since, str):
            raise TypeError
        if self._of_time and since:
            _check_time(since)
        self._position = since

    def _since(self) -> str:
        return self._position


class PerOwnerCursor(StreamCursor):
    """A position for each owner. Nearly all owners share one, for all that are read in one sync get the same; a new
    owner has none, and one whose listing failed keeps its own."""

    def __init__(self, fingerprint: str, first: str | None, *, of_time: bool = True, forgets: bool = True) -> None:
        """`first` is from where to read a new owner. `of_time` says that positions are times, and not delta tokens;
        `forgets` that each sync meets all owners there are."""
        super().__init__(fingerprint)
        self._first = first
        self._of_time = of_time
        self._forgets = forgets
        self._owners = _Owners()

    def since(self, owner: tuple[str, ...] = ()) -> str | None:
        key = digest_of(*owner)
        with self._lock:
            position = self._owners.meet(key)
        return self._first if position is None else position

    def is_known(self, owner: tuple[str, ...]) -> bool:
        """Whether the owner was read before."""
        with self._lock:
            return self._owners.knows(digest_of(*owner))

    def positions(self) -> list[str]:
        """The positions that owners have, that of most owners first."""
        with self._lock:
            return self._owners.positions()

    def forget(self, position: str) -> None:
        """The owners at this position are new owners again."""
        with self._lock:
            self._owners = self._owners.those(lambda its, _: its != position)

    def move(self, done: Mapping[Any, str]) -> None:
        """`done` maps owners to their positions."""
        with self._lock:
            for owner, position in done.items():
                self._owners.put(digest_of(*owner), position, is_met=True)

    def close(self) -> None:
        """Forget the owners that no longer exist."""
        if not self._forgets:
            return
        with self._lock:
            self._owners = self._owners.those(lambda _, is_met: is_met)

    def _restore(self, since: Any) -> None:
        owners = _Owners()
        for position, text in since.items():
            if self._of_time:
                _check_time(position)
            digests = urlsafe_b64decode(text)
            for start in range(0, len(digests), DIGEST_BYTES):
                owners.put(digests[start : start + DIGEST_BYTES], position, is_met=False)
        self._owners = owners

    def _since(self) -> dict[str, str]:
        return self._owners.texts()


class _Owners:
    """Owners by their digests: the position of each, and whether this sync has met it."""

    def __init__(self) -> None:
        self._numbers = DigestMap()
        """Twice the number of a position, and one more for an owner that was met."""
        self._positions: list[str] = []
        self._number_of: dict[str, int] = {}

    def put(self, owner: bytes, position: str, *, is_met: bool) -> None:
        number = self._number_of.setdefault(position, len(self._positions))
        if number == len(self._positions):
            self._positions.append(position)
        self._numbers.put(owner, 2 * number + is_met)

    def meet(self, owner: bytes) -> str | None:
        """Its position, or None where it has none. It counts as met."""
        number = self._numbers.get(owner)
        if number is None:
            return None
        if not number % 2:
            self._numbers.put(owner, number + 1)
        return self._positions[number // 2]

    def knows(self, owner: bytes) -> bool:
        return self._numbers.get(owner) is not None

    def positions(self) -> list[str]:
        """That of most owners first."""
        owners = Counter(number // 2 for _, number in self._numbers)
        return [self._positions[number] for number, _ in owners.most_common()]

    def those(self, stays: Callable[[str, bool], bool]) -> _Owners:
        """The owners that stay, by their position and whether they were met."""
        owners = _Owners()
        for owner, number in self._numbers:
            position, is_met = self._positions[number // 2], bool(number % 2)
            if stays(position, is_met):
                owners.put(owner, position, is_met=is_met)
        return owners

    def texts(self) -> dict[str, str]:
        """The digests of the owners at each position."""
        digests: defaultdict[int, bytearray] = defaultdict(bytearray)
        for owner, number in self._numbers:
            digests[number // 2] += owner
        texts = {self._positions[number]: _text(them) for number, them in digests.items()}
        return dict(sorted(texts.items()))


@dataclass(frozen=True, slots=True)
class SliceProgress:
    """Where reading one slice of a stream starts, and what of it was read to the end."""

    cursor: StreamCursor
    done: dict[Any, str] = field(default_factory=dict)

    def since(self, owner: tuple[str, ...] = ()) -> str | None:
        return self.cursor.since(owner)
