"""SharePoint and OneDrive: drives and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import requests
from airbyte_cdk.models import SyncMode

from source_microsoft_graph.pacing import Service
from source_microsoft_graph.streams.base import GraphStream, Slice
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.directory import Microsoft365Groups, Users


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
    shared = True

    # GET /drives lists the libraries of the tenant's root site alone. Every other drive belongs to a user, a
    # group or a site and is listed there, so the tenant's drives are the union of those listings.
    def stream_slices(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Slice]:
        yield {"owner": ""}
        for parent in self.parent_streams():
            collection = parent.path_template.partition("/")[0]
            for key in parent.ids():
                if self.sync.has_given_up(self.reading):
                    return
                yield {"owner": f"{collection}/{key}/"}

    def parent_streams(self) -> Iterable[GraphStream]:
        parents = [parent(self.sync, keys_only=True) for parent in (Users, Microsoft365Groups, Sites)]
        # Listing sites takes a permission the other streams do without, so it is optional.
        return parents if self.sync.auth.roles.intersection(Sites.permissions) else parents[:-1]


class DriveItems(ChildStream):
    """One row per user and file or folder of their OneDrive, at any depth: https://learn.microsoft.com/graph/api/driveitem-delta"""

    parent_class = Users
    path_template = "users/{user_id}/drive/root/delta"
    primary_key = ["id", "user_id"]
    service = Service.FILES
    permissions = ("Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All", "Sites.ReadWrite.All")
    repeats = True

    # A delta query may name items that are gone, in its first round too. They are no part of what there is.
    def parse_response(
        self,
        response: requests.Response,
        *,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> Iterable[dict[str, Any]]:
        items = super().parse_response(response, stream_slice=stream_slice)
        return (item for item in items if item.get("deleted") is None)
