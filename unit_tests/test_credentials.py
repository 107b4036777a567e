"""What proves to be the app: which keys and tokens are taken, and what is said about the rest."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.utils import AirbyteTracedException
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, update_secrets
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from simulated_tenant import certificates
from source_microsoft_graph.auth.credentials import Certificate, ManagedIdentity, WorkloadIdentity
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import SignInRefused

A_JWT = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJzb21lYm9keSJ9.c2lnbmF0dXJl"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def app() -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    return certificates.of_app()


@pytest.fixture(scope="module")
def other() -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    return certificates.of_app("somebody-else")


def parsed(auth_type: str, **fields: Any) -> Any:
    return Config.parse({"tenant_id": "t", "credentials": {"auth_type": auth_type, **fields}}).credentials


def refusal(auth_type: str, **fields: Any) -> str:
    with pytest.raises(AirbyteTracedException) as caught:
        parsed(auth_type, **fields)
    return str(caught.value.message)


def in_one_line(pem: str) -> str:
    return pem.strip().replace("\n", " ")


def spelled_out(pem: str) -> str:
    return pem.replace("\n", "\\n")


def glued(pem: str) -> str:
    return pem.replace("\n", "")


def with_windows_ends(pem: str) -> str:
    return pem.replace("\n", "\r\n")


def windows_ends_spelled_out(pem: str) -> str:
    return pem.replace("\n", "\\r\\n")


def without_any_blank(pem: str) -> str:
    return "".join(pem.split())


def indented(pem: str) -> str:
    return pem.replace("\n", "\n\t  ")


SPELLINGS = [
    str,
    in_one_line,
    spelled_out,
    glued,
    with_windows_ends,
    windows_ends_spelled_out,
    without_any_blank,
    indented,
]


@pytest.mark.parametrize("write", [str, in_one_line, spelled_out, glued, with_windows_ends])
@pytest.mark.parametrize("password", ["", PASSWORD])
def test_every_spelling_of_a_certificate_is_the_same(app: Any, write: Any, password: str) -> None:
    """PEM whatever a form, a shell or an editor did to its lines, and a PFX file, with a password or without."""
    certificate, key = app
    fields = {
        "client_id": "c",
        "certificate": write(certificates.pem(certificate)),
        "private_key": write(certificates.pem(key, password)),
    }
    given = [
        parsed("certificate", **fields, password=password),
        parsed("certificate_pfx", client_id="c", pfx=certificates.pfx(certificate, key, password), password=password),
    ]

    for credentials in given:
        assert isinstance(credentials, Certificate)
        found_key, found, _ = pkcs12.load_key_and_certificates(credentials.pfx, None)
        assert (found, found_key.private_numbers(), credentials.send_certificate) == (
            certificate,
            key.private_numbers(),
            False,
        )


KEY_KINDS = {
    "PRIVATE KEY": (PrivateFormat.PKCS8, NoEncryption()),
    "ENCRYPTED PRIVATE KEY": (PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())),
    "RSA PRIVATE KEY": (PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    "RSA PRIVATE KEY, encrypted": (
        PrivateFormat.TraditionalOpenSSL,
        BestAvailableEncryption(PASSWORD.encode()),
    ),
}


@pytest.mark.parametrize("write", SPELLINGS)
@pytest.mark.parametrize("kind", KEY_KINDS)
def test_every_kind_of_key_may_be_pasted_in_one_line(app: Any, write: Any, kind: str) -> None:
    """With blanks, spelled line breaks or nothing between its lines, headers of an encrypted key included."""
    form, encryption = KEY_KINDS[kind]
    pem = app[1].private_bytes(Encoding.PEM, form, encryption).decode()
    password = PASSWORD if "encrypted" in kind.lower() else None
    assert f"BEGIN {kind.partition(',')[0]}-----" in pem
    assert ("DEK-Info" in pem) == ("," in kind)

    credentials = parsed(
        "certificate",
        client_id="c",
        certificate=write(certificates.pem(app[0])),
        private_key=write(pem),
        **({"password": password} if password else {}),
    )

    found, _, _ = pkcs12.load_key_and_certificates(credentials.pfx, None)
    assert found.private_numbers() == app[1].private_numbers()


@pytest.mark.parametrize("write", SPELLINGS)
def test_a_file_may_hold_both(app: Any, write: Any) -> None:
    """Key and certificate are often one PEM file, and it is taken in either field."""
    both = write(certificates.pem(app[1]) + certificates.pem(app[0]))

    assert parsed("certificate", client_id="c", certificate=both, private_key=both).client_id == "c"


@pytest.mark.parametrize("send", [True, False])
def test_msal_gets_the_certificate_from_memory(app: Any, send: bool) -> None:
    """The path msal is given can be read, is no file on a disk, and is gone afterwards."""
    credentials = Certificate.of_pem("c", certificates.pem(app[0]), certificates.pem(app[1]), None, send)

    with credentials.proof() as proof:
        path = proof["private_key_pfx_path"]
        assert proof["public_certificate"] is send
        assert str(Path(path).readlink()).startswith("pipe:")
        assert Path(path).read_bytes() == credentials.pfx
    assert not Path(path).exists()


FAULTS: Mapping[str, tuple[str, Any]] = {
    "the certificate is not one in PEM form": ("certificate", lambda pem, other: {"certificate": "MIIC"}),
    "the private key is not one in PEM form, or the password is wrong": (
        "certificate",
        lambda pem, other: {"private_key": "MIIE"},
    ),
    "the private key belongs to another certificate": (
        "certificate",
        lambda pem, other: {"private_key": certificates.pem(other[1])},
    ),
    "the private key needs a password": (
        "certificate",
        lambda pem, other: {"private_key": certificates.pem(other[1], PASSWORD)},
    ),
    "the private key has no password": ("certificate", lambda pem, other: {"password": PASSWORD}),
    "the PFX file is not in base64": ("certificate_pfx", lambda pem, other: {"pfx": "not base64!"}),
    "this is not a PFX file, or the password is wrong": (
        "certificate_pfx",
        lambda pem, other: {"pfx": b64encode(b"no PFX").decode()},
    ),
}


@pytest.mark.parametrize(("told", "fault"), FAULTS.items(), ids=FAULTS)
def test_what_is_wrong_with_a_certificate_is_said(app: Any, other: Any, told: str, fault: tuple[str, Any]) -> None:
    """A bad file is refused by the form, before Entra is asked, and nothing of it is told."""
    auth_type, damage = fault
    certificate, key = app
    sound = {
        "certificate": {"certificate": certificates.pem(certificate), "private_key": certificates.pem(key)},
        "certificate_pfx": {"pfx": certificates.pfx(certificate, key)},
    }[auth_type]

    assert refusal(auth_type, client_id="c", **(sound | damage(sound, other))) == f"Configuration: credentials: {told}."


def test_a_wrong_password_is_said(app: Any) -> None:
    """Which of file and password is at fault cannot be told, so both are named."""
    pfx = certificates.pfx(*app, PASSWORD)

    assert "or the password is wrong" in refusal("certificate_pfx", client_id="c", pfx=pfx, password="no")
    assert "or the password is wrong" in refusal("certificate_pfx", client_id="c", pfx=pfx)


def test_a_pfx_file_has_to_hold_both(app: Any) -> None:
    """One without the key cannot sign."""
    alone = pkcs12.serialize_key_and_certificates(b"app", None, app[0], None, NoEncryption())

    assert "has to hold a private key and its certificate" in refusal(
        "certificate_pfx", client_id="c", pfx=b64encode(alone).decode()
    )


def test_entra_takes_rsa_keys_only(app: Any) -> None:
    """Any other kind of key would be refused by the service, with a code that says nothing of kinds."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    assert "takes RSA keys only" in refusal(
        "certificate", client_id="c", certificate=certificates.pem(app[0]), private_key=pem
    )


