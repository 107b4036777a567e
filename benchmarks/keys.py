"""Compare the records of two outputs by stream, id and parent: `python -m benchmarks.keys EXPECTED FOUND`.

A process of its own, for it needs more memory than the one that measures may have.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import orjson

from benchmarks.measure import records

PARENTS = ("user_id", "group_id")


def keys(output: Path) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for line in records(output):
        record = orjson.loads(line)["record"]
        found[record["stream"], *(record["data"].get(name, "") for name in ("id", *PARENTS))] += 1
    return found


def main() -> None:
    expected, found = (keys(Path(output)) for output in sys.argv[1:])
    lacking, spare = set(expected) - set(found), found - Counter(set(expected))
    if lacking or spare:
        examples = [*lacking][:3], [*spare][:3]
        sys.exit(f"{len(lacking)} records are lacking: {examples[0]}\n{spare.total()} are too many: {examples[1]}")


if __name__ == "__main__":
    main()
