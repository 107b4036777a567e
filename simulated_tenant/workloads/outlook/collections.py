"""The collections of Exchange Online mailboxes: mail, events, and contacts in their folders.

https://learn.microsoft.com/graph/outlook-mail-concept-overview
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from simulated_tenant.arrange import arrange
from simulated_tenant.changes import ChangeFeed
from simulated_tenant.clouds import CHINA, GOVSG
from simulated_tenant.collection import (
    Call,
    Collection,
    Endpoint,
    Finder,
    Paging,
    Query,
    Selection,
    Tracking,
    Workload,
    words,
)
from simulated_tenant.entities import Entities
from simulated_tenant.filters import conditions
from simulated_tenant.limits import RequestLimit
from simulated_tenant.problems import problem
from simulated_tenant.shapes import Entity, graph_time
from simulated_tenant.size import Size
from simulated_tenant.state import State
from simulated_tenant.workloads.outlook.changes import FolderChanges
from simulated_tenant.workloads.outlook.contents import Outlook
from simulated_tenant.workloads.outlook.mutations import FolderItemMutations, ItemMutations


def _usual_trouble(size: Size) -> Mapping[str, Mapping[Any, str]]:
    guests = ("mailbox_inactive", "mailbox_invalid_user", "mailbox_unresolved")
    return {
        "mailbox": {user: guests[user % 3] for user in size.guest_numbers}
        | dict.fromkeys(size.on_premises_numbers, "mailbox_on_premises")
    }


OUTLOOK = Workload(
    "outlook",
    denial=lambda query: problem("mailbox_out_of_scope"),
    # A user of the directory need not have a mailbox, or one that the app may read.
    gate=lambda query: query.refuse_troubled("user", "user", "mailbox"),
    missing=lambda name, text: problem("mailbox_invalid_user" if name == "user" else "mailbox_item_not_found", text),
    immutable_ids=True,
    dollar="%24",
    lacking_in=(GOVSG,),
    trouble=_usual_trouble,
    limits=(RequestLimit(10_000, 600, per="user"),),
    at_once=4,
)
# Graph has these paths. Nothing answers them here, unless a collection of this path is declared below.
NOT_SIMULATED = words(
    "/users/{user}/calendarView /users/{user}/calendarView/delta /users/{user}/calendars /users/{user}/events/delta"
)


def _sorted_by_what_is_filtered(call: Call, collection: Collection, entities: Entities) -> Entities:
    """With both, the property in $orderby must come first in $filter: https://learn.microsoft.com/graph/api/user-list-messages"""
    text, order = call.options.get("$filter"), call.options.get("$orderby")
    if text and order and conditions(text)[0].property != order.split()[0]:
        raise problem("too_complex")
    return arrange(call, collection, entities)


def _if_filterable(call: Call, collection: Collection, entities: Entities) -> Entities:
    """Whether contacts can be filtered by their last change is not documented."""
    if "$filter" in call.options and not call.state.traits.contacts_by_time:
        raise problem("contact_filter_refused")
    return _sorted_by_what_is_filtered(call, collection, entities)


def _messages(query: Query) -> Entities:
    folder = query.ids.get("mailFolder")
    return query.state.of(Outlook).messages(query.ids["user"], query.immutable_ids, query.text_bodies, folder)


ATTACHMENT = "id,name,contentType,size,isInline,lastModifiedDateTime"


def _attachments(query: Query) -> Entities:
    """With their bytes, unless $select leaves them out."""
    outlook = query.state.of(Outlook)
    return outlook.attachments(query.ids["user"], query.ids["message"], with_bytes=not query.selects("name"))


def _found_message(state: State, known: Mapping[str, Any], text: str) -> int | None:
    return state.of(Outlook).find_item("m", known["user"], text)


def _mail_folders(query: Query) -> Entities:
    return query.state.of(Outlook).mail_folders(query.ids["user"], query.ids.get("mailFolder"))


