"""Exchange Online mailboxes: mail, events, and contacts in their folders.

https://learn.microsoft.com/graph/outlook-mail-concept-overview
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from simulated_tenant.entities import Entities
from simulated_tenant.history import History, current
from simulated_tenant.shapes import EPOCH, TEXTS, Entity, Shape, fragment, graph_time, hexadecimal
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import GIVEN, SURNAMES

ORDINARY, IMMUTABLE = "AAMkAGI2TG93AAA", "AAkALgAAAAAAHYQ"
MODIFIED = ("createdDateTime", "lastModifiedDateTime")
MAIL_FOLDERS = ("Inbox", "Sent Items", "Archive", "Deleted Items")
# Folders inside those, with the numbers of the folders that they are in; they hold no messages.
INNER_MAIL_FOLDERS = {"Projects": 2, "2024": 4, "Conversation History": 0}
# Days from today on which events are; a reader views some of them.
OCCURRENCE_DAYS = (-40, -20, -1, 0, 1, 7, 14, 100, 170, 300, -400, 1000)
OCCURRENCE_TYPES = ("singleInstance", "occurrence", "exception")
ROOT_FOLDER, HIDDEN_FOLDER = 0xFFFF, 6
FOLDER_DEPTH = 3
TEXT_BODY = {"body": fragment({"contentType": "text", "content": "The body as plain text.\r\n"})}
SENTENCE = "<p>Dear all, the «quarterly» numbers for Zürich are attached &amp; final. Kind regards, Søren</p>\r\n"


class Outlook:
    """The tenant's mailboxes."""

    def __init__(self, state: State) -> None:
        self.state = state
        html = f"<html><body>{SENTENCE * (state.size.message_bytes // len(SENTENCE))}</body></html>"
        body = {"body": {"contentType": "html", "content": html}, "bodyPreview": html[:255]}
        self.message_shape = Shape("message", state.seed, body)
        self.event_shape = Shape("event", state.seed, {"seriesMasterId": None, "originalStart": None}, adjust=_series)
        self.occurrence_shape = Shape("event", state.seed, body | {"recurrence": None})
        self.attachment_shape = Shape("attachment", state.seed)
        notes = {"personalNotes": SENTENCE * (state.size.contact_bytes // len(SENTENCE))}
        self.contact_shape = Shape("contact", state.seed, notes if state.size.contact_bytes else None)
        self.folder_shape = Shape("contactFolder", state.seed)
        self.mail_folder_shape = Shape("mailFolder", state.seed)

    def _id(self, kind: str, user: int, number: int, form: str = ORDINARY, moves: int = 0) -> str:
        return f"{form}{self.state.id_prefix}{kind}_{user:06x}-{number:08x}{f'{moves:03x}' if moves else 'AAA'}="

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
        return self.state.histories.get((kind, user))

    def founded(self, kind: str) -> int:
        """How many messages, events or contacts a mailbox held when the tenant was founded."""
        size = self.state.size
        contacts = len(self.folders()) * size.contacts_per_folder
        return {"m": size.messages_per_user, "e": size.events_per_user, "c": contacts}[kind]

    def numbers(self, kind: str, folder: int | None) -> range:
        """The numbers of the items that were in a folder first, or in all of them."""
        total, size = self.founded(kind), self.state.size.contacts_per_folder
        if folder is None:
            return range(total)
        if kind == "m":
            return range(folder, total if folder < len(MAIL_FOLDERS) else folder, len(MAIL_FOLDERS))
        return range(folder * size, (folder + 1) * size)

    def folder_of(self, kind: str, user: int, number: int) -> int | None:
        """The folder an item is in; events have none."""
        if kind == "e":
            return None
        history, size = self.history(kind, user), self.state.size.contacts_per_folder
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
    ) -> Entities:
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
        return current(Entities(self.numbers(kind, folder), make, times, newest_first), history, folder)

    def messages(self, user: int, immutable: bool = False, text: bool = False, folder: int | None = None) -> Entities:
        """All messages of a mailbox, or of one folder, newest first: https://learn.microsoft.com/graph/api/user-list-messages"""
        body = TEXT_BODY if text else {}
        folders = [self._id("f", user, number) for number in range(len(MAIL_FOLDERS))]

        def own(number: int) -> Entity:
            return {
                **_mail_times(number),
                "subject": f"{TEXTS[number % len(TEXTS)]} {number} for user {user}",
                "internetMessageId": f"<{user}.{number}@contoso.com>",
                "conversationId": f"AAQkAGI2{self.state.id_prefix}{user:06x}{number // 3:08x}=",
                "parentFolderId": folders[number % len(MAIL_FOLDERS)],
                **body,
            }

        return self._items("m", user, own, self.message_shape, immutable, tuple(_mail_times(0)), folder)

    def has_attachments(self, message: int) -> bool:
        """Whether a message of any mailbox has some."""
        return self.message_shape.entity(message, {})["hasAttachments"] is True

    def attachments(self, user: int, message: int, with_bytes: bool) -> Entities:
        """The attachments of a message: https://learn.microsoft.com/graph/api/message-list-attachments"""

        def make(number: int) -> Entity:
            own: Entity = {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "id": self._id("a", user, message) + str(number),
                "name": f"{number} {TEXTS[message % len(TEXTS)]}.pdf",
            }
            if with_bytes:
                own["contentBytes"] = "JVBERi0xLjcK"
            return self.attachment_shape.entity(number, own)

        return Entities(range(1 + message % 2), make)

    def mail_folders(self, user: int, above: int | None = None) -> Entities:
        """The mail folders at the top of a mailbox, or in one of its folders.

        https://learn.microsoft.com/graph/api/user-list-mailfolders
        """
        return self.all_mail_folders(user).over(_folders_in(above))

    def all_mail_folders(self, user: int) -> Entities:
        """At any depth, hidden ones included: https://learn.microsoft.com/graph/api/mailfolder-delta"""

        def make(number: int) -> Entity:
            own = {
                "id": self._id("f", user, number),
                "displayName": (*MAIL_FOLDERS, *INNER_MAIL_FOLDERS)[number],
                "parentFolderId": self._id("f", user, _folder_above(number, ROOT_FOLDER)),
                "totalItemCount": len(self.messages(user, folder=number)),
                "childFolderCount": len(_folders_in(number)),
                "isHidden": number == HIDDEN_FOLDER,
            }
            return self.mail_folder_shape.entity(number, own)

        return Entities(range(len(MAIL_FOLDERS) + len(INNER_MAIL_FOLDERS)), make)

    def events(self, user: int, immutable: bool = False, text: bool = False) -> Entities:
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

    def occurrences(self, user: int, immutable: bool = False, text: bool = False) -> Entities:
        """Single events and the occurrences of series, masters never: https://learn.microsoft.com/graph/api/user-list-calendarview"""
        body = TEXT_BODY if text else {}

        def make(number: int) -> Entity:
            start, end = self._occurs(number)
            own = {
                "@odata.etag": f'W/"CQAAABYAAAB{user:x}/o{number:x}+"',
                "id": self.item_id("o", user, number, immutable),
                "subject": f"Occurrence {number} for user {user}",
                "start": {"dateTime": f"{start:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
                "end": {"dateTime": f"{end:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
                "seriesMasterId": self.item_id("e", user, 0, immutable) if number % 3 else None,
                **body,
            }
            return self.occurrence_shape.entity(number, own | {"type": OCCURRENCE_TYPES[number % 3]})

        return Entities(range(self.state.size.events_per_user), make)

    def _occurs(self, number: int) -> tuple[datetime, datetime]:
        """From when to when. Events last an hour, and the first of all reaches into the days that a reader views."""
        day = OCCURRENCE_DAYS[number % len(OCCURRENCE_DAYS)]
        start = self.state.today + timedelta(days=day, hours=8, minutes=number)
        return start, start + (timedelta(hours=1) if number else timedelta(days=20))

    def touches(self, number: int, start: datetime, end: datetime) -> bool:
        """Whether an occurrence is in a view of these times."""
        begins, ends = self._occurs(number)
        return begins < end and ends > start

    def number_of_occurrence(self, text: str) -> int:
        return int(text[-12:-4], 16)

    def folders(self) -> range:
        """The contact folders of a mailbox: the default one, and chains of folders three deep below it."""
        return range(1 + self.state.size.contact_folders * FOLDER_DEPTH)

    def child_folders(self, user: int, folder: int = 0) -> Entities:
        """The folders in a contact folder. /contactFolders lists those in the default folder, not that folder itself.

        https://learn.microsoft.com/graph/api/user-list-contactfolders
        """
        width = self.state.size.contact_folders
        first = folder + width if folder else 1
        children = range(first, min(first + (1 if folder else width), self.folders().stop))

        def make(number: int) -> Entity:
            own = {"id": self._id("d", user, number), "displayName": f"Folder {number}"}
            return self.folder_shape.entity(number, own | {"parentFolderId": self._id("d", user, folder)})

        return Entities(children, make)

    def contacts(self, user: int, folder: int = 0, immutable: bool = False) -> Entities:
        """The contacts of one folder, its child folders not included: https://learn.microsoft.com/graph/api/user-list-contacts"""

        def own(number: int) -> Entity:
            given, surname = GIVEN[number % len(GIVEN)], SURNAMES[(number + user) % len(SURNAMES)]
            return {
                "createdDateTime": graph_time(EPOCH + timedelta(days=number)),
                "lastModifiedDateTime": graph_time(EPOCH + timedelta(days=number, hours=1)),
                "displayName": f"{given} {surname}",
                "parentFolderId": self._id("d", user, folder),
            }

        return self._items("c", user, own, self.contact_shape, immutable, MODIFIED, folder)

    def find_folder(self, kind: str, user: int, text: str) -> int | None:
        """The number of a contact folder (d) or mail folder (f) from its id or its well-known name."""
        names = ("contacts",) if kind == "d" else tuple(name.replace(" ", "").lower() for name in MAIL_FOLDERS)
        if text.lower() in names:
            return names.index(text.lower())
        numbers = self.folders() if kind == "d" else self.all_mail_folders(user).ascending
        return next((number for number in numbers if self._id(kind, user, number) == text), None)


def _folder_above(number: int, root: int | None = None) -> int | None:
    inner = number - len(MAIL_FOLDERS)
    return root if inner < 0 else list(INNER_MAIL_FOLDERS.values())[inner]


def _folders_in(above: int | None) -> list[int]:
    """The numbers of the mail folders in one, or of those at the top."""
    every = range(len(MAIL_FOLDERS) + len(INNER_MAIL_FOLDERS))
    return [number for number in every if _folder_above(number) == above]


@lru_cache(maxsize=1 << 16)
def _mail_times(number: int) -> Mapping[str, str]:
    received = EPOCH + timedelta(minutes=30 * number)
    return {
        "createdDateTime": graph_time(received),
        "lastModifiedDateTime": graph_time(received + timedelta(minutes=2)),
        "receivedDateTime": graph_time(received),
        "sentDateTime": graph_time(received - timedelta(seconds=4)),
    }


@lru_cache(maxsize=1 << 16)
def _event_times(number: int) -> Mapping[str, Any]:
    start = EPOCH + timedelta(hours=8 * number)
    end = start + timedelta(hours=1)
    return {
        "createdDateTime": graph_time(start - timedelta(days=7)),
        "lastModifiedDateTime": graph_time(start - timedelta(days=6)),
        "start": {"dateTime": f"{start:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
        "end": {"dateTime": f"{end:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
    }


def _series(variant: int, entity: Entity) -> Entity:
    """Every third event is the master of a series; the others don't recur."""
    return entity | ({"type": "singleInstance", "recurrence": None} if variant % 3 else {"type": "seriesMaster"})
