"""The table of Entra's refusals of a sign-in: AADSTS codes, and what is amiss before Entra is asked.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

from collections.abc import Mapping

from source_microsoft_graph.errors import LEARN, PERMISSION, Help

_ENTRA = f"{LEARN}/entra/identity-platform"
_SECRETS = f"{_ENTRA}/how-to-add-credentials"
_CERTIFICATES = f"{_ENTRA}/certificate-credentials"
_FEDERATION = f"{LEARN}/entra/workload-id/workload-identity-federation-considerations"
_REGISTER = f"{LEARN}/graph/auth-register-app-v2"
_TENANT_ID = f"{LEARN}/entra/fundamentals/how-to-find-tenant"
_DISABLED = f"{LEARN}/entra/identity/enterprise-apps/disable-user-sign-in-portal"
_SCOPE = f"{_ENTRA}/scopes-oidc#the-default-scope"
_POLICIES = f"{LEARN}/entra/identity/conditional-access/workload-identity"
_MANAGED = f"{LEARN}/entra/identity/managed-identities-azure-resources/overview"

_NOT_FEDERATED = "Add one whose issuer, subject and audience are exactly those of the token."

SIGN_IN: Mapping[int, Help] = {
    7000215: Help("The client secret is wrong.", "Use the secret's value, not its ID.", _SECRETS),
    7000222: Help("The client secret has expired.", "Add a new one to the app registration.", _SECRETS),
    7000218: Help("The app has to prove who it is.", "Choose a kind of sign-in, and fill it in.", _SECRETS),
    700027: Help(
        "The app registration does not know the certificate, or it has expired.",
        "Upload the certificate (without its key) under Certificates & secrets, and check the client ID.",
        _CERTIFICATES,
    ),
    700030: Help(
        "The app registration does not trust the certificate's subject.",
        "Trust its subject and issuer there, or turn the sending of the certificate off and upload it.",
        _CERTIFICATES,
    ),
    50012: Help("The certificate, or what was signed with it, is not valid.", "Use another one.", _CERTIFICATES),
    50013: Help("The assertion is malformed or has expired.", "Check where it comes from.", _FEDERATION),
    700024: Help(
        "The assertion is not valid yet, or no longer.",
        "Set the clock of this machine; a token of another identity provider has to be a fresh one.",
        _FEDERATION,
    ),
    70021: Help("No federated credential of the app matches the token.", _NOT_FEDERATED, _FEDERATION),
    70025: Help("The app has no federated credential.", _NOT_FEDERATED, _FEDERATION),
    700211: Help("No federated credential of the app has the token's issuer.", _NOT_FEDERATED, _FEDERATION),
    700212: Help("No federated credential of the app has the token's audience.", _NOT_FEDERATED, _FEDERATION),
    700213: Help("No federated credential of the app has the token's subject.", _NOT_FEDERATED, _FEDERATION),
    53003: Help(
        "A Conditional Access policy blocks the app.",
        "Let an administrator look at the sign-in logs of service principals.",
        _POLICIES,
    ),
    700016: Help("The tenant has no app with this client ID.", "Check both IDs and the cloud.", _REGISTER),
    90002: Help("The tenant was not found.", "Check the tenant ID and the cloud.", _TENANT_ID),
    900023: Help("The tenant ID is neither a GUID nor a domain name.", "Correct it.", _TENANT_ID),
    7000112: Help("The app is disabled in this tenant.", "Let it sign in again.", _DISABLED),
    7000229: Help("The app has no service principal in this tenant.", "Give it admin consent first.", PERMISSION.link),
    500011: Help("The tenant does not have what the scope names.", "Leave the scope out, check the cloud.", _SCOPE),
    1002012: Help("The scope is not valid.", "Leave it out, or let it end in /.default.", _SCOPE),
    900144: Help("The sign-in request lacks a parameter.", "Fill in the tenant ID and the credentials.", _REGISTER),
}
"""Entra's AADSTS codes."""

MISLED = Help(
    "What proves to be the app is sent over HTTPS to the login host of the cloud alone, and no redirect is followed.",
    "Check the cloud and its login host, and whether a proxy or a firewall answers in their stead.",
    f"{_ENTRA}/authentication-national-cloud",
)
"""What is amiss where an answer leads elsewhere."""

NO_IDENTITY = Help(
    "Nothing hands out tokens for a managed identity here.",
    "Run the connector on an Azure resource that has one, or choose another kind of sign-in.",
    _MANAGED,
)
NO_ASSERTION = Help(
    "There is no token of another identity provider to sign in with.",
    "On Kubernetes give the pod the label azure.workload.identity/use and its service account the client ID; elsewhere "
    "name the file or the variable that holds the token.",
    f"{LEARN}/azure/aks/workload-identity-overview",
)
"""What is amiss before Entra is asked."""
