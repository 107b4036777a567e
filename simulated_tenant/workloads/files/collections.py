"""The collections of OneDrive and SharePoint: drives, the items in them, and the sites that hold them.

https://learn.microsoft.com/graph/onedrive-concept-overview
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from simulated_tenant.changes import ChangeFeed
from simulated_tenant.clouds import GOVSG
from simulated_tenant.collection import (
    Call,
    Collection,
    Endpoint,
    Paging,
    Query,
    Selection,
    SingleEntity,
    Tracking,
    Workload,
    words,
)
from simulated_tenant.entities import Entities
from simulated_tenant.generated import Generated
from simulated_tenant.limits import SHAREPOINT_UNITS
from simulated_tenant.problems import Problem, problem
from simulated_tenant.size import Size
from simulated_tenant.state import State
from simulated_tenant.workloads.files.changes import DriveChanges, stale
from simulated_tenant.workloads.files.contents import Drive, Files, has_facet
from simulated_tenant.workloads.files.mutations import DriveItemMutations, LibraryItemMutations


def _owner(query: Query) -> tuple[str, int]:
    """Whose drives a path names: a user's, a group's, a site's; the root site's when it names nobody."""
    for name in ("user", "group"):
        if name in query.ids:
            return (name, query.ids[name])
    site: tuple[str, int] = query.ids["drive"][:2] if "drive" in query.ids else query.ids.get("site", ("root", 0))
    return site


def _drive(query: Query) -> Drive:
    """The drive a path names, or the owner's default one."""
    drive: Drive = query.ids["drive"] if "drive" in query.ids else (*_owner(query), 0)
    return drive


def _licensed(query: Query) -> None:
    """Without a SharePoint licence there are no files, and not every user has a OneDrive that can be read."""
    if not query.state.traits.sharepoint_licence:
        raise problem("no_sharepoint_licence")
    owner, number = _owner(query)
    for area in ("user", "onedrive") if owner == "user" else ():
        if trouble := query.state.trouble[area].get(number):
            raise problem(trouble, query.segments.get("user", ""))
    if owner == "group" and number >= query.state.size.microsoft365_groups:
        raise problem("group_without_site")


def _usual_trouble(size: Size) -> Mapping[str, Mapping[Any, str]]:
    guests = ("onedrive_missing", "onedrive_no_url", "onedrive_item_not_found")
    return {
        "onedrive": {user: guests[user % 3] for user in size.guest_numbers}
        | dict.fromkeys(size.blocked_numbers, "onedrive_blocked")
        | dict.fromkeys(size.without_onedrive_numbers, "onedrive_missing")
    }


def _resync(call: Call) -> Problem:
    """How the reader begins anew: https://learn.microsoft.com/graph/api/driveitem-delta#example-2-last-page-in-a-set"""
    location = f"https://{call.request.host}{call.request.path}?token="
    return problem("resync_required", headers={"Location": location})


FILES = Workload(
    "files",
    denial=lambda query: problem("files_denied"),
    gate=_licensed,
    missing=lambda name, text: problem("onedrive_missing" if name == "user" else "onedrive_item_not_found", text),
    expired=_resync,
    resync=_resync,
    lacking_in=(GOVSG,),
    trouble=_usual_trouble,
    units=SHAREPOINT_UNITS,
)
# Graph has these paths. Nothing answers them here, unless a collection of this path is declared below.
NOT_SIMULATED = words("/sites /drives/{drive}/items/{item}/children")


def _found_drive(state: State, known: Mapping[str, Any], text: str) -> Drive | None:
    return state.of(Files).find_drive(text)


def _found_site(state: State, known: Mapping[str, Any], text: str) -> tuple[str, int] | None:
    return state.of(Files).find_site(text)


def _drives(query: Query) -> Entities:
    return query.state.of(Files).drives(*_owner(query))


def _list_items(query: Query) -> Entities:
    return query.state.of(Files).list_items(query.ids["site"], query.ids["list"], query.expands("fields"))


def _permissions(query: Query) -> Entities:
    return query.state.of(Files).permissions(query.ids["drive"], query.ids["item"])


def _found_item(state: State, known: Mapping[str, Any], text: str) -> int | None:
    return state.of(Files).find_item(known["drive"], text)


def _items(query: Query) -> Entities:
    return query.state.of(Files).items(_drive(query))


