"""Outlook: mail, calendars and contacts of every mailbox."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import NOT_SELECTED, GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.page_requests import NEVER, quoted
from source_microsoft_graph.streams.records import REMOVED, camel_case
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.streams.users import Accounts
from source_microsoft_graph.sync.context import as_text
from source_microsoft_graph.sync.cursors import SliceProgress

_BODY = {"body", "body_preview"}


class MailboxStream(ChildStream, ABC):
    """Every item of one kind in a mailbox: https://learn.microsoft.com/graph/outlook-mail-concept-overview"""

    parent_class: ClassVar[type[GraphStream]] = Accounts
    service = Service.OUTLOOK
    cursor_field: str | list[str] = "last_modified_date_time"
    changed_since = {"$filter": "lastModifiedDateTime ge {since}"}
    # Only for messages is it documented that $top is the size of a page:
    # https://learn.microsoft.com/graph/api/user-list-messages#optional-query-parameters
    sized_by_preference = True
    # https://learn.microsoft.com/graph/query-parameters#skip-parameter
    takes_skip = True

    # Outlook takes the form of IDs and of bodies from preferences, on every page:
    # https://learn.microsoft.com/graph/outlook-immutable-id
    @property
    def headers(self) -> Mapping[str, str]:
        config = self.sync.config
        preferences = (
            'IdType="ImmutableId"' if config.immutable_ids else "",
            'outlook.body-content-type="text"' if config.message_body == "text" else "",
        )
        return {"Prefer": ", ".join(filter(None, preferences))}


class StreamWithBodies(MailboxStream, ABC):
    """Every item of one kind that has a body: https://learn.microsoft.com/graph/outlook-create-send-messages"""

    serves_larger_pages = True

    # Graph has no preference for no body at all, so everything else is requested by name. Outlook takes in $select the
    # published properties of the list's type alone, and so returns none of the others.
    def leaves_out(self, name: str, column: Mapping[str, Any]) -> bool:
        return self._has_none and (name in _BODY or column.get("select") == NEVER)

    def select_ladder(self) -> list[tuple[str, ...]]:
        if not self._has_none:
            return [()]
        # Requesting less would bring Graph's default properties, the body among them.
        unselected = {*NOT_SELECTED, *self.parent_columns}
        return [tuple(camel_case(name) for name in self.get_json_schema()["properties"] if name not in unselected)]

    @property
    def _has_none(self) -> bool:
        return self.sync.config.message_body == "none"


class MailMessages(StreamWithBodies):
    """One row per mailbox and message in any folder: https://learn.microsoft.com/graph/api/user-list-messages"""

    path_template = "users/{user_id}/messages"
    primary_key = ["id", "user_id"]
    permissions: ClassVar[tuple[str, ...]] = ("Mail.Read", "Mail.ReadWrite", "Mail.ReadBasic.All")
    least_permission: ClassVar[str | None] = "Mail.ReadBasic.All"
    # Graph takes pages of 1,000 and batches of 20, but messages come with their bodies: more of them at once would
    # time out, and a worker holds the whole response.
    page_size = 100
    batch_size = 5


