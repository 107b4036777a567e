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

import base64
import re
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


class TokenRejected(GraphUnavailable):
    pass


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


class Lack(Enum):
    """What has to be there before a stream can be read."""

    PERMISSION = "permission missing"
    LICENCE = "licence missing"
    CLOUD = "not in this cloud"
    REFUSED = "refused"
    ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Help:
    """What a failure means, what to do about it, and where Microsoft says more; the last two only if there is any.

    `lack` is set where the cause is that something is not there.
    """

    meaning: str
    remedy: str = ""
    link: str = ""
    lack: Lack | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.meaning, self.remedy, self.link and f"({self.link})")))


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One known kind of answer.

    It matches on the status, on any of Graph's nested error codes and on a part of the message, each only if
    given and regardless of case. `action` is what happens next; `of_stream` differs from it where the answer
    means less for one object's listing than for a whole stream's. `precise` answers name their cause; the others
    may just as well mean that Graph refuses a property in `$select`.
    """

    status: int | None
    action: Action
    help: Help
    code: str = ""
    text: str = ""
    precise: bool = True

    def matches(self, status: int, codes: list[str], message: str) -> bool:
        return (
            self.status in (None, status)
            and (not self.code or self.code.lower() in codes)
            and self.text.lower() in message
        )


_CHALLENGE = re.compile(r'\bclaims="([^"]+)"')

_LEARN = "https://learn.microsoft.com"

NOT_IN_CLOUD = Help(
    "This Microsoft cloud does not have what the stream reads.",
    "Leave the stream out.",
    f"{_LEARN}/graph/deployments",
    Lack.CLOUD,
)
GRANT = (
    "in the Microsoft Entra admin center (App registrations > API permissions > Microsoft Graph > Application "
    "permissions) and give admin consent."
)
PERMISSION = Help(
    "An application permission is missing.",
    f"Grant it {GRANT}",
    f"{_LEARN}/entra/identity/enterprise-apps/grant-admin-consent",
    Lack.PERMISSION,
)
_NO_PREMIUM = Help(
    "Sign-in logs need a Microsoft Entra ID P1 or P2 licence in this tenant.",
    "Get one, or leave the stream out.",
    f"{_LEARN}/graph/api/signin-list",
    Lack.LICENCE,
)
_NO_SHAREPOINT = Help(
    "The tenant has no SharePoint licence.",
    "Get one, or leave drives and drive_items out.",
    f"{_LEARN}/office365/servicedescriptions/sharepoint-online-service-description/"
    "sharepoint-online-service-description",
    Lack.LICENCE,
)
_UNPAID = Help(
    "Microsoft asks for payment for this API.",
    "Link the app to an Azure subscription, or leave the stream out.",
    f"{_LEARN}/graph/metered-api-overview",
    Lack.LICENCE,
)
_NO_TEAMS = Help(
    "The user has no Teams licence.", "Assign one if the user's data matters.", f"{_LEARN}/microsoftteams/user-access"
)
_NO_MAILBOX = Help(
    "No active cloud mailbox: a guest, an unlicensed user, or a mailbox kept on premises.",
    "If it should be read, assign an Exchange Online licence or move the mailbox to the cloud.",
    f"{_LEARN}/exchange/troubleshoot/user-and-shared-mailboxes/rest-api-is-not-yet-supported-for-this-mailbox-error",
)
_NO_DRIVE = Help(
    "No OneDrive has been set up for this user.",
    "It appears once the user opens it, or an administrator sets it up.",
    f"{_LEARN}/sharepoint/pre-provision-accounts",
)
_LOCKED = Help(
    "The site is locked or blocked by an administrator.",
    "Unlock it if it should be read.",
    f"{_LEARN}/sharepoint/manage-lock-status",
)
_DENIED = Help(
    "The app may not read this.",
    "If it is a mailbox, look at the application access policies of Exchange Online.",
    f"{_LEARN}/graph/auth-limit-mailbox-access",
)
_APP_ONLY = Help("Graph does not serve this to an app without a signed-in user.")
_GONE = Help("The object was deleted, or was never set up in this service.")
_TOKEN = Help(
    "Graph does not accept the access token.",
    "Check that the cloud and the scope are the tenant's.",
    f"{_LEARN}/graph/resolve-auth-errors",
)
_THROTTLED = Help(
    "Graph throttles the app.",
    "If it slows the sync down, choose fewer workers or run at another time.",
    f"{_LEARN}/graph/throttling",
)
_OVERLOADED = Help(
    "Graph failed for the moment.",
    "If it lasts, look at the service health and sync again.",
    f"{_LEARN}/microsoft-365/enterprise/view-service-health",
)
_NO_ANSWER = Help(
    "No answer came back.",
    "Let the network, the proxy and the firewall reach the cloud's login and Graph hosts.",
    f"{_LEARN}/microsoft-365/enterprise/urls-and-ip-address-ranges",
)
_TOO_SLOW = Help("Graph ran out of time for the page.", "If it happens often, choose a smaller page size.")
_FILTER = Help(
    "Graph does not take the $filter.",
    "Correct the filter of users: the names of properties, quotes around texts, and operators Graph has for them.",
    f"{_LEARN}/graph/filter-query-parameter",
)
_TOP = Help("This endpoint refuses the page size.")
_EXPIRED = Help("The page token expired before the listing was read to its end.")
_CORRUPT = Help("An item is corrupt, and what is listed after it was not read.", "Find and delete the item.")

_PAGE = ErrorRule(200, Action.READ, Help("A page."))
_MALFORMED = ErrorRule(200, Action.RETRY, Help("The answer was cut off or is not a page in JSON."))
UNKNOWN = ErrorRule(
    None,
    Action.FAIL,
    Help("Graph refused the request.", "Look the code up.", f"{_LEARN}/graph/errors"),
    precise=False,
)

CATALOGUE: tuple[ErrorRule, ...] = (
    # The order matters: the first row that matches is taken.
    ErrorRule(429, Action.WAIT, _THROTTLED),
    ErrorRule(509, Action.WAIT, _THROTTLED),
    ErrorRule(401, Action.RENEW, _TOKEN),
    # Page and delta tokens. Directory answers 400 where the others answer 410.
    ErrorRule(410, Action.RESTART, _EXPIRED),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="Directory_ExpiredPageToken"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="DirectoryPageTokenNotFoundException"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="syncStateNotFound"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="syncStateInvalid"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="resyncRequired"),
    ErrorRule(400, Action.RESTART, _EXPIRED, text="token is either invalid or expired"),
    # Page sizes.
    ErrorRule(400, Action.UNPAGE, _TOP, text="for Top query has been exceeded"),
    ErrorRule(400, Action.UNPAGE, _TOP, text="Query option 'Top' is not allowed"),
    ErrorRule(400, Action.UNPAGE, _TOP, text="Invalid page size specified"),
    ErrorRule(500, Action.CORRUPT, _CORRUPT, code="ErrorCorruptData"),
    ErrorRule(504, Action.SHRINK, _TOO_SLOW),
    ErrorRule(400, Action.FAIL, _FILTER, text="filter clause"),
    # Clouds and licences.
    ErrorRule(400, Action.FAIL, NOT_IN_CLOUD, text="Resource not found for the segment"),
    # Users are refused likewise when they are asked for with their last sign-ins.
    ErrorRule(
        403, Action.FAIL, _NO_PREMIUM, code="Authentication_RequestFromNonPremiumTenantOrB2CTenant", precise=False
    ),
    ErrorRule(403, Action.FAIL, _NO_PREMIUM, text="doesn't have premium license", precise=False),
    ErrorRule(400, Action.FAIL, _NO_SHAREPOINT, text="does not have a SPO license"),
    ErrorRule(402, Action.FAIL, _UNPAID),
    # One object.
    ErrorRule(403, Action.SKIP, _NO_TEAMS, text="Failed to get license information for the user"),
    ErrorRule(None, Action.SKIP, _NO_MAILBOX, code="MailboxNotEnabledForRESTAPI"),
    ErrorRule(None, Action.SKIP, _NO_MAILBOX, text="REST API is not yet supported for this mailbox"),
    ErrorRule(None, Action.SKIP, _NO_MAILBOX, code="ErrorInvalidUser"),
    ErrorRule(None, Action.SKIP, _NO_MAILBOX, code="ErrorNonExistentMailbox"),
    ErrorRule(None, Action.SKIP, _NO_DRIVE, text="user's mysite"),
    ErrorRule(404, Action.SKIP, _GONE, precise=False),
    ErrorRule(412, Action.SKIP, _APP_ONLY),
    ErrorRule(423, Action.SKIP, _LOCKED),
    # Permissions.
    ErrorRule(403, Action.FAIL, PERMISSION, text="Missing role permissions on the request"),
    ErrorRule(403, Action.DENY, _DENIED, precise=False),
    # Passing trouble.
    ErrorRule(409, Action.RETRY, _OVERLOADED),
    ErrorRule(408, Action.RETRY, _OVERLOADED),
    ErrorRule(500, Action.RETRY, _OVERLOADED),
    ErrorRule(502, Action.RETRY, _OVERLOADED),
    ErrorRule(503, Action.RETRY, _OVERLOADED),
    ErrorRule(0, Action.RETRY, _NO_ANSWER),
)

_ENTRA = f"{_LEARN}/entra/identity-platform"
_SECRETS = f"{_ENTRA}/how-to-add-credentials"
_CERTIFICATES = f"{_ENTRA}/certificate-credentials"
_FEDERATION = f"{_LEARN}/entra/workload-id/workload-identity-federation-considerations"
_REGISTER = f"{_LEARN}/graph/auth-register-app-v2"
_TENANT_ID = f"{_LEARN}/entra/fundamentals/how-to-find-tenant"
_DISABLED = f"{_LEARN}/entra/identity/enterprise-apps/disable-user-sign-in-portal"
_SCOPE = f"{_ENTRA}/scopes-oidc#the-default-scope"
_POLICIES = f"{_LEARN}/entra/identity/conditional-access/workload-identity"
_MANAGED = f"{_LEARN}/entra/identity/managed-identities-azure-resources/overview"

_NOT_FEDERATED = "Add one whose issuer, subject and audience are exactly those of the token."

SIGN_IN: Mapping[int, Help] = {
    7000215: Help("The client secret is wrong.", "Use the secret's value, not its ID.", _SECRETS),
    7000222: Help("The client secret has expired.", "Add a new one to the app registration.", _SECRETS),
    7000218: Help("The app has to prove who it is.", "Choose a kind of sign-in, and fill it in.", _SECRETS),
    700027: Help(
        "The app registration does not know the certificate, or it has expired.",
        "Upload the certificate (without its key) under Certificates & secrets, and check the client ID.",
        _CERTIFICATES,
    ),
    700030: Help(
        "The app registration does not trust the certificate's subject.",
        "Trust its subject and issuer there, or turn the sending of the certificate off and upload it.",
        _CERTIFICATES,
    ),
    50012: Help("The certificate, or what was signed with it, is not valid.", "Use another one.", _CERTIFICATES),
    50013: Help("The assertion is malformed or has expired.", "Check where it comes from.", _FEDERATION),
    700024: Help(
        "The assertion is not valid yet, or no longer.",
        "Set the clock of this machine; a token of another identity provider has to be a fresh one.",
        _FEDERATION,
    ),
    70021: Help("No federated credential of the app matches the token.", _NOT_FEDERATED, _FEDERATION),
    70025: Help("The app has no federated credential.", _NOT_FEDERATED, _FEDERATION),
    700211: Help("No federated credential of the app has the token's issuer.", _NOT_FEDERATED, _FEDERATION),
    700212: Help("No federated credential of the app has the token's audience.", _NOT_FEDERATED, _FEDERATION),
    700213: Help("No federated credential of the app has the token's subject.", _NOT_FEDERATED, _FEDERATION),
    53003: Help(
        "A Conditional Access policy blocks the app.",
        "Let an administrator look at the sign-in logs of service principals.",
        _POLICIES,
    ),
    700016: Help("The tenant has no app with this client ID.", "Check both IDs and the cloud.", _REGISTER),
    90002: Help("The tenant was not found.", "Check the tenant ID and the cloud.", _TENANT_ID),
    900023: Help("The tenant ID is neither a GUID nor a domain name.", "Correct it.", _TENANT_ID),
    7000112: Help("The app is disabled in this tenant.", "Let it sign in again.", _DISABLED),
    7000229: Help("The app has no service principal in this tenant.", "Give it admin consent first.", PERMISSION.link),
    500011: Help("The tenant does not have what the scope names.", "Leave the scope out, check the cloud.", _SCOPE),
    1002012: Help("The scope is not valid.", "Leave it out, or let it end in /.default.", _SCOPE),
    900144: Help("The sign-in request lacks a parameter.", "Fill in the tenant ID and the credentials.", _REGISTER),
}
"""Entra's AADSTS codes."""

