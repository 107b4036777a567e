"""How the items of mailboxes change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulated_tenant.history import History
from simulated_tenant.mutations import Key
from simulated_tenant.shapes import Entity
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.mutations import OwnedMutations
from simulated_tenant.workloads.outlook.contents import Outlook


class ItemMutations(OwnedMutations):
    """A mailbox's messages (m), events (e) or contacts (c); keys may have ids of either form."""

    def __init__(self, state: State, stream: str, kind: str, name: str) -> None:
        super().__init__(state, stream)
        self.kind, self.name, self.outlook = kind, name, state.of(Outlook)

    def history(self, user: int) -> History:
        return self.state.histories.of((self.kind, user), self.outlook.founded(self.kind))

    def found(self, key: Mapping[str, str]) -> tuple[int, int]:
        """The numbers of the mailbox and the item."""
        user = self.owner("user", key["user_id"])
        number = self.outlook.find_item(self.kind, user, key["id"])
        return user, number if number is not None else self.missing(key)

    def key(self, user: int, number: int, immutable: bool) -> Key:
        moves = self.history(user).moves[number]
        identifier = self.outlook.item_id(self.kind, user, number, immutable, moves)
        return {"id": identifier, "user_id": self.directory.ids["user"][user]}

    def changed(self, user: int, number: int) -> Entity:
        """What every change changes."""
        version = f"CQAAABYAAAB{user:x}/{number:x}+{len(self.history(user).changes):x}"
        return {"lastModifiedDateTime": self.stamp, "changeKey": version, "@odata.etag": f'W/"{version}"'}

    def add(self, user_id: str | None = None, folder: int = 0, immutable: bool = False) -> Key:
        user = self.owner("user", user_id, "mailbox")
        history = self.history(user)
        values = {"createdDateTime": self.stamp, **self.changed(user, history.count)}
        if self.kind == "m":
            values |= {"receivedDateTime": self.stamp, "sentDateTime": self.stamp}
        if self.kind != "e":
            values["parentFolderId"] = self.outlook.folder_id(self.kind, user, folder)
        number = history.add(self.state.clock(), values, None if self.kind == "e" else folder)
        return self.key(user, number, immutable)

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        user, number = self.found(key)
        history = self.history(user)
        values = properties or {self.name: f"Edited {len(history.changes)}"}
        folder = self.outlook.folder_of(self.kind, user, number)
        history.edit(number, self.state.clock(), values | self.changed(user, number), folder)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        user, number = self.found(key)
        folder = self.outlook.folder_of(self.kind, user, number)
        self.history(user).remove(number, self.state.clock(), folder=folder)


class FolderItemMutations(ItemMutations):
    """Messages or contacts, which are in folders."""

    def move(self, key: Mapping[str, str]) -> Key:
        """Into the next folder."""
        user, number = self.found(key)
        before = self.outlook.folder_of(self.kind, user, number)
        assert before is not None
        after = (before + 1) % self.outlook.folder_count(self.kind)
        values = {"parentFolderId": self.outlook.folder_id(self.kind, user, after), **self.changed(user, number)}
        immutable = key["id"] == self.key(user, number, immutable=True)["id"]
        self.history(user).move(number, self.state.clock(), (before, after), values)
        return self.key(user, number, immutable)
