"""No command prints a secret, whatever Graph and the sign-in service repeat of what they were sent."""

from __future__ import annotations

import logging
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests_mock

from simulated_tenant import certificates
from source_microsoft_graph import SourceMicrosoftGraph
from source_microsoft_graph.auth.sent_secrets import sendable
from source_microsoft_graph.errors import SignInRefused
from source_microsoft_graph.run import run
from unit_tests.graph_api import (
    EVERY_PERMISSION,
    TENANT,
    Answer,
    FakeGraph,
    a_catalog,
    a_token,
    an_error,
    errors,
    read,
)
from unit_tests.spellings import betrayed, spellings
from unit_tests.test_files import CATALOG, written

SECRET = "grüße~8Q/+an=alle&mehr\\"
PASSWORD = "pässwörd/9+"
HEADER = "identity-header/853b9a84+5bfa=4b22"
MACHINE = "http://169.254.1.1/msi/token"
APP = certificates.of_app()
KEY = certificates.pem(APP[1])
FEDERATED = a_token(["of the cluster"], serial=77)

Sections = Mapping[str, Callable[[Path], dict[str, Any]]]


def federated(folder: Path) -> dict[str, Any]:
    (folder / "token").write_text(FEDERATED)
    return {"assertion_file": str(folder / "token")}


CREDENTIALS: Sections = {
    "client_secret": lambda _: {"client_secret": SECRET},
    "certificate": lambda _: {"certificate": certificates.pem(APP[0]), "private_key": KEY},
    "certificate_pfx": lambda _: {"pfx": certificates.pfx(*APP, PASSWORD), "password": PASSWORD},
    "workload_identity": federated,
    "managed_identity": lambda _: {},
}


WHERE = ("code", "message", "reason", "header", "inner", "to")
"""Parts of an answer of Graph's that can repeat something; the last is where a redirect leads."""


@dataclass
class Parrot:
    """Services that repeat what they were sent, in every spelling, and remember what it was."""

    secrets: set[str] = field(default_factory=set)

    def of_graph(self, where: str) -> Answer:
        """An answer of Graph that repeats the token there."""
        words = {
            "code": "BadRequest",
            "message": "No.",
            "reason": "Bad Request",
            "header": "r",
            "inner": "x",
            "to": "x",
        }

        def said(request: Any) -> dict[str, str]:
            token = request.headers["Authorization"].removeprefix("Bearer ")
            self.secrets.add(token)
            return words | {where: f"got {' '.join(spellings(token).values())}"}

        def body(request: Any, context: Any) -> dict[str, Any]:
            words = said(request)
            context.reason = words["reason"]
            context.headers.update({"request-id": words["header"], "Location": words["to"]})
            inner = {
                "message": words["inner"],
                **({} if where == "reason" else {"code": words["inner"]}),
                "request-id": words["header"],
            }
            # The reason counts where there is no code.
            code = {} if where == "reason" else {"code": words["code"]}
            return {"error": {**code, "message": words["message"], "innerError": inner}}

        return {"status_code": 302 if where == "to" else 400, "json": body}

    def of_entra(self) -> Answer:
        """A refusal of the sign-in service's that repeats the request's proof, whole and cut."""

        def body(request: Any, _: Any) -> dict[str, Any]:
            form = parse_qs(request.text or "")
            proofs = [*form.get("client_secret", []), *form.get("client_assertion", [])]
            if shown := request.headers.get("X-IDENTITY-HEADER"):
                proofs.append(shown)
            self.secrets.update(proofs)
            said = [spelling for proof in proofs for spelling in spellings(proof).values()]
            text = f"AADSTS7000215: got {' '.join(said)} and {' '.join(each[5:-5] for each in said)}"
            return {"error": "invalid_client", "error_description": text, "statusCode": 401, "message": text}

        return {"status_code": 401, "json": body}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[requests_mock.Mocker]:
    for name in ("IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET", "IDENTITY_SERVER_THUMBPRINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", MACHINE)
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def graph(wire: requests_mock.Mocker) -> FakeGraph:
    graph = FakeGraph(wire)
    granted = {"access_token": a_token(EVERY_PERMISSION), "expires_in": "3600", "expires_on": "9999999999"}
    wire.get(MACHINE, json={**granted, "resource": "https://graph.microsoft.com", "token_type": "Bearer"})
    return graph


def everything_printed(folder: Path, capfd: pytest.CaptureFixture[str], auth_type: str) -> tuple[str, set[str]]:
    """What the three commands print, exceptions that nobody catches included, and what of the configuration is
    secret."""
    section = CREDENTIALS[auth_type](folder)
    credentials = {"auth_type": auth_type, **({} if auth_type == "managed_identity" else {"client_id": "c"}), **section}
    config = written(folder, "config", {"tenant_id": TENANT, "credentials": credentials})
    catalog = written(folder, "catalog", CATALOG)
    for command in (["check"], ["discover"], ["read", "--catalog", catalog]):
        try:
            run([*command, "--config", config, "--debug"])
        except Exception as error:
            # As the interpreter does with it.
            sys.excepthook(type(error), error, error.__traceback__)
    captured = capfd.readouterr()
    known = {SECRET, PASSWORD, HEADER, FEDERATED, *KEY.splitlines()[1:-1], section.get("pfx", SECRET)}
    return captured.out + captured.err, known


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("auth_type", ["client_secret", "managed_identity"])
def test_a_graph_that_repeats_the_token(
    graph: FakeGraph,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    auth_type: str,
    where: str,
) -> None:
    """Wherever in its answer, the token comes out of no command."""
    parrot = Parrot()
    graph.answers_everything(parrot.of_graph(where))

    printed, known = everything_printed(tmp_path, capfd, auth_type)

    assert parrot.secrets
    assert [betrayed(printed, secret) for secret in known | parrot.secrets] == [[]] * len(known | parrot.secrets)
    assert "HTTP 302" in printed if where == "to" else "HTTP 400" in printed