@pytest.mark.parametrize("field", ["pfx", "client_secret"])
def test_secrets_are_not_shown(app: Any, field: str) -> None:
    """What is printed of a configuration holds no secret of it."""
    pfx = certificates.pfx(*app)
    credentials = (
        parsed("certificate_pfx", client_id="c", pfx=pfx)
        if field == "pfx"
        else parsed("client_secret", client_id="c", client_secret="the-secret-value")
    )

    assert field not in repr(credentials)
    assert "the-secret-value" not in repr(credentials)


# Tokens of other identity providers.


def test_the_file_is_read_anew(tmp_path: Path) -> None:
    """Kubernetes replaces the token every hour, while the sync goes on."""
    file = tmp_path / "token"
    identity = parsed("workload_identity", client_id="c", assertion_file=str(file))

    for token in (A_JWT, f"{A_JWT}2"):
        file.write_text(f"{token}\n")
        assert identity.assertion() == token


def test_kubernetes_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the configuration names neither file nor variable, Azure Workload Identity's own is taken."""
    (tmp_path / "token").write_text(A_JWT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))

    assert parsed("workload_identity", client_id="c").assertion() == A_JWT


def test_a_variable_holds_the_token_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline may hand its token over without a file."""
    monkeypatch.setenv("PIPELINE_TOKEN", A_JWT)

    assert parsed("workload_identity", client_id="c", assertion_variable="PIPELINE_TOKEN").assertion() == A_JWT


def test_file_and_variable_exclude_each_other() -> None:
    """With both there would be no telling which one counts."""
    told = refusal("workload_identity", client_id="c", assertion_file="/token", assertion_variable="TOKEN")

    assert told == "Configuration: credentials: give assertion_file or assertion_variable, not both."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"", "holds no JWT"),
        (b"root:x:0:0:root:/root:/bin/bash", "holds no JWT"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_is_no_token_stays_here(tmp_path: Path, content: bytes | None, told: str) -> None:
    """Whatever file a configuration names, only what looks like a token is ever sent, and the message holds none."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SignInRefused, match=told) as caught:
        WorkloadIdentity("c", str(file)).assertion()

    assert "root:x" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (os.mkfifo, "no regular file"),
        (Path.mkdir, "no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
        (lambda path: path.symlink_to("/dev/null"), "no regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: path.write_bytes(b"x" * (64 * 1024 + 1)), "more than 65536 bytes"),
    ],
    ids=["a pipe", "a folder", "an endless device", "an empty device", "a loop", "too large"],
)
def test_what_cannot_be_a_token_is_not_read(tmp_path: Path, make: Callable[[Path], object], told: str) -> None:
    """A pipe that nobody writes to is not waited for, and no device is read to its end."""
    make(tmp_path / "token")

    with pytest.raises(SignInRefused, match=f"token cannot be read: .*{told}"):
        WorkloadIdentity("c", str(tmp_path / "token")).assertion()


