"""Objects that Graph sends by themselves and not in a list."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.listing import Listing

_NO_OBJECT = {"value", "error", "odata.error"}
"""What only a page or an error has."""


class SingleObjectStream(GraphStream, ABC):
    """An object of which the tenant has one, at a path of its own: it is the only row.

    An object that comes without an id gets the last word of its path for one.
    """

    page_size = None

    def page_request(self, listing: Listing) -> PageRequest:
        return replace(super().page_request(listing), as_page=self._as_page)

    def _as_page(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A page with the object. What is a page already, an error or nothing but annotations is no object."""
        if body.keys() & _NO_OBJECT or all("@" in name for name in body):
            return body
        annotations = {name: value for name, value in body.items() if name.startswith("@odata.")}
        identifier = body.get("id") or self.path_template.rpartition("/")[2]
        return {**annotations, "value": [{**body, "id": identifier}]}
