"""Setting up where Python comes without the means to."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib.util
import io
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import dev

NAME = "pip-1.0-py3-none-any.whl"


def a_pip() -> bytes:
    """A wheel whose pip notes in its venv how it was called."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("pip/__main__.py", "import sys; open(sys.prefix + '/called', 'w').write(' '.join(sys.argv[1:]))")
    return file.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package index that holds this pip, and a Python without ensurepip."""
    page = tmp_path / "simple" / "pip"
    page.mkdir(parents=True)
    (tmp_path / NAME).write_bytes(a_pip())
    page.joinpath("index.html").write_text(
        f'<a href="../../pip-0.9.tar.gz">pip-0.9.tar.gz</a><a href="../../{NAME}#sha256=0&amp;x=1">{NAME}</a>'
    )
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
        monkeypatch.setattr(dev, "PIP", (NAME, hashlib.sha256(a_pip()).hexdigest()))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        yield tmp_path
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None: ...


@pytest.mark.usefixtures("index")
def test_pip_is_fetched_where_python_comes_without(tmp_path: Path) -> None:
    """As on a Debian that has python3 and nothing else: the new venv's Python installs the wheel of pip with itself."""
    folder = tmp_path / "venv"
    dev.make_venv(folder)
    called = (folder / "called").read_text()
    assert called.startswith("--quiet install --no-index /")
    assert called.endswith(NAME)


@pytest.mark.usefixtures("index")
def test_another_pip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the hash does not tell is ever run."""
    monkeypatch.setattr(dev, "PIP", (NAME, "0" * 64))
    with pytest.raises(SystemExit, match="is not the file that its hash"):
        dev.make_venv(tmp_path / "venv")
    assert not (tmp_path / "venv" / "called").exists()


def test_an_index_without_it_is_told(index: Path) -> None:
    """The other way to a venv is named."""
    index.joinpath("simple", "pip", "index.html").write_text("nothing")
    with pytest.raises(SystemExit, match=r"did not give it .* apt-get install python3\.\d+-venv"):
        dev.make_venv(index / "venv")


CLEARS_UP = """
import sys, time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)
    print("cleared up", flush=True)
    sys.exit(130)
"""


def test_ctrl_c_lets_a_program_end_by_itself() -> None:
    """It reaches dev.py and the program it runs, as in a terminal; the program's exit code is passed on."""
    script = "import pathlib, sys, dev; sys.exit(dev.call([sys.executable, '-c', sys.argv[1]], pathlib.Path.cwd()))"
    with subprocess.Popen(
        [sys.executable, "-c", script, CLEARS_UP],
        cwd=dev.ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whatever a shell starts in the background ignores interrupts, and so would its children.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == "cleared up\n"
    assert process.returncode == 130


def test_a_program_takes_the_place_of_dev_py() -> None:
    """So a signal to `python3 dev.py tenant` ends the tenant, also one that no terminal sends."""
    script = "import pathlib, sys, dev; dev.become([sys.executable, '-c', sys.argv[1]], pathlib.Path('/'))"
    with subprocess.Popen(
        [sys.executable, "-c", script, "import os; print(os.getpid(), os.getcwd())"],
        cwd=dev.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.read() == f"{process.pid} /\n"
