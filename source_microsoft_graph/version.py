"""The connector's version, as pyproject.toml has it."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("source-microsoft-graph")
