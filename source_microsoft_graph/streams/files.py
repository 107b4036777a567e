"""SharePoint and OneDrive: drives and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from source_microsoft_graph.batch import MOST
from source_microsoft_graph.errors import GraphError
from source_microsoft_graph.pacing import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.directory import Accounts, Microsoft365Groups
from source_microsoft_graph.streams.listing import Listing

_HELD_IN_MEMORY = 4 * 1024 * 1024
"""Bytes of one drive's items that wait in memory; the rest goes to a temporary file."""


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
        # Listing sites takes a permission the other streams do without, so it is optional.
        return parents if self.sync.auth.roles.intersection(Sites.permissions) else parents[:-1]


class DriveItems(ChildStream):
    """One row per user and file or folder of their OneDrive, at any depth: https://learn.microsoft.com/graph/api/driveitem-delta"""

    parent_class = Accounts
    path_template = "users/{user_id}/drive/root/delta"
    primary_key = ["id", "user_id"]
    service = Service.FILES
    permissions = ("Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All", "Sites.ReadWrite.All")
    page_size = 500
    batch_size = 5

    # The same item may come up several times in one delta query, the last time being the one that counts, and an
    # item deleted meanwhile comes up as such. So a drive's items are emitted when all of them are known.
    def rows(self, listings: Iterable[Listing]) -> Iterator[dict[str, Any]]:
        return (item for item in last_of_each(super().rows(listings)) if item.get("deleted") is None)


def last_of_each(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each row once, in its last version. The rows wait in a file, for a drive may hold millions of items."""
    last: dict[tuple[str, str], int] = {}
    failure: GraphError | None = None
    with SpooledTemporaryFile(_HELD_IN_MEMORY) as waiting:
        try:
            for row in rows:
                last[row["user_id"], row["id"]] = waiting.tell()
                waiting.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        except GraphError as error:
            failure = error
        waiting.seek(0)
        position = 0
        for line in waiting:
            row = orjson.loads(line)
            if last[row["user_id"], row["id"]] == position:
                yield row
            position += len(line)
    if failure:
        raise failure
