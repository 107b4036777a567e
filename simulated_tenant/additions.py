"""How Graph's answers differ from the published types: what Graph sends beside them, and what a list does not return.

The schemas and the simulated tenant are made of graph_types.py and of this module, and of nothing else. Types and
properties go by their published names. A rule that belongs to a list stands at the type of the list's objects, so that
it holds for every stream of that type.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from . import graph_types
from .graph_types import PropertyType

OBJECT = "object"
"""The type of a value that is an object with properties that are known to nobody: its column is a JSON object."""

_SHAREPOINT = "kept in SharePoint: in a list's $select it fails the whole request"

_DEFAULT = "a list fills it with a default: only a request for a single device has its value"

NOT_LISTED: Mapping[str, Mapping[str, str]] = {
    "user": {
        "aboutMe": _SHAREPOINT,
        "birthday": _SHAREPOINT,
        "hireDate": _SHAREPOINT,
        "interests": _SHAREPOINT,
        "mySite": _SHAREPOINT,
        "pastProjects": _SHAREPOINT,
        "preferredName": _SHAREPOINT,
        "responsibilities": _SHAREPOINT,
        "schools": _SHAREPOINT,
        "skills": _SHAREPOINT,
        "mailboxSettings": "kept in Exchange, answered for a single user only",
        "deviceEnrollmentLimit": "kept in Intune: in a list's $select it fails the whole request",
        "print": "kept in Universal Print, outside the directory",
    },
    "group": {"hasMembersWithLicenseErrors": "for $filter only, never returned"},
    "managedDevice": {
        "activationLockBypassCode": _DEFAULT,
        "ethernetMacAddress": _DEFAULT,
        "iccid": _DEFAULT,
        "notes": _DEFAULT,
        "physicalMemoryInBytes": _DEFAULT,
        "udid": _DEFAULT,
    },
}
"""Published properties that a list does not return, and why: type → property → reason."""

UNASKED: Mapping[str, tuple[str, ...]] = {
    # Documented for a single group. In a list's $select each of them fails the whole request, and some answers to lists
    # without $select have carried them: https://learn.microsoft.com/graph/api/resources/group#properties
    "group": (
        "accessType", "allowExternalSenders", "autoSubscribeNewMembers", "hideFromAddressLists",
        "hideFromOutlookClients", "isArchived", "isFavorite", "isSubscribedByMail", "unseenConversationsCount",
        "unseenCount", "unseenMessagesCount", "welcomeMessageEnabled",
    ),
    # Returned only when $select names them, which would leave out what no $select can name.
    "message": ("internetMessageHeaders", "uniqueBody"),
    "event": ("cancelledOccurrences",),
}  # fmt: skip
"""Published properties that have a column and that the connector never names in `$select`: type → properties."""

EXPANDED: Mapping[str, Mapping[str, PropertyType]] = {
    "user": {"identityParent": OBJECT, "manager": OBJECT, "sponsors": [OBJECT]},
    "group": {"members": [OBJECT], "owners": [OBJECT]},
    "application": {"federatedIdentityCredentials": [OBJECT], "owners": [OBJECT], "sponsors": [OBJECT]},
    "servicePrincipal": {"owners": [OBJECT], "sponsors": [OBJECT]},
    "device": {"registeredOwners": [OBJECT], "registeredUsers": [OBJECT]},
    "directoryRole": {"members": [OBJECT]},
    "channel": {"filesFolder": OBJECT, "members": [OBJECT], "tabs": [OBJECT]},
    "chat": {"lastMessagePreview": OBJECT, "members": [OBJECT]},
    "chatMessage": {"hostedContents": [OBJECT], "replies": [OBJECT]},
    "message": {
        "attachments": [OBJECT],
        "extensions": [OBJECT],
        "multiValueExtendedProperties": [OBJECT],
        "singleValueExtendedProperties": [OBJECT],
    },
    "event": {
        "attachments": [OBJECT],
        "calendar": OBJECT,
        "exceptionOccurrences": [OBJECT],
        "extensions": [OBJECT],
        "instances": [OBJECT],
        "multiValueExtendedProperties": [OBJECT],
        "singleValueExtendedProperties": [OBJECT],
    },
    "contact": {
        "extensions": [OBJECT],
        "multiValueExtendedProperties": [OBJECT],
        "singleValueExtendedProperties": [OBJECT],
    },
    "driveItem": {"children": [OBJECT], "listItem": OBJECT, "permissions": [OBJECT], "retentionLabel": OBJECT},
}
"""Navigation properties that answers carry: type → property → its type. Graph sends one of them unasked for some
objects, as it does with the parent of an agent's user, and for all of them under `$expand`, which the connector does
not use. The columns of the others are empty unless Graph changes that."""

ALSO_LISTED: Mapping[str, tuple[str, ...]] = {
    "aadUserConversationMember": (
        "anonymousGuestConversationMember", "azureCommunicationServicesUserConversationMember",
        "microsoftAccountUserConversationMember", "skypeForBusinessUserConversationMember",
        "skypeUserConversationMember",
    ),
    "application": ("agentIdentityBlueprint",),
    "conversationMember": (
        "aadUserConversationMember", "anonymousGuestConversationMember",
        "azureCommunicationServicesUserConversationMember", "microsoftAccountUserConversationMember",
        "phoneUserConversationMember", "skypeForBusinessUserConversationMember", "skypeUserConversationMember",
    ),
    "directoryObject": ("user", "group", "device", "servicePrincipal", "orgContact", "agentIdentity"),
    "mailFolder": ("mailSearchFolder",),
    "message": ("calendarSharingMessage", "eventMessageRequest", "eventMessageResponse"),
    "namedLocation": ("ipNamedLocation", "countryNamedLocation"),
    "servicePrincipal": ("agentIdentity", "agentIdentityBlueprintPrincipal"),
    "user": ("agentUser",),
}  # fmt: skip
"""The further types of the objects in a list: every message type in a mailbox, every kind of member in a group, role,
team, channel or chat, and the agents among users and applications."""

MEMBER_USER = frozenset({
    "id", "deletedDateTime", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone",
    "officeLocation", "preferredLanguage", "surname", "userPrincipalName",
})  # fmt: skip
"""The properties of a user in a list of directory objects: Graph's default ones, there is no $select."""

