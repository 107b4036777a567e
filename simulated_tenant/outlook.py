"""Exchange Online mailboxes: mail, events, and contacts in their folders.

https://learn.microsoft.com/graph/outlook-mail-concept-overview
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from .delta import Feed, Show
from .directory import GIVEN, SURNAMES
from .endpoint import Call, Endpoint, Listing, Paging, Selection, Service, Tracking, words
from .filters import arrange, conditions
from .history import Change, History, current
from .problems import problem
from .rows import Rows
from .shapes import EPOCH, TEXTS, Entity, Shape, fragment, hexadecimal, moment

if TYPE_CHECKING:
    from .tenant import Tenant

ORDINARY, IMMUTABLE = "AAMkAGI2TG93AAA", "AAkALgAAAAAAHYQ"
MODIFIED = ("createdDateTime", "lastModifiedDateTime")
MAIL_FOLDERS = ("Inbox", "Sent Items", "Archive", "Deleted Items")
FOLDER_DEPTH = 3
TEXT_BODY = {"body": fragment({"contentType": "text", "content": "The body as plain text.\r\n"})}
SENTENCE = "<p>Dear all, the «quarterly» numbers for Zürich are attached &amp; final. Kind regards, Søren</p>\r\n"

SELECTIONS: Mapping[str, Selection] = {
    "message": Selection(on_request=words("internetMessageHeaders uniqueBody")),
    "event": Selection(on_request=words("cancelledOccurrences")),
}


class Outlook:
    """The tenant's mailboxes."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        html = f"<html><body>{SENTENCE * (tenant.size.message_bytes // len(SENTENCE))}</body></html>"
        body = {"body": {"contentType": "html", "content": html}, "bodyPreview": html[:255]}
        self.message_shape = Shape("message", tenant.seed, body)
        self.event_shape = Shape("event", tenant.seed, {"seriesMasterId": None, "originalStart": None}, adjust=_series)
        self.contact_shape = Shape("contact", tenant.seed)
        self.folder_shape = Shape("contactFolder", tenant.seed)
        self.mail_folder_shape = Shape("mailFolder", tenant.seed)

    def _id(self, kind: str, user: int, number: int, form: str = ORDINARY, moves: int = 0) -> str:
        return f"{form}{self.tenant.mark}{kind}_{user:06x}-{number:08x}{f'{moves:03x}' if moves else 'AAA'}="

    def item_id(self, kind: str, user: int, number: int, immutable: bool, moves: int = 0) -> str:
        """The id of a message, event or contact: in the ordinary form it's another one after each move.

        https://learn.microsoft.com/graph/outlook-immutable-id
        """
        form, moved = (IMMUTABLE, 0) if immutable else (ORDINARY, moves)
        return self._id(kind, user, number, form, moved)

    def find_item(self, kind: str, user: int, text: str) -> int | None:
        """The number of a message (m), event (e) or contact (c) from its id in either form."""
        history, number = self.history(kind, user), hexadecimal(text[-12:-4], 8)
        if number is None or not (history.exists(number) if history else number < self.founded(kind)):
            return None
        moves = history.moves[number] if history else 0
        ids = (self.item_id(kind, user, number, immutable, moves) for immutable in (False, True))
        return number if text in ids else None

    def history(self, kind: str, user: int) -> History | None:
        return self.tenant.histories.get((kind, user))

    def founded(self, kind: str) -> int:
        """How many messages, events or contacts a mailbox held when the tenant was founded."""
        size = self.tenant.size
        contacts = len(self.folders()) * size.contacts_per_folder
        return {"m": size.messages_per_user, "e": size.events_per_user, "c": contacts}[kind]

    def places(self, kind: str, folder: int | None) -> range:
        """The numbers of the items that were in a folder first, or in all of them."""
        total, size = self.founded(kind), self.tenant.size.contacts_per_folder
        if folder is None:
            return range(total)
        return range(folder, total, len(MAIL_FOLDERS)) if kind == "m" else range(folder * size, (folder + 1) * size)

    def folder_of(self, kind: str, user: int, number: int) -> int | None:
        """The folder an item is in; events have none."""
        if kind == "e":
            return None
        history, size = self.history(kind, user), self.tenant.size.contacts_per_folder
        moved = history.folders.get(number) if history else None
        return moved if moved is not None else number % len(MAIL_FOLDERS) if kind == "m" else number // size

    def folder_count(self, kind: str) -> int:
        return len(MAIL_FOLDERS) if kind == "m" else len(self.folders())

    def folder_id(self, kind: str, user: int, folder: int) -> str:
        """The id of a folder for messages or for contacts."""
        return self._id({"m": "f", "c": "d"}[kind], user, folder)

    def _items(
        self,
        kind: str,
        user: int,
        own: Callable[[int], Entity],
        shape: Shape,
        immutable: bool,
        times: tuple[str, ...],
        folder: int | None = None,
    ) -> Rows:
        """A mailbox's items of a kind, or those of one folder, as they are by now."""
        history = self.history(kind, user)
        moves = history.moves if history else {}

        def make(number: int) -> Entity:
            key = f"CQAAABYAAAB{user:x}/{number:x}+"
            return shape.entity(
                number,
                {
                    "@odata.etag": f'W/"{key}"',
                    "id": self.item_id(kind, user, number, immutable, moves.get(number, 0)),
                    "changeKey": key,
                    **own(number),
                },
            )

        newest_first = kind == "m"
        return current(Rows(self.places(kind, folder), make, times, newest_first), history, folder)

    def messages(self, user: int, immutable: bool = False, text: bool = False, folder: int | None = None) -> Rows:
        """All messages of a mailbox, or of one folder, newest first: https://learn.microsoft.com/graph/api/user-list-messages"""
        body = TEXT_BODY if text else {}
        folders = [self._id("f", user, place) for place in range(len(MAIL_FOLDERS))]

        def own(number: int) -> Entity:
            return {
                **_mail_times(number),
                "subject": f"{TEXTS[number % len(TEXTS)]} {number} for user {user}",
                "internetMessageId": f"<{user}.{number}@contoso.com>",
                "conversationId": f"AAQkAGI2{self.tenant.mark}{user:06x}{number // 3:08x}=",
                "parentFolderId": folders[number % len(MAIL_FOLDERS)],
                **body,
            }

        return self._items("m", user, own, self.message_shape, immutable, tuple(_mail_times(0)), folder)

    def mail_folders(self, user: int) -> Rows:
        def make(number: int) -> Entity:
            total = len(self.messages(user, folder=number))
            own = {"id": self._id("f", user, number), "displayName": MAIL_FOLDERS[number], "totalItemCount": total}
            return self.mail_folder_shape.entity(number, own | {"childFolderCount": 0})

        return Rows(range(len(MAIL_FOLDERS)), make)

    def events(self, user: int, immutable: bool = False, text: bool = False) -> Rows:
        """Single events and the masters of series, no occurrences: https://learn.microsoft.com/graph/api/user-list-events"""
        body = TEXT_BODY if text else {}

        def own(number: int) -> Entity:
            return {
                **_event_times(number),
                "subject": f"Meeting {number} of user {user}",
                "calendar@odata.associationLink": f"https://graph.microsoft.com/v1.0/users('{user}')/calendar/$ref",
                "iCalUId": f"040000008200E00074C5B7101A82E008{user:08X}{number:08X}",
                **body,
            }

        return self._items("e", user, own, self.event_shape, immutable, MODIFIED)

    def folders(self) -> range:
        """The contact folders of a mailbox: the default one, and chains of folders three deep below it."""
        return range(1 + self.tenant.size.contact_folders * FOLDER_DEPTH)

    def child_folders(self, user: int, folder: int = 0) -> Rows:
        """The folders in a contact folder. /contactFolders lists those in the default folder, not that folder itself.

        https://learn.microsoft.com/graph/api/user-list-contactfolders
        """
        width = self.tenant.size.contact_folders
        first = folder + width if folder else 1
        children = range(first, min(first + (1 if folder else width), self.folders().stop))

        def make(number: int) -> Entity:
            own = {"id": self._id("d", user, number), "displayName": f"Folder {number}"}
            return self.folder_shape.entity(number, own | {"parentFolderId": self._id("d", user, folder)})

        return Rows(children, make)

    def contacts(self, user: int, folder: int = 0, immutable: bool = False) -> Rows:
        """The contacts of one folder, its child folders not included: https://learn.microsoft.com/graph/api/user-list-contacts"""

        def own(number: int) -> Entity:
            given, surname = GIVEN[number % len(GIVEN)], SURNAMES[(number + user) % len(SURNAMES)]
            return {
                "createdDateTime": moment(EPOCH + timedelta(days=number)),
                "lastModifiedDateTime": moment(EPOCH + timedelta(days=number, hours=1)),
                "displayName": f"{given} {surname}",
                "parentFolderId": self._id("d", user, folder),
            }

        return self._items("c", user, own, self.contact_shape, immutable, MODIFIED, folder)

    def find_folder(self, kind: str, user: int, text: str) -> int | None:
        """The number of a contact folder (d) or mail folder (f) from its id or its well-known name."""
        names = ("contacts",) if kind == "d" else tuple(name.replace(" ", "").lower() for name in MAIL_FOLDERS)
        if text.lower() in names:
            return names.index(text.lower())
        numbers = self.folders() if kind == "d" else range(len(MAIL_FOLDERS))
        return next((number for number in numbers if self._id(kind, user, number) == text), None)


