"""Usage reports: files behind a redirect, fetched without the token, read by the names of their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import requests
import requests_mock

from source_microsoft_graph.graph.rate_limits import RateLimiter, Service
from source_microsoft_graph.retries import SyncClock
from source_microsoft_graph.streams.report import ReportStream
from unit_tests.conftest import Clock
from unit_tests.graph_api import GRAPH, FakeGraph, an_error, errors, read, rows, statuses, warnings
from unit_tests.roll import every_stream, stream_named
from unit_tests.test_changed import GRAPH_TIME, incremental, since, state_of

FILES = "https://reportsweu.office.example/data/download/JDFKdf2-eJXKS034dbc7e0t"
TOKEN = "a~ticket~that~opens~the~file~for~whoever~has~it"
MAIL = "reports/getEmailActivityUserDetail"
HEADER = "Report Refresh Date,User Principal Name,Is Deleted,Send Count,Assigned Products"
NEWEST = "2026-09-29"
"""Two days before the time of the fake Graph."""


class Reports:
    """A Graph that redirects each request for a report, and the host with the files."""

    def __init__(self, mocker: requests_mock.Mocker, path: str, files: Mapping[str, str]) -> None:
        """`files` are the lines of each file by the arguments of its request; any other file has its header alone."""
        self.mocker, self.files = mocker, files
        self.redirects: list[str] = []
        """The arguments of each request. The first of a sync that reads nothing else tells Graph's time."""
        self.fetched: list[requests.PreparedRequest] = []
        self.refused = 0
        mocker.get(re.compile(re.escape(GRAPH + path)), text=self._redirect)
        mocker.get(re.compile(re.escape(FILES)), content=self._file)

    def _redirect(self, request: Any, context: Any) -> str:
        arguments = request.url.partition("(")[2].removesuffix(")").replace("%27", "'")
        self.redirects.append(arguments)
        number = len(self.redirects)
        location = f"{FILES}?token={TOKEN}-{number}&of={arguments}"
        context.status_code, context.headers = 302, {"Location": location, **GRAPH_TIME}
        return ""

    def _file(self, request: Any, context: Any) -> bytes:
        self.fetched.append(request)
        if self.refused:
            self.refused -= 1
            context.status_code = 403
            return f"<Error>AuthenticationFailed {request.url}</Error>".encode()
        arguments = request.url.partition("&of=")[2].replace("%27", "'")
        return ("\ufeff" + self.files.get(arguments, HEADER) + "\r\n").encode()


@pytest.fixture
def mocker(graph: FakeGraph) -> requests_mock.Mocker:
    return graph._mocker


def a_day(day: str, *lines: str) -> dict[str, str]:
    return {f"date={day}": "\r\n".join([HEADER, *(f"{day},{line}" for line in lines)])}


def test_a_file_becomes_rows(mocker: requests_mock.Mocker) -> None:
    """Quoted texts, both spellings of booleans, empty cells, and no part of a product's name taken for another one."""
    Reports(mocker, MAIL, a_day(
        NEWEST,
        'a@x.example,False,12,"E5+ENTERPRISE MOBILITY + SECURITY E5"',
        '"b, the ""second""\r\nb@x.example",Yes,,',
        "c@x.example,True,many,P1",
    ))  # fmt: skip

    first, second, third = rows(read("report_email_activity"))

    assert first == {
        "id": f"{NEWEST} a@x.example",
        "report_date": NEWEST,
        "report_refresh_date": NEWEST,
        "user_principal_name": "a@x.example",
        "is_deleted": False,
        "send_count": 12,
        "assigned_products": "E5+ENTERPRISE MOBILITY + SECURITY E5",
    }
    assert (second["user_principal_name"], second["is_deleted"]) == ('b, the "second"\r\nb@x.example', True)
    assert not {"send_count", "assigned_products"} & second.keys()
    assert third["send_count"] == "many"


def test_columns_are_known_by_their_names(mocker: requests_mock.Mocker) -> None:
    """In another order, with one that nobody knows, one that is missing, and a day that is written as a time."""
    Reports(mocker, "reports/getMailboxUsageDetail", {
        "period='D180'": "New Column (Byte),Prohibit Send/Receive Quota (Byte),User Principal Name,"
        "Report Refresh Date\r\n7,107374182400,a@x.example,2026-09-29T00:00:00Z"
    })  # fmt: skip

    (row,) = rows(read("report_mailbox_usage"))

    assert row == {
        "id": "2026-09-29 a@x.example",
        "report_date": "2026-09-29",
        "report_refresh_date": "2026-09-29",
        "user_principal_name": "a@x.example",
        "prohibit_send_receive_quota_byte": 107374182400,
        "new_column_byte": "7",
    }


