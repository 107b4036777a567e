"""$filter and $orderby of a request, applied to a collection.

https://learn.microsoft.com/graph/filter-query-parameter, https://learn.microsoft.com/graph/query-parameters#orderby-parameter
"""

from __future__ import annotations

from .collection import Call, Collection
from .entities import Entities
from .filters import Timestamp, conditions
from .problems import problem


def arrange(call: Call, collection: Collection, entities: Entities) -> Entities:
    """The entities that meet $filter, in the order of $orderby, if the collection can be filtered and sorted that way.

    In the directory `ne`, and $filter together with $orderby, need the advanced query engine:
    https://learn.microsoft.com/graph/aad-advanced-queries
    """
    workload, text, order = collection.workload, call.options.get("$filter"), call.options.get("$orderby")
    for clause in conditions(text) if text else ():
        takes = collection.filters.get(clause.property, "").split()
        if clause.operator not in takes and not (f"{clause.operator}*" in takes and call.advanced):
            raise workload.unfilterable(clause.property, collection.type)
        if clause.property in entities.timely and not isinstance(clause.value, Timestamp):
            raise problem("filter_unreadable", text or "")
        entities = entities.where(clause)
    if order:
        name, _, direction = order.strip().partition(" ")
        if text and workload.advanced_queries and not call.advanced:
            raise workload.unfilterable(name, collection.type)
        if (direction.strip() or "asc") not in collection.orders.get(name, "").split():
            raise problem("order_unsupported", order)
        entities = entities.ordered(name, direction.strip() == "desc")
    return entities
