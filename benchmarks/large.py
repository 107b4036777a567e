"""Works that need memory: many rows, large rows, large answers, and answers without an end.

Each is read by a process of its own that may have as much memory as Airbyte gives a source, and says how it has to end.
Where an answer can never be read, the listing of its owner fails, and the rest is read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil

from benchmarks.measure import Reading

LIMIT = 512 * 2**20
"""Bytes of memory that Airbyte gives a source:
https://docs.airbyte.com/platform/operator-guides/configuring-connector-resources"""

PAGE_OF_A_DRIVE = 500
"""Items, as the connector asks for them."""

Numbers = Mapping[str, int]


@dataclass(frozen=True)
class LargeWork:
    """A tenant, what to read of it, and how many rows that is.

    `quick` holds what a small tenant has less of. `faults` are those of the simulated tenant; `{user}` in one is the id
    of one of the users. `mail_bytes` is the size of one mail of that user. `syncs` counts the syncs that follow one
    another, each with the state of the last; nothing changes in between, so all but the first find no row. `mode` and
    `destination` are the sync modes of the catalog. The connector names the objects that it has `skipped`. Of a stream
    that is `incomplete` it says so, and exits with 1.
    """

    title: str
    streams: Sequence[str]
    size: Numbers
    quick: Numbers
    rows: Callable[[Numbers], int]
    mode: str = "full_refresh"
    destination: str = "overwrite"
    syncs: int = 1
    settings: Mapping[str, object] = field(default_factory=dict)
    faults: Sequence[Mapping[str, object]] = ()
    mail_bytes: int = 0
    skipped: int = 0
    incomplete: Sequence[str] = ()


@dataclass(frozen=True)
class Ending:
    """How one sync of a work ended, the first or one that follows, where so many rows are to be read."""

    work: LargeWork
    reading: Reading
    sync: int
    rows: int

    @property
    def title(self) -> str:
        return f"{self.work.title}, the next sync" if self.sync else self.work.title

    @cached_property
    def incomplete(self) -> list[str]:
        """The streams of which the connector says so."""
        statuses = (each["stream_status"] for each in self.reading.of("trace") if "stream_status" in each)
        return [each["stream_descriptor"]["name"] for each in statuses if each["status"] == "INCOMPLETE"]

    @cached_property
    def skipped(self) -> int:
        """The objects that it names as skipped. Its last message of a stream and a reason has the number of all."""
        skips = (each["skipped"] for each in self.reading.of("log") if "skipped" in each)
        return sum({(skip["stream"], skip["meaning"]): skip["count"] for skip in skips}.values())

    @property
    def is_wrong(self) -> bool:
        """Whether anything is other than it has to be, the peak of the memory included."""
        found = self.reading.records, self.reading.exit_code, self.incomplete, self.skipped
        wanted = self.rows, int(bool(self.work.incomplete)), [*self.work.incomplete], self.work.skipped
        return found != wanted or self.reading.figures["peak MB"] > LIMIT / 2**20

    def cells(self) -> Mapping[str, str]:
        """What the table says, by its columns."""
        figures = self.reading.figures
        outcome = f"{', '.join(self.incomplete)} incomplete" if self.incomplete else "whole"
        if self.skipped:
            outcome += f", {self.skipped:,} skipped"
        return {
            f"within {LIMIT // 2**20} MiB": self.title,
            "records": f"{self.reading.records:,}",
            "exit code": str(self.reading.exit_code),
            "outcome": ("wrong: " if self.is_wrong else "") + outcome,
            "peak MB": f"{figures['peak MB']:.0f}",
            "first record after s": f"{figures['first record after s']:.1f}" if self.reading.records else "",
            "CPU s": f"{figures['CPU s']:.1f}",
            "s": f"{figures['s']:.0f}",
        }

    def __str__(self) -> str:
        told = ", ".join(f"{name}: {text}" for name, text in self.cells().items())
        return f"{told}\n{self.rows:,} records expected. {self.reading.last_words}" if self.is_wrong else told


def table_of(endings: Sequence[Ending]) -> str:
    """The endings as Markdown."""
    rows = [[*endings[0].cells()], *([*ending.cells().values()] for ending in endings)]
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def mails(users: int, number: int, each: int, quick: Numbers, **settings: object) -> LargeWork:
    """Mailboxes of so many mails of so many bytes."""
    workers = f", {settings['num_workers']} workers" if "num_workers" in settings else ""
    return LargeWork(
        f"{users:,} mailbox{'es' * (users > 1)} of {number:,} mails of {each // 1000:,} kB{workers}",
        ["mail_messages"],
        {"users": users, "messages_per_user": number, "message_bytes": each},
        quick,
        _mails_in,
        settings=settings,
    )


