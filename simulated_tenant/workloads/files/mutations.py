"""How the items of drives change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulated_tenant.history import History
from simulated_tenant.mutations import Key
from simulated_tenant.shapes import Entity
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.mutations import OwnedMutations
from simulated_tenant.workloads.files.contents import Drive, Files, is_folder


class ItemMutations(OwnedMutations):
    """Files and folders. A subclass says in which drives."""

    def __init__(self, state: State, stream: str) -> None:
        super().__init__(state, stream)
        self.files = state.of(Files)

    def history(self, drive: Drive) -> History:
        return self.state.histories.of(drive, self.state.size.items_per_drive)

    def drive(self, key: Mapping[str, str]) -> Drive:
        """The drive that a key names."""
        raise NotImplementedError

    def key(self, drive: Drive, number: int) -> Key:
        raise NotImplementedError

    def found(self, key: Mapping[str, str]) -> tuple[Drive, int]:
        drive = self.drive(key)
        number = self.files.find_item(drive, key["id"])
        if number == 0:
            self.refuse("The root of a drive can't be changed")
        return drive, number if number is not None else self.missing(key)

    def version(self, drive: Drive, number: int) -> Entity:
        identifier = self.files.item_id(drive, number)
        return {"eTag": f'"{{{identifier}}},{3 + len(self.history(drive).changes)}"'}

    def added_to(self, drive: Drive) -> Key:
        """Every fourth item is a folder, as it was from the start; where its folder is gone, an item is in the root."""
        history = self.history(drive)
        folder = self.files.folder_of(drive, history.count)
        values = {"createdDateTime": self.stamp, "lastModifiedDateTime": self.stamp}
        values |= self.version(drive, history.count)
        number = history.add(self.state.clock(), values, folder if history.exists(folder) else 0)
        return self.key(drive, number)

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        drive, number = self.found(key)
        history = self.history(drive)
        values = properties or {"name": f"Edited {len(history.changes)}"}
        values = {**values, "lastModifiedDateTime": self.stamp, **self.version(drive, number)}
        history.edit(number, self.state.clock(), values)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        """A folder goes with all that's in it. A trait says whether each of these is reported: the documents
        let a client drop a folder only once it's empty, and clients have seen the folder alone.
        """
        drive, number = self.found(key)
        history = self.history(drive)
        for below in self.inside(drive, number):
            if self.state.traits.deleted_folders_name_their_content:
                history.remove(below, self.state.clock())
            else:
                history.forget(below)
        history.remove(number, self.state.clock())

    def inside(self, drive: Drive, folder: int) -> list[int]:
        """What is in a folder at any depth."""
        if not is_folder(folder):
            return []
        found, everything = {folder}, self.files.items(drive).ascending
        while more := {n for n in everything if n and n not in found and self.files.folder_of(drive, n) in found}:
            found |= more
        return sorted(found - {folder})

    def move(self, key: Mapping[str, str]) -> Key:
        """Into the first folder that isn't its own."""
        drive, number = self.found(key)
        history, files = self.history(drive), self.files
        barred = {number, files.folder_of(drive, number), *self.inside(drive, number)}
        folders = (n for n in files.items(drive).ascending if (n == 0 or is_folder(n)) and n not in barred)
        if (into := next(folders, None)) is None:
            self.refuse("Nothing has another folder to go to")
        history.edit(number, self.state.clock(), self.version(drive, number), into=into)
        return dict(key)


class DriveItemMutations(ItemMutations):
    """The files and folders in users' OneDrives."""

    def drive(self, key: Mapping[str, str]) -> Drive:
        return ("user", self.owner("user", key["user_id"]), 0)

    def key(self, drive: Drive, number: int) -> Key:
        return {"id": self.files.item_id(drive, number), "user_id": self.directory.ids["user"][drive[1]]}

    def add(self, user_id: str | None = None) -> Key:
        return self.added_to(("user", self.owner("user", user_id, "onedrive"), 0))


class LibraryItemMutations(ItemMutations):
    """The files and folders in the libraries of groups and sites."""

    def drive(self, key: Mapping[str, str]) -> Drive:
        found = self.files.find_drive(key["drive_id"])
        return found if found is not None else self.missing(key)

    def key(self, drive: Drive, number: int) -> Key:
        return {"id": self.files.item_id(drive, number), "drive_id": self.files.drive_id(drive)}

    def add(self, drive_id: str | None = None) -> Key:
        return self.added_to(("root", 0, 0) if drive_id is None else self.drive({"drive_id": drive_id}))
