"""What Graph lists in one way and leaves out in another: apps among members and owners, mail folders, sites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from source_microsoft_graph.field_report import plan
from source_microsoft_graph.field_report.findings import AppRelation, TwoWays, value_of
from source_microsoft_graph.field_report.plan import Purpose
from source_microsoft_graph.field_report.probes import Probes
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.directory import AppRelation as OfApps
from source_microsoft_graph.streams.directory import GroupRelation, GroupsOfApps, ObjectsOfApps, ServicePrincipals
from source_microsoft_graph.streams.files import Sites
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.mailbox import MailFolders
from source_microsoft_graph.streams.tenant import Organization

_BY_APP: dict[str, type[OfApps]] = {"members": GroupsOfApps, "owners": ObjectsOfApps}
"""What an app says of itself, by the last word of the path of the list that may hold it."""

_APPS = 10
_OBJECTS = 4
"""Objects of a kind whose list is searched for an app."""

_PAGES = 3


def find_apps(probes: Probes) -> None:
    """Whether lists of members and owners hold the apps that belong to them."""
    sync = probes.inquiry.sync
    apps = sorted(probes.owners[ServicePrincipals], key=lambda owner: not _is_own(probes, owner[0]))[:_APPS]
    relations = {word: kind(sync) for word, kind in _BY_APP.items()}
    asked = {
        plan.question(relation, Purpose.APPS, plan.listing_of(relation, app)): (word, app[0])
        for word, relation in relations.items()
        for app in apps
    }
    # The object's type and the word of its list → the pairs of such an object and an app.
    pairs: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for each, received in probes.inquiry.ask(asked):
        word, app = asked[each]
        with probes.making_sense("apps"):
            for entity in received.response.body["value"] if received and probes.answer(received).is_page else ():
                pairs[str(entity.get("@odata.type")).rpartition(".")[2], word].setdefault(entity["id"], app)
    for stream in probes.found.streams:
        *_, kind, _, word = ("", "", *stream.path_template.split("/"))
        if stream.service is Service.DIRECTORY and word in _BY_APP and len(stream.placeholders) == 1:
            found = AppRelation(stream, not isinstance(stream, GroupRelation))
            _search(probes, stream, list(pairs[kind.removesuffix("s"), word].items())[:_OBJECTS], found)
            probes.found.apps.append(found)


def _is_own(probes: Probes, app: str) -> bool:
    """An app of the tenant's own is likelier to be anywhere than one of Microsoft's."""
    entities = probes.entities.get(ServicePrincipals, [])
    entity = next((each for each in entities if each["id"] == app), {})
    tenants = {each["id"] for each in probes.entities.get(Organization, [])}
    return entity.get("servicePrincipalType") == "ManagedIdentity" or entity.get("appOwnerOrganizationId") in tenants


def _search(probes: Probes, stream: GraphStream, pairs: Sequence[tuple[str, str]], found: AppRelation) -> None:
    asked = {plan.question(stream, Purpose.APPS, plan.listing_of(stream, (owner,))): app for owner, app in pairs}
    for each, received in probes.inquiry.ask(asked):
        if not received or not probes.answer(received).is_page:
            continue
        found.apps += 1
        body = received.response.body
        is_listed = any(value_of(entity, "id") == asked[each] for entity in body["value"])
        found.listed += is_listed
        found.undecided += bool(body.get("@odata.nextLink")) and not is_listed


def compare_ways(probes: Probes) -> None:
    """Mail folders and sites by list and by delta query."""
    for stream in probes.found.streams:
        if not probes.found.pages[stream].answer.is_page:
            continue
        with probes.making_sense(stream.name):
            if isinstance(stream, MailFolders):
                _compare(probes, stream, *_mail_folders(stream, probes), Purpose.FOLDERS)
            elif type(stream) is Sites:
                _compare(probes, stream, plan.listing_of(stream, None), _delta_of_sites(stream), Purpose.SITES)


def _mail_folders(stream: MailFolders, probes: Probes) -> tuple[Listing, Listing]:
    """The list has the folders at the top alone."""
    delta = plan.listing_of(stream, probes.owner_of[stream])
    path = delta.path.removesuffix("/delta")
    return stream.listing(path, delta.parents, {"includeHiddenFolders": "true"}), delta


def _delta_of_sites(stream: GraphStream) -> Listing:
    """https://learn.microsoft.com/graph/api/site-delta"""
    return Listing("sites/delta", {}, [()], None, {})


def _compare(probes: Probes, stream: GraphStream, by_list: Listing, by_delta: Listing, purpose: Purpose) -> None:
    found = TwoWays(stream, is_whole=True)
    probes.found.two_ways.append(found)
    ids = [set(_ids(probes, stream, listing, found, purpose)) for listing in (by_list, by_delta)]
    found.by_list, found.by_delta = map(len, ids)
    found.only_by_list, found.only_by_delta = len(ids[0] - ids[1]), len(ids[1] - ids[0])


def _ids(probes: Probes, stream: GraphStream, listing: Listing, found: TwoWays, purpose: Purpose) -> Iterator[str]:
    """The ids of what is there, up to a few pages."""
    for answer, body in probes.pages(stream, purpose, listing, _PAGES):
        if not answer.is_page:
            found.trouble, found.is_whole = answer.trouble, False
            return
        yield from _present(body["value"])
    if listing.link:
        found.is_whole = False


def _present(entities: Sequence[Any]) -> Iterator[str]:
    for entity in entities:
        is_gone = value_of(entity, "deleted") is not None or value_of(entity, "@removed") is not None
        if not is_gone and isinstance(value_of(entity, "id"), str):
            yield entity["id"]
