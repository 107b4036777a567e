"""Pages and the links between them.

A nextLink is opaque, carries the parameters of the first request, and is followed as it is. A page may hold fewer
items than asked for, or none at all, and still have a nextLink: https://learn.microsoft.com/graph/paging
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import parse_qsl, quote, urlencode

from .collection import Call, Collection
from .entities import Entities
from .filters import is_timestamp, timestamp_of
from .position import CHANGES, HOLE, LATEST, REST, SINCE, SPOILED, START, Position
from .problems import problem
from .shapes import Entity

TOKENS = ("$skiptoken", "$deltatoken", "token")
TOKEN_START = "RFNwd+/"  # Every token has characters that a client re-encoding it would spoil.


@dataclass(frozen=True)
class Page:
    """Some items as the reply shows them, how many there are in all, and the link to what follows."""

    items: list[Entity]
    total: int = 0
    next_link: str | None = None
    delta_link: str | None = None


def page_size(call: Call, collection: Collection) -> int:
    """How many items the request may get; 0 means all."""
    lower = (most for name, most in collection.paging.maxima.items() if call.selects(name))
    return min([_page_size(call, collection), *lower])


def _page_size(call: Call, collection: Collection) -> int:
    paging, top = collection.paging, call.options.get("$top")
    if top is not None:
        if not top.isdecimal():
            raise problem("top_invalid", top)
        if int(top) < 1 or (int(top) > paging.maximum and not paging.caps):
            raise collection.workload.oversized(int(top), paging.maximum)
        return max(min(int(top), paging.maximum), paging.minimum)
    for preference in call.preferences if paging.by_preference else ():
        name, _, size = preference.partition("odata.maxpagesize=")
        if not name and size.isdecimal() and int(size):
            return min(int(size), paging.maximum)
    return paging.default


def page(
    call: Call, collection: Collection, entities: Entities, here: Position, size: int, show: Callable[[Entity], Entity]
) -> Page:
    """The page of a collection that the request stands at."""
    total = len(entities)
    count, following = portion(call, collection, here, total, size)
    items = [show(item) for item in entities.page(here.at, count)]
    if call.state.broken and any(item.get("id") in call.state.broken for item in items):
        raise problem("mailbox_corrupt")
    reached = here.at + len(items)
    bounded = collection.paging.by_preference and "$top" in call.options and call.state.traits.outlook_top_is_a_total
    if reached >= total or bounded:
        return Page(items, total)
    overlap = call.state.traits.pages_overlap and len(items) > 1
    there = Position(reached - overlap, following, here.page + 1)
    return Page(items, total, next_link=link(call, collection, collection.page_token, there))


def portion(call: Call, collection: Collection, here: Position, total: int, size: int) -> tuple[int, str]:
    """How much the page at this position holds, and the stage of the next one."""
    count = size or total
    if here.stage in (START, CHANGES) and _has_hole(call, collection, total):
        return min(count, total // 2), HOLE
    return (0 if here.stage == HOLE else count), REST


def _has_hole(call: Call, collection: Collection, total: int) -> bool:
    """Whether an empty page is in the middle: of every paged collection at the root, of every third below a parent."""
    paged = bool(collection.paging.default) and total > 1
    parent = next(iter(call.ids.values()), 0)
    number: int = parent[1] if isinstance(parent, tuple) else parent
    return paged and call.state.traits.empty_pages and number % 3 == 0


def link(call: Call, collection: Collection, name: str, position: Position) -> str:
    """The link to that position, valid from now on."""
    stage = SPOILED if call.request.url in call.state.failed_urls else position.stage
    encodes = bool(collection.tracking and collection.tracking.encodes)
    query = {name: value for name, value in call.options.items() if name not in TOKENS} if encodes else {}
    generation = call.state.token_generations[collection.workload.name]
    values = (position.at, stage, position.page, position.since, int(position.whole), call.state.clock(), generation)
    state = ";".join(map(str, (*values, urlencode(query))))
    token = f"{TOKEN_START}{b64encode(state.encode()).decode()}%{_seal(call, collection, stage, state)}"
    parameters = [] if encodes else [(key, value) for key, value in call.request.parameters() if key not in TOKENS]
    written = "&".join(
        f"{key.replace('$', collection.workload.dollar)}={quote(value, safe='')}"
        for key, value in [*parameters, (name, token)]
    )
    return f"https://{call.request.host}{call.request.path}?{written}"


def _seal(call: Call, collection: Collection, stage: str, state: str) -> str:
    """What binds a token to its path and, unless it begins a round of changes or holds a query, to the parameters."""
    free = stage == CHANGES or (collection.tracking and collection.tracking.encodes)
    parameters = () if free else sorted(given for given in call.request.parameters() if given[0] not in TOKENS)
    sealed = f"{state}|{call.request.path}|{parameters}".encode()
    return b64encode(blake2b(sealed, key=call.state.key, digest_size=16).digest()).decode()


def position_of(call: Call, collection: Collection) -> Position:
    """The position that the request's token stands for; the options that the token carries become the request's own."""
    name = next((name for name in collection.tokens if call.options.get(name)), None)
    if name is None:
        return Position(int(call.options.get("$skip", 0)))
    token, tracking = call.options[name], collection.tracking
    if token == "latest" and tracking and tracking.latest and name == tracking.token:
        return Position(stage=LATEST)
    if tracking and tracking.takes_timestamps and is_timestamp(token):
        if not call.state.traits.timestamp_tokens:
            raise problem("timestamp_token_refused")
        return Position(timestamp_of(token), SINCE)
    here = _opened(call, collection, name, token)
    if here.stage == SPOILED:
        raise problem("page_token_not_found")
    if tracking and tracking.encodes:
        asked = [option for option in call.options if option.startswith("$") and option not in TOKENS]
        if asked and here.stage != CHANGES:
            # https://learn.microsoft.com/graph/delta-query-overview: no $select beside a $skiptoken.
            raise collection.workload.unsupported(asked[0])
        call.options.update({option: value for option, value in here.query.items() if option not in asked})
    _check_age(call, collection, here)
    return here


def _opened(call: Call, collection: Collection, name: str, token: str) -> Position:
    encoded, _, seal = token.removeprefix(TOKEN_START).partition("%")
    try:
        state = b64decode(encoded).decode()
        at, stage, number, since, whole, issued, generation, query = state.split(";")
    except ValueError:
        raise problem("token_altered", name) from None
    if seal != _seal(call, collection, stage, state):
        raise problem("token_altered", name)
    options = dict(parse_qsl(query))
    return Position(
        int(at), stage, int(number), int(since), whole == "1", float(issued), int(generation), options
    )  # fmt: skip


def _check_age(call: Call, collection: Collection, here: Position) -> None:
    """Page tokens expire after a time, after some pages, or on demand. Delta tokens expire by rules of their own."""
    traits, age = call.state.traits, call.state.clock() - here.issued
    stale = here.generation != call.state.token_generations[collection.workload.name]
    if here.stage == CHANGES and collection.tracking:
        if stale or age > collection.tracking.lifetime(traits):
            raise collection.workload.resync(call)
    elif stale or age > traits.page_token_seconds or here.page > traits.page_token_pages:
        raise collection.workload.expired(call)
