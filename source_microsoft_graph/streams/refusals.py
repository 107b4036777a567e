"""What a refusal means: the same listing in another way, one object less, or the end of an owner's listing, of a stream
or of the sync."""

from __future__ import annotations

from enum import Enum, auto

from source_microsoft_graph.errors import GraphError, GraphUnavailable, SignInRefused, StreamRefused
from source_microsoft_graph.graph.catalogue import UNKNOWN, Action, ErrorRule
from source_microsoft_graph.graph.client import PageResponse
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.permissions import in_words, is_permitted
from source_microsoft_graph.streams.protocol import ListedStream

_RESTARTS = {400: 2, 403: 1, 404: 1}
"""How often a listing begins again because a page link was refused with this status."""


def may_read_again(stream: ListedStream, listing: Listing, refusal: PageResponse) -> bool:
    """Whether the listing can be read in another way, as it then will be: without a filter, with fewer properties, in
    smaller pages, from the start."""
    if refusal.lasting:
        return False
    if _may_mean_the_filter(stream, listing, refusal):
        return stream.read_in_full(listing, refusal.response)
    if _may_mean_the_link(listing, refusal):
        return listing.restart(_RESTARTS[refusal.response.status_code])
    if not _may_mean_the_properties(stream, listing, refusal):
        return listing.adapt(refusal.rule)
    extensions = stream.refused_extensions(listing, refusal.response)
    dropped = listing.select_without(extensions) if extensions else listing.select_less()
    stream.warn_of_dropped(listing, dropped, refusal.response)
    return True


def _may_mean_the_filter(stream: ListedStream, listing: Listing, refusal: PageResponse) -> bool:
    """Graph no longer knows what changed since then, or does not take the filter."""
    if not listing.since or listing.link:
        return False
    # An owner that was deleted is a 404, too.
    statuses = (400,) if stream.is_child else (400, 404)
    is_refused = refusal.response.status_code in statuses and not refusal.rule.precise
    return refusal.rule.action is Action.RESTART or is_refused


def _may_mean_the_link(listing: Listing, refusal: PageResponse) -> bool:
    """A page link that is refused says nothing about the collection, of which Graph has served a page."""
    is_about_the_link = refusal.rule.action in (Action.SKIP, Action.DENY) or refusal.rule is UNKNOWN
    return bool(listing.link) and is_about_the_link and refusal.response.status_code in _RESTARTS


def _may_mean_the_properties(stream: ListedStream, listing: Listing, refusal: PageResponse) -> bool:
    """A refused property is answered by 400, 403, 404 or 501, and so are other faults."""
    is_suspect = listing.may_select_less and not refusal.rule.precise
    return is_suspect and (refusal.response.status_code != 403 or is_permitted(stream))


class Outcome(Enum):
    """What a refusal ends, once nothing else can be tried."""

    SKIPPED = auto()
    """The owner has nothing, or shows nothing to this app: it is counted and named, and the stream continues."""
    OWNER_FAILED = auto()
    """The listing of this owner failed, and may well succeed in the next sync. The stream ends INCOMPLETE."""
    OWNER_REFUSED = auto()
    """The listing of this owner was refused for an unknown reason. The stream ends INCOMPLETE."""
    STREAM_REFUSED = auto()
    SYNC_REFUSED = auto()


def outcome_of(stream: ListedStream, listing: Listing, refusal: PageResponse) -> Outcome:
    """Only the first page of an owner's first listing can say that there is nothing: once Graph has served a page, a
    refusal means that what was read is no whole collection."""
    action = _action_for(stream, refusal.rule)
    if action is Action.RENEW and not stream.sync.client.accepts_token():
        return Outcome.STREAM_REFUSED if stream.is_child else Outcome.SYNC_REFUSED
    if refusal.lasting or listing.is_begun or action in (Action.RESTART, Action.RETRY, Action.SHRINK):
        return Outcome.OWNER_FAILED
    if not stream.is_child:
        return Outcome.STREAM_REFUSED
    if action in (Action.SKIP, Action.RENEW):
        return Outcome.SKIPPED
    if action is Action.UNPAGE or refusal.rule is UNKNOWN:
        return Outcome.OWNER_REFUSED
    return Outcome.STREAM_REFUSED


def handle_refusal(stream: ListedStream, listing: Listing, refusal: PageResponse) -> GraphError | None:
    """Count the object as skipped (None), return what ends the listing of this owner alone, or raise what ends the
    stream or the sync."""
    sync, response, rule = stream.sync, refusal.response, refusal.rule
    words = str(refusal.lasting or f"{_advice(stream, response, rule)} {response}")
    match outcome_of(stream, listing, refusal):
        case Outcome.SKIPPED:
            sync.tally(stream.name, stream.identity).skipped(absent=rule.absent and not stream.each_owner_has_it)
            sync.skipped.add(stream.name, listing.owner_name, rule.help_for(stream.service), response)
        case Outcome.OWNER_FAILED:
            sync.object_failed(stream.identity)
            later = "a later request was refused. " if listing.is_begun and not refusal.lasting else ""
            return GraphUnavailable(f"{described(stream, listing)}: {later}{words}")
        case Outcome.OWNER_REFUSED:
            sync.object_failed(stream.identity)
            return StreamRefused(f"{described(stream, listing)}: {words}")
        case Outcome.SYNC_REFUSED:
            raise sync.client.fail(SignInRefused(words))
        case Outcome.STREAM_REFUSED if not stream.is_child or sync.give_up(stream.identity):
            raise StreamRefused(f"{stream.name}: {words}")
    return None


def _action_for(stream: ListedStream, rule: ErrorRule) -> Action:
    """A denial concerns one object where the token carries the stream's permission, else the stream."""
    if rule.action is not Action.DENY:
        return rule.action
    return Action.SKIP if is_permitted(stream) else Action.FAIL


def _advice(stream: ListedStream, response: GraphResponse, rule: ErrorRule) -> str:
    if response.status_code != 403 or is_permitted(stream):
        return str(rule.help_for(stream.service))
    return stream.sync.auth.credentials.grant(in_words(stream))


def described(stream: ListedStream, listing: Listing) -> str:
    """Which listing this is, in words."""
    return f"{stream.name} of {listing.owner_name}" if listing.owner else stream.name
