"""The two commands behind `python3 dev.py generate` and `python3 dev.py schema`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection

from generators import schemas
from generators.registry import GENERATORS, ROOT, generate
from simulated_tenant import graph_types


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    everything = commands.add_parser("generate", help="write the generated files that are out of date")
    names = [generator.name for generator in GENERATORS]
    everything.add_argument("names", nargs="*", metavar="NAME", help=f"which, if not all: {', '.join(names)}")
    one_schema = commands.add_parser("schema", help="write the schema of a stream from Microsoft's published types")
    one_schema.add_argument("stream", metavar="STREAM", help="the stream's name")
    one_schema.add_argument("type", metavar="TYPE", help="the type of the objects that it lists: user, security.alert")
    one_schema.add_argument("--parents", metavar="COLUMN,...", help="for a stream that is not on the roll yet")
    given = parser.parse_args(arguments)
    if given.command == "schema":
        parents = given.parents.split(",") if given.parents else None
        return write_schema(given.stream, graph_types.short_name(given.type), parents)
    if unknown := set(given.names) - set(names):
        parser.error(f"there is no generator {', '.join(sorted(unknown))}")
    chosen = tuple(one for one in GENERATORS if not given.names or one.name in given.names)
    for file in generate(chosen):
        print(f"Wrote {file.relative_to(ROOT)}")
    return 0


def write_schema(stream: str, type_name: str, parents: Collection[str] | None) -> int:
    """Write a stream's schema and tell each column that it changes; tell why where it cannot be made."""
    try:
        schema = schemas.schema(type_name, _parents(stream, type_name, parents))
    except (graph_types.UnknownType, schemas.NoSchema, Disagreement) as error:
        print(error, file=sys.stderr)
        return 1
    file = schemas.file_of(stream)
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    file.write_text(schemas.text(schema), encoding="utf-8")
    print(f"Wrote {file.name}: {len(schema['properties'])} columns")
    if before is not None:
        for line in schemas.differences(before, schema):
            print(f"  {line}")
    for kind, count in schemas.without_derived(type_name).items():
        print(f"  {kind} has derived types ({count}); name those that Graph sends in DERIVED, {schemas.ADDITIONS}.")
    return 0


class Disagreement(ValueError):
    """The command line contradicts what the code declares about the stream."""


def _parents(stream: str, type_name: str, parents: Collection[str] | None) -> Collection[str]:
    """The columns for the parents' ids: those of the stream's declarations, of the command line for a new stream."""
    known_type = schemas.type_of(stream)
    if known_type not in (None, type_name):
        raise Disagreement(f"The simulated tenant lists {stream} as {known_type}, not as {type_name}.")
    declared = schemas.parents_of(stream)
    if declared is None:
        return parents or ()
    if parents is not None and tuple(parents) != declared:
        raise Disagreement(f"The path of {stream} names the parents {','.join(declared) or 'none'}.")
    return declared


if __name__ == "__main__":
    sys.exit(main())
