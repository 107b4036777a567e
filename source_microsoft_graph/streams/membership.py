"""Relations of groups whose changes Graph tracks: https://learn.microsoft.com/graph/delta-query-groups"""

from __future__ import annotations

from abc import ABC
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import requests

from source_microsoft_graph.errors import GraphError, StreamRefused, TokenRejected
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.delta import stamped, tombstone
from source_microsoft_graph.streams.directory import APP, GroupRelation, Groups
from source_microsoft_graph.streams.failures import collecting, raise_first
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.permissions import left_out
from source_microsoft_graph.streams.records import REMOVED
from source_microsoft_graph.streams.slices import Slice, owners_of
from source_microsoft_graph.sync.context import Owner
from source_microsoft_graph.sync.cursors import UPDATED_AT, CursorMove, PerOwnerCursor, SliceProgress, StreamCursor

_LEFT = ""
"""Stands where the type of a person would: they are in the group no longer."""

People = Mapping[str, str]
"""The ids of those who came to a group, each with its type, and of those who left it."""


@dataclass(slots=True)
class Changes:
    """What changed since the last sync: `named` holds the people of each changed group, by the delta token since which
    they came or left. `token` is what the next sync starts from, or empty where Graph gives none; of groups that stand
    at `followed` it is enough to read those that changed."""

    token: str = ""
    followed: str = ""
    named: dict[str, Mapping[str, People]] = field(default_factory=dict)


class MembershipChanges(Groups, ABC):
    """Who came to which group and who left it: https://learn.microsoft.com/graph/api/group-delta"""

    relation: ClassVar[str]

    def select_ladder(self) -> list[tuple[str, ...]]:
        return [(self.relation,)]

    # The people are in an annotation, and a large group comes in several pieces, each with some of them:
    # https://learn.microsoft.com/graph/delta-query-groups#paging-through-members-in-a-large-group
    def parse_response(self, response: requests.Response, **options: Any) -> Iterator[dict[str, Any]]:
        for group in cast(GraphResponse, response).body["value"]:
            people = group.get(f"{self.relation}@delta") or ()
            changed = {it["id"]: _LEFT if REMOVED in it else it.get("@odata.type", "") or "?" for it in people}
            yield {"id": group["id"], "is_deleted": REMOVED in group, "people": changed}

    def token_for_now(self) -> str:
        """What requests the changes from now on; empty where Graph does not tell them."""
        try:
            return self._from_now_on(self.select_ladder()).delta_token
        except StreamRefused as refused:
            self.logger.warning(f"{refused} Graph does not tell what changes, so each sync reads everything.")
            return ""

    def since(self, token: str) -> tuple[str, Mapping[str, People]]:
        """The next token, and the people of each changed group. Raises `TokenRejected`."""
        changes, named = self.changes([()], token), defaultdict[str, dict[str, str]](dict)
        for group in PageLoop(self, None).records([changes]):
            if group["is_deleted"]:
                named.pop(group["id"], None)
            else:
                named[group["id"]].update(group["people"])
        if not changes.delta_token:
            raise TokenRejected(f"{self.name}: Graph gave no token for the changes after these.")
        return changes.delta_token, named


