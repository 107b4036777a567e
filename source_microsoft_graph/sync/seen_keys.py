"""Keys of records that several listings hold, in a file: there may be more of them than memory takes."""

from __future__ import annotations

import sqlite3
import threading
from hashlib import blake2b

from source_microsoft_graph.errors import OutOfResources

_CACHE_KB = 16_384
"""What stays in memory of the file: about a million keys. Fewer never reach the disk."""


class SeenKeys:
    """The keys that were added, by many threads. Two of ten million keys have the same 64 bits with a chance of one in
    four hundred thousand.

    Without a name SQLite keeps a database in memory up to its cache and then in a file that it deletes itself:
    https://www.sqlite.org/inmemorydb.html#temp_db
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KB}"):
            self._database.execute(f"PRAGMA {pragma}")
        # One transaction for all: to end one after each key would take ten times as long.
        self._database.execute("BEGIN")
        self._database.execute("CREATE TABLE seen (mark INTEGER PRIMARY KEY)")

    def add(self, key: str) -> bool:
        """Whether the key is new. Raises `OutOfResources` where the file finds no room."""
        mark = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), signed=True)
        try:
            with self._lock:
                return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (mark,)).rowcount == 1
        except sqlite3.Error as error:
            raise OutOfResources(
                f"The keys of the messages read so far need a temporary file, and there is no room for one: {error}. "
                "Let the environment variable SQLITE_TMPDIR name a directory with room."
            ) from None
