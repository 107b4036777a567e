"""From a request to the reply that Graph v1.0 would give: a pure function of the tenant's state, with no sockets.

https://learn.microsoft.com/graph/use-the-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from . import additions, delta, downloads
from .arrange import arrange
from .catalogue import Catalogue
from .collection import Call, Collection, Endpoint, Report, SingleEntity
from .paging import page, page_size, position_of
from .problems import problem
from .shapes import Entity
from .state import State
from .tokens import roles
from .wire import Reply, Request, json_headers, request_id

TIP = "Use $select to choose only the properties your app needs, as this can lead to performance improvements."


def respond(
    state: State, catalogue: Catalogue, request: Request, endpoint: Endpoint, segments: Mapping[str, str]
) -> Reply:
    """The reply of the endpoint: first the token, then the permission, then what is asked for, then the query."""
    call = Call(state, request, endpoint, segments, roles(state, request), catalogue.finders)
    if request.method != endpoint.method:
        raise problem("method_not_allowed")
    if not endpoint.permissions:
        raise problem("not_simulated", request.path)
    if not call.may(endpoint.permissions):
        raise endpoint.workload.denial(call)
    endpoint.workload.gate(call)
    endpoint.gate(call)
    if isinstance(endpoint, Report):
        return downloads.redirect(call, endpoint)
    body = _collection(call, catalogue, endpoint) if isinstance(endpoint, Collection) else _single(call, catalogue)
    headers = json_headers(request, request_id())
    if call.immutable_ids and endpoint.workload.immutable_ids:
        headers["Preference-Applied"] = 'IdType="ImmutableId"'
    return Reply(200, orjson.dumps(body), headers, workload=endpoint.workload.name)


def _single(call: Call, catalogue: Catalogue) -> Entity:
    assert isinstance(call.endpoint, SingleEntity)
    call.check_options(("$select",))
    return {"@odata.context": f"{_context(call)}/$entity", **_shown(call, catalogue)(call.endpoint.entity(call))}


def _collection(call: Call, catalogue: Catalogue, collection: Collection) -> dict[str, Any]:
    call.check_options((*collection.options.split(), *collection.tokens), collection.expandable)
    here = position_of(call, collection)
    size = page_size(call, collection)
    if collection.tracking:
        found = delta.page(call, collection, collection.tracking, here, size, _shown(call, catalogue))
    else:
        entities = (collection.arrange or arrange)(call, collection, collection.entities(call))
        found = page(call, collection, entities, here, size, _expanded(call, collection, _shown(call, catalogue)))
    body: dict[str, Any] = {"@odata.context": _context(call)}
    can_count = call.advanced or not collection.workload.advanced_queries
    if collection.counted:
        body["@odata.count"] = len(found.items)
    elif here.page == 0 and can_count and call.options.get("$count") == "true":
        body["@odata.count"] = found.total
    if call.selected is None and here.page == 0:
        body["@microsoft.graph.tips"] = TIP
    links = {"@odata.nextLink": found.next_link, "@odata.deltaLink": found.delta_link}
    items = found.items if not collection.whole or _asks_for_all(call, collection.whole) else found.items[::2]
    if collection.known_by != "id":
        items = [{name: value for name, value in item.items() if name != "id"} for item in items]
    if collection.alone:
        return {"@odata.context": f"{_context(call)}/$entity", **items[0]}
    return body | {name: link for name, link in links.items() if link} | {"value": items}


def _expanded(call: Call, collection: Collection, show: Callable[[Entity], Entity]) -> Callable[[Entity], Entity]:
    """What comes with an entity is not left out by $select."""
    if call.options.get("$expand") not in collection.expands:
        return show
    expand = collection.expands[call.options["$expand"]]
    return lambda entity: show(dict(entity)) | expand(call, entity)


def _asks_for_all(call: Call, query: str) -> bool:
    return call.advanced and all(call.options.get(name) == value for name, value in parse_qsl(query))


def _context(call: Call) -> str:
    path = call.endpoint.path.strip("/")
    for name, text in call.segments.items():
        path = path.replace(f"/{{{name}}}", f"('{text}')", 1)
    selected = f"({','.join(call.selected)})" if call.selected else ""
    return f"https://{call.request.host}/v1.0/$metadata#{path}{selected}"


def _shown(call: Call, catalogue: Catalogue) -> Callable[[Entity], Entity]:
    """What the reply shows of each entity; each member of a mixed collection follows its own type."""
    endpoint, shows = call.endpoint, dict[str, Callable[[Entity], Entity]]()
    for name in endpoint.kinds or (endpoint.type,):
        selection = catalogue.selection(name)
        call.check_selected(name, selection)
        show = selection.show(call.selected)
        shows |= {f"#microsoft.graph.{one}": show for one in (name, *additions.ALSO_LISTED.get(name, ()))}
    if endpoint.kinds:
        return lambda entity: shows[entity["@odata.type"]](entity)
    show = shows[f"#microsoft.graph.{endpoint.type}"]
    basic = endpoint.basic if isinstance(endpoint, Collection) else None
    if basic and not call.may(basic[0]):
        return lambda entity: {name: value if name in basic[1] else None for name, value in show(entity).items()}
    return show
