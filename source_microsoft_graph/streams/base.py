"""What a stream is: its vocabulary, its defaults, and the path of a record from a slice to a page's objects.

What reading consists of has a module for each duty: `page_requests` (how a page is requested), `page_loop` (the loop
over pages), `refusals` (what a refusal means), `permissions` (what is missing), `slices` (owners in slices).
"""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import requests
from airbyte_cdk.models import SyncMode
from airbyte_cdk.sources.streams.http import HttpStream

from source_microsoft_graph.errors import GraphUnavailable, ProtocolBroken, StreamRefused
from source_microsoft_graph.graph.batch import MAX_BATCH
from source_microsoft_graph.graph.catalogue import NOT_IN_CLOUD
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams import page_requests
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.page_requests import quoted
from source_microsoft_graph.streams.permissions import left_out
from source_microsoft_graph.streams.records import ambiguous, to_record
from source_microsoft_graph.streams.refusals import described
from source_microsoft_graph.streams.slices import Slice, owners_of, slices_of
from source_microsoft_graph.sync.context import Owner, Sync, as_text
from source_microsoft_graph.sync.cursors import (
    DELETED_AT,
    UPDATED_AT,
    CursorMove,
    PerOwnerCursor,
    SliceProgress,
    StreamCursor,
    digest,
)

PLACEHOLDER = re.compile(r"{(\w+)}")
_TIME = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}

NOT_SELECTED = {"odata_type", UPDATED_AT, DELETED_AT}
"""Columns that are no properties: Graph sends them unrequested, or the connector makes them."""


