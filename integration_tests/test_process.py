"""How the connector's process ends when something outside of it does: a signal, or whoever reads its output."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from integration_tests.runner import ROOT, SCRIPT
from simulated_tenant.faults import ALWAYS, Fault
from simulated_tenant.server import Server

PATIENCE = 60
"""Seconds until something that has to happen is missed."""

LIMIT = 10
"""Seconds in which a process has to end: then Docker kills a container."""

SIGNALS = [signal.SIGTERM, signal.SIGINT]


class Running:
    """A command of the connector under way, with files for what it is given."""

    def __init__(self, folder: Path, server: Server, command: str, **options: Any) -> None:
        self.server = server
        config, stdout = options.pop("config", server.config()), options.pop("stdout", subprocess.PIPE)
        arguments = [command, *options.pop("flags", ())]
        for name, content in {"config": config, **options}.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
            arguments += [f"--{name}", str(folder / f"{name}.json")]
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name(SCRIPT)), *arguments],
            env={**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle, "PYTHONPATH": str(folder)},
            # What `communicate` reads must not wait in a buffer.
            bufsize=0,
            stdout=stdout,
            stderr=subprocess.PIPE,
            # Whatever a shell starts in the background ignores interrupts, and so would its children.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        )
        self.lines: list[bytes] = []

    def read_until(self, text: bytes) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)
            if text in line:
                return
        raise AssertionError(f"{text!r} was never printed")

    def ends_by(self, *signals: signal.Signals) -> tuple[list[dict[str, Any]], str]:
        """The messages it printed until it ended, and what it said on standard error."""
        started = time.monotonic()
        for each in signals:
            self.process.send_signal(each)
        output, complaint = self.process.communicate(timeout=PATIENCE)
        rest = output or b""
        assert time.monotonic() - started < LIMIT
        assert self.process.returncode in [128 + each for each in signals]
        assert rest == b"" or rest.endswith(b"\n")
        assert b"Traceback" not in rest + complaint
        return [json.loads(line) for line in [*self.lines, *rest.splitlines()]], complaint.decode()


@contextmanager
def running(*arguments: Any, **options: Any) -> Iterator[Running]:
    run = Running(*arguments, **options)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.communicate()


def until(happened: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def configured(*names: str) -> dict[str, Any]:
    """A catalog of these streams, or of all, incremental where they can be."""
    catalog = json.loads((ROOT / "integration_tests" / "configured_catalog.json").read_text())
    return {"streams": [each for each in catalog["streams"] if not names or each["stream"]["name"] in names]}


def statuses(messages: list[dict[str, Any]]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for message in messages:
        if status := message.get("trace", {}).get("stream_status"):
            found.setdefault(status["stream_descriptor"]["name"], []).append(status["status"])
    return found


def says_why(messages: list[dict[str, Any]], by: signal.Signals) -> bool:
    sentence = f"Ended by {by.name} before the command was done."
    return messages[-1] == {"type": "LOG", "log": {"level": "WARN", "message": sentence}}


# What the connector is at when the signal comes. Each starts a process and returns once it is there.


@contextmanager
def importing(folder: Path, server: Server) -> Iterator[Running]:
    """A module that the connector imports first takes its time."""
    reached = folder / "reached"
    (folder / "attributes_doc.py").write_text(f"import time\nopen({str(reached)!r}, 'w').close()\ntime.sleep(600)\n")
    with running(folder, server, "check") as run:
        until(reached.exists)
        yield run


@contextmanager
def signing_in(folder: Path, server: Server, command: str = "read") -> Iterator[Running]:
    """The sign-in host takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = server.config()
        config["cloud"]["login_host"] = f"localhost:{silent.getsockname()[1]}"
        options = {"catalog": configured()} if command == "read" else {}
        with running(folder, server, command, config=config, **options) as run:
            silent.settimeout(PATIENCE)
            connection, _ = silent.accept()
            with connection:
                yield run


@contextmanager
def struck(folder: Path, server: Server, fault: Fault, command: str = "read", **settings: Any) -> Iterator[Running]:
    """Graph answers every request so."""
    server.tenant.faults.add(fault)
    options = {"catalog": configured()} if command == "read" else {}
    with running(folder, server, command, config={**server.config(), **settings}, **options) as run:
        until(lambda: fault.struck)
        yield run


