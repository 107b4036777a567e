"""Extract Microsoft's published v1.0 types into graph_types.json, as far as the declared collections need them.

    python -m simulated_tenant.extract_types METADATA.xml

reads the public service description https://graph.microsoft.com/v1.0/$metadata (published in
https://github.com/microsoftgraph/msgraph-metadata).
"""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .catalogue import CATALOGUE
from .graph_types import DATA_FILE, GraphType, GraphTypes, PropertyType

# Types of entities inside the collections, where the collection's own type does not lead to them: members, special
# messages, identities, a policy's authentication strength.
OTHER_ROOTS = (
    "administrativeUnit",
    "authenticationStrengthPolicy",
    "calendarSharingMessage",
    "conditionalAccessAllExternalTenants",
    "conditionalAccessEnumeratedExternalTenants",
    "eventMessageRequest",
    "eventMessageResponse",
    "teamworkApplicationIdentity",
    "teamworkUserIdentity",
)

_NAMESPACE = "microsoft.graph."
_XML = {"edm": "http://docs.oasis-open.org/odata/ns/edm"}


def roots() -> set[str]:
    """The types of the declared collections, and those that these do not lead to."""
    declared = {kind for endpoint in CATALOGUE.endpoints for kind in (endpoint.type, *endpoint.kinds)}
    return declared | set(OTHER_ROOTS)


def build(metadata: Path, wanted_types: Iterable[str]) -> GraphTypes:
    """Extract these types, and everything reachable from them, from a CSDL file."""
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
    todo = list(wanted_types)
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
    sections = []
    for section, entries in (("types", data["types"]), ("enums", data["enums"])):
        lines = [f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in entries.items()]
        sections.append(f'"{section}": {{\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


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
    data = build(Path(sys.argv[1]), roots())
    DATA_FILE.write_text(dump(data), encoding="utf-8")
    print(f"{DATA_FILE.name}: {len(data['types'])} types, {len(data['enums'])} enums")
    return 0


if __name__ == "__main__":
    sys.exit(main())