MEMBER_ON_SELECT = frozenset({
    "assignedLabels", "assignedLicenses", "customSecurityAttributes", "infoCatalogs", "isManagementRestricted",
    "licenseProcessingState", "onPremisesExtensionAttributes", "organizationId",
})  # fmt: skip
"""What a list of directory objects leaves out of the other types, because it needs an explicit $select."""

_IDENTITIES_OF_FILES: Mapping[str, Mapping[str, PropertyType]] = {
    "identity": {"email": "String"},
    "identitySet": {"group": "identity"},
}

UNDECLARED: Mapping[str, Mapping[str, PropertyType]] = {
    "user": {
        "cloudRealtimeCommunicationInfo": OBJECT,
        "deviceKeys": [OBJECT],
        "externalUserConvertedOn": "DateTimeOffset",
        "infoCatalogs": ["String"],
        "isLicenseReconciliationNeeded": "Boolean",
        "refreshTokensValidFromDateTime": "DateTimeOffset",
    },
    "group": {"creationOptions": ["String"]},
    "device": {
        "createdDateTime": "DateTimeOffset",
        "domainName": "String",
        "extensionAttributes": "onPremisesExtensionAttributes",
        "externalSourceName": "String",
        "sourceType": "String",
    },
    "servicePrincipal": {
        "createdDateTime": "DateTimeOffset",
        "samlMetadataUrl": "String",
    },
    "servicePrincipalLockConfiguration": {"identifierUris": "Boolean"},
    # Open types, with what is known of them. The numbers of users come as texts.
    "controlScore": {
        "count": "String",
        "implementationStatus": "String",
        "scoreInPercentage": "Double",
        "total": "String",
    },
    "servicePlanInfo": {"servicePlanType": "String"},
    "chatMessageMentionedIdentitySet": {"tag": "identity"},
    "teamworkUserIdentity": {"tenantId": "String"},
    "event": {"occurrenceId": "String", "uid": "String"},
    "driveItem": {
        "dataLossPrevention": OBJECT,
        "isAuthoritative": "Boolean",
        "media": OBJECT,
        "reactions": OBJECT,
        "sensitivityLabel": OBJECT,
        "source": OBJECT,
        "viewpoint": OBJECT,
    },
    # A navigation property that the connector asks for. Each list has columns of its own.
    "listItem": {"fields": OBJECT},
    "mailFolder": {"sizeInBytes": "Int64"},
    "file": {"irmEffectivelyEnabled": "Boolean", "irmEnabled": "Boolean"},
    "photo": {"alternateTakenDateTime": "DateTimeOffset"},
    "shared": {"effectiveRoles": ["String"]},
    "quota": {"fileCount": "Int64"},
    "directoryAudit": {"userAgent": "String"},
    "appIdentity": {"agentType": "String"},
    "userIdentity": {
        "agentType": "String",
        "homeTenantId": "String",
        "homeTenantName": "String",
        "userType": "String",
    },
    # Both have derived types whose properties have no columns of their own.
    "deviceActionResult": {"@odata.type": "String"},
    "security.alertEvidence": {"@odata.type": "String"},
    "signIn": {"agent": OBJECT},
    "conditionalAccessPolicy": {"partialEnablementStrategy": "String"},
    "conditionalAccessConditionSet": {
        "agentIdRiskLevels": "String",
        "agents": OBJECT,
        "clients": OBJECT,
        "deviceStates": OBJECT,
        "times": OBJECT,
    },
    "conditionalAccessApplications": {"globalSecureAccess": OBJECT, "networkAccess": OBJECT},
    "conditionalAccessClientApplications": {
        "agentIdServicePrincipalFilter": "conditionalAccessFilter",
        "excludeAgentIdServicePrincipals": ["String"],
        "includeAgentIdServicePrincipals": ["String"],
    },
    "conditionalAccessDevices": {
        "excludeDeviceStates": ["String"],
        "excludeDevices": ["String"],
        "includeDeviceStates": ["String"],
        "includeDevices": ["String"],
    },
    # A navigation property that comes unasked.
    "conditionalAccessGrantControls": {"authenticationStrength": "authenticationStrengthPolicy"},
    "authenticationStrengthPolicy": {"combinationConfigurations": [OBJECT]},
    # Another one, each of whose objects is of a type of its own.
    "authenticationMethodsPolicy": {"authenticationMethodConfigurations": [OBJECT]},
    "conditionalAccessSessionControls": {
        "continuousAccessEvaluation": OBJECT,
        "globalSecureAccessFilteringProfile": OBJECT,
        "networkAccessSecurity": OBJECT,
    },
}
"""Properties that Graph sends although no type declares them: type → property → its type. They hold for the objects of
a list and for those at any depth inside one."""

