"""Microsoft's published v1.0 types, as far as this connector's streams need them.

The data lie in graph_types.json, a compact extract of the public service description
https://graph.microsoft.com/v1.0/$metadata (published in https://github.com/microsoftgraph/msgraph-metadata).
Rebuild it from a newer description with

    python -m simulated_tenant.graph_types METADATA.xml
"""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

# "String" (an Edm type), "bodyType" (an enum) or "itemBody" (a type); in a one-element list: a collection of it.
PropertyType = str | list[str]

DATA_FILE = Path(__file__).with_name("graph_types.json")

# The entity type behind each stream.
STREAM_TYPES: Mapping[str, str] = {
    "users": "user",
    "applications": "application",
    "service_principals": "servicePrincipal",
    "groups": "group",
    "group_member": "directoryObject",
    "group_owner": "directoryObject",
    "teams": "group",
    "channels": "channel",
    "team_member": "aadUserConversationMember",
    "chats": "chat",
    "chat_messages": "chatMessage",
    "mail_messages": "message",
    "calendar_events": "event",
    "contacts": "contact",
    "drives": "drive",
    "drive_items": "driveItem",
    "audit_logs_directory": "directoryAudit",
    "audit_logs_signins": "signIn",
    "conditional_access_policies": "conditionalAccessPolicy",
    "directory_roles": "directoryRole",
    "directory_role_templates": "directoryRoleTemplate",
    "directory_role_member": "directoryObject",
}
# Types that appear inside those lists (members, special messages, identities, a policy's authentication strength) or
# lie on the way to them (folders, sites).
OTHER_ROOTS = (
    "administrativeUnit",
    "authenticationStrengthPolicy",
    "calendarSharingMessage",
    "conditionalAccessAllExternalTenants",
    "conditionalAccessEnumeratedExternalTenants",
    "contactFolder",
    "device",
    "eventMessageRequest",
    "eventMessageResponse",
    "mailFolder",
    "orgContact",
    "site",
    "teamworkApplicationIdentity",
    "teamworkUserIdentity",
)

_NAMESPACE = "microsoft.graph."
_XML = {"edm": "http://docs.oasis-open.org/odata/ns/edm"}


class GraphType(TypedDict, total=False):
    """One entity or complex type: its own structural properties, and where the inherited ones come from."""

    base: str
    open: bool
    properties: dict[str, PropertyType]


class GraphTypes(TypedDict):
    """The content of graph_types.json."""

    types: dict[str, GraphType]
    enums: dict[str, list[str]]


@lru_cache(maxsize=1)
def load() -> GraphTypes:
    """The stored extract."""
    data: GraphTypes = json.loads(DATA_FILE.read_text(encoding="utf-8"))
    return data


def properties(type_name: str) -> dict[str, PropertyType]:
    """All structural properties of a type, the inherited ones first."""
    graph_type = load()["types"][type_name]
    inherited = properties(graph_type["base"]) if "base" in graph_type else {}
    return {**inherited, **graph_type["properties"]}


def is_type(name: str) -> bool:
    """Whether the name is an entity or complex type, so that its values are objects."""
    return name in load()["types"]


def enum_members(name: str) -> list[str] | None:
    """The published values of an enum; None when the name is no enum."""
    return load()["enums"].get(name)


def is_open(type_name: str) -> bool:
    """Whether the type, or a type it inherits from, may carry undeclared properties."""
    graph_type = load()["types"][type_name]
    return graph_type.get("open", False) or ("base" in graph_type and is_open(graph_type["base"]))


def build(metadata: Path) -> GraphTypes:
    """Extract the types of all streams, and everything reachable from them, from a CSDL file."""
    every_type: dict[str, GraphType] = {}
    every_enum: dict[str, list[str]] = {}
    for schema in _schemas(metadata):
        own = schema.get("Namespace", "") + "."
        alias = schema.get("Alias")
        aliases = {"graph.": _NAMESPACE, **({alias + ".": own} if alias else {})}
        prefix = own[len(_NAMESPACE) :]
        for kind in ("EntityType", "ComplexType"):
            for node in schema.findall(f"edm:{kind}", _XML):
                every_type[prefix + node.attrib["Name"]] = _graph_type(node, aliases)
        for node in schema.findall("edm:EnumType", _XML):
            members = node.findall("edm:Member", _XML)
            every_enum[prefix + node.attrib["Name"]] = [member.attrib["Name"] for member in members]

    wanted: dict[str, GraphType] = {}
    enums: dict[str, list[str]] = {}
    todo = [*STREAM_TYPES.values(), *OTHER_ROOTS]
    while todo:
        name = todo.pop()
        if name in every_enum:
            enums[name] = every_enum[name]
        elif name in every_type and name not in wanted:
            wanted[name] = every_type[name]
            todo += [_element(kind) for kind in wanted[name]["properties"].values()]
            if "base" in wanted[name]:
                todo.append(wanted[name]["base"])
    return {"types": dict(sorted(wanted.items())), "enums": dict(sorted(enums.items()))}


def dump(data: GraphTypes) -> str:
    """The JSON text, one type or enum a line so that a rebuild gives a readable diff."""
    parts = []
    for part, entries in (("types", data["types"]), ("enums", data["enums"])):
        lines = [f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in entries.items()]
        parts.append(f'"{part}": {{\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _schemas(metadata: Path) -> Iterator[ElementTree.Element]:
    return ElementTree.parse(metadata).iter(f"{{{_XML['edm']}}}Schema")


def _graph_type(node: ElementTree.Element, aliases: Mapping[str, str]) -> GraphType:
    own = node.findall("edm:Property", _XML)
    graph_type: GraphType = {
        "properties": {prop.attrib["Name"]: _property_type(prop.attrib["Type"], aliases) for prop in own}
    }
    base = node.get("BaseType")
    if base:
        graph_type["base"] = _short(base, aliases)
    if node.get("OpenType") == "true":
        graph_type["open"] = True
    return graph_type


def _property_type(published: str, aliases: Mapping[str, str]) -> PropertyType:
    collection = re.fullmatch(r"Collection\((.+)\)", published)
    return [_short(collection[1], aliases)] if collection else _short(published, aliases)


def _short(published: str, aliases: Mapping[str, str]) -> str:
    for alias, namespace in aliases.items():
        if published.startswith(alias):
            published = namespace + published[len(alias) :]
            break
    return published[len(_NAMESPACE) :] if published.startswith(_NAMESPACE) else published.removeprefix("Edm.")


def _element(kind: PropertyType) -> str:
    return kind if isinstance(kind, str) else kind[0]


def main() -> int:
    """Rebuild graph_types.json from the CSDL file named on the command line."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    data = build(Path(sys.argv[1]))
    DATA_FILE.write_text(dump(data), encoding="utf-8")
    print(f"{DATA_FILE.name}: {len(data['types'])} types, {len(data['enums'])} enums")
    return 0


if __name__ == "__main__":
    sys.exit(main())
