"""How Entra's logs grow."""

from __future__ import annotations

from datetime import timedelta

from simulated_tenant.mutations import Key, Mutations
from simulated_tenant.state import State
from simulated_tenant.workloads.audit.contents import Audit


class LogMutations(Mutations):
    """A log: what is in it stays as it is, and some of it arrives late."""

    nature = ", a log"

    def __init__(self, state: State, stream: str, kind: str, time: str) -> None:
        super().__init__(state, stream)
        self.kind, self.time, self.audit = kind, time, state.of(Audit)

    def add(self, late: timedelta = timedelta()) -> Key:
        """An entry about something that happened so long ago."""
        history = self.state.histories.of(self.kind, self.audit.founded(self.kind))
        number = history.add(self.state.clock(), {self.time: self.audit.precise(self.now - late)})
        return {"id": self.audit.entry(self.kind, number)["id"]}
