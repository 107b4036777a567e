"""The questions in SQL under `examples`: what each file says of itself in the comment at its top.

The first line is the question, the next ones say what a row of the answer is, and those from `Not seen:` on what the
answer leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
_HEAD = re.compile(
    r"-- (?P<asked>[^\n]+\?)\n(?P<answer>(?:-- [^\n]+\n)+?)-- Not seen: (?P<unseen>(?:[^\n]+\n-- )*[^\n]+)\n"
)


@dataclass(frozen=True, slots=True)
class Question:
    """`answer` says what a row is, `unseen` what the answer leaves out, `streams` names the tables that it needs."""

    file: Path
    asked: str
    answer: str
    unseen: str
    streams: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.file.stem


def questions() -> Iterator[Question]:
    """Those there are, in the order of their names. Raises `ValueError` for a file whose head is none."""
    with duckdb.connect() as parser:
        for file in sorted(EXAMPLES.glob("*.sql")):
            text = file.read_text(encoding="utf-8")
            head = _HEAD.match(text)
            if head is None:
                raise ValueError(f"{file.name} does not begin with a question, what a row is, and what is not seen.")
            answer, unseen = (_one_line(head[part]) for part in ("answer", "unseen"))
            yield Question(file, head["asked"], answer, unseen, tuple(sorted(parser.get_table_names(text))))


def _one_line(comment: str) -> str:
    return " ".join(line.removeprefix("-- ") for line in comment.strip().split("\n"))
