"""One pass over one collection of Graph's, from its first page to its last."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from source_microsoft_graph.errors import Action, ErrorRule, ProtocolBroken

_SMALLER = 4
"""How many times fewer rows are asked for after a page was too much for Graph."""

_FRUITLESS_RESTARTS = 3
"""Restarts in a row that brought no new row before the listing is given up."""


class Listing:
    """Where a listing stands, and what it may still try when Graph refuses to go on.

    Page tokens expire, `$select` and `$top` get refused, pages prove too large. Each of these means reading the
    collection again from its first page, and a row already emitted must not be emitted again. A page token is
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
        mark: tuple[str, str] | None = None,
    ) -> None:
        """`parents` names whose collection this is. `selects` are the sets of properties to ask for, each smaller
        than the one before; an empty one asks for Graph's default properties. `query` holds its other options.
        `since` is from where on changes are asked for. `mark` says where a stream's cursor moves to, and from which
        position or whose, once this listing was read to its end."""
        self.path = path
        self.parents = parents
        self.link: str | None = None
        self.page_size = page_size
        self.query = query or {}
        self.since = since
        self.mark = mark
        self.delta_token = ""
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
    def owner(self) -> str:
        """Whose collection this is, in words; empty for the tenant's own."""
        return ", ".join(f"{key.removesuffix('_id')} {value.strip('/')}" for key, value in self.parents.items())

    @property
    def key(self) -> str:
        """What the listings of one owner have in common."""
        return self.mark[0] if self.mark else self.owner

    @property
    def may_shrink(self) -> bool:
        return self.page_size is not None and self.page_size > 1

    def advance(self, link: str) -> None:
        """Move on to the next page, empty or not. Raises where Graph would have us read in circles."""
        if hash(link) in self._followed:
            raise ProtocolBroken("Graph sent a link to a page of the same listing that was read before.")
        self._followed.add(hash(link))
        self.link = link

    def adapt(self, rule: ErrorRule) -> bool:
        """Prepare to read again from the first page in the way this answer asks for; False if there is none."""
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
        """Ask for the next smaller set of properties; returns the ones left out."""
        dropped, kept = self._selects[0], self._selects[1]
        del self._selects[0]
        self._start_again()
        return tuple(name for name in dropped if name not in kept)

    def unread(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows this listing has not emitted before it started again; of each an eight-byte hash is kept."""
        for row in rows:
            if "id" not in row:
                yield row
            elif (mark := hash(row["id"])) not in self._emitted_before:
                self._emitted.append(mark)
                yield row

    def _may_restart(self) -> bool:
        """A token that keeps dying at the same place would restart the listing for ever."""
        self._fruitless_restarts = self._fruitless_restarts + 1 if len(self._emitted) == self._emitted_at_restart else 0
        self._emitted_at_restart = len(self._emitted)
        return self._fruitless_restarts < _FRUITLESS_RESTARTS

    def _start_again(self) -> None:
        self.link = None
        self._followed.clear()
        self._emitted_before = set(self._emitted)
