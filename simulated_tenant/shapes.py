"""Entities filled from Microsoft's published types and the additions to them: every property gets a plausible value.

https://learn.microsoft.com/graph/traverse-the-graph#microsoft-graph-api-metadata
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import Any

import orjson

from . import additions, graph_types
from .graph_types import PropertyType

Entity = dict[str, Any]

TYPE_MARK = "@odata.type"
VARIANTS = 7
DEEPEST = 7
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
TEXTS = ("Ångström", "budget", "Zürich", "naïve", "launch", "\u6771\u4eac", "O'Neill", 'plan "B"', "<draft>", "50 %\n")

# The end of a property's name tells what a string in it looks like; the first match counts.
STRINGS = {
    "principalname": "person{0}@contoso.com", "ipaddress": "203.0.113.{1}", "mail": "person{0}@contoso.com",
    "mails": "other{0}@example.org", "address": "person{0}@contoso.com", "addresses": "smtp:alias{0}@contoso.com",
    "url": "https://contoso.example/{0}?a=1&b=%20", "uris": "https://contoso.example/reply/{0}",
    "phone": "+1 425 555 {0:04}", "phones": "+1 425 555 {0:04}", "language": "de-DE", "locale": "en-us",
    "usagelocation": "AT", "timezone": "UTC", "id": "{2}", "ids": "{2}", "version": "{1}.0", "etag": '"{{{2}}},{1}"',
}  # fmt: skip


def guid(random: Random) -> str:
    """A version 4 GUID."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def graph_time(when: datetime) -> str:
    """A DateTimeOffset as Graph writes it."""
    return f"{when.isoformat()[:19]}Z"


PRIMITIVES: Mapping[str, Callable[[Random], Any]] = {
    "Boolean": lambda r: r.random() < 0.5,
    "Int16": lambda r: r.randrange(2**15),
    "Int32": lambda r: r.randrange(2**31),
    "Int64": lambda r: r.randrange(2**31, 2**45),
    "Byte": lambda r: r.randrange(256),
    "Double": lambda r: round(r.uniform(-90, 90), 6),
    "Single": lambda r: round(r.uniform(0, 1), 3),
    "Decimal": lambda r: round(r.uniform(0, 1000), 2),
    "Guid": guid,
    "Binary": lambda r: b64encode(r.randbytes(12)).decode(),
    "DateTimeOffset": lambda r: graph_time(EPOCH + timedelta(seconds=r.randrange(5 * 10**7))),
    "Date": lambda r: f"{EPOCH + timedelta(days=r.randrange(500)):%Y-%m-%d}",
    "TimeOfDay": lambda r: f"{r.randrange(24):02}:30:00.0000000",
    "Duration": lambda r: f"PT{r.randrange(1, 9)}H30M",
}


class Fabric:
    """Makes the objects of a list of one type and what lies inside them. `nulls` is the share of null properties."""

    def __init__(self, list_type: str, random: Random, nulls: float) -> None:
        self.list_type, self.random, self.nulls = list_type, random, nulls

    def entity(self, type_name: str, above: tuple[str, ...] = ()) -> Entity:
        """One object of the type, inside objects of the types `above`. JSON never holds a stream."""
        declared = {**graph_types.properties(type_name), **additions.undeclared(self.list_type, type_name)}
        return {
            name: None if self.random.random() < self.nulls and name != "id" else self._value(name, kind, above)
            for name, kind in declared.items()
            if kind != "Stream"
        }

    def _value(self, name: str, kind: PropertyType, above: tuple[str, ...]) -> Any:
        random = self.random
        if not isinstance(kind, str):
            values = (self._value(name, kind[0], above) for _ in range(1 if self.nulls else 2))
            return [value for value in values if value is not None]
        if kind in PRIMITIVES:
            return PRIMITIVES[kind](random)
        if kind == additions.OBJECT:
            return {"displayName": random.choice(TEXTS)}
        if members := graph_types.enum_members(kind):
            return random.choice([member for member in members if member != "unknownFutureValue"])
        if graph_types.is_type(kind):
            return None if kind in above or len(above) > DEEPEST else self._object(name, kind, above)
        return _form(name).format(random.randrange(1000), random.randrange(1, 255), guid(random), random.choice(TEXTS))

    def _object(self, name: str, kind: str, above: tuple[str, ...]) -> Entity:
        """An object of the type or of one derived from it, which says which one it is."""
        where = (self.list_type, above[-1] if above else self.list_type, name, kind)
        if not additions.is_marked(*where):
            return self.entity(kind, (*above, kind))
        own = () if graph_types.is_abstract(kind) else (kind,)
        chosen = self.random.choice([*own, *additions.derived(*where)])
        return {TYPE_MARK: marked(chosen), **self.entity(chosen, (*above, kind))}


