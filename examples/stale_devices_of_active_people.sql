-- Which devices have active people left behind?
-- Devices of people who signed in within 30 days, of which neither Intune nor Entra has heard for 90 days.
-- Not seen: devices that Intune does not manage, because Entra's list of devices names nobody; who signs in only where
-- it is not interactive. Entra notes a device's sign-in up to two weeks late.
with active as (
    select user_id, max(created_date_time) as last_sign_in
    from audit_logs_signins
    where (status->>'error_code')::int = 0
    group by user_id
    having last_sign_in > now() - interval 30 days
)
select
    m.device_name,
    m.operating_system,
    u.user_principal_name,
    a.last_sign_in,
    -- .NET's zero stands for never.
    nullif(m.last_sync_date_time, timestamp '0001-01-01') as last_sync,
    e.approximate_last_sign_in_date_time as last_seen_by_entra
from managed_devices m
join users u on u.id = m.user_id
join active a on a.user_id = u.id
left join devices e on e.device_id = m.azure_ad_device_id
where u.account_enabled
    -- A device that was enrolled lately may not have reported yet. greatest() passes over nulls.
    and greatest(m.last_sync_date_time, m.enrolled_date_time, e.approximate_last_sign_in_date_time)
        < now() - interval 90 days
order by last_sync nulls first, m.device_name, m.id;