def _folders_in_a_list(call: Call, collection: Collection, folders: Entities) -> Entities:
    """Hidden folders come where they are asked for: https://learn.microsoft.com/graph/api/user-list-mailfolders"""
    if call.options.get("includeHiddenFolders") == "true":
        return folders
    return folders.over([number for number in folders.ascending if not folders.make(number)["isHidden"]])


def _all_mail_folders(query: Query) -> Entities:
    return query.state.of(Outlook).all_mail_folders(query.ids["user"])


def _events(query: Query) -> Entities:
    return query.state.of(Outlook).events(query.ids["user"], query.immutable_ids, query.text_bodies)


DAYS_BACK, DAYS_AHEAD, MOST_DAYS = 30, 180, 1825


def _days_around_today(state: State) -> Mapping[str, str]:
    """The days of which a reader asks for a view."""
    start, end = state.today - timedelta(days=DAYS_BACK), state.today + timedelta(days=DAYS_AHEAD + 1)
    return {"startDateTime": graph_time(start), "endDateTime": graph_time(end)}


def _viewed(call: Call, collection: Collection, occurrences: Entities) -> Entities:
    """What touches the window: https://learn.microsoft.com/graph/api/user-list-calendarview"""
    if missing := {"startDateTime", "endDateTime"} - call.options.keys():
        raise problem("window_missing", min(missing))
    start, end = (datetime.fromisoformat(call.options[name]) for name in ("startDateTime", "endDateTime"))
    if end - start > timedelta(days=MOST_DAYS):
        raise problem("window_too_long")
    seen = occurrences.over([n for n in occurrences.ascending if call.state.of(Outlook).touches(n, start, end)])
    return _sorted_by_what_is_filtered(call, collection, seen)


def _occurrences(query: Query) -> Entities:
    return query.state.of(Outlook).occurrences(query.ids["user"], query.immutable_ids, query.text_bodies)


def _in_view(query: Query, event: Entity) -> Entity | None:
    """What a reader finds of an occurrence in those days."""
    start, end = map(datetime.fromisoformat, _days_around_today(query.state).values())
    outlook = query.state.of(Outlook)
    return event if outlook.touches(outlook.number_of_occurrence(event["id"]), start, end) else None


def _contacts(query: Query) -> Entities:
    folder = query.ids.get("contactFolder", 0)
    return query.state.of(Outlook).contacts(query.ids["user"], folder, query.immutable_ids)


def _contact_folders(query: Query) -> Entities:
    return query.state.of(Outlook).child_folders(query.ids["user"], query.ids.get("contactFolder", 0))


def _found_folder(kind: str) -> Finder:
    return lambda state, known, text: state.of(Outlook).find_folder(kind, known["user"], text)


def _tracked(kind: str, options: str) -> Tracking:
    """`latest` is no token of Outlook's."""
    return Tracking(lambda call, entities: FolderChanges(call, kind, entities), options=options, latest=False)


