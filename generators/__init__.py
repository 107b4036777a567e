"""What is written by a program and kept in the repository, and the programs that write it.

`python3 dev.py generate` writes all of it, `python3 dev.py schema STREAM TYPE` the schema of a stream.
"""
