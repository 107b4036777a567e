"""The collections of Microsoft Intune.

https://learn.microsoft.com/graph/api/resources/intune-graph-overview
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from simulated_tenant.clouds import GOVSG
from simulated_tenant.collection import Collection, Endpoint, Paging, Query, Workload, words
from simulated_tenant.generated import Generated, Owner, TimedMutations
from simulated_tenant.limits import RequestLimit
from simulated_tenant.problems import problem
from simulated_tenant.shapes import EPOCH, Entity, graph_time
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.contents import Directory

# .NET's first and last times stand for a time that is not known, and for one that never comes.
FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"


def _licensed(query: Query) -> None:
    """A tenant without Intune refuses every request in these words."""
    if not query.state.traits.intune:
        raise problem("no_intune")


INTUNE = Workload(
    "intune",
    denial=lambda query: problem("intune_denied"),
    gate=_licensed,
    lacking_in=(GOVSG,),
    limits=(RequestLimit(2000, 20),),
)


def _device(state: State, owner: Owner, number: int) -> Entity:
    """What a list fills with a default, and the times that stand for none."""
    directory = state.of(Directory)
    return {
        "deviceName": f"LAP-{number:03}",
        "userId": directory.ids["user"][number % state.size.users],
        "azureADDeviceId": directory.founded(("device", number % state.size.devices)).get("deviceId"),
        "lastSyncDateTime": graph_time(EPOCH + timedelta(hours=2 * number)),
        "complianceGracePeriodExpirationDateTime": (LAST, FIRST, "9999-12-31T23:59:59.9999999Z")[number % 3],
        "easActivationDateTime": FIRST,
        "exchangeLastSuccessfulSyncDateTime": FIRST,
        "managementCertificateExpirationDate": FIRST,
        "physicalMemoryInBytes": 0,
        "iccid": "",
        "udid": "",
        "ethernetMacAddress": None,
        "notes": None,
        "activationLockBypassCode": None,
        "deviceHealthAttestationState": None,
    }


DEVICES = Generated("managedDevice", count=lambda state, owner: state.size.managed_devices, own=_device)

ENDPOINTS: tuple[Endpoint, ...] = (
    Collection(
        "/deviceManagement/managedDevices", INTUNE, stream="managed_devices",
        permissions=words(
            "DeviceManagementManagedDevices.Read.All DeviceManagementManagedDevices.ReadWrite.All "
            "DeviceManagementConfiguration.Read.All DeviceManagementConfiguration.ReadWrite.All"
        ),
        type="managedDevice", entities=DEVICES.entities, paging=Paging(1000, 1000), options="$select $top $filter",
        filters={"lastSyncDateTime": "ge le"},
        mutations=partial(TimedMutations, objects=DEVICES, time="lastSyncDateTime", name="managedDeviceName"),
    ),
)  # fmt: skip
NOT_SIMULATED: tuple[str, ...] = ()
