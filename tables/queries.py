"""SQL queries of the tables: `python3 dev.py sql "select ..."` runs one, and a run suggests some."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb

from tables.values import quoted

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "output"
_SUGGESTED = 3
_SHOWN_ROWS = 1000
_SHOWN_JSON = 300
"""Characters of a JSON value that are shown. The text of it, `members::text`, is shown whole."""

# Suggested queries, each with the tables that it reads.
_QUERIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("users",), "select user_type, account_enabled, count(*) as users from users group by all"),
    (
        ("groups", "group_member"),
        "select g.display_name, count(*) from groups g join group_member m on m.group_id = g.id "
        "group by 1 order by 2 desc",
    ),
    (
        ("mail_messages",),
        "select received_date_time::date as day, count(*) as mails from mail_messages group by day order by day",
    ),
)
_ANY_TABLE = ("select * from {table} limit 5", "summarize {table}", "describe {table}")


def suggestions(file: Path, tables: Sequence[str]) -> list[str]:
    """At most three commands to paste into a shell, each with a query of the given tables."""
    queries = [query for needed, query in _QUERIES if set(needed) <= set(tables)]
    queries += [query.format(table=table) for table in tables[:1] for query in _ANY_TABLE]
    where = "" if file == latest() else f"--database {shlex.quote(os.path.relpath(file))} "
    return [f'python3 dev.py sql {where}"{query}"' for query in queries[:_SUGGESTED]]


def latest() -> Path | None:
    """The DuckDB file in `output` that was written last; None if there is none."""
    return max(OUTPUT.glob("*.duckdb"), key=lambda file: file.stat().st_mtime, default=None)


def _with_short_json(found: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The relation with its JSON as text of at most `_SHOWN_JSON` characters.

    DuckDB prints JSON with a line for each member: hundreds of lines for a long list.
    """
    names = [quoted(name) for name, kind in zip(found.columns, found.types, strict=True) if str(kind) == "JSON"]
    # Columns of the same name cannot be replaced by name.
    if not names or len(set(found.columns)) < len(found.columns):
        return found
    text = "if(length({0}::VARCHAR) > {1}, left({0}::VARCHAR, {1} - 3) || '...', {0}::VARCHAR) as {0}"
    return found.project(f"* replace ({', '.join(text.format(name, _SHOWN_JSON) for name in names)})")


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py sql", description="Run a query of the tables of the last run.")
    parser.add_argument("query", nargs="?", help="SQL for DuckDB (default: what standard input holds)")
    parser.add_argument("--database", type=Path, help="the DuckDB file (default: the last written in output)")
    arguments = parser.parse_args()
    file = arguments.database or latest()
    if file is None or not file.is_file():
        sys.exit(f"There is no {file or 'DuckDB file'} yet. This command makes one: python3 dev.py run")
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            # The tables' times are in UTC. In another time zone, a comparison with now() would be off by hours.
            connection.execute("set TimeZone = 'UTC'")
            found = connection.sql(arguments.query or sys.stdin.read())
            if found is not None:
                _with_short_json(found).show(max_width=shutil.get_terminal_size((120, 0)).columns, max_rows=_SHOWN_ROWS)
    except duckdb.Error as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
