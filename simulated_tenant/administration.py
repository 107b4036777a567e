"""What people do to a tenant between two readings of it: each stream's objects, as those see them who change them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from .directory import RELATIONS, VISIBLE_BY, Reference
from .files import Drive, is_folder
from .history import History
from .shapes import Entity, moment
from .teams import EMPTIED

if TYPE_CHECKING:
    from .tenant import Tenant

Key = dict[str, str]


class Unchangeable(Exception):
    """What was asked for can't happen in a tenant."""


class Shelf:
    """Objects that nobody can change; the others allow what they can."""

    nature = ""

    def __init__(self, tenant: Tenant, stream: str) -> None:
        self.tenant, self.stream = tenant, stream

    def add(self, *_: Any, **where: Any) -> Key:
        """A new object, below the given parent or the first that has no trouble."""
        self.refuse("Nothing can be added")

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        self.refuse("Nothing can be edited")

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        self.refuse("Nothing can be deleted")

    def restore(self, key: Mapping[str, str]) -> None:
        self.refuse("Nothing can be restored")

    def move(self, key: Mapping[str, str]) -> Key:
        """The key the object has where it is now."""
        self.refuse("Nothing can be moved")

    def refuse(self, what: str) -> NoReturn:
        raise Unchangeable(f"{what} in {self.stream}{self.nature}.")

    def missing(self, key: Mapping[str, str]) -> NoReturn:
        raise KeyError(f"There is no such object in {self.stream}: {dict(key)}.")

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.tenant.clock(), UTC)

    @property
    def stamp(self) -> str:
        return moment(self.now)

    def parent(self, kind: str, text: str | None, trouble: str = "user") -> int:
        """The number of the user or group with that id, or of the first that a service would serve."""
        directory, avoided = self.tenant.directory, self.tenant.trouble
        if text is not None:
            number = directory.find(kind, text)
            return number if number is not None else self.missing({"id": text})
        skipped = {*avoided["user"], *avoided[trouble]} if kind == "user" else ()
        return next(number for number in directory.numbers(kind) if number not in skipped)


class Objects(Shelf):
    """A kind of directory object. Deleted ones can be restored, except for roles and groups other than Microsoft 365's.

    https://learn.microsoft.com/graph/delta-query-groups
    """

    def __init__(self, tenant: Tenant, stream: str, kind: str) -> None:
        super().__init__(tenant, stream)
        self.kind, self.directory = kind, tenant.directory

    @property
    def history(self) -> History:
        return self.tenant.histories.of(self.kind, self.directory.count(self.kind))

    def number(self, key: Mapping[str, str], gone: bool = False) -> int:
        number = self.directory.ids[self.kind].find(key["id"])
        known = number is not None and (number in self.history.gone if gone else self.history.exists(number))
        return number if number is not None and known else self.missing(key)

    def add(self) -> Key:
        number = self.history.count
        if self.kind == "directoryRole" and number >= self.directory.count("directoryRoleTemplate"):
            self.refuse("Every role is active already")
        dated = "createdDateTime" in self.directory.founded((self.kind, number))
        self.history.add(self.tenant.clock(), {"createdDateTime": self.stamp} if dated else {})
        return {"id": self.directory.ids[self.kind][number]}

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        number = self.number(key)
        name = f"{self.directory.founded((self.kind, number))['displayName']}, edited {len(self.history.changes)}"
        self.history.edit(number, self.tenant.clock(), properties or {"displayName": name})

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        gone = for_good and self.directory.find(self.kind, key["id"]) is None
        number = self.number(key, gone)
        lasting = for_good or self.kind == "directoryRole"
        if self.kind == "group":
            lasting |= "Unified" not in self.directory.object((self.kind, number))["groupTypes"]
        self.history.remove(number, self.tenant.clock(), "deleted" if lasting else "changed")

    def restore(self, key: Mapping[str, str]) -> None:
        number = self.number(key, gone=True)
        if self.history.gone[number] != "changed":
            self.refuse("What was deleted for good can't be restored")
        self.history.restore(number, self.tenant.clock())


