"""The workloads behind Graph. Each has what it holds (contents.py), how that changes (mutations.py), what its delta
queries report (changes.py) and the declarations of its collections (collections.py), which is where a new one goes:

DEVICE_READ = VISIBLE_BY["device"]
directory_objects("/devices", "devices", "device", DEVICE_READ, tracking=_tracked("device", DEVICE_READ))

Collection(
    "/teams/{team}/channels/{channel}/members", TEAMS, permissions=("ChannelMember.Read.All",),
    type="aadUserConversationMember", stream="channel_member", entities=MEMBERS.entities,
)

`Generated` makes MEMBERS from the published type. The type has to be in graph_types.json: graph_types.py puts it
there. The catalogue derives everything else.
"""
