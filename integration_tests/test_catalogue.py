"""A collection of the simulated tenant is one declaration, and everything else about it follows."""

from __future__ import annotations

import pytest

from integration_tests.reader import Reader, assert_reads_what_is_expected, refusal
from simulated_tenant import Tenant, Unchangeable
from simulated_tenant.catalogue import CATALOGUE, Catalogue
from simulated_tenant.clouds import BLEU, DELOS
from simulated_tenant.collection import Collection, Endpoint, Paging
from simulated_tenant.generated import Generated
from simulated_tenant.limits import RequestLimit
from simulated_tenant.workloads.directory.collections import DIRECTORY, directory_objects
from simulated_tenant.workloads.teams.collections import TEAMS

# Streams of names that no connector has. The collections may be declared for good by now: the last one counts.
DEVICES = directory_objects(
    "/devices", "a_root", "device", ("Device.Read.All",), lacking_in=(BLEU,), limits=(RequestLimit(2, 60),)
)
ROLES_OF_APPS = Generated("appRole", lambda state, owner: 1 + owner[0] % 3)
CHILDREN = Collection(
    "/servicePrincipals/{servicePrincipal}/children", DIRECTORY, ("Children.Read.All",), "appRole", stream="a_child",
    entities=ROLES_OF_APPS.entities, paging=Paging(2, 2), options="$select $top",
)  # fmt: skip
MEMBERS = Generated("aadUserConversationMember", lambda state, owner: 2 + owner[0], lambda state, owner, number: {
    "displayName": "/".join(map(str, (*owner, number))),
})  # fmt: skip
GRANDCHILDREN = Collection(
    "/teams/{team}/channels/{channel}/members", TEAMS, ("ChannelMember.Read.All",), "aadUserConversationMember",
    stream="a_grandchild", entities=MEMBERS.entities, placeholder="channelMember", find=MEMBERS.find,
)  # fmt: skip
BELOW = Collection(
    "/teams/{team}/channels/{channel}/members/{channelMember}/roles", TEAMS, ("ChannelMember.Read.All",), "appRole",
    stream="a_great_grandchild", entities=Generated("appRole", lambda state, owner: 1).entities,
)  # fmt: skip
STREAMS = ("a_root", "a_child", "a_grandchild", "a_great_grandchild")


@pytest.fixture
def tenant() -> Tenant:
    declared: list[Endpoint] = [DEVICES, CHILDREN, GRANDCHILDREN, BELOW]
    kept = [each for each in CATALOGUE.endpoints if each.path not in {other.path for other in declared}]
    return Tenant(catalogue=Catalogue([*kept, *declared], not_simulated=["/devices", "/not/declared"]))


@pytest.fixture
def reader(tenant: Tenant) -> Reader:
    return Reader(tenant)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_reader_finds_what_is_expected(reader: Reader, stream: str) -> None:
    """By one declaration a stream has contents, a route, permissions that the tenant grants, and a reader."""
    assert len(assert_reads_what_is_expected(reader, stream)) > 4


def test_the_key_has_the_ids_of_all_owners(tenant: Tenant) -> None:
    """The object's id comes first, then those of the path, in columns named after its placeholders."""
    names = {stream: tuple(next(tenant.expected(stream))[0]) for stream in STREAMS}
    assert names == {
        "a_root": ("id",),
        "a_child": ("id", "service_principal_id"),
        "a_grandchild": ("id", "team_id", "channel_id"),
        "a_great_grandchild": ("id", "team_id", "channel_id", "channel_member_id"),
    }


def test_owners_have_objects_of_their_own(tenant: Tenant) -> None:
    """Objects are generated below each owner from the type, with values of their own, and no id comes twice."""
    members = [member for _, member in tenant.expected("a_grandchild")]
    assert len({member["id"] for member in members}) == len(members)
    assert members[0]["displayName"] == "0/0/0"


def test_only_what_is_there_can_be_named(reader: Reader) -> None:
    """An id is found as the declaration says, or by a search of the parent collection, and only below its owner."""
    (first, _), *_, (last, _) = reader.tenant.expected("a_grandchild")
    path = "/teams/{team_id}/channels/{channel_id}/members/{id}/roles"
    assert reader.get(path.format_map(first)).status == 200
    for wrong in (first | {"channel_id": last["channel_id"]}, first | {"id": last["id"]}, first | {"id": "nobody"}):
        assert refusal(reader.get(path.format_map(wrong)))[0] == 404


def test_permissions_follow(tenant: Tenant) -> None:
    """What a tenant grants opens every stream; without its permission a stream is denied and holds nothing."""
    assert tenant.grants == {*CATALOGUE.grants, "Device.Read.All", "Children.Read.All", "ChannelMember.Read.All"}
    tenant.grants -= {"Device.Read.All"}
    assert list(tenant.expected("a_root")) == []
    assert refusal(Reader(tenant).get("/devices"))[0] == 403


def test_clouds_follow(tenant: Tenant) -> None:
    """A cloud lacks what the workload or the collection lacks there, and names the segment that it does not know."""
    assert tenant.catalogue.lacking(BLEU) - CATALOGUE.lacking(BLEU) == {"a_root"}
    assert tenant.catalogue.lacking(DELOS) - CATALOGUE.lacking(DELOS) == {"a_grandchild", "a_great_grandchild"}
    assert tenant.catalogue.lacking("graph.microsoft.com") == set()
    reader = Reader(tenant)
    reader.token = tenant.token(host=BLEU)
    message = reader.get(f"https://{BLEU}/v1.0/devices").json["error"]["message"]
    assert message == "Resource not found for the segment 'devices'."


def test_limits_follow(reader: Reader) -> None:
    """A limit holds for the path that declares it."""
    reader.tenant.throttle.on = True
    assert [reader.get("/devices").status for _ in range(3)] == [200, 200, 429]
    assert reader.get("/users").status == 200


def test_what_is_not_declared_is_not_simulated(reader: Reader) -> None:
    """A path that Graph has stays on the list of what is not simulated until a collection declares it."""
    assert reader.tenant.catalogue.not_simulated == ("/not/declared",)
    assert refusal(reader.get("/not/declared")) == (501, "NotSimulated")


def test_mutations_follow(reader: Reader) -> None:
    """Objects of a directory kind change as all of these do, and other collections stay as they are."""
    key = reader.tenant.add("a_root")
    reader.tenant.edit("a_root", key, displayName="New")
    contents = assert_reads_what_is_expected(reader, "a_root")
    assert contents[(key["id"],)]["displayName"] == "New"
    with pytest.raises(Unchangeable, match="Nothing can be added in a_child"):
        reader.tenant.add("a_child")
