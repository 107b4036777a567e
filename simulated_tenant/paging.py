"""Pages and the links between them.

A nextLink is opaque, carries the parameters of the first request, and is followed as it is. A page may hold fewer
items than asked for, or none at all, and still have a nextLink: https://learn.microsoft.com/graph/paging
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import parse_qsl, quote, urlencode

from .endpoint import Call, Listing, words
from .filters import as_moment, is_moment
from .problems import problem
from .rows import Rows
from .shapes import Entity

TOKENS = ("$skiptoken", "$deltatoken", "token")
MARK = "RFNwd+/"  # Every token has characters that a client re-encoding it would spoil.
# How a reader came to a place, and what a page there may be.
START, REST, HOLE, CHANGES, LATEST, MOMENT, SPOILED = words("start rest hole changes latest moment spoiled")


@dataclass(frozen=True)
class Place:
    """Where a reader stands: so many rows into a listing, or at a place in the order of a collection's changes.

    Of a delta's round it also says where that began, and whether it is the first one, which tells of everything.
    """

    at: int = 0
    stage: str = START
    page: int = 0
    since: int = 0
    whole: bool = True
    issued: float = 0.0
    generation: int = 0
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """Some items as the reply shows them, how many there are in all, and the link to what follows."""

    items: list[Entity]
    total: int = 0
    next_link: str | None = None
    delta_link: str | None = None


def page_size(call: Call, listing: Listing) -> int:
    """How many items the request may get; 0 means all."""
    paging, top = listing.paging, call.options.get("$top")
    if top is not None:
        if not top.isdecimal():
            raise problem("top_invalid", top)
        if int(top) < 1 or (int(top) > paging.maximum and not paging.caps):
            raise listing.service.oversized(int(top), paging.maximum)
        return max(min(int(top), paging.maximum), paging.minimum)
    for preference in call.preferences if paging.by_preference else ():
        name, _, size = preference.partition("odata.maxpagesize=")
        if not name and size.isdecimal() and int(size):
            return min(int(size), paging.maximum)
    return paging.default


def page(call: Call, listing: Listing, rows: Rows, here: Place, size: int, show: Callable[[Entity], Entity]) -> Page:
    """The page of a listing that the request stands at."""
    total = len(rows)
    count, following = portion(call, listing, here, total, size)
    items = [show(item) for item in rows.page(here.at, count)]
    reached = here.at + len(items)
    bounded = listing.paging.by_preference and "$top" in call.options and call.tenant.traits.outlook_top_is_a_total
    if reached >= total or bounded:
        return Page(items, total)
    there = Place(reached, following, here.page + 1)
    return Page(items, total, next_link=link(call, listing, listing.page_token, there))


def portion(call: Call, listing: Listing, here: Place, total: int, size: int) -> tuple[int, str]:
    """How much the page at this place holds, and the stage of the next one."""
    count = size or total
    if here.stage in (START, CHANGES) and _has_hole(call, listing, total):
        return min(count, total // 2), HOLE
    return (0 if here.stage == HOLE else count), REST


def _has_hole(call: Call, listing: Listing, total: int) -> bool:
    """Whether an empty page is in the middle: of every paged listing at the root, of every third below a parent."""
    paged = bool(listing.paging.default) and total > 1
    parent = next(iter(call.ids.values()), 0)
    number: int = parent[1] if isinstance(parent, tuple) else parent
    return paged and call.tenant.traits.empty_pages and number % 3 == 0


def link(call: Call, listing: Listing, name: str, place: Place) -> str:
    """The way to that place, valid from now on."""
    stage = SPOILED if call.request.url in call.tenant.failed_urls else place.stage
    encodes = bool(listing.tracking and listing.tracking.encodes)
    query = {name: value for name, value in call.options.items() if name not in TOKENS} if encodes else {}
    generation = call.tenant.token_generations[listing.service.name]
    values = (place.at, stage, place.page, place.since, int(place.whole), call.tenant.clock(), generation)
    state = ";".join(map(str, (*values, urlencode(query))))
    token = f"{MARK}{b64encode(state.encode()).decode()}%{_seal(call, listing, stage, state)}"
    parameters = [] if encodes else [(key, value) for key, value in call.request.parameters() if key not in TOKENS]
    written = "&".join(
        f"{key.replace('$', listing.service.dollar)}={quote(value, safe='')}"
        for key, value in [*parameters, (name, token)]
    )
    return f"https://{call.request.host}{call.request.path}?{written}"


def _seal(call: Call, listing: Listing, stage: str, state: str) -> str:
    """What binds a token to its path and, unless it begins a round of changes or holds a query, to the parameters."""
    free = stage == CHANGES or (listing.tracking and listing.tracking.encodes)
    parameters = () if free else sorted(given for given in call.request.parameters() if given[0] not in TOKENS)
    sealed = f"{state}|{call.request.path}|{parameters}".encode()
    return b64encode(blake2b(sealed, key=call.tenant.key, digest_size=16).digest()).decode()


def place(call: Call, listing: Listing) -> Place:
    """Where the request's token leads; the options that the token carries become the request's own."""
    name = next((name for name in listing.tokens if call.options.get(name)), None)
    if name is None:
        return Place()
    token, tracking = call.options[name], listing.tracking
    if token == "latest" and tracking and tracking.latest and name == tracking.token:
        return Place(stage=LATEST)
    if tracking and tracking.takes_moments and is_moment(token):
        if not call.tenant.traits.timestamp_tokens:
            raise problem("timestamp_token_refused")
        return Place(as_moment(token), MOMENT)
    here = _opened(call, listing, name, token)
    if here.stage == SPOILED:
        raise problem("page_token_not_found")
    if tracking and tracking.encodes:
        asked = [option for option in call.options if option.startswith("$") and option not in TOKENS]
        if asked and here.stage != CHANGES:
            # https://learn.microsoft.com/graph/delta-query-overview: no $select beside a $skiptoken.
            raise listing.service.unsupported(asked[0])
        call.options.update({option: value for option, value in here.query.items() if option not in asked})
    _check_age(call, listing, here)
    return here


def _opened(call: Call, listing: Listing, name: str, token: str) -> Place:
    encoded, _, seal = token.removeprefix(MARK).partition("%")
    try:
        state = b64decode(encoded).decode()
        at, stage, number, since, whole, issued, generation, query = state.split(";")
    except ValueError:
        raise problem("token_altered", name) from None
    if seal != _seal(call, listing, stage, state):
        raise problem("token_altered", name)
    options = dict(parse_qsl(query))
    return Place(
        int(at), stage, int(number), int(since), whole == "1", float(issued), int(generation), options
    )  # fmt: skip


def _check_age(call: Call, listing: Listing, here: Place) -> None:
    """Page tokens die of age, after some pages, or on demand; those of a delta have a life of their own."""
    traits, age = call.tenant.traits, call.tenant.clock() - here.issued
    stale = here.generation != call.tenant.token_generations[listing.service.name]
    if here.stage == CHANGES and listing.tracking:
        if stale or age > listing.tracking.lifetime(traits):
            raise listing.service.resync(call)
    elif stale or age > traits.page_token_seconds or here.page > traits.page_token_pages:
        raise listing.service.expired(call)
