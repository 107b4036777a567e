"""SharePoint and OneDrive: drives and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from source_microsoft_graph.batch import MOST
from source_microsoft_graph.cursors import UPDATED_AT, Progress
from source_microsoft_graph.pacing import Service
from source_microsoft_graph.streams.base import GraphStream, Slice
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.delta import last_of_each, stamped, tombstone
from source_microsoft_graph.streams.directory import Accounts, Microsoft365Groups
from source_microsoft_graph.streams.listing import Listing

_KEY = ["id", "user_id"]


class Sites(GraphStream):
    """Every site, as parents of drives: https://learn.microsoft.com/graph/api/site-getallsites"""

    path_template = "sites/getAllSites"
    service = Service.FILES
    permissions = ("Sites.Read.All", "Sites.ReadWrite.All", "Sites.FullControl.All")


class Drives(GraphStream):
    """One row per drive of a user, a Microsoft 365 group or a site: https://learn.microsoft.com/graph/api/drive-list"""

    path_template = "{owner}drives"
    service = Service.FILES
    permissions = ("Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All", "Sites.ReadWrite.All")
    batch_size = MOST
    more_permissions = {"drives of sites without a group": Sites.permissions}
    shared = True
    probe_path = "drives"

    # GET /drives lists the libraries of the tenant's root site alone. Every other drive belongs to a user, a
    # group or a site and is listed there, so the tenant's drives are the union of those listings.
    def owners(self) -> Iterable[str]:
        yield ""
        for parent in self.parent_streams():
            collection = parent.path_template.partition("/")[0]
            for key in parent.ids():
                yield f"{collection}/{key}/"

    def parent_streams(self) -> Iterable[GraphStream]:
        parents = [parent(self.sync, keys_only=True) for parent in (Accounts, Microsoft365Groups, Sites)]
        return parents[:-1] if self.left_out(self.sync.auth.roles) else parents


class DriveItems(ChildStream):
    """One row per user and file or folder of their OneDrive, at any depth: https://learn.microsoft.com/graph/api/driveitem-delta"""

    parent_class = Accounts
    path_template = "users/{user_id}/drive/root/delta"
    primary_key = _KEY
    service = Service.FILES
    permissions = ("Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All", "Sites.ReadWrite.All")
    page_size = 500
    batch_size = 5

    cursor_field = UPDATED_AT
    # OneDrive takes a moment for a token, so the state need not hold a token for each drive.
    changed_since = {"token": "{since}"}
    starts_at_start_date = False

    # The same item may come up several times in one delta query, and one that was deleted meanwhile comes up as such.
    def records(self, stream_slice: Slice, progress: Progress | None) -> Iterator[dict[str, Any]]:
        items = last_of_each(super().records(stream_slice, progress), _KEY)
        if progress is None:
            return (item for item in items if item.get("deleted") is None)
        return stamped(self._with_tombstones(items, progress), self.sync)

    # Changes come with the folders above them, changed or not, unless they are told not to:
    # https://learn.microsoft.com/graph/api/driveitem-delta
    def headers_of(self, listing: Listing) -> Mapping[str, str]:
        return {"deltaExcludeParent": "true"} if listing.since else {}

    # An item that was deleted may be brought back by what was not read of the drive.
    def _with_tombstones(self, items: Iterable[dict[str, Any]], progress: Progress) -> Iterator[dict[str, Any]]:
        for item in items:
            if item.get("deleted") is None:
                yield item
            elif item["user_id"] in progress.done:
                yield tombstone(item, _KEY, self.sync.moment_text)
