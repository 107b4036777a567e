-- Which guests have no second factor?
-- Enabled guest accounts that registered no method of multifactor authentication in this tenant. is_reported is false
-- where Microsoft's report, which is up to a day old, does not name the guest.
-- Not seen: what guests registered at home, which counts where cross_tenant_access_policy_default, or a partner's row in
-- cross_tenant_access_policy_partners, accepts the MFA of their organisation; people of other organisations whose user
-- type is Member.
select
    u.display_name,
    u.user_principal_name,
    u.external_user_state as invitation,
    u.created_date_time as created,
    r.id is not null as is_reported,
    array_to_string(r.methods_registered, ', ') as methods
from users u
left join user_registration_details r on r.id = u.id
where u.user_type = 'Guest' and u.account_enabled and not coalesce(r.is_mfa_registered, false)
order by u.created_date_time, u.user_principal_name;
