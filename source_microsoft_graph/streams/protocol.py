"""What reading needs of a stream, so that the modules that read do not depend on the streams."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import requests

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.sync.context import Sync


class ListedStream(Protocol):
    """A stream, as far as its pages are requested, read and refused. `GraphStream` says what each name means."""

    sync: Sync
    keys_only: bool

    @property
    def name(self) -> str: ...

    @property
    def logger(self) -> logging.Logger: ...

    @property
    def identity(self) -> tuple[type, bool]: ...

    @property
    def is_child(self) -> bool: ...

    @property
    def service(self) -> Service: ...

    @property
    def never_empty(self) -> bool: ...

    @property
    def each_owner_has_it(self) -> bool: ...

    @property
    def permissions(self) -> tuple[str, ...]: ...

    @property
    def least_permission(self) -> str | None: ...

    @property
    def more_permissions(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def batch_size(self) -> int: ...

    def parents(self) -> Iterable[ListedStream]: ...

    def page_request(self, listing: Listing) -> PageRequest: ...

    def parse_response(
        self, response: requests.Response, *, stream_slice: Mapping[str, Any] | None = None
    ) -> Iterable[dict[str, Any]]: ...

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None: ...

    def refused_extensions(self, listing: Listing, response: GraphResponse) -> frozenset[str]: ...

    def warn_of_dropped(self, listing: Listing, dropped: Sequence[str], response: GraphResponse) -> None: ...

    def read_in_full(self, listing: Listing, response: GraphResponse) -> bool: ...
