"""What delta queries report of the directory: https://learn.microsoft.com/graph/delta-query-overview"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from simulated_tenant.changes import ChangeFeed, Show
from simulated_tenant.collection import Call
from simulated_tenant.entities import Entities
from simulated_tenant.history import Change
from simulated_tenant.problems import problem
from simulated_tenant.shapes import Entity
from simulated_tenant.workloads.directory.contents import Directory, Reference

RELATIONS = ("members", "owners")
ID_CLAUSE = re.compile(r"\(?id\s+eq\s+'(?P<id>[^']*)'\)?")
MOST_IDS = 50


class DirectoryChanges(ChangeFeed):
    """The changes of a kind of object. With $select only those of selected properties or relations count.

    https://learn.microsoft.com/graph/delta-query-overview#optional-query-parameters
    """

    def __init__(self, call: Call, kind: str, entities: Entities, untracked: Sequence[str]) -> None:
        for name in untracked:
            if call.selects(name):
                raise problem("not_in_a_delta", name)
        directory, self.kind = call.state.of(Directory), kind
        self.directory, self.selected = directory, call.selected
        self.minimal = "return=minimal" in call.preferences
        self.tracked = frozenset(name.split("/")[0] for name in call.selected or ())
        base = directory.count(kind)
        super().__init__(entities, directory.history(kind), range(base), base, wants=_by_id(call, kind))

    def matters(self, change: Change) -> bool:
        return not self.tracked or change.properties is None or not self.tracked.isdisjoint(change.properties)

    def entity(self, number: int, show: Show, recent: Collection[Change] | None) -> Entity:
        """The id and what was ever set of the selected properties; of the changed ones only if that is preferred.

        https://learn.microsoft.com/graph/api/user-delta#response
        """
        entity, values = self.entities.make(number), self.history.values.get(number, {})
        shown = {name: value for name, value in show(entity).items() if value is not None or name in values}
        if self.minimal and recent is not None:
            changed = frozenset().union(*(change.properties or () for change in recent))
            shown = {name: value for name, value in shown.items() if name in changed}
        return {"id": entity["id"], **shown, **self._relations(number, recent)}

    def _relations(self, group: int, recent: Collection[Change] | None) -> Entity:
        """Members come without being asked for, owners when selected: all of them, or who came and who left.

        https://learn.microsoft.com/graph/delta-query-groups
        """
        asked = ("members",) if self.selected is None else [name for name in RELATIONS if name in self.tracked]
        found = {}
        for name in asked if self.kind == "group" else ():
            if recent is None:
                people = dict.fromkeys(getattr(self.directory, name)(group), False)
            else:
                people = {
                    change.member[1]: change.member[2]
                    for change in recent
                    if change.member and change.member[0] == name
                }
            if people:
                found[f"{name}@delta"] = [self._person(member, gone) for member, gone in people.items()]
        return found

    def _person(self, member: Reference, gone: bool) -> Entity:
        kind, number = member
        person = {"@odata.type": f"#microsoft.graph.{kind}", "id": self.directory.ids[kind][number]}
        return {**person, **({"@removed": {"reason": "deleted"}} if gone else {})}

    def tombstone(self, change: Change, show: Show) -> Entity:
        """`changed` means that it can be restored: https://learn.microsoft.com/graph/delta-query-overview"""
        number = change.number
        return {"id": self.directory.ids[self.kind][number], "@removed": {"reason": self.history.gone[number]}}


def _by_id(call: Call, kind: str) -> Callable[[int], bool] | None:
    """A delta query can be about some objects only: https://learn.microsoft.com/graph/api/user-delta#odata-query-parameters"""
    text = call.options.get("$filter")
    if not text:
        return None
    clauses = [ID_CLAUSE.fullmatch(clause) for clause in re.split(r"\s+or\s+", text.strip())]
    if None in clauses:
        raise call.endpoint.workload.unfilterable(text.split()[0], kind)
    if len(clauses) > MOST_IDS:
        raise problem("too_many_ids", str(MOST_IDS))
    wanted = {call.state.of(Directory).ids[kind].find(clause["id"]) for clause in clauses if clause}
    return wanted.__contains__
