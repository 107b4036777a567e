"""OneDrive and SharePoint: drives, the items in them, and the sites that hold them.

https://learn.microsoft.com/graph/onedrive-concept-overview
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from simulated_tenant.collection import words
from simulated_tenant.entities import Entities
from simulated_tenant.history import History, current
from simulated_tenant.shapes import EPOCH, VARIANTS, Entity, Shape, graph_time, hexadecimal
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import Directory

HOST, PERSONAL_HOST = "https://contoso.sharepoint.com", "https://contoso-my.sharepoint.com"
FOLDER_EVERY = 4
OWNERS = ("root", "user", "group", "site")

# A facet that doesn't apply to an item is left out: https://learn.microsoft.com/graph/api/resources/driveitem
FACETS = words(
    "audio bundle deleted file folder image location malware package pendingOperations photo publication remoteItem "
    "root searchResult shared specialFolder video"
)
FILES = (
    ("Übersicht #1%.docx", "file publication pendingOperations"),
    ("photo (2).jpg", "file image photo location"),
    ("clip.mp4", "file video"),
    ("song's end.mp3", "file audio shared"),
    ("plan & budget.xlsx", "file"),
    ("\u8cc7\u6599.pdf", "file malware"),
    ("Notebook", "package remoteItem bundle"),
)

# Whom a link lets in, and in how many days it expires: None stands for .NET's zero, which says never, as does no time.
# Not every drive has a link that still lets in anyone. https://learn.microsoft.com/graph/api/resources/permission
OPEN_LINKS = (("anonymous", 0), ("organization", 0), ("anonymous", -3), ("anonymous", None), ("anonymous", 30))
CLOSED_LINKS = (("organization", 0), ("users", 0), ("anonymous", -3), ("users", 30), ("organization", None))

# Whose drive it is, by kind and number, and which of the owner's drives.
Drive = tuple[str, int, int]


class Files:
    """The tenant's drives and sites."""

    def __init__(self, state: State) -> None:
        self.state, self.directory = state, state.of(Directory)
        self.drive_shape = Shape("drive", state.seed, {"parentReference": None})
        self.site_shape = Shape("site", state.seed, {"error": None, "parentReference": None, "root": None})
        self.permission_shape = Shape("permission", state.seed)
        self.list_item_shape = Shape("listItem", state.seed, {"deleted": None, "parentReference": None})
        item = partial(Shape, "driveItem", state.seed, nulls=0)
        self.file_shape = item(adjust=lambda variant, entity: _only(entity, FILES[variant][1]))
        self.folder_shape = item(
            adjust=lambda variant, entity: _only(entity, "folder" + " specialFolder" * (variant == 1))
        )
        self.root_shape = item({"root": {}}, adjust=lambda variant, entity: _only(entity, "folder root"))

    def drives(self, owner: str, number: int = 0) -> Entities:
        """The drives of the root site, a user, a group's site or another site; every fifth user has two."""
        count = {"root": 2, "user": 1 + (number % 5 == 0), "group": 1 + (number % 3 == 0), "site": 2}[owner]
        return Entities([(owner, number, index) for index in range(count)], self.drive)

    def drive_id(self, drive: Drive) -> str:
        owner, number, index = drive
        return f"b!{self.state.id_prefix}-{owner}_{number:06x}{index:02x}"

    def find_drive(self, text: str) -> Drive | None:
        owner, _, digits = text.removeprefix(f"b!{self.state.id_prefix}-").partition("_")
        number = hexadecimal(digits, 8)
        if owner not in OWNERS or number is None:
            return None
        drive = (owner, number >> 8, number & 0xFF)
        there = owner not in ("user", "group") or self.directory.exists(owner, drive[1])
        return drive if there and drive in self.drives(owner, drive[1]).ascending else None

    def drive(self, drive: Drive) -> Entity:
        owner, number, index = drive
        own = {
            "id": self.drive_id(drive),
            "driveType": "business" if owner == "user" else "documentLibrary",
            "name": f"{'OneDrive' if owner == 'user' else 'Documents'} {index}",
            "createdDateTime": graph_time(EPOCH + timedelta(hours=number)),
            "webUrl": f"{site_url((owner, number))}/{'Documents' if owner == 'user' else f'Shared%20Documents{index}'}",
        }
        return self.drive_shape.entity(number + index, own)

    def history(self, drive: Drive) -> History | None:
        return self.state.histories.get(drive)

    def items(self, drive: Drive) -> Entities:
        """Everything in a drive, flat: the root, then folders and files, parents before children."""
        history = self.history(drive)
        moved = history.folders if history else {}
        founded = Entities(range(self.state.size.items_per_drive), lambda number: self.item(drive, number, moved))
        return current(founded, history)

    def children(self, drive: Drive) -> Entities:
        everything = self.items(drive)
        return everything.over([n for n in everything.ascending if n and not self.folder_of(drive, n)])

    def folder_of(self, drive: Drive, number: int) -> int:
        """The folder an item is in."""
        history = self.history(drive)
        return history.folders.get(number, first_folder(number)) if history else first_folder(number)

    def find_item(self, drive: Drive, text: str) -> int | None:
        history, number = self.history(drive), hexadecimal(text[-8:], 8)
        if number is None or text != self.item_id(drive, number):
            return None
        there = history.exists(number) if history else number < self.state.size.items_per_drive
        return number if there else None

    def item(self, drive: Drive, number: int, moved: Mapping[int, int]) -> Entity:
        """An item as it was at first, in the folder it's in by now."""
        name, facets = FILES[number % VARIANTS]
        own: Entity = {
            "id": self.item_id(drive, number),
            "name": f"Folder {number}" if is_folder(number) else f"{number} {name}" if number else "root",
            "createdDateTime": graph_time(EPOCH),
            "lastModifiedDateTime": graph_time(modified(number)),
            "eTag": f'"{{{self.item_id(drive, number)}}},2"',
            "size": number * 1021 if number % 9 else 3 * 2**31 + number,
            "webUrl": f"{HOST}/items/{self.item_id(drive, number)}",
        }
        if number:
            own["parentReference"] = self.reference(drive, moved.get(number, first_folder(number))) | {
                "path": "/drive/root:"
            }
        if number and not is_folder(number) and "file" in facets:
            own["@microsoft.graph.downloadUrl"] = (
                f"{HOST}/_layouts/15/download.aspx?UniqueId={own['id']}&tempauth=v1.eyJ"
            )
        shape = self.folder_shape if is_folder(number) else self.file_shape if number else self.root_shape
        return shape.entity(number, own)

    def reference(self, drive: Drive, folder: int) -> Entity:
        return {"driveType": "business", "driveId": self.drive_id(drive), "id": self.item_id(drive, folder)}

    def item_id(self, drive: Drive, number: int) -> str:
        owner, owned, index = drive
        return f"01{self.state.id_prefix.upper()}{owner[0].upper()}{owned:06X}{index:X}{number:08X}"

    def sites(self) -> Entities:
        """The root site, groups' and other sites, and OneDrives: https://learn.microsoft.com/graph/api/site-getallsites"""
        size, without = self.state.size, self.state.trouble["onedrive"]
        groups = [group for group in self.directory.numbers("group") if group < size.microsoft365_groups]
        numbers = {
            "root": range(1), "group": groups, "site": range(size.other_sites), "user": self.directory.numbers("user"),
        }  # fmt: skip
        every = [(owner, number) for owner, owned in numbers.items() for number in owned]
        return Entities([site for site in every if site[0] != "user" or site[1] not in without], self._site)

    def _site(self, site: tuple[str, int]) -> Entity:
        owner, number = site
        own = {
            "id": f"{HOST.removeprefix('https://')},{self.state.id_prefix},{owner}-{number}",
            "displayName": f"{owner} {number}",
            "isPersonalSite": owner == "user",
            "webUrl": site_url(site),
        }
        return self.site_shape.entity(number, own | ({"root": {}} if owner == "root" else {}))

    def list_items(self, site: tuple[str, int], number: int, with_fields: bool) -> Entities:
        """The items of a site's list, whose ids are small numbers; its columns come where they are asked for.

        https://learn.microsoft.com/graph/api/listitem-list
        """

        def make(item: int) -> Entity:
            own: Entity = {
                "id": str(item + 1),
                "name": None,
                "webUrl": f"{site_url(site)}/Lists/{number}/{item + 1}_.000",
            }
            if with_fields:
                own["fields"] = {
                    "@odata.etag": f'"{item},1"',
                    "id": str(item + 1),
                    "Title": f"Desk {item}",
                    "Cost_x0020_Center": 100 * item + number,
                    "AuthorLookupId": "12",
                    "Tags@odata.type": "#Collection(Edm.String)",
                    "Tags": ["left", "Zürich"],
                    "ContentType": "Item",
                }
            return self.list_item_shape.entity(item, own)

        return Entities(range(self.state.size.items_per_list), make)

    def permissions(self, drive: Drive, item: int) -> Entities:
        """Who may do what with an item: a user, and whoever has a link. Items of odd numbers list one link, which a
        folder above them has.

        https://learn.microsoft.com/graph/api/driveitem-list-permissions
        """
        _, owned, index = drive
        links = OPEN_LINKS if (owned + index) % 3 == 0 else CLOSED_LINKS
        inherited = item % 2 == 1
        origin = 1 if inherited else item
        scope, days_left = links[(origin // VARIANTS + owned) % len(links)]

        def make(number: int) -> Entity:
            own: Entity = {
                "id": f"{self.item_id(drive, item)}-{number}",
                "link": None,
                "grantedToV2": None,
                "hasPassword": False,
                "expirationDateTime": None,
                "inheritedFrom": self.reference(drive, origin) if inherited and number else None,
            }
            if not number:
                own["grantedToV2"] = {"user": {"id": self.directory.ids["user"][0], "displayName": "Ana"}}
                return self.permission_shape.entity(item + number, own)
            token = f"{self.item_id(drive, origin)}-{number}"
            own["shareId"] = f"u!{token}"
            own["link"] = {"type": ("view", "edit")[owned % 2], "scope": scope, "webUrl": f"{HOST}/:b:/g/{token}"}
            own["hasPassword"] = scope == "anonymous" and origin % 4 == 0
            if days_left is None:
                own["expirationDateTime"] = "0001-01-01T00:00:00Z"
            elif days_left:
                own["expirationDateTime"] = graph_time(self.state.today + timedelta(days=days_left))
            return self.permission_shape.entity(item + number, own)

        return Entities(range(2), make)

    def find_site(self, text: str) -> tuple[str, int] | None:
        owner, _, number = text.rpartition(",")[2].partition("-")
        known = owner in OWNERS and number.isdecimal() and self.state.id_prefix in text
        return ("root", 0) if text == "root" else (owner, int(number)) if known else None


def site_url(site: tuple[str, int]) -> str:
    """Where a site is. OneDrives have a host of their own, and the name of a site may begin with that of another."""
    owner, number = site
    if owner == "root":
        return HOST
    return f"{PERSONAL_HOST}/personal/user_{number}_contoso_com" if owner == "user" else f"{HOST}/sites/{owner}{number}"


def is_folder(number: int) -> bool:
    return number % FOLDER_EVERY == 1


def has_facet(number: int, facet: str) -> bool:
    """Whether a file has it: the root and folders have none of those that files have."""
    return number > 0 and not is_folder(number) and facet in FILES[number % VARIANTS][1].split()


def modified(number: int) -> datetime:
    return EPOCH + timedelta(minutes=number)


def first_folder(number: int) -> int:
    """Every fourth item is a folder, inside an earlier folder; the three after it are files in it."""
    folder, file = divmod(number - 1, FOLDER_EVERY)
    return 1 + FOLDER_EVERY * folder if file else 1 + FOLDER_EVERY * ((folder - 1) // 2) if folder else 0


def _only(entity: Entity, facets: str) -> Entity:
    return {name: value for name, value in entity.items() if name not in FACETS or name in facets.split()}
