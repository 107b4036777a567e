"""What each answer means: the catalogue held against answers as Graph words them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import datetime, tzinfo
from operator import attrgetter
from typing import Any

import msgspec
import pytest
import requests
from airbyte_cdk.models import FailureType
from urllib3.exceptions import ReadTimeoutError

from source_microsoft_graph import retries
from source_microsoft_graph.auth.refusals import SIGN_IN
from source_microsoft_graph.errors import (
    PERMISSION,
    ConnectionFailed,
    GraphError,
    GraphUnavailable,
    GraphUnreachable,
    ProtocolBroken,
    SignInRefused,
    StreamRefused,
)
from source_microsoft_graph.graph import response as response_module
from source_microsoft_graph.graph.catalogue import CATALOGUE, UNKNOWN, Action, classify
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.redaction import remember
from source_microsoft_graph.retries import retry_after
from source_microsoft_graph.transport import ResponseOutOfBounds, ResponseTooLong

NOT_TOP = "The query specified in the URI is not valid. Query option 'Top' is not allowed. To allow it, set it."
NO_MAILBOX = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
NO_ROLE = "Missing role permissions on the request. API requires one of 'Team.Read'. Roles on the request ''."
NO_SPO = "Tenant does not have a SPO license."
NO_TEAMS = "Failed to get license information for the user. Ensure user has a valid Office365 license assigned"
NOT_PREMIUM = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
BACKEND = "Failed to execute Skype backend request GetThreadRosterS2SRequest."
BLOCKED = "Access to this site has been blocked. Please contact the administrator to resolve this problem."

# The situation, and Graph's answer to it: status, code, message, the innermost code, what happens next.
ANSWERS = [
    ("throttled", 429, "TooManyRequests", "Too many requests.", "", Action.WAIT),
    ("mailbox throttled", 429, "ApplicationThrottled", "Over its MailboxConcurrency limit.", "", Action.WAIT),
    ("throttled, whatever else it says", 429, "ErrorInvalidUser", NO_SPO, "syncStateNotFound", Action.WAIT),
    ("token refused", 401, "InvalidAuthenticationToken", "Lifetime validation failed.", "", Action.RENEW),
    ("new tenant's team members", 401, "Unauthorized", "", "", Action.RENEW),
    ("delta token gone", 410, "resyncChangesApplyDifferences", "Resync required.", "", Action.RESTART),
    ("page token expired", 400, "Directory_ExpiredPageToken", "The page token has expired.", "", Action.RESTART),
    ("page token lost", 400, "DirectoryPageTokenNotFoundException", "Not found.", "", Action.RESTART),
    ("delta token forgotten", 404, "syncStateNotFound", "The sync state is not found.", "", Action.RESTART),
    ("delta token invalid", 400, "SyncStateInvalid", "The sync state is invalid.", "", Action.RESTART),
    ("delta token outdated", 400, "ResyncRequired", "Resync.", "", Action.RESTART),
    ("skip token expired", 400, "BadRequest", "The skip token is either invalid or expired.", "", Action.RESTART),
    (
        "Teams page too large",
        400,
        "BadRequest",
        "The limit of '50' for Top query has been exceeded.",
        "",
        Action.UNPAGE,
    ),
    ("a link refused", 400, "BadRequest", "Query option 'SkipToken' is not allowed.", "", Action.UNPAGE),
    ("no paging at all", 400, "BadRequest", NOT_TOP, "", Action.UNPAGE),
    ("page too large", 400, "Request_UnsupportedQuery", "Invalid page size specified: '1000'.", "", Action.UNPAGE),
    ("corrupt item", 500, "ErrorCorruptData", "Data is corrupt.", "", Action.SHRINK),
    ("out of time", 504, "UnknownError", "", "", Action.SHRINK),
    ("no premium licence", 403, NOT_PREMIUM, "Neither tenant is B2C or tenant doesn't have premium", "", Action.FAIL),
    ("no premium, by text", 403, "Forbidden", "Tenant doesn't have premium license.", "", Action.FAIL),
    ("no SharePoint", 400, "BadRequest", NO_SPO, "", Action.FAIL),
    ("no Teams licence", 403, "Forbidden", NO_TEAMS, "", Action.SKIP),
    ("payment", 402, "PaymentRequired", "Payment required.", "", Action.FAIL),
    ("no mailbox", 404, "MailboxNotEnabledForRESTAPI", NO_MAILBOX, "", Action.SKIP),
    ("no mailbox, as an inner code", 400, "UnknownError", "", "MailboxNotEnabledForRESTAPI", Action.SKIP),
    ("no mailbox, older", 400, "UnknownError", "REST API is not yet supported for this mailbox.", "", Action.SKIP),
    ("invalid user", 400, "ErrorInvalidUser", "The requested user 'a@b.c' is invalid.", "", Action.SKIP),
    ("no such mailbox", 400, "ErrorNonExistentMailbox", "No mailbox is associated with it.", "", Action.SKIP),
    ("no OneDrive", 404, "ResourceNotFound", "User's mysite not found.", "", Action.SKIP),
    ("no OneDrive yet", 400, "BadRequest", "Unable to retrieve user's mysite URL.", "", Action.SKIP),
    ("no drive", 404, "itemNotFound", "The resource could not be found.", "", Action.SKIP),
    ("user gone", 404, "Request_ResourceNotFound", "Resource 'u' does not exist.", "", Action.SKIP),
    ("item gone", 404, "ErrorItemNotFound", "The specified object was not found in the store.", "", Action.SKIP),
    ("no team", 404, "NotFound", "No team found with Group Id 1", "", Action.SKIP),
    ("not for apps", 412, "PreconditionFailed", "Not supported in application-only context", "", Action.SKIP),
    ("site blocked", 423, "notAllowed", BLOCKED, "resourceLocked", Action.SKIP),
    ("Teams permission missing", 403, "Forbidden", NO_ROLE, "", Action.FAIL),
    ("mailbox out of scope", 403, "ErrorAccessDenied", "Access is denied. Check credentials.", "", Action.DENY),
    ("files denied", 403, "accessDenied", "Access denied", "", Action.DENY),
    ("directory denied", 403, "Authorization_RequestDenied", "Insufficient privileges.", "", Action.DENY),
    ("concurrency", 409, "Directory_ConcurrencyViolation", "Concurrency violation.", "", Action.RETRY),
    ("request timeout", 408, "RequestTimeout", "Timed out.", "", Action.RETRY),
    ("server error", 500, "InternalServerError", "Something went wrong.", "", Action.SHRINK),
    ("bad gateway", 502, "UnknownError", "", "", Action.SHRINK),
    ("service unavailable", 503, "ServiceNotAvailable", "Try later.", "", Action.SHRINK),
    ("bandwidth used up", 509, "BandwidthLimitExceeded", "Bandwidth limit exceeded.", "", Action.WAIT),
    ("not implemented", 501, "NotImplemented", "This operation target is not yet supported.", "", Action.FAIL),
    ("unsupported query", 400, "Request_UnsupportedQuery", "Unsupported query.", "", Action.FAIL),
    ("no such service", 400, "BadRequest", "Resource not found for the segment 'chats'.", "", Action.FAIL),
    ("unknown filter", 400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause.", "", Action.FAIL),
    ("bad request", 400, "Request_BadRequest", "Invalid filter clause.", "", Action.FAIL),
    ("no expansion", 400, "ExpandNotSupported", "Expand is not supported.", "", Action.FAIL),
    ("inefficient filter", 400, "InefficientFilter", "The restriction is too complex.", "", Action.FAIL),
    ("any other failure", 599, "NetworkConnectTimeout", "", "", Action.SHRINK),
    ("insufficient storage", 507, "quotaLimitReached", "", "", Action.SHRINK),
    ("redirect", 302, "Found", "", "", Action.FAIL),
    ("Intune throttled", 500, "", "Rate limit reached because of too many requests to query broker.", "", Action.WAIT),
    (
        "no Exchange",
        401,
        "OrganizationFromTenantGuidNotFound",
        "The tenant for tenant guid 't' does not exist",
        "",
        Action.FAIL,
    ),
    ("no Exchange, as an inner code", 401, "UnknownError", "", "OrganizationFromTenantGuidNotFound", Action.FAIL),
    ("no Exchange, in words", 404, "ErrorInternal", "Error: OrganizationFromTenantGuidNotFound.", "", Action.FAIL),
    (
        "token revoked by Conditional Access",
        403,
        "insufficient_claims",
        "Continuous access evaluation.",
        "",
        Action.RENEW,
    ),
    ("delta token gone, upload", 410, "resyncChangesUploadDifferences", "Resync.", "", Action.RESTART),
    ("delta token gone, as a 400", 400, "resyncChangesApplyDifferences", "Resync.", "", Action.RESTART),
    ("delta token gone, upload, as a 400", 400, "resyncChangesUploadDifferences", "Resync.", "", Action.RESTART),
    ("delta token gone, apply", 400, "resyncApplyDifferences", "Resync.", "", Action.RESTART),
    ("delta token gone, older upload", 400, "resyncUploadDifferences", "Resync.", "", Action.RESTART),
    (
        "delta token not supported",
        400,
        "BadRequest",
        "Parameter 'DeltaToken' not supported for it.",
        "",
        Action.RESTART,
    ),
    ("page too large for identity protection", 400, "BadRequest", "$top must be between 1 and 500.", "", Action.UNPAGE),
    ("too long a time", 400, "ErrorInvalidRequest", "Maximum number of days: 1825", "", Action.FAIL),
    ("no P2 licence", 400, "AadPremiumLicenseRequired", "The tenant needs Entra ID P2.", "", Action.FAIL),
    ("no identity protection", 403, "Forbidden", "Your tenant is not licensed for this feature.", "", Action.FAIL),
    ("no Defender", 403, "Forbidden", "Account is not provisioned.", "", Action.FAIL),
    ("no Intune", 400, "BadRequest", "Request not applicable to target tenant.", "", Action.FAIL),
    ("Teams out of reach", 403, "Forbidden", BACKEND, "", Action.RETRY),
    ("Teams out of reach, as a 404", 404, "NotFound", BACKEND, "", Action.RETRY),
    ("Teams out of reach, as a 400", 400, "BadRequest", BACKEND, "", Action.RETRY),
    ("Teams out of reach, as a 502", 502, "BadGateway", BACKEND, "", Action.SHRINK),
    ("mailbox not in the cloud, by words", 403, "ErrorX", NO_MAILBOX, "", Action.SKIP),
    (
        "deleted drive",
        400,
        "invalidRequest",
        "The provided drive id appears to be malformed, or does not exist.",
        "",
        Action.SKIP,
    ),
    ("another licence", 403, "Forbidden", "The user needs a licensed plan.", "", Action.SKIP),
    ("another licence, as a 400", 400, "BadRequest", "User does not have a valid license for it.", "", Action.SKIP),
    ("another licence, in other words", 400, "BadRequest", "The object does not have a license.", "", Action.SKIP),
    ("not licensed", 400, "BadRequest", "The user is not licensed for this.", "", Action.SKIP),
    ("licence required", 400, "BadRequest", "A license is required.", "", Action.SKIP),
    ("manager gone", 404, "Request_ResourceNotFound", "Resource 'manager' does not exist.", "", Action.SKIP),
    (
        "column without an index",
        400,
        "invalidRequest",
        "Field 'X' cannot be referenced in filter or orderby",
        "",
        Action.FAIL,
    ),
    ("teapot", 418, "Teapot", "I am one.", "", Action.FAIL),
]
AS_ARGUMENTS = [pytest.param(*answer[1:], id=answer[0]) for answer in ANSWERS]


def answered(status: int, body: Any = None, **headers: str) -> GraphResponse:
    """An answer: bytes as they are, anything else as JSON; underscores in a header's name stand for dashes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return GraphResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def an_error(code: str, message: str = "", inner: str = "", key: str = "innerError") -> dict[str, Any]:
    nested = {"date": "2024-01-01T00:00:00", "request-id": "a-request-id"} | ({"code": inner} if inner else {})
    return {"error": {"code": code, "message": message, key: nested}}


