"""The tenant's own properties of directory objects: directory extensions and schema extensions.

A tenant is founded without any. Their values come only where they are named in $select, but for the directory
extensions of administrative units.
https://learn.microsoft.com/graph/extensibility-overview
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simulated_tenant.collection import Query
from simulated_tenant.entities import Entities
from simulated_tenant.shapes import Entity, Guids, fragment
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import Directory

MOST_APPS = 1000

_VALUES: Mapping[str, Callable[[str, int], Any]] = {
    "String": lambda name, number: f"{name} {number}",
    "Integer": lambda name, number: number - 1,
    "LargeInteger": lambda name, number: 2**53 + number,
    "Boolean": lambda name, number: number % 2 == 0,
    "DateTime": lambda name, number: f"20{number % 90 + 10}-01-31T23:00:00Z",
    "Binary": lambda name, number: "AQIDBA==",
}


@dataclass(frozen=True)
class DirectoryExtension:
    """An extension property of an app: https://learn.microsoft.com/graph/api/resources/extensionproperty"""

    name: str
    kind: str
    targets: tuple[str, ...]
    multiple: bool
    application: int

    def value(self, number: int) -> Any:
        """What object `number` has in it; every fifth has nothing."""
        if number % 5 == 4:
            return None
        value = _VALUES[self.kind](self.name, number)
        return fragment([value, value]) if self.multiple else value

    def entity(self, identifier: str, app_name: str) -> Entity:
        return {
            "id": identifier, "deletedDateTime": None, "appDisplayName": app_name, "name": self.name,
            "dataType": self.kind, "isMultiValued": self.multiple, "isSyncedFromOnPremises": False,
            "targetObjects": list(self.targets),
        }  # fmt: skip


@dataclass(frozen=True)
class SchemaExtension:
    """A schema extension: https://learn.microsoft.com/graph/api/resources/schemaextension"""

    name: str
    properties: Mapping[str, str]
    targets: tuple[str, ...]
    owner: str

    def value(self, number: int) -> Any:
        if number % 5 == 4:
            return None
        values = {name: _VALUES[kind](name, number) for name, kind in self.properties.items()}
        return fragment({"@odata.type": f"#microsoft.graph.{self.name}", **values})

    def entity(self) -> Entity:
        properties = [{"name": name, "type": kind} for name, kind in self.properties.items()]
        return {
            "id": self.name, "description": None, "targetTypes": list(self.targets), "status": "Available",
            "owner": self.owner, "properties": properties,
        }  # fmt: skip


class Extensions:
    """The extensions by name, and what happens to them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.directory: dict[str, DirectoryExtension] = {}
        self.schema: dict[str, SchemaExtension] = {}
        self._ids = Guids(state.seed, "extensionProperty")

    def add(self, name: str, kind: str = "String", *targets: str, multiple: bool = False, application: int = 0) -> str:
        """A directory extension of an app, for users if no target is given. Returns its full name."""
        app_id = self.state.of(Directory).ids["appId"][application].replace("-", "")
        full = f"extension_{app_id}_{name}"
        self.directory[full] = DirectoryExtension(full, kind, targets or ("User",), multiple, application)
        return full

    def add_schema(self, name: str, properties: Mapping[str, str], *targets: str, owner: str | None = None) -> str:
        """A schema extension, of the first application unless another app ID is given."""
        owner = owner or self.state.of(Directory).ids["appId"][0]
        self.schema[name] = SchemaExtension(name, dict(properties), targets or ("User",), owner)
        return name

    def remove(self, name: str) -> None:
        """Its values go with it."""
        del (self.directory if name in self.directory else self.schema)[name]

    def of_type(self, kind: str) -> list[DirectoryExtension | SchemaExtension]:
        """Those that objects of a type can have."""
        target = kind[:1].upper() + kind[1:]
        return [each for each in (*self.directory.values(), *self.schema.values()) if target in each.targets]

    def extend(self, query: Query, kind: str, entities: Entities) -> Entities:
        """The entities with the values that are asked for, or that come unasked."""
        asked = [
            extension for extension in self.of_type(kind) if query.selects(extension.name) or _unasked(extension, kind)
        ]
        if not asked:
            return entities
        make = entities.make

        def extended(number: int) -> Entity:
            return {**{each.name: each.value(number) for each in asked}, **make(number)}

        return Entities(entities.ascending, extended, entities.timely, entities.newest_first, entities.unruly)

    def entities(self, application: int | None = None) -> Entities:
        """The directory extensions, of one application or of all."""
        of_app = [each for each in self.directory.values() if application in (None, each.application)]
        return _list(
            each.entity(self._ids[number], f"Application {each.application}") for number, each in enumerate(of_app)
        )

    def available(self) -> Entities:
        """All of them, or none in a large tenant: https://learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties"""
        return self.entities() if self.state.size.service_principals <= MOST_APPS else _list(())

    def schemas(self) -> Entities:
        return _list(each.entity() for each in self.schema.values())


def _unasked(extension: DirectoryExtension | SchemaExtension, kind: str) -> bool:
    """Without $select: https://learn.microsoft.com/graph/api/directory-list-administrativeunits#retrieve-extensions-and-associated-data"""
    return kind == "administrativeUnit" and isinstance(extension, DirectoryExtension)


def _list(found: Iterable[Entity]) -> Entities:
    entities = list(found)
    return Entities(range(len(entities)), lambda number: dict(entities[number]))
