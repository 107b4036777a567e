"""From a request to the reply Graph v1.0 would give: a pure function of the tenant, with no sockets.

https://learn.microsoft.com/graph/use-the-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

from . import audit, delta, directory, files, outlook, teams
from .endpoint import Call, Endpoint, Listing, Selection, Single, words
from .filters import arrange
from .paging import page, page_size, place
from .problems import problem
from .shapes import Entity
from .signin import roles
from .wire import Reply, Request, json_headers, request_id

if TYPE_CHECKING:
    from .tenant import Tenant

SERVICES = (directory, teams, outlook, files, audit)
ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for service in SERVICES for endpoint in service.ENDPOINTS)
SELECTIONS: Mapping[str, Selection] = {**directory.SELECTIONS, **outlook.SELECTIONS, **files.SELECTIONS}
EVERYTHING = Selection()
# Graph has these, and answers; this simulation says that it can't.
ELSEWHERE = words(
    "/organization /subscribedSkus /devices /contacts /sites /me /roleManagement/directory/roleAssignments "
    "/users/{user}/calendarView /users/{user}/calendarView/delta /users/{user}/calendars /users/{user}/events/delta "
    "/teams/{team}/channels/{channel}/messages /groups/{group}/transitiveMembers /drives/{drive}/items/{item}/children"
)
ROOT = "/v1.0/"
WILD = "{}"
TIP = "Use $select to choose only the properties your app needs, as this can lead to performance improvements."


def _tree() -> dict[str, Any]:
    """The endpoints by segment; a segment in braces takes any value."""
    tree: dict[str, Any] = {}
    for endpoint in (*ENDPOINTS, *(Endpoint(path, directory.SERVICE, ()) for path in ELSEWHERE)):
        node = tree
        for segment in endpoint.path.strip("/").split("/"):
            node = node.setdefault(WILD if segment.startswith("{") else segment.lower(), {})
        node[""] = endpoint
    return tree


TREE = _tree()


@lru_cache(maxsize=4096)
def find(path: str) -> tuple[Endpoint, dict[str, str]]:
    """The endpoint behind a path and the ids in it; a path Graph doesn't have is a 400."""
    if not path.startswith(ROOT):
        raise problem("no_such_version")
    node, taken = TREE, []
    for segment in map(unquote, path.removeprefix(ROOT).split("/")):
        literal = segment.lower() or "?"
        if literal not in node:
            taken.append(segment)
        node = node.get(literal) or node.get(WILD) or {}
        if not node or not segment:
            raise problem("no_such_segment", segment)
    if "" not in node:
        raise problem("no_such_segment", segment)
    endpoint: Endpoint = node[""]
    names = [segment[1:-1] for segment in endpoint.path.split("/") if segment.startswith("{")]
    return endpoint, dict(zip(names, taken, strict=True))


def respond(tenant: Tenant, request: Request, endpoint: Endpoint, segments: Mapping[str, str]) -> Reply:
    """The reply of the endpoint: first the token, then the permission, then what is asked for, then the query."""
    call = Call(tenant, request, endpoint, segments, roles(tenant, request))
    if request.method != "GET":
        raise problem("method_not_allowed")
    if not endpoint.permissions:
        raise problem("not_simulated", request.path)
    if not call.may(endpoint.permissions):
        raise endpoint.service.denial(call)
    endpoint.service.gate(call)
    endpoint.gate(call)
    body = _single(call, endpoint) if isinstance(endpoint, Single) else _listing(call, endpoint)
    headers = json_headers(request, request_id())
    if call.immutable_ids and endpoint.service is outlook.SERVICE:
        headers["Preference-Applied"] = 'IdType="ImmutableId"'
    return Reply(200, orjson.dumps(body), headers, service=endpoint.service.name)


def _single(call: Call, endpoint: Single) -> Entity:
    call.check_options(("$select",))
    return {"@odata.context": f"{_context(call)}/$entity", **_shown(call)(endpoint.entity(call))}


def _listing(call: Call, listing: Endpoint) -> dict[str, Any]:
    assert isinstance(listing, Listing)
    call.check_options((*listing.options.split(), *listing.tokens))
    here = place(call, listing)
    size = page_size(call, listing)
    if listing.type == "user" and "signInActivity" in (call.selected or ()):
        size = min(size, directory.MOST_WITH_SIGN_IN_ACTIVITY)
    if listing.tracking:
        found = delta.page(call, listing, listing.tracking, here, size, _shown(call))
    else:
        rows = (listing.arrange or arrange)(call, listing, listing.rows(call))
        found = page(call, listing, rows, here, size, _shown(call))
    body: dict[str, Any] = {"@odata.context": _context(call)}
    can_count = call.advanced or not listing.service.advanced_queries
    if listing.counted:
        body["@odata.count"] = len(found.items)
    elif here.page == 0 and can_count and call.options.get("$count") == "true":
        body["@odata.count"] = found.total
    if call.selected is None and here.page == 0:
        body["@microsoft.graph.tips"] = TIP
    links = {"@odata.nextLink": found.next_link, "@odata.deltaLink": found.delta_link}
    return body | {name: link for name, link in links.items() if link} | {"value": found.items}


def _context(call: Call) -> str:
    path = call.endpoint.path.strip("/")
    for name, text in call.segments.items():
        path = path.replace(f"/{{{name}}}", f"('{text}')", 1)
    selected = f"({','.join(call.selected)})" if call.selected else ""
    return f"https://{call.request.host}/v1.0/$metadata#{path}{selected}"


def _shown(call: Call) -> Callable[[Entity], Entity]:
    """What the reply shows of each entity; each member of a mixed collection follows its own type."""
    kind = call.endpoint.type
    kinds = directory.VISIBLE_BY if kind == "directoryObject" else (kind,)
    shows = {}
    for name in kinds:
        selection = SELECTIONS.get(name, EVERYTHING)
        call.check_selected(name, selection)
        shows[f"#microsoft.graph.{name}"] = selection.show(call.selected)
    if kind == "directoryObject":
        return lambda entity: shows[entity["@odata.type"]](entity)
    show = shows[f"#microsoft.graph.{kind}"]
    basic = call.endpoint.basic if isinstance(call.endpoint, Listing) else None
    if basic and not call.may(basic[0]):
        return lambda entity: {name: value if name in basic[1] else None for name, value in show(entity).items()}
    return show
