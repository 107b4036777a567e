"""What had to be repaired in Graph's responses before they could be read."""

from __future__ import annotations

import logging
import threading
from collections import Counter


class Repairs:
    """Pages that were no JSON as Graph sent them: each kind is said once for a stream, and counted at the end."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._pages: Counter[tuple[str, str]] = Counter()

    def add(self, stream: str, listing: str, kind: str) -> None:
        """A page of this listing needed this kind of repair."""
        with self._lock:
            self._pages[stream, kind] += 1
            is_first = self._pages[stream, kind] == 1
        if is_first:
            self._logger.warning(f"{listing}: Graph sent {kind}. No record is lost.")

    def summarise(self) -> None:
        for (stream, kind), pages in sorted(self._pages.items()):
            self._logger.warning(f"{stream}: {pages:,} pages in all held {kind}.")
