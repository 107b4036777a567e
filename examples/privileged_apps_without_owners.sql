-- Which powerful apps belong to nobody?
-- Apps that could take over the tenant, or read or write everybody's mail or files, of which neither the enterprise
-- application nor the app registration in this tenant has an owner. The app of this connector may be one of them.
-- Not seen: delegated permissions, which are in oauth2_permission_grants; roles that an app may activate, that hold in an
-- administrative unit or for one object alone, or that are the tenant's own; roles in Azure and in Exchange; other
-- permissions that write. An owner is a user or an app, never a group, and one whose account is disabled counts.
-- Microsoft does not say whether Graph lists apps among the owners.
with permissions (resource_app_id, app_role_id, privilege) as (values
    -- Microsoft Graph. What grants privileges: https://learn.microsoft.com/graph/permissions-reference
    ('00000003-0000-0000-c000-000000000000', '9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8', 'RoleManagement.ReadWrite.Directory'),
    ('00000003-0000-0000-c000-000000000000', 'dd199f4a-f148-40a4-a2ec-f0069cc799ec', 'RoleAssignmentSchedule.ReadWrite.Directory'),
    ('00000003-0000-0000-c000-000000000000', 'fee28b28-e1f3-4841-818e-2704dc62245f', 'RoleEligibilitySchedule.ReadWrite.Directory'),
    ('00000003-0000-0000-c000-000000000000', '31e08e0a-d3f7-4ca2-ac39-7343fb83e8ad', 'RoleManagementPolicy.ReadWrite.Directory'),
    ('00000003-0000-0000-c000-000000000000', '06b708a9-e830-4db3-a914-8e69da51d44f', 'AppRoleAssignment.ReadWrite.All'),
    ('00000003-0000-0000-c000-000000000000', 'a402ca1c-2696-4531-972d-6e5ee4aa11ea', 'Policy.ReadWrite.PermissionGrant'),
    ('00000003-0000-0000-c000-000000000000', '2f6817f8-7b12-4f0f-bc18-eeaf60705a9e', 'PrivilegedAccess.ReadWrite.AzureADGroup'),
    ('00000003-0000-0000-c000-000000000000', '41202f2c-f7ab-45be-b001-85c9728b9d69', 'PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup'),
    ('00000003-0000-0000-c000-000000000000', '618b6020-bca8-4de6-99f6-ef445fa4d857', 'PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup'),
    ('00000003-0000-0000-c000-000000000000', 'b38dcc4d-a239-4ed6-aa84-6c65b284f97c', 'RoleManagementPolicy.ReadWrite.AzureADGroup'),
    ('00000003-0000-0000-c000-000000000000', '9acd699f-1e81-4958-b001-93b1d2506e19', 'EntitlementManagement.ReadWrite.All'),
    -- What manages credentials, or how people and apps prove who they are.
    ('00000003-0000-0000-c000-000000000000', '1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9', 'Application.ReadWrite.All'),
    ('00000003-0000-0000-c000-000000000000', '19dbc75e-c2e2-444c-a770-ec69d8559fc7', 'Directory.ReadWrite.All'),
    ('00000003-0000-0000-c000-000000000000', '50483e42-d915-4231-9639-7fdb7fd190e5', 'UserAuthenticationMethod.ReadWrite.All'),
    ('00000003-0000-0000-c000-000000000000', 'cc117bb9-00cf-4eb8-b580-ea2a878fe8f7', 'User-PasswordProfile.ReadWrite.All'),
    ('00000003-0000-0000-c000-000000000000', '29c18626-4985-4dcd-85c0-193eef327366', 'Policy.ReadWrite.AuthenticationMethod'),
    ('00000003-0000-0000-c000-000000000000', '01c0a623-fc9b-48e9-b794-0756f8e8f067', 'Policy.ReadWrite.ConditionalAccess'),
    ('00000003-0000-0000-c000-000000000000', '7e05723c-0bb0-42da-be95-ae9f08a6e53c', 'Domain.ReadWrite.All'),
    ('00000003-0000-0000-c000-000000000000', '292d869f-3427-49a8-9dab-8c70152b74e9', 'Organization.ReadWrite.All'),
    -- What reads or writes everybody's mail and files.
    ('00000003-0000-0000-c000-000000000000', '810c84a8-4a9e-49e6-bf7d-12d183f40d01', 'Mail.Read'),
    ('00000003-0000-0000-c000-000000000000', 'e2a3a72e-5f79-4c64-b1b1-878b674786c9', 'Mail.ReadWrite'),
    ('00000003-0000-0000-c000-000000000000', 'b633e1c5-b582-4048-a93e-9f11b44c7e96', 'Mail.Send'),
    ('00000003-0000-0000-c000-000000000000', '01d4889c-1287-42c6-ac1f-5d1e02578ef6', 'Files.Read.All'),
    ('00000003-0000-0000-c000-000000000000', '75359482-378d-4052-8f01-80520e7db3cd', 'Files.ReadWrite.All'),
    ('00000003-0000-0000-c000-000000000000', '332a536c-c7ef-4017-ab91-336970924f0d', 'Sites.Read.All'),
    ('00000003-0000-0000-c000-000000000000', '9492366f-7969-46a4-8d15-ed1a20078fff', 'Sites.ReadWrite.All'),
    ('00000003-0000-0000-c000-000000000000', 'a82116e5-55eb-4c41-a434-62fe8a61c773', 'Sites.FullControl.All'),
    -- Exchange Online and SharePoint Online, which take tokens of their own.
    ('00000002-0000-0ff1-ce00-000000000000', 'dc890d15-9560-4a4c-9b7f-a736ec74ec40', 'Exchange full_access_as_app'),
    ('00000002-0000-0ff1-ce00-000000000000', 'dc50a0fb-09a3-484d-be87-e023b12c6440', 'Exchange.ManageAsApp'),
    ('00000003-0000-0ff1-ce00-000000000000', '678536fe-1083-478a-9c59-b99265e6b0d3', 'SharePoint Sites.FullControl.All')
),
-- Roles through which one can become Global Administrator, by the ids that they have in every tenant:
-- https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference
roles (template_id, privilege) as (values
    ('62e90394-69f5-4237-9190-012177145e10', 'Global Administrator'),
    ('e8611ab8-c189-46e8-94e1-60213ab1f814', 'Privileged Role Administrator'),
    ('7be44c8a-adaf-4e2a-84d6-ab2649e08a13', 'Privileged Authentication Administrator'),
    ('9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3', 'Application Administrator'),
    ('158c047a-c907-4556-b7ef-446551a6b5f7', 'Cloud Application Administrator'),
    ('8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2', 'Hybrid Identity Administrator'),
    ('e00e864a-17c5-4a4b-9c06-f5b95a8d5bd8', 'Partner Tier2 Support')
),
holders as (
    select a.principal_id, r.privilege
    from role_assignments a
    join role_definitions d on d.id = a.role_definition_id
    join roles r on r.template_id = d.template_id
    where a.directory_scope_id = '/'
),
privileges as (
    select a.principal_id as app, p.privilege
    from app_role_assignments a
    join service_principals resource on resource.id = a.service_principal_id
    join permissions p on p.resource_app_id = resource.app_id and p.app_role_id = a.app_role_id
    union
    select principal_id, privilege from holders
    union
    select m.id, h.privilege from holders h join group_member m on m.group_id = h.principal_id
)
select
    s.display_name,
    string_agg(p.privilege, ', ' order by p.privilege) as privileges,
    s.service_principal_type as kind,
    s.account_enabled as is_enabled,
    any_value(r.id) is not null as is_registered_here,
    s.app_id
from service_principals s
join privileges p on p.app = s.id
left join applications r on r.app_id = s.app_id
anti join service_principal_owner o on o.service_principal_id = s.id
anti join application_owner ro on ro.application_id = r.id
group by s.id, s.display_name, s.service_principal_type, s.account_enabled, s.app_id
order by count(*) desc, s.display_name;