@pytest.mark.parametrize(("status", "code", "message", "inner", "action"), AS_ARGUMENTS)
@pytest.mark.parametrize("key", ["innerError", "innererror"])
def test_an_answer_is_understood(status: int, code: str, message: str, inner: str, action: Action, key: str) -> None:
    """Status, codes at any depth and message together say what happens next, however Graph spells the nesting."""
    assert classify(answered(status, an_error(code, message, inner, key))).action == action


@pytest.mark.parametrize(("status", "code", "message", "inner", "action"), AS_ARGUMENTS)
@pytest.mark.parametrize("spell", [str.lower, str.upper], ids=["lower", "upper"])
def test_case_does_not_matter(status: int, code: str, message: str, inner: str, action: Action, spell: Any) -> None:
    """Services of Graph spell the same code and text in different cases."""
    assert classify(answered(status, an_error(spell(code), spell(message), spell(inner)))).action == action


def test_every_row_of_the_catalogue_is_reached() -> None:
    """No row is shadowed by one before it, and none lacks an answer above; a broken connection answers 0."""
    reached = [classify(answered(status, an_error(*texts))) for _, status, *texts, _ in ANSWERS]
    broken = (requests.ReadTimeout, ReadTimeoutError, ResponseOutOfBounds, ResponseTooLong, requests.ConnectionError)
    reached += [classify(GraphResponse.none(a_request(), no_answer(kind))) for kind in broken]

    assert [known for known in CATALOGUE if known not in reached] == []


