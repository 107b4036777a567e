"""What Microsoft's usage reports tell of a tenant.

https://learn.microsoft.com/graph/api/resources/report
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from simulated_tenant import report_columns
from simulated_tenant.collection import Query
from simulated_tenant.entities import Entities
from simulated_tenant.mutations import Key, Mutations
from simulated_tenant.shapes import Entity, Shape
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import Directory

DAYS = 3
LATENCY = 3
CONCEALED = "5C2E1B9F0D3A4E6781726354A5B6C7D8"


class Usage:
    """The reports that were made so far: the first days of a new tenant, and those that came since."""

    def __init__(self, state: State) -> None:
        self.made: Counter[str] = Counter()


class UsageReport:
    """One report: a file of each day, or one that is replaced where there is none of a day. `key` are the properties
    that tell its rows apart."""

    def __init__(self, report: str, key: tuple[str, ...], by_day: bool) -> None:
        self.report, self.key, self.by_day = report, key, by_day

    def entities(self, query: Query) -> Entities:
        """Every row of every day, the oldest first."""
        state = query.state
        made, rows = state.of(Usage).made[self.report], min(4, state.size.users)
        days = range(DAYS + made) if self.by_day else (DAYS + made - 1,)
        numbers = [day * rows + number for day in days for number in range(rows)]
        return Entities(numbers, lambda number: self._row(state, *divmod(number, rows)))

    def _row(self, state: State, day: int, number: int) -> Entity:
        directory = state.of(Directory)
        person = directory.founded(("user", number))
        date = f"{state.today - timedelta(days=LATENCY + DAYS - 1 - day):%Y-%m-%d}"
        concealed = state.traits.concealed_names
        own = {
            "reportRefreshDate": date,
            "reportDate": date,
            "reportPeriod": 1 if self.by_day else 180,
            "userId": person["id"],
            "userPrincipalName": CONCEALED if concealed else person["userPrincipalName"],
            "ownerPrincipalName": CONCEALED if concealed else person["userPrincipalName"],
            "displayName": 'Vance, "Adele"\nof Müller',
            "siteId": "00000000-0000-0000-0000-000000000000" if concealed else person["id"],
            "siteUrl": CONCEALED if concealed else f"https://contoso.sharepoint.com/sites/{number}",
            "groupId": directory.ids["group"][number],
            "assignedProducts": "OFFICE 365 E5+ENTERPRISE MOBILITY + SECURITY E5",
            "audioDuration": "PT0S",
        }
        shape = Shape(self.report, state.seed)
        known = report_columns.headers(self.report).keys() | report_columns.MADE.keys()
        row = {**shape.entity(number, {}), **{name: value for name, value in own.items() if name in known}}
        identifier = " ".join(str(row.get(name) or "") for name in ("reportDate", *self.key))
        # Concealed names may be the same in several rows.
        return row | {"id": f"{identifier} {number + 1}" if concealed and number else identifier}


class ReportMutations(Mutations):
    """A report grows by a day, or is made anew."""

    nature = ", a report"

    def __init__(self, state: State, stream: str, report: UsageReport) -> None:
        super().__init__(state, stream)
        self.report = report

    def add(self) -> Key:
        """The next day's report."""
        made = self.state.of(Usage).made
        made[self.report.report] += 1
        return {"id": self.report._row(self.state, DAYS + made[self.report.report] - 1, 0)["id"]}
