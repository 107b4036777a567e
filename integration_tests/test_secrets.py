"""The console script prints no secret, through a pipe with --debug and on a terminal, whatever services repeat."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from integration_tests.check_screen import on_a_terminal
from integration_tests.runner import ConsoleScript
from simulated_tenant.server import Server, serve
from simulated_tenant.tenant import Size, Tenant
from simulated_tenant.wire import Reply, Request
from unit_tests.spellings import betrayed, spellings
from unit_tests.test_files import CATALOG, written

EVIL = "\x1b]52;c;cm0=\x07\x1b[2J\u202e"


class Parrot(Tenant):
    """Graph repeats the token in every spelling, and words that a terminal would obey. Where the secret is wrong, the
    sign-in service repeats it."""

    tokens: frozenset[str] = frozenset()

    def _reply(self, request: Request) -> Reply:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if sent:
            self.tokens |= {sent}
            text = f"{EVIL} {' '.join(spellings(sent).values())}"
            return _json({"error": {"code": "BadRequest", "message": text, "innerError": {"request-id": sent}}})
        reply = super()._reply(request)
        if reply.status < 400:
            return reply
        text = f"AADSTS7000215: {EVIL} {request.body.decode()}"
        return _json({"error": "invalid_client", "error_description": text})


def _json(body: dict[str, Any]) -> Reply:
    return Reply(400, orjson.dumps(body), {"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(Parrot(Size(users=3, guests=0))) as server:
        yield server


@pytest.mark.parametrize("secret", [Tenant.client_secret, "wröng~8Q/+secret=&more"], ids=["right", "wrong"])
def test_nothing_is_told_with_debug(server: Server, tmp_path: Path, secret: str) -> None:
    """All three commands through pipes."""
    console = ConsoleScript(Path(server.ca_bundle))
    config = written(tmp_path, "config", {**server.config(), "client_secret": secret})
    catalog = written(tmp_path, "catalog", CATALOG)

    texts = []
    for command in (["check"], ["discover"], ["read", "--catalog", catalog]):
        done = subprocess.run(
            [*console._command(tmp_path), *command, "--config", config, "--debug"],
            env={**console._environment(), "LOG_LEVEL": "debug"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        texts.append(done.stdout + done.stderr)

    assert all(json.loads(line)["type"] for text in texts for line in text.splitlines())
    assert _betrayed(server, secret, "".join(texts)) == []
    assert not {"\x1b", "\x07", "\u202e"} & set("".join(texts))
    assert "****" in texts[0]
    assert "****" in texts[2]


@pytest.mark.parametrize("secret", [Tenant.client_secret, "wröng~8Q/+secret=&more"], ids=["right", "wrong"])
def test_nothing_is_told_on_a_terminal(server: Server, tmp_path: Path, secret: str) -> None:
    """The check's table, or the sentence in its place; what Graph says is text, the colours are the connector's."""
    _, shown = on_a_terminal(server, tmp_path, {**server.config(), "client_secret": secret})

    assert _betrayed(server, secret, shown) == []
    assert not {"\x07", "\u202e"} & set(shown)
    assert "\\x1b]52;c;cm0=\\x07\\x1b[2J\\u202e" in shown
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "****" in shown


def _betrayed(server: Server, secret: str, text: str) -> list[str]:
    """What of the secret, and of each token that Graph was sent, the text tells. A right secret has got a token."""
    assert isinstance(server.tenant, Parrot)
    assert server.tenant.tokens or secret != Tenant.client_secret
    return [spelling for each in (secret, *server.tenant.tokens) for spelling in betrayed(text, each)]
