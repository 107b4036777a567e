"""The one loop that reads listings page by page."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from source_microsoft_graph.errors import GraphError, ProtocolBroken
from source_microsoft_graph.graph.catalogue import Action
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.protocol import ListedStream
from source_microsoft_graph.streams.refusals import described, handle_refusal, may_read_again
from source_microsoft_graph.sync.context import Owner
from source_microsoft_graph.sync.cursors import SliceProgress


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
                    yield from self._records_of(listing, received.response)
                    self._go_on(listing, received.response)
                elif may_read_again(self._stream, listing, received):
                    self._request(listing)
                elif failure := handle_refusal(self._stream, listing, received):
                    self._failed[listing.owner_name] = failure
        self._raise_failures()

    def _begin(self, listings: Iterable[Listing]) -> None:
        for listing in listings:
            self._unread[listing.owner] += 1
            self._request(listing)

    def _request(self, listing: Listing) -> None:
        self._queue.append(self._stream.page_request(listing))

    def _responses(self) -> Any:
        batch_size = self._sync.batch_size(self._stream.identity, self._stream.batch_size)
        return self._sync.client.responses(self._queue, batch_size, is_lazy=self._stream.keys_only)

    def _records_of(self, listing: Listing, response: GraphResponse) -> Iterator[dict[str, Any]]:
        for record in listing.unread(self._stream.parse_response(response, stream_slice=listing.parents)):
            if listing.child_listings:
                self._begin(listing.child_listings(record))
            else:
                yield record

    def _go_on(self, listing: Listing, response: GraphResponse) -> None:
        """Request the next page, or end the listing."""
        token = self._stream.next_page_token(response)
        if token:
            self._follow(listing, token["link"])
        else:
            self._end(listing, response)

    def _follow(self, listing: Listing, link: str) -> None:
        try:
            self._sync.client.check_host(link)
            listing.advance(link)
        except ProtocolBroken as broken:
            self._failed[listing.owner_name] = ProtocolBroken(f"{described(self._stream, listing)}: {broken}")
        else:
            self._request(listing)

    def _end(self, listing: Listing, response: GraphResponse) -> None:
        self._sync.object_read(self._stream.identity)
        listing.delta_token = delta_token(response)
        self._begin(listing.next_listings())
        self._unread[listing.owner] -= 1
        if self._progress and listing.move and not self._unread[listing.owner]:
            self._progress.done[listing.move.key] = listing.move.position

    def _raise_failures(self) -> None:
        if self._failed:
            (_, first), *others = self._failed.items()
            alike = f" And so for {', '.join(owner for owner, _ in others)}." if others else ""
            raise type(first)(f"{first}{alike}")


def delta_token(response: GraphResponse) -> str:
    """What requests the changes after these; empty where Graph gives none."""
    link = cast(str, response.body.get("@odata.deltaLink") or "")
    options = (option.partition("=") for option in urlsplit(link).query.split("&"))
    tokens = {unquote(name): unquote(value) for name, _, value in options}
    return tokens.get("$deltatoken") or tokens.get("token") or ""
