"""What delta queries report of drives: https://learn.microsoft.com/graph/api/driveitem-delta"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from simulated_tenant.changes import ChangeFeed, Show
from simulated_tenant.collection import Call
from simulated_tenant.entities import Entities
from simulated_tenant.filters import Timestamp
from simulated_tenant.history import Change
from simulated_tenant.shapes import Entity
from simulated_tenant.workloads.files.contents import Drive, Files, is_folder, modified


def stale(item: Entity) -> Entity:
    """An item as an earlier page of a delta may still show it; the later one counts.

    https://learn.microsoft.com/graph/api/driveitem-delta
    """
    return item | {"name": f"old {item['name']}", "eTag": item["eTag"].replace(",2", ",1"), "size": 0}


class DriveChanges(ChangeFeed):
    """The changes of a drive. The folders above a changed item are reported with it. Deleted items keep few properties.

    https://learn.microsoft.com/graph/api/driveitem-delta
    """

    def __init__(self, call: Call, entities: Entities, drive: Drive) -> None:
        self.files, self.drive = call.state.of(Files), drive
        self.alone = "deltaexcludeparent" in call.request.headers
        base = call.state.size.items_per_drive
        super().__init__(entities, self.files.history(self.drive), range(base), base)

    def before(self, time: Timestamp) -> int:
        """The time itself counts as after it."""
        first = bisect_left(self.founded, time, key=lambda number: Timestamp.of(modified(number).timestamp()))
        if first < self.base:
            return first - self.base - 1
        return bisect_left(self.history.changes, time, key=lambda change: Timestamp.of(change.when))

    def tombstone(self, change: Change, show: Show) -> Entity:
        kind = "folder" if is_folder(change.number) else "file"
        above = self.files.reference(self.drive, self.files.folder_of(self.drive, change.number))
        return show(
            {
                "id": self.files.item_id(self.drive, change.number),
                "parentReference": above,
                kind: {},
                "deleted": {"state": "deleted"},
            }
        )

    def above(self, number: int) -> Iterable[int]:
        chain: list[int] = []
        while number and not self.alone:
            number = self.files.folder_of(self.drive, number)
            chain.insert(0, number)
        return chain
