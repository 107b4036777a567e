"""What may be told of a tenant: of its values the types and shapes, of its ids nothing but which are the same.

Names and words are told where Microsoft wrote them: names of the schemas, names of the form that all of Microsoft's
properties have, and words that the connector's own catalogue of refusals holds. Everything else is hashed or left out.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from source_microsoft_graph.graph.catalogue import CATALOGUE
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.records import column_name, is_extension, snake_case

Schema = Mapping[str, Any]

_PUBLISHED_NAME = re.compile(r"(?!.*\d{4})[a-z][A-Za-z\d]{0,63}(?:_v\d)?")
"""The form of Microsoft's names. What a tenant names itself has an underscore, or stands where no schema says what
does: https://learn.microsoft.com/graph/extensibility-overview"""

_COLUMN = re.compile(r"(?!.*\d{4})[a-z][a-z\d_]{0,63}")
_PUBLISHED_CODE = re.compile(r"(?!.*\d{3})[A-Za-z][A-Za-z\d]*(?:_[A-Za-z\d]+)*")
_PERMISSION = re.compile(r"[A-Z][A-Za-z\d-]*(?:\.[A-Z][A-Za-z\d-]*)+")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LONGEST_SENTENCE = 160

_GUID = re.compile(r"[\dA-Fa-f]{8}(?:-[\dA-Fa-f]{4}){3}-[\dA-Fa-f]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?")
_URL = re.compile(r"https?://\S+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LENGTHS = (8, 32, 128, 1_024, 16_384)

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class Pseudonyms:
    """Hashes that tell what is the same in one report, and nothing more: their key is random and kept nowhere."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, value: str) -> str:
        return f"#{blake2b(value.encode(errors='replace'), key=self._key, digest_size=4).hexdigest()}"

    def name(self, name: str) -> str:
        """The name of a property."""
        return name if _PUBLISHED_NAME.fullmatch(name) and not is_extension(name) else self.of(name)

    def code(self, code: str) -> str:
        """The code of an error."""
        return code if code in _KNOWN_CODES or _PUBLISHED_CODE.fullmatch(code[:80]) else self.of(code)


def permissions(names: Iterable[str]) -> list[str]:
    """Those that have the form of Microsoft's."""
    return sorted(filter(_PERMISSION.fullmatch, names))


def _words_of(texts: Iterable[str]) -> set[str]:
    return {word.lower() for text in texts for word in _WORD.findall(text)}


_KNOWN_CODES = {rule.code for rule in CATALOGUE}
_USUAL_WORDS = """
    a access administrator again all allowed an and any app application are authentication authorization available
    be because been between by calendar can cannot channel chat clause collection contact could count denied device
    disabled does drive due enabled entity error event exceeded exist expand expired expression feature filter find
    for found from function group has have in inclusive internal invalid is item later licence license licensed
    limit mailbox maximum message minimum missing more must named no not occurred of on one only operation option or
    orderby page parameter permission permissions please policy property query report request requested required
    requires resource role search segment select server service set site size skip specified subscription supported
    team temporarily tenant that the these this those to token top try type unavailable unsupported uri user valid
    value was were with without
"""
"""Words of refusals that the catalogue need not hold."""

_VOCABULARY = _words_of(
    text for rule in CATALOGUE for text in (rule.code, rule.text, rule.help.meaning, rule.help.remedy)
) | _words_of([_USUAL_WORDS])


def words(message: str) -> str:
    """A message of Graph's without whatever is not known to be Microsoft's word: a mark stands for that."""
    told: list[str] = []
    for part in message[:2_000].split():
        found = _WORD.findall(part)
        known = bool(found) and all(word.lower() in _VOCABULARY for word in found) and not re.search(r"[\d@/\\]", part)
        if known:
            told.append(" ".join(found))
        elif not told or told[-1] != "…":
            told.append("…")
    text = " ".join(told)
    return text if len(text) <= _LONGEST_SENTENCE else f"{text[: _LONGEST_SENTENCE - 1]}…"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Graph answered instead of a page."""

    status: int
    code: str
    words: str

    @classmethod
    def of(cls, response: GraphResponse, pseudonyms: Pseudonyms) -> Refusal:
        code = "/".join(map(pseudonyms.code, response.codes[:3]))
        return cls(response.status_code, code, words(response.message))

    def __str__(self) -> str:
        status = str(self.status) if self.status else "no answer"
        return " ".join(filter(None, (status, f"`{self.code}`" if self.code else "")))

    @property
    def whole(self) -> str:
        return f"{self}: “{self.words}”" if self.words.strip("… ") else str(self)


def shape(value: Any) -> str:
    """The type of a value, and of a text its form or the class of its length."""
    match value:
        case None:
            return "null"
        case dict():
            return "object"
        case list():
            inner = sorted({shape(item) for item in value[:50]})
            return f"array of {' or '.join(inner)}" if inner else "empty array"
        case str():
            return _shape_of_text(value)
        case _:
            return _JSON_TYPES.get(type(value), "number")


def _shape_of_text(text: str) -> str:
    if not text:
        return "empty string"
    if time := _TIME.fullmatch(text):
        return "date-time" if time[1] else "date-time without an offset"
    for form, name in ((_GUID, "GUID"), (_DATE, "date"), (_NUMBER, "digits"), (_URL, "URL")):
        if form.fullmatch(text):
            return f"string ({name})"
    longest = next((length for length in _LENGTHS if len(text) <= length), None)
    return f"string (up to {longest:,} characters)" if longest else "string (longer)"


@dataclass(slots=True)
class Properties:
    """The properties of some objects beside the schema of their stream."""

    objects: int = 0
    sent: set[str] = field(default_factory=set)
    """Columns that an object had, with whatever value."""
    unknown: dict[str, Counter[str]] = field(default_factory=dict)
    """Names that no schema knows, each with the shapes of its values."""
    inside: dict[str, Counter[str]] = field(default_factory=dict)
    """The same inside of objects, by their paths."""
    other_types: dict[str, tuple[str, Counter[str]]] = field(default_factory=dict)
    """Paths whose values do not fit the schema: what it says, and the shapes of the values."""
    own_names: int = 0
    """How often a property had the form of a tenant's own."""


class PropertyReader:
    """Looks through the objects of one stream."""

    def __init__(
        self, schema: Schema, pseudonyms: Pseudonyms, ignored: Iterable[str] = (), *, is_file: bool = False
    ) -> None:
        """`schema` holds the columns, `ignored` those that the connector leaves out. The names of a file of Microsoft's
        are those of columns already, and none of them is the tenant's own."""
        self.found = Properties()
        self._schema, self._pseudonyms, self._ignored = schema, pseudonyms, frozenset(ignored)
        self._is_file = is_file

    def read(self, entities: Iterable[Any]) -> None:
        for entity in entities:
            if isinstance(entity, dict):
                self.found.objects += 1
                self._read_object(entity)

    def _read_object(self, entity: Mapping[str, Any]) -> None:
        for name, value, column in _named(entity, str if self._is_file else column_name):
            if column in self._schema:
                self.found.sent.add(column)
                self._read_value(value, self._schema[column], name)
            elif self._is_file and _COLUMN.fullmatch(name):
                _count(self.found.unknown, name, value)
            elif is_extension(name):
                self.found.own_names += 1
            elif column not in self._ignored:
                _count(self.found.unknown, self._pseudonyms.name(name), value)

    def _read_value(self, value: Any, schema: Schema, path: str) -> None:
        if value is None:
            return
        if not _fits(value, schema):
            declared = _declared(schema)
            self.found.other_types.setdefault(path, (declared, Counter()))[1][shape(value)] += 1
        elif isinstance(value, list):
            for item in value:
                self._read_value(item, schema.get("items", {}), f"{path}[]")
        elif isinstance(value, dict) and "properties" in schema:
            for name, inner, column in _named(value, snake_case):
                if column in schema["properties"]:
                    self._read_value(inner, schema["properties"][column], f"{path}.{name}")
                else:
                    _count(self.found.inside, f"{path}.{self._pseudonyms.name(name)}", inner)


def _named(entity: Mapping[str, Any], column_of: Any) -> Iterator[tuple[str, Any, str]]:
    """The properties with their columns; other annotations describe the response."""
    for name, value in entity.items():
        if name == "@odata.type":
            yield name, value, "odata_type"
        elif "@" not in name:
            yield name, value, column_of(name)


def _count(found: dict[str, Counter[str]], name: str, value: Any) -> None:
    found.setdefault(name, Counter())[shape(value)] += 1


def _fits(value: Any, schema: Schema) -> bool:
    kinds = schema.get("type")
    if kinds is None:
        return True
    kind = _JSON_TYPES[type(value)]
    if kind not in kinds and not (kind == "integer" and "number" in kinds):
        return False
    if kind != "string":
        return True
    match schema.get("format"):
        case "date-time":
            time = _TIME.fullmatch(value)
            return bool(time and time[1])
        case "date":
            return _DATE.fullmatch(value) is not None
    return True


def _declared(schema: Schema) -> str:
    return str(schema.get("format") or " or ".join(kind for kind in schema["type"] if kind != "null"))
