"""How the connector proves whose token it may have: one class a kind, each by way of Microsoft's own library.

https://learn.microsoft.com/entra/identity-platform/msal-authentication-flows
"""

from __future__ import annotations

import binascii
import json
import os
import re
import stat
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any, ClassVar, Self, cast

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12
from msal import (
    ConfidentialClientApplication,
    ManagedIdentityClient,
    SystemAssignedManagedIdentity,
    UserAssignedManagedIdentity,
)

from source_microsoft_graph.auth.refusals import NO_ASSERTION, NO_IDENTITY
from source_microsoft_graph.errors import GRANT, PERMISSION, Help, SignInRefused
from source_microsoft_graph.redaction import remember

_TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE"
"""Where Azure Workload Identity puts the name of the file it keeps fresh in a pod."""

_HEADER_SECRETS = ("IDENTITY_HEADER", "MSI_SECRET")
"""Where App Service and Machine Learning put what their endpoints want to be shown."""

_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")
_PEM = re.compile(
    r"-----\s*BEGIN(?P<label>[A-Z\s]+?)\s*-----\s*"
    # OpenSSL's older way to encrypt a key: https://www.rfc-editor.org/rfc/rfc1421#section-4.6
    r"(?:Proc-Type:\s*4,\s*ENCRYPTED\s*DEK-Info:\s*"
    r"(?P<cipher>DES[A-Z0-9-]*,\s*[0-9A-Fa-f]{16}|[A-Z0-9-]+,\s*[0-9A-Fa-f]{32}))?"
    r"(?P<content>[A-Za-z0-9+/=\s]+)"
    r"-----\s*END[A-Z\s]+-----"
)
_PEM_WORDS = re.compile("RSA|EC|DSA|ENCRYPTED|TRUSTED|PRIVATE|KEY|CERTIFICATE")

_LARGEST_TOKEN = 64 * 1024
"""Bytes of a file that may hold a token. Those of Kubernetes have about one thousand."""

_UPDATING = frozenset({404, 410})
"""What the endpoint of managed identities answers while it is being updated:
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling"""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What is asked for, where, and over which connection. `claims` is what Graph demands of the next token."""

    authority: str
    scope: str
    session: requests.Session
    claims: str | None = None


class Credentials(ABC):
    """One kind of proof. What is secret about it, or changes, is read when a token is asked for."""

    __slots__ = ()

    passing: ClassVar[frozenset[int]] = frozenset()
    """Statuses that mean: ask again, beside those that always do."""

    endpoint: ClassVar[str] = ""
    """Who hands out the tokens, if it is not the cloud's login host."""

    no_endpoint: ClassVar[Help | None] = None
    """What is amiss if there is nobody to ask."""

    @abstractmethod
    def ask(self, request: TokenRequest) -> dict[str, Any]:
        """The answer to a request for a token, granted or refused; passing trouble is raised."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Whose permissions count, in words."""

    @abstractmethod
    def grant(self, *permissions: str) -> str:
        """How to grant these credentials some permissions, in words."""


@dataclass(frozen=True, slots=True)
class AppRegistration(Credentials, ABC):
    """An app registration of the tenant, known by its application (client) ID."""

    client_id: str

    @abstractmethod
    def proof(self) -> AbstractContextManager[Any]:
        """What msal calls the client credential."""

    def ask(self, request: TokenRequest) -> dict[str, Any]:
        with self.proof() as proof:
            app = ConfidentialClientApplication(
                self.client_id,
                client_credential=proof,
                authority=request.authority,
                # Instance discovery would ask login.microsoftonline.com about the other clouds' hosts.
                instance_discovery=False,
                # Lets Graph refuse a token at once when the app is disabled or at risk, and say what the next one
                # has to prove: https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation-workload
                client_capabilities=["CP1"],
                http_client=request.session,
            )
        answer = app.acquire_token_for_client(scopes=[request.scope], claims_challenge=request.claims)
        return cast(dict[str, Any], answer)

    @property
    def name(self) -> str:
        return f"app {self.client_id}"

    def grant(self, *permissions: str) -> str:
        return f"Grant the {_named(permissions)} to {self.name} {GRANT} ({PERMISSION.link})"


