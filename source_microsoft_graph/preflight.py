"""Which streams can be read and what the others lack, found out before any is read.

The token's roles tell which permissions are missing. What they cannot tell, such as a licence, is asked of Graph:
one row of each stream, of the first object where a row belongs to one, many streams in a request.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from source_microsoft_graph.batch import MOST
from source_microsoft_graph.client import Answer, Ask, Together
from source_microsoft_graph.errors import (
    NOT_IN_CLOUD,
    Action,
    Help,
    Lack,
    SignInRefused,
    StreamRefused,
    body_of,
    describe,
)
from source_microsoft_graph.pacing import Service
from source_microsoft_graph.streams.base import GraphStream, either
from source_microsoft_graph.sync import Sync


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
        self.roles = sync.auth.roles
        self._verdicts: dict[type[GraphStream], Verdict] = {}
        self._first: dict[type[GraphStream], str] = {}

    def verdicts(self) -> list[Verdict]:
        """One verdict for each stream, in the order of the streams."""
        waiting = list(self._streams)
        while waiting:
            ready = [stream for stream in waiting if not self._waits_for(stream, waiting)]
            waiting = [stream for stream in waiting if stream not in ready]
            probes: defaultdict[Service, list[tuple[GraphStream, Ask]]] = defaultdict(list)
            for stream in ready:
                verdict = self._foregone(stream)
                ask = None if verdict else stream.probe(self._owner(stream))
                if ask:
                    probes[ask.service].append((stream, ask))
                else:
                    self._verdicts[type(stream)] = verdict or self._readable(stream)
            for together in probes.values():
                self._probe(together)
        return [self._verdicts[type(stream)] for stream in self._streams]

    def _waits_for(self, stream: GraphStream, others: Iterable[GraphStream]) -> bool:
        return any(type(other) in _parents(stream) for other in others)

    def _owner(self, stream: GraphStream) -> str | None:
        """The first object there is of those this stream's rows belong to."""
        return next((self._first[parent] for parent in _parents(stream) if parent in self._first), None)

    def _foregone(self, stream: GraphStream) -> Verdict | None:
        """The verdict where Graph need not be asked."""
        if not stream.in_cloud:
            return _lacking(stream, NOT_IN_CLOUD)
        # Not every token tells its roles.
        if self.roles and (lacking := stream.lacking(self.roles)):
            detail = ", ".join(either(permission, least) for permission, least in lacking.items())
            return Verdict(stream.name, Lack.PERMISSION, detail, permissions=tuple(lacking))
        of_parents = (self._verdicts[parent] for parent in _parents(stream) if parent in self._verdicts)
        without = next((verdict for verdict in of_parents if verdict.lack), None)
        return replace(without, stream=stream.name) if without else None

    def _probe(self, probes: list[tuple[GraphStream, Ask]]) -> None:
        asks = deque(ask for _, ask in probes)
        for answer in self._sync.client.answers(asks, Together(MOST)):
            stream = next(stream for stream, ask in probes if ask is answer.ask)
            if answer.known.action is Action.READ:
                self._first.update({type(stream): row["id"] for row in body_of(answer.response)["value"][:1]})
            self._verdicts[type(stream)] = self._judged(stream, answer)

    def _judged(self, stream: GraphStream, answer: Answer) -> Verdict:
        """What reading would make of this answer."""
        known, action, response = answer.known, answer.known.action, answer.response
        of_one_object = bool(answer.ask.listing.parents)
        if answer.lasting:
            return Verdict(stream.name, Lack.ANSWER, describe(response), "Try again later.")
        if response.status_code == 400 and answer.ask.listing.query != stream.query:
            raise StreamRefused(f"user_filter, include_users: {known.help} {describe(response)}")
        # The owner of an object's rows was listed with the same token.
        if action is Action.RENEW and not of_one_object:
            raise self._sync.client.fail(SignInRefused(f"{known.help} {describe(response)}"))
        if action is Action.DENY:
            is_permitted = bool(self.roles.intersection(stream.permissions))
            if not is_permitted:
                return self._denied(stream, response=describe(response))
            action = Action.SKIP if of_one_object else Action.FAIL
        if action is Action.FAIL:
            if known.help.lack is Lack.PERMISSION:
                return self._denied(stream, response=describe(response))
            if known.help.lack:
                return _lacking(stream, known.help)
            return Verdict(stream.name, Lack.REFUSED, describe(response), str(known.help))
        return self._readable(stream)

    def _denied(self, stream: GraphStream, response: str) -> Verdict:
        """Graph asks for a permission that the token does not tell of."""
        return Verdict(stream.name, Lack.PERMISSION, stream.permission_words, response, stream.permissions[:1])

    def _readable(self, stream: GraphStream) -> Verdict:
        by = next((permission for permission in stream.permissions if permission in self.roles), "")
        left_out = stream.left_out(self.roles) if by else {}
        return Verdict(stream.name, None, "; ".join([by, *(f"{what} take {it}" for what, it in left_out.items())]))


def _parents(stream: GraphStream) -> list[type]:
    """The kinds of stream without whose keys there is nothing to read; some parents are a stream's subset."""
    return [kind for parent in stream.parent_streams() for kind in type(parent).__mro__]


def _lacking(stream: GraphStream, help_: Help) -> Verdict:
    return Verdict(stream.name, help_.lack, help_.meaning, f"{help_.remedy} ({help_.link})")