UNDECLARED_IN_LISTS: Mapping[str, Mapping[str, Mapping[str, PropertyType]]] = {
    "chatMessage": {
        "chatMessageFromIdentitySet": {"conversation": "teamworkConversationIdentity"},
        "chatMessageReactionIdentitySet": {"conversation": "teamworkConversationIdentity"},
        "identitySet": {"conversation": "teamworkConversationIdentity"},
    },
    "drive": _IDENTITIES_OF_FILES,
    "driveItem": _IDENTITIES_OF_FILES,
    "list": _IDENTITIES_OF_FILES,
    "listItem": _IDENTITIES_OF_FILES,
    "permission": _IDENTITIES_OF_FILES | {"sharePointIdentity": {"email": "String"}},
    "site": _IDENTITIES_OF_FILES,
}
"""The same for what only the lists of one type send: type of the list → type → property → its type."""

DERIVED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "chatMessage": {
        "identitySet.application": ("teamworkApplicationIdentity",),
        "identitySet.user": ("teamworkUserIdentity",),
    },
    # The one derived type is that of tenantRestrictions.
    "crossTenantAccessPolicyConfigurationDefault": {"crossTenantAccessPolicyB2BSetting": ()},
    "crossTenantAccessPolicyConfigurationPartner": {"crossTenantAccessPolicyB2BSetting": ()},
    # What each of the 48 kinds of evidence adds stays inside the JSON, as do the results of the actions on a device.
    "managedDevice": {"deviceActionResult": ()},
    "security.alert": {"security.alertEvidence": ()},
    "permission": {"identitySet.user": ("sharePointIdentity",)},
    "user": {"serviceProvisioningError": ("serviceProvisioningXmlError",)},
    "group": {"serviceProvisioningError": ("serviceProvisioningXmlError",)},
    "directoryObject": {"serviceProvisioningError": ("serviceProvisioningXmlError",)},
}
"""The derived types that occur in a property beside the declared type: type of the list → a type, or a type's property
→ derived types. Where nothing is said, a property of an abstract type holds all types derived from it."""

