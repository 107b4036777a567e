"""A patient reader of the simulated tenant, for the tests of that tenant."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from simulated_tenant import Reply, Request, Tenant, additions, graph_types, report_columns
from simulated_tenant.catalogue import CATALOGUE
from simulated_tenant.collection import Collection, Report

ROOT = "https://graph.microsoft.com/v1.0"
TEAMS = quote("resourceProvisioningOptions/Any(x:x eq 'Team')")

Entity = dict[str, Any]


class Reader:
    """A client that follows nextLinks, skips what it's refused, and finds each stream by the tenant's catalogue."""

    def __init__(self, tenant: Tenant, *grants: str) -> None:
        self.tenant = tenant
        self.token = tenant.token(*grants)

    def get(self, path: str, **headers: str) -> Reply:
        url = path if path.startswith("https:") else ROOT + path
        return self.tenant.respond(Request.to(url, self.token, headers=headers))

    def pages(self, path: str, **headers: str) -> Iterator[Entity]:
        reply = self.get(path, **headers)
        while reply.status == 200:
            yield reply.json
            if "@odata.nextLink" not in reply.json:
                return
            reply = self.get(reply.json["@odata.nextLink"], **headers)

    def items(self, path: str, **headers: str) -> list[Entity]:
        return [item for page in self.pages(path, **headers) for item in page["value"]]

    def round(self, path: str, **headers: str) -> tuple[list[Entity], str]:
        """The items of a round of changes, and the link to the next round."""
        pages = list(self.pages(path, **headers))
        return [item for page in pages for item in page["value"]], pages[-1]["@odata.deltaLink"]

    def folders(self, path: str) -> list[str]:
        """Contact folders at every depth."""
        children = [folder["id"] for folder in self.items(path)]
        root = path.split("/contactFolders")[0]
        return children + [
            deeper for child in children for deeper in self.folders(f"{root}/contactFolders/{child}/childFolders")
        ]

    def stream(self, name: str) -> list[Entity]:
        """Everything in the collections of a stream, with the ids of their owners."""
        catalogue = self.tenant.catalogue
        return [
            item
            for collection in catalogue.streams[name]
            for owners in catalogue.owners(collection, self._ids)
            if collection.holds(self.tenant, self._numbers(collection, owners))
            for item in self._inside(collection, owners)
        ]

    def _ids(self, parent: Collection, owners: Mapping[str, str]) -> Iterable[str]:
        return {item["id"] for item in self.items(address(parent, owners))}

    def _numbers(self, collection: Collection, owners: Mapping[str, str]) -> Mapping[str, Any]:
        """The objects of these ids."""
        found: dict[str, Any] = {}
        for name in collection.placeholders:
            found[name] = self.tenant.catalogue.finders[name](self.tenant, found, owners[name])
        return found

    def _inside(self, collection: Collection, owners: Mapping[str, str]) -> Iterator[Entity]:
        if isinstance(collection, Report):
            yield from self._rows(collection)
            return
        columns = {column: owners[name] for name, column in collection.key_columns.items()}
        options = []
        if (
            collection.workload.name == "directory"
            and not (collection.kinds or collection.expand)
            and "$select" in collection.options
        ):
            options.append(f"$select={listable(collection.type)}")
        if collection.expand:
            options.append(f"$expand={quote(collection.expand)}")
        options += [f"{name}={quote(value)}" for name, value in collection.parameters(self.tenant).items()]
        if collection.filter:
            options.append(f"$filter={quote(collection.filter)}")
        headers = {"ConsistencyLevel": "eventual"} if collection.whole else {}
        options += filter(None, [collection.whole])
        path = "?".join([address(collection, owners), *filter(None, ["&".join(options)])])
        for item in self._items_of(collection, path, headers):
            if collection.expand:
                name, _, _ = collection.expand.partition("(")
                if name in item:
                    yield {"id": item["id"], f"{name}Id": item[name]["id"], f"{name}Type": item[name]["@odata.type"]}
            elif not collection.inverse:
                yield item | columns | collection.within(item)
            elif item["@odata.type"] == f"#microsoft.graph.{collection.inverse}":
                (member,) = collection.placeholders
                key = {"id": owners[member], f"{collection.inverse}_id": item["id"]}
                yield {"@odata.type": f"#microsoft.graph.{member}", **key}

    def _items_of(self, collection: Collection, path: str, headers: Mapping[str, str]) -> Iterator[Entity]:
        """The items at the path of a collection, each with an id."""
        items = self.items(path, **headers) if not collection.alone else [self.get(path, **headers).json]
        for item in items:
            identifier = item.get(collection.known_by) or collection.path.rpartition("/")[2]
            yield item if "id" in item else {"id": identifier, **item}

    def _rows(self, report: Report) -> Iterator[Entity]:
        """The rows of a usage report's files: of the last days, or of the longest period."""
        days = [str((self.tenant.today - timedelta(days=number)).date()) for number in range(28)]
        for arguments in [f"date={day}" for day in days] if report.by_day else ["period='D180'"]:
            location = self.get(f"{report.path}({arguments})").headers["Location"]
            file = self.tenant.respond(Request.to(location)).body.decode("utf-8-sig")
            headers = {header: name for name, header in report_columns.headers(report.type).items()}
            kinds = graph_types.properties(report.type)
            for line in csv.DictReader(io.StringIO(file, newline="")):
                row = {headers[header]: typed(str(kinds[headers[header]]), text) for header, text in line.items()}
                day = row["reportRefreshDate"]
                yield row | {
                    "reportDate": day,
                    "id": " ".join([day, *(row[name] or "" for name in report.identified_by)]),
                }


def typed(kind: str, text: str) -> Any:
    """A text of a file as a value of that type."""
    if not text:
        return None
    return {"Int64": int, "Boolean": ("True", "Yes").__contains__}.get(kind, str)(text)  # type: ignore[operator]


def address(collection: Collection, owners: Mapping[str, str]) -> str:
    """The collection's path with these ids."""
    return collection.path.format_map({name: quote(text) for name, text in owners.items()})


def listable(kind: str) -> str:
    """The properties of a type that a list can show."""
    refused = {"signInActivity", *CATALOGUE.selection(kind).refused}
    marked = dict.fromkeys(additions.SELECT.get(kind, ()), "")
    names = {**marked, **graph_types.properties(kind), **additions.undeclared(kind, kind)}
    return ",".join(name for name, form in names.items() if form != "Stream" and name not in refused)


def user(tenant: Tenant, number: int = 0) -> str:
    return tenant.directory.ids["user"][number]


def refusal(reply: Reply) -> tuple[int, str]:
    """The status and code of a refusal."""
    return reply.status, reply.json["error"]["code"]


def assert_reads_what_is_expected(reader: Reader, stream: str) -> dict[tuple[str, ...], Entity]:
    """What is expected of a stream, once it is sure that the reader finds exactly that."""
    contents = list(reader.tenant.expected(stream))
    expected = {tuple(keys.values()): entity for keys, entity in contents}
    names = list(contents[0][0])
    found = {tuple(item[name] for name in names): item for item in reader.stream(stream)}
    assert expected.keys() == found.keys()
    for key, item in found.items():
        shown = {name: value for name, value in item.items() if name in expected[key] and name not in names[1:]}
        assert shown == {name: expected[key][name] for name in shown}
    return expected
