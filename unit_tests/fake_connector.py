"""A connector of no source: it offers and prints what its configuration says, and notes what it was given.

The configuration holds `streams` for `discover` and, for `read`, `lines` and an `exit_code`; the catalog and the state
of a read are written to the file `given`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(verb: str, *options: str) -> int:
    files = dict(zip(options[::2], map(Path, options[1::2]), strict=True))
    config = json.loads(files["--config"].read_text())
    if verb == "discover":
        print(json.dumps({"type": "CATALOG", "catalog": {"streams": config["streams"]}}))
        return 0
    given = {option: json.loads(file.read_text()) for option, file in files.items() if option != "--config"}
    Path(config["given"]).write_text(json.dumps(given))
    for line in config["lines"]:
        print(line if isinstance(line, str) else json.dumps(line, separators=(",", ":")), flush=True)
    return int(config["exit_code"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
