"""What a preflight found, in words: a paragraph for Airbyte's form, a table for a terminal."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from source_microsoft_graph.config import Config
from source_microsoft_graph.errors import Lack
from source_microsoft_graph.preflight import Verdict

_GREEN, _RED, _BOLD, _DIM = "32", "31", "1", "2"


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

    def table(self, width: int, colours: bool) -> str:
        """All of it for a terminal: a line a stream, then what to do."""

        def paint(colour: str, text: str) -> str:
            return f"\033[{colour}m{text}\033[0m" if colours and text else text

        def wrapped(text: str, indent: int) -> list[str]:
            return textwrap.wrap(text, max(width - indent, 24), break_long_words=False, break_on_hyphens=False)

        name_width = max(len(verdict.stream) for verdict in self.verdicts)
        word_width = max(len(verdict.word) for verdict in self.verdicts)
        indent = name_width + word_width + 8
        lines = [paint(_BOLD, f"What {self.config.credentials.name} can read of {self.config.cloud.graph_host}"), ""]
        for verdict in self.verdicts:
            mark, colour = ("✗", _RED) if verdict.lack else ("✓", _GREEN)
            first, *rest = wrapped(verdict.detail, indent) or [""]
            word = paint(colour, verdict.word.ljust(word_width))
            line = f"  {paint(colour, mark)} {verdict.stream:<{name_width}}  {word}  {paint(_DIM, first)}"
            lines += [line.rstrip(), *(" " * indent + paint(_DIM, text) for text in rest)]
        lines += ["", paint(_BOLD, self._count())]
        for head, texts in self._findings(of_streams=False):
            lines += ["", head]
            for text in texts:
                first, *rest = wrapped(text, 4)
                lines += [f"  • {first}", *(f"    {line}" for line in rest)]
        return "\n".join(lines)

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
