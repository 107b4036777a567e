"""Every generator, with the files that it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from generators import schemas
from integration_tests import acceptance_config, check_screen, configured_catalog, picture
from unit_tests import documents, form

ROOT = Path(__file__).resolve().parent.parent
REMEDY = "Run: python3 dev.py generate"
"""What to do about a file that is not what its generator makes."""


@dataclass(frozen=True)
class Generator:
    """`contents` makes the text of each file, for the repository as it is now."""

    name: str
    contents: dict[Path, Callable[[], str]]
    runs_connector: bool = False
    """Whether it starts the connector, which takes seconds."""

    def outdated(self) -> Iterator[tuple[Path, str]]:
        """The files that hold something else than they ought to, each with what that is."""
        for file, content in self.contents.items():
            text = content()
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                yield file, text


_SCHEMAS = sorted(schemas.FOLDER.glob("*.json"))

GENERATORS = (
    Generator("schemas", {file: partial(schemas.text_in_order, file) for file in _SCHEMAS}),
    Generator("documents", {file: partial(documents.current, file) for file in documents.DOCUMENTS}),
    Generator("form", {form.FILE: form.current}),
    Generator("acceptance", {acceptance_config.FILE: acceptance_config.current}),
    Generator("catalog", {configured_catalog.FILE: configured_catalog.current}, runs_connector=True),
    Generator("picture", {picture.FILE: picture.current}, runs_connector=True),
    Generator("check", {check_screen.FILE: check_screen.current}, runs_connector=True),
)


def generate(generators: tuple[Generator, ...] = GENERATORS) -> Iterator[Path]:
    """Write every file that is out of date; yields each after it is written."""
    for generator in generators:
        for file, text in generator.outdated():
            file.write_text(text, encoding="utf-8")
            yield file
