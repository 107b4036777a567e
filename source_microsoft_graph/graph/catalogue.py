"""The table of Graph's refusals: which response means what, and what happens next.

https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from source_microsoft_graph.errors import LEARN, PERMISSION, Help, Lack
from source_microsoft_graph.graph.response import GraphResponse


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
    """Passing trouble: ask again after a back-off, `retries.ATTEMPTS` times in all."""
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
class ErrorRule:
    """One known kind of response.

    It matches on the status, on any of Graph's nested error codes and on a part of the message, each only if
    given and regardless of case. `action` is what happens next. `precise` rules name the cause; a response that
    matches another rule may just as well mean that Graph refuses a property in `$select`.
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


NOT_IN_CLOUD = Help(
    "This Microsoft cloud does not have what the stream reads.",
    "Leave the stream out.",
    f"{LEARN}/graph/deployments",
    Lack.CLOUD,
)
_NO_PREMIUM = Help(
    "Sign-in logs need a Microsoft Entra ID P1 or P2 licence in this tenant.",
    "Get one, or leave the stream out.",
    f"{LEARN}/graph/api/signin-list",
    Lack.LICENCE,
)
_NO_SHAREPOINT = Help(
    "The tenant has no SharePoint licence.",
    "Get one, or leave drives and drive_items out.",
    f"{LEARN}/office365/servicedescriptions/sharepoint-online-service-description/"
    "sharepoint-online-service-description",
    Lack.LICENCE,
)
_UNPAID = Help(
    "Microsoft asks for payment for this API.",
    "Link the app to an Azure subscription, or leave the stream out.",
    f"{LEARN}/graph/metered-api-overview",
    Lack.LICENCE,
)
_NO_TEAMS = Help(
    "The user has no Teams licence.", "Assign one if the user's data matters.", f"{LEARN}/microsoftteams/user-access"
)
_NO_MAILBOX = Help(
    "No active cloud mailbox: a guest, an unlicensed user, or a mailbox kept on premises.",
    "If it should be read, assign an Exchange Online licence or move the mailbox to the cloud.",
    f"{LEARN}/exchange/troubleshoot/user-and-shared-mailboxes/rest-api-is-not-yet-supported-for-this-mailbox-error",
)
_NO_DRIVE = Help(
    "No OneDrive has been set up for this user.",
    "It appears once the user opens it, or an administrator sets it up.",
    f"{LEARN}/sharepoint/pre-provision-accounts",
)
_LOCKED = Help(
    "The site is locked or blocked by an administrator.",
    "Unlock it if it should be read.",
    f"{LEARN}/sharepoint/manage-lock-status",
)
_DENIED = Help(
    "The app may not read this.",
    "If it is a mailbox, look at the application access policies of Exchange Online.",
    f"{LEARN}/graph/auth-limit-mailbox-access",
)
_APP_ONLY = Help("Graph does not serve this to an app without a signed-in user.")
_GONE = Help("The object was deleted, or was never set up in this service.")
_TOKEN = Help(
    "Graph does not accept the access token.",
    "Check that the cloud and the scope are the tenant's.",
    f"{LEARN}/graph/resolve-auth-errors",
)
_THROTTLED = Help(
    "Graph throttles the app.",
    "If it slows the sync down, choose fewer workers or run at another time.",
    f"{LEARN}/graph/throttling",
)
_OVERLOADED = Help(
    "Graph failed for the moment.",
    "If it lasts, look at the service health and sync again.",
    f"{LEARN}/microsoft-365/enterprise/view-service-health",
)
_NO_ANSWER = Help(
    "No answer came back.",
    "Let the network, the proxy and the firewall reach the cloud's login and Graph hosts.",
    f"{LEARN}/microsoft-365/enterprise/urls-and-ip-address-ranges",
)
_TOO_SLOW = Help("Graph ran out of time for the page.", "If it happens often, choose a smaller page size.")
_FILTER = Help(
    "Graph does not take the $filter.",
    "Correct the filter of users: the names of properties, quotes around texts, and operators Graph has for them.",
    f"{LEARN}/graph/filter-query-parameter",
)
_TOP = Help("This endpoint refuses the page size.")
_EXPIRED = Help("The page token expired before the listing was read to its end.")
_CORRUPT = Help("An item is corrupt, and what is listed after it was not read.", "Find and delete the item.")

_PAGE = ErrorRule(200, Action.READ, Help("A page."))
_MALFORMED = ErrorRule(200, Action.RETRY, Help("The answer was cut off or is not a page in JSON."))
UNKNOWN = ErrorRule(
    None,
    Action.FAIL,
    Help("Graph refused the request.", "Look the code up.", f"{LEARN}/graph/errors"),
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


def classify(response: GraphResponse) -> ErrorRule:
    """The kind of response this is: a page, or the first rule of the catalogue that matches."""
    if 200 <= response.status_code < 300:
        return _PAGE if isinstance(response.body.get("value"), list) else _MALFORMED
    if response.status_code == 503 and "Retry-After" in response.headers:
        return CATALOGUE[0]
    codes, message = [code.lower() for code in response.codes], response.message.lower()
    return next((rule for rule in CATALOGUE if rule.matches(response.status_code, codes, message)), UNKNOWN)
