"""The one list of what is left out of a sync because something is wrong with one object."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict

from source_microsoft_graph.graph.catalogue import ErrorRule
from source_microsoft_graph.graph.response import GraphResponse

NAMED_OBJECTS = 20
"""Objects named in the log, for each stream and reason; the others are only counted."""


class Skipped:
    """Objects left out because something is wrong with them alone: named once at WARN, counted by reason."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], set[str]] = defaultdict(set)

    def add(self, stream: str, identifier: str, rule: ErrorRule, response: GraphResponse) -> None:
        """Count the object, and name it unless it was named or many of its kind were."""
        with self._lock:
            objects = self._objects[stream, str(rule.help)]
            is_new = identifier not in objects
            objects.add(identifier)
            count = len(objects)
        if is_new and count <= NAMED_OBJECTS:
            more = "" if count < NAMED_OBJECTS else " Further ones are only counted."
            self._logger.warning(f"{stream}: skipped {identifier}. {rule.help.meaning} {response}{more}")

    def counts(self) -> dict[tuple[str, str], int]:
        """Objects skipped by stream and reason."""
        with self._lock:
            return {reason: len(objects) for reason, objects in self._objects.items()}

    def summarise(self) -> None:
        for (stream, reason), count in sorted(self.counts().items()):
            self._logger.warning(f"{stream}: {count} skipped in all. {reason}")
