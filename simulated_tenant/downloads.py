"""Usage reports as Graph serves them: a redirect to a preauthenticated URL, and behind it a CSV file.

Whoever has the URL has the file, for some minutes. A token beside it is refused, as storage services do.
https://learn.microsoft.com/graph/api/reportroot-getemailactivityuserdetail#response
"""

from __future__ import annotations

import csv
import io
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from . import report_columns
from .catalogue import Catalogue
from .collection import Call, CompleteRead, Report
from .problems import problem
from .state import State
from .wire import Reply, Request, json_headers, request_id

FOLDER = "/reports-download/"
OF_A_DAY = re.compile(r"date=(\d{4}-\d\d-\d\d)")
OF_A_PERIOD = re.compile(r"period='D(7|30|90|180)'")
MINUTES = 10
KEPT = timedelta(days=30)


def redirect(call: Call, report: Report) -> Reply:
    """To the file of the day or period that the request names."""
    arguments = unquote(call.request.path).partition("(")[2].removesuffix(")")
    day = OF_A_DAY.fullmatch(arguments)
    if day and report.by_day:
        when, now = datetime.fromisoformat(day[1]).replace(tzinfo=UTC), datetime.fromtimestamp(call.state.clock(), UTC)
        if not min(now, call.state.today) - KEPT <= when <= now:
            raise problem("report_out_of_range", day[1])
    elif not OF_A_PERIOD.fullmatch(arguments):
        raise problem("report_without_period", arguments)
    ticket = f"{report.path};{day[1] if day else ''};{call.state.clock()}"
    token = urlsafe_b64encode(f"{ticket};{_seal(call.state, ticket)}".encode()).decode()
    location = f"https://{call.request.host}{FOLDER}{report.stream}?token={quote(token)}"
    headers = json_headers(call.request, request_id()) | {"Location": location}
    return Reply(302, b"", headers, workload=report.workload.name)


def respond(state: State, catalogue: Catalogue, request: Request) -> Reply | None:
    """The file behind such a URL; None for any other URL."""
    if not request.path.startswith(FOLDER):
        return None
    try:
        ticket, _, seal = urlsafe_b64decode(dict(request.parameters())["token"]).decode().rpartition(";")
        path, day, issued = ticket.split(";")
    except (KeyError, ValueError):
        return Reply(403, b"<Error><Code>AuthenticationFailed</Code></Error>", {"Content-Type": "application/xml"})
    is_old = state.clock() - float(issued) > MINUTES * 60
    if "authorization" in request.headers or seal != _seal(state, ticket) or is_old:
        return Reply(403, b"<Error><Code>AuthenticationFailed</Code></Error>", {"Content-Type": "application/xml"})
    report = next(each for each in catalogue.collections if each.path == path)
    rows = [row for row in report.entities(CompleteRead(state, report, {})) if day in ("", row["reportDate"])]
    return Reply(200, _file(report.type, rows), {"Content-Type": "application/octet-stream"})


def _seal(state: State, ticket: str) -> str:
    return state.key.hex()[:8] + str(sum(ticket.encode()))


def _file(report: str, rows: list[Mapping[str, Any]]) -> bytes:
    """UTF-8 with a byte order mark, and lines that end with CR and LF."""
    headers = report_columns.headers(report)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["\ufeffReport Refresh Date", *list(headers.values())[1:]])
    says = ("Yes", "No") if report.startswith("report.teams") else ("True", "False")
    for row in rows:
        writer.writerow([_text(row[name], says) for name in headers])
    return text.getvalue().encode()


def _text(value: Any, says: tuple[str, str]) -> str:
    if isinstance(value, bool):
        return says[not value]
    return "" if value is None else str(value)
