"""What was found in a tenant, as values without anything of the tenant's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from source_microsoft_graph.errors import Help
from source_microsoft_graph.field_report.inquiry import Traffic
from source_microsoft_graph.field_report.observation import Properties, Refusal
from source_microsoft_graph.graph.catalogue import Action, ErrorRule
from source_microsoft_graph.streams.base import GraphStream


@dataclass(slots=True)
class Answer:
    """What one request came to. Neither a page nor a refusal says that nothing came back, or that it was not asked."""

    status: int = 0
    rule: ErrorRule | None = None
    refusal: Refusal | None = None
    why: str = ""
    """Why there is nothing."""
    objects: int = 0

    @property
    def is_page(self) -> bool:
        return self.rule is not None and self.rule.action is Action.READ

    @property
    def trouble(self) -> str:
        """What came instead of a page."""
        return self.refusal.whole if self.refusal else self.why


@dataclass(slots=True)
class Link:
    """A page link: whether it may be followed, its host as it may be told, and the names of its options."""

    is_followed: bool
    host: str
    options: str


@dataclass(slots=True)
class Page:
    """The first page of a stream's listing, and how the next ones went on."""

    asked: int | None
    answer: Answer
    tries: int = 1
    """How many owners were asked until one had some objects."""
    link: Link | None = None
    sizes: list[int] = field(default_factory=list)
    """Objects of each page that has a page after it."""
    link_refusal: Answer | None = None
    properties: Properties = field(default_factory=Properties)
    without_id: int = 0
    ambiguous: int = 0
    """Ids that stand for different objects."""
    counted: int | None = None
    """How many objects there are as Graph says, of a listing that is one page."""
    repairs: frozenset[str] = frozenset()
    notices: list[str] = field(default_factory=list)
    """Headers that announce the end of the path."""
    refused_names: list[str] = field(default_factory=list)
    select_refusal: Refusal | None = None


@dataclass(slots=True)
class Incremental:
    """What an incremental sync depends on. `ignored` is how many objects were older than what was asked for."""

    what: str
    stream: GraphStream
    answer: Answer
    ignored: int = 0
    has_token: bool | None = None
    round: Answer | None = None
    lesser: Answer | None = None
    """The answer to a delta query of ids alone, where one of all properties was refused."""


@dataclass(slots=True)
class Missing:
    """What one way of reading has and another has not."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ChatReads:
    """The messages of some chats of one user, in the two ways of reading them."""

    user: str
    chats: int = 0
    by_chat: int = 0
    by_export: int = 0
    elsewhere: int = 0
    """Messages of the export in chats that were not read."""
    lacking_in_export: Missing = field(default_factory=Missing)
    lacking_by_chat: Missing = field(default_factory=Missing)
    trouble: str = ""


@dataclass(slots=True)
class AppRelation:
    """Apps that have a relation by their own account, and how many of them its list holds."""

    stream: GraphStream
    is_assumed: bool
    """Whether the connector takes it that the list holds them."""
    apps: int = 0
    listed: int = 0
    undecided: int = 0


@dataclass(slots=True)
class TwoWays:
    """The same objects by list and by delta query."""

    stream: GraphStream
    by_list: int = 0
    by_delta: int = 0
    only_by_list: int = 0
    only_by_delta: int = 0
    is_whole: bool = False
    """Whether both were read to their ends."""
    trouble: str = ""


@dataclass(slots=True)
class Findings:
    """All of a report."""

    streams: Sequence[GraphStream]
    roles: frozenset[str] | None
    traffic: Traffic
    pages: dict[GraphStream, Page] = field(default_factory=dict)
    above: dict[GraphStream, Answer] = field(default_factory=dict)
    incremental: list[Incremental] = field(default_factory=list)
    chats: list[ChatReads] = field(default_factory=list)
    apps: list[AppRelation] = field(default_factory=list)
    two_ways: list[TwoWays] = field(default_factory=list)
    clock_difference: timedelta = timedelta()
    troubles: Counter[str] = field(default_factory=Counter)
    """What could not be made sense of, by the part of the report."""
    failure: str = ""
    is_cut_short: bool = False


def help_of(answer: Answer) -> Help | None:
    """What the catalogue knows of a refusal."""
    return answer.rule.help if answer.rule and not answer.is_page else None


def value_of(entity: Any, name: str) -> Any:
    """A property of what may be no object."""
    return entity.get(name) if isinstance(entity, dict) else None
