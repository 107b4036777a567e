"""One pass over one collection of Graph's, from its first page to its last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

from source_microsoft_graph.errors import Help, ProtocolBroken
from source_microsoft_graph.graph.catalogue import UNSERVED, Action, ErrorRule
from source_microsoft_graph.streams.seen_records import SeenRecords
from source_microsoft_graph.streams.versions import Versions
from source_microsoft_graph.sync.context import Owner
from source_microsoft_graph.sync.cursors import CursorMove

_SMALLER = 4
"""How many times fewer objects are requested after Graph could not serve a page."""

_FRUITLESS_RESTARTS = 3
"""Restarts in a row that brought no new object before the listing is given up."""

_FRUITLESS_PAGES = 1_000
"""Pages in a row that brought no new object before the listing is given up: its links would lead on for ever."""

_STEPS_IN_A_ROW = 3
"""Objects in a row that may be stepped over; more of them are no bad objects but an outage."""

_SHRINKS_IN_AN_OUTAGE = 2
"""Times that pages shrank with none served in between, from which on an outage may be the reason."""


class Listing:
    """How far a collection was listed, and what may still be tried when Graph refuses to go on.

    Page tokens expire, `$select` and `$top` are refused, pages prove too large. Each of these means listing the
    collection again from its first page, and an object already emitted must not be emitted again. A page link is
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
        last_version_counts: bool = False,
        takes_skip: bool = False,
        key_within: tuple[str, ...] = (),
    ) -> None:
        """`parents` holds the owner's id for each placeholder of the path. `selects` are the sets of properties to
        request, each smaller than the one before; an empty one requests Graph's default properties. `query` holds the
        other options. `since` is from where on changes are requested. `move` is what happens to the stream's cursor
        once all listings of the same owner were read to their ends. `last_version_counts` says that the caller reduces
        what is named several times, so that everything is emitted. `takes_skip` says that Graph takes `$skip`.
        `key_within` names the columns with which alone an id is unique in this collection."""
        self.path = path
        self.parents = parents
        self.link: str | None = None
        self.page_size = page_size
        self.query = query or {}
        self.since = since
        self.move = move
        self.delta_token = ""
        self.total: int | None = None
        """How many objects the collection has, as Graph told with the first page; None where it was not asked."""
        self.is_empty = True
        """Whether Graph has listed no object so far."""
        self.child_listings: Callable[[dict[str, Any]], Iterable[Listing]] | None = None
        """Set where a record is no record of the stream but leads to further listings, as a folder does."""
        self.next_listings: Callable[[], Iterable[Listing]] = tuple
        """The listings of the same owner to read once this one was read to its end."""
        self.follows = False
        """Whether another listing of the same owner was read before it."""
        self.is_read = False
        """Whether it was read to its end."""
        self.versions: Versions | None = None
        """Set where the last version of an object counts; several listings of the same read may share it."""
        self._selects = list(selects)
        self._last_version_counts = last_version_counts
        self._takes_skip = takes_skip
        self._key_within = key_within
        self._full_page_size = page_size
        self._seen = SeenRecords()
        self._found = 0
        self._was_served = False
        self._restarts = 0
        self._fruitless_restarts = 0
        self._found_at_restart = -1
        self._fruitless_pages = 0
        self._followed: set[int] = set()
        self._shrinks = 0
        self._may_grow = True
        self._position = 0
        self._skip = 0
        self._suspects: list[int] = []
        self._looks_again = False
        self._broken: dict[int, Help] = {}

    @property
    def select(self) -> tuple[str, ...]:
        return self._selects[0]

    @property
    def options(self) -> Mapping[str, str]:
        """The OData options of the first page beside its size and properties."""
        return {**self.query, "$skip": str(self._skip)} if self._skip else self.query

    @property
    def may_select_less(self) -> bool:
        return self.link is None and not self._was_served and len(self._selects) > 1

    @property
    def owner(self) -> Owner:
        """Whose collection this is; empty for the tenant's own."""
        return tuple(self.parents.values())

    @property
    def owner_name(self) -> str:
        """The owner in words."""
        return ", ".join(f"{key.removesuffix('_id')} {value.strip('/')}" for key, value in self.parents.items())

    @property
    def is_begun(self) -> bool:
        """Whether Graph has served a page of it, or of its owner's first listing. Only before that a refusal can say
        that there is no collection."""
        return self._was_served or self.follows

    @property
    def may_shrink(self) -> bool:
        """Whether the same objects can be requested in another way after Graph could not serve a page."""
        return self.page_size is not None and (self.page_size > 1 or self._may_step_over)

    @property
    def _may_step_over(self) -> bool:
        return self._takes_skip and (self._looks_again or len(self._suspects) < _STEPS_IN_A_ROW)

    # After a page.

    def new_records(self, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The records of a page that this listing has not emitted yet, or not in this version."""
        known: Sized = self._seen if self.versions is None else self.versions
        before = len(known)
        if self.versions is not None:
            yield from self.versions.news(records)
        else:
            for record in records:
                if self._seen.add(self._key_of(record)) or self._last_version_counts:
                    yield record
        found = len(known) - before
        self._found += found
        self._fruitless_pages = 0 if found else self._fruitless_pages + 1

    def _key_of(self, record: Mapping[str, Any]) -> str:
        """What tells the object from the others of this collection."""
        if not self._key_within:
            return str(record["id"])
        return " ".join([record["id"], *(record[column] for column in self._key_within)])

    def served(self, objects: int) -> Mapping[int, Help]:
        """Graph has served a page of so many objects. Gives the positions of the objects before it that cannot be read,
        and why."""
        self._was_served, self.is_empty = True, self.is_empty and not objects
        self._position += objects
        broken, self._broken = self._broken, {}
        return broken

    def read_differently(self) -> bool:
        """Prepare to list again, now that Graph serves a page: what was stepped over, which may have been an outage, or
        everything in pages of full size, once. False if there is no reason."""
        shrinks, self._shrinks = self._shrinks, 0
        if self._suspects and not self._looks_again:
            self._looks_again, self.page_size = True, 1
            self._start_again(self._suspects[0])
        elif self._looks_again and self._skip + self._position > self._suspects[-1]:
            self._suspects, self._looks_again, self.page_size = [], False, self._full_page_size
            self._start_again(self._skip + self._position)
        elif not self._suspects and self._may_grow and shrinks >= _SHRINKS_IN_AN_OUTAGE:
            self._may_grow, self.page_size = False, self._full_page_size
            self._start_again(self._skip)
        else:
            return False
        return True

    def advance(self, link: str) -> None:
        """Move on to the next page, empty or not. Raises where the links lead nowhere."""
        if hash(link) in self._followed:
            raise ProtocolBroken("Graph sent a link to a page of the same listing that was read before.")
        if self._fruitless_pages >= _FRUITLESS_PAGES:
            raise ProtocolBroken(f"Graph sent links to {_FRUITLESS_PAGES:,} pages without a new object.")
        self._followed.add(hash(link))
        self.link = link

    # After a refusal.

    def adapt(self, rule: ErrorRule) -> bool:
        """Prepare to list again from the first page in the way this rule asks for; False if there is none."""
        match rule.action:
            case Action.RESTART if self.link is not None and self._may_restart():
                self._start_again()
            case Action.SHRINK if self.page_size is not None and self.page_size > 1:
                self.page_size = max(1, self.page_size // _SMALLER)
                self._shrinks += 1
                self._start_again(self._skip)
            case Action.SHRINK if self.page_size == 1 and self._may_step_over:
                self._step_over(rule)
            case Action.UNPAGE if self.page_size is not None:
                self.page_size = None
                self._start_again()
            case _:
                return False
        return True

    def _may_restart(self) -> bool:
        """A token that keeps dying at the same page would restart the listing for ever."""
        is_fruitless = self._found == self._found_at_restart
        self._fruitless_restarts = self._fruitless_restarts + 1 if is_fruitless else 1
        self._found_at_restart = self._found
        return self._fruitless_restarts <= _FRUITLESS_RESTARTS

    def restart(self, times: int) -> bool:
        """List again from the first page after a refusal that says nothing about the collection, so many times in all;
        False if it was done so often."""
        self._restarts += 1
        if self._restarts > times:
            return False
        self._start_again()
        return True

    def select_less(self) -> tuple[str, ...]:
        """Request the next smaller set of properties; returns the ones left out."""
        dropped, kept = self._selects[0], self._selects[1]
        del self._selects[0]
        self._start_again()
        return tuple(name for name in dropped if name not in kept)

    def select_without(self, names: Collection[str]) -> tuple[str, ...]:
        """Request all properties but these, which are not requested with a smaller set either; returns them."""
        dropped = tuple(name for name in self._selects[0] if name in names)
        smaller = (tuple(name for name in select if name not in names) for select in self._selects)
        self._selects = [*dict.fromkeys(smaller)]
        self._start_again()
        return dropped

    def _step_over(self, rule: ErrorRule) -> None:
        """Go on behind an object that Graph does not serve. It is broken if Graph still does not serve it when it has
        served what is behind it."""
        position = self._skip + self._position
        if self._looks_again and position in self._suspects:
            # Graph does serve what is refused for its size, and would serve the same each time.
            self._broken[position] = UNSERVED if rule.again else rule.help
        elif self._looks_again:
            self._looks_again, self._suspects = False, [position]
        else:
            self._suspects.append(position)
        self._start_again(position + 1)

    def _start_again(self, skip: int = 0) -> None:
        self.link = None
        self._followed.clear()
        self._position, self._skip = 0, skip
