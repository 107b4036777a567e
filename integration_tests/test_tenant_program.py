"""`python3 dev.py tenant`: what tools find while it runs, and that nothing is left of it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from integration_tests.runner import ROOT, ConsoleScript, Message
from simulated_tenant import ALWAYS, Fault
from simulated_tenant.__main__ import arguments
from simulated_tenant.handout import FILES

PATIENCE = 60
"""Seconds until something that has to happen is missed."""

COPIED = (
    ".venv",
    "acceptance-test-config.yml",
    "integration_tests",
    "metadata.yaml",
    "pyproject.toml",
    "source_microsoft_graph",
)
"""What a checkout holds that the documented lines use."""


class Program:
    """The program under way, once it has said what to do next."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.process = start("--folder", str(folder), *options)
        self.said: list[str] = []
        for line in self.process.stdout or ():
            self.said.append(line)
            if line.startswith("docs/running.md"):
                return
        raise AssertionError(self.process.communicate())

    @property
    def connector(self) -> ConsoleScript:
        return ConsoleScript(self.folder / "ca.pem")

    @property
    def config(self) -> dict[str, Any]:
        return self.configured("config.json")

    def configured(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / name).read_text()))

    def ends_by(self, number: signal.Signals) -> str:
        """What it says when it gets this signal."""
        self.process.send_signal(number)
        output, complaint = self.process.communicate(timeout=PATIENCE)
        assert complaint == ""
        assert self.process.returncode == 0
        return output


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulated_tenant", "--port", "0", *options],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def refused(*options: str) -> str:
    """What the program says where it does not start."""
    with start(*options) as process:
        try:
            output, complaint = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (output, process.returncode) == ("", 1)
    return complaint


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Program]:
    program = Program(folder, *options)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.communicate()


def told(status: Message) -> str:
    return str(status["message"])


def test_tools_find_what_they_need(tmp_path: Path) -> None:
    """Every file that is listed is there, and the configurations and the catalog are what they are called."""
    with running(tmp_path / "handed_out") as program:
        listed = re.findall(r"^  (\S+) {2,}", "".join(program.said), re.MULTILINE)
        found = {path.name for path in program.folder.iterdir()} - {"lock"}
        catalog = program.configured("catalog.json")
        few = {"streams": [each for each in catalog["streams"] if each["stream"]["name"] in ("users", "groups")]}
        read = program.connector.read(program.config, few).succeeded()
        wrong = program.connector.check(program.configured("wrong_secret.json"))

    assert found == set(FILES) == set(listed)
    assert wrong.only("CONNECTION_STATUS")["status"] == "FAILED"
    assert set(read.counts) == {"users", "groups"}
    assert catalog == json.loads((ROOT / "integration_tests" / "configured_catalog.json").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_takes_everything_away(tmp_path: Path, number: signal.Signals) -> None:
    """The files, their folder and the folders made for it; what was there before stays."""
    (tmp_path / "mine").touch()
    with running(tmp_path / "secrets" / "handed_out") as program:
        assert "are gone" in program.ends_by(number)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_second_one_is_refused(tmp_path: Path) -> None:
    """With a sentence that names the first, which goes on as if nothing had been."""
    with running(tmp_path / "handed_out") as program:
        complaint = refused("--folder", str(program.folder))

        assert re.fullmatch(
            rf"A simulated tenant runs already and .* process {program.process.pid}\. Use .*\n", complaint
        )
        program.connector.check(program.config).succeeded()
        program.ends_by(signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """As the configuration with somebody's credentials would be, in the folder above."""
    (tmp_path / "config.json").write_text("mine")

    assert refused("--folder", str(tmp_path)).startswith(f"{tmp_path} holds a config.json that is no simulated ")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("config.json", "mine")]


def test_one_that_was_killed_is_no_hindrance(tmp_path: Path) -> None:
    """Nothing can take its files away, so the next one does."""
    with running(tmp_path / "handed_out") as killed:
        killed.process.kill()
        killed.process.wait()
        assert killed.folder.exists()
    with running(tmp_path / "handed_out") as program:
        program.connector.check(program.config).succeeded()
        program.ends_by(signal.SIGINT)

    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    """And no file is left of the attempt."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        complaint = refused("--folder", str(tmp_path / "handed_out"), "--port", str(port))

    assert complaint == (f"Port {port} is taken by another program. Choose one with --port; 0 takes a free one.\n")
    assert list(tmp_path.iterdir()) == []


def test_options_show_in_a_check(tmp_path: Path) -> None:
    """A permission that is not granted, a licence that is not there, another size, another name of the machine."""
    options = ("--without", "Policy.Read.All", "--no-premium", "--users", "7", "--host", "127.0.0.1")
    with running(tmp_path / "handed_out", *options) as program:
        assert program.said[0].startswith("A simulated tenant with 7 users answers at https://127.0.0.1:")
        assert program.config["cloud"]["login_host"].startswith("127.0.0.1:")
        status = program.connector.check(program.config).succeeded().only("CONNECTION_STATUS")

    assert "Permission missing: conditional_access_policies" in told(status)
    assert "Licence missing: audit_logs_signins" in told(status)


def test_faults_strike(tmp_path: Path) -> None:
    """As often as is said: two failures of the sign-in pass, and a lasting refusal of one stream's list is told."""
    faults = ("--fault", "503x2", "POST .*/token", "--fault", "not_licensed", "GET /v1.0/identityProtection/riskyUsers")
    with running(tmp_path / "handed_out", *faults) as program:
        status = program.connector.check(program.config).succeeded().only("CONNECTION_STATUS")

    assert "Licence missing: risky_users" in told(status)


def test_a_fault_is_two_words() -> None:
    """What happens, how often, and with which requests."""
    words = ("503x3", "users", "reset", "GET .*/messages", "no_intune", "devices")
    given = arguments([word for pair in zip(words[::2], words[1::2], strict=True) for word in ("--fault", *pair)])

    assert given.fault == [
        Fault("users", status=503, times=3),
        Fault("GET .*/messages", "reset", times=ALWAYS),
        Fault("devices", problem="no_intune", times=ALWAYS),
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("teapot", "users"), "'teapot' is no kind of fault."),
        (("503x", "users"), "'503x' is no kind of fault."),
        (("503", "us("), "'us(' is no regular expression: "),
    ],
)
def test_a_fault_that_is_none_is_refused(
    words: tuple[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        arguments(["--fault", *words])

    assert f"--fault: {complaint}" in capsys.readouterr().err


def test_two_terminals_suffice(tmp_path: Path) -> None:
    """The lines of docs/running.md: the CDK's acceptance suite passes beside a tenant, in a checkout of its own."""
    checkout = tmp_path / "source-microsoft-graph"
    checkout.mkdir()
    for name in COPIED:
        (checkout / name).symlink_to(sys.prefix if name == ".venv" else ROOT / name)
    text = (ROOT / "docs" / "running.md").read_text()
    (lines,) = re.findall(r"```sh\n((?:(?!```).*\n)*.*airbyte-cdk connector test.*\n)```", text)
    with running(checkout / "secrets" / "simulated_tenant"):
        environment = {name: value for name, value in os.environ.items() if name != "REQUESTS_CA_BUNDLE"}
        done = subprocess.run(
            ["sh", "-ec", lines],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b\d+ passed", done.stdout)
    assert not re.search(r"\b\d+ (failed|error)", done.stdout)
