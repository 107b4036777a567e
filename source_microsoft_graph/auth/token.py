"""One app-only access token, shared by every stream and worker of a sync."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.auth import AuthBase

from source_microsoft_graph.auth.credentials import Credentials, TokenRequest
from source_microsoft_graph.auth.refusals import SIGN_IN
from source_microsoft_graph.auth.sent_secrets import remember_proof, sendable
from source_microsoft_graph.errors import GraphUnreachable, SignInRefused
from source_microsoft_graph.retries import ATTEMPTS, SyncClock, backoff, retry_after

_RENEW_EARLY = 5 * 60
_TIMEOUT = (10, 30)
"""Seconds to connect, and seconds of silence while reading."""

_ENTRA_CODE = re.compile(r"AADSTS(\d+)")


class GraphAuth(AuthBase):
    """Puts the token on each request. Fetched on first use, renewed before it expires, once for all threads."""

    def __init__(self, credentials: Credentials, authority: str, scope: str, clock: SyncClock) -> None:
        """`authority` is the URL of the tenant at the cloud's login host."""
        self.credentials = credentials
        self._authority, self._scope = authority, scope
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token()}"
        return request

    def token(self) -> str:
        """Raises `SignInRefused` where Entra says no, `GraphUnreachable` where it does not answer."""
        with self._lock:
            if self._clock.now() >= self._renew_at:
                self._fetch()
            return self._token

    def renew(self, refused: requests.PreparedRequest, claims: str | None = None) -> None:
        """Replace the token Graph refused, unless another worker already has, by one that meets these claims."""
        with self._lock:
            if refused.headers.get("Authorization") == f"Bearer {self._token}":
                self._fetch(claims)

    @property
    def roles(self) -> frozenset[str]:
        """The application permissions the token carries; empty where it cannot be read.

        Microsoft asks clients not to depend on a token's inside, so roles only explain a refusal of Graph's and
        never replace asking.
        """
        try:
            payload = self.token().split(".")[1]
            claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            return frozenset(claims["roles"])
        except (IndexError, KeyError, TypeError, binascii.Error, orjson.JSONDecodeError):
            return frozenset()

    def _fetch(self, claims: str | None = None) -> None:
        answer = self._ask(claims)
        if "access_token" not in answer:
            raise SignInRefused(self._explain(str(answer.get("error_description") or answer.get("error") or answer)))
        self._token = sendable(answer["access_token"], self._issuer)
        lifetime = float(answer["expires_in"])
        self._renew_at = self._clock.now() + lifetime - min(_RENEW_EARLY, lifetime / 2)

    def _ask(self, claims: str | None) -> dict[str, Any]:
        credentials = self.credentials
        for attempt in range(1, ATTEMPTS + 1):
            try:
                # A new client each time: msal keeps tokens that were refused since, and refusals for a minute.
                return credentials.ask(TokenRequest(self._authority, self._scope, self._session(), claims))
            except ValueError as refusal:
                # How msal reports a tenant it cannot discover; what Entra said stands in the error before.
                raise SignInRefused(self._explain(str(refusal.__context__ or refusal))) from None
            except requests.RequestException as error:
                trouble, wait = error, None if error.response is None else retry_after(error.response)
            if attempt < ATTEMPTS:
                self._clock.sleep(wait or backoff(attempt))
        if credentials.no_endpoint and isinstance(trouble, requests.ConnectionError):
            raise SignInRefused(f"Sign-in failed. {credentials.no_endpoint} {trouble}")
        raise GraphUnreachable(f"No token could be had from {self._issuer} in {ATTEMPTS} attempts: {trouble}")

    @property
    def _issuer(self) -> str:
        return self.credentials.endpoint or urlsplit(self._authority).netloc

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.auth = remember_proof
        session.request = partial(session.request, timeout=_TIMEOUT)  # type: ignore[method-assign]
        session.hooks["response"].append(partial(_raise_passing_trouble, self.credentials.passing))
        return session

    def _explain(self, description: str) -> str:
        code = _ENTRA_CODE.search(description)
        help_ = SIGN_IN.get(int(code[1])) if code else None
        first_line = description.splitlines()[0]
        return f"Sign-in failed. {help_} Entra says: {first_line}" if help_ else f"Sign-in failed. {first_line}"


def _raise_passing_trouble(passing: frozenset[int], response: requests.Response, *_: Any, **__: Any) -> None:
    """msal takes a 429 for a refusal, remembers it, and gives it again when asked again too soon. It logs a body that
    is no JSON, which may be half a token."""
    if response.status_code == 429 or response.status_code >= 500 or response.status_code in passing:
        response.raise_for_status()
    try:
        response.json()
    except ValueError:
        if response.ok or response.request.method == "POST":
            raise requests.HTTPError(f"HTTP {response.status_code} without JSON", response=response) from None
