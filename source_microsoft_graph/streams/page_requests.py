"""How a page is requested: its URL, its properties, its size.

https://learn.microsoft.com/graph/query-parameters
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.records import camel_case

EXTENSION = "extension"
"""The mark of columns that are extensions of the tenant's own, which have the names of their properties."""

_RISKY = ("licensed", "optional")
"""The marks of columns in a schema that are no longer requested when Graph refuses, the likeliest cause first."""

NEVER = "never"
"""The mark of columns that are requested in no list: Graph returns them unasked or not at all."""

_FAR = timedelta(days=366)
"""From now to a time before which everything has changed, whatever Graph's clock and this machine's differ by."""


def first_page_url(listing: Listing, url_base: str, changes: Mapping[str, str], top: int | None) -> str:
    """The URL of a listing's first page; a page link has all of this in Graph's own form. `changes` are the options
    that request what is new, `top` is the page size, if it stands in the URL."""
    options = {**listing.options, **changes}
    if top is not None:
        options["$top"] = str(top)
    if listing.select:
        options["$select"] = ",".join(listing.select)
    return f"{url_base}{listing.path}?{urlencode(options, quote_via=quote, safe='$,/:()')}".removesuffix("?")


def changes_since(since: str | None, changed_since: Mapping[str, str]) -> Mapping[str, str]:
    """The options that request what is new since a time: `{since}` is that time, `{before}` the millisecond before,
    `{until}` a time that no clock has reached."""
    if not since or not changed_since:
        return {}
    until = datetime.now(UTC) + _FAR
    times = {
        "since": since,
        "until": f"{until:%Y-%m-%d}T00:00:00Z",
        "before": just_before(datetime.fromisoformat(since)),
    }
    return {option: value.format(**times) for option, value in changed_since.items()}


def just_before(time: datetime) -> str:
    """The millisecond before a time in UTC, where Graph takes `gt` and not `ge`: Teams counts in milliseconds."""
    before = time - timedelta(milliseconds=1)
    return f"{before:%Y-%m-%dT%H:%M:%S}.{before.microsecond // 1000:03}Z"


def with_page_size(headers: Mapping[str, str], page_size: int | None) -> Mapping[str, str]:
    """The headers with a preference for the page size. A page link carries no preference, so every page gets it."""
    if page_size is None:
        return headers
    preferences = filter(None, (headers.get("Prefer"), f"odata.maxpagesize={page_size}"))
    return {**headers, "Prefer": ", ".join(preferences)}


def select_ladder(columns: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The sets of properties to request, most first: all that a list may be asked for, the same without what takes a
    licence, the part of it that every tenant serves, and Graph's default. Extensions stand in each but the last one:
    where Graph refuses them, they are left out by themselves.

    One property that Graph does not list fails the whole request, and which those are depends on the tenant.
    """
    names = [name for name, column in columns.items() if column.get("select") != NEVER]
    properties = {name: name if columns[name].get("select") == EXTENSION else camel_case(name) for name in names}
    ladder = [tuple(properties.values())]
    for mark in _RISKY:
        names = [name for name in names if columns[name].get("select") != mark]
        ladder.append(tuple(properties[name] for name in names))
    return [*dict.fromkeys(ladder), ()]


def quoted(identifier: str) -> str:
    """An id as part of a path. Ids hold no slash; a prefix of a path may."""
    return quote(identifier, safe="/:@!,=")
