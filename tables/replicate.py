"""From a connector to tables: discover, read, load, tell."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from integration_tests.configured_catalog import select
from tables.connector import Connector, Message, output_of
from tables.database import Database
from tables.queries import suggestions
from tables.reading import Reading
from tables.screen import Screen


def replicate(connector: Connector, file: Path, wanted: Sequence[str], *, incremental: bool, screen: Screen) -> int:
    """Read the wanted streams, or all, into the file. Returns the connector's exit code."""
    with screen.busy("Asking the connector for its streams ..."):
        offered = {stream["name"]: stream for stream in connector.discover()}
    if unknown := sorted(set(wanted) - set(offered)):
        sys.exit(f"No such stream: {', '.join(unknown)}. There are {', '.join(offered)}.")
    # An incremental read may take longer than a full one, such as that of a log, which is read day by day.
    catalog = select((offered[name] for name in wanted or offered), None if incremental else "full_refresh")
    names = [name for name, _ in _modes(catalog)]
    try:
        database = Database(file)
    except duckdb.IOException as error:
        sys.exit(f"{file} cannot be opened, so nothing was read. {error}")
    # Beside the file, since a folder for temporary files may be small or kept in memory.
    with database, TemporaryDirectory(dir=file.parent, prefix=".reading-") as folder:
        resumable = {name for name, mode in _modes(catalog) if mode == "incremental"}
        state = database.state(resumable)
        resumed = {message["stream"]["stream_descriptor"]["name"] for message in state}
        if incremental:
            screen.say(_announcement(resumable, resumed, names))
        reading = Reading(names, Path(folder))
        with connector.read(catalog, state) as process:
            with screen.progress(reading):
                reading.follow(output_of(process))
            code = process.wait()
        seconds = reading.seconds
        for configured, name in zip(catalog["streams"], names, strict=True):
            read = reading.streams[name]
            try:
                with screen.busy(f"Loading {read.records:,} records of {name} ..."):
                    database.load(configured, reading.file(name), read, changes_only=name in resumed)
            except duckdb.Error as error:
                read.status, code = "not loaded", code or 1
                reading.errors.append(f"{name} could not be loaded, and its table is as it was. {error}")
        filled = database.filled()
    screen.account(list(reading.streams.values()))
    screen.say(f"\n{reading.records:,} records read in {seconds:.1f} s, loaded in {reading.seconds - seconds:.1f} s.")
    if reading.warnings:
        screen.say("\nWarnings:", "bold yellow")
        for line in reading.warnings:
            screen.say(f"  {line}")
    if code:
        screen.say("\nWhat failed:", "bold red")
        for line in reading.errors or reading.last_words or ["The connector ended without a word."]:
            screen.say(f"  {line}")
    if commands := suggestions(file, [name for name in names if name in filled]):
        screen.say("\nTry:", "bold")
    for command in commands:
        screen.show(command)
    return code


def _modes(catalog: Message) -> Iterator[tuple[str, str]]:
    return ((configured["stream"]["name"], configured["sync_mode"]) for configured in catalog["streams"])


def _announcement(resumable: set[str], resumed: set[str], names: Sequence[str]) -> str:
    if not resumable:
        return "None of these streams can tell what changed, so everything is read."
    if not resumed:
        return "There is no earlier read to go on from, so everything is read."
    changed = f"Asking for what changed in {', '.join(name for name in names if name in resumed)}"
    return f"{changed}; the others are read whole." if resumed < set(names) else f"{changed}."
