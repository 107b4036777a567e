"""The tenant's own properties: which there are, for which objects, and of which types.

Directory extensions are properties `extension_<application ID>_<name>`, into which Microsoft Entra Connect writes what
it syncs from an on-premises directory. Schema extensions are objects `<prefix>_<name>`. Graph returns both only by
`$select`: https://learn.microsoft.com/graph/extensibility-overview
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from source_microsoft_graph.errors import GraphUnavailable, StreamRefused
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.directory import Applications, ServicePrincipals
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_requests import EXTENSION
from source_microsoft_graph.streams.permissions import in_words, is_permitted
from source_microsoft_graph.sync.context import Sync

Columns = Mapping[str, Mapping[str, Any]]
"""The columns of extensions by their names, as a schema has them."""

_DIRECTORY_EXTENSION = re.compile(r"extension_([0-9A-Fa-f]{32})_")

_TEXT = {"type": ["null", "string"]}
_INTEGER = {"type": ["null", "integer"]}
_TYPES: Mapping[str, Mapping[str, Any]] = {
    "Binary": _TEXT,
    "Boolean": {"type": ["null", "boolean"]},
    "DateTime": {**_TEXT, "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    "Integer": _INTEGER,
    "LargeInteger": _INTEGER,
    "String": _TEXT,
}
"""The types that Graph gives: https://learn.microsoft.com/graph/api/resources/extensionproperty"""

_ANY = {"type": ["null", "object", "array", "string", "number", "boolean"]}
"""The type of an extension of which only the name is known."""


class AvailableExtensions(GraphStream):
    """Every directory extension, those of other tenants' apps included:
    https://learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties"""

    name = "directory extensions"
    path_template = "directoryObjects/getAvailableExtensionProperties"
    service = Service.DIRECTORY
    permissions = ("Directory.Read.All", "Directory.ReadWrite.All")
    page_size = None

    def page_request(self, listing: Listing) -> PageRequest:
        request = super().page_request(listing)
        return request if listing.link else replace(request, body={})


class ExtensionsOfApplications(ChildStream):
    """The directory extensions of the apps that are registered in the tenant:
    https://learn.microsoft.com/graph/api/application-list-extensionproperty"""

    name = "directory extensions"
    parent_class = Applications
    path_template = "applications/{application_id}/extensionProperties"
    service = Service.DIRECTORY
    permissions = ("Application.Read.All", "Application.ReadWrite.All")


class SchemaExtensions(GraphStream):
    """The schema extensions of all tenants that are available to this one:
    https://learn.microsoft.com/graph/api/schemaextension-list"""

    name = "schema extensions"
    path_template = "schemaExtensions"
    service = Service.DIRECTORY
    permissions = ("Application.Read.All", "Application.ReadWrite.All")
    page_size = None


class AppIds(ServicePrincipals):
    """The app IDs of the tenant's enterprise applications: an app has one in each tenant in which it writes."""

    name = "schema extensions"

    def select_ladder(self) -> list[tuple[str, ...]]:
        return [("id", "appId")]


class RegisteredAppIds(Applications):
    """The app IDs of the apps that are registered in the tenant, which are in the names of their extensions."""

    name = "directory extensions"

    def select_ladder(self) -> list[tuple[str, ...]]:
        return [("id", "appId")]


TARGETS = frozenset(stream.extension_target for stream in STREAMS if stream.extension_target)
"""What the extensions of all streams are for, in Graph's words."""


@dataclass(frozen=True, slots=True)
class _Extension:
    """`targets` are what it is for, in Graph's words."""

    name: str
    targets: Collection[str]
    column: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was found in one source. `tells_of` says of a name whether it would be among them if the tenant had it."""

    extensions: Sequence[_Extension]
    tells_of: Callable[[str], bool]


def columns_by_target(sync: Sync, known: Mapping[str, Columns] | None = None) -> dict[str, dict[str, Any]]:
    """The columns of the extensions that the configuration names or lets look for, by what they are for.

    `known` are those of the catalog of a read, by what they are for. They and the named ones stay where Graph does not
    tell whether it has them, and are warned of where it has not. Raises `GraphUnavailable` where Graph fails and there
    is no catalog.
    """
    named = dict.fromkeys(sync.config.directory_extensions, _ANY)
    if not sync.config.find_directory_extensions:
        return {target: _marked(named) for target in TARGETS}
    catalogued = known or {}
    wanted = {name for columns in (named, *catalogued.values()) for name in columns}
    answers = list(_answers(sync, wanted, may_fail=known is not None))
    found: dict[str, dict[str, Any]] = {target: {} for target in TARGETS}
    for answer in answers:
        for extension in answer.extensions:
            for target in TARGETS.intersection(extension.targets):
                found[target][extension.name] = extension.column
    everywhere = {name for columns in found.values() for name in columns}
    unfound = {name: column for name, column in named.items() if name not in everywhere}
    gone: set[str] = set()
    for target, columns in found.items():
        for name, column in {**unfound, **catalogued.get(target, {})}.items():
            if name not in columns and any(answer.tells_of(name) for answer in answers):
                gone.add(name)
            else:
                columns.setdefault(name, column)
    if gone:
        sync.logger.warning(
            "The directory has no such extensions, or no longer, so they are not requested and their columns stay "
            f"empty: {', '.join(sorted(gone))}. If they were renamed, refresh the schema of the connection."
        )
    return {target: _marked(columns) for target, columns in found.items()}


def _marked(columns: Columns) -> dict[str, Any]:
    """The columns as a stream's schema has them. Their order is no matter of chance, for it is in the fingerprint."""
    return {name: {**columns[name], "select": EXTENSION} for name in sorted(columns)}