NO_IDENTITY = Help(
    "Nothing hands out tokens for a managed identity here.",
    "Run the connector on an Azure resource that has one, or choose another kind of sign-in.",
    _MANAGED,
)
NO_ASSERTION = Help(
    "There is no token of another identity provider to sign in with.",
    "On Kubernetes give the pod the label azure.workload.identity/use and its service account the client ID; elsewhere "
    "name the file or the variable that holds the token.",
    f"{_LEARN}/azure/aks/workload-identity-overview",
)
"""What is amiss before Entra is asked."""


def classify(response: requests.Response) -> ErrorRule:
    """The kind of answer this is: a page, or the first row of the catalogue that matches."""
    body = body_of(response)
    if 200 <= response.status_code < 300:
        return _PAGE if isinstance(body.get("value"), list) else _MALFORMED
    if response.status_code == 503 and "Retry-After" in response.headers:
        return CATALOGUE[0]
    codes, message = list(_codes(body)), _message(body).lower()
    return next((rule for rule in CATALOGUE if rule.matches(response.status_code, codes, message)), UNKNOWN)


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


def claims_challenge(response: requests.Response) -> str | None:
    """What Graph demands of the next token, as JSON, where it revokes one before its time.

    https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """
    challenge = _CHALLENGE.search(response.headers.get("WWW-Authenticate", ""))
    if not challenge:
        return None
    try:
        claims = base64.b64decode(challenge[1] + "=" * (-len(challenge[1]) % 4), altchars=b"-_").decode()
        return claims if isinstance(orjson.loads(claims), dict) else None
    except ValueError:
        return None


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
