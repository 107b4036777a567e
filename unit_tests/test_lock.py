"""The lock file serves every machine that the README names, with nothing to compile."""

from __future__ import annotations

import tomllib

import pytest
from packaging.markers import Marker
from packaging.utils import parse_wheel_filename

from dev import GROUPS, LOCK

PACKAGES = tomllib.loads(LOCK.read_text())["package"]
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = {
    ("linux", "x86_64"): ("manylinux", "_x86_64"),
    ("linux", "aarch64"): ("manylinux", "_aarch64"),
    ("darwin", "arm64"): ("macosx", ("_arm64", "_universal2")),
}


def is_wanted(package: dict[str, object], environment: dict[str, str]) -> bool:
    markers = package.get("markers", {})
    groups = [group for group in package["groups"] if group in GROUPS]  # type: ignore[attr-defined]
    conditions = [markers if isinstance(markers, str) else markers.get(group) for group in groups]  # type: ignore[attr-defined]
    return any(condition is None or Marker(condition).evaluate(environment) for condition in conditions)


def fits(filename: str, python: str, system: str, endings: str | tuple[str, ...]) -> bool:
    """Whether the wheel is for this Python and machine."""
    version = int(python.removeprefix("3."))
    return any(
        (tag.platform == "any" or (tag.platform.startswith(system) and tag.platform.endswith(endings)))
        and (
            (
                tag.interpreter in ("py3", f"py3{version}", f"cp3{version}")
                and tag.abi in ("none", "abi3", f"cp3{version}")
            )
            or (tag.abi == "abi3" and int(tag.interpreter.removeprefix("cp3")) <= version)
        )
        for tag in parse_wheel_filename(filename)[3]
    )


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", MACHINES, ids="-".join)
def test_every_package_has_a_wheel(python: str, machine: tuple[str, str]) -> None:
    """Linux on Intel and ARM, and macOS on Apple silicon: a set-up never needs a compiler."""
    system, endings = MACHINES[machine]
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": machine[0],
        "platform_system": machine[0].capitalize(),
        "platform_machine": machine[1],
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
        "extra": "",
    }
    without = [
        package["name"]
        for package in PACKAGES
        if is_wanted(package, environment)
        and not any(
            fits(file["file"], python, system, endings) for file in package["files"] if file["file"].endswith(".whl")
        )
    ]
    assert without == []