class Members(Shelf):
    """Who belongs to a group, or owns it."""

    def __init__(self, tenant: Tenant, stream: str, relation: str) -> None:
        super().__init__(tenant, stream)
        self.relation, self.directory = relation, tenant.directory

    def people(self, group: int) -> Sequence[Reference]:
        found: Sequence[Reference] = getattr(self.directory, self.relation)(group)
        return found

    def reference(self, text: str) -> Reference:
        found = ((kind, self.directory.find(kind, text)) for kind in VISIBLE_BY)
        return next((kind, number) for kind, number in found if number is not None)

    def add(self, group_id: str | None = None, id: str | None = None) -> Key:  # noqa: A002
        """A member by its id, or the first user who is none, of that group or the first that lacks someone."""
        groups = self.directory.numbers("group") if group_id is None else [self.parent("group", group_id)]
        member = self.reference(id) if id else None
        group, (kind, number) = next(pair for group in groups for pair in self._strangers(group, member))
        self._relate(group, (kind, number), there=True)
        return {"id": self.directory.ids[kind][number], "group_id": self.directory.ids["group"][group]}

    def _strangers(self, group: int, member: Reference | None) -> Iterator[tuple[int, Reference]]:
        people = set(self.people(group))
        candidates = [member] if member else (("user", user) for user in self.directory.numbers("user"))
        return ((group, candidate) for candidate in candidates if candidate not in people)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        group, member = self.parent("group", key["group_id"]), self.reference(key["id"])
        if member not in self.people(group):
            self.missing(key)
        self._relate(group, member, there=False)

    def _relate(self, group: int, member: Reference, there: bool) -> None:
        self.directory.related.setdefault((self.relation, group), {})[member] = there
        history = self.tenant.histories.of("group", self.directory.count("group"))
        history.relate(group, self.tenant.clock(), self.relation, member, gone=not there)


class Items(Shelf):
    """A mailbox's messages (m), events (e) or contacts (c); keys may have ids of either form."""

    def __init__(self, tenant: Tenant, stream: str, kind: str, name: str) -> None:
        super().__init__(tenant, stream)
        self.kind, self.name, self.outlook = kind, name, tenant.outlook

    def history(self, user: int) -> History:
        return self.tenant.histories.of((self.kind, user), self.outlook.founded(self.kind))

    def found(self, key: Mapping[str, str]) -> tuple[int, int]:
        """The numbers of the mailbox and the item."""
        user = self.parent("user", key["user_id"])
        number = self.outlook.find_item(self.kind, user, key["id"])
        return user, number if number is not None else self.missing(key)

    def key(self, user: int, number: int, immutable: bool) -> Key:
        moves = self.history(user).moves[number]
        identifier = self.outlook.item_id(self.kind, user, number, immutable, moves)
        return {"id": identifier, "user_id": self.tenant.directory.ids["user"][user]}

    def changed(self, user: int, number: int) -> Entity:
        """What every change changes."""
        version = f"CQAAABYAAAB{user:x}/{number:x}+{len(self.history(user).changes):x}"
        return {"lastModifiedDateTime": self.stamp, "changeKey": version, "@odata.etag": f'W/"{version}"'}

    def add(self, user_id: str | None = None, folder: int = 0, immutable: bool = False) -> Key:
        user = self.parent("user", user_id, "mailbox")
        history = self.history(user)
        values = {"createdDateTime": self.stamp, **self.changed(user, history.count)}
        if self.kind == "m":
            values |= {"receivedDateTime": self.stamp, "sentDateTime": self.stamp}
        if self.kind != "e":
            values["parentFolderId"] = self.outlook.folder_id(self.kind, user, folder)
        number = history.add(self.tenant.clock(), values, None if self.kind == "e" else folder)
        return self.key(user, number, immutable)

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        user, number = self.found(key)
        history = self.history(user)
        values = properties or {self.name: f"Edited {len(history.changes)}"}
        folder = self.outlook.folder_of(self.kind, user, number)
        history.edit(number, self.tenant.clock(), values | self.changed(user, number), folder)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        user, number = self.found(key)
        folder = self.outlook.folder_of(self.kind, user, number)
        self.history(user).remove(number, self.tenant.clock(), folder=folder)

    def move(self, key: Mapping[str, str]) -> Key:
        """Into the next folder."""
        user, number = self.found(key)
        before = self.outlook.folder_of(self.kind, user, number)
        if before is None:
            self.refuse("Nothing can be moved")
        after = (before + 1) % self.outlook.folder_count(self.kind)
        values = {"parentFolderId": self.outlook.folder_id(self.kind, user, after), **self.changed(user, number)}
        immutable = key["id"] == self.key(user, number, immutable=True)["id"]
        self.history(user).move(number, self.tenant.clock(), (before, after), values)
        return self.key(user, number, immutable)