def of_catalog(properties: Mapping[str, Any]) -> Columns:
    """The columns of extensions, of a stream's columns in the catalog. Whatever stores a catalog may drop our mark."""
    return {
        name: column
        for name, column in properties.items()
        if column.get("select") == EXTENSION or _DIRECTORY_EXTENSION.match(name)
    }


def _answers(sync: Sync, wanted: Collection[str], *, may_fail: bool) -> Iterator[_Answer]:
    """What can be found of either kind of extension. `wanted` are names that the configuration or the catalog has."""
    for find in (_directory_extensions, partial(_schema_extensions, wanted=wanted)):
        try:
            yield find(sync)
        except (StreamRefused, GraphUnavailable) as failure:
            if isinstance(failure, GraphUnavailable) and not may_fail:
                raise
            sync.logger.warning(f"Not all extensions of the directory could be found. {failure}")


def _directory_extensions(sync: Sync) -> _Answer:
    """From the first of the two sources that the token opens and that tells of any. The second one tells of registered
    apps alone."""
    source, records = _first_readable(sync, AvailableExtensions(sync), ExtensionsOfApplications(sync))
    # An empty first source tells of no app.
    apps: set[str] | None = None if records else set()
    if isinstance(source, ExtensionsOfApplications):
        apps = {app["app_id"].replace("-", "").lower() for app in RegisteredAppIds(sync).every_record()}

    def tells_of(name: str) -> bool:
        found = _DIRECTORY_EXTENSION.match(name)
        return found is not None and (apps is None or found[1].lower() in apps)

    return _Answer([_directory_extension(record) for record in records], tells_of)


def _directory_extension(record: Mapping[str, Any]) -> _Extension:
    column = _TYPES.get(record.get("data_type", ""), _ANY)
    if record.get("is_multi_valued"):
        column = {"type": ["null", "array"], "items": column}
    return _Extension(record["name"], record.get("target_objects") or (), column)


def _schema_extensions(sync: Sync, wanted: Collection[str]) -> _Answer:
    """Those that are wanted or belong to apps of the tenant: Graph lists the ones of all tenants."""
    _, records = _first_readable(sync, SchemaExtensions(sync))
    apps = {app["app_id"] for app in AppIds(sync).every_record()} if records else set()
    own = [record for record in records if record["id"] in wanted or record.get("owner") in apps]
    return _Answer([_schema_extension(record) for record in own], lambda name: not _DIRECTORY_EXTENSION.match(name))


def _schema_extension(record: Mapping[str, Any]) -> _Extension:
    inner = {each["name"]: _TYPES.get(each["type"], _ANY) for each in record.get("properties") or ()}
    column = {"type": ["null", "object"], "additionalProperties": True, "properties": inner}
    return _Extension(record["id"], record.get("target_types") or (), column)


def _first_readable(sync: Sync, *sources: GraphStream) -> tuple[GraphStream, list[dict[str, Any]]]:
    """The first source that can be read, and every record of it; one that is empty only if none after it can be read.
    Raises `StreamRefused` where none can."""
    refusals: list[str] = []
    empty: list[GraphStream] = []
    for source in sources:
        # Not every token tells its roles.
        if sync.auth.roles and not is_permitted(source):
            refusals.append(sync.auth.credentials.grant(in_words(source)))
            continue
        try:
            records = list(source.every_record())
        except StreamRefused as refused:
            refusals.append(str(refused))
            continue
        # Of the extensions of a tenant with more than 1,000 service principals Graph lists none, and answers 200:
        # https://learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties
        if not records and source is not sources[-1]:
            empty.append(source)
            continue
        for refusal in refusals:
            sync.logger.warning(f"Only the extensions of apps that are registered in this tenant are found. {refusal}")
        return source, records
    if empty:
        unseen = "Graph lists none of a tenant with more than 1,000 service principals"
        sync.logger.warning(f"No {empty[0].name} were found. {unseen}. {' '.join(refusals)}")
        return empty[0], []
    raise StreamRefused(f"{sources[0].name}: {' Or: '.join(refusals)}")
