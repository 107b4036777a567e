"""Microsoft's published v1.0 types, as far as this connector's streams need them.

The data lie in graph_types.json, a compact extract of the public service description
https://graph.microsoft.com/v1.0/$metadata (published in https://github.com/microsoftgraph/msgraph-metadata).
Rebuild it from a newer description with

    python -m simulated_tenant.extract_types METADATA.xml
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

# "String" (an Edm type), "bodyType" (an enum) or "itemBody" (a type); in a one-element list: a collection of it.
PropertyType = str | list[str]

DATA_FILE = Path(__file__).with_name("graph_types.json")


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