def test_a_reports_columns_are_no_names_of_graphs(mocker: requests_mock.Mocker) -> None:
    """Graph's `isDeleted` and a report's `is_deleted` do not stand for one column of one table."""
    Reports(mocker, MAIL, a_day(NEWEST, "a@x.example,False,12,"))
    mocker.get(f"{GRAPH}identityProtection/riskyUsers", json={"value": [{"id": "1", "isDeleted": False}]})

    output = read("risky_users", "report_email_activity")

    assert [row["is_deleted"] for row in rows(output)] == [False, False]
    assert not [warning for warning in warnings(output) if "would both be column" in warning]


def test_each_day_of_four_weeks_is_read(mocker: requests_mock.Mocker) -> None:
    reports = Reports(mocker, MAIL, {**a_day("2026-09-03", "a,False,1,"), **a_day(NEWEST, "a,False,1,")})

    assert [row["report_date"] for row in rows(read("report_email_activity"))] == ["2026-09-03", NEWEST]
    assert reports.redirects[1:] == [f"date={day}" for day in days_of_september(3)]


def days_of_september(first: int) -> list[str]:
    return [f"2026-09-{day:02}" for day in range(first, 30)]


def test_the_token_does_not_go_along(mocker: requests_mock.Mocker) -> None:
    """Neither the token nor a cookie nor a password of ~/.netrc reaches the host of the files."""
    reports = Reports(mocker, MAIL, a_day(NEWEST, "a,False,1,"))

    read("report_email_activity")

    assert len(reports.fetched) == 27
    assert not any({"Authorization", "Cookie"} & request.headers.keys() for request in reports.fetched)


def test_another_url_is_requested_where_a_file_is_refused(mocker: requests_mock.Mocker) -> None:
    """A URL is good for minutes only."""
    reports = Reports(mocker, "reports/getMailboxUsageDetail", {"period='D180'": f"{HEADER}\r\n{NEWEST},a,False,1,"})
    reports.refused = 2

    assert len(rows(read("report_mailbox_usage"))) == 1
    assert len({request.url for request in reports.fetched}) == len(reports.redirects) == 3


@pytest.mark.parametrize("trouble", ["refused", "connection", "no report", "no https"])
def test_no_url_is_printed(mocker: requests_mock.Mocker, caplog: pytest.LogCaptureFixture, trouble: str) -> None:
    """Whatever goes wrong, the stream is incomplete and says so without what would open the file."""
    caplog.set_level("DEBUG")
    reports = Reports(mocker, "reports/getMailboxUsageDetail", {"period='D180'": "<html>"})
    if trouble == "refused":
        reports.refused = 100
    elif trouble == "connection":
        mocker.get(re.compile(re.escape(FILES)), exc=requests.ConnectionError(f"No route to {FILES}?token={TOKEN}-1"))
    elif trouble == "no https":
        location = f"http://files.example/{TOKEN}"
        mocker.get(re.compile(re.escape(GRAPH)), status_code=302, headers={"Location": location})

    output = read("report_mailbox_usage", fails=True)

    assert statuses(output, "report_mailbox_usage")[-1] == "INCOMPLETE"
    assert errors(output)["report_mailbox_usage"]
    for printed in (str(output._messages), caplog.text):
        assert TOKEN not in printed
        assert "JDFKdf2" not in printed


def test_concealed_names_are_told_once_and_lose_no_row(mocker: requests_mock.Mocker) -> None:
    """Names are hashes then and the ids of sites zeros, so that several rows look alike."""
    line = f"{NEWEST},00000000-0000-0000-0000-000000000000,5C2E1B9F0D3A4E6781726354A5B6C7D8"
    lines = "\r\n".join(["Report Refresh Date,Site Id,Owner Principal Name", line, line])
    for path in ("reports/getOneDriveUsageAccountDetail", "reports/getSharePointSiteUsageDetail"):
        Reports(mocker, path, {f"date={NEWEST}": lines})

    output = read("report_onedrive_usage", "report_sharepoint_site_usage")

    assert len({(row["id"]) for row in rows(output, "report_onedrive_usage")}) == 2
    assert len(rows(output)) == 4
    (told,) = [warning for warning in warnings(output) if "conceals" in warning]
    assert "Display concealed user, group, and site names in all reports" in told