def test_the_file_may_be_a_link(tmp_path: Path) -> None:
    """Kubernetes replaces the token by pointing a link at another file."""
    (tmp_path / "..data").write_text(A_JWT)
    (tmp_path / "token").symlink_to(tmp_path / "..data")

    assert WorkloadIdentity("c", str(tmp_path / "token")).assertion() == A_JWT


def test_a_name_that_no_file_can_have_is_said() -> None:
    """As for any other file that cannot be read."""
    with pytest.raises(SignInRefused, match="cannot be read"):
        WorkloadIdentity("c", "/token\0").assertion()


def test_no_token_at_all_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off Kubernetes nobody sets the variable that names the file."""
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE", raising=False)

    with pytest.raises(SignInRefused, match="AZURE_FEDERATED_TOKEN_FILE is not set"):
        WorkloadIdentity("c").assertion()


def test_an_assertion_is_a_secret(tmp_path: Path) -> None:
    """From the moment it is read the CDK masks it."""
    update_secrets([])
    (tmp_path / "token").write_text(A_JWT)
    WorkloadIdentity("c", str(tmp_path / "token")).assertion()

    assert filter_secrets(f"It was {A_JWT}.") == "It was ****."


# Managed identities.


@pytest.mark.parametrize(("fields", "client_id"), [({}, None), ({"client_id": ""}, None), ({"client_id": "m"}, "m")])
def test_an_identity_is_the_machines_own_unless_it_is_named(fields: Mapping[str, str], client_id: str | None) -> None:
    """Without a client ID it is the system-assigned one; an empty field of the form is none."""
    assert parsed("managed_identity", **fields) == ManagedIdentity(client_id)


def test_a_managed_identity_gets_tokens_for_graph_alone() -> None:
    """Its token for another service would be as good as a password of everybody who uses the machine."""
    raw = {
        "tenant_id": "t",
        "credentials": {"auth_type": "managed_identity"},
        "scope": "https://management.azure.com/.default",
    }

    with pytest.raises(AirbyteTracedException, match="Configuration: scope: can only be Microsoft Graph's"):
        Config.parse(raw)


@pytest.mark.parametrize(
    ("credentials", "told"),
    [
        (
            WorkloadIdentity("the-app"),
            "Grant the application permissions A and B to app the-app in the Microsoft ",
        ),
        (ManagedIdentity("m"), "Assign the application permissions A and B to the managed identity m (https://"),
        (ManagedIdentity(), "Assign the application permissions A and B to the machine's managed identity (https://"),
    ],
)
def test_granting_depends_on_who_asks(credentials: Any, told: str) -> None:
    """An app's permissions are granted in the admin center, a managed identity's are not to be found there."""
    assert credentials.grant("A", "B").startswith(told)


def test_base64_of_a_pfx_may_have_lines(app: Any) -> None:
    """`base64` breaks its lines unless it is told not to."""
    pfx = certificates.pfx(*app)
    broken = "\n".join(pfx[start : start + 76] for start in range(0, len(pfx), 76))

    assert b64decode(pfx)
    assert isinstance(parsed("certificate_pfx", client_id="c", pfx=broken), Certificate)
