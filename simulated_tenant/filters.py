"""The conditions of a $filter, as far as a reader of whole collections needs them.

https://learn.microsoft.com/graph/filter-query-parameter
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from .problems import problem

CLAUSE = re.compile(
    r"""\(?(?:microsoft\.graph\.\w+/)?(?P<property>[\w/]+)
        (?:/any\((?P<variable>\w+):\s*(?P=variable)\s+eq\s+'(?P<member>[^']*)'\)
          |\s+(?P<operator>eq|ne|gt|ge|lt|le)\s+(?P<literal>'(?:[^']|'')*'|[^\s'()]+)
          |\s+in\s*\((?P<choices>(?:'[^']*',?\s*)+)\))\)?""",
    re.VERBOSE | re.IGNORECASE,
)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d))?")
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "any": lambda members, value: value in (members or ()),
    "in": lambda actual, values: actual in values,
    **{name: getattr(operator, name) for name in ("eq", "ne", "gt", "ge", "lt", "le")},
}


ORIGIN, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Timestamp(int):
    """Ticks of 100 ns since 1970: Graph compares all seven digits of a fraction, and datetime has only six."""

    @classmethod
    def of(cls, seconds: float) -> Timestamp:
        """From seconds since 1970, as clocks count them."""
        return cls(int(seconds * 10**7))


@dataclass(frozen=True)
class Condition:
    """One clause of a $filter."""

    property: str
    operator: str
    value: Any

    def holds(self, entity: Mapping[str, Any]) -> bool:
        actual = entity.get(self.property)
        if isinstance(self.value, Timestamp):
            return actual is not None and OPERATORS[self.operator](timestamp_of(actual), self.value)
        return OPERATORS[self.operator](actual, self.value)


def timestamp_of(text: str) -> Timestamp:
    """A DateTimeOffset or a bare date."""
    when, fraction = datetime.fromisoformat(text), text.partition(".")[2]
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - ORIGIN
    ticks = int(fraction[6]) if fraction[6:7].isdigit() else 0
    return Timestamp(since // MICROSECOND * 10 + ticks)


def is_timestamp(text: str) -> bool:
    return TIMESTAMP.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def conditions(text: str) -> tuple[Condition, ...]:
    """The clauses of a $filter joined by `and`; what can't be read is a 400."""
    clauses = re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE) if text else ()
    return tuple(map(_condition, clauses))


def _condition(text: str) -> Condition:
    match = CLAUSE.fullmatch(text)
    if match is None:
        raise problem("filter_unreadable", text)
    if match["member"] is not None:
        return Condition(match["property"], "any", match["member"])
    if match["choices"] is not None:
        return Condition(match["property"], "in", re.findall(r"'([^']*)'", match["choices"]))
    return Condition(match["property"], match["operator"].lower(), _literal(match["literal"]))


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text in ("true", "false"):
        return text == "true"
    if is_timestamp(text):
        return timestamp_of(text)
    raise problem("filter_unreadable", text)