def test_a_day_without_rows_is_asked_for_again(mocker: requests_mock.Mocker) -> None:
    """Its file may not have been made yet; the position is the last day that had rows."""
    Reports(mocker, MAIL, a_day("2026-09-25", "a,False,1,"))
    first = incremental("report_email_activity")
    reports = Reports(mocker, MAIL, a_day("2026-09-28", "a,False,2,"))

    second = incremental("report_email_activity", state_of(first))

    assert since(first) == "2026-09-25"
    assert reports.redirects[1:] == [f"date={day}" for day in days_of_september(26)]
    assert [row["id"] for row in rows(second)] == ["2026-09-28 a"]
    assert since(second) == "2026-09-28"


def test_a_file_of_a_period_comes_once(mocker: requests_mock.Mocker) -> None:
    Reports(mocker, "reports/getMailboxUsageDetail", {"period='D180'": f"{HEADER}\r\n{NEWEST},a,False,1,"})
    first = incremental("report_mailbox_usage")

    second = incremental("report_mailbox_usage", state_of(first))

    assert len(rows(first)) == 1
    assert rows(second) == []
    assert since(second) == NEWEST


def test_each_report_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Graph throttles one, the others go on; from then on it gets fourteen requests in ten minutes."""
    clock = Clock()
    monkeypatch.setattr(SyncClock, "now", lambda _: clock.now())
    limiter = RateLimiter(SyncClock())
    for _ in range(14):
        limiter.delay(Service.USAGE_REPORTS, 1, "a", take=True)

    limiter.pause(Service.USAGE_REPORTS, 30, "a")

    assert limiter.delay(Service.USAGE_REPORTS, 1, "b") == 0
    assert limiter.delay(Service.USAGE_REPORTS, 1, "a") > 600


def test_a_check_fetches_no_file(graph: FakeGraph, mocker: requests_mock.Mocker) -> None:
    """That Graph redirects is enough to know that a report can be read."""
    stream = stream_named("report_email_activity")
    reports = Reports(mocker, MAIL, {})

    probe = stream.probe(None)
    assert probe
    sync = stream.sync.__class__(stream.sync.config, stream.logger)
    sync.auth.token = lambda: ""  # type: ignore[method-assign]
    response = sync.client.get(probe).response

    assert response.body == {"value": []}
    assert (reports.redirects, reports.fetched) == (["period='D7'"], [])


def test_no_report_is_one_of_a_batch() -> None:
    """Graph answers there with a redirect that nobody follows, or with the file as one long text."""
    for stream in every_stream():
        if isinstance(stream, ReportStream):
            assert stream.batch_size == stream.service.value.in_one_batch(20) == 1


@pytest.mark.parametrize(
    ("answer", "lasts", "words"),
    [
        (an_error(503, "ServiceUnavailable"), False, ""),
        (an_error(503, "ServiceUnavailable"), True, "Graph failed"),
        ({**an_error(429, "TooManyRequests"), "headers": {"Retry-After": "30"}}, False, ""),
        (an_error(403, "S2SUnauthorized", "Invalid permission."), True, "The app may not read this."),
        (an_error(404, "UnknownError"), True, "404"),
        ({"status_code": 302, "text": "<html>A proxy</html>", "headers": {"Location": ""}}, True, "not https"),
    ],
    ids=["503 once", "503", "429 once", "403", "404", "a redirect to nowhere"],
)
def test_a_fault_of_graph(mocker: requests_mock.Mocker, answer: dict[str, Any], lasts: bool, words: str) -> None:
    """Before the redirect: what passes is waited out, and what lasts makes the stream incomplete, with the reason."""
    path = "reports/getMailboxUsageDetail"
    reports = Reports(mocker, path, {"period='D180'": f"{HEADER}\r\n{NEWEST},a,False,1,"})
    answers = [answer] if lasts else [answer, {"text": reports._redirect}]
    mocker.get(re.compile(re.escape(GRAPH + path)), answers)

    output = read("report_mailbox_usage", fails=lasts)

    assert statuses(output, "report_mailbox_usage")[-1] == ("INCOMPLETE" if lasts else "COMPLETE")
    assert len(rows(output)) == (0 if lasts else 1)
    assert words in errors(output).get("report_mailbox_usage", "")