class DriveItems(Shelf):
    """The files and folders in users' OneDrives."""

    def history(self, drive: Drive) -> History:
        return self.tenant.histories.of(drive, self.tenant.size.items_per_drive)

    def found(self, key: Mapping[str, str]) -> tuple[Drive, int]:
        drive = ("user", self.parent("user", key["user_id"]), 0)
        number = self.tenant.files.find_item(drive, key["id"])
        if number == 0:
            self.refuse("The root of a drive can't be changed")
        return drive, number if number is not None else self.missing(key)

    def version(self, drive: Drive, number: int) -> Entity:
        identifier = self.tenant.files.item_id(drive, number)
        return {"eTag": f'"{{{identifier}}},{3 + len(self.history(drive).changes)}"'}

    def add(self, user_id: str | None = None) -> Key:
        """Every fourth item is a folder, as it was from the start; where its folder is gone, an item is in the root."""
        drive = ("user", self.parent("user", user_id, "onedrive"), 0)
        history = self.history(drive)
        folder = self.tenant.files.parent(drive, history.count)
        values = {"createdDateTime": self.stamp, "lastModifiedDateTime": self.stamp}
        values |= self.version(drive, history.count)
        number = history.add(self.tenant.clock(), values, folder if history.exists(folder) else 0)
        return {"id": self.tenant.files.item_id(drive, number), "user_id": self.tenant.directory.ids["user"][drive[1]]}

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        drive, number = self.found(key)
        history = self.history(drive)
        values = properties or {"name": f"Edited {len(history.changes)}"}
        values = {**values, "lastModifiedDateTime": self.stamp, **self.version(drive, number)}
        history.edit(number, self.tenant.clock(), values)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        """A folder goes with all that's in it. Whether each of these is reported is open to choice: the documents let a
        client drop a folder only once it's empty, and clients have seen the folder alone.
        """
        drive, number = self.found(key)
        history = self.history(drive)
        for below in self.inside(drive, number):
            if self.tenant.traits.deleted_folders_name_their_content:
                history.remove(below, self.tenant.clock())
            else:
                history.forget(below)
        history.remove(number, self.tenant.clock())

    def inside(self, drive: Drive, folder: int) -> list[int]:
        """What is in a folder at any depth."""
        if not is_folder(folder):
            return []
        found, everything = {folder}, self.tenant.files.items(drive).ascending
        while more := {n for n in everything if n and n not in found and self.tenant.files.parent(drive, n) in found}:
            found |= more
        return sorted(found - {folder})

    def move(self, key: Mapping[str, str]) -> Key:
        """Into the first folder that isn't its own."""
        drive, number = self.found(key)
        history, files = self.history(drive), self.tenant.files
        barred = {number, files.parent(drive, number), *self.inside(drive, number)}
        folders = (n for n in files.items(drive).ascending if (n == 0 or is_folder(n)) and n not in barred)
        if (into := next(folders, None)) is None:
            self.refuse("Nothing has another folder to go to")
        history.edit(number, self.tenant.clock(), self.version(drive, number), into=into)
        return dict(key)


class Chats(Shelf):
    """Chats between two users."""

    def history(self) -> History:
        return self.tenant.histories.of("chat", self.tenant.size.chats)

    def add(self, user_id: str | None = None) -> Key:
        teams, history = self.tenant.teams, self.history()
        user = self.parent("user", user_id, "teams_user")
        other = next(number for number in self.tenant.directory.numbers("user") if number != user)
        teams.new_chats[history.count] = sorted((user, other))
        values = {"createdDateTime": self.stamp, "lastUpdatedDateTime": self.stamp}
        return {"id": teams.chat_id(history.add(self.tenant.clock(), values))}

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        number = self.tenant.teams.find_chat(key["id"])
        history = self.history()
        values = properties or {"topic": f"Edited {len(history.changes)}"}
        values = {**values, "lastUpdatedDateTime": self.stamp}
        history.edit(number if number is not None else self.missing(key), self.tenant.clock(), values)


