"""Messages by the export of each user's chats, and chat by chat where Graph refuses it.

https://learn.microsoft.com/microsoftteams/export-teams-content
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

import requests

from source_microsoft_graph.errors import GraphError, ProtocolBroken
from source_microsoft_graph.graph.batch import MAX_BATCH
from source_microsoft_graph.graph.catalogue import Action
from source_microsoft_graph.graph.client import PageResponse
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.failures import collecting, raise_first
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.page_requests import just_before
from source_microsoft_graph.streams.slices import Slice, owners_of, slices_of
from source_microsoft_graph.sync.context import Owner, Sync, as_text
from source_microsoft_graph.sync.cursors import CursorMove, PerOwnerCursor, SliceProgress, StreamCursor, digest
from source_microsoft_graph.sync.seen_keys import SeenKeys

BY_EXPORT = "user_export"
"""What the configuration calls this way of reading."""

_FIRST = "1970-01-01T00:00:00Z"
"""Before every message: the id of a message is its time of creation in milliseconds since then."""

_AHEAD = timedelta(days=7)
"""How far after the beginning of the sync the range ends: what changes while it is read is read too."""

_REFUSALS = {400, 402, 403, 404}
"""What a tenant, a cloud or a user without this export answers."""


class UserExport(ChildStream, ABC):
    """A listing for each user of all messages in the user's chats, in a range of times of their last change.

    A message comes once for each of its chat's participants, and its id is unique in its chat alone.
    """

    page_size = 50
    last_version_counts = True

    def listings(self, stream_slice: Slice, progress: SliceProgress | None = None) -> Iterator[Listing]:
        for listing in super().listings(stream_slice):
            after, before = self._after(listing.owner, progress), as_text(self.sync.started_at + _AHEAD)
            listing.query = changed_between(after, before)
            listing.move = CursorMove(listing.owner, self.sync.resume_from)
            yield listing

    def _after(self, owner: Owner, progress: SliceProgress | None) -> str:
        """The time before the first change to read."""
        since = progress.since(owner) if progress else None
        if not progress or not since:
            return _FIRST
        # Some changes, such as reactions, are shown late.
        again = self.sync.config.lookback_window if progress.cursor.is_known(owner) else timedelta()
        return just_before(datetime.fromisoformat(since) - again)

    def parse_response(self, response: requests.Response, **options: Any) -> Iterator[dict[str, Any]]:
        for message in super().parse_response(response, **options):
            if not message.get("chat_id"):
                raise ProtocolBroken("Graph sent a message without the id of its chat.")
            yield message


def changed_between(after: str, before: str) -> Mapping[str, str]:
    """The options that request what last changed after one time and before another."""
    return {"$filter": f"lastModifiedDateTime gt {after} and lastModifiedDateTime lt {before}"}


class _ExportLoop(PageLoop):
    """Reads the exports of some users. Those whom Graph refuses are collected: they are read in another way."""

    def __init__(self, export: UserExport, progress: SliceProgress | None) -> None:
        super().__init__(export, progress)
        self.refused: list[PageResponse] = []

    def _responses(self) -> Generator[PageResponse, None, None]:
        with closing(super()._responses()) as responses:
            for received in responses:
                if _is_refused(received):
                    self.refused.append(received)
                else:
                    yield received


def _is_refused(received: PageResponse) -> bool:
    """Whether this user has no export. What ends a listing that was begun is no such answer, and neither is what says
    that the user has no Teams."""
    rule = received.rule
    is_final = rule.action in (Action.FAIL, Action.SKIP, Action.DENY) and not received.lasting
    is_known = rule.action is Action.SKIP and rule.precise
    is_first = not received.request.listing.is_begun
    return is_final and is_first and not is_known and received.response.status_code in _REFUSALS


class ExportableStream(ChildStream, ABC):
    """Messages below chats, which the configuration may have read by the exports of the users in these chats.

    By export, the state has a position for each user, up to which the user's export was read, and for each chat, which
    tells a chat that is new from one whose earlier messages were read.
    """

    export_class: ClassVar[type[UserExport]]

    def __init__(self, sync: Sync, *, keys_only: bool = False) -> None:
        super().__init__(sync, keys_only=keys_only)
        self._export = self.export_class(sync) if sync.config.chat_messages_by == BY_EXPORT else None

    @property
    def fingerprint(self) -> str:
        return digest(super().fingerprint, BY_EXPORT) if self._export else super().fingerprint

    def new_cursor(self) -> StreamCursor | None:
        if not self._export:
            return super().new_cursor()
        start = self.sync.config.start_date
        # Most chats are met in no export of a night, and they are known all the same.
        return PerOwnerCursor(self.fingerprint, as_text(start) if start else None, forgets=False)

    def slices(self, progress: SliceProgress | None) -> Iterator[Slice]:
        return self._export.slices(progress) if self._export else super().slices(progress)

    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        if not self._export:
            return super().records(stream_slice, progress)
        emitted = self.sync.once((self.identity, "emitted"), SeenKeys)
        messages = self._of_users(self._export, stream_slice, progress)
        return (message for message in messages if emitted.add(f"{message['chat_id']} {message['id']}"))

    def _of_users(
        self, export: UserExport, stream_slice: Slice, progress: SliceProgress | None
    ) -> Iterator[dict[str, Any]]:
        """The messages in the chats of these users. What is wrong with one of them is raised after the others were
        read."""
        users, loop = list(owners_of(stream_slice)), _ExportLoop(export, progress)
        met: set[str] = set()
        failures: list[GraphError] = []
        if not self.sync.has_given_up(self._export_key):
            for message in collecting(failures, loop.records(export.listings(stream_slice, progress))):
                met.add(message["chat_id"])
                yield message
        refused = self._refused_among(users, loop)
        yield from collecting(failures, self._by_chat(self._chats_of(refused), progress))
        if progress:
            yield from self._completed(users, met, progress, failures)
        raise_first(failures)

    @property
    def _export_key(self) -> tuple[Any, str]:
        """Under which the sync keeps that the tenant or the cloud has no export."""
        return (self.identity, BY_EXPORT)

    def _refused_among(self, users: list[Owner], loop: _ExportLoop) -> list[Owner]:
        """The users whose messages have to be read chat by chat."""
        if self.sync.has_given_up(self._export_key):
            return users
        for received in loop.refused:
            self.sync.warn_once(
                self._export_key,
                f"{self.name}: Graph refuses the export of a user's chats, so the messages in these chats are read "
                f"chat by chat. {received.response}",
            )
            # What is no user's alone is not asked for the next one.
            if received.rule.action is Action.FAIL and received.rule.precise:
                self.sync.give_up(self._export_key)
        return [received.request.listing.owner for received in loop.refused]

    def _chats_of(self, users: Iterable[Owner]) -> Iterator[Owner]:
        """The chats of these users that were in no other user's listing before."""
        chats = cast(GraphStream, self.parent)
        for stream_slice in slices_of(users, chats.placeholders, MAX_BATCH):
            for chat in chats.records(stream_slice, None):
                yield chats.key_of(chat)

    def _by_chat(self, chats: Iterable[Owner], progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        failures: list[GraphError] = []
        for stream_slice in slices_of(collecting(failures, chats), self.placeholders, self.batch_size):
            yield from collecting(failures, super().records(stream_slice, progress))
        raise_first(failures)

    def _completed(
        self, users: list[Owner], met: set[str], progress: SliceProgress, failures: list[GraphError]
    ) -> Iterator[dict[str, Any]]:
        """What was said earlier in the chats that these exports brought first, such as one that a user was added to.
        The users stay where they were if that cannot be read."""
        cursor, failed = progress.cursor, len(failures)
        new = [(chat,) for chat in met if not cursor.is_known((chat,))] if any(map(cursor.is_known, users)) else []
        yield from collecting(failures, self._by_chat(sorted(new), progress))
        if len(failures) > failed:
            for user in users:
                progress.done.pop(user, None)
        if failures:
            return
        # A chat that is read in another slice chat by chat moves with that.
        elsewhere = self.sync.seen_ids(cast(GraphStream, self.parent).identity)
        for chat in met:
            if chat not in elsewhere:
                progress.done.setdefault((chat,), self.sync.resume_from)
