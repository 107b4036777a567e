"""Access tokens: JWTs whose `roles` are the application permissions that the app was granted when they were issued.

https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping
from typing import Any

import jwt
import orjson
from jwt.types import Options

from .problems import Problem
from .state import State
from .wire import Request

ALGORITHM = "HS256"
CHALLENGE = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
# The times, the audience and the revocation are checked against the tenant's clock and the request, in Graph's order.
ONLY_THE_SIGNATURE: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}


def issue(
    state: State, audience: str, roles: Collection[str], lifetime: float, asked: Mapping[str, Any] | None = None
) -> str:
    """An access token that lives for `lifetime` seconds. `asked` holds the claims that the client asked it to meet, and
    says whether the client can answer a claims challenge.
    """
    now = state.clock()
    claims = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{state.tenant_id}/",
        "iat": int(now),
        "exp": now + lifetime,
        "appid": state.client_id,
        "idtyp": "app",
        "roles": sorted(roles),
        "tid": state.tenant_id,
        "uti": state.token_generation,
        "xms_cc": [value.lower() for value in (asked or {}).get("xms_cc", {}).get("values", ())],
        "met": {name: claim for name, claim in (asked or {}).items() if name != "xms_cc"},
    }
    return jwt.encode(claims, state.key, ALGORITHM)


def roles(state: State, request: Request) -> frozenset[str]:
    """The permissions of the request's token. One that Graph can't accept is a 401.

    https://learn.microsoft.com/graph/resolve-auth-errors
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise _unauthorised("Access token is empty.")
    claims = state.known_tokens.get(token) or _claims(state, token)
    state.known_tokens[token] = claims
    if claims["exp"] <= state.clock():
        raise _unauthorised("Lifetime validation failed, the token is expired.")
    if claims["aud"] != f"https://{request.host}":
        raise _unauthorised("Access token validation failure. Invalid audience.")
    if claims["uti"] != state.token_generation:
        raise _unauthorised("Continuous access evaluation resulted in challenge: TokenIssuedBeforeRevocationTimestamp")
    demanded = state.trust.demanded
    if demanded and claims["met"] != demanded["access_token"]:
        raise _unauthorised(
            "Continuous access evaluation resulted in challenge.", demanded if "cp1" in claims["xms_cc"] else None
        )
    granted: frozenset[str] = claims["granted"]
    return granted


def _claims(state: State, token: str) -> dict[str, Any]:
    try:
        claims = jwt.decode(token, state.key, [ALGORITHM], ONLY_THE_SIGNATURE)
    except jwt.InvalidSignatureError:
        raise _unauthorised("Access token validation failure. Invalid signature.") from None
    except jwt.PyJWTError:
        raise _unauthorised("IDX14100: JWT is not well formed, there are no dots (.).") from None
    return claims | {"granted": frozenset(claims["roles"])}


def _unauthorised(message: str, demanded: Mapping[str, Any] | None = None) -> Problem:
    """A client that says it can is told what the next token has to meet.

    https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """
    challenge = CHALLENGE
    if demanded:
        claims = b64encode(orjson.dumps(demanded)).decode()
        challenge += f', error="insufficient_claims", claims="{claims}"'
    return Problem(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})
