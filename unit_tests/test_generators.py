"""The programs that write files of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from generators.__main__ import main
from generators.registry import GENERATORS, REMEDY, Generator, generate


@pytest.mark.parametrize("generator", [one for one in GENERATORS if not one.runs_connector], ids=lambda one: one.name)
def test_generated_files_are_current(generator: Generator) -> None:
    """Generating changes nothing in what is checked in."""
    assert [file for file, _ in generator.outdated()] == [], REMEDY


def test_no_file_has_two_generators() -> None:
    files = [file for generator in GENERATORS for file in generator.contents]
    assert len(files) == len(set(files))
    assert all(file.is_file() for file in files)


def test_only_what_is_out_of_date_is_written(tmp_path: Path) -> None:
    """A file that is as it ought to be is not touched."""
    current, outdated, missing = (tmp_path / name for name in ("current", "outdated", "missing"))
    current.write_text("new")
    outdated.write_text("old")
    generator = Generator("test", dict.fromkeys((current, outdated, missing), lambda: "new"))
    current.chmod(0o400)
    assert list(generate((generator,))) == [outdated, missing]
    assert [file.read_text() for file in (current, outdated, missing)] == ["new"] * 3
    assert list(generate((generator,))) == []


def test_an_unknown_generator_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "nothing"])
    assert "there is no generator nothing" in capsys.readouterr().err
