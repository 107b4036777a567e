"""The connection that msal signs in over: whom it may send to, and what of an answer gets as far as msal.

https://learn.microsoft.com/entra/msal/python/advanced/msal-python-http-client
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from source_microsoft_graph.auth.refusals import MISLED
from source_microsoft_graph.auth.sent_secrets import sendable
from source_microsoft_graph.errors import SignInRefused
from source_microsoft_graph.retries import Patience
from source_microsoft_graph.transport import BoundedAdapter, Bounds

_CONNECT, _SILENCE, _IN_ALL = 10, 30, 60
"""Seconds to connect, seconds of silence while reading, and seconds that one answer may take in all."""

_LARGEST = 2**20
"""Bytes of one answer. Tokens and the configuration of a tenant have a few thousand."""

_ALIASES = (
    frozenset({"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}),
    frozenset({"login.microsoftonline.us", "login.usgovcloudapi.net"}),
    frozenset({"login.chinacloudapi.cn", "login.partner.microsoftonline.cn"}),
)
"""The login hosts that are one, as Microsoft tells its own libraries:
https://login.microsoftonline.com/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.microsoftonline.com/common/oauth2/v2.0/authorize"""

_SHORTEST_LIFE, _LONGEST_LIFE = 60, 24 * 60 * 60
"""Seconds that a token is believed to live at least and at most. At half a minute of use a wrong `expires_in` costs
120 tokens an hour instead of one for each request; should a token end sooner, Graph refuses it and it is renewed."""

_UNKNOWN_LIFE = 10 * 60
"""Seconds that a token is believed to live which does not say. Entra's live an hour or more:
https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes"""

_UNREAD = frozenset({"refresh_in", "ext_expires_in", "refresh_token", "id_token", "client_info", "scope"})
"""What msal reads beside an access token, and fails on if it has another form. Nothing of it is used here."""


class SignInSession(requests.Session):
    """Sends to these hosts alone, over HTTPS, or to any if there are none; follows no redirect; waits within bounds.

    `passing` are statuses that mean: ask again, beside those that always do. Raises `SignInRefused` for what leads
    elsewhere, and `requests.RequestException` for passing trouble.
    """

    def __init__(self, hosts: frozenset[str], passing: frozenset[int], patience: Patience) -> None:
        super().__init__()
        self._hosts, self._passing = hosts, passing
        self._timeout = (_CONNECT, min(_SILENCE, patience.silence))
        adapter = BoundedAdapter(Bounds(min(_IN_ALL, patience.response), _LARGEST, _LARGEST))
        self.mount("https://", adapter)
        self.mount("http://", adapter)  # ignore-https-check: An identity endpoint of Azure's has no HTTPS.
        # msal copies the hooks where it makes a session of its own, as for Service Fabric.
        self.hooks["response"].append(self._examine)

    def request(self, method: Any, url: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        self._check_host("The sign-in", url)
        return super().request(method, url, **{**options, "timeout": self._timeout, "allow_redirects": False})

    def _check_host(self, who: str, url: Any) -> None:
        scheme, host = _origin(url)
        if self._hosts and (scheme != "https" or host not in self._hosts):
            raise SignInRefused(f"Sign-in failed. {who} leads to {scheme or 'no scheme'}://{host}. {MISLED}")

    def _examine(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Raise what is not for msal to see: it follows what leads elsewhere, takes a 429 for a refusal and remembers
        it, logs a body that is no JSON, which may be half a token, and fails on an odd value."""
        status, host = response.status_code, _origin(response.url)[1]
        if 300 <= status < 400:
            scheme, target = _origin(response.headers.get("Location", ""), relative_to=response.url)
            raise SignInRefused(f"Sign-in failed. {host} answers with a redirect to {scheme}://{target}. {MISLED}")
        if status == 429 or status >= 500 or status in self._passing:
            response.raise_for_status()
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            if status < 400 or response.request.method == "POST":
                raise requests.HTTPError(f"HTTP {status} without JSON", response=response) from None
            return
        if not isinstance(answer, dict) or (status < 400 and status != 200):
            raise requests.HTTPError(f"HTTP {status} without a JSON object", response=response)
        if status == 200 and str(response.url).endswith("/openid-configuration"):
            if not answer.keys() >= {"token_endpoint", "authorization_endpoint"}:
                raise requests.HTTPError("The configuration of the tenant names no endpoints", response=response)
            self._check_host(f"The token endpoint that {host} names", answer["token_endpoint"])
        if "access_token" in answer:
            response._content = json.dumps(_readable(answer, host)).encode()
            response.encoding = "utf-8"


def login_hosts(authority: str) -> frozenset[str]:
    """The login host of this URL and those that are the same by another name."""
    _, host = _origin(authority)
    return next((hosts for hosts in _ALIASES if host in hosts), frozenset({host}))


def _origin(url: Any, relative_to: str = "") -> tuple[str, str]:
    """Scheme and host of a URL, without what may be secret in it. What stands before an @ is no part of the host, and
    libraries differ on where it begins, so it makes the host another one."""
    try:
        parts = urlsplit(urljoin(relative_to, str(url)))
    except ValueError:
        return "", "a host that cannot be read"
    _, at, host = parts.netloc.rpartition("@")
    return parts.scheme[:20].lower(), f"{at and '…@'}{host[:100].lower().removesuffix(':443')}"


def _readable(answer: Mapping[str, Any], host: str) -> dict[str, Any]:
    """A grant as msal can read it, whatever the values are that only say how long the token lives."""
    given = answer["access_token"]
    token = sendable(given.strip() if isinstance(given, str) else given, host)
    life = _life(answer)
    kept = {name: value for name, value in answer.items() if name not in _UNREAD}
    return kept | {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": life,
        "expires_on": int(time.time()) + life,
    }


def _life(answer: Mapping[str, Any]) -> int:
    """Seconds that a token lives, whose answer may give the time it ends instead: https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference"""
    for stated, since in ((answer.get("expires_in"), 0.0), (answer.get("expires_on"), time.time())):
        try:
            life = float(stated) - since  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            continue
        if not math.isnan(life):
            return int(min(max(life, _SHORTEST_LIFE), _LONGEST_LIFE))
    return _UNKNOWN_LIFE
