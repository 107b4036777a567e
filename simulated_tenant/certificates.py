"""A certificate authority of our own, and one leaf for the hosts the simulation stands for."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# https://learn.microsoft.com/graph/deployments
HOSTS = (
    "localhost", "login.microsoftonline.com", "graph.microsoft.com", "login.microsoftonline.us", "graph.microsoft.us",
    "dod-graph.microsoft.us", "login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn",
    "login.sovcloud-identity.fr", "graph.svc.sovcloud.fr", "login.sovcloud-identity.de", "graph.svc.sovcloud.de",
    "login.sovcloud-identity.sg", "graph.svc.sovcloud.sg",
)  # fmt: skip
LIFETIME = timedelta(days=30)


def make(folder: Path) -> tuple[Path, Path]:
    """Write ca.pem, and server.pem with the leaf and its key; gives both paths."""
    authority, authority_key = _certificate("Simulated tenant CA", None, None)
    leaf, leaf_key = _certificate("localhost", authority, authority_key)
    ca_file, server_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(_pem(authority))
    key = leaf_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server_file.touch(mode=0o600)
    server_file.write_bytes(_pem(leaf) + key)
    return ca_file, server_file


def _certificate(
    name: str, issuer: x509.Certificate | None, issuer_key: ec.EllipticCurvePrivateKey | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, now = issuer_key or key, datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is None:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        addresses = [x509.IPAddress(IPv4Address("127.0.0.1")), x509.IPAddress(IPv6Address("::1"))]
        names = x509.SubjectAlternativeName([*map(x509.DNSName, HOSTS), *addresses])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256()), key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def of_app(
    name: str = "source-microsoft-graph", key: rsa.RSAPrivateKey | None = None
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A certificate for an app to sign in with, by its own signature, and its key."""
    key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )
    return builder.sign(key, hashes.SHA256()), key


def pem(of: x509.Certificate | rsa.RSAPrivateKey, password: str = "") -> str:
    """A certificate or a private key as a PEM file has it."""
    if isinstance(of, x509.Certificate):
        return _pem(of).decode()
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return of.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def pfx(certificate: x509.Certificate, key: rsa.RSAPrivateKey, password: str = "") -> str:
    """Both in a PFX file, in base64."""
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return b64encode(pkcs12.serialize_key_and_certificates(b"app", key, certificate, None, encryption)).decode()
