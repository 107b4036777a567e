"""Which application permissions a stream takes, and which of them are missing.

https://learn.microsoft.com/graph/permissions-reference
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from source_microsoft_graph.streams.protocol import ListedStream


def is_permitted(stream: ListedStream) -> bool:
    """Whether the token tells of a permission that suffices."""
    return not (stream.sync.auth.roles or frozenset()).isdisjoint(stream.permissions)


def lacking(stream: ListedStream, roles: frozenset[str]) -> dict[str, set[str]]:
    """The permissions to grant before the stream can be read, its parents' included, each with those that would do
    instead of it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    if roles.isdisjoint(stream.permissions):
        found[stream.permissions[0]].add(stream.least_permission or stream.permissions[0])
    for parent in stream.parents():
        for permission, least in lacking(parent, roles).items():
            found[permission] |= least
    return dict(sorted(found.items()))


def left_out(stream: ListedStream, roles: frozenset[str] | None) -> dict[str, str]:
    """The records that these permissions do not reach, each with a permission to grant. Where the token does not tell
    which they are (None), every record is requested of Graph."""
    if roles is None:
        return {}
    needed = stream.more_permissions.items()
    return {records: permissions[0] for records, permissions in needed if roles.isdisjoint(permissions)}


def in_words(stream: ListedStream) -> str:
    """The permission to grant, and the least that would do instead."""
    return either(stream.permissions[0], (stream.least_permission or stream.permissions[0],))


def either(permission: str, least: Iterable[str]) -> str:
    """A permission, and those that would do instead of it if all of them are granted."""
    others = " and ".join(sorted(set(least) - {permission}))
    return f"{permission} (at least {others})" if others else permission
