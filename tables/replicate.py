"""From a connector to tables: discover its streams, read them, load the records, print a summary."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from integration_tests.configured_catalog import select
from tables.connector import Connector, Message, output_of
from tables.database import Database
from tables.display import Display, misfit_lines
from tables.queries import suggestions
from tables.received import Received
from tables.staging import Misfits
from unit_tests.roll import expensive


def replicate(connector: Connector, file: Path, wanted: Sequence[str], *, incremental: bool, display: Display) -> int:
    """Read the wanted streams into the DuckDB file, or if none is named all but the expensive ones.

    Returns the connector's exit code, or 1 if that is 0 and a table could not be loaded. Exits if a wanted stream does
    not exist, or if the file cannot be opened.
    """
    catalog = _catalog(connector, wanted, incremental, display)
    names = [name for name, _ in _modes(catalog)]
    # The temporary folder is next to the file: the system's own may be small or held in memory.
    with _open(file) as database, TemporaryDirectory(dir=file.parent, prefix=".reading-") as folder:
        resumable = {name for name, mode in _modes(catalog) if mode == "incremental"}
        state = database.state(resumable)
        resumed = {message["stream"]["stream_descriptor"]["name"] for message in state}
        if incremental:
            display.line(_announcement(resumable, resumed, names))
        received = Received(names, Path(folder))
        with connector.read(catalog, state) as process:
            with display.progress(received):
                received.receive(output_of(process))
            exit_code = process.wait()
        seconds = received.seconds
        misfits: list[Misfits] = []
        if not _load(database, catalog, received, resumed, display, misfits):
            exit_code = exit_code or 1
        with_rows = database.tables_with_rows()
    display.summary(list(received.streams.values()))
    loading = received.seconds - seconds
    display.line()
    display.line(f"{received.records:,} records read in {seconds:.1f} s, loaded in {loading:.1f} s.")
    display.section("Warnings:", list(received.warnings), "yellow")
    display.section("Values that do not fit their columns:", misfit_lines(misfits), "yellow")
    if exit_code:
        no_error = ["The connector ended without an error message."]
        display.section("What failed:", received.errors or list(received.other_lines) or no_error, "red")
    display.commands("Try:", suggestions(file, [name for name in names if name in with_rows]))
    return exit_code


def _catalog(connector: Connector, wanted: Sequence[str], incremental: bool, display: Display) -> Message:
    """The configured catalog of a read."""
    with display.busy("Asking the connector for its streams ..."):
        offered = {stream["name"]: stream for stream in connector.discover()}
    if unknown := sorted(set(wanted) - set(offered)):
        sys.exit(f"No such stream: {', '.join(unknown)}. There are {', '.join(offered)}.")
    # Without --incremental every stream is read in full refresh, also one that could be read incrementally: a first
    # incremental read can take longer, such as that of an audit log, which is read day by day.
    left_out = expensive()
    names = wanted or [name for name in offered if name not in left_out]
    # The last record of a key counts in either mode, so nothing has to wait until it is known to be the last.
    return select((offered[name] for name in names), None if incremental else "full_refresh", deduplicated=True)


def _modes(catalog: Message) -> Iterator[tuple[str, str]]:
    """The name and the sync mode of each stream."""
    return ((configured["stream"]["name"], configured["sync_mode"]) for configured in catalog["streams"])


def _open(file: Path) -> Database:
    """The database, opened before the read: a read may take hours, and nothing could be loaded afterwards."""
    try:
        return Database(file)
    except duckdb.IOException as error:
        sys.exit(f"{file} cannot be opened, so nothing was read. {error}")


def _load(
    database: Database,
    catalog: Message,
    received: Received,
    resumed: set[str],
    display: Display,
    misfits: list[Misfits],
) -> bool:
    """Load each stream by itself, and add to `misfits`. Returns whether all could be loaded."""
    all_loaded = True
    for configured in catalog["streams"]:
        stream = received.streams[configured["stream"]["name"]]
        try:
            with display.busy(f"Loading {stream.records:,} records of {stream.name} ..."):
                file, changes_only = received.file(stream.name), stream.name in resumed
                misfits += database.load(configured, file, stream, changes_only=changes_only)
        except duckdb.Error as error:
            stream.status, all_loaded = "not loaded", False
            received.errors.append(f"{stream.name} could not be loaded, and its table is as it was. {error}")
    return all_loaded


def _announcement(resumable: set[str], resumed: set[str], names: Sequence[str]) -> str:
    """What an incremental read will ask for: `resumable` streams can be read incrementally, `resumed` have a state."""
    if not resumable:
        return "None of these streams can tell what changed, so everything is read."
    if not resumed:
        return "There is no earlier read to go on from, so everything is read."
    changed = f"Asking for what changed in {', '.join(name for name in names if name in resumed)}"
    return f"{changed}; the others are read whole." if resumed < set(names) else f"{changed}."
