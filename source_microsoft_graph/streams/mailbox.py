"""Outlook: mail, calendars and contacts of every mailbox."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from airbyte_cdk.models import SyncMode

from source_microsoft_graph.pacing import Service
from source_microsoft_graph.streams.base import Slice, quoted
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.directory import Users


class MailMessages(ChildStream):
    """One row per mailbox and message in any folder: https://learn.microsoft.com/graph/api/user-list-messages"""

    parent_class = Users
    path_template = "users/{user_id}/messages"
    primary_key = ["id", "user_id"]
    service = Service.OUTLOOK
    permissions = ("Mail.Read", "Mail.ReadWrite", "Mail.ReadBasic.All")
    # Graph takes up to 1,000, but messages come with their bodies: larger pages time out and fill the memory.
    page_size = 100
    least_permission = "Mail.ReadBasic.All"


class CalendarEvents(ChildStream):
    """One row per mailbox and event or series in its default calendar: https://learn.microsoft.com/graph/api/user-list-events"""

    parent_class = Users
    path_template = "users/{user_id}/events"
    primary_key = ["id", "user_id"]
    service = Service.OUTLOOK
    permissions = ("Calendars.Read", "Calendars.ReadWrite", "Calendars.ReadBasic")
    least_permission = "Calendars.ReadBasic"


class Contacts(ChildStream):
    """One row per mailbox and contact in any folder: https://learn.microsoft.com/graph/api/user-list-contacts"""

    parent_class = Users
    path_template = "users/{user_id}/contacts"
    primary_key = ["id", "user_id"]
    service = Service.OUTLOOK
    permissions = ("Contacts.Read", "Contacts.ReadWrite")

    # users/{id}/contacts lists the default folder alone. The others hang below contactFolders, at any depth, and
    # each has to be listed by itself: https://learn.microsoft.com/graph/api/user-list-contactfolders
    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Slice | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[dict[str, Any]]:
        stream_slice = stream_slice or {}
        default_folder = self.path(stream_slice=stream_slice)
        if (yield from self.rows(default_folder, stream_slice)):
            yield from self._folders(f"{default_folder.removesuffix('s')}Folders", stream_slice)

    def _folders(self, path: str, stream_slice: Slice) -> Generator[dict[str, Any], None, None]:
        for folder in self.rows(path, stream_slice):
            one = f"{path.partition('/contactFolders')[0]}/contactFolders/{quoted(folder['id'])}"
            yield from self.rows(f"{one}/contacts", stream_slice)
            yield from self._folders(f"{one}/childFolders", stream_slice)
