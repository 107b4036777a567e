"""The same messages by both ways of reading chats, so that the faster one can be the default once none is missing.

Of each chat the last messages are read, and of its user's export what changed in the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from source_microsoft_graph.field_report import plan
from source_microsoft_graph.field_report.findings import ChatReads, Missing, value_of
from source_microsoft_graph.field_report.plan import Purpose
from source_microsoft_graph.field_report.probes import Probes
from source_microsoft_graph.streams.export import ExportableStream, changed_between
from source_microsoft_graph.sync.context import Owner, as_text

_USERS, _ASKED_USERS, _CHATS = 2, 6, 3
_EXPORT_PAGES = 4
_MESSAGES = 40
"""Messages of a user's chats that are compared, about."""

_SETTLED = timedelta(minutes=15)
"""Younger messages are left out: Graph shows some changes a little late."""

_ALL = "2000-01-01T00:00:00Z"
"""Before the first chat. A time gives the messages an order."""

_KINDS = {"message", "systemEventMessage", "chatEvent", "typing", "unknownFutureValue"}
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class _Message:
    changed: datetime
    kind: str
    is_deleted: bool

    def __str__(self) -> str:
        return f"{self.kind} of {self.changed:%Y-%m-%d %H:%M}Z{', deleted' if self.is_deleted else ''}"


_Messages = dict[tuple[str, str], _Message]


def compare_chats(probes: Probes) -> None:
    """Add what was found to the findings; nothing where no user has a chat."""
    for stream in probes.found.streams:
        if isinstance(stream, ExportableStream):
            for user, chats in list(_users_with_chats(probes, stream))[:_USERS]:
                reads = ChatReads(probes.inquiry.pseudonyms.of(user[0]), len(chats))
                probes.found.chats.append(reads)
                with probes.making_sense("chats"):
                    _compare(probes, stream, user, chats, reads)


def _users_with_chats(probes: Probes, stream: ExportableStream) -> Iterator[tuple[Owner, list[Owner]]]:
    (chats,) = stream.parents()
    users = probes.owners_for(chats)[:_ASKED_USERS]
    asked = {plan.question(chats, Purpose.CHATS, plan.listing_of(chats, user)): user for user in users}
    for each, received in probes.inquiry.ask(asked):
        if received and probes.answer(received).is_page and (found := received.response.body["value"]):
            ids = [entity["id"] for entity in found if isinstance(value_of(entity, "id"), str)]
            yield asked[each], [(identifier,) for identifier in ids[:_CHATS]]


def _compare(probes: Probes, stream: ExportableStream, user: Owner, chats: Sequence[Owner], reads: ChatReads) -> None:
    until = probes.inquiry.sync.started_at - _SETTLED
    by_chat, after = _by_chat(probes, stream, chats, reads)
    by_export = {} if reads.trouble else _by_export(probes, stream, user, after, until, reads)
    if reads.trouble:
        return
    read = {chat for (chat,) in chats}
    by_chat = {key: message for key, message in by_chat.items() if after < message.changed < until}
    own = {key: message for key, message in by_export.items() if key[0] in read and after < message.changed < until}
    reads.by_chat, reads.by_export, reads.elsewhere = len(by_chat), len(own), len(by_export) - len(own)
    reads.lacking_in_export = _missing(by_chat, own)
    reads.lacking_by_chat = _missing(own, by_chat)


def _missing(whole: _Messages, other: _Messages) -> Missing:
    lacking = sorted((message for key, message in whole.items() if key not in other), key=lambda each: each.changed)
    return Missing(len(lacking), [str(message) for message in lacking[-_EXAMPLES:]])


def _by_chat(
    probes: Probes, stream: ExportableStream, chats: Sequence[Owner], reads: ChatReads
) -> tuple[_Messages, datetime]:
    """The last messages of the chats, and the time since when all of them are there."""
    found, after = _Messages(), datetime.min.replace(tzinfo=UTC)
    asked = []
    for chat in chats:
        listing = plan.listing_of(stream, chat)
        listing.since = _ALL
        asked.append(plan.question(stream, Purpose.CHATS, listing))
    for each, received in probes.inquiry.ask(asked):
        answer = probes.answer(received)
        if not received or not answer.is_page:
            reads.trouble = answer.trouble
            continue
        page = received.response.body
        messages = _messages(page["value"], each.listing.parents["chat_id"])
        found |= messages
        if page.get("@odata.nextLink") and messages:
            after = max(after, min(message.changed for message in messages.values()))
    latest = sorted((message.changed for message in found.values()), reverse=True)[:_MESSAGES]
    return found, max(after, latest[-1] - timedelta(seconds=1)) if latest else after


def _by_export(
    probes: Probes, stream: ExportableStream, user: Owner, after: datetime, until: datetime, reads: ChatReads
) -> _Messages:
    export = stream.export_class(probes.inquiry.sync)
    listing = plan.listing_of(export, user)
    listing.query = changed_between(as_text(max(after, datetime(1970, 1, 1, tzinfo=UTC))), as_text(until))
    found = _Messages()
    for answer, page in probes.pages(export, Purpose.CHATS, listing, _EXPORT_PAGES):
        if not answer.is_page:
            reads.trouble = answer.trouble
            return found
        found |= _messages(page["value"])
    if listing.link:
        reads.trouble = f"the export has more than {_EXPORT_PAGES} pages of this time, so nothing was compared"
    return found


def _messages(entities: Iterable[Any], chat: str | None = None) -> _Messages:
    """The messages by chat and id. Those of an export name their chats."""
    found = _Messages()
    for entity in entities:
        kind = entity.get("messageType")
        message = _Message(
            datetime.fromisoformat(entity["lastModifiedDateTime"]).astimezone(UTC),
            kind if kind in _KINDS else "another kind",
            entity.get("deletedDateTime") is not None,
        )
        found[chat or entity["chatId"], entity["id"]] = message
    return found
