"""A tenant in DuckDB or PostgreSQL, from Python, with PyAirbyte. In a virtual environment of its own:

pip install airbyte==0.71.3
python examples/pyairbyte.py --config secrets/config.json --connector .venv/bin/source-microsoft-graph
python examples/pyairbyte.py ... --postgres postgresql://user:password@localhost:5432/database
"""

import argparse
import json
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Both are read when PyAirbyte is imported: no usage reports, and no look-up of the connector in Airbyte's registry.
os.environ |= {"DO_NOT_TRACK": "1", "AIRBYTE_OFFLINE_MODE": "1"}

import airbyte
from airbyte.caches import CacheBase, DuckDBCache, PostgresCache


def main() -> None:
    parser = argparse.ArgumentParser(description="Read a tenant with PyAirbyte.")
    parser.add_argument("--config", type=Path, required=True, help="the connector's configuration, a JSON file")
    parser.add_argument("--connector", default="source-microsoft-graph", help="the console script")
    parser.add_argument("--streams", default="*", help="names with commas (default: all)")
    parser.add_argument("--postgres", help="where to, as postgresql://user:password@host:port/database")
    parser.add_argument("--duckdb", default="tenant.duckdb", help="where to, if not into PostgreSQL")
    arguments = parser.parse_args()

    source = airbyte.get_source(
        "source-microsoft-graph",
        config=json.loads(arguments.config.read_text()),
        local_executable=Path(arguments.connector),
    )
    source.check()
    source.select_streams(arguments.streams if arguments.streams == "*" else arguments.streams.split(","))
    cache = postgres(arguments.postgres) if arguments.postgres else DuckDBCache(db_path=arguments.duckdb)
    result = source.read(cache=cache)
    for name, dataset in result.streams.items():
        print(f"{name}: {len(dataset):,} rows")


def postgres(address: str) -> CacheBase:
    parts = urlsplit(address)
    return PostgresCache(
        host=parts.hostname or "localhost",
        port=parts.port or 5432,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path.strip("/"),
        schema_name="microsoft_graph",
    )


if __name__ == "__main__":
    main()