def test_rows_differ() -> None:
    """No row of the catalogue is there twice."""
    assert len(set(CATALOGUE)) == len(CATALOGUE)


def no_answer(kind: type[Exception]) -> Exception:
    return ReadTimeoutError(None, "", "Read timed out.") if kind is ReadTimeoutError else kind("Read timed out.")  # type: ignore[arg-type]


def a_request() -> requests.PreparedRequest:
    return requests.Request("GET", "https://graph.microsoft.com/v1.0/users").prepare()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_deepest_code_counts(depth: int) -> None:
    """However deep Graph hides the code that says what is the matter, it is found."""
    error: dict[str, Any] = {"code": "syncStateNotFound"}
    for level in range(depth):
        error = {"code": "UnknownError", "message": "", ("innerError", "innererror")[level % 2]: error}

    assert classify(answered(400, {"error": error})).action == Action.RESTART


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        pytest.param(404, "BadRequest", NO_SPO, id="a licence text with another status"),
        pytest.param(400, "Forbidden", NO_ROLE, id="a permission text with another status"),
        pytest.param(400, "ErrorCorruptData", "", id="a corruption code with another status"),
        pytest.param(400, "TooManyRequests", "", id="a throttling code with another status"),
        pytest.param(400, "xErrorInvalidUserx", "", id="a code inside a longer one"),
        pytest.param(400, "BadRequest", "ErrorInvalidUser", id="a code in the message"),
    ],
)
def test_no_row_matches_too_much(status: int, code: str, message: str) -> None:
    """A row matches only with all that it asks for."""
    general = classify(answered(status, an_error("SomethingElse")))

    assert classify(answered(status, an_error(code, message))) == general