def _some_twice(call: Call, collection: Collection, sites: Entities) -> Entities:
    """The list goes from geography to geography, and a site may be in two: https://learn.microsoft.com/graph/api/site-getallsites"""
    return sites.over([*sites.ascending, *sites.ascending[:2]])


def _numbered_sites(query: Query) -> Entities:
    """As a delta query has them: in the order of their numbers."""
    sites = query.state.of(Files).sites()
    return Entities(range(len(sites)), lambda number: sites.make(sites.ascending[number]))


FILES_READ = words("Files.Read.All Files.ReadWrite.All Sites.Read.All Sites.ReadWrite.All")
SITES_READ = words("Sites.Read.All Sites.ReadWrite.All Sites.FullControl.All")
LISTS = Generated("list", lambda state, owner: state.size.lists_per_site)
LISTED = partial(
    Collection, workload=FILES, permissions=FILES_READ, paging=Paging(200, 5000, caps=True),
    options="$select $top $orderby $expand $count", orders={"name": "asc desc", "lastModifiedDateTime": "asc desc"},
)  # fmt: skip
DRIVES = partial(
    LISTED, type="drive", entities=_drives, stream="drives", key=(), placeholder="drive", find=_found_drive,
    selection=Selection(on_request=("system",)),
)  # fmt: skip
DRIVE_ITEMS = partial(LISTED, type="driveItem", selection=Selection(on_request=words("webDavUrl sharepointIds")))
# All items of a drive, flat; the last page has a deltaLink: https://learn.microsoft.com/graph/api/driveitem-delta
TRACKED = partial(
    DRIVE_ITEMS, entities=_items, options="$select $top $expand",
    tracking=Tracking(
        lambda call, entities: DriveChanges(call, entities, _drive(call)), path="", page_token="token", token="token",
        encodes=False, takes_timestamps=True, stale=stale, repeats=lambda traits: traits.repeat_drive_items,
    ),
)  # fmt: skip
CHILDREN = partial(DRIVE_ITEMS, entities=lambda query: query.state.of(Files).children(_drive(query)))
DRIVE: Any = partial(
    SingleEntity, workload=FILES, permissions=FILES_READ, type="drive",
    entity=lambda query: query.state.of(Files).drive(_drive(query)),
)  # fmt: skip

# /drives isn't every drive: it lists the libraries of the tenant's root site.
ENDPOINTS: tuple[Endpoint, ...] = (
    *map(DRIVES, ("/drives", "/users/{user}/drives", "/groups/{group}/drives", "/sites/{site}/drives")),
    *map(DRIVE, ("/users/{user}/drive", "/groups/{group}/drive", "/drives/{drive}")),
    TRACKED("/users/{user}/drive/root/delta", stream="drive_items", mutations=DriveItemMutations),
    TRACKED(
        "/drives/{drive}/root/delta", stream="site_drive_items", holds=lambda state, ids: ids["drive"][0] != "user",
        mutations=LibraryItemMutations, granted="Sites.Read.All", placeholder="item", find=_found_item,
    ),
    Collection(
        "/drives/{drive}/items/{item}/permissions", FILES, permissions=FILES_READ, type="permission", units=5,
        stream="drive_item_permissions", entities=_permissions, options="$select",
        holds=lambda state, ids: has_facet(ids["item"], "shared"),
    ),
    *map(CHILDREN, ("/users/{user}/drive/root/children", "/drives/{drive}/root/children")),
    LISTED(
        "/sites/getAllSites", permissions=SITES_READ, type="site", entities=lambda query: query.state.of(Files).sites(),
        placeholder="site", find=_found_site, stream="sites", arrange=_some_twice,
    ),
    # A site that comes or goes is not simulated: https://learn.microsoft.com/graph/api/site-delta
    LISTED(
        "/sites/delta", permissions=SITES_READ[:2], type="site", entities=_numbered_sites,
        options="$select $top $expand",
        tracking=Tracking(
            lambda call, sites: ChangeFeed(sites, None, range(len(sites)), len(sites)), path="", page_token="token",
            token="token", encodes=False,
        ),
    ),
    LISTED(
        "/sites/{site}/lists", permissions=SITES_READ, type="list", entities=LISTS.entities, stream="lists",
        placeholder="list", find=LISTS.find, selection=Selection(on_request=("system",)),
    ),
    LISTED(
        "/sites/{site}/lists/{list}/items", permissions=SITES_READ, type="listItem", stream="list_items",
        entities=_list_items,
        expandable=("fields",), parameters=lambda state: {"$expand": "fields"},
    ),
)  # fmt: skip
