"""Certificates of an authority of our own: for the hosts that the simulation stands for, and for an app.

trustme makes them. It knows neither keys with a password nor PFX files, so `pem` and `pfx` write these.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from .clouds import GRAPHS

HOSTS = ("localhost", "127.0.0.1", "::1", *GRAPHS, *(graph for graphs in GRAPHS.values() for graph in graphs))


def make(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Write ca.pem, and server.pem with a server's certificate, for this name too, and its key; gives both paths."""
    authority = trustme.CA()
    ca_file, server_file = folder / "ca.pem", folder / "server.pem"
    authority.cert_pem.write_to_path(ca_file)
    server_file.touch(mode=0o600)
    authority.issue_cert(*dict.fromkeys((*HOSTS, name))).private_key_and_cert_chain_pem.write_to_path(server_file)
    return ca_file, server_file


@cache
def _authority_of_apps() -> trustme.CA:
    return trustme.CA()


def of_app(name: str = "source-microsoft-graph") -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A new certificate for an app to sign in with, and its key. A name always gives the same subject and issuer."""
    issued = _authority_of_apps().issue_cert(
        common_name=name, organization_name="Contoso", organization_unit_name="Apps", key_type=trustme.KeyType.RSA
    )
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()), key


def pem(of: x509.Certificate | rsa.RSAPrivateKey, password: str = "") -> str:
    """A certificate or a private key as a PEM file has it."""
    if isinstance(of, x509.Certificate):
        return of.public_bytes(serialization.Encoding.PEM).decode()
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return of.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def pfx(certificate: x509.Certificate, key: rsa.RSAPrivateKey, password: str = "") -> str:
    """Both in a PFX file, in base64."""
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return b64encode(pkcs12.serialize_key_and_certificates(b"app", key, certificate, None, encryption)).decode()