class ChatMessages(Shelf):
    """Messages in chats; a deleted one stays, emptied."""

    def history(self, chat: int) -> History:
        return self.tenant.histories.of(("chatMessage", chat), self.tenant.teams.founded(chat))

    def chat(self, text: str) -> int:
        number = self.tenant.teams.find_chat(text)
        return number if number is not None else self.missing({"chat_id": text})

    @property
    def milliseconds(self) -> int:
        return int(self.tenant.clock() * 1000)

    @property
    def stamp(self) -> str:
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def changed(self) -> Entity:
        return {"lastModifiedDateTime": self.stamp, "etag": str(self.milliseconds)}

    def add(self, chat_id: str | None = None) -> Key:
        """Its id is the moment it came, or the next that no message of the chat has."""
        teams = self.tenant.teams
        chat = 0 if chat_id is None else self.chat(chat_id)
        history = self.history(chat)
        taken = [int(history.values[number]["id"]) for number in range(history.founded, history.count)]
        identifier = str(max(self.milliseconds, *(number + 1 for number in taken)) if taken else self.milliseconds)
        values = {"id": identifier, "createdDateTime": self.stamp, **self.changed()}
        values |= dict.fromkeys(("lastEditedDateTime", "deletedDateTime"))
        content = {"contentType": "html", "content": f"<p>New {history.count}</p>"}
        history.add(self.tenant.clock(), {**values, "body": content})
        return {"id": identifier, "chat_id": teams.chat_id(chat)}

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        chat, number = self.found(key)
        history = self.history(chat)
        body = {"contentType": "html", "content": f"<p>Edited {len(history.changes)}</p>"}
        values = {**(properties or {"body": body}), "lastEditedDateTime": self.stamp, **self.changed()}
        history.edit(number, self.tenant.clock(), values)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        chat, number = self.found(key)
        values = {**EMPTIED, "deletedDateTime": self.stamp, **self.changed()}
        self.history(chat).edit(number, self.tenant.clock(), values)

    def found(self, key: Mapping[str, str]) -> tuple[int, int]:
        chat = self.chat(key["chat_id"])
        number = self.tenant.teams.find_message(chat, key["id"])
        return chat, number if number is not None else self.missing(key)


class Log(Shelf):
    """A log: what is in it stays as it is, and some of it arrives late."""

    nature = ", a log"

    def __init__(self, tenant: Tenant, stream: str, kind: str, time: str) -> None:
        super().__init__(tenant, stream)
        self.kind, self.time = kind, time

    def add(self, late: timedelta = timedelta()) -> Key:
        """An entry about something that happened so long ago."""
        audit = self.tenant.audit
        history = self.tenant.histories.of(self.kind, audit.founded(self.kind))
        number = history.add(self.tenant.clock(), {self.time: audit.precise(self.now - late)})
        return {"id": audit.entry(self.kind, number)["id"]}


SHELVES: Mapping[str, Any] = {
    "users": partial(Objects, kind="user"),
    "groups": partial(Objects, kind="group"),
    "applications": partial(Objects, kind="application"),
    "service_principals": partial(Objects, kind="servicePrincipal"),
    "directory_roles": partial(Objects, kind="directoryRole"),
    "group_member": partial(Members, relation=RELATIONS[0]),
    "group_owner": partial(Members, relation=RELATIONS[1]),
    "mail_messages": partial(Items, kind="m", name="subject"),
    "calendar_events": partial(Items, kind="e", name="subject"),
    "contacts": partial(Items, kind="c", name="displayName"),
    "drive_items": DriveItems,
    "chats": Chats,
    "chat_messages": ChatMessages,
    "audit_logs_directory": partial(Log, kind="directoryAudit", time="activityDateTime"),
    "audit_logs_signins": partial(Log, kind="signIn", time="createdDateTime"),
}


def shelf(tenant: Tenant, stream: str) -> Shelf:
    """The objects of a stream, to be changed."""
    found: Shelf = SHELVES.get(stream, Shelf)(tenant, stream)
    return found
