"""SharePoint and OneDrive: drives and what is in them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from source_microsoft_graph.errors import GraphError
from source_microsoft_graph.graph.batch import MAX_BATCH
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.directory import Microsoft365Groups
from source_microsoft_graph.streams.failures import collecting, raise_first
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.permissions import left_out
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.streams.users import Accounts
from source_microsoft_graph.streams.versions import Versions
from source_microsoft_graph.sync.context import Owner
from source_microsoft_graph.sync.cursors import UPDATED_AT, SliceProgress


class Sites(GraphStream):
    """One row per site collection, OneDrives included: https://learn.microsoft.com/graph/api/site-getallsites"""

    path_template = "sites/getAllSites"
    service = Service.FILES
    permissions = ("Sites.Read.All", "Sites.ReadWrite.All", "Sites.FullControl.All")


class Lists(ChildStream):
    """One row per site and list, libraries included: https://learn.microsoft.com/graph/api/list-list"""

    parent_class = Sites
    path_template = "sites/{site_id}/lists"
    primary_key = ["id", "site_id"]
    service = Service.FILES
    permissions = ("Sites.Read.All", "Sites.ReadWrite.All")


class ListItems(ChildStream):
    """One row per site, list and item, its columns in `fields`: https://learn.microsoft.com/graph/api/listitem-list"""

    parent_class = Lists
    path_template = "sites/{site_id}/lists/{list_id}/items"
    primary_key = ["id", "site_id", "list_id"]
    service = Service.FILES
    permissions = Lists.permissions
    expensive = True
    # Without it an item comes without its columns.
    query = {"$expand": "fields"}
    # The columns of a list are its owner's own, and may be many.
    page_size = 500
    serves_larger_pages = True
    batch_size = 5


class Drives(GraphStream):
    """One row per drive of a user, a Microsoft 365 group or a site: https://learn.microsoft.com/graph/api/drive-list"""

    path_template = "{owner}drives"
    service = Service.FILES
    permissions = ("Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All", "Sites.ReadWrite.All")
    more_permissions = {"drives of sites without a group": Sites.permissions}
    probe_path = "drives"
    batch_size = MAX_BATCH
    shared = True

    # GET /drives lists the libraries of the tenant's root site alone. Every other drive belongs to a user, a
    # group or a site and is listed there, so the tenant's drives are the union of those listings.
    def owners(self) -> Iterable[Owner]:
        yield ("",)
        for parent in self.parents():
            collection = parent.path_template.partition("/")[0]
            for (identifier,) in parent.object_keys():
                yield (f"{collection}/{identifier}/",)

    def parents(self) -> Iterable[GraphStream]:
        parents = [parent(self.sync, keys_only=True) for parent in (Accounts, Microsoft365Groups, Sites)]
        return parents[:-1] if left_out(self, self.sync.auth.roles) else parents


class SitesOfTeams(Sites):
    """Every site but the OneDrives, as parents of libraries: https://learn.microsoft.com/graph/api/site-getallsites"""

    # getAllSites takes no $filter beside which it lists everything.
    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        return (site for site in super().records(stream_slice, progress) if not site.get("is_personal_site"))


class Libraries(Drives):
    """Every library of a Microsoft 365 group or a site, as parents: https://learn.microsoft.com/graph/api/drive-list"""

    name = "drives"
    more_permissions = {}

    # A group's library is its team site's as well.
    def parents(self) -> Iterable[GraphStream]:
        return [parent(self.sync, keys_only=True) for parent in (Microsoft365Groups, SitesOfTeams)]


class DriveContents(ChildStream, ABC):
    """Every file and folder of a drive: https://learn.microsoft.com/graph/api/driveitem-delta"""

    service = Service.FILES
    permissions = Drives.permissions
    page_size = 500
    serves_larger_pages = True
    batch_size = 5

    cursor_field = UPDATED_AT
    # OneDrive takes a time for a token, so the state need not hold a token for each drive.
    changed_since = {"token": "{since}"}
    starts_at_start_date = False

    # The same item may be named several times in one delta query, and one that was deleted meanwhile as deleted. An
    # incremental read may bring several versions of it. A full refresh may where the destination keeps the last one;
    # elsewhere each would be a row of the table, the deleted item's too.
    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        key, is_whole = ("id", *self.parent_columns), progress is None
        at_once = not is_whole or type(self) in self.sync.deduplicated
        listings = [*self.listings(stream_slice, progress)]
        failures: list[GraphError] = []
        with Versions(self.sync, key, _is_deleted, at_once=at_once, is_whole=is_whole) as versions:
            for listing in listings:
                listing.versions = versions
            yield from collecting(failures, PageLoop(self, progress).records(listings))
            read = {listing.owner for listing in listings if listing.is_read}
            yield from versions.rest(lambda item: tuple(item[column] for column in self.placeholders) in read)
        raise_first(failures)

    # Changes come with the folders above them, changed or not, unless a header leaves these out:
    # https://learn.microsoft.com/graph/api/driveitem-delta
    def page_request(self, listing: Listing) -> PageRequest:
        request = super().page_request(listing)
        return replace(request, headers={"deltaExcludeParent": "true"}) if listing.since else request


def _is_deleted(item: Mapping[str, Any]) -> bool:
    return item.get("deleted") is not None


class DriveItems(DriveContents):
    """One row per user and file or folder of their OneDrive, at any depth: https://learn.microsoft.com/graph/api/driveitem-delta"""

    parent_class = Accounts
    path_template = "users/{user_id}/drive/root/delta"
    primary_key = ["id", "user_id"]


class SiteDriveItems(DriveContents):
    """One row per library of a site or group and file or folder in it, at any depth: https://learn.microsoft.com/graph/api/driveitem-delta"""

    parent_class: ClassVar[type[GraphStream]] = Libraries
    path_template = "drives/{drive_id}/root/delta"
    primary_key = ["id", "drive_id"]
    expensive = True


class SharedItems(SiteDriveItems):
    """Every shared file and folder of every drive, as parents of permissions: https://learn.microsoft.com/graph/api/driveitem-delta"""

    name = "site_drive_items"
    parent_class = Drives
    keeps_keys = False

    # An item that is shared has the facet of this name, and asking each of the others would find what it inherits.
    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        return (item for item in super().records(stream_slice, progress) if item.get("shared") is not None)

    # Nothing else is needed of millions of items.
    def select_ladder(self) -> list[tuple[str, ...]]:
        return [("id", "shared", "deleted"), ()]


class DriveItemPermissions(ChildStream):
    """One row per drive, shared file or folder and permission: https://learn.microsoft.com/graph/api/driveitem-list-permissions"""

    parent_class = SharedItems
    path_template = "drives/{drive_id}/items/{item_id}/permissions"
    primary_key = ["id", "drive_id", "item_id"]
    service = Service.FILES
    permissions = Drives.permissions
    expensive = True
    # 5 resource units, of which a listing costs 2:
    # https://learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
    cost = 2.5
    # Graph documents no $top here.
    page_size = None
