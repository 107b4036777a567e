"""How Graph's lists differ from the published types: what is added to the schemas, and left out, by hand.

Types and properties go by their published names. A rule that belongs to a list stands at the type of the list's
objects, so that it holds for every stream of that type.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulated_tenant.graph_types import PropertyType

_SHAREPOINT = "kept in SharePoint: in a list's $select it fails the whole request"
_ONE_GROUP_ONLY = "answered only for a single group: in a list's $select it fails the whole request"
_ON_SELECT = "returned only when $select names it, which the connector does not do for this stream"

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
    "group": {
        "accessType": _ONE_GROUP_ONLY,
        "allowExternalSenders": _ONE_GROUP_ONLY,
        "autoSubscribeNewMembers": _ONE_GROUP_ONLY,
        "hasMembersWithLicenseErrors": "for $filter only, never returned",
        "hideFromAddressLists": _ONE_GROUP_ONLY,
        "hideFromOutlookClients": _ONE_GROUP_ONLY,
        "isArchived": "belongs to the team: in a list's $select it fails the whole request",
        "isFavorite": _ONE_GROUP_ONLY,
        "isSubscribedByMail": _ONE_GROUP_ONLY,
        "unseenConversationsCount": _ONE_GROUP_ONLY,
        "unseenCount": _ONE_GROUP_ONLY,
        "unseenMessagesCount": _ONE_GROUP_ONLY,
        "welcomeMessageEnabled": "an Outlook setting like autoSubscribeNewMembers, undocumented for lists",
    },
    "message": {"internetMessageHeaders": _ON_SELECT, "uniqueBody": _ON_SELECT},
    "event": {"cancelledOccurrences": _ON_SELECT},
}
"""Published properties that a list does not return, and why: type → property → reason."""

ALSO_LISTED: Mapping[str, tuple[str, ...]] = {
    "message": ("calendarSharingMessage", "eventMessageRequest", "eventMessageResponse"),
    "directoryObject": ("user", "group", "device", "servicePrincipal", "orgContact"),
    "conversationMember": (
        "aadUserConversationMember",
        "anonymousGuestConversationMember",
        "azureCommunicationServicesUserConversationMember",
        "microsoftAccountUserConversationMember",
        "phoneUserConversationMember",
        "skypeForBusinessUserConversationMember",
        "skypeUserConversationMember",
    ),
    "namedLocation": ("ipNamedLocation", "countryNamedLocation"),
}
"""The further types of the objects in a list: every message type in a mailbox, every kind of member in a group,
role, channel or chat."""

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

_IDENTITIES: Mapping[str, Mapping[str, PropertyType]] = {
    "identity": {"email": "String"},
    "identitySet": {"group": "identity"},
}

UNDECLARED: Mapping[str, Mapping[str, Mapping[str, PropertyType]]] = {
    "servicePrincipal": {"servicePrincipal": {"createdDateTime": "DateTimeOffset"}},
    "directoryObject": {
        "directoryObject": {
            "createdDateTime": "DateTimeOffset",
            "creationOptions": ["String"],
            "domainName": "String",
            "extensionAttributes": "onPremisesExtensionAttributes",
            "externalSourceName": "String",
            "sourceType": "String",
        },
    },
    "chatMessage": {
        "eventMessageDetail": {"@odata.type": "String"},
        "teamworkUserIdentity": {"tenantId": "String"},
    },
    # A navigation property that comes unasked.
    "conditionalAccessPolicy": {
        "conditionalAccessGrantControls": {"authenticationStrength": "authenticationStrengthPolicy"},
    },
    # A navigation property that the connector asks for.
    "listItem": {"listItem": {"fields": "fieldValueSet"}, **_IDENTITIES},
    "drive": _IDENTITIES,
    "driveItem": _IDENTITIES,
}
"""Properties that Graph sends although no type declares them: type of the list → type of the object → property →
its type. The object may be one of the list's, or lie at any depth inside one."""

DERIVED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "chatMessage": {
        "identitySet.application": ("teamworkApplicationIdentity",),
        "identitySet.user": ("teamworkUserIdentity",),
        "eventMessageDetail": (),
    },
    "user": {"serviceProvisioningError": ()},
    "group": {"serviceProvisioningError": ()},
    "directoryObject": {"serviceProvisioningError": ()},
}
"""The derived types whose properties are in the schema beside those of the declared type: type of the list → a type,
or a type's property → derived types. Where nothing is said, a property of an abstract type has those of all types
derived from it."""

SELECT: Mapping[str, Mapping[str, str]] = {
    "user": {
        "customSecurityAttributes": "optional",
        "employeeLeaveDateTime": "optional",
        "identityParentId": "optional",
        "signInActivity": "licensed",
    },
    "group": {"infoCatalogs": "optional", "onPremisesExtensionAttributes": "optional", "organizationId": "optional"},
    "application": {
        "authenticationBehaviors": "optional",
        "managerApplications": "optional",
        "oauth2RequirePostResponse": "optional",
    },
    "servicePrincipal": {"createdDateTime": "optional", "customSecurityAttributes": "optional"},
}
"""What $select may fail on: type of the list → property → the mark of its column. An `optional` one the connector stops
asking for when Graph refuses a request, a `licensed` one does so first."""

SELECTED_BY_TYPE = frozenset({"message"})
"""The types of the lists in which a $select may name the properties of the list's type and of no further type: the
columns of further types are marked `never`."""