def checking(folder: Path, server: Server) -> Any:
    return struck(folder, server, Fault("GET /v1.0|POST", "timeout", times=ALWAYS), command="check")


def hanging(folder: Path, server: Server) -> Any:
    return struck(folder, server, Fault("GET /v1.0|POST", "timeout", after=60, times=ALWAYS), num_workers=40)


def throttled(folder: Path, server: Server) -> Any:
    wait = {"Retry-After": "3600"}
    return struck(folder, server, Fault("GET /v1.0|POST", status=429, headers=wait, after=20, times=ALWAYS))


PHASES: Mapping[str, Callable[[Path, Server], Any]] = {
    "importing": importing,
    "signing in": signing_in,
    "signing in to check": partial(signing_in, command="check"),
    "Graph hangs in check": checking,
    "Graph hangs, 40 workers": hanging,
    "Retry-After": throttled,
}


@pytest.mark.parametrize("by", SIGNALS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_ends_the_process(phase: str, by: signal.Signals, own_server: Server, tmp_path: Path) -> None:
    """Whole lines, the last one says why, every stream that was begun has one last status, the code is the signal's."""
    with PHASES[phase](tmp_path, own_server) as run:
        messages, complaint = run.ends_by(by)

    assert complaint == ""
    assert says_why(messages, by)
    for stream, of_stream in statuses(messages).items():
        assert of_stream[-1] in ("INCOMPLETE", "COMPLETE"), stream
        assert len({"INCOMPLETE", "COMPLETE"}.intersection(of_stream)) == 1, stream


def test_a_signal_loses_no_record(own_server: Server, tmp_path: Path) -> None:
    """What the last state does not cover is read by the next sync."""
    names = ("mail_messages", "users")
    own_server.latency = 0.05
    with running(tmp_path, own_server, "read", catalog=configured(*names), config=few_workers(own_server)) as run:
        run.read_until(b'"stream":"mail_messages"')
        messages, _ = run.ends_by(signal.SIGTERM)
    assert "INCOMPLETE" in statuses(messages)["mail_messages"]
    own_server.latency = 0
    last = {
        message["state"]["stream"]["stream_descriptor"]["name"]: message["state"] for message in of(messages, "STATE")
    }
    assert last.keys() == set(names)

    with running(tmp_path, own_server, "read", catalog=configured(*names), state=list(last.values())) as run:
        rest, _ = run.process.communicate(timeout=PATIENCE)
    with running(tmp_path, own_server, "read", catalog=configured(*names)) as run:
        whole, _ = run.process.communicate(timeout=PATIENCE)

    assert run.process.returncode == 0
    assert keys(messages) | keys(map(json.loads, rest.splitlines())) == keys(map(json.loads, whole.splitlines()))


def few_workers(server: Server) -> dict[str, Any]:
    return {**server.config(), "num_workers": 2}


def of(messages: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == kind]


def keys(messages: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    records = (message["record"] for message in of(messages, "RECORD"))
    return {(record["stream"], record["data"]["id"]) for record in records}


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """The end to read from, where nobody reads, and the one to write to, with room for nothing."""
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1024 * 1024)
    line = json.dumps({"type": "LOG", "log": {"level": "INFO", "message": "x" * 4000}}).encode()
    os.write(writer, (line.ljust(4095) + b"\n") * (size // 4096))
    yield reader, writer
    os.close(reader)
    os.close(writer)


@contextmanager
def unread(folder: Path, server: Server, writer: int) -> Iterator[Running]:
    """A command that hears signals and can print nothing."""
    reached = folder / "reached"
    (folder / "attributes_doc.py").write_text(f"open({str(reached)!r}, 'w').close()\nget_attributes_doc = None\n")
    with running(folder, server, "read", catalog=configured(), stdout=writer) as run:
        until(reached.exists)
        yield run


def test_a_full_pipe_keeps_no_process(own_server: Server, tmp_path: Path, full_pipe: tuple[int, int]) -> None:
    """The process ends in time, leaves no half line, and says why where it is heard."""
    reader, writer = full_pipe
    with unread(tmp_path, own_server, writer) as run:
        _, complaint = run.ends_by(signal.SIGTERM)

    assert complaint == "Ended by SIGTERM before the command was done.\n"
    assert os.read(reader, 2 * 1024 * 1024).endswith(b"\n")


def test_a_second_signal_ends_at_once(own_server: Server, tmp_path: Path, full_pipe: tuple[int, int]) -> None:
    """Though the first would wait for whoever reads the pipe."""
    with unread(tmp_path, own_server, full_pipe[1]) as run:
        run.process.send_signal(signal.SIGTERM)
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(LIMIT / 2) in (128 + signal.SIGTERM, 128 + signal.SIGINT)


def test_a_reader_that_stops_keeps_no_process(own_server: Server, tmp_path: Path) -> None:
    """Whether what is to be out still fits into the pipe or not."""
    with running(tmp_path, own_server, "read", catalog=configured()) as run:
        run.read_until(b'"RECORD"')
        until(lambda: bytes_in(run.process.stdout) > 128 * 1024)
        run.process.send_signal(signal.SIGTERM)
        run.process.wait(LIMIT)
        messages, complaint = run.ends_by(signal.SIGTERM)

    assert complaint == "Ended by SIGTERM before the command was done.\n" or says_why(messages, signal.SIGTERM)


def bytes_in(pipe: Any) -> int:
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0])


def test_a_reader_that_goes_ends_the_process(own_server: Server, tmp_path: Path) -> None:
    """With one sentence on standard error."""
    with running(tmp_path, own_server, "read", catalog=configured()) as run:
        run.read_until(b'"RECORD"')
        assert run.process.stdout
        assert run.process.stderr
        run.process.stdout.close()
        assert run.process.wait(LIMIT) == 1
        complaint = run.process.stderr.read().decode()
        run.process.stderr.close()

    assert complaint.count("\n") == 1
    assert "Standard output takes no more" in complaint


@pytest.mark.parametrize("shell", ["> /dev/full", ">&-"])
def test_an_output_without_room_is_told(shell: str) -> None:
    """A full disk, and no output at all."""
    script = Path(sys.executable).with_name(SCRIPT)
    done = subprocess.run(
        ["sh", "-c", f"'{script}' spec {shell}"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Standard output ")
    assert done.stderr.count("\n") == 1


FEW_THREADS = """
import threading
room, start = {room}, threading.Thread.start
def start_if_there_is_room(thread):
    global room
    if not room:
        raise RuntimeError("can't start new thread")
    room -= 1
    start(thread)
threading.Thread.start = start_if_there_is_room
"""


@pytest.mark.parametrize("room", range(5))
def test_a_limit_of_threads_is_told_or_kept_to(room: int, own_server: Server, tmp_path: Path) -> None:
    """One thread for the command and two for the sync are enough."""
    (tmp_path / "sitecustomize.py").write_text(FEW_THREADS.format(room=room))
    names = ("users", "groups", "teams", "channels", "directory_roles")
    with running(tmp_path, own_server, "read", catalog=configured(*names)) as run:
        output, complaint = run.process.communicate(timeout=PATIENCE)

    messages = [json.loads(line) for line in output.splitlines()]
    assert run.process.returncode == (1 if room < 3 else 0)
    if room >= 3:
        assert {stream: of_stream[-1] for stream, of_stream in statuses(messages).items()} == dict.fromkeys(
            names, "COMPLETE"
        )
    else:
        errors = [message["trace"]["error"]["message"] for message in of(messages, "TRACE")]
        assert "starts no" in complaint.decode() + "".join(errors)


def test_the_image_starts_the_connector_itself() -> None:
    """A shell in between would keep signals from it."""
    (entry,) = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("ENTRYPOINT")]
    assert json.loads(entry.removeprefix("ENTRYPOINT ")) == ["/opt/source-microsoft-graph/bin/source-microsoft-graph"]


def test_a_report_that_is_ended_prints_no_message(tmp_path: Path, own_server: Server) -> None:
    """Its output is no protocol: what ended it is said on standard error alone."""
    own_server.tenant.faults.add(Fault("/v1.0/", kind="timeout", times=ALWAYS))

    with running(tmp_path, own_server, "report", flags=["--yes"]) as run:
        until(lambda: any(seen.path.startswith("/v1.0/") for seen in own_server.tenant.requests))
        messages, complaint = run.ends_by(signal.SIGTERM)

    assert messages == []
    assert complaint.endswith("Ended by SIGTERM before the command was done.\n")
