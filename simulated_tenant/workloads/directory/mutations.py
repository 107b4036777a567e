"""How the directory's objects and their members change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulated_tenant.history import History
from simulated_tenant.mutations import Key, Mutations
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import VISIBLE_BY, Directory, Reference


class OwnedMutations(Mutations):
    """Objects below a user or a group."""

    def __init__(self, state: State, stream: str) -> None:
        super().__init__(state, stream)
        self.directory = state.of(Directory)

    def owner(self, kind: str, text: str | None, trouble: str = "user") -> int:
        """The number of the user or group with that id, or of the first that the workload would serve."""
        if text is not None:
            number = self.directory.find(kind, text)
            return number if number is not None else self.missing({"id": text})
        skipped = {*self.state.trouble["user"], *self.state.trouble[trouble]} if kind == "user" else ()
        return next(number for number in self.directory.numbers(kind) if number not in skipped)


class ObjectMutations(Mutations):
    """A kind of directory object. What is deleted is gone for good."""

    def __init__(self, state: State, stream: str, kind: str) -> None:
        super().__init__(state, stream)
        self.kind, self.directory = kind, state.of(Directory)

    @property
    def history(self) -> History:
        return self.state.histories.of(self.kind, self.directory.count(self.kind))

    def number(self, key: Mapping[str, str], gone: bool = False) -> int:
        number = self.directory.ids[self.kind].find(key["id"])
        known = number is not None and (number in self.history.gone if gone else self.history.exists(number))
        return number if number is not None and known else self.missing(key)

    def add(self) -> Key:
        number = self.history.count
        dated = "createdDateTime" in self.directory.founded((self.kind, number))
        self.history.add(self.state.clock(), {"createdDateTime": self.stamp} if dated else {})
        return {"id": self.directory.ids[self.kind][number]}

    def edit(self, key: Mapping[str, str], **properties: Any) -> None:
        number = self.number(key)
        name = f"{self.directory.founded((self.kind, number))['displayName']}, edited {len(self.history.changes)}"
        self.history.edit(number, self.state.clock(), properties or {"displayName": name})

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        gone = for_good and self.directory.find(self.kind, key["id"]) is None
        number = self.number(key, gone)
        lasting = for_good or not self.restorable(number)
        self.history.remove(number, self.state.clock(), "deleted" if lasting else "changed")

    def restorable(self, number: int) -> bool:
        """Whether the object can be restored if it is deleted now."""
        return False


class RestorableMutations(ObjectMutations):
    """A kind whose deleted objects can be restored, except for groups that are not Microsoft 365's.

    https://learn.microsoft.com/graph/delta-query-groups
    """

    def restorable(self, number: int) -> bool:
        return self.kind != "group" or "Unified" in self.directory.object((self.kind, number))["groupTypes"]

    def restore(self, key: Mapping[str, str]) -> None:
        number = self.number(key, gone=True)
        if self.history.gone[number] != "changed":
            self.refuse("What was deleted for good can't be restored")
        self.history.restore(number, self.state.clock())


class RoleMutations(ObjectMutations):
    """Directory roles, which are activated from templates."""

    def add(self) -> Key:
        if self.history.count >= self.directory.count("directoryRoleTemplate"):
            self.refuse("Every role is active already")
        return super().add()


class MemberMutations(OwnedMutations):
    """Who belongs to a group, or owns it."""

    def __init__(self, state: State, stream: str, relation: str) -> None:
        super().__init__(state, stream)
        self.relation = relation

    def people(self, group: int) -> Sequence[Reference]:
        found: Sequence[Reference] = getattr(self.directory, self.relation)(group)
        return found

    def reference(self, text: str) -> Reference:
        found = ((kind, self.directory.find(kind, text)) for kind in VISIBLE_BY)
        return next((kind, number) for kind, number in found if number is not None)

    def add(self, group_id: str | None = None, id: str | None = None) -> Key:  # noqa: A002
        """A member by its id, or the first user who is none, of that group or the first that lacks someone."""
        groups = self.directory.numbers("group") if group_id is None else [self.owner("group", group_id)]
        member = self.reference(id) if id else None
        group, (kind, number) = next(pair for group in groups for pair in self._strangers(group, member))
        self._relate(group, (kind, number), there=True)
        return {"id": self.directory.ids[kind][number], "group_id": self.directory.ids["group"][group]}

    def _strangers(self, group: int, member: Reference | None) -> Iterator[tuple[int, Reference]]:
        people = set(self.people(group))
        candidates = [member] if member else (("user", user) for user in self.directory.numbers("user"))
        return ((group, candidate) for candidate in candidates if candidate not in people)

    def delete(self, key: Mapping[str, str], for_good: bool = False) -> None:
        group, member = self.owner("group", key["group_id"]), self.reference(key["id"])
        if member not in self.people(group):
            self.missing(key)
        self._relate(group, member, there=False)

    def _relate(self, group: int, member: Reference, there: bool) -> None:
        self.directory.related.setdefault((self.relation, group), {})[member] = there
        history = self.state.histories.of("group", self.directory.count("group"))
        history.relate(group, self.state.clock(), self.relation, member, gone=not there)
