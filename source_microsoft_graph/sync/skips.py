"""The one list of what is left out of a sync because something is wrong with one object."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict

from source_microsoft_graph.errors import Help
from source_microsoft_graph.graph.response import GraphResponse
from source_microsoft_graph.logs import with_fields
from source_microsoft_graph.sync.digests import DigestMap, digest_of

NAMED_OBJECTS = 20
"""Objects named in the log, for each stream and reason; the others are only counted."""


class Skipped:
    """Objects left out because something is wrong with them alone: named once at WARN, counted by reason.

    Each of its log messages has the field `skipped` beside its English: `stream`; the reason as `meaning`, `remedy` and
    `link`, of which the last two may be empty; and `count`, the objects of the stream left out for this reason so far.
    The last message of a stream and reason has the final count. The main command reads this field.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, Help], DigestMap] = defaultdict(DigestMap)

    def add(self, stream: str, identifier: str, reason: Help, response: GraphResponse | str) -> None:
        """Count the object, and name it unless it was named or many of its kind were."""
        with self._lock:
            objects = self._objects[stream, reason]
            is_new = objects.put(digest_of(identifier))
            count = len(objects)
        if is_new and count <= NAMED_OBJECTS:
            more = "" if count < NAMED_OBJECTS else " Further ones are only counted."
            text = f"{stream}: skipped {identifier}. {reason.meaning} {response}{more}"
            self._warn(text, stream, reason, count)

    def counts(self) -> dict[tuple[str, str], int]:
        """Objects skipped by stream and reason."""
        return {(stream, str(reason)): count for (stream, reason), count in self._counts().items()}

    def summarise(self) -> None:
        """Warn of each stream and reason once, with the number of objects."""
        for (stream, reason), count in sorted(self._counts().items(), key=lambda item: (item[0][0], str(item[0][1]))):
            self._warn(f"{stream}: {count} skipped in all. {reason}", stream, reason, count)

    def _counts(self) -> dict[tuple[str, Help], int]:
        with self._lock:
            return {key: len(objects) for key, objects in self._objects.items()}

    def _warn(self, text: str, stream: str, reason: Help, count: int) -> None:
        told = {"meaning": reason.meaning, "remedy": reason.remedy, "link": reason.link}
        self._logger.warning(text, extra=with_fields(skipped={"stream": stream, **told, "count": count}))
