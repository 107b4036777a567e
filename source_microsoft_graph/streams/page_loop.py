"""The one loop that reads listings page by page."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import unquote, urlsplit

from source_microsoft_graph.errors import ConnectionFailed, GraphError, GraphUnavailable, ProtocolBroken, StreamRefused
from source_microsoft_graph.graph.catalogue import Action
from source_microsoft_graph.graph.client import PageResponse
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.protocol import ListedStream
from source_microsoft_graph.streams.refusals import described, handle_refusal, may_read_again
from source_microsoft_graph.sync.context import Owner
from source_microsoft_graph.sync.cursors import SliceProgress

_EMPTY_READS = 1
"""How often a collection that no tenant has empty is listed again before Graph's empty page is called a fault."""


_TOLD = 5
"""Owners of one slice whose failures are told with their reasons."""


class PageLoop:
    """Reads some listings of one stream, up to a batch of them at the same time.

    `progress` learns whose listings were all read to the end; one that was skipped or failed is not.
    """

    def __init__(self, stream: ListedStream, progress: SliceProgress | None) -> None:
        self._stream = stream
        self._sync = stream.sync
        self._progress = progress
        self._queue: deque[PageRequest] = deque()
        self._unread: Counter[Owner] = Counter()
        self._failed: dict[str, GraphError] = {}

    def records(self, listings: Iterable[Listing]) -> Iterator[dict[str, Any]]:
        """Every record of these listings. What is wrong with one of them is raised after the others were read."""
        self._begin(listings)
        # A failure of the caller closes the generator: left open, it would keep its slot among the requests under way.
        with closing(self._responses()) as responses:
            while not self._sync.has_given_up(self._stream.identity) and (received := next(responses, None)):
                listing: Listing = received.request.listing
                if received.rule.action is Action.READ:
                    yield from self._read(listing, received.response)
                elif may_read_again(self._stream, listing, received):
                    self._request(listing)
                elif failure := handle_refusal(self._stream, listing, received):
                    self._fail(listing, failure)
        self._raise_failures()

    def _begin(self, listings: Iterable[Listing]) -> None:
        for listing in listings:
            self._unread[listing.owner] += 1
            self._request(listing)

    def _request(self, listing: Listing) -> None:
        self._queue.append(self._stream.page_request(listing))

    def _responses(self) -> Generator[PageResponse, None, None]:
        batch_size = self._sync.batch_size(self._stream.identity, self._stream.batch_size)
        return self._sync.client.responses(self._queue, batch_size, is_lazy=self._stream.keys_only)

    def _read(self, listing: Listing, response: GraphResponse) -> Iterator[dict[str, Any]]:
        """The new records of a page. Whatever is odd in it ends the listing of this owner alone."""
        try:
            yield from self._records_of(listing, response)
            self._go_on(listing, response)
        except (ConnectionFailed, StreamRefused):
            raise
        except ProtocolBroken as broken:
            self._fail(listing, ProtocolBroken(f"{described(self._stream, listing)}: {broken}"))
        except GraphError as failure:
            self._fail(listing, failure)
        except Exception as error:
            odd = f"Graph sent a page that cannot be read ({type(error).__name__}: {error})."
            self._fail(listing, ProtocolBroken(f"{described(self._stream, listing)}: {odd}"))

    def _records_of(self, listing: Listing, response: GraphResponse) -> Iterator[dict[str, Any]]:
        self._note(listing, response)
        listing.total = response.body.get("@odata.count", listing.total)
        check_objects(response.body["value"])
        for record in listing.new_records(self._stream.parse_response(response, stream_slice=listing.parents)):
            if listing.child_listings:
                self._begin(listing.child_listings(record))
            else:
                yield record

    def _note(self, listing: Listing, response: GraphResponse) -> None:
        """Say what was repaired in a page and what was stepped over before it, and learn how large its objects are."""
        batch_size = self._sync.batch_size(self._stream.identity, self._stream.batch_size)
        batch_size.sizes.learn_objects(len(response.body["value"]), response.size)
        for repair in response.repairs:
            self._sync.repairs.add(self._stream.name, described(self._stream, listing), repair)
        for position, why in listing.served(len(response.body["value"])).items():
            name = f"object {position + 1:,} of {listing.owner_name or 'the list'}"
            self._sync.skipped.add(self._stream.name, name, why, "Graph serves those before and after it.")

    def _go_on(self, listing: Listing, response: GraphResponse) -> None:
        """Request the next page, or end the listing."""
        token = self._stream.next_page_token(response)
        if listing.read_differently():
            self._request(listing)
        elif token:
            self._sync.client.check_host(token["link"])
            listing.advance(token["link"])
            self._request(listing)
        else:
            self._end(listing, response)

    def _end(self, listing: Listing, response: GraphResponse) -> None:
        if listing.is_empty and self._stream.never_empty and not listing.query:
            self._doubt(listing)
            return
        self._sync.object_read(self._stream.identity)
        if any(listing.owner):
            self._sync.tally(self._stream.name, self._stream.identity).read()
        listing.delta_token, listing.is_read = delta_token(response), True
        for following in listing.next_listings():
            following.follows = True
            self._begin([following])
        self._unread[listing.owner] -= 1
        if self._progress and listing.move and not self._unread[listing.owner]:
            self._progress.done[listing.move.key] = listing.move.position

    def _doubt(self, listing: Listing) -> None:
        """Each tenant has some of these objects, so an empty list is Graph's failure."""
        if not listing.restart(_EMPTY_READS):
            raise GraphUnavailable(f"{self._stream.name}: Graph listed none, and every tenant has some.")
        self._request(listing)

    def _fail(self, listing: Listing, failure: GraphError) -> None:
        self._failed[listing.owner_name] = failure

    def _raise_failures(self) -> None:
        """One error for the owners that failed: the first few with their reasons, the others by name."""
        if not self._failed:
            return
        told, others = list(self._failed.values())[:_TOLD], list(self._failed)[_TOLD:]
        more = f" And more failed: {', '.join(others)}." if others else ""
        raise type(told[0])(" ".join(map(str, told)) + more)


def check_objects(entities: Iterable[Any]) -> None:
    """Raises `ProtocolBroken` for an item of a page that is no object or cannot be told apart from others."""
    for entity in entities:
        if type(entity) is not dict:
            raise ProtocolBroken(f"Graph sent an item that is no object but {_kind(entity)}.")
        if "error" in entity and isinstance(entity["error"], dict) and "code" in entity["error"]:
            error = entity["error"]
            raise ProtocolBroken(f"Graph sent an error among the objects: {error['code']}: {error.get('message')}.")
        identifier = entity.get("id")
        if type(identifier) is not str or not identifier:
            raise ProtocolBroken(f"Graph sent an object with {_kind(identifier)} for an id.")


def _kind(value: Any) -> str:
    kinds = {str: "an empty text", list: "a list", dict: "an object", bool: "a boolean", type(None): "nothing"}
    return kinds.get(type(value), "a number")


def delta_token(response: GraphResponse) -> str:
    """What requests the changes after these; empty where Graph gives none. Raises `ProtocolBroken` for a link that is
    none."""
    link = response.body.get("@odata.deltaLink") or ""
    if not isinstance(link, str):
        raise ProtocolBroken(f"Graph sent {link!r} for the link to later changes.")
    if not link:
        return ""
    options = (option.partition("=") for option in urlsplit(link).query.split("&"))
    tokens = {unquote(name): unquote(value) for name, _, value in options}
    return tokens.get("$deltatoken") or tokens.get("token") or ""
