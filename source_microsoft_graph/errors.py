"""What an answer of Graph means and what happens next.

    GraphError                  an answer that is not a page
    ├── StreamRefused           the stream cannot be read until somebody acts: permission, licence, setting
    ├── GraphUnavailable        Graph kept failing; the same sync may well succeed later
    ├── ProtocolBroken          Graph broke its own paging rules; reading on would lose or repeat rows
    └── ConnectionFailed        no stream can be read: every unfinished stream ends with this
        ├── SignInRefused       Microsoft Entra refuses to issue a token
        └── GraphUnreachable    nothing answers

`CATALOGUE` is the one table of Graph's refusals, `SIGN_IN` the one of Entra's. Sources:
https://learn.microsoft.com/graph/errors and https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any

import orjson
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets


class GraphError(AirbyteTracedException):
    """Base of every error this connector raises while reading; the message never holds a secret."""

    failure = FailureType.system_error

    def __init__(self, message: str) -> None:
        message = filter_secrets(message)
        super().__init__(internal_message=message, message=message, failure_type=self.failure)


class StreamRefused(GraphError):
    failure = FailureType.config_error


class GraphUnavailable(GraphError):
    failure = FailureType.transient_error


class ProtocolBroken(GraphError):
    pass


class ConnectionFailed(GraphError):
    pass


class SignInRefused(ConnectionFailed):
    failure = FailureType.config_error


class GraphUnreachable(ConnectionFailed):
    failure = FailureType.transient_error


class Action(Enum):
    """What happens next."""

    READ = auto()
    """A page: emit its rows."""
    SKIP = auto()
    """Something is wrong with one object: count it, name it, go on with the next. FAIL for a stream's own list."""
    FAIL = auto()
    """Something is wrong with the stream: it ends INCOMPLETE, the others go on."""
    DENY = auto()
    """SKIP where the token carries the stream's permission, FAIL where it does not."""
    RETRY = auto()
    """Passing trouble: ask again after a back-off, `pacing.ATTEMPTS` times in all."""
    WAIT = auto()
    """Throttled: ask again when Graph says so."""
    RENEW = auto()
    """The token was refused: get one new token and ask again."""
    RESTART = auto()
    """The page token died: read this listing again from its first page."""
    SHRINK = auto()
    """The page is too much for Graph: as RETRY, then read this listing again in smaller pages."""
    CORRUPT = auto()
    """An item cannot be served: as SHRINK, to come as close to it as possible, then SKIP."""
    UNPAGE = auto()
    """Graph refuses this `$top`: read this listing again without it."""


@dataclass(frozen=True, slots=True)
class Known:
    """One known kind of answer.

    It matches on the status, on any of Graph's nested error codes and on a part of the message, each only if
    given and regardless of case. `action` is what happens next; `of_stream` differs from it where the answer
    means less for one object's listing than for a whole stream's. `precise` answers name their cause; the others
    may just as well mean that Graph refuses a property in `$select`.
    """

    status: int | None
    action: Action
    meaning: str
    code: str = ""
    text: str = ""
    precise: bool = True

    def matches(self, status: int, codes: list[str], message: str) -> bool:
        return (
            self.status in (None, status)
            and (not self.code or self.code.lower() in codes)
            and self.text.lower() in message
        )


_PAGE = Known(200, Action.READ, "A page.")
_MALFORMED = Known(200, Action.RETRY, "The answer was cut off or is not a page in JSON.")
UNKNOWN = Known(None, Action.FAIL, "Graph refused the request.", precise=False)

_LICENCE_P1 = "Sign-in logs need a Microsoft Entra ID P1 or P2 licence in this tenant."
_NO_MAILBOX = "No active cloud mailbox: a guest, an unlicensed user, or a mailbox kept on premises."
_NO_DRIVE = "No OneDrive has been set up for this user."
_EXPIRED = "The page token expired before the listing was read to its end."
_GONE = "The object was deleted, or was never set up in this service."
_OVERLOADED = "Graph failed for the moment."
_CORRUPT = "An item is corrupt, and what is listed after it was not read."
_TOP = "This endpoint refuses the page size."

