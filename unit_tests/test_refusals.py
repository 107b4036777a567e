"""What a refusal ends, once nothing else can be tried: one table of cases."""

from __future__ import annotations

import logging

import pytest

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import GraphUnavailable, Help
from source_microsoft_graph.graph.catalogue import UNKNOWN, Action, ErrorRule
from source_microsoft_graph.graph.client import GraphClient, PageResponse
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.mailbox import MailMessages
from source_microsoft_graph.streams.refusals import Outcome, outcome_of
from source_microsoft_graph.streams.users import Users
from source_microsoft_graph.sync.context import Sync
from unit_tests.graph_api import CONFIG, FakeGraph

SKIPPED, FAILED, REFUSED, STREAM, SYNC = Outcome
OWNER, TENANT = "an owner's listing", "the tenant's own list"
FIRST, LATER, NEXT = "its first page", "behind a page", "after another listing of the owner"
HELP = Help("No.")


def a_rule(action: Action) -> ErrorRule:
    return ErrorRule(None, action, HELP)


@pytest.mark.parametrize(
    ("whose", "where", "rule", "accepted", "outcome"),
    [
        # Only an owner's first page can say that there is nothing.
        (OWNER, FIRST, a_rule(Action.SKIP), True, SKIPPED),
        (OWNER, FIRST, a_rule(Action.DENY), True, SKIPPED),
        (OWNER, LATER, a_rule(Action.SKIP), True, FAILED),
        (OWNER, LATER, a_rule(Action.DENY), True, FAILED),
        (OWNER, NEXT, a_rule(Action.SKIP), True, FAILED),
        (TENANT, FIRST, a_rule(Action.SKIP), True, STREAM),
        (TENANT, FIRST, a_rule(Action.DENY), True, STREAM),
        (TENANT, LATER, a_rule(Action.SKIP), True, FAILED),
        # A 401 is the token's fault, or one object's where Graph accepts the token elsewhere.
        (OWNER, FIRST, a_rule(Action.RENEW), True, SKIPPED),
        (OWNER, LATER, a_rule(Action.RENEW), True, FAILED),
        (OWNER, FIRST, a_rule(Action.RENEW), False, STREAM),
        (TENANT, FIRST, a_rule(Action.RENEW), True, STREAM),
        (TENANT, LATER, a_rule(Action.RENEW), True, FAILED),
        (TENANT, FIRST, a_rule(Action.RENEW), False, SYNC),
        (TENANT, LATER, a_rule(Action.RENEW), False, SYNC),
        # What is known to concern the whole stream ends it at the first page.
        (OWNER, FIRST, a_rule(Action.FAIL), True, STREAM),
        (TENANT, FIRST, a_rule(Action.FAIL), True, STREAM),
        (OWNER, LATER, a_rule(Action.FAIL), True, FAILED),
        # What nobody knows ends that owner, and says so.
        (OWNER, FIRST, UNKNOWN, True, REFUSED),
        (OWNER, FIRST, a_rule(Action.UNPAGE), True, REFUSED),
        (TENANT, FIRST, UNKNOWN, True, STREAM),
        (OWNER, LATER, UNKNOWN, True, FAILED),
        # Trouble that lasts.
        *((whose, FIRST, a_rule(action), True, FAILED) for whose in (OWNER, TENANT) for action in (
            Action.RESTART, Action.RETRY, Action.SHRINK,
        )),
    ],
)  # fmt: skip
def test_what_a_refusal_ends(
    graph: FakeGraph,
    monkeypatch: pytest.MonkeyPatch,
    whose: str,
    where: str,
    rule: ErrorRule,
    accepted: bool,
    outcome: Outcome,
) -> None:
    """By whose listing it is, where it stands, what Graph means, and whether Graph accepts the token elsewhere."""
    stream: GraphStream = (MailMessages if whose is OWNER else Users)(a_sync())
    listing = a_listing(whose)
    if where is LATER:
        listing.served(1)
    listing.follows = where is NEXT
    monkeypatch.setattr(GraphClient, "accepts_token", lambda _: accepted)

    assert outcome_of(stream, listing, a_refusal(rule)) is outcome


@pytest.mark.parametrize("whose", [OWNER, TENANT])
@pytest.mark.parametrize("action", [Action.WAIT, Action.RETRY, Action.SHRINK])
def test_what_lasts_fails_the_owner_alone(graph: FakeGraph, whose: str, action: Action) -> None:
    """A list of the tenant has one owner, which is the tenant."""
    stream: GraphStream = (MailMessages if whose is OWNER else Users)(a_sync())
    refusal = a_refusal(a_rule(action), GraphUnavailable("Graph failed 6 times."))

    assert outcome_of(stream, a_listing(whose), refusal) is FAILED


def test_a_denial_without_the_permission_concerns_the_stream(graph: FakeGraph) -> None:
    """With the permission in the token it is one object's."""
    graph.grants("User.Read.All")

    assert outcome_of(MailMessages(a_sync()), a_listing(OWNER), a_refusal(a_rule(Action.DENY))) is STREAM


def a_sync() -> Sync:
    return Sync(Config.parse(CONFIG), logging.getLogger("airbyte"))


def a_listing(whose: str) -> Listing:
    return Listing("users/u/messages", {"user_id": "u"}) if whose is OWNER else Listing("users", {})


def a_refusal(rule: ErrorRule, lasting: GraphUnavailable | None = None) -> PageResponse:
    return PageResponse(
        PageRequest("https://g/v1.0/users", Service.OUTLOOK), GraphResponse(400, {}, b""), rule, lasting
    )
