"""Which requests are sent: all of them follow from the declarations of the streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import islice

from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.delta import DeltaStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.membership import TrackedRelation
from source_microsoft_graph.streams.page_requests import first_page_url
from source_microsoft_graph.streams.slices import slices_of
from source_microsoft_graph.streams.window import WindowStream
from source_microsoft_graph.sync.context import Owner, Sync, as_text

MOST_REQUESTS = 500
"""Requests of a report, each of a batch counted, after which nothing more is asked."""

TRIES = 3
"""Owners asked for a stream, one after another, until one of them has some objects."""

_BACK = timedelta(days=7)
"""How long ago the changes begin that are asked for where no object tells a time."""


class Purpose(Enum):
    """What a request finds out."""

    FIRST_PAGE = "the first page of each stream, of one object where a row belongs to one"
    NEXT_PAGE = "up to three more pages where Graph serves fewer objects than it was asked for"
    SELECT = "where Graph refuses `$select`, which of its names it refuses"
    ABOVE_MAXIMUM = "a page of one object more than the largest"
    CHANGES = "the filter of an incremental sync, from a time in the middle of what was seen"
    TOKEN = "a delta token for now, and what changed since then"
    CHATS = "some messages of up to six chats, chat by chat and by their users' exports"
    APPS = "what ten service principals belong to and own, and whether it lists them"
    FOLDERS = "the mail folders of a mailbox by list, beside the delta query"
    SITES = "the sites by delta query, beside the list"


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One request. `batch` is how many of its kind may be sent together."""

    stream: GraphStream
    purpose: Purpose
    request: PageRequest
    batch: int = 1

    @property
    def listing(self) -> Listing:
        listing: Listing = self.request.listing
        return listing


def question(stream: GraphStream, purpose: Purpose, listing: Listing, *, batch: int | None = None) -> Question:
    return Question(stream, purpose, stream.page_request(listing), stream.batch_size if batch is None else batch)


def streams(sync: Sync) -> list[GraphStream]:
    """Every stream, and each kind of parent that is listed by options of its own."""
    own = [stream_class(sync) for stream_class in STREAMS]
    urls = {_keys_url(type(stream)(sync, keys_only=True)) for stream in own}
    found = list(own)
    for parent in _ancestors(own):
        if type(parent) not in STREAMS and (url := _keys_url(parent)) not in urls:
            urls.add(url)
            found.append(parent)
    return found


def _ancestors(streams: Sequence[GraphStream]) -> Iterator[GraphStream]:
    for stream in streams:
        parents = list(stream.parents())
        yield from parents
        yield from _ancestors(parents)


def _keys_url(stream: GraphStream) -> str:
    """How the keys of a stream's objects are requested, whoever owns them."""
    query = next(iter(stream.queries()))
    listing = Listing(stream.path_template, {}, stream.select_ladder(), stream.top(), query)
    return first_page_url(listing, "", {}, stream.top())


def listing_of(stream: GraphStream, owner: Owner | None) -> Listing:
    """What a full refresh lists of this owner, or of the tenant."""
    if not stream.is_child:
        # Of a report with a file for each day it is one that is surely made.
        return list(stream.listings({}))[-4:][0]
    owner = owner or next(islice(stream.owners(), 1))
    return next(iter(stream.listings(next(slices_of([owner], stream.placeholders, 1)))))


def first_page(stream: GraphStream, owner: Owner | None) -> Question:
    return question(stream, Purpose.FIRST_PAGE, listing_of(stream, owner))


def above_maximum(stream: GraphStream, owner: Owner | None) -> Question | None:
    """None where nothing is known of the largest page."""
    if stream.page_size is None or stream.serves_larger_pages:
        return None
    slim = type(stream)(stream.sync, keys_only=True)
    listing = listing_of(slim, owner)
    listing.page_size = stream.page_size + 1
    return question(slim, Purpose.ABOVE_MAXIMUM, listing, batch=20 if slim.selects else None)


def changes(stream: GraphStream, owner: Owner | None, since: datetime | None) -> Question | None:
    """What an incremental sync requests of this owner, or of the tenant; None where there is nothing of its own."""
    if not stream.cursor_field:
        return None
    now = stream.sync.started_at
    start = min(since or now - _BACK, now - timedelta(minutes=1)).replace(microsecond=0)
    if isinstance(stream, WindowStream):
        window = {"position": "", "after": as_text(start), "until": as_text(now)}
        return question(stream, Purpose.CHANGES, next(iter(stream.listings(window))))
    if stream.changed_since:
        listing = listing_of(stream, owner)
        listing.since = as_text(start)
        return question(stream, Purpose.CHANGES, listing)
    return None


def delta_token(stream: GraphStream) -> Question | None:
    """What an incremental sync requests first of a delta query; None where there is none."""
    if isinstance(stream, TrackedRelation):
        stream = stream.changes_class(stream.sync)
    if not isinstance(stream, DeltaStream) or not stream.cursor_field:
        return None
    selects = stream.select_ladder()[:1] if stream.is_tracked else [("id",)]
    return question(stream, Purpose.TOKEN, stream.changes(selects), batch=20)


def since_token(stream: DeltaStream, token: str) -> Question:
    return question(stream, Purpose.TOKEN, stream.changes([()], token), batch=20)


def selecting(stream: GraphStream, refused: Listing, names: Sequence[str]) -> Question:
    """One object of a listing whose `$select` was refused, with these names alone."""
    select = tuple(dict.fromkeys(("id", *names)))
    listing = Listing(refused.path, refused.parents, [select], 1, refused.query)
    return question(stream, Purpose.SELECT, listing, batch=20)


def without(stream: GraphStream, owner: Owner | None, names: frozenset[str]) -> Question:
    """The first page without these properties."""
    listing = listing_of(stream, owner)
    listing.select_without(names)
    return question(stream, Purpose.FIRST_PAGE, listing)
