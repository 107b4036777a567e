#!/usr/bin/env python3
"""The one entry for people: `python3 dev.py VERB`. Needs Python 3.11 to 3.13 and nothing else.

    run       set up, then read a tenant into tables: yours or a simulated one
    sql       set up, then ask the tables
    tenant    set up, then run a simulated tenant until Ctrl-C, for any tool to read
    test      set up, then lint, type-check and test; further arguments go to pytest
    fix       set up, then format the code and the schemas, and repair what the linter can
    generate  set up, then write every generated file that is out of date
    schema    set up, then write the schema of a stream from Microsoft's published types: schema STREAM TYPE
    lock      resolve the dependencies of pyproject.toml anew into poetry.lock

Setting up means: `.venv` holds exactly the packages of poetry.lock, each checked against its hash there,
and this project. It is done again only when one of the files it depends on has changed.

The set-up is written by hand on purpose. It has to work where there is a Python and nothing else: no Poetry, and on
Debian no pip. What it downloads is checked against hashes in the repository, pip itself too, before any of it runs.
"""

from __future__ import annotations

import sys

SUPPORTED = "Python 3.11, 3.12 or 3.13"
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit("dev.py needs {}; this is Python {}.{}.".format(SUPPORTED, *sys.version_info[:2]))

import argparse
import hashlib
import html
import importlib.util
import os
import re
import subprocess
import tempfile
import time
import tomllib
import urllib.parse
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "poetry.lock"
PROGRAMS = {
    "run": ("tables",),
    "sql": ("tables.queries",),
    "tenant": ("simulated_tenant",),
    "generate": ("generators", "generate"),
    "schema": ("generators", "schema"),
}
GROUPS = ("main", "dev", "build")
PIP = ("pip-26.3-py3-none-any.whl", "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13")
POETRY = ("poetry==2.5.1", "poetry-plugin-pypi-mirror==0.6.5")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "verb", choices=[*PROGRAMS, "test", "fix", "lock", "requirements"], metavar="VERB", help="one of those above"
    )
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="arguments for what the verb runs")
    given = parser.parse_args()
    rest: list[str] = given.rest
    if given.verb == "requirements":  # The Dockerfile's verb: prints, and sets up nothing.
        print("\n".join(requirements(rest)))
        return 0
    if given.verb == "lock":
        return lock(rest)
    set_up()
    if given.verb in PROGRAMS:
        become([python(VENV), "-m", *PROGRAMS[given.verb], *rest], cwd=ROOT)
    if given.verb == "fix":
        schemas = ["generators", "generate", "schemas"]
        return in_order(["ruff", "check", "--fix-only", "."], ["ruff", "format", "."], schemas, ["ruff", "check", "."])
    # A process for each core; a file's tests stay in one, and with them what they share.
    tests = ["pytest", "--numprocesses", "auto", "--dist", "loadfile", *rest]
    return in_order(["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], tests)


def requirements(groups: list[str]) -> Iterator[str]:
    """The packages that poetry.lock names for these groups, in pip's language: version, marker and every hash."""
    for package in tomllib.loads(LOCK.read_text(encoding="utf-8"))["package"]:
        wanted = set(package["groups"]) & set(groups)
        if not wanted or package["optional"]:
            continue
        markers = package.get("markers", {})  # One for all groups, or one a group; a group without one wants it always.
        conditions = {markers if isinstance(markers, str) else markers.get(group) for group in wanted}
        line = f"{package['name']}=={package['version']}"
        if None not in conditions:
            line += " ; " + " or ".join(f"({condition})" for condition in sorted(conditions))
        yield " ".join([line, *(f"--hash={file['hash']}" for file in package["files"])])


def set_up() -> None:
    """Make `.venv` what poetry.lock says, unless it is that already."""
    stamp = VENV / "set-up"
    state = _state()
    if stamp.is_file() and stamp.read_text() == state:
        return
    started = time.monotonic()
    say(f"Setting up .venv for Python {sys.version_info[0]}.{sys.version_info[1]} ...")
    make_venv(VENV)
    say("Installing the packages of poetry.lock ...")
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "requirements.txt"
        listing.write_text("\n".join(requirements(list(GROUPS))))
        pip(VENV, "install", "--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", str(listing))
    say("Installing this project ...")
    pip(VENV, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    stamp.write_text(state)
    say(f"Set up in {time.monotonic() - started:.0f} s.")


def _state() -> str:
    """What a set-up depends on: the two files, where they lie, and this Python."""
    digest = hashlib.sha256(f"{ROOT} {sys.version} {sys.base_prefix}".encode())
    for file in (LOCK, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def lock(arguments: list[str]) -> int:
    """Let Poetry resolve, from a venv of its own that is gone afterwards.

    Poetry asks its index for a document per release, which many package mirrors lack; the plugin makes it use
    the plain index that pip installs from.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "venv"
        say("Fetching Poetry ...")
        make_venv(own)
        pip(own, "install", *POETRY)
        default = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
        index = subprocess.run([python(own), "-c", default], check=True, capture_output=True, text=True).stdout.strip()
        environment = {
            "POETRY_PYPI_MIRROR_URL": os.environ.get("PIP_INDEX_URL", index),
            "POETRY_VIRTUALENVS_CREATE": "false",
            **os.environ,
        }
        say("Resolving ...")
        return subprocess.call([python(own), "-m", "poetry", "lock", *arguments], cwd=ROOT, env=environment)


def make_venv(folder: Path) -> None:
    """A fresh venv. Debian leaves out what Python puts pip into it from, so pip is fetched there."""
    bundled = importlib.util.find_spec("ensurepip") is not None
    venv.create(folder, clear=True, with_pip=bundled, symlinks=True)
    if not bundled:
        with tempfile.TemporaryDirectory() as place:
            wheel = fetch_pip(Path(place))
            # A wheel of pip's can be run as it is.
            subprocess.run(
                [python(folder), str(wheel / "pip"), "--quiet", "install", "--no-index", str(wheel)], check=True
            )


def fetch_pip(folder: Path) -> Path:
    """The wheel of pip that PIP names, from the index that pip would use: https://peps.python.org/pep-0503/"""
    name, digest = PIP
    page = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    try:
        with urllib.request.urlopen(page) as answer:
            links = re.findall(r'href="([^"]+)"', answer.read().decode())
        link = next(link for link in links if urllib.parse.urlsplit(link).path.rpartition("/")[2] == name)
        with urllib.request.urlopen(urllib.parse.urljoin(page, html.unescape(link))) as answer:
            content = answer.read()
    except (OSError, StopIteration) as error:
        package = f"python3.{sys.version_info[1]}-venv"
        sys.exit(f"This Python comes without pip, and {page} did not give it ({error!r}). apt-get install {package}")
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"{name} from {page} is not the file that its hash in dev.py tells.")
    (folder / name).write_bytes(content)
    return folder / name


def pip(folder: Path, *arguments: str) -> None:
    """Run a venv's pip without a word, or end with all it said."""
    command = [python(folder), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\npip could not install; its own words are above.")


def python(folder: Path) -> str:
    return str(folder / "bin" / "python")


def become(command: list[str], cwd: Path) -> NoReturn:
    """Run a command in the place of this process, so that a signal to this process is one to the command."""
    sys.stdout.flush()
    os.chdir(cwd)
    os.execv(command[0], command)


def call(command: list[str], cwd: Path) -> int:
    """Run a command and give its exit code. Ctrl-C reaches the command too, which ends by itself in its own time, where
    `subprocess.call` would kill it after a quarter of a second; a second Ctrl-C kills it."""
    with subprocess.Popen(command, cwd=cwd) as process:
        try:
            try:
                return process.wait()
            except KeyboardInterrupt:
                return process.wait()
        except BaseException:
            process.kill()
            raise


def in_order(*commands: list[str]) -> int:
    """Run tools of `.venv` one after the other; the first that fails is the last that runs."""
    for command in commands:
        say(" ".join(command))
        code = call([python(VENV), "-m", *command], cwd=ROOT)
        if code:
            return code
    return 0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
