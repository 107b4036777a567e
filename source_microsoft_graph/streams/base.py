"""The one way from a stream's declarations to its rows."""

from __future__ import annotations

import re
from abc import ABC
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlencode, urlsplit

import requests
from airbyte_cdk.models import SyncMode
from airbyte_cdk.sources.streams.http import HttpStream

from source_microsoft_graph.batch import MOST
from source_microsoft_graph.client import PageRequest, PageResponse
from source_microsoft_graph.cursors import DELETED_AT, UPDATED_AT, CursorOfEach, Progress, StreamCursor, digest
from source_microsoft_graph.errors import (
    NOT_IN_CLOUD,
    UNKNOWN,
    Action,
    ErrorRule,
    GraphError,
    GraphUnavailable,
    ProtocolBroken,
    SignInRefused,
    StreamRefused,
    body_of,
    describe,
)
from source_microsoft_graph.pacing import Service
from source_microsoft_graph.records import camel_case, row
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.sync import Sync, as_text

Slice = Mapping[str, Any]

PLACEHOLDER = re.compile(r"{(\w+)}")
_TIME = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}

NOT_SELECTED = {"odata_type", UPDATED_AT, DELETED_AT}
"""Columns that are no properties: they come unasked, or are our own."""

_RISKY = ("licensed", "optional")
"""The marks of columns in a schema that are asked for no longer when Graph refuses, the likeliest cause first."""


