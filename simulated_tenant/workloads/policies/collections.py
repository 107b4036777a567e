"""The tenant's policies beside those of Conditional Access, most of which it has one of.

https://learn.microsoft.com/graph/api/resources/policy-overview
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from simulated_tenant.clouds import BLEU, CHINA, DELOS, GOVSG
from simulated_tenant.collection import Collection, Endpoint, words
from simulated_tenant.generated import Generated, Owner
from simulated_tenant.shapes import EPOCH, Entity, graph_time
from simulated_tenant.state import State
from simulated_tenant.workloads.directory.collections import DIRECTORY

METHODS = "Policy.Read.AuthenticationMethod Policy.Read.All Policy.ReadWrite.AuthenticationMethod"
CROSS_TENANT = "Policy.Read.All Policy.ReadWrite.CrossTenantAccess"


def _one(type_name: str, **own: object) -> Generated:
    """The only object of a type, with these values."""
    return Generated(type_name, count=lambda state, owner: 1, own=lambda state, owner, number: dict(own))


def _methods(state: State, owner: Owner, number: int) -> Entity:
    """Each way to sign in is of a type of its own, and comes unasked."""
    everybody = {"targetType": "group", "id": "all_users", "isRegistrationRequired": False}
    return {
        "id": "authenticationMethodsPolicy",
        "authenticationMethodConfigurations": [
            {
                "@odata.type": "#microsoft.graph.fido2AuthenticationMethodConfiguration",
                "id": "Fido2",
                "state": "enabled",
                "isAttestationEnforced": True,
                "excludeTargets": [],
                "keyRestrictions": {"isEnforced": False, "enforcementType": "block", "aaGuids": []},
                "includeTargets": [everybody],
            },
            {
                "@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration",
                "id": "Sms",
                "state": "disabled",
                "excludeTargets": [],
                "includeTargets": [everybody | {"isUsableForSignIn": False}],
            },
        ],
    }


def _default(state: State, owner: Owner, number: int) -> Entity:
    """What is not configured is null, and not false."""
    everybody = {"accessType": "blocked", "targets": [{"target": "AllUsers", "targetType": "user"}]}
    return {"tenantRestrictions": {"devices": None, "usersAndGroups": everybody, "applications": None}}


def _strength(state: State, owner: Owner, number: int) -> Entity:
    """The first three are built in, and have the same ids everywhere."""
    own: Entity = {
        "policyType": "custom",
        "combinationConfigurations": [{"id": "9", "appliesToCombinations": ["fido2"]}],
    }
    if number < 3:
        own = {"id": f"00000000-0000-0000-0000-{number + 2:012}", "policyType": "builtIn"}
        own |= {"combinationConfigurations": []}
    return own | {
        "allowedCombinations": ["fido2", "password,sms"],
        "createdDateTime": graph_time(EPOCH + timedelta(days=number)),
    }


def _partner(state: State, owner: Owner, number: int) -> Entity:
    """A partner has no id but its tenant's; most settings are the default's, which is null."""
    own = {"tenantId": PARTNERS.id_of(state, number)}
    return own | dict.fromkeys(words("inboundTrust b2bCollaborationInbound"), None) if number % 2 else own


PARTNERS = Generated(
    "crossTenantAccessPolicyConfigurationPartner", count=lambda state, owner: state.size.partners, own=_partner
)
STRENGTHS = Generated("authenticationStrengthPolicy", count=lambda state, owner: 5, own=_strength)

_policy = partial(Collection, workload=DIRECTORY, options="")
_single = partial(_policy, alone=True)

ENDPOINTS: tuple[Endpoint, ...] = (
    _single(
        "/policies/authorizationPolicy", permissions=words("Policy.Read.All Policy.ReadWrite.Authorization"),
        type="authorizationPolicy", stream="authorization_policy",
        entities=_one("authorizationPolicy", id="authorizationPolicy", deletedDateTime=None).entities,
    ),
    _single(
        "/policies/identitySecurityDefaultsEnforcementPolicy", permissions=("Policy.Read.All",),
        type="identitySecurityDefaultsEnforcementPolicy", stream="identity_security_defaults_policy",
        entities=_one(
            "identitySecurityDefaultsEnforcementPolicy", id=f"{0:08}-0000-0000-0000-{5:012}", deletedDateTime=None,
        ).entities,
    ),
    _single(
        "/policies/adminConsentRequestPolicy", permissions=words("Policy.Read.All Policy.ReadWrite.ConsentRequest"),
        type="adminConsentRequestPolicy", stream="admin_consent_request_policy", known_by="",
        entities=_one("adminConsentRequestPolicy", id="adminConsentRequestPolicy").entities,
    ),
    _single(
        "/policies/authenticationMethodsPolicy", permissions=words(METHODS), granted="Policy.Read.All",
        type="authenticationMethodsPolicy", stream="authentication_methods_policy",
        entities=Generated("authenticationMethodsPolicy", lambda state, owner: 1, _methods).entities,
        lacking_in=(CHINA, BLEU, DELOS, GOVSG),
    ),
    _policy(
        "/policies/authenticationStrengthPolicies", permissions=words(f"{METHODS} Policy.ReadWrite.ConditionalAccess"),
        granted="Policy.Read.All", type="authenticationStrengthPolicy", stream="authentication_strength_policies",
        entities=STRENGTHS.entities,
    ),
    _single(
        "/policies/crossTenantAccessPolicy", permissions=words(CROSS_TENANT), type="crossTenantAccessPolicy",
        stream="cross_tenant_access_policy", entities=_one("crossTenantAccessPolicy", deletedDateTime=None).entities,
    ),
    _single(
        "/policies/crossTenantAccessPolicy/default", permissions=words(CROSS_TENANT),
        type="crossTenantAccessPolicyConfigurationDefault", stream="cross_tenant_access_policy_default",
        entities=Generated("crossTenantAccessPolicyConfigurationDefault", lambda state, owner: 1, _default).entities,
    ),
    _policy(
        "/policies/crossTenantAccessPolicy/partners", permissions=words(CROSS_TENANT),
        type="crossTenantAccessPolicyConfigurationPartner", stream="cross_tenant_access_policy_partners",
        entities=PARTNERS.entities, known_by="tenantId",
    ),
)  # fmt: skip
NOT_SIMULATED: tuple[str, ...] = ()