def drives(title: str, users: int, items: int, quick: Numbers) -> tuple[LargeWork, LargeWork]:
    """OneDrives of so many items, where the destination keeps every row, and where it removes duplicates."""
    size = {"users": users, "items_per_drive": items}
    kept = LargeWork(title, ["drive_items"], size, quick, _items_in)
    return kept, replace(kept, title=f"{title}, deduplicated", destination="append_dedup", rows=_versions_in)


def bomb(title: str, kind: str, match: str = "/users/{user}/messages") -> LargeWork:
    """One mailbox of several answers with something that can never be read."""
    return LargeWork(
        title,
        ["mail_messages"],
        {"users": 100, "messages_per_user": 100},
        {"users": 30, "messages_per_user": 5},
        lambda size: _mails_in(size) - size["messages_per_user"],
        faults=[{"match": match, "kind": kind, "times": float("inf")}],
        incomplete=["mail_messages"],
    )


def bomb_at_sign_in(title: str, kind: str) -> LargeWork:
    """The sign-in host answers so twice, and then as it should."""
    return LargeWork(
        title,
        ["mail_messages"],
        {"users": 10, "messages_per_user": 10},
        {},
        _mails_in,
        faults=[{"match": "/oauth2/v2.0/token", "kind": kind, "times": 2}],
    )


def _mails_in(size: Numbers) -> int:
    return size["users"] * size["messages_per_user"]


def _items_in(size: Numbers) -> int:
    return size["users"] * size["items_per_drive"]


def _versions_in(size: Numbers) -> int:
    """Every second page of a drive of the simulated tenant ends with the next item as it was before."""
    pages = ceil(size["items_per_drive"] / PAGE_OF_A_DRIVE)
    return _items_in(size) + size["users"] * (pages // 2)


MAILBOX_STREAMS = ("mail_messages", "calendar_events", "contacts")
ONE_OF_EACH = {"messages_per_user": 1, "events_per_user": 1, "contact_folders": 0, "contacts_per_folder": 1}
WORKS = (
    *drives("200 OneDrives of 10,000 items", 200, 10_000, {"users": 5, "items_per_drive": 1000}),
    *drives("one OneDrive of 2,000,000 items", 1, 2_000_000, {"items_per_drive": 5000}),
    LargeWork(
        "300,000 users with a mail, an event and a contact each, incremental",
        MAILBOX_STREAMS,
        {"users": 300_000, **ONE_OF_EACH},
        {"users": 200},
        lambda size: 3 * size["users"],
        "incremental",
        syncs=2,
    ),
    LargeWork(
        "the same with a OneDrive of two items each",
        [*MAILBOX_STREAMS, "drive_items"],
        {"users": 300_000, **ONE_OF_EACH, "items_per_drive": 2},
        {"users": 200},
        lambda size: 3 * size["users"] + _items_in(size),
        "incremental",
    ),
    mails(1, 999, 500_000, {"messages_per_user": 150}, page_size=999),
    mails(40, 100, 300_000, {"users": 4}, num_workers=10),
    mails(40, 100, 300_000, {"users": 4}, num_workers=2),
    mails(400, 100, 30_000, {"users": 10}, num_workers=40),
    mails(40, 10, 3_000_000, {"users": 4}),
    LargeWork(
        "batches of 20 pages of 4 MB: 200 mailboxes of 133 contacts of 30 kB",
        ["contacts"],
        {"users": 200, "contact_folders": 0, "contacts_per_folder": 133, "contact_bytes": 30_000},
        {"users": 20},
        lambda size: size["users"] * size["contacts_per_folder"],
    ),
    LargeWork(
        "one mail of 150 MB among others",
        ["mail_messages"],
        {"users": 100, "messages_per_user": 100},
        {"users": 30, "messages_per_user": 5},
        lambda size: _mails_in(size) - 1,
        mail_bytes=150_000_000,
        skipped=1,
    ),
    bomb("a page of 1 MB that unpacks to 1 GB", "inflate"),
    bomb("a page without an end", "endless"),
    bomb_at_sign_in("a token in 1 MB that unpacks to 1 GB, twice", "inflate"),
    bomb_at_sign_in("a token without an end, twice", "endless"),
)
