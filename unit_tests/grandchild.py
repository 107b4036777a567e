"""A stream below a child stream, which the contract covers as it covers those of the roll."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airbyte_cdk.sources.streams.http import HttpSubStream

from generators import schemas
from source_microsoft_graph.graph.rate_limits import Service
from source_microsoft_graph.streams.child import ChildStream
from source_microsoft_graph.streams.teams import Channels


class OfPublishedType(HttpSubStream):
    """What the schema generator makes of a type, where the CDK would read a file of the connector's package."""

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # The CDK's is wrapped in a cache.
        return schemas.schema("aadUserConversationMember", ("team_id", "channel_id"))


class ChannelMember(ChildStream, OfPublishedType):
    """One row per channel and member: https://learn.microsoft.com/graph/api/channel-list-members"""

    parent_class = Channels
    path_template = "teams/{team_id}/channels/{channel_id}/members"
    primary_key = ["id", "team_id", "channel_id"]
    service = Service.TEAMS
    permissions = ("ChannelMember.Read.All", "ChannelMember.ReadWrite.All")
