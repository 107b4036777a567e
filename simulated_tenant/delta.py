"""Rounds of changes: https://learn.microsoft.com/graph/delta-query-overview

A round takes up what happened after a place in the order of a collection's changes, each object once, at its last
change. What was there from the start stands before the first change, so that the first round is like the others. What
changes in the middle of a round comes up later in it, or in the next one, and is never lost.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence

from .endpoint import Call, Listing, Tracking
from .filters import Moment
from .history import Change, History
from .paging import CHANGES, LATEST, MOMENT, START, Page, Place, link, portion
from .rows import Rows
from .shapes import Entity

Show = Callable[[Entity], Entity]


class Feed:
    """What a delta query can tell of a collection, or of one folder in it.

    `founded` are the numbers that were there first, of `base` in all; object n of them stands n - base places before
    the first change. `wants` says which objects the query is about, if not about all of them.
    """

    def __init__(
        self,
        rows: Rows,
        history: History | None,
        founded: Sequence[int],
        base: int,
        folder: int | None = None,
        wants: Callable[[int], bool] | None = None,
    ) -> None:
        self.rows, self.founded, self.base, self.folder, self.wants = rows, founded, base, folder, wants
        self.history = history or History(base)

    @property
    def end(self) -> int:
        """The place of the last change so far."""
        return len(self.history.changes)

    @property
    def start(self) -> int:
        """The place before everything."""
        return -self.base - 1

    def before(self, moment: Moment) -> int:
        """The place before all that has happened from a moment on."""
        raise NotImplementedError

    def matters(self, change: Change) -> bool:
        """Whether the change is one of this folder's, and of a property that is tracked."""
        return self.folder in (None, change.folder)

    def stands(self, change: Change) -> bool:
        """Whether the object is still where the change left it."""
        return change.number not in self.history.gone and self.history.moves[change.number] == change.moves

    def after(self, here: Place) -> tuple[Sequence[int], list[Change]]:
        """What was there first and is still as it was, and the last change of each other object."""
        last: dict[tuple[int, int], Change] = {}
        for change in self.history.changes[max(here.at, 0) :]:
            if self.matters(change) and (self.wants is None or self.wants(change.number)):
                last.pop((change.number, change.moves), None)
                last[change.number, change.moves] = change
        late = [change for change in last.values() if change.place > here.since or self.stands(change)]
        early = self.founded[bisect_right(self.founded, here.at + self.base) :] if here.at < 0 else ()
        changed = {number for number, _ in last} | self.history.gone.keys() | self.history.folders.keys()
        if changed:
            early = [number for number in early if number not in changed]
        if self.wants:
            early = [number for number in early if self.wants(number)]
        return early, late

    def row(self, number: int, show: Show, recent: Collection[Change] | None) -> Entity:
        """An object; `recent` are its changes in this round, or None if the reader is to be told everything."""
        return show(self.rows.make(number))

    def tombstone(self, change: Change, show: Show) -> Entity:
        """What is left of an object that is gone."""
        raise NotImplementedError

    def above(self, number: int) -> Iterable[int]:
        """The objects that come along with that one."""
        return ()


def page(call: Call, listing: Listing, tracking: Tracking, here: Place, size: int, show: Show) -> Page:
    """The page of a round that the request stands at."""
    feed = tracking.feed(call)
    following_round = Place(feed.end, CHANGES, since=feed.end, whole=False)
    if here.stage == LATEST:
        return Page([], delta_link=link(call, listing, tracking.token, following_round))
    if here.stage == START:
        here = Place(feed.start, since=feed.end)
    elif here.stage == MOMENT:
        at = feed.before(Moment(here.at))
        here = Place(at, CHANGES, since=max(at, 0))
    early, late = feed.after(here)
    total = len(early) + len(late)
    count, stage = portion(call, listing, here, total, size)
    numbers, changes = early[:count], late[: max(count - len(early), 0)]
    items = [feed.row(number, show, None) for number in numbers] + _changed(feed, changes, here, show)
    if count >= total:
        return Page(items, total, delta_link=link(call, listing, tracking.token, following_round))
    at = changes[-1].place if changes else numbers[-1] - feed.base if numbers else here.at
    if items and here.page % 2 == 0 and tracking.repeats(call.tenant.traits):
        following = early[count] if count < len(early) else late[count - len(early)].number
        items.append(feed.row(following, lambda entity: show(tracking.stale(entity)), None))
    there = Place(at, stage, here.page + 1, here.since, here.whole)
    return Page(items, total, next_link=link(call, listing, tracking.page_token, there))


def _changed(feed: Feed, changes: Sequence[Change], here: Place, show: Show) -> list[Entity]:
    """The objects behind these changes, as they are by now."""
    recent: dict[int, list[Change]] = {change.number: [] for change in changes}
    for change in feed.history.changes[here.since :]:
        if change.number in recent:
            recent[change.number].append(change)
    items: list[Entity] = []
    shown: set[int] = set()
    for change in changes:
        number = change.number
        if not feed.stands(change):
            items.append(feed.tombstone(change, show))
            continue
        along = [other for other in feed.above(number) if other not in shown]
        items += [feed.row(other, show, None) for other in along]
        shown |= {number, *along}
        told = None if here.whole or any(each.properties is None for each in recent[number]) else recent[number]
        items.append(feed.row(number, show, told))
    return items