MAIL_READ = words("Mail.Read Mail.ReadWrite")
CALENDAR_READ = words("Calendars.ReadBasic Calendars.Read Calendars.ReadWrite")
CONTACT_READ = words("Contacts.Read Contacts.ReadWrite")
TIMES = dict.fromkeys(words("receivedDateTime lastModifiedDateTime createdDateTime"), "eq ge gt le lt")
MESSAGE_FILTERS = {**TIMES, "hasAttachments": "eq"}
SORTED = dict.fromkeys(TIMES, "asc desc")
# https://learn.microsoft.com/graph/permissions-reference#mailreadbasicall
BASIC_MESSAGE = words(
    "@odata.etag id categories changeKey createdDateTime lastModifiedDateTime from sender toRecipients ccRecipients "
    "bccRecipients replyTo subject conversationId parentFolderId receivedDateTime sentDateTime isRead isDraft webLink"
)
MAILBOX = partial(
    Collection, workload=OUTLOOK, options="$select $top $skip $filter $orderby $count $search $expand",
    paging=Paging(10, 1000, by_preference=True),
)  # fmt: skip
MAIL = partial(MAILBOX, permissions=("Mail.ReadBasic.All", *MAIL_READ), granted="Mail.Read")
MESSAGES = partial(
    MAIL, type="message", entities=_messages, filters=MESSAGE_FILTERS, orders=SORTED,
    arrange=_sorted_by_what_is_filtered, basic=(MAIL_READ, BASIC_MESSAGE),
    selection=Selection(on_request=words("internetMessageHeaders uniqueBody")),
)  # fmt: skip
MAIL_FOLDERS = partial(
    MAIL, type="mailFolder", stream="mail_folders", entities=_mail_folders, key=("user",), placeholder="mailFolder",
    find=_found_folder("f"), arrange=_folders_in_a_list,
)  # fmt: skip
# Sizes above the maximum are taken for it: no refusal is on record.
ITEMS = partial(MAILBOX, paging=Paging(10, 1000, caps=True, by_preference=True))
CONTACTS = partial(
    ITEMS, permissions=CONTACT_READ, type="contact", entities=_contacts, arrange=_if_filterable, key=("user",),
    stream="contacts", filters={"lastModifiedDateTime": "eq ge gt le lt"}, orders={"lastModifiedDateTime": "asc desc"},
    mutations=partial(FolderItemMutations, kind="c", name="displayName"),
)  # fmt: skip
CONTACT_FOLDERS = partial(
    ITEMS, permissions=CONTACT_READ, type="contactFolder", entities=_contact_folders, placeholder="contactFolder",
    find=_found_folder("d"),
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (
    MESSAGES(
        "/users/{user}/messages", stream="mail_messages", placeholder="message", find=_found_message,
        mutations=partial(FolderItemMutations, kind="m", name="subject"),
    ),
    MESSAGES("/users/{user}/mailFolders/{mailFolder}/messages", tracking=_tracked("m", "$select $filter")),
    MAILBOX(
        "/users/{user}/messages/{message}/attachments", permissions=MAIL_READ, type="attachment",
        entities=_attachments, stream="mail_attachments", parameters=lambda state: {"$select": ATTACHMENT},
        holds=lambda state, ids: state.of(Outlook).has_attachments(ids["message"]),
    ),
    MAIL_FOLDERS("/users/{user}/mailFolders"),
    MAIL_FOLDERS("/users/{user}/mailFolders/{mailFolder}/childFolders"),
    MAIL(
        "/users/{user}/mailFolders/delta", type="mailFolder", stream="mail_folders", entities=_all_mail_folders,
        options="$select", lacking_in=(CHINA,),
        tracking=Tracking(
            lambda call, folders: ChangeFeed(folders, None, folders.ascending, len(folders)), path="", latest=False
        ),
    ),
    ITEMS(
        "/users/{user}/events", permissions=CALENDAR_READ, granted="Calendars.Read", type="event", entities=_events,
        stream="calendar_events", filters=TIMES, orders=SORTED, arrange=_sorted_by_what_is_filtered,
        selection=Selection(on_request=("cancelledOccurrences",)),
        mutations=partial(ItemMutations, kind="e", name="subject"),
    ),
    ITEMS(
        "/users/{user}/calendarView", permissions=CALENDAR_READ, granted="Calendars.Read", type="event",
        entities=_occurrences, stream="calendar_view", parameters=_days_around_today, columns=_in_view, arrange=_viewed,
        filters=TIMES, orders=SORTED,
    ),
    CONTACTS("/users/{user}/contacts"),
    CONTACTS("/users/{user}/contactFolders/{contactFolder}/contacts", tracking=_tracked("c", "$select")),
    CONTACT_FOLDERS("/users/{user}/contactFolders"),
    CONTACT_FOLDERS("/users/{user}/contactFolders/{contactFolder}/childFolders"),
)  # fmt: skip
