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
from simulated_tenant.shapes import Entity, graph_time
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


# Days since a device reported last, by its number, over and over; None where it never did.
SILENT_DAYS = (0, 91, None, 200, 100, 3, 120, 95, 89, 300, 30)
UNREGISTERED = "00000000-0000-0000-0000-000000000000"


def _device(state: State, owner: Owner, number: int) -> Entity:
    """What a list fills with a default, and the times that stand for none. Each ninth device is nobody's, and whatever
    Entra does not know has zeros for its id there."""
    directory = state.of(Directory)
    person = number * 3 % state.size.users
    silent = SILENT_DAYS[number % len(SILENT_DAYS)]
    reported = FIRST if silent is None else graph_time(state.today - timedelta(days=silent))
    known = number < state.size.devices
    return {
        "deviceName": f"LAP-{number:03}",
        "operatingSystem": ("Windows", "macOS", "iOS", "Android")[number % 4],
        "userId": directory.ids["user"][person] if number % 9 != 8 else "",
        "azureADDeviceId": directory.ids["deviceId"][number] if known else UNREGISTERED,
        "lastSyncDateTime": reported,
        "enrolledDateTime": graph_time(state.today - timedelta(days=400 if silent else 2)),
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