@dataclass(frozen=True, slots=True)
class ClientSecret(AppRegistration):
    """A password of the app: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"""

    client_secret: str = field(repr=False)

    def proof(self) -> AbstractContextManager[str]:
        return nullcontext(self.client_secret)


@dataclass(frozen=True, slots=True)
class Certificate(AppRegistration):
    """A signature with a key whose certificate the app registration knows, by its SHA-256 thumbprint or, if the
    certificate itself is sent along, by its subject name and issuer.

    https://learn.microsoft.com/entra/identity-platform/certificate-credentials
    """

    pfx: bytes = field(repr=False)
    """Key and certificate, without a password."""

    send_certificate: bool = False

    @classmethod
    def of_pem(
        cls, client_id: str, certificate: str, private_key: str, password: str | None, send_certificate: bool
    ) -> Self:
        """Raises `ValueError` that says what is wrong with which of them."""
        try:
            public = x509.load_pem_x509_certificate(_lines(certificate))
        except ValueError:
            raise ValueError("the certificate is not one in PEM form") from None
        try:
            key = load_pem_private_key(_lines(private_key), password.encode() if password else None)
        except TypeError:
            raise ValueError(f"the private key {'has no' if password else 'needs a'} password") from None
        except ValueError:
            raise ValueError("the private key is not one in PEM form, or the password is wrong") from None
        return cls._of(client_id, key, public, send_certificate)

    @classmethod
    def of_pfx(cls, client_id: str, pfx: str, password: str | None, send_certificate: bool) -> Self:
        """From a file in base64. Raises `ValueError` that says what is wrong with it."""
        try:
            content = b64decode("".join(pfx.split()), validate=True)
            key, public, _ = pkcs12.load_key_and_certificates(content, password.encode() if password else None)
        except binascii.Error:
            raise ValueError("the PFX file is not in base64") from None
        except ValueError:
            raise ValueError("this is not a PFX file, or the password is wrong") from None
        if not key or not public:
            raise ValueError("the PFX file has to hold a private key and its certificate")
        return cls._of(client_id, key, public, send_certificate)

    @classmethod
    def _of(cls, client_id: str, key: Any, public: x509.Certificate, send_certificate: bool) -> Self:
        # Entra takes signatures of RSA keys alone, by PS256 or RS256.
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("Microsoft Entra takes RSA keys only, and this is another kind")
        if key.public_key() != public.public_key():
            raise ValueError("the private key belongs to another certificate")
        pfx = pkcs12.serialize_key_and_certificates(None, key, public, None, NoEncryption())
        return cls(client_id, pfx, send_certificate)

    @contextmanager
    def proof(self) -> Iterator[dict[str, Any]]:
        # msal reads a PFX from a path; for PEM it would send the certificate whether asked to or not.
        with _readable(self.pfx) as path:
            yield {"private_key_pfx_path": path, "public_certificate": self.send_certificate}


@dataclass(frozen=True, slots=True)
class WorkloadIdentity(AppRegistration):
    """A token of another identity provider that the app registration trusts, such as a Kubernetes cluster.

    https://learn.microsoft.com/entra/workload-id/workload-identity-federation
    """

    file: str | None = None
    variable: str | None = None

    def proof(self) -> AbstractContextManager[dict[str, Any]]:
        return nullcontext({"client_assertion": self.assertion})

    def assertion(self) -> str:
        """The token as it is now: Kubernetes replaces it every hour or so. Raises `SignInRefused` if there is none."""
        token, source = self._read()
        # What is no token of this kind stays here, whatever the configuration calls it.
        if not _JWT.fullmatch(token):
            raise SignInRefused(f"Sign-in failed. {source} holds no JWT. {NO_ASSERTION}")
        remember(token)
        return token

    def _read(self) -> tuple[str, str]:
        if self.variable:
            return os.environ.get(self.variable, "").strip(), f"The environment variable {self.variable}"
        file = self.file or os.environ.get(_TOKEN_FILE)
        if not file:
            raise SignInRefused(f"Sign-in failed. The environment variable {_TOKEN_FILE} is not set. {NO_ASSERTION}")
        try:
            return _content(file).decode().strip(), f"The file {file}"
        except (OSError, ValueError) as error:
            raise SignInRefused(f"Sign-in failed. {file} cannot be read: {error}. {NO_ASSERTION}") from None


