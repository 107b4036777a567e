"""Which streams can be read and what the others lack, found out before any is read.

The token's roles tell which permissions are missing. What they cannot tell, such as a licence, is asked of Graph:
one row of each stream, of the first object where a row belongs to one, many streams in a request.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from source_microsoft_graph.errors import Help, Lack, SignInRefused, StreamRefused
from source_microsoft_graph.graph.batch import MAX_BATCH, BatchSize
from source_microsoft_graph.graph.catalogue import NOT_IN_CLOUD, Action
from source_microsoft_graph.graph.client import PageResponse
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.permissions import either, in_words, lacking, left_out
from source_microsoft_graph.sync.context import Owner, Sync


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one stream can be read: `lack` is None if so. `detail` is the permission by which it can, or is short
    for what it lacks; `remedy` says what to do about that, and `permissions` which ones to grant."""

    stream: str
    lack: Lack | None
    detail: str = ""
    remedy: str = ""
    permissions: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        return self.lack.value if self.lack else "readable"


class Preflight:
    """One look at every stream of a tenant. Raises what ends a sync, and `StreamRefused` where Graph does not take
    what the configuration asks for."""

    def __init__(self, sync: Sync, streams: Sequence[GraphStream]) -> None:
        self._sync = sync
        self._streams = streams
        # A token that does not tell its roles explains as little as one that has none.
        self.roles = sync.auth.roles or frozenset()
        self._verdicts: dict[type[GraphStream], Verdict] = {}
        self._first: dict[type[GraphStream], Owner] = {}

    def verdicts(self) -> list[Verdict]:
        """One verdict for each stream, in the order of the streams."""
        waiting = list(self._streams)
        while waiting:
            ready = [stream for stream in waiting if not self._waits_for(stream, waiting)]
            waiting = [stream for stream in waiting if stream not in ready]
            probes: defaultdict[Service, list[tuple[GraphStream, PageRequest]]] = defaultdict(list)
            for stream in ready:
                verdict = self._foregone(stream)
                request = None if verdict else stream.probe(self._owner(stream))
                if request:
                    probes[request.service].append((stream, request))
                else:
                    self._verdicts[type(stream)] = verdict or self._readable(stream)
            for probe_batch in probes.values():
                self._probe(probe_batch)
        return [self._verdicts[type(stream)] for stream in self._streams]

    def _waits_for(self, stream: GraphStream, others: Iterable[GraphStream]) -> bool:
        return any(type(other) in _parents(stream) for other in others)

    def _owner(self, stream: GraphStream) -> Owner | None:
        """The first object there is of those this stream's rows belong to."""
        return next((self._first[parent] for parent in _parents(stream) if parent in self._first), None)

    def _foregone(self, stream: GraphStream) -> Verdict | None:
        """The verdict where nothing has to be requested of Graph."""
        if not stream.in_cloud:
            return _lacking(stream, NOT_IN_CLOUD)
        # Not every token tells its roles.
        if self.roles and (missing := lacking(stream, self.roles)):
            detail = ", ".join(either(permission, least) for permission, least in missing.items())
            return Verdict(stream.name, Lack.PERMISSION, detail, permissions=tuple(missing))
        of_parents = (self._verdicts[parent] for parent in self._ancestors(stream) if parent in self._verdicts)
        without = next((verdict for verdict in of_parents if _concerns(verdict, stream)), None)
        return replace(without, stream=stream.name) if without else None

    def _ancestors(self, stream: GraphStream) -> Iterator[type]:
        """The kinds of its parents, and of the parents of those that are no streams of their own."""
        own = {type(each) for each in self._streams}
        yield from _parents(stream)
        for parent in stream.parents():
            if type(parent) not in own:
                yield from self._ancestors(parent)

    def _probe(self, probes: list[tuple[GraphStream, PageRequest]]) -> None:
        requests = deque(request for _, request in probes)
        most = requests[0].service.value.in_one_batch(MAX_BATCH)
        for page_response in self._sync.client.responses(requests, BatchSize(most, most)):
            stream = next(stream for stream, request in probes if request is page_response.request)
            if page_response.rule.action is Action.READ:
                self._note_first(stream, page_response)
            self._verdicts[type(stream)] = self._verdict_on(stream, page_response)

    def _note_first(self, stream: GraphStream, page_response: PageResponse) -> None:
        """Keep the key of the first object there is, for the probes of child streams."""
        parents = page_response.request.listing.parents
        for entity in page_response.response.body["value"][:1]:
            self._first[type(stream)] = (*(parents[column] for column in stream.parent_columns), entity["id"])

    def _verdict_on(self, stream: GraphStream, page_response: PageResponse) -> Verdict:
        """What reading would make of this response."""
        rule, action, response = page_response.rule, page_response.rule.action, page_response.response
        of_one_owner = bool(page_response.request.listing.parents)
        if page_response.lasting:
            return Verdict(stream.name, Lack.ANSWER, str(response), "Try again later.")
        if response.status_code == 400 and not of_one_owner and page_response.request.listing.query != stream.query:
            raise StreamRefused(f"user_filter, include_users: {rule.help} {response}")
        # The owner of an object's rows was listed with the same token.
        if action is Action.RENEW and not of_one_owner:
            raise self._sync.client.fail(SignInRefused(f"{rule.help} {response}"))
        if action is Action.DENY:
            is_permitted = bool(self.roles.intersection(stream.permissions))
            if not is_permitted:
                return self._denied(stream, response=str(response))
            action = Action.SKIP if of_one_owner else Action.FAIL
        if action is Action.FAIL:
            if rule.help.lack is Lack.PERMISSION:
                return self._denied(stream, response=str(response))
            if rule.help.lack:
                return _lacking(stream, rule.help)
            return Verdict(stream.name, Lack.REFUSED, str(response), str(rule.help))
        return self._readable(stream)

    def _denied(self, stream: GraphStream, response: str) -> Verdict:
        """Graph asks for a permission that the token does not tell of."""
        return Verdict(stream.name, Lack.PERMISSION, in_words(stream), response, stream.permissions[:1])

    def _readable(self, stream: GraphStream) -> Verdict:
        by = next((permission for permission in stream.permissions if permission in self.roles), "")
        missing = left_out(stream, self.roles) if by else {}
        return Verdict(stream.name, None, "; ".join([by, *(f"{what} take {it}" for what, it in missing.items())]))


def _concerns(verdict: Verdict, stream: GraphStream) -> bool:
    """Whether what a parent lacks is lacking for this stream too: a subset of the parent may take fewer permissions."""
    if verdict.lack is Lack.PERMISSION:
        return not lacking(stream, frozenset()).keys().isdisjoint(verdict.permissions)
    return verdict.lack is not None


def _parents(stream: GraphStream) -> list[type]:
    """The kinds of stream without whose keys there is nothing to read; some parents are a stream's subset."""
    return [kind for parent in stream.parents() for kind in type(parent).__mro__]


def _lacking(stream: GraphStream, help_: Help) -> Verdict:
    return Verdict(stream.name, help_.lack, help_.meaning, f"{help_.remedy} ({help_.link})")