@pytest.mark.parametrize("status", [403, 404, 400, 501])
def test_a_refusal_in_general_terms_is_not_precise(status: int) -> None:
    """These are also what Graph answers to a property it will not list, so they leave that possibility open."""
    assert classify(answered(status, an_error("SomethingElse"))).precise is False


def test_a_refusal_that_names_its_cause_is_precise() -> None:
    """All other rows name their cause, and none of those may be taken for a refused property."""
    premium = {row for row in CATALOGUE if "premium" in (row.code + row.text).lower() and row.status == 403}
    vague = {row for row in CATALOGUE if not row.precise}
    general = {row for row in vague if row.help.meaning == "The tenant has no licence for this."}

    assert {(row.status, row.code + row.text) for row in vague - premium - general} == {(403, ""), (404, "")}
    assert premium <= vague, "users are refused for want of a licence when they are asked for with their last sign-ins"
    assert all("licens" in row.text for row in general)
    assert UNKNOWN.precise is False


@pytest.mark.parametrize(
    ("status", "headers", "action"),
    [
        pytest.param(503, {"Retry_After": "30"}, Action.WAIT, id="503 that names a time"),
        pytest.param(503, {"Retry_After": "soon"}, Action.WAIT, id="503 that names a time badly"),
        pytest.param(503, {}, Action.SHRINK, id="503 that does not"),
        pytest.param(501, {"Retry_After": "30"}, Action.FAIL, id="501 whatever it names"),
        pytest.param(404, {"Retry_After": "30"}, Action.SKIP, id="404 whatever it names"),
    ],
)
def test_a_503_that_names_a_time_is_throttling(status: int, headers: Mapping[str, str], action: Action) -> None:
    """SharePoint throttles by 503, which is told from trouble by its Retry-After."""
    assert classify(answered(status, an_error("ServiceNotAvailable"), **headers)).action == action


@pytest.mark.parametrize(
    "body", [{"value": []}, {"value": [{"id": "1"}]}, {"@odata.context": "c", "value": [], "@odata.nextLink": "l"}]
)
def test_a_page_is_an_object_with_a_list(body: Any) -> None:
    """An answer with a list called value is a page, empty or not."""
    assert classify(answered(200, body)).action == Action.READ


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"value": [{"id": "1"}, {"id"', id="JSON cut off"),
        pytest.param(b"<html><body>Sign in to the hotel's network</body></html>", id="HTML"),
        pytest.param(b"\xff\xfe\x00", id="no text at all"),
        pytest.param(b"[" * 100_000, id="nested too deeply"),
        pytest.param(b'{"value": []}{"error": {"code": "x"}}', id="a page with an error behind it"),
        pytest.param([{"id": "1"}], id="a list"),
        pytest.param("value", id="a text"),
        pytest.param(None, id="null"),
        pytest.param({}, id="an empty object"),
        pytest.param({"id": "1"}, id="one object"),
        pytest.param({"value": None}, id="no list"),
        pytest.param({"value": {"id": "1"}}, id="an object for the list"),
        pytest.param({"value": "1"}, id="a text for the list"),
        pytest.param({"value": 1}, id="a number for the list"),
        pytest.param({"value": True}, id="a boolean for the list"),
        pytest.param({"Value": []}, id="a list of another name"),
        pytest.param({"error": {"code": "InternalServerError"}}, id="an error that calls itself a success"),
        pytest.param({"value": [{"id": "1"}], "error": {"code": "x"}}, id="an error beside the list"),
        pytest.param({"error": {"code": "x"}, "value": []}, id="an error before the list"),
        pytest.param({"value": [], "error": "x"}, id="a text for an error beside the list"),
        pytest.param({"value": [], "error": {}}, id="an empty error beside the list"),
        pytest.param({"value": [], "odata.error": {"code": "x"}}, id="an older error beside the list"),
    ],
)
def test_a_success_that_is_no_whole_page_is_asked_for_again(body: Any) -> None:
    """A body cut off, replaced on its way or with an error in it is passing trouble, never the end of a listing."""
    assert classify(answered(200, body)).action == Action.SHRINK


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205, 206, 207, 208, 226, 299])
@pytest.mark.parametrize("body", [{"value": [{"id": "1"}]}, b"", {"id": "1"}], ids=["page", "nothing", "object"])
def test_only_status_200_is_a_whole_page(status: int, body: Any) -> None:
    """206 is a partial answer of a provider, and no other success is documented for a list."""
    rule = classify(answered(status, body))

    assert (rule.action, "not the whole page" in rule.help.meaning) == (Action.RETRY, True)


# What no service of Graph's wrote.