class MailFolders(MailboxStream):
    """One row per mailbox and mail folder, at any depth: https://learn.microsoft.com/graph/api/mailfolder-delta"""

    path_template = "users/{user_id}/mailFolders/delta"
    primary_key = ["id", "user_id"]
    permissions = MailMessages.permissions
    least_permission = MailMessages.least_permission
    # A delta token for each mailbox would save no request, and make a state of megabytes.
    cursor_field = []
    changed_since = {}
    # Graph takes pages of 1,000, and answers large ones of this query with 5xx.
    page_size = 250
    serves_larger_pages = True
    takes_skip = False

    # GET mailFolders lists the folders at the top alone, so all of them take a delta query, or a list for each folder
    # in the clouds without that: https://learn.microsoft.com/graph/api/mailfolder-list-childfolders
    @property
    def in_cloud(self) -> bool:
        return self.sync.config.cloud.serves(_without_delta(self.path_template))

    def path(self, **options: Any) -> str:
        path = super().path(**options)
        return path if self._has_delta else _without_delta(path)

    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        folders = super().records(stream_slice, progress)
        if self._has_delta:
            return (folder for folder in folders if REMOVED not in folder)
        return self._with_those_below(folders)

    # childFolderCount need not count hidden folders, so every folder is asked.
    def _with_those_below(self, folders: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        below: list[Listing] = []
        for folder in folders:
            yield folder
            parents = {"user_id": folder["user_id"]}
            path = f"{self.path(stream_slice=parents)}/{quoted(folder['id'])}/childFolders"
            below.append(self.listing(path, parents))
        if below:
            yield from self._with_those_below(PageLoop(self, None).records(below))

    def queries(self) -> Iterable[Mapping[str, str]]:
        return ({} if self._has_delta else {"includeHiddenFolders": "true"},)

    @property
    def _has_delta(self) -> bool:
        return self.sync.config.cloud.serves(self.path_template)


def _without_delta(path: str) -> str:
    return path.removesuffix("/delta")


class CalendarEvents(StreamWithBodies):
    """One row per mailbox and event or series in its default calendar: https://learn.microsoft.com/graph/api/user-list-events"""

    path_template = "users/{user_id}/events"
    primary_key = ["id", "user_id"]
    permissions = ("Calendars.Read", "Calendars.ReadWrite", "Calendars.ReadBasic")
    least_permission = "Calendars.ReadBasic"
    page_size = MailMessages.page_size
    batch_size = MailMessages.batch_size


class CalendarView(StreamWithBodies):
    """One row per mailbox and event or occurrence near today in its default calendar: https://learn.microsoft.com/graph/api/user-list-calendarview"""

    path_template = "users/{user_id}/calendarView"
    primary_key = ["id", "user_id"]
    permissions = CalendarEvents.permissions
    least_permission = CalendarEvents.least_permission
    page_size = MailMessages.page_size
    batch_size = MailMessages.batch_size
    # The days move on, so each sync lists them all.
    cursor_field = []
    changed_since = {}

    # Graph lists what touches the time between two moments of at most 1,825 days, and nothing without them.
    def queries(self) -> Iterable[Mapping[str, str]]:
        config = self.sync.config
        today = self.sync.started_at.replace(hour=0, minute=0, second=0)
        yield {
            "startDateTime": as_text(today - timedelta(days=config.calendar_days_back)),
            "endDateTime": as_text(today + timedelta(days=config.calendar_days_ahead + 1)),
        }


class Contacts(MailboxStream):
    """One row per mailbox and contact in any folder: https://learn.microsoft.com/graph/api/user-list-contacts"""

    path_template = "users/{user_id}/contacts"
    primary_key = ["id", "user_id"]
    permissions = ("Contacts.Read", "Contacts.ReadWrite")

    # users/{id}/contacts lists the default folder alone. The others hang below contactFolders, at any depth, and
    # each has to be listed by itself: https://learn.microsoft.com/graph/api/user-list-contactfolders
    def listings(self, stream_slice: Slice, progress: SliceProgress | None = None) -> Iterator[Listing]:
        for contacts in super().listings(stream_slice, progress):
            contacts.next_listings = partial(self._folders_beside, contacts)
            yield contacts

    def _folders_beside(self, contacts: Listing) -> Iterable[Listing]:
        yield self._folders(contacts, f"{_folders_path(contacts)}")

    # A folder may have got new contacts without having changed itself, so all folders are listed.
    def _folders(self, contacts: Listing, path: str) -> Listing:
        folders = self.listing(path, contacts.parents, move=contacts.move)
        folders.child_listings = partial(self._in_folder, contacts)
        return folders

    def _in_folder(self, contacts: Listing, folder: Mapping[str, Any]) -> Iterable[Listing]:
        path = f"{_folders_path(contacts)}/{quoted(folder['id'])}"
        yield self.listing(f"{path}/contacts", contacts.parents, since=contacts.since, move=contacts.move)
        yield self._folders(contacts, f"{path}/childFolders")


class MessagesWithAttachments(MailMessages):
    """Every message with attachments, as parents of these: https://learn.microsoft.com/graph/api/user-list-messages"""

    name = "mail_messages"
    query = {"$filter": "hasAttachments eq true"}
    permissions = ("Mail.Read", "Mail.ReadWrite")
    least_permission = None
    page_size = 999
    keeps_keys = False

    # Nothing else is needed of millions of messages.
    def select_ladder(self) -> list[tuple[str, ...]]:
        return [("id",)]


class MailAttachments(MailboxStream):
    """One row per mailbox, message and attachment, without its content: https://learn.microsoft.com/graph/api/message-list-attachments"""

    parent_class = MessagesWithAttachments
    path_template = "users/{user_id}/messages/{message_id}/attachments"
    primary_key = ["id", "user_id", "message_id"]
    permissions = MessagesWithAttachments.permissions
    # Without it the bytes of every file would come.
    query = {"$select": "id,name,contentType,size,isInline,lastModifiedDateTime"}
    expensive = True
    # An attachment never changes, and a message that got one is no news of the attachments.
    cursor_field = []
    changed_since = {}
    takes_skip = False


def _folders_path(contacts: Listing) -> str:
    """Beside the contacts of the default folder."""
    return contacts.path.removesuffix("s") + "Folders"
