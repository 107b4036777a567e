"""The refusals Graph is known for, by name, so that a table or a trait can refer to them.

https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from .wire import Reply, Request, json_headers, request_id

# One a line: name, status, code, message; {id} stands for the user, team, property or option it is about.
KNOWN = {
    name: (int(status), code, message)
    for name, status, code, message in (
        line.split(maxsplit=3)
        for line in """
user_gone               404 Request_ResourceNotFound Resource '{id}' does not exist or one of its queried reference-property objects are not present.
mailbox_inactive        404 MailboxNotEnabledForRESTAPI The mailbox is either inactive, soft-deleted, or is hosted on-premise.
mailbox_on_premises     404 MailboxNotEnabledForRESTAPI REST API is not yet supported for this mailbox.
mailbox_invalid_user    404 ErrorInvalidUser The requested user '{id}' is invalid.
mailbox_non_existent    404 ErrorNonExistentMailbox The SMTP address has no mailbox associated with it.
mailbox_unresolved      404 ResourceNotFound Resource could not be discovered.
mailbox_item_not_found  404 ErrorItemNotFound The specified object was not found in the store.
mailbox_out_of_scope    403 ErrorAccessDenied Access is denied. Check credentials and try again.
mailbox_corrupt         500 ErrorCorruptData Data is corrupt.
mailbox_busy            429 ApplicationThrottled Application is over its MailboxConcurrency limit.
onedrive_missing        404 ResourceNotFound User's mysite not found.
onedrive_no_url         400 BadRequest Unable to retrieve user's mysite URL.
onedrive_item_not_found 404 itemNotFound The resource could not be found.
onedrive_blocked        423 notAllowed Access to this site has been blocked. Please contact the administrator to resolve this problem.
group_without_site      404 ResourceNotFound Resource is not found.
no_sharepoint_licence   400 BadRequest Tenant does not have a SPO license.
files_denied            403 accessDenied Access denied
resync_required         410 resyncRequired Resync required. Replace any local items with the server's version.
teams_unlicensed        403 Forbidden Failed to get license information for the user. Ensure user has a valid Office365 license assigned to them.
team_not_found          404 NotFound No team found with Group Id {id}
team_item_not_found     404 ItemNotFound No team found with Group Id {id}
team_too_new            401 Unauthorized Unauthorized
chat_not_found          404 NotFound No chat or user found with id {id}
chats_app_only          412 PreconditionFailed Requested API is not supported in application-only context
sign_ins_not_premium    403 Authentication_RequestFromNonPremiumTenantOrB2CTenant Tenant is not a B2C tenant and doesn't have premium license
reports_denied          403 S2SUnauthorized Invalid permission.
report_out_of_range     400 InvalidArgument The date '{id}' is not within the last 30 days.
report_without_period   400 InvalidArgument There is no report for '{id}'.
not_provisioned         403 Forbidden Account is not provisioned.
announcements_denied    403 Forbidden Missing scopes in the request.
security_denied         403 Forbidden Missing scopes in the request.
no_intune               400 BadRequest Request not applicable to target tenant.
intune_denied           403 Forbidden Application is not authorized to perform this operation.
not_licensed            403 Forbidden Your tenant is not licensed for this feature.
audit_denied            403 Authentication_MSGraphPermissionMissing Calling principal does not have required MSGraph permissions AuditLog.Read.All
roles_not_governed      400 AadPremiumLicenseRequired The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.
policies_denied         403 AccessDenied You cannot perform the requested operation, required scopes are missing in the token.
directory_denied        403 Authorization_RequestDenied Insufficient privileges to complete the operation.
payment_required        402 PaymentRequired Payment is required.
not_in_a_list           501 NotImplemented This operation target is not yet supported.
not_in_sharepoint       400 -1,#Microsoft.SharePoint.Client.InvalidClientQueryException The expression "id in ('{id}')" is not valid.
never_on_a_get          400 Request_BadRequest The property '{id}' can't be selected.
archived_flag           404 ResourceNotFound Resource not found.
property_unknown        400 BadRequest Could not find a property named '{id}' on the type of this collection.
too_complex             400 InefficientFilter The restriction or sort order is too complex for this operation.
filter_unreadable       400 BadRequest Invalid filter clause: '{id}'.
filter_unsupported      400 BadRequest The $filter on '{id}' is not supported.
order_unsupported       400 BadRequest The $orderby '{id}' is not supported for this collection.
option_repeated         400 BadRequest Query option '{id}' was specified more than once, but it must be specified at most once.
option_unsupported      400 BadRequest Query option '{id}' is not supported.
skip_token_refused      400 BadRequest The query specified in the URI is not valid. Query option 'SkipToken' is not allowed. To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings.
top_invalid             400 BadRequest Invalid value '{id}' for $top query option found. The $top query option requires a non-negative integer value.
token_altered           400 BadRequest The {id} is not one that was issued for this query.
page_token_expired      400 Directory_ExpiredPageToken The specified page token value has expired and can no longer be included in your request.
page_token_not_found    400 DirectoryPageTokenNotFoundException The specified page token was not found.
sync_state_not_found    410 syncStateNotFound The sync state generation is not found; the continuation token is no longer valid.
timestamp_token_refused 400 invalidRequest The provided token is not valid: a timestamp is not supported here.
window_missing          400 ErrorInvalidParameter This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.
window_too_long         400 ErrorInvalidRequest Your request can't be completed. The range between the start and end dates is greater than the allowed range. Maximum number of days: 1825
contact_filter_refused  400 ErrorInvalidUrlQueryFilter The query filter contains one or more invalid nodes.
not_in_a_delta          400 BadRequest Invalid request for delta query: for this entity set, $expand/$select is not supported for the following properties: {id}
too_many_ids            400 Request_UnsupportedQuery Too many ids: a delta query can be about {id} objects at most.
extension_unknown       400 Request_BadRequest Could not find a property named '{id}' on this type: it is neither a declared property nor an extension property.
no_such_segment         400 BadRequest Resource not found for the segment '{id}'.
no_such_version         400 BadRequest Invalid version: only v1.0 is simulated.
method_not_allowed      405 Request_BadRequest Specified HTTP method is not allowed for the request target.
too_many_requests       429 TooManyRequests Too many requests. Please retry again later.
dependency_failed       424 FailedDependency A request this one depends on has failed.
batch_malformed         400 BadRequest Invalid batch payload format: {id}.
not_simulated           501 NotSimulated Graph has an answer to {id} here; the simulated tenant does not.
""".strip().splitlines()  # noqa: E501
    )
}
INNER_CODES = {"onedrive_blocked": "resourceLocked", "resync_required": "resyncChangesApplyDifferences"}


class Problem(Exception):
    """A refusal: status, code and message as the service words them."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None, inner_code: str = ""
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.headers, self.inner_code = dict(headers or {}), inner_code

    def reply(self, request: Request, workload: str) -> Reply:
        """The refusal as a reply, with the ids that support asks for in `innerError`."""
        number = request_id()
        inner: dict[str, Any] = {"code": self.inner_code} if self.inner_code else {}
        inner |= {
            "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}",
            "request-id": number,
            "client-request-id": request.headers.get("client-request-id", number),
        }
        body = orjson.dumps({"error": {"code": self.code, "message": self.message, "innerError": inner}})
        return Reply(self.status, body, json_headers(request, number) | self.headers, workload=workload)


def problem(name: str, subject: str = "", headers: Mapping[str, str] | None = None) -> Problem:
    """The refusal of that name, about that user, team, property or option."""
    status, code, message = KNOWN[name]
    return Problem(status, code.replace("#", " "), message.replace("{id}", subject), headers, INNER_CODES.get(name, ""))