class GraphStream(HttpStream, ABC):
    """A collection of Graph's, read to its last page.

    A stream is a class whose body is declarations; after `__init__` it never changes, for one stream object
    serves many partitions at once. What changes during a read lives in a `Listing` or in the `Sync`.
    """

    path_template: ClassVar[str]
    """Below the version; a placeholder names the slice's key and the column stamped on each row."""

    service: ClassVar[Service]
    """Whose throttling limits apply."""

    permissions: ClassVar[tuple[str, ...]]
    """Application permissions, any of which suffices; the first is the one the documentation asks for."""

    least_permission: ClassVar[str | None] = None
    """The least permission that suffices, where the documented one brings more data or more streams."""

    more_permissions: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Rows that take more than these, and the permissions, any of which suffices, without which they are left out."""

    probe_path: ClassVar[str | None] = None
    """What tells whether Graph serves this stream, where its own path would not do without an id."""

    primary_key: str | list[str] = "id"

    page_size: int | None = 999
    """The most rows Graph serves in a page; None where it refuses `$top`."""

    sized_by_preference: ClassVar[bool] = False
    """Whether the size of a page is asked for in a preference, because `$top` may bound the whole listing instead."""

    query: ClassVar[Mapping[str, str]] = {}
    """Fixed OData options."""

    selects: ClassVar[bool] = False
    """Whether the schema's properties must be asked for by name, because Graph leaves most out by default."""

    batch_size: ClassVar[int] = 1
    """How many listings are asked for in one request; 1 asks for each by itself."""

    shared: ClassVar[bool] = False
    """Whether several listings hold the same object, which is then emitted for the first of them alone."""

    cursor_field: str | list[str] = []
    """The column that tells an object's versions apart, for a stream that can be read incrementally."""

    changed_since: ClassVar[Mapping[str, str]] = {}
    """OData options that list what an owner's collection got since a moment; `before` is the moment before that."""

    starts_at_start_date: ClassVar[bool] = True
    """Whether an owner that was never read is read from the configured date on, and not from the beginning."""

    # HttpStream has a state setter, which makes the CDK treat it as resumable and read it page by page in a
    # checkpoint loop that a stream with its own read_records never ends.
    is_resumable = False

    def __init__(self, sync: Sync, *, keys_only: bool = False, **kwargs: Any) -> None:
        """`keys_only` makes a listing of parents: the key is all that is asked for."""
        self.sync = sync
        self.keys_only = keys_only
        # A listing of parents that fails takes its children with it, not the stream of the same name.
        self.reading = (type(self), keys_only)
        super().__init__(authenticator=sync.auth, **kwargs)

    @property
    def url_base(self) -> str:
        return f"https://{self.sync.config.cloud.graph_host}/v1.0/"

    @property
    def of_one_object(self) -> bool:
        """Whether each listing belongs to one parent, so that a refusal may be that parent's alone."""
        return bool(PLACEHOLDER.search(self.path_template))

    @property
    def parent_columns(self) -> tuple[str, ...]:
        """The slice's keys stamped on each row: those that are part of the primary key."""
        key = [self.primary_key] if isinstance(self.primary_key, str) else self.primary_key
        return tuple(name for name in PLACEHOLDER.findall(self.path_template) if name in key)

    def parent_streams(self) -> Iterable[GraphStream]:
        """The streams whose keys this one needs before it can ask for anything."""
        return ()

    @property
    def in_cloud(self) -> bool:
        """Whether the tenant's cloud has what this stream lists."""
        return self.sync.config.cloud.serves(self.path_template)

    def lacking(self, roles: frozenset[str]) -> dict[str, set[str]]:
        """The permissions to grant before this stream can be read, its parents' included, each with those that would
        do instead of it."""
        lacking: defaultdict[str, set[str]] = defaultdict(set)
        if not roles.intersection(self.permissions):
            lacking[self.permissions[0]].add(self.least_permission or self.permissions[0])
        for parent in self.parent_streams():
            for permission, least in parent.lacking(roles).items():
                lacking[permission] |= least
        return dict(sorted(lacking.items()))

    def left_out(self, roles: frozenset[str]) -> dict[str, str]:
        """The rows that these permissions do not reach, each with one to grant."""
        needed = self.more_permissions.items()
        return {what: permissions[0] for what, permissions in needed if roles.isdisjoint(permissions)}

    @property
    def permission_words(self) -> str:
        """The permission to grant, and the least that would do instead."""
        return either(self.permissions[0], (self.least_permission or self.permissions[0],))

    @property
    def headers(self) -> Mapping[str, str]:
        """What nearly each request carries beside the usual headers."""
        return {}

    def leaves_out(self, name: str, column: Mapping[str, Any]) -> bool:
        """Whether the configuration does without this column of the schema."""
        return False

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # The CDK's is wrapped in a cache.
        schema = super().get_json_schema()
        columns = {name: it for name, it in schema["properties"].items() if not self.leaves_out(name, it)}
        if self.cursor_field == UPDATED_AT:
            columns |= dict.fromkeys((UPDATED_AT, DELETED_AT), _TIME)
        return {**schema, "properties": columns}

    @property
    def fingerprint(self) -> str:
        """What decides which rows and columns come: a cursor of another question is of no use."""
        return digest(self.select_ladder()[0], dict(self.headers), [dict(query) for query in self.queries()])

    def new_cursor(self) -> StreamCursor | None:
        """Where an incremental read stands, at the start; None where there are full refreshes alone."""
        if not self.cursor_field:
            return None
        start = self.sync.config.start_date if self.starts_at_start_date else None
        return CursorOfEach(self.fingerprint, as_text(start) if start else None)

    # The path of a row, in order: slice, listing, request, page, row.

    def owners(self) -> Iterable[str]:
        """What stands for the placeholder in the path, one listing each. A stream of the tenant's own has none."""
        return ()

    def ids(self) -> Iterable[str]:
        """The id of every object listed, read once a sync however many children ask. What takes a listing a user to
        find is found by reading the stream itself, where that is wanted too."""
        if self.shared and type(self) in self.sync.selected:
            return self.sync.seen_ids((type(self), False))
        return self.sync.shared_ids(type(self), self._list_ids)

    def ended(self, failure: Exception | None) -> None:
        """The whole stream was read, as far as it could be."""
        if failure:
            failure = GraphUnavailable(f"Not all of {self.name} could be found. {failure}")
        self.sync.seen_ids(self.reading).close(failure)

    def _list_ids(self) -> Iterator[str]:
        for stream_slice in self.slices(None):
            for record in self.records(stream_slice, None):
                yield record["id"]

    def stream_slices(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Slice]:
        """The slices of a full refresh; `slices` has those of an incremental read too."""
        return self.slices(None)

    def slices(self, progress: Progress | None) -> Iterator[Slice]:
        """As many owners a slice as are asked for together. The CDK copies, hashes and logs every slice, so it holds
        their keys and nothing else. Raises `StreamRefused` where the cloud does not have what they would list."""
        if not self.in_cloud:
            raise StreamRefused(f"{self.name}: {NOT_IN_CLOUD}")
        for what, permission in self.left_out(self.sync.auth.roles).items():
            grant = self.sync.config.credentials.grant(permission)
            self.logger.warning(f"{self.name}: {what} are left out. {grant}")
        if not self.of_one_object:
            yield {}
            return
        (placeholder,) = PLACEHOLDER.findall(self.path_template)
        for chunk in _chunks(MOST if self.batch_size > 1 else 1, self.owners()):
            if self.sync.has_given_up(self.reading):
                return
            yield {placeholder: chunk}

    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Slice | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[dict[str, Any]]:
        """A slice of a full refresh; `records` has those of an incremental read too."""
        return self.records(stream_slice or {}, None)

    def records(self, stream_slice: Slice, progress: Progress | None) -> Iterator[dict[str, Any]]:
        """What is in a slice, or with `progress` what is new in it since its owners were read."""
        records = self.rows(self.listings(stream_slice, progress), progress)
        if not self.shared:
            yield from records
            return
        seen_ids = self.sync.seen_ids(self.reading)
        for record in records:
            if seen_ids.add(record["id"]):
                yield record

    def listings(self, stream_slice: Slice, progress: Progress | None = None) -> Iterator[Listing]:
        """The tenant's own collection, or one for each owner in the slice."""
        if not stream_slice:
            for query in self.queries():
                yield self.listing(self.path(), {}, query)
        for placeholder, owners in stream_slice.items():
            for owner in owners:
                parents = {placeholder: owner}
                since, mark = (progress.since(owner), (owner, self.sync.position)) if progress else (None, None)
                yield self.listing(self.path(stream_slice=parents), parents, since=since, mark=mark)

    def queries(self) -> Iterable[Mapping[str, str]]:
        """The OData options of each listing of the tenant's own collection: one listing, unless it has to be many."""
        return (self.query,)

    def listing(
        self,
        path: str,
        parents: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        *,
        since: str | None = None,
        mark: tuple[str, str] | None = None,
    ) -> Listing:
        query = self.query if query is None else query
        return Listing(path, parents, self.select_ladder(), self.top(), query, since=since, mark=mark)

    def sibling_listing(self, listing: Listing, path: str) -> Listing:
        """One more listing of what the same owner has."""
        return self.listing(path, listing.parents, since=listing.since, mark=listing.mark)

    def rows(self, listings: Iterable[Listing], progress: Progress | None = None) -> Iterator[dict[str, Any]]:
        """Every row of these listings. What is wrong with one of them is raised when the others have been read.

        `progress` learns whose listings were all read to the end; one that was skipped or failed is not.
        """
        unread: Counter[str] = Counter()
        page_requests: deque[PageRequest] = deque()

        def ask_for(new: Iterable[Listing]) -> None:
            for listing in new:
                unread[listing.key] += 1
                page_requests.append(self._ask(listing))

        ask_for(listings)
        batch_size = self.sync.batch_size(self.reading, self.batch_size)
        failed: dict[str, GraphError] = {}
        # A failure keeps what it passed through: left open, this would keep its place among the requests under way.
        with closing(self.sync.client.responses(page_requests, batch_size, is_lazy=self.keys_only)) as responses:
            while not self.sync.has_given_up(self.reading) and (page_response := next(responses, None)):
                listing: Listing = page_response.page_request.listing
                if page_response.rule.action is Action.READ:
                    for record in listing.unread(
                        self.parse_response(page_response.response, stream_slice=listing.parents)
                    ):
                        child_listings = self.child_listings(listing, record)
                        if child_listings is None:
                            yield record
                        else:
                            ask_for(child_listings)
                    token = self.next_page_token(page_response.response)
                    if not token:
                        self.sync.object_read(self.reading)
                        listing.delta_token = delta_token(page_response.response)
                        ask_for(self.next_listings(listing))
                        unread[listing.key] -= 1
                        if progress and listing.mark and not unread[listing.key]:
                            position, until = listing.mark
                            progress.done[position] = until
                    elif failure := self._advance(listing, token["link"]):
                        failed[listing.owner] = failure
                    else:
                        page_requests.append(self._ask(listing))
                elif not page_response.lasting and self._may_go_on(listing, page_response):
                    page_requests.append(self._ask(listing))
                elif failure := self._settle(listing, page_response):
                    failed[listing.owner] = failure
        if failed:
            (_, first), *others = failed.items()
            alike = f" And so for {', '.join(owner for owner, _ in others)}." if others else ""
            raise type(first)(f"{first}{alike}")

    def _advance(self, listing: Listing, link: str) -> GraphError | None:
        try:
            self.sync.client.check_host(link)
            listing.advance(link)
        except ProtocolBroken as broken:
            return ProtocolBroken(f"{self._where(listing)}: {broken}")
        return None

    def child_listings(self, listing: Listing, record: dict[str, Any]) -> Iterable[Listing] | None:
        """The listings that a row leads to, where it does so instead of being one of this stream's."""
        return None

    def next_listings(self, listing: Listing) -> Iterable[Listing]:
        """The listings to read once this one was read to its end."""
        return ()

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

    def _ask(self, listing: Listing) -> PageRequest:
        """For the next page; the links carry the options of the first one in Graph's own form."""
        url, not_before = listing.link or self.first_page(listing), 0.0
        if listing.link and self.service.value.min_interval:
            not_before = self.sync.limiter.now() + self.service.value.min_interval
        return PageRequest(
            url, self.service_of(listing), listing.may_shrink, listing, not_before, self.headers_of(listing)
        )

    def headers_of(self, listing: Listing) -> Mapping[str, str]:
        """What the requests of this listing carry beside the usual headers."""
        headers = self.headers
        if not self.sized_by_preference or listing.page_size is None:
            return headers
        # A link carries the options of the first page, and no preference.
        prefer = filter(None, (headers.get("Prefer"), f"odata.maxpagesize={listing.page_size}"))
        return {**headers, "Prefer": ", ".join(prefer)}

    def service_of(self, listing: Listing) -> Service:
        """Whose limits this listing counts against."""
        return self.service

    def first_page(self, listing: Listing) -> str:
        options = {**listing.query, **self.changes(listing)}
        if listing.page_size is not None and not self.sized_by_preference:
            options["$top"] = str(listing.page_size)
        if listing.select:
            options["$select"] = ",".join(listing.select)
        return f"{self.url_base}{listing.path}?{urlencode(options, quote_via=quote, safe='$,/:()')}".removesuffix("?")

    def changes(self, listing: Listing) -> Mapping[str, str]:
        """The options that ask for what is new."""
        if not listing.since or not self.changed_since:
            return {}
        before = datetime.fromisoformat(listing.since) - timedelta(milliseconds=1)
        moments = {"since": listing.since, "before": f"{before:%Y-%m-%dT%H:%M:%S}.{before.microsecond // 1000:03}Z"}
        return {option: value.format(**moments) for option, value in self.changed_since.items()}

    def top(self) -> int | None:
        return None if self.page_size is None else min(self.sync.config.page_size, self.page_size)

    def select_ladder(self) -> list[tuple[str, ...]]:
        """The sets of properties to ask for, most first: the whole schema, that without what takes a licence, the
        part of it every tenant serves, and Graph's default.

        One property that Graph will not list fails the whole request, and which those are depends on the tenant.
        """
        if not self.selects:
            return [()]
        if self.keys_only:
            return [("id",), ()]
        columns: Mapping[str, Any] = self.get_json_schema()["properties"]
        names = [name for name in columns if name not in NOT_SELECTED]
        ladder = [tuple(map(camel_case, names))]
        for mark in _RISKY:
            names = [name for name in names if columns[name].get("select") != mark]
            ladder.append(tuple(map(camel_case, names)))
        return [*dict.fromkeys(ladder), ()]

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        """An empty page is not the last one: the last one is the page without a link."""
        link = body_of(response).get("@odata.nextLink")
        return {"link": link} if link else None

    def parse_response(
        self,
        response: requests.Response,
        *,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> Iterable[dict[str, Any]]:
        parents = {column: (stream_slice or {})[column] for column in self.parent_columns}
        entities = body_of(response)["value"]
        entities.reverse()
        while entities:
            entity = entities.pop()
            # The CDK takes an empty record for the end of the sync.
            if entity:
                record = row(entity)
                record.update(parents)
                yield record

    def probe(self, owner: str | None) -> PageRequest | None:
        """What to ask to learn whether Graph serves this stream: one row, of this owner where a row has one. None where
        there is no owner to ask about."""
        path, parents = self.probe_path, {}
        if not path and self.of_one_object:
            if owner is None:
                return None
            parents = dict.fromkeys(PLACEHOLDER.findall(self.path_template), owner)
        listing = Listing(
            path or self.path(stream_slice=parents),
            parents,
            [("id",) if self.selects else ()],
            self.page_size and 1,
            next(iter(self.queries())),
        )
        return self._ask(listing)

    # What a refusal means, to this stream and for this listing.

    def _may_go_on(self, listing: Listing, page_response: PageResponse) -> bool:
        """Whether the listing can be read in another way: fewer properties, smaller pages, from the start."""
        if self._suspects_since(listing, page_response):
            return self.read_in_full(listing, page_response)
        if not self._suspects_select(listing, page_response):
            return listing.adapt(page_response.rule)
        dropped = listing.select_less()
        self.logger.warning(
            f"{self.name}: Graph refused the list of properties, so these are asked for no longer and may "
            f"stay empty: {', '.join(dropped)}. {describe(page_response.response)}"
        )
        return True

    def _suspects_since(self, listing: Listing, page_response: PageResponse) -> bool:
        """Graph no longer knows what changed since then, or does not take the question."""
        if not listing.since or listing.link:
            return False
        rule = page_response.rule
        # An owner that was deleted is a 404, too.
        refusals = (400,) if self.of_one_object else (400, 404)
        return rule.action is Action.RESTART or (page_response.response.status_code in refusals and not rule.precise)

    def read_in_full(self, listing: Listing, page_response: PageResponse) -> bool:
        """Whether this listing can be asked for everything instead, as it then will be."""
        self.sync.say(
            (self.reading, page_response.rule.action),
            f"{self._where(listing)}: what changed since {listing.since} cannot be had, so everything is read. "
            f"{describe(page_response.response)}",
        )
        listing.since = None
        return True

    def _suspects_select(self, listing: Listing, page_response: PageResponse) -> bool:
        """A refused property is answered by 400, 403, 404 or 501, and so are other faults."""
        is_suspect = listing.may_select_less and not page_response.rule.precise
        return is_suspect and (page_response.response.status_code != 403 or self._is_permitted())

    def _is_permitted(self) -> bool:
        return bool(self.sync.auth.roles.intersection(self.permissions))

    def _settle(self, listing: Listing, page_response: PageResponse) -> GraphError | None:
        """Skip the object, return what ends its listing alone, or raise what ends the stream or the sync."""
        response, rule, action = page_response.response, page_response.rule, page_response.rule.action
        where = self._where(listing)
        if action is Action.DENY:
            action = Action.SKIP if self._is_permitted() else Action.FAIL
        refusal = f"{self._advice(response, rule)} {describe(response)}"
        if page_response.lasting or action is Action.RESTART:
            self.sync.object_failed(self.reading)
            return GraphUnavailable(f"{where}: {page_response.lasting or refusal}")
        if not self.of_one_object:
            if action is Action.RENEW:
                raise self.sync.client.fail(SignInRefused(refusal))
            raise StreamRefused(f"{self.name}: {refusal}")
        if action is Action.RENEW and self.sync.client.accepts_token():
            action = Action.SKIP
        if action in (Action.SKIP, Action.CORRUPT):
            self.sync.skipped.add(self.name, listing.owner, rule, response)
            return None
        if action is Action.UNPAGE or rule is UNKNOWN:
            self.sync.object_failed(self.reading)
            return StreamRefused(f"{where}: {refusal}")
        if self.sync.give_up(self.reading):
            raise StreamRefused(f"{self.name}: {refusal}")
        return None

    def _where(self, listing: Listing) -> str:
        return f"{self.name} of {listing.owner}" if listing.owner else self.name

    def _advice(self, response: requests.Response, rule: ErrorRule) -> str:
        if response.status_code != 403 or self._is_permitted():
            return str(rule.help)
        return self.sync.config.credentials.grant(self.permission_words)


def delta_token(response: requests.Response) -> str:
    """What asks for the changes after these; empty where Graph gives none."""
    link = body_of(response).get("@odata.deltaLink")
    options = (option.partition("=") for option in urlsplit(link or "").query.split("&"))
    tokens = {unquote(name): unquote(value) for name, _, value in options}
    return tokens.get("$deltatoken") or tokens.get("token") or ""


def either(permission: str, least: Iterable[str]) -> str:
    """A permission, and those that together would do instead of it."""
    others = " and ".join(sorted(set(least) - {permission}))
    return f"{permission} (at least {others})" if others else permission


def _chunks(number: int, owners: Iterable[str]) -> Iterator[list[str]]:
    """So many at a time; those found before finding more failed come before the failure."""
    chunk: list[str] = []
    failure: GraphError | None = None
    try:
        for owner in owners:
            chunk.append(owner)
            if len(chunk) == number:
                yield chunk
                chunk = []
    except GraphError as error:
        failure = error
    if chunk:
        yield chunk
    if failure:
        raise failure


def quoted(identifier: str) -> str:
    """An id as part of a path. Ids hold no slash; a prefix of a path may."""
    return quote(identifier, safe="/:@!,=")