@lru_cache(maxsize=1 << 16)
def _mail_times(number: int) -> Mapping[str, str]:
    received = EPOCH + timedelta(minutes=30 * number)
    return {
        "createdDateTime": moment(received),
        "lastModifiedDateTime": moment(received + timedelta(minutes=2)),
        "receivedDateTime": moment(received),
        "sentDateTime": moment(received - timedelta(seconds=4)),
    }


@lru_cache(maxsize=1 << 16)
def _event_times(number: int) -> Mapping[str, Any]:
    start = EPOCH + timedelta(hours=8 * number)
    end = start + timedelta(hours=1)
    return {
        "createdDateTime": moment(start - timedelta(days=7)),
        "lastModifiedDateTime": moment(start - timedelta(days=6)),
        "start": {"dateTime": f"{start:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
        "end": {"dateTime": f"{end:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
    }


def _series(variant: int, entity: Entity) -> Entity:
    """Every third event is the master of a series; the others don't recur."""
    return entity | ({"type": "singleInstance", "recurrence": None} if variant % 3 else {"type": "seriesMaster"})


# --- How Outlook answers ---


def _mailbox(call: Call) -> None:
    """A user of the directory need not have a mailbox, or one that the app may read."""
    for area in ("user", "mailbox"):
        if trouble := call.tenant.trouble[area].get(call.ids["user"]):
            raise problem(trouble, call.segments["user"])


SERVICE = Service(
    "outlook",
    denial=lambda call: problem("mailbox_out_of_scope"),
    gate=_mailbox,
    missing=lambda name, text: problem("mailbox_invalid_user" if name == "user" else "mailbox_item_not_found", text),
    dollar="%24",
)


def _sorted_by_what_is_filtered(call: Call, listing: Listing, rows: Rows) -> Rows:
    """With both, the property in $orderby must come first in $filter: https://learn.microsoft.com/graph/api/user-list-messages"""
    text, order = call.options.get("$filter"), call.options.get("$orderby")
    if text and order and conditions(text)[0].property != order.split()[0]:
        raise problem("too_complex")
    return arrange(call, listing, rows)


def _forms(call: Call) -> dict[str, Any]:
    return {"immutable": call.immutable_ids, "text": "outlook.body-content-type=text" in call.preferences}


def _messages(call: Call) -> Rows:
    return call.tenant.outlook.messages(call.ids["user"], folder=call.ids.get("mailFolder"), **_forms(call))


def _events(call: Call) -> Rows:
    return call.tenant.outlook.events(call.ids["user"], **_forms(call))


def _contacts(call: Call) -> Rows:
    return call.tenant.outlook.contacts(call.ids["user"], call.ids.get("contactFolder", 0), call.immutable_ids)


class Tracked(Feed):
    """The changes in one folder. What is moved away is gone from it, and in the ordinary form so is its id.

    https://learn.microsoft.com/graph/delta-query-messages
    """

    def __init__(self, call: Call, kind: str, rows: Rows) -> None:
        user, folder = call.ids["user"], call.ids["mailFolder" if kind == "m" else "contactFolder"]
        outlook, self.kind, self.user, self.immutable = call.tenant.outlook, kind, user, call.immutable_ids
        self.outlook, self.type = outlook, call.endpoint.type
        clauses = conditions(call.options.get("$filter", ""))
        for clause in clauses:
            if clause.property != "receivedDateTime" or clause.operator not in ("ge", "gt"):
                raise problem("filter_unsupported", clause.property)

        def meets(number: int) -> bool:
            return all(clause.holds(rows.make(number)) for clause in clauses)

        places, base = outlook.places(kind, folder), outlook.founded(kind)
        super().__init__(rows, outlook.history(kind, user), places, base, folder, meets if clauses else None)

    def row(self, number: int, show: Show, recent: Collection[Change] | None) -> Entity:
        """The id comes whatever is selected."""
        entity = self.rows.make(number)
        return {"id": entity["id"], **show(entity)}

    def tombstone(self, change: Change, show: Show) -> Entity:
        identifier = self.outlook.item_id(self.kind, self.user, change.number, self.immutable, change.moves)
        return {"@odata.type": f"#microsoft.graph.{self.type}", "id": identifier, "@removed": {"reason": "deleted"}}


def _tracked(kind: str, rows: Callable[[Call], Rows]) -> Tracking:
    """`latest` is no token of Outlook's."""
    return Tracking(lambda call: Tracked(call, kind, rows(call)), latest=False)


def _if_filterable(call: Call, listing: Listing, rows: Rows) -> Rows:
    """Whether contacts can be filtered by their last change is not documented."""
    if "$filter" in call.options and not call.tenant.traits.contacts_by_time:
        raise problem("contact_filter_refused")
    return _sorted_by_what_is_filtered(call, listing, rows)


def _folders(call: Call) -> Rows:
    return call.tenant.outlook.child_folders(call.ids["user"], call.ids.get("contactFolder", 0))


MAIL_READ = words("Mail.Read Mail.ReadWrite")
CALENDAR_READ = words("Calendars.ReadBasic Calendars.Read Calendars.ReadWrite")
TIMES = dict.fromkeys(words("receivedDateTime lastModifiedDateTime createdDateTime"), "eq ge gt le lt")
SORTED = dict.fromkeys(TIMES, "asc desc")
# https://learn.microsoft.com/graph/permissions-reference#mailreadbasicall
BASIC_MESSAGE = words(
    "@odata.etag id categories changeKey createdDateTime lastModifiedDateTime from sender toRecipients ccRecipients "
    "bccRecipients replyTo subject conversationId parentFolderId receivedDateTime sentDateTime isRead isDraft webLink"
)
OPTIONS = "$select $top $filter $orderby $count $search $expand"
MAILBOX = partial(Listing, service=SERVICE, options=OPTIONS, paging=Paging(10, 1000, by_preference=True))
MESSAGES = partial(
    MAILBOX, permissions=("Mail.ReadBasic.All", *MAIL_READ), type="message", rows=_messages, filters=TIMES,
    orders=SORTED, arrange=_sorted_by_what_is_filtered, basic=(MAIL_READ, BASIC_MESSAGE),
)  # fmt: skip
# Sizes above the maximum are taken for it: no refusal is on record.
ITEMS = partial(MAILBOX, paging=Paging(10, 1000, caps=True, by_preference=True))
CONTACT_READ = words("Contacts.Read Contacts.ReadWrite")
CONTACTS = partial(
    ITEMS, permissions=CONTACT_READ, type="contact", rows=_contacts, arrange=_if_filterable,
    filters={"lastModifiedDateTime": "eq ge gt le lt"}, orders={"lastModifiedDateTime": "asc desc"},
)  # fmt: skip
FOLDERS = partial(ITEMS, permissions=CONTACT_READ, type="contactFolder", rows=_folders)

ENDPOINTS: tuple[Endpoint, ...] = (
    MESSAGES("/users/{user}/messages"),
    MESSAGES("/users/{user}/mailFolders/{mailFolder}/messages"),
    MESSAGES(
        "/users/{user}/mailFolders/{mailFolder}/messages/delta", options="$select $filter",
        tracking=_tracked("m", _messages),
    ),
    MAILBOX(
        "/users/{user}/mailFolders", permissions=("Mail.ReadBasic.All", *MAIL_READ), type="mailFolder",
        rows=lambda call: call.tenant.outlook.mail_folders(call.ids["user"]),
    ),
    ITEMS(
        "/users/{user}/events", permissions=CALENDAR_READ, type="event", rows=_events, filters=TIMES, orders=SORTED,
        arrange=_sorted_by_what_is_filtered,
    ),
    CONTACTS("/users/{user}/contacts"),
    CONTACTS("/users/{user}/contactFolders/{contactFolder}/contacts"),
    CONTACTS(
        "/users/{user}/contactFolders/{contactFolder}/contacts/delta", options="$select",
        tracking=_tracked("c", _contacts),
    ),
    FOLDERS("/users/{user}/contactFolders"),
    FOLDERS("/users/{user}/contactFolders/{contactFolder}/childFolders"),
)  # fmt: skip