@dataclass(frozen=True, slots=True)
class ManagedIdentity(Credentials):
    """What Azure knows this machine as: the identity of the resource itself, or one assigned to it by its client ID.

    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview
    """

    client_id: str | None = None

    passing = _UPDATING
    endpoint = "the managed identity endpoint"
    no_endpoint = NO_IDENTITY

    def ask(self, request: TokenRequest) -> dict[str, Any]:
        remember([os.environ.get(name) for name in _HEADER_SECRETS])
        # The endpoint is this machine's own; through a proxy it would be the proxy's.
        request.session.trust_env = False
        identity = UserAssignedManagedIdentity(client_id=self.client_id) if self.client_id else _SYSTEM_ASSIGNED
        client = ManagedIdentityClient(identity, http_client=request.session)
        try:
            answer = client.acquire_token_for_client(
                resource=request.scope.removesuffix("/.default"), claims_challenge=request.claims
            )
        except json.JSONDecodeError:
            raise SignInRefused(f"Sign-in failed. What answers is no endpoint of Azure's. {NO_IDENTITY}") from None
        return cast(dict[str, Any], answer)

    @property
    def name(self) -> str:
        return f"the managed identity {self.client_id}" if self.client_id else "the machine's managed identity"

    def grant(self, *permissions: str) -> str:
        return (
            f"Assign the {_named(permissions)} to {self.name} "
            "(https://learn.microsoft.com/graph/permissions-grant-via-msgraph)."
        )


_SYSTEM_ASSIGNED = SystemAssignedManagedIdentity()


def credentials_of(section: Mapping[str, Any]) -> Credentials:
    """The kind of proof that the credentials section of the form describes.

    Raises `ValueError` that says what is wrong with a certificate, a key or a file.
    """
    return _KINDS[section["auth_type"]](section)


def _pem(given: Mapping[str, Any]) -> Credentials:
    return Certificate.of_pem(
        given["client_id"],
        given["certificate"],
        given["private_key"],
        given.get("password"),
        given.get("send_certificate", False),
    )


def _pfx(given: Mapping[str, Any]) -> Credentials:
    return Certificate.of_pfx(
        given["client_id"], given["pfx"], given.get("password"), given.get("send_certificate", False)
    )


def _workload_identity(given: Mapping[str, Any]) -> Credentials:
    file, variable = given.get("assertion_file"), given.get("assertion_variable")
    if file and variable:
        raise ValueError("give assertion_file or assertion_variable, not both")
    return WorkloadIdentity(given["client_id"], file or None, variable or None)


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], Credentials]] = {
    "client_secret": lambda given: ClientSecret(given["client_id"], given["client_secret"]),
    "certificate": _pem,
    "certificate_pfx": _pfx,
    "workload_identity": _workload_identity,
    "managed_identity": lambda given: ManagedIdentity(given.get("client_id") or None),
}


def _content(file: str) -> bytes:
    """The content of a file that holds a token. Raises `OSError` or `ValueError` that says why it cannot be one.

    A pipe that nobody writes to would be waited for, and a device may never end.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            content = opened.read(_LARGEST_TOKEN + 1)
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST_TOKEN:
        raise ValueError(f"it has more than {_LARGEST_TOKEN} bytes")
    return content


def _named(permissions: Sequence[str]) -> str:
    *others, last = permissions
    return f"application permissions {', '.join(others)} and {last}" if others else f"application permission {last}"


def _lines(pem: str) -> bytes:
    """PEM with the line breaks that forms and shells turn into blanks, spell out or leave out."""
    text = pem.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t")
    return _PEM.sub(_block, text).encode()


def _block(found: re.Match[str]) -> str:
    label = " ".join(_PEM_WORDS.findall(found["label"]))
    cipher = "".join((found["cipher"] or "").split())
    header = ("Proc-Type: 4,ENCRYPTED", f"DEK-Info: {cipher}", "") if cipher else ()
    content = wrap("".join(found["content"].split()), 64)
    return "\n".join((f"-----BEGIN {label}-----", *header, *content, f"-----END {label}-----", ""))


@contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A path that can be read once and is no file: a private key is not to lie on a disk."""
    reader, writer = os.pipe()
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(content)
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)
