"""Pages and the links between them.

A nextLink is opaque, carries the parameters of the first request, and is followed as it is. A page may hold fewer
items than asked for, or none at all, and still have a nextLink: https://learn.microsoft.com/graph/paging
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import quote

from .endpoint import Call, Listing
from .problems import problem
from .rows import Rows
from .shapes import Entity

TOKENS = ("$skiptoken", "$deltatoken", "token")
MARK = "RFNwd+/"  # Every token has characters that a client re-encoding it would spoil.


@dataclass(frozen=True)
class Place:
    """Where a reader stands in a listing. In a round of changes the listing begins after the rows known before."""

    offset: int = 0
    stage: str = "start"
    page: int = 0
    issued: float = 0.0
    known: int = 0


@dataclass(frozen=True)
class Page:
    """Some items of a listing, and the link to what follows."""

    items: list[Entity]
    first: bool
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


def page(call: Call, listing: Listing, rows: Rows, size: int) -> Page:
    """The page the request stands at."""
    now, here = call.tenant.clock(), _place(call, listing)
    after_all = Place(0, "rest", 0, now, known=len(rows))
    if here.stage == "latest":
        return Page([], True, delta_link=_link(call, listing, listing.delta_token, after_all))
    rows = rows.over(rows.ascending[here.known :])
    total, count, following = len(rows), size or len(rows), "rest"
    if here.stage == "start" and _has_hole(call, listing, total):
        count, following = min(count, total // 2), "hole"
    elif here.stage == "hole":
        count = 0
    items, first = rows.page(here.offset, count), here.page == 0
    reached = here.offset + len(items)
    if reached >= total:
        delta_link = _link(call, listing, listing.delta_token, after_all) if listing.delta else None
        return Page(items, first, delta_link=delta_link)
    if listing.repeats and call.tenant.traits.repeat_drive_items and items and here.page % 2 == 0:
        items.append(listing.repeats(*rows.page(reached, 1)))
    there = Place(reached, following, here.page + 1, now, here.known)
    return Page(items, first, next_link=_link(call, listing, listing.page_token, there))


def _has_hole(call: Call, listing: Listing, total: int) -> bool:
    """Whether an empty page is in the middle: of every paged listing at the root, of every third below a parent."""
    paged = bool(listing.paging.default) and total > 1
    parent = next(iter(call.ids.values()), 0)
    number: int = parent[1] if isinstance(parent, tuple) else parent
    return paged and call.tenant.traits.empty_pages and number % 3 == 0


def _link(call: Call, listing: Listing, name: str, place: Place) -> str:
    stage = "spoiled" if call.request.url in call.tenant.failed_urls else place.stage
    parameters = [(key, value) for key, value in call.request.parameters() if key not in TOKENS]
    state = f"{place.offset};{stage};{place.page};{place.issued};{place.known}"
    token = f"{MARK}{b64encode(state.encode()).decode()}%{_seal(call, state)}"
    query = "&".join(
        f"{key.replace('$', listing.service.dollar)}={quote(value, safe='')}"
        for key, value in [*parameters, (name, token)]
    )
    return f"https://{call.request.host}{call.request.path}?{query}"


def _seal(call: Call, state: str) -> str:
    """What binds a token to the query it was issued for."""
    parameters = sorted(parameter for parameter in call.request.parameters() if parameter[0] not in TOKENS)
    sealed = f"{state}|{call.request.path}|{parameters}".encode()
    return b64encode(blake2b(sealed, key=call.tenant.key, digest_size=16).digest()).decode()


def _place(call: Call, listing: Listing) -> Place:
    name = next((name for name in (listing.page_token, listing.delta_token) if call.options.get(name)), None)
    if name is None:
        return Place()
    token = call.options[name]
    if token == "latest" and listing.delta:
        return Place(stage="latest")
    encoded, _, seal = token.removeprefix(MARK).partition("%")
    try:
        state = b64decode(encoded).decode()
    except ValueError:
        raise problem("token_altered", name) from None
    if seal != _seal(call, state):
        raise problem("token_altered", name)
    offset, stage, number, issued, known = state.split(";")
    if stage == "spoiled":
        raise problem("page_token_not_found")
    traits = call.tenant.traits
    if float(issued) + traits.page_token_seconds < call.tenant.clock() or int(number) > traits.page_token_pages:
        raise listing.service.expired(call)
    return Place(int(offset), stage, int(number), float(issued), int(known))
