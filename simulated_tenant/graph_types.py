"""Microsoft's published v1.0 types, as far as a connector for Graph needs them.

The data lie in graph_types.json, a compact extract of the public service description
https://graph.microsoft.com/v1.0/$metadata (published in https://github.com/microsoftgraph/msgraph-metadata).

    python -m simulated_tenant.graph_types METADATA.xml [TYPE ...]

rebuilds the extract from a description. The file keeps the list of the types that it was asked for, its roots; the
command adds each TYPE to them. The extract holds the roots and every type that a value inside them can have. A type of
the namespace microsoft.graph goes by its name alone, any other by the rest of its full name: `user`, `security.alert`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypedDict, cast

from . import report_columns

# "String" (an Edm type), "bodyType" (an enum) or "itemBody" (a type); in a one-element list: a collection of it.
PropertyType = str | list[str]

DATA_FILE = Path(__file__).with_name("graph_types.json")

_NAMESPACE = "microsoft.graph."
_XML = {"edm": "http://docs.oasis-open.org/odata/ns/edm"}  # ignore-https-check: The name of a namespace.


class GraphType(TypedDict, total=False):
    """One entity or complex type: its own structural properties, and where the inherited ones come from."""

    base: str
    abstract: bool
    open: bool
    properties: dict[str, PropertyType]


class GraphTypes(TypedDict):
    """The content of graph_types.json."""

    roots: list[str]
    types: dict[str, GraphType]
    enums: dict[str, list[str]]


class UnknownType(ValueError):
    """The extract of the published types does not hold this type."""

    def __init__(self, type_name: str) -> None:
        super().__init__(
            f"{DATA_FILE.name} does not hold the type {type_name}. If Graph has it, save "
            "https://graph.microsoft.com/v1.0/$metadata as METADATA.xml and extend the file with "
            f"`.venv/bin/python -m simulated_tenant.graph_types METADATA.xml {type_name}`."
        )


@lru_cache(maxsize=1)
def load() -> GraphTypes:
    """The stored extract, and the usage reports, which are published in words alone."""
    data: GraphTypes = json.loads(DATA_FILE.read_text(encoding="utf-8"))
    data["types"] |= cast(dict[str, GraphType], report_columns.types())
    return data


def properties(type_name: str) -> dict[str, PropertyType]:
    """All structural properties of a type, the inherited ones first."""
    if not is_type(type_name):
        raise UnknownType(type_name)
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


def short_name(type_name: str) -> str:
    """The name by which the extract has a type: `#microsoft.graph.security.alert` → `security.alert`."""
    return type_name.removeprefix("#").removeprefix(_NAMESPACE)


def lineage(type_name: str) -> Iterator[str]:
    """The type and all types that it inherits from, the nearest first."""
    yield type_name
    if base := load()["types"][type_name].get("base"):
        yield from lineage(base)


def is_abstract(type_name: str) -> bool:
    """Whether every object of the type is of a type derived from it."""
    return load()["types"][type_name].get("abstract", False)


def derived(type_name: str) -> list[str]:
    """The types below this one that are not abstract themselves, at any depth, in alphabetical order."""
    below = [name for name, graph_type in load()["types"].items() if graph_type.get("base") == type_name]
    return sorted(
        [name for name in below if not is_abstract(name)] + [leaf for name in below for leaf in derived(name)]
    )


def build(metadata: Path, roots: Collection[str]) -> GraphTypes:
    """Extract the roots, and all types that a value inside one of them can have, from a CSDL file.

    Of derived types those of entities are left out unless the entity is abstract: a list names what it returns.
    """
    every_type, every_enum = _published(metadata)
    if unknown := sorted(set(roots) - set(every_type)):
        raise ValueError(f"{metadata} does not publish these types: {', '.join(unknown)}")
    types: dict[str, GraphType] = {}
    enums: dict[str, list[str]] = {}
    expanded: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in every_enum:
            enums[name] = every_enum[name]
        elif name in every_type and name not in expanded:
            expanded.add(name)
            todo += _inside(name, every_type, types)
            if not _inherits(name, "entity", every_type) or every_type[name].get("abstract"):
                todo += [other for other, graph_type in every_type.items() if graph_type.get("base") == name]
    return {"roots": sorted(roots), "types": dict(sorted(types.items())), "enums": dict(sorted(enums.items()))}


def _inside(name: str, every_type: Mapping[str, GraphType], types: dict[str, GraphType]) -> Iterator[str]:
    """Put a type and all that it inherits from into `types`; yield the types of their properties."""
    types[name] = every_type[name]
    yield from map(_element, types[name]["properties"].values())
    if "base" in types[name]:
        yield from _inside(types[name]["base"], every_type, types)


def _inherits(name: str, ancestor: str, every_type: Mapping[str, GraphType]) -> bool:
    base = every_type[name].get("base")
    return name == ancestor or (base is not None and _inherits(base, ancestor, every_type))


def _published(metadata: Path) -> tuple[dict[str, GraphType], dict[str, list[str]]]:
    """Every type and every enum of a CSDL file, by its short name."""
    types: dict[str, GraphType] = {}
    enums: dict[str, list[str]] = {}
    for schema in _schemas(metadata):
        own = schema.get("Namespace", "") + "."
        alias = schema.get("Alias")
        aliases = {"graph.": _NAMESPACE, **({alias + ".": own} if alias else {})}
        prefix = own[len(_NAMESPACE) :]
        for kind in ("EntityType", "ComplexType"):
            for node in schema.findall(f"edm:{kind}", _XML):
                types[prefix + node.attrib["Name"]] = _graph_type(node, aliases)
        for node in schema.findall("edm:EnumType", _XML):
            members = node.findall("edm:Member", _XML)
            enums[prefix + node.attrib["Name"]] = [member.attrib["Name"] for member in members]
    return types, enums


def dump(data: GraphTypes) -> str:
    """The JSON text, one type or enum a line so that a rebuild gives a readable diff."""
    parts = [f'"roots": {json.dumps(data["roots"])}']
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
    if node.get("Abstract") == "true":
        graph_type["abstract"] = True
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metadata", type=Path, metavar="METADATA.xml")
    parser.add_argument("types", nargs="*", metavar="TYPE", help="a type to add to the roots")
    given = parser.parse_args()
    try:
        data = build(given.metadata, {*load()["roots"], *map(short_name, given.types)})
    except (OSError, ValueError, ElementTree.ParseError) as error:
        print(error, file=sys.stderr)
        return 1
    DATA_FILE.write_text(dump(data), encoding="utf-8")
    print(f"{DATA_FILE.name}: {len(data['types'])} types, {len(data['enums'])} enums")
    return 0


if __name__ == "__main__":
    sys.exit(main())
