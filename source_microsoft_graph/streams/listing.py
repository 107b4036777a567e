"""One pass over one collection of Graph's, from its first page to its last."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from source_microsoft_graph.errors import ProtocolBroken
from source_microsoft_graph.graph.catalogue import Action, ErrorRule
from source_microsoft_graph.sync.context import Owner
from source_microsoft_graph.sync.cursors import CursorMove

_SMALLER = 4
"""How many times fewer objects are requested after a page was too much for Graph."""

_FRUITLESS_RESTARTS = 3
"""Restarts in a row that brought no new record before the listing is given up."""


class Listing:
    """How far a collection was listed, and what may still be tried when Graph refuses to go on.

    Page tokens expire, `$select` and `$top` are refused, pages prove too large. Each of these means listing the
    collection again from its first page, and a record already emitted must not be emitted again. A page link is
    followed as Graph wrote it: https://learn.microsoft.com/graph/paging
    """

    def __init__(
        self,
        path: str,
        parents: Mapping[str, str],
        selects: Sequence[tuple[str, ...]] = ((),),
        page_size: int | None = None,
        query: Mapping[str, str] | None = None,
        *,
        since: str | None = None,
        move: CursorMove | None = None,
    ) -> None:
        """`parents` holds the owner's id for each placeholder of the path. `selects` are the sets of properties to
        request, each smaller than the one before; an empty one requests Graph's default properties. `query` holds the
        other options. `since` is from where on changes are requested. `move` is what happens to the stream's cursor
        once all listings of the same owner were read to their ends."""
        self.path = path
        self.parents = parents
        self.link: str | None = None
        self.page_size = page_size
        self.query = query or {}
        self.since = since
        self.move = move
        self.delta_token = ""
        self.child_listings: Callable[[dict[str, Any]], Iterable[Listing]] | None = None
        """Set where a record is no record of the stream but leads to further listings, as a folder does."""
        self.next_listings: Callable[[], Iterable[Listing]] = tuple
        """The listings to read once this one was read to its end."""
        self._selects = list(selects)
        self._emitted = array("q")
        self._emitted_before: set[int] = set()
        self._emitted_at_restart = -1
        self._fruitless_restarts = 0
        self._followed: set[int] = set()

    @property
    def select(self) -> tuple[str, ...]:
        return self._selects[0]

    @property
    def may_select_less(self) -> bool:
        return self.link is None and len(self._selects) > 1

    @property
    def owner(self) -> Owner:
        """Whose collection this is; empty for the tenant's own."""
        return tuple(self.parents.values())

    @property
    def owner_name(self) -> str:
        """The owner in words."""
        return ", ".join(f"{key.removesuffix('_id')} {value.strip('/')}" for key, value in self.parents.items())

    @property
    def may_shrink(self) -> bool:
        return self.page_size is not None and self.page_size > 1

    def advance(self, link: str) -> None:
        """Move on to the next page, empty or not. Raises where a link leads to a page that was read before."""
        if hash(link) in self._followed:
            raise ProtocolBroken("Graph sent a link to a page of the same listing that was read before.")
        self._followed.add(hash(link))
        self.link = link

    def adapt(self, rule: ErrorRule) -> bool:
        """Prepare to list again from the first page in the way this rule asks for; False if there is none."""
        match rule.action:
            case Action.RESTART if self.link is not None and self._may_restart():
                pass
            case Action.SHRINK | Action.CORRUPT if self.page_size is not None and self.page_size > 1:
                self.page_size = max(1, self.page_size // _SMALLER)
            case Action.UNPAGE if self.page_size is not None:
                self.page_size = None
            case _:
                return False
        self._start_again()
        return True

    def select_less(self) -> tuple[str, ...]:
        """Request the next smaller set of properties; returns the ones left out."""
        dropped, kept = self._selects[0], self._selects[1]
        del self._selects[0]
        self._start_again()
        return tuple(name for name in dropped if name not in kept)

    def unread(self, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The records this listing has not emitted before it started again; of each an eight-byte hash is kept."""
        for record in records:
            if "id" not in record:
                yield record
            elif (mark := hash(record["id"])) not in self._emitted_before:
                self._emitted.append(mark)
                yield record

    def _may_restart(self) -> bool:
        """A token that keeps dying at the same page would restart the listing for ever."""
        self._fruitless_restarts = self._fruitless_restarts + 1 if len(self._emitted) == self._emitted_at_restart else 0
        self._emitted_at_restart = len(self._emitted)
        return self._fruitless_restarts < _FRUITLESS_RESTARTS

    def _start_again(self) -> None:
        self.link = None
        self._followed.clear()
        self._emitted_before = set(self._emitted)