CATALOGUE: tuple[Known, ...] = (
    # The order matters: the first row that matches is taken.
    Known(429, Action.WAIT, "Graph throttles the app."),
    Known(509, Action.WAIT, "Graph throttles the app."),
    Known(401, Action.RENEW, "Graph does not accept the access token."),
    # Page and delta tokens. Directory answers 400 where the others answer 410.
    Known(410, Action.RESTART, _EXPIRED),
    Known(None, Action.RESTART, _EXPIRED, code="Directory_ExpiredPageToken"),
    Known(None, Action.RESTART, _EXPIRED, code="DirectoryPageTokenNotFoundException"),
    Known(None, Action.RESTART, _EXPIRED, code="syncStateNotFound"),
    Known(None, Action.RESTART, _EXPIRED, code="syncStateInvalid"),
    Known(None, Action.RESTART, _EXPIRED, code="resyncRequired"),
    Known(400, Action.RESTART, _EXPIRED, text="token is either invalid or expired"),
    # Page sizes.
    Known(400, Action.UNPAGE, _TOP, text="for Top query has been exceeded"),
    Known(400, Action.UNPAGE, _TOP, text="Query option 'Top' is not allowed"),
    Known(400, Action.UNPAGE, _TOP, text="Invalid page size specified"),
    Known(500, Action.CORRUPT, _CORRUPT, code="ErrorCorruptData"),
    Known(504, Action.SHRINK, "Graph ran out of time for the page."),
    # Licences.
    Known(403, Action.FAIL, _LICENCE_P1, code="Authentication_RequestFromNonPremiumTenantOrB2CTenant"),
    Known(403, Action.FAIL, _LICENCE_P1, text="doesn't have premium license"),
    Known(400, Action.FAIL, "The tenant has no SharePoint licence.", text="does not have a SPO license"),
    Known(403, Action.SKIP, "No Teams licence.", text="Failed to get license information for the user"),
    Known(402, Action.FAIL, "Microsoft asks for payment for this API."),
    # One object.
    Known(None, Action.SKIP, _NO_MAILBOX, code="MailboxNotEnabledForRESTAPI"),
    Known(None, Action.SKIP, _NO_MAILBOX, text="REST API is not yet supported for this mailbox"),
    Known(None, Action.SKIP, _NO_MAILBOX, code="ErrorInvalidUser"),
    Known(None, Action.SKIP, _NO_MAILBOX, code="ErrorNonExistentMailbox"),
    Known(None, Action.SKIP, _NO_DRIVE, text="user's mysite"),
    Known(404, Action.SKIP, _GONE, precise=False),
    Known(412, Action.SKIP, "Graph does not serve this to an app without a signed-in user."),
    Known(423, Action.SKIP, "The site is locked or blocked by an administrator."),
    # Permissions.
    Known(403, Action.FAIL, "A permission is missing.", text="Missing role permissions on the request"),
    Known(403, Action.DENY, "The app may not read this.", precise=False),
    # Passing trouble.
    Known(409, Action.RETRY, _OVERLOADED),
    Known(408, Action.RETRY, _OVERLOADED),
    Known(500, Action.RETRY, _OVERLOADED),
    Known(502, Action.RETRY, _OVERLOADED),
    Known(503, Action.RETRY, _OVERLOADED),
    Known(0, Action.RETRY, "No answer came back."),
)

SIGN_IN: Mapping[int, str] = {
    7000215: "the client secret is wrong. Use the secret's value, not its ID",
    7000222: "the client secret has expired. Add a new one to the app registration",
    700016: "no app with this client ID in the tenant. Check the client ID, the tenant and the cloud",
    90002: "the tenant was not found. Check the tenant ID and the cloud",
    900023: "the tenant ID is neither a GUID nor a domain name",
    7000112: "the app is disabled in this tenant",
    7000229: "the app has no service principal in this tenant. Grant it admin consent first",
    500011: "the scope names a resource the tenant does not have. Check the scope and the cloud",
    1002012: "the scope is not valid. It must end in /.default",
    900144: "the sign-in request lacks a parameter",
}
"""Entra's AADSTS codes: what they mean and what to do."""


