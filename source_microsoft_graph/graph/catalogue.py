"""The table of Graph's refusals: which response means what, and what happens next.

https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from source_microsoft_graph.errors import LEARN, NO_ANSWER, PERMISSION, Help, Lack
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.response import GraphResponse


class Action(Enum):
    """What happens next."""

    READ = auto()
    """A page: emit its records."""
    SKIP = auto()
    """Something is wrong with one object: count it, name it, continue with the next. FAIL for a tenant's own list."""
    FAIL = auto()
    """Something is wrong with the stream: it ends INCOMPLETE, the others go on."""
    DENY = auto()
    """SKIP where the token carries the stream's permission, FAIL where it does not."""
    RETRY = auto()
    """Passing trouble: request the page again after a back-off, `retries.ATTEMPTS` times in all."""
    WAIT = auto()
    """Throttled: request the page again when Graph says so."""
    RENEW = auto()
    """The token was refused: get one new token and request the page again."""
    RESTART = auto()
    """The page token died: read this listing again from its first page."""
    SHRINK = auto()
    """Graph cannot serve the page: as RETRY, then read this listing again in smaller pages, down to one object. Where
    the list takes `$skip`, the object that cannot be served is stepped over, counted and named."""
    UNPAGE = auto()
    """Graph refuses this `$top`: read this listing again without it."""


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One known kind of response.

    It matches on the status, on any of Graph's nested error codes and on a part of any of its messages, each only if
    given and regardless of case. `action` is what happens next. `precise` rules name the cause; a response that
    matches another rule may just as well mean that Graph refuses a property in `$select`. `absent` says that the object
    is not there: nothing of it is missing from the table. `again` says that the same request may get another response.
    """

    status: int | None
    action: Action
    help: Help
    code: str = ""
    text: str = ""
    precise: bool = True
    absent: bool = False
    again: bool = True

    def matches(self, status: int, codes: list[str], message: str) -> bool:
        return (
            self.status in (None, status)
            and (not self.code or self.code.lower() in codes)
            and self.text.lower() in message
        )

    def help_for(self, service: Service) -> Help:
        """What it means for a stream of this service."""
        return _DENIED_BY.get(service, self.help) if self.help is _DENIED else self.help


NOT_IN_CLOUD = Help(
    "This Microsoft cloud does not have what the stream reads.",
    "Leave the stream out.",
    f"{LEARN}/graph/deployments",
    Lack.CLOUD,
)
_NO_PREMIUM = Help(
    "The logs of sign-ins and of provisioning, and registration details, need a Microsoft Entra ID P1 or P2 licence in "
    "this tenant.",
    "Get one, or leave the stream out.",
    f"{LEARN}/graph/api/signin-list",
    Lack.LICENCE,
)
_NO_SHAREPOINT = Help(
    "The tenant has no SharePoint licence.",
    "Get one, or leave the streams of drives, sites and lists out.",
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
_DENIED = Help("The app may not read this.", "Look at who manages access to it.", f"{LEARN}/graph/permissions-overview")
_DENIED_BY = {
    Service.OUTLOOK: Help(
        "The app may not read this mailbox.",
        "Look at the application access policies of Exchange Online and at its role-based access for applications.",
        f"{LEARN}/graph/auth-limit-mailbox-access",
    ),
    Service.FILES: Help(
        "The app may not read this site or drive.",
        "Look at whether it is restricted, and at whether the app has Sites.Selected alone.",
        f"{LEARN}/sharepoint/restricted-access-control",
    ),
    Service.DIRECTORY: Help(
        "The app may not read this object of the directory.",
        "Look at restricted administrative units and at hidden memberships.",
        f"{LEARN}/entra/identity/role-based-access-control/admin-units-restricted-management",
    ),
}
_DENIED_BY[Service.SIGN_IN_ACTIVITY] = _DENIED_BY[Service.DIRECTORY]
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
_TOO_LONG = Help("The page has more bytes than a page may have.", "If it is one item, look at its size.")
_TOO_SLOW = Help("Graph could not serve the page.", "If it happens often, choose a smaller page size.")
_FILTER = Help(
    "Graph does not take the $filter.",
    "If a setting gives it, correct that: the names of properties, quotes around texts, and operators that Graph has.",
    f"{LEARN}/graph/filter-query-parameter",
)
_TOP = Help("This endpoint refuses the page size.")
_LINK = Help("This endpoint refuses its own link to the next page of the size that was requested.")
_WINDOW = Help("Graph does not serve so long a time in one request.", "Choose a later start date.")
_EXPIRED = Help("The page token expired before the listing was read to its end.")
UNSERVED = Help("Graph cannot serve an item.", "Find and delete the item.")
_NO_EXCHANGE = Help(
    "The tenant has no Exchange Online.",
    "Get a licence with it, or leave the streams of mailboxes out.",
    f"{LEARN}/office365/servicedescriptions/exchange-online-service-description/exchange-online-service-description",
    Lack.LICENCE,
)
_NO_P2 = Help(
    "The stream needs Microsoft Entra ID P2 or Microsoft Entra ID Governance in this tenant.",
    "Get one, or leave the stream out.",
    f"{LEARN}/entra/id-governance/licensing-fundamentals",
    Lack.LICENCE,
)
_UNLICENSED = Help(
    "The tenant has no licence for this.",
    "Get one, or leave the stream out.",
    f"{LEARN}/entra/fundamentals/licensing",
    Lack.LICENCE,
)
_NOT_GRAPH = Help(
    "What answered is no service of Graph's, but a proxy, a gateway or a firewall on the way.",
    "Let the network, the proxy and the firewall pass requests to the cloud's Graph host.",
    f"{LEARN}/microsoft-365/enterprise/urls-and-ip-address-ranges",
)

_PAGE = ErrorRule(200, Action.READ, Help("A page."))
_MALFORMED = ErrorRule(200, Action.SHRINK, Help("The answer is not a whole page in JSON."))
_PARTIAL = ErrorRule(None, Action.RETRY, Help("The status says that the answer is not the whole page."))
_FOREIGN = ErrorRule(None, Action.RETRY, _NOT_GRAPH)
_FAILED = ErrorRule(None, Action.SHRINK, _OVERLOADED)
UNKNOWN = ErrorRule(
    None,
    Action.FAIL,
    Help("Graph refused the request.", "Look the code up.", f"{LEARN}/graph/errors"),
    precise=False,
)

_WITHOUT_A_BODY = {408, 409, 410, 429}
"""Refusals whose status says enough, whoever wrote the body."""

_FAILED_PROVIDER = re.compile(r'\b199\b.*/{?[45]\d\d}?/{?\d+}?"')
"""`Warning: 199 - "Vendor/Provider/StatusCode/LatencyInMs"`: a service behind Graph's security API that failed, so that
its objects are missing: https://learn.microsoft.com/graph/api/resources/security-error-codes. Other warnings, such as
299 for a deprecated API, say nothing about the page."""

CATALOGUE: tuple[ErrorRule, ...] = (
    # The order matters: the first rule that matches is taken.
    ErrorRule(429, Action.WAIT, _THROTTLED),
    ErrorRule(509, Action.WAIT, _THROTTLED),
    # Intune throttles with this 500.
    ErrorRule(500, Action.WAIT, _THROTTLED, text="Rate limit reached because of too many requests"),
    # Exchange answers a 401 for each mailbox of a tenant without it, whatever the token.
    ErrorRule(None, Action.FAIL, _NO_EXCHANGE, code="OrganizationFromTenantGuidNotFound"),
    ErrorRule(None, Action.FAIL, _NO_EXCHANGE, text="OrganizationFromTenantGuidNotFound"),
    ErrorRule(401, Action.RENEW, _TOKEN),
    # Conditional Access revokes a token with a 403 as well.
    ErrorRule(403, Action.RENEW, _TOKEN, code="insufficient_claims"),
    # Page and delta tokens. Directory answers 400 where the others answer 410.
    ErrorRule(410, Action.RESTART, _EXPIRED),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="Directory_ExpiredPageToken"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="DirectoryPageTokenNotFoundException"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="syncStateNotFound"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="syncStateInvalid"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="resyncRequired"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="resyncChangesApplyDifferences"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="resyncChangesUploadDifferences"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="resyncApplyDifferences"),
    ErrorRule(None, Action.RESTART, _EXPIRED, code="resyncUploadDifferences"),
    ErrorRule(400, Action.RESTART, _EXPIRED, text="token is either invalid or expired"),
    ErrorRule(400, Action.RESTART, _EXPIRED, text="Parameter 'DeltaToken' not supported"),
    # Page sizes.
    ErrorRule(400, Action.UNPAGE, _TOP, text="for Top query has been exceeded"),
    ErrorRule(400, Action.UNPAGE, _TOP, text="Query option 'Top' is not allowed"),
    ErrorRule(400, Action.UNPAGE, _TOP, text="Invalid page size specified"),
    # Identity protection: "… between 1 and 500".
    ErrorRule(400, Action.UNPAGE, _TOP, text="between 1 and"),
    # Secure score control profiles: https://github.com/microsoftgraph/msgraph-sdk-dotnet/issues/2566
    ErrorRule(400, Action.UNPAGE, _LINK, text="Query option 'SkipToken' is not allowed"),
    ErrorRule(400, Action.FAIL, _WINDOW, code="ErrorInvalidRequest", text="Maximum number of days"),
    ErrorRule(400, Action.FAIL, _FILTER, text="filter clause"),
    # Clouds and licences.
    ErrorRule(400, Action.FAIL, NOT_IN_CLOUD, text="Resource not found for the segment"),
    # Users are refused likewise when they are requested with their last sign-ins.
    ErrorRule(
        403, Action.FAIL, _NO_PREMIUM, code="Authentication_RequestFromNonPremiumTenantOrB2CTenant", precise=False
    ),
    ErrorRule(403, Action.FAIL, _NO_PREMIUM, text="doesn't have premium license", precise=False),
    ErrorRule(400, Action.FAIL, _NO_SHAREPOINT, text="does not have a SPO license"),
    ErrorRule(400, Action.FAIL, _NO_P2, code="AadPremiumLicenseRequired"),
    ErrorRule(403, Action.FAIL, _UNLICENSED, text="Your tenant is not licensed for this feature"),
    ErrorRule(403, Action.FAIL, _UNLICENSED, text="Account is not provisioned"),
    ErrorRule(400, Action.FAIL, _UNLICENSED, text="Request not applicable to target tenant"),
    ErrorRule(402, Action.FAIL, _UNPAID),
    # Teams answers so while a service behind it is out of reach.
    *(ErrorRule(status, Action.RETRY, _OVERLOADED, text="backend request") for status in (400, 403, 404)),
    # One object.
    ErrorRule(403, Action.SKIP, _NO_TEAMS, text="Failed to get license information for the user", absent=True),
    ErrorRule(None, Action.SKIP, _NO_MAILBOX, code="MailboxNotEnabledForRESTAPI", absent=True),
    ErrorRule(None, Action.SKIP, _NO_MAILBOX, text="REST API is not yet supported for this mailbox", absent=True),
    ErrorRule(
        None,
        Action.SKIP,
        _NO_MAILBOX,
        text="mailbox is either inactive, soft-deleted, or is hosted on-premise",
        absent=True,
    ),
    ErrorRule(None, Action.SKIP, _NO_MAILBOX, code="ErrorInvalidUser", absent=True),
    ErrorRule(None, Action.SKIP, _NO_MAILBOX, code="ErrorNonExistentMailbox", absent=True),
    ErrorRule(None, Action.SKIP, _NO_DRIVE, text="user's mysite", absent=True),
    ErrorRule(400, Action.SKIP, _GONE, text="drive id appears to be malformed", absent=True),
    ErrorRule(404, Action.SKIP, _GONE, precise=False, absent=True),
    ErrorRule(412, Action.SKIP, _APP_ONLY),
    ErrorRule(423, Action.SKIP, _LOCKED),
    # Permissions.
    ErrorRule(403, Action.FAIL, PERMISSION, text="Missing role permissions on the request"),
    # A licence error that has no row of its own.
    ErrorRule(403, Action.SKIP, _UNLICENSED, text="licens", precise=False),
    *(
        ErrorRule(400, Action.SKIP, _UNLICENSED, text=text, precise=False)
        for text in ("not have a valid licens", "not have a licens", "not licensed", "license is required")
    ),
    ErrorRule(403, Action.DENY, _DENIED, precise=False),
    # Passing trouble.
    ErrorRule(409, Action.RETRY, _OVERLOADED),
    ErrorRule(408, Action.RETRY, _OVERLOADED),
    ErrorRule(500, Action.SHRINK, UNSERVED, code="ErrorCorruptData"),
    ErrorRule(500, Action.SHRINK, _OVERLOADED),
    ErrorRule(502, Action.SHRINK, _OVERLOADED),
    ErrorRule(503, Action.SHRINK, _OVERLOADED),
    ErrorRule(504, Action.SHRINK, _TOO_SLOW),
    # A page that takes too long is answered by silence, too.
    ErrorRule(0, Action.SHRINK, NO_ANSWER, code="ReadTimeout"),
    ErrorRule(0, Action.SHRINK, NO_ANSWER, code="ReadTimeoutError"),
    ErrorRule(0, Action.SHRINK, NO_ANSWER, code="ResponseOutOfBounds"),
    ErrorRule(0, Action.SHRINK, _TOO_LONG, code="ResponseTooLong", again=False),
    ErrorRule(0, Action.RETRY, NO_ANSWER),
)


def classify(response: GraphResponse) -> ErrorRule:
    """The kind of response this is: a page, or the first rule of the catalogue that matches.

    A page counts only if the response says that it is whole: status 200, a list of objects, no error beside it.
    """
    status = response.status_code
    if 200 <= status < 300:
        if status != 200 or _FAILED_PROVIDER.search(response.headers.get("Warning", "")):
            return _PARTIAL
        return _PAGE if isinstance(response.body.get("value"), list) and response.error is None else _MALFORMED
    if status == 503 and "Retry-After" in response.headers:
        return CATALOGUE[0]
    is_refusal = 0 < status < 500 or status == 501
    if is_refusal and status not in _WITHOUT_A_BODY and not response.is_graphs:
        return _FOREIGN
    codes, message = [code.lower() for code in response.codes], response.searched
    otherwise = UNKNOWN if is_refusal else _FAILED
    return next((rule for rule in CATALOGUE if rule.matches(status, codes, message)), otherwise)
