"""Which parts of a request for a token are secret, and which tokens a request can carry."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import requests

from source_microsoft_graph.errors import SignInRefused
from source_microsoft_graph.redaction import remember

_FIELDS = ("client_secret", "client_assertion")
_HEADERS = ("Authorization", "X-IDENTITY-HEADER", "secret")
"""Where the sign-in service and the endpoints of managed identities take proofs."""

_SENDABLE = re.compile(r"[!-~]+")
"""What a header can carry: https://datatracker.ietf.org/doc/html/rfc6750#section-2.1 allows less still."""


def remember_proof(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """For `Session.auth`: the request as it is, whose proof is never printed from now on.

    msal makes a new assertion for each request, and shows it to nobody before.
    """
    body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
    form = parse_qs(body)
    remember([form.get(name) for name in _FIELDS])
    remember([request.headers.get(name) for name in _HEADERS])
    return request


def sendable(token: object, issuer: str) -> str:
    """The token, which is never printed from now on. Raises `SignInRefused` for one that no request can carry: Python
    would refuse it with its text."""
    remember(token)
    if not isinstance(token, str) or not _SENDABLE.fullmatch(token):
        raise SignInRefused(
            f"Sign-in failed. {issuer} issued an access token that no request can carry: it is empty, no text, or "
            "holds a line break or another character that a header must not have."
        )
    return token