class TrackedRelation(GroupRelation, ABC):
    """A relation of groups whose changes a delta query of the groups tells, by the ids of those who came and left.

    A row holds more, so the groups that changed are listed again. Each group has a position of its own, the token since
    which its changes are requested: one that failed stays at its own and is listed again in any case.
    """

    cursor_field: str | list[str] = UPDATED_AT
    changes_class: ClassVar[type[MembershipChanges]]

    def new_cursor(self) -> StreamCursor:
        return PerOwnerCursor(self.fingerprint, None, of_time=False)

    def owners_to_read(self, progress: SliceProgress | None) -> Iterable[Owner]:
        return self._changed_groups(progress) if progress else super().owners_to_read(None)

    def _changed_groups(self, progress: SliceProgress) -> Iterator[Owner]:
        """The groups to list. The others move on without having been listed."""
        changes, failure = self._changes(progress), None
        for owner in self.owners():
            position = progress.since(owner)
            if not position or position != changes.followed or owner[0] in changes.named[position]:
                yield owner
                continue
            try:
                pairs = self._app_pairs(owner)
            except GraphError as error:
                failure, pairs = error, ()
            # Whether a delta query tells of apps is not documented: v1.0 lists none with their groups.
            if None in [progress.since(pair) for pair in pairs]:
                yield owner
            else:
                progress.cursor.move(dict.fromkeys((owner, *pairs), changes.token))
        if failure and self.sync.is_first((self.identity, "apps")):
            raise failure

    def _changes(self, progress: SliceProgress) -> Changes:
        return self.sync.once((self.identity, "changes"), lambda: self._find_changes(progress))

    def _find_changes(self, progress: SliceProgress) -> Changes:
        """What changed since each position that groups have. The next sync starts from the end of the first round, and
        groups at another position are listed after it."""
        cursor, source, changes = cast(PerOwnerCursor, progress.cursor), self.changes_class(self.sync), Changes()
        for position in cursor.positions():
            try:
                token, changes.named[position] = source.since(position)
            except TokenRejected as rejected:
                cursor.forget(position)
                self.logger.warning(
                    f"{rejected} The groups that were read with it are read in full; pairs deleted meanwhile stay in "
                    "the table."
                )
                continue
            if not changes.token:
                changes.token, changes.followed = token, position
        changes.token = changes.token or source.token_for_now()
        return changes

    def _app_pairs(self, owner: Owner) -> Collection[Owner]:
        """A group with each app in it. A pair has a position of its own, from the sync on that found it."""
        if left_out(self, self.sync.auth.roles):
            return ()
        apps = self.sync.once(self.app_relation, self._apps_by_group)
        return [(*owner, app) for app in apps.get(owner[0], ())]

    def listings(self, stream_slice: Slice, progress: SliceProgress | None = None) -> Iterator[Listing]:
        token = self._changes(progress).token if progress else ""
        for listing in super().listings(stream_slice):
            # Without a token there is nothing to go on from.
            listing.move = CursorMove(listing.owner, token) if token else None
            yield listing

    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        records = super().records(stream_slice, progress)
        return stamped(self._completed(records, stream_slice, progress), self.sync) if progress else records

    def _completed(
        self, records: Iterable[dict[str, Any]], stream_slice: Slice, progress: SliceProgress
    ) -> Iterator[dict[str, Any]]:
        """The rows of today, and what the changes say beyond them."""
        named = {owner[0]: dict(self._named(owner, progress)) for owner in owners_of(stream_slice)}
        disputed: set[str] = set()
        failures: list[GraphError] = []
        for record in collecting(failures, records):
            if named[record["group_id"]].pop(record["id"], None) == _LEFT:
                disputed.add(record["group_id"])
            yield record
        for group in [group for group in named if (group,) in progress.done]:
            yield from self._unlisted(group, named[group])
            self._move_on(group, progress, is_disputed=group in disputed)
        raise_first(failures)

    def _named(self, owner: Owner, progress: SliceProgress) -> People:
        return self._changes(progress).named.get(progress.since(owner) or "", {}).get(owner[0], {})

    def _unlisted(self, group: str, people: People) -> Iterator[dict[str, Any]]:
        """Those whom the changes name and the list does not hold: they left, or came and are not listed yet. An app is
        found from its own side or not at all."""
        for person, kind in people.items():
            key = {"id": person, "group_id": group}
            if kind == _LEFT:
                yield tombstone(key, tuple(key), self.sync)
            elif kind != APP:
                yield {"odata_type": kind, **key}

    def _move_on(self, group: str, progress: SliceProgress, *, is_disputed: bool) -> None:
        """Let the apps of a listed group move with it. A group stays where the list still holds who left: either they
        are back, or the list lags behind, and the next sync is told which."""
        with suppress(GraphError):
            progress.done.update(dict.fromkeys(self._app_pairs((group,)), progress.done[(group,)]))
        if is_disputed:
            del progress.done[(group,)]
