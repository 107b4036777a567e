"""$filter and $orderby, as far as a reader of whole collections needs them.

https://learn.microsoft.com/graph/filter-query-parameter
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .problems import problem

if TYPE_CHECKING:
    from .endpoint import Call, Listing
    from .rows import Rows

CLAUSE = re.compile(
    r"""\(?(?:microsoft\.graph\.\w+/)?(?P<property>[\w/]+)
        (?:/any\((?P<variable>\w+):\s*(?P=variable)\s+eq\s+'(?P<member>[^']*)'\)
          |\s+(?P<operator>eq|ne|gt|ge|lt|le)\s+(?P<literal>'(?:[^']|'')*'|[^\s'()]+)
          |\s+in\s*\((?P<choices>(?:'[^']*',?\s*)+)\))\)?""",
    re.VERBOSE | re.IGNORECASE,
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d))?")
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "any": lambda members, value: value in (members or ()),
    "in": lambda actual, values: actual in values,
    **{name: getattr(operator, name) for name in ("eq", "ne", "gt", "ge", "lt", "le")},
}


ORIGIN, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Moment(int):
    """A moment in ticks of 100 ns: Graph compares all seven digits of a fraction, and datetime knows but six."""

    @classmethod
    def of(cls, seconds: float) -> Moment:
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
        if isinstance(self.value, Moment):
            return actual is not None and OPERATORS[self.operator](as_moment(actual), self.value)
        return OPERATORS[self.operator](actual, self.value)


def as_moment(text: str) -> Moment:
    """A DateTimeOffset or a bare date as a moment."""
    when, fraction = datetime.fromisoformat(text), text.partition(".")[2]
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - ORIGIN
    ticks = int(fraction[6]) if fraction[6:7].isdigit() else 0
    return Moment(since // MICROSECOND * 10 + ticks)


def is_moment(text: str) -> bool:
    return MOMENT.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def conditions(text: str) -> tuple[Condition, ...]:
    """The clauses of a $filter joined by `and`; what can't be read is a 400."""
    parts = re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE) if text else ()
    return tuple(map(_condition, parts))


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
    if is_moment(text):
        return as_moment(text)
    raise problem("filter_unreadable", text)


def arrange(call: Call, listing: Listing, rows: Rows) -> Rows:
    """The rows that meet $filter, in the order of $orderby, if the collection can be filtered and sorted that way.

    In the directory `ne`, and $filter together with $orderby, need the advanced query engine:
    https://learn.microsoft.com/graph/aad-advanced-queries
    """
    service, text, order = listing.service, call.options.get("$filter"), call.options.get("$orderby")
    for clause in conditions(text) if text else ():
        takes = listing.filters.get(clause.property, "").split()
        if clause.operator not in takes and not (f"{clause.operator}*" in takes and call.advanced):
            raise service.unfilterable(clause.property, listing.type)
        if clause.property in rows.timely and not isinstance(clause.value, Moment):
            raise problem("filter_unreadable", text or "")
        rows = rows.where(clause)
    if order:
        name, _, direction = order.strip().partition(" ")
        if text and service.advanced_queries and not call.advanced:
            raise service.unfilterable(name, listing.type)
        if (direction.strip() or "asc") not in listing.orders.get(name, "").split():
            raise problem("order_unsupported", order)
        rows = rows.ordered(name, direction.strip() == "desc")
    return rows
