"""The README's picture of the terminal, drawn from a real run: `python3 dev.py generate` draws it anew."""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from integration_tests.runner import ROOT
from simulated_tenant import Tenant, serve
from tables.connector import Connector
from tables.display import Display
from tables.queries import OUTPUT
from tables.replicate import replicate

FILE = ROOT / "docs" / "terminal.svg"
STREAMS = ("users", "groups", "group_member", "team_member", "mail_messages", "drives")
_COLUMNS = 138


def draw() -> str:
    """The closing table of a run as SVG, with the fonts of whoever looks at it."""
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS, highlight=False, force_terminal=False)
    with tempfile.TemporaryDirectory() as name, serve(Tenant()) as server:
        config = Path(name) / "config.json"
        config.write_text(json.dumps(server.config()))
        connector = Connector(config, {**os.environ, "REQUESTS_CA_BUNDLE": server.ca_bundle})
        console.print(f"$ python3 dev.py run --streams {','.join(STREAMS)}", style="bold")
        replicate(
            connector,
            OUTPUT / "simulated_tenant.duckdb",
            STREAMS,
            incremental=False,
            display=Display(console, wraps=True),
        )
    svg = console.export_svg(title="source-microsoft-graph", theme=DEFAULT_TERMINAL_THEME, unique_id="terminal")
    return re.sub(r"\s*@font-face {.*?}", "", svg, flags=re.DOTALL).replace("Fira Code, ", "")


def counts(svg: str) -> dict[str, str]:
    """Records of each stream, as the picture has them."""
    texts = [text.replace("&#160;", " ").strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]
    return {text: following for text, following in pairwise(texts) if text in STREAMS}


def current() -> str:
    """What the file ought to hold. Times differ from run to run, so the picture stays while its records are right."""
    tenant = Tenant()
    held = {name: f"{len(list(tenant.expected(name))):,}" for name in STREAMS}
    drawn = FILE.read_text(encoding="utf-8") if FILE.is_file() else ""
    return drawn if counts(drawn) == held else draw()
