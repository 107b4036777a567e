"""Usage reports of Microsoft 365, which Graph keeps as CSV files: https://learn.microsoft.com/graph/reportroot-authorization"""

from __future__ import annotations

import csv
import io
import re
from abc import ABC
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any, ClassVar, cast

import requests

from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest, Redirect
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.page_loop import PageLoop
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.streams.window import learn_the_time
from source_microsoft_graph.sync.cursors import SingleCursor, SliceProgress, StreamCursor

_OLDEST, _NEWEST = 28, 2
"""How many days ago the first and the last day are whose reports are read. Graph has those of the last 28 days, and
makes each within 48 hours: https://learn.microsoft.com/microsoft-365/admin/activity-reports/activity-reports"""

_WHOLE = "(period='D180')"
_CHEAPEST = "(period='D7')"

_CONCEALED = re.compile(r"[0-9A-Fa-f]{32}")
"""What stands for a name, and for a URL, where an administrator has not chosen to show them."""

_NAMES = ("user_principal_name", "owner_principal_name", "owner_display_name", "group_display_name")

_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T00:00:00Z?)?")
_NO_LETTER = re.compile(r"[^a-z0-9]+")


class ReportStream(GraphStream, ABC):
    """A usage report: a file for each day that has somebody's activity, or one of the last 180 days where Graph has no
    file of a day.

    An incremental read begins with the day after the last one that had rows, for a file without rows may be one that
    Graph has not made yet. `id` is made of the day and of `identified_by`, `report_date` is the day.
    """

    page_size = None
    cursor_field: str | list[str] = "report_refresh_date"
    service = Service.USAGE_REPORTS
    permissions = ("Reports.Read.All",)

    by_day: ClassVar[bool] = True
    """Whether Graph has a file of each day."""

    identified_by: ClassVar[tuple[str, ...]]
    """The columns that tell a file's rows apart."""

    @property
    def probe_path(self) -> str:  # type: ignore[override]
        """Any file will do, for it is not fetched."""
        return f"{self.path_template}{_CHEAPEST}"

    def new_cursor(self) -> StreamCursor:
        return SingleCursor(self.fingerprint, of_time=True)

    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        """Day by day, the oldest first, because the position is the last day that had rows."""
        position = progress.since() if progress else None
        last = position or ""
        for listing in self.listings(stream_slice, progress):
            for record in PageLoop(self, None).records([listing]):
                day = record["report_date"]
                # Without a file of a day, a file that was read before comes again.
                if not position or day > position:
                    last = max(last, day)
                    yield record
            if progress and last != (position or ""):
                progress.done[position or ""] = last

    def listings(self, stream_slice: Slice, progress: SliceProgress | None = None) -> Iterator[Listing]:
        """The files that may have rows after the position."""
        position = progress.since() if progress else None
        if not self.by_day:
            yield Listing(f"{self.path()}{_WHOLE}", {})
            return
        learn_the_time(self)
        today = self.sync.started_at.date()
        first = today - timedelta(days=_OLDEST)
        if position:
            # A state that somebody wrote may hold a time.
            first = max(first, date.fromisoformat(position[:10]) + timedelta(days=1))
        elif self.sync.config.start_date:
            first = max(first, self.sync.config.start_date.date())
        for number in range((today - first).days - _NEWEST + 1):
            day = str(first + timedelta(days=number))
            yield Listing(f"{self.path()}(date={day})", {"report_date": day})

    def page_request(self, listing: Listing) -> PageRequest:
        objects = (
            None if listing.path == self.probe_path else partial(self._objects, listing.parents.get("report_date"))
        )
        return replace(super().page_request(listing), part=self.path_template, redirect=Redirect(objects))

    def parse_response(self, response: requests.Response, **_: Any) -> Iterator[dict[str, Any]]:
        """The rows of a file, whose names are the columns' already."""
        rows = cast(GraphResponse, response).body["value"]
        rows.reverse()
        while rows:
            # The CDK takes an empty record for the end of the sync.
            if row := rows.pop():
                yield row

    # From a file to its rows.

    def _objects(self, day: str | None, content: bytes) -> list[dict[str, Any]]:
        """The rows of a file, of this day or of the day that they name. Raises `ValueError` for what is no report."""
        schema = self.get_json_schema()["properties"]
        texts: dict[str, str] = {}
        ids: Counter[str] = Counter()
        rows = []
        for row in _rows(content):
            record = {column: _value(texts.setdefault(text, text), schema.get(column, {})) for column, text in row}
            record["report_date"] = day or record.get("report_refresh_date")
            if not record["report_date"]:
                raise ValueError("a row has no Report Refresh Date")
            identifier = " ".join(str(record.get(column) or "") for column in ("report_date", *self.identified_by))
            ids[identifier] += 1
            # Where names are concealed, several rows may bear the same ones.
            record["id"] = identifier if ids[identifier] == 1 else f"{identifier} {ids[identifier]}"
            rows.append(record)
        if rows and any(_CONCEALED.fullmatch(str(rows[0].get(column))) for column in _NAMES):
            self._warn_of_concealed_names()
        return rows

    def _warn_of_concealed_names(self) -> None:
        self.sync.warn_once(
            "concealed names",
            f"{self.name}: Microsoft conceals the names of users, groups and sites in usage reports, so these tables "
            "join with no other. To show them, clear “Display concealed user, group, and site names in all reports” in "
            "the Microsoft 365 admin center (Settings > Org settings > Services > Reports). "
            "(https://learn.microsoft.com/microsoft-365/admin/activity-reports/activity-reports)",
        )


def _rows(content: bytes) -> Iterator[list[tuple[str, str]]]:
    """Each row of a CSV file as pairs of column and text."""
    lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    try:
        columns = [_column(name) for name in next(lines, ())]
        if "report_refresh_date" not in columns:
            raise ValueError("its first line does not name Report Refresh Date")
        for line in lines:
            if line:
                yield list(zip(columns, line, strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _column(header: str) -> str:
    """`Prohibit Send/Receive Quota (Byte)` → `prohibit_send_receive_quota_byte`."""
    return _NO_LETTER.sub("_", header.lower()).strip("_")


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    """The text as the column's type; as it is where it does not look like that, or the column is not known."""
    if not text:
        return None
    kinds = schema.get("type", ())
    if "boolean" in kinds:
        return _BOOLEANS.get(text.lower(), text)
    if "integer" in kinds:
        return int(text) if text.isdecimal() else text
    # Some files write a day as a time.
    is_day = schema.get("format") == "date" and _DATE.fullmatch(text)
    return is_day[1] if is_day else text
