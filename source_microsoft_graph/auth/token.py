"""One app-only access token, shared by every stream and worker of a sync."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.auth import AuthBase

from source_microsoft_graph.auth.credentials import Credentials, TokenRequest
from source_microsoft_graph.auth.refusals import SIGN_IN
from source_microsoft_graph.auth.sent_secrets import remember_proof, sendable
from source_microsoft_graph.auth.session import SignInSession, login_hosts
from source_microsoft_graph.errors import NO_ANSWER, GraphUnreachable, SignInRefused
from source_microsoft_graph.retries import ATTEMPTS, SyncClock, backoff, retry_after
from source_microsoft_graph.transport import in_words

_RENEW_EARLY = 5 * 60

_LONGEST_WAIT = 5 * 60
"""Seconds that one sign-in waits at most because it is asked to. All streams wait for it."""

_LONGEST_QUOTE = 600
"""Characters of a refusal that are told; Entra's own have some 200."""

_ENTRA_CODE = re.compile(r"AADSTS(\d{1,9})(?!\d)")


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
    def roles(self) -> frozenset[str] | None:
        """The application permissions the token carries; None where it does not tell them.

        Microsoft asks clients not to depend on a token's inside, so roles only explain a refusal of Graph's and
        never replace asking. Entra leaves the claim out where nothing is granted:
        https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
        """
        try:
            payload = self.token().split(".")[1]
            claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (IndexError, binascii.Error, orjson.JSONDecodeError):
            return None
        if not isinstance(claims, dict):
            return None
        roles = claims.get("roles", [])
        is_told = isinstance(roles, list) and all(isinstance(role, str) for role in roles)
        return frozenset(roles) if is_told else None

    def _fetch(self, claims: str | None = None) -> None:
        answer = self._ask(claims)
        if "access_token" not in answer:
            raise SignInRefused(self._explain(str(answer.get("error_description") or answer.get("error") or answer)))
        self._token = sendable(answer["access_token"], self._endpoint)
        lifetime = float(answer["expires_in"])
        self._renew_at = self._clock.now() + lifetime - min(_RENEW_EARLY, lifetime / 2)

    def _ask(self, claims: str | None) -> dict[str, Any]:
        started = self._clock.now()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                # A new client each time: msal keeps tokens that were refused since, and refusals for a minute.
                return self.credentials.ask(TokenRequest(self._authority, self._scope, self._session(), claims))
            except ValueError as refusal:
                # How msal reports a tenant it cannot discover; what Entra said stands in the error before.
                raise SignInRefused(self._explain(str(refusal.__context__ or refusal))) from None
            except requests.RequestException as error:
                trouble = error
            wait = self._wait(trouble, attempt, self._clock.now() - started)
            if wait is None:
                break
            self._clock.sleep(wait)
        if self.credentials.no_endpoint and isinstance(trouble, requests.ConnectionError):
            raise SignInRefused(f"Sign-in failed. {self.credentials.no_endpoint} {trouble}")
        attempts = f"{attempt} attempts" if attempt > 1 else "1 attempt"
        told = f"No token could be had from {self._endpoint} in {attempts}: {in_words(trouble)}"
        is_silent = trouble.response is None and not self.credentials.endpoint
        raise GraphUnreachable(f"{told}. {NO_ANSWER.advice}" if is_silent else told)

    def _wait(self, trouble: requests.RequestException, attempt: int, since_first: float) -> float | None:
        """Seconds until the next attempt, None if there is none. Raises where Entra asks for more than a sync waits."""
        asked = None if trouble.response is None else retry_after(trouble.response)
        longest = min(_LONGEST_WAIT, self._clock.patience.attempts)
        if asked and since_first + asked > longest:
            raise GraphUnreachable(
                f"{self._endpoint} asks to wait {asked:.0f} seconds before the next sign-in, and one sign-in waits "
                f"{longest} at most. {trouble}"
            )
        wait = asked or backoff(attempt)
        return wait if attempt < ATTEMPTS and self._clock.patience.allows(wait, since_first) else None

    @property
    def _endpoint(self) -> str:
        return self.credentials.endpoint or urlsplit(self._authority).netloc

    def _session(self) -> SignInSession:
        hosts = frozenset() if self.credentials.endpoint else login_hosts(self._authority)
        session = SignInSession(hosts, self.credentials.passing, self._clock.patience)
        session.auth = remember_proof
        return session

    def _explain(self, description: str) -> str:
        code = _ENTRA_CODE.search(description)
        help_ = SIGN_IN.get(int(code[1])) if code else None
        first_line = description.splitlines()[0][:_LONGEST_QUOTE]
        return f"Sign-in failed. {help_} Entra says: {first_line}" if help_ else f"Sign-in failed. {first_line}"
