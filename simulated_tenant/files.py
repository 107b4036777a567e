"""OneDrive and SharePoint: drives, the items in them, and the sites that hold them.

https://learn.microsoft.com/graph/onedrive-concept-overview
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from .delta import Feed, Show
from .endpoint import Call, Endpoint, Listing, Paging, Selection, Service, Single, Tracking, words
from .filters import Moment
from .history import Change, History, current
from .problems import Problem, problem
from .rows import Rows
from .shapes import EPOCH, VARIANTS, Entity, Shape, hexadecimal, moment

if TYPE_CHECKING:
    from .tenant import Tenant

HOST = "https://contoso.sharepoint.com"
FOLDER_EVERY = 4
OWNERS = ("root", "user", "group", "site")

SELECTIONS: Mapping[str, Selection] = {
    "drive": Selection(on_request=words("system")),
    "driveItem": Selection(on_request=words("webDavUrl sharepointIds")),
}
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

# Whose drive it is, by kind and number, and which of the owner's drives.
Drive = tuple[str, int, int]


class Files:
    """The tenant's drives and sites."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.drive_shape = Shape("drive", tenant.seed, {"parentReference": None})
        self.site_shape = Shape("site", tenant.seed, {"error": None, "parentReference": None, "root": None})
        item = partial(Shape, "driveItem", tenant.seed, nulls=0)
        self.file_shape = item(adjust=lambda variant, entity: _only(entity, FILES[variant][1]))
        self.folder_shape = item(
            adjust=lambda variant, entity: _only(entity, "folder" + " specialFolder" * (variant == 1))
        )
        self.root_shape = item({"root": {}}, adjust=lambda variant, entity: _only(entity, "folder root"))

    def drives(self, owner: str, number: int = 0) -> Rows:
        """The drives of the root site, a user, a group's site or another site; every fifth user has two."""
        count = {"root": 2, "user": 1 + (number % 5 == 0), "group": 1 + (number % 3 == 0), "site": 2}[owner]
        return Rows([(owner, number, place) for place in range(count)], self.drive)

    def drive_id(self, drive: Drive) -> str:
        owner, number, place = drive
        return f"b!{self.tenant.mark}-{owner}_{number:06x}{place:02x}"

    def find_drive(self, text: str) -> Drive | None:
        owner, _, digits = text.removeprefix(f"b!{self.tenant.mark}-").partition("_")
        number = hexadecimal(digits, 8)
        if owner not in OWNERS or number is None:
            return None
        drive = (owner, number >> 8, number & 0xFF)
        there = owner not in ("user", "group") or self.tenant.directory.exists(owner, drive[1])
        return drive if there and drive in self.drives(owner, drive[1]).ascending else None

    def drive(self, drive: Drive) -> Entity:
        owner, number, place = drive
        own = {
            "id": self.drive_id(drive),
            "driveType": "business" if owner == "user" else "documentLibrary",
            "name": f"{'OneDrive' if owner == 'user' else 'Documents'} {place}",
            "createdDateTime": moment(EPOCH + timedelta(hours=number)),
            "webUrl": f"{HOST}/{owner}/{number}/{place}",
        }
        return self.drive_shape.entity(number + place, own)

    def history(self, drive: Drive) -> History | None:
        return self.tenant.histories.get(drive)

    def items(self, drive: Drive) -> Rows:
        """Everything in a drive, flat: the root, then folders and files, parents before children."""
        history = self.history(drive)
        moved = history.folders if history else {}
        rows = Rows(range(self.tenant.size.items_per_drive), lambda number: self.item(drive, number, moved))
        return current(rows, history)

    def children(self, drive: Drive) -> Rows:
        everything = self.items(drive)
        return everything.over([n for n in everything.ascending if n and not self.parent(drive, n)])

    def parent(self, drive: Drive, number: int) -> int:
        """The folder an item is in."""
        history = self.history(drive)
        return history.folders.get(number, parent(number)) if history else parent(number)

    def find_item(self, drive: Drive, text: str) -> int | None:
        history, number = self.history(drive), hexadecimal(text[-8:], 8)
        if number is None or text != self.item_id(drive, number):
            return None
        there = history.exists(number) if history else number < self.tenant.size.items_per_drive
        return number if there else None

    def item(self, drive: Drive, number: int, moved: Mapping[int, int]) -> Entity:
        """An item as it was at first, in the folder it's in by now."""
        name, facets = FILES[number % VARIANTS]
        own: Entity = {
            "id": self.item_id(drive, number),
            "name": f"Folder {number}" if is_folder(number) else f"{number} {name}" if number else "root",
            "createdDateTime": moment(EPOCH),
            "lastModifiedDateTime": moment(_modified(number)),
            "eTag": f'"{{{self.item_id(drive, number)}}},2"',
            "size": number * 1021 if number % 9 else 3 * 2**31 + number,
            "webUrl": f"{HOST}/items/{self.item_id(drive, number)}",
        }
        if number:
            own["parentReference"] = self.reference(drive, moved.get(number, parent(number))) | {"path": "/drive/root:"}
        if number and not is_folder(number) and "file" in facets:
            own["@microsoft.graph.downloadUrl"] = (
                f"{HOST}/_layouts/15/download.aspx?UniqueId={own['id']}&tempauth=v1.eyJ"
            )
        shape = self.folder_shape if is_folder(number) else self.file_shape if number else self.root_shape
        return shape.entity(number, own)

    def reference(self, drive: Drive, folder: int) -> Entity:
        return {"driveType": "business", "driveId": self.drive_id(drive), "id": self.item_id(drive, folder)}

    def item_id(self, drive: Drive, number: int) -> str:
        owner, owned, place = drive
        return f"01{self.tenant.mark.upper()}{owner[0].upper()}{owned:06X}{place:X}{number:08X}"

    def sites(self) -> Rows:
        """The root site, groups' and other sites, and OneDrives: https://learn.microsoft.com/graph/api/site-getallsites"""
        size, without = self.tenant.size, self.tenant.trouble["onedrive"]
        directory = self.tenant.directory
        groups = [group for group in directory.numbers("group") if group < size.microsoft365_groups]
        numbers = {
            "root": range(1), "group": groups, "site": range(size.other_sites), "user": directory.numbers("user"),
        }  # fmt: skip
        every = [(owner, number) for owner, places in numbers.items() for number in places]
        return Rows([site for site in every if site[0] != "user" or site[1] not in without], self._site)

    def _site(self, site: tuple[str, int]) -> Entity:
        owner, number = site
        own = {
            "id": f"{HOST.removeprefix('https://')},{self.tenant.mark},{owner}-{number}",
            "displayName": f"{owner} {number}",
            "isPersonalSite": owner == "user",
            "webUrl": f"{HOST}/sites/{owner}{number}",
        }
        return self.site_shape.entity(number, own | ({"root": {}} if owner == "root" else {}))

    def find_site(self, text: str) -> tuple[str, int] | None:
        owner, _, number = text.rpartition(",")[2].partition("-")
        known = owner in OWNERS and number.isdecimal() and self.tenant.mark in text
        return ("root", 0) if text == "root" else (owner, int(number)) if known else None