class GraphStream(HttpStream, ABC):
    """A collection of Graph's, read to its last page.

    A stream is a class whose body is declarations; after `__init__` it never changes, for one stream object is read by
    many threads. What changes during a read is kept in a `Listing` or in the `Sync`.
    """

    path_template: ClassVar[str]
    """The path below the version. A placeholder names the slice's key and the column that holds the parent's id."""

    service: ClassVar[Service]
    """Whose throttling limits apply."""

    permissions: ClassVar[tuple[str, ...]]
    """Application permissions, any of which suffices; the first is the one the documentation asks for."""

    least_permission: ClassVar[str | None] = None
    """The least permission that suffices, where the documented one brings more data or more streams."""

    more_permissions: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Records that take another permission, and those of which any suffices; without one they are left out."""

    probe_path: ClassVar[str | None] = None
    """What tells whether Graph serves this stream, where its own path cannot be requested without an id."""

    primary_key: str | list[str] = "id"

    own_id: ClassVar[str] = "id"
    """The column that holds the object's own id."""

    key_within: ClassVar[tuple[str, ...]] = ()
    """Further columns of the primary key, which the stream itself gives each record: an id is unique only with them."""

    page_size: int | None = 999
    """The most objects Graph serves in a page; None where it refuses `$top`."""

    serves_larger_pages: ClassVar[bool] = False
    """Whether Graph takes larger pages than `page_size`, which then follows from the bytes of the objects."""

    sized_by_preference: ClassVar[bool] = False
    """Whether the page size is requested in a preference, because `$top` may bound the whole listing instead."""

    query: ClassVar[Mapping[str, str]] = {}
    """Fixed OData options."""

    selects: ClassVar[bool] = False
    """Whether the schema's properties must be requested by name, because Graph leaves most out by default."""

    extension_target: ClassVar[str | None] = None
    """What Graph calls these objects where it says which ones an extension is for; None if they can have none."""

    cost: ClassVar[float] = 1.0
    """How much of its service's limit a request takes, where a usual one takes 1."""

    batch_size: ClassVar[int] = 1
    """How many listings are requested in one batch; 1 requests each by itself."""

    shared: ClassVar[bool] = False
    """Whether several listings hold the same object, which is then emitted for the first of them alone."""

    takes_skip: ClassVar[bool] = False
    """Whether Graph takes `$skip`, by which an object that it cannot serve is stepped over."""

    keeps_keys: ClassVar[bool] = True
    """Whether the keys of its objects are kept for several child streams. Without, each lists them for itself: there
    may be millions, and only one child."""

    never_empty: ClassVar[bool] = False
    """Whether every tenant has some of these objects, so that an empty list is a fault of Graph's."""

    each_owner_has_it: ClassVar[bool] = False
    """Whether every owner has such a collection, so that a 404 for all of them is a refusal of Graph's."""

    last_version_counts: ClassVar[bool] = False
    """Whether a listing emits an object as often as Graph names it, because the stream itself tells them apart."""

    expensive: ClassVar[bool] = False
    """Whether it takes so many requests that it is read only where it is named."""

    cursor_field: str | list[str] = []
    """The column that tells an object's versions apart, for a stream that can be read incrementally."""

    defaulted: ClassVar[tuple[str, ...]] = ()
    """Columns that a list fills with a default, whatever the object has, so that they are left out."""

    changed_since: ClassVar[Mapping[str, str]] = {}
    """OData options that list what an owner's collection got since a time; `before` is the millisecond before it."""

    starts_at_start_date: ClassVar[bool] = True
    """Whether an owner that was never read is read from the configured date on, and not from the beginning."""

    # HttpStream has a state setter, which makes the CDK treat it as resumable and read it page by page in a
    # checkpoint loop that a stream with its own read_records never ends.
    is_resumable = False

    def __init__(self, sync: Sync, *, keys_only: bool = False, **kwargs: Any) -> None:
        """`keys_only` lists parents: nothing but their keys is requested."""
        self.sync = sync
        self.keys_only = keys_only
        # If the keys of the parents cannot be listed, the child streams fail; the parent's own stream does not.
        self.identity = (type(self), keys_only)
        super().__init__(authenticator=sync.auth, **kwargs)

    # What the stream is.

    @property
    def url_base(self) -> str:
        return f"https://{self.sync.config.cloud.graph_host}/v1.0/"

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The ids that the path needs."""
        return tuple(PLACEHOLDER.findall(self.path_template))

    @property
    def is_child(self) -> bool:
        """Whether each listing belongs to one owner, so that a refusal may be that owner's alone."""
        return bool(self.placeholders)

    @property
    def parent_columns(self) -> tuple[str, ...]:
        """The owner's ids that each record carries: those that are part of the primary key."""
        key = [self.primary_key] if isinstance(self.primary_key, str) else self.primary_key
        return tuple(name for name in self.placeholders if name in key)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of the primary key beside the object's own id."""
        return (*self.parent_columns, *self.key_within)

    def parents(self) -> Iterable[GraphStream]:
        """The streams whose keys this one needs before it can request anything."""
        return ()

    @property
    def in_cloud(self) -> bool:
        """Whether the tenant's cloud has what this stream lists."""
        return self.sync.config.cloud.serves(self.path_template)

    @property
    def headers(self) -> Mapping[str, str]:
        """What its requests carry beside the usual headers."""
        return {}

    def leaves_out(self, name: str, column: Mapping[str, Any]) -> bool:
        """Whether the configuration does without this column of the schema."""
        return False

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # The CDK's is wrapped in a cache.
        schema = super().get_json_schema()
        columns = {name: it for name, it in schema["properties"].items() if not self.leaves_out(name, it)}
        if self.cursor_field == UPDATED_AT:
            columns |= dict.fromkeys((UPDATED_AT, DELETED_AT), _TIME)
        columns |= self.extension_columns
        return {**schema, "properties": columns}

    @property
    def extension_columns(self) -> Mapping[str, Mapping[str, Any]]:
        """The tenant's own columns by their names: https://learn.microsoft.com/graph/extensibility-overview"""
        return self.sync.extensions.get(self.extension_target or "", {})

    @property
    def fingerprint(self) -> str:
        """What decides which records and columns Graph sends: a state that was saved under another one is no use."""
        return digest(self.select_ladder()[0], dict(self.headers), [dict(query) for query in self.queries()])

    def new_cursor(self) -> StreamCursor | None:
        """The cursor of an incremental read, at the start; None where there are full refreshes alone."""
        if not self.cursor_field:
            return None
        start = self.sync.config.start_date if self.starts_at_start_date else None
        return PerOwnerCursor(self.fingerprint, as_text(start) if start else None)

    # The path of a record: owners, slices, listings, page requests, pages, records.

    def owners(self) -> Iterable[Owner]:
        """The ids that stand for the placeholders of the path, one listing each."""
        return ()

    def owners_to_read(self, progress: SliceProgress | None) -> Iterable[Owner]:
        """Those whose listings have to be requested: all of them, unless it is known in whose nothing changed."""
        return self.owners()

    def stream_slices(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Slice]:
        """The slices of a full refresh; `slices` has those of an incremental read too."""
        return self.slices(None)

    def slices(self, progress: SliceProgress | None) -> Iterator[Slice]:
        """As many owners a slice as a batch takes. Raises `StreamRefused` where the cloud does not have what they would
        list."""
        if not self.in_cloud:
            raise StreamRefused(f"{self.name}: {NOT_IN_CLOUD}")
        for records, permission in left_out(self, self.sync.auth.roles).items():
            grant = self.sync.auth.credentials.grant(permission)
            self.logger.warning(f"{self.name}: {records} are left out. {grant}")
        if not self.is_child:
            yield {}
            return
        size = MAX_BATCH if self.batch_size > 1 else 1
        for stream_slice in slices_of(self.owners_to_read(progress), self.placeholders, size):
            if self.sync.has_given_up(self.identity):
                return
            yield stream_slice

    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Slice | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[dict[str, Any]]:
        """A slice of a full refresh; `records` has those of an incremental read too."""
        return self.records(stream_slice or {}, None)

    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        """What is in a slice, or with `progress` what is new in it since its owners were read."""
        records = PageLoop(self, progress).records(self.listings(stream_slice, progress))
        if not self.shared:
            yield from records
            return
        seen_ids = self.sync.seen_ids(self.identity)
        for record in records:
            if seen_ids.add(record["id"]):
                yield record

    def every_record(self) -> Iterator[dict[str, Any]]:
        """All there are, as in a full refresh."""
        for stream_slice in self.slices(None):
            yield from self.records(stream_slice, None)

    def listings(self, stream_slice: Slice, progress: SliceProgress | None = None) -> Iterator[Listing]:
        """The tenant's own collection, or one for each owner in the slice."""
        if not stream_slice:
            for query in self.queries():
                yield self.listing(self.path(), {}, query)
        for owner in owners_of(stream_slice):
            parents = dict(zip(stream_slice, owner, strict=True))
            since = progress.since(owner) if progress else None
            move = CursorMove(owner, self.sync.resume_from) if progress else None
            yield self.listing(self.path(stream_slice=parents), parents, since=since, move=move)

    def queries(self) -> Iterable[Mapping[str, str]]:
        """The OData options of each listing of the tenant's own collection: one listing, unless it has to be many.
        Below an owner they are the first ones."""
        return (self.query,)

    def listing(
        self,
        path: str,
        parents: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        *,
        since: str | None = None,
        move: CursorMove | None = None,
    ) -> Listing:
        query = next(iter(self.queries())) if query is None else query
        return Listing(
            path,
            parents,
            self.select_ladder(),
            self.top(),
            query,
            since=since,
            move=move,
            last_version_counts=self.last_version_counts,
            takes_skip=self.takes_skip,
            key_within=self.key_within,
        )

    def path(
        self,
        *,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> str:
        if next_page_token:
            return str(next_page_token["link"])
        return self.path_template.format(**{key: quoted(value) for key, value in (stream_slice or {}).items()})

    def top(self) -> int | None:
        return None if self.page_size is None else min(self.sync.config.page_size, self.page_size)

    def select_ladder(self) -> list[tuple[str, ...]]:
        """The sets of properties to request, most first; each refusal leads to the next one."""
        # Where nothing has to be requested by name, an extension has to be all the same, and so everything beside it.
        if not self.selects and not self.extension_columns:
            return [()]
        if self.keys_only:
            return [("id",), ()]
        columns = self.get_json_schema()["properties"]
        return page_requests.select_ladder({name: it for name, it in columns.items() if name not in NOT_SELECTED})

    def page_request(self, listing: Listing) -> PageRequest:
        """For the listing's next page; a page link carries the options of the first page in Graph's own form."""
        changes = page_requests.changes_since(listing.since, self.changed_since)
        with_top, headers, not_before = not self.sized_by_preference, self.headers, 0.0
        page_size = self.sync.batch_size(self.identity, self.batch_size).page_size(listing.page_size)
        top = page_size if with_top else None
        url = listing.link or page_requests.first_page_url(listing, self.url_base, changes, top)
        if self.sized_by_preference:
            headers = page_requests.with_page_size(headers, page_size)
        if listing.link and self.service.value.min_interval:
            not_before = self.sync.clock.now() + self.service.value.min_interval
        return PageRequest(url, self.service, listing.may_shrink, listing, not_before, headers, cost=self.cost)

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        """An empty page is not the last one: the last one is the page without a link. Raises `ProtocolBroken` for a
        link that is none."""
        link = cast(GraphResponse, response).body.get("@odata.nextLink")
        if link is None:
            return None
        if not isinstance(link, str) or not link:
            raise ProtocolBroken(f"Graph sent {link!r} for the link to the next page.")
        return {"link": link}

    def parse_response(
        self,
        response: requests.Response,
        *,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> Iterable[dict[str, Any]]:
        parents = {column: (stream_slice or {})[column] for column in self.parent_columns}
        entities = cast(GraphResponse, response).body["value"]
        entities.reverse()
        while entities:
            entity = entities.pop()
            # The CDK takes an empty record for the end of the sync.
            if entity:
                yield to_record(entity, parents)
        self._warn_of_ambiguous()

    # Other threads add columns meanwhile.
    def _warn_of_ambiguous(self) -> None:
        for column, names in ambiguous.copy().items():
            self.sync.warn_once(
                ("ambiguous", column),
                f"Graph sends {' and '.join(names)}, which would both be column {column}: each after the first keeps "
                "Graph's own name.",
            )

    def refused_extensions(self, listing: Listing, response: GraphResponse) -> frozenset[str]:
        """The requested extensions that Graph's refusal names, or all of them where it names none of the properties.
        An extension that does not exist is a bad request, and what takes a licence or a permission is not."""
        words = set(re.findall(r"\w+", response.message)).intersection(listing.select) - {"id"}
        requested = self.extension_columns.keys() & set(listing.select)
        is_bad_request = response.status_code == 400
        return frozenset(words & requested if words or not is_bad_request else requested)

    def warn_of_dropped(self, listing: Listing, dropped: Sequence[str], response: GraphResponse) -> None:
        """Graph refuses to list these properties beside the others."""
        if self.extension_columns.keys() >= set(dropped):
            self.sync.warn_once(
                (self.identity, *dropped),
                f"{self.name}: Graph refused these extensions, which the tenant may no longer have, so they are no "
                f"longer requested and stay empty: {', '.join(dropped)}. {response}",
            )
            return
        self.logger.warning(
            f"{self.name}: Graph refused the list of properties, so these are no longer requested and may stay empty: "
            f"{', '.join(dropped)}. {response}"
        )

    def read_in_full(self, listing: Listing, response: GraphResponse) -> bool:
        """Whether this listing can be read in full, as it then will be: Graph refused to tell what is new in it."""
        self.sync.warn(
            (self.identity, "read in full"),
            f"{described(self, listing)}: Graph does not tell what changed since {listing.since}, so everything is "
            f"read. {response}",
        )
        listing.since = None
        return True

    # What other streams and the check need of it.

    def object_keys(self) -> Iterable[Owner]:
        """The key of every object listed, as the owner of a child stream: the parents' ids and its own. They are read
        once a sync however many children there are. Where it takes a listing for each user to find them, the stream's
        own read finds them if the catalog selects it."""
        if self.shared and type(self) in self.sync.selected:
            return ((identifier,) for identifier in self.sync.seen_ids((type(self), False)))
        if not self.keeps_keys:
            return self._list_keys()
        return self.sync.shared_ids(type(self), self._list_keys)

    def _list_keys(self) -> Iterator[Owner]:
        yield from map(self.key_of, self.every_record())
        if failure := self.failure_of_all_owners():
            raise failure

    def key_of(self, record: Mapping[str, Any]) -> Owner:
        """The ids that stand for this object in the path of a child stream."""
        return tuple(record[column] for column in (*self.parent_columns, "id"))

    def failure_of_all_owners(self) -> StreamRefused | None:
        """What to raise at the end where no owner could be read, though the service has something of them."""
        owners = self.sync.refused_owners(self.name, keys_only=self.keys_only)
        if not owners:
            return None
        return StreamRefused(f"{self.name}: none of {owners:,} objects could be read, each for a reason logged above.")

    def ended(self, failure: Exception | None) -> None:
        """The whole stream was read, as far as it could be."""
        if failure:
            failure = GraphUnavailable(f"Not all of {self.name} could be found. {failure}")
        self.sync.seen_ids(self.identity).close(failure)

    def probe(self, owner: Owner | None) -> PageRequest | None:
        """What to request to learn whether Graph serves this stream: one object, of this owner where it needs one. None
        where there is no owner."""
        path, parents = self.probe_path, {}
        if not path and self.is_child:
            if owner is None:
                return None
            parents = dict(zip(self.placeholders, owner, strict=True))
        selects: list[tuple[str, ...]] = [("id",) if self.selects else ()]
        query = next(iter(self.queries()))
        return self.page_request(
            Listing(path or self.path(stream_slice=parents), parents, selects, self.page_size and 1, query)
        )