def marked(type_name: str) -> str:
    """What Graph calls a type in `@odata.type`."""
    return f"#microsoft.graph.{type_name}"


@lru_cache(maxsize=1024)
def _form(name: str) -> str:
    """What a string property of that name looks like."""
    return next((form for ending, form in STRINGS.items() if name.lower().endswith(ending)), f"{name} {{3}} {{1}}")


@lru_cache(maxsize=512)
def _ready(type_name: str, seed: int, variant: int, nulls: float) -> Entity:
    """A variant of the entities that a list of the type holds. The last one is of a further type in that list, if there
    is one that derives from it."""
    fabric = Fabric(type_name, Random(f"{seed}/{type_name}/{variant}"), nulls)
    further = [one for one in additions.ALSO_LISTED.get(type_name, ()) if type_name in graph_types.lineage(one)]
    if not further or variant < VARIANTS - 1:
        return fabric.entity(type_name)
    return {TYPE_MARK: marked(further[0]), **fabric.entity(further[0])}


class Shape:
    """Ready-made entities of one type. Entity number i is one of them with its own values on top.

    Nested values are serialised once: a page of a thousand messages costs a thousand copies, not a thousand walks.
    """

    def __init__(
        self,
        type_name: str,
        seed: int,
        always: Mapping[str, Any] | None = None,
        without: Collection[str] = (),
        adjust: Callable[[int, Entity], Entity] = lambda variant, entity: entity,
        nulls: float = 0.15,
    ) -> None:
        self.entities: list[Entity] = []
        for variant in range(VARIANTS):
            entity = _ready(type_name, seed, variant, nulls if variant else 0)
            entity = {name: value for name, value in entity.items() if name not in without} | dict(always or {})
            self.entities.append(frozen(adjust(variant, entity)))

    def entity(self, number: int, own: Mapping[str, Any]) -> Entity:
        """Entity number `number`, with these values of its own."""
        return {**self.entities[number % VARIANTS], **own}


def fragment(value: Any) -> orjson.Fragment:
    """A value that is serialised already."""
    return orjson.Fragment(orjson.dumps(value))


def frozen(entity: Entity) -> Entity:
    """The entity with its nested values serialised already."""
    return {name: fragment(value) if isinstance(value, (dict, list)) else value for name, value in entity.items()}


def thawed(entity: Entity) -> Entity:
    """The entity as plain Python values."""
    plain: Entity = orjson.loads(orjson.dumps(entity))
    return plain


class Guids:
    """The ids of one kind of object: they look random, and the object's number can be read back from them."""

    def __init__(self, seed: int, kind: str) -> None:
        digest = blake2b(f"{seed}/{kind}".encode(), digest_size=16).hexdigest()
        self.prefix = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-9{digest[17:20]}-"
        self.mask = int(digest[20:], 16)

    def __getitem__(self, number: int) -> str:
        return f"{self.prefix}{number ^ self.mask:012x}"

    def find(self, text: str) -> int | None:
        """The number behind an id; None when it's no id of this kind."""
        number = hexadecimal(text[-12:], 12)
        return number ^ self.mask if number is not None and text[:-12].lower() == self.prefix else None


def hexadecimal(digits: str, length: int) -> int | None:
    """The number that so many hexadecimal digits stand for; None when they don't."""
    return int(digits, 16) if len(digits) == length and set(digits.lower()) <= set("0123456789abcdef") else None