FOREIGN = [
    pytest.param(b"<html>", id="HTML"),
    pytest.param(b"<!DOCTYPE html><title>403</title><h1>Microsoft-Azure-Application-Gateway/v2</h1>", id="a gateway"),
    pytest.param(b"Access denied by policy", id="words"),
    pytest.param(b"\xff\xfe\x00\x80", id="no text at all"),
    pytest.param(b"", id="nothing"),
    pytest.param(b" \r\n", id="blanks"),
    pytest.param(None, id="null"),
    pytest.param({}, id="an empty object"),
    pytest.param([], id="a list"),
    pytest.param("Forbidden", id="a text"),
    pytest.param(5, id="a number"),
    pytest.param({"message": "Forbidden"}, id="JSON of a gateway"),
    pytest.param({"timestamp": "t", "status": 404, "error": "Not Found", "path": "/v1.0"}, id="a text for the error"),
    pytest.param({"error": ["a", "b"]}, id="a list for the error"),
    pytest.param({"error": {}}, id="an empty error"),
    pytest.param({"value": []}, id="a page"),
    pytest.param({"error": {"code": "UnknownError", "message": "<html><head>"}}, id="HTML that Graph passed on"),
    pytest.param({"error": {"code": "UnknownError", "message": "\r\n<!DOCTYPE HTML>"}}, id="more HTML passed on"),
    pytest.param({"error": {"code": "x", "innerError": {"message": "<html>"}}}, id="HTML far inside"),
    pytest.param(b'{"error": {"code": "Forbidden"', id="JSON cut off"),
]
REFUSALS = [300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 411, 412, 413, 414, 415, 418]
REFUSALS += [421, 422, 423, 424, 426, 428, 431, 451, 499, 501]


@pytest.mark.parametrize("body", FOREIGN)
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_that_is_not_graphs_is_passing_trouble(status: int, body: Any) -> None:
    """A proxy, a gateway or a firewall says nothing about an object, whatever status it chooses."""
    rule = classify(answered(status, body))

    assert (rule.action, rule.help.meaning.startswith("What answered is no service of Graph's")) == (Action.RETRY, True)


@pytest.mark.parametrize("body", FOREIGN)
@pytest.mark.parametrize(
    ("status", "action"),
    [(429, Action.WAIT), (509, Action.WAIT), (408, Action.RETRY), (409, Action.RETRY), (410, Action.RESTART)]
    + [(status, Action.SHRINK) for status in (500, 502, 503, 504, 505, 507, 511, 520, 599)],
)
def test_some_statuses_say_enough(status: int, action: Action, body: Any) -> None:
    """These mean the same whoever wrote them."""
    assert classify(answered(status, body)).action == action


@pytest.mark.parametrize(
    ("status", "action"), [(404, Action.SKIP), (403, Action.DENY), (400, Action.FAIL), (401, Action.RENEW)]
)
@pytest.mark.parametrize("body", [b"", b"null", None, {}, "", b"\r\n"], ids=repr)
def test_a_refusal_without_a_body_is_graphs_by_its_request_id(status: int, action: Action, body: Any) -> None:
    """Graph gives every response a request id; a proxy gives none."""
    assert classify(answered(status, body, request_id="a-request-id")).action == action
    assert classify(answered(status, body)).action == Action.RETRY


@pytest.mark.parametrize("body", [b"", b"<html>", {"error": "invalid_token"}], ids=["nothing", "HTML", "a text"])
def test_a_demand_for_a_token_is_graphs(body: Any) -> None:
    """Whoever demands a bearer token is the one that has to accept it; a proxy demands other proofs."""
    assert classify(answered(401, body, WWW_Authenticate='Bearer realm=""')).action == Action.RENEW
    assert classify(answered(401, body, WWW_Authenticate="Negotiate")).action == Action.RETRY


def test_foreign_words_are_told() -> None:
    """Status, content type and the first words, in one line and of no more than a line's length."""
    html = b"<html>\n <title>Blocked</title>" + b"\n x" * 1_000_000

    told = str(answered(403, html, Content_Type="text/html"))

    assert told.startswith("HTTP 403 text/html: “<html> <title>Blocked</title> x x")
    assert len(told) < 200
    assert str(answered(404, b"")) == "HTTP 404 without a content type: no body"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"error": {"code": "UnknownError"}}, id="no more than a code"),
        pytest.param({"error": {"message": "No."}}, id="no more than a message"),
        pytest.param({"error": {"code": None, "message": None, "innerError": None}}, id="nulls"),
        pytest.param({"error": {"code": 5, "message": {"value": "No."}, "innerError": "x"}}, id="odd types"),
        pytest.param(
            {"error": {"code": [], "message": 5, "innerError": [None, 5, []], "details": 7}}, id="odder types"
        ),
        pytest.param({"odata.error": {"code": "x", "message": {"lang": "en", "value": "No."}}}, id="an older shape"),
    ],
)
@pytest.mark.parametrize(
    ("status", "action"),
    [(429, Action.WAIT), (404, Action.SKIP), (403, Action.DENY), (500, Action.SHRINK), (418, Action.FAIL)],
)
def test_an_error_in_any_shape_is_classified_by_its_status(body: Any, status: int, action: Action) -> None:
    """Services of Graph answer in shapes of their own; none of them breaks the judging or the telling."""
    response = answered(status, body)

    assert classify(response).action == action
    assert str(response).startswith(f"HTTP {status} ")