@pytest.mark.parametrize("auth_type", CREDENTIALS)
def test_a_sign_in_service_that_repeats_the_proof(
    wire: requests_mock.Mocker,
    graph: FakeGraph,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    auth_type: str,
) -> None:
    """Secret, assertion, federated token or the header of a managed identity: whole or cut, none comes out."""
    parrot = Parrot()
    graph.signs_in(parrot.of_entra())
    wire.get(MACHINE, **parrot.of_entra())

    printed, known = everything_printed(tmp_path, capfd, auth_type)

    assert parrot.secrets
    assert [betrayed(printed, secret) for secret in known | parrot.secrets] == [[]] * len(known | parrot.secrets)
    assert "Sign-in failed" in printed


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\n X-Evil: 1\n", " ", "\x7f"], ids=repr)
def test_a_token_that_no_header_can_carry(
    graph: FakeGraph, tmp_path: Path, capfd: pytest.CaptureFixture[str], break_: str
) -> None:
    """One plain sentence, in which the token does not stand; Python would print it in a traceback."""
    token = a_token(EVERY_PERMISSION)
    graph.signs_in({"json": {"access_token": token[:90] + break_ + token[90:], "expires_in": 3600}})

    printed, _ = everything_printed(tmp_path, capfd, "client_secret")

    assert betrayed(printed, token[:90]) == betrayed(printed, token[90:]) == []
    assert "issued an access token that no request can carry" in printed
    assert "ValueError" not in printed


@pytest.mark.parametrize("token", ["", None, 5, ["x"]], ids=repr)
def test_what_is_no_token_is_refused(token: Any) -> None:
    """Whatever the sign-in service answers."""
    with pytest.raises(SignInRefused, match="no request can carry"):
        sendable(token, "login.example")


def test_a_former_token_is_still_secret(graph: FakeGraph, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Graph refuses the first token, and repeats it after the second was issued."""
    first, second = (a_token(EVERY_PERMISSION, serial) for serial in (1, 2))
    graph.answers_everything(
        an_error(401, "InvalidAuthenticationToken", first),
        {
            "status_code": 403,
            "json": {"error": {"code": f"x{first[8:80]}", "message": b64encode(second.encode()).decode()}},
        },
    )

    printed, _ = everything_printed(tmp_path, capfd, "client_secret")

    assert betrayed(printed, first) == betrayed(printed, second) == []
    assert "HTTP 403" in printed


# From Python, by the CDK's own entry point, and without one.


@pytest.mark.parametrize("where", WHERE)
def test_the_source_tells_nothing_from_python(graph: FakeGraph, where: str) -> None:
    """Messages, logs and exceptions that a program gets which reads the source itself."""
    parrot = Parrot()
    graph.answers("users", parrot.of_graph(where))

    output = read("users", fails=True)

    (token,) = parrot.secrets
    text = str(list(output.get_message_iterator())) + str(output.errors)
    assert betrayed(text, token) == []
    assert "HTTP" in errors(output)["users"]


def test_an_unexpected_exception_tells_nothing_from_python(
    graph: FakeGraph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that no part of the connector expects, with the token in its words."""
    token = a_token(EVERY_PERMISSION)
    refused = ValueError(f"Invalid header value {spellings(f'Bearer {token}')['Python bytes']} {token[9:60]}")
    graph.answers("users", {"exc": refused})
    source = SourceMicrosoftGraph()
    config = {"tenant_id": TENANT, "client_id": "c", "client_secret": SECRET}

    with pytest.raises(Exception, match="users") as caught:
        list(source.read(logging.getLogger("airbyte"), config, a_catalog("users"), []))

    message = str(caught.value.as_airbyte_message())  # type: ignore[attr-defined]
    assert betrayed(message, token) == []


# What a check shows on a terminal.


@pytest.fixture
def _log_level() -> Iterator[None]:
    """A check on a terminal turns the logs of its process off."""
    logger = logging.getLogger("airbyte")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("_log_level")
def test_a_table_shows_escape_sequences_and_no_secret(
    graph: FakeGraph, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Graph says is text there too; the table's own colours stay."""
    token = a_token(EVERY_PERMISSION)
    graph.holds_one_of_each()
    evil = "\x1b]52;c;cm0=\x07\x1b[2J\u202e\x9b"
    graph.answers_everything({"status_code": 418, "json": {"error": {"code": f"Teapot{evil}", "message": token[7:90]}}})
    config = written(tmp_path, "config", {"tenant_id": TENANT, "client_id": "c", "client_secret": SECRET})
    monkeypatch.setattr("source_microsoft_graph.redaction.GuardedStream.isatty", lambda _: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)

    run(["check", "--config", config])

    printed = capfd.readouterr().out
    assert betrayed(printed, token) == []
    assert not {"\x07", "\x9b", "\u202e"} & set(printed)
    assert "\\x1b]52;c;cm0=\\x07\\x1b[2J\\u202e\\x9b" in printed
    assert printed.count("\x1b") == printed.count("\x1b[")
    assert "\x1b[1m" in printed
