"""What proves to the sign-in service that somebody is the app: secret, certificates, other identity providers.

https://learn.microsoft.com/entra/identity-platform/certificate-credentials
https://learn.microsoft.com/entra/workload-id/workload-identity-federation
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from jwt.types import Options

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("PS256", "RS256")
LONGEST = 24 * 60 * 60
SKEW = 5 * 60


class Refused(Exception):
    """A refusal by its AADSTS number."""

    def __init__(self, number: int, subject: str = "") -> None:
        super().__init__(number, subject)
        self.number, self.subject = number, subject


@dataclass(frozen=True)
class Federated:
    """A federated identity credential, and the key its issuer signs with."""

    issuer: str
    subject: str
    key: Any
    audience: str = "api://AzureADTokenExchange"


@dataclass
class Trust:
    """What the app registration trusts. `subjects` holds (issuer, subject) pairs, in RFC 4514's spelling."""

    certificates: list[x509.Certificate] = field(default_factory=list)
    subjects: set[tuple[str, str]] = field(default_factory=set)
    federated: list[Federated] = field(default_factory=list)
    identities: set[str | None] = field(default_factory=set)
    identity_header: str = "the-identity-header"
    blocked: bool = False
    demanded: Mapping[str, Any] | None = None
    seen: set[str] = field(default_factory=set)

    def prove(self, form: Mapping[str, str], token_endpoint: str, now: float) -> None:
        """Raise unless the assertion in the form is the app's own, or one of an issuer it trusts."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise Refused(900144, "client_assertion_type")
        assertion, client = form["client_assertion"], form["client_id"]
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError as flaw:
            raise Refused(50013, str(flaw)) from None
        _check_times(claims, now)
        if claims.get("iss") == client:
            self._prove_certificate(assertion, header, client, token_endpoint)
        else:
            self._prove_federation(assertion, claims)

    def _prove_certificate(self, assertion: str, header: Mapping[str, Any], client: str, token_endpoint: str) -> None:
        certificate = self._certificate(header)
        claims = _verified(assertion, certificate.public_key(), token_endpoint, 700027)
        if claims.get("sub") != client:
            raise Refused(700021, client)
        if claims["exp"] > claims.get("nbf", claims.get("iat", 0)) + LONGEST:
            raise Refused(700024, "it lives too long")
        if not claims.get("jti") or claims["jti"] in self.seen:
            raise Refused(50013, "jti is missing or was seen before")
        self.seen.add(claims["jti"])

    def _certificate(self, header: Mapping[str, Any]) -> x509.Certificate:
        thumbprint = header.get("x5t#S256", "").rstrip("=")
        for certificate in self.certificates:
            if thumbprint == _thumbprint(certificate):
                return certificate
        if not header.get("x5c"):
            raise Refused(700027, thumbprint)
        sent = x509.load_der_x509_certificate(b64decode(header["x5c"][0]))
        if (sent.issuer.rfc4514_string(), sent.subject.rfc4514_string()) not in self.subjects:
            raise Refused(700030, sent.subject.rfc4514_string())
        if thumbprint != _thumbprint(sent):
            raise Refused(700027, thumbprint)
        return sent

    def _prove_federation(self, assertion: str, claims: Mapping[str, Any]) -> None:
        if not self.federated:
            raise Refused(70025)
        known = self.federated
        for name, claim, number in (("issuer", "iss", 700211), ("audience", "aud", 700212), ("subject", "sub", 700213)):
            known = [credential for credential in known if getattr(credential, name) == claims.get(claim)]
            if not known:
                raise Refused(number, str(claims.get(claim)))
        _verified(assertion, known[0].key, known[0].audience, 50013)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    if not claims.get("exp", 0) > now - SKEW or claims.get("nbf", now) > now + SKEW:
        raise Refused(700024, f"it is {now:.0f}, and it expires at {claims.get('exp')}")


def _verified(assertion: str, key: Any, audience: str, number: int) -> dict[str, Any]:
    try:
        options: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        claims: dict[str, Any] = jwt.decode(assertion, key, ALGORITHMS, options, audience=audience)
    except jwt.InvalidAudienceError:
        raise Refused(50013, "the audience is another") from None
    except jwt.PyJWTError as flaw:
        raise Refused(number, str(flaw)) from None
    return claims


def _thumbprint(certificate: x509.Certificate) -> str:
    return urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