MADE: Mapping[str, Mapping[str, PropertyType]] = {
    "user_manager": {"userId": "String", "managerId": "String", "managerType": "String"},
}
"""Streams whose records the connector makes, so that no published type has their columns: stream → property, with the
object's own id first → its type. The stream's name stands for the type."""

SELECT: Mapping[str, Mapping[str, str]] = {
    # The directory's types are open: it ignores a name in $select that no type declares, unless it knows it.
    "user": {
        **dict.fromkeys(UNDECLARED["user"], "optional"),
        "customSecurityAttributes": "optional",
        "employeeLeaveDateTime": "optional",
        "identityParentId": "optional",
        "signInActivity": "licensed",
    },
    "group": {
        **dict.fromkeys(UNDECLARED["group"], "optional"),
        "infoCatalogs": "optional",
        "onPremisesExtensionAttributes": "optional",
        "organizationId": "optional",
    },
    "application": {
        "authenticationBehaviors": "optional",
        "managerApplications": "optional",
        "oauth2RequirePostResponse": "optional",
    },
    "servicePrincipal": {
        **dict.fromkeys(UNDECLARED["servicePrincipal"], "optional"),
        "agentIdentityBlueprintId": "optional",
        "customSecurityAttributes": "optional",
    },
    "device": dict.fromkeys(UNDECLARED["device"], "optional"),
}
"""What $select may fail on: type of the list → property → the mark of its column. An `optional` one the connector stops
asking for when Graph refuses a request, a `licensed` one does so first."""

SELECTED = frozenset({
    "user", "group", "application", "servicePrincipal", "device", "orgContact", "administrativeUnit", "organization",
    "message", "event", "contact",
})  # fmt: skip
"""The types of the lists that may be requested by `$select`, which names the published properties of the list's type. A
column of anything else is marked `never`, unless SELECT marks it."""


def undeclared(list_type: str, type_name: str) -> dict[str, PropertyType]:
    """The properties that objects of a type have beside the published ones, in the lists of a type."""
    in_list = UNDECLARED_IN_LISTS.get(list_type, {})
    return {**UNDECLARED.get(type_name, {}), **in_list.get(type_name, {})}


def named(list_type: str, owner: str, name: str, kind: str) -> Collection[str] | None:
    """The derived types that are named for a property of the type `owner`; None where nothing is said."""
    known = DERIVED.get(list_type, {})
    keys = (*(f"{one}.{name}" for one in graph_types.lineage(owner)), kind)
    return next((known[key] for key in keys if key in known), None)


def derived(list_type: str, owner: str, name: str, kind: str) -> Collection[str]:
    """The types derived from `kind` that occur in a property of the type `owner`."""
    found = named(list_type, owner, name, kind)
    if found is not None:
        return found
    return graph_types.derived(kind) if graph_types.is_abstract(kind) else ()


def is_marked(list_type: str, owner: str, name: str, kind: str) -> bool:
    """Whether the values of a property may say in `@odata.type` of which type they are. Graph does that where types
    inherit from each other, for the declared type too."""
    return len([*graph_types.lineage(kind)]) > 1 or bool(derived(list_type, owner, name, kind))
