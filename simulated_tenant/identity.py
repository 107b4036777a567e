"""The endpoints from which Azure's resources get tokens of their managed identities: that of virtual machines, and
that of App Service. Plain HTTP, for they never leave the machine.

https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from .state import State
from .tokens import issue
from .wire import Reply, Request

MACHINE, APP_SERVICE = "/metadata/identity/oauth2/token", "/msi/token"


def respond(state: State, request: Request) -> Reply:
    """The reply to a request on the machine's own port."""
    options = dict(request.parameters())
    if request.path == MACHINE:
        return _machine(state, request, options)
    if request.path == APP_SERVICE:
        return _app_service(state, request, options)
    return _json(404, {"error": "not_found", "error_description": request.path})


def _machine(state: State, request: Request, options: Mapping[str, str]) -> Reply:
    if request.headers.get("metadata") != "true":
        return _json(400, {"error": "bad_request_102", "error_description": "Required metadata header not specified"})
    if options.get("api-version") != "2018-02-01" or not options.get("resource"):
        flaw = "Required audience parameter not specified"
        return _json(400, {"error": "invalid_request", "error_description": flaw})
    if options.get("client_id") not in state.trust.identities:
        return _json(400, {"error": "invalid_request", "error_description": "Identity not found"})
    return _json(200, _token(state, options["resource"]))


def _app_service(state: State, request: Request, options: Mapping[str, str]) -> Reply:
    if request.headers.get("x-identity-header") != state.trust.identity_header:
        return _json(401, {"statusCode": 401, "message": "The identity header is wrong."})
    if options.get("api-version") != "2019-08-01" or options.get("client_id") not in state.trust.identities:
        return _json(400, {"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found."})
    return _json(200, _token(state, options["resource"]))


def _token(state: State, resource: str) -> Mapping[str, Any]:
    """Numbers are texts here."""
    lifetime = state.traits.token_seconds
    return {
        "access_token": issue(state, resource, state.grants, lifetime),
        "expires_in": str(int(lifetime)),
        "expires_on": str(int(state.clock() + lifetime)),
        "resource": resource,
        "token_type": "Bearer",
    }


def _json(status: int, body: Mapping[str, Any]) -> Reply:
    return Reply(status, orjson.dumps(body), {"Content-Type": "application/json; charset=utf-8"}, workload="identity")
