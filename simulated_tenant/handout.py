"""The files by which other programs find a running tenant: Airbyte's acceptance suites, PyAirbyte, containers.

with claimed(folder), serve(tenant, folder=folder) as server:
    write(server, folder, catalog)
    ...  # config.json there is a configuration of the connector for this tenant, and nobody else uses the folder
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from .server import Server
from .shapes import Entity

FILES = {
    "config.json": "a configuration that works",
    "wrong_secret.json": "one whose client secret is wrong",
    "catalog.json": "every stream but the expensive ones, incremental where it can be",
    "expected_records.jsonl": "the primary keys of what each stream holds, up to a hundred",
    "env.sh": "the environment variables that the connector needs",
    "Dockerfile": "the connector's image, trusting this tenant",
    "ca.pem": "the authority that signed the tenant's certificate",
    "server.pem": "that certificate",
}
"""What each file is."""

_LOCK = "lock"
_MOST = 100
"""Keys of each stream. They are made one by one, and a stream may have millions."""

_DOCKERFILE = """\
ARG IMAGE=airbyte/source-microsoft-graph:dev
FROM ${IMAGE}
COPY ca.pem /simulated_tenant/ca.pem
ENV REQUESTS_CA_BUNDLE=/simulated_tenant/ca.pem
"""


class Unclaimable(Exception):
    """Somebody else uses the folder; says who, and what to do."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Have a folder to oneself, made if it is missing. The files of a tenant are gone afterwards, and the folder if it
    is empty then. Raises `Unclaimable`."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder)
    try:
        yield
    finally:
        for name in (*FILES, _LOCK):
            (folder / name).unlink(missing_ok=True)
        for each in dict.fromkeys((folder, *made)):
            with suppress(OSError):  # Something else is in it.
                each.rmdir()
        os.close(lock)


def _locked(folder: Path) -> int:
    """The descriptor of the folder's lock, which ends with this process, however that ends."""
    file = folder / _LOCK
    strangers = () if file.exists() else [name for name in FILES if (folder / name).exists()]
    if strangers:
        raise Unclaimable(f"{folder} holds a {strangers[0]} that is no simulated tenant's. Choose another folder.")
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = os.read(lock, 20).decode() or "another"
            os.close(lock)
            raise Unclaimable(
                f"A simulated tenant runs already and has its files in {folder}: process {process}. "
                "Use that one, end it, or choose another folder."
            ) from None
        # The process that had it may have removed it between the two calls.
        with suppress(FileNotFoundError):
            if os.fstat(lock).st_ino == file.stat().st_ino:
                break
        os.close(lock)
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def write(server: Server, folder: Path, catalog: Path) -> None:
    """Write what FILES lists, but for the certificates, which the server writes. `catalog` is the one to copy."""
    config = server.config()
    for name, content in (("config.json", config), ("wrong_secret.json", with_wrong_secret(config))):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    shutil.copyfile(catalog, folder / "catalog.json")
    with (folder / "expected_records.jsonl").open("w") as lines:
        lines.writelines(f"{line}\n" for line in expected_records(server))
    (folder / "env.sh").write_text("".join(f"{line}\n" for line in exports(server)))
    (folder / "Dockerfile").write_text(_DOCKERFILE)


def with_wrong_secret(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with another client secret; in the nested form, for a change."""
    credentials = {"auth_type": "client_secret", "client_id": config["client_id"], "client_secret": "not~This~Secret"}
    return {"tenant_id": config["tenant_id"], "credentials": credentials, "cloud": config["cloud"]}


def expected_records(server: Server) -> Iterator[str]:
    """Lines in the form of Airbyte's `expected_records`, which compares a stream with a primary key by that alone.

    The rows of usage reports have a date in their keys, so a file in the repository would be wrong the next day.
    """
    for stream, collections in server.tenant.catalogue.streams.items():
        is_of_two = any(collection.expand for collection in collections)
        for key, entity in islice(server.tenant.expected(stream, immutable=True), _MOST):
            data = _key_of_two(entity) if is_of_two else key
            yield json.dumps({"stream": stream, "data": data, "emitted_at": 0})


def _key_of_two(entity: Entity) -> dict[str, str]:
    """The key of a row about an object and what its list expands, which has no id of its own but, say, a userId."""
    owner = next(name for name, value in entity.items() if name != "id" and value == entity["id"])
    return {f"{owner.removesuffix('Id')}_id": entity["id"]}


def exports(server: Server) -> Iterator[str]:
    """The environment that the connector needs, as lines of a shell."""
    yield f"export REQUESTS_CA_BUNDLE={shlex.quote(str(Path(server.ca_bundle).resolve()))}"
