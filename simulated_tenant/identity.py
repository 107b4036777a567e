"""The endpoints from which Azure's resources get tokens of their managed identities: that of virtual machines, and
that of App Service. Plain HTTP, for they never leave the machine.

https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from .signin import issue
from .wire import Reply, Request

if TYPE_CHECKING:
    from .tenant import Tenant

MACHINE, APP_SERVICE = "/metadata/identity/oauth2/token", "/msi/token"


def respond(tenant: Tenant, request: Request) -> Reply:
    """The reply to a request on the machine's own port."""
    options = dict(request.parameters())
    if request.path == MACHINE:
        return _machine(tenant, request, options)
    if request.path == APP_SERVICE:
        return _app_service(tenant, request, options)
    return _json(404, {"error": "not_found", "error_description": request.path})


def _machine(tenant: Tenant, request: Request, options: Mapping[str, str]) -> Reply:
    if request.headers.get("metadata") != "true":
        return _json(400, {"error": "bad_request_102", "error_description": "Required metadata header not specified"})
    if options.get("api-version") != "2018-02-01" or not options.get("resource"):
        flaw = "Required audience parameter not specified"
        return _json(400, {"error": "invalid_request", "error_description": flaw})
    if options.get("client_id") not in tenant.trust.identities:
        return _json(400, {"error": "invalid_request", "error_description": "Identity not found"})
    return _json(200, _token(tenant, options["resource"]))


def _app_service(tenant: Tenant, request: Request, options: Mapping[str, str]) -> Reply:
    if request.headers.get("x-identity-header") != tenant.trust.identity_header:
        return _json(401, {"statusCode": 401, "message": "The identity header is wrong."})
    if options.get("api-version") != "2019-08-01" or options.get("client_id") not in tenant.trust.identities:
        return _json(400, {"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found."})
    return _json(200, _token(tenant, options["resource"]))


def _token(tenant: Tenant, resource: str) -> Mapping[str, Any]:
    """Numbers are texts here."""
    lifetime = tenant.traits.token_seconds
    return {
        "access_token": issue(tenant, resource, tenant.grants, lifetime),
        "expires_in": str(int(lifetime)),
        "expires_on": str(int(tenant.clock() + lifetime)),
        "resource": resource,
        "token_type": "Bearer",
    }


def _json(status: int, answer: Mapping[str, Any]) -> Reply:
    return Reply(status, orjson.dumps(answer), {"Content-Type": "application/json; charset=utf-8"}, service="identity")
