"""The streams as tests need them: what follows from the roll and its declarations, and the names, which do not.

A test that holds for every stream takes the streams from here and lists none of them.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from simulated_tenant.catalogue import CATALOGUE
from simulated_tenant.collection import Collection
from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.graph.batch import MAX_BATCH
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.streams.base import GraphStream
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.records import snake_case
from source_microsoft_graph.sync.context import Owner, Sync

PUBLISHED = (
    "users",
    "applications",
    "service_principals",
    "groups",
    "group_member",
    "group_owner",
    "teams",
    "channels",
    "team_member",
    "chats",
    "chat_messages",
    "mail_messages",
    "calendar_events",
    "contacts",
    "drives",
    "drive_items",
    "audit_logs_directory",
    "audit_logs_signins",
    "conditional_access_policies",
    "directory_roles",
    "directory_role_templates",
    "directory_role_member",
    "devices",
    "app_role_assignments",
    "organization",
    "domains",
    "subscribed_skus",
    "administrative_units",
    "administrative_unit_member",
    "role_definitions",
    "role_assignments",
    "role_eligibility_schedules",
    "role_assignment_schedules",
    "oauth2_permission_grants",
    "application_owner",
    "service_principal_owner",
    "user_manager",
    "user_registration_details",
    "named_locations",
    "risky_users",
    "risk_detections",
    "security_alerts",
    "security_incidents",
    "managed_devices",
    "report_office365_active_users",
    "report_teams_user_activity",
    "report_teams_device_usage",
    "report_email_activity",
    "report_mailbox_usage",
    "report_onedrive_usage",
    "report_sharepoint_site_usage",
    "report_office365_groups_activity",
    "report_copilot_usage",
    "channel_member",
    "chat_member",
    "channel_messages",
    "mail_folders",
    "calendar_view",
    "sites",
    "lists",
    "list_items",
    "site_drive_items",
    "drive_item_permissions",
    "mail_attachments",
    "org_contacts",
    "audit_logs_provisioning",
    "deleted_users",
    "deleted_groups",
    "deleted_applications",
    "service_health_issues",
    "service_update_messages",
    "secure_scores",
    "secure_score_control_profiles",
    "authorization_policy",
    "identity_security_defaults_policy",
    "admin_consent_request_policy",
    "authentication_methods_policy",
    "authentication_strength_policies",
    "cross_tenant_access_policy",
    "cross_tenant_access_policy_default",
    "cross_tenant_access_policy_partners",
)
"""The names of the streams, in the order in which they are read. They stand here by hand because users select streams
by name: a class that is renamed, or left off the roll, would take a table away from them. Nothing else derives from
this list, and no other list names every stream."""


def every_stream() -> list[GraphStream]:
    """The streams of the roll, for a configuration without options. Their token tells of no roles, and nothing signs
    in."""
    sync = Sync(Config.parse({"tenant_id": "t", "client_id": "c", "client_secret": "s"}), logging.getLogger("airbyte"))
    sync.auth.token = lambda: ""  # type: ignore[method-assign]
    return [stream_class(sync) for stream_class in STREAMS]


def stream_named(name: str) -> GraphStream:
    """One stream of the roll."""
    return next(stream for stream in every_stream() if stream.name == name)


def expensive() -> frozenset[str]:
    """The streams that are read only where they are named."""
    return frozenset(stream.name for stream in every_stream() if stream.expensive)


def kinds_of_parents(stream: GraphStream) -> set[type]:
    """The classes of the streams whose keys this one needs, and those of which they list a part."""
    return {kind for parent in stream.parents() for kind in type(parent).__mro__}


def with_children(name: str) -> list[str]:
    """A stream and all streams below its objects, at any depth, in the order of the roll."""
    found: list[GraphStream] = []
    for stream in every_stream():
        if stream.name == name or any(type(parent) in kinds_of_parents(stream) for parent in found):
            found.append(stream)
    return [stream.name for stream in found]


def depth(stream: GraphStream, streams: Sequence[GraphStream]) -> int:
    """How many of these streams have to be asked, one after the other, before this one's owners are known."""
    parents = [parent for parent in streams if type(parent) in kinds_of_parents(stream)]
    return 1 + max(depth(parent, streams) for parent in parents) if parents else 0


def permitted(stream: GraphStream, *roles: str) -> bool:
    """Whether these permissions suffice for a stream and for its parents."""
    return not set(roles).isdisjoint(stream.permissions) and all(
        permitted(parent, *roles) for parent in stream.parents()
    )


def probed_path(stream: GraphStream) -> str:
    """The path that a check requests for a stream where each listing holds one object, whose id is the first letter of
    the listing's path."""
    owner = dict(zip(stream.placeholders, _first_owner(stream), strict=False))
    return stream.probe_path or stream.path_template.format_map(owner)


def _first_owner(stream: GraphStream) -> Owner:
    if not isinstance(stream, ChildStream):
        return ()
    (parent,) = stream.parents()
    # Drives are found at paths of several kinds.
    ids = dict(zip(parent.placeholders, _first_owner(parent), strict=isinstance(parent, ChildStream)))
    return (*(ids[column] for column in parent.parent_columns), probed_path(parent)[0])


def one_of_each() -> Iterator[str]:
    """The paths that a check requests in such a tenant, each once."""
    yield from dict.fromkeys(map(probed_path, every_stream()))


def probes() -> list[int]:
    """How many streams share each request of a check: those of one service whose owners become known at the same time,
    as many as a batch takes and the service allows at the same time."""
    streams = every_stream()
    sharing = Counter((stream.service, depth(stream, streams)) for stream in streams)
    sizes = {service: service.value.in_one_batch(MAX_BATCH) for service, _ in sharing}
    full = [sizes[service] for (service, _), number in sharing.items() for _ in range(number // sizes[service])]
    rest = (number % sizes[service] for (service, _), number in sharing.items())
    return [*full, *filter(None, rest)]


# What the simulated tenant knows of a stream.


def simulated(stream: GraphStream) -> Collection:
    """The collection at the path that a check requests for a stream."""
    path = re.sub(r"{\w+}", "x", stream.probe_path or stream.path_template)
    collection, _ = CATALOGUE.find(f"/v1.0/{path}", stream.sync.config.cloud.graph_host)
    assert isinstance(collection, Collection), f"The simulated tenant does not list {path}."
    return collection


def unlisted(stream: GraphStream) -> set[str]:
    """The columns that stay empty because a list has these properties only where $select names them."""
    on_request = CATALOGUE.selection(simulated(stream).type).on_request
    return set() if stream.selects else set(map(snake_case, on_request))