# Messages.


def nested(depth: int, key: str, **innermost: Any) -> dict[str, Any]:
    error: dict[str, Any] = innermost
    for level in range(depth):
        error = {"code": f"c{depth - level}", "message": "", key: error}
    return {"error": error}


@pytest.mark.parametrize("key", ["innerError", "innererror", "inner_error", "InnerError", "innerException", "details"])
@pytest.mark.parametrize("depth", [1, 2, 5, 40])
def test_a_message_is_found_at_every_depth(depth: int, key: str) -> None:
    """The cause may stand in the innermost error alone: it is shown and decides what happens next."""
    response = answered(403, nested(depth, key, message=NO_TEAMS))

    assert NO_TEAMS in str(response)
    assert classify(response).help.meaning == "The user has no Teams licence."


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param({"innerError": NO_TEAMS}, id="a text"),
        pytest.param({"innerError": [{"message": NO_TEAMS}]}, id="a list"),
        pytest.param({"details": [{"code": "x"}, {"message": NO_TEAMS}]}, id="details"),
        pytest.param({"details": [{"innererror": {"message": NO_TEAMS}}]}, id="far inside details"),
        pytest.param({"details": NO_TEAMS}, id="a text for details"),
        pytest.param({"innerError": {"Message": NO_TEAMS}}, id="a capital"),
        pytest.param({"innerError": {"message": {"lang": "en-US", "value": NO_TEAMS}}}, id="a language"),
    ],
)
def test_a_message_is_found_however_it_is_written(inner: dict[str, Any]) -> None:
    """Services behind Graph have several spellings for an inner error."""
    response = answered(403, {"error": {"code": "Forbidden", "message": "Forbidden."} | inner})

    assert (response.message, response.codes[0]) == (f"{NO_TEAMS} | Forbidden.", "Forbidden")
    assert classify(response).help.meaning == "The user has no Teams licence."


def test_every_message_is_told_the_deepest_first() -> None:
    """Three errors in each other are three messages; one that is repeated is told once."""
    deepest = {"code": "c", "message": "Deep.\r\nVery."}
    error = {"code": "a", "message": "Outer.", "innerError": {"code": "b", "message": "Outer.", "innererror": deepest}}

    assert str(answered(400, {"error": error})) == "HTTP 400 a/b/c: Deep. Very. | Outer. (request-id none)"


@pytest.mark.parametrize("place", ["outermost", "innermost", "both"])
def test_a_message_of_megabytes_is_shortened(place: str) -> None:
    """The output is a screenful in which every message has its share, and it takes no time."""
    huge, small = "x" * 10_000_000, NO_ROLE
    outer, inner = {"outermost": (huge, small), "innermost": (small, huge), "both": (huge, huge)}[place]
    response = answered(403, {"error": {"code": "y" * 10_000_000, "message": outer, "innerError": {"message": inner}}})
    began = time.process_time()
    for _ in range(20):
        told, rule = str(response), classify(response)

    assert time.process_time() - began < 2
    assert len(told) < 3_000
    assert (NO_ROLE in told, rule.help is PERMISSION) == (place != "both", place != "both")


def test_very_many_errors_are_shortened() -> None:
    """A thousand details, each with a long message, are a screenful too."""
    details = [{"code": f"code {number}", "message": f"{number} " + "x" * 1_000} for number in range(1_000)]
    response = answered(400, {"error": {"code": "Bad", "message": "Outer.", "details": details}})

    assert len(str(response)) < 3_000
    assert classify(response).action == Action.FAIL


# Advice.


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (Service.OUTLOOK, "mailbox"),
        (Service.FILES, "site or drive"),
        (Service.DIRECTORY, "object of the directory"),
        (Service.SIGN_IN_ACTIVITY, "object of the directory"),
    ],
)
def test_advice_fits_the_service(service: Service, words: str) -> None:
    """Whoever may not read a site is not told of mailboxes."""
    told = str(classify(answered(403, an_error("accessDenied"))).help_for(service))

    assert words in told
    assert ("mailbox" in told.lower()) is (service is Service.OUTLOOK)


@pytest.mark.parametrize("service", Service)
def test_advice_names_no_other_service(service: Service) -> None:
    """No service but Exchange has mailboxes."""
    told = str(classify(answered(403, an_error("Forbidden"))).help_for(service)).lower()

    assert ("mailbox" in told) is (service is Service.OUTLOOK)
    assert ("drive" in told) is (service is Service.FILES)


@pytest.mark.parametrize("service", Service)
def test_advice_for_a_known_cause_is_the_same_everywhere(service: Service) -> None:
    """A cause that is named needs no guess by the service."""
    rule = classify(answered(403, an_error("Forbidden", NO_TEAMS)))

    assert rule.help_for(service) is rule.help