def is_folder(number: int) -> bool:
    return number % FOLDER_EVERY == 1


def _modified(number: int) -> datetime:
    return EPOCH + timedelta(minutes=number)


def parent(number: int) -> int:
    """Every fourth item is a folder, inside an earlier folder; the three after it are files in it."""
    folder, file = divmod(number - 1, FOLDER_EVERY)
    return 1 + FOLDER_EVERY * folder if file else 1 + FOLDER_EVERY * ((folder - 1) // 2) if folder else 0


def _only(entity: Entity, facets: str) -> Entity:
    return {name: value for name, value in entity.items() if name not in FACETS or name in facets.split()}


def stale(item: Entity) -> Entity:
    """An item as an earlier page of a delta may still show it; the later one counts.

    https://learn.microsoft.com/graph/api/driveitem-delta
    """
    return item | {"name": f"old {item['name']}", "eTag": item["eTag"].replace(",2", ",1"), "size": 0}


class Tracked(Feed):
    """The changes of a drive. The folders above a changed item come along with it, and deleted items keep little.

    https://learn.microsoft.com/graph/api/driveitem-delta
    """

    def __init__(self, call: Call) -> None:
        self.files, self.drive = call.tenant.files, _drive(call)
        self.alone = "deltaexcludeparent" in call.request.headers
        base = call.tenant.size.items_per_drive
        super().__init__(self.files.items(self.drive), self.files.history(self.drive), range(base), base)

    def before(self, moment: Moment) -> int:
        """The moment itself counts as after it."""
        first = bisect_left(self.founded, moment, key=lambda number: Moment.of(_modified(number).timestamp()))
        if first < self.base:
            return first - self.base - 1
        return bisect_left(self.history.changes, moment, key=lambda change: Moment.of(change.when))

    def tombstone(self, change: Change, show: Show) -> Entity:
        kind = "folder" if is_folder(change.number) else "file"
        above = self.files.reference(self.drive, self.files.parent(self.drive, change.number))
        return show(
            {
                "id": self.files.item_id(self.drive, change.number),
                "parentReference": above,
                kind: {},
                "deleted": {"state": "deleted"},
            }
        )

    def above(self, number: int) -> Iterable[int]:
        chain: list[int] = []
        while number and not self.alone:
            number = self.files.parent(self.drive, number)
            chain.insert(0, number)
        return chain


# --- How SharePoint answers ---


def _owner(call: Call) -> tuple[str, int]:
    """Whose drives a path names: a user's, a group's, a site's; the root site's when it names nobody."""
    for name in ("user", "group"):
        if name in call.ids:
            return (name, call.ids[name])
    site: tuple[str, int] = call.ids["drive"][:2] if "drive" in call.ids else call.ids.get("site", ("root", 0))
    return site


def _drive(call: Call) -> Drive:
    """The drive a path names, or the owner's default one."""
    drive: Drive = call.ids["drive"] if "drive" in call.ids else (*_owner(call), 0)
    return drive


def _licensed(call: Call) -> None:
    """Without a SharePoint licence there are no files, and not every user has a OneDrive that can be read."""
    if not call.tenant.traits.sharepoint_licence:
        raise problem("no_sharepoint_licence")
    owner, number = _owner(call)
    for area in ("user", "onedrive") if owner == "user" else ():
        if trouble := call.tenant.trouble[area].get(number):
            raise problem(trouble, call.segments.get("user", ""))
    if owner == "group" and number >= call.tenant.size.microsoft365_groups:
        raise problem("group_without_site")


def _resync(call: Call) -> Problem:
    """The way to a fresh start: https://learn.microsoft.com/graph/api/driveitem-delta#example-2-last-page-in-a-set"""
    location = f"https://{call.request.host}{call.request.path}?token="
    return problem("resync_required", headers={"Location": location})


SERVICE = Service(
    "files",
    denial=lambda call: problem("files_denied"),
    gate=_licensed,
    missing=lambda name, text: problem("onedrive_missing" if name == "user" else "onedrive_item_not_found", text),
    expired=_resync,
    resync=_resync,
)
FILES_READ = words("Files.Read.All Files.ReadWrite.All Sites.Read.All Sites.ReadWrite.All")
SITES_READ = words("Sites.Read.All Sites.ReadWrite.All Sites.FullControl.All")
LISTED = partial(
    Listing, service=SERVICE, permissions=FILES_READ, paging=Paging(200, 5000, caps=True),
    options="$select $top $orderby $expand $count", orders={"name": "asc desc", "lastModifiedDateTime": "asc desc"},
)  # fmt: skip
DRIVES = partial(LISTED, type="drive", rows=lambda call: call.tenant.files.drives(*_owner(call)))
# All items of a drive, flat; the last page has a deltaLink: https://learn.microsoft.com/graph/api/driveitem-delta
CHANGES = Tracking(
    Tracked, page_token="token", token="token", encodes=False, takes_moments=True, stale=stale,
    repeats=lambda traits: traits.repeat_drive_items,
)  # fmt: skip
DELTA = partial(LISTED, type="driveItem", options="$select $top $expand", tracking=CHANGES)
CHILDREN = partial(LISTED, type="driveItem", rows=lambda call: call.tenant.files.children(_drive(call)))
DRIVE: Any = partial(
    Single,
    service=SERVICE,
    permissions=FILES_READ,
    type="drive",
    entity=lambda call: call.tenant.files.drive(_drive(call)),
)

# /drives isn't every drive: it lists the libraries of the tenant's root site.
ENDPOINTS: tuple[Endpoint, ...] = (
    *map(DRIVES, ("/drives", "/users/{user}/drives", "/groups/{group}/drives", "/sites/{site}/drives")),
    *map(DRIVE, ("/users/{user}/drive", "/groups/{group}/drive", "/drives/{drive}")),
    *map(DELTA, ("/users/{user}/drive/root/delta", "/drives/{drive}/root/delta")),
    *map(CHILDREN, ("/users/{user}/drive/root/children", "/drives/{drive}/root/children")),
    LISTED("/sites/getAllSites", permissions=SITES_READ, type="site", rows=lambda call: call.tenant.files.sites()),
)
