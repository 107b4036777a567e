"""What a preflight found, in words: a paragraph for Airbyte's form, a table for a terminal."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING

from source_microsoft_graph.check.preflight import Verdict
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.errors import Lack
from source_microsoft_graph.redaction import told

if TYPE_CHECKING:  # Only a check on a terminal needs rich, and each import makes every command start later.
    from rich.console import Console
    from rich.table import Table

_DETAIL_WIDTH = 30
"""Characters that a line must have for details beside a stream's name and verdict: 24, a mark and the gaps."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a preflight found, in words. `granted` are the permissions that the token tells of."""

    verdicts: Sequence[Verdict]
    granted: frozenset[str]
    config: Config

    def readable(self) -> int:
        return sum(verdict.lack is None for verdict in self.verdicts)

    def summary(self) -> str:
        """All of it in one paragraph, for a form."""
        findings = (" ".join((f"{head}:", *texts)) for head, texts in self._findings(of_streams=True))
        return " ".join((self._count(), *findings))

    def show(self, console: Console) -> None:
        """All of it on a terminal: a line a stream, then what to do."""
        from rich.text import Text

        console.print(
            Text(told(f"What {self.config.credentials.name} can read of {self.config.cloud.graph_host}"), "bold")
        )
        console.print()
        console.print(self._table(console.width))
        console.print()
        console.print(Text(self._count(), "bold"))
        for head, texts in self._findings(of_streams=False):
            console.print()
            console.print(Text(head))
            for text in texts:
                for mark, line in zip(chain("•", repeat(" ")), wrapped(text, console.width - 4), strict=False):
                    console.print(Text(told(f"  {mark} {line}")), soft_wrap=True)

    def _table(self, width: int) -> Table:
        """A row a stream; on a narrow terminal its details stand in a second row, below it."""
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        names = max(len(verdict.stream) for verdict in self.verdicts)
        words = max(len(verdict.word) for verdict in self.verdicts)
        is_wide = width >= names + words + _DETAIL_WIDTH
        table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        for no_wrap in (True, True, False) if is_wide else (False,):
            table.add_column(no_wrap=no_wrap, overflow="fold")
        for verdict in self.verdicts:
            mark, colour = ("✗", "red") if verdict.lack else ("✓", "green")
            name = Text.assemble((mark, colour), f" {verdict.stream}")
            word, detail = Text(verdict.word, colour), Text(told(verdict.detail), "dim")
            if is_wide:
                table.add_row(name, word, detail)
            else:
                table.add_row(Text("  ").join([name, word]))
                table.add_row(Padding(detail, (0, 0, 0, 2)))
        return table

    def _findings(self, *, of_streams: bool) -> Iterator[tuple[str, list[str]]]:
        """What is lacking and what to do about it; `of_streams` repeats which permissions each stream lacks."""
        lacking: defaultdict[Lack, defaultdict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
        for verdict in self.verdicts:
            if verdict.lack:
                lacking[verdict.lack][verdict.detail, verdict.remedy].append(verdict.stream)
        for lack in (lack for lack in Lack if lack in lacking):
            texts = [
                _sentence(f"{', '.join(streams)}: {detail} {remedy}")
                for (detail, remedy), streams in lacking[lack].items()
                if of_streams or lack is not Lack.PERMISSION
            ]
            if lack is Lack.PERMISSION:
                wanted = dict.fromkeys(permission for verdict in self.verdicts for permission in verdict.permissions)
                granted = ", ".join(sorted(self.granted)) or "nothing that the token tells of"
                texts += [self.config.credentials.grant(*wanted), f"Granted so far: {granted}."]
            yield lack.value.capitalize(), texts

    def _count(self) -> str:
        readable, streams = self.readable(), len(self.verdicts)
        if not readable:
            return "No stream can be read."
        return f"{'All' if readable == streams else f'{readable} of'} {streams} streams can be read."


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith(".") or (text.endswith(")") and "(https:" in text) else f"{text}."


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most so many characters. A longer word stays whole: rich would break a link, and then
    nobody could click it."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