def test_a_broken_connection_is_passing_trouble() -> None:
    """What stands for a missing answer is retried, and tells the reason."""
    response = GraphResponse.none(a_request(), requests.ConnectionError("Connection reset by peer"))

    assert (response.status_code, response.url) == (0, "https://graph.microsoft.com/v1.0/users")
    assert classify(response).action == Action.RETRY
    assert str(response) == "no answer ConnectionError: Connection reset by peer (request-id none)"


class Noon(datetime):
    """The clock of the tests that read HTTP dates."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Noon:
        return cls(2024, 1, 1, 12, 0, 0, tzinfo=tz)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"Retry_After": "30"}, 30.0, id="seconds"),
        pytest.param({"Retry_After": "0"}, 0.0, id="no seconds"),
        pytest.param({"Retry_After": "2.5"}, 2.5, id="fractional"),
        pytest.param({"Retry_After": " 7 "}, 7.0, id="spaces"),
        pytest.param({"retry_after": "30"}, 30.0, id="name in lower case"),
        pytest.param({"Retry_After": "-5"}, 0.0, id="negative"),
        pytest.param({"Retry_After": "Mon, 01 Jan 2024 12:01:30 GMT"}, 90.0, id="HTTP date"),
        pytest.param({"Retry_After": "Mon, 01 Jan 2024 12:01:30"}, 90.0, id="HTTP date without a zone"),
        pytest.param({"Retry_After": "Mon, 01 Jan 2024 14:01:30 +0200"}, 90.0, id="HTTP date of another zone"),
        pytest.param({"Retry_After": "Mon, 01 Jan 2024 11:00:00 GMT"}, 0.0, id="HTTP date gone by"),
        pytest.param({"Retry_After": "soon"}, None, id="garbage"),
        pytest.param({"Retry_After": "30 seconds"}, None, id="a unit"),
        pytest.param({"Retry_After": "Mon, 99 Foo 2024"}, None, id="no such date"),
        pytest.param({"Retry_After": "inf"}, None, id="infinite"),
        pytest.param({"Retry_After": "nan"}, None, id="no number"),
        pytest.param({"Retry_After": ""}, None, id="empty"),
        pytest.param({}, None, id="missing"),
        pytest.param({"Retry_After": "5", "RateLimit_Reset": "40"}, 40.0, id="longer reset"),
        pytest.param({"Retry_After": "40", "RateLimit_Reset": "5"}, 40.0, id="shorter reset"),
        pytest.param({"Retry_After": "soon", "RateLimit_Reset": "40"}, 40.0, id="reset beside garbage"),
        pytest.param({"RateLimit_Reset": "40"}, 40.0, id="reset alone"),
    ],
)
def test_a_wait_is_read_from_the_headers(
    monkeypatch: pytest.MonkeyPatch, headers: Mapping[str, str], seconds: float | None
) -> None:
    """Seconds or an HTTP date, the longer of the two headers; None where Graph does not say."""
    monkeypatch.setattr(retries, "datetime", Noon)

    assert retry_after(answered(429, **headers)) == seconds


@pytest.mark.parametrize(
    ("response", "text"),
    [
        pytest.param(
            answered(423, an_error("notAllowed", "Blocked.", "resourceLocked")),
            "HTTP 423 notAllowed/resourceLocked: Blocked. (request-id a-request-id)",
            id="everything",
        ),
        pytest.param(
            answered(403, an_error("Forbidden", "No."), request_id="from-the-header"),
            "HTTP 403 Forbidden: No. (request-id from-the-header)",
            id="request-id in the header",
        ),
        pytest.param(
            answered(400, {"error": {"innererror": {"code": "a", "innerError": {"code": "b", "message": "Deep."}}}}),
            "HTTP 400 a/b: Deep. (request-id none)",
            id="everything far inside",
        ),
        pytest.param(
            answered(400, {"error": {"code": 5021, "message": "No."}}),
            "HTTP 400 5021: No. (request-id none)",
            id="a number for the code",
        ),
        pytest.param(
            answered(502, b"<html>", Content_Type="text/html"), "HTTP 502 text/html: “<html>”", id="not Graph's shape"
        ),
        pytest.param(
            answered(200, b'{"value": [{"id": "1"}, {"id"'),
            "HTTP 200 without a content type: the JSON breaks at character 29: Expecting ':' delimiter",
            id="a page cut off",
        ),
        pytest.param(answered(200, b"<html>"), "HTTP 200 without a content type: “<html>”", id="a page in HTML"),
        pytest.param(answered(200, b""), "HTTP 200 without a content type: no body", id="a page of nothing"),
        pytest.param(
            answered(200, b'{"value": [{"id": "1"}{"error": {"code": "Unavailable", "message": "Broke."}}'),
            "HTTP 200 without a content type: the page breaks off at character 22 and an error follows: "
            "Unavailable: Broke.",
            id="an appended error",
        ),
    ],
)
def test_an_answer_is_told_in_one_line(response: GraphResponse, text: str) -> None:
    """Status, codes, message and the request id that Microsoft's support asks for."""
    assert str(response) == text


