"""Outlook: mail, calendars and contacts of every mailbox."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from source_microsoft_graph.pacing import Service
from source_microsoft_graph.streams.base import quoted
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.directory import Users
from source_microsoft_graph.streams.listing import Listing


class MailMessages(ChildStream):
    """One row per mailbox and message in any folder: https://learn.microsoft.com/graph/api/user-list-messages"""

    parent_class = Users
    path_template = "users/{user_id}/messages"
    primary_key = ["id", "user_id"]
    service = Service.OUTLOOK
    permissions = ("Mail.Read", "Mail.ReadWrite", "Mail.ReadBasic.All")
    # Graph takes pages of 1,000 and batches of 20, but messages come with their bodies: more of them at once would
    # time out, and a worker holds the whole answer.
    page_size = 100
    batch_size = 5
    least_permission = "Mail.ReadBasic.All"


class CalendarEvents(ChildStream):
    """One row per mailbox and event or series in its default calendar: https://learn.microsoft.com/graph/api/user-list-events"""

    parent_class = Users
    path_template = "users/{user_id}/events"
    primary_key = ["id", "user_id"]
    service = Service.OUTLOOK
    permissions = ("Calendars.Read", "Calendars.ReadWrite", "Calendars.ReadBasic")
    least_permission = "Calendars.ReadBasic"
    page_size = MailMessages.page_size
    batch_size = MailMessages.batch_size


class Contacts(ChildStream):
    """One row per mailbox and contact in any folder: https://learn.microsoft.com/graph/api/user-list-contacts"""

    parent_class = Users
    path_template = "users/{user_id}/contacts"
    primary_key = ["id", "user_id"]
    service = Service.OUTLOOK
    permissions = ("Contacts.Read", "Contacts.ReadWrite")

    # users/{id}/contacts lists the default folder alone. The others hang below contactFolders, at any depth, and
    # each has to be listed by itself: https://learn.microsoft.com/graph/api/user-list-contactfolders
    def after(self, listing: Listing) -> Iterable[Listing]:
        if listing.path.endswith("/contacts") and "/contactFolders/" not in listing.path:
            yield self.listing(listing.path.removesuffix("s") + "Folders", listing.parents)

    def below(self, listing: Listing, record: dict[str, Any]) -> Iterable[Listing] | None:
        if listing.path.endswith("/contacts"):
            return None
        folder = f"{listing.path.partition('/contactFolders')[0]}/contactFolders/{quoted(record['id'])}"
        return [self.listing(f"{folder}/{part}", listing.parents) for part in ("contacts", "childFolders")]
