"""What others install: the wheel, and PyAirbyte with the example in the documentation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import dev
from integration_tests.conftest import cannot_run
from integration_tests.postgres import Cluster, binaries, cluster
from integration_tests.runner import ROOT, SCRIPT
from integration_tests.test_whole_tenant import FORMS
from simulated_tenant import Tenant
from simulated_tenant.server import Server

pytestmark = pytest.mark.environments

EXAMPLE = ROOT / "examples" / "pyairbyte.py"
STREAMS = ("users", "groups", "group_member", "mail_messages")


def environment(folder: Path, *packages: str) -> Path:
    """A fresh virtual environment with these packages."""
    dev.make_venv(folder)
    command = [dev.python(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        cannot_run(f"pip could not install {packages[-1]}: {done.stderr.strip()[-500:]}")
    return folder


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Gone at once when the tests are over: such environments are large."""
    with tempfile.TemporaryDirectory(prefix="environments-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder / "dist"), str(ROOT)], check=True)
    (found,) = (folder / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def config_file(folder: Path, config: dict[str, Any]) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    return file


def test_the_wheel_holds_the_connector_alone(wheel: Path) -> None:
    """Neither the tests nor the main command, and every schema."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "source_microsoft_graph",
        f"{'-'.join(wheel.stem.split('-')[:2])}.dist-info",
    }
    schemas = {path.name for path in (ROOT / "source_microsoft_graph" / "schemas").glob("*.json")}
    assert {Path(name).name for name in names if "/schemas/" in name} == schemas


def test_the_wheel_gives_the_console_script(wheel: Path, folder: Path, server: Server, config_file: Path) -> None:
    """Installed by pip with what it asks for, in the versions of the lock file, it checks a tenant."""
    versions = folder / "versions.txt"
    versions.write_text("\n".join(line.partition(" --hash")[0] for line in dev.requirements(["main"])))
    installed = environment(folder / "wheel", "--constraint", str(versions), str(wheel))

    command = [str(installed / "bin" / SCRIPT), "check", "--config", str(config_file)]
    variables = {**os.environ, "REQUESTS_CA_BUNDLE": str(server.ca_bundle)}
    done = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    statuses = [json.loads(line) for line in done.stdout.splitlines() if '"CONNECTION_STATUS"' in line]
    assert [status["connectionStatus"]["status"] for status in statuses] == ["SUCCEEDED"]


@pytest.fixture(scope="module")
def pyairbyte(folder: Path) -> Path:
    """PyAirbyte, in the version that the example's docstring says to install."""
    (wanted,) = [
        line.split()[-1] for line in EXAMPLE.read_text().splitlines() if line.strip().startswith("pip install")
    ]
    return environment(folder / "pyairbyte", wanted)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of the tests' own."""
    folder = binaries()
    if folder is None:
        cannot_run("There is no PostgreSQL here: apt-get install postgresql")
    with cluster(folder) as found:
        yield found


def read(pyairbyte: Path, folder: Path, server: Server, config_file: Path, *target: str) -> str:
    """Run the example as its docstring says; returns what it printed."""
    script = str(Path(sys.executable).with_name(SCRIPT))
    command = [dev.python(pyairbyte), str(EXAMPLE), "--config", str(config_file), "--connector", script]
    variables = {
        **os.environ,
        "REQUESTS_CA_BUNDLE": str(server.ca_bundle),
        "HOME": str(folder),
        "AIRBYTE_LOGGING_ROOT": str(folder / "logs"),
    }
    done = subprocess.run(
        [*command, "--streams", ",".join(STREAMS), *target],
        env=variables,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def keys(tenant: Tenant, stream: str) -> list[tuple[str, ...]]:
    forms = {"immutable": True} if stream in FORMS else {}
    return sorted(tuple(key.values()) for key, _ in tenant.expected(stream, **forms))


def differences(found: Iterable[Any], expected: Iterable[Any]) -> Counter[Any]:
    """What is there too often or too seldom; pytest's own comparison of such lists takes minutes."""
    counts = Counter(map(tuple, found))
    counts.subtract(expected)
    return Counter({key: count for key, count in counts.items() if count})


def test_pyairbyte_reads_into_duckdb(pyairbyte: Path, folder: Path, server: Server, config_file: Path) -> None:
    """The rows are the tenant's, and the example says how many there are."""
    file = folder / "pyairbyte.duckdb"
    printed = read(pyairbyte, folder, server, config_file, "--duckdb", str(file))

    with duckdb.connect(str(file), read_only=True) as connection:
        for stream in STREAMS:
            key = ", ".join(next(server.tenant.expected(stream))[0])
            found = connection.sql(f"select {key} from main.{stream} order by all").fetchall()
            assert not differences(found, keys(server.tenant, stream)), stream
            assert f"{stream}: {len(found):,} rows" in printed


def test_pyairbyte_reads_into_postgresql(
    pyairbyte: Path, folder: Path, server: Server, config_file: Path, postgres: Cluster
) -> None:
    """A real server, which keeps what DuckDB does."""
    read(pyairbyte, folder, server, config_file, "--postgres", postgres.address)

    for stream in STREAMS:
        key = ", ".join(next(server.tenant.expected(stream))[0])
        found = postgres.rows(f"select {key} from microsoft_graph.{stream}")
        assert not differences(found, keys(server.tenant, stream)), stream
