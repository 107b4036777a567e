"""What delta queries report of mailboxes: https://learn.microsoft.com/graph/delta-query-messages"""

from __future__ import annotations

from collections.abc import Collection

from simulated_tenant.changes import ChangeFeed, Show
from simulated_tenant.collection import Call
from simulated_tenant.entities import Entities
from simulated_tenant.filters import conditions
from simulated_tenant.history import Change
from simulated_tenant.problems import problem
from simulated_tenant.shapes import Entity
from simulated_tenant.workloads.outlook.contents import Outlook


class FolderChanges(ChangeFeed):
    """The changes in one folder. What is moved away is gone from it, and in the ordinary form so is its id.

    https://learn.microsoft.com/graph/delta-query-messages
    """

    def __init__(self, call: Call, kind: str, entities: Entities) -> None:
        user, folder = call.ids["user"], call.ids["mailFolder" if kind == "m" else "contactFolder"]
        outlook, self.kind, self.user, self.immutable = call.state.of(Outlook), kind, user, call.immutable_ids
        self.outlook, self.type = outlook, call.endpoint.type
        clauses = conditions(call.options.get("$filter", ""))
        for clause in clauses:
            if clause.property != "receivedDateTime" or clause.operator not in ("ge", "gt"):
                raise problem("filter_unsupported", clause.property)

        def meets(number: int) -> bool:
            return all(clause.holds(entities.make(number)) for clause in clauses)

        numbers, base = outlook.numbers(kind, folder), outlook.founded(kind)
        super().__init__(entities, outlook.history(kind, user), numbers, base, folder, meets if clauses else None)

    def entity(self, number: int, show: Show, recent: Collection[Change] | None) -> Entity:
        """The id comes whatever is selected."""
        entity = self.entities.make(number)
        return {"id": entity["id"], **show(entity)}

    def tombstone(self, change: Change, show: Show) -> Entity:
        identifier = self.outlook.item_id(self.kind, self.user, change.number, self.immutable, change.moves)
        return {"@odata.type": f"#microsoft.graph.{self.type}", "id": identifier, "@removed": {"reason": "deleted"}}