def judge(response: requests.Response) -> Known:
    """The kind of answer this is: a page, or the first row of the catalogue that matches."""
    body = body_of(response)
    if 200 <= response.status_code < 300:
        return _PAGE if isinstance(body.get("value"), list) else _MALFORMED
    if response.status_code == 503 and "Retry-After" in response.headers:
        return CATALOGUE[0]
    codes, message = list(_codes(body)), _message(body).lower()
    return next((known for known in CATALOGUE if known.matches(response.status_code, codes, message)), UNKNOWN)


def body_of(response: requests.Response) -> dict[str, Any]:
    """The JSON object an answer holds, parsed once however often it is asked for; empty if there is none."""
    kept: dict[str, Any] | None = response.__dict__.get("_graph_body")
    if kept is None:
        try:
            body = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            body = None
        kept = response.__dict__["_graph_body"] = body if isinstance(body, dict) else {}
    return kept


def with_content(response: requests.Response, content: bytes | memoryview) -> requests.Response:
    """The response, with this for its body."""
    response.__dict__["_content"] = content
    return response


def no_answer(request: requests.PreparedRequest, error: Exception) -> requests.Response:
    """What stands for the answer when the connection broke: status 0 and the reason as Graph would shape it."""
    response = requests.Response()
    response.status_code, response.url = 0, str(request.url)
    return with_content(response, orjson.dumps({"error": {"code": type(error).__name__, "message": str(error)}}))


def retry_after(response: requests.Response) -> float | None:
    """Seconds Graph asks to wait, given in seconds or as an HTTP date; None where it does not say.

    SharePoint may give a longer `RateLimit-Reset` beside it, and the longer one holds:
    https://learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
    """
    waits = [_seconds(response.headers.get(name)) for name in ("Retry-After", "RateLimit-Reset")]
    return max((wait for wait in waits if wait is not None), default=None)


def is_near_limit(response: requests.Response) -> bool:
    """Whether Graph announces that it is about to throttle: from 80 % of the directory's limit, and of SharePoint's."""
    headers = response.headers
    if "x-ms-throttle-limit-percentage" in headers:
        return True
    limit, remaining = _seconds(headers.get("RateLimit-Limit")), _seconds(headers.get("RateLimit-Remaining"))
    return bool(limit) and remaining is not None and remaining <= 0.2 * (limit or 0.0)


def describe(response: requests.Response) -> str:
    """Status, Graph's codes from the outermost in, its message and the request id support will ask for."""
    body = body_of(response)
    error = body.get("error")
    codes = [str(node["code"]) for node in _nodes(error) if node.get("code")]
    request_id = response.headers.get("request-id") or next(
        (node["request-id"] for node in _nodes(error) if node.get("request-id")), "none"
    )
    status = f"HTTP {response.status_code}" if response.status_code else "no answer"
    kind = "/".join(codes) or response.reason or "without a code"
    return f"{status} {kind}: {_message(body) or 'no message'} (request-id {request_id})"


def _nodes(error: Any) -> Iterator[Mapping[str, Any]]:
    """The error object and those nested in it, outermost first; Graph spells the key both ways."""
    while isinstance(error, dict):
        yield error
        error = error.get("innerError") or error.get("innererror")


def _codes(body: Mapping[str, Any]) -> Iterator[str]:
    return (str(node["code"]).lower() for node in _nodes(body.get("error")) if node.get("code"))


def _message(body: Mapping[str, Any]) -> str:
    return next((str(node["message"]) for node in _nodes(body.get("error")) if node.get("message")), "")


def _seconds(header: str | None) -> float | None:
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
