"""Users, and which of them the configuration selects."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import requests

from source_microsoft_graph.errors import StreamRefused
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.graph.request import PageRequest
from source_microsoft_graph.streams.delta import DeltaStream
from source_microsoft_graph.streams.listing import Listing
from source_microsoft_graph.streams.records import camel_case
from source_microsoft_graph.streams.slices import Slice
from source_microsoft_graph.sync.context import Owner
from source_microsoft_graph.sync.cursors import SliceProgress, digest

_NAMED_AT_ONCE = 10
"""Users requested by name in one listing: with them and $select the URL stays below 2,048 characters."""

_INCLUDED = "include_users"
"""The key under which a sync keeps the names of `include_users` that the tenant has."""

_SIGN_IN_ACTIVITY = "signInActivity"


class UserList(DeltaStream, ABC):
    """Every user in a list, with the properties that the configuration asks for: https://learn.microsoft.com/graph/api/resources/user"""

    service = Service.DIRECTORY
    selects = True
    extension_target: ClassVar[str | None] = "User"

    # Some properties take rights of their own: https://learn.microsoft.com/graph/api/resources/user#properties
    def leaves_out(self, name: str, column: Mapping[str, Any]) -> bool:
        return camel_case(name) in self.sync.config.unwanted_user_properties

    # Lists of users with their last sign-ins have a limit of their own:
    # https://learn.microsoft.com/graph/throttling-limits#identity-and-access-reports-service-limits
    def page_request(self, listing: Listing) -> PageRequest:
        request = super().page_request(listing)
        return replace(request, service=Service.SIGN_IN_ACTIVITY) if _SIGN_IN_ACTIVITY in listing.select else request


class Users(UserList):
    """One row per user, guests included: https://learn.microsoft.com/graph/api/user-list"""

    path_template = "users"
    permissions: ClassVar[tuple[str, ...]] = (
        "User.Read.All",
        "User.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
        "User.ReadBasic.All",
    )
    never_empty = True

    # The configuration says which users are read. Graph takes the filter, and up to fifteen values in one `in`:
    # https://learn.microsoft.com/graph/api/user-list#optional-query-parameters
    def queries(self) -> Iterable[Mapping[str, str]]:
        config = self.sync.config
        # With $count=true and the header below Graph takes every operator it has for users:
        # https://learn.microsoft.com/graph/aad-advanced-queries
        options, clauses = dict(self.query), []
        if config.user_filter:
            options, clauses = {**options, "$count": "true"}, [f"({config.user_filter})"]
        for clause in _inclusions(config.include_users) if config.include_users else [""]:
            expression = " and ".join(filter(None, (*clauses, clause)))
            yield {**options, "$filter": expression} if expression else options

    @property
    def headers(self) -> Mapping[str, str]:
        return {"ConsistencyLevel": "eventual"} if self.sync.config.user_filter else {}

    # A delta query takes no filter but one of ids, and knows nothing of last sign-ins:
    # https://learn.microsoft.com/graph/api/user-delta
    @property
    def is_tracked(self) -> bool:
        config = self.sync.config
        return not (config.user_filter or config.include_users or _SIGN_IN_ACTIVITY in config.extra_user_properties)

    @property
    def fingerprint(self) -> str:
        return digest(super().fingerprint, sorted(self.sync.config.exclude_users))

    @property
    def deciding_properties(self) -> tuple[str, ...]:
        """The properties beside the id that decide whether a user is read."""
        return ("userPrincipalName",) if self.sync.config.include_users or self.sync.config.exclude_users else ()

    def select_ladder(self) -> list[tuple[str, ...]]:
        return [("id", *self.deciding_properties), ()] if self.keys_only else super().select_ladder()

    # Whoever is named in include_users and is not in the tenant is known once the listing that names them was read.
    def listing(self, path: str, parents: Mapping[str, str], *args: Any, **options: Any) -> Listing:
        listing = super().listing(path, parents, *args, **options)
        listing.next_listings = partial(self._warn_of_absent, listing)
        return listing

    def parse_response(self, response: requests.Response, **options: Any) -> Iterator[dict[str, Any]]:
        for user in super().parse_response(response, **options):
            self._note_included(user)
            if self.is_wanted(user) and self._is_first_record_of(user):
                yield user

    def _note_included(self, user: Mapping[str, Any]) -> None:
        for name in _names(user) & self.sync.config.include_users:
            self.sync.seen_ids(_INCLUDED).add(name)

    def is_wanted(self, user: Mapping[str, Any]) -> bool:
        """Whether the configuration selects this user, among those that the filter left."""
        return _names(user).isdisjoint(self.sync.config.exclude_users)

    def _is_first_record_of(self, user: Mapping[str, Any]) -> bool:
        """One user may be named twice, by id and by name."""
        return not self.sync.config.include_users or self.sync.seen_ids((_INCLUDED, self.identity)).add(user["id"])

    def _warn_of_absent(self, listing: Listing) -> Iterable[Listing]:
        requested = listing.query.get("$filter", "")
        for name in sorted(self.sync.config.include_users):
            if _literal(name) in requested and self.sync.seen_ids(_INCLUDED).add(name):
                self.logger.warning(f"No user {name} of include_users is in the tenant, or the filter leaves them out.")
        return ()


