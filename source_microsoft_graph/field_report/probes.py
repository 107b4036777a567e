"""What is asked of a tenant, step by step: each answer decides what is asked next.

One answer that makes no sense ends nothing: it is counted under `Findings.troubles` and the next one is looked at.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from source_microsoft_graph.errors import ProtocolBroken, SignInRefused
from source_microsoft_graph.field_report import plan
from source_microsoft_graph.field_report.findings import Answer, Findings, Incremental, Link, Page, value_of
from source_microsoft_graph.field_report.inquiry import Inquiry
from source_microsoft_graph.field_report.observation import PropertyReader, Refusal
from source_microsoft_graph.field_report.plan import TRIES, Purpose, Question
from source_microsoft_graph.graph.catalogue import Action
from source_microsoft_graph.graph.client import PageResponse
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.delta import DeltaStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import delta_token
from source_microsoft_graph.streams.permissions import is_permitted
from source_microsoft_graph.streams.records import camel_case
from source_microsoft_graph.sync.context import Owner

_NEXT_PAGES = 3
"""Page links followed where a page is smaller than what was asked for."""

_OWNERS = 20
"""Objects of a stream that are kept as owners of others."""

_GROUPS = 16
"""Groups that the names of a refused `$select` are asked for in, and how many single names of the refused ones."""


class Probes:
    """Asks a tenant what the plan says, and gathers what was found."""

    def __init__(self, inquiry: Inquiry, streams: Sequence[GraphStream]) -> None:
        self.inquiry = inquiry
        self.found = Findings(streams, inquiry.sync.auth.roles, inquiry.traffic)
        self.owners: defaultdict[type[GraphStream], list[Owner]] = defaultdict(list)
        """The ids that stand for objects in the paths of other streams, the fullest objects first."""
        self.owner_of: dict[GraphStream, Owner | None] = {}
        """Whose page a stream was seen by."""
        self.entities: dict[type[GraphStream], list[dict[str, Any]]] = {}
        """Some objects of the streams that a later step chooses from. They stay in memory and are never told."""
        self._listings: dict[GraphStream, Listing] = {}
        self._times: dict[GraphStream, datetime] = {}
        """A time of each stream's cursor, with objects before it and after it."""

    # First pages.

    def first_pages(self) -> None:
        """Parents before their children. The first answer of all tells Graph's time, and whether the token is taken."""
        first, *waiting = self.found.streams
        self._look_at([first])
        while waiting:
            ready = [stream for stream in waiting if not any(type(other) in _kinds(stream) for other in waiting)]
            waiting = [stream for stream in waiting if stream not in ready]
            self._look_at(ready)
        self._find_refused_names()
        self._follow_links()
        unasked = Page(None, Answer(why="not asked: see what made no sense"), tries=0)
        self.found.pages = {stream: self.found.pages.get(stream, unasked) for stream in self.found.streams}

    def _look_at(self, streams: Sequence[GraphStream]) -> None:
        for number in range(TRIES):
            questions: list[Question] = []
            for stream in streams:
                with self.making_sense(stream.name):
                    questions += filter(None, [self._first_page(stream, number)])
            self._receive_first_pages(questions)

    def _first_page(self, stream: GraphStream, number: int) -> Question | None:
        """The question of this try; None where it is not needed, or nobody is left to ask about."""
        page = self.found.pages.get(stream)
        if page and not self._may_ask_another(stream, page):
            return None
        owner = None
        if _needs_owner(stream):
            owners = self.owners_for(stream)
            if number >= len(owners):
                if not page:
                    why = "nothing was found that it could belong to"
                    self.found.pages[stream] = Page(None, Answer(why=why), tries=0)
                return None
            owner = owners[number]
        elif page:
            return None
        return plan.first_page(stream, owner)

    def _may_ask_another(self, stream: GraphStream, page: Page) -> bool:
        """Whether another owner may have what this one has not: it has no objects, or is refused for its own sake."""
        answer = page.answer
        if answer.is_page or not answer.rule:
            return answer.is_page and not answer.objects
        is_denied = answer.rule.action is Action.DENY and not is_permitted(stream)
        return answer.rule.action in (Action.SKIP, Action.DENY, Action.RENEW) and not is_denied

    def owners_for(self, stream: GraphStream) -> list[Owner]:
        return next((self.owners[kind] for kind in _kinds(stream) if kind in self.owners), [])

    def _receive_first_pages(self, questions: Iterable[Question]) -> None:
        for asked, received in self.inquiry.ask(questions):
            page = self.found.pages.setdefault(asked.stream, Page(asked.listing.page_size, Answer(), tries=0))
            page.tries += 1
            answer = self.answer(received)
            # An owner without objects tells more than another one's refusal.
            if page.answer.is_page and not answer.is_page:
                continue
            page.answer, self.owner_of[asked.stream] = answer, asked.listing.owner or None
            if received and answer.is_page:
                with self.making_sense(asked.stream.name):
                    self._read_page(asked, page, received)

    def _read_page(self, asked: Question, page: Page, received: PageResponse) -> None:
        """Everything that is to be known of a page, before it is let go of."""
        stream, body = asked.stream, received.response.body
        entities = body["value"]
        # A kind of parent has no schema of its own, and some records are made by the connector.
        if type(stream) in STREAMS and stream.own_id == "id":
            reader = PropertyReader(
                stream.get_json_schema()["properties"],
                self.inquiry.pseudonyms,
                stream.defaulted,
                is_file=asked.request.redirect is not None,
            )
            reader.read(entities)
            page.properties = reader.found
        page.repairs = received.response.repairs
        page.notices = [name for name in ("Deprecation", "Sunset") if name in received.response.headers]
        page.link = self._link(body.get("@odata.nextLink"))
        page.sizes = [len(entities)] if page.link else []
        count = body.get("@odata.count")
        page.counted = count if isinstance(count, int) and not page.link and "$count" in asked.listing.query else None
        page.without_id = sum(not isinstance(value_of(entity, "id"), str) for entity in entities)
        page.ambiguous = 0 if stream.last_version_counts or stream.key_within else _ambiguous(entities)
        self._keep(asked, entities)
        asked.listing.link = body.get("@odata.nextLink") if page.link and page.link.is_followed else None
        self._listings[stream] = asked.listing

    def _keep(self, asked: Question, entities: Sequence[Any]) -> None:
        """The fullest objects, as owners: they are the likeliest to have a mailbox, a drive or chats of their own."""
        stream = asked.stream
        whole = [entity for entity in entities if isinstance(value_of(entity, "id"), str)]
        fullest = sorted(whole, key=_fullness, reverse=True)[:_OWNERS]
        parents = asked.listing.parents
        own = [parents[column] for column in stream.parent_columns if column in parents]
        self.owners[type(stream)] = [(*own, entity["id"]) for entity in fullest]
        self.entities[type(stream)] = fullest
        times = sorted(filter(None, (_time_of(stream, entity) for entity in whole)))
        if times:
            self._times[stream] = times[len(times) // 2]

    def _link(self, link: Any) -> Link | None:
        if link is None:
            return None
        try:
            parts = urlsplit(link if isinstance(link, str) else "")
            self.inquiry.sync.client.check_host(parts.geturl())
        except ValueError:
            return Link(False, "no URL", "")
        except ProtocolBroken:
            return Link(False, self.inquiry.pseudonyms.of(parts.netloc) if parts.netloc else "no URL", "")
        options = sorted({self._option(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
        is_same = parts.netloc.lower() == self.inquiry.sync.config.cloud.graph_host.lower()
        return Link(True, "same host" if is_same else "same host, with a port", ", ".join(options))

    def _option(self, name: str) -> str:
        plain = name.removeprefix("$")
        return f"${plain}" if name.startswith("$") and plain.isalpha() else self.inquiry.pseudonyms.name(name)

    # Names that `$select` may not have.

    def _find_refused_names(self) -> None:
        refused = [stream for stream in self.found.pages if self._may_mean_the_properties(stream)]
        for stream in refused:
            page = self.found.pages[stream]
            with self.making_sense(stream.name):
                names = self._refused_names(stream)
                if not names:
                    continue
                page.refused_names = sorted(names)
                page.select_refusal = page.answer.refusal
                page.tries = 0
                self._receive_first_pages([plan.without(stream, self.owner_of[stream], frozenset(names))])
        if refused:
            self._ask_for_orphans()

    def _ask_for_orphans(self) -> None:
        """The streams that had no owner while the page of their parent was refused."""
        for _ in self.found.streams:
            orphans = [s for s, page in self.found.pages.items() if not page.tries and self.owners_for(s)]
            if not orphans:
                return
            for stream in orphans:
                del self.found.pages[stream]
            self._look_at(orphans)

    def _may_mean_the_properties(self, stream: GraphStream) -> bool:
        answer, select = self.found.pages[stream].answer, stream.select_ladder()[0]
        if answer.is_page or not answer.rule or len(select) < 2 or answer.rule.precise:
            return False
        return answer.status in (400, 404, 501) or (answer.status == 403 and is_permitted(stream))

    def _refused_names(self, stream: GraphStream) -> list[str]:
        """In two steps: the names in groups, then those of the refused groups by themselves."""
        listing = plan.listing_of(stream, self.owner_of[stream])
        names = [name for name in listing.select if name != "id"]
        size = -(-len(names) // _GROUPS)
        groups = [names[at : at + size] for at in range(0, len(names), size)]
        bad = self._refused(stream, listing, [[], *groups])
        # Where the id alone is refused it is not the properties.
        if [] in bad or not bad:
            return []
        singles = [[name] for group in bad for name in group][: 2 * _GROUPS]
        return [name for (name,) in self._refused(stream, listing, singles)]

    def _refused(self, stream: GraphStream, listing: Listing, groups: Sequence[list[str]]) -> list[list[str]]:
        asked = {plan.selecting(stream, listing, group): group for group in groups}
        refused: list[list[str]] = []
        for each, received in self.inquiry.ask(asked):
            answer = self.answer(received)
            if answer.rule and not answer.is_page:
                refused.append(asked[each])
        return refused

    # Pages after the first.

    def _follow_links(self) -> None:
        for _ in range(_NEXT_PAGES):
            questions = [
                plan.question(stream, Purpose.NEXT_PAGE, self._listings[stream])
                for stream, page in self.found.pages.items()
                if page.asked and page.sizes and max(page.sizes) < page.asked and self._listings[stream].link
            ]
            for asked, received in self.inquiry.ask(questions):
                page, answer = self.found.pages[asked.stream], self.answer(received)
                asked.listing.link = None
                if not received or not answer.is_page:
                    page.link_refusal = answer if answer.rule else None
                    continue
                link = self._link(received.response.body.get("@odata.nextLink"))
                if link:
                    page.sizes.append(answer.objects)
                    asked.listing.link = received.response.body["@odata.nextLink"] if link.is_followed else None

    # One object more than the largest page.

    def above_maximum(self) -> None:
        asked = {}
        for stream in self._served():
            if each := plan.above_maximum(stream, self.owner_of.get(stream)):
                asked[each] = stream
        for each, received in self.inquiry.ask(asked):
            self.found.above[asked[each]] = self.answer(received)

    # What an incremental sync asks.

    def changes(self) -> None:
        asked = [plan.changes(stream, self.owner_of.get(stream), self._times.get(stream)) for stream in self._served()]
        for each, received in self.inquiry.ask(filter(None, asked)):
            found = Incremental("since a time", each.stream, self.answer(received))
            self.found.incremental.append(found)
            if received and found.answer.is_page:
                with self.making_sense(each.stream.name):
                    found.ignored = self._older(each, received)

    def _older(self, asked: Question, received: PageResponse) -> int:
        """Objects that are older than what was asked for. A drive has a cursor that Graph does not send."""
        entities = received.response.body["value"]
        limit = self._times.get(asked.stream)
        if limit is None:
            return 0
        limit = limit.replace(microsecond=0)
        times = [_time_of(asked.stream, entity) for entity in entities]
        return sum(time is not None and time < limit for time in times)

    def tokens(self) -> None:
        asked = filter(None, map(plan.delta_token, self._served()))
        rounds = [self._token(each, received) for each, received in self.inquiry.ask(asked)]
        questions = {
            plan.since_token(cast(DeltaStream, found.stream), token): found for found, token in rounds if token
        }
        for each, received in self.inquiry.ask(questions):
            questions[each].round = self.answer(received)
        self._ask_for_ids_alone([found for found, _ in rounds if not found.answer.is_page and found.answer.rule])

    def _token(self, asked: Question, received: PageResponse | None) -> tuple[Incremental, str]:
        found, token = Incremental("a token for now", asked.stream, self.answer(received)), ""
        self.found.incremental.append(found)
        if received and found.answer.is_page:
            with self.making_sense(asked.stream.name):
                token = delta_token(received.response)
            found.has_token = bool(token) or "@odata.nextLink" in received.response.body
        return found, token

    def _ask_for_ids_alone(self, refused: Sequence[Incremental]) -> None:
        questions = {}
        for found in refused:
            stream = found.stream
            if isinstance(stream, DeltaStream) and len(stream.select_ladder()[0]) > 1:
                questions[plan.question(stream, Purpose.TOKEN, stream.changes([("id",)]), batch=20)] = found
        for each, received in self.inquiry.ask(questions):
            questions[each].lesser = self.answer(received)

    # For every step.

    def pages(
        self, stream: GraphStream, purpose: Purpose, listing: Listing, most: int
    ) -> Iterator[tuple[Answer, Mapping[str, Any]]]:
        """The pages of a listing, so many at the most. What is no page ends them and has an empty body. The listing has
        a link afterwards where there are more pages."""
        for _ in range(most):
            ((_, received),) = self.inquiry.ask([plan.question(stream, purpose, listing)])
            answer, listing.link = self.answer(received), None
            if not received or not answer.is_page:
                yield answer, {}
                return
            body = received.response.body
            if link := body.get("@odata.nextLink"):
                self.inquiry.sync.client.check_host(link)
                listing.link = link
            yield answer, body
            if not link:
                return

    def _served(self) -> list[GraphStream]:
        """The streams of the roll whose first page is there."""
        return [s for s, page in self.found.pages.items() if page.answer.is_page and type(s) in STREAMS]

    def answer(self, received: PageResponse | None) -> Answer:
        if received is None:
            why = "nothing answers any more" if self.inquiry.failure else "not asked: there were enough requests"
            return Answer(why=why)
        response, rule = received.response, received.rule
        if rule.action is Action.READ:
            return Answer(response.status_code, rule, objects=len(response.body["value"]))
        return Answer(response.status_code, rule, Refusal.of(response, self.inquiry.pseudonyms))

    @contextmanager
    def making_sense(self, part: str) -> Iterator[None]:
        """What is odd in one answer is counted by its kind; the message may hold anything."""
        try:
            yield
        except SignInRefused:
            raise
        except Exception as error:
            self.found.troubles[f"{part}: {type(error).__name__}"] += 1


def _needs_owner(stream: GraphStream) -> bool:
    """Some streams are listed for the tenant as well."""
    return stream.is_child and stream.probe_path is None


def _kinds(stream: GraphStream) -> list[type]:
    """The kinds of stream whose objects its rows belong to, the nearest first."""
    if not _needs_owner(stream):
        return []
    return [kind for parent in stream.parents() for kind in type(parent).__mro__]


def _ambiguous(entities: Sequence[Any]) -> int:
    """Ids that stand for different objects: the same one may come twice."""
    versions: defaultdict[str, set[str]] = defaultdict(set)
    for entity in entities:
        if isinstance(identifier := value_of(entity, "id"), str):
            versions[identifier].add(json.dumps(entity, sort_keys=True))
    return sum(len(each) > 1 for each in versions.values())


def _fullness(entity: Mapping[str, Any]) -> int:
    return sum(value not in (None, "", [], {}, False) for value in entity.values())


def _time_of(stream: GraphStream, entity: Any) -> datetime | None:
    """The value of the cursor, where Graph sends it."""
    if not stream.cursor_field or isinstance(stream, DeltaStream):
        return None
    value = value_of(entity, camel_case(str(stream.cursor_field)))
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (TypeError, ValueError):
        return None
