"""How far a reader has come in a collection, as page and delta tokens say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# How the reader came to the position, and what the page there may be.
START, REST, HOLE, CHANGES, LATEST, SINCE, SPOILED = "start", "rest", "hole", "changes", "latest", "since", "spoiled"


@dataclass(frozen=True)
class Position:
    """So many entities into a collection, or an index in the order of its changes.

    In a round of changes it also says at which change the round began, and whether it is the first round, which reports
    everything.
    """

    at: int = 0
    stage: str = START
    page: int = 0
    since: int = 0
    whole: bool = True
    issued: float = 0.0
    generation: int = 0
    query: Mapping[str, str] = field(default_factory=dict)