class Accounts(Users):
    """Every user whose mailbox and drives are read, as parents: https://learn.microsoft.com/graph/api/user-list"""

    # Where neither guests nor disabled accounts are left out, these are all users, whose keys are listed once.
    def object_keys(self) -> Iterable[Owner]:
        return super().object_keys() if self._are_some else Users(self.sync, keys_only=True).object_keys()

    @property
    def _are_some(self) -> bool:
        return not (self.sync.config.include_guests and self.sync.config.include_disabled_accounts)

    @property
    def deciding_properties(self) -> tuple[str, ...]:
        return (*super().deciding_properties, *(("userType", "accountEnabled") if self._are_some else ()))

    # Graph's default properties would not tell guests and disabled accounts apart.
    def select_ladder(self) -> list[tuple[str, ...]]:
        return super().select_ladder()[:1] if self._are_some else super().select_ladder()

    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        users = super().records(stream_slice, progress)
        return self._some_of(users) if self._are_some else users

    # User.ReadBasic.All shows neither property of anybody; of one odd user, Graph may show none either. Old accounts
    # have no userType, and are members.
    def _some_of(self, users: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        config, odd, are_told_apart = self.sync.config, [], False
        for user in users:
            kind, is_enabled = user.get("user_type"), user.get("account_enabled")
            are_told_apart = are_told_apart or kind is not None or is_enabled is not None
            if (kind == "Guest" and not config.include_guests) or (
                is_enabled is False and not config.include_disabled_accounts
            ):
                continue
            if is_enabled is None and (kind is None or not config.include_disabled_accounts):
                odd.append(user)
            else:
                yield user
        if odd and not are_told_apart:
            grant = self.sync.auth.credentials.grant(self.permissions[0])
            raise StreamRefused(f"Graph does not tell guests and disabled accounts apart. {grant}")
        if odd:
            self.sync.warn_once(
                "odd accounts",
                f"Graph does not tell of {len(odd):,} users whether they are guests or disabled, so they are read: "
                f"{', '.join(user['id'] for user in odd[:20])}.",
            )
        yield from odd


class UserManager(Users):
    """One row per user who has a manager: https://learn.microsoft.com/graph/api/user-list-manager"""

    primary_key = "user_id"
    own_id = "user_id"
    cursor_field = []
    extension_target = None
    permissions = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
    query = {"$select": "id,userPrincipalName", "$expand": "manager($select=id)"}
    selects = False
    page_size = 100

    # A user's manager is one object and comes with the user, which costs no request of its own. Who has none comes
    # without: https://learn.microsoft.com/graph/api/user-list-manager
    def records(self, stream_slice: Slice, progress: SliceProgress | None) -> Iterator[dict[str, Any]]:
        for user in super().records(stream_slice, progress):
            if manager := user.get("manager"):
                yield {
                    "user_id": user["id"],
                    "manager_id": manager["id"],
                    "manager_type": manager.get("odata_type"),
                }


class DeletedUsers(UserList):
    """One row per user who was deleted and can be restored: https://learn.microsoft.com/graph/api/directory-deleteditems-list"""

    path_template = "directory/deletedItems/microsoft.graph.user"
    cursor_field = []
    permissions = ("Directory.Read.All", "User.Read.All")
    least_permission = "User.Read.All"


def _names(user: Mapping[str, Any]) -> frozenset[str]:
    """What the configuration may call this user, in lower case: Graph knows ids and names in any case."""
    return frozenset((user["id"].lower(), str(user.get("user_principal_name")).lower()))


def _inclusions(users: Iterable[str]) -> Iterator[str]:
    """The clauses that name these users, each of a length that Graph takes."""
    for name, is_of_this_kind in (("id", _is_id), ("userPrincipalName", _is_principal_name)):
        values = sorted(filter(is_of_this_kind, users))
        for start in range(0, len(values), _NAMED_AT_ONCE):
            yield f"{name} in ({','.join(map(_literal, values[start : start + _NAMED_AT_ONCE]))})"


def _is_principal_name(user: str) -> bool:
    return "@" in user


def _is_id(user: str) -> bool:
    return "@" not in user


def _literal(text: str) -> str:
    """A text as an OData expression has it."""
    return "'" + text.replace("'", "''") + "'"
