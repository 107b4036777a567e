"""The token endpoint of Microsoft Entra ID, for the client credentials flow.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson

from . import clouds
from .state import State
from .tokens import issue
from .trust import Refused
from .wire import Reply, Request, request_id

PATH = re.compile(r"/(?P<tenant>[^/]+)/(?P<what>oauth2/v2\.0/token|v2\.0/\.well-known/openid-configuration)")
REQUIRED = ("grant_type", "client_id", "scope")
NOT_FEDERATED = "No matching federated identity record found for presented assertion {} '{{}}'."

# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
REFUSALS: Mapping[int, tuple[int, str, str]] = {
    900144: (400, "invalid_request", "The request body must contain the following parameter: '{}'."),
    90002: (400, "invalid_tenant", "Tenant '{}' not found. Check to make sure you have the correct tenant ID."),
    70003: (400, "unsupported_grant_type", "The app requested an unsupported grant type '{}'."),
    700016: (400, "unauthorized_client", "Application with identifier '{}' was not found in the directory 'Contoso'."),
    7000112: (401, "unauthorized_client", "Application '{}' is disabled."),
    7000215: (
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{}'.",
    ),
    7000218: (401, "invalid_client", "The request body must contain: 'client_assertion' or 'client_secret'."),
    50013: (400, "invalid_grant", "Assertion failed signature validation. [Reason - {}]"),
    53003: (400, "invalid_grant", "Access has been blocked by Conditional Access policies."),
    70025: (401, "invalid_client", "The client has no configured federated identity credentials.{}"),
    700021: (401, "invalid_client", "Client assertion application identifier doesn't match 'client_id' parameter {}."),
    700024: (401, "invalid_client", "Client assertion is not within its valid time range: {}."),
    700027: (
        401,
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not registered on application. "
        "[Reason - The key was not found., Thumbprint of key used by client: '{}']",
    ),
    700030: (401, "invalid_client", "Invalid certificate - subject name in certificate isn't authorized: {}."),
    700211: (401, "invalid_client", NOT_FEDERATED.format("issuer")),
    700212: (401, "invalid_client", NOT_FEDERATED.format("audience")),
    700213: (401, "invalid_client", NOT_FEDERATED.format("subject")),
    7000222: (401, "invalid_client", "The provided client secret keys for app '{}' are expired."),
    500011: (400, "invalid_resource", "The resource principal named {} was not found in the tenant named Contoso."),
    1002012: (400, "invalid_scope", "The provided value for scope {} is not valid: it must end with /.default."),
}


def respond(state: State, request: Request) -> Reply | None:
    """The reply of the sign-in service; None when the path isn't one of its own."""
    match = PATH.fullmatch(request.path)
    if match is None:
        return None
    try:
        if match["tenant"].lower() not in (state.tenant_id, state.domain):
            raise Refused(90002, match["tenant"])
        return _json(200, _metadata(state, request) if match["what"].startswith("v2.0") else _grant(state, request))
    except Refused as refused:
        return _refusal(refused)


def _metadata(state: State, request: Request) -> Mapping[str, Any]:
    authority = f"https://{request.host}/{state.tenant_id}"
    return {
        "issuer": f"{authority}/v2.0",
        "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
        "token_endpoint": f"{authority}/oauth2/v2.0/token",
        "jwks_uri": f"{authority}/discovery/v2.0/keys",
    }


def _grant(state: State, request: Request) -> Mapping[str, Any]:
    form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    if missing := [name for name in REQUIRED if not form.get(name)]:
        raise Refused(900144, missing[0])
    client, scope, secret = form["client_id"], form["scope"], form.get("client_secret")
    resource = scope.removesuffix("/.default")
    checks = (
        (form["grant_type"] == "client_credentials", 70003, form["grant_type"]),
        (client == state.client_id, 700016, client),
        (not state.traits.app_disabled, 7000112, client),
        (secret is not None or "client_assertion" in form, 7000218, ""),
        (secret in (None, state.client_secret), 7000215, client),
        (secret is None or not state.traits.secret_expired, 7000222, client),
        (not state.trust.blocked, 53003, ""),
        (resource != scope, 1002012, scope),
        (resource.removeprefix("https://") in state.graph_hosts, 500011, resource),
        (clouds.knows(request.host, resource.removeprefix("https://")), 500011, resource),
    )
    for passed, number, subject in checks:
        if not passed:
            raise Refused(number, subject)
    if secret is None:
        endpoint = _metadata(state, request)["token_endpoint"]
        state.trust.prove(form, endpoint, state.clock())
    claims = orjson.loads(form.get("claims") or "{}").get("access_token", {})
    lifetime = int(state.traits.token_seconds)
    return {
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": issue(state, resource, state.grants, lifetime, claims),
    }


def _refusal(refused: Refused) -> Reply:
    status, error, text = REFUSALS[refused.number]
    trace, now = request_id(), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"
    description = f"AADSTS{refused.number}: {text.format(refused.subject)} Trace ID: {trace} Timestamp: {now}"
    body = {
        "error": error,
        "error_description": description,
        "error_codes": [refused.number],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": trace,
        "error_uri": f"https://login.microsoftonline.com/error?code={refused.number}",
    }
    return _json(status, body)


def _json(status: int, body: Mapping[str, Any]) -> Reply:
    return Reply(status, orjson.dumps(body), {"Content-Type": "application/json; charset=utf-8"}, workload="signin")
