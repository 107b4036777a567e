"""Rounds of changes: https://learn.microsoft.com/graph/delta-query-overview

A round reports what happened after an index in the order of a collection's changes, each object once, at its last
change. What changes in the middle of a round is reported later in it, or in the next one, and is never lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from .changes import ChangeFeed, Show
from .collection import Call, Collection, Tracking
from .filters import Timestamp
from .history import Change
from .paging import Page, link, portion
from .position import CHANGES, LATEST, SINCE, START, Position
from .shapes import Entity


def page(call: Call, collection: Collection, tracking: Tracking, here: Position, size: int, show: Show) -> Page:
    """The page of a round that the request stands at."""
    feed = tracking.feed(call, collection.entities(call))
    following_round = Position(feed.end, CHANGES, since=feed.end, whole=False)
    if here.stage == LATEST:
        return Page([], delta_link=link(call, collection, tracking.token, following_round))
    if here.stage == START:
        here = Position(feed.start, since=feed.end)
    elif here.stage == SINCE:
        at = feed.before(Timestamp(here.at))
        here = Position(at, CHANGES, since=max(at, 0))
    early, late = feed.after(here)
    total = len(early) + len(late)
    count, stage = portion(call, collection, here, total, size)
    numbers, changes = early[:count], late[: max(count - len(early), 0)]
    items = [feed.entity(number, show, None) for number in numbers] + _changed(feed, changes, here, show)
    if count >= total:
        return Page(items, total, delta_link=link(call, collection, tracking.token, following_round))
    at = changes[-1].at if changes else numbers[-1] - feed.base if numbers else here.at
    if items and here.page % 2 == 0 and tracking.repeats(call.state.traits):
        following = early[count] if count < len(early) else late[count - len(early)].number
        items.append(feed.entity(following, lambda entity: show(tracking.stale(entity)), None))
    there = Position(at, stage, here.page + 1, here.since, here.whole)
    return Page(items, total, next_link=link(call, collection, tracking.page_token, there))


def _changed(feed: ChangeFeed, changes: Sequence[Change], here: Position, show: Show) -> list[Entity]:
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
        items += [feed.entity(other, show, None) for other in along]
        shown |= {number, *along}
        told = None if here.whole or any(each.properties is None for each in recent[number]) else recent[number]
        items.append(feed.entity(number, show, told))
    return items
