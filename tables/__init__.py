"""The main command, `python3 dev.py run`: runs the connector and loads its records into tables of a DuckDB file."""
