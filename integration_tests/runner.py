"""The connector as Airbyte runs it: a program that is given files and prints one JSON message a line.

`ConsoleScript` runs the installed script, `Image` the container image; tests know only `Runner`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

Message = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = "source-microsoft-graph"
_PATIENCE = 600
"""Seconds a run may take before the test that started it fails."""


@dataclass(frozen=True)
class Output:
    """What one run printed, and how it ended."""

    exit_code: int
    messages: tuple[Message, ...]
    text: str

    def of(self, kind: str) -> list[Message]:
        """The content of each message of a kind, such as the `record` of every RECORD."""
        return [message[_CONTENT[kind]] for message in self.messages if message["type"] == kind]

    def only(self, kind: str) -> Message:
        """The content of the one message of a kind."""
        found = self.of(kind)
        assert len(found) == 1, f"{len(found)} {kind} messages\n{self.text}"
        return found[0]

    def traces(self, kind: str) -> list[Message]:
        """The traces of a kind: `error` or `stream_status`."""
        return [trace[kind] for trace in self.of("TRACE") if trace["type"] == kind.upper()]

    @property
    def counts(self) -> Counter[str]:
        """Records of each stream."""
        return Counter(record["stream"] for record in self.of("RECORD"))

    def succeeded(self) -> Output:
        """This output, once it is sure that the run reported no error and exited 0."""
        errors = self.traces("error")
        assert not errors, errors
        assert self.exit_code == 0, self.text
        return self


_CONTENT = {
    "CATALOG": "catalog",
    "CONNECTION_STATUS": "connectionStatus",
    "LOG": "log",
    "RECORD": "record",
    "SPEC": "spec",
    "STATE": "state",
    "TRACE": "trace",
}


class Runner(ABC):
    """Runs the connector's commands: the protocol's four, and its own."""

    def __init__(self, ca_bundle: Path | None) -> None:
        """`ca_bundle` is the PEM file of the authority whose certificates the connector is to trust; an image may know
        that without."""
        self._ca_bundle = ca_bundle

    def spec(self) -> Output:
        return self._run("spec")

    def check(self, config: Mapping[str, Any]) -> Output:
        return self._run("check", config=config)

    def discover(self, config: Mapping[str, Any]) -> Output:
        return self._run("discover", config=config)

    def read(self, config: Mapping[str, Any], catalog: Mapping[str, Any], state: list[Message] | None = None) -> Output:
        return self._run("read", config=config, catalog=catalog, **({"state": state} if state else {}))

    def report(self, config: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """The report of a tenant, without a question."""
        return self._done("report", "--yes", stderr=subprocess.PIPE, config=config)

    def _run(self, command: str, **inputs: Any) -> Output:
        done = self._done(command, stderr=subprocess.STDOUT, **inputs)
        return Output(done.returncode, tuple(_messages(done.stdout)), done.stdout)

    def _done(self, *arguments: str, stderr: int, **inputs: Any) -> subprocess.CompletedProcess[str]:
        """A run to its end, with a file for each input."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o755)  # The image's user is another one.
            command = [*self._command(folder), *arguments]
            for option, value in inputs.items():
                (folder / f"{option}.json").write_text(json.dumps(value))
                command += [f"--{option}", f"{self._seen_as(folder)}/{option}.json"]
            return subprocess.run(
                command,
                env=self._environment(),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )

    @abstractmethod
    def _command(self, folder: Path) -> list[str]:
        """The command line that starts the connector with this folder within its reach."""

    @abstractmethod
    def _seen_as(self, folder: Path) -> str:
        """Where the connector finds the folder."""

    @abstractmethod
    def _environment(self) -> dict[str, str]: ...


def _messages(text: str) -> Iterator[Message]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            raise AssertionError(f"Not a message of the protocol: {line}\n\n{text}") from None


class ConsoleScript(Runner):
    """The console script of the environment the tests run in."""

    def _command(self, folder: Path) -> list[str]:
        return [str(Path(sys.executable).with_name(SCRIPT))]

    def _seen_as(self, folder: Path) -> str:
        return str(folder)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "REQUESTS_CA_BUNDLE": str(self._ca_bundle)}


class Image(Runner):
    """A container image on the host's network, where the simulated tenant is."""

    def __init__(self, ca_bundle: Path | None, tag: str) -> None:
        super().__init__(ca_bundle)
        self.tag = tag

    @classmethod
    def build(cls, ca_bundle: Path) -> Image:
        """The image that `CONNECTOR_IMAGE` names, or one built from this checkout."""
        tag = os.environ.get("CONNECTOR_IMAGE")
        if not tag:
            tag = "airbyte/source-microsoft-graph:dev"
            command: list[str | Path] = [ROOT / "integration_tests" / "image" / "build", tag]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            assert done.returncode == 0, done.stdout
        return cls(ca_bundle, tag)

    def derived(self, tag: str, folder: Path) -> Image:
        """The image that the Dockerfile in a folder makes of this one; it knows whom to trust."""
        command = [_client(), "build", "--tag", tag, "--build-arg", f"IMAGE={self.tag}", str(folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return Image(None, tag)

    def inspect(self) -> Mapping[str, Any]:
        """The image's own account of itself: `Config` with labels, environment, entry point and user, `Size`, ..."""
        text = subprocess.check_output([_client(), "image", "inspect", self.tag], text=True)
        (account,) = json.loads(text)
        return dict(account)

    def shell(self, script: str) -> str:
        """What a shell script prints inside the image."""
        command = [_client(), "run", "--rm", "--network=none", "--entrypoint=sh", self.tag, "-ec", script]
        return subprocess.check_output(command, text=True)

    def _command(self, folder: Path) -> list[str]:
        trust = (
            ["--env=REQUESTS_CA_BUNDLE=/ca.pem", f"--volume={self._ca_bundle}:/ca.pem:ro"] if self._ca_bundle else []
        )
        return [_client(), "run", "--rm", "--network=host", f"--volume={folder}:/data:ro", *trust, self.tag]

    def _seen_as(self, folder: Path) -> str:
        return "/data"

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)


def _client() -> str:
    return os.environ.get("DOCKER_CLIENT", "docker")


def engine_trouble() -> str | None:
    """Why no container engine can be used here; None if one can."""
    if not shutil.which(_client()):
        return f"there is no `{_client()}` command"
    command = [_client(), "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return None if done.returncode == 0 else f"no container engine answers: {done.stdout.strip().splitlines()[-1]}"