def test_the_reason_stands_in_for_a_code() -> None:
    """Where the body has no code, HTTP's own words are told."""
    response = answered(502, b"", request_id="a-request-id")
    response.reason = "Bad Gateway"

    assert str(response) == "HTTP 502 Bad Gateway: no message (request-id a-request-id)"


@pytest.mark.parametrize("body", [b'{"value": []}', b"<html>", b"[]"], ids=["page", "HTML", "list"])
def test_a_body_is_parsed_once(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """Pages are large; however often the body is asked for, and even if it is no JSON, it is parsed once."""
    parsed: list[bytes] = []

    def decode(text: bytes) -> Any:
        parsed.append(text)
        return msgspec.json.decode(text)

    monkeypatch.setattr(response_module, "_decode", decode)
    response = answered(200, body)
    for look in (classify, attrgetter("body"), str, classify, attrgetter("body")):
        look(response)

    assert parsed == [body]


@pytest.mark.parametrize(
    ("error", "failure", "ends_the_sync"),
    [
        (GraphError, FailureType.system_error, False),
        (StreamRefused, FailureType.config_error, False),
        (GraphUnavailable, FailureType.transient_error, False),
        (ProtocolBroken, FailureType.system_error, False),
        (ConnectionFailed, FailureType.system_error, True),
        (SignInRefused, FailureType.config_error, True),
        (GraphUnreachable, FailureType.transient_error, True),
    ],
)
def test_an_error_tells_airbyte_whose_turn_it_is(
    error: type[GraphError], failure: FailureType, ends_the_sync: bool
) -> None:
    """The user's, nobody's for now, or ours; and whether it is the end of every stream."""
    raised = error("No.")

    assert (raised.failure_type, isinstance(raised, ConnectionFailed)) == (failure, ends_the_sync)
    assert [raised.message, raised.internal_message, str(raised)] == ["No.", "No.", "No."]


def test_an_error_never_holds_a_secret() -> None:
    """Graph and Entra repeat what they were sent, so every message is filtered where it is made."""
    remember("the-secret-value")

    raised = StreamRefused("Refused: the-secret-value.")

    assert [raised.message, raised.internal_message, str(raised)] == ["Refused: ****."] * 3


@pytest.mark.parametrize(
    ("headers", "near"),
    [
        ({}, False),
        ({"x_ms_throttle_limit_percentage": "0.8"}, True),
        ({"x_ms_throttle_limit_percentage": "1.3"}, True),
        ({"RateLimit_Limit": "1250", "RateLimit_Remaining": "250"}, True),
        ({"RateLimit_Limit": "1250", "RateLimit_Remaining": "251"}, False),
        ({"RateLimit_Limit": "1250"}, False),
        ({"RateLimit_Limit": "0", "RateLimit_Remaining": "0"}, False),
        ({"RateLimit_Limit": "soon", "RateLimit_Remaining": "never"}, False),
    ],
)
def test_a_limit_is_announced(headers: dict[str, str], near: bool) -> None:
    """The directory says so from 80 % of its limit on, SharePoint tells how much is left."""
    assert answered(200, {"value": []}, **headers).is_near_limit is near


CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1704110400"}}}'
ENCODED = base64.b64encode(CLAIMS.encode()).decode()
URL_SAFE = base64.urlsafe_b64encode(b'{"a":"\xc3\xbf\xc3\xbf\xc3\xbe?>"}').decode().rstrip("=")


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        pytest.param(f'Bearer realm="", error="insufficient_claims", claims="{ENCODED}"', CLAIMS, id="Graph's"),
        pytest.param(f'Bearer claims="{ENCODED}", error="insufficient_claims"', CLAIMS, id="other order"),
        pytest.param(f'Bearer error="insufficient_claims", claims="{ENCODED.rstrip("=")}"', CLAIMS, id="no padding"),
        pytest.param(f'Bearer claims="{URL_SAFE}"', '{"a":"ÿÿþ?>"}', id="URL-safe letters"),
        pytest.param(f'PoP a="x", Bearer error="insufficient_claims", claims="{ENCODED}"', CLAIMS, id="second scheme"),
        pytest.param('Bearer realm="", authorization_uri="https://login.example"', None, id="no claims"),
        pytest.param('Bearer claims="!"', None, id="no base64"),
        pytest.param('Bearer claims="bm8="', None, id="no JSON"),
        pytest.param('Bearer claims="W10="', None, id="no object"),
        pytest.param("", None, id="no header"),
    ],
)
def test_what_graph_demands_of_the_next_token_is_read(header: str, claims: str | None) -> None:
    """A challenge that cannot be read is as good as none: the token is renewed without it."""
    assert answered(401, an_error("InvalidAuthenticationToken"), WWW_Authenticate=header).claims_challenge == claims


def test_help_is_whole() -> None:
    """Each failure that a user can do something about says what, and where to read on."""
    for help_ in (*SIGN_IN.values(), *(known.help for known in CATALOGUE if known.help.lack)):
        assert help_.meaning.endswith(".")
        assert help_.remedy.endswith(".")
        assert help_.link.startswith("https://learn.microsoft.com/")
