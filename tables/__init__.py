"""A tenant as tables: the connector's own output, read into a DuckDB file. `python3 dev.py run` starts it."""
